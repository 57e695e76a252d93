//! What the components of an account's month at a service point are worked out from: charged lines, contracts, days.
//!
//! **Whose volume.** A charge by another service's volume counts what the account itself was charged there, where it pays
//! there; else what was used there on the days that it owes here, whoever pays. So a tenant who leaves at noon owes the sewer
//! of their own water, and nothing counts twice.

use std::collections::BTreeMap;

use kernel::component::ENERGY;
use kernel::component::demand::{Maxima, Window};
use kernel::component::facts::{Facts, Segment};
use kernel::component::month::{DayRun, versions};
use kernel::id::{AccountId, ServicePointId};
use kernel::money::{Amount, Quantity};
use kernel::rate::{Contract, Terms};
use kernel::time::{LocalDate, LocalMonth};

use super::lines::{LineKey, Sum};
use super::names::ComponentName;
use crate::registry::{ContractFacts, Registry};

/// Charged lines of one month by service point and key.
pub type Charged = BTreeMap<(ServicePointId, LineKey), Sum>;

/// An account's month at a service point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AccountMonth {
    /// Where.
    pub point: ServicePointId,
    /// Whose.
    pub account: AccountId,
    /// When.
    pub month: LocalMonth,
}

/// The lines of one service point.
pub(super) fn of_point(charged: &Charged, point: ServicePointId) -> impl Iterator<Item = (&LineKey, &Sum)> {
    let first = LineKey {
        account: AccountId(0),
        date: LocalDate(i32::MIN),
        version: kernel::id::TariffVersionId(0),
        band: 0,
        tier: 0,
        component: ComponentName::of(""),
    };
    charged.range((point, first)..).take_while(move |((at, _), _)| *at == point).map(|((_, key), sum)| (key, sum))
}

/// The contracts of an account at a service point that hold in a month, in order of time, with what each states.
pub fn contracts_of(registry: &Registry, of: AccountMonth) -> Vec<(&Contract, &ContractFacts)> {
    registry.terms(of.point).map_or_else(Vec::new, |terms| contracts_by(registry, terms, of))
}

/// As [`contracts_of`], by other terms of the same contracts.
pub fn contracts_by<'a>(
    registry: &'a Registry,
    terms: &'a Terms,
    of: AccountMonth,
) -> Vec<(&'a Contract, &'a ContractFacts)> {
    let Some(point) = registry.service_point(of.point) else { return Vec::new() };
    let Some((start, end)) = registry.site(point.site).and_then(|site| site.span(of.month)) else { return Vec::new() };
    let holds = |contract: &Contract| contract.valid_from < end && contract.valid_to.is_none_or(|to| to > start);
    let own = terms.contracts.iter().filter(|contract| contract.account == of.account && holds(contract));
    own.map(|contract| (contract, registry.facts_of(contract.id))).collect()
}

/// Which windows of demand the components of a month ask for.
pub(crate) fn windows_of(segments: &[Segment]) -> Vec<Window> {
    let components = segments.iter().flat_map(|segment| &segment.version.components);
    let mut windows: Vec<Window> = components.filter_map(|component| component.charge.window()).collect();
    windows.sort_unstable();
    windows.dedup();
    windows
}

/// The versions of a month with days, energy and volumes by some terms of its contracts; one for each stretch of days. None
/// where the account has no contract with components in it, or the table of days ends before.
pub(crate) fn segments(
    registry: &Registry,
    terms: &Terms,
    charged: &Charged,
    of: AccountMonth,
) -> Option<Vec<Segment>> {
    let contracts = contracts_by(registry, terms, of);
    let mut found: Vec<(Segment, &ContractFacts)> = Vec::new();
    for (contract, facts) in &contracts {
        for (version, days) in versions(terms, contract, of.month).ok()? {
            match found.last_mut() {
                // Who lives there changes nothing here: the days go on.
                Some((last, _)) if last.version.id == version.id && follows(last.days, days) => {
                    last.days = DayRun { count: last.days.count + days.count, ..first(last.days, days) };
                }
                _ => {
                    let (quantity, amount) = (Quantity::ZERO, Amount::ZERO);
                    found.push((Segment { version, days, quantity, amount, sources: Vec::new() }, facts));
                }
            }
        }
    }
    if found.iter().all(|(segment, _)| segment.version.components.is_empty()) {
        return None;
    }
    let own = of_point(charged, of.point).filter(|(key, _)| key.component == ComponentName::ENERGY);
    for (key, sum) in own.filter(|(key, _)| key.account == of.account) {
        if let Some((segment, _)) = found.iter_mut().find(|(segment, _)| segment.version.id == key.version) {
            segment.quantity += sum.quantity;
            segment.amount += sum.amount;
        }
    }
    let days: Vec<DayRun> = found.iter().map(|(segment, _)| segment.days).collect();
    for (place, (segment, facts)) in found.iter_mut().enumerate() {
        let names = segment.version.components.iter().filter_map(|component| component.charge.source());
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let source = if name == ENERGY { Some(of.point) } else { facts.sources.get(&name).copied() };
            let volume = match source {
                // Its own, by version: exactly what was charged under it.
                Some(point) if point == of.point => segment.quantity,
                Some(point) => volumes(registry, charged, AccountMonth { point, ..of }, &days)[place],
                None => Quantity::ZERO,
            };
            segment.sources.push((name, volume));
        }
    }
    Some(found.into_iter().map(|(segment, _)| segment).collect())
}

/// Whether days go on where others end; no days go on anywhere.
fn follows(before: DayRun, after: DayRun) -> bool {
    before.count == 0 || after.count == 0 || before.first.plus(i32::from(before.count)) == after.first
}

/// The run that has days; the earlier one where both have.
fn first(before: DayRun, after: DayRun) -> DayRun {
    if before.count == 0 { after } else { before }
}

/// What was used at another service point, by each run of days.
fn volumes(registry: &Registry, charged: &Charged, of: AccountMonth, days: &[DayRun]) -> Vec<Quantity> {
    let pays = !contracts_of(registry, of).is_empty();
    let mut volumes = vec![Quantity::ZERO; days.len()];
    for (key, sum) in of_point(charged, of.point).filter(|(key, _)| key.component == ComponentName::ENERGY) {
        let begun = |run: &DayRun| run.count > 0 && run.first <= key.date;
        let latest = days.iter().rposition(begun);
        let within = |place: &usize| key.date < days[*place].first.plus(i32::from(days[*place].count));
        let place = match pays {
            true if key.account == of.account => Some(latest.unwrap_or(0)),
            true => None,
            false => latest.filter(within),
        };
        if let Some(volume) = place.and_then(|place| volumes.get_mut(place)) {
            *volume += sum.quantity;
        }
    }
    volumes
}

/// All facts of a month. Capacity and reactive energy are the month's: the account's last contract in it states them.
pub(crate) fn facts(
    registry: &Registry,
    charged: &Charged,
    of: AccountMonth,
    segments: Vec<Segment>,
    maxima: Vec<(Window, Maxima)>,
    closed: bool,
) -> Facts {
    let stated = contracts_of(registry, of).last().map_or(ContractFacts::NONE, |(_, facts)| *facts);
    let days: Vec<DayRun> = segments.iter().map(|segment| segment.days).collect();
    let reactive = stated
        .reactive
        .map(|point| volumes(registry, charged, AccountMonth { point, ..of }, &days).into_iter().sum::<Quantity>());
    Facts { month: of.month, closed, segments, maxima, capacity: stated.capacity, reactive }
}
