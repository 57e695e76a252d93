//! Suspense: money whose owner is not known. It is listed until somebody finds the owner; nothing is lost.

use kernel::id::AccountId;
use kernel::money::Amount;
use sqlx::Row as _;

use super::bulk::{self, Cell};
use super::keys::First;
use super::ledger::{self, LedgerAccounts, LedgerName, Transfer, TransferKind};
use super::orders::{Done, OrderError, Owner, Request, positive, text};
use super::unit_sales::{self, Source};
use super::{BookError, Tx};

/// Why money in suspense is not moved.
#[derive(Debug, thiserror::Error)]
pub enum SuspenseError {
    /// No such entry.
    #[error("no money in suspense came under key {0:?}: `meterledger suspense list` shows what there is")]
    Unknown(String),
    /// It is not there any more.
    #[error("the money of key {key:?} is {state}: only what is open can be assigned")]
    NotOpen {
        /// The key.
        key: String,
        /// What became of it.
        state: String,
    },
    /// The account's money is another.
    #[error(
        "the money of key {key:?} is in {entry}, account {account} in {currency}: assign it to an account of its currency"
    )]
    Currency {
        /// The key.
        key: String,
        /// The currency of the money ...
        entry: String,
        /// ... and of this account.
        currency: String,
        /// Which.
        account: String,
    },
    /// A receipt that was assigned since.
    #[error("the money of transfer {0} was assigned to an account: reverse that transfer first")]
    Assigned(i64),
}

pub(super) async fn suspend(
    tx: &mut Tx,
    accounts: &mut LedgerAccounts,
    request: &Request,
    (payer, channel): (&str, &str),
    amount: Amount,
    currency: &str,
) -> Result<Done, OrderError> {
    let (amount, payer, channel) = (positive(amount)?, text(payer, "name of the payer")?, text(channel, "channel")?);
    let transfer = Transfer {
        kind: TransferKind::Suspense,
        debit: accounts.get(tx, &LedgerName::Cash(channel.to_owned()), currency).await?,
        credit: accounts.get(tx, &LedgerName::Suspense, currency).await?,
        amount,
        account: AccountId(0),
        local_date: None,
        linked: None,
        booked_at: request.at,
        effective_at: request.at,
        memo: format!("owner not known, {channel}, {payer:?}, key {}", request.key),
    };
    let transfer = ledger::insert(tx, &[transfer]).await?.start;
    let id = tx.next_id("suspense").await?;
    let row: [Cell<'_>; 10] = [
        id.into(),
        request.key.as_str().into(),
        payer.into(),
        amount.to_string().into(),
        currency.into(),
        channel.into(),
        "open".into(),
        request.at.0.into(),
        transfer.into(),
        request.actor.as_str().into(),
    ];
    let head = "INSERT INTO suspense (id, key, payer, amount, currency, channel, state, received_at, transfer_id, actor) \
                VALUES";
    bulk::insert(tx, head, "", [row]).await?;
    Ok(Done {
        first: First { transfer: Some(transfer), subject: Some(id) },
        account: None,
        subject: "ledger account:suspense".to_owned(),
        detail: serde_json::json!({
            "transfer": transfer, "amount": amount.to_string(), "currency": currency, "channel": channel, "payer": payer,
        }),
    })
}

pub(super) async fn assign(
    tx: &mut Tx,
    accounts: &mut LedgerAccounts,
    request: &Request,
    entry: &str,
    account: AccountId,
) -> Result<Done, OrderError> {
    let sql = "SELECT id, amount, currency, state, transfer_id FROM suspense WHERE key = $1";
    let row = sqlx::query(sql).bind(entry.to_owned()).fetch_optional(tx.conn()).await?;
    let row = row.ok_or_else(|| SuspenseError::Unknown(entry.to_owned()))?;
    let (id, received): (i64, i64) = (row.try_get(0)?, row.try_get(4)?);
    let (currency, state): (String, String) = (row.try_get(2)?, row.try_get(3)?);
    let amount = ledger::amount(&row.try_get::<String, _>(1)?, "suspense.amount")?;
    if state != "open" {
        return Err(SuspenseError::NotOpen { key: entry.to_owned(), state }.into());
    }
    let owner = Owner::find(tx, account).await?;
    if owner.money != currency {
        let (key, account, currency, entry) = (entry.to_owned(), owner.name, owner.money, currency);
        return Err(SuspenseError::Currency { key, entry, currency, account }.into());
    }
    let kind = TransferKind::SuspenseAssignment;
    let debit = accounts.get(tx, &LedgerName::Suspense, &currency).await?;
    let memo = format!("money of key {entry} found its owner");
    let transfer = if owner.unit.is_some() {
        // It buys units now that it is known who buys.
        let source = Source { debit, kind, linked: Some(received), memo };
        unit_sales::sell(tx, accounts, &owner, source, amount, request.at).await?
    } else {
        let transfer = Transfer {
            kind,
            debit,
            credit: accounts.get(tx, &owner.wallet(), &currency).await?,
            amount,
            account,
            local_date: None,
            linked: Some(received),
            booked_at: request.at,
            effective_at: request.at,
            memo,
        };
        ledger::insert(tx, &[transfer]).await?.start
    };
    let sql =
        "UPDATE suspense SET state = 'assigned', account_id = $1, assigned_at = $2, assignment_id = $3 WHERE id = $4";
    sqlx::query(sql).bind(i64::from(account.0)).bind(request.at.0).bind(transfer).bind(id).execute(tx.conn()).await?;
    Ok(Done {
        first: First { transfer: Some(transfer), subject: Some(id) },
        account: Some(owner.id),
        subject: owner.subject(),
        detail: serde_json::json!({ "transfer": transfer, "amount": amount.to_string(), "entry": entry }),
    })
}

/// The receipt was undone: the money is not there any more.
pub(super) async fn received_back(tx: &mut Tx, transfer: i64) -> Result<(), OrderError> {
    let sql = "UPDATE suspense SET state = 'reversed' WHERE transfer_id = $1 AND state = 'open'";
    let done = sqlx::query(sql).bind(transfer).execute(tx.conn()).await?;
    if done.rows_affected() == 0 { Err(SuspenseError::Assigned(transfer).into()) } else { Ok(()) }
}

/// The assignment was undone: the money waits for its owner again.
pub(super) async fn unassigned(tx: &mut Tx, transfer: i64) -> Result<(), BookError> {
    let sql = "UPDATE suspense SET state = 'open', account_id = NULL, assigned_at = NULL, assignment_id = NULL \
               WHERE assignment_id = $1";
    sqlx::query(sql).bind(transfer).execute(tx.conn()).await?;
    Ok(())
}
