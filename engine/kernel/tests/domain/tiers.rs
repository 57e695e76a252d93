//! Cases 9 and 10, and the counters of months and years.

use std::sync::Arc;

use kernel::id::{AccountId, ContractId, TariffId};
use kernel::judge::Interval;
use kernel::money::{Amount, Quantity};
use kernel::point::PointState;
use kernel::rate::{Contract, Terms, TierCounter, Versions};
use kernel::tariff::{Band, Household, MonthDay, TariffVersion, TierPeriod};
use kernel::time::{HOUR, Moment};

use crate::support::driver::{Driver, run, run_from};
use crate::support::scene::{Scene, epoch, for_ever, terms, usage, version};
use crate::support::zone::{Zone, date};

const NEW_YEAR: TierPeriod = TierPeriod::Annual(MonthDay { month: 1, day: 1 });

/// 0.50 up to 2160 units, 0.55 beyond.
fn tariff(period: TierPeriod, bound: i64) -> Arc<TariffVersion> {
    let rows: &[&[(Band, &str)]] = &[&[(Band::Single, "0.50")], &[(Band::Single, "0.55")]];
    let begin = Zone::china().at("2020-01-01 00:00");
    version(1, begin, &[(0, 1_440, Band::Single)], Some((period, &[bound])), rows)
}

fn terms_of(period: TierPeriod, bound: i64) -> Terms {
    terms(Zone::china().days("2023-12-01", "2026-12-31"), vec![for_ever(vec![tariff(period, bound)])])
}

fn annual(used: i64) -> TierCounter {
    TierCounter { period: NEW_YEAR.key(date("2026-11-20")), used: Quantity(used) }
}

#[test]
fn cases_9_and_10_directly() {
    let terms = terms_of(NEW_YEAR, 2_160_000);
    let at = |time: &str| Zone::china().at(&format!("2026-11-{time}"));
    let plus = Interval { from: at("20 10:00"), to: at("20 11:00"), quantity: Quantity(30_000) };
    let minus = Interval { from: at("10 10:00"), to: at("10 11:00"), quantity: Quantity(-15_000) };
    // In event order; the correction is dated earlier.
    let table: [(&[Interval], &[(u16, i64)], &str, i64); 2] = [
        (&[plus], &[(1, 10_000), (2, 20_000)], "16.00", 2_180_000),
        (&[minus, plus], &[(1, -15_000), (1, 25_000), (2, 5_000)], "7.75", 2_165_000),
    ];
    for (intervals, expected, amount, used) in table {
        let (mut counter, mut parts) = (annual(2_150_000), Vec::new());
        for interval in intervals {
            terms.rate(interval, &mut None, &mut counter, |part| parts.push(*part)).unwrap();
        }
        let found: Vec<_> = parts.iter().map(|part| (part.tier, part.quantity.0)).collect();
        let sum: Amount = parts.iter().map(|part| part.amount).sum();
        assert_eq!((found.as_slice(), format!("{sum:.2}"), counter.used.0), (expected, amount.to_owned(), used));
    }
}

#[test]
fn cases_9_and_10_as_usage_rows_with_the_correction_late() {
    let scene = Scene { epochs: vec![epoch(1)], terms: terms_of(NEW_YEAR, 2_160_000), outages: Vec::new() };
    let from = PointState { counter: annual(2_150_000), ..PointState::default() };
    let at = |day: u32, hour: u32| Zone::china().at(&format!("2026-11-{day} {hour}:00"));
    let mut driver = Driver::starting(&scene, from);
    driver.arrive(&usage(1, at(20, 10), at(20, 11), 30_000));
    let before = driver.clone().finish(at(21, 0));
    driver.arrive(&usage(1, at(10, 10), at(10, 11), -15_000));
    assert_eq!(driver.rerated, 1);
    let after = driver.finish(at(21, 0));
    assert_eq!((before.amount(), after.amount()), ("16.00".to_owned(), "7.75".to_owned()));
    let sum = |outcome: &crate::support::driver::Outcome| outcome.parts.iter().map(|part| part.amount).sum::<Amount>();
    assert_eq!(format!("{:.2}", sum(&after) - sum(&before)), "-8.25");
}

