//! Where a snapshot comes from. Billing implements [`Source`]; queries take what it gives.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use arrow::record_batch::RecordBatch;
use futures::future::BoxFuture;

use super::QueryError;

/// Asks for the hot rows and for the overrides of verdicts.
pub const READINGS: &str = "readings";
/// Asks for the sites' local days ([`super::site_days`]).
pub const SITE_DAYS: &str = "site_days";

/// One file that the book lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LakeFile {
    /// `readings` or `charges`.
    pub table_name: String,
    /// Relative to the lake's root, with `/` between folders.
    pub path: String,
    /// The utility's name.
    pub utility: String,
    /// `YYYY-MM`: UTC for readings, local for charges.
    pub month: String,
    /// Rows.
    pub row_count: i64,
    /// Bytes.
    pub byte_count: i64,
}

/// One state of book and lake.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The lake's folder.
    pub lake_root: PathBuf,
    /// All files that the book lists.
    pub files: Vec<LakeFile>,
    /// The last frame that is in the lake's files.
    pub lake_seq: i64,
    /// The last frame that is priced.
    pub applied_seq: i64,
    /// Rows above `lake_seq` with [`crate::lake::schema::READINGS`], their verdicts filled in; empty unless
    /// [`READINGS`] was asked for.
    pub hot: Vec<RecordBatch>,
    /// Book tables by name, at least those asked for.
    pub book: BTreeMap<String, RecordBatch>,
    /// Local days ([`super::site_days::batch`]); none unless [`SITE_DAYS`] was asked for.
    pub site_days: Option<RecordBatch>,
}

/// Gives snapshots.
pub trait Source: Send + Sync {
    /// A snapshot with these tables: names of the book's tables ([`super::columns::TABLES`] and what is derived from
    /// them, as [`super::load_book`] takes them), [`READINGS`] and [`SITE_DAYS`].
    fn snapshot(&self, tables: &BTreeSet<String>) -> BoxFuture<'_, Result<Snapshot, QueryError>>;
}
