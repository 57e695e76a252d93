//! Gas measured in m3 and billed in kWh, heat in GJ: what is charged, corrected and proven.

use std::collections::BTreeMap;
use std::path::Path;

use kernel::epoch::ProfileFacts;
use kernel::id::{MeterId, Utility};
use kernel::money::{Amount, Quantity};
use kernel::reading::{Instruments, Reading, Value};
use kernel::time::{HOUR, LocalDate, Moment};

use super::periods::{approve_all, ask, close, pending};
use super::{ACCOUNT, MARCH, audited, balance, open, send};
use crate::billing::apply::ApplyError;
use crate::billing::explain::Explained;
use crate::engine::Engine;
use crate::query::{self, QuerySession, audit};
use crate::site_file::{NewMeter, Ratio, RegisterChange, RegisterEdit};

/// A flat with a gas meter of 0.01 m3 a count, another whose gas is imported in m3, and heat from a register of kWh that is
/// billed in GJ. Prices that show the bands and tiers in which the energy was put.
const SITE: &str = r#"
[[site]]
name = "yard"
title = "Yard"
time_zone = "Europe/Berlin"
currency = "EUR"
from = 2026-01-01

[[gas_quality]]
name = "area"
[[gas_quality.value]]
from = 2026-01-01
calorific_value = "39.5"
VALUES

[[tariff]]
name = "gas"
utility = "gas"
unit = "kWh"
[[tariff.version]]
valid_from = 2026-01-01
prices = { peak = "0.20", flat = "0.10" }
bands = { peak = ["17:00-20:00"], flat = ["20:00-17:00"] }

[[tariff]]
name = "gas in tiers"
utility = "gas"
unit = "kWh"
[[tariff.version]]
valid_from = 2026-01-01
tiers = { period = "monthly", bounds = ["500"], prices = ["0.10", "0.30"] }

[[tariff]]
name = "heat"
utility = "heat"
unit = "GJ"
[[tariff.version]]
valid_from = 2026-01-01
price = "25.00"

[[account]]
name = "smith"
holder = "Smith"

[[service_point]]
name = "a/G"
utility = "gas"
unit = "kWh"
account = "smith"
tariff = "gas"
gas_quality = "area"
correction = "1.02264"

[[service_point]]
name = "b/G"
utility = "gas"
unit = "kWh"
account = "smith"
tariff = "gas in tiers"
[[service_point.conversion]]
gas_quality = "area"
correction = "1"
OTHERS

[[service_point]]
name = "c/H"
utility = "heat"
unit = "GJ"
account = "smith"
tariff = "heat"

[[meter]]
serial = "G-1"
profile = "pulse-gas"
service_point = "a/G"

[[meter]]
serial = "G-2"
kind = "usage"
measures = "m3"
service_point = "b/G"

[[meter]]
serial = "H-3"
profile = "heat"
service_point = "c/H"
"#;

/// A value of the area from a moment on.
fn value(from: &str, value: &str) -> String {
    format!("[[gas_quality.value]]\nfrom = {from}\ncalorific_value = \"{value}\"\n")
}

fn site(values: &str, others: &str) -> String {
    SITE.replace("VALUES", values).replace("OTHERS", others)
}

fn profiles() -> BTreeMap<String, ProfileFacts> {
    let gas = ProfileFacts {
        name: "pulse-gas".to_owned(),
        utility: Utility::Gas,
        resolution_numerator: 10,
        resolution_denominator: 1,
        modulus: None,
        jitter_counts: 1,
        max_rate: 10_000,
        primary: false,
        has_relay: false,
        signed: false,
    };
    let heat =
        ProfileFacts { name: "heat".to_owned(), utility: Utility::Heat, resolution_numerator: 1_000, ..gas.clone() };
    BTreeMap::from([gas, heat].map(|facts| (facts.name.clone(), facts)))
}

async fn apply(engine: &Engine, text: &str) -> Result<Vec<String>, ApplyError> {
    engine.handle().apply(text, "site.toml", profiles(), "test", false).await.unwrap()
}

fn row(meter: u32, hour: i64, value: Value) -> Reading {
    Reading { meter: MeterId(meter), time: Moment(MARCH + hour * HOUR), value, instruments: Instruments::default() }
}

fn count(meter: u32, hour: i64, count: i64) -> Reading {
    row(meter, hour, Value::Register(count))
}

fn usage(hours: std::ops::Range<i64>, litres: i64) -> Reading {
    row(2, hours.end, Value::Usage { start: Moment(MARCH + hours.start * HOUR), quantity: Quantity(litres) })
}

