//! What happens to a house, from the first warning to the light that is back.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use kernel::control::evidence::{Mode, OpenedFor};
use kernel::id::{AccountId, CommandId, SiteId};
use kernel::reading::Contact;
use kernel::time::{HOUR, MINUTE, SECOND};

use super::world::{amount, noon};
use super::{Fault, World};
use crate::control::outbox::{self, Deliver, Item};

#[tokio::test]
async fn a_tenant_runs_low_is_warned_three_times_cut_pays_and_is_back() {
    let mut world = World::new(1, Mode::Auto).await;
    for balance in ["60", "45", "18", "4"] {
        world.set_balance(1, balance);
        world.run(1).await;
    }
    assert_eq!(world.notices().await, ["low_balance 1", "low_balance 2", "low_balance 3"]);
    world.set_balance(1, "-0.01");
    world.run(1).await;
    assert_eq!(world.commands().await, ["1 open acknowledged"]);
    world.run(3).await;
    assert_eq!(world.commands().await, ["1 open verified"]);
    assert_eq!(world.supply().await, "open open open credit");
    world.top_up(1, "50");
    world.step(None).await;
    assert_eq!(world.writes.len(), 2, "a payment writes the relay at the next tick");
    world.run(1).await;
    assert_eq!(world.commands().await, ["1 open verified", "2 close verified"]);
    assert_eq!(world.supply().await, "closed closed closed -");
    assert_eq!(world.notices().await[3..], ["cut", "reconnected", "low_balance 1"].map(String::from)[..2]);
    assert_eq!(
        world.decisions().await,
        ["keep", "notify", "keep", "notify", "keep", "notify", "keep", "cut", "hold", "keep", "reconnect", "keep"]
    );
}

#[tokio::test]
async fn equal_evaluations_are_stored_once() {
    let mut world = World::new(1, Mode::Shadow).await;
    world.set_balance(1, "-5");
    world.run(2).await;
    let before = world.count("SELECT COUNT(*) FROM evaluations").await;
    world.run(120).await;
    assert_eq!(world.count("SELECT COUNT(*) FROM evaluations").await, before);
    assert_eq!(world.decisions().await.last().unwrap(), "cut", "shadow says what would be cut");
    assert!(world.commands().await.is_empty() && world.writes.is_empty());
}

#[tokio::test]
async fn a_welded_relay_is_contradicted_with_one_alarm_and_no_retry() {
    for fault in [Fault::Welded, Fault::FalseZero] {
        let mut world = World::new(1, Mode::Auto).await;
        world.meter(1).fault = fault;
        world.set_balance(1, "-5");
        world.run(60).await;
        assert_eq!(world.commands().await, ["1 open contradicted"], "{fault:?}");
        let alarms = world.notices().await.into_iter().filter(|text| text.contains("keeps counting after trip"));
        assert_eq!(alarms.count(), 1);
        assert_eq!(world.writes.len(), 1);
        world.top_up(1, "50");
        world.run(1).await;
        assert_eq!(world.commands().await, ["1 open contradicted", "2 close verified"]);
    }
}

#[tokio::test]
async fn a_lost_answer_is_decided_by_reading_the_relay() {
    let mut world = World::new(1, Mode::Auto).await;
    world.meter(1).fault = Fault::LostAnswer;
    world.set_balance(1, "-5");
    world.run(6).await;
    assert_eq!(world.commands().await, ["1 open verified"]);
    world.top_up(1, "50");
    world.run(3).await;
    assert_eq!(world.commands().await, ["1 open verified", "2 close verified"]);
    assert_eq!(world.writes.len(), 2);
}

#[tokio::test]
async fn a_payment_takes_back_a_cut_that_is_out() {
    let mut world = World::new(1, Mode::Auto).await;
    world.set_balance(1, "-5");
    while world.writes.is_empty() {
        world.step(None).await;
    }
    world.top_up(1, "50");
    world.run(1).await;
    assert_eq!(world.commands().await, ["1 open cancelled", "2 close verified"]);
    assert_eq!(world.supply().await, "closed closed closed -");
}

#[tokio::test]
async fn a_payment_calls_off_a_cut_that_is_queued() {
    let mut world = World::new(1, Mode::Auto).await;
    world.set_balance(1, "-5");
    while world.commands().await.is_empty() {
        world.step(None).await;
    }
    assert_eq!(world.commands().await, ["1 open queued"]);
    world.top_up(1, "50");
    world.run(5).await;
    assert_eq!(world.commands().await, ["1 open cancelled"]);
    assert!(world.writes.is_empty());
    assert_eq!(world.meter(1).contact, Contact::Closed);
}

