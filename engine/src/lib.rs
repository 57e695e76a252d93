//! The engine: drives the kernel and owns the stores.
pub mod lake;
pub mod query;
