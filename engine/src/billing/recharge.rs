//! What charges beside energy come to against what was charged for them, over the months of a span: the part of a re-rate
//! that no readings alone can tell.
//!
//! Compared are the charges that are charged: components of months that are final, and fixed ones of the days that have been
//! charged, in the open month too. A forecast is nobody's charge and no difference. What waits for approval counts as approved,
//! as everywhere. A line whose difference is the very one that was rejected by itself, without any energy, is left out: a person
//! decided that. Any other difference is found in full. Together with energy that was rejected, the ledger is consistent
//! without both.
//!
//! As with energy, months are compared aside, each over one snapshot of the book and on all cores, and the writer works out
//! no more than what differs there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::StreamExt as _;
use kernel::id::ServicePointId;
use kernel::time::{LocalMonth, Moment};
use sqlx::{Any, AnyConnection, Transaction};

use super::charged::{ChargedLine, for_each_line, line_of};
use super::component_facts::{AccountMonth, Charged};
use super::components::component_of;
use super::error::BillingError;
use super::ground::{Demand, Ground, payers, with_sources};
use super::lines::{LineKey, Sum};
use super::names::ComponentName;
use super::periods::Refused;
use super::point::Setup;
use super::recovery::lake_files;
use super::rerate::Sums;
use super::writer::Writer;
use crate::book::BookError;
use crate::engine::{Handle, Stopped};
use crate::lake::flush::LakeFile;
use crate::rating::bills::demand as maxima_of;
use crate::rating::compare::PointDifference;
use crate::rating::{Pair, Span, rate_span};

impl Ground {
    /// What differs in a month at some service points.
    fn differences(
        &self,
        points: &BTreeSet<ServicePointId>,
        month: LocalMonth,
        span: Span,
        (charged, rejected): (&Charged, &Rejected),
        demand: &Demand,
    ) -> Result<Vec<PointDifference>, BillingError> {
        let mut found = Vec::new();
        for point in points {
            let (mut differs, mut before) = self.component_difference(*point, month, charged, demand)?;
            let (fixed, fixed_before) = self.fixed_difference(*point, month, span, charged);
            differs.extend(fixed);
            before.extend(fixed_before);
            differs.retain(|key, sum| !rejected.get(&(*point, *key)).is_some_and(|sums| sums.contains(sum)));
            before.retain(|key, _| differs.contains_key(key));
            if !differs.is_empty() {
                found.push(PointDifference { id: *point, charged: before, difference: differs });
            }
        }
        Ok(found)
    }
}

impl Writer {
    /// What differs at some service points in some months.
    pub(super) async fn components_of(
        &mut self,
        points: &[ServicePointId],
        months: &[LocalMonth],
        span: Span,
    ) -> Result<Vec<PointDifference>, BillingError> {
        let points: BTreeSet<ServicePointId> = points.iter().copied().collect();
        let ground = self.ground(points.iter().copied());
        let mut found: BTreeMap<ServicePointId, PointDifference> = BTreeMap::new();
        for month in months {
            let charged = self.charged(&points, *month).await?;
            let rejected = rejected(&mut *self.book.snapshot().await?, *month).await?;
            let mut demand = Demand::new();
            for point in &points {
                demand.extend(self.demand(*point, *month, &charged).await?);
            }
            for one in ground.differences(&points, *month, span, (&charged, &rejected), &demand)? {
                let nothing = || PointDifference { id: one.id, charged: Sums::new(), difference: Sums::new() };
                let all = found.entry(one.id).or_insert_with(nothing);
                all.difference.extend(one.difference);
                all.charged.extend(one.charged);
            }
        }
        Ok(found.into_values().collect())
    }

    /// Days that have not begun are charged when they end, once what they were charged too early is taken back.
    pub(super) fn withdraw_days(&mut self, found: &[PointDifference]) {
        let now = self.clock.now();
        for point in found {
            let Some(today) = self.registry.terms(point.id).and_then(|terms| terms.days.at(now)) else { continue };
            let site = self.registry.service_point(point.id).and_then(|point| self.registry.site(point.site));
            // In a closed month what was charged too early is an adjustment, and no day that is still to be charged.
            let closed = site.and_then(|site| site.closed_through);
            let closed = closed.map(|closed| LocalMonth(closed.0 + 1).first_day().plus(-1));
            let through = closed.map_or(today.date, |closed| closed.max(today.date));
            let is_day = |key: &LineKey| {
                key.date > through
                    && component_of(&self.registry, key.version, key.component)
                        .is_some_and(|component| component.charge.is_fixed())
            };
            if point.difference.keys().any(is_day) {
                self.pricing.accruals.withdraw(point.id, through);
            }
        }
    }
}

impl Handle {
    /// What differs at some service points in a month as the book has it, on top of differences of energy that are not posted.
    /// The writer is asked for no more than what holds at the moment.
    pub(super) async fn components_aside(
        &self,
        points: &[ServicePointId],
        month: LocalMonth,
        span: Span,
        energy: &[PointDifference],
        threads: usize,
    ) -> Result<Result<Vec<PointDifference>, Refused>, Stopped> {
        let points: BTreeSet<ServicePointId> = points.iter().copied().collect();
        let asked = points.clone();
        let held = self.change(move |writer| {
            Box::pin(async move {
                // Its first reading fixes what a snapshot sees.
                let mut snapshot = writer.book.snapshot().await?;
                let files = lake_files(&mut snapshot).await?;
                Ok(((writer.ground(asked), writer.closed_until, snapshot, files), None))
            })
        });
        let (ground, until, snapshot, files) = match held.await? {
            Ok(held) => held,
            Err(refused) => return Ok(Err(refused)),
        };
        let found = self.differences_aside(&points, month, span, energy, (ground, snapshot, files), (until, threads));
        Ok(found.await.map_err(Refused::from))
    }

