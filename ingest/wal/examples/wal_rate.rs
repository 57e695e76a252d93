//! How fast the log takes readings on this machine:
//! `cargo run -p meterledger-wal --example wal_rate -- [FOLDER] [SECONDS]`.

use std::io::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kernel::batch::{Batch, Payload};
use kernel::id::{MeterId, Seq};
use kernel::reading::{Instruments, Reading, Value};
use kernel::time::{Moment, SECOND};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use wal::clock::Clock;
use wal::{LogId, Options, RealDisk, Stats, Wal, delete_through, read_from};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().map_or_else(|| std::env::temp_dir().join("meterledger-wal-rate"), PathBuf::from);
    let seconds: i64 = arguments.next().map_or(Ok(3), |text| text.parse())?;
    if folder.exists() {
        return Err(Error::other(format!("{} exists; name a folder that does not", folder.display())).into());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build()?;
    println!("log in {}, {seconds} s each", folder.display());
    println!("rows/batch  senders        rows/s   fsyncs/s    MB/s  rows/fsync  MB of frames");
    for (rows, senders) in [(8_192, 1), (8_192, 4), (8_192, 16), (1, 1), (1, 16), (1, 256), (1, 4_096)] {
        let (stats, micros) = runtime.block_on(load(folder.clone(), rows, senders, seconds))?;
        let rate = |count: u64| u128::from(count) * 1_000_000 / micros;
        let frames = stats.frames * rows;
        println!(
            "{rows:>10}  {senders:>7}  {:>12}  {:>9}  {:>6}  {:>10}  {:>12}",
            rate(frames),
            rate(stats.groups + stats.segments * 2),
            rate(stats.bytes) / 1_000_000,
            frames / stats.groups.max(1),
            stats.bytes / 1_000_000,
        );
    }
    let clock = Clock::live();
    let (mut frames, mut rows) = (0_u64, 0_usize);
    let oldest = wal::check(&folder, &RealDisk)?.map_or(Seq(1), |found| found.oldest);
    let proven = clock.now();
    for frame in read_from(&folder, Arc::new(RealDisk), oldest) {
        if let (_, Payload::Readings(batch)) = frame? {
            (frames, rows) = (frames + 1, rows + batch.len());
        }
    }
    let replayed = clock.now().since(proven);
    println!("left on disk: {frames} frames, {rows} rows, replayed in {} ms", replayed / 1_000);
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

async fn load(
    folder: PathBuf,
    rows: u64,
    senders: u32,
    seconds: i64,
) -> Result<(Stats, u128), Box<dyn std::error::Error>> {
    let (committed, mut receiver) = mpsc::channel(64);
    let (wal, _) = Wal::open(&folder, Arc::new(RealDisk), Options::new(LogId(1)), committed)?;
    let taken = Arc::new(AtomicU64::new(0));
    let taker = tokio::spawn({
        let taken = Arc::clone(&taken);
        async move {
            while let Some(frame) = receiver.recv().await {
                taken.store(frame.seq.0, Ordering::Relaxed);
            }
        }
    });
    let clock = Clock::live();
    let start = clock.now();
    let end = start.plus(seconds * SECOND);
    let mut tasks = JoinSet::new();
    for sender in 0..senders {
        let (appender, clock, batch) = (wal.appender(), clock.clone(), batch(sender, rows));
        tasks.spawn(async move {
            while clock.now() < end {
                appender.append(Payload::Readings(batch.clone())).await?;
            }
            Ok::<(), wal::AppendError>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    let micros = u128::try_from(clock.now().since(start))?.max(1);
    let stats = wal.stats();
    tokio::task::spawn_blocking(|| wal.shutdown()).await??;
    taker.await?;
    // As the lake would: keeps the folder small.
    delete_through(&folder, &RealDisk, Seq(taken.load(Ordering::Relaxed)))?;
    Ok((stats, micros))
}

fn batch(sender: u32, rows: u64) -> Batch {
    let mut batch = Batch::default();
    for row in 0..i64::try_from(rows).unwrap_or(0) {
        let instruments = Instruments { power_mw: Some(row), ..Instruments::default() };
        let (meter, time) = (MeterId(sender), Moment(row * SECOND));
        batch.push(&Reading { meter, time, value: Value::Register(row), instruments });
    }
    batch
}
