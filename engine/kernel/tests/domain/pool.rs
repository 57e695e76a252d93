//! Pooled tiers: the service points of an account are rated like one with all their meters, each by itself.

use std::collections::BTreeMap;

use kernel::epoch::Epoch;
use kernel::history::History;
use kernel::id::{AccountId, MeterId};
use kernel::money::Quantity;
use kernel::point::{Point, PointState, Row, Step};
use kernel::rate::{Cell, Contract, Part};
use kernel::tariff::Band::{self, Single};
use kernel::tariff::TierPeriod;
use kernel::time::{HOUR, Moment};
use proptest::prelude::*;

use crate::support::driver::{Driver, Outcome};
use crate::support::scene::{Scene, count, epoch, for_ever, terms, usage, version};
use crate::support::zone::Zone;

fn at(time: &str) -> Moment {
    Zone::china().at(time)
}

/// 0.50 up to 10 units a month, 1.00 beyond: a contract of an account that pools, or not.
fn contract(account: u32, pooled: bool, from: Moment, valid_to: Option<Moment>) -> Contract {
    let rows: &[&[(Band, &str)]] = &[&[(Single, "0.50")], &[(Single, "1.00")]];
    let tiers = Some((TierPeriod::Monthly, &[10_000_i64][..]));
    let tariff = version(1, at("2020-01-01 00:00"), &[(0, 1_440, Single)], tiers, rows);
    Contract { account: AccountId(account), valid_from: from, valid_to, pooled, ..for_ever(vec![tariff]) }
}

fn member(epochs: Vec<Epoch>, contracts: Vec<Contract>) -> Scene {
    Scene { epochs, terms: terms(Zone::china().days("2025-12-01", "2026-12-31"), contracts), outages: Vec::new() }
}

fn shop(meter: u32) -> Scene {
    member(
        vec![Epoch { meter: MeterId(meter), max_rate: 1_000_000, ..epoch(meter) }],
        vec![contract(1, true, at("2026-01-01 00:00"), None)],
    )
}

/// Members that are rated together, in the plainest form: late rows begin all anew.
struct Together<'a> {
    scenes: &'a [Scene],
    known: BTreeMap<(Moment, MeterId), Row>,
    states: Vec<PointState>,
    cells: Vec<Option<Cell>>,
    histories: Vec<History>,
    outcomes: Vec<Outcome>,
    rerated: usize,
}

