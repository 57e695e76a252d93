//! Maximum demand: blocks and sliding windows over data of any spacing, and what missing data does to them.

use kernel::component::demand::{Load, LoadFault, Maxima, Method, Window};
use kernel::judge::Interval;
use kernel::money::Quantity;
use kernel::rate::{OutsideDays, Terms};
use kernel::tariff::Band;
use kernel::time::{DAY, HOUR, MINUTE, Moment, SECOND};
use proptest::prelude::*;

use crate::support::scene::{for_ever, terms, two_bands};
use crate::support::zone::Zone;

const BLOCK: Window = Window { minutes: 15, method: Method::Block };
const SLIDING: Window = Window { minutes: 15, method: Method::Sliding };

fn china() -> Terms {
    let zone = Zone::china();
    terms(zone.days("2026-11-19", "2026-11-22"), vec![for_ever(vec![two_bands(1, zone.at("2026-01-01 00:00"))])])
}

fn at(time: &str) -> Moment {
    Zone::china().at(&format!("2026-11-20 {time}"))
}

/// Intervals `(from, to, milli-units)` of one day.
fn load(list: &[(&str, &str, i64)]) -> Load {
    let interval =
        |(from, to, milli): &(&str, &str, i64)| Interval { from: at(from), to: at(to), quantity: Quantity(*milli) };
    Load::of_intervals(list.iter().map(interval)).unwrap()
}

fn day(load: &Load, window: Window) -> Maxima {
    load.maxima(window, &china(), at("00:00"), at("00:00").plus(DAY)).unwrap()
}

/// `(minutes after midnight, demand, known minutes)` of the maximum.
fn whole(load: &Load, window: Window) -> Option<(i64, i64, i64)> {
    let peak = day(load, window).whole?;
    Some((peak.start.since(at("00:00")) / MINUTE, peak.demand.0, peak.known / MINUTE))
}

/// 1 Wh in seven minutes of eight is 7.5 W on average, and half a watt is rounded up: what a stretch holds is not lost to the
/// division by its length.
#[test]
fn an_average_halfway_between_two_watts_is_rounded_up_whatever_its_stretch_divides_to() {
    let load = load(&[("00:00", "00:07", 1)]);
    let window = Window { minutes: 8, method: Method::Block };
    assert_eq!(day(&load, window).whole.map(|peak| peak.demand), Some(Quantity(8)));
}

#[test]
fn maxima_are_averages_over_windows_at_any_spacing() {
    let table: [(&str, &[(&str, &str, i64)], Option<(i64, i64, i64)>, Option<(i64, i64, i64)>); 9] = [
        ("nothing", &[], None, None),
        ("one block", &[("10:00", "10:15", 250)], Some((600, 1_000, 15)), Some((600, 1_000, 15))),
        // 5 minutes of 6 kW and 10 of 3 kW across a block's end: 3 kW and 4 kW by blocks, 4 by sliding.
        (
            "a peak across two blocks",
            &[("10:00", "10:10", 0), ("10:10", "10:20", 1_500), ("10:20", "10:30", 0)],
            Some((600, 3_000, 15)),
            Some((605, 6_000, 15)),
        ),
        // Hourly data gives the hour's mean.
        ("an hour", &[("10:00", "11:00", 4_000)], Some((600, 4_000, 15)), Some((600, 4_000, 15))),
        // Minutes: 1 kW with one of 31 kW.
        (
            "one minute of 31 kW",
            &[("10:00", "10:07", 117), ("10:07", "10:08", 517), ("10:08", "10:15", 116)],
            Some((600, 3_000, 15)),
            Some((600, 3_000, 15)),
        ),
        (
            "what is missing counts as nothing",
            &[("10:05", "10:15", 250)],
            Some((600, 1_000, 10)),
            Some((600, 1_000, 10)),
        ),
        (
            "the earliest of equals",
            &[("10:00", "10:15", 9), ("11:00", "11:15", 9)],
            Some((600, 36, 15)),
            Some((600, 36, 15)),
        ),
        ("export is no demand", &[("10:00", "10:15", -250)], Some((600, 0, 15)), Some((586, 0, 1))),
        // 1 Wh over 7 minutes: 4 W in all; half a watt is rounded up.
        ("half-up to a watt", &[("10:00", "10:07", 1), ("11:00", "13:00", 1)], Some((600, 4, 7)), Some((592, 4, 7))),
    ];
    for (name, intervals, block, sliding) in table {
        let load = load(intervals);
        assert_eq!((whole(&load, BLOCK), whole(&load, SLIDING)), (block, sliding), "{name}");
    }
    assert_eq!(whole(&load(&[("11:00", "13:00", 1)]), BLOCK), Some((660, 1, 15)), "0.5 W");
}

