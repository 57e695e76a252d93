//! What can go wrong between a report's name and its bytes.

use engine::query::QueryError;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// No report has this name.
    #[error("there is no report {name:?}; there are: {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// All names.
        known: String,
    },
    /// A parameter is not what it should be.
    #[error("--{parameter} {found:?} is not {expected}")]
    Parameter {
        /// Which.
        parameter: &'static str,
        /// What was given.
        found: String,
        /// What was expected.
        expected: &'static str,
    },
    /// Parameters that exclude each other.
    #[error("give --from and --to, or --month, or --year, but only one of these")]
    Periods,
    /// The query failed.
    #[error("report {name}: {source}")]
    Query {
        /// Which report.
        name: String,
        /// Why.
        #[source]
        source: QueryError,
    },
    /// The report has no chart, or no rows to draw.
    #[error("report {name} has no chart for this period; use --format table, csv or json")]
    NoChart {
        /// Which report.
        name: String,
    },
    /// A workbook could not be written.
    #[error("the workbook of {name} could not be written: {fault}; ask for a shorter period, or for --format csv")]
    Workbook {
        /// Which report.
        name: String,
        /// What the library said.
        fault: String,
    },
    /// Drawing failed.
    #[error("the chart of {name} could not be drawn: {fault}")]
    Chart {
        /// Which report.
        name: String,
        /// What the drawing library said.
        fault: String,
    },
}
