//! Reading a price series: a CSV file with a time and a price on each line, one step apart.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use kernel::money::Price;
use kernel::series::{PriceSeries, STEPS_MAX};
use kernel::time::{HOUR, MINUTE, Moment};

use super::reader::Reader;
use super::things::zone as known_zone;
use super::words;

/// `dynamic = { file = "prices.csv", time = "time", price = "price", step = "1h" }`.
pub(super) fn series(reader: Reader<'_>, zone: Option<&TimeZone>) -> Option<PriceSeries> {
    let attached = reader.attached("file");
    let time = reader.text("time").unwrap_or_else(|| "time".to_owned());
    let price = reader.text("price").unwrap_or_else(|| "price".to_owned());
    let divides = |text: &str| words::duration(text).filter(|step| step % MINUTE == 0 && HOUR % step == 0);
    let step = reader.exact("step", divides, "\"1h\", \"30m\" or another step of minutes that divides an hour");
    let step = step.unwrap_or(HOUR);
    let thousands = |text: &str| match text {
        "kWh" | "m3" => Some(false),
        "MWh" => Some(true),
        _ => None,
    };
    let per_thousand = reader.word("per", thousands, "\"kWh\", \"MWh\" or \"m3\"").unwrap_or(false);
    let own = reader.text("time_zone").and_then(|name| known_zone(&reader, &name));
    let result = attached.map(|(path, text)| {
        let columns = Columns { time: &time, price: &price, zone: own.as_ref().or(zone), step, per_thousand };
        (path, rows(text, &columns))
    });
    let series = match result {
        Some((path, Err(fault))) => {
            let Refused { line, what, remedy } = fault;
            reader.fault("file", format!("is {path:?}, where line {line} {what}"), remedy);
            None
        }
        Some((_, Ok((start, prices)))) => {
            u16::try_from(step / MINUTE).ok().map(|step_minutes| PriceSeries { start, step_minutes, prices })
        }
        None => None,
    };
    reader.finish();
    series
}

struct Columns<'a> {
    time: &'a str,
    price: &'a str,
    /// Of times without an offset.
    zone: Option<&'a TimeZone>,
    step: i64,
    per_thousand: bool,
}

/// The first line that cannot be.
#[derive(Debug, PartialEq, Eq)]
struct Refused {
    line: usize,
    what: String,
    remedy: String,
}

/// The first instant and all prices; each line one step after the one before.
fn rows(text: &str, columns: &Columns<'_>) -> Result<(Moment, Vec<Price>), Refused> {
    let refused = |line: usize, what: String, remedy: &str| Refused { line, what, remedy: remedy.to_owned() };
    let mut lines = text.lines().enumerate().map(|(place, line)| (place + 1, line.trim_end_matches('\r')));
    let (_, head) = lines.next().unwrap_or((1, ""));
    let head = head.trim_start_matches('\u{feff}');
    let place = |name: &str| {
        let found = fields(head).position(|field| field == name);
        found.ok_or_else(|| refused(1, format!("has no column {name:?}"), "name the columns with `time` and `price`"))
    };
    let (time, price) = (place(columns.time)?, place(columns.price)?);
    let mut start = None;
    let mut next: Option<Moment> = None;
    let mut prices = Vec::new();
    for (line, text) in lines.filter(|(_, text)| !text.trim().is_empty()) {
        let field = |place: usize| fields(text).nth(place).unwrap_or_default();
        let at = instant(field(time), columns.zone, next).ok_or_else(|| {
            let what = format!("has {:?} for a time", field(time));
            refused(line, what, "write 2026-01-01T00:00+08:00, or without offset and with `time_zone`")
        })?;
        if let Some(due) = next.filter(|due| *due != at) {
            let what = match at > due {
                true => format!("jumps to {at}, but {due} comes next: prices are missing"),
                false => format!("goes back to {at}, but {due} comes next"),
            };
            return Err(refused(
                line,
                what,
                "write one line for each step, in order; correct `step` where it is another",
            ));
        }
        let value = exact_price(field(price), columns.per_thousand).ok_or_else(|| {
            let what = format!("has {:?} for a price", field(price));
            refused(line, what, "write a decimal with at most 6 places (3 per MWh)")
        })?;
        if prices.len() == STEPS_MAX {
            let what = format!("is one more than {STEPS_MAX} steps");
            return Err(refused(line, what, "begin a new [[tariff.version]] with a file of its own"));
        }
        prices.push(value);
        start = start.or(Some(at));
        next = Some(at.plus(columns.step));
    }
    match start {
        Some(start) => Ok((start, prices)),
        None => Err(refused(1, "is followed by no price".to_owned(), "write one line for each step")),
    }
}

/// Fields between commas, without quotes: neither times nor prices hold a comma.
fn fields(line: &str) -> impl Iterator<Item = &str> {
    line.split(',').map(|field| field.trim().trim_matches('"'))
}

fn exact_price(text: &str, per_thousand: bool) -> Option<Price> {
    let price = Price::parse(text.strip_prefix('+').unwrap_or(text))?;
    match per_thousand {
        false => Some(price),
        true => (price.0 % 1_000 == 0).then_some(Price(price.0 / 1_000)),
    }
}

