//! A cut-off policy: the numbers of domain.md 6 to 9 that a site may set, with their defaults.
//!
//! The JSON (and TOML) form is the struct itself: money as decimal texts, times of day as `HH:MM`, unknown keys
//! refused. When this changes, the table `policies` of the book and the site files change with it: add keys only with
//! a default.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{format, vec};

use serde::{Deserialize, Serialize};

use super::window::{DayKind, WallMinute, Window};
use crate::id::Utility;
use crate::money::Amount;
use crate::time::{HOUR, MINUTE, SECOND};

/// Who is warned, cut and reconnected, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Its name in the site file.
    pub name: String,
    /// Low-balance levels, from the first warning down to the final notice.
    #[serde(default = "default_levels", with = "decimal_list")]
    pub levels: Vec<Amount>,
    /// How long before a cut the final notice must have been given.
    #[serde(default = "default_30")]
    pub final_notice_minutes: u32,
    /// Below this balance, less the credit limit, supply may be cut.
    #[serde(default, with = "decimal_text")]
    pub cut_below: Amount,
    /// From this balance on, less the credit limit, supply that was cut for credit is restored.
    #[serde(default = "default_reconnect_at", with = "decimal_text")]
    pub reconnect_at: Amount,
    /// The balance must rest on readings of at most this many polls ago ...
    #[serde(default = "default_3")]
    pub max_age_polls: u32,
    /// ... and never older than this.
    #[serde(default = "default_30")]
    pub max_age_minutes: u32,
    /// When nobody is cut. Where the policy says nothing: at night, at weekends, on holidays and their eves.
    #[serde(default = "default_windows")]
    pub windows: Vec<Window>,
    /// A window for holidays covers the day before one, too.
    #[serde(default = "default_true")]
    pub holiday_eve: bool,
    /// A payment that began less than this ago and is not decided holds a cut.
    #[serde(default = "default_10")]
    pub payment_hold_minutes: u32,
    /// A relay that switched this often within 24 h is not opened again.
    #[serde(default = "default_4")]
    pub max_switches_24h: u32,
    /// How long after its opening balance was confirmed an account is spared.
    #[serde(default)]
    pub grace_hours: u32,
    /// How long an unreviewed change of tariff or installation holds cuts.
    #[serde(default = "default_24")]
    pub review_hours: u32,
    /// How long a relay is watched before a cut counts as verified.
    #[serde(default = "default_120")]
    pub verify_seconds: u32,
    /// In mode `ask`: how long a cut waits for a person before it lapses and is decided afresh.
    #[serde(default = "default_60")]
    pub confirm_minutes: u32,
    /// How long a command may live before it is given up.
    #[serde(default = "default_10")]
    pub command_minutes: u32,
    /// How often one command is written at most.
    #[serde(default = "default_3")]
    pub max_attempts: u32,
    /// The pause before the second write; it doubles with each further one.
    #[serde(default = "default_30")]
    pub retry_seconds: u32,
    /// Which supplies of an account are cut, in this order; one is under way at a time. Gas is cut only where it is
    /// named, because a valve that opens again by itself may meet an open burner.
    #[serde(default = "default_cut", with = "utility_names")]
    pub cut: Vec<Utility>,
}

impl Policy {
    /// A policy with every default.
    #[must_use]
    pub fn named(name: &str) -> Policy {
        Policy {
            name: name.to_string(),
            levels: default_levels(),
            final_notice_minutes: 30,
            cut_below: Amount::ZERO,
            reconnect_at: default_reconnect_at(),
            max_age_polls: 3,
            max_age_minutes: 30,
            windows: default_windows(),
            holiday_eve: true,
            payment_hold_minutes: 10,
            max_switches_24h: 4,
            grace_hours: 0,
            review_hours: 24,
            verify_seconds: 120,
            confirm_minutes: 60,
            command_minutes: 10,
            max_attempts: 3,
            retry_seconds: 30,
            cut: default_cut(),
        }
    }

