//! What every account has left at one moment.

use std::ops::Index;

use kernel::id::AccountId;
use kernel::money::Amount;
use kernel::time::Moment;

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

/// The balances of all accounts: two lists side by side, 84 bytes an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Balances {
    /// Ascending.
    accounts: Vec<AccountId>,
    balances: Vec<Balance>,
}

impl Balances {
    /// That of an account.
    #[must_use]
    pub fn get(&self, account: &AccountId) -> Option<&Balance> {
        self.balances.get(self.accounts.binary_search(account).ok()?)
    }

    /// All of them, by account.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &Balance> {
        self.balances.iter()
    }
}

impl Index<&AccountId> for Balances {
    type Output = Balance;

    fn index(&self, account: &AccountId) -> &Balance {
        self.get(account).expect("an account of the registry")
    }
}

impl Writer {
    /// All balances, with every frame that billing has taken.
    pub(crate) fn balances(&self) -> Balances {
        let now = self.clock.now();
        let accounts: Vec<AccountId> = self.registry.accounts().map(|account| account.id).collect();
        let balance = |id: &AccountId| {
            let wallet = self.pricing.wallets.get(id).copied().unwrap_or_default();
            let (as_of, in_doubt) = self.pricing.evidence(*id, now);
            Balance { balance: wallet.balance(), unposted: wallet.unposted, held: wallet.held, as_of, in_doubt }
        };
        let balances = accounts.iter().map(balance).collect();
        Balances { accounts, balances }
    }
}