/// 40 days of every third hour, over the changes of values and bands; usage each day, and heat.
fn readings() -> Vec<Reading> {
    let mut rows: Vec<Reading> = (0..320).map(|place| count(1, place * 3, 100 + place * 61 + place % 7)).collect();
    rows.extend((0..40).map(|day| usage(day * 24 + 1..day * 24 + 25, 2_000 + day * 137)));
    rows.extend((0..40).map(|day| count(3, day * 24, 77 + day * 31)));
    rows
}

async fn opened(folder: &Path, text: &str) -> Engine {
    let engine = open(folder).await;
    apply(&engine, text).await.unwrap();
    engine
}

/// What all readings cost when everything was known from the beginning.
async fn known_before(text: &str, rows: &[Reading]) -> Amount {
    let folder = tempfile::tempdir().unwrap();
    let engine = opened(folder.path(), text).await;
    send(&engine, rows).await;
    let balance = balance(&engine).await;
    engine.close().await.unwrap();
    balance
}

#[tokio::test]
async fn gas_is_billed_as_its_energy_and_heat_in_gigajoules() {
    let folder = tempfile::tempdir().unwrap();
    // 20:00 UTC of 1 March, in the middle of 40 hours.
    let engine = opened(folder.path(), &site(&value("2026-03-01T21:00:00", "39.1"), "")).await;
    send(&engine, &[count(1, 0, 0), count(1, 40, 4_000), usage(19..21, 100), count(3, 0, 0), count(3, 30, 250)]).await;
    let found = ask(
        &engine,
        "SELECT service_point, unit, sum(quantity) AS quantity FROM charges GROUP BY service_point, unit ORDER BY 1",
    );
    // 20 m3 x 11.2206333 and 20 m3 x 11.1070066; 0.05 m3 x 10.9722 and x 10.8611 (0.548 + 0.543, as 1.085 - 0.542...);
    // 250 kWh x 9/2500.
    let found = found.await;
    for line in ["a/G           | kWh  | 446.552", "b/G           | kWh  | 1.091", "c/H           | GJ   | 0.900"] {
        assert!(found.contains(line), "{line}\n{found}");
    }
    let pieces = ask(
        &engine,
        "SELECT quantity, measured, calorific_value, correction, from_count, to_count FROM intervals WHERE meter = 'G-1' \
         ORDER BY start_time",
    );
    let pieces = pieces.await;
    for line in [
        "| 224.412  | 20.000   | 39.500000       | 1.022640   | 0          |          |",
        "| 222.140  | 20.000   | 39.100000       | 1.022640   |            | 4000     |",
    ] {
        assert!(pieces.contains(line), "{line}\n{pieces}");
    }
    // Each charge says how many m3 it stands for and by what they were converted.
    let date = LocalDate::new(2026, 3, 1).unwrap();
    let explained =
        engine.handle().explain(Explained { account: ACCOUNT, days: date..=date, line: None }).await.unwrap().unwrap();
    let of = |from: i64| {
        let part = explained.iter().find(|item| {
            item.epoch.as_ref().is_some_and(|epoch| epoch.meter == MeterId(1))
                && item.part.from.0 == MARCH + from * HOUR
        });
        part.unwrap().converted.map(|(factor, volume)| (factor.calorific_value, factor.correction, volume))
    };
    assert_eq!(of(0), Some((39_500_000, 1_022_640, Some(Quantity(20_000)))));
    assert_eq!(of(20), Some((39_100_000, 1_022_640, Some(Quantity(20_000)))));
    assert!(
        explained
            .iter()
            .filter(|item| item.epoch.as_ref().is_some_and(|epoch| epoch.meter == MeterId(3)))
            .all(|item| item.converted.is_none())
    );
    audited(&engine).await;
    engine.close().await.unwrap();
}

