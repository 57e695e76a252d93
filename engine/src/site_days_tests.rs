use chrono_tz::Tz;
use kernel::time::{HOUR, MINUTE};

use super::*;

fn day(zone: &str, year: i32, month: u8, day: u8) -> SiteDay {
    *of_zone(zone).unwrap().on(LocalDate::new(year, month, day).unwrap()).unwrap()
}

/// Length in minutes, the wall clock at the start, and the jump (minutes into the day, wall minute after it).
#[test]
fn days_are_as_long_as_their_clocks_say() {
    for (zone, (year, month, date), minutes, wall_start, jump) in [
        ("Europe/Berlin", (2026, 3, 29), 23 * 60, 0, Some((120, 180))),
        ("Europe/Berlin", (2026, 10, 25), 25 * 60, 0, Some((180, 120))),
        ("Europe/Berlin", (2026, 11, 20), 24 * 60, 0, None),
        ("Asia/Shanghai", (2026, 6, 1), 24 * 60, 0, None),
        ("Asia/Kathmandu", (2026, 6, 1), 24 * 60, 0, None),
        ("Australia/Lord_Howe", (2026, 4, 5), 24 * 60 + 30, 0, Some((120, 90))),
        ("Australia/Lord_Howe", (2026, 10, 4), 24 * 60 - 30, 0, Some((120, 150))),
        ("America/Sao_Paulo", (2017, 10, 15), 23 * 60, 60, None),
        ("America/Sao_Paulo", (2018, 2, 17), 25 * 60, 0, Some((24 * 60, 23 * 60))),
        ("America/Havana", (2026, 11, 1), 25 * 60, 0, Some((60, 0))),
        ("America/St_Johns", (2010, 11, 6), 25 * 60, 0, Some((24 * 60, 23 * 60))),
        ("America/St_Johns", (2010, 11, 7), 24 * 60, 0, None),
    ] {
        let day = day(zone, year, month, date);
        let name = format!("{zone} {}", day.date);
        assert_eq!(day.end.since(day.start), minutes * MINUTE, "{name}");
        assert_eq!(day.wall_start, wall_start * MINUTE, "{name}");
        let found = day.jump.map(|jump| (jump.start.since(day.start) / MINUTE, jump.wall / MINUTE));
        assert_eq!(found, jump, "{name}");
    }
}

#[test]
fn the_table_covers_its_years_without_a_gap() {
    let days = of_zone("Asia/Shanghai").unwrap();
    let (first, last) = (days.all().first().unwrap(), days.all().last().unwrap());
    assert_eq!((first.date.to_string(), last.date.to_string()), ("2000-01-01".to_owned(), "2060-12-31".to_owned()));
    assert_eq!(first.start.to_string(), "1999-12-31T16:00:00Z");
    let apia = of_zone("Pacific/Apia").unwrap();
    assert_eq!(apia.all()[0].date.to_string(), "2011-12-31");
}

#[test]
fn unknown_zones_and_years_are_refused() {
    assert!(build("Europe/Atlantis", 2000, 2001).unwrap_err().to_string().contains("write an IANA name"));
    assert!(build("UTC", 2002, 2001).is_err());
}

/// Another zone database, another library: the same wall clock. Not Casablanca: the two are of different years, and
/// Morocco changed its mind in between.
#[test]
fn another_zone_database_agrees_on_every_day_of_forty_years() {
    for zone in [
        "Asia/Shanghai",
        "Asia/Kathmandu",
        "Asia/Tehran",
        "Asia/Amman",
        "Africa/Cairo",
        "America/New_York",
        "America/Sao_Paulo",
        "America/Havana",
        "Australia/Lord_Howe",
        "Europe/Berlin",
        "Europe/London",
        "Pacific/Auckland",
    ] {
        let tz: Tz = zone.parse().unwrap();
        for day in build(zone, 2000, 2040).unwrap().all() {
            let midnight = i64::from(day.date.0) * DAY;
            for (run, end) in day.runs() {
                for step in [0, HOUR / 2, 3 * HOUR + 15 * MINUTE, end.since(run.start) - MINUTE] {
                    let moment = run.start.plus(step.clamp(0, end.since(run.start) - 1));
                    let shown = midnight + run.wall + moment.since(run.start);
                    assert_eq!(shown, wall(tz, moment), "{zone} {} at {moment}", day.date);
                }
            }
        }
    }
}

fn wall(tz: Tz, moment: Moment) -> i64 {
    let utc = arrow::temporal_conversions::timestamp_us_to_datetime(moment.0).unwrap().and_utc();
    utc.with_timezone(&tz).naive_local().and_utc().timestamp_micros()
}