#[tokio::test]
async fn a_dead_meter_is_cut_when_it_returns_and_reconnected_when_it_returns() {
    let mut world = World::new(1, Mode::Auto).await;
    world.run(1).await;
    world.meter(1).fault = Fault::Dead;
    world.set_balance(1, "-5");
    world.run(20).await;
    assert!(world.commands().await.is_empty());
    world.meter(1).fault = Fault::None;
    world.run(5).await;
    assert_eq!(world.commands().await, ["1 open verified"]);
    world.meter(1).fault = Fault::Dead;
    world.run(1).await;
    world.top_up(1, "50");
    world.run(20).await;
    world.meter(1).fault = Fault::None;
    world.run(2).await;
    assert_eq!(world.commands().await, ["1 open verified", "2 close verified"]);
}

#[tokio::test]
async fn a_meter_that_dies_between_write_and_answer_leaves_no_command_that_nobody_ends() {
    let mut world = World::new(1, Mode::Auto).await;
    world.set_balance(1, "-5");
    while world.writes.is_empty() {
        world.step(None).await;
    }
    world.meter(1).fault = Fault::Dead;
    world.run(30).await;
    assert_eq!(world.commands().await, ["1 open timed_out"]);
    world.meter(1).fault = Fault::None;
    world.top_up(1, "50");
    world.run(2).await;
    assert_eq!(world.commands().await, ["1 open timed_out", "2 close verified"]);
}

#[tokio::test]
async fn a_relay_that_refuses_is_tried_three_times_then_rests_with_an_alarm() {
    let mut world = World::new(1, Mode::Auto).await;
    world.meter(1).fault = Fault::Refuses;
    world.set_balance(1, "-5");
    world.run(5).await;
    assert_eq!(world.commands().await[0], "1 open failed");
    assert!(world.notices().await.iter().any(|text| text.contains("does not open after 3 attempts")));
    world.run(5 * 60).await;
    assert!(world.writes.len() <= 6, "at most four switches are begun in 24 h: {:?}", world.writes);
}

#[tokio::test]
async fn case_16_a_cut_still_queued_when_the_night_begins_is_called_off_and_decided_again_in_the_morning() {
    for paid_at_23 in [false, true] {
        let mut world = World::new(1, Mode::Auto).await;
        world.now = noon().plus(5 * HOUR + 58 * MINUTE + 50 * SECOND);
        world.restart().await;
        world.set_balance(1, "-5");
        world.run(1).await;
        world.step(None).await;
        assert_eq!(world.commands().await, ["1 open queued"], "17:59:55");
        world.step(None).await;
        assert_eq!(world.commands().await, ["1 open cancelled"], "18:00:00");
        world.run(5 * 60).await;
        assert_eq!(world.decisions().await.last().unwrap(), "defer");
        if paid_at_23 {
            world.top_up(1, "50");
        }
        world.run(9 * 60 - 1).await;
        assert!(world.writes.is_empty(), "07:59:00 is night");
        world.run(5).await;
        assert_eq!(world.writes.len(), usize::from(!paid_at_23));
    }
}

#[tokio::test]
async fn case_19_what_was_opened_by_hand_stays_open_and_says_so() {
    let mut world = World::new(1, Mode::Auto).await;
    world.meter(1).contact = Contact::Open;
    world.set_balance(1, "-5");
    world.run(10).await;
    world.top_up(1, "50");
    world.run(10).await;
    assert!(world.writes.is_empty());
    assert_eq!(world.control.meter(kernel::id::MeterId(1)).unwrap().opened_for, Some(OpenedFor::Manual));
    assert_eq!(world.notices().await.last().unwrap(), "paid_not_restored");
}

#[tokio::test]
async fn case_20_the_brake_stops_a_site_before_anybody_is_cut_until_a_person_releases_it() {
    let mut world = World::new(40, Mode::Auto).await;
    world.run(1).await;
    (1..=12).for_each(|account| world.set_balance(account, "-5"));
    world.run(90).await;
    world.restart().await;
    world.run(90).await;
    assert!(world.writes.is_empty());
    let alarms = world.notices().await.into_iter().filter(|text| text.starts_with("fleet brake"));
    assert_eq!(alarms.count(), 1);
    assert!(world.control.release_brake(SiteId(1), "Wang", world.now));
    world.run(3).await;
    assert_eq!(world.writes.len(), 12);
}

#[tokio::test]
async fn mode_ask_waits_for_a_person() {
    let mut world = World::new(1, Mode::Ask).await;
    world.set_balance(1, "-5");
    world.run(10).await;
    assert_eq!(world.commands().await, ["1 open created"]);
    assert!(world.control.approve(CommandId(1), "Wang", world.now));
    assert!(!world.control.approve(CommandId(1), "Wang", world.now));
    world.run(4).await;
    assert_eq!(world.commands().await, ["1 open verified"]);

    let mut world = World::new(1, Mode::Ask).await;
    world.set_balance(1, "-5");
    world.run(10).await;
    assert!(world.control.call_off(CommandId(1), "Wang", world.now));
    world.run(30).await;
    assert_eq!(world.commands().await, ["1 open cancelled"]);
    assert!(world.writes.is_empty());
}

