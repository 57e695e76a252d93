//! One account's evaluation: what `kernel::control::decide` looks at, and what its decision sets in motion.

use std::sync::Arc;

use kernel::control::alert::Crossed;
use kernel::control::decide::{self, Case, Decision, Evaluation, Leave, Rule, cut_threshold};
use kernel::control::evidence::{AccountFacts, MeterFacts, SiteFacts};
use kernel::control::policy::Policy;
use kernel::id::{AccountId, CommandId, MeterId};
use kernel::money::Amount;
use kernel::reading::Contact;
use kernel::time::{MINUTE, Moment};

use super::notice::Notice;
use super::output::{ControlWrite, EvaluationRow, NoticeKind};
use super::state::Stored;
use super::{Control, NextIds};

/// An account that waits on something is looked at again after this at the latest.
const HEARTBEAT: i64 = MINUTE;

impl Control {
    /// Warns, decides, stores what is new, and sets commands in motion.
    pub(super) fn evaluate(&mut self, id: AccountId, now: Moment) {
        self.note_brake(id, now);
        let due = self.warn(id, now);
        let Some(evaluation) = self.decide(id, due, None, now) else {
            self.waiting.remove(&id);
            return;
        };
        let stored = self.store(id, &evaluation, now);
        let look_again = match &evaluation.decision {
            Decision::Keep => evaluation.look_again,
            // The notice hides what is waited on: look again at once.
            Decision::Notify(_) => Some(now.plus(1)),
            Decision::Hold(_) | Decision::Defer(_) | Decision::Cut { .. } | Decision::Reconnect(_) => {
                let heartbeat = now.plus(HEARTBEAT);
                Some(evaluation.look_again.map_or(heartbeat, |at| at.min(heartbeat)))
            }
        };
        match look_again {
            Some(at) => self.waiting.insert(id, at.max(now.plus(1))),
            None => self.waiting.remove(&id),
        };
        match &evaluation.decision {
            Decision::Cut { leave: Leave::Shadow, .. }
            | Decision::Keep
            | Decision::Notify(_)
            | Decision::Defer(_)
            | Decision::Hold(_) => {}
            Decision::Cut { meter, leave } => {
                let reason = evaluation.text_of(Rule::BalanceBelow).unwrap_or("low balance").to_owned();
                self.order_cut(id, *meter, *leave, reason, stored, now);
            }
            Decision::Reconnect(meters) => {
                let reason = [Rule::Paid, Rule::NotProtected, Rule::Contract]
                    .into_iter()
                    .find_map(|rule| evaluation.text_of(rule))
                    .unwrap_or("paid")
                    .to_owned();
                for meter in meters {
                    self.order_close(id, *meter, reason.clone(), stored, now);
                }
            }
        }
    }

    /// What would be decided of an account now, for a person who asks why.
    #[must_use]
    pub fn look_at_account(&self, id: AccountId, now: Moment) -> Option<Evaluation> {
        self.decide(id, None, None, now)
    }

    /// The decision on an account as things stand; with `own`, the second look at that command. `None` for an account
    /// that is not known, has no balance yet, or has neither a policy nor anything opened for credit.
    pub(super) fn decide(
        &self,
        id: AccountId,
        due: Option<Crossed>,
        own: Option<CommandId>,
        now: Moment,
    ) -> Option<Evaluation> {
        let account = self.setup.accounts.get(&id)?;
        let state = self.accounts.get(&id)?;
        let site = self.setup.sites.get(&account.site)?;
        let opened =
            || account.meters.iter().any(|meter| self.meters.get(meter).is_some_and(|it| it.opened_for.is_some()));
        let none;
        let (policy, facts): (&Policy, &AccountFacts) = match &account.policy {
            Some(policy) => (policy, &account.facts),
            None if !opened() => return None,
            // Without a policy nobody is cut; what was opened for credit is closed again.
            None => {
                none = (Policy::named("none"), AccountFacts { cutoff_enabled: false, ..account.facts.clone() });
                (&none.0, &none.1)
            }
        };
        let meters: Vec<MeterFacts> = account.meters.iter().filter_map(|meter| self.meter_facts(*meter, now)).collect();
        let site = SiteFacts {
            mode: site.mode,
            brake: self.brakes.get(&account.site).and_then(|brake| brake.engaged),
            clock_step: self.health.clock_step,
            doubt: self.health.doubt.as_deref(),
            payments_healthy: self.health.payments_healthy,
            calendar: &site.calendar,
            days: &site.days,
        };
        Some(decide::decide(&Case {
            account: facts,
            policy,
            balance: state.balance.as_ref()?,
            payments: &state.payments,
            alert: &state.alert,
            due,
            meters: &meters,
            site: &site,
            own,
            now,
        }))
    }

    fn meter_facts(&self, id: MeterId, now: Moment) -> Option<MeterFacts> {
        let (setup, state) = (self.setup.meters.get(&id)?, self.meters.get(&id)?);
        Some(MeterFacts {
            meter: id,
            serial: setup.serial.clone(),
            utility: setup.utility,
            has_relay: setup.has_relay,
            poll: setup.poll,
            last_reading: state.last_reading,
            exception: state.exception,
            answers: state.answers,
            observed: state.observed,
            unknown_since: state.unknown_since,
            in_flight: state.command.as_ref().map(|command| command.id),
            switches_24h: state.switches_24h(now),
            opened_for: state.opened_for,
            contradicted: state.contradicted,
            rest_until: state.rest_until,
            spared_until: state.spared_until,
        })
    }

