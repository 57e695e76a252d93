//! Supply by hand: who is on and off and why, a cut and its end, power that is kept on.

use kernel::time::DAY;
use wal::clock::Clock;

use crate::harness::{Folder, eventually};
use crate::site::SITE;

const SEEN: &str = "select observed from supply_states where meter = 'L1'";

#[test]
fn a_supply_is_cut_by_hand_stays_cut_whatever_is_paid_and_is_restored_by_hand() {
    let folder = Folder::with_site(SITE);
    let server = folder.serve();
    let seen = |state: &str| eventually(state, || (folder.sql(SEEN) == state).then_some(()));
    seen("closed");
    folder.refused(&["supply", "restore", "L1", "--reason", "x"], &["L1 is closed already"]);
    let said = folder.ok(&["supply", "cut", "L1", "--reason", "works in the riser"]);
    assert!(said.contains("command 1 to open is on its way"), "{said}");
    seen("open");
    folder.ok(&["topup", "lived", "100", "--key", "k-1"]);
    assert_eq!(folder.sql("select opened_for from supply_states where meter = 'L1'"), "manual");
    let listed = folder.ok(&["supply", "list", "lived"]);
    assert!(listed.contains("manual") && !listed.contains("F1"), "{listed}");
    let notice = "select kind from notices where meter = 'L1' order by notice_id desc limit 1";
    eventually("the tenant hears of it", || (folder.sql(notice) == "paid_not_restored").then_some(()));
    folder.refused(&["supply", "cut", "L1", "--reason", "x"], &["command 1 is acknowledged", "under way already"]);
    // Also before the cut is proven.
    folder.ok(&["supply", "restore", "L1", "--reason", "done"]);
    seen("closed");
    let audit = "select actor, detail from book.audit_log where kind = 'relay' order by id limit 1";
    assert_eq!(folder.sql(audit), "tester,command 1 to open is queued");
    folder.refused(&["supply", "approve", "77"], &["no command 77 to open asks for approval", "supply list"]);
    folder.refused(&["supply", "cancel", "1"], &["no command 1 to open waits to be sent"]);
    folder.refused(&["supply", "cut", "X9", "--reason", "x"], &["no meter \"X9\""]);
    folder.refused(&["supply", "release-brake", "block"], &["fleet brake of block is not on"]);
    folder.refused(&["supply", "release-brake", "blok"], &["no site \"blok\"", "block"]);
    assert!(server.terminate().status.success());
    folder.ok(&["audit"]);
}

#[test]
fn power_is_kept_on_until_a_moment_by_a_name_and_a_reason() {
    let folder = Folder::with_site(SITE);
    let day = |days: i64| Clock::live().now().plus(days * DAY).to_string();
    let keep =
        |until: &str, reason: &str| folder.run(&["supply", "keep", "lived", "--until", until, "--reason", reason]);
    keep(&day(-1), "child is ill").assert_refused(&["keep"], &["that is over"]);
    keep(&day(400), "child is ill").assert_refused(&["keep"], &["366 days", "protected"]);
    keep(&day(3), " ").assert_refused(&["keep"], &["without a reason"]);
    folder.refused(&["supply", "unkeep", "lived", "--reason", "x"], &["nobody keeps the power of lived on"]);
    let kept = keep(&day(3), "child is ill");
    assert!(kept.status.success() && kept.text().contains("power is kept on until"), "{kept:?}");
    let kept = keep(&day(9), "child is still ill");
    assert!(kept.status.success(), "{kept:?}");
    let rows = "select reason, actor, stands from kept_supplies order by keep_id";
    assert_eq!(folder.sql(rows), "child is ill,tester,false\nchild is still ill,tester,true");
    // Nothing switches without a server.
    folder.refused(&["supply", "cut", "L1", "--reason", "x"], &["no server controls this folder", "serve"]);
    assert!(folder.ok(&["why", "lived"]).contains("control never decided it"));
    let server = folder.serve();
    let why = eventually("the evaluation", || {
        let why = folder.ok(&["why", "L1"]);
        why.contains("child is still ill").then_some(why)
    });
    assert!(why.contains("not_protected") && why.contains("now"), "{why}");
    folder.ok(&["supply", "unkeep", "lived", "--reason", "well again"]);
    let why = folder.ok(&["why", "lived", "--format", "csv"]);
    let now: Vec<&str> = why.lines().filter(|line| line.starts_with("now,")).collect();
    assert!(now.iter().any(|line| line.contains("not_protected,yes")), "{why}");
    folder.refused(&["why", "nobody"], &["no account \"nobody\""]);
    assert!(server.terminate().status.success());
    folder.ok(&["audit"]);
}
