//! Money beyond the top-up, by the real binary: holds, reversals, refunds, suspense, closed accounts.

use crate::harness::Folder;
use crate::site::{SITE, count, registers};

/// The balance of an account as `balance` shows it, and what is held.
fn balance(folder: &Folder, account: &str) -> (String, String) {
    let text = folder.ok(&["balance", account, "--format", "csv"]);
    let cells: Vec<&str> = text.lines().nth(1).unwrap().split(',').collect();
    let view =
        folder.sql(&format!("select round(balance, 2), round(held, 2) from balances where account = '{account}'"));
    let (shown, held) = (cells[2].to_owned(), cells[7].to_owned());
    assert_eq!(view, format!("{shown},{held}"), "the view and the command agree");
    (shown, held)
}

fn pair(balance: &str, held: &str) -> (String, String) {
    (balance.to_owned(), held.to_owned())
}

/// Debits minus credits of a ledger account.
fn ledger(folder: &Folder, name: &str) -> String {
    folder.sql(&format!("select round(balance, 2) from ledger_accounts where ledger_account = '{name}'"))
}

#[test]
fn money_is_held_taken_refunded_and_reversed_beside_a_running_server_and_without() {
    let folder = Folder::with_site(SITE);
    let server = folder.serve();
    folder.ok(&["topup", "paid", "100", "--key", "p"]);
    let place = ["hold", "place", "paid", "30", "--key", "h", "--reason", "key card"];
    assert!(folder.ok(&place).contains("set 30.00 of paid aside (hold 1); balance 70.00 CNY"));
    assert!(folder.ok(&place).contains("key \"h\" was used before (hold 1); nothing changed"));
    folder.refused(&["hold", "place", "paid", "31", "--key", "h", "--reason", "key card"], &["used for another hold"]);
    folder.refused(&["hold", "place", "paid", "70.01", "--key", "h2", "--reason", "r"], &["has 70.00", "70.01"]);
    folder.refused(&["hold", "capture", "1", "--key", "c", "--amount", "30.01"], &["hold 1 is of 30.00"]);
    folder.refused(&["hold", "release", "9", "--key", "c"], &["no hold 9", "hold list"]);
    assert_eq!(balance(&folder, "paid"), pair("70.00", "30.00"));
    folder.ok(&["hold", "capture", "1", "--key", "c", "--amount", "20"]);
    assert_eq!(balance(&folder, "paid"), pair("80.00", "0.00"));
    assert!(folder.ok(&["hold", "list", "--format", "csv"]).contains("captured"));
    let bonus = ["bonus", "paid", "15", "--key", "b", "--reason", "welcome"];
    assert!(folder.ok(&bonus).contains("balance 95.00 CNY"));
    let refund = ["refund", "paid", "80.01", "--key", "r", "--reason", "left"];
    folder.refused(&refund, &["of account paid 80.00 is refundable", "no bonus"]);
    let asked = folder.ok(&["refund", "paid", "50", "--key", "r", "--reason", "left"]);
    assert!(asked.contains("refund 1 of 50.00 of paid waits for a second person"), "{asked}");
    assert!(folder.ok(&["refund", "list", "--format", "csv"]).contains("requested"));
    folder.refused(&["refund", "approve", "1"], &["tester asked for refund 1", "second person"]);
    assert!(server.terminate().status.success());

    assert!(folder.ok(&["--actor", "head", "refund", "approve", "1"]).contains("refund 1 is paid"));
    assert!(folder.ok(&["refund", "approve", "1"]).contains("nothing changed"));
    folder.refused(&["refund", "reject", "1"], &["is paid already"]);
    assert_eq!(balance(&folder, "paid"), pair("45.00", "0.00"));
    // The deposit goes back, and the payment bounced: an overdraft is recorded.
    folder.ok(&["reverse", "2", "--key", "v1", "--reason", "card returned"]);
    folder.ok(&["reverse", "--payment", "p", "--key", "v2", "--reason", "bounced"]);
    assert_eq!(balance(&folder, "paid"), pair("-35.00", "0.00"));
    folder.refused(&["reverse", "--payment", "p", "--key", "v3", "--reason", "r"], &["reversed already", "once"]);
    folder.refused(&["reverse", "6", "--key", "v3", "--reason", "r"], &["kind reversal", "new key"]);
    folder.refused(&["reverse", "99", "--key", "v3", "--reason", "r"], &["no transfer 99"]);
    folder.refused(&["refund", "paid", "0.01", "--key", "r9", "--reason", "r"], &["0.00 is refundable"]);
    assert_eq!(ledger(&folder, "cash:cash"), "-50.00");
    assert_eq!(folder.sql("select round(sum(balance), 2) from ledger_accounts"), "0.00");
    assert!(folder.ok(&["report", "trial-balance", "--format", "csv"]).contains("wallet:paid"));
    folder.ok(&["audit"]);
}

