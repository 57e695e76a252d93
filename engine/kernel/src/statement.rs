//! From exact amounts to money that can be paid: each line rounded once, the remainder carried, the total the sum of
//! what is printed (domain.md, 4 and 10).
//!
//! Bounds: amounts below 10^37, weights that sum to at most 2^63 - 1; beyond, sums panic and never wrap.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::money::{Amount, Rounding};

/// How a currency is printed and paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Minor {
    /// Places after the point, 0 to 9: 2 for cents.
    pub digits: u32,
    /// What becomes of halves.
    pub rounding: Rounding,
}

impl Minor {
    /// The smallest amount that can be paid.
    #[must_use]
    pub fn unit(self) -> Amount {
        Amount(10_i128.pow(9_u32.saturating_sub(self.digits)))
    }
}

/// One line of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatementLine<K> {
    /// What is carried by: such as component, band and tier.
    pub key: K,
    /// What was owed exactly since the statement before.
    pub exact: Amount,
    /// What the statement before left over.
    pub carried: Amount,
    /// What is paid: `exact + carried`, rounded.
    pub rounded: Amount,
}

/// The amounts of one period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement<K: Ord> {
    /// A line for each key of the period, in the order of keys.
    pub lines: Vec<StatementLine<K>>,
    /// The sum of the rounded lines.
    pub total: Amount,
    /// What the next statement takes up; keys that carry nothing are left out.
    pub carry: BTreeMap<K, Amount>,
}

impl<K: Ord + Clone> Statement<K> {
    /// Rounds each line once. What a line loses or wins is carried by its key, so that over any number of statements the
    /// rounded sum of a key is never a whole unit from its exact sum. A key without a line in this period keeps its
    /// remainder, unless a `carried` amount is a unit or more (from another currency's digits): then it gets a line.
    #[must_use]
    pub fn close(exact: &BTreeMap<K, Amount>, carried: &BTreeMap<K, Amount>, minor: Minor) -> Statement<K> {
        let mut statement = Statement { lines: Vec::new(), total: Amount::ZERO, carry: BTreeMap::new() };
        let keys: BTreeSet<&K> = exact.keys().chain(carried.keys()).collect();
        for key in keys {
            let of = |amounts: &BTreeMap<K, Amount>| amounts.get(key).copied().unwrap_or(Amount::ZERO);
            let (exact_here, carried_here) = (of(exact), of(carried));
            let owed = exact_here + carried_here;
            let has_line = exact.contains_key(key) || carried_here.0.unsigned_abs() >= minor.unit().0.unsigned_abs();
            let rounded = if has_line { owed.round(minor.digits, minor.rounding) } else { Amount::ZERO };
            if has_line {
                let line = StatementLine { key: key.clone(), exact: exact_here, carried: carried_here, rounded };
                statement.lines.push(line);
                statement.total += rounded;
            }
            if owed != rounded {
                statement.carry.insert(key.clone(), owed - rounded);
            }
        }
        statement
    }
}

/// Why an amount cannot be shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShareFault {
    /// The weights sum to nothing, or to more than 2^63 - 1.
    Weights,
    /// The amount is not a multiple of the currency's smallest unit.
    NotRounded(Amount),
}

