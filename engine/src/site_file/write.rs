//! Performing a plan: rows, supersessions and the audit log in one transaction.

use kernel::calendar::Calendar;
use kernel::epoch::Epoch;
use kernel::id::{AccountId, ContractId, MeterId, SiteId};
use kernel::money::Amount;
use kernel::statement::Minor;
use kernel::tariff::TariffVersion;
use kernel::time::Moment;
use serde::Serialize;

use super::model::{PointItem, SiteItem, TariffItem};
use super::plan::Plan;
use crate::book::bulk::{self, Cell};
use crate::book::chain::{self, Entry};
use crate::book::{BookError, Tx};
use crate::registry::{
    Account, CalendarId, Calorific, Contract, ContractFacts, GasQualityId, Location, LocationId, Meter, PolicyId,
    TariffId, last_ids, rounding_name,
};
use kernel::id::ServicePointId;

type Cells<const N: usize> = Vec<[Cell<'static>; N]>;

/// What a plan writes. Whole rows, except for what only ends or is superseded.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    calendars: Cells<3>,
    policies: Cells<3>,
    sites: Cells<9>,
    adjustment_limits: Cells<2>,
    roundings: Cells<4>,
    refund_limits: Cells<2>,
    locations: Cells<7>,
    accounts: Cells<13>,
    unit_accounts: Cells<2>,
    pooled_accounts: Cells<1>,
    /// Accounts whose tiers are not pooled after all.
    unpooled_accounts: Vec<AccountId>,
    tariffs: Cells<5>,
    versions: Cells<5>,
    points: Cells<6>,
    contracts: Cells<8>,
    contract_facts: Cells<4>,
    meters: Cells<13>,
    meter_parents: Cells<2>,
    epochs: Cells<7>,
    gas_qualities: Cells<2>,
    calorific_values: Cells<5>,
    conversions: Cells<7>,
    /// The same as what they are.
    pub(super) new_epochs: Vec<Epoch>,
    /// Installations that end, or are judged otherwise.
    pub(super) epoch_updates: Vec<Epoch>,
    pub(super) contract_ends: Vec<(ContractId, Moment)>,
    /// Versions whose price series goes on.
    pub(super) version_updates: Vec<TariffVersion>,
    /// Table and identifier of what was never so.
    pub(super) superseded: Vec<(&'static str, u32)>,
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("definitions have no map with other keys than texts, and no floats")
}

impl Rows {
    pub(super) fn calendar(&mut self, id: CalendarId, calendar: &Calendar) {
        self.calendars.push([id.0.into(), calendar.name.clone().into(), json(calendar).into()]);
    }

    pub(super) fn policy(&mut self, id: PolicyId, name: &str, definition: String) {
        self.policies.push([id.0.into(), name.to_owned().into(), definition.into()]);
    }

    pub(super) fn site(&mut self, id: SiteId, item: &SiteItem, calendar: Option<CalendarId>, created_at: Moment) {
        self.sites.push([
            id.0.into(),
            item.name.clone().into(),
            item.title.clone().into(),
            item.zone_name.clone().into(),
            item.currency.clone().into(),
            calendar.map(|id| id.0).into(),
            item.mode.name().into(),
            item.webhook.clone().into(),
            created_at.0.into(),
        ]);
    }

    pub(super) fn adjustment_limit(&mut self, site: SiteId, limit: Amount) {
        self.adjustment_limits.push([site.0.into(), limit.to_string().into()]);
    }

    pub(super) fn rounding(&mut self, site: SiteId, minor: Minor, since: Moment) {
        let name = rounding_name(minor.rounding);
        self.roundings.push([site.0.into(), since.0.into(), name.into(), i64::from(minor.digits).into()]);
    }

    pub(super) fn refund_limit(&mut self, id: SiteId, limit: Amount) {
        self.refund_limits.push([id.0.into(), limit.to_string().into()]);
    }

    pub(super) fn location(&mut self, location: &Location) {
        self.locations.push([
            location.id.0.into(),
            location.site.0.into(),
            location.parent.map(|id| id.0).into(),
            location.name.clone().into(),
            location.title.clone().into(),
            location.kind.clone().into(),
            location.area_centi_m2.into(),
        ]);
    }

    pub(super) fn account(&mut self, account: &Account) {
        self.accounts.push([
            account.id.0.into(),
            account.site.0.into(),
            account.name.to_string().into(),
            account.holder.to_string().into(),
            account.kind.name().into(),
            account.policy.map(|id| id.0).into(),
            account.location.map(|id| id.0).into(),
            account.credit_limit.to_string().into(),
            account.cutoff_enabled.into(),
            account.protected.clone().into(),
            account.confirmed_at.map(|moment| moment.0).into(),
            account.opened_at.0.into(),
            account.closed_at.map(|moment| moment.0).into(),
        ]);
    }

    pub(super) fn unit_account(&mut self, id: AccountId, unit: &'static str) {
        self.unit_accounts.push([id.0.into(), unit.into()]);
    }

    pub(super) fn pooled_account(&mut self, id: AccountId, pooled: bool) {
        match pooled {
            true => self.pooled_accounts.push([id.0.into()]),
            false => self.unpooled_accounts.push(id),
        }
    }

    pub(super) fn tariff(&mut self, id: TariffId, item: &TariffItem) {
        self.tariffs.push([
            id.0.into(),
            item.name.clone().into(),
            item.utility.name().into(),
            item.currency.clone().into(),
            item.unit.name().into(),
        ]);
    }

    pub(super) fn version(&mut self, tariff: TariffId, version: &TariffVersion, published_at: Moment) {
        self.versions.push([
            version.id.0.into(),
            tariff.0.into(),
            version.valid_from.0.into(),
            json(version).into(),
            published_at.0.into(),
        ]);
    }

    pub(super) fn service_point(
        &mut self,
        id: ServicePointId,
        site: SiteId,
        item: &PointItem,
        location: Option<LocationId>,
    ) {
        self.points.push([
            id.0.into(),
            site.0.into(),
            item.name.clone().into(),
            item.utility.name().into(),
            location.map(|id| id.0).into(),
            item.unit.name().into(),
        ]);
    }

    pub(super) fn contract(&mut self, point: ServicePointId, contract: &Contract) {
        self.contracts.push([
            contract.id.0.into(),
            point.0.into(),
            contract.account.0.into(),
            contract.tariff.0.into(),
            contract.valid_from.0.into(),
            contract.valid_to.map(|moment| moment.0).into(),
            // What nobody said stays unsaid.
            (contract.household.persons > 0).then_some(u32::from(contract.household.persons)).into(),
            Some(u32::from(contract.household.households)).into(),
        ]);
    }

    pub(super) fn contract_facts(&mut self, contract: ContractId, facts: &ContractFacts) {
        let mut row = |kind: &'static str, name: &str, value: i64| {
            self.contract_facts.push([contract.0.into(), kind.into(), name.to_owned().into(), value.into()]);
        };
        if let Some(capacity) = facts.capacity {
            row("capacity", "", capacity.0);
        }
        if let Some(point) = facts.reactive {
            row("reactive", "", i64::from(point.0));
        }
        facts.sources.iter().for_each(|(name, point)| row("source", name, i64::from(point.0)));
    }

    pub(super) fn meter(&mut self, meter: &Meter) {
        self.meters.push([
            meter.id.0.into(),
            meter.site.0.into(),
            meter.serial.to_string().into(),
            meter.profile.clone().into(),
            meter.utility.name().into(),
            meter.kind.name().into(),
            meter.resolution.0.into(),
            meter.resolution.1.into(),
            meter.bus.as_ref().map(|(host, port)| format!("{host}:{port}")).into(),
            meter.unit.map(u32::from).into(),
            meter.poll_micros.into(),
            meter.has_relay.into(),
            meter.rating_mw.into(),
        ]);
    }

    pub(super) fn meter_parent(&mut self, meter: MeterId, parent: Option<MeterId>) {
        self.meter_parents.push([meter.0.into(), parent.map(|id| id.0).into()]);
    }

    pub(super) fn gas_quality(&mut self, id: GasQualityId, name: &str) {
        self.gas_qualities.push([id.0.into(), name.to_owned().into()]);
    }

    /// `value` in 1e-6 MJ/m3.
    pub(super) fn calorific_value(
        &mut self,
        id: u32,
        quality: GasQualityId,
        from: Moment,
        value: i64,
        reason: Option<&str>,
    ) {
        let reason = reason.map(str::to_owned).into();
        self.calorific_values.push([id.into(), quality.0.into(), from.0.into(), value.into(), reason]);
    }

    /// `correction` in 1e-6.
    pub(super) fn conversion(
        &mut self,
        id: u32,
        point: ServicePointId,
        from: Moment,
        (source, correction): (Calorific, i64),
        reason: Option<&str>,
    ) {
        let (quality, own) = match source {
            Calorific::Quality(quality) => (Some(quality.0), None),
            Calorific::Own(value) => (None, Some(value)),
        };
        self.conversions.push([
            id.into(),
            point.0.into(),
            from.0.into(),
            quality.into(),
            own.into(),
            correction.into(),
            reason.map(str::to_owned).into(),
        ]);
    }

    pub(super) fn epoch(&mut self, epoch: &Epoch, reason: Option<&str>) {
        self.epochs.push([
            epoch.id.0.into(),
            epoch.meter.0.into(),
            epoch.service_point.0.into(),
            epoch.valid_from.0.into(),
            epoch.valid_to.map(|moment| moment.0).into(),
            json(epoch).into(),
            reason.map(str::to_owned).into(),
        ]);
        self.new_epochs.push(epoch.clone());
    }
}

