//! Pricing in memory: frames in, verdicts and owed money out. No I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kernel::batch::Batch;
use kernel::id::{AccountId, MeterId, Seq, ServicePointId, Utility};
use kernel::money::Amount;
use kernel::point::{PointState, Row, Step};
use kernel::reading::Verdict;
use kernel::time::Moment;

use super::accrual::Accruals;
use super::adjustments::{AdjustedLine, SetApart};
use super::lines::LineKey;
use super::point::{Beside, PointRuntime, Setup};
use super::posting::PointsOf;
use super::reprice::Rerating;
use super::rerate::Sums;
use crate::lake::read::StoredRow;

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

/// Where a meter's readings belong, and when.
#[derive(Clone, Copy, Debug)]
struct Place {
    from: Moment,
    to: Option<Moment>,
    point: ServicePointId,
}

/// Everything that pricing holds in memory.
#[derive(Debug, Default)]
pub struct Pricing {
    /// All service points; boxed, because a tree's nodes stand half empty.
    pub points: BTreeMap<ServicePointId, Box<PointRuntime>>,
    /// All wallets.
    pub wallets: BTreeMap<AccountId, Wallet>,
    /// Which service points each account pays for, ever.
    pub points_of: PointsOf,
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
    utilities: BTreeMap<ServicePointId, Utility>,
    meter_utilities: BTreeMap<u32, Utility>,
    /// By meter, and by service point where it has several.
    places: Vec<(MeterId, Place)>,
}

impl Pricing {
    /// Takes over a registry: service points keep their state and lines, and are rated by the new terms from now on.
    pub fn replace_setups(&mut self, setups: &BTreeMap<ServicePointId, (Utility, Arc<Setup>)>) {
        self.accruals.follow(setups.iter().map(|(id, (_, setup))| (*id, setup.terms.as_ref())));
        self.places.clear();
        self.points_of.clear();
        for (id, (utility, setup)) in setups {
            self.utilities.insert(*id, *utility);
            for epoch in setup.epochs.iter() {
                self.meter_utilities.insert(epoch.meter.0, *utility);
                let place = Place { from: epoch.valid_from, to: epoch.valid_to, point: *id };
                self.places.push((epoch.meter, place));
            }
            for contract in &setup.terms.contracts {
                let points = self.points_of.entry(contract.account).or_default();
                if points.last() != Some(id) {
                    points.push(*id);
                }
            }
            match self.points.get_mut(id) {
                Some(point) => point.replace_setup(setup.clone()),
                None => {
                    self.points.insert(*id, Box::new(PointRuntime::new(setup.clone(), PointState::default())));
                }
            }
        }
        // Stable: the places of one meter stay in the order of its service points.
        self.places.sort_by_key(|(meter, _)| *meter);
        self.places.shrink_to_fit();
    }

    /// What a service point delivers.
    #[must_use]
    pub fn utility_of(&self, point: ServicePointId) -> Utility {
        self.utilities.get(&point).copied().unwrap_or(Utility::Electricity)
    }

    /// The utility of each meter and of each service point, for the lake's folders.
    #[must_use]
    pub fn utilities(&self) -> (BTreeMap<u32, Utility>, BTreeMap<u32, Utility>) {
        (self.meter_utilities.clone(), self.utilities.iter().map(|(id, utility)| (id.0, *utility)).collect())
    }

