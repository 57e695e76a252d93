//! Changes at a register through the whole engine: domain.md 11, cases 1 to 6, by the commands where there is one.

use std::collections::BTreeMap;
use std::path::Path;

use kernel::epoch::ProfileFacts;
use kernel::id::{AccountId, MeterId, Utility};
use kernel::money::Amount;
use kernel::reading::{Instruments, Reading, Value};
use kernel::time::{HOUR, Moment};

use super::{MARCH, audited, open, send};
use crate::billing::apply::ApplyError;
use crate::engine::Engine;
use crate::query::{self, QuerySession};
use crate::site_file::{NewMeter, Ratio, RegisterChange, RegisterEdit};

const SITE: &str = r#"
[[site]]
name = "yard"
time_zone = "Asia/Shanghai"
currency = "CNY"
from = 2026-01-01

[[tariff]]
name = "power"
utility = "electricity"
[[tariff.version]]
valid_from = 2026-01-01
price = "0.50"
tiers = { period = "monthly", bounds = ["100"], surcharge = ["0", "0.05"] }

[[account]]
name = "smith"

[[service_point]]
name = "a/E"
utility = "electricity"
account = "smith"
tariff = "power"

[[meter]]
serial = "E-1"
profile = "plain"
service_point = "a/E"
"#;

fn profiles() -> BTreeMap<String, ProfileFacts> {
    let facts = ProfileFacts {
        name: "plain".to_owned(),
        utility: Utility::Electricity,
        resolution_numerator: 10,
        resolution_denominator: 1,
        modulus: Some(100_000_000),
        jitter_counts: 2,
        max_rate: 57_600,
        primary: false,
        has_relay: false,
        signed: false,
    };
    BTreeMap::from([(facts.name.clone(), facts)])
}

async fn opened(folder: &Path, meter: &str) -> Engine {
    let engine = open(folder).await;
    let text = format!("{SITE}{meter}\n");
    engine.handle().apply(&text, "site.toml", profiles(), "test", false).await.unwrap().unwrap();
    engine
}

/// Counts of a meter at hours after [`MARCH`].
fn counts(meter: u32, counts: &[(i64, i64)]) -> Vec<Reading> {
    let reading = |(hour, count): &(i64, i64)| Reading {
        meter: MeterId(meter),
        time: Moment(MARCH + hour * HOUR),
        value: Value::Register(*count),
        instruments: Instruments::default(),
    };
    counts.iter().map(reading).collect()
}

async fn balance(engine: &Engine) -> String {
    engine.handle().balances().await.unwrap().get(&AccountId(1)).unwrap().balance.to_string()
}

async fn rows(engine: &Engine, sql: &str) -> Vec<String> {
    let session = QuerySession::new(std::sync::Arc::new(engine.handle()), query::Options::default()).unwrap();
    let found = session.query(sql).await.unwrap();
    let table = arrow::util::pretty::pretty_format_batches(&found.batches).unwrap().to_string();
    let cells = |line: &str| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>().join(" ");
    table.lines().filter(|line| line.starts_with('|')).skip(1).map(cells).collect()
}

async fn change(engine: &Engine, edit: &RegisterEdit) -> Result<Vec<String>, ApplyError> {
    engine.handle().change_register(edit.clone(), profiles(), "operator", false).await.unwrap()
}

/// 2026-03-01T04:00:00Z.
const NOON: &str = "2026-03-01T12:00:00";

fn edit(change: RegisterChange) -> RegisterEdit {
    RegisterEdit { at: NOON.to_owned(), reason: "work order 7".to_owned(), change }
}

fn reset(opening: i64, closing: Option<i64>) -> RegisterEdit {
    edit(RegisterChange::Reset { serial: "E-1".to_owned(), closing, opening })
}

fn replace(closing: i64, opening: i64) -> RegisterEdit {
    let new = NewMeter { serial: "E-2".to_owned(), profile: "plain".to_owned(), ..NewMeter::default() };
    edit(RegisterChange::Replace { place: "a/E".to_owned(), new, closing, opening })
}

fn retype(multiplier: &str, count: Option<i64>) -> RegisterEdit {
    let multiplier = Ratio::parse(multiplier);
    edit(RegisterChange::Retype { serial: "E-1".to_owned(), multiplier, modulus: None, count })
}

