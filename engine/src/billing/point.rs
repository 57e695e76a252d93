//! One service point in memory: its state, its open lines, and the news of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use kernel::id::{AccountId, MeterId, ServicePointId};
use kernel::judge::Mark;
use kernel::money::Amount;
use kernel::point::{Point, PointState, Row, Sink, Step};
use kernel::rate::{Cell, Part};
use kernel::reading::{Value, Verdict};
use kernel::time::{LocalDate, LocalMonth, Moment};

use super::calm::Calm;
use super::lines::{LineKey, Lines, Sum};
use super::rerate::Sums;
use crate::lake::read::StoredRow;
pub use crate::registry::Setup;

impl Setup {
    /// As the kernel takes it.
    #[must_use]
    pub fn point(&self) -> Point<'_> {
        Point { epochs: &self.epochs, terms: &self.terms, outages: self.outages(), beside: &[] }
    }

    /// All that it is rated together with: itself, where nobody pools.
    #[must_use]
    pub fn members(&self) -> Vec<ServicePointId> {
        self.pool().map_or_else(|| vec![self.id], |pool| pool.as_ref().clone())
    }

    /// How many service points those are.
    #[must_use]
    pub fn pool_size(&self) -> usize {
        self.pool().map_or(1, |pool| pool.len())
    }

    /// Whether a local day lies in a closed month.
    #[must_use]
    pub fn is_closed(&self, date: LocalDate) -> bool {
        self.closed_through.is_some_and(|closed| date.month() <= closed)
    }

    /// From where on readings are rated anew that change what flowed just before `first`: in a closed month from the
    /// month's beginning, so that the lines of whole days can be shown as they were before.
    #[must_use]
    pub fn rated_from(&self, first: Moment) -> Moment {
        match self.month_of(first.plus(-1)) {
            Some(month) if self.closed_through.is_some_and(|closed| month.month <= closed) => month.start,
            _ => first,
        }
    }

    /// The last moment at which a local month began, before `first`; the beginning of time where the days are not known.
    #[must_use]
    pub fn begins_before(&self, first: Moment) -> Moment {
        let Some(month) = self.month_of(first.plus(-1)) else { return Moment(i64::MIN) };
        if month.start < first {
            return month.start;
        }
        self.month_of(month.start.plus(-1)).map_or(Moment(i64::MIN), |month| month.start)
    }

    /// The meters that are or were installed here.
    pub fn meters(&self) -> impl Iterator<Item = MeterId> {
        self.epochs.iter().map(|epoch| epoch.meter)
    }

    /// Whether a stored reading falls into one of its installations, the ends included.
    #[must_use]
    pub fn holds(&self, row: &StoredRow) -> bool {
        self.holds_at(row.meter, row.time)
    }

    /// Whether a meter was installed here at a moment, the ends included.
    #[must_use]
    pub fn holds_at(&self, meter: MeterId, time: Moment) -> bool {
        self.epochs.iter().any(|epoch| {
            epoch.meter == meter && epoch.valid_from <= time && epoch.valid_to.is_none_or(|end| time <= end)
        })
    }

    /// The local month of a moment, and the instants at which it begins and ends. `None` outside the table of days.
    #[must_use]
    pub fn month_of(&self, moment: Moment) -> Option<Month> {
        let month = self.terms.days.at(moment)?.date.month();
        let start = |month: LocalMonth| self.terms.days.on(month.first_day()).map(|day| day.start);
        Some(Month { month, start: start(month)?, end: start(LocalMonth(month.0 + 1))? })
    }
}

/// A local month with its instants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Month {
    /// Which.
    pub month: LocalMonth,
    /// Its first instant.
    pub start: Moment,
    /// The first instant after it.
    pub end: Moment,
}

/// A checkpoint: the state before the first reading after a local month began. It includes the readings up to and at
/// the month's first instant.
pub type Checkpoints = BTreeMap<LocalMonth, PointState>;

/// Follows a state through the months and keeps the state with which each began.
#[derive(Clone, Debug, Default)]
pub struct MonthMarks {
    current: Option<Month>,
}

/// What [`MonthMarks::before`] saw: the month that a reading is the first of, and the state before it.
#[derive(Debug)]
pub struct Begun {
    month: Month,
    state: Option<PointState>,
}