/// Shares an amount by weights, so that the shares add up exactly: each gets its exact share cut to the currency's
/// `digits`, and the units that are left go one each to the largest remainders, to the earlier of equal ones (domain.md,
/// case 21). An amount below zero is shared as its opposite.
///
/// # Errors
/// [`ShareFault`] where there is nobody to share, or a unit would have to be broken.
pub fn share(amount: Amount, weights: &[u64], digits: u32) -> Result<Vec<Amount>, ShareFault> {
    let sum = weights.iter().try_fold(0_u64, |sum, weight| sum.checked_add(*weight));
    let sum = sum.filter(|sum| *sum > 0 && i64::try_from(*sum).is_ok()).ok_or(ShareFault::Weights)?;
    let unit = Minor { digits, rounding: Rounding::HalfUp }.unit().0;
    if amount.0 % unit != 0 {
        return Err(ShareFault::NotRounded(amount));
    }
    let (units, sum) = ((amount.0 / unit).unsigned_abs(), u128::from(sum));
    // Divided before it is multiplied, so that any amount fits.
    let (each, rest) = (units / sum, units % sum);
    let mut shares: Vec<u128> = Vec::with_capacity(weights.len());
    let mut by_remainder: Vec<(u128, usize)> = Vec::with_capacity(weights.len());
    for (index, weight) in weights.iter().map(|weight| u128::from(*weight)).enumerate() {
        shares.push(each * weight + rest * weight / sum);
        by_remainder.push((rest * weight % sum, index));
    }
    let left = units - shares.iter().sum::<u128>();
    // Largest remainder first; of equal ones the earlier.
    by_remainder.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    for (_, index) in by_remainder.iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
        shares[*index] += 1;
    }
    let signed = |share: u128| {
        let magnitude = i128::try_from(share).unwrap_or(i128::MAX) * unit;
        Amount(if amount.0 < 0 { -magnitude } else { magnitude })
    };
    Ok(shares.into_iter().map(signed).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::{String, ToString};

    fn cents(rounding: Rounding) -> Minor {
        Minor { digits: 2, rounding }
    }

    fn amounts(list: &[(&'static str, &str)]) -> BTreeMap<&'static str, Amount> {
        list.iter().map(|(key, text)| (*key, Amount::parse(text).unwrap())).collect()
    }

    #[test]
    fn case_21_a_hundred_over_three_equal_payers() {
        let hundred = Amount::parse("100").unwrap();
        let shares = share(hundred, &[1, 1, 1], 2).unwrap();
        let texts: Vec<String> = shares.iter().map(|share| alloc::format!("{share:.2}")).collect();
        assert_eq!(texts, ["33.34", "33.33", "33.33"]);
    }

    #[test]
    fn shares_add_up_and_the_largest_remainders_get_the_units_that_are_left() {
        let table: [(i128, &[u64], u32, &[i128]); 9] = [
            // 4.29, 4.29, 1.43 and nothing: the third has the largest remainder.
            (10, &[3, 3, 1, 0], 9, &[4, 4, 2, 0]),
            (10, &[1, 1, 1, 1], 9, &[3, 3, 2, 2]),
            (-10, &[1, 1, 1, 1], 9, &[-3, -3, -2, -2]),
            (0, &[1, 2], 9, &[0, 0]),
            (7, &[0, 5], 9, &[0, 7]),
            (1, &[1, 2], 9, &[0, 1]),
            (3_000, &[1, 1], 6, &[2_000, 1_000]),
            (5_000_000_000, &[2, 1], 0, &[3_000_000_000, 2_000_000_000]),
            (
                10_i128.pow(37),
                &[i64::MAX as u64 - 1, 1],
                9,
                &[9_999_999_999_999_999_998_915_797_827_514_495_566, 1_084_202_172_485_504_434],
            ),
        ];
        for (amount, weights, digits, expected) in table {
            let shares = share(Amount(amount), weights, digits).unwrap();
            let found: Vec<i128> = shares.iter().map(|share| share.0).collect();
            assert_eq!(found, expected, "{amount} by {weights:?}");
            assert_eq!(found.iter().sum::<i128>(), amount);
        }
    }

    #[test]
    fn what_nobody_can_share_is_refused() {
        for (amount, weights, fault) in [
            (10, &[][..], ShareFault::Weights),
            (10, &[0, 0], ShareFault::Weights),
            (10, &[u64::MAX, 1], ShareFault::Weights),
            (10, &[i64::MAX as u64, 1], ShareFault::Weights),
            (10_000_001, &[1], ShareFault::NotRounded(Amount(10_000_001))),
        ] {
            assert_eq!(share(Amount(amount), weights, 2), Err(fault), "{amount} by {weights:?}");
        }
    }

    #[test]
    fn a_line_is_rounded_once_and_its_remainder_goes_to_the_next_statement() {
        let minor = cents(Rounding::HalfUp);
        let mut carried = BTreeMap::new();
        // A third of a cent each month: a cent in the second, and then none for two.
        for (month, expected) in ["0.00", "0.01", "0.00", "0.00", "0.01"].into_iter().enumerate() {
            let statement = Statement::close(&amounts(&[("fee", "0.003333333")]), &carried, minor);
            assert_eq!(alloc::format!("{:.2}", statement.total), expected, "{month}");
            carried = statement.carry;
        }
        assert_eq!(carried["fee"].to_string(), "-0.003333335");
    }

    #[test]
    fn the_total_is_the_sum_of_the_rounded_lines() {
        let exact = amounts(&[("energy", "1.005"), ("fixed", "2.005"), ("tax", "-0.005"), ("zero", "0")]);
        for (rounding, lines, total) in [
            (Rounding::HalfUp, ["1.01", "2.01", "-0.01", "0.00"], "3.01"),
            (Rounding::HalfEven, ["1.00", "2.00", "0.00", "0.00"], "3.00"),
        ] {
            let statement = Statement::close(&exact, &BTreeMap::new(), cents(rounding));
            let found: Vec<String> = statement.lines.iter().map(|line| alloc::format!("{:.2}", line.rounded)).collect();
            assert_eq!(
                (found.as_slice(), alloc::format!("{:.2}", statement.total)),
                (&lines.map(String::from)[..], total.into())
            );
            assert_eq!(statement.carry.len(), 3, "what is exact carries nothing");
        }
    }

    #[test]
    fn a_remainder_waits_for_its_key_and_a_whole_unit_does_not_wait() {
        let carried = amounts(&[("old fee", "0.004"), ("from before the currency changed", "-0.01")]);
        let statement = Statement::close(&amounts(&[("energy", "1")]), &carried, cents(Rounding::HalfUp));
        let found: Vec<_> =
            statement.lines.iter().map(|line| (line.key, alloc::format!("{:.2}", line.rounded))).collect();
        assert_eq!(found, [("energy", "1.00".into()), ("from before the currency changed", "-0.01".into())]);
        assert_eq!(statement.carry, amounts(&[("old fee", "0.004")]));
        assert_eq!(alloc::format!("{:.2}", statement.total), "0.99");
    }
}
