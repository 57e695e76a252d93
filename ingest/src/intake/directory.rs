//! The meters that the doors know: a snapshot of the book's registry, replaced as a whole when the registry changes.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use kernel::id::{MeterId, Utility};
use kernel::unit::Unit;
use thiserror::Error;

/// What a meter gives by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MeterKind {
    /// A cumulative register; usage may be imported for it as well.
    Register,
    /// Usage per interval; it has no register.
    Usage,
}

/// A meter as the doors need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeterRef {
    /// Its number in the book.
    pub id: MeterId,
    /// Its serial number, by which files and head-ends name it.
    pub serial: String,
    /// What it measures.
    pub utility: Utility,
    /// What it gives.
    pub kind: MeterKind,
    /// 1/1000 kWh or m3 in one count of its register, before CT and PT: numerator.
    pub resolution_numerator: i64,
    /// The same: denominator.
    pub resolution_denominator: i64,
    /// What usage of it is in, 1/1000 of this: the billing unit of where it is installed, or the m3 that are converted to it.
    pub measured: Unit,
}

/// Why a list of meters is not a directory.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum DirectoryError {
    /// Two meters with one serial number.
    #[error("the serial number {0} is that of two meters; give each meter its own")]
    Serial(String),
    /// Two meters with one number in the book.
    #[error("meter number {0} is that of two meters")]
    Id(MeterId),
    /// A resolution that is no positive fraction.
    #[error("meter {serial} has a resolution of {numerator}/{denominator}; both must be above zero")]
    Resolution {
        /// The meter.
        serial: String,
        /// As given.
        numerator: i64,
        /// As given.
        denominator: i64,
    },
}

/// All meters, by serial number and by number.
#[derive(Debug, Default)]
pub struct Meters {
    all: Vec<MeterRef>,
    by_serial: HashMap<String, usize>,
    by_id: HashMap<MeterId, usize>,
}

impl Meters {
    /// A directory of these meters.
    pub fn new(all: Vec<MeterRef>) -> Result<Meters, DirectoryError> {
        let mut by_serial = HashMap::with_capacity(all.len());
        let mut by_id = HashMap::with_capacity(all.len());
        for (place, meter) in all.iter().enumerate() {
            if meter.resolution_numerator <= 0 || meter.resolution_denominator <= 0 {
                return Err(DirectoryError::Resolution {
                    serial: meter.serial.clone(),
                    numerator: meter.resolution_numerator,
                    denominator: meter.resolution_denominator,
                });
            }
            if by_serial.insert(meter.serial.clone(), place).is_some() {
                return Err(DirectoryError::Serial(meter.serial.clone()));
            }
            if by_id.insert(meter.id, place).is_some() {
                return Err(DirectoryError::Id(meter.id));
            }
        }
        Ok(Meters { all, by_serial, by_id })
    }

    /// All meters, in the order given.
    #[must_use]
    pub fn all(&self) -> &[MeterRef] {
        &self.all
    }

    /// The place in [`Meters::all`] of the meter with this serial number.
    #[must_use]
    pub fn place(&self, serial: &str) -> Option<usize> {
        self.by_serial.get(serial).copied()
    }

    /// The meter with this serial number.
    #[must_use]
    pub fn by_serial(&self, serial: &str) -> Option<&MeterRef> {
        self.all.get(self.place(serial)?)
    }

    /// The meter of this number.
    #[must_use]
    pub fn by_id(&self, id: MeterId) -> Option<&MeterRef> {
        self.all.get(*self.by_id.get(&id)?)
    }
}

/// The shared, replaceable directory. Cloning it shares it.
#[derive(Clone, Debug, Default)]
pub struct MeterDirectory {
    current: Arc<RwLock<Arc<Meters>>>,
}

impl MeterDirectory {
    /// A directory that shows `meters`.
    #[must_use]
    pub fn new(meters: Meters) -> MeterDirectory {
        MeterDirectory { current: Arc::new(RwLock::new(Arc::new(meters))) }
    }

    /// The meters as of now; a later replacement does not change what was returned.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Meters> {
        // The lock only guards one pointer, which a panic cannot leave half written.
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Shows `meters` from now on, to everybody who shares this directory.
    pub fn replace(&self, meters: Meters) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(meters);
    }
}