impl MonthMarks {
    /// To be called before each reading: the month that it begins, unless the last one judged was in it too.
    #[must_use]
    pub fn before(&self, setup: &Setup, state: &PointState, time: Moment) -> Option<Begun> {
        if self.current.is_some_and(|month| month.start < time && time <= month.end) {
            return None;
        }
        // A reading at the very first instant of a month still belongs to the month that it closes.
        let month = setup.month_of(time.plus(-1))?;
        // A state that knows something of the month itself (a closing count, say) is no beginning of it.
        let state = state.watermark.is_some_and(|watermark| watermark <= month.start).then(|| state.clone());
        Some(Begun { month, state })
    }

    /// To be called after the reading: keeps the month's beginning where the reading was judged. One from the future,
    /// or of no installation, moves no state; it must not begin a month either.
    pub fn after(&mut self, begun: Option<Begun>, state: &PointState, time: Moment, kept: &mut Checkpoints) {
        let Some(Begun { month, state: before }) = begun.filter(|_| state.watermark == Some(time)) else { return };
        kept.extend(before.map(|before| (month.month, before)));
        self.current = Some(month);
    }
}

/// One service point in memory.
#[derive(Debug)]
pub struct PointRuntime {
    /// Which.
    pub id: ServicePointId,
    /// Something here differs from the book.
    pub changed: bool,
    /// What it is rated by.
    pub setup: Arc<Setup>,
    /// What must survive.
    pub state: PointState,
    /// Lines that are not posted yet.
    pub lines: Lines,
    /// Only where something happened since the last settlement.
    pub news: Option<Box<News>>,
}

/// What happened at a service point since the last settlement, and what makes its next reading cheap.
#[derive(Debug, Default)]
pub struct News {
    /// Checkpoints that the book does not hold yet.
    pub checkpoints: Checkpoints,
    /// The book's checkpoints from this month on were made by readings or terms that have changed since.
    pub stale_from: Option<LocalMonth>,
    /// Readings that arrived late, for the next settlement to resolve.
    pub late: Vec<StoredRow>,
    /// Earlier readings whose verdict changed.
    pub verdicts: Vec<(MeterId, Mark, Verdict)>,
    /// What lines of closed months cost before they were rated anew.
    pub before: Sums,
    marks: MonthMarks,
    cell: Option<Cell>,
    /// In a pool, the tier in which it has been charged.
    calm: Option<Box<Calm>>,
}

impl News {
    /// Whether nothing of it is still to be written or resolved.
    fn is_old(&self) -> bool {
        let News { checkpoints, stale_from, late, verdicts, before, marks: _, cell: _, calm } = self;
        let resolved = late.is_empty() && verdicts.is_empty() && before.is_empty();
        resolved && checkpoints.is_empty() && stale_from.is_none() && calm.is_none()
    }
}

impl PointRuntime {
    /// A service point of which nothing is known yet.
    #[must_use]
    pub fn new(setup: Arc<Setup>) -> PointRuntime {
        let (id, state) = (setup.id, PointState::default());
        PointRuntime { id, changed: false, setup, state, lines: Lines::default(), news: None }
    }

    /// Where something new is added.
    pub fn news(&mut self) -> &mut News {
        self.news.get_or_insert_default()
    }

    /// Readings that arrived late.
    #[must_use]
    pub fn late(&self) -> &[StoredRow] {
        self.news.as_ref().map_or(&[], |news| &news.late)
    }

    /// Rates by other terms from now on.
    pub fn replace_setup(&mut self, setup: Arc<Setup>) {
        self.setup = setup;
        if let Some(news) = &mut self.news {
            (news.cell, news.calm) = (None, None);
        }
    }

    /// Replaces the state after readings later than `after` were rated anew. Checkpoints of months that begin later
    /// hold no longer, also those of months without a reading.
    pub fn replace_state(&mut self, state: PointState, checkpoints: Checkpoints, after: Moment) {
        let first = self.setup.month_of(after).map_or(LocalMonth(i32::MIN), |month| LocalMonth(month.month.0 + 1));
        self.state = state;
        self.changed = true;
        let news = self.news();
        news.stale_from = Some(news.stale_from.map_or(first, |earlier| earlier.min(first)));
        news.checkpoints.retain(|month, _| *month < first);
        news.checkpoints.extend(checkpoints);
        news.marks = MonthMarks::default();
        (news.cell, news.calm) = (None, None);
    }

