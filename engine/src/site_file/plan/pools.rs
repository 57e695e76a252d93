//! Accounts whose service points share one tier counter: what they must agree in.
//!
//! Contracts of such an account for one utility that hold at the same time are by one tariff and name one household: its
//! thresholds are those of the pool. Whether tiers are pooled is said with the account and never changes once it pays for
//! something, so that no closed month is rated otherwise. All service points of one utility that ever share an account are
//! rated together, and are no more than [`MOST`].

use std::collections::{BTreeMap, BTreeSet};

use kernel::id::{ServicePointId, Utility};
use kernel::tariff::Household;
use kernel::time::Moment;

use super::Planner;
use super::units::{Span, overlap};
use crate::registry::pools::{MOST, joined};
use crate::registry::{Account, Contract, Registry, ServicePoint};
use crate::site_file::model::{AccountItem, ContractTerms, PointItem, Stretch};

/// What the members of a pool agree in.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Agreed {
    tariff: String,
    household: Household,
}

impl Agreed {
    fn of(terms: &ContractTerms) -> Agreed {
        Agreed { tariff: terms.tariff.clone(), household: terms.household }
    }

    fn differs(&self, other: &Agreed) -> Option<(&'static str, String)> {
        if self.tariff != other.tariff {
            return Some(("tariff", format!("{:?}, not {:?}", other.tariff, self.tariff)));
        }
        let (was, is) = (other.household, self.household);
        if was.persons != is.persons {
            return Some(("persons", format!("{}, not {}", was.persons, is.persons)));
        }
        (was.households != is.households).then(|| ("households", format!("{}, not {}", was.households, is.households)))
    }
}

impl Planner<'_> {
    /// Whether an account's tiers are pooled is said before it pays for anything.
    pub(super) fn pooling_stays(&self, item: &AccountItem, old: &Account) -> bool {
        if old.pooled == item.pooled || self.registry.points_of_account(old.id).next().is_none() {
            return true;
        }
        let what = format!("is {}, but the account pays for service points with {}", item.pooled, old.pooled);
        let remedy = "whether tiers are pooled never changes: open another account, and let it pay from a moment on";
        self.faults.add(&item.at, "pooled_tiers", what, remedy);
        false
    }

    /// Members of a pool agree as long as they are in it.
    pub(super) fn pools_agree(&self) {
        for account in self.file.accounts.iter().filter(|account| account.pooled) {
            let mut members = self.ended_members(account);
            for point in &self.file.points {
                let known = self.registry.service_point_named(&point.name);
                for (place, stretch) in point.contracts.iter().enumerate() {
                    if stretch.terms.account != account.name {
                        continue;
                    }
                    let span =
                        (self.begins(point, known, place), stretch.until.or(self.next_begins(point, known, place)));
                    let agreed = Agreed::of(&stretch.terms);
                    self.agrees(point, stretch, &agreed, span, &members);
                    members.push((point.utility, &point.name, agreed, span));
                }
            }
        }
    }

    /// No pool is larger than can be rated together.
    pub(super) fn pools_fit(&self) {
        // Service points of the file may have no identifiers yet: here names have their own.
        let mut numbers: BTreeMap<&str, ServicePointId> = BTreeMap::new();
        let mut groups: BTreeMap<(&str, Utility), Vec<ServicePointId>> = BTreeMap::new();
        let mut add = |account, utility, point| {
            let next = ServicePointId(u32::try_from(numbers.len()).unwrap_or(u32::MAX));
            let group: &mut Vec<_> = groups.entry((account, utility)).or_default();
            group.push(*numbers.entry(point).or_insert(next));
        };
        for account in self.registry.accounts().filter(|account| account.pooled) {
            for point in self.registry.points_of_account(account.id) {
                add(&account.name, point.utility, &point.name);
            }
        }
        let pooled = self.file.accounts.iter().filter(|account| account.pooled);
        let pooled: BTreeMap<&str, &AccountItem> = pooled.map(|account| (account.name.as_str(), account)).collect();
        for point in &self.file.points {
            for stretch in point.contracts.iter().filter(|stretch| pooled.contains_key(stretch.terms.account.as_str()))
            {
                add(&stretch.terms.account, point.utility, &point.name);
            }
        }
        let pools = joined(groups.values().cloned());
        for ((account, utility), members) in &groups {
            let size = members.first().and_then(|first| pools.get(first)).map_or(0, |pool| pool.len());
            if let Some(item) = pooled.get(account).filter(|_| size > MOST) {
                let what = format!(
                    "is true, and {size} service points of {} would share tiers, with those of accounts that ever had a member \
                     in common; at most are {MOST}",
                    utility.name()
                );
                let remedy = "let several accounts pay, each with a pool of its own";
                self.faults.add(&item.at, "pooled_tiers", what, remedy);
            }
        }
    }

    /// What the book has of an account's contracts that ended, or that another contract of the file ends, where the file says
    /// nothing else of their time.
    fn ended_members(&self, item: &AccountItem) -> Vec<(Utility, &str, Agreed, Span)> {
        let mut members = Vec::new();
        let Some(account) = self.registry.account_named(&item.name) else { return members };
        for point in self.registry.points_of_account(account.id) {
            let items = || self.file.points.iter().filter(|other| other.name == point.name);
            let begins = |other: &PointItem| -> Vec<Moment> {
                (0..other.contracts.len()).map(|place| self.begins(other, Some(point), place)).collect()
            };
            for held in point.contracts().filter(|held| held.account == account.id) {
                let followed = || items().flat_map(begins).filter(|begun| *begun > held.valid_from).min();
                let Some(end) = held.valid_to.or_else(followed) else { continue };
                let span = (held.valid_from, Some(end));
                let said = items().any(|other| {
                    (0..other.contracts.len()).any(|place| {
                        let until = other.contracts[place].until;
                        let until = until.or(self.next_begins(other, Some(point), place));
                        overlap((self.begins(other, Some(point), place), until), span)
                    })
                });
                let tariff = self.registry.tariff(held.tariff).filter(|_| !said);
                let agreed = tariff.map(|tariff| Agreed { tariff: tariff.name.clone(), household: held.household });
                members.extend(agreed.map(|agreed| (point.utility, point.name.as_str(), agreed, span)));
            }
        }
        members
    }

    fn begins(&self, item: &PointItem, known: Option<&ServicePoint>, place: usize) -> Moment {
        // As the timeline of contracts reads it: what says no beginning goes on.
        let goes_on = known.and_then(|point| {
            let mut contracts = point.contracts();
            if item.contracts.len() == 1 { contracts.next_back() } else { contracts.next() }
        });
        let begun = goes_on.map(|contract| contract.valid_from);
        item.contracts[place].from.or(begun).unwrap_or(self.default_from(item.site))
    }

    fn next_begins(&self, item: &PointItem, known: Option<&ServicePoint>, place: usize) -> Option<Moment> {
        let begun = self.begins(item, known, place);
        let others = (0..item.contracts.len()).map(|other| self.begins(item, known, other));
        others.filter(|other| *other > begun).min()
    }

    fn agrees(
        &self,
        point: &PointItem,
        stretch: &Stretch<ContractTerms>,
        agreed: &Agreed,
        span: Span,
        members: &[(Utility, &str, Agreed, Span)],
    ) {
        let beside = members.iter().filter(|(utility, .., held)| *utility == point.utility && overlap(*held, span));
        let differs = beside.filter_map(|(_, name, other, _)| Some((*name, agreed.differs(other)?))).next();
        if let Some((name, (key, what))) = differs {
            let what =
                format!("differs from that of {name}, with which {:?} pools its tiers: {what}", stretch.terms.account);
            let remedy = "write the same tariff, persons and households for all its service points of one utility, from the \
                          same moment on";
            self.faults.add(&stretch.at, key, what, remedy);
        }
    }
}

