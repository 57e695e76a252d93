//! Real files (data/INDEX.md of the shared data): what is in the log equals what is in the file.

use std::collections::BTreeMap;
use std::env;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit};
use jiff::Timestamp;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use kernel::time::{DAY, LocalDate};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;

/// The shared file, or `None` (said aloud) where the data are not beside the checkout.
fn shared(name: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = env::var_os("METERLEDGER_SHARED_DATA").map_or(beside, PathBuf::from);
    let path = folder.join(name);
    if !path.is_file() {
        eprintln!("PASSED OVER: {} is not there (METERLEDGER_SHARED_DATA names the folder)", path.display());
        return None;
    }
    Some(path)
}

/// A file's rows, read by other means: meter, time in microseconds as stored, value as text with these decimals.
fn plain_rows(path: &Path, meter: &str, time: &str, value: &str, decimals: usize) -> Vec<(String, i64, String)> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(path).unwrap()).unwrap().build().unwrap();
    let mut rows = Vec::new();
    for batch in reader {
        let batch = batch.unwrap();
        let column = |name: &str| batch.column_by_name(name).unwrap();
        let meters = column(meter).as_string::<i32>().clone();
        let times = cast(column(time), &DataType::Timestamp(TimeUnit::Microsecond, None)).unwrap();
        let times = cast(&times, &DataType::Int64).unwrap();
        let values = column(value).as_primitive::<Float64Type>().clone();
        for row in 0..batch.num_rows() {
            let text = format!("{:.decimals$}", values.value(row));
            let again: f64 = text.parse().unwrap();
            assert!((again - values.value(row)).abs() < 1e-9, "{text} is all that the file says");
            rows.push((meters.value(row).to_owned(), times.as_primitive::<Int64Type>().value(row), text));
        }
    }
    rows
}

fn meters_of(rows: &[(String, i64, String)], utility: impl Fn(&str) -> Utility) -> Vec<MeterRef> {
    let mut serials: Vec<&String> = rows.iter().map(|row| &row.0).collect();
    serials.dedup();
    serials.sort();
    serials.dedup();
    let numbered = (1..).zip(serials);
    numbered.map(|(id, serial)| meter(id, serial, utility(serial), 1)).collect()
}

#[tokio::test]
async fn sums_per_meter_and_month_of_the_cambridge_meters_equal_those_of_the_file() {
    let Some(path) = shared("cambridge/cambridge_2018_2019_30meters.parquet") else { return };
    let rows = plain_rows(&path, "meter_id", "ts_utc", "kwh", 1);
    let month = |micros: i64| LocalDate(i32::try_from(micros.div_euclid(DAY)).unwrap()).month();
    let mut expected: BTreeMap<(String, i32), (i64, u64)> = BTreeMap::new();
    for (meter, time, tenths) in &rows {
        let entry = expected.entry((meter.clone(), month(*time).0)).or_default();
        entry.0 += tenths.replace('.', "").parse::<i64>().unwrap() * 100;
        entry.1 += 1;
    }
    let utility = |serial: &str| if serial.ends_with("-G") { Utility::Gas } else { Utility::Electricity };
    let bench = bench_of(meters_of(&rows, utility));
    let options = ImportOptions {
        time_column: "ts_utc".to_owned(),
        layout: Layout::Long { meter_column: "meter_id".to_owned(), value_column: "kwh".to_owned() },
        ..hourly()
    };
    let summary = bench.import(&path, &options).await.unwrap();
    assert_eq!((summary.rows_read, summary.accepted, summary.meters), (525_600, 525_600, 30));
    assert_eq!((summary.missing, summary.refused.total()), (0, 0));
    assert_eq!(summary.first_time, Some(Moment(at("2018-01-01T01:00:00Z"))));
    assert_eq!(summary.last_time, Some(Moment(at("2020-01-01T00:00:00Z"))));

    let mut got: BTreeMap<(String, i32), (i64, u64)> = BTreeMap::new();
    for (meter, end, start, milli) in bench.rows() {
        let start = start.unwrap();
        assert_eq!(end - start, HOUR);
        let entry = got.entry((meter, month(start).0)).or_default();
        *entry = (entry.0 + milli, entry.1 + 1);
    }
    assert_eq!(got, expected);
    assert_eq!(got.len(), 30 * 24);
}

