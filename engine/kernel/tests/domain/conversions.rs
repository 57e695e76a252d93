//! Gas measured in m3 and billed in kWh (domain.md, 2): what a month costs, worked out by hand, and the laws: volume is
//! conserved, energy follows it within each stretch of one factor, and neither order nor batching changes anything.

use kernel::conversion::{Conversion, Factor};
use kernel::epoch::Epoch;
use kernel::judge::USAGE_LIMIT;
use kernel::money::Quantity;
use kernel::point::Row;
use kernel::rate::Allocation::{self, Linear, Measured};
use kernel::time::{HOUR, Moment};
use proptest::prelude::*;

use crate::support::driver::{Driver, Outcome};
use crate::support::scene::{Scene, count, epoch, for_ever, single, terms, two_bands, usage};
use crate::support::zone::Zone;

fn factor(from: Moment, calorific_value: i64) -> Factor {
    Factor { from, calorific_value, correction: 1_022_640 }
}

/// A gas meter of 0.01 m3 a count, at most 10 m3 an hour, that is billed in kWh.
fn gas(factors: &[Factor]) -> Scene {
    let zone = Zone::china();
    let mut terms =
        terms(zone.days("2026-11-01", "2026-12-31"), vec![for_ever(vec![two_bands(1, zone.at("2026-01-01 00:00"))])]);
    terms.conversion = Conversion::new(factors.iter().copied());
    Scene {
        epochs: vec![Epoch { converts: true, jitter_counts: 0, max_rate: 10_000, ..epoch(1) }],
        terms,
        outages: Vec::new(),
    }
}

fn at(text: &str) -> Moment {
    Zone::china().at(text)
}

/// What is billed is not what registers passed: the driver's own proof of conservation is about other meters.
fn run(scene: &Scene, rows: &[Row]) -> Outcome {
    let mut driver = Driver::new(scene);
    rows.iter().for_each(|row| driver.arrive(row));
    driver.finish_by_turns(at("2026-12-01 00:00"))
}

#[test]
fn a_factor_holds_from_its_moment_on_and_the_first_also_before() {
    let (first, second) = (factor(at("2026-11-01 00:00"), 39_500_000), factor(at("2026-11-20 12:00"), 39_100_000));
    let conversion = Conversion::new([second, first]);
    for (moment, expected) in [
        ("2026-10-01 00:00", first),
        ("2026-11-01 00:00", first),
        ("2026-11-20 11:59", first),
        ("2026-11-20 12:00", second),
        ("2026-12-31 00:00", second),
    ] {
        assert_eq!(conversion.at(at(moment)), Some(&expected), "{moment}");
    }
    assert_eq!(Conversion::default().at(at("2026-11-01 00:00")), None);
}

/// 39.5 MJ/m3 x 1.02264 / 3.6 = 11.22063 kWh/m3; from noon of 20 November 39.1: 11.10701.
#[test]
fn a_british_gas_register_is_billed_as_its_bill_says() {
    let noon = at("2026-11-20 12:00");
    let scene = gas(&[factor(at("2026-11-01 00:00"), 39_500_000), factor(noon, 39_100_000)]);
    let parts = |rows: &[Row]| -> Vec<(i64, Allocation)> {
        run(&scene, rows).parts.iter().map(|part| (part.quantity.0, part.allocation)).collect()
    };
    let opening = count(1, at("2026-11-20 08:00"), 0);
    for (rows, expected) in [
        // 1.00 m3, all before the switch at 10:00.
        (vec![count(1, at("2026-11-20 10:00"), 100)], vec![(11_220, Measured)]),
        // 4.00 m3 over 4 hours: 44.882 kWh, half of it in each band.
        (vec![count(1, noon, 400)], vec![(22_441, Linear), (22_441, Linear)]),
        // A reading at the change: 4.00 m3 at the old value, 4.00 m3 at the new one (88.856 - 44.428).
        (
            vec![count(1, noon, 400), count(1, at("2026-11-20 16:00"), 800)],
            vec![(22_441, Linear), (22_441, Linear), (44_428, Measured)],
        ),
        // None there: the same volume is found at noon.
        (vec![count(1, at("2026-11-20 16:00"), 800)], vec![(22_441, Linear), (22_441, Linear), (44_428, Linear)]),
        // Usage has no register: each interval by itself.
        (vec![usage(1, at("2026-11-20 12:00"), at("2026-11-20 13:00"), 400)], vec![(4_442, Measured)]),
        (vec![usage(1, at("2026-11-20 11:00"), at("2026-11-20 13:00"), 801)], vec![(4_488, Linear), (4_454, Linear)]),
        // Nothing flowed: nothing had to be divided.
        (vec![count(1, at("2026-11-20 16:00"), 0)], vec![(0, Measured), (0, Measured), (0, Measured)]),
    ] {
        let all: Vec<Row> = [opening].into_iter().chain(rows).collect();
        assert_eq!(parts(&all), expected, "{all:?}");
    }
}