    /// Everything that is wrong with it, for the person who wrote it; empty when it may be used.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut refuse = |wrong: bool, fault: String| {
            if wrong {
                faults.push(fault);
            }
        };
        refuse(self.name.trim().is_empty(), "name: is empty; give the policy a name".to_string());
        refuse(
            self.levels.is_empty() || self.levels.len() > 9,
            format!("levels: {} levels; give 1 to 9, the last one is the final notice", self.levels.len()),
        );
        refuse(
            self.levels.windows(2).any(|pair| pair[0] <= pair[1]),
            "levels: must fall from the first warning to the final notice, such as [\"50.00\", \"20.00\", \"5.00\"]"
                .to_string(),
        );
        if let Some(last) = self.levels.last() {
            refuse(
                *last < self.cut_below,
                format!("levels: the final notice at {last:.2} lies below cut_below {:.2}; raise it", self.cut_below),
            );
        }
        refuse(
            self.reconnect_at <= self.cut_below,
            format!(
                "reconnect_at: {:.2} is not above cut_below {:.2}; supply would switch to and fro",
                self.reconnect_at, self.cut_below
            ),
        );
        let month = 31 * 24 * 60;
        for (key, value, least, most) in [
            ("final_notice_minutes", self.final_notice_minutes, 0, month),
            ("max_age_polls", self.max_age_polls, 1, 100),
            ("max_age_minutes", self.max_age_minutes, 1, month),
            ("payment_hold_minutes", self.payment_hold_minutes, 0, month),
            ("max_switches_24h", self.max_switches_24h, 1, 100),
            ("grace_hours", self.grace_hours, 0, 24 * 366),
            ("review_hours", self.review_hours, 0, 24 * 31),
            ("verify_seconds", self.verify_seconds, 60, 3_600),
            ("confirm_minutes", self.confirm_minutes, 1, month),
            ("command_minutes", self.command_minutes, 1, 24 * 60),
            ("max_attempts", self.max_attempts, 1, 10),
            ("retry_seconds", self.retry_seconds, 1, 3_600),
        ] {
            refuse(!(least..=most).contains(&value), format!("{key}: {value} is not within {least} to {most}"));
        }
        for (index, window) in self.windows.iter().enumerate() {
            if let Some(fault) = window.fault() {
                refuse(true, format!("windows[{index}]: {fault}"));
            }
        }
        refuse(self.windows.len() > 50, format!("windows: {} of them; 50 at most", self.windows.len()));
        for (index, utility) in self.cut.iter().enumerate() {
            refuse(self.cut[..index].contains(utility), format!("cut: {} is named twice", utility.name()));
        }
        faults
    }

    /// How long before a cut the final notice must have been given, in microseconds.
    #[must_use]
    pub fn final_notice(&self) -> i64 {
        i64::from(self.final_notice_minutes) * MINUTE
    }

    /// How long an undecided payment holds a cut, in microseconds.
    #[must_use]
    pub fn payment_hold(&self) -> i64 {
        i64::from(self.payment_hold_minutes) * MINUTE
    }

    /// How long an account is spared after its opening was confirmed, in microseconds.
    #[must_use]
    pub fn grace(&self) -> i64 {
        i64::from(self.grace_hours) * HOUR
    }

    /// How long an unreviewed change holds cuts, in microseconds.
    #[must_use]
    pub fn review(&self) -> i64 {
        i64::from(self.review_hours) * HOUR
    }

    /// How long a relay is watched, in microseconds.
    #[must_use]
    pub fn verification(&self) -> i64 {
        i64::from(self.verify_seconds) * SECOND
    }

    /// How old the readings of a meter polled every `poll` microseconds may be, in microseconds.
    #[must_use]
    pub fn max_age(&self, poll: Option<i64>) -> i64 {
        let most = i64::from(self.max_age_minutes) * MINUTE;
        poll.map_or(most, |poll| poll.saturating_mul(i64::from(self.max_age_polls)).min(most))
    }
}

fn default_levels() -> Vec<Amount> {
    [50, 20, 5].into_iter().map(|whole| Amount(whole * 1_000_000_000)).collect()
}

fn default_reconnect_at() -> Amount {
    Amount(1_000_000_000)
}

fn default_windows() -> Vec<Window> {
    vec![
        Window::new(&[], WallMinute(18 * 60), WallMinute(8 * 60)),
        Window::new(&[DayKind::Weekend, DayKind::Holiday], WallMinute(0), WallMinute(24 * 60)),
    ]
}

fn default_cut() -> Vec<Utility> {
    vec![Utility::Electricity, Utility::Water, Utility::Heat]
}

const fn default_true() -> bool {
    true
}

const fn default_3() -> u32 {
    3
}

const fn default_4() -> u32 {
    4
}

const fn default_10() -> u32 {
    10
}

const fn default_24() -> u32 {
    24
}

const fn default_30() -> u32 {
    30
}

const fn default_60() -> u32 {
    60
}

const fn default_120() -> u32 {
    120
}

/// An amount as a decimal text with at least two places.
pub(crate) mod decimal_text {
    use alloc::format;
    use alloc::string::String;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::money::Amount;

    pub(crate) fn show(amount: Amount) -> String {
        let text = format!("{amount}");
        let keep = text.trim_end_matches('0').len().max(text.len() - 7);
        text[..keep].into()
    }

