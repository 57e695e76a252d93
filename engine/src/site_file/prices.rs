//! Reading prices: exact decimals for each band, and for each tier.

use kernel::money::{Price, Quantity};
use kernel::tariff::{Band, MonthDay, PersonRule, PriceRow, TierPeriod, TierSeason, Tiers};
use toml::de::DeValue;

use super::reader::{Reader, exact};
use super::words;

/// Prices by band, in the order of [`Band::ALL`].
pub(super) type Row = PriceRow;

pub(super) const PRICE: &str = "a price with at most 6 places in quotes, such as \"0.735686\"";

/// `price`, or `prices` by band; `None` where there is neither.
pub(super) fn base_prices(reader: &Reader<'_>) -> Option<Row> {
    let single = reader.exact("price", Price::parse, PRICE);
    let by_band = reader.table("prices").map(|inner| {
        let row = band_prices(&inner);
        inner.finish();
        row
    });
    // What a series gives is the price, unless something is added to it.
    let is_dynamic = reader.has("dynamic");
    let with_series = |mut row: Row| {
        let own = &mut row[Band::Dynamic as usize];
        *own = own.or(is_dynamic.then_some(Price(0)));
        row
    };
    match (single, by_band) {
        (Some(_), Some(_)) => {
            reader.fault("price", "stands beside `prices`", "write one of them");
            None
        }
        (Some(price), None) => Some(with_series(single_price(price))),
        (None, Some(row)) => Some(with_series(row)),
        // Tiers may have prices of their own.
        (None, None) => (is_dynamic && !reader.has("tiers")).then(|| with_series(Row::default())),
    }
}

fn single_price(price: Price) -> Row {
    let mut row: Row = [None; Band::ALL.len()];
    row[Band::Single as usize] = Some(price);
    row
}

pub(super) fn band_prices(reader: &Reader<'_>) -> Row {
    let mut row: Row = [None; Band::ALL.len()];
    for band in Band::OF_TARIFFS {
        row[band as usize] = reader.exact(band.name(), Price::parse, PRICE);
    }
    row
}

pub(super) fn tiers(reader: Reader<'_>, base: Option<Row>) -> (Option<Tiers>, Option<Vec<Row>>) {
    let period = tier_period(&reader);
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
    let seasons = reader.tables("seasons").into_iter().filter_map(tier_season).collect();
    let persons = reader.table("persons").and_then(person_rule);
    let by_household = reader.boolean("households").unwrap_or(false);
    let allowance = reader.exact("allowance", Quantity::parse, "a quantity such as \"15\"").unwrap_or_default();
    reader.finish();
    let tiers = period.map(|period| Tiers { period, bounds, seasons, persons, by_household, allowance });
    (tiers, rows.filter(|_| count == tier_count))
}

const PERIODS: &str = "\"monthly\", \"annual\" or \"cycle\"";

enum Period {
    Monthly,
    Annual,
    Cycle,
}

/// `period`, with the day of the year or of the month on which it begins.
fn tier_period(reader: &Reader<'_>) -> Option<TierPeriod> {
    let word = |text: &str| match text {
        "monthly" => Some(Period::Monthly),
        "annual" => Some(Period::Annual),
        "cycle" => Some(Period::Cycle),
        _ => None,
    };
    let period = reader.word("period", word, PERIODS);
    if !reader.has("period") {
        reader.fault("period", "is missing", format!("write {PERIODS}"));
    }
    let reset = reader.word("reset", words::month_day, "a day of the year such as \"01-01\"");
    let day = reader.integer("day", 1..29).and_then(|day| u8::try_from(day).ok());
    let strange = |key, what, remedy| {
        if reader.has(key) {
            reader.fault(key, what, remedy);
        }
        !reader.has(key)
    };
    match period? {
        Period::Monthly => {
            let remedy = "leave it out: they begin on the first of each month; \"cycle\" begins on another `day`";
            let sound = strange("reset", "stands beside monthly tiers", remedy);
            (strange("day", "stands beside monthly tiers", remedy) && sound).then_some(TierPeriod::Monthly)
        }
        Period::Annual => {
            let remedy = "write `reset`, a day of the year such as \"07-01\"";
            let sound = strange("day", "stands beside annual tiers", remedy);
            sound.then(|| TierPeriod::Annual(reset.unwrap_or(MonthDay { month: 1, day: 1 })))
        }
        Period::Cycle => {
            let sound =
                strange("reset", "stands beside a billing cycle", "write `day`, a day of the month from 1 to 28");
            if !reader.has("day") {
                reader.fault("day", "is missing", "write the day of the month on which the cycle begins, from 1 to 28");
            }
            // The cycle that begins on the first is the month.
            let period = |day| if day == 1 { TierPeriod::Monthly } else { TierPeriod::Cycle(day) };
            day.filter(|_| sound).map(period)
        }
    }
}

/// Other bounds on some dates of the year.
fn tier_season(reader: Reader<'_>) -> Option<TierSeason> {
    let example = "a day of the year such as \"05-01\"";
    for key in ["from", "to", "bounds"] {
        if !reader.has(key) {
            reader.fault(
                key,
                "is missing",
                "write `{ from = \"05-01\", to = \"10-31\", bounds = [\"260\", \"600\"] }`",
            );
        }
    }
    let (from, to) = (reader.word("from", words::month_day, example), reader.word("to", words::month_day, example));
    let bounds = exact_list(&reader, "bounds", Quantity::parse, "a quantity such as \"260\"");
    reader.finish();
    Some(TierSeason { from: from?, to: to?, bounds })
}

/// `{ from = 5, adder = "100" }`: once, from five persons on; `{ above = 4, adder = "30" }`: for each above four.
fn person_rule(reader: Reader<'_>) -> Option<PersonRule> {
    let count = |key| reader.integer(key, 1..100).and_then(|count| u16::try_from(count).ok());
    let (from, above) = (count("from"), count("above"));
    let adder = reader.exact("adder", Quantity::parse, "a quantity such as \"100\"");
    let keys = ["from", "above"].iter().filter(|key| reader.has(key)).count();
    if keys != 1 || !reader.has("adder") {
        let remedy =
            "write `{ from = 5, adder = \"100\" }`, or `{ above = 4, adder = \"30\" }` for each person above four";
        reader.fault("", "needs `adder` and one of `from` and `above`", remedy);
    }
    reader.finish();
    match (from, above) {
        (Some(persons), None) => Some(PersonRule::From { persons, adder: adder? }),
        (None, Some(persons)) => Some(PersonRule::EachAbove { persons, adder: adder? }),
        _ => None,
    }
}

fn add(row: Row, surcharge: Price) -> Row {
    row.map(|price| price.map(|price| Price(price.0.saturating_add(surcharge.0))))
}

pub(super) fn exact_list<T>(
    reader: &Reader<'_>,
    key: &'static str,
    parse: fn(&str) -> Option<T>,
    example: &str,
) -> Vec<T> {
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
