//! Charges of days and months: from the facts of a contract's month to exact lines.

use std::sync::Arc;

use kernel::component::bill::bill;
use kernel::component::check::ComponentFault;
use kernel::component::demand::{Maxima, Method, Peak, Window};
use kernel::component::derived::Derived;
use kernel::component::facts::{FactFault, Facts, Segment};
use kernel::component::line::{self, Effect, Line, Standing, Why};
use kernel::component::month::{self, DayRun};
use kernel::component::power_factor::{PowerFactor, PowerFactorStep};
use kernel::component::share::Rate;
use kernel::component::{Charge, Component, DemandPrices, ENERGY, Excess, Taxation};
use kernel::id::{AccountId, ContractId, TariffId};
use kernel::money::{Amount, Price, Quantity};
use kernel::rate::{Contract, Versions};
use kernel::tariff::{Band, Household, TariffFault, TariffVersion};
use kernel::time::{LocalMonth, Moment};

use crate::support::scene::{single, terms};
use crate::support::zone::Zone;

pub(crate) const QUARTER: Window = Window { minutes: 15, method: Method::Block };
const SLIDING: Window = Window { minutes: 15, method: Method::Sliding };

fn price(text: &str) -> Price {
    Price::parse(text).unwrap()
}

pub(crate) fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

pub(crate) fn component(name: &str, charge: Charge) -> Component {
    Component { name: name.to_owned(), charge }
}

pub(crate) fn names(of: &[&str]) -> Vec<String> {
    of.iter().map(|name| (*name).to_owned()).collect()
}

pub(crate) fn version_of(id: u32, components: Vec<Component>) -> Arc<TariffVersion> {
    let version = TariffVersion { components, ..(*single(id, Moment(0), "1.00")).clone() };
    Arc::new(version)
}

/// Version 1 over days of November 2026, with energy of 100.000 units that cost 80.
pub(crate) fn segment(components: Vec<Component>, first: i32, count: u8) -> Segment {
    Segment {
        version: version_of(1, components),
        days: DayRun { first: november().first_day().plus(first - 1), count },
        quantity: Quantity(100_000),
        amount: amount("80"),
        sources: Vec::new(),
    }
}

fn november() -> LocalMonth {
    LocalMonth::parse("2026-11").unwrap()
}

pub(crate) fn facts(segments: Vec<Segment>) -> Facts {
    Facts { month: november(), closed: true, segments, maxima: Vec::new(), capacity: None, reactive: None }
}

fn whole(components: Vec<Component>) -> Facts {
    facts(vec![segment(components, 1, 30)])
}

pub(crate) fn peak(demand: i64) -> Maxima {
    let peak = Some(Peak { start: Moment(1_793_520_000_000_000), demand: Quantity(demand), known: 900_000_000 });
    Maxima { whole: peak, by_band: [None, peak, None, peak, None, None, None, None], known: 900_000_000 }
}

/// The lines, of which every amount is what its measure says.
fn lines(facts: &Facts) -> Vec<Line> {
    let lines = bill(facts).unwrap();
    for line in &lines {
        assert_eq!(line.amount, line.measure.amount(facts.month), "{line:?}");
    }
    lines
}

/// `(component, amount)` of all lines.
fn amounts(facts: &Facts) -> Vec<(String, String)> {
    lines(facts).into_iter().map(|line| (line.component, line.amount.to_string())).collect()
}

fn check(facts: &Facts, expected: &[(&str, &str)]) {
    let expected: Vec<_> = expected.iter().map(|(name, text)| ((*name).to_owned(), amount(text).to_string())).collect();
    assert_eq!(amounts(facts), expected);
}

#[test]
fn fixed_charges_are_owed_by_days() {
    let fixed = || {
        vec![
            component("meter rent", Charge::Daily(price("0.123456"))),
            component("basic", Charge::Monthly(price("10"))),
        ]
    };
    // 10 over 30 days: 0.333333333, and 10 nanos that the last day absorbs.
    for (first, count, rent, basic) in [
        (1, 30, "3.70368", "10"),
        (1, 29, "3.580224", "9.666666657"),
        (30, 1, "0.123456", "0.333333343"),
        (11, 5, "0.61728", "1.666666665"),
        (1, 0, "0", "0"),
    ] {
        check(&facts(vec![segment(fixed(), first, count)]), &[("meter rent", rent), ("basic", basic)]);
    }
}

