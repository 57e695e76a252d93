//! One relay command from its creation to its proof (domain.md, 8).
//!
//! ```text
//! created -> queued -> sent -> acknowledged -> verified | acknowledged without load proof | contradicted
//!    |         |  ^      |          |
//!    |         |  |      v          v  (the status says otherwise)
//!    |         |  +-- timed out ----+        back-off, at most `max_attempts` writes, then failed
//!    v         v         v
//! cancelled cancelled  timed out (nobody answers)
//! ```
//! Approval is the step from created to queued. **Invariant:** every state that has not ended has a
//! [`Command::deadline`], and time alone ends every command. A command is written only by the step that stores it as
//! sent, so that a restart never writes it again: it asks the relay instead.

mod step;

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

pub use self::step::step;
use super::FieldCommand;
use super::evidence::OpenedFor;
use super::policy::Policy;
use super::proof::{Before, Sample, Watch};
use crate::id::{AccountId, CommandId, MeterId};
use crate::reading::{Contact, Seen};
use crate::time::{MINUTE, Moment, SECOND};

/// How long after its expiry a write may still be answered.
pub const ANSWER: i64 = 30 * SECOND;

/// How long a relay may take to be read back after a timeout.
pub const READ_BACK: i64 = 2 * MINUTE;

/// One command. Stored as JSON in `commands.definition`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Its identifier.
    pub id: CommandId,
    /// The device.
    pub meter: MeterId,
    /// The account for which it is given.
    pub account: AccountId,
    /// What the contact shall be.
    pub target: Contact,
    /// Why, for a person.
    pub reason: String,
    /// Who gave or approved it.
    pub actor: String,
    /// Why a person gave it, where one did: nothing that control decides later takes it back. Without it control did, for
    /// credit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_hand: Option<OpenedFor>,
    /// Why the contact was open when it was first written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was_open_for: Option<OpenedFor>,
    /// Whether a person called it off.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub called_off: bool,
    /// The stored evaluation it rests on.
    pub evaluation: Option<i64>,
    /// When it was created.
    pub created_at: Moment,
    /// When it is given up.
    pub expires_at: Moment,
    /// How often it was written.
    pub attempts: u32,
    /// How often it may be written.
    pub max_attempts: u32,
    /// The pause after the first attempt, in microseconds; it doubles.
    pub retry_micros: i64,
    /// How long the relay is watched, in microseconds.
    pub verify_micros: i64,
    /// The meter before the switch.
    pub before: Before,
    /// When it was last written.
    pub sent_at: Option<Moment>,
    /// The register at the switch, once it was seen.
    pub count_at_switch: Option<i64>,
    /// Where it stands.
    pub state: State,
}

/// Where a command stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Waits for a person to approve it.
    Created,
    /// Approved; waits to be sent, at the earliest at `from`.
    Queued {
        /// Not before this.
        from: Moment,
    },
    /// Given to the field, which does not write it at `expires` or later.
    Sent {
        /// See above.
        expires: Moment,
    },
    /// No answer. The relay is being read back; the device may or may not have obeyed.
    TimedOut {
        /// When the reading back is given up.
        read_by: Moment,
    },
    /// The device confirmed, or its relay reads as asked; it is being watched.
    Acknowledged(Watch),
    /// Ended.
    Ended {
        /// When.
        at: Moment,
        /// How.
        outcome: Outcome,
    },
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Proven by the load.
    Verified,
    /// The status says so; no load that could prove it.
    WithoutLoadProof,
    /// Keeps counting after the trip.
    Contradicted,
    /// The device refuses or does not obey.
    Failed(String),
    /// Nobody answered; what became of it is not known until the device returns.
    TimedOut,
    /// Called off, and why.
    Cancelled(String),
}

impl State {
    /// The name used in the table `commands`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            State::Created => "created",
            State::Queued { .. } => "queued",
            State::Sent { .. } => "sent",
            State::TimedOut { .. } => "timed_out",
            State::Acknowledged(_) => "acknowledged",
            State::Ended { outcome, .. } => match outcome {
                Outcome::Verified => "verified",
                Outcome::WithoutLoadProof => "acknowledged_without_load_proof",
                Outcome::Contradicted => "contradicted",
                Outcome::Failed(_) => "failed",
                Outcome::TimedOut => "timed_out",
                Outcome::Cancelled(_) => "cancelled",
            },
        }
    }
}

