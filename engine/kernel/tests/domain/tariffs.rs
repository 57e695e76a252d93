//! What a tariff must prove before anything is priced with it: the fault is named to the minute.

use kernel::calendar::{Calendar, DayType};
use kernel::id::TariffVersionId;
use kernel::money::Quantity;
use kernel::tariff::Band::{self, Flat, Peak, Sharp, Valley};
use kernel::tariff::{DayPlan, MonthDay, PlanFault, Reverse, Rule, TariffFault, TariffVersion, TierPeriod, Tiers};
use kernel::time::Moment;

use crate::support::scene::{all_year, prices};
use crate::support::zone::date;

#[test]
fn a_day_plan_covers_each_minute_exactly_once_or_names_the_first_that_it_does_not() {
    let table: [(&str, &[(u16, u16, Band)], Result<usize, PlanFault>); 12] = [
        ("whole day", &[(0, 1_440, Flat)], Ok(1)),
        ("wrap over midnight", &[(1_380, 420, Valley), (420, 1_380, Peak)], Ok(3)),
        ("wrap that ends at midnight", &[(1_320, 0, Valley), (0, 1_320, Peak)], Ok(2)),
        ("neighbours of one band are one stretch", &[(0, 600, Flat), (600, 1_440, Flat)], Ok(1)),
        ("nothing", &[], Err(PlanFault::Gap(0))),
        ("gap of half an hour", &[(0, 450, Flat), (480, 1_440, Peak)], Err(PlanFault::Gap(450))),
        ("last minute missing", &[(0, 1_439, Flat)], Err(PlanFault::Gap(1_439))),
        ("overlap", &[(0, 481, Flat), (480, 1_440, Peak)], Err(PlanFault::Overlap(480))),
        ("overlap over midnight", &[(0, 1_440, Flat), (1_439, 1, Peak)], Err(PlanFault::Overlap(1_439))),
        ("empty range", &[(600, 600, Flat)], Err(PlanFault::Range(600, 600))),
        ("begins after the day", &[(1_440, 1, Flat)], Err(PlanFault::Range(1_440, 1))),
        ("ends after the day", &[(0, 1_441, Flat)], Err(PlanFault::Range(0, 1_441))),
    ];
    for (name, ranges, expected) in table {
        assert_eq!(DayPlan::from_ranges(ranges).map(|plan| plan.switches().len()), expected, "{name}");
    }
}

fn sound() -> TariffVersion {
    TariffVersion {
        id: TariffVersionId(1),
        valid_from: Moment(0),
        rules: vec![all_year(&[(0, 600, Flat), (600, 1_440, Peak)])],
        tiers: None,
        prices: vec![prices(&[(Flat, "0.6"), (Peak, "1")])],
        dynamic: None,
        components: Vec::new(),
        reverse: Reverse::Ignore,
        source: String::new(),
    }
}

#[test]
fn a_version_that_cannot_price_every_moment_is_refused_with_the_first_fault() {
    let on = |month, day| MonthDay { month, day };
    let season = |from, to, day_types: &[DayType]| Rule {
        from,
        to,
        day_types: day_types.to_vec(),
        named: Vec::new(),
        plan: DayPlan::single(Flat),
    };
    let tiers =
        |bounds: &[i64]| Some(Tiers::plain(TierPeriod::Monthly, bounds.iter().copied().map(Quantity).collect()));
    let row = || prices(&[(Flat, "0.6"), (Peak, "1")]);
    use DayType::{Holiday, Weekend, Workday};
    let table: [(&str, TariffVersion, Result<(), TariffFault>); 9] = [
        ("sound", sound(), Ok(())),
        (
            "two seasons over new year",
            TariffVersion {
                rules: vec![season(on(11, 1), on(2, 29), &DayType::ALL), season(on(3, 1), on(10, 31), &DayType::ALL)],
                ..sound()
            },
            Ok(()),
        ),
        (
            "no leap day",
            TariffVersion {
                rules: vec![season(on(3, 1), on(12, 31), &DayType::ALL), season(on(1, 1), on(2, 28), &DayType::ALL)],
                ..sound()
            },
            Err(TariffFault::NoRule(on(2, 29), Workday)),
        ),
        (
            "no holidays in July",
            TariffVersion {
                rules: vec![season(on(1, 1), on(12, 31), &[Workday, Weekend]), season(on(8, 1), on(6, 30), &[Holiday])],
                ..sound()
            },
            Err(TariffFault::NoRule(on(7, 1), Holiday)),
        ),
        (
            "a band without a price",
            TariffVersion { prices: vec![prices(&[(Flat, "0.6"), (Sharp, "1"), (Valley, "1")])], ..sound() },
            Err(TariffFault::NoPrice(Peak, 1)),
        ),
        (
            "a band without a price in the second tier",
            TariffVersion { tiers: tiers(&[100]), prices: vec![row(), prices(&[(Peak, "1")])], ..sound() },
            Err(TariffFault::NoPrice(Flat, 2)),
        ),
        (
            "bounds that do not ascend",
            TariffVersion { tiers: tiers(&[100, 100]), prices: vec![row(); 3], ..sound() },
            Err(TariffFault::Bounds),
        ),
        (
            "a bound of nothing",
            TariffVersion { tiers: tiers(&[0]), prices: vec![row(); 2], ..sound() },
            Err(TariffFault::Bounds),
        ),
        (
            "a price row too few",
            TariffVersion { tiers: tiers(&[100]), ..sound() },
            Err(TariffFault::TierCount { tiers: 2, prices: 1 }),
        ),
    ];
    for (name, version, expected) in table {
        assert_eq!(version.check(), expected, "{name}");
    }
}

