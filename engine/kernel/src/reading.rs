//! What a meter said, and what became of it.

use serde::{Deserialize, Serialize};

use crate::id::{CommandId, MeterId};
use crate::money::Quantity;
use crate::time::Moment;

/// What one reading states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Value {
    /// A cumulative register, in raw counts as the device shows them.
    Register(i64),
    /// A quantity used from `start` to the reading's time.
    Usage {
        /// Where the interval begins.
        start: Moment,
        /// How much was used, in 1/1000 of the billing unit.
        quantity: Quantity,
    },
}

/// The state of a supply relay or valve as the device reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Contact {
    /// Supply is interrupted.
    Open,
    /// Supply flows.
    Closed,
}

/// Instrument values beside the register, each absent where the meter has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instruments {
    /// Active power in mW; for water and gas the flow in ml per hour.
    pub power_mw: Option<i64>,
    /// Voltage in mV.
    pub voltage_mv: Option<i64>,
    /// Current in mA.
    pub current_ma: Option<i64>,
    /// Power factor in 1/1000.
    pub power_factor_milli: Option<i64>,
    /// The relay or valve.
    pub contact: Option<Contact>,
}

/// One reading: (meter, event time) -> value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The device.
    pub meter: MeterId,
    /// When the register showed this, or where the usage interval ends.
    pub time: Moment,
    /// What it states.
    pub value: Value,
    /// Instruments read in the same poll.
    pub instruments: Instruments,
}

/// Evidence about a relay command, from the field. It enters the log beside the readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// The device.
    pub meter: MeterId,
    /// When the field saw it.
    pub time: Moment,
    /// What it saw.
    pub seen: Seen,
}

/// What the field saw of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seen {
    /// The device confirmed the write of this command. A command is not an effect.
    Written(CommandId),
    /// The device or its gateway refused the write with a Modbus exception code.
    Refused(CommandId, u8),
    /// No answer to the write within its time: the device may or may not have obeyed.
    TimedOut(CommandId),
    /// The command expired before it could be sent, or its sending was called off.
    NotSent(CommandId),
    /// The relay or valve was read back.
    Contact(Contact),
    /// The device has not answered for several polls.
    Silent,
}

/// What billing made of a reading (domain.md, 2). Stored beside the reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Verdict {
    /// Acknowledged, not judged yet.
    Pending,
    /// Billed, and the next baseline.
    Accepted,
    /// The first reading of its epoch: the baseline, no charge.
    Opening,
    /// A decrease within the jitter: counts as zero until it is passed again.
    Jitter,
    /// Implausible; not billed and not the next baseline.
    Suspended,
    /// A suspended reading that a plausible one followed.
    Glitch,
    /// Part of a reset or jump: three or more implausible readings that agree among themselves.
    Exception,
    /// The same key and value again: a no-op.
    Duplicate,
    /// Another value for the same key: all values of the key are in quarantine.
    Conflict,
    /// Dated in the future by more than the allowed drift.
    Future,
    /// An invalid code of the profile, or a usage interval that ends before it starts.
    Invalid,
    /// A usage interval that overlaps one already billed.
    Overlap,
    /// No installation holds this meter at this time.
    NoEpoch,
    /// A person's correction of the same key takes its place.
    Superseded,
}

impl Verdict {
    /// All verdicts; a verdict's code is its place here. When this changes, `verdict` in the lake's files and the
    /// table `hot_verdicts` change with it: append only.
    pub const ALL: [Verdict; 14] = [
        Verdict::Pending,
        Verdict::Accepted,
        Verdict::Opening,
        Verdict::Jitter,
        Verdict::Suspended,
        Verdict::Glitch,
        Verdict::Exception,
        Verdict::Duplicate,
        Verdict::Conflict,
        Verdict::Future,
        Verdict::Invalid,
        Verdict::Overlap,
        Verdict::NoEpoch,
        Verdict::Superseded,
    ];

    /// The name used in SQL.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Verdict::Pending => "pending",
            Verdict::Accepted => "accepted",
            Verdict::Opening => "opening",
            Verdict::Jitter => "jitter",
            Verdict::Suspended => "suspended",
            Verdict::Glitch => "glitch",
            Verdict::Exception => "exception",
            Verdict::Duplicate => "duplicate",
            Verdict::Conflict => "conflict",
            Verdict::Future => "future",
            Verdict::Invalid => "invalid",
            Verdict::Overlap => "overlap",
            Verdict::NoEpoch => "no_epoch",
            Verdict::Superseded => "superseded",
        }
    }

    /// The stored code.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The verdict of a stored code.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Verdict> {
        Verdict::ALL.get(usize::from(code)).copied()
    }

    /// Whether an interval ends or an epoch begins at this reading.
    #[must_use]
    pub const fn counts(self) -> bool {
        matches!(self, Verdict::Accepted | Verdict::Opening | Verdict::Jitter)
    }
}
