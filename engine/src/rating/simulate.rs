//! What a tariff would have charged: accounts' past months billed by the terms that were in force and, beside it, by one
//! version of another tariff as if it had always been in force. Nothing is written.
//!
//! **What it includes.** Whole bills ([`super::bills`]): energy (or volume) by band and tier, and on both sides every component
//! of the tariff, worked out from the same facts as at a close: usage, maxima of demand, reactive energy, capacity, other
//! services' volumes, days of the contract. A fact that is missing counts as a close counts it, and is named
//! ([`Lack`](super::bills::Lack)).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::StreamExt as _;
use kernel::calendar::Calendar;
use kernel::id::{AccountId, ServicePointId, TariffVersionId, Utility};
use kernel::rate::Versions;
use kernel::tariff::TariffVersion;
use kernel::time::{LocalMonth, Moment};
use kernel::unit::Unit;

use super::bills::{Both, Lack, Ledger, Party};
use super::{Pair, RatingError, Span, rate_span};
use crate::billing::lines::Sum;
use crate::billing::point::Setup;
use crate::billing::rerate::Sums;
use crate::engine::Handle;
use crate::registry::{Registry, TariffId};

/// Whose bills are simulated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Against {
    /// Whatever these accounts used.
    Accounts(BTreeSet<AccountId>),
    /// What flows at the service points that are on a tariff now, for who pays for them now.
    Tariff(TariffId),
}

/// What is simulated.
#[derive(Clone, Debug)]
pub struct Simulated {
    /// What the tariff prices ...
    pub utility: Utility,
    /// ... and per what.
    pub unit: Unit,
    /// The version that is tried, whatever it says of when it begins.
    pub version: TariffVersion,
    /// Dates and names beside those of each site's own calendar; they come first.
    pub calendar: Calendar,
    /// Whose bills.
    pub against: Against,
    /// Of which local days: whole months, because components are the month's.
    pub span: Span,
    /// No more service points than this, the first by number.
    pub points_max: usize,
}

/// One side of an account's month.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bill {
    /// Energy, or volume.
    pub energy: Sum,
    /// Everything beside it, as a close would charge it; taxes within prices are not added.
    pub components: kernel::money::Amount,
}

impl Bill {
    /// The whole of it.
    #[must_use]
    pub fn amount(&self) -> kernel::money::Amount {
        self.energy.amount + self.components
    }

    /// Adds another.
    pub fn add(&mut self, other: Bill) {
        self.energy.add(other.energy);
        self.components += other.components;
    }
}

/// An account's month by both tariffs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bills {
    /// By the terms that were in force.
    pub old: Bill,
    /// By the version that is tried.
    pub new: Bill,
}

/// What a simulation gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Simulation {
    /// Service points that were rated ...
    pub points: usize,
    /// ... of how many.
    pub points_of: usize,
    /// Readings that were rated, those of other services on which charges rest included.
    pub readings: u64,
    /// Bills by account and month.
    pub bills: BTreeMap<(AccountId, LocalMonth), Bills>,
    /// What each component comes to in all, by its name.
    pub components: BTreeMap<String, Both>,
    /// What facts were missing, by component, each with the number of months of accounts at service points.
    pub lacks: BTreeMap<(String, Lack), usize>,
}

impl Simulation {
    /// Whether any energy was measured; without, bills hold only what is owed for days.
    #[must_use]
    pub fn is_measured(&self) -> bool {
        let nothing = Sum::default();
        self.bills.values().any(|bills| bills.old.energy != nothing || bills.new.energy != nothing)
    }
}

impl Simulated {
    /// The service points that it touches, each with the accounts whose contracts are tried, in the order of their numbers.
    /// Accounts that are kept in units are not among them: what they use costs units, and money only where they buy.
    #[must_use]
    pub fn points(&self, registry: &Registry, now: Moment) -> BTreeMap<ServicePointId, BTreeSet<AccountId>> {
        let in_money = |id: &AccountId| registry.account(*id).is_some_and(|account| account.unit.is_none());
        let of_utility =
            registry.service_points().filter(|point| (point.utility, point.unit) == (self.utility, self.unit));
        of_utility
            .filter_map(|point| {
                let contracts = point.contracts();
                let accounts: BTreeSet<AccountId> = match &self.against {
                    Against::Accounts(accounts) => {
                        contracts.map(|contract| contract.account).filter(|id| accounts.contains(id)).collect()
                    }
                    Against::Tariff(tariff) => contracts
                        .filter(|contract| contract.tariff == *tariff && contract.holds(now))
                        .map(|contract| contract.account)
                        .collect(),
                };
                let accounts: BTreeSet<AccountId> = accounts.into_iter().filter(in_money).collect();
                (!accounts.is_empty()).then_some((point.id, accounts))
            })
            .collect()
    }

