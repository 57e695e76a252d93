//! One value as text: exact, and rounded for people.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, TimeUnit, TimestampMicrosecondType};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use kernel::time::{LocalDate, Moment};

/// The exact text of a value: decimals at full scale, dates as `2026-10-31`, times as `2026-10-31T12:00:00Z`; `None` for
/// null.
pub(crate) fn text(array: &ArrayRef, row: usize) -> Option<String> {
    if array.is_null(row) {
        return None;
    }
    match array.data_type() {
        DataType::Decimal128(..) => Some(array.as_primitive::<Decimal128Type>().value_as_string(row)),
        DataType::Date32 => Some(LocalDate(array.as_primitive::<Date32Type>().value(row)).to_string()),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            Some(Moment(array.as_primitive::<TimestampMicrosecondType>().value(row)).to_string())
        }
        _ => {
            let formatter = ArrayFormatter::try_new(array.as_ref(), &FormatOptions::default()).ok()?;
            Some(formatter.value(row).to_string())
        }
    }
}

/// A decimal's unscaled value and its scale, of a decimal or an integer text such as `-12.340`.
pub(crate) fn unscaled(text: &str) -> Option<(i128, usize)> {
    let scale = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let digits: String = text.chars().filter(|c| *c != '.').collect();
    Some((digits.parse().ok()?, scale))
}

/// A decimal text rounded half up (away from zero) to `places`, digits grouped by thousands.
pub(crate) fn rounded(text: &str, places: usize) -> String {
    let Some((value, scale)) = unscaled(text) else { return text.to_owned() };
    group(value, scale, places)
}

/// An unscaled value rounded half up to `places`, grouped.
pub(crate) fn group(value: i128, scale: usize, places: usize) -> String {
    let power = |exponent: usize| 10_u128.pow(u32::try_from(exponent).unwrap_or(0));
    let magnitude = value.unsigned_abs();
    let magnitude = if scale > places {
        let step = power(scale - places);
        magnitude / step + u128::from(magnitude % step * 2 >= step)
    } else {
        magnitude * power(places - scale)
    };
    let whole = (magnitude / power(places)).to_string();
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let sign = if value < 0 && magnitude > 0 { "-" } else { "" };
    if places == 0 {
        return format!("{sign}{grouped}");
    }
    format!("{sign}{grouped}.{:0places$}", magnitude % power(places))
}

/// Columns on a terminal: Han and full-width characters take two, combining ones none.
pub fn width(text: &str) -> usize {
    let of = |c: char| match u32::from(c) {
        0..=0x1F | 0x7F..=0x9F | 0x300..=0x36F | 0x200B..=0x200F | 0xFE00..=0xFE0F => 0,
        0x1100..=0x115F
        | 0x2E80..=0x303E
        | 0x3041..=0xA4CF
        | 0xAC00..=0xD7A3
        | 0xF900..=0xFAFF
        | 0xFE30..=0xFE6F
        | 0xFF00..=0xFF60
        | 0xFFE0..=0xFFE6
        | 0x1F300..=0x1FAFF
        | 0x20000..=0x3FFFD => 2,
        _ => 1,
    };
    text.chars().map(of).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_rounded_half_up_and_grouped() {
        for (text, places, expected) in [
            ("1234567.895000000", 2, "1,234,567.90"),
            ("-0.005", 2, "-0.01"),
            ("-0.004", 2, "0.00"),
            ("0.5", 3, "0.500"),
            ("999.995", 2, "1,000.00"),
            ("12", 0, "12"),
        ] {
            assert_eq!(rounded(text, places), expected, "{text}");
        }
    }

    #[test]
    fn han_takes_two_columns() {
        assert_eq!((width("张三 A"), width("e\u{301}"), width("（）")), (6, 1, 4));
    }
}
