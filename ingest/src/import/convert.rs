//! Rows of a file into batches of the log: meter, time and value found, converted or refused with a reason.
//!
//! No row allocates unless it is refused or waits for a later one. A meter's rows enter in the file's order, except that
//! those of a doubled hour wait until the hour is decided.

use std::fmt;
use std::mem;
use std::sync::Arc;

use kernel::batch::Batch;
use kernel::time::{DAY, Moment};
use tokio::sync::mpsc;

use super::error::ImportError;
use super::night::{self, HELD_MAX};
use super::options::{ImportOptions, States, TimeMarks};
use super::refused::{Reason, RefusedRow};
use super::scale::{Decimal, Scale, parse_decimal};
use super::time_text::{Stamp, epoch, parse_time};
use super::unit::Unit;
use super::zone::{Fold, Located, Zone};
use crate::intake::{BATCH_ROWS_MAX, MeterKind, MeterRef, Meters, Refusal, time_in_range};

/// A time as the file holds it.
#[derive(Clone, Copy, Debug)]
pub(super) enum TimeCell<'a> {
    /// Nothing.
    Missing,
    /// An instant, or what a wall clock shows.
    Stamp(Stamp),
    /// Seconds, milliseconds, microseconds or nanoseconds since 1970.
    Epoch(i64),
    /// Text.
    Text(&'a str),
}

/// A value as the file holds it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cell<'a> {
    /// Nothing.
    Missing,
    /// A binary fraction.
    Float(f64),
    /// A decimal fraction or an integer.
    Decimal(Decimal),
    /// Text.
    Text(&'a str),
}

/// A value's row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    /// The line or row, from 1.
    pub(super) place: u64,
    /// The serial number; empty when missing.
    pub(super) meter: &'a str,
    pub(super) time: TimeCell<'a>,
    pub(super) value: Cell<'a>,
}

/// A batch with the places of its rows, and the rows refused meanwhile.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    pub(super) batch: Batch,
    pub(super) places: Vec<u64>,
    pub(super) refused: Vec<RefusedRow>,
    /// Values read so far, in this and all chunks before.
    pub(super) rows_read: u64,
    /// Values read so far that are missing.
    pub(super) missing: u64,
    /// Bytes of the file read so far.
    pub(super) bytes: u64,
}

/// Why the reader stops before the file's end.
#[derive(Debug)]
pub(super) enum Stop {
    /// Nobody takes the chunks any more; whoever stopped knows why.
    Closed,
    /// The file cannot be imported.
    Failed(ImportError),
}

impl From<ImportError> for Stop {
    fn from(error: ImportError) -> Stop {
        Stop::Failed(error)
    }
}

/// A row that waits: its time is known or about to be, its value is converted (`None` when missing).
#[derive(Clone, Copy, Debug)]
struct Held {
    place: u64,
    wall: i64,
    value: Option<i64>,
}

/// What is remembered of a meter from row to row.
#[derive(Debug, Default)]
struct Track {
    last_wall: Option<i64>,
    night: Option<(Fold, Vec<Held>)>,
    /// The last row's instant, place and value, where intervals reach from row to row.
    mark: Option<(i64, u64, Option<i64>)>,
}

/// The converter.
pub(super) struct Converter {
    meters: Arc<Meters>,
    scales: Vec<Result<Scale, Reason>>,
    tracks: Vec<Track>,
    /// The meter of the last row.
    current: usize,
    states: States,
    zone: Option<Zone>,
    zone_seen: bool,
    path: std::path::PathBuf,
    chunk: Chunk,
    out: mpsc::Sender<Chunk>,
}

impl Converter {
    /// A converter for the file at `path` that sends its chunks to `out`.
    pub(super) fn new(
        path: &std::path::Path,
        options: &ImportOptions,
        meters: Arc<Meters>,
        out: mpsc::Sender<Chunk>,
    ) -> Result<Converter, ImportError> {
        let zone = match &options.time_zone {
            None => None,
            Some(name) => Some(Zone::named(name).ok_or_else(|| ImportError::UnknownZone { zone: name.clone() })?),
        };
        let scales = meters.all().iter().map(|meter| scale_of(meter, options)).collect();
        let tracks = meters.all().iter().map(|_| Track::default()).collect();
        let (states, path) = (options.states, path.to_owned());
        let chunk = Chunk::default();
        Ok(Converter { meters, scales, tracks, current: 0, states, zone, zone_seen: false, path, chunk, out })
    }

