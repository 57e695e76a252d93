//! `statement`: an account's month as a tenant reads it, or those of all accounts for finance.
//!
//! [`lines`] puts one charge into words, [`page`] gathers what a statement shows; it is printed as a table, CSV or JSON here,
//! as a page for tenants in [`html`], and as a workbook in [`workbook`].

mod html;
mod lines;
mod page;
mod workbook;

use engine::billing::statements::Statement;
use engine::registry::{Registry, Site};
use kernel::id::AccountId;
use kernel::money::Amount;
use kernel::time::LocalMonth;

use super::table::Table;
use super::{account, month};
use crate::call::{Event, Events, Failure, StatementArguments, StatementFormat, Tabular, failed, say};
use crate::node::Node;

pub(crate) async fn statement(
    node: &Node,
    asked: &StatementArguments,
    format: StatementFormat,
    events: &Events,
) -> Result<(), Failure> {
    let registry = node.engine.registry();
    let month = month(&asked.month)?;
    let wanted = wanted(&registry, asked.account.as_deref(), month)?;
    let mut stated = node.engine.statements(wanted, month).await.map_err(failed)?.map_err(failed)?;
    if stated.is_empty() {
        return Err(Failure(format!("{month} lies outside the local days that the site knows; check --month")));
    }
    if asked.all {
        // Of accounts that were closed before, those are left that still paid, owed or were charged.
        stated.retain(|statement| !(statement.is_empty() && ended_before(&registry, statement)));
    }
    let tabular = match format {
        StatementFormat::Table => Tabular::Table,
        StatementFormat::Csv => Tabular::Csv,
        StatementFormat::Json => Tabular::Json,
        StatementFormat::Html | StatementFormat::Xlsx => {
            let pages = page::pages(node, &registry, &stated, month).await?;
            let bytes = match format {
                StatementFormat::Html => html::render(&pages, month).into_bytes(),
                _ => workbook::render(&pages, month)?,
            };
            let _ = events.send(Event::Output(bytes)).await;
            return Ok(());
        }
    };
    if asked.all {
        say(events, all(&registry, &stated).render(tabular)).await;
        return Ok(());
    }
    for statement in &stated {
        let Some((account, site)) = owner(&registry, statement) else { continue };
        if tabular == Tabular::Table {
            let number = number(site, statement);
            let head = format!(
                "{} ({}), {month}, {}, {number}",
                account.name,
                account.holder,
                registry.commodity_of(account.id)
            );
            say(events, head).await;
        }
        say(events, lines::table(&registry, site, &account.name, statement).render(tabular)).await;
    }
    Ok(())
}

/// Whether an account had been closed when the statement's month began.
fn ended_before(registry: &Registry, statement: &Statement) -> bool {
    owner(registry, statement).is_some_and(|(account, site)| {
        let start = site.span(statement.month).map(|(start, _)| start);
        account.closed_at.is_some_and(|closed| start.is_some_and(|start| closed <= start))
    })
}

/// The account that is named, or all that were opened before the month ended.
fn wanted(registry: &Registry, name: Option<&str>, month: LocalMonth) -> Result<Vec<AccountId>, Failure> {
    match name {
        Some(name) => Ok(vec![account(registry, name)?.id]),
        None => Ok(registry
            .accounts()
            .filter(|account| {
                let span = registry.site(account.site).and_then(|site| site.span(month));
                span.is_some_and(|(_, end)| account.opened_at < end)
            })
            .map(|account| account.id)
            .collect()),
    }
}

fn owner<'a>(registry: &'a Registry, statement: &Statement) -> Option<(&'a engine::registry::Account, &'a Site)> {
    let account = registry.account(statement.account)?;
    Some((account, registry.site(account.site)?))
}

/// An amount with the digits of its site's currency; more where an older rule has left them.
fn money(site: &Site, amount: Amount) -> String {
    let digits = places(site, amount);
    format!("{amount:.digits$}")
}

fn places(site: &Site, amount: Amount) -> usize {
    let fraction = amount.to_string();
    let needed = fraction.split_once('.').map_or(0, |(_, fraction)| fraction.trim_end_matches('0').len());
    usize::try_from(site.minor.digits).unwrap_or(2).max(needed)
}

/// A month that was closed without charges has a statement without a number.
fn is_closed(site: &Site, statement: &Statement) -> bool {
    site.closed_through.is_some_and(|closed| statement.month <= closed)
}

fn number(site: &Site, statement: &Statement) -> String {
    match statement.closed {
        Some((number, at)) => format!("statement {number}, closed {at}"),
        None if is_closed(site, statement) => "closed without charges".to_owned(),
        None => "not closed yet: as it is now".to_owned(),
    }
}

/// The rows of many statements, each with its account.
fn all(registry: &Registry, stated: &[Statement]) -> Table {
    let mut columns = vec!["account", "holder", "currency"];
    columns.extend(lines::COLUMNS);
    let mut table = Table::new(&columns);
    for statement in stated {
        let Some((account, site)) = owner(registry, statement) else { continue };
        for row in lines::rows(registry, site, &account.name, statement) {
            let currency = registry.commodity_of(account.id).to_owned();
            let mut whole = vec![account.name.to_string(), account.holder.to_string(), currency];
            whole.extend(row);
            table.push(whole);
        }
    }
    table
}
