//! Charges beside energy over a whole life: accrued, forecast, charged at the close, adjusted, taken back, ended.

use std::collections::BTreeMap;

use kernel::id::{AccountId, MeterId};
use kernel::money::{Amount, Quantity};
use kernel::reading::{Instruments, Reading, Value};
use kernel::time::{HOUR, LocalDate, LocalMonth, Moment};
use wal::clock::Clock;

use super::apply::{apply, opened, try_apply};
use super::periods::{approve_all, ask, close, close_as, decide, pending, reopen};
use super::{MARCH, audited, batch, send};
use crate::billing::closing::CloseAccount;
use crate::engine::{Engine, Options};
use crate::query::{self, QuerySession, audit};

/// 2026-03-01, local.
pub(super) const BEGIN: i64 = MARCH - HOUR;
/// The hours of March in Berlin, one of which is skipped, and of the four days after it.
pub(super) const HOURS: i64 = 743;
pub(super) const ALL: i64 = HOURS + 96;

pub(super) const SITE: &str = r#"
[[site]]
name = "yard"
time_zone = "Europe/Berlin"
currency = "EUR"
from = 2026-03-01

[[tariff]]
name = "power"
utility = "electricity"
[[tariff.version]]
valid_from = 2026-03-01
price = "0.30"
COMPONENTS
VERSION

[[tariff]]
name = "water"
utility = "water"
[[tariff.version]]
valid_from = 2026-03-01
price = "2.00"

[[account]]
name = "smith"
[[account]]
name = "jones"

[[service_point]]
name = "a/E"
utility = "electricity"
[[service_point.contract]]
account = "smith"
tariff = "power"
capacity = "0.4"
sources = { water = "a/W" }
END

[[service_point]]
name = "a/W"
utility = "water"
[[service_point.contract]]
account = "smith"
tariff = "water"
END

[[meter]]
serial = "E"
kind = "usage"
service_point = "a/E"
[[meter]]
serial = "W"
kind = "usage"
service_point = "a/W"
"#;
pub(super) const COMPONENTS: &str = r#"
[[tariff.version.component]]
name = "basic"
kind = "daily"
price = "0.25"
[[tariff.version.component]]
name = "lease"
kind = "monthly"
price = "10.00"
[[tariff.version.component]]
name = "least"
kind = "minimum"
price = "150.00"
of = ["energy", "basic", "lease"]
[[tariff.version.component]]
name = "peak"
kind = "demand"
price = "2.00"
window = "60m"
[[tariff.version.component]]
name = "contracted"
kind = "capacity"
price = "1.50"
excess = { price = "3.00", window = "30m", method = "sliding", tolerance = "0.1" }
[[tariff.version.component]]
name = "levy"
kind = "surcharge"
rate = "0.05"
of = ["energy"]
[[tariff.version.component]]
name = "sewer"
kind = "derived"
source = "water"
share = "0.9"
cap = "10"
price = "3.00"
[[tariff.version.component]]
name = "vat"
kind = "tax"
rate = "0.19"
of = ["energy", "basic", "lease", "least", "peak", "contracted", "levy", "sewer"]
[[tariff.version.component]]
name = "fuel tax"
kind = "tax"
rate = "0.02"
of = ["energy"]
inclusive = true
"#;

pub(super) fn site(version: &str) -> String {
    SITE.replace("COMPONENTS", COMPONENTS).replace("VERSION", version).replace("END", "")
}

/// The tenant leaves at noon of the 11th, and the next one comes.
pub(super) fn handed_over() -> String {
    let next = |tariff: &str, facts: &str| {
        format!(
            "until = 2026-03-11T12:00:00\n[[service_point.contract]]\naccount = \"jones\"\ntariff = \"{tariff}\"\n{facts}\n\
             from = 2026-03-11T12:00:00"
        )
    };
    let facts = "capacity = \"0.4\"\nsources = { water = \"a/W\" }";
    let text = SITE.replace("COMPONENTS", COMPONENTS).replace("VERSION", "");
    text.replacen("END", &next("power", facts), 1).replacen("END", &next("water", ""), 1)
}

