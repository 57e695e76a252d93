//! The intake against a log in memory.

use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use kernel::batch::{Batch, Payload};
use kernel::id::{MeterId, Seq, Utility};
use kernel::money::Quantity;
use kernel::reading::{Contact, Instruments, Observation, Reading, Seen, Value};
use kernel::time::{DAY, HOUR, LocalDate, Moment};
use wal::clock::Clock;

use super::*;

/// A log that keeps its frames in memory, or fails on request.
#[derive(Default)]
pub(crate) struct MemoryLog {
    frames: Mutex<Vec<Payload>>,
    broken: bool,
}

impl MemoryLog {
    /// All frames so far.
    pub(crate) fn frames(&self) -> Vec<Payload> {
        self.frames.lock().unwrap().clone()
    }

    /// A log that takes nothing.
    pub(crate) fn broken() -> MemoryLog {
        MemoryLog { broken: true, ..MemoryLog::default() }
    }
}

impl Log for MemoryLog {
    fn append(&self, payload: Payload) -> BoxFuture<'_, Result<Seq, LogError>> {
        Box::pin(async move {
            if self.broken {
                return Err("No space left on device".into());
            }
            let mut frames = self.frames.lock().unwrap();
            frames.push(payload);
            Ok(Seq(u64::try_from(frames.len()).unwrap()))
        })
    }
}

fn meter(id: u32, kind: MeterKind) -> MeterRef {
    MeterRef {
        id: MeterId(id),
        serial: format!("M{id}"),
        utility: Utility::Electricity,
        kind,
        resolution_numerator: 10,
        resolution_denominator: 1,
        measured: kernel::unit::Unit::KilowattHour,
    }
}

const T0: Moment = Moment(1_700_000_000_000_000);
const RECEIVED: Moment = Moment(1_800_000_000_000_000);

fn intake(log: &Arc<MemoryLog>) -> Intake {
    let meters = Meters::new(vec![meter(1, MeterKind::Register), meter(2, MeterKind::Usage)]).unwrap();
    Intake::new(Arc::clone(log) as Arc<dyn Log>, MeterDirectory::new(meters), Clock::manual(RECEIVED))
}

fn register(id: u32, time: Moment, count: i64) -> Reading {
    Reading { meter: MeterId(id), time, value: Value::Register(count), instruments: Instruments::default() }
}

fn usage(id: u32, start: Moment, time: Moment, milli: i64) -> Reading {
    let value = Value::Usage { start, quantity: Quantity(milli) };
    Reading { meter: MeterId(id), time, value, instruments: Instruments::default() }
}

fn batch(rows: &[Reading]) -> Batch {
    let mut batch = Batch::default();
    rows.iter().for_each(|row| batch.push(row));
    batch
}

#[test]
fn the_bounds_of_time_are_new_years_of_1990_and_2200() {
    for (micros, year) in [(TIME_FIRST_MICROS, 1990), (TIME_LAST_MICROS, 2200)] {
        assert_eq!(micros, i64::from(LocalDate::new(year, 1, 1).unwrap().0) * DAY);
    }
}

#[tokio::test]
async fn each_unfit_row_comes_back_with_its_reason_and_the_rest_goes_in() {
    let cases = [
        (register(1, T0, 5), None),
        (register(9, T0, 5), Some(Refusal::UnknownMeter)),
        (register(2, T0, 5), Some(Refusal::NoRegister)),
        (register(1, Moment(TIME_FIRST_MICROS - 1), 5), Some(Refusal::TimeOutOfRange)),
        (register(1, Moment(TIME_FIRST_MICROS), 5), None),
        (register(1, Moment(TIME_LAST_MICROS), 5), Some(Refusal::TimeOutOfRange)),
        (register(1, T0, COUNT_MAX + 1), Some(Refusal::Absurd)),
        (register(1, T0, i64::MIN), Some(Refusal::Absurd)),
        (register(1, T0, -COUNT_MAX), None),
        (usage(2, T0, T0.plus(HOUR), -7), None),
        (usage(1, T0, T0.plus(HOUR), 7), None),
        (usage(2, T0, T0, 7), Some(Refusal::EmptyInterval)),
        (usage(2, T0.plus(1), T0, 7), Some(Refusal::EmptyInterval)),
        (usage(2, T0.plus(-400 * DAY), T0, 7), None),
        (usage(2, T0.plus(-400 * DAY - 1), T0, 7), Some(Refusal::LongInterval)),
        (usage(2, T0, T0.plus(HOUR), QUANTITY_MILLI_MAX + 1), Some(Refusal::Absurd)),
        (usage(2, Moment(TIME_FIRST_MICROS - 1), Moment(TIME_FIRST_MICROS), 7), Some(Refusal::TimeOutOfRange)),
    ];
    let rows: Vec<Reading> = cases.iter().map(|(row, _)| *row).collect();
    let log = Arc::new(MemoryLog::default());
    let submitted = intake(&log).submit(batch(&rows)).await.unwrap();

    let refused: Vec<Refused<Reading>> = (cases.iter().enumerate())
        .filter_map(|(row, (said, reason))| reason.map(|reason| Refused { row, said: *said, reason }))
        .collect();
    assert_eq!(submitted.refused, refused);
    let taken: Vec<Reading> = cases.iter().filter(|(_, reason)| reason.is_none()).map(|(row, _)| *row).collect();
    let [Payload::Readings(frame)] = &log.frames()[..] else { panic!("one frame of readings") };
    assert!(frame.is_well_formed());
    assert_eq!((0..frame.len()).map(|row| frame.reading(row)).collect::<Vec<_>>(), taken);
    assert_eq!(frame.received_at, RECEIVED.0);
    assert_eq!((submitted.seq, submitted.accepted), (Some(Seq(1)), taken.len()));
    assert_eq!(submitted.span, Some((Moment(TIME_FIRST_MICROS), T0.plus(HOUR))));
}