#[test]
fn a_day_belongs_to_the_contract_and_version_in_force_at_its_first_instant() {
    let zone = Zone::china();
    let at = |text: &str| zone.at(text);
    let versions = || {
        vec![
            single(1, at("2026-01-01 00:00"), "1"),
            single(2, at("2026-11-10 00:07"), "1"),
            single(3, at("2026-11-10 09:00"), "1"),
        ]
    };
    let contract = |account, from: &str, to: Option<&str>| Contract {
        id: ContractId(account),
        account: AccountId(account),
        valid_from: at(from),
        valid_to: to.map(at),
        household: Household::default(),
        pooled: false,
        versions: Versions::of(TariffId(1), versions()),
    };
    let contracts = vec![
        contract(1, "2026-10-15 00:00", Some("2026-11-20 12:00")),
        contract(2, "2026-11-20 12:00", Some("2026-11-25 00:00")),
        contract(3, "2026-11-25 06:00", Some("2026-11-25 18:00")),
        contract(4, "2026-12-01 00:00", None),
    ];
    let terms = terms(zone.days("2026-10-01", "2026-12-31"), contracts);
    let found: Vec<Vec<(u32, String, u8)>> = terms
        .contracts
        .iter()
        .map(|contract| {
            let versions = month::versions(&terms, contract, november()).unwrap();
            versions.into_iter().map(|(version, days)| (version.id.0, days.first.to_string(), days.count)).collect()
        })
        .collect();
    let run = |version, first: &str, count| (version, first.to_owned(), count);
    let expected = [
        // Version 2 is in force for nine hours and owes no day: it is dated to where it began. Who moves out at noon owes the day.
        vec![run(1, "2026-11-01", 10), run(2, "2026-11-10", 0), run(3, "2026-11-11", 10)],
        vec![run(3, "2026-11-21", 4)],
        vec![run(3, "2026-11-25", 0)],
        vec![],
    ];
    assert_eq!(found, expected);
    // Of 30 days the 25th to 30th belong to nobody.
    let january = LocalMonth::parse("2027-01").unwrap();
    assert!(month::versions(&terms, &terms.contracts[3], january).is_err(), "beyond the table of days");
}

#[test]
fn versions_that_change_within_a_month_are_charged_by_their_days() {
    let monthly = |text: &str| vec![component("basic", Charge::Monthly(price(text)))];
    let two = facts(vec![segment(monthly("10"), 1, 10), segment(monthly("20"), 11, 20)]);
    // 10 days of 0.333333333; 20 days of 0.666666666 and 20 nanos of the last.
    check(&two, &[("basic", "3.33333333"), ("basic", "13.33333334")]);
    let same = facts(vec![segment(monthly("10"), 1, 10), segment(monthly("10"), 11, 20)]);
    assert_eq!(line::added(&lines(&same)), amount("10"));
}

#[test]
fn a_month_below_its_minimum_is_charged_the_shortfall() {
    let minimum = |text: &str| {
        vec![
            component("basic", Charge::Monthly(price("6"))),
            component("least", Charge::Minimum { price: price(text), of: names(&[ENERGY, "basic"]) }),
            component(
                "vat",
                Charge::Tax {
                    rate: Rate(100_000),
                    of: names(&[ENERGY, "basic", "least"]),
                    taxation: Taxation::Exclusive,
                },
            ),
        ]
    };
    check(&whole(minimum("100")), &[("basic", "6"), ("least", "14"), ("vat", "10")]);
    check(&whole(minimum("86")), &[("basic", "6"), ("vat", "8.6")]);
    check(&whole(minimum("0")), &[("basic", "6"), ("vat", "8.6")]);
    // Half of the month, half of the minimum: 83 of 90.
    let half = facts(vec![segment(minimum("180"), 16, 15)]);
    check(&half, &[("basic", "3"), ("least", "7"), ("vat", "9")]);
    // The month as a whole: 20 days of 270 are 180; 10 days of 30 are 10; 166 were reached. The last version carries it.
    let two = facts(vec![segment(minimum("270"), 1, 20), segment(minimum("30"), 21, 10)]);
    check(&two, &[("basic", "4"), ("vat", "8.4"), ("basic", "2"), ("least", "24"), ("vat", "10.6")]);
    // A version without days carries nothing, and one without a minimum takes no part.
    let three = facts(vec![
        segment(minimum("270"), 1, 20),
        segment(minimum("0"), 21, 0),
        segment(vec![component("basic", Charge::Monthly(price("6")))], 21, 10),
    ]);
    check(&three, &[("basic", "4"), ("least", "16"), ("vat", "10"), ("basic", "0"), ("vat", "8"), ("basic", "2")]);
}

