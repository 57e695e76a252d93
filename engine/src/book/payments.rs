//! Money that comes in: posted once, however often it is sent (domain.md, 5).

use kernel::id::AccountId;
use kernel::money::Amount;
use kernel::time::Moment;
use sqlx::Row;

use super::bulk::{self, Cell};
use super::chain::{self, Entry};
use super::keys::{Asked, First, KeyError};
use super::ledger::{self, LedgerAccounts, LedgerName, Transfer, TransferKind};
use super::orders::{OrderError, Owner};
use super::unit_sales::{self, SaleError, Source};
use super::{BookError, Tx};

/// A payment that was received for an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopUp {
    /// Whose wallet.
    pub account: AccountId,
    /// How much; above zero.
    pub amount: Amount,
    /// The client's key: the same key posts once, for ever.
    pub key: String,
    /// How it came, such as `cash`; names the ledger account `cash:CHANNEL`.
    pub channel: String,
    /// Who took it. Without a payment provider, the channel.
    pub provider: String,
    /// The provider's number of it. Without a payment provider, the key.
    pub provider_transaction: String,
    /// Who entered it.
    pub actor: String,
    /// When it was received.
    pub at: Moment,
}

impl TopUp {
    /// A payment over the counter, without a payment provider.
    #[must_use]
    pub fn over_the_counter(
        account: AccountId,
        amount: Amount,
        key: &str,
        channel: &str,
        actor: &str,
        at: Moment,
    ) -> TopUp {
        TopUp {
            account,
            amount,
            key: key.to_owned(),
            channel: channel.to_owned(),
            provider: channel.to_owned(),
            provider_transaction: key.to_owned(),
            actor: actor.to_owned(),
            at,
        }
    }
}

/// What became of a top-up. Both are successes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopUpOutcome {
    /// Posted now.
    Posted {
        /// By this transfer.
        transfer: i64,
    },
    /// The same payment was posted before; nothing changed.
    Exists {
        /// By this transfer.
        transfer: i64,
    },
}

