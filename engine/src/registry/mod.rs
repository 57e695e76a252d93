//! The registry: what is installed where, who pays for it and by which tariff, as one immutable snapshot.
//!
//! Billing, field and reports hold an `Arc<Registry>`; a change makes a new one ([`load`]) and swaps it in.
//! Rows that were superseded (`correct = true`) are left out, except that [`Registry::version`] still knows their
//! tariff versions, because charges name them for ever.

mod conversions;
mod load;
mod name;
mod points;
pub(crate) mod pools;
mod setup;
mod shared;
mod table;
mod types;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use kernel::epoch::Epoch;
pub use kernel::id::TariffId;
use kernel::id::{AccountId, ContractId, MeterId, ServicePointId, SiteId, TariffVersionId};
use kernel::rate::Terms;
use kernel::tariff::TariffVersion;
use kernel::time::Moment;
use kernel::unit::Unit;
use table::{Installed, Paid, Table};

pub(crate) use load::{host_port, last_ids};
pub use load::{load, load_from};
pub use name::Name;
pub(crate) use pools::joined;
pub use setup::Setup;
pub use types::{
    Account, AccountKind, CalendarEntry, CalendarId, Calorific, CalorificValue, Conditions, Contract, ContractFacts,
    Conversion, DEFAULT_MINOR, GasQuality, GasQualityId, Location, LocationId, Make, Meter, MeterKind, Mode, Policy,
    PolicyId, ServicePoint, Site, Tariff, parse_rounding, rounding_name, unit_named,
};

/// An immutable snapshot of the registry.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    sites: BTreeMap<SiteId, Site>,
    locations: BTreeMap<LocationId, Location>,
    calendars: BTreeMap<CalendarId, CalendarEntry>,
    policies: BTreeMap<PolicyId, Policy>,
    accounts: Table<Account>,
    tariffs: BTreeMap<TariffId, Tariff>,
    gas_qualities: BTreeMap<GasQualityId, GasQuality>,
    points: Table<ServicePoint>,
    meters: Table<Meter>,
    versions: HashMap<TariffVersionId, (TariffId, Arc<TariffVersion>)>,
    /// Of the contracts that state any.
    facts: BTreeMap<ContractId, ContractFacts>,
    /// Names of components that are a tax on top of prices, in any version.
    taxes: BTreeSet<String>,
    installed: Installed,
    paid: Paid,
    last_ids: LastIds,
}

/// The tables whose identifiers a site file gives out.
pub(crate) const TABLES: [&str; 14] = [
    "calendars",
    "policies",
    "sites",
    "locations",
    "accounts",
    "tariffs",
    "tariff_versions",
    "service_points",
    "contracts",
    "meters",
    "epochs",
    "gas_qualities",
    "calorific_values",
    "conversions",
];

/// The highest identifier in use in each of [`TABLES`], superseded rows included.
pub(crate) type LastIds = [u32; TABLES.len()];

impl Registry {
    pub(crate) fn last_ids(&self) -> LastIds {
        self.last_ids
    }

    /// All sites, by identifier.
    pub fn sites(&self) -> impl ExactSizeIterator<Item = &Site> {
        self.sites.values()
    }

    /// A site.
    #[must_use]
    pub fn site(&self, id: SiteId) -> Option<&Site> {
        self.sites.get(&id)
    }

    /// The site of that name.
    #[must_use]
    pub fn site_named(&self, name: &str) -> Option<&Site> {
        self.sites.values().find(|site| site.name == name)
    }

    /// All locations, by identifier.
    pub fn locations(&self) -> impl ExactSizeIterator<Item = &Location> {
        self.locations.values()
    }

    /// A location.
    #[must_use]
    pub fn location(&self, id: LocationId) -> Option<&Location> {
        self.locations.get(&id)
    }

    /// All calendars, by identifier.
    pub fn calendars(&self) -> impl ExactSizeIterator<Item = &CalendarEntry> {
        self.calendars.values()
    }

    /// All policies, by identifier.
    pub fn policies(&self) -> impl ExactSizeIterator<Item = &Policy> {
        self.policies.values()
    }

    /// A policy.
    #[must_use]
    pub fn policy(&self, id: PolicyId) -> Option<&Policy> {
        self.policies.get(&id)
    }

    /// All accounts, by identifier.
    pub fn accounts(&self) -> impl ExactSizeIterator<Item = &Account> {
        self.accounts.rows().iter()
    }

    /// An account.
    #[must_use]
    pub fn account(&self, id: AccountId) -> Option<&Account> {
        self.accounts.get(id)
    }

    /// The account of that name.
    #[must_use]
    pub fn account_named(&self, name: &str) -> Option<&Account> {
        self.accounts.named(name)
    }

    /// What an account's wallet is kept in: `kWh` or `m3` where it is kept in units, else the currency of its site.
    #[must_use]
    pub fn commodity_of(&self, id: AccountId) -> &str {
        let Some(account) = self.account(id) else { return "" };
        account.unit.unwrap_or_else(|| self.site(account.site).map_or("", |site| &site.currency))
    }

    /// All tariffs, by identifier.
    pub fn tariffs(&self) -> impl ExactSizeIterator<Item = &Tariff> {
        self.tariffs.values()
    }

    /// A tariff.
    #[must_use]
    pub fn tariff(&self, id: TariffId) -> Option<&Tariff> {
        self.tariffs.get(&id)
    }

    /// The tariff of that name.
    #[must_use]
    pub fn tariff_named(&self, name: &str) -> Option<&Tariff> {
        self.tariffs.values().find(|tariff| tariff.name == name)
    }

    /// All gas qualities, by identifier.
    pub fn gas_qualities(&self) -> impl ExactSizeIterator<Item = &GasQuality> {
        self.gas_qualities.values()
    }

