//! Reading tariffs: bands by season and day type, tiers, exact prices; each version is proven before it is taken.

use jiff::tz::TimeZone;
use kernel::calendar::DayType;
use kernel::id::TariffVersionId;
use kernel::money::{Price, Quantity};
use kernel::tariff::{Band, DayPlan, MINUTES, MonthDay, Rule, TariffFault, TariffVersion, TierPeriod, Tiers};
use kernel::time::{LocalDate, LocalMonth};
use toml::de::DeValue;

use super::model::{SiteItem, TariffItem, VersionItem};
use super::reader::{Reader, exact, shown};
use super::things::{correction, name, utility, zone};
use super::words;

type Row = [Option<Price>; Band::ALL.len()];

const PRICE: &str = "a price with at most 6 places in quotes, such as \"0.735686\"";
const NEW_YEAR: MonthDay = MonthDay { month: 1, day: 1 };
const NEW_YEARS_EVE: MonthDay = MonthDay { month: 12, day: 31 };

pub(super) fn tariff(reader: Reader<'_>, sites: &[SiteItem]) -> Option<TariffItem> {
    let reader = reader.named("name");
    let name = name(&reader, "name", "commercial");
    let utility = utility(&reader);
    let only_site = if let [site] = sites { Some(site) } else { None };
    let currency = match (reader.has("currency"), only_site) {
        (true, _) => reader.word("currency", words::currency, "an ISO 4217 code such as \"CNY\""),
        (false, Some(site)) => Some(site.currency.clone()),
        (false, None) => reader.need("currency", "write an ISO 4217 code such as \"CNY\""),
    };
    let zone = match reader.text("time_zone") {
        Some(name) => zone(&reader, &name),
        None => only_site.map(|site| site.zone.clone()),
    };
    if !reader.has("version") {
        reader.fault("version", "is missing", "write at least one [[tariff.version]] with `valid_from` and prices");
    }
    let mut versions: Vec<VersionItem> = Vec::new();
    for inner in reader.tables("version") {
        let Some(item) = version(inner, zone.as_ref()) else { continue };
        if versions.iter().any(|other| other.version.valid_from == item.version.valid_from) {
            let remedy = "give each version its own `valid_from`";
            reader.fault("version", "has two versions with the same `valid_from`", remedy);
        }
        versions.push(item);
    }
    versions.sort_by_key(|item| item.version.valid_from);
    let at = reader.at();
    reader.finish();
    let zone = zone.unwrap_or(TimeZone::UTC);
    Some(TariffItem { at, name: name?, utility: utility?, currency: currency?, zone, versions })
}

fn version(reader: Reader<'_>, zone: Option<&TimeZone>) -> Option<VersionItem> {
    let reader = reader.named("valid_from");
    let valid_from = match reader.has("valid_from") {
        true => reader.moment("valid_from", zone),
        false => {
            reader.fault(
                "valid_from",
                "is missing",
                "write the instant from which it holds, such as 2026-01-01T00:00:00",
            );
            reader.moment("valid_from", zone)
        }
    };
    let base = base_prices(&reader);
    let rules = rules(&reader);
    let (tiers, prices) = match reader.table("tiers") {
        None => (None, base.map(|row| vec![row])),
        Some(inner) => tiers(inner, base),
    };
    if prices.is_none() && !["price", "prices", "tiers"].iter().any(|key| reader.has(key)) {
        reader.fault("price", "is missing", "write `price`, or `prices` by band");
    }
    let source = reader.text("source").unwrap_or_default();
    let (correct, at) = (correction(&reader), reader.at());
    let item = (|| {
        let version = TariffVersion {
            id: TariffVersionId(0),
            valid_from: valid_from?,
            rules: rules?,
            tiers,
            prices: prices?,
            source,
        };
        if let Err(fault) = version.check() {
            let (key, what, remedy) = explain(&version, &fault);
            reader.fault(key, what, remedy);
        }
        unused_prices(&reader, &version);
        Some(VersionItem { at, version, correct })
    })();
    reader.finish();
    item
}

