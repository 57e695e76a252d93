//! What a statement shows to a person, with names instead of numbers and the registers with which the month began and ended.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::AsArray;
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use engine::billing::statements::{Statement, StatementLine};
use engine::registry::{Meter, Registry, ServicePoint, Site};
use kernel::conversion::Conversion;
use kernel::epoch::Epoch;
use kernel::id::AccountId;
use kernel::money::{Amount, Quantity};
use kernel::time::{DAY, LocalMonth, Moment};

use super::lines;
use crate::call::{Failure, failed};
use crate::node::Node;

/// How long before a month its opening reading may lie.
const READING_BEFORE: i64 = 40 * DAY;
/// How many spans one statement of SQL lists.
const SPANS_AT_ONCE: usize = 500;

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

type ByAccount = BTreeMap<AccountId, Vec<Reading>>;

/// What one account pays for of one installation within a month.
struct Span<'a> {
    account: AccountId,
    point: &'a ServicePoint,
    epoch: &'a Epoch,
    meter: &'a Meter,
    from: Moment,
    to: Moment,
}

/// The registers with which the month, a tenancy or an installation within it began and ended, at the service points that an
/// account paid for.
async fn readings(
    node: &Node,
    registry: &Registry,
    stated: &[Statement],
    month: LocalMonth,
) -> Result<ByAccount, Failure> {
    let mut all = ByAccount::new();
    let accounts: BTreeSet<_> = stated.iter().map(|statement| statement.account).collect();
    for site in registry.sites() {
        let Some(month) = site.span(month) else { continue };
        let points = registry.service_points().filter(|point| point.site == site.id);
        let spans: Vec<Span<'_>> = points.flat_map(|point| spans(registry, point, &accounts, month)).collect();
        for spans in spans.chunks(SPANS_AT_ONCE) {
            let table = node.query.query(&question(spans)).await.map_err(failed)?;
            for batch in &table.batches {
                let number = |column: usize, row: usize| batch.column(column).as_primitive::<Int64Type>().value(row);
                let time = |column: usize, row: usize| {
                    Moment(batch.column(column).as_primitive::<TimestampMicrosecondType>().value(row))
                };
                for row in 0..batch.num_rows() {
                    let span = usize::try_from(number(0, row)).ok().and_then(|place| spans.get(place));
                    let Some(span) = span else { continue };
                    let (from, to) = ((time(1, row), number(2, row)), (time(3, row), number(4, row)));
                    all.entry(span.account).or_default().push(span.reading(registry, site, from, to));
                }
            }
        }
    }
    Ok(all)
}

/// What accounts pay for at a service point within a month.
fn spans<'a>(
    registry: &'a Registry,
    point: &'a ServicePoint,
    accounts: &BTreeSet<AccountId>,
    (start, end): (Moment, Moment),
) -> Vec<Span<'a>> {
    let overlap = |(from, to): (Moment, Moment), other: (Moment, Option<Moment>)| {
        let (from, to) = (from.max(other.0), other.1.map_or(to, |end| end.min(to)));
        (from < to).then_some((from, to))
    };
    let mut spans = Vec::new();
    for contract in point.contracts().filter(|contract| accounts.contains(&contract.account)) {
        let Some(paid) = overlap((start, end), (contract.valid_from, contract.valid_to)) else { continue };
        for epoch in point.epochs().iter() {
            let (Some((from, to)), Some(meter)) =
                (overlap(paid, (epoch.valid_from, epoch.valid_to)), registry.meter(epoch.meter))
            else {
                continue;
            };
            spans.push(Span { account: contract.account, point, epoch, meter, from, to });
        }
    }
    spans
}

/// The first and the last accepted register of each span, with their times: the last before it, where its installation has
/// one, and the last within it.
fn question(spans: &[Span<'_>]) -> String {
    let quoted = |meter: &Meter| format!("'{}'", meter.serial.replace('\'', "''"));
    let serials: BTreeSet<String> = spans.iter().map(|span| quoted(span.meter)).collect();
    let rows = spans.iter().enumerate().map(|(place, Span { epoch, meter, from, to, .. })| {
        let earliest = epoch.valid_from.max(from.plus(-READING_BEFORE));
        format!("({place}, {}, TIMESTAMP '{earliest}', TIMESTAMP '{from}', TIMESTAMP '{to}')", quoted(meter))
    });
    let all = |time: fn(&Span<'_>) -> Moment| spans.iter().map(time);
    let least = all(|span| span.from.plus(-READING_BEFORE)).min().unwrap_or(Moment(0));
    let most = all(|span| span.to).max().unwrap_or(Moment(0));
    format!(
        "WITH s (span, meter, earliest, begins, ends) AS (VALUES {}), \
         r AS (SELECT s.span, s.begins, r.time, r.register_count FROM s JOIN readings AS r ON r.meter = s.meter \
         WHERE r.meter IN ({}) AND r.verdict IN ('accepted', 'opening') AND r.kind = 'register' \
         AND r.time >= TIMESTAMP '{least}' AND r.time <= TIMESTAMP '{most}' AND r.time >= s.earliest AND r.time <= s.ends), \
         b AS (SELECT span, begins, coalesce(max(CASE WHEN time <= begins THEN time END), min(time)) AS first, \
         max(time) AS last FROM r GROUP BY span, begins) \
         SELECT b.span, b.first, f.register_count, b.last, l.register_count \
         FROM b JOIN r AS f ON f.span = b.span AND f.time = b.first JOIN r AS l ON l.span = b.span AND l.time = b.last \
         WHERE b.last > b.begins ORDER BY b.span",
        rows.collect::<Vec<_>>().join(", "),
        serials.into_iter().collect::<Vec<_>>().join(", ")
    )
}

impl Span<'_> {
    fn reading(&self, registry: &Registry, site: &Site, from: (Moment, i64), to: (Moment, i64)) -> Reading {
        let Span { point, epoch, meter, .. } = self;
        let at = |moment: Moment| crate::perform::explain::wall_time(site, moment);
        let conversion = registry.terms(point.id).filter(|_| epoch.converts).map(|terms| &terms.conversion);
        let converted = conversion.map_or_else(String::new, |conversion| converted(conversion, (from.0, to.0), at));
        Reading {
            point: point.name.to_string(),
            utility: point.utility.name(),
            meter: meter.serial.to_string(),
            from: (at(from.0), shown(meter, from.1)),
            to: (at(to.0), shown(meter, to.1)),
            factor: factor(meter, epoch) + &converted,
            unit: point.utility.unit(),
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
