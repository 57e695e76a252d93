//! The one place where a DataFusion session is built.

use std::sync::Arc;

use arrow::compute::{SortColumn, concat_batches, lexsort_to_indices, take_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::catalog::{MemorySchemaProvider, TableProvider};
use datafusion::datasource::{MemTable, ViewTable};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::object_store::local::LocalFileSystem;
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext, col};

use super::columns::{self, Kind, schema_of};
use super::lake_table::LakeTable;
use super::slice::Slice;
use super::source::{LakeFile, READINGS, SITE_DAYS, Snapshot, Source};
use super::views::{Reach, catalogue};
use super::{QueryError, corrections, derive, site_days};

const CATALOG: &str = "meterledger";
const STORE: &str = "lake://files";

/// Limits of a session.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Cores to use; all when none.
    pub target_partitions: Option<usize>,
    /// Bytes that sorts, joins and aggregates may hold together; sorts and aggregates go on on disk, others fail.
    pub memory_bytes: Option<usize>,
    /// Joins hash the side that the statement names first, whatever its statistics say: for statements written so.
    pub joins_as_written: bool,
}

/// Runs statements over snapshots of one source. Cloning shares it; file footers are cached between statements.
#[derive(Clone)]
pub struct QuerySession {
    source: Arc<dyn Source>,
    options: Options,
    runtime: Arc<RuntimeEnv>,
}

/// The rows of a statement.
#[derive(Clone, Debug)]
pub struct Table {
    /// Columns.
    pub schema: SchemaRef,
    /// Rows.
    pub batches: Vec<RecordBatch>,
}

impl Table {
    /// The number of rows.
    #[must_use]
    pub fn row_count(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }
}

impl QuerySession {
    /// A session over a source.
    ///
    /// # Errors
    /// [`QueryError::Session`] where the limits cannot be set.
    pub fn new(source: Arc<dyn Source>, options: Options) -> Result<QuerySession, QueryError> {
        let mut runtime = RuntimeEnvBuilder::new();
        if let Some(bytes) = options.memory_bytes {
            runtime = runtime.with_memory_limit(bytes, 1.0);
        }
        let runtime = runtime.build_arc().map_err(QueryError::session)?;
        Ok(QuerySession { source, options, runtime })
    }

    /// The same session for statements that name the small side of each join first.
    #[must_use]
    pub fn joins_as_written(&self) -> QuerySession {
        let options = Options { joins_as_written: true, ..self.options.clone() };
        QuerySession { options, ..self.clone() }
    }

    /// Takes one snapshot that serves all these statements.
    ///
    /// # Errors
    /// [`QueryError::Plan`] where one is not SQL; the source's own errors.
    pub async fn pin(&self, statements: &[&str]) -> Result<Pinned, QueryError> {
        let mut reach = Reach::default();
        for sql in statements {
            reach.add(sql).map_err(plan_error)?;
        }
        let snapshot = self.source.snapshot(&reach.tables).await?;
        self.pin_to(&reach, &snapshot, None).await
    }

    /// Takes one snapshot: whole for `statements`, and once for each of its slices for `sliced`.
    ///
    /// # Errors
    /// As [`QuerySession::pin`].
    pub(super) async fn pin_sliced(
        &self,
        statements: &[&str],
        sliced: &[&str],
    ) -> Result<(Pinned, Vec<Pinned>), QueryError> {
        let (mut whole, mut parts) = (Reach::default(), Reach::default());
        statements.iter().try_for_each(|sql| whole.add(sql)).map_err(plan_error)?;
        sliced.iter().try_for_each(|sql| parts.add(sql)).map_err(plan_error)?;
        let mut tables = whole.tables.clone();
        tables.extend(parts.tables.iter().cloned());
        // What the slices are made of.
        tables.insert("service_points".to_owned());
        let snapshot = self.source.snapshot(&tables).await?;
        let mut pinned = Vec::new();
        for slice in Slice::of(&snapshot) {
            pinned.push(self.pin_to(&parts, &snapshot, Some(&slice)).await?);
        }
        Ok((self.pin_to(&whole, &snapshot, None).await?, pinned))
    }

