//! Nonsense, one line each, and what is said about it.

use super::parse;
use super::tests::{NOW, SMALL, edited, plan_of, shown};
use crate::registry::Registry;

fn faults(text: &str) -> String {
    shown(&plan_of(text, &Registry::default(), NOW).err().unwrap_or_default())
}

#[test]
fn nonsense_is_refused_with_file_line_key_and_remedy() {
    for (old, new, expected) in [
        // The shape of the file.
        ("[[policy]]", "[[policy]", "site.toml:13: TOML: "),
        (
            "title = \"Brick Yard\"",
            "titel = \"Brick Yard\"",
            "site.toml:3: site \"yard\".titel: is not a key of this table; remove it, or write one of: adjustment_limit, calendar, correct, currency",
        ),
        (
            "opening_count = 100",
            "signed = true\nmodulus = 1000",
            "meter \"E-1\".modulus: stands beside `signed`: a register that counts down",
        ),
        ("price = \"2.10\"", "price = \"2.10\"\nreverse = \"sell\"", "reverse: is \"sell\"; write \"ignore\" or"),
        ("title = \"Brick Yard\"", "rounding = \"down\"", "site \"yard\".rounding: is \"down\"; write \"half-up\" or"),
        ("[[calendar]]", "[[kalender]]", "site.toml:9: kalender: is not a key"),
        (
            "unit = 1",
            "unit = \"1\"",
            "site.toml:78: meter \"E-1\".unit: is the text \"1\"; write a whole number from 1 to 247",
        ),
        ("unit = 1", "unit = 300", "meter \"E-1\".unit: is the number 300; write a whole number from 1 to 247"),
        (
            "holidays = [2026-12-25,",
            "holidays = [\"2026-12-25\",",
            "site.toml:11: calendar \"de\".holidays: holds the text \"2026-12-25\"; write dates",
        ),
        ("name = \"jones\"", "name = \" \"", "account \" \".name: is empty"),
        // Sites, names, references.
        (
            "time_zone = \"Europe/Berlin\"",
            "time_zone = \"Berlin\"",
            "site \"yard\".time_zone: is \"Berlin\", which the zone database does not have; write an IANA name",
        ),
        ("currency = \"EUR\"", "currency = \"euro\"", "write an ISO 4217 code"),
        (
            "calendar = \"de\"",
            "calendar = \"fr\"",
            "site \"yard\".calendar: is \"fr\", which neither this file nor the book has",
        ),
        (
            "name = \"jones\"",
            "name = \"smith\"",
            "site.toml:53: account \"smith\".name: names account \"smith\" again (first in line 45)",
        ),
        (
            "serial = \"W-1\"",
            "serial = \"W-1\"\nparent = \"W-0\"",
            "meter \"W-1\".parent: is \"W-0\", which the file has no [[meter]] for; add that meter",
        ),
        (
            "serial = \"W-1\"",
            "serial = \"W-1\"\nparent = \"E-1\"",
            "meter \"W-1\".parent: is \"E-1\", which measures electricity; name a meter of the same utility",
        ),
        (
            "serial = \"W-1\"",
            "serial = \"W-1\"\nparent = \"W-1\"",
            "meter \"W-1\".parent: is \"W-1\", and so W-1 would be above itself; leave out",
        ),
        ("serial = \"W-1\"", "serial = \"E-1\"", "names meter \"E-1\" again (first in line 70)"),
        ("policy = \"standard\"", "policy = \"hard\"", "account \"smith\".policy: is \"hard\", which neither"),
        (
            "location = \"hall\"\ncredit",
            "location = \"mall\"\ncredit",
            "account \"smith\".location: is \"mall\", which the site has no [[location]] for",
        ),
        (
            "account = \"smith\"\ntariff = \"power\"",
            "account = \"smyth\"\ntariff = \"power\"",
            "service_point \"hall/E\".account: is \"smyth\"",
        ),
        (
            "account = \"smith\"\ntariff = \"power\"",
            "account = \"smith\"\ntariff = \"water\"",
            "service_point \"hall/E\".tariff: prices water, but the service point is for electricity",
        ),
        (
            "levels = [\"20.00\", \"5.00\"]",
            "levels = \"20.00\"",
            "site.toml:15: policy \"standard\".levels: is no list; write [\"50.00\"]",
        ),
        // Prices and hours.
        (
            "price = \"2.10\"",
            "price = 2.10",
            "site.toml:38: tariff \"water\".version 2026-01-01.price: is a float (2.10), which is not exact; write it in quotes: \"2.10\"",
        ),
        ("price = \"2.10\"", "price = \"2,10\"", "is the text \"2,10\"; write a price with at most 6 places"),
        ("peak = \"0.40\", ", "", "has hours in band peak, but no price for it; write `peak = \"...\"`"),
        (
            "flat = \"0.30\" }",
            "flat = \"0.30\", valley = \"0.1\" }",
            "gives a price for valley, but no hour is in that band",
        ),
        (
            "[\"20:00-08:00\"]",
            "[\"20:00-07:30\"]",
            "site.toml:25: tariff \"power\".version 2026-01-01.season.bands: 07:30 to 08:00 on workdays of the year has no band; give these hours to a band",
        ),
        (
            "[\"20:00-08:00\"]",
            "[\"19:30-08:00\"]",
            "19:30 to 20:00 on workdays of the year is in two bands (peak and flat)",
        ),
        ("[\"20:00-08:00\"]", "[\"8pm-8am\"]", "holds the text \"8pm-8am\"; write hours such as \"08:00-12:00\""),
        ("days = [\"workday\"]", "days = [\"workday\"]\nfrom = \"07-01\"\nto = \"07-31\"", ""),
        (
            "[[tariff.version.season]]\nbands = { flat",
            "[[tariff.version.season]]\nfrom = \"01-01\"\nto = \"06-30\"\nbands = { flat",
            "weekends from 07-01 to 12-31 are in no season; add a [[tariff.version.season]] for them",
        ),
        ("surcharge = [\"0\", \"0.051\"]", "surcharge = [\"0.051\"]", "has 1 entries, but 1 bounds make 2 tiers"),
        ("bounds = [\"1000\"]", "bounds = [\"-5\"]", "has bounds that do not ascend from above zero"),
        // Times.
        (
            "valid_from = 2026-07-01T00:07:00",
            "valid_from = 2026-03-29T02:30:00",
            "is 2026-03-29T02:30:00, which does not exist: the clocks skip it; write it with its offset",
        ),
        ("valid_from = 2026-07-01T00:07:00", "valid_from = 2026-10-25T02:30:00", "comes twice: the clocks go back"),
        (
            "valid_from = 2026-07-01T00:07:00",
            "valid_from = \"2026-07-01\"",
            "write a date such as 2026-03-01 or 2026-03-01T12:00:00, without quotes",
        ),
        ("poll = \"10s\"", "poll = \"fast\"", "write \"10s\", \"5m\" or \"1h\""),
        // Meters.
        (
            "profile = \"acrel-dtsy1352\"",
            "profile = \"acrel\"",
            "site.toml:72: meter \"E-1\".profile: is \"acrel\", which is not a known profile; write one of: acrel-adf400l, acrel-dtsy1352",
        ),
        (
            "profile = \"acrel-dtsy1352\"",
            "profile = \"eastron-sdm630\"",
            "site.toml:74: meter \"E-1\".ct: multiplies by 40, but the register of eastron-sdm630 is primary already",
        ),
        (
            "profile = \"acrel-dtsy1352\"",
            "profile = \"xintai-valve-water\"",
            "measures water, but \"hall/E\" is for electricity",
        ),
        (
            "kind = \"usage\"\nservice_point = \"hall/W\"",
            "kind = \"usage\"\nservice_point = \"hall/E\"",
            "meters E-1 and W-1 are both at hall/E at once",
        ),
        (
            "kind = \"usage\"\nservice_point = \"hall/W\"",
            "service_point = \"hall/W\"\nprofile = \"xintai-valve-water\"\nbus = \"127.0.0.1:1502\"\nunit = 1",
            "is 1, which E-1 has on 127.0.0.1:1502 already",
        ),
        ("ct = \"200/5\"", "ct = 40.0", "is a float (40.0), which is not exact"),
        ("ct = \"200/5\"", "ct = 0", "is the number 0; write a ratio such as 40"),
        ("rating = \"75 kW\"", "rating = \"75 m3/h\"", "is \"75 m3/h\"; write a rating such as \"75 kW\""),
        ("bus = \"127.0.0.1:1502\"", "bus = \"127.0.0.1\"", "write HOST:PORT"),
        ("ct = \"200/5\"", "ct = \"200/5\"\ncorrect = true", "has no reason; write `reason"),
        ("ct = \"200/5\"", "ct = \"200/5\"\nclosing_count = 5", "closing_count: stands without `until`"),
        ("opening_count = 100", "opening_count = 100000000", "is 100000000, but the register wraps at 100000000"),
    ] {
        let found = faults(&edited(old, new));
        assert!(if expected.is_empty() { found.is_empty() } else { found.contains(expected) }, "{new}\n{found}");
    }
}

