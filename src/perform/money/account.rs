//! `account`: its end, and a service point that changes hands.

use engine::billing::closing::CloseAccount;
use kernel::money::Amount;

use super::{before, figure, find_account};
use crate::call::{Events, Failure, failed, say};
use crate::money::AccountCommand;
use crate::node::Node;
use crate::perform::moment;

pub(super) async fn perform(
    node: &Node,
    actor: &str,
    command: &AccountCommand,
    events: &Events,
) -> Result<(), Failure> {
    match command {
        AccountCommand::Close { account, at, key, refund_channel, demand_as_measured } => {
            close(node, actor, (account, at), (key, refund_channel), demand_as_measured.as_deref(), events).await
        }
        AccountCommand::Move { point, from, to, at } => hand_over(node, actor, point, (from, to), at, events).await,
    }
}

async fn close(
    node: &Node,
    actor: &str,
    (name, at): (&str, &str),
    (key, channel): (&str, &str),
    as_measured: Option<&str>,
    events: &Events,
) -> Result<(), Failure> {
    let registry = node.engine.registry();
    let account = find_account(&registry, name)?;
    let currency = registry.commodity_of(account.id);
    let order = CloseAccount {
        account: account.id,
        at: moment::of_account(&registry, account, at, "--at")?,
        channel: channel.to_owned(),
        as_measured: as_measured.map(str::to_owned),
        key: key.to_owned(),
        actor: actor.to_owned(),
    };
    let closed = node.engine.close_account(order).await.map_err(failed)?.map_err(failed)?;
    if closed.repeated {
        say(events, before(key, &format!("{name} was closed at {}", closed.closing.closed_at))).await;
        return Ok(());
    }
    node.registry_changed().await?;
    for change in &closed.changes {
        say(events, change.clone()).await;
    }
    let shown = |amount: Amount| format!("{} {currency}", figure(account, amount));
    let balance = closed.closing.balance;
    say(events, format!("{name} is closed with a balance of {}", shown(balance))).await;
    if balance < Amount::ZERO {
        say(events, format!("{} are arrears of {name} (ledger account arrears:{name})", shown(-balance))).await;
        return Ok(());
    }
    let text = match (closed.closing.refund, closed.paid_by) {
        (Some(_), Some(transfer)) => format!("refunded {} (transfer {transfer})", shown(closed.refunded)),
        (Some(refund), None) => format!(
            "refund {refund} of {} waits for a second person, who runs `meterledger refund approve {refund}`",
            shown(closed.refunded)
        ),
        (None, _) => "nothing of it is refundable".to_owned(),
    };
    say(events, text).await;
    Ok(())
}

async fn hand_over(
    node: &Node,
    actor: &str,
    name: &str,
    (from, to): (&str, &str),
    at: &str,
    events: &Events,
) -> Result<(), Failure> {
    let registry = node.engine.registry();
    let point = registry.service_point_named(name).ok_or_else(|| {
        Failure(format!(
            "there is no service point {name:?}; `meterledger sql \"SELECT * FROM service_points\"` lists them"
        ))
    })?;
    let (from, to) = (find_account(&registry, from)?, find_account(&registry, to)?);
    let at = moment::of_site(&registry, point.site, at, "--at")?;
    let changes = node.engine.move_point(point.id, (from.id, to.id), at, actor).await.map_err(failed)?;
    let changes = changes.map_err(failed)?;
    if changes.is_empty() {
        say(events, format!("{name}: nothing to change")).await;
        return Ok(());
    }
    node.registry_changed().await?;
    for change in changes {
        say(events, change).await;
    }
    say(events, "write the same into the site file: the file of before is refused").await;
    Ok(())
}
