//! Service points with all that belongs to them: contracts, installations, conversions, and the setup that follows.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::sync::Arc;
use std::vec::IntoIter;

use kernel::epoch::Epoch;
use kernel::few::Few;
use kernel::gap::Outage;
use kernel::id::{AccountId, ContractId, MeterId, ServicePointId, TariffId, Utility};
use kernel::rate::{Terms, Versions};
use kernel::sale;
use kernel::tariff::Household;
use kernel::unit::Unit;
use sqlx::AnyConnection;

use super::load::{Fields as _, each};
use super::setup::{Rare, Setup};
use super::table::{Installed, Paid};
use super::{Contract, LocationId, Registry, ServicePoint, conversions, pools};
use crate::book::pages::Select;
use crate::book::{BookError, malformed};

/// Rows of another table by service point, handed over as the service points come by identifier.
pub(super) struct Runs<T> {
    table: &'static str,
    rows: Peekable<IntoIter<(ServicePointId, T)>>,
}

impl<T> Runs<T> {
    /// Of rows in any order; those of one service point are sorted by `key`.
    pub(super) fn new<K: Ord>(
        table: &'static str,
        mut rows: Vec<(ServicePointId, T)>,
        key: impl Fn(&T) -> K,
    ) -> Runs<T> {
        // Mostly they are sorted already.
        rows.sort_by_key(|(point, row)| (*point, key(row)));
        Runs { table, rows: rows.into_iter().peekable() }
    }

    /// The rows of the next service point; there must be none left of one before it.
    fn of<L: FromIterator<T>>(&mut self, point: ServicePointId) -> Result<L, BookError> {
        match self.rows.peek().map(|(other, _)| *other) {
            Some(other) if other < point => Err(self.lost(other)),
            _ => {
                Ok(std::iter::from_fn(|| self.rows.next_if(|(other, _)| *other == point)).map(|(_, row)| row).collect())
            }
        }
    }

    /// To be called after the last service point.
    fn end(mut self) -> Result<(), BookError> {
        self.rows.peek().map(|(point, _)| *point).map_or(Ok(()), |point| Err(self.lost(point)))
    }

    fn lost(&self, point: ServicePointId) -> BookError {
        malformed(format!("{}: there is no service point {point}", self.table))
    }
}

async fn contracts(connection: &mut AnyConnection) -> Result<Runs<Contract>, BookError> {
    let columns =
        &["id", "account_id", "tariff_id", "valid_from", "valid_to", "persons", "households", "service_point_id"];
    let select = Select { condition: "superseded_at IS NULL", ..Select::all("contracts", columns) };
    let mut rows = Vec::new();
    each(connection, &select, |line| {
        let contract = Contract {
            id: ContractId(line.id("id")?),
            account: AccountId(line.id("account_id")?),
            tariff: TariffId(line.id("tariff_id")?),
            valid_from: line.moment("valid_from")?,
            valid_to: line.optional_moment("valid_to")?,
            household: Household {
                persons: line.small("persons")?.unwrap_or(0),
                households: line.small("households")?.unwrap_or(1),
            },
        };
        rows.push((ServicePointId(line.id("service_point_id")?), contract));
        Ok(())
    })
    .await?;
    Ok(Runs::new("contracts", rows, |contract| (contract.valid_from, contract.id)))
}

async fn epochs(connection: &mut AnyConnection) -> Result<Runs<Epoch>, BookError> {
    let columns = &["definition", "id", "meter_id", "service_point_id", "valid_from", "valid_to"];
    let select = Select { condition: "superseded_at IS NULL", ..Select::all("epochs", columns) };
    let mut rows = Vec::new();
    each(connection, &select, |line| {
        let epoch: Epoch = line.json("definition")?;
        let columns = (line.id("id")?, line.id("meter_id")?, line.id("service_point_id")?);
        let times = (line.moment("valid_from")?, line.optional_moment("valid_to")?);
        if columns != (epoch.id.0, epoch.meter.0, epoch.service_point.0) || times != (epoch.valid_from, epoch.valid_to)
        {
            return Err(line.fault("definition", "is the definition of another installation"));
        }
        rows.push((epoch.service_point, epoch));
        Ok(())
    })
    .await?;
    Ok(Runs::new("epochs", rows, |epoch| (epoch.valid_from, epoch.id)))
}

/// When meters had no supply, as it was stated.
async fn outages(connection: &mut AnyConnection) -> Result<BTreeMap<MeterId, Vec<Outage>>, BookError> {
    let columns = &["id", "meter_id", "from_time", "to_time"];
    let select = Select { condition: "withdrawn_at IS NULL", ..Select::all("outages", columns) };
    let mut outages: BTreeMap<MeterId, Vec<Outage>> = BTreeMap::new();
    each(connection, &select, |line| {
        let meter = MeterId(line.id("meter_id")?);
        let outage = Outage { meter, from: line.moment("from_time")?, to: line.moment("to_time")? };
        outages.entry(meter).or_default().push(outage);
        Ok(())
    })
    .await?;
    Ok(outages)
}

