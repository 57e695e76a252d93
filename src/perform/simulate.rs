//! `tariff simulate`: old against new bills before a tariff is published; and what `apply` says of a new version.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use engine::rating::bills::{Both, Lack};
use engine::rating::simulate::{Against, Bills, Simulated, Simulation};
use engine::rating::{RatingError, Span};
use engine::registry::{Registry, Tariff};
use engine::site_file::{SiteText, TariffFile, TariffText, tariffs_of};
use kernel::id::AccountId;
use kernel::money::{Amount, Rounding};
use kernel::time::{LocalMonth, Moment};

use super::table::Table;
use super::{account, month};
use crate::call::{Event, Events, Failure, SimulateArguments, Tabular, failed, say};
use crate::node::Node;

/// Months that are looked back on at most (10 years).
const MONTHS_MAX: i32 = 120;
/// What a published version is tried on.
const PREVIEW_MONTHS: i32 = 12;
/// Service points that a preview looks at: enough to see which way it goes.
const PREVIEW_POINTS: usize = 500;
/// How long a preview may take.
const PREVIEW_LIMIT: Duration = Duration::from_secs(30);
/// Accounts that pass the threshold and are named.
const NAMED: usize = 10;

pub(crate) async fn simulate(
    node: &Node,
    site: SiteText,
    asked: &SimulateArguments,
    format: Tabular,
    events: &Events,
) -> Result<(), Failure> {
    let name = asked.file.display().to_string();
    let found = tariffs_of(site, &name)
        .map_err(|faults| Failure(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))?;
    let tariff = chosen(&found, asked.tariff.as_deref(), &name)?;
    let registry = node.engine.registry();
    let now = node.clock.now();
    let threshold = threshold(&asked.threshold)?;
    let against = against(&registry, &asked.against, tariff)?;
    let span = span(&registry, asked, now)?;
    let simulated = simulated(&found, tariff, against, span, usize::MAX);
    check(&registry, tariff, &simulated, now)?;
    let simulation = node.engine.simulate(&simulated, now, threads()).await.map_err(failed)?;
    if !simulation.is_measured() {
        return Err(Failure(format!(
            "nothing was measured from {} to {} at the {} service points that --against names; choose other months with \
             --last and --until (`meterledger report monthly-use` shows which have readings)",
            span.first, span.last, simulation.points_of
        )));
    }
    let by_month = asked.by.is_some();
    say(events, table(&registry, &simulation, by_month, format).render(format)).await;
    let mut told = summary(&registry, tariff, &simulation, span, threshold);
    if last_month(&registry, now) < span.last.month() {
        told.push(format!(
            "{} has not ended: it has the energy so far, and all days of its components",
            span.last.month()
        ));
    }
    for line in told {
        match format {
            Tabular::Table => say(events, line).await,
            // Machines read the rows alone.
            Tabular::Csv | Tabular::Json => drop(events.send(Event::Note(line)).await),
        }
    }
    Ok(())
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The one tariff that is meant.
fn chosen<'a>(found: &'a TariffFile, wanted: Option<&str>, file: &str) -> Result<&'a TariffText, Failure> {
    let names = || found.tariffs.iter().map(|tariff| tariff.name.as_str()).collect::<Vec<_>>().join(", ");
    match (wanted, &found.tariffs[..]) {
        (Some(wanted), all) => all
            .iter()
            .find(|tariff| tariff.name == wanted)
            .ok_or_else(|| Failure(format!("{file} has no tariff {wanted:?}; it has {}", names()))),
        (None, [only]) => Ok(only),
        (None, _) => Err(Failure(format!("{file} has several tariffs; say which with --tariff: {}", names()))),
    }
}

