//! From a decision to a command, and from a command's steps to supply states, notices and the audit.

use kernel::control::decide::{Decision, Leave};
use kernel::control::evidence::OpenedFor;
use kernel::control::policy::Policy;
use kernel::control::relay::{self, Command, Effect, Event, Order, Outcome, State};
use kernel::control::window::{Standing, Windows};
use kernel::id::{AccountId, CommandId, MeterId};
use kernel::reading::{Contact, Seen};
use kernel::time::{MINUTE, Moment};

use super::notice::Notice;
use super::output::{AuditEntry, NoticeKind};
use super::{Control, FieldCommand};

/// How long the field may take to write a command; what it has not written by then is decided afresh.
pub(super) const WRITE_WITHIN: i64 = MINUTE;

/// Who acts when control acts.
const ACTOR: &str = "control";

/// Who gives a command.
#[derive(Clone, Debug)]
pub(super) struct By {
    /// The name for the audit.
    pub(super) actor: String,
    /// Why, where it is a person.
    pub(super) by_hand: Option<OpenedFor>,
}

impl By {
    fn control() -> By {
        By { actor: ACTOR.to_owned(), by_hand: None }
    }
}

impl Control {
    /// A cut: approved at once in mode `auto`, by a person in mode `ask`. It is sent at a later tick, after a second look.
    pub(super) fn order_cut(
        &mut self,
        account: AccountId,
        meter: MeterId,
        leave: Leave,
        reason: String,
        evaluation: Option<i64>,
        now: Moment,
    ) {
        let life = match leave {
            Leave::Ask => self.policy(account).map_or(0, |policy| i64::from(policy.confirm_minutes) * MINUTE),
            Leave::Auto => self.command_life(account),
            Leave::Shadow => return,
        };
        if !self.create(account, meter, Contact::Open, reason, evaluation, By::control(), life, now) {
            return;
        }
        if leave == Leave::Auto {
            let expires = now.plus(life);
            self.step_command(meter, &Event::Approve { actor: ACTOR.to_owned(), expires }, now);
            return;
        }
        let text = "shall it be cut? A person must approve it".to_owned();
        self.tell(meter, NoticeKind::Alarm, &text, now);
    }

    /// A reconnection: approved and sent at once.
    pub(super) fn order_close(
        &mut self,
        account: AccountId,
        meter: MeterId,
        reason: String,
        evaluation: Option<i64>,
        now: Moment,
    ) {
        let life = self.command_life(account);
        if !self.create(account, meter, Contact::Closed, reason, evaluation, By::control(), life, now) {
            return;
        }
        self.step_command(meter, &Event::Approve { actor: ACTOR.to_owned(), expires: now.plus(life) }, now);
        self.step_command(meter, &Event::Send { expires: now.plus(WRITE_WITHIN) }, now);
    }

    #[expect(clippy::too_many_arguments, reason = "an order has these parts")]
    pub(super) fn create(
        &mut self,
        account: AccountId,
        meter: MeterId,
        target: Contact,
        reason: String,
        evaluation: Option<i64>,
        by: By,
        life: i64,
        now: Moment,
    ) -> bool {
        let before = self.before(meter, now);
        let fallback = Policy::named("none");
        let policy = self.setup.accounts.get(&account).and_then(|it| it.policy.clone());
        let Some(state) = self.meters.get_mut(&meter) else { return false };
        if state.command.is_some() {
            return false;
        }
        let id = CommandId(self.next.command);
        self.next.command += 1;
        let order =
            Order { id, meter, account, target, reason, actor: by.actor, by_hand: by.by_hand, evaluation, before };
        let command = Command::new(order, policy.as_deref().unwrap_or(&fallback), now, life);
        state.desired = Some(target);
        // What a person orders rests on no evaluation.
        state.evaluation = if command.by_hand.is_some() { None } else { evaluation.or(state.evaluation) };
        self.changed_commands.insert(id, command.clone());
        state.command = Some(command);
        self.busy.insert(meter);
        self.supply_changed(meter, now);
        true
    }

