//! The lake: Parquet files that follow the book.
//!
//! A file counts only once the book lists it (`lake_files`), in the transaction that advances `lake_seq`; a file that
//! no book lists is an orphan of a crash and is swept at the next start. Files are written beside their place, fsynced,
//! renamed, and their folder fsynced, before the book hears of them.
//!
//! [`schema`] has the columns, [`rows`] turns frames into columns and partitions, [`file`] writes one durable file,
//! [`flush`] writes all that is due, [`read`] brings back the readings of some meters for re-rating.

pub mod file;
pub mod flush;
pub mod read;
pub mod rows;
pub mod schema;
