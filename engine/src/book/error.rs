//! What can go wrong with the book, by what the caller would do about it.

use std::path::PathBuf;

use sqlx::error::DatabaseError;

/// A book that cannot be opened, read or written. Every text ends with its remedy.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// The folder holds no book.
    #[error("{} holds no book: run `meterledger apply FILE` with a site file to create one, or name another --data-dir", .0.display())]
    Missing(PathBuf),
    /// The folder holds a book already.
    #[error("{} is a book already: open it instead of creating it", .0.display())]
    Exists(PathBuf),
    /// The folder could not be made or written.
    #[error("cannot create the data folder {}: {source}; make it writable for this user, or name another --data-dir", folder.display())]
    Folder {
        /// Which.
        folder: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The path cannot be part of a database URL.
    #[error("the data folder {} is not a UTF-8 path: name another --data-dir", .0.display())]
    Path(PathBuf),
    /// A newer program wrote it.
    #[error("{} has format {found}, this program knows formats up to {known}: use the newer meterledger that wrote it", file.display())]
    Newer {
        /// The book.
        file: PathBuf,
        /// Its format.
        found: i64,
        /// The newest format that this program knows.
        known: i64,
    },
    /// Not a book at all.
    #[error("{} is not a book of meterledger ({reason}): name another --data-dir, or restore the file from a backup", file.display())]
    NotABook {
        /// The file.
        file: PathBuf,
        /// How that shows.
        reason: String,
    },
    /// The book could not be opened.
    #[error("cannot open {}: {source}", file.display())]
    Open {
        /// The file.
        file: PathBuf,
        /// Why.
        source: Box<BookError>,
    },
    /// The disk is full. Nothing of the transaction remains.
    #[error("the disk that holds the book is full: free space and try again; nothing was changed")]
    Full,
    /// The book's file or folder cannot be written.
    #[error("the book cannot be written (read-only file, folder or disk): make it writable for this user")]
    ReadOnly,
    /// Another process holds the book.
    #[error("another process is writing the book: stop it, or send the command through the running server")]
    Busy,
    /// The file is damaged.
    #[error("the book is damaged ({0}): stop, keep a copy of the file, and restore it from a backup")]
    Damaged(String),
    /// A stored value is not what the format says.
    #[error("the book holds what its format does not allow: {what}; run `meterledger audit` and restore a backup")]
    Malformed {
        /// Table, row and value.
        what: String,
    },
    /// Any other answer of the database.
    #[error("the book's database refused a statement: {0}")]
    Database(#[source] sqlx::Error),
}

impl From<sqlx::Error> for BookError {
    fn from(error: sqlx::Error) -> BookError {
        let code = error.as_database_error().and_then(sqlite_code);
        match code {
            Some(5 | 6) => BookError::Busy,
            Some(8) => BookError::ReadOnly,
            Some(11) => BookError::Damaged(error.to_string()),
            Some(13) => BookError::Full,
            _ => BookError::Database(error),
        }
    }
}

/// SQLite's primary result code (the low byte of the extended one).
pub(super) fn sqlite_code(error: &dyn DatabaseError) -> Option<i64> {
    error.code()?.parse::<i64>().ok().map(|code| code & 0xff)
}

/// Shortens the making of [`BookError::Malformed`].
pub(crate) fn malformed(what: impl Into<String>) -> BookError {
    BookError::Malformed { what: what.into() }
}
