//! One service point: readings in, verdicts and charges out, state between.
//!
//! [`Point::advance`] is the one rating function. The streaming writer calls it as frames arrive; re-rating calls it over
//! stored readings. Both hand it readings in the order of event time; what is not later than all before it is answered
//! with [`Step::Late`] and leaves the state untouched, so that the caller can start again from an earlier one.
//!
//! A gap, or an interval with an outage in it, is divided by more than the state holds (see [`crate::gap`]). The stream
//! keeps no [`History`]: it is answered with [`Step::Late`] too, and whoever rates anew brings the history along, from
//! readings as far back as [`Point::looks_back_to`] says.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::epoch::Epoch;
use crate::few::Few;
use crate::gap::{self, GAP_OVER, Outage, Spread};
use crate::history::{History, LOOK_BACK_DAYS};
use crate::id::{EpochId, MeterId};
use crate::judge::{Interval, Judgement, Mark, RegisterState};
use crate::money::Quantity;
use crate::pool::{Counters, Share};
use crate::rate::{Allocation, Cell, OutsideDays, Part, Terms, TierCounter};
use crate::reading::{Value, Verdict};
use crate::seldom::Seldom;
use crate::time::{DAY, MINUTE, Moment};

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
    pub epochs: Few<EpochState>,
    /// What was used in the tier period.
    pub counter: TierCounter,
    /// The day of UTC, since 1970, in which the last fine interval ended; 0 where there was none. Where it is long past, a
    /// gap has no profile, and nobody need look for one.
    pub fine_day: i32,
    /// What was used of the pools of accounts, by period; none where nobody pools.
    pub shares: Seldom<Share>,
}

/// [`PointState`] as format 2 stored it.
#[derive(Deserialize)]
struct PointState2 {
    watermark: Option<Moment>,
    last_meter: Option<MeterId>,
    epochs: Few<EpochState>,
    counter: TierCounter,
    fine_day: i32,
}

impl From<PointState2> for PointState {
    fn from(old: PointState2) -> PointState {
        let PointState2 { watermark, last_meter, epochs, counter, fine_day } = old;
        PointState { watermark, last_meter, epochs, counter, fine_day, shares: Seldom::default() }
    }
}

/// [`PointState`] as format 1 stored it.
#[derive(Deserialize)]
struct PointState1 {
    watermark: Option<Moment>,
    last_meter: Option<MeterId>,
    epochs: Few<EpochState>,
    counter: TierCounter,
}

impl From<PointState1> for PointState {
    fn from(old: PointState1) -> PointState {
        let PointState1 { watermark, last_meter, epochs, counter } = old;
        // It may have been fine up to the last reading.
        let fine_day = watermark.map_or(0, utc_day);
        PointState { watermark, last_meter, epochs, counter, fine_day, shares: Seldom::default() }
    }
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
    const FORMAT: u8 = 3;

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
            Some((&PointState::FORMAT, rest)) => whole(rest),
            Some((2, rest)) => whole::<PointState2>(rest).map(PointState::from),
            Some((1, rest)) => whole::<PointState1>(rest).map(PointState::from),
            Some((&format, _)) if format > PointState::FORMAT => Err(StateFault::Newer(format)),
            _ => Err(StateFault::Corrupt),
        }
    }

    /// Whether an installation was judged up to its end.
    fn saw(&self, epoch: EpochId, end: Moment) -> bool {
        self.epochs.iter().any(|known| known.epoch == epoch && known.last_seen >= end)
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

/// What all of the bytes hold.
fn whole<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, StateFault> {
    match postcard::take_from_bytes(bytes) {
        Ok((state, [])) => Ok(state),
        _ => Err(StateFault::Corrupt),
    }
}

#[inline]
fn utc_day(moment: Moment) -> i32 {
    // 64 bits of microseconds are 107 million days to either side.
    i32::try_from(moment.0.div_euclid(DAY)).unwrap_or_default()
}

/// What a service point is rated by. `epochs` are sorted by `valid_from`, `outages` by `from`.
#[derive(Clone, Debug)]
pub struct Point<'a> {
    /// Its installations.
    pub epochs: &'a [Epoch],
    /// Contracts, tariffs, local days, day types.
    pub terms: &'a Terms,
    /// When its meters had no supply.
    pub outages: &'a [Outage],
    /// The states of the other members of its pools; none for nearly all.
    pub beside: &'a [&'a PointState],
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
    /// Not later than what was judged before, or it bills what only a history can divide: nothing changed.
    Late,
}

