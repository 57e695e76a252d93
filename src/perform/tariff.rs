//! `tariff check`: a tariff proven, described and drawn, before anything is priced by it.

use std::path::Path;
use std::sync::Arc;

use engine::site_days;
use engine::site_file::{TariffFile, TariffText, tariffs_of};
use kernel::calendar::Calendar;
use kernel::component::demand::{Method, Window};
use kernel::component::share::Rate;
use kernel::component::{Charge, DemandPrices, Excess, Taxation};
use kernel::money::{Price, Quantity};
use kernel::partition::{Partition, prove};
use kernel::tariff::{Band, PersonRule, TariffVersion, TierPeriod, Tiers};
use kernel::time::{HOUR, LocalDate, Moment, SiteDays};
use kernel::unit::Unit;
use reports::{Format, Shade, YearDay, YearMap, YearPanel};

use super::apply;
use crate::call::{Failure, failed};

/// The most years in one picture.
const PANELS_MAX: usize = 8;

/// Checks a file of tariffs (or a site file): prints what it comes to, and draws it where `output` says so.
pub(crate) fn check(file: &Path, output: Option<&Path>) -> Result<(), Failure> {
    let name = file.display().to_string();
    let format = output.map(picture_format).transpose()?;
    let text = apply::read(file, "tariff file")?;
    let found = tariffs_of(text, &name).map_err(|faults| {
        let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        Failure(lines.join("\n"))
    })?;
    let calendar = Arc::new(found.calendar());
    let mut panels = Vec::new();
    for tariff in &found.tariffs {
        let zone = tariff.zone.iana_name().unwrap_or("UTC");
        let days = site_days::of_zone(zone).map_err(failed)?;
        println!("{} ({}, {}, {zone})", tariff.name, tariff.utility.name(), tariff.currency);
        for (place, version) in tariff.versions.iter().enumerate() {
            let next = tariff.versions.get(place + 1).map(|next| next.valid_from);
            let end = days.all().last().map_or(version.valid_from, |day| day.end);
            let proof = prove(&Arc::new(version.clone()), &days, &calendar, next.unwrap_or(end).min(end));
            let proof = proof.map_err(|fault| Failure(format!("{name}: {}: not proven: {fault:?}", tariff.name)))?;
            describe(tariff, version, next, &proof, &days);
            panels.push(panel(tariff, version, next, &days, &calendar));
        }
    }
    remarks(&found);
    if let (Some(output), Some(format)) = (output, format) {
        let skipped = panels.len().saturating_sub(PANELS_MAX);
        let map = YearMap {
            name: "tariff check".to_owned(),
            title: "Bands of the year 全年时段".to_owned(),
            subtitle: format!("{name}{}", if skipped > 0 { format!(", the last {PANELS_MAX}") } else { String::new() }),
            panels: panels.split_off(skipped),
        };
        let bytes = reports::render_year(&map, format).map_err(failed)?;
        std::fs::write(output, bytes)
            .map_err(|error| Failure(format!("cannot write {}: {error}; name another --output", output.display())))?;
        println!("drawn: {}", output.display());
    }
    Ok(())
}

fn picture_format(output: &Path) -> Result<Format, Failure> {
    match output.extension().and_then(|extension| extension.to_str()) {
        Some("svg") => Ok(Format::Svg),
        Some("png") => Ok(Format::Png),
        _ => Err(Failure(format!(
            "--output {} is no picture; write a name that ends with .svg or .png",
            output.display()
        ))),
    }
}

/// What stands beside the tariffs and is worth a word.
fn remarks(found: &TariffFile) {
    for name in found.unknown_names() {
        println!("note: no [[calendar]] of this file names the dates {name:?}: drawn as if there were none");
    }
    if let Some(last) = found.complete_until() {
        println!("note: the calendar knows the holidays until {last}; later ones count as weekdays");
    }
}

