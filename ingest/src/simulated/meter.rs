//! One simulated device: its register, its relay, its lies.

use std::sync::Arc;

use kernel::reading::Contact;
use kernel::time::Moment;

use super::Lie;
use super::load::{CountSize, FLOW_PER_MILLI_UNIT, LoadShape};
use crate::profile::Profile;

/// A device's state at `last`.
#[derive(Debug)]
pub(super) struct Device {
    profile: Arc<Profile>,
    size: CountSize,
    load: LoadShape,
    lie: Option<Lie>,
    contact: Contact,
    last: Moment,
    /// The register since zero, in grains: what makes it exact whatever the times of reading.
    grains: i128,
    requests: u64,
}

impl Device {
    pub(super) fn new(
        profile: Arc<Profile>,
        load: LoadShape,
        start_count: i64,
        contact: Contact,
        now: Moment,
    ) -> Device {
        let resolution = profile.billing.resolution;
        let size = CountSize {
            grains: FLOW_PER_MILLI_UNIT * i128::from(resolution.numerator),
            grains_per_flow: i128::from(resolution.denominator),
        };
        let start = match &load {
            LoadShape::Replay(series) => {
                let shown = series.partition_point(|(moment, _)| *moment <= now);
                series.get(shown.saturating_sub(1)).map_or(start_count, |(_, count)| *count)
            }
            _ => start_count,
        };
        let grains = i128::from(start) * size.grains;
        Device { profile, size, load, lie: None, contact, last: now, grains, requests: 0 }
    }

    pub(super) fn profile(&self) -> &Profile {
        &self.profile
    }

    pub(super) fn lie(&self) -> Option<Lie> {
        self.lie
    }

    pub(super) fn contact(&self) -> Contact {
        self.contact
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests
    }

    pub(super) fn count_request(&mut self) {
        self.requests += 1;
    }

    /// Lets time pass up to `now`. Everything below concerns that moment.
    pub(super) fn advance(&mut self, now: Moment) {
        if now > self.last {
            if self.flows() && self.lie != Some(Lie::Stuck) {
                self.grains += self.load.grains(self.last, now, self.size);
            }
            self.last = now;
        }
    }

    fn flows(&self) -> bool {
        self.contact == Contact::Closed || self.lie == Some(Lie::Welded)
    }

    pub(super) fn power(&self) -> i64 {
        if self.flows() { self.load.power_at(self.last, self.size) } else { 0 }
    }

    pub(super) fn count(&self) -> i64 {
        let count = self.grains.div_euclid(self.size.grains);
        let shown = match self.profile.billing.modulus {
            Some(modulus) => count.rem_euclid(i128::from(modulus)),
            None => count.max(0),
        };
        i64::try_from(shown).unwrap_or(i64::MAX)
    }

    /// The count that a read is shown; uses up a glitch.
    pub(super) fn shown_count(&mut self) -> i64 {
        match self.lie {
            Some(Lie::Glitch { count, reads }) => {
                self.lie = (reads > 1).then_some(Lie::Glitch { count, reads: reads.saturating_sub(1) });
                count
            }
            _ => self.count(),
        }
    }

    pub(super) fn set_lie(&mut self, lie: Option<Lie>) {
        self.lie = lie;
    }

    pub(super) fn set_load(&mut self, load: LoadShape) {
        self.load = load;
    }

    pub(super) fn turn(&mut self, contact: Contact) {
        self.contact = contact;
    }

    /// A relay write that the profile knows.
    pub(super) fn obey(&mut self, contact: Contact) {
        if self.lie != Some(Lie::DeafRelay) {
            self.contact = contact;
        }
    }
}
