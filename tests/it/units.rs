//! An account in kWh, by the real binary: what the desk, the tenant, finance and the operator see.

use crate::harness::Folder;
use crate::site::{SITE, registers};

/// The site, with `filed` in kWh at one price; the next one holds from March on.
fn units() -> String {
    let site = SITE.replace("[[account]]\nname = \"filed\"", "[[account]]\nname = \"filed\"\nbalance = \"kWh\"");
    let site = site.replace("account = \"filed\"\ntariff = \"power\"", "account = \"filed\"\ntariff = \"cards\"");
    let tariff = "[[tariff]]\nname = \"cards\"\nutility = \"electricity\"\n[[tariff.version]]\nvalid_from = 2026-01-01\n\
                  price = \"0.5583\"\n[[tariff.version]]\nvalid_from = 2026-03-01\nprice = \"0.70\"\n";
    site.replacen("[[account]]", &format!("{tariff}[[account]]"), 1)
        .replace("[[site]]\n", "[[site]]\nrefund_limit = \"50\"\n")
}

#[test]
fn a_wallet_in_kwh_is_bought_used_shown_and_given_back_in_kwh() {
    let folder = Folder::with_site(&units());
    let sold = folder.ok(&["topup", "filed", "100", "--key", "p"]);
    assert!(sold.contains("(transfer 1), 142.857 kWh at 0.700000 CNY; balance 142.857 kWh"), "{sold}");
    assert!(folder.ok(&["topup", "filed", "100", "--key", "p"]).contains("was posted before (transfer 1, 142.857 kWh"));
    folder.refused(&["topup", "filed", "0.0001", "--key", "q"], &["no sum of money"]);
    // January, which was over before anything was bought: each kWh costs one.
    folder.write("january.csv", &registers(0, 97));
    folder.import("january.csv");
    assert_eq!(
        folder.sql("select amount, currency, price from charges limit 1").split(',').skip(1).collect::<Vec<_>>(),
        ["kWh", "1.000000"]
    );
    let used = folder.sql("select sum(quantity) from charges where account = 'filed'");
    assert_eq!(used, "38.400");
    let balance = folder.ok(&["balance", "filed", "--format", "csv"]);
    assert!(balance.contains("filed,filed,104.457,"), "{balance}");
    assert_eq!(folder.sql("select balance, currency from balances where account = 'filed'"), "104.457000000,kWh");
    // Nobody else used anything, and kWh are no bill.
    folder.write(
        "next.toml",
        "[[tariff]]\nname = \"next\"\nutility = \"electricity\"\ncurrency = \"CNY\"\ntime_zone = \"Asia/Shanghai\"\n\
         [[tariff.version]]\nvalid_from = 2027-01-01\nprice = \"0.95\"\n",
    );
    for (against, said) in [("filed", "filed is kept in kWh"), ("all", "nothing was measured from 2026-01-01")] {
        let words = ["tariff", "simulate", "next.toml", "--against", against, "--last", "1m", "--until", "2026-01"];
        folder.refused(&words, &[said]);
    }
    let why = folder.ok(&["explain", "filed", "--day", "2026-01-01"]);
    assert!(
        why.contains("Asia/Shanghai time, kWh") && why.contains("38.400000000 exactly, 38.40 kWh when shown"),
        "{why}"
    );
    let statement = folder.ok(&["statement", "filed", "--month", "2026-01"]);
    assert!(statement.contains("2026-01, kWh,") && statement.contains("-38.40"), "{statement}");
    // Finance sees money where it came in, and units where they went.
    let trial = folder.ok(&["report", "trial-balance", "--format", "csv"]);
    for row in [
        "kWh,asset,units:electricity,142.857",
        "kWh,income,delivered:electricity,0",
        "CNY,income,revenue:electricity:units,0.0001",
    ] {
        assert!(trial.contains(row), "{row}\n{trial}");
    }
    let held = folder.ok(&["hold", "place", "filed", "4.457", "--key", "h", "--reason", "key card"]);
    assert!(held.contains("set 4.457 of filed aside (hold 1); balance 100.000 kWh"), "{held}");
    folder.refused(&["refund", "filed", "100.001", "--key", "r", "--reason", "left"], &["100.00 is refundable"]);
    // 100 kWh cost 70 CNY, which is above the limit; 50 kWh cost 35.
    let asked = folder.ok(&["refund", "filed", "100", "--key", "r", "--reason", "left"]);
    assert!(asked.contains("refund 1 of 100.000 of filed waits for a second person"), "{asked}");
    folder.ok(&["refund", "reject", "1"]);
    let given = folder.ok(&["refund", "filed", "50", "--key", "r2", "--reason", "left"]);
    assert!(given.contains("refunded 50.000 of filed") && given.contains("balance 50.000 kWh"), "{given}");
    assert_eq!(
        folder.sql("select money, currency, price, quantity, unit, remainder, refunded, state from unit_sales"),
        "100.000000000,CNY,0.700000,142.857,kWh,0.000100000,50.000,sold"
    );
    let month = &folder
        .sql("select cast(local_date as varchar) from site_days where utc_start <= now() and utc_end > now()")[..7];
    let income = folder.ok(&["report", "income", "--month", month, "--format", "csv"]);
    for row in [
        "top-ups,cash,100.000000000,0.000000000,-35.000000000,65.000000000,CNY,2",
        "units sold,electricity,99.999900000",
    ] {
        assert!(income.contains(row), "{row}\n{income}");
    }
    folder.refused(&["reverse", "--payment", "p", "--key", "v", "--reason", "bounced"], &["reverse that refund first"]);
    folder.ok(&["audit"]);
}
