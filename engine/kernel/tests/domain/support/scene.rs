//! A scene: one service point, its installations and terms, ready to take readings.

use std::sync::Arc;

use kernel::calendar::{Calendar, DayType};
use kernel::epoch::Epoch;
use kernel::gap::Outage;
use kernel::id::{AccountId, ContractId, EpochId, MeterId, ServicePointId, TariffId, TariffVersionId};
use kernel::money::{Price, Quantity};
use kernel::point::{Point, Row};
use kernel::rate::{Contract, Terms, Versions};
use kernel::reading::Value;
use kernel::tariff::{Band, DayPlan, Household, MonthDay, PriceRow, Rule, TariffVersion, TierPeriod, Tiers};
use kernel::time::{Moment, SiteDays};

/// A price list of one tier: `(band, price)`.
pub(crate) fn prices(list: &[(Band, &str)]) -> PriceRow {
    let mut row = PriceRow::default();
    for (band, price) in list {
        row[*band as usize] = Price::parse(price);
    }
    row
}

/// A rule for all days of the year.
pub(crate) fn all_year(ranges: &[(u16, u16, Band)]) -> Rule {
    Rule {
        from: MonthDay { month: 1, day: 1 },
        to: MonthDay { month: 12, day: 31 },
        day_types: DayType::ALL.to_vec(),
        named: Vec::new(),
        plan: DayPlan::from_ranges(ranges).expect("ranges that cover the day"),
    }
}

/// A version of `ranges` with one row of prices for each tier.
pub(crate) fn version(
    id: u32,
    valid_from: Moment,
    ranges: &[(u16, u16, Band)],
    tiers: Option<(TierPeriod, &[i64])>,
    rows: &[&[(Band, &str)]],
) -> Arc<TariffVersion> {
    let tiers = tiers.map(|(period, bounds)| Tiers::plain(period, bounds.iter().copied().map(Quantity).collect()));
    let version = TariffVersion {
        id: TariffVersionId(id),
        valid_from,
        rules: vec![all_year(ranges)],
        tiers,
        prices: rows.iter().map(|row| prices(row)).collect(),
        dynamic: None,
        components: Vec::new(),
        reverse: kernel::tariff::Reverse::Ignore,
        source: String::new(),
    };
    assert_eq!(version.check(), Ok(()));
    Arc::new(version)
}

/// A version of one price.
pub(crate) fn single(id: u32, valid_from: Moment, price: &str) -> Arc<TariffVersion> {
    version(id, valid_from, &[(0, 1_440, Band::Single)], None, &[&[(Band::Single, price)]])
}

/// A version with the bands flat (0.60) and, from 10:00 to 20:00, peak (1.00).
pub(crate) fn two_bands(id: u32, valid_from: Moment) -> Arc<TariffVersion> {
    let ranges = [(0, 600, Band::Flat), (600, 1_200, Band::Peak), (1_200, 1_440, Band::Flat)];
    version(id, valid_from, &ranges, None, &[&[(Band::Flat, "0.60"), (Band::Peak, "1.00")]])
}

/// A contract of account 1 for ever.
pub(crate) fn for_ever(versions: Vec<Arc<TariffVersion>>) -> Contract {
    Contract {
        id: ContractId(1),
        account: AccountId(1),
        valid_from: Moment(i64::MIN),
        valid_to: None,
        household: Household::default(),
        pooled: false,
        versions: Versions::of(TariffId(1), versions),
    }
}

/// Terms with an empty calendar.
pub(crate) fn terms(days: Arc<SiteDays>, contracts: Vec<Contract>) -> Terms {
    let contracts = contracts.into();
    Terms { days, calendar: Arc::new(Calendar::default()), contracts, conversion: Default::default() }
}

/// Meter 1 at service point 1: a count is 0.01 unit, P_max 3 units an hour, jitter 2 counts, no modulus, for ever.
pub(crate) fn epoch(id: u32) -> Epoch {
    Epoch {
        id: EpochId(id),
        meter: MeterId(1),
        service_point: ServicePointId(1),
        numerator: 10,
        denominator: 1,
        modulus: None,
        opening_count: None,
        closing_count: None,
        jitter_counts: 2,
        max_rate: 3_000,
        signed: false,
        converts: false,
        valid_from: Moment(i64::MIN),
        valid_to: None,
    }
}

/// A register row that arrives at once.
pub(crate) fn count(meter: u32, time: Moment, count: i64) -> Row {
    Row { meter: MeterId(meter), time, received_at: time, value: Value::Register(count) }
}

/// A usage row that arrives at once.
pub(crate) fn usage(meter: u32, start: Moment, end: Moment, milli: i64) -> Row {
    let value = Value::Usage { start, quantity: Quantity(milli) };
    Row { meter: MeterId(meter), time: end, received_at: end, value }
}

/// One service point.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) epochs: Vec<Epoch>,
    pub(crate) terms: Terms,
    pub(crate) outages: Vec<Outage>,
}

impl Scene {
    /// As the kernel takes it.
    pub(crate) fn point(&self) -> Point<'_> {
        Point { epochs: &self.epochs, terms: &self.terms, outages: &self.outages, beside: &[] }
    }
}
