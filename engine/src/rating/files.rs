//! Readings of some meters, one UTC month after the other, from the lake's files and the hot rows; where a person has
//! corrected one, the correction instead (see [`crate::billing::corrections::truth`]).
//!
//! Only what rating needs is decoded: where a row group's statistics say that no row states a usage interval, or that none
//! is dated after its arrival, that column is not read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use kernel::id::MeterId;
use kernel::money::Quantity;
use kernel::point::Row;
use kernel::reading::{Value, Verdict};
use kernel::time::{DAY, LocalMonth, Moment};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;

use super::snapshot::Snapshot;
use crate::billing::corrections::Corrections;
use crate::billing::hot::HotFrame;
use crate::billing::rerate::is_from_the_future;
use crate::lake::file::LakeError;
use crate::lake::rows::utc_month;

/// Rows decoded at a time.
const BATCH_ROWS: usize = 8_192;
/// Columns of [`crate::lake::schema::READINGS`].
const METER: usize = 0;
const TIME: usize = 1;
const START: usize = 2;
const VALUE: usize = 3;
const RECEIVED_AT: usize = 9;

/// Where a hot row of a wanted meter lies.
#[derive(Clone, Copy, Debug)]
struct HotRow {
    meter: u32,
    time: i64,
    frame: u32,
    row: u32,
}

/// One file; its footer is read once, by the first who needs it.
#[derive(Debug)]
struct StoredFile {
    path: PathBuf,
    footer: Mutex<Option<ArrowReaderMetadata>>,
}

/// The readings of a snapshot, by month.
#[derive(Debug)]
pub(super) struct Readings {
    files: BTreeMap<LocalMonth, Vec<StoredFile>>,
    frames: Vec<HotFrame>,
    /// By meter and time.
    hot: Vec<HotRow>,
    corrections: Corrections,
    months: BTreeSet<LocalMonth>,
}

impl Readings {
    /// Prepares what `wanted` meters said after `after`.
    pub(super) fn new(snapshot: Snapshot, wanted: &BTreeSet<u32>, after: Moment) -> Readings {
        let Snapshot { root, files: listed, frames, mut corrections } = snapshot;
        corrections.retain(|(meter, time), _| *time > after && wanted.contains(&meter.0));
        let mut files: BTreeMap<LocalMonth, Vec<StoredFile>> = BTreeMap::new();
        let first = utc_month(after.0);
        for file in listed.into_iter().filter(|file| file.table == "readings" && file.month >= first) {
            let stored = StoredFile { path: root.join(&file.path), footer: Mutex::new(None) };
            files.entry(file.month).or_default().push(stored);
        }
        let mut hot = Vec::new();
        for (frame, rows) in (0_u32..).zip(&frames) {
            let batch = rows.batch();
            for (row, (meter, time)) in (0_u32..).zip(batch.meter.iter().zip(&batch.time)) {
                let verdict = rows.verdicts.get(row as usize).copied().and_then(Verdict::from_code);
                let corrected = corrections.contains_key(&(MeterId(*meter), Moment(*time)));
                if *time > after.0 && verdict != Some(Verdict::Duplicate) && wanted.contains(meter) && !corrected {
                    hot.push(HotRow { meter: *meter, time: *time, frame, row });
                }
            }
        }
        hot.sort_unstable_by_key(|at| (at.meter, at.time, at.frame, at.row));
        let mut months: BTreeSet<LocalMonth> = files.keys().copied().collect();
        months.extend(hot.iter().map(|at| utc_month(at.time)));
        months.extend(corrections.keys().map(|(_, time)| utc_month(time.0)));
        Readings { files, frames, hot, corrections, months }
    }

    /// Whether a person said that the meter said nothing then: the key is held like one whose values contradict each other.
    pub(super) fn is_void(&self, row: &Row) -> bool {
        self.corrections.get(&(row.meter, row.time)).is_some_and(|correction| correction.value.is_none())
    }

    /// The months in which there are readings, from that of `after` on.
    pub(super) fn months(&self, after: Moment) -> impl Iterator<Item = LocalMonth> {
        self.months.range(utc_month(after.0)..).copied()
    }

    /// Calls `each` for every reading of `meters` (ascending) within a month after `after`, those from the future left
    /// out; a meter's readings come in several runs, each in order of time.
    pub(super) fn read(
        &self,
        month: LocalMonth,
        meters: &[u32],
        after: Moment,
        mut each: impl FnMut(u32, &mut dyn Iterator<Item = Row>),
    ) -> Result<(), LakeError> {
        for file in self.files.get(&month).into_iter().flatten() {
            file.read(meters, after, &mut |meter, rows: &mut dyn Iterator<Item = Row>| {
                each(meter, &mut rows.filter(|row| !self.corrections.contains_key(&(row.meter, row.time))));
            })?;
        }
        let (start, end) = instants(month);
        for meter in meters {
            let since = (MeterId(*meter), Moment(start.max(after.0.saturating_add(1))));
            let mut corrected = self.corrections.range(since..(MeterId(*meter), Moment(end))).peekable();
            if corrected.peek().is_some() {
                each(
                    *meter,
                    &mut corrected.map(|((meter, time), correction)| Row {
                        meter: *meter,
                        time: *time,
                        received_at: correction.at,
                        value: correction.stated(),
                    }),
                );
            }
            let from =
                self.hot.partition_point(|at| (at.meter, at.time) < (*meter, start.max(after.0.saturating_add(1))));
            let to = self.hot.partition_point(|at| (at.meter, at.time) < (*meter, end));
            if from < to {
                let rows = self.hot[from..to].iter().map(|at| {
                    let batch = self.frames[at.frame as usize].batch();
                    Row {
                        meter: MeterId(at.meter),
                        time: Moment(at.time),
                        received_at: Moment(batch.received_at),
                        value: batch.value_at(at.row as usize),
                    }
                });
                each(*meter, &mut rows.filter(|row| !is_from_the_future(row.time, row.received_at)));
            }
        }
        Ok(())
    }
}

