//! Changes of the registry that reach back: what was charged is what the new registry charges from the beginning.

use std::collections::BTreeMap;
use std::path::Path;

use kernel::epoch::ProfileFacts;
use kernel::id::{AccountId, MeterId, Utility};
use kernel::money::Amount;
use kernel::reading::{Instruments, Reading, Value};
use kernel::time::{HOUR, MINUTE, Moment};

use super::{MARCH, audited, open, send};
use crate::billing::apply::ApplyError;
use crate::engine::Engine;

/// Two flats; the meter stands where `INSTALLATION` says.
const SITE: &str = r#"
[[site]]
name = "yard"
title = "Yard"
time_zone = "Europe/Berlin"
currency = "EUR"
from = 2026-01-01

[[tariff]]
name = "power"
utility = "electricity"
[[tariff.version]]
valid_from = 2026-01-01
price = "0.30"

[[account]]
name = "smith"
holder = "Smith"

[[account]]
name = "jones"
holder = "Jones"

[[service_point]]
name = "a/E"
utility = "electricity"
account = "smith"
tariff = "power"
POINT
[[meter]]
serial = "E-1"
profile = "acrel-dtsy1352"
rating = "RATING"
INSTALLATION
"#;
const SECOND_POINT: &str = r#"
[[service_point]]
name = "b/E"
utility = "electricity"
account = "jones"
tariff = "power"
"#;
pub(super) const AT_FIRST: &str = r#"service_point = "a/E""#;
/// 2026-03-01T23:00:00Z.
const MOVED: &str = "service_point = \"b/E\"\nfrom = 2026-03-02";

pub(super) fn site(point: &str, installation: &str, rating: &str) -> String {
    SITE.replace("POINT", point).replace("INSTALLATION", installation).replace("RATING", rating)
}

pub(super) async fn apply(engine: &Engine, text: &str) {
    try_apply(engine, text).await.unwrap();
}

pub(super) async fn try_apply(engine: &Engine, text: &str) -> Result<Vec<String>, ApplyError> {
    let facts = ProfileFacts {
        name: "acrel-dtsy1352".to_owned(),
        utility: Utility::Electricity,
        resolution_numerator: 10,
        resolution_denominator: 1,
        modulus: Some(100_000_000),
        jitter_counts: 2,
        max_rate: 57_600,
        primary: false,
        has_relay: true,
        signed: false,
    };
    let profiles = BTreeMap::from([(facts.name.clone(), facts)]);
    engine.handle().apply(text, "site.toml", profiles, "test", false).await.unwrap()
}

/// Hourly counts, 0.01 kWh each.
pub(super) fn hourly(hours: std::ops::Range<i64>, count: impl Fn(i64) -> i64) -> Vec<Reading> {
    let reading = |hour: i64| Reading {
        meter: MeterId(1),
        time: Moment(MARCH + hour * HOUR),
        value: Value::Register(count(hour)),
        instruments: Instruments::default(),
    };
    hours.map(reading).collect()
}

pub(super) async fn opened(folder: &Path, text: &str) -> Engine {
    let engine = open(folder).await;
    apply(&engine, text).await;
    engine
}

async fn balances(engine: &Engine) -> [Amount; 2] {
    let all = engine.handle().balances().await.unwrap();
    [AccountId(1), AccountId(2)].map(|account| all.get(&account).unwrap().balance)
}

#[tokio::test]
async fn a_meter_that_was_put_to_a_new_service_point_in_the_past_is_billed_there_since() {
    let rows = hourly(0..40, |hour| 1_000 + 100 * hour);
    let folder = tempfile::tempdir().unwrap();
    let engine = opened(folder.path(), &site("", AT_FIRST, "75 kW")).await;
    send(&engine, &rows).await;
    assert_eq!(balances(&engine).await, [Amount::parse("-11.7").unwrap(), Amount::ZERO]);
    apply(&engine, &site(SECOND_POINT, MOVED, "75 kW")).await;
    // 23 hours of 1 kWh for the one, 16 for the other.
    let expected = ["-6.9", "-4.8"].map(|amount| Amount::parse(amount).unwrap());
    assert_eq!(balances(&engine).await, expected);
    audited(&engine).await;
    // A late reading at the one place has nothing to say about the other.
    engine.handle().file().await.unwrap().unwrap();
    for hour in [5, 30] {
        let mut late = hourly(hour..hour + 1, |hour| 1_050 + 100 * hour);
        late[0].time = late[0].time.plus(30 * MINUTE);
        send(&engine, &late).await;
        assert_eq!(balances(&engine).await, expected);
    }
    audited(&engine).await;
    engine.close().await.unwrap();
}

#[tokio::test]
async fn another_rating_judges_earlier_readings_anew_at_once_and_not_by_chance() {
    // 10 kWh in an hour, then on as before.
    let rows = hourly(0..40, |hour| 1_000 + 100 * hour + if hour >= 20 { 900 } else { 0 });
    let folder = tempfile::tempdir().unwrap();
    let engine = opened(folder.path(), &site("", AT_FIRST, "5 kW")).await;
    send(&engine, &rows).await;
    apply(&engine, &site("", AT_FIRST, "75 kW")).await;
    let after = balances(&engine).await;
    assert_eq!(after[0], Amount::parse("-14.4").unwrap());
    let mut late = hourly(5..6, |hour| 1_050 + 100 * hour);
    late[0].time = late[0].time.plus(30 * MINUTE);
    send(&engine, &late).await;
    assert_eq!(balances(&engine).await, after);
    audited(&engine).await;
    engine.close().await.unwrap();
}
