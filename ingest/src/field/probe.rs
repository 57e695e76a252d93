//! Reads one device once and shows every register of its profile: a field engineer's first tool.

use std::time::Duration;

use thiserror::Error;

use super::link::{Link, LinkError};
use crate::profile::{Profile, Ratio, Refusal, Register, Span};

/// One register as the device shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeRow {
    /// Its name.
    pub register: String,
    /// Its address on the wire.
    pub address: u16,
    /// Its words; none where they could not be read.
    pub raw: Vec<u16>,
    /// Its value with its unit; `-` where there is none.
    pub decoded: String,
    /// Why there is no value, or what to know about it.
    pub note: String,
}

/// Why nothing could be probed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProbeError {
    /// There is no connection.
    #[error(
        "{reason}: check that the device or gateway has power and this address, that its Modbus TCP port is {port} \
         (usually 502), and that no firewall or other master holds it"
    )]
    Connect {
        /// What failed.
        reason: String,
        /// The port.
        port: u16,
    },
    /// The connection stands, and no register was answered at all.
    #[error(
        "unit {unit} at {host}:{port} answers no request ({reason}): check the unit number, and for a gateway the \
         serial line's speed and parity"
    )]
    Silent {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// The unit.
        unit: u8,
        /// How the last request failed.
        reason: String,
    },
}

/// Reads every register of `profile` from a device, each by a request of its own.
pub async fn probe(
    profile: &Profile,
    host: &str,
    port: u16,
    unit: u8,
    timeout: Duration,
) -> Result<Vec<ProbeRow>, ProbeError> {
    let mut link = Link::new(host, port, timeout);
    let connect = |error: LinkError| ProbeError::Connect { reason: error.to_string(), port };
    link.connect().await.map_err(connect)?;
    let (mut rows, mut alive) = (Vec::new(), false);
    for entry in entries(profile) {
        let answer = link.read(unit, profile.read_function, entry.span).await;
        let row = |raw, decoded, note| ProbeRow {
            register: entry.name.clone(),
            address: entry.span.start,
            raw,
            decoded,
            note,
        };
        match answer {
            Ok(words) => {
                alive = true;
                let (decoded, note) = (entry.decode)(&words);
                rows.push(row(words, decoded, note));
            }
            Err(error @ LinkError::Connect { .. }) => return Err(connect(error)),
            Err(error) => {
                alive |= matches!(error, LinkError::Exception(code) if code != 0x0B);
                let reason = error.to_string();
                // A device that answers nothing is not asked twenty times.
                if !alive && rows.len() >= 2 {
                    return Err(ProbeError::Silent { host: host.to_owned(), port, unit, reason });
                }
                rows.push(row(Vec::new(), "-".to_owned(), reason));
            }
        }
    }
    match rows.last() {
        Some(last) if !alive => {
            Err(ProbeError::Silent { host: host.to_owned(), port, unit, reason: last.note.clone() })
        }
        _ => Ok(rows),
    }
}

/// A register to show and how.
struct Entry<'a> {
    name: String,
    span: Span,
    decode: Show<'a>,
}

/// Words to a value with its unit, and a note.
type Show<'a> = Box<dyn Fn(&[u16]) -> (String, String) + Send + 'a>;

fn entries(profile: &Profile) -> Vec<Entry<'_>> {
    let span = |register: &Register| Span { start: register.address, words: register.kind.words() };
    let plain = |register: &'_ Register, unit: String| -> Entry<'_> {
        let register = register.clone();
        Entry {
            name: register.name.clone(),
            span: span(&register),
            decode: Box::new(move |words| value(profile.value(&register, words), &unit)),
        }
    };
    let billing = &profile.billing;
    let first = Entry {
        name: billing.register.name.clone(),
        span: span(&billing.register),
        decode: Box::new(|words| counted(profile, words)),
    };
    let instruments = profile.instruments.iter();
    let instruments = instruments.map(|entry| plain(&entry.register, entry.quantity.unit().to_owned()));
    let extras = profile.extras.iter().map(|extra| plain(&extra.register, extra.unit.clone()));
    let relay = profile.relay.iter().map(|relay| Entry {
        name: "contact".to_owned(),
        span: Span { start: relay.read_back.address, words: relay.read_back.words },
        decode: Box::new(|words| contact(relay, words)),
    });
    [first].into_iter().chain(instruments).chain(relay).chain(extras).collect()
}

fn counted(profile: &Profile, words: &[u16]) -> (String, String) {
    let billing = &profile.billing;
    let count = match profile.count(words) {
        Ok(count) => count,
        Err(refusal) => return ("-".to_owned(), refusal.to_string()),
    };
    let Ratio { numerator, denominator } = billing.resolution;
    let milli = i128::from(count) * i128::from(numerator) / i128::from(denominator);
    let mut note = format!("billed, {count} counts of {} / 1000 {}", billing.resolution, profile.utility.unit());
    if !profile.primary {
        note.push_str("; before CT and PT");
    }
    if billing.float_exact_below.is_some_and(|limit| count >= limit) {
        note.push_str("; the float moves in steps above one count here");
    }
    (decimal(milli, profile.utility.unit()), note)
}

fn value(value: Result<i64, Refusal>, unit: &str) -> (String, String) {
    match value {
        Ok(milli) => (decimal(i128::from(milli), unit), String::new()),
        Err(refusal) => ("-".to_owned(), refusal.to_string()),
    }
}

fn contact(relay: &crate::profile::Relay, words: &[u16]) -> (String, String) {
    use kernel::reading::Contact;
    let note = match relay.read_back.address == relay.address {
        true => "read back from the control register: what it was told",
        false => "",
    };
    let state = match relay.read_back.contact(words) {
        Some(Contact::Open) => "open: supply interrupted",
        Some(Contact::Closed) => "closed: supply flows",
        None => "unknown",
    };
    (state.to_owned(), note.to_owned())
}

/// 1/1000 units as a decimal, such as `230.1 V`.
fn decimal(milli: i128, unit: &str) -> String {
    let sign = if milli < 0 { "-" } else { "" };
    let (whole, rest) = (milli.unsigned_abs() / 1_000, milli.unsigned_abs() % 1_000);
    let digits = format!("{rest:03}");
    let text = match digits.trim_end_matches('0') {
        "" => format!("{sign}{whole}"),
        fraction => format!("{sign}{whole}.{fraction}"),
    };
    if unit.is_empty() { text } else { format!("{text} {unit}") }
}
