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

/// Calls `each` for the batches of one file, one at a time in memory; without row groups whose identifiers, from the least to
/// the most, `holds` does not want.
///
/// # Errors
/// [`LakeError`].
pub fn for_each_batch(
    root: &Path,
    path: &str,
    holds: impl Fn(u32, u32) -> bool,
    mut each: impl FnMut(&RecordBatch),
) -> Result<(), LakeError> {
    let full = root.join(path);
    let builder = open(root, path)?;
    let wanted = wanted(&builder, holds);
    for batch in builder.with_row_groups(wanted).build().map_err(LakeError::parquet(&full))? {
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
    if meters.is_empty() {
        return Ok(rows);
    }
    let holds = |least, most| meters.range(MeterId(least)..=MeterId(most)).next().is_some();
    let month = utc_month(after.0);
    for file in files.iter().filter(|file| file.table == "readings" && file.month >= month) {
        let full = root.join(&file.path);
        let builder = open(root, &file.path)?;
        let wanted = wanted(&builder, holds);
        let reader = builder.with_row_groups(wanted).build().map_err(LakeError::parquet(&full))?;
        for batch in reader {
            let batch = batch.map_err(|source| LakeError::Arrow { path: full.clone(), source })?;
            collect(&batch, meters, after, &mut rows);
        }
    }
    Ok(rows)
}

/// The row groups whose identifiers, those of the first column, may be wanted.
fn wanted(builder: &ParquetRecordBatchReaderBuilder<File>, holds: impl Fn(u32, u32) -> bool) -> Vec<usize> {
    let groups = builder.metadata().row_groups().iter().enumerate();
    groups.filter(|(_, group)| may_hold(group, &holds)).map(|(index, _)| index).collect()
}

/// Whether a row group's identifiers may be wanted. Without statistics they may.
fn may_hold(group: &RowGroupMetaData, holds: impl Fn(u32, u32) -> bool) -> bool {
    match group.column(0).statistics() {
        Some(Statistics::Int32(range)) => {
            let least = range.min_opt().and_then(|min| u32::try_from(*min).ok()).unwrap_or(0);
            let most = range.max_opt().and_then(|max| u32::try_from(*max).ok()).unwrap_or(u32::MAX);
            least > most || holds(least, most)
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::Int32Array;
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;
    use crate::lake::file::write;

    #[test]
    fn row_groups_without_wanted_identifiers_are_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let schema = Arc::new(Schema::new(vec![Field::new("service_point_id", DataType::Int32, false)]));
        let ids = Arc::new(Int32Array::from_iter_values(0..40_000));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![ids]).unwrap();
        write(folder.path(), "charges.parquet", &schema, &[0], &[batch]).unwrap();
        // A row group has 32,768 rows.
        for (wanted, expected) in
            [(0..=39_999, 40_000), (32_768..=50_000, 7_232), (5..=5, 32_768), (40_000..=50_000, 0)]
        {
            let (mut rows, holds) = (0, |least, most| *wanted.start() <= most && least <= *wanted.end());
            for_each_batch(folder.path(), "charges.parquet", holds, |batch| rows += batch.num_rows()).unwrap();
            assert_eq!(rows, expected, "{wanted:?}");
        }
    }
}
