//! The tariffs of a file on their own: for `tariff check`, before any site names them.

use jiff::tz::TimeZone;
use kernel::calendar::Calendar;
use kernel::id::Utility;
use kernel::tariff::TariffVersion;
use kernel::time::LocalDate;
use kernel::unit::Unit;

use super::fault::Fault;
use super::model::TariffItem;
use super::reader::Reader;
use super::{SiteText, calendars, context, parse, tariffs, with_tables};

/// A tariff as a file says it. Its versions have no identifiers yet.
#[derive(Clone, Debug)]
pub struct TariffText {
    /// Its name.
    pub name: String,
    /// What it prices.
    pub utility: Utility,
    /// ISO 4217 code.
    pub currency: String,
    /// Per what it prices.
    pub unit: Unit,
    /// The zone in which its days are counted.
    pub zone: TimeZone,
    /// By `valid_from`, each proven to price every minute.
    pub versions: Vec<TariffVersion>,
}

/// The tariffs and calendars of a file and of those that it names.
#[derive(Clone, Debug, Default)]
pub struct TariffFile {
    /// In the order of the file.
    pub tariffs: Vec<TariffText>,
    /// In the order of the file.
    pub calendars: Vec<Calendar>,
}

impl TariffFile {
    /// The day types by which the tariffs are shown: all dates and names of its calendars; of weekdays alone where it
    /// has none.
    #[must_use]
    pub fn calendar(&self) -> Calendar {
        let mut all = Calendar::default();
        for calendar in &self.calendars {
            all.exceptions.extend(&calendar.exceptions);
            for (name, dates) in &calendar.named {
                all.named.entry(name.clone()).or_default().extend(dates.iter().copied());
            }
        }
        all
    }

    /// Names of dates that a tariff asks for and no calendar of the file has.
    #[must_use]
    pub fn unknown_names(&self) -> Vec<&str> {
        let versions = self.tariffs.iter().flat_map(|tariff| &tariff.versions);
        let mut names: Vec<&str> = versions.flat_map(TariffVersion::names_of_dates).collect();
        names.sort_unstable();
        names.dedup();
        let has = |name: &str| self.calendars.iter().any(|calendar| calendar.named.contains_key(name));
        names.retain(|name| !has(name));
        names
    }

    /// The last date for which every calendar knows the holidays; none where there is no calendar with dates.
    #[must_use]
    pub fn complete_until(&self) -> Option<LocalDate> {
        self.calendars.iter().filter_map(Calendar::complete_until).min()
    }
}

/// Reads a file of [[tariff]] and [[calendar]] tables, or a site file.
///
/// # Errors
/// Every fault, in the order of the file's lines.
pub fn tariffs_of(site: impl Into<SiteText>, name: &str) -> Result<TariffFile, Vec<Fault>> {
    let site = site.into();
    let context = context(&site.text, &site.attached, name);
    let whole = with_tables(&context, &site.text, |table| table.contains_key("site"));
    if whole == Some(true) {
        let file = parse(site, name)?;
        let calendars = file.calendars.into_iter().map(|item| item.calendar).collect();
        return Ok(TariffFile { tariffs: file.tariffs.into_iter().map(text).collect(), calendars });
    }
    let file = with_tables(&context, &site.text, |table| {
        let root = Reader::new(&context, table, 1, String::new());
        let calendars = calendars(&root).into_iter().map(|item| item.calendar).collect();
        let tariffs = tariffs(&root, &[]).into_iter().map(text).collect();
        if !root.has("tariff") {
            context.faults.at_line(1, "tariff", "is missing", "write [[tariff]] with its [[tariff.version]]");
        }
        root.finish();
        TariffFile { tariffs, calendars }
    });
    context.faults.or(file.unwrap_or_default())
}

fn text(item: TariffItem) -> TariffText {
    let TariffItem { name, utility, currency, unit, zone, versions, .. } = item;
    let versions = versions.into_iter().map(|item| item.version).collect();
    TariffText { name, utility, currency, unit, zone, versions }
}
