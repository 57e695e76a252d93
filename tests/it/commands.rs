//! Each command alone on its folder.

use crate::harness::Folder;
use crate::site::{SITE, registers};

/// What an import may not change when its file comes a second time.
const COUNTS: &str = "select 'readings' as what, cast(count(*) as varchar) as found from readings \
    union all select 'charges', cast(count(*) as varchar) from charges \
    union all select 'transfers', cast(count(*) as varchar) from transfers \
    union all select 'amounts', cast(sum(amount) as varchar) from transfers \
    union all select 'balances', cast(sum(balance) as varchar) from balances order by what";

#[test]
fn apply_changes_once_and_then_finds_nothing_to_change() {
    let folder = Folder::new();
    for sample in ["mall", "apartments"] {
        let file = format!("{}/data/{sample}.toml", env!("CARGO_MANIFEST_DIR"));
        assert!(folder.ok(&["apply", &file]).contains("things changed"));
        assert!(folder.ok(&["apply", &file]).trim_end().ends_with("nothing to change"));
    }
    assert_eq!(folder.sql("select count(distinct site) from accounts"), "2");
}

#[test]
fn a_dry_run_says_what_would_change_and_writes_nothing() {
    let folder = Folder::with_site(SITE);
    folder.write(
        "site.toml",
        &SITE.replace("4.20\"", "4.20\"\n[[tariff.version]]\nvalid_from = 2027-01-01\nprice = \"5.00\""),
    );
    let before = folder.ok(&["audit"]);
    let would = folder.ok(&["apply", "site.toml", "--dry-run"]);
    assert!(would.contains("5.00") && would.contains("nothing was written"), "{would}");
    assert_eq!(folder.ok(&["audit"]), before, "the audit rows are as many as before");
    assert!(folder.ok(&["apply", "site.toml"]).contains("things changed"));
    assert!(folder.ok(&["apply", "site.toml", "--dry-run"]).contains("nothing to change"));
}

#[test]
fn a_file_of_registers_or_usage_long_or_wide_counts_once_however_often_it_comes() {
    let folder = Folder::with_site(SITE);
    folder.write("long.csv", &registers(0, 500));
    let wide = "time,W1\n2026-02-01 00:00,0.5\n2026-02-01 01:00,0.25\n2026-02-01 02:00,\n";
    folder.write("wide.csv", wide);
    let options = ["--wide", "--time-column", "time", "--usage-column", "--interval", "1h", "--time-marks", "start"];
    let wide: Vec<&str> =
        ["import", "wide.csv"].into_iter().chain(options).chain(["--time-zone", "Asia/Shanghai"]).collect();
    assert!(folder.import("long.csv").contains("500 accepted"));
    assert!(folder.ok(&wide).contains("2 accepted for 1 meters, 1 missing, 0 refused"));
    assert_eq!(folder.sql("select meter, count(*) from readings group by meter order by meter"), "F1,500\nW1,2");
    // 0.75 m3 of water at 4.20.
    assert_eq!(folder.sql("select balance from balances where account = 'homes'"), "-3.150000000");
    let (counts, balances) = (folder.sql(COUNTS), folder.ok(&["balance", "--format", "csv"]));
    folder.import("long.csv");
    folder.ok(&wide);
    assert_eq!(folder.sql(COUNTS), counts);
    assert_eq!(folder.ok(&["balance", "--format", "csv"]), balances);
    folder.ok(&["audit"]);
}

#[test]
fn a_refused_row_is_counted_and_listed_and_the_rest_goes_in() {
    let folder = Folder::with_site(SITE);
    folder.write("some.csv", &(registers(0, 3) + "F9,2026-01-02T00:00:00+08:00,7\nF1,2026-01-02T00:00:00+08:00,x\n"));
    let said = folder.import("some.csv");
    assert!(said.contains("3 accepted") && said.contains("2 refused"), "{said}");
    let listed = std::fs::read_dir(folder.data().join("refused")).unwrap().next().unwrap().unwrap();
    let listed = std::fs::read_to_string(listed.path()).unwrap();
    assert!(listed.contains("F9") && listed.contains('x'), "{listed}");
}

#[test]
fn a_key_posts_one_payment_for_ever() {
    let folder = Folder::with_site(SITE);
    assert!(folder.ok(&["topup", "paid", "99.50", "--key", "k-1"]).contains("balance 99.50 CNY"));
    assert!(folder.ok(&["topup", "paid", "99.50", "--key", "k-1"]).contains("nothing changed"));
    for (account, amount) in [("paid", "99.51"), ("filed", "99.50")] {
        folder.refused(&["topup", account, amount, "--key", "k-1"], &["k-1", "new key"]);
    }
    for amount in ["-5", "0", "1.005", "ten"] {
        folder.refused(&["topup", "--key", "k-2", "paid", "--", amount], &["amount"]);
    }
    folder.refused(&["topup", "pai", "1", "--key", "k-2"], &["no account \"pai\"", "did you mean paid?"]);
    assert_eq!(folder.sql("select payment_key, account, amount, state from payments"), "k-1,paid,99.500000000,posted");
    assert_eq!(folder.sql("select count(*), sum(amount) from transfers where kind = 'topup'"), "1,99.500000000");
    let balance = folder.ok(&["balance", "paid", "--format", "csv"]);
    assert!(
        balance.starts_with("account,holder,balance,") && balance.contains("\npaid,paid,99.50,0.00,CNY,"),
        "{balance}"
    );
    folder.ok(&["audit"]);
}

