//! From a file's numbers to the log's integers: one exact multiplication by a fraction, rounded half-even once.
//!
//! The half is decided on the exact value of the input: a float is the binary fraction that it is, a decimal text is the
//! decimal fraction that it says.

/// Decimal digits that are kept of a text; later ones only break ties.
const DIGITS_MAX: usize = 30;

/// A decimal fraction: mantissa x 10^exponent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    /// The digits.
    pub(super) mantissa: i128,
    /// The power of ten.
    pub(super) exponent: i32,
}

/// How many log units one file unit is: a reduced fraction above zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    numerator: i64,
    denominator: i64,
    /// Their quotient, right to 53 bits.
    approximate: f64,
}

impl Scale {
    /// `numerator / denominator`, both above zero; `None` where the reduced fraction does not fit.
    #[expect(clippy::cast_precision_loss, reason = "the approximation is only used where its error cannot decide")]
    pub(super) fn new(numerator: i128, denominator: i128) -> Option<Scale> {
        if numerator <= 0 || denominator <= 0 {
            return None;
        }
        let divisor = greatest_common_divisor(numerator, denominator);
        let numerator = i64::try_from(numerator / divisor).ok()?;
        let denominator = i64::try_from(denominator / divisor).ok()?;
        Some(Scale { numerator, denominator, approximate: numerator as f64 / denominator as f64 })
    }

    /// The integer nearest to `value` x scale, ties to even; `None` when it is not finite or leaves 64 bits.
    pub(super) fn float(self, value: f64) -> Option<i64> {
        // Below 2^40 the product is off by less than 2^-11, so that only a fraction close to a half needs more care.
        let product = value * self.approximate;
        if product.abs() < 1_099_511_627_776.0 {
            let floor = product.floor();
            let from_half = product - floor - 0.5;
            if from_half.abs() > 0.001 {
                #[expect(clippy::cast_possible_truncation, reason = "an integer below 2^40 in size")]
                let whole = floor as i64;
                return Some(whole + i64::from(from_half > 0.0));
            }
        }
        self.float_exact(value)
    }

    fn float_exact(self, value: f64) -> Option<i64> {
        if !value.is_finite() {
            return None;
        }
        let bits = value.to_bits();
        let fraction = i128::from(bits & ((1 << 52) - 1));
        let field = i32::try_from((bits >> 52) & 0x7ff).ok()?;
        // A subnormal has no hidden bit and the exponent of the smallest normal.
        let (mantissa, exponent) = if field == 0 { (fraction, -1074) } else { (fraction | 1 << 52, field - 1075) };
        let numerator = (if value < 0.0 { -mantissa } else { mantissa }) * i128::from(self.numerator);
        if numerator == 0 {
            return Some(0);
        }
        if exponent >= 0 {
            let power = u32::try_from(exponent).ok().filter(|power| *power < 126)?;
            return divide_half_even(numerator.checked_mul(1 << power)?, i128::from(self.denominator));
        }
        let power = exponent.unsigned_abs();
        let denominator = if power < 126 { i128::from(self.denominator).checked_mul(1 << power) } else { None };
        // The numerator is below 2^116; a denominator beyond 2^126 makes it less than a half.
        denominator.map_or(Some(0), |denominator| divide_half_even(numerator, denominator))
    }

    /// The integer nearest to `value` x scale, ties to even; `None` when it leaves 64 bits.
    pub(super) fn decimal(self, value: Decimal) -> Option<i64> {
        let ten = |power: i32| 10_i128.checked_pow(power.unsigned_abs());
        let numerator = value.mantissa.checked_mul(i128::from(self.numerator))?;
        let denominator = i128::from(self.denominator);
        if numerator == 0 {
            return Some(0);
        }
        if value.exponent >= 0 {
            return divide_half_even(numerator.checked_mul(ten(value.exponent)?)?, denominator);
        }
        match ten(value.exponent).and_then(|power| denominator.checked_mul(power)) {
            Some(denominator) => divide_half_even(numerator, denominator),
            // Digits far behind the point: take the mantissa's own tail away first, as a tie-breaker.
            None => self.decimal(shortened(value)?),
        }
    }
}

/// The same value with fewer digits, its last one odd where something was cut off. `None` when nothing is left to cut.
fn shortened(value: Decimal) -> Option<Decimal> {
    if value.mantissa == 0 {
        return None;
    }
    let mut mantissa = value.mantissa / 10;
    if value.mantissa % 10 != 0 && mantissa % 2 == 0 {
        mantissa += value.mantissa.signum();
    }
    Some(Decimal { mantissa, exponent: value.exponent + 1 })
}

/// `numerator / denominator` (above zero) to the nearest integer, ties to even.
fn divide_half_even(numerator: i128, denominator: i128) -> Option<i64> {
    if let (Ok(numerator), Ok(denominator)) = (i64::try_from(numerator), i64::try_from(denominator)) {
        let (whole, rest) = (numerator.div_euclid(denominator), numerator.rem_euclid(denominator));
        return whole.checked_add(i64::from(rounds_up(rest, denominator - rest, whole)));
    }
    let (whole, rest) = (numerator.div_euclid(denominator), numerator.rem_euclid(denominator));
    i64::try_from(whole + i128::from(rounds_up(rest, denominator - rest, i64::from(whole % 2 != 0)))).ok()
}

fn rounds_up<T: Ord>(below: T, above: T, whole: i64) -> bool {
    below > above || (below == above && whole % 2 != 0)
}

