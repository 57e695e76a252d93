//! Demand: the highest average over a window of minutes, from intervals or power readings at any spacing.
//!
//! **What counts.** Within an interval energy flows evenly; so data coarser than the window gives its mean, which is
//! never more than the real maximum. Between two power readings the power is the mean of both. What no reading covers
//! counts as nothing: a gap can lower a maximum and never raise it, and each maximum says how much of its window is
//! known. So must nothing enter that is estimated: a gap bridged by a register is one long interval, and its allocation
//! by a profile of other days would make peaks that nobody measured.
//!
//! **Windows.** Blocks begin at the first instant of a local day and follow each other; what is left of a day that is no
//! multiple of the window is the last block's, and is divided by the whole window. Sliding windows begin at each minute
//! of a local day, may cross midnight, and lie wholly within the span. A window belongs to the band in force at its
//! beginning. The earliest of equal maxima is told.
//!
//! **Rounding.** Energy up to a moment is cut to 1/2 mW x us; a maximum is rounded half-up to 1/1000 unit per hour (1 W).
//!
//! Bounds: quantities of up to 10^15 (`judge::USAGE_LIMIT`) and powers of up to 10^15 mW, else [`LoadFault::Beyond`].

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::judge::{Interval, USAGE_LIMIT};
use crate::money::Quantity;
use crate::rate::{OutsideDays, Terms};
use crate::tariff::Band;
use crate::time::{HOUR, MINUTE, Moment};

/// The most power of a reading, up or down, in mW: 10^12 W.
pub const POWER_LIMIT_MW: u64 = 1_000_000_000_000_000;

/// Half mW x us in 1/1000 of a kWh.
const HALVES: i128 = 2_000 * HOUR as i128;

/// How demand is averaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Window {
    /// Over how many minutes; a divisor of 60.
    pub minutes: u16,
    /// Where windows begin.
    pub method: Method,
}

/// Where windows of demand begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Method {
    /// One after the other, from local midnight.
    Block,
    /// At each minute.
    Sliding,
}

/// A maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peak {
    /// Where its window begins.
    pub start: Moment,
    /// In 1/1000 unit per hour (W).
    pub demand: Quantity,
    /// How much of its window readings cover, in microseconds.
    pub known: i64,
}

/// The maxima of a span of time; none where no reading covers any part of it. Never below zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maxima {
    /// Over all.
    pub whole: Option<Peak>,
    /// By band, in [`Band::ALL`] order.
    pub by_band: [Option<Peak>; Band::ALL.len()],
    /// How much of the span readings cover, in microseconds.
    pub known: i64,
}

/// Readings that make no load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadFault {
    /// Two that overlap, or two powers at one moment.
    Overlap(Moment),
    /// One that ends before it begins.
    Backward(Moment),
    /// A quantity or power beyond its bounds.
    Beyond(Moment),
}

/// A load over time: stretches in which power is even, in order, without overlaps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Load {
    stretches: Vec<Stretch>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stretch {
    from: Moment,
    to: Moment,
    /// In half mW x us.
    energy: i128,
    /// Energy and time of all stretches before.
    before: Upto,
}

/// Energy and covered time up to a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Upto {
    energy: i128,
    known: i64,
}

impl Load {
    /// The load of intervals in any order; the same one twice is one.
    ///
    /// # Errors
    /// [`LoadFault`] names the moment where the offending interval begins.
    pub fn of_intervals(intervals: impl IntoIterator<Item = Interval>) -> Result<Load, LoadFault> {
        let mut sorted: Vec<Interval> = intervals.into_iter().collect();
        sorted.sort_unstable_by_key(|interval| (interval.from, interval.to, interval.quantity));
        sorted.dedup();
        let mut load = Load::default();
        for Interval { from, to, quantity } in sorted {
            if from >= to {
                return Err(LoadFault::Backward(from));
            }
            if quantity.0.unsigned_abs() > USAGE_LIMIT.0.unsigned_abs() {
                return Err(LoadFault::Beyond(from));
            }
            load.push(from, to, i128::from(quantity.0) * HALVES)?;
        }
        Ok(load)
    }

    /// The load of power readings (moment, mW) in any order; the same one twice is one. Two that are further apart than
    /// `longest` microseconds leave a gap.
    ///
    /// # Errors
    /// [`LoadFault`] names the moment of the offending reading.
    pub fn of_powers(readings: impl IntoIterator<Item = (Moment, i64)>, longest: i64) -> Result<Load, LoadFault> {
        let mut sorted: Vec<(Moment, i64)> = readings.into_iter().collect();
        sorted.sort_unstable();
        sorted.dedup();
        let mut load = Load::default();
        if let Some((moment, _)) = sorted.iter().find(|(_, power)| power.unsigned_abs() > POWER_LIMIT_MW) {
            return Err(LoadFault::Beyond(*moment));
        }
        for pair in sorted.windows(2) {
            let ((from, first), (to, second)) = (pair[0], pair[1]);
            if from == to {
                return Err(LoadFault::Overlap(to));
            }
            let micros = to.since(from);
            if micros <= longest {
                load.push(from, to, (i128::from(first) + i128::from(second)) * i128::from(micros))?;
            }
        }
        Ok(load)
    }

