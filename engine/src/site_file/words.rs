//! The small words of a site file: ratios, durations, times of day, days of the year, ratings, instants.

use jiff::civil;
use jiff::tz::{AmbiguousOffset, TimeZone};
use kernel::id::Utility;
use kernel::tariff::MonthDay;
use kernel::time::{HOUR, LocalDate, MINUTE, Moment, SECOND};
use toml::value::{Datetime, Offset};

/// A ratio above zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio {
    /// Above zero.
    pub numerator: i64,
    /// Above zero.
    pub denominator: i64,
}

impl Ratio {
    /// 1.
    pub const ONE: Ratio = Ratio { numerator: 1, denominator: 1 };

    /// `40`, `200/5` or `2.5`, in lowest terms.
    #[must_use]
    pub fn parse(text: &str) -> Option<Ratio> {
        let (numerator, denominator) = match text.split_once('/') {
            Some((numerator, denominator)) => (whole(numerator.trim())?, whole(denominator.trim())?),
            None => match text.split_once('.') {
                Some((integer, fraction)) => {
                    let scale =
                        10_i64.checked_pow(u32::try_from(fraction.len()).ok().filter(|places| *places <= 9)?)?;
                    (digits(integer)?.checked_mul(scale)?.checked_add(digits(fraction)?)?, scale)
                }
                None => (whole(text)?, 1),
            },
        };
        Ratio::new(numerator, denominator)
    }

    /// In lowest terms; `None` unless both are above zero.
    #[must_use]
    pub fn new(numerator: i64, denominator: i64) -> Option<Ratio> {
        if numerator <= 0 || denominator <= 0 {
            return None;
        }
        let common = gcd(numerator, denominator);
        Some(Ratio { numerator: numerator / common, denominator: denominator / common })
    }

    /// The product; `None` where it leaves 64 bits.
    #[must_use]
    pub fn times(self, other: Ratio) -> Option<Ratio> {
        // Crosswise first, so that only a product that is really too large fails.
        let a = Ratio::new(self.numerator, other.denominator)?;
        let b = Ratio::new(other.numerator, self.denominator)?;
        Some(Ratio {
            numerator: a.numerator.checked_mul(b.numerator)?,
            denominator: a.denominator.checked_mul(b.denominator)?,
        })
    }
}

/// `40`, or `5/3` where it is not whole.
impl std::fmt::Display for Ratio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.denominator {
            1 => write!(f, "{}", self.numerator),
            denominator => write!(f, "{}/{denominator}", self.numerator),
        }
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn digits(text: &str) -> Option<i64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

fn whole(text: &str) -> Option<i64> {
    digits(text).filter(|value| *value > 0)
}

/// `10s`, `5m` or `1h`, in microseconds: 1 s to a day.
pub(super) fn duration(text: &str) -> Option<i64> {
    let (number, unit) = text.split_at(text.len().checked_sub(1)?);
    let unit = match unit {
        "s" => SECOND,
        "m" => MINUTE,
        "h" => HOUR,
        _ => return None,
    };
    whole(number.trim())?.checked_mul(unit).filter(|micros| *micros <= 24 * HOUR)
}

/// A duration as [`duration`] reads it.
pub(super) fn show_duration(micros: i64) -> String {
    match micros {
        _ if micros % HOUR == 0 => format!("{}h", micros / HOUR),
        _ if micros % MINUTE == 0 => format!("{}m", micros / MINUTE),
        _ => format!("{}s", micros / SECOND),
    }
}

/// `07:30`, up to `24:00`, in minutes of the day.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    if hour.len() != 2 || minute.len() != 2 {
        return None;
    }
    let (hour, minute): (u16, u16) = (u16::try_from(digits(hour)?).ok()?, u16::try_from(digits(minute)?).ok()?);
    (minute < 60 && (hour < 24 || (hour, minute) == (24, 0))).then_some(hour * 60 + minute)
}

/// `20:00-22:00`; `22:00-06:00` runs over midnight; `00:00-24:00` is the whole day.
pub(super) fn hours(text: &str) -> Option<(u16, u16)> {
    let (from, to) = text.split_once('-')?;
    let (from, to) = (minute(from)?, minute(to)?);
    (from < kernel::tariff::MINUTES && from != to).then_some((from, to))
}

/// A minute of the day as [`hours`] reads it.
pub(super) fn show_minute(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

/// `07-01`; 29 February is a day of the year.
pub(super) fn month_day(text: &str) -> Option<MonthDay> {
    let (month, day) = text.split_once('-')?;
    if month.len() != 2 || day.len() != 2 {
        return None;
    }
    let (month, day) = (u8::try_from(digits(month)?).ok()?, u8::try_from(digits(day)?).ok()?);
    LocalDate::new(2024, month, day).map(|_| MonthDay { month, day })
}

/// `75 kW` or `10 m3/h` in 1/1000 billing units per hour, by what the utility's unit is.
pub(super) fn rating(text: &str, utility: Utility) -> Option<i64> {
    let (number, unit) = text.trim().split_once(' ')?;
    if unit.trim() != rating_unit(utility) {
        return None;
    }
    kernel::money::Quantity::parse(number).map(|quantity| quantity.0).filter(|rate| *rate > 0)
}

/// The unit of a rating.
pub(super) const fn rating_unit(utility: Utility) -> &'static str {
    match utility {
        Utility::Electricity | Utility::Heat => "kW",
        Utility::Water | Utility::Gas => "m3/h",
    }
}

