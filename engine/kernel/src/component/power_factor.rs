//! The power factor of a month and what it adds or takes off, by a table.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::component::share::Rate;
use crate::money::Quantity;

/// An adjustment by the month's power factor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PowerFactor {
    /// The components that the percentage is of.
    pub of: Vec<String>,
    /// The factor is rounded half-up to a multiple of this, in 1/1000; 10 for two places.
    pub step_milli: u16,
    /// The percentages, from the best factor down; the last reaches zero.
    pub steps: Vec<PowerFactorStep>,
}

/// A percentage from a factor upwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PowerFactorStep {
    /// From this factor on, in 1/1000.
    pub at_least_milli: u16,
    /// The percentage; below zero it is taken off.
    pub rate: Rate,
}

impl PowerFactor {
    /// Whether the table gives each factor exactly one percentage.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let descends = self.steps.windows(2).all(|pair| pair[0].at_least_milli > pair[1].at_least_milli);
        let reaches_zero = self.steps.last().is_some_and(|last| last.at_least_milli == 0);
        descends && reaches_zero && (1..=100).contains(&self.step_milli)
    }

    /// The percentage of a factor.
    #[must_use]
    pub fn rate(&self, factor_milli: u16) -> Rate {
        let step = self.steps.iter().find(|step| step.at_least_milli <= factor_milli);
        step.map_or(Rate(0), |step| step.rate)
    }
}

/// `active / sqrt(active^2 + reactive^2)` in 1/1000, rounded half-up to a multiple of `step_milli` (1 to 100), exactly:
/// no root is taken. The sign of reactive energy does not matter. `None` where there was no active energy, or where
/// either is beyond 10^15.
#[must_use]
pub fn factor_milli(active: Quantity, reactive: Quantity, step_milli: u16) -> Option<u16> {
    let limit = super::facts::ENERGY_LIMIT;
    if active.0 <= 0 || active.0.unsigned_abs() > limit || reactive.0.unsigned_abs() > limit || step_milli == 0 {
        return None;
    }
    let square = |value: u64| u128::from(value) * u128::from(value);
    let (active, apparent) =
        (square(active.0.unsigned_abs()), square(active.0.unsigned_abs()) + square(reactive.0.unsigned_abs()));
    // The factor is at least (k - 1/2) steps when ((2k - 1) x step)^2 x apparent <= (2 x 1000)^2 x active; all fit 128 bits.
    let reaches = |steps: u16| {
        let half = (u128::from(steps) * 2 - 1) * u128::from(step_milli);
        half * half * apparent <= 4_000_000 * active
    };
    let steps = (1..=1_000 / step_milli).rev().find(|steps| reaches(*steps)).unwrap_or(0);
    Some(steps * step_milli)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn the_factor_is_rounded_half_up_without_a_root() {
        for (active, reactive, step, expected) in [
            (3_000, 4_000, 1, Some(600)),
            (3_000, -4_000, 10, Some(600)),
            (1_000, 0, 10, Some(1_000)),
            // 0.894427: two places and three.
            (2_000, 1_000, 10, Some(890)),
            (2_000, 1_000, 1, Some(894)),
            // Around 0.895, which no triangle of integers has.
            (895_000_000_000, 446_066_138_593, 10, Some(900)),
            (895_000_000_000, 446_066_138_594, 10, Some(890)),
            // 0.28 / 1: 7-24-25 in steps of 0.08 is 3.5 steps, half-up 4.
            (7, 24, 80, Some(320)),
            (1, 1_000_000_000_000_000, 1, Some(0)),
            (1_000_000_000_000_000, 1_000_000_000_000_000, 1, Some(707)),
            (1_000_000_000_000_000, -1_000_000_000_000_000, 100, Some(700)),
            (0, 5, 1, None),
            (-5, 5, 1, None),
            (1_000_000_000_000_001, 5, 1, None),
            (5, 1_000_000_000_000_001, 1, None),
            (i64::MAX, i64::MIN, 1, None),
            (5, 5, 0, None),
        ] {
            assert_eq!(
                factor_milli(Quantity(active), Quantity(reactive), step),
                expected,
                "{active} {reactive} {step}"
            );
        }
    }

    #[test]
    fn each_factor_has_exactly_one_percentage() {
        let step = |at_least_milli, rate| PowerFactorStep { at_least_milli, rate: Rate(rate) };
        let table = |steps| PowerFactor { of: vec!["energy".into()], step_milli: 10, steps };
        let sound = table(vec![step(900, -3_000), step(850, 0), step(0, 50_000)]);
        assert!(sound.is_sound());
        for (factor, rate) in [(1_000, -3_000), (900, -3_000), (899, 0), (850, 0), (849, 50_000), (0, 50_000)] {
            assert_eq!(sound.rate(factor), Rate(rate), "{factor}");
        }
        assert!(!table(vec![]).is_sound());
        assert!(!table(vec![step(900, 0), step(10, 0)]).is_sound());
        assert!(!table(vec![step(900, 0), step(900, 0), step(0, 0)]).is_sound());
        assert!(!PowerFactor { step_milli: 0, ..sound.clone() }.is_sound());
        assert!(PowerFactor { step_milli: 100, ..sound.clone() }.is_sound());
        assert!(!PowerFactor { step_milli: 101, ..sound }.is_sound());
    }
}
