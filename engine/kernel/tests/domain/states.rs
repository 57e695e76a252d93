//! Stored states come back as they were, and bytes that are none are refused.

use kernel::id::{AccountId, EpochId, MeterId};
use kernel::judge::{Exception, Mark, RegisterState};
use kernel::money::Quantity;
use kernel::point::{EpochState, PointState, StateFault};
use kernel::pool::Share;
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
        run: run.into(),
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
    let share = (any::<u32>(), any::<i32>(), any::<i64>()).prop_map(|(account, period, used)| Share {
        account: AccountId(account),
        counter: TierCounter { period, used: Quantity(used) },
    });
    let shares = prop::collection::vec(share, 0..3);
    (moment(), meter, prop::collection::vec(epoch, 0..4), counter, any::<i32>(), shares).prop_map(
        |(watermark, last_meter, epochs, counter, fine_day, shares)| PointState {
            watermark,
            last_meter,
            epochs: epochs.into(),
            counter,
            fine_day,
            shares: shares.into(),
        },
    )
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
    fn garbage_never_panics(mut bytes in prop::collection::vec(any::<u8>(), 0..200), format in 0_u8..5) {
        if let (Some(first), 1..=3) = (bytes.first_mut(), format) {
            *first = format;
        }
        let newer = bytes.first().is_some_and(|first| *first > 3);
        match PointState::decode(&bytes) {
            // A state of format 1 has no day of fine intervals, five bytes at most, and one of format 2 no shares.
            Ok(state) => prop_assert!(!newer && state.encode().len() <= bytes.len() + 6),
            Err(fault) => prop_assert_eq!(matches!(fault, StateFault::Newer(_)), newer),
        }
    }
}

/// The stored forms. When this fails, the form has changed: raise `PointState::FORMAT`, and keep these.
#[test]
fn the_stored_forms_stay_readable() {
    let register = RegisterState {
        baseline: Some(Mark { time: Moment(1_000_000), count: 1_234 }),
        run: vec![Mark { time: Moment(2_000_000), count: 0 }].into(),
        exception: Some(Exception::Reset),
        usage_until: None,
    };
    let state = PointState {
        watermark: Some(Moment(2_000_000)),
        last_meter: Some(MeterId(7)),
        epochs: [EpochState { epoch: EpochId(3), last_seen: Moment(2_000_000), register }].into(),
        counter: TierCounter { period: 24_322, used: Quantity(-5) },
        fine_day: 20_000,
        shares: Vec::new().into(),
    };
    let common = [
        1, 128, 146, 244, 1, 1, 7, 1, 3, 128, 146, 244, 1, 1, 128, 137, 122, 164, 19, 1, 128, 146, 244, 1, 0, 1, 0, 0,
        132, 252, 2, 9,
    ];
    let format_2 = [&[2][..], &common, &[192, 184, 2]].concat();
    assert_eq!(PointState::decode(&format_2), Ok(state.clone()), "{:?}", state.encode());
    // Format 2 knew no pools.
    assert_eq!(state.encode(), [&[3][..], &format_2[1..], &[0]].concat());
    let share = Share { account: AccountId(9), counter: TierCounter { period: 24_322, used: Quantity(700) } };
    let format_3 = [&[3][..], &format_2[1..], &[1, 9, 132, 252, 2, 248, 10]].concat();
    assert_eq!(PointState::decode(&format_3), Ok(PointState { shares: vec![share].into(), ..state.clone() }));
    // Format 1 knew no fine intervals: there may have been some up to its last reading, on the first day of 1970.
    let format_1 = [&[1][..], &common].concat();
    assert_eq!(PointState::decode(&format_1), Ok(PointState { fine_day: 0, ..state.clone() }));
    let later = PointState { watermark: Some(Moment(20_000 * 86_400_000_000 + 5)), ..state };
    let mut format_1 = later.encode();
    format_1[0] = 1;
    format_1.truncate(format_1.len() - 4);
    assert_eq!(PointState::decode(&format_1), Ok(later));
}
