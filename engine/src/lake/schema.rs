//! The columns of the lake's files. When this changes, old files must still be read: add nullable columns at the end.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

/// Timestamps in the lake: microseconds UTC.
#[must_use]
pub fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// Money in Arrow: 38 digits, 9 after the point.
pub const AMOUNT: DataType = DataType::Decimal128(38, 9);

/// Readings, sorted by meter and time. `start` is filled for usage intervals only; `value` is a raw register count or
/// a quantity in 1/1000 unit; `contact` is 1 for open and 2 for closed; `seq` is the log's frame; `verdict` is `kernel::reading::Verdict::code`.
pub static READINGS: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("meter_id", DataType::Int32, false),
        Field::new("time", timestamp(), false),
        Field::new("start", timestamp(), true),
        Field::new("value", DataType::Int64, false),
        Field::new("power_mw", DataType::Int64, true),
        Field::new("voltage_mv", DataType::Int64, true),
        Field::new("current_ma", DataType::Int64, true),
        Field::new("power_factor_milli", DataType::Int64, true),
        Field::new("contact", DataType::Int8, true),
        Field::new("received_at", timestamp(), false),
        Field::new("seq", DataType::Int64, false),
        Field::new("verdict", DataType::Int8, false),
    ]))
});

/// Usage lines of closed days, sorted by service point and date. A day may have further lines later: differences.
/// `band` is `kernel::tariff::Band`'s code; `quantity` is in 1/1000 unit; `transfer_id` is the transfer that posted it.
pub static CHARGES: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("service_point_id", DataType::Int32, false),
        Field::new("account_id", DataType::Int32, false),
        Field::new("local_date", DataType::Date32, false),
        Field::new("component", DataType::Utf8, false),
        Field::new("band", DataType::Int8, false),
        Field::new("tier", DataType::Int16, false),
        Field::new("tariff_version_id", DataType::Int32, false),
        Field::new("transfer_id", DataType::Int64, false),
        Field::new("quantity", DataType::Int64, false),
        Field::new("amount", AMOUNT, false),
    ]))
});
