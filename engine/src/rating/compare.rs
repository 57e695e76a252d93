//! What was charged against what the readings cost: the same rating as ever, compared line by line with what book and lake
//! say, over the local days of a span.
//!
//! In a healthy book nothing differs. What waits as an adjustment, or was rejected, is known already and no difference: the
//! one has been proposed, the other was decided by a person.
//!
//! Rating begins, as for late readings, with the state that was stored when the span's first month began; who doubts that
//! state begins the span earlier.
//!
//! **Memory.** Service points are compared [`LINES_AT_ONCE`] lines at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::StreamExt as _;
use kernel::id::{AccountId, ServicePointId};
use kernel::time::{LocalMonth, Moment};
use sqlx::AnyConnection;

use super::{Pair, Span, rate_span};
use crate::billing::charged::{ChargedLine, for_each_line, line_of};
use crate::billing::error::BillingError;
use crate::billing::lines::{ComponentName, ENERGY, LineKey, Sum};
use crate::billing::point::Setup;
use crate::billing::recovery::lake_files;
use crate::billing::rerate::{Sums, difference};
use crate::book::BookError;
use crate::engine::Handle;

/// Lines that are compared together (2 million x 2 sides x 80 bytes = 320 MB).
const LINES_AT_ONCE: usize = 2_000_000;
/// Lines of a service point in a month, amply: 31 days of 8 bands and tiers.
const LINES_A_MONTH: usize = 248;

/// What is compared.
#[derive(Clone, Debug)]
pub struct Compared {
    /// Only service points that these accounts ever paid for, whoever pays for them; all, where there is none.
    pub accounts: Option<BTreeSet<AccountId>>,
    /// On these local days.
    pub span: Span,
}

/// A service point whose readings cost something else than was charged for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PointDifference {
    /// Which.
    pub id: ServicePointId,
    /// What the lines that differ were charged.
    pub charged: Sums,
    /// What they cost more.
    pub difference: Sums,
}

impl Compared {
    fn holds(&self, key: &LineKey) -> bool {
        // Whoever pays: of energy that was charged to the wrong account, one side alone would be charged twice or to nobody.
        let Span { first, last } = self.span;
        first <= key.date && key.date <= last
    }

    fn months(&self) -> (LocalMonth, LocalMonth) {
        (self.span.first.month(), self.span.last.month())
    }

    /// How many service points are compared together.
    #[must_use]
    pub fn points_at_once(&self) -> usize {
        let (first, last) = self.months();
        let months = usize::try_from(last.0.saturating_sub(first.0).saturating_add(1)).unwrap_or(1).max(1);
        (LINES_AT_ONCE / LINES_A_MONTH / months).max(1)
    }
}

/// The service points whose charges are not what their readings cost, with every installation that ended by `until` billed
/// up to its closing count. Frames that are settled meanwhile may show as differences: only the writer's own comparison,
/// between two settlements, is exact.
///
/// # Errors
/// [`BillingError`] where book or lake cannot be read.
pub(crate) async fn compare(
    handle: &Handle,
    setups: Vec<Arc<Setup>>,
    compared: &Compared,
    until: Moment,
    threads: usize,
) -> Result<(Vec<PointDifference>, u64), BillingError> {
    let points: BTreeSet<ServicePointId> = setups.iter().map(|setup| setup.id).collect();
    let mut charged = charged(handle, &points, compared).await?;
    let pairs = setups.into_iter().map(Pair::of).collect();
    let mut rated = rate_span(handle, pairs, compared.span, until, threads).await?;
    let (mut found, mut readings) = (Vec::new(), 0);
    while let Some(rated) = rated.next().await {
        let mut rated = rated?;
        readings += rated.readings;
        rated.new.retain(|key, _| compared.holds(key));
        let mut charged = charged.remove(&rated.id).unwrap_or_default();
        let difference = difference(&charged, rated.new);
        if !difference.is_empty() {
            charged.retain(|key, _| difference.contains_key(key));
            found.push(PointDifference { id: rated.id, charged, difference });
        }
    }
    found.sort_by_key(|point| point.id);
    Ok((found, readings))
}

/// What was charged for energy, by service point and line, with what waits for approval or was rejected.
async fn charged(
    handle: &Handle,
    points: &BTreeSet<ServicePointId>,
    compared: &Compared,
) -> Result<BTreeMap<ServicePointId, Sums>, BillingError> {
    let mut all: BTreeMap<ServicePointId, Sums> = BTreeMap::new();
    let (first, last) = compared.months();
    let mut snapshot = handle.book().snapshot().await?;
    let files = lake_files(&mut snapshot).await?;
    for_each_line(&mut snapshot, handle.lake(), &files, points, first..=last, |line| {
        if line.key.component == ComponentName::ENERGY && compared.holds(&line.key) {
            all.entry(line.point).or_default().entry(line.key).or_default().add(line.sum);
        }
    })
    .await?;
    proposed(&mut snapshot, |point, key, sum| {
        if points.contains(&point) && compared.holds(&key) {
            all.entry(point).or_default().entry(key).or_default().add(sum);
        }
    })
    .await?;
    Ok(all)
}

/// The lines of adjustments that wait or were rejected.
async fn proposed(
    connection: &mut AnyConnection,
    mut each: impl FnMut(ServicePointId, LineKey, Sum),
) -> Result<(), BookError> {
    let sql = "SELECT l.service_point_id, a.account_id, l.local_date, l.band, l.tier, l.tariff_version_id, l.quantity, \
               l.amount FROM adjustment_lines l JOIN adjustments a ON a.id = l.adjustment_id \
               WHERE a.state IN ('pending', 'rejected') AND l.component = $1";
    for row in sqlx::query(sql).bind(ENERGY).fetch_all(connection).await? {
        let ChargedLine { point, key, sum, .. } = line_of(&row, ComponentName::ENERGY, "adjustment_lines.amount")?;
        each(point, key, sum);
    }
    Ok(())
}
