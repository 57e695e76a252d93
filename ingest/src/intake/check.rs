//! Which rows may enter the log: known meters, and values within bounds that all later arithmetic is built for.

use kernel::batch::{ABSENT, Batch};
use kernel::id::MeterId;
use kernel::reading::{Observation, Reading};
use kernel::time::{DAY, Moment};
use thiserror::Error;

use super::{MeterKind, MeterRef, Meters, Refused};

/// 1990-01-01T00:00:00Z: no row is earlier.
pub const TIME_FIRST_MICROS: i64 = 631_152_000_000_000;
/// 2200-01-01T00:00:00Z: every row is earlier.
pub const TIME_LAST_MICROS: i64 = 7_258_118_400_000_000;
/// The longest usage interval: a year's bill with some days of grace.
pub const INTERVAL_MAX_MICROS: i64 = 400 * DAY;
/// The largest usage of one interval, either sign: a billion kWh or m3.
pub const QUANTITY_MILLI_MAX: i64 = 1_000_000_000_000;
/// The largest register count, either sign: 15 digits, more than any device shows.
pub const COUNT_MAX: i64 = 999_999_999_999_999;

/// Why a row was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Error)]
pub enum Refusal {
    /// The book has no such meter.
    #[error("unknown meter: add it to the site file and apply it, or correct the serial number")]
    UnknownMeter,
    /// A register count for a meter that gives usage only.
    #[error("this meter gives usage and has no register: import the column as usage, or correct the meter's profile")]
    NoRegister,
    /// The time is outside 1990 to 2199.
    #[error("the time is outside the years 1990 to 2199: correct the clock or the time column's unit")]
    TimeOutOfRange,
    /// The interval ends where or before it starts.
    #[error("the interval does not end after its start")]
    EmptyInterval,
    /// The interval is longer than 400 days.
    #[error("the interval is longer than 400 days")]
    LongInterval,
    /// The value is beyond what any meter can show or deliver.
    #[error("the value is absurdly large (over 15 digits, or over a billion units in one interval): check its unit")]
    Absurd,
}

impl Refusal {
    /// A short name for counts and files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Refusal::UnknownMeter => "unknown_meter",
            Refusal::NoRegister => "no_register",
            Refusal::TimeOutOfRange => "time_out_of_range",
            Refusal::EmptyInterval => "empty_interval",
            Refusal::LongInterval => "long_interval",
            Refusal::Absurd => "absurd_value",
        }
    }
}

/// Whether a row may carry this time.
#[must_use]
pub fn time_in_range(time: Moment) -> bool {
    (TIME_FIRST_MICROS..TIME_LAST_MICROS).contains(&time.0)
}

/// The rows of a well-formed batch that may not enter, in order.
pub(super) fn readings(meters: &Meters, batch: &Batch) -> Vec<Refused<Reading>> {
    let mut refused = Vec::new();
    // Files come sorted by meter, head-ends send one meter at a time: look each run up once.
    let mut run: Option<(u32, Option<&MeterRef>)> = None;
    for (row, (&id, &time)) in batch.meter.iter().zip(&batch.time).enumerate() {
        let meter = match run {
            Some((last, meter)) if last == id => meter,
            _ => meters.by_id(MeterId(id)),
        };
        run = Some((id, meter));
        let start = batch.start.get(row).copied().unwrap_or(ABSENT);
        if let Err(reason) = row_is_fit(meter, time, start, batch.value[row]) {
            refused.push(Refused { row, said: batch.reading(row), reason });
        }
    }
    refused
}

fn row_is_fit(meter: Option<&MeterRef>, time: i64, start: i64, value: i64) -> Result<(), Refusal> {
    let meter = meter.ok_or(Refusal::UnknownMeter)?;
    if !time_in_range(Moment(time)) {
        return Err(Refusal::TimeOutOfRange);
    }
    if start == ABSENT {
        if meter.kind == MeterKind::Usage {
            return Err(Refusal::NoRegister);
        }
        return if (-COUNT_MAX..=COUNT_MAX).contains(&value) { Ok(()) } else { Err(Refusal::Absurd) };
    }
    if start >= time {
        return Err(Refusal::EmptyInterval);
    }
    if time.saturating_sub(start) > INTERVAL_MAX_MICROS {
        return Err(Refusal::LongInterval);
    }
    if !time_in_range(Moment(start)) {
        return Err(Refusal::TimeOutOfRange);
    }
    if (-QUANTITY_MILLI_MAX..=QUANTITY_MILLI_MAX).contains(&value) { Ok(()) } else { Err(Refusal::Absurd) }
}

/// The observations that may enter, and the others.
pub(super) fn observations(
    meters: &Meters,
    observations: Vec<Observation>,
) -> (Vec<Observation>, Vec<Refused<Observation>>) {
    let mut taken = Vec::with_capacity(observations.len());
    let mut refused = Vec::new();
    for (row, said) in observations.into_iter().enumerate() {
        if meters.by_id(said.meter).is_none() {
            refused.push(Refused { row, said, reason: Refusal::UnknownMeter });
        } else if !time_in_range(said.time) {
            refused.push(Refused { row, said, reason: Refusal::TimeOutOfRange });
        } else {
            taken.push(said);
        }
    }
    (taken, refused)
}

/// Takes the refused rows (in order) out of every column.
pub(super) fn remove(batch: &mut Batch, refused: &[Refused<Reading>]) {
    if refused.is_empty() {
        return;
    }
    let mut keep = vec![true; batch.len()];
    refused.iter().for_each(|row| keep[row.row] = false);
    retain(&mut batch.meter, &keep);
    retain(&mut batch.contact, &keep);
    let Batch { time, start, value, power_mw, voltage_mv, current_ma, power_factor_milli, .. } = batch;
    for column in [time, start, value, power_mw, voltage_mv, current_ma, power_factor_milli] {
        retain(column, &keep);
    }
}

fn retain<T>(column: &mut Vec<T>, keep: &[bool]) {
    let mut keep = keep.iter();
    column.retain(|_| keep.next().copied().unwrap_or(false));
}

/// The first and the last of these times.
pub(super) fn span(times: &[i64]) -> Option<(Moment, Moment)> {
    Some((Moment(*times.iter().min()?), Moment(*times.iter().max()?)))
}
