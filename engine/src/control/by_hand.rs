//! What a person orders of a relay, past every rule of a decision but those of safety (domain.md, 7 to 9).
//!
//! A supply that a person opened stays open until a person closes it: no payment does. One that a person closed is decided
//! again like any other, so that whoever must not be cut again is kept besides ([`crate::billing::keep`]).

use kernel::control::evidence::OpenedFor;
use kernel::control::relay::{Command, Event, State};
use kernel::id::{AccountId, CommandId, MeterId};
use kernel::reading::Contact;
use kernel::time::Moment;

use super::Control;
use super::command::{By, WRITE_WITHIN};
use super::output::AuditEntry;

/// An order for one relay or valve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByHand {
    /// The device.
    pub meter: MeterId,
    /// What its contact shall be.
    pub target: Contact,
    /// It concerns safety: a protected supply is opened too, and one that was opened for safety is closed.
    pub safety: bool,
    /// Why; it is kept for ever.
    pub reason: String,
    /// Who.
    pub actor: String,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// This command is on its way to the relay.
    Command(CommandId),
    /// The contact was open already; from now on it stays open until a person closes it.
    Held,
}

/// Why an order is refused. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandFault {
    /// A reason is missing.
    #[error("nobody switches a supply without a reason: write --reason \"...\"; it is kept for ever")]
    NoReason,
    /// No relay.
    #[error("meter {0} has no relay or valve (its profile, or the site file, says so): switch it where it stands")]
    NoRelay(String),
    /// Nobody pays for it.
    #[error(
        "nobody pays for what meter {0} measures now, so that no account can be told: give its service point a contract first"
    )]
    NoAccount(String),
    /// The account is protected.
    #[error("{account} is protected ({why}): only for safety is its supply opened (--safety)")]
    Protected {
        /// Its name.
        account: String,
        /// Why.
        why: String,
    },
    /// Opened for safety.
    #[error("meter {0} was opened for safety: close it only when it is safe, and say so with --safety")]
    OpenForSafety(String),
    /// The contact is closed already.
    #[error("meter {0} is closed already, and no command is on its way")]
    Closed(String),
    /// The same is on its way already.
    #[error("command {id} is {state} at meter {serial}: that is under way already; look again when it has ended")]
    UnderWay {
        /// Which.
        id: CommandId,
        /// How far it is.
        state: &'static str,
        /// Where.
        serial: String,
    },
}

/// Whether a command to open is given for less than a person's cause.
fn is_weaker(out: &Command, target: Contact, cause: OpenedFor) -> bool {
    let opens = out.target == Contact::Open && target == Contact::Open;
    opens && (out.by_hand.is_none() || out.by_hand == Some(OpenedFor::Manual) && cause == OpenedFor::Safety)
}

impl Control {
    /// Takes a person's order: whatever waits at that meter is called off, what is on its way there is reversed, and a
    /// command is sent at once.
    ///
    /// # Errors
    /// [`HandFault`].
    pub fn switch_by_hand(&mut self, order: &ByHand, now: Moment) -> Result<Taken, HandFault> {
        let state = self.meters.get(&order.meter);
        // What is open for safety stays so until somebody says that it is safe.
        let for_safety = order.safety || state.and_then(|meter| meter.opened_for) == Some(OpenedFor::Safety);
        let cause = if for_safety { OpenedFor::Safety } else { OpenedFor::Manual };
        let account = self.may_switch(order, cause)?;
        if let Some(id) = self.adopt(order, cause, now) {
            return Ok(Taken::Command(id));
        }
        let state = self.meters.get(&order.meter);
        let (observed, busy) = state.map_or((None, false), |meter| (meter.observed, meter.command.is_some()));
        if busy {
            self.step_command(order.meter, &Event::CallOff { actor: order.actor.clone() }, now);
        }
        if order.target == Contact::Open && observed == Some(Contact::Open) && !busy {
            self.hold_open(order, cause, now);
            return Ok(Taken::Held);
        }
        let life = self.command_life(account);
        let by = By { actor: order.actor.clone(), by_hand: Some(cause) };
        let id = CommandId(self.next.command);
        if self.create(account, order.meter, order.target, order.reason.clone(), None, by, life, now) {
            let approved = Event::Approve { actor: order.actor.clone(), expires: now.plus(life) };
            self.step_command(order.meter, &approved, now);
            self.step_command(order.meter, &Event::Send { expires: now.plus(WRITE_WITHIN) }, now);
        }
        Ok(Taken::Command(id))
    }

