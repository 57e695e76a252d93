//! Wallets in units: bought, used, held, given back, undone and ended, each audited.

use std::path::Path;

use kernel::money::{Amount, Price};
use kernel::reading::Reading;
use kernel::tariff::{Band, DayPlan, Rule, TariffVersion};
use kernel::time::{DAY, Moment};
use sqlx::Row as _;
use wal::clock::Clock;

use super::{ACCOUNT, MARCH, audited, batch, readings, site, version};
use crate::billing::closing::{CloseAccount, ClosedAccount};
use crate::book::orders::{Captured, Order, Original, Request};
use crate::book::payments::TopUp;
use crate::book::{Book, bulk};
use crate::engine::{Engine, Options};
use crate::query::{self, QuerySession, audit};

/// From here on the second price holds.
const DEARER: i64 = MARCH + 3 * DAY;

fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

fn priced(id: u32, from: i64, price: i64) -> TariffVersion {
    let year = Rule { plan: DayPlan::single(Band::Single), ..version().rules[0].clone() };
    let mut row = [None; Band::ALL.len()];
    row[Band::Single as usize] = Some(Price(price));
    let id = kernel::id::TariffVersionId(id);
    TariffVersion { id, valid_from: Moment(from), rules: vec![year], tiers: None, prices: vec![row], ..version() }
}

/// The small site, its account in kWh: 0.5583 a kWh, from 4 March on 0.70; one person refunds up to 1,000.
async fn unit_site(folder: &Path) {
    site(folder).await;
    let book = Book::open(folder).await.unwrap();
    let mut tx = book.begin().await.unwrap();
    super::execute(&mut tx, "DELETE FROM tariff_versions").await;
    for (id, from, price) in [(1, 0, 558_300), (2, DEARER, 700_000)] {
        let definition = serde_json::to_string(&priced(id, from, price)).unwrap();
        let row = [[id.into(), 1_i64.into(), from.into(), definition.into(), 0_i64.into(), None::<i64>.into()]];
        let head =
            "INSERT INTO tariff_versions (id, tariff_id, valid_from, definition, published_at, superseded_at) VALUES";
        bulk::insert(&mut tx, head, "", row).await.unwrap();
    }
    super::execute(&mut tx, "INSERT INTO unit_accounts VALUES (1, 'kWh')").await;
    super::execute(&mut tx, "INSERT INTO refund_limits VALUES (1, '1000.000000000')").await;
    tx.commit().await.unwrap();
    book.close().await;
}

struct Desk {
    engine: Engine,
    clock: Clock,
}

impl Desk {
    async fn new(folder: &Path) -> Desk {
        unit_site(folder).await;
        let clock = Clock::manual(Moment(MARCH));
        Desk { engine: Engine::open(folder, Options::new(clock.clone())).await.unwrap(), clock }
    }

    async fn top_up(&self, key: &str, money: &str) -> Result<(), String> {
        let top_up = TopUp::over_the_counter(ACCOUNT, amount(money), key, "cash", "desk", self.clock.now());
        self.engine.handle().top_up(top_up).await.unwrap().map(|_| ()).map_err(|error| error.to_string())
    }

    async fn order(&self, key: &str, order: Order) -> Result<Option<i64>, String> {
        let request = Request { key: key.to_owned(), actor: "desk".to_owned(), at: self.clock.now(), order };
        let done = self.engine.handle().order(request).await.unwrap();
        done.map(|outcome| outcome.first.transfer).map_err(|error| error.to_string())
    }

    async fn refund(&self, key: &str, units: &str) -> Result<Option<i64>, String> {
        let (channel, reason) = ("cash".to_owned(), "left".to_owned());
        self.order(key, Order::Refund { account: ACCOUNT, amount: amount(units), channel, reason }).await
    }

    async fn reverse(&self, key: &str, original: Original) -> Result<Option<i64>, String> {
        self.order(key, Order::Reverse { original, amount: None, reason: "bounced".to_owned() }).await
    }

    async fn send(&self, rows: &[Reading]) {
        let seq = self.engine.appender().append(batch(rows, self.clock.now())).await.unwrap();
        self.engine.handle().settled(seq).await.unwrap().unwrap();
    }

    async fn left(&self) -> Amount {
        super::balance(&self.engine).await
    }

    async fn close(self) {
        audited(&self.engine).await;
        self.engine.close().await.unwrap();
    }

