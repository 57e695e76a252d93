//! Power failures from a file, by the real binary.

use crate::harness::Folder;
use crate::site::{SITE, registers};

const BY_BAND: &str =
    "select band, sum(quantity) as used from charges where account = 'filed' group by band order by band";

#[test]
fn a_log_of_power_failures_moves_what_was_measured_around_them_and_refused_lines_are_named() {
    let folder = Folder::with_site(SITE);
    // 02:00 to 10:00 without a reading: 8 rounds of 80 counts, twice 0.01 kWh each; two hours before it.
    folder.write("before.csv", &registers(0, 9));
    folder.write("after.csv", &registers(40, 1));
    folder.import("before.csv");
    folder.import("after.csv");
    assert_eq!(folder.sql(BY_BAND), "flat,3.200\nvalley,12.800");
    folder.write(
        "log.csv",
        "\u{feff}Device, Off ,On,note\nF1,2026-01-01T02:30,2026-01-01T09:30,feeder\nF9,2026-01-01T02:30,2026-01-01T09:30,\n\
         F1,2026-01-01T05:00,2026-01-01T04:00,\nF1,soon,2026-01-01T04:00,\nF1\n",
    );
    let import = |file| {
        [
            "outage",
            "import",
            file,
            "--meter-column",
            "Device",
            "--from-column",
            "Off",
            "--to-column",
            "On",
            "--reason",
            "the utility's log",
        ]
    };
    folder.refused(
        &["outage", "import", "log.csv", "--reason", "x"],
        &["no column \"meter\"", "Device, Off, On, note", "--meter-column"],
    );
    let said = folder.run(&import("log.csv"));
    assert!(said.status.success(), "{}", said.text());
    for line in [
        "line 3 (F9, 2026-01-01T02:30 to 2026-01-01T09:30): there is no meter \"F9\"",
        "line 4 (F1, 2026-01-01T05:00 to 2026-01-01T04:00): the outage begins at",
        "line 5 (F1, soon to 2026-01-01T04:00): \"soon\" is no instant",
        "line 6 (F1,  to ): \"\" is no instant",
        "1 outages recorded or known, 4 lines refused",
    ] {
        assert!(said.text().contains(line), "{line}\n{}", said.text());
    }
    // Half an hour on either side of the outage, half of it in each band.
    assert_eq!(folder.sql(BY_BAND), "flat,6.400\nvalley,9.600");
    let outages = "select meter, reason, actor from outages";
    assert_eq!(folder.sql(outages), "F1,the utility's log,tester");
    // Twice is once; a file that says nothing is a failure.
    assert!(folder.run(&import("log.csv")).status.success());
    assert_eq!(folder.sql(outages), "F1,the utility's log,tester");
    folder.write("none.csv", "meter,from,to\nF9,2026-01-01T02:30,2026-01-01T09:30\n");
    folder.refused(
        &["outage", "import", "none.csv", "--reason", "x"],
        &["0 outages recorded or known, 1 lines refused", "says nothing that could be recorded"],
    );
    folder.ok(&["audit"]);
}
