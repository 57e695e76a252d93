//! Tiers whose bounds change: by season, by the persons behind a service point, behind a free allowance, by billing cycle.

use std::sync::Arc;

use kernel::id::{AccountId, ContractId, TariffId, TariffVersionId};
use kernel::judge::Interval;
use kernel::money::{Amount, Quantity};
use kernel::rate::{Contract, Part, Terms, TierCounter, Versions};
use kernel::tariff::Reverse;
use kernel::tariff::{
    Band, Household, MonthDay, PersonRule, TariffFault, TariffVersion, TierPeriod, TierSeason, Tiers,
};
use kernel::time::{HOUR, Moment};

use crate::support::scene::{all_year, for_ever, prices, terms};
use crate::support::zone::{Zone, date};

fn kwh(list: &[i64]) -> Vec<Quantity> {
    list.iter().map(|kwh| Quantity(kwh * 1_000)).collect()
}

/// Guangdong: 200 / 400 kWh a month, May to October 260 / 600; 100 kWh more from five persons on.
fn guangdong() -> Tiers {
    let (from, to) = (MonthDay { month: 5, day: 1 }, MonthDay { month: 10, day: 31 });
    Tiers {
        seasons: vec![TierSeason { from, to, bounds: kwh(&[260, 600]) }],
        persons: Some(PersonRule::From { persons: 5, adder: Quantity(100_000) }),
        ..Tiers::plain(TierPeriod::Monthly, kwh(&[200, 400]))
    }
}

fn version(tiers: Tiers) -> Arc<TariffVersion> {
    let steps = ["0.60", "0.65", "0.90", "1.20"];
    let version = TariffVersion {
        id: TariffVersionId(1),
        valid_from: Moment(0),
        rules: vec![all_year(&[(0, 1_440, Band::Single)])],
        prices: steps.iter().take(tiers.bounds.len() + 1).map(|price| prices(&[(Band::Single, price)])).collect(),
        tiers: Some(tiers),
        dynamic: None,
        components: Vec::new(),
        reverse: Reverse::Ignore,
        source: String::new(),
    };
    assert_eq!(version.check(), Ok(()));
    Arc::new(version)
}

fn household(persons: u16, households: u16) -> Household {
    Household { persons, households }
}

fn of(tiers: Tiers, household: Household) -> Terms {
    let contract = Contract { household, ..for_ever(vec![version(tiers)]) };
    terms(Zone::china().days("2025-12-01", "2027-01-31"), vec![contract])
}

/// Tier and kWh of an hour in which so much is used, one part after the other.
fn rated(terms: &Terms, counter: &mut TierCounter, at: Moment, kwh: i64) -> Vec<(u16, i64)> {
    let interval = Interval { from: at, to: at.plus(HOUR), quantity: Quantity(kwh * 1_000) };
    let mut parts: Vec<Part> = Vec::new();
    terms.rate(&interval, &mut None, counter, |part| parts.push(*part)).unwrap();
    for part in &parts {
        assert_eq!(part.amount, part.quantity * part.price);
        assert!(part.tier > 0 || part.amount == Amount::ZERO, "an allowance costs nothing");
    }
    parts.iter().map(|part| (part.tier, part.quantity.0 / 1_000)).collect()
}

