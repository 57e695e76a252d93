//! Resolving what did not arrive in order, and gaps, which only readings of the three weeks before can divide: duplicates
//! are dropped, conflicts quarantined, the rest rated anew.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use kernel::id::{MeterId, ServicePointId};
use kernel::judge::Mark;
use kernel::point::PointState;
use kernel::reading::{Value, Verdict};
use kernel::time::Moment;

use super::calm::Calm;
use super::corrections::{Corrections, truth};
use super::hot::Hot;
use super::point::{Checkpoints, Setup};
use super::rerate::{Divided, Member, Start, Sums, difference, only_duplicates, rate_together};
use crate::lake::file::LakeError;
use crate::lake::flush::LakeFile;
use crate::lake::read::{StoredRow, readings_of};

/// Verdicts that changed after their row was filed, by meter, time and value.
pub type Overrides = BTreeMap<(MeterId, Moment, i64), Verdict>;

/// What is rated anew together: one service point, or all members of a pool.
#[derive(Debug)]
pub struct Task<'a> {
    /// Each service point.
    pub members: Vec<Anew>,
    /// Installations that ended by then are billed up to their closing counts already.
    pub closed_until: Moment,
    /// The corrections that held so far, and those that hold now.
    pub corrections: [&'a Corrections; 2],
}

/// One service point to be rated anew.
#[derive(Clone, Debug)]
pub struct Anew {
    /// Which.
    pub id: ServicePointId,
    /// The terms by which the readings were rated so far ...
    pub old: Arc<Setup>,
    /// ... and by which they are rated now; the same but after a change of the registry.
    pub new: Arc<Setup>,
    /// Where to start.
    pub start: Start,
    /// Frame and row of the readings that were not rated yet.
    pub late: BTreeSet<(u64, usize)>,
    /// Whether its own readings or terms changed. Of another member only the tiers do: its state stays as it is.
    pub changed: bool,
}

/// What rating a service point anew changes.
#[derive(Debug)]
pub struct Outcome {
    /// Which.
    pub id: ServicePointId,
    /// Only later readings were rated anew.
    pub after: Moment,
    /// The state from now on, with the states of months; `None` where only duplicates had arrived.
    pub state: Option<(PointState, Checkpoints)>,
    /// The intervals after `after` that are not divided evenly, where there is a state.
    pub divided: Vec<Divided>,
    /// What is charged more, line by line ...
    pub difference: Sums,
    /// ... and what those lines cost before.
    pub before: Sums,
    /// New verdicts of hot rows.
    pub hot: Vec<(u64, usize, Verdict)>,
    /// New verdicts of filed rows.
    pub filed: Overrides,
    /// New verdicts of corrections.
    pub corrected: Vec<(i64, Verdict)>,
    /// New verdicts of readings up to `after`.
    pub earlier: Vec<(MeterId, Mark, Verdict)>,
    /// Of a member of a pool: the tier that it was charged in last, and since when.
    pub calm: Option<Calm>,
}

impl Outcome {
    fn say(&mut self, row: &StoredRow, verdict: Verdict) {
        match (row.correction, row.row) {
            (Some(id), _) => self.corrected.push((id, verdict)),
            (None, Some(at)) => self.hot.push((row.seq, at, verdict)),
            (None, None) => {
                self.filed.insert((row.meter, row.time, value_code(row.value)), verdict);
            }
        }
    }
}

/// A row's value as the book's overrides name it.
#[must_use]
pub fn value_code(value: Value) -> i64 {
    match value {
        Value::Register(count) => count,
        Value::Usage { quantity, .. } => quantity.0,
    }
}

