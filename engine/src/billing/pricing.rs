//! Pricing in memory: frames in, verdicts and owed money out. No I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kernel::batch::Batch;
use kernel::id::{AccountId, MeterId, Seq, ServicePointId};
use kernel::money::Amount;
use kernel::point::{Row, Step};
use kernel::reading::Verdict;
use kernel::time::Moment;

use super::accrual::Accruals;
use super::adjustments::{AdjustedLine, SetApart};
use super::lines::LineKey;
use super::point::{Beside, PointRuntime, Setup};
use super::points::Points;
use super::reprice::Rerating;
use super::rerate::Sums;
use crate::lake::read::StoredRow;
use crate::registry::Registry;

/// A wallet in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wallet {
    /// The sum of posted transfers.
    pub posted: Amount,
    /// Rated usage that is not posted yet.
    pub unposted: Amount,
    /// Money that is set aside.
    pub held: Amount,
}

impl Wallet {
    /// What is left: posted transfers minus rated usage minus holds.
    #[must_use]
    pub fn balance(&self) -> Amount {
        self.posted - self.unposted - self.held
    }
}

/// Everything that pricing holds in memory.
#[derive(Debug, Default)]
pub struct Pricing {
    /// All service points.
    pub points: Points,
    /// All wallets.
    pub wallets: BTreeMap<AccountId, Wallet>,
    /// Service points with readings that wait to be resolved.
    pub late: BTreeSet<ServicePointId>,
    /// Accounts for which an adjustment waits: nobody is cut meanwhile.
    pub held: BTreeSet<AccountId>,
    /// Up to when fixed charges are charged.
    pub accruals: Accruals,
    /// Accounts that are being re-rated: nobody is cut meanwhile either.
    pub rerating: Rerating,
    /// Accounts whose balance or evidence changed since control looked.
    pub touched: BTreeSet<AccountId>,
    /// Where meters are, who pays for service points.
    registry: Arc<Registry>,
}

impl Pricing {
    /// Takes over a registry: service points keep their state and lines, and are rated by the new terms from now on.
    pub fn follow(&mut self, registry: &Arc<Registry>) {
        self.registry = Arc::clone(registry);
        self.accruals.follow(registry.service_points().map(|point| (point.id, &point.setup.terms)));
        self.points.follow(registry);
    }

    /// The service points that an account ever paid for.
    pub fn points_paid_by(&self, account: AccountId) -> impl Iterator<Item = ServicePointId> {
        self.registry.paid_by(account)
    }

    /// Prices a frame's readings in order; gives each row's verdict, [`Verdict::Pending`] for those that were late.
    pub fn price(&mut self, seq: Seq, batch: &Batch) -> Vec<Verdict> {
        let mut verdicts = vec![Verdict::NoEpoch; batch.len()];
        let received_at = Moment(batch.received_at);
        let registry = Arc::clone(&self.registry);
        let mut row = 0;
        while row < batch.len() {
            // Rows of one meter mostly come together.
            let meter = batch.meter[row];
            let end = batch.meter[row..].iter().position(|next| *next != meter).map_or(batch.len(), |run| row + run);
            let places = registry.points_of(MeterId(meter));
            if let [only] = places
                && let Some(point) = self.points.get_mut(only)
            {
                if point.setup.pool().is_some() {
                    self.take_beside(*only, |point, beside| {
                        for (at, verdict) in (row..end).zip(&mut verdicts[row..end]) {
                            *verdict = take(point, batch, at, seq, received_at, beside);
                        }
                    });
                } else {
                    for (at, verdict) in (row..end).zip(&mut verdicts[row..end]) {
                        *verdict = take(point, batch, at, seq, received_at, &Beside::NOBODY);
                    }
                    settle_owed(&mut self.wallets, &mut self.touched, point);
                    if !point.late().is_empty() {
                        self.late.insert(*only);
                    }
                }
            } else {
                for (at, verdict) in (row..end).zip(&mut verdicts[row..end]) {
                    let time = Moment(batch.time[at]);
                    // At the moment of a move a reading closes the one place and opens the other.
                    for id in places {
                        if !self.points.get(id).is_some_and(|point| point.setup.holds_at(MeterId(meter), time)) {
                            continue;
                        }
                        self.take_beside(*id, |point, beside| {
                            let taken = take(point, batch, at, seq, received_at, beside);
                            if matches!(*verdict, Verdict::NoEpoch | Verdict::Opening) {
                                *verdict = taken;
                            }
                        });
                    }
                }
            }
            row = end;
        }
        verdicts
    }

    /// Lets a service point take readings beside the other members of its pool.
    fn take_beside(&mut self, id: ServicePointId, take: impl FnOnce(&mut PointRuntime, &Beside<'_>)) {
        let Some(place) = self.points.get_mut(&id) else { return };
        let setup = Arc::clone(&place.setup);
        // Taken out meanwhile, so that the others can be looked at.
        let mut point = std::mem::replace(place, PointRuntime::new(Arc::clone(&setup)));
        take(&mut point, &self.beside(&setup));
        settle_owed(&mut self.wallets, &mut self.touched, &mut point);
        if !point.late().is_empty() {
            self.late.insert(id);
        }
        if let Some(place) = self.points.get_mut(&id) {
            *place = point;
        }
    }

    /// What the other members of a service point's pool have come to.
    fn beside(&self, setup: &Setup) -> Beside<'_> {
        let Some(pool) = setup.pool() else { return Beside::NOBODY };
        let others = || pool.iter().filter(|other| **other != setup.id).filter_map(|other| self.points.get(other));
        let closes_at = others().filter_map(PointRuntime::closes_at).min();
        Beside { members: others().collect(), closes_at }
    }

