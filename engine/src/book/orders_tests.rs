use super::*;
use crate::book::payments::{PaymentError, TopUp, post_top_up};
use crate::book::refunds::{Decided, Decision, decide, refundable};
use crate::book::{Book, chain, ledger};

async fn book() -> (tempfile::TempDir, Book) {
    let folder = tempfile::tempdir().unwrap();
    let book = Book::create(folder.path(), 1, Moment(0)).await.unwrap();
    let mut tx = book.begin().await.unwrap();
    for sql in [
        "INSERT INTO sites (id, name, title, time_zone, currency, mode, created_at) \
         VALUES (1, 's', 'S', 'UTC', 'CNY', 'off', 0), (2, 'e', 'E', 'UTC', 'EUR', 'off', 0)",
        "INSERT INTO accounts (id, site_id, name, holder, kind, credit_limit, cutoff_enabled, opened_at, closed_at) \
         VALUES (4, 1, 'A-1', 'Lin', 'prepaid', '0', 1, 0, NULL), (5, 1, 'A-2', 'Wu', 'prepaid', '0', 1, 0, NULL), \
         (6, 2, 'E-1', 'Ulm', 'prepaid', '0', 1, 0, NULL), (7, 1, 'A-3', 'Ma', 'prepaid', '0', 1, 0, 8)",
    ] {
        sqlx::query(sql).execute(tx.conn()).await.unwrap();
    }
    tx.commit().await.unwrap();
    (folder, book)
}

const ONE: AccountId = AccountId(4);

fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

/// What a wallet has left, less `used`.
async fn left(book: &Book, account: AccountId, used: &str) -> Amount {
    let held = holds::standing_of(book, account).await.unwrap();
    let held = held.iter().fold(Amount::ZERO, |sum, hold| sum + hold.amount);
    ledger::wallet(book, account).await.unwrap() - held - amount(used)
}

async fn give(book: &Book, key: &str, order: Order) -> Result<Outcome, OrderError> {
    give_with(book, key, order, "0").await
}

async fn give_with(book: &Book, key: &str, order: Order, used: &str) -> Result<Outcome, OrderError> {
    let balance = left(book, ONE, used).await;
    let request = Request { key: key.to_owned(), actor: "desk".to_owned(), at: Moment(9), order };
    let mut tx = book.begin().await?;
    let outcome = carry_out(&mut tx, &mut LedgerAccounts::default(), &request, &|_| balance).await?;
    tx.commit().await?;
    Ok(outcome)
}

async fn top_up(book: &Book, sum: &str, key: &str) -> Result<(), PaymentError> {
    let top_up = TopUp::over_the_counter(ONE, amount(sum), key, "cash", "desk", Moment(9));
    let mut tx = book.begin().await?;
    post_top_up(&mut tx, &mut LedgerAccounts::default(), top_up).await?;
    tx.commit().await?;
    Ok(())
}

async fn decided(book: &Book, refund: i64, approve: bool, actor: &str, used: &str) -> Result<Decided, OrderError> {
    let balance = left(book, ONE, used).await;
    let decision = Decision { refund, approve, actor: actor.to_owned(), at: Moment(10) };
    let mut tx = book.begin().await?;
    let (_, decided) = decide(&mut tx, &mut LedgerAccounts::default(), &decision, &|_| balance).await?;
    tx.commit().await?;
    Ok(decided)
}

fn bonus(sum: &str) -> Order {
    Order::Bonus { account: ONE, amount: amount(sum), reason: "opening".to_owned() }
}

fn hold(sum: &str) -> Order {
    Order::PlaceHold { account: ONE, amount: amount(sum), until: None, reason: "key card".to_owned() }
}

fn capture(hold: i64, sum: Option<&str>) -> Order {
    Order::CaptureHold { hold, amount: sum.map(amount), into: Captured::Deposit }
}

fn reverse(transfer: i64, sum: Option<&str>) -> Order {
    Order::Reverse { original: Original::Transfer(transfer), amount: sum.map(amount), reason: "typed wrongly".into() }
}

fn refund(sum: &str) -> Order {
    Order::Refund { account: ONE, amount: amount(sum), channel: "cash".into(), reason: "moves out".into() }
}

fn suspend(sum: &str) -> Order {
    Order::Suspend { payer: "Lyn".into(), amount: amount(sum), currency: "CNY".into(), channel: "bank".into() }
}

