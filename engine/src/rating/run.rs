//! The rating itself: groups of service points, each on one thread, month by month.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::Stream;
use kernel::id::{AccountId, EpochId, MeterId, ServicePointId};
use kernel::judge::{Interval, Mark};
use kernel::point::{PointState, Row, Sink};
use kernel::rate::Part;
use kernel::reading::Verdict;
use kernel::time::Moment;
use tokio::sync::mpsc;

use super::files::{Readings, instants};
use super::snapshot::{RatingError, Snapshot, earliest};
use super::work::{Pair, Rerated, Span, Work};
use crate::billing::lines::Sum;
use crate::billing::point::{Checkpoints, Setup};
use crate::billing::rerate::{Rater, Sums, Together, Totals, difference};
use crate::engine::Handle;
use crate::lake::file::LakeError;

/// Service points that a thread rates together, or all members of one pool; see the bound in [`crate::rating`].
pub const POINTS_AT_ONCE: usize = 64;
/// Service points that a thread rates together where their intervals are wanted: a year of 15 minutes is 35,040 x 24 bytes =
/// 0.8 MB of each.
const INTERVALS_AT_ONCE: usize = 8;
/// Results that wait for whoever takes them (a year of lines: 8 x 365 x 56 bytes x 2 = 330 kB each).
const RESULTS_WAITING: usize = 16;

/// What rating one service point gave.
#[derive(Debug)]
pub struct Rated {
    /// Which.
    pub id: ServicePointId,
    /// What the old terms charge on the days of the span, where there were such.
    pub old: Option<Sums>,
    /// What the new terms charge.
    pub new: Sums,
    /// Readings that were rated, those in quarantine included.
    pub readings: u64,
    /// The measured intervals that touch the span, where they were wanted.
    pub intervals: Vec<Interval>,
    /// The state after the last reading by the new terms, with the states of months; none where what comes after the span
    /// was not read.
    pub end: Option<(PointState, Checkpoints)>,
}

impl Rated {
    /// What the new terms charge more than the old, line by line; lines without a difference are left out. Where there
    /// were no old terms, all that the new ones charge: also the lines that come to nothing, as the stream has them.
    #[must_use]
    pub fn difference(self) -> Sums {
        match self.old {
            Some(old) => difference(&old, self.new),
            None => self.new,
        }
    }
}

/// Lines added up by account. Account 0 owes what flowed while no contract was in force.
#[must_use]
pub fn by_account<'a>(sums: impl IntoIterator<Item = &'a Sums>) -> BTreeMap<AccountId, Sum> {
    let mut accounts: BTreeMap<AccountId, Sum> = BTreeMap::new();
    for (key, sum) in sums.into_iter().flatten() {
        accounts.entry(key.account).or_default().add(*sum);
    }
    accounts
}

/// Rates service points over all priced readings and gives the lines of `span`, on `threads` threads, in no particular
/// order. Installations that ended by `until` (now, mostly) are billed up to their closing counts.
///
/// # Errors
/// [`RatingError`] where the snapshot cannot be taken; in the stream, where a file cannot be read: it ends there.
pub async fn rate_span(
    handle: &Handle,
    pairs: Vec<Pair>,
    span: Span,
    until: Moment,
    threads: usize,
) -> Result<impl Stream<Item = Result<Rated, RatingError>> + Unpin + use<>, RatingError> {
    let (snapshot, work) = handle.rating_work(pairs, span).await?;
    let made = tokio::task::spawn_blocking(move || Rating::new(snapshot, work, span, until));
    let rating = made.await.map_err(|error| RatingError::Stopped(error.to_string()))?;
    Ok(Arc::new(rating).stream(threads))
}

/// Work on one snapshot, ready to run on any number of threads.
#[derive(Debug)]
pub struct Rating {
    readings: Readings,
    /// By their lowest meter, so that those that are rated together lie together in the files.
    work: Vec<Work>,
    span: Span,
    until: Moment,
}

impl Rating {
    /// Prepares work on a snapshot.
    #[must_use]
    pub fn new(snapshot: Snapshot, mut work: Vec<Work>, span: Span, until: Moment) -> Rating {
        work.sort_by_cached_key(|work| meters(work).min());
        let wanted: BTreeSet<u32> = work.iter().flat_map(|work| meters(work).map(|meter| meter.0)).collect();
        let readings = Readings::new(snapshot, &wanted, earliest(&work));
        Rating { readings, work, span, until }
    }

    /// How many service points.
    #[must_use]
    pub fn points(&self) -> usize {
        self.work.iter().map(|work| work.members.len()).sum()
    }

