//! Cases 7, 8 and 12: an interval is split where the price changes, not where it begins.

use kernel::judge::Interval;
use kernel::money::{Amount, Quantity};
use kernel::rate::{Part, Terms, TierCounter};
use kernel::tariff::Band::{self, Flat, Peak, Single};
use kernel::time::{MINUTE, Moment};

use crate::support::driver::run;
use crate::support::scene::{Scene, epoch, for_ever, single, terms, two_bands, usage, version};
use crate::support::zone::Zone;

/// The parts of an interval of that many milli-units between two local times of 2026-11-20.
fn parts(terms: &Terms, from: &str, to: &str, milli: i64) -> Vec<Part> {
    let at = |time: &str| Zone::china().at(&format!("2026-11-20 {time}"));
    let interval = Interval { from: at(from), to: at(to), quantity: Quantity(milli) };
    let mut parts = Vec::new();
    terms.rate(&interval, &mut None, &mut TierCounter::default(), |part| parts.push(*part)).unwrap();
    parts
}

fn china(versions: Vec<std::sync::Arc<kernel::tariff::TariffVersion>>) -> Terms {
    terms(Zone::china().days("2026-11-19", "2026-11-22"), vec![for_ever(versions)])
}

fn begin() -> Moment {
    Zone::china().at("2026-01-01 00:00")
}

#[test]
fn a_band_switch_splits_by_time_and_the_last_part_takes_the_remainder() {
    let bands = china(vec![two_bands(1, begin())]);
    let table: [(&str, &str, &str, i64, &[(Band, i64)]); 7] = [
        ("case 7", "09:50", "10:05", 1_500, &[(Flat, 1_000), (Peak, 500)]),
        ("ends at the switch", "09:45", "10:00", 1_500, &[(Flat, 1_500)]),
        ("begins at the switch", "10:00", "10:15", 1_500, &[(Peak, 1_500)]),
        ("remainder", "09:59", "10:02", 100, &[(Flat, 33), (Peak, 67)]),
        ("remainder below zero", "09:59", "10:02", -100, &[(Flat, -33), (Peak, -67)]),
        ("zeros", "09:00", "21:00", 0, &[(Flat, 0), (Peak, 0), (Flat, 0)]),
        ("one unit over three cells", "09:00", "21:00", 1, &[(Flat, 0), (Peak, 0), (Flat, 1)]),
    ];
    for (name, from, to, milli, expected) in table {
        let found: Vec<_> = parts(&bands, from, to, milli).iter().map(|part| (part.band, part.quantity.0)).collect();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn case_8_half_hour_data_at_a_switch_at_half_past_ten() {
    let ranges = [(0, 630, Flat), (630, 1_440, Peak)];
    let tariff = version(1, begin(), &ranges, None, &[&[(Flat, "0.60"), (Peak, "1.00")]]);
    let scene = Scene { epochs: vec![epoch(1)], terms: china(vec![tariff]), outages: Vec::new() };
    let start = Zone::china().at("2026-11-20 09:30");
    let slot = |index: i64| start.plus(index * 30 * MINUTE);
    let rows: Vec<_> = (0..4).map(|index| usage(1, slot(index), slot(index + 1), 1_000)).collect();
    let found: Vec<_> = run(&scene, &rows).parts.iter().map(|part| (part.from, part.band, part.price.0)).collect();
    let expected = [(0, Flat, 600_000), (1, Flat, 600_000), (2, Peak, 1_000_000), (3, Peak, 1_000_000)];
    assert_eq!(found, expected.map(|(index, band, price)| (slot(index), band, price)));
}

#[test]
fn case_12_a_version_from_seven_past_midnight_leaves_nothing_unpriced() {
    let at = |time: &str| Zone::china().at(&format!("2026-11-20 {time}"));
    let terms = china(vec![single(1, begin(), "0.60"), single(2, at("00:07:00"), "0.90")]);
    let parts = parts(&terms, "00:00", "00:15", 1_500);
    let found: Vec<_> =
        parts.iter().map(|part| (part.from, part.to, part.version.unwrap().0, part.quantity.0)).collect();
    assert_eq!(found, [(at("00:00"), at("00:07"), 1, 700), (at("00:07"), at("00:15"), 2, 800)]);
    let amount: Amount = parts.iter().map(|part| part.amount).sum();
    assert_eq!((amount, parts.iter().all(|part| part.band == Single)), (Amount(1_140_000_000), true));
}

#[test]
fn an_interval_is_rated_up_to_the_last_instant_of_the_table_of_days() {
    let terms = china(vec![two_bands(1, begin())]);
    let days = terms.days.all();
    let (first, end) = (days[0].start, days[days.len() - 1].end);
    for (from, to, expected) in [
        (end.plus(-12 * 60 * MINUTE), end, Ok(())),
        (first, end, Ok(())),
        (end.plus(-12 * 60 * MINUTE), end.plus(1), Err(end.plus(1))),
        (first.plus(-1), end, Err(first.plus(-1))),
    ] {
        let interval = Interval { from, to, quantity: Quantity(1_000) };
        let mut parts = 0;
        let rated = terms.rate(&interval, &mut None, &mut TierCounter::default(), |_| parts += 1);
        assert_eq!(rated.map_err(|outside| outside.0), expected);
        assert_eq!(parts > 0, expected.is_ok(), "before anything was priced");
    }
}

#[test]
fn an_interval_over_midnight_belongs_to_both_days() {
    let terms = china(vec![single(1, begin(), "0.60")]);
    let zone = Zone::china();
    let interval =
        Interval { from: zone.at("2026-11-20 23:30"), to: zone.at("2026-11-21 00:30"), quantity: Quantity(3) };
    let mut found = Vec::new();
    let each = |part: &Part| found.push((part.date.to_string(), part.quantity.0));
    terms.rate(&interval, &mut None, &mut TierCounter::default(), each).unwrap();
    assert_eq!(found, [("2026-11-20".to_owned(), 1), ("2026-11-21".to_owned(), 2)]);
}
