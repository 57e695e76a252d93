//! Gaps and outages on a real data folder: whatever comes when, one ledger, the same slots, and a clean audit.

use std::sync::Arc;

use kernel::gap::Outage;
use kernel::id::{MeterId, ServicePointId};
use kernel::money::Amount;
use kernel::reading::{Reading, Value};
use kernel::time::{DAY, HOUR, MINUTE, Moment};

use super::periods::{approve_all, ask, close, pending};
use super::{MARCH, audited, balance, open, readings, send, site};
use crate::billing::outages::StateOutage;
use crate::engine::Engine;
use crate::query::{self, QuerySession, audit};
use crate::rating::{Pair, Span, rate_span};

/// Of the 40 days from 27 February 01:00 in Berlin: how many half hours a moment of March in Berlin's winter time is away.
fn step(day: usize, hour: usize) -> usize {
    (day + 1) * 48 + (hour - 1) * 2
}

/// Monday to Friday nine in ten counts flow from 10:00 to 18:00, so that like days tell a shape.
fn shaped() -> Vec<Reading> {
    let mut count = 5_000;
    let mut rows = readings();
    for (index, row) in rows.iter_mut().enumerate() {
        let hour = (index + 2) % 48 / 2;
        count += if (10..18).contains(&hour) { 18 } else { 2 } + i64::try_from(index % 3).unwrap();
        row.value = Value::Register(count);
    }
    rows
}

fn without(rows: &[Reading], from: usize, to: usize) -> Vec<Reading> {
    rows.iter().enumerate().filter(|(index, _)| *index <= from || to <= *index).map(|(_, row)| *row).collect()
}

async fn slots(engine: &Engine) -> String {
    ask(engine, "SELECT from_time, to_time, slot_from, slot_to, quantity, allocation FROM book.divided_intervals ORDER BY to_time, slot_from").await
}

/// Balance and slots after these batches; every second one is filed, and the engine starts anew where it is asked to, and
/// is audited.
async fn after(batches: &[Vec<Reading>], restart: bool) -> (Amount, String) {
    let folder = tempfile::tempdir().unwrap();
    site(folder.path()).await;
    let mut engine = open(folder.path()).await;
    for (index, rows) in batches.iter().enumerate() {
        send(&engine, rows).await;
        if index % 2 == 1 {
            engine.handle().file().await.unwrap().unwrap();
        }
        if restart {
            engine.close().await.unwrap();
            engine = open(folder.path()).await;
        }
    }
    if restart {
        audited(&engine).await;
    }
    agrees_with_the_operator(&engine).await;
    let left = (balance(&engine).await, slots(&engine).await);
    engine.close().await.unwrap();
    left
}

/// The rating operator charges what the writer charged, from the beginning and from a stored state.
async fn agrees_with_the_operator(engine: &Engine) {
    use futures::StreamExt as _;
    let registry = engine.handle().registry();
    let setup = registry.setup(ServicePointId(1)).unwrap();
    let day = |text: &str| kernel::time::LocalMonth::parse(text).unwrap().first_day();
    for span in [Span::ALL, Span { first: day("2026-03"), last: day("2026-04").plus(30) }] {
        let until = super::clock().now();
        let mut rated = rate_span(&engine.handle(), vec![Pair::of(Arc::clone(setup))], span, until, 1).await.unwrap();
        let mut sums = Vec::new();
        while let Some(point) = rated.next().await {
            sums.push(point.unwrap().new);
        }
        let (first, last) = (span.first.0.max(0), span.last.0.min(1_000_000));
        let charged = ask(
            engine,
            &format!(
                "SELECT CAST(sum(quantity) AS VARCHAR) AS q, CAST(sum(amount) AS VARCHAR) AS a FROM lake.charges \
             WHERE CAST(local_date AS INT) BETWEEN {first} AND {last}"
            ),
        )
        .await;
        let quantity: i64 = sums.iter().flat_map(|sums| sums.values()).map(|sum| sum.quantity.0).sum();
        let amount: Amount = sums.iter().flat_map(|sums| sums.values()).map(|sum| sum.amount).sum();
        assert!(
            charged.contains(&format!("| {quantity} ")) && charged.contains(&format!("{amount} ")),
            "{span:?}: {quantity} {amount}\n{charged}"
        );
    }
}

#[tokio::test]
async fn a_gap_over_a_band_switch_takes_the_shape_of_like_days_whatever_comes_when() {
    // Friday 27 March, 05:00 to 14:00: nine hours, five of them before the switch at 10:00.
    let (from, to) = (step(27, 5), step(27, 14));
    let rows = without(&shaped(), from, to);
    let (expected, found) = after(std::slice::from_ref(&rows), false).await;
    assert_eq!(found.matches("profile").count(), 9, "{found}");
    // Hour by hour as on the like days: about 6 counts before ten o'clock, about 38 after it.
    assert!(found.contains("| 2026-03-27T04:00:00Z | 2026-03-27T05:00:00Z |"), "{found}");
    let halves: Vec<Vec<Reading>> = rows.chunks(500).map(<[Reading]>::to_vec).collect();
    assert_eq!(after(&halves, true).await, (expected, found.clone()), "in parts, with restarts");
    let reversed: Vec<Vec<Reading>> = halves.iter().rev().cloned().collect();
    assert_eq!(after(&reversed, false).await, (expected, found.clone()), "the last part first");
    // Communication is back after hours, and everything since comes at once.
    let late = vec![rows[..=from].to_vec(), rows[from + 1..from + 2].to_vec(), rows[from + 2..].to_vec()];
    assert_eq!(after(&late, false).await, (expected, found), "one reading, then a catch-up");
}

