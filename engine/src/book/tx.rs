//! The one writing transaction.

use std::sync::Arc;

use sqlx::{Any, AnyConnection, Row, Transaction};

use super::BookError;
use super::chain::Head;
use super::open::{Backend, Shared};

/// A transaction on the book. Nothing of it remains unless [`Tx::commit`] returns `Ok`; dropping it undoes it.
#[derive(Debug)]
pub struct Tx {
    inner: Transaction<'static, Any>,
    shared: Arc<Shared>,
    /// The last audit row of this transaction, where it appended any.
    pub(super) head: Option<Head>,
}

impl Tx {
    pub(super) fn new(inner: Transaction<'static, Any>, shared: Arc<Shared>) -> Tx {
        Tx { inner, shared, head: None }
    }

    /// The connection, to run statements on: `sqlx::query("..").execute(tx.conn())`.
    pub fn conn(&mut self) -> &mut AnyConnection {
        &mut self.inner
    }

    /// Which database answers.
    #[must_use]
    pub fn backend(&self) -> Backend {
        self.shared.backend
    }

    /// The next free identifier of a table with a column `id`.
    ///
    /// # Errors
    /// What the database says.
    pub async fn next_id(&mut self, table: &'static str) -> Result<i64, BookError> {
        let sql = sqlx::AssertSqlSafe(format!("SELECT COALESCE(MAX(id), 0) + 1 FROM {table}"));
        Ok(sqlx::query(sql).fetch_one(self.conn()).await?.try_get(0)?)
    }

    /// Writes everything and waits until it is on disk.
    ///
    /// # Errors
    /// What the database says; then nothing was written, or (after a failed write to the disk) it is unknown until
    /// the book is opened again.
    pub async fn commit(mut self) -> Result<(), BookError> {
        if let Some(head) = &self.head {
            let rows = head.id;
            sqlx::query("UPDATE progress SET value = $1 WHERE name = 'audit_rows'")
                .bind(rows)
                .execute(&mut *self.inner)
                .await?;
        }
        let Tx { inner, shared, head } = self;
        let done = inner.commit().await;
        if head.is_some() {
            // After a failure the cached head may or may not be the last: read it again.
            *shared.audit_head.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
                if done.is_ok() { head } else { None };
        }
        Ok(done?)
    }

    pub(super) fn committed_head(&self) -> Option<Head> {
        self.shared.audit_head.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}