/// P_max is of the volume: 10 m3 an hour is plausible, 112 kWh an hour is not what is compared.
#[test]
fn plausibility_is_judged_in_the_registers_own_unit() {
    let scene = gas(&[factor(at("2026-11-01 00:00"), 39_500_000)]);
    let start = at("2026-11-20 00:00");
    let outcome = run(&scene, &[count(1, start, 0), count(1, start.plus(HOUR), 1_000)]);
    assert_eq!(outcome.quantity(), 112_206);
    let outcome = run(&scene, &[count(1, start, 0), count(1, start.plus(HOUR), 2_000)]);
    assert_eq!((outcome.quantity(), outcome.state.in_doubt()), (0, true));
}

/// As much as a usage row may state, at the highest factors: it saturates, and nothing wraps.
#[test]
fn the_largest_usage_at_the_highest_factors_does_not_overflow() {
    let zone = Zone::china();
    let days = zone.days("2026-11-01", "2026-12-31");
    let mut terms = terms(days, vec![for_ever(vec![single(1, zone.at("2026-01-01 00:00"), "0.01")])]);
    let highest =
        |from, correction| Factor { from, calorific_value: kernel::conversion::CALORIFIC_END - 1, correction };
    let most = kernel::conversion::CORRECTION_END - 1;
    for (correction, expected) in [(1_000_000, 55_555_555_277_777_777), (most, i64::MAX)] {
        terms.conversion = Conversion::new([highest(Moment(0), correction)]);
        let scene =
            Scene { epochs: vec![Epoch { converts: true, ..epoch(1) }], terms: terms.clone(), outages: Vec::new() };
        let row = usage(1, at("2026-11-20 00:00"), at("2026-11-20 01:00"), USAGE_LIMIT.0);
        assert_eq!(run(&scene, &[row]).parts[0].quantity, Quantity(expected));
    }
}

const FIRST: &str = "2026-11-20 00:00";

/// Three factors, the changes at 05:30 and 17:10, so that hours are cut.
fn three() -> [Factor; 3] {
    let change = |text| at(&format!("2026-11-20 {text}"));
    [factor(at(FIRST), 39_500_000), factor(change("05:30"), 38_100_001), factor(change("17:10"), 40_000_000)]
}

/// Hours and litres x 10 of a register that climbs, now and then usage instead, and nonsense.
fn readings() -> impl Strategy<Value = Vec<Row>> {
    prop::collection::vec((0_i64..30, prop_oneof![6 => 0_i64..90, 1 => -9_i64..100_000]), 1..30).prop_map(|cells| {
        let hour = |hour: i64| at(FIRST).plus(hour * HOUR);
        let row = |(place, noise): (i64, i64)| match noise % 7 {
            3 => usage(1, hour(place - 1), hour(place), noise),
            _ => count(1, hour(place), 1_000 + place * 100 + noise),
        };
        cells.into_iter().map(row).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_order_and_repetition_of_gas_readings_leaves_one_ledger(
        (rows, shuffled) in readings().prop_flat_map(|rows| {
            let twice: Vec<Row> = rows.iter().chain(&rows[rows.len() / 2..]).copied().collect();
            (Just(rows), Just(twice).prop_shuffle())
        })
    ) {
        let scene = gas(&three());
        let (first, second) = (run(&scene, &rows), run(&scene, &shuffled));
        prop_assert_eq!(first.ledger(), second.ledger());
        prop_assert_eq!(first.verdicts, second.verdicts);
    }

    /// Read at any moments: within each stretch of one factor the energy is what its first and last volume say, and these
    /// follow from the readings around the changes alone.
    #[test]
    fn readings_within_a_stretch_change_no_sum(
        counts in prop::collection::btree_set(1_i64..1_440, 0..40),
        step in 1_i64..9,
    ) {
        let (start, end) = (at(FIRST), at(FIRST).plus(24 * HOUR));
        let minute = |minute: i64| count(1, start.plus(minute * 60_000_000), minute * step);
        let factors = three();
        let changes: Vec<i64> = factors[1..].iter().map(|factor| factor.from.since(start) / 60_000_000).collect();
        let around = [0, changes[0] - 7, changes[0] + 3, changes[1] - 20, changes[1] + 45, 1_440];
        let few: Vec<Row> = around.into_iter().map(minute).collect();
        let none_nearer = |m: &i64| !around.windows(2).any(|pair| pair[0] < *m && *m < pair[1] && changes.iter().any(|change| (pair[0]..pair[1]).contains(change)));
        let many: Vec<Row> = few.iter().copied().chain(counts.into_iter().filter(none_nearer).map(minute)).collect();
        let scene = gas(&factors);
        let by_stretch = |rows: &[Row]| -> Vec<i64> {
            let parts = run(&scene, rows).parts;
            let ends = [factors[1].from, factors[2].from, end];
            let begins = [start, factors[1].from, factors[2].from];
            begins.iter().zip(ends).map(|(begin, end)| {
                parts.iter().filter(|part| *begin <= part.from && part.to <= end).map(|part| part.quantity.0).sum()
            }).collect()
        };
        let sums = by_stretch(&few);
        prop_assert_eq!(&sums, &by_stretch(&many));
        // 10 litres a count; at a steady flow the interpolated volume is the one of the minute itself.
        let volume = |minute: i64| Quantity(minute * step * 10);
        let bounds = [0, changes[0], changes[1], 1_440];
        for (place, factor) in factors.iter().enumerate() {
            let energy = factor.energy(volume(bounds[place + 1])).0 - factor.energy(volume(bounds[place])).0;
            prop_assert_eq!(sums[place], energy);
        }
    }
}
