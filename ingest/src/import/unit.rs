//! The units that a file's values may be in, and which of them fit what a meter measures.

use std::str::FromStr;

use kernel::id::Utility;
use kernel::unit::Unit as Measured;
use thiserror::Error;

/// The unit of a file's values. Without one, usage is in the unit that its meter's usage is billed in (or converted from),
/// and a register in kWh or m3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// kWh.
    KilowattHour,
    /// Wh.
    WattHour,
    /// MWh.
    MegawattHour,
    /// GJ, of heat or gas: 2500/9 kWh.
    Gigajoule,
    /// MJ, of heat or gas.
    Megajoule,
    /// m3.
    CubicMetre,
    /// L.
    Litre,
    /// 100 cubic feet: 2.8316846592 m3.
    HundredCubicFeet,
    /// Raw register counts, as the device shows them.
    Count,
}

/// A unit of no known name.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("unknown unit {0:?}; use one of kWh, Wh, MWh, GJ and MJ (heat, gas), m3, L, ccf, counts")]
pub struct UnknownUnit(String);

impl Unit {
    /// All units, in the order in which messages name them.
    pub const ALL: [Unit; 9] = [
        Unit::KilowattHour,
        Unit::WattHour,
        Unit::MegawattHour,
        Unit::Gigajoule,
        Unit::Megajoule,
        Unit::CubicMetre,
        Unit::Litre,
        Unit::HundredCubicFeet,
        Unit::Count,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Unit::KilowattHour => "kWh",
            Unit::WattHour => "Wh",
            Unit::MegawattHour => "MWh",
            Unit::Gigajoule => "GJ",
            Unit::Megajoule => "MJ",
            Unit::CubicMetre => "m3",
            Unit::Litre => "L",
            Unit::HundredCubicFeet => "ccf",
            Unit::Count => "counts",
        }
    }

    /// Whether values of a utility that are measured in kWh, m3 or GJ can be in this unit. Energy is never made of volume
    /// here: the calorific value that joins the two is the service point's, and holds from when to when.
    #[must_use]
    pub const fn fits(self, utility: Utility, measured: Measured) -> bool {
        let volume = matches!(measured, Measured::CubicMetre);
        match self {
            Unit::KilowattHour | Unit::WattHour | Unit::MegawattHour => !volume,
            Unit::Gigajoule | Unit::Megajoule => !volume && matches!(utility, Utility::Heat | Utility::Gas),
            Unit::CubicMetre | Unit::Litre | Unit::HundredCubicFeet => volume,
            Unit::Count => true,
        }
    }

    /// How many 1/1000 kWh or m3 one of it is, as a fraction; `None` for counts.
    #[must_use]
    pub const fn milli(self) -> Option<(i64, i64)> {
        match self {
            Unit::KilowattHour | Unit::CubicMetre => Some((1_000, 1)),
            Unit::WattHour | Unit::Litre => Some((1, 1)),
            Unit::MegawattHour => Some((1_000_000, 1)),
            Unit::Gigajoule => Some((2_500_000, 9)),
            Unit::Megajoule => Some((2_500, 9)),
            Unit::HundredCubicFeet => Some((28_316_846_592, 10_000_000)),
            Unit::Count => None,
        }
    }
}

/// Names are read whatever their case, and `m³`, `l`, `count` too.
impl FromStr for Unit {
    type Err = UnknownUnit;

    fn from_str(text: &str) -> Result<Unit, UnknownUnit> {
        let name = match text.trim() {
            "m³" => "m3",
            "count" => "counts",
            other => other,
        };
        let found = Unit::ALL.into_iter().find(|unit| unit.name().eq_ignore_ascii_case(name));
        found.ok_or_else(|| UnknownUnit(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_by_name_and_others_are_refused_with_the_list() {
        for unit in Unit::ALL {
            assert_eq!(unit.name().parse(), Ok(unit));
            assert_eq!(unit.name().to_uppercase().parse(), Ok(unit));
        }
        assert_eq!("m³".parse(), Ok(Unit::CubicMetre));
        let error = "gallons".parse::<Unit>().unwrap_err().to_string();
        assert!(error.contains("\"gallons\"") && error.contains("kWh, Wh, MWh"), "{error}");
    }

    #[test]
    fn energy_does_not_fit_water_nor_volume_electricity() {
        let fitting = |unit: Unit| Utility::ALL.map(|utility| u8::from(unit.fits(utility, Measured::of(utility))));
        assert_eq!(fitting(Unit::KilowattHour), [1, 0, 0, 1]);
        assert_eq!(fitting(Unit::Gigajoule), [0, 0, 0, 1]);
        assert_eq!(fitting(Unit::Litre), [0, 1, 1, 0]);
        assert_eq!(fitting(Unit::Count), [1, 1, 1, 1]);
        // Gas that is metered as energy.
        let gas = |unit: Unit| unit.fits(Utility::Gas, Measured::KilowattHour);
        assert!(gas(Unit::MegawattHour) && gas(Unit::Megajoule) && !gas(Unit::CubicMetre) && gas(Unit::Count));
        assert!(Unit::WattHour.fits(Utility::Heat, Measured::Gigajoule));
    }
}
