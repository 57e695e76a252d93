//! Readings back from the lake: of some meters, after some moment.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int8Type, Int32Type, Int64Type, TimestampMicrosecondType};
use kernel::id::MeterId;
use kernel::money::Quantity;
use kernel::reading::{Value, Verdict};
use kernel::time::Moment;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;

use super::file::LakeError;
use super::flush::LakeFile;
use super::rows::utc_month;

/// A stored reading, as re-rating needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredRow {
    /// The device.
    pub meter: MeterId,
    /// Event time.
    pub time: Moment,
    /// What it states.
    pub value: Value,
    /// When it arrived.
    pub received_at: Moment,
    /// Its frame.
    pub seq: u64,
    /// Its place in the frame; lake rows have none.
    pub row: Option<usize>,
    /// What billing made of it when it was filed.
    pub verdict: Verdict,
    /// The correction that it is: then no device said so, and nobody sent it.
    pub correction: Option<i64>,
}

impl StoredRow {
    /// Whether it says that the meter said nothing.
    #[must_use]
    pub fn is_void(&self) -> bool {
        self.correction.is_some() && self.verdict == Verdict::Superseded
    }
}

fn open(root: &Path, path: &str) -> Result<ParquetRecordBatchReaderBuilder<File>, LakeError> {
    let full = root.join(path);
    let file = File::open(&full).map_err(LakeError::io("opening", &full))?;
    ParquetRecordBatchReaderBuilder::try_new(file).map_err(LakeError::parquet(&full))
}

/// All batches of one file.
///
/// # Errors
/// [`LakeError`].
pub fn read_all(root: &Path, path: &str) -> Result<Vec<RecordBatch>, LakeError> {
    let full = root.join(path);
    let reader = open(root, path)?.build().map_err(LakeError::parquet(&full))?;
    reader.collect::<Result<_, _>>().map_err(|source| LakeError::Arrow { path: full, source })
}

/// Calls `each` for the batches of one file, one at a time in memory.
///
/// # Errors
/// [`LakeError`].
pub fn for_each_batch(root: &Path, path: &str, mut each: impl FnMut(&RecordBatch)) -> Result<(), LakeError> {
    let full = root.join(path);
    for batch in open(root, path)?.build().map_err(LakeError::parquet(&full))? {
        each(&batch.map_err(|source| LakeError::Arrow { path: full.clone(), source })?);
    }
    Ok(())
}

/// The readings of `meters` with an event time after `after`, in no particular order.
///
/// # Errors
/// [`LakeError`].
pub fn readings_of(
    root: &Path,
    files: &[LakeFile],
    meters: &BTreeSet<MeterId>,
    after: Moment,
) -> Result<Vec<StoredRow>, LakeError> {
    let mut rows = Vec::new();
    let Some((lowest, highest)) = meters.first().zip(meters.last()) else { return Ok(rows) };
    let month = utc_month(after.0);
    for file in files.iter().filter(|file| file.table == "readings" && file.month >= month) {
        let full = root.join(&file.path);
        let builder = open(root, &file.path)?;
        let wanted = builder
            .metadata()
            .row_groups()
            .iter()
            .enumerate()
            .filter(|(_, group)| may_hold(group, lowest.0, highest.0))
            .map(|(index, _)| index)
            .collect();
        let reader = builder.with_row_groups(wanted).build().map_err(LakeError::parquet(&full))?;
        for batch in reader {
            let batch = batch.map_err(|source| LakeError::Arrow { path: full.clone(), source })?;
            collect(&batch, meters, after, &mut rows);
        }
    }
    Ok(rows)
}

/// Whether a row group's meters reach into this range. Without statistics it may.
fn may_hold(group: &RowGroupMetaData, lowest: u32, highest: u32) -> bool {
    match group.column(0).statistics() {
        Some(Statistics::Int32(range)) => {
            let least = range.min_opt().is_none_or(|min| i64::from(*min) <= i64::from(highest));
            least && range.max_opt().is_none_or(|max| i64::from(*max) >= i64::from(lowest))
        }
        _ => true,
    }
}

fn collect(batch: &RecordBatch, meters: &BTreeSet<MeterId>, after: Moment, rows: &mut Vec<StoredRow>) {
    let meter = batch.column(0).as_primitive::<Int32Type>();
    let time = batch.column(1).as_primitive::<TimestampMicrosecondType>();
    let start = batch.column(2).as_primitive::<TimestampMicrosecondType>();
    let value = batch.column(3).as_primitive::<Int64Type>();
    let received = batch.column(9).as_primitive::<TimestampMicrosecondType>();
    let seq = batch.column(10).as_primitive::<Int64Type>();
    let verdict = batch.column(11).as_primitive::<Int8Type>();
    for row in 0..batch.num_rows() {
        let id = MeterId(meter.value(row).unsigned_abs());
        if time.value(row) <= after.0 || !meters.contains(&id) {
            continue;
        }
        let value = if start.is_null(row) {
            Value::Register(value.value(row))
        } else {
            Value::Usage { start: Moment(start.value(row)), quantity: Quantity(value.value(row)) }
        };
        rows.push(StoredRow {
            meter: id,
            time: Moment(time.value(row)),
            value,
            received_at: Moment(received.value(row)),
            seq: seq.value(row).unsigned_abs(),
            row: None,
            verdict: Verdict::from_code(verdict.value(row).unsigned_abs()).unwrap_or(Verdict::Pending),
            correction: None,
        });
    }
}
