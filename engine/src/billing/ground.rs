//! What charges beside energy are worked out by, beside charged lines: contracts, days, and what is final. The writer works
//! them out between two settlements, and a re-rate aside, while billing goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kernel::component::bill::bill;
use kernel::component::demand::{Maxima, Window};
use kernel::component::line::{Effect, Line, Measure, Standing, Why};
use kernel::component::month::DayRun;
use kernel::id::{AccountId, ServicePointId, SiteId, TariffVersionId};
use kernel::money::Quantity;
use kernel::time::{DAY, LocalDate, LocalMonth, Moment};

use super::accrual::fixed;
use super::component_facts::{self, AccountMonth, Charged, of_point};
use super::components::{ComponentLine, component_of};
use super::error::BillingError;
use super::lines::{LineKey, Sum};
use super::names::ComponentName;
use super::rerate::{Sums, difference};
use super::writer::Writer;
use crate::rating::Span;
use crate::registry::{Registry, ServicePoint};

/// The maxima that the final months of accounts ask for.
pub(super) type Demand = BTreeMap<AccountMonth, Vec<(Window, Maxima)>>;

/// What holds between two settlements.
#[derive(Debug)]
pub(super) struct Ground {
    pub registry: Arc<Registry>,
    now: Moment,
    /// The site and month that are being closed.
    closing: Option<(SiteId, LocalMonth)>,
    /// Up to which local day fixed charges are charged, where any is.
    through: BTreeMap<ServicePointId, LocalDate>,
}

/// Whether everything that an account owes for a month is charged.
pub(super) fn is_final(
    registry: &Registry,
    of: AccountMonth,
    now: Moment,
    closing: Option<(SiteId, LocalMonth)>,
) -> bool {
    let site = registry.service_point(of.point).and_then(|point| registry.site(point.site));
    let Some(site) = site else { return false };
    let closed = site.closed_through.is_some_and(|closed| of.month <= closed);
    let ended = registry.account(of.account).is_some_and(|account| account.has_ended(now));
    closed || ended || closing == Some((site.id, of.month))
}

/// The accounts that ever paid at a service point.
pub(super) fn payers(registry: &Registry, point: ServicePointId) -> BTreeSet<AccountId> {
    let contracts = registry.service_point(point).into_iter().flat_map(ServicePoint::contracts);
    contracts.map(|contract| contract.account).collect()
}

/// Some service points, and those on whose use their charges rest.
pub(super) fn with_sources(registry: &Registry, points: &BTreeSet<ServicePointId>) -> BTreeSet<ServicePointId> {
    let contracts = points.iter().filter_map(|id| registry.service_point(*id)).flat_map(ServicePoint::contracts);
    let sources = contracts.flat_map(|contract| registry.facts_of(contract.id).points());
    points.iter().copied().chain(sources).collect()
}

/// How much of what a line is for: units, kW; nothing where it is a share of money.
fn quantity_of(measure: Measure) -> Quantity {
    match measure {
        Measure::Units { quantity, .. } | Measure::Days { quantity, .. } => quantity,
        Measure::Share { .. } | Measure::Within { .. } | Measure::Difference { .. } => Quantity::ZERO,
    }
}

fn key_of(account: AccountId, date: LocalDate, line: &Line) -> LineKey {
    LineKey {
        account,
        date,
        version: line.version,
        band: line.band.map_or(0, |band| band as u8),
        tier: line.tier.unwrap_or(0),
        component: ComponentName::of(&line.component),
    }
}

/// All lines of an account's month at a service point, fixed charges included.
pub(super) fn worked_out(
    registry: &Registry,
    of: AccountMonth,
    charged: &Charged,
    maxima: Vec<(Window, Maxima)>,
    closed: bool,
) -> Result<Vec<ComponentLine>, BillingError> {
    let Some(terms) = registry.terms(of.point) else { return Ok(Vec::new()) };
    let Some(segments) = component_facts::segments(registry, terms, charged, of) else {
        return Ok(Vec::new());
    };
    let last = |days: DayRun| days.first.plus(i32::from(days.count.max(1)) - 1);
    let dates: BTreeMap<TariffVersionId, LocalDate> =
        segments.iter().map(|segment| (segment.version.id, last(segment.days))).collect();
    let facts = component_facts::facts(registry, charged, of, segments, maxima, closed);
    let lines = bill(&facts).map_err(|fault| BillingError::Components {
        point: of.point,
        account: of.account,
        month: of.month,
        fault,
    })?;
    let standing = if closed { Standing::Final } else { Standing::Forecast };
    let dated = lines.into_iter().map(|line| {
        let date = dates.get(&line.version).copied().unwrap_or(of.month.first_day());
        let standing = if line.why == Why::Days { Standing::Final } else { standing };
        ComponentLine { point: of.point, date, line: Line { standing, ..line } }
    });
    Ok(dated.collect())
}