    /// The account that is told of it.
    fn may_switch(&self, order: &ByHand, cause: OpenedFor) -> Result<AccountId, HandFault> {
        let setup = self.setup.meters.get(&order.meter);
        let serial = || setup.map_or_else(|| order.meter.to_string(), |meter| meter.serial.clone());
        if order.reason.trim().is_empty() {
            return Err(HandFault::NoReason);
        }
        if !setup.is_some_and(|meter| meter.has_relay) {
            return Err(HandFault::NoRelay(serial()));
        }
        let account = setup.and_then(|meter| meter.account).ok_or_else(|| HandFault::NoAccount(serial()))?;
        let state = self.meters.get(&order.meter);
        let out = state.and_then(|meter| meter.command.as_ref()).filter(|command| command.is_out());
        let repeats = |out: &&Command| out.target == order.target && !is_weaker(out, order.target, cause);
        if let Some(out) = out.filter(repeats) {
            return Err(HandFault::UnderWay { id: out.id, state: out.state.name(), serial: serial() });
        }
        let opened_for = state.and_then(|meter| meter.opened_for);
        match order.target {
            Contact::Open => {
                let known = self.setup.accounts.get(&account);
                match known.and_then(|known| Some((known.name.clone(), known.facts.protected.clone()?))) {
                    Some((account, why)) if !order.safety => Err(HandFault::Protected { account, why }),
                    _ => Ok(account),
                }
            }
            Contact::Closed if opened_for == Some(OpenedFor::Safety) && !order.safety => {
                Err(HandFault::OpenForSafety(serial()))
            }
            Contact::Closed => {
                let idle = state.is_none_or(|meter| meter.command.is_none());
                let closed = state.and_then(|meter| meter.observed) == Some(Contact::Closed);
                if idle && closed { Err(HandFault::Closed(serial())) } else { Ok(account) }
            }
        }
    }

    /// A cut that is on its way for a weaker reason becomes this order's: no payment reverses it any more.
    fn adopt(&mut self, order: &ByHand, cause: OpenedFor, now: Moment) -> Option<CommandId> {
        let meter = self.meters.get_mut(&order.meter)?;
        let out = meter.command.as_mut().filter(|out| out.is_out() && is_weaker(out, order.target, cause))?;
        (out.by_hand, out.actor, out.reason) = (Some(cause), order.actor.clone(), order.reason.clone());
        let adopted = out.clone();
        (meter.opened_for, meter.evaluation) = (Some(cause), None);
        self.supply_changed(order.meter, now);
        self.note(order, cause, &format!("command {} to open is out already, and is kept", adopted.id), now);
        let id = adopted.id;
        self.changed_commands.insert(id, adopted);
        Some(id)
    }

    /// What is open stays open: a payment does not close it any more.
    fn hold_open(&mut self, order: &ByHand, cause: OpenedFor, now: Moment) {
        let Some(meter) = self.meters.get_mut(&order.meter) else { return };
        (meter.opened_for, meter.desired, meter.evaluation) = (Some(cause), Some(Contact::Open), None);
        self.supply_changed(order.meter, now);
        self.note(order, cause, "is open, and stays so", now);
    }

    fn note(&mut self, order: &ByHand, cause: OpenedFor, what: &str, now: Moment) {
        let serial = self.setup.meters.get(&order.meter).map_or("", |meter| &meter.serial);
        self.out.audit.push(AuditEntry {
            at: now,
            actor: order.actor.clone(),
            kind: "relay".to_owned(),
            subject: format!("meter:{serial}"),
            detail: format!("{what} ({}): {}", cause.name(), order.reason),
        });
    }

    /// The meters of an account that a person opened, or is opening: nothing but a person closes them.
    #[must_use]
    pub fn opened_by_hand(&self, account: AccountId) -> Vec<String> {
        let meters = self.setup.accounts.get(&account).map_or(&[][..], |account| &account.meters);
        let by_hand = |meter: &&MeterId| {
            let state = self.meters.get(meter);
            let opening = state.and_then(|meter| meter.command.as_ref()).and_then(|command| command.by_hand);
            let opened = state.and_then(|meter| meter.opened_for);
            opening.is_some() || matches!(opened, Some(OpenedFor::Manual | OpenedFor::Safety))
        };
        let named = meters.iter().filter(by_hand).filter_map(|meter| self.setup.meters.get(meter));
        named.map(|meter| meter.serial.clone()).collect()
    }

    /// A person calls off a cut that waits to be sent, or an own order. False when no such command waits.
    pub fn call_off(&mut self, command: CommandId, actor: &str, now: Moment) -> bool {
        let waiting = self.busy.iter().copied().find(|meter| {
            let open = self.meters.get(meter).and_then(|meter| meter.command.as_ref());
            open.is_some_and(|open| {
                open.id == command
                    && matches!(open.state, State::Created | State::Queued { .. })
                    && (open.target == Contact::Open || open.by_hand.is_some())
            })
        });
        let Some(meter) = waiting else { return false };
        self.step_command(meter, &Event::CallOff { actor: actor.to_owned() }, now);
        true
    }
}
