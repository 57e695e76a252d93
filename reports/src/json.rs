//! One JSON object: what the report is, its columns, its rows. Decimals are strings, so that no reader makes floats of
//! them; whole numbers and booleans are JSON's own.

use arrow::datatypes::DataType;
use serde_json::{Map, Value, json};

use crate::Report;

/// The report as JSON.
pub(crate) fn render(report: &Report) -> String {
    let columns: Vec<Vec<Option<String>>> = (0..report.columns.len()).map(|place| report.texts(place)).collect();
    let value = |place: usize, row: usize| match (&columns[place][row], report.schema.field(place).data_type()) {
        (None, _) => Value::Null,
        (Some(text), DataType::Boolean) => Value::Bool(text == "true"),
        (Some(text), kind) if kind.is_integer() => {
            text.parse::<i64>().map_or_else(|_| Value::String(text.clone()), Value::from)
        }
        (Some(text), _) => Value::String(text.clone()),
    };
    let row = |row: usize| {
        let cells = report.columns.iter().enumerate().map(|(place, column)| (column.name.clone(), value(place, row)));
        Value::Object(cells.collect::<Map<_, _>>())
    };
    let rows: Vec<Value> = (0..report.row_count()).map(row).collect();
    let columns: Vec<Value> = report
        .columns
        .iter()
        .map(|column| json!({ "name": column.name, "unit": column.unit, "text": column.text }))
        .collect();
    let document = json!({
        "report": report.name,
        "title": report.title,
        "purpose": report.purpose,
        "from": report.period.map(|period| period.from.to_string()),
        "to": report.period.map(|period| period.to.to_string()),
        "applied_seq": report.provenance.applied_seq,
        "lake_seq": report.provenance.lake_seq,
        "measured_until": report.provenance.measured_until.map(|moment| moment.to_string()),
        "columns": columns,
        "rows": rows,
    });
    format!("{document:#}\n")
}