#[test]
fn demand_is_charged_by_the_months_maximum_or_that_of_each_band() {
    let by_band = [None, Some(price("30")), Some(price("20")), Some(price("10")), None, None, None, None];
    let demand = |prices| vec![component("demand", Charge::Demand { window: QUARTER, prices })];
    let measured = |facts: Facts| Facts { maxima: vec![(SLIDING, peak(70_000)), (QUARTER, peak(60_500))], ..facts };
    let one = || demand(DemandPrices::Whole(price("42")));
    check(&measured(whole(one())), &[("demand", "2541")]);
    check(
        &measured(facts(vec![segment(one(), 1, 10), segment(one(), 11, 20)])),
        &[("demand", "847"), ("demand", "1694")],
    );
    // 60.5 x 30, nothing measured in the peak band, 60.5 x 10.
    let banded = measured(whole(demand(DemandPrices::ByBand(by_band))));
    check(&banded, &[("demand", "1815"), ("demand", "0"), ("demand", "605")]);
    let found: Vec<_> =
        lines(&banded).iter().map(|line| (line.band, matches!(line.why, Why::NoDemand { .. }))).collect();
    assert_eq!(found, [(Some(Band::Sharp), false), (Some(Band::Peak), true), (Some(Band::Flat), false)]);
    // No reading tells of any demand in that way of averaging.
    let other = Facts { maxima: vec![(SLIDING, peak(70_000))], ..whole(one()) };
    check(&other, &[("demand", "0")]);
    assert_eq!(lines(&other)[0].why, Why::NoDemand { window: QUARTER });
}

#[test]
fn capacity_is_charged_as_contracted_and_demand_beyond_its_tolerance_on_top() {
    let excess = Excess { window: QUARTER, tolerance: Rate(50_000), price: price("84") };
    let capacity = |excess| vec![component("capacity", Charge::Capacity { price: price("42"), excess })];
    let of = |capacity_watts: Option<i64>, maximum, facts: Facts| Facts {
        capacity: capacity_watts.map(Quantity),
        maxima: vec![(QUARTER, peak(maximum))],
        ..facts
    };
    for (name, watts, maximum, excess, expected) in [
        ("within", Some(60_000), 63_000, Some(excess), &["2520"][..]),
        ("beyond", Some(60_000), 63_001, Some(excess), &["2520", "0.084"]),
        // 5 % of 60.001 is 3.00005: rounded up to 3.001.
        ("the tolerance rounds up", Some(60_001), 63_002, Some(excess), &["2520.042"]),
        ("no excess charged", Some(60_000), 90_000, None, &["2520"]),
        ("no capacity stated", None, 90_000, Some(excess), &["0"]),
    ] {
        let facts = of(watts, maximum, whole(capacity(excess)));
        let found: Vec<_> = lines(&facts).iter().map(|line| line.amount).collect();
        assert_eq!(found, expected.iter().map(|text| amount(text)).collect::<Vec<_>>(), "{name}");
    }
    let unknown = Facts { capacity: Some(Quantity(60_000)), ..whole(capacity(Some(excess))) };
    check(&unknown, &[("capacity", "2520")]);
    let half = of(Some(60_000), 65_000, facts(vec![segment(capacity(Some(excess)), 1, 15)]));
    check(&half, &[("capacity", "1260"), ("capacity", "84")]);
}

