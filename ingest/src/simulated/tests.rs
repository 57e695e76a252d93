use std::sync::Arc;

use kernel::reading::Contact;
use kernel::time::{DAY, HOUR, MINUTE, Moment, SECOND};

use super::meter::Device;
use super::*;
use crate::profile::{Snapshot, Span, find, names};

const START: Moment = Moment(1_780_000_000_000_000);

fn device(profile: &str, load: LoadShape, start_count: i64) -> Device {
    Device::new(find(profile).unwrap(), load, start_count, Contact::Closed, START)
}

#[test]
fn a_register_is_the_exact_integral_however_often_it_is_looked_at() {
    let shapes = [
        (LoadShape::Constant(1_234_567), 1_234_567 * 86_400 / 36_000_000),
        (LoadShape::Steps(vec![(START.plus(HOUR), 1_000_000), (START.plus(3 * HOUR), 0)]), 200),
        (LoadShape::Steps(vec![]), 0),
        (LoadShape::Constant(-5), 0),
    ];
    for (shape, expected) in shapes {
        let (mut once, mut often) = (device("acrel-adf400l", shape.clone(), 7), device("acrel-adf400l", shape, 7));
        once.advance(START.plus(DAY));
        (0..86_400).for_each(|second| often.advance(START.plus(second * SECOND + 13)));
        often.advance(START.plus(DAY));
        assert_eq!((once.count(), often.count()), (7 + expected, 7 + expected));
    }
}

#[test]
fn a_seeded_day_is_the_same_every_time_and_another_with_another_seed() {
    let day = |seed| {
        let mut device = device("acrel-adf400l", LoadShape::daily(seed, 100_000, 3_000_000, 8 * HOUR), 0);
        (1..=96)
            .map(|quarter| {
                device.advance(START.plus(quarter * 15 * MINUTE));
                (device.count(), device.power())
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(day(1), day(1));
    assert_ne!(day(1), day(2));
    let (total, _) = day(1)[95];
    assert!((500..=4_500).contains(&total), "5 to 45 kWh a day: {total}");
}

#[test]
fn a_replay_shows_its_own_counts_and_the_power_between_them() {
    let series = vec![(START, 100), (START.plus(MINUTE), 103), (START.plus(2 * MINUTE), 103)];
    let mut device = device("acrel-adf400l", LoadShape::Replay(series), 0);
    let cases = [(0, 100, 1_800_000), (MINUTE - 1, 100, 1_800_000), (MINUTE, 103, 0), (HOUR, 103, 0)];
    for (later, count, power) in cases {
        device.advance(START.plus(later));
        assert_eq!((device.count(), device.power()), (count, power), "{later}");
    }
}

#[test]
fn an_open_relay_stops_power_and_register_unless_it_is_welded() {
    let mut device = device("acrel-adf400l", LoadShape::Constant(36_000_000), 0);
    device.advance(START.plus(HOUR));
    assert_eq!((device.count(), device.power()), (3_600, 36_000_000));
    device.obey(Contact::Open);
    device.advance(START.plus(2 * HOUR));
    assert_eq!((device.count(), device.power(), device.contact()), (3_600, 0, Contact::Open));
    device.set_lie(Some(Lie::Welded));
    device.advance(START.plus(3 * HOUR));
    assert_eq!((device.count(), device.power(), device.contact()), (7_200, 36_000_000, Contact::Open));
    device.set_lie(Some(Lie::DeafRelay));
    device.obey(Contact::Closed);
    assert_eq!(device.contact(), Contact::Open);
    device.set_lie(Some(Lie::Stuck));
    device.obey(Contact::Closed);
    device.advance(START.plus(4 * HOUR));
    assert_eq!((device.count(), device.power()), (7_200, 36_000_000));
}

#[test]
fn a_register_wraps_at_its_modulus() {
    let mut device = device("acrel-adf400l", LoadShape::Constant(36_000_000), (1 << 32) - 10);
    device.advance(START.plus(HOUR));
    assert_eq!(device.count(), 3_590);
}

#[test]
fn what_the_encoder_shows_the_decoder_reads() {
    for name in names() {
        let profile = find(name).unwrap();
        let counts = [0, 1, 99, 12_345, 1_000_003, 13_107_199];
        for count in counts {
            let load = LoadShape::Constant(1_234_000);
            let device = device(name, load, count);
            let image = encode::image(&device, device.count());
            let words = |register: &crate::profile::Register| -> Vec<u16> {
                (register.address..).take(usize::from(register.kind.words())).map(|at| image[&at]).collect()
            };
            assert_eq!(profile.count(&words(&profile.billing.register)), Ok(count), "{name}");
            for instrument in &profile.instruments {
                let value = profile.value(&instrument.register, &words(&instrument.register)).unwrap();
                let truth = match instrument.quantity {
                    crate::profile::InstrumentQuantity::Voltage => 230_000,
                    crate::profile::InstrumentQuantity::Current => 1_234_000 / 230,
                    crate::profile::InstrumentQuantity::PowerFactor => 1_000,
                    _ => 1_234_000,
                };
                let step = (instrument.register.scale.numerator / 2).max(1);
                assert!((value - truth).abs() <= step, "{name} {}: {value}, not {truth}", instrument.register.name);
            }
            if let Some(relay) = &profile.relay {
                let back = relay.read_back;
                let mut snapshot = Snapshot::default();
                let shown = (back.address..).take(usize::from(back.words)).map(|at| image[&at]).collect();
                snapshot.insert(Span { start: back.address, words: back.words }, shown);
                let words = snapshot.words(back.address, back.words).unwrap();
                assert_eq!(back.contact(words), Some(Contact::Closed), "{name}");
            }
        }
    }
}

fn meter(id: u32, unit: u8) -> SimulatedMeter {
    SimulatedMeter {
        meter: MeterId(id),
        serial: format!("S{id}"),
        profile: find("acrel-adf400l").unwrap(),
        unit,
        load: LoadShape::Constant(0),
        start_count: 0,
        contact: Contact::Closed,
    }
}

#[tokio::test]
async fn a_busy_port_is_refused_with_the_port_and_what_to_do() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port();
    let buses = vec![SimulatedBus { port, meters: vec![meter(1, 1)] }];
    let error = SimulatedField::start(buses, Clock::manual(START)).await.unwrap_err().to_string();
    assert!(error.contains(&format!("127.0.0.1:{port}")) && error.contains("port 0"), "{error}");
}

#[tokio::test]
async fn units_and_meters_are_there_once() {
    let clock = Clock::manual(START);
    for (buses, expected) in [
        (vec![vec![meter(1, 1), meter(2, 1)]], "unit 1"),
        (vec![vec![meter(1, 248)]], "unit 248"),
        (vec![vec![meter(1, 1), meter(1, 2)]], "twice"),
        (vec![vec![meter(1, 1)], vec![meter(1, 1)]], "twice"),
    ] {
        let buses = buses.into_iter().map(|meters| SimulatedBus { port: 0, meters }).collect();
        let error = SimulatedField::start(buses, clock.clone()).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let spread = on_buses((0..100).map(|id| meter(id, 0)).collect(), 36);
    assert_eq!(spread.iter().map(|bus| bus.meters.len()).collect::<Vec<_>>(), [36, 36, 28]);
    let field = SimulatedField::start(spread, clock).await.unwrap();
    assert_eq!(field.ports(MINUTE).len(), 100);
    assert_eq!(field.address(MeterId(99)).map(|(_, unit)| unit), Some(28));
    assert_eq!(Arc::clone(&field.ports(MINUTE)[0].profile).name, "acrel-adf400l");
}
