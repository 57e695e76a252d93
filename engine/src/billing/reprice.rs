//! `rerate`: charges compared with what the readings cost, and the difference posted (design.md, "How exactly-once works",
//! 7).
//!
//! The comparison of a whole span runs aside, on all cores, while billing goes on. What it finds is a suspicion, because
//! readings keep coming: the writer compares those few service points once more between two settlements, when nothing can
//! move, and posts what differs then in one transaction for each [`POINTS_AT_ONCE`] of them. So a reading that came meanwhile
//! is priced as ever and never twice, wherever it is dated. A second run finds nothing.
//!
//! Charges beside energy follow (`recharge`): what the energy that differs brings about is shown and posted with it,
//! and all others of the span's months are worked out once more against what was charged for them; aside too, and by the
//! writer only where something differs and is to be posted, few service points and one month at a visit.
//!
//! An open month gets signed, linked differences like those of late readings; a closed one an adjustment, posted at once
//! within the site's limit, else when another person approves it. While it is being worked out nobody among the accounts is cut.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};

use kernel::id::{AccountId, ContractId, ServicePointId};
use kernel::money::Amount;
use kernel::time::LocalMonth;

use super::adjustments::{Cause, Origin};
use super::periods::{Refused, because};
use super::point::Setup;
use super::supply::Rerated;
use super::writer::Writer;
use crate::book::chain::{self, Entry};
use crate::engine::{Handle, Stopped};
use crate::rating::compare::{Compared, PointDifference, compare};
use crate::rating::{POINTS_AT_ONCE, Span};
use crate::registry::Registry;

/// Service points whose charges of a month are held in memory (8,192 x 248 lines x 80 bytes = 160 MB).
const COMPONENTS_AT_ONCE: usize = 8_192;
/// Service points whose charges beside energy are worked out in one visit of the writer, which prices nothing meanwhile.
const RECHARGED_AT_ONCE: usize = 16;
/// Threads that the writer itself compares on; it waits meanwhile.
const WRITER_THREADS: usize = 2;

/// Who wants the difference posted, and why.
#[derive(Clone, Debug)]
pub struct RerateOrder {
    /// Who.
    pub actor: String,
    /// Why; it is kept in the audit log and with each adjustment.
    pub reason: String,
}

/// What a re-rate found, and posted where that was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repriced {
    /// Service points that were compared.
    pub points: usize,
    /// Readings that were rated.
    pub readings: u64,
    /// What differs.
    pub differences: Vec<PointDifference>,
}

/// Accounts that nobody cuts while somebody holds the other end of this.
#[derive(Debug, Default)]
pub struct Rerating(Vec<(Weak<()>, BTreeSet<AccountId>)>);

impl Rerating {
    /// Whether an account is being re-rated.
    #[must_use]
    pub fn holds(&self, account: AccountId) -> bool {
        self.0.iter().any(|(held, accounts)| held.strong_count() > 0 && accounts.contains(&account))
    }

    fn add(&mut self, held: &Arc<()>, accounts: BTreeSet<AccountId>) {
        self.0.retain(|(held, _)| held.strong_count() > 0);
        self.0.push((Arc::downgrade(held), accounts));
    }
}

fn has_components(setup: &Setup) -> bool {
    let mut versions = setup.terms.contracts.iter().flat_map(|contract| contract.versions.iter());
    versions.any(|version| !version.components.is_empty())
}

/// The service points whose charges rest on the use of those that differ.
fn resting_on(registry: &Registry, energy: &[PointDifference]) -> BTreeSet<ServicePointId> {
    let differing: BTreeSet<ServicePointId> = energy.iter().map(|point| point.id).collect();
    let rests = |contract: ContractId| registry.facts_of(contract).points().any(|source| differing.contains(&source));
    let points = registry.service_points().filter(|point| point.contracts().any(|contract| rests(contract.id)));
    points.map(|point| point.id).collect()
}

