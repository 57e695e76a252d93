//! Months that are closed, and what comes for them afterwards.

use kernel::id::{MeterId, SiteId};
use kernel::money::Amount;
use kernel::reading::{Instruments, Reading, Value};
use kernel::time::{DAY, HOUR, LocalMonth, Moment};

use super::apply::{AT_FIRST, apply, hourly, opened, site as site_text};
use super::{MARCH, audited, balance, open, readings, send, site};
use crate::engine::Engine;
use crate::query::{self, QuerySession};

pub(super) const SITE: SiteId = SiteId(1);

pub(super) fn month(text: &str) -> LocalMonth {
    LocalMonth::parse(text).unwrap()
}

/// Why not; empty where it is done.
pub(super) async fn close(engine: &Engine, text: &str) -> String {
    close_as(engine, text, None).await
}

/// As [`close`], with demand as it is measured for a reason.
pub(super) async fn close_as(engine: &Engine, text: &str, as_measured: Option<&str>) -> String {
    let closed = engine.handle().close_period(vec![SITE], month(text), "finance", as_measured).await.unwrap();
    closed.err().map_or_else(String::new, |error| error.to_string())
}

pub(super) async fn reopen(engine: &Engine, text: &str, reason: &str) -> String {
    let opened = engine.handle().reopen_period(vec![SITE], month(text), "finance", reason).await.unwrap();
    opened.err().map_or_else(String::new, |error| error.to_string())
}

pub(super) async fn decide(engine: &Engine, id: i64, approve: bool, actor: &str) -> String {
    let decided = engine.handle().decide_adjustment(id, approve, actor, "looked at").await.unwrap();
    decided.err().map_or_else(String::new, |error| error.to_string())
}

/// A statement's rows as text.
pub(super) async fn ask(engine: &Engine, sql: &str) -> String {
    let session = QuerySession::new(std::sync::Arc::new(engine.handle()), query::Options::default()).unwrap();
    let table = session.query(sql).await.unwrap();
    arrow::util::pretty::pretty_format_batches(&table.batches).unwrap().to_string()
}

pub(super) async fn pending(engine: &Engine) -> Vec<i64> {
    let sql = "SELECT id FROM adjustments WHERE state = 'pending' ORDER BY id";
    sqlx::query_scalar(sql).fetch_all(engine.handle().book().reader()).await.unwrap()
}

pub(super) async fn approve_all(engine: &Engine) {
    for id in pending(engine).await {
        assert_eq!(decide(engine, id, true, "second person").await, "");
    }
}

/// What all readings cost when they come in order.
pub(super) async fn in_order(rows: &[Reading]) -> Amount {
    let folder = tempfile::tempdir().unwrap();
    site(folder.path()).await;
    let engine = open(folder.path()).await;
    send(&engine, rows).await;
    let balance = balance(&engine).await;
    engine.close().await.unwrap();
    balance
}

#[tokio::test]
async fn a_month_is_closed_in_order_and_only_when_nothing_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    site(folder.path()).await;
    let engine = open(folder.path()).await;
    let rows = readings();
    send(&engine, &rows[..1_000]).await;
    assert!(close(&engine, "2026-04").await.contains("has not ended"));
    let refused = close(&engine, "2026-03").await;
    assert!(refused.contains("2026-02 is still open") && refused.contains("M-1; read or import"), "{refused}");
    send(&engine, &rows[1_000..]).await;
    for text in ["2026-02", "2026-03"] {
        assert_eq!(close(&engine, text).await, "");
    }
    assert!(close(&engine, "2026-03").await.contains("closed already"));
    assert!(reopen(&engine, "2026-02", "a mistake").await.contains("open 2026-03 again first"));
    assert!(reopen(&engine, "2026-03", " ").await.contains("without a reason"));
    let stated =
        ask(&engine, "SELECT max(statement) AS n, sum(rounded) AS total FROM statements WHERE month = '2026-03-01'")
            .await;
    assert_eq!(reopen(&engine, "2026-03", "a mistake").await, "");
    engine.close().await.unwrap();
    let engine = open(folder.path()).await;
    assert_eq!(close(&engine, "2026-03").await, "");
    let again =
        ask(&engine, "SELECT max(statement) AS n, sum(rounded) AS total FROM statements WHERE month = '2026-03-01'")
            .await;
    // The same lines under the next number.
    assert_eq!(stated.replace("| 2 |", "| 3 |"), again);
    audited(&engine).await;
    engine.close().await.unwrap();
}