    /// Takes a row.
    pub(super) fn row(&mut self, row: &Row<'_>) -> Result<(), Stop> {
        self.chunk.rows_read += 1;
        match self.convert(row)? {
            Ok(is_missing) => self.chunk.missing += u64::from(is_missing),
            Err(reason) => self.refuse(row.place, row.meter, row.time.to_string(), row.value.to_string(), reason),
        }
        self.send_when_full()
    }

    /// Takes a row that cannot be taken apart.
    pub(super) fn malformed(&mut self, place: u64, text: &str, reason: Reason) -> Result<(), Stop> {
        self.chunk.rows_read += 1;
        // A swallowed half of a file would not be legible anyway.
        let shown = text.chars().take(200).collect();
        self.refuse(place, "", String::new(), shown, reason);
        self.send_when_full()
    }

    /// Whether a meter has this serial number.
    pub(super) fn knows(&self, serial: &str) -> bool {
        self.meters.place(serial).is_some()
    }

    /// Notes how far in the file the rows so far reach.
    pub(super) fn at_byte(&mut self, bytes: u64) {
        self.chunk.bytes = bytes;
    }

    /// Decides what is still held, and sends the last chunk.
    pub(super) fn finish(mut self) -> Result<(), Stop> {
        for place in 0..self.tracks.len() {
            self.settle_night(place, None);
            if let Some((_, row, Some(value))) = self.tracks[place].mark.take()
                && let States::Usage { time_marks: TimeMarks::Start, .. } = self.states
            {
                self.refuse_held(place, row, String::new(), value, Reason::NoInterval);
            }
            self.send_when_full()?;
        }
        self.send()
    }

    /// Takes or holds the row; whether its value is missing, or why it is refused.
    fn convert(&mut self, row: &Row<'_>) -> Result<Result<bool, Reason>, Stop> {
        if row.meter.is_empty() {
            return Ok(Err(Reason::NoMeter));
        }
        let same = self.meters.all().get(self.current).is_some_and(|meter| meter.serial == row.meter);
        if !same {
            match self.meters.place(row.meter) {
                Some(place) => self.current = place,
                None => return Ok(Err(Reason::Intake(Refusal::UnknownMeter))),
            }
        }
        let place = self.current;
        let stamp = match stamp_of(&row.time) {
            Ok(stamp) => stamp,
            Err(reason) => return Ok(Err(reason)),
        };
        let value = match self.scales[place].and_then(|scale| value_of(&row.value, scale)) {
            Ok(value) => value,
            Err(reason) => return Ok(Err(reason)),
        };
        let is_missing = value.is_none();
        let wall = match stamp {
            Stamp::Instant(instant) => {
                self.zone_seen = true;
                self.settle_night(place, None);
                return Ok(self.timed(place, row.place, instant, value).map(|()| is_missing));
            }
            Stamp::Wall(wall) => wall,
        };
        match self.zone.as_mut().map(|zone| zone.locate(wall)) {
            None if self.zone_seen => Ok(Err(Reason::TimeWithoutZone)),
            // No row before this one had a usable time, so that nothing is written.
            None => Err(Stop::Failed(ImportError::TimeWithoutZone {
                path: self.path.clone(),
                place: row.place,
                time: row.time.to_string(),
            })),
            Some(Located::Never) => Ok(Err(Reason::NonexistentTime)),
            Some(Located::Outside) => Ok(Err(Reason::Intake(Refusal::TimeOutOfRange))),
            Some(Located::Once(instant)) => {
                self.settle_night(place, Some(wall));
                self.tracks[place].last_wall = Some(wall);
                Ok(self.timed(place, row.place, instant, value).map(|()| is_missing))
            }
            Some(Located::Twice { fold, .. }) => {
                if self.tracks[place].night.as_ref().is_some_and(|(night, _)| *night != fold) {
                    self.settle_night(place, Some(wall));
                }
                let (_, held) = self.tracks[place].night.get_or_insert_with(|| (fold, Vec::new()));
                if held.len() == HELD_MAX {
                    return Ok(Err(Reason::AmbiguousTime));
                }
                held.push(Held { place: row.place, wall, value });
                Ok(Ok(is_missing))
            }
        }
    }

    /// Decides the meter's held rows; `after` is the wall time of the row that follows them.
    fn settle_night(&mut self, place: usize, after: Option<i64>) {
        let Some((fold, held)) = self.tracks[place].night.take() else { return };
        let before = self.tracks[place].last_wall;
        let walls: Vec<i64> = held.iter().map(|row| row.wall).collect();
        let later = night::direction(fold, before, after).and_then(|direction| night::later(&walls, direction));
        self.tracks[place].last_wall = walls.last().copied();
        for (row, held) in held.iter().enumerate() {
            let located = self.zone.as_mut().map(|zone| zone.locate(held.wall));
            let outcome = match (&later, located) {
                (Some(is_later), Some(Located::Twice { earlier, later, .. })) => {
                    self.timed(place, held.place, if is_later[row] { later } else { earlier }, held.value)
                }
                _ => Err(Reason::AmbiguousTime),
            };
            // A missing value at an undecided time is missing, not refused.
            if let (Err(reason), Some(value)) = (outcome, held.value) {
                let shown = Moment(held.wall).to_string().replace('Z', "");
                self.refuse_held(place, held.place, shown, value, reason);
            }
        }
    }

