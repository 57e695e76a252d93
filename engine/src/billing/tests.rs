//! Billing on a real data folder: book, log and lake on disk, one small site.

use std::path::Path;

use kernel::batch::{Batch, Payload};
use kernel::epoch::Epoch;
use kernel::id::{AccountId, EpochId, MeterId, ServicePointId, TariffVersionId};
use kernel::money::{Amount, Price, Quantity};
use kernel::reading::{Instruments, Reading, Value};
use kernel::tariff::{Band, DayPlan, MonthDay, Rule, TariffVersion, TierPeriod, Tiers};
use kernel::time::{DAY, HOUR, MINUTE, Moment};
use wal::clock::Clock;

use crate::book::bulk;
use crate::book::payments::{TopUp, TopUpOutcome};
use crate::book::{Book, Tx};
use crate::engine::{Engine, Options};
use crate::query::{self, QuerySession, audit};

/// 2026-03-01T00:00:00Z.
const MARCH: i64 = 1_772_323_200_000_000;
const ACCOUNT: AccountId = AccountId(1);

fn version() -> TariffVersion {
    let day = [(0, 600, Band::Valley), (600, 1_080, Band::Flat), (1_080, 1_440, Band::Peak)];
    let year = |plan| Rule {
        from: MonthDay { month: 1, day: 1 },
        to: MonthDay { month: 12, day: 31 },
        day_types: kernel::calendar::DayType::ALL.to_vec(),
        named: Vec::new(),
        plan,
    };
    let mut cheap = [None; Band::ALL.len()];
    for (band, price) in [(Band::Valley, 300_000), (Band::Flat, 600_000), (Band::Peak, 900_001)] {
        cheap[band as usize] = Some(Price(price));
    }
    let dear = cheap.map(|price| price.map(|price| Price(price.0 + 50_000)));
    TariffVersion {
        id: TariffVersionId(1),
        valid_from: Moment(0),
        rules: vec![year(DayPlan::from_ranges(&day).unwrap())],
        tiers: Some(Tiers::plain(TierPeriod::Monthly, vec![Quantity(200_000)])),
        prices: vec![cheap, dear],
        dynamic: None,
        components: Vec::new(),
        reverse: kernel::tariff::Reverse::Ignore,
        source: "a test".into(),
    }
}

async fn execute(tx: &mut Tx, sql: &'static str) {
    sqlx::query(sql).execute(tx.conn()).await.unwrap();
}

/// A site in Berlin with one account and one electricity meter of 0.01 kWh a count, CT 10.
async fn site(folder: &Path) {
    let book = Book::create(folder, 7, Moment(MARCH)).await.unwrap();
    let mut tx = book.begin().await.unwrap();
    execute(&mut tx, "INSERT INTO sites VALUES (1, 'site', 'Site', 'Europe/Berlin', 'EUR', NULL, 'auto', NULL, 0)")
        .await;
    execute(
        &mut tx,
        "INSERT INTO accounts VALUES (1, 1, 'A-1', 'Ann', 'prepaid', NULL, NULL, '0.000000000', 1, NULL, 0, 0, NULL)",
    )
    .await;
    execute(&mut tx, "INSERT INTO tariffs VALUES (1, 'bands', 'electricity', 'EUR', 'kWh')").await;
    execute(&mut tx, "INSERT INTO service_points VALUES (1, 1, 'SP-1', 'electricity', NULL, 'kWh')").await;
    execute(&mut tx, "INSERT INTO contracts VALUES (1, 1, 1, 1, 0, NULL, NULL, NULL, NULL)").await;
    execute(
        &mut tx,
        "INSERT INTO meters VALUES (1, 1, 'M-1', 'test', 'electricity', 'register', 10, 1, NULL, NULL, NULL, 1, NULL)",
    )
    .await;
    let definition = serde_json::to_string(&version()).unwrap();
    let row = [[1_i64.into(), 1_i64.into(), 0_i64.into(), definition.into(), 0_i64.into(), None::<i64>.into()]];
    let head =
        "INSERT INTO tariff_versions (id, tariff_id, valid_from, definition, published_at, superseded_at) VALUES";
    bulk::insert(&mut tx, head, "", row).await.unwrap();
    let epoch = Epoch {
        id: EpochId(1),
        meter: MeterId(1),
        service_point: ServicePointId(1),
        numerator: 100,
        denominator: 1,
        modulus: Some(100_000_000),
        opening_count: None,
        closing_count: None,
        jitter_counts: 2,
        max_rate: 100_000,
        signed: false,
        converts: false,
        valid_from: Moment(0),
        valid_to: None,
    };
    let definition = serde_json::to_string(&epoch).unwrap();
    let row = [[
        1_i64.into(),
        1_i64.into(),
        1_i64.into(),
        0_i64.into(),
        None::<i64>.into(),
        definition.into(),
        None::<i64>.into(),
        None::<i64>.into(),
    ]];
    let head = "INSERT INTO epochs (id, meter_id, service_point_id, valid_from, valid_to, definition, reason, \
                superseded_at) VALUES";
    bulk::insert(&mut tx, head, "", row).await.unwrap();
    tx.commit().await.unwrap();
    book.close().await;
}

