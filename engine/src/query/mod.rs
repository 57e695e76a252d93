//! SQL over one snapshot: the lake's files, the hot rows above them, and the book (design.md, 3).
//!
//! **Promises.** A statement sees one state of the book: its files, usage lines and `lake_seq` come from one read
//! transaction, then the hot rows above `lake_seq`; nothing is missing and nothing is seen twice. Only the tables that a
//! statement reaches, through views too, are loaded. Money, prices and quantities are DECIMAL from file to result; a
//! literal such as `1.0` is DECIMAL as well. Statements only read.
//!
//! **What it does not do.** It limits memory, but it is no wall against hostile SQL: that is the SQL door's process.
//! It never lists a folder: a file that the book does not name does not exist.
//!
//! Schemas: `public` holds the views that people rely on (`queries/views/*.sql`), `book` the book's tables with real
//! columns ([`columns`]), `lake` readings, charges and the list of files.

pub mod audit;
pub mod columns;
mod corrections;
mod derive;
mod error;
pub mod header;
mod lake_table;
mod load;
mod parts;
pub mod quality_rules;
mod session;
pub mod site_days;
mod slice;
mod source;
mod tariffs;
mod views;

pub use error::QueryError;
pub use load::{BookPart, HotVerdict, load_book};
pub use session::{Options, Pinned, QuerySession, Table};
pub use source::{LakeFile, READINGS, SITE_DAYS, Snapshot, Source};
pub use views::{View, catalogue};
