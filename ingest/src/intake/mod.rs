//! The one place where submissions enter the log.
//!
//! **Promises.** [`Intake::submit`] returns after the log has made the accepted rows durable; a refused row comes back
//! with its reason, the others of its batch go in. Every accepted row names a known meter and lies within stated bounds,
//! so that nothing downstream has to fear for its arithmetic. All rows of a batch carry one `received_at`.
//!
//! **Not promised.** Whether a row is plausible, late, double or in conflict is billing's judgement (domain.md, 2).

mod check;
mod directory;
#[cfg(test)]
pub(crate) mod tests;

use std::error::Error;
use std::sync::Arc;

use futures::future::BoxFuture;
use kernel::batch::{Batch, Payload};
use kernel::id::Seq;
use kernel::reading::{Observation, Reading};
use kernel::time::Moment;
use thiserror::Error;
use wal::clock::Clock;

pub use check::{
    COUNT_MAX, INTERVAL_MAX_MICROS, QUANTITY_MILLI_MAX, Refusal, TIME_FIRST_MICROS, TIME_LAST_MICROS, time_in_range,
};
pub use directory::{DirectoryError, MeterDirectory, MeterKind, MeterRef, Meters};

/// Rows in one submission, at most: 65,536 rows of 28 bytes are 1.8 MB in the log.
pub const BATCH_ROWS_MAX: usize = 65_536;

/// Why the log did not take a frame.
pub type LogError = Box<dyn Error + Send + Sync>;

/// What makes frames durable.
pub trait Log: Send + Sync {
    /// Adds a frame. Ready with its number after the frame is on disk; frames of one caller that were first polled in an
    /// order are numbered in that order.
    fn append(&self, payload: Payload) -> BoxFuture<'_, Result<Seq, LogError>>;
}

/// What became of a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitted<T> {
    /// The frame that holds the accepted rows; `None` when no row was accepted.
    pub seq: Option<Seq>,
    /// Rows in the log.
    pub accepted: usize,
    /// The first and the last time among them.
    pub span: Option<(Moment, Moment)>,
    /// Rows not in the log.
    pub refused: Vec<Refused<T>>,
}

/// A row that was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused<T> {
    /// Its place in the submission, from 0.
    pub row: usize,
    /// What it said.
    pub said: T,
    /// Why it was not taken.
    pub reason: Refusal,
}

/// Why a submission as a whole was not taken. Nothing of it is in the log, except where the log itself failed: then
/// it may be, and sending it again is harmless.
#[derive(Debug, Error)]
pub enum IntakeError {
    /// The columns of the batch differ in length or hold a code that does not exist.
    #[error("the batch is malformed: its columns differ in length; build it with Batch::push")]
    Malformed,
    /// More rows than one frame may hold.
    #[error("a submission of {rows} rows is larger than {BATCH_ROWS_MAX}; send it in parts")]
    TooManyRows {
        /// Rows submitted.
        rows: usize,
    },
    /// The log refused or lost the frame.
    #[error("the log did not take the batch: {0}; the rows are not acknowledged, send them again once it works")]
    Log(#[source] LogError),
}

/// The door to the log. Cloning it shares the log and the directory.
#[derive(Clone)]
pub struct Intake {
    log: Arc<dyn Log>,
    directory: MeterDirectory,
    clock: Clock,
}

impl Intake {
    /// An intake that adds to `log`, knows the meters of `directory` and stamps with `clock`.
    #[must_use]
    pub fn new(log: Arc<dyn Log>, directory: MeterDirectory, clock: Clock) -> Intake {
        Intake { log, directory, clock }
    }

    /// The meters as of now.
    #[must_use]
    pub fn meters(&self) -> Arc<Meters> {
        self.directory.snapshot()
    }

    /// Adds readings; see the module's promises. The batch's `received_at` is set here, whatever it was.
    pub async fn submit(&self, mut batch: Batch) -> Result<Submitted<Reading>, IntakeError> {
        if !batch.is_well_formed() {
            return Err(IntakeError::Malformed);
        }
        if batch.len() > BATCH_ROWS_MAX {
            return Err(IntakeError::TooManyRows { rows: batch.len() });
        }
        let refused = check::readings(&self.meters(), &batch);
        check::remove(&mut batch, &refused);
        let span = check::span(&batch.time);
        let accepted = batch.len();
        batch.received_at = self.clock.now().0;
        let seq = self.append(accepted, Payload::Readings(batch)).await?;
        Ok(Submitted { seq, accepted, span, refused })
    }

    /// Adds what the field saw of relays and commands; see the module's promises.
    pub async fn observe(&self, observations: Vec<Observation>) -> Result<Submitted<Observation>, IntakeError> {
        if observations.len() > BATCH_ROWS_MAX {
            return Err(IntakeError::TooManyRows { rows: observations.len() });
        }
        let (taken, refused) = check::observations(&self.meters(), observations);
        let times: Vec<i64> = taken.iter().map(|observation| observation.time.0).collect();
        let accepted = taken.len();
        let seq = self.append(accepted, Payload::Observations(taken)).await?;
        Ok(Submitted { seq, accepted, span: check::span(&times), refused })
    }

    async fn append(&self, accepted: usize, payload: Payload) -> Result<Option<Seq>, IntakeError> {
        if accepted == 0 {
            return Ok(None);
        }
        self.log.append(payload).await.map(Some).map_err(IntakeError::Log)
    }
}
