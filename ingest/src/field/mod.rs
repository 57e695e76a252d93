//! The field: buses, meters, relays over Modbus TCP.
//!
//! **Promises.** One task owns one bus and has one request in flight; commands come before verification reads, these
//! before polls. A device that does not answer is left alone longer and longer, and all silent devices of a bus
//! together take a tenth of its time. A late answer is never taken for the next one. A relay write is sent at most
//! once, only with the words of the meter's profile, and always followed by reading back: [`Seen::Written`] is a
//! command, [`Seen::Contact`] what the device reports. Words that are no value never become a reading.
//!
//! **Invariants.** Nothing here decides: what to write, and what readings mean, is the engine's. Time is the injected
//! clock; only timeouts are real time. Every queue is bounded, and a bus whose events nobody takes stops polling.
//!
//! **Survives a crash:** nothing. Commands are evidence in the engine's book, not here; at a start every meter is read
//! before anything else.
//!
//! Modules in reading order: `port` (what goes in and out), `bus` (the task), `read` (its polls), `meter` (its timetable), `link` (the
//! connection), `sample` (words to a reading), `outbox`, `probe`.
//!
//! [`Seen::Written`]: kernel::reading::Seen::Written
//! [`Seen::Contact`]: kernel::reading::Seen::Contact

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kernel::id::MeterId;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use wal::clock::Clock;

mod bus;
mod link;
mod meter;
mod outbox;
pub mod port;
pub mod probe;
mod read;
mod sample;
#[cfg(test)]
mod tests;

pub use outbox::FieldCounters;
pub use port::{CommandRefused, FieldCommand, FieldEvent, MeterPort, PortsRefused, Settings};
pub use probe::{ProbeError, ProbeRow, probe};

use bus::Bus;
use link::Link;
use meter::Metered;
use outbox::{Counted, Outbox};

/// The running field. Dropping it stops its buses; [`Field::shutdown`] also waits for their last events.
#[derive(Debug)]
pub struct Field {
    clock: Clock,
    settings: Settings,
    out: mpsc::Sender<FieldEvent>,
    counted: Arc<Counted>,
    buses: Mutex<BTreeMap<Address, Running>>,
    /// Held while ports are replaced, so that no bus ever has two tasks.
    configuring: tokio::sync::Mutex<()>,
}

/// A bus: host and port.
type Address = (String, u16);

#[derive(Debug)]
struct Running {
    ports: Vec<MeterPort>,
    commands: mpsc::Sender<FieldCommand>,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<()>>,
}

impl Field {
    /// Starts a task for each bus. Needs a tokio runtime. Every meter is polled at once, then at its interval; buses
    /// take turns, so that the machine does not work in bursts.
    pub fn start(
        ports: Vec<MeterPort>,
        clock: Clock,
        out: mpsc::Sender<FieldEvent>,
        settings: Settings,
    ) -> Result<Field, PortsRefused> {
        let wanted = grouped(ports)?;
        let buses = Mutex::new(BTreeMap::new());
        let (counted, configuring) = (Arc::new(Counted::default()), tokio::sync::Mutex::new(()));
        let field = Field { clock, settings, out, counted, buses, configuring };
        field.run(wanted);
        Ok(field)
    }

    /// Replaces the ports. Buses whose ports are the same go on undisturbed; the others end their request and start
    /// anew. Returns when that is done.
    pub async fn configure(&self, ports: Vec<MeterPort>) -> Result<(), PortsRefused> {
        let wanted = grouped(ports)?;
        let _one_at_a_time = self.configuring.lock().await;
        let changed = |address: &Address, running: &Running| wanted.get(address) != Some(&running.ports);
        self.stop_where(changed).await;
        self.run(wanted);
        Ok(())
    }