    async fn pin_to(&self, reach: &Reach, snapshot: &Snapshot, slice: Option<&Slice>) -> Result<Pinned, QueryError> {
        let context = self.context(reach, snapshot.clone(), slice).await?;
        Ok(Pinned { context, lake_seq: snapshot.lake_seq, applied_seq: snapshot.applied_seq })
    }

    /// Runs one statement that only reads.
    ///
    /// # Errors
    /// As [`QuerySession::pin`] and [`Pinned::query`].
    pub async fn query(&self, sql: &str) -> Result<Table, QueryError> {
        self.pin(&[sql]).await?.query(sql).await
    }

    async fn context(
        &self,
        reach: &Reach,
        snapshot: Snapshot,
        slice: Option<&Slice>,
    ) -> Result<SessionContext, QueryError> {
        let mut config = SessionConfig::new()
            .with_default_catalog_and_schema(CATALOG, "public")
            .with_information_schema(true)
            .with_prefer_existing_sort(true)
            .set_bool("datafusion.sql_parser.parse_float_as_decimal", true);
        if self.options.joins_as_written {
            config = config.set_bool("datafusion.optimizer.join_reordering", false);
        }
        if let Some(partitions) = self.options.target_partitions {
            config = config.with_target_partitions(partitions);
        }
        let context = SessionContext::new_with_config_rt(config, Arc::clone(&self.runtime));
        let catalog = context.catalog(CATALOG).ok_or_else(|| QueryError::Missing(CATALOG.to_owned()))?;
        for schema in ["book", "lake"] {
            catalog.register_schema(schema, Arc::new(MemorySchemaProvider::new())).map_err(QueryError::session)?;
        }
        let everything =
            if reach.information_schema { Reach::everything().map_err(plan_error)? } else { Reach::default() };
        register_book(&context, reach, &everything, &snapshot, slice)?;
        register_lake(&context, reach, &everything, snapshot, slice).await?;
        let views = if reach.information_schema { &everything.views } else { &reach.views };
        for name in views {
            let Some(view) = catalogue().iter().find(|view| view.name == *name) else { continue };
            register_view(&context, name, &view.sql).await?;
        }
        Ok(context)
    }
}

/// Statements over one snapshot.
#[derive(Clone)]
pub struct Pinned {
    context: SessionContext,
    /// The last frame in the lake's files.
    pub lake_seq: i64,
    /// The last frame that is priced.
    pub applied_seq: i64,
}

impl Pinned {
    /// Runs one statement that only reads; its tables must have been named when the snapshot was taken.
    ///
    /// # Errors
    /// [`QueryError::Plan`] and [`QueryError::Execute`].
    pub async fn query(&self, sql: &str) -> Result<Table, QueryError> {
        let frame = self.plan(sql).await?;
        let schema = Arc::new(frame.schema().as_arrow().clone());
        let batches = frame.collect().await.map_err(QueryError::execute)?;
        // The rows' own schema is the exact one where the plan's differs in what may be null.
        let schema = batches.first().map_or(schema, RecordBatch::schema);
        Ok(Table { schema, batches })
    }

    /// As [`Pinned::query`], row by row.
    ///
    /// # Errors
    /// [`QueryError::Plan`] and [`QueryError::Execute`].
    pub async fn stream(&self, sql: &str) -> Result<SendableRecordBatchStream, QueryError> {
        self.plan(sql).await?.execute_stream().await.map_err(QueryError::execute)
    }

    async fn plan(&self, sql: &str) -> Result<datafusion::dataframe::DataFrame, QueryError> {
        let reads = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        self.context.sql_with_options(sql, reads).await.map_err(plan_error)
    }
}

