//! The book's share of a snapshot: tables as Arrow columns, read in one transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Int8Builder, Int16Builder, Int32Builder,
    Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::compute::concat_batches;
use arrow::record_batch::RecordBatch;
use futures::TryStreamExt;
use kernel::money::Amount;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, Connection, Row};

use super::columns::{self, BookTable, Kind};
use super::source::{LakeFile, READINGS, SITE_DAYS};
use super::{QueryError, derive};
use crate::billing::packed;
use crate::lake::flush::{ChargeRow, charge_batch};

/// The table whose posted rows the book holds packed.
const USAGE_LINES: &str = "usage_lines";

/// What the book says at one moment.
#[derive(Clone, Debug)]
pub struct BookPart {
    /// Frames that are priced.
    pub applied_seq: i64,
    /// Frames that are in the lake's files.
    pub lake_seq: i64,
    /// The lake's files.
    pub files: Vec<LakeFile>,
    /// Verdicts of hot rows other than `accepted`; empty unless [`READINGS`] was asked for.
    pub hot_verdicts: Vec<HotVerdict>,
    /// The tables asked for.
    pub tables: BTreeMap<String, RecordBatch>,
}

/// The verdict of one row above `lake_seq`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HotVerdict {
    /// Its frame.
    pub seq: i64,
    /// Its place in the frame.
    pub row_index: i64,
    /// `kernel::reading::Verdict::code`.
    pub verdict: i64,
}

/// Reads what `tables` names, the list of files and the progress, in one read transaction of the pool.
///
/// Names: the book's tables ([`columns::TABLES`]); those derived from them: `epochs` (with its JSON in real columns),
/// `tariff_prices`, `tariff_switches`, `tariff_tiers`, `tier_bounds`, `price_steps`, `tariff_components`, `component_bases`,
/// `component_demands`, `derived_tiers`, `factor_steps`, `named_dates`, `measured_until`; [`READINGS`] (hot verdicts, overrides,
/// corrections). [`SITE_DAYS`] is passed over: it is not in the book.
///
/// # Errors
/// [`QueryError::Book`] and [`QueryError::BookValue`] name the table; [`QueryError::Missing`] an unknown name.
pub async fn load_book(pool: &AnyPool, tables: &BTreeSet<String>) -> Result<BookPart, QueryError> {
    let mut connection = pool.acquire().await.map_err(QueryError::book("(connection)"))?;
    // SQLite's deferred transaction is a snapshot from its first read on; PostgreSQL must be told.
    let begin = match connection.backend_name() {
        "PostgreSQL" => "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY",
        _ => "BEGIN",
    };
    let mut transaction = connection.begin_with(begin).await.map_err(QueryError::book("(transaction)"))?;
    let part = read_book(&mut transaction, tables).await?;
    transaction.rollback().await.map_err(QueryError::book("(transaction)"))?;
    Ok(part)
}

async fn read_book(connection: &mut AnyConnection, tables: &BTreeSet<String>) -> Result<BookPart, QueryError> {
    let (applied_seq, lake_seq) = progress(connection).await?;
    let files = lake_files(connection).await?;
    let mut hot_verdicts = Vec::new();
    let mut loaded = BTreeMap::new();
    for name in tables.iter().map(String::as_str).filter(|name| *name != SITE_DAYS) {
        if name == READINGS {
            hot_verdicts = read_hot_verdicts(connection).await?;
            for beside in ["verdict_overrides", "corrections"] {
                loaded.insert(beside.to_owned(), read(connection, beside).await?);
            }
        } else if let Some(derived) = derive::table(name) {
            let base = read(connection, derived.base).await?;
            loaded.insert(name.to_owned(), (derived.derive)(&base)?);
        } else {
            loaded.insert(name.to_owned(), read(connection, name).await?);
        }
    }
    Ok(BookPart { applied_seq, lake_seq, files, hot_verdicts, tables: loaded })
}

async fn progress(connection: &mut AnyConnection) -> Result<(i64, i64), QueryError> {
    let rows: Vec<(String, i64)> = sqlx::query_as("SELECT name, value FROM progress")
        .fetch_all(connection)
        .await
        .map_err(QueryError::book("progress"))?;
    let of = |wanted: &str| rows.iter().find(|(name, _)| name == wanted).map_or(0, |(_, value)| *value);
    Ok((of("applied_seq"), of("lake_seq")))
}

