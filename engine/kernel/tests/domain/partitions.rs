//! Every instant of a version's validity has exactly one band, whatever the clocks of its zone do.

use std::sync::Arc;

use kernel::calendar::{Calendar, DayType};
use kernel::partition::{Partition, PartitionFault, prove};
use kernel::tariff::Band::{self, Flat, Peak, Valley};
use kernel::tariff::{DayPlan, MonthDay, Rule, TariffVersion};
use kernel::time::{HOUR, Moment, SiteDays};

use crate::support::scene::{all_year, prices, version};
use crate::support::zone::{Zone, date};

/// Bands over midnight and on half hours.
const RANGES: [(u16, u16, Band); 3] = [(1_350, 150, Valley), (150, 690, Flat), (690, 1_350, Peak)];

fn new_york() -> Zone {
    Zone::with(-300, &[("2024-03-10 07:00", -240), ("2024-11-03 06:00", -300)])
}

fn lord_howe() -> Zone {
    Zone::with(660, &[("2024-04-06 15:00", 630), ("2024-10-05 15:30", 660)])
}

fn tariff(from: Moment) -> Arc<TariffVersion> {
    version(1, from, &RANGES, None, &[&[(Flat, "0.6"), (Peak, "1"), (Valley, "0.3")]])
}

fn proven(
    days: &Arc<SiteDays>,
    version: &Arc<TariffVersion>,
    calendar: Calendar,
    to: Moment,
) -> Result<Partition, PartitionFault> {
    prove(version, days, &Arc::new(calendar), to)
}

#[test]
fn a_leap_year_of_every_zone_is_partitioned_to_the_microsecond() {
    let table = [
        ("Shanghai", Zone::china(), 366, 0, 0),
        ("Kathmandu", Zone::fixed(345), 366, 0, 0),
        ("New York", new_york(), 366, 1, 1),
        ("Lord Howe", lord_howe(), 366, 1, 1),
    ];
    for (name, zone, count, short, long) in table {
        let days = zone.days("2023-12-30", "2025-01-02");
        let (from, to) = (zone.at("2024-01-01 00:00"), zone.at("2025-01-01 00:00"));
        let found = proven(&days, &tariff(from), Calendar::default(), to).unwrap();
        assert_eq!((found.days, found.short_days, found.long_days), (count, short, long), "{name}");
        assert_eq!(found.by_band.iter().sum::<i64>(), 366 * 24 * HOUR, "{name}");
    }
}

/// The hours that the clocks skip and repeat are missing from and added to the band they are in.
#[test]
fn days_of_23_and_25_hours_have_their_hours_in_the_band_of_the_wall_clock() {
    let hours = |partition: &Partition, band: Band| partition.by_band[band as usize] * 2 / HOUR;
    // In half hours: valley 22:30 to 02:30, flat 02:30 to 11:30, peak 11:30 to 22:30.
    for (name, zone, on, expected) in [
        ("New York, spring: 02:00 to 03:00 is missing", new_york(), "2024-03-10", [7, 17, 22]),
        ("New York, autumn: 01:00 to 02:00 twice", new_york(), "2024-11-03", [10, 18, 22]),
        ("Berlin, spring: 02:00 to 03:00 is missing", Zone::berlin(), "2026-03-29", [7, 17, 22]),
        ("Berlin, autumn: 02:00 to 03:00 twice", Zone::berlin(), "2026-10-25", [9, 19, 22]),
        ("Lord Howe, spring: 02:00 to 02:30 is missing", lord_howe(), "2024-10-06", [7, 18, 22]),
        ("Lord Howe, autumn: 01:30 to 02:00 twice", lord_howe(), "2024-04-07", [9, 18, 22]),
        ("leap day", Zone::fixed(345), "2024-02-29", [8, 18, 22]),
        ("the last of the year", Zone::berlin(), "2026-12-31", [8, 18, 22]),
    ] {
        let days = zone.days(&date(on).plus(-1).to_string(), &date(on).plus(1).to_string());
        let day = *days.on(date(on)).unwrap();
        let found = proven(&days, &tariff(day.start), Calendar::default(), day.end).unwrap();
        assert_eq!([Valley, Flat, Peak].map(|band| hours(&found, band)), expected, "{name}");
    }
}

