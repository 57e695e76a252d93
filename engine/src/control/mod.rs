//! Control: the shell around `kernel::control`. It keeps what decisions look at, and turns decisions into rows of the
//! book and commands for the field (domain.md, 6 to 9; design.md, 2.3 and 2.8).
//!
//! **How it is driven.** Billing, the one writer, tells it what it hears ([`Control::on_reading`],
//! [`Control::on_observation`], [`Control::on_top_up`], [`Control::on_payment`], [`Control::on_setup`]) and calls
//! [`Control::tick`] at each settlement and when [`Control::next_wake`] says so. The output's `writes` and `audit` go
//! into the book in that settlement's transaction; **only after its commit** do `field` commands leave for the field
//! and the outbox is looked at ([`outbox`]).
//!
//! **Promises.** A relay is written only by a command that the book holds as sent, once. An evaluation is stored when it
//! says something new. Every relay is read before anything is done after a start.
//!
//! **Not promised.** Memory runs ahead of a transaction that fails: then drop the `Control` and load it anew.
//!
//! **Survives a crash:** commands, alert states, brakes, supply states, notices and the outbox, all in the book.
//! A command that was sent is never sent again after a restart: its relay is read, and that decides.
//!
//! Modules in reading order: [`setup`] what the registry says, [`state`] what is remembered, `hear` what comes in,
//! `evaluate` the decisions, `command` their commands, [`by_hand`] a person's, `tick` the order of things, [`output`] what leaves,
//! [`persist`] the book's tables, [`outbox`] delivery, [`why`] what explains a state.

pub mod by_hand;
mod command;
mod evaluate;
mod hear;
mod notice;
pub mod outbox;
pub mod output;
pub mod persist;
pub mod setup;
pub mod state;
mod tick;
pub mod why;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kernel::control::FieldCommand;
use kernel::control::brake::Brake;
use kernel::control::relay::Command;
use kernel::id::{AccountId, CommandId, MeterId, SiteId};
use kernel::time::Moment;

use self::output::ControlOutput;
use self::persist::Loaded;
use self::setup::Setup;
use self::state::{AccountState, Health, MeterState};

/// The control of all sites of this node. Some 1 kB for each account and each meter.
#[derive(Debug)]
pub struct Control {
    setup: Arc<Setup>,
    accounts: BTreeMap<AccountId, AccountState>,
    meters: BTreeMap<MeterId, MeterState>,
    brakes: BTreeMap<SiteId, Brake>,
    health: Health,
    next: NextIds,
    /// When this process began to listen: a contact seen before says nothing.
    started: Moment,
    /// Accounts to decide at the next tick.
    dirty: BTreeSet<AccountId>,
    /// Accounts to look at again although nothing new is heard.
    waiting: BTreeMap<AccountId, Moment>,
    /// Meters with an open command.
    busy: BTreeSet<MeterId>,
    /// Meters with a relay whose contact is not known, and when it was last asked for.
    unknown: BTreeMap<MeterId, Option<Moment>>,
    changed_supply: BTreeSet<MeterId>,
    changed_commands: BTreeMap<CommandId, Command>,
    changed_brakes: BTreeSet<SiteId>,
    out: ControlOutput,
}

/// The next free identifiers of the book's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextIds {
    /// Of `commands`.
    pub command: u64,
    /// Of `evaluations`.
    pub evaluation: i64,
    /// Of `notices`.
    pub notice: i64,
    /// Of `outbox`.
    pub outbox: i64,
}

impl NextIds {
    fn take(counter: &mut i64) -> i64 {
        let id = *counter;
        *counter += 1;
        id
    }
}

impl Control {
    /// Control as the book left it. Nothing is known of any relay yet: the first [`Control::tick`] asks for all of them.
    #[must_use]
    pub fn load(setup: Arc<Setup>, loaded: Loaded, now: Moment) -> Control {
        let mut control = Control {
            setup: Arc::new(Setup::default()),
            accounts: BTreeMap::new(),
            meters: BTreeMap::new(),
            brakes: loaded.brakes,
            health: Health::default(),
            next: loaded.next,
            started: now,
            dirty: BTreeSet::new(),
            waiting: BTreeMap::new(),
            busy: BTreeSet::new(),
            unknown: BTreeMap::new(),
            changed_supply: BTreeSet::new(),
            changed_commands: BTreeMap::new(),
            changed_brakes: BTreeSet::new(),
            out: ControlOutput::default(),
        };
        control.on_setup(setup, now);
        for (account, alert) in loaded.alerts {
            control.accounts.entry(account).or_default().alert = alert;
        }
        for (account, stored) in loaded.evaluations {
            control.accounts.entry(account).or_default().stored = Some(stored);
        }
        for row in loaded.supply {
            let meter = control.meters.entry(row.meter).or_insert_with(|| MeterState::new(now));
            (meter.desired, meter.commanded, meter.opened_for) = (row.desired, row.commanded, row.opened_for);
            (meter.evaluation, meter.changed_at) = (row.evaluation, row.changed_at);
        }
        for command in loaded.commands {
            control.restore(command, now);
        }
        control
    }

    fn restore(&mut self, command: Command, now: Moment) {
        let meter = self.meters.entry(command.meter).or_insert_with(|| MeterState::new(now));
        meter.remember(&command, now);
        if command.is_open() {
            self.out.field.extend(command.after_restart());
            self.busy.insert(command.meter);
            meter.command = Some(command);
        }
    }

    /// The registry as it is from now on. All accounts are decided again; relays that are new are read.
    pub fn on_setup(&mut self, setup: Arc<Setup>, now: Moment) {
        self.dirty.extend(setup.accounts.keys());
        for (id, meter) in &setup.meters {
            let state = self.meters.entry(*id).or_insert_with(|| MeterState::new(now));
            if meter.has_relay && state.observed.is_none() {
                self.unknown.entry(*id).or_insert(None);
            }
        }
        self.setup = setup;
    }

    /// What is remembered of a meter.
    #[must_use]
    pub fn meter(&self, meter: MeterId) -> Option<&MeterState> {
        self.meters.get(&meter)
    }

    /// What is remembered of an account.
    #[must_use]
    pub fn account(&self, account: AccountId) -> Option<&AccountState> {
        self.accounts.get(&account)
    }

    /// A site's brake.
    #[must_use]
    pub fn brake(&self, site: SiteId) -> Option<&Brake> {
        self.brakes.get(&site)
    }

    /// The commands that wait for a person.
    pub fn asking(&self) -> impl Iterator<Item = &Command> {
        use kernel::control::relay::State;
        let commands = self.busy.iter().filter_map(|meter| self.meters.get(meter)?.command.as_ref());
        commands.filter(|command| command.state == State::Created)
    }

    fn ask_field(&mut self, command: FieldCommand) {
        self.out.field.push(command);
    }
}

#[cfg(test)]
mod tests;
