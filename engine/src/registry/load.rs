//! Reading the registry out of the book, in one snapshot, each value checked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kernel::calendar::Calendar;
use kernel::id::{AccountId, ContractId, MeterId, ServicePointId, SiteId, TariffVersionId, Utility};
use kernel::money::{Amount, Quantity};
use kernel::statement::Minor;
use kernel::tariff::TariffVersion;
use kernel::time::{LocalMonth, Moment};
use kernel::unit::Unit;
use serde::de::DeserializeOwned;
use sqlx::{AnyConnection, Row as _};

use super::shared::Shared;
use super::{
    Account, AccountKind, CalendarEntry, CalendarId, Conditions, DEFAULT_MINOR, LastIds, Location, LocationId, Make,
    Meter, MeterKind, Mode, Name, Policy, PolicyId, Registry, Site, TABLES, Tariff, TariffId, parse_rounding, points,
    unit_named,
};
use crate::book::pages::{self, Line, Select};
use crate::book::{Book, BookError};
use crate::site_days;

/// The registry as the last commit left it.
///
/// # Errors
/// What the database says, or [`BookError::Malformed`] where a row is not what the format allows.
pub async fn load(book: &Book) -> Result<Arc<Registry>, BookError> {
    let mut snapshot = book.snapshot().await?;
    Ok(Arc::new(load_from(&mut snapshot).await?))
}

/// The registry as one connection sees it: inside a writing transaction, with that transaction's changes.
///
/// # Errors
/// As [`load`].
pub async fn load_from(connection: &mut AnyConnection) -> Result<Registry, BookError> {
    let mut registry = Registry::default();
    calendars_and_policies(&mut registry, connection).await?;
    sites_and_locations(&mut registry, connection).await?;
    accounts(&mut registry, connection).await?;
    tariffs(&mut registry, connection).await?;
    points::load(&mut registry, connection).await?;
    contract_facts(&mut registry, connection).await?;
    meters(&mut registry, connection).await?;
    registry.last_ids = last_ids(connection).await?;
    registry.accounts.seal();
    registry.points.seal();
    registry.meters.seal();
    Ok(registry)
}

/// The highest identifier in each of [`TABLES`].
pub(crate) async fn last_ids(connection: &mut AnyConnection) -> Result<LastIds, BookError> {
    let mut ids = LastIds::default();
    for (id, table) in ids.iter_mut().zip(TABLES) {
        let sql = sqlx::AssertSqlSafe(format!("SELECT COALESCE(MAX(id), 0) FROM {table}"));
        let last: i64 = sqlx::query(sql).fetch_one(&mut *connection).await?.try_get(0)?;
        *id = u32::try_from(last).map_err(|_| crate::book::malformed(format!("{table} has identifier {last}")))?;
    }
    Ok(ids)
}

/// What the registry's rows hold beside numbers and texts; a fault names table, row and column.
pub(super) trait Fields<'a> {
    fn id(&self, column: &str) -> Result<u32, BookError>;
    fn optional_id(&self, column: &str) -> Result<Option<u32>, BookError>;
    /// A count of at most 16 bits.
    fn small(&self, column: &str) -> Result<Option<u16>, BookError>;
    fn moment(&self, column: &str) -> Result<Moment, BookError>;
    fn optional_moment(&self, column: &str) -> Result<Option<Moment>, BookError>;
    fn word<T>(&self, column: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T, BookError>;
    fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T, BookError>;
}

impl<'a> Fields<'a> for Line<'a> {
    fn id(&self, column: &str) -> Result<u32, BookError> {
        let id: i64 = self.get(column)?;
        u32::try_from(id).map_err(|_| self.fault(column, "is no identifier"))
    }

    fn optional_id(&self, column: &str) -> Result<Option<u32>, BookError> {
        let id: Option<i64> = self.get(column)?;
        id.map(|id| u32::try_from(id).map_err(|_| self.fault(column, "is no identifier"))).transpose()
    }

    fn small(&self, column: &str) -> Result<Option<u16>, BookError> {
        let count: Option<i64> = self.get(column)?;
        count.map(|count| u16::try_from(count).map_err(|_| self.fault(column, "is above 65535"))).transpose()
    }

    fn moment(&self, column: &str) -> Result<Moment, BookError> {
        Ok(Moment(self.get(column)?))
    }

    fn optional_moment(&self, column: &str) -> Result<Option<Moment>, BookError> {
        Ok(self.get::<Option<i64>>(column)?.map(Moment))
    }

    fn word<T>(&self, column: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T, BookError> {
        let text: &str = self.get(column)?;
        parse(text).ok_or_else(|| self.fault(column, &format!("{text:?} is not a word of this format")))
    }

    fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T, BookError> {
        serde_json::from_str(self.get(column)?).map_err(|error| self.fault(column, &error.to_string()))
    }
}

