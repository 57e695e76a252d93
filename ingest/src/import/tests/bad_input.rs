//! What cannot be taken is said: which file, where, why, and what to do.

use std::io::Write;

use arrow::array::{BooleanArray, Int64Array, StringArray, TimestampMillisecondArray};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

#[tokio::test]
async fn every_bad_row_is_listed_with_its_line_and_the_rest_goes_in() {
    let cases = [
        ("E9,2020-01-01T00:00:00Z,1", "E9,2020-01-01T00:00:00Z,1,unknown_meter"),
        (",2020-01-01T00:00:00Z,1", ",2020-01-01T00:00:00Z,1,no_meter"),
        ("E1,,1", "E1,,1,no_time"),
        ("E1,yesterday,1", "E1,yesterday,1,bad_time"),
        ("E1,01/02/2020 00:00,1", "E1,01/02/2020 00:00,1,bad_time"),
        ("E1,2020-01-01 00:00:00,1", "E1,2020-01-01 00:00:00,1,time_without_zone"),
        ("E1,1989-12-31T22:00:00Z,1", "E1,1989-12-31T22:00:00Z,1,time_out_of_range"),
        ("E1,2200-01-01T00:00:00Z,1", "E1,2200-01-01T00:00:00Z,1,time_out_of_range"),
        ("E1,2020-01-01T00:00:00Z,12kWh", "E1,2020-01-01T00:00:00Z,12kWh,bad_value"),
        ("E1,2020-01-01T00:00:00Z,1e20", "E1,2020-01-01T00:00:00Z,1e20,absurd_value"),
        ("E1,2020-01-01T00:00:00Z,1e40", "E1,2020-01-01T00:00:00Z,1e40,absurd_value"),
        ("E1,2020-01-01T00:00:00Z", ",,\"E1,2020-01-01T00:00:00Z\",field_count"),
        ("E1,2020-01-01T00:00:00Z,1,2", ",,\"E1,2020-01-01T00:00:00Z,1,2\",field_count"),
        ("\"E1,2020-01-01T00:00:00Z,1", ",,\"\"\"E1,2020-01-01T00:00:00Z,1\",quote"),
        ("\"E\"1,2020-01-01T00:00:00Z,1", ",,\"\"\"E\"\"1,2020-01-01T00:00:00Z,1\",quote"),
    ];
    for (line, expected) in cases {
        let bench = bench();
        let text = format!("meter,time,value\nE1,2020-01-01T00:00:00Z,5\n\n{line}\nE2,2020-01-01T00:00:00Z,6\n");
        let summary = bench.text(&text, &hourly()).await;
        let values: Vec<(String, i64)> = bench.rows().into_iter().map(|row| (row.0, row.3)).collect();
        assert_eq!(values, [("E1".to_owned(), 5_000), ("E2".to_owned(), 6_000)], "{line}");
        let listed = fs::read_to_string(bench.refused_path()).unwrap();
        let listed = listed.lines().nth(1).unwrap();
        assert!(listed.contains(&format!("file.csv,4,{expected},")), "{line}: {listed}");
        assert_eq!((summary.rows_read, summary.refused.total(), summary.accepted), (3, 1, 2), "{line}");
        assert_eq!(summary.refused_file, Some(bench.refused_path()), "{line}");
    }
}

#[tokio::test]
async fn what_the_intake_refuses_is_listed_with_its_place_too() {
    let bench = bench();
    let text = "meter,time,value\nE1,2020-01-01T00:00:00Z,1\nE1,2020-01-01T00:00:00Z,1000000001\n";
    let summary = bench.text(text, &hourly()).await;
    assert_eq!(bench.refused(), ["3,E1,2020-01-01T00:00:00Z/2020-01-01T01:00:00Z,1000000001.000 kWh,absurd_value"]);
    assert_eq!((summary.accepted, summary.refused.total()), (1, 1));
}

#[tokio::test]
async fn bytes_that_are_no_text_cost_their_line_only() {
    let bench = bench();
    let mut content = b"meter,time,value\n\xff\xfeE1,2020-01-01T00:00:00Z,1\n".to_vec();
    content.extend_from_slice(b"E1,2020-01-01T00:00:00Z,2\n");
    let summary = bench.import(&bench.file("file.csv", content), &hourly()).await.unwrap();
    assert_eq!((summary.accepted, summary.refused.to_string().as_str()), (1, "1 not_utf8"));
}

