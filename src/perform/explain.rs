//! `explain`: why a day cost what it cost.

use std::collections::BTreeMap;

use engine::billing::components::ComponentLine;
use engine::billing::explain::{Explained, ExplainedPart};
use engine::registry::{Registry, ServicePoint};
use kernel::component::demand::{Method, Peak, Window};
use kernel::component::line::{Effect, Line, Measure, Standing, Why};
use kernel::conversion::Factor;
use kernel::money::{Amount, Price, Quantity, Rounding};
use kernel::rate::Part;
use kernel::reading::Value;
use kernel::tariff::TariffVersion;
use kernel::time::MINUTE;

use super::table::Table;
use super::{account, date};
use crate::call::{Events, Failure, Tabular, failed, say};
use crate::node::Node;

pub(super) const COLUMNS: [&str; 19] = [
    "service_point",
    "meter",
    "from",
    "to",
    "counts",
    "multiplier>",
    "converted",
    "quantity>",
    "unit",
    "day",
    "band",
    "tier>",
    "counter_before>",
    "tier_ends>",
    "tariff",
    "version_from",
    "price>",
    "amount>",
    "allocation",
];

pub(crate) async fn explain(node: &Node, name: &str, day: &str, events: &Events) -> Result<(), Failure> {
    let registry = node.engine.registry();
    let account = account(&registry, name)?;
    let day = date(day, "--day")?;
    let asked = Explained { account: account.id, days: day..=day, line: None };
    let parts = node.engine.explain(asked).await.map_err(failed)?.map_err(failed)?;
    let Some(site) = registry.site(account.site) else { return Err(Failure(format!("account {name} has no site"))) };
    let commodity = registry.commodity_of(account.id);
    say(events, format!("{} ({}), {day}, {} time, {}", account.name, account.holder, site.zone, commodity)).await;
    let components = node.engine.explain_components(account.id, day).await.map_err(failed)?.map_err(failed)?;
    if parts.is_empty() {
        say(events, "no energy was charged on this day: no interval between accepted readings falls into it").await;
        return beside(&registry, site, &components, events).await;
    }
    let mut table = Table::new(&COLUMNS);
    let day_type = site.calendar.day_type(day).name();
    // What is in different units is not added up.
    let (mut quantities, mut amount) = (BTreeMap::<&str, Quantity>::new(), Amount::ZERO);
    for item in &parts {
        let unit = registry.service_point(item.point).map_or("", |point| point.unit.name());
        *quantities.entry(unit).or_default() += item.part.quantity;
        amount += item.part.amount;
        table.push(row(&registry, site, day_type, item));
    }
    say(events, table.render(Tabular::Table)).await;
    let rounded = amount.round(2, Rounding::HalfUp);
    let quantities: Vec<String> = quantities.iter().map(|(unit, quantity)| format!("{quantity} {unit}")).collect();
    say(
        events,
        format!(
            "{} charges, {} in all, {amount} exactly, {rounded:.2} {} when shown",
            parts.len(),
            quantities.join(", "),
            commodity
        ),
    )
    .await;
    beside(&registry, site, &components, events).await
}

/// The charges beside energy that stand under this day, each with what it follows from.
pub(super) async fn beside(
    registry: &Registry,
    site: &engine::registry::Site,
    components: &[ComponentLine],
    events: &Events,
) -> Result<(), Failure> {
    if components.is_empty() {
        return Ok(());
    }
    let mut table =
        Table::new(&["component", "service_point", "tariff", "version_from", "worked_out", "amount>", "because"]);
    for ComponentLine { point, line, .. } in components {
        let version = registry.version(line.version);
        let tier = line.tier.map_or_else(String::new, |tier| format!(", tier {tier}"));
        let band = line.band.map_or_else(String::new, |band| format!(", {}", band.name()));
        let standing = match (line.effect, line.standing) {
            (Effect::Shown, _) => " (held by the prices)",
            (Effect::Added, Standing::Forecast) => " (forecast)",
            (Effect::Added, Standing::Final) => "",
        };
        table.push(vec![
            format!("{}{band}{tier}{standing}", line.component),
            registry.service_point(*point).map(|point| point.name.to_string()).unwrap_or_default(),
            version.map_or_else(String::new, |(tariff, _)| tariff.name.clone()),
            version.map_or_else(String::new, |(_, version)| wall_time(site, version.valid_from)),
            worked_out(line),
            line.amount.to_string(),
            because(site, line),
        ]);
    }
    say(events, table.render(Tabular::Table)).await;
    Ok(())
}

