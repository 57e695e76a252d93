//! What a person orders: done at once, kept against payments, refused where it would harm.

use kernel::control::evidence::{Mode, OpenedFor};
use kernel::id::{AccountId, CommandId, MeterId};
use kernel::reading::Contact;

use super::world::Crash;
use super::{Fault, World};
use crate::control::by_hand::{ByHand, HandFault, Taken};

fn order(target: Contact) -> ByHand {
    ByHand { meter: MeterId(1), target, safety: false, reason: "works in the riser".into(), actor: "Wang".into() }
}

impl World {
    fn by_hand(&mut self, order: &ByHand) -> Result<Taken, HandFault> {
        self.control.switch_by_hand(order, self.now)
    }

    fn opened_for(&self) -> Option<OpenedFor> {
        self.control.meter(MeterId(1)).unwrap().opened_for
    }
}

#[tokio::test]
async fn what_a_person_opens_no_payment_closes_and_a_person_closes_it() {
    for crash in [None, Some(Crash::BeforeField), Some(Crash::AfterField)] {
        let mut world = World::new(1, Mode::Shadow).await;
        world.run(1).await;
        assert_eq!(world.by_hand(&order(Contact::Open)), Ok(Taken::Command(CommandId(1))));
        world.step(crash).await;
        world.run(5).await;
        // What was stored as sent and never left is found out by reading the relay, and written then.
        assert_eq!(world.commands().await, ["1 open verified"], "{crash:?}");
        assert_eq!(world.supply().await, "open open open manual");
        world.set_balance(1, "-5");
        world.run(1).await;
        world.top_up(1, "500");
        world.run(2).await;
        assert_eq!((world.opened_for(), world.writes.len()), (Some(OpenedFor::Manual), 1), "{crash:?}");
        assert_eq!(world.notices().await.last().unwrap(), "paid_not_restored");
        world.by_hand(&order(Contact::Closed)).unwrap();
        world.run(3).await;
        assert_eq!(world.supply().await, "closed closed closed -");
    }
}

#[tokio::test]
async fn what_was_cut_for_credit_and_is_held_open_by_a_person_stays_open() {
    let mut world = World::new(1, Mode::Auto).await;
    world.set_balance(1, "-5");
    world.run(10).await;
    assert_eq!(world.supply().await, "open open open credit");
    assert_eq!(world.by_hand(&order(Contact::Open)), Ok(Taken::Held));
    world.run(1).await;
    world.top_up(1, "50");
    world.run(5).await;
    assert_eq!(world.supply().await, "open open open manual");
    assert_eq!(world.writes.len(), 1);
}

#[tokio::test]
async fn an_order_takes_the_place_of_a_command_that_waits_and_is_not_given_twice() {
    let mut world = World::new(1, Mode::Ask).await;
    world.set_balance(1, "-5");
    world.run(10).await;
    assert_eq!(world.commands().await, ["1 open created"]);
    world.by_hand(&order(Contact::Open)).unwrap();
    world.step(None).await;
    let under_way = HandFault::UnderWay { id: CommandId(2), state: "sent", serial: "M-1".into() };
    assert_eq!(world.by_hand(&order(Contact::Open)), Err(under_way));
    world.run(5).await;
    assert_eq!(world.commands().await, ["1 open cancelled", "2 open verified"]);
    assert_eq!(world.opened_for(), Some(OpenedFor::Manual));
}

#[tokio::test]
async fn a_person_takes_an_order_back_before_it_is_proven() {
    let mut world = World::new(1, Mode::Off).await;
    world.run(1).await;
    for steps in [1, 3] {
        world.by_hand(&order(Contact::Open)).unwrap();
        for _ in 0..steps {
            world.step(None).await;
        }
        world.by_hand(&order(Contact::Closed)).unwrap();
        world.run(5).await;
        assert_eq!(world.supply().await, "closed closed closed -", "after {steps} steps");
    }
    let commands = ["1 open cancelled", "2 close verified", "3 open cancelled", "4 close verified"];
    assert_eq!(world.commands().await, commands);
}

