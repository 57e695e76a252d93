//! Units sold for money, and units given back: for accounts whose wallet is kept in kWh or m3 (domain.md, 4).
//!
//! **A sale** is what a payment, or money that left suspense, becomes on such an account: the money is revenue at once
//! (`revenue:UTILITY:units`), and the units that it buys at the price in force go into the wallet, rounded down to 1/1000.
//! What is left of the money, less than 1/1000 unit costs, is posted to `rounding`: `revenue:UTILITY:units` is units x price
//! exactly. The price is that of the contract in force at the payment, else of the last one that ended before it: so a
//! closed account can pay its arrears. What was sold and not yet used is in the wallets, in units: who wants to defer
//! revenue at a month's end reads it there.
//!
//! **A refund** gives back units at the prices at which they were bought, the last bought first, since the first bought are
//! used first; its money is rounded down to the cent, what is lost goes to `rounding`. **A reversal** undoes a sale or a
//! refund with all its transfers, as a whole.

use kernel::component::UNITS;
use kernel::id::{AccountId, TariffVersionId, Utility};
use kernel::money::{Amount, Price, Quantity};
use kernel::sale;
use kernel::tariff::TariffVersion;
use kernel::time::Moment;
use sqlx::Row as _;

use super::bulk::{self, Cell};
use super::ledger::{self, LedgerAccount, LedgerAccounts, LedgerName, Transfer, TransferKind};
use super::orders::Owner;
use super::{Book, BookError, Tx, malformed};

/// 1/1000 unit, as a wallet keeps it.
pub(crate) const THOUSANDTH: i128 = 1_000_000;
/// A cent, in 1e-9 currency.
const CENT: i128 = 10_000_000;

/// Why no units are sold or given back.
#[derive(Debug, thiserror::Error)]
pub enum SaleError {
    /// Nothing says what is sold.
    #[error("account {0} is kept in units and has no contract by then: give it a service point first, or a later time")]
    NoContract(String),
    /// Nothing says for how much.
    #[error(
        "account {account} is kept in units, and tariff {tariff} has no one price for them by then: publish a version with \
         one price, without tiers"
    )]
    NoPrice {
        /// Whose wallet.
        account: String,
        /// By which tariff.
        tariff: String,
    },
    /// Less than 1/1000 unit.
    #[error("{money} buys nothing for account {account} at {price} a {unit}: 0.001 {unit} is the least")]
    TooLittle {
        /// Whose wallet.
        account: String,
        /// What was paid.
        money: Amount,
        /// Of a unit.
        price: Price,
        /// Which.
        unit: &'static str,
    },
    /// A sale whose units were given back.
    #[error("units that transfer {0} bought were refunded: reverse that refund first")]
    Refunded(i64),
    /// The book.
    #[error(transparent)]
    Book(#[from] BookError),
}

impl From<sqlx::Error> for SaleError {
    fn from(error: sqlx::Error) -> SaleError {
        SaleError::Book(error.into())
    }
}

/// Where the money of a sale comes from.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// What the money leaves: cash, or suspense.
    pub(super) debit: LedgerAccount,
    /// A top-up, or an assignment.
    pub(super) kind: TransferKind,
    /// The transfer that received it, where that was another.
    pub(super) linked: Option<i64>,
    /// For people.
    pub(super) memo: String,
}

/// What an account buys at a moment, and for how much.
struct Offer {
    utility: Utility,
    version: TariffVersionId,
    price: Price,
}

async fn offer(tx: &mut Tx, owner: &Owner, at: Moment) -> Result<Offer, SaleError> {
    let sql = "SELECT p.utility, t.id, t.name FROM contracts c JOIN service_points p ON p.id = c.service_point_id \
               JOIN tariffs t ON t.id = c.tariff_id \
               WHERE c.account_id = $1 AND c.superseded_at IS NULL AND c.valid_from <= $2 \
               ORDER BY CASE WHEN c.valid_to IS NULL OR c.valid_to > $2 THEN 0 ELSE 1 END, c.valid_from DESC, c.id LIMIT 1";
    let query = sqlx::query_as::<_, (String, i64, String)>(sql).bind(i64::from(owner.id.0)).bind(at.0);
    let found = query.fetch_optional(tx.conn()).await?;
    let (utility, tariff, name) = found.ok_or_else(|| SaleError::NoContract(owner.name.clone()))?;
    let utility = Utility::parse(&utility).ok_or_else(|| malformed(format!("service_points.utility {utility:?}")))?;
    let sql = "SELECT definition FROM tariff_versions WHERE tariff_id = $1 AND superseded_at IS NULL AND valid_from <= $2 \
               ORDER BY valid_from DESC, id DESC LIMIT 1";
    let row: Option<(String,)> = sqlx::query_as(sql).bind(tariff).bind(at.0).fetch_optional(tx.conn()).await?;
    let version: Option<TariffVersion> = row
        .map(|(text,)| serde_json::from_str(&text))
        .transpose()
        .map_err(|error| malformed(format!("tariff_versions of tariff {tariff}, definition: {error}")))?;
    let priced = version.and_then(|version| Some((version.id, sale::unit_price(&version)?)));
    let (version, price) = priced.ok_or_else(|| SaleError::NoPrice { account: owner.name.clone(), tariff: name })?;
    Ok(Offer { utility, version, price })
}

