//! Rating anew: what late, corrected or re-priced readings change (design.md, "How exactly-once works", 7).
//!
//! Both the old and the new set of readings are rated by the one kernel function from the same checkpoint, so that the
//! difference between them is exact whatever was posted, exported or forgotten since. Before it charges, a rating looks
//! back: from an earlier state on it rates for nobody, so that gaps find the history that they are divided by
//! ([`kernel::history`]), the same one whoever rates and from wherever.

use std::collections::BTreeMap;

use kernel::gap::Spread;
use kernel::history::History;
use kernel::id::{EpochId, MeterId};
use kernel::judge::{Interval, Mark};
use kernel::point::{ALLOWED_DRIFT, Point, PointState, Row, Sink, Step};
use kernel::rate::{Cell, Part};
use kernel::reading::{Value, Verdict};
use kernel::time::Moment;

use super::calm::Calm;
use super::lines::{LineKey, Sum};
use super::point::{Checkpoints, MonthMarks, Setup};
use crate::lake::read::StoredRow;

/// Sums by line.
pub type Sums = BTreeMap<LineKey, Sum>;

/// Where rating anew begins.
#[derive(Clone, Debug)]
pub struct Start {
    /// The state ...
    pub state: PointState,
    /// ... which includes all readings up to here.
    pub after: Moment,
    /// An earlier state, and up to where it includes readings: what lies between the two is rated for the history that gaps
    /// are divided by, and charged to nobody. None where no gap can need any.
    pub look_back: Option<(PointState, Moment)>,
    /// Readings up to here are rated for the state alone; the same as `after`, but where members of a pool, whose states are
    /// of different months, begin to be charged together.
    pub charged_after: Moment,
}

impl Start {
    /// Before all readings.
    #[must_use]
    pub fn beginning() -> Start {
        Start::new((PointState::default(), Moment(i64::MIN)), None)
    }

    /// From a state, and up to where it includes readings.
    #[must_use]
    pub fn new((state, after): (PointState, Moment), look_back: Option<(PointState, Moment)>) -> Start {
        Start { state, after, look_back, charged_after: after }
    }

    /// All readings after here are wanted.
    #[must_use]
    pub fn read_after(&self) -> Moment {
        self.look_back.as_ref().map_or(self.after, |(_, after)| *after)
    }
}

/// An interval that was not divided evenly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divided {
    /// Of which installation.
    pub epoch: EpochId,
    /// Where it begins ...
    pub from: Moment,
    /// ... and ends.
    pub to: Moment,
    /// How it was divided.
    pub spread: Spread,
}

/// What rating a set of readings gives.
#[derive(Debug)]
pub struct Rated {
    /// The state after the last reading.
    pub state: PointState,
    /// The states with which months began.
    pub checkpoints: Checkpoints,
    /// What was charged.
    pub sums: Sums,
    /// The verdict of each reading, in the order given; those that the starting state includes keep theirs.
    pub verdicts: Vec<Verdict>,
    /// The intervals that were not divided evenly.
    pub divided: Vec<Divided>,
    /// New verdicts of readings that the starting state includes.
    pub earlier_changed: Vec<(MeterId, Mark, Verdict)>,
    /// Of a member of a pool: the tier that it was charged in last, and since when.
    pub calm: Option<Calm>,
}

/// One service point's readings rated one after the other: the part of rating that the streaming operator over the lake
/// ([`crate::rating`]) and [`rate`] share. Keys come in the order of event time, and of meters at one moment, from
/// [`Start::read_after`] on.
#[derive(Debug)]
pub struct Rater<'a> {
    setup: &'a Setup,
    state: PointState,
    /// While it looks back: the state to go on from, and up to where that includes readings.
    ahead: Option<Box<(PointState, Moment)>>,
    charged_after: Moment,
    history: History,
    cell: Option<Cell>,
    marks: MonthMarks,
    checkpoints: Checkpoints,
}