fn plan_error(source: datafusion::error::DataFusionError) -> QueryError {
    let names: Vec<&str> = catalogue().iter().map(|view| view.name).collect();
    let remedy = format!("only SELECT is allowed; tables: {}", names.join(", "));
    QueryError::Plan { source: Box::new(source), remedy }
}

fn memory(name: &str, schema: SchemaRef, batches: Vec<RecordBatch>) -> Result<Arc<MemTable>, QueryError> {
    let table = MemTable::try_new(schema, vec![batches]);
    table.map(Arc::new).map_err(|source| {
        tracing::error!(table = name, "its columns are not those declared");
        QueryError::session(source)
    })
}

fn register(
    context: &SessionContext,
    schema: &str,
    name: &str,
    table: Arc<dyn TableProvider>,
) -> Result<(), QueryError> {
    let reference = datafusion::common::TableReference::partial(schema, name);
    context.register_table(reference, table).map(|_| ()).map_err(QueryError::session)
}

/// Registers the book's tables that are reached, and without rows those that a schema query only wants to see.
fn register_book(
    context: &SessionContext,
    reach: &Reach,
    everything: &Reach,
    snapshot: &Snapshot,
    slice: Option<&Slice>,
) -> Result<(), QueryError> {
    for name in reach.tables.union(&everything.tables).filter(|name| *name != READINGS) {
        let schema = if name == SITE_DAYS {
            Arc::clone(&site_days::SCHEMA)
        } else if let Some(derived) = derive::table(name) {
            (derived.schema)()
        } else {
            columns::table(name).ok_or_else(|| QueryError::Missing(name.clone()))?.schema()
        };
        let rows = if name == SITE_DAYS { snapshot.site_days.as_ref() } else { snapshot.book.get(name) };
        let rows = match rows {
            Some(rows) => match slice {
                Some(slice) => vec![slice.rows(name, rows).map_err(QueryError::arrow(name))?],
                None => vec![rows.clone()],
            },
            None if !reach.tables.contains(name) => Vec::new(),
            None => return Err(QueryError::Missing(name.clone())),
        };
        register(context, "book", name, memory(name, schema, rows)?)?;
    }
    Ok(())
}

async fn register_lake(
    context: &SessionContext,
    reach: &Reach,
    everything: &Reach,
    snapshot: Snapshot,
    slice: Option<&Slice>,
) -> Result<(), QueryError> {
    let store = ObjectStoreUrl::parse(STORE).map_err(QueryError::session)?;
    let wanted = |name: &str| reach.lake.contains(name) || everything.lake.contains(name);
    if !snapshot.files.is_empty() && (wanted("readings") || wanted("charges")) {
        let folder = LocalFileSystem::new_with_prefix(&snapshot.lake_root).map_err(|error| QueryError::Lake {
            folder: snapshot.lake_root.display().to_string(),
            source: Box::new(error.into()),
        })?;
        context.register_object_store(store.as_ref(), Arc::new(folder));
    }
    let of = |name: &str| snapshot.files.iter().filter(|file| file.table_name == name).cloned().collect::<Vec<_>>();
    if wanted("readings") {
        register(context, "lake", "readings_files", Arc::new(LakeTable::readings(store.clone(), of("readings"))))?;
        let mut hot = snapshot.hot.clone();
        if let Some(rows) = snapshot.book.get("corrections").filter(|rows| rows.num_rows() > 0) {
            hot.push(corrections::as_readings(rows).map_err(QueryError::arrow("corrections"))?);
        }
        register(context, "lake", "readings_hot", hot_table(&hot)?)?;
        let overrides = snapshot.book.get("verdict_overrides").filter(|rows| rows.num_rows() > 0);
        let text = match overrides {
            Some(rows) => {
                let schema = rows.schema();
                register(
                    context,
                    "lake",
                    "verdict_overrides",
                    memory("verdict_overrides", schema, vec![rows.clone()])?,
                )?;
                OVERRIDDEN_READINGS
            }
            None => PLAIN_READINGS,
        };
        register_view(context, "lake.readings", text).await?;
    }
    if wanted("charges") {
        register(context, "lake", "charges_files", Arc::new(LakeTable::charges(store, of("charges"))))?;
        let text = slice.map_or(CHARGES.to_owned(), Slice::of_charges);
        register_view(context, "lake.charges", &text).await?;
    }
    if wanted("files") {
        let (schema, rows) = file_list(&snapshot.files)?;
        register(context, "lake", "files", memory("files", schema, vec![rows])?)?;
    }
    Ok(())
}

