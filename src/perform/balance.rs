//! `balance`: what each account has left, served from memory.

use kernel::money::Rounding;

use super::account;
use super::table::Table;
use crate::call::{Events, Failure, Tabular, failed, say};
use crate::node::Node;

pub(crate) async fn balance(node: &Node, only: Option<&str>, format: Tabular, events: &Events) -> Result<(), Failure> {
    let registry = node.engine.registry();
    let only = only.map(|name| account(&registry, name)).transpose()?.map(|account| account.id);
    let balances = node.engine.balances().await.map_err(failed)?;
    let mut table =
        Table::new(&["account", "holder", "balance>", "unposted>", "currency", "as_of", "in_doubt", "held>"]);
    for account in registry.accounts().filter(|account| only.is_none_or(|only| only == account.id)) {
        let Some(wallet) = balances.get(&account.id) else { continue };
        let currency = registry.site(account.site).map_or("", |site| site.currency.as_str());
        table.push([
            account.name.clone(),
            account.holder.clone(),
            format!("{:.2}", wallet.balance.round(2, Rounding::HalfUp)),
            format!("{:.2}", wallet.unposted.round(2, Rounding::HalfUp)),
            currency.to_owned(),
            wallet.as_of.map_or_else(|| "never read".to_owned(), |time| time.to_string()),
            if wallet.in_doubt { "yes" } else { "no" }.to_owned(),
            format!("{:.2}", wallet.held.round(2, Rounding::HalfUp)),
        ]);
    }
    say(events, table.render(format)).await;
    Ok(())
}
