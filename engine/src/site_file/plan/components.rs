//! Charges beside energy in a plan: their names, and what contracts must state for them.

use std::collections::{BTreeMap, BTreeSet};

use kernel::component::{Charge, ENERGY};
use kernel::tariff::TariffVersion;
use kernel::time::Moment;

use super::{Ask, Planner};
use crate::billing::names::NAMES_MAX;
use crate::registry::ContractFacts;
use crate::site_file::fault::At;
use crate::site_file::model::{ContractTerms, PointItem, Stretch};

/// What the components of a tariff's versions ask a contract for, each from when on.
pub(super) fn asks<'v>(versions: impl Iterator<Item = &'v TariffVersion>) -> Vec<(Moment, Ask)> {
    let mut asks = Vec::new();
    for version in versions {
        for component in &version.components {
            let ask = match &component.charge {
                Charge::Capacity { .. } => Ask::Capacity,
                Charge::Derived(derived) if derived.source != ENERGY => Ask::Source(derived.source.clone()),
                _ => continue,
            };
            asks.push((version.valid_from, ask));
        }
    }
    asks
}

/// `components basic, sewer`; the names alone.
pub(super) fn describe_components(version: &TariffVersion) -> String {
    let names: Vec<&str> = version.components.iter().map(|component| component.name.as_str()).collect();
    if names.is_empty() { "without components".to_owned() } else { format!("with {}", names.join(", ")) }
}

impl Planner<'_> {
    /// A name means a tax everywhere or nowhere, because its money is owed on; and a book has a bounded number of names.
    pub(super) fn component_names(&self) {
        let mut known: BTreeMap<&str, bool> = BTreeMap::new();
        for component in self.registry.versions().flat_map(|version| &version.components) {
            known.insert(&component.name, component.charge.is_added_tax());
        }
        for version in self.file.tariffs.iter().flat_map(|tariff| &tariff.versions) {
            for component in &version.version.components {
                let tax = component.charge.is_added_tax();
                if *known.entry(&component.name).or_insert(tax) != tax {
                    let what = format!(
                        "names {:?}, which is {} elsewhere",
                        component.name,
                        if tax { "no tax on top of prices" } else { "a tax on top of prices" }
                    );
                    self.faults.add(
                        &version.at,
                        "component",
                        what,
                        "give it another name: taxes are kept apart by name",
                    );
                }
            }
            if known.len() > NAMES_MAX {
                let what = format!("brings the names of components to {}", known.len());
                self.faults.add(
                    &version.at,
                    "component",
                    what,
                    format!("give the same names again: {NAMES_MAX} at most"),
                );
                return;
            }
        }
    }

    /// The facts of a contract with its service points found; all service points of the file are known by then.
    pub(super) fn contract_facts(&self, item: &PointItem, stretch: &Stretch<ContractTerms>) -> ContractFacts {
        let (at, facts) = (&stretch.at, &stretch.terms.facts);
        let find = |key: &str, name: &String| {
            let here = self.names.points.get(name).filter(|known| known.site == self.site_ids[item.site]);
            if *name == item.name {
                let remedy =
                    "name another service point; a component of the service point's own use has `source = \"energy\"`";
                self.faults.add(at, key, format!("names {name:?}, the service point itself"), remedy);
                return None;
            }
            if here.is_none() {
                let what = format!("names {name:?}, which the site has no [[service_point]] for");
                self.faults.add(at, key, what, "add the service point, or correct the name");
            }
            here.map(|known| known.id)
        };
        ContractFacts {
            capacity: facts.capacity,
            reactive: facts.reactive.as_ref().and_then(|name| find("reactive", name)),
            sources: facts
                .sources
                .iter()
                .filter_map(|(name, point)| Some((name.clone(), find("sources", point)?)))
                .collect(),
        }
    }

    /// A contract states what the components of its tariff ask for, and no source that none asks for.
    pub(super) fn facts_fit(&self, stretch: &Stretch<ContractTerms>, to: Option<Moment>) {
        let (at, terms): (&At, _) = (&stretch.at, &stretch.terms);
        let Some(tariff) = self.names.tariffs.get(&terms.tariff) else { return };
        let all = || tariff.asks.iter().filter(|(from, _)| to.is_none_or(|to| *from < to)).map(|(_, ask)| ask);
        let mut missing = BTreeSet::new();
        for ask in all() {
            match ask {
                Ask::Capacity if terms.facts.capacity.is_none() => {
                    missing.insert((
                        "capacity",
                        "its capacity".to_owned(),
                        "write `capacity = \"50\"`, in kW".to_owned(),
                    ));
                }
                Ask::Source(name) if !terms.facts.sources.contains_key(name) => {
                    let remedy = format!("write `sources = {{ {name} = \"SERVICE POINT\" }}`");
                    missing.insert(("sources", format!("the source {name:?}"), remedy));
                }
                _ => {}
            }
        }
        for (key, what, remedy) in missing {
            let what = format!("lacks {what}, which a component of tariff {:?} charges by", terms.tariff);
            self.faults.add(at, key, what, remedy);
        }
        for name in terms.facts.sources.keys() {
            if !all().any(|ask| *ask == Ask::Source(name.clone())) {
                let what = format!("gives {name:?}, which no component of tariff {:?} asks for", terms.tariff);
                self.faults.add(at, "sources", what, "correct the name, or leave it out");
            }
        }
    }
}
