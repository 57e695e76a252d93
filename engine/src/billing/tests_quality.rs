//! Each check of the view `data_quality`, by readings that have just that wrong.

use std::path::Path;
use std::sync::Arc;

use arrow::util::display::array_value_to_string;
use kernel::id::MeterId;
use kernel::reading::{Instruments, Reading, Value};
use kernel::time::{DAY, HOUR, MINUTE, Moment};

use super::{MARCH, audited, clock, open, send, site};
use crate::billing::acknowledge::Acknowledgement;
use crate::billing::balances::Balances;
use crate::book::Book;
use crate::engine::Engine;
use crate::query::{self, QuerySession};

/// Three more meters like the first, each at a service point of its own; the first is the parent of 2 and 3.
async fn four_meters(folder: &Path) {
    site(folder).await;
    let book = Book::open(folder).await.unwrap();
    let mut tx = book.begin().await.unwrap();
    for id in 2..=4 {
        for sql in [
            "INSERT INTO meters SELECT {}, site_id, 'M-{}', profile, utility, kind, resolution_numerator, \
             resolution_denominator, bus, unit, poll_micros, has_relay, rating_mw FROM meters WHERE id = 1",
            "INSERT INTO service_points SELECT {}, site_id, 'SP-{}', utility, location_id, unit FROM service_points WHERE id = 1",
            "INSERT INTO contracts (id, service_point_id, account_id, tariff_id, valid_from, valid_to, superseded_at) \
             SELECT {}, {}, account_id, tariff_id, valid_from, valid_to, superseded_at FROM contracts WHERE id = 1",
            "INSERT INTO epochs SELECT {}, {}, {}, valid_from, valid_to, replace(replace(replace(definition, \
             '\"id\":1', '\"id\":{}'), '\"meter\":1', '\"meter\":{}'), '\"service_point\":1', '\"service_point\":{}'), reason, \
             superseded_at FROM epochs WHERE id = 1",
        ] {
            let sql = sqlx::AssertSqlSafe(sql.replace("{}", &id.to_string()));
            sqlx::query(sql).execute(tx.conn()).await.unwrap();
        }
    }
    sqlx::query("INSERT INTO meter_parents VALUES (2, 1), (3, 1)").execute(tx.conn()).await.unwrap();
    tx.commit().await.unwrap();
    book.close().await;
}

fn reading(meter: u32, time: i64, count: i64, power_w: Option<i64>) -> Reading {
    let instruments = Instruments { power_mw: power_w.map(|watts| watts * 1_000), ..Instruments::default() };
    Reading { meter: MeterId(meter), time: Moment(time), value: Value::Register(count), instruments }
}

/// Hourly counts of some days from March on, `each` a step.
fn hourly(meter: u32, days: i64, each: i64) -> Vec<Reading> {
    (0..=days * 24).map(|hour| reading(meter, MARCH + hour * HOUR, 1_000 + hour * each, None)).collect()
}

/// `issue|severity|state|start|end|seen` of a meter's findings, times in hours since March began.
async fn findings(engine: &Engine, meter: u32) -> Vec<String> {
    let session = QuerySession::new(Arc::new(engine.handle()), query::Options::default()).unwrap();
    let sql = format!(
        "SELECT issue, severity, state, (CAST(start_time AS BIGINT) - {MARCH}) / {HOUR} AS a, \
         (CAST(end_time AS BIGINT) - {MARCH}) / {HOUR} AS b, seen FROM data_quality WHERE meter = 'M-{meter}' \
         ORDER BY start_time, issue"
    );
    let table = session.query(&sql).await.unwrap();
    let mut rows = Vec::new();
    for batch in &table.batches {
        for row in 0..batch.num_rows() {
            let cells = batch.columns().iter().map(|column| array_value_to_string(column, row).unwrap());
            rows.push(cells.collect::<Vec<_>>().join("|"));
        }
    }
    rows
}

