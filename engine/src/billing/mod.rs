//! Billing: the one writer.

pub mod apply;
pub mod error;
pub mod explain;
pub mod filing;
pub mod hot;
pub mod late;
pub mod lines;
pub(crate) mod packed;
pub mod point;
pub mod posting;
pub mod pricing;
pub mod recovery;
pub mod rerate;
pub mod service;
pub mod settlement;
pub mod supply;
#[cfg(test)]
mod tests;
pub mod writer;
