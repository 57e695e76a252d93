use super::*;

#[tokio::test]
async fn wallets_follow_their_transfers_and_everything_sums_to_zero() {
    let folder = tempfile::tempdir().unwrap();
    let book = Book::create(folder.path(), 1, Moment(0)).await.unwrap();
    let mut accounts = LedgerAccounts::default();
    let mut tx = book.begin().await.unwrap();
    let wallet = accounts.get(&mut tx, &LedgerName::Wallet(AccountId(4), "A-1".to_owned()), "CNY").await.unwrap();
    let cash = accounts.get(&mut tx, &LedgerName::Cash("cash".to_owned()), "CNY").await.unwrap();
    let revenue = accounts.get(&mut tx, &LedgerName::Revenue(Utility::Water), "CNY").await.unwrap();
    let transfer = |debit, credit, amount: &str, kind| Transfer {
        kind,
        debit,
        credit,
        amount: Amount::parse(amount).unwrap(),
        account: AccountId(4),
        local_date: None,
        linked: None,
        booked_at: Moment(1),
        effective_at: Moment(1),
        memo: String::new(),
    };
    let first = [
        transfer(cash, wallet, "99999999999.000000001", TransferKind::TopUp),
        transfer(wallet, revenue, "0.000000002", TransferKind::Usage),
    ];
    assert_eq!(insert(&mut tx, &first).await.unwrap(), 1..3);
    let more = [transfer(wallet, revenue, "99999999999.5", TransferKind::Usage)];
    assert_eq!(insert(&mut tx, &more).await.unwrap(), 3..4);
    tx.commit().await.unwrap();
    let expected = [(AccountId(4), Amount::parse("-0.500000001").unwrap())];
    assert_eq!(wallets(&book).await.unwrap(), expected);
}

#[tokio::test]
async fn a_name_is_one_ledger_account_for_each_currency_whoever_asks() {
    let folder = tempfile::tempdir().unwrap();
    let book = Book::create(folder.path(), 1, Moment(0)).await.unwrap();
    let mut tx = book.begin().await.unwrap();
    let name = LedgerName::Cash("cash".to_owned());
    let mut ids = Vec::new();
    for currency in ["CNY", "EUR", "CNY", "EUR"] {
        ids.push(LedgerAccounts::default().get(&mut tx, &name, currency).await.unwrap().id());
    }
    assert_eq!(ids, [1, 2, 1, 2]);
}
