//! Power losses, killed processes and failed fsyncs at random places, without threads, so that a seed runs alike twice.

use std::path::Path;
use std::sync::Arc;

use kernel::batch::{Batch, Payload};
use kernel::id::Seq;

use crate::disk::ForgetfulDisk;
use crate::format::Group;
use crate::log::{Log, Stop};
use crate::{LogId, Options, read_from};

const FOLDER: &str = "data/wal";

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

fn payload(random: &mut Random) -> Payload {
    let rows = random.below(30);
    let column: Vec<i64> = (0..rows).map(|_| i64::try_from(random.below(1 << 30)).unwrap()).collect();
    let meter = vec![7; column.len()];
    Payload::Readings(Batch { meter, time: column.clone(), value: column, ..Batch::default() })
}

/// Opens, writes until something fails, and counts as durable what was acknowledged or found by opening.
struct Run {
    random: Random,
    disk: ForgetfulDisk,
    durable: Vec<Payload>,
    /// A group whose commit failed: it may appear whole or not at all.
    doubtful: Vec<Payload>,
    recovered: u64,
    torn: u64,
}

impl Run {
    fn new(seed: u64) -> Run {
        let disk = ForgetfulDisk::new(seed);
        Run { random: Random(seed), disk, durable: Vec::new(), doubtful: Vec::new(), recovered: 0, torn: 0 }
    }

    fn life(&mut self) {
        let mut options = Options::new(LogId(42));
        options.segment_bytes = 8192;
        if self.random.below(4) > 0 {
            self.disk.fail_power_after(self.random.below(60));
        }
        let Ok((mut log, recovered)) = Log::open(Path::new(FOLDER), Arc::new(self.disk.clone()), options) else {
            return;
        };
        self.settle(recovered.last_seq);
        self.torn += u64::from(recovered.torn.is_some());
        let (mut group, stop) = (Group::new(), Stop::default());
        for _ in 0..20 {
            if self.random.below(30) == 0 {
                self.disk.fail_syncs(1);
            }
            group.clear(1 << 16);
            let frames: Vec<Payload> = (0..=self.random.below(5)).map(|_| payload(&mut self.random)).collect();
            frames.iter().for_each(|frame| group.push(frame).unwrap());
            match log.commit(&mut group, &stop) {
                Ok((first, _)) => {
                    assert_eq!(first.0, self.durable.len() as u64 + 1, "numbers go on without a gap");
                    self.durable.extend(frames);
                }
                Err(_) => {
                    self.doubtful = frames;
                    return;
                }
            }
        }
    }

    /// What opening found is durable from now on.
    fn settle(&mut self, last: Seq) {
        let found = usize::try_from(last.0).unwrap();
        let doubtful = std::mem::take(&mut self.doubtful);
        if found != self.durable.len() {
            self.durable.extend(doubtful);
            self.recovered += 1;
        }
        assert_eq!(found, self.durable.len(), "a group appears whole or not at all");
    }

    fn end_life(&mut self) {
        if self.random.below(3) == 0 { self.disk.kill() } else { self.disk.crash() }
    }

    fn check(&self) {
        let frames: Vec<(Seq, Payload)> =
            read_from(Path::new(FOLDER), Arc::new(self.disk.clone()), Seq(1)).collect::<Result<_, _>>().unwrap();
        assert!(frames.len() >= self.durable.len(), "{} of {} frames survived", frames.len(), self.durable.len());
        let known = self.durable.iter().chain(&self.doubtful);
        for (place, ((seq, found), expected)) in frames.iter().zip(known).enumerate() {
            assert_eq!((seq.0, found), (place as u64 + 1, expected));
        }
        assert!(frames.len() <= self.durable.len() + self.doubtful.len(), "nothing appears from nowhere");
    }
}

#[test]
fn every_acknowledged_frame_survives_power_losses_kills_and_failed_fsyncs() {
    let (mut durable, mut recovered, mut torn) = (0, 0, 0);
    for seed in 0..800 {
        let lives = std::panic::catch_unwind(|| {
            let mut run = Run::new(seed);
            for _ in 0..8 {
                run.life();
                run.end_life();
                run.check();
            }
            run
        });
        let Ok(run) = lives else { panic!("seed {seed} failed") };
        durable += run.durable.len();
        recovered += run.recovered;
        torn += run.torn;
    }
    // The harness is broken if it never sees what it is for.
    assert!(durable > 50_000 && recovered > 100 && torn > 100, "{durable} frames, {recovered} recovered, {torn} torn");
}

#[test]
fn the_same_seed_runs_alike_twice() {
    let run = |seed| {
        let mut run = Run::new(seed);
        for _ in 0..5 {
            run.life();
            run.end_life();
        }
        (run.disk.changes(), run.durable.len(), run.recovered, run.torn)
    };
    for seed in 0..20 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}

#[test]
fn a_disk_that_lies_about_fsync_is_found_out() {
    let found = (0..20).filter(|seed| {
        let survived = std::panic::catch_unwind(|| {
            let mut run = Run::new(*seed);
            run.disk.lie_about_syncs();
            for _ in 0..4 {
                run.life();
                run.disk.crash();
                run.check();
            }
        });
        survived.is_err()
    });
    assert!(found.count() > 10);
}
