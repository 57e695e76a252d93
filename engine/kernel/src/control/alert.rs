//! Low-balance levels: each fires once when the balance falls to it, and again only after it was re-armed.
//!
//! A level is re-armed when the balance has risen above it by its hysteresis (a tenth of the level, at least 1.00): by
//! a top-up, or by a correction of that size. A balance that trembles around a level is one warning, not many. A level
//! is known by its amount, so that a policy with other levels warns by its own.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::policy::{Policy, decimal_text};
use crate::money::Amount;
use crate::time::Moment;

/// A level that fired and is not re-armed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fired {
    /// The level.
    #[serde(with = "decimal_text")]
    pub level: Amount,
    /// When its notice was given.
    pub at: Moment,
}

/// What an account was warned of. Stored as JSON in the table `alert_states`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertState {
    /// The levels that fired, highest first.
    pub fired: Vec<Fired>,
}

/// A level that is crossed now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crossed {
    /// 1 for the first warning and so on; the last is the final notice.
    pub number: u8,
    /// The amount that the balance fell to.
    pub level: Amount,
    /// Whether it is the final notice.
    pub last: bool,
}

/// By how much the balance must rise above a level before that level can fire again.
#[must_use]
pub fn hysteresis(level: Amount) -> Amount {
    Amount((level.0.abs() / 10).max(1_000_000_000))
}

impl AlertState {
    /// The state after the balance is `balance`, and the levels that fire now, highest first.
    #[must_use]
    pub fn step(&self, policy: &Policy, balance: Amount, now: Moment) -> (AlertState, Vec<Crossed>) {
        let mut fired: Vec<Fired> =
            self.fired.iter().filter(|fired| balance < fired.level + hysteresis(fired.level)).cloned().collect();
        let mut crossed = Vec::new();
        for (index, &level) in policy.levels.iter().enumerate() {
            if balance <= level && fired.iter().all(|fired| fired.level != level) {
                fired.push(Fired { level, at: now });
                crossed.push(Crossed {
                    number: u8::try_from(index + 1).unwrap_or(u8::MAX),
                    level,
                    last: index + 1 == policy.levels.len(),
                });
            }
        }
        fired.sort_by_key(|fired| core::cmp::Reverse(fired.level));
        (AlertState { fired }, crossed)
    }

    /// Without the notice of this level, where it was given before a moment: it fires again.
    #[must_use]
    pub fn without(&self, level: Amount, before: Moment) -> AlertState {
        let stands = |fired: &&Fired| fired.level != level || fired.at >= before;
        AlertState { fired: self.fired.iter().filter(stands).cloned().collect() }
    }

    /// When the notice of this level was given, if it stands.
    #[must_use]
    pub fn given(&self, level: Amount) -> Option<Moment> {
        self.fired.iter().find(|fired| fired.level == level).map(|fired| fired.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds balances one minute apart and notes the levels that fire.
    #[track_caller]
    fn check(balances: &[&str], expected: &[&[u8]]) {
        let policy = Policy::named("shops");
        let mut state = AlertState::default();
        for (minute, (balance, expected)) in balances.iter().zip(expected).enumerate() {
            let now = Moment(i64::try_from(minute).unwrap());
            let (next, crossed) = state.step(&policy, Amount::parse(balance).unwrap(), now);
            let numbers: Vec<u8> = crossed.iter().map(|crossed| crossed.number).collect();
            assert_eq!(&numbers, expected, "step {minute}, balance {balance}");
            assert!(crossed.iter().all(|crossed| crossed.last == (crossed.number == 3)));
            state = serde_json::from_str(&serde_json::to_string(&next).unwrap()).unwrap();
            assert_eq!(state, next);
        }
    }

    #[test]
    fn each_level_fires_once_on_crossing() {
        check(&["60", "50", "49", "20.01", "20", "3", "-4"], &[&[], &[1], &[], &[], &[2], &[3], &[]]);
    }

    #[test]
    fn a_balance_that_trembles_around_a_level_is_one_warning() {
        check(&["50", "50.01", "49.99", "54.99", "50"], &[&[1], &[], &[], &[], &[]]);
    }

    #[test]
    fn a_top_up_re_arms_the_levels_it_rises_above_and_no_others() {
        check(&["4", "15", "4", "100", "4"], &[&[1, 2, 3], &[], &[3], &[], &[1, 2, 3]]);
    }

    #[test]
    fn levels_of_another_policy_warn_by_their_own() {
        let (state, _) = AlertState::default().step(&Policy::named("a"), Amount(0), Moment(0));
        let policy =
            Policy { levels: [10, 5].map(|whole| Amount(whole * 1_000_000_000)).to_vec(), ..Policy::named("b") };
        let (state, crossed) = state.step(&policy, Amount(0), Moment(1));
        assert_eq!(crossed.len(), 1, "only 10.00 is new");
        assert_eq!(state.given(Amount(5_000_000_000)), Some(Moment(0)));
    }
}