    async fn differences_aside(
        &self,
        points: &BTreeSet<ServicePointId>,
        month: LocalMonth,
        span: Span,
        energy: &[PointDifference],
        (ground, mut snapshot, files): (Ground, Transaction<'static, Any>, Vec<LakeFile>),
        (until, threads): (Moment, usize),
    ) -> Result<Vec<PointDifference>, BillingError> {
        let needed = with_sources(&ground.registry, points);
        let mut charged = pending(&mut snapshot, month).await?;
        for_each_line(&mut snapshot, self.lake(), &files, &needed, month..=month, |line| {
            charged.entry((line.point, line.key)).or_default().add(line.sum);
        })
        .await?;
        for point in energy.iter().filter(|point| needed.contains(&point.id)) {
            for (key, sum) in point.difference.iter().filter(|(key, _)| key.date.month() == month) {
                charged.entry((point.id, *key)).or_default().add(*sum);
            }
        }
        let rejected = rejected(&mut snapshot, month).await?;
        // Readings are rated from a snapshot of their own.
        drop(snapshot);
        let demand = self.demand_aside(&ground, points, month, until, threads).await?;
        ground.differences(points, month, span, (&charged, &rejected), &demand)
    }

    /// The maxima that final months ask for, from readings rated aside.
    async fn demand_aside(
        &self,
        ground: &Ground,
        points: &BTreeSet<ServicePointId>,
        month: LocalMonth,
        until: Moment,
        threads: usize,
    ) -> Result<Demand, BillingError> {
        let registry = &ground.registry;
        let last = LocalMonth(month.0 + 1).first_day().plus(-1);
        let finals = |point: ServicePointId| {
            let months = payers(registry, point).into_iter().map(move |account| AccountMonth { point, account, month });
            months.filter(|of| ground.is_final(*of)).collect::<Vec<_>>()
        };
        let measures = |setup: &Setup| {
            let mut versions = setup.terms.contracts.iter().flat_map(|contract| contract.versions.iter());
            versions.any(|version| version.components.iter().any(|component| component.charge.window().is_some()))
        };
        let setups = points.iter().filter_map(|id| registry.setup(*id)).filter(|setup| measures(setup));
        let setups = setups.filter(|setup| !finals(setup.id).is_empty());
        let pairs: Vec<Pair> = setups.map(|setup| Pair { intervals: true, ..Pair::of(Arc::clone(setup)) }).collect();
        let mut demand = Demand::new();
        if pairs.is_empty() {
            return Ok(demand);
        }
        let month_alone = Span { first: month.first_day(), last };
        let mut rated = rate_span(self, pairs, month_alone, until, threads).await?;
        while let Some(rated) = rated.next().await {
            let rated = rated?;
            let Some(setup) = registry.setup(rated.id) else { continue };
            for of in finals(rated.id) {
                let measured = maxima_of(registry, setup, &rated.intervals, of);
                demand.extend(measured.map(|measured| (of, measured.maxima)));
            }
        }
        Ok(demand)
    }
}

/// What lines differed by, each time that a person rejected an adjustment of components alone.
type Rejected = BTreeMap<(ServicePointId, LineKey), Vec<Sum>>;

/// Adjustments that wait; they count as charged.
const PENDING: &str = "a.state = 'pending'";
/// Adjustments of components alone that a person rejected.
const REJECTED: &str = "a.state = 'rejected' AND NOT EXISTS (SELECT 1 FROM adjustment_lines e \
                        WHERE e.adjustment_id = a.id AND e.component = 'energy')";

async fn rejected(connection: &mut AnyConnection, month: LocalMonth) -> Result<Rejected, BookError> {
    let mut lines = Rejected::new();
    for ChargedLine { point, key, sum, .. } in adjusted(connection, REJECTED, month).await? {
        lines.entry((point, key)).or_default().push(sum);
    }
    Ok(lines)
}

/// The lines of adjustments of a month that wait.
async fn pending(connection: &mut AnyConnection, month: LocalMonth) -> Result<Charged, BookError> {
    let mut lines = Charged::new();
    for ChargedLine { point, key, sum, .. } in adjusted(connection, PENDING, month).await? {
        lines.entry((point, key)).or_default().add(sum);
    }
    Ok(lines)
}

/// The lines of some adjustments of a month.
async fn adjusted(
    connection: &mut AnyConnection,
    which: &'static str,
    month: LocalMonth,
) -> Result<Vec<ChargedLine>, BookError> {
    let sql = format!(
        "SELECT l.service_point_id, a.account_id, l.local_date, l.band, l.tier, l.tariff_version_id, l.quantity, l.amount, \
         l.component FROM adjustment_lines l JOIN adjustments a ON a.id = l.adjustment_id \
         WHERE a.local_month = $1 AND {which}"
    );
    let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(i64::from(month.0));
    let mut lines = Vec::new();
    for row in query.fetch_all(connection).await? {
        let name: String = sqlx::Row::try_get(&row, 8)?;
        lines.push(line_of(&row, ComponentName::of(&name), "adjustment_lines.amount")?);
    }
    Ok(lines)
}
