//! `refund`: cash given back.

use engine::book::orders::Order;
use engine::book::refunds::{Decided, Decision};

use super::{balance, before, figure, find_account, list, order, sum_of};
use crate::call::{Events, Failure, failed, say};
use crate::money::{Refund, RefundCommand};
use crate::node::Node;

const LIST: &str = "SELECT * FROM refunds ORDER BY refund_id";

pub(super) async fn perform(node: &Node, actor: &str, arguments: &Refund, events: &Events) -> Result<(), Failure> {
    match &arguments.request {
        Some(RefundCommand::List { format }) => list(node, LIST, *format, events).await,
        Some(RefundCommand::Approve { id }) => decide(node, actor, (*id, true), events).await,
        Some(RefundCommand::Reject { id }) => decide(node, actor, (*id, false), events).await,
        None => refund(node, actor, arguments, events).await,
    }
}

async fn refund(node: &Node, actor: &str, arguments: &Refund, events: &Events) -> Result<(), Failure> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let registry = node.engine.registry();
    let account = find_account(&registry, &text(&arguments.account))?;
    let amount = sum_of(account, &text(&arguments.amount))?;
    let shown = figure(account, amount);
    let (key, channel) = (text(&arguments.key), arguments.channel.clone());
    let wish = Order::Refund { account: account.id, amount, channel, reason: text(&arguments.reason) };
    let outcome = order(node, actor, &key, wish).await?;
    let request = outcome.first.subject.unwrap_or(0);
    let said = match (outcome.repeated, outcome.first.transfer) {
        (true, _) => before(&key, &format!("refund {request}")),
        (false, Some(transfer)) => format!("refunded {shown} of {} (transfer {transfer})", account.name),
        (false, None) => format!(
            "refund {request} of {shown} of {} waits for a second person, who runs `meterledger refund approve {request}`",
            account.name
        ),
    };
    say(events, said + &balance(node, account.id).await?).await;
    Ok(())
}

async fn decide(node: &Node, actor: &str, (refund, approve): (i64, bool), events: &Events) -> Result<(), Failure> {
    let decision = Decision { refund, approve, actor: actor.to_owned(), at: node.clock.now() };
    let decided = node.engine.decide_refund(decision).await.map_err(failed)?.map_err(failed)?;
    let text = match decided {
        Decided::Paid { transfer } => format!("refund {refund} is paid (transfer {transfer})"),
        Decided::Rejected => format!("refund {refund} is rejected"),
        Decided::Before => format!("refund {refund} was decided so before; nothing changed"),
    };
    say(events, text).await;
    Ok(())
}
