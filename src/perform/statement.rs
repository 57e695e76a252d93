//! `statement`: an account's month as a tenant reads it.

use engine::billing::statements::{Statement, StatementLine};
use engine::registry::{Registry, Site};
use kernel::tariff::Band;

use super::table::Table;
use super::{account, month};
use crate::call::{Events, Failure, Tabular, failed, say};
use crate::node::Node;

pub(crate) async fn statement(
    node: &Node,
    name: &str,
    text: &str,
    format: Tabular,
    events: &Events,
) -> Result<(), Failure> {
    let registry = node.engine.registry();
    let account = account(&registry, name)?;
    let month = month(text)?;
    let stated = node.engine.statement(account.id, month).await.map_err(failed)?.map_err(failed)?;
    let outside = || Failure(format!("{month} lies outside the local days that the site knows; check --month"));
    let (statement, site) = stated.zip(registry.site(account.site)).ok_or_else(outside)?;
    if format == Tabular::Table {
        let number = match statement.closed {
            Some((number, at)) => format!("statement {number}, closed {at}"),
            None => "not closed yet: as it is now".to_owned(),
        };
        let head =
            format!("{} ({}), {month}, {}, {number}", account.name, account.holder, registry.commodity_of(account.id));
        say(events, head).await;
    }
    say(events, table(&registry, site, name, &statement).render(format)).await;
    Ok(())
}

fn table(registry: &Registry, site: &Site, account: &str, statement: &Statement) -> Table {
    let mut table = Table::new(&[
        "item",
        "service_point",
        "tariff",
        "quantity>",
        "unit",
        "price>",
        "exact>",
        "carried_in>",
        "amount>",
        "explained_by",
    ]);
    let amount_only = |item: String, amount: kernel::money::Amount| {
        let mut row = vec![String::new(); 10];
        (row[0], row[8]) = (item, format!("{amount:.2}"));
        row
    };
    table.push(amount_only("opening balance".to_owned(), statement.opening));
    for movement in &statement.movements {
        let date = site.days.at(movement.at).map_or_else(String::new, |day| format!("{} ", day.date));
        table.push(amount_only(format!("{date}{}: {}", movement.kind, movement.memo), movement.amount));
    }
    for line in &statement.lines {
        table.push(charge(registry, account, statement, line));
    }
    table.push(amount_only("charges".to_owned(), -statement.charges()));
    table.push(amount_only("closing balance".to_owned(), statement.closing()));
    table
}

fn charge(registry: &Registry, account: &str, statement: &Statement, line: &StatementLine) -> Vec<String> {
    let point = registry.service_point(line.key.point);
    let version = registry.version(line.key.version);
    let band = Band::ALL.get(usize::from(line.key.band)).map_or("", |band| band.name());
    let mut item = match (line.key.component.as_str(), band) {
        ("energy", "single") => point.map_or("energy", |point| point.utility.name()).to_owned(),
        ("energy", band) => {
            format!("{}, {}", point.map_or("energy", |point| point.utility.name()), band.replace('_', " "))
        }
        (component, _) => component.to_owned(),
    };
    if line.key.tier > 1 {
        item += &format!(", tier {}", line.key.tier);
    }
    if line.usage_month != statement.month {
        item += &format!(", correction of {}", line.usage_month);
    }
    // Hours of a price series have a price each.
    let one_price = version.filter(|_| usize::from(line.key.band) != Band::Dynamic as usize);
    let price = one_price.and_then(|(_, version)| {
        let row = version.prices.get(usize::from(line.key.tier).checked_sub(1)?)?;
        row.get(usize::from(line.key.band)).copied().flatten()
    });
    vec![
        item,
        point.map_or_else(String::new, |point| point.name.clone()),
        version.map_or_else(String::new, |(tariff, _)| tariff.name.clone()),
        line.quantity.to_string(),
        point.map_or("", |point| point.utility.unit()).to_owned(),
        price.map_or_else(String::new, |price| price.to_string()),
        line.amount.to_string(),
        line.carried_in.to_string(),
        format!("{:.2}", -line.rounded),
        format!("meterledger explain {account} --day {}", line.first_day),
    ]
}
