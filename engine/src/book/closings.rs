//! Closed accounts: a debt leaves the wallet for the ledger account `arrears:ACCOUNT`, and stays with the person.
//!
//! Once an account is closed by command, its wallet is never below zero: what a late reading, a correction or a bounced
//! payment still takes from it becomes arrears in the same transaction, and what comes into it pays arrears first.

use std::collections::BTreeMap;

use kernel::id::AccountId;
use kernel::money::Amount;
use kernel::time::Moment;

use super::bulk::{self, Cell};
use super::ledger::{self, LedgerAccounts, LedgerName, Transfer, TransferKind};
use super::orders::{OrderError, Owner};
use super::{Book, BookError, Tx, malformed};

/// A debt that moves between a closed account's wallet and its arrears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DebtMove {
    /// Whose.
    pub account: AccountId,
    /// Above zero: into arrears. Below zero: paid. Never zero.
    pub amount: Amount,
}

/// An account's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closing {
    /// Which account.
    pub account: AccountId,
    /// When it ended.
    pub closed_at: Moment,
    /// What was left, or owed where it is below zero.
    pub balance: Amount,
    /// The refund of what was left.
    pub refund: Option<i64>,
}

/// What moves, so that a closed account with this balance and these arrears owes nothing in its wallet.
#[must_use]
pub fn debt_move(balance: Amount, arrears: Amount) -> Amount {
    if balance < Amount::ZERO { -balance } else { -balance.min(arrears) }
}

/// Books the moves, in the caller's transaction.
///
/// # Errors
/// What the database says.
pub async fn move_debts(
    tx: &mut Tx,
    accounts: &mut LedgerAccounts,
    moves: &[DebtMove],
    at: Moment,
) -> Result<(), BookError> {
    if moves.is_empty() {
        return Ok(());
    }
    let mut transfers = Vec::with_capacity(moves.len());
    for DebtMove { account, amount } in moves {
        let owner = Owner::find(tx, *account).await.map_err(|error| match error {
            OrderError::Book(error) => error,
            other => malformed(other.to_string()),
        })?;
        let arrears = LedgerName::Arrears(owner.id, owner.name.clone());
        let arrears = accounts.get(tx, &arrears, &owner.currency).await?;
        let wallet = accounts.get(tx, &owner.wallet(), &owner.currency).await?;
        let owed = *amount > Amount::ZERO;
        let (debit, credit) = if owed { (arrears, wallet) } else { (wallet, arrears) };
        transfers.push(Transfer {
            kind: TransferKind::Arrears,
            debit,
            credit,
            amount: if owed { *amount } else { -*amount },
            account: *account,
            local_date: None,
            linked: None,
            booked_at: at,
            effective_at: at,
            memo: if owed { "debt of the closed account" } else { "debt paid" }.to_owned(),
        });
    }
    ledger::insert(tx, &transfers).await.map(|_| ())
}

/// Writes an account's end down.
///
/// # Errors
/// What the database says.
pub async fn record(tx: &mut Tx, closing: &Closing, booked_at: Moment, actor: &str) -> Result<(), BookError> {
    let row: [Cell<'_>; 6] = [
        closing.account.0.into(),
        closing.closed_at.0.into(),
        booked_at.0.into(),
        closing.balance.to_string().into(),
        closing.refund.into(),
        actor.into(),
    ];
    let head = "INSERT INTO closings (account_id, closed_at, booked_at, balance, refund_id, actor) VALUES";
    bulk::insert(tx, head, "", [row]).await?;
    Ok(())
}

/// How an account ended, if it was closed by command.
///
/// # Errors
/// What the database says.
pub async fn of(tx: &mut Tx, account: AccountId) -> Result<Option<Closing>, BookError> {
    let sql = "SELECT closed_at, balance, refund_id FROM closings WHERE account_id = $1";
    let query = sqlx::query_as::<_, (i64, String, Option<i64>)>(sql).bind(i64::from(account.0));
    let row = query.fetch_optional(tx.conn()).await?;
    row.map(|(closed_at, balance, refund)| {
        let balance = ledger::amount(&balance, "closings.balance")?;
        Ok(Closing { account, closed_at: Moment(closed_at), balance, refund })
    })
    .transpose()
}

/// All accounts that were closed by command, with what they owe.
///
/// # Errors
/// What the database says.
pub async fn arrears(book: &Book) -> Result<BTreeMap<AccountId, Amount>, BookError> {
    let account =
        |id: i64| u32::try_from(id).map(AccountId).map_err(|_| malformed(format!("closings.account_id {id}")));
    let mut owed = BTreeMap::new();
    for (id,) in sqlx::query_as::<_, (i64,)>("SELECT account_id FROM closings").fetch_all(book.reader()).await? {
        owed.insert(account(id)?, Amount::ZERO);
    }
    let sql = "SELECT t.account_id, t.amount, d.name FROM transfers t JOIN ledger_accounts d ON d.id = t.debit_id \
               WHERE t.kind = 'arrears'";
    for (id, text, debit) in sqlx::query_as::<_, (i64, String, String)>(sql).fetch_all(book.reader()).await? {
        let amount = ledger::amount(&text, "transfers.amount")?;
        let entry = owed.entry(account(id)?).or_default();
        *entry += if debit.starts_with("arrears:") { amount } else { -amount };
    }
    Ok(owed)
}
