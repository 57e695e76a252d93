//! What flows back through a signed register: recorded, and billed only where the tariff version says how.

use alloc::vec::Vec;

use crate::judge::Interval;
use crate::money::{Amount, Price, Quantity};
use crate::rate::{Cell, Counting, OutsideDays, Part, Terms, TierCounter};
use crate::tariff::Reverse;

/// The tier of what flowed back and is not billed. Billed tiers count from 1.
pub const NO_TIER: u16 = 0;

impl Terms {
    /// As [`Terms::rate`], for an interval below zero of a signed register. Stretches under a version that credits are
    /// priced like any others, and the tier counter goes down with them; the rest becomes parts of [`NO_TIER`] that cost
    /// nothing, and leaves the counter alone. The parts add up to the quantity either way.
    ///
    /// # Errors
    /// [`OutsideDays`] before anything was priced.
    pub(crate) fn rate_reverse(
        &self,
        interval: &Interval,
        cell: &mut Option<Cell>,
        counter: &mut impl Counting,
        mut each: impl FnMut(&Part),
    ) -> Result<(), OutsideDays> {
        // One for each stretch of a contract, version, day and band: what flows back from zero passes no tier.
        let mut stretches: Vec<Part> = Vec::new();
        self.rate(interval, cell, &mut TierCounter::default(), |part| stretches.push(*part))?;
        for stretch in stretches.into_iter().filter(|stretch| stretch.quantity != Quantity::ZERO) {
            let Part { from, to, quantity, .. } = stretch;
            if self.credits(&stretch) {
                self.rate(&Interval { from, to, quantity }, cell, counter, &mut each)?;
                continue;
            }
            let here = match cell.take().filter(|cell| cell.holds(from)) {
                Some(here) => here,
                None => self.cell_at(from)?,
            };
            let (price, amount, counter_before) = (Price(0), Amount::ZERO, counter.stands_at(&here));
            *cell = Some(here);
            each(&Part { tier: NO_TIER, price, amount, counter_before, ..stretch });
        }
        Ok(())
    }

    fn credits(&self, part: &Part) -> bool {
        let mut versions = self.contract_at(part.from).into_iter().flat_map(|contract| contract.versions.iter());
        let version = versions.find(|version| Some(version.id) == part.version);
        version.is_some_and(|version| version.reverse == Reverse::Credit)
    }
}