#[tokio::test]
async fn a_quoted_field_may_span_lines_and_a_stray_quote_swallows_nothing() {
    let bench = bench();
    let text = "meter,note,time,value\nE1,\"two\nlines \"\"quoted\"\"\",2020-01-01T00:00:00Z,1\n\
                E1,\"stray,2020-01-01T01:00:00Z,2\nE1,,2020-01-01T02:00:00Z,3\nE1,\",2020-01-01T03:00:00Z,4\n\
                E1,,2020-01-01T04:00:00Z,5\nE9,,2020-01-01T04:00:00Z,5\n";
    bench.text(text, &hourly()).await;
    assert_eq!(bench.rows().iter().map(|row| row.3).collect::<Vec<_>>(), [1_000, 3_000, 5_000]);
    let listed = fs::read_to_string(bench.refused_path()).unwrap();
    let places: Vec<&str> = listed.lines().skip(1).map(|line| line.split(',').nth(1).unwrap()).collect();
    assert_eq!(places, ["4", "6", "8"]);
}

/// What an import of `content` fails with; nothing may be written.
async fn failure(name: &str, content: &[u8], options: &ImportOptions) -> String {
    let bench = bench();
    let error = bench.import(&bench.file(name, content), options).await.unwrap_err();
    assert!(bench.log.frames().is_empty(), "{error}");
    error.to_string()
}

#[tokio::test]
async fn what_is_wrong_with_the_whole_file_is_told_before_anything_is_written() {
    const GOOD: &str = "meter,time,value\nE1,2020-01-01T00:00:00Z,1\nW1,2020-01-01T00:00:00Z,1\n";
    const LOCAL: &str = "meter,time,value\nE1,2020-01-01 00:00,1\n";
    let zone = |zone: &str| ImportOptions { time_zone: Some(zone.to_owned()), ..hourly() };
    let unit = |unit| ImportOptions { unit: Some(unit), ..hourly() };
    let interval = |micros| long("value", States::Usage { interval: Some(micros), time_marks: TimeMarks::Start });
    let wide = ImportOptions { layout: Layout::Wide, ..hourly() };
    let cases: Vec<(&str, ImportOptions, &[&str])> = vec![
        ("", hourly(), &["file.csv", "empty"]),
        ("\n\n", hourly(), &["file.csv", "empty"]),
        ("meter,time,value\n", hourly(), &["file.csv", "no rows"]),
        ("meter,time,value\nE1,2020-01-01T00:00:00Z,\n", hourly(), &["1 values 1 are missing", "0 were refused"]),
        ("meter,time,value\nE9,x,1\nE1,x,1\n", hourly(), &["2 (1 bad_time, 1 unknown_meter)", "refused.csv"]),
        ("serial,time,value\nE1,2020-01-01T00:00:00Z,1\n", hourly(), &["no column \"meter\"", "\"serial\", \"time\""]),
        ("meter,time,value,value\n", hourly(), &["two columns \"value\"", "rename"]),
        ("\"meter,time,value\n", hourly(), &["quoted name does not end"]),
        (LOCAL, hourly(), &["row 2", "time without zone", "2020-01-01 00:00", "--time-zone"]),
        (LOCAL, zone("Europe/Atlantis"), &["unknown time zone \"Europe/Atlantis\"", "IANA"]),
        (GOOD, unit(Unit::KilowattHour), &["W1", "water", "kWh", "--unit"]),
        (GOOD, unit(Unit::Litre), &["E1", "electricity", "L", "--unit"]),
        (GOOD, unit(Unit::Count), &["counts", "--register-column"]),
        (GOOD, interval(0), &["interval of 0"]),
        (GOOD, interval(401 * 24 * HOUR), &["400 days"]),
        (
            "time,E8,E9\n2020-01-01T00:00:00Z,1,2\n",
            wide.clone(),
            &["no column is named by the serial number", "\"E8\""],
        ),
        ("time,E1,E1\n2020-01-01T00:00:00Z,1,2\n", wide.clone(), &["two columns \"E1\""]),
        (
            "time,E1,W1\n2020-01-01T00:00:00Z,1,2\n",
            ImportOptions { unit: Some(Unit::CubicMetre), ..wide },
            &["E1", "m3"],
        ),
    ];
    for (content, options, words) in cases {
        let message = failure("file.csv", content.as_bytes(), &options).await;
        words.iter().for_each(|word| assert!(message.contains(word), "{word:?} in {message:?}"));
    }
}