impl<'a> Rater<'a> {
    /// Goes on from a state.
    #[must_use]
    pub fn new(setup: &'a Setup, start: &Start) -> Rater<'a> {
        let (state, ahead) = match &start.look_back {
            Some((earlier, _)) => (earlier.clone(), Some(Box::new((start.state.clone(), start.after)))),
            None => (start.state.clone(), None),
        };
        let (marks, checkpoints) = (MonthMarks::default(), Checkpoints::new());
        let charged_after = start.charged_after;
        Rater { setup, state, ahead, charged_after, history: History::default(), cell: None, marks, checkpoints }
    }

    /// Its state, as far as it is charged.
    fn charged(&self) -> &PointState {
        self.ahead.as_ref().map_or(&self.state, |ahead| &ahead.0)
    }

    /// Ends looking back: from now on it is charged.
    fn begin(&mut self) {
        let Some(ahead) = self.ahead.take() else { return };
        // What closing counts ended between the last reading and that state.
        if let Some(until) = ahead.0.watermark {
            let point = self.setup.point();
            point.close(&mut self.state, &mut self.cell, Some(&mut self.history), until, &mut Unheard);
        }
        self.state = ahead.0;
    }

    /// Takes the next key: the reading that stands for it, or any of its readings where the key is in quarantine. Gives
    /// the verdict of one that was judged; a key that the starting state includes already changes nothing.
    ///
    /// `beside` are the states of the other members of its pool, from where they are charged together.
    pub fn take(
        &mut self,
        row: &Row,
        quarantined: bool,
        beside: &[&PointState],
        sink: &mut impl Sink,
    ) -> Option<Verdict> {
        if let Some(ahead) = &self.ahead {
            if row.time <= ahead.1 {
                self.judge(row, quarantined, &[], &mut Unheard);
                return None;
            }
            self.begin();
        }
        let begun = self.marks.before(self.setup, &self.state, row.time);
        let verdict = match row.time <= self.charged_after {
            true => self.judge(row, quarantined, &[], &mut Unheard).and(None),
            false => self.judge(row, quarantined, beside, sink),
        };
        self.marks.after(begun, &self.state, row.time, &mut self.checkpoints);
        verdict
    }

    /// Bills the one closing count that is due next.
    fn close_next(&mut self, until: Moment, beside: &[&PointState], sink: &mut impl Sink) {
        self.begin();
        let (point, history) = (Point { beside, ..self.setup.point() }, Some(&mut self.history));
        match until <= self.charged_after {
            true => point.close_next(&mut self.state, &mut self.cell, history, until, &mut Unheard),
            false => point.close_next(&mut self.state, &mut self.cell, history, until, sink),
        };
    }

    fn judge(&mut self, row: &Row, quarantined: bool, beside: &[&PointState], sink: &mut impl Sink) -> Option<Verdict> {
        if quarantined {
            self.state.hold(row.time, row.meter);
            return None;
        }
        let (point, history) = (Point { beside, ..self.setup.point() }, Some(&mut self.history));
        match point.advance(&mut self.state, &mut self.cell, history, row, sink) {
            Step::Judged(verdict) => Some(verdict),
            Step::Late => None,
        }
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
        self.begin();
        self.setup.point().close(&mut self.state, &mut self.cell, Some(&mut self.history), until, sink);
        (self.state, self.checkpoints)
    }
}

/// Service points that are rated together: the members of a pool, or one that is in none. Each has a sink of its own.
#[derive(Debug)]
pub struct Together<'a> {
    raters: Vec<Rater<'a>>,
    /// No closing count of theirs is due before this moment; none at all, where there is no moment. What has been billed stays
    /// billed, so that the next one never becomes due earlier.
    closes_at: Option<Moment>,
}

