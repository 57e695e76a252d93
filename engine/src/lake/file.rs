//! One durable Parquet file.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

/// Rows in a row group: small, so that the readings of one meter are found without reading the others.
const ROW_GROUP_ROWS: usize = 32_768;

/// Why a file of the lake could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// The file system refused.
    #[error("{path}: {action} failed: {source}. Check free space and permissions of the data folder")]
    Io {
        /// What was done.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Parquet refused.
    #[error("{path}: {source}. If the file is damaged, restore it from a backup of the lake folder")]
    Parquet {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: ParquetError,
    },
    /// Columns did not fit.
    #[error("{path}: {source}")]
    Arrow {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: arrow::error::ArrowError,
    },
}

impl LakeError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LakeError {
        let path = path.to_path_buf();
        move |source| LakeError::Io { action, path, source }
    }

    pub(crate) fn parquet(path: &Path) -> impl FnOnce(ParquetError) -> LakeError {
        let path = path.to_path_buf();
        move |source| LakeError::Parquet { path, source }
    }
}

fn properties(sorted_by: &[usize]) -> WriterProperties {
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_sorting_columns(Some(
            sorted_by
                .iter()
                .filter_map(|c| i32::try_from(*c).ok())
                .map(|c| SortingColumn { column_idx: c, descending: false, nulls_first: false })
                .collect(),
        ));
    for column in ["time", "start", "value", "quantity"] {
        let path = ColumnPath::from(column);
        builder = builder
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
    }
    builder.build()
}

/// Writes a file under `root` at the relative `path`, durable when this returns. Gives its size in bytes.
/// The batches must be sorted by the columns `sorted_by`.
///
/// # Errors
/// [`LakeError`]; a file that was begun is left as `*.tmp` and swept at the next start.
pub fn write(
    root: &Path,
    path: &str,
    schema: &SchemaRef,
    sorted_by: &[usize],
    batches: &[RecordBatch],
) -> Result<u64, LakeError> {
    let target = root.join(path);
    let folder = target.parent().unwrap_or(root).to_path_buf();
    fs::create_dir_all(&folder).map_err(LakeError::io("creating the folder", &folder))?;
    let draft = target.with_extension("tmp");
    let file = File::create(&draft).map_err(LakeError::io("creating", &draft))?;
    let keep = file.try_clone().map_err(LakeError::io("opening", &draft))?;
    let mut writer =
        ArrowWriter::try_new(file, schema.clone(), Some(properties(sorted_by))).map_err(LakeError::parquet(&draft))?;
    for batch in batches {
        writer.write(batch).map_err(LakeError::parquet(&draft))?;
    }
    writer.close().map_err(LakeError::parquet(&draft))?;
    keep.sync_all().map_err(LakeError::io("fsync", &draft))?;
    let bytes = keep.metadata().map_err(LakeError::io("reading the size", &draft))?.len();
    fs::rename(&draft, &target).map_err(LakeError::io("renaming", &draft))?;
    sync_folders(root, &folder)?;
    Ok(bytes)
}

/// Fsyncs a folder and those above it up to `root`, so that a new file's name survives a power loss.
fn sync_folders(root: &Path, folder: &Path) -> Result<(), LakeError> {
    for step in folder.ancestors().take_while(|step| step.starts_with(root)) {
        File::open(step).and_then(|handle| handle.sync_all()).map_err(LakeError::io("fsync", step))?;
    }
    Ok(())
}

/// Removes files under `root` that `listed` does not name: drafts and orphans of a crash. Gives their number.
///
/// # Errors
/// [`LakeError::Io`].
pub fn sweep(root: &Path, listed: impl Fn(&str) -> bool) -> Result<usize, LakeError> {
    let mut swept = 0;
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(LakeError::io("listing", &folder)(error)),
        };
        for entry in entries {
            let path = entry.map_err(LakeError::io("listing", &folder))?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let relative = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            if !listed(&relative) {
                fs::remove_file(&path).map_err(LakeError::io("removing", &path))?;
                swept += 1;
            }
        }
    }
    Ok(swept)
}
