//! Units sold for money: a wallet kept in kWh or m3 (domain.md, 4).
//!
//! A wallet in units is rated by the same tariff versions as one in money, only that a unit costs one unit
//! ([`in_units`]): so a price that changes later does not change what was sold. A version sells units where a unit has one
//! price, whenever and however much of it is used ([`unit_price`]).
//!
//! Bounds: money below 10^37; [`sell`] gives nothing where the units leave 64 bits.

use crate::money::{Amount, Price, Quantity};
use crate::tariff::TariffVersion;

/// What one unit costs in a wallet that is kept in units.
const ONE: Price = Price(1_000_000);

/// What money buys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sold {
    /// How many units, rounded down to 1/1000.
    pub units: Quantity,
    /// The money that is left, less than 1/1000 unit costs: `money - units x price`.
    pub remainder: Amount,
}

/// What an amount buys at a price; nothing where either is not above zero, or the units leave 64 bits.
///
/// 1e-9 currency divided by 1e-6 currency per unit is 1/1000 unit; the division rounds down.
#[must_use]
pub fn sell(money: Amount, price: Price) -> Option<Sold> {
    if money <= Amount::ZERO || price <= Price(0) {
        return None;
    }
    let units = Quantity(i64::try_from(money.0 / i128::from(price.0)).ok()?);
    Some(Sold { units, remainder: money - units * price })
}

/// Units as a wallet in units keeps them: 1e-9 unit, as money is kept.
#[must_use]
pub fn as_amount(units: Quantity) -> Amount {
    units * ONE
}

/// The one price of a unit, above zero. None where the price depends on the hour, on what was used before, or on more than
/// energy or volume: units cannot be sold beforehand then.
#[must_use]
pub fn unit_price(version: &TariffVersion) -> Option<Price> {
    let [row] = version.prices.as_slice() else { return None };
    if version.tiers.is_some() || version.dynamic.is_some() || !version.components.is_empty() {
        return None;
    }
    let mut prices = row.iter().flatten();
    let first = *prices.next()?;
    (first > Price(0) && prices.all(|price| *price == first)).then_some(first)
}

/// The version as a wallet in units is rated by it: each unit costs one unit.
#[must_use]
pub fn in_units(version: &TariffVersion) -> TariffVersion {
    let rows = version.prices.iter().take(1);
    TariffVersion {
        prices: rows.map(|row| row.map(|price| price.map(|_| ONE))).collect(),
        tiers: None,
        dynamic: None,
        components: alloc::vec::Vec::new(),
        ..version.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    use crate::component::{Charge, Component};
    use crate::id::TariffVersionId;
    use crate::series::PriceSeries;
    use crate::tariff::{Band, Reverse, TierPeriod, Tiers};
    use crate::time::Moment;

    fn version(prices: &[(Band, i64)]) -> TariffVersion {
        let mut row = [None; Band::ALL.len()];
        prices.iter().for_each(|(band, price)| row[*band as usize] = Some(Price(*price)));
        TariffVersion {
            id: TariffVersionId(7),
            valid_from: Moment(0),
            rules: vec![],
            tiers: None,
            prices: vec![row],
            dynamic: None,
            components: vec![],
            reverse: Reverse::Credit,
            source: "a test".into(),
        }
    }

    fn series() -> PriceSeries {
        PriceSeries { start: Moment(0), step_minutes: 60, prices: vec![Price(1)] }
    }

    fn rent() -> Component {
        Component { name: "rent".into(), charge: Charge::Daily(Price(1)) }
    }

    #[test]
    fn money_buys_units_rounded_down_and_the_rest_is_named() {
        for (money, price, units, remainder) in [
            ("100", "0.5583", "179.115", "0.000095500"),
            ("100", "0.5", "200.000", "0.000000000"),
            ("0.000000001", "0.000001", "0.001", "0.000000000"),
            ("0.000499999", "0.5", "0.000", "0.000499999"),
            ("9223372036854.775807", "0.000001", "9223372036854775.807", ""),
        ] {
            let (money, price) = (Amount::parse(money).unwrap(), Price::parse(price).unwrap());
            let sold = sell(money, price);
            let Some(sold) = sold else {
                assert_eq!(remainder, "", "{money}");
                continue;
            };
            assert_eq!(sold.units, Quantity::parse(units).unwrap_or(sold.units), "{money} at {price}");
            assert_eq!(sold.units * price + sold.remainder, money);
            assert!(sold.remainder >= Amount::ZERO && sold.remainder < Quantity(1) * price);
        }
        let nothing = [("0", "1"), ("-1", "1"), ("1", "0"), ("1", "-0.5"), ("9999999999999999999999", "0.000001")];
        for (money, price) in nothing {
            assert_eq!(sell(Amount::parse(money).unwrap(), Price::parse(price).unwrap()), None, "{money} at {price}");
        }
    }

    #[test]
    fn only_a_version_with_one_price_sells_units() {
        let single = version(&[(Band::Single, 558_300)]);
        assert_eq!(unit_price(&single), Some(Price(558_300)));
        assert_eq!(unit_price(&version(&[(Band::Peak, 500_000), (Band::Flat, 500_000)])), Some(Price(500_000)));
        let tiers = Some(Tiers::plain(TierPeriod::Monthly, vec![Quantity(1)]));
        let refused = [
            version(&[(Band::Peak, 500_000), (Band::Flat, 500_001)]),
            version(&[(Band::Single, 0)]),
            version(&[]),
            TariffVersion { tiers, ..single.clone() },
            TariffVersion { dynamic: Some(series()), ..single.clone() },
            TariffVersion { components: vec![rent()], ..single.clone() },
            TariffVersion { prices: vec![single.prices[0]; 2], ..single.clone() },
        ];
        for version in refused {
            assert_eq!(unit_price(&version), None, "{version:?}");
        }
    }

    #[test]
    fn in_a_wallet_of_units_a_unit_costs_one_unit_and_all_else_stays() {
        let sold = version(&[(Band::Peak, 500_000), (Band::Flat, 500_000)]);
        let own = in_units(&sold);
        assert_eq!(own.prices[0][Band::Peak as usize], Some(Price(1_000_000)));
        assert_eq!(own.prices[0][Band::Valley as usize], None);
        assert_eq!((own.id, own.reverse, &own.source), (sold.id, Reverse::Credit, &sold.source));
        let whole = TariffVersion {
            tiers: Some(Tiers::plain(TierPeriod::Monthly, vec![Quantity(1)])),
            dynamic: Some(series()),
            components: vec![rent()],
            prices: vec![sold.prices[0]; 2],
            ..sold
        };
        assert_eq!(in_units(&whole), own, "nothing but the price of energy moves units");
        assert_eq!(as_amount(Quantity(12_345)), Amount::parse("12.345").unwrap());
    }
}
