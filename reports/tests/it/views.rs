//! What people see in SQL.

use crate::fixture::Fixture;
use engine::query::catalogue;

#[tokio::test]
async fn every_view_answers_with_the_columns_that_its_header_documents() {
    let fixture = Fixture::new().await;
    for view in catalogue() {
        let table = fixture.session.query(&format!("SELECT * FROM {}", view.name)).await.unwrap();
        let names: Vec<&str> = table.schema.fields().iter().map(|field| field.name().as_str()).collect();
        let documented: Vec<&str> = view.header.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, documented, "{}", view.name);
        // No meter of this site is silent, so that nothing is estimated; and nobody stated an outage.
        let empty = ["estimates", "outages"].contains(&view.name);
        assert!(table.row_count() > 0 || empty, "{} is empty", view.name);
    }
}

async fn plan(fixture: &Fixture, sql: &str) -> String {
    let rows = fixture.session.query(&format!("EXPLAIN {sql}")).await.unwrap();
    let text = reports::render_rows(&rows, reports::Format::Csv).unwrap();
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn files_of_other_months_are_never_opened() {
    let fixture = Fixture::new().await;
    let daily = plan(
        &fixture,
        "SELECT sum(cost) FROM usage_daily WHERE local_date BETWEEN DATE '2026-09-01' AND DATE '2026-09-30'",
    )
    .await;
    assert!(
        daily.contains("month=2026-09") && !daily.contains("month=2025") && !daily.contains("month=2026-03"),
        "{daily}"
    );
    let readings = plan(&fixture, "SELECT count(*) FROM readings WHERE time >= '2026-10-01T00:00:00Z'").await;
    assert!(readings.contains("month=2026-10") && !readings.contains("month=2026-09"), "{readings}");
}

#[tokio::test]
async fn lag_over_readings_merges_files_and_hot_rows_instead_of_sorting() {
    let fixture = Fixture::new().await;
    let lag = "SELECT lag(value) OVER (PARTITION BY meter_id ORDER BY time) FROM lake.readings";
    let plan = plan(&fixture, lag).await;
    assert!(!plan.contains("SortExec") && plan.contains("output_ordering"), "{plan}");
}

#[tokio::test]
async fn joins_hash_the_book_and_stream_the_lake() {
    let fixture = Fixture::new().await;
    for sql in ["SELECT * FROM charges", "SELECT * FROM readings", "SELECT * FROM intervals WHERE kind = 'usage'"] {
        let plan = plan(&fixture, sql).await;
        let physical = plan.split("physical_plan").last().unwrap();
        // A hash join's first child is hashed: no file may be read in it.
        let depth = |line: &str| line.len() - line.trim_start().len();
        let lines: Vec<&str> = physical.lines().collect();
        for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.contains("HashJoinExec")) {
            let first = &lines[at + 1..];
            let inside = first.iter().skip(1).take_while(|inner| depth(inner) > depth(line) + 2);
            assert!(
                first.iter().take(1).chain(inside).all(|inner| !inner.contains("file_groups")),
                "{sql}\n{physical}"
            );
        }
    }
}
