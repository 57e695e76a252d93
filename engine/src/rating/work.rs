//! What is to be rated: service points with the terms to compare, and the days that are wanted.

use std::collections::BTreeSet;
use std::sync::Arc;

use kernel::id::ServicePointId;
use kernel::time::{LocalDate, Moment};

use crate::billing::point::Setup;
use crate::billing::rerate::Start;

/// The local days whose lines are wanted, both ends included. What flowed on other days is rated too, where tiers and
/// intervals need it, and left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first day.
    pub first: LocalDate,
    /// The last day.
    pub last: LocalDate,
}

impl Span {
    /// Every day that was ever rated.
    pub const ALL: Span = Span { first: LocalDate(i32::MIN), last: LocalDate(i32::MAX) };

    pub(super) fn holds(self, date: LocalDate) -> bool {
        self.first <= date && date <= self.last
    }

    /// The first moment of the span by a service point's days; the beginning of time before their table.
    pub(super) fn start(self, setup: &Setup) -> Moment {
        setup.terms.days.on(self.first).map_or(Moment(i64::MIN), |day| day.start)
    }

    /// The first moment after the span; the end of time beyond the table of days.
    pub(super) fn end(self, setup: &Setup) -> Moment {
        setup.terms.days.on(self.last).map_or(Moment(i64::MAX), |day| day.end)
    }
}

/// A service point by one or two sets of terms.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The terms that are compared with; where there are none, everything that `new` charges is difference.
    pub old: Option<Arc<Setup>>,
    /// The terms to rate by.
    pub new: Arc<Setup>,
    /// Whether the intervals themselves are wanted, as measured: what demand is told from.
    pub intervals: bool,
}

impl Pair {
    /// One set of terms: what it charges.
    #[must_use]
    pub fn of(setup: Arc<Setup>) -> Pair {
        Pair { old: None, new: setup, intervals: false }
    }

    /// Two sets of terms: what `new` charges more than `old`.
    #[must_use]
    pub fn between(old: Arc<Setup>, new: Arc<Setup>) -> Pair {
        Pair { old: Some(old), new, intervals: false }
    }

    /// The other members of its pool, where it is in one by either set of terms.
    pub(super) fn pool(&self) -> Option<&Arc<Vec<ServicePointId>>> {
        self.new.pool().or_else(|| self.old.as_ref()?.pool())
    }

    /// Which service point.
    #[must_use]
    pub fn id(&self) -> ServicePointId {
        self.new.id
    }

    /// Whether a state that one set of terms left serves the other too: the same installations, and tier counters that
    /// begin anew at the same time. Otherwise both are rated from the beginning.
    pub(super) fn shares_states(&self) -> bool {
        let Some(old) = &self.old else { return true };
        let periods = |setup: &Setup| -> BTreeSet<String> {
            let versions = setup.terms.contracts.iter().flat_map(|contract| contract.versions.iter());
            versions.filter_map(|version| version.tiers.as_ref()).map(|tiers| format!("{:?}", tiers.period)).collect()
        };
        let (was, is) = (periods(old), periods(&self.new));
        old.epochs == self.new.epochs && was == is && is.len() <= 1
    }
}

/// What is rated together from stored states: a service point, or all members of a pool.
#[derive(Clone, Debug)]
pub struct Work {
    /// Each service point, by identifier.
    pub members: Vec<Rerated>,
}

/// A service point to be rated from a state.
#[derive(Clone, Debug)]
pub struct Rerated {
    /// By which terms.
    pub pair: Pair,
    /// Where to start.
    pub start: Start,
    /// Whether anybody asked for its lines. Members of a pool are rated for the tiers of the others, too.
    pub asked: bool,
}

impl Work {
    /// The first moment after which it is charged.
    pub(super) fn charged_after(&self) -> Moment {
        self.members.first().map_or(Moment(i64::MIN), |member| member.start.charged_after)
    }
}
