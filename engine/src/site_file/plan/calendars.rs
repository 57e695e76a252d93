//! Whether calendars know what tariffs ask them for.

use std::collections::BTreeSet;

use kernel::calendar::Calendar;

use super::Planner;
use crate::site_days;
use crate::site_file::fault::At;

impl Planner<'_> {
    /// A tariff that treats holidays apart needs a calendar that knows this year's: without them a holiday would be
    /// charged as a workday, and nobody would see it. Refused from the first day for which the calendar knows nothing.
    pub(super) fn calendars_fit(&self) {
        let mut seen = BTreeSet::new();
        for item in &self.file.points {
            let site = &self.file.sites[item.site];
            for stretch in &item.contracts {
                let runs = stretch.until.is_none_or(|end| end > self.now);
                let Some(tariff) = self.names.tariffs.get(&stretch.terms.tariff) else { continue };
                if !runs || !seen.insert((item.site, tariff.id.0)) {
                    continue;
                }
                let Some((calendar, at)) = site.calendar.as_ref().and_then(|name| self.calendar_named(name)) else {
                    continue;
                };
                let demands = tariff.demands.iter().filter(|demand| demand.until.is_none_or(|end| end > self.now));
                for demand in demands {
                    for name in demand.names.iter().filter(|name| !calendar.named.contains_key(*name)) {
                        let what = format!(
                            "treats the dates {name:?} apart, which calendar {:?} does not name",
                            calendar.name
                        );
                        let remedy = format!("write them in the calendar: named = {{ \"{name}\" = [2026-10-01] }}");
                        self.faults.add(&stretch.at, "tariff", what, remedy);
                    }
                    if demand.holidays {
                        self.knows_this_year(item.site, calendar, at.unwrap_or(&site.at), &stretch.terms.tariff);
                    }
                }
            }
        }
    }

    fn knows_this_year(&self, site: usize, calendar: &Calendar, at: &At, tariff: &str) {
        let Some(last) = calendar.complete_until() else { return };
        let days = site_days::of_zone(&self.file.sites[site].zone_name).ok();
        let Some(today) = days.and_then(|days| days.at(self.now).map(|day| day.date)) else { return };
        if last < today {
            let year = today.ymd().0;
            let what = format!("knows no holidays after {last}, but tariff {tariff:?} treats holidays apart");
            let remedy = format!("add the holidays of {year}, or `until = {year}-12-31` where there are no others");
            let key = if at.lines.contains_key("holidays") { "holidays" } else { "calendar" };
            self.faults.add(at, key, what, remedy);
        }
    }

    /// A calendar of the file with its place, else of the book.
    fn calendar_named(&self, name: &str) -> Option<(&Calendar, Option<&At>)> {
        let item = self.file.calendars.iter().find(|item| item.calendar.name == name);
        item.map(|item| (&item.calendar, Some(&item.at))).or_else(|| {
            let entry = self.registry.calendars().find(|entry| entry.calendar.name == name)?;
            Some((&*entry.calendar, None))
        })
    }
}
