//! From an interval to charges: split at every day, band, version and contract boundary, then by tiers (domain.md, 4).
//!
//! Bounds: any quantity and any moments within the site's table of days are rated without a panic; parts add up to the
//! quantity exactly. The tier counter alone saturates where 64 bits end (9.2e15 billing units in one period).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Deref;

use serde::{Deserialize, Serialize};

use crate::calendar::Calendar;
use crate::conversion::Conversion;
use crate::few::Few;
use crate::id::{AccountId, ContractId, TariffId, TariffVersionId};
use crate::judge::Interval;
use crate::money::{Amount, Price, Quantity};
use crate::tariff::{Band, Household, Ladder, MINUTES, Scale, TariffVersion, TierPeriod};
use crate::time::{LocalDate, MINUTE, Moment, SiteDays};

/// Who pays for a service point, by which tariff, from when to when.
#[derive(Clone, Debug)]
pub struct Contract {
    /// Its identifier in the book.
    pub id: ContractId,
    /// The account that owes.
    pub account: AccountId,
    /// In force from here ...
    pub valid_from: Moment,
    /// ... to here, exclusive.
    pub valid_to: Option<Moment>,
    /// Who lives there: it moves the thresholds of tiers.
    pub household: Household,
    /// Whether the account's service points share one tier counter (see [`crate::pool`]).
    pub pooled: bool,
    /// The tariff's versions; contracts of one tariff share them.
    pub versions: Arc<Versions>,
}

/// The versions of one tariff in force, by `valid_from`, used as a slice.
#[derive(Clone, Debug)]
pub struct Versions {
    /// The tariff.
    pub tariff: TariffId,
    list: Vec<Arc<TariffVersion>>,
}

impl Versions {
    /// Those of a tariff, by `valid_from`.
    #[must_use]
    pub fn of(tariff: TariffId, list: Vec<Arc<TariffVersion>>) -> Arc<Versions> {
        Arc::new(Versions { tariff, list })
    }
}

impl Deref for Versions {
    type Target = [Arc<TariffVersion>];

    fn deref(&self) -> &[Arc<TariffVersion>] {
        &self.list
    }
}

/// All that pricing of one service point reads.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The site's local days.
    pub days: Arc<SiteDays>,
    /// The site's day types.
    pub calendar: Arc<Calendar>,
    /// By `valid_from`, without overlaps.
    pub contracts: Few<Contract>,
    /// What a m3 of gas is worth, where it is billed as energy.
    pub conversion: Conversion,
}

/// A tier counter: what a service point used in the period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TierCounter {
    /// [`TierPeriod::key`] of the period.
    pub period: i32,
    /// Used since the period began.
    pub used: Quantity,
}

/// How it is known when within an interval energy flowed (domain.md, 3). The energy itself is measured either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allocation {
    /// The whole interval lies in one stretch of one price, or nothing flowed in it.
    Measured,
    /// The interval was divided by time.
    Linear,
    /// The interval was divided as the like days before it were.
    Profile,
}

impl Allocation {
    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Allocation::Measured => "measured",
            Allocation::Linear => "linear",
            Allocation::Profile => "profile",
        }
    }
}

/// A priced part of an interval: one contract, version, day, band and tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where the part begins ...
    pub from: Moment,
    /// ... and ends.
    pub to: Moment,
    /// The local day it belongs to.
    pub date: LocalDate,
    /// Who owes it; nobody while no contract is in force (a vacancy).
    pub account: Option<AccountId>,
    /// The tariff version that prices it; none in a vacancy.
    pub version: Option<TariffVersionId>,
    /// The band.
    pub band: Band,
    /// The tier, from 1; 0 for what an allowance covers.
    pub tier: u16,
    /// How much.
    pub quantity: Quantity,
    /// At which price.
    pub price: Price,
    /// What it costs: exactly quantity x price.
    pub amount: Amount,
    /// The tier counter before this part.
    pub counter_before: Quantity,
    /// How it is known that this much flowed here.
    pub allocation: Allocation,
}

