//! When a meter is read, without a bus.

use super::*;
use crate::field::MeterPort;
use crate::field::meter::{BackOff, Metered, Why, least_pause};

fn metered(poll_every: i64, phase: i64) -> Metered {
    let port = MeterPort {
        meter: MeterId(1),
        serial: "S1".to_owned(),
        profile: find("acrel-adf400l").unwrap(),
        host: "127.0.0.1".to_owned(),
        port: 502,
        unit: 1,
        poll_every,
    };
    Metered::new(port, START, phase)
}

#[test]
fn polls_keep_their_beat_and_missed_beats_are_not_made_up() {
    let mut meter = metered(10 * SECOND, 3 * SECOND);
    let settings = Settings::default();
    // (seconds at which it is tried, when the next poll is due)
    for (tried, next) in [(0, 3), (3, 13), (14, 23), (51, 53), (53, 63)] {
        let now = START.plus(tried * SECOND);
        assert_eq!(meter.due(now), Some(Why::Poll), "at {tried} s");
        meter.tried(now, true, &settings);
        assert_eq!(meter.next(now), START.plus(next * SECOND), "after {tried} s");
        assert_eq!(meter.due(START.plus(next * SECOND - 1)), None);
    }
}

#[test]
fn a_pause_doubles_after_the_first_failure_up_to_the_longest_and_not_below_the_least() {
    let pauses = |every, max, least| {
        let mut back_off = BackOff::default();
        (0..6)
            .map(|_| {
                back_off.fail(START, every, max, least);
                back_off.until().map_or(0, |until| until.since(START))
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(pauses(10, 100, 1), [0, 20, 40, 80, 100, 100]);
    assert_eq!(pauses(10, 100, 50), [0, 50, 50, 80, 100, 100]);
    assert_eq!(pauses(1_000, 100, 1), [0, 1_000, 1_000, 1_000, 1_000, 1_000], "never below its own interval");
}

#[test]
fn silent_devices_share_a_tenth_of_their_bus_in_real_time() {
    let half_a_second = Duration::from_millis(500);
    assert_eq!(least_pause(half_a_second, 1, 1), 5 * SECOND);
    assert_eq!(least_pause(half_a_second, 4, 1), 20 * SECOND);
    assert_eq!(least_pause(half_a_second, 1, 3_600), 3_600 * 5 * SECOND);
}

#[test]
fn a_watched_meter_is_read_closely_and_a_silent_one_is_not_pestered() {
    let settings = Settings::default();
    let mut meter = metered(24 * HOURLY, 24 * HOURLY);
    meter.tried(START, true, &settings);
    meter.watch(START, &settings);
    let mut now = START;
    let mut samples = 0;
    while meter.next(now) < START.plus(HOURLY) {
        now = meter.next(now);
        assert_eq!(meter.due(now), Some(Why::Verify));
        meter.tried(now, true, &settings);
        samples += 1;
    }
    assert_eq!(samples, 25, "at once, then every 5 s of 120 s");
    meter.watch(now, &settings);
    meter.tried(now, false, &settings);
    (0..2).for_each(|_| meter.failed(now, 60 * SECOND, &settings));
    assert!(meter.next(now) >= now.plus(60 * SECOND));
    meter.ask();
    assert_eq!(meter.due(now), Some(Why::Verify), "unless somebody asks");
}
