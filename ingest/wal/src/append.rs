//! Group commit: one thread writes what many submit, and answers each of them after the fsync.
//!
//! The thread takes whatever is queued, up to [`GROUP_BYTES`], as one group: a lone reading pays one fsync, a thousand
//! concurrent ones share it. Answers come first, then the frames go to the committed channel, where a full channel
//! holds the thread: that is the back-pressure from billing to the doors.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use kernel::batch::Payload;
use kernel::id::Seq;
use tokio::sync::{mpsc, oneshot};

use crate::disk::Disk;
use crate::error::{AppendError, WalError};
use crate::format::{Group, LogId};
use crate::log::{Log, Stop};
use crate::payload::{MAX_OBSERVATIONS, MAX_ROWS};
use crate::survey::Recovered;
use crate::writer::Writer;

/// A group takes no further frame from here on. So a group has at most 16 MiB and one frame of 61 MiB.
pub const GROUP_BYTES: usize = 16 << 20;
/// Frames of a group, at most: the size of its list of answers, 65,536 x 24 bytes = 1.5 MiB.
pub const GROUP_FRAMES: usize = 1 << 16;
/// Submissions that wait for the thread, at most. Each belongs to an append that waits, so that no more are in memory
/// than there are concurrent appends: doors bound these. 256 x 8,192 rows x 61 bytes = 122 MiB.
pub const QUEUE: usize = 256;

/// How a log is created and written.
#[derive(Clone, Debug)]
pub struct Options {
    /// The name of the log if this creates it; an existing log keeps its own. Give each new log another one.
    pub log_id: LogId,
    /// The first sequence number if this creates the log: 1, or where a lost log must go on.
    pub first_seq: Seq,
    /// Bytes of a segment; one that must hold a larger group is larger.
    pub segment_bytes: u64,
    /// The first wait when the disk is full. It doubles ...
    pub full_disk_retry: Duration,
    /// ... up to this.
    pub full_disk_retry_max: Duration,
}

impl Options {
    /// The defaults: segments of 64 MiB, and a full disk tried again after 0.1 s to 5 s.
    #[must_use]
    pub fn new(log_id: LogId) -> Options {
        Options {
            log_id,
            first_seq: Seq(1),
            segment_bytes: 64 << 20,
            full_disk_retry: Duration::from_millis(100),
            full_disk_retry_max: Duration::from_secs(5),
        }
    }
}

/// A durable frame on its way to billing.
#[derive(Clone, Debug)]
pub struct Committed {
    /// Its number.
    pub seq: Seq,
    /// What was appended.
    pub payload: Arc<Payload>,
}

/// Counts since the log was opened, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Groups written, each with one fsync.
    pub groups: u64,
    /// Frames in them.
    pub frames: u64,
    /// Segments begun.
    pub segments: u64,
    /// Bytes of the frames.
    pub bytes: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) groups: AtomicU64,
    pub(crate) frames: AtomicU64,
    pub(crate) segments: AtomicU64,
    pub(crate) bytes: AtomicU64,
}

/// The open log. Dropping it without [`Wal::shutdown`] lets its thread end with the last [`Appender`].
#[derive(Debug)]
pub struct Wal {
    appender: Appender,
    thread: JoinHandle<Result<(), Arc<WalError>>>,
    stop: Arc<Stop>,
    counters: Arc<Counters>,
}

