//! The book: registry, money, usage lines, commands, audit and the list of the lake's files, in one database.
//!
//! **Promises.** What [`Tx::commit`] acknowledged is on disk (SQLite: write-ahead log, `synchronous = FULL`); what was
//! not committed never happened. There is one writer at a time: [`Book::begin`] waits for the transaction before.
//! Readers never wait for it and see whole commits only.
//!
//! **Not promised.** The book does not know what its rows mean; nobody but billing writes money (design.md, 2).
//!
//! **Survives a crash:** every committed transaction. A book of a newer format is refused, never guessed at.
//!
//! Modules in reading order: [`open`] the file, [`mod@format`] its tables and how an older book gets them, [`tx`] the one writer, [`bulk`] many rows written at once, [`pages`] many read,
//! [`chain`] the audit log, [`ledger`] double entry, [`keys`] once for each key, [`payments`] money that comes in,
//! [`orders`] all other orders that move money: [`holds`], [`reversals`], [`refunds`], [`suspense`]; [`unit_sales`] what money
//! buys where a wallet is kept in units, [`closings`] what
//! becomes of a closed account's balance; [`users`], [`tokens`] and [`sign_in`] who may ask, and [`second_person`] that two
//! are two.

pub mod bulk;
pub mod chain;
pub mod closings;
mod error;
pub mod format;
pub mod holds;
pub mod keys;
pub mod ledger;
pub mod open;
pub mod orders;
pub mod pages;
pub mod payments;
pub mod refunds;
pub mod reversals;
pub mod second_person;
pub mod sign_in;
pub mod suspense;
pub mod tokens;
pub mod tx;
pub mod unit_sales;
pub mod users;

pub use error::BookError;
pub(crate) use error::malformed;
pub use format::FORMAT;
pub use open::{Backend, Book, FILE};
pub use tx::Tx;
