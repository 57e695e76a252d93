//! Cutting off and reconnecting supply: who, when, why, and whether it came true (domain.md, 6 to 9).
//!
//! **Promises.** A cut is decided only when every rule of [`decide`] holds, and each evaluation says of every rule why
//! it holds or not. Missing, stale, estimated or doubtful evidence never cuts. A command is not an effect: [`relay`]
//! believes a relay only by what its meter shows afterwards, and every state of a command has a time by which it
//! is left.
//!
//! **Invariants.** Nothing here knows a clock, a bus or a store. The shell (`engine::control`) feeds facts and times,
//! keeps the values, stores them before it acts, and performs the effects.
//!
//! Modules in reading order: [`policy`] and [`window`] are the rules of a house, [`alert`] warns, [`brake`] stops a
//! whole site, [`evidence`] is what a decision may look at, [`decide`] decides, [`relay`] sees a command through with
//! [`proof`].

pub mod alert;
pub mod brake;
pub mod decide;
pub mod evidence;
pub mod policy;
pub mod proof;
pub mod relay;
pub mod window;

use crate::id::{CommandId, MeterId};
use crate::reading::Contact;
use crate::time::Moment;

/// What control asks of the field. It leaves only after the book has stored the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldCommand {
    /// Write the relay or valve of this meter, once, and read it back.
    Write {
        /// The command that the observations will name.
        command: CommandId,
        /// The device.
        meter: MeterId,
        /// What the contact shall be.
        target: Contact,
        /// Not written at this moment or later; the field then reports [`crate::reading::Seen::NotSent`].
        expires: Moment,
    },
    /// Read this meter and its contact now, before the polls that wait.
    ReadNow {
        /// The device.
        meter: MeterId,
    },
}

impl FieldCommand {
    /// The meter it concerns.
    #[must_use]
    pub const fn meter(self) -> MeterId {
        match self {
            FieldCommand::Write { meter, .. } | FieldCommand::ReadNow { meter } => meter,
        }
    }
}
