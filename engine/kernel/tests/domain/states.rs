//! Stored states come back as they were, and bytes that are none are refused.

use kernel::id::{EpochId, MeterId};
use kernel::judge::{Exception, Mark, RegisterState};
use kernel::money::Quantity;
use kernel::point::{EpochState, PointState, StateFault};
use kernel::rate::TierCounter;
use kernel::time::Moment;
use proptest::prelude::*;

fn marks() -> impl Strategy<Value = Mark> {
    (any::<i64>(), any::<i64>()).prop_map(|(time, count)| Mark { time: Moment(time), count })
}

fn states() -> impl Strategy<Value = PointState> {
    let exception = prop_oneof![Just(None), Just(Some(Exception::Reset)), Just(Some(Exception::Jump))];
    let moment = || prop::option::of(any::<i64>().prop_map(Moment));
    let register = (prop::option::of(marks()), prop::collection::vec(marks(), 0..16), exception, moment());
    let register = register.prop_map(|(baseline, run, exception, usage_until)| RegisterState {
        baseline,
        run,
        exception,
        usage_until,
    });
    let epoch = (any::<u32>(), any::<i64>(), register).prop_map(|(id, seen, register)| EpochState {
        epoch: EpochId(id),
        last_seen: Moment(seen),
        register,
    });
    let meter = prop::option::of(any::<u32>().prop_map(MeterId));
    let counter = (any::<i32>(), any::<i64>()).prop_map(|(period, used)| TierCounter { period, used: Quantity(used) });
    (moment(), meter, prop::collection::vec(epoch, 0..4), counter)
        .prop_map(|(watermark, last_meter, epochs, counter)| PointState { watermark, last_meter, epochs, counter })
}

proptest! {
    #[test]
    fn a_state_comes_back_as_it_was(state in states()) {
        prop_assert_eq!(PointState::decode(&state.encode()), Ok(state));
    }

    #[test]
    fn a_state_cut_short_or_with_more_behind_it_is_corrupt(state in states(), cut in any::<prop::sample::Index>()) {
        let bytes = state.encode();
        let short = &bytes[..cut.index(bytes.len())];
        prop_assert_eq!(PointState::decode(short), Err(StateFault::Corrupt));
        prop_assert_eq!(PointState::decode(&[&bytes[..], &[0]].concat()), Err(StateFault::Corrupt));
    }

    #[test]
    fn garbage_never_panics(mut bytes in prop::collection::vec(any::<u8>(), 0..200), format in any::<bool>()) {
        if let (Some(first), true) = (bytes.first_mut(), format) {
            *first = 1;
        }
        let newer = bytes.first().is_some_and(|first| *first > 1);
        match PointState::decode(&bytes) {
            Ok(state) => prop_assert!(!newer && state.encode().len() <= bytes.len()),
            Err(fault) => prop_assert_eq!(matches!(fault, StateFault::Newer(_)), newer),
        }
    }
}

/// The stored form of format 1. When this fails, the form has changed: raise `PointState::FORMAT`, and keep this one.
#[test]
fn the_stored_form_of_format_1_stays_readable() {
    let register = RegisterState {
        baseline: Some(Mark { time: Moment(1_000_000), count: 1_234 }),
        run: vec![Mark { time: Moment(2_000_000), count: 0 }],
        exception: Some(Exception::Reset),
        usage_until: None,
    };
    let state = PointState {
        watermark: Some(Moment(2_000_000)),
        last_meter: Some(MeterId(7)),
        epochs: vec![EpochState { epoch: EpochId(3), last_seen: Moment(2_000_000), register }],
        counter: TierCounter { period: 24_322, used: Quantity(-5) },
    };
    let stored = [
        1, 1, 128, 146, 244, 1, 1, 7, 1, 3, 128, 146, 244, 1, 1, 128, 137, 122, 164, 19, 1, 128, 146, 244, 1, 0, 1, 0,
        0, 132, 252, 2, 9,
    ];
    assert_eq!(PointState::decode(&stored), Ok(state.clone()), "{:?}", state.encode());
    assert_eq!(state.encode(), stored);
}
