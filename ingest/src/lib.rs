//! The field side, and the only way in: what meters, head-ends and files say becomes frames of the log.
//!
//! **Promises.** A submission that was acknowledged is durable: every door goes through [`intake`], which waits for the
//! log. A row that cannot be taken gets its reason back and the rest of its batch goes in. Conversion is exact and
//! deterministic: quantities become integers once, and the same input gives the same rows on every machine.
//!
//! **Invariants.** Nothing here prices, stores or decides; the engine is never seen. Time comes from
//! [`wal::clock::Clock`]. Floats exist only where a device or a file holds them, and end in the same function.
//!
//! **Survives a crash:** what the log acknowledged. A file whose import was interrupted is imported again; rows that are
//! already there change nothing.

/// CSV and Parquet files, long and wide, into submissions.
pub mod import;
/// The one place where submissions enter the log.
pub mod intake;
