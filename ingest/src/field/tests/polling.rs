use super::*;
use crate::field::probe::probe;
use crate::profile::names;
use crate::simulated::Lie;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn polled_readings_show_the_simulated_registers() {
    // 3 kW (3 m3/h) for an hour, then nothing: from then on every reading must show the final count.
    let end = START.plus(HOURLY);
    let load = || LoadShape::Steps(vec![(START, 3_000_000), (end, 0)]);
    let meters: Vec<_> = (1..).zip(names()).map(|(id, name)| simulated(id, name, load())).collect();
    let profiles: Vec<_> = meters.iter().map(|meter| (meter.meter.0, meter.profile.clone())).collect();
    let mut rig = Rig::new(meters, 3, POLL, 3_600).await;
    rig.until("readings after the load", |rig| {
        profiles.iter().all(|(id, _)| rig.of(*id).iter().any(|reading| reading.time.since(end) > 5 * MINUTE))
    })
    .await;
    for (id, profile) in profiles {
        let readings = rig.of(id);
        let shown = counts(&readings);
        assert!(shown.is_sorted() && shown[0] < shown[shown.len() - 1], "{}", profile.name);
        assert_eq!(Some(shown[shown.len() - 1]), rig.simulated.register(MeterId(id)), "{}", profile.name);
        let first = readings[0].instruments;
        assert_eq!(first.contact, profile.relay.as_ref().map(|_| Contact::Closed), "{}", profile.name);
        assert_eq!(first.power_mw, (!profile.instruments.is_empty()).then_some(3_000_000), "{}", profile.name);
        assert!(readings.is_sorted_by_key(|reading| reading.time), "{}: stamps never go back", profile.name);
    }
    assert_eq!(rig.field.counters().refused_decodes, 0);
    rig.field.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_round_of_polls_is_one_batch() {
    let meters = (1..=20).map(|id| simulated(id, "acrel-adf400l", LoadShape::Constant(0))).collect();
    let mut rig = Rig::new(meters, 20, HOURLY, 1).await;
    let Some(FieldEvent::Readings(batch)) = rig.events.recv().await else { panic!("readings come first") };
    assert!(batch.len() >= 2, "rows wait for each other: {}", batch.len());
    assert!(batch.received_at >= *batch.time.last().unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_device_delays_nobody_on_its_bus() {
    let meters = (1..=4).map(|id| simulated(id, "acrel-adf400l", LoadShape::Constant(0))).collect();
    let quick = Settings { timeout: Duration::from_millis(100), ..settings() };
    let mut rig = Rig::with(meters, 4, SECOND / 10, 1, quick).await;
    rig.fresh(1, 1).await;
    rig.simulated.set_lie(MeterId(1), Some(Lie::Drop));
    rig.until_seen(1, Seen::Silent).await;
    let (dead, healthy) = (rig.simulated.requests(MeterId(1)), rig.of(2).len());
    rig.until("40 more polls of each healthy meter", |rig| (2..=4).all(|id| rig.of(id).len() >= healthy + 40)).await;
    let tried = rig.simulated.requests(MeterId(1)).zip(dead).map(|(now, then)| now - then);
    assert!(tried.is_some_and(|tried| tried <= 8), "4 s at a tenth of the bus's time: {tried:?}");
    assert_eq!(rig.saw(1, Seen::Silent), 1, "reported once");
    // It comes back by itself.
    rig.simulated.set_lie(MeterId(1), None);
    rig.fresh(1, 2).await;
    assert!((2..=4).all(|id| rig.saw(id, Seen::Silent) == 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_answer_is_never_taken_for_the_next_one() {
    let meters = (1..=2).map(|id| simulated(id, "acrel-adf400l", LoadShape::Constant(0))).collect();
    let quick = Settings { timeout: Duration::from_millis(100), ..settings() };
    let mut rig = Rig::with(meters, 2, SECOND / 20, 1, quick).await;
    rig.fresh(1, 1).await;
    rig.simulated.set_lie(MeterId(1), Some(Lie::Delay(Duration::from_millis(150))));
    let seen_before = rig.of(1).len();
    rig.until_seen(1, Seen::Silent).await;
    rig.fresh(2, 20).await;
    assert!(rig.of(1).len() <= seen_before + 2, "late answers are no readings");
    rig.simulated.set_lie(MeterId(1), None);
    rig.fresh(1, 1).await;
    assert!(counts(&rig.of(1)).iter().all(|count| *count == 1_000));
    assert!(counts(&rig.of(2)).iter().all(|count| *count == 2_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bus_that_was_down_is_polled_again_when_it_is_back() {
    let clock = Clock::running(START, 100);
    let meters = || vec![simulated(1, "acrel-adf400l", LoadShape::Constant(0))];
    let first = SimulatedField::start(on_buses(meters(), 1), clock.clone()).await.unwrap();
    let ports = first.ports(SECOND);
    let port = ports[0].port;
    first.shutdown().await;
    let (held, _) = closed_port(port);
    let (out, events) = mpsc::channel(64);
    let quick = Settings { timeout: Duration::from_millis(100), ..settings() };
    let field = Field::start(ports, clock.clone(), out, quick).unwrap();
    let empty = SimulatedField::start(vec![], clock.clone()).await.unwrap();
    let mut rig = Rig { clock, simulated: empty, field, events, seen: vec![], readings: vec![] };
    rig.until_seen(1, Seen::Silent).await;
    assert!(rig.field.counters().connect_failures >= 3);
    let mut buses = on_buses(meters(), 1);
    buses[0].port = port;
    drop(held);
    rig.simulated = SimulatedField::start(buses, rig.clock.clone()).await.unwrap();
    rig.fresh(1, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_shows_every_register_and_says_why_it_cannot() {
    let wait = Duration::from_millis(300);
    for name in names() {
        let rig = Rig::new(vec![simulated(1, name, LoadShape::Constant(1_234_000))], 1, HOURLY, 1).await;
        let (address, unit) = rig.simulated.address(MeterId(1)).unwrap();
        let profile = find(name).unwrap();
        let rows = probe(&profile, "127.0.0.1", address.port(), unit, wait).await.unwrap();
        let relays = usize::from(profile.relay.is_some());
        assert_eq!(rows.len(), 1 + profile.instruments.len() + relays + profile.extras.len(), "{name}");
        assert!(rows.iter().all(|row| row.decoded != "-" && !row.raw.is_empty()), "{name}: {rows:?}");
        // 1,000 counts of the profile's resolution.
        let units = profile.facts().resolution_numerator / profile.facts().resolution_denominator;
        assert_eq!(rows[0].decoded, format!("{units} {}", profile.utility.unit()), "{name}: 1000 counts");
        let error = probe(&profile, "127.0.0.1", address.port(), 99, wait).await.unwrap_err().to_string();
        assert!(error.contains("unit 99") && error.contains("check the unit number"), "{error}");
    }
    let (_held, nobody) = closed_port(0);
    let profile = find("acrel-adf400l").unwrap();
    let error = probe(&profile, "127.0.0.1", nobody, 1, wait).await.unwrap_err().to_string();
    assert!(error.contains(&format!("127.0.0.1:{nobody}")) && error.contains("firewall"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_shows_what_is_no_value_with_its_reason() {
    let rig = Rig::new(vec![simulated(1, "acrel-adf400l", LoadShape::Constant(0))], 1, HOURLY, 1).await;
    rig.simulated.set_lie(MeterId(1), Some(Lie::Fill(0xFFFF)));
    let (address, unit) = rig.simulated.address(MeterId(1)).unwrap();
    let profile = find("acrel-adf400l").unwrap();
    let rows = probe(&profile, "127.0.0.1", address.port(), unit, settings().timeout).await.unwrap();
    assert_eq!((rows[0].decoded.as_str(), rows[0].note.as_str()), ("-", "invalid code 0xffffffff"));
    rig.simulated.set_lie(MeterId(1), Some(Lie::Exception(2)));
    let rows = probe(&profile, "127.0.0.1", address.port(), unit, settings().timeout).await.unwrap();
    assert!(rows.iter().all(|row| row.note.contains("illegal address")), "{rows:?}");
}