impl<'a> Together<'a> {
    fn new(scenes: &'a [Scene]) -> Together<'a> {
        let mut all = Together {
            scenes,
            known: BTreeMap::new(),
            states: Vec::new(),
            cells: Vec::new(),
            histories: Vec::new(),
            outcomes: Vec::new(),
            rerated: 0,
        };
        all.forget();
        all
    }

    fn forget(&mut self) {
        let members = self.scenes.len();
        self.states = vec![PointState::default(); members];
        self.cells = vec![None; members];
        self.histories = (0..members).map(|_| History::default()).collect();
        self.outcomes = vec![Outcome::default(); members];
    }

    fn on(
        &mut self,
        member: usize,
        act: impl FnOnce(&Point<'_>, &mut PointState, &mut Option<Cell>, &mut History, &mut Outcome) -> bool,
    ) -> bool {
        let mut state = std::mem::take(&mut self.states[member]);
        let beside: Vec<&PointState> =
            self.states.iter().enumerate().filter(|(other, _)| *other != member).map(|(_, state)| state).collect();
        let point = Point { beside: &beside, ..self.scenes[member].point() };
        let done =
            act(&point, &mut state, &mut self.cells[member], &mut self.histories[member], &mut self.outcomes[member]);
        self.states[member] = state;
        done
    }

    fn close(&mut self, until: Moment) {
        let next = |all: &Together<'_>| {
            let due = all.scenes.iter().zip(&all.states).enumerate();
            due.filter_map(|(member, (scene, state))| Some((scene.point().closes_next(state, until)?, member))).min()
        };
        while let Some(((end, _), member)) = next(self) {
            self.on(member, |point, state, cell, history, outcome| {
                assert_eq!(point.close_next(state, cell, Some(history), end, outcome), None);
                true
            });
        }
    }

    fn advance(&mut self, row: &Row) -> bool {
        let members: Vec<usize> = (0..self.scenes.len())
            .filter(|member| {
                self.scenes[*member].epochs.iter().any(|epoch| {
                    epoch.meter == row.meter
                        && epoch.valid_from <= row.time
                        && epoch.valid_to.is_none_or(|end| row.time <= end)
                })
            })
            .collect();
        self.close(row.time);
        members.into_iter().all(|member| {
            self.on(member, |point, state, cell, history, outcome| {
                match point.advance(state, cell, Some(history), row, outcome) {
                    Step::Judged(verdict) => {
                        outcome.verdicts.insert((row.time, row.meter), verdict);
                        true
                    }
                    Step::Late => false,
                }
            })
        })
    }

    fn arrive(&mut self, row: &Row) {
        if self.known.contains_key(&(row.time, row.meter)) {
            return;
        }
        self.known.insert((row.time, row.meter), *row);
        // A closing count that is due between is billed late as well.
        let closes = self.scenes.iter().any(|scene| scene.epochs.iter().any(|epoch| epoch.closing_count.is_some()));
        if closes || !self.advance(row) {
            self.rerated += 1;
            self.forget();
            let rows: Vec<Row> = self.known.values().copied().collect();
            assert!(rows.iter().all(|row| self.advance(row)), "nothing is late in order");
        }
    }

    fn parts(&self, member: usize) -> Vec<(u16, i64, i64)> {
        let of = |part: &Part| (part.tier, part.quantity.0, part.counter_before.0);
        self.outcomes[member].parts.iter().filter(|part| part.quantity != Quantity::ZERO).map(of).collect()
    }
}

fn hour(day: u32, hour: u32) -> Moment {
    at(&format!("2026-03-{day:02} {hour:02}:00"))
}

fn used(meter: u32, end: Moment, milli: i64) -> Row {
    usage(meter, end.plus(-HOUR), end, milli)
}

#[test]
fn two_members_cross_a_threshold_in_one_order_of_time() {
    let scenes = [shop(1), shop(2)];
    let rows = [
        used(1, hour(1, 1), 6_000),
        used(2, hour(1, 2), 6_000),
        used(1, hour(1, 3), 6_000),
        // At one moment the meters take turns in the order of their identifiers.
        used(1, hour(1, 4), 1_000),
        used(2, hour(1, 4), 500),
        // The next month begins anew for both.
        used(2, at("2026-04-01 02:00"), 7_000),
        used(1, at("2026-04-01 03:00"), 4_000),
    ];
    let orders: [&[usize]; 3] = [&[0, 1, 2, 3, 4, 5, 6], &[6, 5, 4, 3, 2, 1, 0], &[1, 4, 5, 0, 2, 3, 6]];
    for (place, order) in orders.iter().enumerate() {
        let mut together = Together::new(&scenes);
        order.iter().for_each(|row| together.arrive(&rows[*row]));
        assert_eq!(
            together.parts(0),
            [(1, 6_000, 0), (2, 6_000, 12_000), (2, 1_000, 18_000), (1, 3_000, 7_000), (2, 1_000, 10_000)]
        );
        assert_eq!(together.parts(1), [(1, 4_000, 6_000), (2, 2_000, 10_000), (2, 500, 19_000), (1, 7_000, 0)]);
        assert_eq!(together.rerated == 0, place == 0);
    }
}

#[test]
fn who_leaves_takes_only_the_counter_of_the_service_point_along_and_who_joins_brings_nothing() {
    let (begin, moves) = (at("2026-01-01 00:00"), hour(2, 0));
    let leaves = member(
        vec![Epoch { meter: MeterId(1), ..epoch(1) }],
        vec![contract(1, true, begin, Some(moves)), contract(2, false, moves, None)],
    );
    let joins = member(
        vec![Epoch { meter: MeterId(2), ..epoch(2) }],
        vec![contract(3, false, begin, Some(moves)), contract(1, true, moves, None)],
    );
    let scenes = [leaves, joins, shop(3)];
    let mut together = Together::new(&scenes);
    for row in [
        used(1, hour(1, 1), 7_000),
        used(2, hour(1, 2), 9_000),
        used(3, hour(1, 3), 1_000),
        // After the move: 8 of the pool are used; member 1 counts its 7 for its next tenant, member 2 nothing yet.
        used(1, hour(2, 1), 4_000),
        used(2, hour(2, 2), 1_500),
        used(3, hour(2, 3), 1_000),
    ] {
        together.arrive(&row);
    }
    assert_eq!(together.parts(0), [(1, 7_000, 0), (1, 3_000, 7_000), (2, 1_000, 10_000)]);
    assert_eq!(together.parts(1), [(1, 9_000, 0), (1, 1_500, 8_000)]);
    assert_eq!(together.parts(2), [(1, 1_000, 7_000), (1, 500, 9_500), (2, 500, 10_000)]);
    assert_eq!(together.states[1].counter.used, Quantity(10_500), "its own counter runs on");
}

/// The version to come says how the counter runs only from then on.
#[test]
fn a_pool_is_counted_by_the_period_of_the_version_in_force() {
    let rows: &[&[(Band, &str)]] = &[&[(Single, "0.50")], &[(Single, "1.00")]];
    let of = |id, from, period| version(id, at(from), &[(0, 1_440, Single)], Some((period, &[10_000][..])), rows);
    let annual = TierPeriod::Annual(kernel::tariff::MonthDay { month: 1, day: 1 });
    let versions = vec![of(1, "2020-01-01 00:00", annual), of(2, "2026-11-01 00:00", TierPeriod::Monthly)];
    let pooled = |meter: u32| {
        let contract = Contract { pooled: true, ..for_ever(versions.clone()) };
        member(vec![Epoch { meter: MeterId(meter), max_rate: 1_000_000, ..epoch(meter) }], vec![contract])
    };
    let scenes = [pooled(1), pooled(2)];
    let mut all = Together::new(&scenes);
    let end = |time: &str| at(time);
    for (meter, time, milli) in
        [(1, "2026-09-10 10:00", 6_000), (2, "2026-10-10 10:00", 6_000), (1, "2026-11-10 10:00", 6_000)]
    {
        all.arrive(&usage(meter, end(time).plus(-HOUR), end(time), milli));
    }
    let tiers: Vec<Vec<_>> = all
        .outcomes
        .iter()
        .map(|outcome| outcome.parts.iter().map(|part| (part.tier, part.quantity.0)).collect())
        .collect();
    assert_eq!(tiers, [vec![(1, 6_000), (1, 6_000)], vec![(1, 4_000), (2, 2_000)]]);
}

#[test]
fn what_is_rated_late_counts_in_its_own_period() {
    let scenes = [shop(1), shop(2)];
    let mut together = Together::new(&scenes);
    let midnight = at("2026-04-01 00:00");
    together.arrive(&used(2, hour(31, 20), 9_500));
    together.arrive(&used(2, midnight.plus(3 * HOUR), 9_000));
    // Two hours on each side of the month's end, although the other member is in April already.
    together.arrive(&usage(1, midnight.plus(-2 * HOUR), midnight.plus(4 * HOUR), 3_000));
    together.arrive(&used(2, midnight.plus(5 * HOUR), 100));
    assert_eq!(together.parts(0), [(1, 500, 9_500), (2, 500, 10_000), (1, 1_000, 9_000), (2, 1_000, 10_000)]);
    assert_eq!(together.parts(1).last(), Some(&(2, 100, 11_000)));
}

#[test]
fn a_closing_count_is_billed_before_what_is_read_at_its_moment() {
    let noon = hour(1, 12);
    let replaced = member(
        vec![
            Epoch {
                meter: MeterId(5),
                valid_from: hour(1, 0),
                max_rate: 1_000_000,
                valid_to: Some(noon),
                opening_count: Some(0),
                closing_count: Some(800),
                ..epoch(5)
            },
            Epoch { meter: MeterId(6), valid_from: noon, opening_count: Some(0), ..epoch(6) },
        ],
        vec![contract(1, true, at("2026-01-01 00:00"), None)],
    );
    let scenes = [shop(1), replaced];
    let rows = [count(5, hour(1, 10), 700), used(1, noon, 4_000), count(6, hour(1, 14), 100)];
    for order in [[0, 1, 2], [2, 1, 0]] {
        let mut together = Together::new(&scenes);
        order.iter().for_each(|row| together.arrive(&rows[*row]));
        // 7 units, then 1 by the closing count, and only then those of meter 1 at the same moment.
        assert_eq!(together.parts(0), [(1, 2_000, 8_000), (2, 2_000, 10_000)]);
        assert_eq!(together.parts(1)[1..], [(1, 1_000, 7_000), (2, 1_000, 12_000)]);
    }
}

/// One reading closes the one installation and opens the other: at neither member is it late.
#[test]
fn a_meter_that_moves_between_members_is_read_once_for_both() {
    let noon = hour(1, 12);
    let of = |from, valid_to, id| {
        let moved = Epoch { valid_from: from, valid_to, max_rate: 1_000_000, ..epoch(id) };
        member(vec![moved], vec![contract(1, true, at("2026-01-01 00:00"), None)])
    };
    let scenes = [of(hour(1, 0), Some(noon), 1), of(noon, None, 2)];
    let mut together = Together::new(&scenes);
    for row in [count(1, hour(1, 10), 100), count(1, noon, 900), count(1, hour(1, 14), 1_300)] {
        together.arrive(&row);
    }
    assert_eq!(together.rerated, 0);
    // 8 units before noon, 4 after it: two of them still at the lower price.
    assert_eq!(together.parts(0), [(1, 8_000, 0)]);
    assert_eq!(together.parts(1), [(1, 2_000, 8_000), (2, 2_000, 10_000)]);
}

#[derive(Clone, Copy, Debug)]
struct Event {
    meter: u32,
    hour: i64,
    milli: i64,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = (1_u32..4, 0_i64..72, 0_i64..4_000).prop_map(|(meter, hour, milli)| Event { meter, hour, milli });
    prop::collection::vec(event, 1..24)
}

proptest! {
    #[test]
    fn any_order_gives_what_one_service_point_with_all_the_meters_gives(shuffled in events()) {
        // Three days over the end of a month; no interval lies on both sides of it.
        let begin = at("2026-03-30 00:00");
        let row = |event: &Event| used(event.meter, begin.plus((event.hour + 1) * HOUR), event.milli);
        let scenes = [shop(1), shop(2), shop(3)];
        let mut together = Together::new(&scenes);
        shuffled.iter().for_each(|event| together.arrive(&row(event)));
        let all = member(
            scenes.iter().flat_map(|scene| scene.epochs.clone()).collect(),
            vec![contract(1, false, at("2026-01-01 00:00"), None)],
        );
        let mut one = Driver::new(&all);
        together.known.values().for_each(|row| one.arrive(row));
        let one = one.finish(at("2026-05-01 00:00"));
        let mut parts: Vec<Part> = together.outcomes.iter().flat_map(|outcome| outcome.parts.clone()).collect();
        prop_assert_eq!(parts.len(), one.parts.len());
        for part in &one.parts {
            let found = parts.iter().position(|other| other == part);
            prop_assert!(found.is_some(), "{:?} is in no member", part);
            found.map(|place| parts.swap_remove(place));
        }
        for (scene, state) in together.states.iter().enumerate() {
            let used: i64 = together.outcomes[scene].parts.iter().map(|part| part.quantity.0).sum();
            let shares: i64 = state.shares.iter().map(|share| share.counter.used.0).sum();
            prop_assert_eq!(used, shares, "a member's share is what it used");
        }
    }
}
