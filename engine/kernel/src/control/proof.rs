//! Whether a relay did what its command said, from what its meter shows afterwards (domain.md, 8).
//!
//! The status bit alone proves nothing (a welded contact reports open and carries on), and power alone neither (some
//! meters report a false zero for 45 s). So a cut is watched for a window, 120 s by default: the status says open, the
//! power is about zero over at least [`SAMPLES`] samples, and the register stands still. What the meter does in the
//! first [`SETTLE`] microseconds is not held against it.

use serde::{Deserialize, Serialize};

use crate::reading::Contact;
use crate::time::{Moment, SECOND};

/// How many samples a verified cut needs.
pub const SAMPLES: u32 = 5;

/// How long a contact may take to move, and its meter to notice.
pub const SETTLE: i64 = 10 * SECOND;

/// One look at a meter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When.
    pub at: Moment,
    /// What the status bit says, where the meter has one.
    pub contact: Option<Contact>,
    /// Power in mW (or flow in ml per hour), where the meter shows it.
    pub power_mw: Option<i64>,
    /// The register.
    pub count: Option<i64>,
}

/// What was seen of a meter since its command was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// When the watch began.
    pub since: Moment,
    /// When enough was seen, if it was seen.
    pub until: Moment,
    /// When the watch ends whatever was seen.
    pub latest: Moment,
    /// Samples after the settling time.
    pub samples: u32,
    /// Of these, how many showed power, and how many showed the status.
    pub with_power: u32,
    /// See `with_power`.
    pub with_status: u32,
    /// The register at the switch: any advance beyond it is billed and, after a cut, flagged.
    pub count: Option<i64>,
    /// The last status seen.
    pub contact: Option<Contact>,
    /// Samples after the settling time in a row whose status was not the target.
    pub disobeyed: u32,
}

/// What a watch has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Nothing yet.
    Open,
    /// The contact did what was asked, and the load shows it.
    Verified,
    /// The contact says so; no load that could show it.
    WithoutLoadProof,
    /// It kept counting after the trip.
    Contradicted,
    /// The status says that the contact did not move.
    Disobeyed,
    /// The meter was not heard enough.
    Silent,
}

/// What is known of the meter before it was switched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// Whether power flowed, or the register advanced, shortly before.
    pub had_load: bool,
    /// The rating in mW, where it is known.
    pub rating_mw: Option<i64>,
}

impl Before {
    /// Power up to this is about zero: 5 W, or 0.1 % of the rating where that is more.
    #[must_use]
    pub fn about_zero_mw(&self) -> i64 {
        self.rating_mw.map_or(0, |rating| rating / 1_000).max(5_000)
    }
}

impl Watch {
    /// A watch that begins now and takes `window` microseconds, at most four times that.
    #[must_use]
    pub fn begin(now: Moment, window: i64) -> Watch {
        Watch {
            since: now,
            until: now.plus(window),
            latest: now.plus(window.saturating_mul(4)),
            samples: 0,
            with_power: 0,
            with_status: 0,
            count: None,
            contact: None,
            disobeyed: 0,
        }
    }

    /// Takes a sample in. Samples from before the watch began say nothing.
    pub fn sample(&mut self, target: Contact, before: Before, sample: &Sample) -> Finding {
        if sample.at < self.since {
            return Finding::Open;
        }
        self.contact = sample.contact.or(self.contact);
        let settled = sample.at.since(self.since) >= SETTLE;
        let first = self.count.is_none();
        let advanced = matches!((self.count, sample.count), (Some(from), Some(to)) if to > from);
        if first || (!settled && target == Contact::Open) {
            self.count = sample.count.or(self.count);
        }
        let power = sample.power_mw.map(i64::abs);
        if target == Contact::Closed {
            let flows = power.is_some_and(|power| power > 0) || advanced;
            if sample.contact == Some(Contact::Closed) && flows {
                return Finding::Verified;
            }
        }
        if !settled {
            return Finding::Open;
        }
        self.samples = self.samples.saturating_add(1);
        self.with_power = self.with_power.saturating_add(u32::from(power.is_some()));
        self.with_status = self.with_status.saturating_add(u32::from(sample.contact.is_some()));
        match sample.contact {
            Some(contact) if contact != target => self.disobeyed += 1,
            _ => self.disobeyed = 0,
        }
        if self.disobeyed >= 2 {
            return Finding::Disobeyed;
        }
        let flows = power.is_some_and(|power| power > before.about_zero_mw()) || (advanced && !first);
        if target == Contact::Open && flows && self.disobeyed == 0 {
            return Finding::Contradicted;
        }
        Finding::Open
    }

    /// What the time that has passed makes of it.
    #[must_use]
    pub fn look(&self, target: Contact, before: Before, now: Moment) -> Finding {
        if now < self.until || (self.samples < SAMPLES && now < self.latest) {
            return Finding::Open;
        }
        if self.samples == 0 {
            return Finding::Silent;
        }
        if self.contact.is_some_and(|contact| contact != target) {
            return Finding::Disobeyed;
        }
        let proven = self.samples >= SAMPLES
            && self.with_power >= SAMPLES
            && self.with_status >= SAMPLES
            && before.had_load
            && self.count.is_some();
        if target == Contact::Open && proven { Finding::Verified } else { Finding::WithoutLoadProof }
    }
}
