//! `audit`: the promises of the book, proved on demand.

use engine::book::chain;
use engine::query::audit;

use super::table::Table;
use crate::call::{Event, Events, Failure, Tabular, failed, say};
use crate::node::Node;

pub(crate) async fn audit(node: &Node, events: &Events) -> Result<(), Failure> {
    let outcomes = audit::run(&node.query).await.map_err(failed)?;
    let verified = chain::verify(node.engine.book()).await.map_err(failed)?;
    let mut table = Table::new(&["check", "found>", "what holds when nothing is found"]);
    for outcome in &outcomes {
        table.push([outcome.name.to_owned(), outcome.rows.to_string(), outcome.purpose.clone()]);
    }
    let purpose = format!("each of the {} audit rows continues the one before it by SHA-256", verified.rows);
    table.push(["hash_chain".to_owned(), verified.faults.len().to_string(), purpose]);
    say(events, table.render(Tabular::Table)).await;
    for outcome in outcomes.iter().filter(|outcome| outcome.rows > 0) {
        let _ = events.send(Event::Note(format!("{}:\n{}", outcome.name, outcome.sample))).await;
    }
    for fault in &verified.faults {
        let _ = events.send(Event::Note(fault.to_string())).await;
    }
    let dirty = outcomes.iter().filter(|outcome| outcome.rows > 0).count() + usize::from(!verified.faults.is_empty());
    if dirty == 0 {
        say(events, format!("clean: {} checks", outcomes.len() + 1)).await;
        Ok(())
    } else {
        Err(Failure(format!("{dirty} of {} checks found something; the rows above name what", outcomes.len() + 1)))
    }
}
