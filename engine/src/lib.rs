//! The engine: drives the kernel and owns the stores.
pub mod book;
pub mod lake;
pub mod registry;
pub mod site_days;
pub mod site_file;