/// What happens to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A person, or the site's mode, lets it go on.
    Approve {
        /// Who.
        actor: String,
        /// When the approved command is given up.
        expires: Moment,
    },
    /// It is called off before it was sent: a person, a payment, or a second look that decides otherwise. A command that
    /// was sent is ended too; the shell then gives the opposite one.
    Cancel {
        /// Why.
        why: String,
    },
    /// A person calls it off, sent or not; what was sent is ended as by [`Event::Cancel`].
    CallOff {
        /// Who.
        actor: String,
    },
    /// The second look was good: write it, unless the field cannot before `expires`.
    Send {
        /// See above.
        expires: Moment,
    },
    /// The field saw something of its meter at `at`.
    Seen {
        /// When.
        at: Moment,
        /// What.
        seen: Seen,
    },
    /// A reading of its meter.
    Sample(Sample),
    /// Time passed.
    Tick,
}

/// What the shell performs, after it has stored the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// For the field.
    Field(FieldCommand),
    /// For a person: something is wrong at the meter.
    Alarm(String),
    /// The command ended; the account is decided afresh.
    Ended(Outcome),
}

impl Command {
    /// A command that waits for approval.
    #[must_use]
    pub fn new(order: Order, policy: &Policy, now: Moment, life: i64) -> Command {
        Command {
            id: order.id,
            meter: order.meter,
            account: order.account,
            target: order.target,
            reason: order.reason,
            actor: order.actor,
            by_hand: order.by_hand,
            was_open_for: None,
            called_off: false,
            evaluation: order.evaluation,
            created_at: now,
            expires_at: now.plus(life),
            attempts: 0,
            max_attempts: policy.max_attempts,
            retry_micros: i64::from(policy.retry_seconds) * SECOND,
            verify_micros: policy.verification(),
            before: order.before,
            sent_at: None,
            count_at_switch: None,
            state: State::Created,
        }
    }

    /// Whether it has not ended.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        !matches!(self.state, State::Ended { .. })
    }

    /// Whether the device may obey it, or may have obeyed it.
    #[must_use]
    pub const fn is_out(&self) -> bool {
        matches!(self.state, State::Sent { .. } | State::TimedOut { .. } | State::Acknowledged(_))
    }

    /// How it ended.
    #[must_use]
    pub const fn outcome(&self) -> Option<&Outcome> {
        match &self.state {
            State::Ended { outcome, .. } => Some(outcome),
            _ => None,
        }
    }

    /// When it must be looked at again, at the latest. `None` only when it has ended.
    #[must_use]
    pub fn deadline(&self) -> Option<Moment> {
        match &self.state {
            State::Created | State::Queued { .. } => Some(self.expires_at),
            State::Sent { expires } => Some(expires.plus(ANSWER)),
            State::TimedOut { read_by } => Some(*read_by),
            State::Acknowledged(watch) => Some(watch.latest),
            State::Ended { .. } => None,
        }
    }

    /// What to ask of the field after a restart: a relay that may have moved is read, never written again.
    #[must_use]
    pub fn after_restart(&self) -> Vec<FieldCommand> {
        if self.is_out() { alloc::vec![FieldCommand::ReadNow { meter: self.meter }] } else { Vec::new() }
    }
}

/// What a new command says.
#[derive(Clone, Debug)]
pub struct Order {
    /// Its identifier.
    pub id: CommandId,
    /// The device.
    pub meter: MeterId,
    /// The account.
    pub account: AccountId,
    /// What the contact shall be.
    pub target: Contact,
    /// Why.
    pub reason: String,
    /// Who.
    pub actor: String,
    /// Why, where a person gives it.
    pub by_hand: Option<OpenedFor>,
    /// The stored evaluation.
    pub evaluation: Option<i64>,
    /// The meter before the switch.
    pub before: Before,
}

#[cfg(test)]
mod tests;
