//! Tiers pooled over meters: several meters at one service point are rated as one timeline with one counter.

use kernel::epoch::Epoch;
use kernel::id::{EpochId, MeterId};
use kernel::money::Amount;
use kernel::reading::{Instruments, Reading, Value};
use kernel::time::{HOUR, Moment};

use super::{MARCH, audited, balance, open, send, site};
use crate::book::{Book, bulk};

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
