//! Configuration, and devices that are stranger than the simulated ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::field::{MeterPort, PortsRefused};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ports_are_replaced_while_running() {
    let meters = (1..=3).map(|id| simulated(id, "acrel-adf400l", LoadShape::Constant(0))).collect();
    let mut rig = Rig::new(meters, 1, POLL, FAST).await;
    rig.until("all three", |rig| (1..=3).all(|id| !rig.of(id).is_empty())).await;
    let mut ports = rig.simulated.ports(POLL);
    ports.remove(2);
    ports[1].poll_every = POLL / 2;
    rig.field.configure(ports).await.unwrap();
    assert_eq!(rig.field.meters().len(), 2);
    let gone = rig.simulated.requests(MeterId(3));
    rig.fresh(1, 5).await;
    rig.fresh(2, 5).await;
    assert_eq!(rig.simulated.requests(MeterId(3)), gone);
    rig.field.configure(rig.simulated.ports(POLL)).await.unwrap();
    rig.fresh(3, 2).await;
}

#[tokio::test]
async fn ports_that_make_no_sense_are_refused_and_change_nothing() {
    let (out, _events) = mpsc::channel(1);
    let port = |id: u32, unit| MeterPort {
        meter: MeterId(id),
        serial: format!("S{id}"),
        profile: find("acrel-adf400l").unwrap(),
        host: "127.0.0.1".to_owned(),
        port: 1,
        unit,
        poll_every: POLL,
    };
    let start = |ports| Field::start(ports, Clock::manual(START), out.clone(), settings());
    assert!(matches!(start(vec![port(1, 1), port(1, 2)]).unwrap_err(), PortsRefused::MeterTwice { .. }));
    assert!(matches!(start(vec![port(1, 1), port(2, 1)]).unwrap_err(), PortsRefused::SameRegister { .. }));
    let never = MeterPort { poll_every: 0, ..port(1, 1) };
    assert!(matches!(start(vec![never]).unwrap_err(), PortsRefused::PollInterval { .. }));
}

/// How a device of raw bytes is odd. Every word it shows is 0x0001.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Odd {
    /// It closes the connection after each answer.
    Closes,
    /// It answers one word, whatever was asked.
    Short,
    /// It knows no address from 0x0800 upwards, where the relay is.
    NoRelay,
}

/// Starts such a device; the counter shows how often it was connected to.
async fn stranger(odd: Odd) -> (MeterPort, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut request = [0_u8; 12];
                while stream.read_exact(&mut request).await.is_ok() {
                    let words = if odd == Odd::Short { 1 } else { request[11] };
                    let mut answer = request[..8].to_vec();
                    if odd == Odd::NoRelay && request[8] >= 0x08 {
                        answer[5] = 3;
                        answer[7] |= 0x80;
                        answer.push(2);
                    } else {
                        answer[5] = 3 + 2 * words;
                        answer.push(2 * words);
                        (0..words).for_each(|_| answer.extend([0, 1]));
                    }
                    if stream.write_all(&answer).await.is_err() || odd == Odd::Closes {
                        break;
                    }
                }
            });
        }
    });
    let port = MeterPort {
        meter: MeterId(1),
        serial: "S1".to_owned(),
        profile: find("acrel-adf400l").unwrap(),
        host: "127.0.0.1".to_owned(),
        port,
        unit: 1,
        poll_every: POLL,
    };
    (port, connections)
}

async fn rig(port: MeterPort) -> Rig {
    let clock = Clock::running(START, FAST);
    let simulated = SimulatedField::start(vec![], clock.clone()).await.unwrap();
    let (out, events) = mpsc::channel(64);
    let field = Field::start(vec![port], clock.clone(), out, settings()).unwrap();
    Rig { clock, simulated, field, events, seen: Vec::new(), readings: Vec::new() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_closed_by_the_other_side_costs_no_reading() {
    let (port, connections) = stranger(Odd::Closes).await;
    let mut rig = rig(port).await;
    let readings = rig.fresh(1, 5).await;
    assert!(counts(&readings).iter().all(|count| *count == 0x0001_0001));
    assert!(readings.iter().all(|reading| reading.instruments.contact == Some(Contact::Closed)));
    assert!(connections.load(Ordering::SeqCst) >= 10, "two requests a poll, a connection each");
    assert_eq!(rig.saw(1, Seen::Silent), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_of_another_length_is_no_reading() {
    let (port, _) = stranger(Odd::Short).await;
    let mut rig = rig(port).await;
    rig.until_seen(1, Seen::Silent).await;
    assert!(rig.of(1).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_refuses_its_relay_register_is_still_billed() {
    let (port, _) = stranger(Odd::NoRelay).await;
    let mut rig = rig(port).await;
    let readings = rig.fresh(1, 5).await;
    assert!(readings.iter().all(|reading| reading.instruments.contact.is_none()));
    assert!(readings.iter().all(|reading| reading.instruments.voltage_mv == Some(100)));
    assert!(rig.field.counters().exceptions >= 1);
    assert_eq!(rig.order(1), [], "nothing was seen of a relay, and it is not silent");
}
