//! Billing: the one writer.

pub mod hot;
pub mod late;
pub mod lines;
pub mod point;
pub mod posting;
pub mod pricing;
pub mod rerate;
