//! Identifiers. Each names one kind of thing, so that the compiler catches a swap.

use serde::{Deserialize, Serialize};

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub $inner);

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

identifier!(
    /// A property with one time zone and one currency.
    SiteId(u32)
);
identifier!(
    /// A customer's contract and wallet.
    AccountId(u32)
);
identifier!(
    /// One utility delivered to one location for one account.
    ServicePointId(u32)
);
identifier!(
    /// A physical device.
    MeterId(u32)
);
identifier!(
    /// One installation of a meter at a service point.
    EpochId(u32)
);
identifier!(
    /// One contract: who pays for a service point, by which tariff, from when to when.
    ContractId(u32)
);
identifier!(
    /// A tariff, with all its versions.
    TariffId(u32)
);
identifier!(
    /// One version of a tariff, valid from an instant.
    TariffVersionId(u32)
);
identifier!(
    /// One relay or valve command.
    CommandId(u64)
);
identifier!(
    /// The number of a durable frame of the log, from 1 upwards.
    Seq(u64)
);

/// What is delivered. What it is billed in is each service point's own: [`crate::unit::Unit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Utility {
    /// Electricity, billed in kWh.
    Electricity,
    /// Water, billed in m3.
    Water,
    /// Gas, billed in m3, or in kWh by conversion.
    Gas,
    /// Heat, billed in kWh or GJ.
    Heat,
}

impl Utility {
    /// All utilities, in report order.
    pub const ALL: [Utility; 4] = [Utility::Electricity, Utility::Water, Utility::Gas, Utility::Heat];

    /// The name used in files, folders and SQL.
    pub const fn name(self) -> &'static str {
        match self {
            Utility::Electricity => "electricity",
            Utility::Water => "water",
            Utility::Gas => "gas",
            Utility::Heat => "heat",
        }
    }

    /// The unit that registers and profiles of it are in, and that it is billed in where nobody says otherwise.
    pub const fn unit(self) -> &'static str {
        match self {
            Utility::Electricity | Utility::Heat => "kWh",
            Utility::Water | Utility::Gas => "m3",
        }
    }

    /// The utility of that name.
    pub fn parse(name: &str) -> Option<Utility> {
        Utility::ALL.into_iter().find(|utility| utility.name() == name)
    }
}
