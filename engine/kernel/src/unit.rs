//! The units that service points are billed in. Quantities of different units are never added up.

use serde::{Deserialize, Serialize};

use crate::id::Utility;

/// A billing unit. Quantities are in 1/1000 of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Unit {
    /// Energy.
    KilowattHour,
    /// Volume.
    CubicMetre,
    /// Energy of heat: 2500/9 kWh.
    Gigajoule,
}

impl Unit {
    /// All units.
    pub const ALL: [Unit; 3] = [Unit::KilowattHour, Unit::CubicMetre, Unit::Gigajoule];

    /// Its symbol in files, tables and SQL.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Unit::KilowattHour => "kWh",
            Unit::CubicMetre => "m3",
            Unit::Gigajoule => "GJ",
        }
    }

    /// The unit of that symbol.
    #[must_use]
    pub fn parse(name: &str) -> Option<Unit> {
        Unit::ALL.into_iter().find(|unit| unit.name() == name)
    }

    /// What registers and profiles of a utility are in, and what it is billed in where nobody says otherwise.
    #[must_use]
    pub const fn of(utility: Utility) -> Unit {
        match utility {
            Utility::Electricity | Utility::Heat => Unit::KilowattHour,
            Utility::Water | Utility::Gas => Unit::CubicMetre,
        }
    }

    /// The units in which a utility can be billed, the usual one first (domain.md, 2).
    #[must_use]
    pub const fn choices(utility: Utility) -> &'static [Unit] {
        match utility {
            Utility::Electricity => &[Unit::KilowattHour],
            Utility::Water => &[Unit::CubicMetre],
            Utility::Gas => &[Unit::CubicMetre, Unit::KilowattHour],
            Utility::Heat => &[Unit::KilowattHour, Unit::Gigajoule],
        }
    }

    /// How many of it one kWh is, as numerator and denominator: 9/2500 GJ. One to one for the others, where a kWh stands
    /// for what registers of the utility are in.
    #[must_use]
    pub const fn per_register_unit(self) -> (i64, i64) {
        match self {
            Unit::KilowattHour | Unit::CubicMetre => (1, 1),
            Unit::Gigajoule => (9, 2_500),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_by_their_symbols_and_each_utility_has_its_own() {
        for unit in Unit::ALL {
            assert_eq!(Unit::parse(unit.name()), Some(unit));
        }
        assert_eq!(Unit::parse("MWh"), None);
        for utility in Utility::ALL {
            assert_eq!(Unit::choices(utility)[0], Unit::of(utility), "{utility:?}");
            assert_eq!(Unit::of(utility).name(), utility.unit());
        }
        let billed_in = |unit| Utility::ALL.map(|utility| u8::from(Unit::choices(utility).contains(&unit)));
        assert_eq!(billed_in(Unit::KilowattHour), [1, 0, 1, 1]);
        assert_eq!(billed_in(Unit::CubicMetre), [0, 1, 1, 0]);
        assert_eq!(billed_in(Unit::Gigajoule), [0, 0, 0, 1]);
        assert_eq!(Unit::ALL.map(Unit::per_register_unit), [(1, 1), (1, 1), (9, 2_500)]);
    }
}