#[tokio::test]
async fn a_late_reading_in_a_closed_month_becomes_an_adjustment_that_another_person_approves() {
    let folder = tempfile::tempdir().unwrap();
    site(folder.path()).await;
    let engine = open(folder.path()).await;
    let rows = readings();
    let (late, rest): (Vec<Reading>, Vec<Reading>) =
        rows.iter().partition(|row| (MARCH + 5 * DAY..MARCH + 8 * DAY).contains(&row.time.0));
    send(&engine, &rest).await;
    engine.handle().file().await.unwrap().unwrap();
    assert_eq!((close(&engine, "2026-02").await, close(&engine, "2026-03").await), (String::new(), String::new()));
    let before = balance(&engine).await;
    let income = ask(&engine, "SELECT sum(rounded) AS total FROM statements WHERE month = '2026-03-01'").await;
    send(&engine, &late[..50]).await;
    send(&engine, &late[50..]).await;
    assert_eq!(balance(&engine).await, before, "money follows approval");
    audited(&engine).await;
    let [first] = pending(&engine).await[..] else { panic!("one waits") };
    assert_eq!(first, 2, "what came second includes what came first");
    assert!(decide(&engine, 1, true, "finance").await.contains("superseded by 2"));
    assert!(decide(&engine, first, true, "billing").await.contains("another person"));
    assert!(close(&engine, "2026-03").await.contains("closed already"));
    engine.close().await.unwrap();
    let engine = open(folder.path()).await;
    assert_eq!(decide(&engine, first, true, "finance").await, "");
    assert!(decide(&engine, first, true, "finance").await.contains("does not wait"));
    assert_eq!(balance(&engine).await, in_order(&rows).await);
    engine.handle().file().await.unwrap().unwrap();
    audited(&engine).await;
    // The closed month's statement stands; the adjustment shows in the month in which it was posted.
    assert_eq!(ask(&engine, "SELECT sum(rounded) AS total FROM statements WHERE month = '2026-03-01'").await, income);
    let lines =
        ask(&engine, "SELECT DISTINCT month FROM statements WHERE usage_month = '2026-03-01' ORDER BY month").await;
    assert!(lines.contains("2026-03-01") && lines.contains("2026-04-01"), "{lines}");
    let linked = ask(
        &engine,
        "SELECT count(*) AS n FROM transfers AS a JOIN transfers AS u ON u.transfer_id = a.linked_id \
         WHERE a.kind = 'adjustment' AND u.kind = 'usage' AND u.local_date = a.local_date HAVING count(*) > 0",
    );
    assert!(linked.await.contains("| n |"), "each is linked to the day's usage");
    engine.close().await.unwrap();
}

#[tokio::test]
async fn a_rejected_adjustment_leaves_the_money_and_is_not_proposed_again() {
    let folder = tempfile::tempdir().unwrap();
    site(folder.path()).await;
    let engine = open(folder.path()).await;
    let rows = readings();
    let (late, rest): (Vec<Reading>, Vec<Reading>) =
        rows.iter().partition(|row| (MARCH + 5 * DAY..MARCH + 8 * DAY).contains(&row.time.0));
    send(&engine, &rest).await;
    assert_eq!((close(&engine, "2026-02").await, close(&engine, "2026-03").await), (String::new(), String::new()));
    let before = balance(&engine).await;
    send(&engine, &late).await;
    assert_eq!(decide(&engine, 1, false, "finance").await, "");
    send(&engine, &late).await;
    assert_eq!((balance(&engine).await, pending(&engine).await), (before, Vec::new()));
    audited(&engine).await;
    engine.close().await.unwrap();
}

#[tokio::test]
async fn any_order_across_a_close_gives_one_ledger_once_all_is_approved() {
    let rows = readings();
    let expected = in_order(&rows).await;
    for seed in [1_u64, 42] {
        // A small generator of its own: the same seed gives the same order for ever.
        let mut state = seed;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 33
        };
        let (mut early, mut late): (Vec<Reading>, Vec<Reading>) = (Vec::new(), Vec::new());
        for (index, row) in rows.iter().enumerate() {
            // The first and the last let the month be closed.
            if index == 0 || index + 1 == rows.len() || next() % 4 != 0 { early.push(*row) } else { late.push(*row) }
        }
        let again: Vec<Reading> = rows.iter().filter(|_| next() % 7 == 0).copied().collect();
        late.extend(again);
        late.sort_by_cached_key(|_| next());
        let folder = tempfile::tempdir().unwrap();
        site(folder.path()).await;
        let mut engine = open(folder.path()).await;
        send(&engine, &early).await;
        assert_eq!(close(&engine, "2026-02").await, "", "seed {seed}");
        for (index, some) in late.chunks(200).enumerate() {
            send(&engine, some).await;
            match index {
                0 => assert_eq!((approve_all(&engine).await, close(&engine, "2026-03").await), ((), String::new())),
                1 => engine.handle().file().await.unwrap().unwrap(),
                2 => approve_all(&engine).await,
                3 => {
                    engine.close().await.unwrap();
                    engine = open(folder.path()).await;
                }
                _ => {}
            }
        }
        // While they wait, and when they are posted.
        audited(&engine).await;
        approve_all(&engine).await;
        audited(&engine).await;
        assert_eq!(balance(&engine).await, expected, "seed {seed}");
        engine.close().await.unwrap();
    }
}

