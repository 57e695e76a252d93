//! Gas that is measured in m3 and billed as energy: kWh = m3 x calorific value (MJ/m3) x correction / 3.6 (domain.md, 2).
//!
//! Calorific value and correction (the volume conversion factor for temperature and pressure) hold from a moment on, until
//! the next ones. Between judging and rating, [`Conversion::pieces`] makes of one interval of volume one or more intervals
//! of energy: it is cut wherever a factor changes.
//!
//! **Conservation.** Within a stretch of one factor, energy is E(last) - E(first) with
//! `E(v) = floor(v x calorific value x correction / 3.6)` of the volume `v` that the register stands for, counted from the
//! start of its epoch. So the sum over a stretch is what its first and last volume say, whatever was read in between: as
//! with counts, no batching changes a sum. Usage has no register: each interval is counted from 0.
//!
//! **At a cut** between two readings the volume is interpolated by time, rounded down, and both sides use it: no volume is
//! lost or counted twice. Where the cut falls depends on the two accepted readings around it alone, and so the same set of
//! readings gives the same energy in any order, repetition or delay; another reading nearer the cut says better how much
//! had flowed by then, and may move energy from the one factor to the other.
//!
//! Before the first factor the first one holds. Where there is none at all, nothing is converted and nothing charged: site
//! files that would allow it are refused, and such a book is not opened.
//!
//! Bounds: a calorific value below [`CALORIFIC_END`] and a correction below [`CORRECTION_END`] make less than 2 x 10^17, so
//! that with any volume of 64 bits the product fits 128 bits; energy that does not fit 64 bits saturates. A usage row's
//! [`USAGE_LIMIT`](crate::judge::USAGE_LIMIT) saturates at the highest factors only.

use alloc::boxed::Box;

use crate::judge::Interval;
use crate::money::Quantity;
use crate::time::Moment;

/// No gas has so much, in 1e-6 MJ/m3 (butane: 126 MJ/m3).
pub const CALORIFIC_END: i64 = 200_000_000;
/// No meter needs so much, in 1e-6 (a meter at 100 bar needs about 100).
pub const CORRECTION_END: i64 = 1_000_000_000;
/// 1e-6 MJ/m3 x 1e-6 in a kWh/m3: 3.6 x 10^12.
const PER_KILOWATT_HOUR: i128 = 3_600_000_000_000;

/// What a m3 is worth from a moment on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Factor {
    /// In force from here, until the next one.
    pub from: Moment,
    /// 1e-6 MJ/m3, above 0 and below [`CALORIFIC_END`].
    pub calorific_value: i64,
    /// Volume conversion factor in 1e-6, above 0 and below [`CORRECTION_END`].
    pub correction: i64,
}

impl Factor {
    /// The energy of a volume, 1/1000 kWh of 1/1000 m3, rounded down.
    #[must_use]
    pub fn energy(&self, volume: Quantity) -> Quantity {
        let worth = i128::from(self.calorific_value) * i128::from(self.correction);
        let milli = i128::from(volume.0).saturating_mul(worth).div_euclid(PER_KILOWATT_HOUR);
        Quantity(i64::try_from(milli).unwrap_or(if milli < 0 { i64::MIN } else { i64::MAX }))
    }
}

/// A part of an interval that has one factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// From when to when, and what is billed, in 1/1000 kWh.
    pub energy: Interval,
    /// What was measured, in 1/1000 m3.
    pub volume: Quantity,
    /// By which it was converted.
    pub factor: Factor,
}

/// A service point's factors, by `from`, each moment once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conversion {
    factors: Box<[Factor]>,
}

impl Conversion {
    /// From factors in any order; of two from one moment the later in the list counts.
    #[must_use]
    pub fn new(factors: impl IntoIterator<Item = Factor>) -> Conversion {
        let mut sorted: alloc::vec::Vec<Factor> = factors.into_iter().collect();
        sorted.sort_by_key(|factor| factor.from);
        sorted.dedup_by(|later, kept| {
            let same = later.from == kept.from;
            if same {
                *kept = *later;
            }
            same
        });
        Conversion { factors: sorted.into() }
    }

    /// The factors, by `from`.
    #[must_use]
    pub fn factors(&self) -> &[Factor] {
        &self.factors
    }

    /// The factor in force at a moment.
    #[must_use]
    pub fn at(&self, moment: Moment) -> Option<&Factor> {
        self.factors.get(self.place(moment))
    }

    fn place(&self, moment: Moment) -> usize {
        self.factors.partition_point(|factor| factor.from <= moment).saturating_sub(1)
    }

