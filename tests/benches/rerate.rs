//! `cargo bench --bench rerate`: 1,000 meters x a year x 15 minutes (35 million readings) from the lake, by five bands and
//! three tiers. Target on two cores: under 10 s and 2 GiB.
//!
//! `METERLEDGER_METERS` and `METERLEDGER_DAYS` make it smaller. The folder is filled by one process and rated by another,
//! whose peak memory is watched.

mod estate;
mod support;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use engine::billing::point::Setup;
use engine::engine::{Engine, Options};
use engine::rating::{Pair, Rated, Span, by_account, rate_span};
use futures::StreamExt as _;
use kernel::batch::{Batch, Payload};
use kernel::id::MeterId;
use kernel::money::{Amount, Price};
use kernel::rate::Versions;
use kernel::reading::{Instruments, Reading, Value};
use kernel::tariff::TariffVersion;
use kernel::time::{DAY, MINUTE};
use wal::clock::Clock;

/// Names the folder to the process that is measured.
const FOLDER: &str = "METERLEDGER_RERATE_FOLDER";
const THREADS: usize = 2;
const ROUNDS: usize = 3;
/// Days of readings in one submission.
const DAYS_AT_ONCE: i64 = 5;

fn number(name: &str, usual: i64) -> i64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    if let Some(folder) = std::env::var_os(FOLDER) {
        runtime.block_on(measure(Path::new(&folder)));
        return;
    }
    let (meters, days) = (number("METERLEDGER_METERS", 1_000), number("METERLEDGER_DAYS", 365));
    let folder = tempfile::tempdir().expect("a folder for the data");
    let (rows, micros) = support::timed(&Clock::live(), || {
        runtime.block_on(fill(folder.path(), u32::try_from(meters).expect("a count"), days))
    });
    println!("filled: {rows} readings of {meters} meters in {} s", micros / 1_000_000);
    let mut command = Command::new(std::env::current_exe().expect("this program has a file"));
    command.env(FOLDER, folder.path()).stdin(Stdio::null());
    let peak = support::watch(command.spawn().expect("this program starts"));
    println!("peak {} MiB", peak / 1_024);
}

/// A book with its readings filed in the lake; gives their number.
async fn fill(folder: &Path, meters: u32, days: i64) -> u64 {
    estate::book(folder, meters).await.0.close().await;
    let clock = Clock::manual(estate::START.plus((days + 10) * DAY));
    let engine = Engine::open(folder, Options::new(clock)).await.expect("the folder opens");
    let mut rows = 0;
    for first in (0..days).step_by(usize::try_from(DAYS_AT_ONCE).expect("a count")) {
        let end = (first + DAYS_AT_ONCE).min(days);
        let mut batch = Batch { received_at: estate::START.plus(end * DAY).0, ..Batch::default() };
        for id in 1..=meters {
            for step in first * 96..end * 96 {
                // Some 600 kWh a month, more by day than by night, so that bands and tiers are all reached.
                let by_day = step / 96 * 56 + (step % 96 - 24).clamp(0, 56);
                let count = i64::from(id) * 1_000 + step * 20 + by_day * i64::from(id % 7 * 5);
                let time = estate::START.plus(step * 15 * MINUTE);
                let value = Value::Register(count);
                batch.push(&Reading { meter: MeterId(id), time, value, instruments: Instruments::default() });
            }
        }
        rows += batch.len() as u64;
        let seq = engine.appender().append(Payload::Readings(batch)).await.expect("the log takes a frame");
        engine.handle().settled(seq).await.expect("billing runs").expect("billing settles");
    }
    engine.handle().file().await.expect("billing runs").expect("the lake takes files");
    engine.close().await.expect("the engine closes");
    rows
}

/// The same terms with every price a tenth dearer.
fn dearer(setup: &Setup) -> Arc<Setup> {
    let mut other = setup.clone();
    for contract in &mut other.terms.contracts {
        let dearer = contract.versions.iter().map(|version| {
            let mut version = TariffVersion::clone(version);
            version.prices.iter_mut().flatten().flatten().for_each(|price| *price = Price(price.0 + price.0 / 10));
            Arc::new(version)
        });
        contract.versions = Versions::of(contract.versions.tariff, dearer.collect());
    }
    Arc::new(other)
}

async fn measure(folder: &Path) {
    let clock = Clock::live();
    let engine = Engine::open(folder, Options::new(clock.clone())).await.expect("the folder opens");
    let handle = engine.handle();
    let one = |setup: Arc<Setup>| Pair::of(setup);
    let two = |setup: Arc<Setup>| Pair::between(Arc::clone(&setup), dearer(&setup));
    for (name, pair) in [("re-rate", &one as &dyn Fn(Arc<Setup>) -> Pair), ("old against new prices", &two)] {
        for _ in 0..ROUNDS {
            let pairs: Vec<Pair> = handle.registry().setups().cloned().map(pair).collect();
            let began = clock.now();
            let mut stream =
                rate_span(&handle, pairs, Span::ALL, clock.now(), THREADS).await.expect("the lake can be read");
            let (mut readings, mut lines, mut amount) = (0, 0, Amount::ZERO);
            while let Some(rated) = stream.next().await {
                let rated: Rated = rated.expect("the lake can be read");
                readings += rated.readings;
                let difference = rated.difference();
                lines += difference.len();
                amount += by_account([&difference]).into_values().map(|sum| sum.amount).sum();
            }
            let micros = clock.now().since(began).max(1);
            println!(
                "{name}: {readings} readings in {}.{:03} s, {} readings/s; {lines} lines, {amount:.2}",
                micros / 1_000_000,
                micros / 1_000 % 1_000,
                i64::try_from(readings).unwrap_or(i64::MAX) * 1_000_000 / micros,
            );
        }
    }
    engine.close().await.expect("the engine closes");
}
