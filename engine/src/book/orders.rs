//! Orders that move money, or set it aside: each carried out once for its key, in the caller's transaction.
//!
//! [`carry_out`] checks the key, hands the order to the module that knows it, writes the audit row and keeps the key
//! with the result. What a wallet has left (usage that is not posted included) is for the caller to say: only billing
//! knows it.

use kernel::id::AccountId;
use kernel::money::Amount;
use kernel::time::Moment;

use super::chain::{self, Entry};
use super::keys::{Asked, First, KeyError};
use super::ledger::{self, LedgerAccounts, LedgerName, Transfer, TransferKind};
use super::{BookError, Tx, holds, malformed, refunds, reversals, suspense, unit_sales};
use crate::registry::unit_named;

/// The longest reason.
const LONGEST_REASON: usize = 1_000;

/// What is ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Give a customer something on top of what it paid.
    Bonus {
        /// Whose wallet.
        account: AccountId,
        /// How much; above zero.
        amount: Amount,
        /// Why.
        reason: String,
    },
    /// Set money aside: it is not part of the balance until it is released, expires or is taken.
    PlaceHold {
        /// In whose wallet.
        account: AccountId,
        /// How much; at most the balance.
        amount: Amount,
        /// It expires then, by itself.
        until: Option<Moment>,
        /// Why.
        reason: String,
    },
    /// Give held money free.
    ReleaseHold {
        /// Which hold.
        hold: i64,
    },
    /// Take held money; what is not taken is free again.
    CaptureHold {
        /// Which hold.
        hold: i64,
        /// How much; all of it where nothing is said.
        amount: Option<Amount>,
        /// What becomes of it.
        into: Captured,
    },
    /// Undo a transfer, in whole or in part.
    Reverse {
        /// Which.
        original: Original,
        /// How much; what is left of it where nothing is said.
        amount: Option<Amount>,
        /// Why.
        reason: String,
    },
    /// Give money back, at once or after a second person's word.
    Refund {
        /// From whose wallet.
        account: AccountId,
        /// How much; at most the refundable cash ([`refunds::refundable`]).
        amount: Amount,
        /// How it is paid.
        channel: String,
        /// Why.
        reason: String,
    },
    /// Take in money whose owner is not known.
    Suspend {
        /// What was written on it.
        payer: String,
        /// How much; above zero.
        amount: Amount,
        /// In which currency.
        currency: String,
        /// How it came.
        channel: String,
    },
    /// Give money in suspense to its owner.
    Assign {
        /// The key under which it came.
        entry: String,
        /// The owner.
        account: AccountId,
    },
}

/// What becomes of held money that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Captured {
    /// A security that stays the customer's; reversing the capture gives it back.
    Deposit,
    /// A fee.
    Fee,
}

/// What is to be undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Original {
    /// A transfer, by its number.
    Transfer(i64),
    /// A payment, by its key.
    Payment(String),
}

/// An order with its key and the one who gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The client's key: the same key moves money once, for ever.
    pub key: String,
    /// Who orders it.
    pub actor: String,
    /// When.
    pub at: Moment,
    /// What.
    pub order: Order,
}

/// What came of an order. A repetition is a success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The same order was carried out before under this key; nothing changed.
    pub repeated: bool,
    /// Whose wallet it touched; nobody's where it was repeated, or the owner is not known.
    pub account: Option<AccountId>,
    /// What came of it, the first time.
    pub first: First,
}

