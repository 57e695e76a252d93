//! Service points and their contracts: who pays, by which tariff, from when to when.

use std::collections::BTreeMap;

use kernel::id::{AccountId, ContractId, ServicePointId};
use kernel::money::Quantity;
use kernel::tariff::Household;
use kernel::time::Moment;
use kernel::unit::Unit;

use super::shared::because;
use super::{ChangeKind, Differences, KnownPoint, Planner};
use crate::registry::{Contract, ContractFacts, TariffId};
use crate::site_file::fault::At;
use crate::site_file::model::{ContractTerms, PointItem, Stretch};
use crate::site_file::timeline::{self, New, Old, Refusal, Step};

#[derive(Clone, Debug)]
struct Terms {
    account: AccountId,
    tariff: TariffId,
    household: Household,
    facts: ContractFacts,
    id: ContractId,
}

/// How a kind of stretch is called in faults.
pub(super) struct Words<'a> {
    pub(super) one: &'a str,
    pub(super) table: &'a str,
    pub(super) changed_key: &'a str,
}

impl Planner<'_> {
    pub(super) fn service_points(&mut self) {
        let file = self.file;
        self.twice("service point", file.points.iter().map(|item| (item.name.as_str(), &item.at)));
        // Contracts name service points that may stand further down.
        for item in &file.points {
            let old = self.registry.service_point_named(&item.name);
            let id = old.map_or_else(|| ServicePointId(self.next("service_points")), |old| old.id);
            let site = self.site_ids[item.site];
            self.names
                .points
                .insert(item.name.clone(), KnownPoint { id, site, utility: item.utility, unit: item.unit });
        }
        for item in &file.points {
            let site = self.site_ids[item.site];
            let location = self.location(&item.at, item.site, item.location.as_ref());
            let old = self.registry.service_point_named(&item.name);
            let Some(&KnownPoint { id, .. }) = self.names.points.get(&item.name) else { continue };
            match old {
                None => {
                    self.rows.service_point(id, site, item, location);
                    let place = item.location.as_ref().map_or(String::new(), |name| format!(" at {name}"));
                    let billed = match item.unit == Unit::of(item.utility) {
                        true => String::new(),
                        false => format!(" in {}", item.unit.name()),
                    };
                    let text = format!("{}{billed}{place}", item.utility.name());
                    self.change(ChangeKind::Created, format!("service point:{}", item.name), text);
                }
                Some(old) if old.site != site || old.utility != item.utility => {
                    let what = format!("is in the book for {}, or in another site", old.utility.name());
                    self.faults.add(&item.at, "", what, "neither changes in its life: give the new one another name");
                    continue;
                }
                Some(old) if old.unit != item.unit => {
                    let what =
                        format!("is {}, but the service point is billed in {}", item.unit.name(), old.unit.name());
                    let remedy = format!("write `unit = {:?}`, or give the new one another name", old.unit.name());
                    self.faults.add(&item.at, "unit", what, remedy);
                    continue;
                }
                Some(old) => {
                    let mut differences = Differences::default();
                    let names = &self.names.locations;
                    let name = |id: &Option<_>| {
                        let named = names.iter().find(|(_, other)| Some(**other) == *id);
                        named.map_or("none".to_owned(), |((_, name), _)| format!("{name:?}"))
                    };
                    differences.of("location", &old.location, &location, name);
                    if let Some(text) = differences.joined() {
                        self.rows.service_point(id, site, item, location);
                        self.change(ChangeKind::Changed, format!("service point:{}", item.name), text);
                    }
                }
            }
            self.contracts(item, id, old.map(|old| old.contracts().collect()).unwrap_or_default());
            self.conversions(item, id);
        }
        self.missing_points();
    }

    fn contracts(&mut self, item: &PointItem, point: ServicePointId, contracts: Vec<Contract>) {
        let mut new = Vec::new();
        for stretch in &item.contracts {
            let Some(terms) = self.contract_terms(item, stretch) else { return };
            new.push(New { from: stretch.from, until: stretch.until, correct: stretch.correct.is_some(), terms });
        }
        let old: Vec<Old<Terms>> = contracts
            .into_iter()
            .map(|contract| Old {
                from: contract.valid_from,
                to: contract.valid_to,
                terms: Terms {
                    account: contract.account,
                    tariff: contract.tariff,
                    household: contract.household,
                    facts: self.registry.facts_of(contract.id).clone(),
                    id: contract.id,
                },
            })
            .collect();
        let default_from = self.default_from(item.site);
        let differs = |old: &Old<Terms>, new: &New<Terms>| {
            let mut differences = Differences::default();
            let account = |id: &AccountId| self.account_name(*id);
            differences.of("account", &old.terms.account, &new.terms.account, account);
            differences.of("tariff", &old.terms.tariff, &new.terms.tariff, |id| self.tariff_name(*id));
            let (was, is) = (old.terms.household, new.terms.household);
            differences.of("persons", &was.persons, &is.persons, u16::to_string);
            differences.of("households", &was.households, &is.households, u16::to_string);
            let (was, is) = (&old.terms.facts, &new.terms.facts);
            differences.of("capacity", &was.capacity, &is.capacity, show_capacity);
            let one = |id: &Option<ServicePointId>| id.map_or("none".to_owned(), |id| self.point_name(id));
            differences.of("reactive", &was.reactive, &is.reactive, one);
            differences.of("sources", &was.sources, &is.sources, |sources| self.show_sources(sources));
            differences.joined()
        };
        let (steps, refusals) = timeline::compare(&old, &new, default_from, differs);
        let words = Words { one: "contract", table: "service_point.contract", changed_key: "account" };
        let stretches: Vec<&At> = item.contracts.iter().map(|stretch| &stretch.at).collect();
        let spans: Vec<(Moment, Option<Moment>)> = old.iter().map(|old| (old.from, old.to)).collect();
        self.refuse(&item.at, &stretches, item.site, &spans, &refusals, &words);
        for step in steps {
            self.contract_step(item, point, &old, step);
        }
    }

    fn contract_step(&mut self, item: &PointItem, point: ServicePointId, old: &[Old<Terms>], step: Step) {
        let subject = format!("service point:{}", item.name);
        match step {
            Step::Keep { old: place, new } => {
                self.contract_fits(&item.contracts[new], old[place].from, old[place].to, false);
            }
            Step::End { old: place, at, new } => {
                let ended = &old[place];
                if item.contracts[new].until == Some(at) {
                    self.contract_fits(&item.contracts[new], ended.from, Some(at), false);
                }
                self.refuse_closed(&item.contracts[new].at, "until", self.site_ids[item.site], at);
                self.rows.contract_ends.push((ended.terms.id, at));
                let text =
                    format!("{} pays until {}", self.account_name(ended.terms.account), self.show(item.site, at));
                self.change(ChangeKind::Ended, subject, text);
                self.touch(point, at);
            }
            Step::Create { new, from, to, supersedes } => {
                let stretch = &item.contracts[new];
                self.contract_fits(stretch, from, to, true);
                let mut earliest = from;
                for place in &supersedes {
                    self.rows.superseded.push(("contracts", old[*place].terms.id.0));
                    earliest = earliest.min(old[*place].from);
                }
                self.refuse_closed(&stretch.at, "from", self.site_ids[item.site], earliest);
                let Some(terms) = self.contract_terms(item, stretch) else { return };
                let id = ContractId(self.next("contracts"));
                let contract = Contract {
                    id,
                    account: terms.account,
                    tariff: terms.tariff,
                    valid_from: from,
                    valid_to: to,
                    household: terms.household,
                };
                self.rows.contract(point, &contract);
                self.rows.contract_facts(id, &terms.facts);
                let kind = if supersedes.is_empty() { ChangeKind::Created } else { ChangeKind::Corrected };
                let until = to.map_or(String::new(), |to| format!(" until {}", self.show(item.site, to)));
                let (account, tariff) = (&stretch.terms.account, &stretch.terms.tariff);
                let mut text = format!("{account} pays by tariff {tariff} from {}{until}", self.show(item.site, from));
                text += &show_household(terms.household);
                text += &because(stretch.correct.as_deref(), kind);
                self.change(kind, subject, text);
                self.touch(point, earliest);
            }
        }
    }

    /// The account must be open, and the tariff must have a price, all the time.
    fn contract_fits(&self, stretch: &Stretch<ContractTerms>, from: Moment, to: Option<Moment>, new: bool) {
        let account = self.names.accounts.get(&stretch.terms.account);
        self.facts_fit(stretch, to);
        let closes = account.and_then(|account| account.until);
        if closes.is_some_and(|closes| to.is_none_or(|to| to > closes)) {
            let what = format!("pays after account {:?} is closed", stretch.terms.account);
            self.faults.add(
                &stretch.at,
                "account",
                what,
                "write `until` here too, or a [[service_point.contract]] for the next account",
            );
        }
        let first = self.names.tariffs.get(&stretch.terms.tariff).and_then(|tariff| tariff.first_version);
        if new && first.is_some_and(|first| first > from) {
            let what = format!("begins before the first version of tariff {:?}", stretch.terms.tariff);
            let remedy = "add a [[tariff.version]] that holds from then on, or let the contract begin later";
            self.faults.add(&stretch.at, "tariff", what, remedy);
        }
    }

    fn contract_terms(&self, item: &PointItem, stretch: &Stretch<ContractTerms>) -> Option<Terms> {
        let (at, terms) = (&stretch.at, &stretch.terms);
        let account = self.names.accounts.get(&terms.account).filter(|known| known.site == self.site_ids[item.site]);
        if account.is_none() {
            let what = format!("is {:?}, which the site has no [[account]] for", terms.account);
            self.faults.add(at, "account", what, "add the account, or correct the name");
        }
        let tariff = self.names.tariffs.get(&terms.tariff);
        match tariff {
            None => {
                let what = format!("is {:?}, which neither this file nor the book has", terms.tariff);
                self.faults.add(at, "tariff", what, "add the [[tariff]], or correct the name");
            }
            Some(tariff) if tariff.utility != item.utility => {
                let what =
                    format!("prices {}, but the service point is for {}", tariff.utility.name(), item.utility.name());
                self.faults.add(at, "tariff", what, "name a tariff of the same utility");
            }
            Some(tariff) if tariff.unit != item.unit => {
                let (per, unit) = (tariff.unit.name(), item.unit.name());
                let what = format!("has prices per {per}, but the service point is billed in {unit}");
                self.faults.add(
                    at,
                    "tariff",
                    what,
                    format!("name a tariff with `unit = {unit:?}`, or correct the unit"),
                );
            }
            Some(tariff) if tariff.currency != self.file.sites[item.site].currency => {
                let what =
                    format!("is in {}, but the site is in {}", tariff.currency, self.file.sites[item.site].currency);
                self.faults.add(at, "tariff", what, "name a tariff in the site's currency");
            }
            Some(_) => {}
        }
        let facts = self.contract_facts(item, stretch);
        Some(Terms { account: account?.id, tariff: tariff?.id, household: terms.household, facts, id: ContractId(0) })
    }

    /// Refusals of a timeline, in the words of its kind.
    pub(super) fn refuse(
        &self,
        thing: &At,
        stretches: &[&At],
        site: usize,
        old: &[(Moment, Option<Moment>)],
        refusals: &[Refusal],
        words: &Words<'_>,
    ) {
        let Words { one, table, changed_key } = words;
        for refusal in refusals {
            match refusal {
                Refusal::Changed { new, what } => {
                    let first = what.split(' ').next().unwrap_or(changed_key);
                    // A multiplier is written as the ratios of its transformers.
                    let keys = if first == "multiplier" { &["ct", "pt", first][..] } else { &[first][..] };
                    let written = keys.iter().find(|key| stretches[*new].lines.contains_key(**key));
                    let key = written.unwrap_or(changed_key);
                    let remedy = "write `from = ...`, the moment of the change, or `correct = true` with a `reason` if it was always so";
                    self.faults.add(stretches[*new], key, format!("changes {what}"), remedy);
                }
                Refusal::Ended { new, at } => {
                    let what = format!("the {one} ended at {} in the book", self.show(site, *at));
                    let remedy = format!("write that as `until`, or `from = ...` for a new {one}");
                    self.faults.add(stretches[*new], "", what, remedy);
                }
                Refusal::OtherEnd { new, was } => {
                    let what = format!("differs from the book, where the {one} ended at {}", self.show(site, *was));
                    self.faults.add(
                        stretches[*new],
                        "until",
                        what,
                        "correct it, or write `correct = true` with a `reason`",
                    );
                }
                Refusal::Overlap { new, old: place } => {
                    let (from, to) = old[*place];
                    let to = to.map_or(String::new(), |to| format!(" to {}", self.show(site, to)));
                    let what = format!("begins before or within what the book has from {}{to}", self.show(site, from));
                    self.faults.add(
                        stretches[*new],
                        "from",
                        what,
                        "write a later moment, or `correct = true` with a `reason`",
                    );
                }
                Refusal::OverlapsNext { new } => {
                    let what = format!("overlaps the next {one}");
                    self.faults.add(
                        stretches[*new],
                        "until",
                        what,
                        format!("let one [[{table}]] end before the next begins"),
                    );
                }
                Refusal::NoFrom { new } => {
                    let what = format!("is missing, and this is not the first [[{table}]]");
                    self.faults.add(stretches[*new], "from", what, "write when it begins");
                }
                Refusal::Missing { old: place } => {
                    let what = format!(
                        "the file has nothing for the {one} that runs since {}",
                        self.show(site, old[*place].0)
                    );
                    self.faults.add(thing, "", what, "keep it in the file; write `until = ...` in it to end it");
                }
            }
        }
    }

    fn show_sources(&self, sources: &BTreeMap<String, ServicePointId>) -> String {
        let shown: Vec<String> = sources.iter().map(|(name, id)| format!("{name} {}", self.point_name(*id))).collect();
        if shown.is_empty() { "none".to_owned() } else { shown.join(", ") }
    }

    fn account_name(&self, id: AccountId) -> String {
        let named = self.registry.account(id).map(|account| account.name.to_string());
        let new = || self.names.accounts.iter().find(|(_, known)| known.id == id).map(|(name, _)| name.clone());
        named.or_else(new).unwrap_or_else(|| id.to_string())
    }

    fn tariff_name(&self, id: TariffId) -> String {
        let named = self.registry.tariff(id).map(|tariff| tariff.name.clone());
        let new = || self.names.tariffs.iter().find(|(_, known)| known.id == id).map(|(name, _)| name.clone());
        named.or_else(new).unwrap_or_else(|| id.to_string())
    }

    fn missing_points(&mut self) {
        for (index, site) in self.site_ids.iter().enumerate() {
            for old in self.registry.service_points().filter(|old| old.site == *site) {
                let runs = old.contracts().next_back().is_some_and(|contract| contract.valid_to.is_none())
                    || old.epochs().iter().any(|epoch| epoch.valid_to.is_none());
                if runs && !self.names.points.contains_key(old.name.as_str()) {
                    let what = format!("has no [[service_point]] {:?}, but the book has", old.name);
                    let remedy = "keep it in the file; write `until = ...` in it to end its contract";
                    self.faults.add(&self.file.sites[index].at, "", what, remedy);
                }
            }
        }
    }
}

fn show_capacity(capacity: &Option<Quantity>) -> String {
    capacity.map_or("none".to_owned(), |capacity| format!("{capacity} kW"))
}

/// `, 5 persons`, `, 12 households`; nothing where nobody said.
fn show_household(household: Household) -> String {
    let mut text = String::new();
    if household.persons > 0 {
        text += &format!(", {} persons", household.persons);
    }
    if household.households > 1 {
        text += &format!(", {} households", household.households);
    }
    text
}