/// Sells units for money; gives the transfer that brought the money.
pub(super) async fn sell(
    tx: &mut Tx,
    accounts: &mut LedgerAccounts,
    owner: &Owner,
    source: Source,
    money: Amount,
    at: Moment,
) -> Result<i64, SaleError> {
    let unit = owner.unit.unwrap_or_default();
    let Offer { utility, version, price } = offer(tx, owner, at).await?;
    let sold = sale::sell(money, price).filter(|sold| sold.units > Quantity::ZERO);
    let sold = sold.ok_or_else(|| SaleError::TooLittle { account: owner.name.clone(), money, price, unit })?;
    let revenue = accounts.get(tx, &LedgerName::RevenueOf(utility, UNITS.to_owned()), &owner.money).await?;
    let memo = format!("{}: {} {unit} at {price} {}", source.memo, sold.units, owner.money);
    let transfer = |kind, debit, credit, amount, linked| Transfer {
        kind,
        debit,
        credit,
        amount,
        account: owner.id,
        local_date: None,
        linked,
        booked_at: at,
        effective_at: at,
        memo: memo.clone(),
    };
    let paid = transfer(source.kind, source.debit, revenue, money, source.linked);
    let paid = ledger::insert(tx, &[paid]).await?.start;
    let issued = accounts.get(tx, &LedgerName::UnitsSold(utility), unit).await?;
    let wallet = accounts.get(tx, &owner.wallet(), unit).await?;
    let mut legs = vec![transfer(TransferKind::UnitSale, issued, wallet, sale::as_amount(sold.units), Some(paid))];
    if sold.remainder > Amount::ZERO {
        let rounding = accounts.get(tx, &LedgerName::Rounding, &owner.money).await?;
        legs.push(transfer(TransferKind::UnitSale, revenue, rounding, sold.remainder, Some(paid)));
    }
    let units = ledger::insert(tx, &legs).await?.start;
    let id = tx.next_id("unit_sales").await?;
    let row: [Cell<'_>; 12] = [
        id.into(),
        owner.id.0.into(),
        at.0.into(),
        utility.name().into(),
        version.0.into(),
        price.0.into(),
        sold.units.0.into(),
        money.to_string().into(),
        sold.remainder.to_string().into(),
        paid.into(),
        units.into(),
        "sold".into(),
    ];
    let head = "INSERT INTO unit_sales (id, account_id, sold_at, utility, tariff_version_id, price, units, money, \
                remainder, money_transfer_id, unit_transfer_id, state) VALUES";
    bulk::insert(tx, head, "", [row]).await?;
    Ok(paid)
}

/// Units of one sale that a refund gives back.
struct Lot {
    sale: i64,
    utility: Utility,
    price: Price,
    units: Quantity,
}

/// What is left of an account's sales, the last bought first.
async fn lots(tx: &mut Tx, account: AccountId) -> Result<Vec<Lot>, BookError> {
    let sql = "SELECT s.id, u.units FROM unit_refunds u JOIN refunds r ON r.id = u.refund_id \
               JOIN unit_sales s ON s.id = u.sale_id WHERE s.account_id = $1 AND r.state = 'paid'";
    let mut given = std::collections::BTreeMap::<i64, i64>::new();
    for (sale, units) in sqlx::query_as::<_, (i64, i64)>(sql).bind(i64::from(account.0)).fetch_all(tx.conn()).await? {
        *given.entry(sale).or_default() += units;
    }
    let sql =
        "SELECT id, utility, price, units FROM unit_sales WHERE account_id = $1 AND state = 'sold' ORDER BY id DESC";
    let query = sqlx::query_as::<_, (i64, String, i64, i64)>(sql).bind(i64::from(account.0));
    let rows = query.fetch_all(tx.conn()).await?.into_iter();
    rows.map(|(sale, utility, price, units)| {
        let utility = Utility::parse(&utility).ok_or_else(|| malformed(format!("unit_sales.utility {utility:?}")))?;
        let units = Quantity(units - given.get(&sale).copied().unwrap_or(0));
        Ok(Lot { sale, utility, price: Price(price), units })
    })
    .collect()
}

/// The sales out of which so many units are given back.
async fn taken(tx: &mut Tx, account: AccountId, units: Amount) -> Result<Vec<Lot>, BookError> {
    let whole = i64::try_from(units.0 / THOUSANDTH).ok().filter(|_| units.0 % THOUSANDTH == 0);
    let mut left = whole.ok_or_else(|| malformed(format!("a refund of {units} units")))?;
    let mut taken = Vec::new();
    for lot in lots(tx, account).await? {
        let units = left.min(lot.units.0);
        left -= units;
        if units > 0 {
            taken.push(Lot { units: Quantity(units), ..lot });
        }
    }
    // What is refundable is at most what was bought and not given back.
    if left > 0 { Err(malformed(format!("account {account} has not bought {units} units"))) } else { Ok(taken) }
}

