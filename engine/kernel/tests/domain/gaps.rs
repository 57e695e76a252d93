//! Case 14: nine hours without communication against nine hours without supply.

use kernel::epoch::Epoch;
use kernel::gap::Outage;
use kernel::id::MeterId;
use kernel::rate::Allocation;
use kernel::tariff::Band::{Flat, Peak};
use kernel::time::HOUR;

use crate::support::driver::{Driver, run};
use crate::support::scene::{Scene, count, epoch, for_ever, terms, two_bands};
use crate::support::zone::Zone;

#[test]
fn case_14_a_gap_is_measured_in_all_and_an_outage_is_a_run_of_zeros() {
    let zone = Zone::china();
    let tariff = two_bands(1, zone.at("2026-01-01 00:00"));
    let terms = terms(zone.days("2026-11-20", "2026-11-21"), vec![for_ever(vec![tariff])]);
    let scene = Scene { epochs: vec![epoch(1)], terms, outages: Vec::new() };
    let start = zone.at("2026-11-20 05:00");
    let at = |hours: i64| start.plus(hours * HOUR);
    // From 05:00 to 14:00: five hours flat, four hours peak.
    let gap = [count(1, at(0), 100), count(1, at(9), 1_000)];
    let mut outage: Vec<_> = (0..9).map(|hour| count(1, at(hour), 100)).collect();
    outage.push(count(1, at(9), 110));
    for (name, rows, total, flat, peak, longest) in
        [("no communication", gap.to_vec(), 9_000, 5_000, 4_000, 9), ("no supply", outage, 100, 0, 100, 1)]
    {
        let outcome = run(&scene, &rows);
        let sum = |band| outcome.parts.iter().filter(|part| part.band == band).map(|part| part.quantity.0).sum::<i64>();
        assert_eq!((outcome.quantity(), sum(Flat), sum(Peak)), (total, flat, peak), "{name}");
        let pairs = rows.windows(2).map(|pair| pair[1].time.since(pair[0].time) / HOUR);
        assert_eq!(pairs.max(), Some(longest), "{name}");
        // Only over the gap is anything allocated: the outage's zeros are measured hour by hour.
        let allocated = outcome.parts.iter().filter(|part| part.allocation == Allocation::Linear).count();
        assert_eq!(allocated, if name == "no communication" { 2 } else { 0 }, "{name}");
    }
}

#[test]
fn a_gap_is_allocated_only_where_it_crosses_a_price_and_an_outage_of_any_length_never() {
    let zone = Zone::china();
    let tariff = two_bands(1, zone.at("2026-01-01 00:00"));
    let terms = terms(zone.days("2026-11-20", "2026-11-21"), vec![for_ever(vec![tariff])]);
    let scene = Scene { epochs: vec![epoch(1)], terms, outages: Vec::new() };
    for (from, to, counts, expected) in [
        ("2026-11-20 00:00", "2026-11-20 09:00", 900, &[Allocation::Measured][..]),
        ("2026-11-20 09:50", "2026-11-20 10:05", 15, &[Allocation::Linear, Allocation::Linear]),
        ("2026-11-20 05:00", "2026-11-20 14:00", 0, &[Allocation::Measured, Allocation::Measured]),
    ] {
        let outcome = run(&scene, &[count(1, zone.at(from), 100), count(1, zone.at(to), 100 + counts)]);
        let found: Vec<Allocation> = outcome.parts.iter().map(|part| part.allocation).collect();
        assert_eq!(found, expected, "{from} to {to}");
        assert_eq!(outcome.quantity(), counts * 10, "{from} to {to}");
    }
}

/// They stand in the table `divided_intervals` and in reports.
#[test]
fn allocations_go_by_the_names_of_the_specification() {
    let named = [Allocation::Measured, Allocation::Linear, Allocation::Profile].map(Allocation::name);
    assert_eq!(named, ["measured", "linear", "profile"]);
}

#[test]
fn an_interval_with_an_outage_at_an_edge_is_heard_as_it_was_measured() {
    let zone = Zone::china();
    let tariff = two_bands(1, zone.at("2026-01-01 00:00"));
    let at = |hour: i64| zone.at("2026-11-20 00:00").plus(hour * HOUR);
    for (from, to) in [(10, 18), (12, 20), (11, 19), (10, 20)] {
        let terms = terms(zone.days("2026-11-20", "2026-11-21"), vec![for_ever(vec![tariff.clone()])]);
        let outage = Outage { meter: MeterId(1), from: at(from), to: at(to) };
        let scene = Scene { epochs: vec![epoch(1)], terms, outages: vec![outage] };
        let outcome = run(&scene, &[count(1, at(10), 100), count(1, at(20), 600)]);
        let [(_, heard)] = outcome.intervals[..] else { panic!("{:?}", outcome.intervals) };
        assert_eq!((heard.from, heard.to, heard.quantity.0), (at(10), at(20), 5_000), "{from} to {to}");
        let divided = outcome.parts.first().map(|part| part.from) != Some(at(10))
            || outcome.parts.last().map(|part| part.to) != Some(at(20));
        assert_eq!(divided, (from == 10) != (to == 20), "{from} to {to}: its parts lie outside the outage");
    }
}

#[test]
fn an_interval_around_an_outage_may_end_with_the_table_of_days() {
    let zone = Zone::china();
    let tariff = two_bands(1, zone.at("2026-01-01 00:00"));
    let terms = terms(zone.days("2026-11-20", "2026-11-21"), vec![for_ever(vec![tariff])]);
    let midnight = zone.at("2026-11-22 00:00");
    let outage = Outage { meter: MeterId(1), from: midnight.plus(-2 * HOUR), to: midnight.plus(-HOUR) };
    let taken_out = Epoch { valid_to: Some(midnight), closing_count: Some(120), ..epoch(1) };
    let scene = Scene { epochs: vec![taken_out], terms, outages: vec![outage] };
    let mut driver = Driver::new(&scene);
    driver.arrive(&count(1, midnight.plus(-3 * HOUR), 100));
    let outcome = driver.finish(midnight);
    let found: Vec<_> = outcome.parts.iter().map(|part| (part.from, part.to, part.quantity.0)).collect();
    let hour = |hours: i64| midnight.plus(hours * HOUR);
    assert_eq!(found, [(hour(-3), hour(-2), 100), (hour(-1), hour(0), 100)]);
}