#[test]
fn a_hold_ends_at_a_moment_that_is_one_and_still_to_come() {
    let folder = Folder::with_site(SITE);
    folder.ok(&["topup", "paid", "10", "--key", "p"]);
    let place = |until: &'static str| ["hold", "place", "paid", "4", "--key", "h", "--reason", "r", "--until", until];
    folder.refused(&place("2020-01-01"), &["has expired already"]);
    folder.refused(&place("soon"), &["--until", "soon", "2026-03-01T12:00"]);
    folder.ok(&place("2999-12-31T12:00"));
    assert_eq!(folder.sql("select expires_at from holds"), "2999-12-31T04:00:00Z", "the site's time");
    assert_eq!(balance(&folder, "paid"), pair("6.00", "4.00"));
    folder.ok(&["audit"]);
}

#[test]
fn money_of_unknown_owners_waits_on_a_list_and_finds_them() {
    let folder = Folder::with_site(SITE);
    let unknown = ["topup", "Mr Li, flat 3", "42.50", "--key", "s", "--channel", "bank", "--suspense"];
    assert!(folder.ok(&unknown).contains("took 42.50 CNY into suspense"));
    assert!(folder.ok(&unknown).contains("nothing changed"));
    folder.refused(&["topup", "paid", "1", "--key", "t", "--suspense"], &["is an account", "leave --suspense out"]);
    folder.refused(&["topup", "paid", "42.50", "--key", "s"], &["used for another suspense"]);
    assert!(folder.ok(&["suspense", "list"]).contains("Mr Li, flat 3"));
    folder.refused(&["suspense", "assign", "x", "paid", "--key", "a"], &["no money in suspense", "suspense list"]);
    folder.refused(&["suspense", "assign", "s", "nobody", "--key", "a"], &["no account \"nobody\""]);
    folder.ok(&["audit"]);
    assert!(folder.ok(&["suspense", "assign", "s", "paid", "--key", "a"]).contains("balance 42.50 CNY"));
    folder.refused(&["suspense", "assign", "s", "filed", "--key", "a2"], &["is assigned"]);
    assert_eq!(folder.sql("select state, account from suspense"), "assigned,paid");
    // It is cash that was paid in.
    folder.ok(&["refund", "paid", "42.50", "--key", "r", "--reason", "not mine"]);
    folder.ok(&["--actor", "head", "refund", "approve", "1"]);
    folder.ok(&["audit"]);
}

#[test]
fn up_to_the_limit_of_the_site_one_person_refunds() {
    let limited = |limit: &str| SITE.replacen("[[site]]\n", &format!("[[site]]\nrefund_limit = \"{limit}\"\n"), 1);
    let folder = Folder::with_site(&limited("20.00"));
    folder.ok(&["topup", "paid", "100", "--key", "p"]);
    assert!(folder.ok(&["refund", "paid", "20", "--key", "a", "--reason", "r"]).contains("refunded 20.00 of paid"));
    assert!(folder.ok(&["refund", "paid", "20.01", "--key", "b", "--reason", "r"]).contains("waits for a second"));
    folder.write("site.toml", &limited("25"));
    assert!(folder.ok(&["apply", "site.toml"]).contains("refund_limit 20.00 -> 25.00"));
    assert!(folder.ok(&["apply", "site.toml"]).contains("nothing to change"));
    assert!(folder.ok(&["refund", "paid", "25", "--key", "c", "--reason", "r"]).contains("refunded 25.00"));
    folder.write("site.toml", &limited("-1"));
    folder.refused(&["apply", "site.toml"], &["refund_limit", "zero or more"]);
    // What was asked for above the balance of by then is not paid.
    folder.ok(&["reverse", "--payment", "p", "--key", "v", "--amount", "50", "--reason", "typed wrongly"]);
    folder.refused(&["--actor", "head", "refund", "approve", "2"], &["5.00 is refundable, 20.01 is more"]);
    assert!(folder.ok(&["refund", "reject", "2"]).contains("refund 2 is rejected"));
    folder.ok(&["audit"]);
}

/// The site with a second tenant for the room of `filed`.
fn two_tenants() -> String {
    SITE.replace("[[account]]\nname = \"homes\"", "[[account]]\nname = \"next\"\n[[account]]\nname = \"homes\"")
}

fn charged(folder: &Folder, account: &str) -> String {
    folder.sql(&format!("select sum(quantity) from charges where account = '{account}'"))
}

