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
//! rounding = "half-up"          # or "half-even": of each line of a statement, to the currency's digits, from the next close on
//! refund_limit = "50.00"        # above it a second person approves a refund; without it, always
//! from = 2024-01-01             # where accounts, contracts and meters begin that say nothing else
//!
//! [[calendar]]                  # holidays, make-up workdays, extra weekends
//! name = "cn"
//! holidays = [2026-10-01, 2026-10-02]
//! workdays = [2026-10-10]
//! named = { long-holiday = [2026-10-01] }        # dates that a tariff may treat apart: days = ["long-holiday"]
//! until = 2026-12-31                             # up to where it is complete; else the end of the year of its last date
//! # or: file = "calendars/cn.toml"               # [[calendar]] tables in a file of their own
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
//! reverse = "ignore"            # what flows back: "ignore" (recorded, not billed; the default) or "credit"
//! tiers = { period = "monthly", bounds = ["260"], surcharge = ["0", "0.05"] }   # or prices = [..], one for each tier
//! #   period = "annual", reset = "MM-DD" | "cycle", day = 1 to 28; seasons = [{ from, to, bounds }]; allowance = "15" (free);
//! #   persons = { from = 5, adder = "100" } | { above = 4, adder = "30" }; households = true: bounds for each household
//! # dynamic = { file = "hours.csv", time = "time", price = "price", step = "1h", per = "MWh" }: a price for each step; the
//! #   band `dynamic` adds its own. Only ever continued at its end; what flows beyond it is `unpriced` until then
//! [[tariff.version.component]]  # a charge beside energy; `of` and bases name "energy" or components before it
//! name = "sewer"                # kind = "daily" | "monthly" (a price, charged day by day) | "minimum" (price, of)
//! kind = "derived"              #   | "demand" (price, or prices by band; window = "15m", method = "block" | "sliding")
//! source = "water"              #   | "capacity" (price; excess = { price, window, tolerance }) | "power_factor" (of,
//! share = "0.9"                 #     steps = [{ at_least, rate }], step) | "derived" (share, cap, price, or bounds and
//! cap = "30"                    #     prices) | "surcharge" (rate, of) | "tax" (rate, of, inclusive = true)
//! price = "3.00"                # all but daily and monthly ones are charged when the month is closed
//! # or: file = "tariffs/hubei.toml"              # [[tariff]] tables in a file of their own
//!
//! [[gas_quality]]               # the calorific values of a supply area; time_zone where the file has several sites
//! name = "north-west"
//! [[gas_quality.value]]         # each holds until the next; the last one until the next is known
//! from = 2026-01-01
//! calorific_value = "39.5"      # MJ/m3, or "11.2 kWh/m3"
//! # or: file = "gas/north-west.toml"           # [[gas_quality]] tables in a file of their own
//!
//! [[location]]                  # name, title, parent, kind = building | floor | room | area, area = "85.50" (m2)
//! [[account]]                   # name, holder, kind, policy, location, credit_limit, cutoff, protected, confirmed;
//!                               # balance = "money" (the default), or "kWh" | "m3" | "GJ": units are bought at the one price of
//!                               # its tariff and used one by one; credit_limit and the policy's levels are in units then;
//!                               # pooled_tiers = true: its service points of one utility share one tier counter
//! [[service_point]]             # name, utility, location, account, tariff, persons, households; for components: capacity =
//!                               # "50" (kW), sources = { water = "SERVICE POINT" }, reactive = "SERVICE POINT" (kvarh)
//!                               # - or [[service_point.contract]], one by one
//!                               # unit = "kWh" | "m3" (gas), "kWh" | "GJ" (heat): what it is billed in; a tariff says the same
//!                               # gas in kWh: gas_quality = ".." or calorific_value, and correction = "1.02264"
//!                               # - or [[service_point.conversion]], one by one, each with `from` (the first may leave it out)
//! [[meter]]                     # serial, profile, service_point, ct, pt, multiplier, modulus, opening_count, rating,
//!                               # signed = true (counts down what flows back), jitter (counts, where not the profile's),
//!                               # bus, unit, poll, relay - or
//!                               # [[meter.installation]], one by one; parent = "SERIAL": the meter that also measures
//!                               # what this one measures
//! ```
//!
//! Times without an offset are local to the site. What a register counts is multiplied by profile x `ct` x `pt` x
//! `multiplier` (a pulse weight), unless the profile says that the device did so itself. Registers of gas count m3, and P_max is
//! in m3 an hour, whatever is billed. Imported usage is in the billing unit; `measures = "m3"` on its meter says that it is
//! m3 of gas to be converted.
//!
//! **Pooled tiers.** The tier counter belongs to the service point. Several meters at one service point are rated as one
//! timeline, in the order in which their intervals end (at one moment in the order of the meters), and share its tiers. With
//! `pooled_tiers = true` the service points of one utility for which an account pays do the same ([`kernel::pool`]): they join
//! and leave by their contracts' `from` and `until`, and count for the pool only between. Their contracts name one tariff, and
//! the same `persons` and `households`, which are those of the pool, not added up. It is said before the account pays for
//! anything and never changes, so that no month that is over is rated otherwise; another account may pay from a moment on.
//! A pool is rated as one: at most 256 service points ever share tiers, those included that join them by another account.
//!
//! **Registers.** `meter replace`, `meter retype` and `meter reset` (see [`plan_registers`]) change one meter from a moment
//! on without a site file; an older file is refused afterwards where it says otherwise, and has nothing to change where it
//! says nothing.
//!
//! **Changes.** A change of price, payer, tariff, multiplier, modulus or profile says from when (`from = ..`), or
//! `correct = true` with a `reason`: then it was always so, and what was is superseded. What ends says `until = ..`;
//! what is missing from the file is refused. A calorific value that follows the last one needs no correction, also where its
//! `from` is past: until it was known, the one before held. Calendars, policies, tariffs and gas qualities may also stand
//! in another site's file.

