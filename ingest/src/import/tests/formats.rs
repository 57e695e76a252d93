//! One content, many files: the log is the same.

use std::io::Write;

use arrow::array::{
    Decimal128Array, DictionaryArray, Float32Array, Float64Array, Int64Array, LargeStringArray, StringArray,
    StringViewArray, TimestampMillisecondArray, TimestampNanosecondArray, UInt64Array,
};
use arrow::datatypes::Int32Type;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

const TIMES: [&str; 3] = ["2020-01-01T00:00:00Z", "2020-01-01T01:00:00Z", "2020-01-01T02:00:00Z"];

/// Meter, time and value of each row, the values in quarters.
fn content() -> Vec<(&'static str, &'static str, f64)> {
    let mut rows = Vec::new();
    for (meter, base) in [("E1", 1.25), ("E2", 1000.0)] {
        rows.extend(TIMES.iter().zip([0.0, 0.25, 0.75]).map(|(time, more)| (meter, *time, base + more)));
    }
    rows
}

fn long_csv(separator: &str, quote: &str, end: &str) -> String {
    let mut text = ["meter", "note", "time", "value"].join(separator) + end;
    for (meter, time, value) in content() {
        text += &[&format!("{quote}{meter}{quote}"), "x", time, &format!("{quote}{value}{quote}")].join(separator);
        text += end;
    }
    text
}

fn wide_csv() -> String {
    let mut text = "time,E1,E2\n".to_owned();
    for (row, time) in TIMES.iter().enumerate() {
        let value = |meter: usize| content()[meter * 3 + row].2;
        text += &format!("{time},{},{}\n", value(0), value(1));
    }
    text
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn wide() -> ImportOptions {
    ImportOptions { layout: Layout::Wide, ..hourly() }
}

fn sorted(mut rows: Vec<LogRow>) -> Vec<LogRow> {
    rows.sort();
    rows
}

fn expected() -> Vec<LogRow> {
    let row = |(meter, time, value): (&str, &str, f64)| {
        let quarters = [0, 1, 2, 3, 4, 5, 6, 7, 8, 4_000, 4_001, 4_003];
        let milli = quarters.into_iter().find(|quarters| f64::from(*quarters) / 4.0 >= value).unwrap() * 250;
        (meter.to_owned(), at(time) + HOUR, Some(at(time)), i64::from(milli))
    };
    sorted(content().into_iter().map(row).collect())
}

#[tokio::test]
async fn csv_in_every_dress_gives_the_same_rows() {
    let split = long_csv(",", "", "\n");
    let (first, second) = split.split_at(60);
    let two_members = [gzip(first), gzip(second)].concat();
    let cases: [(&str, Vec<u8>, ImportOptions); 11] = [
        ("comma.csv", long_csv(",", "", "\n").into(), hourly()),
        ("crlf.csv", long_csv(",", "", "\r\n").into(), hourly()),
        ("quoted.csv", long_csv(",", "\"", "\n").into(), hourly()),
        ("semicolon.csv", long_csv(";", "", "\n").into(), hourly()),
        ("tab.txt", long_csv("\t", "\"", "\n").into(), hourly()),
        ("bom.csv", format!("\u{feff}{}", long_csv(",", "", "\n")).into(), hourly()),
        ("noend.csv", long_csv(",", "", "\n").trim_end().into(), hourly()),
        ("long.csv.gz", gzip(&long_csv(",", "", "\n")), hourly()),
        ("members.gz", two_members, hourly()),
        ("wide.csv", wide_csv().into(), wide()),
        ("wide.csv.gz", gzip(&wide_csv()), wide()),
    ];
    for (name, content, options) in cases {
        let bench = bench();
        let summary = bench.import(&bench.file(name, content), &options).await.unwrap();
        assert_eq!(sorted(bench.rows()), expected(), "{name}");
        assert_eq!((summary.rows_read, summary.accepted, summary.meters), (6, 6, 2), "{name}");
        assert_eq!(summary.first_time, Some(Moment(at(TIMES[1]))), "{name}");
        assert_eq!(summary.last_time, Some(Moment(at(TIMES[2]) + HOUR)), "{name}");
        assert!(summary.last_seq.is_some(), "{name}");
    }
}

#[tokio::test]
async fn parquet_of_every_usable_type_gives_the_same_rows() {
    let rows = content();
    let names: Vec<&str> = rows.iter().map(|row| row.0).collect();
    let values: Vec<f64> = rows.iter().map(|row| row.2).collect();
    let texts: Vec<String> = values.iter().map(f64::to_string).collect();
    let micros: Vec<i64> = rows.iter().map(|row| at(row.1)).collect();
    let scaled = |divisor: i64| micros.iter().map(|at| at / divisor).collect::<Vec<i64>>();
    let hundredths = |value: &f64| i128::from(expected_milli(*value)) / 10;

    let meters: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(names.clone())),
        Arc::new(LargeStringArray::from(names.clone())),
        Arc::new(StringViewArray::from(names.clone())),
        Arc::new(names.iter().copied().collect::<DictionaryArray<Int32Type>>()),
    ];
    let times: Vec<ArrayRef> = vec![
        Arc::new(TimestampMillisecondArray::from(scaled(1_000)).with_timezone("UTC")),
        Arc::new(
            TimestampNanosecondArray::from(micros.iter().map(|at| at * 1_000).collect::<Vec<_>>())
                .with_timezone("+02:00"),
        ),
        Arc::new(TimestampMillisecondArray::from(scaled(1_000))),
        Arc::new(Int64Array::from(scaled(1_000_000))),
        Arc::new(Int64Array::from(scaled(1_000))),
        Arc::new(StringArray::from(rows.iter().map(|row| row.1).collect::<Vec<_>>())),
    ];
    let numbers: Vec<ArrayRef> = vec![
        Arc::new(Float64Array::from(values.clone())),
        Arc::new(Float32Array::from(vec![1.25_f32, 1.5, 2.0, 1000.0, 1000.25, 1000.75])),
        Arc::new(values.iter().map(hundredths).collect::<Decimal128Array>().with_precision_and_scale(12, 2).unwrap()),
        Arc::new(StringArray::from(texts)),
    ];
    let mut cases: Vec<[ArrayRef; 3]> = Vec::new();
    cases.extend(meters.iter().map(|meter| [meter.clone(), times[0].clone(), numbers[0].clone()]));
    cases.extend(times.iter().map(|time| [meters[0].clone(), time.clone(), numbers[0].clone()]));
    cases.extend(numbers.iter().map(|number| [meters[0].clone(), times[0].clone(), number.clone()]));
    for [meter, time, value] in cases {
        let shown = format!("{} {} {}", meter.data_type(), time.data_type(), value.data_type());
        let bench = bench();
        let path = bench.folder.path().join("file.parquet");
        write_parquet(&path, vec![("value", value), ("meter", meter), ("time", time)]);
        let options = ImportOptions { time_zone: Some("UTC".to_owned()), ..hourly() };
        let summary = bench.import(&path, &options).await.unwrap();
        assert_eq!(sorted(bench.rows()), expected(), "{shown}");
        assert_eq!(summary.accepted, 6, "{shown}");
    }
}

