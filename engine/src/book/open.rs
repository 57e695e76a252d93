//! The book's file: creating it whole, opening it, and refusing what this program does not know.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use kernel::time::Moment;
use sqlx::any::AnyPoolOptions;
use sqlx::{Any, AnyConnection, AnyPool, Connection, Transaction};

use super::chain::Head;
use super::error::sqlite_code;
use super::format::{FORMAT, scripts_after};
use super::{BookError, Tx};

/// The book's file in the data folder.
pub const FILE: &str = "book.sqlite";

/// `synchronous = FULL` makes a commit wait for the disk. The writer has a large cache; readers mostly read whole tables,
/// each page once, and what they read stands in the system's cache (3 connections x 2 MiB at most).
const WRITER_PRAGMAS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = OFF; \
    PRAGMA busy_timeout = 5000; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -65536;";
const READER_PRAGMAS: &str = "PRAGMA query_only = ON; PRAGMA foreign_keys = OFF; PRAGMA busy_timeout = 5000; \
    PRAGMA temp_store = MEMORY; PRAGMA cache_size = -2048;";
const READERS: u32 = 3;

/// Which database answers; the SQL is the same, the way in is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// A file in the data folder.
    Sqlite,
    /// A server.
    Postgres,
}

/// An open book. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Book {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) backend: Backend,
    file: PathBuf,
    log_id: u64,
    /// One connection: whoever holds it is the writer.
    writer: AnyPool,
    readers: AnyPool,
    /// The last row of the audit log that is committed, once known.
    pub(super) audit_head: Mutex<Option<Head>>,
}

impl Book {
    /// Creates the folder (where it is missing) and a new book in it, in one transaction.
    ///
    /// # Errors
    /// [`BookError::Exists`] where a book is already; folder, disk and database errors with their remedies.
    pub async fn create(folder: &Path, log_id: u64, at: Moment) -> Result<Book, BookError> {
        std::fs::create_dir_all(folder).map_err(|source| BookError::Folder { folder: folder.to_path_buf(), source })?;
        let file = absolute(folder)?.join(FILE);
        let (writer, readers) = connect(&file, "rwc").await?;
        let opening = |error: BookError| BookError::Open { file: file.clone(), source: Box::new(error) };
        let mut tx = writer.begin_with("BEGIN IMMEDIATE").await.map_err(|error| opening(error.into()))?;
        if has_meta(&mut tx, &file).await? {
            return Err(BookError::Exists(file));
        }
        for script in scripts_after(0) {
            sqlx::raw_sql(*script).execute(&mut *tx).await.map_err(|error| opening(error.into()))?;
        }
        let rows = [
            ("format_version", FORMAT.to_string()),
            ("log_id", format!("{log_id:016x}")),
            ("created_at", at.0.to_string()),
        ];
        for (key, value) in rows {
            let insert = sqlx::query("INSERT INTO meta (key, value) VALUES ($1, $2)").bind(key).bind(value);
            insert.execute(&mut *tx).await.map_err(|error| opening(error.into()))?;
        }
        for name in ["applied_seq", "lake_seq", "audit_rows"] {
            let insert = sqlx::query("INSERT INTO progress (name, value) VALUES ($1, 0)").bind(name);
            insert.execute(&mut *tx).await.map_err(|error| opening(error.into()))?;
        }
        tx.commit().await.map_err(|error| opening(error.into()))?;
        // The new file's name must survive a power loss too.
        std::fs::File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|source| BookError::Folder { folder: folder.to_path_buf(), source })?;
        Ok(Book::assemble(file, log_id, writer, readers))
    }

    /// Opens the book of a data folder; one of an older format becomes one of the newest first.
    ///
    /// # Errors
    /// [`BookError::Missing`], [`BookError::Newer`], [`BookError::NotABook`], or what the database says.
    pub async fn open(folder: &Path) -> Result<Book, BookError> {
        if !folder.join(FILE).is_file() {
            return Err(BookError::Missing(folder.to_path_buf()));
        }
        let file = absolute(folder)?.join(FILE);
        let (writer, readers) = connect(&file, "rw").await?;
        let mut tx = readers.begin().await.map_err(|error| open_error(&file, error))?;
        if !has_meta(&mut tx, &file).await? {
            return Err(BookError::Missing(folder.to_path_buf()));
        }
        let format = meta(&mut tx, &file, "format_version").await?;
        let format: i64 = format.parse().map_err(|_| not_a_book(&file, &format!("its format is {format:?}")))?;
        if format > FORMAT {
            return Err(BookError::Newer { file, found: format, known: FORMAT });
        }
        let log_id = meta(&mut tx, &file, "log_id").await?;
        let log_id =
            u64::from_str_radix(&log_id, 16).map_err(|_| not_a_book(&file, &format!("its log is {log_id:?}")))?;
        drop(tx);
        if format < FORMAT {
            upgrade(&writer, &file, format).await?;
        }
        Ok(Book::assemble(file, log_id, writer, readers))
    }

    /// Opens the book of a data folder, or creates it where there is none.
    ///
    /// # Errors
    /// As [`Book::open`] and [`Book::create`].
    pub async fn open_or_create(folder: &Path, log_id: u64, at: Moment) -> Result<Book, BookError> {
        match Book::open(folder).await {
            Err(BookError::Missing(_)) => Book::create(folder, log_id, at).await,
            other => other,
        }
    }

    fn assemble(file: PathBuf, log_id: u64, writer: AnyPool, readers: AnyPool) -> Book {
        let backend = Backend::Sqlite;
        Book { shared: Arc::new(Shared { backend, file, log_id, writer, readers, audit_head: Mutex::new(None) }) }
    }

    /// The book's file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.shared.file
    }

    /// The log that this book follows (design.md, 2.9).
    #[must_use]
    pub fn log_id(&self) -> u64 {
        self.shared.log_id
    }

    /// Which database answers.
    #[must_use]
    pub fn backend(&self) -> Backend {
        self.shared.backend
    }

    /// Begins the one writing transaction; waits until the one before has ended. Dropping it undoes it.
    ///
    /// # Errors
    /// What the database says.
    pub async fn begin(&self) -> Result<Tx, BookError> {
        let statement = match self.shared.backend {
            // A deferred transaction could fail at its first write, when it is too late to wait.
            Backend::Sqlite => "BEGIN IMMEDIATE",
            Backend::Postgres => "BEGIN",
        };
        let inner = self.shared.writer.begin_with(statement).await?;
        Ok(Tx::new(inner, Arc::clone(&self.shared)))
    }

    /// A few connections for single reads; each statement sees the last commit.
    #[must_use]
    pub fn reader(&self) -> &AnyPool {
        &self.shared.readers
    }

    /// A transaction that only reads: all its statements see the same commit. It never waits for the writer.
    ///
    /// # Errors
    /// What the database says.
    pub async fn snapshot(&self) -> Result<Transaction<'static, Any>, BookError> {
        Ok(self.shared.readers.begin().await?)
    }

    /// Closes all connections; SQLite folds its write-ahead log into the file.
    pub async fn close(&self) {
        self.shared.readers.close().await;
        self.shared.writer.close().await;
    }
}