    /// Hands a command to its meter's bus; never waits. What became of it arrives as observations.
    pub fn command(&self, command: FieldCommand) -> Result<(), CommandRefused> {
        let meter = command.meter();
        let buses = self.lock();
        let found = buses.values().find_map(|running| {
            let port = running.ports.iter().find(|port| port.meter == meter)?;
            Some((port, &running.commands))
        });
        let (port, commands) = found.ok_or(CommandRefused::UnknownMeter(meter))?;
        if matches!(command, FieldCommand::Write { .. }) && port.profile.relay.is_none() {
            return Err(CommandRefused::NoRelay(meter));
        }
        commands.try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => CommandRefused::QueueFull(meter),
            mpsc::error::TrySendError::Closed(_) => CommandRefused::Stopped(meter),
        })
    }

    /// What the field did since it started.
    #[must_use]
    pub fn counters(&self) -> FieldCounters {
        self.counted.now()
    }

    /// The meters that are polled.
    #[must_use]
    pub fn meters(&self) -> Vec<MeterId> {
        self.lock().values().flat_map(|running| running.ports.iter().map(|port| port.meter)).collect()
    }

    /// Stops every bus and waits until its last events are handed on.
    pub async fn shutdown(self) {
        let _one_at_a_time = self.configuring.lock().await;
        self.stop_where(|_, _| true).await;
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Address, Running>> {
        self.buses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops buses and forgets them. Until then their commands are refused as stopped.
    async fn stop_where(&self, stops: impl Fn(&Address, &Running) -> bool) {
        let mut ending = Vec::new();
        for (address, running) in self.lock().iter_mut().filter(|(address, running)| stops(address, running)) {
            if let Some(stop) = running.stop.take() {
                // The bus may have ended by itself.
                let _ = stop.send(());
            }
            ending.extend(running.task.take().map(|task| (address.clone(), task)));
        }
        for (address, task) in ending {
            if let Err(error) = task.await {
                tracing::error!(bus = ?address, %error, "field: a bus ended badly");
            }
            self.lock().remove(&address);
        }
    }

    /// Starts the buses that are not running.
    fn run(&self, wanted: BTreeMap<Address, Vec<MeterPort>>) {
        let total = i64::try_from(wanted.len()).unwrap_or(i64::MAX).max(1);
        let mut buses = self.lock();
        for (nth, (address, ports)) in (1..).zip(wanted) {
            if buses.contains_key(&address) {
                continue;
            }
            let now = self.clock.now();
            let phase = |port: &MeterPort| port.poll_every / total * nth;
            let meters = ports.iter().map(|port| Metered::new(port.clone(), now, phase(port))).collect();
            let (commands, inbox) = mpsc::channel(self.settings.queue.max(1));
            let (stop, stopped) = oneshot::channel();
            let link = Link::new(&address.0, address.1, self.settings.timeout);
            let outbox = Outbox::new(self.out.clone(), self.clock.clone(), Arc::clone(&self.counted), &self.settings);
            let (clock, counted) = (self.clock.clone(), Arc::clone(&self.counted));
            let bus = Bus::new(link, meters, inbox, outbox, clock, self.settings, counted);
            let task = Some(tokio::spawn(bus.run(stopped)));
            buses.insert(address, Running { ports, commands, stop: Some(stop), task });
        }
    }
}

/// The ports by bus, where they make sense together.
fn grouped(ports: Vec<MeterPort>) -> Result<BTreeMap<Address, Vec<MeterPort>>, PortsRefused> {
    let mut meters = std::collections::BTreeSet::new();
    let mut buses: BTreeMap<Address, Vec<MeterPort>> = BTreeMap::new();
    for port in ports {
        let MeterPort { meter, ref serial, .. } = port;
        if !meters.insert(meter) {
            return Err(PortsRefused::MeterTwice { meter, serial: serial.clone() });
        }
        if port.poll_every <= 0 {
            return Err(PortsRefused::PollInterval { meter, serial: serial.clone() });
        }
        let bus = buses.entry((port.host.clone(), port.port)).or_default();
        let same = |other: &&MeterPort| other.unit == port.unit && other.profile.name == port.profile.name;
        if let Some(other) = bus.iter().find(same) {
            return Err(PortsRefused::SameRegister {
                first: other.serial.clone(),
                second: port.serial,
                profile: port.profile.name.clone(),
                host: port.host,
                port: port.port,
                unit: port.unit,
            });
        }
        bus.push(port);
    }
    Ok(buses)
}
