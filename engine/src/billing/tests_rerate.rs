//! Re-rating: a healthy book differs nowhere, a damaged one is repaired once, whatever is read meanwhile.

use std::collections::BTreeSet;
use std::path::Path;

use kernel::id::AccountId;
use kernel::money::Amount;
use kernel::reading::Reading;
use kernel::time::{DAY, LocalDate, MINUTE};
use wal::clock::Clock;

use super::periods::{approve_all, close, in_order, pending};
use super::{ACCOUNT, MARCH, audited, balance, clock, open, readings, send, site};
use crate::billing::reprice::{Repriced, RerateOrder};
use crate::book::Book;
use crate::engine::{Engine, Options};
use crate::query::{self, QuerySession, audit};
use crate::rating::Span;
use crate::rating::compare::Compared;

fn day(month: u8, day: u8) -> LocalDate {
    LocalDate::new(2026, month, day).unwrap()
}

/// All days of the readings.
fn all() -> Compared {
    Compared { accounts: None, span: Span { first: day(2, 1), last: day(4, 30) } }
}

fn order(reason: &str) -> RerateOrder {
    RerateOrder { actor: "finance".to_owned(), reason: reason.to_owned() }
}

async fn rerate(engine: &Engine, compared: &Compared, posts: bool) -> Repriced {
    let order = posts.then(|| order("a line was damaged"));
    engine.handle().rerate(compared, order.as_ref(), 2).await.unwrap().unwrap()
}

fn money(repriced: &Repriced) -> Amount {
    repriced.differences.iter().flat_map(|point| point.difference.values()).map(|sum| sum.amount).sum()
}

/// A site whose readings up to `rows` are charged, but for one line of the last day that a fault made dearer by 1.5 while
/// nobody looked; the rest of the readings has followed.
async fn damaged(folder: &Path, rows: usize) -> Engine {
    site(folder).await;
    // While the day goes on its lines are open.
    let now = Clock::manual(readings()[rows - 1].time.plus(MINUTE));
    let engine = Engine::open(folder, Options::new(now)).await.unwrap();
    send(&engine, &readings()[..rows]).await;
    engine.close().await.unwrap();
    let book = Book::open_or_create(folder, 7, clock().now()).await.unwrap();
    let mut tx = book.begin().await.unwrap();
    let line =
        "SELECT local_date, band, amount FROM usage_lines WHERE transfer_id = 0 ORDER BY local_date, band LIMIT 1";
    let (date, band, amount): (i64, i64, String) = sqlx::query_as(line).fetch_one(tx.conn()).await.unwrap();
    let dearer = Amount::parse(&amount).unwrap() + Amount::parse("1.5").unwrap();
    let fault = "UPDATE usage_lines SET amount = $1 WHERE transfer_id = 0 AND local_date = $2 AND band = $3";
    let fault = sqlx::query(fault).bind(dearer.to_string()).bind(date).bind(band);
    assert_eq!(fault.execute(tx.conn()).await.unwrap().rows_affected(), 1);
    tx.commit().await.unwrap();
    book.close().await;
    let engine = open(folder).await;
    send(&engine, &readings()[rows..]).await;
    engine
}

async fn faults(engine: &Engine) -> BTreeSet<&'static str> {
    let session = QuerySession::new(std::sync::Arc::new(engine.handle()), query::Options::default()).unwrap();
    audit::run(&session).await.unwrap().into_iter().filter(|found| found.rows > 0).map(|found| found.name).collect()
}