/// `price`, or `prices` by band; `None` where there is neither.
fn base_prices(reader: &Reader<'_>) -> Option<Row> {
    let single = reader.exact("price", Price::parse, PRICE);
    let by_band = reader.table("prices").map(|inner| {
        let row = band_prices(&inner);
        inner.finish();
        row
    });
    match (single, by_band) {
        (Some(_), Some(_)) => {
            reader.fault("price", "stands beside `prices`", "write one of them");
            None
        }
        (Some(price), None) => Some(single_price(price)),
        (None, row) => row,
    }
}

fn single_price(price: Price) -> Row {
    let mut row: Row = [None; Band::ALL.len()];
    row[Band::Single as usize] = Some(price);
    row
}

fn band_prices(reader: &Reader<'_>) -> Row {
    let mut row: Row = [None; Band::ALL.len()];
    for band in Band::ALL {
        row[band as usize] = reader.exact(band.name(), Price::parse, PRICE);
    }
    row
}

/// Seasons, bands for the whole year, or one price the whole day.
fn rules(reader: &Reader<'_>) -> Option<Vec<Rule>> {
    let seasons = reader.tables("season");
    let bands = reader.table("bands");
    if !seasons.is_empty() && bands.is_some() {
        reader.fault("bands", "stands beside [[tariff.version.season]]", "write the bands of each season there");
    }
    let whole_year = |plan| Rule { from: NEW_YEAR, to: NEW_YEARS_EVE, day_types: DayType::ALL.to_vec(), plan };
    if let Some(inner) = bands {
        let plan = plan(&inner, "every day");
        inner.finish();
        return Some(vec![whole_year(plan?)]);
    }
    if seasons.is_empty() {
        return Some(vec![whole_year(DayPlan::single(Band::Single))]);
    }
    let rules: Vec<Option<Rule>> = seasons.into_iter().map(season).collect();
    rules.into_iter().collect()
}

fn season(reader: Reader<'_>) -> Option<Rule> {
    let example = "a day of the year such as \"07-01\"";
    let from = reader.word("from", words::month_day, example);
    let to = reader.word("to", words::month_day, example);
    if reader.has("from") != reader.has("to") {
        reader.fault("from", "and `to` belong together", "write both, or neither for the whole year");
    }
    let mut day_types = Vec::new();
    for (value, _) in reader.list("days") {
        match value.as_str().and_then(|name| DayType::ALL.into_iter().find(|day_type| day_type.name() == name)) {
            Some(day_type) => day_types.push(day_type),
            None => {
                reader.fault("days", format!("holds {}", shown(value)), "write \"workday\", \"weekend\" or \"holiday\"")
            }
        }
    }
    if !reader.has("days") {
        day_types = DayType::ALL.to_vec();
    }
    let (from, to) = (from.unwrap_or(NEW_YEAR), to.unwrap_or(NEW_YEARS_EVE));
    let when = format!("{} {}", show_days(&day_types), show_season(from, to));
    let plan = match reader.table("bands") {
        Some(inner) => {
            let plan = plan(&inner, &when);
            inner.finish();
            plan
        }
        None => {
            reader.fault(
                "bands",
                "is missing",
                "write `bands = { peak = [\"08:00-12:00\"], flat = [\"12:00-08:00\"] }`",
            );
            None
        }
    };
    let rule = plan.map(|plan| Rule { from, to, day_types, plan });
    reader.finish();
    rule
}

/// The bands of a day, each minute exactly once.
fn plan(reader: &Reader<'_>, when: &str) -> Option<DayPlan> {
    let mut ranges = Vec::new();
    let mut whole = true;
    for band in Band::ALL {
        for (value, _) in reader.list(band.name()) {
            match value.as_str().and_then(words::hours) {
                Some((from, to)) => ranges.push((from, to, band)),
                None => {
                    whole = false;
                    let remedy = "write hours such as \"08:00-12:00\"; \"22:00-06:00\" runs over midnight";
                    reader.fault(band.name(), format!("holds {}", shown(value)), remedy);
                }
            }
        }
    }
    if !whole {
        return None;
    }
    let mut minutes: Vec<Vec<Band>> = vec![Vec::new(); usize::from(MINUTES)];
    for &(from, to, band) in &ranges {
        let length = if to > from { to - from } else { MINUTES - from + to };
        (0..length).for_each(|step| minutes[usize::from((from + step) % MINUTES)].push(band));
    }
    for (from, to) in runs(MINUTES, |minute| minutes[usize::from(minute)].is_empty()) {
        whole = false;
        let what = format!("{} to {} on {when} has no band", words::show_minute(from), words::show_minute(to));
        reader.fault("", what, "give these hours to a band");
    }
    for (from, to) in runs(MINUTES, |minute| minutes[usize::from(minute)].len() > 1) {
        whole = false;
        let names: Vec<&str> = minutes[usize::from(from)].iter().map(|band| band.name()).collect();
        let (start, end) = (words::show_minute(from), words::show_minute(to));
        let what = format!("{start} to {end} on {when} is in two bands ({})", names.join(" and "));
        reader.fault("", what, "give these hours to one band");
    }
    if !whole {
        return None;
    }
    // Checked above; the kernel proves it once more.
    DayPlan::from_ranges(&ranges).ok()
}

