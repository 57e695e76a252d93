//! Installations: what one count is worth, where, from when to when.

use kernel::epoch::{Epoch, ProfileFacts};
use kernel::id::{EpochId, MeterId, ServicePointId, Utility};
use kernel::unit::Unit;

use super::shared::because;
use super::{ChangeKind, Differences, Planner};
use crate::registry::Meter;
use crate::site_file::fault::At;
use crate::site_file::model::{Installation, MeterItem, Stretch, USAGE};
use crate::site_file::timeline::{New, Old, Step};
use crate::site_file::words::{self, Ratio};

/// What an installation comes to.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) point: ServicePointId,
    /// 1/1000 units per count, everything included.
    pub(super) worth: Ratio,
    pub(super) modulus: Option<i64>,
    pub(super) opening: Option<i64>,
    pub(super) closing: Option<i64>,
    pub(super) jitter: i64,
    pub(super) max_rate: i64,
    pub(super) signed: bool,
    /// It measures m3 that are billed as energy.
    pub(super) converts: bool,
    /// What its usage is in.
    pub(super) measured: Unit,
    /// The rating that the file gives, in 1/1000 kW or m3/h.
    pub(super) rated: Option<i64>,
    /// For faults and changes.
    pub(super) multiplier: Ratio,
    pub(super) profile: String,
}

/// What no meter exceeds: imported usage has no rating.
const NO_LIMIT: i64 = i64::MAX;

/// How many of a billing unit that is which registers are in: 9/2500 GJ in a kWh.
pub(super) fn in_unit(unit: Unit) -> Ratio {
    let (numerator, denominator) = unit.per_register_unit();
    Ratio { numerator, denominator }
}

/// P_max in 1/1000 kW or m3/h as 1/1000 of the billing unit per hour, rounded up: nothing becomes implausible by it.
pub(super) fn rate_in(unit: Unit, rate: i64) -> i64 {
    let Ratio { numerator, denominator } = in_unit(unit);
    let scaled = i128::from(rate) * i128::from(numerator) + i128::from(denominator - 1);
    i64::try_from(scaled / i128::from(denominator)).unwrap_or(NO_LIMIT)
}

/// The highest rating of which [`rate_in`] makes this rate, in 1/1000 kW or m3/h.
pub(super) fn rate_of(unit: Unit, rate: i64) -> i64 {
    let Ratio { numerator, denominator } = in_unit(unit);
    i64::try_from(i128::from(rate) * i128::from(denominator) / i128::from(numerator)).unwrap_or(NO_LIMIT)
}

