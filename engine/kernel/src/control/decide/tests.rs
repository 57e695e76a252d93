//! One case that would be cut, and what each change of it makes of the decision.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec;

use proptest::prelude::*;

use super::*;
use crate::calendar::{Calendar, DayType};
use crate::control::alert::Fired;
use crate::control::brake::Engaged;
use crate::control::window::{Standing, Windows};
use crate::id::{AccountId, Utility};
use crate::reading::Contact;
use crate::time::{DAY, HOUR, LocalDate, SECOND, SiteDay, SiteDays};

/// Wednesday 2026-06-03, 12:00 at a site that lives by UTC.
fn noon() -> Moment {
    Moment(i64::from(LocalDate::new(2026, 6, 3).unwrap().0) * DAY + 12 * HOUR)
}

fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

struct World {
    account: AccountFacts,
    policy: Policy,
    balance: BalanceFacts,
    payments: Vec<PendingPayment>,
    alert: AlertState,
    due: Option<Crossed>,
    meters: Vec<MeterFacts>,
    mode: Mode,
    brake: Option<Engaged>,
    clock_step: i64,
    doubt: Option<&'static str>,
    payments_healthy: bool,
    calendar: Calendar,
    days: SiteDays,
    own: Option<CommandId>,
    now: Moment,
}

fn meter(id: u32, utility: Utility, now: Moment) -> MeterFacts {
    MeterFacts {
        meter: MeterId(id),
        serial: alloc::format!("M-{id}"),
        utility,
        has_relay: true,
        poll: Some(10 * SECOND),
        last_reading: Some(now.plus(-5 * SECOND)),
        exception: false,
        answers: true,
        observed: Some(Contact::Closed),
        unknown_since: now.plus(-DAY),
        in_flight: None,
        switches_24h: 0,
        opened_for: None,
        contradicted: false,
        rest_until: None,
        spared_until: None,
    }
}

/// An account that is cut now.
fn world() -> World {
    let now = noon();
    let first = LocalDate::new(2026, 5, 1).unwrap();
    let day = |offset: i32| {
        let date = first.plus(offset);
        let start = Moment(i64::from(date.0) * DAY);
        SiteDay { date, start, end: start.plus(DAY), wall_start: 0, jump: None }
    };
    let policy = Policy::named("shops");
    let fired = policy.levels.iter().map(|level| Fired { level: *level, at: now.plus(-2 * HOUR) }).collect();
    World {
        account: AccountFacts {
            account: AccountId(1),
            prepaid: true,
            closed_at: None,
            cutoff_enabled: true,
            protected: None,
            protected_until: None,
            credit_limit: Amount::ZERO,
            emergency_unused: Amount::ZERO,
            confirmed_at: Some(now.plus(-30 * DAY)),
            changed_at: None,
        },
        policy,
        balance: BalanceFacts {
            amount: amount("-0.01"),
            as_of: Some(now.plus(-5 * SECOND)),
            measured: true,
            rerate_pending: false,
            uncounted_debits: Amount::ZERO,
        },
        payments: Vec::new(),
        alert: AlertState { fired },
        due: None,
        meters: vec![meter(1, Utility::Electricity, now)],
        mode: Mode::Auto,
        brake: None,
        clock_step: 0,
        doubt: None,
        payments_healthy: true,
        calendar: Calendar {
            name: "test".into(),
            exceptions: BTreeMap::from([(LocalDate::new(2026, 6, 19).unwrap(), DayType::Holiday)]),
            ..Calendar::default()
        },
        days: SiteDays::new((0..90).map(day).collect()).unwrap(),
        own: None,
        now,
    }
}

impl World {
    fn decide(&self) -> Evaluation {
        let site = SiteFacts {
            mode: self.mode,
            brake: self.brake,
            clock_step: self.clock_step,
            doubt: self.doubt,
            payments_healthy: self.payments_healthy,
            calendar: &self.calendar,
            days: &self.days,
        };
        decide(&Case {
            account: &self.account,
            policy: &self.policy,
            balance: &self.balance,
            payments: &self.payments,
            alert: &self.alert,
            due: self.due,
            meters: &self.meters,
            site: &site,
            own: self.own,
            now: self.now,
        })
    }