/// 0.5 kWh and 0.02 m3 an hour; one hour of a cold day took 1.7 kWh.
pub(super) fn readings(hours: std::ops::Range<i64>) -> Vec<Reading> {
    let used = |meter: u32, hour: i64, quantity: i64| Reading {
        meter: MeterId(meter),
        time: Moment(BEGIN + (hour + 1) * HOUR),
        value: Value::Usage { start: Moment(BEGIN + hour * HOUR), quantity: Quantity(quantity) },
        instruments: Instruments::default(),
    };
    hours.flat_map(|hour| [used(1, hour, if hour == 250 { 1_700 } else { 500 }), used(2, hour, 20)]).collect()
}

/// What March costs by account and component.
pub(super) async fn march(engine: &Engine) -> BTreeMap<String, String> {
    let sql = "SELECT account || ' ' || component || '|' || CAST(sum(amount) AS VARCHAR) AS line FROM charges \
               WHERE utility = 'electricity' AND local_date < '2026-04-01' GROUP BY account, component \
               HAVING sum(amount) <> 0";
    let session = QuerySession::new(std::sync::Arc::new(engine.handle()), query::Options::default()).unwrap();
    let table = session.query(sql).await.unwrap();
    let text = arrow::util::pretty::pretty_format_batches(&table.batches).unwrap().to_string();
    let cells = text.lines().filter(|line| line.contains('.')).map(|line| line.trim_matches(['|', ' ']).to_owned());
    cells.filter_map(|cell| cell.split_once('|').map(|(name, sum)| (name.to_owned(), sum.trim().to_owned()))).collect()
}

pub(super) fn table(rows: &[(&str, &str)]) -> BTreeMap<String, String> {
    rows.iter().map(|(name, sum)| ((*name).to_owned(), format!("{sum}0000000"))).collect()
}

/// 743 hours x 0.5 kWh + 1.2 kWh = 372.7 kWh.
const WHOLE: [(&str, &str); 9] = [
    ("smith basic", "7.75"),
    // 0.4 kW x 1.50, and 1.7 - 0.4 - 10 % of it = 1.26 kW x 3.00.
    ("smith contracted", "4.38"),
    ("smith energy", "111.81"),
    ("smith lease", "10.00"),
    // 150.00 - 129.56.
    ("smith least", "20.44"),
    // 5 % of 111.81 is 5.5905.
    ("smith levy", "5.59"),
    // 1.7 kW.
    ("smith peak", "3.40"),
    // 90 % of 14.86 m3 are 13.374, capped at 10.
    ("smith sewer", "30.00"),
    // 19 % of 193.3705.
    ("smith vat", "36.74"),
];

fn whole() -> BTreeMap<String, String> {
    let mut whole = table(&WHOLE);
    whole.insert("smith levy".to_owned(), "5.590500000".to_owned());
    whole.insert("smith vat".to_owned(), "36.740395000".to_owned());
    whole
}

async fn balance(engine: &Engine, account: u32) -> Amount {
    engine.handle().balances().await.unwrap().get(&AccountId(account)).unwrap().balance
}

/// The audits of charges beside energy, and of the money that they are part of; whole audits are costly.
pub(super) async fn proven(engine: &Engine) {
    let session = QuerySession::new(std::sync::Arc::new(engine.handle()), query::Options::default()).unwrap();
    for name in [
        "fixed_charges_recomputed",
        "shares_recomputed",
        "minimums_recomputed",
        "demand_recomputed",
        "power_factors_recomputed",
        "derived_charges_recomputed",
        "balances_equal_transfers_and_lines",
        "usage_transfers_equal_their_lines",
        "adjustments_equal_their_lines",
        "statements_equal_charges",
    ] {
        let outcome = audit::run_one(&session, name).await.unwrap();
        assert_eq!(outcome.rows, 0, "{name}: {}\n{}", outcome.purpose, outcome.sample);
    }
}