#[tokio::test]
async fn cases_1_to_4_of_the_register_through_the_engine() {
    for (case, meter, counted, used, verdicts) in [
        ("1", "rating = \"5 kW\"", &[99_999_678, 123][..], "4.450", "opening accepted"),
        ("1 x40", "ct = \"200/5\"\nrating = \"200 kW\"", &[99_999_678, 123], "178.000", "opening accepted"),
        ("2", "rating = \"3 kW\"", &[99_999_678, 123], "none", "opening suspended"),
        ("3", "", &[100_000, 0, 100_020], "0.200", "opening glitch accepted"),
        ("3b", "", &[5_000, 4_999, 4_999, 5_001], "0.010", "opening jitter jitter accepted"),
        ("4", "", &[100_000, 0, 10, 30], "none", "opening exception exception exception"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let engine = opened(folder.path(), meter).await;
        let read: Vec<(i64, i64)> = (0..).zip(counted.iter().copied()).collect();
        send(&engine, &counts(1, &read)).await;
        let found = rows(&engine, "SELECT verdict FROM readings ORDER BY time").await.join(" ");
        assert_eq!(found, verdicts, "case {case}");
        let total = "SELECT coalesce(CAST(sum(quantity) AS VARCHAR), 'none') AS used FROM intervals";
        assert_eq!(rows(&engine, total).await, [used], "case {case}");
        let doubt = engine.handle().balances().await.unwrap().get(&AccountId(1)).unwrap().in_doubt;
        assert_eq!(doubt, verdicts.ends_with("suspended") || verdicts.ends_with("exception"), "case {case}");
        audited(&engine).await;
        engine.close().await.unwrap();
    }
}

#[tokio::test]
async fn case_4_ends_with_the_epoch_that_an_operator_opens() {
    let folder = tempfile::tempdir().unwrap();
    let engine = opened(folder.path(), "").await;
    // 10 counts a hour, then the register begins anew between the hours 3 and 5.
    send(&engine, &counts(1, &[(0, 100_000), (1, 100_010), (3, 100_030), (5, 4), (6, 14), (7, 24)])).await;
    assert_eq!(balance(&engine).await, "-0.150000000");
    // 500 counts were not there: what was read at once after it says so.
    let refused = change(&engine, &reset(500, None)).await.unwrap_err().to_string();
    assert!(
        refused.contains("meter \"E-1\".opening_count: is 500, but the register showed 4 at 2026-03-01T05:00:00Z"),
        "{refused}"
    );
    let refused = change(&engine, &reset(0, Some(100_020))).await.unwrap_err().to_string();
    assert!(
        refused.contains("closing_count: is 100020, but the register showed 100030 at 2026-03-01T03:00:00Z"),
        "{refused}"
    );
    let dry = engine.handle().change_register(reset(0, Some(100_037)), profiles(), "operator", true).await.unwrap();
    assert_eq!((dry.unwrap().len(), balance(&engine).await.as_str()), (2, "-0.150000000"));
    let changes = change(&engine, &reset(0, Some(100_037))).await.unwrap();
    assert!(changes[0].contains("closing count 100037 (work order 7)"), "{changes:?}");
    // 37 counts before, 24 after, 0.01 kWh each.
    assert_eq!(balance(&engine).await, "-0.305000000");
    assert!(!engine.handle().balances().await.unwrap().get(&AccountId(1)).unwrap().in_doubt);
    let verdicts = rows(&engine, "SELECT verdict FROM readings ORDER BY time").await.join(" ");
    assert_eq!(verdicts, "opening accepted accepted accepted accepted accepted");
    assert!(change(&engine, &reset(0, Some(100_037))).await.unwrap().is_empty(), "the second time");
    let audit =
        "SELECT actor, detail FROM book.audit_log WHERE subject = 'meter:E-1' AND actor = 'operator' ORDER BY id";
    assert_eq!(rows(&engine, audit).await.len(), 2);
    audited(&engine).await;
    engine.close().await.unwrap();
}

#[tokio::test]
async fn case_5_a_replaced_meter_charges_nothing_over_the_seam_and_the_tier_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let engine = opened(folder.path(), "rating = \"100 kW\"").await;
    // 96.10 kWh in March before the seam: 3.90 below the tier's end.
    send(&engine, &counts(1, &[(2, 533_600), (3, 543_200)])).await;
    assert_eq!(balance(&engine).await, "-48.000000000");
    let refused = change(&engine, &replace(543_190, 1_230)).await.unwrap_err().to_string();
    assert!(refused.contains("closing_count: is 543190, but the register showed 543200"), "{refused}");
    // Old closes 5,432.10.
    change(&engine, &replace(543_210, 1_230)).await.unwrap();
    assert_eq!(balance(&engine).await, "-48.050000000", "96.10 kWh");
    // New opens 12.30, reads 15.80 and 17.80.
    send(&engine, &counts(2, &[(6, 1_580), (7, 1_780)])).await;
    let used = rows(&engine, "SELECT meter, quantity FROM intervals WHERE quantity > 0 ORDER BY start_time").await;
    assert_eq!(used, ["E-1 96.000", "E-1 0.100", "E-2 3.500", "E-2 2.000"]);
    // 3.50 + 0.40 at 0.50 and 1.60 at 0.55: the counter did not begin anew.
    assert_eq!(balance(&engine).await, "-50.880000000");
    let tiers = rows(&engine, "SELECT tier, sum(quantity) FROM charges GROUP BY tier ORDER BY tier").await;
    assert_eq!(tiers, ["1 100.000", "2 1.600"]);
    assert!(change(&engine, &replace(543_210, 1_230)).await.unwrap().is_empty(), "the second time");
    // A reading of the old meter that arrives late is billed with it still; one after its end is nobody's.
    send(&engine, &counts(1, &[(1, 533_500), (8, 543_900)])).await;
    assert_eq!(balance(&engine).await, "-51.430000000", "1.00 kWh more, by now all at 0.55 at the end");
    let verdict = rows(&engine, "SELECT verdict FROM readings WHERE register_count = 543900").await;
    assert_eq!(verdict, ["no_epoch"]);
    audited(&engine).await;
    // The same in one go after a restart: a replay knows the change.
    engine.close().await.unwrap();
    let engine = open(folder.path()).await;
    assert_eq!(balance(&engine).await, "-51.430000000");
    audited(&engine).await;
    engine.close().await.unwrap();
}