fn assign(entry: &str, account: u32) -> Order {
    Order::Assign { entry: entry.to_owned(), account: AccountId(account) }
}

async fn allow_refunds(book: &Book, limit: &'static str) {
    let mut tx = book.begin().await.unwrap();
    let insert = sqlx::query("INSERT INTO refund_limits (id, amount) VALUES (1, $1)").bind(limit);
    insert.execute(tx.conn()).await.unwrap();
    tx.commit().await.unwrap();
}

/// Debits minus credits of each ledger account that is not even.
async fn trial_balance(book: &Book) -> Vec<(String, String)> {
    let sql = "SELECT l.name, t.amount, l.id = t.debit_id FROM transfers t \
               JOIN ledger_accounts l ON l.id = t.debit_id OR l.id = t.credit_id";
    let rows: Vec<(String, String, i64)> = sqlx::query_as(sql).fetch_all(book.reader()).await.unwrap();
    let mut sums = std::collections::BTreeMap::<String, Amount>::new();
    for (name, text, debit) in rows {
        let sum = sums.entry(name).or_default();
        *sum += if debit == 1 { amount(&text) } else { -amount(&text) };
    }
    assert_eq!(sums.values().fold(Amount::ZERO, |sum, amount| sum + *amount), Amount::ZERO);
    let uneven = sums.into_iter().filter(|(_, sum)| *sum != Amount::ZERO);
    uneven.map(|(name, sum)| (name, format!("{sum:.2}"))).collect()
}

async fn expect(book: &Book, expected: &[(&str, &str)]) {
    let expected: Vec<_> = expected.iter().map(|(name, sum)| ((*name).to_owned(), (*sum).to_owned())).collect();
    assert_eq!(trial_balance(book).await, expected);
    assert_eq!(chain::verify(book).await.unwrap().faults, vec![]);
}

#[tokio::test]
async fn every_order_sent_five_times_at_once_is_carried_out_once_and_gives_the_first_result() {
    let (_folder, book) = book().await;
    top_up(&book, "100", "paid").await.unwrap();
    allow_refunds(&book, "10").await;
    for (key, order) in [
        ("bonus", bonus("7")),
        ("hold", hold("20")),
        ("capture", capture(1, Some("15"))),
        ("second hold", hold("5")),
        ("release", Order::ReleaseHold { hold: 2 }),
        ("reversal", reverse(2, None)),
        ("refund", refund("10")),
        ("suspense", suspend("30")),
        ("assignment", assign("suspense", 4)),
    ] {
        let sent = (0..5).map(|_| give(&book, key, order.clone()));
        let outcomes: Vec<Outcome> =
            futures::future::join_all(sent).await.into_iter().map(|outcome| outcome.unwrap()).collect();
        assert_eq!(outcomes.iter().filter(|outcome| !outcome.repeated).count(), 1, "{key}");
        assert!(outcomes.iter().all(|outcome| outcome.first == outcomes[0].first), "{key}");
    }
    // 100 - 15 as a deposit - 10 refunded + 30 found; the bonus was given and taken back.
    let cash = [("cash:bank", "30.00"), ("cash:cash", "90.00"), ("deposit:A-1", "-15.00"), ("wallet:A-1", "-105.00")];
    expect(&book, &cash).await;
}

#[tokio::test]
async fn a_key_is_for_one_content_whatever_the_command() {
    let (_folder, book) = book().await;
    top_up(&book, "100", "paid").await.unwrap();
    give(&book, "k", hold("20")).await.unwrap();
    for order in [hold("21"), bonus("20"), refund("20"), suspend("20"), reverse(1, None), capture(1, None)] {
        let error = give(&book, "k", order).await.unwrap_err().to_string();
        assert!(error.contains("key \"k\" was used for another hold"), "{error}");
    }
    let error = give(&book, "paid", hold("20")).await.unwrap_err().to_string();
    assert!(error.contains("was used for another topup"), "{error}");
    let error = top_up(&book, "5", "k").await.unwrap_err();
    assert!(matches!(error, PaymentError::Key(KeyError::Reused { .. })), "{error}");
    let long = "x".repeat(201);
    for key in ["", " k", "k\n", &long] {
        let error = give(&book, key, hold("20")).await.unwrap_err();
        assert!(matches!(error, OrderError::Key(KeyError::Unfit(_))), "{error}");
    }
}

