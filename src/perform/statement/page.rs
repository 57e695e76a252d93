//! What a statement shows to a person, with names instead of numbers and the registers with which the month began and ended.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::AsArray;
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use engine::billing::statements::{Statement, StatementLine};
use engine::registry::{Meter, Registry, Site};
use kernel::conversion::Conversion;
use kernel::epoch::Epoch;
use kernel::money::{Amount, Quantity};
use kernel::time::{DAY, LocalMonth, Moment};

use super::lines;
use crate::call::{Failure, failed};
use crate::node::Node;

/// How long before a month its opening reading may lie.
const READING_BEFORE: i64 = 40 * DAY;

/// An account's statement, ready to be shown.
pub(super) struct Page<'a> {
    pub(super) statement: &'a Statement,
    pub(super) site: &'a Site,
    /// Of all amounts: kWh or m3 where the account buys units.
    pub(super) currency: &'a str,
    pub(super) account: &'a str,
    pub(super) holder: &'a str,
    pub(super) place: &'a str,
    /// Date, what it is, amount.
    pub(super) movements: Vec<(String, String, Amount)>,
    /// The cells of [`lines::COLUMNS`], and the line itself.
    pub(super) lines: Vec<(Vec<String>, &'a StatementLine)>,
    /// The cells of what is shown beside the charges and not added.
    pub(super) beside: Vec<Vec<String>>,
    pub(super) readings: Vec<Reading>,
}

/// A meter's register over the month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) point: String,
    pub(super) utility: &'static str,
    pub(super) meter: String,
    /// When, and what the register showed.
    pub(super) from: (String, String),
    pub(super) to: (String, String),
    /// What a unit on the register is multiplied by.
    pub(super) factor: String,
    pub(super) unit: &'static str,
}

impl Page<'_> {
    /// Payments and the like.
    pub(super) fn paid(&self) -> Amount {
        self.statement.movements.iter().map(|movement| movement.amount).sum()
    }

    /// What lines carried in from earlier statements, and what they carry out.
    pub(super) fn carried(&self) -> (Amount, Amount) {
        let lines = &self.statement.lines;
        (lines.iter().map(|line| line.carried_in).sum(), lines.iter().map(|line| line.carried_out).sum())
    }
}

pub(super) async fn pages<'a>(
    node: &Node,
    registry: &'a Registry,
    stated: &'a [Statement],
    month: LocalMonth,
) -> Result<Vec<Page<'a>>, Failure> {
    let mut readings = readings(node, registry, stated, month).await?;
    let mut pages = Vec::new();
    for statement in stated {
        let Some((account, site)) = super::owner(registry, statement) else { continue };
        let date = |at| site.days.at(at).map_or_else(String::new, |day| day.date.to_string());
        let movements = statement.movements.iter();
        let place = account.location.and_then(|id| registry.location(id)).map_or("", |place| &place.title);
        let lines = (1..).zip(&statement.lines);
        pages.push(Page {
            statement,
            site,
            currency: registry.commodity_of(account.id),
            account: &account.name,
            holder: &account.holder,
            place,
            movements: movements
                .map(|movement| (date(movement.at), words(&movement.kind, &movement.memo), movement.amount))
                .collect(),
            lines: lines
                .map(|(place, line)| (lines::charge(registry, site, &account.name, statement, line, place), line))
                .collect(),
            beside: statement.shown.iter().map(|shown| lines::beside(registry, &account.name, shown)).collect(),
            readings: readings.remove(&statement.account).unwrap_or_default(),
        });
    }
    Ok(pages)
}

fn words(kind: &str, memo: &str) -> String {
    let kind = kind.replace('_', " ");
    if memo.is_empty() { kind } else { format!("{kind}: {memo}") }
}

type ByAccount = BTreeMap<kernel::id::AccountId, Vec<Reading>>;

/// The registers that the month began and ended with, at the service points that an account paid for during it.
async fn readings(
    node: &Node,
    registry: &Registry,
    stated: &[Statement],
    month: LocalMonth,
) -> Result<ByAccount, Failure> {
    let mut all = ByAccount::new();
    let accounts: BTreeSet<_> = stated.iter().map(|statement| statement.account).collect();
    for site in registry.sites() {
        let Some((start, end)) = site.span(month) else { continue };
        let mut serials = BTreeSet::new();
        for point in registry.service_points().filter(|point| point.site == site.id) {
            let paid = point.contracts.iter().any(|contract| {
                let within = contract.valid_from < end && contract.valid_to.is_none_or(|to| to > start);
                within && accounts.contains(&contract.account)
            });
            let meters = point.epochs().iter().filter(|_| paid).filter_map(|epoch| registry.meter(epoch.meter));
            serials.extend(meters.map(|meter| meter.serial.as_str()));
        }
        if serials.is_empty() {
            continue;
        }
        let table = node.query.query(&question(&serials, start, end)).await.map_err(failed)?;
        for batch in &table.batches {
            let text = |column: usize, row: usize| {
                let array = arrow::compute::cast(batch.column(column), &arrow::datatypes::DataType::Utf8);
                array.map(|array| array.as_string::<i32>().value(row).to_owned()).unwrap_or_default()
            };
            let time = |column: usize, row: usize| {
                Moment(batch.column(column).as_primitive::<TimestampMicrosecondType>().value(row))
            };
            let count = |column: usize, row: usize| batch.column(column).as_primitive::<Int64Type>().value(row);
            for row in 0..batch.num_rows() {
                let found = Found {
                    point: text(0, row),
                    serial: text(1, row),
                    from: (time(2, row), count(3, row)),
                    to: (time(4, row), count(5, row)),
                };
                found.give(registry, site, (start, end), &accounts, &mut all);
            }
        }
    }
    Ok(all)
}

