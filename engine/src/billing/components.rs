//! Charges beside energy: worked out by the kernel from what is charged, compared with what they cost so far, and only the
//! difference becomes lines (domain.md, 4 and 10).
//!
//! Fixed charges accrue day by day ([`super::accrual`]). All others are charged when a month is final: when its period is
//! closed, or earlier for an account that was closed. What they come to is a function of the ledger's energy lines, of
//! contracts and stored readings; so whatever changes one of these later, in any order, ends at the same lines:
//!
//! - a close charges them in the transaction that closes the period, and a second one charges nothing more;
//! - opening a period again takes them back, by lines like any other difference;
//! - a late reading of a closed month proposes their difference together with that of the energy: an adjustment that waits
//!   counts as approved for those after it, and what one that was rejected had assumed is proposed back.
//!
//! Before a month is final they are a forecast, which statements show and no balance holds: it cuts nobody off. What the close
//! then charges at once, taxes included, counts for cut-off only after the notice time of a re-rate.

use std::collections::{BTreeMap, BTreeSet};

use kernel::component::bill::bill;
use kernel::component::line::{Effect, Line, Measure, Standing, Why};
use kernel::component::month::DayRun;
use kernel::component::{Charge, Component};
use kernel::id::{AccountId, ServicePointId, TariffVersionId};
use kernel::money::Quantity;
use kernel::time::{LocalDate, LocalMonth};

use super::charged::{for_each_line, for_each_posted};
use super::component_facts::{self, AccountMonth, Charged, of_point};
use super::error::BillingError;
use super::lines::{LineKey, Sum};
use super::names::ComponentName;
use super::rerate::{Sums, difference};
use super::writer::Writer;
use crate::rating::compare::PointDifference;
use crate::registry::Registry;

/// One line of an account's month, charged or to be expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentLine {
    /// Where.
    pub point: ServicePointId,
    /// The local day under which it is charged: the last that it is for.
    pub date: LocalDate,
    /// What it is, and why. Its standing is final exactly where it is charged.
    pub line: Line,
}

