//! What a bus has seen and not yet handed on. Rows wait for each other a little, so that a round of polls is one batch.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kernel::batch::Batch;
use kernel::id::MeterId;
use kernel::reading::{Observation, Reading, Seen};
use kernel::time::Moment;
use tokio::sync::mpsc::Sender;
use wal::clock::Clock;

use super::port::{FieldEvent, Settings};

/// What the field did since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FieldCounters {
    /// Readings handed on.
    pub readings: u64,
    /// Registers whose words were not a value.
    pub refused_decodes: u64,
    /// Requests that nobody answered, or that broke.
    pub timeouts: u64,
    /// Requests that an exception answered.
    pub exceptions: u64,
    /// Connections that could not be opened.
    pub connect_failures: u64,
    /// Relay writes that were sent.
    pub writes: u64,
}

/// The counters, shared by all buses.
#[derive(Debug, Default)]
pub(super) struct Counted {
    pub(super) readings: AtomicU64,
    pub(super) refused_decodes: AtomicU64,
    pub(super) timeouts: AtomicU64,
    pub(super) exceptions: AtomicU64,
    pub(super) connect_failures: AtomicU64,
    pub(super) writes: AtomicU64,
}

/// Counts one.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Counted {
    pub(super) fn now(&self) -> FieldCounters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        FieldCounters {
            readings: read(&self.readings),
            refused_decodes: read(&self.refused_decodes),
            timeouts: read(&self.timeouts),
            exceptions: read(&self.exceptions),
            connect_failures: read(&self.connect_failures),
            writes: read(&self.writes),
        }
    }
}

/// A bus's way out.
pub(super) struct Outbox {
    out: Sender<FieldEvent>,
    clock: Clock,
    counted: Arc<Counted>,
    rows_max: usize,
    wait: Duration,
    batch: Batch,
    /// At most one a meter and request: as long as the batch.
    seen: Vec<Observation>,
}

/// Nobody takes the field's events any more.
#[derive(Debug)]
pub(super) struct Closed;

impl Outbox {
    pub(super) fn new(out: Sender<FieldEvent>, clock: Clock, counted: Arc<Counted>, settings: &Settings) -> Outbox {
        let (rows_max, wait) = (settings.batch_rows.max(1), settings.batch_wait);
        Outbox { out, clock, counted, rows_max, wait, batch: Batch::default(), seen: Vec::new() }
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.batch.is_empty() || !self.seen.is_empty()
    }

    /// Adds a row; hands the batch on when it is full, or when its first row has waited long enough.
    pub(super) async fn reading(&mut self, reading: &Reading) -> Result<(), Closed> {
        self.batch.push(reading);
        let first = self.batch.time.first().map_or(reading.time, |first| Moment(*first));
        let waited = self.clock.real(self.clock.now().since(first));
        if self.batch.len() >= self.rows_max || waited >= self.wait { self.flush().await } else { Ok(()) }
    }

    /// Adds an observation that may wait for the batch.
    pub(super) fn noticed(&mut self, meter: MeterId, seen: Seen) {
        self.seen.push(Observation { meter, time: self.clock.now(), seen });
    }

    /// Hands on an observation at once, after everything before it.
    pub(super) async fn saw(&mut self, meter: MeterId, seen: Seen) -> Result<(), Closed> {
        self.noticed(meter, seen);
        self.flush().await
    }

    /// Hands on everything, readings first. Waits while the other side is full: a poll that cannot be stored is not
    /// made. What is not handed on stays here if the wait is given up.
    pub(super) async fn flush(&mut self) -> Result<(), Closed> {
        if !self.batch.is_empty() {
            let place = self.out.reserve().await.map_err(|_| Closed)?;
            let mut batch = std::mem::take(&mut self.batch);
            batch.received_at = self.clock.now().0;
            self.counted.readings.fetch_add(u64::try_from(batch.len()).unwrap_or(0), Ordering::Relaxed);
            place.send(FieldEvent::Readings(batch));
        }
        if !self.seen.is_empty() {
            let place = self.out.reserve().await.map_err(|_| Closed)?;
            place.send(FieldEvent::Observations(std::mem::take(&mut self.seen)));
        }
        Ok(())
    }
}