#[tokio::test]
async fn a_value_that_is_published_or_corrected_later_charges_what_it_would_have_from_the_beginning() {
    let rows = readings();
    let later = value("2026-03-09", "39.123457");
    let corrected =
        later.replace("39.123457\"", "38.7\"\ncorrect = true\nreason = \"the network operator's revision\"");
    let between =
        value("2026-03-04T09:20:00", "40.2").trim_end().to_owned() + "\ncorrect = true\nreason = \"left out\"\n";
    let own = "[[service_point.conversion]]\nfrom = 2026-03-20T01:30:00\ncalorific_value = \"11.1 kWh/m3\"\ncorrection = \"0.97\"";
    let folder = tempfile::tempdir().unwrap();
    let mut engine = opened(folder.path(), &site("", "")).await;
    send(&engine, &rows[..200]).await;
    engine.handle().file().await.unwrap().unwrap();
    let first = site(&later, "");
    // The value that ran on until it was known needs no correction.
    let changes = apply(&engine, &first).await.unwrap();
    assert_eq!(changes, ["+ gas quality area: 39.123457 MJ/m3 from 2026-03-09 00:00 +01:00"]);
    assert!(apply(&engine, &first).await.unwrap().is_empty(), "twice is once");
    send(&engine, &rows[200..]).await;
    assert_eq!(balance(&engine).await, known_before(&first, &rows).await);
    let all = site(&(between + &corrected), own);
    let changes = apply(&engine, &all).await.unwrap();
    assert_eq!(
        changes,
        [
            "! gas quality area: 40.2 MJ/m3 from 2026-03-04 09:20 +01:00 (left out)",
            "! gas quality area: 38.7 MJ/m3 from 2026-03-09 00:00 +01:00 (the network operator's revision)",
            "+ service point b/G: m3 become kWh by 39.96 MJ/m3 x 0.97 from 2026-03-20 01:30 +01:00",
        ]
    );
    let expected = known_before(&all, &rows).await;
    assert_eq!(balance(&engine).await, expected);
    audited(&engine).await;
    // The same from the book, and from the readings in another order.
    engine.close().await.unwrap();
    engine = open(folder.path()).await;
    assert_eq!(balance(&engine).await, expected);
    engine.close().await.unwrap();
    let mut backwards: Vec<Reading> = rows.iter().rev().copied().collect();
    backwards.extend(&rows[100..150]);
    assert_eq!(known_before(&all, &backwards).await, expected);
}

/// A site that does not say since when it stands, with a meter that does: what flowed before the site file was applied has
/// the values that its area had then.
#[tokio::test]
async fn a_first_conversion_without_a_beginning_holds_from_the_first_m3_on() {
    let values = value("2026-03-09", "38.2");
    let stated = site(&values, "");
    let unstated = stated
        .replace("from = 2026-01-01\n\n[[gas_quality]]", "\n[[gas_quality]]")
        .replace(
            "account = \"smith\"\ntariff = \"gas\"\ngas_quality = \"area\"\ncorrection = \"1.02264\"",
            "gas_quality = \"area\"\ncorrection = \"1.02264\"\n[[service_point.contract]]\naccount = \"smith\"\n\
             tariff = \"gas\"\nfrom = 2026-01-01",
        )
        .replace(
            "profile = \"pulse-gas\"\nservice_point = \"a/G\"",
            "profile = \"pulse-gas\"\n[[meter.installation]]\n\
             service_point = \"a/G\"\nfrom = 2026-01-01",
        );
    let rows: Vec<Reading> = readings().into_iter().filter(|row| row.meter == MeterId(1)).collect();
    let expected = known_before(&stated, &rows).await;
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path()).await;
    let changes = apply(&engine, &unstated).await.unwrap();
    assert!(
        changes
            .iter()
            .any(|change| change
                == "+ service point a/G: m3 become kWh by the gas of area x 1.02264 from the first m3 on"),
        "{changes:?}"
    );
    send(&engine, &rows).await;
    assert_eq!(balance(&engine).await, expected);
    audited(&engine).await;
    // Corrected, it is corrected from there on too.
    let corrected = |text: &str| {
        text.replace(
            "gas_quality = \"area\"\ncorrection = \"1.02264\"",
            "[[service_point.conversion]]\ngas_quality = \"area\"\ncorrection = \"1.03\"\ncorrect = true\nreason = \"typed wrong\"",
        )
    };
    let changes = apply(&engine, &corrected(&unstated)).await.unwrap();
    assert_eq!(
        changes,
        ["! service point a/G: m3 become kWh by the gas of area x 1.03 from the first m3 on (typed wrong)"]
    );
    assert_eq!(balance(&engine).await, known_before(&corrected(&stated), &rows).await);
    audited(&engine).await;
    engine.close().await.unwrap();
}

#[tokio::test]
async fn a_correction_of_a_closed_month_becomes_an_adjustment() {
    let rows = readings();
    let folder = tempfile::tempdir().unwrap();
    let engine = opened(folder.path(), &site("", "")).await;
    send(&engine, &rows).await;
    assert_eq!(close(&engine, "2026-03").await, "");
    let before = balance(&engine).await;
    let published = site(&value("2026-03-01", "38.9"), "");
    apply(&engine, &published).await.unwrap();
    let waiting = pending(&engine).await.len();
    assert!(waiting > 0, "what March should have cost waits for a person");
    approve_all(&engine).await;
    let expected = known_before(&published, &rows).await;
    assert_ne!(before, expected);
    assert_eq!(balance(&engine).await, expected);
    audited(&engine).await;
    engine.close().await.unwrap();
}

