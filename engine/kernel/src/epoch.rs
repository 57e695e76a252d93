//! Installations: a meter at a service point with its multiplier and modulus, and what one count is worth.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::id::{EpochId, MeterId, ServicePointId, Utility};
use crate::money::Quantity;
use crate::time::{HOUR, Moment};

/// What the rest of the system must know of a meter's profile (register map).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileFacts {
    /// The profile's name, such as `acrel-adf400l`.
    pub name: String,
    /// What the meter measures.
    pub utility: Utility,
    /// One count is this many 1/1000 units ...
    pub resolution_numerator: i64,
    /// ... divided by this. 0.01 kWh a count is 10 / 1.
    pub resolution_denominator: i64,
    /// The register shows 0 again after this many counts; none for a register that never wraps in practice.
    pub modulus: Option<i64>,
    /// A decrease of up to this many counts is jitter.
    pub jitter_counts: i64,
    /// The most that can flow, in 1/1000 unit per hour, where the site file says nothing else.
    pub max_rate: i64,
    /// The register is already primary: the device applied CT and PT itself.
    pub primary: bool,
    /// The device has a relay or valve that can be written and read back.
    pub has_relay: bool,
    /// The register counts down what flows back.
    #[serde(default)]
    pub signed: bool,
}

/// One installation (epoch). A difference never crosses an epoch.
///
/// Bounds: `numerator`, `denominator` and `modulus` are above zero, `jitter_counts` and `max_rate` are not below it.
/// Within them no count and no moment makes the arithmetic panic: what does not fit 64 bits saturates, and no such
/// difference is plausible under a `max_rate` that a meter can have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epoch {
    /// Its identifier in the book.
    pub id: EpochId,
    /// The device.
    pub meter: MeterId,
    /// Where it is installed.
    pub service_point: ServicePointId,
    /// One count is `numerator / denominator` 1/1000 units, CT x PT (or pulse weight) included.
    pub numerator: i64,
    /// See `numerator`.
    pub denominator: i64,
    /// Counts at which the register wraps to 0.
    pub modulus: Option<i64>,
    /// The count at which the epoch begins, where the opening read is known.
    pub opening_count: Option<i64>,
    /// The count at which the epoch ended, where the closing read is known.
    pub closing_count: Option<i64>,
    /// Decreases of up to this many counts are jitter.
    pub jitter_counts: i64,
    /// P_max in 1/1000 unit per hour, multiplier included.
    pub max_rate: i64,
    /// A net register: it counts down what flows back, and so it has neither jitter nor a modulus.
    #[serde(default)]
    pub signed: bool,
    /// It measures m3 of gas that are billed as energy: what its readings come to is converted by the service point's
    /// factors ([`crate::conversion`]). Counts, multiplier and P_max are of the volume.
    #[serde(default)]
    pub converts: bool,
    /// Valid from here ...
    pub valid_from: Moment,
    /// ... to here, exclusive; a reading at this very moment still closes the epoch.
    pub valid_to: Option<Moment>,
}

impl Epoch {
    /// `Q(c) = floor((c - epoch start) x numerator / denominator)`: the quantity that a count stands for, such that no
    /// batching of readings changes a sum (domain.md, 2). Saturates where 64 bits end.
    #[must_use]
    pub fn quantity_at(&self, count: i64) -> Quantity {
        // 64 bits hold what a meter shows; a division of 128 bits takes longer than all the rest of a reading.
        let narrow =
            count.checked_sub(self.opening_count.unwrap_or(0)).and_then(|from| from.checked_mul(self.numerator));
        if let Some(scaled) = narrow {
            return Quantity(if self.denominator == 1 { scaled } else { scaled.div_euclid(self.denominator) });
        }
        let from_start = i128::from(count) - i128::from(self.opening_count.unwrap_or(0));
        let scaled = from_start.saturating_mul(i128::from(self.numerator));
        let milli = scaled.div_euclid(i128::from(self.denominator));
        Quantity(i64::try_from(milli).unwrap_or(if milli < 0 { i64::MIN } else { i64::MAX }))
    }

    /// What the register shows at a count without the wraps taken off.
    #[must_use]
    pub fn raw(&self, count: i64) -> i64 {
        match self.modulus {
            Some(modulus) if !(0..modulus).contains(&count) => count.rem_euclid(modulus),
            _ => count,
        }
    }

