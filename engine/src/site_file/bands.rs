//! Reading bands: which hours of which days are in which band, each minute exactly once.

use kernel::calendar::DayType;
use kernel::tariff::{Band, DayPlan, MINUTES, MonthDay, Rule};
use kernel::time::LocalDate;

use super::reader::{Reader, shown};
use super::words;

const NEW_YEAR: MonthDay = MonthDay { month: 1, day: 1 };
const NEW_YEARS_EVE: MonthDay = MonthDay { month: 12, day: 31 };

/// Seasons, bands for the whole year, or one price the whole day.
pub(super) fn rules(reader: &Reader<'_>) -> Option<Vec<Rule>> {
    let seasons = reader.tables("season");
    let bands = reader.table("bands");
    if !seasons.is_empty() && bands.is_some() {
        reader.fault("bands", "stands beside [[tariff.version.season]]", "write the bands of each season there");
    }
    let whole_year =
        |plan| Rule { from: NEW_YEAR, to: NEW_YEARS_EVE, day_types: DayType::ALL.to_vec(), named: Vec::new(), plan };
    if let Some(inner) = bands {
        let plan = plan(&inner, "every day");
        inner.finish();
        return Some(vec![whole_year(plan?)]);
    }
    if seasons.is_empty() {
        // With a price series each step has its own price.
        let band = if reader.has("dynamic") { Band::Dynamic } else { Band::Single };
        return Some(vec![whole_year(DayPlan::single(band))]);
    }
    let rules: Vec<Option<Rule>> = seasons.into_iter().map(season).collect();
    rules.into_iter().collect()
}

fn season(reader: Reader<'_>) -> Option<Rule> {
    let example = "a day of the year such as \"07-01\"";
    let from = reader.word("from", words::month_day, example);
    let to = reader.word("to", words::month_day, example);
    if reader.has("from") != reader.has("to") {
        reader.fault("from", "and `to` belong together", "write both, or neither for the whole year");
    }
    let mut day_types = Vec::new();
    let mut named = Vec::new();
    for (value, _) in reader.list("days") {
        match value.as_str().map(|name| (name, DayType::ALL.into_iter().find(|day_type| day_type.name() == name))) {
            Some((_, Some(day_type))) => day_types.push(day_type),
            // Whether the calendar knows the name shows where a contract brings tariff and site together.
            Some((name, None)) if !name.is_empty() && name.len() <= 64 => named.push(name.to_owned()),
            _ => {
                let remedy = "write \"workday\", \"weekend\", \"holiday\" or a name of dates in the calendar";
                reader.fault("days", format!("holds {}", shown(value)), remedy);
            }
        }
    }
    if !reader.has("days") {
        day_types = DayType::ALL.to_vec();
    }
    let (from, to) = (from.unwrap_or(NEW_YEAR), to.unwrap_or(NEW_YEARS_EVE));
    let when = format!("{} {}", show_days(&day_types, &named), show_season(from, to));
    let plan = match reader.table("bands") {
        Some(inner) => {
            let plan = plan(&inner, &when);
            inner.finish();
            plan
        }
        None => {
            reader.fault(
                "bands",
                "is missing",
                "write `bands = { peak = [\"08:00-12:00\"], flat = [\"12:00-08:00\"] }`",
            );
            None
        }
    };
    let rule = plan.map(|plan| Rule { from, to, day_types, named, plan });
    reader.finish();
    rule
}

/// The bands of a day, each minute exactly once.
fn plan(reader: &Reader<'_>, when: &str) -> Option<DayPlan> {
    let mut ranges = Vec::new();
    let mut whole = true;
    for band in Band::OF_TARIFFS {
        for (value, _) in reader.list(band.name()) {
            match value.as_str().and_then(words::hours) {
                Some((from, to)) => ranges.push((from, to, band)),
                None => {
                    whole = false;
                    let remedy = "write hours such as \"08:00-12:00\"; \"22:00-06:00\" runs over midnight";
                    reader.fault(band.name(), format!("holds {}", shown(value)), remedy);
                }
            }
        }
    }
    if !whole {
        return None;
    }
    let mut minutes: Vec<Vec<Band>> = vec![Vec::new(); usize::from(MINUTES)];
    for &(from, to, band) in &ranges {
        let length = if to > from { to - from } else { MINUTES - from + to };
        (0..length).for_each(|step| minutes[usize::from((from + step) % MINUTES)].push(band));
    }
    for (from, to) in runs(MINUTES, |minute| minutes[usize::from(minute)].is_empty()) {
        whole = false;
        let what = format!("{} to {} on {when} has no band", words::show_minute(from), words::show_minute(to));
        reader.fault("", what, "give these hours to a band");
    }
    for (from, to) in runs(MINUTES, |minute| minutes[usize::from(minute)].len() > 1) {
        whole = false;
        let names: Vec<&str> = minutes[usize::from(from)].iter().map(|band| band.name()).collect();
        let (start, end) = (words::show_minute(from), words::show_minute(to));
        let what = format!("{start} to {end} on {when} is in two bands ({})", names.join(" and "));
        reader.fault("", what, "give these hours to one band");
    }
    if !whole {
        return None;
    }
    // Checked above; the kernel proves it once more.
    DayPlan::from_ranges(&ranges).ok()
}

/// The stretches of 0 to `end` in which `holds`.
fn runs(end: u16, holds: impl Fn(u16) -> bool) -> Vec<(u16, u16)> {
    let mut runs: Vec<(u16, u16)> = Vec::new();
    for minute in (0..end).filter(|minute| holds(*minute)) {
        match runs.last_mut() {
            Some(run) if run.1 == minute => run.1 = minute + 1,
            _ => runs.push((minute, minute + 1)),
        }
    }
    runs
}

pub(super) fn show_days(day_types: &[DayType], named: &[String]) -> String {
    if day_types.len() == DayType::ALL.len() {
        return "every day".to_owned();
    }
    let types = day_types.iter().map(|day_type| format!("{}s", day_type.name()));
    let names: Vec<String> = types.chain(named.iter().map(|name| format!("days of {name:?}"))).collect();
    names.join(" and ")
}

/// `in July`, `from 07-01 to 08-31`, `of the year`.
pub(super) fn show_season(from: MonthDay, to: MonthDay) -> String {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    if (from, to) == (NEW_YEAR, NEW_YEARS_EVE) {
        return "of the year".to_owned();
    }
    let next = LocalDate::new(2024, to.month, to.day).map(|date| date.plus(1).ymd().2);
    let month = MONTHS.get(usize::from(from.month).saturating_sub(1)).filter(|_| from.month == to.month);
    match month {
        Some(month) if from.day == 1 && next == Some(1) => format!("in {month}"),
        _ => format!("from {:02}-{:02} to {:02}-{:02}", from.month, from.day, to.month, to.day),
    }
}
