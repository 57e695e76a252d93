//! Cases 5 and 6: meters are replaced and multipliers change, and nothing is charged over the seam.

use kernel::epoch::Epoch;
use kernel::id::{AccountId, MeterId, TariffVersionId};
use kernel::money::{Price, Quantity};
use kernel::point::{PointState, Row, Step};
use kernel::reading::Verdict::{self, Accepted, Conflict, Opening};
use kernel::tariff::{Band, TierPeriod};
use kernel::time::{HOUR, Moment};

use crate::support::driver::{Driver, Outcome, run};
use crate::support::scene::{Scene, count, epoch, for_ever, single, terms, usage, version};
use crate::support::zone::Zone;

fn noon() -> Moment {
    Zone::china().at("2026-11-20 12:00")
}

fn hour(hours: i64) -> Moment {
    noon().plus(hours * HOUR)
}

fn scene(epochs: Vec<Epoch>) -> Scene {
    let zone = Zone::china();
    let tariff = single(1, zone.at("2026-01-01 00:00"), "1.00");
    Scene {
        epochs,
        terms: terms(zone.days("2026-11-01", "2026-11-30"), vec![for_ever(vec![tariff])]),
        outages: Vec::new(),
    }
}

/// Old and new installation of meters 1 and `new`, with a count of 0.01 unit.
fn replaced(new: u32, closing: Option<i64>, opening: Option<i64>) -> Vec<Epoch> {
    let old = Epoch { valid_to: Some(noon()), closing_count: closing, ..epoch(1) };
    vec![old, Epoch { meter: MeterId(new), valid_from: noon(), opening_count: opening, ..epoch(2) }]
}

#[test]
fn case_5_a_replaced_meter_bills_nothing_over_the_seam() {
    // Old closes 5,432.10; new opens 12.30, reads 15.80.
    let before = [count(1, hour(-2), 543_000), count(1, hour(-1), 543_100)];
    let after = [count(2, hour(2), 1_580)];
    let seam = [count(1, noon(), 543_210), count(2, noon(), 1_230)];
    let read = [&before[..], &seam, &after].concat();
    let stated = [&before[..], &after].concat();
    for (name, epochs, rows) in [
        ("read at the seam", replaced(2, None, None), read.clone()),
        ("stated in the site file", replaced(2, Some(543_210), Some(1_230)), stated),
        ("both", replaced(2, Some(543_210), Some(1_230)), read.clone()),
    ] {
        let outcome = run(&scene(epochs), &rows);
        let of = |from: Moment, to: Moment| {
            let parts = outcome.parts.iter().filter(|part| from <= part.from && part.to <= to);
            parts.map(|part| part.quantity.0).sum::<i64>()
        };
        assert_eq!((of(hour(-2), noon()), of(noon(), hour(2))), (2_100, 3_500), "{name}");
        assert_eq!(outcome.quantity(), 5_600, "{name}");
    }
}

#[test]
fn case_5_the_tier_counter_outlives_the_meter() {
    let zone = Zone::china();
    let rows: &[&[(Band, &str)]] = &[&[(Band::Single, "0.50")], &[(Band::Single, "0.55")]];
    let day = [(0, 1_440, Band::Single)];
    let tiers = Some((TierPeriod::Monthly, &[2_000_i64][..]));
    let tariff = version(1, zone.at("2026-01-01 00:00"), &day, tiers, rows);
    let scene = Scene {
        epochs: replaced(2, Some(150), Some(1_230)),
        terms: terms(zone.days("2026-11-01", "2026-11-30"), vec![for_ever(vec![tariff])]),
        outages: Vec::new(),
    };
    // 1.50 on the old meter, 1.00 on the new: 0.50 of it beyond the limit of 2.00.
    let outcome = run(&scene, &[count(1, hour(-2), 0), count(2, hour(2), 1_330)]);
    assert_eq!(outcome.state.counter.used, Quantity(2_500));
    assert_eq!(outcome.amount(), "1.275000000");
}

#[test]
fn case_6_a_ct_change_at_noon_bills_each_side_by_its_own_multiplier() {
    // A count of 1.00 x 40 before, x 60 after.
    let ct = |closing, opening| {
        let old =
            Epoch { numerator: 40_000, closing_count: closing, valid_to: Some(noon()), max_rate: 500_000, ..epoch(1) };
        let new =
            Epoch { numerator: 60_000, opening_count: opening, valid_from: noon(), max_rate: 500_000, ..epoch(2) };
        vec![old, new]
    };
    let (first, seam, last) = (count(1, hour(-1), 100), count(1, noon(), 101), count(1, hour(1), 102));
    let table: [(&str, Vec<Epoch>, &[Row], &[Verdict]); 5] = [
        ("read at the seam", ct(None, None), &[first, seam, last], &[Opening, Accepted, Accepted]),
        ("stated", ct(Some(101), Some(101)), &[first, last], &[Opening, Accepted]),
        ("stated and read", ct(Some(101), Some(101)), &[first, seam, last], &[Opening, Accepted, Accepted]),
        ("stated closing, read opening", ct(Some(101), None), &[first, seam, last], &[Opening, Accepted, Accepted]),
        // The statement wins over another count read at that moment.
        (
            "stated, and read otherwise",
            ct(Some(101), Some(101)),
            &[first, count(1, noon(), 90), last],
            &[Opening, Verdict::Glitch, Accepted],
        ),
    ];
    for (name, epochs, rows, verdicts) in table {
        let outcome = run(&scene(epochs), rows);
        let by_side: Vec<i64> = outcome.parts.iter().map(|part| part.quantity.0).filter(|milli| *milli != 0).collect();
        assert_eq!((by_side, outcome.quantity()), (vec![40_000, 60_000], 100_000), "{name}");
        assert_eq!(outcome.verdicts(), verdicts, "{name}");
    }
}