#[tokio::test]
async fn instruments_stay_beside_their_row_when_others_are_refused() {
    let with = |row: Reading, power: i64| {
        let contact = Some(Contact::Open);
        Reading { instruments: Instruments { power_mw: Some(power), contact, ..row.instruments }, ..row }
    };
    let rows = [with(register(1, T0, 1), 10), with(register(9, T0, 2), 20), with(register(1, T0.plus(1), 3), 30)];
    let log = Arc::new(MemoryLog::default());
    intake(&log).submit(batch(&rows)).await.unwrap();
    let [Payload::Readings(frame)] = &log.frames()[..] else { panic!("one frame of readings") };
    assert_eq!([frame.reading(0), frame.reading(1)], [rows[0], rows[2]]);
}

#[tokio::test]
async fn a_submission_without_a_fit_row_writes_no_frame() {
    let log = Arc::new(MemoryLog::default());
    let submitted = intake(&log).submit(batch(&[register(9, T0, 1)])).await.unwrap();
    assert_eq!((submitted.seq, submitted.accepted, submitted.refused.len()), (None, 0, 1));
    assert_eq!(intake(&log).submit(Batch::default()).await.unwrap().seq, None);
    assert!(log.frames().is_empty());
}

#[tokio::test]
async fn observations_pass_likewise() {
    let seen = |id, time| Observation { meter: MeterId(id), time, seen: Seen::Contact(Contact::Open) };
    let log = Arc::new(MemoryLog::default());
    let rows = vec![seen(1, T0), seen(9, T0), seen(1, Moment(0))];
    let submitted = intake(&log).observe(rows).await.unwrap();
    let reasons: Vec<(usize, Refusal)> = submitted.refused.iter().map(|row| (row.row, row.reason)).collect();
    assert_eq!(reasons, [(1, Refusal::UnknownMeter), (2, Refusal::TimeOutOfRange)]);
    assert_eq!(log.frames(), [Payload::Observations(vec![seen(1, T0)])]);
}

#[tokio::test]
async fn a_submission_as_a_whole_is_refused_when_malformed_too_large_or_not_logged() {
    let log = Arc::new(MemoryLog::default());
    let mut uneven = batch(&[register(1, T0, 1)]);
    uneven.time.clear();
    assert!(matches!(intake(&log).submit(uneven).await, Err(IntakeError::Malformed)));
    let large = batch(&vec![register(1, T0, 1); BATCH_ROWS_MAX + 1]);
    assert!(matches!(intake(&log).submit(large).await, Err(IntakeError::TooManyRows { rows: 65_537 })));
    assert!(log.frames().is_empty());
    let broken = Arc::new(MemoryLog::broken());
    let error = intake(&broken).submit(batch(&[register(1, T0, 1)])).await.unwrap_err();
    assert!(error.to_string().contains("No space left"), "{error}");
}

#[tokio::test]
async fn a_meter_is_known_as_soon_as_the_directory_is_replaced() {
    let log = Arc::new(MemoryLog::default());
    let directory = MeterDirectory::default();
    let intake = Intake::new(Arc::clone(&log) as Arc<dyn Log>, directory.clone(), Clock::manual(RECEIVED));
    assert_eq!(intake.submit(batch(&[register(1, T0, 1)])).await.unwrap().accepted, 0);
    directory.replace(Meters::new(vec![meter(1, MeterKind::Register)]).unwrap());
    assert_eq!(intake.submit(batch(&[register(1, T0, 1)])).await.unwrap().accepted, 1);
}

#[test]
fn a_directory_with_twins_or_without_resolution_is_refused() {
    let twin = MeterRef { serial: "M1".to_owned(), ..meter(2, MeterKind::Register) };
    let zero = MeterRef { resolution_denominator: 0, ..meter(3, MeterKind::Register) };
    let first = meter(1, MeterKind::Register);
    let of = |second: MeterRef| Meters::new(vec![first.clone(), second]).unwrap_err();
    assert_eq!(of(twin), DirectoryError::Serial("M1".to_owned()));
    assert_eq!(of(MeterRef { serial: "other".to_owned(), ..first.clone() }), DirectoryError::Id(MeterId(1)));
    assert!(matches!(of(zero), DirectoryError::Resolution { .. }));
}
