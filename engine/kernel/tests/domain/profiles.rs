//! Gaps divided by like days, and outages in which nothing flows (domain.md, 3; case 14).

use std::collections::BTreeMap;
use std::sync::Arc;

use kernel::calendar::{Calendar, DayType};
use kernel::epoch::Epoch;
use kernel::gap::Outage;
use kernel::id::{EpochId, MeterId};
use kernel::judge::{Mark, RegisterState};
use kernel::point::{EpochState, PointState, Row, Step};
use kernel::rate::Allocation::{self, Linear, Measured, Profile};
use kernel::tariff::Band::{self, Flat, Peak};
use kernel::time::{HOUR, MINUTE, Moment, SiteDays};
use proptest::prelude::*;

use super::arrival::Stream;
use crate::support::driver::{Outcome, run};
use crate::support::scene::{Scene, count, epoch, for_ever, terms, two_bands, usage};
use crate::support::zone::{Zone, date};

/// Counts of 0.01 unit in each hour of a day: 1 in the hours of flat, 5 from 10:00 to 20:00.
fn workday(hour: i64) -> i64 {
    if (10..20).contains(&hour) { 5 } else { 1 }
}

fn scene(zone: &Zone) -> Scene {
    let tariff = two_bands(1, zone.at("2026-01-01 00:00"));
    let terms = terms(zone.days("2026-08-01", "2026-12-31"), vec![for_ever(vec![tariff])]);
    Scene { epochs: vec![Epoch { max_rate: 30_000, ..epoch(1) }], terms, outages: Vec::new() }
}

/// The wall clock's hour of a moment.
fn wall_hour(days: &SiteDays, moment: Moment) -> i64 {
    let day = days.at(moment).expect("a day of the table");
    let (run, _) = day.runs().find(|(run, end)| run.start <= moment && moment < *end).expect("a run");
    (run.wall + moment.since(run.start)) / HOUR
}

/// Hourly readings from one moment to another, both included, as `counts` says for the date and the hour of the clock.
fn hourly(scene: &Scene, from: Moment, to: Moment, counts: impl Fn(i32, i64) -> i64) -> Vec<Row> {
    let (days, mut sum, mut rows) = (&scene.terms.days, 1_000, vec![count(1, from, 1_000)]);
    let mut at = from;
    while at < to {
        sum += counts(days.at(at).expect("a day of the table").date.0, wall_hour(days, at));
        at = at.plus(HOUR);
        rows.push(count(1, at, sum));
    }
    rows
}

/// Leaves out what lies strictly between two moments.
fn without(rows: &[Row], from: Moment, to: Moment) -> Vec<Row> {
    rows.iter().filter(|row| row.time <= from || to <= row.time).copied().collect()
}

fn sums(outcome: &Outcome, from: Moment, to: Moment) -> (BTreeMap<Band, i64>, Vec<Allocation>) {
    let mut bands = BTreeMap::new();
    let mut allocations: Vec<Allocation> = Vec::new();
    for part in outcome.parts.iter().filter(|part| from <= part.from && part.to <= to) {
        *bands.entry(part.band).or_default() += part.quantity.0;
        if !allocations.contains(&part.allocation) {
            allocations.push(part.allocation);
        }
    }
    (bands, allocations)
}