#[tokio::test]
async fn each_fault_of_a_register_is_one_finding_with_its_kind_severity_and_state() {
    let folder = tempfile::tempdir().unwrap();
    four_meters(folder.path()).await;
    let engine = open(folder.path()).await;
    // Nothing is wrong with meter 4, so that the site's time goes on.
    send(&engine, &hourly(4, 10, 1)).await;
    let mut rows = hourly(1, 10, 1);
    // A gap of 30 h, then one of 5 h.
    rows.retain(|row| !(row.time.0 > MARCH + 10 * HOUR && row.time.0 < MARCH + 40 * HOUR));
    rows.retain(|row| !(row.time.0 > MARCH + 60 * HOUR && row.time.0 < MARCH + 65 * HOUR));
    let count = |rows: &mut Vec<Reading>, hour: i64, count: i64| {
        let row = rows.iter_mut().find(|row| row.time.0 == MARCH + hour * HOUR).unwrap();
        row.value = Value::Register(count);
    };
    count(&mut rows, 80, 5);
    count(&mut rows, 90, 90_000_000);
    // Two values for one key.
    rows.push(reading(1, MARCH + 100 * HOUR, 7, None));
    // 3 kW for 5 h while the count stands: 15 kWh are 150 counts of 0.1 kWh.
    for hour in 120..=125 {
        count(&mut rows, hour, 1_120);
    }
    for row in rows.iter_mut().filter(|row| (120..=125).contains(&((row.time.0 - MARCH) / HOUR))) {
        row.instruments.power_mw = Some(3_000_000);
    }
    // The household feeds in.
    for row in rows.iter_mut().filter(|row| (140..=143).contains(&((row.time.0 - MARCH) / HOUR))) {
        row.instruments.power_mw = Some(-800_000);
    }
    // From the future, and a register that begins anew on the last day.
    rows.push(reading(1, MARCH + 90 * DAY, 9_999, None));
    for hour in 230..=240 {
        count(&mut rows, hour, hour - 229);
    }
    send(&engine, &rows).await;
    let found = findings(&engine, 1).await;
    let expected = [
        "gap|warning|ended|10|40|none for 1800 min",
        "gap|info|ended|60|65|none for 300 min",
        "decrease|info|ended|80|80|5, a glitch",
        "spike|info|ended|90|90|90000000, a glitch",
        "conflict|warning|open|100|100|2 that contradict each other: correct them",
        "stuck|critical|ended|120|125|it stands at 1120",
        "reverse_flow|warning|ended|140|143|-800 W",
        "reset|critical|open|230|240|11, nothing is billed until an operator opens an installation",
        "silent|warning|open|229|240|nothing for 11 h",
        "future|warning|open|2160|2160|1 dated ahead of their arrival: its clock is fast",
    ];
    let mut expected: Vec<&str> = expected.to_vec();
    let mut found: Vec<&str> = found.iter().map(String::as_str).filter(|row| !row.starts_with("sum_check")).collect();
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!(findings(&engine, 4).await, Vec::<String>::new(), "nothing is wrong with it");
    audited(&engine).await;
    engine.close().await.unwrap();
}

#[tokio::test]
async fn a_parent_is_compared_with_its_children_on_days_that_all_were_read() {
    let folder = tempfile::tempdir().unwrap();
    four_meters(folder.path()).await;
    let engine = open(folder.path()).await;
    // 24 days: children measure half of it, all of it, more than it, and one is missing.
    let mut counts = [1_000, 1_000, 1_000];
    let mut rows: Vec<Reading> = (1..=3).map(|meter| reading(meter, MARCH, 1_000, None)).collect();
    for hour in 1..=24 * 24_i64 {
        let (parent, child) = match hour - 1 {
            0..72 => (20, 8),
            72..144 => (20, 10),
            144..192 => (18, 10),
            _ => (30, 2),
        };
        for (meter, step) in (1_u32..).zip([parent, child, child]) {
            let place = usize::try_from(meter - 1).unwrap();
            counts[place] += step;
            if !(meter == 3 && hour > 192) {
                rows.push(reading(meter, MARCH + hour * HOUR, counts[place], None));
            }
        }
    }
    rows.sort_by_key(|row| (row.meter, row.time));
    send(&engine, &rows).await;
    let mut found = findings(&engine, 1).await;
    found.retain(|row| row.starts_with("sum_check"));
    assert_eq!(
        found,
        [
            "sum_check|warning|ended|0|72|they add up to 115.200",
            "sum_check|critical|ended|144|192|they add up to 96.000",
        ]
    );
    engine.close().await.unwrap();
}

