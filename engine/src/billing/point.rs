//! One service point in memory: its terms, its state, its open lines.

use std::collections::BTreeMap;
use std::sync::Arc;

use kernel::epoch::Epoch;
use kernel::id::{AccountId, MeterId, ServicePointId};
use kernel::judge::Mark;
use kernel::money::Amount;
use kernel::point::{Point, PointState, Row, Sink, Step};
use kernel::rate::{Cell, Part, Terms};
use kernel::reading::Verdict;
use kernel::time::{LocalMonth, Moment};

use super::lines::{LineKey, Lines, Sum};
use crate::lake::read::StoredRow;

/// What a service point is rated by; replaced as a whole when the registry changes.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Which.
    pub id: ServicePointId,
    /// Its installations, by `valid_from`.
    pub epochs: Vec<Epoch>,
    /// Contracts, tariffs, local days, day types.
    pub terms: Terms,
}

impl Setup {
    /// As the kernel takes it.
    #[must_use]
    pub fn point(&self) -> Point<'_> {
        Point { epochs: &self.epochs, terms: &self.terms }
    }

    /// The meters that are or were installed here.
    pub fn meters(&self) -> impl Iterator<Item = MeterId> {
        self.epochs.iter().map(|epoch| epoch.meter)
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

impl MonthMarks {
    /// To be called before each reading: keeps `state` when the reading is the first of a month.
    pub fn pass(&mut self, setup: &Setup, state: &PointState, time: Moment, kept: &mut Checkpoints) {
        if self.current.is_some_and(|month| month.start < time && time <= month.end) {
            return;
        }
        // A reading at the very first instant of a month still belongs to the month that it closes.
        let Some(month) = setup.month_of(time.plus(-1)) else { return };
        if self.current.is_some() || state.watermark.is_some_and(|watermark| watermark <= month.start) {
            kept.insert(month.month, state.clone());
        }
        self.current = Some(month);
    }
}

/// One service point in memory.
#[derive(Debug)]
pub struct PointRuntime {
    /// What it is rated by.
    pub setup: Arc<Setup>,
    /// What must survive.
    pub state: PointState,
    /// Lines that are not posted yet.
    pub lines: Lines,
    /// Something here differs from the book.
    pub changed: bool,
    /// Checkpoints that the book does not hold yet.
    pub checkpoints: Checkpoints,
    /// Readings that arrived late, for the next settlement to resolve.
    pub late: Vec<StoredRow>,
    /// Earlier readings whose verdict changed.
    pub verdicts: Vec<(MeterId, Mark, Verdict)>,
    marks: MonthMarks,
    cell: Option<Cell>,
}

impl PointRuntime {
    /// A service point as the book holds it.
    #[must_use]
    pub fn new(setup: Arc<Setup>, state: PointState) -> PointRuntime {
        PointRuntime {
            setup,
            state,
            lines: Lines::default(),
            changed: false,
            checkpoints: Checkpoints::new(),
            late: Vec::new(),
            verdicts: Vec::new(),
            marks: MonthMarks::default(),
            cell: None,
        }
    }

    /// Rates by other terms from now on.
    pub fn replace_setup(&mut self, setup: Arc<Setup>) {
        self.setup = setup;
        self.cell = None;
    }

    /// Replaces the state after a re-rate.
    pub fn replace_state(&mut self, state: PointState, checkpoints: Checkpoints) {
        self.state = state;
        self.checkpoints.extend(checkpoints);
        self.changed = true;
        self.marks = MonthMarks::default();
        self.cell = None;
    }

    /// Takes the next reading; [`Step::Late`] changes nothing.
    pub fn take(&mut self, row: &Row) -> Step {
        // At the same instant the order of two meters would be the order of arrival: let the re-rate order them.
        if self.state.watermark.is_some_and(|watermark| row.time <= watermark) {
            return Step::Late;
        }
        self.marks.pass(&self.setup, &self.state, row.time, &mut self.checkpoints);
        let mut sink = Collect { lines: &mut self.lines, verdicts: &mut self.verdicts };
        self.changed = true;
        self.setup.point().advance(&mut self.state, &mut self.cell, row, &mut sink)
    }

    /// What accounts owe more since this was asked last.
    pub fn take_owed(&mut self) -> Vec<(AccountId, Amount)> {
        self.lines.take_owed()
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
