//! Reading whole tables: many rows in each row of the database's answer.
//!
//! A start reads tables of a million rows, and what the driver does for each row of an answer (a message between threads,
//! a description of each column) costs five times what the row itself does. So the database packs some hundred rows into
//! one JSON text, and they are taken apart here. A table is never in memory as rows.

use std::borrow::Cow;
use std::fmt;

use futures::TryStreamExt as _;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use sqlx::{AnyConnection, Row as _};

use super::error::{BookError, malformed};

/// Identifiers that a page spans; a page of as many rows of 200 bytes is 100 KB.
const PAGE: u32 = 512;

/// What is read of a table.
#[derive(Clone, Copy, Debug)]
pub struct Select {
    /// The table.
    pub table: &'static str,
    /// Its column of identifiers, by which rows come in order.
    pub key: &'static str,
    /// Columns; a blob as `hex(..) AS name`.
    pub columns: &'static [&'static str],
    /// Which rows.
    pub condition: &'static str,
}

impl Select {
    /// Columns of all rows of a table whose identifier is `id`.
    #[must_use]
    pub const fn all(table: &'static str, columns: &'static [&'static str]) -> Select {
        Select { table, key: "id", columns, condition: "1 = 1" }
    }

    fn sql(&self) -> String {
        let Select { table, key, columns, condition } = self;
        let values: Vec<&str> = columns.iter().map(|column| expression(column)).collect();
        let values = values.join(", ");
        format!(
            "WITH RECURSIVE pages (after) AS (SELECT COALESCE(MIN({key}), 0) - 1 FROM {table} UNION ALL \
             SELECT after + {PAGE} FROM pages WHERE after + {PAGE} < (SELECT MAX({key}) FROM {table})) \
             SELECT (SELECT json_group_array(json_array({values})) FROM (SELECT * FROM {table} \
             WHERE {key} > after AND {key} <= after + {PAGE} AND ({condition}) ORDER BY {key})) FROM pages"
        )
    }
}

/// `hex(state)` of `hex(state) AS state`.
fn expression(column: &'static str) -> &'static str {
    column.split_once(" AS ").map_or(column, |(expression, _)| expression)
}

/// `state` of `hex(state) AS state`.
fn name(column: &'static str) -> &'static str {
    column.split_once(" AS ").map_or(column, |(_, name)| name)
}

/// A value of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell<'a> {
    /// Nothing.
    Null,
    /// A number.
    Int(i64),
    /// A text, borrowed from the page where nothing in it was escaped.
    Text(Cow<'a, str>),
}

impl<'de> Deserialize<'de> for Cell<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Cell<'de>, D::Error> {
        deserializer.deserialize_any(CellVisitor)
    }
}

struct CellVisitor;

impl<'de> Visitor<'de> for CellVisitor {
    type Value = Cell<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("null, an integer or a text")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Cell<'de>, E> {
        Ok(Cell::Null)
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Cell<'de>, E> {
        Ok(Cell::Int(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Cell<'de>, E> {
        i64::try_from(value).map(Cell::Int).map_err(|_| E::custom(format!("{value} is above 64 bits")))
    }

    fn visit_borrowed_str<E: de::Error>(self, value: &'de str) -> Result<Cell<'de>, E> {
        Ok(Cell::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Cell<'de>, E> {
        Ok(Cell::Text(Cow::Owned(value.to_owned())))
    }
}

/// What a cell is read as.
pub trait FromCell<'a>: Sized {
    /// The value; the error says what the cell is instead.
    ///
    /// # Errors
    /// Where the cell is something else.
    fn from_cell(cell: &'a Cell<'_>) -> Result<Self, &'static str>;
}

impl FromCell<'_> for i64 {
    fn from_cell(cell: &Cell<'_>) -> Result<i64, &'static str> {
        match cell {
            Cell::Int(value) => Ok(*value),
            Cell::Null => Err("is empty"),
            Cell::Text(_) => Err("is a text, not a number"),
        }
    }
}

impl<'a> FromCell<'a> for &'a str {
    fn from_cell(cell: &'a Cell<'_>) -> Result<&'a str, &'static str> {
        match cell {
            Cell::Text(text) => Ok(text),
            Cell::Null => Err("is empty"),
            Cell::Int(_) => Err("is a number, not a text"),
        }
    }
}

impl<'a> FromCell<'a> for String {
    fn from_cell(cell: &'a Cell<'_>) -> Result<String, &'static str> {
        <&str>::from_cell(cell).map(str::to_owned)
    }
}

impl<'a, T: FromCell<'a>> FromCell<'a> for Option<T> {
    fn from_cell(cell: &'a Cell<'_>) -> Result<Option<T>, &'static str> {
        match cell {
            Cell::Null => Ok(None),
            some => T::from_cell(some).map(Some),
        }
    }
}

/// One row of a table; a fault names table, row and column.
#[derive(Debug)]
pub struct Line<'a> {
    select: &'a Select,
    /// Of each cell.
    names: &'a [&'static str],
    cells: &'a [Cell<'a>],
    /// The cell that is likely asked for next: most ask in order.
    next: std::cell::Cell<usize>,
}

