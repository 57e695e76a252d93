//! What a decision may look at: facts of one account, its balance, its meters and its site, as they stand now.
//!
//! The shell fills these from the registry, the balances, the log's observations and its own memory. What is not
//! known is `None`, and what is not known never cuts.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use super::brake::Engaged;
use crate::calendar::Calendar;
use crate::id::{AccountId, CommandId, MeterId, Utility};
use crate::money::Amount;
use crate::reading::Contact;
use crate::time::{Moment, SiteDays};

/// How far a site lets control go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Nobody is cut. What was cut for credit is still restored.
    Off,
    /// What would be cut is logged.
    Shadow,
    /// A person confirms each cut.
    Ask,
    /// Cuts happen.
    Auto,
}

impl Mode {
    /// The name used in files and SQL.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Mode::Off => "off",
            Mode::Shadow => "shadow",
            Mode::Ask => "ask",
            Mode::Auto => "auto",
        }
    }

    /// The mode of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Mode> {
        [Mode::Off, Mode::Shadow, Mode::Ask, Mode::Auto].into_iter().find(|mode| mode.name() == name)
    }
}

/// Why a contact is open. Only what was opened for credit is closed automatically.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OpenedFor {
    /// By control, for want of credit.
    Credit,
    /// By hand: at the meter, for a vacancy, or by a means that control does not know.
    Manual,
    /// For safety.
    Safety,
}

impl OpenedFor {
    /// The name used in SQL.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            OpenedFor::Credit => "credit",
            OpenedFor::Manual => "manual",
            OpenedFor::Safety => "safety",
        }
    }

    /// The cause of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<OpenedFor> {
        [OpenedFor::Credit, OpenedFor::Manual, OpenedFor::Safety].into_iter().find(|cause| cause.name() == name)
    }
}

/// The account as its contract and its operator describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountFacts {
    /// Which account.
    pub account: AccountId,
    /// Prepaid; a postpaid account is never cut here.
    pub prepaid: bool,
    /// When it was closed, if it was.
    pub closed_at: Option<Moment>,
    /// Whether its contract allows a cut at all.
    pub cutoff_enabled: bool,
    /// Why it is never cut: keep-power flag, medical, fire, lift, cold chain, public area, hold or dispute.
    pub protected: Option<String>,
    /// When a person's word that protected it ended: a final notice from before does not count.
    pub protected_until: Option<Moment>,
    /// How far the balance may fall below the policy's threshold.
    pub credit_limit: Amount,
    /// Emergency credit that is not used yet.
    pub emergency_unused: Amount,
    /// When its opening balance and opening reads were confirmed.
    pub confirmed_at: Option<Moment>,
    /// The latest change of its tariffs or installations that nobody has reviewed.
    pub changed_at: Option<Moment>,
}

/// The balance and what it rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BalanceFacts {
    /// Posted transfers minus rated usage not yet posted minus holds.
    pub amount: Amount,
    /// The time of the oldest reading that it rests on.
    pub as_of: Option<Moment>,
    /// Whether it rests on measured quantities alone: no provisional estimate, no forecast.
    pub measured: bool,
    /// Whether late or corrected readings of the account still wait to be rated anew.
    pub rerate_pending: bool,
    /// Debits from re-rates, adjustments and tariff changes whose own notice time has not passed; zero or above. They
    /// are in `amount` and do not count against the customer yet.
    pub uncounted_debits: Amount,
}

/// A payment that has begun and is neither posted nor voided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingPayment {
    /// How much.
    pub amount: Amount,
    /// Since when.
    pub since: Moment,
}

/// One meter of the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeterFacts {
    /// The device.
    pub meter: MeterId,
    /// What people call it.
    pub serial: String,
    /// What it measures.
    pub utility: Utility,
    /// Whether it has a relay or valve that can be written and read back.
    pub has_relay: bool,
    /// How often it is polled, in microseconds; none for imports.
    pub poll: Option<i64>,
    /// The event time of the last reading that counted.
    pub last_reading: Option<Moment>,
    /// Whether an exception, a suspended reading or a conflict is open on it.
    pub exception: bool,
    /// Whether the device answers.
    pub answers: bool,
    /// The contact as evidence shows it since the start of the process.
    pub observed: Option<Contact>,
    /// Since when the contact is not known, while it is not.
    pub unknown_since: Moment,
    /// The open command on it.
    pub in_flight: Option<CommandId>,
    /// How often it was switched within the last 24 h.
    pub switches_24h: u32,
    /// Why it is open.
    pub opened_for: Option<OpenedFor>,
    /// Whether its last cut was contradicted: it kept counting after the trip.
    pub contradicted: bool,
    /// Until when nothing is tried again after a failure.
    pub rest_until: Option<Moment>,
    /// Until when it is not cut again, because a person called a cut off.
    pub spared_until: Option<Moment>,
}

/// The site around it.
#[derive(Clone, Copy, Debug)]
pub struct SiteFacts<'a> {
    /// How far control may go.
    pub mode: Mode,
    /// The fleet brake, where it is on.
    pub brake: Option<Engaged>,
    /// How far the wall clock stepped away from the stamps, in microseconds.
    pub clock_step: i64,
    /// Any other doubt about the machine: a disk error, a log that could not be written.
    pub doubt: Option<&'a str>,
    /// Whether payments reach this system.
    pub payments_healthy: bool,
    /// Day types.
    pub calendar: &'a Calendar,
    /// Local days.
    pub days: &'a SiteDays,
}
