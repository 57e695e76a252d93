//! Comparing a site file with the registry: pure, all faults at once, every change in words.

mod accounts;
mod calendars;
mod components;
mod conversions;
mod handover;
mod installations;
mod meters;
mod parents;
mod points;
mod pools;
mod registers;
mod shared;
mod tariffs;
mod units;

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use jiff::tz::TimeZone;
use kernel::epoch::{Epoch, ProfileFacts};
use kernel::id::{AccountId, MeterId, ServicePointId, SiteId};
use kernel::time::Moment;
use kernel::unit::Unit;

pub use registers::plan_registers;

use super::fault::{At, Fault, Faults};
use super::model::SiteFile;
use super::words;
use super::write::Rows;
use crate::registry::{CalendarId, GasQualityId, LastIds, LocationId, PolicyId, Registry, TABLES, TariffId};
pub use handover::{MoveFault, close_account, move_point};

/// What a plan asks other parts of the program.
pub struct Checks<'a> {
    /// The profiles that the field side knows, by name.
    pub profiles: &'a BTreeMap<String, ProfileFacts>,
    /// Whether a policy's definition is sound; the error has a line for each fault, `key: what; remedy`.
    pub policy: &'a dyn Fn(&serde_json::Value) -> Result<(), String>,
}

/// What kind of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// Something new.
    Created,
    /// Something has another value.
    Changed,
    /// Something ends.
    Ended,
    /// Something was never so.
    Corrected,
}

/// One change, for people and for the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What kind.
    pub kind: ChangeKind,
    /// What changes, such as `meter:DT2024001`.
    pub subject: String,
    /// How.
    pub text: String,
}

/// `+ meter DT2024001: ...`, with `~` for a change, `-` for an end and `!` for a correction.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.kind {
            ChangeKind::Created => '+',
            ChangeKind::Changed => '~',
            ChangeKind::Ended => '-',
            ChangeKind::Corrected => '!',
        };
        write!(f, "{sign} {}: {}", self.subject.replacen(':', " ", 1), self.text)
    }
}

/// What brings the book to the file.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Every change, in the order of things.
    pub changes: Vec<Change>,
    /// Service points that must be rated anew, each from a moment on: a change reaches back.
    pub dirty: Vec<(ServicePointId, Moment)>,
    pub(super) rows: Rows,
    /// The identifiers in use when the plan was made.
    pub(super) base: LastIds,
}

impl Plan {
    /// The installations as they will be that this plan ends or begins.
    #[must_use]
    pub fn installations(&self) -> Vec<Epoch> {
        self.rows.epoch_updates.iter().chain(&self.rows.new_epochs).cloned().collect()
    }

    /// Whether the book is what the file says already.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// One line for each change; `nothing to change` where there is none.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return writeln!(f, "nothing to change");
        }
        self.changes.iter().try_for_each(|change| writeln!(f, "{change}"))
    }
}

/// Compares a file with the registry.
///
/// # Errors
/// Every fault, in the order of the file's lines; then nothing is to be changed.
pub fn plan(file: &SiteFile, registry: &Registry, checks: &Checks<'_>, now: Moment) -> Result<Plan, Vec<Fault>> {
    let mut planner = Planner::new(file, registry, checks, now);
    planner.calendars();
    planner.policies();
    planner.sites();
    planner.locations();
    planner.tariffs();
    planner.gas_qualities();
    planner.accounts();
    planner.service_points();
    planner.calendars_fit();
    planner.unit_accounts();
    planner.pools_agree();
    planner.pools_fit();
    planner.meters();
    planner.conversions_fit();
    planner.finish()
}

/// What names mean: in the file, else in the book.
#[derive(Debug, Default)]
struct Names {
    calendars: HashMap<String, CalendarId>,
    policies: HashMap<String, PolicyId>,
    /// By site and name.
    locations: HashMap<(SiteId, String), LocationId>,
    tariffs: HashMap<String, KnownTariff>,
    accounts: HashMap<String, KnownAccount>,
    points: HashMap<String, KnownPoint>,
    qualities: HashMap<String, KnownQuality>,
    /// The file's meters.
    meters: HashMap<String, KnownMeter>,
}

#[derive(Clone, Copy, Debug)]
struct KnownMeter {
    id: MeterId,
    utility: kernel::id::Utility,
}

#[derive(Clone, Debug)]
struct KnownTariff {
    id: TariffId,
    utility: kernel::id::Utility,
    currency: String,
    unit: Unit,
    first_version: Option<Moment>,
    /// By version, in order.
    demands: Vec<Demand>,
    /// What its components ask a contract for, from when on.
    asks: Vec<(Moment, Ask)>,
}

/// What a version asks a calendar for.
#[derive(Clone, Debug)]
struct Demand {
    /// When the next version follows.
    until: Option<Moment>,
    /// Whether it matters which dates are holidays.
    holidays: bool,
    /// Names of dates.
    names: Vec<String>,
}

