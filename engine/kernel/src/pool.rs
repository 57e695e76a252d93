//! Pooled tiers: the service points of one utility for which an account pays share one tier counter (domain.md, 4).
//!
//! Each service point stays rated for itself: its readings, verdicts, quantities and its own state are what they would be
//! alone. What it used for an account that pools is its [`Share`], and the pool's counter is the sum of all members' shares in
//! the period. So a state says nothing of other service points, and states may be stored, forgotten and made again one by
//! one; only the tiers of what flows depend on the order between them.
//!
//! That order is the one in which a single service point with all their meters would be rated: as intervals end, at one
//! moment by meter, and stated closing counts before what was read at their moment. Whoever rates members together hands them
//! rows in that order ([`Point::beside`] holds the others' states), and bills closing counts by [`Point::closes_next`].
//!
//! What was used in a period counts in that period, however late it is rated: an interval that ends after others began the next
//! period finds the sum of its own. The service point's own counter runs on beside the pool's, so that an account which does
//! not pool finds it as ever.

use serde::{Deserialize, Serialize};

use crate::id::AccountId;
use crate::money::Quantity;
use crate::point::{Point, PointState, Row};
use crate::rate::{Allocation, Cell, Counting, Part, TierCounter, price};
use crate::seldom::Seldom;
use crate::time::Moment;

/// What a service point used in one tier period of an account's pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Whose pool.
    pub account: AccountId,
    /// [`crate::tariff::TierPeriod::key`] of the period, and what was used in it.
    pub counter: TierCounter,
}

/// The counters of a service point while it is rated.
#[derive(Debug)]
pub struct Counters<'a> {
    /// Its own.
    pub own: &'a mut TierCounter,
    /// What it used of pools, in the order in which the periods began.
    pub shares: &'a mut Seldom<Share>,
    /// The states of the other members of its pools.
    pub beside: &'a [&'a PointState],
}

fn used_of(shares: &[Share], account: AccountId, period: i32) -> Quantity {
    // The latest period is nearly always the one that is asked for.
    let found = shares.iter().rev().find(|share| (share.account, share.counter.period) == (account, period));
    found.map_or(Quantity::ZERO, |share| share.counter.used)
}

impl Counters<'_> {
    fn pool_stands_at(&self, account: AccountId, period: i32) -> Quantity {
        let others = self.beside.iter().map(|state| used_of(&state.shares, account, period));
        let total = others.fold(used_of(self.shares, account, period).0, |sum, share| sum.saturating_add(share.0));
        Quantity(total)
    }

    #[inline(never)]
    fn price_pooled(
        &mut self,
        (account, period): (AccountId, i32),
        cell: &Cell,
        span: (Moment, Moment),
        (quantity, allocation): (Quantity, Allocation),
        each: &mut impl FnMut(&Part),
    ) {
        let stands = self.pool_stands_at(account, period);
        price(cell, span, (quantity, allocation), stands, each);
        self.own.count(cell, quantity);
        let of = |share: &Share| (share.account, share.counter.period) == (account, period);
        match self.shares.iter_mut().rev().find(|share| of(share)) {
            Some(share) => share.counter.used = Quantity(share.counter.used.0.saturating_add(quantity.0)),
            None => self.shares.push(Share { account, counter: TierCounter { period, used: quantity } }),
        }
    }
}

impl Counting for Counters<'_> {
    #[inline]
    fn price(
        &mut self,
        cell: &Cell,
        span: (Moment, Moment),
        quantity: (Quantity, Allocation),
        each: &mut impl FnMut(&Part),
    ) {
        match cell.pool {
            None => self.own.price(cell, span, quantity, each),
            Some(pool) => self.price_pooled(pool, cell, span, quantity, each),
        }
    }

    fn stands_at(&self, cell: &Cell) -> Quantity {
        match cell.pool {
            None => self.own.stands_at(cell),
            Some((account, period)) => self.pool_stands_at(account, period),
        }
    }
}

impl PointState {
    /// Whether another member of its pools was judged beyond this row. The same reading, which closes an installation here
    /// and opens one there, is not beyond.
    #[must_use]
    pub fn is_beyond(&self, row: &Row) -> bool {
        (self.watermark, self.last_meter) > (Some(row.time), Some(row.meter))
    }
}

impl Point<'_> {
    /// Whether a row comes after all that was judged at the other members of its pools.
    #[inline]
    pub(crate) fn is_in_order(&self, row: &Row) -> bool {
        // Nearly nobody is in a pool.
        self.beside.is_empty() || self.is_nobody_beyond(row)
    }

    #[inline(never)]
    fn is_nobody_beyond(&self, row: &Row) -> bool {
        self.beside.iter().all(|state| !state.is_beyond(row))
    }
}