mod attached;
mod bands;
mod check;
mod component;
mod conversions;
mod fault;
mod model;
mod plan;
mod prices;
mod reader;
mod registers;
mod series;
mod tariff;
mod things;
mod timeline;
pub(crate) mod words;
mod write;

pub use attached::Attached;
pub use check::{TariffFile, TariffText, tariffs_of};
pub use fault::Fault;
pub use model::SiteFile;
pub use plan::{Change, ChangeKind, Checks, MoveFault, Plan, close_account, move_point, plan, plan_registers};
pub use registers::{NewMeter, RegisterChange, RegisterEdit};
pub use words::Ratio;
pub use words::instant;
pub use write::{WriteError, write};

use fault::Faults;
use model::{CalendarItem, GasQualityItem, SiteItem, TariffItem};
use reader::{Context, Lines, Reader};
use toml::de::DeTable;

/// The largest site file: some 200,000 lines, or 20,000 meters.
const LARGEST: usize = 16 * 1024 * 1024;

/// A site file with the texts of the files that it names.
#[derive(Clone, Debug, Default)]
pub struct SiteText {
    /// The site file.
    pub text: String,
    /// What it names.
    pub attached: Attached,
}

/// A site file that names no other.
impl From<&str> for SiteText {
    fn from(text: &str) -> SiteText {
        SiteText { text: text.to_owned(), attached: Attached::default() }
    }
}

/// As from a text.
impl From<&String> for SiteText {
    fn from(text: &String) -> SiteText {
        SiteText::from(text.as_str())
    }
}

/// Reads a site file; `name` is what faults call it.
///
/// # Errors
/// Every fault of the file and of those that it names, each in the order of its lines.
pub fn parse(site: impl Into<SiteText>, name: &str) -> Result<SiteFile, Vec<Fault>> {
    let SiteText { text, attached } = site.into();
    let context = context(&text, &attached, name);
    let file = with_tables(&context, &text, |table| read(&context, table, name)).unwrap_or_default();
    context.faults.or(file)
}

fn context<'f>(text: &str, attached: &'f Attached, name: &str) -> Context<'f> {
    Context { lines: Lines::new(text), faults: Faults::new(name), attached, path: String::new(), file: None }
}

/// What `read` makes of a text's tables; none where the text is no TOML.
fn with_tables<T>(context: &Context<'_>, text: &str, read: impl FnOnce(&DeTable<'_>) -> T) -> Option<T> {
    if text.len() > LARGEST {
        context.faults.at_line(1, "file", format!("has {} bytes", text.len()), "write one file for each site");
        return None;
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let line = error.span().map_or(1, |span| context.lines.of(&span));
        context.faults.at_line(line, "TOML", error.message().to_owned(), "correct the line");
    }
    context.faults.is_empty().then(|| read(table.get_ref()))
}

fn read(context: &Context<'_>, table: &DeTable<'_>, name: &str) -> SiteFile {
    let root = Reader::new(context, table, 1, String::new());
    let mut file = SiteFile { name: name.to_owned(), ..SiteFile::default() };
    file.sites = root.tables("site").into_iter().filter_map(things::site).collect();
    if !root.has("site") {
        context.faults.at_line(1, "site", "is missing", "write [[site]] with name, time_zone and currency");
    }
    let sites = &file.sites;
    file.calendars = calendars(&root);
    file.policies = root.tables("policy").into_iter().filter_map(things::policy).collect();
    file.tariffs = tariffs(&root, sites);
    file.gas_qualities = gas_qualities(&root, sites);
    file.locations = root.tables("location").into_iter().filter_map(|reader| things::location(reader, sites)).collect();
    file.accounts = root.tables("account").into_iter().filter_map(|reader| things::account(reader, sites)).collect();
    file.points =
        root.tables("service_point").into_iter().filter_map(|reader| things::service_point(reader, sites)).collect();
    file.meters = root.tables("meter").into_iter().filter_map(|reader| things::meter(reader, sites)).collect();
    root.finish();
    file
}

/// Those of the file, and those of the files that it names.
fn calendars(root: &Reader<'_>) -> Vec<CalendarItem> {
    let read = |reader: Reader<'_>| match reader.has("file") {
        true => attached::included(reader, "calendar", things::calendar),
        false => things::calendar(reader).into_iter().collect(),
    };
    root.tables("calendar").into_iter().flat_map(read).collect()
}

/// As [`calendars`].
fn tariffs(root: &Reader<'_>, sites: &[SiteItem]) -> Vec<TariffItem> {
    let read = |reader: Reader<'_>| match reader.has("file") {
        true => attached::included(reader, "tariff", |reader| tariff::tariff(reader, sites)),
        false => tariff::tariff(reader, sites).into_iter().collect(),
    };
    root.tables("tariff").into_iter().flat_map(read).collect()
}

/// As [`calendars`].
fn gas_qualities(root: &Reader<'_>, sites: &[SiteItem]) -> Vec<GasQualityItem> {
    let read = |reader: Reader<'_>| match reader.has("file") {
        true => attached::included(reader, "gas_quality", |reader| conversions::gas_quality(reader, sites)),
        false => conversions::gas_quality(reader, sites).into_iter().collect(),
    };
    root.tables("gas_quality").into_iter().flat_map(read).collect()
}

#[cfg(test)]
mod areas_tests;
#[cfg(test)]
mod changes_tests;
#[cfg(test)]
mod components_tests;
#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod pools_tests;
#[cfg(test)]
mod registers_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod units_tests;
