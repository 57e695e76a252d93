//! Holds: money that is set aside in a wallet. A hold ends once: released, taken, or expired by the clock.

use std::collections::BTreeMap;

use kernel::id::AccountId;
use kernel::money::Amount;
use kernel::time::Moment;
use sqlx::Row as _;

use super::bulk::{self, Cell};
use super::chain::{self, Entry};
use super::keys::First;
use super::ledger::{self, LedgerAccounts, LedgerName, Transfer, TransferKind};
use super::orders::{Captured, Done, OrderError, Owner, Request, positive, text};
use super::{Book, BookError, Tx, malformed};

/// Why a hold is not placed, released or taken.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// No such hold.
    #[error("there is no hold {0}: `meterledger hold list` shows those that stand")]
    Unknown(i64),
    /// It has ended.
    #[error(
        "hold {hold} is {state} since {since}: a hold ends once; place a new one if money is to be set aside again"
    )]
    Ended {
        /// Which.
        hold: i64,
        /// How it ended.
        state: String,
        /// When.
        since: Moment,
    },
    /// More than was set aside.
    #[error("hold {hold} is of {held:.2}: {asked:.2} cannot be taken from it; take at most what is held")]
    Above {
        /// Which.
        hold: i64,
        /// What it holds.
        held: Amount,
        /// What was asked.
        asked: Amount,
    },
    /// It would have expired before it began.
    #[error("a hold until {0} has expired already: give a later time")]
    Past(Moment),
}

/// A hold that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Its number.
    pub id: i64,
    /// In whose wallet.
    pub account: AccountId,
    /// How much.
    pub amount: Amount,
    /// When it expires by itself.
    pub expires_at: Option<Moment>,
}

pub(super) async fn place(
    tx: &mut Tx,
    request: &Request,
    account: AccountId,
    (amount, until): (Amount, Option<Moment>),
    reason: &str,
    balance: &(dyn Fn(AccountId) -> Amount + Sync),
) -> Result<Done, OrderError> {
    let (amount, reason) = (positive(amount)?, text(reason, "reason")?);
    let owner = Owner::find(tx, account).await?;
    if owner.closed {
        return Err(OrderError::Closed(owner.name, "nothing can be set aside in it"));
    }
    if let Some(until) = until.filter(|until| *until <= request.at) {
        return Err(HoldError::Past(until).into());
    }
    let available = balance(account);
    if amount > available {
        return Err(OrderError::NotEnough { account: owner.name, available, asked: amount });
    }
    let id = tx.next_id("holds").await?;
    let row: [Cell<'_>; 8] = [
        id.into(),
        account.0.into(),
        amount.to_string().into(),
        reason.into(),
        "held".into(),
        request.at.0.into(),
        until.map(|until| until.0).into(),
        request.actor.as_str().into(),
    ];
    let head = "INSERT INTO holds (id, account_id, amount, reason, state, placed_at, expires_at, actor) VALUES";
    bulk::insert(tx, head, "", [row]).await?;
    let until = until.map(|until| until.to_string());
    Ok(Done {
        first: First { transfer: None, subject: Some(id) },
        account: Some(owner.id),
        subject: owner.subject(),
        detail: serde_json::json!({ "hold": id, "amount": amount.to_string(), "until": until, "reason": reason }),
    })
}

pub(super) async fn release(tx: &mut Tx, request: &Request, hold: i64) -> Result<Done, OrderError> {
    let hold = standing(tx, hold).await?;
    let owner = Owner::find(tx, hold.account).await?;
    end(tx, hold.id, "released", request.at).await?;
    Ok(Done {
        first: First { transfer: None, subject: Some(hold.id) },
        account: Some(owner.id),
        subject: owner.subject(),
        detail: serde_json::json!({ "hold": hold.id, "amount": hold.amount.to_string() }),
    })
}

