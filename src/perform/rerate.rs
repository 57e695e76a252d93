//! `rerate`: what a span cost by its readings against what was charged, charges beside energy included, and the difference
//! posted.

use std::collections::{BTreeMap, BTreeSet};

use engine::billing::names::ComponentName;
use engine::billing::reprice::{Repriced, RerateOrder};
use engine::rating::Span;
use engine::rating::compare::Compared;
use engine::registry::Registry;
use kernel::id::{AccountId, ServicePointId};
use kernel::money::{Amount, Quantity};

use super::table::Table;
use super::{account, date};
use crate::call::{Event, Events, Failure, RerateArguments, Tabular, failed, say};
use crate::node::Node;

/// What is said of one account.
#[derive(Default)]
struct Row {
    points: BTreeSet<ServicePointId>,
    charged: Amount,
    difference: Amount,
    /// Of energy alone.
    quantity: Quantity,
    /// Of the difference in closed months.
    closed: Amount,
    /// Of the difference for charges beside energy.
    beside: Amount,
}

pub(crate) async fn rerate(
    node: &Node,
    actor: &str,
    asked: &RerateArguments,
    format: Tabular,
    events: &Events,
) -> Result<(), Failure> {
    let registry = node.engine.registry();
    let span = Span { first: date(&asked.from, "--from")?, last: date(&asked.to, "--to")? };
    if span.last < span.first {
        return Err(Failure(format!("--to {} lies before --from {}; exchange them", span.last, span.first)));
    }
    let accounts: BTreeSet<AccountId> =
        asked.account.iter().map(|name| Ok(account(&registry, name)?.id)).collect::<Result<_, Failure>>()?;
    let compared = Compared { accounts: (!accounts.is_empty()).then_some(accounts), span };
    let order = match (asked.dry_run, &asked.reason) {
        (true, _) => None,
        (false, Some(reason)) => Some(RerateOrder { actor: actor.to_owned(), reason: reason.clone() }),
        (false, None) => {
            let remedy = "write --reason \"...\" to post the difference, or --dry-run to see it";
            return Err(Failure(format!("a re-rate is not posted without a reason; {remedy}")));
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let repriced = node.engine.rerate(&compared, order.as_ref(), threads).await.map_err(failed)?.map_err(failed)?;
    let rows = rows(&registry, &repriced);
    if format != Tabular::Table || !rows.is_empty() {
        say(events, table(&registry, &rows).render(format)).await;
    }
    let note = summary(&repriced, rows.len(), span, asked.dry_run);
    match format {
        Tabular::Table => say(events, note).await,
        // Machines read the rows alone.
        Tabular::Csv | Tabular::Json => drop(events.send(Event::Note(note)).await),
    }
    Ok(())
}

fn rows(registry: &Registry, repriced: &Repriced) -> BTreeMap<AccountId, Row> {
    let mut rows: BTreeMap<AccountId, Row> = BTreeMap::new();
    for point in &repriced.differences {
        let site = registry.service_point(point.id).and_then(|point| registry.site(point.site));
        for (key, sum) in &point.difference {
            let row = rows.entry(key.account).or_default();
            row.points.insert(point.id);
            row.charged += point.charged.get(key).map_or(Amount::ZERO, |sum| sum.amount);
            row.difference += sum.amount;
            if key.component == ComponentName::ENERGY {
                row.quantity += sum.quantity;
            } else {
                row.beside += sum.amount;
            }
            if key.account != AccountId(0) && site.is_some_and(|site| site.is_closed(key.date)) {
                row.closed += sum.amount;
            }
        }
    }
    rows
}

fn table(registry: &Registry, rows: &BTreeMap<AccountId, Row>) -> Table {
    let mut table = Table::new(&[
        "account",
        "holder",
        "service_points",
        "charged>",
        "rated>",
        "difference>",
        "of_closed_months>",
        "quantity>",
        "of_components>",
        "currency",
    ]);
    for (id, row) in rows {
        let account = registry.account(*id);
        let point = row.points.first().and_then(|point| registry.service_point(*point));
        let site = point.and_then(|point| registry.site(point.site));
        let names: Vec<&str> =
            row.points.iter().filter_map(|id| registry.service_point(*id)).map(|point| point.name.as_str()).collect();
        table.push([
            account.map_or("(nobody)", |account| &account.name).to_owned(),
            account.map_or("", |account| &account.holder).to_owned(),
            names.join(" "),
            row.charged.to_string(),
            (row.charged + row.difference).to_string(),
            row.difference.to_string(),
            row.closed.to_string(),
            row.quantity.to_string(),
            row.beside.to_string(),
            account
                .map_or_else(|| site.map_or("", |site| &site.currency), |account| registry.commodity_of(account.id))
                .to_owned(),
        ]);
    }
    table
}

fn summary(repriced: &Repriced, accounts: usize, span: Span, dry_run: bool) -> String {
    let Repriced { points, readings, differences } = repriced;
    let rated = format!("{} to {}: {points} service points, {readings} readings rated", span.first, span.last);
    if differences.is_empty() {
        return format!("{rated}; every charge is what its readings cost, and every component what it comes to");
    }
    let differing: BTreeSet<ServicePointId> = differences.iter().map(|point| point.id).collect();
    let what = format!("{} service points of {accounts} accounts were charged otherwise", differing.len());
    let done = match dry_run {
        true => "nothing was written",
        false => {
            "posted: in open months as differences, in closed ones as adjustments, which are posted \
             at once within the site's adjustment_limit and else wait for another person (`adjustment list`)"
        }
    };
    format!("{rated}; {what}; {done}")
}