/// The Chinese table for a standard of 0.90: half a percent for each hundredth below, to 0.70; 0.15 % off for each above,
/// to 0.95 (Measures for electricity charge adjustment by power factor, 1983).
fn standard_090() -> Vec<PowerFactorStep> {
    let step = |at_least_milli, rate| PowerFactorStep { at_least_milli, rate: Rate(rate) };
    let better = (0..6).rev().map(|above| step(900 + 10 * above, -1_500 * i64::from(above)));
    let below = (1..=20).map(|below| step(900 - 10 * below, 5_000 * i64::from(below)));
    let worse = (1..=5).map(|below| step(700 - 10 * below, 100_000 + 10_000 * i64::from(below)));
    let worst = (1..=65).map(|below| step(650 - 10 * below, 150_000 + 20_000 * i64::from(below)));
    better.chain(below).chain(worse).chain(worst).collect()
}

#[test]
fn the_power_factor_adjusts_what_the_table_says_it_is_of() {
    let adjustment = PowerFactor { of: names(&[ENERGY, "demand"]), step_milli: 10, steps: standard_090() };
    let list = || {
        vec![
            component("demand", Charge::Demand { window: QUARTER, prices: DemandPrices::Whole(price("42")) }),
            component("power factor", Charge::PowerFactor(adjustment.clone())),
        ]
    };
    // Energy 80 and demand 420 are 500; active 100.000.
    for (reactive, expected, factor) in [
        (Some(0), "-3.75", Some(1_000)),
        (Some(48_432), "0", Some(900)),
        (Some(-48_432), "0", Some(900)),
        (Some(75_000), "25", Some(800)),
        (Some(100_000), "47.5", Some(710)),
        (Some(133_333), "125", Some(600)),
        (None, "0", None),
    ] {
        let facts = Facts { maxima: vec![(QUARTER, peak(10_000))], reactive: reactive.map(Quantity), ..whole(list()) };
        check(&facts, &[("demand", "420"), ("power factor", expected)]);
        let (Why::Factor { .. } | Why::NoFactor) = lines(&facts)[1].why else { panic!("{:?}", lines(&facts)[1]) };
        let found = if let Why::Factor { factor_milli, .. } = lines(&facts)[1].why { Some(factor_milli) } else { None };
        assert_eq!(found, factor, "{reactive:?}");
    }
    // The factor is the month's, the money each version's own.
    let two =
        Facts { reactive: Some(Quantity(150_000)), ..facts(vec![segment(list(), 1, 15), segment(list(), 16, 15)]) };
    check(&two, &[("demand", "0"), ("power factor", "4"), ("demand", "0"), ("power factor", "4")]);
}

#[test]
fn taxes_are_added_or_shown_on_what_they_name() {
    let tax = |rate, of: &[&str], taxation| Charge::Tax { rate: Rate(rate), of: names(of), taxation };
    let list = vec![
        component("basic", Charge::Monthly(price("33"))),
        component("city levy", Charge::Surcharge { rate: Rate(50_000), of: names(&[ENERGY]) }),
        component("vat within", tax(130_000, &[ENERGY, "basic"], Taxation::Inclusive)),
        component("vat", tax(200_000, &["basic", "city levy"], Taxation::Exclusive)),
    ];
    let facts = whole(list);
    check(&facts, &[("basic", "33"), ("city levy", "4"), ("vat within", "13"), ("vat", "7.4")]);
    let found: Vec<_> = lines(&facts).iter().map(|line| line.effect).collect();
    assert_eq!(found, [Effect::Added, Effect::Added, Effect::Shown, Effect::Added]);
    assert_eq!(line::added(&lines(&facts)), amount("44.4"), "what is within prices is not added");
    // A month of negative prices gives its tax back.
    let mut negative = facts.clone();
    negative.segments[0].amount = amount("-80");
    check(&negative, &[("basic", "33"), ("city levy", "-4"), ("vat within", "-5.407079646"), ("vat", "5.8")]);
}

