//! What tiers, price series and calendars hold, as plain tables: the audit recomputes charges from them.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, Int16Array, Int32Array, Int64Array, StringArray,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use kernel::calendar::Calendar;
use kernel::component::{Charge, DemandPrices, Taxation};
use kernel::money::Quantity;
use kernel::tariff::{MonthDay, PersonRule, TariffVersion, TierPeriod, Tiers};

use super::QueryError;
use super::derive::definitions;

const FIRST: MonthDay = MonthDay { month: 1, day: 1 };
const LAST: MonthDay = MonthDay { month: 12, day: 31 };

fn month_day(on: MonthDay) -> i32 {
    i32::from(on.month) * 100 + i32::from(on.day)
}

pub(super) fn number(name: &str) -> Field {
    Field::new(name, DataType::Int32, false)
}

pub(super) fn long(name: &str, nullable: bool) -> Field {
    Field::new(name, DataType::Int64, nullable)
}

/// The versions of a batch with their identifiers.
pub(super) fn versions(base: &RecordBatch) -> Result<Vec<(i32, TariffVersion)>, QueryError> {
    let versions: Vec<TariffVersion> = definitions(base, "tariff_versions")?;
    let ids = base.column(0).as_primitive::<Int32Type>();
    Ok(ids.values().iter().copied().zip(versions).collect())
}

fn tiered(base: &RecordBatch) -> Result<Vec<(i32, Tiers)>, QueryError> {
    let tiered = versions(base)?.into_iter().filter_map(|(id, version)| Some((id, version.tiers?)));
    Ok(tiered.collect())
}

pub(super) fn tiers_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        number("tariff_version_id"),
        Field::new("period", DataType::Utf8, false),
        number("begins"),
        Field::new("person_rule", DataType::Utf8, true),
        number("persons"),
        long("adder", false),
        Field::new("by_household", DataType::Boolean, false),
        long("allowance", false),
    ]))
}

/// One row for each version with tiers: period (`monthly`, `annual`, `cycle`) and when it begins (month x 100 + day, or
/// the day of the month); the rule for persons (`from`, `above` or null), its persons and what it adds; whether bounds
/// and allowance hold for each household; the allowance. Quantities in 1/1000 units.
pub(super) fn tiers(base: &RecordBatch) -> Result<RecordBatch, QueryError> {
    let rows = tiered(base)?;
    let period = |tiers: &Tiers| match tiers.period {
        TierPeriod::Monthly => ("monthly", 1),
        TierPeriod::Annual(reset) => ("annual", month_day(reset)),
        TierPeriod::Cycle(day) => ("cycle", i32::from(day)),
    };
    let persons = |tiers: &Tiers| match tiers.persons {
        None => (None, 0, 0),
        Some(PersonRule::From { persons, adder }) => (Some("from"), i32::from(persons), adder.0),
        Some(PersonRule::EachAbove { persons, adder }) => (Some("above"), i32::from(persons), adder.0),
    };
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|(id, _)| Some(*id)).collect::<Int32Array>()),
        Arc::new(rows.iter().map(|(_, tiers)| Some(period(tiers).0)).collect::<StringArray>()),
        Arc::new(rows.iter().map(|(_, tiers)| Some(period(tiers).1)).collect::<Int32Array>()),
        Arc::new(rows.iter().map(|(_, tiers)| persons(tiers).0).collect::<StringArray>()),
        Arc::new(rows.iter().map(|(_, tiers)| Some(persons(tiers).1)).collect::<Int32Array>()),
        Arc::new(rows.iter().map(|(_, tiers)| Some(persons(tiers).2)).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|(_, tiers)| Some(tiers.by_household)).collect::<BooleanArray>()),
        Arc::new(rows.iter().map(|(_, tiers)| Some(tiers.allowance.0)).collect::<Int64Array>()),
    ];
    RecordBatch::try_new(tiers_schema(), arrays).map_err(QueryError::arrow("tariff_tiers"))
}

pub(super) fn bounds_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        number("tariff_version_id"),
        number("season"),
        number("from_month_day"),
        number("to_month_day"),
        Field::new("tier", DataType::Int16, false),
        long("lower", true),
        long("upper", true),
    ]))
}

