//! The audit: queries that must return no rows (design.md, 6). They recompute from readings and prices in plain SQL
//! decimals and never call the kernel.

use arrow::record_batch::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use futures::TryStreamExt;

use super::header::Header;
use super::{Pinned, QueryError, QuerySession};

macro_rules! audits {
    ($($name:literal),* $(,)?) => {
        /// Name and text of every audit query.
        const TEXTS: &[(&str, &str)] = &[
            $(($name, include_str!(concat!("../../../queries/audit/", $name, ".sql")))),*
        ];
    };
}
audits![
    "ledger_sums_to_zero",
    "transfers_are_sound",
    "balances_equal_transfers_and_lines",
    "payments_have_one_transfer",
    "usage_transfers_equal_their_lines",
    "adjustments_equal_their_lines",
    "statements_equal_charges",
    "keys_have_one_result",
    "holds_end_once",
    "reversed_at_most_the_original",
    "refunds_within_cash",
    "suspense_equals_its_list",
    "arrears_equal_debts",
    "units_equal_sales",
    "conservation_of_energy",
    "charges_equal_intervals",
    "charges_equal_intervals_by_band",
    "charges_equal_intervals_by_tier",
    "gaps_divided_as_like_days",
    "divided_intervals_add_up",
    "prices_recomputed",
    "fixed_charges_recomputed",
    "shares_recomputed",
    "minimums_recomputed",
    "demand_recomputed",
    "power_factors_recomputed",
    "derived_charges_recomputed",
    "readings_count_once",
    "one_open_command",
    "lake_files_hold_their_rows",
];

/// The queries that prove something of each service point by itself, by all its readings: they run slice by slice.
const BY_SERVICE_POINT: [&str; 7] = [
    "conservation_of_energy",
    "charges_equal_intervals",
    "charges_equal_intervals_by_band",
    "charges_equal_intervals_by_tier",
    "gaps_divided_as_like_days",
    "divided_intervals_add_up",
    "demand_recomputed",
];

/// Rows shown of a query that found something.
const SAMPLE: usize = 10;

/// What one audit query found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditOutcome {
    /// The query's name.
    pub name: &'static str,
    /// What holds when it finds nothing.
    pub purpose: String,
    /// Rows found; the promise holds when there are none.
    pub rows: usize,
    /// The first of them as a table of text; empty when there are none.
    pub sample: String,
}

/// Names and texts of the audit queries.
#[must_use]
pub fn catalogue() -> &'static [(&'static str, &'static str)] {
    TEXTS
}

/// Runs all audit queries over one snapshot.
///
/// # Errors
/// A [`QueryError`] where a query could not run: then nothing is proved.
pub async fn run(session: &QuerySession) -> Result<Vec<AuditOutcome>, QueryError> {
    let sliced = |name: &str| BY_SERVICE_POINT.contains(&name);
    let texts = |wanted: bool| -> Vec<&str> {
        TEXTS.iter().filter(|(name, _)| sliced(name) == wanted).map(|(_, sql)| *sql).collect()
    };
    // Statistics of deep joins are guesses, and a wrong one hashes all intervals of all years.
    let (whole, slices) = session.joins_as_written().pin_sliced(&texts(false), &texts(true)).await?;
    let mut outcomes = Vec::with_capacity(TEXTS.len());
    for (name, sql) in TEXTS {
        let pinned = if sliced(name) { slices.as_slice() } else { std::slice::from_ref(&whole) };
        outcomes.push(check(pinned, name, sql).await?);
    }
    Ok(outcomes)
}

/// Runs one audit query by its name.
///
/// # Errors
/// As [`run`]; [`QueryError::Missing`] where there is no such query.
pub async fn run_one(session: &QuerySession, name: &str) -> Result<AuditOutcome, QueryError> {
    let found = TEXTS.iter().find(|(known, _)| *known == name);
    let (name, sql) = found.ok_or_else(|| QueryError::Missing(format!("audit query {name}")))?;
    check(&[session.joins_as_written().pin(&[*sql]).await?], name, sql).await
}

async fn check(pinned: &[Pinned], name: &'static str, sql: &str) -> Result<AuditOutcome, QueryError> {
    let (mut rows, mut shown) = (0, 0);
    let mut sample: Vec<RecordBatch> = Vec::new();
    for pinned in pinned {
        let mut stream = pinned.stream(sql).await?;
        while let Some(batch) = stream.try_next().await.map_err(QueryError::execute)? {
            let take = batch.num_rows().min(SAMPLE - shown);
            if take > 0 {
                sample.push(batch.slice(0, take));
                shown += take;
            }
            rows += batch.num_rows();
        }
    }
    let sample = if rows == 0 {
        String::new()
    } else {
        pretty_format_batches(&sample).map_err(QueryError::arrow(name))?.to_string()
    };
    Ok(AuditOutcome { name, purpose: Header::parse(sql).purpose, rows, sample })
}