/// What commands change at a register keeps its unit: the multiplier is told without the 9/2500 GJ of a kWh.
#[tokio::test]
async fn registers_of_heat_and_gas_are_retyped_and_replaced_in_their_own_unit() {
    let folder = tempfile::tempdir().unwrap();
    let engine = opened(
        folder.path(),
        &site("", "").replace("service_point = \"c/H\"", "service_point = \"c/H\"\nrating = \"12 kW\"\njitter = 3"),
    )
    .await;
    send(&engine, &[count(3, 0, 0), count(3, 12, 100), count(1, 0, 500), count(1, 12, 600)]).await;
    let change = async |change| {
        let edit = RegisterEdit { at: "2026-03-01T13:00:00".to_owned(), reason: "work order 7".to_owned(), change };
        engine.handle().change_register(edit, profiles(), "operator", false).await.unwrap().unwrap()
    };
    let serial = || "H-3".to_owned();
    let multiplier = Ratio::parse("10");
    let retyped =
        change(RegisterChange::Retype { serial: serial(), multiplier, modulus: None, count: Some(100) }).await;
    assert!(retyped[1].contains("+ meter H-3: at c/H, x10 from 2026-03-01 13:00 +01:00"), "{retyped:?}");
    let new = NewMeter { serial: "G-9".to_owned(), profile: "pulse-gas".to_owned(), ..NewMeter::default() };
    change(RegisterChange::Replace { place: "a/G".to_owned(), new, closing: 600, opening: 7 }).await;
    send(&engine, &[count(3, 24, 110), count(4, 24, 107)]).await;
    let rates = ask(&engine, "SELECT meter, sum(quantity) AS q FROM intervals GROUP BY meter ORDER BY meter");
    let rates = rates.await;
    // 100 and 100 kWh; 1 m3 each, 11.220 and 11.220.
    for line in ["| G-1   | 11.220 |", "| G-9   | 11.220 |", "| H-3   | 0.720  |"] {
        assert!(rates.contains(line), "{line}\n{rates}");
    }
    let registry = engine.handle().registry();
    let meter = registry.meter_by_serial("H-3").unwrap();
    let epochs: Vec<_> = registry.epochs_of(meter.id).collect();
    let facts =
        |epoch: &kernel::epoch::Epoch| (epoch.numerator, epoch.denominator, epoch.max_rate, epoch.jitter_counts);
    // 12 kW are 0.0432 GJ/h, rounded up.
    assert_eq!(epochs.iter().map(|epoch| facts(epoch)).collect::<Vec<_>>(), [(18, 5, 44, 3), (36, 1, 44, 3)]);
    assert_eq!(meter.rating_mw, Some(12_000_000));
    audited(&engine).await;
    engine.close().await.unwrap();
}