fn against(registry: &Registry, words: &[String], tariff: &TariffText) -> Result<Against, Failure> {
    if let [word] = words
        && let Some(name) = word.strip_prefix("tariff:")
    {
        let known = registry.tariff_named(name).ok_or_else(|| {
            let names: Vec<&str> = registry.tariffs().map(|tariff| tariff.name.as_str()).collect();
            Failure(format!("the book has no tariff {name:?}; it has {}", names.join(", ")))
        })?;
        return Ok(Against::Tariff(known.id));
    }
    let mut accounts = BTreeSet::new();
    for word in words {
        if word == "all" {
            // Of other currencies nothing can be compared.
            let same = |site: &engine::registry::Site| site.currency == tariff.currency;
            let all = registry.accounts().filter(|account| registry.site(account.site).is_some_and(same));
            accounts.extend(all.map(|account| account.id));
        } else {
            accounts.insert(account(registry, word)?.id);
        }
    }
    Ok(Against::Accounts(accounts))
}

/// The months before this one, or those up to the one that is named.
fn span(registry: &Registry, asked: &SimulateArguments, now: Moment) -> Result<Span, Failure> {
    let count = asked.last.strip_suffix('m').and_then(|count| count.parse().ok());
    let count = count.filter(|count| (1..=MONTHS_MAX).contains(count)).ok_or_else(|| {
        Failure(format!("--last {:?} is no number of months; write it as 12m, at most {MONTHS_MAX}m", asked.last))
    })?;
    let until = match &asked.until {
        Some(text) => month(text)?,
        None => last_month(registry, now),
    };
    Ok(months(until, count))
}

/// The last month that has ended.
fn last_month(registry: &Registry, now: Moment) -> LocalMonth {
    let today = registry.sites().filter_map(|site| site.days.at(now)).map(|day| day.date.month()).min();
    today.map_or(LocalMonth(0), |month| LocalMonth(month.0 - 1))
}

fn months(until: LocalMonth, count: i32) -> Span {
    let first = LocalMonth(until.0.saturating_sub(count - 1)).first_day();
    Span { first, last: LocalMonth(until.0.saturating_add(1)).first_day().plus(-1) }
}

fn simulated(found: &TariffFile, tariff: &TariffText, against: Against, span: Span, points_max: usize) -> Simulated {
    let calendar = found.calendar();
    let calendar = kernel::calendar::Calendar { until: found.complete_until(), ..calendar };
    // Every tariff that was read has a version; the last is the one that is to be published.
    let version = tariff.versions.last().cloned();
    let version = version.unwrap_or_else(|| unreachable!("a tariff without a version is refused when it is read"));
    Simulated { utility: tariff.utility, unit: tariff.unit, version, calendar, against, span, points_max }
}

/// Why it cannot be tried on these accounts.
fn check(registry: &Registry, tariff: &TariffText, simulated: &Simulated, now: Moment) -> Result<(), Failure> {
    let named =
        |utility: kernel::id::Utility, unit: kernel::unit::Unit| format!("{} by the {}", utility.name(), unit.name());
    let (name, utility) = (&tariff.name, named(tariff.utility, tariff.unit));
    if let Against::Tariff(id) = simulated.against
        && let Some(known) =
            registry.tariff(id).filter(|known| (known.utility, known.unit) != (tariff.utility, tariff.unit))
    {
        return Err(Failure(format!(
            "tariff {name:?} prices {utility}, but {:?} prices {}; name one for the same utility and unit",
            known.name,
            named(known.utility, known.unit)
        )));
    }
    let points = simulated.points(registry, now);
    if let Against::Accounts(accounts) = &simulated.against
        && accounts.len() == 1
        && points.is_empty()
    {
        let only = accounts.first().and_then(|id| registry.account(*id));
        let who = only.map_or("", |account| account.name.as_str());
        if let Some(unit) = only.and_then(|account| account.unit) {
            return Err(Failure(format!(
                "{who} is kept in {unit}: what it uses costs {unit}, and a price counts only where it buys; name accounts that \
                 are kept in money"
            )));
        }
        return Err(Failure(format!(
            "tariff {name:?} prices {utility}, and {who} never had a service point for {utility}; name other accounts"
        )));
    }
    if points.is_empty() {
        return Err(Failure(format!(
            "none of the accounts that --against names has a service point for {utility}; name others, or tariff:NAME"
        )));
    }
    let sites: BTreeSet<_> =
        points.keys().filter_map(|id| registry.service_point(*id)).map(|point| point.site).collect();
    for site in sites.into_iter().filter_map(|id| registry.site(id)) {
        if site.currency != tariff.currency {
            return Err(Failure(format!(
                "tariff {name:?} is in {}, but site {} is in {}; name accounts of sites in {}",
                tariff.currency, site.name, site.currency, tariff.currency
            )));
        }
        let last = simulated.span.last;
        if simulated.version.distinguishes_holidays()
            && let Some(known) = simulated.calendar_over(&site.calendar).complete_until().filter(|known| *known < last)
        {
            return Err(Failure(format!(
                "tariff {name:?} prices holidays apart, and the calendar of site {} knows them until {known} only; add the \
                 holidays until {last}, in the site file or in a [[calendar]] beside the tariff, or end earlier with --until",
                site.name
            )));
        }
    }
    if let Some(series) = &simulated.version.dynamic {
        let day = |moment| registry.sites().find_map(|site| site.days.at(moment)).map(|day| day.date);
        let (begins, ends) = (day(series.start), day(series.end().plus(-1)));
        if begins.is_none_or(|begins| begins > simulated.span.first)
            || ends.is_none_or(|ends| ends < simulated.span.last)
        {
            let say = |date: Option<kernel::time::LocalDate>| date.map_or("?".to_owned(), |date| date.to_string());
            return Err(Failure(format!(
                "the prices of tariff {name:?} go from {} to {}, not over the whole span from {} to {}; choose months within \
                 them with --last and --until",
                say(begins),
                say(ends),
                simulated.span.first,
                simulated.span.last
            )));
        }
    }
    Ok(())
}

