//! Orders beside usage that is not posted, the clock, and a stop in between.

use kernel::id::AccountId;
use kernel::money::Amount;
use kernel::time::{HOUR, Moment};
use wal::clock::Clock;

use super::{ACCOUNT, MARCH, audited, batch, readings, site};
use crate::billing::closing::CloseAccount;
use crate::book::orders::{Order, OrderError, Outcome, Request};
use crate::book::payments::TopUp;
use crate::engine::{Engine, Options};

fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

async fn order(engine: &Engine, clock: &Clock, key: &str, order: Order) -> Result<Outcome, OrderError> {
    let request = Request { key: key.to_owned(), actor: "desk".to_owned(), at: clock.now(), order };
    engine.handle().order(request).await.unwrap()
}

async fn state(engine: &Engine) -> (Amount, Amount) {
    let balance = engine.handle().balances().await.unwrap().get(&ACCOUNT).unwrap();
    (balance.balance, balance.held)
}

#[tokio::test]
async fn a_hold_is_off_the_balance_until_it_expires_by_the_clock_also_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    site(folder.path()).await;
    let clock = Clock::manual(Moment(MARCH));
    let open = || Engine::open(folder.path(), Options::new(clock.clone()));
    let engine = open().await.unwrap();
    let top_up = TopUp::over_the_counter(ACCOUNT, amount("50"), "p", "cash", "desk", clock.now());
    engine.handle().top_up(top_up).await.unwrap().unwrap();
    let hold = |hours: i64| Order::PlaceHold {
        account: ACCOUNT,
        amount: amount("20"),
        until: Some(Moment(MARCH + hours * HOUR)),
        reason: "key card".to_owned(),
    };
    order(&engine, &clock, "h1", hold(1)).await.unwrap();
    order(&engine, &clock, "h2", hold(2)).await.unwrap();
    assert_eq!(state(&engine).await, (amount("10"), amount("40")));
    let third = order(&engine, &clock, "h3", hold(3)).await.unwrap_err().to_string();
    assert!(third.contains("has 10.00, which is less than 20.00"), "{third}");
    clock.advance(HOUR);
    // What expired with the clock is free before anything else happens.
    order(&engine, &clock, "h3", hold(3)).await.unwrap();
    assert_eq!(state(&engine).await, (amount("10"), amount("40")));
    let late = order(&engine, &clock, "x", Order::ReleaseHold { hold: 1 }).await.unwrap_err().to_string();
    assert!(late.contains("hold 1 is expired since"), "{late}");
    engine.close().await.unwrap();
    clock.advance(HOUR);
    let engine = open().await.unwrap();
    assert_eq!(state(&engine).await, (amount("30"), amount("20")));
    audited(&engine).await;
    engine.close().await.unwrap();
}

#[tokio::test]
async fn readings_of_a_closed_account_that_come_later_make_one_debt_whatever_their_order() {
    let rows = readings();
    let at = rows[1_000].time;
    let mut debts = Vec::new();
    // All before the end; all but some hours, which come then in two pieces, the second twice.
    for late in [0..0, 900..1_100] {
        let folder = tempfile::tempdir().unwrap();
        site(folder.path()).await;
        let clock = super::clock();
        let engine = Engine::open(folder.path(), Options::new(clock.clone())).await.unwrap();
        let early: Vec<_> =
            rows.iter().enumerate().filter(|(place, _)| !late.contains(place)).map(|(_, row)| *row).collect();
        let send = async |rows: &[_]| {
            let seq = engine.appender().append(batch(rows, clock.now())).await.unwrap();
            engine.handle().settled(seq).await.unwrap().unwrap();
        };
        send(&early).await;
        let close = CloseAccount {
            account: ACCOUNT,
            at,
            channel: "cash".to_owned(),
            as_measured: None,
            key: "c".to_owned(),
            actor: "desk".to_owned(),
        };
        let closed = engine.handle().close_account(close.clone()).await.unwrap().unwrap();
        assert!(closed.closing.balance < Amount::ZERO && !closed.repeated);
        assert_eq!(state(&engine).await.0, Amount::ZERO);
        audited(&engine).await;
        if !late.is_empty() {
            let (first, second) = rows[late].split_at(100);
            for piece in [second, first, second] {
                send(piece).await;
            }
        }
        assert_eq!(state(&engine).await.0, Amount::ZERO);
        audited(&engine).await;
        assert!(engine.handle().close_account(close).await.unwrap().unwrap().repeated);
        // Its statement tells of the wallet: what is paid for the debt comes in once and goes to the debt.
        let month = engine.handle().registry().sites().next().unwrap().days.at(clock.now()).unwrap().date.month();
        let stated = async || engine.handle().statement(ACCOUNT, month).await.unwrap().unwrap().unwrap();
        let before = stated().await;
        let paid = TopUp::over_the_counter(ACCOUNT, amount("0.01"), "paid", "cash", "desk", clock.now());
        engine.handle().top_up(paid).await.unwrap().unwrap();
        let after = stated().await;
        assert_eq!(after.movements.len(), before.movements.len() + 2, "{:?}", after.movements);
        assert_eq!(after.closing(), before.closing());
        audited(&engine).await;
        engine.close().await.unwrap();
        let book = crate::book::Book::open(folder.path()).await.unwrap();
        debts.push(crate::book::closings::arrears(&book).await.unwrap()[&AccountId(1)]);
    }
    assert!(debts[0] > Amount::ZERO);
    assert_eq!(debts[0], debts[1]);
}
