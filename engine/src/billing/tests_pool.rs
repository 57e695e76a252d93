//! Tiers pooled over meters: several meters at one service point are rated as one timeline with one counter, and so are the
//! service points of an account that pools its tiers.

use std::collections::BTreeSet;
use std::sync::Arc;

use kernel::batch::Batch;
use kernel::calendar::Calendar;
use kernel::epoch::Epoch;
use kernel::id::{AccountId, EpochId, MeterId, Seq, Utility};
use kernel::money::Amount;
use kernel::reading::{Instruments, Reading, Value, Verdict};
use kernel::time::{HOUR, LocalDate, MINUTE, Moment};
use kernel::unit::Unit;

use super::apply::apply;
use super::orders::crash;
use super::periods::{approve_all, ask, close};
use super::{MARCH, audited, balance, clock, open, send, site};
use crate::billing::correct::CorrectReading;
use crate::billing::explain::Explained;
use crate::billing::pricing::Pricing;
use crate::billing::reprice::RerateOrder;
use crate::book::{Book, bulk};
use crate::engine::Engine;
use crate::query::{self, QuerySession};
use crate::rating::Span;
use crate::rating::compare::Compared;
use crate::rating::simulate::{Against, Bills, Simulated};

/// A second meter of another multiplier at the service point of the first.
async fn second_meter(folder: &std::path::Path) {
    let book = Book::open(folder).await.unwrap();
    let mut tx = book.begin().await.unwrap();
    let meter =
        "INSERT INTO meters VALUES (2, 1, 'M-2', 'test', 'electricity', 'register', 10, 1, NULL, NULL, NULL, 1, NULL)";
    super::execute(&mut tx, meter).await;
    let (definition,): (String,) =
        sqlx::query_as("SELECT definition FROM epochs WHERE id = 1").fetch_one(tx.conn()).await.unwrap();
    let first: Epoch = serde_json::from_str(&definition).unwrap();
    let second = Epoch { id: EpochId(2), meter: MeterId(2), numerator: 40, ..first };
    let definition = serde_json::to_string(&second).unwrap();
    let row = [[2_i64.into(), 2_i64.into(), 1_i64.into(), 0_i64.into(), definition.into()]];
    let head = "INSERT INTO epochs (id, meter_id, service_point_id, valid_from, definition) VALUES";
    bulk::insert(&mut tx, head, "", row).await.unwrap();
    tx.commit().await.unwrap();
    book.close().await;
}

/// Hourly counts over the seam of two months, beyond the bound of 200 kWh in each.
fn readings(meter: u32) -> Vec<Reading> {
    let row = |hour: i64| Reading {
        meter: MeterId(meter),
        time: Moment(MARCH + (hour - 120) * HOUR),
        value: Value::Register(5_000 + hour * (20 + i64::from(meter)) + hour * 7 % 13),
        instruments: Instruments::default(),
    };
    (0..240).map(row).collect()
}

#[tokio::test]
async fn meters_of_one_service_point_share_its_tiers_whatever_the_order_of_arrival() {
    let (first, second) = (readings(1), readings(2));
    let mut merged: Vec<Reading> = first.iter().chain(&second).copied().collect();
    merged.sort_by_key(|row| (row.time, row.meter));
    let turns: Vec<&[Reading]> = merged.chunks(31).collect();
    let orders: [Vec<&[Reading]>; 3] =
        [vec![&merged], vec![&second[100..], &first, &second[..120]], turns.iter().rev().copied().collect()];
    let mut balances: Vec<Amount> = Vec::new();
    for (place, order) in orders.iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        site(folder.path()).await;
        second_meter(folder.path()).await;
        let engine = open(folder.path()).await;
        for rows in order {
            send(&engine, rows).await;
        }
        balances.push(balance(&engine).await);
        if place == 1 {
            audited(&engine).await;
        }
        engine.close().await.unwrap();
    }
    assert!(balances[0] < Amount::ZERO && balances.iter().all(|balance| *balance == balances[0]), "{balances:?}");
}

/// Two shops and a kiosk of one account, each with meters of its own, whose tiers are pooled.
const SHOPS: &str = r#"
[[site]]
name = "mall"
time_zone = "Europe/Berlin"
currency = "EUR"
from = 2026-01-01

[[tariff]]
name = "power"
utility = "electricity"
[[tariff.version]]
valid_from = 2026-01-01
prices = { peak = "0.40", valley = "0.20" }
bands = { peak = ["08:00-20:00"], valley = ["20:00-08:00"] }
tiers = { period = "monthly", bounds = ["10"], surcharge = ["0", "0.10"], persons = { from = 5, adder = "4" } }

