//! Windows in which nobody is cut: times of day, day types, holidays and their eves, seasons (domain.md, 7.6).
//!
//! A window belongs to the local day on which it begins; one that ends at or before its start runs over midnight. What
//! the wall clock shows decides, so that an hour that comes twice is inside twice and one that is skipped never is.
//! Outside the table of local days nothing is known, and nobody is cut.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::calendar::{Calendar, DayType};
use crate::time::{DAY, LocalDate, MINUTE, Moment, SiteDay, SiteDays};

/// Minutes after local midnight, 0 to 1440; `HH:MM` in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WallMinute(pub u16);

impl TryFrom<String> for WallMinute {
    type Error = String;
    fn try_from(text: String) -> Result<WallMinute, String> {
        let two = |part: &str| match part.len() {
            2 if part.bytes().all(|byte| byte.is_ascii_digit()) => part.parse::<u16>().ok(),
            _ => None,
        };
        let minute = text.split_once(':').and_then(|(hour, minute)| Some((two(hour)?, two(minute)?)));
        match minute {
            Some((hour, minute)) if minute < 60 && hour * 60 + minute <= 1_440 => Ok(WallMinute(hour * 60 + minute)),
            _ => Err(alloc::format!("{text:?} is not a time of day; write one from 00:00 to 24:00")),
        }
    }
}

impl From<WallMinute> for String {
    fn from(minute: WallMinute) -> String {
        alloc::format!("{:02}:{:02}", minute.0 / 60, minute.0 % 60)
    }
}

/// The day type that a window is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DayKind {
    /// Workdays, make-up workdays included.
    Workday,
    /// Saturdays and Sundays that are not made up.
    Weekend,
    /// Public holidays, and their eves where the policy says so.
    Holiday,
}

impl DayKind {
    const fn of(day_type: DayType) -> DayKind {
        match day_type {
            DayType::Workday => DayKind::Workday,
            DayType::Weekend => DayKind::Weekend,
            DayType::Holiday => DayKind::Holiday,
        }
    }
}

/// A day of the year, `MM-DD` in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct YearDay {
    month: u8,
    day: u8,
}

impl TryFrom<String> for YearDay {
    type Error = String;
    fn try_from(text: String) -> Result<YearDay, String> {
        text.split_once('-')
            .filter(|(month, day)| month.len() == 2 && day.len() == 2)
            .and_then(|(month, day)| Some((month.parse().ok()?, day.parse().ok()?)))
            // 2000 is a leap year, so that 02-29 can be named.
            .filter(|(month, day)| LocalDate::new(2_000, *month, *day).is_some())
            .map(|(month, day)| YearDay { month, day })
            .ok_or_else(|| alloc::format!("{text:?} is not a day of the year; write one such as 11-15"))
    }
}

impl From<YearDay> for String {
    fn from(day: YearDay) -> String {
        alloc::format!("{:02}-{:02}", day.month, day.day)
    }
}

/// One no-disconnect window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// The types of the day on which it begins; all days where empty.
    #[serde(default)]
    pub days: Vec<DayKind>,
    /// When it begins.
    pub from: WallMinute,
    /// When it ends, exclusive; at or before `from`: on the next day.
    pub to: WallMinute,
    /// First and last day of the part of the year in which it applies, such as the heating season; it may run over New Year.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub season: Option<(YearDay, YearDay)>,
}

impl Window {
    /// A window for the whole year.
    #[must_use]
    pub fn new(days: &[DayKind], from: WallMinute, to: WallMinute) -> Window {
        Window { days: days.to_vec(), from, to, season: None }
    }

    /// What is wrong with it, for the person who wrote it.
    #[must_use]
    pub fn fault(&self) -> Option<&'static str> {
        if self.from == self.to {
            return Some("from and to are equal; a whole day is from 00:00 to 24:00");
        }
        (self.from.0 >= 1_440).then_some("from is 24:00; write 00:00 of the next day")
    }

    fn begins_on(&self, date: LocalDate, calendar: &Calendar, holiday_eve: bool) -> bool {
        let kind = DayKind::of(calendar.day_type(date));
        let eve = holiday_eve && calendar.day_type(date.plus(1)) == DayType::Holiday;
        let day_fits =
            self.days.is_empty() || self.days.contains(&kind) || (eve && self.days.contains(&DayKind::Holiday));
        let (_, month, day) = date.ymd();
        let today = YearDay { month, day };
        let season_fits = self.season.is_none_or(|(first, last)| match first <= last {
            true => first <= today && today <= last,
            false => first <= today || today <= last,
        });
        day_fits && season_fits
    }

    /// Whether the wall time `wall` (microseconds after midnight) of `date` is inside.
    fn holds(&self, date: LocalDate, wall: i64, calendar: &Calendar, holiday_eve: bool) -> bool {
        let (from, to) = (i64::from(self.from.0) * MINUTE, i64::from(self.to.0) * MINUTE);
        if from < to {
            return (from..to).contains(&wall) && self.begins_on(date, calendar, holiday_eve);
        }
        (wall >= from && self.begins_on(date, calendar, holiday_eve))
            || (wall < to && self.begins_on(date.plus(-1), calendar, holiday_eve))
    }
}