#[tokio::test]
async fn what_is_measured_later_beats_what_was_allocated_and_a_changed_day_changes_the_gaps_after_it() {
    let all = shaped();
    let (from, to) = (step(27, 5), step(27, 14));
    // 6 March is 21 days before the gap, 5 March 22.
    for (what, day, changes) in [("within", 6, true), ("before", 5, false)] {
        let late = step(day, 10);
        let rows = without(&all, from, to);
        let early: Vec<Reading> = rows.iter().filter(|row| row.time != all[late].time).copied().collect();
        let mut moved = all[late];
        // All of the two half hours around the switch flowed before it.
        moved.value = all[late + 1].value;
        let (_, before) = after(std::slice::from_ref(&early), false).await;
        let corrected: Vec<Reading> =
            rows.iter().map(|row| if row.time == moved.time { moved } else { *row }).collect();
        let expected = after(std::slice::from_ref(&corrected), false).await;
        assert_eq!(after(&[early, vec![moved]], false).await, expected, "{what}");
        assert_eq!(before != expected.1, changes, "{what}\n{before}\n{}", expected.1);
    }
    let rest = all[from + 1..to].to_vec();
    let (whole, none) = after(&[without(&all, from, to), rest], false).await;
    assert_eq!(whole, after(std::slice::from_ref(&all), false).await.0);
    assert!(!none.contains("profile"), "{none}");
}

#[tokio::test]
async fn a_gap_found_late_in_a_closed_month_becomes_an_adjustment() {
    let all = shaped();
    let (from, to) = (step(17, 5), step(17, 14));
    let folder = tempfile::tempdir().unwrap();
    site(folder.path()).await;
    let engine = open(folder.path()).await;
    send(&engine, &without(&all, from, to)).await;
    assert_eq!((close(&engine, "2026-02").await, close(&engine, "2026-03").await), (String::new(), String::new()));
    let before = balance(&engine).await;
    // It stood still until noon.
    let mut late = all[step(17, 12)];
    late.value = all[from].value;
    send(&engine, &[late]).await;
    assert_eq!(balance(&engine).await, before, "money follows approval");
    assert_eq!(pending(&engine).await.len(), 1);
    approve_all(&engine).await;
    let mut rows = without(&all, from, to);
    rows.push(late);
    assert_eq!(balance(&engine).await, after(&[rows], false).await.0);
    audited(&engine).await;
    engine.close().await.unwrap();
}

fn stated(from: Moment, to: Moment, withdraw: bool) -> StateOutage {
    let outage = Outage { meter: MeterId(1), from, to };
    StateOutage { outage, withdraw, reason: "transformer failed".into(), actor: "operator".into() }
}

async fn state(engine: &Engine, asked: StateOutage) -> Result<i64, String> {
    engine.handle().state_outage(asked).await.unwrap().map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_stated_outage_is_a_run_of_zeros_before_or_after_its_readings_and_until_it_is_withdrawn() {
    let all = shaped();
    let (from, to) = (step(27, 5), step(27, 14));
    let rows = without(&all, from, to);
    let dark = stated(all[from].time.plus(30 * MINUTE), all[to].time.plus(-30 * MINUTE), false);
    let folder = tempfile::tempdir().unwrap();
    site(folder.path()).await;
    let engine = open(folder.path()).await;
    send(&engine, &rows).await;
    let at_first = (balance(&engine).await, slots(&engine).await);
    assert_eq!(state(&engine, dark.clone()).await, Ok(1));
    assert_eq!(state(&engine, dark.clone()).await, Ok(1), "said twice it is the same");
    let found = slots(&engine).await;
    // Half an hour before it, half an hour after it.
    assert_eq!((found.matches("linear").count(), found.matches("profile").count()), (2, 0), "{found}");
    audited(&engine).await;
    agrees_with_the_operator(&engine).await;
    let with = (balance(&engine).await, found);
    assert_ne!(with.0, at_first.0);
    let shown = ask(&engine, "SELECT allocation_quality, count(*) AS n FROM intervals GROUP BY 1 ORDER BY 1").await;
    assert!(shown.contains("| linear             | 1 "), "{shown}");
    assert_eq!(state(&engine, StateOutage { withdraw: true, ..dark.clone() }).await, Ok(1));
    assert_eq!((balance(&engine).await, slots(&engine).await), at_first);
    assert!(state(&engine, StateOutage { withdraw: true, ..dark.clone() }).await.unwrap_err().contains("lists them"));
    engine.close().await.unwrap();

    // The statement first, the readings after it, with a start between.
    let folder = tempfile::tempdir().unwrap();
    site(folder.path()).await;
    let engine = open(folder.path()).await;
    send(&engine, &rows[..10]).await;
    assert_eq!(state(&engine, dark).await, Ok(1));
    engine.close().await.unwrap();
    let engine = open(folder.path()).await;
    send(&engine, &rows[10..]).await;
    assert_eq!((balance(&engine).await, slots(&engine).await), with);
    engine.close().await.unwrap();
}

#[tokio::test]
async fn an_outage_that_cannot_be_is_refused_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    site(folder.path()).await;
    let engine = open(folder.path()).await;
    let good = stated(Moment(MARCH), Moment(MARCH + HOUR), false);
    let with = |outage| StateOutage { outage, ..good.clone() };
    let cases = [
        (StateOutage { reason: " ".into(), ..good.clone() }, "needs a reason"),
        (with(Outage { to: good.outage.from, ..good.outage }), "not before its end"),
        (with(Outage { to: super::clock().now().plus(1), ..good.outage }), "in the future"),
        (with(Outage { meter: MeterId(9), ..good.outage }), "no such meter"),
        (with(Outage { from: Moment(-2 * HOUR), to: Moment(-HOUR), ..good.outage }), "was not installed"),
    ];
    for (asked, why) in cases {
        let refused = state(&engine, asked).await.unwrap_err();
        assert!(refused.contains(why) && refused.contains("nothing was changed"), "{refused}");
    }
    assert!(ask(&engine, "SELECT count(*) AS n FROM outages").await.contains("| 0 |"));
    engine.close().await.unwrap();
}