    /// Adds a difference to a service point's open lines; `before` is what those lines cost before.
    pub fn add_difference(&mut self, id: ServicePointId, difference: &Sums, before: Sums) {
        let Some(point) = self.points.get_mut(&id) else { return };
        let closed: Sums = before.into_iter().filter(|(key, _)| point.setup.is_closed(key.date)).collect();
        if !closed.is_empty() {
            point.news().before.extend(closed);
        }
        point.replace_calm(None);
        for (key, sum) in difference {
            point.lines.add(*key, *sum);
            point.changed = true;
        }
        settle_owed(&mut self.wallets, &mut self.touched, point);
    }

    /// Takes the lines of closed months out of the open ones, before they are posted: they wait for approval. Also gives
    /// those that the book holds as not posted.
    pub fn set_apart_closed(&mut self) -> (SetApart, Vec<(ServicePointId, LineKey)>) {
        let (mut apart, mut stored) = (SetApart::new(), Vec::new());
        let Pricing { points, wallets, registry, .. } = self;
        for point in points.iter_mut().filter(|point| point.changed) {
            let before = point.news.as_mut().map(|news| std::mem::take(&mut news.before)).unwrap_or_default();
            let Some(closed) = point.setup.closed_through else { continue };
            let id = point.id;
            let Some(utility) = registry.service_point(id).map(|known| known.utility) else { continue };
            point.lines.all().retain(|line| {
                let key = line.key;
                let month = key.date.month();
                if key.account == AccountId(0) || month > closed {
                    return true;
                }
                if line.stored {
                    stored.push((id, key));
                }
                wallets.entry(key.account).or_default().unposted -= line.sum().amount;
                let adjusted =
                    AdjustedLine { before: before.get(&key).copied().unwrap_or_default(), difference: line.sum() };
                apart.entry((key.account, utility, month)).or_default().insert((id, key), adjusted);
                false
            });
        }
        (apart, stored)
    }

    /// Bills the installations that ended with a stated closing count.
    pub fn close(&mut self, until: Moment) {
        let mut pools: BTreeSet<ServicePointId> = BTreeSet::new();
        for point in self.points.iter_mut() {
            if let Some(first) = point.setup.pool().and_then(|pool| pool.first()) {
                if point.ends() {
                    pools.insert(*first);
                }
                continue;
            }
            point.close(until);
            if !point.late().is_empty() {
                self.late.insert(point.id);
            }
            settle_owed(&mut self.wallets, &mut self.touched, point);
        }
        for first in pools {
            self.close_pool(first, until);
        }
    }

    /// As [`Pricing::close`], in the order of the ends over all members of a pool. Where one has to wait, so do all after it.
    fn close_pool(&mut self, first: ServicePointId, until: Moment) {
        let Some(pool) = self.points.get(&first).and_then(|point| point.setup.pool().cloned()) else { return };
        loop {
            let members = pool.iter().filter_map(|id| self.points.get(id));
            let due = members.filter_map(|member| {
                let (end, epoch) = member.setup.point().closes_next(&member.state, until)?;
                Some((end, epoch, member.setup.id))
            });
            let Some((end, _, id)) = due.min() else { break };
            let mut waits = false;
            self.take_beside(id, |point, beside| {
                waits = point.close_next(end, beside);
            });
            if waits {
                return;
            }
        }
        // None is left that counts; what was suspended at the end of others is in doubt no longer.
        for id in pool.iter() {
            self.take_beside(*id, |point, _| point.close(until));
        }
    }

    /// The time of the oldest reading that an account's balance rests on, and whether any of its readings is in doubt.
    /// Only service points that the account pays for now count.
    #[must_use]
    pub fn evidence(&self, account: AccountId, now: Moment) -> (Option<Moment>, bool) {
        let mut as_of = None;
        let mut doubt = false;
        for id in self.points_paid_by(account) {
            let Some(point) = self.points.get(&id) else { continue };
            if point.setup.terms.contract_at(now).is_none_or(|contract| contract.account != account) {
                continue;
            }
            doubt |= point.state.in_doubt() || !point.late().is_empty();
            match point.state.measured_until() {
                Some(until) => as_of = Some(as_of.map_or(until, |known: Moment| known.min(until))),
                None => doubt = true,
            }
        }
        (as_of, doubt)
    }
}

fn take(
    point: &mut PointRuntime,
    batch: &Batch,
    at: usize,
    seq: Seq,
    received_at: Moment,
    beside: &Beside<'_>,
) -> Verdict {
    let meter = MeterId(batch.meter[at]);
    let row = Row { meter, time: Moment(batch.time[at]), received_at, value: batch.value_at(at) };
    match point.take(&row, beside) {
        Step::Judged(verdict) => verdict,
        Step::Late => {
            let Row { time, value, .. } = row;
            let verdict = Verdict::Pending;
            point.news().late.push(StoredRow {
                meter,
                time,
                value,
                received_at,
                seq: seq.0,
                row: Some(at),
                verdict,
                correction: None,
            });
            verdict
        }
    }
}

fn settle_owed(wallets: &mut BTreeMap<AccountId, Wallet>, touched: &mut BTreeSet<AccountId>, point: &mut PointRuntime) {
    for (account, amount) in point.take_owed() {
        wallets.entry(account).or_default().unposted += amount;
        touched.insert(account);
    }
    // A reading that bills nothing is evidence all the same.
    let payer = point.state.watermark.and_then(|time| point.setup.terms.contract_at(time));
    touched.extend(payer.map(|contract| contract.account));
}
