//! A site's local days, from the bundled zone database; the machine's own zone files are never read.
//!
//! A day whose clocks change is one [`SiteDay`] with a jump. Two oddities of real zones are made to fit:
//! where the clocks go back over midnight (00:01 to 23:01, Newfoundland until 2011), the change is put at that
//! midnight, so that local days stay whole; and where a zone left a date out (Samoa, 2011-12-30), the table begins
//! after it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use kernel::time::{DAY, LocalDate, Moment, SiteDay, SiteDays, WallRun};

/// The years of every site's table: from before any meter to import, to beyond any meter in service.
pub const YEARS: (i16, i16) = (2000, 2060);

/// Why there is no table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SiteDaysError {
    /// The zone database has no such zone.
    #[error("time zone {0:?} is not known: write an IANA name such as \"Asia/Shanghai\" or \"Europe/Berlin\"")]
    UnknownZone(String),
    /// The years are outside the zone database's reach.
    #[error("years {0} to {1} are no range of years between 1900 and 9000: choose others")]
    Years(i16, i16),
    /// The clocks change twice in one local day.
    #[error("the clocks of {zone} change twice on {date}: begin the table later")]
    TwoJumps {
        /// The zone.
        zone: String,
        /// The date.
        date: LocalDate,
    },
}

/// The table of a zone for [`YEARS`]; built once and shared.
///
/// # Errors
/// [`SiteDaysError`].
pub fn of_zone(zone: &str) -> Result<Arc<SiteDays>, SiteDaysError> {
    static TABLES: Mutex<Option<HashMap<String, Arc<SiteDays>>>> = Mutex::new(None);
    let mut tables = TABLES.lock().unwrap_or_else(PoisonError::into_inner);
    let tables = tables.get_or_insert_default();
    if let Some(days) = tables.get(zone) {
        return Ok(Arc::clone(days));
    }
    let days = Arc::new(build(zone, YEARS.0, YEARS.1)?);
    tables.insert(zone.to_owned(), Arc::clone(&days));
    Ok(days)
}

/// The zone of that name.
///
/// # Errors
/// [`SiteDaysError::UnknownZone`].
pub fn zone(name: &str) -> Result<TimeZone, SiteDaysError> {
    TimeZoneDatabase::bundled().get(name).map_err(|_| SiteDaysError::UnknownZone(name.to_owned()))
}

/// The local days of a zone, from the first of January of `from_year` to the last of December of `to_year`.
///
/// # Errors
/// [`SiteDaysError`].
pub fn build(zone_name: &str, from_year: i16, to_year: i16) -> Result<SiteDays, SiteDaysError> {
    let tz = zone(zone_name)?;
    if from_year < 1900 || to_year > 9000 || from_year > to_year {
        return Err(SiteDaysError::Years(from_year, to_year));
    }
    let mut days = Vec::new();
    let mut date = Date::constant(from_year, 1, 1);
    let mut start = first_instant(&tz, date);
    while date.year() <= to_year {
        // The year 9000 is far below the calendar's end.
        let Ok(next) = date.tomorrow() else { break };
        let end = first_instant(&tz, next);
        if end <= start {
            // The zone left this date out.
            days.clear();
        } else {
            days.push(site_day(&tz, zone_name, date, start, end)?);
        }
        (date, start) = (next, end);
    }
    Ok(SiteDays::new(days).expect("each day begins where the one before ends, and dates follow each other"))
}

/// Where a local date begins.
fn first_instant(tz: &TimeZone, date: Date) -> i64 {
    let midnight = wall_micros(date);
    match tz.to_ambiguous_timestamp(date.at(0, 0, 0, 0)).offset() {
        AmbiguousOffset::Unambiguous { offset } => midnight - micros(offset.seconds()),
        // No clock shows this midnight: the date begins at the change.
        AmbiguousOffset::Gap { before, after } => {
            let around = midnight - micros(after.seconds()) - 1;
            let latest = midnight - micros(before.seconds());
            changes(tz, around).next().map_or(latest, |(at, _, _)| at)
        }
        AmbiguousOffset::Fold { before, after } => {
            let (earlier, later) = (midnight - micros(before.seconds()), midnight - micros(after.seconds()));
            // Midnight comes twice. When the clocks go back into the day before, the second one counts.
            match changes(tz, earlier).next() {
                Some((at, _, offset)) if at + offset < midnight => later,
                _ => earlier,
            }
        }
    }
}

fn site_day(tz: &TimeZone, zone: &str, date: Date, start: i64, end: i64) -> Result<SiteDay, SiteDaysError> {
    let midnight = wall_micros(date);
    let local = LocalDate(i32::try_from(midnight / DAY).unwrap_or(i32::MAX));
    let mut within = changes(tz, start).take_while(|(at, _, _)| *at < end);
    let jump = within.next().map(|(at, before, after)| {
        // Minutes that the clocks showed beyond this day's midnight before they went back.
        let beyond = (at + before - midnight - DAY).max(0);
        WallRun { start: Moment(at - beyond), wall: at - beyond + after - midnight }
    });
    if within.next().is_some() {
        return Err(SiteDaysError::TwoJumps { zone: zone.to_owned(), date: local });
    }
    let offset = micros(tz.to_offset(timestamp(start)).seconds());
    Ok(SiteDay { date: local, start: Moment(start), end: Moment(end), wall_start: start + offset - midnight, jump })
}

/// The changes of the clocks after a moment: when, and the offsets before and after.
fn changes(tz: &TimeZone, after: i64) -> impl Iterator<Item = (i64, i64, i64)> + '_ {
    let mut before = micros(tz.to_offset(timestamp(after)).seconds());
    tz.following(timestamp(after)).filter_map(move |transition| {
        let offset = micros(transition.offset().seconds());
        let changed = (transition.timestamp().as_microsecond(), before, offset);
        // A transition may change a name only.
        let moved = offset != before;
        before = offset;
        moved.then_some(changed)
    })
}

fn micros(seconds: i32) -> i64 {
    i64::from(seconds) * kernel::time::SECOND
}

/// A local midnight as if it were UTC.
fn wall_micros(date: Date) -> i64 {
    let date = LocalDate::new(i32::from(date.year()), date.month().unsigned_abs(), date.day().unsigned_abs());
    i64::from(date.expect("a date of jiff is a date of the calendar").0) * DAY
}

fn timestamp(micros: i64) -> Timestamp {
    // Only years 1900 to 9000 get here.
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
#[path = "site_days_tests.rs"]
mod tests;
