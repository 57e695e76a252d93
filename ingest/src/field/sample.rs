//! The words of one poll as one reading.

use kernel::reading::Instruments;

use crate::profile::{InstrumentQuantity, Profile, Refusal, Register, Snapshot};

/// What a poll says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    /// The billing register, or why it is no reading.
    pub(super) count: Result<i64, Refusal>,
    /// The instruments, each absent where it was not read or is no value.
    pub(super) instruments: Instruments,
    /// Instruments whose words were no value.
    pub(super) refused: Vec<(String, Refusal)>,
}

/// Decodes what was read.
pub(super) fn sample(profile: &Profile, snapshot: &Snapshot) -> Sample {
    let words = |register: &Register| snapshot.words(register.address, register.kind.words());
    let billing = words(&profile.billing.register).ok_or(Refusal::WrongLength);
    let mut sample = Sample {
        count: billing.and_then(|words| profile.count(words)),
        instruments: Instruments::default(),
        refused: Vec::new(),
    };
    for instrument in &profile.instruments {
        let Some(words) = words(&instrument.register) else { continue };
        let value = match profile.value(&instrument.register, words) {
            Ok(value) => Some(value),
            Err(refusal) => {
                sample.refused.push((instrument.register.name.clone(), refusal));
                continue;
            }
        };
        match instrument.quantity {
            InstrumentQuantity::Power | InstrumentQuantity::Flow => sample.instruments.power_mw = value,
            InstrumentQuantity::Voltage => sample.instruments.voltage_mv = value,
            InstrumentQuantity::Current => sample.instruments.current_ma = value,
            InstrumentQuantity::PowerFactor => sample.instruments.power_factor_milli = value,
        }
    }
    if let Some(relay) = &profile.relay {
        let back = relay.read_back;
        sample.instruments.contact = snapshot.words(back.address, back.words).and_then(|words| back.contact(words));
    }
    sample
}
