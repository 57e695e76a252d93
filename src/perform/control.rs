//! `supply`: what is on and off, and what a person orders of it.

use engine::billing::hands::Verdict;
use engine::billing::keep::KeepPower;
use engine::control::by_hand::{ByHand, Taken};
use kernel::id::CommandId;
use kernel::reading::Contact;

use super::{account, moment, readings, sql};
use crate::call::{Events, Failure, Tabular, failed, say};
use crate::control::{ControlCommand, Switch};
use crate::node::Node;

pub(crate) async fn control(
    node: &Node,
    actor: &str,
    command: &ControlCommand,
    events: &Events,
) -> Result<(), Failure> {
    match command {
        ControlCommand::List { account, format } => list(node, account.as_deref(), *format, events).await,
        ControlCommand::Cut(order) => switch(node, actor, order, Contact::Open, events).await,
        ControlCommand::Restore(order) => switch(node, actor, order, Contact::Closed, events).await,
        ControlCommand::Keep { account, until, reason } => {
            keep(node, actor, account, Some(until), reason, events).await
        }
        ControlCommand::Unkeep { account, reason } => keep(node, actor, account, None, reason, events).await,
        ControlCommand::Approve { command } => decide(node, actor, *command, Verdict::Approve, events).await,
        ControlCommand::Cancel { command } => decide(node, actor, *command, Verdict::CallOff, events).await,
        ControlCommand::ReleaseBrake { site } => release_brake(node, actor, site, events).await,
    }
}

async fn list(node: &Node, only: Option<&str>, format: Tabular, events: &Events) -> Result<(), Failure> {
    let registry = node.engine.registry();
    let only = only.map(|name| account(&registry, name)).transpose()?;
    // A name of the registry's own, so that nothing of what was typed gets into the statement.
    let condition = only.map_or_else(String::new, |account| format!("WHERE s.account = '{}' ", quoted(&account.name)));
    let statement = format!(
        "SELECT s.account, s.meter, s.desired, s.commanded, s.observed, s.observed_at, s.opened_for, \
         c.command_id AS command, c.action, c.state, c.reason, k.until_time AS kept_until, k.reason AS kept_because \
         FROM supply_states s \
         LEFT JOIN (SELECT * FROM commands WHERE is_open) c ON c.meter = s.meter \
         LEFT JOIN (SELECT * FROM kept_supplies WHERE stands) k ON k.account = s.account \
         {condition}ORDER BY s.account, s.meter"
    );
    sql::sql(node, &statement, format, events).await
}

/// A text within single quotes of a statement.
pub(super) fn quoted(text: &str) -> String {
    text.replace('\'', "''")
}

async fn switch(node: &Node, actor: &str, order: &Switch, target: Contact, events: &Events) -> Result<(), Failure> {
    let registry = node.engine.registry();
    let meter = readings::meter(&registry, &order.meter)?;
    let by_hand =
        ByHand { meter: meter.id, target, safety: order.safety, reason: order.reason.clone(), actor: actor.to_owned() };
    let taken = node.engine.switch_by_hand(by_hand).await.map_err(failed)?.map_err(failed)?;
    let what = match (taken, target) {
        (Taken::Held, _) => "is open already, and stays so until a person closes it (`supply restore`)".to_owned(),
        (Taken::Command(id), Contact::Open) => {
            format!("command {id} to open is on its way; it stays open until a person closes it (`supply restore`)")
        }
        (Taken::Command(id), Contact::Closed) => {
            format!("command {id} to close is on its way; policy may cut it again, unless its account is kept")
        }
    };
    say(events, format!("{}: {what}; `supply list` shows what is seen of it", order.meter)).await;
    Ok(())
}

async fn keep(
    node: &Node,
    actor: &str,
    name: &str,
    until: Option<&str>,
    reason: &str,
    events: &Events,
) -> Result<(), Failure> {
    let registry = node.engine.registry();
    let known = account(&registry, name)?;
    let until = until.map(|text| moment::of_account(&registry, known, text, "--until")).transpose()?;
    let asked = KeepPower { account: known.id, until, reason: reason.to_owned(), actor: actor.to_owned() };
    let open = node.engine.keep_power(asked).await.map_err(failed)?.map_err(failed)?;
    let what = match until {
        Some(until) => format!("power is kept on until {}", moment::shown(&registry, known, until)),
        None => "power is no longer kept on: policy decides again, after another final notice".to_owned(),
    };
    say(events, format!("{name}: {what}")).await;
    for meter in open {
        say(events, format!("{meter} is open by hand all the same: only `supply restore {meter}` closes it")).await;
    }
    Ok(())
}

async fn decide(node: &Node, actor: &str, id: u64, verdict: Verdict, events: &Events) -> Result<(), Failure> {
    node.engine.decide_command(CommandId(id), verdict, actor).await.map_err(failed)?.map_err(failed)?;
    let what = match verdict {
        Verdict::Approve => "approved; it is looked at once more when it is sent",
        Verdict::CallOff => "called off; it is not given again for an hour",
    };
    say(events, format!("command {id}: {what}")).await;
    Ok(())
}

async fn release_brake(node: &Node, actor: &str, name: &str, events: &Events) -> Result<(), Failure> {
    let registry = node.engine.registry();
    let site = registry.site_named(name).ok_or_else(|| {
        let all: Vec<&str> = registry.sites().map(|site| site.name.as_str()).collect();
        Failure(format!("there is no site {name:?}; there are: {}", all.join(", ")))
    })?;
    node.engine.release_brake(site.id, actor).await.map_err(failed)?.map_err(failed)?;
    say(events, format!("{name}: the fleet brake is released; each account is decided afresh")).await;
    Ok(())
}
