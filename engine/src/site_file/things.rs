//! Reading sites, locations, accounts, service points, meters, calendars and policies.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use kernel::calendar::{Calendar, DayType};
use kernel::id::Utility;
use kernel::money::{Amount, Quantity, Rounding};
use kernel::tariff::Household;
use kernel::unit::Unit;

use super::conversions;
use super::model::{
    AccountItem, CalendarItem, ContractTerms, FactsItem, Installation, LocationItem, MeterItem, PointItem, PolicyItem,
    SiteItem, Stretch, USAGE,
};
use super::reader::Reader;
use super::words::{self, Ratio};
use crate::registry::{AccountKind, Mode, parse_rounding, unit_named};
use crate::site_days;

pub(super) const UTILITIES: &str = "electricity, water, gas or heat";
const LONGEST_NAME: usize = 100;
/// A register that falls back by so many counts does not tremble.
const JITTER_END: i64 = 1_001;

/// A name: a short text without line breaks.
pub(super) fn name(reader: &Reader<'_>, key: &'static str, example: &str) -> Option<String> {
    let name = reader.need(key, &format!("write a name such as {example:?}"))?;
    if name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) || name.trim() != name {
        reader.fault(key, format!("is {name:?}"), "write at most 100 characters, without spaces around or line breaks");
        return None;
    }
    Some(name)
}

/// `correct = true` with its reason.
pub(super) fn correction(reader: &Reader<'_>) -> Option<String> {
    let correct = reader.boolean("correct").unwrap_or(false);
    let reason = reader.text("reason");
    if correct && reason.is_none() {
        reader.fault("correct", "has no reason", "write `reason = \"...\"`: it is kept in the audit log");
    }
    if !correct && reason.is_some() && !reader.has("correct") {
        reader.fault("reason", "stands without `correct = true`", "write both, or leave both out");
    }
    reason.filter(|_| correct)
}

const LIMIT: &str = "an amount of zero or more, such as \"50.00\"";

/// An amount of zero or more.
fn limit(text: &str) -> Option<Amount> {
    Amount::parse(text).filter(|amount| *amount >= Amount::ZERO)
}

pub(super) fn site(reader: Reader<'_>) -> Option<SiteItem> {
    let reader = reader.named("name");
    let name = name(&reader, "name", "mall");
    let zone_name = reader.need("time_zone", "write an IANA name such as \"Asia/Shanghai\"");
    let zone = zone_name.as_deref().and_then(|name| zone(&reader, name));
    let currency = match reader.has("currency") {
        true => reader.word("currency", words::currency, "an ISO 4217 code such as \"CNY\""),
        false => reader.need("currency", "write an ISO 4217 code such as \"CNY\""),
    };
    let limit = |text: &str| Amount::parse(text).filter(|amount| *amount >= Amount::ZERO);
    let adjustment_limit =
        reader.exact("adjustment_limit", limit, "an amount of zero or more, such as \"5.00\"; 0 asks for every one");
    let modes = "\"off\", \"shadow\", \"ask\" or \"auto\"";
    let item = (|| {
        Some(SiteItem {
            at: reader.at(),
            title: reader.text("title").or_else(|| name.clone())?,
            name: name?,
            calendar: reader.text("calendar"),
            // A new site only says what it would cut, until somebody decides otherwise.
            mode: reader.word("mode", Mode::parse, modes).unwrap_or(Mode::Shadow),
            webhook: webhook(&reader),
            adjustment_limit: adjustment_limit.unwrap_or_default(),
            rounding: reader
                .word("rounding", parse_rounding, "\"half-up\" or \"half-even\"")
                .unwrap_or(Rounding::HalfUp),
            refund_limit: reader.exact("refund_limit", limit, LIMIT).unwrap_or_default(),
            from: reader.moment("from", zone.as_ref()),
            correct: correction(&reader),
            // After a fault anything will do: the faults of what depends on it would only hide it.
            zone_name: zone_name.unwrap_or_default(),
            zone: zone.unwrap_or(TimeZone::UTC),
            currency: currency.unwrap_or_default(),
        })
    })();
    if item.is_some() {
        reader.finish();
    }
    item
}

pub(super) fn zone(reader: &Reader<'_>, name: &str) -> Option<TimeZone> {
    let zone = site_days::zone(name);
    if zone.is_err() {
        let remedy = "write an IANA name such as \"Asia/Shanghai\" or \"Europe/Berlin\"";
        reader.fault("time_zone", format!("is {name:?}, which the zone database does not have"), remedy);
    }
    zone.ok()
}