impl Planner<'_> {
    /// The facts of a profile; a fault lists the known ones.
    pub(super) fn facts(&self, item: &MeterItem, profile: &str, at: &At) -> Option<ProfileFacts> {
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
                signed: false,
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
    pub(super) fn terms(&self, item: &MeterItem, stretch: &Stretch<Installation>) -> Option<Terms> {
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
                    "leave it out: usage is imported in the billing unit",
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
            for key in ["modulus", "signed", "jitter", "opening_count", "closing_count", "previous_closing_count"] {
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
        let worth = resolution.times(multiplier).and_then(|worth| worth.times(in_unit(point.unit)));
        let measured = match (installation.measures, profile == USAGE) {
            (Some(unit), true) => unit,
            (None, true) => point.unit,
            (_, false) => Unit::of(point.utility),
        };
        let converts =
            point.utility == Utility::Gas && measured == Unit::CubicMetre && point.unit == Unit::KilowattHour;
        if let Some(unit) = installation.measures {
            if profile != USAGE {
                let remedy = "leave it out: the profile says what a register counts";
                self.faults.add(at, "measures", "stands without `kind = \"usage\"`", remedy);
            } else if unit != point.unit && !converts {
                let what =
                    format!("is {:?}, but {:?} is billed in {}", unit.name(), installation.point, point.unit.name());
                let remedy = "leave it out; only m3 of gas are converted, to kWh";
                self.faults.add(at, "measures", what, remedy);
            }
        }
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
        let max_rate = rate_in(point.unit, rating.unwrap_or(i64::try_from(by_profile).unwrap_or(NO_LIMIT)));
        let signed = installation.signed.unwrap_or(facts.signed);
        if signed && installation.modulus.is_some_and(|modulus| modulus > 0) {
            let what = "stands beside `signed`: a register that counts down what flows back shows counts below zero";
            self.faults.add(at, "modulus", what, "leave one of them out");
        }
        let modulus = match installation.modulus {
            _ if signed => None,
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
            jitter: installation.jitter.unwrap_or(facts.jitter_counts),
            max_rate,
            signed,
            converts,
            measured,
            rated: rating,
            multiplier,
            profile: profile.clone(),
        })
    }

    pub(super) fn old_terms(&self, epoch: &Epoch, meter: Option<&Meter>) -> Old<Terms> {
        let worth = Ratio::new(epoch.numerator, epoch.denominator).unwrap_or(Ratio::ONE);
        let resolution =
            meter.and_then(|meter| Ratio::new(meter.resolution.1, meter.resolution.0)).unwrap_or(Ratio::ONE);
        let unit = self.registry.service_point(epoch.service_point).map_or(Unit::KilowattHour, |point| point.unit);
        let Ratio { numerator, denominator } = in_unit(unit);
        let counted = worth.times(Ratio { numerator: denominator, denominator: numerator }).unwrap_or(worth);
        let terms = Terms {
            point: epoch.service_point,
            worth,
            modulus: epoch.modulus,
            opening: epoch.opening_count,
            closing: epoch.closing_count,
            jitter: epoch.jitter_counts,
            max_rate: epoch.max_rate,
            signed: epoch.signed,
            converts: epoch.converts,
            measured: if epoch.converts { Unit::CubicMetre } else { unit },
            rated: None,
            multiplier: counted.times(resolution).unwrap_or(worth),
            profile: meter.map_or(String::new(), |meter| meter.profile.clone()),
        };
        Old { from: epoch.valid_from, to: epoch.valid_to, terms }
    }

    pub(super) fn installation_differs(&self, old: &Old<Terms>, new: &New<Terms>, is_last: bool) -> Option<String> {
        let mut differences = Differences::default();
        let (was, is) = (&old.terms, &new.terms);
        differences.of("service_point", &was.point, &is.point, |id| self.point_name(*id));
        if was.worth != is.worth {
            differences.0.push(format!("multiplier {} -> {}", was.multiplier, is.multiplier));
        }
        let count = |count: &Option<i64>| count.map_or("none".to_owned(), |count| count.to_string());
        differences.of("modulus", &was.modulus, &is.modulus, count);
        let measures = |converts: &bool| if *converts { "m3" } else { "the billing unit" }.to_owned();
        differences.of("measures", &was.converts, &is.converts, measures);
        differences.of("signed", &was.signed, &is.signed, bool::to_string);
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

    pub(super) fn installation_step(
        &mut self,
        item: &MeterItem,
        meter: MeterId,
        old: &[&Epoch],
        new: &[New<Terms>],
        step: Step,
    ) {
        let subject = format!("meter:{}", item.serial);
        match step {
            Step::Keep { old: place, new: index } => {
                let (epoch, terms) = (old[place], &new[index].terms);
                if epoch.valid_to.is_none() && (epoch.max_rate, epoch.jitter_counts) != (terms.max_rate, terms.jitter) {
                    // How readings are judged, the earlier ones too whenever they are rated anew: so now, all at once.
                    let changed = Epoch { max_rate: terms.max_rate, jitter_counts: terms.jitter, ..epoch.clone() };
                    self.rows.epoch_updates.push(changed);
                    let mut differences = Differences::default();
                    differences.of("most flow", &epoch.max_rate, &terms.max_rate, |rate| self.flow(item, *rate));
                    differences.of("jitter", &epoch.jitter_counts, &terms.jitter, |counts| format!("{counts} counts"));
                    self.change(ChangeKind::Changed, subject, differences.joined().unwrap_or_default());
                    self.touch(epoch.service_point, epoch.valid_from);
                }
            }
            Step::End { old: place, at, new: index } => {
                let epoch = old[place];
                self.refuse_closed(&item.installations[index].at, "until", self.site_ids[item.site], at);
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
                let earliest =
                    supersedes.iter().map(|place| old[*place].valid_from).min().map_or(from, |old| old.min(from));
                self.refuse_closed(&stretch.at, "from", self.site_ids[item.site], earliest);
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
                    signed: terms.signed,
                    converts: terms.converts,
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
                self.rows.epoch(&epoch, stretch.correct.as_deref().or(self.reason.as_deref()));
                self.change(kind, subject, text);
                // A known meter may have been read since then, also where the service point is new.
                if self.registry.meter(meter).is_some() && from < self.now {
                    let earliest = self.dirty.entry(terms.point).or_insert(from);
                    *earliest = from.min(*earliest);
                }
            }
        }
    }

    fn flow(&self, item: &MeterItem, rate: i64) -> String {
        let point = item.installations.last().and_then(|stretch| self.names.points.get(&stretch.terms.point));
        let unit = words::rating_unit(point.map_or(Utility::Electricity, |point| point.utility));
        let rate = rate_of(point.map_or(Unit::KilowattHour, |point| point.unit), rate);
        format!("{} {unit}", kernel::money::Quantity(rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 75 kW are 0.27 GJ/h; what is written back to the words of a site file comes to the same rate again.
    #[test]
    fn a_rating_in_gigajoules_is_rounded_up_and_comes_back() {
        for (milli_kilowatt, gigajoule) in [(75_000, 270), (1, 1), (277, 1), (278, 2), (10_000_000, 36_000)] {
            assert_eq!(rate_in(Unit::Gigajoule, milli_kilowatt), gigajoule, "{milli_kilowatt}");
            assert_eq!(rate_in(Unit::Gigajoule, rate_of(Unit::Gigajoule, gigajoule)), gigajoule);
            assert_eq!(rate_in(Unit::KilowattHour, milli_kilowatt), milli_kilowatt);
            assert_eq!(rate_of(Unit::CubicMetre, milli_kilowatt), milli_kilowatt);
        }
        assert_eq!((rate_in(Unit::KilowattHour, NO_LIMIT), rate_of(Unit::Gigajoule, NO_LIMIT)), (NO_LIMIT, NO_LIMIT));
    }
}
