//! Fixed charges, day by day: each local day that has ended is charged what it owes of a daily or monthly price.
//!
//! What a day owes follows from the contract and the version in force at its first instant and from nothing else; so it is
//! charged once, when the day has ended, whatever was read. Up to which day a service point is charged is stored with the
//! lines; a change of contracts or versions that reaches back posts the difference for the days between.
//!
//! **Not promised.** Days end by the clock: one that is ahead at the start charges days that have not begun. Nothing tells it from
//! a long rest, so that many days at once are said and count for cut-off only after the notice time of a re-rate; and a re-rate of
//! their span shows them once the clock is right again, and takes them back ([`super::reprice`]).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use kernel::component::Charge;
use kernel::component::month::{DayRun, spread};
use kernel::id::{AccountId, ServicePointId};
use kernel::money::Quantity;
use kernel::rate::Terms;
use kernel::tariff::TariffVersion;
use kernel::time::{LocalDate, Moment};

use super::lines::{LineKey, Sum};
use super::names::ComponentName;
use super::pricing::Pricing;
use super::rerate::{Sums, difference};

/// One day, or one unit of a fixed charge.
pub(super) const ONE: Quantity = Quantity(1_000);

/// So many days charged at once, where days were charged before, may mean that nothing ran for long, or that the clock is
/// ahead: nothing here can tell, so it is said, and nobody is cut by it at once.
const LEAP_DAYS: i32 = 35;

/// Up to which local day fixed charges are charged.
#[derive(Debug)]
pub struct Accruals {
    /// By service point; none where nothing was charged yet.
    through: BTreeMap<ServicePointId, LocalDate>,
    /// The book does not know these yet.
    changed: BTreeSet<ServicePointId>,
    /// The service points with fixed charges, now or ever.
    points: Vec<ServicePointId>,
    /// Before this moment no further day ends.
    due: Moment,
}

impl Default for Accruals {
    fn default() -> Accruals {
        let (through, changed, points) = (BTreeMap::new(), BTreeSet::new(), Vec::new());
        Accruals { through, changed, points, due: Moment(i64::MIN) }
    }
}

impl Accruals {
    /// Takes over what the book holds.
    pub fn load(&mut self, point: ServicePointId, through: LocalDate) {
        self.through.insert(point, through);
    }

    /// Up to which local day a service point is charged.
    #[must_use]
    pub fn through(&self, point: ServicePointId) -> Option<LocalDate> {
        self.through.get(&point).copied()
    }

    /// Days after this one are charged no longer: they will be when they have ended.
    pub fn withdraw(&mut self, point: ServicePointId, through: LocalDate) {
        if let Some(known) = self.through.get_mut(&point).filter(|known| **known > through) {
            *known = through;
            self.changed.insert(point);
            self.due = Moment(i64::MIN);
        }
    }

    /// What the book does not know yet.
    pub fn take_changed(&mut self) -> Vec<(ServicePointId, LocalDate)> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().filter_map(|id| Some((id, *self.through.get(&id)?))).collect()
    }

    /// Follows a change of the registry.
    pub fn follow<'t>(&mut self, terms: impl Iterator<Item = (ServicePointId, &'t Terms)>) {
        self.points = terms.filter(|(_, terms)| first_day(terms).is_some()).map(|(id, _)| id).collect();
        self.due = Moment(i64::MIN);
    }
}

fn fixed_of(version: &TariffVersion) -> impl Iterator<Item = (&str, &Charge)> {
    let fixed = version.components.iter().filter(|component| component.charge.is_fixed());
    fixed.map(|component| (component.name.as_str(), &component.charge))
}

/// The first local day that may owe anything.
fn first_day(terms: &Terms) -> Option<LocalDate> {
    let firsts = terms.contracts.iter().flat_map(|contract| {
        let charging = contract.versions.iter().filter(|version| fixed_of(version).next().is_some());
        let from = charging.map(|version| version.valid_from.max(contract.valid_from));
        from.filter(|from| contract.valid_to.is_none_or(|to| *from < to))
    });
    let first = firsts.min()?;
    // A contract may be older than the table of days.
    let table = || terms.days.all().first().filter(|day| first < day.start);
    terms.days.at(first).or_else(table).map(|day| day.date)
}

