//! The same commands while a server has the folder.

use crate::harness::{Folder, import_words};
use crate::site::{SITE, registers};

#[test]
fn while_a_server_runs_every_command_goes_through_it() {
    let folder = Folder::with_site(SITE);
    folder.write("long.csv", &registers(0, 96 * 3));
    let server = folder.serve();
    assert!(folder.data().join("control.sock").exists());
    assert!(folder.ok(&["apply", "site.toml"]).contains("nothing to change"));
    assert!(folder.ok(&import_words("long.csv")).contains("288 accepted"));
    assert_eq!(folder.sql("select count(*) from readings where meter = 'F1'"), "288");
    assert!(folder.ok(&["topup", "paid", "10", "--key", "s"]).contains("balance 10.00 CNY"));
    assert!(folder.ok(&["balance", "--format", "csv"]).contains("paid,paid,10.00"));
    assert!(folder.ok(&["report", "monthly-use", "--month", "2026-01", "--format", "csv"]).contains("filed"));
    folder.ok(&["report", "daily-energy", "--month", "2026-01", "--format", "png", "--output", "day.png"]);
    assert!(std::fs::read(folder.path("day.png")).unwrap().starts_with(b"\x89PNG"));
    assert!(folder.ok(&["explain", "filed", "--day", "2026-01-02"]).contains("7720 -> 7724"));
    assert!(folder.ok(&["report", "--list"]).contains("monthly-use"));
    assert!(folder.ok(&["audit"]).contains("clean"));
    folder.refused(&["topup", "nobody", "10", "--key", "t"], &["no account \"nobody\""]);
    folder.refused(&["sql", "select x"], &["x"]);
    let done = server.terminate();
    assert!(done.status.success(), "{done:?}");
    assert!(!folder.data().join("control.sock").exists());
    assert!(folder.ok(&["balance", "--format", "csv"]).contains("paid,paid,10.00"), "opened without the server");
    folder.ok(&["audit"]);
}

#[test]
fn a_second_server_on_the_folder_is_refused_and_the_first_goes_on() {
    let folder = Folder::with_site(SITE);
    let server = folder.serve();
    folder.refused(&["serve", "--simulate"], &["in use by another meterledger process", "stop it first"]);
    folder.ok(&["topup", "paid", "10", "--key", "s"]);
    assert!(server.terminate().status.success());
}

#[test]
fn a_socket_that_a_kill_left_behind_is_no_obstacle() {
    let folder = Folder::with_site(SITE);
    folder.serve().kill();
    assert!(folder.data().join("control.sock").exists(), "nobody removed it");
    folder.ok(&["topup", "paid", "10", "--key", "s"]);
    let server = folder.serve();
    folder.ok(&["topup", "paid", "10", "--key", "t"]);
    assert_eq!(folder.sql("select balance from balances where account = 'paid'"), "20.000000000");
    assert!(server.terminate().status.success());
}

#[test]
fn a_server_takes_new_meters_and_prices_without_a_restart() {
    let folder = Folder::with_site(SITE);
    let server = folder.serve();
    let more = "[[account]]\nname = \"new\"\n[[service_point]]\nname = \"new/E\"\nutility = \"electricity\"\n\
        account = \"new\"\ntariff = \"power\"\n[[meter]]\nserial = \"N1\"\nprofile = \"chint-dtsu666\"\n\
        service_point = \"new/E\"\n";
    folder.write("site.toml", &format!("{SITE}{more}"));
    assert!(folder.ok(&["apply", "site.toml"]).contains("meter N1"));
    folder.write("new.csv", &registers(0, 100).replace("F1,", "N1,"));
    assert!(folder.import("new.csv").contains("100 accepted"));
    assert_ne!(folder.sql("select count(*) from charges where account = 'new'"), "0");
    assert!(server.terminate().status.success());
    folder.ok(&["audit"]);
}