#[test]
fn sewer_follows_the_water_that_came_in_up_to_its_cap() {
    let sewer = |cap| {
        Charge::Derived(Derived {
            source: "water".to_owned(),
            share: Rate(900_000),
            cap,
            bounds: vec![Quantity(10_000)],
            prices: vec![price("1"), price("2")],
        })
    };
    let of = |cap, volumes: &[i64]| {
        let days = [(1, 10), (11, 20)];
        let segments = volumes.iter().zip(days).map(|(volume, (first, count))| Segment {
            sources: vec![("gas".to_owned(), Quantity(77)), ("water".to_owned(), Quantity(*volume))],
            ..segment(vec![component("sewer", sewer(cap))], first, count)
        });
        facts(segments.collect())
    };
    // 20 m3: 18 count, 10 at 1 and 8 at 2.
    check(&of(None, &[20_000]), &[("sewer", "10"), ("sewer", "16")]);
    check(&of(Some(Quantity(12_000)), &[20_000]), &[("sewer", "10"), ("sewer", "4")]);
    // Two versions share the tiers and the cap of the month.
    check(&of(Some(Quantity(12_000)), &[10_000, 10_000]), &[("sewer", "9"), ("sewer", "1"), ("sewer", "4")]);
    check(&of(Some(Quantity(12_000)), &[20_000, 5_000]), &[("sewer", "10"), ("sewer", "4")]);
    check(&of(None, &[]), &[]);
    let found: Vec<_> = lines(&of(None, &[20_000])).iter().map(|line| (line.tier, line.standing)).collect();
    assert_eq!(found, [(Some(1), Standing::Final), (Some(2), Standing::Final)]);
}

#[test]
fn a_forecast_is_shown_and_cuts_nobody_off() {
    let list = vec![
        component("basic", Charge::Monthly(price("6"))),
        component("demand", Charge::Demand { window: QUARTER, prices: DemandPrices::Whole(price("42")) }),
        component("capacity", Charge::Capacity { price: price("1"), excess: None }),
        component(
            "power factor",
            Charge::PowerFactor(PowerFactor { of: names(&[ENERGY]), step_milli: 10, steps: standard_090() }),
        ),
        component("least", Charge::Minimum { price: price("9000"), of: names(&[ENERGY]) }),
        component("tax on energy", Charge::Surcharge { rate: Rate(100_000), of: names(&[ENERGY, "basic"]) }),
        component("tax on demand", Charge::Surcharge { rate: Rate(100_000), of: names(&[ENERGY, "demand"]) }),
    ];
    let closed = Facts {
        maxima: vec![(QUARTER, peak(10_000))],
        reactive: Some(Quantity(100_000)),
        capacity: Some(Quantity(1_000)),
        ..whole(list)
    };
    let open = Facts { closed: false, ..closed.clone() };
    let standing: Vec<_> = lines(&open).iter().map(|line| (line.component.clone(), line.standing)).collect();
    use Standing::{Final, Forecast};
    let expected = [
        ("basic", Final),
        ("demand", Forecast),
        ("capacity", Forecast),
        ("power factor", Forecast),
        ("least", Forecast),
        ("tax on energy", Final),
        ("tax on demand", Forecast),
    ];
    assert_eq!(standing, expected.map(|(name, standing)| (name.to_owned(), standing)));
    assert_eq!(line::counts(&lines(&open)), amount("14.6"));
    assert_eq!(line::added(&lines(&open)), line::added(&lines(&closed)));
    assert_eq!(line::counts(&lines(&closed)), line::added(&lines(&closed)), "at the close all is owed");
}