    /// The second look at a cut that was not sent, and its sending.
    pub(super) fn look_and_send(&mut self, meter: MeterId, now: Moment) {
        let Some(command) = self.meters.get(&meter).and_then(|meter| meter.command.as_ref()) else { return };
        let queued = matches!(command.state, State::Queued { .. });
        // What was decided at this tick is sent at the next one, when the book holds it.
        if !(queued || command.state == State::Created) || command.created_at >= now {
            return;
        }
        let (id, account, target, by_hand) = (command.id, command.account, command.target, command.by_hand);
        let protected = self.setup.accounts.get(&account).and_then(|account| account.facts.protected.as_ref());
        if let Some(why) = protected.filter(|_| target == Contact::Open && by_hand == Some(OpenedFor::Manual)) {
            let why = format!("protected now: {why}");
            self.step_command(meter, &Event::Cancel { why }, now);
            return;
        }
        let expires = now.plus(WRITE_WITHIN);
        if target == Contact::Closed || by_hand.is_some() {
            let known = self
                .meters
                .get(&meter)
                .is_some_and(|meter| meter.observed.is_some() || now.since(meter.unknown_since) >= MINUTE);
            if known {
                self.step_command(meter, &Event::Send { expires }, now);
            }
            return;
        }
        let Some(look) = self.decide(account, None, Some(id), now) else {
            self.step_command(meter, &Event::Cancel { why: "the account is not known any more".into() }, now);
            return;
        };
        match look.decision {
            Decision::Cut { meter: same, leave: Leave::Auto | Leave::Ask } if same == meter => {
                if queued {
                    let window = self.window_begins(account, now);
                    self.step_command(meter, &Event::Send { expires: expires.min(window.unwrap_or(expires)) }, now);
                }
            }
            _ => {
                self.store(account, &look, now);
                let why = look.first_no().unwrap_or("the second look decides otherwise").to_owned();
                self.step_command(meter, &Event::Cancel { why }, now);
            }
        }
    }

    /// When the next no-disconnect window begins: a cut that is still on its way then is not written.
    fn window_begins(&self, account: AccountId, now: Moment) -> Option<Moment> {
        let account = self.setup.accounts.get(&account)?;
        let (policy, site) = (account.policy.as_ref()?, self.setup.sites.get(&account.site)?);
        let windows = Windows {
            windows: &policy.windows,
            holiday_eve: policy.holiday_eve,
            calendar: &site.calendar,
            days: &site.days,
        };
        match windows.standing(now) {
            Standing::Outside(begin) => begin,
            Standing::Inside(_) | Standing::NoEnd => Some(now),
        }
    }

    /// Moves a meter's command on and performs what follows.
    pub(super) fn step_command(&mut self, id: MeterId, event: &Event, now: Moment) {
        let Some(meter) = self.meters.get_mut(&id) else { return };
        let Some(before) = meter.command.take() else { return };
        let was = (before.state.name(), before.attempts);
        let unchanged = before.clone();
        let (mut command, effects) = relay::step(before, event, now);
        if command == unchanged && effects.is_empty() {
            meter.command = Some(command);
            return;
        }
        if command.attempts > was.1 {
            meter.commanded = Some(command.target);
            if let Some(sent) = command.sent_at {
                meter.switched(sent, now);
            }
            if was.1 == 0 {
                command.was_open_for = meter.opened_for;
            }
            if command.target == Contact::Open {
                // From here on the device may have obeyed, whatever is heard of it.
                meter.opened_for = command.by_hand.or(Some(OpenedFor::Credit));
            }
        }
        let ended = !command.is_open();
        meter.command = (!ended).then(|| command.clone());
        if ended {
            self.busy.remove(&id);
        }
        if command.state.name() != was.0 || command.attempts != was.1 {
            self.supply_changed(id, now);
            self.record(&command, now);
        }
        self.changed_commands.insert(command.id, command.clone());
        for effect in effects {
            match effect {
                Effect::Field(field) => self.ask_field(field),
                Effect::Alarm(text) => self.alarm(id, &text, now),
                Effect::Ended(outcome) => self.ended(&command, &outcome, event, now),
            }
        }
    }

