//! Meters and their installations: what one count is worth, where, from when to when.

use std::collections::HashMap;

use kernel::epoch::{Epoch, ProfileFacts};
use kernel::id::{EpochId, MeterId, ServicePointId, Utility};
use kernel::time::Moment;

use super::points::Words;
use super::shared::because;
use super::{ChangeKind, Differences, Planner};
use crate::registry::{Meter, MeterKind};
use crate::site_file::fault::At;
use crate::site_file::model::{Installation, MeterItem, Stretch, USAGE};
use crate::site_file::timeline::{self, New, Old, Step};
use crate::site_file::words::{self, Ratio};

/// What an installation comes to.
#[derive(Clone, Debug)]
struct Terms {
    point: ServicePointId,
    /// 1/1000 units per count, everything included.
    worth: Ratio,
    modulus: Option<i64>,
    opening: Option<i64>,
    closing: Option<i64>,
    jitter: i64,
    max_rate: i64,
    /// For faults and changes.
    multiplier: Ratio,
    profile: String,
}

/// An installation as it will be, to look for overlaps.
struct Span {
    serial: String,
    meter: MeterId,
    point: ServicePointId,
    from: Moment,
    to: Option<Moment>,
    /// Where the file speaks of it.
    at: Option<At>,
}

impl Span {
    fn of(epoch: &Epoch, serial: &str) -> Span {
        Span {
            serial: serial.to_owned(),
            meter: epoch.meter,
            point: epoch.service_point,
            from: epoch.valid_from,
            to: epoch.valid_to,
            at: None,
        }
    }
}

/// What no meter exceeds: imported usage has no rating.
const NO_LIMIT: i64 = i64::MAX;

