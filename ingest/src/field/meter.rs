//! One meter's place in its bus's timetable: when it is read next, and how long it is left alone when it is silent.

use std::time::Duration;

use kernel::reading::Contact;
use kernel::time::Moment;

use super::port::{MeterPort, Settings};

/// A device that does not answer is left alone longer and longer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct BackOff {
    failures: u32,
    until: Option<Moment>,
}

impl BackOff {
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    pub(super) fn blocks(&self, now: Moment) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    pub(super) fn until(&self) -> Option<Moment> {
        self.until
    }

    pub(super) fn clear(&mut self) {
        *self = BackOff::default();
    }

    /// One more failure. The first changes nothing; then the pause doubles from `every` up to `max`, and is never
    /// below `least`.
    pub(super) fn fail(&mut self, now: Moment, every: i64, max: i64, least: i64) {
        self.failures = self.failures.saturating_add(1);
        let doublings = self.failures.saturating_sub(1).min(30);
        if doublings > 0 {
            let pause = every.saturating_mul(1 << doublings).min(max.max(every)).max(least);
            self.until = Some(now.plus(pause));
        }
    }
}

/// Close reading after a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Watch {
    until: Moment,
    samples: u32,
    next: Moment,
}

/// A meter on its bus.
#[derive(Debug)]
pub(super) struct Metered {
    pub(super) port: MeterPort,
    /// When the next poll is due.
    next_poll: Moment,
    /// The device.
    pub(super) silence: BackOff,
    /// The requests beside the billing register: a device may answer that one and choke on these.
    pub(super) others: BackOff,
    watch: Option<Watch>,
    read_now: bool,
    /// The last contact that was reported.
    pub(super) contact: Option<Contact>,
}

/// Why a meter is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Why {
    /// Its time has come.
    Poll,
    /// A write is being watched, or somebody asked.
    Verify,
}

impl Metered {
    /// A meter whose first poll is due at once, and whose second comes `phase` later; then it keeps its beat.
    pub(super) fn new(port: MeterPort, now: Moment, phase: i64) -> Metered {
        let next_poll = now.plus(phase.clamp(1, port.poll_every) - port.poll_every);
        Metered {
            port,
            next_poll,
            silence: BackOff::default(),
            others: BackOff::default(),
            watch: None,
            read_now: false,
            contact: None,
        }
    }

    /// Whether it is to be read now, and why.
    pub(super) fn due(&self, now: Moment) -> Option<Why> {
        let watched = self.watch.is_some_and(|watch| now >= watch.next) && !self.silence.blocks(now);
        if self.read_now || watched {
            return Some(Why::Verify);
        }
        (now >= self.next_poll && !self.silence.blocks(now)).then_some(Why::Poll)
    }

    /// When it is to be read next.
    pub(super) fn next(&self, now: Moment) -> Moment {
        if self.read_now {
            return now;
        }
        let planned = self.watch.map_or(self.next_poll, |watch| watch.next.min(self.next_poll));
        self.silence.until.map_or(planned, |until| planned.max(until))
    }

    /// Somebody asked for a reading.
    pub(super) fn ask(&mut self) {
        self.read_now = true;
    }

    /// Whether somebody asked.
    pub(super) fn asked(&self) -> bool {
        self.read_now
    }

    /// Its relay was, or may have been, written: read it at once, and closely for a while.
    pub(super) fn watch(&mut self, now: Moment, settings: &Settings) {
        self.watch = Some(Watch { until: now.plus(settings.verify_for_micros), samples: 0, next: now });
        self.contact = None;
        self.read_now = true;
    }

    /// It was tried: the timetable moves on. Polls keep their beat, and missed beats are not made up.
    pub(super) fn tried(&mut self, now: Moment, answered: bool, settings: &Settings) {
        self.read_now = false;
        if now >= self.next_poll {
            let every = self.port.poll_every;
            let missed = now.since(self.next_poll) / every;
            self.next_poll = self.next_poll.plus((missed + 1).saturating_mul(every));
        }
        if let Some(mut watch) = self.watch {
            watch.samples += u32::from(answered);
            watch.next = now.plus(settings.verify_every_micros);
            let enough = !answered || watch.samples >= settings.verify_samples;
            self.watch = (now < watch.until || !enough).then_some(watch);
        }
    }

    /// Its bus is back: no pause, and a poll at once.
    pub(super) fn bus_is_back(&mut self, now: Moment) {
        self.silence.clear();
        self.next_poll = self.next_poll.min(now);
    }

    /// It did not answer. `silent` devices share a tenth of the bus's time, whatever the clock's speed.
    pub(super) fn failed(&mut self, now: Moment, least: i64, settings: &Settings) {
        self.silence.fail(now, self.port.poll_every, settings.back_off_max_micros, least);
    }
}

/// The shortest pause, in the clock's time, that leaves `silent` devices a tenth of their bus's time.
pub(super) fn least_pause(timeout: Duration, silent: usize, speed: u32) -> i64 {
    let real = timeout.as_micros().saturating_mul(10).saturating_mul(silent.max(1) as u128);
    i64::try_from(real.saturating_mul(u128::from(speed))).unwrap_or(i64::MAX)
}