async fn count(engine: &Engine, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(engine.handle().book().reader()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_book_differs_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    site(folder.path()).await;
    let engine = open(folder.path()).await;
    let (late, rows): (Vec<Reading>, Vec<Reading>) =
        readings().iter().partition(|row| (MARCH + 5 * DAY..MARCH + 8 * DAY).contains(&row.time.0));
    // Out of order, partly filed, partly hot.
    for piece in [&rows[700..1_300], &rows[..700], &rows[1_300..1_701]] {
        send(&engine, piece).await;
        engine.handle().file().await.unwrap().unwrap();
    }
    send(&engine, &rows[1_701..]).await;
    let before = balance(&engine).await;
    for (first, last) in [(day(2, 1), day(4, 30)), (day(3, 3), day(3, 9)), (day(4, 1), day(4, 1))] {
        let compared = Compared { accounts: None, span: Span { first, last } };
        for posts in [false, true] {
            let repriced = rerate(&engine, &compared, posts).await;
            assert_eq!((repriced.points, repriced.differences), (1, Vec::new()), "{first} to {last}");
            assert!(repriced.readings > 0);
        }
    }
    // What waits for approval, and what was rejected, is known.
    assert_eq!((close(&engine, "2026-02").await, close(&engine, "2026-03").await), (String::new(), String::new()));
    send(&engine, &late).await;
    assert_eq!(pending(&engine).await.len(), 1);
    assert!(rerate(&engine, &all(), true).await.differences.is_empty());
    engine.handle().decide_adjustment(pending(&engine).await[0], false, "second", "no").await.unwrap().unwrap();
    assert!(rerate(&engine, &all(), true).await.differences.is_empty());
    assert_eq!(balance(&engine).await, before);
    assert_eq!(count(&engine, "SELECT COUNT(*) FROM audit_log WHERE kind = 'rerate'").await, 0);
    audited(&engine).await;
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_line_is_repaired_once_through_a_linked_difference() {
    let folder = tempfile::tempdir().unwrap();
    let engine = damaged(folder.path(), 900).await;
    let expected = in_order(&readings()).await;
    assert!(faults(&engine).await.contains("prices_recomputed"), "the audit sees the fault");
    let extra = Amount::parse("1.5").unwrap();
    assert_eq!(balance(&engine).await, expected - extra);
    // Another account, or other days, have nothing to do with it.
    let nobody = Compared { accounts: Some(BTreeSet::from([AccountId(9)])), ..all() };
    assert_eq!(rerate(&engine, &nobody, false).await.points, 0);
    let later = Compared { accounts: None, span: Span { first: day(4, 1), last: day(4, 9) } };
    assert!(rerate(&engine, &later, false).await.differences.is_empty());
    let refused = engine.handle().rerate(&all(), Some(&order(" ")), 2).await.unwrap();
    assert!(refused.unwrap_err().to_string().contains("without a reason"));
    assert_eq!(money(&rerate(&engine, &all(), false).await), -extra, "shown");
    assert_eq!(balance(&engine).await, expected - extra, "and nothing changed");
    let linked = "SELECT COUNT(*) FROM transfers d JOIN transfers u ON u.id = d.linked_id \
                  WHERE d.kind = 'usage_difference' AND u.local_date = d.local_date";
    let before = count(&engine, linked).await;
    let of_account = Compared { accounts: Some(BTreeSet::from([ACCOUNT])), ..all() };
    assert_eq!(money(&rerate(&engine, &of_account, true).await), -extra);
    assert_eq!(balance(&engine).await, expected);
    assert_eq!(count(&engine, linked).await, before + 1);
    assert_eq!(count(&engine, "SELECT COUNT(*) FROM audit_log WHERE kind = 'rerate' AND actor = 'finance'").await, 1);
    assert!(rerate(&engine, &all(), true).await.differences.is_empty(), "a second run finds nothing");
    audited(&engine).await;
    engine.close().await.unwrap();
    let engine = open(folder.path()).await;
    assert_eq!(balance(&engine).await, expected);
    assert!(rerate(&engine, &all(), false).await.differences.is_empty());
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_closed_month_the_difference_waits_for_another_person() {
    let folder = tempfile::tempdir().unwrap();
    let engine = damaged(folder.path(), 900).await;
    assert_eq!((close(&engine, "2026-02").await, close(&engine, "2026-03").await), (String::new(), String::new()));
    let before = balance(&engine).await;
    assert_eq!(rerate(&engine, &all(), true).await.differences.len(), 1);
    assert_eq!(balance(&engine).await, before);
    let cause = "SELECT COUNT(*) FROM adjustments WHERE state = 'pending' AND cause = 'rerate' AND actor = 'finance'";
    assert_eq!(count(&engine, cause).await, 1);
    assert!(rerate(&engine, &all(), true).await.differences.is_empty(), "it waits already");
    let decided = engine.handle().decide_adjustment(pending(&engine).await[0], true, "finance", "mine").await.unwrap();
    assert!(decided.unwrap_err().to_string().contains("another person"));
    approve_all(&engine).await;
    assert_eq!(balance(&engine).await, in_order(&readings()).await);
    assert!(rerate(&engine, &all(), true).await.differences.is_empty());
    audited(&engine).await;
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn readings_that_come_meanwhile_are_priced_once_wherever_they_are_dated() {
    for seed in 1_usize..=2 {
        println!("seed {seed}");
        let folder = tempfile::tempdir().unwrap();
        let rows = readings();
        // Some of the span come while it is re-rated, and some after its end.
        let comes =
            |index: &usize| *index > 1_500 || ((index * seed).is_multiple_of(7) && (300..1_200).contains(index));
        let (late, early): (Vec<usize>, Vec<usize>) = (0..rows.len()).partition(comes);
        let pick = |places: &[usize]| -> Vec<Reading> { places.iter().map(|place| rows[*place]).collect() };
        site(folder.path()).await;
        let engine = open(folder.path()).await;
        send(&engine, &pick(&early)).await;
        let running = async {
            for _ in 0..4 {
                assert!(rerate(&engine, &all(), true).await.differences.is_empty(), "nothing was wrong");
            }
        };
        let arriving = async {
            for places in late.chunks(60) {
                send(&engine, &pick(places)).await;
                if places.len() % 2 == seed % 2 {
                    engine.handle().file().await.unwrap().unwrap();
                }
            }
        };
        tokio::join!(running, arriving);
        assert!(rerate(&engine, &all(), true).await.differences.is_empty());
        assert_eq!(balance(&engine).await, in_order(&rows).await, "seed {seed}");
        audited(&engine).await;
        engine.close().await.unwrap();
    }
}
