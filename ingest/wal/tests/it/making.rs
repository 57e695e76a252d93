//! Logs and payloads for the tests.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kernel::batch::{Batch, Payload};
use kernel::id::{MeterId, Seq};
use kernel::money::Quantity;
use kernel::reading::{Contact, Instruments, Observation, Reading, Seen, Value};
use kernel::time::Moment;
use tokio::sync::mpsc;
use wal::disk::ForgetfulDisk;
use wal::{Disk, LogId, Options, Recovered, Wal, WalError, read_from};

pub(crate) const FOLDER: &str = "data/wal";

pub(crate) fn folder() -> &'static Path {
    Path::new(FOLDER)
}

/// Small segments: a few groups each.
pub(crate) fn options() -> Options {
    let mut options = Options::new(LogId(0x0123_4567_89ab_cdef));
    options.segment_bytes = 3072;
    options.full_disk_retry = Duration::from_millis(1);
    options.full_disk_retry_max = Duration::from_millis(1);
    options
}

pub(crate) fn open(disk: &ForgetfulDisk) -> Result<(Wal, Recovered), WalError> {
    let (committed, _) = mpsc::channel(1);
    Wal::open(folder(), Arc::new(disk.clone()), options(), committed)
}

pub(crate) fn replay(disk: &ForgetfulDisk, from: u64) -> Result<Vec<(Seq, Payload)>, WalError> {
    read_from(folder(), Arc::new(disk.clone()), Seq(from)).collect()
}

/// The payload numbered `n`: readings of every shape, and every third one observations.
pub(crate) fn payload(n: u32) -> Payload {
    let time = Moment(i64::from(n) * 1_000_000);
    if n.is_multiple_of(3) {
        let seen = if n.is_multiple_of(2) { Seen::Contact(Contact::Open) } else { Seen::Silent };
        return Payload::Observations(vec![Observation { meter: MeterId(n), time, seen }; 2]);
    }
    let mut batch = Batch { received_at: time.0 + 7, ..Batch::default() };
    for row in 0..n % 7 {
        let usage = Value::Usage { start: Moment(0), quantity: Quantity(i64::from(row)) };
        let value = if row == 2 { usage } else { Value::Register(-i64::from(n)) };
        let power_mw = (row == 1).then_some(i64::MAX);
        let instruments = Instruments { power_mw, contact: Some(Contact::Closed), ..Instruments::default() };
        batch.push(&Reading { meter: MeterId(u32::MAX - row), time, value, instruments });
    }
    Payload::Readings(batch)
}

/// A log of `frames` payloads, 1 and up, each a group of its own, on a disk that has it all durable.
pub(crate) fn log_of(frames: u32) -> ForgetfulDisk {
    let disk = ForgetfulDisk::new(1);
    let (wal, _) = open(&disk).unwrap();
    let appender = wal.appender();
    for n in 1..=frames {
        assert_eq!(appender.append_blocking(payload(n)).unwrap(), Seq(u64::from(n)));
    }
    wal.shutdown().unwrap();
    disk
}

pub(crate) fn expect_frames(found: &[(Seq, Payload)], count: u32) {
    let expected: Vec<(Seq, Payload)> = (1..=count).map(|n| (Seq(u64::from(n)), payload(n))).collect();
    assert_eq!(found, expected);
}

/// The segments' names, in order.
pub(crate) fn names(disk: &ForgetfulDisk) -> Vec<String> {
    let mut names = disk.list(folder()).unwrap();
    names.sort();
    names
}
