//! The process dies at every step of a cut and a reconnection, before the commit, after it, and after the field acted.

use std::collections::BTreeMap;

use kernel::control::evidence::Mode;
use kernel::reading::Contact;

use super::{Crash, Fault, World};

/// Steps of the whole story: low, cut, verified, paid, back.
const STEPS: usize = 90;
const PAID_AT: usize = 50;

async fn story(fault: Fault, crash: Option<(usize, Crash)>) -> (World, Vec<usize>) {
    let mut world = World::new(1, Mode::Auto).await;
    world.meter(1).fault = fault;
    world.set_balance(1, "-5");
    let mut busy = Vec::new();
    for step in 0..STEPS {
        if step == PAID_AT {
            world.top_up(1, "50");
        }
        let now = crash.filter(|(at, _)| *at == step).map(|(_, crash)| crash);
        if !world.step(now).await.is_empty() {
            busy.push(step);
        }
    }
    (world, busy)
}

#[tokio::test]
async fn a_restart_at_any_step_writes_no_command_twice_and_reaches_the_same_end() {
    for fault in [Fault::None, Fault::LostAnswer] {
        let (mut world, busy) = story(fault, None).await;
        assert_eq!(world.commands().await, ["1 open verified", "2 close verified"]);
        assert!(busy.len() > 10, "{busy:?}");
        for at in busy {
            for crash in [Crash::BeforeCommit, Crash::BeforeField, Crash::AfterField] {
                let (mut world, _) = story(fault, Some((at, crash))).await;
                let place = format!("{fault:?}, step {at}, {crash:?}");
                let mut written = BTreeMap::new();
                for (command, ..) in &world.writes {
                    *written.entry(*command).or_insert(0) += 1;
                }
                // A write that a restart loses before it leaves may be tried again, after the relay was read.
                let attempts = world.count("SELECT MAX(attempts) FROM commands").await;
                assert!(written.values().all(|times| *times == 1), "{place}: {:?}", world.writes);
                assert!(attempts <= 2, "{place}");
                assert_eq!(world.meter(1).contact, Contact::Closed, "{place}");
                assert_eq!(world.supply().await, "closed closed closed -", "{place}");
                assert_eq!(world.count("SELECT COUNT(*) FROM commands WHERE open = 1").await, 0, "{place}");
                assert_eq!(
                    world.count("SELECT COUNT(DISTINCT level) FROM notices WHERE kind = 'low_balance'").await,
                    3
                );
                let doubled = "SELECT COUNT(*) FROM notices WHERE kind = 'low_balance'";
                assert_eq!(world.count(doubled).await, 3, "{place}: a notice is given once");
                let cuts = world.writes.iter().filter(|(_, _, target)| *target == Contact::Open).count();
                assert_eq!(cuts, 1, "{place}: {:?}", world.writes);
            }
        }
    }
}
