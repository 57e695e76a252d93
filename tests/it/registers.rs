//! Registers changed by command, with and without a server on the folder.

use crate::harness::Folder;
use crate::site::{SITE, registers};

/// What each installation of F1 counted, by its beginning.
const BY_INSTALLATION: &str = "select sum(i.quantity) as used from intervals i where i.meter = 'F1' group by i.epoch_id \
    order by i.epoch_id";
const RETYPE: [&str; 9] =
    ["meter", "retype", "F1", "--ct", "3", "--at", "2026-01-01T01:00:00", "--reason", "new transformers"];

#[test]
fn a_transformer_change_is_entered_beside_a_running_server_and_charged_from_its_moment_on() {
    let folder = Folder::with_site(SITE);
    folder.write("long.csv", &registers(0, 9));
    folder.import("long.csv");
    // 160 counts of 0.01 kWh, twice.
    assert_eq!(folder.sql(BY_INSTALLATION), "3.200");
    let server = folder.serve();
    let dry = folder.ok(&[&RETYPE[..], &["--dry-run"]].concat());
    assert!(
        dry.contains("x3 from 2026-01-01 01:00 +08:00 (new transformers)") && dry.contains("nothing was written"),
        "{dry}"
    );
    assert_eq!(folder.sql(BY_INSTALLATION), "3.200");
    let said = folder.ok(&RETYPE);
    assert!(said.contains("- meter F1: at filed/E until 2026-01-01 01:00 +08:00"), "{said}");
    // 80 counts twice, 80 counts three times.
    assert_eq!(folder.sql(BY_INSTALLATION), "1.600\n2.400");
    let page = folder.ok(&["statement", "filed", "--month", "2026-01", "--format", "html"]);
    assert!(page.contains("× 2") && page.contains("× 3"), "one row for each installation\n{page}");
    let again = folder.ok(&RETYPE);
    assert!(again.contains("nothing to change"), "{again}");
    // The site file of before would undo it.
    folder.refused(&["apply", "site.toml"], &["F1", "multiplier 3 -> 2", "from", "correct", "nothing was changed"]);
    folder.write("site.toml", &SITE.replacen("ct = 2", "ct = 3\nfrom = 2026-01-01T01:00:00", 1));
    assert!(folder.ok(&["apply", "site.toml"]).contains("nothing to change"));
    // The meter L1 is replaced on its bus; its unit is the new one's, and no other meter's.
    let replace = |unit: &'static str, closing: &'static str| {
        let words = ["meter", "replace", "lived/E", "--new-serial", "L9", "--profile", "acrel-adf400l", "--unit", unit];
        [&words[..], &["--closing-count", closing, "--opening-count", "0", "--at", "2026-01-02", "--reason", "broken"]]
            .concat()
    };
    folder.refused(&replace("2", "900"), &["unit", "that of L2 on the same bus"]);
    folder.refused(&replace("300", "900"), &["300"]);
    let said = folder.ok(&replace("1", "900"));
    assert!(
        said.contains("+ meter L9: electricity, acrel-adf400l, 127.0.0.1:15100 unit 1 every 1s (broken)"),
        "{said}"
    );
    assert_eq!(folder.sql("select meter from meters where installed_to is not null"), "L1");
    let audit = "select actor from book.audit_log where subject = 'meter:F1' and detail like '%new transformers%'";
    assert_eq!(folder.sql(audit), "tester\ntester");
    assert!(server.terminate().status.success());
    assert!(folder.ok(&RETYPE).contains("nothing to change"), "opened without the server");
    folder.ok(&["audit"]);
}

#[test]
fn a_register_change_that_cannot_be_is_refused_in_words() {
    let folder = Folder::with_site(SITE);
    folder.write("long.csv", &registers(0, 9));
    folder.import("long.csv");
    let reset = |serial: &'static str, count: &'static str, at: &'static str| {
        ["meter", "reset", serial, "--opening-count", count, "--at", at, "--reason", "began anew"]
    };
    for (words, pieces) in [
        (&reset("F9", "0", "2026-01-01T01:07:00")[..], &["F9", "not in the book"][..]),
        (&reset("W1", "0", "2026-01-01T01:07:00"), &["W1", "has no register"]),
        (&reset("F1", "0", "2025-12-01"), &["begins at 2026-01-01", "give a later moment"]),
        (&reset("F1", "0", "2126-12-01"), &["in the future"]),
        (&reset("F1", "9000", "2026-01-01T01:07:00"), &["opening_count", "is 9000, but the register showed 5084"]),
        (&reset("F1", "-1", "2026-01-01T01:07:00"), &["-1"]),
        (&["meter", "retype", "F1", "--ct", "x", "--at", "2026-01-02", "--reason", "r"], &["--ct is \"x\"", "200/5"]),
    ] {
        folder.refused(words, pieces);
    }
    assert_eq!(folder.sql(BY_INSTALLATION), "3.200");
    folder.ok(&["audit"]);
}