impl Handle {
    /// Compares charges with what the readings cost, on `threads` threads; with an order, posts what differs.
    ///
    /// # Errors
    /// [`Stopped`]; the inner one says why not. What was posted before an error stays posted, each service point whole; the
    /// same again goes on from there.
    pub async fn rerate(
        &self,
        compared: &Compared,
        order: Option<&RerateOrder>,
        threads: usize,
    ) -> Result<Result<Repriced, Refused>, Stopped> {
        if order.is_some_and(|order| order.reason.trim().is_empty()) {
            return Ok(because(
                "a re-rate is not posted without a reason: write --reason \"...\"; it is kept for ever",
            ));
        }
        let registry = self.registry();
        let wanted: Vec<Arc<Setup>> = registry
            .setups()
            .filter(|setup| match &compared.accounts {
                None => true,
                Some(accounts) => setup.terms.contracts.iter().any(|contract| accounts.contains(&contract.account)),
            })
            .cloned()
            .collect();
        let mut repriced = Repriced { points: wanted.len(), ..Repriced::default() };
        let mut beside: BTreeSet<ServicePointId> =
            wanted.iter().filter(|setup| has_components(setup)).map(|setup| setup.id).collect();
        for some in wanted.chunks(compared.points_at_once()) {
            let accounts: BTreeSet<AccountId> =
                some.iter().flat_map(|setup| &setup.terms.contracts).map(|contract| contract.account).collect();
            let held = Arc::new(());
            let until = match self.begin_rerating(&held, accounts.clone(), order.is_some()).await? {
                Ok(until) => until,
                Err(refused) => return Ok(Err(refused)),
            };
            let done = self.rerate_some(some, compared, order, until, threads, &mut repriced).await;
            drop(held);
            if order.is_some() {
                self.end_rerating(accounts).await?;
            }
            if let Err(refused) = done? {
                return Ok(Err(refused));
            }
        }
        beside.extend(resting_on(&registry, &repriced.differences));
        let points: Vec<ServicePointId> = beside.into_iter().collect();
        let mut differences = Vec::new();
        for some in points.chunks(COMPONENTS_AT_ONCE) {
            // What is posted has followed the energy already.
            let energy = if order.is_some() { &[] } else { &repriced.differences[..] };
            match self.recharge(some, compared.span, energy, order, threads).await? {
                Ok(found) => differences.extend(found),
                Err(refused) => return Ok(Err(refused)),
            }
        }
        repriced.differences.append(&mut differences);
        Ok(Ok(repriced))
    }

    /// Charges beside energy, on top of differences of energy that are not posted.
    async fn recharge(
        &self,
        points: &[ServicePointId],
        span: Span,
        energy: &[PointDifference],
        order: Option<&RerateOrder>,
        threads: usize,
    ) -> Result<Result<Vec<PointDifference>, Refused>, Stopped> {
        let (months, present) = match self.months_beside(points.to_vec(), span).await? {
            Ok(months) => months,
            Err(refused) => return Ok(Err(refused)),
        };
        let (past, rest) = months.split_at(months.partition_point(|month| *month < present));
        let mut differences = Vec::new();
        // Days that have not ended are taken back all at once.
        for together in past.chunks(1).chain([rest]) {
            let mut suspects = BTreeSet::new();
            for month in together {
                match self.components_aside(points, *month, span, energy, threads).await? {
                    Ok(found) if order.is_none() => differences.extend(found),
                    Ok(found) => suspects.extend(found.into_iter().map(|point| point.id)),
                    Err(refused) => return Ok(Err(refused)),
                }
            }
            let suspects: Vec<ServicePointId> = suspects.into_iter().collect();
            for some in suspects.chunks(RECHARGED_AT_ONCE) {
                match self.post_components(some.to_vec(), together.to_vec(), span, order.cloned()).await? {
                    Ok(found) => differences.extend(found),
                    Err(refused) => return Ok(Err(refused)),
                }
            }
        }
        Ok(Ok(differences))
    }

    /// The months of a span in which some service points had contracts, in order, and the first with days that have not ended.
    async fn months_beside(
        &self,
        points: Vec<ServicePointId>,
        span: Span,
    ) -> Result<Result<(Vec<LocalMonth>, LocalMonth), Refused>, Stopped> {
        self.change(move |writer| {
            Box::pin(async move {
                let ground = writer.ground(points.iter().copied());
                Ok(((ground.months_of(&points, span).collect(), ground.present_month()), None))
            })
        })
        .await
    }

    async fn post_components(
        &self,
        points: Vec<ServicePointId>,
        months: Vec<LocalMonth>,
        span: Span,
        order: Option<RerateOrder>,
    ) -> Result<Result<Vec<PointDifference>, Refused>, Stopped> {
        self.change(move |writer| {
            Box::pin(async move {
                let found = writer.components_of(&points, &months, span).await?;
                Ok((writer.post_differences(found, span, order.as_ref()).await?, None))
            })
        })
        .await
    }

    async fn rerate_some(
        &self,
        some: &[Arc<Setup>],
        compared: &Compared,
        order: Option<&RerateOrder>,
        until: kernel::time::Moment,
        threads: usize,
        repriced: &mut Repriced,
    ) -> Result<Result<(), Refused>, Stopped> {
        let (suspects, readings) = match compare(self, some.to_vec(), compared, until, threads).await {
            Ok(found) => found,
            Err(error) => return Ok(Err(error.into())),
        };
        repriced.readings += readings;
        let suspects: Vec<ServicePointId> = suspects.iter().map(|point| point.id).collect();
        for some in suspects.chunks(POINTS_AT_ONCE) {
            match self.reprice(some.to_vec(), compared, order).await? {
                Ok(found) => repriced.differences.extend(found),
                Err(refused) => return Ok(Err(refused)),
            }
        }
        Ok(Ok(()))
    }