#[test]
fn a_stated_closing_count_is_billed_without_a_reading_after_it() {
    let old = Epoch { valid_to: Some(noon()), closing_count: Some(150), ..epoch(1) };
    let scene = scene(vec![old]);
    let mut driver = Driver::new(&scene);
    driver.arrive(&count(1, hour(-2), 100));
    let outcome = driver.clone().finish(hour(-1));
    assert_eq!(outcome.quantity(), 0, "not before its end");
    assert_eq!(driver.finish(hour(9)).quantity(), 500);
}

#[test]
fn after_a_stated_end_was_billed_what_was_read_before_it_is_late() {
    let old = Epoch { valid_to: Some(noon()), closing_count: Some(150), ..epoch(1) };
    let scene = scene(vec![old]);
    let point = scene.point();
    let mut outcome = Outcome::default();
    let mut state = PointState::default();
    point.advance(&mut state, &mut None, None, &count(1, hour(-2), 100), &mut outcome);
    assert_eq!(point.close(&mut state, &mut None, None, hour(1), &mut outcome), None);
    assert_eq!((outcome.quantity(), state.watermark, state.last_meter), (500, Some(noon()), None));
    assert_eq!(state.measured_until(), Some(noon()));
    assert_eq!(point.advance(&mut state, &mut None, None, &count(1, hour(-1), 110), &mut outcome), Step::Late);
    // A watermark that is later already stays.
    let mut later = PointState { watermark: Some(hour(3)), last_meter: Some(MeterId(2)), ..PointState::default() };
    point.advance(&mut PointState::default(), &mut None, None, &count(1, hour(-2), 100), &mut outcome);
    point.close(&mut later, &mut None, None, hour(4), &mut outcome);
    assert_eq!((later.watermark, later.last_meter), (Some(hour(3)), Some(MeterId(2))));
}

#[test]
fn what_is_suspended_stays_in_doubt_until_its_installation_has_ended() {
    for (closing_count, settled_at) in [(Some(150), noon()), (None, noon().plus(1))] {
        let old = Epoch { valid_to: Some(noon()), closing_count, ..epoch(1) };
        let scene = scene(vec![old]);
        let mut outcome = Outcome::default();
        let mut state = PointState::default();
        for row in [count(1, hour(-3), 100), count(1, hour(-2), 9_000)] {
            let step = scene.point().advance(&mut state, &mut None, None, &row, &mut outcome);
            let Step::Judged(verdict) = step else { panic!("{row:?} comes in order") };
            outcome.verdicts.insert((row.time, row.meter), verdict);
        }
        assert!(state.in_doubt());
        for (until, doubt) in [(hour(-1), true), (settled_at.plus(-1), true), (settled_at, false)] {
            scene.point().close(&mut state, &mut None, None, until, &mut outcome);
            assert_eq!(state.in_doubt(), doubt, "closed until {until}");
        }
        assert_eq!(state.watermark, Some(noon()));
    }
}

#[test]
fn a_sink_hears_the_intervals_on_both_sides_of_a_seam() {
    // The new meter's first reading bills the closing count, too.
    let rows = [count(1, hour(-2), 100), count(1, hour(-1), 110), count(2, hour(2), 60)];
    let outcome = run(&scene(replaced(2, Some(150), Some(50))), &rows);
    let heard: Vec<_> =
        outcome.intervals.iter().map(|(epoch, one)| (epoch.0, one.from, one.to, one.quantity.0)).collect();
    assert_eq!(heard, [(1, hour(-2), hour(-1), 100), (1, hour(-1), noon(), 400), (2, noon(), hour(2), 100)]);
}

#[test]
fn another_count_read_at_a_stated_end_is_a_conflict_in_any_order_of_meters() {
    for new in [0, 2] {
        let rows = [count(1, hour(-1), 100), count(new, noon(), 50), count(1, noon(), 140), count(new, hour(1), 60)];
        let outcome = run(&scene(replaced(new, Some(150), None)), &rows);
        assert_eq!(outcome.verdicts[&(noon(), MeterId(1))], Conflict);
        assert_eq!((outcome.quantity(), outcome.verdicts[&(noon(), MeterId(new))]), (600, Opening));
    }
}

