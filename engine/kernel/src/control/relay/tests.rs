//! Commands driven by hand: a line is what happens at a second, and what the command becomes.

use alloc::format;
use alloc::string::{String, ToString};

use proptest::prelude::*;

use super::*;
use crate::control::proof::Watch;

fn command(target: Contact, had_load: bool) -> Command {
    let order = Order {
        by_hand: None,
        id: CommandId(7),
        meter: MeterId(3),
        account: AccountId(1),
        target,
        reason: "balance".into(),
        actor: "control".into(),
        evaluation: None,
        before: Before { had_load, rating_mw: Some(10_000_000) },
    };
    Command::new(order, &Policy::named("shops"), Moment(0), 10 * MINUTE)
}

fn second(second: i64) -> Moment {
    Moment(second * SECOND)
}

fn word(effect: &Effect) -> String {
    match effect {
        Effect::Field(FieldCommand::Write { .. }) => "write".into(),
        Effect::Field(FieldCommand::ReadNow { .. }) => "read".into(),
        Effect::Alarm(text) => format!("alarm({text})"),
        Effect::Ended(_) => "ended".into(),
    }
}

fn event(text: &str, at: Moment) -> Event {
    let mut words = text.split(' ');
    let seen = |seen| Event::Seen { at, seen };
    match words.next().unwrap() {
        "approve" => Event::Approve { actor: "auto".into(), expires: second(600) },
        "cancel" => Event::Cancel { why: "paid".into() },
        "send" => Event::Send { expires: at.plus(MINUTE) },
        "written" => seen(Seen::Written(CommandId(7))),
        "other-written" => seen(Seen::Written(CommandId(8))),
        "refused" => seen(Seen::Refused(CommandId(7), 4)),
        "timeout" => seen(Seen::TimedOut(CommandId(7))),
        "not-sent" => seen(Seen::NotSent(CommandId(7))),
        "silent" => seen(Seen::Silent),
        "tick" => Event::Tick,
        // open|closed POWER_W COUNT, "-" where absent.
        status => {
            let mut number = || words.next().and_then(|word| word.parse::<i64>().ok());
            Event::Sample(Sample {
                at,
                contact: match status {
                    "open" => Some(Contact::Open),
                    "closed" => Some(Contact::Closed),
                    _ => None,
                },
                power_mw: number().map(|watts| watts * 1_000),
                count: number(),
            })
        }
    }
}

/// Each line: the second, what happens, and "STATE" or "STATE: effects".
#[track_caller]
fn drive(mut command: Command, lines: &[(i64, &str, &str)]) -> Command {
    for (at, what, expected) in lines {
        let (next, effects) = step(command, &event(what, second(*at)), second(*at));
        let effects: Vec<String> = effects.iter().map(word).collect();
        let found = match effects.is_empty() {
            true => next.state.name().to_string(),
            false => format!("{}: {}", next.state.name(), effects.join(" ")),
        };
        assert_eq!(&found, expected, "at {at} s: {what}");
        // What is stored is what goes on.
        command = serde_json::from_str(&serde_json::to_string(&next).unwrap()).unwrap();
        assert_eq!(command, next);
    }
    command
}

const SENT: &[(i64, &str, &str)] =
    &[(0, "approve", "queued"), (1, "send", "sent: write"), (2, "written", "acknowledged")];

#[track_caller]
fn check(target: Contact, had_load: bool, lines: &[(i64, &str, &str)]) -> Command {
    drive(drive(command(target, had_load), SENT), lines)
}

#[test]
fn an_open_relay_is_verified_by_status_power_and_register_over_the_window() {
    let done = check(
        Contact::Open,
        true,
        &[
            (3, "closed 900 1000", "acknowledged"),
            (8, "open 400 1001", "acknowledged"),
            (20, "open 0 1001", "acknowledged"),
            (40, "open 4 1001", "acknowledged"),
            (60, "open 0 1001", "acknowledged"),
            (80, "open 0 1001", "acknowledged"),
            (100, "open 0 1001", "acknowledged"),
            (121, "tick", "acknowledged"),
            (122, "tick", "verified: ended"),
            (500, "open 900 1009", "verified"),
        ],
    );
    assert_eq!(done.count_at_switch, Some(1001));
}