    /// Whether so many counts can pass in `micros`: at most P_max x dt x 1.2, and one count for the register's own step.
    #[must_use]
    pub fn can_pass(&self, counts: i64, micros: i64) -> bool {
        let micros = micros.max(0);
        // Counts x numerator / denominator <= P_max x 1.2 x hours, without a division: 3,600 s / 1.2 = 3,000 s.
        let narrow = || {
            let passed = counts.checked_sub(1)?.checked_mul(HOUR / 12 * 10)?.checked_mul(self.numerator)?;
            let most = self.max_rate.checked_mul(micros)?.checked_mul(self.denominator)?;
            Some(passed <= most)
        };
        narrow().unwrap_or_else(|| {
            let passed = i128::from(counts).saturating_sub(1).saturating_mul(i128::from(HOUR / 12 * 10));
            let most = (i128::from(self.max_rate) * i128::from(micros)).saturating_mul(i128::from(self.denominator));
            passed.saturating_mul(i128::from(self.numerator)) <= most
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(numerator: i64, denominator: i64, opening: Option<i64>) -> Epoch {
        Epoch {
            id: EpochId(1),
            meter: MeterId(1),
            service_point: ServicePointId(1),
            numerator,
            denominator,
            modulus: Some(1_000),
            signed: false,
            converts: false,
            opening_count: opening,
            closing_count: None,
            jitter_counts: 2,
            max_rate: 3_000,
            valid_from: Moment(0),
            valid_to: None,
        }
    }

    #[test]
    fn a_count_is_worth_the_same_where_64_bits_do_not_hold_the_product() {
        let wide = 10_000_000_000;
        for (numerator, denominator, opening, count, expected) in [
            (wide, 1_000_000_000, None, 4_000_000_000, 40_000_000_000),
            (wide, 1_000_000_000, Some(5), 4_000_000_000, 39_999_999_950),
            (wide, 1_000_000_000, Some(4_000_000_000), 5, -39_999_999_950),
            // Rounded down, also below zero.
            (wide, 3_000_000_000, Some(0), 1_000_000_001, 3_333_333_336),
            (wide, 3_000_000_000, Some(0), -1_000_000_001, -3_333_333_337),
            (wide, 1, None, i64::MAX, i64::MAX),
            (wide, 1, None, i64::MIN, i64::MIN),
            (1, 1, Some(i64::MIN), i64::MAX, i64::MAX),
            (1, 2, Some(i64::MIN), i64::MAX, i64::MAX),
            (1, 4, Some(i64::MIN), i64::MAX, i64::MAX / 2),
        ] {
            let found = epoch(numerator, denominator, opening).quantity_at(count);
            assert_eq!(found, Quantity(expected), "({count} - {opening:?}) x {numerator} / {denominator}");
        }
    }

    #[test]
    fn what_the_register_shows_is_the_count_without_its_wraps() {
        let epoch = epoch(1, 1, None);
        for (count, shown) in [(0, 0), (999, 999), (1_000, 0), (1_001, 1), (-1, 999), (123_456, 456)] {
            assert_eq!(epoch.raw(count), shown, "{count}");
        }
        assert_eq!(Epoch { modulus: None, ..epoch }.raw(123_456), 123_456);
    }

    /// One count more than what flows at P_max x 1.2, and not two; time that runs backward lets one count pass.
    #[test]
    fn no_more_can_pass_than_the_meter_lets_through() {
        let epoch = epoch(10, 1, None);
        for (micros, most) in [(HOUR, 361), (HOUR / 2, 181), (0, 1), (-HOUR, 1)] {
            assert!(epoch.can_pass(most, micros) && !epoch.can_pass(most + 1, micros), "{micros}");
        }
        // A year, where 64 bits do not hold the products.
        let wide = Epoch { numerator: 10_000_000, denominator: 1_000_000, max_rate: 3_000_000, ..epoch };
        assert!(wide.can_pass(360_001 * 8_760 - 8_759, 8_760 * HOUR));
        assert!(!wide.can_pass(360_001 * 8_760 - 8_758, 8_760 * HOUR));
    }
}
