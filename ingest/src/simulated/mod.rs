//! A field to try everything on: real Modbus TCP servers on loopback, several meters behind each.
//!
//! **Promises.** A meter's register is the exact integral of its load over the injected clock: the same shape, clock
//! and commands give the same counts. An open relay stops power and register. Words are encoded from the profile's
//! tables by code of its own, so that a fault in the decoder does not cancel out. A meter lies only when told to.
//!
//! **Invariants.** It listens on 127.0.0.1 only. It never looks at what the poller does.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kernel::id::MeterId;
use kernel::reading::Contact;
use thiserror::Error;
use tokio::task::JoinHandle;
use wal::clock::Clock;

use crate::field::MeterPort;
use crate::profile::Profile;

mod encode;
mod load;
mod meter;
mod server;
#[cfg(test)]
mod tests;

pub use load::{LoadShape, Power};
use meter::Device;

/// A meter to simulate.
#[derive(Clone, Debug)]
pub struct SimulatedMeter {
    /// Its identifier.
    pub meter: MeterId,
    /// Its serial number.
    pub serial: String,
    /// Its model.
    pub profile: Arc<Profile>,
    /// Its unit on the bus, 1 to 247.
    pub unit: u8,
    /// What flows through it.
    pub load: LoadShape,
    /// What its register shows at the start; a replay begins with its own count.
    pub start_count: i64,
    /// Its relay at the start.
    pub contact: Contact,
}

/// A bus to simulate: one port of 127.0.0.1.
#[derive(Clone, Debug)]
pub struct SimulatedBus {
    /// The port; 0 takes any free one.
    pub port: u16,
    /// The meters behind it.
    pub meters: Vec<SimulatedMeter>,
}

/// How a meter misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Requests are lost: nothing is obeyed, nothing answered.
    Drop,
    /// Requests are obeyed at once and answered so much later (real time).
    Delay(Duration),
    /// Every request is answered by this Modbus exception.
    Exception(u8),
    /// The register shows this count, for so many reads.
    Glitch {
        /// What it shows.
        count: i64,
        /// How often.
        reads: u32,
    },
    /// The relay reports what it was told, but its contact is welded: power and register go on.
    Welded,
    /// The relay confirms a write and stays where it is.
    DeafRelay,
    /// The register stands still while power flows.
    Stuck,
    /// Every word read is this one.
    Fill(u16),
}

/// Why a simulated field does not start.
#[derive(Debug, Error)]
pub enum SimulatedError {
    /// A port cannot be had.
    #[error("simulated bus cannot listen on {address}: {source}; end the program that holds the port, or use port 0")]
    Port {
        /// Where it should have listened.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// Two meters of one bus with one unit, or a unit that Modbus does not have.
    #[error("simulated meter {serial}: unit {unit} is taken or outside 1 to 247; give each meter of a bus its own")]
    Unit {
        /// The meter's serial number.
        serial: String,
        /// Its unit.
        unit: u8,
    },
    /// A meter twice.
    #[error("simulated meter {serial}: meter {meter} is there twice")]
    MeterTwice {
        /// The meter's serial number.
        serial: String,
        /// The meter.
        meter: MeterId,
    },
}

/// A running simulated field. Dropping it ends its servers.
#[derive(Debug)]
pub struct SimulatedField {
    clock: Clock,
    devices: BTreeMap<MeterId, Place>,
    servers: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Place {
    device: Shared,
    serial: String,
    profile: Arc<Profile>,
    address: SocketAddr,
    unit: u8,
}

/// A meter, shared by its server and its handle.
type Shared = Arc<Mutex<Device>>;

fn lock(device: &Shared) -> MutexGuard<'_, Device> {
    device.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Puts meters on as few buses as hold `per_bus` each, on any free ports, with units from 1 upwards.
#[must_use]
pub fn on_buses(meters: Vec<SimulatedMeter>, per_bus: u8) -> Vec<SimulatedBus> {
    let per_bus = usize::from(per_bus.clamp(1, 247));
    let with_units = |meters: &[SimulatedMeter]| {
        let units = (1..=u8::MAX).zip(meters.iter().cloned());
        units.map(|(unit, meter)| SimulatedMeter { unit, ..meter }).collect()
    };
    meters.chunks(per_bus).map(|chunk| SimulatedBus { port: 0, meters: with_units(chunk) }).collect()
}

impl SimulatedField {
    /// Starts the servers; returns when every port listens. Needs a tokio runtime.
    pub async fn start(buses: Vec<SimulatedBus>, clock: Clock) -> Result<SimulatedField, SimulatedError> {
        let mut field = SimulatedField { clock, devices: BTreeMap::new(), servers: Vec::new() };
        for bus in buses {
            field.add_bus(bus).await?;
        }
        Ok(field)
    }

