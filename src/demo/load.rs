//! What flows through the demonstration's meters: shops that open in the morning, summers that cool, years that differ.
//! Integers and seeds only, so that two runs are alike.

use std::sync::Arc;

use ingest::simulated::{LoadShape, Power};
use kernel::id::Utility;
use kernel::time::{DAY, HOUR, LocalDate, MINUTE};

/// The demonstration's mall keeps China's time, which has no summer time.
pub(super) const UTC_OFFSET: i64 = 8 * HOUR;
/// Loads change every quarter of an hour.
pub(super) const SLOT: i64 = 15 * MINUTE;

/// How full a shop is, in percent of its peak, by hour of the day.
const SHOP: [i64; 24] = [8, 7, 7, 7, 7, 8, 12, 22, 45, 70, 85, 95, 100, 92, 85, 84, 88, 96, 100, 97, 88, 60, 22, 10];
/// Electricity by month: cooling in summer, some heating in winter.
const COOLING: [i64; 12] = [104, 98, 88, 82, 92, 116, 138, 142, 114, 88, 86, 98];
/// Gas by month: kitchens and winter.
const WARMTH: [i64; 12] = [150, 140, 115, 92, 80, 74, 70, 70, 78, 90, 118, 142];

/// The factors below together are at most 1.00 x 1.50 x 1.18 x 1.12 x 1.18 of the peak.
const MOST_PERCENT: i64 = 235;

/// The shape of a meter: mW for electricity, ml per hour for water and gas, never above `limit` of the same.
pub(super) fn shape(utility: Utility, seed: u64, limit: i64) -> LoadShape {
    LoadShape::Slots { length: SLOT, power: power(utility, seed, limit) }
}

fn power(utility: Utility, seed: u64, limit: i64) -> Power {
    // Shops use between a fifth and nine tenths of what their connection bears.
    let size = 20 + i64::try_from(mix(seed, 0) % 71).unwrap_or(0);
    let peak = limit / MOST_PERCENT * size;
    Arc::new(move |slot| {
        let local = slot.saturating_mul(SLOT).saturating_add(UTC_OFFSET);
        let days = i32::try_from(local.div_euclid(DAY)).unwrap_or(0);
        let (date, hour) = (LocalDate(days), usize::try_from(local.rem_euclid(DAY) / HOUR).unwrap_or(0));
        let (year, month, _) = date.ymd();
        let month = usize::from(month.clamp(1, 12) - 1);
        let season = match utility {
            Utility::Electricity | Utility::Heat => COOLING[month],
            Utility::Gas => WARMTH[month],
            Utility::Water => 100,
        };
        let weekend = if date.weekday() >= 5 { 118 } else { 100 };
        // Each shop's business goes its own way from year to year, and the mall's goes up: 90 % to 112 %.
        let trend = 4 * i64::from(year - 2024).clamp(0, 2);
        let year = 90 + i64::try_from(mix(seed, i64::from(year)) % 15).unwrap_or(0) + trend;
        let noise = 82 + i64::try_from(mix(seed, slot) % 37).unwrap_or(0);
        let factors = [SHOP[hour.min(23)], season, weekend, year, noise];
        factors.iter().fold(peak, |power, percent| power * percent / 100)
    })
}

/// SplitMix64 of a seed and a number: the same everywhere.
pub(super) fn mix(seed: u64, number: i64) -> u64 {
    let mut z = seed.wrapping_add(number.cast_unsigned().wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
