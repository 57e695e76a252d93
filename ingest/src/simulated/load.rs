//! What flows through a simulated meter, as a function of the clock. Integers only.

use std::fmt;
use std::sync::Arc;

use kernel::time::{DAY, HOUR, MINUTE, Moment};

/// mW x microseconds in 1/1000 kWh (a Wh); ml per hour x microseconds in 1/1000 m3 (a litre).
pub(super) const FLOW_PER_MILLI_UNIT: i128 = 3_600_000_000_000;

/// What flows: power in mW, or for water and gas ml per hour. Below zero counts as zero.
#[derive(Clone)]
pub enum LoadShape {
    /// Always the same.
    Constant(i64),
    /// From each moment on so much; nothing before the first. In the order of time.
    Steps(Vec<(Moment, i64)>),
    /// Slots of so many microseconds from 1970 on, and what flows in the slot of a number.
    Slots {
        /// The length of a slot.
        length: i64,
        /// What flows in a slot.
        power: Power,
    },
    /// A register's own history: what it shows from each moment on. In the order of time.
    Replay(Vec<(Moment, i64)>),
}

/// What flows in the slot of a number.
pub type Power = Arc<dyn Fn(i64) -> i64 + Send + Sync>;

impl fmt::Debug for LoadShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadShape::Constant(power) => write!(f, "Constant({power})"),
            LoadShape::Steps(steps) => write!(f, "Steps({})", steps.len()),
            LoadShape::Slots { length, .. } => write!(f, "Slots({length})"),
            LoadShape::Replay(series) => write!(f, "Replay({})", series.len()),
        }
    }
}

/// Parts per hundred of the way from the base to the peak, by hour of the local day: a morning and an evening.
const DAY_SHAPE: [i64; 24] =
    [4, 2, 0, 0, 0, 6, 25, 55, 48, 35, 30, 34, 42, 36, 30, 32, 40, 62, 85, 100, 92, 70, 40, 15];

impl LoadShape {
    /// A day that repeats with seeded differences, in quarters of an hour between `base` and about `peak`.
    /// `utc_offset` is local time minus UTC, in microseconds.
    #[must_use]
    pub fn daily(seed: u64, base: i64, peak: i64, utc_offset: i64) -> LoadShape {
        let length = 15 * MINUTE;
        let power = move |slot: i64| {
            let local = slot * length + utc_offset;
            let hour = usize::try_from(local.rem_euclid(DAY) / HOUR).unwrap_or(0);
            let percent = DAY_SHAPE[hour.min(23)];
            let noise = 70 + i64::from(mix(seed, slot) % 61); // 70 % to 130 %
            base + (peak - base) * percent / 100 * noise / 100
        };
        LoadShape::Slots { length, power: Arc::new(power) }
    }

    /// What flows at `now`, where one count of the register is `count` large (see [`super::meter`]).
    pub(super) fn power_at(&self, now: Moment, count: CountSize) -> i64 {
        let power = match self {
            LoadShape::Constant(power) => *power,
            LoadShape::Steps(steps) => value_at(steps, now).unwrap_or(0),
            LoadShape::Slots { length, power } => power(now.0.div_euclid((*length).max(1))),
            LoadShape::Replay(series) => return replayed_power(series, now, count),
        };
        power.max(0)
    }

    /// What flowed after `from` up to `to`, in grains.
    pub(super) fn grains(&self, from: Moment, to: Moment, count: CountSize) -> i128 {
        let flow = |power: i64, from: i64, to: i64| i128::from(power.max(0)) * i128::from((to - from).max(0));
        let flowed = match self {
            LoadShape::Constant(power) => flow(*power, from.0, to.0),
            LoadShape::Steps(steps) => {
                let first = steps.partition_point(|(start, _)| *start <= from).saturating_sub(1);
                let steps = &steps[first.min(steps.len())..];
                let ends = steps.iter().skip(1).map(|(start, _)| start.0).chain([i64::MAX]);
                let within =
                    |((start, power), end): (&(Moment, i64), i64)| flow(*power, start.0.max(from.0), end.min(to.0));
                steps.iter().zip(ends).take_while(|((start, _), _)| *start < to).map(within).sum()
            }
            LoadShape::Slots { length, power } => {
                let length = (*length).max(1);
                let slots = from.0.div_euclid(length)..=to.0.div_euclid(length);
                let within =
                    |slot: i64| flow(power(slot), (slot * length).max(from.0), ((slot + 1) * length).min(to.0));
                slots.map(within).sum()
            }
            LoadShape::Replay(series) => {
                let first = series.first().map_or(0, |(_, count)| *count);
                let shown = |now| i128::from(value_at(series, now).unwrap_or(first));
                return (shown(to) - shown(from)) * count.grains;
            }
        };
        flowed * count.grains_per_flow
    }
}

/// How large one count is, in grains: the unit in which a register is integrated without remainder.
#[derive(Clone, Copy, Debug)]
pub(super) struct CountSize {
    /// Grains in a count.
    pub(super) grains: i128,
    /// Grains in a mW x microsecond.
    pub(super) grains_per_flow: i128,
}

/// The value in force at `now`: the last one whose moment is not after it.
fn value_at(series: &[(Moment, i64)], now: Moment) -> Option<i64> {
    let after = series.partition_point(|(moment, _)| *moment <= now);
    Some(series.get(after.checked_sub(1)?)?.1)
}

/// The mean flow between the counts around `now`.
fn replayed_power(series: &[(Moment, i64)], now: Moment, count: CountSize) -> i64 {
    let after = series.partition_point(|(moment, _)| *moment <= now);
    let (Some(before), Some(next)) = (after.checked_sub(1).and_then(|at| series.get(at)), series.get(after)) else {
        return 0;
    };
    let grains = i128::from(next.1 - before.1).max(0) * count.grains;
    let span = i128::from(next.0.since(before.0).max(1)) * count.grains_per_flow;
    i64::try_from(grains / span).unwrap_or(i64::MAX)
}

/// A number from a seed and a slot, the same on every machine (splitmix64).
fn mix(seed: u64, slot: i64) -> u32 {
    let mut z = seed ^ slot.cast_unsigned().wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    u32::try_from((z ^ (z >> 31)) >> 32).unwrap_or(0)
}
