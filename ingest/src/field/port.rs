//! What goes into the field and what comes out of it.

use std::sync::Arc;
use std::time::Duration;

use kernel::batch::Batch;
pub use kernel::control::FieldCommand;
use kernel::id::MeterId;
use kernel::reading::Observation;
use kernel::time::{MINUTE, SECOND};
use thiserror::Error;

use crate::profile::Profile;

/// A meter on a bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeterPort {
    /// The meter.
    pub meter: MeterId,
    /// Its serial number, for messages.
    pub serial: String,
    /// Its register map.
    pub profile: Arc<Profile>,
    /// The bus: the host of a Modbus TCP device or gateway ...
    pub host: String,
    /// ... and its port, usually 502.
    pub port: u16,
    /// The unit (slave) on that bus.
    pub unit: u8,
    /// Microseconds of the clock from poll to poll.
    pub poll_every: i64,
}

/// What the field saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldEvent {
    /// Polled readings; event time is the clock at the response.
    Readings(Batch),
    /// Evidence about relays, commands and silence.
    Observations(Vec<Observation>),
}

/// Why a command was not taken. Nothing was sent, and no observation follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CommandRefused {
    /// No bus has this meter.
    #[error("meter {0} is on no bus: give it a bus address in the site file")]
    UnknownMeter(MeterId),
    /// Its profile names no relay.
    #[error("meter {0} has no relay that its profile may write")]
    NoRelay(MeterId),
    /// Too many commands wait on this bus.
    #[error("the bus of meter {0} has its queue of commands full: decide again when it has drained")]
    QueueFull(MeterId),
    /// The bus is being stopped or configured anew.
    #[error("the bus of meter {0} is stopping or being configured anew: decide again")]
    Stopped(MeterId),
}

/// Why a set of ports is refused. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PortsRefused {
    /// A meter twice.
    #[error("meter {meter} (serial {serial}) has two bus addresses: keep one")]
    MeterTwice {
        /// The meter.
        meter: MeterId,
        /// Its serial number.
        serial: String,
    },
    /// Two meters that would bill the same register.
    #[error("meters {first} and {second} both read {profile} at {host}:{port} unit {unit}: give each its own unit")]
    SameRegister {
        /// Serial number of one.
        first: String,
        /// Serial number of the other.
        second: String,
        /// Their profile.
        profile: String,
        /// Their bus.
        host: String,
        /// Its port.
        port: u16,
        /// Their unit.
        unit: u8,
    },
    /// A poll interval of nothing.
    #[error("meter {meter} (serial {serial}): the poll interval must be above 0")]
    PollInterval {
        /// The meter.
        meter: MeterId,
        /// Its serial number.
        serial: String,
    },
}

/// How the field behaves. Durations are real time; `*_micros` are time of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long an answer, or a connection, may take.
    pub timeout: Duration,
    /// The longest pause between two attempts at a silent device (never below its own poll interval).
    pub back_off_max_micros: i64,
    /// Failed polls in a row after which a device is reported silent.
    pub silent_after: u32,
    /// How long a meter is read closely after a write.
    pub verify_for_micros: i64,
    /// How often, then.
    pub verify_every_micros: i64,
    /// At least so many samples, however fast the clock runs.
    pub verify_samples: u32,
    /// Commands that may wait on one bus.
    pub queue: usize,
    /// The most rows of a batch.
    pub batch_rows: usize,
    /// How long a finished row may wait for the rest of its batch.
    pub batch_wait: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            timeout: Duration::from_millis(500),
            back_off_max_micros: 5 * MINUTE,
            silent_after: 3,
            verify_for_micros: 120 * SECOND,
            verify_every_micros: 5 * SECOND,
            verify_samples: 5,
            queue: 256,
            batch_rows: 256,
            batch_wait: Duration::from_millis(50),
        }
    }
}