[[account]]
name = "chain"
POOLED

[[account]]
name = "other"

[[service_point]]
name = "a"
utility = "electricity"
account = "chain"
tariff = "power"

[[service_point]]
name = "b"
utility = "electricity"
SECOND

[[service_point]]
name = "c"
utility = "electricity"
account = "chain"
tariff = "power"

[[meter]]
serial = "E-1"
profile = "acrel-dtsy1352"
service_point = "a"

[[meter]]
serial = "E-2"
profile = "acrel-dtsy1352"
FIRST_OF_B

[[meter]]
serial = "E-3"
profile = "acrel-dtsy1352"
service_point = "b"
from = 2026-03-06

[[meter]]
serial = "E-4"
profile = "acrel-dtsy1352"
service_point = "c"
"#;
const CHAIN: &str = "account = \"chain\"\ntariff = \"power\"";
const FIRST_OF_B: &str = "service_point = \"b\"\nuntil = 2026-03-06\nclosing_count = 3600";

fn shops(pooled: bool, second: &str) -> String {
    let pooled = if pooled { "pooled_tiers = true" } else { "" };
    SHOPS.replace("POOLED", pooled).replace("SECOND", second).replace("FIRST_OF_B", FIRST_OF_B)
}

/// Hourly counts of 0.01 kWh from five days before March until its tenth day; some meters are silent for hours.
fn shop_readings() -> Vec<Reading> {
    let mut all = Vec::new();
    for meter in [1, 2, 3, 4_u32] {
        let step = i64::from(meter) + 4;
        for hour in -120..240_i64 {
            let row = Reading {
                meter: MeterId(meter),
                time: Moment(MARCH + hour * HOUR),
                value: Value::Register(2_000 + (hour + 120) * step + hour.rem_euclid(5)),
                instruments: Instruments::default(),
            };
            // Meter 2 is replaced by 3 on the sixth of March.
            let there = match meter {
                2 => hour < 119,
                3 => hour >= 119,
                _ => true,
            };
            let silent = meter == 4 && (30..47).contains(&hour) || meter == 1 && hour % 24 == 22;
            all.extend((there && !silent).then_some(row));
        }
    }
    all.sort_by_key(|row| (row.time, row.meter));
    all
}

/// In order; a meter at a time, the last first; in turns backwards, twice; some meters an hour or three behind.
fn arrivals() -> [Vec<Vec<Reading>>; 4] {
    let all = shop_readings();
    let of = |meter| all.iter().filter(|row| row.meter == MeterId(meter)).copied().collect::<Vec<_>>();
    let by_meter = [4, 2, 3, 1].map(of).to_vec();
    let mut turns: Vec<Vec<Reading>> = all.chunks(211).rev().map(<[Reading]>::to_vec).collect();
    turns.extend(all.chunks(500).map(<[Reading]>::to_vec));
    let mut behind = all.clone();
    behind.sort_by_key(|row| (row.time.0 + i64::from(row.meter.0 % 3) * 3 / 2 * HOUR, row.meter));
    [vec![all.clone()], by_meter, turns, behind.chunks(40).map(<[Reading]>::to_vec).collect()]
}

/// What each service point's lines come to, by tier.
async fn by_tier(engine: &Engine) -> String {
    let sql = "SELECT service_point, account, date_trunc('month', local_date) AS month, tier, sum(quantity) AS quantity, \
               sum(amount) AS amount FROM charges GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4";
    ask(engine, sql).await
}

async fn found(engine: &Engine, audit: &str) -> usize {
    let session = QuerySession::new(Arc::new(engine.handle()), query::Options::default()).unwrap();
    query::audit::run_one(&session, audit).await.unwrap().rows
}

fn all_days() -> Compared {
    let day = |month, day| LocalDate::new(2026, month, day).unwrap();
    Compared { accounts: None, span: Span { first: day(2, 1), last: day(4, 30) } }
}