#[test]
fn a_tenant_that_changes_at_noon_pays_for_the_morning_whose_readings_come_in_the_evening() {
    let folder = Folder::with_site(&two_tenants());
    // A place is a quarter of an hour: the first file ends at 06:00 of the third day.
    let noon = 96 * 2 + 48;
    folder.write("early.csv", &registers(0, noon - 24));
    folder.import("early.csv");
    let hand_over = ["account", "move", "filed/E", "--from", "filed", "--to", "next", "--at", "2026-01-03T12:00"];
    let said = folder.ok(&hand_over);
    assert!(said.contains("filed pays until") && said.contains("next pays by tariff power"), "{said}");
    assert!(folder.ok(&hand_over).contains("nothing to change"));
    folder.write("late.csv", &registers(noon - 24, 200));
    folder.import("late.csv");
    assert_eq!(charged(&folder, "filed"), used(0, noon));
    assert_eq!(charged(&folder, "next"), used(noon, noon - 24 + 199));
    // Each tenant's page has the registers of the own days only: at the beginning, at noon, at the end.
    for (account, shown, hidden) in
        [("filed", ["50.000 kWh", "98.000 kWh"], "133.000 kWh"), ("next", ["98.000 kWh", "133.000 kWh"], "50.000 kWh")]
    {
        let page = folder.ok(&["statement", account, "--month", "2026-01", "--format", "html"]);
        assert!(shown.iter().all(|count| page.contains(count)) && page.contains("2026-01-03 12:00:00"), "{page}");
        assert!(!page.contains(hidden), "{page}");
    }
    // The file of before would undo it; one that says the same changes nothing.
    folder.refused(&["apply", "site.toml"], &["filed/E", "changes account", "from = ...", "nothing was changed"]);
    let contracts = "[[service_point.contract]]\naccount = \"filed\"\ntariff = \"power\"\nuntil = 2026-01-03T12:00:00\n\
                     [[service_point.contract]]\naccount = \"next\"\ntariff = \"power\"\nfrom = 2026-01-03T12:00:00\n";
    let text = two_tenants().replace("account = \"filed\"\ntariff = \"power\"\n", contracts);
    folder.write("site.toml", &text);
    assert!(folder.ok(&["apply", "site.toml"]).contains("nothing to change"));
    for (words, pieces) in [
        (["filed/E", "filed", "filed"], ["stays with account"].as_slice()),
        (["filed/E", "homes", "next"], &["homes does not pay for filed/E"]),
        (["filed/X", "filed", "next"], &["no service point \"filed/X\""]),
        (["filed/E", "filed", "nobody"], &["no account \"nobody\""]),
    ] {
        let [point, from, to] = words;
        folder.refused(&["account", "move", point, "--from", from, "--to", to, "--at", "2026-01-04"], pieces);
    }
    folder.ok(&["audit"]);
}

/// What the places from one to another used, in kWh.
fn used(from: i64, to: i64) -> String {
    let counts = count(to) - count(from);
    format!("{}.{:03}", counts * 20 / 1_000, counts * 20 % 1_000)
}