    /// Moves the case to another moment without letting its readings age.
    fn at(&mut self, now: Moment) {
        self.now = now;
        self.balance.as_of = Some(now.plus(-SECOND));
        for meter in &mut self.meters {
            meter.last_reading = Some(now.plus(-SECOND));
        }
    }
}

fn show(evaluation: &Evaluation) -> String {
    let failing: Vec<String> = evaluation
        .reasons
        .iter()
        .filter(|reason| !reason.holds)
        .map(|reason| alloc::format!("{:?}", reason.rule))
        .collect();
    let decision = match &evaluation.decision {
        Decision::Cut { meter, leave } => alloc::format!("cut {meter} {leave:?}"),
        Decision::Hold(rule) => alloc::format!("hold {rule:?}"),
        Decision::Defer(until) => alloc::format!("defer {until}"),
        Decision::Reconnect(meters) => alloc::format!("reconnect {meters:?}"),
        Decision::Notify(level) => alloc::format!("notify {level}"),
        Decision::Keep => "keep".to_string(),
    };
    if failing.is_empty() { decision } else { alloc::format!("{decision}; not {}", failing.join(" ")) }
}

type Change = Box<dyn Fn(&mut World)>;

#[track_caller]
fn check(change: impl Fn(&mut World), expected: &str) {
    let mut world = world();
    change(&mut world);
    assert_eq!(show(&world.decide()), expected);
}

#[test]
fn an_account_is_cut_when_every_rule_holds_and_each_is_named() {
    check(|_| (), "cut 1 Auto");
    let rules: Vec<Rule> = world().decide().reasons.iter().map(|reason| reason.rule).collect();
    for rule in [Rule::Contract, Rule::Fresh, Rule::FinalNotice, Rule::Switches, Rule::Brake, Rule::Window, Rule::Mode]
    {
        assert!(rules.contains(&rule), "{rule:?}");
    }
    let evaluation = world().decide();
    assert!(evaluation.reasons.iter().any(|reason| reason.text == "balance -0.01 is below 0.00"));
}