fn expected_milli(value: f64) -> i64 {
    let row = content().iter().position(|row| row.2 >= value && row.2 <= value).unwrap();
    let (meter, time, _) = content()[row];
    expected().iter().find(|row| row.0 == meter && row.2 == Some(at(time))).unwrap().3
}

#[tokio::test]
async fn a_wide_parquet_file_is_told_by_its_content_whatever_its_name() {
    let bench = bench();
    let path = bench.folder.path().join("export.bin");
    let column = |meter: usize| content()[meter * 3..meter * 3 + 3].iter().map(|row| row.2).collect::<Vec<f64>>();
    write_parquet(
        &path,
        vec![
            ("E1", Arc::new(Float64Array::from(column(0)))),
            ("time", Arc::new(Int64Array::from(TIMES.map(at).to_vec()))),
            ("E2", Arc::new(Float64Array::from(column(1)))),
        ],
    );
    bench.import(&path, &wide()).await.unwrap();
    assert_eq!(sorted(bench.rows()), expected());
}

#[tokio::test]
async fn integer_serial_numbers_and_counts_are_read_and_nulls_are_missing() {
    let meters = vec![meter(1, "1001", Utility::Electricity, 10), meter(2, "1002", Utility::Electricity, 10)];
    let bench = bench_of(meters);
    let path = bench.folder.path().join("file.parquet");
    let time = at(TIMES[0]);
    write_parquet(
        &path,
        vec![
            ("meter", Arc::new(Int64Array::from(vec![Some(1001), Some(1002), None, Some(1001), Some(1001)]))),
            ("time", Arc::new(Int64Array::from(vec![Some(time), Some(time), Some(time), None, Some(time + 1)]))),
            ("value", Arc::new(UInt64Array::from(vec![Some(7), None, Some(8), Some(9), Some(u64::MAX)]))),
        ],
    );
    let summary = bench.import(&path, &ImportOptions { unit: Some(Unit::Count), ..registers() }).await.unwrap();
    assert_eq!(bench.rows(), [("1001".to_owned(), time, None, 7)]);
    assert_eq!((summary.rows_read, summary.missing), (5, 1));
    assert_eq!(
        bench.refused(),
        [
            "3,,2020-01-01T00:00:00Z,8,no_meter".replace("2020-01-01T00:00:00Z", &time.to_string()),
            "4,1001,,9,no_time".to_owned(),
            format!("5,1001,{},{},absurd_value", time + 1, u64::MAX),
        ]
    );
}

#[tokio::test]
async fn a_file_of_many_batches_arrives_whole_in_order_and_tells_its_progress() {
    let bench = bench();
    let first = at(TIMES[0]);
    let rows = 150_000_i64;
    let mut text = "meter,time,value\n".to_owned();
    for row in 0..rows {
        text += &format!("E1,{},{row}\n", first + row * 1_000_000);
    }
    let path = bench.file("file.csv", text);
    let mut steps = Vec::new();
    let options = ImportOptions { unit: Some(Unit::Count), ..registers() };
    let summary =
        import(&bench.intake, &path, &options, &bench.refused_path(), &mut |step| steps.push(step)).await.unwrap();
    assert_eq!(i64::try_from(summary.accepted).unwrap(), rows);
    assert!(bench.rows().iter().map(|row| row.3).eq(0..rows));
    assert_eq!(bench.log.frames().len(), 3);
    assert!(steps.windows(2).all(|pair| pair[0].rows < pair[1].rows && pair[0].bytes <= pair[1].bytes));
    let last = steps.last().unwrap();
    assert_eq!((last.rows, last.bytes), (150_000, last.total_bytes));
}

#[tokio::test]
async fn importing_a_file_twice_gives_the_same_rows_twice() {
    let bench = bench();
    bench.text(&wide_csv(), &wide()).await;
    let once = bench.rows();
    bench.text(&wide_csv(), &wide()).await;
    assert_eq!(bench.rows(), [once.clone(), once].concat());
}
