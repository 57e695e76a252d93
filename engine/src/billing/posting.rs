//! From usage lines to the ledger: a complete day of an account becomes one usage transfer for each utility and component.
//!
//! A day is complete when every service point that the account pays for has been read beyond it, or when a whole day has
//! passed since. What comes later for a posted day is a difference: a further, linked transfer, and further lines.
//! Lines of a closed month do not wait for anything; those that somebody owes never come here after the close (see
//! [`super::adjustments`]). Lines that move no money (nobody owes them, or they sum to zero) are settled under a negative number.

use std::collections::BTreeMap;

use kernel::id::{AccountId, ServicePointId, SiteId, Utility};
use kernel::money::Amount;
use kernel::time::{DAY, LocalDate, LocalMonth, Moment};

use super::lines::{ComponentName, LineKey, Sum};
use super::point::PointRuntime;
use super::points::Points;
use crate::registry::Registry;

/// A usage transfer to be booked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageTransfer {
    /// Its identifier.
    pub id: i64,
    /// Who owes it.
    pub account: AccountId,
    /// For which utility.
    pub utility: Utility,
    /// For which local day.
    pub date: LocalDate,
    /// For what.
    pub component: ComponentName,
    /// How much; negative for a difference in the customer's favour, never zero.
    pub amount: Amount,
    /// The end of the local day; for an adjustment the moment of its posting.
    pub effective_at: Moment,
    /// The adjustment of a closed month that this posts.
    pub adjustment: Option<i64>,
}

/// A line with the number under which it is settled: its transfer, or below zero where no money moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettledLine {
    /// The transfer, or a number below zero.
    pub transfer: i64,
    /// Whose line.
    pub point: ServicePointId,
    /// Which.
    pub key: LineKey,
    /// What it adds up to.
    pub sum: Sum,
}

/// What a settlement posts.
#[derive(Debug, Default)]
pub struct Posting {
    /// Transfers to book, by ascending identifier without gaps.
    pub transfers: Vec<UsageTransfer>,
    /// The lines that they settle, and those that move no money.
    pub lines: Vec<SettledLine>,
    /// Lines that the book holds as not posted, to be removed.
    pub removed: Vec<(ServicePointId, LineKey)>,
}

/// The next numbers to settle under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// Of the next transfer, above zero.
    pub transfer: i64,
    /// Of the next lines that move no money, below zero.
    pub unmoved: i64,
}

/// An account's day at a service point, and when it ended.
type Ended = (AccountId, LocalDate, Moment);

/// Takes the lines of complete days out of the open ones. Days of closed months, and of the one
/// that is `closing`, are complete whatever was read.
pub fn post(
    points: &mut Points,
    registry: &Registry,
    closing: Option<(SiteId, LocalMonth)>,
    now: Moment,
    numbers: &mut Numbers,
) -> Posting {
    // All of it is found before anything is taken: a day waits for all service points that its account pays for.
    let complete: Vec<(ServicePointId, Vec<Ended>)> = points
        .iter()
        .map(|point| (point.id, complete(point, points, registry, closing, now)))
        .filter(|(_, days)| !days.is_empty())
        .collect();
    let mut posting = Posting::default();
    let mut days: BTreeMap<(AccountId, LocalDate, Utility, ComponentName), (Amount, Moment)> = BTreeMap::new();
    let mut taken: Vec<(ServicePointId, Utility, LineKey, Sum)> = Vec::new();
    for (id, ended) in complete {
        let Some(point) = points.get_mut(&id) else { continue };
        let Some(utility) = registry.service_point(id).map(|known| known.utility) else { continue };
        point.lines.all().retain(|line| {
            let key = line.key;
            let end = ended.iter().find(|(account, date, _)| (*account, *date) == (key.account, key.date));
            let Some((_, _, end)) = end else { return true };
            if line.stored {
                posting.removed.push((id, key));
            }
            taken.push((id, utility, key, line.sum()));
            if key.account != AccountId(0) {
                let day = days.entry((key.account, key.date, utility, key.component)).or_insert((Amount::ZERO, *end));
                day.0 += line.sum().amount;
            }
            false
        });
    }
    let mut ids = BTreeMap::new();
    for ((account, date, utility, component), (amount, effective_at)) in days {
        if amount != Amount::ZERO {
            let id = numbers.transfer;
            numbers.transfer += 1;
            ids.insert((account, date, utility, component), id);
            let adjustment = None;
            let transfer = UsageTransfer { id, account, utility, date, component, amount, effective_at, adjustment };
            posting.transfers.push(transfer);
        }
    }
    for (point, utility, key, sum) in taken {
        let day = (key.account, key.date, utility, key.component);
        let transfer = ids.get(&day).copied().unwrap_or(numbers.unmoved);
        posting.lines.push(SettledLine { transfer, point, key, sum });
    }
    numbers.unmoved -= 1;
    posting
}

/// The days of a service point's open lines that are complete.
fn complete(
    point: &PointRuntime,
    points: &Points,
    registry: &Registry,
    closing: Option<(SiteId, LocalMonth)>,
    now: Moment,
) -> Vec<Ended> {
    let setup = &point.setup;
    let mut complete = Vec::new();
    let mut last = None;
    for LineKey { account, date, .. } in point.lines.keys() {
        if last.replace((account, date)) == Some((account, date)) {
            continue;
        }
        let Some(end) = setup.terms.days.on(date).map(|day| day.end) else { continue };
        let beyond = |point: &PointRuntime| point.state.watermark.is_some_and(|watermark| watermark >= end);
        let others_are_beyond = || registry.paid_by(account).all(|other| points.get(&other).is_some_and(beyond));
        let passed = now.since(end);
        let closes = closing.is_some_and(|(site, month)| setup.site == site && date.month() <= month);
        let is_complete = if closes || setup.is_closed(date) {
            true
        } else if beyond(point) {
            passed >= DAY || others_are_beyond()
        } else {
            // Its meter has fallen silent; while its readings are still coming in, the day waits for them.
            passed >= 2 * DAY && !point.changed
        };
        if is_complete {
            complete.push((account, date, end));
        }
    }
    complete
}
