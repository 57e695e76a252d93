//! The decision on one account: notify, wait, cut or reconnect, with every reason (domain.md, 7 and 9).
//!
//! The same function decides and, with [`Case::own`] set, looks again at the moment a cut is sent: the cut goes out only
//! if that second look decides the same cut. A rule that fails holds the contact where it is; nothing that is missing
//! counts as good.

mod cut;
mod text;

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

pub use self::cut::cut_threshold;
use self::text::{money, wall};
use super::alert::{AlertState, Crossed};
use super::evidence::{AccountFacts, BalanceFacts, MeterFacts, Mode, OpenedFor, PendingPayment, SiteFacts};
use super::policy::Policy;
use crate::id::{CommandId, MeterId};
use crate::money::Amount;
use crate::time::{MINUTE, Moment};

/// Everything that one decision looks at.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The account.
    pub account: &'a AccountFacts,
    /// Its policy.
    pub policy: &'a Policy,
    /// Its balance.
    pub balance: &'a BalanceFacts,
    /// Payments under way.
    pub payments: &'a [PendingPayment],
    /// What it was warned of.
    pub alert: &'a AlertState,
    /// The lowest level that is crossed just now, if any.
    pub due: Option<Crossed>,
    /// All its meters, those without a relay included: the balance rests on them too.
    pub meters: &'a [MeterFacts],
    /// Its site.
    pub site: &'a SiteFacts<'a>,
    /// The command that is about to be sent, when this is the second look.
    pub own: Option<CommandId>,
    /// Now.
    pub now: Moment,
}

/// What a decided cut may lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Leave {
    /// Mode `shadow`: it is logged, nothing else.
    Shadow,
    /// Mode `ask`: a person confirms it first.
    Ask,
    /// Mode `auto`.
    Auto,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing.
    Keep,
    /// A low-balance notice of this level.
    Notify(u8),
    /// A cut that only a no-disconnect window forbids; decided afresh when it ends.
    Defer(Moment),
    /// Open this meter's contact. Of several meters, the next is decided when this one is done.
    Cut {
        /// The meter.
        meter: MeterId,
        /// What that may lead to.
        leave: Leave,
    },
    /// Close these meters' contacts.
    Reconnect(Vec<MeterId>),
    /// Something would be done, and waits on this rule.
    Hold(Rule),
}

impl Decision {
    /// The name used in the table `evaluations`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Decision::Keep => "keep",
            Decision::Notify(_) => "notify",
            Decision::Defer(_) => "defer",
            Decision::Cut { .. } => "cut",
            Decision::Reconnect(_) => "reconnect",
            Decision::Hold(_) => "hold",
        }
    }
}

/// The rules, in the order in which they are shown. Names are stored: append only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Prepaid, open, and cut-off enabled.
    Contract,
    /// Not protected.
    NotProtected,
    /// The balance lies below the threshold.
    BalanceBelow,
    /// The site's mode lets control act.
    Mode,
    /// The opening was confirmed and the grace period passed.
    Confirmed,
    /// The balance rests on measured data alone.
    Measured,
    /// Each meter's readings are fresh.
    Fresh,
    /// No exception is open.
    NoException,
    /// No late readings wait to be rated.
    NoRerate,
    /// No unreviewed change of tariff or installation.
    Reviewed,
    /// No payment is under way.
    NoPayment,
    /// Payments reach this system.
    PaymentChannel,
    /// The notices of all levels were given.
    Notices,
    /// The final notice was given long enough ago.
    FinalNotice,
    /// The fleet brake is off.
    Brake,
    /// The clock did not step.
    Clock,
    /// The machine is sound.
    Sound,
    /// The account has a relay that the policy cuts.
    Relay,
    /// Its contact is closed.
    Closed,
    /// The device answers.
    Answers,
    /// The contact is known.
    ContactKnown,
    /// No command is under way.
    NotInFlight,
    /// It was not switched too often.
    Switches,
    /// Its last cut was not contradicted.
    NotContradicted,
    /// No pause after a failure.
    Rested,
    /// Outside every no-disconnect window.
    Window,
    /// The balance reaches the reconnect threshold.
    Paid,
    /// It was opened for credit.
    OpenedForCredit,
}

/// One rule, and why it holds or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The rule.
    pub rule: Rule,
    /// Whether it holds.
    pub holds: bool,
    /// Why, for a person.
    pub text: alloc::string::String,
    /// The meter it speaks of, if it speaks of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meter: Option<MeterId>,
    /// When it can hold by the passing of time alone.
    #[serde(skip)]
    pub until: Option<Moment>,
}

/// A decision with every reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// What is to be done.
    pub decision: Decision,
    /// The mode it was decided in.
    pub mode: Mode,
    /// Every rule that was looked at.
    pub reasons: Vec<Reason>,
    /// When to look again although nothing new is heard.
    pub look_again: Option<Moment>,
}