/// Both halves of case 14, with three weeks of history: nine hours over the switch at 10:00.
#[test]
fn case_14_nine_hours_without_communication_take_the_shape_of_like_days_and_an_outage_stays_zero() {
    let zone = Zone::china();
    let (from, to) = (zone.at("2026-11-20 05:00"), zone.at("2026-11-20 14:00"));
    let mut scene = scene(&zone);
    let all = hourly(&scene, zone.at("2026-10-26 00:00"), zone.at("2026-11-21 00:00"), |_, hour| workday(hour));
    // Five hours of one count, four of five: 250 of 1/1000 in all.
    let outcome = run(&scene, &without(&all, from, to));
    assert_eq!(sums(&outcome, from, to), (BTreeMap::from([(Flat, 50), (Peak, 200)]), vec![Profile]));
    assert_eq!(outcome.quantity(), run(&scene, &all).quantity(), "the total is measured");

    // No supply in the same hours: the register stands still, and nothing is allocated.
    let dead = |_: i32, hour: i64| if (5..14).contains(&hour) { 0 } else { workday(hour) };
    let all = hourly(&scene, zone.at("2026-10-26 00:00"), zone.at("2026-11-21 00:00"), dead);
    let (bands, allocations) = sums(&run(&scene, &without(&all, from, to)), from, to);
    assert_eq!((bands.values().sum::<i64>(), allocations), (0, vec![Measured]));

    // Known as an outage from 05:30 to 13:30, and 7 counts read in all: half an hour flat, half an hour peak.
    scene.outages = vec![Outage { meter: MeterId(1), from: from.plus(30 * MINUTE), to: to.plus(-30 * MINUTE) }];
    let rows = [count(1, from, 100), count(1, to, 107)];
    let (bands, allocations) = sums(&run(&scene, &rows), from, to);
    assert_eq!((bands, allocations), (BTreeMap::from([(Flat, 35), (Peak, 35)]), vec![Linear]));
    let nothing = run(&scene, &[rows[0], count(1, to, 100)]);
    assert_eq!(nothing.quantity(), 0);
    assert!(nothing.parts.iter().all(|part| part.allocation == Measured), "a run of valid zeros");
}

/// One line: what is special, the gap, what is left out of the three weeks before it, what flowed in flat and peak hours.
#[test]
fn a_gap_takes_the_shape_of_the_like_days_in_the_three_weeks_before_it() {
    let zone = Zone::berlin();
    let base = scene(&zone);
    let holidays = |dates: &[&str]| {
        let exceptions = dates.iter().map(|text| (date(text), DayType::Holiday)).collect();
        Arc::new(Calendar { exceptions, ..Calendar::default() })
    };
    // Weekends flow the other way round; holidays only at night.
    let weekly = |calendar: Arc<Calendar>| {
        move |date: i32, hour: i64| match calendar.day_type(kernel::time::LocalDate(date)) {
            DayType::Workday => workday(hour),
            DayType::Weekend => 6 - workday(hour),
            DayType::Holiday => i64::from(hour < 6) * 7,
        }
    };
    let autumn = ["2026-11-04", "2026-11-11", "2026-11-18", "2026-11-20"];
    for (name, dates, gap, left_out, expected) in [
        // 05:00 to 14:00: five hours of one count, four of five.
        ("a workday", &[][..], ("2026-11-20 05:00", "2026-11-20 14:00"), &[][..], (50, 200, Profile)),
        ("a Saturday", &[], ("2026-11-21 05:00", "2026-11-21 14:00"), &[], (250, 40, Profile)),
        ("a holiday with three like it", &autumn, ("2026-11-20 00:00", "2026-11-20 14:00"), &[], (420, 0, Profile)),
        ("a holiday with two like it", &autumn[1..], ("2026-11-20 00:00", "2026-11-20 14:00"), &[], (300, 120, Linear)),
        // Friday 18:00 to Saturday 12:00, each in its shape: (4 + 6 x 5 ... ) the bands of both.
        ("over two day types", &[], ("2026-11-20 18:00", "2026-11-21 12:00"), &[], (40 + 500, 100 + 20, Profile)),
        ("part of an hour", &[], ("2026-11-20 08:00", "2026-11-20 11:00"), &[], (20, 50, Profile)),
        ("exactly two hours", &[], ("2026-11-20 09:00", "2026-11-20 11:00"), &[], (30, 30, Linear)),
        (
            "only two like days without gaps of their own",
            &[],
            ("2026-11-21 05:00", "2026-11-21 14:00"),
            &[
                ("2026-10-31 02:00", "2026-10-31 06:00"),
                ("2026-11-01 02:00", "2026-11-01 06:00"),
                ("2026-11-07 02:00", "2026-11-07 06:00"),
                ("2026-11-08 02:00", "2026-11-08 06:00"),
            ],
            (161, 129, Linear),
        ),
        (
            "three like days, one the first of the three weeks",
            &[],
            ("2026-11-21 05:00", "2026-11-21 14:00"),
            &[
                ("2026-11-01 02:00", "2026-11-01 06:00"),
                ("2026-11-07 02:00", "2026-11-07 06:00"),
                ("2026-11-08 02:00", "2026-11-08 06:00"),
            ],
            (250, 40, Profile),
        ),
        // 25 hours: the hour from 2 to 3 comes twice and counts twice. From 01:00 to 11:00, ten hours flat, one peak.
        ("the long day", &[], ("2026-10-25 01:00", "2026-10-25 11:00"), &[], (500, 10, Profile)),
    ] {
        let calendar = holidays(dates);
        let scene =
            Scene { terms: kernel::rate::Terms { calendar: calendar.clone(), ..base.terms.clone() }, ..base.clone() };
        let (from, to) = (zone.at(gap.0), zone.at(gap.1));
        let mut rows = hourly(&scene, zone.at("2026-09-20 00:00"), zone.at("2026-11-23 00:00"), weekly(calendar));
        rows = without(&rows, from, to);
        for (from, to) in left_out {
            rows = without(&rows, zone.at(from), zone.at(to));
        }
        let (bands, allocations) = sums(&run(&scene, &rows), from, to);
        let of = |band| bands.get(&band).copied().unwrap_or(0);
        assert_eq!((of(Flat), of(Peak), &allocations[..]), (expected.0, expected.1, &[expected.2][..]), "{name}");
    }
}

