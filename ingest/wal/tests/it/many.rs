//! Many senders, the committed channel, and restarts, on the operating system's own disk.

use std::path::Path;
use std::sync::Arc;
use std::thread;

use kernel::batch::Payload;
use kernel::id::Seq;
use tokio::sync::mpsc;
use wal::{Committed, RealDisk, Wal, WalError, read_from};

use crate::making::{expect_frames, options, payload};

fn open(folder: &Path, room: usize) -> (Wal, mpsc::Receiver<Committed>, wal::Recovered) {
    let (committed, receiver) = mpsc::channel(room);
    let (wal, recovered) = Wal::open(folder, Arc::new(RealDisk), options(), committed).unwrap();
    (wal, receiver, recovered)
}

fn replay(folder: &Path, from: u64) -> Vec<(Seq, Payload)> {
    read_from(folder, Arc::new(RealDisk), Seq(from)).collect::<Result<_, WalError>>().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_senders_get_distinct_numbers_and_all_frames_come_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("new/wal");
    let (wal, mut committed, _) = open(&folder, 4);
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..300 {
        let appender = wal.appender();
        tasks.spawn(async move { (appender.append(payload(n)).await.unwrap(), payload(n)) });
    }
    let threads: Vec<_> = (300..304)
        .map(|lane| {
            let appender = wal.appender();
            let append = move |n| (appender.append_blocking(payload(n)).unwrap(), payload(n));
            thread::spawn(move || (0..25).map(|n| append(lane * 100 + n)).collect::<Vec<_>>())
        })
        .collect();
    let mut passed_on = Vec::new();
    while passed_on.len() < 400 {
        let frame = committed.recv().await.unwrap();
        passed_on.push((frame.seq, Arc::unwrap_or_clone(frame.payload)));
    }
    let mut acknowledged = tasks.join_all().await;
    acknowledged.extend(threads.into_iter().flat_map(|thread| thread.join().unwrap()));
    acknowledged.sort_by_key(|(seq, _)| *seq);

    assert!(passed_on.iter().map(|(seq, _)| seq.0).eq(1..=400));
    assert_eq!(acknowledged, passed_on);
    let stats = wal.stats();
    assert!(stats.frames == 400 && stats.groups < 400, "{stats:?}");
    tokio::task::spawn_blocking(|| wal.shutdown()).await.unwrap().unwrap();
    assert_eq!(replay(&folder, 1), passed_on);
}

#[test]
fn reopening_goes_on_with_the_next_number_and_keeps_the_log_id() {
    let folder = tempfile::tempdir().unwrap();
    for run in 0..5_u32 {
        let (committed, mut receiver) = mpsc::channel(8);
        let mut other = options();
        other.log_id = wal::LogId(u64::from(run) + 1);
        let (wal, recovered) = Wal::open(folder.path(), Arc::new(RealDisk), other, committed).unwrap();
        assert_eq!((recovered.last_seq, recovered.log_id), (Seq(u64::from(run) * 4), wal::LogId(1)));
        assert_eq!((recovered.oldest, recovered.torn), (Seq(1), None));
        for n in 1..=4 {
            let seq = wal.appender().append_blocking(payload(run * 4 + n)).unwrap();
            assert_eq!((seq, receiver.blocking_recv().unwrap().seq), (Seq(u64::from(run * 4 + n)), seq));
        }
        wal.shutdown().unwrap();
    }
    expect_frames(&replay(folder.path(), 1), 20);
    for from in 1..=21 {
        let expected: Vec<u64> = (from..=20).collect();
        assert_eq!(replay(folder.path(), from).iter().map(|(seq, _)| seq.0).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn shutdown_makes_durable_what_was_queued_and_a_dropped_receiver_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (wal, receiver, _) = open(folder.path(), 1);
    drop(receiver);
    let appender = wal.appender();
    let load =
        thread::spawn(move || (1..).map_while(|n| appender.append_blocking(payload(n)).ok()).last().unwrap_or(Seq(0)));
    while wal.stats().frames < 50 {
        thread::yield_now();
    }
    wal.shutdown().unwrap();
    let last = load.join().unwrap();
    expect_frames(&replay(folder.path(), 1), u32::try_from(last.0).unwrap());
}

#[test]
fn a_reader_beside_the_writer_sees_whole_frames_and_every_acknowledged_one() {
    let folder = tempfile::tempdir().unwrap();
    let (wal, _, _) = open(folder.path(), 1);
    let appender = wal.appender();
    let load = thread::spawn(move || (1..=300).all(|n| appender.append_blocking(payload(n)).is_ok()));
    while !load.is_finished() {
        let durable = wal.stats().frames;
        let frames = replay(folder.path(), 1);
        assert!(frames.len() as u64 >= durable);
        expect_frames(&frames, u32::try_from(frames.len()).unwrap());
    }
    assert!(load.join().unwrap());
    wal.shutdown().unwrap();
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let (committed, _) = mpsc::channel(1);
    let refused = Wal::open(&file.join("wal"), Arc::new(RealDisk), options(), committed).unwrap_err();
    assert!(matches!(refused, WalError::Folder { .. }) && refused.to_string().contains("file/wal"), "{refused}");
}
