//! The proof that a version prices every instant of its validity exactly once: a walk over all of it, cell by cell, by the
//! rating that charges use.

use alloc::sync::Arc;

use crate::calendar::Calendar;
use crate::id::{AccountId, ContractId, TariffId};
use crate::rate::{Contract, Terms, Versions};
use crate::tariff::{Band, Household, TariffVersion};
use crate::time::{DAY, LocalDate, Moment, SiteDays};

/// What the walk met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partition {
    /// Local days, whole or in part.
    pub days: u32,
    /// Days of less than 24 hours, because the clocks go forward.
    pub short_days: u32,
    /// Days of more than 24 hours.
    pub long_days: u32,
    /// Microseconds in each band, in the order of [`Band::ALL`].
    pub by_band: [i64; Band::ALL.len()],
}

/// The first instant at which the proof fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionFault {
    /// The site's table of days does not reach there.
    OutsideDays(Moment),
    /// Two stretches overlap here, or leave a hole.
    Seam(Moment),
    /// The band that holds here has no price in this tier (from 1).
    NoPrice(Moment, Band, usize),
    /// The stretches of this date do not add up to its length.
    Length(LocalDate),
}

/// Walks over a version's validity, from its beginning (or that of `days`) to `until`.
///
/// # Errors
/// The first [`PartitionFault`].
pub fn prove(
    version: &Arc<TariffVersion>,
    days: &Arc<SiteDays>,
    calendar: &Arc<Calendar>,
    until: Moment,
) -> Result<Partition, PartitionFault> {
    let contract = Contract {
        id: ContractId(0),
        account: AccountId(0),
        valid_from: version.valid_from,
        valid_to: None,
        household: Household::default(),
        pooled: false,
        versions: Versions::of(TariffId(0), alloc::vec![Arc::clone(version)]),
    };
    let terms = Terms {
        days: Arc::clone(days),
        calendar: Arc::clone(calendar),
        contracts: [contract].into(),
        conversion: Default::default(),
    };
    let first = days.all().first().map_or(version.valid_from, |day| day.start);
    let begin = version.valid_from.max(first);
    let mut partition = Partition::default();
    let mut at = begin;
    while at < until {
        let day = *days.at(at).ok_or(PartitionFault::OutsideDays(at))?;
        partition.days += 1;
        let length = day.end.since(day.start);
        partition.short_days += u32::from(length < DAY);
        partition.long_days += u32::from(length > DAY);
        let (day_from, day_to) = (at, day.end.min(until));
        let mut walked = 0;
        while at < day_to {
            let cell = terms.cell_at(at).map_err(|outside| PartitionFault::OutsideDays(outside.0))?;
            let (from, to) = cell.span();
            if from != at || to <= at || to > day.end || cell.date() != day.date {
                return Err(PartitionFault::Seam(at));
            }
            let band = cell.band();
            if band != Band::Unpriced
                && let Some(tier) = version.prices.iter().position(|row| row[band as usize].is_none())
            {
                return Err(PartitionFault::NoPrice(at, band, tier + 1));
            }
            let end = to.min(day_to);
            partition.by_band[band as usize] += end.since(at);
            walked += end.since(at);
            at = end;
        }
        if walked != day_to.since(day_from) {
            return Err(PartitionFault::Length(day.date));
        }
    }
    Ok(partition)
}