/// What the fixed charges of some local days come to, line by line; the quantity is the number of days.
#[must_use]
pub fn fixed(terms: &Terms, days: RangeInclusive<LocalDate>) -> Sums {
    let mut sums = Sums::new();
    for date in (days.start().0..=days.end().0).map(LocalDate) {
        let Some(start) = terms.days.on(date).map(|day| day.start) else { continue };
        let Some(contract) = terms.contract_at(start) else { continue };
        let after = contract.versions.partition_point(|version| version.valid_from <= start);
        let Some(version) = after.checked_sub(1).and_then(|place| contract.versions.get(place)) else { continue };
        for (name, charge) in fixed_of(version) {
            let amount = match charge {
                Charge::Daily(price) => ONE * *price,
                Charge::Monthly(price) => spread(ONE * *price, date.month(), DayRun { first: date, count: 1 }),
                _ => continue,
            };
            let component = ComponentName::of(name);
            let key = LineKey { account: contract.account, date, version: version.id, band: 0, tier: 0, component };
            sums.entry(key).or_default().add(Sum { quantity: ONE, amount });
        }
    }
    sums
}

impl Pricing {
    /// Charges the fixed components of each local day that has ended and is not charged yet. Gives the accounts that were
    /// charged so many days at once that the clock may be ahead: what they owe by that counts for cut-off after its own notice time.
    pub fn accrue(&mut self, now: Moment) -> BTreeSet<AccountId> {
        let mut leapt = BTreeSet::new();
        if now < self.accruals.due {
            return leapt;
        }
        self.accruals.due = Moment(i64::MAX);
        for id in std::mem::take(&mut self.accruals.points) {
            self.accruals.points.push(id);
            let Some(setup) = self.points.get(&id).map(|point| point.setup.clone()) else { continue };
            let Some(today) = setup.terms.days.at(now) else { continue };
            self.accruals.due = self.accruals.due.min(today.end);
            let yesterday = today.date.plus(-1);
            let known = self.accruals.through.get(&id).map(|through| through.plus(1));
            let Some(first) = known.or_else(|| first_day(&setup.terms)).filter(|first| *first <= yesterday) else {
                continue;
            };
            self.accruals.through.insert(id, yesterday);
            self.accruals.changed.insert(id);
            let days = fixed(&setup.terms, first..=yesterday);
            if known.is_some() && first.plus(LEAP_DAYS) < yesterday {
                leapt.extend(days.keys().map(|key| key.account));
            }
            self.add_difference(id, &days, Sums::new());
        }
        if !leapt.is_empty() {
            tracing::warn!(
                accounts = leapt.len(), %now,
                "fixed charges of more than {LEAP_DAYS} days are charged at once: where the clock is ahead, set it right and \
                 take them back with `meterledger rerate`"
            );
        }
        leapt
    }

    /// Charges the fixed components of an account's service points up to and with a local day that has not ended yet, where
    /// the account owes it: its final bill has its last day.
    pub fn accrue_last(&mut self, account: AccountId, ids: &[ServicePointId], last: LocalDate) {
        let charged: Vec<ServicePointId> = ids.iter().copied().filter(|id| self.accruals.points.contains(id)).collect();
        for id in &charged {
            let Some(setup) = self.points.get(id).map(|point| point.setup.clone()) else { continue };
            let start = setup.terms.days.on(last).map(|day| day.start);
            let owes = |start| setup.terms.contract_at(start).is_some_and(|contract| contract.account == account);
            let known = self.accruals.through.get(id).map(|through| through.plus(1));
            let Some(first) = known.or_else(|| first_day(&setup.terms)).filter(|first| *first <= last) else {
                continue;
            };
            if start.is_some_and(owes) {
                self.accruals.through.insert(*id, last);
                self.accruals.changed.insert(*id);
                self.add_difference(*id, &fixed(&setup.terms, first..=last), Sums::new());
            }
        }
    }

    /// Charges days from `since` on anew that were charged by other terms.
    pub fn accrue_anew(&mut self, id: ServicePointId, old: &Terms, since: Moment) {
        let Some(setup) = self.points.get(&id).map(|point| point.setup.clone()) else { return };
        let Some(through) = self.accruals.through.get(&id).copied() else { return };
        // Neither terms owe anything before their first days.
        let first = [first_day(old), first_day(&setup.terms)].into_iter().flatten().min();
        let Some(first) = first.max(setup.terms.days.at(since).map(|day| day.date)) else { return };
        if first > through {
            return;
        }
        let before = fixed(old, first..=through);
        let changed = difference(&before, fixed(&setup.terms, first..=through));
        let before = before.into_iter().filter(|(key, _)| changed.contains_key(key)).collect();
        self.add_difference(id, &changed, before);
    }
}
