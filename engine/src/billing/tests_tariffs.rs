//! Tiers by season and household, named dates and prices by the half-hour: billed in any order, continued, and recomputed by
//! the audit, which never calls the kernel.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use kernel::id::{AccountId, MeterId};
use kernel::money::Amount;
use kernel::reading::{Instruments, Reading, Value};
use kernel::time::{DAY, HOUR, MINUTE, Moment};

use super::{MARCH, audited, open, send};
use crate::engine::Engine;
use crate::query::{self, QuerySession, audit};
use crate::site_file::{Attached, SiteText};

/// Three flats in Berlin, over the change of the clocks in March and of the season in April.
const SITE: &str = r#"
[[site]]
name = "yard"
time_zone = "Europe/Berlin"
currency = "EUR"
calendar = "de"
from = 2026-03-01

[[calendar]]
file = "calendars/de.toml"

[[tariff]]
name = "tiers"
utility = "electricity"
[[tariff.version]]
valid_from = 2026-03-01
prices = { peak = "0.40", valley = "0.25" }
bands = { peak = ["07:30-22:00"], valley = ["22:00-07:30"] }
[tariff.version.tiers]
period = "cycle"
day = 12
bounds = ["60", "110"]
seasons = [{ from = "04-01", to = "09-30", bounds = ["80", "140"] }]
persons = { from = 5, adder = "25" }
households = true
allowance = "7.5"
surcharge = ["0", "0.05", "0.31"]

[[tariff]]
file = "tariffs/spot.toml"

[[tariff]]
name = "festive"
utility = "electricity"
[[tariff.version]]
valid_from = 2026-03-01
prices = { flat = "0.30", deep_valley = "0.02" }
[[tariff.version.season]]
days = ["fair"]
bands = { deep_valley = ["11:00-15:00"], flat = ["15:00-11:00"] }
[[tariff.version.season]]
bands = { flat = ["00:00-24:00"] }

[[account]]
name = "smith"
[[account]]
name = "jones"
[[account]]
name = "brown"

[[service_point]]
name = "a/E"
utility = "electricity"
[[service_point.contract]]
account = "smith"
tariff = "tiers"
persons = 4
until = 2026-03-20
[[service_point.contract]]
account = "smith"
tariff = "tiers"
persons = 5
households = 2
from = 2026-03-20

[[service_point]]
name = "b/E"
utility = "electricity"
account = "jones"
tariff = "spot"

[[service_point]]
name = "c/E"
utility = "electricity"
account = "brown"
tariff = "festive"

[[meter]]
serial = "A"
kind = "usage"
service_point = "a/E"
[[meter]]
serial = "B"
kind = "usage"
service_point = "b/E"
[[meter]]
serial = "C"
kind = "usage"
service_point = "c/E"
"#;
const CALENDAR: &str = r#"
[[calendar]]
name = "de"
holidays = [2026-12-25]
named = { fair = [2026-03-10, 2026-03-29, 2026-04-02] }
"#;
/// Half-hours with two tiers, and a fixed band around noon.
const SPOT: &str = r#"
[[tariff]]
name = "spot"
utility = "electricity"
[[tariff.version]]
valid_from = 2026-03-01
prices = { flat = "0.30", dynamic = "0.011" }
bands = { flat = ["12:00-13:30"], dynamic = ["13:30-12:00"] }
dynamic = { file = "half-hours.csv", time = "from", price = "eur_per_mwh", step = "30m", per = "MWh" }
tiers = { period = "monthly", bounds = ["55"], surcharge = ["0", "0.02"] }
"#;

/// Prices from the last hour of February on, a third of them below zero.
fn half_hours(count: i64) -> String {
    let mut text = "from,eur_per_mwh\n".to_owned();
    for step in 0..count {
        let milli = step * 37 % 400 * 1_000 - 130_000 + step % 7;
        let sign = if milli < 0 { "-" } else { "" };
        let magnitude = milli.abs();
        let at = Moment(MARCH - HOUR + step * 30 * MINUTE);
        writeln!(text, "{at},{sign}{}.{:03}", magnitude / 1_000, magnitude % 1_000).unwrap();
    }
    text
}

fn site(steps: i64) -> SiteText {
    let prices = half_hours(steps);
    let attached = Attached::gather(SITE, |path| match path {
        "calendars/de.toml" => Ok(CALENDAR.to_owned()),
        "tariffs/spot.toml" => Ok(SPOT.to_owned()),
        "tariffs/half-hours.csv" => Ok(prices.clone()),
        _ => Err(format!("{path} is not there")),
    });
    SiteText { text: SITE.to_owned(), attached }
}

async fn apply(engine: &Engine, site: SiteText) -> Vec<String> {
    engine.handle().apply(site, "site.toml", BTreeMap::new(), "test", false).await.unwrap().unwrap()
}