impl Planner<'_> {
    pub(super) fn meters(&mut self) {
        let file = self.file;
        self.twice("meter", file.meters.iter().map(|item| (item.serial.as_str(), &item.at)));
        let mut spans: HashMap<ServicePointId, Vec<Span>> = HashMap::new();
        for item in &file.meters {
            self.meter(item, &mut spans);
        }
        self.missing_meters(&mut spans);
        self.overlaps(spans);
        self.buses();
    }

    fn meter(&mut self, item: &MeterItem, spans: &mut HashMap<ServicePointId, Vec<Span>>) {
        let site = self.site_ids[item.site];
        let old = self.registry.meter_by_serial(&item.serial);
        if old.is_some_and(|old| old.site != site) {
            self.faults.add(
                &item.at,
                "serial",
                "is a meter of another site",
                "end it there, and give it a serial number of its own here",
            );
            return;
        }
        let Some(facts) = self.facts(item, &item.profile, &item.at) else { return };
        let id = old.map_or_else(|| MeterId(self.next("meters")), |old| old.id);
        let mut new = Vec::new();
        for stretch in &item.installations {
            let Some(terms) = self.terms(item, stretch) else { return };
            new.push(New { from: stretch.from, until: stretch.until, correct: stretch.correct.is_some(), terms });
        }
        let old_epochs: Vec<&Epoch> = {
            let mut epochs: Vec<&Epoch> = self.registry.epochs_of(id).filter(|_| old.is_some()).collect();
            epochs.sort_by_key(|epoch| epoch.valid_from);
            epochs
        };
        let last = new.len().saturating_sub(1);
        let old_stretches: Vec<Old<Terms>> = old_epochs.iter().map(|epoch| self.old_terms(epoch, old)).collect();
        let differs = |before: &Old<Terms>, after: &New<Terms>| {
            let is_last = std::ptr::eq(after, &raw const new[last]);
            self.installation_differs(before, after, is_last)
        };
        let default_from = self.default_from(item.site);
        let (steps, refusals) = timeline::compare(&old_stretches, &new, default_from, differs);
        let words = Words { one: "installation", table: "meter.installation", changed_key: "service_point" };
        let stretches: Vec<&At> = item.installations.iter().map(|stretch| &stretch.at).collect();
        let old_spans: Vec<_> = old_stretches.iter().map(|old| (old.from, old.to)).collect();
        self.refuse(&item.at, &stretches, item.site, &old_spans, &refusals, &words);
        self.meter_row(item, id, old, &facts, &new);
        let mut result: Vec<Option<Span>> =
            old_epochs.iter().map(|epoch| Some(Span::of(epoch, &item.serial))).collect();
        for step in steps {
            match &step {
                Step::Keep { old: place, new } => mark(&mut result[*place], None, &item.installations[*new].at),
                Step::End { old: place, at, new } => mark(&mut result[*place], Some(*at), &item.installations[*new].at),
                Step::Create { new: index, from, to, supersedes } => {
                    supersedes.iter().for_each(|place| result[*place] = None);
                    result.push(Some(Span {
                        serial: item.serial.clone(),
                        meter: id,
                        point: new[*index].terms.point,
                        from: *from,
                        to: *to,
                        at: Some(item.installations[*index].at.clone()),
                    }));
                }
            }
            self.installation_step(item, id, &old_epochs, &new, step);
        }
        for span in result.into_iter().flatten() {
            spans.entry(span.point).or_default().push(span);
        }
    }

    /// The facts of a profile; a fault lists the known ones.
    fn facts(&self, item: &MeterItem, profile: &str, at: &At) -> Option<ProfileFacts> {
        if profile == USAGE {
            let point = item.installations.first().and_then(|stretch| self.names.points.get(&stretch.terms.point));
            return Some(ProfileFacts {
                name: USAGE.to_owned(),
                utility: point.map_or(Utility::Electricity, |point| point.utility),
                resolution_numerator: 1,
                resolution_denominator: 1,
                modulus: None,
                jitter_counts: 0,
                max_rate: NO_LIMIT,
                primary: true,
                has_relay: false,
            });
        }
        let facts = self.checks.profiles.get(profile);
        if facts.is_none() {
            let mut known: Vec<&str> = self.checks.profiles.keys().map(String::as_str).collect();
            known.push(USAGE);
            let remedy = format!("write one of: {}", known.join(", "));
            self.faults.add(at, "profile", format!("is {profile:?}, which is not a known profile"), remedy);
        }
        facts.cloned()
    }

    /// What the file says of an installation, with the profile's facts; every fault of it.
    fn terms(&self, item: &MeterItem, stretch: &Stretch<Installation>) -> Option<Terms> {
        let (at, installation) = (&stretch.at, &stretch.terms);
        let profile = installation.profile.as_ref().unwrap_or(&item.profile);
        let facts = self.facts(item, profile, at)?;
        let point = self.names.points.get(&installation.point).filter(|point| point.site == self.site_ids[item.site]);
        if point.is_none() {
            let what = format!("is {:?}, which the site has no [[service_point]] for", installation.point);
            self.faults.add(at, "service_point", what, "add the service point, or correct the name");
        }
        let point = point?;
        if facts.utility != point.utility {
            let what = format!(
                "measures {}, but {:?} is for {}",
                facts.utility.name(),
                installation.point,
                point.utility.name()
            );
            self.faults.add(at, "profile", what, "correct the profile or the service point");
        }
        let multiplier = installation.multiplier.unwrap_or(Ratio::ONE);
        let first = ["ct", "pt", "multiplier"].into_iter().find(|key| at.lines.contains_key(*key)).unwrap_or("ct");
        if multiplier != Ratio::ONE && facts.primary {
            let (what, remedy) = match profile == USAGE {
                true => (
                    format!("multiplies imported usage by {multiplier}"),
                    "leave it out: usage is imported in kWh or m3",
                ),
                false => (
                    format!(
                        "multiplies by {multiplier}, but the register of {profile} is primary already: it would count {multiplier} times too much"
                    ),
                    "leave ct, pt and multiplier out",
                ),
            };
            self.faults.add(at, first, what, remedy);
        }
        if profile == USAGE {
            for key in ["modulus", "opening_count", "closing_count", "previous_closing_count"] {
                if at.lines.contains_key(key) {
                    self.faults.add(
                        at,
                        key,
                        "stands beside `kind = \"usage\"`",
                        "leave it out: imported usage has no register",
                    );
                }
            }
        }
        let resolution = Ratio::new(facts.resolution_numerator, facts.resolution_denominator).unwrap_or(Ratio::ONE);
        let worth = resolution.times(multiplier);
        if worth.is_none() {
            self.faults.add(at, first, "makes the multiplier too large", "check ct, pt and multiplier");
        }
        let rating = installation.rating.as_ref().and_then(|text| {
            let rate = words::rating(text, point.utility);
            if rate.is_none() {
                let remedy = format!("write a rating such as \"75 {}\"", words::rating_unit(point.utility));
                self.faults.add(at, "rating", format!("is {text:?}"), remedy);
            }
            rate
        });
        let by_profile =
            i128::from(facts.max_rate) * i128::from(multiplier.numerator) / i128::from(multiplier.denominator);
        let max_rate = rating.unwrap_or(i64::try_from(by_profile).unwrap_or(NO_LIMIT));
        let modulus = match installation.modulus {
            None => facts.modulus,
            Some(0) => None,
            Some(modulus) => Some(modulus),
        };
        for (key, count) in [("opening_count", installation.opening), ("closing_count", installation.closing)] {
            if let (Some(count), Some(modulus)) = (count, modulus)
                && count >= modulus
            {
                let what = format!("is {count}, but the register wraps at {modulus}");
                self.faults.add(at, key, what, "write the count as the register shows it, without the decimal point");
            }
        }
        Some(Terms {
            point: point.id,
            worth: worth?,
            modulus,
            opening: installation.opening,
            closing: installation.closing,
            jitter: facts.jitter_counts,
            max_rate,
            multiplier,
            profile: profile.clone(),
        })
    }

    fn old_terms(&self, epoch: &Epoch, meter: Option<&Meter>) -> Old<Terms> {
        let worth = Ratio::new(epoch.numerator, epoch.denominator).unwrap_or(Ratio::ONE);
        let resolution =
            meter.and_then(|meter| Ratio::new(meter.resolution.1, meter.resolution.0)).unwrap_or(Ratio::ONE);
        let terms = Terms {
            point: epoch.service_point,
            worth,
            modulus: epoch.modulus,
            opening: epoch.opening_count,
            closing: epoch.closing_count,
            jitter: epoch.jitter_counts,
            max_rate: epoch.max_rate,
            multiplier: worth.times(resolution).unwrap_or(worth),
            profile: meter.map_or(String::new(), |meter| meter.profile.clone()),
        };
        Old { from: epoch.valid_from, to: epoch.valid_to, terms }
    }

    fn installation_differs(&self, old: &Old<Terms>, new: &New<Terms>, is_last: bool) -> Option<String> {
        let mut differences = Differences::default();
        let (was, is) = (&old.terms, &new.terms);
        differences.of("service_point", &was.point, &is.point, |id| self.point_name(*id));
        if was.worth != is.worth {
            differences.0.push(format!("multiplier {} -> {}", was.multiplier, is.multiplier));
        }
        let count = |count: &Option<i64>| count.map_or("none".to_owned(), |count| count.to_string());
        differences.of("modulus", &was.modulus, &is.modulus, count);
        if is_last && old.to.is_none() {
            // The book keeps the profile of a meter's last installation only.
            differences.text("profile", &was.profile, &is.profile);
        }
        if is.opening.is_some() {
            differences.of("opening_count", &was.opening, &is.opening, count);
        }
        if is.closing.is_some() && old.to.is_some() {
            differences.of("closing_count", &was.closing, &is.closing, count);
        }
        differences.joined()
    }

    fn installation_step(&mut self, item: &MeterItem, meter: MeterId, old: &[&Epoch], new: &[New<Terms>], step: Step) {
        let subject = format!("meter:{}", item.serial);
        match step {
            Step::Keep { old: place, new: index } => {
                let (epoch, terms) = (old[place], &new[index].terms);
                if epoch.valid_to.is_none() && (epoch.max_rate, epoch.jitter_counts) != (terms.max_rate, terms.jitter) {
                    // How later readings are judged; no quantity depends on it.
                    let changed = Epoch { max_rate: terms.max_rate, jitter_counts: terms.jitter, ..epoch.clone() };
                    self.rows.epoch_updates.push(changed);
                    let text =
                        format!("most flow {} -> {}", self.flow(item, epoch.max_rate), self.flow(item, terms.max_rate));
                    self.change(ChangeKind::Changed, subject, text);
                }
            }
            Step::End { old: place, at, new: index } => {
                let epoch = old[place];
                let continued = item.installations[index].from.unwrap_or(epoch.valid_from) == epoch.valid_from;
                let installation = &item.installations[index].terms;
                let closing = if continued { installation.closing } else { installation.previous_closing };
                let closing_count = closing.or(epoch.closing_count);
                self.rows.epoch_updates.push(Epoch { valid_to: Some(at), closing_count, ..epoch.clone() });
                let count = closing_count.map_or(String::new(), |count| format!(", closing count {count}"));
                let point = self.point_name(epoch.service_point);
                let text = format!("at {point} until {}{count}", self.show(item.site, at));
                self.change(ChangeKind::Ended, subject, text);
                self.touch(epoch.service_point, at);
            }
            Step::Create { new: index, from, to, supersedes } => {
                let stretch = &item.installations[index];
                let terms = new[index].terms.clone();
                let mut closing_count = stretch.terms.closing;
                for place in &supersedes {
                    self.rows.superseded.push(("epochs", old[*place].id.0));
                    self.touch(old[*place].service_point, from.min(old[*place].valid_from));
                    closing_count = closing_count.or(old[*place].closing_count.filter(|_| to.is_some()));
                }
                let next = item.installations.iter().find(|next| to.is_some() && next.from == to);
                let opening = supersedes.iter().find(|place| old[**place].valid_from == from);
                let epoch = Epoch {
                    id: EpochId(self.next("epochs")),
                    meter,
                    service_point: terms.point,
                    numerator: terms.worth.numerator,
                    denominator: terms.worth.denominator,
                    modulus: terms.modulus,
                    opening_count: terms.opening.or(opening.and_then(|place| old[*place].opening_count)),
                    closing_count: closing_count.or(next.and_then(|next| next.terms.previous_closing)),
                    jitter_counts: terms.jitter,
                    max_rate: terms.max_rate,
                    valid_from: from,
                    valid_to: to,
                };
                let kind = if supersedes.is_empty() { ChangeKind::Created } else { ChangeKind::Corrected };
                let times =
                    if terms.multiplier == Ratio::ONE { String::new() } else { format!(", x{}", terms.multiplier) };
                let opens = epoch.opening_count.map_or(String::new(), |count| format!(", opening count {count}"));
                let until = to.map_or(String::new(), |to| format!(" until {}", self.show(item.site, to)));
                let (point, from_shown) = (&stretch.terms.point, self.show(item.site, from));
                let mut text = format!("at {point}{times} from {from_shown}{until}{opens}");
                text += &because(stretch.correct.as_deref(), kind);
                self.rows.epoch(&epoch, stretch.correct.as_deref());
                self.change(kind, subject, text);
                if self.registry.meter(meter).is_some() {
                    self.touch(terms.point, from);
                }
            }
        }
    }

    /// The device itself: profile, bus, relay, rating.
    fn meter_row(
        &mut self,
        item: &MeterItem,
        id: MeterId,
        old: Option<&Meter>,
        facts: &ProfileFacts,
        new: &[New<Terms>],
    ) {
        if item.relay == Some(true) && !facts.has_relay {
            let what = format!("is true, but {} has no relay or valve", facts.name);
            self.faults.add(&item.at, "relay", what, "leave it out, or correct the profile");
        }
        let bus = item.bus.as_deref().and_then(crate::registry::host_port);
        let electric = matches!(facts.utility, Utility::Electricity | Utility::Heat);
        let rated = item.installations.last().is_some_and(|stretch| stretch.terms.rating.is_some());
        let rating_mw = new.last().filter(|_| electric && rated).and_then(|new| new.terms.max_rate.checked_mul(1_000));
        let meter = Meter {
            id,
            site: self.site_ids[item.site],
            serial: item.serial.clone(),
            profile: item.profile.clone(),
            utility: facts.utility,
            kind: if item.profile == USAGE { MeterKind::Usage } else { MeterKind::Register },
            resolution: (facts.resolution_numerator, facts.resolution_denominator),
            bus,
            unit: item.unit.and_then(|unit| u8::try_from(unit).ok()),
            poll_micros: item.poll_micros,
            has_relay: facts.has_relay && item.relay != Some(false),
            rating_mw,
        };
        let reached = |meter: &Meter| match (&meter.bus, meter.unit, meter.poll_micros) {
            (Some((host, port)), Some(unit), Some(poll)) => {
                format!("{host}:{port} unit {unit} every {}", words::show_duration(poll))
            }
            _ => "import only".to_owned(),
        };
        let subject = format!("meter:{}", item.serial);
        match old {
            None => {
                let text = format!("{}, {}, {}", meter.utility.name(), meter.profile, reached(&meter));
                self.change(ChangeKind::Created, subject, text);
                self.rows.meter(&meter);
            }
            Some(old) if *old != meter => {
                let mut differences = Differences::default();
                differences.text("profile", &old.profile, &meter.profile);
                differences.of("read at", &reached(old), &reached(&meter), String::clone);
                differences.of("relay", &old.has_relay, &meter.has_relay, bool::to_string);
                let power = |mw: &Option<i64>| mw.map_or("none".to_owned(), |mw| format!("{} W", mw / 1_000));
                differences.of("rating", &old.rating_mw, &meter.rating_mw, power);
                let resolution = |(numerator, denominator): &(i64, i64)| format!("{numerator}/{denominator}");
                differences.of("resolution", &old.resolution, &meter.resolution, resolution);
                self.change(ChangeKind::Changed, subject, differences.joined().unwrap_or_default());
                self.rows.meter(&meter);
            }
            Some(_) => {}
        }
    }

    /// Meters that the file forgot; where ended ones stood counts for overlaps still.
    fn missing_meters(&self, spans: &mut HashMap<ServicePointId, Vec<Span>>) {
        for (index, site) in self.site_ids.iter().enumerate() {
            for old in self.registry.meters().filter(|old| old.site == *site) {
                if self.file.meters.iter().any(|item| item.serial == old.serial) {
                    continue;
                }
                for epoch in self.registry.epochs_of(old.id) {
                    spans.entry(epoch.service_point).or_default().push(Span::of(epoch, &old.serial));
                }
                if self.registry.epochs_of(old.id).any(|epoch| epoch.valid_to.is_none()) {
                    let what = format!("has no [[meter]] {:?}, but the book has", old.serial);
                    let remedy = "keep it in the file; write `until = ...` (and `closing_count`) in it to take it out";
                    self.faults.add(&self.file.sites[index].at, "", what, remedy);
                }
            }
        }
    }

    /// Two meters at one service point at once would charge twice.
    fn overlaps(&self, spans: HashMap<ServicePointId, Vec<Span>>) {
        for (point, mut list) in spans {
            list.sort_by_key(|span| span.from);
            for (place, a) in list.iter().enumerate() {
                for b in &list[place + 1..] {
                    let apart = a.to.is_some_and(|to| to <= b.from);
                    let Some(at) = b.at.as_ref().or(a.at.as_ref()).filter(|_| !apart) else { continue };
                    let (what, remedy) = match a.meter == b.meter {
                        true => (
                            format!("has two installations of {} at once", a.serial),
                            "let one end before the next begins",
                        ),
                        false => (
                            format!(
                                "meters {} and {} are both at {} at once",
                                a.serial,
                                b.serial,
                                self.point_name(point)
                            ),
                            "give the second its own service point, or the first an `until`",
                        ),
                    };
                    self.faults.add(at, "service_point", what, remedy);
                }
            }
        }
    }

    /// Two devices with one address would answer at once.
    fn buses(&self) {
        let mut seen: HashMap<(&str, i64), &str> = HashMap::new();
        for item in &self.file.meters {
            let ended =
                item.installations.last().and_then(|stretch| stretch.until).is_some_and(|until| self.is_past(until));
            let (Some(bus), Some(unit), false) = (&item.bus, item.unit, ended) else { continue };
            if let Some(first) = seen.insert((bus, unit), &item.serial) {
                let what = format!("is {unit}, which {first} has on {bus} already");
                self.faults.add(&item.at, "unit", what, "give each device on a bus its own unit");
            }
        }
    }

    fn flow(&self, item: &MeterItem, rate: i64) -> String {
        let point = item.installations.last().and_then(|stretch| self.names.points.get(&stretch.terms.point));
        let unit = words::rating_unit(point.map_or(Utility::Electricity, |point| point.utility));
        format!("{} {unit}", kernel::money::Quantity(rate))
    }

    fn point_name(&self, id: ServicePointId) -> String {
        let named = self.registry.service_point(id).map(|point| point.name.clone());
        let new = || self.names.points.iter().find(|(_, known)| known.id == id).map(|(name, _)| name.clone());
        named.or_else(new).unwrap_or_else(|| id.to_string())
    }
}

fn mark(slot: &mut Option<Span>, end: Option<Moment>, at: &At) {
    if let Some(span) = slot {
        span.to = end.or(span.to);
        span.at = Some(at.clone());
    }
}
