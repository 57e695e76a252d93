//! One service point: readings in, verdicts and charges out, state between.
//!
//! [`Point::advance`] is the one rating function. The streaming writer calls it as frames arrive; re-rating calls it over
//! stored readings. Both hand it readings in the order of event time; what is not later than all before it is answered
//! with [`Step::Late`] and leaves the state untouched, so that the caller can start again from an earlier one.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::epoch::Epoch;
use crate::id::{EpochId, MeterId};
use crate::judge::{Interval, Judgement, Mark, RegisterState};
use crate::money::Quantity;
use crate::rate::{Allocation, Cell, Part, Terms, TierCounter};
use crate::reading::{Value, Verdict};
use crate::time::{MINUTE, Moment};

/// How far a reading may be dated after its arrival (default: 60 s).
pub const ALLOWED_DRIFT: i64 = MINUTE;

/// What must survive between two readings of a service point. Stored in the book's `service_point_states`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointState {
    /// The latest event time judged.
    pub watermark: Option<Moment>,
    /// Whose reading that was: at one moment meters are judged in the order of their identifiers.
    pub last_meter: Option<MeterId>,
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

    /// Makes every reading before an installation's end late.
    fn pass(&mut self, end: Moment) {
        if self.watermark.is_none_or(|watermark| watermark < end) {
            (self.watermark, self.last_meter) = (Some(end), None);
        }
    }

    /// Makes every later arrival of this key late, although nothing was judged: a key in quarantine stays there.
    pub fn hold(&mut self, time: Moment, meter: MeterId) {
        (self.watermark, self.last_meter) = (self.watermark, self.last_meter).max((Some(time), Some(meter)));
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
    fn changed(&mut self, meter: MeterId, mark: Mark, verdict: Verdict);
}