    /// Takes the next reading; [`Step::Late`] changes nothing: the settlement rates it, with a history of the days before.
    pub fn take(&mut self, row: &Row, beside: &Beside<'_>) -> Step {
        if (self.state.watermark, self.state.last_meter) >= (Some(row.time), Some(row.meter)) {
            return Step::Late;
        }
        if self.setup.pool().is_some() {
            return self.take_beside(row, beside);
        }
        let news = self.news.get_or_insert_default();
        let begun = news.marks.before(&self.setup, &self.state, row.time);
        let mut sink = Collect { lines: &mut self.lines, verdicts: &mut news.verdicts };
        self.changed = true;
        let step = self.setup.point().advance(&mut self.state, &mut news.cell, None, row, &mut sink);
        news.marks.after(begun, &self.state, row.time, &mut news.checkpoints);
        step
    }

    /// Takes the next reading of a member of a pool; out of turn only where that makes no difference.
    fn take_beside(&mut self, row: &Row, beside: &Beside<'_>) -> Step {
        if beside.closes_at.is_some_and(|end| end <= row.time) {
            return Step::Late;
        }
        let beyond = beside.members.iter().filter(|member| member.state.is_beyond(row));
        let in_turn = beyond.clone().next().is_none();
        let calm = Calm::shared(beyond.map(|member| member.calm()), row);
        if !in_turn && calm.is_none() {
            return Step::Late;
        }
        // What others used counts, whenever they were read.
        let untimed = |state: &PointState| PointState { shares: state.shares.clone(), ..PointState::default() };
        let untimed: Vec<PointState> = match in_turn {
            true => Vec::new(),
            false => beside.members.iter().map(|member| untimed(&member.state)).collect(),
        };
        let states: Vec<&PointState> = match in_turn {
            true => beside.members.iter().map(|member| &member.state).collect(),
            false => untimed.iter().collect(),
        };
        let setup = Arc::clone(&self.setup);
        let news = self.news.get_or_insert_default();
        let begun = news.marks.before(&setup, &self.state, row.time);
        let before = (!in_turn).then(|| self.state.clone());
        let mut heard = Heard::default();
        let point = Point { beside: &states, ..setup.point() };
        let step = point.advance(&mut self.state, &mut news.cell, None, row, &mut heard);
        if let Some(before) = before
            && calm.is_none_or(|calm| !calm.takes(&heard.parts, &setup.terms))
        {
            (self.state, news.cell) = (before, None);
            return Step::Late;
        }
        if step == Step::Late {
            return step;
        }
        self.changed = true;
        let after = Calm::after(news.calm.as_deref().copied(), row, &heard.parts, &setup.terms);
        if news.calm.as_deref() != Some(&after) {
            news.calm = Some(Box::new(after));
        }
        for part in &heard.parts {
            self.lines.add(LineKey::of(part), Sum { quantity: part.quantity, amount: part.amount });
        }
        news.verdicts.append(&mut heard.verdicts);
        news.marks.after(begun, &self.state, row.time, &mut news.checkpoints);
        step
    }

    /// Bills the installations that ended with a stated closing count, whether or not a reading follows. One whose last
    /// interval only a history can divide waits among the late readings, as a row of no frame ([`waits`]).
    pub fn close(&mut self, until: Moment) {
        if self.setup.epochs.iter().all(|epoch| epoch.valid_to.is_none()) {
            return;
        }
        let before = self.state.clone();
        let news = self.news.get_or_insert_default();
        let mut sink = Collect { lines: &mut self.lines, verdicts: &mut news.verdicts };
        let waiting = self.setup.point().close(&mut self.state, &mut news.cell, None, until, &mut sink);
        self.changed |= self.state != before;
        if let Some((meter, time)) = waiting {
            self.wait_for(meter, time);
        }
        if !self.changed {
            self.rest();
        }
    }

