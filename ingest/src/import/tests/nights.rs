//! Nights on which the clocks change, as files of local time hold them.

use super::*;

async fn instants(zone: &str, times: &[&str]) -> (Vec<String>, Vec<String>) {
    let bench = bench();
    let rows: String = times.iter().enumerate().map(|(row, time)| format!("E1,{time},{row}\n")).collect();
    let options = ImportOptions { time_zone: Some(zone.to_owned()), ..registers() };
    let file = bench.file("file.csv", format!("meter,time,value\n{rows}"));
    let result = bench.import(&file, &options).await;
    assert!(result.is_ok() || matches!(result, Err(ImportError::NothingAccepted { .. })), "{result:?}");
    let shown = bench.rows().into_iter().map(|row| format!("{}={}", row.3 / 100, &Moment(row.1).to_string()[8..16]));
    let refused = bench.refused().into_iter().map(|line| {
        let fields: Vec<&str> = line.split(',').collect();
        format!("{}={}", fields[0], fields[4])
    });
    (shown.collect(), refused.collect())
}

#[tokio::test]
async fn the_doubled_hour_is_told_by_the_order_of_the_rows() {
    // Rows are numbered from 0; the list of refused rows counts lines, the first row being line 2.
    type Case = (&'static str, &'static [&'static str], &'static [&'static str], &'static [&'static str]);
    const MADRID: &str = "Europe/Madrid";
    const LORD_HOWE: &str = "Australia/Lord_Howe";
    let cases: [Case; 12] = [
        // 25 October 2026: 03:00 becomes 02:00.
        (
            MADRID,
            &["2026-10-25 01:00", "2026-10-25 02:00", "2026-10-25 02:00", "2026-10-25 03:00"],
            &["0=24T23:00", "1=25T00:00", "2=25T01:00", "3=25T02:00"],
            &[],
        ),
        (
            MADRID,
            &["2026-10-25 02:00", "2026-10-25 02:30", "2026-10-25 02:00", "2026-10-25 02:30", "2026-10-25 03:00"],
            &["0=25T00:00", "1=25T00:30", "2=25T01:00", "3=25T01:30", "4=25T02:00"],
            &[],
        ),
        (
            MADRID,
            &["2026-10-25 01:30", "2026-10-25 02:00", "2026-10-25 02:00", "2026-10-25 02:30", "2026-10-25 02:30"],
            &["0=24T23:30", "1=25T00:00", "2=25T01:00", "3=25T00:30", "4=25T01:30"],
            &[],
        ),
        (
            MADRID,
            &["2026-10-25 03:00", "2026-10-25 02:00", "2026-10-25 02:00", "2026-10-25 01:00"],
            &["0=25T02:00", "1=25T01:00", "2=25T00:00", "3=24T23:00"],
            &[],
        ),
        (
            MADRID,
            &["2026-10-25 01:00", "2026-10-25 02:00", "2026-10-25 03:00"],
            &["0=24T23:00", "2=25T02:00"],
            &["3=ambiguous_time"],
        ),
        (MADRID, &["2026-10-25 02:10", "2026-10-25 02:50"], &[], &["2=ambiguous_time", "3=ambiguous_time"]),
        (
            MADRID,
            &["2026-10-25 01:00", "2026-10-25 02:00", "2026-10-25 02:00", "2026-10-25 02:00"],
            &["0=24T23:00"],
            &["3=ambiguous_time", "4=ambiguous_time", "5=ambiguous_time"],
        ),
        // An offset decides.
        (MADRID, &["2026-10-25 02:00+01:00", "2026-10-25 02:00+02:00"], &["0=25T01:00", "1=25T00:00"], &[]),
        // 29 March 2026: 02:00 becomes 03:00.
        (
            MADRID,
            &["2026-03-29 01:59", "2026-03-29 02:00", "2026-03-29 02:59", "2026-03-29 03:00"],
            &["0=29T00:59", "3=29T01:00"],
            &["3=nonexistent_time", "4=nonexistent_time"],
        ),
        // Half an hour: on 5 April 2026 02:00 becomes 01:30, on 4 October 02:00 becomes 02:30.
        (
            LORD_HOWE,
            &["2026-04-05 01:00", "2026-04-05 01:30", "2026-04-05 01:30", "2026-04-05 02:00"],
            &["0=04T14:00", "1=04T14:30", "2=04T15:00", "3=04T15:30"],
            &[],
        ),
        (LORD_HOWE, &["2026-04-05 01:00", "2026-04-05 02:00"], &["0=04T14:00", "1=04T15:30"], &[]),
        (
            LORD_HOWE,
            &["2026-10-04 01:30", "2026-10-04 02:00", "2026-10-04 02:29", "2026-10-04 02:30"],
            &["0=03T15:00", "3=03T15:30"],
            &["3=nonexistent_time", "4=nonexistent_time"],
        ),
    ];
    for (zone, times, expected, refused) in cases {
        let (got, not) = instants(zone, times).await;
        assert_eq!(
            (got, not),
            (expected.iter().map(|t| (*t).to_owned()).collect(), refused.iter().map(|t| (*t).to_owned()).collect()),
            "{zone} {times:?}"
        );
    }
}

#[tokio::test]
async fn each_meter_decides_its_own_night_also_where_rows_alternate() {
    let bench = bench();
    let text = "time,E1,E2\n2026-10-25 01:00,1,11\n2026-10-25 02:00,2,\n2026-10-25 02:00,3,13\n2026-10-25 03:00,4,14\n";
    let options = ImportOptions { layout: Layout::Wide, time_zone: Some("Europe/Madrid".to_owned()), ..hourly() };
    let summary = bench.text(text, &options).await;
    let mut rows: Vec<(String, i64, i64)> =
        bench.rows().into_iter().map(|(meter, _, start, value)| (meter, start.unwrap(), value / 1_000)).collect();
    rows.sort();
    let first = at("2026-10-24T23:00:00Z");
    let row = |meter: &str, hour: i64, value: i64| (meter.to_owned(), first + hour * HOUR, value);
    // A missing value keeps its place in the order of the rows.
    let expected = [
        row("E1", 0, 1),
        row("E1", 1, 2),
        row("E1", 2, 3),
        row("E1", 3, 4),
        row("E2", 0, 11),
        row("E2", 2, 13),
        row("E2", 3, 14),
    ];
    assert_eq!(rows, expected);
    assert_eq!((summary.missing, summary.refused.total()), (1, 0));
}
