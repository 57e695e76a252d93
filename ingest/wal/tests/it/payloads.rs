//! Frames' bytes: there and back, and garbage.

use kernel::batch::{Batch, Payload};
use kernel::id::{CommandId, MeterId};
use kernel::reading::{Contact, Observation, Seen};
use kernel::time::Moment;
use proptest::collection::vec;
use proptest::prelude::*;
use wal::payload::{decode, encode};

fn optional_column<T: Clone + std::fmt::Debug + 'static>(
    rows: usize,
    values: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = Vec<T>> {
    prop_oneof![Just(Vec::new()).boxed(), vec(values, rows).boxed()]
}

fn batch() -> impl Strategy<Value = Payload> {
    (0..200_usize).prop_flat_map(|rows| {
        let must = (any::<i64>(), vec(any::<u32>(), rows), vec(any::<i64>(), rows), vec(any::<i64>(), rows));
        let may = std::array::from_fn::<_, 5, _>(|_| optional_column(rows, any::<i64>()));
        (must, may, optional_column(rows, 0..=2_u8)).prop_map(|((received_at, meter, time, value), may, contact)| {
            let [start, power_mw, voltage_mv, current_ma, power_factor_milli] = may;
            let instruments = (power_mw, voltage_mv, current_ma, power_factor_milli);
            let (power_mw, voltage_mv, current_ma, power_factor_milli) = instruments;
            Payload::Readings(Batch {
                received_at,
                meter,
                time,
                start,
                value,
                power_mw,
                voltage_mv,
                current_ma,
                power_factor_milli,
                contact,
            })
        })
    })
}

fn seen() -> impl Strategy<Value = Seen> {
    let command = any::<u64>().prop_map(CommandId);
    prop_oneof![
        command.clone().prop_map(Seen::Written),
        (command.clone(), any::<u8>()).prop_map(|(command, code)| Seen::Refused(command, code)),
        command.clone().prop_map(Seen::TimedOut),
        command.prop_map(Seen::NotSent),
        prop_oneof![Just(Contact::Open), Just(Contact::Closed)].prop_map(Seen::Contact),
        Just(Seen::Silent),
    ]
}

fn observations() -> impl Strategy<Value = Payload> {
    let one = (any::<u32>(), any::<i64>(), seen());
    let one = one.prop_map(|(meter, time, seen)| Observation { meter: MeterId(meter), time: Moment(time), seen });
    vec(one, 0..50).prop_map(Payload::Observations)
}

fn bytes_of(payload: &Payload) -> (u8, Vec<u8>) {
    let mut bytes = Vec::new();
    let kind = encode(payload, &mut bytes).unwrap();
    (kind, bytes)
}

proptest! {
    #[test]
    fn payloads_come_back_as_they_went_in(payload in prop_oneof![batch(), observations()]) {
        let (kind, bytes) = bytes_of(&payload);
        prop_assert_eq!(decode(kind, &bytes), Ok(payload));
    }

    #[test]
    fn a_shortened_or_lengthened_payload_is_refused(payload in prop_oneof![batch(), observations()], cut in 0..99_usize) {
        let (kind, mut bytes) = bytes_of(&payload);
        let shorter = &bytes[..bytes.len() - 1 - cut % bytes.len()];
        prop_assert!(decode(kind, shorter).is_err());
        bytes.push(0);
        prop_assert!(decode(kind, &bytes).is_err());
    }

    #[test]
    fn garbage_never_panics(kind in any::<u8>(), bytes in vec(any::<u8>(), 0..300)) {
        for kind in [kind, 1, 2] {
            if let Ok(Payload::Readings(batch)) = decode(kind, &bytes) {
                prop_assert!(batch.is_well_formed());
            }
        }
    }

    #[test]
    fn a_payload_with_changed_bytes_never_panics(
        payload in prop_oneof![batch(), observations()],
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let (kind, mut bytes) = bytes_of(&payload);
        for (place, value) in changes {
            let place = place.index(bytes.len().min(24));
            bytes[place] = value;
        }
        if let Ok(Payload::Readings(batch)) = decode(kind, &bytes) {
            prop_assert!(batch.is_well_formed());
        }
    }
}

#[test]
fn a_batch_that_claims_more_rows_than_it_has_is_refused_before_memory_is_taken() {
    let mut claims = vec![0; 13];
    claims[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(decode(1, &claims).is_err());
    assert!(decode(2, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]).is_err());
    assert!(decode(3, &[]).is_err());
}