#[test]
fn each_rule_alone_holds_the_contact_where_it_is() {
    let minute_ago = noon().plus(-MINUTE);
    let cases: Vec<(Change, &str)> = vec![
        (Box::new(|w| w.account.prepaid = false), "keep; not Contract"),
        (Box::new(|w| w.account.cutoff_enabled = false), "keep; not Contract"),
        (Box::new(|w| w.account.closed_at = Some(w.now)), "keep; not Contract"),
        (Box::new(|w| w.account.protected = Some("fire pump".into())), "keep; not NotProtected"),
        (Box::new(|w| w.balance.amount = Amount::ZERO), "keep; not BalanceBelow"),
        (Box::new(|w| w.account.credit_limit = amount("0.01")), "keep; not BalanceBelow"),
        (Box::new(|w| w.account.emergency_unused = amount("5")), "keep; not BalanceBelow"),
        (Box::new(|w| w.balance.uncounted_debits = amount("0.01")), "keep; not BalanceBelow"),
        (Box::new(|w| w.mode = Mode::Off), "hold Mode; not Mode"),
        (Box::new(|w| w.account.confirmed_at = None), "hold Confirmed; not Confirmed"),
        (
            Box::new(|w| {
                w.policy.grace_hours = 24;
                w.account.confirmed_at = Some(w.now.plus(-23 * HOUR));
            }),
            "hold Confirmed; not Confirmed",
        ),
        (Box::new(|w| w.balance.measured = false), "hold Measured; not Measured"),
        (Box::new(|w| w.balance.as_of = None), "hold Measured; not Measured Fresh"),
        (Box::new(|w| w.meters[0].last_reading = None), "hold Fresh; not Fresh"),
        (Box::new(|w| w.meters[0].last_reading = Some(w.now.plus(-31 * SECOND))), "hold Fresh; not Fresh"),
        (Box::new(|w| w.balance.as_of = Some(w.now.plus(61 * SECOND))), "hold Fresh; not Fresh"),
        (Box::new(|w| w.meters[0].exception = true), "hold NoException; not NoException"),
        (Box::new(|w| w.balance.rerate_pending = true), "hold NoRerate; not NoRerate"),
        (Box::new(|w| w.account.changed_at = Some(w.now.plus(-23 * HOUR))), "hold Reviewed; not Reviewed"),
        (
            Box::new(move |w| w.payments.push(PendingPayment { amount: amount("10"), since: minute_ago })),
            "hold NoPayment; not NoPayment",
        ),
        (Box::new(|w| w.payments_healthy = false), "hold PaymentChannel; not PaymentChannel"),
        (
            Box::new(|w| {
                w.alert.fired.remove(0);
            }),
            "hold Notices; not Notices",
        ),
        (Box::new(|w| w.alert.fired[2].at = w.now.plus(-29 * MINUTE)), "hold FinalNotice; not FinalNotice"),
        (Box::new(|w| w.policy.levels.clear()), "hold Notices; not Notices FinalNotice"),
        (Box::new(|w| w.clock_step = -61 * SECOND), "hold Clock; not Clock"),
        (Box::new(|w| w.doubt = Some("the disk reports errors")), "hold Sound; not Sound"),
        (Box::new(|w| w.meters[0].has_relay = false), "keep; not Relay"),
        (Box::new(|w| w.meters[0].utility = Utility::Gas), "keep; not Relay"),
        (Box::new(|w| w.meters[0].observed = Some(Contact::Open)), "keep; not Closed"),
        (Box::new(|w| w.meters[0].observed = None), "hold ContactKnown; not ContactKnown"),
        (Box::new(|w| w.meters[0].in_flight = Some(CommandId(9))), "hold NotInFlight; not NotInFlight"),
        (Box::new(|w| w.meters[0].switches_24h = 4), "hold Switches; not Switches"),
        (Box::new(|w| w.meters[0].contradicted = true), "hold NotContradicted; not NotContradicted"),
        (Box::new(|w| w.meters[0].rest_until = Some(w.now.plus(1))), "hold Rested; not Rested"),
        (Box::new(|w| w.meters[0].spared_until = Some(w.now.plus(1))), "hold Rested; not Rested"),
        (Box::new(|w| w.meters[0].spared_until = Some(w.now)), "cut 1 Auto"),
        (Box::new(|w| w.account.protected_until = Some(w.now.plus(-HOUR))), "hold FinalNotice; not FinalNotice"),
        (Box::new(|w| w.account.protected_until = Some(w.now.plus(-3 * HOUR))), "cut 1 Auto"),
        (Box::new(|w| w.at(noon().plus(6 * HOUR))), "defer 2026-06-04T08:00:00Z; not Window"),
    ];
    for (change, expected) in cases {
        check(change, expected);
    }
}

#[test]
fn the_mode_says_what_a_cut_may_lead_to() {
    check(|w| w.mode = Mode::Shadow, "cut 1 Shadow");
    check(|w| w.mode = Mode::Ask, "cut 1 Ask");
}

#[test]
fn case_16_a_cut_decided_before_the_window_is_refused_when_sent_and_decided_again_in_the_morning() {
    let own = |w: &mut World| {
        w.meters[0].in_flight = Some(CommandId(9));
        w.own = Some(CommandId(9));
    };
    check(
        |w| {
            w.at(noon().plus(6 * HOUR - SECOND));
            own(w)
        },
        "cut 1 Auto",
    );
    check(
        |w| {
            w.at(noon().plus(6 * HOUR));
            own(w)
        },
        "defer 2026-06-04T08:00:00Z; not Window",
    );
    check(|w| w.at(noon().plus(20 * HOUR)), "cut 1 Auto");
    check(
        |w| {
            w.at(noon().plus(20 * HOUR));
            w.balance.amount = amount("20")
        },
        "keep; not BalanceBelow",
    );
    // The eve of a holiday (Thursday 06-18) is a day without cuts, and so is the weekend that follows.
    check(|w| w.at(noon().plus(15 * DAY)), "defer 2026-06-22T08:00:00Z; not Window");
}

