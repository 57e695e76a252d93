//! Rating anew: what late, corrected or re-priced readings change (design.md, "How exactly-once works", 7).
//!
//! Both the old and the new set of readings are rated by the one kernel function from the same checkpoint, so that the
//! difference between them is exact whatever was posted, exported or forgotten since.

use std::collections::BTreeMap;

use kernel::id::MeterId;
use kernel::judge::Mark;
use kernel::point::{ALLOWED_DRIFT, PointState, Row, Sink, Step};
use kernel::rate::{Cell, Part};
use kernel::reading::{Value, Verdict};
use kernel::time::Moment;

use super::lines::{LineKey, Sum};
use super::point::{Checkpoints, MonthMarks, Setup};
use crate::lake::read::StoredRow;

/// Sums by line.
pub type Sums = BTreeMap<LineKey, Sum>;

/// What rating a set of readings gives.
#[derive(Debug)]
pub struct Rated {
    /// The state after the last reading.
    pub state: PointState,
    /// The states with which months began.
    pub checkpoints: Checkpoints,
    /// What was charged.
    pub sums: Sums,
    /// The verdict of each reading, in the order given.
    pub verdicts: Vec<Verdict>,
    /// New verdicts of readings that the starting state includes.
    pub earlier_changed: Vec<(MeterId, Mark, Verdict)>,
}

/// One service point's readings rated one after the other: the part of rating that the streaming operator over the lake
/// ([`crate::rating`]) and [`rate`] share. Keys come in the order of event time, and of meters at one moment.
#[derive(Debug)]
pub struct Rater<'a> {
    setup: &'a Setup,
    state: PointState,
    cell: Option<Cell>,
    marks: MonthMarks,
    checkpoints: Checkpoints,
}

impl<'a> Rater<'a> {
    /// Goes on from a state.
    #[must_use]
    pub fn new(setup: &'a Setup, start: PointState) -> Rater<'a> {
        Rater { setup, state: start, cell: None, marks: MonthMarks::default(), checkpoints: Checkpoints::new() }
    }

    /// Takes the next key: the reading that stands for it, or any of its readings where the key is in quarantine. Gives
    /// the verdict of one that was judged; a key that the starting state includes already changes nothing.
    pub fn take(&mut self, row: &Row, quarantined: bool, sink: &mut impl Sink) -> Option<Verdict> {
        let begun = self.marks.before(self.setup, &self.state, row.time);
        let verdict = if quarantined {
            self.state.hold(row.time, row.meter);
            None
        } else {
            match self.setup.point().advance(&mut self.state, &mut self.cell, row, sink) {
                Step::Judged(verdict) => Some(verdict),
                Step::Late => None,
            }
        };
        self.marks.after(begun, &self.state, row.time, &mut self.checkpoints);
        verdict
    }

    /// Whether nothing that is still to come at or after `next` can bill what flowed before `end`: every installation
    /// that may yet be read has been measured up to there.
    #[must_use]
    pub fn is_beyond(&self, end: Moment, next: Moment) -> bool {
        let open = self.setup.epochs.iter().filter(|epoch| epoch.valid_to.is_none_or(|closed| closed >= next));
        open.map(|epoch| self.state.epochs.iter().find(|known| known.epoch == epoch.id))
            .all(|known| known.and_then(|known| known.register.measured_until()).is_some_and(|until| until >= end))
    }

    /// Bills the installations that ended by `until`; gives the state after all, and those with which months began.
    pub fn finish(mut self, until: Moment, sink: &mut impl Sink) -> (PointState, Checkpoints) {
        self.setup.point().close(&mut self.state, &mut self.cell, until, sink);
        (self.state, self.checkpoints)
    }
}

/// Adds parts up by line. Consecutive parts mostly share a line: only where the line changes is it searched for.
#[derive(Debug, Default)]
pub struct Totals {
    sums: Sums,
    recent: Option<(LineKey, Sum)>,
}

impl Totals {
    /// Adds a charge.
    pub fn add(&mut self, part: &Part) {
        let (key, sum) = (LineKey::of(part), Sum { quantity: part.quantity, amount: part.amount });
        match &mut self.recent {
            Some((recent, total)) if *recent == key => total.add(sum),
            _ => {
                self.fold();
                self.recent = Some((key, sum));
            }
        }
    }

    fn fold(&mut self) {
        if let Some((key, sum)) = self.recent.take() {
            self.sums.entry(key).or_default().add(sum);
        }
    }