/// Charges are what the intervals give, what rating over the lake gives and what `explain` gives.
async fn proven(engine: &Engine) {
    audited(engine).await;
    let repriced = engine.handle().rerate(&all_days(), None, 2).await.unwrap().unwrap();
    assert_eq!(repriced.differences, [], "what the readings cost");
    let accounts: BTreeSet<AccountId> = [AccountId(1)].into();
    let some = Compared { accounts: Some(accounts), ..all_days() };
    assert_eq!(engine.handle().rerate(&some, None, 1).await.unwrap().unwrap().differences, []);
    let Span { first, last } = all_days().span;
    let asked = Explained { account: AccountId(1), days: first..=last, line: None };
    let parts = engine.handle().explain(asked).await.unwrap().unwrap();
    let explained: Amount = parts.iter().map(|explained| explained.part.amount).sum();
    assert_eq!(explained, -balance(engine).await);
    let version = engine.handle().registry().tariff_named("power").unwrap().versions[0].as_ref().clone();
    let simulated = Simulated {
        utility: Utility::Electricity,
        unit: Unit::of(Utility::Electricity),
        version,
        calendar: Calendar::default(),
        against: Against::Accounts([AccountId(1)].into()),
        span: all_days().span,
        points_max: usize::MAX,
    };
    let simulation = engine.handle().simulate(&simulated, clock().now(), 2).await.unwrap();
    assert!(simulation.bills.values().all(|Bills { old, new }| old == new), "the same tariff costs the same");
    let simulated: Amount = simulation.bills.values().map(|bills| bills.new.amount()).sum();
    assert_eq!(simulated, explained);
}

#[tokio::test]
async fn service_points_of_an_account_share_its_tiers_whatever_the_order_of_arrival() {
    let mut ledgers: Vec<String> = Vec::new();
    for order in arrivals() {
        let mut folder = tempfile::tempdir().unwrap();
        let mut engine = open(folder.path()).await;
        apply(&engine, &shops(true, CHAIN)).await;
        for (place, rows) in order.iter().enumerate() {
            if place % 3 == 2 {
                // Acknowledged, perhaps priced, not settled: then the crash, and the same once more.
                engine.appender().append(super::batch(rows, clock().now())).await.unwrap();
                (engine, folder) = crash(engine, folder.path()).await;
            }
            send(&engine, rows).await;
            if place % 2 == 1 {
                engine.handle().file().await.unwrap().unwrap();
                engine.close().await.unwrap();
                engine = open(folder.path()).await;
            }
        }
        proven(&engine).await;
        ledgers.push(by_tier(&engine).await);
        engine.close().await.unwrap();
    }
    for ledger in &ledgers {
        assert_eq!(*ledger, ledgers[0]);
    }
    // 10 kWh at the first tier in each month, for all of them together.
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path()).await;
    apply(&engine, &shops(true, CHAIN)).await;
    send(&engine, &shop_readings()).await;
    let sql = "SELECT sum(quantity) AS kwh FROM charges WHERE tier = 1 GROUP BY date_trunc('month', local_date)";
    let text = ask(&engine, sql).await;
    assert_eq!(text.matches("| 10.000 |").count(), 2, "{text}");
    engine.close().await.unwrap();
}

#[tokio::test]
async fn a_wrong_split_of_a_pool_is_found() {
    let tier = "charges_equal_intervals_by_tier";
    for pooled in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let engine = open(folder.path()).await;
        apply(&engine, &shops(pooled, CHAIN)).await;
        send(&engine, &shop_readings()).await;
        audited(&engine).await;
        engine.close().await.unwrap();
        let book = Book::open(folder.path()).await.unwrap();
        let mut tx = book.begin().await.unwrap();
        let sql = if pooled { "DELETE FROM pooled_accounts" } else { "INSERT INTO pooled_accounts VALUES (1)" };
        super::execute(&mut tx, sql).await;
        tx.commit().await.unwrap();
        book.close().await;
        let engine = open(folder.path()).await;
        assert!(found(&engine, tier).await > 0, "split by one counter where there should be another");
        // A re-rate finds it too, and what it posts is right.
        let order = RerateOrder { actor: "finance".to_owned(), reason: "the split was wrong".to_owned() };
        let repriced = engine.handle().rerate(&all_days(), Some(&order), 2).await.unwrap().unwrap();
        assert!(!repriced.differences.is_empty());
        proven(&engine).await;
        engine.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_member_joins_and_leaves_by_its_contract() {
    let joins = "[[service_point.contract]]\naccount = \"other\"\ntariff = \"power\"\nuntil = 2026-03-03\n\
                 [[service_point.contract]]\naccount = \"chain\"\ntariff = \"power\"\nfrom = 2026-03-03\nuntil = 2026-03-08\n\
                 [[service_point.contract]]\naccount = \"other\"\ntariff = \"power\"\nfrom = 2026-03-08";
    let before = "account = \"other\"\ntariff = \"power\"";
    let mut ledgers: Vec<String> = Vec::new();
    // Known from the beginning, or applied after all was read: it reaches back, to the other members as well.
    for (place, order) in arrivals().iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let engine = open(folder.path()).await;
        apply(&engine, &shops(true, if place == 0 { joins } else { before })).await;
        for rows in order {
            send(&engine, rows).await;
        }
        if place > 0 {
            proven(&engine).await;
            apply(&engine, &shops(true, joins)).await;
        }
        proven(&engine).await;
        ledgers.push(by_tier(&engine).await);
        engine.close().await.unwrap();
    }
    for ledger in &ledgers {
        assert_eq!(*ledger, ledgers[0]);
    }
}

