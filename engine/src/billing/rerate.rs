//! Rating anew: what late, corrected or re-priced readings change (design.md, "How exactly-once works", 7).
//!
//! Both the old and the new set of readings are rated by the one kernel function from the same checkpoint, so that the
//! difference between them is exact whatever was posted, exported or forgotten since.

use std::collections::BTreeMap;

use kernel::id::MeterId;
use kernel::judge::Mark;
use kernel::point::{ALLOWED_DRIFT, PointState, Row, Sink, Step};
use kernel::rate::Part;
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

/// Rates `rows`, in any order and with any repetition, from `start` on, and bills the installations that ended by
/// `until`. `each` sees every charge with the index of the reading that brought it about, or none for a closing count.
pub fn rate(
    setup: &Setup,
    start: &PointState,
    rows: &[StoredRow],
    until: Moment,
    mut each: impl FnMut(Option<usize>, &Part),
) -> Rated {
    let mut state = start.clone();
    let mut checkpoints = Checkpoints::new();
    let mut marks = MonthMarks::default();
    let mut cell = None;
    let mut verdicts = vec![Verdict::Pending; rows.len()];
    let order = resolve(rows, &mut verdicts);
    let mut sink = Gather { sums: Sums::new(), changed: Vec::new(), parts: Vec::new() };
    let mut earlier_changed = Vec::new();
    let mut placed: BTreeMap<(MeterId, Moment), usize> = BTreeMap::new();
    for index in order {
        let StoredRow { meter, time, value, received_at, .. } = rows[index];
        let begun = marks.before(setup, &state, time);
        if rows[index].is_void() {
            // Whatever comes for the key later is late, and then replaced.
            verdicts[index] = Verdict::Superseded;
        }
        if matches!(verdicts[index], Verdict::Conflict | Verdict::Superseded) {
            state.hold(time, meter);
            marks.after(begun, &state, time, &mut checkpoints);
            continue;
        }
        let row = Row { meter, time, received_at, value };
        // The rows ascend, so that none is late; one that the starting state includes already changes nothing.
        if let Step::Judged(verdict) = setup.point().advance(&mut state, &mut cell, &row, &mut sink) {
            verdicts[index] = verdict;
            placed.insert((meter, time), index);
        }
        marks.after(begun, &state, time, &mut checkpoints);
        sink.parts.drain(..).for_each(|part| each(Some(index), &part));
        for (meter, mark, verdict) in sink.changed.drain(..) {
            match placed.get(&(meter, mark.time)) {
                Some(earlier) => verdicts[*earlier] = verdict,
                None => earlier_changed.push((meter, mark, verdict)),
            }
        }
    }
    setup.point().close(&mut state, &mut cell, until, &mut sink);
    sink.parts.drain(..).for_each(|part| each(None, &part));
    earlier_changed.append(&mut sink.changed);
    Rated { state, checkpoints, sums: sink.sums, verdicts, earlier_changed }
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

/// One event time of one meter is one key. The same value again is a duplicate; another value puts all values of the
/// key in quarantine. Gives the order in which the others are to be judged, and between
/// them one row of each key in quarantine.
fn resolve(rows: &[StoredRow], verdicts: &mut [Verdict]) -> Vec<usize> {
    let future = |row: &StoredRow| row.time.since(row.received_at) > ALLOWED_DRIFT;
    let mut order: Vec<usize> = Vec::with_capacity(rows.len());
    for (index, row) in rows.iter().enumerate() {
        // A row from the future is in quarantine by itself; the same row is welcome when its time has come.
        if future(row) { verdicts[index] = Verdict::Future } else { order.push(index) }
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
    sums: Sums,
    changed: Vec<(MeterId, Mark, Verdict)>,
    parts: Vec<Part>,
}

impl Sink for Gather {
    fn part(&mut self, part: &Part) {
        let sum = Sum { quantity: part.quantity, amount: part.amount };
        self.sums.entry(LineKey::of(part)).or_default().add(sum);
        self.parts.push(*part);
    }

    fn changed(&mut self, meter: MeterId, mark: Mark, verdict: Verdict) {
        self.changed.push((meter, mark, verdict));
    }
}