/// The component of a version; also one that was superseded.
pub(super) fn component_of(registry: &Registry, version: TariffVersionId, name: ComponentName) -> Option<&Component> {
    let (_, version) = registry.version(version)?;
    version.components.iter().find(|component| component.name == name.as_str())
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

impl Writer {
    /// Charges what monthly components come to in all months that are due, or takes it back.
    pub(super) async fn charge_components(&mut self) -> Result<(), BillingError> {
        self.find_due();
        let mut months: BTreeMap<LocalMonth, BTreeSet<ServicePointId>> = BTreeMap::new();
        for (point, month) in std::mem::take(&mut self.charging.due) {
            months.entry(month).or_default().insert(point);
        }
        for (month, points) in months {
            let charged = self.charged(&points, month).await?;
            for point in points {
                let (difference, before) = self.component_difference(point, month, &charged).await?;
                if let Some(recorded) = self.recorded.as_mut().filter(|_| !difference.is_empty()) {
                    let (charged, difference) = (before.clone(), difference.clone());
                    recorded.push(PointDifference { id: point, charged, difference });
                }
                self.pricing.add_difference(point, &difference, before);
            }
        }
        Ok(())
    }

    /// Some service points, and those on whose use their charges rest.
    fn with_sources(&self, points: &BTreeSet<ServicePointId>) -> BTreeSet<ServicePointId> {
        let contracts =
            points.iter().filter_map(|id| self.registry.service_point(*id)).flat_map(|point| &point.contracts);
        let sources = contracts.flat_map(|contract| self.registry.facts_of(contract.id).points());
        points.iter().copied().chain(sources).collect()
    }

    /// All lines of a month as they are in memory and book together; adjustments that wait count as approved.
    pub(super) async fn charged(
        &mut self,
        points: &BTreeSet<ServicePointId>,
        month: LocalMonth,
    ) -> Result<Charged, BillingError> {
        let points = self.with_sources(points);
        let mut charged = Charged::new();
        let mut snapshot = self.book.snapshot().await?;
        for_each_posted(&mut snapshot, &self.lake, &self.files, &points, month..=month, |line| {
            charged.entry((line.point, line.key)).or_default().add(line.sum);
        })
        .await?;
        for waits in self.adjustments.pending.values().filter(|waits| waits.month == month) {
            for ((point, key), line) in waits.lines.iter().filter(|((point, _), _)| points.contains(point)) {
                charged.entry((*point, *key)).or_default().add(line.difference);
            }
        }
        for id in &points {
            let Some(point) = self.pricing.points.get_mut(id) else { continue };
            for line in point.lines.all().iter().filter(|line| line.key.date.month() == month) {
                charged.entry((*id, line.key)).or_default().add(line.sum());
            }
        }
        Ok(charged)
    }

    /// What is to be charged more at a service point, and what those lines cost before.
    pub(super) async fn component_difference(
        &self,
        point: ServicePointId,
        month: LocalMonth,
        charged: &Charged,
    ) -> Result<(Sums, Sums), BillingError> {
        let mut target = Sums::new();
        for account in self.payers(point) {
            let of = AccountMonth { point, account, month };
            if !self.is_final(of) {
                continue;
            }
            for ComponentLine { date, line, .. } in self.worked_out(of, charged, true).await? {
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

    /// All lines of an account's month at a service point, fixed charges included.
    async fn worked_out(
        &self,
        of: AccountMonth,
        charged: &Charged,
        closed: bool,
    ) -> Result<Vec<ComponentLine>, BillingError> {
        let Some(terms) = self.registry.terms(of.point) else { return Ok(Vec::new()) };
        let Some(segments) = component_facts::segments(&self.registry, terms, charged, of) else {
            return Ok(Vec::new());
        };
        let maxima = self.maxima(of, &component_facts::windows_of(&segments), None).await?.maxima;
        let last = |days: DayRun| days.first.plus(i32::from(days.count.max(1)) - 1);
        let dates: BTreeMap<TariffVersionId, LocalDate> =
            segments.iter().map(|segment| (segment.version.id, last(segment.days))).collect();
        let facts = component_facts::facts(&self.registry, charged, of, segments, maxima, closed);
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

    /// What the components of an account's month come to by what the book says: charged where the month is final, else as
    /// a forecast. Fixed charges are among them for all days of the month.
    ///
    /// # Errors
    /// [`BillingError`] where book or lake cannot be read.
    pub async fn components(&self, account: AccountId, month: LocalMonth) -> Result<Vec<ComponentLine>, BillingError> {
        let points: BTreeSet<ServicePointId> = self.registry.paid_by(account).collect();
        let concerned: BTreeSet<ServicePointId> =
            points.iter().copied().filter(|point| self.charging.points.contains(point)).collect();
        let mut charged = Charged::new();
        if !concerned.is_empty() {
            let mut snapshot = self.book.snapshot().await?;
            let needed = self.with_sources(&concerned);
            for_each_line(&mut snapshot, &self.lake, &self.files, &needed, month..=month, |line| {
                charged.entry((line.point, line.key)).or_default().add(line.sum);
            })
            .await?;
        }
        let mut lines = Vec::new();
        for point in points {
            let of = AccountMonth { point, account, month };
            lines.extend(self.worked_out(of, &charged, self.is_final(of)).await?);
        }
        Ok(lines)
    }

    /// The components that are charged under a local day of an account, or are to be expected there.
    ///
    /// # Errors
    /// As [`Writer::components`].
    pub async fn explain_components(
        &self,
        account: AccountId,
        date: LocalDate,
    ) -> Result<Vec<ComponentLine>, BillingError> {
        let mut lines = self.components(account, date.month()).await?;
        lines.retain(|line| line.line.why != Why::Days && line.date == date);
        for id in self.registry.paid_by(account) {
            let Some(point) = self.pricing.points.get(&id) else { continue };
            let day = DayRun { first: date, count: 1 };
            for key in super::accrual::fixed(&point.setup.terms, date..=date).into_keys() {
                let component = component_of(&self.registry, key.version, key.component);
                let Some(component) = component.filter(|_| key.account == account) else { continue };
                let measure = match component.charge {
                    Charge::Daily(price) => Measure::Units { quantity: super::accrual::ONE, price },
                    Charge::Monthly(price) => Measure::Days { quantity: super::accrual::ONE, price, days: day },
                    _ => continue,
                };
                let line = Line {
                    component: component.name.clone(),
                    version: key.version,
                    band: None,
                    tier: None,
                    measure,
                    amount: measure.amount(date.month()),
                    effect: Effect::Added,
                    standing: Standing::Final,
                    why: Why::Days,
                };
                lines.push(ComponentLine { point: id, date, line });
            }
        }
        Ok(lines)
    }
}
