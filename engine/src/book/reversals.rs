//! Reversals: a mistake is undone by a new transfer that is linked to the old; nothing is edited (domain.md, 5).

use kernel::id::AccountId;
use kernel::money::Amount;
use sqlx::Row as _;

use super::keys::First;
use super::ledger::{self, LedgerAccount, Transfer, TransferKind};
use super::orders::{Done, OrderError, Original, Request, positive, text};
use super::{Tx, malformed, suspense, unit_sales};

/// Why a transfer is not undone.
#[derive(Debug, thiserror::Error)]
pub enum ReversalError {
    /// No such transfer.
    #[error("there is no transfer {0}: `meterledger sql \"SELECT * FROM transfers\"` lists them")]
    UnknownTransfer(i64),
    /// No such payment.
    #[error("there is no posted payment of key {0:?}: `meterledger sql \"SELECT * FROM payments\"` lists them")]
    UnknownPayment(String),
    /// Of a kind that is not undone so.
    #[error("transfer {transfer} is of kind {kind}, which is not reversed: {remedy}")]
    Kind {
        /// Which.
        transfer: i64,
        /// Its kind.
        kind: String,
        /// What to do instead.
        remedy: &'static str,
    },
    /// It was undone before, and may be only once.
    #[error("transfer {transfer} was reversed already, with {reversed:.2} of {amount:.2}: it can be reversed once")]
    Once {
        /// Which.
        transfer: i64,
        /// Its amount.
        amount: Amount,
        /// What was undone.
        reversed: Amount,
    },
    /// More than is left of it.
    #[error("of transfer {transfer} {left:.2} can still be reversed: {asked:.2} is more; reverse at most what is left")]
    Above {
        /// Which.
        transfer: i64,
        /// What is left of it.
        left: Amount,
        /// What was asked.
        asked: Amount,
    },
    /// Only a part of what moves as a whole.
    #[error("transfer {transfer} of kind {kind} is reversed as a whole: leave --amount out")]
    Part {
        /// Which.
        transfer: i64,
        /// Its kind.
        kind: String,
    },
}

/// How a kind of transfer is undone.
enum Rule {
    /// Once, in whole or in part.
    Once,
    /// Once, as a whole.
    Whole,
    /// Part by part.
    Parts,
    /// Not at all.
    Never(&'static str),
}

fn rule(kind: &str) -> Rule {
    match kind {
        "topup" => Rule::Once,
        "refund" | "suspense" | "suspense_assignment" => Rule::Whole,
        "bonus" | "capture" => Rule::Parts,
        "usage" | "usage_difference" => Rule::Never("usage follows its readings, tariffs and contracts: correct those"),
        "reversal" => Rule::Never("post what was reversed again, under a new key"),
        "arrears" => Rule::Never("a debt follows the account's usage and payments by itself"),
        "unit_sale" | "unit_refund" => Rule::Never("reverse the payment or the refund of units that it belongs to"),
        _ => Rule::Never("correct it by a new adjustment"),
    }
}

pub(super) async fn reverse(
    tx: &mut Tx,
    request: &Request,
    original: &Original,
    amount: Option<Amount>,
    reason: &str,
) -> Result<Done, OrderError> {
    let reason = text(reason, "reason")?;
    let id = match original {
        Original::Transfer(id) => *id,
        Original::Payment(key) => paid_by(tx, key).await?,
    };
    let sql = "SELECT kind, debit_id, credit_id, amount, account_id FROM transfers WHERE id = $1";
    let row = sqlx::query(sql).bind(id).fetch_optional(tx.conn()).await?;
    let row = row.ok_or(ReversalError::UnknownTransfer(id))?;
    let (kind, account): (String, i64) = (row.try_get(0)?, row.try_get(4)?);
    let (debit, credit): (i64, i64) = (row.try_get(1)?, row.try_get(2)?);
    let whole = ledger::amount(&row.try_get::<String, _>(3)?, "transfers.amount")?;
    let rule = rule(&kind);
    if let Rule::Never(remedy) = rule {
        return Err(ReversalError::Kind { transfer: id, kind, remedy }.into());
    }
    let reversed = reversed_of(tx, id).await?;
    if reversed > Amount::ZERO && !matches!(rule, Rule::Parts) {
        return Err(ReversalError::Once { transfer: id, amount: whole, reversed }.into());
    }
    let left = whole - reversed;
    if left == Amount::ZERO {
        return Err(ReversalError::Once { transfer: id, amount: whole, reversed }.into());
    }
    let asked = positive(amount.unwrap_or(left))?;
    if asked > left {
        return Err(ReversalError::Above { transfer: id, left, asked }.into());
    }
    // What bought units, or gave them back, is undone with them.
    let followers = unit_sales::followers(tx, id).await?;
    if (matches!(rule, Rule::Whole) || !followers.is_empty()) && asked != whole {
        return Err(ReversalError::Part { transfer: id, kind }.into());
    }
    let account = u32::try_from(account).map_err(|_| malformed(format!("transfers.account_id {account}")))?;
    let mut transfers = Vec::new();
    for (id, debit, credit, amount) in [(id, debit, credit, asked)].into_iter().chain(followers) {
        transfers.push(Transfer {
            kind: TransferKind::Reversal,
            debit: LedgerAccount::of_id(tx, credit).await?,
            credit: LedgerAccount::of_id(tx, debit).await?,
            amount,
            account: AccountId(account),
            local_date: None,
            linked: Some(id),
            booked_at: request.at,
            effective_at: request.at,
            memo: format!("reversal of transfer {id}: {reason}"),
        });
    }
    let transfer = ledger::insert(tx, &transfers).await?.start;
    if matches!(kind.as_str(), "topup" | "suspense_assignment") {
        unit_sales::undone(tx, id).await?;
    }
    match kind.as_str() {
        "suspense" => suspense::received_back(tx, id).await?,
        "suspense_assignment" => suspense::unassigned(tx, id).await?,
        "refund" => {
            let sql = "UPDATE refunds SET state = 'reversed' WHERE transfer_id = $1";
            sqlx::query(sql).bind(id).execute(tx.conn()).await?;
        }
        _ => {}
    }
    Ok(Done {
        first: First { transfer: Some(transfer), subject: Some(id) },
        account: Some(AccountId(account)),
        subject: format!("transfer:{id}"),
        detail: serde_json::json!({
            "transfer": transfer, "reversed": id, "kind": kind, "amount": asked.to_string(), "account": account,
            "reason": reason,
        }),
    })
}

/// The transfer that posted a payment.
async fn paid_by(tx: &mut Tx, key: &str) -> Result<i64, OrderError> {
    let sql = "SELECT transfer_id FROM payments WHERE key = $1 AND state = 'posted' AND transfer_id IS NOT NULL";
    let row: Option<(i64,)> = sqlx::query_as(sql).bind(key.to_owned()).fetch_optional(tx.conn()).await?;
    Ok(row.ok_or_else(|| ReversalError::UnknownPayment(key.to_owned()))?.0)
}

/// How much of a transfer has been undone.
async fn reversed_of(tx: &mut Tx, id: i64) -> Result<Amount, OrderError> {
    let sql = "SELECT amount FROM transfers WHERE linked_id = $1 AND kind = 'reversal'";
    let mut reversed = Amount::ZERO;
    for (amount,) in sqlx::query_as::<_, (String,)>(sql).bind(id).fetch_all(tx.conn()).await? {
        reversed += ledger::amount(&amount, "transfers.amount")?;
    }
    Ok(reversed)
}