/// Why a plan was not performed. The transaction is then to be dropped.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The registry is another than the plan was made for.
    #[error("the registry changed since the plan was made: load it and plan again")]
    Stale,
    /// The book.
    #[error(transparent)]
    Book(#[from] BookError),
}

/// Writes a plan in the caller's transaction, with an audit row for each change. Who holds the transaction loads the
/// registry anew before it is used.
///
/// # Errors
/// [`WriteError`].
pub async fn write(tx: &mut Tx, plan: &Plan, at: Moment, actor: &str) -> Result<(), WriteError> {
    if last_ids(tx.conn()).await? != plan.base {
        return Err(WriteError::Stale);
    }
    let rows = plan.rows.clone();
    upsert(tx, "calendars", "name definition", rows.calendars).await?;
    upsert(tx, "policies", "name definition", rows.policies).await?;
    upsert(tx, "sites", "name title time_zone currency calendar_id mode webhook created_at", rows.sites).await?;
    upsert(tx, "refund_limits", "amount", rows.refund_limits).await?;
    let head = "INSERT INTO adjustment_limits (site_id, amount) VALUES";
    let tail = "ON CONFLICT (site_id) DO UPDATE SET amount = excluded.amount";
    bulk::insert(tx, head, tail, rows.adjustment_limits).await?;
    let head = "INSERT INTO statement_roundings (site_id, since, rounding, digits) VALUES";
    let tail = "ON CONFLICT (site_id, since) DO UPDATE SET rounding = excluded.rounding, digits = excluded.digits";
    bulk::insert(tx, head, tail, rows.roundings).await?;
    upsert(tx, "locations", "site_id parent_id name title kind area_centi_m2", rows.locations).await?;
    let columns = "site_id name holder kind policy_id location_id credit_limit cutoff_enabled protected confirmed_at \
                   opened_at closed_at";
    upsert(tx, "accounts", columns, rows.accounts).await?;
    upsert(tx, "unit_accounts", "unit", rows.unit_accounts).await?;
    bulk::insert(tx, "INSERT INTO pooled_accounts (id) VALUES", "", rows.pooled_accounts).await?;
    for id in rows.unpooled_accounts {
        let delete = sqlx::query("DELETE FROM pooled_accounts WHERE id = $1").bind(i64::from(id.0));
        delete.execute(tx.conn()).await.map_err(BookError::from)?;
    }
    upsert(tx, "tariffs", "name utility currency unit", rows.tariffs).await?;
    upsert(tx, "tariff_versions", "tariff_id valid_from definition published_at", rows.versions).await?;
    upsert(tx, "service_points", "site_id name utility location_id unit", rows.points).await?;
    upsert(
        tx,
        "contracts",
        "service_point_id account_id tariff_id valid_from valid_to persons households",
        rows.contracts,
    )
    .await?;
    let head = "INSERT INTO contract_facts (contract_id, kind, name, value) VALUES";
    bulk::insert(tx, head, "", rows.contract_facts).await?;
    let columns = "site_id serial profile utility kind resolution_numerator resolution_denominator bus unit \
                   poll_micros has_relay rating_mw";
    upsert(tx, "meters", columns, rows.meters).await?;
    upsert(tx, "meter_parents", "parent_id", rows.meter_parents).await?;
    upsert(tx, "gas_qualities", "name", rows.gas_qualities).await?;
    upsert(tx, "calorific_values", "gas_quality_id valid_from calorific_value reason", rows.calorific_values).await?;
    let columns = "service_point_id valid_from gas_quality_id calorific_value correction reason";
    upsert(tx, "conversions", columns, rows.conversions).await?;
    upsert(tx, "epochs", "meter_id service_point_id valid_from valid_to definition reason", rows.epochs).await?;
    for (table, id) in rows.superseded {
        let sql = sqlx::AssertSqlSafe(format!("UPDATE {table} SET superseded_at = $1 WHERE id = $2"));
        sqlx::query(sql).bind(at.0).bind(i64::from(id)).execute(tx.conn()).await.map_err(BookError::from)?;
    }
    for version in rows.version_updates {
        let update = sqlx::query("UPDATE tariff_versions SET definition = $1 WHERE id = $2");
        let update = update.bind(json(&version)).bind(i64::from(version.id.0));
        update.execute(tx.conn()).await.map_err(BookError::from)?;
    }
    for (id, end) in rows.contract_ends {
        let update = sqlx::query("UPDATE contracts SET valid_to = $1 WHERE id = $2").bind(end.0).bind(i64::from(id.0));
        update.execute(tx.conn()).await.map_err(BookError::from)?;
    }
    for epoch in rows.epoch_updates {
        sqlx::query("UPDATE epochs SET valid_to = $1, definition = $2 WHERE id = $3")
            .bind(epoch.valid_to.map(|moment| moment.0))
            .bind(json(&epoch))
            .bind(i64::from(epoch.id.0))
            .execute(tx.conn())
            .await
            .map_err(BookError::from)?;
    }
    let entries = plan.changes.iter().map(|change| Entry {
        at,
        actor: actor.to_owned(),
        kind: "registry".to_owned(),
        subject: change.subject.clone(),
        detail: change.to_string(),
    });
    Ok(chain::append_all(tx, entries).await?)
}

/// Whole rows by identifier. `columns` are all but `id`, between spaces.
async fn upsert<const N: usize>(tx: &mut Tx, table: &str, columns: &str, rows: Cells<N>) -> Result<(), BookError> {
    let names: Vec<&str> = columns.split_whitespace().collect();
    assert_eq!(names.len() + 1, N, "the columns of {table} are those of its rows");
    let head = format!("INSERT INTO {table} (id, {}) VALUES", names.join(", "));
    let updates: Vec<String> = names.iter().map(|name| format!("{name} = excluded.{name}")).collect();
    let tail = format!("ON CONFLICT (id) DO UPDATE SET {}", updates.join(", "));
    bulk::insert(tx, &head, &tail, rows).await?;
    Ok(())
}
