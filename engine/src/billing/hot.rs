//! The hot rows: frames that the lake does not hold yet, with what billing made of each row.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock};

use kernel::batch::{Batch, Payload};
use kernel::id::{MeterId, Seq};
use kernel::reading::Verdict;
use kernel::time::Moment;
use tokio::sync::watch;

/// One frame of readings and the verdict code of each row.
#[derive(Clone, Debug)]
pub struct HotFrame {
    /// Its number in the log.
    pub seq: Seq,
    payload: Arc<Payload>,
    /// [`Verdict::code`] by row.
    pub verdicts: Vec<u8>,
}

static EMPTY: Batch = Batch {
    received_at: 0,
    meter: Vec::new(),
    time: Vec::new(),
    start: Vec::new(),
    value: Vec::new(),
    power_mw: Vec::new(),
    voltage_mv: Vec::new(),
    current_ma: Vec::new(),
    power_factor_milli: Vec::new(),
    contact: Vec::new(),
};

impl HotFrame {
    /// The frame's readings.
    #[must_use]
    pub fn batch(&self) -> &Batch {
        match &*self.payload {
            Payload::Readings(batch) => batch,
            Payload::Observations(_) => &EMPTY,
        }
    }
}

/// The shared store of hot rows.
#[derive(Debug)]
pub struct Hot {
    inner: RwLock<Frames>,
    arrived: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Frames {
    /// Ascending by `seq`.
    frames: VecDeque<HotFrame>,
    /// All frames up to this one are in the lake.
    lake_seq: u64,
    rows: usize,
}

impl Hot {
    /// An empty store above `lake_seq`.
    #[must_use]
    pub fn new(lake_seq: u64) -> Hot {
        let inner = RwLock::new(Frames { lake_seq, ..Frames::default() });
        Hot { inner, arrived: watch::Sender::new(lake_seq) }
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Frames> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Frames> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the next frame, its rows with this verdict.
    pub fn push(&self, seq: Seq, payload: Arc<Payload>, verdict: Verdict) {
        if let Payload::Readings(batch) = &*payload {
            let verdicts = vec![verdict.code(); batch.len()];
            let mut inner = self.write();
            inner.rows += batch.len();
            inner.frames.push_back(HotFrame { seq, payload: payload.clone(), verdicts });
        }
        self.arrived.send_replace(seq.0);
    }

    /// Waits until the frame `seq` has arrived here.
    pub async fn wait_for(&self, seq: Seq) {
        let mut arrived = self.arrived.subscribe();
        // The sender lives in `self`, so that waiting cannot fail.
        let _ = arrived.wait_for(|latest| *latest >= seq.0).await;
    }

    /// Replaces the verdicts of one frame's rows.
    pub fn set_verdicts(&self, seq: Seq, changes: impl IntoIterator<Item = (usize, Verdict)>) {
        let mut inner = self.write();
        if let Ok(index) = inner.frames.binary_search_by_key(&seq, |frame| frame.seq) {
            let verdicts = &mut inner.frames[index].verdicts;
            for (row, verdict) in changes {
                verdicts[row] = verdict.code();
            }
        }
    }

    /// The frames above `lake_seq` and that number, at one moment. Cheap: rows are shared, verdicts are copied.
    #[must_use]
    pub fn snapshot(&self) -> (u64, Vec<HotFrame>) {
        let inner = self.read();
        (inner.lake_seq, inner.frames.iter().cloned().collect())
    }

    /// Calls `each` for every frame, oldest first.
    pub fn for_each(&self, each: impl FnMut(&HotFrame)) {
        self.read().frames.iter().for_each(each);
    }

    /// The rows that `wanted` picks by meter, time and present verdict: frame, row, meter and time.
    #[must_use]
    pub fn find(&self, wanted: impl Fn(MeterId, Moment, Verdict) -> bool) -> Vec<(Seq, usize, MeterId, Moment)> {
        let mut found = Vec::new();
        for frame in &self.read().frames {
            let batch = frame.batch();
            let verdicts = frame.verdicts.iter().map(|code| Verdict::from_code(*code).unwrap_or(Verdict::Pending));
            for (row, ((meter, time), verdict)) in batch.meter.iter().zip(&batch.time).zip(verdicts).enumerate() {
                if wanted(MeterId(*meter), Moment(*time), verdict) {
                    found.push((frame.seq, row, MeterId(*meter), Moment(*time)));
                }
            }
        }
        found
    }

    /// Calls `each` with meter, time and value of one row, where it is still held.
    pub fn with_row(&self, seq: Seq, row: usize, each: impl FnOnce(MeterId, Moment, i64)) {
        let inner = self.read();
        if let Ok(index) = inner.frames.binary_search_by_key(&seq, |frame| frame.seq) {
            let batch = inner.frames[index].batch();
            each(MeterId(batch.meter[row]), Moment(batch.time[row]), batch.value[row]);
        }
    }

    /// Drops the frames that the lake holds now.
    pub fn drop_through(&self, lake_seq: u64) {
        let mut inner = self.write();
        while inner.frames.front().is_some_and(|frame| frame.seq.0 <= lake_seq) {
            let frame = inner.frames.pop_front();
            inner.rows -= frame.map_or(0, |frame| frame.verdicts.len());
        }
        inner.lake_seq = lake_seq;
    }

    /// All frames up to this one are in the lake.
    #[must_use]
    pub fn lake_seq(&self) -> u64 {
        self.read().lake_seq
    }

    /// Rows held.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.read().rows
    }
}
