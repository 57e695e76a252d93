//! Case 11: local days of every shape, and the proof that bands partition each of them.

use kernel::judge::Interval;
use kernel::money::Quantity;
use kernel::rate::{Terms, TierCounter};
use kernel::tariff::Band::{self, DeepValley, Flat, Peak, Sharp, Valley};
use kernel::time::{HOUR, MINUTE, Moment, SiteDay};

use crate::support::scene::{for_ever, terms, version};
use crate::support::zone::{Zone, date};

/// Bands that switch on odd minutes, within the hours that clocks skip and repeat, and at midnight.
const RANGES: [(u16, u16, Band); 7] = [
    (0, 30, Valley),
    (30, 90, DeepValley),
    (90, 135, Sharp),
    (135, 167, Peak),
    (167, 600, Flat),
    (600, 1_380, Peak),
    (1_380, 1_440, Flat),
];

struct Day {
    name: &'static str,
    zone: Zone,
    date: &'static str,
    minutes: i64,
    /// Minutes of the day in each band, in the order of `Band::ALL`: single, sharp, peak, flat, valley, deep valley.
    bands: [i64; 6],
}

fn table() -> Vec<Day> {
    let berlin = Zone::berlin;
    // Half an hour forward at 02:00 local (15:30 UTC the day before) and back at 02:00 local.
    let lord_howe = || Zone::with(660, &[("2026-04-04 15:00", 630), ("2026-10-03 15:30", 660)]);
    let sao_paulo = || Zone::with(-180, &[("2017-10-15 03:00", -120), ("2018-02-18 02:00", -180)]);
    let kathmandu = || Zone::fixed(345);
    let plain = [0, 45, 812, 493, 30, 60];
    let day = |name, zone, date, minutes, bands| Day { name, zone, date, minutes, bands };
    vec![
        // 02:00 to 03:00 does not exist: 15 minutes sharp, 32 peak and 13 flat are missing.
        day("Berlin spring", berlin(), "2026-03-29", 23 * 60, [0, 30, 780, 480, 30, 60]),
        // 02:00 to 03:00 comes twice.
        day("Berlin autumn", berlin(), "2026-10-25", 25 * 60, [0, 60, 844, 506, 30, 60]),
        day("Berlin, the day before", berlin(), "2026-03-28", 24 * 60, plain),
        day("Berlin, the day after", berlin(), "2026-10-26", 24 * 60, plain),
        // 01:30 to 02:00 comes twice: 30 minutes sharp.
        day("Lord Howe autumn", lord_howe(), "2026-04-05", 24 * 60 + 30, [0, 75, 812, 493, 30, 60]),
        // 02:00 to 02:30 does not exist: 15 minutes sharp and 15 peak.
        day("Lord Howe spring", lord_howe(), "2026-10-04", 23 * 60 + 30, [0, 30, 797, 493, 30, 60]),
        // The day begins at 01:00: no valley, and 30 of 60 minutes deep valley.
        day("Sao Paulo spring", sao_paulo(), "2017-10-15", 23 * 60, [0, 45, 812, 493, 0, 30]),
        // 23:00 to 24:00 comes twice: 60 minutes flat.
        day("Sao Paulo autumn", sao_paulo(), "2018-02-17", 25 * 60, [0, 45, 812, 553, 30, 60]),
        day("Kathmandu", kathmandu(), "2026-11-20", 24 * 60, plain),
        day("leap day", kathmandu(), "2024-02-29", 24 * 60, plain),
        day("the year's last day", Zone::china(), "2026-12-31", 24 * 60, plain),
    ]
}

fn terms_of(zone: &Zone, on: &str) -> Terms {
    let date = date(on);
    let days = zone.days(&date.plus(-2).to_string(), &date.plus(2).to_string());
    let prices = [(Sharp, "1.2"), (Peak, "1"), (Flat, "0.6"), (Valley, "0.4"), (DeepValley, "0.2")];
    let begin = zone.at("2000-01-01 00:00");
    terms(days, vec![for_ever(vec![version(1, begin, &RANGES, None, &[&prices])])])
}