/// An instant with its offset; or a time of the zone, of which the one that is due is meant where it comes twice.
fn instant(text: &str, zone: Option<&TimeZone>, due: Option<Moment>) -> Option<Moment> {
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some(Moment(instant.as_microsecond()));
    }
    let local: DateTime = text.parse().ok()?;
    let ambiguous = zone?.to_ambiguous_timestamp(local);
    let moment = |instant: Result<Timestamp, jiff::Error>| instant.ok().map(|instant| Moment(instant.as_microsecond()));
    let (earlier, later) = (moment(ambiguous.earlier()), moment(ambiguous.later()));
    match ambiguous.is_ambiguous() {
        false => earlier,
        true => later.filter(|later| due == Some(*later)).or(earlier),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, zone: &str, step: i64, per_thousand: bool) -> Result<(Moment, Vec<Price>), String> {
        let zone = TimeZone::get(zone).unwrap();
        let columns = Columns { time: "time", price: "price", zone: Some(&zone), step, per_thousand };
        rows(text, &columns).map_err(|fault| format!("{}: {}; {}", fault.line, fault.what, fault.remedy))
    }

    #[test]
    fn a_series_is_read_exactly_or_refused_with_line_and_remedy() {
        type Read = Result<(i64, &'static [i64]), &'static str>;
        let table: [(&str, &str, Read); 11] = [
            (
                "offsets",
                "time,price\n1970-01-01T00:00Z,0.10\n1970-01-01T02:00+01:00,-0.05\n",
                Ok((0, &[100_000, -50_000])),
            ),
            (
                "local",
                "\u{feff}price,x,time\r\n0.1,a,1970-01-01 08:00\r\n\"0.2\",b,\"1970-01-01 09:00:00\"\r\n",
                Ok((0, &[100_000, 200_000])),
            ),
            (
                "a blank line",
                "time,price\n1970-01-01 08:00,1\n\n1970-01-01 09:00,2\n",
                Ok((0, &[1_000_000, 2_000_000])),
            ),
            ("nothing", "", Err("1: has no column \"time\"")),
            ("only a head", "time,price\n", Err("1: is followed by no price")),
            ("no such column", "time,cost\n", Err("1: has no column \"price\"; name the columns")),
            (
                "a gap",
                "time,price\n1970-01-01 08:00,1\n1970-01-01 10:00,2\n",
                Err("3: jumps to 1970-01-01T02:00:00Z, but 1970-01-01T01:00:00Z comes next: prices are missing"),
            ),
            ("twice", "time,price\n1970-01-01 08:00,1\n1970-01-01 08:00,1\n", Err("3: goes back to")),
            ("no time", "time,price\nyesterday,1\n", Err("2: has \"yesterday\" for a time")),
            ("no price", "time,price\n1970-01-01 08:00,\n", Err("2: has \"\" for a price")),
            ("a float", "time,price\n1970-01-01 08:00,1e-3\n", Err("2: has \"1e-3\" for a price")),
        ];
        for (name, text, expected) in table {
            match (read(text, "Asia/Shanghai", HOUR, false), expected) {
                (Ok((start, prices)), Ok((at, list))) => {
                    let prices: Vec<i64> = prices.iter().map(|price| price.0).collect();
                    assert_eq!((start.0, prices.as_slice()), (at, list), "{name}");
                }
                (Err(found), Err(part)) => assert!(found.contains(part), "{name}: {found}"),
                (found, _) => panic!("{name}: {found:?}"),
            }
        }
    }

    /// In Berlin 02:00 comes twice on 2026-10-25: the file has two lines that say so, one after the other.
    #[test]
    fn the_hour_that_comes_twice_has_two_prices() {
        let hours = ["01:00", "02:00", "02:00", "03:00"];
        let text: String = hours.iter().map(|hour| format!("2026-10-25 {hour},1\n")).collect();
        let (_, prices) = read(&format!("time,price\n{text}"), "Europe/Berlin", HOUR, false).unwrap();
        assert_eq!(prices.len(), 4);
        let once = read("time,price\n2026-10-25 02:00,1\n2026-10-25 03:00,1\n", "Europe/Berlin", HOUR, false);
        assert!(once.unwrap_err().contains("3: jumps to 2026-10-25T02:00:00Z, but 2026-10-25T01:00:00Z comes next"));
        let spring = "time,price\n2026-03-29 01:30,1\n2026-03-29 03:00,2\n";
        assert_eq!(read(spring, "Europe/Berlin", 30 * MINUTE, false).unwrap().1.len(), 2);
    }

    #[test]
    fn a_price_per_megawatt_hour_keeps_every_digit_or_is_refused() {
        let one = |price: &str| read(&format!("time,price\n1970-01-01T00:00Z,{price}\n"), "UTC", HOUR, true);
        assert_eq!(one("-83.291").unwrap().1, [Price(-83_291)]);
        assert_eq!(one("0").unwrap().1, [Price(0)]);
        assert!(one("83.2915").is_err());
    }
}
