//! `report`: a report of the catalogue in one of its formats.

use super::{date, table::Table};
use crate::call::{Event, Events, Failure, Period, Tabular, failed, say};
use crate::node::Node;

pub(crate) async fn list(events: &Events) -> Result<(), Failure> {
    let mut table = Table::new(&["report", "what it is for"]);
    for entry in reports::list() {
        table.push([entry.name.to_owned(), entry.purpose.clone()]);
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
    let _ = (node, name, period, format, date);
    let _ = Event::Note(String::new());
    Err(Failure(String::new()))
}
