//! Files into the log: CSV (plain or gzip) and Parquet, long and wide.
//!
//! **Promises.** What can be told from the header, the options and the meters' utilities is told before anything is
//! written. After that a bad row costs itself: it is counted by reason and listed in a file, and the rest goes in. The
//! conversion is exact and deterministic, so that the same file gives the same rows again and importing it twice changes
//! nothing downstream. Memory is bounded, however large the file: a few batches, and the rows of doubled hours.
//!
//! Modules in reading order: [`ImportOptions`] say how to read; `source` opens, `csv_file` and `parquet_file` (with
//! `columns`) give rows; `convert` makes batches of them with `scale`, `time_text`, `zone` and `night`; here they are
//! submitted, several at once, while reading goes on.

mod columns;
mod convert;
mod csv_file;
mod error;
mod night;
mod options;
mod parquet_file;
mod refused;
mod scale;
mod source;
mod submit;
#[cfg(test)]
mod tests;
mod time_text;
mod unit;
mod zone;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kernel::id::Seq;
use kernel::time::Moment;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use crate::intake::{INTERVAL_MAX_MICROS, Intake, Meters};
use convert::{Chunk, Converter, Stop};
use source::Source;
use submit::Submission;

pub use error::ImportError;
pub use options::{ImportOptions, Layout, Progress, States, TimeMarks};
pub use refused::{Reason, RefusedCounts};
pub use unit::{Unit, UnknownUnit};

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportSummary {
    /// Values read: `accepted` + `missing` + all `refused`. In a wide file a row has several.
    pub rows_read: u64,
    /// Rows in the log.
    pub accepted: u64,
    /// Rows not taken, by reason.
    pub refused: RefusedCounts,
    /// Values that are not there: empty, null, NaN.
    pub missing: u64,
    /// Meters with at least one accepted row.
    pub meters: u64,
    /// The first time in the log: of a register, or of an interval's end.
    pub first_time: Option<Moment>,
    /// The last one.
    pub last_time: Option<Moment>,
    /// The last frame that holds rows of the file.
    pub last_seq: Option<Seq>,
    /// The list of refused rows, if any was refused.
    pub refused_file: Option<PathBuf>,
}

/// Imports a file: returns when all its rows are in the log or refused. Refused rows are listed in `refused_file`, which
/// is created when there is one. `progress` is called after every batch that became durable.
pub async fn import(
    intake: &Intake,
    file: &Path,
    options: &ImportOptions,
    refused_file: &Path,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<ImportSummary, ImportError> {
    check_options(options)?;
    let meters = intake.meters();
    // The reader is two chunks ahead of the submissions.
    let (sender, chunks) = mpsc::channel(2);
    let reader = {
        let (file, options, meters) = (file.to_owned(), options.clone(), Arc::clone(&meters));
        spawn_blocking(move || read(&file, &options, meters, sender))
    };
    let mut submission = Submission::new(intake, meters, file, refused_file);
    let submitted = submission.run(chunks, progress).await;
    let read = match reader.await {
        Ok(Ok(()) | Err(Stop::Closed)) => Ok(()),
        Ok(Err(Stop::Failed(error))) => Err(error),
        Err(_) => Err(ImportError::Damaged { path: file.to_owned() }),
    };
    let summary = submission.finish()?;
    match submitted.and(read) {
        Err(source) if summary.accepted > 0 => {
            Err(ImportError::Halfway { accepted: summary.accepted, source: Box::new(source) })
        }
        Err(error) => Err(error),
        Ok(()) if summary.accepted == 0 => {
            Err(ImportError::NothingAccepted { path: file.to_owned(), summary: Box::new(summary) })
        }
        Ok(()) => Ok(summary),
    }
}

fn check_options(options: &ImportOptions) -> Result<(), ImportError> {
    let States::Usage { interval, .. } = options.states else { return Ok(()) };
    if options.unit == Some(Unit::Count) {
        return Err(ImportError::UsageInCounts);
    }
    match interval {
        Some(micros) if !(1..=INTERVAL_MAX_MICROS).contains(&micros) => Err(ImportError::Interval { micros }),
        _ => Ok(()),
    }
}

/// Reads and converts the whole file.
fn read(file: &Path, options: &ImportOptions, meters: Arc<Meters>, sender: mpsc::Sender<Chunk>) -> Result<(), Stop> {
    source::check(file, options, &meters)?;
    let mut converter = Converter::new(file, options, meters, sender)?;
    Source::open(file)?.rows(options, &mut converter)?;
    converter.finish()
}
