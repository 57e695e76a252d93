//! Laws of rating over random input: parts add up, touch, and stay within one day, band, version and contract.

use std::sync::Arc;

use kernel::epoch::Epoch;
use kernel::id::{AccountId, ContractId, MeterId, TariffId};
use kernel::judge::Interval;
use kernel::money::{Amount, Quantity};
use kernel::point::{PointState, Row};
use kernel::rate::{Contract, Part, Terms, TierCounter, Versions};
use kernel::reading::Value;
use kernel::tariff::Band::{self, Flat, Peak};
use kernel::tariff::{Household, MonthDay, TariffVersion, TierPeriod};
use kernel::time::{DAY, HOUR, MINUTE, Moment};
use proptest::prelude::*;

use crate::support::driver::Outcome;
use crate::support::scene::{Scene, epoch, terms, version};
use crate::support::zone::Zone;

const RANGES: [(u16, u16, Band); 3] = [(0, 127, Flat), (127, 1_000, Peak), (1_000, 1_440, Flat)];

fn versions(first: u32, tiers: Option<(TierPeriod, &[i64])>, starts: &[Moment]) -> Vec<Arc<TariffVersion>> {
    let rows: &[&[(Band, &str)]] = &[
        &[(Flat, "0.512345"), (Peak, "1.054321")],
        &[(Flat, "0.60"), (Peak, "-0.01")],
        &[(Flat, "0.90"), (Peak, "1.20")],
    ];
    let used = tiers.map_or(1, |(_, bounds)| bounds.len() + 1);
    let one = |(id, start): (u32, &Moment)| version(id, *start, &RANGES, tiers, &rows[..used]);
    (first..).zip(starts).map(one).collect()
}

/// Berlin over both changes of the clocks; two tenants with a vacancy between; versions that begin at odd minutes.
fn berlin() -> Terms {
    let zone = Zone::berlin();
    let at = |text: &str| zone.at(text);
    let july = TierPeriod::Annual(MonthDay { month: 7, day: 1 });
    let monthly =
        versions(10, Some((TierPeriod::Monthly, &[5_000, 90_000])), &[at("2026-01-01 00:00"), at("2026-03-29 04:07")]);
    let annual = versions(20, Some((july, &[700_000])), &[at("2026-01-01 00:00"), at("2026-10-25 02:30")]);
    let contract = |account, from: &str, to: Option<&str>, versions: Vec<_>| Contract {
        id: ContractId(account),
        account: AccountId(account),
        valid_from: at(from),
        valid_to: to.map(at),
        household: Household::default(),
        pooled: false,
        versions: Versions::of(TariffId(1), versions),
    };
    let contracts = vec![
        contract(1, "2026-02-01 00:00", Some("2026-05-03 12:34"), monthly),
        contract(2, "2026-05-05 00:00", None, annual),
    ];
    terms(zone.days("2026-01-01", "2026-12-31"), contracts)
}

fn rated(terms: &Terms, interval: &Interval, counter: &mut TierCounter) -> Vec<Part> {
    let mut parts = Vec::new();
    terms.rate(interval, &mut None, counter, |part| parts.push(*part)).unwrap();
    parts
}

/// An interval within 2026, of minutes or of microseconds.
fn intervals() -> impl Strategy<Value = Interval> {
    let length = prop_oneof![1..HOUR, (1_i64..3_000).prop_map(|minutes| minutes * MINUTE), 1..40 * DAY];
    let quantity = prop_oneof![-100_000_i64..2_000_000, any::<i64>()];
    (0..320 * DAY, length, quantity).prop_map(|(from, length, quantity)| {
        let from = Zone::berlin().at("2026-01-01 00:00").plus(from);
        Interval { from, to: from.plus(length), quantity: Quantity(quantity) }
    })
}

