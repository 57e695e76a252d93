//! Our own tariffs, and those of others: the hours of 33 and of 35 Chinese areas, from two sources that do not agree.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kernel::calendar::Calendar;
use kernel::partition::prove;
use kernel::tariff::Band;
use serde_json::Value;

use super::{Attached, SiteText, TariffFile, tariffs_of};
use crate::site_days;

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../data")
}

/// Files of others; none where they are not beside the checkout.
fn shared(path: &str) -> Option<String> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = std::env::var_os("METERLEDGER_SHARED_DATA").map_or(beside, PathBuf::from);
    let text = std::fs::read_to_string(folder.join("tariffs").join(path)).ok();
    if text.is_none() {
        println!("{path} is not in {}: passed over", folder.display());
    }
    text
}

fn read(path: &Path) -> Result<TariffFile, String> {
    let text = std::fs::read_to_string(path).unwrap();
    let folder = path.parent().unwrap();
    let attached =
        Attached::gather(&text, |name| std::fs::read_to_string(folder.join(name)).map_err(|error| error.to_string()));
    let shown = |faults: Vec<super::Fault>| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    tariffs_of(SiteText { text, attached }, &path.display().to_string()).map_err(shown)
}

/// Each of our files names where it comes from, and prices every instant of four years.
#[test]
fn our_own_tariffs_are_proven_and_name_their_sources() {
    let mut names: Vec<String> = Vec::new();
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(data().join("tariffs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    for path in files {
        let file = read(&path).unwrap();
        for tariff in &file.tariffs {
            let days = site_days::of_zone(tariff.zone.iana_name().unwrap()).unwrap();
            for version in &tariff.versions {
                assert!(!version.source.is_empty(), "{}", tariff.name);
                let until = version.valid_from.plus(4 * 365 * kernel::time::DAY);
                let proof = prove(&Arc::new(version.clone()), &days, &Arc::default(), until).unwrap();
                assert_eq!(proof.by_band.iter().sum::<i64>(), until.since(version.valid_from), "{}", tariff.name);
            }
            names.push(tariff.name.clone());
        }
    }
    let expected = [
        "beijing-water-parts",
        "beijing-household-water",
        "beijing-commercial-10kv",
        "dynamic-hourly",
        "guangdong-household",
        "hubei-commercial-10kv",
        "us-two-tiers-two-bands",
        "two-part-industrial",
        "zhejiang-household",
    ];
    assert_eq!(names, expected);
    let calendars = read(&data().join("calendars/cn.toml"));
    assert!(calendars.unwrap_err().contains("tariff: is missing"), "a calendar file holds no tariff");
}

/// One area's hours as a tariff: seasons in the order in which they decide.
#[derive(Default)]
struct Draft {
    seasons: String,
}

const BANDS: [&str; 5] = ["sharp", "peak", "flat", "valley", "deep_valley"];

impl Draft {
    /// One season for each month: minute by minute the bands that claim it.
    fn season(&mut self, months: &[u64], days: &[&str], claims: &[Vec<&str>]) {
        for month in months {
            let last = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][usize::try_from(*month).unwrap() - 1];
            writeln!(self.seasons, "[[tariff.version.season]]\nfrom = \"{month:02}-01\"\nto = \"{month:02}-{last}\"")
                .unwrap();
            if !days.is_empty() {
                let names: Vec<String> = days.iter().map(|name| format!("{name:?}")).collect();
                writeln!(self.seasons, "days = [{}]", names.join(", ")).unwrap();
            }
            writeln!(self.seasons, "[tariff.version.season.bands]").unwrap();
            for band in BANDS {
                let mut ranges: Vec<(usize, usize)> = Vec::new();
                for minute in (0..1_440).filter(|minute| claims[*minute].contains(&band)) {
                    match ranges.last_mut() {
                        Some(range) if range.1 == minute => range.1 = minute + 1,
                        _ => ranges.push((minute, minute + 1)),
                    }
                }
                let clock = |minute: usize| format!("{:02}:{:02}", minute / 60, minute % 60);
                let ranges: Vec<String> =
                    ranges.iter().map(|(from, to)| format!("\"{}-{}\"", clock(*from), clock(*to))).collect();
                if !ranges.is_empty() {
                    writeln!(self.seasons, "{band} = [{}]", ranges.join(", ")).unwrap();
                }
            }
        }
    }

    /// Loads it with a price for each band that has hours.
    fn load(self, name: &str) -> Result<(), String> {
        let used = BANDS.iter().filter(|band| self.seasons.contains(&format!("\n{band} = [")));
        let prices: Vec<String> = used.map(|band| format!("{band} = \"1\"")).collect();
        let text = format!(
            "[[tariff]]\nname = {name:?}\nutility = \"electricity\"\ncurrency = \"CNY\"\ntime_zone = \"Asia/Shanghai\"\n\
             [[tariff.version]]\nvalid_from = 2026-01-01\nprices = {{ {} }}\n{}",
            prices.join(", "),
            self.seasons
        );
        let file =
            tariffs_of(&text, "area.toml").map_err(|faults| faults[0].what.clone() + "; " + &faults[0].remedy)?;
        let version = Arc::new(file.tariffs[0].versions[0].clone());
        let days = site_days::of_zone("Asia/Shanghai").unwrap();
        let until = version.valid_from.plus(366 * kernel::time::DAY);
        let proof =
            prove(&version, &days, &Arc::new(Calendar::default()), until).map_err(|fault| format!("{fault:?}"))?;
        assert_eq!(proof.by_band[Band::Unpriced as usize], 0);
        Ok(())
    }
}