#[tokio::test]
async fn a_hold_ends_once_and_never_gives_more_than_it_holds() {
    let (_folder, book) = book().await;
    top_up(&book, "100", "paid").await.unwrap();
    give(&book, "h1", hold("60")).await.unwrap();
    let at_once = Order::PlaceHold { account: ONE, amount: amount("1"), until: Some(Moment(9)), reason: "r".into() };
    for (order, expected) in [
        (hold("40.01"), "has 40.00, which is less than 40.01"),
        (hold("0"), "is not above zero"),
        (at_once, "has expired already"),
        (capture(1, Some("60.01")), "hold 1 is of 60.00: 60.01 cannot be taken"),
        (capture(1, Some("-1")), "is not above zero"),
        (capture(7, None), "there is no hold 7"),
        (Order::ReleaseHold { hold: 7 }, "there is no hold 7"),
        (Order::PlaceHold { account: AccountId(7), amount: amount("1"), until: None, reason: "r".into() }, "is closed"),
        (
            Order::PlaceHold { account: ONE, amount: amount("1"), until: None, reason: " ".into() },
            "the reason is missing",
        ),
    ] {
        let error = give(&book, "bad", order).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    give(&book, "c1", capture(1, Some("25"))).await.unwrap();
    assert_eq!(left(&book, ONE, "0").await, amount("75"));
    for order in [capture(1, Some("1")), Order::ReleaseHold { hold: 1 }] {
        let error = give(&book, "again", order).await.unwrap_err().to_string();
        assert!(error.contains("hold 1 is captured since") && error.contains("ends once"), "{error}");
    }
    expect(&book, &[("cash:cash", "100.00"), ("deposit:A-1", "-25.00"), ("wallet:A-1", "-75.00")]).await;
}

#[tokio::test]
async fn a_reversal_is_linked_and_never_more_than_the_original() {
    let (_folder, book) = book().await;
    top_up(&book, "100", "paid").await.unwrap();
    give(&book, "b", bonus("10")).await.unwrap();
    for (order, expected) in [
        (reverse(9, None), "there is no transfer 9"),
        (reverse(2, Some("10.01")), "10.00 can still be reversed: 10.01 is more"),
        (reverse(2, Some("0")), "is not above zero"),
        (
            Order::Reverse { original: Original::Payment("none".into()), amount: None, reason: "r".into() },
            "no posted payment of key \"none\"",
        ),
    ] {
        let error = give(&book, "bad", order).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    // A bonus is taken back part by part, a payment once.
    give(&book, "r1", reverse(2, Some("4"))).await.unwrap();
    give(&book, "r2", reverse(2, Some("5.50"))).await.unwrap();
    let error = give(&book, "r3", reverse(2, Some("0.51"))).await.unwrap_err().to_string();
    assert!(error.contains("0.50 can still be reversed"), "{error}");
    give(&book, "r4", reverse(2, None)).await.unwrap();
    let payment = Order::Reverse { original: Original::Payment("paid".into()), amount: None, reason: "bounced".into() };
    let done = give(&book, "r5", payment.clone()).await.unwrap();
    assert_eq!((done.first.transfer, done.first.subject), (Some(6), Some(1)));
    for order in [payment, reverse(1, Some("1")), reverse(2, None)] {
        let error = give(&book, "twice", order).await.unwrap_err().to_string();
        assert!(error.contains("was reversed already"), "{error}");
    }
    let error = give(&book, "back", reverse(6, None)).await.unwrap_err().to_string();
    assert!(error.contains("is of kind reversal, which is not reversed"), "{error}");
    expect(&book, &[]).await;
}

#[tokio::test]
async fn only_cash_that_was_paid_in_and_not_used_is_refundable() {
    // Paid, given, used (and not posted), held: refundable.
    for (paid, given, used, held, expected) in [
        ("100", None, "0", None, "100"),
        ("100", Some("20"), "0", None, "100"),
        // Cash is used first.
        ("100", Some("20"), "30", None, "70"),
        ("100", Some("20"), "30", Some("25"), "45"),
        ("100", Some("20"), "110", None, "0"),
        ("100", None, "130", None, "0"),
        // What usage gives back is no cash that was paid in.
        ("100", None, "-5", None, "100"),
    ] {
        let (_folder, book) = book().await;
        top_up(&book, paid, "paid").await.unwrap();
        if let Some(given) = given {
            give(&book, "b", bonus(given)).await.unwrap();
        }
        if let Some(held) = held {
            give(&book, "h", hold(held)).await.unwrap();
        }
        let balance = left(&book, ONE, used).await;
        let mut tx = book.begin().await.unwrap();
        let found = refundable(&mut tx, ONE, balance).await.unwrap();
        assert_eq!(found, amount(expected), "{paid} {given:?} {used} {held:?}");
        drop(tx);
        let above = give_with(&book, "r", refund(&format!("{expected}.01")), used).await.unwrap_err().to_string();
        assert!(above.contains("is refundable") && above.contains("no bonus and no adjustment"), "{above}");
    }
}

#[tokio::test]
async fn a_refund_above_the_limit_waits_for_a_second_person() {
    let (_folder, book) = book().await;
    top_up(&book, "100", "paid").await.unwrap();
    let asked = give(&book, "r1", refund("10")).await.unwrap();
    assert_eq!((asked.first.transfer, asked.first.subject), (None, Some(1)), "without a limit: always");
    allow_refunds(&book, "20.00").await;
    assert_eq!(give(&book, "r2", refund("20")).await.unwrap().first.transfer, Some(2));
    assert_eq!(give(&book, "r3", refund("20.01")).await.unwrap().first.transfer, None);
    let error = decided(&book, 1, true, "desk", "0").await.unwrap_err().to_string();
    assert!(error.contains("desk asked for refund 1: a second person must approve it"), "{error}");
    // 80 are left; 65 were used since.
    let error = decided(&book, 3, true, "head", "65").await.unwrap_err().to_string();
    assert!(error.contains("15.00 is refundable, 20.01 is more"), "{error}");
    assert_eq!(decided(&book, 3, false, "desk", "65").await.unwrap(), Decided::Rejected);
    assert_eq!(decided(&book, 1, true, "head", "65").await.unwrap(), Decided::Paid { transfer: 3 });
    assert_eq!(decided(&book, 1, true, "desk", "65").await.unwrap(), Decided::Before);
    for (refund, approve, expected) in
        [(3, true, "is rejected already"), (1, false, "is paid already"), (9, true, "no refund 9")]
    {
        let error = decided(&book, refund, approve, "head", "0").await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    expect(&book, &[("cash:cash", "70.00"), ("wallet:A-1", "-70.00")]).await;
    // It never arrived: the money is the customer's again.
    give(&book, "back", reverse(3, None)).await.unwrap();
    let error = give(&book, "part", reverse(2, Some("1"))).await.unwrap_err().to_string();
    assert!(error.contains("is reversed as a whole"), "{error}");
    expect(&book, &[("cash:cash", "80.00"), ("wallet:A-1", "-80.00")]).await;
}

#[tokio::test]
async fn money_without_an_owner_is_listed_until_it_has_one_and_nothing_is_lost() {
    let (_folder, book) = book().await;
    give(&book, "s1", suspend("30")).await.unwrap();
    give(&book, "s2", suspend("12.50")).await.unwrap();
    expect(&book, &[("cash:bank", "42.50"), ("suspense", "-42.50")]).await;
    for (order, expected) in [
        (assign("s9", 4), "no money in suspense came under key \"s9\""),
        (assign("s1", 6), "is in CNY, account E-1 in EUR"),
        (assign("s1", 9), "there is no account 9"),
    ] {
        let error = give(&book, "bad", order).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let done = give(&book, "a1", assign("s1", 5)).await.unwrap();
    assert_eq!(done.account, Some(AccountId(5)));
    let error = give(&book, "a2", assign("s1", 4)).await.unwrap_err().to_string();
    assert!(error.contains("is assigned: only what is open"), "{error}");
    let error = give(&book, "r1", reverse(1, None)).await.unwrap_err().to_string();
    assert!(error.contains("reverse that transfer first"), "{error}");
    // To the wrong one: back, and to the right one.
    give(&book, "r2", reverse(done.first.transfer.unwrap(), None)).await.unwrap();
    give(&book, "a3", assign("s1", 4)).await.unwrap();
    give(&book, "r3", reverse(2, None)).await.unwrap();
    expect(&book, &[("cash:bank", "30.00"), ("wallet:A-1", "-30.00")]).await;
}