#[test]
fn meters_side_by_side_are_closed_each_at_its_own_end() {
    let main = Epoch { valid_to: Some(hour(4)), closing_count: Some(180), ..epoch(1) };
    let beside = Epoch { meter: MeterId(2), valid_from: hour(-3), ..epoch(2) };
    let scene = scene(vec![main, beside]);
    let mut rows = Vec::new();
    for step in -4..=6 {
        rows.push(count(1, hour(step), 140 + step * 10));
        rows.push(count(2, hour(step), 300 + step));
    }
    let outcome = run(&scene, &rows);
    // Meter 1: 100 to 180 counts; meter 2: 297 to 306 counts.
    assert_eq!(outcome.quantity(), 800 + 90);
    assert_eq!(outcome.verdicts[&(hour(5), MeterId(1))], Verdict::NoEpoch);
}

#[test]
fn imported_usage_over_a_seam_is_billed_once() {
    let old = Epoch { valid_to: Some(noon()), ..epoch(1) };
    let new = Epoch { valid_from: noon(), ..epoch(2) };
    let half = |halves: i64| noon().plus(halves * HOUR / 2);
    let rows = [usage(1, half(-2), half(0), 7), usage(1, half(-1), half(1), 7), usage(1, half(1), half(2), 7)];
    let outcome = run(&scene(vec![old, new]), &rows);
    assert_eq!((outcome.verdicts(), outcome.quantity()), (vec![Accepted, Verdict::Overlap, Accepted], 14));
    // With nothing billed before the seam, the interval belongs to the installation in which it ends.
    let rows = [usage(1, half(-1), half(1), 7)];
    let only_new = vec![Epoch { valid_from: noon(), ..epoch(2) }];
    let outcome = run(&scene(only_new), &rows);
    assert_eq!(outcome.verdicts(), [Accepted]);
    let part = outcome.parts[0];
    assert_eq!(
        (part.account, part.version, part.price),
        (Some(AccountId(1)), Some(TariffVersionId(1)), Price(1_000_000))
    );
}

#[test]
fn usage_over_a_seam_may_begin_where_the_old_installation_has_billed_to() {
    let old = Epoch { valid_to: Some(noon()), ..epoch(1) };
    let new = Epoch { valid_from: noon(), ..epoch(2) };
    let half = |halves: i64| noon().plus(halves * HOUR / 2);
    let rows = [usage(1, half(-2), half(-1), 7), usage(1, half(-1), half(1), 7), usage(1, half(1), half(2), 7)];
    let outcome = run(&scene(vec![old, new]), &rows);
    assert_eq!((outcome.verdicts(), outcome.quantity()), (vec![Accepted; 3], 21));
}

/// Who reads a register at the very end of an installation may still be on the way, until its end is past.
#[test]
fn a_doubt_is_settled_when_the_end_of_its_installation_is_past_and_not_before() {
    let open = Epoch { valid_to: Some(noon()), ..epoch(1) };
    let scene = scene(vec![open]);
    let mut driver = Driver::new(&scene);
    for row in [count(1, hour(-2), 100), count(1, noon(), 9_999)] {
        driver.arrive(&row);
    }
    for (until, doubt) in [(hour(-1), true), (noon(), true), (noon().plus(1), false)] {
        let state = driver.clone().finish(until).state;
        assert_eq!(state.in_doubt(), doubt, "{until}");
        // What was judged at the end stays judged: the same meter's reading there is late, a later meter's is not.
        assert_eq!((state.watermark, state.last_meter), (Some(noon()), Some(MeterId(1))), "{until}");
    }
}

#[test]
fn a_key_in_quarantine_makes_what_is_not_after_it_late() {
    let mut state = PointState { watermark: Some(noon()), last_meter: Some(MeterId(3)), ..PointState::default() };
    for (time, meter, expected) in [
        (hour(-1), 9, (noon(), 3)),
        (noon(), 2, (noon(), 3)),
        (noon(), 3, (noon(), 3)),
        (noon(), 4, (noon(), 4)),
        (hour(1), 1, (hour(1), 1)),
    ] {
        state.hold(time, MeterId(meter));
        assert_eq!(
            (state.watermark, state.last_meter),
            (Some(expected.0), Some(MeterId(expected.1))),
            "{time} {meter}"
        );
    }
}

#[test]
fn what_another_device_measured_beside_it_does_not_overlap() {
    let new = Epoch { meter: MeterId(2), valid_from: noon(), ..epoch(2) };
    let half = |halves: i64| noon().plus(halves * HOUR / 2);
    let rows = [usage(1, half(-2), half(0), 7), usage(2, half(-1), half(1), 5)];
    let outcome = run(&scene(vec![epoch(1), new]), &rows);
    assert_eq!((outcome.verdicts(), outcome.quantity()), (vec![Accepted, Accepted], 12));
}