/// The stretches of 0 to `end` in which `holds`.
fn runs(end: u16, holds: impl Fn(u16) -> bool) -> Vec<(u16, u16)> {
    let mut runs: Vec<(u16, u16)> = Vec::new();
    for minute in (0..end).filter(|minute| holds(*minute)) {
        match runs.last_mut() {
            Some(run) if run.1 == minute => run.1 = minute + 1,
            _ => runs.push((minute, minute + 1)),
        }
    }
    runs
}

fn tiers(reader: Reader<'_>, base: Option<Row>) -> (Option<Tiers>, Option<Vec<Row>>) {
    let period = reader.word("period", period_word, "\"monthly\" or \"annual\"");
    if !reader.has("period") {
        reader.fault("period", "is missing", "write \"monthly\" or \"annual\"");
    }
    let reset = reader.word("reset", words::month_day, "a day of the year such as \"01-01\"");
    let period = match (period, reset) {
        (Some(false), Some(_)) => {
            reader.fault("reset", "stands beside monthly tiers", "leave it out: they begin on the first of each month");
            None
        }
        (Some(false), None) => Some(TierPeriod::Monthly),
        (Some(true), reset) => Some(TierPeriod::Annual(reset.unwrap_or(NEW_YEAR))),
        (None, _) => None,
    };
    let bounds = exact_list(&reader, "bounds", Quantity::parse, "a quantity such as \"260\"");
    let tier_count = bounds.len() + 1;
    let rows = match (reader.has("surcharge"), reader.has("prices")) {
        (true, true) => {
            reader.fault("surcharge", "stands beside `prices`", "write one of them");
            None
        }
        (false, false) => {
            let remedy = "write `surcharge` on the band prices, or `prices` for each tier";
            reader.fault("prices", "is missing", remedy);
            None
        }
        (true, false) => {
            let surcharges = exact_list(&reader, "surcharge", Price::parse, PRICE);
            if base.is_none() {
                reader.fault(
                    "surcharge",
                    "has no price to be added to",
                    "write `price`, or `prices` by band, in the version",
                );
            }
            base.map(|row| surcharges.into_iter().map(|surcharge| add(row, surcharge)).collect::<Vec<Row>>())
        }
        (false, true) => {
            if base.is_some() {
                reader.fault("prices", "stands beside a price of the version", "write the prices in one place");
            }
            Some(tier_prices(&reader))
        }
    };
    let count = rows.as_ref().map_or(tier_count, Vec::len);
    if count != tier_count {
        let key = if reader.has("surcharge") { "surcharge" } else { "prices" };
        let what = format!("has {count} entries, but {} bounds make {tier_count} tiers", bounds.len());
        reader.fault(key, what, format!("write {tier_count} entries, one for each tier"));
    }
    reader.finish();
    (period.map(|period| Tiers { period, bounds }), rows.filter(|_| count == tier_count))
}

/// Whether tiers are annual.
fn period_word(text: &str) -> Option<bool> {
    match text {
        "monthly" => Some(false),
        "annual" => Some(true),
        _ => None,
    }
}

fn add(row: Row, surcharge: Price) -> Row {
    row.map(|price| price.map(|price| Price(price.0.saturating_add(surcharge.0))))
}

