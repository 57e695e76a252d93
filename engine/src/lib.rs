//! The engine: drives the kernel and owns the stores.
//!
//! **Promises.** What the log acknowledged is priced exactly once ([`billing`]); book and lake change together, in one
//! transaction ([`book`], [`lake`]); a statement sees one state of both ([`query`]); nobody is cut off but by
//! [`control`], whose every evaluation is stored with its reasons.
//!
//! **Not promised.** The engine knows no bus, no network and no clock of its own; the binary hands it frames and a
//! [`wal::clock::Clock`], and performs what leaves the outbox.
//!
//! **Survives a crash:** the log and the book. Everything in memory is derived from them by [`billing::recovery`].
//!
//! Modules in reading order: [`registry`] and [`site_days`] are what pricing reads, [`book`] and [`lake`] the stores,
//! [`access`] passwords, tokens and roles, [`billing`] the one writer, [`rating`] the same rating over the lake on all cores, [`control`] the loop that cuts and reconnects, [`query`] SQL, and [`engine`] an open data
//! folder with all of them running.
pub mod access;
pub mod billing;
pub mod book;
pub mod control;
pub mod engine;
pub mod lake;
pub mod query;
pub mod rating;
pub mod registry;
pub mod site_days;
pub mod site_file;
mod source;
