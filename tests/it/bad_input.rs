//! What is wrong is said, with its place and remedy; the exit code is not 0 and nothing changes.

use std::path::Path;

use sqlx::{AnyConnection, Connection as _};

use crate::harness::{Folder, import_words};
use crate::site::{SITE, registers};

/// What a refused command may not change.
const COUNTS: &str = "select 'readings' as what, count(*) as found from readings \
    union all select 'transfers', count(*) from transfers union all select 'payments', count(*) from payments \
    union all select 'accounts', count(*) from accounts union all select 'meters', count(*) from meters \
    union all select 'service points', count(*) from service_points order by what";

/// A folder with some readings and a payment.
fn living() -> Folder {
    let folder = Folder::with_site(SITE);
    folder.write("long.csv", &registers(0, 200));
    folder.import("long.csv");
    folder.ok(&["topup", "paid", "5", "--key", "first"]);
    folder
}

fn state(folder: &Folder) -> (String, String) {
    (folder.sql(COUNTS), folder.ok(&["balance", "--format", "csv"]))
}

#[test]
fn a_site_file_with_nonsense_is_refused_with_line_key_and_remedy() {
    let folder = living();
    let before = state(&folder);
    let without_f1 = {
        let (head, rest) = SITE.split_once("[[meter]]\nserial = \"F1\"").unwrap();
        let (_, tail) = rest.split_once("[[account]]").unwrap();
        format!("{head}[[account]]{tail}")
    };
    let replaced = |old: &str, new: &str| {
        assert!(SITE.contains(old), "{old}");
        SITE.replacen(old, new, 1)
    };
    for (text, pieces) in [
        (replaced("acrel-adf400l", "acrel-x"), vec!["site.toml:68", "profile", "acrel-x", "acrel-adf400l"]),
        (replaced("[[policy]]", "[[policy"), vec!["site.toml:9", "TOML", "]]"]),
        (replaced("00:00-08:00", "00:00-07:00"), vec!["bands", "07:00 to 08:00", "no band", "give these hours"]),
        (replaced("\"4.20\"", "4.20"), vec!["price", "quotes"]),
        (replaced("\"4.20\"", "\"4.30\""), vec!["changes a published version", "add a [[tariff.version]]", "correct"]),
        (replaced("ct = 2", "ct = 3"), vec!["F1", "from", "correct"]),
        (replaced("Asia/Shanghai", "Asia/Nowhere"), vec!["time_zone", "Asia/Nowhere"]),
        (replaced("tariff = \"water\"", "tariff = \"wine\""), vec!["tariff", "wine"]),
        (replaced("unit = 2", "unit = 1"), vec!["unit"]),
        (replaced("policy = \"plain\"", "polcy = \"plain\""), vec!["polcy"]),
        (without_f1, vec!["F1", "until"]),
        (String::new(), vec!["[[site]]"]),
    ] {
        folder.write("site.toml", &text);
        let said = folder.refused(&["apply", "site.toml"], &pieces);
        assert!(said.contains("nothing was changed"), "{said}");
    }
    folder.refused(&["apply", "no-file.toml"], &["no-file.toml"]);
    assert_eq!(state(&folder), before);
}

#[test]
fn a_file_that_cannot_be_read_as_said_is_refused_whole() {
    let folder = living();
    let before = state(&folder);
    for (name, text, pieces) in [
        ("utf16.csv", "\u{0}m\u{0}e", vec!["utf16.csv"]),
        ("no.parquet", "PAR1 this is none PAR1", vec!["no.parquet", "Parquet", "damaged"]),
        ("header.csv", "meter,time,count\n", vec!["header.csv", "header and no rows"]),
        (
            "zone.csv",
            "meter,time,count\nF1,2026-02-01 00:00,9\n",
            vec!["zone.csv", "row 2", "without zone", "--time-zone"],
        ),
        ("meter.csv", "meter,time,count\nF9,2026-02-01T00:00:00Z,9\n", vec!["nothing imported", "unknown_meter"]),
        ("value.csv", "meter,time,count\nF1,2026-02-01T00:00:00Z,many\n", vec!["nothing imported", "bad_value"]),
        ("empty.csv", "", vec!["empty.csv"]),
    ] {
        folder.write(name, text);
        folder.refused(&import_words(name), &pieces);
    }
    folder.refused(&import_words("nowhere.csv"), &["nowhere.csv", "check the path"]);
    let good = import_words("long.csv");
    let changed = |place: usize, word: &'static str| {
        let mut words = good;
        words[place] = word;
        words
    };
    for (words, pieces) in [
        (changed(9, "m3"), ["F1", "m3"]),
        (changed(9, "furlongs"), ["furlongs", "kWh"]),
        (changed(3, "serial"), ["no column", "\"meter\""]),
        (changed(6, "--usage-column"), ["--time-marks", "start or end"]),
    ] {
        folder.refused(&words, &pieces);
    }
    let nowhere: Vec<&str> = good.into_iter().chain(["--time-zone", "Asia/Nowhere"]).collect();
    folder.refused(&nowhere, &["Asia/Nowhere", "IANA"]);
    assert_eq!(state(&folder), before);
}

#[test]
fn a_data_folder_that_cannot_be_written_is_refused_with_its_remedy() {
    let folder = Folder::new();
    folder.write("site.toml", SITE);
    for words in [&["apply", "site.toml"][..], &["balance"], &["serve"], &["audit"]] {
        let done = folder.run_in(Path::new("/dev/null/x"), words);
        done.assert_refused(words, &["/dev/null/x", "--data-dir"]);
    }
}

#[tokio::test]
async fn a_folder_of_a_newer_version_is_refused_and_left_as_it_is() {
    let folder = living();
    let before = state(&folder);
    sqlx::any::install_default_drivers();
    let file = folder.data().join("book.sqlite");
    let mut book = AnyConnection::connect(&format!("sqlite://{}?mode=rw", file.display())).await.unwrap();
    let (newest,): (String,) =
        sqlx::query_as("SELECT value FROM meta WHERE key = 'format_version'").fetch_one(&mut book).await.unwrap();
    let mut set = async |format: String| {
        let update = sqlx::query("UPDATE meta SET value = $1 WHERE key = 'format_version'").bind(format);
        assert_eq!(update.execute(&mut book).await.unwrap().rows_affected(), 1);
    };
    set("99".to_owned()).await;
    for words in [&["balance"][..], &["apply", "site.toml"], &["serve"], &["topup", "paid", "5", "--key", "second"]] {
        folder.refused(words, &["format 99", &format!("up to {newest}"), "newer meterledger"]);
    }
    set(newest).await;
    book.close().await.unwrap();
    assert_eq!(state(&folder), before);
    folder.ok(&["audit"]);
}

#[test]
fn what_is_no_book_is_refused_and_left_as_it_is() {
    let folder = Folder::new();
    std::fs::create_dir(folder.data()).unwrap();
    let file = folder.data().join("book.sqlite");
    std::fs::write(&file, "somebody's notes\n").unwrap();
    folder.refused(&["balance"], &["book.sqlite", "not a book", "--data-dir"]);
    assert_eq!(std::fs::read(&file).unwrap(), b"somebody's notes\n");
}

#[test]
fn simulating_in_the_place_of_a_real_bus_is_refused() {
    let folder = Folder::with_site(&SITE.replace("127.0.0.1:15100", "192.0.2.7:502"));
    folder.refused(&["serve", "--simulate"], &["--simulate is refused", "L1", "192.0.2.7:502"]);
}
