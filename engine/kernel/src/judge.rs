//! From a register count to a verdict: rollover, jitter, plausibility, glitch, reset and jump (domain.md, 2).
//!
//! Readings of one installation arrive here in the order of their event time. Each is judged against the last accepted
//! one; what arrives late is judged by starting again from an earlier state, so that the order of arrival means nothing.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::epoch::Epoch;
use crate::money::Quantity;
use crate::reading::Verdict;
use crate::seldom::Seldom;
use crate::time::Moment;

/// How many implausible readings in a row, agreeing among themselves, make an exception.
const AGREEING: usize = 3;
/// The longest run of suspended readings that is remembered; older ones can only have been glitches.
const RUN_LIMIT: usize = 16;
/// The most that one usage interval may state, up or down: 10^12 billing units, what a country uses in months. Sums of
/// nine thousand such intervals still fit 64 bits.
pub const USAGE_LIMIT: Quantity = Quantity(1_000_000_000_000_000);

/// A count at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Event time.
    pub time: Moment,
    /// The count; for a baseline without the wraps taken off.
    pub count: i64,
}

/// Why billing of an installation waits for an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exception {
    /// The register starts again from below.
    Reset,
    /// The register goes on from above.
    Jump,
}

/// What is remembered of one installation between two readings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterState {
    /// The last accepted reading.
    pub baseline: Option<Mark>,
    /// Within an exception first its last reading; then the suspended readings since, oldest first.
    pub run: Seldom<Mark>,
    /// An open reset or jump.
    pub exception: Option<Exception>,
    /// The end of the last usage interval; a register that is read after it opens anew.
    pub usage_until: Option<Moment>,
}

/// Energy or volume between two consecutive readings of one epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// The earlier reading's time.
    pub from: Moment,
    /// The later reading's time.
    pub to: Moment,
    /// What was used.
    pub quantity: Quantity,
}

/// What became of a reading, and of suspended ones before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// This reading's verdict.
    pub verdict: Verdict,
    /// What it bills, in the register's own unit.
    pub interval: Option<Interval>,
    /// What the register stood for where the interval begins; 0 for usage.
    pub before: Quantity,
    /// Earlier readings of this installation whose verdict this one changes.
    pub changed: Vec<(Mark, Verdict)>,
}

impl Judgement {
    fn only(verdict: Verdict) -> Judgement {
        Judgement { verdict, interval: None, before: Quantity::ZERO, changed: Vec::new() }
    }
}

/// How a count relates to a mark before it.
enum Step {
    /// It passed by this many counts; below zero where a signed register counts what flows back.
    Forward(i64),
    /// It fell back within the jitter.
    Jitter,
    Implausible,
}

fn step(epoch: &Epoch, from: Mark, to: Mark) -> Step {
    let micros = to.time.since(from.time);
    let raw = epoch.raw(from.count);
    let Some(passed) = to.count.checked_sub(raw) else { return Step::Implausible };
    if epoch.signed {
        // What flows back has the same limit as what flows in; a reset falls by more.
        let plausible = passed.checked_abs().is_some_and(|passed| epoch.can_pass(passed, micros));
        return if plausible { Step::Forward(passed) } else { Step::Implausible };
    }
    if passed >= 0 {
        return if epoch.can_pass(passed, micros) { Step::Forward(passed) } else { Step::Implausible };
    }
    if let Some(modulus) = epoch.modulus {
        // "Near the top": within the last tenth of the range, and seen again within the first.
        let near_the_top = raw >= modulus - modulus / 10 && to.count <= modulus / 10;
        if near_the_top && epoch.can_pass(passed + modulus, micros) {
            return Step::Forward(passed + modulus);
        }
    }
    // Not `-passed <= jitter`: the lowest integer has no negative.
    if passed >= -epoch.jitter_counts { Step::Jitter } else { Step::Implausible }
}

impl RegisterState {
    /// Whether something is open that must be explained before anybody is cut off for what this installation says.
    #[must_use]
    pub fn in_doubt(&self) -> bool {
        !self.run.is_empty()
    }

    /// Until where its use is known.
    #[must_use]
    pub fn measured_until(&self) -> Option<Moment> {
        self.baseline.map(|baseline| baseline.time).max(self.usage_until)
    }