/// One row for each tier of each season: version, season (from 1, the first that holds a date decides; 0 where none
/// does), its dates as month x 100 + day, tier from 1, bounds in 1/1000 units before household and allowance; null below
/// the first and above the last.
pub(super) fn bounds(base: &RecordBatch) -> Result<RecordBatch, QueryError> {
    type Row = (i32, i32, i32, i32, i16, Option<i64>, Option<i64>);
    let mut rows: Vec<Row> = Vec::new();
    for (id, tiers) in tiered(base)? {
        let year = (FIRST, LAST, &tiers.bounds);
        let seasons = tiers.seasons.iter().map(|season| (season.from, season.to, &season.bounds));
        for (season, (from, to, bounds)) in (0_i32..).zip(std::iter::once(year).chain(seasons)) {
            let bounds = bounds.iter().map(|Quantity(bound)| Some(*bound));
            let edges: Vec<Option<i64>> = std::iter::once(None).chain(bounds).chain([None]).collect();
            for (tier, pair) in (1_i16..).zip(edges.windows(2)) {
                rows.push((id, season, month_day(from), month_day(to), tier, pair[0], pair[1]));
            }
        }
    }
    let column = |read: fn(&Row) -> i32| -> ArrayRef {
        Arc::new(rows.iter().map(|row| Some(read(row))).collect::<Int32Array>())
    };
    let arrays: Vec<ArrayRef> = vec![
        column(|row| row.0),
        column(|row| row.1),
        column(|row| row.2),
        column(|row| row.3),
        Arc::new(rows.iter().map(|row| Some(row.4)).collect::<Int16Array>()),
        Arc::new(rows.iter().map(|row| row.5).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| row.6).collect::<Int64Array>()),
    ];
    RecordBatch::try_new(bounds_schema(), arrays).map_err(QueryError::arrow("tier_bounds"))
}

pub(super) fn steps_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        number("tariff_version_id"),
        long("step_from", false),
        long("step_to", true),
        Field::new("price", DataType::Decimal128(38, 6), true),
    ]))
}

/// One row for each step of each price series: version, from and to (exclusive) in microseconds UTC, currency per unit; and
/// one more from the end of the series on, without end and price.
pub(super) fn steps(base: &RecordBatch) -> Result<RecordBatch, QueryError> {
    let mut rows: Vec<(i32, i64, Option<i64>, Option<i128>)> = Vec::new();
    for (id, version) in versions(base)? {
        let Some(series) = version.dynamic else { continue };
        rows.extend(series.steps().map(|step| (id, step.from.0, Some(step.to.0), Some(i128::from(step.price.0)))));
        rows.push((id, series.end().0, None, None));
    }
    let prices: Decimal128Array = rows.iter().map(|row| row.3).collect();
    let prices = prices.with_precision_and_scale(38, 6).map_err(QueryError::arrow("price_steps"))?;
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| Some(row.0)).collect::<Int32Array>()),
        Arc::new(rows.iter().map(|row| Some(row.1)).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| row.2).collect::<Int64Array>()),
        Arc::new(prices),
    ];
    RecordBatch::try_new(steps_schema(), arrays).map_err(QueryError::arrow("price_steps"))
}

pub(super) fn components_schema() -> SchemaRef {
    let exact = |name: &str| Field::new(name, DataType::Decimal128(38, 6), true);
    Arc::new(Schema::new(vec![
        number("tariff_version_id"),
        number("place"),
        Field::new("component", DataType::Utf8, false),
        Field::new("kind", DataType::Utf8, false),
        exact("price"),
        exact("rate"),
    ]))
}

