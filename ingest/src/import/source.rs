//! A file of either kind, told apart by its first bytes.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use super::convert::{Converter, Stop};
use super::csv_file::CsvFile;
use super::error::ImportError;
use super::options::{ImportOptions, Layout, States};
use super::parquet_file::ParquetFile;
use super::unit::Unit;
use crate::intake::{MeterRef, Meters};
use kernel::unit::Unit as Measured;

/// An opened file.
pub(super) enum Source {
    Csv(CsvFile),
    Parquet(ParquetFile),
}

impl Source {
    /// Opens the file and reads what names its columns.
    pub(super) fn open(path: &Path) -> Result<Source, ImportError> {
        let open = |source| ImportError::Open { path: path.to_owned(), source };
        let mut file = File::open(path).map_err(open)?;
        if !file.metadata().map_err(open)?.is_file() {
            return Err(ImportError::NotAFile { path: path.to_owned() });
        }
        let mut magic = Vec::new();
        (&mut file).take(4).read_to_end(&mut magic).map_err(open)?;
        file.seek(SeekFrom::Start(0)).map_err(open)?;
        let named_parquet = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("parquet"));
        if magic == b"PAR1" || named_parquet {
            return ParquetFile::open(path, file).map(Source::Parquet);
        }
        CsvFile::open(path, file, magic.starts_with(&[0x1f, 0x8b])).map(Source::Csv)
    }

    fn columns(&self) -> &[String] {
        match self {
            Source::Csv(file) => file.columns(),
            Source::Parquet(file) => file.columns(),
        }
    }

    /// Gives every value to the converter.
    pub(super) fn rows(self, options: &ImportOptions, converter: &mut Converter) -> Result<(), Stop> {
        match self {
            Source::Csv(file) => file.rows(options, converter),
            Source::Parquet(file) => file.rows(options, converter),
        }
    }

    fn meters(self, meter_column: &str, each: impl FnMut(&str)) -> Result<(), Stop> {
        match self {
            Source::Csv(file) => file.meters(meter_column, each),
            Source::Parquet(file) => file.meters(meter_column, each),
        }
    }
}

/// Whether the file at `path` can be imported so far as its columns and its unit tell: nothing is written before.
pub(super) fn check(path: &Path, options: &ImportOptions, meters: &Meters) -> Result<(), Stop> {
    let source = Source::open(path)?;
    let columns = source.columns();
    column(path, columns, &options.time_column)?;
    match &options.layout {
        Layout::Long { meter_column, value_column } => {
            column(path, columns, meter_column)?;
            column(path, columns, value_column)?;
        }
        Layout::Wide => {
            if columns.iter().all(|name| *name == options.time_column || meters.place(name).is_none()) {
                let exist = listed(columns);
                return Err(ImportError::NoMeterColumns { path: path.to_owned(), exist }.into());
            }
            for name in columns.iter().filter(|name| meters.place(name).is_some()) {
                column(path, columns, name)?;
            }
        }
    }
    let Some(unit) = options.unit else { return Ok(()) };
    let misfit = |meter: &&MeterRef| !unit.fits(meter.utility, measured(meter, options.states));
    // Where every meter fits, the file need not be read twice.
    if !meters.all().iter().any(|meter| misfit(&meter)) {
        return Ok(());
    }
    let mut found: Option<&MeterRef> = None;
    let mut look = |name: &str| found = found.or_else(|| meters.by_serial(name).filter(misfit));
    match &options.layout {
        Layout::Wide => columns.iter().filter(|name| **name != options.time_column).for_each(|name| look(name)),
        Layout::Long { meter_column, .. } => source.meters(meter_column, look)?,
    }
    found.map_or(Ok(()), |meter| Err(misfit_error(path, unit, meter, options.states).into()))
}

fn misfit_error(path: &Path, unit: Unit, meter: &MeterRef, states: States) -> ImportError {
    let measured = measured(meter, states);
    ImportError::UnitMisfit {
        path: path.to_owned(),
        unit,
        meter: meter.serial.clone(),
        utility: meter.utility,
        measured,
    }
}

/// What values of a meter are in: what its usage is billed in or converted from; registers are in kWh or m3.
fn measured(meter: &MeterRef, states: States) -> Measured {
    match states {
        States::Usage { .. } => meter.measured,
        States::Register => Measured::of(meter.utility),
    }
}

/// The place of the column of this name.
pub(super) fn column(path: &Path, columns: &[String], name: &str) -> Result<usize, ImportError> {
    let mut places = columns.iter().enumerate().filter(|(_, column)| *column == name).map(|(place, _)| place);
    match (places.next(), places.next()) {
        (Some(place), None) => Ok(place),
        (Some(_), Some(_)) => Err(ImportError::TwoColumns { path: path.to_owned(), column: name.to_owned() }),
        (None, _) => {
            Err(ImportError::NoColumn { path: path.to_owned(), column: name.to_owned(), exist: listed(columns) })
        }
    }
}

/// The first columns' names, as a message shows them.
fn listed(columns: &[String]) -> String {
    const SHOWN: usize = 20;
    let names: Vec<String> = columns.iter().take(SHOWN).map(|name| format!("{name:?}")).collect();
    let more = if columns.len() > SHOWN { format!(" and {} more", columns.len() - SHOWN) } else { String::new() };
    names.join(", ") + &more
}