    /// Judges the next reading of an installation, in the order of event time.
    pub fn judge(&mut self, epoch: &Epoch, time: Moment, count: i64) -> Judgement {
        let next = Mark { time, count };
        if self.baseline.is_none() && self.usage_until.is_none() {
            self.baseline = epoch.opening_count.map(|count| Mark { time: epoch.valid_from, count });
        }
        let Some(baseline) = self.baseline else {
            self.baseline = Some(next);
            return Judgement::only(Verdict::Opening);
        };
        if baseline == next {
            return Judgement::only(Verdict::Opening);
        }
        if self.exception.is_some()
            && let Some(last) = self.run.first_mut()
            && !matches!(step(epoch, *last, next), Step::Implausible)
        {
            *last = next;
            let changed = glitches(&self.run[1..]);
            self.run.truncate(1);
            return Judgement { changed, ..Judgement::only(Verdict::Exception) };
        }
        match step(epoch, baseline, next) {
            Step::Forward(passed) => self.accept(epoch, baseline, time, passed, Verdict::Accepted),
            Step::Jitter => self.accept(epoch, baseline, time, 0, Verdict::Jitter),
            Step::Implausible => self.suspend(epoch, baseline, next),
        }
    }

    /// Forgets what is suspended, because the installation has ended; whether there was anything.
    pub(crate) fn settle(&mut self) -> bool {
        let doubt = self.in_doubt();
        self.run.clear();
        self.exception = None;
        doubt
    }

    fn accept(&mut self, epoch: &Epoch, from: Mark, time: Moment, passed: i64, verdict: Verdict) -> Judgement {
        let to = Mark { time, count: from.count.saturating_add(passed) };
        let (before, after) = (epoch.quantity_at(from.count), epoch.quantity_at(to.count));
        let quantity = Quantity(after.0.saturating_sub(before.0));
        let changed = glitches(&self.run[self.in_exception()..]);
        self.exception = None;
        self.run.clear();
        self.baseline = Some(to);
        Judgement { verdict, interval: Some(Interval { from: from.time, to: time, quantity }), before, changed }
    }

    /// How many marks of the run belong to an open exception: the first, or none.
    fn in_exception(&self) -> usize {
        usize::from(self.exception.is_some()).min(self.run.len())
    }

    fn suspend(&mut self, epoch: &Epoch, baseline: Mark, next: Mark) -> Judgement {
        self.run.push(next);
        // A reading that fits neither the old level nor that of an open exception leaves the exception open.
        let first = self.in_exception();
        let tail = &self.run[first.max(self.run.len().saturating_sub(AGREEING))..];
        let agree = tail.windows(2).all(|pair| !matches!(step(epoch, pair[0], pair[1]), Step::Implausible));
        if tail.len() < AGREEING || !agree {
            let forgotten = first..first + (self.run.len() - first).saturating_sub(RUN_LIMIT);
            let changed = glitches(&self.run[forgotten.clone()]);
            self.run.remove(forgotten);
            return Judgement { changed, ..Judgement::only(Verdict::Suspended) };
        }
        self.exception = Some(if next.count < epoch.raw(baseline.count) { Exception::Reset } else { Exception::Jump });
        let before = self.run.len() - AGREEING;
        let mut changed = glitches(&self.run[first..before]);
        let agreeing = &self.run[before..self.run.len() - 1];
        changed.extend(agreeing.iter().map(|mark| (*mark, Verdict::Exception)));
        self.run.clear();
        self.run.push(next);
        Judgement { changed, ..Judgement::only(Verdict::Exception) }
    }

    /// Judges the next usage interval: billed as it is, unless it overlaps what is billed already. A quantity beyond
    /// [`USAGE_LIMIT`] is no measurement. Nothing is billed between usage and a register's first reading after it.
    pub fn judge_usage(&mut self, start: Moment, end: Moment, quantity: Quantity) -> Judgement {
        if start >= end || quantity.0.unsigned_abs() > USAGE_LIMIT.0.unsigned_abs() {
            return Judgement::only(Verdict::Invalid);
        }
        if self.measured_until().is_some_and(|until| start < until) {
            return Judgement::only(Verdict::Overlap);
        }
        let changed = glitches(&self.run[self.in_exception()..]);
        *self = RegisterState { usage_until: Some(end), ..RegisterState::default() };
        let interval = Some(Interval { from: start, to: end, quantity });
        Judgement { interval, changed, ..Judgement::only(Verdict::Accepted) }
    }
}

