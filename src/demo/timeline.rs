//! What the demonstration tells while it runs: notices as they enter the book, with the mall's time.

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
use engine::query::QuerySession;
use kernel::time::{DAY, LocalDate, MINUTE, Moment};

use super::load::UTC_OFFSET;
use crate::call::{Failure, failed};

/// Follows the notices.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    last: i64,
}

/// A notice in the book.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) kind: String,
    pub(super) account: String,
    pub(super) text: String,
    pub(super) at: Moment,
}

impl Timeline {
    /// The notices since the last call, oldest first.
    pub(super) async fn news(&mut self, query: &QuerySession) -> Result<Vec<Told>, Failure> {
        let sql = format!(
            "SELECT notice_id, kind, account, text, created_at FROM notices WHERE notice_id > {} ORDER BY notice_id",
            self.last
        );
        let mut news = Vec::new();
        for batch in &query.query(&sql).await.map_err(failed)?.batches {
            let ids = batch.column(0).as_primitive::<Int64Type>();
            let at = batch.column(4).as_primitive::<TimestampMicrosecondType>();
            for row in 0..batch.num_rows() {
                self.last = self.last.max(ids.value(row));
                let text = |column| text(batch, column, row);
                news.push(Told { kind: text(1), account: text(2), text: text(3), at: Moment(at.value(row)) });
            }
        }
        Ok(news)
    }
}

/// A cell of a text column; empty where it is null.
pub(super) fn text(batch: &RecordBatch, column: usize, row: usize) -> String {
    let column = batch.column(column);
    if column.is_null(row) {
        return String::new();
    }
    match column.data_type() {
        DataType::Utf8View => column.as_string_view().value(row).to_owned(),
        DataType::Utf8 => column.as_string::<i32>().value(row).to_owned(),
        _ => String::new(),
    }
}

/// `Tue 17 Nov 14:05`, the mall's time.
pub(super) fn wall(moment: Moment) -> String {
    let local = moment.0.saturating_add(UTC_OFFSET);
    let date = LocalDate(i32::try_from(local.div_euclid(DAY)).unwrap_or(0));
    let minutes = local.rem_euclid(DAY) / MINUTE;
    let day = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"][usize::from(date.weekday().min(6))];
    format!("{day} {date} {:02}:{:02}", minutes / 60, minutes % 60)
}