/// Rows of a table, one by one.
pub(super) async fn each(
    connection: &mut AnyConnection,
    select: &Select,
    take: impl FnMut(Line<'_>) -> Result<(), BookError>,
) -> Result<(), BookError> {
    pages::each(connection, select, take).await
}

async fn calendars_and_policies(registry: &mut Registry, connection: &mut AnyConnection) -> Result<(), BookError> {
    let select = Select::all("calendars", &["id", "name", "definition"]);
    each(connection, &select, |line| {
        let id = CalendarId(line.id("id")?);
        let calendar: Calendar = line.json("definition")?;
        registry.calendars.insert(id, CalendarEntry { id, calendar: Arc::new(calendar) });
        Ok(())
    })
    .await?;
    let select = Select::all("policies", &["id", "name", "definition"]);
    each(connection, &select, |line| {
        let id = PolicyId(line.id("id")?);
        let policy = Policy { id, name: line.get("name")?, definition: line.get("definition")? };
        registry.policies.insert(id, policy);
        Ok(())
    })
    .await?;
    Ok(())
}

/// What each site has closed, and up to what it adjusts by itself.
async fn periods(registry: &mut Registry, connection: &mut AnyConnection) -> Result<(), BookError> {
    let select = Select {
        table: "periods",
        key: "site_id",
        columns: &["site_id", "local_month"],
        condition: "state = 'closed'",
    };
    each(connection, &select, |line| {
        let month =
            i32::try_from(line.get::<i64>("local_month")?).map_err(|_| line.fault("local_month", "is no month"))?;
        if let Some(site) = registry.sites.get_mut(&SiteId(line.id("site_id")?)) {
            site.closed_through = site.closed_through.max(Some(LocalMonth(month)));
        }
        Ok(())
    })
    .await?;
    let select = Select { key: "site_id", ..Select::all("adjustment_limits", &["site_id", "amount"]) };
    each(connection, &select, |line| {
        let limit = Amount::parse(line.get("amount")?).ok_or_else(|| line.fault("amount", "is no amount"))?;
        if let Some(site) = registry.sites.get_mut(&SiteId(line.id("site_id")?)) {
            site.adjustment_limit = limit;
        }
        Ok(())
    })
    .await
}

/// How each site's statements are rounded now, and since when.
async fn minors(connection: &mut AnyConnection) -> Result<BTreeMap<SiteId, (Moment, Minor)>, BookError> {
    let mut minors: BTreeMap<SiteId, (Moment, Minor)> = BTreeMap::new();
    let columns = &["site_id", "since", "rounding", "digits"];
    let select = Select { key: "site_id", ..Select::all("statement_roundings", columns) };
    each(connection, &select, |line| {
        let (id, since) = (SiteId(line.id("site_id")?), line.moment("since")?);
        let digits = u32::try_from(line.get::<i64>("digits")?).ok().filter(|digits| *digits <= 9);
        let digits = digits.ok_or_else(|| line.fault("digits", "is no number of digits"))?;
        let minor = Minor { digits, rounding: line.word("rounding", parse_rounding)? };
        if minors.get(&id).is_none_or(|(known, _)| *known < since) {
            minors.insert(id, (since, minor));
        }
        Ok(())
    })
    .await?;
    Ok(minors)
}

async fn sites_and_locations(registry: &mut Registry, connection: &mut AnyConnection) -> Result<(), BookError> {
    let mut limits = BTreeMap::new();
    each(connection, &Select::all("refund_limits", &["id", "amount"]), |line| {
        limits.insert(SiteId(line.id("id")?), line.word("amount", kernel::money::Amount::parse)?);
        Ok(())
    })
    .await?;
    let minors = minors(connection).await?;
    let select = Select::all(
        "sites",
        &["id", "name", "title", "time_zone", "currency", "calendar_id", "mode", "webhook", "created_at"],
    );
    each(connection, &select, |line| {
        let zone: String = line.get("time_zone")?;
        let days = site_days::of_zone(&zone).map_err(|error| line.fault("time_zone", &error.to_string()))?;
        let calendar_id = line.optional_id("calendar_id")?.map(CalendarId);
        let calendar = match calendar_id {
            None => Arc::default(),
            Some(id) => {
                let entry =
                    registry.calendars.get(&id).ok_or_else(|| line.fault("calendar_id", "names no calendar"))?;
                Arc::clone(&entry.calendar)
            }
        };
        let id = SiteId(line.id("id")?);
        let site = Site {
            id,
            name: line.get("name")?,
            title: line.get("title")?,
            zone,
            currency: line.get("currency")?,
            mode: line.word("mode", Mode::parse)?,
            webhook: line.get("webhook")?,
            days,
            calendar_id,
            calendar,
            refund_limit: limits.get(&id).copied().unwrap_or_default(),
            created_at: line.moment("created_at")?,
            closed_through: None,
            adjustment_limit: Amount::ZERO,
            minor: minors.get(&id).map_or(DEFAULT_MINOR, |(_, minor)| *minor),
        };
        registry.sites.insert(id, site);
        Ok(())
    })
    .await?;
    periods(registry, connection).await?;
    let select = Select::all("locations", &["id", "site_id", "parent_id", "name", "title", "kind", "area_centi_m2"]);
    each(connection, &select, |line| {
        let id = LocationId(line.id("id")?);
        let location = Location {
            id,
            site: SiteId(line.id("site_id")?),
            parent: line.optional_id("parent_id")?.map(LocationId),
            name: line.get("name")?,
            title: line.get("title")?,
            kind: line.get("kind")?,
            area_centi_m2: line.get("area_centi_m2")?,
        };
        registry.locations.insert(id, location);
        Ok(())
    })
    .await?;
    Ok(())
}

async fn accounts(registry: &mut Registry, connection: &mut AnyConnection) -> Result<(), BookError> {
    let mut units = BTreeMap::new();
    each(connection, &Select::all("unit_accounts", &["id", "unit"]), |line| {
        units.insert(AccountId(line.id("id")?), line.word("unit", unit_named)?);
        Ok(())
    })
    .await?;
    let mut pooled = BTreeSet::new();
    each(connection, &Select::all("pooled_accounts", &["id"]), |line| {
        pooled.insert(AccountId(line.id("id")?));
        Ok(())
    })
    .await?;
    let select = Select::all(
        "accounts",
        &[
            "id",
            "site_id",
            "kind",
            "policy_id",
            "credit_limit",
            "cutoff_enabled",
            "protected",
            "name",
            "holder",
            "location_id",
            "confirmed_at",
            "opened_at",
            "closed_at",
        ],
    );
    let mut conditions = Shared::default();
    each(connection, &select, |line| {
        let id = AccountId(line.id("id")?);
        let common = Conditions {
            site: SiteId(line.id("site_id")?),
            kind: line.word("kind", AccountKind::parse)?,
            policy: line.optional_id("policy_id")?.map(PolicyId),
            credit_limit: line.word("credit_limit", kernel::money::Amount::parse)?,
            cutoff_enabled: line.get::<i64>("cutoff_enabled")? != 0,
            protected: line.get("protected")?,
            unit: units.get(&id).copied(),
            pooled: pooled.contains(&id),
        };
        let account = Account {
            id,
            name: line.get("name")?,
            holder: line.get("holder")?,
            location: line.optional_id("location_id")?.map(LocationId),
            confirmed_at: line.optional_moment("confirmed_at")?,
            opened_at: line.moment("opened_at")?,
            closed_at: line.optional_moment("closed_at")?,
            conditions: conditions.of(common),
        };
        registry.accounts.push(account);
        Ok(())
    })
    .await?;
    Ok(())
}

async fn tariffs(registry: &mut Registry, connection: &mut AnyConnection) -> Result<(), BookError> {
    each(connection, &Select::all("tariffs", &["id", "name", "utility", "currency", "unit"]), |line| {
        let id = TariffId(line.id("id")?);
        let utility = line.word("utility", Utility::parse)?;
        let tariff = Tariff {
            id,
            name: line.get("name")?,
            utility,
            currency: line.get("currency")?,
            unit: line.word("unit", Unit::parse)?,
            versions: Vec::new(),
        };
        registry.tariffs.insert(id, tariff);
        Ok(())
    })
    .await?;
    let select = Select::all("tariff_versions", &["id", "tariff_id", "valid_from", "definition", "superseded_at"]);
    each(connection, &select, |line| {
        let (id, tariff_id) = (TariffVersionId(line.id("id")?), TariffId(line.id("tariff_id")?));
        let version: TariffVersion = line.json("definition")?;
        if (version.id, version.valid_from) != (id, line.moment("valid_from")?) {
            return Err(line.fault("definition", "is the definition of another version"));
        }
        let version = Arc::new(version);
        let taxes = version.components.iter().filter(|component| component.charge.is_added_tax());
        registry.taxes.extend(taxes.map(|component| component.name.clone()));
        registry.versions.insert(id, (tariff_id, Arc::clone(&version)));
        if line.optional_moment("superseded_at")?.is_none() {
            let tariff =
                registry.tariffs.get_mut(&tariff_id).ok_or_else(|| line.fault("tariff_id", "names no tariff"))?;
            tariff.versions.push(version);
        }
        Ok(())
    })
    .await?;
    for tariff in registry.tariffs.values_mut() {
        tariff.versions.sort_by_key(|version| (version.valid_from, version.id));
    }
    Ok(())
}

async fn contract_facts(registry: &mut Registry, connection: &mut AnyConnection) -> Result<(), BookError> {
    let columns = &["contract_id", "kind", "name", "value"];
    let select = Select { key: "contract_id", ..Select::all("contract_facts", columns) };
    each(connection, &select, |line| {
        let facts = registry.facts.entry(ContractId(line.id("contract_id")?)).or_default();
        match line.get::<&str>("kind")? {
            "capacity" => facts.capacity = Some(Quantity(line.get("value")?)),
            "reactive" => facts.reactive = Some(ServicePointId(line.id("value")?)),
            "source" => drop(facts.sources.insert(line.get("name")?, ServicePointId(line.id("value")?))),
            other => return Err(line.fault("kind", &format!("{other:?} is not a word of this format"))),
        }
        Ok(())
    })
    .await
}

async fn meters(registry: &mut Registry, connection: &mut AnyConnection) -> Result<(), BookError> {
    let select = Select { condition: "parent_id IS NOT NULL", ..Select::all("meter_parents", &["id", "parent_id"]) };
    let mut parents = BTreeMap::new();
    each(connection, &select, |line| {
        parents.insert(MeterId(line.id("id")?), MeterId(line.id("parent_id")?));
        Ok(())
    })
    .await?;
    let select = Select::all(
        "meters",
        &[
            "id",
            "bus",
            "unit",
            "site_id",
            "profile",
            "utility",
            "kind",
            "resolution_numerator",
            "resolution_denominator",
            "poll_micros",
            "has_relay",
            "rating_mw",
            "serial",
        ],
    );
    let mut makes = Shared::default();
    each(connection, &select, |line| {
        let id = MeterId(line.id("id")?);
        let bus: Option<&str> = line.get("bus")?;
        let bus = bus.map(|bus| host_port(bus).ok_or_else(|| line.fault("bus", "is not HOST:PORT"))).transpose()?;
        let unit: Option<i64> = line.get("unit")?;
        let make = Make {
            site: SiteId(line.id("site_id")?),
            profile: line.get("profile")?,
            utility: line.word("utility", Utility::parse)?,
            kind: line.word("kind", MeterKind::parse)?,
            resolution: (line.get("resolution_numerator")?, line.get("resolution_denominator")?),
            poll_micros: line.get("poll_micros")?,
            has_relay: line.get::<i64>("has_relay")? != 0,
            rating_mw: line.get("rating_mw")?,
        };
        let meter = Meter {
            id,
            serial: line.get("serial")?,
            bus,
            unit: unit.map(|unit| u8::try_from(unit).map_err(|_| line.fault("unit", "is above 255"))).transpose()?,
            parent: parents.get(&id).copied(),
            make: makes.of(make),
        };
        registry.meters.push(meter);
        Ok(())
    })
    .await?;
    Ok(())
}

/// `HOST:PORT`, with an IPv6 address in brackets.
pub(crate) fn host_port(text: &str) -> Option<(Name, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let port: u16 = port.parse().ok().filter(|port| *port > 0)?;
    let plain = !host.is_empty() && (!host.contains(':') || (host.starts_with('[') && host.ends_with(']')));
    plain.then(|| (host.into(), port))
}
