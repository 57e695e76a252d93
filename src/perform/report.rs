//! `report`: a report of the catalogue in one of its formats.

use reports::{Format, Params};

use super::table::Table;
use crate::call::{Event, Events, Failure, Period, Tabular, failed, say};
use crate::node::Node;

pub(crate) async fn list(events: &Events) -> Result<(), Failure> {
    let mut table = Table::new(&["report", "what it is for"]);
    for entry in reports::list() {
        table.push([entry.name.to_owned(), entry.header.purpose.clone()]);
    }
    say(events, table.render(Tabular::Table)).await;
    Ok(())
}

pub(crate) async fn report(
    node: &Node,
    name: &str,
    period: &Period,
    format: &str,
    events: &Events,
) -> Result<(), Failure> {
    let bytes = render(node, name, period, format).await?;
    let _ = events.send(Event::Output(bytes)).await;
    Ok(())
}

/// A report as bytes of its format.
pub(crate) async fn render(node: &Node, name: &str, period: &Period, format: &str) -> Result<Vec<u8>, Failure> {
    let format = Format::parse(format)
        .ok_or_else(|| Failure(format!("{format:?} is no format; use table, csv, json, xlsx, svg or png")))?;
    let year = period.year.map(|year| year.to_string());
    let params = Params::parse(period.from.as_deref(), period.to.as_deref(), period.month.as_deref(), year.as_deref());
    let report = reports::run(&node.query, name, params.map_err(failed)?).await.map_err(failed)?;
    reports::render(&report, format).map_err(failed)
}
