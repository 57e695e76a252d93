//! What a history remembers of intervals that do not keep to the hours, and which days it looks at.

use kernel::calendar::Calendar;
use kernel::history::History;
use kernel::money::Quantity;
use kernel::time::{HOUR, MINUTE, Moment, SiteDays};

use crate::support::zone::{Zone, date};

/// Fills a day with intervals of 90 minutes, the k-th of `quantity(k)`; gives what falls into each hour.
fn fill(history: &mut History, days: &SiteDays, day: &str, quantity: impl Fn(i64) -> i64) -> Vec<i64> {
    let start = days.on(date(day)).expect("a day of the table").start;
    let mut hours = vec![0; 24];
    for k in 0..16 {
        let (from, to) = (start.plus(k * 90 * MINUTE), start.plus((k + 1) * 90 * MINUTE));
        history.add(days, (from, to), Quantity(quantity(k)), || Some(to));
        // Even ones begin with an hour, odd ones in its middle; the later hour takes the remainder.
        let first = usize::try_from(k * 90 / 60).unwrap();
        let earlier = quantity(k) * if k % 2 == 0 { 60 } else { 30 } / 90;
        hours[first] += earlier;
        hours[first + 1] += quantity(k) - earlier;
    }
    hours
}

fn profile(history: &History, days: &SiteDays, from: Moment, to: Moment, quantity: i64) -> Option<Vec<i64>> {
    let slots = history.profile(days, &Calendar::default(), from, &[(from, to)], Quantity(quantity))?;
    assert!(slots.iter().all(|slot| slot.to.since(slot.from) <= HOUR));
    Some(slots.iter().map(|slot| slot.quantity.0).collect())
}

#[test]
fn an_interval_over_two_hours_is_remembered_in_both_by_its_time() {
    let zone = Zone::china();
    let days = zone.days("2026-11-01", "2026-11-30");
    let mut history = History::default();
    // Monday to Wednesday alike.
    let mut hours = Vec::new();
    for day in ["2026-11-16", "2026-11-17", "2026-11-18"] {
        hours = fill(&mut history, &days, day, |k| 90 * (k + 1) + 1);
    }
    let thursday = zone.at("2026-11-19 00:00");
    let sum = hours.iter().sum();
    assert_eq!(profile(&history, &days, thursday, thursday.plus(24 * HOUR), sum), Some(hours));
}

/// A meter beside it may cover the very day on which a gap begins.
#[test]
fn the_day_of_the_gap_itself_is_no_like_day() {
    let zone = Zone::china();
    let days = zone.days("2026-11-01", "2026-11-30");
    let mut history = History::default();
    let mut hours = Vec::new();
    for day in ["2026-11-16", "2026-11-17", "2026-11-18"] {
        hours = fill(&mut history, &days, day, |k| 90 * (k + 1));
    }
    fill(&mut history, &days, "2026-11-19", |k| 9_000 * (16 - k));
    let begin = zone.at("2026-11-19 12:00");
    let expected: Vec<i64> = hours[12..].to_vec();
    assert_eq!(profile(&history, &days, begin, begin.plus(12 * HOUR), expected.iter().sum()), Some(expected));
}

/// The hour that the last interval ended in is remembered; what began before it does not belong there alone.
#[test]
fn intervals_of_two_meters_are_each_remembered_where_they_lie() {
    let zone = Zone::china();
    let days = zone.days("2026-11-01", "2026-11-30");
    let mut history = History::default();
    let start = zone.at("2026-11-16 00:00");
    let of = |hour: i64| 60 * (1 + hour.rem_euclid(3));
    for hour in 0..72 {
        let end = start.plus((hour + 1) * HOUR);
        // One from half to half, one from hour to hour, in the order of their ends.
        let half = end.plus(-30 * MINUTE);
        history.add(&days, (half.plus(-HOUR), half), Quantity(of(hour)), || Some(half));
        history.add(&days, (end.plus(-HOUR), end), Quantity(60), || Some(end));
    }
    // Whole days but the last half hour of the third, which the other meter covers.
    let expected: Vec<i64> = (0..23).map(|hour| of(hour) / 2 + of(hour + 1) / 2 + 60).collect();
    let begin = zone.at("2026-11-19 00:00");
    let found = profile(&history, &days, begin, begin.plus(23 * HOUR), expected.iter().sum());
    assert_eq!(found, Some(expected));
}
