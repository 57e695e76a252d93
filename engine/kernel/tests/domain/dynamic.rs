//! Prices by the hour: an interval is split at each step, negative hours credit, what has no price yet is not charged.

use std::sync::Arc;

use kernel::id::TariffVersionId;
use kernel::judge::Interval;
use kernel::money::{Amount, Price, Quantity};
use kernel::rate::{Part, Terms, TierCounter};
use kernel::series::{PriceSeries, STEPS_MAX};
use kernel::tariff::Band::{self, Dynamic, Flat, Unpriced};
use kernel::tariff::{Reverse, TariffFault, TariffVersion, TierPeriod, Tiers};
use kernel::time::{HOUR, MINUTE, Moment};

use crate::support::scene::{all_year, for_ever, prices, terms};
use crate::support::zone::{Zone, date};

fn series(start: Moment, step_minutes: u16, list: &[&str]) -> PriceSeries {
    PriceSeries { start, step_minutes, prices: list.iter().map(|price| Price::parse(price).unwrap()).collect() }
}

fn version(series: PriceSeries, ranges: &[(u16, u16, Band)], own: &[(Band, &str)]) -> TariffVersion {
    TariffVersion {
        id: TariffVersionId(1),
        valid_from: series.start,
        rules: vec![all_year(ranges)],
        tiers: None,
        prices: vec![prices(own)],
        dynamic: Some(series),
        components: Vec::new(),
        reverse: Reverse::Ignore,
        source: String::new(),
    }
}

const ALL_DAY: [(u16, u16, Band); 1] = [(0, 1_440, Dynamic)];

fn of(zone: &Zone, version: TariffVersion) -> Terms {
    assert_eq!(version.check(), Ok(()));
    terms(zone.days("2025-12-31", "2026-12-31"), vec![for_ever(vec![Arc::new(version)])])
}

fn parts(terms: &Terms, from: Moment, to: Moment, milli: i64) -> Vec<Part> {
    let mut parts = Vec::new();
    let interval = Interval { from, to, quantity: Quantity(milli) };
    terms.rate(&interval, &mut None, &mut TierCounter::default(), |part| parts.push(*part)).unwrap();
    parts
}

#[test]
fn an_interval_is_split_at_each_step_and_negative_hours_credit() {
    let zone = Zone::china();
    let start = zone.at("2026-11-20 00:00");
    let terms = of(&zone, version(series(start, 60, &["0.10", "-0.05", "0.30"]), &ALL_DAY, &[(Dynamic, "0")]));
    let table: [(&str, i64, i64, i64, &[(Band, i64, &str)]); 5] = [
        ("a step", 0, 60, 1_000, &[(Dynamic, 1_000, "0.100000")]),
        ("over two steps", 30, 90, 1_001, &[(Dynamic, 500, "0.100000"), (Dynamic, 501, "-0.050000")]),
        (
            "over all, and beyond the end",
            0,
            240,
            4_000,
            &[
                (Dynamic, 1_000, "0.100000"),
                (Dynamic, 1_000, "-0.050000"),
                (Dynamic, 1_000, "0.300000"),
                (Unpriced, 1_000, "0.000000"),
            ],
        ),
        ("back fed into a negative hour", 60, 120, -2_000, &[(Dynamic, -2_000, "-0.050000")]),
        ("long after the end", 600, 660, 7, &[(Unpriced, 7, "0.000000")]),
    ];
    for (name, from, to, milli, expected) in table {
        let parts = parts(&terms, start.plus(from * MINUTE), start.plus(to * MINUTE), milli);
        let found: Vec<_> = parts.iter().map(|part| (part.band, part.quantity.0, part.price.to_string())).collect();
        let expected: Vec<_> =
            expected.iter().map(|(band, milli, price)| (*band, *milli, (*price).to_owned())).collect();
        assert_eq!(found, expected, "{name}");
        assert!(parts.iter().all(|part| part.amount == part.quantity * part.price), "{name}");
    }
    let credit: Amount =
        parts(&terms, start.plus(HOUR), start.plus(2 * HOUR), 4_000).iter().map(|part| part.amount).sum();
    assert_eq!(credit.to_string(), "-0.200000000");
}

#[test]
fn half_hours_and_quarter_hours_split_as_hours_do() {
    let zone = Zone::with(345, &[]);
    let start = zone.at("2026-11-20 00:00");
    for (step, count) in [(60_u16, 1), (30, 2), (20, 3), (15, 4), (5, 12), (1, 60)] {
        let list: Vec<String> = (0..count).map(|index| format!("0.{index:02}")).collect();
        let list: Vec<&str> = list.iter().map(String::as_str).collect();
        let terms = of(&zone, version(series(start, step, &list), &ALL_DAY, &[(Dynamic, "0.000001")]));
        let parts = parts(&terms, start, start.plus(HOUR), 60_000);
        assert_eq!(parts.len(), count, "{step}");
        for (index, part) in (0_i64..).zip(&parts) {
            assert_eq!(part.price, Price(index * 10_000 + 1), "the band's own price is added");
            assert_eq!(
                (part.from, part.quantity.0),
                (start.plus(index * i64::from(step) * MINUTE), i64::from(step) * 1_000)
            );
        }
    }
}

