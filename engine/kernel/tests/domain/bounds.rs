//! No arithmetic of the kernel overflows within its stated bounds, and beyond them none wraps.

use std::collections::BTreeMap;
use std::panic::catch_unwind;

use kernel::component::bill::bill;
use kernel::component::demand::{Load, Maxima, Method, Peak, Window};
use kernel::component::derived::Derived;
use kernel::component::facts::{Facts, Segment};
use kernel::component::line::{added, counts};
use kernel::component::month::{DayRun, days_of, spread};
use kernel::component::power_factor::{PowerFactor, PowerFactorStep, factor_milli};
use kernel::component::share::Rate;
use kernel::component::{Charge, Component, DemandPrices, ENERGY, Excess, Taxation};
use kernel::conversion::{CALORIFIC_END, CORRECTION_END, Conversion, Factor};
use kernel::judge::Interval;
use kernel::money::{Amount, Price, Quantity, Rounding};
use kernel::statement::{Minor, Statement, share};
use kernel::tariff::{Band, MonthDay, TierPeriod};
use kernel::time::{LocalDate, LocalMonth, Moment};
use proptest::prelude::*;

use crate::components::{QUARTER, component, facts, names, segment, version_of};
use crate::support::scene::{for_ever, single, terms};
use crate::support::zone::Zone;

/// Amounts below this can be rounded and shared.
const AMOUNTS: i128 = 10_i128.pow(37);

fn wide() -> impl Strategy<Value = i128> {
    prop_oneof![any::<i128>(), Just(i128::MIN), Just(i128::MAX), -9_i128..9, any::<i64>().prop_map(i128::from)]
}

fn narrow() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX), -9_i64..9]
}

fn amounts() -> impl Strategy<Value = Amount> {
    prop_oneof![
        (1 - AMOUNTS)..AMOUNTS,
        Just(1 - AMOUNTS),
        Just(AMOUNTS - 1),
        -9_i128..9,
        -90_000_000_000..90_000_000_000_i128
    ]
    .prop_map(Amount)
}

fn rounding() -> impl Strategy<Value = Rounding> {
    prop_oneof![Just(Rounding::HalfUp), Just(Rounding::HalfEven)]
}

/// What it gives, or `None` where it panics: never anything else.
fn or_panic<T>(work: impl FnOnce() -> T + std::panic::UnwindSafe) -> Option<T> {
    catch_unwind(work).ok()
}

