//! Which months' charges beside energy must be worked out anew, and for whom a month is final ([`super::components`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kernel::component::Component;
use kernel::id::{AccountId, ServicePointId};
use kernel::time::{LocalMonth, Moment, SiteDays};

use super::component_facts::AccountMonth;
use super::lines::LineKey;
use super::names::ComponentName;
use super::writer::Writer;
use crate::registry::Registry;

/// What must be worked out anew.
#[derive(Debug, Default)]
pub struct Charging {
    /// Months of service points to look at in the next settlement.
    pub due: BTreeSet<(ServicePointId, LocalMonth)>,
    /// Service points with charges that are worked out for a month.
    pub(super) points: BTreeSet<ServicePointId>,
    /// Those whose charges rest on another's use, by that other.
    dependents: BTreeMap<ServicePointId, BTreeSet<ServicePointId>>,
}

impl Charging {
    /// Follows a change of the registry.
    pub fn follow(&mut self, registry: &Registry) {
        self.points.clear();
        self.dependents.clear();
        let monthly = |component: &Component| !component.charge.is_fixed();
        if !registry.versions().any(|version| version.components.iter().any(monthly)) {
            return;
        }
        for point in registry.service_points() {
            let charges = |tariff| {
                let versions = registry.tariff(tariff).into_iter().flat_map(|tariff| &tariff.versions);
                versions.flat_map(|version| &version.components).any(monthly)
            };
            for contract in point.contracts().filter(|contract| charges(contract.tariff)) {
                self.points.insert(point.id);
                for source in registry.facts_of(contract.id).points() {
                    self.dependents.entry(source).or_default().insert(point.id);
                }
            }
        }
    }

    /// Marks the months of a service point and of those that rest on it.
    fn mark(&mut self, point: ServicePointId, month: LocalMonth) {
        let dependents = self.dependents.get(&point).into_iter().flatten();
        let all = dependents.copied().chain(self.points.get(&point).copied());
        self.due.extend(all.map(|point| (point, month)));
    }

    /// Service points with charges that are worked out for a month.
    pub fn points(&self) -> &BTreeSet<ServicePointId> {
        &self.points
    }

    fn concerns(&self, point: ServicePointId) -> bool {
        self.points.contains(&point) || self.dependents.contains_key(&point)
    }
}

/// The month of a moment; of one that is older than the table of days, as a contract may be, the table's first.
fn month_of(days: &SiteDays, moment: Moment) -> Option<LocalMonth> {
    let table = || days.all().first().filter(|day| moment < day.start);
    days.at(moment).or_else(table).map(|day| day.date.month())
}

impl Writer {
    /// Marks what the month that is being closed, and lines that came for months that are final, bring about.
    pub(super) fn find_due(&mut self) {
        if self.charging.points.is_empty() {
            return;
        }
        if let Some((site, month)) = self.closing {
            self.mark_site(site, month);
        }
        let now = self.clock.now();
        let Writer { charging, pricing, registry, .. } = self;
        let mut marked = BTreeSet::new();
        for point in pricing.points.iter_mut().filter(|point| point.changed && charging.concerns(point.id)) {
            let (id, setup) = (point.id, Arc::clone(&point.setup));
            for line in point.lines.all().iter() {
                let key = line.key;
                let ended = || registry.account(key.account).is_some_and(|account| account.has_ended(now));
                let energy = line.changed && key.component == ComponentName::ENERGY;
                if energy && (setup.is_closed(key.date) || ended()) {
                    marked.insert((id, key.date.month()));
                }
            }
        }
        marked.into_iter().for_each(|(point, month)| charging.mark(point, month));
    }

    /// The months of an account that are open, from its contracts' beginnings to a month, at the service points with charges
    /// that are worked out for a month.
    pub(super) fn open_months(&self, account: AccountId, through: LocalMonth) -> Vec<(ServicePointId, LocalMonth)> {
        let mut months = Vec::new();
        let points = self.registry.points_of_account(account).filter(|point| self.charging.points.contains(&point.id));
        for point in points {
            let Some(site) = self.registry.site(point.site) else { continue };
            let own = point.contracts().filter(|contract| contract.account == account);
            let first = own.filter_map(|contract| month_of(&site.days, contract.valid_from)).min();
            let open = site.closed_through.map(|closed| LocalMonth(closed.0 + 1));
            let Some(first) = first.max(open) else { continue };
            months.extend((first.0..=through.0).map(|month| (point.id, LocalMonth(month))));
        }
        months
    }

    /// Marks the months of an account that are open.
    pub(super) fn mark_account(&mut self, account: AccountId, through: LocalMonth) {
        let months = self.open_months(account, through);
        self.charging.due.extend(months);
    }

    /// Marks the months of a service point that something changes which reaches back, where they are final for anybody.
    pub(super) fn mark_final(&mut self, point: ServicePointId, since: Moment, now: Moment) {
        let site = self.registry.service_point(point).and_then(|point| self.registry.site(point.site));
        let month = |moment| site.and_then(|site| month_of(&site.days, moment));
        let Some((first, last)) = month(since).zip(month(now)) else { return };
        for month in (first.0..=last.0).map(LocalMonth) {
            let is_final = |account: &AccountId| self.is_final(AccountMonth { point, account: *account, month });
            if self.payers(point).iter().any(is_final) {
                self.charging.due.insert((point, month));
            }
        }
    }

    /// Whether anything that is charged at a service point rests on its demand.
    pub(super) fn measures_demand(&self, point: ServicePointId) -> bool {
        let terms = self.registry.terms(point).filter(|_| self.charging.points.contains(&point));
        let versions =
            terms.into_iter().flat_map(|terms| &terms.contracts).flat_map(|contract| contract.versions.iter());
        versions.flat_map(|version| &version.components).any(|component| component.charge.window().is_some())
    }

    /// Marks a month at all service points of a site.
    pub(super) fn mark_site(&mut self, site: kernel::id::SiteId, month: LocalMonth) {
        let here = |id: &&ServicePointId| self.registry.service_point(**id).is_some_and(|point| point.site == site);
        let here: Vec<_> = self.charging.points.iter().filter(here).map(|point| (*point, month)).collect();
        self.charging.due.extend(here);
    }

    /// Marks what lines of a month bring about.
    pub(super) fn mark_lines<'k>(&mut self, lines: impl Iterator<Item = &'k (ServicePointId, LineKey)>) {
        lines.for_each(|(point, key)| self.charging.mark(*point, key.date.month()));
    }

    /// Whether everything that an account owes for a month is charged.
    pub(super) fn is_final(&self, of: AccountMonth) -> bool {
        super::ground::is_final(&self.registry, of, self.clock.now(), self.closing)
    }

    /// The accounts that ever paid at a service point.
    pub(super) fn payers(&self, point: ServicePointId) -> BTreeSet<AccountId> {
        super::ground::payers(&self.registry, point)
    }
}
