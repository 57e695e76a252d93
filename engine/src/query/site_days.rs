//! The sites' local days as a table: what the kernel splits by, what the audit and the reports join.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Date32Array, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use kernel::calendar::Calendar;
use kernel::id::SiteId;
use kernel::time::SiteDays;

use super::QueryError;
use crate::lake::schema::timestamp;

/// Columns of `book.site_days`. `wall_start` is what the wall clock shows at `utc_start`, in microseconds after midnight;
/// where the clocks change within the day, from `jump_at` on it shows `jump_wall` and goes on evenly.
pub static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("site_id", DataType::Int32, false),
        Field::new("local_date", DataType::Date32, false),
        Field::new("utc_start", timestamp(), false),
        Field::new("utc_end", timestamp(), false),
        Field::new("day_type", DataType::Utf8, false),
        Field::new("wall_start", DataType::Int64, false),
        Field::new("jump_at", timestamp(), true),
        Field::new("jump_wall", DataType::Int64, true),
    ]))
});

/// The table of these sites.
///
/// # Errors
/// [`QueryError::Arrow`] never in practice: the columns are made here.
pub fn batch<'a>(
    sites: impl IntoIterator<Item = (SiteId, &'a SiteDays, &'a Calendar)>,
) -> Result<RecordBatch, QueryError> {
    let mut rows = Vec::new();
    for (site, days, calendar) in sites {
        let site = i32::try_from(site.0).unwrap_or(i32::MAX);
        rows.extend(days.all().iter().map(|day| (site, calendar.day_type(day.date), day)));
    }
    let utc = |times: Vec<Option<i64>>| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC"))
    };
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|(site, _, _)| Some(*site)).collect::<Int32Array>()),
        Arc::new(rows.iter().map(|(_, _, day)| Some(day.date.0)).collect::<Date32Array>()),
        utc(rows.iter().map(|(_, _, day)| Some(day.start.0)).collect()),
        utc(rows.iter().map(|(_, _, day)| Some(day.end.0)).collect()),
        Arc::new(rows.iter().map(|(_, day_type, _)| Some(day_type.name())).collect::<StringArray>()),
        Arc::new(rows.iter().map(|(_, _, day)| Some(day.wall_start)).collect::<Int64Array>()),
        utc(rows.iter().map(|(_, _, day)| day.jump.map(|jump| jump.start.0)).collect()),
        Arc::new(rows.iter().map(|(_, _, day)| day.jump.map(|jump| jump.wall)).collect::<Int64Array>()),
    ];
    RecordBatch::try_new(Arc::clone(&SCHEMA), arrays).map_err(QueryError::arrow("site_days"))
}
