//! Billing: the one writer.

pub mod error;
pub mod explain;
pub mod filing;
pub mod hot;
pub mod late;
pub mod lines;
pub mod point;
pub mod posting;
pub mod pricing;
pub mod recovery;
pub mod rerate;
pub mod service;
pub mod settlement;
pub mod writer;
