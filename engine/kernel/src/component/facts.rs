//! What the components of a contract's month are worked out from.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::component::check::{self, ComponentFault};
use crate::component::demand::{Maxima, Window};
use crate::component::month::DayRun;
use crate::money::{Amount, Quantity};
use crate::tariff::TariffVersion;
use crate::time::LocalMonth;

/// The most versions of one month.
pub const VERSION_LIMIT: usize = 32;
/// The most energy of a month, up or down: 10^12 units.
pub const ENERGY_LIMIT: u64 = 1_000_000_000_000_000;
/// The most demand, and the most of another service's volume in a month: 10^9 units.
pub const VOLUME_LIMIT: u64 = 1_000_000_000_000;
/// The most that the energy of a month costs, up or down: 10^18 currency.
pub const AMOUNT_LIMIT: u128 = 10_u128.pow(27);

/// A contract's month, all versions together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Which month.
    pub month: LocalMonth,
    /// Whether the month is over and its readings are in; before that, monthly components are forecasts.
    pub closed: bool,
    /// By version, in order of time.
    pub segments: Vec<Segment>,
    /// The month's maxima, for each way of averaging that a component asks for. None that is not measured.
    pub maxima: Vec<(Window, Maxima)>,
    /// What the contract states, in 1/1000 unit per hour (W).
    pub capacity: Option<Quantity>,
    /// Reactive energy of the month, in 1/1000 kvarh; its sign does not matter.
    pub reactive: Option<Quantity>,
}

/// What happened under one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The version.
    pub version: Arc<TariffVersion>,
    /// The days that it owes ([`crate::component::month::versions`]).
    pub days: DayRun,
    /// Energy charged under it.
    pub quantity: Quantity,
    /// What that costs, exact.
    pub amount: Amount,
    /// Volumes of other services in its time, by the name that [`crate::component::derived::Derived`] gives.
    pub sources: Vec<(String, Quantity)>,
}

/// Facts from which nothing is worked out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FactFault {
    /// More than [`VERSION_LIMIT`] versions.
    Versions(usize),
    /// Days that are not of the month, or not after those of the version before.
    Days(DayRun),
    /// A quantity beyond its bounds, or a capacity below zero.
    Quantity(Quantity),
    /// An amount beyond its bounds.
    Amount(Amount),
    /// A version whose components [`check::components`] refuses.
    Component(ComponentFault),
}

impl Facts {
    /// Proves that the facts are within the bounds of [`crate::component`].
    ///
    /// # Errors
    /// The first [`FactFault`].
    pub fn check(&self) -> Result<(), FactFault> {
        let within = |quantity: Quantity, most: u64| {
            if quantity.0.unsigned_abs() > most { Err(FactFault::Quantity(quantity)) } else { Ok(()) }
        };
        if self.segments.len() > VERSION_LIMIT {
            return Err(FactFault::Versions(self.segments.len()));
        }
        let mut free_from = self.month.first_day();
        let mut energy = Quantity::ZERO;
        for segment in &self.segments {
            let days = segment.days;
            if !days.is_within(self.month) || days.count > 0 && days.first < free_from {
                return Err(FactFault::Days(days));
            }
            if days.count > 0 {
                free_from = days.first.plus(i32::from(days.count));
            }
            within(segment.quantity, ENERGY_LIMIT)?;
            energy += segment.quantity;
            let volumes = segment.sources.iter().map(|(_, volume)| *volume);
            volumes.clone().try_for_each(|volume| within(volume, VOLUME_LIMIT))?;
            within(volumes.sum(), VOLUME_LIMIT)?;
            if segment.amount.0.unsigned_abs() > AMOUNT_LIMIT {
                return Err(FactFault::Amount(segment.amount));
            }
            check::components(&segment.version.components).map_err(FactFault::Component)?;
        }
        within(energy, ENERGY_LIMIT)?;
        self.reactive.map_or(Ok(()), |reactive| within(reactive, ENERGY_LIMIT))?;
        if let Some(capacity) = self.capacity {
            within(capacity, VOLUME_LIMIT)?;
            if capacity < Quantity::ZERO {
                return Err(FactFault::Quantity(capacity));
            }
        }
        let peaks = self.maxima.iter().flat_map(|(_, maxima)| maxima.by_band.iter().chain([&maxima.whole]));
        peaks.flatten().try_for_each(|peak| within(peak.demand, VOLUME_LIMIT))
    }
}