#[test]
fn all_faults_of_a_file_are_told_at_once_in_the_order_of_its_lines() {
    let text = edited("unit = 1", "unit = 0").replace("price = \"2.10\"", "price = 2.10").replace("EUR", "E");
    let found = parse(&text, "site.toml").unwrap_err();
    let lines: Vec<usize> = found.iter().map(|fault| fault.line).collect();
    assert_eq!(lines, [5, 38, 78], "{}", shown(&found));
}

#[test]
fn a_time_without_zone_is_refused_where_no_site_gives_one() {
    let second = "[[site]]\nname = \"other\"\ntime_zone = \"UTC\"\ncurrency = \"EUR\"\n";
    let found = faults(&format!("{SMALL}\n{second}"));
    assert!(found.contains("valid_from: is 2026-01-01, a time without zone; write its offset"), "{found}");
    assert!(found.contains("account \"smith\".site: is missing, and the file has several sites"), "{found}");
}

#[test]
fn a_file_without_a_site_is_refused() {
    assert!(faults("").contains("site.toml:1: site: is missing; write [[site]] with name, time_zone and currency"));
}

/// The keys of tiers, households, series and named dates.
#[test]
fn nonsense_in_tiers_series_and_calendars_is_refused_with_its_remedy() {
    let period = "period = \"annual\", reset = \"07-01\"";
    let bounds = "bounds = [\"1000\"]";
    let contract = "account = \"smith\"\ntariff = \"power\"";
    for (old, new, expected) in [
        (period, "period = \"weekly\"", "tiers.period: is \"weekly\"; write \"monthly\", \"annual\" or \"cycle\""),
        (period, "period = \"cycle\"", "tiers.day: is missing; write the day of the month on which the cycle begins"),
        (period, "period = \"cycle\", day = 29", "tiers.day: is the number 29; write a whole number from 1 to 28"),
        (period, "period = \"cycle\", day = 12", ""),
        (period, "period = \"monthly\", day = 5", "tiers.day: stands beside monthly tiers"),
        (period, "period = \"annual\", day = 5", "tiers.day: stands beside annual tiers"),
        (
            bounds,
            "bounds = [\"1000\"], seasons = [{ from = \"05-01\", to = \"10-31\", bounds = [] }]",
            "has bounds in season 1 that do not ascend, or not as many as `bounds`",
        ),
        (bounds, "bounds = [\"1000\"], seasons = [{ from = \"05-01\" }]", "tiers.seasons.to: is missing"),
        (
            bounds,
            "bounds = [\"1000\"], persons = { from = 5 }",
            "tiers.persons: needs `adder` and one of `from` and `above`",
        ),
        (bounds, "bounds = [\"1000\"], persons = { above = 4, adder = \"30\" }, households = true", ""),
        (bounds, "bounds = [\"1000\"], households = 3", "tiers.households: is the number 3; write true or false"),
        (bounds, "bounds = [\"1000\"], allowance = \"-1\"", "adds less than nothing to them; put them in order"),
        (
            contract,
            "account = \"smith\"\npersons = 0\ntariff = \"power\"",
            "persons: is the number 0; write a whole number",
        ),
        (contract, "account = \"smith\"\npersons = 5\nhouseholds = 2\ntariff = \"power\"", ""),
        (
            "price = \"2.10\"",
            "dynamic = { file = \"hours.csv\" }",
            "dynamic.file: is \"hours.csv\", which did not come with the site file; correct the name",
        ),
        (
            "[[policy]]",
            "[[tariff]]\nfile = \"other.toml\"\n[[policy]]",
            "tariff.file: is \"other.toml\", which did not come",
        ),
        (
            "holidays = [2026-12-25",
            "named = { holiday = [2026-12-24] }\nholidays = [2026-12-25",
            "is \"holiday\"; write a short name that is not a day type",
        ),
        ("holidays = [2026-12-25", "until = 2027\nholidays = [2026-12-25", "until: is the number 2027; write a date"),
    ] {
        let found = faults(&edited(old, new));
        assert!(if expected.is_empty() { found.is_empty() } else { found.contains(expected) }, "{new}\n{found}");
    }
}

