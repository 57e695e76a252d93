//! Days of a month that a contract owes, and prices of a month spread over them.

use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::money::Amount;
use crate::rate::{Contract, OutsideDays, Terms};
use crate::tariff::TariffVersion;
use crate::time::{LocalDate, LocalMonth, Moment};

/// Consecutive days within one month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayRun {
    /// The first; where there are none, a day that they would be of: of a version that owes none, the one in which it began to
    /// hold.
    pub first: LocalDate,
    /// How many.
    pub count: u8,
}

impl DayRun {
    /// All days of a month.
    #[must_use]
    pub fn whole(month: LocalMonth) -> DayRun {
        DayRun { first: month.first_day(), count: days_of(month) }
    }

    /// Whether all of them are days of the month.
    #[must_use]
    pub fn is_within(self, month: LocalMonth) -> bool {
        let last = self.first.plus(i32::from(self.count.max(1)) - 1);
        self.first.month() == month && last.month() == month
    }
}

/// How many days a month has.
#[must_use]
pub fn days_of(month: LocalMonth) -> u8 {
    let next = LocalMonth(month.0.saturating_add(1)).first_day();
    u8::try_from(next.0.saturating_sub(month.first_day().0)).unwrap_or(31)
}

/// What these days owe of a month's `whole`. Each day's share is cut toward zero to 1e-9; the month's last day absorbs
/// the remainder, so that any division of a month's days adds up to the whole.
#[must_use]
pub fn spread(whole: Amount, month: LocalMonth, days: DayRun) -> Amount {
    let of = i128::from(days_of(month));
    let each = whole.0 / of;
    let next = LocalMonth(month.0.saturating_add(1)).first_day();
    let reaches_the_end = days.count > 0 && days.first.plus(i32::from(days.count)) == next;
    let remainder = if reaches_the_end { whole.0 - each * of } else { 0 };
    Amount(each * i128::from(days.count) + remainder)
}

/// The versions of a contract that are in force in a month, in order, each with the days that it owes. A version of a
/// few hours owes no day, but may have charged energy.
///
/// # Errors
/// [`OutsideDays`] where the site's table of days does not hold the month.
pub fn versions(
    terms: &Terms,
    contract: &Contract,
    month: LocalMonth,
) -> Result<Vec<(Arc<TariffVersion>, DayRun)>, OutsideDays> {
    let on = |date: LocalDate| terms.days.on(date).ok_or(OutsideDays(Moment(i64::MAX)));
    let run = DayRun::whole(month);
    let last = on(run.first.plus(i32::from(run.count) - 1))?;
    let begin = contract.valid_from.max(on(run.first)?.start);
    let end = contract.valid_to.map_or(last.end, |to| to.min(last.end));
    let mut found = Vec::new();
    for (index, version) in contract.versions.iter().enumerate() {
        let next = contract.versions.get(index + 1).map_or(end, |next| next.valid_from);
        let (from, to) = (version.valid_from.max(begin), next.min(end));
        if from >= to {
            continue;
        }
        let begun = terms.days.at(from).map_or(run.first, |day| day.date);
        let mut days = DayRun { first: begun, count: 0 };
        for offset in (0..i32::from(run.count)).rev() {
            let day = on(run.first.plus(offset))?;
            if from <= day.start && day.start < to {
                days = DayRun { first: day.date, count: days.count + 1 };
            }
        }
        found.push((version.clone(), days));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn month(text: &str) -> LocalMonth {
        LocalMonth::parse(text).unwrap()
    }

    fn run(month: LocalMonth, first: i32, count: u8) -> DayRun {
        DayRun { first: month.first_day().plus(first - 1), count }
    }

    #[test]
    fn months_have_the_days_of_the_calendar() {
        for (text, days) in [
            ("2026-01", 31),
            ("2026-02", 28),
            ("2024-02", 29),
            ("1900-02", 28),
            ("2000-02", 29),
            ("2026-12", 31),
            ("2026-11", 30),
        ] {
            assert_eq!(days_of(month(text)), days, "{text}");
        }
    }

    #[test]
    fn the_last_day_of_the_month_absorbs_the_remainder() {
        let november = month("2026-11");
        // 10 over 31 days of 0.322580645, and 5 nanos left.
        let january = month("2026-01");
        for (name, whole, of, days, expected) in [
            ("whole month", 10_000_000_000, january, run(january, 1, 31), 10_000_000_000),
            ("one day", 10_000_000_000, january, run(january, 1, 1), 322_580_645),
            ("the last day", 10_000_000_000, january, run(january, 31, 1), 322_580_650),
            ("all but the last", 10_000_000_000, january, run(january, 1, 30), 9_677_419_350),
            ("no day", 10_000_000_000, january, run(january, 31, 0), 0),
            ("without a remainder", 30_000_000_000, november, run(november, 30, 1), 1_000_000_000),
            ("below zero", -10_000_000_000, january, run(january, 1, 1), -322_580_645),
            ("below zero, the last day", -10_000_000_000, january, run(january, 31, 1), -322_580_650),
            ("less than a nano a day", 7, january, run(january, 1, 30), 0),
        ] {
            assert_eq!(spread(Amount(whole), of, days), Amount(expected), "{name}");
        }
    }

    #[test]
    fn any_division_of_the_days_adds_up_to_the_whole() {
        for text in ["2026-01", "2026-02", "2024-02", "2026-11"] {
            let (month, whole) = (month(text), Amount(9_999_999_999));
            let days = days_of(month);
            for at in 0..=days {
                let parts = [run(month, 1, at), run(month, i32::from(at) + 1, days - at)];
                assert_eq!(
                    parts.map(|days| spread(whole, month, days)).into_iter().sum::<Amount>(),
                    whole,
                    "{text} {at}"
                );
            }
        }
    }

    #[test]
    fn a_run_is_within_its_month_or_not() {
        let month = month("2026-02");
        assert!(DayRun::whole(month).is_within(month));
        assert!(run(month, 28, 0).is_within(month) && run(month, 28, 1).is_within(month));
        assert!(
            !run(month, 28, 2).is_within(month)
                && !run(month, 0, 2).is_within(month)
                && !run(month, 29, 0).is_within(month)
        );
    }
}
