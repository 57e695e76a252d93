//! The rules of a cut, one by one, all of which must hold.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Case, Decision, Leave, Reasons, Rule, money, wall};
use crate::control::evidence::{AccountFacts, MeterFacts, Mode};
use crate::control::policy::Policy;
use crate::control::window::{Standing, Windows};
use crate::money::Amount;
use crate::reading::Contact;
use crate::time::{MINUTE, Moment, SECOND};

/// How far the wall clock may step before cuts are suspended, and how far a reading may be dated ahead.
const STEP: i64 = 60 * SECOND;

/// Below this balance supply may be cut: the policy's threshold less the credit limit and unused emergency credit.
#[must_use]
pub fn cut_threshold(policy: &Policy, account: &AccountFacts) -> Amount {
    policy.cut_below - account.credit_limit - account.emergency_unused
}

/// Whether, and which meter, is cut. Not called for an account that is to be reconnected.
pub(super) fn decide(case: &Case, reasons: &mut Reasons) -> Decision {
    if !concerns(case, reasons) {
        return Decision::Keep;
    }
    let targets = targets(case);
    if targets.is_empty() {
        let cut: Vec<&str> = case.policy.cut.iter().map(|utility| utility.name()).collect();
        reasons.add(Rule::Relay, false, format!("no meter with a relay among what is cut: {}", cut.join(", ")), None);
        return Decision::Keep;
    }
    if targets.iter().all(|meter| meter.observed == Some(Contact::Open)) {
        for meter in targets {
            reasons.add_meter(meter, Rule::Closed, false, "the contact is closed", None);
        }
        return Decision::Keep;
    }
    let before = reasons.list.len();
    trusts(case, reasons);
    warned(case, reasons);
    stands(case, reasons);
    let account_fails = reasons.list[before..].iter().find(|reason| !reason.holds).map(|reason| reason.rule);
    let meter = choose(case, &targets, reasons);
    let window = window(case, reasons);
    match (account_fails, meter, window) {
        (Some(rule), _, _) | (None, Err(rule), _) => Decision::Hold(rule),
        (None, Ok(_), Standing::Inside(end)) => Decision::Defer(end),
        (None, Ok(_), Standing::NoEnd) => Decision::Hold(Rule::Window),
        (None, Ok(meter), Standing::Outside(_)) => match case.site.mode {
            Mode::Off => Decision::Hold(Rule::Mode),
            Mode::Shadow => Decision::Cut { meter: meter.meter, leave: Leave::Shadow },
            Mode::Ask => Decision::Cut { meter: meter.meter, leave: Leave::Ask },
            Mode::Auto => Decision::Cut { meter: meter.meter, leave: Leave::Auto },
        },
    }
}

/// Whether this account comes into question at all: contract, protection, balance.
fn concerns(case: &Case, reasons: &mut Reasons) -> bool {
    let account = case.account;
    let closed = account.closed_at.is_some_and(|at| at <= case.now);
    let contract = match (account.prepaid, closed, account.cutoff_enabled) {
        (true, false, true) => "prepaid, open, cut-off enabled",
        (false, ..) => "postpaid",
        (_, true, _) => "the account is closed",
        (_, _, false) => "cut-off is not enabled",
    };
    let contract =
        reasons.add(Rule::Contract, account.prepaid && !closed && account.cutoff_enabled, contract.into(), None);
    let protection = account.protected.as_ref().map_or("not protected".into(), |why| format!("protected: {why}"));
    let open_to_cuts = reasons.add(Rule::NotProtected, account.protected.is_none(), protection, None);
    let threshold = cut_threshold(case.policy, account);
    let balance = case.balance.amount + case.balance.uncounted_debits.max(Amount::ZERO);
    let below = balance < threshold;
    let spared = match case.balance.uncounted_debits > Amount::ZERO {
        true => format!(" (debits of {} do not count yet)", money(case.balance.uncounted_debits)),
        false => String::new(),
    };
    let side = if below { "is below" } else { "is not below" };
    let text = format!("balance {} {side} {}{spared}", money(balance), money(threshold));
    let below = reasons.add(Rule::BalanceBelow, below, text, None);
    contract && open_to_cuts && below
}

