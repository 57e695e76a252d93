//! One service point: readings in, verdicts and charges out, state between.
//!
//! [`Point::advance`] is the one rating function. The streaming writer calls it as frames arrive; re-rating calls it over
//! stored readings. Both hand it readings in the order of event time; what is not later than all before it is answered
//! with [`Step::Late`] and leaves the state untouched, so that the caller can start again from an earlier one.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::epoch::Epoch;
use crate::id::{EpochId, MeterId};
use crate::judge::{Judgement, RegisterState};
use crate::rate::{Cell, Part, Terms, TierCounter};
use crate::reading::{Value, Verdict};
use crate::time::{MINUTE, Moment};

/// How far a reading may be dated after its arrival (default: 60 s).
pub const ALLOWED_DRIFT: i64 = MINUTE;

/// What must survive between two readings of a service point. Stored in the book's `service_point_states`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointState {
    /// The latest event time judged.
    pub watermark: Option<Moment>,
    /// Each installation that was read, by its epoch.
    pub epochs: Vec<EpochState>,
    /// What was used in the tier period.
    pub counter: TierCounter,
}

/// The state of one installation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochState {
    /// Which.
    pub epoch: EpochId,
    /// The latest event time judged in it.
    pub last_seen: Moment,
    /// Its register.
    pub register: RegisterState,
}

/// A stored state that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateFault {
    /// Written by a newer release.
    Newer(u8),
    /// Not a state.
    Corrupt,
}

impl PointState {
    /// The first byte of a stored state. When [`PointState`] changes, raise it and decode the old form too.
    const FORMAT: u8 = 1;

    /// The stored form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = alloc::vec![PointState::FORMAT];
        // Encoding plain data into memory cannot fail.
        bytes.extend(postcard::to_allocvec(self).unwrap_or_default());
        bytes
    }

    /// The state of its stored form.
    ///
    /// # Errors
    /// [`StateFault`] where it is of a newer release or damaged.
    pub fn decode(bytes: &[u8]) -> Result<PointState, StateFault> {
        match bytes.split_first() {
            Some((&PointState::FORMAT, rest)) => match postcard::take_from_bytes(rest) {
                Ok((state, [])) => Ok(state),
                _ => Err(StateFault::Corrupt),
            },
            Some((&format, _)) if format > PointState::FORMAT => Err(StateFault::Newer(format)),
            _ => Err(StateFault::Corrupt),
        }
    }

    /// Whether a suspended reading or an exception is open: nobody is cut off on it.
    #[must_use]
    pub fn in_doubt(&self) -> bool {
        self.epochs.iter().any(|epoch| epoch.register.in_doubt())
    }

    /// The time of the last accepted reading, or the end of the last usage interval.
    #[must_use]
    pub fn measured_until(&self) -> Option<Moment> {
        self.epochs.iter().filter_map(|epoch| epoch.register.measured_until()).max()
    }
}

/// What a service point is rated by. `epochs` are sorted by `valid_from`.
#[derive(Clone, Debug)]
pub struct Point<'a> {
    /// Its installations.
    pub epochs: &'a [Epoch],
    /// Contracts, tariffs, local days, day types.
    pub terms: &'a Terms,
}

/// One reading of a service point, as it is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The device.
    pub meter: MeterId,
    /// Event time.
    pub time: Moment,
    /// When it arrived.
    pub received_at: Moment,
    /// What it states.
    pub value: Value,
}

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Judged, and charged where it ends an interval.
    Judged(Verdict),
    /// Not later than what was judged before: nothing changed.
    Late,
}

/// Receives what a row brings about.
pub trait Sink {
    /// A charge.
    fn part(&mut self, part: &Part);
    /// An earlier reading of this meter has another verdict now.
    fn changed(&mut self, meter: MeterId, time: Moment, verdict: Verdict);
}

