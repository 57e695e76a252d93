//! Moments, local dates and local days.
//!
//! The kernel never asks a clock or a zone database. A site's local days arrive as a table ([`SiteDays`]) that the
//! engine builds from the zone database; the audit and the reports use the same table.

use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

/// Microseconds in a second.
pub const SECOND: i64 = 1_000_000;
/// Microseconds in a minute.
pub const MINUTE: i64 = 60 * SECOND;
/// Microseconds in an hour.
pub const HOUR: i64 = 60 * MINUTE;
/// Microseconds in a day of 24 hours.
pub const DAY: i64 = 24 * HOUR;

/// An instant: microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Moment(pub i64);

impl Moment {
    /// The moment `micros` microseconds later (earlier when negative); saturates at the ends of time.
    #[must_use]
    pub const fn plus(self, micros: i64) -> Moment {
        Moment(self.0.saturating_add(micros))
    }

    /// Microseconds from `earlier` to here; negative when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Moment) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// `2026-03-29T01:00:00Z`, with microseconds only where they are not zero.
impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = self.0.div_euclid(DAY);
        let rest = self.0.rem_euclid(DAY);
        let date = LocalDate(i32::try_from(days).unwrap_or(i32::MAX));
        write!(f, "{date}T{:02}:{:02}:{:02}", rest / HOUR, rest / MINUTE % 60, rest / SECOND % 60)?;
        match rest % SECOND {
            0 => f.write_str("Z"),
            micros => write!(f, ".{micros:06}Z"),
        }
    }
}

/// A civil date: days since 1970-01-01, in the proleptic Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LocalDate(pub i32);

impl LocalDate {
    /// The date of that year, month (1-12) and day (1-31); `None` where the calendar has no such day.
    #[must_use]
    pub fn new(year: i32, month: u8, day: u8) -> Option<LocalDate> {
        if !(1..=12).contains(&month) || day == 0 || !(-200_000..=200_000).contains(&year) {
            return None;
        }
        // Days from civil, counted from March so that the leap day ends the year.
        let (y, m) = if month > 2 { (year, i32::from(month) - 3) } else { (year - 1, i32::from(month) + 9) };
        let era = y.div_euclid(400);
        let year_of_era = y.rem_euclid(400);
        let day_of_year = (153 * m + 2) / 5 + i32::from(day) - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let date = LocalDate(era * 146_097 + day_of_era - 719_468);
        (date.ymd() == (year, month, day)).then_some(date)
    }

    /// Year, month (1-12) and day (1-31).
    #[must_use]
    pub fn ymd(self) -> (i32, u8, u8) {
        let z = self.0.saturating_add(719_468);
        let era = z.div_euclid(146_097);
        let day_of_era = z.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let m = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * m + 2) / 5 + 1;
        let month = if m < 10 { m + 3 } else { m - 9 };
        let year = year_of_era + era * 400 + i32::from(month <= 2);
        // Both are within their ranges by construction.
        (year, u8::try_from(month).unwrap_or(0), u8::try_from(day).unwrap_or(0))
    }

    /// Monday is 0, Sunday is 6.
    #[must_use]
    pub fn weekday(self) -> u8 {
        u8::try_from((i64::from(self.0) + 3).rem_euclid(7)).unwrap_or(0)
    }

    /// The month that holds this date.
    #[must_use]
    pub fn month(self) -> LocalMonth {
        let (year, month, _) = self.ymd();
        LocalMonth(year * 12 + i32::from(month) - 1)
    }

    /// The date `days` later (earlier when negative).
    #[must_use]
    pub const fn plus(self, days: i32) -> LocalDate {
        LocalDate(self.0.saturating_add(days))
    }
}

/// `2026-03-29`.
impl fmt::Display for LocalDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.ymd();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// A civil month: 12 x year + month - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LocalMonth(pub i32);

impl LocalMonth {
    /// The month of a text such as `2026-03`.
    #[must_use]
    pub fn parse(text: &str) -> Option<LocalMonth> {
        let (year, month) = text.split_once('-')?;
        let month: u8 = month.parse().ok().filter(|_| month.len() == 2)?;
        Some(LocalDate::new(year.parse().ok()?, month, 1)?.month())
    }

    /// Its first day.
    #[must_use]
    pub fn first_day(self) -> LocalDate {
        let month = u8::try_from(self.0.rem_euclid(12) + 1).unwrap_or(1);
        LocalDate::new(self.0.div_euclid(12), month, 1).unwrap_or(LocalDate(0))
    }
}

/// `2026-03`.
impl fmt::Display for LocalMonth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0.div_euclid(12), self.0.rem_euclid(12) + 1)
    }
}

/// A stretch of a local day in which the wall clock runs evenly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WallRun {
    /// Where the stretch begins.
    pub start: Moment,
    /// What the wall clock shows there, in microseconds after local midnight.
    pub wall: i64,
}