proptest! {
    #[test]
    fn sums_and_differences_are_right_or_panic(a in wide(), b in wide(), c in narrow(), d in narrow()) {
        prop_assert_eq!(or_panic(move || (Amount(a) + Amount(b)).0), a.checked_add(b));
        prop_assert_eq!(or_panic(move || (Amount(a) - Amount(b)).0), a.checked_sub(b));
        prop_assert_eq!(or_panic(move || (-Amount(a)).0), a.checked_neg());
        prop_assert_eq!(or_panic(move || (Quantity(c) + Quantity(d)).0), c.checked_add(d));
        prop_assert_eq!(or_panic(move || (Quantity(c) - Quantity(d)).0), c.checked_sub(d));
        prop_assert_eq!(or_panic(move || [Quantity(c), Quantity(d)].into_iter().sum::<Quantity>().0), c.checked_add(d));
        let mut sum = Amount(i128::from(c));
        sum += Amount(i128::from(d));
        sum -= Amount(i128::from(c));
        prop_assert_eq!(sum, Amount(i128::from(d)));
    }

    #[test]
    fn any_quantity_times_any_price_fits(quantity in narrow(), price in narrow()) {
        prop_assert_eq!((Quantity(quantity) * Price(price)).0, i128::from(quantity) * i128::from(price));
    }

    /// Any factors within their bounds, any volumes, any times: nothing panics or wraps, energy is what it is or saturates,
    /// and pieces of an interval follow each other without a hole.
    #[test]
    fn any_volume_at_any_factor_is_energy_or_saturates(
        before in narrow(), volume in narrow(), from in narrow(), length in 0_i64..,
        factors in prop::collection::vec((narrow(), 1..CALORIFIC_END, 1..CORRECTION_END), 0..5),
    ) {
        let make = |(from, calorific_value, correction)| Factor { from: Moment(from), calorific_value, correction };
        for factor in factors.iter().copied().map(make) {
            let worth = i128::from(factor.calorific_value) * i128::from(factor.correction);
            let exact = (i128::from(volume) * worth).div_euclid(3_600_000_000_000);
            let expected = exact.clamp(i64::MIN.into(), i64::MAX.into());
            prop_assert_eq!(i128::from(factor.energy(Quantity(volume)).0), expected);
        }
        // Moments of the wire are far within 64 bits: see Moment::since.
        let (from, to) = (Moment(from / 4), Moment(from / 4 + length / 4));
        let conversion = Conversion::new(factors.into_iter().map(|(from, a, b)| make((from / 4, a, b))));
        let mut reached = from;
        let interval = Interval { from, to, quantity: Quantity(volume) };
        let done: Result<(), ()> = conversion.pieces(&interval, Quantity(before), |piece| {
            assert_eq!(piece.energy.from, reached);
            reached = piece.energy.to;
            Ok(())
        });
        prop_assert_eq!(done, Ok(()));
        prop_assert_eq!(reached, if conversion.factors().is_empty() { from } else { to });
    }

    #[test]
    fn an_amount_rounds_to_the_nearest_multiple(amount in amounts(), digits in 0_u32..10, rounding in rounding()) {
        let unit = Minor { digits, rounding }.unit().0;
        prop_assert_eq!(unit, 10_i128.pow(9 - digits));
        let rounded = amount.round(digits, rounding).0;
        prop_assert_eq!(rounded % unit, 0);
        let apart = (rounded - amount.0).abs() * 2;
        prop_assert!(apart <= unit);
        if apart == unit {
            match rounding {
                Rounding::HalfUp => prop_assert!(rounded.abs() > amount.0.abs()),
                Rounding::HalfEven => prop_assert_eq!(rounded / unit % 2, 0),
            }
        }
        prop_assert_eq!(Amount(rounded).round(digits, rounding), Amount(rounded), "once is enough");
        // More places than an amount has change nothing.
        prop_assert_eq!(amount.round(digits + 9, rounding), amount);
    }

    #[test]
    fn texts_of_amounts_prices_and_quantities_come_back(amount in amounts(), other in narrow()) {
        prop_assert_eq!(Amount::parse(&amount.to_string()), Some(amount));
        prop_assert_eq!(Price::parse(&Price(other).to_string()), Some(Price(other)));
        prop_assert_eq!(Quantity::parse(&Quantity(other).to_string()), Some(Quantity(other)));
        prop_assert_eq!(Rate::parse(&Price(other).to_string()), Some(Rate(other)));
    }

    #[test]
    fn a_share_is_exact_to_half_a_nano(base in amounts(), rate in -10_000_000_i64..=10_000_000) {
        let (million, times) = (1_000_000, i128::from(rate));
        // In two halves, so that the check itself fits.
        let exact_twice = |whole: i128| {
            let (quotient, rest) = (base.0 / whole, base.0 % whole);
            (quotient * times, rest * times)
        };
        let (quotient, rest) = exact_twice(million);
        let apart = (Rate(rate).of(base).0 - quotient) * million - rest;
        prop_assert!(apart.abs() * 2 <= million);
        prop_assert!(apart.abs() * 2 < million || apart.signum() == (quotient + rest).signum() || quotient + rest == 0, "away from zero");
        let (inner, whole) = (Rate(rate.abs()), million + times.abs());
        let (quotient, rest) = (base.0 / whole * times.abs(), base.0 % whole * times.abs());
        let apart = (inner.within(base).0 - quotient) * whole - rest;
        prop_assert!(apart.abs() * 2 <= whole);
        let quantity = i64::try_from(base.0 % 1_000_000_000_000).unwrap();
        let expected = (i128::from(quantity) * times).div_euclid(million);
        prop_assert_eq!(i128::from(Rate(rate).of_quantity(Quantity(quantity)).0), expected);
    }

    #[test]
    fn no_rate_of_any_quantity_overflows(quantity in narrow(), rate in narrow()) {
        let _ = Rate(rate).of_quantity(Quantity(quantity));
    }

    #[test]
    fn a_month_spread_over_any_days_adds_up(whole in wide(), month in -24_000_i32..48_000, cuts in prop::collection::vec(0_u8..32, 0..5)) {
        let month = LocalMonth(month);
        let days = days_of(month);
        prop_assert!((28..=31).contains(&days));
        let mut cuts: Vec<u8> = cuts.into_iter().map(|cut| cut.min(days)).chain([0, days]).collect();
        cuts.sort_unstable();
        let runs = cuts.windows(2).map(|pair| DayRun { first: month.first_day().plus(i32::from(pair[0])), count: pair[1] - pair[0] });
        // One after the other, lest a sum of unlike signs leave its bounds.
        prop_assert_eq!(runs.map(|days| spread(Amount(whole), month, days)).sum::<Amount>(), Amount(whole));
    }

    #[test]
    fn shares_add_up_and_none_is_a_unit_from_exact(
        units in -10_i128.pow(28)..10_i128.pow(28), weights in prop::collection::vec(prop_oneof![0_u64..5, 0..=1_u64 << 58], 1..20), digits in 0_u32..10,
    ) {
        let unit = 10_i128.pow(9 - digits);
        let sum: u64 = weights.iter().sum();
        prop_assume!(sum > 0);
        let shares = share(Amount(units * unit), &weights, digits).unwrap();
        prop_assert_eq!(shares.iter().copied().sum::<Amount>(), Amount(units * unit));
        let (each, rest) = (units / i128::from(sum), units % i128::from(sum));
        for (share, weight) in shares.iter().zip(&weights) {
            prop_assert_eq!(share.0 % unit, 0);
            let apart = share.0 / unit - each * i128::from(*weight);
            let exact = rest * i128::from(*weight);
            prop_assert!((apart * i128::from(sum) - exact).abs() < i128::from(sum), "within one unit");
            prop_assert!(*weight > 0 || *share == Amount::ZERO);
        }
        // Equal weights differ by at most a unit, and the earlier is not the smaller share of a positive amount.
        for (left, right) in shares.iter().zip(&shares[1..]).zip(weights.windows(2)).filter(|(_, pair)| pair[0] == pair[1]).map(|(shares, _)| shares) {
            let apart = (left.0 - right.0) * units.signum() / unit;
            prop_assert!(apart == 0 || apart == 1);
        }
    }

    #[test]
    fn an_amount_of_any_size_is_shared(amount in wide(), weights in prop::collection::vec(0..=i64::MAX as u64 / 4, 4)) {
        if let Ok(shares) = share(Amount(amount), &weights, 9) {
            let sum = shares.iter().map(|share| share.0).try_fold(0_i128, i128::checked_add);
            prop_assert!(amount == i128::MIN || sum == Some(amount));
        }
    }

    /// Over any number of statements no line is a whole unit from what it is exactly.
    #[test]
    fn what_statements_round_never_adds_up_to_a_unit(
        months in prop::collection::vec(prop::collection::btree_map(0_u8..4, amounts().prop_map(|amount| Amount(amount.0 / 100)), 0..4), 1..24),
        digits in 0_u32..10, rounding in rounding(),
    ) {
        let minor = Minor { digits, rounding };
        let (mut exact, mut rounded, mut carried) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for month in &months {
            let statement = Statement::close(month, &carried, minor);
            prop_assert_eq!(statement.total, statement.lines.iter().map(|line| line.rounded).sum::<Amount>());
            for line in &statement.lines {
                prop_assert_eq!(line.rounded, (line.exact + line.carried).round(digits, rounding));
                prop_assert_eq!(line.exact, month[&line.key]);
                *rounded.entry(line.key).or_insert(Amount::ZERO) += line.rounded;
            }
            for (key, amount) in month {
                *exact.entry(*key).or_insert(Amount::ZERO) += *amount;
            }
            carried = statement.carry;
            for (key, amount) in &exact {
                let apart = *amount - rounded.get(key).copied().unwrap_or(Amount::ZERO);
                prop_assert!(apart.0.abs() < minor.unit().0);
                prop_assert_eq!(apart, carried.get(key).copied().unwrap_or(Amount::ZERO));
            }
        }
    }

    #[test]
    fn power_factors_are_within_half_a_step(active in narrow(), reactive in narrow(), step in 0_u16..=101, divisor in 1_i64..1_000_000_000_000) {
        let (active, reactive) = (active / divisor, reactive / divisor);
        let found = factor_milli(Quantity(active), Quantity(reactive), step);
        let limit = 1_000_000_000_000_000_u64;
        let known = active > 0 && active.unsigned_abs() <= limit && reactive.unsigned_abs() <= limit && step > 0;
        prop_assert_eq!(found.is_some(), known);
        if let Some(found) = found {
            let exact = active as f64 / (active as f64).hypot(reactive as f64) * 1_000.0;
            prop_assert_eq!(found % step, 0);
            let top = 1_000 / step * step;
            let apart = exact - f64::from(found);
            prop_assert!(apart.abs() <= f64::from(step) / 2.0 + 1e-6 || found == top && apart > 0.0);
        }
    }

    #[test]
    fn volumes_are_charged_tier_by_tier_whatever_they_are(
        before in -10_i64.pow(18)..10_i64.pow(18), after in -10_i64.pow(18)..10_i64.pow(18),
        share in 0_i64..=1_000_000, cap in prop::option::of(0..i64::MAX), bounds in prop::collection::btree_set(1_i64..=i64::MAX, 0..5),
    ) {
        let prices = vec![Price(1); bounds.len() + 1];
        let bounds = bounds.into_iter().map(Quantity).collect();
        let derived = Derived { source: String::new(), share: Rate(share), cap: cap.map(Quantity), bounds, prices };
        prop_assert!(derived.is_sound());
        let sum: Quantity = derived.tiers(Quantity(before), Quantity(after)).map(|(quantity, _)| quantity).sum();
        let charged = |volume: i64| {
            let counted = (i128::from(volume) * i128::from(share)).div_euclid(1_000_000);
            cap.map_or(counted, |cap| counted.min(i128::from(cap)))
        };
        prop_assert_eq!(i128::from(sum.0), charged(after) - charged(before));
    }

    #[test]
    fn dates_months_and_moments_never_panic(date in any::<i32>(), month in any::<i32>(), micros in narrow(), other in narrow(), day in any::<(u8, u8)>()) {
        let date = LocalDate(date);
        let _ = (date.ymd(), date.weekday(), date.month().first_day(), date.plus(month), date.to_string());
        let _ = (LocalMonth(month).first_day(), LocalMonth(month).to_string(), days_of(LocalMonth(month)), DayRun::whole(LocalMonth(month)));
        let _ = (Moment(micros).plus(other), Moment(micros).since(Moment(other)), Moment(micros).to_string());
        let _ = (LocalDate::new(month, day.0, day.1), TierPeriod::Annual(MonthDay { month: day.0, day: day.1 }).key(date));
    }

    #[test]
    fn a_load_of_extremes_has_maxima(
        starts in prop::collection::vec((narrow(), 1_i64..i64::MAX, -10_i64.pow(15)..=10_i64.pow(15)), 0..8), minutes in 0_u16..=60, sliding in any::<bool>(),
    ) {
        let zone = Zone::berlin();
        let terms = terms(zone.days("2026-10-24", "2026-10-26"), vec![for_ever(vec![single(1, Moment(i64::MIN), "1")])]);
        let span = terms.days.all();
        let window = Window { minutes, method: if sliding { Method::Sliding } else { Method::Block } };
        let interval = |(from, length, milli): &(i64, i64, i64)| {
            let from = Moment(*from);
            Interval { from, to: from.plus(*length), quantity: Quantity(*milli) }
        };
        for list in [starts.iter().map(interval).collect::<Vec<_>>(), starts.iter().map(interval).take(1).collect()] {
            if let Ok(load) = Load::of_intervals(list) {
                let maxima = load.maxima(window, &terms, span[0].start, span[2].end).unwrap();
                prop_assert!(maxima.whole.is_none_or(|peak| peak.demand >= Quantity::ZERO));
            }
        }
        if let Ok(load) = Load::of_powers(starts.iter().map(|(time, _, power)| (Moment(*time), *power)), i64::MAX) {
            load.maxima(window, &terms, span[0].start, span[2].end).unwrap();
        }
    }
}