    /// Takes a row whose instant is known.
    fn timed(&mut self, place: usize, row: u64, instant: i64, value: Option<i64>) -> Result<(), Reason> {
        let States::Usage { interval, time_marks } = self.states else {
            if let Some(value) = value {
                self.push(place, row, instant, None, value);
            }
            return Ok(());
        };
        // Checked here as well as in the intake, so that no sum below can overflow.
        if !time_in_range(Moment(instant)) {
            return Err(Reason::Intake(Refusal::TimeOutOfRange));
        }
        let Some(length) = interval else { return self.reaching(place, row, instant, value, time_marks) };
        let Some(value) = value else { return Ok(()) };
        let signed = if time_marks == TimeMarks::Start { length } else { -length };
        let other = match &mut self.zone {
            Some(zone) if length % DAY == 0 => zone.shift(instant, signed),
            _ => instant + signed,
        };
        self.push(place, row, instant.max(other), Some(instant.min(other)), value);
        Ok(())
    }

    /// Takes a row of usage whose interval reaches to its neighbour.
    fn reaching(
        &mut self,
        place: usize,
        row: u64,
        instant: i64,
        value: Option<i64>,
        marks: TimeMarks,
    ) -> Result<(), Reason> {
        let before = self.tracks[place].mark.replace((instant, row, value));
        match (marks, before, value) {
            (TimeMarks::End, Some((start, ..)), Some(value)) if start < instant => {
                self.push(place, row, instant, Some(start), value);
                Ok(())
            }
            (TimeMarks::End, _, Some(_)) => Err(Reason::NoInterval),
            (TimeMarks::End, _, None) => Ok(()),
            (TimeMarks::Start, Some((start, row, Some(value))), _) => {
                if start < instant {
                    self.push(place, row, instant, Some(start), value);
                } else {
                    self.refuse_held(place, row, Moment(start).to_string(), value, Reason::NoInterval);
                }
                Ok(())
            }
            (TimeMarks::Start, ..) => Ok(()),
        }
    }

    fn push(&mut self, place: usize, row: u64, time: i64, start: Option<i64>, value: i64) {
        let batch = &mut self.chunk.batch;
        batch.meter.push(self.meters.all()[place].id.0);
        batch.time.push(time);
        if let Some(start) = start {
            batch.start.push(start);
        }
        batch.value.push(value);
        self.chunk.places.push(row);
    }

    fn refuse(&mut self, place: u64, meter: &str, time: String, value: String, reason: Reason) {
        self.chunk.refused.push(RefusedRow { place, meter: meter.to_owned(), time, value, reason });
    }

    /// Refuses a row of which only the converted value is left.
    fn refuse_held(&mut self, place: usize, row: u64, time: String, value: i64, reason: Reason) {
        let meter = &self.meters.all()[place];
        let shown = match self.states {
            States::Register => format!("{value} counts"),
            States::Usage { .. } => format!("{} {}", Thousandths(value), meter.utility.unit()),
        };
        let meter = meter.serial.clone();
        self.chunk.refused.push(RefusedRow { place: row, meter, time, value: shown, reason });
    }

    fn send_when_full(&mut self) -> Result<(), Stop> {
        if self.chunk.batch.len() >= BATCH_ROWS_MAX || self.chunk.refused.len() >= BATCH_ROWS_MAX {
            return self.send();
        }
        Ok(())
    }

    fn send(&mut self) -> Result<(), Stop> {
        let Chunk { rows_read, missing, bytes, .. } = self.chunk;
        let next = Chunk { rows_read, missing, bytes, ..Chunk::default() };
        let mut full = mem::replace(&mut self.chunk, next);
        // Deciding a night may add more rows at once than one submission holds.
        while full.batch.len() > BATCH_ROWS_MAX {
            let rest = split(&mut full);
            self.out.blocking_send(mem::replace(&mut full, rest)).map_err(|_| Stop::Closed)?;
        }
        self.reserve(full.batch.len());
        self.out.blocking_send(full).map_err(|_| Stop::Closed)
    }

