//! The month's maxima of demand, from stored readings, for charges beside energy ([`super::components`]).
//!
//! An account has the maxima of the time in which it paid. Where it left and came back within the month, what the tenant
//! between took is not among them.

use std::collections::BTreeSet;
use std::sync::Arc;

use kernel::component::demand::{Load, LoadFault, Maxima, Window};
use kernel::gap::GAP_OVER;
use kernel::id::MeterId;
use kernel::judge::Interval;
use kernel::money::Quantity;
use kernel::rate::{Contract, Terms};
use kernel::reading::Verdict;
use kernel::time::Moment;

use super::component_facts::{AccountMonth, contracts_of};
use super::corrections::truth;
use super::error::BillingError;
use super::late::stored_rows;
use super::point::Setup;
use super::rerate::{Start, intervals};
use super::writer::Writer;
use crate::lake::read::StoredRow;

/// A stretch of time, the end exclusive.
pub type Stretch = (Moment, Moment);

/// When within a span one of these contracts was in force, in order; those that follow each other are one stretch, because
/// a window of demand may lie across the seam.
#[must_use]
pub fn stretches<'a>(contracts: impl Iterator<Item = &'a Contract>, (start, end): Stretch) -> Vec<Stretch> {
    let mut found: Vec<Stretch> = Vec::new();
    for contract in contracts {
        let (from, to) = (contract.valid_from.max(start), contract.valid_to.unwrap_or(end).min(end));
        match found.last_mut() {
            Some((_, last)) if from <= *last => *last = to.max(*last),
            _ if from < to => found.push((from, to)),
            _ => {}
        }
    }
    found
}

/// What readings tell of demand in a month.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// The maxima, for each way of averaging that was asked for.
    pub maxima: Vec<(Window, Maxima)>,
    /// How much of the stretches, in microseconds, lies in no stated outage and in no interval that is short enough to tell of
    /// demand: in none at all, or in one of more than [`GAP_OVER`], outages left out. A maximum may have been there.
    pub unknown: i64,
    /// Readings that contradict each other: then there is no maximum at all.
    pub fault: Option<LoadFault>,
}

/// The maxima over some stretches of time, by the bands of a setup's terms.
#[must_use]
pub fn measured(
    intervals: impl IntoIterator<Item = Interval>,
    setup: &Setup,
    windows: &[Window],
    stretches: &[Stretch],
) -> Measured {
    let (terms, point): (&Terms, _) = (&setup.terms, setup.point());
    let intervals: Vec<Interval> = intervals.into_iter().filter(|interval| interval.from < interval.to).collect();
    // An outage is this service point's as long as its meter was installed here.
    let outages = point.outages.iter().flat_map(|outage| {
        let epochs = point.epochs.iter().filter(|epoch| epoch.meter == outage.meter);
        epochs
            .map(|epoch| (outage.from.max(epoch.valid_from), epoch.valid_to.map_or(outage.to, |to| outage.to.min(to))))
    });
    let outages = joined(outages.filter(|(from, to)| from < to).collect());
    let covered = |stretch: Stretch| -> i64 { outages.iter().map(|outage| common(stretch, *outage)).sum() };
    let (mut told, mut untrue) = (outages.clone(), Vec::new());
    for Interval { from, to, quantity } in &intervals {
        let length = to.since(*from);
        match length - covered((*from, *to)) {
            // Something flowed all the same: then the outage does not count.
            0 if length > GAP_OVER && *quantity != Quantity::ZERO => untrue.push((*from, *to)),
            without if without <= GAP_OVER => told.push((*from, *to)),
            _ => {}
        }
    }
    let within = |all: &[Stretch]| -> i64 {
        all.iter().flat_map(|one| stretches.iter().map(|stretch| common(*one, *stretch))).sum()
    };
    let known = within(&joined(told)) - within(&joined(untrue));
    let load = Load::of_intervals(intervals.iter().copied());
    let (load, fault) = match load {
        Ok(load) => (load, None),
        Err(fault) => (Load::default(), Some(fault)),
    };
    let over = |window: Window| {
        let mut all = Maxima::default();
        for (from, to) in stretches {
            all.join(&load.maxima(window, terms, *from, *to).ok()?);
        }
        Some((window, all))
    };
    let maxima: Vec<(Window, Maxima)> = windows.iter().filter_map(|window| over(*window)).collect();
    let whole: i64 = stretches.iter().map(|(from, to)| to.since(*from)).sum();
    Measured { maxima, unknown: (whole - known).max(0), fault }
}

/// Stretches that touch or overlap as one, in order.
fn joined(mut all: Vec<Stretch>) -> Vec<Stretch> {
    all.sort_unstable();
    let mut joined: Vec<Stretch> = Vec::with_capacity(all.len());
    for (from, to) in all {
        match joined.last_mut() {
            Some((_, last)) if from <= *last => *last = to.max(*last),
            _ => joined.push((from, to)),
        }
    }
    joined
}

/// For how long two stretches of time are both under way.
fn common(one: Stretch, other: Stretch) -> i64 {
    one.1.min(other.1).since(one.0.max(other.0)).max(0)
}

impl Writer {
    /// What is measured of demand in a month while the account paid: each interval as it was measured, from one reading to the
    /// next. One that bridges a gap, or an outage, counts as what it is, a single interval.
    ///
    /// `until` is for an account that is to end then.
    pub(super) async fn maxima(
        &self,
        of: AccountMonth,
        windows: &[Window],
        until: Option<Moment>,
    ) -> Result<Measured, BillingError> {
        let contracts = contracts_of(&self.registry, of);
        let span =
            self.registry.service_point(of.point).and_then(|point| self.registry.site(point.site)?.span(of.month));
        let (Some((start, end)), false) = (span, windows.is_empty()) else { return Ok(Measured::default()) };
        let span = (start, until.map_or(end, |until| until.min(end)));
        let stretches = stretches(contracts.iter().map(|(contract, _)| *contract), span);
        let (Some((from, _)), Some(setup)) =
            (stretches.first().copied(), self.pricing.points.get(&of.point).map(|point| Arc::clone(&point.setup)))
        else {
            return Ok(Measured::default());
        };
        let (state, after) = self.checkpoint_before(of.point, &setup, from.plus(-1)).await?;
        let begin = Start::new((state, after), None);
        let meters: BTreeSet<MeterId> = setup.meters().collect();
        let by_meter = stored_rows(&self.lake, &self.files, &self.hot, &self.overrides, &meters, after)?;
        let mut rows: Vec<StoredRow> = truth(by_meter.into_values().flatten(), &self.corrections, &meters, after);
        rows.retain(|row| !matches!(row.verdict, Verdict::Duplicate | Verdict::Pending));
        let measured = measured(intervals(&setup, &begin, &rows, self.clock.now()), &setup, windows, &stretches);
        if let Some(fault) = measured.fault {
            tracing::warn!(point = %of.point, month = %of.month, ?fault, "no demand can be told from these readings");
        }
        Ok(measured)
    }
}
