//! The engine: drives the kernel and owns the stores.
pub mod control;
pub mod lake;