impl Evaluation {
    /// Whether this says what was stored last: the same decision, mode, and rules holding or not. Ages and amounts in
    /// texts do not make a difference, so that an evaluation is stored once and not every second.
    #[must_use]
    pub fn repeats(&self, decision: &str, mode: Mode, reasons: &[Reason]) -> bool {
        let gist = |reason: &Reason| (reason.rule, reason.holds, reason.meter);
        self.decision.name() == decision
            && self.mode == mode
            && self.reasons.iter().map(gist).eq(reasons.iter().map(gist))
    }

    /// The text of a rule that was looked at.
    #[must_use]
    pub fn text_of(&self, rule: Rule) -> Option<&str> {
        self.reasons.iter().find(|reason| reason.rule == rule).map(|reason| reason.text.as_str())
    }

    /// The text of the first rule that does not hold.
    #[must_use]
    pub fn first_no(&self) -> Option<&str> {
        self.reasons.iter().find(|reason| !reason.holds).map(|reason| reason.text.as_str())
    }
}

/// Decides one account.
#[must_use]
pub fn decide(case: &Case) -> Evaluation {
    let mut reasons = Reasons::default();
    let decision = reconnect(case, &mut reasons).unwrap_or_else(|| {
        let decision = cut::decide(case, &mut reasons);
        match (&decision, case.due) {
            (Decision::Cut { .. }, _) | (_, None) => decision,
            (_, Some(due)) => Decision::Notify(due.number),
        }
    });
    let look_again = reasons.list.iter().filter(|reason| !reason.holds).filter_map(|reason| reason.until).min();
    Evaluation { decision, mode: case.site.mode, reasons: reasons.list, look_again }
}

/// What is to be closed again. `None`: nothing was opened for credit, or it is not paid yet.
fn reconnect(case: &Case, reasons: &mut Reasons) -> Option<Decision> {
    let open = || case.meters.iter().filter(|meter| meter.opened_for == Some(OpenedFor::Credit));
    open().next()?;
    if !spared(case, reasons) && !paid(case, reasons) {
        return None;
    }
    let mut ready = Vec::new();
    let mut waiting = None;
    for meter in open() {
        let known = meter.observed.is_some() || case.now.since(meter.unknown_since) >= MINUTE;
        let rested = meter.rest_until.is_none_or(|until| until <= case.now);
        let checks = [
            (Rule::OpenedForCredit, true, "opened for credit", None),
            (Rule::NotInFlight, meter.in_flight.is_none_or(|id| Some(id) == case.own), "no command under way", None),
            (Rule::Answers, meter.answers, "the device answers", None),
            (Rule::ContactKnown, known, "the contact was read", Some(meter.unknown_since.plus(MINUTE))),
            (Rule::Rested, rested, "no pause after a failure", meter.rest_until),
        ];
        let failing = checks.iter().find(|(_, holds, ..)| !holds).map(|(rule, ..)| *rule);
        for (rule, holds, what, until) in checks {
            reasons.add_meter(meter, rule, holds, what, until);
        }
        match failing {
            None => ready.push(meter.meter),
            Some(rule) => waiting = waiting.or(Some(rule)),
        }
    }
    match waiting {
        Some(rule) if ready.is_empty() => Some(Decision::Hold(rule)),
        _ => Some(Decision::Reconnect(ready)),
    }
}

/// Whether an account that was cut may no longer be cut: what was opened for credit is then closed again. A closed
/// account stays as it is.
fn spared(case: &Case, reasons: &mut Reasons) -> bool {
    let account = case.account;
    if account.closed_at.is_some_and(|at| at <= case.now) {
        return false;
    }
    if let Some(why) = &account.protected {
        reasons.add(Rule::NotProtected, false, alloc::format!("protected now: {why}"), None);
        return true;
    }
    if !account.prepaid || !account.cutoff_enabled {
        reasons.add(Rule::Contract, false, "the contract no longer allows a cut".into(), None);
        return true;
    }
    false
}

fn paid(case: &Case, reasons: &mut Reasons) -> bool {
    let threshold = reconnect_threshold(case.policy, case.account);
    let balance = case.balance.amount + case.balance.uncounted_debits;
    let holds = balance >= threshold;
    let verb = if holds { "reaches" } else { "is below" };
    reasons.add(
        Rule::Paid,
        holds,
        alloc::format!("balance {} {verb} {} for reconnection", money(balance), money(threshold)),
        None,
    );
    holds
}

/// From this balance on supply is restored: above [`cut_threshold`] by what the policy sets.
#[must_use]
pub fn reconnect_threshold(policy: &Policy, account: &AccountFacts) -> Amount {
    policy.reconnect_at - account.credit_limit
}

#[derive(Default)]
struct Reasons {
    list: Vec<Reason>,
}

impl Reasons {
    fn add(&mut self, rule: Rule, holds: bool, text: alloc::string::String, until: Option<Moment>) -> bool {
        self.list.push(Reason { rule, holds, text, meter: None, until });
        holds
    }

    fn add_meter(&mut self, meter: &MeterFacts, rule: Rule, holds: bool, what: &str, until: Option<Moment>) -> bool {
        let text = alloc::format!("{}: {}{what}", meter.serial, if holds { "" } else { "not so: " });
        self.list.push(Reason { rule, holds, text, meter: Some(meter.meter), until });
        holds
    }
}

#[cfg(test)]
mod tests;
