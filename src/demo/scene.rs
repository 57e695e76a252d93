//! The accelerated hours: meters polled over Modbus on loopback, one injected clock for everything.

use std::collections::BTreeSet;
use std::time::Duration;

use ingest::field::Settings;
use ingest::simulated::{Lie, SimulatedField, SimulatedMeter, on_buses};
use kernel::money::Rounding;
use kernel::reading::Contact;
use kernel::time::{HOUR, MINUTE, Moment};
use tokio::time::Instant;
use wal::clock::Clock;

use super::actors::Actor;
use super::history::Metered;
use super::timeline::{Timeline, wall};
use super::{NOW, ask};
use crate::call::{Call, Failure, failed};
use crate::node::Node;
use crate::supply::SupplySide;

/// An hour of the mall in a second.
pub(super) const SPEED: u32 = 3_600;
/// A settlement about each minute of the mall's time.
pub(super) const fn settle_every() -> Duration {
    Duration::from_millis(20)
}
/// Meters are polled every ten minutes of the mall's time.
const POLL: i64 = 10 * MINUTE;
/// The scene ends when all has been seen, and after a day and a half of the mall's time in any case.
const LONGEST: i64 = 36 * HOUR;
/// Meters on one simulated bus.
const PER_BUS: u8 = 8;

/// Plays the scene; fails when what must happen did not happen.
pub(super) async fn play(node: &Node, metered: &[(Metered, i64)], actors: &[Actor; 3]) -> Result<(), Failure> {
    let [payer, cut, welded] = actors;
    let field = field(metered, &node.clock).await?;
    field.set_lie(welded.meter, Some(Lie::Welded));
    let ports = field.ports(POLL);
    println!(
        "5. {} meters answer Modbus TCP on loopback; an hour of the mall takes a second. Low on money: {}, {}, {}\n",
        ports.len(),
        payer.name,
        cut.name,
        welded.name
    );
    let side = SupplySide::start(node, ports, Settings::default()).await?;
    node.attach(side).await;
    let began = Instant::now();
    let played = watch(node, payer, cut, welded).await;
    // The polling ends before its meters do.
    node.stop_side().await;
    println!("\n   {} of the mall in {:.0} s", wall(node.clock.now()), began.elapsed().as_secs_f64());
    played
}

/// Starts the meters as Modbus TCP servers, each from its last count.
pub(super) async fn field(metered: &[(Metered, i64)], clock: &Clock) -> Result<SimulatedField, Failure> {
    let meters = metered.iter().map(|(item, count)| {
        Ok(SimulatedMeter {
            meter: item.meter.id,
            serial: item.meter.serial.to_string(),
            profile: ingest::profile::find(&item.meter.profile).map_err(failed)?,
            unit: 1,
            load: item.load.clone(),
            start_count: *count,
            contact: Contact::Closed,
        })
    });
    let meters: Vec<SimulatedMeter> = meters.collect::<Result<_, Failure>>()?;
    SimulatedField::start(on_buses(meters, PER_BUS), clock.clone()).await.map_err(failed)
}

/// Tells what happens until all has been seen.
async fn watch(node: &Node, payer: &Actor, cut: &Actor, welded: &Actor) -> Result<(), Failure> {
    let mut timeline = Timeline::default();
    let mut seen: BTreeSet<(String, String)> = BTreeSet::new();
    let mut pay_at: Option<Moment> = None;
    let mut paid = false;
    loop {
        for told in timeline.news(&node.query).await? {
            println!("   {}  {:<18} {:<8} {}", wall(told.at), told.kind, told.account, told.text);
            if told.kind == "cut" && told.account == payer.name {
                pay_at = Some(told.at.plus(2 * HOUR));
            }
            seen.insert((told.account, told.kind));
        }
        let has = |actor: &Actor, kind: &str| seen.contains(&(actor.name.clone(), kind.to_owned()));
        if !paid && pay_at.is_some_and(|at| node.clock.now() >= at) {
            paid = true;
            let call = Call::TopUp {
                account: payer.name.to_string(),
                amount: "800".into(),
                key: format!("demo-{}", payer.name),
                channel: "wechat".into(),
            };
            let at = node.clock.now();
            let lines = ask(node, call).await?;
            println!("   {}  {:<18} {:<8} {} pays: {}", wall(at), "top-up", payer.name, payer.holder, lines.join(" "));
        }
        if paid && has(payer, "reconnected") && has(cut, "cut") && has(welded, "alarm") {
            return Ok(());
        }
        if node.clock.now().since(NOW) > LONGEST {
            return unseen(node, &[payer, cut, welded], &seen).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn unseen(node: &Node, actors: &[&Actor], seen: &BTreeSet<(String, String)>) -> Result<(), Failure> {
    let balances = node.engine.balances().await.map_err(failed)?;
    let states: Vec<String> = actors
        .iter()
        .map(|actor| {
            let balance = balances.get(&actor.account).map(|wallet| wallet.balance.round(2, Rounding::HalfUp));
            let kinds: Vec<&str> =
                seen.iter().filter(|(name, _)| *name == actor.name).map(|(_, kind)| kind.as_str()).collect();
            format!("{}: balance {:.2}, seen {}", actor.name, balance.unwrap_or_default(), kinds.join(", "))
        })
        .collect();
    Err(Failure(format!("the scene did not come to its end: {}", states.join("; "))))
}