/// Half-hourly counts over 40 days, a glitch in the middle.
fn readings() -> Vec<Reading> {
    let reading = |(step, count): (i64, i64)| Reading {
        meter: MeterId(1),
        time: Moment(MARCH - 2 * DAY + step * 30 * MINUTE),
        value: Value::Register(count),
        instruments: Instruments::default(),
    };
    let mut count = 5_000;
    (0..40 * 48)
        .map(|step| {
            count += 3 + step * 7 % 11;
            reading((step, if step == 1_000 { 9_999_999 } else { count }))
        })
        .collect()
}

fn batch(rows: &[Reading], received_at: Moment) -> Payload {
    let mut batch = Batch { received_at: received_at.0, ..Batch::default() };
    rows.iter().for_each(|row| batch.push(row));
    Payload::Readings(batch)
}

fn clock() -> Clock {
    Clock::manual(Moment(MARCH + 60 * DAY))
}

async fn open(folder: &Path) -> Engine {
    Engine::open(folder, Options::new(clock())).await.unwrap()
}

async fn send(engine: &Engine, rows: &[Reading]) {
    let seq = engine.appender().append(batch(rows, clock().now())).await.unwrap();
    engine.handle().settled(seq).await.unwrap().unwrap();
}

async fn audited(engine: &Engine) {
    let session = QuerySession::new(std::sync::Arc::new(engine.handle()), query::Options::default()).unwrap();
    for outcome in audit::run(&session).await.unwrap() {
        assert_eq!(outcome.rows, 0, "{}: {}\n{}", outcome.name, outcome.purpose, outcome.sample);
    }
}

async fn balance(engine: &Engine) -> Amount {
    engine.handle().balances().await.unwrap().get(&ACCOUNT).unwrap().balance
}

/// Total of all postings, whatever came in which order.
async fn ledger_after(batches: &[Vec<Reading>], restart_between: bool) -> Amount {
    let folder = tempfile::tempdir().unwrap();
    site(folder.path()).await;
    let mut engine = open(folder.path()).await;
    for (index, rows) in batches.iter().enumerate() {
        send(&engine, rows).await;
        if index % 2 == 1 {
            engine.handle().file().await.unwrap().unwrap();
        }
        if restart_between {
            engine.close().await.unwrap();
            engine = open(folder.path()).await;
        }
    }
    audited(&engine).await;
    let balance = balance(&engine).await;
    engine.close().await.unwrap();
    balance
}

#[tokio::test]
async fn any_order_batching_filing_and_restart_gives_one_ledger() {
    let rows = readings();
    let in_order = ledger_after(std::slice::from_ref(&rows), false).await;
    // (last - first count) x 0.1 kWh, priced around 0.3 to 0.95.
    assert!(in_order < Amount::ZERO);
    let halves: Vec<Vec<Reading>> = rows.chunks(700).map(<[Reading]>::to_vec).collect();
    assert_eq!(ledger_after(&halves, true).await, in_order, "in parts, with restarts");
    let reversed: Vec<Vec<Reading>> = halves.iter().rev().cloned().collect();
    assert_eq!(ledger_after(&reversed, false).await, in_order, "the last part first");
    let mut mixed = rows.clone();
    mixed.sort_by_key(|row| (row.time.0 / HOUR).wrapping_mul(2_654_435_761) % 1_009);
    let twice: Vec<Vec<Reading>> = mixed.chunks(500).chain(rows.chunks(800)).map(<[Reading]>::to_vec).collect();
    assert_eq!(ledger_after(&twice, true).await, in_order, "shuffled, then all again");
}

#[tokio::test]
async fn the_same_rows_again_change_nothing_in_book_or_lake() {
    let folder = tempfile::tempdir().unwrap();
    site(folder.path()).await;
    let engine = open(folder.path()).await;
    send(&engine, &readings()).await;
    engine.handle().file().await.unwrap().unwrap();
    let before = balance(&engine).await;
    let files = engine.handle().book().clone();
    let count = |sql: &'static str| {
        let book = files.clone();
        async move { sqlx::query_scalar::<_, i64>(sql).fetch_one(book.reader()).await.unwrap() }
    };
    let rows = count("SELECT SUM(row_count) FROM lake_files WHERE table_name = 'readings'").await;
    let transfers = count("SELECT COUNT(*) FROM transfers").await;
    send(&engine, &readings()).await;
    engine.handle().file().await.unwrap().unwrap();
    assert_eq!(balance(&engine).await, before);
    assert_eq!(count("SELECT SUM(row_count) FROM lake_files WHERE table_name = 'readings'").await, rows);
    assert_eq!(count("SELECT COUNT(*) FROM transfers").await, transfers);
    audited(&engine).await;
    engine.close().await.unwrap();
}

