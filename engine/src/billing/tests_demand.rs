//! Demand that readings do not tell in whole: seen in review, refused at the close, charged as measured when somebody says why.

use kernel::gap::Outage;
use kernel::id::{AccountId, MeterId};
use kernel::reading::{Reading, Value};
use kernel::time::{DAY, HOUR, Moment};

use super::apply::{apply, hourly, opened};
use super::components::{ALL, BEGIN, SITE, march, proven, readings, site};
use super::periods::{SITE as YARD, ask, close, close_as, month};
use super::{MARCH, clock, send};
use crate::billing::closing::CloseAccount;
use crate::billing::outages::StateOutage;
use crate::billing::supply::load_rerated;
use crate::engine::{Engine, Options};

async fn review(engine: &Engine) -> String {
    let missing = engine.handle().review_period(vec![YARD], month("2026-03"), "finance").await.unwrap().unwrap();
    missing.join("\n")
}

#[tokio::test]
async fn a_month_whose_demand_is_not_known_in_whole_is_closed_only_when_told_why() {
    let folder = tempfile::tempdir().unwrap();
    let engine = opened(folder.path(), &site("")).await;
    let rows = readings(0..ALL);
    // Ten hours of the electricity meter, the one of the maximum among them.
    let missing = |place: usize| (490..510).contains(&place) && place.is_multiple_of(2);
    let some: Vec<_> = rows.iter().enumerate().filter(|(place, _)| !missing(*place)).map(|(_, row)| *row).collect();
    send(&engine, &some).await;
    let told = "a/E of smith (10:00 h without readings, or with more than 2 h between them)";
    for refused in [close(&engine, "2026-03").await, review(&engine).await] {
        assert!(refused.contains(told) && refused.contains("--demand-as-measured"), "{refused}");
    }
    assert!(close_as(&engine, "2026-03", Some(" ")).await.contains("without a reason"));
    assert_eq!(close_as(&engine, "2026-03", Some("the meter was being changed")).await, "");
    assert_eq!(march(&engine).await["smith peak"], "1.000000000", "0.5 kW is what was measured");
    let kept = ask(&engine, "SELECT reason FROM periods").await;
    assert!(kept.contains("the meter was being changed"), "{kept}");
    engine.close().await.unwrap();
}

/// One register of electricity at a/E, and demand at 2.00 a kW.
fn registered() -> String {
    let demand =
        "[[tariff.version.component]]\nname = \"peak\"\nkind = \"demand\"\nprice = \"2.00\"\nwindow = \"60m\"\n";
    let text = SITE.replace("COMPONENTS", demand).replace("VERSION", "").replace("END", "");
    let text = text.replace("capacity = \"0.4\"\nsources = { water = \"a/W\" }\n", "");
    let text = text.replacen("kind = \"usage\"", "profile = \"acrel-dtsy1352\"\nrating = \"75 kW\"", 1);
    text[..text.rfind("[[meter]]").unwrap()].to_owned()
}

#[tokio::test]
async fn a_stated_outage_at_an_edge_of_an_interval_makes_no_demand_and_no_doubt() {
    let folder = tempfile::tempdir().unwrap();
    let engine = opened(folder.path(), &registered()).await;
    // 0.5 kW all the time; read again 9 hours later, thrice.
    let rows = hourly(-1..ALL + 10, |hour| 1_100 + hour * 50);
    let silent = |hour: i64| [100, 200, 300].iter().any(|from| (from + 1..from + 9).contains(&hour));
    let some: Vec<Reading> = (-1..).zip(&rows).filter(|(hour, _)| !silent(*hour)).map(|(_, row)| *row).collect();
    send(&engine, &some).await;
    let refused = close(&engine, "2026-03").await;
    assert!(refused.contains("a/E of smith (27:00 h without"), "{refused}");
    // At its beginning, at its end, in its middle: an hour or so was left to measure something in.
    for (from, to) in [(100, 108), (201, 209), (301, 308)] {
        let outage = Outage { meter: MeterId(1), from: Moment(MARCH + from * HOUR), to: Moment(MARCH + to * HOUR) };
        let order = StateOutage { outage, withdraw: false, reason: "transformer".into(), actor: "operator".into() };
        engine.handle().state_outage(order).await.unwrap().unwrap();
    }
    assert_eq!(close(&engine, "2026-03").await, "");
    assert_eq!(march(&engine).await["smith peak"], "1.000000000", "0.5 kW, as it was measured");
    proven(&engine).await;
    engine.close().await.unwrap();
}

#[tokio::test]
async fn an_outage_in_which_something_flowed_leaves_demand_in_doubt() {
    let folder = tempfile::tempdir().unwrap();
    let engine = opened(folder.path(), &registered()).await;
    let rows = hourly(-1..ALL + 10, |hour| 1_100 + hour * 50);
    let some: Vec<Reading> =
        (-1..).zip(&rows).filter(|(hour, _)| !(101..109_i64).contains(hour)).map(|(_, row)| *row).collect();
    send(&engine, &some).await;
    let outage = Outage { meter: MeterId(1), from: Moment(MARCH + 99 * HOUR), to: Moment(MARCH + 110 * HOUR) };
    let order = StateOutage { outage, withdraw: false, reason: "transformer".into(), actor: "operator".into() };
    engine.handle().state_outage(order).await.unwrap().unwrap();
    let refused = close(&engine, "2026-03").await;
    assert!(refused.contains("a/E of smith (9:00 h without"), "{refused}");
    engine.close().await.unwrap();
}