#[test]
fn without_a_shape_a_gap_is_divided_by_time() {
    let zone = Zone::china();
    let scene = scene(&zone);
    let (start, from, to) = (zone.at("2026-10-26 00:00"), zone.at("2026-11-20 05:00"), zone.at("2026-11-20 14:00"));
    let end = zone.at("2026-11-21 00:00");
    // Nothing flowed at such hours on any like day.
    let at_night = |_: i32, hour: i64| i64::from(hour < 5) * 3;
    let mut rows = without(&hourly(&scene, start, end, at_night), from, to);
    rows.iter_mut().filter(|row| row.time >= to).for_each(|row| *row = count(1, row.time, 9_000));
    assert_eq!(sums(&run(&scene, &rows), from, to).1, [Linear]);
    // Read every three hours: each interval is a gap itself, and none has a shape.
    let rows = hourly(&scene, start, end, |_, hour| workday(hour));
    let coarse: Vec<Row> = rows.iter().step_by(3).copied().collect();
    let outcome = run(&scene, &coarse);
    assert_eq!((outcome.spreads, outcome.state.fine_day), (0, 0));
    // A signed register that flows back at those hours, in all: that is no shape.
    let signed = Scene { epochs: vec![Epoch { signed: true, ..scene.epochs[0].clone() }], ..scene.clone() };
    let back = |_: i32, hour: i64| if (11..13).contains(&hour) { -4 } else { 2 };
    let rows = without(&hourly(&signed, start, end, back), from, to);
    assert_eq!(sums(&run(&signed, &rows), from, to).1, [Linear]);
}

#[test]
fn a_late_reading_in_a_gap_beats_what_was_allocated() {
    let zone = Zone::china();
    let scene = scene(&zone);
    let (from, to) = (zone.at("2026-11-20 05:00"), zone.at("2026-11-20 14:00"));
    let all = hourly(&scene, zone.at("2026-10-26 00:00"), zone.at("2026-11-21 00:00"), |_, hour| workday(hour));
    let mut stream = Stream::new(&scene);
    stream.arrive(&without(&all, from, to));
    assert_eq!(stream.spreads(), 1);
    // It stood still until 13:00, and then all came at once.
    let before = all.iter().find(|row| row.time == from).unwrap().value;
    stream.arrive(&[Row { value: before, ..count(1, to.plus(-HOUR), 0) }]);
    let outcome = stream.finish(to);
    assert_eq!(sums(&outcome, from, to), (BTreeMap::from([(Flat, 0), (Peak, 250)]), vec![Measured]));
}

