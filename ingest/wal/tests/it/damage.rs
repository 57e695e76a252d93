//! Truncation at every byte and a flip in every byte: refused with file and offset, or a torn tail; never wrong data.

use std::path::PathBuf;

use kernel::id::Seq;
use wal::disk::{Access, Disk, ForgetfulDisk};
use wal::{LogId, Options, Wal, WalError};

use crate::making::{expect_frames, folder, log_of, names, open, payload, replay};

/// 512 bytes of header and 5 groups of 512 bytes fill a segment of 3,072; so 13 frames are two full segments and 3
/// groups in the third.
const FRAMES: u32 = 13;
const SEGMENT: usize = 3072;

fn path(disk: &ForgetfulDisk, segment: usize) -> PathBuf {
    folder().join(&names(disk)[segment])
}

fn flip(disk: &ForgetfulDisk, segment: usize, byte: usize, mask: u8) {
    let mut file = disk.open(&path(disk, segment), Access::Write).unwrap();
    let mut value = [0];
    file.read_at(byte as u64, &mut value).unwrap();
    file.write_at(byte as u64, &[value[0] ^ mask]).unwrap();
    file.sync().unwrap();
}

fn reopened(disk: &ForgetfulDisk) -> Result<wal::Recovered, WalError> {
    open(disk).map(|(wal, recovered)| {
        wal.shutdown().unwrap();
        recovered
    })
}

#[test]
fn a_flip_in_any_byte_is_refused_with_its_place_or_cuts_only_the_last_group() {
    let whole = log_of(FRAMES);
    assert_eq!(names(&whole).len(), 3);
    for byte in 0..3 * SEGMENT {
        let (segment, offset) = (byte / SEGMENT, byte % SEGMENT);
        let disk = whole.fork();
        flip(&disk, segment, offset, 1 << (byte % 8));
        let (group, read) = (offset as u64 / 512 * 512, replay(&disk, 1));
        match reopened(&disk) {
            Err(WalError::Corrupt { file, offset: place, .. }) => {
                assert!(segment < 2 || offset < 3 * 512, "byte {byte} is no middle");
                assert_eq!((file, place), (path(&disk, segment), group), "byte {byte}");
                assert!(matches!(read, Err(WalError::Corrupt { .. })), "byte {byte}");
                // Refusing changed nothing: with the byte back, all is there.
                flip(&disk, segment, offset, 1 << (byte % 8));
                expect_frames(&replay(&disk, 1).unwrap(), FRAMES);
            }
            Ok(recovered) => {
                // The last group, or the empty space behind it.
                assert_eq!(segment, 2, "byte {byte}");
                let torn = recovered.torn.unwrap();
                let kept = if offset < 4 * 512 { FRAMES - 1 } else { FRAMES };
                assert!(offset >= 3 * 512 && torn.offset == group.min(4 * 512), "byte {byte}");
                assert_eq!(recovered.last_seq, Seq(u64::from(kept)));
                expect_frames(&read.unwrap(), kept);
                expect_frames(&replay(&disk, 1).unwrap(), kept);
                assert_eq!(reopened(&disk).unwrap().torn, None, "cut once, at byte {byte}");
            }
            Err(other) => panic!("byte {byte}: {other}"),
        }
    }
}

