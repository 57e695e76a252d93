//! What a file's fields hold: a time, a value, or nothing.

use std::fmt;

use kernel::time::Moment;

use super::decimal::{Decimal, parse_decimal};
use super::refused::Reason;
use super::scale::Scale;
use super::time_text::{Stamp, epoch, parse_time};
use crate::intake::Refusal;

/// A time as the file holds it.
#[derive(Clone, Copy, Debug)]
pub(super) enum TimeCell<'a> {
    /// Nothing.
    Missing,
    /// An instant, or what a wall clock shows.
    Stamp(Stamp),
    /// Seconds, milliseconds, microseconds or nanoseconds since 1970.
    Epoch(i64),
    /// Text.
    Text(&'a str),
}

/// A value as the file holds it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cell<'a> {
    /// Nothing.
    Missing,
    /// A binary fraction.
    Float(f64),
    /// A decimal fraction or an integer.
    Decimal(Decimal),
    /// Text.
    Text(&'a str),
}

/// A value's row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    /// The line or row, from 1.
    pub(super) place: u64,
    /// The serial number; empty when missing.
    pub(super) meter: &'a str,
    pub(super) time: TimeCell<'a>,
    pub(super) value: Cell<'a>,
}

/// The time of a cell, or why it has none.
pub(super) fn stamp_of(time: &TimeCell<'_>) -> Result<Stamp, Reason> {
    match time {
        TimeCell::Missing => Err(Reason::NoTime),
        TimeCell::Stamp(stamp) => Ok(*stamp),
        TimeCell::Epoch(value) => epoch(*value).map(Stamp::Instant).ok_or(Reason::Intake(Refusal::TimeOutOfRange)),
        TimeCell::Text(text) if is_missing(text) => Err(Reason::NoTime),
        TimeCell::Text(text) => parse_time(text).ok_or(Reason::BadTime),
    }
}

/// The value of a cell in log units (`None` when missing), or why it has none.
pub(super) fn value_of(value: &Cell<'_>, scale: Scale) -> Result<Option<i64>, Reason> {
    let converted = match value {
        Cell::Missing => return Ok(None),
        Cell::Float(float) if float.is_nan() => return Ok(None),
        Cell::Float(float) => scale.float(*float),
        Cell::Decimal(decimal) => scale.decimal(*decimal),
        Cell::Text(text) => match parse_decimal(text) {
            Some(decimal) => scale.decimal(decimal),
            None if is_missing(text) => return Ok(None),
            None => return Err(Reason::BadValue),
        },
    };
    converted.map(Some).ok_or(Reason::Intake(Refusal::Absurd))
}

/// How files write that nothing is there.
fn is_missing(text: &str) -> bool {
    text.is_empty() || ["nan", "null", "na", "n/a", "none", "?", "-"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// A number of thousandths, with three places.
pub(super) struct Thousandths(pub(super) i64);

impl fmt::Display for Thousandths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let size = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:03}", size / 1_000, size % 1_000)
    }
}

/// What the file said.
impl fmt::Display for TimeCell<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TimeCell::Missing => Ok(()),
            TimeCell::Stamp(Stamp::Instant(micros)) => Moment(*micros).fmt(f),
            TimeCell::Stamp(Stamp::Wall(micros)) => f.write_str(Moment(*micros).to_string().trim_end_matches('Z')),
            TimeCell::Epoch(value) => value.fmt(f),
            TimeCell::Text(text) => f.write_str(text),
        }
    }
}

/// What the file said.
impl fmt::Display for Cell<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cell::Missing => Ok(()),
            Cell::Float(float) => float.fmt(f),
            Cell::Decimal(Decimal { mantissa, exponent: 0 }) => mantissa.fmt(f),
            Cell::Decimal(Decimal { mantissa, exponent }) => write!(f, "{mantissa}e{exponent}"),
            Cell::Text(text) => f.write_str(text),
        }
    }
}
