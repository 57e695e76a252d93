//! Changes that a command makes, not a file: an account that ends, a service point that goes to another account. They are
//! plans like any other, and say what a site file would say; the file of before is refused until it says so too.

use jiff::tz::TimeZone;
use kernel::id::{AccountId, ContractId, ServicePointId};
use kernel::time::Moment;

use super::pools;
use super::units::unfit;
use super::{Change, ChangeKind, Plan};
use crate::registry::{Account, Contract, Registry, ServicePoint, Site, TABLES};
use crate::site_days;
use crate::site_file::words;
use crate::site_file::write::Rows;

/// Why a service point cannot be handed over. Each text ends with its remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoveFault {
    /// From an account to itself.
    #[error("service point {0} stays with account {1}: name another account to move to")]
    Same(String, String),
    /// The account is closed.
    #[error("account {0} is closed: a returning customer gets a new account")]
    Closed(String),
    /// Of another site.
    #[error("account {account} is of another site than service point {point}: name an account of its site")]
    Site {
        /// Which account.
        account: String,
        /// Which service point.
        point: String,
    },
    /// The account does not pay there.
    #[error(
        "account {account} does not pay for {point} until {at}: `meterledger explain` and the view service_points show who does"
    )]
    NotThere {
        /// Which account.
        account: String,
        /// Which service point.
        point: String,
        /// When it should.
        at: String,
    },
    /// A month that is closed would change.
    #[error(
        "{at} lies in a month that is closed at service point {point}: hand it over after the last close, or open the month \
         again (`meterledger period reopen`)"
    )]
    ClosedMonth {
        /// Which service point.
        point: String,
        /// When.
        at: String,
    },
    /// The account pools its tiers, and its other service points are rated otherwise.
    #[error(
        "account {account} pools its tiers and cannot take over service point {point}: {what}; apply a site file in which \
         all of them have one tariff, persons and households"
    )]
    Pool {
        /// Which account.
        account: String,
        /// Which service point.
        point: String,
        /// Why not.
        what: &'static str,
    },
    /// The account buys other units, or others by then.
    #[error(
        "account {account} is kept in {unit} and cannot take over service point {point}: {what}; name an account in money, or \
         make one in units for it"
    )]
    Units {
        /// Which account.
        account: String,
        /// What it is kept in.
        unit: &'static str,
        /// Which service point.
        point: String,
        /// Why not.
        what: &'static str,
    },
    /// Something else begins later.
    #[error("service point {point} has a contract that begins at {from}: correct that in the site file first")]
    Later {
        /// Which service point.
        point: String,
        /// When.
        from: String,
    },
}

fn zone(registry: &Registry, point: &ServicePoint) -> TimeZone {
    let name = registry.site(point.site).map_or("UTC", |site| site.zone.as_str());
    site_days::zone(name).unwrap_or(TimeZone::UTC)
}

fn plan(registry: &Registry) -> Plan {
    Plan { changes: Vec::new(), dirty: Vec::new(), rows: Rows::default(), base: registry.last_ids() }
}

fn name(registry: &Registry, account: AccountId) -> String {
    registry.account(account).map_or_else(|| account.to_string(), |account| account.name.to_string())
}

/// An account that ends at a moment, with all its contracts that run on.
#[must_use]
pub fn close_account(registry: &Registry, account: AccountId, at: Moment, now: Moment) -> Plan {
    let mut plan = plan(registry);
    let Some(old) = registry.account(account) else { return plan };
    for point in registry.points_of_account(account) {
        let runs = |contract: &Contract| {
            contract.account == account && contract.valid_from < at && contract.valid_to.is_none_or(|to| to > at)
        };
        for contract in point.contracts().filter(runs) {
            plan.rows.contract_ends.push((contract.id, at));
            let text = format!("{} pays until {}", old.name, words::show_moment(at, &zone(registry, point)));
            let subject = format!("service point:{}", point.name);
            plan.changes.push(Change { kind: ChangeKind::Ended, subject, text });
            if at < now {
                plan.dirty.push((point.id, at));
            }
        }
    }
    plan.rows.account(&Account { closed_at: Some(at), ..old.clone() });
    let zone = registry.site(old.site).map_or("UTC", |site| site.zone.as_str());
    let shown = words::show_moment(at, &site_days::zone(zone).unwrap_or(TimeZone::UTC));
    let (subject, text) = (format!("account:{}", old.name), format!("until none -> {shown}"));
    plan.changes.push(Change { kind: ChangeKind::Ended, subject, text });
    plan
}