#[test]
fn power_readings_give_the_mean_between_two_and_a_gap_where_they_are_far_apart() {
    let minutes = |list: &[(i64, i64)]| {
        let readings = list.iter().map(|(minute, watts)| (at("10:00").plus(minute * MINUTE), watts * 1_000));
        Load::of_powers(readings, 20 * MINUTE).unwrap()
    };
    // A ramp from 2 kW to 4 kW, then even.
    let ramp = minutes(&[(0, 2_000), (15, 4_000), (30, 4_000)]);
    assert_eq!(whole(&ramp, BLOCK), Some((615, 4_000, 15)));
    assert_eq!(day(&ramp, BLOCK).known, 30 * MINUTE);
    let gap = minutes(&[(0, 9_000), (21, 9_000), (30, 1_000)]);
    assert_eq!(whole(&gap, BLOCK), Some((615, 3_000, 9)));
    assert_eq!(whole(&minutes(&[(0, 9_000)]), BLOCK), None, "one reading is no load");
    assert_eq!(whole(&minutes(&[(0, 9_000), (20, 9_000)]), BLOCK), Some((600, 9_000, 15)), "just near enough");
}

#[test]
fn a_window_belongs_to_the_band_in_force_at_its_beginning() {
    // Flat until 10:00, then peak: a sliding window from 09:55 is flat.
    let load = load(&[("09:55", "10:10", 1_000), ("10:10", "10:40", 1_500)]);
    let found = |window| {
        let maxima = day(&load, window);
        let of = |band: Band| {
            maxima.by_band[band as usize].map(|peak| (peak.start.since(at("00:00")) / MINUTE, peak.demand.0))
        };
        (of(Band::Flat), of(Band::Peak), of(Band::Single))
    };
    assert_eq!(found(BLOCK), (Some((585, 1_333)), Some((600, 3_667)), None));
    assert_eq!(found(SLIDING), (Some((595, 4_000)), Some((600, 3_667)), None));
}

#[test]
fn spans_clip_blocks_and_hold_sliding_windows_whole() {
    let load = load(&[("10:00", "10:15", 1_500), ("10:15", "10:30", 750)]);
    let over = |window, from: &str, to: &str| {
        let peak = load.maxima(window, &china(), at(from), at(to)).unwrap().whole;
        peak.map(|peak| (peak.start.since(at("00:00")) / MINUTE, peak.demand.0, peak.known / MINUTE))
    };
    // Five minutes of the first block are somebody else's: two thirds of 6 kW are left.
    assert_eq!(over(BLOCK, "10:05", "10:30"), Some((605, 4_000, 10)));
    assert_eq!(over(BLOCK, "10:00", "10:10"), Some((600, 4_000, 10)));
    assert_eq!(over(SLIDING, "10:05", "10:30"), Some((605, 5_000, 15)));
    assert_eq!(over(SLIDING, "10:01", "10:15"), None);
    assert_eq!(over(SLIDING, "10:00", "10:15"), Some((600, 6_000, 15)));
    assert_eq!(over(BLOCK, "10:30", "10:00"), None);
    assert_eq!(over(BLOCK, "11:00", "12:00"), None);
    let beyond = Zone::china().at("2026-11-23 00:00");
    let far = load.maxima(BLOCK, &china(), at("00:00"), beyond.plus(1));
    assert_eq!(far, Err(OutsideDays(beyond)));
}

