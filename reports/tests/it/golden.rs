//! Every report in every format that is text, against the files in `reports/tests/golden`; and its pictures.

use std::path::Path;

use reports::{Format, Params, ReportError, list, render, run};

use crate::fixture::Fixture;
use crate::updating;

fn compare(name: &str, found: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if updating() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, found).unwrap();
    }
    let expected = std::fs::read(&path).unwrap_or_default();
    assert!(expected == found, "{name} differs; found:\n{}", String::from_utf8_lossy(found));
}

#[tokio::test]
async fn every_report_prints_what_its_golden_files_say() {
    let fixture = Fixture::new().await;
    for info in list() {
        let report = run(&fixture.session, info.name, Params::Default).await.unwrap();
        assert!(report.row_count() > 0, "{} is empty", info.name);
        let documented: Vec<&str> = info.header.columns.iter().map(|column| column.name.as_str()).collect();
        let names: Vec<&str> = report.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, documented, "{}", info.name);
        for (format, extension) in [(Format::Table, "txt"), (Format::Csv, "csv"), (Format::Json, "json")] {
            compare(&format!("{}.{extension}", info.name), &render(&report, format).unwrap());
        }
    }
}

/// A payment that bounced in part, a refund, and money in suspense that found its owner.
const ORDERS: &str = "DELETE FROM transfers WHERE id = 8;
    INSERT INTO transfers SELECT 9, 'reversal', credit_id, debit_id, '20.500000000', account_id, NULL, id, booked_at, \
    effective_at, 'bounced' FROM transfers WHERE id = 2;
    INSERT INTO transfers SELECT 10, 'suspense_assignment', credit_id, 2, amount, 2, NULL, id, booked_at, effective_at, \
    'found' FROM transfers WHERE id = 6";

#[tokio::test]
async fn income_is_gross_less_what_was_reversed_and_refunded_by_channel() {
    let fixture = Fixture::new().await;
    fixture.execute(ORDERS).await;
    let month = Params::parse(None, None, Some("2026-09"), None).unwrap();
    let report = run(&fixture.session, "income", month).await.unwrap();
    compare("income-orders.csv", &render(&report, Format::Csv).unwrap());
}

#[tokio::test]
async fn every_report_with_a_chart_draws_it_without_a_font_of_the_machine() {
    let fixture = Fixture::new().await;
    for info in list() {
        let report = run(&fixture.session, info.name, Params::Default).await.unwrap();
        if info.header.chart.is_none() {
            assert!(matches!(render(&report, Format::Png), Err(ReportError::NoChart { .. })), "{}", info.name);
            continue;
        }
        let png = render(&report, Format::Png).unwrap();
        let svg = String::from_utf8(render(&report, Format::Svg).unwrap()).unwrap();
        assert!(png.starts_with(b"\x89PNG") && png.len() > 10_000, "{}: {} bytes", info.name, png.len());
        assert!(svg.contains("<rect") && svg.contains("<path") && !svg.contains("<text"), "{}", info.name);
        if let Some(folder) = std::env::var_os("KEEP_CHARTS") {
            let folder = Path::new(&folder);
            std::fs::write(folder.join(format!("{}.png", info.name)), png).unwrap();
            std::fs::write(folder.join(format!("{}.svg", info.name)), svg).unwrap();
        }
    }
}

#[tokio::test]
async fn an_unknown_report_and_a_period_without_data_say_so() {
    let fixture = Fixture::new().await;
    let unknown = run(&fixture.session, "weekly", Params::Default).await.unwrap_err().to_string();
    assert!(unknown.contains("weekly") && unknown.contains("daily-energy"), "{unknown}");
    let empty = Params::parse(None, None, Some("2019-01"), None).unwrap();
    let report = run(&fixture.session, "daily-energy", empty).await.unwrap();
    assert_eq!(report.row_count(), 0);
    assert!(render(&report, Format::Table).is_ok() && render(&report, Format::Svg).is_err());
}