#[tokio::test]
async fn a_month_is_accrued_forecast_charged_once_and_taken_back_when_it_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let engine = opened(folder.path(), &site("")).await;
    send(&engine, &readings(0..ALL)).await;
    let fixed = table(&[("smith energy", "111.81"), ("smith basic", "7.75"), ("smith lease", "10.00")]);
    assert_eq!(march(&engine).await, fixed, "the days have ended; the rest waits for the close");
    let statement = |text: &'static str| {
        let handle = engine.handle();
        async move { handle.statement(AccountId(1), LocalMonth::parse(text).unwrap()).await.unwrap().unwrap().unwrap() }
    };
    let open = statement("2026-03").await;
    let forecast: Amount =
        open.shown.iter().filter(|line| line.line.component != "fuel tax").map(|line| line.line.amount).sum();
    assert_eq!(forecast, Amount::parse("100.550895").unwrap());
    let before = balance(&engine, 1).await;

    assert_eq!(close(&engine, "2026-03").await, "");
    assert_eq!(march(&engine).await, whole());
    assert_eq!(before - balance(&engine, 1).await, forecast, "what was forecast is charged");
    let closed = statement("2026-03").await;
    let shown: Vec<_> = closed.shown.iter().map(|line| (line.line.component.as_str(), line.line.amount)).collect();
    // 111.81 x 0.02 / 1.02.
    assert_eq!(shown, [("fuel tax", Amount::parse("2.192352941").unwrap())]);
    let lines: Vec<_> = closed.lines.iter().map(|line| line.key.component.as_str()).collect();
    assert_eq!(lines, ["basic", "contracted", "energy", "lease", "least", "levy", "peak", "sewer", "vat", "energy"]);
    assert_eq!(closed.charges(), Amount::parse("259.83").unwrap(), "230.11 and 29.72 for water");
    let earned = ask(&engine, "SELECT ledger_account FROM ledger_accounts ORDER BY ledger_account").await;
    for name in ["revenue:electricity ", "revenue:electricity:sewer", "revenue:water", "tax:vat"] {
        assert!(earned.contains(name), "{name}\n{earned}");
    }
    engine.handle().file().await.unwrap().unwrap();
    proven(&engine).await;

    assert_eq!(reopen(&engine, "2026-03", "a mistake").await, "");
    assert_eq!(march(&engine).await, fixed);
    assert_eq!(balance(&engine, 1).await, before);
    proven(&engine).await;
    assert_eq!(close(&engine, "2026-03").await, "");
    assert_eq!(march(&engine).await, whole());
    assert_eq!(reopen(&engine, "2026-03", "once more").await, "");
    engine.close().await.unwrap();
    let engine = super::open(folder.path()).await;
    assert_eq!(close(&engine, "2026-03").await, "");
    assert_eq!(march(&engine).await, whole());
    let explained =
        engine.handle().explain_components(AccountId(1), LocalDate::new(2026, 3, 31).unwrap()).await.unwrap().unwrap();
    let sum: Amount =
        explained.iter().filter(|line| line.line.component != "fuel tax").map(|line| line.line.amount).sum();
    // The last day's own 0.25 and 10.00 / 31, and all that is charged for the month.
    assert_eq!(sum, forecast + Amount::parse("0.572580650").unwrap());
    audited(&engine).await;
    engine.close().await.unwrap();
}

