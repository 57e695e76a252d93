//! Reading tariffs: each version is proven to price every minute before it is taken.

use jiff::tz::TimeZone;
use kernel::calendar::DayType;
use kernel::id::TariffVersionId;
use kernel::tariff::{Band, MonthDay, Reverse, TariffFault, TariffVersion};
use kernel::time::{LocalDate, LocalMonth};

use super::model::{SiteItem, TariffItem, VersionItem};
use super::reader::Reader;
use super::things::{correction, name, utility, zone};
use super::{bands, component, conversions, prices, series, words};

pub(super) fn tariff(reader: Reader<'_>, sites: &[SiteItem]) -> Option<TariffItem> {
    let reader = reader.named("name");
    let name = name(&reader, "name", "commercial");
    let utility = utility(&reader);
    let unit = conversions::unit(&reader, utility);
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
    Some(TariffItem { at, name: name?, utility: utility?, currency: currency?, unit: unit?, zone, versions })
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
    let base = prices::base_prices(&reader);
    let rules = bands::rules(&reader);
    let (tiers, prices) = match reader.table("tiers") {
        None => (None, base.map(|row| vec![row])),
        Some(inner) => prices::tiers(inner, base),
    };
    if prices.is_none() && !["price", "prices", "tiers"].iter().any(|key| reader.has(key)) {
        reader.fault("price", "is missing", "write `price`, or `prices` by band");
    }
    let components = component::components(&reader);
    let reverse = reader.word("reverse", Reverse::parse, "\"ignore\" or \"credit\"");
    let dynamic = reader.table("dynamic").map(|inner| series::series(inner, zone));
    let source = reader.text("source").unwrap_or_default();
    let (correct, at) = (correction(&reader), reader.at());
    let item = (|| {
        let version = TariffVersion {
            id: TariffVersionId(0),
            valid_from: valid_from?,
            rules: rules?,
            tiers,
            prices: prices?,
            // A series with a fault leaves nothing to be proven.
            dynamic: match dynamic {
                Some(series) => Some(series?),
                None => None,
            },
            components,
            reverse: reverse.unwrap_or_default(),
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

/// A price for a band that no hour is in is a slip of the pen.
fn unused_prices(reader: &Reader<'_>, version: &TariffVersion) {
    for band in Band::OF_TARIFFS {
        // Nothing is added to the series: nobody wrote that.
        if band == Band::Dynamic && version.dynamic.is_some() {
            continue;
        }
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
            let what = format!("{}s {} are in no season", day_type.name(), bands::show_season(*from, to));
            ("season", what, "add a [[tariff.version.season]] for them".to_owned())
        }
        TariffFault::NoPrice(band, tier) => {
            let place = if version.prices.len() > 1 { format!(" in tier {tier}") } else { String::new() };
            let what = format!("has hours in band {}, but no price for it{place}", band.name());
            let key = if version.prices.len() > 1 { "tiers" } else { "prices" };
            (key, what, format!("write `{} = \"...\"`", band.name()))
        }
        TariffFault::Bounds => {
            let what = "has bounds that do not ascend from above zero, or adds less than nothing to them";
            (
                "tiers",
                what.to_owned(),
                "put them in order, and write `allowance` and `adder` of zero or more".to_owned(),
            )
        }
        TariffFault::SeasonBounds(place) => (
            "tiers",
            format!("has bounds in season {} that do not ascend, or not as many as `bounds`", place + 1),
            "write as many bounds in each season as in `bounds`".to_owned(),
        ),
        TariffFault::CycleDay(day) => {
            ("tiers", format!("begins its cycle on day {day}"), "write a day from 1 to 28".to_owned())
        }
        TariffFault::Series if version.dynamic.is_some() => (
            "dynamic",
            "has prices, but no hour is in the band dynamic".to_owned(),
            "give it hours in `bands`, or leave `bands` out: then it has all".to_owned(),
        ),
        TariffFault::Series => (
            "bands",
            "has hours in the band dynamic, but no series of prices".to_owned(),
            "write `dynamic = { file = \"prices.csv\" }`".to_owned(),
        ),
        TariffFault::SeriesStart => (
            "dynamic",
            format!(
                "has prices from {} on, but the version holds from {} on",
                version.dynamic.as_ref().map_or(version.valid_from, |series| series.start),
                version.valid_from
            ),
            "add the missing prices, or let the version begin later".to_owned(),
        ),
        TariffFault::SeriesSteps => (
            "dynamic",
            "has no step that divides an hour, or no price".to_owned(),
            "write one price for each step".to_owned(),
        ),
        TariffFault::Unpriced => (
            "bands",
            "gives hours to the band unpriced".to_owned(),
            "give them to another band: it is for what flows beyond the end of a series".to_owned(),
        ),
        TariffFault::TierCount { tiers, prices } => (
            "tiers",
            format!("has {tiers} tiers, but {prices} rows of prices"),
            "write one row for each tier".to_owned(),
        ),
        // Each was proven as it was read.
        TariffFault::Component(fault) => {
            let (_, what, remedy) = component::explain(fault);
            ("component", what, remedy)
        }
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
