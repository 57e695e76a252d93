//! Statements as tenants and finance get them, by the real binary, and the way from each line to the registers.

use std::io::{Cursor, Read as _};

use sqlx::{AnyConnection, Connection as _};

use crate::harness::Folder;
use crate::site::{SITE, registers};

/// A file of a workbook.
fn part(bytes: &[u8], name: &str) -> String {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut text = String::new();
    archive.by_name(name).unwrap().read_to_string(&mut text).unwrap();
    text
}

fn written(folder: &Folder, words: &[&str], name: &str) -> Vec<u8> {
    let words: Vec<&str> = words.iter().chain(&["--output", name]).copied().collect();
    folder.ok(&words);
    std::fs::read(folder.path(name)).unwrap()
}

fn folder(site: &str) -> Folder {
    let named = "name = \"filed\"\nholder = \"Li <&> 'Sons' 李\"";
    let folder = Folder::with_site(&site.replace("name = \"filed\"\npolicy", &format!("{named}\npolicy")));
    folder.write("long.csv", &registers(0, 33 * 96));
    folder.import("long.csv");
    folder.ok(&["topup", "filed", "500", "--key", "p"]);
    folder
}

#[test]
fn a_tenant_gets_a_page_and_finance_a_workbook_with_real_numbers() {
    let folder = folder(SITE);
    let january = |words: &[&'static str]| -> Vec<&str> {
        ["statement"].iter().chain(words).chain(&["--month", "2026-01"]).copied().collect()
    };
    let page = String::from_utf8(written(&folder, &january(&["filed", "--format", "html"]), "page.html")).unwrap();
    for piece in [
        "Li &lt;&amp;&gt; &#39;Sons&#39; 李",
        "Opening balance",
        "electricity, peak, tier 2",
        "1.078969",
        "Meter readings",
        "F1",
        "50.000 kWh",
        "× 2",
        "2026-01-01 00:00:00",
        "2026-02-01 00:00:00",
        "carried to the next",
        "explain filed --month 2026-01 --line 1",
        "size: A4",
    ] {
        assert!(page.contains(piece), "{piece}\n{page}");
    }
    for foreign in ["http:", "https:", "<script", "<link", "<img", "<&>"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    let book = written(&folder, &january(&["filed", "--format", "xlsx"]), "filed.xlsx");
    let table = folder.ok(&january(&["filed", "--format", "csv"]));
    let of = |item: &str| {
        let row = table.lines().find(|row| row.starts_with(item)).unwrap();
        row.split(',').nth(8).unwrap().trim_start_matches('-').to_owned()
    };
    let charges = of("charges");
    let lines = part(&book, "xl/worksheets/sheet2.xml");
    let rows = table.lines().filter(|row| row.contains("meterledger explain")).count();
    // Title, site, headings, then the lines.
    let sum = format!("<f>SUM(L4:L{})</f><v>{charges}", rows + 3);
    assert!(lines.contains(&sum), "{sum}\n{lines}");
    assert!(lines.contains("<pane ySplit=\"3\""), "the header is frozen");
    let accounts = part(&book, "xl/worksheets/sheet1.xml");
    assert!(accounts.contains("<f>E4+F4-G4</f><v>"), "{accounts}");
    assert!(part(&book, "xl/sharedStrings.xml").contains("Li &lt;&amp;&gt; 'Sons' 李"));
    assert!(part(&book, "xl/styles.xml").contains("#,##0.00"));

    let all = written(&folder, &january(&["--all", "--format", "xlsx"]), "all.xlsx");
    let accounts = part(&all, "xl/worksheets/sheet1.xml");
    assert!(accounts.contains("<f>SUM(G4:G7)</f><v>"), "four accounts\n{accounts}");
    let pages = String::from_utf8(written(&folder, &january(&["--all", "--format", "html"]), "all.html")).unwrap();
    assert_eq!(pages.matches("<section>").count(), 4);
    assert_eq!(folder.ok(&january(&["--all", "--format", "csv"])).matches("closing balance").count(), 4);
    let report = written(&folder, &["report", "monthly-use", "--month", "2026-01", "--format", "xlsx"], "use.xlsx");
    assert!(part(&report, "xl/worksheets/sheet1.xml").contains("<f>SUM("));
    folder.refused(&["statement", "--month", "2026-01"], &["ACCOUNT"]);
    folder.refused(&["statement", "filed", "--all", "--month", "2026-01"], &["--all"]);
}

#[test]
fn each_line_leads_to_the_registers_that_it_rests_on() {
    // The one account that is read.
    let folder = folder(SITE.split("[[account]]\nname = \"homes\"").next().unwrap());
    folder.ok(&["period", "close", "--month", "2026-01"]);
    let stated = folder.ok(&["statement", "filed", "--month", "2026-01", "--format", "csv"]);
    let lines: Vec<Vec<&str>> = stated
        .lines()
        .filter(|row| row.contains("--statement 1 --line "))
        .map(|row| row.rsplit(',').collect())
        .collect();
    assert!(lines.len() >= 6, "{stated}");
    for cells in &lines {
        let words: Vec<&str> = cells[0].split(' ').skip(1).collect();
        let told = folder.ok(&words);
        // Quantity and exact amount, counted from the end.
        let (exact, quantity) = (cells[3], cells[6]);
        let sums = format!("{quantity} in all, {exact} exactly; the line states {quantity} and {exact} exactly");
        assert!(told.contains(&sums), "{sums}\n{}", told.lines().last().unwrap());
        assert!(told.contains("->") && told.contains("filed/E"), "down to counts");
    }
    let ask = |more: &[&'static str]| -> Vec<&str> { ["explain", "filed"].iter().chain(more).copied().collect() };
    folder.refused(&ask(&["--statement", "1", "--line", "99"]), &["lines; name one of them"]);
    folder.refused(&ask(&["--statement", "7", "--line", "1"]), &["no statement 7", "lists them"]);
    folder.refused(&ask(&["--line", "1"]), &["--statement N, or --month M"]);
    folder.refused(&ask(&[]), &["--day"]);
}

/// A site of one usage meter at half a unit of money for each cubic metre.
const YEN: &str = r#"
[[site]]
name = "tiny"
time_zone = "Asia/Tokyo"
currency = "JPY"
from = 2026-01-01
ROUNDING
[[tariff]]
name = "water"
utility = "water"
[[tariff.version]]
valid_from = 2026-01-01
price = "0.5"

[[account]]
name = "a"
[[service_point]]
name = "a/W"
utility = "water"
account = "a"
tariff = "water"
[[meter]]
serial = "W1"
kind = "usage"
service_point = "a/W"
"#;

#[tokio::test]
async fn a_site_rounds_by_its_rule_to_the_digits_of_its_currency() {
    let folder = Folder::with_site(&YEN.replace("ROUNDING", ""));
    folder.write("use.csv", "meter,time,m3\nW1,2026-01-10,5\nW1,2026-02-10,6\nW1,2026-03-10,5\n");
    let [meter, time, used] = ["--meter-column", "--time-column", "--usage-column"];
    let import = ["import", "use.csv", meter, "meter", time, "time", used, "m3", "--unit", "m3"];
    folder.ok(&[&import[..], &["--interval", "1d", "--time-marks", "start", "--time-zone", "Asia/Tokyo"]].concat());
    let amount = |month: &str| {
        let table = folder.ok(&["statement", "a", "--month", month, "--format", "csv"]);
        let row = table.lines().find(|row| row.starts_with("charges")).unwrap().to_owned();
        row.split(',').nth(8).unwrap().to_owned()
    };
    folder.ok(&["period", "close", "--month", "2026-01"]);
    assert_eq!(amount("2026-01"), "-3", "2.5 is rounded up");
    folder.write("even.toml", &YEN.replace("ROUNDING", "rounding = \"half-even\""));
    let changed = folder.ok(&["apply", "even.toml"]);
    assert!(changed.contains("rounding half-up to 0 digits -> half-even to 0 digits"), "{changed}");
    assert!(folder.ok(&["apply", "even.toml"]).contains("nothing to change"));
    folder.ok(&["period", "close", "--month", "2026-02"]);
    // 3.0 less the half that January took too much.
    assert_eq!(amount("2026-02"), "-2", "2.5 is rounded to the even neighbour");
    assert_eq!(amount("2026-01"), "-3", "what was closed stays");
    // 2.5 and the half that February took too little.
    assert_eq!(amount("2026-03"), "-3");
    let rounded = "select month, rounded from statements order by month";
    assert_eq!(folder.sql(rounded), "2026-01-01,3.000\n2026-02-01,2.000\n2026-03-01,2.000");
    assert!(folder.ok(&["audit"]).contains("clean"));
    // By the other rule it would have been 3.
    sqlx::any::install_default_drivers();
    let file = folder.data().join("book.sqlite");
    let mut book = AnyConnection::connect(&format!("sqlite://{}?mode=rw", file.display())).await.unwrap();
    let planted = "UPDATE statement_lines SET rounded = '3.000000000', carried_out = '-0.500000000' WHERE rounded = '2.000000000'";
    assert_eq!(sqlx::query(planted).execute(&mut book).await.unwrap().rows_affected(), 1);
    book.close().await.unwrap();
    folder.run(&["audit"]).assert_refused(&["audit"], &["statements_equal_charges"]);
}
