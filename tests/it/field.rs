//! Real Modbus TCP on loopback, in real time.

use crate::harness::{Folder, eventually};
use crate::site::SITE;

#[test]
fn simulated_meters_are_polled_each_second_and_their_readings_are_seen_at_once() {
    let folder = Folder::with_site(SITE);
    let server = folder.serve();
    let count = |meter: &str| -> u32 {
        folder.sql(&format!("select count(*) from readings where meter = '{meter}'")).parse().unwrap()
    };
    for meter in ["L1", "L2"] {
        eventually("four readings", || (count(meter) >= 4).then_some(()));
    }
    let verdicts =
        folder.sql("select distinct verdict from readings where verdict not in ('opening', 'accepted', 'pending')");
    assert_eq!(verdicts, "", "all are taken");
    // A second apply leaves the polled meters on their simulated buses.
    folder.write("site.toml", &SITE.replace("poll = \"1s\"", "poll = \"2s\""));
    folder.ok(&["apply", "site.toml"]);
    let before = count("L1");
    eventually("readings after the change", || (count("L1") > before + 1).then_some(()));
    let instruments = folder
        .sql("select count(*) from readings where meter = 'L1' and power_w is not null and voltage_v is not null");
    assert_ne!(instruments, "0");
    assert!(server.terminate().status.success());
    folder.ok(&["audit"]);
}

#[test]
fn probe_shows_every_register_of_a_device_decoded() {
    let folder = Folder::with_site(SITE);
    let server = folder.serve();
    let said = server.said.clone();
    let bus = said.lines().find(|line| line.contains("L1 (acrel-adf400l)")).unwrap();
    let address = bus.split_whitespace().nth(2).unwrap().trim_end_matches(':');
    let unit = bus.split(" L1 ").next().unwrap().split_whitespace().last().unwrap();
    let shown = folder.ok(&["probe", "acrel-adf400l", address, unit]);
    for register in ["active_energy", "voltage", "current", "active_power", "frequency", "0x0306"] {
        assert!(shown.contains(register), "{register} in {shown}");
    }
    folder.refused(&["probe", "acrel-adf400l", address, "99"], &["99"]);
    assert!(server.terminate().status.success());
    folder.refused(&["probe", "acrel-adf400l", address, unit], &[address]);
    folder.refused(&["probe", "acrel-adf400l", "meter", "1"], &["192.168.1.20:502"]);
    folder.refused(&["probe", "no-such-meter", address, "1"], &["no-such-meter", "acrel-adf400l"]);
}
