//! What stops billing.

use kernel::component::facts::FactFault;
use kernel::id::{AccountId, ServicePointId};
use kernel::point::StateFault;
use kernel::time::LocalMonth;

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
    /// An account's month is beyond the bounds within which components are worked out.
    #[error(
        "the components of account {account} at service point {point} in {month} cannot be worked out ({fault:?}): correct the readings, or the tariff, of that month"
    )]
    Components {
        /// Where.
        point: ServicePointId,
        /// Whose.
        account: AccountId,
        /// Which month.
        month: LocalMonth,
        /// What is beyond.
        fault: FactFault,
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
            RatingError::Components { of, fault } => {
                BillingError::Components { point: of.point, account: of.account, month: of.month, fault }
            }
            RatingError::Stopped(_) => BillingError::Apart(error.to_string()),
        }
    }
}
