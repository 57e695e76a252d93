//! The format on disk, kept for ever: what version 1 wrote must always be read.

use std::path::Path;

use kernel::id::Seq;
use wal::disk::{Access, Disk, ForgetfulDisk};

use crate::making::{expect_frames, folder, log_of, open, replay};

/// Frames 1 to 5 of `making::payload`, one group each, in a segment of 3,072 bytes.
const V1: &[u8] = include_bytes!("../fixtures/v1.seg");

#[test]
fn a_segment_of_version_1_is_read_for_ever() {
    let disk = ForgetfulDisk::new(0);
    let mut file = disk.create(&folder().join("00000000000000000001.seg"), V1.len() as u64).unwrap();
    file.write_at(0, V1).unwrap();
    expect_frames(&replay(&disk, 1).unwrap(), 5);
    let (wal, recovered) = open(&disk).unwrap();
    assert_eq!((recovered.last_seq, recovered.log_id.0), (Seq(5), 0x0123_4567_89ab_cdef));
    wal.shutdown().unwrap();
}

/// When this fails, the format has changed: see `wal::format` for what must change with it.
#[test]
fn todays_release_still_writes_version_1() {
    let disk = log_of(5);
    let file = disk.open(&folder().join(Path::new("00000000000000000001.seg")), Access::Read).unwrap();
    let mut bytes = vec![0; usize::try_from(file.length().unwrap()).unwrap()];
    file.read_at(0, &mut bytes).unwrap();
    assert!(bytes == V1, "the segment differs from tests/fixtures/v1.seg");
}
