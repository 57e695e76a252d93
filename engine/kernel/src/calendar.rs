//! Day types: workday, weekend, holiday; make-up workdays and named dates override the weekday.

use alloc::collections::BTreeMap;
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
}
