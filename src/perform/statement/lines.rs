//! A statement's rows in words.

use engine::billing::components::ComponentLine;
use engine::billing::statements::{Statement, StatementLine};
use engine::registry::{Registry, Site};
use kernel::component::Charge;
use kernel::component::line::Effect;
use kernel::money::{Amount, Price, Rounding};
use kernel::tariff::{Band, TariffVersion};

use crate::perform::table::Table;

pub(super) const COLUMNS: [&str; 10] = [
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
];

pub(super) fn table(registry: &Registry, site: &Site, account: &str, statement: &Statement) -> Table {
    let mut table = Table::new(&COLUMNS);
    rows(registry, site, account, statement).into_iter().for_each(|row| table.push(row));
    table
}

pub(super) fn rows(registry: &Registry, site: &Site, account: &str, statement: &Statement) -> Vec<Vec<String>> {
    let amount_only = |item: String, amount: Amount| {
        let mut row = vec![String::new(); COLUMNS.len()];
        (row[0], row[8]) = (item, super::money(site, amount));
        row
    };
    let mut rows = vec![amount_only("opening balance".to_owned(), statement.opening)];
    for movement in &statement.movements {
        let date = site.days.at(movement.at).map_or_else(String::new, |day| format!("{} ", day.date));
        rows.push(amount_only(format!("{date}{}: {}", movement.kind, movement.memo), movement.amount));
    }
    for (place, line) in (1..).zip(&statement.lines) {
        rows.push(charge(registry, site, account, statement, line, place));
    }
    rows.push(amount_only("charges".to_owned(), -statement.charges()));
    rows.push(amount_only("closing balance".to_owned(), statement.closing()));
    rows.extend(statement.shown.iter().map(|shown| beside(registry, account, shown)));
    rows
}

/// What is not in the balance: a forecast of the month's components, or a tax that prices hold already.
pub(super) fn beside(registry: &Registry, account: &str, shown: &ComponentLine) -> Vec<String> {
    let ComponentLine { point, date, line } = shown;
    let what = if line.effect == Effect::Shown { "held by the prices" } else { "forecast, not charged yet" };
    let tier = line.tier.filter(|tier| *tier > 1).map_or_else(String::new, |tier| format!(", tier {tier}"));
    let mut row = vec![String::new(); COLUMNS.len()];
    row[0] = format!("({}{tier}: {what})", line.component);
    row[1] = registry.service_point(*point).map_or_else(String::new, |point| point.name.to_string());
    row[2] = registry.version(line.version).map_or_else(String::new, |(tariff, _)| tariff.name.clone());
    row[6] = line.amount.to_string();
    row[8] = format!("({:.2})", -line.amount.round(2, Rounding::HalfUp));
    row[9] = format!("meterledger explain {} --day {date}", quoted(account));
    row
}

/// An account's name as a shell takes it.
fn quoted(account: &str) -> String {
    if account.contains(char::is_whitespace) { format!("{account:?}") } else { account.to_owned() }
}

/// What a component's quantity counts; of a charge for another service's volume the service's own unit is meant.
fn unit_of(version: &TariffVersion, component: &str) -> &'static str {
    let component = version.components.iter().find(|known| known.name == component);
    match component.map(|component| &component.charge) {
        Some(Charge::Daily(_) | Charge::Monthly(_)) => "days",
        Some(Charge::Demand { .. } | Charge::Capacity { .. }) => "kW",
        _ => "",
    }
}

/// The command that leads from a line, the `place`th of its statement, down to register counts.
fn explained_by(account: &str, statement: &Statement, place: usize) -> String {
    let account = quoted(account);
    match statement.closed {
        Some((number, _)) => format!("meterledger explain {account} --statement {number} --line {place}"),
        None => format!("meterledger explain {account} --month {} --line {place}", statement.month),
    }
}

pub(super) fn charge(
    registry: &Registry,
    site: &Site,
    account: &str,
    statement: &Statement,
    line: &StatementLine,
    place: usize,
) -> Vec<String> {
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
    let energy = line.key.component == "energy";
    if !energy && line.key.band > 0 {
        item += &format!(", {}", band.replace('_', " "));
    }
    if line.key.tier > 1 {
        item += &format!(", tier {}", line.key.tier);
    }
    if line.usage_month != statement.month {
        item += &format!(", correction of {}", line.usage_month);
    }
    // Hours of a price series have a price each.
    let one_price = version.filter(|_| energy && usize::from(line.key.band) != Band::Dynamic as usize);
    let price = one_price.and_then(|(_, version)| {
        let row = version.prices.get(usize::from(line.key.tier).checked_sub(1)?)?;
        row.get(usize::from(line.key.band)).copied().flatten()
    });
    // A wallet in units pays a unit for a unit.
    let in_units = registry.account(statement.account).is_some_and(|account| account.unit.is_some());
    let price = price.map(|price| if in_units { Price(1_000_000) } else { price });
    vec![
        item,
        point.map_or_else(String::new, |point| point.name.to_string()),
        version.map_or_else(String::new, |(tariff, _)| tariff.name.clone()),
        line.quantity.to_string(),
        match (energy, version) {
            (true, _) => point.map_or("", |point| point.unit.name()).to_owned(),
            (false, version) => version.map_or("", |(_, version)| unit_of(version, &line.key.component)).to_owned(),
        },
        price.map_or_else(String::new, |price| price.to_string()),
        line.amount.to_string(),
        line.carried_in.to_string(),
        super::money(site, -line.rounded),
        explained_by(account, statement, place),
    ]
}
