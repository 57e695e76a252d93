//! The oracle's files: loads, rates and results.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use kernel::money::{Price, Quantity};
use serde_json::Value;

/// Hours of the oracle's year.
pub(crate) const HOURS: usize = 8_760;

/// An hourly load of a year.
pub(crate) struct Load {
    pub(crate) name: String,
    pub(crate) year: i32,
    pub(crate) hours: Vec<Quantity>,
}

/// A rate: the period of each month and hour, and prices by period and tier.
pub(crate) struct Rate {
    pub(crate) name: String,
    pub(crate) weekday: Vec<Vec<u16>>,
    pub(crate) weekend: Vec<Vec<u16>>,
    /// By period: tiers in order, each with its cumulative upper bound (none for the last) and price.
    pub(crate) tiers: BTreeMap<u16, Vec<(Option<Quantity>, Price)>>,
    /// Price for each kW of a month's maximum.
    pub(crate) demand: Option<Price>,
}

/// A month's bill.
#[derive(Clone, Debug, Default)]
pub(crate) struct Month {
    pub(crate) energy: f64,
    pub(crate) demand: f64,
    pub(crate) peak_kw: f64,
    /// By period and tier, both from 1.
    pub(crate) kwh: BTreeMap<(u16, u16), f64>,
}

/// What SAM gave.
pub(crate) struct Results(Value);

/// A file of the oracle, or `None` (said aloud) where the shared data are not beside the checkout.
fn shared(name: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folder = std::env::var_os("METERLEDGER_SHARED_DATA").map_or(beside, PathBuf::from);
    let path = folder.join("oracle").join(name);
    if !path.is_file() {
        eprintln!("PASSED OVER: {} is not there (METERLEDGER_SHARED_DATA names the folder)", path.display());
        return None;
    }
    Some(path)
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// A number as it is written, which is exact: prices have six places, bounds three.
fn decimal<T>(value: &Value, parse: impl Fn(&str) -> Option<T>) -> T {
    parse(&value.to_string()).unwrap_or_else(|| panic!("{value} has more places than the kernel's integers"))
}

impl Load {
    pub(crate) fn read(name: &str, year: i32) -> Option<Load> {
        let text = fs::read_to_string(shared(name)?).unwrap();
        let rows = text.lines().filter(|line| !line.starts_with(['#', 't']));
        let hours: Vec<Quantity> = rows
            .map(|line| Quantity::parse(line.rsplit(',').next().unwrap()).unwrap_or_else(|| panic!("{name}: {line}")))
            .collect();
        assert_eq!(hours.len(), HOURS, "{name}");
        Some(Load { name: name.to_owned(), year, hours })
    }
}

impl Rate {
    pub(crate) fn read(name: &str) -> Option<Rate> {
        let json = json(&shared(&format!("rates/{name}.json"))?);
        let list = |value: &Value| value.as_array().unwrap().clone();
        let small = |value: &Value| u16::try_from(value.as_u64().unwrap()).unwrap();
        let matrix = |name: &str| list(&json[name]).iter().map(|row| list(row).iter().map(small).collect()).collect();
        let mut tiers: BTreeMap<u16, Vec<(Option<Quantity>, Price)>> = BTreeMap::new();
        for row in list(&json["tiers"]) {
            let [period, tier, bound, unit, buy, _] = &list(&row)[..] else { panic!("{row} is no tier") };
            assert_eq!(unit.as_u64(), Some(0), "bounds are in kWh a month");
            let bound = (!bound.is_null()).then(|| decimal(bound, Quantity::parse));
            let row = tiers.entry(small(period)).or_default();
            row.push((bound, decimal(buy, Price::parse)));
            assert_eq!(row.len(), usize::from(small(tier)), "tiers come in order");
        }
        let demand = json.get("demand_flat").map(|rows| {
            let prices: Vec<Price> = list(rows).iter().map(|row| decimal(&row[3], Price::parse)).collect();
            assert!(prices.len() == 12 && prices.windows(2).all(|pair| pair[0] == pair[1]), "one price all year");
            prices[0]
        });
        let (weekday, weekend) = (matrix("weekday"), matrix("weekend"));
        Some(Rate { name: name.to_owned(), weekday, weekend, tiers, demand })
    }

    /// The periods of a month (from 0), and the tiers' bounds, which all of them share.
    pub(crate) fn bounds(&self, month: usize) -> Vec<Quantity> {
        let periods = self.weekday[month].iter().chain(&self.weekend[month]);
        let mut bounds: Vec<Vec<Quantity>> =
            periods.map(|period| self.tiers[period].iter().filter_map(|(bound, _)| *bound).collect()).collect();
        bounds.dedup();
        assert_eq!(bounds.len(), 1, "{}: month {} has one set of tiers", self.name, month + 1);
        bounds.remove(0)
    }
}

impl Results {
    /// The results of that name; where a rate is present its results are too.
    pub(crate) fn read(name: &str) -> Results {
        Results(json(&shared(&format!("results/{name}.json")).expect("results beside their rates")))
    }

    pub(crate) fn number(&self, name: &str) -> f64 {
        self.0[name].as_f64().unwrap()
    }

    pub(crate) fn list(&self, name: &str) -> Vec<f64> {
        numbers(&self.0[name])
    }

    pub(crate) fn sam(&self, name: &str) -> Vec<f64> {
        numbers(&self.0["sam"][name])
    }

    /// `(period, tier, kWh)` of a month. The first row names the tiers, the last row and column are sums.
    pub(crate) fn by_period_and_tier(&self, month: usize) -> Vec<(u16, u16, f64)> {
        let rows = self.0["sam"]["by_period_tier_kwh"][month].as_array().unwrap().clone();
        let mut found = Vec::new();
        for (period, row) in (1_u16..).zip(&rows[1..rows.len() - 1]) {
            let row = numbers(row);
            assert_eq!(format!("{}", row[0]), period.to_string());
            found.extend((1_u16..).zip(&row[1..row.len() - 1]).map(|(tier, kwh)| (period, tier, *kwh)));
        }
        found
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
}