pub(super) async fn capture(
    tx: &mut Tx,
    accounts: &mut LedgerAccounts,
    request: &Request,
    hold: i64,
    amount: Option<Amount>,
    into: Captured,
) -> Result<Done, OrderError> {
    let hold = standing(tx, hold).await?;
    let amount = positive(amount.unwrap_or(hold.amount))?;
    if amount > hold.amount {
        return Err(HoldError::Above { hold: hold.id, held: hold.amount, asked: amount }.into());
    }
    let owner = Owner::find(tx, hold.account).await?;
    let target = match into {
        Captured::Deposit => LedgerName::Deposit(owner.id, owner.name.clone()),
        Captured::Fee => LedgerName::Fees,
    };
    let transfer = Transfer {
        kind: TransferKind::Capture,
        debit: accounts.get(tx, &owner.wallet(), &owner.currency).await?,
        credit: accounts.get(tx, &target, &owner.currency).await?,
        amount,
        account: owner.id,
        local_date: None,
        linked: None,
        booked_at: request.at,
        effective_at: request.at,
        memo: format!("hold {} taken as {}", hold.id, into.name()),
    };
    let transfer = ledger::insert(tx, &[transfer]).await?.start;
    end(tx, hold.id, "captured", request.at).await?;
    sqlx::query("UPDATE holds SET captured = $1, transfer_id = $2 WHERE id = $3")
        .bind(amount.to_string())
        .bind(transfer)
        .bind(hold.id)
        .execute(tx.conn())
        .await?;
    Ok(Done {
        first: First { transfer: Some(transfer), subject: Some(hold.id) },
        account: Some(owner.id),
        subject: owner.subject(),
        detail: serde_json::json!({
            "hold": hold.id, "transfer": transfer, "amount": amount.to_string(), "held": hold.amount.to_string(),
            "into": into.name(),
        }),
    })
}

/// A hold that has not ended.
async fn standing(tx: &mut Tx, hold: i64) -> Result<Hold, OrderError> {
    let sql = "SELECT account_id, amount, state, expires_at, COALESCE(ended_at, placed_at) FROM holds WHERE id = $1";
    let row = sqlx::query(sql).bind(hold).fetch_optional(tx.conn()).await?.ok_or(HoldError::Unknown(hold))?;
    let state: String = row.try_get(2)?;
    if state != "held" {
        return Err(HoldError::Ended { hold, state, since: Moment(row.try_get(4)?) }.into());
    }
    Ok(read(hold, row.try_get(0)?, &row.try_get::<String, _>(1)?, row.try_get(3)?)?)
}

fn read(id: i64, account: i64, amount: &str, expires_at: Option<i64>) -> Result<Hold, BookError> {
    let account = u32::try_from(account).map_err(|_| malformed(format!("holds.account_id {account}")))?;
    let amount = ledger::amount(amount, "holds.amount")?;
    Ok(Hold { id, account: AccountId(account), amount, expires_at: expires_at.map(Moment) })
}

async fn end(tx: &mut Tx, hold: i64, state: &'static str, at: Moment) -> Result<(), BookError> {
    let sql = "UPDATE holds SET state = $1, ended_at = $2 WHERE id = $3 AND state = 'held'";
    sqlx::query(sql).bind(state).bind(at.0).bind(hold).execute(tx.conn()).await?;
    Ok(())
}

/// Ends holds whose time is over, each with its audit row, in the caller's transaction.
///
/// # Errors
/// What the database says.
pub async fn expire(tx: &mut Tx, expired: &[Hold], at: Moment) -> Result<(), BookError> {
    for hold in expired {
        end(tx, hold.id, "expired", at).await?;
        let entry = Entry {
            at,
            actor: "billing".to_owned(),
            kind: "hold_expired".to_owned(),
            subject: format!("hold:{}", hold.id),
            detail: serde_json::json!({ "hold": hold.id, "amount": hold.amount.to_string() }).to_string(),
        };
        chain::append(tx, entry).await?;
    }
    Ok(())
}

/// The holds that stand in one wallet.
///
/// # Errors
/// What the database says.
pub async fn standing_of(book: &Book, account: AccountId) -> Result<Vec<Hold>, BookError> {
    let sql = "SELECT id, account_id, amount, expires_at FROM holds WHERE state = 'held' AND account_id = $1";
    let query = sqlx::query_as::<_, (i64, i64, String, Option<i64>)>(sql).bind(i64::from(account.0));
    let rows = query.fetch_all(book.reader()).await?;
    rows.into_iter().map(|(id, account, amount, expires_at)| read(id, account, &amount, expires_at)).collect()
}

/// All holds that stand, by number.
///
/// # Errors
/// What the database says.
pub async fn all_standing(book: &Book) -> Result<BTreeMap<i64, Hold>, BookError> {
    let sql = "SELECT id, account_id, amount, expires_at FROM holds WHERE state = 'held'";
    let rows: Vec<(i64, i64, String, Option<i64>)> = sqlx::query_as(sql).fetch_all(book.reader()).await?;
    let hold =
        |(id, account, amount, expires_at): (i64, i64, String, _)| Ok((id, read(id, account, &amount, expires_at)?));
    rows.into_iter().map(hold).collect()
}
