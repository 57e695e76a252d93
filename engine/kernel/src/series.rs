//! Dynamic prices: one price for each step of a fixed length, from an instant on, without a gap.
//!
//! Steps are instants, not wall times: a day of 25 hours has 25 hourly prices. An interval is split at each step, so that
//! every charge is one quantity at one price. What flows beyond the end of the series has no price yet: it is charged
//! nothing, in the band `unpriced`, until the series reaches it and the difference is posted.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::money::Price;
use crate::time::{HOUR, MINUTE, Moment};

/// The most steps of one series: five years of quarter hours.
pub const STEPS_MAX: usize = 200_000;

/// Prices by the step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceSeries {
    /// Where the first step begins.
    pub start: Moment,
    /// The length of a step; it divides an hour.
    pub step_minutes: u16,
    /// One for each step; below zero where using energy is paid for.
    pub prices: Vec<Price>,
}

/// A step of a series: from, to (exclusive), price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where it begins ...
    pub from: Moment,
    /// ... and ends.
    pub to: Moment,
    /// What a unit costs in it.
    pub price: Price,
}

impl PriceSeries {
    /// A step in microseconds.
    #[must_use]
    pub fn step(&self) -> i64 {
        i64::from(self.step_minutes) * MINUTE
    }

    /// Where the last step ends.
    #[must_use]
    pub fn end(&self) -> Moment {
        self.start.plus(i64::try_from(self.prices.len()).unwrap_or(i64::MAX).saturating_mul(self.step()))
    }

    /// The step that holds a moment; none before the first and after the last.
    #[must_use]
    pub fn at(&self, moment: Moment) -> Option<Step> {
        let place = moment.since(self.start).div_euclid(self.step().max(1));
        let price = *self.prices.get(usize::try_from(place).ok()?)?;
        let from = self.start.plus(place * self.step());
        Some(Step { from, to: from.plus(self.step()), price })
    }

    /// All steps, in order.
    pub fn steps(&self) -> impl Iterator<Item = Step> + '_ {
        let step = self.step();
        self.prices.iter().scan(self.start, move |from, price| {
            let begun = *from;
            *from = begun.plus(step);
            Some(Step { from: begun, to: *from, price: *price })
        })
    }

    /// Whether the length of a step divides an hour.
    #[must_use]
    pub fn divides_an_hour(&self) -> bool {
        self.step() > 0 && HOUR % self.step() == 0
    }

    /// Whether this is `old` with more prices behind its end.
    #[must_use]
    pub fn extends(&self, old: &PriceSeries) -> bool {
        (self.start, self.step_minutes) == (old.start, old.step_minutes)
            && self.prices.len() > old.prices.len()
            && self.prices.starts_with(&old.prices)
    }
}
