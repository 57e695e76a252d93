//! Day types: workday, weekend, holiday; make-up workdays override the weekday. Beside its type a date may have names,
//! such as `long-holiday`: a tariff that knows the name may treat it apart, any other sees the day type.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::time::LocalDate;

/// What kind of day a local date is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DayType {
    /// Monday to Friday, and make-up workdays.
    Workday,
    /// Saturday and Sunday.
    Weekend,
    /// A public holiday.
    Holiday,
}

impl DayType {
    /// All day types.
    pub const ALL: [DayType; 3] = [DayType::Workday, DayType::Weekend, DayType::Holiday];

    /// The name used in files and SQL.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            DayType::Workday => "workday",
            DayType::Weekend => "weekend",
            DayType::Holiday => "holiday",
        }
    }
}

/// The dates that are not what their weekday says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calendar {
    /// Its name.
    pub name: String,
    /// Holidays and make-up workdays.
    pub exceptions: BTreeMap<LocalDate, DayType>,
    /// Dates by the names that tariffs may ask for.
    #[serde(default)]
    pub named: BTreeMap<String, BTreeSet<LocalDate>>,
    /// Up to here, inclusive, the calendar knows every holiday; none where nobody said.
    #[serde(default)]
    pub until: Option<LocalDate>,
}

impl Calendar {
    /// The day type of a date.
    #[must_use]
    pub fn day_type(&self, date: LocalDate) -> DayType {
        match self.exceptions.get(&date) {
            Some(day_type) => *day_type,
            None if date.weekday() >= 5 => DayType::Weekend,
            None => DayType::Workday,
        }
    }

    /// Whether a date has this name.
    #[must_use]
    pub fn is_named(&self, name: &str, date: LocalDate) -> bool {
        self.named.get(name).is_some_and(|dates| dates.contains(&date))
    }

    /// The last date for which it knows the holidays: as it says itself, else the end of the year of its last date.
    /// None where it has no dates at all.
    #[must_use]
    pub fn complete_until(&self) -> Option<LocalDate> {
        let named = self.named.values().filter_map(BTreeSet::last);
        let last = self.exceptions.keys().next_back().into_iter().chain(named).max();
        self.until.or_else(|| LocalDate::new(last?.ymd().0, 12, 31))
    }
}