#[test]
fn components_that_cannot_be_worked_out_are_refused_by_name() {
    let daily = |name: &str| component(name, Charge::Daily(price("1")));
    let surcharge = |name: &str, of: &[&str]| component(name, Charge::Surcharge { rate: Rate(1), of: names(of) });
    let tax =
        |name: &str, rate, taxation| component(name, Charge::Tax { rate: Rate(rate), of: names(&[ENERGY]), taxation });
    let minimum =
        |name: &str, text: &str| component(name, Charge::Minimum { price: price(text), of: names(&[ENERGY]) });
    let demand = |window, prices| component("d", Charge::Demand { window, prices });
    let window = |minutes| Window { minutes, method: Method::Block };
    let capacity = |excess: Excess| component("c", Charge::Capacity { price: Price(1), excess: Some(excess) });
    let excess = Excess { window: QUARTER, tolerance: Rate(0), price: Price(1) };
    let sewer =
        Derived { source: "water".to_owned(), share: Rate::ONE, cap: None, bounds: vec![], prices: vec![Price(1)] };
    let derived = |derived: Derived| component("s", Charge::Derived(derived));
    let factor = |rate| PowerFactor {
        of: names(&[ENERGY]),
        step_milli: 1,
        steps: vec![PowerFactorStep { at_least_milli: 0, rate: Rate(rate) }],
    };
    let own = |name: &str| name.to_owned();
    let high = Price(100_000_000_000_001);
    let whole = DemandPrices::Whole;
    use ComponentFault as Fault;
    use Taxation::{Exclusive, Inclusive};
    let table: Vec<(Vec<Component>, Result<(), ComponentFault>)> = vec![
        (vec![], Ok(())),
        (vec![daily("a"), surcharge("b", &["a", ENERGY]), minimum("c", "0"), tax("t", 0, Inclusive)], Ok(())),
        ((0..24).map(|index| daily(&format!("{index}"))).collect(), Ok(())),
        ((0..25).map(|index| daily(&format!("{index}"))).collect(), Err(Fault::TooMany(25))),
        ((0..8).map(|index| surcharge(&format!("{index}"), &[ENERGY])).collect(), Ok(())),
        ((0..9).map(|index| surcharge(&format!("{index}"), &[ENERGY])).collect(), Err(Fault::TooManyShares(9))),
        (vec![daily("")], Err(Fault::Name(own("")))),
        (vec![daily(ENERGY)], Err(Fault::Name(own(ENERGY)))),
        (vec![daily("a"), daily("a")], Err(Fault::Name(own("a")))),
        (vec![surcharge("a", &["b"]), daily("b")], Err(Fault::UnknownBase(own("a"), own("b")))),
        (vec![surcharge("a", &["a"])], Err(Fault::UnknownBase(own("a"), own("a")))),
        (vec![surcharge("a", &[])], Err(Fault::Base(own("a")))),
        (vec![surcharge("a", &[ENERGY, ENERGY])], Err(Fault::Base(own("a")))),
        (vec![tax("a", 1, Inclusive), surcharge("b", &["a"])], Err(Fault::ShownBase(own("b"), own("a")))),
        (vec![tax("a", 1, Exclusive), surcharge("b", &["a"])], Ok(())),
        (vec![minimum("a", "1"), minimum("b", "1")], Err(Fault::SecondMinimum(own("b")))),
        (vec![minimum("a", "-1")], Err(Fault::Price(own("a"), price("-1")))),
        (vec![component("a", Charge::Daily(Price(100_000_000_000_000)))], Ok(())),
        (vec![component("a", Charge::Daily(Price(-100_000_000_000_000)))], Ok(())),
        (vec![component("a", Charge::Daily(high))], Err(Fault::Price(own("a"), high))),
        (vec![component("a", Charge::Monthly(Price(i64::MIN)))], Err(Fault::Price(own("a"), Price(i64::MIN)))),
        (
            vec![component("a", Charge::Minimum { price: high, of: names(&[ENERGY]) })],
            Err(Fault::Price(own("a"), high)),
        ),
        (vec![tax("a", 10_000_000, Exclusive)], Ok(())),
        (vec![tax("a", -10_000_000, Exclusive)], Ok(())),
        (vec![tax("a", 10_000_001, Exclusive)], Err(Fault::Rate(own("a"), Rate(10_000_001)))),
        (vec![tax("a", -10_000_001, Exclusive)], Err(Fault::Rate(own("a"), Rate(-10_000_001)))),
        (vec![tax("a", -1, Inclusive)], Err(Fault::Rate(own("a"), Rate(-1)))),
        (vec![demand(window(60), whole(Price(1)))], Ok(())),
        (vec![demand(window(0), whole(Price(1)))], Err(Fault::Window(own("d"), window(0)))),
        (vec![demand(window(7), whole(Price(1)))], Err(Fault::Window(own("d"), window(7)))),
        (vec![demand(window(120), whole(Price(1)))], Err(Fault::Window(own("d"), window(120)))),
        (vec![demand(QUARTER, whole(high))], Err(Fault::Price(own("d"), high))),
        (vec![demand(QUARTER, DemandPrices::ByBand([None; Band::ALL.len()]))], Err(Fault::NoPrice(own("d")))),
        (
            vec![demand(QUARTER, DemandPrices::ByBand([None, None, None, None, None, Some(high), None, None]))],
            Err(Fault::Price(own("d"), high)),
        ),
        (vec![capacity(excess)], Ok(())),
        (vec![component("c", Charge::Capacity { price: high, excess: None })], Err(Fault::Price(own("c"), high))),
        (vec![capacity(Excess { window: window(7), ..excess })], Err(Fault::Window(own("c"), window(7)))),
        (vec![capacity(Excess { tolerance: Rate(-1), ..excess })], Err(Fault::Rate(own("c"), Rate(-1)))),
        (vec![capacity(Excess { price: high, ..excess })], Err(Fault::Price(own("c"), high))),
        (vec![derived(sewer.clone())], Ok(())),
        (vec![derived(Derived { prices: vec![], ..sewer.clone() })], Err(Fault::Tiers(own("s")))),
        (vec![derived(Derived { prices: vec![high], ..sewer.clone() })], Err(Fault::Price(own("s"), high))),
        (
            vec![derived(Derived { share: Rate(1_000_001), ..sewer.clone() })],
            Err(Fault::Rate(own("s"), Rate(1_000_001))),
        ),
        (vec![derived(Derived { share: Rate(-1), ..sewer })], Err(Fault::Rate(own("s"), Rate(-1)))),
        (vec![component("p", Charge::PowerFactor(factor(-10_000_000)))], Ok(())),
        (vec![component("p", Charge::PowerFactor(factor(10_000_001)))], Err(Fault::Rate(own("p"), Rate(10_000_001)))),
        (
            vec![component("p", Charge::PowerFactor(PowerFactor { steps: vec![], ..factor(0) }))],
            Err(Fault::Table(own("p"))),
        ),
        (
            vec![component("p", Charge::PowerFactor(PowerFactor { of: names(&["x"]), ..factor(0) }))],
            Err(Fault::UnknownBase(own("p"), own("x"))),
        ),
    ];
    for (components, expected) in table {
        let version = version_of(1, components);
        assert_eq!(version.check(), expected.map_err(TariffFault::Component), "{:?}", version.components);
    }
}

