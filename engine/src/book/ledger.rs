//! Double entry: ledger accounts by name, immutable transfers, and each wallet's sum beside them.
//!
//! A transfer debits one ledger account and credits another with the same amount, above zero; so all ledger accounts
//! together always sum to zero. A wallet is a liability: a credit raises it, usage debits it.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use futures::TryStreamExt as _;
use kernel::id::{AccountId, Utility};
use kernel::money::Amount;
use kernel::time::{LocalDate, Moment};
use sqlx::Row;

use super::bulk::{self, Cell};
use super::malformed;
use super::{Book, BookError, Tx};

/// What a ledger account is for; its name in the book.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LedgerName {
    /// A customer's wallet, by the account's name.
    Wallet(AccountId, String),
    /// Money received through a channel.
    Cash(String),
    /// What a utility earned.
    Revenue(Utility),
    /// Digits that statement lines lose.
    Rounding,
    /// Money whose owner is not known yet.
    Suspense,
}

impl LedgerName {
    fn text(&self) -> String {
        match self {
            LedgerName::Wallet(_, account) => format!("wallet:{account}"),
            LedgerName::Cash(channel) => format!("cash:{channel}"),
            LedgerName::Revenue(utility) => format!("revenue:{}", utility.name()),
            LedgerName::Rounding => "rounding".to_owned(),
            LedgerName::Suspense => "suspense".to_owned(),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            LedgerName::Wallet(..) | LedgerName::Suspense => "liability",
            LedgerName::Cash(_) => "asset",
            LedgerName::Revenue(_) | LedgerName::Rounding => "income",
        }
    }

    fn wallet(&self) -> Option<AccountId> {
        match self {
            LedgerName::Wallet(account, _) => Some(*account),
            _ => None,
        }
    }
}

/// A ledger account in the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LedgerAccount {
    id: i64,
    wallet: Option<AccountId>,
}

impl LedgerAccount {
    /// Its identifier in the table `ledger_accounts`.
    #[must_use]
    pub fn id(self) -> i64 {
        self.id
    }
}

/// Ledger accounts that were looked up or created. When the transaction that created one fails, drop this too.
#[derive(Debug, Default)]
pub struct LedgerAccounts {
    known: HashMap<(LedgerName, String), LedgerAccount>,
}

impl LedgerAccounts {
    /// The ledger account of that name and currency; created where the book has none. Where the plain name is taken
    /// by another currency, the currency is added to the name.
    ///
    /// # Errors
    /// What the database says.
    pub async fn get(&mut self, tx: &mut Tx, name: &LedgerName, currency: &str) -> Result<LedgerAccount, BookError> {
        let key = (name.clone(), currency.to_owned());
        if let Some(account) = self.known.get(&key) {
            return Ok(*account);
        }
        let plain = name.text();
        let id = match stored(tx, &plain).await? {
            Some((id, found)) if found == currency => id,
            None => create(tx, &plain, name, currency).await?,
            Some(_) => {
                let qualified = format!("{plain}:{currency}");
                match stored(tx, &qualified).await? {
                    Some((id, _)) => id,
                    None => create(tx, &qualified, name, currency).await?,
                }
            }
        };
        let account = LedgerAccount { id, wallet: name.wallet() };
        self.known.insert(key, account);
        Ok(account)
    }
}

async fn stored(tx: &mut Tx, name: &str) -> Result<Option<(i64, String)>, BookError> {
    let sql = "SELECT id, currency FROM ledger_accounts WHERE name = $1";
    Ok(sqlx::query_as(sql).bind(name.to_owned()).fetch_optional(tx.conn()).await?)
}

async fn create(tx: &mut Tx, text: &str, name: &LedgerName, currency: &str) -> Result<i64, BookError> {
    let id = tx.next_id("ledger_accounts").await?;
    let row: [Cell<'_>; 5] =
        [id.into(), text.into(), name.kind().into(), name.wallet().map(|account| account.0).into(), currency.into()];
    bulk::insert(tx, "INSERT INTO ledger_accounts (id, name, kind, account_id, currency) VALUES", "", [row]).await?;
    Ok(id)
}

/// Why money moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransferKind {
    /// Money came in.
    TopUp,
    /// The usage of a settled day.
    Usage,
    /// What a later rating of a settled day changed.
    UsageDifference,
    /// Undoes a linked transfer.
    Reversal,
    /// Approved by a person or under a limit.
    Adjustment,
}

impl TransferKind {
    /// The name in the book.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            TransferKind::TopUp => "topup",
            TransferKind::Usage => "usage",
            TransferKind::UsageDifference => "usage_difference",
            TransferKind::Reversal => "reversal",
            TransferKind::Adjustment => "adjustment",
        }
    }
}