/// The first and the last accepted register of each meter at each service point: the last before the month, where there is
/// one, and the last within it.
fn question(serials: &BTreeSet<&str>, start: Moment, end: Moment) -> String {
    let quoted: Vec<String> = serials.iter().map(|serial| format!("'{}'", serial.replace('\'', "''"))).collect();
    let before = start.plus(-READING_BEFORE);
    format!(
        "WITH r AS (SELECT service_point, meter, time, register_count FROM readings \
         WHERE verdict IN ('accepted', 'opening') AND kind = 'register' AND service_point IS NOT NULL \
         AND time >= TIMESTAMP '{before}' AND time <= TIMESTAMP '{end}' AND meter IN ({})), \
         b AS (SELECT service_point, meter, coalesce(max(CASE WHEN time <= TIMESTAMP '{start}' THEN time END), min(time)) \
         AS first, max(time) AS last FROM r GROUP BY service_point, meter) \
         SELECT b.service_point, b.meter, b.first, f.register_count, b.last, l.register_count \
         FROM b JOIN r AS f ON f.service_point = b.service_point AND f.meter = b.meter AND f.time = b.first \
         JOIN r AS l ON l.service_point = b.service_point AND l.meter = b.meter AND l.time = b.last \
         WHERE b.last > TIMESTAMP '{start}' ORDER BY b.service_point, b.first",
        quoted.join(", ")
    )
}

struct Found {
    point: String,
    serial: String,
    from: (Moment, i64),
    to: (Moment, i64),
}

impl Found {
    fn give(
        self,
        registry: &Registry,
        site: &Site,
        (start, end): (Moment, Moment),
        accounts: &BTreeSet<kernel::id::AccountId>,
        all: &mut ByAccount,
    ) {
        let Some(point) = registry.service_point_named(&self.point) else { return };
        let Some(meter) = registry.meter_by_serial(&self.serial) else { return };
        let at = |moment: Moment| crate::perform::explain::wall_time(site, moment);
        let epoch = point.epochs().iter().rev().find(|epoch| epoch.meter == meter.id && epoch.valid_from <= self.to.0);
        let reading = Reading {
            point: point.name.to_string(),
            utility: point.utility.name(),
            meter: meter.serial.to_string(),
            from: (at(self.from.0), shown(meter, self.from.1)),
            to: (at(self.to.0), shown(meter, self.to.1)),
            factor: epoch.map_or_else(String::new, |epoch| {
                let conversion = registry.terms(point.id).filter(|_| epoch.converts).map(|terms| &terms.conversion);
                factor(meter, epoch)
                    + &conversion
                        .map_or_else(String::new, |conversion| converted(conversion, (self.from.0, self.to.0), at))
            }),
            unit: point.utility.unit(),
        };
        let within = point
            .contracts
            .iter()
            .filter(|contract| contract.valid_from < end && contract.valid_to.is_none_or(|to| to > start));
        let payers: BTreeSet<_> =
            within.map(|contract| contract.account).filter(|account| accounts.contains(account)).collect();
        for account in payers {
            all.entry(account).or_default().push(reading.clone());
        }
    }
}

/// A count as the register shows it, in units; as a count where a unit is no whole number of thousandths.
fn shown(meter: &Meter, count: i64) -> String {
    let (numerator, denominator) = meter.resolution;
    match count.checked_mul(numerator) {
        Some(thousandths) if thousandths % denominator.max(1) == 0 => {
            Quantity(thousandths / denominator.max(1)).to_string()
        }
        _ => format!("{count} counts"),
    }
}

/// ` x 39.5 MJ/m3 x 1.02264 / 3.6`, and what follows within the span, each with its beginning.
fn converted(conversion: &Conversion, (from, to): (Moment, Moment), at: impl Fn(Moment) -> String) -> String {
    let factors = conversion.factors();
    let first = factors.partition_point(|factor| factor.from <= from).saturating_sub(1);
    let within =
        factors.iter().enumerate().skip(first).take_while(|(place, factor)| *place == first || factor.from < to);
    let texts = within.map(|(place, factor)| {
        let text = crate::perform::explain::worth(factor);
        if place == first { format!(" x {text}") } else { format!("; from {} x {text}", at(factor.from)) }
    });
    texts.collect()
}

/// CT x PT x pulse weight: what a unit on the register is multiplied by.
fn factor(meter: &Meter, epoch: &Epoch) -> String {
    let above = i128::from(epoch.numerator) * i128::from(meter.resolution.1);
    let below = i128::from(epoch.denominator) * i128::from(meter.resolution.0);
    match below {
        0 => String::new(),
        below if above % below == 0 => (above / below).to_string(),
        below => format!("{above}/{below}"),
    }
}