#[test]
fn joined_spans_leave_out_what_lies_between_them() {
    let load =
        load(&[("10:00", "10:15", 500), ("10:15", "10:30", 2_000), ("10:30", "10:45", 750), ("10:45", "11:00", 750)]);
    let over = |from: &str, to: &str| load.maxima(BLOCK, &china(), at(from), at(to)).unwrap();
    let joined = |spans: &[(&str, &str)]| {
        let mut all = Maxima::default();
        spans.iter().for_each(|(from, to)| all.join(&over(from, to)));
        let peak = all.whole.map(|peak| (peak.start.since(at("00:00")) / MINUTE, peak.demand.0));
        (peak, all.known / MINUTE)
    };
    assert_eq!(joined(&[("10:00", "11:00")]), (Some((615, 8_000)), 60));
    // The earliest of equal maxima is told, and what is known adds up.
    assert_eq!(joined(&[("10:00", "10:15"), ("10:30", "11:00")]), (Some((630, 3_000)), 45));
    assert_eq!(joined(&[("10:00", "10:15"), ("10:30", "10:45"), ("10:45", "11:00")]), (Some((630, 3_000)), 45));
    assert_eq!(joined(&[("11:00", "12:00"), ("10:00", "10:15")]), (Some((600, 2_000)), 15));
    assert_eq!(joined(&[]), (None, 0));
    let mut twice = over("10:00", "10:15");
    twice.join(&over("10:30", "10:45"));
    let bands: Vec<_> = twice.by_band.iter().flatten().map(|peak| peak.demand.0).collect();
    assert_eq!(bands, [3_000], "each band has its own");
}

#[test]
fn blocks_begin_at_local_midnight_on_days_of_every_shape() {
    let lord_howe = Zone::with(660, &[("2026-04-04 15:00", 630), ("2026-10-03 15:30", 660)]);
    let kathmandu = Zone::fixed(345);
    for (name, zone, on) in [
        ("Lord Howe", lord_howe, "2026-10-04"),
        ("Kathmandu", kathmandu, "2026-10-04"),
        ("Berlin", Zone::berlin(), "2026-10-25"),
    ] {
        let terms = terms(zone.days("2026-09-01", "2026-11-30"), vec![for_ever(vec![two_bands(1, Moment(0))])]);
        let day = *terms.days.on(crate::support::zone::date(on)).unwrap();
        // Even power of 1 kW, with 3 kW in the last half hour of the day and the first of the next.
        let halves = (-2..100).map(|half| {
            let from = day.end.plus((half - 50) * 30 * MINUTE);
            let high = (49..51).contains(&half);
            Interval { from, to: from.plus(30 * MINUTE), quantity: Quantity(if high { 1_500 } else { 500 }) }
        });
        let load = Load::of_intervals(halves).unwrap();
        let hour =
            |method| load.maxima(Window { minutes: 60, method }, &terms, day.start, day.end).unwrap().whole.unwrap();
        let last = hour(Method::Block);
        // 23.5 hours: the last half hour is a block of its own, divided by the whole window.
        let short = day.end.since(day.start) % HOUR != 0;
        let expected = if short { (day.end.plus(-30 * MINUTE), 1_500) } else { (day.end.plus(-HOUR), 2_000) };
        assert_eq!((last.start, last.demand.0), expected, "{name}");
        let sliding = hour(Method::Sliding);
        assert_eq!((sliding.start, sliding.demand.0), (day.end.plus(-HOUR), 2_000), "{name}");
        // A sliding window over midnight sees both halves.
        let both =
            load.maxima(Window { minutes: 60, method: Method::Sliding }, &terms, day.start, day.end.plus(DAY)).unwrap();
        let peak = both.whole.unwrap();
        assert_eq!((peak.start, peak.demand.0), (day.end.plus(-30 * MINUTE), 3_000), "{name}");
    }
}

