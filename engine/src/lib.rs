//! The engine: drives the kernel and owns the stores.
pub mod billing;
pub mod lake;
