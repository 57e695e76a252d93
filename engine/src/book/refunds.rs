//! Refunds: at most the cash that was paid in and not used; over a limit a second person approves (domain.md, 5).
//!
//! **What is refundable.** A wallet's cash is used first: usage, fees and whatever else was taken from it eats what was
//! paid in, before it eats what was given. So the refundable cash is the balance (usage that is not posted and holds taken
//! off) minus everything that came into the wallet and is not cash (bonuses, adjustments in the customer's favour, debts
//! moved to arrears, each less what was reversed of it); never below zero, and never above the cash paid in less what
//! was refunded.
//!
//! A wallet in units gives back units in the same way; what they are worth, and when a second person is asked, follows from
//! what they were bought for ([`super::unit_sales`]).

use kernel::id::AccountId;
use kernel::money::Amount;
use kernel::time::Moment;
use sqlx::Row as _;

use super::bulk::{self, Cell};
use super::chain::{self, Entry};
use super::keys::First;
use super::ledger::{self, LedgerAccounts, LedgerName, Transfer, TransferKind};
use super::orders::{Done, OrderError, Owner, Request, positive, text};
use super::second_person::{Second, second_person};
use super::{BookError, Tx, unit_sales};

/// Why a refund is not made.
#[derive(Debug, thiserror::Error)]
pub enum RefundError {
    /// More than is refundable.
    #[error(
        "of account {account} {refundable:.2} is refundable, {asked:.2} is more: only cash that was paid in and not used is \
         given back, no bonus and no adjustment"
    )]
    Above {
        /// Whose wallet.
        account: String,
        /// What is refundable.
        refundable: Amount,
        /// What was asked.
        asked: Amount,
    },
    /// Less than can be sold.
    #[error("{asked} of account {account} is no whole 0.001 {unit}: units are given back as they are sold")]
    Fraction {
        /// Whose wallet.
        account: String,
        /// What was asked.
        asked: Amount,
        /// In which unit.
        unit: &'static str,
    },
    /// No such request.
    #[error("there is no refund {0}: `meterledger refund list` shows them")]
    Unknown(i64),
    /// It was decided.
    #[error("refund {refund} is {state} already: ask for a new one under a new key")]
    Decided {
        /// Which.
        refund: i64,
        /// What became of it.
        state: String,
    },
    /// The one who asked may not approve.
    #[error("{actor} asked for refund {refund}: a second person must approve it")]
    SecondPerson {
        /// Which.
        refund: i64,
        /// Who.
        actor: String,
    },
    /// The one who asked may be anybody, the one who approves too.
    #[error(
        "refund {refund} was asked for by {proposed_by:?}, who was no user of this book then, so that nobody knows whether \
         another person approves it: reject it, and ask for it again under a new key"
    )]
    Unproven {
        /// Which.
        refund: i64,
        /// Under which name it was asked for.
        proposed_by: String,
    },
}

/// What a refund is to be.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// From whose wallet.
    pub account: AccountId,
    /// How much.
    pub amount: Amount,
    /// How it is paid.
    pub channel: &'a str,
    /// Why.
    pub reason: &'a str,
}

/// A word on a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Which request.
    pub refund: i64,
    /// Whether it is to be paid.
    pub approve: bool,
    /// Who says so.
    pub actor: String,
    /// When.
    pub at: Moment,
}

/// What came of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decided {
    /// Paid by this transfer.
    Paid {
        /// Which.
        transfer: i64,
    },
    /// Not to be paid.
    Rejected,
    /// The same had been decided before; nothing changed.
    Before,
}

