//! Double entry: ledger accounts by name, immutable transfers, and each wallet's sum beside them.
//!
//! A transfer debits one ledger account and credits another with the same amount, above zero; so all ledger accounts
//! together always sum to zero. A wallet is a liability: a credit raises it, usage debits it.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use kernel::id::{AccountId, Utility};
use kernel::money::Amount;
use kernel::time::{LocalDate, Moment};
use sqlx::Row;

use super::bulk::{self, Cell};
use super::malformed;
use super::pages::{self, Select};
use super::{Book, BookError, Tx};

/// What a ledger account is for; its name in the book (domain.md, 5).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LedgerName {
    /// A customer's wallet, by the account's name.
    Wallet(AccountId, String),
    /// What a customer was given on top of what it paid; never refunded.
    Bonus,
    /// Emergency credit that a customer has used and owes.
    EmergencyCredit(AccountId, String),
    /// What a closed account still owes. It stays with the person, never with the meter or the room.
    Arrears(AccountId, String),
    /// What a customer left as a security.
    Deposit(AccountId, String),
    /// Money received through a channel.
    Cash(String),
    /// Money that a payment provider has collected and not yet paid out.
    Clearing(String),
    /// What the energy or the volume of a utility earned.
    Revenue(Utility),
    /// What another component of a utility's tariff earned.
    RevenueOf(Utility, String),
    /// What fees earned.
    Fees,
    /// A tax that was collected and is owed.
    Tax(String),
    /// Digits that statement lines lose.
    Rounding,
    /// Money whose owner is not known yet.
    Suspense,
    /// Units of a utility that were sold beforehand, less those given back; in units.
    UnitsSold(Utility),
    /// Units sold beforehand that were used; in units.
    Delivered(Utility),
}

/// What a ledger account's balance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LedgerKind {
    /// What we have or are owed; a debit raises it.
    Asset,
    /// What we owe; a credit raises it.
    Liability,
    /// What we earned; a credit raises it.
    Income,
    /// What we gave away; a debit raises it.
    Expense,
}

impl LedgerKind {
    /// The name in the book.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            LedgerKind::Asset => "asset",
            LedgerKind::Liability => "liability",
            LedgerKind::Income => "income",
            LedgerKind::Expense => "expense",
        }
    }
}