/// One row for each component of each version: its place from 1, name and kind (`daily`, `monthly`, `minimum`, `demand`,
/// `capacity`, `power_factor`, `derived`, `surcharge`, `tax`, `tax_within`), its price where it has one, and its rate.
pub(super) fn components(base: &RecordBatch) -> Result<RecordBatch, QueryError> {
    type Row = (i32, i32, String, &'static str, Option<i128>, Option<i128>);
    let mut rows: Vec<Row> = Vec::new();
    for (id, version) in versions(base)? {
        for (place, component) in (1_i32..).zip(version.components) {
            let (kind, price, rate) = match component.charge {
                Charge::Daily(price) => ("daily", Some(price), None),
                Charge::Monthly(price) => ("monthly", Some(price), None),
                Charge::Minimum { price, .. } => ("minimum", Some(price), None),
                Charge::Demand { prices: DemandPrices::Whole(price), .. } => ("demand", Some(price), None),
                Charge::Demand { .. } => ("demand", None, None),
                Charge::Capacity { price, .. } => ("capacity", Some(price), None),
                Charge::PowerFactor(_) => ("power_factor", None, None),
                Charge::Derived(_) => ("derived", None, None),
                Charge::Surcharge { rate, .. } => ("surcharge", None, Some(rate)),
                Charge::Tax { rate, taxation: Taxation::Exclusive, .. } => ("tax", None, Some(rate)),
                Charge::Tax { rate, taxation: Taxation::Inclusive, .. } => ("tax_within", None, Some(rate)),
            };
            let (price, rate) = (price.map(|price| i128::from(price.0)), rate.map(|rate| i128::from(rate.0)));
            rows.push((id, place, component.name, kind, price, rate));
        }
    }
    let exact = |read: fn(&Row) -> Option<i128>| -> Result<ArrayRef, QueryError> {
        let column: Decimal128Array = rows.iter().map(read).collect();
        let column = column.with_precision_and_scale(38, 6).map_err(QueryError::arrow("tariff_components"))?;
        Ok(Arc::new(column))
    };
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| Some(row.0)).collect::<Int32Array>()),
        Arc::new(rows.iter().map(|row| Some(row.1)).collect::<Int32Array>()),
        Arc::new(rows.iter().map(|row| Some(row.2.as_str())).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| Some(row.3)).collect::<StringArray>()),
        exact(|row| row.4)?,
        exact(|row| row.5)?,
    ];
    RecordBatch::try_new(components_schema(), arrays).map_err(QueryError::arrow("tariff_components"))
}

pub(super) fn bases_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        number("tariff_version_id"),
        Field::new("component", DataType::Utf8, false),
        Field::new("base", DataType::Utf8, false),
    ]))
}

/// One row for each name in the base of each component: `energy`, or a component before it.
pub(super) fn bases(base: &RecordBatch) -> Result<RecordBatch, QueryError> {
    let mut rows: Vec<(i32, String, String)> = Vec::new();
    for (id, version) in versions(base)? {
        for component in version.components {
            let bases = component.charge.bases().unwrap_or_default().iter();
            rows.extend(bases.map(|base| (id, component.name.clone(), base.clone())));
        }
    }
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| Some(row.0)).collect::<Int32Array>()),
        Arc::new(rows.iter().map(|row| Some(row.1.as_str())).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| Some(row.2.as_str())).collect::<StringArray>()),
    ];
    RecordBatch::try_new(bases_schema(), arrays).map_err(QueryError::arrow("component_bases"))
}

pub(super) fn named_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        number("calendar_id"),
        Field::new("name", DataType::Utf8, false),
        Field::new("local_date", DataType::Date32, false),
    ]))
}

/// One row for each name of each date in a calendar.
pub(super) fn named_dates(base: &RecordBatch) -> Result<RecordBatch, QueryError> {
    let calendars: Vec<Calendar> = definitions(base, "calendars")?;
    let ids = base.column(0).as_primitive::<Int32Type>();
    let mut rows: Vec<(i32, &str, i32)> = Vec::new();
    for (calendar, id) in calendars.iter().zip(ids.values()) {
        for (name, dates) in &calendar.named {
            rows.extend(dates.iter().map(|date| (*id, name.as_str(), date.0)));
        }
    }
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| Some(row.0)).collect::<Int32Array>()),
        Arc::new(rows.iter().map(|row| Some(row.1)).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| Some(row.2)).collect::<Date32Array>()),
    ];
    RecordBatch::try_new(named_schema(), arrays).map_err(QueryError::arrow("named_dates"))
}
