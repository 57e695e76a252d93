//! `readings`: what a meter said, what billing made of it, and what a person says instead.

use engine::billing::correct::CorrectReading;
use engine::registry::{Meter, Registry};
use kernel::money::Quantity;
use kernel::reading::Value;
use kernel::time::Moment;

use super::sql::sql;
use crate::call::{CorrectedValue, Events, Failure, Tabular, failed, say};
use crate::node::Node;

/// Columns that both lists show.
const COLUMNS: &str = "time, kind, register_count, quantity, interval_start, verdict, received_at, seq";

pub(super) fn meter<'a>(registry: &'a Registry, serial: &str) -> Result<&'a Meter, Failure> {
    let found = registry.meter_by_serial(serial);
    found.ok_or_else(|| {
        Failure(format!("there is no meter {serial:?}; `meterledger sql \"select meter from meters\"` lists them"))
    })
}

pub(super) fn moment(registry: &Registry, meter: &Meter, text: &str) -> Result<Moment, Failure> {
    let zone = registry.site(meter.site).map_or("UTC", |site| site.zone.as_str());
    engine::site_file::instant(text, zone).map_err(Failure)
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

pub(crate) async fn list(
    node: &Node,
    serial: &str,
    from: Option<&str>,
    to: Option<&str>,
    format: Tabular,
    events: &Events,
) -> Result<(), Failure> {
    let registry = node.engine.registry();
    let meter = meter(&registry, serial)?;
    let mut statement = format!("SELECT {COLUMNS} FROM readings WHERE meter = {}", quoted(&meter.serial));
    for (text, sign) in [(from, ">="), (to, "<=")] {
        if let Some(text) = text {
            statement += &format!(" AND time {sign} TIMESTAMP '{}'", moment(&registry, meter, text)?);
        }
    }
    sql(node, &(statement + " ORDER BY time, seq"), format, events).await
}

pub(crate) async fn show(node: &Node, serial: &str, at: &str, format: Tabular, events: &Events) -> Result<(), Failure> {
    let registry = node.engine.registry();
    let meter = meter(&registry, serial)?;
    let at = moment(&registry, meter, at)?;
    let holds = format!("meter = {} AND time = TIMESTAMP '{at}'", quoted(&meter.serial));
    sql(node, &format!("SELECT {COLUMNS} FROM readings WHERE {holds} ORDER BY seq"), format, events).await?;
    let statement = format!(
        "SELECT correction_id, kind, register_count, quantity, interval_start, verdict, reason, actor, corrected_at, \
         superseded_by FROM corrections WHERE {holds} ORDER BY correction_id"
    );
    sql(node, &statement, format, events).await
}

pub(crate) async fn correct(
    node: &Node,
    actor: &str,
    serial: &str,
    at: &str,
    value: &CorrectedValue,
    reason: &str,
    events: &Events,
) -> Result<(), Failure> {
    let registry = node.engine.registry();
    let meter = meter(&registry, serial)?;
    let value = match (value.register, value.usage.as_deref(), value.start.as_deref()) {
        (Some(count), ..) => Some(Value::Register(count)),
        (None, Some(usage), Some(start)) => {
            let wrong = || {
                Failure(format!(
                    "--usage {usage:?} is no quantity: write it in {}, such as 1.250",
                    registry.measured_in(meter).name()
                ))
            };
            let quantity = Quantity::parse(usage).ok_or_else(wrong)?;
            Some(Value::Usage { start: moment(&registry, meter, start)?, quantity })
        }
        _ => None,
    };
    let time = moment(&registry, meter, at)?;
    let asked = CorrectReading { meter: meter.id, time, value, reason: reason.to_owned(), actor: actor.to_owned() };
    let (id, verdict) = node.engine.correct(asked).await.map_err(failed)?.map_err(failed)?;
    let said = if value.is_some() { verdict.name() } else { "nothing was said then" };
    say(events, format!("{serial} at {time}: correction {id}, {said}")).await;
    say_what_waits(node, events).await
}

/// Says whether adjustments of closed months wait for a person.
pub(super) async fn say_what_waits(node: &Node, events: &Events) -> Result<(), Failure> {
    let waiting =
        node.query.query("SELECT adjustment_id FROM adjustments WHERE state = 'pending'").await.map_err(failed)?;
    let rows: usize = waiting.batches.iter().map(|batch| batch.num_rows()).sum();
    if rows > 0 {
        say(
            events,
            format!("{rows} adjustments of closed months wait for another person: meterledger adjustment list"),
        )
        .await;
    }
    Ok(())
}
