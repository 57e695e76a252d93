//! The lake: Parquet files that follow the book.

pub mod schema;