fn value(lots: &[Lot]) -> Amount {
    lots.iter().map(|lot| lot.units * lot.price).sum()
}

/// What so many units were bought for.
pub(super) async fn worth(tx: &mut Tx, account: AccountId, units: Amount) -> Result<Amount, BookError> {
    Ok(value(&taken(tx, account, units).await?))
}

/// Gives units back for what they were bought for; gives the transfer of the units.
pub(super) async fn give_back(
    tx: &mut Tx,
    accounts: &mut LedgerAccounts,
    at: Moment,
    owner: &Owner,
    (refund, units, channel): (i64, Amount, &str),
) -> Result<i64, BookError> {
    let lots = taken(tx, owner.id, units).await?;
    let worth = value(&lots);
    let paid = Amount(worth.0 - worth.0.rem_euclid(CENT));
    let utility = lots.first().map(|lot| lot.utility).ok_or_else(|| malformed("a refund of no units".to_owned()))?;
    let memo = format!("refund {refund}, {channel}: {units:.3} units for {paid:.2} {}", owner.money);
    let transfer = |kind, debit, credit, amount, linked| Transfer {
        kind,
        debit,
        credit,
        amount,
        account: owner.id,
        local_date: None,
        linked,
        booked_at: at,
        effective_at: at,
        memo: memo.clone(),
    };
    let wallet = accounts.get(tx, &owner.wallet(), &owner.currency).await?;
    let issued = accounts.get(tx, &LedgerName::UnitsSold(utility), &owner.currency).await?;
    let back = ledger::insert(tx, &[transfer(TransferKind::Refund, wallet, issued, units, None)]).await?.start;
    let revenue = accounts.get(tx, &LedgerName::RevenueOf(utility, UNITS.to_owned()), &owner.money).await?;
    let mut legs = Vec::new();
    if paid > Amount::ZERO {
        let cash = accounts.get(tx, &LedgerName::Cash(channel.to_owned()), &owner.money).await?;
        legs.push(transfer(TransferKind::UnitRefund, revenue, cash, paid, Some(back)));
    }
    if worth > paid {
        let rounding = accounts.get(tx, &LedgerName::Rounding, &owner.money).await?;
        legs.push(transfer(TransferKind::UnitRefund, revenue, rounding, worth - paid, Some(back)));
    }
    if !legs.is_empty() {
        ledger::insert(tx, &legs).await?;
    }
    let rows = lots.iter().map(|lot| -> [Cell<'_>; 3] { [refund.into(), lot.sale.into(), lot.units.0.into()] });
    bulk::insert(tx, "INSERT INTO unit_refunds (refund_id, sale_id, units) VALUES", "", rows).await?;
    Ok(back)
}

/// The further transfers of a sale or of a refund of units: by ledger accounts, with their amounts.
pub(super) async fn followers(tx: &mut Tx, id: i64) -> Result<Vec<(i64, i64, i64, Amount)>, BookError> {
    let sql = "SELECT id, debit_id, credit_id, amount FROM transfers WHERE linked_id = $1 \
               AND kind IN ('unit_sale', 'unit_refund') ORDER BY id";
    let rows = sqlx::query_as::<_, (i64, i64, i64, String)>(sql).bind(id).fetch_all(tx.conn()).await?;
    let read = |(id, debit, credit, amount): (_, _, _, String)| {
        Ok((id, debit, credit, ledger::amount(&amount, "transfers.amount")?))
    };
    rows.into_iter().map(read).collect()
}

/// The sale of a transfer is undone.
pub(super) async fn undone(tx: &mut Tx, transfer: i64) -> Result<(), SaleError> {
    let sql = "SELECT COUNT(*) FROM unit_refunds u JOIN refunds r ON r.id = u.refund_id \
               JOIN unit_sales s ON s.id = u.sale_id WHERE s.money_transfer_id = $1 AND r.state = 'paid'";
    let (refunds,): (i64,) = sqlx::query_as(sql).bind(transfer).fetch_one(tx.conn()).await?;
    if refunds > 0 {
        return Err(SaleError::Refunded(transfer));
    }
    let sql = "UPDATE unit_sales SET state = 'reversed' WHERE money_transfer_id = $1";
    sqlx::query(sql).bind(transfer).execute(tx.conn()).await?;
    Ok(())
}

/// How many units the money of a transfer bought, and at which price; none where it bought none.
///
/// # Errors
/// What the database says.
pub async fn bought(book: &Book, transfer: i64) -> Result<Option<(Quantity, Price)>, BookError> {
    let sql = "SELECT units, price FROM unit_sales WHERE money_transfer_id = $1";
    let row = sqlx::query(sql).bind(transfer).fetch_optional(book.reader()).await?;
    row.map(|row| Ok((Quantity(row.try_get(0)?), Price(row.try_get(1)?)))).transpose()
}
