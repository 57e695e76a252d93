//! `period`: months that are reviewed, closed and opened again.

use super::month;
use super::sql::sql;
use crate::call::{Events, Failure, PeriodAction, Tabular, failed, say};
use crate::node::Node;

pub(crate) async fn list(node: &Node, format: Tabular, events: &Events) -> Result<(), Failure> {
    let statement = "SELECT site, month, state, changed_at, actor, reason FROM periods ORDER BY site, month";
    sql(node, statement, format, events).await
}

pub(crate) async fn change(
    node: &Node,
    actor: &str,
    action: PeriodAction,
    text: &str,
    site: Option<&str>,
    reason: &str,
    events: &Events,
) -> Result<(), Failure> {
    let month = month(text)?;
    let registry = node.engine.registry();
    let sites: Vec<_> = match site {
        None => registry.sites().collect(),
        Some(name) => {
            let known: Vec<&str> = registry.sites().map(|site| site.name.as_str()).collect();
            let unknown = || Failure(format!("there is no site {name:?}; the book has {}", known.join(", ")));
            vec![registry.site_named(name).ok_or_else(unknown)?]
        }
    };
    let ids = sites.iter().map(|site| site.id).collect();
    let nothing = |()| Vec::new();
    let (changed, done) = match action {
        PeriodAction::Review => (node.engine.review_period(ids, month, actor).await, "is in review"),
        PeriodAction::Close => {
            let as_measured = (!reason.is_empty()).then_some(reason);
            let closed = node.engine.close_period(ids, month, actor, as_measured).await;
            (closed.map(|closed| closed.map(nothing)), "is closed")
        }
        PeriodAction::Reopen => {
            let opened = node.engine.reopen_period(ids, month, actor, reason).await;
            (opened.map(|opened| opened.map(nothing)), "is open again")
        }
    };
    let missing = changed.map_err(failed)?.map_err(failed)?;
    for site in sites {
        say(events, format!("{}: {month} {done}", site.name)).await;
    }
    for reason in missing {
        say(events, format!("it cannot be closed yet: {reason}")).await;
    }
    Ok(())
}
