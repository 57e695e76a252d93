//! What a component charged, and why: everything that a person or a program needs to work it out again.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::component::demand::{Peak, Window};
use crate::component::month::{DayRun, spread};
use crate::component::share::Rate;
use crate::id::TariffVersionId;
use crate::money::{Amount, Price, Quantity};
use crate::tariff::Band;
use crate::time::LocalMonth;

/// One exact line of a contract's month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The component's name.
    pub component: String,
    /// The version that lists it.
    pub version: TariffVersionId,
    /// The band, where it has prices by band.
    pub band: Option<Band>,
    /// The tier from 1, where it has tiers.
    pub tier: Option<u16>,
    /// How much of what at which price or rate.
    pub measure: Measure,
    /// What it comes to, exact.
    pub amount: Amount,
    /// Whether the amount is added to the bill.
    pub effect: Effect,
    /// Whether it may still change.
    pub standing: Standing,
    /// What it follows from.
    pub why: Why,
}

/// The base of a line and its price or rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Measure {
    /// Units, each at a price: the amount is `quantity x price`.
    Units {
        /// In 1/1000.
        quantity: Quantity,
        /// For each.
        price: Price,
    },
    /// Days of a month at a price for the month, each for so many units: the amount is `quantity x price` spread.
    Days {
        /// 1.000 for a fixed charge, else units per hour (kW) in 1/1000.
        quantity: Quantity,
        /// For each, for a whole month.
        price: Price,
        /// The days owed.
        days: DayRun,
    },
    /// A share of money: the amount is `base x rate`.
    Share {
        /// Of how much.
        base: Amount,
        /// How much of it.
        rate: Rate,
    },
    /// A share that money holds already: the amount is `base x rate / (1 + rate)`.
    Within {
        /// Of how much.
        base: Amount,
        /// How much of what it would be without.
        rate: Rate,
    },
    /// What money lacks to a least: the amount is `least - reached`, and never below zero.
    Difference {
        /// What must be reached.
        least: Amount,
        /// What was.
        reached: Amount,
    },
}

impl Measure {
    /// What it comes to in a month: of every line exactly its amount.
    #[must_use]
    pub fn amount(self, month: LocalMonth) -> Amount {
        match self {
            Measure::Units { quantity, price } => quantity * price,
            Measure::Days { quantity, price, days } => spread(quantity * price, month, days),
            Measure::Share { base, rate } => rate.of(base),
            Measure::Within { base, rate } => rate.within(base),
            Measure::Difference { least, reached } => (least - reached).max(Amount::ZERO),
        }
    }
}

/// Whether a line's amount is added to the bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// It is.
    Added,
    /// It is within other lines and only shown.
    Shown,
}

/// Whether a line may still change with what the rest of the month brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// It is owed.
    Final,
    /// It is what the month would come to if it ended now. It is shown and cuts nobody off.
    Forecast,
}

/// What a line follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Why {
    /// These days were owed.
    Days,
    /// The month's least was not reached.
    Shortfall,
    /// The month's maximum.
    Maximum {
        /// How demand was averaged.
        window: Window,
        /// When it was, and how much of it was measured.
        peak: Peak,
    },
    /// No reading tells of any demand: nothing is charged.
    NoDemand {
        /// How demand is averaged.
        window: Window,
    },
    /// The contract's capacity.
    Contracted,
    /// The contract states no capacity: nothing is charged.
    NoCapacity,
    /// The maximum was beyond the contract's capacity and its tolerance.
    Beyond {
        /// What the contract states, in 1/1000 unit per hour.
        capacity: Quantity,
        /// How demand was averaged.
        window: Window,
        /// The maximum.
        peak: Peak,
    },
    /// The month's power factor.
    Factor {
        /// Active energy.
        active: Quantity,
        /// Reactive energy.
        reactive: Quantity,
        /// The factor in 1/1000, rounded as the table says.
        factor_milli: u16,
    },
    /// Active or reactive energy is not known, or there was none: no adjustment.
    NoFactor,
    /// Another service's volume.
    Volume {
        /// What the other service used so far in the month, before this version ...
        before: Quantity,
        /// ... and after.
        after: Quantity,
        /// What of that is charged at most in a month.
        cap: Option<Quantity>,
    },
    /// Added to what it is a share of.
    Surcharge,
    /// A tax on top of prices.
    Exclusive,
    /// A tax within prices.
    Inclusive,
}

/// What a decision to cut supply may rest on: lines that are added and owed. Forecasts are left out.
#[must_use]
pub fn counts(lines: &[Line]) -> Amount {
    let owed = lines.iter().filter(|line| line.effect == Effect::Added && line.standing == Standing::Final);
    owed.map(|line| line.amount).sum()
}

/// What is added to the bill in all, forecasts included.
#[must_use]
pub fn added(lines: &[Line]) -> Amount {
    lines.iter().filter(|line| line.effect == Effect::Added).map(|line| line.amount).sum()
}
