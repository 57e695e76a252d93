//! How m3 of gas become kWh: calorific values of supply areas, and each service point's conversions.
//!
//! Both are lists of entries that hold from a moment until the next one. The last one runs on until somebody says
//! otherwise, so that a value published after its month is simply the next entry, and what flowed since is rated anew.
//! What is said of an earlier span is a correction and needs `correct = true` with a reason. Closed months are no
//! obstacle: what they should have cost becomes an adjustment.

use kernel::id::ServicePointId;
use kernel::time::Moment;
use kernel::unit::Unit;

use super::{ChangeKind, KnownQuality, Planner};
use crate::registry::{Calorific, GasQualityId};
use crate::site_file::conversions::show_millionths;
use crate::site_file::fault::At;
use crate::site_file::model::{CalorificSource, GasQualityItem, PointItem, Stated};
use crate::site_file::words;

/// An entry of the book: number, from when, what.
type Old<T> = (u32, Moment, T);

/// An entry that is written.
struct New<T> {
    /// Its place in the file.
    place: usize,
    from: Moment,
    terms: T,
    /// What it takes the place of.
    supersedes: Option<u32>,
    kind: ChangeKind,
}

/// How a list's entries are called in faults.
struct Words<'a> {
    table: &'a str,
    key: &'a str,
    show: &'a dyn Fn(Moment) -> String,
}

