//! Units, registers, intervals: what a number in a file becomes.

use super::*;

const USAGE: States = States::Usage { interval: Some(HOUR), time_marks: TimeMarks::Start };

#[tokio::test]
async fn a_value_is_converted_by_its_unit_and_its_meter() {
    // meter, value, unit, as usage in 1/1000 of the billing unit, as register count
    let cases = [
        ("E1", "0.1", None, Some(100), Some(10)),
        ("E1", "12.345", Some("kWh"), Some(12_345), Some(1_234)),
        ("E1", "12.355", Some("kWh"), Some(12_355), Some(1_236)),
        ("E1", "1234.5", Some("Wh"), Some(1_234), Some(123)),
        ("E1", "0.0012345", Some("MWh"), Some(1_234), Some(123)),
        ("E1", "99999678", Some("counts"), None, Some(99_999_678)),
        ("E1", "-2", None, Some(-2_000), Some(-200)),
        ("W1", "1.5", None, Some(1_500), Some(1_500)),
        ("W1", "207774", Some("L"), Some(207_774), Some(207_774)),
        ("W1", "2.5", Some("L"), Some(2), Some(2)),
        ("W1", "1", Some("ccf"), Some(2_832), Some(2_832)),
        ("H1", "3.6", Some("GJ"), Some(1_000_000), Some(1_000)),
        ("H1", "1", Some("GJ"), Some(277_778), Some(278)),
        ("G1", "1", Some("m3"), Some(1_000), None),
    ];
    for (serial, value, unit, usage, register) in cases {
        let unit = unit.map(|unit| unit.parse().unwrap());
        let text = format!("meter,time,value\n{serial},2020-01-01T00:00:00Z,{value}\n");
        for (states, expected) in [(USAGE, usage), (States::Register, register)] {
            let only = bench().intake.meters().by_serial(serial).unwrap().clone();
            let bench = bench_of(vec![only]);
            let file = bench.file("file.csv", &text);
            let got = bench.import(&file, &ImportOptions { unit, ..long("value", states) }).await;
            let values: Vec<i64> = bench.rows().iter().map(|row| row.3).collect();
            assert_eq!(
                values,
                expected.into_iter().collect::<Vec<_>>(),
                "{serial} {value} {unit:?} {states:?} {got:?}"
            );
        }
    }
}