#[tokio::test]
async fn a_protected_supply_is_opened_for_safety_alone_and_closed_when_it_is_safe() {
    let mut world = World::new(1, Mode::Auto).await;
    world.apply(|setup| {
        setup.accounts.get_mut(&AccountId(1)).unwrap().facts.protected = Some("dialysis".into());
    });
    world.run(1).await;
    let protected = HandFault::Protected { account: "A-1".into(), why: "dialysis".into() };
    assert_eq!(world.by_hand(&order(Contact::Open)), Err(protected));
    let safely = |target| ByHand { safety: true, ..order(target) };
    world.by_hand(&safely(Contact::Open)).unwrap();
    world.run(5).await;
    assert_eq!(world.supply().await, "open open open safety");
    assert_eq!(world.by_hand(&order(Contact::Closed)), Err(HandFault::OpenForSafety("M-1".into())));
    world.by_hand(&safely(Contact::Closed)).unwrap();
    world.run(5).await;
    assert_eq!(world.supply().await, "closed closed closed -");
}

#[tokio::test]
async fn an_order_that_makes_no_sense_is_refused_and_changes_nothing() {
    let mut world = World::new(2, Mode::Shadow).await;
    world.apply(|setup| {
        setup.meters.get_mut(&MeterId(2)).unwrap().has_relay = false;
    });
    world.run(1).await;
    for (what, order, fault) in [
        ("no reason", ByHand { reason: " ".into(), ..order(Contact::Open) }, HandFault::NoReason),
        ("no relay", ByHand { meter: MeterId(2), ..order(Contact::Open) }, HandFault::NoRelay("M-2".into())),
        ("no such meter", ByHand { meter: MeterId(9), ..order(Contact::Open) }, HandFault::NoRelay("9".into())),
        ("closed", order(Contact::Closed), HandFault::Closed("M-1".into())),
    ] {
        assert_eq!(world.by_hand(&order), Err(fault), "{what}");
    }
    world.apply(|setup| setup.meters.get_mut(&MeterId(1)).unwrap().account = None);
    assert_eq!(world.by_hand(&order(Contact::Open)), Err(HandFault::NoAccount("M-1".into())));
    world.run(1).await;
    assert!(world.commands().await.is_empty() && world.writes.is_empty());
}

#[tokio::test]
async fn an_order_that_the_device_refuses_is_tried_again_without_a_second_look_and_ends() {
    let mut world = World::new(1, Mode::Off).await;
    world.run(1).await;
    world.meter(1).fault = Fault::Refuses;
    world.by_hand(&order(Contact::Open)).unwrap();
    world.run(20).await;
    assert_eq!(world.commands().await, ["1 open failed"]);
    assert_eq!(world.writes.len(), 3, "it is tried as often as the policy says");
}

#[tokio::test]
async fn what_is_open_for_safety_is_not_made_less_by_another_order() {
    let mut world = World::new(1, Mode::Shadow).await;
    world.run(1).await;
    world.by_hand(&ByHand { safety: true, ..order(Contact::Open) }).unwrap();
    world.run(5).await;
    assert_eq!(world.by_hand(&order(Contact::Open)), Ok(Taken::Held));
    assert_eq!(world.opened_for(), Some(OpenedFor::Safety));
    assert_eq!(world.by_hand(&order(Contact::Closed)), Err(HandFault::OpenForSafety("M-1".into())));
    // Nor after a start, when nobody has read the contact yet.
    world.run(1).await;
    world.restart().await;
    world.by_hand(&order(Contact::Open)).unwrap();
    world.run(5).await;
    assert_eq!(world.opened_for(), Some(OpenedFor::Safety));
}

#[tokio::test]
async fn a_cut_for_credit_that_is_out_becomes_the_persons_and_no_payment_reverses_it() {
    let mut world = World::new(1, Mode::Auto).await;
    world.set_balance(1, "-5");
    while world.writes.is_empty() {
        world.step(None).await;
    }
    world.step(None).await;
    assert_eq!(world.commands().await, ["1 open acknowledged"]);
    assert_eq!(world.by_hand(&order(Contact::Open)), Ok(Taken::Command(CommandId(1))));
    world.step(None).await;
    world.restart().await;
    world.top_up(1, "50");
    world.run(5).await;
    assert_eq!(world.commands().await, ["1 open verified"]);
    assert_eq!(world.supply().await, "open open open manual");
}

