//! Reports: a catalogue of SQL with parameters, tables for people, CSV and JSON for machines, charts for both.
//!
//! **Promises.** A report is one SQL file of `queries/reports` over the public views; its figures come from one snapshot,
//! and it says of which ([`Provenance`]). CSV and JSON carry every digit; only the table for people rounds money to two
//! places (half up, for show, sums are made of exact figures). JSON writes decimals as strings, so that no reader turns
//! them into floats. A chart looks the same on any machine, in Chinese and English: its letters come from a font in this
//! crate, also in SVG. A workbook ([`xlsx`]) holds numbers, not text, and sums as formulas.
//!
//! **What it does not do.** It computes nothing that its SQL does not say, and it never reads raw readings: reports stand
//! on charges, one line a day.

pub mod catalogue;
mod cells;
mod chart;
mod csv;
mod error;
mod json;
pub mod params;
mod run;
mod table;
pub mod xlsx;

pub use catalogue::{ReportInfo, list};
pub use cells::width;
pub use chart::year::{Shade, YearDay, YearMap, YearPanel};
pub use error::ReportError;
pub use params::Params;
pub use run::{Column, Provenance, Report, run};

/// What a report is rendered to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// An aligned table for a terminal.
    Table,
    /// Comma-separated values with a header line.
    Csv,
    /// One JSON object; decimals are strings.
    Json,
    /// A chart as SVG, its letters as outlines.
    Svg,
    /// A chart as PNG.
    Png,
    /// A workbook of one sheet.
    Xlsx,
}

impl Format {
    /// The format of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Format> {
        match name {
            "table" => Some(Format::Table),
            "csv" => Some(Format::Csv),
            "json" => Some(Format::Json),
            "svg" => Some(Format::Svg),
            "png" => Some(Format::Png),
            "xlsx" => Some(Format::Xlsx),
            _ => None,
        }
    }
}

/// Renders a report.
///
/// # Errors
/// [`ReportError::NoChart`] where the report has no picture or nothing to show; [`ReportError::Chart`] where drawing fails;
/// [`ReportError::Workbook`] where a sheet is too large.
pub fn render(report: &Report, format: Format) -> Result<Vec<u8>, ReportError> {
    match format {
        Format::Table => Ok(table::render(report).into_bytes()),
        Format::Csv => Ok(csv::render(report).into_bytes()),
        Format::Json => Ok(json::render(report).into_bytes()),
        Format::Svg => chart::svg(report),
        Format::Png => chart::png(report),
        Format::Xlsx => xlsx::render(report, table::places),
    }
}

/// The colour of a band in charts, and its name in both languages.
#[must_use]
pub fn band_shade(name: &str) -> ((u8, u8, u8), &'static str) {
    chart::year::band(name)
}

/// Renders a map of a year, day by hour.
///
/// # Errors
/// [`ReportError::NoChart`] for a format without picture; [`ReportError::Chart`] where drawing fails.
pub fn render_year(map: &YearMap, format: Format) -> Result<Vec<u8>, ReportError> {
    match format {
        Format::Svg => chart::svg_of(map),
        Format::Png => chart::png_of(map),
        Format::Table | Format::Csv | Format::Json | Format::Xlsx => {
            Err(ReportError::NoChart { name: map.name.clone() })
        }
    }
}

/// Renders rows of any statement as [`render`] does a report: for `meterledger sql`.
///
/// # Errors
/// [`ReportError::NoChart`] for a chart format.
pub fn render_rows(rows: &engine::query::Table, format: Format) -> Result<Vec<u8>, ReportError> {
    let report = Report::of_rows(rows);
    match format {
        Format::Table => Ok(table::render_plain(&report).into_bytes()),
        Format::Csv | Format::Json | Format::Xlsx => render(&report, format),
        Format::Svg | Format::Png => Err(ReportError::NoChart { name: "sql".to_owned() }),
    }
}
