//! Moments on the command line: with an offset, or local to a site.

use engine::registry::{Account, Registry};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use kernel::id::SiteId;
use kernel::time::Moment;

use crate::call::{Failure, failed};

/// A moment in the time of an account's site.
pub(super) fn of_account(registry: &Registry, account: &Account, text: &str, option: &str) -> Result<Moment, Failure> {
    of_site(registry, account.site, text, option)
}

/// A moment such as `2026-03-01T12:00+08:00`, or `2026-03-01T12:00` and `2026-03-01` in the site's time. A local time
/// that a clock change skips or repeats is refused: it names no moment, or two.
pub(super) fn of_site(registry: &Registry, site: SiteId, text: &str, option: &str) -> Result<Moment, Failure> {
    let zone = registry.site(site).map_or("UTC", |site| site.zone.as_str());
    parse(text, &TimeZone::get(zone).map_err(failed)?).ok_or_else(|| {
        Failure(format!(
            "{option} {text:?} is no moment in {zone}: write it as 2026-03-01, 2026-03-01T12:00 or 2026-03-01T12:00+08:00"
        ))
    })
}

/// A moment in the time of an account's site, with its offset.
pub(super) fn shown(registry: &Registry, account: &Account, moment: Moment) -> String {
    let zone = registry.site(account.site).and_then(|site| TimeZone::get(&site.zone).ok());
    let instant = Timestamp::from_microsecond(moment.0).ok();
    match zone.zip(instant) {
        Some((zone, instant)) => instant.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S %:z").to_string(),
        None => moment.to_string(),
    }
}

fn parse(text: &str, zone: &TimeZone) -> Option<Moment> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(Moment(moment.as_microsecond()));
    }
    // Text with an offset that is no moment must not be read as a local time.
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b':' | b'T' | b' '));
    let local: DateTime = text.parse().ok().filter(|_| plain)?;
    let moment = zone.to_ambiguous_timestamp(local).unambiguous().ok()?;
    Some(Moment(moment.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_local_unless_it_says_otherwise() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        for (text, expected) in [
            ("2026-03-01", Some("2026-02-28T23:00:00Z")),
            ("2026-07-01T12:00", Some("2026-07-01T10:00:00Z")),
            ("2026-07-01T12:00:30", Some("2026-07-01T10:00:30Z")),
            ("2026-07-01T12:00+08:00", Some("2026-07-01T04:00:00Z")),
            ("2026-07-01T12:00Z", Some("2026-07-01T12:00:00Z")),
            // The clock change skips the one and repeats the other.
            ("2026-03-29T02:30", None),
            ("2026-10-25T02:30", None),
            ("2026-02-30", None),
            ("noon", None),
            ("", None),
        ] {
            let expected = expected.map(|text| Moment(text.parse::<Timestamp>().unwrap().as_microsecond()));
            assert_eq!(parse(text, &berlin), expected, "{text}");
        }
    }
}