/// The meters that the policy cuts, in its order.
fn targets<'a>(case: &Case<'a>) -> Vec<&'a MeterFacts> {
    let place = |meter: &MeterFacts| case.policy.cut.iter().position(|utility| *utility == meter.utility);
    let mut targets: Vec<&MeterFacts> =
        case.meters.iter().filter(|meter| meter.has_relay && place(meter).is_some()).collect();
    targets.sort_by_key(|meter| (place(meter), meter.meter));
    targets
}

/// Whether the balance and what it rests on can be trusted.
fn trusts(case: &Case, reasons: &mut Reasons) {
    let (account, balance, policy, now) = (case.account, case.balance, case.policy, case.now);
    let mode = case.site.mode;
    reasons.add(Rule::Mode, mode != Mode::Off, format!("mode is {}", mode.name()), None);
    let spared_until = account.confirmed_at.map(|at| at.plus(policy.grace()));
    let text = match spared_until {
        None => "the opening balance and reads are not confirmed".into(),
        Some(until) if until > now => format!("spared until {}", wall(case.site.days, until)),
        Some(_) => "opening confirmed, grace period over".into(),
    };
    reasons.add(Rule::Confirmed, spared_until.is_some_and(|until| until <= now), text, spared_until);

    let measured = balance.measured && balance.as_of.is_some();
    let text = if measured { "rests on measured data" } else { "rests on estimated or missing data" };
    reasons.add(Rule::Measured, measured, text.into(), None);
    let widest = case.meters.iter().map(|meter| policy.max_age(meter.poll)).max().unwrap_or(0);
    age(reasons, "the balance".into(), None, balance.as_of, widest, now);
    for meter in case.meters {
        let what = format!("{}: the last reading", meter.serial);
        age(reasons, what, Some(meter), meter.last_reading, policy.max_age(meter.poll), now);
        reasons.add_meter(meter, Rule::NoException, !meter.exception, "no open exception", None);
    }
    let text = if balance.rerate_pending { "late readings wait to be rated" } else { "no late readings wait" };
    reasons.add(Rule::NoRerate, !balance.rerate_pending, text.into(), None);

    let reviewed_at = account.changed_at.map(|at| at.plus(policy.review()));
    let text = match reviewed_at {
        Some(until) if until > now => {
            format!("a tariff or installation changed; counts from {}", wall(case.site.days, until))
        }
        _ => "no unreviewed change of tariff or installation".into(),
    };
    reasons.add(Rule::Reviewed, reviewed_at.is_none_or(|until| until <= now), text, reviewed_at);
}

fn age(reasons: &mut Reasons, what: String, meter: Option<&MeterFacts>, at: Option<Moment>, limit: i64, now: Moment) {
    let (holds, text) = match at.map(|at| now.since(at)) {
        None => (false, format!("{what} is missing")),
        Some(age) if age < -STEP => (false, format!("{what} is dated {} s ahead", -age / SECOND)),
        Some(age) => (
            age <= limit,
            format!("{what} is {} s old, at most {} s are allowed", (age / SECOND).max(0), limit / SECOND),
        ),
    };
    reasons.add(Rule::Fresh, holds, text, None);
    if let (Some(last), Some(meter)) = (reasons.list.last_mut(), meter) {
        last.meter = Some(meter.meter);
    }
}

/// Whether the customer was warned and had the time to pay.
fn warned(case: &Case, reasons: &mut Reasons) {
    let (policy, now) = (case.policy, case.now);
    let hold = policy.payment_hold();
    let held_until = case.payments.iter().map(|payment| payment.since.plus(hold)).filter(|until| *until > now).max();
    let text = match held_until {
        Some(until) => format!("a payment is under way; held until {}", wall(case.site.days, until)),
        None => "no payment under way".into(),
    };
    reasons.add(Rule::NoPayment, held_until.is_none(), text, held_until);
    let healthy = case.site.payments_healthy;
    let text = if healthy { "payments reach this system" } else { "payments do not reach this system" };
    reasons.add(Rule::PaymentChannel, healthy, text.into(), None);

    let missing = policy.levels.iter().find(|level| case.alert.given(**level).is_none());
    let text = match missing {
        Some(level) => format!("no notice of level {} yet", money(*level)),
        None => "notices of all levels were given".into(),
    };
    reasons.add(Rule::Notices, missing.is_none() && !policy.levels.is_empty(), text, None);
    let counts = |at: &Moment| case.account.protected_until.is_none_or(|end| *at >= end);
    let given = policy.levels.last().and_then(|level| case.alert.given(*level)).filter(counts);
    let from = given.map(|at| at.plus(policy.final_notice()));
    let text = match given {
        Some(at) => {
            format!("final notice at {}; {} min must pass", wall(case.site.days, at), policy.final_notice() / MINUTE)
        }
        None => "no final notice yet".into(),
    };
    reasons.add(Rule::FinalNotice, from.is_some_and(|from| from <= now), text, from);
}