impl<'a> Together<'a> {
    /// Goes on from the members' states.
    #[must_use]
    pub fn new(raters: Vec<Rater<'a>>) -> Together<'a> {
        Together { raters, closes_at: Some(Moment(i64::MIN)) }
    }

    /// As [`Rater::take`], for a member. Keys come in the order of event time, and of meters at one moment, over all members.
    pub fn take(&mut self, member: usize, row: &Row, quarantined: bool, sinks: &mut [impl Sink]) -> Option<Verdict> {
        if let [only] = &mut self.raters[..] {
            return only.take(row, quarantined, &[], &mut sinks[0]);
        }
        if row.time > self.raters[member].charged_after {
            self.close(row.time, sinks);
        }
        self.beside(member, |rater, beside| rater.take(row, quarantined, beside, &mut sinks[member]))
    }

    fn beside<T>(&mut self, member: usize, act: impl FnOnce(&mut Rater<'a>, &[&PointState]) -> T) -> T {
        let (before, rest) = self.raters.split_at_mut(member);
        let (rater, after) = rest.split_at_mut(1);
        let others: Vec<&PointState> = before.iter().chain(&*after).map(Rater::charged).collect();
        act(&mut rater[0], &others)
    }

    /// Bills the closing counts that are due, in the order of the ends over all members.
    fn close(&mut self, until: Moment, sinks: &mut [impl Sink]) {
        while self.closes_at.is_some_and(|at| at <= until) {
            let next = |rater: &Rater<'_>| rater.setup.point().closes_next(rater.charged(), Moment(i64::MAX));
            let members = self.raters.iter().enumerate();
            let first = members.filter_map(|(member, rater)| Some((next(rater)?, member))).min();
            self.closes_at = first.map(|((end, _), _)| end);
            if let Some(((end, _), member)) = first.filter(|((end, _), _)| *end <= until) {
                self.beside(member, |rater, beside| rater.close_next(end, beside, &mut sinks[member]));
            }
        }
    }

    /// As [`Rater::is_beyond`], of all members.
    #[must_use]
    pub fn is_beyond(&self, end: Moment, next: Moment) -> bool {
        self.raters.iter().all(|rater| rater.is_beyond(end, next))
    }

    /// As [`Rater::finish`], of each member.
    pub fn finish(mut self, until: Moment, sinks: &mut [impl Sink]) -> Vec<(PointState, Checkpoints)> {
        if self.raters.len() > 1 {
            self.raters.iter_mut().for_each(Rater::begin);
            self.close(until, sinks);
        }
        self.raters.into_iter().zip(sinks).map(|(rater, sink)| rater.finish(until, sink)).collect()
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

/// What was charged before is not charged again.
struct Unheard;

impl Sink for Unheard {
    fn part(&mut self, _: &Part) {}

    fn changed(&mut self, _: MeterId, _: Mark, _: Verdict) {}
}

/// The intervals that `rows`, in any order and with any repetition, bill from `start` on, closing counts of installations
/// that ended by `until` included; each as it was measured, whatever it was divided by.
#[must_use]
pub fn intervals(setup: &Setup, start: &Start, rows: &[StoredRow], until: Moment) -> Vec<Interval> {
    let (mut rater, mut measured) = (Rater::new(setup, start), Intervals(Vec::new()));
    let mut verdicts = vec![Verdict::Pending; rows.len()];
    for index in resolve(rows, &mut verdicts) {
        let held = rows[index].is_void() || matches!(verdicts[index], Verdict::Conflict | Verdict::Superseded);
        let StoredRow { meter, time, value, received_at, .. } = rows[index];
        rater.take(&Row { meter, time, received_at, value }, held, &[], &mut measured);
    }
    rater.finish(until, &mut measured);
    measured.0
}

/// What was measured, and nothing of what it costs.
struct Intervals(Vec<Interval>);

impl Sink for Intervals {
    fn part(&mut self, _: &Part) {}

    fn changed(&mut self, _: MeterId, _: Mark, _: Verdict) {}

    fn interval(&mut self, _: EpochId, interval: &Interval) {
        self.0.push(*interval);
    }
}

/// What one of several service points is rated by.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// The terms.
    pub setup: &'a Setup,
    /// Where it starts.
    pub start: &'a Start,
    /// Its readings, in any order.
    pub rows: &'a [StoredRow],
}

/// Rates the `rows` of service points, in any order and with any repetition, from their `start` on, and bills the
/// installations that ended by `until`: the members of a pool, in one order of time, or one that is in none. `each` sees every
/// charge with the member, and the index of the reading that brought it about, or none for a closing count.
pub fn rate_together(
    members: &[Member<'_>],
    until: Moment,
    mut each: impl FnMut(usize, Option<usize>, &Part),
) -> Vec<Rated> {
    let mut together = Together::new(members.iter().map(|member| Rater::new(member.setup, member.start)).collect());
    let mut sinks: Vec<Gather> = members.iter().map(|_| Gather::default()).collect();
    let mut all: Vec<Vec<Verdict>> = members.iter().map(|member| vec![Verdict::Pending; member.rows.len()]).collect();
    let mut order: Vec<(usize, usize)> = Vec::new();
    for (place, (member, verdicts)) in members.iter().zip(&mut all).enumerate() {
        order.extend(resolve(member.rows, verdicts).into_iter().map(|index| (place, index)));
    }
    if members.len() > 1 {
        order.sort_by_key(|(place, index)| {
            let row = &members[*place].rows[*index];
            (row.time, row.meter, *place)
        });
    }
    for (place, index) in order {
        let StoredRow { meter, time, value, received_at, .. } = members[place].rows[index];
        let row = Row { meter, time, received_at, value };
        let verdicts = &mut all[place];
        if members[place].rows[index].is_void() {
            // Held like a conflict: whatever comes for the key later is late, and then replaced.
            verdicts[index] = Verdict::Superseded;
        }
        let held = matches!(verdicts[index], Verdict::Conflict | Verdict::Superseded);
        if let Some(verdict) = together.take(place, &row, held, &mut sinks) {
            verdicts[index] = verdict;
            sinks[place].placed.insert((meter, time), index);
        }
        for (member, (sink, verdicts)) in sinks.iter_mut().zip(&mut all).enumerate() {
            if members.len() > 1
                && (member == place || !sink.parts.is_empty())
                && time > members[place].start.charged_after
            {
                sink.calm = Some(Calm::after(sink.calm, &row, &sink.parts, &members[member].setup.terms));
            }
            // What another member billed meanwhile is a closing count of it.
            sink.parts.drain(..).for_each(|part| each(member, (member == place).then_some(index), &part));
            sink.sort_changes(verdicts);
        }
    }
    let ends = together.finish(until, &mut sinks);
    let ended = members.iter().zip(ends).zip(sinks.into_iter().zip(all)).enumerate();
    let rated = ended.map(|(place, ((member, (state, checkpoints)), (mut sink, mut verdicts)))| {
        if !sink.parts.is_empty() {
            // A closing count at the end: nothing is known of what comes between.
            sink.calm = None;
        }
        sink.parts.drain(..).for_each(|part| each(place, None, &part));
        sink.earlier_changed.append(&mut sink.changed);
        let charged_after = member.start.charged_after;
        for (row, verdict) in member.rows.iter().zip(&mut verdicts).filter(|(row, _)| row.time <= charged_after) {
            *verdict = row.verdict;
        }
        let Gather { totals, divided, earlier_changed, calm, .. } = sink;
        Rated { state, checkpoints, sums: totals.sums(), verdicts, divided, earlier_changed, calm }
    });
    rated.collect()
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

#[derive(Default)]
struct Gather {
    totals: Totals,
    changed: Vec<(MeterId, Mark, Verdict)>,
    /// New verdicts of readings that the starting state includes.
    earlier_changed: Vec<(MeterId, Mark, Verdict)>,
    /// Where each key judged is among the rows.
    placed: BTreeMap<(MeterId, Moment), usize>,
    parts: Vec<Part>,
    divided: Vec<Divided>,
    calm: Option<Calm>,
}

impl Gather {
    fn sort_changes(&mut self, verdicts: &mut [Verdict]) {
        for (meter, mark, verdict) in self.changed.drain(..) {
            match self.placed.get(&(meter, mark.time)) {
                Some(earlier) => verdicts[*earlier] = verdict,
                None => self.earlier_changed.push((meter, mark, verdict)),
            }
        }
    }
}

impl Sink for Gather {
    fn part(&mut self, part: &Part) {
        self.totals.add(part);
        self.parts.push(*part);
    }

    fn changed(&mut self, meter: MeterId, mark: Mark, verdict: Verdict) {
        self.changed.push((meter, mark, verdict));
    }

    fn spread(&mut self, epoch: EpochId, interval: &Interval, spread: &Spread) {
        self.divided.push(Divided { epoch, from: interval.from, to: interval.to, spread: spread.clone() });
    }
}
