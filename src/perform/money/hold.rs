//! `hold`: money set aside.

use engine::book::orders::{Captured, Order};

use super::{balance, before, figure, find_account, list, order, sum, sum_of};
use crate::call::{Events, Failure, say};
use crate::money::{HoldCommand, Into};
use crate::node::Node;
use crate::perform::moment;

const LIST: &str = "SELECT * FROM holds ORDER BY hold_id";

pub(super) async fn perform(node: &Node, actor: &str, command: &HoldCommand, events: &Events) -> Result<(), Failure> {
    let registry = node.engine.registry();
    let (key, wish, done) = match command {
        HoldCommand::List { format } => return list(node, LIST, *format, events).await,
        HoldCommand::Place { account, amount, key, reason, until } => {
            let account = find_account(&registry, account)?;
            let until = until.as_deref().map(|text| moment::of_account(&registry, account, text, "--until"));
            let amount = sum_of(account, amount)?;
            let (until, reason) = (until.transpose()?, reason.clone());
            let done = format!("set {} of {} aside", figure(account, amount), account.name);
            (key, Order::PlaceHold { account: account.id, amount, until, reason }, done)
        }
        HoldCommand::Release { hold, key } => (key, Order::ReleaseHold { hold: *hold }, "released".to_owned()),
        HoldCommand::Capture { hold, key, amount, into } => {
            let into = match into {
                Into::Deposit => Captured::Deposit,
                Into::Fee => Captured::Fee,
            };
            let amount = amount.as_deref().map(sum).transpose()?;
            let done = amount.map_or_else(String::new, |amount| format!("{amount:.2} "));
            let done = format!("{done}taken as {}", into.name());
            (key, Order::CaptureHold { hold: *hold, amount, into }, done)
        }
    };
    let outcome = order(node, actor, key, wish).await?;
    let what = format!("hold {}", outcome.first.subject.unwrap_or(0));
    let text = match outcome.account {
        Some(account) => format!("{done} ({what}){}", balance(node, account).await?),
        None => before(key, &what),
    };
    say(events, text).await;
    Ok(())
}
