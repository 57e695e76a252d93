//! The field against simulated devices over real loopback. Clocks run fast; nothing is slept for, events are awaited.

mod lies;
mod polling;
mod relay;
mod timetable;
mod wiring;

use std::time::Duration;

use kernel::id::MeterId;
use kernel::reading::{Contact, Observation, Reading, Seen, Value};
use kernel::time::{MINUTE, Moment, SECOND};
use tokio::net::TcpSocket;
use tokio::sync::mpsc::{self, Receiver};
use wal::clock::Clock;

use super::{Field, FieldEvent, Settings};
use crate::profile::find;
use crate::simulated::{LoadShape, SimulatedField, SimulatedMeter, on_buses};

const START: Moment = Moment(1_780_000_000_000_000);

/// Far beyond what any step needs on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A simulated field, its poller, and what comes out.
struct Rig {
    clock: Clock,
    simulated: SimulatedField,
    field: Field,
    events: Receiver<FieldEvent>,
    seen: Vec<Observation>,
    readings: Vec<Reading>,
}

/// Timeouts short enough for tests, long enough for a busy machine.
fn settings() -> Settings {
    Settings { timeout: Duration::from_millis(300), ..Settings::default() }
}

fn simulated(id: u32, profile: &str, load: LoadShape) -> SimulatedMeter {
    SimulatedMeter {
        meter: MeterId(id),
        serial: format!("S{id}"),
        profile: find(profile).unwrap(),
        unit: 0,
        load,
        start_count: 1_000 * i64::from(id),
        contact: Contact::Closed,
    }
}

impl Rig {
    async fn new(meters: Vec<SimulatedMeter>, per_bus: u8, poll_every: i64, speed: u32) -> Rig {
        Rig::with(meters, per_bus, poll_every, speed, settings()).await
    }

    async fn with(meters: Vec<SimulatedMeter>, per_bus: u8, poll_every: i64, speed: u32, settings: Settings) -> Rig {
        let clock = Clock::running(START, speed);
        let simulated = SimulatedField::start(on_buses(meters, per_bus), clock.clone()).await.unwrap();
        let (out, events) = mpsc::channel(64);
        let field = Field::start(simulated.ports(poll_every), clock.clone(), out, settings).unwrap();
        Rig { clock, simulated, field, events, seen: Vec::new(), readings: Vec::new() }
    }

    /// Takes events until `enough`.
    async fn until(&mut self, what: &str, enough: impl Fn(&Rig) -> bool) {
        let all = async {
            while !enough(self) {
                match self.events.recv().await.expect("the field runs") {
                    FieldEvent::Readings(batch) => {
                        assert!(batch.is_well_formed());
                        self.readings.extend((0..batch.len()).map(|row| batch.reading(row)));
                    }
                    FieldEvent::Observations(seen) => self.seen.extend(seen),
                }
            }
        };
        let waited = tokio::time::timeout(PATIENCE, all).await.is_ok();
        assert!(waited, "{what}; seen {:?}, {} readings", self.seen, self.readings.len());
    }

    async fn until_seen(&mut self, meter: u32, seen: Seen) {
        self.until(&format!("meter {meter}: {seen:?}"), |rig| rig.saw(meter, seen) > 0).await;
    }

    /// Waits for `more` readings of a meter from now on and returns them.
    async fn fresh(&mut self, meter: u32, more: usize) -> Vec<Reading> {
        let from = self.clock.now();
        let fresh =
            |rig: &Rig| -> Vec<Reading> { rig.of(meter).into_iter().filter(|reading| reading.time >= from).collect() };
        self.until(&format!("{more} readings of meter {meter}"), |rig| fresh(rig).len() >= more).await;
        fresh(self)
    }

    fn of(&self, meter: u32) -> Vec<Reading> {
        self.readings.iter().filter(|reading| reading.meter == MeterId(meter)).copied().collect()
    }

    fn saw(&self, meter: u32, seen: Seen) -> usize {
        self.seen.iter().filter(|event| event.meter == MeterId(meter) && event.seen == seen).count()
    }

    fn order(&self, meter: u32) -> Vec<Seen> {
        self.seen.iter().filter(|event| event.meter == MeterId(meter)).map(|event| event.seen).collect()
    }
}

/// A port that refuses connections, and that nobody else is given while it is held. 0 takes any.
fn closed_port(port: u16) -> (TcpSocket, u16) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(([127, 0, 0, 1], port).into()).unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}

fn counts(readings: &[Reading]) -> Vec<i64> {
    let count = |reading: &Reading| match reading.value {
        Value::Register(count) => count,
        Value::Usage { .. } => panic!("the field reads registers"),
    };
    readings.iter().map(count).collect()
}

/// A load of 36 kW: one count of 0.01 kWh a second.
const ONE_COUNT_A_SECOND: LoadShape = LoadShape::Constant(36_000_000);

const FAST: u32 = 600;

const POLL: i64 = 30 * SECOND;

const HOURLY: i64 = 60 * MINUTE;