#[tokio::test]
async fn files_that_are_something_else_are_named_as_such() {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(b"PAR1 and so on").unwrap();
    let long_line = vec![b'x'; 5 << 20];
    let cases: [(&str, &[u8], &str); 6] = [
        ("a.csv", b"\xff\xfem\0e\0t\0e\0r\0", "UTF-16"),
        ("a.csv", b"\x89PNG\x0d\x0a\x1a\x0a", "not UTF-8"),
        ("a.parquet.gz", &packed.finish().unwrap(), "gunzip"),
        ("a.parquet", b"meter,time,value\n", "not readable as Parquet"),
        ("a.csv", b"PAR1PAR1", "not readable as Parquet"),
        ("a.csv", &long_line, "longer than"),
    ];
    for (name, content, word) in cases {
        let message = failure(name, content, &hourly()).await;
        assert!(message.contains(word) && message.contains(name), "{message}");
    }
    let bench = bench();
    for (path, word) in
        [(bench.folder.path().to_owned(), "not a file"), (bench.folder.path().join("no.csv"), "cannot be opened")]
    {
        let message = bench.import(&path, &hourly()).await.unwrap_err().to_string();
        assert!(message.contains(word) && message.contains(&path.display().to_string()), "{message}");
    }
}

#[tokio::test]
async fn parquet_columns_of_unusable_types_are_named_with_their_type() {
    let text: ArrayRef = Arc::new(StringArray::from(vec!["E1"]));
    let flag: ArrayRef = Arc::new(BooleanArray::from(vec![true]));
    let number: ArrayRef = Arc::new(Int64Array::from(vec![1_577_836_800]));
    let local: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![1_577_836_800_000]));
    let cases = [
        ([&flag, &number, &number], ["\"meter\"", "Boolean"]),
        ([&text, &flag, &number], ["\"time\"", "Boolean"]),
        ([&text, &number, &flag], ["\"value\"", "Boolean"]),
        ([&text, &local, &number], ["time without zone", "--time-zone"]),
    ];
    for (columns, words) in cases {
        let bench = bench();
        let path = bench.folder.path().join("file.parquet");
        write_parquet(&path, ["meter", "time", "value"].into_iter().zip(columns.map(Arc::clone)).collect());
        let message = bench.import(&path, &hourly()).await.unwrap_err().to_string();
        words.iter().for_each(|word| assert!(message.contains(word), "{word:?} in {message:?}"));
        assert!(bench.log.frames().is_empty());
    }
}

#[tokio::test]
async fn a_file_that_is_cut_off_says_so_and_how_many_rows_went_in() {
    let rows: String = (0..200_000_i64).map(|row| format!("E1,{},1\n", 1_577_836_800 + row * 3_600)).collect();
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(format!("meter,time,value\n{rows}").as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    let bench = bench();
    let file = bench.file("file.csv.gz", &packed[..packed.len() / 2]);
    let error = bench.import(&file, &hourly()).await.unwrap_err();
    let ImportError::Halfway { accepted, .. } = &error else { panic!("{error}") };
    assert_eq!(usize::try_from(*accepted).unwrap(), bench.rows().len());
    assert!(*accepted > 0);
    let message = error.to_string();
    for word in ["file.csv.gz", "after line", "cut off", "import the repaired file again"] {
        assert!(message.contains(word), "{word:?} in {message:?}");
    }
}

#[tokio::test]
async fn every_truncation_of_a_parquet_file_is_an_error_and_never_a_panic() {
    let bench = bench();
    let path = bench.folder.path().join("file.parquet");
    let text: ArrayRef = Arc::new(StringArray::from(vec!["E1"; 50]));
    let number: ArrayRef = Arc::new(Int64Array::from_iter_values((0..50).map(|row| 1_577_836_800 + row)));
    write_parquet(&path, vec![("meter", text), ("time", Arc::clone(&number)), ("value", number)]);
    let whole = fs::read(&path).unwrap();
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let error = bench.import(&path, &registers()).await.unwrap_err();
        assert!(matches!(error, ImportError::Parquet { .. }), "{length}: {error}");
    }
}

#[tokio::test]
async fn a_log_that_takes_nothing_fails_the_import() {
    let bench = bench_with(vec![meter(1, "E1", Utility::Electricity, 10)], MemoryLog::broken());
    let rows: String = (0..400_000_i64).map(|row| format!("E1,{},1\n", 1_577_836_800 + row * 3_600)).collect();
    let file = bench.file("file.csv", format!("meter,time,value\n{rows}"));
    let message = bench.import(&file, &hourly()).await.unwrap_err().to_string();
    assert!(message.contains("file.csv") && message.contains("No space left"), "{message}");
}

#[tokio::test]
async fn a_list_of_refused_rows_that_cannot_be_written_fails_the_import() {
    let bench = bench();
    let file = bench.file("file.csv", "meter,time,value\nE9,2020-01-01T00:00:00Z,1\n");
    // A folder cannot be made below a file.
    let nowhere = file.join("folder.csv");
    let error = import(&bench.intake, &file, &hourly(), &nowhere, &mut |_| {}).await.unwrap_err();
    assert!(matches!(error, ImportError::RefusedFile { .. }), "{error}");
}