    /// Rates the groups of service points whose number leaves `part` when divided by `parts`. `emit` takes each result,
    /// and `goes_on` is asked before each month; either ends the work by saying no.
    ///
    /// # Errors
    /// [`LakeError`].
    pub fn run(
        &self,
        part: usize,
        parts: usize,
        goes_on: &dyn Fn() -> bool,
        emit: &mut dyn FnMut(Rated) -> bool,
    ) -> Result<(), LakeError> {
        // Fewer at once where there would be too few groups for all threads.
        let intervals = self.work.iter().flat_map(|work| &work.members).any(|member| member.pair.intervals);
        let most = if intervals { INTERVALS_AT_ONCE } else { POINTS_AT_ONCE };
        let points = self.points().div_ceil(parts.max(1)).clamp(1, most);
        for group in groups(&self.work, points).skip(part).step_by(parts.max(1)) {
            let Some(rated) = self.group(group, goes_on)? else { return Ok(()) };
            if !rated.into_iter().all(&mut *emit) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The results as they come from `threads` threads.
    pub fn stream(self: Arc<Self>, threads: usize) -> impl Stream<Item = Result<Rated, RatingError>> + Unpin + use<> {
        let (out, mut results) = mpsc::channel(RESULTS_WAITING);
        for part in 0..threads.max(1) {
            let (rating, out) = (Arc::clone(&self), out.clone());
            tokio::task::spawn_blocking(move || {
                let goes_on = || !out.is_closed();
                let mut emit = |rated| out.blocking_send(Ok(rated)).is_ok();
                if let Err(error) = rating.run(part, threads.max(1), &goes_on, &mut emit) {
                    // Whoever has gone need not hear of it.
                    let _ = out.blocking_send(Err(error.into()));
                }
            });
        }
        futures::stream::poll_fn(move |context| results.poll_recv(context))
    }

    /// Rates service points together; none when told to stop.
    fn group(&self, group: &[Work], goes_on: &dyn Fn() -> bool) -> Result<Option<Vec<Rated>>, LakeError> {
        let mut points: Vec<Running<'_>> = group.iter().map(|work| Running::new(work, self.span)).collect();
        let mut points_of: BTreeMap<u32, Vec<(usize, usize)>> = BTreeMap::new();
        for (index, work) in group.iter().enumerate() {
            for (place, member) in work.members.iter().enumerate() {
                for meter in meters_of(member).collect::<BTreeSet<_>>() {
                    points_of.entry(meter.0).or_default().push((index, place));
                }
            }
        }
        let wanted: Vec<u32> = points_of.keys().copied().collect();
        let after = earliest(group);
        for month in self.readings.months(after) {
            if !goes_on() {
                return Ok(None);
            }
            let start = Moment(instants(month).0);
            points.iter_mut().for_each(|point| point.stop_beyond(start));
            if points.iter().all(|point| point.stopped) {
                break;
            }
            self.readings.read(month, &wanted, after, |meter, rows| {
                match points_of.get(&meter).map(Vec::as_slice) {
                    Some([(index, place)]) => points[*index].collect(*place, rows),
                    several => {
                        let rows: Vec<Row> = rows.collect();
                        for (index, place) in several.into_iter().flatten() {
                            points[*index].collect(*place, &mut rows.iter().copied());
                        }
                    }
                }
            })?;
            points.iter_mut().for_each(|point| point.rate(&self.readings));
        }
        Ok(Some(points.into_iter().flat_map(|point| point.finish(self.until)).collect()))
    }
}

/// Work of so many service points at a time, and no less than one unit.
fn groups(work: &[Work], points: usize) -> impl Iterator<Item = &[Work]> {
    let mut rest = work;
    std::iter::from_fn(move || {
        let mut held = 0;
        let fits = |work: &&Work| {
            let first = held == 0;
            held += work.members.len();
            first || held <= points
        };
        let (group, left) = rest.split_at(rest.iter().take_while(fits).count());
        rest = left;
        (!group.is_empty()).then_some(group)
    })
}

fn meters_of(member: &Rerated) -> impl Iterator<Item = MeterId> {
    member.pair.old.iter().flat_map(|old| old.meters()).chain(member.pair.new.meters())
}

fn meters(work: &Work) -> impl Iterator<Item = MeterId> {
    work.members.iter().flat_map(meters_of)
}

/// One set of terms under way.
struct Side<'a> {
    raters: Together<'a>,
    /// Of each member.
    sinks: Vec<Wanted>,
}

/// What is rated together, under way.
struct Running<'a> {
    work: &'a Work,
    end: Moment,
    old: Option<Side<'a>>,
    new: Side<'a>,
    members: Vec<Arrived>,
    /// Nothing that is still to come can touch the span.
    stopped: bool,
}

/// What came to one service point.
#[derive(Default)]
struct Arrived {
    /// Of this month so far.
    rows: Vec<Row>,
    /// In all.
    readings: u64,
}