/// Gas that is metered in kWh, gas in m3 that the book converts, and heat that is billed in GJ (its register in kWh).
#[tokio::test]
async fn usage_is_in_what_its_service_point_is_billed_in() {
    use Measured::{CubicMetre, Gigajoule, KilowattHour};
    for (serial, measured, value, unit, usage) in [
        ("G1", KilowattHour, "1.5", None, Ok(1_500)),
        ("G1", KilowattHour, "1.5", Some("MWh"), Ok(1_500_000)),
        ("G1", KilowattHour, "3.6", Some("MJ"), Ok(1_000)),
        ("G1", KilowattHour, "1", Some("m3"), Err(["G1", "gas", "m3", "values are in kWh"])),
        ("G1", CubicMetre, "1", Some("ccf"), Ok(2_832)),
        ("G1", CubicMetre, "1", Some("kWh"), Err(["G1", "gas", "kWh", "values are in m3"])),
        ("H1", Gigajoule, "1.5", None, Ok(1_500)),
        ("H1", Gigajoule, "1.5", Some("GJ"), Ok(1_500)),
        ("H1", Gigajoule, "2500", Some("kWh"), Ok(9_000)),
        ("H1", Gigajoule, "1", Some("L"), Err(["H1", "heat", "L", "values are in GJ"])),
    ] {
        let only = MeterRef { measured, ..bench().intake.meters().by_serial(serial).unwrap().clone() };
        let bench = bench_of(vec![only]);
        let file = bench.file("file.csv", format!("meter,time,value\n{serial},2020-01-01T00:00:00Z,{value}\n"));
        let options = ImportOptions { unit: unit.map(|unit| unit.parse().unwrap()), ..long("value", USAGE) };
        let got = bench.import(&file, &options).await;
        let values: Vec<i64> = bench.rows().iter().map(|row| row.3).collect();
        match usage {
            Ok(usage) => assert_eq!(values, [usage], "{serial} {value} {unit:?} {got:?}"),
            Err(words) => {
                let error = got.unwrap_err().to_string();
                assert!(words.iter().all(|word| error.contains(word)) && values.is_empty(), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn an_interval_lies_on_the_side_that_the_marks_say() {
    let day = 24 * HOUR;
    let noon = "2026-03-29T12:00:00Z";
    let usage = |interval, time_marks| States::Usage { interval: Some(interval), time_marks };
    let cases = [
        (usage(HOUR, TimeMarks::Start), None, noon, noon, "2026-03-29T13:00:00Z"),
        (usage(HOUR, TimeMarks::End), None, noon, "2026-03-29T11:00:00Z", noon),
        (usage(day, TimeMarks::Start), None, noon, noon, "2026-03-30T12:00:00Z"),
        // Whole days are days of the zone where one is given: this one has 23 hours.
        (
            usage(day, TimeMarks::Start),
            Some("Europe/Madrid"),
            "2026-03-29",
            "2026-03-28T23:00:00Z",
            "2026-03-29T22:00:00Z",
        ),
        (
            usage(day, TimeMarks::End),
            Some("Europe/Madrid"),
            "2026-03-30",
            "2026-03-28T23:00:00Z",
            "2026-03-29T22:00:00Z",
        ),
        (
            usage(day, TimeMarks::Start),
            Some("Europe/Madrid"),
            "2026-10-24T22:00:00Z",
            "2026-10-24T22:00:00Z",
            "2026-10-25T23:00:00Z",
        ),
    ];
    for (states, zone, time, start, end) in cases {
        let bench = bench();
        let options = ImportOptions { time_zone: zone.map(str::to_owned), ..long("value", states) };
        bench.text(&format!("meter,time,value\nE1,{time},1\n"), &options).await;
        assert_eq!(bench.rows(), [("E1".to_owned(), at(end), Some(at(start)), 1_000)], "{time} {states:?} {zone:?}");
    }
}

#[tokio::test]
async fn without_an_interval_usage_reaches_to_the_neighbouring_row() {
    // The value of February is missing, and its row still ends January's bill.
    let text = "meter,time,value\nE1,2026-01-01T00:00Z,1\nE2,2026-01-05T00:00Z,9\nE1,2026-02-01T00:00Z,\n\
                E1,2026-03-01T00:00Z,3\nE1,2026-03-01T00:00Z,4\n";
    let (jan, feb, mar) = (at("2026-01-01T00:00:00Z"), at("2026-02-01T00:00:00Z"), at("2026-03-01T00:00:00Z"));
    let usage = |time_marks| long("value", States::Usage { interval: None, time_marks });

    let starts = bench();
    let summary = starts.text(text, &usage(TimeMarks::Start)).await;
    assert_eq!(starts.rows(), [("E1".to_owned(), feb, Some(jan), 1_000)]);
    assert_eq!((summary.missing, summary.refused.to_string().as_str()), (1, "3 no_interval"));
    assert_eq!(
        starts.refused(),
        [
            "5,E1,2026-03-01T00:00:00Z,3.000 kWh,no_interval",
            "6,E1,2026-03-01T00:00:00Z,4.000 kWh,no_interval",
            "3,E2,2026-01-05T00:00:00Z,9.000 kWh,no_interval",
        ]
    );

    let ends = bench();
    let summary = ends.text(text, &usage(TimeMarks::End)).await;
    assert_eq!(ends.rows(), [("E1".to_owned(), mar, Some(feb), 3_000)]);
    assert_eq!((summary.missing, summary.refused.to_string().as_str()), (1, "3 no_interval"));
}

#[tokio::test]
async fn missing_values_are_counted_and_are_no_rows() {
    let bench = bench();
    let words = ["", "  ", "NaN", "null", "NA", "?", "-", "\"\""];
    let rows: String = words.iter().map(|word| format!("E1,2020-01-01T00:00:00Z,{word}\n")).collect();
    let summary = bench.text(&format!("meter,time,value\n{rows}E1,2020-01-01T00:00:00Z,1\n"), &registers()).await;
    assert_eq!((summary.rows_read, summary.missing, summary.accepted), (9, 8, 1));
    assert_eq!(summary.refused.total(), 0);
    assert_eq!(summary.refused_file, None);
    assert!(!bench.refused_path().exists());
}

#[tokio::test]
async fn a_gas_meter_without_register_takes_usage_only() {
    let bench = bench();
    let text = "meter,time,value\nG1,2020-01-01T00:00:00Z,1\nW1,2020-01-01T00:00:00Z,1\n";
    let summary = bench.text(text, &registers()).await;
    assert_eq!(summary.accepted, 1);
    assert_eq!(bench.refused(), ["2,G1,2020-01-01T00:00:00Z,1,no_register"]);
}

#[tokio::test]
async fn a_unit_need_only_fit_the_meters_that_the_file_names() {
    let bench = bench();
    let text = "meter,time,value\nE1,2020-01-01T00:00:00Z,1\nE9,2020-01-01T00:00:00Z,1\nH1,2020-01-01T00:00:00Z,2\n";
    let options = ImportOptions { unit: Some(Unit::MegawattHour), ..hourly() };
    let summary = bench.text(text, &options).await;
    assert_eq!(bench.rows().iter().map(|row| row.3).collect::<Vec<_>>(), [1_000_000, 2_000_000]);
    assert_eq!(summary.refused.to_string(), "1 unknown_meter");
}
