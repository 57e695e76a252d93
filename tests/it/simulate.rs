//! A tariff tried on past use, by the real binary: nothing is published, nothing is written.

use kernel::money::Amount;

use crate::harness::Folder;
use crate::site::{SITE, registers};

fn tariff(name: &str, utility: &str, version: &str) -> String {
    format!(
        "[[tariff]]\nname = \"{name}\"\nutility = \"{utility}\"\ncurrency = \"CNY\"\ntime_zone = \"Asia/Shanghai\"\n\
         [[tariff.version]]\nvalid_from = 2027-01-01\n{version}\n"
    )
}

/// The tariff that the site has already.
fn same() -> String {
    let version = SITE.split("valid_from = 2026-01-01\n").nth(1).unwrap().split("\n[[").next().unwrap();
    tariff("power", "electricity", version)
}

fn folder() -> Folder {
    let folder = Folder::with_site(SITE);
    folder.write("long.csv", &registers(0, 40 * 96));
    folder.import("long.csv");
    folder.write("flat.toml", &tariff("flat", "electricity", "price = \"0.90\""));
    folder
}

fn words<'a>(file: &'a str, against: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let words = ["tariff", "simulate", file, "--against", against, "--until", "2026-02"];
    words.iter().chain(more).copied().collect()
}

#[test]
fn old_bills_are_what_was_charged_and_new_ones_what_the_file_says() {
    let folder = folder();
    let charged = folder.sql("select sum(amount), sum(quantity) from charges where account = 'filed'");
    let (charged, quantity) = charged.split_once(',').unwrap();
    let before = folder.sql("select count(*) from transfers");
    let shown = folder.ok(&words("flat.toml", "filed", &["--format", "csv"]));
    let row: Vec<&str> = shown.lines().nth(1).unwrap().split(',').collect();
    let [old, new, difference] = [3, 4, 5].map(|place| Amount::parse(row[place]).unwrap());
    assert_eq!((row[0], row[2], old), ("filed", quantity, Amount::parse(charged).unwrap()), "{shown}");
    // 0.90 a kWh.
    assert_eq!((new.0 * 10, new - old), (Amount::parse(quantity).unwrap().0 * 9, difference));
    // Month by month it is the same.
    let months = folder.ok(&words("flat.toml", "tariff:power", &["--by", "month", "--format", "csv"]));
    let of_months: Vec<Vec<&str>> = months.lines().skip(1).map(|row| row.split(',').collect()).collect();
    assert_eq!(of_months.iter().map(|row| row[2]).collect::<Vec<_>>(), ["2026-01", "2026-02"]);
    assert_eq!(of_months.iter().map(|row| Amount::parse(row[5]).unwrap()).sum::<Amount>(), new);
    // For people: totals, who pays more, who changes much, what is included.
    folder.ok(&words("flat.toml", "all", &["--output", "shown.txt", "--threshold", "1"]));
    let told = std::fs::read_to_string(folder.path("shown.txt")).unwrap();
    for piece in ["flat would have charged", "1 accounts pay more, 0 less", "filed +", "of it energy", "whole bills"] {
        assert!(told.contains(piece), "{piece}\n{told}");
    }
    // The tariff itself, tried, changes nothing, tiers and bands included; so does a server.
    folder.write("same.toml", &same());
    let server = folder.serve();
    let same = folder.ok(&words("same.toml", "filed", &["--format", "csv"]));
    assert!(same.contains(",0.000000000,+0.00 %"), "{same}");
    assert!(server.terminate().status.success());
    assert_eq!(folder.sql("select count(*) from transfers"), before);
    assert!(folder.ok(&["audit"]).contains("clean"));
}

#[test]
fn what_cannot_be_compared_is_refused_with_the_remedy() {
    let folder = folder();
    folder.write("two.toml", &(tariff("a", "electricity", "price = \"1\"") + &tariff("b", "water", "price = \"2\"")));
    folder.write("water.toml", &tariff("wet", "water", "price = \"2\""));
    let euro = tariff("euro", "electricity", "price = \"1\"").replace("CNY", "EUR");
    folder.write("euro.toml", &euro);
    let holidays = "prices = { flat = \"1\", peak = \"2\" }\n\
                    [[tariff.version.season]]\ndays = [\"holiday\"]\nbands = { flat = [\"00:00-24:00\"] }\n\
                    [[tariff.version.season]]\nbands = { peak = [\"00:00-24:00\"] }";
    let calendar = "[[calendar]]\nname = \"c\"\nholidays = [2025-01-01]\nworkdays = []\n";
    folder.write("holidays.toml", &(calendar.to_owned() + &tariff("h", "electricity", holidays)));
    for (words, pieces) in [
        (words("two.toml", "filed", &[]), &["several tariffs", "--tariff", "a, b"][..]),
        (words("two.toml", "filed", &["--tariff", "c"]), &["no tariff \"c\"", "a, b"]),
        (words("water.toml", "filed", &[]), &["prices water", "filed never had a service point for water"]),
        (words("water.toml", "tariff:power", &[]), &["\"power\" prices electricity", "same utility"]),
        (words("flat.toml", "tariff:none", &[]), &["no tariff \"none\"", "power"]),
        (words("flat.toml", "file", &[]), &["no account \"file\"", "did you mean filed"]),
        (words("euro.toml", "filed", &[]), &["is in EUR", "block is in CNY"]),
        (words("flat.toml", "filed", &["--last", "a year"]), &["write it as 12m"]),
        (words("flat.toml", "filed", &["--threshold", "much"]), &["write it as 20"]),
        (words("holidays.toml", "filed", &[]), &["knows them until 2025-12-31 only", "--until"]),
        (
            vec!["tariff", "simulate", "flat.toml", "--against", "filed", "--until", "2025-06"],
            &["nothing was measured from 2024-07-01 to 2025-06-30", "--until"],
        ),
    ] {
        folder.refused(&words, pieces);
    }
    folder.ok(&words("two.toml", "filed", &["--tariff", "a"]));
}

#[test]
fn apply_says_what_a_new_version_would_have_charged() {
    let folder = folder();
    let version = "[[tariff.version]]\nvalid_from = 2036-01-01\nprice = \"0.90\"\n\n[[tariff]]\nname = \"water\"";
    folder.write("next.toml", &SITE.replace("[[tariff]]\nname = \"water\"", version));
    let told = |text: &str| {
        // The last 12 months of the machine's clock hold the readings, or they do not.
        text.lines().any(|line| {
            line.starts_with("power would have charged") || line.starts_with("power: nothing was measured from")
        })
    };
    assert!(told(&folder.ok(&["apply", "next.toml", "--dry-run"])));
    assert!(!told(&folder.ok(&["apply", "next.toml", "--dry-run", "--no-preview"])));
    assert!(told(&folder.ok(&["apply", "next.toml"])));
    assert!(!told(&folder.ok(&["apply", "next.toml"])), "it is published");
}
