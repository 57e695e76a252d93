//! Corrections as rows of `lake.readings`: what a person said that a meter said stands beside what it replaces.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array, new_null_array};
use arrow::compute::kernels::numeric::neg;
use arrow::compute::take;
use arrow::error::ArrowError;

use crate::lake::schema::READINGS;

/// The corrections that hold and state a value, as readings: `seq` is their number below zero.
///
/// # Errors
/// Only when columns and schema disagree.
pub(crate) fn as_readings(corrections: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let column = |name: &str| corrections.schema().index_of(name).map(|index| Arc::clone(corrections.column(index)));
    let (kind, superseded) = (column("kind")?, column("superseded_by")?);
    let kinds = kind.as_string::<i32>();
    let holds = (0_u32..).zip(0..corrections.num_rows());
    let holds = holds.filter(|(_, row)| superseded.is_null(*row) && kinds.value(*row) != "void");
    let rows = UInt32Array::from_iter_values(holds.map(|(index, _)| index));
    let pick = |name: &str| take(&column(name)?, &rows, None);
    let arrays: Vec<ArrayRef> = READINGS
        .fields()
        .iter()
        .map(|field| match field.name().as_str() {
            "received_at" => pick("corrected_at"),
            "seq" => neg(&pick("id")?),
            name @ ("meter_id" | "time" | "start" | "value" | "verdict") => pick(name),
            _ => Ok(new_null_array(field.data_type(), rows.len())),
        })
        .collect::<Result<_, _>>()?;
    RecordBatch::try_new(Arc::clone(&READINGS), arrays)
}