#[test]
fn case_19_only_what_was_opened_for_credit_is_closed_again() {
    let opened = |w: &mut World, cause| {
        w.meters[0].observed = Some(Contact::Open);
        w.meters[0].opened_for = cause;
        w.balance.amount = amount("10");
    };
    check(|w| opened(w, Some(OpenedFor::Safety)), "keep; not BalanceBelow");
    check(|w| opened(w, Some(OpenedFor::Manual)), "keep; not BalanceBelow");
    check(|w| opened(w, None), "keep; not BalanceBelow");
    check(|w| opened(w, Some(OpenedFor::Credit)), "reconnect [MeterId(1)]");
    // No window, no stale data, no brake, and no mode blocks it.
    let anyhow = |w: &mut World| {
        opened(w, Some(OpenedFor::Credit));
        w.now = noon().plus(9 * HOUR);
        w.meters[0].observed = None;
        w.mode = Mode::Off;
        w.brake = Some(Engaged { at: noon(), fell: 9, limit: 5 });
    };
    check(anyhow, "reconnect [MeterId(1)]");
    check(
        |w| {
            opened(w, Some(OpenedFor::Credit));
            w.balance.amount = amount("0.99")
        },
        "keep; not Paid BalanceBelow",
    );
    check(
        |w| {
            opened(w, Some(OpenedFor::Credit));
            w.meters[0].answers = false
        },
        "hold Answers; not Answers",
    );
    let medical = |w: &mut World| {
        opened(w, Some(OpenedFor::Credit));
        w.balance.amount = amount("-5");
        w.account.protected = Some("medical".into());
    };
    check(medical, "reconnect [MeterId(1)]; not NotProtected");
}

#[test]
fn case_20_the_brake_holds_everybody_however_often_it_is_asked() {
    for settlement in 0..100 {
        let on = Engaged { at: noon(), fell: 21, limit: 20 };
        check(
            |w| {
                w.brake = Some(on);
                w.at(noon().plus(settlement * SECOND))
            },
            "hold Brake; not Brake",
        );
    }
}

#[test]
fn case_28_a_cut_of_an_offline_meter_waits_until_it_is_back() {
    let offline = |w: &mut World| {
        w.meters[0].answers = false;
        w.meters[0].last_reading = Some(w.now.plus(-HOUR));
    };
    check(offline, "hold Fresh; not Fresh Answers");
    check(|_| (), "cut 1 Auto");
}

#[test]
fn case_29_the_policy_names_which_meters_are_cut_and_in_what_order() {
    let two = |w: &mut World| w.meters = vec![meter(1, Utility::Water, w.now), meter(2, Utility::Electricity, w.now)];
    check(two, "cut 2 Auto");
    check(
        |w| {
            two(w);
            w.policy.cut = vec![Utility::Water]
        },
        "cut 1 Auto",
    );
    check(
        |w| {
            two(w);
            w.meters[1].in_flight = Some(CommandId(9))
        },
        "hold NotInFlight; not NotInFlight",
    );
    check(
        |w| {
            two(w);
            w.meters[1].observed = Some(Contact::Open)
        },
        "cut 1 Auto; not Closed",
    );
    check(
        |w| {
            two(w);
            w.meters[1].contradicted = true
        },
        "cut 1 Auto; not NotContradicted",
    );
    // The readings of a meter that is not cut carry the balance too.
    check(
        |w| {
            two(w);
            w.meters[0].last_reading = None
        },
        "hold Fresh; not Fresh",
    );
}

#[test]
fn a_notice_that_is_due_comes_before_waiting() {
    let due = |w: &mut World| {
        w.due = Some(Crossed { number: 3, level: amount("5"), last: true });
        w.alert.fired[2].at = w.now;
    };
    check(due, "notify 3; not FinalNotice");
    let mut world = world();
    due(&mut world);
    assert_eq!(world.decide().look_again, Some(noon().plus(30 * MINUTE)));
}