    pub(crate) fn read<E: Error>(text: &str) -> Result<Amount, E> {
        Amount::parse(text).ok_or_else(|| E::custom(format!("{text:?} is not an amount; write one such as \"5.00\"")))
    }

    pub(crate) fn serialize<S: Serializer>(amount: &Amount, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&show(*amount))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Amount, D::Error> {
        read(&String::deserialize(deserializer)?)
    }
}

mod decimal_list {
    use alloc::string::String;
    use alloc::vec::Vec;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::decimal_text::{read, show};
    use crate::money::Amount;

    pub(super) fn serialize<S: Serializer>(amounts: &[Amount], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(amounts.iter().map(|amount| show(*amount)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Amount>, D::Error> {
        Vec::<String>::deserialize(deserializer)?.iter().map(|text| read(text)).collect()
    }
}

mod utility_names {
    use alloc::format;
    use alloc::string::String;
    use alloc::vec::Vec;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::id::Utility;

    pub(super) fn serialize<S: Serializer>(utilities: &[Utility], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(utilities.iter().map(|utility| utility.name()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Utility>, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        let utility = |name: &String| {
            Utility::parse(name).ok_or_else(|| {
                D::Error::custom(format!("{name:?} is no utility; write electricity, water, gas or heat"))
            })
        };
        names.iter().map(utility).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_with_only_a_name_has_the_defaults_of_the_rules() {
        let policy: Policy = serde_json::from_str(r#"{"name": "shops"}"#).unwrap();
        assert_eq!(policy, Policy::named("shops"));
        assert!(policy.faults().is_empty());
        let text = serde_json::to_string(&policy).unwrap();
        assert!(text.contains(r#""levels":["50.00","20.00","5.00"]"#), "{text}");
        assert!(text.contains(r#""from":"18:00","to":"08:00""#), "{text}");
        assert_eq!(serde_json::from_str::<Policy>(&text).unwrap(), policy);
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_a_word_to_the_writer() {
        for (json, expected) in [
            (r#"{"name": "a", "level": []}"#, "unknown field `level`"),
            (r#"{"name": "a", "cut_below": 5}"#, "invalid type: integer `5`, expected a string"),
            (r#"{"name": "a", "cut_below": "5,00"}"#, "is not an amount"),
            (r#"{"name": "a", "windows": [{"from": "18:00", "to": "25:00"}]}"#, "is not a time of day"),
            (r#"{"name": "a", "windows": [{"days": ["sunday"], "from": "18:00", "to": "20:00"}]}"#, "unknown variant"),
            (r#"{"name": "a", "cut": ["steam"]}"#, "is no utility"),
            ("{}", "missing field `name`"),
        ] {
            let fault = serde_json::from_str::<Policy>(json).unwrap_err().to_string();
            assert!(fault.contains(expected), "{json}: {fault}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_named_key_by_key() {
        for (json, expected) in [
            (r#"{"name": "", "levels": []}"#, vec!["name: is empty", "levels: 0 levels"]),
            (r#"{"name": "a", "levels": ["5.00", "20.00"]}"#, vec!["levels: must fall"]),
            (
                r#"{"name": "a", "levels": ["5.00"], "cut_below": "6", "reconnect_at": "6"}"#,
                vec!["levels: the final", "reconnect_at"],
            ),
            (r#"{"name": "a", "verify_seconds": 10}"#, vec!["verify_seconds: 10 is not within 60 to 3600"]),
            (
                r#"{"name": "a", "windows": [{"from": "08:00", "to": "08:00"}]}"#,
                vec!["windows[0]: from and to are equal"],
            ),
            (r#"{"name": "a", "cut": ["water", "water"]}"#, vec!["cut: water is named twice"]),
        ] {
            let policy: Policy = serde_json::from_str(json).unwrap();
            let faults = policy.faults();
            assert_eq!(faults.len(), expected.len(), "{json}: {faults:?}");
            for (fault, start) in faults.iter().zip(expected) {
                assert!(fault.starts_with(start), "{json}: {fault}");
            }
        }
    }

    #[test]
    fn readings_age_by_polls_but_never_beyond_the_limit_in_minutes() {
        let policy = Policy::named("a");
        for (poll, expected) in [(Some(10 * SECOND), 30 * SECOND), (Some(HOUR), 30 * MINUTE), (None, 30 * MINUTE)] {
            assert_eq!(policy.max_age(poll), expected);
        }
        let slow = Policy { max_age_minutes: 300, ..policy };
        assert_eq!(slow.max_age(Some(HOUR)), 3 * HOUR);
    }
}
