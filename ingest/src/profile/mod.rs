//! What a model of meter says where: registers, word order, scale, relay words. One TOML file per model in
//! `ingest/profiles`, embedded, parsed and validated once.
//!
//! **Promises.** A profile that parses is consistent: its own test vectors decode as it states, its floats are exact to
//! the count it names, its relay words differ. A raw value becomes an integer once, by exact rational arithmetic,
//! rounded half to even; what is not a number, or is one of the profile's invalid codes, is refused with its reason.
//!
//! The file, key by key (unknown keys are refused):
//! - `name`, `vendor`, `model`, `utility`, `sources` (where the facts come from), `caveat`.
//! - `read_function` 3 or 4; `word_order` of 32-bit values: `big` (ABCD), `little-word` (CDAB), `little-endian` (DCBA).
//! - `primary`: the register already includes CT and PT. `max_rate`: 1/1000 unit per hour. `jitter_counts`.
//! - `max_gap_words` (4) and `max_request_words` (125): what one request may bridge and hold.
//! - `[billing]`: `name`, `address`, `type` (`u16 i16 u32 i32 f32`), `resolution` (1/1000 units a count, `"10"` or
//!   `"10/3"`), `unit` that these are of (`kWh` or `m3`; `MWh`; of heat also `GJ`), `modulus`, `invalid` (raw codes), `signed = true` where it
//!   counts down what flows back (then `i32`, `i16` or `f32`, without a modulus); for `f32` also `scale` (1/1000 units per 1.0) and `float_exact_below`,
//!   the count from which the float moves in steps above one count.
//! - `[[instrument]]`: `quantity` (`power voltage current power_factor flow`) and its register; `scale` is in 1/1000 of
//!   W, V, A, 1 or litre per hour for a raw 1. `[[extra]]`: registers that only a probe reads, with their `unit`.
//! - `[relay]`: `address`, `write_function` 6 or 16, the words that `interrupt` and `supply`, and how its state is read
//!   back. "Open" is not used: an open valve lets water through, an open relay lets nothing through.
//! - `[[vector]]`: `register`, `words`, and the `value`, the `refused` reason or the `contact` they decode to.
//!
//! Modules in reading order: `decode` (words to integers), `plan` (what is read together), `parse` (the file).

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use kernel::epoch::ProfileFacts;
use kernel::id::Utility;
use kernel::reading::Contact;
use thiserror::Error;

pub mod decode;
mod parse;
pub mod plan;
#[cfg(test)]
mod tests;

pub use decode::{Kind, Ratio, Refusal, WordOrder};
pub use parse::ProfileError;
pub use plan::{ReadPlan, Snapshot, Span};

/// A model's register map, validated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Its name in site files, such as `acrel-adf400l`.
    pub name: String,
    /// Who makes it.
    pub vendor: String,
    /// Which models it fits.
    pub model: String,
    /// What it measures.
    pub utility: Utility,
    /// Where its facts come from.
    pub sources: Vec<String>,
    /// What a field engineer should know before trusting it.
    pub caveat: String,
    /// Which function reads its registers.
    pub read_function: ReadFunction,
    /// The order of the words, and bytes, of 32-bit values.
    pub word_order: WordOrder,
    /// The billing register already includes CT and PT.
    pub primary: bool,
    /// The most that can flow, in 1/1000 unit per hour, where the site file says nothing else.
    pub max_rate: i64,
    /// A decrease of up to this many counts is jitter.
    pub jitter_counts: i64,
    /// The register that is billed.
    pub billing: Billing,
    /// Instruments read in every poll; each quantity at most once.
    pub instruments: Vec<Instrument>,
    /// The relay or valve, where it has one that can be written and read back.
    pub relay: Option<Relay>,
    /// Registers that only a probe reads.
    pub extras: Vec<Extra>,
    /// Known raw words and what they mean.
    pub vectors: Vec<Vector>,
    /// What a poll reads, in which requests.
    pub plan: ReadPlan,
}

/// The Modbus function that reads a model's registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFunction {
    /// Function 3.
    Holding,
    /// Function 4.
    Input,
}

/// The Modbus function that writes a model's relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteFunction {
    /// Function 6, one word.
    Single,
    /// Function 16.
    Multiple,
}

/// Where a value is and how its words are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Register {
    /// Its name in the vendor's words.
    pub name: String,
    /// Its address on the wire, from 0.
    pub address: u16,
    /// Its type.
    pub kind: Kind,
    /// What a raw 1 is worth, in 1/1000 of the unit.
    pub scale: Ratio,
    /// Raw codes that mean "no value".
    pub invalid: Vec<u32>,
}

/// The register that is billed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Billing {
    /// Where and how.
    pub register: Register,
    /// One count is this many 1/1000 units.
    pub resolution: Ratio,
    /// The register shows 0 again after this many counts.
    pub modulus: Option<i64>,
    /// It counts down what flows back, below zero too.
    pub signed: bool,
    /// For a float: from this count on it moves in steps above one count.
    pub float_exact_below: Option<i64>,
}

/// What an instrument register measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InstrumentQuantity {
    /// Active power, in mW.
    Power,
    /// Voltage, in mV.
    Voltage,
    /// Current, in mA.
    Current,
    /// Power factor, in 1/1000.
    PowerFactor,
    /// Flow of water or gas, in ml per hour.
    Flow,
}

impl InstrumentQuantity {
    /// The unit that the value is 1/1000 of.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            InstrumentQuantity::Power => "W",
            InstrumentQuantity::Voltage => "V",
            InstrumentQuantity::Current => "A",
            InstrumentQuantity::PowerFactor => "",
            InstrumentQuantity::Flow => "l/h",
        }
    }
}

