//! Acknowledging a finding of the view `data_quality`: a person has looked at it.

use kernel::id::MeterId;
use kernel::time::Moment;
use sqlx::Row as _;

use super::writer::Writer;
use crate::book::BookError;
use crate::book::chain::{self, Entry};

/// A finding that a person has looked at.
#[derive(Clone, Debug)]
pub struct Acknowledgement {
    /// The meter ...
    pub meter: MeterId,
    /// ... its serial number, for the audit log ...
    pub serial: String,
    /// ... and the issue.
    pub issue: String,
    /// A moment within the finding, such as where it begins.
    pub since: Moment,
    /// Why nothing more is to be done.
    pub reason: String,
    /// Who says so.
    pub actor: String,
}

impl Writer {
    /// Writes an acknowledgement and its audit row in one transaction. Whether there is such a finding is for the caller
    /// to see: findings are derived from readings.
    pub(crate) async fn acknowledge(&mut self, acknowledged: Acknowledgement) -> Result<(), BookError> {
        let at = self.clock.now();
        let mut tx = self.book.begin().await?;
        let last =
            sqlx::query("SELECT COALESCE(MAX(id), 0) FROM quality_acknowledgements").fetch_one(tx.conn()).await?;
        let Acknowledgement { meter, serial, issue, since, reason, actor } = acknowledged;
        let sql = "INSERT INTO quality_acknowledgements (id, meter_id, issue, since, reason, actor, at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7)";
        sqlx::query(sql)
            .bind(last.try_get::<i64, _>(0)? + 1)
            .bind(i64::from(meter.0))
            .bind(&issue)
            .bind(since.0)
            .bind(&reason)
            .bind(&actor)
            .bind(at.0)
            .execute(tx.conn())
            .await?;
        let detail = format!("{issue} since {since} acknowledged: {reason}");
        let entry = Entry { at, actor, kind: "quality".to_owned(), subject: format!("meter:{serial}"), detail };
        chain::append(&mut tx, entry).await?;
        tx.commit().await
    }
}
