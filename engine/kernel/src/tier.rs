//! Tiers: thresholds on what a service point used within a period, by season and by household.
//!
//! Bounds are never copied: a [`Ladder`] reads them through the scale of one date and one household, so that pricing
//! stays cheap where they change in the middle of a period. The counter itself knows nothing of bounds; whatever it
//! stands at, the bounds of the date on which energy flows decide.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::money::Quantity;
use crate::tariff::MonthDay;
use crate::time::LocalDate;

/// When a tier counter starts again from zero (at local midnight).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TierPeriod {
    /// On the first of each month.
    Monthly,
    /// On this day of each year.
    Annual(MonthDay),
    /// On this day (1 to 28) of each month.
    Cycle(u8),
}

/// Keys of billing cycles begin here, far above those of months and years, and differ by the day: a version that moves
/// the day, or goes from months to cycles, begins a new period.
const CYCLES: i32 = 100_000_000;

impl TierPeriod {
    /// The period that holds a date; counters start from zero when it changes.
    #[must_use]
    pub fn key(self, date: LocalDate) -> i32 {
        match self {
            TierPeriod::Monthly => date.month().0,
            TierPeriod::Annual(reset) => {
                let (year, month, day) = date.ymd();
                if (MonthDay { month, day }) < reset { year - 1 } else { year }
            }
            TierPeriod::Cycle(begins) => {
                let (_, _, day) = date.ymd();
                let month = date.month().0 - i32::from(day < begins);
                CYCLES + month * 32 + i32::from(begins)
            }
        }
    }
}

/// Who lives behind a service point, as its contract says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Household {
    /// Persons; 0 where nobody said.
    pub persons: u16,
    /// Households, at least 1.
    pub households: u16,
}

/// One household of an unknown number of persons.
impl Default for Household {
    fn default() -> Household {
        Household { persons: 0, households: 1 }
    }
}

/// How the number of persons raises every bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PersonRule {
    /// From this many persons on by this much, once (Guangdong: 5 persons, 100 kWh).
    From {
        /// At least so many.
        persons: u16,
        /// What each bound is raised by.
        adder: Quantity,
    },
    /// For each person above this many by this much.
    EachAbove {
        /// Those that the bounds are made for.
        persons: u16,
        /// What each bound is raised by for each further person.
        adder: Quantity,
    },
}

impl PersonRule {
    fn raise(self, persons: u16) -> i64 {
        match self {
            PersonRule::From { persons: least, adder } if persons >= least => adder.0,
            PersonRule::From { .. } => 0,
            PersonRule::EachAbove { persons: included, adder } => {
                adder.0.saturating_mul(i64::from(persons.saturating_sub(included)))
            }
        }
    }

    /// What one step of the rule raises.
    #[must_use]
    pub const fn adder(self) -> Quantity {
        match self {
            PersonRule::From { adder, .. } | PersonRule::EachAbove { adder, .. } => adder,
        }
    }
}

/// Other bounds on some dates of the year. Both ends inclusive; one whose end is before its start runs over New Year.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TierSeason {
    /// Its first day.
    pub from: MonthDay,
    /// Its last day.
    pub to: MonthDay,
    /// As many as [`Tiers::bounds`].
    pub bounds: Vec<Quantity>,
}

/// Thresholds on the quantity used within a period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tiers {
    /// When the counter starts again.
    pub period: TierPeriod,
    /// Upper bounds of all tiers but the last, ascending, on the dates that are in no season.
    pub bounds: Vec<Quantity>,
    /// The first season that holds a date decides.
    #[serde(default)]
    pub seasons: Vec<TierSeason>,
    /// How persons raise the bounds.
    #[serde(default)]
    pub persons: Option<PersonRule>,
    /// Whether bounds and allowance hold for each household behind the service point.
    #[serde(default)]
    pub by_household: bool,
    /// What costs nothing, in each period, before the first tier: tier 0. The bounds count from its end.
    #[serde(default)]
    pub allowance: Quantity,
}

/// Which bounds hold on a date, and what a household makes of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scale {
    /// 0 for [`Tiers::bounds`], else the season's place from 1.
    season: u16,
    times: u16,
    plus: i64,
    allowance: i64,
}

/// The tiers of one date for one household.
#[derive(Clone, Copy, Debug)]
pub struct Ladder<'a> {
    bounds: &'a [Quantity],
    scale: Scale,
}

impl Tiers {
    /// Tiers with these bounds the whole year, for every household alike.
    #[must_use]
    pub const fn plain(period: TierPeriod, bounds: Vec<Quantity>) -> Tiers {
        Tiers { period, bounds, seasons: Vec::new(), persons: None, by_household: false, allowance: Quantity::ZERO }
    }

    /// Which bounds hold on a date, and how they are scaled for a household.
    #[must_use]
    pub fn scale(&self, date: LocalDate, household: Household) -> Scale {
        let (_, month, day) = date.ymd();
        let on = MonthDay { month, day };
        let season = self.seasons.iter().position(|season| on.is_within(season.from, season.to));
        let times = if self.by_household { household.households.max(1) } else { 1 };
        let allowance = self.allowance.0.saturating_mul(i64::from(times));
        let raise = self.persons.map_or(0, |rule| rule.raise(household.persons));
        Scale {
            season: season.map_or(0, |place| u16::try_from(place + 1).unwrap_or(u16::MAX)),
            times,
            plus: raise.saturating_add(allowance),
            allowance,
        }
    }

    /// The tiers as a scale makes them.
    #[must_use]
    pub fn ladder(&self, scale: Scale) -> Ladder<'_> {
        let season = usize::from(scale.season).checked_sub(1).and_then(|place| self.seasons.get(place));
        Ladder { bounds: season.map_or(&self.bounds, |season| &season.bounds), scale }
    }
}

impl Ladder<'_> {
    /// One tier without end.
    pub const ENDLESS: Ladder<'static> =
        Ladder { bounds: &[], scale: Scale { season: 0, times: 1, plus: 0, allowance: 0 } };

    fn scaled(&self, bound: Quantity) -> Quantity {
        Quantity(bound.0.saturating_mul(i64::from(self.scale.times)).saturating_add(self.scale.plus))
    }

    /// Where a tier ends; none for the last, and for tier 0 where there is no allowance.
    #[must_use]
    pub fn upper(&self, tier: usize) -> Option<Quantity> {
        match tier.checked_sub(1) {
            None => (self.scale.allowance > 0).then_some(Quantity(self.scale.allowance)),
            Some(place) => self.bounds.get(place).map(|bound| self.scaled(*bound)),
        }
    }

    /// The tier in which the next quantity goes up from a counter: a tier ends at its bound.
    #[must_use]
    pub fn up(&self, used: Quantity) -> usize {
        if self.upper(0).is_some_and(|end| used < end) {
            return 0;
        }
        1 + self.bounds.partition_point(|bound| self.scaled(*bound) <= used)
    }

    /// The tier in which the next quantity goes down: a quantity at the bound belongs to the tier below it.
    #[must_use]
    pub fn down(&self, used: Quantity) -> usize {
        if self.upper(0).is_some_and(|end| used <= end) {
            return 0;
        }
        1 + self.bounds.partition_point(|bound| self.scaled(*bound) < used)
    }

    /// The upper bounds from tier 1 on.
    pub fn bounds(&self) -> impl Iterator<Item = Quantity> + '_ {
        self.bounds.iter().map(|bound| self.scaled(*bound))
    }
}
