//! Gaps: intervals so long that the energy in them is measured and its place in time is not (domain.md, 3).
//!
//! Up to [`GAP_OVER`] an interval is divided by time. A longer one is divided as the like days before it were: see
//! [`crate::history`]. A stated outage is no gap: nothing flowed in it, and what an interval measured flowed outside.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::id::MeterId;
use crate::judge::Interval;
use crate::money::Quantity;
use crate::rate::Allocation;
use crate::time::{HOUR, Moment};

/// An interval that is longer, its outages left out, is a gap (default: 2 h).
pub const GAP_OVER: i64 = 2 * HOUR;

/// A stretch in which a meter had no supply: a run of valid zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Outage {
    /// Whose.
    pub meter: MeterId,
    /// The first moment without supply ...
    pub from: Moment,
    /// ... and the first with it again.
    pub to: Moment,
}

impl Outage {
    fn touches(&self, meter: MeterId, from: Moment, to: Moment) -> bool {
        self.meter == meter && self.from < to && from < self.to
    }
}

/// Part of an interval, and how much flowed in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Where it begins ...
    pub from: Moment,
    /// ... and ends.
    pub to: Moment,
    /// What is allocated to it.
    pub quantity: Quantity,
}

/// How an interval is divided where it is not by time alone. The slots are in order, do not overlap, and add up to the
/// interval's quantity; outside them nothing flowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spread {
    /// By like days, or by time around outages.
    pub allocation: Allocation,
    /// Within each slot by time.
    pub slots: Vec<Slot>,
}

/// Whether a stated outage of the meter lies in the interval, in whole or in part.
#[must_use]
pub fn is_touched(outages: &[Outage], meter: MeterId, from: Moment, to: Moment) -> bool {
    outages.iter().any(|outage| outage.touches(meter, from, to))
}

/// The stretches of an interval outside the meter's outages, in order. An interval wholly within an outage, in which
/// something flowed all the same, contradicts it: then the outage does not count. `outages` are sorted by their beginning.
#[must_use]
pub fn live(outages: &[Outage], meter: MeterId, from: Moment, to: Moment) -> Vec<(Moment, Moment)> {
    let (mut live, mut at) = (Vec::new(), from);
    for outage in outages.iter().filter(|outage| outage.touches(meter, from, to)) {
        if at < outage.from {
            live.push((at, outage.from));
        }
        at = at.max(outage.to);
    }
    if at < to {
        live.push((at, to));
    }
    if live.is_empty() {
        live.push((from, to));
    }
    live
}

/// How long stretches are together.
#[must_use]
pub fn length(stretches: &[(Moment, Moment)]) -> i64 {
    stretches.iter().fold(0, |sum, (from, to)| sum.saturating_add(to.since(*from)))
}

/// Divides a quantity by weights: each share is rounded toward zero, the last slot takes the remainder. `None` where the
/// weights add up to nothing.
///
/// Bounds: weights are 0 to 2^63 - 1, so that a product with any quantity fits 128 bits; their sum does for 2^64 slots.
#[must_use]
pub fn divide(quantity: Quantity, weighed: &[(Moment, Moment, i64)]) -> Option<Vec<Slot>> {
    let sum: i128 = weighed.iter().map(|(.., weight)| i128::from(*weight)).sum();
    if sum <= 0 {
        return None;
    }
    let mut left = quantity;
    let mut slots: Vec<Slot> = Vec::with_capacity(weighed.len());
    for (from, to, weight) in weighed {
        // A share is at most the whole, which fits.
        let share = i128::from(quantity.0) * i128::from(*weight) / sum;
        let share = Quantity(i64::try_from(share).unwrap_or(0));
        slots.push(Slot { from: *from, to: *to, quantity: share });
        left -= share;
    }
    if let Some(last) = slots.last_mut() {
        last.quantity += left;
    }
    Some(slots)
}

/// An interval around outages, divided by time.
pub(crate) fn around(interval: &Interval, live: &[(Moment, Moment)]) -> Option<Spread> {
    let weighed: Vec<_> = live.iter().map(|(from, to)| (*from, *to, to.since(*from))).collect();
    let slots = divide(interval.quantity, &weighed)?;
    Some(Spread { allocation: Allocation::Linear, slots })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn outage(meter: u32, from: i64, to: i64) -> Outage {
        Outage { meter: MeterId(meter), from: Moment(from), to: Moment(to) }
    }

    #[test]
    fn an_outage_touches_what_it_shares_time_with() {
        for (meter, from, to, expected) in [
            (1, 10, 20, false),
            (1, 10, 21, true),
            (1, 25, 26, true),
            (1, 29, 40, true),
            (1, 30, 40, false),
            (1, 0, 100, true),
            (2, 0, 100, false),
        ] {
            let found = is_touched(&[outage(1, 20, 30)], MeterId(meter), Moment(from), Moment(to));
            assert_eq!(found, expected, "meter {meter}, {from} to {to}");
        }
    }

    #[test]
    fn what_is_left_of_an_interval_lies_outside_all_outages_of_its_meter() {
        for (outages, expected) in [
            (vec![], vec![(10, 20)]),
            (vec![outage(1, 12, 14)], vec![(10, 12), (14, 20)]),
            (vec![outage(2, 12, 14)], vec![(10, 20)]),
            (vec![outage(1, 0, 10), outage(1, 20, 30)], vec![(10, 20)]),
            (vec![outage(1, 0, 11), outage(1, 19, 30)], vec![(11, 19)]),
            (vec![outage(1, 11, 15), outage(1, 12, 13), outage(1, 14, 17)], vec![(10, 11), (17, 20)]),
            // Without supply all the time, and yet it counted: the outage is not true.
            (vec![outage(1, 5, 25)], vec![(10, 20)]),
            (vec![outage(1, 5, 15), outage(1, 15, 20)], vec![(10, 20)]),
        ] {
            let found = live(&outages, MeterId(1), Moment(10), Moment(20));
            let found: Vec<_> = found.into_iter().map(|(from, to)| (from.0, to.0)).collect();
            assert_eq!(found, expected, "{outages:?}");
        }
    }

    #[test]
    fn shares_add_up_and_the_last_takes_the_remainder() {
        let weighed = |weights: &[i64]| -> Vec<(Moment, Moment, i64)> {
            (0..).zip(weights).map(|(at, weight)| (Moment(at), Moment(at + 1), *weight)).collect()
        };
        for (quantity, weights, expected) in [
            (10, &[1, 1, 1][..], Some(vec![3, 3, 4])),
            (10, &[1, 2, 0], Some(vec![3, 6, 1])),
            (-10, &[1, 1, 1], Some(vec![-3, -3, -4])),
            (7, &[0, 0], None),
            (7, &[], None),
            (i64::MAX, &[i64::MAX, i64::MAX], Some(vec![i64::MAX / 2, i64::MAX / 2 + 1])),
            (i64::MIN, &[i64::MAX, 1], Some(vec![-i64::MAX, -1])),
        ] {
            let slots = divide(Quantity(quantity), &weighed(weights));
            let found: Option<Vec<i64>> = slots.map(|slots| slots.iter().map(|slot| slot.quantity.0).collect());
            assert_eq!(found, expected, "{quantity} by {weights:?}");
        }
    }
}