    /// A gas quality.
    #[must_use]
    pub fn gas_quality(&self, id: GasQualityId) -> Option<&GasQuality> {
        self.gas_qualities.get(&id)
    }

    /// The gas quality of that name.
    #[must_use]
    pub fn gas_quality_named(&self, name: &str) -> Option<&GasQuality> {
        self.gas_qualities.values().find(|quality| quality.name == name)
    }

    /// What a meter's usage, and what its register comes to, is in: m3 where that is converted, else the billing unit of
    /// the service point of its latest installation.
    #[must_use]
    pub fn measured_in(&self, meter: &Meter) -> Unit {
        let latest = self.epochs_of(meter.id).max_by_key(|epoch| epoch.valid_from);
        let point = latest.filter(|epoch| !epoch.converts).and_then(|epoch| self.service_point(epoch.service_point));
        point.map_or(Unit::of(meter.utility), |point| point.unit)
    }

    /// A tariff version, also one that was superseded, with its tariff.
    #[must_use]
    pub fn version(&self, id: TariffVersionId) -> Option<(&Tariff, &Arc<TariffVersion>)> {
        let (tariff, version) = self.versions.get(&id)?;
        Some((self.tariff(*tariff)?, version))
    }

    /// All tariff versions, also those that were superseded, in no order.
    pub fn versions(&self) -> impl Iterator<Item = &Arc<TariffVersion>> {
        self.versions.values().map(|(_, version)| version)
    }

    /// Whether the component of that name is a tax on top of prices.
    #[must_use]
    pub fn is_tax(&self, component: &str) -> bool {
        self.taxes.contains(component)
    }

    /// What a contract states for the components of its tariff.
    #[must_use]
    pub fn facts_of(&self, contract: ContractId) -> &ContractFacts {
        self.facts.get(&contract).unwrap_or(ContractFacts::NONE)
    }

    /// All service points, by identifier.
    pub fn service_points(&self) -> impl ExactSizeIterator<Item = &ServicePoint> {
        self.points.rows().iter()
    }

    /// A service point.
    #[must_use]
    pub fn service_point(&self, id: ServicePointId) -> Option<&ServicePoint> {
        self.points.get(id)
    }

    /// The service point of that name.
    #[must_use]
    pub fn service_point_named(&self, name: &str) -> Option<&ServicePoint> {
        self.points.named(name)
    }

    /// What the kernel prices a service point by: days, calendar, contracts with their tariffs' versions.
    #[must_use]
    pub fn terms(&self, id: ServicePointId) -> Option<&Terms> {
        Some(&self.setup(id)?.terms)
    }

    /// What each service point is rated by, by its identifier.
    pub fn setups(&self) -> impl ExactSizeIterator<Item = &Arc<Setup>> {
        self.points.rows().iter().map(|point| &point.setup)
    }

    /// What a service point is rated by.
    #[must_use]
    pub fn setup(&self, id: ServicePointId) -> Option<&Arc<Setup>> {
        Some(&self.points.get(id)?.setup)
    }

    /// All meters, by identifier.
    pub fn meters(&self) -> impl ExactSizeIterator<Item = &Meter> {
        self.meters.rows().iter()
    }

    /// A meter.
    #[must_use]
    pub fn meter(&self, id: MeterId) -> Option<&Meter> {
        self.meters.get(id)
    }

    /// The meter of that serial number.
    #[must_use]
    pub fn meter_by_serial(&self, serial: &str) -> Option<&Meter> {
        self.meters.named(serial)
    }

    /// The service points at which a meter was ever installed, in order of time.
    #[must_use]
    pub fn points_of(&self, meter: MeterId) -> &[ServicePointId] {
        self.installed.of(meter)
    }

    /// A meter's installations, by service point and start.
    pub fn epochs_of(&self, meter: MeterId) -> impl Iterator<Item = &Epoch> {
        let points = self.points_of(meter).iter().filter_map(|id| self.points.get(*id));
        points.flat_map(|point| point.epochs().iter()).filter(move |epoch| epoch.meter == meter)
    }

    /// The service points that a service point is rated together with, itself among them, by identifier; none for nearly
    /// all (see [`kernel::pool`]).
    #[must_use]
    pub fn pool_of(&self, point: ServicePointId) -> Option<&Arc<Vec<ServicePointId>>> {
        self.setup(point)?.pool()
    }

    /// All pools, each once.
    pub fn pools(&self) -> impl Iterator<Item = &Arc<Vec<ServicePointId>>> {
        self.setups().filter_map(|setup| setup.pool().filter(|pool| pool.first() == Some(&setup.id)))
    }

    /// The installation that holds a meter at a moment. At a seam the one that begins wins; after the last one's end
    /// there is none.
    #[must_use]
    pub fn epoch_at(&self, meter: MeterId, moment: Moment) -> Option<&Epoch> {
        self.epochs_of(meter)
            .filter(|epoch| epoch.valid_from <= moment && epoch.valid_to.is_none_or(|end| moment < end))
            .max_by_key(|epoch| epoch.valid_from)
    }

    /// The account that pays for a service point at a moment.
    #[must_use]
    pub fn payer_at(&self, point: ServicePointId, moment: Moment) -> Option<&Account> {
        let contract = self.points.get(point)?.contracts().rev().find(|contract| contract.holds(moment))?;
        self.account(contract.account)
    }

    /// The service points that an account ever paid for.
    pub fn points_of_account(&self, account: AccountId) -> impl Iterator<Item = &ServicePoint> {
        self.paid_by(account).filter_map(|id| self.points.get(id))
    }

    /// The identifiers of the service points that an account ever paid for, ascending.
    pub fn paid_by(&self, account: AccountId) -> impl Iterator<Item = ServicePointId> {
        self.paid.by(account)
    }
}
