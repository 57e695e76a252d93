//! `cargo bench --bench latency`: 1,000 simulated meters over real Modbus TCP, each polled every second, while balances
//! are asked for again and again. Target: p99 under 250 ms from a register's response to a balance that rests on it.
//!
//! **Method.** `serve --simulate` polls and bills; each `balance` is a process of its own that asks through the control
//! socket. `as_of` of an account with one meter is the time of the register's response. When an answer shows a newer
//! `as_of` than the answer before, the account's latency is the time at which that process had ended, minus `as_of`: the
//! start of the process, the answer for all 1,000 accounts and the wait for the next question are in it.

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use kernel::time::{Moment, SECOND};
use wal::clock::Clock;

const METERS: usize = 1_000;
const PER_BUS: usize = 40;
/// Until every meter is polled at its pace.
const WARM_UP: i64 = 5 * SECOND;
const MEASURED: i64 = 30 * SECOND;
/// What p99 must stay below.
const TARGET: i64 = 250_000;

fn main() {
    let folder = tempfile::tempdir().expect("a folder for the data");
    let (data, file) = (folder.path().join("data"), folder.path().join("site.toml"));
    std::fs::write(&file, site()).expect("the folder takes files");
    support::run(&data, &["apply", &file.to_string_lossy()]);
    let mut serve = support::command(&data, &["serve", "--simulate"]);
    let mut server = serve.stdout(Stdio::null()).spawn().expect("the binary starts");
    let latencies = measure(&data);
    server.kill().expect("the server is ours");
    server.wait().expect("the server is ours");
    let late: std::collections::BTreeSet<i64> =
        latencies.iter().filter(|(latency, _)| *latency > TARGET).map(|(_, second)| *second).collect();
    let mut latencies: Vec<i64> = latencies.into_iter().map(|(latency, _)| latency).collect();
    latencies.sort_unstable();
    assert!(latencies.len() > METERS, "only {} new balances were seen", latencies.len());
    let at = |part: usize| latencies[(latencies.len() - 1) * part / 100] / 1_000;
    println!(
        "latency: {METERS} meters each second, {} new balances in {} s: median {} ms, p99 {} ms, slowest {} ms",
        latencies.len(),
        MEASURED / SECOND,
        at(50),
        at(99),
        at(100)
    );
    println!("seconds in which one took longer than {} ms: {late:?}", TARGET / 1_000);
}

fn measure(data: &Path) -> Vec<(i64, i64)> {
    while !data.join("control.sock").exists() {
        support::pause(Duration::from_millis(50));
    }
    let clock = Clock::live();
    let (began, mut seen, mut latencies) = (clock.now(), BTreeMap::<String, Moment>::new(), Vec::new());
    loop {
        let text = support::run(data, &["balance", "--format", "csv"]);
        let now = clock.now();
        for line in text.lines().skip(1) {
            let cells: Vec<&str> = line.split(',').collect();
            let Some(as_of) = support::moment(cells[5]) else { continue };
            let before = seen.insert(cells[0].to_owned(), as_of);
            if before.is_some_and(|before| before < as_of) && now.since(began) > WARM_UP {
                latencies.push((now.since(as_of), now.since(began) / SECOND));
            }
        }
        if now.since(began) > WARM_UP + MEASURED {
            return latencies;
        }
    }
}

/// An account, a service point and a meter a thousand times.
fn site() -> String {
    let mut text = "[[site]]\nname = \"bench\"\ntime_zone = \"Asia/Shanghai\"\ncurrency = \"CNY\"\nfrom = 2026-01-01\n\
                    [[tariff]]\nname = \"power\"\nutility = \"electricity\"\n[[tariff.version]]\n\
                    valid_from = 2026-01-01\nprice = \"0.80\"\n"
        .to_owned();
    for meter in 0..METERS {
        let (port, unit) = (16_000 + meter / PER_BUS, meter % PER_BUS + 1);
        let _ = write!(
            text,
            "[[account]]\nname = \"A{meter:04}\"\nholder = \"tenant\"\nkind = \"postpaid\"\n\
             [[service_point]]\nname = \"P{meter:04}\"\nutility = \"electricity\"\naccount = \"A{meter:04}\"\n\
             tariff = \"power\"\n[[meter]]\nserial = \"M{meter:04}\"\nprofile = \"acrel-adf400l\"\n\
             service_point = \"P{meter:04}\"\nbus = \"127.0.0.1:{port}\"\nunit = {unit}\npoll = \"1s\"\n"
        );
    }
    text
}
