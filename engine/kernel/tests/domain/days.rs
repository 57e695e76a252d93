//! Case 11: local days of every shape, and the proof that bands partition each of them.

use std::collections::BTreeMap;

use kernel::epoch::Epoch;
use kernel::judge::Interval;
use kernel::money::Quantity;
use kernel::rate::{Terms, TierCounter};
use kernel::tariff::Band::{self, DeepValley, Flat, Peak, Sharp, Valley};
use kernel::tariff::TierPeriod;
use kernel::time::{HOUR, LocalDate, LocalMonth, MINUTE, Moment, SiteDay};

use crate::support::driver::run;
use crate::support::scene::{Scene, count, epoch, for_ever, terms, version};
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
    let new_york = || Zone::with(-300, &[("2026-03-08 07:00", -240), ("2026-11-01 06:00", -300)]);
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
        // 02:00 to 03:00 does not exist, and 01:00 to 02:00 comes twice: 30 minutes deep valley and 30 sharp.
        day("New York spring", new_york(), "2026-03-08", 23 * 60, [0, 30, 780, 480, 30, 60]),
        day("New York autumn", new_york(), "2026-11-01", 25 * 60, [0, 75, 812, 493, 30, 90]),
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
        day("leap day in New York", new_york(), "2024-02-29", 24 * 60, plain),
        day("the year's last day", Zone::china(), "2026-12-31", 24 * 60, plain),
        day("the year's last day in Kathmandu", kathmandu(), "2026-12-31", 24 * 60, plain),
        day("the year's first day on Lord Howe", lord_howe(), "2026-01-01", 24 * 60, plain),
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

/// A leap year in four zones, read at the hours of UTC, which are no hours of local time in two of them: one unit a minute
/// gives each local day as many units as it has minutes, nothing is lost at midnight, at a change of the clocks or at the
/// year's ends, and monthly counters start at local midnight.
#[test]
fn a_leap_year_of_hourly_readings_falls_on_local_days_and_months_without_loss() {
    let zones = [
        ("Kathmandu", Zone::fixed(345), vec![]),
        (
            "New York",
            Zone::with(-300, &[("2024-03-10 07:00", -240), ("2024-11-03 06:00", -300)]),
            vec![("2024-03-10", 23 * 60), ("2024-11-03", 25 * 60)],
        ),
        (
            "Berlin",
            Zone::with(60, &[("2024-03-31 01:00", 120), ("2024-10-27 01:00", 60)]),
            vec![("2024-03-31", 23 * 60), ("2024-10-27", 25 * 60)],
        ),
        (
            "Lord Howe",
            Zone::with(660, &[("2024-04-06 15:00", 630), ("2024-10-05 15:30", 660)]),
            vec![("2024-04-07", 24 * 60 + 30), ("2024-10-06", 23 * 60 + 30)],
        ),
    ];
    for (name, zone, odd) in zones {
        let tiers = Some((TierPeriod::Monthly, &[10_000_i64][..]));
        let rows: &[&[(Band, &str)]] = &[&[(Band::Single, "1")], &[(Band::Single, "2")]];
        let tariff = version(1, zone.at("2020-01-01 00:00"), &[(0, 1_440, Band::Single)], tiers, rows);
        let terms = terms(zone.days("2023-12-30", "2025-01-02"), vec![for_ever(vec![tariff])]);
        let minute = Epoch { numerator: 1, max_rate: 60, ..epoch(1) };
        let scene = Scene { epochs: vec![minute], terms, outages: Vec::new() };
        // A register that counts the minutes since 2023-12-31T00:00:00Z, to beyond the year's end everywhere.
        let start = Zone::fixed(0).at("2023-12-31 00:00");
        let rows: Vec<_> = (0..=368 * 24).map(|hour| count(1, start.plus(hour * HOUR), hour * 60)).collect();
        let outcome = run(&scene, &rows);
        assert_eq!(outcome.quantity(), 368 * 1_440, "{name}");
        let mut by_day: BTreeMap<LocalDate, i64> = BTreeMap::new();
        for part in &outcome.parts {
            *by_day.entry(part.date).or_default() += part.quantity.0;
        }
        let year: Vec<_> = by_day.into_iter().filter(|(date, _)| date.ymd().0 == 2024).collect();
        assert_eq!((year.len(), year[0].0, year[365].0), (366, date("2024-01-01"), date("2024-12-31")), "{name}");
        for (on, units) in &year {
            let odd = odd.iter().find(|(odd, _)| date(odd) == *on);
            assert_eq!(*units, odd.map_or(1_440, |(_, minutes)| *minutes), "{name} {on}");
        }
        // The first 10,000 units of each local month are in the first tier: 2024 has twelve such months, a leap day's
        // units are in February's second.
        let in_tier = |tier, month: LocalMonth| {
            let parts = outcome.parts.iter().filter(|part| part.tier == tier && part.date.month() == month);
            parts.map(|part| part.quantity.0).sum::<i64>()
        };
        for month in 0..12 {
            let month = LocalMonth(2024 * 12 + month);
            let units: i64 = year.iter().filter(|(on, _)| on.month() == month).map(|(_, units)| units).sum();
            assert_eq!((in_tier(1, month), in_tier(2, month)), (10_000, units - 10_000), "{name} {month}");
        }
    }
}