/// Those of the meters that were ever installed somewhere, by the beginning; none for nearly all.
fn outages_of(outages: &BTreeMap<MeterId, Vec<Outage>>, epochs: &[Epoch]) -> Option<Vec<Outage>> {
    if outages.is_empty() {
        return None;
    }
    let mut meters: Vec<MeterId> = epochs.iter().map(|epoch| epoch.meter).collect();
    meters.sort_unstable();
    meters.dedup();
    let mut found: Vec<Outage> = meters.iter().filter_map(|meter| outages.get(meter)).flatten().copied().collect();
    found.sort_by_key(|outage| (outage.from, outage.to, outage.meter));
    (!found.is_empty()).then_some(found)
}

/// Tariffs' versions as contracts name them, each list once.
#[derive(Default)]
struct Lists {
    plain: BTreeMap<TariffId, Arc<Versions>>,
    /// A wallet in units is rated by the same versions, in which a unit costs one unit.
    in_units: BTreeMap<TariffId, Arc<Versions>>,
}

impl Lists {
    /// None where there is no such tariff.
    fn of(&mut self, registry: &Registry, contract: &Contract) -> Option<Arc<Versions>> {
        let versions = &registry.tariff(contract.tariff)?.versions;
        let sells = registry.account(contract.account).is_some_and(|account| account.unit.is_some());
        let list = if sells {
            let own = || versions.iter().map(|version| Arc::new(sale::in_units(version))).collect();
            self.in_units.entry(contract.tariff).or_insert_with(|| Versions::of(contract.tariff, own()))
        } else {
            self.plain.entry(contract.tariff).or_insert_with(|| Versions::of(contract.tariff, versions.clone()))
        };
        Some(Arc::clone(list))
    }
}

/// Loads the service points of sites, accounts and tariffs that are loaded already.
pub(super) async fn load(registry: &mut Registry, connection: &mut AnyConnection) -> Result<(), BookError> {
    let mut contracts = contracts(connection).await?;
    let mut epochs = epochs(connection).await?;
    let mut conversions = conversions::load(registry, connection).await?;
    let outages = outages(connection).await?;
    let mut lists = Lists::default();
    let select = Select::all("service_points", &["id", "site_id", "utility", "name", "unit", "location_id"]);
    each(connection, &select, |line| {
        let id = ServicePointId(line.id("id")?);
        let site = kernel::id::SiteId(line.id("site_id")?);
        let site = registry.sites.get(&site).ok_or_else(|| line.fault("site_id", "names none"))?;
        let utility = line.word("utility", Utility::parse)?;
        let contracts: Vec<Contract> = contracts.of(id)?;
        let epochs: Few<Epoch> = epochs.of(id)?;
        let conversions: Box<[_]> = conversions.of(id)?;
        let rated = contracts.iter().map(|contract| {
            Ok(kernel::rate::Contract {
                id: contract.id,
                account: contract.account,
                valid_from: contract.valid_from,
                valid_to: contract.valid_to,
                household: contract.household,
                pooled: registry.account(contract.account).is_some_and(|account| account.pooled),
                versions: lists.of(registry, contract).ok_or_else(|| line.fault("id", "has no tariff"))?,
            })
        });
        let terms = Terms {
            days: Arc::clone(&site.days),
            calendar: Arc::clone(&site.calendar),
            contracts: rated.collect::<Result<_, BookError>>()?,
            conversion: conversions::of(&conversions, &registry.gas_qualities),
        };
        if epochs.iter().any(|epoch| epoch.converts) && terms.conversion.factors().is_empty() {
            return Err(line.fault("id", "has no calorific value"));
        }
        let outages = outages_of(&outages, &epochs);
        let rare = outages.map(|outages| Arc::new(Rare { outages, pool: None }));
        let (site, closed_through) = (site.id, site.closed_through);
        let setup = Arc::new(Setup { id, epochs, terms, site, closed_through, rare });
        let name = line.get("name")?;
        let unit = line.word("unit", Unit::parse)?;
        let location = line.optional_id("location_id")?.map(LocationId);
        registry.points.push(ServicePoint { id, site, name, utility, unit, location, conversions, setup });
        Ok(())
    })
    .await?;
    contracts.end()?;
    epochs.end()?;
    conversions.end()?;
    pool(registry);
    let points = registry.points.rows();
    let paid = points.iter().flat_map(|point| point.contracts().map(|contract| (contract.account, point.id)));
    registry.paid = Paid::new(paid.collect());
    let installed =
        points.iter().flat_map(|point| point.epochs().iter().map(|epoch| (epoch.meter, epoch.valid_from, point.id)));
    registry.installed = Installed::new(installed.collect());
    Ok(())
}

/// Tells the members of each pool of each other, once all are known; nearly nobody pools.
fn pool(registry: &mut Registry) {
    if !registry.accounts().any(|account| account.pooled) {
        return;
    }
    let pooled = |id| registry.account(id).is_some_and(|account| account.pooled);
    let pools = pools::of(registry.points.rows().iter(), pooled);
    for (id, pool) in &pools {
        if let Some(point) = registry.points.get_mut(*id) {
            let rare = Rare { outages: point.setup.outages().to_vec(), pool: Some(Arc::clone(pool)) };
            point.setup = Arc::new(Setup { rare: Some(Arc::new(rare)), ..Setup::clone(&point.setup) });
        }
    }
}
