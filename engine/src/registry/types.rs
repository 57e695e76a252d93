//! The registry's things, as the book keeps them.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use kernel::calendar::Calendar;
use kernel::epoch::Epoch;
use kernel::id::{AccountId, ContractId, MeterId, ServicePointId, SiteId, TariffId, Utility};
use kernel::money::{Amount, Quantity, Rounding};
use kernel::rate;
use kernel::statement::Minor;
use kernel::tariff::{Household, TariffVersion};
use kernel::time::{LocalDate, LocalMonth, Moment, SiteDays};
use kernel::unit::Unit;

use super::name::Name;
use super::setup::Setup;

macro_rules! identifiers {
    ($($(#[$doc:meta])* $name:ident),*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    )*};
}
identifiers!(
    /// A building, floor, room or area.
    LocationId,
    /// A calendar of holidays and make-up workdays.
    CalendarId,
    /// A cut-off policy.
    PolicyId,
    /// A supply area whose gas has one calorific value.
    GasQualityId
);

macro_rules! names {
    ($(#[$doc:meta])* $kind:ident { $($(#[$variant_doc:meta])* $variant:ident = $name:literal),* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $kind { $($(#[$variant_doc])* $variant),* }

        impl $kind {
            /// All of them.
            pub const ALL: &[$kind] = &[$($kind::$variant),*];

            /// The name in files and in the book.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $($kind::$variant => $name),* }
            }

            /// The one of that name.
            #[must_use]
            pub fn parse(name: &str) -> Option<$kind> {
                $kind::ALL.iter().copied().find(|kind| kind.name() == name)
            }
        }
    };
}
names!(
    /// What a site's cut-off may do (domain.md, 7.11).
    Mode {
        /// Nothing.
        Off = "off",
        /// Say what would be cut.
        Shadow = "shadow",
        /// Ask a person first.
        Ask = "ask",
        /// Cut and reconnect.
        Auto = "auto"
    }
);
names!(
    /// When an account pays.
    AccountKind {
        /// Before.
        Prepaid = "prepaid",
        /// After.
        Postpaid = "postpaid"
    }
);
names!(
    /// What a meter's readings are.
    MeterKind {
        /// Counts of a register.
        Register = "register",
        /// Quantities with a start and an end, from an import.
        Usage = "usage"
    }
);

/// A property with one time zone and one currency.
#[derive(Clone, Debug)]
pub struct Site {
    /// Its identifier.
    pub id: SiteId,
    /// Its name in files and commands.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// IANA time zone.
    pub zone: String,
    /// ISO 4217 code.
    pub currency: String,
    /// What cut-off may do.
    pub mode: Mode,
    /// Where notices are posted to.
    pub webhook: Option<String>,
    /// Its local days.
    pub days: Arc<SiteDays>,
    /// The entry in the book that `calendar` comes from; none for a calendar without exceptions.
    pub calendar_id: Option<CalendarId>,
    /// Its day types.
    pub calendar: Arc<Calendar>,
    /// Above which amount a second person approves a refund.
    pub refund_limit: Amount,
    /// How its statements are rounded from the next month closed on.
    pub minor: Minor,
    /// When it was first applied.
    pub created_at: Moment,
    /// Its last closed month; all before it are closed too.
    pub closed_through: Option<LocalMonth>,
    /// Up to how much an adjustment of an account's closed month needs no person (domain.md, 3).
    pub adjustment_limit: Amount,
}

/// The name of a rule of rounding in files and in the book.
#[must_use]
pub const fn rounding_name(rounding: Rounding) -> &'static str {
    match rounding {
        Rounding::HalfUp => "half-up",
        Rounding::HalfEven => "half-even",
    }
}

/// The rule of that name.
#[must_use]
pub fn parse_rounding(name: &str) -> Option<Rounding> {
    [Rounding::HalfUp, Rounding::HalfEven].into_iter().find(|rounding| rounding_name(*rounding) == name)
}

/// How statements are rounded where a book says nothing of it.
pub const DEFAULT_MINOR: Minor = Minor { digits: 2, rounding: Rounding::HalfUp };

impl Site {
    /// Whether a local day lies in a closed month.
    #[must_use]
    pub fn is_closed(&self, date: LocalDate) -> bool {
        self.closed_through.is_some_and(|closed| date.month() <= closed)
    }

    /// The instants at which a month begins and ends; none outside the table of days.
    #[must_use]
    pub fn span(&self, month: LocalMonth) -> Option<(Moment, Moment)> {
        let start = |month: LocalMonth| self.days.on(month.first_day()).map(|day| day.start);
        Some((start(month)?, start(LocalMonth(month.0 + 1))?))
    }

    /// The first instant after the closed months.
    #[must_use]
    pub fn closed_until(&self) -> Option<Moment> {
        self.span(self.closed_through?).map(|(_, end)| end)
    }
}

/// A building, floor, room or area.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// Its identifier.
    pub id: LocationId,
    /// Its site.
    pub site: SiteId,
    /// What it is part of.
    pub parent: Option<LocationId>,
    /// Its name in files, unique within the site.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// building, floor, room or area.
    pub kind: String,
    /// Floor area in 1/100 m2.
    pub area_centi_m2: Option<i64>,
}

/// A calendar in the book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalendarEntry {
    /// Its identifier.
    pub id: CalendarId,
    /// Its dates; its name is in it.
    pub calendar: Arc<Calendar>,
}

