//! Names and codes that files, tables and SQL hold: another one would lose what is stored.

use kernel::calendar::DayType;
use kernel::component::derived::Derived;
use kernel::component::power_factor::PowerFactor;
use kernel::component::share::Rate;
use kernel::component::{Charge, Taxation};
use kernel::id::Utility;
use kernel::money::Price;
use kernel::reading::Verdict;

#[test]
fn verdicts_keep_their_names_and_codes() {
    let names = [
        "pending",
        "accepted",
        "opening",
        "jitter",
        "suspended",
        "glitch",
        "exception",
        "duplicate",
        "conflict",
        "future",
        "invalid",
        "overlap",
        "no_epoch",
        "superseded",
    ];
    assert_eq!(Verdict::ALL.map(Verdict::name), names);
    for (code, verdict) in (0_u8..).zip(Verdict::ALL) {
        assert_eq!((verdict.code(), Verdict::from_code(code)), (code, Some(verdict)));
    }
    assert_eq!(Verdict::from_code(14), None);
    let counting = Verdict::ALL.into_iter().filter(|verdict| verdict.counts()).map(Verdict::name);
    assert_eq!(counting.collect::<Vec<_>>(), ["accepted", "opening", "jitter"]);
}

#[test]
fn utilities_and_day_types_keep_their_names() {
    let named = Utility::ALL.map(|utility| (utility.name(), utility.unit()));
    assert_eq!(named, [("electricity", "kWh"), ("water", "m3"), ("gas", "m3"), ("heat", "kWh")]);
    assert_eq!(Utility::ALL.map(|utility| Utility::parse(utility.name())), Utility::ALL.map(Some));
    assert_eq!(Utility::parse("steam"), None);
    assert_eq!(DayType::ALL.map(DayType::name), ["workday", "weekend", "holiday"]);
}

/// Which charges accrue by the day, which are owed where nothing is used, and which come on top as a tax.
#[test]
fn charges_are_what_the_engine_takes_them_for() {
    let (price, rate) = (Price(1), Rate::ONE);
    let tax = |taxation| Charge::Tax { rate, of: Vec::new(), taxation };
    let derived =
        Derived { source: "water".to_owned(), share: rate, cap: None, bounds: Vec::new(), prices: vec![price] };
    for (charge, fixed, owed_unused, added_tax) in [
        (Charge::Daily(price), true, true, false),
        (Charge::Monthly(price), true, true, false),
        (Charge::Minimum { price, of: Vec::new() }, false, true, false),
        (Charge::Capacity { price, excess: None }, false, true, false),
        (Charge::PowerFactor(PowerFactor { of: Vec::new(), step_milli: 10, steps: Vec::new() }), false, false, false),
        (Charge::Derived(derived), false, false, false),
        (Charge::Surcharge { rate, of: Vec::new() }, false, false, false),
        (tax(Taxation::Inclusive), false, false, false),
        (tax(Taxation::Exclusive), false, false, true),
    ] {
        let found = (charge.is_fixed(), charge.is_owed_unused(), charge.is_added_tax());
        assert_eq!(found, (fixed, owed_unused, added_tax), "{charge:?}");
    }
}
