//! Calendars, policies, sites and their locations.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use kernel::calendar::{Calendar, DayType};
use kernel::id::SiteId;
use kernel::money::Amount;
use kernel::statement::Minor;
use kernel::time::{LocalDate, Moment};

use super::{ChangeKind, Differences, Planner};
use crate::registry::{CalendarId, DEFAULT_MINOR, Location, LocationId, PolicyId, rounding_name};
use crate::site_days;
use crate::site_file::fault::At;
use crate::site_file::model::SiteItem;
use crate::site_file::words;

impl Planner<'_> {
    pub(super) fn calendars(&mut self) {
        let file = self.file;
        self.twice("calendar", file.calendars.iter().map(|item| (item.calendar.name.as_str(), &item.at)));
        for entry in self.registry.calendars() {
            self.names.calendars.insert(entry.calendar.name.clone(), entry.id);
        }
        for item in &file.calendars {
            let name = &item.calendar.name;
            let subject = format!("calendar:{name}");
            let old = self.registry.calendars().find(|entry| &entry.calendar.name == name);
            let Some(old) = old else {
                let id = CalendarId(self.next("calendars"));
                self.names.calendars.insert(name.clone(), id);
                self.rows.calendar(id, &item.calendar);
                self.change(ChangeKind::Created, subject, format!("{} dates", item.calendar.exceptions.len()));
                continue;
            };
            if *old.calendar == item.calendar {
                continue;
            }
            let changed = changed_dates(&old.calendar, &item.calendar);
            let sites: Vec<SiteId> =
                self.registry.sites().filter(|site| site.calendar_id == Some(old.id)).map(|site| site.id).collect();
            let dates: Vec<LocalDate> = changed.iter().map(|(date, _)| *date).collect();
            let kind = self.day_types_change(&sites, &dates, &item.at, "holidays", item.correct.as_deref());
            let mut words: Vec<String> = changed.into_iter().map(|(date, how)| format!("{date} {how}")).collect();
            if let Some(until) = item.calendar.until.filter(|until| old.calendar.until != Some(*until)) {
                words.push(format!("complete until {until}"));
            }
            self.rows.calendar(old.id, &item.calendar);
            self.change(kind, subject, words.join(", ") + &because(item.correct.as_deref(), kind));
        }
    }

    /// Other day types on some dates: on past ones only as a correction, and then all charges since are rated anew.
    fn day_types_change(
        &mut self,
        sites: &[SiteId],
        dates: &[LocalDate],
        at: &At,
        key: &str,
        correct: Option<&str>,
    ) -> ChangeKind {
        let mut kind = ChangeKind::Changed;
        for site in sites {
            let Some(site) = self.registry.site(*site) else { continue };
            let Some(first) = dates.iter().min().and_then(|date| site.days.on(*date)) else { continue };
            if first.start >= self.now {
                continue;
            }
            kind = ChangeKind::Corrected;
            if correct.is_none() {
                let what = format!("changes what kind of day {} was in {}", first.date, site.name);
                let remedy =
                    "leave past days alone, or write `correct = true` with a `reason`: charges since are rated anew";
                self.faults.add(at, key, what, remedy);
            }
            let (id, start) = (site.id, first.start);
            let points = self.registry.service_points().filter(|point| point.site == id);
            points.map(|point| point.id).collect::<Vec<_>>().into_iter().for_each(|point| self.touch(point, start));
        }
        kind
    }

    pub(super) fn policies(&mut self) {
        let file = self.file;
        self.twice("policy", file.policies.iter().map(|item| (item.name.as_str(), &item.at)));
        for policy in self.registry.policies() {
            self.names.policies.insert(policy.name.clone(), policy.id);
        }
        for item in &file.policies {
            if let Err(text) = (self.checks.policy)(&item.definition) {
                for line in text.lines().filter(|line| !line.trim().is_empty()) {
                    // `key: what; remedy`, with or without its first and last part.
                    let (key, rest) = match line.split_once(": ") {
                        Some((key, rest)) if !key.contains(' ') => (key, rest),
                        _ => ("", line),
                    };
                    let (what, remedy) = rest.split_once("; ").unwrap_or((rest, "correct the policy"));
                    let bare = key.split('[').next().unwrap_or(key);
                    self.faults.add(&item.at, bare, what, remedy);
                }
            }
            let definition = item.definition.to_string();
            let subject = format!("policy:{}", item.name);
            let old = self.registry.policies().find(|policy| policy.name == item.name);
            match old {
                None => {
                    let id = PolicyId(self.next("policies"));
                    self.names.policies.insert(item.name.clone(), id);
                    self.rows.policy(id, &item.name, definition.clone());
                    self.change(ChangeKind::Created, subject, definition);
                }
                Some(old) if old.definition != definition => {
                    self.rows.policy(old.id, &item.name, definition.clone());
                    self.change(ChangeKind::Changed, subject, format!("{} -> {definition}", old.definition));
                }
                Some(_) => {}
            }
        }
    }

    pub(super) fn sites(&mut self) {
        let file = self.file;
        self.twice("site", file.sites.iter().map(|item| (item.name.as_str(), &item.at)));
        for item in &file.sites {
            let calendar = item.calendar.as_ref().and_then(|name| {
                let found = self.names.calendars.get(name).copied();
                if found.is_none() {
                    let what = format!("is {name:?}, which neither this file nor the book has");
                    self.faults.add(&item.at, "calendar", what, "add the [[calendar]], or correct the name");
                }
                found
            });
            let subject = format!("site:{}", item.name);
            let Some(old) = self.registry.site_named(&item.name) else {
                let id = SiteId(self.next("sites"));
                self.site_ids.push(id);
                self.rows.site(id, item, calendar, self.now);
                if item.adjustment_limit != Amount::ZERO {
                    self.rows.adjustment_limit(id, item.adjustment_limit);
                }
                let minor = minor(item);
                if minor != DEFAULT_MINOR {
                    self.rows.rounding(id, minor, self.now);
                }
                if item.refund_limit != Amount::ZERO {
                    self.rows.refund_limit(id, item.refund_limit);
                }
                let text =
                    format!("{}, {}, {}, cut-off {}", item.title, item.zone_name, item.currency, item.mode.name());
                self.change(ChangeKind::Created, subject, text);
                continue;
            };
            self.site_ids.push(old.id);
            for (key, was, is) in
                [("time_zone", &old.zone, &item.zone_name), ("currency", &old.currency, &item.currency)]
            {
                if was != is {
                    let what = format!("is {is:?}, but the site was opened with {was:?}");
                    self.faults.add(&item.at, key, what, "neither changes in a site's life: open a new site");
                }
            }
            let mut differences = Differences::default();
            differences.text("title", &old.title, &item.title);
            differences.text("mode", old.mode.name(), item.mode.name());
            differences.optional("webhook", old.webhook.as_deref(), item.webhook.as_deref());
            differences
                .of("adjustment_limit", &old.adjustment_limit, &item.adjustment_limit, |limit| format!("{limit:.2}"));
            let minor = minor(item);
            differences.of("rounding", &old.minor, &minor, |minor| {
                format!("{} to {} digits", rounding_name(minor.rounding), minor.digits)
            });
            if old.minor != minor {
                self.rows.rounding(old.id, minor, self.now);
            }
            differences.of("refund_limit", &old.refund_limit, &item.refund_limit, |amount| format!("{amount:.2}"));
            if old.refund_limit != item.refund_limit {
                self.rows.refund_limit(old.id, item.refund_limit);
            }
            let mut kind = ChangeKind::Changed;
            if old.calendar_id != calendar {
                let new = file.calendars.iter().find(|entry| Some(&entry.calendar.name) == item.calendar.as_ref());
                let new = new.map(|entry| &entry.calendar).or_else(|| {
                    self.registry.calendars().find(|entry| Some(entry.id) == calendar).map(|entry| &*entry.calendar)
                });
                let dates = changed_dates(&old.calendar, new.unwrap_or(&Calendar::default()));
                let dates: Vec<LocalDate> = dates.into_iter().map(|(date, _)| date).collect();
                kind = self.day_types_change(&[old.id], &dates, &item.at, "calendar", item.correct.as_deref());
                let was = old.calendar_id.map(|_| old.calendar.name.as_str());
                differences.optional("calendar", was, item.calendar.as_deref());
            }
            if let Some(text) = differences.joined() {
                self.rows.site(old.id, item, calendar, old.created_at);
                self.rows.adjustment_limit(old.id, item.adjustment_limit);
                self.change(kind, subject, text + &because(item.correct.as_deref(), kind));
            }
        }
    }

    pub(super) fn locations(&mut self) {
        let file = self.file;
        let mut seen = std::collections::HashSet::new();
        for location in self.registry.locations() {
            self.names.locations.insert((location.site, location.name.clone()), location.id);
        }
        // Identifiers first: a parent may stand after its parts.
        for item in &file.locations {
            let key = (self.site_ids[item.site], item.name.clone());
            if !seen.insert(key.clone()) {
                self.faults.add(&item.at, "name", "is the name of two locations of this site", "rename one of them");
            }
            if !self.names.locations.contains_key(&key) {
                let id = LocationId(self.next("locations"));
                self.names.locations.insert(key, id);
            }
        }
        for item in &file.locations {
            let site = self.site_ids[item.site];
            let id = self.names.locations[&(site, item.name.clone())];
            let parent = item.parent.as_ref().and_then(|name| {
                let found = self.names.locations.get(&(site, name.clone())).copied();
                if found.is_none() || found == Some(id) {
                    let what = format!("is {name:?}, which is no other [[location]] of this site");
                    self.faults.add(&item.at, "parent", what, "add the location, or correct the name");
                }
                found
            });
            let new = Location {
                id,
                site,
                parent,
                name: item.name.clone(),
                title: item.title.clone(),
                kind: item.kind.clone(),
                area_centi_m2: item.area_centi_m2,
            };
            let subject = format!("location:{}", item.name);
            match self.registry.location(id) {
                None => {
                    self.rows.location(&new);
                    self.change(ChangeKind::Created, subject, format!("{}, {}", item.title, item.kind));
                }
                Some(old) if *old != new => {
                    let mut differences = Differences::default();
                    differences.text("title", &old.title, &new.title);
                    differences.text("kind", &old.kind, &new.kind);
                    let name = |id: &Option<LocationId>| {
                        let named = self.names.locations.iter().find(|(_, other)| Some(**other) == *id);
                        named.map_or("none".to_owned(), |((_, name), _)| format!("{name:?}"))
                    };
                    differences.of("parent", &old.parent, &new.parent, name);
                    let area = |area: &Option<i64>| {
                        area.map_or("none".to_owned(), |area| format!("{}.{:02} m2", area / 100, area % 100))
                    };
                    differences.of("area", &old.area_centi_m2, &new.area_centi_m2, area);
                    self.rows.location(&new);
                    self.change(ChangeKind::Changed, subject, differences.joined().unwrap_or_default());
                }
                Some(_) => {}
            }
        }
        for (index, site) in self.site_ids.iter().enumerate() {
            for old in self.registry.locations().filter(|old| old.site == *site) {
                if !seen.contains(&(*site, old.name.clone())) {
                    let what = format!("has no [[location]] {:?}, but the book has", old.name);
                    self.faults.add(&self.file.sites[index].at, "", what, "keep it in the file");
                }
            }
        }
    }

    /// A fault where something of a site begins or ends before its last close.
    pub(super) fn refuse_closed(&self, at: &At, key: &str, site: SiteId, from: Moment) {
        let Some(site) = self.registry.site(site) else { return };
        let Some((closed, end)) = site.closed_through.zip(site.closed_until()).filter(|(_, end)| from < *end) else {
            return;
        };
        let zone = site_days::zone(&site.zone).unwrap_or(TimeZone::UTC);
        let what = format!("dates before the last close of {} ({closed} is closed)", site.name);
        let remedy = format!(
            "let it begin at {} or later, or open the month again: meterledger period reopen --month {closed} --site {} --reason ...",
            words::show_moment(end, &zone),
            site.name
        );
        self.faults.add(at, key, what, remedy);
    }

    /// Whether a moment is past.
    pub(super) fn is_past(&self, moment: Moment) -> bool {
        moment < self.now
    }
}

