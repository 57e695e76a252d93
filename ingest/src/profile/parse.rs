//! The file: TOML to a profile, checked so that nothing after it has to doubt.

use std::collections::BTreeSet;

use kernel::id::Utility;
use kernel::reading::Contact;
use serde::Deserialize;
use thiserror::Error;

use super::decode::{Kind, RATIO_MAX, Ratio, WordOrder, float_exact_below};
use super::plan::{Limits, ReadPlan, Span};
use super::{
    Billing, Extra, Instrument, InstrumentQuantity, Meaning, Profile, ReadBack, ReadFunction, Register, Relay, Vector,
    WriteFunction,
};

/// Why a profile file is refused.
#[derive(Debug, Error)]
pub enum ProfileError {
    /// Not TOML, an unknown key, or a value of the wrong type.
    #[error("meter profile {origin} cannot be read: {source}")]
    Syntax {
        /// The file.
        origin: String,
        /// Line, key and reason.
        source: Box<toml::de::Error>,
    },
    /// It contradicts itself or the protocol.
    #[error("meter profile {origin}, {key}: {reason}")]
    Invalid {
        /// The file.
        origin: String,
        /// Where in the file.
        key: String,
        /// What is wrong, and what would be right.
        reason: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    vendor: String,
    model: String,
    utility: String,
    sources: Vec<String>,
    #[serde(default)]
    caveat: String,
    read_function: u8,
    word_order: WordOrder,
    primary: bool,
    max_rate: i64,
    jitter_counts: i64,
    #[serde(default = "default_gap")]
    max_gap_words: u16,
    #[serde(default = "default_request")]
    max_request_words: u16,
    billing: BillingTable,
    #[serde(default)]
    instrument: Vec<InstrumentTable>,
    relay: Option<RelayTable>,
    #[serde(default)]
    extra: Vec<ExtraTable>,
    #[serde(default)]
    vector: Vec<VectorTable>,
}

fn default_gap() -> u16 {
    4
}

fn default_request() -> u16 {
    125
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BillingTable {
    name: String,
    address: u16,
    r#type: Kind,
    resolution: Ratio,
    unit: Option<String>,
    scale: Option<Ratio>,
    modulus: Option<i64>,
    #[serde(default)]
    signed: bool,
    #[serde(default)]
    invalid: Vec<u32>,
    float_exact_below: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InstrumentTable {
    quantity: String,
    name: String,
    address: u16,
    r#type: Kind,
    scale: Ratio,
    #[serde(default)]
    invalid: Vec<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExtraTable {
    name: String,
    address: u16,
    r#type: Kind,
    scale: Ratio,
    unit: String,
    #[serde(default)]
    invalid: Vec<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RelayTable {
    address: u16,
    write_function: u8,
    interrupt: Vec<u16>,
    supply: Vec<u16>,
    read_back: ReadBackTable,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadBackTable {
    address: u16,
    words: u16,
    mask: u32,
    interrupted: u32,
    supplying: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VectorTable {
    register: String,
    words: Vec<u16>,
    value: Option<i64>,
    refused: Option<String>,
    contact: Option<String>,
}

/// A key and what is wrong with it.
type Fault = (String, String);

fn fault<T>(key: &str, reason: impl Into<String>) -> Result<T, Fault> {
    Err((key.to_owned(), reason.into()))
}

pub(super) fn parse(text: &str, origin: &str) -> Result<Profile, ProfileError> {
    let file: File = toml::from_str(text)
        .map_err(|source| ProfileError::Syntax { origin: origin.to_owned(), source: Box::new(source) })?;
    let invalid = |(key, reason)| ProfileError::Invalid { origin: origin.to_owned(), key, reason };
    let profile = build(file).map_err(invalid)?;
    check_vectors(&profile).map_err(invalid)?;
    Ok(profile)
}

fn build(file: File) -> Result<Profile, Fault> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if file.name.is_empty() || !file.name.chars().all(plain) {
        return fault("name", "use lower-case letters, digits and `-`");
    }
    if file.sources.iter().all(|source| source.trim().is_empty()) {
        return fault("sources", "name at least one source of the registers");
    }
    let Some(utility) = Utility::parse(&file.utility) else {
        return fault("utility", "use electricity, water, gas or heat");
    };
    let read_function = match file.read_function {
        3 => ReadFunction::Holding,
        4 => ReadFunction::Input,
        _ => return fault("read_function", "use 3 (holding registers) or 4 (input registers)"),
    };
    if file.max_rate <= 0 {
        return fault("max_rate", "state the most that can flow, in 1/1000 unit per hour, above 0");
    }
    if file.jitter_counts < 0 {
        return fault("jitter_counts", "0 or more");
    }
    if !(2..=125).contains(&file.max_request_words) {
        return fault("max_request_words", "2 to 125");
    }
    let limits = Limits { gap_words: file.max_gap_words, request_words: file.max_request_words };
    let billing = billing(file.billing, utility)?;
    let instruments = instruments(file.instrument)?;
    let relay = file.relay.map(relay).transpose()?;
    let extras = extras(file.extra)?;
    let plan = plan(&billing, &instruments, relay.as_ref(), limits);
    let vectors = file.vector.into_iter().map(vector).collect::<Result<_, _>>()?;
    Ok(Profile {
        name: file.name,
        vendor: file.vendor,
        model: file.model,
        utility,
        sources: file.sources,
        caveat: file.caveat,
        read_function,
        word_order: file.word_order,
        primary: file.primary,
        max_rate: file.max_rate,
        jitter_counts: file.jitter_counts,
        billing,
        instruments,
        relay,
        extras,
        vectors,
        plan,
    })
}

fn register(
    key: &str,
    name: String,
    address: u16,
    kind: Kind,
    scale: Ratio,
    invalid: Vec<u32>,
) -> Result<Register, Fault> {
    fits(key, address, kind.words())?;
    Ok(Register { name, address, kind, scale, invalid })
}

fn fits(key: &str, address: u16, words: u16) -> Result<(), Fault> {
    match u32::from(address) + u32::from(words) <= 0x1_0000 {
        true => Ok(()),
        false => fault(key, "the register ends beyond address 0xFFFF"),
    }
}

/// How many kWh (or m3) the unit is that a billing register counts in.
fn unit(name: Option<&str>, utility: Utility) -> Result<(i64, i64), Fault> {
    let heat = utility == Utility::Heat;
    match name {
        None => Ok((1, 1)),
        Some(name) if name == utility.unit() => Ok((1, 1)),
        Some("MWh") if heat || utility == Utility::Electricity => Ok((1_000, 1)),
        Some("GJ") if heat => Ok((2_500, 9)),
        Some(name) => {
            let others = if heat { ", \"MWh\" or \"GJ\"" } else { "" };
            let text = format!("{name:?} is no unit of {}: write {:?}{others}", utility.name(), utility.unit());
            fault("billing.unit", text)
        }
    }
}

/// A ratio in another unit.
fn in_unit(ratio: Ratio, (numerator, denominator): (i64, i64)) -> Result<Ratio, Fault> {
    let product = Ratio { numerator: ratio.numerator * numerator, denominator: ratio.denominator * denominator };
    match product.numerator.max(product.denominator) <= RATIO_MAX {
        true => Ok(product),
        false => fault("billing.resolution", "too large a ratio in this unit"),
    }
}

fn billing(mut table: BillingTable, utility: Utility) -> Result<Billing, Fault> {
    let unit = unit(table.unit.as_deref(), utility)?;
    table.resolution = in_unit(table.resolution, unit)?;
    table.scale = table.scale.map(|scale| in_unit(scale, unit)).transpose()?;
    let scale = match (table.r#type, table.scale) {
        (Kind::F32, Some(scale)) => scale,
        (Kind::F32, None) => return fault("billing.scale", "a float needs it: 1/1000 units per 1.0"),
        (_, None) => table.resolution,
        (_, Some(_)) => return fault("billing.scale", "an integer register has only its resolution"),
    };
    let exact = (table.r#type == Kind::F32).then(|| float_exact_below(scale, table.resolution));
    if table.float_exact_below != exact {
        let right = exact.map_or("leave it out for an integer".to_owned(), |count| format!("write {count}"));
        return fault("billing.float_exact_below", right);
    }
    if table.modulus.is_some_and(|modulus| modulus < 2) {
        return fault("billing.modulus", "2 or more; leave it out for a register that never wraps");
    }
    let register = register("billing.address", table.name, table.address, table.r#type, scale, table.invalid)?;
    let (signed, modulus) = (table.signed, table.modulus);
    if signed && (modulus.is_some() || matches!(register.kind, Kind::U16 | Kind::U32)) {
        return fault("billing.signed", "only for a type with a sign, and without a modulus");
    }
    Ok(Billing { register, resolution: table.resolution, modulus, signed, float_exact_below: exact })
}

fn instruments(tables: Vec<InstrumentTable>) -> Result<Vec<Instrument>, Fault> {
    let mut seen = BTreeSet::new();
    let mut instruments = Vec::new();
    for table in tables {
        let quantity = match table.quantity.as_str() {
            "power" => InstrumentQuantity::Power,
            "voltage" => InstrumentQuantity::Voltage,
            "current" => InstrumentQuantity::Current,
            "power_factor" => InstrumentQuantity::PowerFactor,
            "flow" => InstrumentQuantity::Flow,
            _ => return fault("instrument.quantity", "use power, voltage, current, power_factor or flow"),
        };
        // Power and flow fill the same field of a reading.
        let field = if quantity == InstrumentQuantity::Flow { InstrumentQuantity::Power } else { quantity };
        if !seen.insert(field) {
            return fault("instrument.quantity", format!("`{}` fills a field that is taken", table.quantity));
        }
        let place = "instrument.address";
        let register = register(place, table.name, table.address, table.r#type, table.scale, table.invalid)?;
        instruments.push(Instrument { quantity, register });
    }
    Ok(instruments)
}

fn extras(tables: Vec<ExtraTable>) -> Result<Vec<Extra>, Fault> {
    let extra = |table: ExtraTable| {
        let ExtraTable { name, address, r#type, scale, unit, invalid } = table;
        Ok(Extra { register: register("extra.address", name, address, r#type, scale, invalid)?, unit })
    };
    tables.into_iter().map(extra).collect()
}

fn relay(table: RelayTable) -> Result<Relay, Fault> {
    let write_function = match (table.write_function, table.interrupt.len()) {
        (6, 1) => WriteFunction::Single,
        (6, _) => return fault("relay.interrupt", "function 6 writes exactly one word"),
        (16, 1..=4) => WriteFunction::Multiple,
        (16, _) => return fault("relay.interrupt", "1 to 4 words"),
        _ => return fault("relay.write_function", "use 6 (one word) or 16"),
    };
    if table.supply.len() != table.interrupt.len() || table.supply == table.interrupt {
        return fault("relay.supply", "as many words as `interrupt`, and not the same");
    }
    fits("relay.address", table.address, u16::try_from(table.interrupt.len()).unwrap_or(u16::MAX))?;
    let ReadBackTable { address, words, mask, interrupted, supplying } = table.read_back;
    if !(1..=2).contains(&words) || (words == 1 && mask > 0xFFFF) {
        return fault("relay.read_back.words", "1 or 2 words, and a mask within them");
    }
    if interrupted & !mask != 0 || supplying & !mask != 0 || interrupted == supplying {
        return fault("relay.read_back", "`interrupted` and `supplying` differ, and lie within the mask");
    }
    fits("relay.read_back.address", address, words)?;
    let read_back = ReadBack { address, words, mask, interrupted, supplying };
    let relay =
        Relay { address: table.address, write_function, interrupt: table.interrupt, supply: table.supply, read_back };
    let same_place = relay.address == address && relay.interrupt.len() == usize::from(words);
    let told = [Contact::Open, Contact::Closed].map(|target| read_back.contact(relay.words(target)));
    if same_place && told != [Some(Contact::Open), Some(Contact::Closed)] {
        return fault("relay.read_back", "the written words do not read back as what they command");
    }
    Ok(relay)
}

fn plan(billing: &Billing, instruments: &[Instrument], relay: Option<&Relay>, limits: Limits) -> ReadPlan {
    let span = |register: &Register| Span { start: register.address, words: register.kind.words() };
    let read_back = relay.map(|relay| Span { start: relay.read_back.address, words: relay.read_back.words });
    let others: Vec<Span> = instruments.iter().map(|instrument| span(&instrument.register)).chain(read_back).collect();
    ReadPlan::new(span(&billing.register), &others, limits)
}

fn vector(table: VectorTable) -> Result<Vector, Fault> {
    let meaning = match (table.value, table.refused, table.contact.as_deref()) {
        (Some(value), None, None) => Meaning::Value(value),
        (None, Some(reason), None) => Meaning::Refused(reason),
        (None, None, Some("interrupted")) => Meaning::Contact(Some(Contact::Open)),
        (None, None, Some("supplying")) => Meaning::Contact(Some(Contact::Closed)),
        (None, None, Some("unknown")) => Meaning::Contact(None),
        _ => return fault("vector", "give one of value, refused, contact = interrupted | supplying | unknown"),
    };
    Ok(Vector { register: table.register, words: table.words, meaning })
}

/// A profile whose own examples do not decode is not trusted with money.
fn check_vectors(profile: &Profile) -> Result<(), Fault> {
    if !profile.vectors.iter().any(|vector| vector.register == profile.billing.register.name) {
        return fault("vector", "give at least one for the billing register");
    }
    for vector in &profile.vectors {
        let key = format!("vector of {} {:04X?}", vector.register, vector.words);
        let decoded = meaning(profile, vector).ok_or((key.clone(), "no such register".to_owned()))?;
        let agrees = match (&decoded, &vector.meaning) {
            (Meaning::Refused(is), Meaning::Refused(stated)) => is.starts_with(stated.as_str()),
            (is, stated) => is == stated,
        };
        if !agrees {
            return fault(&key, format!("decodes to {decoded:?}, stated is {:?}", vector.meaning));
        }
    }
    Ok(())
}

/// What the profile makes of a vector's words; nothing where it has no such register.
fn meaning(profile: &Profile, vector: &Vector) -> Option<Meaning> {
    if vector.register == "contact" {
        return profile.relay.as_ref().map(|relay| Meaning::Contact(relay.read_back.contact(&vector.words)));
    }
    let decoded = if vector.register == profile.billing.register.name {
        profile.count(&vector.words)
    } else {
        let instruments = profile.instruments.iter().map(|instrument| &instrument.register);
        let extras = profile.extras.iter().map(|extra| &extra.register);
        let register = instruments.chain(extras).find(|register| register.name == vector.register)?;
        profile.value(register, &vector.words)
    };
    Some(decoded.map_or_else(|refusal| Meaning::Refused(refusal.to_string()), Meaning::Value))
}
