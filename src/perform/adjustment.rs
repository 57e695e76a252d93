//! `adjustment`: what closed months should have cost more or less, and who decides it.

use super::sql::sql;
use crate::call::{Events, Failure, Tabular, failed, say};
use crate::node::Node;

pub(crate) async fn list(
    node: &Node,
    all: bool,
    lines: Option<i64>,
    format: Tabular,
    events: &Events,
) -> Result<(), Failure> {
    let statement = match lines {
        Some(id) => format!(
            "SELECT service_point, local_date, component, band, tier, quantity_before, amount_before, quantity_after, \
             amount_after, quantity, amount FROM adjustment_lines WHERE adjustment_id = {id} \
             ORDER BY service_point, local_date, component, band, tier, tariff_version_id"
        ),
        None => {
            let states = if all { "" } else { "WHERE state = 'pending' " };
            format!(
                "SELECT adjustment_id, account, utility, month, state, cause, difference, currency, proposed_by, \
                 proposed_at, decided_by, posted_date, detail FROM adjustments {states}ORDER BY adjustment_id"
            )
        }
    };
    sql(node, &statement, format, events).await
}

pub(crate) async fn decide(
    node: &Node,
    actor: &str,
    id: i64,
    approve: bool,
    reason: &str,
    events: &Events,
) -> Result<(), Failure> {
    let decided = node.engine.decide_adjustment(id, approve, actor, reason).await.map_err(failed)?.map_err(failed)?;
    let registry = node.engine.registry();
    let account = registry.account(decided.account);
    let name = account.map_or("?", |account| account.name.as_str());
    let currency = registry.commodity_of(decided.account);
    let done = if approve { "posted" } else { "rejected; what was charged stays" };
    let (difference, utility, month) = (decided.difference(), decided.utility.name(), decided.month);
    say(events, format!("adjustment {id}: {difference} {currency} to {name} for {utility} of {month}: {done}")).await;
    Ok(())
}
