//! Files into a log in memory.

mod bad_input;
mod formats;
mod nights;
mod real_files;
mod values;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use kernel::batch::Payload;
use kernel::id::{MeterId, Utility};
use kernel::reading::Value;
use kernel::time::{HOUR, Moment};
use kernel::unit::Unit as Measured;
use parquet::arrow::ArrowWriter;
use tempfile::TempDir;
use wal::clock::Clock;

use super::*;
use crate::intake::tests::MemoryLog;
use crate::intake::{Log, MeterDirectory, MeterKind, MeterRef};

/// A row as the log holds it: serial number, time, start of the interval, value.
type LogRow = (String, i64, Option<i64>, i64);

/// A folder, a log and meters: E1 and E2 (electricity, 0.01 kWh a count), W1 (water, 1 l a count), G1 (gas, usage only),
/// H1 (heat, 1 kWh a count).
struct Bench {
    folder: TempDir,
    log: Arc<MemoryLog>,
    intake: Intake,
}

fn meter(id: u32, serial: &str, utility: Utility, resolution_numerator: i64) -> MeterRef {
    let kind = if utility == Utility::Gas { MeterKind::Usage } else { MeterKind::Register };
    let (id, serial) = (MeterId(id), serial.to_owned());
    let measured = Measured::of(utility);
    MeterRef { id, serial, utility, kind, resolution_numerator, resolution_denominator: 1, measured }
}

fn bench() -> Bench {
    bench_of(vec![
        meter(1, "E1", Utility::Electricity, 10),
        meter(2, "E2", Utility::Electricity, 10),
        meter(3, "W1", Utility::Water, 1),
        meter(4, "G1", Utility::Gas, 1),
        meter(5, "H1", Utility::Heat, 1_000),
    ])
}

fn bench_of(meters: Vec<MeterRef>) -> Bench {
    bench_with(meters, MemoryLog::default())
}

fn bench_with(meters: Vec<MeterRef>, log: MemoryLog) -> Bench {
    let log = Arc::new(log);
    let directory = MeterDirectory::new(Meters::new(meters).unwrap());
    let clock = Clock::manual(Moment(1_800_000_000_000_000));
    let intake = Intake::new(Arc::clone(&log) as Arc<dyn Log>, directory, clock);
    Bench { folder: TempDir::new().unwrap(), log, intake }
}

impl Bench {
    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    fn refused_path(&self) -> PathBuf {
        self.folder.path().join("refused.csv")
    }

    async fn import(&self, file: &Path, options: &ImportOptions) -> Result<ImportSummary, ImportError> {
        import(&self.intake, file, options, &self.refused_path(), &mut |_| {}).await
    }

    /// Imports a text, expecting it to be taken in part at least.
    async fn text(&self, text: &str, options: &ImportOptions) -> ImportSummary {
        self.import(&self.file("file.csv", text), options).await.unwrap()
    }

    fn rows(&self) -> Vec<LogRow> {
        let meters = self.intake.meters();
        let mut rows = Vec::new();
        for frame in self.log.frames() {
            let Payload::Readings(batch) = frame else { panic!("an import submits readings") };
            assert!(batch.is_well_formed() && batch.len() <= crate::intake::BATCH_ROWS_MAX);
            for row in 0..batch.len() {
                let serial = meters.by_id(MeterId(batch.meter[row])).unwrap().serial.clone();
                let (start, value) = match batch.value_at(row) {
                    Value::Register(count) => (None, count),
                    Value::Usage { start, quantity } => (Some(start.0), quantity.0),
                };
                rows.push((serial, batch.time[row], start, value));
            }
        }
        rows
    }

    /// The list of refused rows: row, meter, time, value and reason of each line.
    fn refused(&self) -> Vec<String> {
        let Ok(text) = fs::read_to_string(self.refused_path()) else { return Vec::new() };
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("file,row,meter,time,value,reason,explanation"));
        let folder = format!("{}/", self.folder.path().display());
        let mut listed = Vec::new();
        for line in lines {
            let (_, said) = line.strip_prefix(&folder).unwrap().split_once(',').unwrap();
            let fields: Vec<&str> = said.splitn(6, ',').collect();
            listed.push(fields[..5].join(","));
        }
        listed
    }
}

fn long(value_column: &str, states: States) -> ImportOptions {
    ImportOptions {
        time_column: "time".to_owned(),
        layout: Layout::Long { meter_column: "meter".to_owned(), value_column: value_column.to_owned() },
        states,
        unit: None,
        time_zone: None,
    }
}

fn hourly() -> ImportOptions {
    long("value", States::Usage { interval: Some(HOUR), time_marks: TimeMarks::Start })
}

fn registers() -> ImportOptions {
    long("value", States::Register)
}

fn at(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().unwrap().as_microsecond()
}

fn write_parquet(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)));
    let batch = batch.unwrap();
    let mut writer = ArrowWriter::try_new(fs::File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}