#[tokio::test]
async fn late_readings_of_a_closed_month_propose_their_components_with_their_energy_in_any_order() {
    let rows = readings(0..ALL);
    // Hours of the maximum and around it, and some of water alone.
    let is_late = |place: usize| (480..520).contains(&place) || (700..780).contains(&place) && place % 2 == 1;
    let some = |late: bool| rows.iter().enumerate().filter(move |(place, _)| is_late(*place) == late);
    let some = |late: bool| -> Vec<Reading> { some(late).map(|(_, row)| *row).collect() };
    let (late, early) = (some(true), some(false));
    for order in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let mut engine = opened(folder.path(), &site("")).await;
        send(&engine, &early).await;
        assert_eq!(close_as(&engine, "2026-03", Some("some readings come late")).await, "");
        let stated = march(&engine).await;
        let mut late = late.clone();
        if order {
            late.reverse();
        }
        for (place, some) in late.chunks(30).enumerate() {
            send(&engine, some).await;
            match place {
                0 if order => assert_eq!(march(&engine).await, stated, "money follows approval"),
                // What waits is money that nobody owes yet.
                0 => proven(&engine).await,
                1 => approve_all(&engine).await,
                _ => {
                    engine.close().await.unwrap();
                    engine = super::open(folder.path()).await;
                }
            }
        }
        approve_all(&engine).await;
        assert_eq!(march(&engine).await, whole(), "reversed: {order}");
        if order {
            audited(&engine).await;
        }
        engine.close().await.unwrap();
    }
}

#[tokio::test]
async fn what_a_rejected_adjustment_had_assumed_is_proposed_back() {
    let folder = tempfile::tempdir().unwrap();
    let engine = opened(folder.path(), &site("")).await;
    let rows = readings(0..ALL);
    let missing = |hour: i64| usize::try_from(hour * 2).unwrap();
    let without: Vec<Reading> =
        rows.iter().enumerate().filter(|(place, _)| *place != missing(250)).map(|(_, row)| *row).collect();
    send(&engine, &without).await;
    assert_eq!(close_as(&engine, "2026-03", Some("some readings come late")).await, "");
    let stated = march(&engine).await;
    send(&engine, &[rows[missing(250)]]).await;
    let [first] = pending(&engine).await[..] else { panic!("one waits") };
    let told = ask(
        &engine,
        &format!("SELECT DISTINCT component FROM adjustment_lines WHERE adjustment_id = {first} ORDER BY 1"),
    )
    .await;
    for name in ["contracted", "energy", "least", "levy", "peak", "vat"] {
        assert!(told.contains(name), "{told}");
    }
    assert_eq!(decide(&engine, first, false, "finance").await, "");
    assert_eq!((march(&engine).await, pending(&engine).await), (stated, Vec::new()));
    proven(&engine).await;
    engine.close().await.unwrap();
}

#[tokio::test]
async fn a_tenant_change_within_a_month_divides_it_by_days_and_energy() {
    let folder = tempfile::tempdir().unwrap();
    let engine = opened(folder.path(), &site("")).await;
    send(&engine, &readings(0..ALL)).await;
    // Charged to the first tenant already; the change reaches back.
    apply(&engine, &handed_over()).await;
    assert_eq!(close(&engine, "2026-03").await, "");
    let found = march(&engine).await;
    let expected = table(&[
        ("smith basic", "2.75"),
        ("jones basic", "5.00"),
        // 252 hours, with the cold one; 491 hours.
        ("smith energy", "38.16"),
        ("jones energy", "73.65"),
        // 90 % of 5.04 m3 and of 9.82 m3.
        ("smith sewer", "13.61"),
        ("jones sewer", "26.51"),
    ]);
    for (name, sum) in expected {
        let sum = sum.replace("13.610000000", "13.608000000").replace("26.510000000", "26.514000000");
        assert_eq!(found.get(&name), Some(&sum), "{name} of {found:?}");
    }
    // 10.00 by 31 days, the remainder with the last one.
    assert_eq!((found["smith lease"].as_str(), found["jones lease"].as_str()), ("3.548387095", "6.451612905"));
    // Each has its own maximum: 1.7 kW for 11 days, 0.5 kW for 20.
    assert_eq!((found["smith peak"].as_str(), found["jones peak"].as_str()), ("1.206451609", "0.645161296"));
    proven(&engine).await;
    let fresh_folder = tempfile::tempdir().unwrap();
    let fresh = opened(fresh_folder.path(), &handed_over()).await;
    send(&fresh, &readings(0..ALL)).await;
    assert_eq!(close(&fresh, "2026-03").await, "");
    assert_eq!(march(&fresh).await, found, "as if it had been known from the beginning");
    fresh.close().await.unwrap();
    engine.close().await.unwrap();
}