impl Wal {
    /// Opens or creates the log in `folder`. Returns after every byte of it was proven, a torn tail was cut off
    /// durably, and the thread runs. Frames of earlier runs do not come on `committed`: read them with
    /// [`read_from`](crate::read_from) first.
    ///
    /// # Errors
    /// [`WalError`], also [`WalError::Create`] where the disk is full; nothing was changed where the log was refused.
    pub fn open(
        folder: &Path,
        disk: Arc<dyn Disk>,
        options: Options,
        committed: mpsc::Sender<Committed>,
    ) -> Result<(Wal, Recovered), WalError> {
        let (log, recovered) = Log::open(folder, disk, options)?;
        let (sender, queue) = mpsc::channel(QUEUE);
        let (stop, counters) = (Arc::new(Stop::default()), Arc::new(Counters::default()));
        let writer = Writer {
            log: Ok(log),
            queue,
            committed,
            group: Group::new(),
            waiting: Vec::new(),
            stop: Arc::clone(&stop),
            counters: Arc::clone(&counters),
        };
        let thread = thread::Builder::new().name("wal".into()).spawn(|| writer.run()).map_err(WalError::Thread)?;
        Ok((Wal { appender: Appender { queue: sender }, thread, stop, counters }, recovered))
    }

    /// A handle to append with.
    #[must_use]
    pub fn appender(&self) -> Appender {
        self.appender.clone()
    }

    /// What was written so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            groups: read(&self.counters.groups),
            frames: read(&self.counters.frames),
            segments: read(&self.counters.segments),
            bytes: read(&self.counters.bytes),
        }
    }

    /// Refuses further appends, makes durable what was queued, and returns when the thread has ended. Blocks: in async
    /// code call it from `spawn_blocking`, and go on taking from the committed channel, or drop its receiver.
    ///
    /// # Errors
    /// [`AppendError::Poisoned`] if the log failed in this run, [`AppendError::Closed`] if its thread panicked.
    pub fn shutdown(self) -> Result<(), AppendError> {
        self.stop.ask();
        // Wakes a thread that waits for work. Where the queue is full, it is not waiting.
        let _ = self.appender.queue.try_send(Request::Wake);
        drop(self.appender);
        match self.thread.join() {
            Ok(ended) => ended.map_err(AppendError::Poisoned),
            Err(_) => Err(AppendError::Closed),
        }
    }
}

/// Appends to the log. Cloning it shares the log.
#[derive(Clone, Debug)]
pub struct Appender {
    queue: mpsc::Sender<Request>,
}

#[derive(Debug)]
pub(crate) enum Request {
    Append(Submission),
    Wake,
}

#[derive(Debug)]
pub(crate) struct Submission {
    pub(crate) payload: Arc<Payload>,
    pub(crate) answer: oneshot::Sender<Result<Seq, AppendError>>,
}

impl Appender {
    /// Returns the frame's number once it is durable. If the future is dropped before, the frame may still go in.
    ///
    /// # Errors
    /// [`AppendError`]; nothing of this payload is durable after `TooLarge`, `Malformed` and `Encode`.
    pub async fn append(&self, payload: Payload) -> Result<Seq, AppendError> {
        let (request, answer) = submission(payload)?;
        self.queue.send(request).await.map_err(|_| AppendError::Closed)?;
        answer.await.unwrap_or(Err(AppendError::Closed))
    }

    /// [`Appender::append`] for threads; panics in async code.
    ///
    /// # Errors
    /// As [`Appender::append`].
    pub fn append_blocking(&self, payload: Payload) -> Result<Seq, AppendError> {
        let (request, answer) = submission(payload)?;
        self.queue.blocking_send(request).map_err(|_| AppendError::Closed)?;
        answer.blocking_recv().unwrap_or(Err(AppendError::Closed))
    }
}

type Answer = oneshot::Receiver<Result<Seq, AppendError>>;

fn submission(payload: Payload) -> Result<(Request, Answer), AppendError> {
    let (rows, limit) = match &payload {
        Payload::Readings(batch) if !batch.is_well_formed() => return Err(AppendError::Malformed),
        Payload::Readings(batch) => (batch.len(), MAX_ROWS),
        Payload::Observations(observations) => (observations.len(), MAX_OBSERVATIONS),
    };
    if rows > limit {
        return Err(AppendError::TooLarge { rows });
    }
    let (answer, receiver) = oneshot::channel();
    Ok((Request::Append(Submission { payload: Arc::new(payload), answer }), receiver))
}