/// One immutable movement of money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Why.
    pub kind: TransferKind,
    /// The ledger account that is debited.
    pub debit: LedgerAccount,
    /// The ledger account that is credited.
    pub credit: LedgerAccount,
    /// How much; above zero.
    pub amount: Amount,
    /// The customer's account it concerns.
    pub account: AccountId,
    /// The day of usage, where it is about one.
    pub local_date: Option<LocalDate>,
    /// The transfer that it corrects.
    pub linked: Option<i64>,
    /// When it was written.
    pub booked_at: Moment,
    /// When it counts from.
    pub effective_at: Moment,
    /// For people.
    pub memo: String,
}

/// Writes transfers in order, gives their identifiers, and moves the wallets' sums along.
///
/// # Panics
/// When an amount is not above zero or a transfer debits what it credits: the caller chooses the sides.
///
/// # Errors
/// What the database says.
pub async fn insert(tx: &mut Tx, transfers: &[Transfer]) -> Result<Range<i64>, BookError> {
    let first = tx.next_id("transfers").await?;
    let mut wallets: BTreeMap<AccountId, Amount> = BTreeMap::new();
    for transfer in transfers {
        assert!(transfer.amount > Amount::ZERO, "a transfer's amount is above zero: {transfer:?}");
        assert!(transfer.debit != transfer.credit, "a transfer has two sides: {transfer:?}");
        if let Some(wallet) = transfer.debit.wallet {
            *wallets.entry(wallet).or_default() -= transfer.amount;
        }
        if let Some(wallet) = transfer.credit.wallet {
            *wallets.entry(wallet).or_default() += transfer.amount;
        }
    }
    let rows = (first..).zip(transfers).map(|(id, transfer)| -> [Cell<'_>; 11] {
        [
            id.into(),
            transfer.kind.name().into(),
            transfer.debit.id.into(),
            transfer.credit.id.into(),
            transfer.amount.to_string().into(),
            transfer.account.0.into(),
            transfer.local_date.map(|date| i64::from(date.0)).into(),
            transfer.linked.into(),
            transfer.booked_at.0.into(),
            transfer.effective_at.0.into(),
            transfer.memo.as_str().into(),
        ]
    });
    let head = "INSERT INTO transfers (id, kind, debit_id, credit_id, amount, account_id, local_date, linked_id, \
                booked_at, effective_at, memo) VALUES";
    let written = bulk::insert(tx, head, "", rows).await?;
    move_wallets(tx, wallets).await?;
    Ok(first..first + i64::try_from(written).unwrap_or(i64::MAX))
}

/// Adds in Rust, because the amounts do not fit a database's integers.
async fn move_wallets(tx: &mut Tx, changes: BTreeMap<AccountId, Amount>) -> Result<(), BookError> {
    let mut sums = Vec::with_capacity(changes.len());
    for (account, change) in changes {
        let sql = "SELECT posted FROM wallets WHERE account_id = $1";
        let stored = sqlx::query(sql).bind(i64::from(account.0)).fetch_optional(tx.conn()).await?;
        let posted = match stored {
            Some(row) => amount(&row.try_get::<String, _>(0)?, "wallets.posted")?,
            None => Amount::ZERO,
        };
        sums.push([Cell::from(account.0), (posted + change).to_string().into()]);
    }
    let tail = "ON CONFLICT (account_id) DO UPDATE SET posted = excluded.posted";
    bulk::insert(tx, "INSERT INTO wallets (account_id, posted) VALUES", tail, sums).await?;
    Ok(())
}

/// Each wallet's sum of posted transfers.
///
/// # Errors
/// What the database says.
pub async fn wallets(book: &Book) -> Result<BTreeMap<AccountId, Amount>, BookError> {
    let sql = "SELECT account_id, posted FROM wallets ORDER BY account_id";
    let mut rows = sqlx::query_as::<_, (i64, String)>(sql).fetch(book.reader());
    let mut wallets = Vec::new();
    while let Some((id, posted)) = rows.try_next().await? {
        let account = u32::try_from(id).map_err(|_| malformed(format!("wallets.account_id {id}")))?;
        wallets.push((AccountId(account), amount(&posted, "wallets.posted")?));
    }
    Ok(wallets.into_iter().collect())
}

/// An amount as the book writes it.
pub(crate) fn amount(text: &str, place: &str) -> Result<Amount, BookError> {
    Amount::parse(text).ok_or_else(|| malformed(format!("{place} = {text:?}, which is no amount")))
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