proptest! {
    #[test]
    fn parts_add_up_exactly_touch_and_stay_within_what_they_name(interval in intervals(), used in 0_i64..1_000_000) {
        let terms = berlin();
        let mut counter = TierCounter { period: 0, used: Quantity(used) };
        let parts = rated(&terms, &interval, &mut counter);
        prop_assert_eq!(parts.iter().map(|part| part.quantity).sum::<Quantity>(), interval.quantity);
        let mut at = interval.from;
        let mut previous: Option<&Part> = None;
        for part in &parts {
            // Tiers divide one stretch of time; stretches follow each other without a hole.
            let same_stretch = previous.is_some_and(|before| (before.from, before.to) == (part.from, part.to));
            prop_assert!(same_stretch || part.from == at);
            at = part.to;
            previous = Some(part);
            let last = part.to.plus(-1);
            for moment in [part.from, last] {
                let day = terms.days.at(moment).unwrap();
                prop_assert_eq!(day.date, part.date);
                let contract = terms.contract_at(moment);
                prop_assert_eq!(contract.map(|contract| contract.account), part.account);
                let version = contract.and_then(|contract| contract.versions.iter().rfind(|one| one.valid_from <= moment));
                prop_assert_eq!(version.map(|version| version.id), part.version);
                let (run, _) = day.runs().filter(|(run, _)| run.start <= moment).last().unwrap();
                let minute = u16::try_from((run.wall + moment.since(run.start)) / MINUTE).unwrap();
                if version.is_some() {
                    let range = RANGES.iter().find(|(from, to, _)| *from <= minute && minute < *to).unwrap();
                    prop_assert_eq!(range.2, part.band);
                }
            }
            prop_assert_eq!(part.amount, part.quantity * part.price);
            let priced = terms.contract_at(part.from).and_then(|contract| contract.versions.iter().rfind(|one| one.valid_from <= part.from));
            let row = priced.map(|version| version.prices[usize::from(part.tier) - 1][part.band as usize].unwrap());
            prop_assert_eq!(part.price, row.unwrap_or(kernel::money::Price(0)));
        }
        prop_assert_eq!(at, interval.to);
    }

    #[test]
    fn a_warm_cell_changes_nothing(walk in prop::collection::vec(intervals(), 1..8)) {
        let terms = berlin();
        let (mut warm, mut cold) = (TierCounter::default(), TierCounter::default());
        let mut cell = None;
        for interval in &walk {
            let mut parts = Vec::new();
            terms.rate(interval, &mut cell, &mut warm, |part| parts.push(*part)).unwrap();
            prop_assert_eq!(parts, rated(&terms, interval, &mut cold));
        }
        prop_assert_eq!(warm, cold);
    }

    #[test]
    fn the_walk_over_tiers_down_undoes_the_walk_up(
        used in -10_000_i64..200_000, milli in -300_000_i64..300_000, hour in 0_i64..24,
    ) {
        let terms = berlin();
        let from = Zone::berlin().at("2026-04-10 00:00").plus(hour * HOUR + 17 * MINUTE);
        let there = Interval { from, to: from.plus(MINUTE), quantity: Quantity(milli) };
        let back = Interval { quantity: Quantity(-milli), ..there };
        let period = TierPeriod::Monthly.key(terms.days.at(from).unwrap().date);
        let start = TierCounter { period, used: Quantity(used) };
        let mut counter = start;
        let mut parts = rated(&terms, &there, &mut counter);
        prop_assert_eq!(counter.used, Quantity(used + milli));
        parts.extend(rated(&terms, &back, &mut counter));
        prop_assert_eq!(counter, start);
        for tier in 1..=3 {
            let of = || parts.iter().filter(|part| part.tier == tier);
            prop_assert_eq!(of().map(|part| part.quantity).sum::<Quantity>(), Quantity::ZERO);
            prop_assert_eq!(of().map(|part| part.amount).sum::<Amount>(), Amount::ZERO);
        }
    }

    /// 64 bits where they suffice and 128 where they do not give what the rules say in numbers without end.
    #[test]
    fn what_can_pass_and_what_it_is_worth_are_exact(
        count in 0_i64..4_000_000_000, start in 0_i64..1_000_000, micros in 0..40 * DAY, max_rate in 0_i64..4_000_000_000,
        numerator in 1_i64..10_000_000, denominator in 1_i64..100_000, around in -2_i64..3,
    ) {
        let wide = i128::from;
        let one = Epoch { numerator, denominator, max_rate, opening_count: Some(start), ..epoch(1) };
        let worth = ((wide(count) - wide(start)) * wide(numerator)).div_euclid(wide(denominator));
        prop_assert_eq!(wide(one.quantity_at(count).0), worth);
        // The bound of domain.md, 2: P_max x dt x 1.2 in counts, and one.
        let bound = wide(max_rate) * wide(micros) * 12 * wide(denominator) / (wide(HOUR) * 10 * wide(numerator)) + 1;
        for counts in [wide(count), bound + wide(around)] {
            if let Ok(counts) = i64::try_from(counts.max(0)) {
                prop_assert_eq!(one.can_pass(counts, micros), wide(counts) <= bound);
            }
        }
    }

    /// The bounds are those of `Epoch`: multipliers above zero, all else any 64-bit integer.
    #[test]
    fn no_counts_moments_or_quantities_make_the_kernel_panic(
        rows in prop::collection::vec((0_u32..3, extremes(), extremes(), extremes(), any::<bool>()), 1..30),
        numerator in 1..=i64::MAX, denominator in 1..=i64::MAX, max_rate in 0..=i64::MAX, jitter in 0..=i64::MAX,
        modulus in prop::option::of(1..=i64::MAX), opening in prop::option::of(any::<i64>()),
        used in any::<i64>(), inside in any::<bool>(), signed in any::<bool>(), streaming in any::<bool>(),
    ) {
        let base = Zone::berlin().at("2026-01-01 00:00");
        let installation = Epoch {
            numerator, denominator, max_rate, modulus, jitter_counts: jitter, signed, opening_count: opening,
            closing_count: opening, valid_to: Some(base.plus(200 * DAY)), ..epoch(1)
        };
        let second = Epoch { meter: MeterId(2), ..epoch(2) };
        let scene = Scene { epochs: vec![installation, second], terms: berlin(), outages: Vec::new() };
        let mut outcome = Outcome::default();
        let mut state = PointState::default();
        state.counter.used = Quantity(used);
        let mut cell = None;
        let mut history = (!streaming).then(kernel::history::History::default);
        for (meter, time, start, value, register) in rows {
            let fold = |moment: i64| if inside { base.plus(moment.rem_euclid(360 * DAY)) } else { Moment(moment) };
            let value = if register { Value::Register(value) } else { Value::Usage { start: fold(start), quantity: Quantity(value) } };
            let row = Row { meter: MeterId(meter), time: fold(time), received_at: fold(time), value };
            // Glitches may be of rows that this loop did not keep: it looks for panics only.
            outcome.verdicts.insert((row.time, row.meter), kernel::reading::Verdict::Pending);
            scene.point().advance(&mut state, &mut cell, history.as_mut(), &row, &mut outcome);
            outcome.parts.iter().for_each(|part| assert_eq!(part.amount, part.quantity * part.price));
            outcome.parts.clear();
        }
    }
}

fn extremes() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX), -3_i64..3, 0_i64..4_000_000_000_000_000]
}
