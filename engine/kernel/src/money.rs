//! Quantities, prices and amounts: exact integers, three types (domain.md, 4).
//!
//! quantity (1/1000 unit) x price (1/1,000,000 currency per unit) = amount (1/1,000,000,000 currency).
//! An amount has 128 bits: the largest quantity times the largest price (2^126) fits, and so do the sums of
//! all that one book can hold.
//!
//! Bounds: `+`, `-` and [`Sum`] panic where a result leaves 64 (quantity) or 128 bits (amount); they never wrap.
//! A quantity from a register or a usage row is at most 10^15 (`judge::USAGE_LIMIT`, and any P_max that a meter has), so
//! that nine thousand of the largest can be added; an amount below 10^37 can be rounded.

use core::fmt;
use core::iter::Sum;
use core::ops::{Add, AddAssign, Mul, Neg, Sub, SubAssign};

use serde::{Deserialize, Serialize};

/// Energy or volume, in 1/1000 of the billing unit (Wh, litres). Negative for corrections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Quantity(pub i64);

/// Currency per billing unit, in 1/1,000,000. Negative where a dynamic price says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Price(pub i64);

/// Currency, in 1/1,000,000,000 (nanos).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Amount(pub i128);

/// How a statement line loses the digits that money does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rounding {
    /// 0.005 becomes 0.01, -0.005 becomes -0.01.
    HalfUp,
    /// 0.005 becomes 0.00, 0.015 becomes 0.02.
    HalfEven,
}

macro_rules! additive {
    ($name:ident) => {
        impl $name {
            /// Nothing.
            pub const ZERO: $name = $name(0);
        }
        impl Add for $name {
            type Output = $name;
            fn add(self, other: $name) -> $name {
                $name(self.0.checked_add(other.0).expect("a sum left its stated bounds"))
            }
        }
        impl Sub for $name {
            type Output = $name;
            fn sub(self, other: $name) -> $name {
                $name(self.0.checked_sub(other.0).expect("a difference left its stated bounds"))
            }
        }
        impl Neg for $name {
            type Output = $name;
            fn neg(self) -> $name {
                $name::ZERO - self
            }
        }
        impl AddAssign for $name {
            fn add_assign(&mut self, other: $name) {
                *self = *self + other;
            }
        }
        impl SubAssign for $name {
            fn sub_assign(&mut self, other: $name) {
                *self = *self - other;
            }
        }
        impl Sum for $name {
            fn sum<I: Iterator<Item = $name>>(items: I) -> $name {
                items.fold($name::ZERO, Add::add)
            }
        }
    };
}
additive!(Quantity);
additive!(Amount);

impl Mul<Price> for Quantity {
    type Output = Amount;
    fn mul(self, price: Price) -> Amount {
        Amount(i128::from(self.0) * i128::from(price.0))
    }
}

impl Amount {
    /// Rounded to `digits` (0 to 9) places after the point.
    #[must_use]
    pub fn round(self, digits: u32, rounding: Rounding) -> Amount {
        let step = 10_i128.pow(9_u32.saturating_sub(digits));
        let whole = self.0.div_euclid(step);
        let rest = self.0.rem_euclid(step);
        let up = match (rest * 2).cmp(&step) {
            core::cmp::Ordering::Less => false,
            core::cmp::Ordering::Greater => true,
            // `whole` is the lower neighbour, so that away from zero is up only above zero.
            core::cmp::Ordering::Equal => match rounding {
                Rounding::HalfUp => self.0 > 0,
                Rounding::HalfEven => whole % 2 != 0,
            },
        };
        Amount((whole + i128::from(up)) * step)
    }

    /// The amount of a decimal text such as `100`, `-3.5` or `0.000000001`; `None` when it is anything else or has
    /// more than 9 places after the point.
    #[must_use]
    pub fn parse(text: &str) -> Option<Amount> {
        decimal(text, 9).map(Amount)
    }
}

impl Price {
    /// The price of a decimal text with at most 6 places after the point.
    #[must_use]
    pub fn parse(text: &str) -> Option<Price> {
        i64::try_from(decimal(text, 6)?).ok().map(Price)
    }
}

