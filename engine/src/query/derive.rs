//! Tables that open up the JSON and the states of the book, so that plain SQL can read them.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Decimal128Array, Int8Array, Int16Array, Int32Array,
    Int64Array, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use kernel::epoch::Epoch;
use kernel::money::Price;
use kernel::point::PointState;
use kernel::tariff::{Band, MINUTES, MonthDay, TariffVersion};
use serde::de::DeserializeOwned;

use super::columns::{self, Kind};
use super::{QueryError, parts, tariffs};
use crate::lake::schema::timestamp;

/// A table made from one table of the book.
pub(crate) struct Derived {
    /// Its name.
    pub(crate) name: &'static str,
    /// The book's table that it reads.
    pub(crate) base: &'static str,
    /// Makes it.
    pub(crate) derive: fn(&RecordBatch) -> Result<RecordBatch, QueryError>,
    /// Its columns.
    pub(crate) schema: fn() -> SchemaRef,
}

/// The derived table of that name.
pub(crate) fn table(name: &str) -> Option<&'static Derived> {
    TABLES.iter().find(|table| table.name == name)
}

/// All derived tables. `epochs` takes the place of the book's own.
pub(crate) static TABLES: [Derived; 13] = [
    Derived { name: "epochs", base: "epochs", derive: epochs, schema: epochs_schema },
    Derived { name: "tariff_prices", base: "tariff_versions", derive: tariff_prices, schema: prices_schema },
    Derived { name: "tariff_switches", base: "tariff_versions", derive: tariff_switches, schema: switches_schema },
    Derived { name: "tariff_tiers", base: "tariff_versions", derive: tariffs::tiers, schema: tariffs::tiers_schema },
    Derived { name: "tier_bounds", base: "tariff_versions", derive: tariffs::bounds, schema: tariffs::bounds_schema },
    Derived { name: "price_steps", base: "tariff_versions", derive: tariffs::steps, schema: tariffs::steps_schema },
    Derived {
        name: "tariff_components",
        base: "tariff_versions",
        derive: tariffs::components,
        schema: tariffs::components_schema,
    },
    Derived { name: "component_bases", base: "tariff_versions", derive: tariffs::bases, schema: tariffs::bases_schema },
    Derived {
        name: "component_demands",
        base: "tariff_versions",
        derive: parts::demands,
        schema: parts::demands_schema,
    },
    Derived { name: "derived_tiers", base: "tariff_versions", derive: parts::tiers, schema: parts::tiers_schema },
    Derived { name: "factor_steps", base: "tariff_versions", derive: parts::factors, schema: parts::factors_schema },
    Derived { name: "named_dates", base: "calendars", derive: tariffs::named_dates, schema: tariffs::named_schema },
    Derived { name: "measured_until", base: "service_point_states", derive: measured_until, schema: measured_schema },
];

const EPOCH_COLUMNS: [&str; 7] =
    ["numerator", "denominator", "modulus", "opening_count", "closing_count", "jitter_counts", "max_rate"];

fn epochs_schema() -> SchemaRef {
    let kept = columns::table("epochs").map(columns::BookTable::schema);
    let mut fields: Vec<_> = kept.iter().flat_map(|schema| schema.fields().iter().cloned()).collect();
    fields.retain(|field| field.name() != "definition");
    fields.extend(EPOCH_COLUMNS.map(|name| Arc::new(Field::new(name, DataType::Int64, true))));
    fields.extend(["signed", "converts"].map(|name| Arc::new(Field::new(name, DataType::Boolean, false))));
    Arc::new(Schema::new(fields))
}

/// The installations with multiplier, modulus and counts in real columns.
fn epochs(base: &RecordBatch) -> Result<RecordBatch, QueryError> {
    let definitions: Vec<Epoch> = definitions(base, "epochs")?;
    let column = |read: fn(&Epoch) -> Option<i64>| -> ArrayRef {
        Arc::new(definitions.iter().map(read).collect::<Int64Array>())
    };
    let mut arrays: Vec<ArrayRef> = base
        .schema()
        .fields()
        .iter()
        .zip(base.columns())
        .filter(|(field, _)| field.name() != "definition")
        .map(|(_, array)| Arc::clone(array))
        .collect();
    arrays.extend([
        column(|epoch| Some(epoch.numerator)),
        column(|epoch| Some(epoch.denominator)),
        column(|epoch| epoch.modulus),
        column(|epoch| epoch.opening_count),
        column(|epoch| epoch.closing_count),
        column(|epoch| Some(epoch.jitter_counts)),
        column(|epoch| Some(epoch.max_rate)),
        Arc::new(definitions.iter().map(|epoch| Some(epoch.signed)).collect::<BooleanArray>()),
        Arc::new(definitions.iter().map(|epoch| Some(epoch.converts)).collect::<BooleanArray>()),
    ]);
    RecordBatch::try_new(epochs_schema(), arrays).map_err(QueryError::arrow("epochs"))
}

fn prices_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("tariff_version_id", DataType::Int32, false),
        Field::new("tier", DataType::Int16, false),
        Field::new("band", DataType::Int8, false),
        Field::new("price", DataType::Decimal128(38, 6), false),
    ]))
}

