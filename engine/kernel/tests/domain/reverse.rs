//! What flows back through a signed register: recorded, and billed only where the tariff version says how.

use kernel::epoch::Epoch;
use kernel::tariff::{Band, Reverse, TariffVersion, TierPeriod};
use kernel::time::HOUR;

use crate::support::driver::run;
use crate::support::scene::{Scene, count, epoch, for_ever, single, terms, version};
use crate::support::zone::Zone;

#[test]
fn reverse_flow_is_recorded_and_billed_only_where_the_version_says_so() {
    let zone = Zone::china();
    let rows: &[&[(Band, &str)]] =
        &[&[(Band::Valley, "0.50"), (Band::Peak, "1.00")], &[(Band::Valley, "0.60"), (Band::Peak, "1.10")]];
    let day = [(0, 600, Band::Valley), (600, 1_440, Band::Peak)];
    let tiers = Some((TierPeriod::Monthly, &[2_000_i64][..]));
    let first = version(1, zone.at("2026-01-01 00:00"), &day, tiers, rows);
    // From 11:00 on another version.
    let later = version(2, zone.at("2026-11-20 11:00"), &day, tiers, rows);
    let with = |version: &std::sync::Arc<TariffVersion>, reverse| {
        std::sync::Arc::new(TariffVersion { reverse, ..version.as_ref().clone() })
    };
    // 3.00 in the valley to 09:00; then back: 3.00 over 09:00-12:00, a third of it in the valley, a third in each version's
    // peak.
    let start = zone.at("2026-11-20 08:00");
    let counted = [count(1, start, 1_000), count(1, start.plus(HOUR), 1_300), count(1, start.plus(4 * HOUR), 1_000)];
    for (reverse, parts, used, amount) in [
        // 2.00 at 0.50 and 1.00 at 0.60; nothing is given back.
        ([Reverse::Ignore; 2], &[(1, 2_000), (2, 1_000), (0, -1_000), (0, -1_000), (0, -1_000)][..], 3_000, "1.60"),
        // Down the tiers that it came up: 0.60, then 1.00 twice.
        ([Reverse::Credit; 2], &[(1, 2_000), (2, 1_000), (2, -1_000), (1, -1_000), (1, -1_000)], 0, "-1.00"),
        (
            [Reverse::Ignore, Reverse::Credit],
            &[(1, 2_000), (2, 1_000), (0, -1_000), (0, -1_000), (2, -1_000)],
            2_000,
            "0.50",
        ),
    ] {
        let versions = vec![with(&first, reverse[0]), with(&later, reverse[1])];
        let scene = Scene {
            epochs: vec![Epoch { signed: true, modulus: None, ..epoch(1) }],
            terms: terms(zone.days("2026-11-01", "2026-11-30"), vec![for_ever(versions)]),
            outages: Vec::new(),
        };
        let outcome = run(&scene, &counted);
        let found: Vec<_> = outcome.parts.iter().map(|part| (part.tier, part.quantity.0)).collect();
        assert_eq!(found, parts, "{reverse:?}");
        // What is not billed stands where the counter stands.
        let before = outcome.parts.iter().filter(|part| part.tier == 0).map(|part| part.counter_before.0);
        assert!(before.eq(parts.iter().filter(|(tier, _)| *tier == 0).map(|_| 3_000)), "{reverse:?}");
        assert_eq!((outcome.quantity(), outcome.state.counter.used.0), (0, used), "{reverse:?}");
        assert_eq!(outcome.amount(), amount, "{reverse:?}");
        assert!(outcome.parts.iter().all(|part| part.tier > 0 || part.amount == kernel::money::Amount::ZERO));
    }
}

#[test]
fn what_stands_still_does_not_flow_back() {
    let zone = Zone::china();
    let tariff = single(1, zone.at("2026-01-01 00:00"), "1.00");
    let scene = Scene {
        epochs: vec![Epoch { signed: true, modulus: None, ..epoch(1) }],
        terms: terms(zone.days("2026-11-01", "2026-11-30"), vec![for_ever(vec![tariff])]),
        outages: Vec::new(),
    };
    let start = zone.at("2026-11-20 08:00");
    let outcome = run(&scene, &[count(1, start, 1_000), count(1, start.plus(HOUR), 1_000)]);
    let found: Vec<_> = outcome.parts.iter().map(|part| (part.tier, part.quantity.0)).collect();
    assert_eq!(found, [(1, 0)]);
}
