//! Charges beside energy, by the real binary: a two-part tariff with sewer by another meter, from the site file to the
//! statement.

use std::fmt::Write as _;

use kernel::money::Amount;
use sqlx::{AnyConnection, Connection as _};

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
    let folder = january();
    let stated_month = ["statement", "filed", "--month", "2026-01"];
    let open = folder.ok(&stated_month);
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
    let stated = folder.ok(&stated_month);
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

/// A folder with the site's January of electricity and water.
fn january() -> Folder {
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
    folder
}

fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

#[test]
fn a_simulation_bills_components_on_both_sides_as_the_close_does() {
    let folder = january();
    let tariff = SITE.split("[[tariff]]").nth(1).unwrap().split("\n[[account]]").next().unwrap();
    let head = "[[tariff]]\ncurrency = \"CNY\"\ntime_zone = \"Asia/Shanghai\"";
    folder.write("same.toml", &format!("{head}{tariff}\n"));
    let dearer = tariff.replace("price = \"40.00\"", "price = \"50.00\"").replace("rate = \"0.13\"", "rate = \"0.15\"");
    folder.write("dearer.toml", &format!("{head}{dearer}\n"));
    let words = |file: &'static str, more: &[&'static str]| {
        let words = ["tariff", "simulate", file, "--against", "filed", "--until", "2026-01", "--last", "1m"];
        words.iter().chain(more).copied().collect::<Vec<_>>()
    };
    let row = |file| -> Vec<String> {
        let shown = folder.ok(&words(file, &["--format", "csv"]));
        shown.lines().nth(1).unwrap().split(',').map(str::to_owned).collect()
    };
    let (same, changed) = (row("same.toml"), row("dearer.toml"));
    assert_eq!(same[3], same[4], "the tariff itself changes nothing: {same:?}");
    let told = folder.ok(&words("dearer.toml", &["--by", "month"]));
    for piece in ["of it energy", "demand ", "meter rent 10.00 -> 10.00", "sewer 15.00 -> 15.00", "vat ", "whole bills"]
    {
        assert!(told.contains(piece), "{piece}\n{told}");
    }
    folder.ok(&["period", "close", "--month", "2026-01"]);
    let sum = |filter: &str| {
        let charged = "select sum(amount) from charges where account = 'filed' and local_date < '2026-02-01'";
        amount(folder.sql(&format!("{charged} {filter}")).trim())
    };
    assert_eq!(sum(""), amount(&same[3]), "what the close charges");
    let taxed = sum("and component in ('energy', 'meter rent', 'demand')");
    let (demand, vat) = (sum("and component = 'demand'"), sum("and component = 'vat'"));
    // A quarter more for demand, and 15 % on all that is taxed.
    let (demand, taxed) = (demand.0 / 4, taxed.0 + demand.0 / 4);
    assert_eq!(amount(&changed[4]).0, amount(&changed[3]).0 + demand + taxed * 15 / 100 - vat.0);
}

#[tokio::test]
async fn a_re_rate_shows_and_proposes_components_of_a_closed_month() {
    let folder = january();
    folder.ok(&["period", "close", "--month", "2026-01"]);
    let words = |more: &[&'static str]| {
        let words = ["rerate", "--from", "2026-01-01", "--to", "2026-01-31"];
        words.iter().chain(more).copied().collect::<Vec<_>>()
    };
    assert!(folder.ok(&words(&["--dry-run"])).contains("and every component what it comes to"));
    let file = folder.data().join("book.sqlite");
    sqlx::any::install_default_drivers();
    let mut book = AnyConnection::connect(&format!("sqlite://{}?mode=rw", file.display())).await.unwrap();
    let planted =
        "UPDATE tariff_versions SET definition = replace(definition, '\"Whole\":40000000', '\"Whole\":44000000')";
    assert_ne!(sqlx::query(planted).execute(&mut book).await.unwrap().rows_affected(), 0);
    book.close().await.unwrap();
    folder.run(&["audit"]).assert_refused(&["audit"], &["demand_recomputed"]);

    let of = |component: &str| {
        let sql = format!("select coalesce(sum(amount), 0) from charges where component = '{component}'");
        amount(folder.sql(&sql).trim())
    };
    let (demand, vat) = (of("demand"), of("vat"));
    let shown = folder.ok(&words(&["--dry-run", "--format", "csv"]));
    let row: Vec<&str> = shown.lines().nth(1).unwrap().split(',').collect();
    // A tenth more of demand, and its tax.
    let expected = Amount(demand.0 / 10 + demand.0 / 10 * 13 / 100);
    assert_eq!([5, 6, 8].map(|place| amount(row[place])), [expected; 3], "{shown}");
    assert_eq!((row[0], row[2], row[7]), ("filed", "filed/E", "0.000"), "{shown}");
    assert_eq!((of("demand"), of("vat")), (demand, vat), "nothing was written");
    let posted = folder.ok(&words(&["--reason", "the price was changed by hand"]));
    assert!(posted.contains("1 service points of 1 accounts were charged otherwise; posted"), "{posted}");
    let listed = folder.ok(&["adjustment", "list"]);
    assert!(listed.contains("rerate"), "{listed}");
    folder.ok(&["--actor", "second", "adjustment", "approve", "1", "--reason", "seen"]);
    assert_eq!(of("demand"), Amount(demand.0 / 10 * 11));
    assert!(folder.ok(&words(&["--reason", "again"])).contains("and every component what it comes to"));
    assert!(folder.ok(&["audit"]).contains("clean"));
}

#[test]
fn demand_over_missing_readings_is_reviewed_and_closed_only_with_a_reason() {
    let folder = Folder::with_site(SITE);
    // Five hours of the second day are missing.
    let all = registers(0, QUARTERS + 97);
    let some: Vec<&str> =
        all.lines().enumerate().filter(|(place, _)| !(100..119).contains(place)).map(|(_, row)| row).collect();
    folder.write("power.csv", &(some.join("\n") + "\n"));
    folder.import("power.csv");
    let close = ["period", "close", "--month", "2026-01"];
    let told = "filed/E of filed (5:00 h without readings";
    folder.refused(&close, &[told, "--demand-as-measured"]);
    let leave = ["account", "close", "filed", "--at", "2026-01-20", "--key", "c"];
    folder.refused(&leave, &["is charged by demand", told, "--demand-as-measured"]);
    let review = folder.ok(&["period", "review", "--month", "2026-01"]);
    assert!(review.contains("is in review") && review.contains(told), "{review}");
    folder.ok(&[close.as_slice(), &["--demand-as-measured", "the modem was changed"]].concat());
    assert!(folder.sql("select state, reason from periods").contains("closed,the modem was changed"));
    assert!(folder.ok(&["audit"]).contains("clean"));
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