fn webhook(reader: &Reader<'_>) -> Option<String> {
    let url = |text: &str| (text.starts_with("http://") || text.starts_with("https://")).then(|| text.to_owned());
    reader.word("webhook", url, "an address such as \"http://127.0.0.1:8080/notices\"")
}

pub(super) fn calendar(reader: Reader<'_>) -> Option<CalendarItem> {
    let reader = reader.named("name");
    let name = name(&reader, "name", "cn");
    let mut calendar = Calendar { name: name?, ..Calendar::default() };
    for (key, day_type) in
        [("holidays", DayType::Holiday), ("workdays", DayType::Workday), ("weekends", DayType::Weekend)]
    {
        for (date, _) in reader.dates(key) {
            if calendar.exceptions.insert(date, day_type).is_some() {
                reader.fault(key, format!("names {date} a second time"), "name each date once");
            }
        }
    }
    if let Some(inner) = reader.table("named") {
        calendar.named = inner.dates_by_name(|name| DayType::ALL.iter().any(|day_type| day_type.name() == name));
    }
    calendar.until = reader.date("until");
    let item = CalendarItem { at: reader.at(), calendar, correct: correction(&reader) };
    reader.finish();
    Some(item)
}

pub(super) fn policy(reader: Reader<'_>) -> Option<PolicyItem> {
    // Its keys are for kernel::control; unknown ones are refused there.
    let reader = reader.named("name");
    let name = name(&reader, "name", "standard");
    let definition = reader.json();
    Some(PolicyItem { at: reader.at(), name: name?, definition: definition? })
}

/// The site a thing belongs to; the only one where the file has one.
fn site_of(reader: &Reader<'_>, sites: &[SiteItem]) -> Option<usize> {
    match reader.text("site") {
        Some(name) => {
            let found = sites.iter().position(|site| site.name == name);
            if found.is_none() {
                reader.fault(
                    "site",
                    format!("is {name:?}, which this file has no [[site]] for"),
                    "add the site, or correct the name",
                );
            }
            found
        }
        None if reader.has("site") => None,
        None if sites.len() == 1 => Some(0),
        // Faults of the sites themselves are reported already.
        None if sites.is_empty() => None,
        None => {
            reader.fault("site", "is missing, and the file has several sites", "write `site = \"...\"`");
            None
        }
    }
}

pub(super) fn location(reader: Reader<'_>, sites: &[SiteItem]) -> Option<LocationItem> {
    let reader = reader.named("name");
    let name = name(&reader, "name", "L1-01");
    let site = site_of(&reader, sites);
    let kind = |text: &str| ["building", "floor", "room", "area"].contains(&text).then(|| text.to_owned());
    let title = reader.text("title");
    let area = |text: &str| Quantity::parse(text).map(|area| area.0).filter(|area| *area >= 0 && area % 10 == 0);
    let (parent, kind) = (reader.text("parent"), reader.word("kind", kind, "building, floor, room or area"));
    let area = reader.exact("area", area, "square metres with at most two places, such as \"85.50\"");
    let item = (|| {
        Some(LocationItem {
            at: reader.at(),
            site: site?,
            title: title.or_else(|| name.clone())?,
            name: name?,
            kind: kind.unwrap_or_else(|| "room".to_owned()),
            parent,
            area_centi_m2: area.map(|milli| milli / 10),
        })
    })();
    reader.finish();
    item
}

pub(super) fn account(reader: Reader<'_>, sites: &[SiteItem]) -> Option<AccountItem> {
    let reader = reader.named("name");
    let name = name(&reader, "name", "A-101");
    let site = site_of(&reader, sites);
    let zone = site.map(|site| &sites[site].zone);
    let holder = reader.text("holder");
    let kind = reader.word("kind", AccountKind::parse, "\"prepaid\" or \"postpaid\"");
    let commodity = |text: &str| if text == "money" { Some(None) } else { unit_named(text).map(Some) };
    let unit = reader.word("balance", commodity, "\"money\", or the unit that is bought, such as \"kWh\"").flatten();
    if unit.is_some() && kind == Some(AccountKind::Postpaid) {
        reader.fault(
            "balance",
            "is in units, and the account is postpaid",
            "units are bought before: write \"prepaid\"",
        );
    }
    let pooled = reader.boolean("pooled_tiers").unwrap_or(false);
    if pooled && unit.is_some() {
        reader.fault("pooled_tiers", "is true, but units have one price and no tiers", "remove one of the two");
    }
    let (from, until) = span(&reader, zone);
    let (policy, location) = (reader.text("policy"), reader.text("location"));
    let credit_limit = reader.exact("credit_limit", limit, LIMIT);
    let (cutoff, protected) = (reader.boolean("cutoff"), reader.text("protected"));
    let confirmed = reader.moment("confirmed", zone);
    let item = (|| {
        Some(AccountItem {
            at: reader.at(),
            site: site?,
            holder: holder.or_else(|| name.clone())?,
            name: name?,
            kind: kind.unwrap_or(AccountKind::Prepaid),
            unit,
            pooled,
            policy,
            location,
            credit_limit: credit_limit.unwrap_or_default(),
            cutoff: cutoff.unwrap_or(true),
            protected,
            from,
            until,
            confirmed,
        })
    })();
    reader.finish();
    item
}