/// 20 days before the gap one like day changes its shape; 22 days before, the change is too old.
#[test]
fn a_change_of_a_day_within_the_three_weeks_before_changes_the_gap() {
    let zone = Zone::china();
    let scene = scene(&zone);
    let (from, to) = (zone.at("2026-11-20 05:00"), zone.at("2026-11-20 14:00"));
    let all = hourly(&scene, zone.at("2026-10-20 00:00"), zone.at("2026-11-21 00:00"), |_, hour| workday(hour));
    for (day, changes) in [("2026-10-29 10:00", false), ("2026-10-30 10:00", true), ("2026-11-19 10:00", true)] {
        // At first this reading is missing: two hours are one interval, divided by time over the switch. Then it says that
        // all of it flowed before.
        let late = zone.at(day);
        let mut stream = Stream::new(&scene);
        let rows = without(&all, from, to);
        stream.arrive(&rows.iter().filter(|row| row.time != late).copied().collect::<Vec<_>>());
        let before = sums(&stream.clone().finish(to), from, to);
        let counted = all.iter().find(|row| row.time == late.plus(HOUR)).unwrap().value;
        stream.arrive(&[Row { value: counted, ..count(1, late, 0) }]);
        let after = sums(&stream.finish(to), from, to);
        assert_eq!((before.1, &after.1[..]), (vec![Profile], &[Profile][..]), "{day}");
        assert_eq!(before.0.values().sum::<i64>(), after.0.values().sum::<i64>(), "{day}: the total is measured");
        assert_eq!(before.0 != after.0, changes, "{day}: {:?} became {:?}", before.0, after.0);
    }
}

/// A stated outage is measured: a day that has one is covered all the same.
#[test]
fn a_day_with_an_outage_in_a_longer_interval_is_a_like_day() {
    let zone = Zone::china();
    let at = |text: &str| zone.at(text);
    let days = ["2026-11-16", "2026-11-17", "2026-11-18"];
    let off = |hour: i64| if (8..10).contains(&hour) { 0 } else { workday(hour) };
    let mut scene = scene(&zone);
    scene.outages = days
        .iter()
        .map(|day| Outage { meter: MeterId(1), from: at(&format!("{day} 08:00")), to: at(&format!("{day} 10:00")) })
        .collect();
    let (begin, end) = (at("2026-11-19 08:00"), at("2026-11-19 14:00"));
    let rows = hourly(&scene, at("2026-11-16 00:00"), end, |_, hour| off(hour));
    // Nobody read while there was no supply.
    let mut rows = without(&rows, begin, end);
    let unread = |day: &str| [at(&format!("{day} 09:00")), at(&format!("{day} 10:00"))];
    rows.retain(|row| days.iter().all(|day| !unread(day).contains(&row.time)));
    let outcome = run(&scene, &rows);
    let (bands, allocations) = sums(&outcome, begin, end);
    // 08:00 to 10:00: nothing; 10:00 to 14:00: 20 counts peak. Three hours without a reading, one of them with supply.
    assert_eq!(bands, BTreeMap::from([(Flat, 0), (Peak, 200)]));
    assert!(!allocations.is_empty() && allocations.iter().all(|allocation| *allocation == Profile), "{allocations:?}");
}

/// The stream keeps no history: what only a history can divide is late there, and nothing else is.
#[test]
fn only_what_needs_a_history_waits_for_one() {
    let zone = Zone::china();
    let begin = zone.at("2026-11-20 08:00");
    let outage =
        |meter: u32| vec![Outage { meter: MeterId(meter), from: begin.plus(10 * MINUTE), to: begin.plus(20 * MINUTE) }];
    let fine = date("2026-11-20").0;
    for (what, minutes, counts, outages, fine_day, waits) in [
        ("an hour", 60, 10, vec![], fine, false),
        ("two hours", 120, 10, vec![], fine, false),
        ("more than two hours", 121, 10, vec![], fine, true),
        ("nothing flowed", 121, 0, vec![], fine, false),
        ("implausible", 121, 900_000, vec![], fine, false),
        ("no fine interval", 121, 10, vec![], 0, false),
        ("the last one is long past", 121, 10, vec![], fine - 24, false),
        ("an outage", 60, 10, outage(1), fine, true),
        ("an outage, and nothing flowed", 60, 0, outage(1), fine, false),
        ("another meter's outage", 60, 10, outage(2), fine, false),
        ("two hours, and another meter's outage", 120, 10, outage(2), fine, false),
        ("a gap with an outage, and nothing flowed", 121, 0, outage(1), fine, false),
    ] {
        let scene = Scene { outages, ..scene(&zone) };
        let register = RegisterState { baseline: Some(Mark { time: begin, count: 1_000 }), ..RegisterState::default() };
        let known = EpochState { epoch: EpochId(1), last_seen: begin, register };
        let mut state =
            PointState { watermark: Some(begin), epochs: [known].into(), fine_day, ..PointState::default() };
        let row = count(1, begin.plus(minutes * MINUTE), 1_000 + counts);
        let before = state.clone();
        let step = scene.point().advance(&mut state, &mut None, None, &row, &mut Outcome::default());
        assert_eq!((step == Step::Late, state == before), (waits, waits), "{what}: {step:?}");
    }
}

