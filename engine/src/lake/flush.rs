//! What a flush writes: hot frames as readings, posted usage lines as charges.
//!
//! A partition that has gathered [`FILES_PER_PARTITION`] files is written anew as one file, so that late readings do not
//! leave thousands of small ones; the files that it replaces are removed once no query can be reading them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{
    Date32Array, Decimal128Array, Int8Array, Int16Array, Int32Array, Int64Array, RecordBatch, StringArray,
};
use arrow::compute::{concat_batches, lexsort_to_indices, take_record_batch};
use arrow::error::ArrowError;
use kernel::id::Utility;
use kernel::time::{LocalDate, LocalMonth};

use super::file::{LakeError, write};
use super::read::read_all;
use super::rows::{RowAt, gather, partition};
use super::schema::{CHARGES, READINGS};
use crate::billing::hot::HotFrame;

/// More files than this in one partition are merged by the next flush that touches it.
pub const FILES_PER_PARTITION: usize = 8;

/// A file that the book lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LakeFile {
    /// `readings` or `charges`.
    pub table: &'static str,
    /// Relative to the lake.
    pub path: String,
    /// The partition's utility.
    pub utility: Utility,
    /// The partition's month: UTC for readings, local for charges.
    pub month: LocalMonth,
    /// Rows in it.
    pub rows: usize,
    /// Its size.
    pub bytes: u64,
    /// Lowest frame (readings) or transfer (charges) in it.
    pub first_seq: u64,
    /// Highest frame or transfer in it.
    pub last_seq: u64,
}

/// What a flush did to the list of files.
#[derive(Debug, Default)]
pub struct Flushed {
    /// Files to list.
    pub added: Vec<LakeFile>,
    /// Paths of files that `added` replaces.
    pub replaced: Vec<String>,
}

/// A posted usage line, as it goes into the lake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargeRow {
    /// Which service point.
    pub service_point: u32,
    /// Who owes it.
    pub account: u32,
    /// The local day.
    pub date: LocalDate,
    /// What is charged.
    pub component: &'static str,
    /// Band code.
    pub band: u8,
    /// Tier from 1.
    pub tier: u16,
    /// Tariff version.
    pub version: u32,
    /// The transfer that posted it.
    pub transfer: i64,
    /// 1/1000 units.
    pub quantity: i64,
    /// 1e-9 currency.
    pub amount: i128,
}

/// Files of one table by partition.
type Listed<'a> = BTreeMap<(Utility, LocalMonth), Vec<&'a LakeFile>>;

fn by_partition<'a>(listed: &'a [LakeFile], table: &str) -> Listed<'a> {
    let mut partitions = Listed::new();
    for file in listed.iter().filter(|file| file.table == table) {
        partitions.entry((file.utility, file.month)).or_default().push(file);
    }
    partitions
}

/// Writes the rows of `frames`, one file a partition. Nothing is listed yet. `stamp` names the files: a number that no
/// listed file of the table has (a crash may leave orphans of the same name, which are written over).
///
/// # Errors
/// [`LakeError`]; files already written are orphans then.
pub fn readings(
    root: &Path,
    listed: &[LakeFile],
    stamp: u64,
    frames: &[HotFrame],
    utility_of: impl Fn(u32) -> Utility,
) -> Result<Flushed, LakeError> {
    let partitions: Vec<((Utility, LocalMonth), Vec<RowAt>)> = partition(frames, utility_of).into_iter().collect();
    let span = frames.first().zip(frames.last()).map_or((0, 0), |(first, last)| (first.seq.0, last.seq.0));
    let listed = by_partition(listed, "readings");
    on_all_cores(&partitions, |(key, rows)| {
        let batch = gather(frames, rows).map_err(arrow_error(root))?;
        let existing = listed.get(key).map_or(&[][..], Vec::as_slice);
        store(root, stamp, ("readings", *key), span, batch, existing)
    })
}

/// Writes posted usage lines, one file a utility and local month. Nothing is listed yet.
///
/// # Errors
/// [`LakeError`]; files already written are orphans then.
pub fn charges(
    root: &Path,
    listed: &[LakeFile],
    stamp: u64,
    rows: &[ChargeRow],
    utility_of: impl Fn(u32) -> Utility,
) -> Result<Flushed, LakeError> {
    let mut partitions: BTreeMap<(Utility, LocalMonth), Vec<&ChargeRow>> = BTreeMap::new();
    for row in rows {
        partitions.entry((utility_of(row.service_point), row.date.month())).or_default().push(row);
    }
    let transfers = || rows.iter().map(|row| row.transfer).filter(|transfer| *transfer > 0);
    let sealed = |transfer: Option<i64>| transfer.map_or(0, i64::unsigned_abs);
    let span = (sealed(transfers().min()), sealed(transfers().max()));
    let partitions: Vec<_> = partitions.into_iter().collect();
    let listed = by_partition(listed, "charges");
    on_all_cores(&partitions, |(key, rows)| {
        let batch = charge_batch(rows).map_err(arrow_error(root))?;
        let existing = listed.get(key).map_or(&[][..], Vec::as_slice);
        store(root, stamp, ("charges", *key), span, batch, existing)
    })
}