/// Why a top-up is refused. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum PaymentError {
    /// The amount is zero or negative.
    #[error("a top-up of {0} is not above zero: give the amount that was received")]
    NotPositive(Amount),
    /// A key or a channel is empty.
    #[error("a top-up needs a {0}: it must not be empty")]
    Empty(&'static str),
    /// No such account.
    #[error("there is no account {0} in the book: apply a site file that has it")]
    UnknownAccount(AccountId),
    /// The key was used for another payment (409).
    #[error(
        "key {key:?} was used for another payment (of {amount} to account {account}): use a new key for a new payment"
    )]
    KeyReused {
        /// The key.
        key: String,
        /// Whose wallet the first payment went to.
        account: AccountId,
        /// The first payment's amount.
        amount: Amount,
    },
    /// The provider's transaction came in under another key (409).
    #[error(
        "{provider} transaction {transaction:?} was posted under key {key:?}: repeat it with that key, or check the number"
    )]
    TransactionReused {
        /// The provider.
        provider: String,
        /// Its number.
        transaction: String,
        /// The key it was posted under.
        key: String,
    },
    /// The key belongs to a payment that is not posted.
    #[error("the payment of key {key:?} is {state}: it cannot be posted again; use a new key for a new payment")]
    NotPosted {
        /// The key.
        key: String,
        /// Its state.
        state: String,
    },
    /// The key is unfit, or was used for something that is no payment (409).
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The account is kept in units, and none can be sold.
    #[error(transparent)]
    Sale(#[from] SaleError),
    /// The book.
    #[error(transparent)]
    Book(#[from] BookError),
}

impl From<sqlx::Error> for PaymentError {
    fn from(error: sqlx::Error) -> PaymentError {
        PaymentError::Book(error.into())
    }
}

/// Posts a payment in the caller's transaction: payment, transfer, wallet and audit row together.
///
/// # Errors
/// [`PaymentError`]; then drop the transaction.
pub async fn post_top_up(
    tx: &mut Tx,
    accounts: &mut LedgerAccounts,
    top_up: TopUp,
) -> Result<TopUpOutcome, PaymentError> {
    if top_up.amount <= Amount::ZERO {
        return Err(PaymentError::NotPositive(top_up.amount));
    }
    for (value, name) in [(&top_up.key, "key"), (&top_up.channel, "channel"), (&top_up.provider, "provider")] {
        if value.trim().is_empty() {
            return Err(PaymentError::Empty(name));
        }
    }
    if let Some(outcome) = earlier(tx, &top_up).await? {
        return Ok(outcome);
    }
    let asked = asked(&top_up)?;
    if asked.earlier(tx).await?.is_some() {
        return Err(super::malformed(format!("money_keys has {:?} as a top-up, payments has not", top_up.key)).into());
    }
    let owner = Owner::find(tx, top_up.account).await.map_err(|error| match error {
        OrderError::Book(error) => PaymentError::Book(error),
        _ => PaymentError::UnknownAccount(top_up.account),
    })?;
    let cash = accounts.get(tx, &LedgerName::Cash(top_up.channel.clone()), &owner.money).await?;
    let memo = format!("top-up, {}, key {}", top_up.channel, top_up.key);
    let transfer = if owner.unit.is_some() {
        let source = Source { debit: cash, kind: TransferKind::TopUp, linked: None, memo };
        unit_sales::sell(tx, accounts, &owner, source, top_up.amount, top_up.at).await?
    } else {
        let transfer = Transfer {
            kind: TransferKind::TopUp,
            debit: cash,
            credit: accounts.get(tx, &owner.wallet(), &owner.money).await?,
            amount: top_up.amount,
            account: top_up.account,
            local_date: None,
            linked: None,
            booked_at: top_up.at,
            effective_at: top_up.at,
            memo,
        };
        ledger::insert(tx, &[transfer]).await?.start
    };
    let payment = write_payment(tx, &top_up, transfer).await?;
    let first = First { transfer: Some(transfer), subject: Some(payment) };
    asked.keep(tx, first, &top_up.actor, top_up.at).await?;
    let detail = serde_json::json!({
        "transfer": transfer, "amount": top_up.amount.to_string(), "currency": owner.money, "key": top_up.key,
        "channel": top_up.channel, "provider": top_up.provider, "provider_transaction": top_up.provider_transaction,
    });
    let entry = Entry {
        at: top_up.at,
        actor: top_up.actor,
        kind: "top_up".to_owned(),
        subject: owner.subject(),
        detail: detail.to_string(),
    };
    chain::append(tx, entry).await?;
    Ok(TopUpOutcome::Posted { transfer })
}

fn asked(top_up: &TopUp) -> Result<Asked, KeyError> {
    let (account, amount) = (top_up.account.0.to_string(), top_up.amount.to_string());
    let content = [&account, &amount, &top_up.channel, &top_up.provider, &top_up.provider_transaction];
    Asked::new(&top_up.key, "topup", &content.map(String::as_str))
}

/// What the same key, or the same provider's transaction, brought about before.
async fn earlier(tx: &mut Tx, top_up: &TopUp) -> Result<Option<TopUpOutcome>, PaymentError> {
    let sql = "SELECT key, account_id, channel, provider, provider_transaction, amount, state, transfer_id \
               FROM payments WHERE key = $1 OR (provider = $2 AND provider_transaction = $3)";
    let rows = sqlx::query(sql)
        .bind(top_up.key.clone())
        .bind(top_up.provider.clone())
        .bind(top_up.provider_transaction.clone())
        .fetch_all(tx.conn())
        .await?;
    // A reused key says more than a reused transaction: look at it first.
    let mut found = Vec::new();
    for row in &rows {
        found.push((row.try_get::<String, _>(0)? == top_up.key, row));
    }
    found.sort_by_key(|(same_key, _)| !same_key);
    let Some((same_key, row)) = found.first() else { return Ok(None) };
    let (key, account_id, channel): (String, i64, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let (provider, transaction): (String, String) = (row.try_get(3)?, row.try_get(4)?);
    let amount = ledger::amount(&row.try_get::<String, _>(5)?, "payments.amount")?;
    if !same_key {
        return Err(PaymentError::TransactionReused { provider, transaction, key });
    }
    let same = account_id == i64::from(top_up.account.0)
        && (amount, &channel) == (top_up.amount, &top_up.channel)
        && (&provider, &transaction) == (&top_up.provider, &top_up.provider_transaction);
    if !same {
        let account = AccountId(u32::try_from(account_id).unwrap_or(u32::MAX));
        return Err(PaymentError::KeyReused { key, account, amount });
    }
    match row.try_get::<Option<i64>, _>(7)? {
        Some(transfer) => Ok(Some(TopUpOutcome::Exists { transfer })),
        None => Err(PaymentError::NotPosted { key, state: row.try_get(6)? }),
    }
}

/// Gives the payment's number.
async fn write_payment(tx: &mut Tx, top_up: &TopUp, transfer: i64) -> Result<i64, BookError> {
    let id = tx.next_id("payments").await?;
    let row: [Cell<'_>; 12] = [
        id.into(),
        top_up.key.as_str().into(),
        top_up.account.0.into(),
        top_up.channel.as_str().into(),
        top_up.provider.as_str().into(),
        top_up.provider_transaction.as_str().into(),
        top_up.amount.to_string().into(),
        "posted".into(),
        top_up.at.0.into(),
        Some(top_up.at.0).into(),
        Some(transfer).into(),
        top_up.actor.as_str().into(),
    ];
    let head = "INSERT INTO payments (id, key, account_id, channel, provider, provider_transaction, amount, state, \
                created_at, posted_at, transfer_id, actor) VALUES";
    bulk::insert(tx, head, "", [row]).await?;
    Ok(id)
}

#[cfg(test)]
#[path = "payments_tests.rs"]
mod tests;
