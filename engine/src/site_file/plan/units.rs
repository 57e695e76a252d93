//! Accounts whose wallet is kept in units: what they buy must have one price at a time.
//!
//! All service points of such an account are of one utility, which is billed in the account's unit; contracts that hold at
//! the same time are by one tariff; and each version that prices them has one price, without tiers, bands or charges beside
//! energy ([`kernel::sale::unit_price`]).

use kernel::id::Utility;
use kernel::sale::unit_price;
use kernel::tariff::TariffVersion;
use kernel::time::Moment;

use super::Planner;
use crate::registry::{Contract, Registry, ServicePoint, TariffId};
use crate::site_file::model::{ContractTerms, PointItem, Stretch};

/// From when to when something holds; the end exclusive.
pub(super) type Span = (Moment, Option<Moment>);

pub(super) fn overlap(a: Span, b: Span) -> bool {
    a.1.is_none_or(|end| b.0 < end) && b.1.is_none_or(|end| a.0 < end)
}

/// Whether each version (by `valid_from`) that holds within a span sells units.
fn sells(versions: &[&TariffVersion], span: Span) -> bool {
    let ends = versions.iter().skip(1).map(|next| Some(next.valid_from)).chain([None]);
    versions
        .iter()
        .zip(ends)
        .all(|(version, end)| !overlap((version.valid_from, end), span) || unit_price(version).is_some())
}

const PRICES: &str = "name a tariff of one price without tiers, or keep the account's `balance` in money";

impl Planner<'_> {
    pub(super) fn unit_accounts(&self) {
        for account in &self.file.accounts {
            let Some(unit) = account.unit else { continue };
            let mut contracts: Vec<(Utility, &Stretch<ContractTerms>, Span)> = Vec::new();
            for point in &self.file.points {
                for stretch in point.contracts.iter().filter(|stretch| stretch.terms.account == account.name) {
                    let span = (stretch.from.unwrap_or(self.default_from(point.site)), stretch.until);
                    self.fits_units(unit, point, stretch, span, &contracts);
                    contracts.push((point.utility, stretch, span));
                }
            }
        }
        self.versions_for_others();
    }

    fn fits_units(
        &self,
        unit: &str,
        point: &PointItem,
        stretch: &Stretch<ContractTerms>,
        span: Span,
        others: &[(Utility, &Stretch<ContractTerms>, Span)],
    ) {
        let (at, ContractTerms { account, tariff, .. }) = (&stretch.at, &stretch.terms);
        let utility = point.utility;
        if point.unit.name() != unit {
            let what =
                format!("is {account:?}, which is kept in {unit}, but {} is in {}", point.name, point.unit.name());
            self.faults.add(at, "account", what, "give each utility an account of its own");
        } else if let Some((other, ..)) = others.iter().find(|(other, ..)| *other != utility) {
            let what = format!("is {account:?}, which buys units of {} already", other.name());
            self.faults.add(at, "account", what, "give each utility an account of its own");
        }
        if !sells(&self.versions_of(tariff), span) {
            let what = format!("is {tariff:?}, by which no units can be sold to {account:?}");
            self.faults.add(at, "tariff", what, PRICES);
        }
        let differs = |(_, other, held): &&(_, &Stretch<ContractTerms>, Span)| {
            other.terms.tariff != *tariff && overlap(*held, span)
        };
        if let Some((_, other, _)) = others.iter().find(differs) {
            let what =
                format!("is {tariff:?}, but {account:?} buys its units by {:?} at that time", other.terms.tariff);
            self.faults.add(at, "tariff", what, "name one tariff for all service points of an account in units");
        }
    }

    /// A tariff's versions as they will be, by `valid_from`.
    fn versions_of(&self, tariff: &str) -> Vec<&TariffVersion> {
        match self.file.tariffs.iter().find(|item| item.name == tariff) {
            Some(item) => item.versions.iter().map(|item| &item.version).collect(),
            None => {
                let known = self.registry.tariff_named(tariff);
                known.into_iter().flat_map(|tariff| &tariff.versions).map(AsRef::as_ref).collect()
            }
        }
    }

    /// A version that accounts of other files buy by.
    fn versions_for_others(&self) {
        for item in &self.file.tariffs {
            let Some(tariff) = self.registry.tariff_named(&item.name) else { continue };
            let ends = item.versions.iter().skip(1).map(|next| Some(next.version.valid_from)).chain([None]);
            for (version, end) in item.versions.iter().zip(ends) {
                let span = (version.version.valid_from, end);
                let buyer = buyers(self.registry, tariff.id)
                    .find(|(name, held)| !self.names.accounts.contains_key(*name) && overlap(*held, span));
                if let Some((name, _)) = buyer.filter(|_| unit_price(&version.version).is_none()) {
                    let what = format!("has no one price, but account {name} buys units by it");
                    self.faults.add(&version.at, "", what, "give that account another tariff first");
                }
            }
        }
    }
}

/// Who buys units by a tariff, and when.
fn buyers(registry: &Registry, tariff: TariffId) -> impl Iterator<Item = (&str, Span)> {
    let contracts = registry.service_points().flat_map(ServicePoint::contracts);
    contracts.filter(move |contract| contract.tariff == tariff).filter_map(|contract| {
        let account = registry.account(contract.account).filter(|account| account.unit.is_some())?;
        Some((account.name.as_str(), (contract.valid_from, contract.valid_to)))
    })
}

/// Why an account that is kept in units cannot take over a contract from a moment on; nothing where it can.
pub(super) fn unfit(registry: &Registry, unit: &str, point: &ServicePoint, new: &Contract) -> Option<&'static str> {
    if point.unit.name() != unit {
        return Some("that unit is not what the service point is billed in");
    }
    let tariff = registry.tariff(new.tariff);
    let versions: Vec<&TariffVersion> =
        tariff.into_iter().flat_map(|tariff| &tariff.versions).map(AsRef::as_ref).collect();
    let span = (new.valid_from, new.valid_to);
    if !sells(&versions, span) {
        return Some("the contract's tariff has no one price for units");
    }
    for other in registry.points_of_account(new.account) {
        for held in other.contracts().filter(|held| held.account == new.account) {
            if other.utility != point.utility {
                return Some("it buys units of another utility");
            }
            if held.tariff != new.tariff && overlap((held.valid_from, held.valid_to), span) {
                return Some("it buys its units by another tariff");
            }
        }
    }
    None
}
