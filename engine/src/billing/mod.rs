//! Billing: the one writer.

pub mod hot;