/// What can be given back of a wallet that has `balance` left: see the rule above.
///
/// # Errors
/// What the database says.
pub async fn refundable(tx: &mut Tx, account: AccountId, balance: Amount) -> Result<Amount, BookError> {
    // Money that buys units touches no wallet; the units that it buys do.
    let sql = "SELECT t.kind, COALESCE(o.kind, t.kind), t.amount, w.credit FROM transfers t \
               JOIN (SELECT t.id, CASE WHEN t.credit_id = w.id THEN 1 ELSE 0 END AS credit FROM transfers t \
                   JOIN ledger_accounts w ON (w.id = t.credit_id OR w.id = t.debit_id) AND w.name LIKE 'wallet:%' \
                   WHERE t.account_id = $1 AND w.account_id = $1) w ON w.id = t.id \
               LEFT JOIN transfers o ON o.id = t.linked_id AND t.kind = 'reversal' \
               WHERE t.account_id = $1 AND t.kind NOT IN ('usage', 'usage_difference')";
    let (mut cash, mut given) = (Amount::ZERO, Amount::ZERO);
    for row in sqlx::query(sql).bind(i64::from(account.0)).fetch_all(tx.conn()).await? {
        let (kind, about): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let amount = ledger::amount(&row.try_get::<String, _>(2)?, "transfers.amount")?;
        let into_wallet = row.try_get::<i64, _>(3)? == 1;
        let signed = if into_wallet { amount } else { -amount };
        match about.as_str() {
            "topup" | "suspense_assignment" | "unit_sale" | "refund" => cash += signed,
            "bonus" | "arrears" => given += signed,
            // What an adjustment takes away is used up; only what it gives is no cash.
            "adjustment" if into_wallet || kind == "reversal" => given += signed,
            _ => {}
        }
    }
    let unused = balance - given;
    Ok(unused.min(cash).max(Amount::ZERO))
}

/// Pays a refund, or keeps the request where a second person must approve it.
pub(super) async fn refund(
    tx: &mut Tx,
    accounts: &mut LedgerAccounts,
    request: &Request,
    wish: &Wish<'_>,
    balance: &(dyn Fn(AccountId) -> Amount + Sync),
) -> Result<Done, OrderError> {
    let Wish { account, amount, channel, reason } = *wish;
    let (amount, channel, reason) = (positive(amount)?, text(channel, "channel")?, text(reason, "reason")?);
    let owner = Owner::find(tx, account).await?;
    if let Some(unit) = owner.unit.filter(|_| amount.0 % unit_sales::THOUSANDTH != 0) {
        return Err(RefundError::Fraction { account: owner.name, asked: amount, unit }.into());
    }
    let refundable = refundable(tx, account, balance(account)).await?;
    if amount > refundable {
        return Err(RefundError::Above { account: owner.name, refundable, asked: amount }.into());
    }
    let proposed = propose(tx, accounts, (&request.actor, request.at), &owner, wish).await?;
    let state = if proposed.transfer.is_some() { "paid" } else { "requested" };
    Ok(Done {
        first: proposed,
        account: Some(owner.id),
        subject: owner.subject(),
        detail: serde_json::json!({
            "refund": proposed.subject, "transfer": proposed.transfer, "amount": amount.to_string(), "state": state,
            "channel": channel, "reason": reason,
        }),
    })
}

/// Writes a refund whose amount was checked: paid at once up to the site's limit, else requested.
pub(crate) async fn propose(
    tx: &mut Tx,
    accounts: &mut LedgerAccounts,
    (actor, at): (&str, Moment),
    owner: &Owner,
    wish: &Wish<'_>,
) -> Result<First, OrderError> {
    let limit = limit(tx, owner.site).await?;
    let id = tx.next_id("refunds").await?;
    let row: [Cell<'_>; 9] = [
        id.into(),
        owner.id.0.into(),
        wish.amount.to_string().into(),
        wish.channel.into(),
        wish.reason.into(),
        "requested".into(),
        limit.to_string().into(),
        actor.into(),
        at.0.into(),
    ];
    let head = "INSERT INTO refunds (id, account_id, amount, channel, reason, state, approval_above, proposed_by, \
                proposed_at) VALUES";
    bulk::insert(tx, head, "", [row]).await?;
    let worth = match owner.unit {
        Some(_) => unit_sales::worth(tx, owner.id, wish.amount).await?,
        None => wish.amount,
    };
    if worth > limit {
        return Ok(First { transfer: None, subject: Some(id) });
    }
    let transfer = pay(tx, accounts, (actor, at), owner, (id, wish.amount, wish.channel)).await?;
    Ok(First { transfer: Some(transfer), subject: Some(id) })
}

/// Above which amount a second person approves.
async fn limit(tx: &mut Tx, site: i64) -> Result<Amount, BookError> {
    let sql = "SELECT amount FROM refund_limits WHERE id = $1";
    let row: Option<(String,)> = sqlx::query_as(sql).bind(site).fetch_optional(tx.conn()).await?;
    row.map_or(Ok(Amount::ZERO), |(text,)| ledger::amount(&text, "refund_limits.amount"))
}