/// Receives what a row brings about.
pub trait Sink {
    /// A charge.
    fn part(&mut self, part: &Part);
    /// An earlier reading of this meter has another verdict now.
    fn changed(&mut self, meter: MeterId, mark: Mark, verdict: Verdict);
    /// An interval of this installation was not divided evenly; its parts follow.
    fn spread(&mut self, _epoch: EpochId, _interval: &Interval, _spread: &Spread) {}
    /// An interval of this installation was billed, however it was divided; its parts went before. Of a volume that is
    /// converted it is each piece of energy.
    #[inline]
    fn interval(&mut self, _epoch: EpochId, _interval: &Interval) {}
}

impl Point<'_> {
    /// Takes the next reading in the order of event time, and of meters at one moment; that order is one over all members
    /// of a pool ([`crate::pool`]), whose closing counts that are due must be billed before.
    ///
    /// A reading at the very moment where one installation of its meter ends and the next begins closes the one and
    /// opens the other. Where the site file states a closing count, that count closes the installation, before any
    /// reading at or after its end; another count read at that moment is a conflict.
    ///
    /// With a history nothing is late that comes in order.
    pub fn advance(
        &self,
        state: &mut PointState,
        cell: &mut Option<Cell>,
        mut history: Option<&mut History>,
        row: &Row,
        sink: &mut impl Sink,
    ) -> Step {
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
        if (state.watermark, state.last_meter) >= (Some(row.time), Some(row.meter)) || !self.is_in_order(row) {
            return Step::Late;
        }
        if history.is_none() && self.asks_for_history(state, row) {
            return Step::Late;
        }
        self.close(state, cell, history.as_deref_mut(), row.time, sink);
        (state.watermark, state.last_meter) = (Some(row.time), Some(row.meter));
        let mut verdict = stated.map(|old| match row.value {
            Value::Register(count) if old.closing_count != Some(count) => Verdict::Conflict,
            _ => Verdict::Accepted,
        });
        for epoch in held {
            let judged = self.judge(epoch, state, cell, history.as_deref_mut(), row, sink);
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
    ///
    /// Without a history it may stop before an installation whose last interval only a history can divide: its end is
    /// given, and whoever rates anew closes it.
    pub fn close(
        &self,
        state: &mut PointState,
        cell: &mut Option<Cell>,
        mut history: Option<&mut History>,
        until: Moment,
        sink: &mut impl Sink,
    ) -> Option<(MeterId, Moment)> {
        // Nearly always nothing has ended.
        if self.epochs.iter().all(|epoch| epoch.valid_to.is_none()) {
            return None;
        }
        while self.closes_next(state, until).is_some() {
            let waits = self.close_next(state, cell, history.as_deref_mut(), until, sink);
            if waits.is_some() {
                return waits;
            }
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
        None
    }

    /// Bills the one closing count that is due next; gives it where only a history can divide its interval. Whoever rates the
    /// members of a pool takes the earliest of theirs by [`Point::closes_next`].
    pub fn close_next(
        &self,
        state: &mut PointState,
        cell: &mut Option<Cell>,
        history: Option<&mut History>,
        until: Moment,
        sink: &mut impl Sink,
    ) -> Option<(MeterId, Moment)> {
        let (old, end, count) = self.next_to_close(state, until)?;
        let row = Row { meter: old.meter, time: end, received_at: end, value: Value::Register(count) };
        if history.is_none() && self.is_apart(old, state, state.fine_day, &row) {
            return Some((old.meter, end));
        }
        self.judge(old, state, cell, history, &row, sink);
        state.pass(end);
        None
    }

    /// The installation whose stated closing count is to be billed next, in the order of the ends: when it ended, and which.
    #[must_use]
    pub fn closes_next(&self, state: &PointState, until: Moment) -> Option<(Moment, EpochId)> {
        self.next_to_close(state, until).map(|(epoch, end, _)| (end, epoch.id))
    }

    /// Whether this row, or a closing count that is due before it, bills what only a history can divide.
    #[inline]
    fn asks_for_history(&self, state: &PointState, row: &Row) -> bool {
        !self.is_plainly_fine(state, row) && self.is_any_apart(state, row)
    }

    /// What nearly every row is, told at a glance: the next one of the only installation, soon after the last.
    fn is_plainly_fine(&self, state: &PointState, row: &Row) -> bool {
        let ([epoch], [known], []) = (self.epochs, &state.epochs[..], self.outages) else { return false };
        let begin = match row.value {
            Value::Usage { start, .. } => Some(start),
            Value::Register(_) => known.register.baseline.map(|baseline| baseline.time),
        };
        epoch.closing_count.is_none()
            && known.epoch == epoch.id
            && begin.is_some_and(|begin| row.time.since(begin) <= GAP_OVER)
    }

    #[inline(never)]
    fn is_any_apart(&self, state: &PointState, row: &Row) -> bool {
        let due = self.epochs.iter().filter(|epoch| {
            epoch.closing_count.is_some()
                && epoch.valid_to.is_some_and(|end| end <= row.time && !state.saw(epoch.id, end))
        });
        // What is closed first may be fine.
        let mut fine_day = state.fine_day;
        for epoch in due {
            let (Some(end), Some(count)) = (epoch.valid_to, epoch.closing_count) else { continue };
            fine_day = utc_day(row.time);
            let closing = Row { meter: epoch.meter, time: end, received_at: end, value: Value::Register(count) };
            if self.is_apart(epoch, state, fine_day, &closing) {
                return true;
            }
        }
        self.epochs.iter().filter(|epoch| holds(epoch, row)).any(|epoch| self.is_apart(epoch, state, fine_day, row))
    }

    /// Whether a row ends an interval of an installation that is not divided evenly, as far as a state tells: it says yes
    /// too where a history may turn out to have no like days.
    fn is_apart(&self, epoch: &Epoch, state: &PointState, fine_day: i32, row: &Row) -> bool {
        let known = state.epochs.iter().find(|known| known.epoch == epoch.id).map(|known| &known.register);
        let begin = match row.value {
            Value::Usage { start, .. } => start,
            Value::Register(_) => {
                known.and_then(|register| register.baseline).map_or(epoch.valid_from, |baseline| baseline.time)
            }
        };
        let long = row.time.since(begin) > GAP_OVER && may_look_back(fine_day, epoch.valid_from.max(begin));
        if !long && !gap::is_touched(self.outages, epoch.meter, begin, row.time) {
            return false;
        }
        // It looks so; only judged it is known whether the row bills anything.
        let mut register = known.cloned().unwrap_or_default();
        judge_value(&mut register, epoch, row).interval.is_some_and(|Interval { from, to, quantity }| {
            let touched = quantity != Quantity::ZERO && gap::is_touched(self.outages, epoch.meter, from, to);
            touched || long && quantity > Quantity::ZERO
        })
    }

    /// How an interval is divided where it is not evenly.
    fn spread(&self, epoch: &Epoch, interval: &Interval, history: &History) -> Option<Spread> {
        let Interval { from, to, quantity } = *interval;
        if quantity == Quantity::ZERO {
            return None;
        }
        let live = gap::live(self.outages, epoch.meter, from, to);
        if gap::length(&live) > GAP_OVER && quantity > Quantity::ZERO {
            let begin = from.max(epoch.valid_from);
            let Terms { days, calendar, .. } = self.terms;
            if let Some(slots) = history.profile(days, calendar, begin, &live, quantity) {
                return Some(Spread { allocation: Allocation::Profile, slots });
            }
        }
        if live[..] == [(from, to)] { None } else { gap::around(interval, &live) }
    }

    /// From which local day on fine intervals decide how a gap that a reading after `at` may end is divided: 21 days before
    /// the earliest such gap. `None` where the state knows that there are none: then no history is needed.
    #[must_use]
    pub fn looks_back_to(&self, state: &PointState, at: Moment) -> Option<Moment> {
        let begin = self.gaps_from(state, at).filter(|begin| may_look_back(state.fine_day, *begin))?;
        let days = &self.terms.days;
        let day = days.at(begin).and_then(|day| days.on(day.date.plus(-LOOK_BACK_DAYS)));
        Some(day.or(days.all().first()).map_or(begin, |day| day.start))
    }

    /// The earliest moment at which a gap may begin that is still to be billed at `at`.
    fn gaps_from(&self, state: &PointState, at: Moment) -> Option<Moment> {
        let open = self.epochs.iter().filter(|epoch| {
            let ends = epoch.valid_to.is_none_or(|end| end >= at);
            let waits = epoch.closing_count.is_some() && epoch.valid_to.is_some_and(|end| !state.saw(epoch.id, end));
            epoch.valid_from <= at && (ends || waits)
        });
        let begin = open.map(|epoch| {
            let known = state.epochs.iter().find(|known| known.epoch == epoch.id);
            let until = known.and_then(|known| known.register.measured_until());
            until.map_or(epoch.valid_from, |until| until.max(epoch.valid_from))
        });
        begin.chain([at]).min()
    }

    /// The installation whose stated closing count is to be billed next, in the order of the ends.
    fn next_to_close(&self, state: &PointState, until: Moment) -> Option<(&Epoch, Moment, i64)> {
        let due = self.epochs.iter().filter_map(|epoch| {
            let (end, count) = (epoch.valid_to.filter(|end| *end <= until)?, epoch.closing_count?);
            (!state.saw(epoch.id, end)).then_some((epoch, end, count))
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
        history: Option<&mut History>,
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
        let judgement = judge_value(&mut installation.register, epoch, row);
        installation.last_seen = row.time;
        let Judgement { mut verdict, interval, before, changed } = judgement;
        if let Some(interval) = interval {
            let billed = match epoch.converts {
                true => self.bill_pieces(epoch, (&interval, before), state, cell, history, sink),
                false => self.bill(epoch, (&interval, false), state, cell, history, sink),
            };
            if billed.is_err() {
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

    /// Prices what a volume comes to. Each piece is an interval of its own: it is divided within itself.
    #[inline(never)]
    fn bill_pieces(
        &self,
        epoch: &Epoch,
        (interval, before): (&Interval, Quantity),
        state: &mut PointState,
        cell: &mut Option<Cell>,
        mut history: Option<&mut History>,
        sink: &mut impl Sink,
    ) -> Result<(), OutsideDays> {
        self.terms.conversion.pieces(interval, before, |piece| {
            // Where it was cut, only time says how much flowed on each side.
            let is_cut = (piece.energy.from, piece.energy.to) != (interval.from, interval.to);
            self.bill(epoch, (&piece.energy, is_cut), state, cell, history.as_deref_mut(), sink)
        })
    }

    /// Prices an interval, divided as its allocation says, and remembers what is fine of it.
    #[inline]
    fn bill(
        &self,
        epoch: &Epoch,
        (interval, is_cut): (&Interval, bool),
        state: &mut PointState,
        cell: &mut Option<Cell>,
        history: Option<&mut History>,
        sink: &mut impl Sink,
    ) -> Result<(), OutsideDays> {
        let Interval { from, to, quantity } = *interval;
        let reverse = epoch.signed && quantity < Quantity::ZERO;
        let give = move |part: &Part, sink: &mut _| match is_cut
            && part.allocation == Allocation::Measured
            && part.quantity != Quantity::ZERO
        {
            true => Sink::part(sink, &Part { allocation: Allocation::Linear, ..*part }),
            false => Sink::part(sink, part),
        };
        let Some(history) = history else {
            let counters = Counters { own: &mut state.counter, shares: &mut state.shares, beside: self.beside };
            self.rate(interval, reverse, counters, cell, |part| give(part, sink))?;
            sink.interval(epoch.id, interval);
            if self.is_fine(epoch, from, to) {
                state.fine_day = state.fine_day.max(utc_day(to));
            }
            return Ok(());
        };
        self.bill_with(epoch, (interval, reverse), state, cell, history, (give, sink))
    }

    /// As [`Point::bill`], with the history that gaps are divided by.
    #[inline(never)]
    fn bill_with<S: Sink>(
        &self,
        epoch: &Epoch,
        (interval, reverse): (&Interval, bool),
        state: &mut PointState,
        cell: &mut Option<Cell>,
        history: &mut History,
        (give, sink): (impl Fn(&Part, &mut S), &mut S),
    ) -> Result<(), OutsideDays> {
        let Interval { from, to, quantity } = *interval;
        let spread = self.spread(epoch, interval, history);
        let PointState { counter: own, shares, .. } = &mut *state;
        match &spread {
            None => {
                let counters = Counters { own, shares, beside: self.beside };
                self.rate(interval, reverse, counters, cell, |part| give(part, sink))?;
            }
            Some(spread) => {
                for moment in [from, to.plus(-1)] {
                    self.terms.days.at(moment).ok_or(OutsideDays(moment))?;
                }
                sink.spread(epoch.id, interval, spread);
                for slot in &spread.slots {
                    let slot = Interval { from: slot.from, to: slot.to, quantity: slot.quantity };
                    // All of it in one place is as good as measured there.
                    let only = spread.slots.len() == 1;
                    let allocated = |part: &Part| if only { part.allocation } else { spread.allocation };
                    let part = |part: &Part| give(&Part { allocation: allocated(part), ..*part }, sink);
                    let counters = Counters { own: &mut *own, shares: &mut *shares, beside: self.beside };
                    self.rate(&slot, reverse, counters, cell, part)?;
                }
            }
        }
        sink.interval(epoch.id, interval);
        if self.is_fine(epoch, from, to) {
            state.fine_day = state.fine_day.max(utc_day(to));
            let keep_from = || self.gaps_from(state, to);
            let mut at = from;
            for slot in spread.iter().flat_map(|spread| &spread.slots) {
                if at < slot.from {
                    history.add(&self.terms.days, (at, slot.from), Quantity::ZERO, keep_from);
                }
                history.add(&self.terms.days, (slot.from, slot.to), slot.quantity, keep_from);
                at = slot.to;
            }
            if at < to {
                let rest = if spread.is_some() { Quantity::ZERO } else { quantity };
                history.add(&self.terms.days, (at, to), rest, keep_from);
            }
        }
        Ok(())
    }

    /// Whether an interval is no gap, its outages left out.
    #[inline]
    fn is_fine(&self, epoch: &Epoch, from: Moment, to: Moment) -> bool {
        to.since(from) <= GAP_OVER
            || !self.outages.is_empty() && gap::length(&gap::live(self.outages, epoch.meter, from, to)) <= GAP_OVER
    }

    fn rate(
        &self,
        interval: &Interval,
        reverse: bool,
        mut counters: Counters<'_>,
        cell: &mut Option<Cell>,
        part: impl FnMut(&Part),
    ) -> Result<(), OutsideDays> {
        match reverse {
            true => self.terms.rate_reverse(interval, cell, &mut counters, part),
            false => self.terms.rate(interval, cell, &mut counters, part),
        }
    }
}

/// Whether the like days before a gap may be ones on which fine intervals ended, the last of them on `fine_day`: with a day
/// more on either side, because local days are not those of UTC.
fn may_look_back(fine_day: i32, begin: Moment) -> bool {
    fine_day != 0 && utc_day(begin) <= fine_day.saturating_add(LOOK_BACK_DAYS + 2)
}

#[inline]
fn judge_value(register: &mut RegisterState, epoch: &Epoch, row: &Row) -> Judgement {
    match row.value {
        Value::Register(count) => register.judge(epoch, row.time, count),
        Value::Usage { start, quantity } => register.judge_usage(start, row.time, quantity),
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
