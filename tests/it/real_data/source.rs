//! What the source file says, added up by these tests themselves: no code of the product is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, TimeUnit, TimestampMillisecondType};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// Sums in 1/1000 kWh by meter (or utility), year and month.
pub(crate) type Sums = BTreeMap<(String, i16, i8), i64>;

/// The sums of a file of hourly use.
#[derive(Default)]
pub(crate) struct Source {
    pub(crate) rows: usize,
    pub(crate) meters: BTreeSet<(String, String)>,
    /// By meter and UTC month.
    pub(crate) utc: Sums,
    /// By meter and local month.
    pub(crate) local: Sums,
    /// By utility and local month.
    pub(crate) by_utility: Sums,
}

/// Adds up a file; local months are London's.
pub(crate) fn add_up(path: &Path) -> Source {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap().build().unwrap();
    let london = TimeZone::get("Europe/London").unwrap();
    let mut source = Source::default();
    let mut months = BTreeMap::new();
    for batch in reader {
        add_batch(&mut source, &mut months, &batch.unwrap(), &london);
    }
    source
}

type Months = BTreeMap<i64, [(i16, i8); 2]>;

fn add_batch(source: &mut Source, months: &mut Months, batch: &RecordBatch, london: &TimeZone) {
    let text = |name: &str| cast(batch.column_by_name(name).unwrap(), &DataType::Utf8).unwrap();
    let (meters, utilities) = (text("meter_id"), text("utility"));
    let times =
        cast(batch.column_by_name("ts_utc").unwrap(), &DataType::Timestamp(TimeUnit::Millisecond, None)).unwrap();
    let values = batch.column_by_name("kwh").unwrap().as_primitive::<Float64Type>();
    for row in 0..batch.num_rows() {
        assert!(values.is_valid(row), "the source has no empty values");
        let meter = meters.as_string::<i32>().value(row).to_owned();
        let utility = utilities.as_string::<i32>().value(row).to_owned();
        let time = times.as_primitive::<TimestampMillisecondType>().value(row);
        let [utc, local] = *months.entry(time).or_insert_with(|| {
            let moment = Timestamp::from_millisecond(time).unwrap();
            [TimeZone::UTC, london.clone()].map(|zone| {
                let date = moment.to_zoned(zone).date();
                (date.year(), date.month())
            })
        });
        let milli = milli(values.value(row));
        *source.utc.entry((meter.clone(), utc.0, utc.1)).or_default() += milli;
        *source.local.entry((meter.clone(), local.0, local.1)).or_default() += milli;
        *source.by_utility.entry((utility.clone(), local.0, local.1)).or_default() += milli;
        source.meters.insert((meter, utility));
        source.rows += 1;
    }
}

/// One meter's hours of use: when each begins, in ms since 1970, and how much in 1/1000 kWh.
pub(crate) fn hours(path: &Path, meter: &str) -> Vec<(i64, i64)> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap().build().unwrap();
    let mut hours = Vec::new();
    for batch in reader {
        let batch = batch.unwrap();
        let meters = cast(batch.column_by_name("meter_id").unwrap(), &DataType::Utf8).unwrap();
        let millis = DataType::Timestamp(TimeUnit::Millisecond, None);
        let times = cast(batch.column_by_name("ts_utc").unwrap(), &millis).unwrap();
        let times = times.as_primitive::<TimestampMillisecondType>();
        let values = batch.column_by_name("kwh").unwrap().as_primitive::<Float64Type>();
        let rows = (0..batch.num_rows()).filter(|row| meters.as_string::<i32>().value(*row) == meter);
        hours.extend(rows.map(|row| (times.value(row), milli(values.value(row)))));
    }
    hours
}

/// The source has one decimal; its doubles are the nearest to them.
fn milli(value: f64) -> i64 {
    decimal(&format!("{value:.1}"))
}

/// A decimal of at most three digits behind the point in thousandths.
pub(crate) fn decimal(text: &str) -> i64 {
    let (whole, digits) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{digits:0<3}");
    let sign = if whole.starts_with('-') { -1 } else { 1 };
    whole.parse::<i64>().unwrap() * 1_000 + sign * digits.parse::<i64>().unwrap()
}

/// Minutes of a home's active power in W; a minute without a value has none flowing.
pub(crate) fn minutes(path: &Path) -> Vec<i64> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap().build().unwrap();
    let mut watts = Vec::new();
    for batch in reader {
        let batch = batch.unwrap();
        let kilowatts = cast(batch.column_by_name("active_kw").unwrap(), &DataType::Float64).unwrap();
        for value in kilowatts.as_primitive::<Float64Type>() {
            watts.push(value.map_or(0, |value| decimal(&format!("{value:.3}"))));
        }
    }
    watts
}