#[test]
fn make_up_workdays_and_holidays_override_the_weekday() {
    let exceptions = [("2026-10-10", DayType::Workday), ("2026-10-01", DayType::Holiday)];
    let exceptions = exceptions.into_iter().map(|(on, day_type)| (date(on), day_type)).collect();
    let calendar = Calendar { name: "cn".to_owned(), exceptions, ..Calendar::default() };
    for (on, expected) in [
        ("2026-10-01", DayType::Holiday),
        ("2026-10-10", DayType::Workday),
        ("2026-10-11", DayType::Weekend),
        ("2026-10-12", DayType::Workday),
    ] {
        assert_eq!(calendar.day_type(date(on)), expected, "{on}");
    }
}

/// They stand in tables, in files and in SQL.
#[test]
fn bands_go_by_the_names_of_the_field() {
    let names = ["single", "sharp", "peak", "flat", "valley", "deep_valley", "dynamic", "unpriced"];
    assert_eq!(Band::ALL.map(Band::name), names);
    assert_eq!(names.map(Band::parse), Band::ALL.map(Some));
    assert_eq!(Band::parse("Peak"), None);
}

/// Reverse flow that is ignored is not written down: versions from before it was known read alike.
#[test]
fn what_becomes_of_reverse_flow_is_stored_where_it_is_credited() {
    for (reverse, name, stored) in [(Reverse::Ignore, "ignore", false), (Reverse::Credit, "credit", true)] {
        assert_eq!((reverse.name(), Reverse::parse(name)), (name, Some(reverse)));
        let version = TariffVersion { reverse, ..sound() };
        let text = serde_json::to_string(&version).unwrap();
        assert_eq!(text.contains("reverse"), stored, "{text}");
        assert_eq!(serde_json::from_str::<TariffVersion>(&text).unwrap(), version);
    }
    assert_eq!(Reverse::parse("Credit"), None);
}

#[test]
fn holidays_matter_where_some_day_of_the_year_has_other_bands_then() {
    let on = |month, day| MonthDay { month, day };
    let rule = |from, to, day_types: &[DayType], band, named: &[&str]| Rule {
        from,
        to,
        day_types: day_types.to_vec(),
        named: named.iter().map(|name| (*name).to_owned()).collect(),
        plan: DayPlan::single(band),
    };
    let whole = |day_types: &[DayType], band| rule(on(1, 1), on(12, 31), day_types, band, &[]);
    use DayType::{Holiday, Weekend, Workday};
    let leap = rule(on(2, 29), on(2, 29), &[Holiday], Peak, &[]);
    let new_year = rule(on(1, 1), on(12, 31), &[], Peak, &["new year"]);
    for (what, rules, expected) in [
        ("one plan", vec![whole(&DayType::ALL, Flat)], false),
        ("two alike", vec![whole(&[Workday], Flat), whole(&[Weekend, Holiday], Flat)], false),
        ("by holidays", vec![whole(&[Workday, Weekend], Flat), whole(&[Holiday], Peak)], true),
        ("by weekends", vec![whole(&[Workday, Holiday], Flat), whole(&[Weekend], Peak)], true),
        ("on a leap day", vec![leap, whole(&DayType::ALL, Flat)], true),
        ("by a name", vec![new_year, whole(&DayType::ALL, Flat)], true),
    ] {
        let version = TariffVersion { rules, ..sound() };
        assert_eq!(version.distinguishes_holidays(), expected, "{what}");
    }
}
