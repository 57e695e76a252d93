//! Charges for another service's volume, such as sewer by the water that came in.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::component::share::Rate;
use crate::money::{Price, Quantity};

/// A charge for another service's volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Derived {
    /// The name of the other service among the facts.
    pub source: String,
    /// How much of its volume counts, rounded down on the month's running total.
    pub share: Rate,
    /// The most that is charged in a month, after the share. Not prorated.
    pub cap: Option<Quantity>,
    /// Upper bounds of all tiers but the last, ascending, for a month.
    pub bounds: Vec<Quantity>,
    /// A price for each tier; one where there are no bounds.
    pub prices: Vec<Price>,
}

impl Derived {
    /// Whether each volume has exactly one price.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let ascends = self.bounds.windows(2).all(|pair| pair[0] < pair[1]);
        let above_zero = self.bounds.first().is_none_or(|first| first.0 > 0);
        let capped = self.cap.is_none_or(|cap| cap.0 >= 0);
        ascends && above_zero && capped && self.prices.len() == self.bounds.len() + 1
    }

    /// What is charged in each tier while the month's volume goes from `before` to `after`, with its price.
    pub fn tiers(&self, before: Quantity, after: Quantity) -> impl Iterator<Item = (Quantity, Price)> + '_ {
        let (before, after) = (self.charged(before), self.charged(after));
        self.prices
            .iter()
            .enumerate()
            .map(move |(tier, price)| (self.in_tier(tier, after) - self.in_tier(tier, before), *price))
    }

    /// What of a month's volume so far is charged.
    fn charged(&self, volume: Quantity) -> Quantity {
        let counted = self.share.of_quantity(volume);
        self.cap.map_or(counted, |cap| counted.min(cap))
    }

    /// What of a charged quantity is in a tier; below zero it is all in the first.
    fn in_tier(&self, tier: usize, charged: Quantity) -> Quantity {
        let top = self.bounds.get(tier).map_or(charged, |bound| charged.min(*bound));
        match tier.checked_sub(1).and_then(|below| self.bounds.get(below)) {
            // Compared first: far below zero the difference would not fit.
            Some(below) if top > *below => top - *below,
            Some(_) => Quantity::ZERO,
            None => top,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn sewer(share: i64, cap: Option<i64>, bounds: &[i64]) -> Derived {
        let prices = (1..).take(bounds.len() + 1).map(|tier| Price(tier * 1_000_000)).collect();
        let bounds = bounds.iter().copied().map(Quantity).collect();
        Derived { source: "water".into(), share: Rate(share), cap: cap.map(Quantity), bounds, prices }
    }

    fn check(derived: &Derived, before: i64, after: i64, expected: &[i64]) {
        let found: Vec<i64> =
            derived.tiers(Quantity(before), Quantity(after)).map(|(quantity, _)| quantity.0).collect();
        assert_eq!(found, expected, "{before} to {after}");
        assert!(derived.is_sound());
    }

    #[test]
    fn a_share_of_the_volume_is_charged_up_to_the_cap_tier_by_tier() {
        check(&sewer(1_000_000, None, &[]), 0, 12_000, &[12_000]);
        check(&sewer(900_000, None, &[]), 0, 12_000, &[10_800]);
        check(&sewer(900_000, Some(10_000), &[]), 0, 12_000, &[10_000]);
        check(&sewer(900_000, Some(10_000), &[]), 12_000, 13_000, &[0]);
        check(&sewer(1_000_000, None, &[5_000, 8_000]), 0, 12_000, &[5_000, 3_000, 4_000]);
        check(&sewer(1_000_000, None, &[5_000, 8_000]), 4_000, 8_000, &[1_000, 3_000, 0]);
        check(&sewer(1_000_000, Some(6_000), &[5_000, 8_000]), 4_000, 9_000, &[1_000, 1_000, 0]);
        // A correction gives back from the top, and below zero from the first tier.
        check(&sewer(1_000_000, None, &[5_000, 8_000]), 9_000, -1_000, &[-6_000, -3_000, -1_000]);
        check(&sewer(0, None, &[]), 0, 12_000, &[0]);
    }

    #[test]
    fn no_division_of_the_month_changes_what_is_charged() {
        let derived = sewer(333_333, Some(2_500), &[700, 1_900]);
        let whole: Vec<_> = derived.tiers(Quantity(0), Quantity(9_001)).map(|(quantity, _)| quantity.0).collect();
        let mut sums = vec![0; 3];
        for at in 0..9_001 {
            for (sum, (quantity, _)) in sums.iter_mut().zip(derived.tiers(Quantity(at), Quantity(at + 1))) {
                *sum += quantity.0;
            }
        }
        assert_eq!((sums.clone(), sums.iter().sum::<i64>()), (whole, 2_500));
    }

    #[test]
    fn tiers_that_leave_a_volume_without_a_price_are_not_sound() {
        assert!(!sewer(1, None, &[0]).is_sound());
        assert!(!sewer(1, None, &[5, 5]).is_sound());
        assert!(!sewer(1, Some(-1), &[5]).is_sound());
        assert!(sewer(1, Some(0), &[1]).is_sound());
        assert!(!Derived { prices: vec![], ..sewer(1, None, &[]) }.is_sound());
    }
}