#[test]
fn readings_that_make_no_load_are_refused_with_the_moment() {
    let interval = |from: &str, to: &str, milli| Interval { from: at(from), to: at(to), quantity: Quantity(milli) };
    let most = 1_000_000_000_000_000;
    for (list, expected) in [
        (vec![interval("10:00", "10:15", 1), interval("10:15", "10:30", 1)], Ok(())),
        (vec![interval("10:00", "10:15", 1), interval("10:00", "10:15", 1)], Ok(())),
        (vec![interval("10:00", "10:15", 1), interval("10:00", "10:15", 2)], Err(LoadFault::Overlap(at("10:00")))),
        (vec![interval("10:00", "10:15", 1), interval("10:14", "10:30", 1)], Err(LoadFault::Overlap(at("10:14")))),
        (vec![interval("10:15", "10:00", 1)], Err(LoadFault::Backward(at("10:15")))),
        (vec![interval("10:15", "10:15", 1)], Err(LoadFault::Backward(at("10:15")))),
        (vec![interval("10:00", "10:15", most)], Ok(())),
        (vec![interval("10:00", "10:15", -most - 1)], Err(LoadFault::Beyond(at("10:00")))),
    ] {
        assert_eq!(Load::of_intervals(list.clone()).map(|_| ()), expected, "{list:?}");
    }
    let power = |time: &str, milliwatts| (at(time), milliwatts);
    for (list, expected) in [
        (vec![power("10:00", most), power("10:00", most), power("10:01", -most)], Ok(())),
        (vec![power("10:00", 1), power("10:00", 2)], Err(LoadFault::Overlap(at("10:00")))),
        (vec![power("10:00", most + 1)], Err(LoadFault::Beyond(at("10:00")))),
        (vec![power("10:00", i64::MIN)], Err(LoadFault::Beyond(at("10:00")))),
    ] {
        assert_eq!(Load::of_powers(list.clone(), HOUR).map(|_| ()), expected, "{list:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Against the plainest form there is: energy second by second, and every window summed anew.
    #[test]
    fn maxima_agree_with_a_sum_over_every_second(
        pieces in prop::collection::vec((1_i64..1_500, 0_i64..50, prop::bool::weighted(0.8)), 1..30), shuffle in any::<u64>(),
    ) {
        let (mut seconds, mut intervals) = (vec![0_i64; 0], Vec::new());
        let start = at("09:00");
        for (length, watts, known) in &pieces {
            let from = start.plus(i64::try_from(seconds.len()).unwrap() * SECOND);
            // Energy that is whole each second: 3,600 W are 1 Wh a second.
            let watts = if *known { watts * 3_600 } else { 0 };
            seconds.extend(std::iter::repeat_n(watts, usize::try_from(*length).unwrap()));
            if *known {
                intervals.push(Interval { from, to: from.plus(length * SECOND), quantity: Quantity(watts / 3_600 * length) });
            }
        }
        let turn = usize::try_from(shuffle % intervals.len().max(1) as u64).unwrap();
        intervals.rotate_left(turn);
        let load = Load::of_intervals(intervals).unwrap();
        let to = start.plus(14 * HOUR);
        let sum = |first: i64, last: i64| -> i64 {
            let index = |second: i64| usize::try_from(second.max(0)).unwrap().min(seconds.len());
            seconds[index(first)..index(last)].iter().sum()
        };
        for (window, step) in [(BLOCK, 900), (SLIDING, 60)] {
            let found = load.maxima(window, &china(), start, to).unwrap();
            let starts = (0..14 * 3_600).step_by(step).filter(|first| first + 900 <= 14 * 3_600);
            let plain = starts.map(|first| sum(first, first + 900)).max().unwrap();
            let rounded = (2 * plain + 900) / 1_800;
            prop_assert_eq!(found.whole.map_or(0, |peak| peak.demand.0), rounded);
        }
    }
}