/// The dates whose day type or names differ, with what they are now.
fn changed_dates(old: &Calendar, new: &Calendar) -> Vec<(LocalDate, String)> {
    let dates: BTreeSet<LocalDate> = [old, new]
        .into_iter()
        .flat_map(|calendar| calendar.exceptions.keys().chain(calendar.named.values().flatten()))
        .copied()
        .collect();
    let names = |calendar: &Calendar, date| -> Vec<String> {
        calendar.named.keys().filter(|name| calendar.is_named(name, date)).cloned().collect()
    };
    let state = |calendar: &Calendar, date| (calendar.exceptions.get(&date).copied(), names(calendar, date));
    let changed = dates.into_iter().filter(|date| state(old, *date) != state(new, *date));
    changed.map(|date| (date, show_day(state(new, date)))).collect()
}

/// `holiday, long-holiday`; `as its weekday` where nothing is said.
fn show_day((day_type, names): (Option<DayType>, Vec<String>)) -> String {
    let mut words = vec![day_type.map_or("as its weekday", DayType::name).to_owned()];
    words.extend(names);
    words.join(", ")
}

/// The reason of a correction, at the end of its text.
pub(super) fn because(reason: Option<&str>, kind: ChangeKind) -> String {
    match (reason, kind) {
        (Some(reason), ChangeKind::Corrected) => format!(" ({reason})"),
        _ => String::new(),
    }
}

/// How a site's statements are rounded: by its rule, to its currency's digits.
fn minor(item: &SiteItem) -> Minor {
    Minor { digits: words::currency_digits(&item.currency), rounding: item.rounding }
}