/// The hot rows, and corrections, in the order of the lake's files, so that `lag` merges both.
fn hot_table(batches: &[RecordBatch]) -> Result<Arc<MemTable>, QueryError> {
    let name = "lake.readings_hot";
    let schema = Arc::clone(&crate::lake::schema::READINGS);
    let rows = concat_batches(&schema, batches).map_err(QueryError::arrow(name))?;
    let keys: Vec<SortColumn> =
        rows.columns().iter().take(2).map(|key| SortColumn { values: Arc::clone(key), options: None }).collect();
    let order = lexsort_to_indices(&keys, None).map_err(QueryError::arrow(name))?;
    let rows = take_record_batch(&rows, &order).map_err(QueryError::arrow(name))?;
    let table = MemTable::try_new(schema, vec![vec![rows]]).map_err(QueryError::session)?;
    let ascending = |name: &str| col(name).sort(true, false);
    Ok(Arc::new(table.with_sort_order(vec![vec![ascending("meter_id"), ascending("time")]])))
}

const PLAIN_READINGS: &str = "SELECT * FROM lake.readings_files UNION ALL SELECT * FROM lake.readings_hot";

/// Verdicts that changed after their row went into a file.
const OVERRIDDEN_READINGS: &str = "
    SELECT f.meter_id, f.time, f.start, f.value, f.power_mw, f.voltage_mv, f.current_ma, f.power_factor_milli, f.contact,
        f.received_at, f.seq, coalesce(o.verdict, f.verdict) AS verdict
    FROM lake.readings_files AS f
    LEFT JOIN lake.verdict_overrides AS o ON o.meter_id = f.meter_id AND o.time = f.time AND o.value = f.value
    UNION ALL SELECT * FROM lake.readings_hot";

/// Lines that were exported are no longer in the book: nothing is seen twice.
const CHARGES: &str = "SELECT * FROM lake.charges_files UNION ALL SELECT * FROM book.usage_lines";

async fn register_view(context: &SessionContext, name: &str, sql: &str) -> Result<(), QueryError> {
    let plan = context.state().create_logical_plan(sql).await.map_err(plan_error)?;
    let view = ViewTable::new(plan, Some(sql.to_owned()));
    context.register_table(name, Arc::new(view)).map(|_| ()).map_err(QueryError::session)
}

fn file_list(files: &[LakeFile]) -> Result<(SchemaRef, RecordBatch), QueryError> {
    use arrow::array::{ArrayRef, Int64Array, StringArray};
    let text = |read: fn(&LakeFile) -> &str| -> ArrayRef {
        Arc::new(files.iter().map(|file| Some(read(file))).collect::<StringArray>())
    };
    let number = |read: fn(&LakeFile) -> i64| -> ArrayRef {
        Arc::new(files.iter().map(|file| Some(read(file))).collect::<Int64Array>())
    };
    let names = ["table_name", "path", "utility", "month"].map(|name| (name, Kind::Text));
    let counts = ["row_count", "byte_count"].map(|name| (name, Kind::Long));
    let schema = schema_of(&[&names[..], &counts[..]].concat());
    let arrays = vec![
        text(|file| &file.table_name),
        text(|file| &file.path),
        text(|file| &file.utility),
        text(|file| &file.month),
        number(|file| file.row_count),
        number(|file| file.byte_count),
    ];
    let rows = RecordBatch::try_new(Arc::clone(&schema), arrays).map_err(QueryError::arrow("lake.files"))?;
    Ok((schema, rows))
}
