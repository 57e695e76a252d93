//! What a version's components must prove before anything is charged by them.

use alloc::string::String;

use crate::component::demand::Window;
use crate::component::share::Rate;
use crate::component::{Charge, Component, DemandPrices, ENERGY, Taxation};
use crate::money::Price;

/// The most components of a version.
pub const COMPONENT_LIMIT: usize = 24;
/// How many of them may be percentages.
pub const SHARE_LIMIT: usize = 8;
/// The highest price, up or down: 10^8 currency a unit.
pub const PRICE_LIMIT: u64 = 100_000_000_000_000;
/// The highest rate, up or down: 1,000 %.
pub const RATE_LIMIT: u64 = 10_000_000;

/// Why components cannot be charged; the text is the component's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ComponentFault {
    /// More than [`COMPONENT_LIMIT`] components.
    TooMany(usize),
    /// More than [`SHARE_LIMIT`] percentages.
    TooManyShares(usize),
    /// A name that is empty, [`ENERGY`], or taken.
    Name(String),
    /// The component's base names something that does not stand before it.
    UnknownBase(String, String),
    /// The component's base names a tax that is within prices already.
    ShownBase(String, String),
    /// The component's base is empty, or names something twice.
    Base(String),
    /// A second minimum charge.
    SecondMinimum(String),
    /// A price beyond [`PRICE_LIMIT`], or a minimum below zero.
    Price(String, Price),
    /// A rate beyond [`RATE_LIMIT`], below zero where it must not be, or a share of a volume beyond all of it.
    Rate(String, Rate),
    /// A window that does not divide an hour.
    Window(String, Window),
    /// Prices by band that are none.
    NoPrice(String),
    /// A table of power factors that does not descend to zero, or rounds to another step than 1 to 100 of 1/1000.
    Table(String),
    /// Tiers whose bounds do not ascend from above zero, whose prices are not one more than the bounds, or a cap below
    /// zero.
    Tiers(String),
}

/// Proves that components are within the bounds of [`crate::component`], and that each base stands before its use.
///
/// # Errors
/// The first [`ComponentFault`].
pub fn components(list: &[Component]) -> Result<(), ComponentFault> {
    if list.len() > COMPONENT_LIMIT {
        return Err(ComponentFault::TooMany(list.len()));
    }
    let shares = list.iter().filter(|component| component.charge.is_share()).count();
    if shares > SHARE_LIMIT {
        return Err(ComponentFault::TooManyShares(shares));
    }
    for (index, component) in list.iter().enumerate() {
        let (before, name) = (&list[..index], &component.name);
        if name.is_empty() || name == ENERGY || before.iter().any(|other| other.name == *name) {
            return Err(ComponentFault::Name(name.clone()));
        }
        let is_minimum = |component: &Component| matches!(component.charge, Charge::Minimum { .. });
        if is_minimum(component) && before.iter().any(is_minimum) {
            return Err(ComponentFault::SecondMinimum(name.clone()));
        }
        if let Some(of) = component.charge.bases() {
            bases(name, of, before)?;
        }
        charge(name, &component.charge)?;
    }
    Ok(())
}

fn bases(name: &str, of: &[String], before: &[Component]) -> Result<(), ComponentFault> {
    if of.is_empty() {
        return Err(ComponentFault::Base(name.into()));
    }
    for (index, base) in of.iter().enumerate() {
        if of[..index].contains(base) {
            return Err(ComponentFault::Base(name.into()));
        }
        match before.iter().find(|other| other.name == *base) {
            None if base != ENERGY => return Err(ComponentFault::UnknownBase(name.into(), base.clone())),
            Some(Component { charge: Charge::Tax { taxation: Taxation::Inclusive, .. }, .. }) => {
                return Err(ComponentFault::ShownBase(name.into(), base.clone()));
            }
            _ => {}
        }
    }
    Ok(())
}

fn charge(name: &str, charge: &Charge) -> Result<(), ComponentFault> {
    let price = |price: Price| {
        let within = price.0.unsigned_abs() <= PRICE_LIMIT;
        if within { Ok(()) } else { Err(ComponentFault::Price(name.into(), price)) }
    };
    let rate = |rate: Rate, least: i64| {
        let within = rate.0.unsigned_abs() <= RATE_LIMIT && rate.0 >= least;
        if within { Ok(()) } else { Err(ComponentFault::Rate(name.into(), rate)) }
    };
    let window = |window: Window| {
        let divides = window.minutes > 0 && 60 % window.minutes == 0;
        if divides { Ok(()) } else { Err(ComponentFault::Window(name.into(), window)) }
    };
    match charge {
        Charge::Daily(each) | Charge::Monthly(each) => price(*each),
        Charge::Minimum { price: least, .. } if least.0 < 0 => Err(ComponentFault::Price(name.into(), *least)),
        Charge::Minimum { price: least, .. } => price(*least),
        Charge::Demand { window: averaged, prices } => {
            window(*averaged)?;
            match prices {
                DemandPrices::Whole(each) => price(*each),
                DemandPrices::ByBand(each) if each.iter().all(Option::is_none) => {
                    Err(ComponentFault::NoPrice(name.into()))
                }
                DemandPrices::ByBand(each) => each.iter().flatten().try_for_each(|each| price(*each)),
            }
        }
        Charge::Capacity { price: each, excess } => {
            price(*each)?;
            excess.map_or(Ok(()), |excess| {
                window(excess.window)?;
                rate(excess.tolerance, 0)?;
                price(excess.price)
            })
        }
        Charge::PowerFactor(adjustment) => {
            if !adjustment.is_sound() {
                return Err(ComponentFault::Table(name.into()));
            }
            adjustment.steps.iter().try_for_each(|step| rate(step.rate, i64::MIN))
        }
        Charge::Derived(derived) => {
            if !derived.is_sound() {
                return Err(ComponentFault::Tiers(name.into()));
            }
            if derived.share > Rate::ONE {
                return Err(ComponentFault::Rate(name.into(), derived.share));
            }
            rate(derived.share, 0)?;
            derived.prices.iter().try_for_each(|each| price(*each))
        }
        Charge::Surcharge { rate: share, .. } | Charge::Tax { rate: share, taxation: Taxation::Exclusive, .. } => {
            rate(*share, i64::MIN)
        }
        Charge::Tax { rate: share, taxation: Taxation::Inclusive, .. } => rate(*share, 0),
    }
}

impl Charge {
    /// Whether it is a percentage of others.
    fn is_share(&self) -> bool {
        matches!(self, Charge::PowerFactor(_) | Charge::Surcharge { .. } | Charge::Tax { .. })
    }

    /// What it is worked out on, where that is money.
    #[must_use]
    pub fn bases(&self) -> Option<&[String]> {
        match self {
            Charge::Minimum { of, .. } | Charge::Surcharge { of, .. } | Charge::Tax { of, .. } => Some(of),
            Charge::PowerFactor(adjustment) => Some(&adjustment.of),
            Charge::Daily(_)
            | Charge::Monthly(_)
            | Charge::Demand { .. }
            | Charge::Capacity { .. }
            | Charge::Derived(_) => None,
        }
    }
}
