//! What can go wrong between a statement and its rows.

use datafusion::error::DataFusionError;

/// Why a statement gave no rows.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The statement is not SQL, or names what does not exist.
    #[error("the statement cannot be planned: {source}; {remedy}")]
    Plan {
        /// What DataFusion said.
        #[source]
        source: Box<DataFusionError>,
        /// What to do.
        remedy: String,
    },
    /// Planned, but failed while it ran.
    #[error("the statement failed while it ran: {0}")]
    Execute(#[source] Box<DataFusionError>),
    /// The session could not be built (memory limit, object store).
    #[error("the query session could not be built: {0}")]
    Session(#[source] Box<DataFusionError>),
    /// The lake's folder cannot be opened.
    #[error("the lake at {folder} cannot be opened: {source}; the book lists files there, restore the folder")]
    Lake {
        /// The folder.
        folder: String,
        /// What the object store said.
        #[source]
        source: Box<DataFusionError>,
    },
    /// A statement on the book failed.
    #[error("book table {table} cannot be read: {source}")]
    Book {
        /// Which table.
        table: String,
        /// What the database said.
        #[source]
        source: sqlx::Error,
    },
    /// A value in the book is not of its declared form.
    #[error("book table {table}, column {column}, row {row}: {found:?} is not {expected}; restore the book from a backup")]
    BookValue {
        /// Which table.
        table: String,
        /// Which column.
        column: String,
        /// Which row, in the order read.
        row: usize,
        /// What was found.
        found: String,
        /// What was expected.
        expected: &'static str,
    },
    /// A table that the engine does not know was asked of a source.
    #[error("the snapshot has no table {0}; a source must give every table that it is asked for")]
    Missing(String),
    /// Columns could not be put together.
    #[error("table {table}: {source}")]
    Arrow {
        /// Which table.
        table: String,
        /// What Arrow said.
        #[source]
        source: arrow::error::ArrowError,
    },
    /// Another part of the system failed to give its share of the snapshot.
    #[error("the snapshot could not be taken: {0}")]
    Snapshot(String),
}

impl QueryError {
    pub(crate) fn arrow(table: &str) -> impl FnOnce(arrow::error::ArrowError) -> QueryError {
        let table = table.to_owned();
        move |source| QueryError::Arrow { table, source }
    }

    pub(crate) fn book(table: &str) -> impl FnOnce(sqlx::Error) -> QueryError {
        let table = table.to_owned();
        move |source| QueryError::Book { table, source }
    }

    pub(crate) fn execute(source: DataFusionError) -> QueryError {
        QueryError::Execute(Box::new(source))
    }

    pub(crate) fn session(source: DataFusionError) -> QueryError {
        QueryError::Session(Box::new(source))
    }
}
