//! What components charge by demand, capacity, other services' volumes and power factor, as plain tables: the audit recomputes
//! charges from them.

use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, Int8Array, Int16Array, Int32Array, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use kernel::component::demand::{Method, Window};
use kernel::component::{Charge, DemandPrices};
use kernel::money::Price;
use kernel::tariff::Band;

use super::QueryError;
use super::tariffs::{long, number, versions};

fn exact(name: &str) -> Field {
    Field::new(name, DataType::Decimal128(38, 6), false)
}

fn decimals(values: impl Iterator<Item = i128>, table: &'static str) -> Result<ArrayRef, QueryError> {
    let column = Decimal128Array::from_iter_values(values);
    Ok(Arc::new(column.with_precision_and_scale(38, 6).map_err(QueryError::arrow(table))?))
}

pub(super) fn demands_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        number("tariff_version_id"),
        Field::new("component", DataType::Utf8, false),
        Field::new("part", DataType::Utf8, false),
        long("minutes", true),
        Field::new("method", DataType::Utf8, true),
        Field::new("band", DataType::Int8, true),
        exact("price"),
        exact("tolerance"),
    ]))
}

/// One row for each price of kW: version, component, part (`demand`, `capacity`, or `excess` of a capacity), over how many
/// minutes demand is averaged and how (`block`, `sliding`; both null for a capacity), the band where it has one, currency per kW
/// and month, and the tolerance of an excess.
pub(super) fn demands(base: &RecordBatch) -> Result<RecordBatch, QueryError> {
    struct Row {
        version: i32,
        component: String,
        part: &'static str,
        window: Option<Window>,
        band: Option<Band>,
        price: Price,
        tolerance: i64,
    }
    let mut rows: Vec<Row> = Vec::new();
    for (version, definition) in versions(base)? {
        for component in definition.components {
            let mut push = |part, window, band, price, tolerance| {
                let component = component.name.clone();
                rows.push(Row { version, component, part, window, band, price, tolerance });
            };
            match component.charge {
                Charge::Demand { window, prices: DemandPrices::Whole(price) } => {
                    push("demand", Some(window), None, price, 0);
                }
                Charge::Demand { window, prices: DemandPrices::ByBand(prices) } => {
                    for (band, price) in Band::ALL.into_iter().zip(prices) {
                        if let Some(price) = price {
                            push("demand", Some(window), Some(band), price, 0);
                        }
                    }
                }
                Charge::Capacity { price, excess } => {
                    push("capacity", None, None, price, 0);
                    if let Some(excess) = excess {
                        push("excess", Some(excess.window), None, excess.price, excess.tolerance.0);
                    }
                }
                _ => {}
            }
        }
    }
    let method = |window: Window| if window.method == Method::Block { "block" } else { "sliding" };
    let code = |band: Band| i8::try_from(band as usize).unwrap_or(i8::MAX);
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| Some(row.version)).collect::<Int32Array>()),
        Arc::new(rows.iter().map(|row| Some(row.component.as_str())).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| Some(row.part)).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| row.window.map(|window| i64::from(window.minutes))).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| row.window.map(method)).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| row.band.map(code)).collect::<Int8Array>()),
        decimals(rows.iter().map(|row| i128::from(row.price.0)), "component_demands")?,
        decimals(rows.iter().map(|row| i128::from(row.tolerance)), "component_demands")?,
    ];
    RecordBatch::try_new(demands_schema(), arrays).map_err(QueryError::arrow("component_demands"))
}

pub(super) fn tiers_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        number("tariff_version_id"),
        Field::new("component", DataType::Utf8, false),
        Field::new("source", DataType::Utf8, false),
        long("share", false),
        long("cap", true),
        Field::new("tier", DataType::Int16, false),
        long("lower", true),
        long("upper", true),
        exact("price"),
    ]))
}

/// One row for each price of another service's volume: version, component, the name of the source, the share that counts in
/// 1e-6, the cap of a month, tier from 1 (0 where there is one price), its bounds (null below the first and above the last) and
/// currency per unit. Quantities in 1/1000 units.
pub(super) fn tiers(base: &RecordBatch) -> Result<RecordBatch, QueryError> {
    struct Row {
        version: i32,
        component: String,
        source: String,
        share: i64,
        cap: Option<i64>,
        tier: i16,
        edges: [Option<i64>; 2],
        price: Price,
    }
    let mut rows: Vec<Row> = Vec::new();
    for (version, definition) in versions(base)? {
        for component in definition.components {
            let Charge::Derived(derived) = component.charge else { continue };
            let bounds = derived.bounds.iter().map(|bound| Some(bound.0));
            let edges: Vec<Option<i64>> = std::iter::once(None).chain(bounds).chain([None]).collect();
            for ((tier, pair), price) in (1_i16..).zip(edges.windows(2)).zip(&derived.prices) {
                rows.push(Row {
                    version,
                    component: component.name.clone(),
                    source: derived.source.clone(),
                    share: derived.share.0,
                    cap: derived.cap.map(|cap| cap.0),
                    tier: if derived.bounds.is_empty() { 0 } else { tier },
                    edges: [pair[0], pair[1]],
                    price: *price,
                });
            }
        }
    }
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| Some(row.version)).collect::<Int32Array>()),
        Arc::new(rows.iter().map(|row| Some(row.component.as_str())).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| Some(row.source.as_str())).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| Some(row.share)).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| row.cap).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| Some(row.tier)).collect::<Int16Array>()),
        Arc::new(rows.iter().map(|row| row.edges[0]).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| row.edges[1]).collect::<Int64Array>()),
        decimals(rows.iter().map(|row| i128::from(row.price.0)), "derived_tiers")?,
    ];
    RecordBatch::try_new(tiers_schema(), arrays).map_err(QueryError::arrow("derived_tiers"))
}

pub(super) fn factors_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        number("tariff_version_id"),
        Field::new("component", DataType::Utf8, false),
        long("step", false),
        long("at_least", false),
        exact("rate"),
    ]))
}

/// One row for each percentage by power factor: version, component, to which multiple a factor is rounded and from which on the
/// percentage holds (both in 1/1000), and the rate.
pub(super) fn factors(base: &RecordBatch) -> Result<RecordBatch, QueryError> {
    let mut rows: Vec<(i32, String, i64, i64, i128)> = Vec::new();
    for (version, definition) in versions(base)? {
        for component in definition.components {
            let Charge::PowerFactor(table) = component.charge else { continue };
            rows.extend(table.steps.iter().map(|step| {
                let (of, at_least) = (i64::from(table.step_milli), i64::from(step.at_least_milli));
                (version, component.name.clone(), of, at_least, i128::from(step.rate.0))
            }));
        }
    }
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| Some(row.0)).collect::<Int32Array>()),
        Arc::new(rows.iter().map(|row| Some(row.1.as_str())).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| Some(row.2)).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| Some(row.3)).collect::<Int64Array>()),
        decimals(rows.iter().map(|row| row.4), "factor_steps")?,
    ];
    RecordBatch::try_new(factors_schema(), arrays).map_err(QueryError::arrow("factor_steps"))
}