#[tokio::test]
async fn an_acknowledged_finding_says_so_and_a_later_one_of_its_kind_does_not() {
    let folder = tempfile::tempdir().unwrap();
    four_meters(folder.path()).await;
    let engine = open(folder.path()).await;
    send(&engine, &hourly(4, 20, 1)).await;
    let mut rows = hourly(2, 20, 1);
    rows.retain(|row| ![3, 4, 5, 300, 301, 302, 303].contains(&((row.time.0 - MARCH) / HOUR)));
    send(&engine, &rows).await;
    let acknowledged = Acknowledgement {
        meter: MeterId(2),
        serial: "M-2".into(),
        issue: "gap".into(),
        since: Moment(MARCH + 3 * HOUR),
        reason: "the electrician was there".into(),
        actor: "ann".into(),
    };
    engine.handle().acknowledge(acknowledged).await.unwrap().unwrap();
    assert_eq!(
        findings(&engine, 2).await,
        ["gap|info|acknowledged|2|6|none for 240 min", "gap|info|ended|299|304|none for 300 min"]
    );
    let verified = crate::book::chain::verify(engine.handle().book()).await.unwrap();
    assert_eq!(verified.rows, 1, "who said it stands in the audit log");
    engine.close().await.unwrap();
}

#[tokio::test]
async fn a_clock_whose_readings_all_arrive_late_is_found_and_one_late_batch_is_none() {
    let folder = tempfile::tempdir().unwrap();
    four_meters(folder.path()).await;
    let engine = open(folder.path()).await;
    let now = clock().now().0;
    for step in 0..6 {
        let slow = reading(2, now - 100 * MINUTE + step, 1_000 + step, None);
        let sound = reading(3, now - if step == 0 { 3 * MINUTE } else { 0 } + step, 1_000 + step, None);
        let received = Moment(now + step);
        let seq = engine.appender().append(super::batch(&[slow, sound], received)).await.unwrap();
        engine.handle().settled(seq).await.unwrap().unwrap();
    }
    let drift = |rows: Vec<String>| rows.into_iter().filter(|row| row.starts_with("clock_drift")).count();
    assert_eq!(drift(findings(&engine, 2).await), 1);
    assert_eq!(drift(findings(&engine, 3).await), 0);
    engine.close().await.unwrap();
}

#[tokio::test]
async fn a_silent_meter_is_estimated_by_like_days_for_display_and_nothing_else_sees_it() {
    let folder = tempfile::tempdir().unwrap();
    four_meters(folder.path()).await;
    let engine = open(folder.path()).await;
    // Until the night in which the clocks change.
    send(&engine, &hourly(4, 28, 1)).await;
    // 22 days, ten times as much by day as by night; then nothing for six.
    let mut count = 1_000;
    let mut rows = vec![reading(2, MARCH, count, None)];
    for hour in 0..22 * 24 {
        count += if (6..18).contains(&(hour % 24)) { 10 } else { 1 };
        rows.push(reading(2, MARCH + (hour + 1) * HOUR, count, None));
    }
    send(&engine, &rows).await;
    let evidence = |balances: Balances| balances.get(&super::ACCOUNT).unwrap();
    let before = evidence(engine.handle().balances().await.unwrap());
    let session = QuerySession::new(Arc::new(engine.handle()), query::Options::default()).unwrap();
    let sql = "SELECT allocation_quality, energy_quality, count(*) AS n, sum(quantity) AS q, min(quantity) AS a, max(quantity) AS b, \
               (CAST(min(start_time) AS BIGINT) - (SELECT min(CAST(start_time AS BIGINT)) FROM intervals WHERE meter = 'M-2')) \
               / 3600000000 AS h FROM estimates WHERE meter = 'M-2' GROUP BY allocation_quality, energy_quality";
    let rows = session.query(sql).await.unwrap();
    let text = arrow::util::pretty::pretty_format_batches(&rows.batches).unwrap().to_string();
    // Six days of 12 x 1.0 and 12 x 0.1 kWh.
    assert!(text.contains("| profile            | estimated      | 144 | 79.200 | 0.100 | 1.000 | 528 |"), "{text}");
    // What is estimated is in no line, no balance and no evidence, and no query but this one reads it.
    let charged = "SELECT count(*) AS n FROM charges WHERE service_point = 'SP-2' AND local_date > DATE '2026-03-23'";
    let rows = session.query(charged).await.unwrap();
    let text = arrow::util::pretty::pretty_format_batches(&rows.batches).unwrap().to_string();
    assert!(text.contains("| 0 |"), "{text}");
    let after = evidence(engine.handle().balances().await.unwrap());
    assert_eq!((after.balance, after.as_of), (before.balance, before.as_of));
    assert_eq!(after.as_of, Some(Moment(MARCH + 22 * DAY)), "what is measured ends where it was read last");
    for view in query::catalogue().iter().filter(|view| view.name != "estimates") {
        let reads = view.sql.split(|next: char| !next.is_alphanumeric() && next != '_').any(|word| word == "estimates");
        assert!(!reads, "{} must not read estimates", view.name);
    }
    audited(&engine).await;
    engine.close().await.unwrap();
}
