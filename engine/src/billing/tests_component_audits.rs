//! The audits of demand, capacity, power factor and derived charges: clean on what a close charged, and each finds what is
//! planted, in a price as in a quantity.

use kernel::id::MeterId;
use kernel::money::Quantity;
use kernel::reading::Value;

use super::apply::opened;
use super::components::{ALL, COMPONENTS, SITE, handed_over, march, proven, readings, site};
use super::periods::{ask, close};
use super::send;
use crate::engine::Engine;
use crate::query::{self, QuerySession, audit};

/// Changes the book behind its back.
async fn plant(engine: &Engine, sql: &'static str) {
    let mut tx = engine.handle().book().begin().await.unwrap();
    assert_ne!(sqlx::query(sql).execute(tx.conn()).await.unwrap().rows_affected(), 0, "{sql}");
    tx.commit().await.unwrap();
}

async fn replace(engine: &Engine, from: &str, to: &str) {
    let mut tx = engine.handle().book().begin().await.unwrap();
    let sql =
        "UPDATE tariff_versions SET definition = replace(definition, $1, $2) WHERE definition LIKE '%' || $1 || '%'";
    let done = sqlx::query(sql).bind(from).bind(to).execute(tx.conn()).await.unwrap();
    assert_ne!(done.rows_affected(), 0, "{from}");
    tx.commit().await.unwrap();
}

/// How many rows an audit finds.
async fn found(engine: &Engine, name: &str) -> usize {
    let session = QuerySession::new(std::sync::Arc::new(engine.handle()), query::Options::default()).unwrap();
    audit::run_one(&session, name).await.unwrap().rows
}

