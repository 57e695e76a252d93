//! What the registry says, in the words of control.

use std::collections::BTreeMap;
use std::sync::Arc;

use kernel::calendar::Calendar;
use kernel::control::evidence::{AccountFacts, Mode};
use kernel::control::policy::Policy;
use kernel::id::{AccountId, MeterId, SiteId, Utility};
use kernel::time::SiteDays;

/// All sites, accounts and meters.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// Sites.
    pub sites: BTreeMap<SiteId, SiteSetup>,
    /// Accounts.
    pub accounts: BTreeMap<AccountId, AccountSetup>,
    /// Meters.
    pub meters: BTreeMap<MeterId, MeterSetup>,
}

/// A site.
#[derive(Clone, Debug)]
pub struct SiteSetup {
    /// Its name.
    pub name: String,
    /// How far control may go.
    pub mode: Mode,
    /// Where notices are posted to.
    pub webhook: Option<String>,
    /// Local days.
    pub days: Arc<SiteDays>,
    /// Day types.
    pub calendar: Arc<Calendar>,
}

/// An account.
#[derive(Clone, Debug)]
pub struct AccountSetup {
    /// Its site.
    pub site: SiteId,
    /// Its name.
    pub name: String,
    /// The customer's name.
    pub holder: String,
    /// What decisions look at.
    pub facts: AccountFacts,
    /// Its policy; without one it is neither warned nor cut.
    pub policy: Option<Arc<Policy>>,
    /// The meters whose use it pays for now.
    pub meters: Vec<MeterId>,
    /// The unit of its balance and of its policy's levels, where it is no money.
    pub unit: Option<&'static str>,
}

/// A meter.
#[derive(Clone, Debug)]
pub struct MeterSetup {
    /// Its serial number.
    pub serial: String,
    /// Who pays for it now.
    pub account: Option<AccountId>,
    /// What it measures.
    pub utility: Utility,
    /// Whether it has a relay or valve.
    pub has_relay: bool,
    /// How often it is polled, in microseconds.
    pub poll: Option<i64>,
    /// Its rating in mW.
    pub rating_mw: Option<i64>,
}

impl Setup {
    /// How many accounts of a site are open.
    pub(super) fn accounts_of(&self, site: SiteId) -> u32 {
        let open = self.accounts.values().filter(|account| account.site == site && account.facts.closed_at.is_none());
        u32::try_from(open.count()).unwrap_or(u32::MAX)
    }
}
