//! How fast a Parquet or CSV file becomes batches: imports it into a log that forgets, and prints rows per second.
//!
//! `cargo run --release -p meterledger-ingest --example import_rate -- FILE METER_COLUMN TIME_COLUMN USAGE_COLUMN [ZONE]`

use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use futures::future::BoxFuture;
use ingest::import::{ImportOptions, Layout, States, TimeMarks, import};
use ingest::intake::{Intake, Log, LogError, MeterDirectory, MeterKind, MeterRef, Meters};
use kernel::batch::Payload;
use kernel::id::{MeterId, Seq, Utility};
use kernel::time::HOUR;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use wal::clock::Clock;

/// A log that numbers frames and forgets them.
#[derive(Default)]
struct NullLog(AtomicU64);

impl Log for NullLog {
    fn append(&self, _payload: Payload) -> BoxFuture<'_, Result<Seq, LogError>> {
        Box::pin(async move { Ok(Seq(self.0.fetch_add(1, Ordering::Relaxed) + 1)) })
    }
}

/// The serial numbers in a column of a Parquet file, or of a CSV file with commas and without quotes.
fn serials(path: &Path, column: &str) -> Result<BTreeSet<String>, Box<dyn Error>> {
    if path.extension().is_some_and(|extension| extension == "csv") {
        let text = std::fs::read_to_string(path)?;
        let mut lines = text.lines();
        let place = lines.next().and_then(|header| header.split(',').position(|name| name == column));
        let place = place.ok_or("no such column")?;
        return Ok(lines.filter_map(|line| line.split(',').nth(place)).map(str::to_owned).collect());
    }
    let builder = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(path)?)?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), [column]);
    let mut found = BTreeSet::new();
    for batch in builder.with_projection(mask).build()? {
        let texts = cast(batch?.column(0), &DataType::Utf8)?;
        let texts = texts.as_string::<i32>();
        found.extend(texts.iter().flatten().map(str::to_owned));
    }
    Ok(found)
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (file, meter, time, usage, zone) = match &arguments[..] {
        [file, meter, time, usage] => (file, meter, time, usage, None),
        [file, meter, time, usage, zone] => (file, meter, time, usage, Some(zone.clone())),
        _ => return Err("usage: import_rate FILE METER_COLUMN TIME_COLUMN USAGE_COLUMN [ZONE]".into()),
    };
    let path = Path::new(file);
    let meters = (1..).zip(serials(path, meter)?).map(|(id, serial)| MeterRef {
        id: MeterId(id),
        serial,
        utility: Utility::Electricity,
        kind: MeterKind::Usage,
        resolution_numerator: 1,
        resolution_denominator: 1,
        measured: kernel::unit::Unit::KilowattHour,
    });
    let directory = MeterDirectory::new(Meters::new(meters.collect())?);
    let clock = Clock::live();
    let intake = Intake::new(Arc::new(NullLog::default()), directory, clock.clone());
    let options = ImportOptions {
        time_column: time.clone(),
        layout: Layout::Long { meter_column: meter.clone(), value_column: usage.clone() },
        states: States::Usage { interval: Some(HOUR), time_marks: TimeMarks::Start },
        unit: None,
        time_zone: zone,
    };
    let refused = std::env::temp_dir().join("import_rate_refused.csv");
    let began = clock.now();
    let summary = import(&intake, path, &options, &refused, &mut |_| {}).await?;
    let micros = u64::try_from(clock.now().since(began).max(1))?;
    let rate = summary.rows_read * 1_000_000 / micros;
    println!("{} rows of {} meters in {} ms: {rate} rows/s", summary.rows_read, summary.meters, micros / 1_000);
    Ok(())
}
