//! What a site file says, each thing with the place where it says so. References are still names.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use kernel::calendar::Calendar;
use kernel::id::Utility;
use kernel::money::{Amount, Quantity, Rounding};
use kernel::tariff::{Household, TariffVersion};
use kernel::time::Moment;
use kernel::unit::Unit;

use super::fault::At;
use super::words::Ratio;
use crate::registry::{AccountKind, Mode};

/// A site file that was read without a fault.
#[derive(Clone, Debug, Default)]
pub struct SiteFile {
    /// Its name as the user gave it.
    pub name: String,
    pub(super) sites: Vec<SiteItem>,
    pub(super) calendars: Vec<CalendarItem>,
    pub(super) policies: Vec<PolicyItem>,
    pub(super) tariffs: Vec<TariffItem>,
    pub(super) locations: Vec<LocationItem>,
    pub(super) accounts: Vec<AccountItem>,
    pub(super) points: Vec<PointItem>,
    pub(super) meters: Vec<MeterItem>,
    pub(super) gas_qualities: Vec<GasQualityItem>,
}

#[derive(Clone, Debug)]
pub(super) struct SiteItem {
    pub(super) at: At,
    pub(super) name: String,
    pub(super) title: String,
    pub(super) zone_name: String,
    pub(super) zone: TimeZone,
    pub(super) currency: String,
    pub(super) calendar: Option<String>,
    pub(super) mode: Mode,
    pub(super) webhook: Option<String>,
    /// Up to how much an adjustment of a closed month needs no person.
    pub(super) adjustment_limit: Amount,
    /// What becomes of halves on a statement.
    pub(super) rounding: Rounding,
    pub(super) refund_limit: Amount,
    /// What begins where nothing else is said.
    pub(super) from: Option<Moment>,
    pub(super) correct: Option<String>,
}

#[derive(Clone, Debug)]
pub(super) struct CalendarItem {
    pub(super) at: At,
    pub(super) calendar: Calendar,
    pub(super) correct: Option<String>,
}

#[derive(Clone, Debug)]
pub(super) struct PolicyItem {
    pub(super) at: At,
    pub(super) name: String,
    pub(super) definition: serde_json::Value,
}

#[derive(Clone, Debug)]
pub(super) struct TariffItem {
    pub(super) at: At,
    pub(super) name: String,
    pub(super) utility: Utility,
    pub(super) currency: String,
    /// Per what.
    pub(super) unit: Unit,
    /// For showing times.
    pub(super) zone: TimeZone,
    /// By `valid_from`, each proven to price every minute.
    pub(super) versions: Vec<VersionItem>,
}

#[derive(Clone, Debug)]
pub(super) struct VersionItem {
    pub(super) at: At,
    pub(super) version: TariffVersion,
    pub(super) correct: Option<String>,
}

#[derive(Clone, Debug)]
pub(super) struct LocationItem {
    pub(super) at: At,
    /// Index into [`SiteFile::sites`], as in all the following.
    pub(super) site: usize,
    pub(super) name: String,
    pub(super) title: String,
    pub(super) kind: String,
    pub(super) parent: Option<String>,
    pub(super) area_centi_m2: Option<i64>,
}

#[derive(Clone, Debug)]
pub(super) struct AccountItem {
    pub(super) at: At,
    pub(super) site: usize,
    pub(super) name: String,
    pub(super) holder: String,
    pub(super) kind: AccountKind,
    /// In which unit its wallet is kept; none for money.
    pub(super) unit: Option<&'static str>,
    /// Whether its service points of one utility share one tier counter.
    pub(super) pooled: bool,
    pub(super) policy: Option<String>,
    pub(super) location: Option<String>,
    pub(super) credit_limit: Amount,
    pub(super) cutoff: bool,
    pub(super) protected: Option<String>,
    pub(super) from: Option<Moment>,
    pub(super) until: Option<Moment>,
    pub(super) confirmed: Option<Moment>,
}

