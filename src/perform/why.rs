//! `why`: the evaluation that explains what an account's or a meter's supply is, and what would be decided now, with every
//! reason.

use engine::control::why::{behind, last_command};
use engine::registry::{Account, Registry};
use kernel::control::decide::Reason;
use kernel::id::MeterId;
use kernel::time::Moment;

use super::table::Table;
use super::{account, moment};
use crate::call::{Events, Failure, Tabular, failed, say};
use crate::node::Node;

pub(crate) async fn why(node: &Node, name: &str, format: Tabular, events: &Events) -> Result<(), Failure> {
    let registry = node.engine.registry();
    let (known, meter) = subject(&registry, name, node.clock.now())?;
    let mut table = Table::new(&["evaluated", "decision", "mode", "rule", "holds", "meter", "reason"]);
    let mut push = |at: &str, decision: &str, mode: &str, reasons: &[Reason]| {
        for reason in reasons {
            let meter = reason.meter.and_then(|id| registry.meter(id));
            table.push([
                at.to_owned(),
                decision.to_owned(),
                mode.to_owned(),
                rule(reason),
                if reason.holds { "yes" } else { "no" }.to_owned(),
                meter.map_or_else(String::new, |meter| meter.serial.to_string()),
                reason.text.clone(),
            ]);
        }
    };
    let stored = behind(node.engine.book(), known.id, meter).await.map_err(failed)?;
    if let Some(stored) = &stored {
        push(&moment::shown(&registry, known, stored.at), &stored.decision, &stored.mode, &stored.reasons);
    }
    let now = node.engine.look_at(known.id).await.map_err(failed)?;
    if let Some(now) = &now {
        push("now", now.decision.name(), now.mode.name(), &now.reasons);
    }
    if stored.is_none() && now.is_none() && format == Tabular::Table {
        let what = "control never decided it: it has no policy, or `meterledger serve` never ran on this folder";
        say(events, format!("{}: {what}", known.name)).await;
        return Ok(());
    }
    if format == Tabular::Table {
        say_commands(node, &registry, known, events).await?;
    }
    say(events, table.render(format)).await;
    Ok(())
}

/// The last command of each of the account's meters, whoever gave it.
async fn say_commands(node: &Node, registry: &Registry, known: &Account, events: &Events) -> Result<(), Failure> {
    let now = node.clock.now();
    for meter in registry.meters() {
        let point = registry.epoch_at(meter.id, now).map(|epoch| epoch.service_point);
        if point.and_then(|point| registry.payer_at(point, now)).is_none_or(|payer| payer.id != known.id) {
            continue;
        }
        if let Some(last) = last_command(node.engine.book(), meter.id).await.map_err(failed)? {
            let (at, serial) = (moment::shown(registry, known, last.at), &meter.serial);
            let text = format!(
                "{serial}: command {} to {} by {} at {at} is {}: {}",
                last.id, last.action, last.actor, last.state, last.reason
            );
            say(events, text).await;
        }
    }
    Ok(())
}

/// The account that is meant, and the meter where one was named.
fn subject<'a>(registry: &'a Registry, name: &str, now: Moment) -> Result<(&'a Account, Option<MeterId>), Failure> {
    let Some(meter) = registry.meter_by_serial(name) else { return Ok((account(registry, name)?, None)) };
    let point = registry.epoch_at(meter.id, now).map(|epoch| epoch.service_point);
    match point.and_then(|point| registry.payer_at(point, now)) {
        Some(payer) => Ok((payer, Some(meter.id))),
        None => {
            Err(Failure(format!("nobody pays for what meter {name} measures now, so that nothing decides its supply")))
        }
    }
}

/// The rule's name as it is stored.
fn rule(reason: &Reason) -> String {
    let name = serde_json::to_value(reason.rule).ok();
    name.and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}