fn worked_out(line: &Line) -> String {
    let percent = |rate: kernel::component::share::Rate| Price(rate.0).to_string();
    match line.measure {
        Measure::Units { quantity, price } => format!("{quantity} x {price}"),
        Measure::Days { quantity, price, days } => {
            format!("{quantity} x {price} a month, {} days from {}", days.count, days.first)
        }
        Measure::Share { base, rate } => format!("{base} x {}", percent(rate)),
        Measure::Within { base, rate } => format!("{base} x {0} / (1 + {0})", percent(rate)),
        Measure::Difference { least, reached } => format!("{least} - {reached}"),
    }
}

/// What a line follows from, in words.
fn because(site: &engine::registry::Site, line: &Line) -> String {
    let maximum = |window: Window, peak: Peak| {
        let method = if window.method == Method::Block { "blocks" } else { "a sliding window" };
        let (at, share) = (wall_time(site, peak.start), peak.known * 100 / (i64::from(window.minutes).max(1) * MINUTE));
        format!("{} kW in the {} minutes from {at} ({method}, {share} % of it measured)", peak.demand, window.minutes)
    };
    match line.why {
        Why::Days => "days that the contract owes".to_owned(),
        Why::Shortfall => "the month did not reach its minimum".to_owned(),
        Why::Maximum { window, peak } => format!("maximum of the month: {}", maximum(window, peak)),
        Why::NoDemand { .. } => "no reading tells of any demand".to_owned(),
        Why::Contracted => "capacity that the contract states".to_owned(),
        Why::NoCapacity => "the contract states no capacity".to_owned(),
        Why::Beyond { capacity, window, peak } => format!("beyond {capacity} kW: {}", maximum(window, peak)),
        Why::Factor { active, reactive, factor_milli } => {
            format!("power factor {} of {active} kWh and {reactive} kvarh", Quantity(i64::from(factor_milli)))
        }
        Why::NoFactor => "no power factor is known".to_owned(),
        Why::Volume { before, after, cap } => {
            let cap = cap.map_or_else(String::new, |cap| format!(", at most {cap} a month"));
            format!("the other service went from {before} to {after} in the month{cap}")
        }
        Why::Surcharge => "share of what it is on".to_owned(),
        Why::Exclusive => "tax on top of what it is on".to_owned(),
        Why::Inclusive => "tax within what it is on".to_owned(),
    }
}