fn describe(tariff: &TariffText, version: &TariffVersion, next: Option<Moment>, proof: &Partition, days: &SiteDays) {
    let until = next.map_or_else(|| "until a next version".to_owned(), |next| format!("to {}", wall(days, next)));
    println!("  from {} {until}", wall(days, version.valid_from));
    if !version.source.is_empty() {
        println!("    source: {}", version.source);
    }
    let unit = tariff.unit.name();
    for rule in &version.rules {
        let mut names: Vec<&str> = rule.day_types.iter().map(|day_type| day_type.name()).collect();
        names.extend(rule.named.iter().map(String::as_str));
        let names = if rule.day_types.len() == 3 { "every day".to_owned() } else { names.join(", ") };
        let season = format!("{:02}-{:02} to {:02}-{:02}", rule.from.month, rule.from.day, rule.to.month, rule.to.day);
        let switches = rule.plan.switches();
        let ends = switches.iter().skip(1).map(|switch| switch.minute).chain([1_440]);
        let hours = switches
            .iter()
            .zip(ends)
            .map(|(switch, end)| format!("{}-{} {}", clock(switch.minute), clock(end), switch.band.name()));
        println!("    {season}, {names}: {}", hours.collect::<Vec<_>>().join(", "));
    }
    for (place, row) in version.prices.iter().enumerate() {
        let prices = Band::OF_TARIFFS.into_iter().filter_map(|band| Some((band, row[band as usize]?)));
        let prices = prices.filter(|(band, _)| proof.by_band[*band as usize] > 0).map(|(band, price)| match band {
            Band::Dynamic => format!("dynamic: the hour's price + {price}"),
            _ => format!("{} {price}", band.name()),
        });
        let tier = if version.prices.len() > 1 { format!("tier {}: ", place + 1) } else { String::new() };
        println!("    {tier}{} {}/{unit}", prices.collect::<Vec<_>>().join(", "), tariff.currency);
    }
    if let Some(tiers) = &version.tiers {
        describe_tiers(tiers, tariff.unit);
    }
    for component in &version.components {
        println!("    {}: {}", component.name, component_text(&component.charge, tariff));
    }
    if let Some(series) = &version.dynamic {
        let negative = series.prices.iter().filter(|price| price.0 < 0).count();
        println!(
            "    {} prices of {} minutes from {} to {}, {negative} of them below zero; beyond that: not charged until the \
             series goes on",
            series.prices.len(),
            series.step_minutes,
            wall(days, series.start),
            wall(days, series.end())
        );
    }
    let all: i64 = proof.by_band.iter().sum();
    let shares = Band::ALL.into_iter().filter(|band| proof.by_band[*band as usize] > 0).map(|band| {
        // Tenths of a percent, rounded down.
        let permille = i128::from(proof.by_band[band as usize]) * 1_000 / i128::from(all.max(1));
        format!("{} {}.{} %", band.name(), permille / 10, permille % 10)
    });
    println!(
        "    proven: {} local days ({} of less and {} of more than 24 hours), {} hours, each instant in exactly one band: {}",
        proof.days,
        proof.short_days,
        proof.long_days,
        all / HOUR,
        shares.collect::<Vec<_>>().join(", ")
    );
}

/// A charge beside energy in words.
fn component_text(charge: &Charge, tariff: &TariffText) -> String {
    let currency = &tariff.currency;
    let share = |rate: Rate| Price(rate.0).to_string();
    let of = |names: &[String]| names.join(" + ");
    let window = |window: Window| {
        let method = if window.method == Method::Block { "blocks" } else { "sliding windows" };
        format!("{method} of {} minutes", window.minutes)
    };
    match charge {
        Charge::Daily(price) => format!("{price} {currency} a day"),
        Charge::Monthly(price) => format!("{price} {currency} a month, charged day by day"),
        Charge::Minimum { price, of: names } => format!("at least {price} {currency} a month for {}", of(names)),
        Charge::Demand { window: averaged, prices } => {
            let prices = match prices {
                DemandPrices::Whole(price) => price.to_string(),
                DemandPrices::ByBand(row) => {
                    let priced = Band::ALL.into_iter().filter_map(|band| Some((band, row[band as usize]?)));
                    priced.map(|(band, price)| format!("{} {price}", band.name())).collect::<Vec<_>>().join(", ")
                }
            };
            format!("{prices} {currency} a month for each kW of the maximum in {}", window(*averaged))
        }
        Charge::Capacity { price, excess } => {
            let excess = excess.map_or_else(String::new, |excess| {
                let Excess { price, tolerance, window: averaged } = excess;
                let tolerance = share(tolerance);
                format!("; {price} for each kW beyond it by more than {tolerance} of it, in {}", window(averaged))
            });
            format!("{price} {currency} a month for each kW of the contract{excess}")
        }
        Charge::PowerFactor(table) => {
            let steps = table
                .steps
                .iter()
                .map(|step| format!("from {} on {}", Quantity(i64::from(step.at_least_milli)), share(step.rate)));
            format!("a share of {} by the power factor: {}", of(&table.of), steps.collect::<Vec<_>>().join(", "))
        }
        Charge::Derived(derived) => {
            let prices = derived.prices.iter().map(ToString::to_string).collect::<Vec<_>>().join(" / ");
            let bounds = derived.bounds.iter().map(ToString::to_string).collect::<Vec<_>>().join(" / ");
            let bounds = if bounds.is_empty() { bounds } else { format!(" up to {bounds} a month") };
            let cap = derived.cap.map_or_else(String::new, |cap| format!(", at most for {cap} a month"));
            format!("{prices} {currency}{bounds} for {} of the use of {}{cap}", share(derived.share), derived.source)
        }
        Charge::Surcharge { rate, of: names } => format!("{} of {}", share(*rate), of(names)),
        Charge::Tax { rate, of: names, taxation: Taxation::Exclusive } => {
            format!("a tax of {} on {}", share(*rate), of(names))
        }
        Charge::Tax { rate, of: names, taxation: Taxation::Inclusive } => {
            format!("a tax of {} within the prices of {}", share(*rate), of(names))
        }
    }
}

