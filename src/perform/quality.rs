//! `quality`: what an operator must look at, and the word that somebody has.

use engine::billing::acknowledge::Acknowledgement;
use engine::query::Table;
use engine::registry::Meter;
use jiff::Timestamp;
use jiff::civil::DateTime;
use kernel::time::Moment;

use super::sql::print;
use crate::call::{Events, Failure, QualityFilter, Tabular, failed, say};
use crate::node::Node;

/// The longest reason that is kept, in bytes.
const REASON: usize = 2_000;

pub(crate) async fn list(node: &Node, filter: &QualityFilter, format: Tabular, events: &Events) -> Result<(), Failure> {
    let mut rules = Vec::new();
    if filter.state != "all" {
        rules.push(format!("state = '{}'", literal(&filter.state)));
    }
    if let Some(severity) = &filter.severity {
        rules.push(format!("severity = '{}'", literal(severity)));
    }
    if let Some(serial) = &filter.meter {
        rules.push(format!("meter = '{}'", literal(&meter(node, serial)?.serial)));
    }
    let rules = if rules.is_empty() { "true".to_owned() } else { rules.join(" AND ") };
    let sql = format!(
        "SELECT severity, state, issue, meter, service_point, start_time, end_time, age_hours, expected, seen \
         FROM data_quality WHERE {rules} \
         ORDER BY CASE severity WHEN 'critical' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END, start_time, meter, issue"
    );
    let found = node.query.query(&sql).await.map_err(failed)?;
    if found.row_count() == 0 && format == Tabular::Table {
        say(events, "nothing to look at").await;
        return Ok(());
    }
    print(&found, format, events).await
}

/// What `quality ack` was given.
pub(crate) struct Words<'a> {
    pub(crate) issue: &'a str,
    pub(crate) meter: &'a str,
    pub(crate) from: &'a str,
    pub(crate) reason: &'a str,
}

pub(crate) async fn acknowledge(node: &Node, actor: &str, words: &Words<'_>, events: &Events) -> Result<(), Failure> {
    let Words { issue, from, reason, .. } = *words;
    let meter = meter(node, words.meter)?;
    if reason.trim().is_empty() || reason.len() > REASON {
        return Err(Failure(format!("--reason must say why, in at most {REASON} bytes")));
    }
    let since = moment(node, &meter, from)?;
    let time = since.to_string();
    let sql = format!(
        "SELECT state FROM data_quality WHERE meter = '{}' AND issue = '{}' AND start_time <= '{time}' AND end_time >= '{time}'",
        literal(&meter.serial),
        literal(issue)
    );
    let found = node.query.query(&sql).await.map_err(failed)?;
    let states = states(&found)?;
    if states.is_empty() {
        return Err(Failure(format!(
            "there is no {issue} of {} at {time}: `meterledger quality --state all --meter {}` lists its findings",
            meter.serial, meter.serial
        )));
    }
    if states.iter().all(|state| state == "acknowledged") {
        say(events, format!("{issue} of {} at {time} is acknowledged already; nothing changed", meter.serial)).await;
        return Ok(());
    }
    let acknowledged = Acknowledgement {
        meter: meter.id,
        serial: meter.serial.to_string(),
        issue: issue.to_owned(),
        since,
        reason: reason.trim().to_owned(),
        actor: actor.to_owned(),
    };
    node.engine.acknowledge(acknowledged).await.map_err(failed)?.map_err(failed)?;
    say(events, format!("acknowledged: {issue} of {} at {time}", meter.serial)).await;
    Ok(())
}

fn states(table: &Table) -> Result<Vec<String>, Failure> {
    let text = reports::render_rows(table, reports::Format::Csv).map_err(failed)?;
    Ok(String::from_utf8_lossy(&text).lines().skip(1).map(str::to_owned).collect())
}

fn meter(node: &Node, serial: &str) -> Result<Meter, Failure> {
    let registry = node.engine.registry();
    registry.meter_by_serial(serial).cloned().ok_or_else(|| {
        Failure(format!("there is no meter {serial:?}; `meterledger sql \"SELECT meter FROM meters\"` lists all"))
    })
}

/// An instant with its offset, or a wall time of the meter's site.
fn moment(node: &Node, meter: &Meter, text: &str) -> Result<Moment, Failure> {
    let fault = || Failure(format!("--from {text:?} is no time: write 2026-03-01T00:00:00Z or 2026-03-01T08:00"));
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(Moment(at.as_microsecond()));
    }
    let local: DateTime = text.parse().map_err(|_| fault())?;
    let registry = node.engine.registry();
    let zone = registry.site(meter.site).map_or("UTC", |site| site.zone.as_str());
    let zoned = local.in_tz(zone).map_err(failed)?;
    Ok(Moment(zoned.timestamp().as_microsecond()))
}

/// Text within quotes of SQL.
fn literal(text: &str) -> String {
    text.replace('\'', "''")
}
