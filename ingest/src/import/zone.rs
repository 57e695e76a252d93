//! What a wall clock's time means in a zone: one instant, two, or none.
//!
//! The zone's offsets are laid out once as a table from 1990 to 2199, so that a row costs a comparison.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use kernel::time::{DAY, SECOND};

use crate::intake::{TIME_FIRST_MICROS, TIME_LAST_MICROS};

/// A stretch of time with one offset. Its wall clock shows `wall_start` to `wall_end`.
#[derive(Clone, Copy, Debug)]
struct Period {
    offset: i64,
    utc_start: i64,
    wall_start: i64,
    wall_end: i64,
}

/// A zone's offsets.
#[derive(Clone, Debug)]
pub(super) struct Zone {
    periods: Vec<Period>,
    /// The last answer's period, and the wall times that are in it and in no other.
    last: (i64, i64, i64),
}

/// The hours that a wall clock shows twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fold {
    /// The first wall time that is shown twice.
    pub(super) start: i64,
    /// The first wall time after it that is shown once.
    pub(super) end: i64,
}

/// What a wall time means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Located {
    /// One instant.
    Once(i64),
    /// Two instants: the clock was turned back over it.
    Twice {
        /// The instant before the clock was turned back.
        earlier: i64,
        /// The instant after.
        later: i64,
        /// The hours that it lies in.
        fold: Fold,
    },
    /// No instant: the clock was turned forward over it.
    Never,
    /// Outside 1990 to 2199.
    Outside,
}

impl Zone {
    /// The zone of this IANA name; `None` where there is none.
    pub(super) fn named(name: &str) -> Option<Zone> {
        let zone = TimeZone::get(name).ok()?;
        // A day more at both ends, so that every wall time in range lies inside.
        let (first, last) = (TIME_FIRST_MICROS - 2 * DAY, TIME_LAST_MICROS + 2 * DAY);
        let start = Timestamp::from_microsecond(first).ok()?;
        let mut starts = vec![(first, i64::from(zone.to_offset(start).seconds()) * SECOND)];
        for transition in zone.following(start) {
            let at = transition.timestamp().as_microsecond();
            let offset = i64::from(transition.offset().seconds()) * SECOND;
            if at >= last {
                break;
            }
            if starts.last().is_some_and(|(_, before)| *before != offset) {
                starts.push((at, offset));
            }
        }
        let ends = starts.iter().skip(1).map(|(at, _)| *at).chain([last]);
        let period = |((utc_start, offset), end): (&(i64, i64), i64)| Period {
            offset: *offset,
            utc_start: *utc_start,
            wall_start: utc_start + offset,
            wall_end: end + offset,
        };
        Some(Zone { periods: starts.iter().zip(ends).map(period).collect(), last: (0, 0, 0) })
    }

    /// What the wall time means.
    pub(super) fn locate(&mut self, wall: i64) -> Located {
        let (from, to, offset) = self.last;
        if (from..to).contains(&wall) {
            return Located::Once(wall - offset);
        }
        let Some(place) = self.periods.partition_point(|period| period.wall_start <= wall).checked_sub(1) else {
            return Located::Outside;
        };
        let period = self.periods[place];
        let before = place.checked_sub(1).map(|place| self.periods[place]);
        let after = self.periods.get(place + 1);
        if wall >= period.wall_end {
            return if after.is_some() { Located::Never } else { Located::Outside };
        }
        if let Some(before) = before.filter(|before| wall < before.wall_end) {
            let fold = Fold { start: period.wall_start, end: before.wall_end };
            return Located::Twice { earlier: wall - before.offset, later: wall - period.offset, fold };
        }
        let from = period.wall_start.max(before.map_or(i64::MIN, |before| before.wall_end));
        let to = period.wall_end.min(after.map_or(i64::MAX, |after| after.wall_start));
        self.last = (from, to, period.offset);
        Located::Once(wall - period.offset)
    }

