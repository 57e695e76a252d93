//! What stops billing.

use kernel::id::ServicePointId;
use kernel::point::StateFault;

use crate::book::BookError;
use crate::lake::file::LakeError;
use crate::rating::RatingError;

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
    /// Control's rows in the book.
    #[error(transparent)]
    Control(#[from] crate::control::persist::PersistError),
    /// The log.
    #[error(transparent)]
    Log(#[from] wal::WalError),
    /// The book and the log do not belong together.
    #[error("{0}")]
    Apart(String),
}

impl From<RatingError> for BillingError {
    fn from(error: RatingError) -> BillingError {
        match error {
            RatingError::Book(error) => error.into(),
            RatingError::Lake(error) => error.into(),
            RatingError::State { point, fault } => BillingError::State { point, fault },
            RatingError::Stopped(_) => BillingError::Apart(error.to_string()),
        }
    }
}