/// A service point whose contract ends for one account and begins for another, by the same tariff. Empty where that is
/// so already.
///
/// # Errors
/// [`MoveFault`].
pub fn move_point(
    registry: &Registry,
    point: ServicePointId,
    (from, to): (AccountId, AccountId),
    at: Moment,
    now: Moment,
) -> Result<Plan, MoveFault> {
    let mut plan = plan(registry);
    let (Some(point), Some(new)) = (registry.service_point(point), registry.account(to)) else { return Ok(plan) };
    let zone = zone(registry, point);
    let (point_name, shown) = (point.name.to_string(), words::show_moment(at, &zone));
    if from == to {
        return Err(MoveFault::Same(point_name, new.name.to_string()));
    }
    if new.site != point.site {
        return Err(MoveFault::Site { account: new.name.to_string(), point: point_name });
    }
    let before = |contract: &Contract| {
        contract.account == from && contract.valid_from < at && contract.valid_to.is_none_or(|to| to >= at)
    };
    let Some(old) = point.contracts().find(before) else {
        return Err(MoveFault::NotThere { account: name(registry, from), point: point_name, at: shown });
    };
    let next = point.contracts().find(|contract| contract.valid_from >= at);
    if old.valid_to == Some(at) && next.is_some_and(|next| next.valid_from == at && next.account == to) {
        return Ok(plan);
    }
    if new.closed_at.is_some() {
        return Err(MoveFault::Closed(new.name.to_string()));
    }
    if registry.site(point.site).and_then(Site::closed_until).is_some_and(|end| at < end) {
        return Err(MoveFault::ClosedMonth { point: point_name, at: shown });
    }
    let bound = next.map(|next| next.valid_from).or(old.valid_to.filter(|end| *end > at));
    if let Some(bound) = bound {
        return Err(MoveFault::Later { point: point_name, from: words::show_moment(bound, &zone) });
    }
    let subject = format!("service point:{}", point.name);
    if old.valid_to.is_none() {
        plan.rows.contract_ends.push((old.id, at));
        let text = format!("{} pays until {shown}", name(registry, from));
        plan.changes.push(Change { kind: ChangeKind::Ended, subject: subject.clone(), text });
    }
    let contracts = TABLES.iter().position(|table| *table == "contracts").unwrap_or_default();
    let id = ContractId(registry.last_ids()[contracts] + 1);
    // Who lives there now is not known before the site file says it, except that members of a pool are one household.
    let household = pools::household_of(registry, new, point, at).unwrap_or_default();
    let tariff = old.tariff;
    let contract = Contract { id, account: to, tariff, valid_from: at, valid_to: None, household };
    if let Some((unit, what)) = new.unit.and_then(|unit| Some((unit, unfit(registry, unit, point, &contract)?))) {
        return Err(MoveFault::Units { account: new.name.to_string(), unit, point: point_name, what });
    }
    if let Some(what) = pools::unfit(registry, new, point, &contract) {
        return Err(MoveFault::Pool { account: new.name.to_string(), point: point_name, what });
    }
    plan.rows.contract(point.id, &contract);
    // What stands where does not change with who pays.
    plan.rows.contract_facts(id, registry.facts_of(old.id));
    let tariff = registry.tariff(old.tariff).map_or("?", |tariff| tariff.name.as_str());
    let text = format!("{} pays by tariff {tariff} from {shown}", new.name);
    plan.changes.push(Change { kind: ChangeKind::Created, subject, text });
    if at < now {
        plan.dirty.push((point.id, at));
    }
    Ok(plan)
}
