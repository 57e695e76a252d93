//! Case 13 and the law behind it: any order, duplication or delay of the same readings gives one ledger.

use kernel::epoch::Epoch;
use kernel::id::MeterId;
use kernel::point::Row;
use kernel::tariff::Band::{self, Flat, Peak};
use kernel::tariff::TierPeriod;
use kernel::time::{MINUTE, Moment};
use proptest::prelude::*;

use crate::support::driver::{Driver, Ledger};
use crate::support::scene::{Scene, count, epoch, for_ever, terms, usage, version};
use crate::support::zone::Zone;

/// SplitMix64: small, seeded, the same on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(bound).unwrap()).unwrap()
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// Tiers over bands on purpose: with them the order of charging decides who pays which price.
fn scene() -> Scene {
    let zone = Zone::china();
    let ranges = [(0, 600, Flat), (600, 1_200, Peak), (1_200, 1_440, Flat)];
    let rows: &[&[(Band, &str)]] =
        &[&[(Flat, "0.50"), (Peak, "1.00")], &[(Flat, "0.70"), (Peak, "1.50")], &[(Flat, "0.90"), (Peak, "2.50")]];
    let tiers = Some((TierPeriod::Monthly, &[9_000_i64, 20_000][..]));
    let tariff = version(1, zone.at("2026-01-01 00:00"), &ranges, tiers, rows);
    let noon = zone.at("2026-11-20 12:00");
    let epochs = vec![
        // Meter 1 all day; meter 2 until noon, with its closing count stated; meter 3 from noon on.
        epoch(1),
        Epoch { meter: MeterId(2), valid_to: Some(noon), closing_count: Some(5_330), ..epoch(2) },
        Epoch { meter: MeterId(3), valid_from: noon, opening_count: Some(7), ..epoch(3) },
        Epoch { meter: MeterId(4), ..epoch(4) },
    ];
    Scene {
        epochs,
        terms: terms(zone.days("2026-11-01", "2026-11-30"), vec![for_ever(vec![tariff])]),
        outages: Vec::new(),
    }
}

/// One day of quarter-hours: rollovers apart, all that can happen to readings.
fn one_day() -> Vec<Row> {
    let start = Zone::china().at("2026-11-20 00:00");
    let at = |slot: i64| start.plus(slot * 15 * MINUTE);
    let mut rows = Vec::new();
    for slot in 0..=96 {
        // Zeros now and then, and a meter that is read less often.
        rows.push(match slot {
            17 | 40 => count(1, at(slot), 0),
            63 => count(1, at(slot), 1_000 + slot * 12 - 1),
            _ => count(1, at(slot), 1_000 + slot * 12),
        });
        let other =
            if slot <= 48 { count(2, at(slot), 5_000 + slot * 7 - slot / 48 * 6) } else { count(3, at(slot), slot) };
        if slot % 3 == 0 {
            rows.push(other);
        }
        if slot % 20 == 19 {
            rows.push(usage(4, at(slot - 19), at(slot), 2_345));
        }
    }
    // A conflict, a reading from the future, and a meter that nobody knows.
    rows.push(count(1, at(50), 1_601));
    rows.push(Row { received_at: at(10), ..count(1, at(52).plus(1), 1_640) });
    rows.push(count(99, at(52), 1));
    rows
}

fn ledger(scene: &Scene, rows: &[Row]) -> (Ledger, Vec<(Moment, MeterId, kernel::reading::Verdict)>) {
    let mut driver = Driver::new(scene);
    rows.iter().for_each(|row| driver.arrive(row));
    let outcome = driver.finish(Zone::china().at("2026-11-21 00:00"));
    let verdicts = outcome.verdicts.iter().map(|((time, meter), verdict)| (*time, *meter, *verdict)).collect();
    (outcome.ledger(), verdicts)
}

#[test]
fn case_13_a_thousand_shuffles_with_duplicates_leave_one_ledger() {
    let (scene, rows) = (scene(), one_day());
    let expected = ledger(&scene, &rows);
    assert_eq!(expected.0.len(), 5, "both bands and all three tiers are in play: {:?}", expected.0);
    for seed in 0..1_000 {
        let mut random = Random(seed);
        let mut shuffled = rows.clone();
        // Half of them twice, wherever.
        shuffled.extend((0..rows.len() / 2).map(|_| rows[random.below(rows.len())]));
        random.shuffle(&mut shuffled);
        assert_eq!(ledger(&scene, &shuffled), expected, "seed {seed}");
    }
}

/// Meter 1 brings an interval over the switch at 10:00, meter 4 one after it: who comes first uses up the cheap tier.
#[test]
fn two_meters_at_one_moment_are_charged_in_one_order() {
    let scene = scene();
    let at = |time: &str| Zone::china().at(&format!("2026-11-20 {time}"));
    let wide = [count(1, at("08:00"), 0), count(1, at("12:00"), 1_000)];
    let narrow = usage(4, at("11:00"), at("12:00"), 9_000);
    let expected = ledger(&scene, &[wide[0], wide[1], narrow]);
    assert_eq!(ledger(&scene, &[wide[0], narrow, wide[1]]), expected);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Readings of three meters at few moments, so that they meet, with counts from plausible to absurd.
    #[test]
    fn any_readings_in_any_order_leave_one_ledger(
        cells in prop::collection::vec((1_u32..5, 0_i64..24, prop_oneof![6 => 0_i64..60, 1 => -9_i64..100_000]), 1..40),
        seed in any::<u64>(),
    ) {
        let start = Zone::china().at("2026-11-20 00:00");
        let at = |hour: i64| start.plus(hour * 60 * MINUTE);
        let rows: Vec<Row> = cells.iter().map(|(meter, hour, noise)| match meter {
            4 => usage(4, at(*hour - 1), at(*hour), *noise),
            _ => count(*meter, at(*hour), 1_000 + hour * 100 + noise),
        }).collect();
        let scene = scene();
        let mut shuffled: Vec<Row> = rows.iter().chain(&rows[rows.len() / 2..]).copied().collect();
        Random(seed).shuffle(&mut shuffled);
        prop_assert_eq!(ledger(&scene, &rows), ledger(&scene, &shuffled));
    }
}