/// What a component asks a contract for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Ask {
    /// Its capacity.
    Capacity,
    /// The service point of another service, by the name that the component gives it.
    Source(String),
}

#[derive(Clone, Debug)]
struct KnownAccount {
    id: AccountId,
    site: SiteId,
    until: Option<Moment>,
}

#[derive(Clone, Debug)]
struct KnownPoint {
    id: ServicePointId,
    site: SiteId,
    utility: kernel::id::Utility,
    unit: Unit,
}

#[derive(Clone, Copy, Debug)]
struct KnownQuality {
    id: GasQualityId,
    /// From where on it has values.
    first: Option<Moment>,
}

struct Planner<'a> {
    file: &'a SiteFile,
    registry: &'a Registry,
    checks: &'a Checks<'a>,
    now: Moment,
    faults: Faults,
    changes: Vec<Change>,
    dirty: BTreeMap<ServicePointId, Moment>,
    rows: Rows,
    last: LastIds,
    /// Of the file's sites, in order.
    site_ids: Vec<SiteId>,
    names: Names,
    /// Why, where one reason is given for all changes.
    reason: Option<String>,
}

impl<'a> Planner<'a> {
    fn new(file: &'a SiteFile, registry: &'a Registry, checks: &'a Checks<'a>, now: Moment) -> Planner<'a> {
        Planner {
            file,
            registry,
            checks,
            now,
            faults: Faults::new(&file.name),
            changes: Vec::new(),
            dirty: BTreeMap::new(),
            rows: Rows::default(),
            last: registry.last_ids(),
            site_ids: Vec::new(),
            names: Names::default(),
            reason: None,
        }
    }

    fn finish(self) -> Result<Plan, Vec<Fault>> {
        let Planner { faults, changes, dirty, rows, registry, .. } = self;
        faults.or(Plan { changes, dirty: dirty.into_iter().collect(), rows, base: registry.last_ids() })
    }
}

impl Planner<'_> {
    /// A new identifier of one of [`TABLES`].
    fn next(&mut self, table: &str) -> u32 {
        let place = TABLES.iter().position(|name| *name == table).expect("the table is one of TABLES");
        self.last[place] += 1;
        self.last[place]
    }

    fn change(&mut self, kind: ChangeKind, subject: String, mut text: String) {
        if let Some(reason) = &self.reason {
            text += &format!(" ({reason})");
        }
        self.changes.push(Change { kind, subject, text });
    }

    /// Marks a service point to be rated anew from a moment on, if that moment is past and the book knew the point.
    fn touch(&mut self, point: ServicePointId, from: Moment) {
        if from < self.now && self.registry.service_point(point).is_some() {
            let earliest = self.dirty.entry(point).or_insert(from);
            *earliest = from.min(*earliest);
        }
    }

    /// Names that the file gives twice.
    fn twice<'n>(&self, kind: &str, names: impl Iterator<Item = (&'n str, &'n At)>) {
        let mut seen: HashMap<&str, usize> = HashMap::new();
        for (name, at) in names {
            if let Some(first) = seen.insert(name, at.line) {
                let key = if kind == "meter" { "serial" } else { "name" };
                let what = format!("names {kind} {name:?} again (first in line {first})");
                self.faults.add(at, key, what, "give each its own name, or remove one of them");
            }
        }
    }

    fn zone(&self, site: usize) -> &TimeZone {
        &self.file.sites[site].zone
    }

    /// Where things of a site begin that say nothing else.
    fn default_from(&self, site: usize) -> Moment {
        self.file.sites[site].from.unwrap_or(self.now)
    }

    fn show(&self, site: usize, moment: Moment) -> String {
        words::show_moment(moment, self.zone(site))
    }

    /// A location's identifier; a fault where the site has none of that name.
    fn location(&self, at: &At, site: usize, name: Option<&String>) -> Option<LocationId> {
        let name = name?;
        let found = self.names.locations.get(&(self.site_ids[site], name.clone())).copied();
        if found.is_none() {
            self.faults.add(
                at,
                "location",
                format!("is {name:?}, which the site has no [[location]] for"),
                "add the location, or correct the name",
            );
        }
        found
    }
}

/// Differences in words, `key: old -> new`; empty where there are none.
#[derive(Default)]
struct Differences(Vec<String>);

impl Differences {
    fn of<T: PartialEq>(&mut self, key: &str, old: &T, new: &T, show: impl Fn(&T) -> String) {
        if old != new {
            self.0.push(format!("{key} {} -> {}", show(old), show(new)));
        }
    }

    fn text(&mut self, key: &str, old: &str, new: &str) {
        self.of(key, &old, &new, |text| format!("{text:?}"));
    }

    fn optional(&mut self, key: &str, old: Option<&str>, new: Option<&str>) {
        self.of(key, &old, &new, |text| text.map_or("none".to_owned(), |text| format!("{text:?}")));
    }

    fn joined(&self) -> Option<String> {
        (!self.0.is_empty()).then(|| self.0.join(", "))
    }
}