impl<'a> Running<'a> {
    fn new(work: &'a Work, span: Span) -> Running<'a> {
        let side = |setups: Vec<&'a Arc<Setup>>| Side {
            sinks: setups.iter().map(|setup| Wanted::new(span, setup, false)).collect(),
            raters: Together::new(
                setups.into_iter().zip(&work.members).map(|(setup, member)| Rater::new(setup, &member.start)).collect(),
            ),
        };
        let olds: Option<Vec<_>> = work.members.iter().map(|member| member.pair.old.as_ref()).collect();
        // By the new terms, which measure as the old ones do.
        let measuring = work.members.iter().map(|member| Wanted::new(span, &member.pair.new, member.pair.intervals));
        Running {
            work,
            end: work.members.iter().map(|member| span.end(&member.pair.new)).max().unwrap_or(Moment(i64::MIN)),
            old: olds.map(side),
            new: Side {
                sinks: measuring.collect(),
                ..side(work.members.iter().map(|member| &member.pair.new).collect())
            },
            members: work.members.iter().map(|_| Arrived::default()).collect(),
            stopped: false,
        }
    }

    /// Stops where all readings from `next` on are of no account for the span.
    fn stop_beyond(&mut self, next: Moment) {
        if !self.stopped && next >= self.end {
            let (old, new) = (self.old.as_ref(), &self.new);
            self.stopped =
                new.raters.is_beyond(self.end, next) && old.is_none_or(|old| old.raters.is_beyond(self.end, next));
        }
    }

    /// Keeps the readings that one of a member's sets of terms holds: what a meter said at another service point is that
    /// point's to judge.
    fn collect(&mut self, member: usize, rows: &mut dyn Iterator<Item = Row>) {
        if self.stopped {
            return;
        }
        let Rerated { pair, start, .. } = &self.work.members[member];
        let after = start.read_after();
        let holds = |row: &Row| {
            row.time > after
                && (pair.new.holds_at(row.meter, row.time)
                    || pair.old.as_ref().is_some_and(|old| old.holds_at(row.meter, row.time)))
        };
        self.members[member].rows.extend(rows.filter(holds));
    }

    /// Rates the month.
    fn rate(&mut self, readings: &Readings) {
        let key = |row: &Row| (row.time, row.meter);
        let charged_after = self.work.charged_after();
        for arrived in &mut self.members {
            if !arrived.rows.is_sorted_by_key(key) {
                arrived.rows.sort_by_key(key);
            }
            arrived.readings += arrived.rows.iter().filter(|row| row.time > charged_after).count() as u64;
        }
        let mut order: Vec<(usize, &[Row])> = Vec::new();
        for (member, arrived) in self.members.iter().enumerate() {
            order.extend(arrived.rows.chunk_by(|a, b| key(a) == key(b)).map(|same| (member, same)));
        }
        if self.members.len() > 1 {
            order.sort_by_key(|(member, same)| (key(&same[0]), *member));
        }
        for side in self.old.iter_mut().chain([&mut self.new]) {
            for (member, same) in &order {
                let quarantined = readings.is_void(&same[0]) || same.iter().any(|row| row.value != same[0].value);
                side.raters.take(*member, &same[0], quarantined, &mut side.sinks);
            }
        }
        self.members.iter_mut().for_each(|arrived| arrived.rows.clear());
    }

    fn finish(self, until: Moment) -> Vec<Rated> {
        let close = |side: Side<'a>| {
            let Side { raters, mut sinks } = side;
            let ends = raters.finish(until, &mut sinks);
            let sums = sinks.into_iter().map(|sink| (sink.totals.sums(), sink.measured));
            (sums, ends)
        };
        let mut old = self.old.map(|old| close(old).0);
        let (new, ends) = close(self.new);
        let stopped = self.stopped;
        let all = self.work.members.iter().zip(self.members).zip(new.zip(ends));
        let all = all.map(|((member, arrived), ((new, intervals), end))| {
            let old = old.as_mut().and_then(Iterator::next).map(|(old, _)| old);
            let end = (!stopped).then_some(end);
            (member.asked, Rated { id: member.pair.id(), old, new, readings: arrived.readings, intervals, end })
        });
        all.filter(|(asked, _)| *asked).map(|(_, rated)| rated).collect()
    }
}

/// Adds up what falls on the wanted days.
struct Wanted {
    span: Span,
    totals: Totals,
    /// From when to when intervals are wanted, where they are.
    bounds: Option<(Moment, Moment)>,
    /// The intervals so far, as they were measured.
    measured: Vec<Interval>,
}

impl Wanted {
    fn new(span: Span, setup: &Setup, intervals: bool) -> Wanted {
        let bounds = intervals.then(|| (span.start(setup), span.end(setup)));
        Wanted { span, totals: Totals::default(), bounds, measured: Vec::new() }
    }
}

impl Sink for Wanted {
    fn part(&mut self, part: &Part) {
        if self.span.holds(part.date) {
            self.totals.add(part);
        }
    }

    fn changed(&mut self, _: MeterId, _: Mark, _: Verdict) {}

    fn interval(&mut self, _: EpochId, interval: &Interval) {
        if self.bounds.is_some_and(|(begin, end)| interval.to > begin && interval.from < end) {
            self.measured.push(*interval);
        }
    }
}