fn describe_tiers(tiers: &Tiers, unit: Unit) {
    let unit = unit.name();
    let period = match tiers.period {
        TierPeriod::Monthly => "each month".to_owned(),
        TierPeriod::Annual(reset) => format!("each year from {:02}-{:02}", reset.month, reset.day),
        TierPeriod::Cycle(day) => format!("each billing cycle from day {day} of the month"),
    };
    let list =
        |bounds: &[kernel::money::Quantity]| bounds.iter().map(ToString::to_string).collect::<Vec<_>>().join(" / ");
    println!("    tiers of {period}: up to {} {unit}", list(&tiers.bounds));
    for season in &tiers.seasons {
        let (from, to) = (season.from, season.to);
        let dates = format!("{:02}-{:02} to {:02}-{:02}", from.month, from.day, to.month, to.day);
        println!("      {dates}: up to {} {unit}", list(&season.bounds));
    }
    match tiers.persons {
        Some(PersonRule::From { persons, adder }) => println!("      + {adder} {unit} from {persons} persons on"),
        Some(PersonRule::EachAbove { persons, adder }) => {
            println!("      + {adder} {unit} for each person above {persons}");
        }
        None => {}
    }
    if tiers.by_household {
        println!("      for each household behind the service point");
    }
    if tiers.allowance.0 > 0 {
        println!("      the first {} {unit} are free", tiers.allowance);
    }
}

/// A minute of the day as `07:30`.
fn clock(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

/// Local date and time.
fn wall(days: &SiteDays, moment: Moment) -> String {
    let Some(day) = days.at(moment) else { return moment.to_string() };
    let run = day.runs().find(|(run, end)| run.start <= moment && moment < *end);
    let wall = run.map_or(0, |(run, _)| run.wall + moment.since(run.start));
    format!("{} {:02}:{:02}", day.date, wall / HOUR, wall / kernel::time::MINUTE % 60)
}

/// The year that is drawn: the first that begins within the validity, or a later one whose holidays are known; the year
/// in which the validity begins where it is shorter.
fn year_of(version: &TariffVersion, next: Option<Moment>, days: &SiteDays, calendar: &Calendar) -> i32 {
    let begins = days.at(version.valid_from).map_or(LocalDate(0), |day| day.date);
    let last = next.and_then(|next| days.at(next.plus(-1))).map(|day| day.date.ymd().0);
    let (year, month, day) = begins.ymd();
    let first = if (month, day) == (1, 1) { year } else { year + 1 };
    let known = calendar.complete_until().map_or(first, |last| last.ymd().0).max(first);
    known.min(last.unwrap_or(known)).max(year)
}

fn panel(
    tariff: &TariffText,
    version: &TariffVersion,
    next: Option<Moment>,
    days: &SiteDays,
    calendar: &Calendar,
) -> YearPanel {
    let year = year_of(version, next, days, calendar);
    let first = LocalDate::new(year, 1, 1).unwrap_or(LocalDate(0));
    let last = LocalDate::new(year, 12, 31).unwrap_or(LocalDate(0));
    let mut used: Vec<Band> = Vec::new();
    let mut drawn = Vec::new();
    for offset in 0..=last.0 - first.0 {
        let date = first.plus(offset);
        let Some(day) = days.on(date) else { continue };
        let mut stretches = Vec::new();
        for (band, from, to) in stretches_of(version, day, calendar) {
            // Outside its validity a version has no colour.
            let place = used.iter().position(|known| *known == band).unwrap_or_else(|| {
                used.push(band);
                used.len() - 1
            });
            if day.end > version.valid_from && next.is_none_or(|next| day.start < next) {
                stretches.push((from, to, place));
            }
        }
        drawn.push(YearDay { stretches });
    }
    let shades = used.iter().map(|band| {
        let (color, name) = reports::band_shade(band.name());
        let prices: Vec<String> = version
            .prices
            .iter()
            .filter_map(|row| row[*band as usize])
            .map(|price| {
                let text = price.to_string();
                text.trim_end_matches('0').trim_end_matches('.').to_owned()
            })
            .collect();
        Shade { color, label: format!("{name} {}", prices.join(" / ")) }
    });
    let title = format!("{} {year} ({}/{})", tariff.name, tariff.currency, tariff.unit.name());
    YearPanel { title, first, shades: shades.collect(), days: drawn }
}

/// What the wall clock of a day goes through: band, from, to in minutes.
fn stretches_of(version: &TariffVersion, day: &kernel::time::SiteDay, calendar: &Calendar) -> Vec<(Band, u16, u16)> {
    let Some(plan) = version.plan(day.date, calendar) else { return Vec::new() };
    let minute = |wall: i64| u16::try_from((wall / kernel::time::MINUTE).clamp(0, 1_440)).unwrap_or(0);
    let mut stretches = Vec::new();
    for (run, end) in day.runs() {
        let (from, to) = (minute(run.wall), minute(run.wall + end.since(run.start)));
        let mut at = from;
        while at < to {
            let (band, next) = plan.at(at);
            let next = next.min(to);
            stretches.push((band, at, next));
            at = next;
        }
    }
    stretches
}
