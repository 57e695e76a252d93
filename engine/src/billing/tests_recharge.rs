//! Re-rating charges beside energy; and months in which nothing is used.

use std::collections::BTreeMap;
use std::path::Path;

use kernel::id::{AccountId, ServicePointId};
use kernel::money::Amount;
use kernel::reading::Reading;
use kernel::time::{DAY, HOUR, LocalDate, Moment};
use wal::clock::Clock;

use super::apply::{apply, opened};
use super::components::{ALL, BEGIN, HOURS, SITE, march, proven, readings, site};
use super::periods::{approve_all, ask, close, close_as, pending};
use super::{batch, clock, open, send};
use crate::billing::lines::{LineKey, Sum};
use crate::billing::reprice::{Repriced, RerateOrder};
use crate::billing::supply::load_rerated;
use crate::book::Book;
use crate::engine::{Engine, Options};
use crate::rating::Span;
use crate::rating::compare::Compared;

async fn rerate(engine: &Engine, month: u8, posts: bool) -> Repriced {
    let span = Span { first: LocalDate::new(2026, month, 1).unwrap(), last: LocalDate::new(2026, month, 30).unwrap() };
    let order = RerateOrder { actor: "finance".to_owned(), reason: "a price was wrong".to_owned() };
    let compared = Compared { accounts: None, span };
    engine.handle().rerate(&compared, posts.then_some(&order), 2).await.unwrap().unwrap()
}

/// What differs, by component.
fn by_component(repriced: &Repriced) -> BTreeMap<String, Amount> {
    let mut components = BTreeMap::new();
    for (key, sum) in repriced.differences.iter().flat_map(|point| &point.difference) {
        *components.entry(key.component.as_str().to_owned()).or_insert(Amount::ZERO) += sum.amount;
    }
    components
}

fn lines(repriced: &Repriced) -> BTreeMap<(ServicePointId, LineKey), Sum> {
    let points = repriced.differences.iter();
    points.flat_map(|point| point.difference.iter().map(|(key, sum)| ((point.id, *key), *sum))).collect()
}

fn amounts(rows: &[(&str, &str)]) -> BTreeMap<String, Amount> {
    rows.iter().map(|(name, amount)| ((*name).to_owned(), Amount::parse(amount).unwrap())).collect()
}

/// Opens the folder again after its tariffs were changed behind its back.
async fn changed(engine: Engine, folder: &Path, from: &str, to: &str) -> Engine {
    engine.close().await.unwrap();
    let book = Book::open_or_create(folder, 7, clock().now()).await.unwrap();
    let mut tx = book.begin().await.unwrap();
    let sql =
        "UPDATE tariff_versions SET definition = replace(definition, $1, $2) WHERE definition LIKE '%' || $1 || '%'";
    let done = sqlx::query(sql).bind(from).bind(to).execute(tx.conn()).await.unwrap();
    assert_eq!(done.rows_affected(), 1, "{from}");
    tx.commit().await.unwrap();
    book.close().await;
    open(folder).await
}

async fn closed_march(folder: &Path) -> Engine {
    let engine = opened(folder, &site("")).await;
    send(&engine, &readings(0..ALL)).await;
    assert_eq!(close(&engine, "2026-03").await, "");
    engine
}