#[tokio::test]
async fn a_version_within_a_month_owes_its_own_days_whenever_it_is_published() {
    let version = format!("[[tariff.version]]\nvalid_from = 2026-03-16\nprice = \"0.40\"\n{COMPONENTS}")
        .replace("price = \"0.25\"", "price = \"0.50\"")
        .replace("rate = \"0.05\"", "rate = \"-0.05\"");
    let mut ledgers = Vec::new();
    for late in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let engine = opened(folder.path(), &site(if late { "" } else { &version })).await;
        send(&engine, &readings(0..ALL)).await;
        if late {
            apply(&engine, &site(&version)).await;
        }
        assert_eq!(close(&engine, "2026-03").await, "");
        if late {
            proven(&engine).await;
        }
        ledgers.push(march(&engine).await);
        engine.close().await.unwrap();
    }
    // 15 x 0.25 + 16 x 0.50.
    assert_eq!(ledgers[0]["smith basic"], "11.750000000");
    assert_eq!(ledgers[0]["smith lease"], "10.000000000");
    assert_eq!(ledgers[0], ledgers[1]);
    // A published version's components are never edited.
    let folder = tempfile::tempdir().unwrap();
    let engine = opened(folder.path(), &site("")).await;
    let refused =
        try_apply(&engine, &site("").replace("rate = \"0.19\"", "rate = \"0.20\"")).await.unwrap_err().to_string();
    assert!(refused.contains("changes a published version (components with basic"), "{refused}");
    engine.close().await.unwrap();
}

#[tokio::test]
async fn an_account_that_ends_within_a_month_is_charged_its_components_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let engine = opened(folder.path(), &site("")).await;
    send(&engine, &readings(0..480)).await;
    let order = CloseAccount {
        account: AccountId(1),
        at: Moment(BEGIN + 480 * HOUR),
        channel: "cash".to_owned(),
        as_measured: None,
        key: "end".to_owned(),
        actor: "desk".to_owned(),
    };
    let closed = engine.handle().close_account(order).await.unwrap().unwrap();
    let found = march(&engine).await;
    assert_eq!(found["smith basic"], "5.000000000");
    assert_eq!(found["smith sewer"], "25.920000000", "90 % of 9.6 m3");
    let vat: Amount = Amount::parse(&found["smith vat"]).unwrap();
    assert!(vat > Amount::ZERO);
    let charged: Amount = found.values().map(|sum| Amount::parse(sum).unwrap()).sum();
    assert_eq!(closed.closing.balance, -charged - Amount::parse("19.20").unwrap(), "with 9.6 m3 of water");
    // Nothing more comes of it, whatever time passes.
    send(&engine, &readings(0..2)).await;
    assert_eq!(march(&engine).await, found);
    proven(&engine).await;
    engine.close().await.unwrap();
}

#[tokio::test]
async fn an_account_that_ends_at_noon_has_its_last_day_in_the_final_bill() {
    let folder = tempfile::tempdir().unwrap();
    let noon = Moment(BEGIN + 468 * HOUR);
    let clock = Clock::manual(noon);
    let engine = Engine::open(folder.path(), Options::new(clock.clone())).await.unwrap();
    apply(&engine, &site("")).await;
    let read = async |rows: &[Reading]| {
        let seq = engine.appender().append(batch(rows, clock.now())).await.unwrap();
        engine.handle().settled(seq).await.unwrap().unwrap();
    };
    read(&readings(0..469)).await;
    let order = CloseAccount {
        account: AccountId(1),
        at: noon,
        channel: "cash".to_owned(),
        as_measured: None,
        key: "end".to_owned(),
        actor: "desk".to_owned(),
    };
    engine.handle().close_account(order).await.unwrap().unwrap();
    let found = march(&engine).await;
    assert_eq!(found["smith basic"], "5.000000000", "20 days of 0.25");
    // Nothing more comes of it as days end.
    clock.advance(50 * HOUR);
    read(&readings(469..500)).await;
    assert_eq!(march(&engine).await["smith basic"], found["smith basic"]);
    assert_eq!(march(&engine).await["smith vat"], found["smith vat"]);
    proven(&engine).await;
    engine.close().await.unwrap();
}