/// Why an order is refused. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// The key is unfit or was used for something else (409).
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The amount is zero or negative.
    #[error("an amount of {0} is not above zero: give how much is to be moved")]
    NotPositive(Amount),
    /// A text that must say something is empty, or far too long.
    #[error("the {0} is missing or longer than 1000 characters: say it in a few words, it is kept in the audit log")]
    Text(&'static str),
    /// No such account.
    #[error("there is no account {0} in the book: apply a site file that has it")]
    UnknownAccount(AccountId),
    /// The account is closed.
    #[error("account {0} is closed: {1}")]
    Closed(String, &'static str),
    /// More than there is.
    #[error("account {account} has {available:.2}, which is less than {asked:.2}: order at most what it has")]
    NotEnough {
        /// Whose wallet.
        account: String,
        /// Its balance.
        available: Amount,
        /// What was asked.
        asked: Amount,
    },
    /// A hold cannot be placed, released or captured so.
    #[error(transparent)]
    Hold(#[from] holds::HoldError),
    /// A transfer cannot be undone so.
    #[error(transparent)]
    Reversal(#[from] reversals::ReversalError),
    /// A refund is not possible.
    #[error(transparent)]
    Refund(#[from] refunds::RefundError),
    /// Money in suspense cannot be moved so.
    #[error(transparent)]
    Suspense(#[from] suspense::SuspenseError),
    /// Units cannot be sold or given back so.
    #[error(transparent)]
    Sale(#[from] unit_sales::SaleError),
    /// The book.
    #[error(transparent)]
    Book(#[from] BookError),
}

impl From<sqlx::Error> for OrderError {
    fn from(error: sqlx::Error) -> OrderError {
        OrderError::Book(error.into())
    }
}

/// What an order did, for its audit row and the wallet that it touched.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) first: First,
    pub(super) account: Option<AccountId>,
    /// Such as `account:A-101`.
    pub(super) subject: String,
    pub(super) detail: serde_json::Value,
}

/// An account as orders see it.
#[derive(Debug)]
pub(crate) struct Owner {
    pub(crate) id: AccountId,
    pub(crate) name: String,
    pub(crate) site: i64,
    /// What its wallet is kept in: its unit, else the site's currency.
    pub(crate) currency: String,
    /// The site's currency.
    pub(crate) money: String,
    /// The unit in which its wallet is kept; none for money.
    pub(crate) unit: Option<&'static str>,
    pub(crate) closed: bool,
}

impl Owner {
    pub(crate) async fn find(tx: &mut Tx, id: AccountId) -> Result<Owner, OrderError> {
        let sql = "SELECT a.name, a.site_id, s.currency, a.closed_at, u.unit FROM accounts a \
                   JOIN sites s ON s.id = a.site_id LEFT JOIN unit_accounts u ON u.id = a.id WHERE a.id = $1";
        let query = sqlx::query_as::<_, (String, i64, String, Option<i64>, Option<String>)>(sql);
        let row = query.bind(i64::from(id.0)).fetch_optional(tx.conn()).await?;
        let (name, site, money, closed, unit) = row.ok_or(OrderError::UnknownAccount(id))?;
        let known = |text: String| unit_named(&text).ok_or_else(|| malformed(format!("unit_accounts.unit {text:?}")));
        let unit = unit.map(known).transpose()?;
        let currency = unit.map_or_else(|| money.clone(), str::to_owned);
        Ok(Owner { id, name, site, currency, money, unit, closed: closed.is_some() })
    }

    pub(crate) fn wallet(&self) -> LedgerName {
        LedgerName::Wallet(self.id, self.name.clone())
    }

    pub(crate) fn subject(&self) -> String {
        format!("account:{}", self.name)
    }
}

/// Refuses amounts that move nothing.
pub(super) fn positive(amount: Amount) -> Result<Amount, OrderError> {
    if amount > Amount::ZERO { Ok(amount) } else { Err(OrderError::NotPositive(amount)) }
}

/// Refuses texts that say nothing.
pub(super) fn text<'a>(text: &'a str, name: &'static str) -> Result<&'a str, OrderError> {
    let fits = !text.trim().is_empty() && text.chars().count() <= LONGEST_REASON;
    if fits { Ok(text) } else { Err(OrderError::Text(name)) }
}

impl Order {
    /// The kind under which its key is kept.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Order::Bonus { .. } => "bonus",
            Order::PlaceHold { .. } => "hold",
            Order::ReleaseHold { .. } => "hold_release",
            Order::CaptureHold { .. } => "hold_capture",
            Order::Reverse { .. } => "reversal",
            Order::Refund { .. } => "refund",
            Order::Suspend { .. } => "suspense",
            Order::Assign { .. } => "suspense_assignment",
        }
    }

    /// Its fields, as their hash is kept for ever: never change what an order that exists gives.
    fn content(&self) -> Vec<String> {
        let optional = |amount: &Option<Amount>| amount.map_or_else(String::new, |amount| amount.to_string());
        match self {
            Order::Bonus { account, amount, reason } => {
                vec![account.0.to_string(), amount.to_string(), reason.clone()]
            }
            Order::PlaceHold { account, amount, until, reason } => {
                let until = until.map_or_else(String::new, |until| until.0.to_string());
                vec![account.0.to_string(), amount.to_string(), until, reason.clone()]
            }
            Order::ReleaseHold { hold } => vec![hold.to_string()],
            Order::CaptureHold { hold, amount, into } => {
                vec![hold.to_string(), optional(amount), into.name().to_owned()]
            }
            Order::Reverse { original, amount, reason } => {
                let original = match original {
                    Original::Transfer(id) => format!("transfer {id}"),
                    Original::Payment(key) => format!("payment {key}"),
                };
                vec![original, optional(amount), reason.clone()]
            }
            Order::Refund { account, amount, channel, reason } => {
                vec![account.0.to_string(), amount.to_string(), channel.clone(), reason.clone()]
            }
            Order::Suspend { payer, amount, currency, channel } => {
                vec![payer.clone(), amount.to_string(), currency.clone(), channel.clone()]
            }
            Order::Assign { entry, account } => vec![entry.clone(), account.0.to_string()],
        }
    }
}

impl Captured {
    /// Its name on the command line and in the audit log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Captured::Deposit => "deposit",
            Captured::Fee => "fee",
        }
    }
}

/// Carries out an order in the caller's transaction; `balance` says what a wallet has left, usage that is not posted and
/// holds taken off.
///
/// # Errors
/// [`OrderError`]; then drop the transaction.
pub async fn carry_out(
    tx: &mut Tx,
    accounts: &mut LedgerAccounts,
    request: &Request,
    balance: &(dyn Fn(AccountId) -> Amount + Sync),
) -> Result<Outcome, OrderError> {
    let content = request.order.content();
    let content: Vec<&str> = content.iter().map(String::as_str).collect();
    let asked = Asked::new(&request.key, request.order.kind(), &content)?;
    if let Some(first) = asked.earlier(tx).await? {
        return Ok(Outcome { repeated: true, account: None, first });
    }
    let done = match &request.order {
        Order::Bonus { account, amount, reason } => bonus(tx, accounts, request, *account, *amount, reason).await?,
        Order::PlaceHold { account, amount, until, reason } => {
            holds::place(tx, request, *account, (*amount, *until), reason, balance).await?
        }
        Order::ReleaseHold { hold } => holds::release(tx, request, *hold).await?,
        Order::CaptureHold { hold, amount, into } => {
            holds::capture(tx, accounts, request, *hold, *amount, *into).await?
        }
        Order::Reverse { original, amount, reason } => {
            reversals::reverse(tx, request, original, *amount, reason).await?
        }
        Order::Refund { account, amount, channel, reason } => {
            let wish = refunds::Wish { account: *account, amount: *amount, channel, reason };
            refunds::refund(tx, accounts, request, &wish, balance).await?
        }
        Order::Suspend { payer, amount, currency, channel } => {
            suspense::suspend(tx, accounts, request, (payer, channel), *amount, currency).await?
        }
        Order::Assign { entry, account } => suspense::assign(tx, accounts, request, entry, *account).await?,
    };
    asked.keep(tx, done.first, &request.actor, request.at).await?;
    let mut detail = done.detail;
    detail["key"] = request.key.clone().into();
    let entry = Entry {
        at: request.at,
        actor: request.actor.clone(),
        kind: request.order.kind().to_owned(),
        subject: done.subject,
        detail: detail.to_string(),
    };
    chain::append(tx, entry).await?;
    Ok(Outcome { repeated: false, account: done.account, first: done.first })
}

async fn bonus(
    tx: &mut Tx,
    accounts: &mut LedgerAccounts,
    request: &Request,
    account: AccountId,
    amount: Amount,
    reason: &str,
) -> Result<Done, OrderError> {
    let (amount, reason) = (positive(amount)?, text(reason, "reason")?);
    let owner = Owner::find(tx, account).await?;
    if owner.closed {
        return Err(OrderError::Closed(owner.name, "give the bonus to an open account"));
    }
    let transfer = Transfer {
        kind: TransferKind::Bonus,
        debit: accounts.get(tx, &LedgerName::Bonus, &owner.currency).await?,
        credit: accounts.get(tx, &owner.wallet(), &owner.currency).await?,
        amount,
        account,
        local_date: None,
        linked: None,
        booked_at: request.at,
        effective_at: request.at,
        memo: format!("bonus: {reason}"),
    };
    let transfer = ledger::insert(tx, &[transfer]).await?.start;
    Ok(Done {
        first: First { transfer: Some(transfer), subject: None },
        account: Some(account),
        subject: owner.subject(),
        detail: serde_json::json!({ "transfer": transfer, "amount": amount.to_string(), "reason": reason }),
    })
}

#[cfg(test)]
#[path = "orders_tests.rs"]
mod tests;
