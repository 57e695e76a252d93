//! Many rows in few statements: multi-row `VALUES`, some thousand parameters at a time.
//!
//! Statements come in a handful of fixed lengths (a full chunk, then powers of two), so that the database's cache of
//! prepared statements holds all of them. SQLite gets bare `?` marks: numbered ones make it search a list for each.

use std::borrow::Cow;

use sqlx::any::AnyArguments;
use sqlx::{Arguments, AssertSqlSafe};

use super::open::Backend;
use super::{BookError, Tx};

/// Parameters in one statement. SQLite allows 32,766, PostgreSQL 65,535.
const PARAMETERS: usize = 8_192;

/// One value of a row. The kind of an absent one is named, because PostgreSQL wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell<'a> {
    /// BIGINT.
    Int(i64),
    /// BIGINT or null.
    OptionalInt(Option<i64>),
    /// TEXT.
    Text(Cow<'a, str>),
    /// TEXT or null.
    OptionalText(Option<Cow<'a, str>>),
    /// BLOB.
    Blob(Cow<'a, [u8]>),
}

impl From<i64> for Cell<'_> {
    fn from(value: i64) -> Self {
        Cell::Int(value)
    }
}
impl From<u32> for Cell<'_> {
    fn from(value: u32) -> Self {
        Cell::Int(i64::from(value))
    }
}
impl From<bool> for Cell<'_> {
    fn from(value: bool) -> Self {
        Cell::Int(i64::from(value))
    }
}
impl From<Option<i64>> for Cell<'_> {
    fn from(value: Option<i64>) -> Self {
        Cell::OptionalInt(value)
    }
}
impl From<Option<u32>> for Cell<'_> {
    fn from(value: Option<u32>) -> Self {
        Cell::OptionalInt(value.map(i64::from))
    }
}
impl<'a> From<&'a str> for Cell<'a> {
    fn from(value: &'a str) -> Self {
        Cell::Text(Cow::Borrowed(value))
    }
}
impl From<String> for Cell<'_> {
    fn from(value: String) -> Self {
        Cell::Text(Cow::Owned(value))
    }
}
impl<'a> From<Option<&'a str>> for Cell<'a> {
    fn from(value: Option<&'a str>) -> Self {
        Cell::OptionalText(value.map(Cow::Borrowed))
    }
}
impl From<Option<String>> for Cell<'_> {
    fn from(value: Option<String>) -> Self {
        Cell::OptionalText(value.map(Cow::Owned))
    }
}
impl<'a> From<&'a [u8]> for Cell<'a> {
    fn from(value: &'a [u8]) -> Self {
        Cell::Blob(Cow::Borrowed(value))
    }
}
impl From<Vec<u8>> for Cell<'_> {
    fn from(value: Vec<u8>) -> Self {
        Cell::Blob(Cow::Owned(value))
    }
}

/// Runs `head` + rows + `tail` until all rows are in. `head` ends with `VALUES`, `tail` is empty or begins with
/// `ON CONFLICT`; rows of one call must not conflict with each other where `tail` updates. Gives the number of rows.
///
/// ```text
/// bulk::insert(&mut tx, "INSERT INTO progress (name, value) VALUES",
///     "ON CONFLICT (name) DO UPDATE SET value = excluded.value", rows).await?
/// ```
///
/// # Errors
/// What the database says; the transaction is then to be dropped.
pub async fn insert<'a, const N: usize>(
    tx: &mut Tx,
    head: &str,
    tail: &str,
    rows: impl IntoIterator<Item = [Cell<'a>; N]>,
) -> Result<u64, BookError> {
    let full =
        const { if N == 0 || N > PARAMETERS { panic!("a row has 1 to PARAMETERS columns") } else { PARAMETERS / N } };
    let mut full_sql: Option<std::sync::Arc<str>> = None;
    let mut pending: Vec<[Cell<'a>; N]> = Vec::new();
    let mut written = 0;
    for row in rows {
        pending.push(row);
        if pending.len() == full {
            let backend = tx.backend();
            let sql = full_sql.get_or_insert_with(|| statement(backend, head, tail, N, full).into());
            run(tx, AssertSqlSafe(std::sync::Arc::clone(sql)), pending.drain(..)).await?;
            written += full as u64;
        }
    }
    while !pending.is_empty() {
        // The largest power of two that is left.
        let length = 1_usize << pending.len().ilog2();
        let sql = statement(tx.backend(), head, tail, N, length);
        run(tx, AssertSqlSafe(sql.into()), pending.drain(..length)).await?;
        written += length as u64;
    }
    Ok(written)
}

async fn run<'a, const N: usize>(
    tx: &mut Tx,
    sql: AssertSqlSafe<std::sync::Arc<str>>,
    rows: impl ExactSizeIterator<Item = [Cell<'a>; N]>,
) -> Result<(), BookError> {
    let mut arguments = AnyArguments::default();
    arguments.reserve(rows.len() * N, 0);
    for cell in rows.flatten() {
        let added = match cell {
            Cell::Int(value) => arguments.add(value),
            Cell::OptionalInt(value) => arguments.add(value),
            Cell::Text(value) => arguments.add(value.into_owned()),
            Cell::OptionalText(value) => arguments.add(value.map(Cow::into_owned)),
            Cell::Blob(value) => arguments.add(value.into_owned()),
        };
        added.map_err(|error| BookError::Database(sqlx::Error::Encode(error)))?;
    }
    sqlx::query_with(sql, arguments).execute(tx.conn()).await?;
    Ok(())
}

fn statement(backend: Backend, head: &str, tail: &str, columns: usize, rows: usize) -> String {
    let mut sql = String::with_capacity(head.len() + tail.len() + rows * (columns * 2 + 3) + 2);
    sql.push_str(head);
    let mut parameter = 0;
    for row in 0..rows {
        sql.push_str(if row == 0 { " (" } else { ",(" });
        for column in 0..columns {
            if column > 0 {
                sql.push(',');
            }
            parameter += 1;
            match backend {
                Backend::Sqlite => sql.push('?'),
                Backend::Postgres => sql.push_str(&format!("${parameter}")),
            }
        }
        sql.push(')');
    }
    sql.push(' ');
    sql.push_str(tail);
    sql
}

#[cfg(test)]
#[path = "bulk_tests.rs"]
mod tests;
