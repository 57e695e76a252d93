//! Months that are reviewed, closed, adjusted and stated, and readings that people correct, by the real binary.

use crate::harness::Folder;
use crate::site::{SITE, count, registers, wall};

/// The place of the first quarter of an hour of February, and of one in January where the price changes.
const FEBRUARY: i64 = 31 * 96;
const LATE: i64 = 10 * 96 + 32;
/// Places that are corrected: one in the closed month, one after it.
const WRONG: i64 = 20 * 96 + 32;
const DOUBTED: i64 = FEBRUARY + 48;

/// The site with its one account that is read from files, and one more.
fn site() -> String {
    SITE.split("[[account]]\nname = \"homes\"").next().unwrap().to_owned() + "[[account]]\nname = \"next\"\n"
}

/// A file of some of F1's readings.
fn file(places: impl Iterator<Item = i64>) -> String {
    let rows: Vec<String> = places.map(|place| format!("F1,{},{}", wall(place), count(place))).collect();
    format!("meter,time,count\n{}\n", rows.join("\n"))
}

fn import(folder: &Folder, name: &str, text: &str) {
    folder.write(name, text);
    folder.import(name);
}

fn balance(folder: &Folder) -> String {
    folder.sql("select balance from balances where account = 'filed'")
}

/// What the account has used, as charges say.
fn cost(folder: &Folder) -> String {
    folder.sql("select sum(amount) from charges where account = 'filed'")
}

#[test]
fn a_closed_month_changes_only_by_what_another_person_approves() {
    let folder = Folder::with_site(&site());
    let period = |action: &'static str| ["period", action, "--month", "2026-01"];
    import(&folder, "early.csv", &file((0..2_900).filter(|place| *place != LATE)));
    folder.ok(&["topup", "filed", "500", "--key", "p"]);
    assert!(folder.ok(&period("review")).contains("block: 2026-01 is in review"));
    folder.refused(&period("close"), &["block: not read beyond the end of 2026-01", "F1", "nothing was changed"]);
    import(&folder, "rest.csv", &file((2_900..FEBRUARY + 96).filter(|place| *place != DOUBTED)));
    assert!(folder.ok(&period("close")).contains("block: 2026-01 is closed"));
    folder.refused(&period("close"), &["2026-01 is closed already"]);
    assert!(folder.ok(&["period", "list", "--format", "csv"]).contains("closed"));
    let january = ["statement", "filed", "--month", "2026-01"];
    let stated = folder.ok(&january);
    for piece in ["statement 1, closed", "opening balance", "electricity, peak", "closing balance", "explain filed"] {
        assert!(stated.contains(piece), "{piece}\n{stated}");
    }

    // A reading of the closed month comes late: nothing is charged before a person has approved it.
    let before = balance(&folder);
    import(&folder, "late.csv", &file(LATE..=LATE));
    let listed = folder.ok(&["adjustment", "list", "--format", "csv"]);
    assert!(listed.contains("filed,electricity,2026-01-01,pending,late"), "{listed}");
    assert!(folder.ok(&["adjustment", "list", "--lines", "1", "--format", "csv"]).lines().count() > 2);
    assert_eq!(balance(&folder), before);
    folder.ok(&["audit"]);
    // Nobody leaves within it, or while it waits.
    let leave = |at: &'static str| ["account", "close", "filed", "--at", at, "--key", "c"];
    folder.refused(&leave("2026-01-20"), &["that month is closed", "period reopen"]);
    folder.refused(&leave("2026-02-01T12:00"), &["filed has adjustment 1", "approve or reject it"]);
    let hand_over = ["account", "move", "filed/E", "--from", "filed", "--to", "next", "--at", "2026-01-20"];
    folder.refused(&hand_over, &["closed at service point filed/E", "period reopen"]);
    folder.refused(&["adjustment", "approve", "1", "--reason", " "], &["needs a reason"]);
    let server = folder.serve();
    let approved = folder.ok(&["adjustment", "approve", "1", "--reason", "seen"]);
    assert!(approved.contains("for electricity of 2026-01: posted"), "{approved}");
    assert_ne!(balance(&folder), before);
    folder.refused(&["adjustment", "approve", "1", "--reason", "again"], &["adjustment 1 is approved"]);

    // A person corrects a reading of the closed month: it takes another one to approve what that changes.
    let (at, register) = (wall(WRONG), (count(WRONG) + 4).to_string());
    let correct = ["readings", "correct", "F1", "--at", &at, "--register", &register, "--reason", "read by hand"];
    let said = folder.ok(&correct);
    assert!(said.contains("correction 1, accepted") && said.contains("wait for another person"), "{said}");
    folder.refused(&["adjustment", "approve", "2", "--reason", "mine"], &["tester proposed", "another person"]);
    folder.ok(&["--actor", "head", "adjustment", "approve", "2", "--reason", "seen"]);
    let decided = "select decided_by, cause from adjustments order by adjustment_id";
    assert_eq!(folder.sql(decided), "tester,late\nhead,correction");
    assert!(server.terminate().status.success());

    // What was stated stays; the difference stands in the statement of the month of its approval.
    assert_eq!(folder.ok(&january), stated);
    let month = folder.sql("select substr(cast(min(posted_date) as varchar), 1, 7) from adjustments");
    let now = folder.ok(&["statement", "filed", "--month", &month]);
    assert!(now.contains("correction of 2026-01") && now.contains("not closed yet"), "{now}");
    folder.refused(&["period", "reopen", "--month", "2026-02", "--reason", "r"], &["2026-02 is not closed"]);
    folder.ok(&["audit"]);
    folder.ok(&["period", "reopen", "--month", "2026-01", "--reason", "a meter was mixed up"]);
    assert!(folder.ok(&january).contains("not closed yet"));
    folder.ok(&["audit"]);
}

#[test]
fn a_correction_ends_a_conflict_whatever_comes_after_it() {
    let folder = Folder::with_site(&site());
    import(&folder, "all.csv", &registers(0, FEBRUARY + 96));
    let expected = cost(&folder);
    let other = format!("meter,time,count\nF1,{},{}\n", wall(DOUBTED), count(DOUBTED) + 3);
    import(&folder, "other.csv", &other);
    assert_ne!(cost(&folder), expected, "both values are held");
    let at = wall(DOUBTED);
    let show = ["readings", "show", "F1", "--at", &at, "--format", "csv"];
    assert_eq!(folder.ok(&show).matches("conflict").count(), 2);
    let register = count(DOUBTED).to_string();
    let correct = ["readings", "correct", "F1", "--at", &at, "--register", &register, "--reason", "read by hand"];
    assert!(folder.ok(&correct).contains("correction 1, accepted"));
    folder.import("other.csv");
    assert_eq!(cost(&folder), expected);
    let shown = folder.ok(&show);
    assert!(shown.contains("superseded") && shown.contains("read by hand") && !shown.contains("conflict"), "{shown}");
    let listed = folder.ok(&["readings", "list", "F1", "--from", &at, "--to", &at, "--format", "csv"]);
    assert_eq!(listed.matches("accepted").count(), 1, "{listed}");
    // Said again nothing changes; with nothing said at all it is refused.
    assert!(folder.ok(&correct).contains("correction 1, accepted"));
    folder.refused(&["readings", "correct", "F1", "--at", &at, "--reason", "r"], &["--register"]);
    folder.refused(&["readings", "correct", "X9", "--at", &at, "--void", "--reason", "r"], &["no meter \"X9\""]);
    folder.ok(&["audit"]);
}