/// Hundredths of a percent, as they are typed: `20` or `12.5`.
fn threshold(text: &str) -> Result<i128, Failure> {
    let parsed = Amount::parse(text.trim_end_matches('%').trim()).filter(|percent| percent.0 >= 0);
    let parsed = parsed.ok_or_else(|| Failure(format!("--threshold {text:?} is no percentage; write it as 20")))?;
    Ok(parsed.round(2, Rounding::HalfUp).0 / 10_000_000)
}

/// By how much `new` is more than `old`, in hundredths of a percent, rounded half up; none where `old` is nothing.
fn change(old: Amount, new: Amount) -> Option<i128> {
    let difference = (new - old).0;
    (old.0 > 0).then(|| (difference * 20_000 + old.0).div_euclid(old.0 * 2))
}

/// `+12.34 %`.
fn percent(old: Amount, new: Amount) -> String {
    change(old, new).map_or_else(String::new, shown)
}

fn shown(hundredths: i128) -> String {
    let sign = if hundredths < 0 { "-" } else { "+" };
    let size = hundredths.unsigned_abs();
    format!("{sign}{}.{:02} %", size / 100, size % 100)
}

fn by_account(simulation: &Simulation) -> BTreeMap<AccountId, Bills> {
    let mut accounts: BTreeMap<AccountId, Bills> = BTreeMap::new();
    for ((account, _), bills) in &simulation.bills {
        let total = accounts.entry(*account).or_default();
        total.old.add(bills.old);
        total.new.add(bills.new);
    }
    accounts
}

fn table(registry: &Registry, simulation: &Simulation, by_month: bool, format: Tabular) -> Table {
    let mut columns = vec!["account", "holder"];
    columns.extend(by_month.then_some("month"));
    columns.extend(["quantity>", "old>", "new>", "difference>", "percent>"]);
    let mut table = Table::new(&columns);
    // People get money as it is paid; machines every digit.
    let money = |amount: Amount| match format {
        Tabular::Table => format!("{:.2}", amount.round(2, Rounding::HalfUp)),
        Tabular::Csv | Tabular::Json => amount.to_string(),
    };
    let mut push = |account: AccountId, month: Option<LocalMonth>, bills: &Bills| {
        let known = registry.account(account);
        let mut row = vec![
            known.map_or_else(String::new, |account| account.name.to_string()),
            known.map_or_else(String::new, |account| account.holder.to_string()),
        ];
        row.extend(month.map(|month| month.to_string()));
        let (old, new) = (bills.old.amount(), bills.new.amount());
        row.extend([
            bills.new.energy.quantity.to_string(),
            money(old),
            money(new),
            money(new - old),
            percent(old, new),
        ]);
        table.push(row);
    };
    if by_month {
        simulation.bills.iter().for_each(|((account, month), bills)| push(*account, Some(*month), bills));
    } else {
        by_account(simulation).iter().for_each(|(account, bills)| push(*account, None, bills));
    }
    table
}