#[tokio::test]
async fn an_order_that_nobody_hears_raises_an_alarm_that_names_who_gave_it() {
    let mut world = World::new(1, Mode::Off).await;
    world.run(1).await;
    world.by_hand(&order(Contact::Open)).unwrap();
    world.run(5).await;
    world.meter(1).fault = Fault::Dead;
    world.by_hand(&order(Contact::Closed)).unwrap();
    world.run(20).await;
    assert_eq!(world.commands().await[1], "2 close timed_out");
    let alarms = world.notices().await;
    let said = alarms.iter().find(|text| text.contains("Wang ordered it to close, and that did not happen"));
    assert!(said.is_some(), "{alarms:?}");
    // It is known to be open by hand still, and an order may be given again.
    assert_eq!(world.opened_for(), Some(OpenedFor::Manual));
    world.meter(1).fault = Fault::None;
    world.run(1).await;
    world.by_hand(&order(Contact::Closed)).unwrap();
    world.run(5).await;
    assert_eq!(world.supply().await, "closed closed closed -");
}

#[tokio::test]
async fn a_protection_stops_what_a_person_ordered_and_the_device_did_not_do_yet() {
    let mut world = World::new(1, Mode::Off).await;
    world.run(1).await;
    world.meter(1).fault = Fault::Refuses;
    world.by_hand(&order(Contact::Open)).unwrap();
    world.step(None).await;
    world.step(None).await;
    assert_eq!(world.commands().await, ["1 open queued"], "it is tried again");
    world.meter(1).fault = Fault::None;
    world.apply(|setup| {
        setup.accounts.get_mut(&AccountId(1)).unwrap().facts.protected = Some("a child is ill".into());
    });
    world.run(10).await;
    assert_eq!(world.commands().await, ["1 open cancelled"]);
    assert!(world.notices().await.iter().any(|text| text.contains("a child is ill")));
    assert_eq!(world.meter(1).contact, Contact::Closed);
}

#[tokio::test]
async fn a_cut_that_was_called_off_is_spared_for_an_hour_also_by_the_next_process_and_never_holds_a_reconnection() {
    let mut world = World::new(1, Mode::Ask).await;
    world.set_balance(1, "-5");
    world.run(10).await;
    assert!(world.control.call_off(CommandId(1), "Wang", world.now));
    world.run(1).await;
    world.restart().await;
    world.run(55).await;
    assert_eq!(world.commands().await, ["1 open cancelled"], "within the hour");
    world.run(10).await;
    assert_eq!(world.commands().await, ["1 open cancelled", "2 open created"], "after it");
    let mut world = World::new(1, Mode::Auto).await;
    world.set_balance(1, "-5");
    while world.writes.is_empty() {
        world.step(None).await;
    }
    // Taken back by hand before it is proven, then switched by the tenant's payment: nothing waits for the hour.
    world.by_hand(&order(Contact::Closed)).unwrap();
    world.run(5).await;
    assert_eq!(world.supply().await, "closed closed closed -");
    world.run(30).await;
    assert_eq!(world.writes.len(), 2, "a person's word holds the next cut");
    world.meter(1).contact = Contact::Closed;
    world.run(40).await;
    assert_eq!(world.writes.len(), 3, "for an hour");
    world.top_up(1, "50");
    world.run(2).await;
    assert_eq!(world.writes.len(), 4, "a payment is answered at once");
}

#[tokio::test]
async fn after_a_protection_the_final_notice_is_given_again_and_its_time_runs_anew() {
    let mut world = World::new(1, Mode::Auto).await;
    world.set_balance(1, "-5");
    world.apply(|setup| {
        setup.accounts.get_mut(&AccountId(1)).unwrap().facts.protected = Some("kept".into());
    });
    world.run(30).await;
    let final_notices = |notices: Vec<String>| notices.iter().filter(|text| *text == "low_balance 3").count();
    assert_eq!(final_notices(world.notices().await), 1);
    let ended = world.now;
    world.apply(|setup| {
        let facts = &mut setup.accounts.get_mut(&AccountId(1)).unwrap().facts;
        (facts.protected, facts.protected_until) = (None, Some(ended));
    });
    world.step(None).await;
    world.step(None).await;
    assert_eq!(final_notices(world.notices().await), 2);
    assert!(world.writes.is_empty(), "the minute of the notice runs anew");
    world.run(3).await;
    assert_eq!(world.writes.len(), 1);
    world.run(60).await;
    assert_eq!(final_notices(world.notices().await), 2, "once");
}
