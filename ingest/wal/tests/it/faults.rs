//! A full disk, a failing device, a power loss under load.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use kernel::batch::Batch;
use kernel::batch::Payload;
use kernel::id::Seq;
use tokio::sync::mpsc;
use wal::disk::ForgetfulDisk;
use wal::{AppendError, Disk, Wal, WalError};

use crate::making::{expect_frames, folder, log_of, names, open, options, payload, replay};

#[test]
fn a_failed_fsync_poisons_this_and_every_later_append_until_the_log_is_opened_again() {
    let disk = log_of(2);
    let (wal, _) = open(&disk).unwrap();
    let appender = wal.appender();
    disk.fail_syncs(1);
    for n in 3..6 {
        let failed = appender.append_blocking(payload(n)).unwrap_err();
        assert!(
            matches!(&failed, AppendError::Poisoned(cause) if matches!(**cause, WalError::Sync { .. })),
            "{failed}"
        );
    }
    assert!(matches!(wal.shutdown(), Err(AppendError::Poisoned(_))));

    // The frame can still be read, and what opening reports is durable from then on.
    let (wal, recovered) = open(&disk).unwrap();
    assert_eq!(recovered.last_seq, Seq(3));
    wal.shutdown().unwrap();
    disk.crash();
    expect_frames(&replay(&disk, 1).unwrap(), 3);
}

#[test]
fn a_failed_write_poisons_and_what_it_left_is_a_torn_tail() {
    let disk = log_of(2);
    let (wal, _) = open(&disk).unwrap();
    disk.fail_writes(1);
    let failed = wal.appender().append_blocking(payload(3)).unwrap_err();
    assert!(matches!(&failed, AppendError::Poisoned(cause) if matches!(**cause, WalError::Write { .. })), "{failed}");
    assert!(wal.shutdown().is_err());
    let (wal, recovered) = open(&disk).unwrap();
    assert_eq!(recovered.last_seq, Seq(if recovered.torn.is_some() { 2 } else { 3 }));
    wal.shutdown().unwrap();
}

#[test]
fn a_full_disk_makes_appends_wait_and_loses_none() {
    let disk = ForgetfulDisk::new(3);
    let (wal, _) = open(&disk).unwrap();
    disk.set_full(true);
    let appender = wal.appender();
    let load = thread::spawn(move || (1..=12).map(|n| appender.append_blocking(payload(n)).unwrap().0).collect());
    // The first segment takes 5 groups; then it waits. Each try makes two changes, the draft's birth and death.
    let before = disk.changes();
    while disk.changes() < before + 40 {
        thread::yield_now();
    }
    assert!(!load.is_finished());
    disk.set_full(false);
    let seqs: Vec<u64> = load.join().unwrap();
    assert!(seqs.into_iter().eq(1..=12));
    wal.shutdown().unwrap();
    expect_frames(&replay(&disk, 1).unwrap(), 12);
    assert!(names(&disk).iter().all(|name| name.ends_with(".seg")), "no draft stays");
}

#[test]
fn a_shutdown_ends_the_wait_for_space_and_says_so() {
    let disk = log_of(5);
    let mut patient = options();
    patient.full_disk_retry = Duration::from_secs(3600);
    let (committed, _) = mpsc::channel(1);
    let (wal, _) = Wal::open(folder(), Arc::new(disk.clone()), patient, committed).unwrap();
    disk.set_full(true);
    let (appender, before) = (wal.appender(), disk.changes());
    let load = thread::spawn(move || appender.append_blocking(payload(6)));
    while disk.changes() < before + 2 {
        thread::yield_now();
    }
    assert!(wal.shutdown().is_err());
    assert!(matches!(load.join().unwrap(), Err(AppendError::Poisoned(_))));
    disk.set_full(false);
    expect_frames(&replay(&disk, 1).unwrap(), 5);
}

#[test]
fn a_full_disk_at_creation_is_an_error_with_the_remedy() {
    let disk = ForgetfulDisk::new(3);
    disk.set_full(true);
    let refused = open(&disk).unwrap_err();
    assert!(matches!(refused, WalError::Create { .. }) && refused.to_string().contains("free space"), "{refused}");
    disk.set_full(false);
    assert_eq!(open(&disk).unwrap().1.last_seq, Seq(0));
}

#[test]
fn what_no_frame_takes_is_refused_and_the_rest_goes_in() {
    let disk = ForgetfulDisk::new(3);
    let (wal, _) = open(&disk).unwrap();
    let appender = wal.appender();
    let rows = (1 << 20) + 1;
    let large = Batch { meter: vec![0; rows], time: vec![0; rows], value: vec![0; rows], ..Batch::default() };
    let ragged = Batch { meter: vec![0; 2], ..Batch::default() };
    assert!(matches!(appender.append_blocking(Payload::Readings(large)), Err(AppendError::TooLarge { .. })));
    assert!(matches!(appender.append_blocking(Payload::Readings(ragged)), Err(AppendError::Malformed)));
    assert_eq!(appender.append_blocking(payload(1)).unwrap(), Seq(1));
    wal.shutdown().unwrap();
    assert!(matches!(appender.append_blocking(payload(2)), Err(AppendError::Closed)));
}

#[test]
fn a_payload_larger_than_a_segment_gets_a_segment_of_its_own() {
    let disk = log_of(1);
    let column: Vec<i64> = (0..5_000).collect();
    let meter = vec![1; column.len()];
    let large = Payload::Readings(Batch { meter, time: column.clone(), value: column, ..Batch::default() });
    let (wal, _) = open(&disk).unwrap();
    wal.appender().append_blocking(large.clone()).unwrap();
    wal.appender().append_blocking(payload(3)).unwrap();
    wal.shutdown().unwrap();
    assert_eq!(names(&disk).len(), 3);
    assert_eq!(replay(&disk, 2).unwrap(), [(Seq(2), large), (Seq(3), payload(3))]);
}

/// The threads make the order of events differ from run to run; `log_tests` has the repeatable half.
#[test]
fn a_power_loss_under_concurrent_load_loses_no_acknowledged_frame() {
    for seed in 0..60 {
        let disk = ForgetfulDisk::new(seed);
        let (wal, _) = open(&disk).unwrap();
        disk.fail_power_after(5 + seed * 3 % 70);
        let threads: Vec<_> = (0..4)
            .map(|lane| {
                let appender = wal.appender();
                thread::spawn(move || {
                    let tries = (0..40).map(|n| (lane * 40 + n, appender.append_blocking(payload(lane * 40 + n))));
                    tries.take_while(|(_, answer)| answer.is_ok()).map(|(n, answer)| (answer.unwrap(), n)).collect()
                })
            })
            .collect();
        let acknowledged: Vec<Vec<(Seq, u32)>> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        let _ = wal.shutdown();
        disk.crash();
        let frames = replay(&disk, 1).unwrap();
        assert!(frames.iter().map(|(seq, _)| seq.0).eq(1..=frames.len() as u64), "seed {seed}");
        for (seq, n) in acknowledged.into_iter().flatten() {
            let place = usize::try_from(seq.0 - 1).unwrap();
            assert_eq!(frames.get(place), Some(&(seq, payload(n))), "seed {seed}, frame {seq}");
        }
        open(&disk).unwrap().0.shutdown().unwrap();
    }
}

#[test]
fn a_folder_without_a_log_reads_as_empty() {
    let disk = ForgetfulDisk::new(0);
    assert_eq!(replay(&disk, 1).unwrap(), []);
    assert!(disk.list(folder()).unwrap().is_empty());
}