#[tokio::test]
async fn demand_capacity_and_derived_charges_are_recomputed_and_a_planted_fault_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let engine = opened(folder.path(), &site("")).await;
    send(&engine, &readings(0..ALL)).await;
    assert_eq!(close(&engine, "2026-03").await, "");
    proven(&engine).await;
    for (name, was, is) in [
        ("demand_recomputed", r#""Whole":2000000"#, r#""Whole":2000001"#),
        ("demand_recomputed", r#""Capacity":{"price":1500000"#, r#""Capacity":{"price":1500100"#),
        ("derived_charges_recomputed", r#""prices":[3000000]"#, r#""prices":[3000001]"#),
        ("derived_charges_recomputed", r#""cap":10000"#, r#""cap":10001"#),
        ("derived_charges_recomputed", r#""share":900000"#, r#""share":600000"#),
    ] {
        replace(&engine, was, is).await;
        assert_ne!(found(&engine, name).await, 0, "{name}: {is}");
        replace(&engine, is, was).await;
        assert_eq!(found(&engine, name).await, 0, "{name}: {was}");
    }
    // The hour of 1.7 kW was another's: the maximum is no longer what the intervals say.
    let later = "UPDATE contracts SET valid_from = valid_from + 1728000000000 WHERE service_point_id = 1";
    for (name, sql, back) in [
        (
            "demand_recomputed",
            later,
            "UPDATE contracts SET valid_from = valid_from - 1728000000000 WHERE service_point_id = 1",
        ),
        (
            "demand_recomputed",
            "UPDATE contract_facts SET value = 401 WHERE kind = 'capacity'",
            "UPDATE contract_facts SET value = 400 WHERE kind = 'capacity'",
        ),
        (
            "derived_charges_recomputed",
            "UPDATE contract_facts SET value = 77 WHERE kind = 'source'",
            "UPDATE contract_facts SET value = 2 WHERE kind = 'source'",
        ),
    ] {
        plant(&engine, sql).await;
        assert_ne!(found(&engine, name).await, 0, "{sql}");
        plant(&engine, back).await;
        assert_eq!(found(&engine, name).await, 0, "{back}");
    }
    engine.close().await.unwrap();
}

#[tokio::test]
async fn tenants_versions_and_tiers_within_a_month_are_recomputed() {
    let next = format!("[[tariff.version]]\nvalid_from = 2026-03-16\nprice = \"0.40\"\n{COMPONENTS}")
        .replace("cap = \"10\"\nprice = \"3.00\"", "bounds = [\"4\", \"8\"]\nprices = [\"1.00\", \"2.00\", \"4.00\"]")
        .replace("price = \"2.00\"\nwindow = \"60m\"", "price = \"2.50\"\nwindow = \"15m\"\nmethod = \"sliding\"");
    let text =
        handed_over().replacen("[[tariff]]\nname = \"water\"", &format!("{next}\n[[tariff]]\nname = \"water\""), 1);
    let folder = tempfile::tempdir().unwrap();
    let engine = opened(folder.path(), &text).await;
    // Read each 20 minutes, so that blocks of 15 minutes and intervals meet nowhere but at hours.
    let mut rows = Vec::new();
    for row in readings(0..ALL) {
        let Value::Usage { start, quantity } = row.value else { continue };
        let shares = [quantity.0 / 5, quantity.0 / 3, quantity.0 - quantity.0 / 5 - quantity.0 / 3];
        for (third, share) in (0..).zip(shares) {
            let mut part = row;
            let from = start.plus(third * 20 * kernel::time::MINUTE);
            part.time = from.plus(20 * kernel::time::MINUTE);
            part.value = Value::Usage { start: from, quantity: Quantity(share) };
            rows.push(part);
        }
    }
    send(&engine, &rows).await;
    assert_eq!(close(&engine, "2026-03").await, "");
    proven(&engine).await;
    engine.close().await.unwrap();
}

#[tokio::test]
async fn power_factors_are_recomputed_and_a_planted_fault_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let component = "\n[[tariff.version.component]]\nname = \"factor\"\nkind = \"power_factor\"\nof = [\"energy\"]\n\
                     steps = [{ at_least = \"0.90\", rate = \"-0.01\" }, { at_least = \"0.78\", rate = \"0.05\" }, \
                     { at_least = \"0\", rate = \"0.10\" }]\n";
    // What the second meter measures is kvarh here, and nobody pays for it.
    let text = SITE.replace("COMPONENTS", component).replace("VERSION", "").replacen("END", "", 1);
    let text = text.replace("capacity = \"0.4\"\nsources = { water = \"a/W\" }", "reactive = \"a/W\"");
    let text = text.replace("[[service_point.contract]]\naccount = \"smith\"\ntariff = \"water\"\nEND", "");
    let engine = opened(folder.path(), &text).await;
    let mut rows = readings(0..ALL);
    // 0.4 kvarh for each 0.5 kWh: a factor of 0.78 when it is rounded.
    for row in rows.iter_mut().filter(|row| row.meter == MeterId(2)) {
        if let Value::Usage { quantity, .. } = &mut row.value {
            *quantity = Quantity(400);
        }
    }
    send(&engine, &rows).await;
    assert_eq!(close(&engine, "2026-03").await, "");
    proven(&engine).await;
    for (was, is) in [
        (r#""rate":50000"#, r#""rate":50001"#),
        (r#""at_least_milli":780"#, r#""at_least_milli":790"#),
        (r#""step_milli":10"#, r#""step_milli":100"#),
    ] {
        replace(&engine, was, is).await;
        // Rounded to tenths it is 0.8, and still of that step.
        let expected = usize::from(!is.contains("step_milli"));
        assert_eq!(found(&engine, "power_factors_recomputed").await, expected, "{is}");
        replace(&engine, is, was).await;
    }
    plant(&engine, "DELETE FROM contract_facts WHERE kind = 'reactive'").await;
    assert_eq!(found(&engine, "power_factors_recomputed").await, 1);
    engine.close().await.unwrap();
}

/// Of the electricity's charge for water in March: from which to which day its lines are, by account.
const SEWER: &str = "SELECT account || ' ' || CAST(min(local_date) AS VARCHAR) || ' ' || CAST(sum(amount) AS VARCHAR) AS line \
                     FROM charges WHERE component = 'sewer' GROUP BY account ORDER BY account";

#[tokio::test]
async fn a_tenant_who_owes_no_day_of_the_month_owes_the_sewer_of_their_water_and_is_no_false_alarm() {
    let folder = tempfile::tempdir().unwrap();
    let engine = opened(folder.path(), &handed_over().replace("2026-03-11T12", "2026-03-31T12")).await;
    send(&engine, &readings(0..ALL)).await;
    assert_eq!(close(&engine, "2026-03").await, "");
    let lines = ask(&engine, SEWER).await;
    // 12 hours of 0.02 m3, of which 90 % count; charged on the day on which the contract began.
    assert!(lines.contains("jones 2026-03-31 0.648") && lines.contains("smith 2026-03-31 30.0"), "{lines}");
    proven(&engine).await;
    engine.close().await.unwrap();
}

#[tokio::test]
async fn a_derived_charge_that_begins_within_the_month_counts_from_there() {
    let folder = tempfile::tempdir().unwrap();
    let version = format!("[[tariff.version]]\nvalid_from = 2026-03-16\nprice = \"0.30\"\n{COMPONENTS}");
    let text = SITE.replace("COMPONENTS", "").replace("VERSION", &version).replace("END", "");
    let engine = opened(folder.path(), &text).await;
    send(&engine, &readings(0..ALL)).await;
    assert_eq!(close(&engine, "2026-03").await, "");
    let lines = ask(&engine, SEWER).await;
    // 383 hours: 90 % of 7.66 m3 at 3.00.
    assert!(lines.contains("smith 2026-03-31 20.682"), "{lines}");
    proven(&engine).await;
    engine.close().await.unwrap();
}

#[tokio::test]
async fn a_power_factor_of_a_tenant_who_came_back_is_rounded_for_each_stay() {
    let folder = tempfile::tempdir().unwrap();
    let component = "\n[[tariff.version.component]]\nname = \"lease\"\nkind = \"monthly\"\nprice = \"10.00\"\n\
                     [[tariff.version.component]]\nname = \"factor\"\nkind = \"power_factor\"\n\
                     of = [\"energy\", \"lease\"]\nsteps = [{ at_least = \"0\", rate = \"0.025\" }]\n";
    let stay = |account: &str, from: u8| {
        format!(
            "\nuntil = 2026-03-{from}T12:00:00\n[[service_point.contract]]\naccount = \"{account}\"\ntariff = \"power\"\n\
             reactive = \"a/W\"\nfrom = 2026-03-{from}T12:00:00"
        )
    };
    let text = SITE.replace("COMPONENTS", component).replace("VERSION", "");
    let text = text.replacen("END", &(stay("jones", 11) + &stay("smith", 21)), 1).replace("END", "");
    let text = text.replace("capacity = \"0.4\"\nsources = { water = \"a/W\" }", "reactive = \"a/W\"");
    let text = text.replace("[[service_point.contract]]\naccount = \"smith\"\ntariff = \"water\"\n", "");
    let engine = opened(folder.path(), &text).await;
    send(&engine, &readings(0..ALL)).await;
    assert_eq!(close(&engine, "2026-03").await, "");
    let charged = march(&engine).await;
    // 11 days, and 10 with the month's remainder: each share of 0.025 is cut at 1e-9 by itself, below the one of both.
    assert_eq!(charged["smith lease"], "6.774193550");
    let both = kernel::money::Amount::parse(&charged["smith energy"]).unwrap().0 + 6_774_193_550;
    let factor = kernel::money::Amount::parse(&charged["smith factor"]).unwrap().0;
    assert_eq!((factor, both % 40), (both / 40, 30), "three quarters of 1e-9 below");
    proven(&engine).await;
    plant(&engine, "UPDATE tariff_versions SET definition = replace(definition, '\"rate\":25000', '\"rate\":25001')")
        .await;
    assert_ne!(found(&engine, "power_factors_recomputed").await, 0);
    engine.close().await.unwrap();
}