/// A charge in words, with the type of its day.
pub(super) fn row(
    registry: &Registry,
    site: &engine::registry::Site,
    day_type: &str,
    item: &ExplainedPart,
) -> Vec<String> {
    let ExplainedPart { point, reading, previous, epoch, part, converted } = item;
    let point = registry.service_point(*point);
    let meter = reading.map(|row| row.meter).or(epoch.as_ref().map(|epoch| epoch.meter));
    let meter = meter.and_then(|id| registry.meter(id));
    let value = reading.map(|row| row.value);
    let wall = |moment: kernel::time::Moment| wall_time(site, moment);
    let before = match previous.map(|row| row.value) {
        Some(Value::Register(count)) => count.to_string(),
        _ => {
            let opening = epoch.as_ref().and_then(|epoch| epoch.opening_count);
            opening.map_or_else(|| "opening".to_owned(), |count| count.to_string())
        }
    };
    let counts = match value {
        Some(Value::Register(count)) => format!("{before} -> {count}"),
        Some(Value::Usage { quantity, .. }) => format!("usage {quantity}"),
        None => {
            let closing = epoch.as_ref().and_then(|epoch| epoch.closing_count);
            format!("... -> {} (closing)", closing.map_or_else(String::new, |count| count.to_string()))
        }
    };
    let multiplier = match (epoch, value) {
        (_, Some(Value::Usage { .. })) | (None, _) => "1".to_owned(),
        (Some(epoch), _) => multiplier(epoch.numerator, epoch.denominator),
    };
    let version = part.version.and_then(|id| registry.version(id));
    vec![
        point.map(|point| point.name.to_string()).unwrap_or_default(),
        meter.map(|meter| meter.serial.to_string()).unwrap_or_default(),
        wall(part.from),
        wall(part.to),
        counts,
        multiplier,
        converted.as_ref().map_or_else(String::new, |(factor, volume)| conversion(factor, *volume)),
        part.quantity.to_string(),
        point.map_or("", |point| point.unit.name()).to_owned(),
        day_type.to_owned(),
        part.band.name().to_owned(),
        part.tier.to_string(),
        part.counter_before.to_string(),
        tier_ends(point, version.map(|(_, version)| &**version), part),
        version.map_or_else(|| "no contract".to_owned(), |(tariff, _)| tariff.name.clone()),
        version.map_or_else(String::new, |(_, version)| wall(version.valid_from)),
        part.price.to_string(),
        part.amount.to_string(),
        part.allocation.name().to_owned(),
    ]
}

/// The threshold that held on that day for that household; empty in the last tier.
fn tier_ends(point: Option<&ServicePoint>, version: Option<&TariffVersion>, part: &Part) -> String {
    let contract = point.and_then(|point| point.contracts().rev().find(|contract| contract.holds(part.from)));
    let household = contract.map(|contract| contract.household).unwrap_or_default();
    let tiers = version.and_then(|version| version.tiers.as_ref());
    let upper = tiers.and_then(|tiers| tiers.ladder(tiers.scale(part.date, household)).upper(part.tier.into()));
    upper.map_or_else(String::new, |upper| upper.to_string())
}

/// `4.000 m3 x 39.5 MJ/m3 x 1.02264 / 3.6`.
fn conversion(factor: &Factor, volume: Option<Quantity>) -> String {
    let volume = volume.map_or_else(|| "m3".to_owned(), |volume| format!("{volume} m3"));
    format!("{volume} x {}", worth(factor))
}

/// `39.5 MJ/m3 x 1.02264 / 3.6`: kWh of a m3.
pub(super) fn worth(factor: &Factor) -> String {
    let short = |millionths| {
        let text = Price(millionths).to_string();
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    format!("{} MJ/m3 x {} / 3.6", short(factor.calorific_value), short(factor.correction))
}

/// Units of one count: `numerator / denominator` thousandths.
fn multiplier(numerator: i64, denominator: i64) -> String {
    if denominator == 1 {
        format!("{} a count", Quantity(numerator))
    } else {
        format!("{numerator}/{denominator} of 0.001 a count")
    }
}

/// The site's wall clock, with the day's offset where it has two.
pub(super) fn wall_time(site: &engine::registry::Site, moment: kernel::time::Moment) -> String {
    let Some(day) = site.days.at(moment) else { return moment.to_string() };
    let run = day.runs().find(|(run, end)| run.start <= moment && moment < *end);
    let wall = run.map_or(0, |(run, _)| run.wall + moment.since(run.start));
    let seconds = wall / kernel::time::SECOND;
    let twice = if day.jump.is_some_and(|jump| moment >= jump.start) { "*" } else { "" };
    format!("{} {:02}:{:02}:{:02}{twice}", day.date, seconds / 3600, seconds / 60 % 60, seconds % 60)
}
