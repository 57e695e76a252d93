//! The month's maxima of demand, from stored readings, for charges beside energy ([`super::components`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kernel::component::demand::{Load, Maxima, Window};
use kernel::id::MeterId;
use kernel::judge::Interval;
use kernel::money::Quantity;
use kernel::reading::Verdict;
use kernel::time::LocalDate;

use super::component_facts::{AccountMonth, contracts_of};
use super::corrections::truth;
use super::error::BillingError;
use super::late::stored_rows;
use super::rerate::{Start, rate};
use super::writer::Writer;
use crate::lake::read::StoredRow;

impl Writer {
    /// The month's maxima of demand while the account paid, by measured intervals: one that bridges a gap counts as what it
    /// is, a single interval.
    pub(super) async fn maxima(
        &self,
        of: AccountMonth,
        windows: &[Window],
    ) -> Result<Vec<(Window, Maxima)>, BillingError> {
        let contracts = contracts_of(&self.registry, of);
        let span =
            self.registry.service_point(of.point).and_then(|point| self.registry.site(point.site)?.span(of.month));
        let (Some((start, end)), Some((first, _)), false) = (span, contracts.first(), windows.is_empty()) else {
            return Ok(Vec::new());
        };
        let until = contracts.iter().map(|(contract, _)| contract.valid_to.unwrap_or(end)).max().unwrap_or(end);
        let (from, to) = (start.max(first.valid_from), end.min(until));
        let Some(setup) = self.pricing.points.get(&of.point).map(|point| Arc::clone(&point.setup)) else {
            return Ok(Vec::new());
        };
        let (state, after) = self.checkpoint_before(of.point, &setup, from.plus(-1)).await?;
        // How a gap is divided does not matter: its parts belong together again below.
        let begin = Start::new((state, after), None);
        let meters: BTreeSet<MeterId> = setup.meters().collect();
        let by_meter = stored_rows(&self.lake, &self.files, &self.hot, &self.overrides, &meters, after)?;
        let mut rows: Vec<StoredRow> = truth(by_meter.into_values().flatten(), &self.corrections, &meters, after);
        rows.retain(|row| !matches!(row.verdict, Verdict::Duplicate | Verdict::Pending));
        // The parts of one reading's interval belong together again; a closing count ends one for each day at most.
        let mut intervals: BTreeMap<(Option<usize>, Option<LocalDate>), Interval> = BTreeMap::new();
        rate(&setup, &begin, &rows, self.clock.now(), |index, part| {
            let part_of = (index, index.is_none().then_some(part.date));
            let whole = Interval { from: part.from, to: part.to, quantity: Quantity::ZERO };
            let whole = intervals.entry(part_of).or_insert(whole);
            whole.from = whole.from.min(part.from);
            whole.to = whole.to.max(part.to);
            whole.quantity += part.quantity;
        });
        let intervals = intervals.into_values().filter(|interval| interval.from < interval.to);
        let load = match Load::of_intervals(intervals) {
            Ok(load) => load,
            Err(fault) => {
                tracing::warn!(point = %of.point, month = %of.month, ?fault, "no demand can be told from these readings");
                Load::default()
            }
        };
        let maxima = windows.iter().filter_map(|window| {
            let maxima = load.maxima(*window, &setup.terms, from, to).ok()?;
            Some((*window, maxima))
        });
        Ok(maxima.collect())
    }
}
