//! `topup --suspense` and `suspense`: money whose owner is not known.

use engine::book::orders::Order;
use engine::registry::Registry;

use super::{balance, before, find_account, list, order, sum};
use crate::call::{Events, Failure, say};
use crate::money::{Suspend, SuspenseCommand};
use crate::node::Node;

const LIST: &str = "SELECT * FROM suspense ORDER BY received_at, payment_key";

pub(super) async fn perform(
    node: &Node,
    actor: &str,
    command: &SuspenseCommand,
    events: &Events,
) -> Result<(), Failure> {
    let (entry, name, key) = match command {
        SuspenseCommand::List { format } => return list(node, LIST, *format, events).await,
        SuspenseCommand::Assign { entry, account, key } => (entry, account, key),
    };
    let registry = node.engine.registry();
    let account = find_account(&registry, name)?;
    let outcome = order(node, actor, key, Order::Assign { entry: entry.clone(), account: account.id }).await?;
    let transfer = format!("transfer {}", outcome.first.transfer.unwrap_or(0));
    let text = if outcome.repeated {
        before(key, &transfer)
    } else {
        format!("gave the money of key {entry:?} to {} ({transfer})", account.name)
    };
    say(events, text + &balance(node, account.id).await?).await;
    Ok(())
}

/// Takes in money whose owner is not known.
pub(in crate::perform) async fn suspend(
    node: &Node,
    actor: &str,
    arguments: &Suspend,
    events: &Events,
) -> Result<(), Failure> {
    let Suspend { payer, amount, key, channel, site } = arguments;
    let registry = node.engine.registry();
    if registry.account_named(payer).is_some() {
        return Err(Failure(format!("{payer:?} is an account: leave --suspense out, and the money is its own")));
    }
    let amount = sum(amount)?;
    let currency = currency(&registry, site.as_deref())?;
    let (payer, channel) = (payer.clone(), channel.clone());
    let wish = Order::Suspend { payer, amount, currency: currency.clone(), channel };
    let outcome = order(node, actor, key, wish).await?;
    let transfer = format!("transfer {}", outcome.first.transfer.unwrap_or(0));
    let text = if outcome.repeated {
        before(key, &transfer)
    } else {
        format!(
            "took {amount:.2} {currency} into suspense ({transfer}): `meterledger suspense assign {key} ACCOUNT --key K` \
             gives it to its owner"
        )
    };
    say(events, text).await;
    Ok(())
}

/// The currency of a site, or of all sites.
fn currency(registry: &Registry, site: Option<&str>) -> Result<String, Failure> {
    if let Some(name) = site {
        let found = registry.site_named(name);
        return found.map(|site| site.currency.clone()).ok_or_else(|| Failure(format!("there is no site {name:?}")));
    }
    let mut currencies: Vec<&str> = registry.sites().map(|site| site.currency.as_str()).collect();
    currencies.sort_unstable();
    currencies.dedup();
    match currencies[..] {
        [only] => Ok(only.to_owned()),
        _ => {
            Err(Failure(format!("the sites have several currencies ({}): name one with --site", currencies.join(", "))))
        }
    }
}
