//! Deleting what lives elsewhere by now.

use kernel::id::Seq;
use wal::{WalError, delete_through};

use crate::making::{expect_frames, folder, log_of, names, open, payload, replay};

#[test]
fn only_whole_segments_at_or_below_the_number_go_and_never_the_last_one() {
    // Frames 1 to 5, 6 to 10, 11 to 13.
    for (through, left) in [(0, 3), (4, 3), (5, 2), (9, 2), (10, 1), (13, 1), (u64::MAX, 1)] {
        let disk = log_of(13);
        assert_eq!(delete_through(folder(), &disk, Seq(through)).unwrap().len(), 3 - left, "through {through}");
        disk.crash();
        assert_eq!(names(&disk).len(), left, "through {through}");
    }
}

#[test]
fn the_log_goes_on_after_a_deletion_and_says_what_it_no_longer_holds() {
    let disk = log_of(13);
    delete_through(folder(), &disk, Seq(10)).unwrap();
    let (wal, recovered) = open(&disk).unwrap();
    assert_eq!((recovered.oldest, recovered.last_seq), (Seq(11), Seq(13)));
    assert_eq!(wal.appender().append_blocking(payload(14)).unwrap(), Seq(14));
    wal.shutdown().unwrap();
    let gone = replay(&disk, 10).unwrap_err();
    assert!(matches!(gone, WalError::Gone { wanted: Seq(10), oldest: Seq(11) }), "{gone}");
    assert_eq!(replay(&disk, 14).unwrap(), [(Seq(14), payload(14))]);
}

#[test]
fn a_power_loss_while_deleting_leaves_a_whole_log() {
    for seed in 0..32 {
        let disk = log_of(24);
        for cut in 0..seed % 8 {
            disk.fail_power_after(cut);
            let _ = delete_through(folder(), &disk, Seq(20));
            disk.crash();
        }
        let (wal, recovered) = open(&disk).unwrap();
        assert_eq!(recovered.last_seq, Seq(24), "seed {seed}");
        wal.shutdown().unwrap();
        let frames = replay(&disk, recovered.oldest.0).unwrap();
        assert_eq!(frames.last(), Some(&(Seq(24), payload(24))), "seed {seed}");
    }
    expect_frames(&replay(&log_of(24), 1).unwrap(), 24);
}
