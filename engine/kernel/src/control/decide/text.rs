//! How reasons show money and times.

use alloc::format;
use alloc::string::{String, ToString};

use crate::control::policy::decimal_text;
use crate::money::Amount;
use crate::time::{HOUR, MINUTE, Moment, SiteDays};

/// An amount with at least two places and no digit lost.
pub(super) fn money(amount: Amount) -> String {
    decimal_text::show(amount)
}

/// A moment as the site's wall clock shows it, to the minute; in UTC where the local day is not known.
pub(super) fn wall(days: &SiteDays, moment: Moment) -> String {
    let local = days.at(moment).and_then(|day| {
        let (run, _) = day.runs().filter(|(run, _)| run.start <= moment).last()?;
        let wall = run.wall + moment.since(run.start);
        Some(format!("{} {:02}:{:02}", day.date, wall / HOUR, wall / MINUTE % 60))
    });
    local.unwrap_or_else(|| moment.to_string())
}
