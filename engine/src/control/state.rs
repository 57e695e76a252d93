//! What is remembered of each account and meter between ticks.

use kernel::control::alert::AlertState;
use kernel::control::decide::Reason;
use kernel::control::evidence::{BalanceFacts, Mode, OpenedFor, PendingPayment};
use kernel::control::relay::{Command, Outcome, State};
use kernel::reading::Contact;
use kernel::time::{DAY, HOUR, MINUTE, Moment};

/// The first pause after a command that failed; it doubles with each further one, up to [`LONGEST_REST`].
const REST: i64 = MINUTE;
/// See [`REST`].
const LONGEST_REST: i64 = 15 * MINUTE;

/// The machine, as the process sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// How far the wall clock stepped away from the stamps (`wal::clock::Clock::wall_step`), in microseconds.
    pub clock_step: i64,
    /// Any other doubt, such as a disk error.
    pub doubt: Option<String>,
    /// Whether payments reach this system.
    pub payments_healthy: bool,
}

impl Default for Health {
    fn default() -> Health {
        Health { clock_step: 0, doubt: None, payments_healthy: true }
    }
}

/// After a person called a cut off it is not given again for so long.
const SPARED: i64 = HOUR;

/// An evaluation as it was stored last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The decision's name.
    pub decision: String,
    /// The mode.
    pub mode: Mode,
    /// The reasons.
    pub reasons: Vec<Reason>,
}

/// An account.
#[derive(Clone, Debug, Default)]
pub struct AccountState {
    /// Its balance, once it was told.
    pub balance: Option<BalanceFacts>,
    /// Payments under way.
    pub payments: Vec<PendingPayment>,
    /// What it was warned of.
    pub alert: AlertState,
    /// The last stored evaluation.
    pub stored: Option<Stored>,
}

/// A meter.
#[derive(Clone, Debug)]
pub struct MeterState {
    /// What policy wants.
    pub desired: Option<Contact>,
    /// What the last command that was sent said.
    pub commanded: Option<Contact>,
    /// What evidence shows since the start.
    pub observed: Option<Contact>,
    /// When it was last shown.
    pub observed_at: Option<Moment>,
    /// Since when it is not known, while it is not.
    pub unknown_since: Moment,
    /// Why it is open.
    pub opened_for: Option<OpenedFor>,
    /// Whether it answers; false until it was heard since the start.
    pub answers: bool,
    /// The event time of the last reading that counted.
    pub last_reading: Option<Moment>,
    /// Its register then.
    pub last_count: Option<i64>,
    /// When load was last seen.
    pub load_at: Option<Moment>,
    /// Whether an exception is open.
    pub exception: bool,
    /// The open command.
    pub command: Option<Command>,
    /// The register at the last trip.
    pub count_at_trip: Option<i64>,
    /// Whether it kept counting after its last trip.
    pub contradicted: bool,
    /// When commands were sent, within the last 24 h.
    pub switches: Vec<Moment>,
    /// Commands that failed in a row.
    pub failures: u32,
    /// Until when nothing is tried again.
    pub rest_until: Option<Moment>,
    /// Until when it is not cut again, because a person called a cut off.
    pub spared_until: Option<Moment>,
    /// The evaluation behind its state.
    pub evaluation: Option<i64>,
    /// When its row in `supply` last changed.
    pub changed_at: Moment,
}

impl MeterState {
    pub(super) fn new(now: Moment) -> MeterState {
        MeterState {
            desired: None,
            commanded: None,
            observed: None,
            observed_at: None,
            unknown_since: now,
            opened_for: None,
            answers: false,
            last_reading: None,
            last_count: None,
            load_at: None,
            exception: false,
            command: None,
            count_at_trip: None,
            contradicted: false,
            switches: Vec::new(),
            failures: 0,
            rest_until: None,
            spared_until: None,
            evaluation: None,
            changed_at: now,
        }
    }

    /// Takes in what a command means for later ones: when it ends, and again when it is loaded.
    pub(super) fn remember(&mut self, command: &Command, now: Moment) {
        if let Some(sent) = command.sent_at {
            self.switched(sent, now);
        }
        let State::Ended { at: ended, outcome } = &command.state else { return };
        if command.called_off && command.target == Contact::Open {
            self.spared_until = Some(ended.plus(SPARED));
        }
        if command.target == Contact::Open && command.count_at_switch.is_some() {
            self.count_at_trip = command.count_at_switch;
        }
        match (outcome, command.target) {
            (Outcome::Verified | Outcome::WithoutLoadProof, target) => {
                self.contradicted &= target == Contact::Open;
                (self.failures, self.rest_until) = (0, None);
            }
            (Outcome::Contradicted, _) => self.contradicted = true,
            (Outcome::Failed(_) | Outcome::TimedOut, _) => {
                let doubled = REST.saturating_mul(1 << self.failures.min(10)).min(LONGEST_REST);
                self.rest_until = Some(ended.plus(doubled));
                self.failures = self.failures.saturating_add(1);
            }
            (Outcome::Cancelled(_), _) => {}
        }
    }

    /// Notes a switch; a command that is loaded, sent again or ended is one switch per write.
    pub(super) fn switched(&mut self, at: Moment, now: Moment) {
        self.switches.retain(|past| now.since(*past) < DAY);
        if now.since(at) < DAY && !self.switches.contains(&at) {
            self.switches.push(at);
        }
    }

    pub(super) fn switches_24h(&self, now: Moment) -> u32 {
        let recent = self.switches.iter().filter(|at| now.since(**at) < DAY).count();
        u32::try_from(recent).unwrap_or(u32::MAX)
    }
}
