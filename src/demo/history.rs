//! Twenty-six months of hourly registers as one wide CSV file, such as a head-end exports: a row an hour, a column a
//! meter, in the counts that each device shows.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use engine::registry::{Meter, Registry};
use ingest::simulated::LoadShape;
use kernel::id::MeterId;
use kernel::time::{HOUR, Moment};

use super::load::{SLOT, mix, shape};
use crate::call::{Failure, failed};

/// 1/1000 units x (mW or ml/h x microseconds) in one: see `ingest::simulated`.
const FLOW_PER_MILLI_UNIT: i128 = 3_600_000_000_000;

/// A meter of the demonstration with its load.
#[derive(Clone, Debug)]
pub(super) struct Metered {
    pub(super) meter: Meter,
    pub(super) load: LoadShape,
}

/// The demonstration's meters: those of the registry that are on a bus, each with a load that its connection bears.
pub(super) fn metered(registry: &Registry, now: Moment) -> Vec<Metered> {
    let of = |meter: &Meter| {
        let epoch = registry.epoch_at(meter.id, now)?;
        // What the device itself sees: P_max without CT and PT. 1/1000 unit per hour is 1,000 mW or ml per hour.
        let limit = i128::from(epoch.max_rate) * 1_000 * i128::from(meter.resolution.0) * i128::from(epoch.denominator)
            / (i128::from(epoch.numerator) * i128::from(meter.resolution.1));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        Some(Metered { meter: meter.clone(), load: shape(meter.utility, mix(u64::from(meter.id.0), 7), limit) })
    };
    registry.meters().filter(|meter| meter.bus.is_some()).filter_map(of).collect()
}

/// Writes the registers of every hour from `from` to `to`; gives rows x columns and the count that each meter ends with.
pub(super) fn write(
    path: &Path,
    metered: &[Metered],
    from: Moment,
    to: Moment,
) -> Result<(usize, BTreeMap<MeterId, i64>), Failure> {
    let fault = |error: std::io::Error| Failure(format!("cannot write {}: {error}", path.display()));
    let mut file = BufWriter::new(std::fs::File::create(path).map_err(fault)?);
    let mut line = "time".to_owned();
    for item in metered {
        line.push(',');
        line.push_str(&item.meter.serial);
    }
    writeln!(file, "{line}").map_err(fault)?;
    // Flow x time since the start, exact; the count is what the resolution makes of it.
    let mut flowed: Vec<i128> = vec![0; metered.len()];
    let start: Vec<i64> = metered.iter().map(|item| start_count(&item.meter)).collect();
    let mut last = BTreeMap::new();
    let (mut hour, mut values) = (from, 0);
    while hour <= to {
        line.clear();
        write!(line, "{hour}").map_err(failed)?;
        for (index, item) in metered.iter().enumerate() {
            let (numerator, denominator) = item.meter.resolution;
            let milli = flowed[index] * i128::from(denominator) / (FLOW_PER_MILLI_UNIT * i128::from(numerator));
            let count = start[index] + i64::try_from(milli).unwrap_or(0);
            write!(line, ",{count}").map_err(failed)?;
            last.insert(item.meter.id, count);
            values += 1;
            flowed[index] += flow(&item.load, hour, hour.plus(HOUR));
        }
        writeln!(file, "{line}").map_err(fault)?;
        hour = hour.plus(HOUR);
    }
    file.flush().map_err(fault)?;
    Ok((values, last))
}

fn start_count(meter: &Meter) -> i64 {
    i64::try_from(mix(u64::from(meter.id.0), 1) % 90_000).unwrap_or(0) + 10_000
}

/// Flow x microseconds from one whole slot's start to another's.
fn flow(load: &LoadShape, from: Moment, to: Moment) -> i128 {
    let LoadShape::Slots { power, .. } = load else { return 0 };
    let slots = from.0.div_euclid(SLOT)..to.0.div_euclid(SLOT);
    slots.map(|slot| i128::from(power(slot)) * i128::from(SLOT)).sum()
}
