//! Charges beside energy of a simulation: the facts of each month, gathered from what was rated, and what the kernel makes of
//! them by the old terms and by the new.
//!
//! **Memory.** Of each service point one line for each account, version and month, and where others' charges rest on its use
//! one for each day; its maxima of demand, not its intervals.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kernel::component::ENERGY;
use kernel::component::bill::bill;
use kernel::component::demand::Window;
use kernel::component::facts::Segment;
use kernel::component::line::{Effect, Why};
use kernel::component::{Charge, Component};
use kernel::id::{AccountId, ServicePointId};
use kernel::judge::Interval;
use kernel::money::Amount;
use kernel::time::{LocalMonth, MINUTE};

use super::RatingError;
use super::run::Rated;
use super::simulate::{Bill, Bills, Simulation};
use super::work::{Pair, Span};
use crate::billing::component_facts::{self, AccountMonth, Charged, contracts_by};
use crate::billing::lines::LineKey;
use crate::billing::maxima::{Measured, measured, stretches};
use crate::billing::point::Setup;
use crate::billing::rerate::Sums;
use crate::registry::{Registry, ServicePoint};

/// What a component comes to by the old terms and by the new.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Both {
    /// By the terms that were in force.
    pub old: Amount,
    /// By the version that is tried.
    pub new: Amount,
}

/// A fact that a component asks for and nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lack {
    /// No reading tells of any demand: it counts as none.
    Demand,
    /// For part of the time readings are missing, or lie more than 2 hours apart: the maximum may have been higher.
    PartOfDemand,
    /// The contract states no capacity: nothing is charged for it.
    Capacity,
    /// Active or reactive energy is not known, or there was none: the power factor changes nothing.
    PowerFactor,
    /// The contract does not say where the other service is measured: its volume counts as none.
    Source,
}

/// A service point whose bills are compared.
#[derive(Clone, Debug)]
pub struct Party {
    /// The terms that were in force.
    pub old: Arc<Setup>,
    /// The same contracts by the version that is tried.
    pub new: Arc<Setup>,
    /// Whose contracts.
    pub accounts: BTreeSet<AccountId>,
}

impl Party {
    fn components(&self) -> impl Iterator<Item = &Component> {
        let contracts = self.old.terms.contracts.iter().chain(&self.new.terms.contracts);
        let own = contracts.filter(|contract| self.accounts.contains(&contract.account));
        own.flat_map(|contract| contract.versions.iter()).flat_map(|version| &version.components)
    }

    /// As the rating takes it.
    #[must_use]
    pub fn pair(&self) -> Pair {
        let intervals = self.components().any(|component| component.charge.window().is_some());
        Pair { intervals, ..Pair::between(Arc::clone(&self.old), Arc::clone(&self.new)) }
    }

    /// The service points on whose use its charges rest.
    pub fn sources(&self, registry: &Registry) -> BTreeSet<ServicePointId> {
        let rests = |component: &Component| match &component.charge {
            Charge::Derived(derived) => derived.source != ENERGY,
            Charge::PowerFactor(_) => true,
            _ => false,
        };
        if !self.components().any(rests) {
            return BTreeSet::new();
        }
        let contracts = registry.service_point(self.old.id).into_iter().flat_map(ServicePoint::contracts);
        let own = contracts.filter(|contract| self.accounts.contains(&contract.account));
        own.flat_map(|contract| registry.facts_of(contract.id).points()).collect()
    }
}

/// The facts of one side.
#[derive(Debug, Default)]
struct Side {
    charged: BTreeMap<LocalMonth, Charged>,
    measured: BTreeMap<AccountMonth, Measured>,
}

/// What is gathered while the rating streams.
#[derive(Debug)]
pub struct Ledger<'a> {
    registry: &'a Registry,
    parties: &'a BTreeMap<ServicePointId, Party>,
    /// Whose use counts day by day, whoever pays.
    sources: &'a BTreeSet<ServicePointId>,
    months: (LocalMonth, LocalMonth),
    old: Side,
    new: Side,
}

