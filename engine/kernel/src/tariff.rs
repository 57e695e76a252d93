//! Tariffs as versioned data: bands by season, day type and minute of day; tiers; one price for each band and tier.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::calendar::{Calendar, DayType};
use crate::component::check::ComponentFault;
use crate::component::{self, Component};
use crate::id::TariffVersionId;
use crate::money::{Price, Quantity};
use crate::series::{PriceSeries, STEPS_MAX};
pub use crate::tier::{Household, Ladder, PersonRule, Scale, TierPeriod, TierSeason, Tiers};
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
    /// Hours whose price is that of a series ([`PriceSeries`]), plus the band's own price.
    Dynamic,
    /// Hours beyond the end of the series: charged nothing until it is extended. Not a band of tariffs.
    Unpriced,
}

impl Band {
    /// All bands; a band's code is its place here. When this changes, `band` in the book's `usage_lines` and in the
    /// lake's charges change with it: append only.
    pub const ALL: [Band; 8] = [
        Band::Single,
        Band::Sharp,
        Band::Peak,
        Band::Flat,
        Band::Valley,
        Band::DeepValley,
        Band::Dynamic,
        Band::Unpriced,
    ];

    /// The bands that a tariff gives hours to.
    pub const OF_TARIFFS: [Band; 7] =
        [Band::Single, Band::Sharp, Band::Peak, Band::Flat, Band::Valley, Band::DeepValley, Band::Dynamic];

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
            Band::Dynamic => "dynamic",
            Band::Unpriced => "unpriced",
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

impl MonthDay {
    /// Whether it is in a season, both ends inclusive; one whose end is before its start runs over New Year.
    #[must_use]
    pub fn is_within(self, from: MonthDay, to: MonthDay) -> bool {
        if from <= to { from <= self && self <= to } else { self >= from || self <= to }
    }
}

/// In these dates of the year, on these day types, this plan holds. Both ends inclusive; a season whose end is before
/// its start runs over New Year.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// First day of the season.
    pub from: MonthDay,
    /// Last day of the season.
    pub to: MonthDay,
    /// The day types on which it holds ...
    pub day_types: Vec<DayType>,
    /// ... and the names of dates in the calendar on which it holds, whatever their day type is.
    #[serde(default)]
    pub named: Vec<String>,
    /// The bands of such a day.
    pub plan: DayPlan,
}

impl Rule {
    /// Whether the rule holds on all dates of that day type that are this day of the year.
    #[must_use]
    pub fn holds(&self, date: LocalDate, day_type: DayType) -> bool {
        self.in_season(date) && self.day_types.contains(&day_type)
    }

    fn in_season(&self, date: LocalDate) -> bool {
        let (_, month, day) = date.ymd();
        (MonthDay { month, day }).is_within(self.from, self.to)
    }
}

/// Prices by band, in the order of [`Band::ALL`]; `None` where the band is not used.
pub type PriceRow = [Option<Price>; Band::ALL.len()];

/// What becomes of what flows back through a signed register.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reverse {
    /// It is recorded, and neither billed nor counted by tiers.
    #[default]
    Ignore,
    /// It is credited at the price of its band, down the tiers that it came up.
    Credit,
}

impl Reverse {
    fn is_ignore(&self) -> bool {
        *self == Reverse::Ignore
    }

    /// Its name in site files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Reverse::Ignore => "ignore",
            Reverse::Credit => "credit",
        }
    }

    /// The one of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Reverse> {
        [Reverse::Ignore, Reverse::Credit].into_iter().find(|reverse| reverse.name() == name)
    }
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
    /// Price by tier (outer, one entry where there are no tiers) and band. Tier 0, the allowance, costs nothing.
    #[serde(deserialize_with = "rows_of_any_length")]
    pub prices: Vec<PriceRow>,
    /// The prices of the band [`Band::Dynamic`], to which `prices` adds its own.
    #[serde(default)]
    pub dynamic: Option<PriceSeries>,
    /// Charges beside energy, in the order in which they are worked out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<Component>,
    /// What becomes of what flows back.
    #[serde(default, skip_serializing_if = "Reverse::is_ignore")]
    pub reverse: Reverse,
    /// Where the prices come from, for people.
    pub source: String,
}

/// Rows that were stored before a band was added lack its place at their end.
fn rows_of_any_length<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<PriceRow>, D::Error> {
    let stored: Vec<Vec<Option<Price>>> = Vec::deserialize(deserializer)?;
    stored
        .into_iter()
        .map(|row| {
            let mut whole: PriceRow = [None; Band::ALL.len()];
            let places = whole.get_mut(..row.len());
            let places = places.ok_or_else(|| serde::de::Error::invalid_length(row.len(), &"a price for each band"))?;
            places.copy_from_slice(&row);
            Ok(whole)
        })
        .collect()
}

