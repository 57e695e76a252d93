//! Rows that were not taken: their reasons, and the file that lists them.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::error::ImportError;
use crate::intake::Refusal;

/// Why a row of a file was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Error)]
pub enum Reason {
    /// More or fewer fields than the header.
    #[error("the row has another number of fields than the header")]
    FieldCount,
    /// A quoted field that does not end, or text after its end.
    #[error("a quoted field does not end, or goes on after its end")]
    Quote,
    /// Bytes that are no UTF-8.
    #[error("the row is not UTF-8 text")]
    NotUtf8,
    /// No serial number.
    #[error("the row names no meter")]
    NoMeter,
    /// No time.
    #[error("the row has no time")]
    NoTime,
    /// A time that cannot be read.
    #[error("the time cannot be read: write it like 2026-03-29T01:00:00Z, or as seconds or milliseconds since 1970")]
    BadTime,
    /// A time without zone in a file whose other times have one.
    #[error("the time has no zone although others in the file have one: add it, or give --time-zone")]
    TimeWithoutZone,
    /// A wall time that the clocks skipped.
    #[error("this local time does not exist: the clocks were turned forward over it")]
    NonexistentTime,
    /// A wall time in the doubled hour, and nothing tells which of the two.
    #[error("this local time happened twice and the meter's rows do not tell which one is meant: add the UTC offset")]
    AmbiguousTime,
    /// A value that is no number.
    #[error("the value is not a number with a decimal point")]
    BadValue,
    /// A usage row without a neighbour in order that would give its interval's other end.
    #[error("no neighbouring row gives the interval's other end: give --interval, or sort the file by time")]
    NoInterval,
    /// What the intake refuses at every door.
    #[error(transparent)]
    Intake(#[from] Refusal),
}

impl Reason {
    /// A short name for counts and files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Reason::FieldCount => "field_count",
            Reason::Quote => "quote",
            Reason::NotUtf8 => "not_utf8",
            Reason::NoMeter => "no_meter",
            Reason::NoTime => "no_time",
            Reason::BadTime => "bad_time",
            Reason::TimeWithoutZone => "time_without_zone",
            Reason::NonexistentTime => "nonexistent_time",
            Reason::AmbiguousTime => "ambiguous_time",
            Reason::BadValue => "bad_value",
            Reason::NoInterval => "no_interval",
            Reason::Intake(refusal) => refusal.name(),
        }
    }
}

/// Refused rows by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefusedCounts(pub BTreeMap<Reason, u64>);

impl RefusedCounts {
    /// All refused rows.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

/// `3 unknown_meter, 1 bad_time`.
impl fmt::Display for RefusedCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (reason, rows)) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{rows} {}", reason.name())?;
        }
        Ok(())
    }
}

/// One line of the list of refused rows, as the file said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RefusedRow {
    /// The line of a CSV file, the row of a Parquet file, from 1.
    pub(super) place: u64,
    pub(super) meter: String,
    pub(super) time: String,
    pub(super) value: String,
    pub(super) reason: Reason,
}

/// The list of refused rows: a CSV file that comes to be, with its folder, with its first row.
pub(super) struct RefusedFile {
    path: PathBuf,
    source: String,
    out: Option<BufWriter<File>>,
    pub(super) counts: RefusedCounts,
}

impl RefusedFile {
    /// The list for `source`, to be written to `path`.
    pub(super) fn new(path: &Path, source: &Path) -> RefusedFile {
        let source = source.display().to_string();
        RefusedFile { path: path.to_owned(), source, out: None, counts: RefusedCounts::default() }
    }

    /// Counts and lists the rows.
    pub(super) fn add(&mut self, rows: &[RefusedRow]) -> Result<(), ImportError> {
        for row in rows {
            *self.counts.0.entry(row.reason).or_default() += 1;
        }
        if rows.is_empty() {
            return Ok(());
        }
        self.write(rows).map_err(|source| ImportError::RefusedFile { path: self.path.clone(), source })
    }

    fn write(&mut self, rows: &[RefusedRow]) -> io::Result<()> {
        let mut out = match self.out.take() {
            Some(out) => out,
            None => {
                if let Some(folder) = self.path.parent() {
                    std::fs::create_dir_all(folder)?;
                }
                let mut out = BufWriter::new(File::create(&self.path)?);
                writeln!(out, "file,row,meter,time,value,reason,explanation")?;
                out
            }
        };
        for row in rows {
            let explanation = row.reason.to_string();
            let (source, place) = (quoted(&self.source), row.place);
            let said = [&row.meter, &row.time, &row.value].map(|text| quoted(text)).join(",");
            writeln!(out, "{source},{place},{said},{},{}", row.reason.name(), quoted(&explanation))?;
        }
        self.out = Some(out);
        Ok(())
    }

    /// Writes what is buffered and returns the file's path, if there is a file.
    pub(super) fn finish(&mut self) -> Result<Option<PathBuf>, ImportError> {
        let Some(mut out) = self.out.take() else { return Ok(None) };
        out.flush().map_err(|source| ImportError::RefusedFile { path: self.path.clone(), source })?;
        Ok(Some(self.path.clone()))
    }
}

/// The text as a CSV field.
fn quoted(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}