/// The totals in words.
fn totals(tariff: &TariffText, simulation: &Simulation, span: Span) -> String {
    let accounts = by_account(simulation);
    let (mut old, mut new) = (Amount::ZERO, Amount::ZERO);
    let (mut more, mut less) = (0, 0);
    for bills in accounts.values() {
        old += bills.old.amount();
        new += bills.new.amount();
        match bills.new.amount().cmp(&bills.old.amount()) {
            std::cmp::Ordering::Greater => more += 1,
            std::cmp::Ordering::Less => less += 1,
            std::cmp::Ordering::Equal => {}
        }
    }
    let cents = |amount: Amount| format!("{:.2}", amount.round(2, Rounding::HalfUp));
    let of = match simulation.points < simulation.points_of {
        true => format!("the first {} of {} service points", simulation.points, simulation.points_of),
        false => format!("{} service points", simulation.points),
    };
    let same = accounts.len() - more - less;
    let change = percent(old, new);
    let change = if change.is_empty() { String::new() } else { format!(", {change}") };
    format!(
        "{} would have charged {} {} from {} to {} instead of {} ({}{change}) at {of}: {more} accounts pay more, {less} less, \
         {same} the same",
        tariff.name,
        cents(new),
        tariff.currency,
        span.first,
        span.last,
        cents(old),
        cents(new - old),
    )
}

fn summary(
    registry: &Registry,
    tariff: &TariffText,
    simulation: &Simulation,
    span: Span,
    threshold: i128,
) -> Vec<String> {
    let mut lines = vec![totals(tariff, simulation, span)];
    let mut beyond: Vec<(i128, AccountId)> = by_account(simulation)
        .into_iter()
        .filter_map(|(account, bills)| Some((change(bills.old.amount(), bills.new.amount())?, account)))
        .filter(|(change, _)| change.abs() > threshold)
        .collect();
    beyond.sort_by_key(|(change, account)| (-change.abs(), *account));
    if !beyond.is_empty() {
        let name = |id: AccountId| registry.account(id).map_or("", |account| account.name.as_str());
        let named: Vec<String> =
            beyond.iter().take(NAMED).map(|(change, id)| format!("{} {}", name(*id), shown(*change))).collect();
        let more = if beyond.len() > NAMED { format!(" and {} more", beyond.len() - NAMED) } else { String::new() };
        let limit = format!("{}.{:02}", threshold / 100, threshold % 100);
        lines.push(format!("{} accounts change by more than {limit} %: {}{more}", beyond.len(), named.join(", ")));
    }
    lines.push(format!("of it {}", parts(simulation)));
    lines.extend(simulation.lacks.iter().map(|((component, lack), months)| lacking(component, *lack, *months)));
    lines.push(
        "whole bills on both sides: energy and every component of the tariff, as a close charges them; taxes within prices are \
         not added"
            .to_owned(),
    );
    lines
}

/// `energy 10.00 -> 12.00, vat 1.30 -> 1.56`: what makes up the totals.
fn parts(simulation: &Simulation) -> String {
    let mut energy = Both::default();
    for bills in simulation.bills.values() {
        energy.old += bills.old.energy.amount;
        energy.new += bills.new.energy.amount;
    }
    let cents = |amount: Amount| format!("{:.2}", amount.round(2, Rounding::HalfUp));
    let part = |(name, both): (&str, &Both)| format!("{name} {} -> {}", cents(both.old), cents(both.new));
    let beside = simulation.components.iter().map(|(name, both)| (name.as_str(), both));
    let all: Vec<String> = std::iter::once((kernel::component::ENERGY, &energy)).chain(beside).map(part).collect();
    all.join(", ")
}