/// Why a version cannot price every moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TariffFault {
    /// No rule holds on days of this type on this date of the year.
    NoRule(MonthDay, DayType),
    /// A plan uses a band that has no price in this tier (counted from 1).
    NoPrice(Band, usize),
    /// Tier bounds do not ascend from above zero, or the allowance or what persons add is below zero.
    Bounds,
    /// This season of the tiers (its place from 0) has another number of bounds, or bounds that do not ascend.
    SeasonBounds(usize),
    /// A billing cycle begins on another day than 1 to 28.
    CycleDay(u8),
    /// Hours are in the band `dynamic`, but there is no series; or the other way round.
    Series,
    /// The series begins after the version does.
    SeriesStart,
    /// The steps of the series do not divide an hour, or there is none, or there are more than [`STEPS_MAX`].
    SeriesSteps,
    /// A plan uses the band `unpriced`.
    Unpriced,
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
        let tier_count = 1 + self.check_tiers()?;
        if self.prices.len() != tier_count {
            return Err(TariffFault::TierCount { tiers: tier_count, prices: self.prices.len() });
        }
        self.check_series()?;
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

    /// How many bounds there are.
    fn check_tiers(&self) -> Result<usize, TariffFault> {
        let Some(tiers) = &self.tiers else { return Ok(0) };
        let ascend = |bounds: &[Quantity]| {
            bounds.windows(2).all(|pair| pair[0] < pair[1]) && bounds.first().is_none_or(|bound| bound.0 > 0)
        };
        let added = tiers.persons.map_or(Quantity::ZERO, PersonRule::adder);
        if !ascend(&tiers.bounds) || tiers.allowance < Quantity::ZERO || added < Quantity::ZERO {
            return Err(TariffFault::Bounds);
        }
        if let TierPeriod::Cycle(day) = tiers.period
            && !(1..=28).contains(&day)
        {
            return Err(TariffFault::CycleDay(day));
        }
        let sound = |season: &TierSeason| season.bounds.len() == tiers.bounds.len() && ascend(&season.bounds);
        match tiers.seasons.iter().position(|season| !sound(season)) {
            Some(place) => Err(TariffFault::SeasonBounds(place)),
            None => Ok(tiers.bounds.len()),
        }
    }

    fn check_series(&self) -> Result<(), TariffFault> {
        let uses = |band| self.rules.iter().any(|rule| rule.plan.switches().iter().any(|switch| switch.band == band));
        if uses(Band::Unpriced) {
            return Err(TariffFault::Unpriced);
        }
        let Some(series) = self.dynamic.as_ref().filter(|_| uses(Band::Dynamic)) else {
            return if self.dynamic.is_some() || uses(Band::Dynamic) { Err(TariffFault::Series) } else { Ok(()) };
        };
        if !series.divides_an_hour() || series.prices.is_empty() || series.prices.len() > STEPS_MAX {
            return Err(TariffFault::SeriesSteps);
        }
        if series.start > self.valid_from { Err(TariffFault::SeriesStart) } else { Ok(()) }
    }

    /// The plan of a date; `None` only for a version that [`TariffVersion::check`] refuses.
    #[must_use]
    pub fn plan(&self, date: LocalDate, calendar: &Calendar) -> Option<&DayPlan> {
        let day_type = calendar.day_type(date);
        let named = |rule: &Rule| rule.named.iter().any(|name| calendar.is_named(name, date));
        let holds = |rule: &&Rule| rule.in_season(date) && (rule.day_types.contains(&day_type) || named(rule));
        self.rules.iter().find(holds).map(|rule| &rule.plan)
    }

    /// Whether it matters which dates are holidays: some day of the year has other bands as a holiday than as a workday.
    #[must_use]
    pub fn distinguishes_holidays(&self) -> bool {
        let first = LocalMonth(2024 * 12).first_day();
        let plan = |date, day_type| {
            let rule = self.rules.iter().find(|rule| rule.holds(date, day_type));
            rule.map(|rule| &rule.plan)
        };
        self.names_of_dates().next().is_some()
            || (0..366).map(|offset| first.plus(offset)).any(|date| {
                plan(date, DayType::Holiday) != plan(date, DayType::Workday)
                    || plan(date, DayType::Weekend) != plan(date, DayType::Workday)
            })
    }

    /// The names of dates that its rules ask the calendar for.
    pub fn names_of_dates(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().flat_map(|rule| rule.named.iter().map(String::as_str))
    }
}
