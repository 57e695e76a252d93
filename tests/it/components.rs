//! Charges beside energy, by the real binary: a two-part tariff with sewer by another meter, from the site file to the
//! statement.

use std::fmt::Write as _;

use crate::harness::Folder;
use crate::site::{registers, wall};

const SITE: &str = r#"
[[site]]
name = "block"
time_zone = "Asia/Shanghai"
currency = "CNY"
from = 2026-01-01

[[tariff]]
name = "shop"
utility = "electricity"
[[tariff.version]]
valid_from = 2026-01-01
price = "0.50"
[[tariff.version.component]]
name = "meter rent"
kind = "monthly"
price = "10.00"
[[tariff.version.component]]
name = "demand"
kind = "demand"
price = "40.00"
window = "15m"
[[tariff.version.component]]
name = "sewer"
kind = "derived"
source = "water"
share = "0.9"
cap = "5"
price = "3.00"
[[tariff.version.component]]
name = "vat"
kind = "tax"
rate = "0.13"
of = ["energy", "meter rent", "demand"]

[[account]]
name = "filed"
holder = "A shop"
[[service_point]]
name = "filed/E"
utility = "electricity"
account = "filed"
tariff = "shop"
sources = { water = "filed/W" }
[[meter]]
serial = "F1"
profile = "chint-dtsu666"
service_point = "filed/E"
ct = 2
[[service_point]]
name = "filed/W"
utility = "water"
[[meter]]
serial = "W1"
kind = "usage"
service_point = "filed/W"
"#;
/// The quarters of an hour of January, and of one more day.
const QUARTERS: i64 = 31 * 96;

#[test]
fn a_month_with_rent_demand_sewer_and_tax_is_forecast_closed_stated_and_explained() {
    let folder = Folder::with_site(SITE);
    folder.write("power.csv", &registers(0, QUARTERS + 97));
    folder.import("power.csv");
    let mut water = "meter,time,m3\n".to_owned();
    for day in 0..32 {
        writeln!(water, "W1,{},0.2", wall(day * 96)).unwrap();
    }
    folder.write("water.csv", &water);
    let words = ["import", "water.csv", "--meter-column", "meter", "--time-column", "time", "--usage-column", "m3"];
    folder.ok(&[words.as_slice(), &["--interval", "1d", "--time-marks", "start"]].concat());

    let january = ["statement", "filed", "--month", "2026-01"];
    let open = folder.ok(&january);
    for piece in ["meter rent", "(demand: forecast, not charged yet)", "(sewer: forecast", "(vat: forecast", "days"] {
        assert!(open.contains(piece), "{piece}\n{open}");
    }
    let components = "select component, sum(amount) from charges where local_date < '2026-02-01' \
                      group by 1 having sum(amount) <> 0 order by 1";
    let before = folder.sql(components);
    assert!(before.contains("meter rent,10.000000000") && !before.contains("sewer"), "{before}");

    folder.ok(&["period", "close", "--month", "2026-01"]);
    let after = folder.sql(components);
    // 6.2 m3 x 0.9 are 5.58, capped at 5.
    assert!(after.contains("sewer,15.000000000") && after.contains("meter rent,10.000000000"), "{after}");
    let due = "select (select sum(amount) * 0.13 from charges where local_date < '2026-02-01' and component in \
               ('energy', 'meter rent', 'demand')) - (select sum(amount) from charges where component = 'vat') = 0";
    assert_eq!(folder.sql(due), "true");
    let stated = folder.ok(&january);
    assert!(stated.contains("statement 1, closed") && !stated.contains("forecast"), "{stated}");
    for piece in ["demand", "sewer", "vat", "kW"] {
        assert!(stated.contains(piece), "{piece}\n{stated}");
    }
    let explained = folder.ok(&["explain", "filed", "--day", "2026-01-31"]);
    for piece in ["1 days from 2026-01-31", "maximum of the month", "at most 5.000 a month", "tax on top"] {
        assert!(explained.contains(piece), "{piece}\n{explained}");
    }
    let earned = folder.sql("select ledger_account from ledger_accounts order by 1");
    assert!(earned.contains("revenue:electricity:sewer") && earned.contains("tax:vat"), "{earned}");
    folder.ok(&["audit"]);
    folder.ok(&["period", "reopen", "--month", "2026-01", "--reason", "a mistake"]);
    assert_eq!(folder.sql(components), before);
    folder.ok(&["period", "close", "--month", "2026-01"]);
    assert_eq!(folder.sql(components), after);
    folder.ok(&["audit"]);
}

#[test]
fn the_sample_tariffs_with_components_are_proven_and_described() {
    let folder = Folder::new();
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/data/tariffs");
    let said = folder.ok(&["tariff", "check", &format!("{data}/two-part-industrial.toml")]);
    for piece in ["demand: 40.000000 CNY a month for each kW of the maximum in sliding windows of 15 minutes", "0.750"]
    {
        assert!(said.contains(piece), "{piece}\n{said}");
    }
    let said = folder.ok(&["tariff", "check", &format!("{data}/beijing-water-parts.toml")]);
    assert!(said.contains("sewage: 1.360000 CNY for 1.000000 of the use of energy"), "{said}");
}
