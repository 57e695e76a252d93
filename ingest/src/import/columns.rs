//! Arrow columns of any usable type, as meters, times and values.

use arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, DictionaryArray, Float64Array, Int64Array, StringArray,
    TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Decimal128Type, Float64Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};
use arrow::error::ArrowError;

use super::convert::{Cell, TimeCell};
use super::scale::Decimal;
use super::time_text::Stamp;

/// Serial numbers.
pub(super) enum MeterColumn {
    Dictionary(DictionaryArray<Int32Type>, StringArray),
    Text(StringArray),
}

/// Times.
pub(super) enum TimeColumn {
    Instants(TimestampMicrosecondArray),
    Walls(TimestampMicrosecondArray),
    Epochs(Int64Array),
    Text(StringArray),
}

/// Values.
pub(super) enum ValueColumn {
    Floats(Float64Array),
    Integers(Int64Array),
    Decimals(Decimal128Array, i32),
    Text(StringArray),
    /// All missing: a column of nulls, or one that is not read.
    Nothing,
}

fn is_text(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

/// The 32-bit dictionary in which the Parquet reader hands over repeated texts cheaply.
pub(super) fn dictionary() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

impl MeterColumn {
    /// Whether columns of this type can name meters.
    pub(super) fn reads(kind: &DataType) -> bool {
        is_text(kind) || kind.is_integer()
    }

    /// The column as serial numbers.
    pub(super) fn new(array: &ArrayRef) -> Result<MeterColumn, ArrowError> {
        if *array.data_type() == dictionary() {
            let keys = array.as_dictionary::<Int32Type>().clone();
            let values = keys.values().as_string::<i32>().clone();
            return Ok(MeterColumn::Dictionary(keys, values));
        }
        Ok(MeterColumn::Text(cast(array, &DataType::Utf8)?.as_string::<i32>().clone()))
    }

    /// The serial number of a row; empty when missing.
    pub(super) fn get(&self, row: usize) -> &str {
        match self {
            MeterColumn::Text(texts) => text_at(texts, row).unwrap_or(""),
            MeterColumn::Dictionary(keys, values) => keys.key(row).and_then(|key| text_at(values, key)).unwrap_or(""),
        }
    }
}

fn text_at(texts: &StringArray, row: usize) -> Option<&str> {
    texts.is_valid(row).then(|| texts.value(row).trim())
}

impl TimeColumn {
    /// Whether columns of this type can be times.
    pub(super) fn reads(kind: &DataType) -> bool {
        is_text(kind)
            || kind.is_integer()
            || matches!(kind, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64)
    }

    /// The column as times.
    pub(super) fn new(array: &ArrayRef) -> Result<TimeColumn, ArrowError> {
        let micros = |zone| {
            let cast = cast(array, &DataType::Timestamp(TimeUnit::Microsecond, zone))?;
            Ok::<_, ArrowError>(cast.as_primitive::<TimestampMicrosecondType>().clone())
        };
        Ok(match array.data_type() {
            DataType::Timestamp(_, Some(zone)) => TimeColumn::Instants(micros(Some(zone.clone()))?),
            DataType::Timestamp(_, None) | DataType::Date32 | DataType::Date64 => TimeColumn::Walls(micros(None)?),
            kind if kind.is_integer() => {
                TimeColumn::Epochs(cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
            }
            _ => TimeColumn::Text(cast(array, &DataType::Utf8)?.as_string::<i32>().clone()),
        })
    }

    /// The time of a row.
    pub(super) fn get(&self, row: usize) -> TimeCell<'_> {
        match self {
            TimeColumn::Instants(times) if times.is_valid(row) => TimeCell::Stamp(Stamp::Instant(times.value(row))),
            TimeColumn::Walls(times) if times.is_valid(row) => TimeCell::Stamp(Stamp::Wall(times.value(row))),
            TimeColumn::Epochs(times) if times.is_valid(row) => TimeCell::Epoch(times.value(row)),
            TimeColumn::Text(times) => text_at(times, row).map_or(TimeCell::Missing, TimeCell::Text),
            _ => TimeCell::Missing,
        }
    }
}

impl ValueColumn {
    /// Whether columns of this type can be values.
    pub(super) fn reads(kind: &DataType) -> bool {
        is_text(kind) || kind.is_numeric() || *kind == DataType::Null
    }

    /// The column as values. Every conversion here is exact.
    pub(super) fn new(array: &ArrayRef) -> Result<ValueColumn, ArrowError> {
        let decimals = |scale: i8| {
            let cast = cast(array, &DataType::Decimal128(38, scale))?;
            Ok::<_, ArrowError>(ValueColumn::Decimals(cast.as_primitive::<Decimal128Type>().clone(), -i32::from(scale)))
        };
        Ok(match array.data_type() {
            DataType::Null => ValueColumn::Nothing,
            DataType::Float16 | DataType::Float32 | DataType::Float64 => {
                ValueColumn::Floats(cast(array, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
            }
            DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale) | DataType::Decimal128(_, scale) => {
                decimals(*scale)?
            }
            DataType::UInt64 => decimals(0)?,
            kind if kind.is_integer() => {
                ValueColumn::Integers(cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
            }
            // Text, and decimals of 256 bits, of which every digit is kept this way.
            _ => ValueColumn::Text(cast(array, &DataType::Utf8)?.as_string::<i32>().clone()),
        })
    }

    /// The value of a row.
    pub(super) fn get(&self, row: usize) -> Cell<'_> {
        match self {
            ValueColumn::Floats(values) if values.is_valid(row) => Cell::Float(values.value(row)),
            ValueColumn::Integers(values) if values.is_valid(row) => {
                Cell::Decimal(Decimal { mantissa: values.value(row).into(), exponent: 0 })
            }
            ValueColumn::Decimals(values, exponent) if values.is_valid(row) => {
                Cell::Decimal(Decimal { mantissa: values.value(row), exponent: *exponent })
            }
            ValueColumn::Text(texts) => text_at(texts, row).map_or(Cell::Missing, Cell::Text),
            _ => Cell::Missing,
        }
    }
}