#[tokio::test]
async fn raw_water_registers_in_local_time_keep_their_counts_and_instants() {
    let Some(path) = shared("daiad/daiad_water_registers_raw_order.parquet") else { return };
    let rows = plain_rows(&path, "meter_id", "ts_local", "register_l", 0);
    let bench = bench_of(meters_of(&rows, |_| Utility::Water));
    let options = ImportOptions {
        time_column: "ts_local".to_owned(),
        layout: Layout::Long { meter_column: "meter_id".to_owned(), value_column: "register_l".to_owned() },
        unit: Some(Unit::Litre),
        time_zone: Some("Europe/Madrid".to_owned()),
        ..registers()
    };
    let summary = bench.import(&path, &options).await.unwrap();

    // Every row outside the doubled hour is there, at the instant that the zone database gives.
    let zone = TimeZone::get("Europe/Madrid").unwrap();
    let (mut expected, mut doubled) = (Vec::new(), Vec::new());
    for (meter, wall, litres) in rows {
        let civil = Offset::UTC.to_datetime(Timestamp::from_microsecond(wall).unwrap());
        let instant = |offset: Offset| offset.to_timestamp(civil).unwrap().as_microsecond();
        let row = |offset| (meter.clone(), instant(offset), None, litres.parse::<i64>().unwrap());
        match zone.to_ambiguous_timestamp(civil).offset() {
            AmbiguousOffset::Unambiguous { offset } => expected.push(row(offset)),
            AmbiguousOffset::Fold { before, after } => doubled.push([row(before), row(after)]),
            AmbiguousOffset::Gap { .. } => panic!("SOURCE.md: no reading in the skipped hour"),
        }
    }
    let (from, to) = (at("2016-10-30T00:00:00Z"), at("2016-10-30T02:00:00Z"));
    let (mut night, mut got): (Vec<LogRow>, Vec<LogRow>) =
        bench.rows().into_iter().partition(|row| (from..to).contains(&row.1));
    expected.sort();
    got.sort();
    assert!(got == expected, "the rows outside the doubled hour differ");

    // In it every row is one of its two instants, or refused; what is there rises like a register.
    let ambiguous = summary.refused.0.get(&Reason::AmbiguousTime).copied().unwrap_or(0);
    eprintln!("doubled hour of 46 homes: {} rows, {} placed, {ambiguous} refused", doubled.len(), night.len());
    assert_eq!(summary.refused.total(), ambiguous);
    assert_eq!(night.len() + usize::try_from(ambiguous).unwrap(), doubled.len());
    assert!(night.iter().all(|row| doubled.iter().any(|two| two.contains(row))));
    night.sort();
    let falls = night.windows(2).filter(|pair| pair[0].0 == pair[1].0 && pair[0].3 > pair[1].3).count();
    eprintln!("registers that fall within it: {falls}");
    assert!(night.len() > doubled.len() / 2);
}

#[tokio::test]
async fn minutes_of_a_wide_file_sum_up_exactly_and_its_empty_minutes_are_missing() {
    let Some(path) = shared("uci/uci_household_1min_200612_200701.parquet") else { return };
    let serials = ["sub1_wh", "sub2_wh", "sub3_wh"];
    let meters = (1..).zip(serials).map(|(id, serial)| meter(id, serial, Utility::Electricity, 1));
    let bench = bench_of(meters.collect());
    let options = ImportOptions {
        time_column: "ts_local".to_owned(),
        layout: Layout::Wide,
        states: States::Usage { interval: Some(60_000_000), time_marks: TimeMarks::End },
        unit: Some(Unit::WattHour),
        time_zone: Some("Europe/Paris".to_owned()),
    };
    let summary = bench.import(&path, &options).await.unwrap();
    assert_eq!((summary.accepted, summary.missing), (3 * (48_424 - 5), 3 * 5));
    assert_eq!(summary.refused.to_string(), "193696 unknown_meter", "the four columns that are no meters");

    let file = fs::File::open(&path).unwrap();
    let mut expected = BTreeMap::new();
    for batch in ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap() {
        let batch = batch.unwrap();
        for serial in serials {
            let integers = cast(batch.column_by_name(serial).unwrap(), &DataType::Int64).unwrap();
            let sum: i64 = integers.as_primitive::<Int64Type>().iter().flatten().sum();
            *expected.entry(serial.to_owned()).or_insert(0) += sum;
            assert!(integers.len() >= integers.null_count());
        }
    }
    let mut got = BTreeMap::new();
    for (meter, _, _, milli) in bench.rows() {
        *got.entry(meter).or_insert(0) += milli;
    }
    assert_eq!(got, expected);
}
