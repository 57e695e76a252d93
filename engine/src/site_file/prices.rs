//! Reading prices: exact decimals for each band, and for each tier.

use kernel::money::{Price, Quantity};
use kernel::tariff::{Band, MonthDay, TierPeriod, Tiers};
use toml::de::DeValue;

use super::reader::{Reader, exact};
use super::words;

/// Prices by band, in the order of [`Band::ALL`].
pub(super) type Row = [Option<Price>; Band::ALL.len()];

const PRICE: &str = "a price with at most 6 places in quotes, such as \"0.735686\"";

/// `price`, or `prices` by band; `None` where there is neither.
pub(super) fn base_prices(reader: &Reader<'_>) -> Option<Row> {
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

pub(super) fn tiers(reader: Reader<'_>, base: Option<Row>) -> (Option<Tiers>, Option<Vec<Row>>) {
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
        (Some(true), reset) => Some(TierPeriod::Annual(reset.unwrap_or(MonthDay { month: 1, day: 1 }))),
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