#[test]
fn a_closed_account_owes_what_it_used_and_a_late_reading_is_charged_exactly_once() {
    let folder = Folder::with_site(SITE);
    // Fourteen hours are late; their ends are no whole hours, so that the gap alone spreads the energy otherwise over bands.
    let all = registers(0, 200);
    let rows: Vec<&str> = all.lines().skip(1).collect();
    let file = |rows: &[&str]| format!("meter,time,count\n{}\n", rows.join("\n"));
    folder.write("first.csv", &file(&rows[..94]));
    folder.import("first.csv");
    folder.ok(&["topup", "filed", "1", "--key", "p"]);
    // Place 144 is 12:00 of the second day.
    let close = |key: &'static str| ["account", "close", "filed", "--at", "2026-01-02T12:00", "--key", key];
    folder.refused(&close("c"), &["needs a final read", "meter F1 at filed/E", "poll or import"]);
    folder.refused(&["account", "close", "filed", "--at", "2999-01-01", "--key", "c"], &["in the future"]);
    folder.refused(&["account", "close", "filed", "--at", "2025-12-01", "--key", "c"], &["was not open yet"]);
    folder.refused(&["account", "close", "filed", "--at", "noon", "--key", "c"], &["--at", "noon"]);
    folder.refused(&close("p"), &["used for another topup"]);
    folder.write("end.csv", &file(&rows[150..]));
    folder.import("end.csv");
    let said = folder.ok(&close("c"));
    assert!(said.contains("filed is closed with a balance of -") && said.contains("are arrears of filed"), "{said}");
    assert!(folder.ok(&close("c")).contains("filed was closed at 2026-01-02T04:00:00"), "the first result");
    folder.refused(&close("c2"), &["filed is closed since"]);
    folder.refused(&["account", "close", "filed", "--at", "2026-01-03", "--key", "c"], &["used for another closing"]);
    assert_eq!(balance(&folder, "filed"), pair("0.00", "0.00"));
    let owed = |folder: &Folder| {
        let debt = "select round(sum(amount), 9) - 1 from charges where account = 'filed'";
        let found = folder.sql("select balance from ledger_accounts where ledger_account = 'arrears:filed'");
        assert_eq!(folder.sql(debt), found, "charges less the top-up are the arrears");
        found
    };
    let before = owed(&folder);
    folder.ok(&["audit"]);
    // The readings in between come only now: the same energy, spread otherwise over bands.
    folder.write("late.csv", &file(&rows[94..150]));
    folder.import("late.csv");
    folder.import("late.csv");
    assert_ne!(owed(&folder), before);
    assert_eq!(charged(&folder, "filed"), used(0, 144));
    assert_eq!(balance(&folder, "filed"), pair("0.00", "0.00"));
    folder.ok(&["audit"]);
    // What comes in pays the debt first; the rest is the customer's, and refundable.
    folder.ok(&["topup", "filed", "100", "--key", "p2"]);
    assert_eq!(ledger(&folder, "arrears:filed"), "0.00");
    let left = folder.sql("select round(101 - sum(amount), 2) from charges where account = 'filed'");
    assert_eq!(balance(&folder, "filed").0, left);
    folder.refused(&["refund", "filed", "100", "--key", "r", "--reason", "r"], &["is refundable"]);
    folder.ok(&["audit"]);
    // The site file of before does not open it again.
    folder.refused(&["apply", "site.toml"], &["account", "was closed at", "until"]);
    let until = "until = 2026-01-02T12:00:00\n";
    let text = SITE.replacen("name = \"filed\"\n", &format!("name = \"filed\"\n{until}"), 1);
    let text = text.replacen(
        "account = \"filed\"\ntariff = \"power\"\n",
        &format!("account = \"filed\"\ntariff = \"power\"\n{until}"),
        1,
    );
    folder.write("site.toml", &text);
    assert!(folder.ok(&["apply", "site.toml"]).contains("nothing to change"));
}

#[test]
fn a_closed_account_gets_back_its_cash_after_a_second_word_and_keeps_no_open_ends() {
    let folder = Folder::with_site(SITE);
    folder.write("long.csv", &registers(0, 200));
    folder.import("long.csv");
    folder.ok(&["topup", "filed", "200", "--key", "p"]);
    folder.ok(&["bonus", "filed", "7", "--key", "b", "--reason", "welcome"]);
    folder.ok(&["hold", "place", "filed", "5", "--key", "h", "--reason", "key card"]);
    folder.ok(&["refund", "filed", "1", "--key", "r", "--reason", "asked"]);
    let server = folder.serve();
    let close = ["account", "close", "filed", "--at", "2026-01-02T12:00", "--key", "c", "--refund-channel", "bank"];
    folder.refused(&close, &["hold 1", "request 1 for a refund", "release or capture"]);
    folder.ok(&["hold", "release", "1", "--key", "h2"]);
    folder.ok(&["refund", "reject", "1"]);
    let said = folder.ok(&close);
    assert!(said.contains("filed pays until") && said.contains("refund 2 of"), "{said}");
    let cash = folder.sql("select round(200 - sum(amount) - 0.005, 2) from charges where account = 'filed'");
    assert_eq!(folder.sql("select amount from refunds where refund_id = 2"), format!("{cash}0000000"));
    assert!(folder.ok(&["--actor", "head", "refund", "approve", "2"]).contains("is paid"));
    assert_eq!(ledger(&folder, "cash:bank"), format!("-{cash}"));
    // What was given stays, and less than a cent: the one is no cash, the other cannot be paid.
    let left = "select balance >= 7 and balance < 7.01, held from balances where account = 'filed'";
    assert_eq!(folder.sql(left), "true,0.000000000");
    assert_eq!(charged(&folder, "filed"), used(0, 144));
    for words in [
        ["bonus", "filed", "1", "--key", "n", "--reason", "r"].as_slice(),
        &["hold", "place", "filed", "1", "--key", "n", "--reason", "r"],
    ] {
        folder.refused(words, &["account filed is closed"]);
    }
    // Somebody else moves in where it ended.
    folder.ok(&["account", "move", "filed/E", "--from", "filed", "--to", "paid", "--at", "2026-01-02T12:00"]);
    assert_eq!(charged(&folder, "paid"), used(144, 199));
    assert!(server.terminate().status.success());
    folder.ok(&["audit"]);
}
