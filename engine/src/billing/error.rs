//! What stops billing.

use kernel::id::ServicePointId;
use kernel::point::StateFault;

use crate::book::BookError;
use crate::lake::file::LakeError;

/// Why billing cannot go on. Readings stay safe in the log.
#[derive(Debug, thiserror::Error)]
pub enum BillingError {
    /// The book.
    #[error(transparent)]
    Book(#[from] BookError),
    /// The lake.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// A stored state of a service point cannot be read.
    #[error(
        "the state of service point {point} in the book cannot be read ({fault:?}): use the newer meterledger that wrote it, or restore a backup"
    )]
    State {
        /// Whose.
        point: ServicePointId,
        /// Why.
        fault: StateFault,
    },
    /// The log.
    #[error(transparent)]
    Log(#[from] wal::WalError),
    /// The book and the log do not belong together.
    #[error("{0}")]
    Apart(String),
}
