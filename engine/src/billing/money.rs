//! Orders that move money, on the one writer: the book's transaction first, then the wallets in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use kernel::id::AccountId;
use kernel::money::Amount;
use kernel::time::Moment;
use sqlx::Row as _;

use super::pricing::Wallet;
use super::writer::Writer;
use crate::book::closings::{DebtMove, debt_move};
use crate::book::holds::{self, Hold};
use crate::book::ledger::{self, LedgerAccounts};
use crate::book::orders::{self, OrderError, Outcome, Request};
use crate::book::refunds::{self, Decided, Decision};
use crate::book::{BookError, Tx};
use crate::registry::Registry;

/// What each wallet has left.
pub(super) fn balance_in(wallets: &BTreeMap<AccountId, Wallet>) -> impl Fn(AccountId) -> Amount + Sync + '_ {
    |account| wallets.get(&account).map(Wallet::balance).unwrap_or_default()
}

impl Writer {
    /// Carries out an order; gives also whether control has something to settle at once.
    pub(crate) async fn order(&mut self, request: &Request) -> (Result<Outcome, OrderError>, bool) {
        let mut tx = match self.book.begin().await {
            Ok(tx) => tx,
            Err(error) => return (Err(error.into()), false),
        };
        let done = orders::carry_out(&mut tx, &mut self.ledger, request, &balance_in(&self.pricing.wallets)).await;
        let account = done.as_ref().ok().and_then(|outcome| outcome.account);
        self.end_order(tx, done, account).await
    }

    /// Decides on a request for a refund; as [`Writer::order`].
    pub(crate) async fn decide_refund(&mut self, decision: &Decision) -> (Result<Decided, OrderError>, bool) {
        let mut tx = match self.book.begin().await {
            Ok(tx) => tx,
            Err(error) => return (Err(error.into()), false),
        };
        let done = refunds::decide(&mut tx, &mut self.ledger, decision, &balance_in(&self.pricing.wallets)).await;
        let account = done.as_ref().ok().map(|(account, _)| *account);
        self.end_order(tx, done.map(|(_, decided)| decided), account).await
    }

    /// What control makes of an order, at once and not at the next tick.
    pub(crate) async fn follow_up(&mut self, news: bool) {
        if news && let Err(error) = self.settle().await {
            self.broken = Some(error.to_string());
        }
    }

    /// The registry of now.
    pub(crate) fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.registry)
    }

    async fn end_order<T>(
        &mut self,
        tx: Tx,
        done: Result<T, OrderError>,
        account: Option<AccountId>,
    ) -> (Result<T, OrderError>, bool) {
        if done.is_err() {
            drop(tx);
            // Ledger accounts that the dropped transaction created must not be remembered.
            self.ledger = LedgerAccounts::default();
            return (done, false);
        }
        if let Err(error) = tx.commit().await {
            self.ledger = LedgerAccounts::default();
            if !matches!(error, BookError::Full | BookError::Busy | BookError::ReadOnly) {
                self.broken = Some(error.to_string());
            }
            return (Err(error.into()), false);
        }
        let before = account.map(balance_in(&self.pricing.wallets));
        if let Err(error) = self.reload_money(account).await {
            self.broken = Some(error.to_string());
            return (done, false);
        }
        let after = account.map(balance_in(&self.pricing.wallets));
        let news =
            account.is_some_and(|account| if after > before { self.paid(account) } else { self.control.is_some() });
        (done, news)
    }

    /// Takes over what a committed transaction did to a wallet.
    pub(super) async fn reload_money(&mut self, account: Option<AccountId>) -> Result<(), BookError> {
        let last = sqlx::query("SELECT COALESCE(MAX(id), 0) FROM transfers").fetch_one(self.book.reader()).await?;
        self.numbers.transfer = last.try_get::<i64, _>(0)? + 1;
        let Some(account) = account.filter(|account| *account != AccountId(0)) else { return Ok(()) };
        let posted = ledger::wallet(&self.book, account).await?;
        self.holds.retain(|_, hold| hold.account != account);
        let standing = holds::standing_of(&self.book, account).await?;
        let wallet = self.pricing.wallets.entry(account).or_default();
        wallet.posted = posted;
        wallet.held = standing.iter().map(|hold| hold.amount).fold(Amount::ZERO, |sum, amount| sum + amount);
        self.holds.extend(standing.into_iter().map(|hold| (hold.id, hold)));
        self.pricing.touched.insert(account);
        Ok(())
    }

    /// Takes holds whose time is over out of memory; the settlement writes it down.
    pub(super) fn expire_holds(&mut self, now: Moment) -> Vec<Hold> {
        let due = |hold: &Hold| hold.expires_at.is_some_and(|expires_at| expires_at <= now);
        let expired: Vec<Hold> = self.holds.values().filter(|hold| due(hold)).cloned().collect();
        for hold in &expired {
            self.holds.remove(&hold.id);
            self.pricing.wallets.entry(hold.account).or_default().held -= hold.amount;
            self.pricing.touched.insert(hold.account);
        }
        expired
    }

    /// What closed accounts owe leaves their wallets, and what came in pays it; the settlement books it.
    pub(super) fn settle_debts(&mut self) -> Vec<DebtMove> {
        let mut moves = Vec::new();
        for (account, arrears) in &mut self.closed {
            let wallet = self.pricing.wallets.entry(*account).or_default();
            let amount = debt_move(wallet.balance(), *arrears);
            if amount != Amount::ZERO {
                wallet.posted += amount;
                *arrears += amount;
                self.numbers.transfer += 1;
                moves.push(DebtMove { account: *account, amount });
            }
        }
        moves
    }
}
