//! The task that owns one bus: one request at a time, commands before verification reads before polls.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use kernel::id::{CommandId, MeterId};
use kernel::reading::{Contact, Reading, Seen, Value};
use kernel::time::Moment;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};
use wal::clock::Clock;

use super::link::{Link, LinkError};
use super::meter::{BackOff, Metered, Why, least_pause};
use super::outbox::{Closed, Counted, Outbox, count};
use super::port::{FieldCommand, Settings};
use super::sample::{Sample, sample};
use crate::profile::{ReadFunction, Snapshot, Span};

/// A connection idle for so long (real time) may have been closed by the other side; a write takes a new one.
const STALE: Duration = Duration::from_secs(5);

/// The longest sleep, so that a clock that is moved by hand is noticed.
const NAP: Duration = Duration::from_secs(1);

/// How long the last events may wait for room when the bus is stopped.
const FAREWELL: Duration = Duration::from_secs(2);

/// A relay write that waits for its turn.
#[derive(Clone, Copy, Debug)]
struct Write {
    command: CommandId,
    meter: MeterId,
    target: Contact,
    expires: Moment,
}

/// One bus and everything on it.
pub(super) struct Bus {
    pub(super) link: Link,
    pub(super) meters: Vec<Metered>,
    pub(super) commands: mpsc::Receiver<FieldCommand>,
    pub(super) outbox: Outbox,
    pub(super) clock: Clock,
    pub(super) settings: Settings,
    pub(super) counted: Arc<Counted>,
    state: State,
}

#[derive(Debug)]
struct State {
    queue: VecDeque<Write>,
    /// The write whose outcome is not reported yet.
    in_flight: Option<Write>,
    /// The connection cannot be opened.
    down: BackOff,
    last_answer: Moment,
}

impl Bus {
    pub(super) fn new(
        link: Link,
        meters: Vec<Metered>,
        commands: mpsc::Receiver<FieldCommand>,
        outbox: Outbox,
        clock: Clock,
        settings: Settings,
        counted: Arc<Counted>,
    ) -> Bus {
        let last_answer = clock.now();
        let state = State { queue: VecDeque::new(), in_flight: None, down: BackOff::default(), last_answer };
        Bus { link, meters, commands, outbox, clock, settings, counted, state }
    }

    /// Runs until told to stop, or until nobody takes its events. A stop cuts a request short; a write that was cut
    /// short is reported as timed out, the waiting ones as not sent.
    pub(super) async fn run(mut self, mut stop: oneshot::Receiver<()>) {
        loop {
            tokio::select! {
                biased;
                _ = &mut stop => break,
                turn = self.turn() => if turn.is_err() { return },
            }
        }
        self.commands.close();
        if timeout(FAREWELL, self.farewell()).await.is_err() {
            tracing::warn!("field: the last events of a bus were dropped, nobody took them");
        }
    }

    async fn farewell(&mut self) -> Result<(), Closed> {
        if let Some(write) = self.state.in_flight.take() {
            self.outbox.saw(write.meter, Seen::TimedOut(write.command)).await?;
        }
        while let Ok(command) = self.commands.try_recv() {
            self.accept(command);
        }
        while let Some(write) = self.state.queue.pop_front() {
            self.outbox.saw(write.meter, Seen::NotSent(write.command)).await?;
        }
        self.outbox.flush().await
    }

    /// Does the most urgent thing, or waits for one.
    async fn turn(&mut self) -> Result<(), Closed> {
        while self.state.queue.len() < self.settings.queue {
            let Ok(command) = self.commands.try_recv() else { break };
            self.accept(command);
        }
        if let Some(write) = self.state.queue.pop_front() {
            self.state.in_flight = Some(write);
            self.write(write).await?;
            self.state.in_flight = None;
            return Ok(());
        }
        let now = self.clock.now();
        match self.most_urgent(now) {
            Some(index) => self.read(index, now).await,
            None => {
                self.outbox.flush().await?;
                self.wait(now).await;
                Ok(())
            }
        }
    }

    fn accept(&mut self, command: FieldCommand) {
        match command {
            FieldCommand::Write { command, meter, target, expires } => {
                self.state.queue.push_back(Write { command, meter, target, expires });
            }
            FieldCommand::ReadNow { meter } => {
                self.meters.iter_mut().filter(|metered| metered.port.meter == meter).for_each(Metered::ask);
            }
        }
    }