/// An instrument register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instrument {
    /// What it measures.
    pub quantity: InstrumentQuantity,
    /// Where and how.
    pub register: Register,
}

/// A register that only a probe reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extra {
    /// Where and how.
    pub register: Register,
    /// Its unit.
    pub unit: String,
}

/// A relay or valve. Only these words, at this address, are ever written to a meter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    /// Where it is written.
    pub address: u16,
    /// With which function.
    pub write_function: WriteFunction,
    /// The words that interrupt supply.
    pub interrupt: Vec<u16>,
    /// The words that let supply flow.
    pub supply: Vec<u16>,
    /// How its state is read back.
    pub read_back: ReadBack,
}

impl Relay {
    /// The words that bring it to `target`.
    #[must_use]
    pub fn words(&self, target: Contact) -> &[u16] {
        match target {
            Contact::Open => &self.interrupt,
            Contact::Closed => &self.supply,
        }
    }
}

/// How a relay's state is read back: words, most significant first, compared under a mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadBack {
    /// Where it is read.
    pub address: u16,
    /// 1 or 2.
    pub words: u16,
    /// The bits that tell.
    pub mask: u32,
    /// Under the mask: supply is interrupted.
    pub interrupted: u32,
    /// Under the mask: supply flows.
    pub supplying: u32,
}

impl ReadBack {
    /// What the words say; nothing where they match neither state.
    #[must_use]
    pub fn contact(&self, words: &[u16]) -> Option<Contact> {
        let bits = match words {
            [word] => u32::from(*word),
            [high, low] => u32::from(*high) << 16 | u32::from(*low),
            _ => return None,
        } & self.mask;
        match bits {
            _ if bits == self.interrupted => Some(Contact::Open),
            _ if bits == self.supplying => Some(Contact::Closed),
            _ => None,
        }
    }
}

/// Known raw words and what they mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vector {
    /// The register's name, or `contact`.
    pub register: String,
    /// As they come over the wire.
    pub words: Vec<u16>,
    /// What they mean.
    pub meaning: Meaning,
}

/// What a vector's words decode to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Counts of the billing register, or 1/1000 units of another.
    Value(i64),
    /// The reason of the refusal.
    Refused(String),
    /// The relay's state.
    Contact(Option<Contact>),
}

impl Profile {
    /// Reads a profile from TOML; `origin` is the file's name for messages.
    pub fn parse(text: &str, origin: &str) -> Result<Profile, ProfileError> {
        parse::parse(text, origin)
    }

    /// What the rest of the system must know of it.
    #[must_use]
    pub fn facts(&self) -> ProfileFacts {
        ProfileFacts {
            name: self.name.clone(),
            utility: self.utility,
            resolution_numerator: self.billing.resolution.numerator,
            resolution_denominator: self.billing.resolution.denominator,
            modulus: self.billing.modulus,
            jitter_counts: self.jitter_counts,
            max_rate: self.max_rate,
            primary: self.primary,
            has_relay: self.relay.is_some(),
            signed: self.billing.signed,
        }
    }

    /// The billing register's words as counts.
    pub fn count(&self, words: &[u16]) -> Result<i64, Refusal> {
        let register = &self.billing.register;
        let count = match register.kind {
            Kind::F32 => decode::float_counts(words, self.word_order, register.scale, self.billing.resolution)?,
            kind => decode::integer(words, kind, self.word_order, &register.invalid)?,
        };
        match self.billing.modulus {
            _ if count < 0 && !self.billing.signed => Err(Refusal::Negative),
            Some(modulus) if count >= modulus => Err(Refusal::TooLarge),
            _ => Ok(count),
        }
    }

    /// A register's words in 1/1000 of its unit, half to even.
    pub fn value(&self, register: &Register, words: &[u16]) -> Result<i64, Refusal> {
        decode::milli(words, register.kind, self.word_order, &register.invalid, register.scale)
    }
}

/// No profile has this name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown meter profile `{name}`: known are {known}; name one of these, or add its file to ingest/profiles")]
pub struct UnknownProfile {
    /// What was asked for.
    pub name: String,
    /// What there is.
    pub known: String,
}

/// The embedded profile of that name.
pub fn find(name: &str) -> Result<Arc<Profile>, UnknownProfile> {
    let unknown = || UnknownProfile { name: name.to_owned(), known: names().collect::<Vec<_>>().join(", ") };
    EMBEDDED.get(name).cloned().ok_or_else(unknown)
}

/// The embedded profiles' names, sorted.
pub fn names() -> impl Iterator<Item = &'static str> {
    EMBEDDED.keys().map(String::as_str)
}

static EMBEDDED: LazyLock<BTreeMap<String, Arc<Profile>>> = LazyLock::new(|| {
    FILES
        .iter()
        .map(|(file, text)| Profile::parse(text, file).expect("a test parses every embedded profile"))
        .map(|profile| (profile.name.clone(), Arc::new(profile)))
        .collect()
});

/// Every embedded file: its name and its text.
const FILES: [(&str, &str); 7] = [
    ("acrel-adf400l.toml", include_str!("../../profiles/acrel-adf400l.toml")),
    ("acrel-ddsy1352.toml", include_str!("../../profiles/acrel-ddsy1352.toml")),
    ("acrel-dtsy1352.toml", include_str!("../../profiles/acrel-dtsy1352.toml")),
    ("chint-dtsu666.toml", include_str!("../../profiles/chint-dtsu666.toml")),
    ("eastron-sdm630.toml", include_str!("../../profiles/eastron-sdm630.toml")),
    ("pulse-gas.toml", include_str!("../../profiles/pulse-gas.toml")),
    ("xintai-valve-water.toml", include_str!("../../profiles/xintai-valve-water.toml")),
];