#[tokio::test]
async fn case_6_a_transformer_change_at_noon_whatever_came_first() {
    // +1.00 counts on each side: a count is 1 kWh here.
    let meter = "ct = 40\nmultiplier = 100\nrating = \"900 kW\"";
    let all = counts(1, &[(3, 100), (4, 101), (5, 102)]);
    let stated = retype("6000", Some(101));
    for (name, before, edit, after) in [
        ("readings first", &all[..], retype("6000", None), &all[..0]),
        ("the change first, read at the seam", &all[..1], retype("6000", None), &all[1..]),
        ("no reading at the seam, the count entered", &all[..1], stated.clone(), &all[2..]),
        ("both", &all[..], stated, &all[..0]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let engine = opened(folder.path(), meter).await;
        send(&engine, before).await;
        change(&engine, &edit).await.unwrap();
        if !after.is_empty() {
            send(&engine, after).await;
        }
        let used = rows(&engine, "SELECT quantity FROM intervals WHERE quantity > 0 ORDER BY start_time").await;
        assert_eq!(used, ["40.000", "60.000"], "{name}");
        assert_eq!(balance(&engine).await, "-50.000000000", "{name}");
        audited(&engine).await;
        engine.close().await.unwrap();
    }
    // Without a count at the seam nothing is charged over it.
    let folder = tempfile::tempdir().unwrap();
    let engine = opened(folder.path(), meter).await;
    send(&engine, &counts(1, &[(2, 99), (3, 100), (5, 102), (6, 103)])).await;
    change(&engine, &retype("6000", None)).await.unwrap();
    assert_eq!(balance(&engine).await, Amount::parse("-50").unwrap().to_string());
    audited(&engine).await;
    engine.close().await.unwrap();
}

#[tokio::test]
async fn a_net_meter_records_what_flows_back_and_bills_it_only_by_the_tariffs_word() {
    for (reverse, expected, tiers) in [
        // 2.00 in, 3.00 back, 4.00 and 0.10 in.
        ("", "-3.050000000", &["0 -3.000 0.000000000", "1 6.100 3.050000000"][..]),
        ("reverse = \"ignore\"", "-3.050000000", &["0 -3.000 0.000000000", "1 6.100 3.050000000"]),
        ("reverse = \"credit\"", "-1.550000000", &["1 3.100 1.550000000"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let engine = open(folder.path()).await;
        let text =
            format!("{SITE}signed = true\n").replace("price = \"0.50\"", &format!("price = \"0.50\"\n{reverse}"));
        engine.handle().apply(&text, "site.toml", profiles(), "test", false).await.unwrap().unwrap();
        // Then a reset by 1,000 kWh, which no such meter can send back in an hour.
        let reads = [(0, 100), (1, 300), (2, 0), (3, 400), (4, -99_600), (5, 410)];
        send(&engine, &counts(1, &reads)).await;
        engine.handle().file().await.unwrap().unwrap();
        let used = rows(&engine, "SELECT quantity FROM intervals ORDER BY start_time").await;
        assert_eq!(used, ["2.000", "-3.000", "4.000", "0.100"], "{reverse}");
        let verdict = rows(&engine, "SELECT verdict FROM readings WHERE register_count = -99600").await;
        assert_eq!(verdict, ["glitch"], "{reverse}");
        let found =
            rows(&engine, "SELECT tier, sum(quantity), sum(amount) FROM charges GROUP BY tier ORDER BY tier").await;
        assert_eq!(found, tiers, "{reverse}");
        assert_eq!(balance(&engine).await, expected, "{reverse}");
        audited(&engine).await;
        engine.close().await.unwrap();
    }
}
