//! Rows of a file into batches of the log: meter, time and value found, converted or refused with a reason.
//!
//! No row allocates unless it is refused or waits for a later one. A meter's rows enter in the file's order, except that
//! those of a doubled hour wait until the hour is decided.

use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kernel::time::{DAY, Moment};
use tokio::sync::mpsc;

use super::cell::{Row, Thousandths, stamp_of, value_of};
use super::chunk::Chunk;
use super::error::ImportError;
use super::night::{self, HELD_MAX};
use super::options::{ImportOptions, States, TimeMarks};
use super::refused::{Reason, RefusedRow};
use super::scale::Scale;
use super::time_text::Stamp;
use super::unit::Unit;
use super::zone::{Fold, Located, Zone};
use crate::intake::{MeterKind, MeterRef, Meters, Refusal, time_in_range};

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
    path: PathBuf,
    chunk: Chunk,
    out: mpsc::Sender<Chunk>,
}

impl Converter {
    /// A converter for the file at `path` that sends its chunks to `out`.
    pub(super) fn new(
        path: &Path,
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
            if let Some((start, row, Some(value))) = self.tracks[place].mark.take()
                && let States::Usage { time_marks: TimeMarks::Start, .. } = self.states
            {
                self.refuse_held(place, row, Moment(start).to_string(), value, Reason::NoInterval);
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
        let meter = self.meters.all()[place].id.0;
        self.chunk.push(row, meter, time, start, value);
    }

    fn refuse(&mut self, place: u64, meter: &str, time: String, value: String, reason: Reason) {
        self.chunk.refused.push(RefusedRow { place, meter: meter.to_owned(), time, value, reason });
    }

    /// Refuses a row of which only the converted value is left.
    fn refuse_held(&mut self, place: usize, row: u64, time: String, value: i64, reason: Reason) {
        let meter = &self.meters.all()[place];
        let shown = match self.states {
            States::Register => format!("{value} counts"),
            States::Usage { .. } => format!("{} {}", Thousandths(value), meter.measured.name()),
        };
        let meter = meter.serial.clone();
        self.chunk.refused.push(RefusedRow { place: row, meter, time, value: shown, reason });
    }

    fn send_when_full(&mut self) -> Result<(), Stop> {
        if self.chunk.is_full() { self.send() } else { Ok(()) }
    }

    fn send(&mut self) -> Result<(), Stop> {
        let next = self.chunk.next();
        for part in mem::replace(&mut self.chunk, next).parts() {
            self.out.blocking_send(part).map_err(|_| Stop::Closed)?;
        }
        Ok(())
    }
}

/// How many log units a file's unit is for this meter.
fn scale_of(meter: &MeterRef, options: &ImportOptions) -> Result<Scale, Reason> {
    // Thousandths of the unit that the meter is in.
    let own = Unit::KilowattHour.milli().unwrap_or((1_000, 1));
    let scale = match (options.states, options.unit.map_or(Some(own), Unit::milli)) {
        (States::Usage { .. }, Some((numerator, denominator))) => {
            let (per, of) = if options.unit.is_some() { meter.measured.per_register_unit() } else { (1, 1) };
            Scale::new(i128::from(numerator) * i128::from(per), i128::from(denominator) * i128::from(of))
        }
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
