use super::*;
use crate::book::{Book, chain, ledger};

async fn book() -> (tempfile::TempDir, Book) {
    let folder = tempfile::tempdir().unwrap();
    let book = Book::create(folder.path(), 1, Moment(0)).await.unwrap();
    let mut tx = book.begin().await.unwrap();
    for sql in [
        "INSERT INTO sites (id, name, title, time_zone, currency, mode, created_at) \
         VALUES (1, 's', 'S', 'UTC', 'CNY', 'off', 0)",
        "INSERT INTO accounts (id, site_id, name, holder, kind, credit_limit, cutoff_enabled, opened_at) \
         VALUES (4, 1, 'A-1', 'Lin', 'prepaid', '0', 1, 0), (5, 1, 'A-2', 'Wu', 'prepaid', '0', 1, 0)",
    ] {
        sqlx::query(sql).execute(tx.conn()).await.unwrap();
    }
    tx.commit().await.unwrap();
    (folder, book)
}

fn top_up(account: u32, amount: &str, key: &str) -> TopUp {
    let amount = Amount::parse(amount).unwrap();
    TopUp::over_the_counter(AccountId(account), amount, key, "cash", "desk", Moment(9))
}

async fn post(book: &Book, top_up: TopUp) -> Result<TopUpOutcome, PaymentError> {
    let mut tx = book.begin().await?;
    let outcome = post_top_up(&mut tx, &mut LedgerAccounts::default(), top_up).await?;
    tx.commit().await?;
    Ok(outcome)
}

#[tokio::test]
async fn the_same_payment_sent_five_times_at_once_is_posted_once() {
    let (_folder, book) = book().await;
    let sent = (0..5).map(|_| post(&book, top_up(4, "100", "k1")));
    let outcomes = futures::future::join_all(sent).await;
    let posted = outcomes.iter().filter(|outcome| matches!(outcome, Ok(TopUpOutcome::Posted { transfer: 1 }))).count();
    let existed = outcomes.iter().filter(|outcome| matches!(outcome, Ok(TopUpOutcome::Exists { transfer: 1 }))).count();
    assert_eq!((posted, existed), (1, 4));
    let wallets = ledger::wallets(&book).await.unwrap();
    assert_eq!(wallets, [(AccountId(4), Amount::parse("100").unwrap())]);
    let verified = chain::verify(&book).await.unwrap();
    assert_eq!((verified.rows, verified.faults), (1, vec![]));
}

#[tokio::test]
async fn a_payment_that_cannot_be_posted_is_refused_and_changes_nothing() {
    let (_folder, book) = book().await;
    post(&book, top_up(4, "100", "k1")).await.unwrap();
    let bank = TopUp { provider_transaction: "k1".to_owned(), ..top_up(4, "100", "k2") };
    for (wrong, expected) in [
        (top_up(4, "101", "k1"), "key \"k1\" was used for another payment (of 100.000000000 to account 4)"),
        (top_up(5, "100", "k1"), "key \"k1\" was used for another payment"),
        (TopUp { channel: "card".to_owned(), ..top_up(4, "100", "k1") }, "key \"k1\" was used for another payment"),
        (bank, "cash transaction \"k1\" was posted under key \"k1\""),
        (top_up(4, "0", "k3"), "is not above zero"),
        (top_up(4, "-5", "k3"), "is not above zero"),
        (top_up(9, "5", "k3"), "there is no account 9"),
        (top_up(4, "5", " "), "needs a key"),
    ] {
        let error = post(&book, wrong).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let payments: (i64,) = sqlx::query_as("SELECT COUNT(*) FROM payments").fetch_one(book.reader()).await.unwrap();
    assert_eq!(payments.0, 1);
    assert_eq!(chain::verify(&book).await.unwrap().rows, 1);
}