    /// The terms of a service point with the contracts of `accounts` by the version that is tried.
    fn tried(&self, setup: &Setup, accounts: &BTreeSet<AccountId>, version: &Arc<TariffVersion>) -> Setup {
        let mut tried = setup.clone();
        let terms = &mut tried.terms;
        let contracts = terms.contracts.iter_mut().filter(|contract| accounts.contains(&contract.account));
        contracts.for_each(|contract| {
            contract.versions = Versions::of(contract.versions.tariff, vec![Arc::clone(version)]);
        });
        if !self.calendar.exceptions.is_empty() || !self.calendar.named.is_empty() {
            terms.calendar = Arc::new(self.calendar_over(&terms.calendar));
        }
        tried
    }

    /// A site's calendar with the dates of this one before its own.
    #[must_use]
    pub fn calendar_over(&self, site: &Calendar) -> Calendar {
        let mut calendar = site.clone();
        calendar.exceptions.extend(&self.calendar.exceptions);
        for (name, dates) in &self.calendar.named {
            calendar.named.entry(name.clone()).or_default().extend(dates.iter().copied());
        }
        calendar.until = calendar.complete_until().max(self.calendar.complete_until());
        calendar
    }
}

impl Handle {
    /// Bills the span by both tariffs, on `threads` threads.
    ///
    /// # Errors
    /// [`RatingError`] where book or lake cannot be read, or components are beyond their bounds.
    pub async fn simulate(&self, asked: &Simulated, now: Moment, threads: usize) -> Result<Simulation, RatingError> {
        let registry = self.registry();
        let mut version = asked.version.clone();
        // As if it had always been in force: tiers of a year that began before the span count by it too.
        (version.id, version.valid_from) = (TariffVersionId(u32::MAX), Moment(i64::MIN));
        let version = Arc::new(version);
        let touched = asked.points(&registry, now);
        let parties: BTreeMap<ServicePointId, Party> = touched
            .iter()
            .take(asked.points_max)
            .filter_map(|(id, accounts)| {
                let old = registry.setup(*id)?;
                let new = Arc::new(asked.tried(old, accounts, &version));
                Some((*id, Party { old: Arc::clone(old), new, accounts: accounts.clone() }))
            })
            .collect();
        let sources: BTreeSet<ServicePointId> = parties.values().flat_map(|party| party.sources(&registry)).collect();
        let mut pairs: Vec<Pair> = parties.values().map(Party::pair).collect();
        // Who shares the tiers of an account that is tried is tried with it.
        let mut along: BTreeMap<ServicePointId, BTreeSet<AccountId>> = BTreeMap::new();
        for party in parties.values() {
            let others = party.old.members().into_iter().filter(|member| !parties.contains_key(member));
            others.for_each(|member| along.entry(member).or_default().extend(&party.accounts));
        }
        pairs.extend(along.iter().filter_map(|(id, accounts)| {
            let old = registry.setup(*id)?;
            Some(Pair::between(Arc::clone(old), Arc::new(asked.tried(old, accounts, &version))))
        }));
        let beside = sources.iter().filter(|id| !parties.contains_key(id) && !along.contains_key(id));
        pairs.extend(beside.filter_map(|id| Some(Pair::of(Arc::clone(registry.setup(*id)?)))));
        let mut simulation = Simulation { points: parties.len(), points_of: touched.len(), ..Simulation::default() };
        let mut ledger = Ledger::new(&registry, &parties, &sources, asked.span);
        let mut rated = rate_span(self, pairs, asked.span, now, threads).await?;
        while let Some(rated) = rated.next().await {
            let rated = rated?;
            simulation.readings += rated.readings;
            if let Some(party) = parties.get(&rated.id) {
                let mut add = |sums: &Sums, side: fn(&mut Bills) -> &mut Bill| {
                    for (key, sum) in sums.iter().filter(|(key, _)| party.accounts.contains(&key.account)) {
                        let bills = simulation.bills.entry((key.account, key.date.month())).or_default();
                        side(bills).energy.add(*sum);
                    }
                };
                add(&rated.new, |bills| &mut bills.new);
                rated.old.iter().for_each(|old| add(old, |bills| &mut bills.old));
            }
            ledger.take(rated);
        }
        ledger.bill(&mut simulation)?;
        Ok(simulation)
    }
}
