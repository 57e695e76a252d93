//! Tariffs: a version is published, never edited; only a correction supersedes one.

use kernel::id::TariffVersionId;
use kernel::money::Price;
use kernel::tariff::{Band, TariffVersion};
use kernel::time::Moment;
use kernel::unit::Unit;

use super::components::{asks, describe_components};
use super::shared::because;
use super::{ChangeKind, Demand, KnownTariff, Planner};
use crate::registry::{Tariff, TariffId};
use crate::site_file::fault::At;
use crate::site_file::model::{TariffItem, VersionItem};
use crate::site_file::words;

impl Planner<'_> {
    pub(super) fn tariffs(&mut self) {
        let file = self.file;
        self.twice("tariff", file.tariffs.iter().map(|item| (item.name.as_str(), &item.at)));
        for tariff in self.registry.tariffs() {
            let known = KnownTariff {
                id: tariff.id,
                utility: tariff.utility,
                currency: tariff.currency.clone(),
                unit: tariff.unit,
                first_version: tariff.versions.first().map(|version| version.valid_from),
                demands: demands(tariff.versions.iter().map(AsRef::as_ref)),
                asks: asks(tariff.versions.iter().map(AsRef::as_ref)),
            };
            self.names.tariffs.insert(tariff.name.clone(), known);
        }
        self.component_names();
        for item in &file.tariffs {
            let old = self.registry.tariff_named(&item.name);
            let id = match old {
                Some(old) => {
                    self.same_tariff(item, old);
                    old.id
                }
                None => {
                    let id = TariffId(self.next("tariffs"));
                    self.rows.tariff(id, item);
                    let per = if item.unit == Unit::of(item.utility) { "" } else { item.unit.name() };
                    let per = if per.is_empty() { String::new() } else { format!(" per {per}") };
                    let text = format!("{}, {}{per}", item.utility.name(), item.currency);
                    self.change(ChangeKind::Created, format!("tariff:{}", item.name), text);
                    id
                }
            };
            let known = KnownTariff {
                id,
                utility: item.utility,
                currency: item.currency.clone(),
                unit: item.unit,
                first_version: item.versions.first().map(|item| item.version.valid_from),
                demands: demands(item.versions.iter().map(|item| &item.version)),
                asks: asks(item.versions.iter().map(|item| &item.version)),
            };
            self.names.tariffs.insert(item.name.clone(), known);
            for version in &item.versions {
                self.version(item, id, old, version);
            }
            for gone in old.iter().flat_map(|old| &old.versions) {
                if !item.versions.iter().any(|item| item.version.valid_from == gone.valid_from) {
                    let from = words::show_moment(gone.valid_from, &item.zone);
                    let what = format!("lacks the version valid from {from}, which is published");
                    let remedy =
                        "keep it: a published version is never deleted; a new one from a later instant replaces it";
                    self.faults.add(&item.at, "version", what, remedy);
                }
            }
        }
    }

    fn same_tariff(&self, item: &TariffItem, old: &Tariff) {
        let pairs = [
            ("utility", old.utility.name(), item.utility.name()),
            ("currency", old.currency.as_str(), item.currency.as_str()),
            ("unit", old.unit.name(), item.unit.name()),
        ];
        for (key, was, is) in pairs {
            if was != is {
                let what = format!("is {is:?}, but the tariff was published with {was:?}");
                self.faults.add(&item.at, key, what, "make a new tariff with another name");
            }
        }
    }

    fn version(&mut self, item: &TariffItem, tariff: TariffId, old: Option<&Tariff>, new: &VersionItem) {
        let from = new.version.valid_from;
        let published = old.and_then(|old| old.versions.iter().find(|version| version.valid_from == from));
        if published.is_some_and(|published| same(published, &new.version)) {
            return;
        }
        let shown = words::show_moment(from, &item.zone);
        if let Some((published, old_end, end)) = published.and_then(|published| extended(published, &new.version)) {
            // What is published stays as it was; only hours that had no price yet get one.
            self.rows.version_updates.push(TariffVersion { id: published.id, ..new.version.clone() });
            let (old_end, end) = (words::show_moment(old_end, &item.zone), words::show_moment(end, &item.zone));
            let text = format!("prices that ended at {old_end} go on until {end}");
            self.change(ChangeKind::Changed, format!("tariff:{} from {shown}", item.name), text);
            if let Some(series) = &published.dynamic {
                self.touch_users(tariff, series.end(), &new.at);
            }
            return;
        }
        let subject = format!("tariff:{} from {shown}", item.name);
        let kind = match (published, &new.correct) {
            (None, _) => ChangeKind::Created,
            (Some(_), Some(_)) => ChangeKind::Corrected,
            (Some(published), None) => {
                let what = format!("changes a published version ({})", differences(published, &new.version));
                let remedy = "add a [[tariff.version]] from the instant of the new prices, or write `correct = true` with a `reason`";
                self.faults.add(&new.at, "", what, remedy);
                return;
            }
        };
        let text = match published {
            None => format!("published, {}", describe(&new.version)),
            Some(published) => differences(published, &new.version) + &because(new.correct.as_deref(), kind),
        };
        if let Some(published) = published {
            self.rows.superseded.push(("tariff_versions", published.id.0));
        }
        let id = TariffVersionId(self.next("tariff_versions"));
        self.rows.version(tariff, &TariffVersion { id, ..new.version.clone() }, self.now);
        self.change(kind, subject, text);
        if old.is_some() {
            self.touch_users(tariff, from, &new.at);
        }
    }

    /// What a version prices, as far as it reaches back.
    fn touch_users(&mut self, tariff: TariffId, from: Moment, at: &At) {
        let mut touched = Vec::new();
        for point in self.registry.service_points() {
            for contract in point.contracts().filter(|contract| contract.tariff == tariff) {
                let start = contract.valid_from.max(from);
                if contract.valid_to.is_none_or(|end| start < end) {
                    self.refuse_closed(at, "valid_from", point.site, start);
                    touched.push((point.id, start));
                }
            }
        }
        touched.into_iter().for_each(|(point, start)| self.touch(point, start));
    }
}

