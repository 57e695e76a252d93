//! `topup`: money that came in at the counter.

use engine::book::payments::{PaymentError, TopUp, TopUpOutcome};
use engine::book::unit_sales;

use super::{account, money};
use crate::call::{Events, Failure, failed, say};
use crate::node::Node;

pub(crate) async fn topup(
    node: &Node,
    actor: &str,
    name: &str,
    amount: &str,
    key: &str,
    channel: &str,
    events: &Events,
) -> Result<(), Failure> {
    let registry = node.engine.registry();
    let account = account(&registry, name)?;
    let currency = registry.site(account.site).map_or("", |site| site.currency.as_str());
    let parsed = money::sum(amount)?;
    let top_up = TopUp::over_the_counter(account.id, parsed, key, channel, actor, node.clock.now());
    let outcome = node.engine.top_up(top_up).await.map_err(failed)?.map_err(|error| match error {
        PaymentError::KeyReused { key, account, amount } => {
            let first = registry.account(account).map_or("another account", |account| account.name.as_str());
            Failure(format!(
                "key {key:?} was used for another payment, {amount:.2} {currency} to {first}: nothing was posted; use a new \
                 key for a new payment"
            ))
        }
        error => failed(error),
    })?;
    let balance = node.engine.balances().await.map_err(failed)?.get(&account.id).map(|wallet| wallet.balance);
    let commodity = registry.commodity_of(account.id);
    let balance = format!("balance {} {commodity}", money::figure(account, balance.unwrap_or_default()));
    let (TopUpOutcome::Posted { transfer } | TopUpOutcome::Exists { transfer }) = outcome;
    let bought = unit_sales::bought(node.engine.book(), transfer).await.map_err(failed)?;
    let bought =
        bought.map_or_else(String::new, |(units, price)| format!(", {units} {commodity} at {price} {currency}"));
    let text = match outcome {
        TopUpOutcome::Posted { .. } => {
            format!("posted {parsed:.2} {currency} to {name} (transfer {transfer}){bought}; {balance}")
        }
        TopUpOutcome::Exists { .. } => {
            format!("key {key:?} was posted before (transfer {transfer}{bought}); nothing changed; {balance}")
        }
    };
    say(events, text).await;
    Ok(())
}