    async fn add_bus(&mut self, bus: SimulatedBus) -> Result<(), SimulatedError> {
        let (listener, address) = server::listen(bus.port).await?;
        let (mut units, mut meters) = (BTreeMap::new(), BTreeSet::new());
        for SimulatedMeter { meter, serial, profile, unit, load, start_count, contact } in bus.meters {
            if !(1..=247).contains(&unit) || units.contains_key(&unit) {
                return Err(SimulatedError::Unit { serial, unit });
            }
            if self.devices.contains_key(&meter) || !meters.insert(meter) {
                return Err(SimulatedError::MeterTwice { serial, meter });
            }
            let device = Device::new(Arc::clone(&profile), load, start_count, contact, self.clock.now());
            let device = Arc::new(Mutex::new(device));
            units.insert(unit, Arc::clone(&device));
            self.devices.insert(meter, Place { device, serial, profile, address, unit });
        }
        self.servers.push(server::serve(listener, units, self.clock.clone()));
        Ok(())
    }

    /// The ports that a poller needs, in the meters' order.
    #[must_use]
    pub fn ports(&self, poll_every: i64) -> Vec<MeterPort> {
        let port = |(meter, place): (&MeterId, &Place)| MeterPort {
            meter: *meter,
            serial: place.serial.clone(),
            profile: Arc::clone(&place.profile),
            host: place.address.ip().to_string(),
            port: place.address.port(),
            unit: place.unit,
            poll_every,
        };
        self.devices.iter().map(port).collect()
    }

    /// Where a meter is.
    #[must_use]
    pub fn address(&self, meter: MeterId) -> Option<(SocketAddr, u8)> {
        self.devices.get(&meter).map(|place| (place.address, place.unit))
    }

    /// Makes a meter lie from now on, or be honest again. Nothing happens to an unknown meter.
    pub fn set_lie(&self, meter: MeterId, lie: Option<Lie>) {
        self.with(meter, |device| device.set_lie(lie));
    }

    /// Changes what flows through a meter from now on.
    pub fn set_load(&self, meter: MeterId, load: LoadShape) {
        self.with(meter, |device| device.set_load(load));
    }

    /// Turns a relay by hand.
    pub fn turn(&self, meter: MeterId, contact: Contact) {
        self.with(meter, |device| device.turn(contact));
    }

    /// The register now, as it truly is.
    #[must_use]
    pub fn register(&self, meter: MeterId) -> Option<i64> {
        self.with(meter, |device| device.count())
    }

    /// The power (or flow) now, as it truly is.
    #[must_use]
    pub fn power_mw(&self, meter: MeterId) -> Option<i64> {
        self.with(meter, |device| device.power())
    }

    /// What the relay reports.
    #[must_use]
    pub fn contact(&self, meter: MeterId) -> Option<Contact> {
        self.with(meter, |device| device.contact())
    }

    /// How many requests a meter was sent.
    #[must_use]
    pub fn requests(&self, meter: MeterId) -> Option<u64> {
        self.with(meter, |device| device.requests())
    }

    /// Ends the servers and waits until their ports are free.
    pub async fn shutdown(mut self) {
        for server in std::mem::take(&mut self.servers) {
            server.abort();
            // An aborted task ends with an error that says so.
            let _ = server.await;
        }
    }

    fn with<T>(&self, meter: MeterId, act: impl FnOnce(&mut Device) -> T) -> Option<T> {
        let place = self.devices.get(&meter)?;
        let mut device = lock(&place.device);
        device.advance(self.clock.now());
        Some(act(&mut device))
    }
}

impl Drop for SimulatedField {
    fn drop(&mut self) {
        self.servers.iter().for_each(JoinHandle::abort);
    }
}