/// What a tariff asks of a calendar is known only where a contract brings both together.
#[test]
fn a_calendar_that_has_run_out_or_lacks_a_name_is_refused_for_a_tariff_that_needs_it() {
    // The version that treats workdays apart is in force.
    let in_force = SMALL.replace("2026-07-01T00:07:00", "2027-07-01T00:07:00");
    assert_eq!(faults(&in_force), "");
    let old = in_force.replace("2026-12-25, 2026-12-26", "2025-12-25, 2025-12-26");
    let found = faults(&old);
    let expected = "calendar \"de\".holidays: knows no holidays after 2025-12-31, but tariff \"power\" treats holidays apart; \
                    add the holidays of 2026, or `until = 2026-12-31`";
    assert!(found.contains(expected), "{found}");
    assert_eq!(faults(&old.replace("2025-12-26]", "2025-12-26]\nuntil = 2026-12-31")), "");
    // A version that is over asks for nothing any more.
    assert_eq!(faults(&SMALL.replace("2026-12-25, 2026-12-26", "2025-12-25, 2025-12-26")), "");
    let fair = in_force.replace("days = [\"workday\"]", "days = [\"workday\", \"fair\"]");
    let found = faults(&fair);
    assert!(
        found.contains(
            "treats the dates \"fair\" apart, which calendar \"de\" does not name; write them in the calendar"
        ),
        "{found}"
    );
    assert_eq!(faults(&fair.replace("2026-12-26]", "2026-12-26]\nnamed = { fair = [2026-12-06] }")), "");
}