async fn lake_files(connection: &mut AnyConnection) -> Result<Vec<LakeFile>, QueryError> {
    let rows: Vec<(String, String, String, String, i64, i64)> = sqlx::query_as(
        "SELECT table_name, path, utility, month, row_count, byte_count FROM lake_files ORDER BY table_name, month, id",
    )
    .fetch_all(connection)
    .await
    .map_err(QueryError::book("lake_files"))?;
    let file = |(table_name, path, utility, month, row_count, byte_count)| LakeFile {
        table_name,
        path,
        utility,
        month,
        row_count,
        byte_count,
    };
    Ok(rows.into_iter().map(file).collect())
}

async fn read_hot_verdicts(connection: &mut AnyConnection) -> Result<Vec<HotVerdict>, QueryError> {
    let rows: Vec<(i64, i64, i64)> =
        sqlx::query_as("SELECT seq, row_index, verdict FROM hot_verdicts ORDER BY seq, row_index")
            .fetch_all(connection)
            .await
            .map_err(QueryError::book("hot_verdicts"))?;
    Ok(rows.into_iter().map(|(seq, row_index, verdict)| HotVerdict { seq, row_index, verdict }).collect())
}

async fn read(connection: &mut AnyConnection, name: &str) -> Result<RecordBatch, QueryError> {
    let table = columns::table(name).ok_or_else(|| QueryError::Missing(name.to_owned()))?;
    let names: Vec<&str> = table.columns.iter().map(|(name, _)| *name).collect();
    // Only names of `columns::TABLES` get into the text.
    let sql = AssertSqlSafe(format!("SELECT {} FROM {}", names.join(", "), table.name));
    let mut builders: Vec<Builder> = table.columns.iter().map(|(_, kind)| Builder::new(*kind)).collect();
    let mut rows = sqlx::query(sql).fetch(&mut *connection);
    let mut count = 0;
    while let Some(row) = rows.try_next().await.map_err(QueryError::book(name))? {
        for (index, builder) in builders.iter_mut().enumerate() {
            builder.push(table, index, &row, count)?;
        }
        count += 1;
    }
    drop(rows);
    let arrays: Vec<ArrayRef> = builders.into_iter().map(Builder::finish).collect();
    let batch = RecordBatch::try_new(table.schema(), arrays).map_err(QueryError::arrow(name))?;
    if name != USAGE_LINES {
        return Ok(batch);
    }
    let posted = posted_lines(connection).await?;
    concat_batches(&table.schema(), [&batch, &posted]).map_err(QueryError::arrow(name))
}

/// Lines that are posted and not in the lake yet, as rows of [`USAGE_LINES`].
async fn posted_lines(connection: &mut AnyConnection) -> Result<RecordBatch, QueryError> {
    let name = "posted_lines";
    let mut lines = Vec::new();
    let mut rows = sqlx::query("SELECT id, lines FROM posted_lines ORDER BY id").fetch(connection);
    while let Some(row) = rows.try_next().await.map_err(QueryError::book(name))? {
        let fault = || QueryError::BookValue {
            table: name.to_owned(),
            column: "lines".to_owned(),
            row: lines.len(),
            found: "damaged bytes".to_owned(),
            expected: "packed lines of this release",
        };
        let bytes = row.try_get(1).map_err(QueryError::book(name))?;
        let some: Vec<ChargeRow> = packed::unpack(bytes).ok_or_else(fault)?.collect();
        lines.extend(some);
    }
    charge_batch(&lines.iter().collect::<Vec<_>>()).map_err(QueryError::arrow(name))
}

enum Builder {
    Id(Int32Builder),
    Long(Int64Builder),
    Code(Int8Builder),
    Small(Int16Builder),
    Flag(BooleanBuilder),
    Text(StringBuilder),
    Bytes(BinaryBuilder),
    Amount(Decimal128Builder),
    Time(TimestampMicrosecondBuilder),
    Date(Date32Builder),
}

