//! Moving settled frames and posted lines into the lake, beside running billing.
//!
//! The files are written by another thread from frames that no longer change; then one book transaction lists them,
//! removes the lines that went along, and advances `lake_seq`. Only then are frames forgotten and segments deleted.

use std::path::PathBuf;
use std::sync::Arc;

use kernel::id::{MeterId, Seq, ServicePointId, Utility};
use sqlx::Row as _;

use super::error::BillingError;
use super::packed;
use super::settlement::long;
use super::writer::Writer;
use crate::book::bulk::{self, Cell};
use crate::book::{Book, BookError};
use crate::lake::file::LakeError;
use crate::lake::flush::{ChargeRow, Flushed, LakeFile, charges, readings};

/// What a filing wrote, to be listed by the book.
#[derive(Debug)]
pub struct Filed {
    through: u64,
    readings: Flushed,
    charges: Flushed,
    /// The last row of packed lines that was exported.
    lines: i64,
}

impl Writer {
    /// Whether something settled is not in the lake yet.
    #[must_use]
    pub fn has_unfiled(&self) -> bool {
        self.flushing_through == 0 && self.hot.lake_seq() < self.settled.0
    }

    /// Forgets a filing that failed; its files are written over, or swept at the next start.
    pub fn give_up_filing(&mut self) {
        self.flushing_through = 0;
    }

    /// Begins to file everything that is settled. The future runs beside billing; its result goes to
    /// [`Writer::finish_filing`].
    pub fn start_filing(&mut self) -> impl Future<Output = Result<Filed, BillingError>> + Send + 'static {
        let through = self.settled.0;
        self.flushing_through = through;
        let (book, root, listed) = (self.book.clone(), self.lake.clone(), self.files.clone());
        let registry = Arc::clone(&self.registry);
        let (_, mut frames) = self.hot.snapshot();
        frames.retain(|frame| frame.seq.0 <= through);
        async move {
            let (rows, lines) = posted_lines(&book).await?;
            let stamp = next_file(&book).await?;
            let work = move || -> Result<(Flushed, Flushed), LakeError> {
                let of_point = |id| registry.service_point(id).map_or(Utility::Electricity, |point| point.utility);
                let of_meter = |id| registry.points_of(id).first().copied().map_or(Utility::Electricity, of_point);
                let filed = readings(&root, &listed, stamp, &frames, |meter| of_meter(MeterId(meter)))?;
                let charged = charges(&root, &listed, stamp, &rows, |point| of_point(ServicePointId(point)))?;
                Ok((filed, charged))
            };
            let written = tokio::task::spawn_blocking(work).await;
            let (readings, charges) = match written {
                Ok(written) => written?,
                Err(panic) => std::panic::resume_unwind(panic.into_panic()),
            };
            Ok(Filed { through, readings, charges, lines })
        }
    }

    /// Lists what was written, in one transaction, and forgets what the lake holds now. Gives the files that are no
    /// longer listed: to be removed once no query can be reading them.
    ///
    /// # Errors
    /// [`BillingError`]; then nothing was listed and the filing is to be started again.
    pub async fn finish_filing(&mut self, filed: Filed) -> Result<Vec<PathBuf>, BillingError> {
        self.flushing_through = 0;
        let Filed { through, readings, charges, lines } = filed;
        let added: Vec<LakeFile> = readings.added.into_iter().chain(charges.added).collect();
        let replaced: Vec<String> = readings.replaced.into_iter().chain(charges.replaced).collect();
        let first_id = next_file(&self.book).await?;
        let at = self.clock.now();
        let mut tx = self.book.begin().await?;
        for path in &replaced {
            let delete = sqlx::query("DELETE FROM lake_files WHERE path = $1").bind(path.clone());
            delete.execute(tx.conn()).await.map_err(BookError::from)?;
        }
        let rows = (first_id..).zip(&added).map(|(id, file)| -> [Cell<'_>; 10] {
            [
                long(id).into(),
                file.table.into(),
                file.path.as_str().into(),
                file.utility.name().into(),
                file.month.to_string().into(),
                long(file.rows).into(),
                long(file.bytes).into(),
                long(file.first_seq).into(),
                long(file.last_seq).into(),
                at.0.into(),
            ]
        });
        let head = "INSERT INTO lake_files (id, table_name, path, utility, month, row_count, byte_count, first_seq, \
                    last_seq, added_at) VALUES";
        bulk::insert(&mut tx, head, "", rows).await?;
        let exported = sqlx::query("DELETE FROM posted_lines WHERE id <= $1").bind(lines);
        exported.execute(tx.conn()).await.map_err(BookError::from)?;
        for sql in
            ["DELETE FROM hot_verdicts WHERE seq <= $1", "UPDATE progress SET value = $1 WHERE name = 'lake_seq'"]
        {
            sqlx::query(sql).bind(long(through)).execute(tx.conn()).await.map_err(BookError::from)?;
        }
        tx.commit().await?;
        self.files.retain(|file| !replaced.contains(&file.path));
        self.files.extend(added);
        self.hot.drop_through(through);
        let (log, disk) = (self.log.clone(), Arc::clone(&self.disk));
        let deleted = tokio::task::spawn_blocking(move || wal::delete_through(&log, disk.as_ref(), Seq(through))).await;
        if let Ok(Err(error)) = deleted {
            tracing::warn!(%error, "segments of the log that the lake holds could not be deleted");
        }
        Ok(replaced.into_iter().map(|path| self.lake.join(path)).collect())
    }
}

async fn next_file(book: &Book) -> Result<u64, BookError> {
    let row = sqlx::query("SELECT COALESCE(MAX(id), 0) + 1 FROM lake_files").fetch_one(book.reader()).await?;
    Ok(row.try_get::<i64, _>(0)?.unsigned_abs())
}

/// All posted lines, and the last row of the book that holds some (0 where none does).
async fn posted_lines(book: &Book) -> Result<(Vec<ChargeRow>, i64), BookError> {
    let (mut lines, mut last) = (Vec::new(), 0);
    let sql = "SELECT id, lines FROM posted_lines ORDER BY id";
    for row in sqlx::query(sql).fetch_all(book.reader()).await? {
        last = row.try_get(0)?;
        let some = packed::unpack(row.try_get(1)?);
        let damaged = || crate::book::malformed(format!("posted_lines {last}: its lines are damaged"));
        lines.extend(some.ok_or_else(damaged)?);
    }
    Ok((lines, last))
}
