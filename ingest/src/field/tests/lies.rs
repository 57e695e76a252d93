use kernel::id::CommandId;

use super::*;
use crate::field::FieldCommand;
use crate::simulated::Lie;

async fn one(load: LoadShape) -> Rig {
    let mut rig = Rig::new(vec![simulated(1, "acrel-adf400l", load)], 1, POLL, FAST).await;
    rig.fresh(1, 1).await;
    rig
}

fn cut() -> FieldCommand {
    let (command, meter) = (CommandId(1), MeterId(1));
    FieldCommand::Write { command, meter, target: Contact::Open, expires: Moment(i64::MAX) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_welded_relay_says_open_while_power_and_register_go_on() {
    let mut rig = one(LoadShape::Constant(10_000_000)).await;
    rig.simulated.set_lie(MeterId(1), Some(Lie::Welded));
    rig.field.command(cut()).unwrap();
    rig.until_seen(1, Seen::Contact(Contact::Open)).await;
    let samples = rig.fresh(1, 20).await;
    assert!(samples.iter().all(|sample| sample.instruments.contact == Some(Contact::Open)));
    assert!(samples.iter().all(|sample| sample.instruments.power_mw == Some(10_000_000)));
    let shown = counts(&samples);
    assert!(shown[0] < shown[shown.len() - 1], "{shown:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deaf_relay_confirms_and_stays_closed() {
    let mut rig = one(LoadShape::Constant(0)).await;
    rig.simulated.set_lie(MeterId(1), Some(Lie::DeafRelay));
    rig.field.command(cut()).unwrap();
    rig.until_seen(1, Seen::Written(CommandId(1))).await;
    let looks = rig.saw(1, Seen::Contact(Contact::Closed));
    rig.until("the read-back", |rig| rig.saw(1, Seen::Contact(Contact::Closed)) > looks).await;
    assert_eq!(rig.saw(1, Seen::Contact(Contact::Open)), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stuck_register_stands_still_while_power_flows() {
    let mut rig = one(ONE_COUNT_A_SECOND).await;
    rig.simulated.set_lie(MeterId(1), Some(Lie::Stuck));
    rig.fresh(1, 1).await;
    let samples = rig.fresh(1, 5).await;
    let shown = counts(&samples);
    assert!(shown.iter().all(|count| *count == shown[0]), "{shown:?}");
    assert!(samples.iter().all(|sample| sample.instruments.power_mw.is_some_and(|power| power > 0)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_glitch_is_passed_on_as_read_and_is_over() {
    let mut rig = one(LoadShape::Constant(0)).await;
    rig.simulated.set_lie(MeterId(1), Some(Lie::Glitch { count: 5, reads: 1 }));
    rig.until("the glitch", |rig| counts(&rig.of(1)).contains(&5)).await;
    let after = rig.fresh(1, 3).await;
    assert!(counts(&after).iter().all(|count| *count == 1_000));
    assert_eq!(counts(&rig.of(1)).iter().filter(|count| **count == 5).count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invalid_codes_are_counted_and_are_no_readings() {
    let mut rig = one(LoadShape::Constant(0)).await;
    rig.simulated.set_lie(MeterId(1), Some(Lie::Fill(0xFFFF)));
    let refused = |rig: &Rig| rig.field.counters().refused_decodes;
    // The devices answers, so it is not silent; its contact (0xFFFF under the mask) is unknown.
    tokio::time::timeout(PATIENCE, async {
        while refused(&rig) < 10 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    rig.simulated.set_lie(MeterId(1), None);
    rig.fresh(1, 2).await;
    assert!(counts(&rig.of(1)).iter().all(|count| *count == 1_000));
    assert_eq!(rig.saw(1, Seen::Silent), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exceptions_and_lost_requests_end_in_one_report_of_silence() {
    for lie in [Lie::Exception(6), Lie::Exception(0x0B), Lie::Drop, Lie::Delay(Duration::from_millis(150))] {
        let quick = Settings { timeout: Duration::from_millis(50), ..settings() };
        let meters = vec![simulated(1, "acrel-adf400l", LoadShape::Constant(0))];
        let mut rig = Rig::with(meters, 1, SECOND / 10, 1, quick).await;
        rig.fresh(1, 1).await;
        rig.simulated.set_lie(MeterId(1), Some(lie));
        rig.until_seen(1, Seen::Silent).await;
        rig.simulated.set_lie(MeterId(1), None);
        rig.fresh(1, 3).await;
        assert_eq!(rig.saw(1, Seen::Silent), 1, "{lie:?}");
    }
}
