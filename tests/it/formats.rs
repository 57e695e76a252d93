//! Books of earlier formats, kept as the programs of then left them (`tests/fixtures`): they open, with what they hold.

use std::io::Read as _;

use crate::harness::Folder;

/// The site of these tests with a payment, a bonus, a hold and a request for a refund, written by format 4.
fn format_4() -> Folder {
    let folder = Folder::new();
    let packed =
        std::fs::read(format!("{}/tests/fixtures/format_4/book.sqlite.gz", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let mut book = Vec::new();
    flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut book).unwrap();
    std::fs::create_dir(folder.data()).unwrap();
    std::fs::write(folder.data().join("book.sqlite"), book).unwrap();
    folder
}

#[test]
fn a_book_of_format_4_opens_with_its_data_and_gets_users() {
    let folder = format_4();
    assert_eq!(folder.sql("select value from book.meta where key = 'format_version'"), "5");
    assert_eq!(
        folder.sql("select account, balance, held from balances where held > 0"),
        "paid,95.000000000,10.000000000"
    );
    assert_eq!(folder.sql("select refund_id, state, proposed_by from refunds"), "1,requested,tester");
    assert_eq!(folder.sql("select count(*) from book.audit_log"), "30");
    assert_eq!(folder.sql("select count(*) from users"), "0");
    // Everything goes on as before, by claims ...
    assert!(folder.ok(&["topup", "paid", "100", "--key", "p-4"]).contains("nothing changed"));
    folder.refused(&["refund", "approve", "1"], &["tester asked for refund 1"]);
    folder.ok(&["audit"]);
    // ... until somebody adds the first user.
    let add = ["user", "add", "anna", "--role", "admin,approver", "--password-stdin"];
    assert!(folder.run_as("", "four words of mine", &add).status.success());
    assert!(folder.run_as("", "four words of mine", &["sign-in", "anna", "--password-stdin"]).status.success());
    // Who was behind the claim of then nobody knows: it may have been anna.
    folder.refused(&["refund", "approve", "1"], &["\"tester\"", "was no user of this book then", "ask for it again"]);
    assert!(folder.ok(&["refund", "reject", "1"]).contains("refund 1 is rejected"));
    assert!(folder.ok(&["audit"]).contains("clean"));
}