#[tokio::test]
async fn what_begins_before_the_last_close_is_refused_with_its_line_and_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let text = site_text("", AT_FIRST, "75 kW");
    let engine = opened(folder.path(), &text).await;
    send(&engine, &hourly(0..40 * 24, |hour| 1_000 + 100 * hour)).await;
    assert_eq!(close(&engine, "2026-03").await, "");
    let version = "[[tariff.version]]\nvalid_from = 2026-03-15\nprice = \"0.40\"\n\n[[account]]\nname = \"smith\"";
    let cheaper = text.replacen("[[account]]\nname = \"smith\"", version, 1);
    let point =
        "\n[[service_point]]\nname = \"c/E\"\nutility = \"electricity\"\naccount = \"jones\"\ntariff = \"power\"\n";
    let moved = text.replace(
        &format!("rating = \"75 kW\"\n{AT_FIRST}"),
        &format!("[[meter.installation]]\n{AT_FIRST}\nrating = \"75 kW\"\nuntil = 2026-03-20"),
    );
    let cases =
        [(cheaper.clone(), "valid_from"), (text.clone() + point, "service_point \"c/E\".from"), (moved, "until")];
    for (text, place) in cases {
        let refused = super::apply::try_apply(&engine, &text).await.unwrap_err().to_string();
        assert!(refused.contains("2026-03 is closed") && refused.contains("period reopen"), "{refused}");
        assert!(refused.contains(place), "{place}: {refused}");
    }
    apply(&engine, &cheaper.replace("2026-03-15", "2026-04-01")).await;
    audited(&engine).await;
    engine.close().await.unwrap();
}

#[tokio::test]
async fn an_adjustment_within_the_limit_is_posted_at_once_and_small_parts_add_up() {
    let folder = tempfile::tempdir().unwrap();
    let limited = |limit: &str| {
        let key = format!("currency = \"EUR\"\nadjustment_limit = \"{limit}\"");
        site_text("", AT_FIRST, "75 kW").replacen("currency = \"EUR\"", &key, 1)
    };
    let engine = opened(folder.path(), &limited("1.00")).await;
    // One reading a day, but the last of March, which took 10 kWh, and 24 more until noon of the next day.
    let hours = |hours: std::ops::Range<i64>| hourly(hours, |hour| 1_000 + 100 * hour);
    send(&engine, &hours(0..24 * 20)).await;
    send(&engine, &hours(24 * 40..24 * 40 + 1)).await;
    assert_eq!(close(&engine, "2026-03").await, "");
    let before = balance(&engine).await;
    // 2 kWh more in March and less in April: 0.60.
    let reading = |hour: i64, count: i64| Reading {
        meter: MeterId(1),
        time: Moment(MARCH + hour * HOUR),
        value: Value::Register(count),
        instruments: Instruments::default(),
    };
    let end = 24 * 31 - 2;
    send(&engine, &[reading(end, 1_000 + 100 * end + 200)]).await;
    assert_eq!((pending(&engine).await, balance(&engine).await), (vec![], before), "what is more there is less here");
    let posted = ask(&engine, "SELECT sum(difference) AS d, max(decided_by) AS b FROM adjustments").await;
    assert!(posted.contains("0.600000000") && posted.contains("adjustment_limit"), "{posted}");
    audited(&engine).await;
    // Another value puts the reading in quarantine: 0.60 back are within the limit, 0 in all.
    send(&engine, &[reading(end, 1_000 + 100 * end + 400)]).await;
    assert_eq!((pending(&engine).await, balance(&engine).await), (vec![], before));
    audited(&engine).await;
    // A reading an hour earlier with 4 kWh more would be 1.20.
    send(&engine, &[reading(end - 1, 1_000 + 100 * (end - 1) + 400)]).await;
    assert_eq!(pending(&engine).await.len(), 1);
    audited(&engine).await;
    engine.close().await.unwrap();
}