/// A stretch of time in which contract, version, day, band and step of a price series stay the same. Kept between intervals, because the
/// next one mostly falls into the same stretch.
#[derive(Clone, Debug)]
pub struct Cell {
    from: Moment,
    to: Moment,
    date: LocalDate,
    account: Option<AccountId>,
    version: Option<Arc<TariffVersion>>,
    band: Band,
    /// What the band's own price is added to, in the hours of a series.
    base: Price,
    period: i32,
    scale: Scale,
    /// Whose pool counts what flows, and in which of its periods.
    pub(crate) pool: Option<(AccountId, i32)>,
}

/// A moment outside the site's table of local days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutsideDays(pub Moment);

impl Cell {
    /// Whether the moment is in this stretch.
    #[must_use]
    pub fn holds(&self, moment: Moment) -> bool {
        self.from <= moment && moment < self.to
    }

    /// Where it begins and ends.
    #[must_use]
    pub const fn span(&self) -> (Moment, Moment) {
        (self.from, self.to)
    }

    /// The local day that it is part of.
    #[must_use]
    pub const fn date(&self) -> LocalDate {
        self.date
    }

    /// The band.
    #[must_use]
    pub const fn band(&self) -> Band {
        self.band
    }

    /// What a unit costs in a tier; nothing in tier 0, in a vacancy and beyond the end of a series.
    fn price(&self, tier: usize) -> Price {
        let row = tier.checked_sub(1).and_then(|row| self.version.as_ref()?.prices.get(row));
        let own = row.and_then(|row| row[self.band as usize]);
        own.map_or(Price(0), |own| Price(own.0.saturating_add(self.base.0)))
    }
}

impl Terms {
    /// The contract in force at a moment.
    #[must_use]
    pub fn contract_at(&self, moment: Moment) -> Option<&Contract> {
        let after = self.contracts.partition_point(|contract| contract.valid_from <= moment);
        let contract = self.contracts.get(after.checked_sub(1)?)?;
        contract.valid_to.is_none_or(|end| moment < end).then_some(contract)
    }

    /// How the tier counter runs at a moment. In a vacancy, and under a version without tiers, it goes on as before:
    /// it belongs to the service point. Only what is past decides, so that no later version changes what was charged.
    fn tier_period_at(&self, moment: Moment) -> TierPeriod {
        let began = self.contracts.iter().rev().filter(|contract| contract.valid_from <= moment);
        let mut past = began.flat_map(|contract| {
            let until = contract.valid_to.map_or(moment, |end| moment.min(end.plus(-1)));
            contract.versions.iter().rev().filter(move |version| version.valid_from <= until)
        });
        past.find_map(|version| version.tiers.as_ref()).map_or(TierPeriod::Monthly, |tiers| tiers.period)
    }

    /// How the counter of a pool runs at a moment: by the last tiers of the tariff in force, which all its members share.
    fn pool_period_at(contract: &Contract, moment: Moment) -> TierPeriod {
        let mut past = contract.versions.iter().rev().filter(|version| version.valid_from <= moment);
        past.find_map(|version| version.tiers.as_ref()).map_or(TierPeriod::Monthly, |tiers| tiers.period)
    }