/// Whether the site and the machine stand on firm ground.
fn stands(case: &Case, reasons: &mut Reasons) {
    let text = match case.site.brake {
        Some(on) => {
            format!("fleet brake: {} accounts fell within an hour, {} may; a person must release it", on.fell, on.limit)
        }
        None => "fleet brake is off".into(),
    };
    reasons.add(Rule::Brake, case.site.brake.is_none(), text, None);
    let step = case.site.clock_step;
    let steady = (-STEP..=STEP).contains(&step);
    let text = if steady { "the clock is steady".into() } else { format!("the clock stepped by {} s", step / SECOND) };
    reasons.add(Rule::Clock, steady, text, None);
    let text = case.site.doubt.map_or("the machine is sound".into(), String::from);
    reasons.add(Rule::Sound, case.site.doubt.is_none(), text, None);
}

/// The first meter, in order, that can be cut now; or the rule that all wait on.
fn choose<'a>(case: &Case, targets: &[&'a MeterFacts], reasons: &mut Reasons) -> Result<&'a MeterFacts, Rule> {
    let mut chosen = Err(Rule::Relay);
    let mut busy = false;
    for &meter in targets {
        let in_flight = meter.in_flight.is_some_and(|id| Some(id) != case.own);
        busy |= in_flight;
        let rests = meter.rest_until.max(meter.spared_until);
        let rested = rests.is_none_or(|until| until <= case.now);
        let closed = meter.observed != Some(Contact::Open);
        let switches = meter.switches_24h < case.policy.max_switches_24h;
        let checks = [
            (Rule::Closed, closed, "the contact is closed", None),
            (Rule::Answers, meter.answers, "the device answers", None),
            (Rule::ContactKnown, meter.observed.is_some(), "the contact is known", None),
            (Rule::NotInFlight, !in_flight, "no command under way", None),
            (Rule::Switches, switches, "switched fewer times in 24 h than the policy allows", None),
            (Rule::NotContradicted, !meter.contradicted, "stood still after its last cut", None),
            (Rule::Rested, rested, "no pause after a failure or a person's word", rests),
        ];
        let failing = checks.iter().find(|(_, holds, ..)| !holds).map(|(rule, ..)| *rule);
        for (rule, holds, what, until) in checks {
            reasons.add_meter(meter, rule, holds, what, until);
        }
        chosen = match (chosen, failing) {
            (Ok(first), _) => Ok(first),
            (Err(_), None) => Ok(meter),
            // The first meter that is closed and cannot be cut names what is waited on.
            (Err(Rule::Relay | Rule::Closed), Some(rule)) => Err(rule),
            (waiting, Some(_)) => waiting,
        };
    }
    // One at a time, in the policy's order.
    if busy { Err(Rule::NotInFlight) } else { chosen }
}

fn window(case: &Case, reasons: &mut Reasons) -> Standing {
    let policy = case.policy;
    let windows = Windows {
        windows: &policy.windows,
        holiday_eve: policy.holiday_eve,
        calendar: case.site.calendar,
        days: case.site.days,
    };
    let standing = windows.standing(case.now);
    let (holds, text, until) = match standing {
        Standing::Outside(_) => (true, "outside every no-disconnect window".into(), None),
        Standing::Inside(end) => (false, format!("no cuts until {}", wall(case.site.days, end)), Some(end)),
        Standing::NoEnd => (false, "no cuts: the window has no end, or the local day is not known".into(), None),
    };
    reasons.add(Rule::Window, holds, text, until);
    standing
}
