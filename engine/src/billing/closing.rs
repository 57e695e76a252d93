//! Closing an account, and handing a service point from one account to the next: changes of the registry that move money.
//!
//! Everything happens in one transaction: contracts end, what was charged beyond is taken back, the final balance becomes
//! a refund (or a request for one) or arrears. What arrives later for the time before is charged to the account as always,
//! and follows into its arrears.

use kernel::id::{AccountId, ServicePointId};
use kernel::money::Amount;
use kernel::time::Moment;

use super::apply::ApplyError;
use super::component_facts::AccountMonth;
use super::error::BillingError;
use super::periods::named;
use super::writer::Writer;
use crate::book::chain::{self, Entry};
use crate::book::closings::{self, Closing};
use crate::book::keys::{Asked, First, KeyError};
use crate::book::orders::{OrderError, Owner};
use crate::book::refunds::{self, Wish};
use crate::book::{BookError, Tx, unit_sales};
use crate::registry::{Contract, Site};
use crate::site_file::{self, MoveFault};

/// An account that is to be closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseAccount {
    /// Which.
    pub account: AccountId,
    /// When its contracts end.
    pub at: Moment,
    /// How what is left is paid back.
    pub channel: String,
    /// Why demand is charged by the readings that there are, where they do not tell all of it.
    pub as_measured: Option<String>,
    /// The client's key.
    pub key: String,
    /// Who closes it.
    pub actor: String,
}

/// How an account ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedAccount {
    /// It was closed before under this key; nothing changed.
    pub repeated: bool,
    /// The end.
    pub closing: Closing,
    /// What of the rest can be refunded, paid or requested, in the wallet's commodity; the remainder (a bonus, less than a
    /// cent) stays.
    pub refunded: Amount,
    /// The transfer that paid it; none while a second person must approve.
    pub paid_by: Option<i64>,
    /// What changed in the registry, in words.
    pub changes: Vec<String>,
}

