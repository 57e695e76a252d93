//! An audit that finds nothing proves something only if it finds what was planted.

use sqlx::{AnyConnection, Connection as _};

use crate::harness::Folder;
use crate::site::{SITE, registers};

#[tokio::test]
async fn an_audit_names_what_was_changed_behind_its_back() {
    let folder = Folder::with_site(SITE);
    folder.write("long.csv", &registers(0, 300));
    folder.import("long.csv");
    folder.ok(&["topup", "paid", "5", "--key", "first"]);
    folder.ok(&["hold", "place", "paid", "1", "--key", "h", "--reason", "key card"]);
    folder.ok(&["topup", "somebody", "3", "--key", "s", "--suspense"]);
    assert!(folder.ok(&["audit"]).contains("clean"));
    let file = folder.data().join("book.sqlite");
    let kept = std::fs::read(&file).unwrap();
    sqlx::any::install_default_drivers();
    for (planted, found) in [
        ("UPDATE transfers SET amount = '6.000000000' WHERE kind = 'topup'", "payments_have_one_transfer"),
        ("DELETE FROM transfers WHERE kind = 'usage'", "usage_transfers_equal_their_lines"),
        ("UPDATE holds SET ended_at = 1", "holds_end_once"),
        ("DELETE FROM money_keys", "keys_have_one_result"),
        ("UPDATE suspense SET amount = '3.000000001'", "suspense_equals_its_list"),
        ("UPDATE lake_files SET row_count = row_count + 1", "lake_files_hold_their_rows"),
        ("UPDATE audit_log SET actor = 'nobody' WHERE id = 2", "hash_chain"),
    ] {
        let mut book = AnyConnection::connect(&format!("sqlite://{}?mode=rw", file.display())).await.unwrap();
        let changed = sqlx::query(planted).execute(&mut book).await.unwrap().rows_affected();
        book.close().await.unwrap();
        assert_ne!(changed, 0, "{planted}");
        let done = folder.run(&["audit"]);
        done.assert_refused(&["audit"], &["found something"]);
        let row = done.text().lines().find(|line| line.starts_with(found)).unwrap_or_default().to_owned();
        assert_ne!(row.split_whitespace().nth(1), Some("0"), "{planted}: {}", done.text());
        std::fs::write(&file, &kept).unwrap();
    }
    assert!(folder.ok(&["audit"]).contains("clean"));
}