#[test]
fn a_version_from_seven_past_midnight_is_proven_from_there() {
    let zone = Zone::china();
    let days = zone.days("2026-11-19", "2026-11-22");
    let (from, to) = (zone.at("2026-11-20 00:07"), zone.at("2026-11-21 12:00"));
    let found = proven(&days, &tariff(from), Calendar::default(), to).unwrap();
    assert_eq!((found.days, found.by_band.iter().sum::<i64>()), (2, to.since(from)));
    // The table of days ends where 22 November does.
    let end = zone.at("2026-11-23 00:00");
    let beyond = proven(&days, &tariff(from), Calendar::default(), end.plus(HOUR));
    assert_eq!(beyond, Err(PartitionFault::OutsideDays(end)));
}

/// Seasons at their edges, day types, and dates that the calendar names.
#[test]
fn named_dates_come_before_day_types_where_their_rule_does() {
    let zone = Zone::china();
    let days = zone.days("2026-09-28", "2026-10-06");
    let (first, last) = (MonthDay { month: 1, day: 1 }, MonthDay { month: 12, day: 31 });
    let plain = tariff(zone.at("2026-10-01 00:00"));
    let rule = |named: &[&str], day_types: &[DayType], band| Rule {
        from: first,
        to: last,
        day_types: day_types.to_vec(),
        named: named.iter().map(|name| (*name).to_owned()).collect(),
        plan: DayPlan::single(band),
    };
    let version = Arc::new(TariffVersion {
        rules: vec![rule(&["long-holiday"], &[], Valley), rule(&[], &[DayType::Holiday], Peak), all_year(&RANGES)],
        ..(*plain).clone()
    });
    assert_eq!(version.check(), Ok(()));
    assert!(version.distinguishes_holidays() && !plain.distinguishes_holidays());
    assert_eq!(version.names_of_dates().collect::<Vec<_>>(), ["long-holiday"]);
    let holiday = |on: &str| (date(on), DayType::Holiday);
    let calendar = Calendar {
        exceptions: ["2026-10-01", "2026-10-02", "2026-10-03"].map(holiday).into_iter().collect(),
        named: [("long-holiday".to_owned(), [date("2026-10-01"), date("2026-10-02")].into_iter().collect())].into(),
        ..Calendar::default()
    };
    let found = proven(&days, &version, calendar.clone(), zone.at("2026-10-05 00:00")).unwrap();
    let hours = [Valley, Flat, Peak].map(|band| found.by_band[band as usize] / HOUR);
    assert_eq!(hours, [2 * 24 + 4, 9, 24 + 11]);
    // Without the names the same dates are holidays.
    let unnamed = Calendar { named: [].into(), ..calendar };
    let found = proven(&days, &version, unnamed, zone.at("2026-10-05 00:00")).unwrap();
    assert_eq!([Valley, Flat, Peak].map(|band| found.by_band[band as usize] / HOUR), [4, 9, 3 * 24 + 11]);
}

#[test]
fn short_and_long_days_are_told_apart() {
    for (from, to, short, long) in [("2026-03-28", "2026-03-31", 1, 0), ("2026-10-24", "2026-10-27", 0, 1)] {
        let zone = Zone::berlin();
        let days = zone.days(from, to);
        let (from, to) = (zone.at(&format!("{from} 00:00")), zone.at(&format!("{to} 00:00")));
        let found = proven(&days, &tariff(from), Calendar::default(), to).unwrap();
        assert_eq!((found.days, found.short_days, found.long_days), (3, short, long), "{from}");
    }
}

/// What `TariffVersion::check` refuses is not proven either: the walk names the instant.
#[test]
fn a_band_without_a_price_is_named_with_its_tier_where_it_first_holds() {
    let zone = Zone::china();
    let days = zone.days("2026-11-19", "2026-11-22");
    let (from, to) = (zone.at("2026-11-20 00:00"), zone.at("2026-11-21 00:00"));
    let whole = [(Flat, "0.6"), (Peak, "1"), (Valley, "0.3")];
    for (rows, tier) in [(vec![&whole[..1]], 1), (vec![&whole[..], &whole[..1]], 2)] {
        let prices = rows.iter().map(|row| prices(row)).collect();
        let version = Arc::new(TariffVersion { prices, ..(*tariff(from)).clone() });
        let found = proven(&days, &version, Calendar::default(), to);
        assert_eq!(found, Err(PartitionFault::NoPrice(from, Valley, tier)));
    }
}