    /// Prices a frame's readings in order; gives each row's verdict, [`Verdict::Pending`] for those that were late.
    pub fn price(&mut self, seq: Seq, batch: &Batch) -> Vec<Verdict> {
        let mut verdicts = vec![Verdict::NoEpoch; batch.len()];
        let received_at = Moment(batch.received_at);
        let mut row = 0;
        while row < batch.len() {
            // Rows of one meter mostly come together.
            let meter = batch.meter[row];
            let end = batch.meter[row..].iter().position(|next| *next != meter).map_or(batch.len(), |run| row + run);
            let places = places_of(&self.places, MeterId(meter));
            let only = places.first().filter(|(_, first)| places.iter().all(|(_, place)| place.point == first.point));
            if let Some((_, only)) = only
                && let Some(point) = self.points.get_mut(&only.point)
            {
                if point.setup.pool.is_some() {
                    self.take_beside(only.point, |point, beside| {
                        for (at, verdict) in (row..end).zip(&mut verdicts[row..end]) {
                            *verdict = take(point, batch, at, seq, received_at, beside);
                        }
                    });
                } else {
                    for (at, verdict) in (row..end).zip(&mut verdicts[row..end]) {
                        *verdict = take(point, batch, at, seq, received_at, &Beside::NOBODY);
                    }
                    settle_owed(&mut self.wallets, &mut self.touched, point);
                    if !point.late.is_empty() {
                        self.late.insert(only.point);
                    }
                }
            } else {
                let places = places.to_vec();
                for (at, verdict) in (row..end).zip(&mut verdicts[row..end]) {
                    let time = Moment(batch.time[at]);
                    let holds = |place: &&Place| place.from <= time && place.to.is_none_or(|end| time <= end);
                    let mut asked: Option<ServicePointId> = None;
                    // At the moment of a move a reading closes the one place and opens the other. Two installations at
                    // one service point are one place: it takes a reading once.
                    let held: Vec<ServicePointId> =
                        places.iter().map(|(_, place)| place).filter(holds).map(|place| place.point).collect();
                    for id in held {
                        if asked.replace(id) == Some(id) {
                            continue;
                        }
                        self.take_beside(id, |point, beside| {
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
        let Some(mut point) = self.points.remove(&id) else { return };
        let setup = Arc::clone(&point.setup);
        take(&mut point, &self.beside(&setup));
        settle_owed(&mut self.wallets, &mut self.touched, &mut point);
        if !point.late.is_empty() {
            self.late.insert(id);
        }
        self.points.insert(id, point);
    }

    /// What the other members of a service point's pool have come to.
    fn beside(&self, setup: &Setup) -> Beside<'_> {
        let Some(pool) = &setup.pool else { return Beside::NOBODY };
        let others = || pool.iter().filter(|other| **other != setup.id).filter_map(|other| self.points.get(other));
        let closes_at = others().filter_map(|other| other.closes_at()).min();
        Beside { members: others().map(AsRef::as_ref).collect(), closes_at }
    }

    /// Adds a difference to a service point's open lines; `before` is what those lines cost before.
    pub fn add_difference(&mut self, id: ServicePointId, difference: &Sums, before: Sums) {
        let Some(point) = self.points.get_mut(&id) else { return };
        let closed = before.into_iter().filter(|(key, _)| point.setup.is_closed(key.date));
        point.before.extend(closed);
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
        let Pricing { points, wallets, utilities, .. } = self;
        for (id, point) in points.iter_mut().filter(|(_, point)| point.changed) {
            let before = std::mem::take(&mut point.before);
            let Some(closed) = point.setup.closed_through else { continue };
            let utility = utilities.get(id).copied().unwrap_or(Utility::Electricity);
            point.lines.all().retain(|key, line| {
                let month = key.date.month();
                if key.account == AccountId(0) || month > closed {
                    return true;
                }
                if line.stored {
                    stored.push((*id, *key));
                }
                wallets.entry(key.account).or_default().unposted -= line.sum.amount;
                let adjusted =
                    AdjustedLine { before: before.get(key).copied().unwrap_or_default(), difference: line.sum };
                apart.entry((key.account, utility, month)).or_default().insert((*id, *key), adjusted);
                false
            });
        }
        (apart, stored)
    }

    /// Bills the installations that ended with a stated closing count.
    pub fn close(&mut self, until: Moment) {
        let mut pools: BTreeSet<ServicePointId> = BTreeSet::new();
        for (id, point) in &mut self.points {
            if let Some(first) = point.setup.pool.as_ref().and_then(|pool| pool.first()) {
                if point.ends() {
                    pools.insert(*first);
                }
                continue;
            }
            point.close(until);
            if !point.late.is_empty() {
                self.late.insert(*id);
            }
            settle_owed(&mut self.wallets, &mut self.touched, point);
        }
        for first in pools {
            self.close_pool(first, until);
        }
    }

    /// As [`Pricing::close`], in the order of the ends over all members of a pool. Where one has to wait, so do all after it.
    fn close_pool(&mut self, first: ServicePointId, until: Moment) {
        let Some(pool) = self.points.get(&first).and_then(|point| point.setup.pool.clone()) else { return };
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
        for id in self.points_of.get(&account).into_iter().flatten() {
            let Some(point) = self.points.get(id) else { continue };
            if point.setup.terms.contract_at(now).is_none_or(|contract| contract.account != account) {
                continue;
            }
            doubt |= point.state.in_doubt() || !point.late.is_empty();
            match point.state.measured_until() {
                Some(until) => as_of = Some(as_of.map_or(until, |known: Moment| known.min(until))),
                None => doubt = true,
            }
        }
        (as_of, doubt)
    }
}

/// Where one meter's readings belong.
fn places_of(places: &[(MeterId, Place)], meter: MeterId) -> &[(MeterId, Place)] {
    let first = places.partition_point(|(other, _)| *other < meter);
    let count = places[first..].iter().take_while(|(other, _)| *other == meter).count();
    &places[first..first + count]
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
            point.late.push(StoredRow {
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