#[tokio::test]
async fn a_switch_to_shadow_or_a_protection_stops_what_is_queued_and_restores_what_was_cut() {
    let mut world = World::new(1, Mode::Auto).await;
    world.set_balance(1, "-5");
    while world.commands().await.is_empty() {
        world.step(None).await;
    }
    world.apply(|setup| setup.sites.get_mut(&SiteId(1)).unwrap().mode = Mode::Shadow);
    world.run(5).await;
    assert_eq!(world.commands().await, ["1 open cancelled"]);
    world.apply(|setup| setup.sites.get_mut(&SiteId(1)).unwrap().mode = Mode::Auto);
    world.run(5).await;
    assert_eq!(world.commands().await[1], "2 open verified");
    world.apply(|setup| {
        setup.accounts.values_mut().for_each(|account| account.facts.protected = Some("medical".into()))
    });
    world.run(5).await;
    assert_eq!(world.commands().await[2], "3 close verified");
}

#[tokio::test]
async fn a_clock_step_or_a_disk_error_holds_a_cut_that_is_queued() {
    for doubt in [false, true] {
        let mut world = World::new(1, Mode::Auto).await;
        world.set_balance(1, "-5");
        while world.commands().await.is_empty() {
            world.step(None).await;
        }
        match doubt {
            true => world.health.doubt = Some("the disk reports errors".into()),
            false => world.health.clock_step = 3_600 * SECOND,
        }
        world.run(20).await;
        assert_eq!(world.commands().await, ["1 open cancelled"]);
        assert!(world.writes.is_empty());
    }
}

struct Hook(Mutex<Vec<String>>);

#[async_trait]
impl Deliver for Hook {
    async fn post(&self, url: &str, body: &str) -> Result<(), String> {
        assert_eq!(url, "http://127.0.0.1:9/hook");
        let mut taken = self.0.lock().unwrap();
        taken.push(body.to_owned());
        if taken.len() == 1 { Err("503".into()) } else { Ok(()) }
    }
}

#[tokio::test]
async fn notices_are_posted_until_the_webhook_takes_them() {
    let mut world = World::new(1, Mode::Auto).await;
    world.set_balance(1, "45");
    world.run(1).await;
    let hook = Arc::new(Hook(Mutex::default()));
    let mut now = world.now;
    for expected in [2, 1, 0] {
        let items = outbox::due(world.conn(), now, &BTreeSet::new()).await.unwrap();
        assert_eq!(items.len(), expected, "{items:?}");
        let (to, items_in) = tokio::sync::mpsc::channel::<Item>(8);
        let (done, mut results) = tokio::sync::mpsc::channel(8);
        for item in items {
            to.send(item).await.unwrap();
        }
        drop(to);
        outbox::run(items_in, done, Arc::<Hook>::clone(&hook)).await;
        let mut deliveries = Vec::new();
        while let Some(delivery) = results.recv().await {
            deliveries.push(delivery);
        }
        outbox::mark(world.conn(), &deliveries, now).await.unwrap();
        assert!(
            outbox::due(world.conn(), now, &BTreeSet::new()).await.unwrap().is_empty(),
            "it waits before it is tried again"
        );
        now = now.plus(5 * SECOND);
    }
    let taken = hook.0.lock().unwrap();
    assert_eq!(taken.len(), 2);
    let body: serde_json::Value = serde_json::from_str(&taken[1]).unwrap();
    assert_eq!((body["account"].as_str(), body["level"].as_u64()), (Some("A-1"), Some(1)));
    assert_eq!(body["balance"], amount("45").to_string());
}

#[tokio::test]
async fn a_wallet_in_units_is_warned_in_its_unit() {
    let mut world = World::new(1, Mode::Auto).await;
    world.apply(|setup| setup.accounts.get_mut(&AccountId(1)).unwrap().unit = Some("kWh"));
    world.set_balance(1, "4.5");
    world.step(None).await;
    let low = "SELECT COUNT(*) FROM notices WHERE kind = 'low_balance'";
    let said = "SELECT COUNT(*) FROM notices WHERE text LIKE '%balance 4.50 kWh has reached %.00 kWh'";
    let told = "SELECT COUNT(*) FROM outbox WHERE payload LIKE '%\"unit\":\"kWh\"%' AND channel = 'webhook'";
    let low = world.count(low).await;
    assert!(low > 0);
    assert_eq!((world.count(said).await, world.count(told).await), (low, low));
}
