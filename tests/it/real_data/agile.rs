//! Agile prices of Eastern England, hour by hour: a real year of use costs what its hours cost, and a negative hour credits
//! the balance.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;

use flate2::read::GzDecoder;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::cambridge::{THIRTY, shared};
use super::run;
use super::source::hours;

const PRICES: &str = "tariffs/other/agile_eastern_england_hourly_2019_2023.csv.gz";
const METER: &str = "b1-E";

/// `whole` pays for every hour, `windy` only for those in which the price is below zero.
const SITE: &str = r#"
[[site]]
name = "agile"
time_zone = "Europe/London"
currency = "GBP"
from = 2019-01-01

[[tariff]]
name = "agile"
utility = "electricity"
[[tariff.version]]
valid_from = 2019-01-01
source = "Octopus Agile, Eastern England"
prices = { dynamic = "0" }
dynamic = { file = "agile.csv", time = "ts_utc", price = "gbp_per_kwh", step = "1h", time_zone = "UTC" }

[[account]]
name = "whole"
[[account]]
name = "windy"

[[service_point]]
name = "whole/E"
utility = "electricity"
account = "whole"
tariff = "agile"
[[meter]]
serial = "whole-E"
profile = "usage"
service_point = "whole/E"

[[service_point]]
name = "windy/E"
utility = "electricity"
account = "windy"
tariff = "agile"
[[meter]]
serial = "windy-E"
profile = "usage"
service_point = "windy/E"
"#;

/// A price in 1e-6 GBP, by the hour's begin.
fn prices(text: &str) -> BTreeMap<i64, i64> {
    let price = |line: &str| {
        let (time, price) = line.split_once(',').unwrap();
        let begin: Timestamp = format!("{}Z", time.replace(' ', "T")).parse().unwrap();
        let (sign, digits) = price.strip_prefix('-').map_or((1, price), |digits| (-1, digits));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let micros = whole.parse::<i64>().unwrap() * 1_000_000 + format!("{fraction:0<6}").parse::<i64>().unwrap();
        (begin.as_millisecond(), sign * micros)
    };
    text.lines().skip(1).map(price).collect()
}

/// An exact amount in 1e-9 as SQL prints it.
fn nanos(text: &str) -> i128 {
    let (whole, digits) = text.split_once('.').unwrap();
    assert_eq!(digits.len(), 9, "{text}");
    format!("{whole}{digits}").parse().unwrap()
}

#[test]
fn a_real_year_at_agile_prices_costs_what_its_hours_cost_and_negative_hours_credit_the_balance() {
    let (Some(file), Some(archive)) = (shared(THIRTY), shared(PRICES)) else {
        eprintln!("PASSED OVER: {THIRTY} or {PRICES} is not here; set METERLEDGER_SHARED_DATA");
        return;
    };
    let mut text = String::new();
    GzDecoder::new(File::open(archive).unwrap()).read_to_string(&mut text).unwrap();
    let prices = prices(&text);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("agile.csv"), &text).unwrap();
    std::fs::write(path("site.toml"), SITE).unwrap();

    let year: Vec<(i64, i64)> = hours(&file, METER).into_iter().filter(|hour| prices.contains_key(&hour.0)).collect();
    assert_eq!(year.len(), 8_760, "the hours of 2019");
    let london = TimeZone::get("Europe/London").unwrap();
    let mut usage = "meter,time,kwh\n".to_owned();
    let (mut by_month, mut windy) = (BTreeMap::new(), 0_i128);
    for (begin, milli) in &year {
        let (moment, price) = (Timestamp::from_millisecond(*begin).unwrap(), prices[begin]);
        let cost = i128::from(*milli) * i128::from(price);
        let month = moment.to_zoned(london.clone()).strftime("%Y-%m").to_string();
        *by_month.entry(month).or_insert(0_i128) += cost;
        writeln!(usage, "whole-E,{moment},{}.{:03}", milli / 1_000, milli % 1_000).unwrap();
        if price < 0 {
            writeln!(usage, "windy-E,{moment},{}.{:03}", milli / 1_000, milli % 1_000).unwrap();
            windy += cost;
        }
    }
    assert!(windy < 0, "2019 has nine hours below zero");
    std::fs::write(path("usage.csv"), usage).unwrap();

    let data = folder.path().join("data");
    run(&data, &["apply", &path("site.toml")]);
    let import = "--meter-column meter --time-column time --usage-column kwh --interval 1h --time-marks start";
    let usage = path("usage.csv");
    let import = [&["import", usage.as_str()][..], &import.split(' ').collect::<Vec<_>>()].concat();
    let said = run(&data, &import);
    assert!(said.contains("8769 accepted for 2 meters"), "{said}");

    let sql = "SELECT date_format(local_date, '%Y-%m') AS month, sum(amount) AS amount FROM charges \
               WHERE account = 'whole' AND band = 'dynamic' GROUP BY 1 ORDER BY 1";
    let charged = run(&data, &["sql", sql, "--format", "csv"]);
    let charged: BTreeMap<String, i128> = charged
        .lines()
        .skip(1)
        .map(|line| line.split_once(',').map(|(month, amount)| (month.to_owned(), nanos(amount))).unwrap())
        .collect();
    assert_eq!(charged, by_month);
    let balances = run(&data, &["sql", "SELECT account, balance FROM balances ORDER BY 1", "--format", "csv"]);
    let balances: Vec<(&str, i128)> = balances
        .lines()
        .skip(1)
        .map(|line| line.split_once(',').map(|(account, balance)| (account, nanos(balance))).unwrap())
        .collect();
    assert_eq!(balances, [("whole", -by_month.values().sum::<i128>()), ("windy", -windy)]);
    assert!(balances[1].1 > 0, "who uses while prices are below zero is credited");
    run(&data, &["audit"]);
}