fn span(reader: &Reader<'_>, zone: Option<&TimeZone>) -> (Option<kernel::time::Moment>, Option<kernel::time::Moment>) {
    if zone.is_none() {
        // The fault is reported where the site is missing.
        return (reader.moment("from", Some(&TimeZone::UTC)), reader.moment("until", Some(&TimeZone::UTC)));
    }
    let (from, until) = (reader.moment("from", zone), reader.moment("until", zone));
    if let (Some(start), Some(end)) = (from, until)
        && end <= start
    {
        reader.fault("until", "is not after `from`", "correct one of them");
    }
    (from, until)
}

fn stretch<T>(reader: &Reader<'_>, zone: Option<&TimeZone>, terms: Option<T>) -> Option<Stretch<T>> {
    let (from, until) = span(reader, zone);
    let correct = correction(reader);
    Some(Stretch { at: reader.at(), from, until, correct, terms: terms? })
}

/// Stretches of `[[..key]]`, or the one that the thing's own keys describe.
fn stretches<T>(
    reader: &Reader<'_>,
    key: &'static str,
    zone: Option<&TimeZone>,
    own: &[&str],
    read: impl Fn(&Reader<'_>) -> Option<T>,
) -> Vec<Stretch<T>> {
    if !reader.has(key) {
        let terms = read(reader);
        return stretch(reader, zone, terms).into_iter().collect();
    }
    for own in own.iter().chain(&["from", "until", "correct", "reason"]).filter(|own| reader.has(own)) {
        let remedy = format!("write it in each [[{key}]]");
        reader.fault(own, format!("stands beside [[{key}]]"), remedy);
    }
    let mut list = Vec::new();
    for inner in reader.tables(key) {
        let terms = read(&inner);
        list.extend(stretch(&inner, zone, terms));
        inner.finish();
    }
    list
}

pub(super) fn service_point(reader: Reader<'_>, sites: &[SiteItem]) -> Option<PointItem> {
    let reader = reader.named("name");
    let name = name(&reader, "name", "A-101/electricity");
    let site = site_of(&reader, sites);
    let zone = site.map(|site| &sites[site].zone);
    let utility = utility(&reader);
    let unit = conversions::unit(&reader, utility);
    let conversions = conversions::conversions(&reader, zone);
    let read = |reader: &Reader<'_>| {
        let account = reader.need("account", "name the account that pays");
        let tariff = reader.need("tariff", "name the tariff");
        let counted = |key| reader.integer(key, 1..1_000).and_then(|count| u16::try_from(count).ok());
        let (persons, households) = (counted("persons").unwrap_or(0), counted("households").unwrap_or(1));
        let facts = facts(reader);
        Some(ContractTerms { account: account?, tariff: tariff?, household: Household { persons, households }, facts })
    };
    // A service point that nobody pays for is measured only.
    const OWN: [&str; 7] = ["account", "tariff", "persons", "households", "capacity", "reactive", "sources"];
    let contracts = match OWN.iter().chain(&["contract", "from", "until"]).any(|key| reader.has(key)) {
        true => stretches(&reader, "contract", zone, &OWN, read),
        false => Vec::new(),
    };
    let location = reader.text("location");
    let item = (|| {
        let (at, site, name, utility, unit) = (reader.at(), site?, name?, utility?, unit?);
        Some(PointItem { at, site, name, utility, unit, location, contracts, conversions })
    })();
    reader.finish();
    item
}

/// What a contract states for the components of its tariff.
fn facts(reader: &Reader<'_>) -> FactsItem {
    let capacity = |text: &str| Quantity::parse(text).filter(|capacity| capacity.0 >= 0);
    let capacity = reader.exact("capacity", capacity, "kilowatts of zero or more, such as \"50\"");
    let mut sources = BTreeMap::new();
    if let Some(inner) = reader.table("sources") {
        for (name, value) in inner.entries() {
            match value.as_str() {
                Some(point) => _ = sources.insert(name.to_owned(), point.to_owned()),
                None => {
                    reader.fault("sources", format!("has no service point for {name:?}"), "write its name in quotes")
                }
            }
        }
    }
    FactsItem { capacity, reactive: reader.text("reactive"), sources }
}