    /// The instant `micros` of wall time after `instant` (before, when negative): whole days keep the time of day. A wall
    /// time that is shown twice means its first instant, one that is never shown the instant as long after the jump.
    pub(super) fn shift(&mut self, instant: i64, micros: i64) -> i64 {
        let wall = instant + self.offset_at(instant) + micros;
        match self.locate(wall) {
            Located::Once(instant) | Located::Twice { earlier: instant, .. } => instant,
            Located::Never | Located::Outside => {
                let place = self.periods.partition_point(|period| period.wall_start <= wall);
                wall - place.checked_sub(1).map_or(0, |place| self.periods[place].offset)
            }
        }
    }

    fn offset_at(&self, instant: i64) -> i64 {
        let after = self.periods.partition_point(|period| period.utc_start <= instant);
        self.periods.get(after.saturating_sub(1)).map_or(0, |period| period.offset)
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::DateTime;
    use jiff::tz::AmbiguousOffset;

    use super::*;

    /// jiff's own answer for the wall time.
    fn oracle(zone: &TimeZone, wall: DateTime) -> (usize, i64, i64) {
        let micros = |offset: jiff::tz::Offset| offset.to_timestamp(wall).unwrap().as_microsecond();
        match zone.to_ambiguous_timestamp(wall).offset() {
            AmbiguousOffset::Unambiguous { offset } => (1, micros(offset), 0),
            AmbiguousOffset::Fold { before, after } => (2, micros(before), micros(after)),
            AmbiguousOffset::Gap { .. } => (0, 0, 0),
        }
    }

    #[test]
    fn every_quarter_of_an_hour_of_three_years_means_what_the_zone_database_says() {
        let names = ["Europe/Madrid", "Australia/Lord_Howe", "America/Santiago", "Asia/Kolkata", "Africa/Casablanca"];
        for name in names {
            let (mut zone, truth) = (Zone::named(name).unwrap(), TimeZone::get(name).unwrap());
            for year in [1996, 2024, 2090] {
                let mut wall = jiff::civil::date(year, 1, 1).at(0, 0, 0, 0);
                while wall.year() == year {
                    let micros = jiff::tz::Offset::UTC.to_timestamp(wall).unwrap().as_microsecond();
                    let got = match zone.locate(micros) {
                        Located::Once(instant) => (1, instant, 0),
                        Located::Twice { earlier, later, .. } => (2, earlier, later),
                        Located::Never => (0, 0, 0),
                        Located::Outside => panic!("{wall} is in range"),
                    };
                    assert_eq!(got, oracle(&truth, wall), "{name} {wall}");
                    wall = wall.checked_add(jiff::SignedDuration::from_mins(15)).unwrap();
                }
            }
        }
    }

    #[test]
    fn a_day_of_wall_time_is_23_or_25_hours_when_the_clocks_change() {
        let mut zone = Zone::named("Europe/Madrid").unwrap();
        let instant = |text: &str| text.parse::<Timestamp>().unwrap().as_microsecond();
        let cases = [
            ("2026-03-28T23:00:00Z", DAY, "2026-03-29T22:00:00Z"),
            ("2026-10-24T22:00:00Z", DAY, "2026-10-25T23:00:00Z"),
            ("2026-10-25T23:00:00Z", -DAY, "2026-10-24T22:00:00Z"),
            ("2026-03-28T01:30:00Z", DAY, "2026-03-29T01:30:00Z"),
            ("2026-10-24T00:30:00Z", DAY, "2026-10-25T00:30:00Z"),
        ];
        for (from, micros, to) in cases {
            assert_eq!(zone.shift(instant(from), micros), instant(to), "{from}");
        }
    }

    #[test]
    fn a_zone_of_no_known_name_is_none_and_times_outside_the_table_are_outside() {
        assert!(Zone::named("Europe/Atlantis").is_none());
        let mut zone = Zone::named("UTC").unwrap();
        assert_eq!(zone.locate(0), Located::Outside);
        assert_eq!(zone.locate(TIME_LAST_MICROS + 3 * DAY), Located::Outside);
        assert_eq!(zone.locate(TIME_FIRST_MICROS), Located::Once(TIME_FIRST_MICROS));
    }
}
