//! The engine: drives the kernel and owns the stores.
pub mod billing;
pub mod book;
pub mod engine;
pub mod lake;
pub mod query;
pub mod registry;
pub mod site_days;