impl Point<'_> {
    /// Takes the next reading in the order of event time.
    ///
    /// A reading at the very moment where one installation of its meter ends and the next begins closes the one and
    /// opens the other. Where the site file states a closing count, the old installation is closed with it before the
    /// first later reading is judged.
    pub fn advance(&self, state: &mut PointState, cell: &mut Option<Cell>, row: &Row, sink: &mut impl Sink) -> Step {
        let holds = |epoch: &&Epoch| {
            epoch.meter == row.meter
                && epoch.valid_from <= row.time
                && epoch.valid_to.is_none_or(|end| row.time <= end)
                && match row.value {
                    Value::Register(_) => true,
                    // An interval belongs to the installation in which it ends.
                    Value::Usage { .. } => epoch.valid_from < row.time,
                }
        };
        if self.terms.days.at(row.time).is_none() {
            return Step::Judged(Verdict::Invalid);
        }
        if row.time.since(row.received_at) > ALLOWED_DRIFT {
            return Step::Judged(Verdict::Future);
        }
        let mut held = self.epochs.iter().filter(holds);
        let Some(first) = held.next() else { return Step::Judged(Verdict::NoEpoch) };
        let seen = |epoch: &Epoch| state.epochs.iter().any(|old| old.epoch == epoch.id && old.last_seen >= row.time);
        if state.watermark.is_some_and(|watermark| row.time < watermark) || seen(first) {
            return Step::Late;
        }
        self.close_before(first, state, cell, sink);
        let mut verdict = self.judge(first, state, cell, row, sink);
        for next in held {
            self.close_before(next, state, cell, sink);
            let opening = self.judge(next, state, cell, row, sink);
            // The row closed one installation and opened the next: what it billed is what it is.
            if verdict == Verdict::Opening {
                verdict = opening;
            }
        }
        state.watermark = Some(row.time);
        Step::Judged(verdict)
    }

    /// Closes the installations before `epoch` whose closing count is known and not yet billed.
    fn close_before(&self, epoch: &Epoch, state: &mut PointState, cell: &mut Option<Cell>, sink: &mut impl Sink) {
        for old in self.epochs.iter().filter(|old| old.valid_from < epoch.valid_from && old.id != epoch.id) {
            let (Some(end), Some(count)) = (old.valid_to, old.closing_count) else { continue };
            let state_of = state.epochs.iter().find(|known| known.epoch == old.id);
            if state_of.is_some_and(|known| known.last_seen >= end) {
                continue;
            }
            let row = Row { meter: old.meter, time: end, received_at: end, value: Value::Register(count) };
            self.judge(old, state, cell, &row, sink);
        }
    }

    fn judge(
        &self,
        epoch: &Epoch,
        state: &mut PointState,
        cell: &mut Option<Cell>,
        row: &Row,
        sink: &mut impl Sink,
    ) -> Verdict {
        let index = state.epochs.iter().position(|known| known.epoch == epoch.id).unwrap_or_else(|| {
            let register = RegisterState::default();
            state.epochs.push(EpochState { epoch: epoch.id, last_seen: row.time, register });
            state.epochs.len() - 1
        });
        let installation = &mut state.epochs[index];
        let before = installation.register.baseline;
        let judgement = match row.value {
            Value::Register(count) => installation.register.judge(epoch, row.time, count),
            Value::Usage { start, quantity } => installation.register.judge_usage(start, row.time, quantity),
        };
        installation.last_seen = row.time;
        let Judgement { verdict, interval, changed } = judgement;
        if let Some(interval) = interval {
            let rated = self.terms.rate(&interval, cell, &mut state.counter, |part| sink.part(part));
            if rated.is_err() {
                // The interval begins before the site's table of days: it cannot be priced, so it is not billed.
                state.epochs[index].register.baseline = before;
                return Verdict::Invalid;
            }
        }
        for (time, verdict) in changed {
            sink.changed(row.meter, time, verdict);
        }
        verdict
    }
}