/// A site's windows with the days they are read on.
#[derive(Clone, Copy, Debug)]
pub struct Windows<'a> {
    /// The windows.
    pub windows: &'a [Window],
    /// Whether the eve of a holiday counts as one.
    pub holiday_eve: bool,
    /// Day types.
    pub calendar: &'a Calendar,
    /// Local days.
    pub days: &'a SiteDays,
}

/// Where a moment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Outside every window, until the moment given (none within the next year).
    Outside(Option<Moment>),
    /// Inside one or more windows, which end together at this moment.
    Inside(Moment),
    /// Inside, with no end within the known days; or the local day is not known.
    NoEnd,
}

/// How far an end or a beginning is looked for.
const DAYS_AHEAD: i32 = 400;

impl Windows<'_> {
    /// Where `now` stands.
    #[must_use]
    pub fn standing(&self, now: Moment) -> Standing {
        let Some(inside) = self.inside(now) else { return Standing::NoEnd };
        match (inside, self.next_change(now, inside)) {
            (true, Some(end)) => Standing::Inside(end),
            (true, None) => Standing::NoEnd,
            (false, begin) => Standing::Outside(begin),
        }
    }

    fn inside(&self, moment: Moment) -> Option<bool> {
        let day = self.days.at(moment)?;
        let run = day.runs().map(|(run, _)| run).filter(|run| run.start <= moment).last()?;
        Some(self.wall_is_inside(day.date, run.wall + moment.since(run.start)))
    }

    fn wall_is_inside(&self, date: LocalDate, wall: i64) -> bool {
        self.windows.iter().any(|window| window.holds(date, wall, self.calendar, self.holiday_eve))
    }

    /// The first moment after `now` at which being inside is no longer `inside`.
    fn next_change(&self, now: Moment, inside: bool) -> Option<Moment> {
        if self.windows.is_empty() {
            return None;
        }
        let today = self.days.at(now)?.date;
        (0..DAYS_AHEAD).map_while(|ahead| self.days.on(today.plus(ahead))).find_map(|day| {
            self.edges(day)
                .into_iter()
                .find(|(edge, wall)| *edge > now && self.wall_is_inside(day.date, *wall) != inside)
                .map(|(edge, _)| edge)
        })
    }

    /// The moments of a day at which being inside can change, in order, with the wall time that each shows.
    fn edges(&self, day: &SiteDay) -> Vec<(Moment, i64)> {
        let mut edges = Vec::new();
        for (run, end) in day.runs() {
            edges.push((run.start, run.wall));
            for minute in self.windows.iter().flat_map(|window| [window.from, window.to]) {
                let wall = i64::from(minute.0) * MINUTE;
                let edge = run.start.plus(wall - run.wall);
                if wall < DAY && run.start < edge && edge < end {
                    edges.push((edge, wall));
                }
            }
        }
        edges.sort_unstable();
        edges
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{HOUR, WallRun};
    use alloc::collections::BTreeMap;

    /// A zone at UTC with 2026 from January on; the clocks go from 02:00 to 03:00 on 2026-03-29 and back on 2026-10-25.
    fn days() -> SiteDays {
        let first = LocalDate::new(2026, 1, 1).unwrap();
        let mut start = Moment(i64::from(first.0) * DAY);
        let mut days = Vec::new();
        for offset in 0..730 {
            let date = first.plus(offset);
            let (length, jump_wall) = match date.ymd() {
                (2026, 3, 29) => (23 * HOUR, Some(3 * HOUR)),
                (2026, 10, 25) => (25 * HOUR, Some(HOUR)),
                _ => (DAY, None),
            };
            let jump = jump_wall.map(|wall| WallRun { start: start.plus(2 * HOUR), wall });
            let end = start.plus(length);
            days.push(SiteDay { date, start, end, wall_start: 0, jump });
            start = end;
        }
        SiteDays::new(days).unwrap()
    }

    fn calendar() -> Calendar {
        let holiday = LocalDate::new(2026, 5, 1).unwrap();
        let make_up = LocalDate::new(2026, 5, 9).unwrap();
        Calendar {
            name: "test".into(),
            exceptions: BTreeMap::from([(holiday, DayType::Holiday), (make_up, DayType::Workday)]),
            ..Calendar::default()
        }
    }

    /// `MM-DD HH:MM` of 2026 by the wall clock, the first time that it shows so.
    fn at(days: &SiteDays, text: &str) -> Moment {
        let number = |range: core::ops::Range<usize>| text[range].parse::<i64>().unwrap();
        let date = LocalDate::new(2026, number(0..2).try_into().unwrap(), number(3..5).try_into().unwrap()).unwrap();
        let wall = number(6..8) * HOUR + number(9..11) * MINUTE;
        let day = days.on(date).unwrap();
        day.runs()
            .map(|(run, end)| (run.start.plus(wall - run.wall), end))
            .find(|(moment, end)| moment < end)
            .map(|(moment, _)| moment)
            .unwrap()
    }

    #[track_caller]
    fn check(windows: &str, now: &str, expected: &str) {
        let (days, calendar) = (days(), calendar());
        let windows: Vec<Window> = serde_json::from_str(windows).unwrap();
        let windows = Windows { windows: &windows, holiday_eve: true, calendar: &calendar, days: &days };
        let moment = |text: &str| at(&days, text);
        let expected = match expected.split_once(' ').unwrap_or((expected, "")) {
            ("inside", "") => Standing::NoEnd,
            ("inside", end) => Standing::Inside(moment(end)),
            ("outside", "") => Standing::Outside(None),
            ("outside", begin) => Standing::Outside(Some(moment(begin))),
            other => panic!("{other:?}"),
        };
        assert_eq!(windows.standing(moment(now)), expected, "{now}");
    }

    #[test]
    fn a_night_window_runs_over_midnight_and_ends_exactly() {
        let night = r#"[{"from": "18:00", "to": "08:00"}]"#;
        check(night, "06-03 17:59", "outside 06-03 18:00");
        check(night, "06-03 18:00", "inside 06-04 08:00");
        check(night, "06-04 07:59", "inside 06-04 08:00");
        check(night, "06-04 08:00", "outside 06-04 18:00");
        check("[]", "06-03 17:59", "outside");
        check(r#"[{"from": "00:00", "to": "24:00"}]"#, "06-03 17:59", "inside");
    }

    #[test]
    fn weekends_holidays_and_their_eves_join_the_nights_between() {
        let all =
            r#"[{"from": "18:00", "to": "08:00"}, {"days": ["weekend", "holiday"], "from": "00:00", "to": "24:00"}]"#;
        // Friday 2026-06-05 to Monday.
        check(all, "06-05 17:00", "outside 06-05 18:00");
        check(all, "06-05 18:00", "inside 06-08 08:00");
        // 2026-05-01 is a holiday and a Friday; its eve is Thursday; Saturday 05-09 is made up.
        check(all, "04-29 19:00", "inside 05-04 08:00");
        check(all, "05-08 19:00", "inside 05-09 08:00");
        check(all, "05-09 12:00", "outside 05-09 18:00");
        // A window that begins on a weekend day runs into Monday although Monday is none.
        check(r#"[{"days": ["weekend"], "from": "22:00", "to": "06:00"}]"#, "06-08 05:00", "inside 06-08 06:00");
        check(r#"[{"days": ["weekend"], "from": "22:00", "to": "06:00"}]"#, "06-06 05:00", "outside 06-06 22:00");
    }

    #[test]
    fn a_window_follows_the_wall_clock_when_it_jumps() {
        let early = r#"[{"from": "01:30", "to": "02:30"}]"#;
        // 02:30 does not exist on 03-29: the window ends when the clock jumps to 03:00.
        check(early, "03-29 01:45", "inside 03-29 03:00");
        check(early, "03-28 01:45", "inside 03-28 02:30");
        // On 10-25 the hour from 01:00 comes twice: outside from the second 01:00 to the second 01:30.
        let (days, calendar) = (days(), calendar());
        let windows: Vec<Window> = serde_json::from_str(early).unwrap();
        let windows = Windows { windows: &windows, holiday_eve: true, calendar: &calendar, days: &days };
        let one = at(&days, "10-25 01:00");
        assert_eq!(windows.standing(one.plus(45 * MINUTE)), Standing::Inside(one.plus(HOUR)));
        assert_eq!(windows.standing(one.plus(HOUR)), Standing::Outside(Some(one.plus(90 * MINUTE))));
        assert_eq!(windows.standing(one.plus(100 * MINUTE)), Standing::Inside(one.plus(150 * MINUTE)));
    }

    #[test]
    fn a_season_may_run_over_new_year() {
        let heating = r#"[{"from": "00:00", "to": "24:00", "season": ["11-15", "03-15"]}]"#;
        check(heating, "02-01 12:00", "inside 03-16 00:00");
        check(heating, "06-01 12:00", "outside 11-15 00:00");
    }

    #[test]
    fn nothing_is_known_outside_the_table_of_days() {
        let (days, calendar) = (days(), calendar());
        let windows = Windows { windows: &[], holiday_eve: true, calendar: &calendar, days: &days };
        assert_eq!(windows.standing(Moment(0)), Standing::NoEnd);
    }
}
