//! What an operator does to a register between two site files: a meter replaced, a multiplier changed, a register that
//! began anew. Each closes an installation and opens the next at one moment, by the rules of the site file
//! ([`super::plan`]), and nothing is charged over the seam but what the operator enters as counts.

use super::words::Ratio;

/// One such change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterEdit {
    /// When it was done: a date-time with offset, or one of the site's local time.
    pub at: String,
    /// Why, for the book and the audit log.
    pub reason: String,
    /// What was done.
    pub change: RegisterChange,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegisterChange {
    /// Another meter took the place of one.
    Replace {
        /// The service point, or the serial number of the meter that was taken out.
        place: String,
        /// The new meter.
        new: NewMeter,
        /// What the old register showed last.
        closing: i64,
        /// What the new register showed first.
        opening: i64,
    },
    /// The same meter counts by another multiplier or wraps at another count.
    Retype {
        /// Its serial number.
        serial: String,
        /// CT x PT x pulse weight from now on; as before where none is given.
        multiplier: Option<Ratio>,
        /// Where the register wraps from now on, 0 for never; as before where none is given.
        modulus: Option<i64>,
        /// What the register showed at that moment, where it is known.
        count: Option<i64>,
    },
    /// The register of the same meter went on from another count: the epoch that ends a reset or jump exception.
    Reset {
        /// Its serial number.
        serial: String,
        /// What it showed last before, where it is known.
        closing: Option<i64>,
        /// From which count it goes on.
        opening: i64,
    },
}

impl RegisterEdit {
    /// What faults call it: the command that it comes from.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self.change {
            RegisterChange::Replace { .. } => "meter replace",
            RegisterChange::Retype { .. } => "meter retype",
            RegisterChange::Reset { .. } => "meter reset",
        }
    }
}

/// A meter that takes the place of another. What is not said of its bus is as it was: the new device is wired to the
/// old one's place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewMeter {
    /// Its serial number.
    pub serial: String,
    /// Its register map.
    pub profile: String,
    /// CT x PT x pulse weight.
    pub multiplier: Option<Ratio>,
    /// Where its register wraps, 0 for never; as its profile says where none is given.
    pub modulus: Option<i64>,
    /// What it is made for, such as `75 kW`.
    pub rating: Option<String>,
    /// `HOST:PORT`.
    pub bus: Option<String>,
    /// Its address on the bus.
    pub unit: Option<u8>,
}