    /// Fires the low-balance levels that are crossed; the lowest of them.
    fn warn(&mut self, id: AccountId, now: Moment) -> Option<Crossed> {
        let setup = Arc::clone(&self.setup);
        let account = setup.accounts.get(&id)?;
        let policy = account.policy.as_ref()?;
        let state = self.accounts.get_mut(&id)?;
        if !account.facts.prepaid || account.facts.closed_at.is_some_and(|at| at <= now) {
            return None;
        }
        let balance = state.balance?.amount;
        // After a protection the customer is told again, and has the time to pay.
        let ended = account.facts.protected_until.zip(policy.levels.last());
        let known = ended.map_or_else(|| state.alert.clone(), |(end, last)| state.alert.without(*last, end));
        let (alert, crossed) = known.step(policy, balance, now);
        if alert != state.alert {
            state.alert = alert.clone();
            self.out.writes.push(ControlWrite::Alert(id, alert));
        }
        for level in &crossed {
            let what = if level.last { "final notice" } else { "low balance" };
            let unit = account.unit.map_or_else(String::new, |unit| format!(" {unit}"));
            let (balance, reached) = (shown(balance), level.level);
            let text = format!("{what} for {}: balance {balance}{unit} has reached {reached:.2}{unit}", account.holder);
            let (site, kind) = (account.site, NoticeKind::LowBalance);
            let notice = Notice { site, account: Some(id), meter: None, kind, level: level.number, text };
            self.notify(notice, now);
        }
        crossed.last().copied()
    }

    /// Tells the site's brake on which side of its cut-off an account lies, whatever else would hold a cut.
    fn note_brake(&mut self, id: AccountId, now: Moment) {
        let setup = Arc::clone(&self.setup);
        let Some(account) = setup.accounts.get(&id) else { return };
        let Some(balance) = self.accounts.get(&id).and_then(|state| state.balance) else { return };
        let Some(policy) = &account.policy else { return };
        let facts = &account.facts;
        let eligible = facts.prepaid && facts.cutoff_enabled && facts.protected.is_none() && facts.closed_at.is_none();
        let counted = balance.amount + balance.uncounted_debits.max(Amount::ZERO);
        let below = eligible && counted < cut_threshold(policy, facts);
        let brake = self.brakes.entry(account.site).or_default();
        let was = brake.engaged;
        if brake.note(id, below, setup.accounts_of(account.site), now) {
            self.changed_brakes.insert(account.site);
        }
        if let (None, Some(on)) = (was, brake.engaged) {
            let text = format!(
                "fleet brake: {} accounts fell below their cut-off within an hour, {} may; nobody is cut until a \
                 person releases it",
                on.fell, on.limit
            );
            let kind = NoticeKind::Alarm;
            self.notify(Notice { site: account.site, account: None, meter: None, kind, level: 0, text }, now);
        }
    }

    /// Stores the evaluation if it says something new; the identifier of the row that now stands for it.
    pub(super) fn store(&mut self, id: AccountId, evaluation: &Evaluation, now: Moment) -> Option<i64> {
        let state = self.accounts.get_mut(&id)?;
        let same =
            state.stored.as_ref().is_some_and(|last| evaluation.repeats(&last.decision, last.mode, &last.reasons));
        // A notice and anything that acts is an event of its own.
        let event = matches!(evaluation.decision, Decision::Notify(_) | Decision::Reconnect(_))
            || matches!(evaluation.decision, Decision::Cut { leave: Leave::Ask | Leave::Auto, .. });
        if same && !event {
            return None;
        }
        let row = NextIds::take(&mut self.next.evaluation);
        state.stored = Some(Stored {
            decision: evaluation.decision.name().to_owned(),
            mode: evaluation.mode,
            reasons: evaluation.reasons.clone(),
        });
        let balance = state.balance?;
        self.out.writes.push(ControlWrite::Evaluation(EvaluationRow {
            id: row,
            account: id,
            at: now,
            decision: evaluation.decision.name(),
            mode: evaluation.mode,
            balance: balance.amount,
            balance_as_of: balance.as_of,
            reasons: evaluation.reasons.clone(),
        }));
        Some(row)
    }

    /// Whether a cut that is out should be taken back: the account is paid, or may no longer be cut.
    pub(super) fn is_to_be_reversed(&self, meter: MeterId, now: Moment) -> bool {
        let Some(command) = self.meters.get(&meter).and_then(|meter| meter.command.as_ref()) else { return false };
        if command.target != Contact::Open || !command.is_out() || command.by_hand.is_some() {
            return false;
        }
        let look = self.decide(command.account, None, Some(command.id), now);
        matches!(look.map(|it| it.decision), Some(Decision::Reconnect(meters)) if meters.contains(&meter))
    }
}

/// An amount for a notice: to the cent, towards what the customer has.
fn shown(amount: Amount) -> String {
    format!("{:.2}", amount.round(2, kernel::money::Rounding::HalfUp))
}
