//! How a bus reads: a poll's requests, what an answer or its absence changes, and what goes out.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use kernel::reading::{Reading, Seen, Value};
use kernel::time::Moment;
use tokio::time::timeout;

use super::bus::Bus;
use super::link::LinkError;
use super::meter::least_pause;
use super::outbox::{Closed, count};
use super::sample::{Sample, sample};
use crate::profile::{ReadFunction, Refusal, Snapshot, Span};

impl Bus {
    /// Reads a meter: its billing register first, then what its plan holds beside it.
    pub(super) async fn read(&mut self, index: usize, now: Moment) -> Result<(), Closed> {
        let port = &self.meters[index].port;
        let (unit, profile) = (port.unit, Arc::clone(&port.profile));
        let mut snapshot = Snapshot::default();
        let billing = profile.plan.billing;
        match self.request(unit, profile.read_function, billing).await? {
            Ok(words) => snapshot.insert(billing, words),
            Err(error @ LinkError::Connect { .. }) => return self.bus_is_down(&error).await,
            Err(error) => return self.no_reading(index, &error).await,
        }
        let time = self.clock.now();
        self.bus_is_up(now);
        self.read_others(index, &mut snapshot).await?;
        self.reading(index, time, sample(&profile, &snapshot)).await
    }

    /// The instruments and the relay. A device may choke on these and still answer what is billed; then they are left
    /// alone for a while, and the reading goes without them.
    async fn read_others(&mut self, index: usize, snapshot: &mut Snapshot) -> Result<(), Closed> {
        let (unit, profile) = (self.meters[index].port.unit, Arc::clone(&self.meters[index].port.profile));
        for span in &profile.plan.others {
            let blocked = self.meters[index].others.blocks(self.clock.now()) && !self.meters[index].asked();
            if blocked {
                return Ok(());
            }
            match self.request(unit, profile.read_function, *span).await? {
                Ok(words) => {
                    self.meters[index].others.clear();
                    snapshot.insert(*span, words);
                }
                Err(error) => {
                    let now = self.clock.now();
                    let metered = &mut self.meters[index];
                    tracing::debug!(serial = %metered.port.serial, start = span.start, %error, "field: instruments");
                    let least = least_pause(self.settings.timeout, 1, self.clock.speed());
                    metered.others.fail(now, metered.port.poll_every, self.settings.back_off_max_micros, least);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// A request. Rows that wait for their batch do not wait for a slow device.
    async fn request(
        &mut self,
        unit: u8,
        function: ReadFunction,
        span: Span,
    ) -> Result<Result<Vec<u16>, LinkError>, Closed> {
        let answer = {
            let reading = self.link.read(unit, function, span);
            tokio::pin!(reading);
            if self.outbox.is_waiting() {
                match timeout(self.settings.batch_wait, &mut reading).await {
                    Ok(answer) => answer,
                    Err(_) => {
                        self.outbox.flush().await?;
                        reading.await
                    }
                }
            } else {
                reading.await
            }
        };
        self.note(&answer);
        Ok(answer)
    }

    /// Counts what became of a request.
    pub(super) fn note<T>(&mut self, answer: &Result<T, LinkError>) {
        match answer {
            Ok(_) => self.state.last_answer = self.clock.now(),
            Err(LinkError::Exception(_)) => {
                self.state.last_answer = self.clock.now();
                count(&self.counted.exceptions);
            }
            Err(LinkError::Connect { .. }) => count(&self.counted.connect_failures),
            Err(_) => count(&self.counted.timeouts),
        }
    }

    async fn reading(&mut self, index: usize, time: Moment, sample: Sample) -> Result<(), Closed> {
        let metered = &mut self.meters[index];
        let (meter, asked) = (metered.port.meter, metered.asked());
        if metered.silence.failures() >= self.settings.silent_after {
            tracing::info!(serial = %metered.port.serial, "field: meter answers again");
        }
        metered.silence.clear();
        metered.tried(time, true, &self.settings);
        let contact = sample.instruments.contact;
        let news = contact.filter(|contact| asked || metered.contact != Some(*contact));
        metered.contact = contact.or(metered.contact);
        for (register, refusal) in &sample.refused {
            refused(&self.counted.refused_decodes, &metered.port.serial, register, *refusal);
        }
        match sample.count {
            Ok(count) => {
                let value = Value::Register(count);
                self.outbox.reading(&Reading { meter, time, value, instruments: sample.instruments }).await?;
            }
            Err(refusal) => {
                let register = &metered.port.profile.billing.register.name;
                refused(&self.counted.refused_decodes, &metered.port.serial, register, refusal);
            }
        }
        match news {
            Some(contact) if asked => self.outbox.saw(meter, Seen::Contact(contact)).await,
            Some(contact) => {
                self.outbox.noticed(meter, Seen::Contact(contact));
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// The device did not answer, or refused its billing register.
    async fn no_reading(&mut self, index: usize, error: &LinkError) -> Result<(), Closed> {
        tracing::debug!(serial = %self.meters[index].port.serial, %error, "field: no reading");
        let now = self.clock.now();
        self.meters[index].tried(now, false, &self.settings);
        self.fail(index, now, error).await
    }

    async fn fail(&mut self, index: usize, now: Moment, error: &LinkError) -> Result<(), Closed> {
        let silent = self.meters.iter().filter(|metered| metered.silence.failures() > 0).count();
        let least = least_pause(self.settings.timeout, silent, self.clock.speed());
        let metered = &mut self.meters[index];
        metered.failed(now, least, &self.settings);
        if metered.silence.failures() != self.settings.silent_after {
            return Ok(());
        }
        tracing::warn!(serial = %metered.port.serial, %error, "field: meter is silent");
        let meter = metered.port.meter;
        self.outbox.saw(meter, Seen::Silent).await
    }

    /// No connection: every meter that was due has missed its turn, and the bus is left alone for a while.
    pub(super) async fn bus_is_down(&mut self, error: &LinkError) -> Result<(), Closed> {
        let now = self.clock.now();
        if self.state.down.failures() == 0 {
            tracing::warn!(%error, meters = self.meters.len(), "field: bus is down; check power, cable, host and port");
        }
        let every = self.meters.iter().map(|metered| metered.port.poll_every).min().unwrap_or(1);
        let least = least_pause(self.settings.timeout, 1, self.clock.speed());
        self.state.down.fail(now, every, self.settings.back_off_max_micros, least);
        for index in 0..self.meters.len() {
            if self.meters[index].due(now).is_some() {
                self.meters[index].tried(now, false, &self.settings);
                self.fail(index, now, error).await?;
            }
        }
        Ok(())
    }

    /// A device answered. After the bus was down, every meter gets its poll at once.
    fn bus_is_up(&mut self, now: Moment) {
        if self.state.down.failures() > 0 {
            tracing::info!(meters = self.meters.len(), "field: bus is back");
            self.state.down.clear();
            self.meters.iter_mut().for_each(|metered| metered.bus_is_back(now));
        }
    }
}

/// Words that are no value are not readings: they are counted and traced.
fn refused(counter: &AtomicU64, serial: &str, register: &str, refusal: Refusal) {
    count(counter);
    tracing::warn!(serial, register, %refusal, "field: not a reading");
}