impl Builder {
    fn new(kind: Kind) -> Builder {
        match kind {
            Kind::Id => Builder::Id(Int32Builder::new()),
            Kind::Long => Builder::Long(Int64Builder::new()),
            Kind::Code => Builder::Code(Int8Builder::new()),
            Kind::Small => Builder::Small(Int16Builder::new()),
            Kind::Flag => Builder::Flag(BooleanBuilder::new()),
            Kind::Text => Builder::Text(StringBuilder::new()),
            Kind::Bytes => Builder::Bytes(BinaryBuilder::new()),
            Kind::Amount => Builder::Amount(Decimal128Builder::new().with_data_type(kind.data_type())),
            Kind::Time => Builder::Time(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
            Kind::Date => Builder::Date(Date32Builder::new()),
        }
    }

    fn push(&mut self, table: &BookTable, index: usize, row: &AnyRow, at: usize) -> Result<(), QueryError> {
        let fault = |found: &str, expected| QueryError::BookValue {
            table: table.name.to_owned(),
            column: table.columns[index].0.to_owned(),
            row: at,
            found: found.to_owned(),
            expected,
        };
        let text = || row.try_get::<Option<&str>, _>(index).map_err(QueryError::book(table.name));
        if let Builder::Text(builder) = self {
            builder.append_option(text()?);
            return Ok(());
        }
        if let Builder::Amount(builder) = self {
            let amount = match text()? {
                Some(text) => Some(Amount::parse(text).ok_or_else(|| fault(text, "an amount such as 12.345678900"))?.0),
                None => None,
            };
            builder.append_option(amount);
            return Ok(());
        }
        if let Builder::Bytes(builder) = self {
            builder.append_option(row.try_get::<Option<&[u8]>, _>(index).map_err(QueryError::book(table.name))?);
            return Ok(());
        }
        let Some(value) = row.try_get::<Option<i64>, _>(index).map_err(QueryError::book(table.name))? else {
            self.push_null();
            return Ok(());
        };
        let out = |_| fault(&value.to_string(), "a number within the column's range");
        match self {
            Builder::Id(builder) => builder.append_value(i32::try_from(value).map_err(out)?),
            Builder::Date(builder) => builder.append_value(i32::try_from(value).map_err(out)?),
            Builder::Code(builder) => builder.append_value(i8::try_from(value).map_err(out)?),
            Builder::Small(builder) => builder.append_value(i16::try_from(value).map_err(out)?),
            Builder::Flag(builder) => builder.append_value(value != 0),
            Builder::Time(builder) => builder.append_value(value),
            Builder::Long(builder) => builder.append_value(value),
            Builder::Text(_) | Builder::Amount(_) | Builder::Bytes(_) => {}
        }
        Ok(())
    }

    fn push_null(&mut self) {
        match self {
            Builder::Id(builder) => builder.append_null(),
            Builder::Long(builder) => builder.append_null(),
            Builder::Code(builder) => builder.append_null(),
            Builder::Small(builder) => builder.append_null(),
            Builder::Flag(builder) => builder.append_null(),
            Builder::Text(builder) => builder.append_null(),
            Builder::Bytes(builder) => builder.append_null(),
            Builder::Amount(builder) => builder.append_null(),
            Builder::Time(builder) => builder.append_null(),
            Builder::Date(builder) => builder.append_null(),
        }
    }

    fn finish(self) -> ArrayRef {
        match self {
            Builder::Id(mut builder) => Arc::new(builder.finish()),
            Builder::Long(mut builder) => Arc::new(builder.finish()),
            Builder::Code(mut builder) => Arc::new(builder.finish()),
            Builder::Small(mut builder) => Arc::new(builder.finish()),
            Builder::Flag(mut builder) => Arc::new(builder.finish()),
            Builder::Text(mut builder) => Arc::new(builder.finish()),
            Builder::Bytes(mut builder) => Arc::new(builder.finish()),
            Builder::Amount(mut builder) => Arc::new(builder.finish()),
            Builder::Time(mut builder) => Arc::new(builder.finish()),
            Builder::Date(mut builder) => Arc::new(builder.finish()),
        }
    }
}