#[test]
fn counters_start_again_at_local_midnight_of_their_period() {
    let july = TierPeriod::Annual(MonthDay { month: 7, day: 1 });
    let leap = TierPeriod::Annual(MonthDay { month: 2, day: 29 });
    // One unit before the midnight and one after; the counter at the end.
    for (name, period, midnight, used) in [
        ("month's end", TierPeriod::Monthly, "2026-12-01", 1_000),
        ("within the month", TierPeriod::Monthly, "2026-12-02", 2_000),
        ("new year", NEW_YEAR, "2026-01-01", 1_000),
        ("an annual counter at a month's end", NEW_YEAR, "2026-12-01", 2_000),
        ("first of July", july, "2026-07-01", 1_000),
        ("first of July, at new year", july, "2026-01-01", 2_000),
        ("leap day in a leap year", leap, "2024-02-29", 1_000),
        ("leap day in another year falls on 1 March", leap, "2026-03-01", 1_000),
        ("28 February is before it", leap, "2026-02-28", 2_000),
    ] {
        let scene = Scene { epochs: vec![epoch(1)], terms: terms_of(period, 2_160_000), outages: Vec::new() };
        let midnight = Zone::china().at(&format!("{midnight} 00:00"));
        let hour = |hours: i64| midnight.plus(hours * HOUR);
        let outcome = run(&scene, &[usage(1, hour(-1), hour(1), 2_000)]);
        assert_eq!(outcome.state.counter.used, Quantity(used), "{name}");
        let before: Vec<_> = outcome.parts.iter().map(|part| part.counter_before.0).collect();
        assert_eq!(before, [0, used - 1_000], "{name}");
    }
}

#[test]
fn an_annual_counter_outlives_a_vacancy() {
    let zone = Zone::china();
    let (out, back) = (zone.at("2026-05-01 00:00"), zone.at("2026-06-01 00:00"));
    let contract = |account, valid_from: Moment, valid_to| Contract {
        id: ContractId(account),
        account: AccountId(account),
        valid_from,
        valid_to,
        household: Household::default(),
        pooled: false,
        versions: Versions::of(TariffId(1), vec![tariff(NEW_YEAR, 10_000)]),
    };
    let contracts = vec![contract(1, zone.at("2026-01-01 00:00"), Some(out)), contract(2, back, None)];
    let scene = Scene {
        epochs: vec![epoch(1)],
        terms: terms(zone.days("2026-01-01", "2026-12-31"), contracts),
        outages: Vec::new(),
    };
    let hour = |moment: Moment, milli| usage(1, moment, moment.plus(HOUR), milli);
    let rows = [hour(out.plus(-HOUR), 9_000), hour(out.plus(HOUR), 500), hour(back, 1_000)];
    let outcome = run_from(&scene, PointState::default(), &rows);
    let found: Vec<_> =
        outcome.parts.iter().map(|part| (part.account.map(|id| id.0), part.tier, part.quantity.0)).collect();
    assert_eq!(found, [(Some(1), 1, 9_000), (None, 1, 500), (Some(2), 1, 500), (Some(2), 2, 500)]);
    assert_eq!(outcome.amount(), "5.025000000");
}

/// In a vacancy the counter goes on as under the last version that was in force, not under one that never came to be.
#[test]
fn a_version_that_would_begin_when_the_contract_ends_changes_no_counter() {
    let zone = Zone::china();
    let out = zone.at("2026-05-01 00:00");
    let never = TariffVersion { valid_from: out, ..(*tariff(TierPeriod::Monthly, 10_000)).clone() };
    let versions = vec![tariff(NEW_YEAR, 10_000), Arc::new(never)];
    let valid_from = zone.at("2026-01-01 00:00");
    let contract = Contract { valid_from, valid_to: Some(out), ..for_ever(versions) };
    let scene = Scene {
        epochs: vec![epoch(1)],
        terms: terms(zone.days("2026-01-01", "2026-12-31"), vec![contract]),
        outages: Vec::new(),
    };
    let hour = |moment: Moment, milli| usage(1, moment, moment.plus(HOUR), milli);
    let outcome = run(&scene, &[hour(out.plus(-HOUR), 9_000), hour(out.plus(HOUR), 500)]);
    assert_eq!(outcome.state.counter.used, Quantity(9_500));
}

/// Keys are stored with the counters: another one for the same period would start all counters again.
#[test]
fn the_keys_of_periods_stay_what_they_are() {
    let july = TierPeriod::Annual(MonthDay { month: 7, day: 1 });
    for (period, day, key) in [
        (TierPeriod::Monthly, "2026-11-20", 2026 * 12 + 10),
        (july, "2026-06-30", 2025),
        (july, "2026-07-01", 2026),
        (TierPeriod::Cycle(15), "2026-11-14", 100_000_000 + (2026 * 12 + 9) * 32 + 15),
        (TierPeriod::Cycle(15), "2026-11-15", 100_000_000 + (2026 * 12 + 10) * 32 + 15),
        (TierPeriod::Cycle(1), "2026-11-15", 100_000_000 + (2026 * 12 + 10) * 32 + 1),
    ] {
        assert_eq!(period.key(date(day)), key, "{period:?} on {day}");
    }
}