    /// The cell that holds a moment.
    ///
    /// # Errors
    /// [`OutsideDays`] when the site's table of days does not reach there.
    pub fn cell_at(&self, moment: Moment) -> Result<Cell, OutsideDays> {
        let day = self.days.at(moment).ok_or(OutsideDays(moment))?;
        let (mut from, mut to) = (day.start, day.end);
        let mut narrow = |start: Option<Moment>, end: Option<Moment>| {
            from = from.max(start.unwrap_or(from));
            to = to.min(end.unwrap_or(to));
        };
        let contract = self.contract_at(moment);
        let version = match contract {
            Some(contract) => {
                narrow(Some(contract.valid_from), contract.valid_to);
                let after = contract.versions.partition_point(|version| version.valid_from <= moment);
                let version = after.checked_sub(1).map(|index| &contract.versions[index]);
                let next = contract.versions.get(after).map(|version| version.valid_from);
                narrow(version.map(|version| version.valid_from), next);
                version
            }
            None => {
                let after = self.contracts.partition_point(|contract| contract.valid_from <= moment);
                let next = self.contracts.get(after).map(|contract| contract.valid_from);
                let previous = after.checked_sub(1).and_then(|index| self.contracts[index].valid_to);
                narrow(previous, next);
                None
            }
        };
        let mut band = Band::Single;
        let plan = version.and_then(|version| version.plan(day.date, &self.calendar));
        if let Some(plan) = plan {
            for (run, run_end) in day.runs() {
                if moment < run.start || moment >= run_end {
                    continue;
                }
                // Minutes of the wall clock within this even run; a switch inside the run is an instant in it.
                let wall = run.wall + moment.since(run.start);
                let minute = u16::try_from(wall / MINUTE).unwrap_or(MINUTES - 1).min(MINUTES - 1);
                let (at, next_minute) = plan.at(minute);
                let began = plan.began(minute);
                band = at;
                let to_instant = |minute: u16| run.start.plus(i64::from(minute) * MINUTE - run.wall);
                narrow(Some(run.start.max(to_instant(began))), Some(run_end));
                if next_minute < MINUTES {
                    narrow(None, Some(to_instant(next_minute)));
                }
            }
        }
        let mut base = Price(0);
        if band == Band::Dynamic
            && let Some(series) = version.and_then(|version| version.dynamic.as_ref())
        {
            let end = series.end();
            match series.at(moment) {
                Some(step) => {
                    narrow(Some(step.from), Some(step.to));
                    base = step.price;
                }
                None => {
                    band = Band::Unpriced;
                    narrow(Some(end), None);
                }
            }
        }
        let tiers = version.and_then(|version| version.tiers.as_ref());
        let household = contract.map(|contract| contract.household).unwrap_or_default();
        let scale = tiers.map(|tiers| tiers.scale(day.date, household)).unwrap_or_default();
        let tier_period = self.tier_period_at(moment);
        let account = contract.map(|contract| contract.account);
        let period = tier_period.key(day.date);
        let pool = contract.filter(|contract| contract.pooled);
        let pool = pool.map(|contract| (contract.account, Terms::pool_period_at(contract, moment).key(day.date)));
        Ok(Cell { from, to, date: day.date, account, version: version.cloned(), band, base, period, scale, pool })
    }

    /// The band in force at a moment; `cell` is the caller's memory, as in [`Terms::rate`].
    ///
    /// # Errors
    /// [`OutsideDays`] when the site's table of days does not reach there.
    pub fn band_at(&self, moment: Moment, cell: &mut Option<Cell>) -> Result<Band, OutsideDays> {
        match cell {
            Some(cell) if cell.holds(moment) => Ok(cell.band),
            _ => Ok(cell.insert(self.cell_at(moment)?).band),
        }
    }

    /// Splits an interval, prices its parts in order and moves the tier counter (a plain [`TierCounter`] knows no pools; see
    /// [`crate::pool::Counters`]). `cell` is the caller's memory of the
    /// last stretch; any stale one must be dropped when the terms change.
    ///
    /// With no finer data the quantity is divided by time; each part but the last is rounded toward zero and the last
    /// takes the remainder, so that the parts add up exactly.
    ///
    /// # Errors
    /// [`OutsideDays`] before anything was priced.
    pub fn rate(
        &self,
        interval: &Interval,
        cell: &mut Option<Cell>,
        counter: &mut impl Counting,
        mut each: impl FnMut(&Part),
    ) -> Result<(), OutsideDays> {
        let (first, last) = (interval.from, interval.to);
        if !cell.as_ref().is_some_and(|cell| cell.holds(first)) {
            *cell = Some(self.cell_at(first)?);
        }
        if let Some(cell) = cell.as_ref().filter(|cell| last <= cell.to) {
            counter.price(cell, (first, last), (interval.quantity, Allocation::Measured), &mut each);
            return Ok(());
        }
        self.days.at(last.plus(-1)).ok_or(OutsideDays(last))?;
        let span = i128::from(last.since(first).max(1));
        // An outage is a run of zeros: there is nothing to allocate.
        let allocation = if interval.quantity == Quantity::ZERO { Allocation::Measured } else { Allocation::Linear };
        let mut left = interval.quantity;
        let mut at = first;
        while at < last {
            if !cell.as_ref().is_some_and(|cell| cell.holds(at)) {
                *cell = Some(self.cell_at(at)?);
            }
            let Some(here) = cell.as_ref() else { break };
            let end = here.to.min(last);
            let share = i128::from(interval.quantity.0) * i128::from(end.since(at)) / span;
            let quantity = if end == last { left } else { Quantity(i64::try_from(share).unwrap_or(0)) };
            counter.price(here, (at, end), (quantity, allocation), &mut each);
            left -= quantity;
            at = end;
        }
        Ok(())
    }
}

