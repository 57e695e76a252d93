use kernel::id::CommandId;

use super::*;
use crate::field::{CommandRefused, FieldCommand};
use crate::simulated::Lie;

fn write(command: u64, meter: u32, target: Contact, expires: Moment) -> FieldCommand {
    FieldCommand::Write { command: CommandId(command), meter: MeterId(meter), target, expires }
}

/// A command that does not expire.
fn cut(command: u64, meter: u32) -> FieldCommand {
    write(command, meter, Contact::Open, Moment(i64::MAX))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_is_opened_read_back_closely_and_closed_again() {
    for name in ["acrel-adf400l", "acrel-dtsy1352", "acrel-ddsy1352", "xintai-valve-water"] {
        // Polled once an hour: what comes sooner is verification.
        let mut rig = Rig::new(vec![simulated(1, name, LoadShape::Constant(3_000_000))], 1, 24 * HOURLY, FAST).await;
        rig.until_seen(1, Seen::Contact(Contact::Closed)).await;
        rig.field.command(cut(7, 1)).unwrap();
        rig.until_seen(1, Seen::Contact(Contact::Open)).await;
        let expected = [Seen::Contact(Contact::Closed), Seen::Written(CommandId(7)), Seen::Contact(Contact::Open)];
        assert_eq!(rig.order(1), expected, "{name}");
        assert_eq!(rig.simulated.contact(MeterId(1)), Some(Contact::Open));
        let samples = rig.fresh(1, 4).await;
        let shown = counts(&samples);
        assert!(shown.iter().all(|count| *count == shown[0]), "{name}: the register stands still: {shown:?}");
        assert!(samples.iter().all(|sample| sample.instruments.contact == Some(Contact::Open)));
        assert!(samples.iter().all(|sample| sample.instruments.power_mw.is_none_or(|power| power == 0)));
        rig.field.command(write(8, 1, Contact::Closed, Moment(i64::MAX))).unwrap();
        rig.until("the second close", |rig| rig.saw(1, Seen::Contact(Contact::Closed)) == 2).await;
        assert_eq!(rig.simulated.contact(MeterId(1)), Some(Contact::Closed), "{name}");
        assert_eq!(rig.field.counters().writes, 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verification_ends_with_its_window_and_has_samples_however_fast_the_clock() {
    let meters = vec![simulated(1, "acrel-adf400l", LoadShape::Constant(0))];
    let settings = Settings { verify_for_micros: 1, verify_every_micros: 1, ..settings() };
    let mut rig = Rig::with(meters, 1, 4 * SECOND, 1, settings).await;
    rig.until("the first poll", |rig| !rig.readings.is_empty()).await;
    rig.field.command(cut(1, 1)).unwrap();
    rig.until_seen(1, Seen::Written(CommandId(1))).await;
    let written = rig.clock.now();
    rig.until("the next poll", |rig| rig.of(1).iter().any(|reading| reading.time.since(written) > 2 * SECOND)).await;
    let samples = rig.of(1).iter().filter(|reading| reading.time.since(START) > 0).count();
    assert_eq!(samples, 1 + 5 + 1, "first poll, five samples, next poll");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_comes_before_the_polls_that_wait() {
    let meters = (1..=60).map(|id| simulated(id, "acrel-adf400l", LoadShape::Constant(0))).collect();
    let mut rig = Rig::new(meters, 60, SECOND / 100, 1).await;
    (1..=60).for_each(|id| rig.simulated.set_lie(MeterId(id), Some(Lie::Delay(Duration::from_millis(20)))));
    rig.until("a busy bus", |rig| rig.readings.len() >= 10).await;
    let sent: u64 = (1..=60).filter_map(|id| rig.simulated.requests(MeterId(id))).sum();
    rig.field.command(cut(1, 60)).unwrap();
    rig.until_seen(60, Seen::Written(CommandId(1))).await;
    let then: u64 = (1..=60).filter_map(|id| rig.simulated.requests(MeterId(id))).sum();
    assert!(then - sent <= 12, "at most the polls under way, not the 60 that wait: {}", then - sent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_without_an_answer_is_timed_out_and_the_read_back_decides() {
    let meters = vec![simulated(1, "acrel-adf400l", LoadShape::Constant(0))];
    let quick = Settings { timeout: Duration::from_millis(100), ..settings() };
    let mut rig = Rig::with(meters, 1, SECOND, 10, quick).await;
    rig.until_seen(1, Seen::Contact(Contact::Closed)).await;
    rig.simulated.set_lie(MeterId(1), Some(Lie::Delay(Duration::from_millis(250))));
    rig.field.command(cut(3, 1)).unwrap();
    rig.until_seen(1, Seen::TimedOut(CommandId(3))).await;
    assert_eq!(rig.simulated.contact(MeterId(1)), Some(Contact::Open), "obeyed, answered late");
    rig.simulated.set_lie(MeterId(1), None);
    rig.until_seen(1, Seen::Contact(Contact::Open)).await;
    assert_eq!(rig.saw(1, Seen::Written(CommandId(3))), 0, "the late answer is nobody's");
    assert_eq!(rig.field.counters().writes, 1, "sent once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_write_names_the_exception() {
    let mut rig = Rig::new(vec![simulated(1, "acrel-adf400l", LoadShape::Constant(0))], 1, POLL, FAST).await;
    rig.fresh(1, 1).await;
    rig.simulated.set_lie(MeterId(1), Some(Lie::Exception(4)));
    rig.field.command(cut(1, 1)).unwrap();
    rig.until_seen(1, Seen::Refused(CommandId(1), 4)).await;
    // A gateway that lost the device does not know whether it obeyed.
    rig.simulated.set_lie(MeterId(1), Some(Lie::Exception(0x0B)));
    rig.field.command(cut(2, 1)).unwrap();
    rig.until_seen(1, Seen::TimedOut(CommandId(2))).await;
    assert_eq!(rig.simulated.contact(MeterId(1)), Some(Contact::Closed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_command_is_not_sent_and_an_impossible_one_is_refused() {
    let meters = vec![
        simulated(1, "acrel-adf400l", LoadShape::Constant(0)),
        simulated(2, "chint-dtsu666", LoadShape::Constant(0)),
    ];
    let mut rig = Rig::new(meters, 2, POLL, FAST).await;
    rig.field.command(write(1, 1, Contact::Open, START)).unwrap();
    rig.until_seen(1, Seen::NotSent(CommandId(1))).await;
    assert_eq!(rig.simulated.contact(MeterId(1)), Some(Contact::Closed));
    assert_eq!(rig.field.command(cut(2, 2)), Err(CommandRefused::NoRelay(MeterId(2))));
    assert_eq!(rig.field.command(cut(3, 9)), Err(CommandRefused::UnknownMeter(MeterId(9))));
    assert_eq!(rig.field.counters().writes, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_connection_nothing_is_sent() {
    let (_held, nobody) = closed_port(0);
    let mut rig = Rig::new(vec![simulated(1, "acrel-adf400l", LoadShape::Constant(0))], 1, POLL, FAST).await;
    let mut ports = rig.simulated.ports(POLL);
    ports[0].port = nobody;
    rig.field.configure(ports).await.unwrap();
    rig.field.command(cut(1, 1)).unwrap();
    rig.until_seen(1, Seen::NotSent(CommandId(1))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reading_is_taken_when_it_is_asked_for() {
    let mut rig = Rig::new(vec![simulated(1, "acrel-adf400l", LoadShape::Constant(0))], 1, 24 * HOURLY, FAST).await;
    rig.until_seen(1, Seen::Contact(Contact::Closed)).await;
    rig.field.command(FieldCommand::ReadNow { meter: MeterId(1) }).unwrap();
    rig.until("a second look", |rig| rig.saw(1, Seen::Contact(Contact::Closed)) == 2).await;
    assert_eq!(rig.of(1).len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_turned_by_hand_is_reported() {
    let mut rig = Rig::new(vec![simulated(1, "acrel-adf400l", LoadShape::Constant(0))], 1, POLL, FAST).await;
    rig.until_seen(1, Seen::Contact(Contact::Closed)).await;
    rig.simulated.turn(MeterId(1), Contact::Open);
    rig.until_seen(1, Seen::Contact(Contact::Open)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_leaves_no_command_without_an_outcome() {
    let rig = Rig::new(vec![simulated(1, "acrel-adf400l", LoadShape::Constant(0))], 1, HOURLY, 1).await;
    rig.simulated.set_lie(MeterId(1), Some(Lie::Delay(Duration::from_millis(200))));
    (1..=3).for_each(|command| rig.field.command(cut(command, 1)).unwrap());
    let Rig { field, mut events, .. } = rig;
    field.shutdown().await;
    let mut outcomes = Vec::new();
    while let Some(event) = events.recv().await {
        if let FieldEvent::Observations(seen) = event {
            outcomes.extend(seen.into_iter().map(|observation| observation.seen));
        }
    }
    let about = |seen: &Seen, id| match seen {
        Seen::Written(command) | Seen::TimedOut(command) | Seen::NotSent(command) => *command == CommandId(id),
        _ => false,
    };
    for id in 1..=3 {
        assert_eq!(outcomes.iter().filter(|seen| about(seen, id)).count(), 1, "command {id}: {outcomes:?}");
    }
}
