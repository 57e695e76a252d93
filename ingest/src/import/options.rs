//! How a file is to be read.

use super::unit::Unit;

/// What a file's columns mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportOptions {
    /// The column of times.
    pub time_column: String,
    /// Where meters and values are.
    pub layout: Layout,
    /// What a value states.
    pub states: States,
    /// The unit of the values; `None` for that of each meter: usage in [`crate::intake::MeterRef::measured`], registers in
    /// kWh or m3.
    pub unit: Option<Unit>,
    /// The IANA zone of times without one, and the zone whose days a whole-day interval keeps.
    pub time_zone: Option<String>,
}

/// Where meters and values are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layout {
    /// A row per meter and time.
    Long {
        /// The column of serial numbers.
        meter_column: String,
        /// The column of values.
        value_column: String,
    },
    /// A row per time, a column per meter: every column but the time column is named by a serial number.
    Wide,
}

/// What a value states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum States {
    /// A cumulative register, as the device shows it (before CT and PT).
    Register,
    /// A quantity used in an interval.
    Usage {
        /// The interval's length in microseconds; a multiple of a day is that many local days where a zone is given.
        /// `None`: each interval reaches to the meter's neighbouring row.
        interval: Option<i64>,
        /// Which end of the interval the time column gives.
        time_marks: TimeMarks,
    },
}

/// Which end of an interval its time gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeMarks {
    /// The time is where the interval begins.
    Start,
    /// The time is where the interval ends.
    End,
}

/// How far an import is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Values read that are in the log or were refused.
    pub rows: u64,
    /// Bytes of the file behind them.
    pub bytes: u64,
    /// Bytes of the file.
    pub total_bytes: u64,
}
