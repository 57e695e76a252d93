//! A change at one register, planned as a site file that names only the meters it touches.

use std::collections::HashMap;

use jiff::tz::TimeZone;
use kernel::epoch::Epoch;
use kernel::id::{ServicePointId, Utility};
use kernel::money::Quantity;
use kernel::time::Moment;
use kernel::unit::Unit;
use toml::value::Datetime;

use super::installations::{in_unit, rate_in, rate_of};
use super::meters::Span;
use super::{Checks, KnownPoint, Plan, Planner};
use crate::registry::{Meter, MeterKind, Registry, Site};
use crate::site_days;
use crate::site_file::fault::{At, Fault, Faults};
use crate::site_file::model::{Installation, MeterItem, SiteFile, SiteItem, Stretch, USAGE};
use crate::site_file::registers::{NewMeter, RegisterChange, RegisterEdit};
use crate::site_file::words::{self, Ratio};

/// Compares a register's change with the registry. A change that was made already leaves nothing to change.
///
/// # Errors
/// Every fault; then nothing is to be changed.
pub fn plan_registers(
    edit: &RegisterEdit,
    registry: &Registry,
    checks: &Checks<'_>,
    now: Moment,
) -> Result<Plan, Vec<Fault>> {
    let faults = Faults::new(edit.name());
    let file = Draft { edit, registry, checks, now, faults: &faults }.file();
    let file = faults.or(file)?.unwrap_or_default();
    let mut planner = Planner::new(&file, registry, checks, now);
    planner.reason = Some(edit.reason.trim().to_owned());
    planner.site_ids = file.sites.iter().filter_map(|site| Some(registry.site_named(&site.name)?.id)).collect();
    for point in registry.service_points() {
        let known = KnownPoint { id: point.id, site: point.site, utility: point.utility, unit: point.unit };
        planner.names.points.insert(point.name.to_string(), known);
    }
    let mut spans: HashMap<ServicePointId, Vec<Span>> = HashMap::new();
    for item in &file.meters {
        planner.meter(item, &mut spans);
    }
    // Who else is or was at these service points.
    for other in registry.meters().filter(|other| file.meters.iter().all(|item| item.serial != other.serial)) {
        for epoch in registry.epochs_of(other.id) {
            if let Some(list) = spans.get_mut(&epoch.service_point) {
                list.push(Span::of(epoch, &other.serial));
            }
        }
    }
    planner.overlaps(spans);
    planner.conversions_known();
    planner.finish()
}

/// Puts a change into the words of a site file.
struct Draft<'a> {
    edit: &'a RegisterEdit,
    registry: &'a Registry,
    checks: &'a Checks<'a>,
    now: Moment,
    faults: &'a Faults,
}

/// A meter's installations around the change.
struct Seam<'a> {
    meter: &'a Meter,
    site: &'a Site,
    at: Moment,
    /// Those before the one that ends.
    earlier: Vec<&'a Epoch>,
    /// The one that ends at the seam.
    ends: &'a Epoch,
    /// Those that begin at the seam or after it.
    later: Vec<&'a Epoch>,
}

impl<'a> Draft<'a> {
    fn fault(&self, key: &str, what: impl Into<String>, remedy: impl Into<String>) {
        self.faults.add(&At::default(), key, what, remedy);
    }

    fn file(&self) -> Option<SiteFile> {
        if self.edit.reason.trim().is_empty() {
            self.fault("reason", "is empty", "say why, for whoever asks later");
        }
        let (seam, meters) = match &self.edit.change {
            RegisterChange::Replace { place, new, closing, opening } => {
                let seam = self.seam(self.replaced(place, &new.serial)?)?;
                let old = self.item(&seam, Some(*closing), None);
                let new = self.replacement(&seam, new, *opening)?;
                (seam, vec![old, new])
            }
            RegisterChange::Retype { serial, multiplier, modulus, count } => {
                if multiplier.is_none() && modulus.is_none() {
                    let remedy = "give --ct, --pt, --multiplier or --modulus; `meter reset` opens the same anew";
                    self.fault("", "changes nothing", remedy);
                }
                let seam = self.seam(self.register(serial)?)?;
                let mut next = self.installation(&seam, seam.ends);
                next.multiplier = multiplier.or(next.multiplier).filter(|ratio| *ratio != Ratio::ONE);
                next.modulus = modulus.or(next.modulus);
                next.opening = *count;
                let item = self.item(&seam, *count, Some(next));
                (seam, vec![item])
            }
            RegisterChange::Reset { serial, closing, opening } => {
                let seam = self.seam(self.register(serial)?)?;
                let next = Installation { opening: Some(*opening), ..self.installation(&seam, seam.ends) };
                let item = self.item(&seam, *closing, Some(next));
                (seam, vec![item])
            }
        };
        let site = SiteItem {
            at: At::default(),
            name: seam.site.name.clone(),
            title: seam.site.title.clone(),
            zone_name: seam.site.zone.clone(),
            zone: site_days::zone(&seam.site.zone).ok()?,
            currency: seam.site.currency.clone(),
            calendar: None,
            mode: seam.site.mode,
            webhook: None,
            adjustment_limit: seam.site.adjustment_limit,
            rounding: seam.site.minor.rounding,
            refund_limit: seam.site.refund_limit,
            from: None,
            correct: None,
        };
        Some(SiteFile { name: self.edit.name().to_owned(), sites: vec![site], meters, ..SiteFile::default() })
    }