#[test]
fn facts_beyond_their_bounds_are_refused_and_nothing_is_worked_out() {
    let one = || segment(vec![], 1, 10);
    let of = |segment| facts(vec![segment]);
    let source = |volumes: &[i64]| Segment {
        sources: volumes.iter().map(|volume| ("water".to_owned(), Quantity(*volume))).collect(),
        ..one()
    };
    let (energy, volume) = (1_000_000_000_000_000, 1_000_000_000_000);
    let money = amount("1000000000000000000");
    let run = |first, count| segment(vec![], first, count).days;
    let refused = |quantity| Err(FactFault::Quantity(Quantity(quantity)));
    let broken = segment(vec![component("", Charge::Daily(price("1")))], 1, 1);
    let table: Vec<(&str, Facts, Result<(), FactFault>)> = vec![
        ("sound", of(one()), Ok(())),
        ("none", facts(vec![]), Ok(())),
        ("most versions", facts(vec![segment(vec![], 1, 0); 32]), Ok(())),
        ("too many versions", facts(vec![segment(vec![], 1, 0); 33]), Err(FactFault::Versions(33))),
        ("a day too many", of(segment(vec![], 1, 31)), Err(FactFault::Days(run(1, 31)))),
        ("a day before", of(segment(vec![], 0, 1)), Err(FactFault::Days(run(0, 1)))),
        ("days that follow", facts(vec![one(), segment(vec![], 11, 20)]), Ok(())),
        ("days that overlap", facts(vec![one(), segment(vec![], 10, 20)]), Err(FactFault::Days(run(10, 20)))),
        (
            "no day between frees none",
            facts(vec![one(), segment(vec![], 1, 0), segment(vec![], 10, 5)]),
            Err(FactFault::Days(run(10, 5))),
        ),
        ("no day is nowhere", facts(vec![one(), segment(vec![], 1, 0)]), Ok(())),
        ("energy", of(Segment { quantity: Quantity(-energy), ..one() }), Ok(())),
        ("too much energy", of(Segment { quantity: Quantity(energy + 1), ..one() }), refused(energy + 1)),
        ("too little energy", of(Segment { quantity: Quantity(i64::MIN), ..one() }), refused(i64::MIN)),
        (
            "too much in all",
            facts(vec![Segment { quantity: Quantity(energy), ..one() }, segment(vec![], 11, 1)]),
            refused(energy + 100_000),
        ),
        ("money", of(Segment { amount: -money, ..one() }), Ok(())),
        (
            "too much money",
            of(Segment { amount: money + Amount(1), ..one() }),
            Err(FactFault::Amount(money + Amount(1))),
        ),
        ("volume", of(source(&[volume])), Ok(())),
        ("too much volume", of(source(&[volume + 1])), refused(volume + 1)),
        ("too much volume in all", of(source(&[volume, 1])), refused(volume + 1)),
        ("capacity", Facts { capacity: Some(Quantity(volume)), ..of(one()) }, Ok(())),
        ("no capacity", Facts { capacity: Some(Quantity(0)), ..of(one()) }, Ok(())),
        ("too much capacity", Facts { capacity: Some(Quantity(volume + 1)), ..of(one()) }, refused(volume + 1)),
        ("capacity below zero", Facts { capacity: Some(Quantity(-1)), ..of(one()) }, refused(-1)),
        ("reactive", Facts { reactive: Some(Quantity(-energy)), ..of(one()) }, Ok(())),
        ("too much reactive", Facts { reactive: Some(Quantity(energy + 1)), ..of(one()) }, refused(energy + 1)),
        ("demand", Facts { maxima: vec![(QUARTER, peak(volume))], ..of(one()) }, Ok(())),
        ("too much demand", Facts { maxima: vec![(QUARTER, peak(volume + 1))], ..of(one()) }, refused(volume + 1)),
        (
            "too much demand in a band",
            Facts { maxima: vec![(QUARTER, Maxima { whole: None, ..peak(volume + 1) })], ..of(one()) },
            refused(volume + 1),
        ),
        ("a component", of(broken), Err(FactFault::Component(ComponentFault::Name(String::new())))),
    ];
    for (name, facts, expected) in table {
        assert_eq!(bill(&facts).map(|_| ()), expected, "{name}");
    }
}