/// Usage of every 45 minutes over 40 days, so that no interval ends where a price does; some of it fed back.
fn readings() -> Vec<Reading> {
    let slot = 45 * MINUTE;
    let mut rows = Vec::new();
    for step in 0..40 * DAY / slot {
        for meter in 1..=3 {
            let start = Moment(MARCH + step * slot);
            let quantity = (step * 131 + i64::from(meter) * 17) % 797 - if step % 50 == 7 { 400 } else { 0 };
            let value = Value::Usage { start, quantity: kernel::money::Quantity(quantity) };
            let time = start.plus(slot);
            rows.push(Reading { meter: MeterId(meter), time, value, instruments: Instruments::default() });
        }
    }
    rows
}

async fn balances(engine: &Engine) -> [Amount; 3] {
    let all = engine.handle().balances().await.unwrap();
    [1, 2, 3].map(|account| all.get(&AccountId(account)).unwrap().balance)
}

async fn asked(engine: &Engine, sql: &str) -> String {
    let session = QuerySession::new(std::sync::Arc::new(engine.handle()), query::Options::default()).unwrap();
    let table = session.query(sql).await.unwrap();
    arrow::util::pretty::pretty_format_batches(&table.batches).unwrap().to_string()
}

#[tokio::test]
async fn tiers_named_dates_and_half_hours_are_billed_in_any_order_and_recomputed_by_the_audit() {
    let rows = readings();
    // All prices known, all in order.
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path()).await;
    apply(&engine, site(44 * 48)).await;
    send(&engine, &rows).await;
    let expected = balances(&engine).await;
    audited(&engine).await;
    let used = asked(
        &engine,
        "SELECT account, band, tier FROM charges GROUP BY account, band, tier ORDER BY account, band, tier",
    )
    .await;
    for line in [
        "smith   | peak        | 0",
        "smith   | valley      | 3",
        "jones   | dynamic     | 2",
        "brown   | deep_valley | 1",
    ] {
        assert!(used.contains(line), "{line}\n{used}");
    }
    assert!(!used.contains("unpriced"), "{used}");
    engine.close().await.unwrap();

    // Prices end on 20 March; the last readings first; a filing and a restart; then the prices go on.
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path()).await;
    apply(&engine, site(20 * 48)).await;
    let half = rows.len() / 2;
    send(&engine, &rows[half..]).await;
    engine.handle().file().await.unwrap().unwrap();
    send(&engine, &rows[..half]).await;
    audited(&engine).await;
    let held = asked(&engine, "SELECT sum(unpriced) > 0 AS some, sum(dynamic) > 0 AS priced FROM usage_daily").await;
    assert!(held.contains("| true | true   |"), "{held}");
    let unpriced = asked(&engine, "SELECT sum(amount) AS amount FROM charges WHERE band = 'unpriced'").await;
    assert!(unpriced.contains("| 0.000000000 |"), "{unpriced}");
    engine.close().await.unwrap();
    let engine = open(folder.path()).await;
    let changes = apply(&engine, site(44 * 48)).await;
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert!(changes[0].contains("prices that ended at 2026-03-21 00:00 +01:00 go on until 2026-04-14"), "{changes:?}");
    assert_eq!(balances(&engine).await, expected);
    audited(&engine).await;
    let again = apply(&engine, site(44 * 48)).await;
    assert!(again.is_empty(), "{again:?}");
    // The audit looks: another household, another price, another calendar would have cost something else.
    for planted in [
        "UPDATE contracts SET persons = 3 WHERE persons = 5",
        "UPDATE tariff_versions SET definition = replace(definition, '\"bounds\":[55000]', '\"bounds\":[55001]')",
        "UPDATE tariff_versions SET definition = replace(definition, ',180002,', ',180003,')",
        "UPDATE calendars SET definition = replace(definition, '\"fair\":[', '\"fair\":[20523,')",
    ] {
        let mut tx = engine.handle().book().begin().await.unwrap();
        let changed = sqlx::query(planted).execute(tx.conn()).await.unwrap().rows_affected();
        assert!(changed > 0, "{planted}");
        tx.commit().await.unwrap();
        let session = QuerySession::new(std::sync::Arc::new(engine.handle()), query::Options::default()).unwrap();
        let mut found = 0;
        for name in ["charges_equal_intervals_by_band", "charges_equal_intervals_by_tier"] {
            found += audit::run_one(&session, name).await.unwrap().rows;
        }
        println!("{found} rows: {planted}");
        assert!(found > 0, "{planted}");
    }
    engine.close().await.unwrap();
}

/// A series is only ever continued: one that is shorter, or other in its past, is refused.
#[tokio::test]
async fn a_published_series_is_never_edited() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path()).await;
    apply(&engine, site(44 * 48)).await;
    let handle = engine.handle();
    let refused = handle.apply(site(30 * 48), "site.toml", BTreeMap::new(), "test", false).await.unwrap();
    let text = refused.unwrap_err().to_string();
    assert!(text.contains("tariffs/spot.toml:") && text.contains("only ever continued at its end"), "{text}");
    drop(handle);
    engine.close().await.unwrap();
}