/// Brings a book of an older format to the newest, in one transaction: cut short, it is as it was.
async fn upgrade(writer: &AnyPool, file: &Path, from: i64) -> Result<(), BookError> {
    let opening = |error: sqlx::Error| open_error(file, error);
    let mut tx = writer.begin_with("BEGIN IMMEDIATE").await.map_err(opening)?;
    for script in scripts_after(from) {
        sqlx::raw_sql(*script).execute(&mut *tx).await.map_err(opening)?;
    }
    let sql = "UPDATE meta SET value = $1 WHERE key = 'format_version'";
    sqlx::query(sql).bind(FORMAT.to_string()).execute(&mut *tx).await.map_err(opening)?;
    tx.commit().await.map_err(opening)?;
    tracing::info!(file = %file.display(), from, to = FORMAT, "the book has a new format");
    Ok(())
}

fn absolute(folder: &Path) -> Result<PathBuf, BookError> {
    std::path::absolute(folder).map_err(|source| BookError::Folder { folder: folder.to_path_buf(), source })
}

/// Tries a single connection first, so that a fault shows here: a pool would try again until its time is over.
async fn connect(file: &Path, mode: &str) -> Result<(AnyPool, AnyPool), BookError> {
    static DRIVERS: Once = Once::new();
    DRIVERS.call_once(sqlx::any::install_default_drivers);
    let path = file.to_str().ok_or_else(|| BookError::Path(file.to_path_buf()))?;
    let path = escape(path);
    let mut first = AnyConnection::connect(&format!("sqlite://{path}?mode={mode}"))
        .await
        .map_err(|error| open_error(file, error))?;
    sqlx::raw_sql(WRITER_PRAGMAS).execute(&mut first).await.map_err(|error| open_error(file, error))?;
    first.close().await.map_err(|error| open_error(file, error))?;
    let pool = |pragmas: &'static str, connections: u32| {
        AnyPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(Duration::from_secs(600))
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .after_connect(move |connection, _| {
                Box::pin(async move { sqlx::raw_sql(pragmas).execute(connection).await.map(|_| ()) })
            })
    };
    let writer = pool(WRITER_PRAGMAS, 1).connect(&format!("sqlite://{path}?mode=rw")).await;
    let writer = writer.map_err(|error| open_error(file, error))?;
    let readers = pool(READER_PRAGMAS, READERS).connect(&format!("sqlite://{path}?mode=rw")).await;
    Ok((writer, readers.map_err(|error| open_error(file, error))?))
}

/// Percent-encodes what a URL's path may not hold.
fn escape(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    path.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn open_error(file: &Path, error: sqlx::Error) -> BookError {
    match error.as_database_error().and_then(sqlite_code) {
        Some(26) => not_a_book(file, "it is no SQLite database"),
        // SQLite cannot make the file or its companions beside it.
        Some(14) => BookError::Open { file: file.to_path_buf(), source: Box::new(BookError::ReadOnly) },
        _ => BookError::Open { file: file.to_path_buf(), source: Box::new(error.into()) },
    }
}

fn not_a_book(file: &Path, reason: &str) -> BookError {
    BookError::NotABook { file: file.to_path_buf(), reason: reason.to_owned() }
}

/// Whether the format's first table exists; a file with other tables but without it is somebody else's.
async fn has_meta(tx: &mut Transaction<'static, Any>, file: &Path) -> Result<bool, BookError> {
    let names: Vec<(String,)> = sqlx::query_as("SELECT name FROM sqlite_master WHERE type = 'table'")
        .fetch_all(&mut **tx)
        .await
        .map_err(|error| open_error(file, error))?;
    let found = names.iter().any(|(name,)| name == "meta");
    if !found && !names.is_empty() {
        return Err(not_a_book(file, "it has tables, but no table `meta`"));
    }
    Ok(found)
}

async fn meta(tx: &mut Transaction<'static, Any>, file: &Path, key: &str) -> Result<String, BookError> {
    let row: Option<(String,)> = sqlx::query_as("SELECT value FROM meta WHERE key = $1")
        .bind(key)
        .fetch_optional(&mut **tx)
        .await
        .map_err(|error| open_error(file, error))?;
    Ok(row.ok_or_else(|| not_a_book(file, &format!("its table `meta` has no {key}")))?.0)
}

#[cfg(test)]
#[path = "open_tests.rs"]
mod tests;