#[tokio::test]
async fn a_component_of_a_closed_month_that_was_charged_otherwise_is_proposed_once() {
    let folder = tempfile::tempdir().unwrap();
    let engine = closed_march(folder.path()).await;
    assert_eq!(rerate(&engine, 3, true).await.differences, Vec::new(), "a healthy book differs nowhere");
    let engine = changed(engine, folder.path(), r#""Whole":2000000"#, r#""Whole":3000000"#).await;
    let before = march(&engine).await;
    let found = rerate(&engine, 3, false).await;
    // 1.7 kW more, and 19 % of that.
    assert_eq!(by_component(&found), amounts(&[("peak", "1.7"), ("vat", "0.323")]));
    assert_eq!((march(&engine).await, pending(&engine).await.len()), (before.clone(), 0), "nothing was written");
    assert_eq!(lines(&rerate(&engine, 3, true).await), lines(&found));
    assert_eq!((march(&engine).await, pending(&engine).await.len()), (before, 1), "it waits for another person");
    assert_eq!(rerate(&engine, 3, false).await.differences, Vec::new(), "what waits is known");
    approve_all(&engine).await;
    let after = march(&engine).await;
    assert_eq!((after["smith peak"].as_str(), after["smith vat"].as_str()), ("5.100000000", "37.063395000"));
    assert_eq!(rerate(&engine, 3, true).await.differences, Vec::new());
    proven(&engine).await;
    engine.close().await.unwrap();
}

#[tokio::test]
async fn what_a_person_rejected_by_itself_is_not_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let engine = closed_march(folder.path()).await;
    let engine = changed(engine, folder.path(), r#""Whole":2000000"#, r#""Whole":3000000"#).await;
    rerate(&engine, 3, true).await;
    for id in pending(&engine).await {
        assert_eq!(super::periods::decide(&engine, id, false, "second person").await, "");
    }
    assert_eq!(rerate(&engine, 3, true).await.differences, Vec::new());
    assert_eq!(pending(&engine).await, Vec::<i64>::new());
    // Nobody has decided on another difference: it is found in full.
    let engine = changed(engine, folder.path(), r#""Whole":3000000"#, r#""Whole":4000000"#).await;
    assert_eq!(by_component(&rerate(&engine, 3, true).await), amounts(&[("peak", "3.4"), ("vat", "0.646")]));
    approve_all(&engine).await;
    assert_eq!(march(&engine).await["smith peak"], "6.800000000");
    assert_eq!(rerate(&engine, 3, true).await.differences, Vec::new());
    engine.close().await.unwrap();
}

#[tokio::test]
async fn fixed_charges_of_the_open_month_are_posted_at_once_for_the_days_that_have_ended() {
    let folder = tempfile::tempdir().unwrap();
    let engine = closed_march(folder.path()).await;
    let engine = changed(engine, folder.path(), r#""Daily":250000"#, r#""Daily":260000"#).await;
    let owed =
        ask(&engine, "SELECT count(*) FROM charges WHERE component = 'basic' AND local_date >= '2026-04-01'").await;
    assert!(owed.contains("| 29 "), "{owed}");
    let found = rerate(&engine, 4, false).await;
    assert_eq!(by_component(&found), amounts(&[("basic", "0.29")]), "29 days");
    assert_eq!(lines(&rerate(&engine, 4, true).await), lines(&found));
    assert_eq!(rerate(&engine, 4, true).await.differences, Vec::new());
    assert_eq!(pending(&engine).await, Vec::<i64>::new());
    // In the closed month what is charged for the month follows: 31 x 0.01 more of it, and less to the minimum.
    let found = rerate(&engine, 3, false).await;
    assert_eq!(by_component(&found), amounts(&[("basic", "0.30"), ("least", "-0.31")]), "the span ends on the 30th");
    engine.close().await.unwrap();
}

#[tokio::test]
async fn a_dry_run_shows_the_components_that_differing_energy_brings_about() {
    let folder = tempfile::tempdir().unwrap();
    let engine = closed_march(folder.path()).await;
    let engine = changed(engine, folder.path(), "[300000,", "[310000,").await;
    let found = rerate(&engine, 3, false).await;
    // The 30 days of the span: 360.7 kWh; the minimum takes it all back, the levy stays.
    let energy = by_component(&found)["energy"];
    assert_eq!(by_component(&found)["least"], -energy);
    assert_eq!(by_component(&found)["levy"].0 * 20, energy.0);
    let before = march(&engine).await;
    assert_eq!(by_component(&rerate(&engine, 3, true).await), by_component(&found), "posted is what was shown");
    approve_all(&engine).await;
    let sum = |charges: &BTreeMap<String, String>| -> Amount {
        charges.values().map(|amount| Amount::parse(amount).unwrap()).sum()
    };
    let shown: Amount = by_component(&found).into_values().sum();
    assert_eq!(sum(&march(&engine).await) - sum(&before), shown);
    assert_eq!(rerate(&engine, 3, true).await.differences, Vec::new());
    engine.close().await.unwrap();
}

/// Shops that use nothing and owe a minimum.
fn shops(count: usize) -> String {
    let tariff = SITE.find("[[tariff]]\nname = \"water\"").map_or(SITE, |end| &SITE[..end]);
    let least =
        "[[tariff.version.component]]\nname = \"least\"\nkind = \"minimum\"\nprice = \"10.00\"\nof = [\"energy\"]\n";
    let shop = |number: usize| {
        format!(
            "[[account]]\nname = \"{number}\"\n[[service_point]]\nname = \"s/{number}\"\nutility = \"electricity\"\n\
             account = \"{number}\"\ntariff = \"power\"\n"
        )
    };
    tariff.replace("COMPONENTS", least).replace("VERSION", "") + &(0..count).map(shop).collect::<String>()
}

#[tokio::test]
async fn the_writer_is_visited_only_for_what_differs_and_is_to_be_posted_sixteen_service_points_at_once() {
    let visits = async |engine: &Engine| -> i64 {
        let sql = "SELECT count(*) FROM audit_log WHERE kind = 'rerate'";
        sqlx::query_scalar(sql).fetch_one(engine.handle().book().reader()).await.unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let engine = opened(folder.path(), &shops(20)).await;
    assert_eq!(close(&engine, "2026-03").await, "");
    assert_eq!((rerate(&engine, 3, true).await.differences, visits(&engine).await), (Vec::new(), 0));
    let engine = changed(engine, folder.path(), ":10000000", ":10500000").await;
    let found = rerate(&engine, 3, false).await;
    assert_eq!((by_component(&found), visits(&engine).await), (amounts(&[("least", "10")]), 0), "0.50 of each");
    assert_eq!(lines(&rerate(&engine, 3, true).await), lines(&found));
    assert_eq!((visits(&engine).await, pending(&engine).await.len()), (2, 20));
    assert_eq!((rerate(&engine, 3, true).await.differences, visits(&engine).await), (Vec::new(), 2));
    proven(&engine).await;
    engine.close().await.unwrap();
}

/// Hours of April and of a day more.
fn april() -> Vec<Reading> {
    readings(HOURS..HOURS + 744)
}

#[tokio::test]
async fn a_month_without_usage_owes_what_is_fixed_and_its_minimum_and_cannot_be_left_out() {
    let least =
        "[[tariff.version.component]]\nname = \"least\"\nkind = \"minimum\"\nprice = \"150.00\"\nof = [\"energy\"]\n";
    let whole = site("");
    let alone = SITE.replace("COMPONENTS", least).replace("VERSION", "").replace("END", "");
    let alone = alone.replace("capacity = \"0.4\"\nsources = { water = \"a/W\" }\n", "");
    let due: [(&str, &[(&str, &str)]); 2] = [
        (
            &whole,
            &[
                ("smith basic", "7.75"),
                // 0.4 kW x 1.50.
                ("smith contracted", "0.60"),
                ("smith lease", "10"),
                ("smith least", "132.25"),
                // 19 % of 150.60.
                ("smith vat", "28.614"),
            ],
        ),
        (&alone, &[("smith least", "150")]),
    ];
    for (text, due) in due {
        let folder = tempfile::tempdir().unwrap();
        let now = Clock::manual(Moment(BEGIN + (HOURS + 720) * HOUR + DAY));
        let engine = Engine::open(folder.path(), Options::new(now.clone())).await.unwrap();
        apply(&engine, text).await;
        let seq = engine.appender().append(batch(&april(), now.now())).await.unwrap();
        engine.handle().settled(seq).await.unwrap().unwrap();
        let refused = close(&engine, "2026-04").await;
        assert!(refused.contains("2026-03 is still open"), "{refused}");
        let measured = close(&engine, "2026-03").await;
        assert_eq!(measured.contains("a/E of smith (743:00 h without"), text.contains("\"demand\""), "{measured}");
        if !measured.is_empty() {
            assert_eq!(close_as(&engine, "2026-03", Some("nobody lived there")).await, "");
        }
        let charged = march(&engine).await.into_iter().map(|(name, sum)| (name, Amount::parse(&sum).unwrap()));
        assert_eq!(charged.collect::<BTreeMap<_, _>>(), amounts(due));
        proven(&engine).await;
        assert_eq!(close(&engine, "2026-04").await, "");
        engine.close().await.unwrap();
    }
}

#[tokio::test]
async fn days_that_a_clock_ahead_has_charged_are_taken_back_and_charged_when_they_end() {
    let folder = tempfile::tempdir().unwrap();
    let engine = closed_march(folder.path()).await;
    let sum = "SELECT sum(amount) AS s FROM charges WHERE component = 'basic' AND local_date >= '2026-04-01'";
    let ahead = ask(&engine, sum).await;
    assert!(ahead.contains("7.25"), "29 days of 0.25: {ahead}");
    engine.close().await.unwrap();
    // It is the 10th of April in truth.
    let right = Clock::manual(Moment(BEGIN + (HOURS + 9 * 24) * HOUR + HOUR));
    let engine = Engine::open(folder.path(), Options::new(right.clone())).await.unwrap();
    let found = rerate(&engine, 4, true).await;
    assert_eq!(by_component(&found)["basic"], Amount::parse("-4.75").unwrap(), "the 11th to the 29th");
    assert!(ask(&engine, sum).await.contains("2.50"));
    assert_eq!(rerate(&engine, 4, true).await.differences, Vec::new());
    proven(&engine).await;
    engine.close().await.unwrap();
    let engine = open(folder.path()).await;
    assert_eq!(rerate(&engine, 4, true).await.differences, Vec::new());
    assert_eq!(ask(&engine, sum).await, ahead, "each day once");
    proven(&engine).await;
    engine.close().await.unwrap();
}

#[tokio::test]
async fn days_ahead_in_a_closed_month_are_an_adjustment_and_not_charged_again() {
    let folder = tempfile::tempdir().unwrap();
    let engine = closed_march(folder.path()).await;
    engine.close().await.unwrap();
    // It is the 20th of March in truth.
    let right = Clock::manual(Moment(BEGIN + 19 * DAY + HOUR));
    let engine = Engine::open(folder.path(), Options::new(right.clone())).await.unwrap();
    let span = Span { first: LocalDate::new(2026, 3, 1).unwrap(), last: LocalDate::new(2026, 4, 30).unwrap() };
    let order = RerateOrder { actor: "finance".to_owned(), reason: "the clock was ahead".to_owned() };
    let compared = Compared { accounts: None, span };
    let found = engine.handle().rerate(&compared, Some(&order), 2).await.unwrap().unwrap();
    assert_eq!(by_component(&found)["basic"], Amount::parse("-10").unwrap(), "11 days of March and 29 of April");
    for id in pending(&engine).await {
        assert_eq!(super::periods::decide(&engine, id, false, "second person").await, "");
    }
    engine.close().await.unwrap();
    let engine = open(folder.path()).await;
    let sum = "SELECT sum(amount) AS s FROM charges WHERE component = 'basic'";
    assert!(ask(&engine, sum).await.contains(" 15.00"), "31 and 29 days, each once: {}", ask(&engine, sum).await);
    engine.close().await.unwrap();
}

#[tokio::test]
async fn a_contract_older_than_the_table_of_days_owes_its_days_from_the_first_of_the_table() {
    let folder = tempfile::tempdir().unwrap();
    let components = "[[tariff.version.component]]\nname = \"basic\"\nkind = \"daily\"\nprice = \"0.25\"\n\
                      [[tariff.version.component]]\nname = \"least\"\nkind = \"minimum\"\nprice = \"150.00\"\n\
                      of = [\"energy\"]\n";
    let text = SITE.replace("COMPONENTS", components).replace("VERSION", "").replace("END", "from = 1999-12-01");
    let text = text.replace("capacity = \"0.4\"\nsources = { water = \"a/W\" }\n", "");
    let text = text.replace("from = 2026-03-01", "from = 1999-12-01");
    let engine = opened(folder.path(), &text).await;
    send(&engine, &readings(0..ALL)).await;
    let close = crate::billing::closing::CloseAccount {
        account: AccountId(1),
        at: Moment(BEGIN + HOURS * HOUR),
        channel: "cash".to_owned(),
        as_measured: None,
        key: "end".to_owned(),
        actor: "desk".to_owned(),
    };
    engine.handle().close_account(close).await.unwrap().unwrap();
    // 26 years of which 7 are leap years, and 90 days.
    assert_eq!(march(&engine).await["smith basic"], "2396.750000000", "9587 days of 0.25");
    let first = ask(&engine, "SELECT min(local_date) AS d FROM charges WHERE component = 'least'").await;
    assert!(first.contains("2000-01-31"), "{first}");
    proven(&engine).await;
    engine.close().await.unwrap();
}

#[tokio::test]
async fn many_days_charged_at_once_count_for_cut_off_only_after_their_notice_time() {
    let folder = tempfile::tempdir().unwrap();
    let engine = opened(folder.path(), &site("")).await;
    send(&engine, &readings(0..ALL)).await;
    engine.close().await.unwrap();
    let opened_at = clock().now();
    for (days, held) in [(30, false), (70, true)] {
        let now = Clock::manual(opened_at.plus(days * DAY));
        let engine = Engine::open(folder.path(), Options::new(now.clone())).await.unwrap();
        let seq = engine.appender().append(batch(&readings(0..1), now.now())).await.unwrap();
        engine.handle().settled(seq).await.unwrap().unwrap();
        let rerated = load_rerated(engine.handle().book()).await.unwrap();
        assert_eq!(rerated.get(&AccountId(1)) == Some(&now.now()), held, "{days} days later");
        engine.close().await.unwrap();
    }
}
