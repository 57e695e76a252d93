//! The task that owns one bus: one request at a time, commands before verification reads before polls.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use kernel::id::{CommandId, MeterId};
use kernel::reading::{Contact, Seen};
use kernel::time::Moment;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};
use wal::clock::Clock;

use super::link::{Link, LinkError};
use super::meter::{BackOff, Metered, Why};
use super::outbox::{Closed, Counted, Outbox, count};
use super::port::{FieldCommand, Settings};

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
    pub(super) state: State,
}

/// What a bus remembers from turn to turn.
#[derive(Debug)]
pub(super) struct State {
    queue: VecDeque<Write>,
    /// The write whose outcome is not reported yet.
    in_flight: Option<Write>,
    /// The connection cannot be opened.
    pub(super) down: BackOff,
    /// When a device answered last.
    pub(super) last_answer: Moment,
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
            self.outbox.noticed(write.meter, Seen::TimedOut(write.command));
        }
        while let Ok(command) = self.commands.try_recv() {
            self.accept(command);
        }
        while let Some(write) = self.state.queue.pop_front() {
            self.outbox.noticed(write.meter, Seen::NotSent(write.command));
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
            return self.write(write).await;
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
            return self.outcome(meter, Seen::NotSent(command)).await;
        };
        let port = &self.meters[index].port;
        let (unit, serial, profile) = (port.unit, port.serial.clone(), Arc::clone(&port.profile));
        let now = self.clock.now();
        let Some(relay) = profile.relay.as_ref().filter(|_| now < expires) else {
            tracing::info!(%serial, %command, "field: relay command expired before its turn");
            return self.outcome(meter, Seen::NotSent(command)).await;
        };
        if self.clock.real(now.since(self.state.last_answer)) >= STALE {
            self.link.close();
        }
        if let Err(error) = self.link.connect().await {
            count(&self.counted.connect_failures);
            self.outcome(meter, Seen::NotSent(command)).await?;
            return self.bus_is_down(&error).await;
        }
        count(&self.counted.writes);
        let written = self.link.write(unit, relay.write_function, relay.address, relay.words(target)).await;
        self.note(&written);
        let seen = match written {
            Ok(()) => Seen::Written(command),
            // Still working, or lost behind a gateway: as uncertain as no answer.
            Err(LinkError::Exception(code)) if !matches!(code, 0x05 | 0x0B) => Seen::Refused(command, code),
            Err(error) => {
                tracing::warn!(%serial, %command, %error, "field: nobody knows whether the relay was written");
                Seen::TimedOut(command)
            }
        };
        self.meters[index].watch(self.clock.now(), &self.settings);
        self.outcome(meter, seen).await
    }

    /// Reports what became of the write in flight: once, also when the bus is stopped while it is handed on.
    async fn outcome(&mut self, meter: MeterId, seen: Seen) -> Result<(), Closed> {
        self.outbox.noticed(meter, seen);
        self.state.in_flight = None;
        self.outbox.flush().await
    }
}
