//! From usage lines to the ledger: a complete day of an account becomes one usage transfer for each utility.
//!
//! A day is complete when every service point that the account pays for has been read beyond it, or when a whole day has
//! passed since. What comes later for a posted day is a difference: a further, linked transfer, and further lines.

use std::collections::{BTreeMap, BTreeSet};

use kernel::id::{AccountId, ServicePointId, Utility};
use kernel::money::Amount;
use kernel::time::{DAY, LocalDate, Moment};

use super::lines::{ENERGY, LineKey};
use super::point::PointRuntime;
use crate::lake::flush::ChargeRow;

/// A line whose account nobody is: what flowed in a vacancy is never posted, and is exported under this transfer.
pub const VACANT: i64 = -1;

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
    /// How much; negative for a difference in the customer's favour.
    pub amount: Amount,
    /// The end of the local day.
    pub effective_at: Moment,
}

/// What a settlement posts.
#[derive(Debug, Default)]
pub struct Posting {
    /// Transfers to book, by ascending identifier.
    pub transfers: Vec<UsageTransfer>,
    /// Lines under their transfer (or [`VACANT`]).
    pub lines: Vec<(i64, ServicePointId, LineKey, super::lines::Sum)>,
    /// Lines that the book holds as not posted, to be removed.
    pub removed: Vec<(ServicePointId, LineKey)>,
}

/// Which service points an account pays for.
pub type PointsOf = BTreeMap<AccountId, BTreeSet<ServicePointId>>;

/// Takes the lines of complete days out of the open ones.
pub fn post(
    points: &mut BTreeMap<ServicePointId, PointRuntime>,
    points_of: &PointsOf,
    utility_of: impl Fn(ServicePointId) -> Utility,
    now: Moment,
    next_transfer: &mut i64,
) -> Posting {
    let read_until: BTreeMap<ServicePointId, Option<Moment>> =
        points.iter().map(|(id, point)| (*id, point.state.watermark)).collect();
    let mut posting = Posting::default();
    let mut ids: BTreeMap<(AccountId, LocalDate, Utility), i64> = BTreeMap::new();
    let mut amounts: BTreeMap<i64, UsageTransfer> = BTreeMap::new();
    for (point_id, point) in points.iter_mut() {
        let days = point.setup.terms.days.clone();
        let own = point.state.watermark;
        let mut complete: BTreeMap<(AccountId, LocalDate), Option<Moment>> = BTreeMap::new();
        let lines = point.lines.all();
        lines.retain(|key, line| {
            let end = *complete.entry((key.account, key.date)).or_insert_with(|| {
                let end = days.on(key.date)?.end;
                let beyond = |watermark: Option<Moment>| watermark.is_some_and(|watermark| watermark >= end);
                let late = now.since(end) >= DAY;
                let others = points_of.get(&key.account).into_iter().flatten();
                let all_read = || others.map(|id| read_until.get(id).copied().flatten()).all(beyond);
                // Long past days wait only for the point whose readings are coming in just now.
                let due = (beyond(own) && (late || all_read()))
                    || now.since(end) >= 2 * DAY && !beyond(own) && !point.changed;
                due.then_some(end)
            });
            let Some(effective_at) = end else { return true };
            if line.stored {
                posting.removed.push((*point_id, *key));
            }
            if line.sum.is_zero() && !line.stored && !line.changed {
                return false;
            }
            let id = if key.account == AccountId(0) {
                VACANT
            } else {
                let utility = utility_of(*point_id);
                let id = *ids.entry((key.account, key.date, utility)).or_insert_with(|| {
                    let id = *next_transfer;
                    *next_transfer += 1;
                    id
                });
                let transfer = amounts.entry(id).or_insert(UsageTransfer {
                    id,
                    account: key.account,
                    utility,
                    date: key.date,
                    amount: Amount::ZERO,
                    effective_at,
                });
                transfer.amount += line.sum.amount;
                id
            };
            posting.lines.push((id, *point_id, *key, line.sum));
            false
        });
    }
    posting.transfers = amounts.into_values().collect();
    posting
}

/// A posted line as it goes into the lake.
#[must_use]
pub fn charge_row(transfer: i64, point: ServicePointId, key: &LineKey, sum: &super::lines::Sum) -> ChargeRow {
    ChargeRow {
        service_point: point.0,
        account: key.account.0,
        date: key.date,
        component: ENERGY.to_owned(),
        band: key.band,
        tier: key.tier,
        version: key.version.0,
        transfer,
        quantity: sum.quantity.0,
        amount: sum.amount.0,
    }
}