#[test]
fn days_are_as_long_as_the_clocks_make_them_and_hours_add_up_to_the_day() {
    for Day { name, zone, date: on, minutes, .. } in table() {
        let terms = terms_of(&zone, on);
        let day = terms.days.on(date(on)).unwrap();
        assert_eq!(day.end.since(day.start), minutes * MINUTE, "{name}");
        // One unit for each minute, in hours from the day's start, then in all at once: the same sum of the day.
        let mut hours = Vec::new();
        let mut from = day.start;
        while from < day.end {
            let to = from.plus(HOUR).min(day.end);
            hours.push(Interval { from, to, quantity: Quantity(to.since(from) / MINUTE) });
            from = to;
        }
        let whole = Interval { from: day.start, to: day.end, quantity: Quantity(minutes) };
        assert_eq!(by_band(&terms, day, &hours), by_band(&terms, day, &[whole]), "{name}");
    }
}

#[test]
fn the_bands_partition_every_day() {
    for Day { name, zone, date: on, minutes, bands } in table() {
        let terms = terms_of(&zone, on);
        let day = terms.days.on(date(on)).unwrap();
        // Walk from cell to cell: each begins where the one before ends, and none leaves the day.
        let mut at = day.start;
        while at < day.end {
            let one = Interval { from: at, to: day.end, quantity: Quantity(0) };
            let mut ends = Vec::new();
            terms
                .rate(&one, &mut None, &mut TierCounter::default(), |part| ends.push((part.from, part.to, part.date)))
                .unwrap();
            assert_eq!((ends[0].0, ends[0].2), (at, day.date), "{name}");
            assert!(ends[0].1 > at, "{name}");
            at = ends[0].1;
        }
        assert_eq!(at, day.end, "{name}");
        let whole = Interval { from: day.start, to: day.end, quantity: Quantity(minutes) };
        assert_eq!(by_band(&terms, day, &[whole]), bands, "{name}");
        assert_eq!(bands.iter().sum::<i64>(), minutes, "{name}: the table itself");
    }
}

/// Every minute on its own has the band of its wall clock.
#[test]
fn each_minute_has_the_band_that_the_wall_clock_shows() {
    for Day { name, zone, date: on, minutes, .. } in table() {
        let terms = terms_of(&zone, on);
        let day = terms.days.on(date(on)).unwrap();
        for minute in 0..minutes {
            let from = day.start.plus(minute * MINUTE);
            let (run, _) = day.runs().filter(|(run, _)| run.start <= from).last().unwrap();
            let wall = u16::try_from((run.wall + from.since(run.start)) / MINUTE).unwrap();
            let expected = RANGES.iter().find(|(from, to, _)| *from <= wall && wall < *to).unwrap().2;
            let interval = Interval { from, to: from.plus(MINUTE), quantity: Quantity(1) };
            let mut found = Vec::new();
            terms.rate(&interval, &mut None, &mut TierCounter::default(), |part| found.push(part.band)).unwrap();
            assert_eq!(found, [expected], "{name}: {wall}");
        }
    }
}

#[test]
fn the_year_of_a_zone_has_no_hole_between_its_days() {
    let days = Zone::berlin().days("2025-12-30", "2027-01-02");
    let mut hours = 0;
    for pair in days.all().windows(2) {
        assert_eq!((pair[0].end, pair[0].date.plus(1)), (pair[1].start, pair[1].date));
        hours += if pair[0].date.ymd().0 == 2026 { pair[0].end.since(pair[0].start) / HOUR } else { 0 };
    }
    assert_eq!(hours, 365 * 24);
    for day in days.all() {
        assert_eq!(
            (days.at(day.start), days.at(day.end.plus(-1)), days.on(day.date)),
            (Some(day), Some(day), Some(day))
        );
    }
    let (first, last) = (days.all()[0], days.all()[days.all().len() - 1]);
    for outside in
        [first.start.plus(-1), last.end, last.end.plus(2 * 365 * 24 * HOUR), Moment(i64::MIN), Moment(i64::MAX)]
    {
        assert_eq!(days.at(outside), None, "{outside:?}");
    }
}

/// Units by band; the interval's quantity is one for each minute.
fn by_band(terms: &Terms, day: &SiteDay, intervals: &[Interval]) -> [i64; 6] {
    let mut sums = [0; 6];
    for interval in intervals {
        let each = |part: &kernel::rate::Part| {
            assert_eq!(part.date, day.date);
            sums[part.band as usize] += part.quantity.0;
        };
        terms.rate(interval, &mut None, &mut TierCounter::default(), each).unwrap();
    }
    sums
}