/// One local day: `start` inclusive to `end` exclusive. 23 or 25 hours long when the clocks change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SiteDay {
    /// The local date.
    pub date: LocalDate,
    /// The first instant of the day.
    pub start: Moment,
    /// The first instant of the next day.
    pub end: Moment,
    /// The wall clock at `start` (0 unless the clocks change at midnight), in microseconds after midnight.
    pub wall_start: i64,
    /// Where the wall clock jumps within the day, if it does.
    pub jump: Option<WallRun>,
}

impl SiteDay {
    /// The even stretches of this day, in order, each with its end.
    pub fn runs(&self) -> impl Iterator<Item = (WallRun, Moment)> {
        let first = WallRun { start: self.start, wall: self.wall_start };
        let first_end = self.jump.map_or(self.end, |jump| jump.start);
        [Some((first, first_end)), self.jump.map(|jump| (jump, self.end))].into_iter().flatten()
    }
}

/// A site's local days, consecutive and without gaps.
#[derive(Clone, Debug, Default)]
pub struct SiteDays {
    days: Vec<SiteDay>,
}

impl SiteDays {
    /// A table of consecutive days. `None` when the days are not consecutive, each ending where the next begins.
    #[must_use]
    pub fn new(days: Vec<SiteDay>) -> Option<SiteDays> {
        let consecutive = days.windows(2).all(|pair| match pair {
            [a, b] => a.end == b.start && a.date.plus(1) == b.date && a.start < a.end,
            _ => true,
        });
        consecutive.then_some(SiteDays { days })
    }

    /// The day that holds this moment; `None` outside the table.
    #[must_use]
    pub fn at(&self, moment: Moment) -> Option<&SiteDay> {
        // Days of 23 to 25 hours stay near the days of UTC, so that a guess is right or next to right.
        let holds = |day: &&SiteDay| day.start <= moment && moment < day.end;
        let guess = usize::try_from(moment.since(self.days.first()?.start).div_euclid(DAY)).ok()?;
        let near = [guess, guess.saturating_sub(1), guess.saturating_add(1)];
        near.into_iter().find_map(|index| self.days.get(index).filter(holds)).or_else(|| {
            let after = self.days.partition_point(|day| day.start <= moment);
            self.days.get(after.checked_sub(1)?).filter(holds)
        })
    }

    /// The day of this date; `None` outside the table.
    #[must_use]
    pub fn on(&self, date: LocalDate) -> Option<&SiteDay> {
        let offset = date.0.checked_sub(self.days.first()?.date.0)?;
        self.days.get(usize::try_from(offset).ok()?)
    }

    /// All days, in order.
    #[must_use]
    pub fn all(&self) -> &[SiteDay] {
        &self.days
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn every_date_of_eight_centuries_converts_there_and_back() {
        for days in -146_097..146_097 {
            let date = LocalDate(days);
            let (year, month, day) = date.ymd();
            assert_eq!(LocalDate::new(year, month, day), Some(date));
        }
    }

    #[test]
    fn days_that_the_calendar_lacks_are_refused() {
        for (year, month, day) in [(2026, 2, 29), (1900, 2, 29), (2026, 13, 1), (2026, 4, 31), (2026, 1, 0)] {
            assert_eq!(LocalDate::new(year, month, day), None, "{year}-{month}-{day}");
        }
        assert!(LocalDate::new(2000, 2, 29).is_some());
    }

    #[test]
    fn moments_months_and_weekdays_print_as_people_write_them() {
        assert_eq!(Moment(1_774_746_000 * SECOND).to_string(), "2026-03-29T01:00:00Z");
        assert_eq!(Moment(-1).to_string(), "1969-12-31T23:59:59.999999Z");
        let date = LocalDate::new(2026, 11, 20).unwrap();
        assert_eq!((date.month().to_string().as_str(), date.weekday()), ("2026-11", 4));
        assert_eq!(date.month().first_day().to_string(), "2026-11-01");
    }
    #[test]
    fn a_moment_is_found_also_where_days_stray_far_from_those_of_utc() {
        let long = 36 * HOUR;
        let day = |number: i32| {
            let start = Moment(i64::from(number) * long);
            SiteDay { date: LocalDate(number), start, end: start.plus(long), wall_start: 0, jump: None }
        };
        let days = SiteDays::new((0..10).map(day).collect()).unwrap();
        for number in 0..10 {
            for within in [0, HOUR, long - 1] {
                let moment = Moment(i64::from(number) * long + within);
                assert_eq!(days.at(moment).map(|day| day.date), Some(LocalDate(number)), "{moment}");
            }
        }
        assert_eq!((days.at(Moment(-1)), days.at(Moment(10 * long))), (None, None));
    }
}
