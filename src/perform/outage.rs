//! `outage`: when a meter had no supply, as a person says.

use engine::billing::outages::StateOutage;
use engine::registry::Registry;
use kernel::gap::Outage;

use super::readings::{meter, moment, say_what_waits};
use crate::call::{Events, Failure, failed, say};
use crate::node::Node;

/// What was typed.
pub(super) struct Said<'a> {
    pub(super) meter: &'a str,
    pub(super) from: &'a str,
    pub(super) to: &'a str,
    pub(super) withdraw: bool,
    pub(super) reason: &'a str,
}

pub(super) async fn outage(node: &Node, actor: &str, said: &Said<'_>, events: &Events) -> Result<(), Failure> {
    let (id, Outage { from, to, .. }) = state(node, actor, said).await?;
    let what = if said.withdraw { "withdrawn" } else { "recorded" };
    say(events, format!("{}: outage {id} from {from} to {to} {what}", said.meter)).await;
    say_what_waits(node, events).await
}

/// Has it recorded or withdrawn; gives its number, and when it was.
async fn state(node: &Node, actor: &str, said: &Said<'_>) -> Result<(i64, Outage), Failure> {
    let asked = asked(&node.engine.registry(), actor, said)?;
    let outage = asked.outage;
    let id = node.engine.state_outage(asked).await.map_err(failed)?.map_err(failed)?;
    Ok((id, outage))
}

/// What is asked of billing.
pub(super) fn asked(registry: &Registry, actor: &str, said: &Said<'_>) -> Result<StateOutage, Failure> {
    let known = meter(registry, said.meter)?;
    let (from, to) = (moment(registry, known, said.from)?, moment(registry, known, said.to)?);
    let outage = Outage { meter: known.id, from, to };
    Ok(StateOutage { outage, withdraw: said.withdraw, reason: said.reason.to_owned(), actor: actor.to_owned() })
}
