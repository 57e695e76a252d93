//! What charges beside energy come to against what was charged for them, over the months of a span: the part of a re-rate
//! that no readings alone can tell.
//!
//! Compared are the charges that are charged: components of months that are final, and fixed ones of the days that have been
//! charged, in the open month too. A forecast is nobody's charge and no difference. What waits for approval counts as approved,
//! as everywhere. A line whose difference is the very one that was rejected by itself, without any energy, is left out: a person
//! decided that. Any other difference is found in full. Together with energy that was rejected, the ledger is consistent
//! without both.

use std::collections::{BTreeMap, BTreeSet};

use kernel::id::ServicePointId;
use kernel::time::{LocalDate, LocalMonth};
use sqlx::Executor as _;

use super::accrual::fixed;
use super::charged::{ChargedLine, line_of};
use super::component_facts::{Charged, of_point};
use super::components::component_of;
use super::error::BillingError;
use super::lines::{ENERGY, LineKey, Sum};
use super::names::ComponentName;
use super::rerate::{Sums, difference};
use super::writer::Writer;
use crate::book::BookError;
use crate::rating::Span;
use crate::rating::compare::PointDifference;

impl Writer {
    /// What differs at some service points, on top of differences of energy that are not posted.
    pub(super) async fn components_of(
        &mut self,
        points: &[ServicePointId],
        span: Span,
        energy: &[PointDifference],
    ) -> Result<Vec<PointDifference>, BillingError> {
        let points: BTreeSet<ServicePointId> = points.iter().copied().collect();
        let rejected = self.rejected().await?;
        let mut found: BTreeMap<ServicePointId, PointDifference> = BTreeMap::new();
        for month in self.months_of(&points, span) {
            let mut charged = self.charged(&points, month).await?;
            let of_month = |key: &LineKey| key.date.month() == month;
            for point in energy {
                for (key, sum) in point.difference.iter().filter(|(key, _)| of_month(key)) {
                    charged.entry((point.id, *key)).or_default().add(*sum);
                }
            }
            for point in &points {
                let (mut differs, mut before) = self.component_difference(*point, month, &charged).await?;
                let (fixed, fixed_before) = self.fixed_difference(*point, month, span, &charged);
                differs.extend(fixed);
                before.extend(fixed_before);
                differs.retain(|key, sum| !rejected.get(&(*point, *key)).is_some_and(|sums| sums.contains(sum)));
                before.retain(|key, _| differs.contains_key(key));
                if !differs.is_empty() {
                    let nothing = || PointDifference { id: *point, charged: Sums::new(), difference: Sums::new() };
                    let all = found.entry(*point).or_insert_with(nothing);
                    all.difference.extend(differs);
                    all.charged.extend(before);
                }
            }
        }
        Ok(found.into_values().collect())
    }

    /// The months of a span in which one of these service points had a contract, up to this one or the last that is charged.
    fn months_of(&self, points: &BTreeSet<ServicePointId>, span: Span) -> impl Iterator<Item = LocalMonth> + use<> {
        let now = self.clock.now();
        let (mut first, mut last) = (None::<LocalMonth>, None::<LocalMonth>);
        let through = points.iter().filter_map(|id| self.pricing.accruals.through(*id)).max();
        for point in points.iter().filter_map(|id| self.registry.service_point(*id)) {
            let Some(days) = self.registry.site(point.site).map(|site| &site.days) else { continue };
            let month = |moment| days.at(moment).map(|day| day.date.month());
            // A contract may be older than the table of days.
            let table = days.all().first().map(|day| day.date.month());
            let begins = point.contracts.iter().filter_map(|contract| month(contract.valid_from).or(table)).min();
            first = first.into_iter().chain(begins).min();
            last = last.max(month(now));
        }
        last = last.max(through.map(LocalDate::month));
        let bounds = first.zip(last).map(|(first, last)| (first.max(span.first.month()), last.min(span.last.month())));
        bounds.into_iter().flat_map(|(first, last)| (first.0..=last.0).map(LocalMonth))
    }

    /// Fixed charges of the days of a span that have been charged, against what their terms say.
    fn fixed_difference(
        &self,
        point: ServicePointId,
        month: LocalMonth,
        span: Span,
        charged: &Charged,
    ) -> (Sums, Sums) {
        let (Some(terms), Some(through)) = (self.registry.terms(point), self.pricing.accruals.through(point)) else {
            return (Sums::new(), Sums::new());
        };
        let end = LocalMonth(month.0 + 1).first_day().plus(-1);
        let (first, last): (LocalDate, LocalDate) =
            (month.first_day().max(span.first), end.min(span.last).min(through));
        let is_fixed = |key: &LineKey| {
            (first..=last).contains(&key.date)
                && key.component != ComponentName::ENERGY
                && component_of(&self.registry, key.version, key.component)
                    .is_some_and(|component| component.charge.is_fixed())
        };
        let current: Sums =
            of_point(charged, point).filter(|(key, _)| is_fixed(key)).map(|(key, sum)| (*key, *sum)).collect();
        // A clock that was ahead has charged days that have not begun: all of them are taken back, or none.
        let today = terms.days.at(self.clock.now()).map(|day| day.date);
        let today = today.filter(|today| span.first <= today.plus(1) && through <= span.last);
        let differs = difference(&current, fixed(terms, first..=last.min(today.unwrap_or(last))));
        let before = current.into_iter().filter(|(key, _)| differs.contains_key(key)).collect();
        (differs, before)
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

    /// What lines differed by, each time that a person rejected an adjustment of components alone.
    async fn rejected(&self) -> Result<BTreeMap<(ServicePointId, LineKey), Vec<Sum>>, BillingError> {
        let sql = "SELECT l.service_point_id, a.account_id, l.local_date, l.band, l.tier, l.tariff_version_id, l.quantity, \
                   l.amount, l.component FROM adjustment_lines l JOIN adjustments a ON a.id = l.adjustment_id \
                   WHERE a.state = 'rejected' AND NOT EXISTS (SELECT 1 FROM adjustment_lines e \
                   WHERE e.adjustment_id = a.id AND e.component = $1)";
        let rows = self.book.reader().fetch_all(sqlx::query(sql).bind(ENERGY)).await.map_err(BookError::from)?;
        let mut lines: BTreeMap<_, Vec<Sum>> = BTreeMap::new();
        for row in rows {
            let name: String = sqlx::Row::try_get(&row, 8).map_err(BookError::from)?;
            let line = line_of(&row, ComponentName::of(&name), "adjustment_lines.amount")?;
            let ChargedLine { point, key, sum, .. } = line;
            lines.entry((point, key)).or_default().push(sum);
        }
        Ok(lines)
    }
}