impl Quantity {
    /// The quantity of a decimal text with at most 3 places after the point.
    #[must_use]
    pub fn parse(text: &str) -> Option<Quantity> {
        i64::try_from(decimal(text, 3)?).ok().map(Quantity)
    }
}

/// An optional sign, digits, and optionally a point with 1 to `places` digits, as an integer of 10^-places.
fn decimal(text: &str, places: usize) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) || fraction.len() > places || whole.len() > 28 {
        return None;
    }
    let mut value: i128 = whole.parse().ok()?;
    for place in 0..places {
        let digit = fraction.as_bytes().get(place).map_or(0, |byte| byte - b'0');
        value = value.checked_mul(10)?.checked_add(i128::from(digit))?;
    }
    Some(if negative { -value } else { value })
}

fn write_decimal(f: &mut fmt::Formatter<'_>, value: i128, places: usize) -> fmt::Result {
    let scale = 10_u128.pow(u32::try_from(places).unwrap_or(0));
    let magnitude = value.unsigned_abs();
    let sign = if value < 0 { "-" } else { "" };
    let shown = f.precision().unwrap_or(places).min(places);
    let cut = 10_u128.pow(u32::try_from(places - shown).unwrap_or(0));
    if shown == 0 {
        return write!(f, "{sign}{}", magnitude / scale);
    }
    write!(f, "{sign}{}.{:0shown$}", magnitude / scale, magnitude % scale / cut)
}

/// All nine places; `{:.2}` cuts the others off, so round first.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_decimal(f, self.0, 9)
    }
}

/// All three places; `{:.2}` cuts the others off.
impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_decimal(f, i128::from(self.0), 3)
    }
}

/// All six places.
impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_decimal(f, i128::from(self.0), 6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn amounts_round_once_as_the_rule_says() {
        use Rounding::{HalfEven, HalfUp};
        for (text, rounding, expected) in [
            ("0.005", HalfUp, "0.01"),
            ("-0.005", HalfUp, "-0.01"),
            ("0.005", HalfEven, "0.00"),
            ("0.015", HalfEven, "0.02"),
            ("-0.015", HalfEven, "-0.02"),
            ("2.004999999", HalfUp, "2.00"),
            ("-2.005000001", HalfEven, "-2.01"),
            ("7.75", HalfUp, "7.75"),
        ] {
            let rounded = Amount::parse(text).unwrap().round(2, rounding);
            assert_eq!(alloc::format!("{rounded:.2}"), expected, "{text} {rounding:?}");
        }
    }

    #[test]
    fn a_decimal_text_is_read_exactly_or_refused() {
        for text in ["", "-", ".5", "5.", "1e3", "1,5", "+1", "1.0000000001", " 1", "٣"] {
            assert_eq!(Amount::parse(text), None, "{text:?}");
        }
        assert_eq!(Amount::parse("-3.5").unwrap().to_string(), "-3.500000000");
        assert_eq!((Amount(0).to_string().as_str(), Quantity(-1).to_string().as_str()), ("0.000000000", "-0.001"));
        assert_eq!(
            alloc::format!("{:.0} {:.1}", Amount::parse("-12.99").unwrap(), Amount::parse("0.99").unwrap()),
            "-12 0.9"
        );
        // As many digits as are read at all: 28 before the point.
        let digits = "9999999999999999999999999999";
        assert_eq!(Amount::parse(digits), Some(Amount((10_i128.pow(28) - 1) * 1_000_000_000)));
        assert_eq!(Amount::parse(&alloc::format!("0{digits}")), None);
        assert_eq!(Price::parse("0.735686"), Some(Price(735_686)));
        assert_eq!(Quantity::parse("0.0005"), None);
    }

    #[test]
    fn the_largest_quantity_times_the_largest_price_fits() {
        assert_eq!(Quantity(i64::MAX) * Price(i64::MAX), Amount(i128::from(i64::MAX) * i128::from(i64::MAX)));
        assert_eq!((Quantity(1_500) * Price(500_000)).to_string(), "0.750000000");
    }
}
