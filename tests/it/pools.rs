//! Two shops of one account that pools its tiers, by the real binary.

use crate::harness::Folder;
use crate::site::{SITE, registers};

const SECOND: &str = "[[service_point]]\nname = \"filed/E2\"\nutility = \"electricity\"\naccount = \"filed\"\ntariff = \"power\"\n\
                      [[meter]]\nserial = \"F2\"\nprofile = \"chint-dtsu666\"\nservice_point = \"filed/E2\"\nct = 2\n";

#[test]
fn two_shops_share_their_tiers_from_the_import_to_the_statement() {
    let site = SITE.replace("name = \"filed\"\npolicy", "name = \"filed\"\npooled_tiers = true\npolicy");
    let site = site.replacen("[[account]]\nname = \"homes\"", &format!("{SECOND}[[account]]\nname = \"homes\""), 1);
    let folder = Folder::with_site(&site);
    // One shop after the other: what comes second was used at the same time.
    let first = registers(0, 31 * 96 + 1);
    folder.write("second.csv", &first.replace("\nF1,", "\nF2,"));
    // What comes in two parts meets a state of this month, into which both were installed at its first moment.
    let rows: Vec<&str> = first.lines().collect();
    folder.write("first.csv", &(rows[..1_001].join("\n") + "\n"));
    folder.write("third.csv", &(rows[..1].iter().chain(&rows[1_001..]).copied().collect::<Vec<_>>().join("\n") + "\n"));
    folder.import("second.csv");
    folder.import("first.csv");
    folder.import("third.csv");
    let tiers = "select tier, sum(quantity) from charges where account = 'filed' group by tier order by tier";
    assert_eq!(folder.sql(tiers), "1,260.000\n2,340.000\n3,1780.800");
    let shops = "select service_point, sum(quantity) from charges where tier = 1 group by 1 order by 1";
    // Both use the same; where both are read at one moment, the first meter comes first.
    let rows = folder.sql(shops);
    let [one, two] = rows.lines().collect::<Vec<_>>()[..] else { panic!("{rows}") };
    let kwh = |row: &str| row.rsplit(',').next().unwrap().parse::<f64>().unwrap();
    assert!(one.starts_with("filed/E,") && two.starts_with("filed/E2,"), "{rows}");
    assert!((kwh(one) - kwh(two)).abs() < 1.0, "{rows}");
    let statement = folder.ok(&["statement", "filed", "--month", "2026-01"]);
    for piece in ["electricity, valley          filed/E2", "tier 2", "tier 3"] {
        assert!(statement.contains(piece), "{piece}\n{statement}");
    }
    // The fourth of January is when 260 kWh are used by both together; each by itself would need until the seventh.
    let why = folder.ok(&["explain", "filed", "--day", "2026-01-04"]);
    assert!(why.contains("filed/E2"), "{why}");
    let dates = "select min(local_date) from charges where tier = 2";
    assert_eq!(folder.sql(dates), "2026-01-04");
    let words = ["rerate", "--from", "2026-01-01", "--to", "2026-01-31", "--dry-run"];
    let rerated = folder.ok(&words);
    assert!(rerated.contains("every charge is what its readings cost"), "{rerated}");
    assert!(folder.ok(&["audit"]).contains("clean"));
    // Pooled for ever.
    folder.write("site.toml", &site.replace("pooled_tiers = true\n", ""));
    folder.refused(&["apply", "site.toml"], &["pooled_tiers", "never changes"]);
}