fn exact_list<T>(reader: &Reader<'_>, key: &'static str, parse: fn(&str) -> Option<T>, example: &str) -> Vec<T> {
    let mut list = Vec::new();
    for (value, _) in reader.list(key) {
        match exact(value, parse, example) {
            Ok(value) => list.push(value),
            Err((what, remedy)) => reader.fault(key, what, remedy),
        }
    }
    list
}

/// One price, or one table of prices by band, for each tier.
fn tier_prices(reader: &Reader<'_>) -> Vec<Row> {
    let list = reader.list("prices");
    if list.iter().any(|(value, _)| matches!(value, DeValue::Table(_))) {
        let tables = reader.tables("prices");
        return tables
            .into_iter()
            .map(|inner| {
                let row = band_prices(&inner);
                inner.finish();
                row
            })
            .collect();
    }
    exact_list(reader, "prices", Price::parse, PRICE).into_iter().map(single_price).collect()
}

/// A price for a band that no hour is in is a slip of the pen.
fn unused_prices(reader: &Reader<'_>, version: &TariffVersion) {
    for band in Band::ALL {
        let priced = version.prices.iter().any(|row| row[band as usize].is_some());
        let used = version.rules.iter().any(|rule| rule.plan.switches().iter().any(|switch| switch.band == band));
        if priced && !used {
            let key = if band == Band::Single { "price" } else { "prices" };
            let what = format!("gives a price for {}, but no hour is in that band", band.name());
            let remedy = match band {
                Band::Single => "write `prices` by band".to_owned(),
                _ => "write its hours in `bands`, or leave the price out".to_owned(),
            };
            reader.fault(key, what, remedy);
        }
    }
}

/// The kernel's refusal for the person who wrote the tariff.
fn explain(version: &TariffVersion, fault: &TariffFault) -> (&'static str, String, String) {
    match fault {
        TariffFault::NoRule(from, day_type) => {
            let to = last_without_rule(version, *from, *day_type);
            let what = format!("{}s {} are in no season", day_type.name(), show_season(*from, to));
            ("season", what, "add a [[tariff.version.season]] for them".to_owned())
        }
        TariffFault::NoPrice(band, tier) => {
            let place = if version.prices.len() > 1 { format!(" in tier {tier}") } else { String::new() };
            let what = format!("has hours in band {}, but no price for it{place}", band.name());
            let key = if version.prices.len() > 1 { "tiers" } else { "prices" };
            (key, what, format!("write `{} = \"...\"`", band.name()))
        }
        TariffFault::Bounds => {
            ("tiers", "has bounds that do not ascend from above zero".to_owned(), "put them in order".to_owned())
        }
        TariffFault::TierCount { tiers, prices } => (
            "tiers",
            format!("has {tiers} tiers, but {prices} rows of prices"),
            "write one row for each tier".to_owned(),
        ),
    }
}

fn last_without_rule(version: &TariffVersion, from: MonthDay, day_type: DayType) -> MonthDay {
    let first = LocalDate::new(2024, from.month, from.day).unwrap_or(LocalMonth(2024 * 12).first_day());
    let uncovered = (0..366)
        .map(|days| first.plus(days))
        .take_while(|date| date.ymd().0 == 2024 && !version.rules.iter().any(|rule| rule.holds(*date, day_type)));
    let (_, month, day) = uncovered.last().unwrap_or(first).ymd();
    MonthDay { month, day }
}

fn show_days(day_types: &[DayType]) -> String {
    if day_types.len() == DayType::ALL.len() {
        return "every day".to_owned();
    }
    let names: Vec<String> = day_types.iter().map(|day_type| format!("{}s", day_type.name())).collect();
    names.join(" and ")
}

/// `in July`, `from 07-01 to 08-31`, `of the year`.
fn show_season(from: MonthDay, to: MonthDay) -> String {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    if (from, to) == (NEW_YEAR, NEW_YEARS_EVE) {
        return "of the year".to_owned();
    }
    let next = LocalDate::new(2024, to.month, to.day).map(|date| date.plus(1).ymd().2);
    let month = MONTHS.get(usize::from(from.month).saturating_sub(1)).filter(|_| from.month == to.month);
    match month {
        Some(month) if from.day == 1 && next == Some(1) => format!("in {month}"),
        _ => format!("from {:02}-{:02} to {:02}-{:02}", from.month, from.day, to.month, to.day),
    }
}