    /// All lines.
    #[must_use]
    pub fn sums(mut self) -> Sums {
        self.fold();
        self.sums
    }
}

/// Rates `rows`, in any order and with any repetition, from `start` on, and bills the installations that ended by
/// `until`. `each` sees every charge with the index of the reading that brought it about, or none for a closing count.
pub fn rate(
    setup: &Setup,
    start: &PointState,
    rows: &[StoredRow],
    until: Moment,
    mut each: impl FnMut(Option<usize>, &Part),
) -> Rated {
    let mut rater = Rater::new(setup, start.clone());
    let mut verdicts = vec![Verdict::Pending; rows.len()];
    let order = resolve(rows, &mut verdicts);
    let mut sink = Gather { totals: Totals::default(), changed: Vec::new(), parts: Vec::new() };
    let mut earlier_changed = Vec::new();
    let mut placed: BTreeMap<(MeterId, Moment), usize> = BTreeMap::new();
    for index in order {
        let StoredRow { meter, time, value, received_at, .. } = rows[index];
        let row = Row { meter, time, received_at, value };
        if rows[index].is_void() {
            // Held like a conflict: whatever comes for the key later is late, and then replaced.
            verdicts[index] = Verdict::Superseded;
        }
        let held = matches!(verdicts[index], Verdict::Conflict | Verdict::Superseded);
        if let Some(verdict) = rater.take(&row, held, &mut sink) {
            verdicts[index] = verdict;
            placed.insert((meter, time), index);
        }
        sink.parts.drain(..).for_each(|part| each(Some(index), &part));
        for (meter, mark, verdict) in sink.changed.drain(..) {
            match placed.get(&(meter, mark.time)) {
                Some(earlier) => verdicts[*earlier] = verdict,
                None => earlier_changed.push((meter, mark, verdict)),
            }
        }
    }
    let (state, checkpoints) = rater.finish(until, &mut sink);
    sink.parts.drain(..).for_each(|part| each(None, &part));
    earlier_changed.append(&mut sink.changed);
    Rated { state, checkpoints, sums: sink.totals.sums(), verdicts, earlier_changed }
}

/// Whether each row that `is_late` names repeats a key and value that arrived before it.
#[must_use]
pub fn only_duplicates(rows: &[StoredRow], is_late: impl Fn(&StoredRow) -> bool) -> bool {
    let mut verdicts = vec![Verdict::Pending; rows.len()];
    resolve(rows, &mut verdicts);
    rows.iter().zip(verdicts).all(|(row, verdict)| !is_late(row) || verdict == Verdict::Duplicate)
}

/// What `new` charges more than `old`, line by line.
#[must_use]
pub fn difference(old: &Sums, new: Sums) -> Sums {
    let mut difference = new;
    for (key, sum) in old {
        difference.entry(*key).or_default().add(Sum { quantity: -sum.quantity, amount: -sum.amount });
    }
    difference.retain(|_, sum| !sum.is_zero());
    difference
}

/// Whether a row is in quarantine by itself, for being dated after its arrival by more than the allowed drift; the same
/// row is welcome when its time has come.
#[must_use]
pub fn is_from_the_future(time: Moment, received_at: Moment) -> bool {
    time.since(received_at) > ALLOWED_DRIFT
}

/// One event time of one meter is one key. The same value again is a duplicate; another value puts all values of the
/// key in quarantine. Gives the order in which the others are to be judged, and between
/// them one row of each key in quarantine.
fn resolve(rows: &[StoredRow], verdicts: &mut [Verdict]) -> Vec<usize> {
    let mut order: Vec<usize> = Vec::with_capacity(rows.len());
    for (index, row) in rows.iter().enumerate() {
        if is_from_the_future(row.time, row.received_at) {
            verdicts[index] = Verdict::Future
        } else {
            order.push(index)
        }
    }
    order.sort_by_key(|index| {
        let row = &rows[*index];
        (row.time, row.meter, row.seq, row.row)
    });
    let mut judged = Vec::with_capacity(order.len());
    for group in order.chunk_by(|a, b| (rows[*a].time, rows[*a].meter) == (rows[*b].time, rows[*b].meter)) {
        let mut values: Vec<Value> = Vec::new();
        let mut first_of_value = Vec::new();
        for &index in group {
            if values.contains(&rows[index].value) {
                verdicts[index] = Verdict::Duplicate;
            } else {
                values.push(rows[index].value);
                first_of_value.push(index);
            }
        }
        match first_of_value[..] {
            [only] => judged.push(only),
            _ => {
                first_of_value.iter().for_each(|index| verdicts[*index] = Verdict::Conflict);
                judged.extend(first_of_value.first());
            }
        }
    }
    judged
}

struct Gather {
    totals: Totals,
    changed: Vec<(MeterId, Mark, Verdict)>,
    parts: Vec<Part>,
}

impl Sink for Gather {
    fn part(&mut self, part: &Part) {
        self.totals.add(part);
        self.parts.push(*part);
    }

    fn changed(&mut self, meter: MeterId, mark: Mark, verdict: Verdict) {
        self.changed.push((meter, mark, verdict));
    }
}