impl<'a> Ledger<'a> {
    /// Nothing yet.
    #[must_use]
    pub fn new(
        registry: &'a Registry,
        parties: &'a BTreeMap<ServicePointId, Party>,
        sources: &'a BTreeSet<ServicePointId>,
        span: Span,
    ) -> Ledger<'a> {
        let months = (span.first.month(), span.last.month());
        Ledger { registry, parties, sources, months, old: Side::default(), new: Side::default() }
    }

    /// Keeps what is needed of a service point that was rated.
    pub fn take(&mut self, rated: Rated) {
        let party = self.parties.get(&rated.id);
        let by_day = self.sources.contains(&rated.id);
        let keep = |side: &mut Side, sums: &Sums| {
            for (key, sum) in sums {
                let month = key.date.month();
                let date = if by_day { key.date } else { month.first_day() };
                if by_day || party.is_some_and(|party| party.accounts.contains(&key.account)) {
                    let key = LineKey { date, band: 0, tier: 0, ..*key };
                    side.charged.entry(month).or_default().entry((rated.id, key)).or_default().add(*sum);
                }
            }
        };
        // What is rated by one set of terms alone is the same on both sides.
        keep(&mut self.old, rated.old.as_ref().unwrap_or(&rated.new));
        keep(&mut self.new, &rated.new);
        let Some(party) = party else { return };
        for month in self.months() {
            for account in &party.accounts {
                let of = AccountMonth { point: rated.id, account: *account, month };
                for (side, setup) in [(&mut self.old, &party.old), (&mut self.new, &party.new)] {
                    let found = demand(self.registry, setup, &rated.intervals, of);
                    side.measured.extend(found.map(|found| (of, found)));
                }
            }
        }
    }

    fn months(&self) -> impl Iterator<Item = LocalMonth> + use<> {
        (self.months.0.0..=self.months.1.0).map(LocalMonth)
    }

    /// Works out the components of all months, on both sides.
    ///
    /// # Errors
    /// [`RatingError::Components`] where facts are beyond the kernel's bounds.
    pub fn bill(self, simulation: &mut Simulation) -> Result<(), RatingError> {
        for (point, party) in self.parties {
            for account in &party.accounts {
                for month in self.months() {
                    let of = AccountMonth { point: *point, account: *account, month };
                    let (old, new) = ((&self.old, &*party.old), (&self.new, &*party.new));
                    let mut lacks = self.side(old, of, simulation, |bills| &mut bills.old, |both| &mut both.old)?;
                    lacks.extend(self.side(new, of, simulation, |bills| &mut bills.new, |both| &mut both.new)?);
                    for lack in lacks {
                        *simulation.lacks.entry(lack).or_default() += 1;
                    }
                }
            }
        }
        Ok(())
    }

    /// Adds what a month comes to by one set of terms; gives what facts were missing.
    fn side(
        &self,
        (side, setup): (&Side, &Setup),
        of: AccountMonth,
        simulation: &mut Simulation,
        whose: fn(&mut Bills) -> &mut Bill,
        which: fn(&mut Both) -> &mut Amount,
    ) -> Result<BTreeSet<(String, Lack)>, RatingError> {
        let (registry, nothing) = (self.registry, Charged::new());
        let charged = side.charged.get(&of.month).unwrap_or(&nothing);
        let Some(segments) = component_facts::segments(registry, &setup.terms, charged, of) else {
            return Ok(BTreeSet::new());
        };
        let mut lacks = sources_unknown(registry, setup, of, &segments);
        let demand = side.measured.get(&of).cloned().unwrap_or_default();
        let facts = component_facts::facts(registry, charged, of, segments, demand.maxima, true);
        let lines = bill(&facts).map_err(|fault| RatingError::Components { of, fault })?;
        for line in lines {
            let lack = match line.why {
                Why::NoDemand { .. } => Some(Lack::Demand),
                // As at a close: what is shorter than a window hides little.
                Why::Maximum { window, .. } | Why::Beyond { window, .. }
                    if demand.unknown >= i64::from(window.minutes) * MINUTE =>
                {
                    Some(Lack::PartOfDemand)
                }
                Why::NoCapacity => Some(Lack::Capacity),
                Why::NoFactor => Some(Lack::PowerFactor),
                _ => None,
            };
            lacks.extend(lack.map(|lack| (line.component.clone(), lack)));
            if line.effect == Effect::Added {
                whose(simulation.bills.entry((of.account, of.month)).or_default()).components += line.amount;
                *which(simulation.components.entry(line.component).or_default()) += line.amount;
            }
        }
        Ok(lacks)
    }
}

/// The maxima of an account's month, where a component asks for any.
pub(crate) fn demand(registry: &Registry, setup: &Setup, intervals: &[Interval], of: AccountMonth) -> Option<Measured> {
    let contracts = contracts_by(registry, &setup.terms, of);
    let components = contracts
        .iter()
        .flat_map(|(contract, _)| contract.versions.iter())
        .flat_map(|version| &version.components)
        .filter_map(|component| component.charge.window());
    let windows: BTreeSet<Window> = components.collect();
    if windows.is_empty() {
        return None;
    }
    let point = registry.service_point(of.point)?;
    let span = registry.site(point.site)?.span(of.month)?;
    let windows: Vec<Window> = windows.into_iter().collect();
    let stretches = stretches(contracts.iter().map(|(contract, _)| *contract), span);
    let near = intervals.iter().filter(|one| one.to > span.0 && one.from < span.1).copied();
    Some(measured(near, setup, &windows, &stretches))
}

/// The components whose other service no contract of the month names.
fn sources_unknown(
    registry: &Registry,
    setup: &Setup,
    of: AccountMonth,
    segments: &[Segment],
) -> BTreeSet<(String, Lack)> {
    let contracts = contracts_by(registry, &setup.terms, of);
    let stated = |name: &str| contracts.iter().any(|(_, facts)| facts.sources.contains_key(name));
    let components = segments.iter().flat_map(|segment| &segment.version.components);
    let unknown = components
        .filter(|component| component.charge.source().is_some_and(|source| source != ENERGY && !stated(source)));
    unknown.map(|component| (component.name.clone(), Lack::Source)).collect()
}