impl Planner<'_> {
    pub(super) fn gas_qualities(&mut self) {
        let file = self.file;
        self.twice("gas quality", file.gas_qualities.iter().map(|item| (item.name.as_str(), &item.at)));
        for quality in self.registry.gas_qualities() {
            let first = quality.values.first().map(|value| value.valid_from);
            self.names.qualities.insert(quality.name.clone(), KnownQuality { id: quality.id, first });
        }
        for item in &file.gas_qualities {
            self.gas_quality(item);
        }
    }

    fn gas_quality(&mut self, item: &GasQualityItem) {
        let old = self.registry.gas_quality_named(&item.name);
        let id = old.map_or_else(|| GasQualityId(self.next("gas_qualities")), |old| old.id);
        if old.is_none() {
            self.rows.gas_quality(id, &item.name);
        }
        let first = item.values.iter().filter_map(|value| value.from).min();
        self.names.qualities.insert(item.name.clone(), KnownQuality { id, first });
        let known: Vec<Old<i64>> = old.map_or_else(Vec::new, |old| {
            old.values.iter().map(|value| (value.id, value.valid_from, value.calorific_value)).collect()
        });
        let new: Vec<(&Stated<i64>, Moment, i64)> =
            item.values.iter().filter_map(|value| Some((value, value.from?, value.terms))).collect();
        let show = |moment| words::show_moment(moment, &item.zone);
        let words = Words { table: "gas_quality.value", key: "calorific_value", show: &show };
        for entry in self.entries(&item.at, &known, &new, &words, |value| show_millionths(*value)) {
            let New { place, from, terms, supersedes, kind } = entry;
            self.rows.superseded.extend(supersedes.map(|id| ("calorific_values", id)));
            let reason = item.values[place].correct.as_deref();
            let number = self.next("calorific_values");
            self.rows.calorific_value(number, id, from, terms, reason);
            let text = format!("{} MJ/m3 from {}", show_millionths(terms), show(from));
            self.change(kind, format!("gas quality:{}", item.name), text + &reason_of(reason));
            self.touch_supplied(id, from);
        }
    }

    /// The service points that a supply area's value reaches.
    fn touch_supplied(&mut self, quality: GasQualityId, from: Moment) {
        let supplied = self.registry.service_points().filter_map(|point| {
            let named = point.conversions.iter().any(|entry| entry.source == Calorific::Quality(quality));
            named.then_some(point.id)
        });
        supplied.collect::<Vec<_>>().into_iter().for_each(|point| self.touch(point, from));
    }

    /// A service point's own entries.
    pub(super) fn conversions(&mut self, item: &PointItem, id: ServicePointId) {
        let old = self.registry.service_point(id).map_or(&[][..], |point| &point.conversions);
        let known: Vec<Old<(Calorific, i64)>> =
            old.iter().map(|entry| (entry.id, entry.valid_from, (entry.source, entry.correction))).collect();
        let default_from = known.first().map_or_else(|| self.default_from(item.site), |(_, from, _)| *from);
        let mut new = Vec::new();
        for (place, stated) in item.conversions.iter().enumerate() {
            if item.unit != Unit::KilowattHour {
                let what = format!("stands at a service point that is billed in {}", item.unit.name());
                self.faults.add(&stated.at, "correction", what, "write `unit = \"kWh\"` where gas is billed as energy");
                return;
            }
            if stated.from.is_none() && place > 0 {
                let what = "is missing, and this is not the first [[service_point.conversion]]";
                self.faults.add(&stated.at, "from", what, "write when it begins");
                return;
            }
            let source = match &stated.terms.source {
                CalorificSource::Own(value) => Calorific::Own(*value),
                CalorificSource::Quality(name) => match self.names.qualities.get(name) {
                    Some(quality) => Calorific::Quality(quality.id),
                    None => {
                        let what = format!("is {name:?}, which neither this file nor the book has");
                        self.faults.add(
                            &stated.at,
                            "gas_quality",
                            what,
                            "add the [[gas_quality]], or correct the name",
                        );
                        return;
                    }
                },
            };
            new.push((stated, stated.from.unwrap_or(default_from), (source, stated.terms.correction)));
        }
        let zone = self.zone(item.site).clone();
        let show = |moment| words::show_moment(moment, &zone);
        let words = Words { table: "service_point.conversion", key: "correction", show: &show };
        let names: Vec<(GasQualityId, String)> =
            self.names.qualities.iter().map(|(name, known)| (known.id, name.clone())).collect();
        let shown = |(source, correction): &(Calorific, i64)| {
            let value = match source {
                Calorific::Own(value) => format!("{} MJ/m3", show_millionths(*value)),
                Calorific::Quality(id) => {
                    let name = names.iter().find(|(known, _)| known == id).map_or("", |(_, name)| name);
                    format!("the gas of {name}")
                }
            };
            format!("{value} x {}", show_millionths(*correction))
        };
        for entry in self.entries(&item.at, &known, &new, &words, shown) {
            let New { place, from, terms, supersedes, kind } = entry;
            self.rows.superseded.extend(supersedes.map(|id| ("conversions", id)));
            let reason = item.conversions[place].correct.as_deref();
            let number = self.next("conversions");
            self.rows.conversion(number, id, from, terms, reason);
            let is_first =
                known.iter().map(|(_, other, _)| *other).chain(new.iter().map(|entry| entry.1)).min() >= Some(from);
            let since = match (is_first, item.conversions[place].from) {
                (true, None) => "from the first m3 on".to_owned(),
                _ => format!("from {}", show(from)),
            };
            let text = format!("m3 become kWh by {} {since}", shown(&terms));
            self.change(kind, format!("service point:{}", item.name), text + &reason_of(reason));
            // The first holds also for what flowed before it.
            let measured = self.registry.service_point(id).into_iter().flat_map(|point| point.epochs().iter());
            let earliest = measured.map(|epoch| epoch.valid_from).filter(|_| is_first).min();
            self.touch(id, earliest.map_or(from, |earliest| earliest.min(from)));
        }
    }

    /// What is new in a list; everything else that differs from the book is refused.
    fn entries<T: Copy + PartialEq, S>(
        &self,
        thing: &At,
        old: &[Old<T>],
        new: &[(&Stated<S>, Moment, T)],
        words: &Words<'_>,
        show: impl Fn(&T) -> String,
    ) -> Vec<New<T>> {
        let Words { table, key, show: when } = words;
        let last = old.last().map(|(_, from, _)| *from);
        let mut entries = Vec::new();
        for (place, (stated, from, terms)) in new.iter().enumerate() {
            let (from, terms) = (*from, *terms);
            if new[..place].iter().any(|(_, other, _)| *other == from) {
                self.faults.add(
                    &stated.at,
                    "from",
                    "is that of another entry",
                    format!("give each [[{table}]] its own"),
                );
                continue;
            }
            let known = old.iter().find(|(_, other, _)| *other == from);
            if known.is_some_and(|(_, _, known)| *known == terms) {
                continue;
            }
            let is_next = known.is_none() && last.is_none_or(|last| last < from);
            match (known, &stated.correct) {
                _ if is_next => {}
                (_, Some(_)) => {}
                (Some((_, _, known)), None) => {
                    let what = format!("changes {} to {}, from {}", show(known), show(&terms), when(from));
                    let remedy = format!(
                        "write a [[{table}]] from the moment of the change, or `correct = true` with a `reason`: what it \
                         converted is rated anew"
                    );
                    self.faults.add(&stated.at, key, what, remedy);
                    continue;
                }
                (None, None) => {
                    let what = format!("begins before what the book has from {}", last.map_or_else(String::new, when));
                    let remedy = "write `correct = true` with a `reason`: what flowed since is rated anew";
                    self.faults.add(&stated.at, "from", what, remedy);
                    continue;
                }
            }
            let kind = if is_next { ChangeKind::Created } else { ChangeKind::Corrected };
            entries.push(New { place, from, terms, supersedes: known.map(|(id, ..)| *id), kind });
        }
        for (_, from, terms) in old.iter().filter(|(_, from, _)| !new.iter().any(|(_, other, _)| other == from)) {
            let what = format!("has no [[{table}]] from {}, but the book has ({})", when(*from), show(terms));
            let remedy = "keep it: what is said stays; one that was wrong is corrected with `correct = true`";
            self.faults.add(thing, "", what, remedy);
        }
        entries
    }

    /// A meter of m3 cannot come to a service point that is billed in kWh and knows no value, where no file says one.
    pub(super) fn conversions_known(&self) {
        for epoch in self.rows.new_epochs.iter().filter(|epoch| epoch.converts) {
            let Some(point) = self.registry.service_point(epoch.service_point) else { continue };
            if point.conversions.is_empty() {
                let what =
                    format!("measures m3, but {:?} is billed in kWh and nothing says what a m3 is worth", point.name);
                let remedy = "give the service point a calorific value and a correction in the site file first";
                self.faults.add(&At::default(), "meter", what, remedy);
            }
        }
    }

    /// Wherever m3 are billed as kWh, some value must hold at every moment.
    pub(super) fn conversions_fit(&self) {
        for item in &self.file.points {
            let Some(point) = self.names.points.get(&item.name) else { continue };
            let known = self.registry.service_point(point.id).into_iter().flat_map(|point| point.epochs().iter());
            let planned = self.rows.new_epochs.iter().filter(|epoch| epoch.service_point == point.id);
            let converting = known.chain(planned).filter(|epoch| epoch.converts);
            let Some(since) = converting.map(|epoch| epoch.valid_from).min() else { continue };
            let Some(first) = item.conversions.first() else {
                let what = "is billed in kWh and has a meter of m3, but nothing says what a m3 is worth";
                let remedy = "write `gas_quality` or `calorific_value`, and `correction`";
                self.faults.add(&item.at, "unit", what, remedy);
                continue;
            };
            let begins = item.conversions.iter().map(|entry| entry.from).min().flatten();
            if let Some(begins) = begins.filter(|begins| *begins > since && first.from.is_some()) {
                let (begins, since) = (self.show(item.site, begins), self.show(item.site, since));
                let what = format!("is {begins}, but m3 are measured since {since}: what flowed before has no value");
                let remedy =
                    format!("let the first [[service_point.conversion]] begin at {since}, or leave its `from` out");
                self.faults.add(&first.at, "from", what, remedy);
            }
            for (place, entry) in item.conversions.iter().enumerate() {
                let CalorificSource::Quality(name) = &entry.terms.source else { continue };
                let Some(quality) = self.names.qualities.get(name) else { continue };
                let from = entry.from.map_or(since, |from| from.max(since));
                let over = item.conversions.get(place + 1).and_then(|next| next.from).is_some_and(|end| end <= since);
                if !over && quality.first.is_none_or(|first| first > from) {
                    let what = format!("is {name:?}, which has no value at {}", self.show(item.site, from));
                    let remedy = format!(
                        "add a [[gas_quality.value]] to {name:?} that holds from {} or earlier",
                        self.show(item.site, from)
                    );
                    self.faults.add(&entry.at, "gas_quality", what, remedy);
                }
            }
        }
    }
}

fn reason_of(reason: Option<&str>) -> String {
    reason.map_or_else(String::new, |reason| format!(" ({reason})"))
}
