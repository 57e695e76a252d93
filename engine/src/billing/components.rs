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

use kernel::component::demand::{Maxima, Window};
use kernel::component::line::{Effect, Line, Measure, Standing, Why};
use kernel::component::month::DayRun;
use kernel::component::{Charge, Component};
use kernel::id::{AccountId, ServicePointId, TariffVersionId};
use kernel::time::{LocalDate, LocalMonth};

use super::charged::{for_each_line, for_each_posted};
use super::component_facts::{self, AccountMonth, Charged};
use super::error::BillingError;
use super::ground::{Demand, with_sources, worked_out};
use super::names::ComponentName;
use super::rerate::Sums;
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

    /// All lines of a month as they are in memory and book together; adjustments that wait count as approved.
    pub(super) async fn charged(
        &mut self,
        points: &BTreeSet<ServicePointId>,
        month: LocalMonth,
    ) -> Result<Charged, BillingError> {
        let points = with_sources(&self.registry, points);
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
    async fn component_difference(
        &self,
        point: ServicePointId,
        month: LocalMonth,
        charged: &Charged,
    ) -> Result<(Sums, Sums), BillingError> {
        let demand = self.demand(point, month, charged).await?;
        self.ground([point]).component_difference(point, month, charged, &demand)
    }

    /// The maxima that a month asks for at a service point, of those for whom it is final.
    pub(super) async fn demand(
        &self,
        point: ServicePointId,
        month: LocalMonth,
        charged: &Charged,
    ) -> Result<Demand, BillingError> {
        let mut demand = Demand::new();
        for account in self.payers(point) {
            let of = AccountMonth { point, account, month };
            if self.is_final(of) {
                demand.insert(of, self.maxima_asked(of, charged).await?);
            }
        }
        Ok(demand)
    }

    /// The maxima that an account's month asks for.
    async fn maxima_asked(&self, of: AccountMonth, charged: &Charged) -> Result<Vec<(Window, Maxima)>, BillingError> {
        let Some(terms) = self.registry.terms(of.point).filter(|_| self.measures_demand(of.point)) else {
            return Ok(Vec::new());
        };
        let segments = component_facts::segments(&self.registry, terms, charged, of).unwrap_or_default();
        Ok(self.maxima(of, &component_facts::windows_of(&segments), None).await?.maxima)
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
            let needed = with_sources(&self.registry, &concerned);
            for_each_line(&mut snapshot, &self.lake, &self.files, &needed, month..=month, |line| {
                charged.entry((line.point, line.key)).or_default().add(line.sum);
            })
            .await?;
        }
        let mut lines = Vec::new();
        for point in points {
            let of = AccountMonth { point, account, month };
            let maxima = self.maxima_asked(of, &charged).await?;
            lines.extend(worked_out(&self.registry, of, &charged, maxima, self.is_final(of))?);
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
