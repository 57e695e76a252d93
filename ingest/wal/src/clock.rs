//! The one clock: for polls, freshness, verification and windows. Its stamps never go back.
//!
//! A live stamp is the wall time at the start plus the monotonic time since, so that a step of the wall clock moves
//! no stamp; the step itself can be asked for ([`Clock::wall_step`]) and is an alarm. A demonstration may run the
//! clock fast: waits shrink by the same factor.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kernel::time::Moment;

/// A shared, injectable clock. Cloning it shares it.
#[derive(Clone, Debug)]
pub struct Clock {
    source: Arc<Source>,
}

#[derive(Debug)]
enum Source {
    Running { start: Moment, since: Instant, speed: u32 },
    Manual(AtomicI64),
}

impl Clock {
    /// The wall clock of now, carried on by monotonic time.
    #[must_use]
    pub fn live() -> Clock {
        Clock::running(wall_now(), 1)
    }

    /// A clock that shows `start` now and runs `speed` times as fast as real time (1 and above).
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the monotonic clock")]
    pub fn running(start: Moment, speed: u32) -> Clock {
        Clock { source: Arc::new(Source::Running { start, since: Instant::now(), speed: speed.max(1) }) }
    }

    /// A clock that stands still until [`Clock::advance`] moves it.
    #[must_use]
    pub fn manual(start: Moment) -> Clock {
        Clock { source: Arc::new(Source::Manual(AtomicI64::new(start.0))) }
    }

    /// What the clock shows.
    #[must_use]
    pub fn now(&self) -> Moment {
        match &*self.source {
            Source::Running { start, since, speed } => {
                let micros = since.elapsed().as_micros().saturating_mul(u128::from(*speed));
                start.plus(i64::try_from(micros).unwrap_or(i64::MAX))
            }
            Source::Manual(now) => Moment(now.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock forward by `micros`; does nothing to a running one.
    pub fn advance(&self, micros: i64) {
        if let Source::Manual(now) = &*self.source {
            now.fetch_add(micros.max(0), Ordering::SeqCst);
        }
    }

    /// How many times faster than real time it runs (1 for a manual clock).
    #[must_use]
    pub fn speed(&self) -> u32 {
        match &*self.source {
            Source::Running { speed, .. } => *speed,
            Source::Manual(_) => 1,
        }
    }

    /// The real time to wait for `micros` of this clock to pass; at least a microsecond.
    #[must_use]
    pub fn real(&self, micros: i64) -> Duration {
        Duration::from_micros(u64::try_from(micros).unwrap_or(0) / u64::from(self.speed()))
            .max(Duration::from_micros(1))
    }

    /// How far the machine's wall clock has stepped away from this clock, in microseconds of real time; 0 for a fast
    /// or manual clock.
    #[must_use]
    pub fn wall_step(&self) -> i64 {
        match &*self.source {
            Source::Running { speed: 1, .. } => wall_now().since(self.now()),
            _ => 0,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
fn wall_now() -> Moment {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Moment(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_never_go_back_and_a_fast_clock_shortens_waits() {
        let clock = Clock::running(Moment(0), 3_600);
        let stamps: Vec<Moment> = (0..1_000).map(|_| clock.now()).collect();
        assert!(stamps.is_sorted());
        assert_eq!(clock.real(3_600_000_000), Duration::from_secs(1));
    }

    #[test]
    fn a_manual_clock_moves_only_forward_and_only_when_told() {
        let clock = Clock::manual(Moment(5));
        clock.advance(-3);
        clock.advance(2);
        assert_eq!((clock.now(), clock.wall_step()), (Moment(7), 0));
    }
}