pub(super) fn utility(reader: &Reader<'_>) -> Option<Utility> {
    if reader.has("utility") {
        return reader.word("utility", Utility::parse, UTILITIES);
    }
    reader.need("utility", &format!("write {UTILITIES}")).and(None)
}

pub(super) fn meter(reader: Reader<'_>, sites: &[SiteItem]) -> Option<MeterItem> {
    let reader = reader.named("serial");
    let serial = name(&reader, "serial", "DT2024001");
    let site = site_of(&reader, sites);
    let zone = site.map(|site| &sites[site].zone);
    let kind = |text: &str| ["register", USAGE].contains(&text).then(|| text.to_owned());
    let usage = reader.word("kind", kind, "\"register\" or \"usage\"").is_some_and(|kind| kind == USAGE);
    let profile = match usage {
        true => Some(reader.text("profile").unwrap_or_else(|| USAGE.to_owned())),
        false => reader.need("profile", "name the register map, or write `kind = \"usage\"` for imported usage"),
    };
    if usage && profile.as_deref() != Some(USAGE) {
        reader.fault(
            "profile",
            "stands beside `kind = \"usage\"`",
            "leave one of them out: imported usage has no register map",
        );
    }
    let own = [
        "service_point",
        "ct",
        "pt",
        "multiplier",
        "modulus",
        "opening_count",
        "closing_count",
        "previous_closing_count",
        "rating",
        "measures",
        "jitter",
    ];
    let installations = stretches(&reader, "installation", zone, &own, installation);
    let bus_text = |text: &str| crate::registry::host_port(text).map(|_| text.to_owned());
    let bus = reader.word("bus", bus_text, "HOST:PORT, such as \"127.0.0.1:1502\"");
    let unit = reader.integer("unit", 1..248);
    if bus.is_some() != unit.is_some() && reader.has("bus") != reader.has("unit") {
        let key = if reader.has("bus") { "bus" } else { "unit" };
        reader.fault(key, "stands alone", "write both `bus` and `unit`, or neither for a meter that is only imported");
    }
    let poll = reader.exact("poll", words::duration, "\"10s\", \"5m\" or \"1h\", at most a day");
    if poll.is_some() && !reader.has("bus") {
        reader.fault("poll", "stands without `bus`", "write `bus` and `unit`, or leave `poll` out");
    }
    if bus.is_some() && profile.as_deref() == Some(USAGE) {
        reader.fault(
            "bus",
            "stands beside `kind = \"usage\"`",
            "a polled meter needs a profile: leave `kind` out and name it",
        );
    }
    let relay = reader.boolean("relay");
    let parent = reader.text("parent");
    let item = (|| {
        let poll_micros = bus.is_some().then(|| poll.unwrap_or(kernel::time::MINUTE));
        Some(MeterItem {
            at: reader.at(),
            site: site?,
            serial: serial?,
            profile: profile?,
            bus,
            unit,
            poll_micros,
            parent,
            relay,
            installations,
        })
    })();
    reader.finish();
    item
}

fn installation(reader: &Reader<'_>) -> Option<Installation> {
    let point = reader.need("service_point", "name the service point it measures");
    let mut multiplier: Option<Ratio> = None;
    for key in ["ct", "pt", "multiplier"] {
        let Some(ratio) = reader.exact(key, Ratio::parse, "a ratio such as 40 or \"200/5\"") else { continue };
        match multiplier.unwrap_or(Ratio::ONE).times(ratio) {
            Some(product) => multiplier = Some(product),
            None => reader.fault(key, "makes the multiplier too large", "check ct, pt and multiplier"),
        }
    }
    let counts = 0..i64::MAX;
    let modulus = reader.integer("modulus", counts.clone());
    let opening = reader.integer("opening_count", counts.clone());
    let closing = reader.integer("closing_count", counts.clone());
    if closing.is_some() && !reader.has("until") {
        let remedy = "write `until` too; for the installation before this one write `previous_closing_count`";
        reader.fault("closing_count", "stands without `until`", remedy);
    }
    let previous_closing = reader.integer("previous_closing_count", counts);
    if previous_closing.is_some() && !reader.has("from") {
        reader.fault("previous_closing_count", "stands without `from`", "write `from`, the moment of the change");
    }
    let jitter = reader.integer("jitter", 0..JITTER_END);
    let measures = reader.word("measures", Unit::parse, "\"m3\" or \"kWh\"");
    let signed = reader.boolean("signed");
    let (profile, rating) = (reader.text("profile"), reader.text("rating"));
    Some(Installation {
        point: point?,
        profile,
        multiplier,
        modulus,
        opening,
        closing,
        previous_closing,
        jitter,
        measures,
        signed,
        rating,
    })
}
