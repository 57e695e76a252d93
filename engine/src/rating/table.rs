//! Rating as a DataFusion table: each partition is a thread that rates its share of the service points and streams the
//! lines in which the two sets of terms differ (all lines where there is only one).

use std::fmt;
use std::sync::{Arc, LazyLock};

use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, Int8Array, Int16Array, Int32Array, Int64Array, StringArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, ReplaceChildrenOptions,
};
use kernel::id::ServicePointId;

use super::run::Rating;
use crate::billing::lines::ENERGY;
use crate::billing::rerate::Sums;
use crate::lake::schema::AMOUNT;

/// Batches that wait for whoever takes them, in each partition.
const BATCHES_WAITING: usize = 2;

/// Lines as [`crate::lake::schema::CHARGES`] has them, without the transfer that no such line has. `quantity` in 1/1000
/// unit and `amount` are signed differences where there are two sets of terms. Each line of a service point comes once.
pub static LINES: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("service_point_id", DataType::Int32, false),
        Field::new("account_id", DataType::Int32, false),
        Field::new("local_date", DataType::Date32, false),
        Field::new("component", DataType::Utf8, false),
        Field::new("band", DataType::Int8, false),
        Field::new("tier", DataType::Int16, false),
        Field::new("tariff_version_id", DataType::Int32, false),
        Field::new("quantity", DataType::Int64, false),
        Field::new("amount", AMOUNT, false),
    ]))
});

/// The lines of one service point as columns of [`LINES`].
///
/// # Errors
/// Only when columns and schema disagree.
pub fn batch(point: ServicePointId, sums: &Sums) -> Result<RecordBatch, ArrowError> {
    let id = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    let amounts = sums.values().map(|sum| sum.amount.0);
    let amounts = Decimal128Array::from_iter_values(amounts).with_precision_and_scale(38, 9)?;
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from(vec![id(point.0); sums.len()])),
        Arc::new(Int32Array::from_iter_values(sums.keys().map(|key| id(key.account.0)))),
        Arc::new(Date32Array::from_iter_values(sums.keys().map(|key| key.date.0))),
        Arc::new(StringArray::from_iter_values(sums.keys().map(|_| ENERGY))),
        Arc::new(Int8Array::from_iter_values(sums.keys().map(|key| i8::try_from(key.band).unwrap_or(i8::MAX)))),
        Arc::new(Int16Array::from_iter_values(sums.keys().map(|key| i16::try_from(key.tier).unwrap_or(i16::MAX)))),
        Arc::new(Int32Array::from_iter_values(sums.keys().map(|key| id(key.version.0)))),
        Arc::new(Int64Array::from_iter_values(sums.values().map(|sum| sum.quantity.0))),
        Arc::new(amounts),
    ];
    RecordBatch::try_new(Arc::clone(&LINES), columns)
}

/// A table of what rating gives; each scan rates anew.
#[derive(Debug)]
pub struct RatingTable {
    rating: Arc<Rating>,
}

impl RatingTable {
    /// The table of this work.
    #[must_use]
    pub fn new(rating: Arc<Rating>) -> RatingTable {
        RatingTable { rating }
    }
}

#[async_trait]
impl TableProvider for RatingTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&LINES)
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = match projection {
            Some(columns) => Arc::new(LINES.project(columns)?),
            None => Arc::clone(&LINES),
        };
        let partitions = state.config().target_partitions().max(1);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let rating = Arc::clone(&self.rating);
        Ok(Arc::new(RatingExec { rating, projection: projection.cloned(), properties: Arc::new(properties) }))
    }
}

/// The operator: a leaf whose partitions each rate a share of the service points.
#[derive(Debug)]
struct RatingExec {
    rating: Arc<Rating>,
    projection: Option<Vec<usize>>,
    properties: Arc<PlanProperties>,
}

impl DisplayAs for RatingExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RatingExec: service_points={}", self.rating.points())
    }
}

impl ExecutionPlan for RatingExec {
    fn name(&self) -> &'static str {
        "RatingExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let parts = self.properties.partitioning.partition_count();
        let mut stream = RecordBatchReceiverStreamBuilder::new(self.schema(), BATCHES_WAITING);
        let (rating, projection, out) = (Arc::clone(&self.rating), self.projection.clone(), stream.tx());
        stream.spawn_blocking(move || {
            let goes_on = || !out.is_closed();
            let mut emit = |rated: super::Rated| {
                let id = rated.id;
                let made = batch(id, &rated.difference());
                let made = made.and_then(|batch| match &projection {
                    Some(columns) => batch.project(columns),
                    None => Ok(batch),
                });
                out.blocking_send(made.map_err(DataFusionError::from)).is_ok()
            };
            let ran = rating.run(partition, parts, &goes_on, &mut emit);
            ran.map_err(|error| DataFusionError::External(Box::new(error)))
        });
        Ok(stream.build())
    }
}
