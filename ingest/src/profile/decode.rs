//! Raw words to integers, exactly: a float is taken apart into its mantissa and exponent and never computed with.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use thiserror::Error;

/// A positive rational, as `10` or `10/3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Ratio {
    /// Above zero, at most 2^30.
    pub numerator: i64,
    /// Above zero, at most 2^30.
    pub denominator: i64,
}

/// What keeps every product of a 32-bit mantissa, a scale and a resolution within 128 bits.
pub(super) const RATIO_MAX: i64 = 1 << 30;

impl FromStr for Ratio {
    type Err = String;

    fn from_str(text: &str) -> Result<Ratio, String> {
        let (numerator, denominator) = text.split_once('/').unwrap_or((text, "1"));
        let parse = |part: &str| part.trim().parse().ok().filter(|n| (1..=RATIO_MAX).contains(n));
        match (parse(numerator), parse(denominator)) {
            (Some(numerator), Some(denominator)) => Ok(Ratio { numerator, denominator }),
            _ => Err(format!("`{text}` is no positive rational: write \"10\" or \"10/3\"")),
        }
    }
}

impl TryFrom<String> for Ratio {
    type Error = String;

    fn try_from(text: String) -> Result<Ratio, String> {
        text.parse()
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.denominator {
            1 => write!(f, "{}", self.numerator),
            denominator => write!(f, "{}/{denominator}", self.numerator),
        }
    }
}

/// The type of a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// One word, unsigned.
    U16,
    /// One word, two's complement.
    I16,
    /// Two words, unsigned.
    U32,
    /// Two words, two's complement.
    I32,
    /// Two words, IEEE 754.
    F32,
}

impl Kind {
    /// How many words it takes.
    #[must_use]
    pub const fn words(self) -> u16 {
        match self {
            Kind::U16 | Kind::I16 => 1,
            Kind::U32 | Kind::I32 | Kind::F32 => 2,
        }
    }
}

/// The order in which the bytes ABCD (A most significant) of a 32-bit value are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WordOrder {
    /// ABCD: the high word first.
    Big,
    /// CDAB: the low word first.
    LittleWord,
    /// DCBA: the low word first, and the low byte first in each word. Single words stay as they are.
    LittleEndian,
}

/// Why raw words are not a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The device's way to say that it has no value.
    #[error("invalid code {0:#x}")]
    InvalidCode(u32),
    /// A float that is not a number.
    #[error("not a number")]
    NotANumber,
    /// A float that is infinite.
    #[error("infinite")]
    Infinite,
    /// A cumulative register below zero.
    #[error("below zero")]
    Negative,
    /// More than the register's modulus, or than 64 bits hold.
    #[error("too large")]
    TooLarge,
    /// Another number of words than the type has.
    #[error("wrong number of words")]
    WrongLength,
}

/// The words of a value as bits; single words ignore the order.
fn bits(words: &[u16], kind: Kind, order: WordOrder) -> Result<u32, Refusal> {
    match (words, kind.words(), order) {
        ([word], 1, _) => Ok(u32::from(*word)),
        ([high, low], 2, WordOrder::Big) => Ok(join(*high, *low)),
        ([low, high], 2, WordOrder::LittleWord) => Ok(join(*high, *low)),
        ([low, high], 2, WordOrder::LittleEndian) => Ok(join(high.swap_bytes(), low.swap_bytes())),
        _ => Err(Refusal::WrongLength),
    }
}

fn join(high: u16, low: u16) -> u32 {
    u32::from(high) << 16 | u32::from(low)
}

/// The raw number of an integer register. A float has none: see [`float_counts`].
pub fn integer(words: &[u16], kind: Kind, order: WordOrder, invalid: &[u32]) -> Result<i64, Refusal> {
    let bits = bits(words, kind, order)?;
    if invalid.contains(&bits) {
        return Err(Refusal::InvalidCode(bits));
    }
    match kind {
        Kind::U16 | Kind::U32 => Ok(i64::from(bits)),
        Kind::I16 => Ok(i64::from(u16::try_from(bits).map_err(|_| Refusal::WrongLength)?.cast_signed())),
        Kind::I32 => Ok(i64::from(bits.cast_signed())),
        Kind::F32 => Err(Refusal::WrongLength),
    }
}

/// A value in 1/1000 of its unit: raw x scale, half to even.
pub fn milli(words: &[u16], kind: Kind, order: WordOrder, invalid: &[u32], scale: Ratio) -> Result<i64, Refusal> {
    if kind == Kind::F32 {
        if let Some(code) = bits(words, kind, order).ok().filter(|bits| invalid.contains(bits)) {
            return Err(Refusal::InvalidCode(code));
        }
        return float_counts(words, order, scale, Ratio { numerator: 1, denominator: 1 });
    }
    let raw = i128::from(integer(words, kind, order, invalid)?);
    let rounded = half_even(raw * i128::from(scale.numerator), i128::from(scale.denominator));
    i64::try_from(rounded).map_err(|_| Refusal::TooLarge)
}

/// A float in counts: value x scale / resolution, exactly, then half to even.
pub fn float_counts(words: &[u16], order: WordOrder, scale: Ratio, resolution: Ratio) -> Result<i64, Refusal> {
    let bits = bits(words, Kind::F32, order)?;
    let fraction = i128::from(bits & 0x007F_FFFF);
    // value = mantissa x 2^shift
    let (mantissa, shift) = match bits >> 23 & 0xFF {
        0xFF if fraction == 0 => return Err(Refusal::Infinite),
        0xFF => return Err(Refusal::NotANumber),
        0 => (fraction, -149),
        exponent => (fraction | 0x0080_0000, exponent.cast_signed() - 150),
    };
    // Below 2^24 x 2^30 x 2^30 = 2^84, and at most 2^60.
    let over = mantissa * i128::from(scale.numerator) * i128::from(resolution.denominator);
    let under = i128::from(scale.denominator) * i128::from(resolution.numerator);
    let power = 1_i128.checked_shl(shift.unsigned_abs()).filter(|power| *power > 0);
    let (over, under) = if shift >= 0 {
        let product = power.and_then(|power| over.checked_mul(power));
        (product.ok_or(Refusal::TooLarge)?, under)
    } else {
        match power.and_then(|power| under.checked_mul(power)).filter(|divisor| *divisor < 1 << 126) {
            Some(divisor) => (over, divisor),
            // 2^84 / 2^126 is far below a half.
            None => return Ok(0),
        }
    };
    let signed = if bits >> 31 == 1 { -over } else { over };
    i64::try_from(half_even(signed, under)).map_err(|_| Refusal::TooLarge)
}

/// `a / b`, rounded half to even; `b` above zero.
#[must_use]
pub fn half_even(a: i128, b: i128) -> i128 {
    let (quotient, rest) = (a.div_euclid(b), a.rem_euclid(b));
    let up = match (rest * 2).cmp(&b) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => quotient % 2 != 0,
        std::cmp::Ordering::Greater => true,
    };
    quotient + i128::from(up)
}

/// The count from which a float moves in steps above one count.
#[must_use]
pub fn float_exact_below(scale: Ratio, resolution: Ratio) -> i64 {
    // Between 2^k and 2^(k+1) the step is 2^(k-23); counts per 1.0 are over / under.
    let over = i128::from(scale.numerator) * i128::from(resolution.denominator);
    let under = i128::from(scale.denominator) * i128::from(resolution.numerator);
    let coarse = |k: &u32| over << *k > under << 23;
    let k = (0..47).find(coarse).unwrap_or(47);
    i64::try_from(((over << k) + under - 1) / under).unwrap_or(i64::MAX)
}
