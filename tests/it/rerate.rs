//! Re-rating by the real binary: a fault planted in the book is shown, repaired and gone.

use kernel::money::Amount;
use sqlx::{AnyConnection, Connection as _};

use crate::harness::Folder;
use crate::site::{SITE, registers};

const SPAN: [&str; 5] = ["rerate", "--from", "2026-01-01", "--to", "2026-02-28"];

fn words<'a>(more: &[&'a str]) -> Vec<&'a str> {
    SPAN.iter().chain(more).copied().collect()
}

fn balance(folder: &Folder) -> Amount {
    Amount::parse(&folder.sql("select balance from balances where account = 'filed'")).unwrap()
}

#[tokio::test]
async fn a_price_that_changed_behind_its_back_is_shown_then_posted_once() {
    let folder = Folder::with_site(SITE);
    folder.write("long.csv", &registers(0, 33 * 96));
    folder.import("long.csv");
    folder.ok(&["topup", "filed", "500", "--key", "p"]);
    assert!(folder.ok(&words(&["--dry-run"])).contains("every charge is what its readings cost"));
    assert!(folder.ok(&words(&["--reason", "a check"])).contains("every charge is what its readings cost"));
    folder.refused(&words(&[]), &["not posted without a reason", "--dry-run"]);
    folder.refused(&words(&["--reason", " "]), &["not posted without a reason"]);
    folder.refused(&words(&["--dry-run", "--account", "file"]), &["no account \"file\"", "filed"]);
    folder.refused(&["rerate", "--from", "2026-02-01", "--to", "2026-01-01", "--dry-run"], &["lies before --from"]);

    let file = folder.data().join("book.sqlite");
    sqlx::any::install_default_drivers();
    let mut book = AnyConnection::connect(&format!("sqlite://{}?mode=rw", file.display())).await.unwrap();
    let planted = "UPDATE tariff_versions SET definition = replace(definition, '608869', '708869')";
    assert_ne!(sqlx::query(planted).execute(&mut book).await.unwrap().rows_affected(), 0);
    book.close().await.unwrap();
    folder.run(&["audit"]).assert_refused(&["audit"], &["prices_recomputed"]);

    let before = balance(&folder);
    let shown = folder.ok(&words(&["--dry-run", "--format", "csv"]));
    let row: Vec<&str> = shown.lines().nth(1).unwrap().split(',').collect();
    let [charged, rated, difference] = [3, 4, 5].map(|place| Amount::parse(row[place]).unwrap());
    assert_eq!((row[0], row[2], rated - charged), ("filed", "filed/E", difference), "{shown}");
    assert!(difference > Amount::ZERO && row[7] == "0.000", "{shown}");
    assert_eq!(balance(&folder), before, "nothing was written");
    assert_eq!(folder.ok(&words(&["--dry-run", "--account", "paid", "--format", "csv"])).lines().count(), 1);

    let server = folder.serve();
    let posted = folder.ok(&words(&["--account", "filed", "--reason", "the price was changed by hand"]));
    assert!(posted.contains("were charged otherwise; posted"), "{posted}");
    assert!(folder.ok(&words(&["--reason", "again"])).contains("every charge is what its readings cost"));
    assert!(server.terminate().status.success());
    assert_eq!(balance(&folder), before - difference);
    assert!(folder.ok(&["audit"]).contains("clean"));
}

#[test]
fn a_statement_in_sql_may_begin_with_a_comment() {
    let folder = Folder::with_site(SITE);
    let asked = ["sql", "-- who\nselect account from accounts order by 1", "--format", "csv"];
    assert_eq!(folder.ok(&asked), "account\nfiled\nhomes\nlived\npaid\n");
}
