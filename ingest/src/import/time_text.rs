//! Times as files write them.
//!
//! RFC 3339 and its everyday variants: a space for the `T`, no seconds, slashes, a date alone (its midnight), `24:00` as
//! the end of a day, an offset without colon. Year first always: `03/04/2026` would be two dates. Bare integers are
//! seconds, milliseconds, microseconds or nanoseconds since 1970; within 1990 to 2199 these four cannot be confused.

use kernel::time::{DAY, HOUR, LocalDate, MINUTE, SECOND};

use crate::intake::{TIME_FIRST_MICROS, TIME_LAST_MICROS};

/// A time with or without a place on the earth's time line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stamp {
    /// Microseconds since 1970-01-01T00:00:00Z.
    Instant(i64),
    /// What a wall clock shows, as microseconds since its 1970-01-01 00:00:00.
    Wall(i64),
}

/// The time that `text` says; `None` when it says none. Digits beyond microseconds are dropped.
pub(super) fn parse_time(text: &str) -> Option<Stamp> {
    let bytes = text.as_bytes();
    if bytes.len() >= 9 && bytes.iter().all(u8::is_ascii_digit) {
        return epoch(text.parse().ok()?).map(Stamp::Instant);
    }
    let separator = *bytes.get(4)?;
    if !matches!(separator, b'-' | b'/') || *bytes.get(7)? != separator {
        return None;
    }
    let year = two(bytes, 0)? * 100 + two(bytes, 2)?;
    let date = LocalDate::new(year, u8::try_from(two(bytes, 5)?).ok()?, u8::try_from(two(bytes, 8)?).ok()?)?;
    let midnight = i64::from(date.0) * DAY;
    match bytes.get(10) {
        None => return Some(Stamp::Wall(midnight)),
        Some(b'T' | b't' | b' ') => {}
        Some(_) => return None,
    }
    let (hour, minute) = (i64::from(two(bytes, 11)?), i64::from(two(bytes, 14)?));
    if bytes.get(13) != Some(&b':') {
        return None;
    }
    let (mut micros, mut at) = (hour * HOUR + minute * MINUTE, 16);
    if bytes.get(at) == Some(&b':') {
        let second = i64::from(two(bytes, at + 1)?);
        if second > 59 {
            return None;
        }
        micros += second * SECOND;
        at += 3;
        if matches!(bytes.get(at), Some(b'.' | b',')) {
            let digits = bytes[at + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits == 0 {
                return None;
            }
            let value = |place: usize| if place < digits { i64::from(bytes[at + 1 + place] - b'0') } else { 0 };
            micros += (0..6).fold(0, |sum, place| sum * 10 + value(place));
            at += 1 + digits;
        }
    }
    if minute > 59 || micros > DAY {
        return None;
    }
    let wall = midnight + micros;
    let rest = bytes[at..].strip_prefix(b" ").unwrap_or(&bytes[at..]);
    if rest.is_empty() {
        return (bytes.len() == at).then_some(Stamp::Wall(wall));
    }
    Some(Stamp::Instant(wall - offset(rest)?))
}

fn two(bytes: &[u8], at: usize) -> Option<i32> {
    match bytes.get(at..at + 2)? {
        [a @ b'0'..=b'9', b @ b'0'..=b'9'] => Some(i32::from(a - b'0') * 10 + i32::from(b - b'0')),
        _ => None,
    }
}

/// `Z`, `UTC`, `+02:00`, `+0200`, `+02`, in microseconds.
fn offset(bytes: &[u8]) -> Option<i64> {
    let (sign, digits) = match bytes {
        b"Z" | b"z" | b"UTC" => return Some(0),
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let minutes = match digits {
        [_, _] => 0,
        [_, _, b':', _, _] => two(digits, 3)?,
        [_, _, _, _] => two(digits, 2)?,
        _ => return None,
    };
    let hours = two(digits, 0)?;
    (hours <= 15 && minutes <= 59).then(|| sign * (i64::from(hours) * HOUR + i64::from(minutes) * MINUTE))
}

/// The microseconds since 1970 of an integer that counts seconds, milliseconds, microseconds or nanoseconds; `None` when
/// it lies within 1990 to 2199 as none of them.
pub(super) fn epoch(value: i64) -> Option<i64> {
    let candidates = [value.checked_mul(1_000_000), value.checked_mul(1_000), Some(value), Some(value / 1_000)];
    candidates.into_iter().flatten().find(|micros| (TIME_FIRST_MICROS..TIME_LAST_MICROS).contains(micros))
}

#[cfg(test)]
mod tests {
    use super::Stamp::{Instant, Wall};
    use super::*;

    const NOON: i64 = 1_774_785_600 * SECOND; // 2026-03-29T12:00:00Z

    #[test]
    fn times_are_read_as_people_and_machines_write_them() {
        let cases = [
            ("2026-03-29T12:00:00Z", Instant(NOON)),
            ("2026-03-29t12:00:00z", Instant(NOON)),
            ("2026-03-29 12:00:00 UTC", Instant(NOON)),
            ("2026-03-29T14:00:00+02:00", Instant(NOON)),
            ("2026-03-29T14:00:00 +0200", Instant(NOON)),
            ("2026-03-29T09:00-03", Instant(NOON)),
            ("2026-03-29T17:30:00.25+05:30", Instant(NOON + 250_000)),
            ("2026-03-29T12:00:00.123456789Z", Instant(NOON + 123_456)),
            ("2026-03-29 12:00:00", Wall(NOON)),
            ("2026-03-29 12:00", Wall(NOON)),
            ("2026/03/29 12:00:00.5", Wall(NOON + 500_000)),
            ("2026-03-29", Wall(NOON - 12 * HOUR)),
            ("2026-03-29 24:00", Wall(NOON + 12 * HOUR)),
            ("1774785600", Instant(NOON)),
            ("1774785600000", Instant(NOON)),
            ("1774785600000000", Instant(NOON)),
            ("1774785600000000000", Instant(NOON)),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_time(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_or_could_be_two_is_none() {
        let cases = [
            "",
            "now",
            "29/03/2026 12:00",
            "2026-02-29",
            "2026-13-01",
            "2026-03-29T25:00",
            "2026-03-29 24:01",
            "2026-03-29 12:60",
            "2026-03-29 12:00:60",
            "2026-03-29 12",
            "2026-03-29T",
            "2026-3-29 12:00",
            "2026-03/29",
            "2026-03-29 12:00:00.",
            "2026-03-29 12:00:00 PM",
            "2026-03-29 12:00:00 ",
            "2026-03-29T12:00:00+2",
            "2026-03-29T12:00:00+99:00",
            "20260329",
            "20260329120000",
            "99999999999999999999",
            "2026-03-29T12:00:00Zulu",
            "2026-03-29T12:00:00é",
        ];
        for text in cases {
            assert_eq!(parse_time(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_four_epoch_ranges_do_not_touch() {
        let ends = [1, 1_000, 1_000_000, 1_000_000_000]
            .map(|per_second| (TIME_FIRST_MICROS / SECOND * per_second, TIME_LAST_MICROS / SECOND * per_second));
        assert!(ends.windows(2).all(|pair| pair[0].1 < pair[1].0));
        for (first, last) in ends {
            assert_eq!(epoch(first), Some(TIME_FIRST_MICROS));
            assert!(epoch(last - 1).is_some() && epoch(last).is_none() && epoch(first - 1).is_none());
        }
    }
}
