//! `explain --line`: a line of a statement, charge by charge, down to register counts.

use engine::billing::explain::Explained;
use engine::billing::statements::StatementLine;
use kernel::money::{Amount, Quantity};
use kernel::time::LocalMonth;

use super::table::Table;
use super::{account, explain, month};
use crate::call::{Events, Failure, Tabular, failed, say};
use crate::node::Node;

/// Which statement: by its number, or by its month while that is open.
pub(crate) struct Which<'a> {
    pub(crate) statement: Option<i64>,
    pub(crate) month: Option<&'a str>,
    /// From 1.
    pub(crate) line: usize,
}

pub(crate) async fn explain_line(node: &Node, name: &str, which: &Which<'_>, events: &Events) -> Result<(), Failure> {
    let registry = node.engine.registry();
    let account = account(&registry, name)?;
    let month = month_of(node, account.id, name, which).await?;
    let stated = node.engine.statement(account.id, month).await.map_err(failed)?.map_err(failed)?;
    let stated = stated.ok_or_else(|| Failure(format!("{month} lies outside the local days that the site knows")))?;
    let line = which.line.checked_sub(1).and_then(|place| stated.lines.get(place)).ok_or_else(|| {
        let count = stated.lines.len();
        Failure(format!("the statement of {name} for {month} has {count} lines; name one of them with --line"))
    })?;
    let Some(site) = registry.site(account.site) else { return Err(Failure(format!("account {name} has no site"))) };
    if line.key.component != kernel::component::ENERGY {
        // Worked out for a month, or the same for each day: its first day says how.
        let worked = node.engine.explain_components(account.id, line.first_day).await.map_err(failed)?;
        let mut worked = worked.map_err(failed)?;
        worked.retain(|one| (one.point, &one.line.component) == (line.key.point, &line.key.component));
        let (which, day) = (which.line, line.first_day);
        let head = format!("{} ({}), line {which} of {month}, {}", account.name, account.holder, site.currency);
        say(events, head).await;
        explain::beside(&registry, site, &worked, events).await?;
        let stated =
            format!("the line states {} exactly, {} with {} carried in", line.amount, line.rounded, line.carried_in);
        say(events, format!("as charged under {day}; {stated}")).await;
        return Ok(());
    }
    let used = line.usage_month;
    let days = used.first_day()..=LocalMonth(used.0 + 1).first_day().plus(-1);
    let asked = Explained { account: account.id, days, line: Some(line.key.clone()) };
    let parts = node.engine.explain(asked).await.map_err(failed)?.map_err(failed)?;
    say(
        events,
        format!(
            "{} ({}), line {} of {month}, {}",
            account.name,
            account.holder,
            which.line,
            registry.commodity_of(account.id)
        ),
    )
    .await;
    let mut table = Table::new(&explain::COLUMNS);
    let (mut quantity, mut amount) = (Quantity::ZERO, Amount::ZERO);
    for item in &parts {
        quantity += item.part.quantity;
        amount += item.part.amount;
        table.push(explain::row(&registry, site, site.calendar.day_type(item.part.date).name(), item));
    }
    say(events, table.render(Tabular::Table)).await;
    say(events, sums(parts.len(), quantity, amount, line, month)).await;
    Ok(())
}

async fn month_of(
    node: &Node,
    id: kernel::id::AccountId,
    name: &str,
    which: &Which<'_>,
) -> Result<LocalMonth, Failure> {
    match (which.statement, which.month) {
        (Some(number), _) => node.engine.statement_month(id, number).await.map_err(failed)?.ok_or_else(|| {
            Failure(format!(
                "{name} has no statement {number}, or its month was opened again; \
                 `meterledger sql \"SELECT DISTINCT month, statement FROM statements WHERE account = '{name}'\"` lists them"
            ))
        }),
        (None, Some(text)) => month(text),
        (None, None) => Err(Failure("a line needs its statement: write --statement N, or --month M".to_owned())),
    }
}

/// What the charges add up to, beside what the line says.
fn sums(count: usize, quantity: Quantity, amount: Amount, line: &StatementLine, month: LocalMonth) -> String {
    let found = format!("{count} charges, {quantity} in all, {amount} exactly");
    let stated = format!(
        "the line states {} and {} exactly, {} with {} carried in",
        line.quantity, line.amount, line.rounded, line.carried_in
    );
    let why = if line.usage_month != month {
        format!("; it is what approved adjustments of {} changed (`adjustment list --all`)", line.usage_month)
    } else if (quantity, amount) != (line.quantity, line.amount) {
        "; the rest came after the close, as an adjustment (`adjustment list --all`)".to_owned()
    } else {
        String::new()
    };
    format!("{found}; {stated}{why}")
}
