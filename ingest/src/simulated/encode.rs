//! Values to raw words, from the profile's tables but by another road than the decoder's: bytes and, for float
//! registers, floats.

use std::collections::BTreeMap;

use kernel::reading::Contact;

use super::Lie;
use super::meter::Device;
use crate::profile::{InstrumentQuantity, Kind, Profile, Ratio, Register, WordOrder};

/// What every known address shows now, where the billing register shows `count`.
pub(super) fn image(device: &Device, count: i64) -> BTreeMap<u16, u16> {
    let (power, contact, lie) = (device.power(), device.contact(), device.lie());
    let profile = device.profile();
    let mut image = BTreeMap::new();
    let billing = &profile.billing;
    let shown = match billing.register.kind {
        Kind::F32 => float(count, billing.resolution, billing.register.scale),
        kind => integer(count, kind),
    };
    put(&mut image, profile, &billing.register, shown);
    for instrument in &profile.instruments {
        let value = instrument_value(instrument.quantity, power);
        put(&mut image, profile, &instrument.register, raw(&instrument.register, value));
    }
    for extra in &profile.extras {
        put(&mut image, profile, &extra.register, raw(&extra.register, extra_value(&extra.register.name, &extra.unit)));
    }
    if let Some(relay) = &profile.relay {
        let back = relay.read_back;
        let bits = if contact == Contact::Open { back.interrupted } else { back.supplying };
        let [a, b, c, d] = bits.to_be_bytes();
        let words = [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])];
        let words = &words[2 - usize::from(back.words.clamp(1, 2))..];
        (back.address..).zip(words).for_each(|(address, word)| {
            image.insert(address, *word);
        });
    }
    if let Some(Lie::Fill(word)) = lie {
        image.values_mut().for_each(|shown| *shown = word);
    }
    image
}

/// Mains of 230 V; the current follows from the power.
fn instrument_value(quantity: InstrumentQuantity, power: i64) -> i64 {
    match quantity {
        InstrumentQuantity::Power | InstrumentQuantity::Flow => power,
        InstrumentQuantity::Voltage => 230_000,
        InstrumentQuantity::Current => power / 230,
        InstrumentQuantity::PowerFactor => 1_000,
    }
}

fn extra_value(name: &str, unit: &str) -> i64 {
    match unit {
        "Hz" => 50_000,
        "V" if name.starts_with("voltage") => 230_000,
        "" if name.ends_with("_ratio") => 1_000,
        _ => 0,
    }
}

/// A value in 1/1000 unit as the register's raw bits.
fn raw(register: &Register, milli: i64) -> u32 {
    match register.kind {
        Kind::F32 => float(milli, Ratio { numerator: 1, denominator: 1 }, register.scale),
        kind => integer(nearest(milli * register.scale.denominator, register.scale.numerator), kind),
    }
}

fn nearest(a: i64, b: i64) -> i64 {
    (2 * a + b).div_euclid(2 * b)
}

/// An integer as raw bits, held within its type. Only the billing count may use all 32 bits of an unsigned type.
fn integer(value: i64, kind: Kind) -> u32 {
    let clamped = |low: i64, high: i64| value.clamp(low, high);
    let bits = match kind {
        Kind::U16 => clamped(0, i64::from(u16::MAX)),
        Kind::I16 => clamped(i64::from(i16::MIN), i64::from(i16::MAX)) & 0xFFFF,
        Kind::U32 | Kind::F32 => clamped(0, i64::from(u32::MAX)),
        Kind::I32 => clamped(i64::from(i32::MIN), i64::from(i32::MAX)) & 0xFFFF_FFFF,
    };
    u32::try_from(bits).unwrap_or(u32::MAX)
}

/// `value x worth / scale` as the nearest float's bits.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a float register's own rounding is what is simulated; counts stay below 2^53"
)]
fn float(value: i64, worth: Ratio, scale: Ratio) -> u32 {
    let over = value as f64 * worth.numerator as f64 * scale.denominator as f64;
    let under = worth.denominator as f64 * scale.numerator as f64;
    ((over / under) as f32).to_bits()
}

/// Puts a register's words where the device shows them.
fn put(image: &mut BTreeMap<u16, u16>, profile: &Profile, register: &Register, bits: u32) {
    let [a, b, c, d] = bits.to_be_bytes();
    let words: &[[u8; 2]] = match (register.kind.words(), profile.word_order) {
        (1, _) => &[[c, d]],
        (_, WordOrder::Big) => &[[a, b], [c, d]],
        (_, WordOrder::LittleWord) => &[[c, d], [a, b]],
        (_, WordOrder::LittleEndian) => &[[d, c], [b, a]],
    };
    (register.address..).zip(words).for_each(|(address, word)| {
        image.insert(address, u16::from_be_bytes(*word));
    });
}
