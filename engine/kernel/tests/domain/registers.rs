//! Cases 1 to 4 and 23: from counts to verdicts and billed quantities.

use kernel::epoch::Epoch;
use kernel::judge::Exception;
use kernel::point::{PointState, Step};
use kernel::reading::Verdict::{self, Accepted, Exception as Ex, Future, Glitch, Jitter, Opening, Suspended};
use kernel::time::{HOUR, MINUTE, Moment};

use crate::support::driver::{Driver, Outcome, run};
use crate::support::scene::{Scene, count, epoch, for_ever, single, terms};
use crate::support::zone::Zone;

fn scene(epoch: Epoch) -> Scene {
    let zone = Zone::china();
    let tariff = single(1, zone.at("2026-01-01 00:00"), "1.00");
    Scene {
        epochs: vec![epoch],
        terms: terms(zone.days("2026-11-01", "2026-11-30"), vec![for_ever(vec![tariff])]),
        outages: Vec::new(),
    }
}

struct Case {
    number: &'static str,
    epoch: Epoch,
    /// Read hourly.
    counts: &'static [i64],
    verdicts: &'static [Verdict],
    billed: i64,
    exception: Option<Exception>,
}

#[test]
fn counts_are_judged_and_billed_as_the_table_says() {
    let digits8 = Epoch { modulus: Some(100_000_000), max_rate: 5_000, ..epoch(1) };
    let tenths = Epoch { numerator: 100, ..epoch(1) };
    let litres = Epoch { numerator: 1, ..epoch(1) };
    let ct40 = Epoch { numerator: 400, max_rate: 200_000, ..digits8.clone() };
    let rated3 = Epoch { max_rate: 3_000, ..digits8.clone() };
    let home = &[207_774, 456_017, 207_814, 456_273, 207_900];
    let wrap = &[99_999_678, 123];
    let reset = Some(Exception::Reset);
    for Case { number, epoch, counts, verdicts, billed, exception } in [
        Case {
            number: "1",
            epoch: digits8,
            counts: wrap,
            verdicts: &[Opening, Accepted],
            billed: 4_450,
            exception: None,
        },
        Case {
            number: "1 x40",
            epoch: ct40,
            counts: wrap,
            verdicts: &[Opening, Accepted],
            billed: 178_000,
            exception: None,
        },
        Case { number: "2", epoch: rated3, counts: wrap, verdicts: &[Opening, Suspended], billed: 0, exception: None },
        Case {
            number: "3",
            epoch: tenths.clone(),
            counts: &[10_000, 0, 10_002],
            verdicts: &[Opening, Glitch, Accepted],
            billed: 200,
            exception: None,
        },
        Case {
            number: "3a",
            epoch: litres,
            counts: home,
            verdicts: &[Opening, Glitch, Accepted, Glitch, Accepted],
            billed: 126,
            exception: None,
        },
        Case {
            number: "3b",
            epoch: Epoch { jitter_counts: 1, numerator: 1_000, ..epoch(1) },
            counts: &[5_000, 4_999, 4_999, 5_001],
            verdicts: &[Opening, Jitter, Jitter, Accepted],
            billed: 1_000,
            exception: None,
        },
        Case {
            number: "4",
            epoch: tenths,
            counts: &[10_000, 0, 1, 3, 5],
            verdicts: &[Opening, Ex, Ex, Ex, Ex],
            billed: 0,
            exception: reset,
        },
    ] {
        let scene = scene(epoch);
        let start = Zone::china().at("2026-11-20 00:00");
        let rows: Vec<_> = (0..).zip(counts).map(|(hour, value)| count(1, start.plus(hour * HOUR), *value)).collect();
        let outcome = run(&scene, &rows);
        let register = &outcome.state.epochs[0].register;
        assert_eq!(outcome.verdicts(), verdicts, "case {number}");
        assert_eq!((outcome.quantity(), register.exception), (billed, exception), "case {number}");
        let open = matches!(verdicts.last(), Some(Suspended | Ex));
        assert_eq!(outcome.state.in_doubt(), open, "case {number}: automatic cut-off is held");
    }
}

/// Case 4, the way out: nothing is charged until the operator opens an installation, and then nothing is in doubt.
#[test]
fn after_a_reset_billing_goes_on_in_the_installation_that_an_operator_opens() {
    let zone = Zone::china();
    let seam = zone.at("2026-11-20 03:30");
    let old = Epoch { valid_to: Some(seam), ..epoch(1) };
    let new = Epoch { valid_from: seam, ..epoch(2) };
    let mut scene = scene(old);
    scene.epochs.push(new);
    let start = zone.at("2026-11-20 00:00");
    let rows: Vec<_> =
        (0..).zip([100_000, 0, 10, 30, 40, 55]).map(|(hour, value)| count(1, start.plus(hour * HOUR), value)).collect();
    let outcome = run(&scene, &rows);
    assert_eq!(outcome.verdicts(), [Opening, Ex, Ex, Ex, Opening, Accepted]);
    assert_eq!((outcome.quantity(), outcome.state.in_doubt()), (150, false));
}

#[test]
fn case_23_a_reading_from_the_future_is_quarantined_and_blocks_nothing() {
    let scene = scene(epoch(1));
    let start = Zone::china().at("2026-11-20 00:00");
    let at = |minute: i64| start.plus(minute * MINUTE);
    for (ahead, verdict, billed) in [(60 * MINUTE, Future, 20), (MINUTE + 1, Future, 20), (MINUTE, Accepted, 20)] {
        let early = kernel::point::Row { received_at: Moment(at(60).0 - ahead), ..count(1, at(60), 101) };
        let mut driver = Driver::new(&scene);
        for row in [count(1, at(0), 100), early, count(1, at(30), 101), count(1, at(90), 102)] {
            driver.arrive(&row);
        }
        let outcome = driver.finish(at(90));
        let expected = [Opening, Accepted, verdict, Accepted];
        assert_eq!((outcome.verdicts(), outcome.quantity()), (expected.to_vec(), billed), "{ahead} ahead");
    }
}

/// Whatever came before it: a cell kept between readings decides nothing.
#[test]
fn a_reading_outside_the_sites_table_of_days_is_invalid_and_leaves_no_trace() {
    let scene = scene(epoch(1));
    let days = scene.terms.days.all();
    let (first, end) = (days[0].start, days[days.len() - 1].end);
    for (before, time, expected) in [
        (None, first.plus(-1), Verdict::Invalid),
        (None, end, Verdict::Invalid),
        (Some(first), end, Verdict::Invalid),
        (None, first, Opening),
        (Some(first), end.plus(-1), Accepted),
    ] {
        let (mut state, mut cell) = (PointState::default(), None);
        let mut take = |state: &mut PointState, time| {
            let mut outcome = Outcome::default();
            scene.point().advance(state, &mut cell, None, &count(1, time, 100), &mut outcome)
        };
        if let Some(before) = before {
            assert_eq!(take(&mut state, before), Step::Judged(Opening));
        }
        let known = state.clone();
        assert_eq!(take(&mut state, time), Step::Judged(expected), "{time}");
        assert_eq!(state == known, expected == Verdict::Invalid, "{time}");
    }
}
