//! What people say that meters said: before, after and instead of what the meters say themselves.

use kernel::id::MeterId;
use kernel::reading::{Reading, Value, Verdict};
use kernel::time::{HOUR, Moment};

use super::periods::{approve_all, ask, close, in_order, pending};
use super::{audited, balance, open, readings, send, site};
use crate::billing::correct::CorrectReading;
use crate::engine::Engine;

/// 10:00 in Berlin, where the price changes: what is counted later costs more.
const SWITCH: usize = 6 * 48 + 18;

fn asked(reading: &Reading, value: Option<Value>) -> CorrectReading {
    let (reason, actor) = ("read by hand".to_owned(), "operator".to_owned());
    CorrectReading { meter: reading.meter, time: reading.time, value, reason, actor }
}

async fn correct(engine: &Engine, asked: CorrectReading) -> Result<Verdict, String> {
    let corrected = engine.handle().correct(asked).await.unwrap();
    corrected.map(|(_, verdict)| verdict).map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_correction_takes_the_place_of_every_value_whenever_they_come() {
    let rows = readings();
    let expected = in_order(&rows).await;
    let mut other = rows[500];
    other.value = Value::Register(1);
    // Where the conflicting values come: before the correction, around it, after it.
    for order in [[true, true], [true, false], [false, false]] {
        let folder = tempfile::tempdir().unwrap();
        site(folder.path()).await;
        let mut engine = open(folder.path()).await;
        let without: Vec<Reading> = rows.iter().filter(|row| row.time != other.time).copied().collect();
        send(&engine, &without).await;
        for (value, before) in [rows[500], other].iter().zip(order) {
            if before {
                send(&engine, &[*value]).await;
            }
        }
        engine.handle().file().await.unwrap().unwrap();
        assert_eq!(correct(&engine, asked(&other, Some(rows[500].value))).await, Ok(Verdict::Accepted), "{order:?}");
        engine.close().await.unwrap();
        engine = open(folder.path()).await;
        for (value, before) in [rows[500], other].iter().zip(order) {
            if !before {
                send(&engine, &[*value]).await;
            }
        }
        // Once more, from the other side: nothing changes.
        send(&engine, &[other, rows[500]]).await;
        assert_eq!(balance(&engine).await, expected, "{order:?}");
        let said = ask(
            &engine,
            "SELECT verdict, count(*) AS n FROM readings WHERE verdict IN ('superseded', 'conflict') GROUP BY verdict",
        );
        let said = said.await;
        assert!(said.contains("superseded | 2") && !said.contains("conflict"), "{order:?}\n{said}");
        audited(&engine).await;
        engine.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_reading_that_never_was_is_voided_and_a_later_correction_counts() {
    let rows = readings();
    let last = rows[rows.len() - 1];
    let rest = &rows[..rows.len() - 1];
    let folder = tempfile::tempdir().unwrap();
    site(folder.path()).await;
    let engine = open(folder.path()).await;
    send(&engine, &rows).await;
    let whole = balance(&engine).await;
    assert_eq!(correct(&engine, asked(&last, None)).await, Ok(Verdict::Superseded));
    assert_eq!(balance(&engine).await, in_order(rest).await);
    send(&engine, &[last]).await;
    assert_eq!(balance(&engine).await, in_order(rest).await, "what is sent again stays void");
    audited(&engine).await;
    assert_eq!(correct(&engine, asked(&last, Some(last.value))).await, Ok(Verdict::Accepted));
    assert_eq!(balance(&engine).await, whole);
    audited(&engine).await;
    let count = ask(&engine, "SELECT count(*) AS n, count(superseded_by) AS old FROM corrections").await;
    assert!(count.contains("| 2 | 1   |"), "{count}");
    engine.close().await.unwrap();
}

#[tokio::test]
async fn a_correction_in_a_closed_month_is_proposed_and_another_person_approves_it() {
    let rows = readings();
    let mut wrong = rows.clone();
    let Value::Register(count) = wrong[SWITCH].value else { panic!("a register") };
    wrong[SWITCH].value = Value::Register(count + 2);
    let folder = tempfile::tempdir().unwrap();
    site(folder.path()).await;
    let engine = open(folder.path()).await;
    send(&engine, &wrong).await;
    assert_eq!((close(&engine, "2026-02").await, close(&engine, "2026-03").await), (String::new(), String::new()));
    let before = balance(&engine).await;
    assert_eq!(correct(&engine, asked(&rows[SWITCH], Some(rows[SWITCH].value))).await, Ok(Verdict::Accepted));
    assert_eq!(balance(&engine).await, before, "money follows approval");
    let [id] = pending(&engine).await[..] else { panic!("one waits") };
    let own = engine.handle().decide_adjustment(id, true, "operator", "mine").await.unwrap();
    assert!(own.unwrap_err().to_string().contains("another person"));
    approve_all(&engine).await;
    assert_eq!(balance(&engine).await, in_order(&rows).await);
    audited(&engine).await;
    engine.close().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_a_reading_is_refused_with_its_reason() {
    let rows = readings();
    let folder = tempfile::tempdir().unwrap();
    site(folder.path()).await;
    let engine = open(folder.path()).await;
    send(&engine, &rows[..10]).await;
    let good = asked(&rows[5], Some(rows[5].value));
    let usage = Value::Usage { start: rows[4].time, quantity: kernel::money::Quantity(1) };
    let cases = [
        (CorrectReading { reason: " ".into(), ..good.clone() }, "needs a reason"),
        (CorrectReading { time: super::clock().now().plus(HOUR), ..good.clone() }, "in the future"),
        (CorrectReading { time: Moment(-1), ..good.clone() }, "was not installed"),
        (CorrectReading { meter: MeterId(9), ..good.clone() }, "no such meter"),
        (CorrectReading { value: Some(usage), ..good.clone() }, "gives a register"),
        (CorrectReading { value: Some(Value::Register(-1)), ..good.clone() }, "zero or more"),
    ];
    for (asked, why) in cases {
        let refused = correct(&engine, asked).await.unwrap_err();
        assert!(refused.contains(why) && refused.contains("nothing was changed"), "{refused}");
    }
    assert!(ask(&engine, "SELECT count(*) AS n FROM corrections").await.contains("| 0 |"));
    engine.close().await.unwrap();
}