#[tokio::test]
async fn an_exchange_of_meters_is_two_intervals_and_the_maximum_that_of_one() {
    let folder = tempfile::tempdir().unwrap();
    // The 6th of March, 00:00 local, is 119 hours after the 1st, 01:00.
    let text = registered().replacen(
        "service_point = \"a/E\"\n",
        "service_point = \"a/E\"\nuntil = 2026-03-06\nclosing_count = 7150\n",
        1,
    ) + "[[meter]]\nserial = \"E2\"\nprofile = \"acrel-dtsy1352\"\nrating = \"75 kW\"\nservice_point = \"a/E\"\n\
         from = 2026-03-06\nopening_count = 100\n";
    let engine = opened(folder.path(), &text).await;
    // The old meter's last hour took 1.5 kWh.
    let mut rows = hourly(-1..119, |hour| 1_100 + hour * 50);
    for mut row in hourly(120..ALL + 10, |hour| 100 + (hour - 119) * 50) {
        row.meter = MeterId(2);
        rows.push(row);
    }
    let Value::Register(last) = rows[119].value else { panic!("a register") };
    assert_eq!(last, 7_000);
    send(&engine, &rows).await;
    assert_eq!(close(&engine, "2026-03").await, "");
    assert_eq!(march(&engine).await["smith peak"], "3.000000000", "1.5 kW, not the mean of both meters' hours");
    proven(&engine).await;
    engine.close().await.unwrap();
}

#[tokio::test]
async fn a_register_that_was_silent_for_hours_tells_of_energy_and_not_of_demand() {
    let folder = tempfile::tempdir().unwrap();
    let engine = opened(folder.path(), &registered()).await;
    let rows = hourly(-1..ALL + 10, |hour| 1_100 + hour * 50);
    let silent = |place: usize| (300..305).contains(&place);
    let some: Vec<_> = rows.iter().enumerate().filter(|(place, _)| !silent(*place)).map(|(_, row)| *row).collect();
    send(&engine, &some).await;
    let refused = close(&engine, "2026-03").await;
    assert!(refused.contains("a/E of smith (6:00 h without"), "{refused}");
    // The readings come, and all is told.
    send(&engine, &rows).await;
    assert_eq!(close(&engine, "2026-03").await, "");
    engine.close().await.unwrap();
}

#[tokio::test]
async fn a_final_bill_whose_demand_is_not_known_in_whole_is_refused_until_told_why() {
    let rows = readings(0..ALL);
    let missing = |place: usize| (490..510).contains(&place) && place.is_multiple_of(2);
    let some: Vec<_> = rows.iter().enumerate().filter(|(place, _)| !missing(*place)).map(|(_, row)| *row).collect();
    let order = |hours: i64, why: Option<&str>| CloseAccount {
        account: AccountId(1),
        at: Moment(BEGIN + hours * HOUR),
        channel: "cash".to_owned(),
        as_measured: why.map(str::to_owned),
        key: format!("end {hours}"),
        actor: "desk".to_owned(),
    };
    // What is missing after its end is not its own.
    for (hours, why) in [(480, Some("the meter was being changed")), (240, None)] {
        let folder = tempfile::tempdir().unwrap();
        let engine = opened(folder.path(), &site("")).await;
        send(&engine, &some).await;
        let before = march(&engine).await;
        let refused = engine.handle().close_account(order(480, None)).await.unwrap().unwrap_err().to_string();
        assert!(refused.contains("2026-03 at a/E of smith (10:00 h without"), "{refused}");
        assert!(refused.contains("--demand-as-measured"), "{refused}");
        let refused = engine.handle().close_account(order(480, Some(" "))).await.unwrap().unwrap_err().to_string();
        assert!(refused.contains("without a reason"), "{refused}");
        assert_eq!(march(&engine).await, before, "nothing was changed");
        engine.handle().close_account(order(hours, why)).await.unwrap().unwrap();
        assert!(march(&engine).await.contains_key("smith peak"));
        let sql = "SELECT detail FROM audit_log WHERE kind = 'account_closed'";
        let handle = engine.handle();
        let kept: String = sqlx::query_scalar(sql).fetch_one(handle.book().reader()).await.unwrap();
        drop(handle);
        assert_eq!(kept.contains("the meter was being changed"), why.is_some(), "{kept}");
        proven(&engine).await;
        engine.close().await.unwrap();
    }
}

#[tokio::test]
async fn what_a_close_charges_at_once_counts_for_cut_off_only_after_its_notice_time() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let engine = Engine::open(folder.path(), Options::new(clock.clone())).await.unwrap();
    apply(&engine, &site("")).await;
    send(&engine, &readings(0..ALL)).await;
    clock.advance(2 * DAY);
    let before = engine.handle().balances().await.unwrap().get(&AccountId(1)).unwrap().balance;
    assert_eq!(close(&engine, "2026-03").await, "");
    assert!(engine.handle().balances().await.unwrap().get(&AccountId(1)).unwrap().balance < before);
    // Kept in the book, as for a re-rate: the review of such a change holds a cut, also after a restart.
    let rerated = load_rerated(engine.handle().book()).await.unwrap();
    assert_eq!(rerated.get(&AccountId(1)), Some(&clock.now()));
    assert_eq!(rerated.get(&AccountId(2)), None, "nothing was charged to the other");
    engine.close().await.unwrap();
}