/// From where readings are needed to divide what a reading after a moment may end.
#[test]
fn a_gap_that_may_be_billed_is_looked_back_from_where_it_may_begin() {
    let zone = Zone::china();
    let at = |text: &str| zone.at(text);
    let read = |id: u32, time: &str| EpochState {
        epoch: EpochId(id),
        last_seen: at(time),
        register: RegisterState { baseline: Some(Mark { time: at(time), count: 1_000 }), ..RegisterState::default() },
    };
    let day = |text: &str| date(text).0;
    let now = "2026-11-20 12:00";
    let ended = |closing_count| Epoch { valid_to: Some(at("2026-11-15 06:00")), closing_count, ..epoch(1) };
    let next = Epoch { valid_from: at("2026-11-18 06:00"), ..epoch(2) };
    let later = Epoch { valid_from: at("2026-11-25 06:00"), ..epoch(2) };
    let fine = "2026-11-10";
    for (what, epochs, states, fine_day, expected) in [
        ("read yesterday", vec![epoch(1)], vec![read(1, "2026-11-19 09:00")], day(fine), Some("2026-10-29")),
        ("never read", vec![epoch(1)], vec![], day(fine), Some("2026-08-01")),
        ("only another one was read", vec![epoch(1)], vec![read(2, "2026-11-19 09:00")], day(fine), Some("2026-08-01")),
        ("never fine", vec![epoch(1)], vec![read(1, "2026-11-19 09:00")], 0, None),
        ("fine 23 days before", vec![epoch(1)], vec![read(1, now)], day("2026-10-28"), Some("2026-10-30")),
        ("fine 24 days before", vec![epoch(1)], vec![read(1, now)], day("2026-10-27"), None),
        (
            "ended, its last count unknown",
            vec![ended(None)],
            vec![read(1, "2026-11-12 09:00")],
            day(fine),
            Some("2026-10-30"),
        ),
        ("ended, to be closed", vec![ended(Some(9))], vec![read(1, "2026-11-12 09:00")], day(fine), Some("2026-10-22")),
        ("ended and closed", vec![ended(Some(9))], vec![read(1, "2026-11-15 06:00")], day(fine), Some("2026-10-30")),
        (
            "begun and not read",
            vec![ended(None), next],
            vec![read(1, "2026-11-12 09:00")],
            day(fine),
            Some("2026-10-28"),
        ),
        ("not begun", vec![ended(None), later], vec![read(1, "2026-11-12 09:00")], day(fine), Some("2026-10-30")),
        (
            "the earlier of two",
            vec![epoch(1), Epoch { meter: MeterId(2), ..epoch(2) }],
            vec![read(1, "2026-11-19 09:00"), read(2, "2026-11-17 09:00")],
            day(fine),
            Some("2026-10-27"),
        ),
    ] {
        let scene = Scene { epochs, ..scene(&zone) };
        let state = PointState { epochs: states.into(), fine_day, ..PointState::default() };
        let found = scene.point().looks_back_to(&state, at(now));
        assert_eq!(found, expected.map(|day| at(&format!("{day} 00:00"))), "{what}");
    }
    // An installation that ends at this moment may still be read there.
    let scene = Scene { epochs: vec![ended(None)], ..scene(&zone) };
    let state =
        PointState { epochs: vec![read(1, "2026-11-12 09:00")].into(), fine_day: day(fine), ..PointState::default() };
    assert_eq!(scene.point().looks_back_to(&state, at("2026-11-15 06:00")), Some(at("2026-10-22 00:00")));
}