#[test]
fn bounds_are_those_of_the_date_and_of_the_household() {
    let persons = |rule| Tiers { persons: Some(rule), ..Tiers::plain(TierPeriod::Monthly, kwh(&[200, 400])) };
    let each = || persons(PersonRule::EachAbove { persons: 4, adder: Quantity(30_000) });
    let by_household = || Tiers { by_household: true, ..guangdong() };
    let free = || Tiers { allowance: Quantity(15_000), ..Tiers::plain(TierPeriod::Monthly, kwh(&[200, 400])) };
    let free_each = || Tiers { by_household: true, ..free() };
    let table: [(&str, Tiers, Household, &str, &[(u16, i64)]); 15] = [
        ("winter", guangdong(), household(0, 1), "2026-04-30", &[(1, 200), (2, 200), (3, 600)]),
        ("summer begins", guangdong(), household(4, 1), "2026-05-01", &[(1, 260), (2, 340), (3, 400)]),
        ("summer ends", guangdong(), household(4, 1), "2026-10-31", &[(1, 260), (2, 340), (3, 400)]),
        ("winter begins", guangdong(), household(4, 1), "2026-11-01", &[(1, 200), (2, 200), (3, 600)]),
        ("five persons in winter", guangdong(), household(5, 1), "2026-04-30", &[(1, 300), (2, 200), (3, 500)]),
        ("seven in summer", guangdong(), household(7, 1), "2026-05-01", &[(1, 360), (2, 340), (3, 300)]),
        ("four of four", each(), household(4, 1), "2026-05-01", &[(1, 200), (2, 200), (3, 600)]),
        ("six of four", each(), household(6, 1), "2026-05-01", &[(1, 260), (2, 200), (3, 540)]),
        ("two households", by_household(), household(0, 2), "2026-01-01", &[(1, 400), (2, 400), (3, 200)]),
        ("and ten persons", by_household(), household(10, 2), "2026-01-01", &[(1, 500), (2, 400), (3, 100)]),
        ("no household said", by_household(), household(0, 0), "2026-01-01", &[(1, 200), (2, 200), (3, 600)]),
        ("households that do not count", guangdong(), household(0, 9), "2026-01-01", &[(1, 200), (2, 200), (3, 600)]),
        ("an allowance", free(), household(0, 1), "2026-01-01", &[(0, 15), (1, 200), (2, 200), (3, 585)]),
        (
            "one for each household",
            free_each(),
            household(0, 2),
            "2026-01-01",
            &[(0, 30), (1, 400), (2, 400), (3, 170)],
        ),
        (
            "an allowance and nothing else",
            Tiers { allowance: Quantity(15_000), ..Tiers::plain(TierPeriod::Monthly, Vec::new()) },
            household(0, 1),
            "2026-01-01",
            &[(0, 15), (1, 985)],
        ),
    ];
    for (name, tiers, who, on, expected) in table {
        let at = Zone::china().at(&format!("{on} 12:00"));
        let terms = of(tiers, who);
        let mut counter = TierCounter::default();
        assert_eq!(rated(&terms, &mut counter, at, 1_000), expected, "{name}");
        assert_eq!(counter.used, Quantity(1_000_000), "{name}");
        // Down again, the same parts the other way round.
        let back: Vec<(u16, i64)> = expected.iter().rev().map(|(tier, kwh)| (*tier, -kwh)).collect();
        assert_eq!(rated(&terms, &mut counter, at, -1_000), back, "{name}, down");
    }
}

/// 240 kWh on 30 April are in the second tier of winter; a kWh of 1 May begins a new month. But with tiers of the year,
/// 240 kWh of April count on, and what flows in May is judged by the bounds of May.
#[test]
fn a_season_may_change_in_the_middle_of_a_period() {
    let zone = Zone::china();
    let annual = Tiers { period: TierPeriod::Annual(MonthDay { month: 1, day: 1 }), ..guangdong() };
    for (name, tiers, expected) in [("monthly", guangdong(), &[(1, 30)][..]), ("annual", annual, &[(1, 20), (2, 10)])] {
        let terms = of(tiers, household(0, 1));
        let mut counter = TierCounter::default();
        assert_eq!(rated(&terms, &mut counter, zone.at("2026-04-30 23:00"), 240), [(1, 200), (2, 40)], "{name}");
        assert_eq!(rated(&terms, &mut counter, zone.at("2026-05-01 00:00"), 30), expected, "{name}");
    }
    // One interval over the edge of the season: an hour before midnight, an hour after it.
    let terms = of(Tiers { period: TierPeriod::Annual(MonthDay { month: 1, day: 1 }), ..guangdong() }, household(0, 1));
    let interval =
        Interval { from: zone.at("2026-04-30 23:00"), to: zone.at("2026-05-01 01:00"), quantity: Quantity(500_000) };
    let mut found = Vec::new();
    let each = |part: &Part| found.push((part.date.to_string(), part.tier, part.quantity.0 / 1_000));
    terms.rate(&interval, &mut None, &mut TierCounter::default(), each).unwrap();
    let expected = [("2026-04-30", 1, 200), ("2026-04-30", 2, 50), ("2026-05-01", 1, 10), ("2026-05-01", 2, 240)];
    assert_eq!(found, expected.map(|(day, tier, kwh)| (day.to_owned(), tier, kwh)));
}