    /// Bills the one closing count that is due next, in a pool; says whether it has to wait.
    pub(super) fn close_next(&mut self, until: Moment, beside: &Beside<'_>) -> bool {
        let news = self.news.get_or_insert_default();
        let mut sink = Collect { lines: &mut self.lines, verdicts: &mut news.verdicts };
        let states: Vec<&PointState> = beside.members.iter().map(|member| &member.state).collect();
        let point = Point { beside: &states, ..self.setup.point() };
        let waiting = point.close_next(&mut self.state, &mut news.cell, None, until, &mut sink);
        news.calm = None;
        self.changed = true;
        if let Some((meter, time)) = waiting {
            self.wait_for(meter, time);
        }
        waiting.is_some()
    }

    /// What the tiers of a pool's member are after they were rated anew.
    pub fn replace_calm(&mut self, calm: Option<Calm>) {
        if calm.is_some() || self.news.is_some() {
            self.news().calm = calm.map(Box::new);
        }
    }

    fn calm(&self) -> Option<Calm> {
        self.news.as_ref().and_then(|news| news.calm.as_deref().copied())
    }

    /// Puts the closing count of a meter among the late readings.
    fn wait_for(&mut self, meter: MeterId, time: Moment) {
        let news = self.news.get_or_insert_default();
        if !news.late.iter().any(waits) {
            let (value, verdict) = (Value::Register(0), Verdict::Pending);
            let row = StoredRow { meter, time, value, received_at: time, seq: 0, row: None, verdict, correction: None };
            news.late.push(row);
        }
    }

    /// Whether any of its installations has an end.
    pub(super) fn ends(&self) -> bool {
        self.setup.epochs.iter().any(|epoch| epoch.valid_to.is_some())
    }

    /// When the next of its installations ends whose stated closing count is not billed.
    pub(super) fn closes_at(&self) -> Option<Moment> {
        self.setup.point().closes_next(&self.state, Moment(i64::MAX)).map(|(end, _)| end)
    }

    /// What accounts owe more since this was asked last.
    pub fn take_owed(&mut self) -> Vec<(AccountId, Amount)> {
        self.lines.take_owed()
    }

    /// To be called once the book holds everything that is here.
    pub fn settled(&mut self) {
        self.changed = false;
        for line in self.lines.all().iter_mut() {
            (line.stored, line.changed) = (true, false);
        }
        if let Some(news) = &mut self.news {
            news.checkpoints.clear();
            news.stale_from = None;
        }
        self.rest();
    }

    fn rest(&mut self) {
        if self.news.as_ref().is_some_and(|news| news.is_old()) {
            self.news = None;
        }
    }
}

/// The other members of a service point's pool, while it takes readings; nothing for nearly all.
#[derive(Debug)]
pub struct Beside<'a> {
    /// Each of them.
    pub members: Vec<&'a PointRuntime>,
    /// When the next closing count of theirs is to be billed: what comes after it waits for it.
    pub closes_at: Option<Moment>,
}

impl Beside<'_> {
    /// Nobody.
    pub const NOBODY: Beside<'static> = Beside { members: Vec::new(), closes_at: None };
}

/// Whether it stands for a closing count that waits to be billed.
#[must_use]
pub fn waits(late: &StoredRow) -> bool {
    late.row.is_none()
}

/// What a row brings about, before it counts.
#[derive(Default)]
struct Heard {
    parts: Vec<Part>,
    verdicts: Vec<(MeterId, Mark, Verdict)>,
}

impl Sink for Heard {
    fn part(&mut self, part: &Part) {
        self.parts.push(*part);
    }

    fn changed(&mut self, meter: MeterId, mark: Mark, verdict: Verdict) {
        self.verdicts.push((meter, mark, verdict));
    }
}

struct Collect<'a> {
    lines: &'a mut Lines,
    verdicts: &'a mut Vec<(MeterId, Mark, Verdict)>,
}

impl Sink for Collect<'_> {
    fn part(&mut self, part: &Part) {
        self.lines.add(LineKey::of(part), Sum { quantity: part.quantity, amount: part.amount });
    }

    fn changed(&mut self, meter: MeterId, mark: Mark, verdict: Verdict) {
        self.verdicts.push((meter, mark, verdict));
    }
}