#[test]
fn without_load_or_without_power_or_with_few_samples_there_is_no_proof() {
    let idle = [
        (20, "open 0 1001", "acknowledged"),
        (40, "open 0 1001", "acknowledged"),
        (60, "open 0 1001", "acknowledged"),
        (80, "open 0 1001", "acknowledged"),
        (100, "open 0 1001", "acknowledged"),
        (122, "tick", "acknowledged_without_load_proof: ended"),
    ];
    check(Contact::Open, false, &idle);
    let no_power = idle.map(|(at, what, expected)| (at, if what == "tick" { what } else { "open - 1001" }, expected));
    check(Contact::Open, true, &no_power);
    let no_status = idle.map(|(at, what, expected)| (at, if what == "tick" { what } else { "- 0 1001" }, expected));
    check(Contact::Open, true, &no_status);
    check(
        Contact::Open,
        true,
        &[
            (20, "open 0 1001", "acknowledged"),
            (122, "tick", "acknowledged"),
            (482, "tick", "acknowledged_without_load_proof: ended"),
        ],
    );
    check(Contact::Open, true, &[(122, "tick", "acknowledged"), (482, "tick", "timed_out: ended")]);
}

#[test]
fn case_17_a_false_zero_for_45_seconds_is_contradicted_with_one_alarm_and_no_retry() {
    let alarm = "contradicted: alarm(keeps counting after trip; the register at the trip was 1001) ended";
    check(
        Contact::Open,
        true,
        &[
            (12, "open 0 1001", "acknowledged"),
            (22, "open 0 1001", "acknowledged"),
            (32, "open 0 1001", "acknowledged"),
            (42, "open 0 1001", "acknowledged"),
            (47, "open 85 1001", alarm),
            (50, "tick", "contradicted"),
            (60, "send", "contradicted"),
        ],
    );
    // The register alone contradicts, too.
    check(Contact::Open, true, &[(12, "open 0 1001", "acknowledged"), (22, "open 0 1002", alarm)]);
}

#[test]
fn a_closed_relay_is_verified_by_its_load_and_is_fine_without() {
    check(Contact::Closed, false, &[(3, "open 0 1001", "acknowledged"), (5, "closed 85 1001", "verified: ended")]);
    check(Contact::Closed, false, &[(3, "closed - 1001", "acknowledged"), (9, "closed - 1002", "verified: ended")]);
    check(
        Contact::Closed,
        false,
        &[
            (20, "closed 0 1001", "acknowledged"),
            (40, "closed 0 1001", "acknowledged"),
            (60, "closed 0 1001", "acknowledged"),
            (80, "closed 0 1001", "acknowledged"),
            (100, "closed 0 1001", "acknowledged"),
            (122, "tick", "acknowledged_without_load_proof: ended"),
        ],
    );
}

#[test]
fn a_relay_that_does_not_move_is_tried_again_with_back_off_and_then_given_up_with_an_alarm() {
    check(
        Contact::Open,
        true,
        &[
            (20, "closed 900 1001", "acknowledged"),
            (25, "closed 900 1002", "queued"),
            (30, "send", "queued"),
            (55, "send", "sent: write"),
            (56, "refused", "queued"),
            (116, "send", "sent: write"),
            (
                117,
                "refused",
                "failed: alarm(the relay does not open after 3 attempts: the device refuses with Modbus exception 4) ended",
            ),
        ],
    );
}