fn minute(text: &str) -> usize {
    let (hour, minute) = text.split_once(':').unwrap();
    hour.parse::<usize>().unwrap() * 60 + minute.parse::<usize>().unwrap()
}

fn claim<'a>(claims: &mut [Vec<&'a str>], from: &str, to: &str, band: &'a str) {
    let (from, to) = (minute(from), minute(to));
    let length = if to > from { to - from } else { 1_440 - from + to };
    (0..length).map(|step| (from + step) % 1_440).for_each(|minute| {
        if !claims[minute].contains(&band) {
            claims[minute].push(band);
        }
    });
}

fn texts<'a>(row: &'a Value, key: &str) -> Vec<&'a str> {
    row[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn months(row: &Value, key: &str) -> Vec<u64> {
    row[key].as_array().into_iter().flatten().filter_map(Value::as_u64).collect()
}

/// The rows that hold, minute by minute: sharp takes the place of what it lies on, deep valley too, and a flat day is what is
/// left over, as the source says. What else claims a minute twice stays a fault.
fn layered<'a>(rows: &[&'a Value]) -> Vec<Vec<&'a str>> {
    let mut claims: Vec<Vec<&str>> = vec![Vec::new(); 1_440];
    let is_rest = |row: &Value| row["period"] == "flat" && texts(row, "ranges") == ["00:00-24:00"];
    for row in rows.iter().filter(|row| !is_rest(row)) {
        // One row writes two ranges in one text, with "and" between them.
        for range in texts(row, "ranges").into_iter().flat_map(|text| text.split('及')) {
            let (from, to) = range.split_once('-').unwrap();
            claim(&mut claims, from, to, row["period"].as_str().unwrap());
        }
    }
    let rest = rows.iter().any(|row| is_rest(row));
    for minute in &mut claims {
        for above in ["sharp", "deep_valley"] {
            if minute.contains(&above) {
                *minute = vec![above];
            }
        }
        if minute.is_empty() && rest {
            minute.push("flat");
        }
    }
    claims
}

/// One variant of an area of the first source: rows without category and those of this one.
fn variant(area: &Value, category: Option<&str>) -> Draft {
    let all: Vec<&Value> = area["rows"].as_array().unwrap().iter().collect();
    let mine = |row: &&&Value| {
        let categories = texts(row, "categories");
        categories.is_empty() || category.is_some_and(|category| categories.contains(&category))
    };
    let rows: Vec<&Value> = all.iter().filter(mine).copied().collect();
    let every: Vec<u64> = (1..=12).collect();
    let within = |row: &Value, month: u64| row["months"].is_null() || months(row, "months").contains(&month);
    let mut draft = Draft::default();
    for month in every {
        let weekend_only = |row: &Value| !row["weekend_months"].is_null();
        let plain: Vec<&Value> = rows
            .iter()
            .copied()
            .filter(|row| within(row, month) && row["holidays"].is_null() && !weekend_only(row))
            .collect();
        let festive: Vec<&Value> =
            rows.iter().copied().filter(|row| !row["holidays"].is_null() && within(row, month)).collect();
        let names: Vec<&str> = festive.iter().flat_map(|row| texts(row, "holidays")).collect();
        if !names.is_empty() {
            let layers: Vec<&Value> = plain.iter().copied().chain(festive.iter().copied()).collect();
            draft.season(&[month], &names, &layered(&layers));
        }
        let weekend: Vec<&Value> = rows
            .iter()
            .copied()
            .filter(|row| weekend_only(row) && months(row, "weekend_months").contains(&month))
            .collect();
        if !weekend.is_empty() {
            let layers: Vec<&Value> = plain.iter().copied().chain(weekend).collect();
            draft.season(&[month], &["weekend"], &layered(&layers));
        }
        draft.season(&[month], &[], &layered(&plain));
    }
    draft
}