fn arrow_error(root: &Path) -> impl Fn(ArrowError) -> LakeError {
    let path = root.to_path_buf();
    move |source| LakeError::Arrow { path: path.clone(), source }
}

/// Lines with the columns of [`CHARGES`].
pub(crate) fn charge_batch(rows: &[&ChargeRow]) -> Result<RecordBatch, ArrowError> {
    let id = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);

    let ids = |pick: fn(&ChargeRow) -> u32| Int32Array::from_iter_values(rows.iter().map(|row| id(pick(row))));
    let amounts =
        Decimal128Array::from_iter_values(rows.iter().map(|row| row.amount)).with_precision_and_scale(38, 9)?;
    let bands = rows.iter().map(|row| i8::try_from(row.band).unwrap_or(i8::MAX));
    let tiers = rows.iter().map(|row| i16::try_from(row.tier).unwrap_or(i16::MAX));
    RecordBatch::try_new(
        CHARGES.clone(),
        vec![
            std::sync::Arc::new(ids(|row| row.service_point)),
            std::sync::Arc::new(ids(|row| row.account)),
            std::sync::Arc::new(Date32Array::from_iter_values(rows.iter().map(|row| row.date.0))),
            std::sync::Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.component))),
            std::sync::Arc::new(Int8Array::from_iter_values(bands)),
            std::sync::Arc::new(Int16Array::from_iter_values(tiers)),
            std::sync::Arc::new(ids(|row| row.version)),
            std::sync::Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.transfer))),
            std::sync::Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.quantity))),
            std::sync::Arc::new(amounts),
        ],
    )
}

/// Writes one partition's new rows, together with its old files where those have become too many.
fn store(
    root: &Path,
    stamp: u64,
    (table, (utility, month)): (&'static str, (Utility, LocalMonth)),
    (mut first_seq, last_seq): (u64, u64),
    new: RecordBatch,
    existing: &[&LakeFile],
) -> Result<Flushed, LakeError> {
    let schema = if table == "readings" { READINGS.clone() } else { CHARGES.clone() };
    // Both tables are sorted by their identity and their time.
    let sorted_by: &[usize] = if table == "readings" { &[0, 1] } else { &[0, 2] };
    let mut replaced = Vec::new();
    let mut batch = new;
    if existing.len() >= FILES_PER_PARTITION {
        let mut all = Vec::new();
        for file in existing {
            all.extend(read_all(root, &file.path)?);
            first_seq = first_seq.min(file.first_seq);
            replaced.push(file.path.clone());
        }
        all.push(batch);
        batch = concat_batches(&schema, &all).map_err(arrow_error(root))?;
    }
    if table == "charges" || !replaced.is_empty() {
        let keys: Vec<_> = sorted_by
            .iter()
            .map(|column| arrow::compute::SortColumn { values: batch.column(*column).clone(), options: None })
            .collect();
        let order = lexsort_to_indices(&keys, None).map_err(arrow_error(root))?;
        batch = take_record_batch(&batch, &order).map_err(arrow_error(root))?;
    }
    let path = format!("{table}/utility={}/month={month}/{stamp:010}.parquet", utility.name());
    let rows = batch.num_rows();
    let bytes = write(root, &path, &schema, sorted_by, &[batch])?;
    let file = LakeFile { table, path, utility, month, rows, bytes, first_seq, last_seq };
    Ok(Flushed { added: vec![file], replaced })
}

/// Runs `each` over all items on two threads and gathers what they did, in the items' order.
fn on_all_cores<T: Sync>(
    items: &[T],
    each: impl Fn(&T) -> Result<Flushed, LakeError> + Sync,
) -> Result<Flushed, LakeError> {
    let next = AtomicUsize::new(0);
    let done: Mutex<BTreeMap<usize, Result<Flushed, LakeError>>> = Mutex::new(BTreeMap::new());
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(items.len());
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { return };
                    let outcome = each(item);
                    done.lock().unwrap_or_else(PoisonError::into_inner).insert(index, outcome);
                }
            });
        }
    });
    let mut flushed = Flushed::default();
    for outcome in done.into_inner().unwrap_or_else(PoisonError::into_inner).into_values() {
        let Flushed { added, replaced } = outcome?;
        flushed.added.extend(added);
        flushed.replaced.extend(replaced);
    }
    Ok(flushed)
}