/// A cut-off policy. Its text is for `kernel::policy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its identifier.
    pub id: PolicyId,
    /// Its name in files.
    pub name: String,
    /// JSON.
    pub definition: String,
}

/// A customer's contract and wallet; what it has in common with others is used as its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its identifier.
    pub id: AccountId,
    /// Its name in files and commands.
    pub name: Name,
    /// The customer's name.
    pub holder: Name,
    /// Where the customer is.
    pub location: Option<LocationId>,
    /// When its opening balance and opening reads were confirmed.
    pub confirmed_at: Option<Moment>,
    /// When it began.
    pub opened_at: Moment,
    /// When it ended.
    pub closed_at: Option<Moment>,
    /// What it has in common with others.
    pub conditions: Arc<Conditions>,
}

/// What many accounts have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Conditions {
    /// Their site.
    pub site: SiteId,
    /// When they pay.
    pub kind: AccountKind,
    /// Their cut-off policy.
    pub policy: Option<PolicyId>,
    /// How far below zero they may go.
    pub credit_limit: Amount,
    /// Whether they may be cut at all.
    pub cutoff_enabled: bool,
    /// Why they are never cut.
    pub protected: Option<String>,
    /// In which unit their wallets are kept; none for money. It never changes.
    pub unit: Option<&'static str>,
    /// Whether its service points of one utility share one tier counter. It never changes once it pays for something.
    pub pooled: bool,
}

impl Deref for Account {
    type Target = Conditions;

    fn deref(&self) -> &Conditions {
        &self.conditions
    }
}

/// The unit of that name in which a wallet can be kept: what utilities are billed in.
#[must_use]
pub fn unit_named(name: &str) -> Option<&'static str> {
    Unit::parse(name).map(Unit::name)
}

impl Account {
    /// Whether it has ended by now; an end that is still to come may be written down early.
    #[must_use]
    pub fn has_ended(&self, now: Moment) -> bool {
        self.closed_at.is_some_and(|closed| closed <= now)
    }
}

/// Who pays for a service point, by which tariff, from when to when: a row of the table `contracts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contract {
    /// Its number in the table `contracts`.
    pub id: ContractId,
    /// The account that owes.
    pub account: AccountId,
    /// The tariff.
    pub tariff: TariffId,
    /// In force from here ...
    pub valid_from: Moment,
    /// ... to here, exclusive.
    pub valid_to: Option<Moment>,
    /// Who lives there.
    pub household: Household,
}

impl From<&rate::Contract> for Contract {
    fn from(rated: &rate::Contract) -> Contract {
        let &rate::Contract { id, account, valid_from, valid_to, household, .. } = rated;
        Contract { id, account, tariff: rated.versions.tariff, valid_from, valid_to, household }
    }
}

impl Contract {
    /// Whether it is in force at a moment.
    #[must_use]
    pub fn holds(&self, moment: Moment) -> bool {
        self.valid_from <= moment && self.valid_to.is_none_or(|end| moment < end)
    }
}

