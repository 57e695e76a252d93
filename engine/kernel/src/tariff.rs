//! Tariffs as versioned data: bands by season, day type and minute of day; tiers; one price for each band and tier.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::calendar::DayType;
use crate::component::check::ComponentFault;
use crate::component::{self, Component};
use crate::id::TariffVersionId;
use crate::money::{Price, Quantity};
use crate::time::{LocalDate, LocalMonth, Moment};

/// Minutes in a day of wall time.
pub const MINUTES: u16 = 1_440;

/// A price band.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Band {
    /// One price for the whole day.
    Single,
    /// The dearest hours.
    Sharp,
    /// Dear hours.
    Peak,
    /// Ordinary hours.
    Flat,
    /// Cheap hours.
    Valley,
    /// The cheapest hours.
    DeepValley,
}

impl Band {
    /// All bands; a band's code is its place here. When this changes, `band` in the book's `usage_lines` and in the
    /// lake's charges change with it: append only.
    pub const ALL: [Band; 6] = [Band::Single, Band::Sharp, Band::Peak, Band::Flat, Band::Valley, Band::DeepValley];

    /// The name used in files and SQL.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Band::Single => "single",
            Band::Sharp => "sharp",
            Band::Peak => "peak",
            Band::Flat => "flat",
            Band::Valley => "valley",
            Band::DeepValley => "deep_valley",
        }
    }

    /// The band of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Band> {
        Band::ALL.into_iter().find(|band| band.name() == name)
    }
}

/// From this minute of the local day on, this band, until the next switch or midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    /// Minute of the day, 0 to 1439.
    pub minute: u16,
    /// The band that begins.
    pub band: Band,
}

/// The bands of one kind of day; the first switch is at minute 0, minutes ascend, neighbours differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayPlan {
    switches: Vec<Switch>,
}

/// Why ranges do not make a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanFault {
    /// No range covers this minute of the day.
    Gap(u16),
    /// Two ranges cover this minute of the day.
    Overlap(u16),
    /// A range starts or ends outside 0 to 1440, or is empty.
    Range(u16, u16),
}

impl DayPlan {
    /// A day in one band.
    #[must_use]
    pub fn single(band: Band) -> DayPlan {
        DayPlan { switches: alloc::vec![Switch { minute: 0, band }] }
    }

    /// The plan of ranges `(from, to, band)` in minutes of the day, `to` exclusive; a range whose `to` is not after
    /// its `from` wraps over midnight. The ranges must cover each minute exactly once.
    ///
    /// # Errors
    /// [`PlanFault`] names the first minute that is not covered exactly once.
    pub fn from_ranges(ranges: &[(u16, u16, Band)]) -> Result<DayPlan, PlanFault> {
        let mut minutes = [None; MINUTES as usize];
        for &(from, to, band) in ranges {
            if from >= MINUTES || to > MINUTES || from == to {
                return Err(PlanFault::Range(from, to));
            }
            let length = if to > from { to - from } else { MINUTES - from + to };
            for step in 0..length {
                let minute = (from + step) % MINUTES;
                let slot = &mut minutes[usize::from(minute)];
                if slot.replace(band).is_some() {
                    return Err(PlanFault::Overlap(minute));
                }
            }
        }
        let mut switches: Vec<Switch> = Vec::new();
        for (minute, band) in (0_u16..).zip(minutes) {
            let band = band.ok_or(PlanFault::Gap(minute))?;
            if switches.last().is_none_or(|last| last.band != band) {
                switches.push(Switch { minute, band });
            }
        }
        Ok(DayPlan { switches })
    }

    /// The switches, the first at minute 0.
    #[must_use]
    pub fn switches(&self) -> &[Switch] {
        &self.switches
    }

    /// The band at a minute of the day, and the minute at which the next begins (1440 when none does).
    #[must_use]
    pub fn at(&self, minute: u16) -> (Band, u16) {
        let next = self.switches.partition_point(|switch| switch.minute <= minute);
        // The first switch is at minute 0, so that `next` is at least 1.
        let band = self.switches[next.saturating_sub(1)].band;
        (band, self.switches.get(next).map_or(MINUTES, |switch| switch.minute))
    }

    /// The minute at which the band of this minute began.
    #[must_use]
    pub fn began(&self, minute: u16) -> u16 {
        let next = self.switches.partition_point(|switch| switch.minute <= minute);
        self.switches[next.saturating_sub(1)].minute
    }
}