/// Something that holds from one moment to another.
#[derive(Clone, Debug)]
pub(super) struct Stretch<T> {
    pub(super) at: At,
    pub(super) from: Option<Moment>,
    pub(super) until: Option<Moment>,
    /// The reason, where the file says `correct = true`.
    pub(super) correct: Option<String>,
    pub(super) terms: T,
}

#[derive(Clone, Debug)]
pub(super) struct PointItem {
    pub(super) at: At,
    pub(super) site: usize,
    pub(super) name: String,
    pub(super) utility: Utility,
    pub(super) unit: Unit,
    pub(super) location: Option<String>,
    pub(super) contracts: Vec<Stretch<ContractTerms>>,
    pub(super) conversions: Vec<Stated<ConversionTerms>>,
}

/// An entry of a list that holds until the next one.
#[derive(Clone, Debug)]
pub(super) struct Stated<T> {
    pub(super) at: At,
    pub(super) from: Option<Moment>,
    /// The reason, where the file says `correct = true`.
    pub(super) correct: Option<String>,
    pub(super) terms: T,
}

/// How m3 become kWh.
#[derive(Clone, Debug)]
pub(super) struct ConversionTerms {
    pub(super) source: CalorificSource,
    /// Volume conversion factor in 1e-6.
    pub(super) correction: i64,
}

/// Where a calorific value comes from.
#[derive(Clone, Debug)]
pub(super) enum CalorificSource {
    /// From a [[gas_quality]] of that name.
    Quality(String),
    /// Its own, in 1e-6 MJ/m3.
    Own(i64),
}

/// A supply area with its calorific values in 1e-6 MJ/m3.
#[derive(Clone, Debug)]
pub(super) struct GasQualityItem {
    pub(super) at: At,
    pub(super) name: String,
    /// For showing times.
    pub(super) zone: TimeZone,
    pub(super) values: Vec<Stated<i64>>,
}

#[derive(Clone, Debug)]
pub(super) struct ContractTerms {
    pub(super) account: String,
    pub(super) tariff: String,
    pub(super) household: Household,
    pub(super) facts: FactsItem,
}

/// What a contract states for the components of its tariff; service points are names.
#[derive(Clone, Debug, Default)]
pub(super) struct FactsItem {
    pub(super) capacity: Option<Quantity>,
    pub(super) reactive: Option<String>,
    pub(super) sources: BTreeMap<String, String>,
}

#[derive(Clone, Debug)]
pub(super) struct MeterItem {
    pub(super) at: At,
    pub(super) site: usize,
    pub(super) serial: String,
    /// [`USAGE`] for meters that are only imported.
    pub(super) profile: String,
    pub(super) bus: Option<String>,
    pub(super) unit: Option<i64>,
    pub(super) poll_micros: Option<i64>,
    pub(super) parent: Option<String>,
    pub(super) relay: Option<bool>,
    pub(super) installations: Vec<Stretch<Installation>>,
}

/// The profile of a meter that gives quantities, not counts.
pub(super) const USAGE: &str = "usage";

#[derive(Clone, Debug)]
pub(super) struct Installation {
    pub(super) point: String,
    /// The profile that this installation was read with.
    pub(super) profile: Option<String>,
    /// CT x PT x pulse weight.
    pub(super) multiplier: Option<Ratio>,
    /// Where the file says something else than the profile; 0 for never.
    pub(super) modulus: Option<i64>,
    pub(super) opening: Option<i64>,
    pub(super) closing: Option<i64>,
    /// What the installation before showed last.
    pub(super) previous_closing: Option<i64>,
    /// How many counts of decrease are jitter, where the file says something else than the profile.
    pub(super) jitter: Option<i64>,
    /// What imported usage of gas is in, where that is not the billing unit.
    pub(super) measures: Option<Unit>,
    /// Whether it counts down what flows back; as the profile says where the file does not.
    pub(super) signed: Option<bool>,
    /// `75 kW`; its unit depends on the utility.
    pub(super) rating: Option<String>,
}