/// Rates the tasks' service points anew, reading the lake once for all of them. Installations that ended by `until` are
/// billed up to their closing counts.
///
/// # Errors
/// [`LakeError`]; nothing was changed.
pub fn resolve(
    root: &Path,
    files: &[LakeFile],
    hot: &Hot,
    overrides: &Overrides,
    tasks: &[Task<'_>],
    until: Moment,
) -> Result<Vec<Outcome>, LakeError> {
    let all = || tasks.iter().flat_map(|task| &task.members);
    let Some(after) = all().map(|member| member.start.read_after()).min() else { return Ok(Vec::new()) };
    let meters: BTreeSet<MeterId> = all().flat_map(Anew::meters).collect();
    let by_meter = stored_rows(root, files, hot, overrides, &meters, after)?;
    Ok(tasks.iter().flat_map(|task| run(task, &by_meter, until)).collect())
}

/// Where a meter changed its service point, the point that it left finds no installation for what the other bills: the
/// other's word counts.
pub fn agree(outcomes: &mut [Outcome]) {
    let mut hot = BTreeSet::new();
    let mut filed = BTreeSet::new();
    for outcome in outcomes.iter() {
        let held = outcome.hot.iter().filter(|(.., verdict)| *verdict != Verdict::NoEpoch);
        hot.extend(held.map(|(seq, row, _)| (*seq, *row)));
        let held = outcome.filed.iter().filter(|(_, verdict)| **verdict != Verdict::NoEpoch);
        filed.extend(held.map(|(key, _)| *key));
    }
    for outcome in outcomes {
        outcome.hot.retain(|(seq, row, verdict)| *verdict != Verdict::NoEpoch || !hot.contains(&(*seq, *row)));
        outcome.filed.retain(|key, verdict| *verdict != Verdict::NoEpoch || !filed.contains(key));
    }
}

/// All readings of some meters after a moment, from the lake and the hot rows, with their present verdicts.
///
/// # Errors
/// [`LakeError`].
pub fn stored_rows(
    root: &Path,
    files: &[LakeFile],
    hot: &Hot,
    overrides: &Overrides,
    meters: &BTreeSet<MeterId>,
    after: Moment,
) -> Result<BTreeMap<MeterId, Vec<StoredRow>>, LakeError> {
    let mut by_meter: BTreeMap<MeterId, Vec<StoredRow>> = BTreeMap::new();
    for mut row in readings_of(root, files, meters, after)? {
        if let Some(verdict) = overrides.get(&(row.meter, row.time, value_code(row.value))) {
            row.verdict = *verdict;
        }
        by_meter.entry(row.meter).or_default().push(row);
    }
    hot.for_each(|frame| {
        let batch = frame.batch();
        for (row, verdict) in frame.verdicts.iter().enumerate() {
            let (meter, time) = (MeterId(batch.meter[row]), Moment(batch.time[row]));
            if time > after && meters.contains(&meter) {
                by_meter.entry(meter).or_default().push(StoredRow {
                    meter,
                    time,
                    value: batch.value_at(row),
                    received_at: Moment(batch.received_at),
                    seq: frame.seq.0,
                    row: Some(row),
                    verdict: Verdict::from_code(*verdict).unwrap_or(Verdict::Pending),
                    correction: None,
                });
            }
        }
    });
    Ok(by_meter)
}

impl Anew {
    fn meters(&self) -> impl Iterator<Item = MeterId> {
        self.old.meters().chain(self.new.meters())
    }

    fn is_late(&self, row: &StoredRow) -> bool {
        row.row.is_some_and(|at| self.late.contains(&(row.seq, at)))
    }
}

/// A member's readings, before and after.
struct Prepared {
    outcome: Outcome,
    /// What was rated so far ...
    before: Vec<StoredRow>,
    /// ... and what is rated now.
    rows: Vec<StoredRow>,
}

fn prepare(member: &Anew, corrections: [&Corrections; 2], by_meter: &BTreeMap<MeterId, Vec<StoredRow>>) -> Prepared {
    let meters: BTreeSet<MeterId> = member.meters().collect();
    let after = member.start.read_after();
    let charged_after = member.start.charged_after;
    let known = |row: &&StoredRow| {
        // What nobody has judged yet is not part of what was charged; it is priced when its frame's turn comes.
        row.time > after
            && row.verdict != Verdict::Duplicate
            && (row.verdict != Verdict::Pending || member.is_late(row))
    };
    // What a meter said at another service point is that point's to judge.
    let here = |row: &&StoredRow| member.is_late(row) || member.old.holds(row) || member.new.holds(row);
    let stored: Vec<StoredRow> =
        meters.iter().filter_map(|meter| by_meter.get(meter)).flatten().filter(known).filter(here).copied().collect();
    let truth = |rows: &mut dyn Iterator<Item = StoredRow>, corrections: &Corrections| -> Vec<StoredRow> {
        let mut said = truth(rows, corrections, &meters, after);
        said.retain(|row| row.correction.is_none() || here(&row));
        said
    };
    let rows = truth(&mut stored.iter().copied(), corrections[1]);
    let mut outcome = Outcome {
        id: member.id,
        after: charged_after,
        state: None,
        divided: Vec::new(),
        difference: Sums::new(),
        before: Sums::new(),
        hot: Vec::new(),
        filed: Overrides::new(),
        corrected: Vec::new(),
        earlier: Vec::new(),
        calm: None,
    };
    let replaced = |row: &&StoredRow| row.time > charged_after && corrections[1].contains_key(&(row.meter, row.time));
    let mut replaced: Vec<&StoredRow> = stored.iter().filter(replaced).collect();
    replaced.sort_by_key(|row| (row.seq, row.row));
    let mut known = BTreeSet::new();
    for row in replaced {
        let first = known.insert((row.meter, row.time, value_code(row.value)));
        let verdict = if first { Verdict::Superseded } else { Verdict::Duplicate };
        if row.verdict != verdict {
            outcome.say(row, verdict);
        }
    }
    let before = truth(&mut stored.iter().filter(|row| !member.is_late(row)).copied(), corrections[0]);
    Prepared { outcome, before, rows }
}

fn run(task: &Task<'_>, by_meter: &BTreeMap<MeterId, Vec<StoredRow>>, until: Moment) -> Vec<Outcome> {
    let mut all: Vec<Prepared> =
        task.members.iter().map(|member| prepare(member, task.corrections, by_meter)).collect();
    let is_late = task.members.iter().any(|member| !member.late.is_empty());
    let mut members = task.members.iter().zip(&all);
    let only_again = members.all(|(member, prepared)| {
        let repeated = |row: &StoredRow| member.is_late(row);
        Arc::ptr_eq(&member.old, &member.new) && only_duplicates(&prepared.rows, repeated)
    });
    if is_late && only_again {
        for (member, Prepared { outcome, rows, .. }) in task.members.iter().zip(&mut all) {
            // Those that a correction replaces have their verdict already.
            rows.iter().filter(|row| member.is_late(row)).for_each(|row| outcome.say(row, Verdict::Duplicate));
        }
        return all.into_iter().map(|prepared| prepared.outcome).collect();
    }
    let side = |new: bool| -> Vec<Member<'_>> {
        let members = task.members.iter().zip(&all);
        let one = members.map(|(Anew { old, new: now, start, .. }, prepared)| match new {
            true => Member { setup: now, start, rows: &prepared.rows },
            false => Member { setup: old, start, rows: &prepared.before },
        });
        one.collect()
    };
    let old = rate_together(&side(false), task.closed_until, |_, _, _| {});
    let new = rate_together(&side(true), until, |_, _, _| {});
    let rated = old.into_iter().zip(new);
    let outcomes = task.members.iter().zip(all).zip(rated).map(|((member, prepared), (old, new))| {
        let Prepared { mut outcome, rows, .. } = prepared;
        let charged_after = member.start.charged_after;
        for (row, verdict) in rows.iter().zip(&new.verdicts) {
            // What comes to another service point says so there, against the point that it leaves (see `agree`).
            let comes = member.new.holds(row) && !member.old.holds(row) && row.time > charged_after;
            if row.verdict == *verdict && !comes {
                continue;
            }
            outcome.say(row, *verdict);
        }
        outcome.difference = difference(&old.sums, new.sums);
        outcome.before = old.sums;
        outcome.before.retain(|key, _| outcome.difference.contains_key(key));
        outcome.earlier = new.earlier_changed;
        outcome.calm = new.calm;
        outcome.divided = new.divided;
        // A closing count at the very beginning is billed again, by both; how it was divided is known.
        outcome.divided.retain(|divided| divided.to > charged_after);
        outcome.state = member.changed.then_some((new.state, new.checkpoints));
        outcome
    });
    outcomes.collect()
}