    /// Debits less credits of a ledger account.
    async fn ledger(&self, name: &str) -> Amount {
        let sql = "SELECT t.amount, d.name FROM transfers t JOIN ledger_accounts d ON d.id = t.debit_id \
                   JOIN ledger_accounts c ON c.id = t.credit_id WHERE d.name = $1 OR c.name = $1";
        let handle = self.engine.handle();
        let rows = sqlx::query(sql).bind(name.to_owned()).fetch_all(handle.book().reader()).await.unwrap();
        let signed = |row: &sqlx::any::AnyRow| {
            let moved = amount(&row.get::<String, _>(0));
            if row.get::<String, _>(1) == name { moved } else { -moved }
        };
        rows.iter().map(signed).sum()
    }

    async fn close_account(&self, at: Moment) -> ClosedAccount {
        let close = CloseAccount {
            account: ACCOUNT,
            at,
            channel: "cash".to_owned(),
            as_measured: None,
            key: "end".to_owned(),
            actor: "desk".to_owned(),
        };
        self.engine.handle().close_account(close).await.unwrap().unwrap()
    }
}

/// kWh between the first and the last of the readings.
fn used(rows: &[Reading]) -> Amount {
    let count = |row: Option<&Reading>| match row.map(|row| row.value) {
        Some(kernel::reading::Value::Register(count)) => i128::from(count),
        _ => 0,
    };
    Amount((count(rows.last()) - count(rows.first())) * 100_000_000)
}

#[tokio::test]
async fn a_price_change_does_not_change_what_was_sold_and_the_last_bought_is_given_back_first() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::new(folder.path()).await;
    desk.top_up("a", "100").await.unwrap();
    assert_eq!(desk.left().await, amount("179.115"));
    assert_eq!(desk.ledger("rounding").await, amount("-0.0000955"));
    desk.clock.advance(2 * DAY);
    let rows = &readings()[..150];
    // The later half first: some hours of it after the price has changed.
    desk.clock.advance(2 * DAY);
    desk.send(&rows[100..]).await;
    desk.send(&rows[..100]).await;
    let after = amount("179.115") - used(rows);
    assert!(after > Amount::ZERO && rows[149].time > Moment(MARCH));
    assert_eq!(desk.left().await, after);
    desk.top_up("b", "100").await.unwrap();
    assert_eq!(desk.left().await, after + amount("142.857"));
    // 142.857 at 0.70 and 7.143 at 0.5583 are 103.9878369.
    let transfer = desk.refund("r", "150").await.unwrap();
    assert_eq!(desk.left().await, after + amount("142.857") - amount("150"));
    assert_eq!(desk.ledger("cash:cash").await, amount("96.02"));
    let fraction = desk.refund("f", "0.0001").await.unwrap_err();
    assert!(fraction.contains("no whole 0.001 kWh"), "{fraction}");
    let above = desk.refund("g", "100").await.unwrap_err();
    assert!(above.contains("is refundable, 100.00 is more"), "{above}");
    let given = desk.reverse("v", Original::Payment("b".to_owned())).await.unwrap_err();
    assert!(given.contains("were refunded: reverse that refund first"), "{given}");
    audited(&desk.engine).await;
    // What was given back comes back, and the payment behind it bounces then.
    desk.reverse("w", Original::Transfer(transfer.unwrap())).await.unwrap();
    assert_eq!(desk.left().await, after + amount("142.857"));
    desk.reverse("v", Original::Payment("b".to_owned())).await.unwrap();
    assert_eq!(desk.left().await, after);
    assert_eq!(
        (desk.ledger("cash:cash").await, desk.ledger("units:electricity").await),
        (amount("100"), amount("179.115"))
    );
    assert_eq!(desk.ledger("revenue:electricity:units").await, amount("-99.9999045"));
    desk.close().await;
}