#[test]
fn ages_alone_do_not_make_another_evaluation() {
    let mut world = world();
    let first = world.decide();
    world.meters[0].last_reading = Some(world.now.plus(-6 * SECOND));
    world.balance.amount = amount("-0.02");
    let repeats = |evaluation: &Evaluation| evaluation.repeats(first.decision.name(), first.mode, &first.reasons);
    assert!(repeats(&world.decide()));
    world.meters[0].exception = true;
    assert!(!repeats(&world.decide()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Whatever else is the case: no cut inside a window, on stale, estimated or missing data, of a protected account,
    /// without the final notice, under the brake, or in another mode than the one named.
    #[test]
    fn nobody_is_cut_in_doubt(
        minute in 0_i64..60 * 24 * 60,
        age in prop::option::weighted(0.9, 0_i64..45),
        notice in prop::option::weighted(0.9, 15_i64..120),
        (measured, protected, exception, answers) in any::<(bool, bool, bool, bool)>(),
        (braked, pending, known, rerate, unconfirmed) in any::<(bool, bool, bool, bool, bool)>(),
        cents in -300_i64..40,
        mode in prop::sample::select(vec![Mode::Off, Mode::Shadow, Mode::Ask, Mode::Auto]),
        rare in 0_u8..8,
    ) {
        let mut w = world();
        // Most faults are rare, so that cuts do happen among the cases.
        let fault = |flag: bool, place: u8| flag && rare == place;
        w.at(Moment(noon().0 - 30 * DAY + minute * MINUTE));
        w.mode = mode;
        w.balance.amount = Amount(i128::from(cents) * 10_000_000);
        w.balance.measured = !fault(!measured, 0);
        w.balance.rerate_pending = fault(rerate, 1);
        w.account.protected = fault(protected, 2).then(|| "lift".into());
        w.account.confirmed_at = (!fault(unconfirmed, 3)).then_some(Moment(0));
        w.meters[0].exception = fault(exception, 4);
        w.meters[0].answers = !fault(!answers, 5);
        w.meters[0].observed = (!fault(!known, 6)).then_some(Contact::Closed);
        w.meters[0].last_reading = age.map(|seconds| w.now.plus(-seconds * SECOND));
        w.brake = fault(braked, 7).then_some(Engaged { at: w.now, fell: 6, limit: 5 });
        if fault(pending, 0) {
            w.payments.push(PendingPayment { amount: amount("1"), since: w.now });
        }
        match notice {
            Some(minutes) => w.alert.fired[2].at = w.now.plus(-minutes * MINUTE),
            None => w.alert.fired.truncate(2),
        }
        let evaluation = w.decide();
        if let Decision::Cut { leave, .. } = evaluation.decision {
            let windows = Windows {
                windows: &w.policy.windows, holiday_eve: true, calendar: &w.calendar, days: &w.days,
            };
            prop_assert!(matches!(windows.standing(w.now), Standing::Outside(_)));
            prop_assert!(w.balance.measured && !w.balance.rerate_pending && w.balance.amount < Amount::ZERO);
            prop_assert!(w.account.protected.is_none() && w.account.confirmed_at.is_some());
            prop_assert!(!w.meters[0].exception && w.meters[0].answers && w.meters[0].observed.is_some());
            prop_assert!(age.is_some_and(|seconds| seconds <= 30));
            prop_assert!(notice.is_some_and(|minutes| minutes >= 30));
            prop_assert!(w.brake.is_none() && w.payments.is_empty());
            let expected = match mode {
                Mode::Off => None,
                Mode::Shadow => Some(Leave::Shadow),
                Mode::Ask => Some(Leave::Ask),
                Mode::Auto => Some(Leave::Auto),
            };
            prop_assert_eq!(Some(leave), expected);
            prop_assert!(evaluation.reasons.iter().all(|reason| reason.holds));
        }
    }
}