/// What counts the tiers of a service point.
pub trait Counting {
    /// Prices what was used within one cell, tier by tier, and counts it.
    fn price(
        &mut self,
        cell: &Cell,
        span: (Moment, Moment),
        quantity: (Quantity, Allocation),
        each: &mut impl FnMut(&Part),
    );

    /// Where the counter stands that counts in a cell.
    fn stands_at(&self, cell: &Cell) -> Quantity;
}

impl Counting for TierCounter {
    #[inline]
    fn price(
        &mut self,
        cell: &Cell,
        span: (Moment, Moment),
        quantity: (Quantity, Allocation),
        each: &mut impl FnMut(&Part),
    ) {
        self.begin(cell.period);
        self.used = price(cell, span, quantity, self.used, each);
    }

    fn stands_at(&self, cell: &Cell) -> Quantity {
        if self.period == cell.period { self.used } else { Quantity::ZERO }
    }
}

impl TierCounter {
    /// Starts from zero where another period begins.
    #[inline]
    pub(crate) fn begin(&mut self, period: i32) {
        if self.period != period {
            *self = TierCounter { period, used: Quantity::ZERO };
        }
    }

    /// Counts in the period of a cell what was priced by another counter.
    pub(crate) fn count(&mut self, cell: &Cell, quantity: Quantity) {
        self.begin(cell.period);
        self.used = Quantity(self.used.0.saturating_add(quantity.0));
    }
}

/// Prices what was used within one cell, tier by tier, from a counter on; gives where that stands then.
pub(crate) fn price(
    cell: &Cell,
    (from, to): (Moment, Moment),
    (quantity, allocation): (Quantity, Allocation),
    mut used: Quantity,
    each: &mut impl FnMut(&Part),
) -> Quantity {
    let tiers = cell.version.as_ref().and_then(|version| version.tiers.as_ref());
    let ladder = tiers.map_or(Ladder::ENDLESS, |tiers| tiers.ladder(cell.scale));
    let mut left = quantity;
    loop {
        let (tier, step) = if left.0 >= 0 {
            let tier = ladder.up(used);
            (tier, ladder.upper(tier).map_or(left, |bound| left.min(distance(used, bound))))
        } else {
            let tier = ladder.down(used);
            let lower = tier.checked_sub(1).and_then(|below| ladder.upper(below));
            (tier, lower.map_or(left, |bound| left.max(distance(used, bound))))
        };
        let price = cell.price(tier);
        each(&Part {
            from,
            to,
            date: cell.date,
            account: cell.account,
            version: cell.version.as_ref().map(|version| version.id),
            band: cell.band,
            tier: u16::try_from(tier).unwrap_or(u16::MAX),
            quantity: step,
            price,
            amount: step * price,
            counter_before: used,
            allocation,
        });
        used = Quantity(used.0.saturating_add(step.0));
        left -= step;
        if left == Quantity::ZERO {
            return used;
        }
    }
}

/// From one counter to another, saturating: a counter may be far below zero after corrections.
fn distance(from: Quantity, to: Quantity) -> Quantity {
    Quantity(to.0.saturating_sub(from.0))
}
