//! The property of these tests, and its readings.

use std::fmt::Write as _;

/// Account `filed` is measured by imported registers, `homes` by imported registers of water, `lived` by two polled
/// meters, `paid` has no meter at all.
pub(crate) const SITE: &str = r#"
[[site]]
name = "block"
time_zone = "Asia/Shanghai"
currency = "CNY"
mode = "shadow"
from = 2026-01-01

[[policy]]
name = "plain"
levels = ["20.00"]
cut_below = "0"
reconnect_at = "1.00"

[[tariff]]
name = "power"
utility = "electricity"
[[tariff.version]]
valid_from = 2026-01-01
prices = { peak = "1.028969", flat = "0.608869", valley = "0.236769" }
bands = { peak = ["10:00-12:00", "14:00-19:00"], flat = ["08:00-10:00", "12:00-14:00", "19:00-24:00"], valley = ["00:00-08:00"] }
tiers = { period = "monthly", bounds = ["260", "600"], surcharge = ["0", "0.05", "0.30"] }

[[tariff]]
name = "water"
utility = "water"
[[tariff.version]]
valid_from = 2026-01-01
price = "4.20"

[[account]]
name = "filed"
policy = "plain"
[[service_point]]
name = "filed/E"
utility = "electricity"
account = "filed"
tariff = "power"
[[meter]]
serial = "F1"
profile = "chint-dtsu666"
service_point = "filed/E"
ct = 2

[[account]]
name = "homes"
policy = "plain"
[[service_point]]
name = "homes/W"
utility = "water"
account = "homes"
tariff = "water"
[[meter]]
serial = "W1"
kind = "usage"
service_point = "homes/W"

[[account]]
name = "lived"
policy = "plain"
[[service_point]]
name = "lived/E"
utility = "electricity"
account = "lived"
tariff = "power"
[[meter]]
serial = "L1"
profile = "acrel-adf400l"
service_point = "lived/E"
bus = "127.0.0.1:15100"
unit = 1
poll = "1s"
[[service_point]]
name = "lived/W"
utility = "water"
account = "lived"
tariff = "water"
[[meter]]
serial = "L2"
profile = "xintai-valve-water"
service_point = "lived/W"
bus = "127.0.0.1:15100"
unit = 2
poll = "1s"

[[account]]
name = "paid"
policy = "plain"
"#;

/// Registers of F1 every quarter of an hour, from the place `from` of the series on, as a long CSV file.
pub(crate) fn registers(from: i64, rows: i64) -> String {
    let mut text = "meter,time,count\n".to_owned();
    for place in from..from + rows {
        writeln!(text, "F1,{},{}", wall(place), count(place)).unwrap();
    }
    text
}

/// Registers of F1 every minute, as a long CSV file.
pub(crate) fn minutes(rows: i64) -> String {
    let mut text = "meter,time,count\n".to_owned();
    for place in 0..rows {
        writeln!(text, "F1,{},{}", time(place), 5_000 + place / 3 * 3).unwrap();
    }
    text
}

/// What F1 shows at a place: 4 to 36 counts more each time, four places a round of 80 counts.
pub(crate) fn count(place: i64) -> i64 {
    5_000 + place.div_euclid(4) * 80 + [0, 4, 40, 60][usize::try_from(place.rem_euclid(4)).unwrap()]
}

/// The wall time of a place.
pub(crate) fn wall(place: i64) -> String {
    time(place * 15)
}

/// The wall time so many minutes after 2026-01-01T00:00 in Shanghai, in the same year.
fn time(minutes: i64) -> String {
    let (mut month, mut day) = (1, minutes / 1_440 + 1);
    for length in [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day <= length {
            break;
        }
        day -= length;
        month += 1;
    }
    format!("2026-{month:02}-{day:02}T{:02}:{:02}:00+08:00", minutes / 60 % 24, minutes % 60)
}
