//! The like-day profile: how a gap's measured total is divided (domain.md, 3).
//!
//! A [`History`] remembers, for each local day, how much of it fine intervals cover (those that are no gaps) and how much
//! they measured in each hour of the wall clock. A gap's day takes the shape
//! of the days of its type (workday, weekend, holiday) among the 21 before the gap that are covered from midnight to
//! midnight, three at least; where an hour of the gap has no three, or they say that nothing flows at such hours, the whole
//! gap is divided by time. All meters of a service point make one history, so that it outlives a replacement.
//!
//! It rests on readings alone, never on what was allocated: whoever rates from readings far enough back has the same one.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::calendar::{Calendar, DayType};
use crate::gap::{Slot, divide};
use crate::money::Quantity;
use crate::time::{HOUR, LocalDate, Moment, SiteDay, SiteDays};

/// How many days before a gap are looked at.
pub const LOOK_BACK_DAYS: i32 = 21;
/// How many like days there must be among them.
pub const LIKE_DAYS: i128 = 3;
/// Averages are taken in so many parts of 1/1000 unit, so that a trickle has a shape too.
const PARTS: i128 = 1_000;
const HOURS: usize = 24;

/// An hour of the wall clock on a local day; the one that the clocks repeat comes twice, the one they skip never.
#[derive(Clone, Copy, Debug)]
struct WallHour {
    date: LocalDate,
    hour: usize,
    from: Moment,
    to: Moment,
}

impl WallHour {
    fn at(days: &SiteDays, moment: Moment) -> Option<WallHour> {
        let day = days.at(moment)?;
        let (run, end) = day.runs().find(|(run, end)| run.start <= moment && moment < *end)?;
        let hour = (run.wall + moment.since(run.start)) / HOUR;
        let from = run.start.plus(hour * HOUR - run.wall);
        let index = usize::try_from(hour).unwrap_or(0).min(HOURS - 1);
        Some(WallHour { date: day.date, hour: index, from: from.max(run.start), to: from.plus(HOUR).min(end) })
    }

    /// The hours of a stretch, each cut to it.
    fn of(days: &SiteDays, from: Moment, to: Moment) -> impl Iterator<Item = WallHour> + '_ {
        let mut at = from;
        core::iter::from_fn(move || {
            let hour = WallHour::at(days, at).filter(|_| at < to)?;
            let cut = WallHour { from: at, to: hour.to.min(to), ..hour };
            at = hour.to;
            Some(cut)
        })
    }
}

#[derive(Clone, Debug)]
struct Day {
    date: LocalDate,
    /// Microseconds of it that fine intervals cover.
    covered: i64,
    /// A bit for each hour that the day has: the one that the clocks skip is not among them.
    has: u32,
    by_hour: [i64; HOURS],
}

/// What fine intervals measured on recent days: 216 bytes a day.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// By date.
    days: VecDeque<Day>,
    /// The hour after the last interval: the next one mostly falls into it.
    hour: Option<WallHour>,
    /// Up to here time was counted as covered: intervals of meters side by side cover it once.
    covered_until: Option<Moment>,
}

impl History {
    /// Takes a fine interval; intervals come in the order of their ends. `keep_from` says, when a day begins, from which
    /// moment on gaps may still begin: older days are forgotten.
    pub fn add(
        &mut self,
        days: &SiteDays,
        (from, to): (Moment, Moment),
        quantity: Quantity,
        keep_from: impl Fn() -> Option<Moment>,
    ) {
        let fresh = self.covered_until.map_or(from, |until| until.max(from));
        self.covered_until = Some(fresh.max(to));
        if let Some(hour) = self.hour.filter(|hour| hour.from <= from && to <= hour.to) {
            self.count(hour, quantity.0, to.since(fresh), days, &keep_from);
            return;
        }
        let span = i128::from(to.since(from).max(1));
        let mut left = quantity.0;
        for hour in WallHour::of(days, from, to) {
            // Rounded toward zero; the last hour takes the remainder.
            let share = || i128::from(quantity.0) * i128::from(hour.to.since(hour.from)) / span;
            let share = if hour.to >= to { left } else { i64::try_from(share()).unwrap_or(0) };
            left = left.saturating_sub(share);
            self.count(hour, share, hour.to.since(fresh.max(hour.from)), days, &keep_from);
        }
        self.hour = WallHour::at(days, to);
    }

