//! The tenants: what they paid in the past, and the three whose day it is.

use std::collections::BTreeMap;

use engine::billing::balances::Balances;
use engine::billing::explain::Explained;
use engine::book::payments::TopUp;
use engine::registry::{AccountKind, Registry};
use kernel::id::{AccountId, MeterId, Utility};
use kernel::money::{Amount, Rounding};
use kernel::time::{DAY, HOUR, LocalDate, LocalMonth, Moment};

use super::NOW;
use super::load::{UTC_OFFSET, mix};
use crate::call::{Failure, failed};
use crate::node::Node;

/// Channels by which the past top-ups came.
const CHANNELS: [&str; 4] = ["wechat", "alipay", "cash", "bank"];

/// One of the three.
#[derive(Clone, Debug)]
pub(super) struct Actor {
    pub(super) account: AccountId,
    pub(super) name: String,
    pub(super) holder: String,
    /// The meter that is cut.
    pub(super) meter: MeterId,
}

/// Three prepaid tenants that may be cut, each with one electricity meter and nothing else, those that owe most for their
/// history: the first pays when he is cut, the second stays cut, the third's relay is welded.
fn three(registry: &Registry, balances: &Balances, now: Moment) -> Result<[Actor; 3], Failure> {
    let mut found = Vec::new();
    for account in registry.accounts() {
        let may_be_cut = account.kind == AccountKind::Prepaid
            && account.cutoff_enabled
            && account.protected.is_none()
            && account.credit_limit == Amount::ZERO
            && account.policy.is_some()
            && account.confirmed_at.is_some();
        let meters: Vec<_> = registry
            .meters()
            .filter(|meter| {
                registry
                    .epoch_at(meter.id, now)
                    .and_then(|epoch| registry.payer_at(epoch.service_point, now))
                    .is_some_and(|payer| payer.id == account.id)
            })
            .collect();
        if let ([meter], true) = (&meters[..], may_be_cut)
            && meter.utility == Utility::Electricity
            && meter.has_relay
        {
            let (name, holder) = (account.name.to_string(), account.holder.to_string());
            found.push(Actor { account: account.id, name, holder, meter: meter.id });
        }
    }
    found.sort_by_key(|actor| balances.get(&actor.account).map(|wallet| wallet.balance));
    found.truncate(3);
    found
        .try_into()
        .map_err(|_| Failure("the mall has no three tenants with one switchable electricity meter each".to_owned()))
}

/// Posts the past top-ups: each month about what it used, so that the balances end between some tens and some thousands,
/// and those of the three at what some hours of trade will use up. Gives the number of top-ups and the three.
pub(super) async fn pay(node: &Node) -> Result<(usize, [Actor; 3]), Failure> {
    let registry = node.engine.registry();
    let balances = node.engine.balances().await.map_err(failed)?;
    let three = three(&registry, &balances, NOW)?;
    let months: Vec<LocalMonth> = (0..26).map(|month| LocalMonth(2024 * 12 + 8 + month)).collect();
    let mut posted = 0;
    for account in registry.accounts() {
        let prepaid = account.kind == AccountKind::Prepaid;
        let owed = balances.get(&account.id).map_or(Amount::ZERO, |wallet| -wallet.balance);
        let mut paid = Amount::ZERO;
        let monthly = Amount(owed.0 / 26).round(0, Rounding::HalfUp);
        let mut top_ups: BTreeMap<Moment, (Amount, String)> = BTreeMap::new();
        for (index, month) in months.iter().enumerate() {
            let random = mix(u64::from(account.id.0), i64::try_from(index).unwrap_or(0));
            let day = month.first_day().plus(i32::try_from(random % 27).unwrap_or(0));
            let at = local(day).plus(9 * HOUR + i64::try_from(random % 36_000).unwrap_or(0) * 1_000_000);
            let amount = Amount(monthly.0 * i128::from(85 + random % 28) / 100).round(0, Rounding::HalfUp);
            if amount > Amount::ZERO {
                paid += amount;
                top_ups.insert(at, (amount, channel(prepaid, random)));
            }
        }
        let target = match three.iter().position(|actor| actor.account == account.id) {
            // What the shop uses in some hours of trade, from its last days.
            Some(index) => hours_of_trade(node, account.id, 5 + i64::try_from(index).unwrap_or(0)).await?,
            // Who pays afterwards owes the month that runs.
            None if !prepaid => Amount(-monthly.0 / 2),
            None => {
                let share = i128::from(30 + mix(u64::from(account.id.0), 99) % 120);
                Amount((monthly.0 * share / 100).max(250_000_000_000))
            }
        };
        let last = (owed + target - paid).round(2, Rounding::HalfUp);
        if last > Amount::ZERO {
            let random = mix(u64::from(account.id.0), 77);
            let days = i64::try_from(1 + random % 15).unwrap_or(1);
            top_ups.insert(NOW.plus(-days * DAY - HOUR), (last, channel(prepaid, random)));
        } else if let Some(mut entry) = top_ups.last_entry() {
            entry.get_mut().0 += last;
        }
        for (at, (amount, channel)) in top_ups {
            if amount <= Amount::ZERO {
                continue;
            }
            let key = format!("history-{}-{}", account.name, at.0);
            let top_up = TopUp::over_the_counter(account.id, amount, &key, &channel, "demo", at);
            node.engine.top_up(top_up).await.map_err(failed)?.map_err(failed)?;
            posted += 1;
        }
    }
    Ok((posted, three))
}

/// Shops pay as they like, the owner's own accounts by bank.
fn channel(prepaid: bool, random: u64) -> String {
    let any = usize::try_from(random / 64 % 4).unwrap_or(0);
    if prepaid { CHANNELS[any].to_owned() } else { "bank".to_owned() }
}

/// About what an account uses in so many hours of trade: its last 28 days' charges hold some 14 such hours each.
async fn hours_of_trade(node: &Node, account: AccountId, hours: i64) -> Result<Amount, Failure> {
    let today = LocalDate(i32::try_from((NOW.0 + UTC_OFFSET).div_euclid(DAY)).unwrap_or(0));
    let mut spent = Amount::ZERO;
    for back in 1..=7 {
        let day = today.plus(-back);
        let asked = Explained { account, days: day..=day, line: None };
        let parts = node.engine.explain(asked).await.map_err(failed)?.map_err(failed)?;
        spent += parts.iter().map(|item| item.part.amount).sum();
    }
    Ok(Amount(spent.0 * i128::from(hours) / (7 * 16)).round(2, Rounding::HalfUp))
}

fn local(date: LocalDate) -> Moment {
    Moment(i64::from(date.0) * DAY - UTC_OFFSET)
}
