//! The fleet brake: when more than max(5, 2 %) of a site's accounts fall below their cut-off within any rolling hour,
//! cutting stops at that site until a person releases it (domain.md, 7.9).
//!
//! An account qualifies at the moment at which it falls, long before its notices have run out: a price typed wrong
//! stops the site before it cuts anybody. A night's accounts, whose cuts wait for the morning, fell one by one and do
//! not stop it. Nothing but a person's release takes the brake off, however many settlements pass.

use alloc::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::AccountId;
use crate::time::{HOUR, Moment};

/// Why a site stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Engaged {
    /// Since when.
    pub at: Moment,
    /// How many accounts fell within the hour before.
    pub fell: u32,
    /// How many may.
    pub limit: u32,
}

/// One site's brake. Stored as JSON in the table `meta`; one entry for each account in debt, some 20 bytes each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brake {
    /// Since when the brake is on.
    pub engaged: Option<Engaged>,
    /// The accounts below their cut-off, with the moment at which each fell.
    below: BTreeMap<AccountId, Moment>,
}

/// How many of a site's accounts may fall within an hour: max(5, 2 %).
#[must_use]
pub fn limit(accounts: u32) -> u32 {
    (accounts / 50).max(5)
}

impl Brake {
    /// Notes whether an account lies below its cut-off. True when that is news, so that the brake is stored.
    pub fn note(&mut self, account: AccountId, below: bool, accounts: u32, now: Moment) -> bool {
        if !below {
            return self.below.remove(&account).is_some();
        }
        if self.below.contains_key(&account) {
            return false;
        }
        self.below.insert(account, now);
        let hour_ago = now.plus(-HOUR);
        let fell = self.below.values().filter(|at| **at > hour_ago).count();
        let (fell, limit) = (u32::try_from(fell).unwrap_or(u32::MAX), limit(accounts));
        if self.engaged.is_none() && fell > limit {
            self.engaged = Some(Engaged { at: now, fell, limit });
        }
        true
    }

    /// A person has looked and lets cutting go on. Accounts that fell before count no more. False when it was not on.
    pub fn release(&mut self) -> bool {
        for at in self.below.values_mut() {
            *at = Moment(i64::MIN);
        }
        self.engaged.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::MINUTE;

    /// Lets accounts fall at these minutes; the minute at which the brake engages.
    #[track_caller]
    fn check(accounts: u32, minutes: &[i64], expected: Option<i64>) {
        let mut brake = Brake::default();
        for (id, minute) in (0..).zip(minutes) {
            brake.note(AccountId(id), true, accounts, Moment(minute * MINUTE));
        }
        assert_eq!(brake.engaged.map(|engaged| engaged.at), expected.map(|minute| Moment(minute * MINUTE)));
    }

    #[test]
    fn more_than_five_or_two_percent_within_an_hour_engage_it() {
        check(40, &[0, 1, 2, 3, 4], None);
        check(40, &[0, 1, 2, 3, 4, 59], Some(59));
        check(40, &[0, 1, 2, 3, 4, 60], None);
        check(1_000, &[7; 20], None);
        check(1_000, &[7; 21], Some(7));
    }

    #[test]
    fn an_account_that_stays_below_counts_once_and_settlements_never_release_it() {
        let mut brake = Brake::default();
        for settlement in 0..500 {
            for id in 0..300 {
                brake.note(AccountId(id), true, 1_000, Moment(settlement * MINUTE));
            }
        }
        assert_eq!(brake.engaged, Some(Engaged { at: Moment(0), fell: 21, limit: 20 }));
        assert!(brake.release());
        brake.note(AccountId(301), true, 1_000, Moment(501 * MINUTE));
        assert_eq!(brake.engaged, None);
    }

    #[test]
    fn it_survives_a_restart() {
        let mut brake = Brake::default();
        for id in 0..6 {
            brake.note(AccountId(id), true, 40, Moment(5));
        }
        let back: Brake = serde_json::from_str(&serde_json::to_string(&brake).unwrap()).unwrap();
        assert!(back.engaged.is_some());
        assert_eq!(back, brake);
    }
}
