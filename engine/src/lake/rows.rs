//! Frames as columns: the hot rows for SQL, and sorted partitions for files.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int8Array, Int32Array, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow::error::ArrowError;
use kernel::batch::{ABSENT, Batch};
use kernel::id::Utility;
use kernel::reading::Verdict;
use kernel::time::{DAY, LocalDate, LocalMonth};

use super::schema::READINGS;
use crate::billing::hot::HotFrame;

/// Where a row lies: its frame in a list of frames, and its place in the frame.
#[derive(Clone, Copy, Debug)]
pub struct RowAt {
    frame: u32,
    row: u32,
}

/// One partition of the lake: a utility and a month of UTC.
pub type Partition = (Utility, LocalMonth);

/// The UTC month of a moment in microseconds.
#[must_use]
pub fn utc_month(time: i64) -> LocalMonth {
    LocalDate(i32::try_from(time.div_euclid(DAY)).unwrap_or(i32::MAX)).month()
}

/// All rows of `frames` but duplicates, by partition, each sorted by meter and time.
#[must_use]
pub fn partition(frames: &[HotFrame], utility_of: impl Fn(u32) -> Utility) -> BTreeMap<Partition, Vec<RowAt>> {
    let mut partitions: BTreeMap<Partition, Vec<RowAt>> = BTreeMap::new();
    for (frame, hot) in (0_u32..).zip(frames) {
        let batch = hot.batch();
        let mut last: Option<(u32, i64, i64, Partition)> = None;
        for row in 0..batch.len() {
            if hot.verdicts[row] == Verdict::Duplicate.code() {
                continue;
            }
            let (meter, time) = (batch.meter[row], batch.time[row]);
            // Consecutive rows mostly share meter and month: ask the calendar only when they do not.
            let key = match last {
                Some((m, from, to, key)) if m == meter && from <= time && time < to => key,
                _ => {
                    let month = utc_month(time);
                    let key = (utility_of(meter), month);
                    let start = |month: LocalMonth| i64::from(month.first_day().0) * DAY;
                    last = Some((meter, start(month), start(LocalMonth(month.0 + 1)), key));
                    key
                }
            };
            let row = u32::try_from(row).unwrap_or(u32::MAX);
            partitions.entry(key).or_default().push(RowAt { frame, row });
        }
    }
    for rows in partitions.values_mut() {
        rows.sort_by_key(|at| {
            let batch = frames[at.frame as usize].batch();
            (batch.meter[at.row as usize], batch.time[at.row as usize])
        });
    }
    partitions
}

/// The rows at these places as a batch of [`READINGS`].
///
/// # Errors
/// Only when columns and schema disagree.
pub fn gather(frames: &[HotFrame], rows: &[RowAt]) -> Result<RecordBatch, ArrowError> {
    let at = |at: &RowAt| (&frames[at.frame as usize], at.row as usize);
    let column = |pick: fn(&Batch) -> &Vec<i64>| -> Int64Array {
        rows.iter().map(|place| optional(pick(at(place).0.batch()), at(place).1)).collect()
    };
    let required = |pick: &dyn Fn(&HotFrame, usize) -> i64| -> Vec<i64> {
        rows.iter().map(|place| pick(at(place).0, at(place).1)).collect()
    };
    let stamps = |values: Vec<i64>| TimestampMicrosecondArray::from(values).with_timezone("UTC");
    let start: TimestampMicrosecondArray =
        rows.iter().map(|place| optional(&at(place).0.batch().start, at(place).1)).collect();
    let meters: Int32Array =
        rows.iter().map(|place| i32::try_from(at(place).0.batch().meter[at(place).1]).ok()).collect();
    let contacts: Int8Array = rows
        .iter()
        .map(|place| at(place).0.batch().contact.get(at(place).1).filter(|code| **code != 0))
        .map(|code| code.and_then(|code| i8::try_from(*code).ok()))
        .collect();
    let verdicts: Int8Array = rows.iter().map(|place| i8::try_from(at(place).0.verdicts[at(place).1]).ok()).collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(meters),
        Arc::new(stamps(required(&|hot, row| hot.batch().time[row]))),
        Arc::new(start.with_timezone("UTC")),
        Arc::new(Int64Array::from(required(&|hot, row| hot.batch().value[row]))),
        Arc::new(column(|batch| &batch.power_mw)),
        Arc::new(column(|batch| &batch.voltage_mv)),
        Arc::new(column(|batch| &batch.current_ma)),
        Arc::new(column(|batch| &batch.power_factor_milli)),
        Arc::new(contacts),
        Arc::new(stamps(required(&|hot, _| hot.batch().received_at))),
        Arc::new(Int64Array::from(required(&|hot, _| i64::try_from(hot.seq.0).unwrap_or(i64::MAX)))),
        Arc::new(verdicts),
    ];
    RecordBatch::try_new(READINGS.clone(), columns)
}

/// The rows of one frame that are not duplicates, in order of arrival.
///
/// # Errors
/// Only when columns and schema disagree.
pub fn frame_rows(frame: &HotFrame) -> Result<RecordBatch, ArrowError> {
    let rows: Vec<RowAt> = (0_u32..)
        .zip(&frame.verdicts)
        .filter(|(_, verdict)| **verdict != Verdict::Duplicate.code())
        .map(|(row, _)| RowAt { frame: 0, row })
        .collect();
    gather(std::slice::from_ref(frame), &rows)
}

fn optional(column: &[i64], row: usize) -> Option<i64> {
    column.get(row).copied().filter(|value| *value != ABSENT)
}