/// How many digits after the point a currency has (ISO 4217).
pub(super) fn currency_digits(currency: &str) -> u32 {
    match currency {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "UYI" | "VND"
        | "VUV" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        _ => 2,
    }
}

/// An ISO 4217 code by its shape.
pub(super) fn currency(text: &str) -> Option<String> {
    (text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase())).then(|| text.to_owned())
}

/// The instant of a text such as `2026-03-01T12:00+08:00`; one without an offset is local to `zone`, a date its midnight.
///
/// # Errors
/// What is wrong and what to write instead.
pub fn instant(text: &str, zone: &str) -> Result<Moment, String> {
    let wrong = || {
        format!(
            "{text:?} is no instant: write 2026-03-01T12:00:00, with an offset (+08:00 or Z) unless it is local to {zone}"
        )
    };
    // TOML wants seconds.
    let seconds = match text.split_once(['T', ' ']) {
        Some((date, time)) if time.len() == 5 => format!("{date}T{time}:00"),
        _ => text.to_owned(),
    };
    let datetime: Datetime = seconds.parse().map_err(|_| wrong())?;
    let zone = crate::site_days::zone(zone).map_err(|error| error.to_string())?;
    moment(&datetime, Some(&zone)).map_err(|(what, remedy)| format!("{text:?} {what}; {remedy}"))
}

/// The instant of a TOML date-time with offset, or of one in `zone`; a date means its local midnight.
pub(super) fn moment(datetime: &Datetime, zone: Option<&TimeZone>) -> Result<Moment, (String, String)> {
    let remedy = || "write a date such as 2026-03-01 or 2026-03-01T12:00:00+08:00".to_owned();
    let what = || format!("is {datetime}, which is no instant");
    let date = datetime.date.ok_or_else(|| (what(), remedy()))?;
    let date = i16::try_from(date.year)
        .ok()
        .filter(|year| (1900..=9000).contains(year))
        .zip(i8::try_from(date.month).ok().zip(i8::try_from(date.day).ok()))
        .and_then(|(year, (month, day))| civil::Date::new(year, month, day).ok())
        .ok_or_else(|| (what(), remedy()))?;
    let time = match datetime.time {
        None => civil::Time::midnight(),
        Some(time) => {
            let nanos = i32::try_from(time.nanosecond.unwrap_or(0)).ok();
            let parts = i8::try_from(time.hour).ok().zip(i8::try_from(time.minute).ok());
            let second = i8::try_from(time.second.unwrap_or(0)).ok();
            parts
                .zip(second.zip(nanos))
                .and_then(|((hour, minute), (second, nanos))| civil::Time::new(hour, minute, second, nanos).ok())
                .ok_or_else(|| (what(), remedy()))?
        }
    };
    let local = date.to_datetime(time);
    if let Some(offset) = datetime.offset {
        let minutes = match offset {
            Offset::Z => 0,
            Offset::Custom { minutes } => minutes,
        };
        let utc = TimeZone::UTC.to_ambiguous_timestamp(local).compatible().map_err(|_| (what(), remedy()))?;
        return Ok(Moment(utc.as_microsecond()).plus(-i64::from(minutes) * MINUTE));
    }
    let zone = zone.ok_or_else(|| {
        let remedy = "write its offset (2026-03-01T12:00:00+08:00), or give `time_zone`".to_owned();
        (format!("is {datetime}, a time without zone"), remedy)
    })?;
    let ambiguous = zone.to_ambiguous_timestamp(local);
    let unclear = match ambiguous.offset() {
        // A date begins where it begins, whatever the clocks do at its midnight.
        _ if datetime.time.is_none() => None,
        AmbiguousOffset::Unambiguous { .. } => None,
        AmbiguousOffset::Gap { .. } => Some("does not exist: the clocks skip it"),
        AmbiguousOffset::Fold { .. } => Some("comes twice: the clocks go back"),
    };
    if let Some(unclear) = unclear {
        return Err((format!("is {datetime}, which {unclear}"), "write it with its offset from UTC".to_owned()));
    }
    let instant = ambiguous.compatible().map_err(|_| (what(), remedy()))?;
    Ok(Moment(instant.as_microsecond()))
}

/// `2026-03-01 12:00 +08:00`, with seconds only where they are not zero.
pub(crate) fn show_moment(moment: Moment, zone: &TimeZone) -> String {
    let Ok(instant) = jiff::Timestamp::from_microsecond(moment.0) else { return moment.to_string() };
    let local = instant.to_zoned(zone.clone());
    let format = if local.second() == 0 { "%Y-%m-%d %H:%M %:z" } else { "%Y-%m-%d %H:%M:%S %:z" };
    local.strftime(format).to_string()
}