/// Why an account is not closed, or a service point not handed over. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ClosingError {
    /// The key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// It has no such end.
    #[error("account {account} cannot be closed then: {what}")]
    Time {
        /// Which.
        account: String,
        /// Why, with the remedy.
        what: &'static str,
    },
    /// Closed already.
    #[error("account {account} is closed since {since}: an account ends once")]
    Already {
        /// Which.
        account: String,
        /// Since when.
        since: Moment,
    },
    /// Meters are not read to the end.
    #[error("account {account} needs a final read: {}; poll or import a reading of that time or later, then close it", .missing.join("; "))]
    NotRead {
        /// Which.
        account: String,
        /// Each meter with its last reading.
        missing: Vec<String>,
    },
    /// Demand is charged, and a maximum may have been where nothing was read.
    #[error(
        "account {account} is charged by demand, and readings do not tell all of it: {what}; import or correct the readings, or \
         close it with --demand-as-measured \"WHY\""
    )]
    Demand {
        /// Which.
        account: String,
        /// Where, when and for how long.
        what: String,
    },
    /// Somebody wants demand charged as measured and does not say why.
    #[error("demand is not charged as measured without a reason; it is kept in the audit log")]
    NoReason,
    /// Money is set aside or asked for, or a closed month waits to be adjusted.
    #[error("account {account} has {what}: release or capture it, approve or reject it, then close the account")]
    Open {
        /// Which.
        account: String,
        /// Holds, requests and adjustments.
        what: String,
    },
    /// A contract begins later.
    #[error("account {account} has a contract at {point} that begins later: correct that in the site file first")]
    Later {
        /// Which.
        account: String,
        /// Where.
        point: String,
    },
    /// The service point cannot be handed over so.
    #[error(transparent)]
    Move(#[from] MoveFault),
    /// The account, or what is to be refunded.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// The registry.
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

impl From<BookError> for ClosingError {
    fn from(error: BookError) -> ClosingError {
        ClosingError::Order(error.into())
    }
}

impl From<BillingError> for ClosingError {
    fn from(error: BillingError) -> ClosingError {
        ClosingError::Apply(error.into())
    }
}

/// A cent, in 1e-9.
const CENT: i128 = 10_000_000;

impl Writer {
    /// Closes an account.
    ///
    /// # Errors
    /// [`ClosingError`]; nothing was changed.
    pub(crate) async fn close_account(&mut self, order: &CloseAccount) -> Result<ClosedAccount, ClosingError> {
        let now = self.clock.now();
        // What is rated anew is compared with what is charged by now, closing counts included.
        self.close_ended(now).await?;
        let content = [order.account.0.to_string(), order.at.0.to_string(), order.channel.clone()];
        let asked = Asked::new(&order.key, "closing", &content.each_ref().map(String::as_str))?;
        let mut tx = self.book.begin().await?;
        if asked.earlier(&mut tx).await?.is_some() {
            let closing = closings::of(&mut tx, order.account).await?;
            let closing = closing.ok_or_else(|| crate::book::malformed("a closing's key without its closing"))?;
            let (refunded, paid_by, changes) = (Amount::ZERO, None, Vec::new());
            return Ok(ClosedAccount { repeated: true, closing, refunded, paid_by, changes });
        }
        let owner = Owner::find(&mut tx, order.account).await?;
        self.may_close(&mut tx, &owner, order, now).await?;
        let plan = site_file::close_account(&self.registry, order.account, order.at, now);
        let changes = plan.changes.iter().map(ToString::to_string).collect();
        self.change_registry(&mut tx, &plan, now, &order.actor).await?;
        // Memory runs ahead of the transaction: if it fails, billing stops and recovers from the book.
        let done = self.end_account(tx, &asked, &owner, order, now).await;
        if let Err(error) = &done {
            self.broken = Some(error.to_string());
        }
        done.map(|done| ClosedAccount { changes, ..done })
    }

    async fn may_close(
        &self,
        tx: &mut Tx,
        owner: &Owner,
        order: &CloseAccount,
        now: Moment,
    ) -> Result<(), ClosingError> {
        let account = owner.name.to_string();
        let known = self.registry.account(order.account).ok_or(OrderError::UnknownAccount(order.account))?;
        if let Some(since) = known.closed_at {
            return Err(ClosingError::Already { account, since });
        }
        if order.at > now {
            return Err(ClosingError::Time { account, what: "that is in the future; close it when it is over" });
        }
        if order.at <= known.opened_at {
            return Err(ClosingError::Time { account, what: "it was not open yet; give a later time" });
        }
        for point in self.registry.points_of_account(order.account) {
            let later = |from: Moment, payer| payer == order.account && from >= order.at;
            if point.contracts().any(|contract| later(contract.valid_from, contract.account)) {
                return Err(ClosingError::Later { account, point: point.name.to_string() });
            }
            let ends = |contract: Contract| {
                contract.account == order.account && contract.valid_to.is_none_or(|to| to > order.at)
            };
            let stated = self.registry.site(point.site).and_then(Site::closed_until);
            if stated.is_some_and(|end| order.at < end) && point.contracts().any(ends) {
                let what =
                    "that month is closed; close it after the last closed month, or open that again (`period reopen`)";
                return Err(ClosingError::Time { account, what });
            }
        }
        let missing = self.unread(order.account, order.at);
        if !missing.is_empty() {
            return Err(ClosingError::NotRead { account, missing });
        }
        let mut open: Vec<String> = self
            .holds
            .values()
            .filter(|hold| hold.account == order.account)
            .map(|hold| format!("hold {}", hold.id))
            .collect();
        let sql = "SELECT id FROM refunds WHERE account_id = $1 AND state = 'requested' ORDER BY id";
        let waiting = sqlx::query_as::<_, (i64,)>(sql).bind(i64::from(order.account.0));
        let waiting = waiting.fetch_all(tx.conn()).await.map_err(BookError::from)?;
        open.extend(waiting.into_iter().map(|(id,)| format!("request {id} for a refund")));
        let pending = self.adjustments.pending.values().filter(|waits| waits.account == order.account);
        open.extend(pending.map(|waits| format!("adjustment {}", waits.id)));
        if !open.is_empty() {
            return Err(ClosingError::Open { account, what: open.join(", ") });
        }
        match order.as_measured.as_deref().map(str::trim) {
            Some("") => Err(ClosingError::NoReason),
            Some(_) => Ok(()),
            None => self.knows_demand(account, order).await,
        }
    }

    /// The final bill makes the demand of months that are open final: what a close of the month would refuse, this does.
    async fn knows_demand(&self, account: String, order: &CloseAccount) -> Result<(), ClosingError> {
        let site = self.registry.account(order.account).and_then(|account| self.registry.site(account.site));
        let Some(day) = site.and_then(|site| site.days.at(order.at)) else { return Ok(()) };
        let mut unclear = Vec::new();
        for (point, month) in self.open_months(order.account, day.date.month()) {
            if self.measures_demand(point) {
                let of = AccountMonth { point, account: order.account, month };
                let found = self.unclear_demand_of(of, Some(order.at)).await?;
                unclear.extend(found.map(|found| format!("{month} at {found}")));
            }
        }
        if unclear.is_empty() { Ok(()) } else { Err(ClosingError::Demand { account, what: named(&unclear) }) }
    }

    /// Meters of an account's contracts that are not read up to their end, or to `at`.
    fn unread(&self, account: AccountId, at: Moment) -> Vec<String> {
        let mut missing = Vec::new();
        for point in self.registry.points_of_account(account) {
            for contract in point.contracts().filter(|contract| contract.account == account) {
                let end = contract.valid_to.unwrap_or(at).min(at);
                let here =
                    |from: Moment, to: Option<Moment>| from < end && to.is_none_or(|to| to > contract.valid_from);
                let epochs = point.epochs().iter().filter(|epoch| here(epoch.valid_from, epoch.valid_to));
                let Some(last) = epochs.max_by_key(|epoch| epoch.valid_from) else { continue };
                let needed = last.valid_to.unwrap_or(end).min(end);
                let read = self.pricing.points.get(&point.id).and_then(|runtime| runtime.state.measured_until());
                if read.is_none_or(|read| read < needed) {
                    let meter = self.registry.meter(last.meter).map_or("?", |meter| meter.serial.as_str());
                    let read = read.map_or_else(|| "never".to_owned(), |read| format!("until {read}"));
                    missing.push(format!("meter {meter} at {} is read {read}, not until {needed}", point.name));
                }
            }
        }
        missing
    }

    /// The final bill, in the transaction that ended the contracts.
    async fn end_account(
        &mut self,
        mut tx: Tx,
        asked: &Asked,
        owner: &Owner,
        order: &CloseAccount,
        now: Moment,
    ) -> Result<ClosedAccount, ClosingError> {
        self.closed.insert(order.account, Amount::ZERO);
        let site = self.registry.account(order.account).and_then(|account| self.registry.site(account.site));
        if let Some(day) = site.and_then(|site| site.days.at(order.at)).copied() {
            self.mark_account(order.account, day.date.month());
            let points: Vec<_> = self.registry.points_of_account(order.account).map(|point| point.id).collect();
            self.pricing.accrue_last(order.account, &points, day.date);
        }
        let mut settlement = self.prepare().await?;
        self.write_in(&mut tx, &settlement).await?;
        let left = self.pricing.wallets.get(&order.account).copied().unwrap_or_default().balance();
        let debts = settlement.debts.iter().filter(|debt| debt.account == order.account).map(|debt| debt.amount);
        let balance = left - debts.fold(Amount::ZERO, |sum, debt| sum + debt);
        // Nobody can be paid less than a cent, nor given back less than units are sold in.
        let least = if owner.unit.is_some() { unit_sales::THOUSANDTH } else { CENT };
        let refundable = refunds::refundable(&mut tx, order.account, left).await?;
        let refunded = Amount(refundable.0 - refundable.0.rem_euclid(least));
        let mut refund = First::default();
        if refunded > Amount::ZERO {
            let reason = format!("account {} was closed", owner.name);
            let wish = Wish { account: order.account, amount: refunded, channel: &order.channel, reason: &reason };
            refund = refunds::propose(&mut tx, &mut self.ledger, (&order.actor, now), owner, &wish).await?;
        }
        let closing = Closing { account: order.account, closed_at: order.at, balance, refund: refund.subject };
        closings::record(&mut tx, &closing, now, &order.actor).await?;
        let first = First { transfer: refund.transfer, subject: refund.subject };
        asked.keep(&mut tx, first, &order.actor, now).await?;
        let detail = serde_json::json!({
            "closed_at": order.at.to_string(), "balance": balance.to_string(), "refund": refund.subject,
            "refunded": refunded.to_string(), "paid_by": refund.transfer, "key": order.key,
            "demand_as_measured": order.as_measured,
        });
        let entry = Entry {
            at: now,
            actor: order.actor.clone(),
            kind: "account_closed".to_owned(),
            subject: owner.subject(),
            detail: detail.to_string(),
        };
        chain::append(&mut tx, entry).await?;
        tx.commit().await?;
        self.settled_through(&mut settlement);
        self.reload_money(Some(order.account)).await?;
        Ok(ClosedAccount { repeated: false, closing, refunded, paid_by: refund.transfer, changes: Vec::new() })
    }

    /// Hands a service point from one account to another; gives what changes, in words. The same again changes nothing.
    ///
    /// # Errors
    /// [`ClosingError`]; nothing was changed.
    pub(crate) async fn move_point(
        &mut self,
        point: ServicePointId,
        (from, to): (AccountId, AccountId),
        at: Moment,
        actor: &str,
    ) -> Result<Vec<String>, ClosingError> {
        let now = self.clock.now();
        self.close_ended(now).await?;
        let plan = site_file::move_point(&self.registry, point, (from, to), at, now)?;
        let changes = plan.changes.iter().map(ToString::to_string).collect();
        if !plan.is_empty() {
            let mut tx = self.book.begin().await?;
            self.change_registry(&mut tx, &plan, now, actor).await?;
            self.settle_change(tx).await?;
        }
        Ok(changes)
    }
}
