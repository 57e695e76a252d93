//! Decimal fractions as texts write them, every digit kept that can matter.

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

    #[test]
    fn texts_that_are_no_numbers_are_told_apart() {
        for text in ["", "-", ".", "1,5", "1 000", "0x10", "1.2.3", "e5", "1e", "1e5000", "12kWh", "١", "--1", "1e+-3"]
        {
            assert_eq!(parse_decimal(text), None, "{text:?}");
        }
    }
}