/// A day of 25 hours has 25 prices, one of 23 has 23; the hour that comes twice has two of them.
#[test]
fn steps_are_instants_whatever_the_clocks_do() {
    let zone = Zone::berlin();
    for (name, on, hours) in
        [("spring", "2026-03-29", 23_i64), ("autumn", "2026-10-25", 25), ("plain", "2026-06-01", 24)]
    {
        let start = zone.at(&format!("{on} 00:00"));
        let list: Vec<String> = (0..hours).map(|hour| format!("0.{hour:02}")).collect();
        let list: Vec<&str> = list.iter().map(String::as_str).collect();
        let terms = of(&zone, version(series(start, 60, &list), &ALL_DAY, &[(Dynamic, "0")]));
        let day = *terms.days.on(date(on)).unwrap();
        let parts = parts(&terms, day.start, day.end, hours * 1_000);
        let found: Vec<i64> = parts.iter().map(|part| part.price.0 / 10_000).collect();
        assert_eq!(found, (0..hours).collect::<Vec<_>>(), "{name}");
        assert!(parts.iter().all(|part| part.quantity.0 == 1_000 && part.date == day.date), "{name}");
    }
}

/// Fixed bands, tiers and an allowance beside a series.
#[test]
fn a_series_may_hold_for_some_hours_only_and_under_tiers() {
    let zone = Zone::china();
    let start = zone.at("2026-11-20 00:00");
    let ranges = [(0, 60, Flat), (60, 1_440, Dynamic)];
    let base = version(series(start, 60, &["9", "0.10", "0.20"]), &ranges, &[(Flat, "0.50"), (Dynamic, "0.01")]);
    let version = TariffVersion {
        tiers: Some(Tiers { allowance: Quantity(500), ..Tiers::plain(TierPeriod::Monthly, vec![Quantity(1_500)]) }),
        prices: vec![base.prices[0], prices(&[(Flat, "0.60"), (Dynamic, "0.11")])],
        ..base
    };
    let terms = of(&zone, version);
    let found: Vec<_> = parts(&terms, start, start.plus(3 * HOUR), 3_000)
        .iter()
        .map(|part| (part.band, part.tier, part.quantity.0, part.price.to_string()))
        .collect();
    let expected = [
        (Flat, 0, 500, "0.000000"),
        (Flat, 1, 500, "0.500000"),
        (Dynamic, 1, 1_000, "0.110000"),
        (Dynamic, 2, 1_000, "0.310000"),
    ];
    assert_eq!(found, expected.map(|(band, tier, milli, price)| (band, tier, milli, price.to_owned())));
}

#[test]
fn a_series_that_cannot_price_is_refused() {
    let start = Moment(0);
    let sound = || version(series(start, 60, &["0.10"]), &ALL_DAY, &[(Dynamic, "0")]);
    let flat = [all_year(&[(0, 1_440, Flat)])];
    let long = |steps| PriceSeries { start, step_minutes: 15, prices: vec![Price(1); steps] };
    let table = [
        ("sound", sound(), Ok(())),
        ("no series", TariffVersion { dynamic: None, ..sound() }, Err(TariffFault::Series)),
        ("no hour", TariffVersion { rules: flat.to_vec(), ..sound() }, Err(TariffFault::Series)),
        ("it begins too late", TariffVersion { valid_from: Moment(-1), ..sound() }, Err(TariffFault::SeriesStart)),
        ("no price", TariffVersion { dynamic: Some(series(start, 60, &[])), ..sound() }, Err(TariffFault::SeriesSteps)),
        (
            "25 minutes",
            TariffVersion { dynamic: Some(series(start, 25, &["1"])), ..sound() },
            Err(TariffFault::SeriesSteps),
        ),
        (
            "no length",
            TariffVersion { dynamic: Some(series(start, 0, &["1"])), ..sound() },
            Err(TariffFault::SeriesSteps),
        ),
        (
            "a day",
            TariffVersion { dynamic: Some(series(start, 1_440, &["1"])), ..sound() },
            Err(TariffFault::SeriesSteps),
        ),
        ("the longest", TariffVersion { dynamic: Some(long(STEPS_MAX)), ..sound() }, Ok(())),
        ("longer", TariffVersion { dynamic: Some(long(STEPS_MAX + 1)), ..sound() }, Err(TariffFault::SeriesSteps)),
        (
            "a band of its own",
            TariffVersion { rules: vec![all_year(&[(0, 1_440, Unpriced)])], ..sound() },
            Err(TariffFault::Unpriced),
        ),
        (
            "no own price",
            TariffVersion { prices: vec![prices(&[(Flat, "1")])], ..sound() },
            Err(TariffFault::NoPrice(Dynamic, 1)),
        ),
    ];
    for (name, version, expected) in table {
        assert_eq!(version.check(), expected, "{name}");
    }
}

#[test]
fn a_series_is_extended_only_at_its_end() {
    let old = series(Moment(0), 30, &["1", "2"]);
    for (name, new, expected) in [
        ("longer", series(Moment(0), 30, &["1", "2", "3"]), true),
        ("the same", old.clone(), false),
        ("shorter", series(Moment(0), 30, &["1"]), false),
        ("another past", series(Moment(0), 30, &["1", "9", "3"]), false),
        ("another step", series(Moment(0), 60, &["1", "2", "3"]), false),
        ("another start", series(Moment(1), 30, &["1", "2", "3"]), false),
    ] {
        assert_eq!(new.extends(&old), expected, "{name}");
    }
    assert_eq!(old.end(), Moment(HOUR));
    assert_eq!(old.steps().count(), 2);
    for step in old.steps() {
        assert_eq!((old.at(step.from), old.at(step.to.plus(-1))), (Some(step), Some(step)));
    }
    assert_eq!((old.at(Moment(-1)), old.at(old.end())), (None, None));
}