impl<'a> Line<'a> {
    /// The cell of a column.
    ///
    /// # Errors
    /// [`BookError::Malformed`] where there is no such column, or it holds something else.
    pub fn get<T: FromCell<'a>>(&self, column: &str) -> Result<T, BookError> {
        let likely = Some(self.next.get()).filter(|next| self.names.get(*next) == Some(&column));
        let place = likely.or_else(|| self.names.iter().position(|known| *known == column));
        self.next.set(place.map_or(0, |place| place + 1));
        let cell = place.and_then(|place| self.cells.get(place)).ok_or_else(|| self.fault(column, "is not there"))?;
        T::from_cell(cell).map_err(|what| self.fault(column, what))
    }

    /// What is wrong with a column of this row.
    #[must_use]
    pub fn fault(&self, column: &str, what: &str) -> BookError {
        let Select { table, key, .. } = self.select;
        let id = self.names.iter().position(|known| known == key).and_then(|place| self.cells.get(place));
        let id = match id {
            Some(Cell::Int(id)) => id.to_string(),
            _ => "?".to_owned(),
        };
        malformed(format!("{table} {id}, {column}: {what}"))
    }
}

/// Gives the rows of a table to `take`, by their key.
///
/// # Errors
/// What the database says, and what `take` does.
pub async fn each<E: From<BookError>>(
    connection: &mut AnyConnection,
    select: &Select,
    mut take: impl FnMut(Line<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let names: Vec<&str> = select.columns.iter().map(|column| name(column)).collect();
    let sql = sqlx::AssertSqlSafe(select.sql());
    let mut pages = sqlx::query(sql).fetch(connection);
    while let Some(page) = pages.try_next().await.map_err(BookError::from)? {
        let text: &str = page.try_get(0).map_err(BookError::from)?;
        let rows: Vec<Vec<Cell<'_>>> =
            serde_json::from_str(text).map_err(|error| malformed(format!("{}: {error}", select.table)))?;
        for cells in &rows {
            take(Line { select, names: &names, cells, next: std::cell::Cell::new(0) })?;
        }
    }
    Ok(())
}

/// The bytes of `hex(..)`; `None` where it is none.
#[must_use]
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use kernel::time::Moment;

    use super::*;
    use crate::book::Book;

    const NOTES: Select = Select {
        table: "notes",
        key: "place",
        columns: &["place", "text", "hex(bytes) AS bytes", "count"],
        condition: "count IS NULL OR count <> 7",
    };

    async fn read(book: &Book) -> Vec<(i64, Option<String>, Vec<u8>, Option<i64>)> {
        let mut rows = Vec::new();
        each::<BookError>(&mut book.snapshot().await.unwrap(), &NOTES, |line| {
            let bytes = unhex(line.get("bytes")?).ok_or_else(|| line.fault("bytes", "is no hex"))?;
            rows.push((line.get("place")?, line.get("text")?, bytes, line.get("count")?));
            Ok(())
        })
        .await
        .unwrap();
        rows
    }

    #[tokio::test]
    async fn rows_come_in_order_of_their_keys_with_every_value_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let book = Book::create(folder.path(), 7, Moment(0)).await.unwrap();
        let mut tx = book.begin().await.unwrap();
        sqlx::query("CREATE TABLE notes (place BIGINT, text TEXT, bytes BLOB, count BIGINT)")
            .execute(tx.conn())
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert!(read(&book).await.is_empty(), "an empty table is one empty page");
        let mut expected = Vec::new();
        let mut tx = book.begin().await.unwrap();
        // Backwards, over several pages, some of them empty, two rows at one key, the ends of 64 bits.
        for (at, place) in [9_000, 5_000, 4_488, 513, 512, 1, -3, -3].into_iter().enumerate() {
            let text = (at != 2).then(|| format!("\"{at}\" \\ 三相\n\u{1}{}", "x".repeat(at)));
            let bytes: Vec<u8> = (0..=255).skip(at).collect();
            let count = [Some(i64::MIN), None, Some(i64::MAX), Some(0)][at % 4];
            let insert = sqlx::query("INSERT INTO notes VALUES ($1, $2, $3, $4)").bind(place);
            insert.bind(text.clone()).bind(bytes.clone()).bind(count).execute(tx.conn()).await.unwrap();
            expected.push((place, text, bytes, count));
        }
        sqlx::query("INSERT INTO notes VALUES (600, 'left out', x'00', 7)").execute(tx.conn()).await.unwrap();
        tx.commit().await.unwrap();
        expected.sort_by_key(|row| row.0);
        let mut found = read(&book).await;
        found.sort_by_key(|row| (row.0, expected.iter().position(|known| known == row)));
        assert_eq!(found, expected);
    }

    #[tokio::test]
    async fn a_fault_names_table_row_and_column() {
        let folder = tempfile::tempdir().unwrap();
        let book = Book::create(folder.path(), 7, Moment(0)).await.unwrap();
        let mut tx = book.begin().await.unwrap();
        sqlx::query("INSERT INTO tariffs (id, name, utility, currency) VALUES (4, 'shops', 'gas', 'CNY')")
            .execute(tx.conn())
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let select = Select::all("tariffs", &["id", "name"]);
        for (column, expected) in
            [("name", "tariffs 4, name: is a text, not a number"), ("x", "tariffs 4, x: is not there")]
        {
            let take = |line: Line<'_>| line.get::<i64>(column).map(|_| ());
            let fault = each::<BookError>(&mut book.snapshot().await.unwrap(), &select, take).await.unwrap_err();
            assert!(fault.to_string().contains(expected), "{fault}");
        }
    }
}