/// What a contract states for the components of its tariff.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContractFacts {
    /// In 1/1000 unit per hour (W).
    pub capacity: Option<Quantity>,
    /// The service point that measures its reactive energy.
    pub reactive: Option<ServicePointId>,
    /// Service points of other services, by the names that components give them.
    pub sources: BTreeMap<String, ServicePointId>,
}

impl ContractFacts {
    /// Nothing: what most contracts state.
    pub const NONE: &ContractFacts = &ContractFacts { capacity: None, reactive: None, sources: BTreeMap::new() };

    /// The service points whose use it asks for.
    pub fn points(&self) -> impl Iterator<Item = ServicePointId> {
        self.sources.values().copied().chain(self.reactive)
    }
}

/// One utility delivered to one location.
#[derive(Clone, Debug)]
pub struct ServicePoint {
    /// Its identifier.
    pub id: ServicePointId,
    /// Its site.
    pub site: SiteId,
    /// Its name in files and commands.
    pub name: Name,
    /// What is delivered.
    pub utility: Utility,
    /// What it is billed in.
    pub unit: Unit,
    /// Where.
    pub location: Option<LocationId>,
    /// How its m3 of gas become kWh, by `valid_from`.
    pub conversions: Box<[Conversion]>,
    /// What it is rated by.
    pub setup: Arc<Setup>,
}

impl ServicePoint {
    /// Its contracts, by `valid_from`, without overlaps: what its terms were made of.
    pub fn contracts(&self) -> impl DoubleEndedIterator<Item = Contract> + ExactSizeIterator {
        self.setup.terms.contracts.iter().map(Contract::from)
    }

    /// Its installations, by `valid_from`, without overlaps.
    #[must_use]
    pub fn epochs(&self) -> &[Epoch] {
        &self.setup.epochs
    }
}

/// How m3 of gas become kWh at a service point, from a moment until the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conversion {
    /// Its number in the table `conversions`.
    pub id: u32,
    /// In force from here.
    pub valid_from: Moment,
    /// Where its calorific value comes from.
    pub source: Calorific,
    /// Volume conversion factor in 1e-6.
    pub correction: i64,
}

/// Where a calorific value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calorific {
    /// From the values of a supply area.
    Quality(GasQualityId),
    /// Its own, in 1e-6 MJ/m3.
    Own(i64),
}

/// A supply area whose gas has one calorific value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GasQuality {
    /// Its identifier.
    pub id: GasQualityId,
    /// Its name in files.
    pub name: String,
    /// Its values in force, by `valid_from`.
    pub values: Vec<CalorificValue>,
}

/// A calorific value, from a moment until the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CalorificValue {
    /// Its number in the table `calorific_values`.
    pub id: u32,
    /// In force from here.
    pub valid_from: Moment,
    /// 1e-6 MJ/m3.
    pub calorific_value: i64,
}

/// A tariff with its versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tariff {
    /// Its identifier.
    pub id: TariffId,
    /// Its name in files.
    pub name: String,
    /// What it prices.
    pub utility: Utility,
    /// In which currency.
    pub currency: String,
    /// Per what.
    pub unit: Unit,
    /// Its versions in force, by `valid_from`.
    pub versions: Vec<Arc<TariffVersion>>,
}

/// A physical device; what it has in common with others is used as its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meter {
    /// Its identifier.
    pub id: MeterId,
    /// Its serial number.
    pub serial: Name,
    /// Host and port of its bus; none for a meter that is only imported.
    pub bus: Option<(Name, u16)>,
    /// Its address on the bus.
    pub unit: Option<u8>,
    /// The meter that also measures what this one measures.
    pub parent: Option<MeterId>,
    /// What it has in common with others.
    pub make: Arc<Make>,
}

/// What many meters have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Make {
    /// Their site.
    pub site: SiteId,
    /// The name of their profile (register map).
    pub profile: String,
    /// What they measure.
    pub utility: Utility,
    /// What their readings are.
    pub kind: MeterKind,
    /// 1/1000 units per count before CT x PT: numerator and denominator.
    pub resolution: (i64, i64),
    /// Time between polls, in microseconds.
    pub poll_micros: Option<i64>,
    /// Whether they have a relay or valve.
    pub has_relay: bool,
    /// The most power they are made for, in mW (electricity and heat).
    pub rating_mw: Option<i64>,
}

impl Deref for Meter {
    type Target = Make;

    fn deref(&self) -> &Make {
        &self.make
    }
}
