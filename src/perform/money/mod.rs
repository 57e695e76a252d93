//! Commands that move money, through the one writer.

mod account;
mod hold;
mod refund;
mod suspense;

use engine::book::orders::{Order, Original, Outcome, Request};
use engine::registry::Account;
use kernel::id::AccountId;
use kernel::money::{Amount, Quantity, Rounding};
use kernel::sale;

use super::account as find_account;
use crate::call::{Events, Failure, Tabular, failed, say};
use crate::money::{Bonus, MoneyCommand, Reverse};
use crate::node::Node;

pub(super) use suspense::suspend;

pub(super) async fn perform(node: &Node, actor: &str, command: &MoneyCommand, events: &Events) -> Result<(), Failure> {
    match command {
        MoneyCommand::Hold(command) => hold::perform(node, actor, command, events).await,
        MoneyCommand::Reverse(arguments) => reverse(node, actor, arguments, events).await,
        MoneyCommand::Refund(arguments) => refund::perform(node, actor, arguments, events).await,
        MoneyCommand::Bonus(arguments) => bonus(node, actor, arguments, events).await,
        MoneyCommand::Suspense(command) => suspense::perform(node, actor, command, events).await,
        MoneyCommand::Account(command) => account::perform(node, actor, command, events).await,
    }
}

/// A sum of money such as `99.50`.
pub(super) fn sum(text: &str) -> Result<Amount, Failure> {
    Amount::parse(text)
        .filter(|parsed| parsed.round(2, Rounding::HalfUp) == *parsed)
        .ok_or_else(|| Failure(format!("the amount {text:?} is no sum of money: write it as 100 or 99.50")))
}

/// The same for what is moved in an account's wallet: units have three places.
fn sum_of(account: &Account, text: &str) -> Result<Amount, Failure> {
    let Some(unit) = account.unit else { return sum(text) };
    let units = Quantity::parse(text).map(sale::as_amount);
    units.ok_or_else(|| Failure(format!("the amount {text:?} is no number of {unit}: write it as 100 or 99.500")))
}

/// A wallet's figure as people read it: two places of money, three of units.
pub(super) fn figure(account: &Account, amount: Amount) -> String {
    let places = if account.unit.is_some() { 3 } else { 2 };
    format!("{:.*}", places as usize, amount.round(places, Rounding::HalfUp))
}

/// Gives an order to the writer.
async fn order(node: &Node, actor: &str, key: &str, order: Order) -> Result<Outcome, Failure> {
    let request = Request { key: key.to_owned(), actor: actor.to_owned(), at: node.clock.now(), order };
    node.engine.order(request).await.map_err(failed)?.map_err(failed)
}

/// `; balance 12.00 CNY`.
async fn balance(node: &Node, account: AccountId) -> Result<String, Failure> {
    let registry = node.engine.registry();
    let balance = node.engine.balances().await.map_err(failed)?.get(&account).map(|wallet| wallet.balance);
    let shown = registry.account(account).map_or_else(String::new, |owner| figure(owner, balance.unwrap_or_default()));
    Ok(format!("; balance {shown} {}", registry.commodity_of(account)))
}

/// The text of a key that was used before for the same.
fn before(key: &str, what: &str) -> String {
    format!("key {key:?} was used before ({what}); nothing changed")
}

/// Rows of a view.
async fn list(node: &Node, statement: &str, format: Tabular, events: &Events) -> Result<(), Failure> {
    super::sql::sql(node, statement, format, events).await
}

async fn reverse(node: &Node, actor: &str, arguments: &Reverse, events: &Events) -> Result<(), Failure> {
    let original = match (&arguments.payment, arguments.transfer) {
        (Some(key), _) => Original::Payment(key.clone()),
        (None, Some(transfer)) => Original::Transfer(transfer),
        (None, None) => return Err(Failure("name a transfer's number, or --payment KEY".to_owned())),
    };
    let amount = arguments.amount.as_deref().map(sum).transpose()?;
    let wish = Order::Reverse { original, amount, reason: arguments.reason.clone() };
    let outcome = order(node, actor, &arguments.key, wish).await?;
    let (transfer, reversed) = (outcome.first.transfer.unwrap_or(0), outcome.first.subject.unwrap_or(0));
    if outcome.repeated {
        say(events, before(&arguments.key, &format!("transfer {transfer} reversed transfer {reversed}"))).await;
        return Ok(());
    }
    let balance = match outcome.account.filter(|account| *account != AccountId(0)) {
        Some(account) => balance(node, account).await?,
        None => String::new(),
    };
    say(events, format!("transfer {reversed} is reversed by transfer {transfer}{balance}")).await;
    Ok(())
}

async fn bonus(node: &Node, actor: &str, arguments: &Bonus, events: &Events) -> Result<(), Failure> {
    let registry = node.engine.registry();
    let account = find_account(&registry, &arguments.account)?;
    let amount = sum_of(account, &arguments.amount)?;
    let wish = Order::Bonus { account: account.id, amount, reason: arguments.reason.clone() };
    let outcome = order(node, actor, &arguments.key, wish).await?;
    let transfer = outcome.first.transfer.unwrap_or(0);
    let balance = balance(node, account.id).await?;
    let text = if outcome.repeated {
        before(&arguments.key, &format!("transfer {transfer}"))
    } else {
        format!("gave {} to {} (transfer {transfer})", figure(account, amount), account.name)
    };
    say(events, text + &balance).await;
    Ok(())
}