#[test]
fn a_charge_names_the_facts_that_it_needs() {
    let excess = Excess { window: SLIDING, tolerance: Rate(0), price: Price(1) };
    let sewer =
        Derived { source: "water".to_owned(), share: Rate::ONE, cap: None, bounds: vec![], prices: vec![Price(1)] };
    for (charge, window, source) in [
        (Charge::Daily(Price(1)), None, None),
        (Charge::Demand { window: QUARTER, prices: DemandPrices::Whole(Price(1)) }, Some(QUARTER), None),
        (Charge::Capacity { price: Price(1), excess: None }, None, None),
        (Charge::Capacity { price: Price(1), excess: Some(excess) }, Some(SLIDING), None),
        (Charge::Derived(sewer), None, Some("water")),
    ] {
        assert_eq!((charge.window(), charge.source()), (window, source), "{charge:?}");
    }
}

/// The JSON of a definition from before components, and of one with them, read back.
#[test]
fn a_definition_without_components_reads_as_before() {
    let plain = single(1, Moment(0), "1.00");
    let text = serde_json::to_string(&*plain).unwrap();
    assert!(!text.contains("components"), "{text}");
    assert_eq!(serde_json::from_str::<TariffVersion>(&text).unwrap(), *plain);
    let with = version_of(1, vec![component("basic", Charge::Monthly(price("6")))]);
    let text = serde_json::to_string(&*with).unwrap();
    assert!(text.contains(r#""components":[{"name":"basic","charge":{"Monthly":6000000}}]"#), "{text}");
    assert_eq!(serde_json::from_str::<TariffVersion>(&text).unwrap(), *with);
}
