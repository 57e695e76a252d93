//! A table over the files that the book lists: nothing else in the folder exists for it.
//!
//! Files of months that a filter rules out are never opened. Readings are declared sorted by meter and time, one
//! partition for each file, so that `lag` merges instead of sorting; charges are packed into as many partitions as there
//! are cores.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Date32Array, TimestampMicrosecondArray, UInt64Array};
use arrow::compute::SortOptions;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{Column, DFSchema, ScalarValue, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr, expressions};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use kernel::time::{DAY, LocalMonth};

use super::source::LakeFile;

/// Up to so many files are merged in their declared order; more are read unordered (a merge holds one batch of each:
/// 1,024 x 8,192 rows x 12 columns of 8 bytes is 0.8 GB at the very worst).
const MERGED_FILES: usize = 1_024;

/// One table of the lake.
#[derive(Debug)]
pub(crate) struct LakeTable {
    schema: SchemaRef,
    store: ObjectStoreUrl,
    files: Vec<LakeFile>,
    /// The column that a file's month bounds.
    month_column: &'static str,
    /// Columns by which each file is sorted; empty where no statement gains by it.
    sorted_by: &'static [&'static str],
}

impl LakeTable {
    pub(crate) fn readings(store: ObjectStoreUrl, files: Vec<LakeFile>) -> LakeTable {
        let schema = Arc::clone(&crate::lake::schema::READINGS);
        LakeTable { schema, store, files, month_column: "time", sorted_by: &["meter_id", "time"] }
    }

    pub(crate) fn charges(store: ObjectStoreUrl, files: Vec<LakeFile>) -> LakeTable {
        let schema = Arc::clone(&crate::lake::schema::CHARGES);
        LakeTable { schema, store, files, month_column: "local_date", sorted_by: &[] }
    }

    fn groups(&self, files: &[&LakeFile], partitions: usize) -> Vec<FileGroup> {
        let part = |file: &&LakeFile| {
            PartitionedFile::new(file.path.clone(), u64::try_from(file.byte_count).unwrap_or(0))
        };
        if self.ordered(files) {
            return files.iter().map(|file| FileGroup::new(vec![part(file)])).collect();
        }
        let mut groups = vec![Vec::new(); partitions.clamp(1, files.len().max(1))];
        let count = groups.len();
        for (index, file) in files.iter().enumerate() {
            groups[index % count].push(part(file));
        }
        groups.into_iter().map(FileGroup::new).collect()
    }

    fn ordered(&self, files: &[&LakeFile]) -> bool {
        !self.sorted_by.is_empty() && files.len() <= MERGED_FILES
    }

    fn ordering(&self) -> Result<Vec<LexOrdering>> {
        let options = SortOptions { descending: false, nulls_first: false };
        let sort = |name: &&str| -> Result<PhysicalSortExpr> {
            Ok(PhysicalSortExpr { expr: expressions::col(name, &self.schema)?, options })
        };
        let keys = self.sorted_by.iter().map(sort).collect::<Result<Vec<_>>>()?;
        Ok(LexOrdering::new(keys).into_iter().collect())
    }
}

#[async_trait]
impl TableProvider for LakeTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut source = ParquetSource::new(Arc::clone(&self.schema))
            .with_table_parquet_options(state.default_table_options().parquet);
        let mut kept: Vec<&LakeFile> = self.files.iter().collect();
        if let Some(filter) = conjunction(filters.iter().cloned()) {
            let df_schema = DFSchema::try_from(Arc::clone(&self.schema))?;
            let predicate = state.create_physical_expr(filter, &df_schema)?;
            let pruning = PruningPredicateBuilder::new()
                .with_file_schema(Arc::clone(&self.schema))
                .try_build(Arc::clone(&predicate))?;
            let months = Months { files: &self.files, column: self.month_column };
            let keep = pruning.prune(&months)?;
            kept = self.files.iter().zip(keep).filter_map(|(file, keep)| keep.then_some(file)).collect();
            source = source.with_predicate(predicate);
        }
        if kept.is_empty() {
            let schema = projection.map_or(Ok(Arc::clone(&self.schema)), |columns| {
                self.schema.project(columns).map(Arc::new)
            })?;
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let rows = kept.iter().map(|file| usize::try_from(file.row_count).unwrap_or(0)).sum();
        let mut statistics = Statistics::new_unknown(&self.schema);
        // Inexact, so that a count is counted and never taken from the list.
        statistics.num_rows = Precision::Inexact(rows);
        let ordering = if self.ordered(&kept) { self.ordering()? } else { Vec::new() };
        let config = FileScanConfigBuilder::new(self.store.clone(), Arc::new(source))
            .with_file_groups(self.groups(&kept, state.config().target_partitions()))
            .with_projection_indices(projection.cloned())?
            .with_limit(limit.filter(|_| filters.is_empty()))
            .with_statistics(statistics)
            .with_output_ordering(ordering)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

/// What a file's month says about the values in it.
struct Months<'a> {
    files: &'a [LakeFile],
    column: &'static str,
}

impl Months<'_> {
    fn bounds(&self, column: &Column, bound: fn((i32, i32)) -> i32) -> Option<ArrayRef> {
        if column.name != self.column {
            return None;
        }
        let days = self.files.iter().map(|file| month_days(&file.month).map(bound));
        Some(if self.column == "time" {
            // The last day's last microsecond is before the next day's first.
            let micros = days.map(|days| days.map(|days| i64::from(days) * DAY));
            Arc::new(micros.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
        } else {
            Arc::new(days.collect::<Date32Array>())
        })
    }
}

/// The first day of a month `YYYY-MM` and the first of the next, in days since 1970-01-01.
fn month_days(month: &str) -> Option<(i32, i32)> {
    let (year, month) = month.split_once('-')?;
    let (year, month): (i32, i32) = (year.parse().ok()?, month.parse().ok()?);
    (1..=12).contains(&month).then(|| {
        let first = LocalMonth(year * 12 + month - 1);
        (first.first_day().0, LocalMonth(first.0 + 1).first_day().0)
    })
}

impl PruningStatistics for Months<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, |(first, _)| first)
    }

    /// The first of the next month: one too many, which keeps a file too much at worst.
    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, |(_, next)| next)
    }

    fn num_containers(&self) -> usize {
        self.files.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        (column.name == self.column).then(|| -> ArrayRef { Arc::new(UInt64Array::from(vec![0; self.files.len()])) })
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        None
    }

    fn contained(
        &self,
        _column: &Column,
        _values: &std::collections::HashSet<ScalarValue>,
    ) -> Option<BooleanArray> {
        None
    }
}
