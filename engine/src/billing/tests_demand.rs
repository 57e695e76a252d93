//! Demand that readings do not tell in whole: seen in review, refused at the close, charged as measured when somebody says why.

use kernel::id::AccountId;
use kernel::time::DAY;

use super::apply::{apply, hourly, opened};
use super::components::{ALL, SITE, march, readings, site};
use super::periods::{SITE as YARD, ask, close, close_as, month};
use super::{clock, send};
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

#[tokio::test]
async fn a_register_that_was_silent_for_hours_tells_of_energy_and_not_of_demand() {
    let folder = tempfile::tempdir().unwrap();
    let demand =
        "[[tariff.version.component]]\nname = \"peak\"\nkind = \"demand\"\nprice = \"2.00\"\nwindow = \"60m\"\n";
    let text = SITE.replace("COMPONENTS", demand).replace("VERSION", "").replace("END", "");
    let text = text.replace("capacity = \"0.4\"\nsources = { water = \"a/W\" }\n", "");
    let text = text.replacen("kind = \"usage\"", "profile = \"acrel-dtsy1352\"\nrating = \"75 kW\"", 1);
    let text = &text[..text.rfind("[[meter]]").unwrap()];
    let engine = opened(folder.path(), text).await;
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