#[tokio::test]
async fn a_conflicting_value_is_quarantined_with_the_one_already_billed() {
    let folder = tempfile::tempdir().unwrap();
    site(folder.path()).await;
    let engine = open(folder.path()).await;
    let rows = readings();
    send(&engine, &rows).await;
    engine.handle().file().await.unwrap().unwrap();
    let before = balance(&engine).await;
    let mut other = rows[500];
    other.value = Value::Register(1);
    send(&engine, &[other]).await;
    // The energy over the key is still measured by its neighbours; only its place in time is less well known.
    let session = QuerySession::new(std::sync::Arc::new(engine.handle()), query::Options::default()).unwrap();
    let table = session.query("SELECT count(*) AS n FROM readings WHERE verdict = 'conflict'").await.unwrap();
    let text = arrow::util::pretty::pretty_format_batches(&table.batches).unwrap().to_string();
    assert!(text.contains("| 2 |"), "{text}");
    audited(&engine).await;
    let difference = before - balance(&engine).await;
    assert!(difference.0.abs() < 1_000_000_000, "{difference}");
    engine.close().await.unwrap();
}

#[tokio::test]
async fn a_key_in_quarantine_stays_there_however_often_its_values_are_sent() {
    let folder = tempfile::tempdir().unwrap();
    site(folder.path()).await;
    let engine = open(folder.path()).await;
    let rows = &readings()[..10];
    let mut other = rows[9];
    other.value = Value::Register(1);
    send(&engine, &rows[..9]).await;
    let before = balance(&engine).await;
    send(&engine, &[rows[9], other]).await;
    assert_eq!(balance(&engine).await, before);
    for _ in 0..2 {
        send(&engine, &[rows[9]]).await;
        assert_eq!(balance(&engine).await, before, "the last key of all, in quarantine");
    }
    audited(&engine).await;
    engine.close().await.unwrap();
}

#[tokio::test]
async fn a_payment_sent_five_times_posts_once_and_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    site(folder.path()).await;
    let engine = open(folder.path()).await;
    let top_up = |amount| {
        TopUp::over_the_counter(ACCOUNT, Amount::parse(amount).unwrap(), "key-1", "cash", "test", clock().now())
    };
    let handle = engine.handle();
    let sends = (0..5).map(|_| handle.top_up(top_up("100")));
    let outcomes: Vec<TopUpOutcome> =
        futures::future::join_all(sends).await.into_iter().map(|sent| sent.unwrap().unwrap()).collect();
    let posted = outcomes.iter().filter(|outcome| matches!(outcome, TopUpOutcome::Posted { .. })).count();
    assert_eq!(posted, 1, "{outcomes:?}");
    assert!(handle.top_up(top_up("101")).await.unwrap().is_err());
    drop(handle);
    engine.close().await.unwrap();
    let engine = open(folder.path()).await;
    assert_eq!(balance(&engine).await, Amount::parse("100").unwrap());
    audited(&engine).await;
    engine.close().await.unwrap();
}

#[tokio::test]
async fn a_second_process_on_the_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path()).await;
    let second = Engine::open(folder.path(), Options::new(clock())).await;
    assert!(second.err().unwrap().to_string().contains("in use by another meterledger"));
    engine.close().await.unwrap();
}

#[path = "tests_orders.rs"]
mod orders;

#[path = "tests_apply.rs"]
mod apply;

#[path = "tests_periods.rs"]
mod periods;

#[path = "tests_corrections.rs"]
mod corrections;

#[path = "tests_gas.rs"]
mod gas;

#[path = "tests_money.rs"]
mod money;

#[path = "tests_quality.rs"]
mod quality;

#[path = "tests_registers.rs"]
mod registers;

#[path = "tests_tariffs.rs"]
mod tariffs;

#[path = "tests_components.rs"]
mod components;

#[path = "tests_bills.rs"]
mod bills;

#[path = "tests_component_audits.rs"]
mod component_audits;

#[path = "tests_demand.rs"]
mod demand;

#[path = "tests_recharge.rs"]
mod recharge;

#[path = "tests_gaps.rs"]
mod gaps;

#[path = "tests_rerate.rs"]
mod rerate;

#[path = "tests_units.rs"]
mod units;

#[path = "tests_pool.rs"]
mod pool;
