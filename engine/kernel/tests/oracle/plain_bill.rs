//! The same bill in plain floating point, after the oracle's own restatement in Python: hour by hour, tiers filled in the
//! order of time. It shares nothing with the kernel.

use crate::files::{HOURS, Load, Month, Rate};

const DAYS: [usize; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

pub(crate) fn year(load: &Load, rate: &Rate) -> Vec<Month> {
    let mut months = vec![Month::default(); 12];
    let (mut hour, mut day) = (0, 0);
    for (month, days) in DAYS.into_iter().enumerate() {
        let mut used = 0.0;
        for _ in 0..days {
            // The first of January is a Monday.
            let schedule = if day % 7 >= 5 { &rate.weekend } else { &rate.weekday };
            for period in &schedule[month] {
                let mut rest = kwh(load.hours[hour].0);
                months[month].peak_kw = months[month].peak_kw.max(rest);
                for (tier, (bound, price)) in (1_u16..).zip(&rate.tiers[period]) {
                    let room = bound.map_or(f64::INFINITY, |bound| (kwh(bound.0) - used).max(0.0));
                    let take = rest.min(room);
                    if take > 0.0 {
                        months[month].energy += take * price.0 as f64 / 1e6;
                        *months[month].kwh.entry((*period, tier)).or_default() += take;
                        used += take;
                        rest -= take;
                    }
                }
                hour += 1;
            }
            day += 1;
        }
    }
    assert_eq!(hour, HOURS);
    months
}

fn kwh(milli: i64) -> f64 {
    milli as f64 / 1e3
}
