//! Counts that an operator states, against what the meter said.
//!
//! A closing count must follow from the readings before it, and the first readings after an opening count from that; both
//! by the kernel's own judgement. Where nothing was read nearby, the operator's word stands.

use std::collections::BTreeSet;

use kernel::epoch::Epoch;
use kernel::id::MeterId;
use kernel::judge::RegisterState;
use kernel::point::ALLOWED_DRIFT;
use kernel::reading::{Value, Verdict};
use kernel::time::{DAY, Moment};

use super::error::BillingError;
use super::late::stored_rows;
use super::writer::Writer;
use crate::lake::read::StoredRow;
use crate::site_file::Fault;

/// How far back readings are looked at before a closing count: a reading each quarter of an hour makes 4,000.
const LOOK_BACK: i64 = 40 * DAY;
/// Among so many readings after an opening count one must fit: a few may be glitches.
const LOOK_AHEAD: usize = 8;

impl Writer {
    /// Stated counts of planned installations that the stored readings contradict.
    pub(super) fn contradictions(&self, command: &str, planned: &[Epoch]) -> Result<Vec<Fault>, BillingError> {
        let stated = planned.iter().filter(|epoch| epoch.opening_count.or(epoch.closing_count).is_some());
        let meters: BTreeSet<MeterId> = stated.map(|epoch| epoch.meter).collect();
        let seams = planned.iter().map(|epoch| epoch.valid_to.unwrap_or(epoch.valid_from));
        let Some(first) = seams.min().filter(|_| !meters.is_empty()) else { return Ok(Vec::new()) };
        let after = first.plus(-LOOK_BACK);
        let rows = stored_rows(&self.lake, &self.files, &self.hot, &self.overrides, &meters, after)?;
        let mut faults = Vec::new();
        for epoch in planned {
            let Some(rows) = rows.get(&epoch.meter) else { continue };
            let counts = counts(rows);
            let serial = self.registry.meter(epoch.meter).map_or("the meter", |meter| meter.serial.as_str());
            let mut fault = |key: &str, what: String, remedy: &str| {
                let (file, key, remedy) = (command.to_owned(), format!("meter {serial:?}.{key}"), remedy.to_owned());
                faults.push(Fault { file, line: 0, key, what, remedy });
            };
            if let (Some(end), Some(closing)) = (epoch.valid_to, epoch.closing_count)
                && let Some((time, count)) = before(epoch, &counts, end, closing)
            {
                let what = format!("is {closing}, but the register showed {count} at {time}");
                let remedy = "correct the count (as the register shows it, without the decimal point) or the time";
                fault("closing_count", what, remedy);
            }
            if let Some(opening) = epoch.opening_count.filter(|_| epoch.valid_to.is_none())
                && let Some((time, count)) = after_opening(epoch, &counts)
            {
                let what = format!("is {opening}, but the register showed {count} at {time}");
                let remedy = "correct the count (as the register shows it, without the decimal point) or the time: what \
                              is read after it must follow from it";
                fault("opening_count", what, remedy);
            }
        }
        Ok(faults)
    }
}

/// Register counts in the order of time. Values in quarantine, and what came from the future, say nothing.
fn counts(rows: &[StoredRow]) -> Vec<(Moment, i64)> {
    let sound = |row: &&StoredRow| {
        !matches!(row.verdict, Verdict::Conflict | Verdict::Future) && row.time.since(row.received_at) <= ALLOWED_DRIFT
    };
    let count = |row: &StoredRow| match row.value {
        Value::Register(count) => Some((row.time, count)),
        Value::Usage { .. } => None,
    };
    let mut counts: Vec<(Moment, i64)> = rows.iter().filter(sound).filter_map(count).collect();
    counts.sort_unstable();
    counts.dedup();
    counts
}

/// The reading that a closing count contradicts.
fn before(epoch: &Epoch, counts: &[(Moment, i64)], end: Moment, closing: i64) -> Option<(Moment, i64)> {
    let at_end = counts.iter().find(|(time, _)| *time == end);
    if let Some(other) = at_end.filter(|(_, count)| *count != closing) {
        return Some(*other);
    }
    let mut register = RegisterState::default();
    let mut last = None;
    for (time, count) in counts.iter().filter(|(time, _)| epoch.valid_from <= *time && *time < end) {
        if register.judge(&epoch_without_opening(epoch), *time, *count).verdict.counts() {
            last = Some((*time, *count));
        }
    }
    // Nothing accepted: nothing to contradict.
    let last = last?;
    register.exception = None;
    register.run.clear();
    let follows = register.judge(&epoch_without_opening(epoch), end, closing).verdict.counts();
    (!follows).then_some(last)
}

/// The look back may begin after the opening.
fn epoch_without_opening(epoch: &Epoch) -> Epoch {
    Epoch { opening_count: None, ..epoch.clone() }
}

/// The first reading after an opening count that does not follow from it, where none of the next ones does either.
fn after_opening(epoch: &Epoch, counts: &[(Moment, i64)]) -> Option<(Moment, i64)> {
    let after = counts.iter().filter(|(time, _)| epoch.valid_from <= *time).take(LOOK_AHEAD);
    let mut register = RegisterState::default();
    let mut first = None;
    for (time, count) in after {
        if register.judge(epoch, *time, *count).verdict.counts() {
            return None;
        }
        first = first.or(Some((*time, *count)));
    }
    first
}