/// One row for each price: version, tier, band, currency per unit. Tier 0, an allowance, costs nothing in any band; the price
/// of the band `dynamic` is what is added to that of the step (`price_steps`), and `unpriced` costs nothing.
fn tariff_prices(base: &RecordBatch) -> Result<RecordBatch, QueryError> {
    let versions: Vec<TariffVersion> = definitions(base, "tariff_versions")?;
    let ids = base.column(0).as_primitive::<Int32Type>();
    let mut rows: Vec<(i32, i16, i8, i128)> = Vec::new();
    for (version, id) in versions.iter().zip(ids.values()) {
        let allowance = version.tiers.as_ref().is_some_and(|tiers| tiers.allowance.0 > 0);
        let free = allowance.then_some((0, [Some(Price(0)); Band::ALL.len()]));
        let rows_of_tiers = (1_i16..).zip(version.prices.iter().copied()).map(|(tier, mut bands)| {
            bands[Band::Unpriced as usize] = version.dynamic.as_ref().map(|_| Price(0));
            (tier, bands)
        });
        for (tier, bands) in free.into_iter().chain(rows_of_tiers) {
            for (band, price) in (0_i8..).zip(bands) {
                rows.extend(price.map(|price| (*id, tier, band, i128::from(price.0))));
            }
        }
    }
    let prices: Decimal128Array = rows.iter().map(|row| Some(row.3)).collect();
    let prices = prices.with_precision_and_scale(38, 6).map_err(QueryError::arrow("tariff_prices"))?;
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| Some(row.0)).collect::<Int32Array>()),
        Arc::new(rows.iter().map(|row| Some(row.1)).collect::<Int16Array>()),
        Arc::new(rows.iter().map(|row| Some(row.2)).collect::<Int8Array>()),
        Arc::new(prices),
    ];
    RecordBatch::try_new(prices_schema(), arrays).map_err(QueryError::arrow("tariff_prices"))
}

fn switches_schema() -> SchemaRef {
    let number = |name: &str| Field::new(name, DataType::Int32, false);
    Arc::new(Schema::new(vec![
        number("tariff_version_id"),
        number("rule"),
        number("from_month_day"),
        number("to_month_day"),
        Field::new("day_type", DataType::Utf8, false),
        number("minute"),
        number("next_minute"),
        Field::new("band", DataType::Int8, false),
    ]))
}

/// One row for each stretch of a day plan: version, rule (the first that holds decides), season as month x 100 + day,
/// day type or name of dates (`named_dates`), minutes of the wall clock, band.
fn tariff_switches(base: &RecordBatch) -> Result<RecordBatch, QueryError> {
    let versions: Vec<TariffVersion> = definitions(base, "tariff_versions")?;
    let ids = base.column(0).as_primitive::<Int32Type>();
    let month_day = |on: MonthDay| i32::from(on.month) * 100 + i32::from(on.day);
    let mut numbers: [Vec<i32>; 6] = Default::default();
    let (mut day_types, mut bands) = (Vec::new(), Vec::new());
    for (version, id) in versions.iter().zip(ids.values()) {
        for (index, rule) in (0_i32..).zip(&version.rules) {
            let switches = rule.plan.switches();
            for (place, switch) in switches.iter().enumerate() {
                let next = switches.get(place + 1).map_or(MINUTES, |next| next.minute);
                let kinds = rule.day_types.iter().map(|day_type| day_type.name());
                for kind in kinds.chain(rule.named.iter().map(String::as_str)) {
                    let row = [*id, index, month_day(rule.from), month_day(rule.to), switch.minute.into(), next.into()];
                    numbers.iter_mut().zip(row).for_each(|(column, value)| column.push(value));
                    day_types.push(kind);
                    bands.push(i8::try_from(switch.band as usize).unwrap_or(i8::MAX));
                }
            }
        }
    }
    let [ids, rules, from, to, minute, next] = numbers.map(|column| -> ArrayRef { Arc::new(Int32Array::from(column)) });
    let day_types: ArrayRef = Arc::new(StringArray::from(day_types));
    let bands: ArrayRef = Arc::new(Int8Array::from(bands));
    let arrays = vec![ids, rules, from, to, day_types, minute, next, bands];
    RecordBatch::try_new(switches_schema(), arrays).map_err(QueryError::arrow("tariff_switches"))
}

fn measured_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("service_point_id", Kind::Id.data_type(), true),
        Field::new("measured_until", timestamp(), true),
        Field::new("in_doubt", DataType::Boolean, false),
    ]))
}

/// Up to when each service point is measured, and whether a suspended reading or an exception is open.
fn measured_until(base: &RecordBatch) -> Result<RecordBatch, QueryError> {
    let stored: &BinaryArray = base.column(2).as_binary();
    let mut until = Vec::new();
    let mut in_doubt = Vec::new();
    for (row, bytes) in stored.iter().enumerate() {
        let state = PointState::decode(bytes.unwrap_or_default()).map_err(|fault| QueryError::BookValue {
            table: "service_point_states".to_owned(),
            column: "state".to_owned(),
            row,
            found: format!("{fault:?}"),
            expected: "the state of a service point",
        })?;
        until.push(state.measured_until().map(|moment| moment.0));
        in_doubt.push(state.in_doubt());
    }
    let arrays: Vec<ArrayRef> = vec![
        Arc::clone(base.column(0)),
        Arc::new(TimestampMicrosecondArray::from(until).with_timezone("UTC")),
        Arc::new(BooleanArray::from(in_doubt)),
    ];
    RecordBatch::try_new(measured_schema(), arrays).map_err(QueryError::arrow("measured_until"))
}

pub(super) fn definitions<T: DeserializeOwned>(base: &RecordBatch, table: &str) -> Result<Vec<T>, QueryError> {
    let index = base.schema().index_of("definition").map_err(QueryError::arrow(table))?;
    let texts: &StringArray = base.column(index).as_string();
    let parse = |(row, text): (usize, Option<&str>)| {
        serde_json::from_str(text.unwrap_or_default()).map_err(|error| QueryError::BookValue {
            table: table.to_owned(),
            column: "definition".to_owned(),
            row,
            found: error.to_string(),
            expected: "the JSON of its kernel type",
        })
    };
    (0..texts.len()).map(|row| parse((row, texts.is_valid(row).then(|| texts.value(row))))).collect()
}