fn greatest_common_divisor(mut a: i128, mut b: i128) -> i128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// The number that a text says: digits with an optional sign, point and exponent; `None` when it is anything else.
pub(super) fn parse_decimal(text: &str) -> Option<Decimal> {
    let bytes = text.as_bytes();
    let (negative, digits) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, bytes),
    };
    let (mut mantissa, mut exponent, mut kept, mut seen) = (0_i128, 0_i32, 0_usize, 0_usize);
    let (mut point, mut tail) = (false, false);
    let mut rest = digits;
    while let [byte, after @ ..] = rest {
        match byte {
            b'0'..=b'9' => {
                seen += 1;
                if kept < DIGITS_MAX {
                    mantissa = mantissa * 10 + i128::from(byte - b'0');
                    kept += usize::from(mantissa != 0);
                    exponent -= i32::from(point);
                } else {
                    tail |= *byte != b'0';
                    exponent += i32::from(!point);
                }
            }
            b'.' if !point => point = true,
            b'e' | b'E' if seen > 0 => {
                exponent = exponent.checked_add(parse_exponent(after)?)?;
                break;
            }
            _ => return None,
        }
        // A number longer than a line of a bill is no number.
        if seen > 400 {
            return None;
        }
        rest = after;
    }
    if seen == 0 {
        return None;
    }
    if tail {
        (mantissa, exponent) = (mantissa * 10 + 1, exponent - 1);
    }
    Some(Decimal { mantissa: if negative { -mantissa } else { mantissa }, exponent })
}

fn parse_exponent(bytes: &[u8]) -> Option<i32> {
    let text = std::str::from_utf8(bytes).ok()?;
    text.parse().ok().filter(|exponent: &i32| exponent.abs() <= 400)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(numerator: i128, denominator: i128) -> Scale {
        Scale::new(numerator, denominator).unwrap()
    }

    #[test]
    fn decimal_texts_become_thousandths_half_even() {
        let cases = [
            ("0.1", Some(100)),
            ("12", Some(12_000)),
            ("-3.5", Some(-3_500)),
            ("+.5", Some(500)),
            ("7.", Some(7_000)),
            ("0.0005", Some(0)),
            ("0.0015", Some(2)),
            ("0.0025", Some(2)),
            ("0.0025000000000000000000000000000000000000001", Some(3)),
            ("-0.0005", Some(0)),
            ("-0.0015", Some(-2)),
            ("-0.0025", Some(-2)),
            ("0.00049999999999999999999", Some(0)),
            ("0.30000000000000004", Some(300)),
            ("1e3", Some(1_000_000)),
            ("1.5E-3", Some(2)),
            ("1e-300", Some(0)),
            ("000000000000000000000000000000000000000000001.5", Some(1_500)),
            ("9223372036854775.807", Some(i64::MAX)),
            ("9223372036854775.808", None),
            ("1e30", None),
            ("1e300", None),
            ("123456789012345678901234567890123456789012345678901234567890", None),
        ];
        for (text, expected) in cases {
            let got = scale(1_000, 1).decimal(parse_decimal(text).expect(text));
            assert_eq!(got, expected, "{text}");
        }
    }

    #[test]
    fn texts_that_are_no_numbers_are_told_apart() {
        for text in ["", "-", ".", "1,5", "1 000", "0x10", "1.2.3", "e5", "1e", "1e5000", "12kWh", "١", "--1", "1e+-3"]
        {
            assert_eq!(parse_decimal(text), None, "{text:?}");
        }
    }

    #[test]
    fn floats_are_rounded_by_their_exact_value() {
        let cases = [
            (0.1, Some(100)),
            (-0.1, Some(-100)),
            (1_234.567, Some(1_234_567)),
            // 0.0005 as a double lies above the half, 0.0015 too; 0.0625 and 0.0635... are exact.
            (0.0005, Some(1)),
            (0.0625, Some(62)),
            (0.1875, Some(188)),
            (-0.0625, Some(-62)),
            (0.5, Some(500)),
            (0.0, Some(0)),
            (-0.0, Some(0)),
            (f64::MIN_POSITIVE, Some(0)),
            (5e-324, Some(0)),
            (9_007_199_254_740_993.0, Some(9_007_199_254_740_992_000)),
            (1e16, None),
            (1e300, None),
            (f64::INFINITY, None),
            (f64::NAN, None),
        ];
        for (value, expected) in cases {
            assert_eq!(scale(1_000, 1).float(value), expected, "{value}");
        }
        assert_eq!(scale(125, 1).float(0.5), Some(62));
        assert_eq!(scale(1, 1).float(2.5), Some(2));
        assert_eq!(scale(1, 1).float(3.5), Some(4));
        assert_eq!(scale(2_500_000, 9).float(0.0036), Some(1_000));
    }

    #[test]
    fn the_fast_road_and_the_exact_one_agree() {
        // A linear congruential generator with a fixed seed; the same numbers in every run.
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let scales =
            [scale(1_000, 1), scale(1, 1), scale(2_500_000, 9), scale(28_316_846_592, 10_000_000), scale(1, 40)];
        for _ in 0..100_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let magnitude = 2_f64.powi(i32::try_from(state >> 58).unwrap() - 30);
            let value = f64::from(u32::try_from(state >> 32).unwrap()) / 65_536.0 / 65_536.0 * magnitude;
            for scale in scales {
                assert_eq!(scale.float(value), scale.float_exact(value), "{value:e} {scale:?}");
                assert_eq!(scale.float(-value), scale.float_exact(value).map(|whole| -whole), "-{value:e} {scale:?}");
            }
        }
    }

    #[test]
    fn a_scale_is_a_positive_fraction_of_64_bits() {
        assert_eq!(Scale::new(0, 1), None);
        assert_eq!(Scale::new(1, 0), None);
        assert_eq!(Scale::new(1 << 100, 3), None);
        assert_eq!(Scale::new(1 << 100, 1 << 99), Scale::new(2, 1));
    }
}