/// The audit does not take the kernel's word for how a gap was divided.
#[tokio::test]
async fn a_fault_within_a_divided_gap_is_found() {
    let (from, to) = (step(27, 5), step(27, 14));
    let rows = without(&shaped(), from, to);
    for (query, fault) in [
        // Two hours of one band change places: the bands still agree, the like days do not.
        (
            "gaps_divided_as_like_days",
            "UPDATE divided_intervals SET quantity = quantity + CASE WHEN slot_from = (SELECT MIN(slot_from) FROM \
             divided_intervals) THEN 1 ELSE -1 END WHERE slot_from IN (SELECT slot_from FROM divided_intervals ORDER BY \
             slot_from LIMIT 2)",
        ),
        ("gaps_divided_as_like_days", "DELETE FROM divided_intervals"),
        ("divided_intervals_add_up", "UPDATE divided_intervals SET allocation = 'linear'"),
        ("charges_equal_intervals_by_tier", "DELETE FROM divided_intervals"),
        (
            "charges_equal_intervals_by_tier",
            "UPDATE divided_intervals SET quantity = quantity + 1 WHERE slot_from = (SELECT MIN(slot_from) FROM divided_intervals)",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        site(folder.path()).await;
        let engine = open(folder.path()).await;
        send(&engine, &rows).await;
        engine.close().await.unwrap();
        let book = crate::book::Book::open(folder.path()).await.unwrap();
        let mut tx = book.begin().await.unwrap();
        sqlx::query(fault).execute(tx.conn()).await.unwrap();
        tx.commit().await.unwrap();
        book.close().await;
        let engine = open(folder.path()).await;
        let session = QuerySession::new(Arc::new(engine.handle()), query::Options::default()).unwrap();
        let outcome = audit::run_one(&session, query).await.unwrap();
        assert!(outcome.rows > 0, "{query} did not find: {fault}");
        drop(session);
        engine.close().await.unwrap();
    }
}

#[tokio::test]
async fn any_gaps_in_any_order_leave_one_ledger_and_the_same_slots() {
    for seed in [3_u64, 4_711] {
        // A small generator of its own: the same seed gives the same order for ever.
        let mut state = seed;
        let mut next = move |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap() % below
        };
        let mut rows: Vec<Reading> = shaped();
        for _ in 0..4 {
            let (from, length) = (rows[next(rows.len() - 1)].time, 3 + i64::try_from(next(90)).unwrap());
            rows.retain(|row| row.time <= from || from.plus(length * 30 * MINUTE) <= row.time);
        }
        let mut batches: Vec<Vec<Reading>> = vec![Vec::new(); 4];
        for some in rows.chunks(37) {
            batches[next(4)].extend(some);
            // And some of it once more.
            batches[next(4)].extend(some.iter().step_by(11));
        }
        let expected = after(std::slice::from_ref(&rows), false).await;
        assert_eq!(after(&batches, seed == 3).await, expected, "seed {seed}");
    }
}

/// A point that is read every other day never has a shape: it stays with the stream, and nothing waits for anything.
#[tokio::test]
async fn coarse_readings_stay_linear() {
    let all = shaped();
    let coarse: Vec<Reading> = all.iter().step_by(90).copied().collect();
    let (_, found) = after(std::slice::from_ref(&coarse), false).await;
    assert!(!found.contains("profile") && !found.contains("linear"), "{found}");
    assert!(coarse.windows(2).all(|pair| pair[1].time.since(pair[0].time) < 2 * DAY));
}
