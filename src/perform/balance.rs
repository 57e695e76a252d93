//! `balance`: what each account has left, served from memory.

use super::table::Table;
use super::{account, money};
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
        let figure = |amount| money::figure(account, amount);
        table.push([
            account.name.to_string(),
            account.holder.to_string(),
            figure(wallet.balance),
            figure(wallet.unposted),
            registry.commodity_of(account.id).to_owned(),
            wallet.as_of.map_or_else(|| "never read".to_owned(), |time| time.to_string()),
            if wallet.in_doubt { "yes" } else { "no" }.to_owned(),
            figure(wallet.held),
        ]);
    }
    say(events, table.render(format)).await;
    Ok(())
}