fn hour_at(zone: &Zone, hour: i64) -> Moment {
    zone.at("2026-09-20 00:00").plus(hour * HOUR)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    /// Forty days of hourly readings of two meters in turn, with gaps and outages, over a change of the clocks: in order,
    /// and shuffled, doubled, in batches and late.
    #[test]
    fn streams_with_gaps_in_any_order_leave_one_ledger(
        seed in any::<u64>(),
        gaps in prop::collection::vec((0_i64..960, 2_i64..40), 0..8),
        outage in prop::option::of((0_i64..960, 1_i64..30)),
        shifts in prop::collection::vec((0_usize..960, 0_i64..60 * 24), 0..30),
        batches in prop::collection::vec(1_usize..200, 1..6),
        replaced in prop::option::of(300_i64..900),
    ) {
        let zone = Zone::berlin();
        let mut scene = scene(&zone);
        let at = |hour| hour_at(&zone, hour);
        if let Some(replaced) = replaced {
            let old = Epoch { valid_to: Some(at(replaced)), closing_count: Some(9_999_999), ..scene.epochs[0].clone() };
            let new = Epoch { meter: MeterId(2), opening_count: Some(7), valid_from: at(replaced), ..epoch(2) };
            scene.epochs = vec![old, Epoch { max_rate: 30_000, ..new }];
        }
        scene.outages = outage.iter().map(|(from, hours)| Outage { meter: MeterId(1), from: at(*from), to: at(from + hours) }).collect();
        let mut sum = 1_000;
        let mut rows = Vec::new();
        for hour in 0..960 {
            sum += (seed >> (hour % 61)) as i64 & 7;
            let meter = if replaced.is_some_and(|replaced| hour > replaced) { 2 } else { 1 };
            // A usage reading now and then, from the meter's other life.
            rows.push(if seed.is_multiple_of(5) { usage(meter, at(hour - 1), at(hour), (sum % 13) * 10) } else { count(meter, at(hour), sum) });
        }
        if let (Some(replaced), false) = (replaced, seed.is_multiple_of(5)) {
            // What it showed when it was taken down, and the new one's beginning.
            let closing = rows.iter().rfind(|row| row.time <= at(replaced)).map(|row| row.value);
            if let Some(kernel::reading::Value::Register(closing)) = closing {
                scene.epochs[0].closing_count = Some(closing + 2);
                scene.epochs[1].opening_count = Some(closing + 1);
            }
        }
        for (from, hours) in gaps {
            rows.retain(|row| row.time <= at(from) || at(from + hours) <= row.time);
        }
        let expected = run(&scene, &rows);
        let mut arrivals: Vec<(i64, Row)> = rows.iter().map(|row| (0, *row)).collect();
        for (index, late) in shifts {
            let index = index % arrivals.len();
            let row = arrivals[index].1;
            arrivals[index].0 = late;
            if late % 3 == 0 {
                arrivals.push((late * 2, row));
            }
        }
        arrivals.sort_by_key(|(late, row)| (row.time.plus(late * HOUR), row.meter));
        let mut stream = Stream::new(&scene);
        let (mut rest, mut sizes) = (&arrivals[..], batches.iter().cycle());
        while !rest.is_empty() {
            let (batch, later) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
            let batch: Vec<Row> = batch.iter().map(|(late, row)| Row { received_at: row.time.plus(late * HOUR), ..*row }).collect();
            stream.arrive(&batch);
            rest = later;
        }
        let until = rows.iter().map(|row| row.time).max().unwrap();
        let found = stream.finish(until);
        prop_assert_eq!(found.ledger(), expected.ledger());
        prop_assert_eq!(&found.verdicts, &expected.verdicts);
        prop_assert_eq!(&found.state, &expected.state);
        prop_assert_eq!(found.parts.len(), expected.parts.len());
    }
}
