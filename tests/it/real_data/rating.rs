//! What the kernel rates over the lake's files is what the stream charged, line by line.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::AsArray as _;
use arrow::datatypes::{Date32Type, Decimal128Type, Int8Type, Int16Type, Int32Type, Int64Type};
use arrow::record_batch::RecordBatch;
use datafusion::prelude::SessionContext;
use engine::engine::{Engine, Options};
use engine::query::{self, QuerySession};
use engine::rating::{Pair, Rating, RatingTable, Span};
use wal::clock::Clock;

/// Service point, account, day, version, band and tier.
type Line = (i32, i32, i32, i32, i8, i16);

fn lines(batches: &[RecordBatch]) -> BTreeMap<Line, (i64, i128)> {
    let mut lines: BTreeMap<Line, (i64, i128)> = BTreeMap::new();
    for batch in batches {
        let id = |name: &str| batch.column_by_name(name).unwrap().as_primitive::<Int32Type>();
        let date = batch.column_by_name("local_date").unwrap().as_primitive::<Date32Type>();
        let band = batch.column_by_name("band").unwrap().as_primitive::<Int8Type>();
        let tier = batch.column_by_name("tier").unwrap().as_primitive::<Int16Type>();
        let quantity = batch.column_by_name("quantity").unwrap().as_primitive::<Int64Type>();
        let amount = batch.column_by_name("amount").unwrap().as_primitive::<Decimal128Type>();
        for row in 0..batch.num_rows() {
            let [point, account, version] = ["service_point_id", "account_id", "tariff_version_id"].map(id);
            let line = (point.value(row), account.value(row), date.value(row), version.value(row));
            let line = (line.0, line.1, line.2, line.3, band.value(row), tier.value(row));
            let sum = lines.entry(line).or_default();
            (sum.0, sum.1) = (sum.0 + quantity.value(row), sum.1 + amount.value(row));
        }
    }
    lines
}

/// Rates a closed data folder anew and compares with what it charged; gives the number of lines.
pub(super) fn assert_rated_alike(data: &Path) -> usize {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let clock = Clock::live();
        let engine = Engine::open(data, Options::new(clock.clone())).await.unwrap();
        let handle = engine.handle();
        let session = QuerySession::new(Arc::new(handle.clone()), query::Options::default()).unwrap();
        let charged = lines(&session.query("SELECT * FROM lake.charges").await.unwrap().batches);
        let pairs = handle.registry().setups().cloned().map(Pair::of).collect();
        let (snapshot, work) = handle.rating_work(pairs, Span::ALL).await.unwrap();
        let rating = Rating::new(snapshot, work, Span::ALL, clock.now());
        let context = SessionContext::new();
        context.register_table("rated", Arc::new(RatingTable::new(Arc::new(rating)))).unwrap();
        let rated = context.sql("SELECT * FROM rated").await.unwrap().collect().await.unwrap();
        // Not assert_eq: a difference would print a hundred thousand lines.
        assert!(lines(&rated) == charged, "{} lines rated, {} charged", lines(&rated).len(), charged.len());
        engine.close().await.unwrap();
        charged.len()
    })
}