#[test]
fn a_log_cut_at_any_byte_is_refused_and_its_remedy_leaves_exactly_the_whole_groups() {
    let whole = log_of(FRAMES);
    for length in 0..SEGMENT {
        let disk = whole.fork();
        let last = path(&disk, 2);
        let mut file = disk.open(&last, Access::Write).unwrap();
        file.set_length(length as u64).unwrap();
        file.sync().unwrap();
        match reopened(&disk) {
            Err(WalError::Shortened { file: named, expected, found }) => {
                assert_eq!((named, expected, found), (last, SEGMENT as u64, length as u64));
                file.set_length(expected).unwrap();
                let recovered = reopened(&disk).unwrap();
                let whole_groups = u32::try_from(length / 512 - 1).unwrap().min(3);
                // A group's padding is zeros: it is whole without them.
                let kept = u32::try_from(recovered.last_seq.0).unwrap() - 10;
                assert!(kept == whole_groups || (kept == whole_groups + 1 && kept <= 3), "length {length}");
                expect_frames(&replay(&disk, 1).unwrap(), 10 + kept);
            }
            Err(WalError::Corrupt { file: named, offset, .. }) => {
                assert!(length < 512, "length {length}");
                assert_eq!((named, offset), (last, length as u64));
            }
            other => panic!("length {length}: {other:?}"),
        }
    }
}

#[test]
fn a_full_segment_cut_at_any_byte_is_refused_or_has_lost_nothing() {
    let whole = log_of(FRAMES);
    for length in 0..SEGMENT {
        let disk = whole.fork();
        let first = path(&disk, 0);
        disk.open(&first, Access::Write).unwrap().set_length(length as u64).unwrap();
        match reopened(&disk) {
            Err(WalError::Corrupt { file, .. }) => assert_eq!(file, first, "length {length}"),
            other => panic!("length {length}: {other:?}"),
        }
    }
}

#[test]
fn a_missing_a_foreign_and_a_swapped_segment_are_refused() {
    let missing = log_of(FRAMES);
    missing.remove(&path(&missing, 1)).unwrap();
    let refused = reopened(&missing).unwrap_err().to_string();
    assert!(refused.contains("frame 6 is missing") || refused.contains("header begins"), "{refused}");

    let foreign = log_of(FRAMES);
    let (committed, _) = tokio::sync::mpsc::channel(1);
    let (other, _) = Wal::open(
        "other".as_ref(),
        std::sync::Arc::new(foreign.clone()),
        Options { first_seq: Seq(14), ..Options::new(LogId(2)) },
        committed,
    )
    .unwrap();
    assert_eq!(other.appender().append_blocking(payload(1)).unwrap(), Seq(14), "a log may begin where one was lost");
    other.shutdown().unwrap();
    let name = "00000000000000000014.seg";
    foreign.rename(&std::path::Path::new("other").join(name), &folder().join(name)).unwrap();
    let refused = reopened(&foreign).unwrap_err();
    assert!(matches!(&refused, WalError::Foreign { found: LogId(2), .. }), "{refused}");

    let swapped = log_of(FRAMES);
    swapped.rename(&path(&swapped, 2), &folder().join("00000000000000000012.seg")).unwrap();
    assert!(matches!(reopened(&swapped), Err(WalError::Corrupt { .. })));
}

#[test]
fn a_segment_of_a_newer_release_is_refused_with_the_remedy() {
    let disk = log_of(FRAMES);
    let mut file = disk.open(&path(&disk, 2), Access::Write).unwrap();
    let mut header = [0; 512];
    file.read_at(0, &mut header).unwrap();
    header[8] = 2;
    let crc = crc32c::crc32c(&header[..508]);
    header[508..].copy_from_slice(&crc.to_le_bytes());
    file.write_at(0, &header).unwrap();
    let refused = reopened(&disk).unwrap_err().to_string();
    assert!(refused.contains("format version 2") && refused.contains("start it with the release"), "{refused}");
}

#[test]
fn a_folder_of_garbage_is_refused_without_a_panic() {
    let mut word = 1_u64;
    for round in 0..200_u32 {
        let disk = ForgetfulDisk::new(0);
        let mut file = disk.create(&folder().join("00000000000000000001.seg"), 2048).unwrap();
        for offset in (0..2048).step_by(8) {
            word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(u64::from(round));
            file.write_at(offset, &word.to_le_bytes()).unwrap();
        }
        assert!(matches!(reopened(&disk), Err(WalError::Corrupt { offset: 0, .. })), "round {round}");
    }
}