/// Everything at its limit at once: the most versions, components, percentages, prices, rates and facts.
#[test]
fn the_largest_bill_within_the_bounds_does_not_overflow() {
    for sign in [1, -1] {
        let price = Price(sign * 100_000_000_000_000);
        let rate = Rate(sign * 10_000_000);
        let prices = DemandPrices::ByBand([Some(price); Band::ALL.len()]);
        let window = Window { minutes: 1, method: Method::Sliding };
        let mut list: Vec<Component> = (0..13)
            .map(|index| component(&format!("demand {index}"), Charge::Demand { window, prices: prices.clone() }))
            .collect();
        let excess = Excess { window, tolerance: Rate(0), price };
        list.push(component("capacity", Charge::Capacity { price, excess: Some(excess) }));
        let derived = Derived {
            source: "water".into(),
            share: Rate::ONE,
            cap: None,
            bounds: vec![Quantity(1)],
            prices: vec![price; 2],
        };
        list.push(component("sewer", Charge::Derived(derived)));
        list.push(component("least", Charge::Minimum { price: Price(price.0.abs()), of: names(&[ENERGY]) }));
        let steps = vec![PowerFactorStep { at_least_milli: 0, rate }];
        for index in 0..8 {
            let of: Vec<String> =
                [ENERGY.to_owned()].into_iter().chain(list.iter().map(|one| one.name.clone())).collect();
            let charge = match index % 3 {
                0 => Charge::PowerFactor(PowerFactor { of, step_milli: 1, steps: steps.clone() }),
                1 => Charge::Surcharge { rate, of },
                _ => Charge::Tax { rate, of, taxation: Taxation::Exclusive },
            };
            list.push(component(&format!("share {index}"), charge));
        }
        assert_eq!((list.len(), kernel::component::check::components(&list)), (24, Ok(())));
        let most = Some(Peak { start: Moment(0), demand: Quantity(1_000_000_000_000), known: 1 });
        let segments = (0..30).map(|index| Segment {
            quantity: Quantity(1_000_000_000_000_000 / 30),
            amount: Amount(i128::from(sign) * 10_i128.pow(27)),
            sources: vec![("water".into(), Quantity(1_000_000_000_000))],
            version: version_of(u32::try_from(index).unwrap(), list.clone()),
            ..segment(vec![], index + 1, 1)
        });
        let facts = Facts {
            maxima: vec![(window, Maxima { whole: most, by_band: [most; Band::ALL.len()], known: 1 })],
            capacity: Some(Quantity(1)),
            reactive: Some(Quantity(1_000_000_000_000_000)),
            ..facts(segments.collect())
        };
        let lines = bill(&facts).unwrap();
        let largest = lines.iter().map(|line| line.amount.0.abs()).max().unwrap();
        assert!(largest < AMOUNTS && lines.len() > 2_500, "{largest} in {} lines", lines.len());
        assert_eq!(added(&lines), counts(&lines));
        assert!(largest > 10_i128.pow(33), "the test reaches far: {largest}");
    }
    assert!(bill(&Facts { maxima: vec![(QUARTER, Maxima::default())], ..facts(vec![]) }).unwrap().is_empty());
}