    fn count(
        &mut self,
        hour: WallHour,
        quantity: i64,
        covered: i64,
        days: &SiteDays,
        keep_from: &impl Fn() -> Option<Moment>,
    ) {
        let place = match self.days.back() {
            Some(last) if last.date == hour.date => self.days.len() - 1,
            _ => match self.days.binary_search_by_key(&hour.date, |day| day.date) {
                Ok(place) => place,
                Err(place) => {
                    self.days.insert(place, Day { date: hour.date, covered: 0, has: 0, by_hour: [0; HOURS] });
                    let keep = keep_from().and_then(|moment| days.at(moment)).map_or(hour.date, |day| day.date);
                    let keep = keep.min(hour.date).plus(-LOOK_BACK_DAYS);
                    let old = self.days.partition_point(|day| day.date < keep);
                    self.days.drain(..old);
                    place.saturating_sub(old)
                }
            },
        };
        if let Some(day) = self.days.get_mut(place) {
            day.covered = day.covered.saturating_add(covered.max(0));
            day.has |= 1 << hour.hour;
            day.by_hour[hour.hour] = day.by_hour[hour.hour].saturating_add(quantity);
        }
    }

    /// A gap's quantity, divided over the hours of its stretches, as the like days before the local day of `begin` say;
    /// `None` where they say nothing: it is divided by time.
    #[must_use]
    pub fn profile(
        &self,
        days: &SiteDays,
        calendar: &Calendar,
        begin: Moment,
        stretches: &[(Moment, Moment)],
        quantity: Quantity,
    ) -> Option<Vec<Slot>> {
        let first = days.at(begin)?.date;
        let mut shapes: [Option<[Option<i64>; HOURS]>; DayType::ALL.len()] = Default::default();
        let mut weighed = Vec::new();
        for (from, to) in stretches {
            for hour in WallHour::of(days, *from, *to) {
                let day_type = calendar.day_type(hour.date);
                let shape = match &shapes[day_type as usize] {
                    Some(shape) => shape,
                    None => shapes[day_type as usize].insert(self.shape(days, calendar, first, day_type)),
                };
                // Within the hour by time, rounded down.
                let weight = i128::from(shape[hour.hour]?) * i128::from(hour.to.since(hour.from)) / i128::from(HOUR);
                weighed.push((hour.from, hour.to, i64::try_from(weight).unwrap_or(i64::MAX)));
            }
        }
        divide(quantity, &weighed)
    }

    /// What flows in each hour on average, in 1/1,000,000 unit rounded down, on the like days before a date that have the
    /// hour. `None` where there are too few, or where more flows back than in: that is no shape.
    fn shape(&self, days: &SiteDays, calendar: &Calendar, first: LocalDate, like: DayType) -> [Option<i64>; HOURS] {
        let whole = |day: &SiteDay| day.end.since(day.start);
        let alike = |day: &&Day| {
            first.plus(-LOOK_BACK_DAYS) <= day.date
                && day.date < first
                && calendar.day_type(day.date) == like
                && days.on(day.date).is_some_and(|table| day.covered == whole(table))
        };
        let (mut sums, mut counts) = ([0_i128; HOURS], [0_i128; HOURS]);
        for day in self.days.iter().filter(alike) {
            for hour in 0..HOURS {
                sums[hour] += i128::from(day.by_hour[hour]);
                counts[hour] += i128::from(day.has >> hour & 1);
            }
        }
        // 21 x 2^63 x 1,000 fits 128 bits; what does not fit 64 in the end is no measurement, and only bounded.
        let average = |sum: i128, count: i128| i64::try_from(sum * PARTS / count).unwrap_or(i64::MAX);
        core::array::from_fn(|hour| {
            let (sum, count) = (sums[hour], counts[hour]);
            (count >= LIKE_DAYS && sum >= 0).then(|| average(sum, count))
        })
    }
}
