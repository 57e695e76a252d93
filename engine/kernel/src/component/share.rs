//! Percentages of amounts and quantities, exact to the last stated digit.
//!
//! Bounds: a rate of up to 1,000 % (10^7) of an amount below 10^37, or of any quantity, never overflows; beyond, it panics
//! and never wraps.

use serde::{Deserialize, Serialize};

use crate::money::{Amount, Price, Quantity};

/// A share of something, in 1/1,000,000: 13 % is 130,000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Rate(pub i64);

impl Rate {
    /// All of it.
    pub const ONE: Rate = Rate(1_000_000);

    /// The rate of a decimal text with at most 6 places after the point; 13 % is `0.13`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Rate> {
        Price::parse(text).map(|price| Rate(price.0))
    }

    /// `base x rate`, rounded to the nearest 1e-9, halves away from zero.
    #[must_use]
    pub fn of(self, base: Amount) -> Amount {
        part(base, self.0, Rate::ONE.0)
    }

    /// What of `base` this rate is, where `base` holds it already: `base x rate / (1 + rate)`, rounded to the nearest
    /// 1e-9, halves away from zero. The rate must not be below zero.
    #[must_use]
    pub fn within(self, base: Amount) -> Amount {
        part(base, self.0, Rate::ONE.0.saturating_add(self.0))
    }

    /// `quantity x rate`, rounded down; saturates where 64 bits end.
    #[must_use]
    pub fn of_quantity(self, quantity: Quantity) -> Quantity {
        let exact = (i128::from(quantity.0) * i128::from(self.0)).div_euclid(i128::from(Rate::ONE.0));
        Quantity(i64::try_from(exact).unwrap_or(if exact < 0 { i64::MIN } else { i64::MAX }))
    }
}

/// `base x rate / whole`. Divided before it is multiplied, so that only the result must fit.
fn part(base: Amount, rate: i64, whole: i64) -> Amount {
    let (magnitude, times, whole) =
        (base.0.unsigned_abs(), u128::from(rate.unsigned_abs()), u128::from(whole.unsigned_abs()));
    let rest = (magnitude % whole * times * 2 + whole) / (whole * 2);
    let exact = (magnitude / whole).checked_mul(times).and_then(|most| most.checked_add(rest));
    let part = exact.and_then(|exact| i128::try_from(exact).ok()).expect("a share left its stated bounds");
    Amount(if (base.0 < 0) == (rate < 0) { part } else { -part })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_rounded_once_to_the_nearest_nano_halves_away_from_zero() {
        for (base, rate, added, shown) in [
            (100_000_000_000, 130_000, 13_000_000_000, 11_504_424_779),
            (113_000_000_000, 130_000, 14_690_000_000, 13_000_000_000),
            // 0.5 nano: away from zero, on both sides.
            (5, 100_000, 1, 0),
            (-5, 100_000, -1, 0),
            (4, 100_000, 0, 0),
            (3, 500_000, 2, 1),
            (-3, 500_000, -2, -1),
            (3, 1_000_000, 3, 2),
            (0, 60_000, 0, 0),
            (7, 0, 0, 0),
        ] {
            assert_eq!((Rate(rate).of(Amount(base)), Rate(rate).within(Amount(base))), (Amount(added), Amount(shown)));
        }
        assert_eq!(Rate(-250_000).of(Amount(8)), Amount(-2));
        assert_eq!(Rate(-250_000).of(Amount(-8)), Amount(2));
    }

    #[test]
    fn a_rate_is_read_as_a_decimal_with_six_places() {
        assert_eq!(Rate::parse("0.13"), Some(Rate(130_000)));
        assert_eq!(Rate::parse("-0.0075"), Some(Rate(-7_500)));
        assert_eq!(Rate::parse("0.0000001"), None);
    }

    #[test]
    fn a_share_of_a_quantity_is_rounded_down() {
        for (quantity, rate, expected) in [
            (1_000, 900_000, 900),
            (1, 900_000, 0),
            (-1, 900_000, -1),
            (i64::MAX, 10_000_000, i64::MAX),
            (i64::MIN, 10_000_000, i64::MIN),
        ] {
            assert_eq!(Rate(rate).of_quantity(Quantity(quantity)), Quantity(expected), "{quantity} x {rate}");
        }
    }

    #[test]
    fn the_largest_rate_of_the_largest_amount_fits() {
        let most = Amount(10_i128.pow(37) - 1);
        for base in [most, -most] {
            assert_eq!(Rate(10_000_000).of(base), Amount(base.0 * 10));
            assert_eq!(Rate(10_000_000).within(Amount(base.0 / 11 * 11)), Amount(base.0 / 11 * 10));
        }
    }

    #[test]
    #[should_panic(expected = "left its stated bounds")]
    fn beyond_the_bounds_a_share_panics_and_never_wraps() {
        let _ = Rate(10_000_000).of(Amount(i128::MAX));
    }
}