#[tokio::test]
async fn a_span_without_a_value_and_another_value_without_a_word_are_refused_with_place_and_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path()).await;
    let fine = site(&value("2026-03-09", "39.1"), "");
    for (old, new, expected) in [
        (
            "gas_quality = \"area\"\ncorrection = \"1.02264\"",
            "",
            "service_point \"a/G\".unit: is billed in kWh and has a meter of m3, but nothing says what a m3 is worth; write `gas_quality`",
        ),
        (
            "correction = \"1.02264\"",
            "",
            "service_point \"a/G\".correction: is missing; write a volume conversion factor",
        ),
        ("correction = \"1.02264\"", "correction = \"0\"", "service_point \"a/G\".correction: is"),
        (
            "correction = \"1.02264\"",
            "correction = \"1.02264\"\ncalorific_value = \"39.5\"",
            "calorific_value: stands beside `gas_quality`; leave one",
        ),
        (
            "gas_quality = \"area\"\ncorrection = \"1.02264\"",
            "gas_quality = \"aera\"\ncorrection = \"1.02264\"",
            "gas_quality: is \"aera\", which neither this file nor the book has; add the [[gas_quality]]",
        ),
        ("calorific_value = \"39.5\"", "calorific_value = \"39.5 BTU\"", "gas_quality \"area\""),
        (
            "from = 2026-01-01\ncalorific_value",
            "from = 2026-02-01\ncalorific_value",
            "gas_quality: is \"area\", which has no value at 2026-01-01 00:00 +01:00; add a [[gas_quality.value]]",
        ),
        (
            "[[service_point.conversion]]\ngas",
            "[[service_point.conversion]]\nfrom = 2026-02-01\ngas",
            "from: is 2026-02-01 00:00 +01:00, but m3 are measured since 2026-01-01 00:00 +01:00: what flowed before has no value; let the first",
        ),
        (
            "unit = \"kWh\"\naccount",
            "unit = \"MWh\"\naccount",
            "service_point \"a/G\".unit: is \"MWh\"; write \"m3\" or \"kWh\" for gas",
        ),
        (
            "unit = \"kWh\"\naccount",
            "account",
            "tariff: has prices per kWh, but the service point is billed in m3; name a tariff with `unit = \"m3\"`",
        ),
        (
            "kind = \"usage\"\nmeasures = \"m3\"\nservice_point = \"b/G\"",
            "kind = \"usage\"\n[[meter.installation]]\nmeasures = \"m3\"\nservice_point = \"b/G\"\n\
             [[meter.installation]]\nservice_point = \"b/G\"\nfrom = 2026-02-01",
            "service_point: is billed in kWh, but the meter's usage is in m3 elsewhere; give the meter a serial number",
        ),
        (
            "measures = \"m3\"",
            "measures = \"GJ\"",
            "meter \"G-2\".measures: is \"GJ\", but \"b/G\" is billed in kWh; leave it out",
        ),
        (
            "profile = \"pulse-gas\"",
            "profile = \"pulse-gas\"\nmeasures = \"m3\"",
            "meter \"G-1\".measures: stands without `kind = \"usage\"`",
        ),
    ] {
        assert!(fine.contains(old), "{old}");
        let refused = apply(&engine, &fine.replacen(old, new, 1)).await.unwrap_err().to_string();
        assert!(refused.contains(expected) && refused.contains("site.toml:"), "{expected}\n{refused}");
    }
    apply(&engine, &fine).await.unwrap();
    let earlier = value("2026-02-01", "39.2") + &value("2026-03-09", "39.1");
    for (text, expected) in [
        (
            site(&value("2026-03-09", "39.2"), ""),
            "changes 39.1 to 39.2, from 2026-03-09 00:00 +01:00; write a [[gas_quality.value]] from the moment of the change, or `correct = true` with a `reason`",
        ),
        (
            site(&earlier, ""),
            "from: begins before what the book has from 2026-03-09 00:00 +01:00; write `correct = true`",
        ),
        (site("", ""), "has no [[gas_quality.value]] from 2026-03-09 00:00 +01:00, but the book has (39.1); keep it"),
        (
            fine.replacen("correction = \"1.02264\"", "correction = \"1.03\"", 1),
            "correction: changes the gas of area x 1.02264 to the gas of area x 1.03",
        ),
        (
            fine.replacen("utility = \"heat\"\nunit = \"GJ\"\naccount", "utility = \"heat\"\naccount", 1),
            "service_point \"c/H\"",
        ),
        (
            fine.replacen(
                "name = \"heat\"\nutility = \"heat\"\nunit = \"GJ\"",
                "name = \"heat\"\nutility = \"heat\"",
                1,
            ),
            "tariff \"heat\"",
        ),
    ] {
        let refused = apply(&engine, &text).await.unwrap_err().to_string();
        assert!(refused.contains(expected), "{expected}\n{refused}");
    }
    engine.close().await.unwrap();
}

/// A value that somebody changed in the book behind billing's back: the audit recomputes from it and disagrees.
#[tokio::test]
async fn the_audit_finds_a_calorific_value_that_was_tampered_with() {
    let folder = tempfile::tempdir().unwrap();
    let engine = opened(folder.path(), &site(&value("2026-03-09", "39.1"), "")).await;
    send(&engine, &readings()).await;
    audited(&engine).await;
    let session = QuerySession::new(std::sync::Arc::new(engine.handle()), query::Options::default()).unwrap();
    let (by_band, by_tier) = ("charges_equal_intervals_by_band", "charges_equal_intervals_by_tier");
    for (table, column, by, id, audits) in [
        ("calorific_values", "calorific_value", 100, 2, &[by_band, by_tier][..]),
        ("conversions", "correction", 100, 1, &["charges_equal_intervals"]),
        ("calorific_values", "valid_from", HOUR, 2, &[by_tier]),
    ] {
        for by in [by, -by] {
            let mut tx = engine.handle().book().begin().await.unwrap();
            let sql = sqlx::AssertSqlSafe(format!("UPDATE {table} SET {column} = {column} + ({by}) WHERE id = {id}"));
            sqlx::query(sql).execute(tx.conn()).await.unwrap();
            tx.commit().await.unwrap();
            if by > 0 {
                for name in audits {
                    let found = audit::run_one(&session, name).await.unwrap();
                    assert!(found.rows > 0, "{name} did not find another {column} in {table}");
                }
            }
        }
    }
    engine.close().await.unwrap();
}