impl LedgerName {
    /// The name in the book; another currency of the same name is added to it.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            LedgerName::Wallet(_, account) => format!("wallet:{account}"),
            LedgerName::Bonus => "bonus".to_owned(),
            LedgerName::EmergencyCredit(_, account) => format!("emergency:{account}"),
            LedgerName::Arrears(_, account) => format!("arrears:{account}"),
            LedgerName::Deposit(_, account) => format!("deposit:{account}"),
            LedgerName::Cash(channel) => format!("cash:{channel}"),
            LedgerName::Clearing(provider) => format!("clearing:{provider}"),
            LedgerName::Revenue(utility) => format!("revenue:{}", utility.name()),
            LedgerName::RevenueOf(utility, component) => format!("revenue:{}:{component}", utility.name()),
            LedgerName::Fees => "revenue:fees".to_owned(),
            LedgerName::Tax(tax) => format!("tax:{tax}"),
            LedgerName::Rounding => "rounding".to_owned(),
            LedgerName::Suspense => "suspense".to_owned(),
            LedgerName::UnitsSold(utility) => format!("units:{}", utility.name()),
            LedgerName::Delivered(utility) => format!("delivered:{}", utility.name()),
        }
    }

    /// What its balance is.
    #[must_use]
    pub const fn kind(&self) -> LedgerKind {
        match self {
            LedgerName::Wallet(..) | LedgerName::Deposit(..) | LedgerName::Tax(_) | LedgerName::Suspense => {
                LedgerKind::Liability
            }
            LedgerName::Cash(_)
            | LedgerName::Clearing(_)
            | LedgerName::Arrears(..)
            | LedgerName::EmergencyCredit(..)
            | LedgerName::UnitsSold(_) => LedgerKind::Asset,
            LedgerName::Revenue(_)
            | LedgerName::RevenueOf(..)
            | LedgerName::Fees
            | LedgerName::Rounding
            | LedgerName::Delivered(_) => LedgerKind::Income,
            LedgerName::Bonus => LedgerKind::Expense,
        }
    }

    fn owner(&self) -> Option<AccountId> {
        match self {
            LedgerName::Wallet(account, _)
            | LedgerName::EmergencyCredit(account, _)
            | LedgerName::Arrears(account, _)
            | LedgerName::Deposit(account, _) => Some(*account),
            _ => None,
        }
    }

    fn wallet(&self) -> Option<AccountId> {
        matches!(self, LedgerName::Wallet(..)).then(|| self.owner()).flatten()
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

impl LedgerAccount {
    /// The ledger account of an identifier that a transfer names.
    ///
    /// # Errors
    /// What the database says; [`BookError::Malformed`] where there is none.
    pub(super) async fn of_id(tx: &mut Tx, id: i64) -> Result<LedgerAccount, BookError> {
        let sql = "SELECT name, account_id FROM ledger_accounts WHERE id = $1";
        let row: Option<(String, Option<i64>)> = sqlx::query_as(sql).bind(id).fetch_optional(tx.conn()).await?;
        let (name, owner) = row.ok_or_else(|| malformed(format!("a transfer names ledger account {id}")))?;
        let wallet =
            owner.filter(|_| name.starts_with("wallet:")).map(|owner| AccountId(u32::try_from(owner).unwrap_or(0)));
        Ok(LedgerAccount { id, wallet })
    }
}

async fn stored(tx: &mut Tx, name: &str) -> Result<Option<(i64, String)>, BookError> {
    let sql = "SELECT id, currency FROM ledger_accounts WHERE name = $1";
    Ok(sqlx::query_as(sql).bind(name.to_owned()).fetch_optional(tx.conn()).await?)
}

async fn create(tx: &mut Tx, text: &str, name: &LedgerName, currency: &str) -> Result<i64, BookError> {
    let id = tx.next_id("ledger_accounts").await?;
    let row: [Cell<'_>; 5] = [
        id.into(),
        text.into(),
        name.kind().name().into(),
        name.owner().map(|account| account.0).into(),
        currency.into(),
    ];
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
    /// Money went back to the customer.
    Refund,
    /// Given on top of what was paid.
    Bonus,
    /// Held money was taken.
    Capture,
    /// Money came in whose owner is not known.
    Suspense,
    /// Money in suspense found its owner.
    SuspenseAssignment,
    /// A closed account's debt left its wallet, or came back to it.
    Arrears,
    /// What money bought: units into the wallet, and the remainder of the money.
    UnitSale,
    /// What units that were given back were bought for.
    UnitRefund,
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
            TransferKind::Refund => "refund",
            TransferKind::Bonus => "bonus",
            TransferKind::Capture => "capture",
            TransferKind::Suspense => "suspense",
            TransferKind::SuspenseAssignment => "suspense_assignment",
            TransferKind::Arrears => "arrears",
            TransferKind::UnitSale => "unit_sale",
            TransferKind::UnitRefund => "unit_refund",
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
    /// The customer's account it concerns; 0 while nobody knows it.
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

/// Each wallet's sum of posted transfers, by account.
///
/// # Errors
/// What the database says.
pub async fn wallets(book: &Book) -> Result<Vec<(AccountId, Amount)>, BookError> {
    let select = Select { table: "wallets", key: "account_id", columns: &["account_id", "posted"], condition: "1 = 1" };
    let mut wallets = Vec::new();
    pages::each::<BookError>(&mut *book.snapshot().await?, &select, |line| {
        let account: i64 = line.get("account_id")?;
        let account = u32::try_from(account).map_err(|_| line.fault("account_id", "is no identifier"))?;
        wallets.push((AccountId(account), amount(line.get("posted")?, "wallets.posted")?));
        Ok(())
    })
    .await?;
    Ok(wallets)
}

/// One wallet's sum of posted transfers.
///
/// # Errors
/// What the database says.
pub async fn wallet(book: &Book, account: AccountId) -> Result<Amount, BookError> {
    let sql = "SELECT posted FROM wallets WHERE account_id = $1";
    let row: Option<(String,)> = sqlx::query_as(sql).bind(i64::from(account.0)).fetch_optional(book.reader()).await?;
    row.map_or(Ok(Amount::ZERO), |(posted,)| amount(&posted, "wallets.posted"))
}

/// An amount as the book writes it.
pub(crate) fn amount(text: &str, place: &str) -> Result<Amount, BookError> {
    Amount::parse(text).ok_or_else(|| malformed(format!("{place} = {text:?}, which is no amount")))
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
