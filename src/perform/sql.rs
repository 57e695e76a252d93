//! `sql`: a question in SQL over the names of README.

use reports::Format;

use crate::call::{Event, Events, Failure, Tabular, failed};
use crate::node::Node;

pub(crate) async fn sql(node: &Node, statement: &str, format: Tabular, events: &Events) -> Result<(), Failure> {
    let table = node.query.query(statement).await.map_err(failed)?;
    print(&table, format, events).await
}

/// Rows as a table, CSV or JSON.
pub(super) async fn print(table: &engine::query::Table, format: Tabular, events: &Events) -> Result<(), Failure> {
    let format = match format {
        Tabular::Table => Format::Table,
        Tabular::Csv => Format::Csv,
        Tabular::Json => Format::Json,
    };
    let bytes = reports::render_rows(table, format).map_err(failed)?;
    let _ = events.send(Event::Output(bytes)).await;
    Ok(())
}
