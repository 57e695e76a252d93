//! Any order, delay, repetition, filing, restart and crash of the same readings leaves one ledger: random ones, by seed.

use std::collections::BTreeMap;
use std::path::Path;

use kernel::id::MeterId;
use kernel::money::Amount;
use kernel::reading::{Instruments, Reading, Value};
use kernel::time::{DAY, HOUR, MINUTE, Moment};

use super::{ACCOUNT, MARCH, audited, balance, clock, open, send, site};
use crate::book::payments::TopUp;
use crate::engine::Engine;

/// Numbers from a seed (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

fn register(time: i64, count: i64) -> Reading {
    let value = Value::Register(count);
    Reading { meter: MeterId(1), time: Moment(time), value, instruments: Instruments::default() }
}

/// Readings of three months with holes (a whole month among them, now and then), glitches, dates in the future, and a
/// second value for some keys.
fn readings(random: &mut Random) -> Vec<Reading> {
    let (mut rows, mut time, mut count) = (Vec::new(), MARCH - 31 * DAY, 5_000);
    while time < MARCH + 59 * DAY {
        let step = [15 * MINUTE, HOUR, 9 * HOUR, DAY, 3 * DAY, 33 * DAY]
            [[0, 1, 1, 2, 2, 3, 3, 4, 1, 2, 3, 5][random.below(12)]];
        time += step;
        count += i64::try_from(random.below(40)).unwrap() * (step / HOUR).max(1);
        rows.push(register(time, count));
        match random.below(40) {
            0 => rows.push(register(time, count + 7)),
            1 => rows.push(register(time + MINUTE, 9_999_999)),
            2 => rows.push(register(time + 2 * MINUTE, 3)),
            3 => rows.push(register(MARCH + 200 * DAY + time % DAY, count)),
            _ => {}
        }
    }
    rows.retain(|row| row.time.0 < MARCH + 59 * DAY || row.time.0 > MARCH + 100 * DAY);
    rows
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    // There is no lake before the first filing.
    for entry in std::fs::read_dir(from).into_iter().flatten() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else if let Err(error) = std::fs::copy(&path, &target) {
            // A draft that was renamed meanwhile.
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}");
        }
    }
}

/// Opens what a crash would have left of a running engine, in the midst of anything: the book as of one moment, and
/// the files and the log, which never run behind it.
pub(super) async fn crash(engine: Engine, folder: &Path) -> (Engine, tempfile::TempDir) {
    let left = tempfile::tempdir().unwrap();
    let image = format!("VACUUM INTO '{}'", left.path().join(crate::book::FILE).display());
    let url = format!("sqlite:{}", folder.join(crate::book::FILE).display());
    let mut book = <sqlx::AnyConnection as sqlx::Connection>::connect(&url).await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(image)).execute(&mut book).await.unwrap();
    copy(&folder.join("lake"), &left.path().join("lake"));
    copy(&folder.join("wal"), &left.path().join("wal"));
    engine.close().await.unwrap();
    (open(left.path()).await, left)
}

async fn verdicts(engine: &Engine) -> String {
    let session =
        crate::query::QuerySession::new(std::sync::Arc::new(engine.handle()), crate::query::Options::default());
    let sql =
        "SELECT DISTINCT time, register_count, verdict FROM readings WHERE verdict <> 'duplicate' ORDER BY 1, 2, 3";
    let table = session.unwrap().query(sql).await.unwrap();
    arrow::util::pretty::pretty_format_batches(&table.batches).unwrap().to_string()
}

async fn check(seed: u64) {
    println!("seed {seed}");
    let mut random = Random(seed);
    let rows = readings(&mut random);
    let paid = Amount::parse("25").unwrap();

    let folder = tempfile::tempdir().unwrap();
    site(folder.path()).await;
    let engine = open(folder.path()).await;
    let mut sorted = rows.clone();
    sorted.sort_by_key(|row| row.time);
    send(&engine, &sorted).await;
    let (expected, judged) = (balance(&engine).await, verdicts(&engine).await);
    engine.close().await.unwrap();

    // The same rows in pieces; some late, some twice.
    let mut pieces: Vec<Vec<Reading>> = rows.chunks(1 + rows.len() / 12).map(<[Reading]>::to_vec).collect();
    for _ in 0..random.below(4) {
        let again = pieces[random.below(pieces.len())].clone();
        pieces.push(again);
    }
    if random.below(2) == 0 {
        random.shuffle(&mut pieces);
    }
    let (one, other) = (random.below(pieces.len()), random.below(pieces.len()));
    let moved = pieces[one].pop();
    pieces[other].extend(moved);
    if random.below(2) == 0 {
        pieces.iter_mut().for_each(|piece| random.shuffle(piece));
    }
    let mut folder = tempfile::tempdir().unwrap();
    site(folder.path()).await;
    let mut engine = open(folder.path()).await;
    let mut steps = BTreeMap::new();
    let mut topped_up = Amount::ZERO;
    for (index, piece) in pieces.iter().enumerate() {
        let step = random.below(7);
        *steps.entry(step).or_insert(0) += 1;
        let handle = engine.handle();
        match step {
            0 => handle.file().await.unwrap().unwrap(),
            1 => {
                engine.close().await.unwrap();
                engine = open(folder.path()).await;
            }
            2 => {
                let key = format!("key-{index}");
                let top_up = TopUp::over_the_counter(ACCOUNT, paid, &key, "cash", "test", clock().now());
                handle.top_up(top_up).await.unwrap().unwrap();
                topped_up += paid;
            }
            3 => {
                // Acknowledged, perhaps priced, perhaps half filed: then the crash.
                let batch = super::batch(piece, clock().now());
                engine.appender().append(batch).await.unwrap();
                let filing = tokio::spawn(async move { handle.file().await });
                for _ in 0..random.below(30) {
                    tokio::task::yield_now().await;
                }
                (engine, folder) = crash(engine, folder.path()).await;
                drop(filing);
            }
            _ => {}
        }
        send(&engine, piece).await;
    }
    let found = verdicts(&engine).await;
    for (found, judged) in found.lines().zip(judged.lines()) {
        assert_eq!(found, judged, "seed {seed}, steps {steps:?}");
    }
    assert_eq!(balance(&engine).await - topped_up, expected, "seed {seed}, steps {steps:?}");
    audited(&engine).await;
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn random_orders_filings_restarts_and_crashes_give_the_ledger_of_one_clean_run() {
    let seeds = match std::env::var("METERLEDGER_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        // Seed 2 found a quarantined key that was billed when it was sent a third time.
        Err(_) => vec![2, 5],
    };
    for seed in seeds {
        check(seed).await;
    }
}

/// The balance after batches in this order.
async fn balance_after(batches: &[&[Reading]]) -> Amount {
    let folder = tempfile::tempdir().unwrap();
    site(folder.path()).await;
    let engine = open(folder.path()).await;
    for rows in batches {
        send(&engine, rows).await;
    }
    let balance = balance(&engine).await;
    engine.close().await.unwrap();
    balance
}

#[tokio::test]
async fn a_reading_from_the_future_begins_no_month() {
    let rows = super::readings();
    let future = [register(MARCH + 200 * DAY, 1)];
    let expected = balance_after(&[&rows]).await;
    let (before, missing, after) = (&rows[..1_010], &rows[1_010..1_090], &rows[1_090..]);
    let found = balance_after(&[before, &future, &after[..200], missing, &after[200..]]).await;
    assert_eq!(found, expected, "the late readings of March are billed from its beginning");
}
