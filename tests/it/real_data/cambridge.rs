//! The Cambridge estate of `../shared/data`: real hourly meters of electricity and gas, and a site for them. Both are in kWh in
//! the source: gas is billed as the energy that it is metered as, and nothing is converted.

#![allow(dead_code, reason = "each of those who share this uses a part of it")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The main set: 6,941,880 rows.
pub(crate) const ALL: &str = "cambridge/cambridge_2018_2022.parquet";
/// The fixture: 525,600 rows of 30 meters.
pub(crate) const THIRTY: &str = "cambridge/cambridge_2018_2019_30meters.parquet";
/// The words after `import FILE`.
pub(crate) const IMPORT: [&str; 10] = [
    "--meter-column",
    "meter_id",
    "--time-column",
    "ts_utc",
    "--usage-column",
    "kwh",
    "--interval",
    "1h",
    "--time-marks",
    "start",
];

/// A file of the shared data, where it is present: beside the checkout, or in METERLEDGER_SHARED_DATA.
pub(crate) fn shared(file: &str) -> Option<PathBuf> {
    let beside = || {
        let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().skip(1).take(2);
        above.map(|folder| folder.join("shared/data")).find(|folder| folder.is_dir())
    };
    let folder = std::env::var_os("METERLEDGER_SHARED_DATA").map(PathBuf::from).or_else(beside)?;
    Some(folder.join(file)).filter(|path| path.is_file())
}

/// All meters of the inventory, as `(serial, utility)`.
pub(crate) fn inventory() -> Option<BTreeSet<(String, String)>> {
    let text = std::fs::read_to_string(shared("cambridge/inventory_2018_2022.csv")?).ok()?;
    let meter = |line: &str| {
        let mut cells = line.split(',');
        Some((cells.next()?.to_owned(), cells.next()?.to_owned()))
    };
    text.lines().skip(1).map(meter).collect()
}

/// The property in whose time the estate is charged.
const HEAD: &str = r#"
[[site]]
name = "cambridge"
title = "Cambridge estate"
time_zone = "Europe/London"
currency = "CNY"
from = 2018-01-01

[[tariff]]
name = "gas"
utility = "gas"
unit = "kWh"
[[tariff.version]]
valid_from = 2018-01-01
source = "sample"
price = "0.3861"

[[tariff]]
name = "hubei"
utility = "electricity"
[[tariff.version]]
valid_from = 2018-01-01
"#;

/// An account for each building with its meters; electricity costs what it does in Hubei (data/mall.toml, 2026).
pub(crate) fn site(meters: &BTreeSet<(String, String)>) -> String {
    let mall = include_str!("../../../data/mall.toml");
    let (_, version) = mall.split_once("valid_from = 2026-01-01\n").expect("the mall has the prices of 2026");
    let (version, _) = version.split_once("[[tariff]]").expect("another tariff follows");
    let mut text = format!("{HEAD}{version}");
    let mut buildings = BTreeSet::new();
    for (serial, utility) in meters {
        let building = serial.split('-').next().unwrap_or(serial);
        if buildings.insert(building) {
            let _ = write!(
                text,
                "[[account]]\nname = \"{building}\"\nholder = \"Building {building}\"\nkind = \"postpaid\"\n"
            );
        }
        let tariff = if utility == "gas" { "gas\"\nunit = \"kWh" } else { "hubei" };
        let _ = write!(
            text,
            "[[service_point]]\nname = \"{serial}\"\nutility = \"{utility}\"\naccount = \"{building}\"\n\
             tariff = \"{tariff}\"\n[[meter]]\nserial = \"{serial}\"\nprofile = \"usage\"\nservice_point = \"{serial}\"\n"
        );
    }
    text
}