/// The household that a contract takes over with the pool that it joins; its own where it joins none.
pub(super) fn household_of(
    registry: &Registry,
    account: &Account,
    point: &ServicePoint,
    at: Moment,
) -> Option<Household> {
    beside(registry, account, point).find(|held| held.holds(at)).map(|held| held.household)
}

/// Why a contract cannot join an account's pool; nothing where it can.
pub(super) fn unfit(
    registry: &Registry,
    account: &Account,
    point: &ServicePoint,
    new: &Contract,
) -> Option<&'static str> {
    let span = (new.valid_from, new.valid_to);
    let mut beside = beside(registry, account, point).filter(|held| overlap((held.valid_from, held.valid_to), span));
    let differs = |held: Contract| (held.tariff, held.household) != (new.tariff, new.household);
    if beside.any(differs) {
        return Some("its service points there are by another tariff, or for another household");
    }
    let members = |id: ServicePointId| registry.pool_of(id).map_or_else(|| vec![id], |pool| pool.to_vec());
    let others = registry.points_of_account(account.id);
    let others = others.filter(|other| account.pooled && other.utility == point.utility).map(|other| other.id);
    let pool: BTreeSet<ServicePointId> = others.chain([point.id]).flat_map(members).collect();
    (account.pooled && pool.len() > MOST).then_some("its pool there would be of more than 256 service points")
}

/// The contracts of an account for other service points of the same utility, where it pools.
fn beside<'a>(registry: &'a Registry, account: &'a Account, point: &'a ServicePoint) -> impl Iterator<Item = Contract> {
    let pooled = account.pooled;
    let others = registry.points_of_account(account.id);
    let others = others.filter(move |other| pooled && other.id != point.id && other.utility == point.utility);
    others.flat_map(ServicePoint::contracts).filter(|held| held.account == account.id)
}
