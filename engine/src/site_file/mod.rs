//! The site file: one TOML that says what a property is, and how the book is brought to it.
//!
//! [`parse`] reads the file alone, [`plan`] compares it with the registry, [`write()`] performs the plan in the caller's
//! transaction. The first two are pure: a fault anywhere means that nothing changes. A second plan of the same file
//! is empty.
//!
//! # The format
//!
//! ```toml
//! [[site]]
//! name = "mall"                 # title, calendar, webhook; mode = "off" | "shadow" (default) | "ask" | "auto"
//! time_zone = "Asia/Shanghai"
//! currency = "CNY"
//! adjustment_limit = "5.00"     # up to this much a closed month is adjusted without a person; 0 by default
//! from = 2024-01-01             # where accounts, contracts and meters begin that say nothing else
//!
//! [[calendar]]                  # holidays, make-up workdays, extra weekends
//! name = "cn"
//! holidays = [2026-10-01, 2026-10-02]
//! workdays = [2026-10-10]
//!
//! [[policy]]                    # kernel::control::policy
//! name = "standard"
//!
//! [[tariff]]                    # utility; currency and time_zone where the file has several sites
//! name = "shops"
//! utility = "electricity"
//! [[tariff.version]]            # never edited: a new price is a new version
//! valid_from = 2024-01-01
//! prices = { peak = "1.20", flat = "0.80" }              # or price = "3.45"; decimals in quotes, never floats
//! bands = { peak = ["08:00-12:00"], flat = ["12:00-08:00"] }    # or [[tariff.version.season]] from, to, days, bands;
//!                                                               # the first season that holds decides
//! tiers = { period = "monthly", bounds = ["260"], surcharge = ["0", "0.05"] }   # or prices = [..], one for each tier
//!
//! [[location]]                  # name, title, parent, kind = building | floor | room | area, area = "85.50" (m2)
//! [[account]]                   # name, holder, kind, policy, location, credit_limit, cutoff, protected, confirmed
//! [[service_point]]             # name, utility, location, account, tariff - or [[service_point.contract]], one by one
//! [[meter]]                     # serial, profile, service_point, ct, pt, multiplier, modulus, opening_count, rating,
//!                               # bus, unit, poll, relay - or [[meter.installation]], one by one
//! ```
//!
//! Times without an offset are local to the site. What a register counts is multiplied by profile x `ct` x `pt` x
//! `multiplier` (a pulse weight), unless the profile says that the device did so itself.
//!
//! **Changes.** A change of price, payer, tariff, multiplier, modulus or profile says from when (`from = ..`), or
//! `correct = true` with a `reason`: then it was always so, and what was is superseded. What ends says `until = ..`;
//! what is missing from the file is refused. Calendars, policies and tariffs may also stand in another site's file.

mod bands;
mod fault;
mod model;
mod plan;
mod prices;
mod reader;
mod registers;
mod tariff;
mod things;
mod timeline;
mod words;
mod write;

pub use fault::Fault;
pub use model::SiteFile;
pub use plan::{Change, ChangeKind, Checks, Plan, plan, plan_registers};
pub use registers::{NewMeter, RegisterChange, RegisterEdit};
pub use words::Ratio;
pub use words::instant;
pub use write::{WriteError, write};

use fault::Faults;
use reader::{Context, Lines, Reader};
use toml::de::DeTable;

/// The largest site file: some 200,000 lines, or 20,000 meters.
const LARGEST: usize = 16 * 1024 * 1024;

/// Reads a site file; `name` is what faults call it.
///
/// # Errors
/// Every fault of the file, in the order of its lines.
pub fn parse(text: &str, name: &str) -> Result<SiteFile, Vec<Fault>> {
    let context = Context { lines: Lines::new(text), faults: Faults::new(name) };
    if text.len() > LARGEST {
        context.faults.at_line(1, "file", format!("has {} bytes", text.len()), "write one file for each site");
        return context.faults.or(SiteFile::default());
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let line = error.span().map_or(1, |span| context.lines.of(&span));
        context.faults.at_line(line, "TOML", error.message().to_owned(), "correct the line");
    }
    if !context.faults.is_empty() {
        return context.faults.or(SiteFile::default());
    }
    let file = read(&context, table.get_ref(), name);
    context.faults.or(file)
}

fn read(context: &Context, table: &DeTable<'_>, name: &str) -> SiteFile {
    let root = Reader::new(context, table, 1, String::new());
    let mut file = SiteFile { name: name.to_owned(), ..SiteFile::default() };
    file.sites = root.tables("site").into_iter().filter_map(things::site).collect();
    if !root.has("site") {
        context.faults.at_line(1, "site", "is missing", "write [[site]] with name, time_zone and currency");
    }
    let sites = &file.sites;
    file.calendars = root.tables("calendar").into_iter().filter_map(things::calendar).collect();
    file.policies = root.tables("policy").into_iter().filter_map(things::policy).collect();
    file.tariffs = root.tables("tariff").into_iter().filter_map(|reader| tariff::tariff(reader, sites)).collect();
    file.locations = root.tables("location").into_iter().filter_map(|reader| things::location(reader, sites)).collect();
    file.accounts = root.tables("account").into_iter().filter_map(|reader| things::account(reader, sites)).collect();
    file.points =
        root.tables("service_point").into_iter().filter_map(|reader| things::service_point(reader, sites)).collect();
    file.meters = root.tables("meter").into_iter().filter_map(|reader| things::meter(reader, sites)).collect();
    root.finish();
    file
}

#[cfg(test)]
mod changes_tests;
#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod registers_tests;
#[cfg(test)]
mod tests;