#[test]
fn case_18_a_cut_that_timed_out_is_decided_by_reading_the_relay() {
    let out = &[(0, "approve", "queued"), (1, "send", "sent: write"), (5, "timeout", "timed_out: read")];
    let timed_out = drive(command(Contact::Open, true), out);
    drive(timed_out.clone(), &[(1, "closed 9 1", "timed_out"), (8, "open 0 1001", "acknowledged")]);
    drive(timed_out.clone(), &[(8, "closed 900 1001", "queued")]);
    drive(timed_out, &[(60, "silent", "timed_out"), (125, "tick", "timed_out: ended")]);
}

#[test]
fn case_27_an_acknowledgement_that_comes_late_or_for_another_command_is_not_believed() {
    let sent = &[(0, "approve", "queued"), (1, "send", "sent: write"), (2, "other-written", "sent")];
    let sent = drive(command(Contact::Open, true), sent);
    drive(
        sent,
        &[
            (91, "tick", "timed_out: read"),
            (92, "written", "timed_out: read"),
            (93, "closed 900 1000", "queued"),
            (94, "written", "queued"),
        ],
    );
}

#[test]
fn what_is_called_off_expires_or_was_not_sent_ends_as_cancelled() {
    drive(command(Contact::Open, true), &[(1, "send", "created"), (600, "tick", "cancelled: ended")]);
    drive(
        command(Contact::Open, true),
        &[(1, "approve", "queued"), (2, "cancel", "cancelled: ended"), (3, "send", "cancelled")],
    );
    drive(command(Contact::Open, true), &[(1, "approve", "queued"), (600, "tick", "cancelled: ended")]);
    drive(
        command(Contact::Open, true),
        &[(1, "approve", "queued"), (2, "send", "sent: write"), (70, "not-sent", "cancelled: ended")],
    );
    drive(
        command(Contact::Open, true),
        &[(1, "approve", "queued"), (2, "send", "sent: write"), (3, "cancel", "cancelled: ended")],
    );
}

#[test]
fn a_restart_reads_what_may_have_moved_and_writes_nothing() {
    let queued = drive(command(Contact::Open, true), &[(1, "approve", "queued")]);
    assert!(queued.after_restart().is_empty());
    let sent = drive(queued, &[(2, "send", "sent: write")]);
    assert_eq!(sent.after_restart(), [FieldCommand::ReadNow { meter: MeterId(3) }]);
}

fn any_state() -> impl Strategy<Value = State> {
    prop_oneof![
        Just(State::Created),
        (0_i64..600).prop_map(|at| State::Queued { from: second(at) }),
        (0_i64..600).prop_map(|at| State::Sent { expires: second(at) }),
        (0_i64..600).prop_map(|at| State::TimedOut { read_by: second(at) }),
        (0_i64..600).prop_map(|at| State::Acknowledged(Watch::begin(second(at), 120 * SECOND))),
    ]
}

proptest! {
    #[test]
    fn no_state_is_one_that_nobody_leaves(state in any_state(), attempts in 0_u32..5) {
        let mut command = Command { state, attempts, ..command(Contact::Open, true) };
        let mut steps = 0;
        while let Some(deadline) = command.deadline() {
            command = step(command, &Event::Tick, deadline).0;
            steps += 1;
            prop_assert!(steps < 10);
        }
        prop_assert!(!command.is_open());
    }

    #[test]
    fn a_command_is_written_at_most_as_often_as_allowed(
        events in prop::collection::vec((1_i64..20, prop::sample::select(&[
            "approve", "send", "send", "written", "refused", "timeout", "tick", "closed 900 5", "open 0 5", "silent",
        ][..])), 0..200),
    ) {
        let mut command = command(Contact::Open, true);
        let (mut now, mut writes) = (0, 0);
        for (pause, what) in events {
            now += pause;
            let (next, effects) = step(command, &event(what, second(now)), second(now));
            writes += effects.iter().filter(|effect| word(effect) == "write").count();
            prop_assert_eq!(usize::try_from(next.attempts).unwrap(), writes);
            command = next;
        }
        prop_assert!(writes <= 3);
    }
}