    /// Room for as many rows as the last chunk had.
    fn reserve(&mut self, rows: usize) {
        let batch = &mut self.chunk.batch;
        batch.meter.reserve(rows);
        for column in [&mut batch.time, &mut batch.value] {
            column.reserve(rows);
        }
        if self.states != States::Register {
            batch.start.reserve(rows);
        }
        self.chunk.places.reserve(rows);
    }
}

/// Leaves the first [`BATCH_ROWS_MAX`] rows and returns the others.
fn split(chunk: &mut Chunk) -> Chunk {
    let batch = &mut chunk.batch;
    let start_at = BATCH_ROWS_MAX.min(batch.start.len());
    let rest = Batch {
        meter: batch.meter.split_off(BATCH_ROWS_MAX),
        time: batch.time.split_off(BATCH_ROWS_MAX),
        start: batch.start.split_off(start_at),
        value: batch.value.split_off(BATCH_ROWS_MAX),
        ..Batch::default()
    };
    let Chunk { rows_read, missing, bytes, .. } = *chunk;
    Chunk { batch: rest, places: chunk.places.split_off(BATCH_ROWS_MAX), rows_read, missing, bytes, ..Chunk::default() }
}

/// How many log units a file's unit is for this meter.
fn scale_of(meter: &MeterRef, options: &ImportOptions) -> Result<Scale, Reason> {
    let billing = Unit::KilowattHour.milli().unwrap_or((1_000, 1));
    let scale = match (options.states, options.unit.map_or(Some(billing), Unit::milli)) {
        (States::Usage { .. }, Some((numerator, denominator))) => Scale::new(numerator.into(), denominator.into()),
        (States::Usage { .. }, None) => None,
        (States::Register, _) if meter.kind == MeterKind::Usage => return Err(Reason::Intake(Refusal::NoRegister)),
        (States::Register, Some((numerator, denominator))) => Scale::new(
            i128::from(numerator) * i128::from(meter.resolution_denominator),
            i128::from(denominator) * i128::from(meter.resolution_numerator),
        ),
        (States::Register, None) => Scale::new(1, 1),
    };
    scale.ok_or(Reason::Intake(Refusal::Absurd))
}

fn stamp_of(time: &TimeCell<'_>) -> Result<Stamp, Reason> {
    match time {
        TimeCell::Missing => Err(Reason::NoTime),
        TimeCell::Stamp(stamp) => Ok(*stamp),
        TimeCell::Epoch(value) => epoch(*value).map(Stamp::Instant).ok_or(Reason::Intake(Refusal::TimeOutOfRange)),
        TimeCell::Text(text) if is_missing(text) => Err(Reason::NoTime),
        TimeCell::Text(text) => parse_time(text).ok_or(Reason::BadTime),
    }
}

fn value_of(value: &Cell<'_>, scale: Scale) -> Result<Option<i64>, Reason> {
    let converted = match value {
        Cell::Missing => return Ok(None),
        Cell::Float(float) if float.is_nan() => return Ok(None),
        Cell::Float(float) => scale.float(*float),
        Cell::Decimal(decimal) => scale.decimal(*decimal),
        Cell::Text(text) => match parse_decimal(text) {
            Some(decimal) => scale.decimal(decimal),
            None if is_missing(text) => return Ok(None),
            None => return Err(Reason::BadValue),
        },
    };
    converted.map(Some).ok_or(Reason::Intake(Refusal::Absurd))
}

/// How files write that nothing is there.
fn is_missing(text: &str) -> bool {
    text.is_empty() || ["nan", "null", "na", "n/a", "none", "?", "-"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// A number of thousandths, with three places.
pub(super) struct Thousandths(pub(super) i64);

impl fmt::Display for Thousandths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let size = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:03}", size / 1_000, size % 1_000)
    }
}

/// What the file said.
impl fmt::Display for TimeCell<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TimeCell::Missing => Ok(()),
            TimeCell::Stamp(Stamp::Instant(micros)) => Moment(*micros).fmt(f),
            TimeCell::Stamp(Stamp::Wall(micros)) => f.write_str(Moment(*micros).to_string().trim_end_matches('Z')),
            TimeCell::Epoch(value) => value.fmt(f),
            TimeCell::Text(text) => f.write_str(text),
        }
    }
}

/// What the file said.
impl fmt::Display for Cell<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cell::Missing => Ok(()),
            Cell::Float(float) => float.fmt(f),
            Cell::Decimal(Decimal { mantissa, exponent: 0 }) => mantissa.fmt(f),
            Cell::Decimal(Decimal { mantissa, exponent }) => write!(f, "{mantissa}e{exponent}"),
            Cell::Text(text) => f.write_str(text),
        }
    }
}
