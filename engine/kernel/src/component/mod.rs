//! Charges beside energy: what a contract owes by the day or the month, from facts to exact lines (domain.md, 4 and 10).
//!
//! A tariff version lists [`Component`]s. [`bill`](bill::bill) takes the facts of one contract's month
//! ([`facts`]) and gives one [`line::Line`] for each component, version, band and tier, with everything that explains
//! it. Components are worked out in the order of the list; a base names only what stands before it, or
//! [`ENERGY`], so that no two can wait for each other.
//!
//! **Rounding.** Nothing is rounded to money here: amounts are exact in 1e-9 currency, and a statement rounds once
//! ([`crate::statement`]). Three divisions exist. A monthly price spread over days is cut toward zero for each day and
//! the month's last day absorbs the remainder ([`month`]). A percentage is rounded to the nearest 1e-9, halves away
//! from zero, once for each line ([`share`]). A share of another service's volume is rounded down on the month's
//! running total, so that no division of the month changes the sum ([`derived`]).
//!
//! **Pro rata.** A day belongs to the contract, and to the version, in force at the day's first instant; so each day
//! is owed once, whenever tenants or versions change. Monthly charges are owed by days.
//!
//! **A forecast never cuts.** Lines of monthly components are [`line::Standing::Forecast`] until the month is closed,
//! and [`line::counts`] leaves them out.
//!
//! **Bounds**, all refused beyond ([`check`], [`facts::FactFault`]), so that nothing overflows: prices up to 10^8
//! currency a unit, rates up to 1,000 %, 24 components of which 8 are percentages, 32 versions in a month; in a month
//! 10^12 units of energy, 10^9 of another service's volume or of demand, and under each version 10^18 currency of energy.
//! A line of units is then below 10^27 nanos; a version's 16 components of six bands each below 10^28; with eight
//! percentages of all before them, each up to ten times as much, below 2.3 x 10^36; 32 versions below 10^38, and 128 bits
//! end at 1.7 x 10^38.

pub mod bill;
pub mod check;
pub mod demand;
pub mod derived;
pub mod facts;
pub mod line;
pub mod month;
pub mod power_factor;
pub mod share;

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::money::Price;
use crate::tariff::Band;

use demand::Window;
use derived::Derived;
use power_factor::PowerFactor;
use share::Rate;

/// The name under which a base means the charges of intervals.
pub const ENERGY: &str = "energy";

/// The name under which the ledger books what selling units brings in; no component has it.
pub const UNITS: &str = "units";

/// One charge of a tariff version beside the prices of its bands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// Its name on lines and in the bases of later components; unique within the version.
    pub name: String,
    /// What it charges.
    pub charge: Charge,
}

/// What a component charges.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Charge {
    /// A price for each local day.
    Daily(Price),
    /// A price for each month, owed by days.
    Monthly(Price),
    /// The least that `of` must come to in a month, owed by days; the shortfall is charged.
    Minimum {
        /// For a whole month.
        price: Price,
        /// The components that count toward it.
        of: Vec<String>,
    },
    /// A price for each unit per hour (kW) of the month's maximum demand, owed by days.
    Demand {
        /// How demand is averaged.
        window: Window,
        /// For a whole month.
        prices: DemandPrices,
    },
    /// A price for each unit per hour (kW) of contracted capacity, owed by days, and for what the maximum exceeds it.
    Capacity {
        /// For a whole month.
        price: Price,
        /// What demand beyond the capacity costs.
        excess: Option<Excess>,
    },
    /// A percentage by the month's power factor.
    PowerFactor(PowerFactor),
    /// A charge for another service's volume, such as sewer by water.
    Derived(Derived),
    /// A percentage of other components, added.
    Surcharge {
        /// How much of them.
        rate: Rate,
        /// Which.
        of: Vec<String>,
    },
    /// A tax on other components.
    Tax {
        /// Its rate.
        rate: Rate,
        /// On which.
        of: Vec<String>,
        /// Whether their prices hold it already.
        taxation: Taxation,
    },
}

impl Charge {
    /// Which maxima the facts must hold for it.
    #[must_use]
    pub fn window(&self) -> Option<Window> {
        match self {
            Charge::Demand { window, .. } => Some(*window),
            Charge::Capacity { excess, .. } => excess.map(|excess| excess.window),
            _ => None,
        }
    }

    /// Whether each day owes its own part of it, whatever is used: what can be charged as the days end.
    #[must_use]
    pub const fn is_fixed(&self) -> bool {
        matches!(self, Charge::Daily(_) | Charge::Monthly(_))
    }

    /// Whether a contract owes it in a month in which nothing is used.
    #[must_use]
    pub const fn is_owed_unused(&self) -> bool {
        matches!(self, Charge::Daily(_) | Charge::Monthly(_) | Charge::Minimum { .. } | Charge::Capacity { .. })
    }

    /// Whether it is a tax on top of prices.
    #[must_use]
    pub const fn is_added_tax(&self) -> bool {
        matches!(self, Charge::Tax { taxation: Taxation::Exclusive, .. })
    }

    /// Which other service's volume the facts must hold for it.
    #[must_use]
    pub fn source(&self) -> Option<&str> {
        match self {
            Charge::Derived(derived) => Some(&derived.source),
            _ => None,
        }
    }
}

/// Prices of demand, for each unit per hour (kW).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DemandPrices {
    /// One for the month's maximum, whenever it was.
    Whole(Price),
    /// One for the maximum of each band ([`Band::ALL`] order); none where a band's demand is free.
    ByBand([Option<Price>; Band::ALL.len()]),
}

/// What demand beyond the contracted capacity costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excess {
    /// How demand is averaged.
    pub window: Window,
    /// How far beyond is free, of the capacity; the capacity's own fraction is rounded up.
    pub tolerance: Rate,
    /// For a whole month, each unit per hour (kW).
    pub price: Price,
}

/// How a tax relates to the prices that it is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Taxation {
    /// Within the prices: shown, not added.
    Inclusive,
    /// On top of them: added.
    Exclusive,
}