/// Every area is loaded and proven, or refused with the reason; the counts are printed, and a source that changes shows.
#[test]
fn the_hours_of_33_areas_are_loaded_or_refused_with_the_reason() {
    let Some(text) = shared("cn/tou_periods_provinces_2025.json") else { return };
    let source: Value = serde_json::from_str(&text).unwrap();
    let areas = source["provinces"].as_array().unwrap();
    let (mut loaded, mut refused) = (0, BTreeMap::new());
    for area in areas {
        let name = area["area"].as_str().unwrap();
        let mut categories: Vec<&str> =
            area["rows"].as_array().unwrap().iter().flat_map(|row| texts(row, "categories")).collect();
        categories.sort_unstable();
        categories.dedup();
        let variants: Vec<Option<&str>> =
            if categories.is_empty() { vec![None] } else { categories.into_iter().map(Some).collect() };
        for category in variants {
            let shown = category.map_or(name.to_owned(), |category| format!("{name} {category}"));
            match variant(area, category).load(&shown) {
                Ok(()) => loaded += 1,
                Err(reason) => _ = refused.insert(shown, reason),
            }
        }
        for row in area["rows"].as_array().unwrap().iter().filter(|row| !row["temperature_rule"].is_null()) {
            println!("{name}: without the rule that no schedule can hold: {}", row["temperature_rule"]);
        }
    }
    println!("33 areas of 2025: {loaded} tariffs loaded and proven, {} refused", refused.len());
    refused.iter().for_each(|(name, reason)| println!("  {name}: {reason}"));
    assert_eq!(areas.len(), 33);
    assert!(loaded >= 30, "{refused:?}");
    assert!(
        refused.values().all(|reason| reason.contains("no band") || reason.contains("in two bands")),
        "{refused:?}"
    );
}

#[test]
fn the_hours_of_35_areas_are_loaded_or_refused_with_the_reason() {
    let Some(text) = shared("cn/tou_periods_provinces_2026_02.json") else { return };
    let source: Value = serde_json::from_str(&text).unwrap();
    let areas = source["provinces"].as_array().unwrap();
    let (mut loaded, mut refused) = (0, BTreeMap::new());
    for area in areas {
        let name = area["area"].as_str().unwrap();
        if area["has_tou"] == false {
            refused.insert(name, format!("has no hours of use: {}", area["note"].as_str().unwrap_or_default()));
            continue;
        }
        let mut draft = Draft::default();
        for group in area["groups"].as_array().unwrap() {
            let mut claims: Vec<Vec<&str>> = vec![Vec::new(); 1_440];
            for slot in group["slots"].as_array().unwrap() {
                let part = |place: usize| slot[place].as_str().unwrap();
                claim(&mut claims, part(1), part(2), part(0));
            }
            draft.season(&months(group, "months"), &[], &claims);
        }
        match draft.load(name) {
            Ok(()) => loaded += 1,
            Err(reason) => _ = refused.insert(name, reason),
        }
    }
    println!("35 areas of February 2026: {loaded} loaded and proven, {} refused", refused.len());
    refused.iter().for_each(|(name, reason)| println!("  {name}: {reason}"));
    assert_eq!((areas.len(), loaded, refused.len()), (35, 18, 17), "{refused:?}");
    // The source itself gives an hour to two bands or to none, or says that the area has no such hours.
    let count = |words: &str| refused.values().filter(|reason| reason.contains(words)).count();
    assert_eq!(["in two bands", "no band", "no hours of use"].map(count), [10, 3, 4], "{refused:?}");
}