#[tokio::test]
async fn each_planted_fault_is_found_by_the_audit_of_its_component() {
    let folder = tempfile::tempdir().unwrap();
    let engine = opened(folder.path(), &site("")).await;
    send(&engine, &readings(0..ALL)).await;
    assert_eq!(close(&engine, "2026-03").await, "");
    let handle = engine.handle();
    for (name, was, is) in [
        ("fixed_charges_recomputed", r#""Daily":250000"#, r#""Daily":250001"#),
        ("fixed_charges_recomputed", r#""Monthly":10000000"#, r#""Monthly":10000031"#),
        ("shares_recomputed", r#""rate":50000"#, r#""rate":50001"#),
        ("shares_recomputed", r#""rate":190000"#, r#""rate":190001"#),
        ("minimums_recomputed", r#""price":150000000"#, r#""price":150000031"#),
    ] {
        let replace = |from: &'static str, to: &'static str| {
            let book = handle.book().clone();
            async move {
                let mut tx = book.begin().await.unwrap();
                let sql = "UPDATE tariff_versions SET definition = replace(definition, $1, $2)";
                sqlx::query(sql).bind(from).bind(to).execute(tx.conn()).await.unwrap();
                tx.commit().await.unwrap();
            }
        };
        replace(was, is).await;
        let session = QuerySession::new(std::sync::Arc::new(handle.clone()), query::Options::default()).unwrap();
        let found = audit::run_one(&session, name).await.unwrap();
        assert!(found.rows > 0, "{name}: {is}");
        replace(is, was).await;
    }
    proven(&engine).await;
    drop(handle);
    engine.close().await.unwrap();
}

#[tokio::test]
async fn reactive_energy_of_another_service_point_moves_the_power_factor() {
    let folder = tempfile::tempdir().unwrap();
    let component = "\n[[tariff.version.component]]\nname = \"factor\"\nkind = \"power_factor\"\nof = [\"energy\"]\n\
                     steps = [{ at_least = \"0.90\", rate = \"0\" }, { at_least = \"0\", rate = \"0.10\" }]\n";
    // What the second meter measures is kvarh here, and nobody pays for it.
    let text = SITE.replace("COMPONENTS", component).replace("VERSION", "").replacen("END", "", 1);
    let text = text.replace("capacity = \"0.4\"\nsources = { water = \"a/W\" }", "reactive = \"a/W\"");
    let text = text.replace("[[service_point.contract]]\naccount = \"smith\"\ntariff = \"water\"\nEND", "");
    let engine = opened(folder.path(), &text).await;
    let mut rows = readings(0..ALL);
    // 0.4 kvarh for each 0.5 kWh: a factor of 0.78.
    for row in rows.iter_mut().filter(|row| row.meter == MeterId(2)) {
        if let Value::Usage { quantity, .. } = &mut row.value {
            *quantity = Quantity(400);
        }
    }
    send(&engine, &rows).await;
    assert_eq!(close(&engine, "2026-03").await, "");
    assert_eq!(
        march(&engine).await,
        table(&[("smith energy", "111.81"), ("smith factor", "11.18")])
            .into_iter()
            .map(|(name, sum)| (name, sum.replace("11.180000000", "11.181000000")))
            .collect()
    );
    proven(&engine).await;
    engine.close().await.unwrap();
}
