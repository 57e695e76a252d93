//! `sql`: a question in SQL over the names of README.

use crate::call::{Event, Events, Failure, Tabular, failed};
use crate::node::Node;

pub(crate) async fn sql(node: &Node, statement: &str, format: Tabular, events: &Events) -> Result<(), Failure> {
    let table = node.query.query(statement).await.map_err(failed)?;
    let bytes = reports::render_rows(&table, format.name()).map_err(failed)?;
    let _ = events.send(Event::Output(bytes)).await;
    Ok(())
}