/// A child is born on the 15th: from then on the bounds are those of five persons, and the counter goes on.
#[test]
fn a_household_that_changes_in_the_middle_of_a_month_moves_the_bounds_and_keeps_the_counter() {
    let zone = Zone::china();
    let born = zone.at("2026-03-15 00:00");
    let contract = |household, valid_from, valid_to| Contract {
        id: ContractId(1),
        account: AccountId(1),
        valid_from,
        valid_to,
        household,
        pooled: false,
        versions: Versions::of(TariffId(1), vec![version(guangdong())]),
    };
    let contracts = vec![contract(household(4, 1), Moment(0), Some(born)), contract(household(5, 1), born, None)];
    let terms = terms(zone.days("2026-01-01", "2026-12-31"), contracts);
    let mut counter = TierCounter::default();
    assert_eq!(rated(&terms, &mut counter, born.plus(-HOUR), 250), [(1, 200), (2, 50)]);
    assert_eq!(rated(&terms, &mut counter, born, 100), [(1, 50), (2, 50)]);
    assert_eq!(counter.used, Quantity(350_000));
}

#[test]
fn a_billing_cycle_begins_on_its_day_and_never_shares_a_period_with_a_month() {
    let key = |day, on: &str| TierPeriod::Cycle(day).key(date(on));
    for (name, day, a, b, same) in [
        ("the day before", 15, "2026-03-14", "2026-02-15", true),
        ("the day itself", 15, "2026-03-14", "2026-03-15", false),
        ("over new year", 28, "2026-12-28", "2027-01-27", true),
        ("the first", 1, "2026-02-01", "2026-02-28", true),
        ("the last of February", 28, "2024-02-27", "2024-02-28", false),
        ("leap day", 28, "2024-02-28", "2024-02-29", true),
    ] {
        assert_eq!(key(day, a) == key(day, b), same, "{name}");
    }
    let keys = [
        key(15, "2026-03-20"),
        key(16, "2026-03-20"),
        TierPeriod::Monthly.key(date("2026-03-20")),
        TierPeriod::Annual(MonthDay { month: 1, day: 1 }).key(date("2026-03-20")),
    ];
    assert!((1..keys.len()).all(|place| !keys[..place].contains(&keys[place])), "{keys:?}");
}

#[test]
fn tiers_that_cannot_be_meant_are_refused() {
    let on = |month, day| MonthDay { month, day };
    let season = |bounds| TierSeason { from: on(5, 1), to: on(10, 31), bounds };
    let with = |seasons| Tiers { seasons, ..guangdong() };
    let table = [
        ("a season with a bound less", with(vec![season(kwh(&[260]))]), TariffFault::SeasonBounds(0)),
        (
            "a season that descends",
            with(vec![season(kwh(&[260, 600])), season(kwh(&[600, 260]))]),
            TariffFault::SeasonBounds(1),
        ),
        ("an allowance below zero", Tiers { allowance: Quantity(-1), ..guangdong() }, TariffFault::Bounds),
        (
            "persons that lower the bounds",
            Tiers { persons: Some(PersonRule::EachAbove { persons: 1, adder: Quantity(-1) }), ..guangdong() },
            TariffFault::Bounds,
        ),
        ("no such day", Tiers { period: TierPeriod::Cycle(29), ..guangdong() }, TariffFault::CycleDay(29)),
    ];
    for (name, tiers, fault) in table {
        let sound = version(guangdong());
        let version = TariffVersion { tiers: Some(tiers), ..(*sound).clone() };
        assert_eq!(version.check(), Err(fault), "{name}");
    }
}

/// A version as format 1 of the book stored it: six bands, tiers without seasons, rules without names.
#[test]
fn a_version_that_was_stored_before_is_still_read() {
    let old = r#"{"id":7,"valid_from":0,"rules":[{"from":{"month":1,"day":1},"to":{"month":12,"day":31},
        "day_types":["Workday","Weekend","Holiday"],"plan":{"switches":[{"minute":0,"band":"Single"}]}}],
        "tiers":{"period":"Monthly","bounds":[260000]},
        "prices":[[600000,null,null,null,null,null],[650000,null,null,null,null,null]],"source":"x"}"#;
    let version: TariffVersion = serde_json::from_str(old).unwrap();
    assert_eq!(version.check(), Ok(()));
    assert_eq!(version.tiers, Some(Tiers::plain(TierPeriod::Monthly, kwh(&[260]))));
    assert_eq!(version.prices[1], prices(&[(Band::Single, "0.65")]));
    let again: TariffVersion = serde_json::from_str(&serde_json::to_string(&version).unwrap()).unwrap();
    assert_eq!(again, version);
    let calendar: kernel::calendar::Calendar =
        serde_json::from_str(r#"{"name":"cn","exceptions":{"20727":"Holiday"}}"#).unwrap();
    assert_eq!(calendar.complete_until(), Some(date("2026-12-31")));
}
