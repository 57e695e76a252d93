//! Why an import as a whole failed. Every message names the file, the place and the remedy.

use std::io;
use std::path::PathBuf;

use kernel::id::Utility;
use parquet::errors::ParquetError;
use thiserror::Error;

use super::ImportSummary;
use super::unit::Unit;
use crate::intake::IntakeError;

/// Why an import failed. Except for [`ImportError::Halfway`], nothing was written to the log.
#[derive(Debug, Error)]
pub enum ImportError {
    /// The file is not there or may not be read.
    #[error("{}: cannot be opened: {source}; check the path and that this user may read it", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A folder, a socket, a device.
    #[error("{}: is not a file; name one CSV or Parquet file", path.display())]
    NotAFile {
        /// What was named.
        path: PathBuf,
    },
    /// Reading stopped.
    #[error("{}: reading failed after line {line}: {source}; the file is cut off or damaged, get it again", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The last line that was read.
        line: u64,
        /// The system's or the decompressor's reason.
        source: io::Error,
    },
    /// The first line is no header.
    #[error("{}: the first line is no CSV header: {problem}", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: &'static str,
    },
    /// A line that is no line.
    #[error("{}: line {line} is longer than {limit} bytes; is this a CSV file?", path.display())]
    LongLine {
        /// The file.
        path: PathBuf,
        /// The line.
        line: u64,
        /// Bytes of a line, at most.
        limit: u64,
    },
    /// A Parquet file that is none.
    #[error("{}: not readable as Parquet after row {row}: {source}; the file is cut off or damaged, get it again", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// Rows read so far.
        row: u64,
        /// The reader's reason.
        source: ParquetError,
    },
    /// The reader gave up in a way it should not have.
    #[error("{}: the reader failed on damaged content; get the file again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// A column that is not there.
    #[error("{}: has no column {column:?}; its columns are {exist}", path.display())]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// The column asked for.
        column: String,
        /// The columns that exist.
        exist: String,
    },
    /// Two columns of one name.
    #[error("{}: has two columns {column:?}; rename one", path.display())]
    TwoColumns {
        /// The file.
        path: PathBuf,
        /// Their name.
        column: String,
    },
    /// A column whose type cannot be used.
    #[error("{}: column {column:?} is {found}, which cannot be read as {wanted}; store it as {remedy}", path.display())]
    ColumnType {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// Its type.
        found: String,
        /// What it should give.
        wanted: &'static str,
        /// Types that can be read.
        remedy: &'static str,
    },
    /// Wide, and no column is a meter.
    #[error("{}: no column is named by the serial number of a known meter; its columns are {exist}", path.display())]
    NoMeterColumns {
        /// The file.
        path: PathBuf,
        /// The columns that exist.
        exist: String,
    },
    /// Local times, and no zone.
    #[error("{}: row {place}: time without zone: {time}; say which zone the file's local times are in, for example --time-zone Europe/Madrid or --time-zone UTC", path.display())]
    TimeWithoutZone {
        /// The file.
        path: PathBuf,
        /// The line or row.
        place: u64,
        /// The time as the file says it.
        time: String,
    },
    /// No such zone.
    #[error("unknown time zone {zone:?}; use an IANA name such as Asia/Shanghai, Europe/Madrid or UTC")]
    UnknownZone {
        /// The name given.
        zone: String,
    },
    /// A unit that some meter of the file cannot have.
    #[error("{}: meter {meter} measures {}, which is not in {}; leave --unit out where values are in {}, else give the right unit or import that meter apart", path.display(), utility.name(), unit.name(), measured.name())]
    UnitMisfit {
        /// The file.
        path: PathBuf,
        /// The unit given.
        unit: Unit,
        /// The first meter that it does not fit.
        meter: String,
        /// What that meter measures.
        utility: Utility,
        /// In which unit.
        measured: kernel::unit::Unit,
    },
    /// Counts say nothing about usage.
    #[error(
        "usage cannot be in counts: what a count is worth belongs to a register; give the unit, or --register-column"
    )]
    UsageInCounts,
    /// An interval that is none.
    #[error(
        "an interval of {micros} microseconds is not between a microsecond and 400 days; write it like 15m, 1h or 1d"
    )]
    Interval {
        /// As given.
        micros: i64,
    },
    /// The list of refused rows cannot be written.
    #[error("{}: the list of refused rows cannot be written: {source}; check its folder and the disk", path.display())]
    RefusedFile {
        /// The list.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The log did not take rows.
    #[error("{}: {source}", path.display())]
    Intake {
        /// The file.
        path: PathBuf,
        /// The intake's reason.
        source: IntakeError,
    },
    /// Not one row could be taken.
    #[error("{}: nothing imported: {}", path.display(), nothing(summary))]
    NothingAccepted {
        /// The file.
        path: PathBuf,
        /// What was read and why it was refused.
        summary: Box<ImportSummary>,
    },
    /// Some rows are in the log, then something failed.
    #[error(
        "{source}. The {accepted} rows before it are in the log; import the repaired file again, rows that are there change nothing"
    )]
    Halfway {
        /// Rows in the log.
        accepted: u64,
        /// What failed.
        source: Box<ImportError>,
    },
}

fn nothing(summary: &ImportSummary) -> String {
    let ImportSummary { rows_read, missing, refused, refused_file, .. } = summary;
    if *rows_read == 0 {
        return "the file has a header and no rows; check that it is the right file".to_owned();
    }
    let listed = refused_file.as_ref().map_or(String::new(), |path| format!(", listed in {}", path.display()));
    let refused = if refused.total() == 0 { "0".to_owned() } else { format!("{} ({refused})", refused.total()) };
    format!(
        "of {rows_read} values {missing} are missing and {refused} were refused{listed}; check the columns and the meters"
    )
}