/// A day of the year, without its year.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MonthDay {
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
}

/// In these dates of the year, on these day types, this plan holds. Both ends inclusive; a season whose end is before
/// its start runs over New Year.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// First day of the season.
    pub from: MonthDay,
    /// Last day of the season.
    pub to: MonthDay,
    /// The day types on which it holds.
    pub day_types: Vec<DayType>,
    /// The bands of such a day.
    pub plan: DayPlan,
}

impl Rule {
    /// Whether the rule holds on a date of that day type.
    #[must_use]
    pub fn holds(&self, date: LocalDate, day_type: DayType) -> bool {
        let (_, month, day) = date.ymd();
        let on = MonthDay { month, day };
        let in_season =
            if self.from <= self.to { self.from <= on && on <= self.to } else { on >= self.from || on <= self.to };
        in_season && self.day_types.contains(&day_type)
    }
}

/// When a tier counter starts again from zero (at local midnight).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TierPeriod {
    /// On the first of each month.
    Monthly,
    /// On this day of each year.
    Annual(MonthDay),
}

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
        }
    }
}

/// Thresholds on the quantity used within a period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tiers {
    /// When the counter starts again.
    pub period: TierPeriod,
    /// Upper bounds of all tiers but the last, ascending.
    pub bounds: Vec<Quantity>,
}

/// One version of a tariff.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TariffVersion {
    /// Its identifier in the book.
    pub id: TariffVersionId,
    /// In force from here until the next version.
    pub valid_from: Moment,
    /// Bands by season and day type; the first rule that holds decides, and one must hold on every date.
    pub rules: Vec<Rule>,
    /// Tiers, where the tariff has them.
    pub tiers: Option<Tiers>,
    /// Price by tier (outer, one entry where there are no tiers) and band ([`Band::ALL`] order; `None` where the band
    /// is not used).
    pub prices: Vec<[Option<Price>; Band::ALL.len()]>,
    /// Charges beside energy, in the order in which they are worked out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<Component>,
    /// Where the prices come from, for people.
    pub source: String,
}

/// Why a version cannot price every moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TariffFault {
    /// No rule holds on days of this type on this date of the year.
    NoRule(MonthDay, DayType),
    /// A plan uses a band that has no price in this tier (counted from 1).
    NoPrice(Band, usize),
    /// Tier bounds do not ascend from above zero.
    Bounds,
    /// The number of price rows is not the number of tiers.
    TierCount {
        /// Tiers by the bounds.
        tiers: usize,
        /// Rows of prices.
        prices: usize,
    },
    /// Charges beside energy that cannot be worked out.
    Component(ComponentFault),
}

impl TariffVersion {
    /// Proves that every minute of every day type of every date has exactly one band, and each band a price in every
    /// tier. (A [`DayPlan`] covers its day by construction.)
    ///
    /// # Errors
    /// The first [`TariffFault`].
    pub fn check(&self) -> Result<(), TariffFault> {
        let bounds = self.tiers.as_ref().map_or(&[][..], |tiers| &tiers.bounds);
        let ascending = bounds.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascending || bounds.first().is_some_and(|bound| bound.0 <= 0) {
            return Err(TariffFault::Bounds);
        }
        if self.prices.len() != bounds.len() + 1 {
            return Err(TariffFault::TierCount { tiers: bounds.len() + 1, prices: self.prices.len() });
        }
        component::check::components(&self.components).map_err(TariffFault::Component)?;
        // A leap year has every date.
        let first = LocalMonth(2024 * 12).first_day();
        for offset in 0..366 {
            let date = first.plus(offset);
            let (_, month, day) = date.ymd();
            for day_type in DayType::ALL {
                let rule = self.rules.iter().find(|rule| rule.holds(date, day_type));
                let rule = rule.ok_or(TariffFault::NoRule(MonthDay { month, day }, day_type))?;
                for switch in rule.plan.switches() {
                    for (tier, row) in self.prices.iter().enumerate() {
                        if row[switch.band as usize].is_none() {
                            return Err(TariffFault::NoPrice(switch.band, tier + 1));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// The plan of a date; `None` only for a version that [`TariffVersion::check`] refuses.
    #[must_use]
    pub fn plan(&self, date: LocalDate, day_type: DayType) -> Option<&DayPlan> {
        self.rules.iter().find(|rule| rule.holds(date, day_type)).map(|rule| &rule.plan)
    }
}
