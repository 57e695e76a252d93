//! A site's local days from an offset and its transitions, written down by hand: no zone database takes part.

use std::sync::Arc;

use kernel::time::{DAY, HOUR, LocalDate, MINUTE, Moment, SiteDay, SiteDays, WallRun};

/// A zone: its offset in minutes at the beginning, and `(UTC instant, offset from there on)`.
#[derive(Clone, Debug)]
pub(crate) struct Zone {
    /// `(from, offset in microseconds)`, the first from the beginning of time.
    pieces: Vec<(Moment, i64)>,
}

impl Zone {
    /// A zone whose clocks never change.
    pub(crate) fn fixed(minutes: i64) -> Zone {
        Zone::with(minutes, &[])
    }

    /// A zone whose clocks change at `(UTC text, offset in minutes from there on)`.
    pub(crate) fn with(minutes: i64, transitions: &[(&str, i64)]) -> Zone {
        let mut pieces = vec![(Moment(i64::MIN), minutes * MINUTE)];
        pieces.extend(transitions.iter().map(|(text, minutes)| (Moment(wall(text)), minutes * MINUTE)));
        Zone { pieces }
    }

    /// Berlin in 2026.
    pub(crate) fn berlin() -> Zone {
        Zone::with(60, &[("2026-03-29 01:00", 120), ("2026-10-25 01:00", 60)])
    }

    /// China, which the tariffs of the cases come from.
    pub(crate) fn china() -> Zone {
        Zone::fixed(480)
    }

    /// The first instant at which the wall clock shows this, or the first after it where the clocks skip it.
    pub(crate) fn at(&self, text: &str) -> Moment {
        self.first_at_or_after(wall(text))
    }

    /// The first instant at which the wall clock shows `wall` or, where the clocks skip it, more.
    fn first_at_or_after(&self, wall: i64) -> Moment {
        let ends = self.pieces.iter().skip(1).map(|piece| piece.0).chain([Moment(i64::MAX)]);
        for (&(from, offset), end) in self.pieces.iter().zip(ends) {
            let instant = Moment(wall - offset).max(from);
            if instant < end {
                return instant;
            }
        }
        unreachable!("the last piece has no end")
    }

    /// The days from one date to another, both inclusive.
    pub(crate) fn days(&self, first: &str, last: &str) -> Arc<SiteDays> {
        let (first, last) = (date(first), date(last));
        let days = (first.0..=last.0).map(|day| {
            let date = LocalDate(day);
            let midnight = i64::from(day) * DAY;
            let (start, end) = (self.first_at_or_after(midnight), self.first_at_or_after(midnight + DAY));
            let on = |instant: Moment| {
                let piece = self.pieces.iter().rev().find(|piece| piece.0 <= instant).expect("a piece without start");
                instant.0 + piece.1 - midnight
            };
            let change = self.pieces.iter().map(|piece| piece.0).find(|from| start < *from && *from < end);
            let jump = change.map(|start| WallRun { start, wall: on(start) });
            SiteDay { date, start, end, wall_start: on(start), jump }
        });
        Arc::new(SiteDays::new(days.collect()).expect("consecutive days"))
    }
}

/// The date of `2026-11-20`.
pub(crate) fn date(text: &str) -> LocalDate {
    let mut parts = text.split('-').map(|part| part.parse::<i32>().expect("a number"));
    let mut next = || parts.next().expect("year-month-day");
    let (year, month, day) = (next(), next(), next());
    LocalDate::new(year, month.try_into().unwrap(), day.try_into().unwrap()).expect("a date of the calendar")
}

/// Microseconds of `2026-11-20 09:50` or `2026-11-20 09:50:30` as if it were UTC.
fn wall(text: &str) -> i64 {
    let (day, time) = text.split_once(' ').expect("date and time");
    let units = [HOUR, MINUTE, MINUTE / 60];
    let time: i64 = time.split(':').zip(units).map(|(part, unit)| part.parse::<i64>().expect("a number") * unit).sum();
    i64::from(date(day).0) * DAY + time
}