#[tokio::test]
async fn holds_bonuses_and_money_in_suspense_move_units_and_a_sale_is_undone_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::new(folder.path()).await;
    let tiny = desk.top_up("t", "0.0005").await.unwrap_err();
    assert!(tiny.contains("0.000500000 buys nothing for account A-1 at 0.558300 a kWh"), "{tiny}");
    desk.top_up("a", "55.83").await.unwrap();
    let reason = || "key card".to_owned();
    desk.order("b", Order::Bonus { account: ACCOUNT, amount: amount("5"), reason: reason() }).await.unwrap();
    let hold = Order::PlaceHold { account: ACCOUNT, amount: amount("20.5"), until: None, reason: reason() };
    desk.order("h", hold).await.unwrap();
    assert_eq!(desk.left().await, amount("84.5"));
    desk.order("c", Order::CaptureHold { hold: 1, amount: Some(amount("10")), into: Captured::Deposit }).await.unwrap();
    assert_eq!(desk.left().await, amount("95"));
    assert_eq!(desk.ledger("deposit:A-1").await, amount("-10"));
    // A bonus is never given back.
    let bonus = desk.refund("r", "90.001").await.unwrap_err();
    assert!(bonus.contains("of account A-1 90.00 is refundable"), "{bonus}");
    let (payer, channel, currency) = ("Li".to_owned(), "bank".to_owned(), "EUR".to_owned());
    desk.order("s", Order::Suspend { payer, amount: amount("11.166"), currency, channel }).await.unwrap();
    desk.clock.advance(4 * DAY);
    // It buys at the price of the day on which its owner is found.
    desk.order("g", Order::Assign { entry: "s".to_owned(), account: ACCOUNT }).await.unwrap();
    assert_eq!(desk.left().await, amount("110.951"));
    let original = || Original::Payment("a".to_owned());
    let part = Order::Reverse { original: original(), amount: Some(amount("5")), reason: reason() };
    let part = desk.order("p", part).await.unwrap_err();
    assert!(part.contains("is reversed as a whole"), "{part}");
    desk.reverse("v", original()).await.unwrap();
    assert_eq!(desk.left().await, amount("10.951"));
    let twice = desk.reverse("w", original()).await.unwrap_err();
    assert!(twice.contains("was reversed already"), "{twice}");
    let leg = desk.reverse("x", Original::Transfer(2)).await.unwrap_err();
    assert!(leg.contains("of kind unit_sale, which is not reversed"), "{leg}");
    assert_eq!(desk.left().await, amount("10.951"));
    desk.close().await;
}

#[tokio::test]
async fn a_closed_account_gets_its_unused_units_back_or_owes_units_until_it_buys_them() {
    for money in ["100", "1"] {
        let folder = tempfile::tempdir().unwrap();
        let desk = Desk::new(folder.path()).await;
        desk.top_up("a", money).await.unwrap();
        let rows = &readings()[..150];
        desk.clock.advance(2 * DAY);
        desk.send(rows).await;
        let before = desk.left().await;
        let closed = desk.close_account(rows[149].time).await;
        assert_eq!(closed.closing.balance, before);
        if money == "100" {
            assert_eq!(closed.refunded, before);
            let worth = Amount(before.0 / 1_000_000 * 558_300);
            assert_eq!(desk.ledger("cash:cash").await, amount("100") - Amount(worth.0 / 10_000_000 * 10_000_000));
            assert_eq!(desk.left().await, Amount::ZERO);
        } else {
            assert_eq!((closed.refunded, desk.ledger("arrears:A-1").await), (Amount::ZERO, -before));
            desk.top_up("b", "111.66").await.unwrap();
            // The next settlement pays what is owed.
            desk.send(&rows[149..]).await;
            let bought = amount("200");
            assert_eq!(desk.left().await, bought + before);
            assert_eq!(desk.ledger("arrears:A-1").await, Amount::ZERO);
        }
        desk.close().await;
    }
}

#[tokio::test]
async fn a_sale_at_another_price_or_of_other_units_is_found_by_the_audit() {
    for fault in [
        "UPDATE unit_sales SET price = 558301",
        "UPDATE unit_sales SET units = units - 1",
        "UPDATE unit_sales SET remainder = '0.000095501'",
        "UPDATE unit_sales SET state = 'reversed'",
        "DELETE FROM unit_sales",
        "UPDATE unit_refunds SET units = units - 1",
        "DELETE FROM unit_refunds",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let desk = Desk::new(folder.path()).await;
        desk.top_up("a", "100").await.unwrap();
        desk.refund("r", "10").await.unwrap();
        let handle = desk.engine.handle();
        let mut tx = handle.book().begin().await.unwrap();
        super::execute(&mut tx, fault).await;
        tx.commit().await.unwrap();
        let session = QuerySession::new(std::sync::Arc::new(handle), query::Options::default()).unwrap();
        assert!(audit::run_one(&session, "units_equal_sales").await.unwrap().rows > 0, "{fault}");
        drop(session);
        desk.engine.close().await.unwrap();
    }
}