    async fn begin_rerating(
        &self,
        held: &Arc<()>,
        accounts: BTreeSet<AccountId>,
        posts: bool,
    ) -> Result<Result<kernel::time::Moment, Refused>, Stopped> {
        let held = Arc::clone(held);
        self.change(move |writer| {
            Box::pin(async move {
                if posts {
                    // Control looks again only at accounts that were touched.
                    writer.pricing.touched.extend(&accounts);
                    writer.pricing.rerating.add(&held, accounts);
                }
                Ok((writer.closed_until, None))
            })
        })
        .await
    }

    /// The accounts are held no longer: control looks at them again.
    async fn end_rerating(&self, accounts: BTreeSet<AccountId>) -> Result<(), Stopped> {
        let touch = self.change(move |writer| {
            Box::pin(async move {
                writer.pricing.touched.extend(accounts);
                Ok(((), None))
            })
        });
        // Where this is refused the writer is broken, and whoever asks next is told so.
        touch.await.map(|_| ())
    }

    async fn reprice(
        &self,
        points: Vec<ServicePointId>,
        compared: &Compared,
        order: Option<&RerateOrder>,
    ) -> Result<Result<Vec<PointDifference>, Refused>, Stopped> {
        let (handle, compared, order) = (self.clone(), compared.clone(), order.cloned());
        self.change(move |writer| {
            Box::pin(async move { Ok((writer.reprice(&handle, &points, &compared, order.as_ref()).await?, None)) })
        })
        .await
    }
}

impl Writer {
    /// Compares some service points between two settlements, and posts what differs where there is an order.
    async fn reprice(
        &mut self,
        handle: &Handle,
        points: &[ServicePointId],
        compared: &Compared,
        order: Option<&RerateOrder>,
    ) -> Result<Vec<PointDifference>, Refused> {
        let setups: Vec<Arc<Setup>> =
            points.iter().filter_map(|id| self.pricing.points.get(id)).map(|point| Arc::clone(&point.setup)).collect();
        let (found, _) = compare(handle, setups, compared, self.closed_until, WRITER_THREADS).await?;
        self.post_differences(found, compared.span, order).await
    }

    /// Posts what differs where there is an order; gives it with what it brought about for charges beside energy.
    async fn post_differences(
        &mut self,
        mut found: Vec<PointDifference>,
        span: Span,
        order: Option<&RerateOrder>,
    ) -> Result<Vec<PointDifference>, Refused> {
        let Some(order) = order.filter(|_| !found.is_empty()) else { return Ok(found) };
        let now = self.clock.now();
        let mut tx = self.book.begin().await?;
        let accounts = found.iter().flat_map(|point| point.difference.keys()).map(|key| key.account);
        let rerated: Rerated = accounts.map(|account| (account, now)).collect();
        super::supply::write_rerated(&mut tx, &rerated).await?;
        let (first, last) = (span.first, span.last);
        let total: Amount = found.iter().flat_map(|point| point.difference.values()).map(|sum| sum.amount).sum();
        let detail = serde_json::json!({
            "from": first.to_string(), "to": last.to_string(), "reason": order.reason, "difference": total.to_string(),
            "service_points": found.iter().map(|point| point.id.0).collect::<Vec<_>>(),
        });
        let entry = Entry {
            at: now,
            actor: order.actor.clone(),
            kind: "rerate".to_owned(),
            subject: format!("{} service points", found.len()),
            detail: detail.to_string(),
        };
        chain::append(&mut tx, entry).await?;
        // From here on memory runs ahead of the transaction: if it fails, billing stops and recovers from the book.
        for point in &found {
            self.pricing.add_difference(point.id, &point.difference, point.charged.clone());
        }
        self.withdraw_days(&found);
        self.rerated.extend(rerated);
        let detail = format!("re-rate of {first} to {last}: {}", order.reason);
        self.origin = Some(Origin { cause: Cause::Rerate, actor: order.actor.clone(), detail });
        self.registry_changed(now);
        self.recorded = Some(Vec::new());
        let settled = self.settle_change(tx).await;
        found.extend(self.recorded.take().into_iter().flatten());
        settled?;
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_held_as_long_as_somebody_re_rates_it() {
        let (mut rerating, first, second) = (Rerating::default(), Arc::new(()), Arc::new(()));
        rerating.add(&first, BTreeSet::from([AccountId(1), AccountId(2)]));
        rerating.add(&second, BTreeSet::from([AccountId(2)]));
        assert!(rerating.holds(AccountId(1)) && rerating.holds(AccountId(2)) && !rerating.holds(AccountId(3)));
        // It has ended, or whoever asked has gone.
        drop(first);
        assert!(!rerating.holds(AccountId(1)) && rerating.holds(AccountId(2)));
        drop(second);
        assert!(!rerating.holds(AccountId(2)));
    }
}