fn glitches(run: &[Mark]) -> Vec<(Mark, Verdict)> {
    run.iter().map(|mark| (*mark, Verdict::Glitch)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{EpochId, MeterId, ServicePointId};
    use crate::time::HOUR;
    use alloc::vec;

    /// Counts of 0.01 kWh (10 milli-units) times `multiplier`; P_max 3 kW unless said otherwise.
    fn epoch(multiplier: i64, modulus: Option<i64>, max_rate: i64) -> Epoch {
        Epoch {
            id: EpochId(1),
            meter: MeterId(1),
            service_point: ServicePointId(1),
            numerator: 10 * multiplier,
            denominator: 1,
            modulus,
            opening_count: None,
            closing_count: None,
            jitter_counts: 2,
            max_rate: max_rate * multiplier,
            signed: false,
            converts: false,
            valid_from: Moment(0),
            valid_to: None,
        }
    }

    /// Hourly counts -> verdicts after the last one, billed milli-units, exception.
    fn check(epoch: &Epoch, counts: &[i64], verdicts: &[Verdict], billed: i64, exception: Option<Exception>) {
        let mut state = RegisterState::default();
        let mut seen = Vec::new();
        let mut total = Quantity::ZERO;
        for (hour, count) in (0..).zip(counts) {
            let judgement = state.judge(epoch, Moment(hour * HOUR), *count);
            for (mark, verdict) in judgement.changed {
                seen[usize::try_from(mark.time.0 / HOUR).unwrap()] = verdict;
            }
            seen.push(judgement.verdict);
            total += judgement.interval.map_or(Quantity::ZERO, |interval| interval.quantity);
        }
        assert_eq!((seen.as_slice(), total, state.exception), (verdicts, Quantity(billed), exception), "{counts:?}");
    }

    #[test]
    fn a_jump_holds_billing_until_the_register_falls_back() {
        use Verdict::{Accepted, Exception as Ex, Opening};
        let jump = [1_000, 90_000, 90_010, 90_020, 90_030];
        check(&epoch(1, None, 3_000), &jump, &[Opening, Ex, Ex, Ex, Ex], 0, Some(Exception::Jump));
        let back = [1_000, 90_000, 90_010, 90_020, 90_030, 1_040];
        check(&epoch(1, None, 3_000), &back, &[Opening, Ex, Ex, Ex, Ex, Accepted], 400, None);
    }

    #[test]
    fn a_glitch_within_a_reset_does_not_end_the_reset() {
        use Verdict::{Exception as Ex, Glitch, Opening};
        let counts = [300, 0, 100, 200, 50_000, 290, 310, 330];
        let verdicts = [Opening, Ex, Ex, Ex, Glitch, Ex, Ex, Ex];
        check(&epoch(1, None, 3_000), &counts, &verdicts, 0, Some(Exception::Reset));
    }

    #[test]
    fn a_reset_register_that_climbs_back_to_its_old_level_is_not_taken_for_the_old_one() {
        let mut state = RegisterState::default();
        let epoch = epoch(1, None, 3_000);
        for (hour, count) in (0..).zip([300, 0, 100, 200, 290, 310, 330]) {
            let judgement = state.judge(&epoch, Moment(hour * HOUR), count);
            assert_eq!(judgement.interval, None);
        }
        assert_eq!(state.exception, Some(Exception::Reset));
    }

    /// Fast enough for any wrap, so that only the places near the top and the bottom decide.
    #[test]
    fn a_register_rolls_over_only_from_its_last_tenth_into_its_first() {
        use Verdict::{Accepted, Opening, Suspended};
        let fast = epoch(1, Some(1_000), 1_000_000);
        for (counts, last, billed) in [
            ([900, 100], Accepted, 2_000),
            ([999, 0], Accepted, 10),
            ([899, 100], Suspended, 0),
            ([900, 101], Suspended, 0),
            ([899, 0], Suspended, 0),
            ([999, 101], Suspended, 0),
            ([500, 400], Suspended, 0),
        ] {
            check(&fast, &counts, &[Opening, last], billed, None);
        }
        // Twice around, counting on.
        let twice = [990, 10, 500, 950, 20, 30];
        check(&fast, &twice, &[Opening, Accepted, Accepted, Accepted, Accepted, Accepted], 10_400, None);
        // Too fast for the meter: not even near the seam.
        check(&epoch(1, Some(1_000), 1), &[900, 100], &[Opening, Suspended], 0, None);
        // Without a modulus nothing rolls over.
        check(&epoch(1, None, 1_000_000), &[999, 0], &[Opening, Suspended], 0, None);
    }

    /// With an open exception, the run's first mark is its last reading and not one of the suspended.
    #[test]
    fn what_is_forgotten_within_an_exception_is_the_oldest_suspended_reading() {
        let mut state = RegisterState::default();
        let epoch = epoch(1, None, 3_000);
        let mut judge = |hour: i64, count| state.judge(&epoch, Moment(hour * HOUR), count);
        judge(0, 1_000_000);
        for hour in 1..=3 {
            judge(hour, hour);
        }
        let mut changed = Vec::new();
        for hour in 4..=40 {
            let count = if hour % 2 == 0 { 5_000_000 + 5_000 * hour } else { 9_000_000 - 5_000 * hour };
            changed.extend(judge(hour, count).changed);
        }
        // One for the exception, and as many suspended as are remembered.
        assert_eq!((state.run.len(), changed.len()), (1 + RUN_LIMIT, 37 - RUN_LIMIT));
        let expected: Vec<i64> = (4..).take(changed.len()).collect();
        let hours: Vec<i64> = changed.iter().map(|(mark, _)| mark.time.0 / HOUR).collect();
        assert_eq!((hours, state.run[0].count), (expected, 3));
    }

    #[test]
    fn a_signed_register_counts_what_flows_back_and_is_still_judged_for_resets_and_jumps() {
        use Verdict::{Accepted, Exception as Ex, Glitch, Opening, Suspended};
        let signed = Epoch { signed: true, ..epoch(1, None, 3_000) };
        for (counts, verdicts, milli, exception) in [
            (&[100, 150, 20, -80, 0][..], &[Opening, Accepted, Accepted, Accepted, Accepted][..], -1_000, None),
            // One count down is flow, not jitter.
            (&[5_000, 4_999, 5_001], &[Opening, Accepted, Accepted], 10, None),
            (&[100_000, 0, 100_020], &[Opening, Glitch, Accepted], 200, None),
            (&[100_000, 0, -10, -30], &[Opening, Ex, Ex, Ex], 0, Some(Exception::Reset)),
            (&[-100_000, 0, 10, -30], &[Opening, Ex, Ex, Ex], 0, Some(Exception::Jump)),
            (&[i64::MIN, 0, i64::MAX], &[Opening, Suspended, Suspended], 0, None),
        ] {
            let mut state = RegisterState::default();
            let mut found: Vec<(Mark, Verdict)> = Vec::new();
            let mut total = 0;
            for (hour, count) in (0..).zip(counts) {
                let mark = Mark { time: Moment(hour * HOUR), count: *count };
                let judgement = state.judge(&signed, mark.time, mark.count);
                total += judgement.interval.map_or(0, |interval| interval.quantity.0);
                found.push((mark, judgement.verdict));
                for (earlier, verdict) in judgement.changed {
                    found.iter_mut().filter(|(mark, _)| *mark == earlier).for_each(|(_, old)| *old = verdict);
                }
            }
            let found: Vec<Verdict> = found.into_iter().map(|(_, verdict)| verdict).collect();
            assert_eq!((&found[..], total, state.exception), (verdicts, milli, exception), "{counts:?}");
        }
    }

    #[test]
    fn noise_that_never_agrees_stays_suspended_and_is_forgotten_as_glitches() {
        let mut state = RegisterState::default();
        let epoch = epoch(1, None, 3_000);
        state.judge(&epoch, Moment(0), 1_000_000);
        let mut glitches = 0;
        for hour in 1..=40 {
            let count = if hour % 2 == 0 { 5_000 * hour } else { 9_000_000 - 5_000 * hour };
            let judgement = state.judge(&epoch, Moment(hour * HOUR), count);
            assert_eq!(judgement.verdict, Verdict::Suspended);
            glitches += judgement.changed.len();
        }
        assert_eq!((state.run.len(), glitches), (RUN_LIMIT, 40 - RUN_LIMIT));
        let judgement = state.judge(&epoch, Moment(41 * HOUR), 1_000_001);
        assert_eq!((judgement.verdict, judgement.changed.len()), (Verdict::Accepted, RUN_LIMIT));
    }

    #[test]
    fn pulses_read_one_by_one_do_not_round_to_nothing() {
        let pulses = Epoch { numerator: 1_000, denominator: 3_200, ..epoch(1, None, 3_000) };
        let mut state = RegisterState::default();
        let mut total = Quantity::ZERO;
        for pulse in 0..=3_200 {
            let judgement = state.judge(&pulses, Moment(pulse * HOUR), pulse);
            total += judgement.interval.map_or(Quantity::ZERO, |interval| interval.quantity);
        }
        assert_eq!(total, Quantity(1_000));
    }

    #[test]
    fn a_register_read_after_imported_usage_opens_anew_and_bills_nothing_twice() {
        use Verdict::{Accepted, Opening, Overlap};
        let epoch = Epoch { opening_count: Some(0), ..epoch(1, None, 3_000) };
        let mut state = RegisterState::default();
        let usage = |state: &mut RegisterState, from, to| {
            state.judge_usage(Moment(from * HOUR), Moment(to * HOUR), Quantity(7)).verdict
        };
        assert_eq!(usage(&mut state, 0, 1), Accepted);
        assert_eq!(state.judge(&epoch, Moment(2 * HOUR), 900_000).verdict, Opening);
        let next = state.judge(&epoch, Moment(3 * HOUR), 900_001);
        assert_eq!((next.verdict, next.interval.unwrap().quantity), (Accepted, Quantity(10)));
        assert_eq!(usage(&mut state, 2, 4), Overlap);
        assert_eq!(usage(&mut state, 3, 4), Accepted);
        assert_eq!(state.judge(&epoch, Moment(5 * HOUR), 900_002).verdict, Opening);
    }

    #[test]
    fn usage_after_suspended_counts_says_that_they_were_glitches() {
        let epoch = epoch(1, None, 3_000);
        let mut state = RegisterState::default();
        let mut judge = |hour: i64, count| state.judge(&epoch, Moment(hour * HOUR), count).verdict;
        assert_eq!([judge(0, 1_000), judge(1, 90_000_000)], [Verdict::Opening, Verdict::Suspended]);
        let judgement = state.judge_usage(Moment(2 * HOUR), Moment(3 * HOUR), Quantity(7));
        let glitch = Mark { time: Moment(HOUR), count: 90_000_000 };
        assert_eq!((judgement.verdict, judgement.changed), (Verdict::Accepted, vec![(glitch, Verdict::Glitch)]));
        assert!(!state.in_doubt());
    }

    #[test]
    fn usage_intervals_bill_once_and_never_overlap() {
        let mut state = RegisterState::default();
        let mut verdicts = vec![];
        for (start, end) in [(0, 10), (10, 20), (15, 25), (30, 40), (40, 40)] {
            verdicts.push(state.judge_usage(Moment(start), Moment(end), Quantity(1)).verdict);
        }
        use Verdict::{Accepted, Invalid, Overlap};
        // As much as an interval may state, up or down, and one more.
        let most = USAGE_LIMIT.0;
        for (quantity, verdict) in [(most, Accepted), (-most, Accepted), (most + 1, Invalid), (-most - 1, Invalid)] {
            let judgement = RegisterState::default().judge_usage(Moment(0), Moment(1), Quantity(quantity));
            assert_eq!(judgement.verdict, verdict, "{quantity}");
        }
        assert_eq!(verdicts, [Accepted, Accepted, Overlap, Accepted, Invalid]);
    }
}
