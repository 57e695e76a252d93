//! Meters: devices and their buses; no two at one service point or address at once.

use std::collections::HashMap;
use std::sync::Arc;

use kernel::epoch::{Epoch, ProfileFacts};
use kernel::id::{MeterId, ServicePointId, Utility};
use kernel::time::Moment;

use super::installations::Terms;
use super::points::Words;
use super::{ChangeKind, Differences, KnownMeter, Planner};
use crate::registry::{Make, Meter, MeterKind};
use crate::site_file::fault::At;
use crate::site_file::model::{MeterItem, USAGE};
use crate::site_file::timeline::{self, New, Old, Step};
use crate::site_file::words;

/// An installation as it will be, to look for overlaps.
pub(super) struct Span {
    serial: String,
    meter: MeterId,
    point: ServicePointId,
    from: Moment,
    to: Option<Moment>,
    /// Where the file speaks of it.
    at: Option<At>,
}

impl Span {
    pub(super) fn of(epoch: &Epoch, serial: &str) -> Span {
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

impl Planner<'_> {
    pub(super) fn meters(&mut self) {
        let file = self.file;
        self.twice("meter", file.meters.iter().map(|item| (item.serial.as_str(), &item.at)));
        let mut spans: HashMap<ServicePointId, Vec<Span>> = HashMap::new();
        for item in &file.meters {
            self.meter(item, &mut spans);
        }
        self.parents();
        self.missing_meters(&mut spans);
        self.overlaps(spans);
        self.buses();
    }

    pub(super) fn meter(&mut self, item: &MeterItem, spans: &mut HashMap<ServicePointId, Vec<Span>>) {
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
        self.names.meters.insert(item.serial.clone(), KnownMeter { id, utility: facts.utility });
        let mut new = Vec::new();
        for stretch in &item.installations {
            let Some(terms) = self.terms(item, stretch) else { return };
            new.push(New { from: stretch.from, until: stretch.until, correct: stretch.correct.is_some(), terms });
        }
        for (place, other) in new.iter().enumerate().filter(|_| item.profile == USAGE) {
            let first = &new[0].terms;
            if other.terms.measured != first.measured {
                let (is, was) = (other.terms.measured.name(), first.measured.name());
                let what = format!("is billed in {is}, but the meter's usage is in {was} elsewhere");
                let remedy = "give the meter a serial number of its own there: a file says one unit for all its rows";
                self.faults.add(&item.installations[place].at, "service_point", what, remedy);
            }
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
        let rating_mw = new.last().filter(|_| electric && rated).and_then(|new| new.terms.rated?.checked_mul(1_000));
        let meter = Meter {
            id,
            serial: (&item.serial).into(),
            bus,
            unit: item.unit.and_then(|unit| u8::try_from(unit).ok()),
            // Told apart from the device (see `parents`).
            parent: old.and_then(|old| old.parent),
            make: Arc::new(Make {
                site: self.site_ids[item.site],
                profile: item.profile.clone(),
                utility: facts.utility,
                kind: if item.profile == USAGE { MeterKind::Usage } else { MeterKind::Register },
                resolution: (facts.resolution_numerator, facts.resolution_denominator),
                poll_micros: item.poll_micros,
                has_relay: facts.has_relay && item.relay != Some(false),
                rating_mw,
            }),
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
    pub(super) fn overlaps(&self, spans: HashMap<ServicePointId, Vec<Span>>) {
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

    pub(super) fn point_name(&self, id: ServicePointId) -> String {
        let named = self.registry.service_point(id).map(|point| point.name.to_string());
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
