//! The main job, shown: a mall is applied, 26 months of its history are imported, and then its meters are polled over
//! Modbus through some accelerated hours in which tenants run low, are warned, are cut off, pay and are back.
//!
//! Everything is real but the devices: the same import, log, book, lake, control and reports as `serve`; the meters are
//! simulated Modbus TCP servers on loopback ([`ingest::simulated`]).

mod actors;
mod history;
mod load;
mod scene;
mod summary;
mod timeline;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use arrow::array::AsArray as _;
use arrow::datatypes::Int64Type;
use engine::site_file::Attached;
use ingest::simulated::SimulatedField;
use kernel::time::{HOUR, Moment};
use tokio::sync::mpsc;
use wal::clock::Clock;

use crate::call::{Asked, Call, Event, Failure, ImportArguments, failed};
use crate::node::Node;
use crate::perform::perform;

/// The mall.
const SITE: &str = include_str!("../../data/mall.toml");
/// 2024-09-01T00:00 in China.
const HISTORY_FROM: Moment = Moment(1_725_120_000_000_000);
/// 2026-11-17T06:00 in China, a Tuesday.
const NOW: Moment = Moment(1_794_866_400_000_000);

/// Runs the demonstration; ends by itself.
pub(crate) async fn demo(out: Option<PathBuf>) -> Result<(), Failure> {
    let out = folder(out)?;
    let data = out.join("data");
    println!("meterledger demo: a small mall, kept in {}", out.display());
    // The history comes in while the mall's clock stands still.
    let node = Node::open(&data, Clock::manual(NOW)).await?;
    let prepared = prepare(&node, &out).await;
    let closed = node.close().await;
    let prepared = prepared.and_then(|prepared| closed.map(|()| prepared))?;
    let clock = Clock::running(NOW, scene::SPEED);
    let node = Node::open_with(&data, clock.clone(), scene::settle_every()).await?;
    let played = scene::play(&node, &prepared.metered, &prepared.actors).await;
    let summed = match played {
        Ok(()) => summary::show(&node, &out).await,
        Err(failure) => Err(failure),
    };
    let closed = node.close().await;
    summed.and(closed)?;
    println!(
        "\nLook around:\n  meterledger --data-dir {0} balance\n  meterledger --data-dir {0} report --list",
        data.display()
    );
    println!(
        "Serve it (its meters simulated on loopback):\n  meterledger --data-dir {} serve --simulate",
        data.display()
    );
    Ok(())
}

/// The registry's meters as simulated ones on loopback, going on from the registers that the book knows.
pub(crate) async fn simulate(node: &Node) -> Result<SimulatedField, Failure> {
    let sql = "SELECT meter, max(register_count) AS count FROM readings WHERE kind = 'register' GROUP BY meter";
    let mut counts: BTreeMap<String, i64> = BTreeMap::new();
    for batch in &node.query.query(sql).await.map_err(failed)?.batches {
        let values = batch.column(1).as_primitive::<Int64Type>();
        for row in 0..batch.num_rows() {
            counts.insert(timeline::text(batch, 0, row), values.value(row));
        }
    }
    let metered = history::metered(&node.engine.registry(), node.clock.now());
    let with_counts = metered.into_iter().map(|item| {
        let count = counts.get(item.meter.serial.as_str()).copied().unwrap_or(0);
        (item, count)
    });
    scene::field(&with_counts.collect::<Vec<_>>(), &node.clock).await
}

/// The mall, polled every ten minutes instead of seconds: its clock runs an hour in a second.
fn site() -> String {
    let poll = |line: &str| if line.starts_with("poll = ") { "poll = \"10m\"".to_owned() } else { line.to_owned() };
    SITE.lines().map(poll).collect::<Vec<_>>().join("\n")
}

fn folder(out: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let out = match out {
        Some(out) => out,
        None => std::env::temp_dir().join(format!("meterledger-demo-{}", std::process::id())),
    };
    if out.join("data").exists() {
        return Err(Failure(format!(
            "{} holds a demonstration already: name another --out, or remove the folder first",
            out.display()
        )));
    }
    std::fs::create_dir_all(&out).map_err(|error| Failure(format!("cannot create {}: {error}", out.display())))?;
    Ok(out)
}

/// What the scene needs to know of what went before.
struct Prepared {
    /// The meters with the counts that they showed last.
    metered: Vec<(history::Metered, i64)>,
    /// The tenants whose day it is.
    actors: [actors::Actor; 3],
}

/// Applies the mall, imports its history and lets its tenants have paid.
async fn prepare(node: &Node, out: &Path) -> Result<Prepared, Failure> {
    let file = PathBuf::from("data/mall.toml");
    let lines =
        ask(node, Call::Apply { file, text: site(), attached: Attached::default(), dry_run: false, preview: false })
            .await?;
    println!("\n1. The site file is applied: {}", lines.last().map_or("", String::as_str));
    let registry = node.engine.registry();
    let metered = history::metered(&registry, NOW);
    let csv = out.join("history.csv");
    let until = Moment(NOW.0 - NOW.0.rem_euclid(HOUR));
    let (values, last) = history::write(&csv, &metered, HISTORY_FROM, until)?;
    println!(
        "2. {values} hourly registers of {} meters, 26 months, as a head-end exports them: {}",
        metered.len(),
        csv.display()
    );
    let began = tokio::time::Instant::now();
    let options = ImportArguments {
        meter_column: None,
        time_column: "time".into(),
        register_column: Some(String::new()),
        usage_column: None,
        interval: None,
        time_marks: None,
        unit: Some("counts".into()),
        time_zone: None,
        wide: true,
    };
    let lines = ask(node, Call::Import { file: csv, options }).await?;
    println!("3. Imported, priced, posted and in the lake in {:.1} s:", began.elapsed().as_secs_f64());
    lines.iter().for_each(|line| println!("   {line}"));
    let (paid, actors) = actors::pay(node).await?;
    println!("4. {paid} top-ups of the past 26 months are posted; three tenants are left with little");
    let count = |item: &history::Metered| last.get(&item.meter.id).copied().unwrap_or(0);
    let metered = metered.into_iter().map(|item| (item.clone(), count(&item))).collect();
    Ok(Prepared { metered, actors })
}

/// Makes a call as the command line would; gives what it prints, line by line.
async fn ask(node: &Node, call: Call) -> Result<Vec<String>, Failure> {
    let (events, mut received) = mpsc::channel::<Event>(64);
    let asked = Asked { secret: None, actor: None, login: "demo".into(), call };
    let work = async {
        let done = perform(node, &asked, &events).await;
        drop(events);
        done
    };
    let gather = async {
        let mut output = Vec::new();
        while let Some(event) = received.recv().await {
            if let Event::Output(bytes) = event {
                output.extend(bytes);
            }
        }
        String::from_utf8_lossy(&output).into_owned()
    };
    let (done, output) = tokio::join!(work, gather);
    done.map_err(failed)?;
    Ok(output.lines().map(str::to_owned).collect())
}