#[tokio::test]
async fn a_closed_month_of_a_pool_is_adjusted_where_another_member_reads_late() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path()).await;
    apply(&engine, &shops(true, CHAIN)).await;
    let (late, rest): (Vec<Reading>, Vec<Reading>) =
        shop_readings().into_iter().partition(|row| row.meter == MeterId(2) && row.time.0 < MARCH - 40 * HOUR);
    send(&engine, &rest).await;
    assert_eq!(close(&engine, "2026-02").await, "");
    let before = by_tier(&engine).await;
    send(&engine, &late).await;
    assert_eq!(by_tier(&engine).await, before, "it waits");
    audited(&engine).await;
    approve_all(&engine).await;
    proven(&engine).await;
    let ledger = by_tier(&engine).await;
    engine.close().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path()).await;
    apply(&engine, &shops(true, CHAIN)).await;
    send(&engine, &shop_readings()).await;
    assert_eq!(by_tier(&engine).await, ledger);
    engine.close().await.unwrap();
}

#[tokio::test]
async fn a_correction_of_one_member_moves_the_tiers_of_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path()).await;
    apply(&engine, &shops(true, CHAIN)).await;
    send(&engine, &shop_readings()).await;
    let before = by_tier(&engine).await;
    // At the first instant of March, so that energy goes from one month's tiers to the other's.
    let month_begins = Moment(MARCH - HOUR);
    let row = shop_readings().into_iter().find(|row| row.meter == MeterId(1) && row.time == month_begins).unwrap();
    let Value::Register(count) = row.value else { unreachable!("registers") };
    let correct = |value| CorrectReading {
        meter: row.meter,
        time: row.time,
        value,
        reason: "read by hand".to_owned(),
        actor: "reader".to_owned(),
    };
    let corrected = engine.handle().correct(correct(Some(Value::Register(count - 3)))).await;
    corrected.unwrap().unwrap();
    proven(&engine).await;
    assert_ne!(by_tier(&engine).await, before);
    engine.handle().correct(correct(Some(Value::Register(count)))).await.unwrap().unwrap();
    proven(&engine).await;
    assert_eq!(by_tier(&engine).await, before);
    engine.close().await.unwrap();
}

#[tokio::test]
async fn who_is_read_a_moment_out_of_turn_is_charged_at_once_until_a_tier_ends() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path()).await;
    apply(&engine, &shops(true, CHAIN)).await;
    let mut pricing = Pricing::default();
    pricing.follow(&engine.handle().registry());
    let mut seq = 0;
    let mut take = |meter: u32, minute: i64, count: i64| {
        let time = Moment(MARCH + minute * MINUTE);
        let mut batch = Batch { received_at: time.0 + HOUR, ..Batch::default() };
        let (value, instruments) = (Value::Register(count), Instruments::default());
        batch.push(&Reading { meter: MeterId(meter), time, value, instruments });
        seq += 1;
        pricing.price(Seq(seq), &batch)[0]
    };
    use Verdict::{Accepted, Opening, Pending};
    for (meter, minute, count, expected) in [
        // Of each meter, so that all have begun.
        (1, 0, 1_000, Opening),
        (4, 1, 1_000, Opening),
        (1, 10, 1_100, Accepted),
        (4, 11, 1_100, Accepted),
        // Meter 4 is first although its turn is later; both stay in the first 10 kWh.
        (4, 21, 1_200, Accepted),
        (1, 20, 1_200, Accepted),
        // What comes before its own last reading waits.
        (1, 15, 1_150, Pending),
        // 8 kWh are used then; with the next 3 it matters who comes first.
        (4, 31, 1_600, Accepted),
        (1, 30, 1_500, Pending),
        (4, 41, 1_900, Accepted),
    ] {
        assert_eq!(take(meter, minute, count), expected, "meter {meter} at minute {minute}");
    }
    engine.close().await.unwrap();
}