impl Writer {
    /// What holds now, for some service points.
    pub(super) fn ground(&self, points: impl IntoIterator<Item = ServicePointId>) -> Ground {
        let accruals = &self.pricing.accruals;
        Ground {
            registry: Arc::clone(&self.registry),
            now: self.clock.now(),
            closing: self.closing,
            through: points.into_iter().filter_map(|id| Some((id, accruals.through(id)?))).collect(),
        }
    }
}

impl Ground {
    /// Whether everything that an account owes for a month is charged.
    pub(super) fn is_final(&self, of: AccountMonth) -> bool {
        is_final(&self.registry, of, self.now, self.closing)
    }

    /// No local day that has not ended anywhere is of an earlier month than this.
    pub(super) fn present_month(&self) -> LocalMonth {
        LocalDate(i32::try_from((self.now.0 - DAY).div_euclid(DAY)).unwrap_or(i32::MAX)).month()
    }

    /// The months of a span in which one of these service points had a contract, up to this one or the last that is charged.
    pub(super) fn months_of(&self, points: &[ServicePointId], span: Span) -> impl Iterator<Item = LocalMonth> + use<> {
        let (mut first, mut last) = (None::<LocalMonth>, None::<LocalMonth>);
        let through = points.iter().filter_map(|id| self.through.get(id)).max();
        for point in points.iter().filter_map(|id| self.registry.service_point(*id)) {
            let Some(days) = self.registry.site(point.site).map(|site| &site.days) else { continue };
            let month = |moment| days.at(moment).map(|day| day.date.month());
            // A contract may be older than the table of days.
            let table = days.all().first().map(|day| day.date.month());
            let begins = point.contracts().filter_map(|contract| month(contract.valid_from).or(table)).min();
            first = first.into_iter().chain(begins).min();
            last = last.max(month(self.now));
        }
        last = last.max(through.map(|through| through.month()));
        let bounds = first.zip(last).map(|(first, last)| (first.max(span.first.month()), last.min(span.last.month())));
        bounds.into_iter().flat_map(|(first, last)| (first.0..=last.0).map(LocalMonth))
    }

    /// What is to be charged more at a service point, and what those lines cost before.
    pub(super) fn component_difference(
        &self,
        point: ServicePointId,
        month: LocalMonth,
        charged: &Charged,
        demand: &Demand,
    ) -> Result<(Sums, Sums), BillingError> {
        let mut target = Sums::new();
        for account in payers(&self.registry, point) {
            let of = AccountMonth { point, account, month };
            if !self.is_final(of) {
                continue;
            }
            let maxima = demand.get(&of).cloned().unwrap_or_default();
            for ComponentLine { date, line, .. } in worked_out(&self.registry, of, charged, maxima, true)? {
                let sum = Sum { quantity: quantity_of(line.measure), amount: line.amount };
                if line.effect == Effect::Added && line.why != Why::Days {
                    target.entry(key_of(account, date, &line)).or_default().add(sum);
                }
            }
        }
        target.retain(|_, sum| !sum.is_zero());
        let monthly = |key: &LineKey| {
            let component = component_of(&self.registry, key.version, key.component);
            key.component != ComponentName::ENERGY && !component.is_some_and(|component| component.charge.is_fixed())
        };
        let current = of_point(charged, point).filter(|(key, _)| monthly(key));
        let current: Sums = current.map(|(key, sum)| (*key, *sum)).collect();
        let difference = difference(&current, target);
        let before = current.into_iter().filter(|(key, _)| difference.contains_key(key)).collect();
        Ok((difference, before))
    }

    /// Fixed charges of the days of a span that have been charged, against what their terms say.
    pub(super) fn fixed_difference(
        &self,
        point: ServicePointId,
        month: LocalMonth,
        span: Span,
        charged: &Charged,
    ) -> (Sums, Sums) {
        let (Some(terms), Some(through)) = (self.registry.terms(point), self.through.get(&point).copied()) else {
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
        let today = terms.days.at(self.now).map(|day| day.date);
        let today = today.filter(|today| span.first <= today.plus(1) && through <= span.last);
        let differs = difference(&current, fixed(terms, first..=last.min(today.unwrap_or(last))));
        let before = current.into_iter().filter(|(key, _)| differs.contains_key(key)).collect();
        (differs, before)
    }
}