impl Point<'_> {
    /// Takes the next reading in the order of event time, and of meters at one moment.
    ///
    /// A reading at the very moment where one installation of its meter ends and the next begins closes the one and
    /// opens the other. Where the site file states a closing count, that count closes the installation, before any
    /// reading at or after its end; another count read at that moment is a conflict.
    pub fn advance(&self, state: &mut PointState, cell: &mut Option<Cell>, row: &Row, sink: &mut impl Sink) -> Step {
        if row.time.since(row.received_at) > ALLOWED_DRIFT {
            return Step::Judged(Verdict::Future);
        }
        if !cell.as_ref().is_some_and(|cell| cell.holds(row.time)) && self.terms.days.at(row.time).is_none() {
            return Step::Judged(Verdict::Invalid);
        }
        let mut held = self.epochs.iter().filter(|epoch| holds(epoch, row)).peekable();
        let stated = self.epochs.iter().find(|epoch| is_closed_by_statement(epoch, row));
        if held.peek().is_none() && stated.is_none() {
            return Step::Judged(Verdict::NoEpoch);
        }
        if (state.watermark, state.last_meter) >= (Some(row.time), Some(row.meter)) {
            return Step::Late;
        }
        self.close(state, cell, row.time, sink);
        (state.watermark, state.last_meter) = (Some(row.time), Some(row.meter));
        let mut verdict = stated.map(|old| match row.value {
            Value::Register(count) if old.closing_count != Some(count) => Verdict::Conflict,
            _ => Verdict::Accepted,
        });
        for epoch in held {
            let judged = self.judge(epoch, state, cell, row, sink);
            // A row that closed one installation and opened the next is what it billed.
            if judged != Verdict::Opening || verdict.is_none() {
                verdict = Some(judged);
            }
        }
        Step::Judged(verdict.unwrap_or(Verdict::NoEpoch))
    }

    /// Closes the installations that ended at or before `until`: those with a closing count are billed up to it, and
    /// what was suspended in any of them is no longer in doubt, because somebody ended it. [`Point::advance`] does this
    /// before each reading; where no reading follows, as at the last meter of a point, the caller must.
    pub fn close(&self, state: &mut PointState, cell: &mut Option<Cell>, until: Moment, sink: &mut impl Sink) {
        while let Some((old, end, count)) = self.next_to_close(state, until) {
            let row = Row { meter: old.meter, time: end, received_at: end, value: Value::Register(count) };
            self.judge(old, state, cell, &row, sink);
            state.pass(end);
        }
        for old in self.epochs {
            let Some(end) = old.valid_to.filter(|end| *end < until || *end == until && old.closing_count.is_some())
            else {
                continue;
            };
            let known = state.epochs.iter_mut().find(|known| known.epoch == old.id);
            if known.is_some_and(|known| known.register.settle()) {
                state.pass(end);
            }
        }
    }

    /// The installation whose stated closing count is to be billed next, in the order of the ends.
    fn next_to_close(&self, state: &PointState, until: Moment) -> Option<(&Epoch, Moment, i64)> {
        let due = self.epochs.iter().filter_map(|epoch| {
            let (end, count) = (epoch.valid_to.filter(|end| *end <= until)?, epoch.closing_count?);
            let closed = state.epochs.iter().any(|known| known.epoch == epoch.id && known.last_seen >= end);
            (!closed).then_some((epoch, end, count))
        });
        due.min_by_key(|(epoch, end, _)| (*end, epoch.id))
    }

    /// Whether another installation of the same meter has billed beyond `start`.
    fn is_billed_elsewhere(&self, epoch: &Epoch, state: &PointState, start: Moment) -> bool {
        let others = self.epochs.iter().filter(|other| other.meter == epoch.meter && other.id != epoch.id);
        others
            .flat_map(|other| state.epochs.iter().filter(|known| known.epoch == other.id))
            .any(|known| known.register.measured_until().is_some_and(|until| until > start))
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
        if let Value::Usage { start, .. } = row.value
            && start < epoch.valid_from
            && self.is_billed_elsewhere(epoch, state, start)
        {
            return Verdict::Overlap;
        }
        let installation = &mut state.epochs[index];
        let judgement = match row.value {
            Value::Register(count) => installation.register.judge(epoch, row.time, count),
            Value::Usage { start, quantity } => installation.register.judge_usage(start, row.time, quantity),
        };
        installation.last_seen = row.time;
        let Judgement { mut verdict, interval, before, changed } = judgement;
        if let Some(interval) = interval {
            let counter = &mut state.counter;
            let mut rate = |piece: &Interval| {
                // Where it was cut, only time says how much flowed on each side.
                let is_cut = (piece.from, piece.to) != (interval.from, interval.to);
                let each = |part: &Part| match is_cut && part.quantity != Quantity::ZERO {
                    true => sink.part(&Part { allocation: Allocation::Linear, ..*part }),
                    false => sink.part(part),
                };
                match epoch.signed && piece.quantity < Quantity::ZERO {
                    true => self.terms.rate_reverse(piece, cell, counter, each),
                    false => self.terms.rate(piece, cell, counter, each),
                }
            };
            let rated = match epoch.converts {
                true => self.terms.conversion.pieces(&interval, before, |piece| rate(&piece.energy)),
                false => rate(&interval),
            };
            if rated.is_err() {
                // The interval begins before the site's table of days and cannot be priced. Usage is refused; a
                // register goes on from here, as from an opening.
                verdict = if matches!(row.value, Value::Register(_)) { Verdict::Opening } else { Verdict::Invalid };
            }
        }
        for (mark, verdict) in changed {
            sink.changed(row.meter, mark, verdict);
        }
        verdict
    }
}

/// Whether an installation judges a row. Both its ends belong to it, except that an interval belongs to the installation
/// in which it ends, and that a stated closing count takes the place of a register read at the end.
fn holds(epoch: &Epoch, row: &Row) -> bool {
    let usage = matches!(row.value, Value::Usage { .. });
    epoch.meter == row.meter
        && (epoch.valid_from < row.time || epoch.valid_from == row.time && !usage)
        && epoch.valid_to.is_none_or(|end| row.time <= end)
        && !is_closed_by_statement(epoch, row)
}

fn is_closed_by_statement(epoch: &Epoch, row: &Row) -> bool {
    epoch.valid_to == Some(row.time)
        && epoch.meter == row.meter
        && epoch.closing_count.is_some()
        && matches!(row.value, Value::Register(_))
}
