//! What every account has left at one moment.

use kernel::id::AccountId;
use kernel::money::Amount;
use kernel::time::Moment;

use super::pricing::Wallet;
use super::writer::Writer;

/// An account's balance, with the time of the oldest reading that it rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// Posted transfers minus rated usage minus holds.
    pub balance: Amount,
    /// Rated usage that is not posted yet.
    pub unposted: Amount,
    /// Money that is set aside.
    pub held: Amount,
    /// The oldest of the last readings of the account's service points; none while one has never been read.
    pub as_of: Option<Moment>,
    /// A reading is suspended, in quarantine or in exception.
    pub in_doubt: bool,
}

/// The balances of all accounts: lists side by side, 69 bytes an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Balances {
    /// Ascending.
    accounts: Vec<AccountId>,
    wallets: Vec<Wallet>,
    as_of: Vec<Option<Moment>>,
    in_doubt: Vec<bool>,
}

impl Balances {
    /// That of an account.
    #[must_use]
    pub fn get(&self, account: &AccountId) -> Option<Balance> {
        self.at(self.accounts.binary_search(account).ok()?)
    }

    /// All of them, by account.
    pub fn iter(&self) -> impl Iterator<Item = (AccountId, Balance)> {
        self.accounts.iter().enumerate().filter_map(|(place, account)| Some((*account, self.at(place)?)))
    }

    fn at(&self, place: usize) -> Option<Balance> {
        let wallet = self.wallets.get(place)?;
        Some(Balance {
            balance: wallet.balance(),
            unposted: wallet.unposted,
            held: wallet.held,
            as_of: *self.as_of.get(place)?,
            in_doubt: *self.in_doubt.get(place)?,
        })
    }
}

impl Writer {
    /// All balances, with every frame that billing has taken.
    pub(crate) fn balances(&self) -> Balances {
        let now = self.clock.now();
        let accounts: Vec<AccountId> = self.registry.accounts().map(|account| account.id).collect();
        let wallet = |id| self.pricing.wallets.get(id).copied().unwrap_or_default();
        let wallets = accounts.iter().map(wallet).collect();
        let (as_of, in_doubt) = accounts.iter().map(|id| self.pricing.evidence(*id, now)).unzip();
        Balances { accounts, wallets, as_of, in_doubt }
    }
}