    /// The meter to read now: verification first, then whoever waits longest. While the bus is down only what was
    /// asked for.
    fn most_urgent(&self, now: Moment) -> Option<usize> {
        let down = self.state.down.blocks(now);
        let due = self.meters.iter().enumerate().filter(|(_, metered)| !down || metered.asked());
        let urgent = due.filter_map(|(index, metered)| {
            let why = metered.due(now)?;
            Some((why == Why::Poll, metered.next(now), index))
        });
        urgent.min().map(|(_, _, index)| index)
    }

    /// Sleeps until something is due or a command comes.
    async fn wait(&mut self, now: Moment) {
        let next = self.meters.iter().map(|metered| metered.next(now)).min();
        let next = next.map(|next| self.state.down.until().map_or(next, |until| next.max(until)));
        let pause = next.map_or(NAP, |next| self.clock.real(next.since(now))).min(NAP);
        tokio::select! {
            command = self.commands.recv() => if let Some(command) = command { self.accept(command) },
            () = sleep(pause) => {}
        }
    }

    async fn write(&mut self, write: Write) -> Result<(), Closed> {
        let Write { command, meter, target, expires } = write;
        let Some(index) = self.meters.iter().position(|metered| metered.port.meter == meter) else {
            return self.outbox.saw(meter, Seen::NotSent(command)).await;
        };
        let port = &self.meters[index].port;
        let (unit, serial, profile) = (port.unit, port.serial.clone(), Arc::clone(&port.profile));
        let now = self.clock.now();
        let Some(relay) = profile.relay.as_ref().filter(|_| now < expires) else {
            tracing::info!(%serial, %command, "field: relay command expired before its turn");
            return self.outbox.saw(meter, Seen::NotSent(command)).await;
        };
        if self.clock.real(now.since(self.state.last_answer)) >= STALE {
            self.link.close();
        }
        if let Err(error) = self.link.connect().await {
            count(&self.counted.connect_failures);
            self.outbox.saw(meter, Seen::NotSent(command)).await?;
            self.state.in_flight = None;
            return self.bus_is_down(&error).await;
        }
        count(&self.counted.writes);
        let written = self.link.write(unit, relay.write_function, relay.address, relay.words(target)).await;
        let now = self.clock.now();
        let seen = match written {
            Ok(()) => Seen::Written(command),
            // Still working, or lost behind a gateway: as uncertain as no answer.
            Err(LinkError::Exception(code)) if !matches!(code, 0x05 | 0x0B) => Seen::Refused(command, code),
            Err(ref error) => {
                tracing::warn!(%serial, %command, %error, "field: nobody knows whether the relay was written");
                Seen::TimedOut(command)
            }
        };
        self.note(&written);
        self.meters[index].watch(now, &self.settings);
        self.outbox.saw(meter, seen).await
    }

    async fn read(&mut self, index: usize, now: Moment) -> Result<(), Closed> {
        let port = &self.meters[index].port;
        let (unit, profile) = (port.unit, Arc::clone(&port.profile));
        let mut snapshot = Snapshot::default();
        let Some(billing) = profile.plan.billing else { return Ok(()) };
        match self.request(unit, profile.read_function, billing).await? {
            Ok(words) => snapshot.insert(billing, words),
            Err(error @ LinkError::Connect { .. }) => return self.bus_is_down(&error).await,
            Err(error) => return self.no_reading(index, &error).await,
        }
        let time = self.clock.now();
        self.bus_is_up(now);
        for span in
            profile.plan.others.iter().filter(|_| !self.meters[index].others.blocks(now)).copied().collect::<Vec<_>>()
        {
            match self.request(unit, profile.read_function, span).await? {
                Ok(words) => {
                    self.meters[index].others.clear();
                    snapshot.insert(span, words);
                }
                Err(error) => {
                    let metered = &mut self.meters[index];
                    tracing::debug!(serial = %metered.port.serial, start = span.start, %error, "field: instruments");
                    let least = least_pause(self.settings.timeout, 1, self.clock.speed());
                    let (every, max) = (metered.port.poll_every, self.settings.back_off_max_micros);
                    metered.others.fail(self.clock.now(), every, max, least);
                    break;
                }
            }
        }
        self.reading(index, time, sample(&profile, &snapshot)).await
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

    fn note<T>(&mut self, answer: &Result<T, LinkError>) {
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
    async fn bus_is_down(&mut self, error: &LinkError) -> Result<(), Closed> {
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
fn refused(counter: &AtomicU64, serial: &str, register: &str, refusal: crate::profile::Refusal) {
    count(counter);
    tracing::warn!(serial, register, %refusal, "field: not a reading");
}