/// The first instant of a month of UTC and that of the next.
pub(super) fn instants(month: LocalMonth) -> (i64, i64) {
    let start = |month: LocalMonth| i64::from(month.first_day().0) * DAY;
    (start(month), start(LocalMonth(month.0 + 1)))
}

impl StoredFile {
    fn open(&self) -> Result<(File, ArrowReaderMetadata), LakeError> {
        let file = File::open(&self.path).map_err(LakeError::io("opening", &self.path))?;
        let mut footer = self.footer.lock().unwrap_or_else(PoisonError::into_inner);
        let known = match &*footer {
            Some(known) => known.clone(),
            None => {
                let read = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new());
                footer.insert(read.map_err(LakeError::parquet(&self.path))?).clone()
            }
        };
        Ok((file, known))
    }

    fn read(
        &self,
        meters: &[u32],
        after: Moment,
        each: &mut impl FnMut(u32, &mut dyn Iterator<Item = Row>),
    ) -> Result<(), LakeError> {
        let (file, footer) = self.open()?;
        let groups = footer.metadata().row_groups();
        let wanted: Vec<usize> =
            groups.iter().enumerate().filter(|(_, group)| may_hold(group, meters)).map(|(index, _)| index).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let usage = wanted.iter().any(|index| may_have_usage(&groups[*index]));
        let future = wanted.iter().any(|index| may_have_future(&groups[*index]));
        let mut columns = vec![METER, TIME, VALUE];
        columns.extend(usage.then_some(START));
        columns.extend(future.then_some(RECEIVED_AT));
        let mask = ProjectionMask::roots(footer.parquet_schema(), columns);
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, footer)
            .with_batch_size(BATCH_ROWS)
            .with_projection(mask)
            .with_row_groups(wanted)
            .build()
            .map_err(LakeError::parquet(&self.path))?;
        for batch in reader {
            let batch = batch.map_err(|source| arrow_error(&self.path, source))?;
            runs(&batch, usage, future, meters, after, each);
        }
        Ok(())
    }
}

fn arrow_error(path: &Path, source: arrow::error::ArrowError) -> LakeError {
    LakeError::Arrow { path: path.to_path_buf(), source }
}

/// Hands over the runs of wanted meters of one batch.
fn runs(
    batch: &RecordBatch,
    usage: bool,
    future: bool,
    meters: &[u32],
    after: Moment,
    each: &mut impl FnMut(u32, &mut dyn Iterator<Item = Row>),
) {
    let meter = batch.column(0).as_primitive::<Int32Type>().values();
    let time = batch.column(1).as_primitive::<TimestampMicrosecondType>().values();
    let start = usage.then(|| batch.column(2).as_primitive::<TimestampMicrosecondType>());
    let value = batch.column(2 + usize::from(usage)).as_primitive::<Int64Type>().values();
    let received =
        future.then(|| batch.column(3 + usize::from(usage)).as_primitive::<TimestampMicrosecondType>().values());
    let mut from = 0;
    for run in meter.chunk_by(|a, b| a == b) {
        let rows = from..from + run.len();
        from = rows.end;
        let id = run[0].unsigned_abs();
        if meters.binary_search(&id).is_err() {
            continue;
        }
        let mut rows = rows.filter(|row| time[*row] > after.0).filter_map(|row| {
            let at = Moment(time[row]);
            // Where statistics say that no row is from the future, its own time stands for its arrival.
            let received_at = received.map_or(at, |received| Moment(received[row]));
            let value = match start.filter(|start| start.is_valid(row)) {
                Some(start) => Value::Usage { start: Moment(start.value(row)), quantity: Quantity(value[row]) },
                None => Value::Register(value[row]),
            };
            let row = Row { meter: MeterId(id), time: at, received_at, value };
            (!is_from_the_future(at, received_at)).then_some(row)
        });
        each(id, &mut rows);
    }
}

/// Whether a row group may hold one of these meters. Without statistics it may.
fn may_hold(group: &RowGroupMetaData, meters: &[u32]) -> bool {
    let Some(Statistics::Int32(range)) = group.column(METER).statistics() else { return true };
    let (least, most) = (range.min_opt().map_or(0, |least| least.unsigned_abs()), range.max_opt());
    let first = meters.partition_point(|meter| *meter < least);
    meters.get(first).is_some_and(|meter| most.is_none_or(|most| *meter <= most.unsigned_abs()))
}

fn may_have_usage(group: &RowGroupMetaData) -> bool {
    let absent = group.column(START).statistics().and_then(Statistics::null_count_opt);
    absent.is_none_or(|absent| i64::try_from(absent).ok() != Some(group.num_rows()))
}

fn may_have_future(group: &RowGroupMetaData) -> bool {
    let bound = |column: usize, most: bool| match group.column(column).statistics() {
        Some(Statistics::Int64(range)) => if most { range.max_opt() } else { range.min_opt() }.copied(),
        _ => None,
    };
    match (bound(TIME, true), bound(RECEIVED_AT, false)) {
        (Some(latest), Some(received)) => is_from_the_future(Moment(latest), Moment(received)),
        _ => true,
    }
}