    fn push(&mut self, from: Moment, to: Moment, energy: i128) -> Result<(), LoadFault> {
        let before = match self.stretches.last() {
            Some(last) if from < last.to => return Err(LoadFault::Overlap(from)),
            Some(last) => last.upto(last.to),
            None => Upto::default(),
        };
        self.stretches.push(Stretch { from, to, energy, before });
        Ok(())
    }

    /// The maxima of a span, which must be within the site's table of days.
    ///
    /// # Errors
    /// [`OutsideDays`] where it is not.
    pub fn maxima(&self, window: Window, terms: &Terms, from: Moment, to: Moment) -> Result<Maxima, OutsideDays> {
        let mut maxima = Maxima::default();
        if from >= to {
            return Ok(maxima);
        }
        let (mut begin, mut end) = (Cursor::new(self), Cursor::new(self));
        maxima.known = end.upto(to).known - begin.upto(from).known;
        (begin, end) = (Cursor::new(self), Cursor::new(self));
        let length = i64::from(window.minutes.max(1)) * MINUTE;
        let mut cell = None;
        let mut at = from;
        while at < to {
            let day = terms.days.at(at).ok_or(OutsideDays(at))?;
            let step = if window.method == Method::Block { length } else { MINUTE };
            // The window that holds the span's first moment, and then each further one of this day.
            let mut start = day.start.plus(from.max(day.start).since(day.start) / step * step);
            while start < day.end.min(to) {
                let (first, last) = match window.method {
                    Method::Block => (start.max(from), start.plus(length).min(day.end).min(to)),
                    Method::Sliding => (start, start.plus(length)),
                };
                if first >= from && last <= to {
                    let (before, after) = (begin.upto(first), end.upto(last));
                    let known = after.known - before.known;
                    if known > 0 {
                        let demand = average(after.energy - before.energy, length);
                        let band = terms.band_at(first, &mut cell)?;
                        maxima.raise(band, Peak { start: first, demand, known });
                    }
                }
                start = start.plus(step);
            }
            at = day.end;
        }
        Ok(maxima)
    }
}

/// Energy in half mW x us over microseconds, in 1/1000 unit per hour (W), half-up; not below zero.
fn average(energy: i128, micros: i64) -> Quantity {
    let whole = 2_000 * i128::from(micros);
    let rounded = (energy + whole / 2).div_euclid(whole).max(0);
    Quantity(i64::try_from(rounded).unwrap_or(i64::MAX))
}

impl Maxima {
    /// Joins the maxima of a later span, such as that of an account that left and came back: what lies between the two
    /// is nobody's maximum here.
    pub fn join(&mut self, later: &Maxima) {
        let pairs = [(&mut self.whole, later.whole)].into_iter().chain(self.by_band.iter_mut().zip(later.by_band));
        for (known, peak) in pairs {
            if let Some(peak) = peak
                && known.is_none_or(|known| known.demand < peak.demand)
            {
                *known = Some(peak);
            }
        }
        self.known = self.known.saturating_add(later.known);
    }

    fn raise(&mut self, band: Band, peak: Peak) {
        for known in [&mut self.whole, &mut self.by_band[band as usize]] {
            if known.is_none_or(|known| known.demand < peak.demand) {
                *known = Some(peak);
            }
        }
    }
}

impl Stretch {
    fn upto(&self, moment: Moment) -> Upto {
        let length = self.to.since(self.from).max(1);
        let passed = moment.since(self.from).clamp(0, length);
        // Divided before it is multiplied, so that a long stretch of much energy fits.
        let (each, rest) = (self.energy.div_euclid(i128::from(length)), self.energy.rem_euclid(i128::from(length)));
        let energy = each * i128::from(passed) + rest * i128::from(passed) / i128::from(length);
        Upto { energy: self.before.energy + energy, known: self.before.known.saturating_add(passed) }
    }
}

/// Energy up to moments that ascend.
struct Cursor<'a> {
    load: &'a Load,
    next: usize,
}

impl<'a> Cursor<'a> {
    fn new(load: &'a Load) -> Cursor<'a> {
        Cursor { load, next: 0 }
    }

    fn upto(&mut self, moment: Moment) -> Upto {
        let stretches = &self.load.stretches;
        while stretches.get(self.next).is_some_and(|stretch| stretch.to <= moment) {
            self.next += 1;
        }
        match stretches.get(self.next) {
            Some(stretch) => stretch.upto(moment),
            None => stretches.last().map_or(Upto::default(), |last| last.upto(last.to)),
        }
    }
}