/// A fact that is missing, in the words of a close.
fn lacking(component: &str, lack: Lack, months: usize) -> String {
    let what = match lack {
        Lack::Demand => "no reading tells of any demand: it counts as none",
        Lack::PartOfDemand => "readings are missing or more than 2 hours apart: the maximum may have been higher",
        Lack::Capacity => "the contract states no capacity: nothing is charged for it",
        Lack::PowerFactor => "active or reactive energy is not known, or there was none: no adjustment",
        Lack::Source => "the contract does not say in `sources` where the other service is measured: it counts as none",
    };
    format!("{component}: in {months} months of accounts {what}")
}

/// What each new version of a tariff that somebody is on would have charged on the last 12 months, one line for each.
pub(crate) async fn preview(node: &Node, site: SiteText, file: &str) -> Vec<String> {
    // What the file has wrong is for `apply` to say.
    let Ok(found) = tariffs_of(site, file) else { return Vec::new() };
    let registry = node.engine.registry();
    let now = node.clock.now();
    let mut lines = Vec::new();
    for tariff in &found.tariffs {
        let Some(known) = registry.tariff_named(&tariff.name).filter(|known| publishes(known, tariff)) else {
            continue;
        };
        let span = months(last_month(&registry, now), PREVIEW_MONTHS);
        let simulated = simulated(&found, tariff, Against::Tariff(known.id), span, PREVIEW_POINTS);
        if let Err(why) = check(&registry, tariff, &simulated, now) {
            lines.extend(
                (!simulated.points(&registry, now).is_empty())
                    .then(|| format!("not tried on the last 12 months: {why}")),
            );
            continue;
        }
        let tried = tokio::time::timeout(PREVIEW_LIMIT, node.engine.simulate(&simulated, now, threads())).await;
        lines.push(said(tariff, tried, span));
    }
    lines
}

fn said(
    tariff: &TariffText,
    tried: Result<Result<Simulation, RatingError>, tokio::time::error::Elapsed>,
    span: Span,
) -> String {
    match tried {
        Ok(Ok(simulation)) if !simulation.is_measured() => {
            format!(
                "{}: nothing was measured from {} to {} to try the new version on",
                tariff.name, span.first, span.last
            )
        }
        Ok(Ok(simulation)) => {
            let lacks = simulation.lacks.iter().map(|((component, lack), months)| lacking(component, *lack, *months));
            let told: Vec<String> = std::iter::once(totals(tariff, &simulation, span)).chain(lacks).collect();
            told.join("; ")
        }
        Ok(Err(error)) => format!("{}: the new version could not be tried: {error}", tariff.name),
        Err(_) => format!(
            "{}: trying the new version takes more than {} s; `meterledger tariff simulate` takes its time",
            tariff.name,
            PREVIEW_LIMIT.as_secs()
        ),
    }
}

/// Whether the last version of a file is not one of the book's.
fn publishes(known: &Tariff, tariff: &TariffText) -> bool {
    let Some(last) = tariff.versions.last() else { return false };
    !known.versions.iter().any(|version| {
        let mut version = version.as_ref().clone();
        version.id = last.id;
        version == *last
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_rounded_half_up_and_nothing_has_none() {
        let amount = |text: &str| Amount::parse(text).unwrap();
        for (old, new, expected) in [
            ("100", "112.345", "+12.35 %"),
            ("100", "112.344", "+12.34 %"),
            ("100", "87.5", "-12.50 %"),
            ("3", "3", "+0.00 %"),
            ("0", "5", ""),
        ] {
            assert_eq!(percent(amount(old), amount(new)), expected, "{old} to {new}");
        }
    }

    #[test]
    fn thresholds_are_percentages() {
        assert_eq!(threshold("20").ok(), Some(2_000));
        assert_eq!(threshold("12.5 %").ok(), Some(1_250));
        assert!(threshold("much").is_err() && threshold("-3").is_err());
    }
}