    fn ended(&mut self, command: &Command, outcome: &Outcome, event: &Event, now: Moment) {
        let (id, target) = (command.meter, command.target);
        self.dirty.insert(command.account);
        let Some(meter) = self.meters.get_mut(&id) else { return };
        meter.remember(command, now);
        let done = matches!(outcome, Outcome::Verified | Outcome::WithoutLoadProof);
        let was_written = command.attempts > 0;
        let never_written = command.attempts == 1 && matches!(event, Event::Seen { seen: Seen::NotSent(_), .. });
        if never_written && command.by_hand.is_some() && target == Contact::Open {
            meter.opened_for = command.was_open_for;
        }
        match target {
            Contact::Closed if done => meter.opened_for = None,
            Contact::Open if !was_written => meter.desired = Some(Contact::Closed),
            Contact::Open if !done && *outcome != Outcome::Contradicted => {
                // Reversed, refused, not sent or unanswered: what the relay did is read, not guessed. Until it shows closed
                // it counts as opened for credit, so that a payment closes it.
                meter.desired = Some(Contact::Closed);
                self.ask_field(FieldCommand::ReadNow { meter: id });
            }
            Contact::Open | Contact::Closed => {}
        }
        match (target, done) {
            (Contact::Open, true) => self.tell(id, NoticeKind::Cut, &format!("was cut: {}", command.reason), now),
            (Contact::Closed, true) => {
                self.tell(id, NoticeKind::Reconnected, &format!("is back: {}", command.reason), now);
            }
            _ => {}
        }
        // Failed and contradicted ones have an alarm of their own.
        let unheard = matches!(outcome, Outcome::TimedOut | Outcome::Cancelled(_)) && !command.called_off;
        if command.by_hand.is_some() && unheard {
            let verb = if target == Contact::Open { "open" } else { "close" };
            let why = if let Outcome::Cancelled(why) = outcome { why.as_str() } else { "nobody answered" };
            let text =
                format!("{} ordered it to {verb}, and that did not happen: {why}; order it again", command.actor);
            self.alarm(id, &text, now);
        }
    }

    fn tell(&mut self, id: MeterId, kind: NoticeKind, text: &str, now: Moment) {
        let Some(setup) = self.setup.meters.get(&id) else { return };
        let Some(account) = setup.account.and_then(|account| self.setup.accounts.get(&account)) else { return };
        let text = format!("{}, {} meter {}: {text}", account.holder, setup.utility.name(), setup.serial);
        let (site, account) = (account.site, Some(account.facts.account));
        self.notify(Notice { site, account, meter: Some(id), kind, level: 0, text }, now);
    }

    /// Each change of a command's state is a row of the audit.
    fn record(&mut self, command: &Command, now: Moment) {
        let serial = self.setup.meters.get(&command.meter).map_or("", |meter| &meter.serial);
        let verb = match command.target {
            Contact::Open => "open",
            Contact::Closed => "close",
        };
        let detail = match command.outcome() {
            Some(Outcome::Failed(why) | Outcome::Cancelled(why)) => format!(": {why}"),
            _ => String::new(),
        };
        self.out.audit.push(AuditEntry {
            at: now,
            actor: command.actor.clone(),
            kind: "relay".to_owned(),
            subject: format!("meter:{serial}"),
            detail: format!("command {} to {verb} is {}{detail}", command.id, command.state.name()),
        });
    }

    fn policy(&self, account: AccountId) -> Option<&Policy> {
        self.setup.accounts.get(&account)?.policy.as_deref()
    }

    /// How long a command of this account may live.
    pub(super) fn command_life(&self, account: AccountId) -> i64 {
        self.policy(account).map_or(10, |policy| i64::from(policy.command_minutes)) * MINUTE
    }
}