fn same(a: &TariffVersion, b: &TariffVersion) -> bool {
    same_but_series(a, b) && a.dynamic == b.dynamic
}

fn same_but_series(a: &TariffVersion, b: &TariffVersion) -> bool {
    (&a.rules, &a.tiers, &a.prices, &a.source) == (&b.rules, &b.tiers, &b.prices, &b.source)
        && (&a.components, &a.reverse) == (&b.components, &b.reverse)
}

/// The published version, and the old and the new end of its series, where that only goes on.
fn extended<'a>(old: &'a TariffVersion, new: &TariffVersion) -> Option<(&'a TariffVersion, Moment, Moment)> {
    let (was, is) = (old.dynamic.as_ref()?, new.dynamic.as_ref()?);
    (same_but_series(old, new) && is.extends(was)).then(|| (old, was.end(), is.end()))
}

/// What the versions of a tariff ask a calendar for, each with the moment from which the next one holds.
fn demands<'v>(versions: impl Iterator<Item = &'v TariffVersion>) -> Vec<Demand> {
    let mut demands: Vec<Demand> = Vec::new();
    for version in versions {
        if let Some(last) = demands.last_mut() {
            last.until = Some(version.valid_from);
        }
        demands.push(Demand {
            until: None,
            holidays: version.distinguishes_holidays(),
            names: version.names_of_dates().map(str::to_owned).collect(),
        });
    }
    demands
}

/// `sharp 1.133999, peak 0.930961`, tier by tier.
fn describe(version: &TariffVersion) -> String {
    let tiers = version.prices.iter().map(|row| {
        let bands = Band::OF_TARIFFS.into_iter().filter_map(|band| {
            let price = show_price(row[band as usize]?);
            Some(if band == Band::Single { price } else { format!("{} {price}", band.name()) })
        });
        bands.collect::<Vec<_>>().join(", ")
    });
    let mut text = tiers.collect::<Vec<_>>().join(" | ");
    if let Some(series) = &version.dynamic {
        text += &format!(", {} prices of {} minutes from {}", series.prices.len(), series.step_minutes, series.start);
    }
    if !version.components.is_empty() {
        text += &format!("; {}", describe_components(version));
    }
    text
}

/// A price without the zeros behind its second place.
fn show_price(price: Price) -> String {
    let text = price.to_string();
    let keep = text.trim_end_matches('0').len().max(text.len().saturating_sub(4));
    text[..keep].to_owned()
}

fn differences(old: &TariffVersion, new: &TariffVersion) -> String {
    let mut words = Vec::new();
    if old.dynamic != new.dynamic {
        words.push("other prices in its series, which is only ever continued at its end".to_owned());
    }
    if old.prices != new.prices {
        words.push(format!("prices {} -> {}", describe(old), describe(new)));
    }
    if old.rules != new.rules {
        words.push("other hours or seasons".to_owned());
    }
    if old.tiers != new.tiers {
        words.push("other tiers".to_owned());
    }
    if old.components != new.components {
        words.push(format!("components {} -> {}", describe_components(old), describe_components(new)));
    }
    if old.reverse != new.reverse {
        words.push(format!("reverse {} -> {}", old.reverse.name(), new.reverse.name()));
    }
    if old.source != new.source {
        words.push(format!("source {:?} -> {:?}", old.source, new.source));
    }
    words.join(", ")
}
