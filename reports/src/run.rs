//! From a report's name to its rows.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Date32Type, SchemaRef};
use engine::query::header::Header;
use engine::query::{Pinned, QueryError, QuerySession, Table};
use kernel::time::{LocalDate, Moment};

use crate::ReportError;
use crate::catalogue::{find, list};
use crate::cells;
use crate::params::{Params, Period, substitute};

/// One column of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name in SQL.
    pub name: String,
    /// Its unit, empty where it has none.
    pub unit: String,
    /// What it holds.
    pub text: String,
    /// Whether it holds numbers.
    pub numeric: bool,
}

/// What a report rests on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// The last frame of the log that is priced in it.
    pub applied_seq: i64,
    /// The last frame that is in the lake's files.
    pub lake_seq: i64,
    /// The latest reading that any figure rests on.
    pub measured_until: Option<Moment>,
}

/// A report with its rows.
#[derive(Clone, Debug)]
pub struct Report {
    /// Its name.
    pub name: String,
    /// In English and after `|` in Chinese.
    pub title: String,
    /// What it is for.
    pub purpose: String,
    /// The days it covers; none where it says how things are now.
    pub period: Option<Period>,
    /// Its columns.
    pub columns: Vec<Column>,
    /// The Arrow schema of its rows.
    pub schema: SchemaRef,
    /// Its rows.
    pub batches: Vec<RecordBatch>,
    /// What it rests on.
    pub provenance: Provenance,
    pub(crate) header: Header,
}

/// Runs a report.
///
/// # Errors
/// [`ReportError::Unknown`] lists the reports that there are; [`ReportError::Query`] says why the query failed.
pub async fn run(session: &QuerySession, name: &str, params: Params) -> Result<Report, ReportError> {
    let Some(info) = find(name) else {
        let known: Vec<&str> = list().iter().map(|report| report.name).collect();
        return Err(ReportError::Unknown { name: name.to_owned(), known: known.join(", ") });
    };
    let failed = |source| ReportError::Query { name: name.to_owned(), source };
    let pinned = session.pin(&[info.sql, FILES, LINES, EXPORTED, MEASURED]).await.map_err(failed)?;
    let (first, last) = data_span(&pinned).await.map_err(failed)?;
    let period = params.period(info.header.period.as_deref(), first, last);
    let before = period.year_before();
    let values = [
        ("from", period.from),
        ("to", period.to),
        ("before_from", before.from),
        ("before_to", before.to),
        ("last", last),
    ];
    let rows = pinned.query(&substitute(info.sql, &values)).await.map_err(failed)?;
    let measured = pinned.query(MEASURED).await.map_err(failed)?;
    let measured_until = first_value(&measured, |array| {
        let times = array.as_primitive_opt::<arrow::datatypes::TimestampMicrosecondType>()?;
        (!times.is_empty() && times.is_valid(0)).then(|| Moment(times.value(0)))
    });
    Ok(Report {
        name: name.to_owned(),
        title: info.header.title.clone(),
        purpose: info.header.purpose.clone(),
        period: info.header.parameters.iter().any(|(name, _)| name == "from").then_some(period),
        columns: columns(&rows.schema, &info.header),
        schema: rows.schema,
        batches: rows.batches,
        provenance: Provenance { applied_seq: pinned.applied_seq, lake_seq: pinned.lake_seq, measured_until },
        header: info.header.clone(),
    })
}

impl Report {
    /// The rows of any statement.
    pub(crate) fn of_rows(rows: &Table) -> Report {
        Report {
            name: "sql".to_owned(),
            title: String::new(),
            purpose: String::new(),
            period: None,
            columns: columns(&rows.schema, &Header::default()),
            schema: rows.schema.clone(),
            batches: rows.batches.clone(),
            provenance: Provenance::default(),
            header: Header::default(),
        }
    }

    /// The number of rows.
    #[must_use]
    pub fn row_count(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// The place of a column.
    pub(crate) fn place(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// Each row's text in a column, `None` for null.
    pub(crate) fn texts(&self, place: usize) -> Vec<Option<String>> {
        let of = |batch: &RecordBatch| {
            let array = batch.column(place).clone();
            (0..batch.num_rows()).map(move |row| cells::text(&array, row)).collect::<Vec<_>>()
        };
        self.batches.iter().flat_map(of).collect()
    }
}

fn columns(schema: &SchemaRef, header: &Header) -> Vec<Column> {
    let column = |field: &std::sync::Arc<arrow::datatypes::Field>| {
        let note = header.column(field.name());
        Column {
            name: field.name().clone(),
            unit: note.map(|note| note.unit.clone()).unwrap_or_default(),
            text: note.map(|note| note.text.clone()).unwrap_or_default(),
            numeric: field.data_type().is_numeric() || matches!(field.data_type(), DataType::Decimal128(..)),
        }
    };
    schema.fields().iter().map(column).collect()
}

const FILES: &str = "SELECT CAST(min(month) || '-01' AS DATE), CAST(max(month) || '-01' AS DATE) FROM lake.files
    WHERE table_name = 'charges'";
const LINES: &str = "SELECT min(local_date), max(local_date) FROM book.usage_lines";
const EXPORTED: &str = "SELECT min(local_date), max(local_date) FROM lake.charges WHERE local_date >= $from";
const MEASURED: &str = "SELECT max(measured_until) FROM book.measured_until";

/// The first and the last local day with charges; the first may be as early as its month's first. Reads only the list of
/// files, the book's lines and at most one month of the lake. Without any data: 1970-01-01.
async fn data_span(pinned: &Pinned) -> Result<(LocalDate, LocalDate), QueryError> {
    let files = dates(&pinned.query(FILES).await?);
    let lines = dates(&pinned.query(LINES).await?);
    let last = match (files[1], lines[1]) {
        (Some(month), line) if line.is_none_or(|line| line < month.plus(31)) => {
            let exported = pinned.query(&substitute(EXPORTED, &[("from", month)])).await?;
            dates(&exported)[1].max(line)
        }
        (_, line) => line,
    };
    let first = [files[0], lines[0]].into_iter().flatten().min();
    let last = last.unwrap_or(LocalDate(0));
    Ok((first.unwrap_or(last), last))
}

fn dates(rows: &Table) -> [Option<LocalDate>; 2] {
    let of = |place: usize| {
        let batch = rows.batches.iter().find(|batch| batch.num_rows() > 0)?;
        let array = batch.column(place).as_primitive_opt::<Date32Type>()?;
        array.is_valid(0).then(|| LocalDate(array.value(0)))
    };
    [of(0), of(1)]
}

fn first_value<T>(rows: &Table, read: impl Fn(&arrow::array::ArrayRef) -> Option<T>) -> Option<T> {
    let batch = rows.batches.iter().find(|batch| batch.num_rows() > 0)?;
    read(batch.column(0))
}
