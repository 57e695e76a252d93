//! Batches into the intake, several at once, and what became of them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::FuturesOrdered;
use kernel::id::MeterId;
use kernel::reading::{Reading, Value};
use tokio::sync::mpsc;

use super::cell::Thousandths;
use super::chunk::Chunk;
use super::error::ImportError;
use super::options::Progress;
use super::refused::{Reason, RefusedFile, RefusedRow};
use super::{ImportSummary, RefusedCounts};
use crate::intake::{Intake, IntakeError, Meters, Refused, Submitted};

/// Submissions that wait for the disk at once: 8 of 65,536 rows of 36 bytes are 19 MB.
const IN_FLIGHT_MAX: usize = 8;

/// The submitting side of an import.
pub(super) struct Submission<'a> {
    intake: &'a Intake,
    meters: Arc<Meters>,
    file: &'a Path,
    total_bytes: u64,
    refused: RefusedFile,
    /// Accepted rows by meter.
    rows_of: HashMap<u32, u64>,
    summary: ImportSummary,
}

/// A chunk that went through the intake.
struct Done {
    chunk: Chunk,
    /// Rows of each run of one meter.
    runs: Vec<(u32, u64)>,
    outcome: Result<Submitted<Reading>, IntakeError>,
}

impl<'a> Submission<'a> {
    pub(super) fn new(intake: &'a Intake, meters: Arc<Meters>, file: &'a Path, refused_file: &Path) -> Submission<'a> {
        let refused = RefusedFile::new(refused_file, file);
        let total_bytes = std::fs::metadata(file).map_or(0, |metadata| metadata.len());
        let (rows_of, summary) = (HashMap::new(), ImportSummary::default());
        Submission { intake, meters, file, total_bytes, refused, rows_of, summary }
    }

    /// Submits all chunks. After a failure no further one is submitted, but those under way are waited for, so that the
    /// count of accepted rows is right.
    pub(super) async fn run(
        &mut self,
        mut chunks: mpsc::Receiver<Chunk>,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<(), ImportError> {
        let mut under_way = FuturesOrdered::new();
        let mut result = Ok(());
        let mut reading = true;
        while reading || !under_way.is_empty() {
            tokio::select! {
                chunk = chunks.recv(), if reading && under_way.len() < IN_FLIGHT_MAX => match chunk {
                    Some(chunk) => under_way.push_back(submit(self.intake, chunk)),
                    None => reading = false,
                },
                Some(done) = under_way.next(), if !under_way.is_empty() => {
                    if let Err(error) = self.take(done, progress) {
                        result = result.and(Err(error));
                        reading = false;
                        chunks.close();
                    }
                }
            }
        }
        result
    }

    fn take(&mut self, done: Done, progress: &mut (dyn FnMut(Progress) + Send)) -> Result<(), ImportError> {
        let Done { chunk, runs, outcome } = done;
        self.summary.rows_read = chunk.rows_read;
        self.summary.missing = chunk.missing;
        self.refused.add(&chunk.refused)?;
        let submitted = outcome.map_err(|source| ImportError::Intake { path: self.file.to_owned(), source })?;
        self.summary.accepted += u64::try_from(submitted.accepted).unwrap_or(0);
        self.summary.last_seq = self.summary.last_seq.max(submitted.seq);
        if let Some((first, last)) = submitted.span {
            self.summary.first_time = Some(self.summary.first_time.map_or(first, |before| before.min(first)));
            self.summary.last_time = self.summary.last_time.max(Some(last));
        }
        for (meter, rows) in runs {
            *self.rows_of.entry(meter).or_default() += rows;
        }
        for refused in &submitted.refused {
            if let Some(rows) = self.rows_of.get_mut(&refused.said.meter.0) {
                *rows -= 1;
            }
        }
        let said = |refused: &Refused<Reading>| self.listed(chunk.places[refused.row], refused);
        let listed: Vec<RefusedRow> = submitted.refused.iter().map(said).collect();
        self.refused.add(&listed)?;
        progress(Progress { rows: chunk.rows_read, bytes: chunk.bytes, total_bytes: self.total_bytes });
        Ok(())
    }

    /// A row that the intake refused, in the words of the list.
    fn listed(&self, place: u64, refused: &Refused<Reading>) -> RefusedRow {
        let Refused { said, reason, .. } = refused;
        let meter = self.meters.by_id(MeterId(said.meter.0));
        let unit = meter.map_or("", |meter| meter.measured.name());
        let (time, value) = match said.value {
            Value::Register(count) => (said.time.to_string(), format!("{count} counts")),
            Value::Usage { start, quantity } => {
                (format!("{start}/{}", said.time), format!("{} {unit}", Thousandths(quantity.0)))
            }
        };
        let meter = meter.map_or(String::new(), |meter| meter.serial.clone());
        RefusedRow { place, meter, time, value, reason: Reason::Intake(*reason) }
    }

    /// What all submissions did.
    pub(super) fn finish(mut self) -> Result<ImportSummary, ImportError> {
        let refused_file = self.refused.finish()?;
        let refused: RefusedCounts = self.refused.counts;
        let meters = self.rows_of.values().filter(|rows| **rows > 0).count();
        Ok(ImportSummary { refused, refused_file, meters: u64::try_from(meters).unwrap_or(0), ..self.summary })
    }
}

async fn submit(intake: &Intake, mut chunk: Chunk) -> Done {
    let batch = std::mem::take(&mut chunk.batch);
    let runs = batch.meter.chunk_by(|a, b| a == b).map(|run| (run[0], run.len() as u64)).collect();
    let outcome = intake.submit(batch).await;
    Done { chunk, runs, outcome }
}
