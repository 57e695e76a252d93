//! The thread of group commit: it alone writes the log, answers every submitter, and passes frames on in order.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use kernel::id::Seq;
use tokio::sync::mpsc;
use tracing::error;

use crate::append::{Committed, Counters, GROUP_BYTES, GROUP_FRAMES, Request, Submission};
use crate::error::{AppendError, WalError};
use crate::format::Group;
use crate::log::{Log, Stop};

pub(crate) struct Writer {
    pub(crate) log: Result<Log, Arc<WalError>>,
    pub(crate) queue: mpsc::Receiver<Request>,
    pub(crate) committed: mpsc::Sender<Committed>,
    pub(crate) group: Group,
    pub(crate) waiting: Vec<Submission>,
    pub(crate) stop: Arc<Stop>,
    pub(crate) counters: Arc<Counters>,
}

impl Writer {
    pub(crate) fn run(mut self) -> Result<(), Arc<WalError>> {
        while let Some(request) = self.queue.blocking_recv() {
            self.take(request);
            while self.group.len() < GROUP_BYTES && self.waiting.len() < GROUP_FRAMES {
                let Ok(request) = self.queue.try_recv() else { break };
                self.take(request);
            }
            if self.stop.asked() {
                // Takes no more; what is queued still comes.
                self.queue.close();
            }
            self.commit();
        }
        self.log.map(drop)
    }

    /// Puts a submission into the group.
    fn take(&mut self, request: Request) {
        let Request::Append(submission) = request else { return };
        match self.group.push(&submission.payload) {
            Ok(()) => self.waiting.push(submission),
            // Nobody may be listening any more; so too below.
            Err(error) => drop(submission.answer.send(Err(AppendError::Encode(Arc::new(error))))),
        }
    }

    /// Makes the group durable, answers, and passes it on.
    fn commit(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let bytes = self.group.len() as u64;
        let committed = match &mut self.log {
            Ok(log) => log.commit(&mut self.group, &self.stop).map_err(Arc::new),
            Err(earlier) => Err(Arc::clone(earlier)),
        };
        self.group.clear(GROUP_BYTES);
        match committed {
            Ok((first, begun)) => {
                let frames = self.waiting.len() as u64;
                let counters = &self.counters;
                counters.groups.fetch_add(1, Ordering::Relaxed);
                counters.frames.fetch_add(frames, Ordering::Relaxed);
                counters.segments.fetch_add(u64::from(begun), Ordering::Relaxed);
                counters.bytes.fetch_add(bytes, Ordering::Relaxed);
                self.answer_and_pass_on(first);
            }
            Err(cause) => {
                if self.log.is_ok() {
                    error!(%cause, "the log is poisoned");
                }
                for submission in self.waiting.drain(..) {
                    let _ = submission.answer.send(Err(AppendError::Poisoned(Arc::clone(&cause))));
                }
                self.log = Err(cause);
            }
        }
    }

    fn answer_and_pass_on(&mut self, first: Seq) {
        let mut frames = Vec::with_capacity(self.waiting.len());
        for (seq, submission) in (first.0..).map(Seq).zip(self.waiting.drain(..)) {
            let _ = submission.answer.send(Ok(seq));
            frames.push(Committed { seq, payload: submission.payload });
        }
        for frame in frames {
            if self.committed.blocking_send(frame).is_err() {
                // Nobody takes frames in this run. They are durable, and acknowledging goes on.
                break;
            }
        }
    }
}