    fn register(&self, serial: &str) -> Option<&'a Meter> {
        let found = self.registry.meter_by_serial(serial);
        match found {
            None => self.fault("meter", format!("{serial:?} is not in the book"), "the SQL name `meters` lists them"),
            Some(meter) if meter.profile == USAGE => {
                self.fault("meter", format!("{serial:?} has no register"), "imported usage needs no such change");
                return None;
            }
            Some(_) => {}
        }
        found
    }

    /// The meter that is, or was, replaced by the one of serial `new`.
    fn replaced(&self, place: &str, new: &str) -> Option<&'a Meter> {
        if self.registry.meter_by_serial(place).is_some() {
            return self.register(place);
        }
        let Some(point) = self.registry.service_point_named(place) else {
            let what = format!("{place:?} is neither a service point nor a meter of the book");
            self.fault("", what, "the SQL names `service_points` and `meters` list them");
            return None;
        };
        let (at, _) = self.moment(self.registry.site(point.site)?)?;
        let meter = |epoch: &Epoch| self.registry.meter(epoch.meter);
        let others = || point.epochs().iter().filter(|epoch| meter(epoch).is_some_and(|meter| meter.serial != new));
        // Where all begin later, the first one says so; where there is no other, that it is the same.
        let old = others().rfind(|epoch| epoch.valid_from < at).or_else(|| others().next()).or(point.epochs().last());
        match old.and_then(meter) {
            None => {
                self.fault("", format!("{place:?} has no meter to be replaced"), "add one with its site file");
                None
            }
            Some(meter) => self.register(&meter.serial),
        }
    }

    /// The moment of the change, in the time of its site.
    fn moment(&self, site: &Site) -> Option<(Moment, TimeZone)> {
        let zone = site_days::zone(&site.zone).ok()?;
        let Ok(datetime) = self.edit.at.trim().parse::<Datetime>() else {
            let remedy = "write a date-time such as 2026-03-01T12:00:00 or 2026-03-01T12:00:00+08:00";
            self.fault("at", format!("is {:?}, which is no time", self.edit.at), remedy);
            return None;
        };
        match words::moment(&datetime, Some(&zone)) {
            Ok(at) if at > self.now => {
                let what = format!("is {}, in the future", words::show_moment(at, &zone));
                self.fault("at", what, "enter it once it is done");
                None
            }
            Ok(at) => Some((at, zone)),
            Err((what, remedy)) => {
                self.fault("at", what, remedy);
                None
            }
        }
    }

    /// The installation that ends at the moment of the change.
    fn seam(&self, meter: &'a Meter) -> Option<Seam<'a>> {
        let site = self.registry.site(meter.site)?;
        let (at, zone) = self.moment(site)?;
        let show = |moment| words::show_moment(moment, &zone);
        let mut epochs: Vec<&Epoch> = self.registry.epochs_of(meter.id).collect();
        epochs.sort_by_key(|epoch| epoch.valid_from);
        let place = epochs.partition_point(|epoch| epoch.valid_from < at);
        let later = epochs.split_off(place);
        let (serial, moment) = (&meter.serial, show(at));
        let Some(ends) = epochs.pop() else {
            let (what, remedy) = match later.first().map(|first| show(first.valid_from)) {
                Some(first) => (
                    format!("is {moment}, but the installation of {serial} begins at {first}"),
                    "give a later moment, or let the site file correct the beginning (`correct = true` with a `reason`)",
                ),
                None => (format!("is {moment}, but {serial} was never installed"), "install it with its site file"),
            };
            self.fault("at", what, remedy);
            return None;
        };
        let begun = later.first().is_some_and(|next| next.valid_from == at);
        let (what, remedy) = match ends.valid_to {
            Some(end) if end < at => (
                format!("is {moment}, but {serial} was taken out at {}", show(end)),
                "give the moment of the change, or install it again with its site file",
            ),
            Some(end) if end > at || !later.is_empty() && !begun => (
                format!(
                    "is {moment}, within or before an installation of {serial}: another ends or begins at {}",
                    show(end)
                ),
                "it would overlap what came after: give a later moment, or let the site file correct it \
                 (`correct = true` with a `reason`)",
            ),
            _ => return Some(Seam { meter, site, at, earlier: epochs, ends, later }),
        };
        self.fault("at", what, remedy);
        None
    }

    /// The meter as it is, ending at the seam; `next` follows there, until what the book has after it.
    fn item(&self, seam: &Seam<'a>, closing: Option<i64>, next: Option<Installation>) -> MeterItem {
        let meter = seam.meter;
        let stretch =
            |from, until, terms| Stretch { at: self.at(&meter.serial), from: Some(from), until, correct: None, terms };
        let as_it_is = |epoch: &&Epoch| stretch(epoch.valid_from, epoch.valid_to, self.installation(seam, epoch));
        let mut installations: Vec<Stretch<Installation>> = seam.earlier.iter().map(as_it_is).collect();
        let ends = Installation { closing, ..self.installation(seam, seam.ends) };
        installations.push(stretch(seam.ends.valid_from, Some(seam.at), ends));
        let mut later = &seam.later[..];
        if let Some(next) = next {
            // Entered before: the book may have ended it since.
            let begun = later.first().filter(|begun| begun.valid_from == seam.at);
            let closing = begun.and_then(|begun| begun.closing_count);
            installations.push(stretch(
                seam.at,
                begun.and_then(|begun| begun.valid_to),
                Installation { closing, ..next },
            ));
            later = &later[usize::from(begun.is_some())..];
        }
        installations.extend(later.iter().map(as_it_is));
        MeterItem {
            at: self.at(&meter.serial),
            site: 0,
            serial: meter.serial.to_string(),
            profile: meter.profile.clone(),
            bus: meter.bus.as_ref().map(|(host, port)| format!("{host}:{port}")),
            unit: meter.unit.map(i64::from),
            poll_micros: meter.poll_micros,
            // Which meter is above another is the site file's to say.
            parent: None,
            relay: Some(meter.has_relay),
            installations,
        }
    }

    fn at(&self, serial: &str) -> At {
        At { label: format!("meter {serial:?}"), ..At::default() }
    }

    /// An installation in the words of a site file.
    fn installation(&self, seam: &Seam<'a>, epoch: &Epoch) -> Installation {
        let meter = seam.meter;
        let facts = self.checks.profiles.get(&meter.profile);
        let resolution = Ratio::new(meter.resolution.1, meter.resolution.0).unwrap_or(Ratio::ONE);
        let worth = Ratio::new(epoch.numerator, epoch.denominator).unwrap_or(Ratio::ONE);
        let point = self.registry.service_point(epoch.service_point);
        let unit = point.map_or(Unit::KilowattHour, |point| point.unit);
        let Ratio { numerator, denominator } = in_unit(unit);
        let counted = worth.times(Ratio { numerator: denominator, denominator: numerator }).unwrap_or(worth);
        let multiplier = counted.times(resolution).filter(|ratio| *ratio != Ratio::ONE);
        let utility = point.map_or(Utility::Electricity, |point| point.utility);
        let by_profile = facts.map(|facts| {
            let of = multiplier.unwrap_or(Ratio::ONE);
            let rate = i128::from(facts.max_rate) * i128::from(of.numerator) / i128::from(of.denominator);
            rate_in(unit, i64::try_from(rate).unwrap_or(i64::MAX))
        });
        let rated = meter.rating_mw.is_some() || by_profile != Some(epoch.max_rate);
        let usage_in = if epoch.converts { Unit::CubicMetre } else { unit };
        Installation {
            point: point.map_or(String::new(), |point| point.name.to_string()),
            profile: None,
            multiplier,
            modulus: Some(epoch.modulus.unwrap_or(0))
                .filter(|_| !epoch.signed)
                .filter(|_| facts.is_none_or(|facts| facts.modulus != epoch.modulus)),
            opening: epoch.opening_count,
            closing: epoch.closing_count,
            previous_closing: None,
            jitter: Some(epoch.jitter_counts)
                .filter(|jitter| facts.is_some_and(|facts| facts.jitter_counts != *jitter)),
            measures: Some(usage_in).filter(|_| meter.kind == MeterKind::Usage),
            signed: Some(epoch.signed).filter(|signed| facts.is_none_or(|facts| facts.signed != *signed)),
            rating: rated.then(|| {
                let rate = meter.rating_mw.map_or_else(|| rate_of(unit, epoch.max_rate), |rating| rating / 1_000);
                format!("{} {}", Quantity(rate), words::rating_unit(utility))
            }),
        }
    }

    fn replacement(&self, seam: &Seam<'a>, new: &NewMeter, opening: i64) -> Option<MeterItem> {
        let old = seam.meter;
        if new.serial == old.serial {
            let remedy = "give the new meter's own; `meter reset` is for the same meter with another count";
            self.fault("new-serial", format!("is {:?}, that of the old meter", new.serial), remedy);
            return None;
        }
        let here = |epoch: &Epoch| epoch.service_point == seam.ends.service_point && epoch.valid_from >= seam.at;
        if let Some(known) = self.registry.meter_by_serial(&new.serial)
            && !self.registry.epochs_of(known.id).all(here)
        {
            let what = format!("is {:?}, a meter of the book that was installed before", new.serial);
            self.fault("new-serial", what, "correct the serial number, or move that meter with its site file");
            return None;
        }
        if let Some(known) = self.registry.meter_by_serial(&new.serial)
            && known.profile != new.profile
        {
            let what = format!("is {:?}, but {} is in the book as {:?}", new.profile, new.serial, known.profile);
            self.fault("profile", what, "correct the profile");
            return None;
        }
        let was = self.installation(seam, seam.ends);
        let primary = self.checks.profiles.get(&new.profile).is_some_and(|facts| facts.primary);
        if let Some(multiplier) = was.multiplier
            && new.multiplier.is_none()
            && !primary
        {
            let what = format!("is not given, but the old meter's register was multiplied by {multiplier}");
            self.fault("ct", what, "give --ct, --pt or --multiplier for the new meter (1 where it measures directly)");
        }
        let bus = new.bus.clone().or_else(|| old.bus.as_ref().map(|(host, port)| format!("{host}:{port}")));
        let unit = new.unit.or(old.unit).filter(|_| bus.is_some()).map(i64::from);
        if bus.is_some() && unit.is_none() {
            self.fault("unit", "is missing, but the meter is on a bus", "give its address, 1 to 247");
        }
        let entered_before = self.registry.meter_by_serial(&new.serial);
        let taken = self.registry.meters().filter(|_| entered_before.is_none()).find(|other| {
            let place = other.bus.as_ref().map(|(host, port)| format!("{host}:{port}"));
            let runs = self.registry.epochs_of(other.id).any(|epoch| epoch.valid_to.is_none());
            runs && place.is_some()
                && (place, other.unit.map(i64::from)) == (bus.clone(), unit)
                && other.serial != old.serial
                && other.serial != new.serial
        });
        if let Some(other) = taken {
            let what = format!("is that of {} on the same bus", other.serial);
            self.fault("unit", what, "give each device on a bus its own unit");
        }
        let terms = Installation {
            point: was.point,
            profile: None,
            multiplier: new.multiplier.filter(|ratio| *ratio != Ratio::ONE),
            modulus: new.modulus,
            opening: Some(opening),
            closing: None,
            previous_closing: None,
            jitter: None,
            measures: None,
            signed: None,
            rating: new.rating.clone(),
        };
        let at = self.at(&new.serial);
        if let Some(known) = entered_before {
            return Some(self.replaced_before(seam, known, terms));
        }
        Some(MeterItem {
            at: at.clone(),
            site: 0,
            serial: new.serial.clone(),
            profile: new.profile.clone(),
            poll_micros: bus.is_some().then(|| old.poll_micros.unwrap_or(kernel::time::MINUTE)),
            // Which meter is above another is the site file's to say.
            parent: None,
            bus,
            unit,
            relay: None,
            installations: vec![Stretch { at, from: Some(seam.at), until: None, correct: None, terms }],
        })
    }

    /// The new meter where the book has it already: the installation that begins at the seam must be the same.
    fn replaced_before(&self, seam: &Seam<'a>, known: &'a Meter, terms: Installation) -> MeterItem {
        let later = self.registry.epochs_of(known.id).collect();
        let known = Seam { meter: known, later, earlier: Vec::new(), ..*seam };
        let mut item = self.item(&known, None, Some(terms));
        // The old meter's installation is no part of the new one's.
        item.installations.remove(0);
        item
    }
}