async fn pay(
    tx: &mut Tx,
    accounts: &mut LedgerAccounts,
    (actor, at): (&str, Moment),
    owner: &Owner,
    (id, amount, channel): (i64, Amount, &str),
) -> Result<i64, BookError> {
    let transfer = if owner.unit.is_some() {
        unit_sales::give_back(tx, accounts, at, owner, (id, amount, channel)).await?
    } else {
        let transfer = Transfer {
            kind: TransferKind::Refund,
            debit: accounts.get(tx, &owner.wallet(), &owner.currency).await?,
            credit: accounts.get(tx, &LedgerName::Cash(channel.to_owned()), &owner.currency).await?,
            amount,
            account: owner.id,
            local_date: None,
            linked: None,
            booked_at: at,
            effective_at: at,
            memo: format!("refund {id}, {channel}"),
        };
        ledger::insert(tx, &[transfer]).await?.start
    };
    let sql = "UPDATE refunds SET state = 'paid', decided_by = $1, decided_at = $2, transfer_id = $3 WHERE id = $4";
    sqlx::query(sql).bind(actor.to_owned()).bind(at.0).bind(transfer).bind(id).execute(tx.conn()).await?;
    Ok(transfer)
}

/// Decides on a request, in the caller's transaction. What was decided before stays; the same word again is a success.
///
/// # Errors
/// [`OrderError`]; then drop the transaction.
pub async fn decide(
    tx: &mut Tx,
    accounts: &mut LedgerAccounts,
    decision: &Decision,
    balance: &(dyn Fn(AccountId) -> Amount + Sync),
) -> Result<(AccountId, Decided), OrderError> {
    let Decision { refund, approve, actor, at } = decision;
    let sql = "SELECT account_id, amount, channel, state, proposed_by, proposed_at FROM refunds WHERE id = $1";
    let row = sqlx::query(sql).bind(*refund).fetch_optional(tx.conn()).await?.ok_or(RefundError::Unknown(*refund))?;
    let account = AccountId(u32::try_from(row.try_get::<i64, _>(0)?).unwrap_or(u32::MAX));
    let amount = ledger::amount(&row.try_get::<String, _>(1)?, "refunds.amount")?;
    let (channel, state, proposed_by): (String, String, String) = (row.try_get(2)?, row.try_get(3)?, row.try_get(4)?);
    if state != "requested" {
        let same = state == if *approve { "paid" } else { "rejected" };
        return if same {
            Ok((account, Decided::Before))
        } else {
            Err(RefundError::Decided { refund: *refund, state }.into())
        };
    }
    let owner = Owner::find(tx, account).await?;
    let decided = if *approve {
        match second_person(tx.conn(), (&proposed_by, Moment(row.try_get(5)?)), actor).await? {
            Second::Another => {}
            Second::Same => return Err(RefundError::SecondPerson { refund: *refund, actor: actor.clone() }.into()),
            Second::Unproven => return Err(RefundError::Unproven { refund: *refund, proposed_by }.into()),
        }
        let refundable = refundable(tx, account, balance(account)).await?;
        if amount > refundable {
            return Err(RefundError::Above { account: owner.name, refundable, asked: amount }.into());
        }
        let transfer = pay(tx, accounts, (actor, *at), &owner, (*refund, amount, &channel)).await?;
        Decided::Paid { transfer }
    } else {
        let sql = "UPDATE refunds SET state = 'rejected', decided_by = $1, decided_at = $2 WHERE id = $3";
        sqlx::query(sql).bind(actor.clone()).bind(at.0).bind(*refund).execute(tx.conn()).await?;
        Decided::Rejected
    };
    let (kind, transfer) = match decided {
        Decided::Paid { transfer } => ("refund_approved", Some(transfer)),
        _ => ("refund_rejected", None),
    };
    let entry = Entry {
        at: *at,
        actor: actor.clone(),
        kind: kind.to_owned(),
        subject: owner.subject(),
        detail: serde_json::json!({
            "refund": refund, "transfer": transfer, "amount": amount.to_string(), "proposed_by": proposed_by,
        })
        .to_string(),
    };
    chain::append(tx, entry).await?;
    Ok((account, decided))
}