#[test]
fn every_report_comes_as_a_table_csv_json_and_picture() {
    let folder = Folder::with_site(SITE);
    folder.write("long.csv", &registers(0, 96 * 40));
    folder.import("long.csv");
    folder.ok(&["topup", "filed", "500", "--key", "a"]);
    let listed = folder.ok(&["report", "--list"]);
    let names: Vec<&str> = listed.lines().skip(2).filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.len() >= 8 && names.contains(&"monthly-use"), "{listed}");
    for name in &names {
        let table = folder.ok(&["report", name, "--month", "2026-01"]);
        assert!(!table.trim().is_empty(), "{name}");
    }
    let csv = folder.ok(&["report", "monthly-use", "--month", "2026-01", "--format", "csv"]);
    assert!(csv.lines().count() >= 2 && csv.contains("filed"), "{csv}");
    let json = folder.ok(&["report", "monthly-use", "--from", "2026-01-01", "--to", "2026-01-31", "--format", "json"]);
    assert!(json.trim_start().starts_with(['[', '{']) && json.contains("\"filed\""), "{json}");
    for (format, head) in [("png", &b"\x89PNG"[..]), ("svg", b"<svg"), ("csv", b"")] {
        let file = format!("picture.{format}");
        let said = folder.ok(&["report", "daily-energy", "--month", "2026-01", "--format", format, "--output", &file]);
        assert_eq!(said, "", "all goes to the file");
        assert!(std::fs::read(folder.path(&file)).unwrap().starts_with(head), "{format}");
    }
    folder.refused(&["report", "nonsense"], &["nonsense"]);
    folder.refused(&["report", "daily-energy", "--month", "2026-13"], &["2026-13"]);
}

#[test]
fn sql_answers_in_three_formats_and_refuses_to_write() {
    let folder = Folder::with_site(SITE);
    let ask = |format| folder.ok(&["sql", "select account from accounts order by account", "--format", format]);
    assert_eq!(ask("csv").trim_end(), "account\nfiled\nhomes\nlived\npaid");
    assert!(ask("json").contains("\"homes\""));
    assert!(ask("table").contains("lived"));
    folder.refused(&["sql", "select nothing from accounts"], &["nothing"]);
    for statement in ["drop table readings", "insert into accounts values (1)", "create table x (y int)"] {
        folder.refused(&["sql", statement], &[]);
    }
}

#[test]
fn explain_goes_down_to_counts_multiplier_band_tier_and_tariff_version() {
    let folder = Folder::with_site(SITE);
    folder.write("long.csv", &registers(0, 96 * 3));
    folder.import("long.csv");
    let told = folder.ok(&["explain", "filed", "--day", "2026-01-02"]);
    let line = told.lines().find(|line| line.contains("  2026-01-02 10:00:00  2026-01-02 10:15:00")).unwrap();
    let cells: Vec<&str> = line.split_whitespace().collect();
    // Place 136 of the series: 7,720 counts; a count is 0.01 kWh, and the CT makes it 0.02.
    for cell in [
        "filed/E",
        "F1",
        "7720",
        "7724",
        "0.020",
        "0.080",
        "kWh",
        "peak",
        "1",
        "power",
        "1.028969",
        "0.082317520",
        "measured",
    ] {
        assert!(cells.contains(&cell), "{cell} in {line}");
    }
    assert!(cells.contains(&"2026-01-01"), "the tariff's version: {line}");
    assert!(folder.ok(&["explain", "filed", "--day", "2025-06-01"]).contains("no energy was charged"));
    folder.refused(&["explain", "filed", "--day", "yesterday"], &["yesterday", "2026-03-01"]);
}

#[test]
fn findings_are_listed_most_severe_first_and_acknowledged_with_a_reason_that_is_audited() {
    let folder = Folder::with_site(SITE);
    let mut text = registers(0, 30);
    // Three hours are missing.
    text = text
        .lines()
        .enumerate()
        .filter(|(line, _)| !(10..22).contains(line))
        .map(|(_, line)| format!("{line}\n"))
        .collect();
    folder.write("holes.csv", &text);
    folder.import("holes.csv");
    assert!(folder.ok(&["quality"]).contains("nothing to look at"));
    let all = folder.ok(&["quality", "--state", "all", "--format", "csv"]);
    let gap: Vec<&str> = all.lines().nth(1).unwrap().split(',').collect();
    assert_eq!(gap[..4], ["info", "ended", "gap", "F1"], "{all}");
    assert!(gap[8].contains("a reading at least every 2 h"), "{all}");
    let ack = ["quality", "ack", "gap", "F1", "--from", gap[5], "--reason", "the line was cut"];
    assert!(folder.ok(&ack).contains("acknowledged: gap of F1"));
    assert!(folder.ok(&ack).contains("acknowledged already"));
    assert!(folder.ok(&["quality", "--state", "acknowledged", "--meter", "F1"]).contains("gap"));
    let audited = "select actor, detail from book.audit_log where kind = 'quality'";
    assert!(folder.sql(audited).starts_with("tester,"), "{}", folder.sql(audited));
    folder.refused(
        &["quality", "ack", "stuck", "F1", "--from", gap[5], "--reason", "x"],
        &["no stuck of F1", "quality --state all"],
    );
    folder.refused(&["quality", "ack", "gap", "F9", "--from", gap[5], "--reason", "x"], &["no meter", "F9"]);
    folder.refused(&["quality", "ack", "gap", "F1", "--from", "noon", "--reason", "x"], &["is no time"]);
    folder.refused(&["quality", "ack", "gap", "F1", "--from", gap[5], "--reason", " "], &["--reason"]);
    folder.ok(&["audit"]);
}