    /// What an interval of volume comes to, in order; `before` is the volume that the register stood for at its beginning,
    /// 0 for usage. Stops at the first error of `each`.
    ///
    /// # Errors
    /// Those of `each`.
    pub fn pieces<E>(
        &self,
        interval: &Interval,
        before: Quantity,
        mut each: impl FnMut(&Piece) -> Result<(), E>,
    ) -> Result<(), E> {
        let (from, to) = (interval.from, interval.to);
        let span = i128::from(to.since(from).max(1));
        let volume = i128::from(interval.quantity.0);
        let (mut at, mut stood) = (from, before);
        let first = self.place(from);
        for (place, factor) in self.factors.iter().enumerate().skip(first) {
            let next = self.factors.get(place + 1).map(|next| next.from).filter(|next| *next < to);
            let passed = next.map_or(volume, |next| (volume * i128::from(next.since(from))).div_euclid(span));
            // A share of 64 bits fits them.
            let reached = Quantity(before.0.saturating_add(i64::try_from(passed).unwrap_or(interval.quantity.0)));
            let quantity = Quantity(factor.energy(reached).0.saturating_sub(factor.energy(stood).0));
            let end = next.unwrap_or(to);
            let volume = Quantity(reached.0.saturating_sub(stood.0));
            each(&Piece { energy: Interval { from: at, to: end, quantity }, volume, factor: *factor })?;
            if next.is_none() {
                break;
            }
            (at, stood) = (end, reached);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;
    use core::convert::Infallible;

    fn factor(from: i64, calorific_value: i64, correction: i64) -> Factor {
        Factor { from: Moment(from), calorific_value, correction }
    }

    fn pieces(conversion: &Conversion, from: i64, to: i64, before: i64, volume: i64) -> Vec<(i64, i64, i64)> {
        let (mut found, mut measured) = (vec![], 0);
        let interval = Interval { from: Moment(from), to: Moment(to), quantity: Quantity(volume) };
        let result: Result<(), Infallible> = conversion.pieces(&interval, Quantity(before), |piece| {
            let Piece { energy, volume, .. } = piece;
            found.push((energy.from.0, energy.to.0, energy.quantity.0));
            measured += volume.0;
            Ok(())
        });
        assert_eq!(result, Ok(()));
        assert!(found.is_empty() || measured == volume, "no volume is lost");
        found
    }

    /// 39.5 MJ/m3 x 1.02264 / 3.6 = 11.2206333.. kWh/m3, as on a British gas bill.
    #[test]
    fn a_volume_is_worth_its_calorific_value_and_correction() {
        let uk = factor(0, 39_500_000, 1_022_640);
        for (litres, watt_hours) in [
            (0, 0),
            (1, 11),
            (100, 1_122),
            (1_000, 11_220),
            (1_000_000, 11_220_633),
            (3_000_000, 33_661_900),
            (-1, -12),
            (-3_000_000, -33_661_900),
        ] {
            assert_eq!(uk.energy(Quantity(litres)), Quantity(watt_hours), "{litres} l");
        }
        // 11.2 kWh/m3 (a German Brennwert) x 0.9627 (Zustandszahl) = 10.78224 kWh/m3.
        assert_eq!(factor(0, 40_320_000, 962_700).energy(Quantity(100_000)), Quantity(1_078_224));
        assert_eq!(factor(0, 3_600_000, 1_000_000).energy(Quantity(i64::MAX)), Quantity(i64::MAX));
        let most = factor(0, CALORIFIC_END - 1, CORRECTION_END - 1);
        assert_eq!(most.energy(Quantity(i64::MAX)), Quantity(i64::MAX));
        assert_eq!(most.energy(Quantity(i64::MIN)), Quantity(i64::MIN));
    }

    /// Doubling at 100 and tripling at 200: 3.6 MJ/m3 is a kWh/m3.
    #[test]
    fn an_interval_is_cut_where_factors_change_and_the_volume_interpolated() {
        let kwh = |from, times: i64| factor(from, 3_600_000 * times, 1_000_000);
        let conversion = Conversion::new([kwh(200, 3), kwh(0, 1), kwh(100, 2)]);
        for (from, to, volume, expected) in [
            (10, 90, 80, vec![(10, 90, 80)]),
            (10, 100, 90, vec![(10, 100, 90)]),
            (100, 200, 7, vec![(100, 200, 14)]),
            (50, 250, 200, vec![(50, 100, 50), (100, 200, 200), (200, 250, 150)]),
            // 7 over 3 parts of 50, 100 and 50 of 200: 1 (of 1.75), 4 (5.25 in all less 1), 2.
            (50, 250, 7, vec![(50, 100, 1), (100, 200, 8), (200, 250, 6)]),
            // What flows back is rounded down too: -2 (of -1.75), -4, -1.
            (50, 250, -7, vec![(50, 100, -2), (100, 200, -8), (200, 250, -3)]),
            // Before the first factor the first one holds.
            (-100, 50, 15, vec![(-100, 50, 15)]),
            (-100, 150, 25, vec![(-100, 100, 20), (100, 150, 10)]),
            (100, 100, 5, vec![(100, 100, 10)]),
            (150, 150, 5, vec![(150, 150, 10)]),
            (50, 250, 0, vec![(50, 100, 0), (100, 200, 0), (200, 250, 0)]),
        ] {
            assert_eq!(pieces(&conversion, from, to, 1_000, volume), expected, "{from}..{to} {volume}");
        }
        assert_eq!(pieces(&Conversion::default(), 0, 10, 0, 7), []);
        assert_eq!(conversion.at(Moment(150)), Some(&kwh(100, 2)));
        assert_eq!(conversion.at(Moment(-1)), Some(&kwh(0, 1)));
        assert_eq!(Conversion::default().at(Moment(0)), None);
        // The last word of one moment counts.
        assert_eq!(Conversion::new([kwh(5, 1), kwh(5, 9)]).factors(), [kwh(5, 9)]);
    }

    #[test]
    fn litres_read_one_by_one_do_not_round_to_nothing() {
        let weak = Conversion::new([factor(0, 1_000_000, 1_000_000)]);
        let total: i64 = (0..3_600).map(|litre| pieces(&weak, litre, litre + 1, litre, 1)[0].2).sum();
        assert_eq!(total, 1_000, "3.6 m3 of 1 MJ/m3 are a kWh");
    }
}
