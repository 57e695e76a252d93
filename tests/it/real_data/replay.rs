//! A real home's minutes through real Modbus TCP on loopback, by a clock that runs a day in a second.

use std::time::Duration;

use ingest::field::{Field, FieldEvent, Settings};
use ingest::profile::find;
use ingest::simulated::{LoadShape, SimulatedField, SimulatedMeter, on_buses};
use kernel::id::MeterId;
use kernel::reading::{Contact, Value};
use kernel::time::{HOUR, MINUTE, Moment};
use tokio::sync::mpsc;
use wal::clock::Clock;

use super::cambridge::shared;
use super::source::minutes;

const FILE: &str = "uci/uci_household_1min_200612_200701.parquet";
/// 2006-12-16 17:24, when the source begins.
const START: Moment = Moment(1_166_289_840_000_000);
/// A day in a second.
const SPEED: u32 = 86_400;
/// Before the first minute and after the last, so that both ends are read.
const MARGIN: i64 = 6 * HOUR;
/// Wh in a count of both models.
const COUNT: i64 = 10;
/// Far beyond the 34 s that it takes.
const PATIENCE: Duration = Duration::from_secs(240);

#[test]
fn a_month_of_real_minutes_through_modbus_is_the_source_to_one_register_count() {
    let Some(file) = shared(FILE) else {
        eprintln!("PASSED OVER: {FILE} is not here; set METERLEDGER_SHARED_DATA");
        return;
    };
    let watts = minutes(&file);
    assert_eq!(watts.len(), 48_424);
    let used: i64 = watts.iter().sum::<i64>() / 60;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for (model, first, last) in runtime.block_on(replay(&watts)) {
        let counted = (last - first) * COUNT;
        assert!((counted - used).abs() <= COUNT, "{model}: {counted} Wh by register, {used} Wh by the source");
    }
}

/// The register after each minute, from `first` on.
fn registers(watts: &[i64], first: i64) -> Vec<(Moment, i64)> {
    let mut watt_minutes = 0;
    let mut series = vec![(START, first)];
    for (minute, power) in (1..).zip(watts) {
        watt_minutes += power;
        series.push((START.plus(MARGIN + minute * MINUTE), first + watt_minutes / 60 / COUNT));
    }
    series
}

/// Polls two models that replay the minutes; gives the first and the last count that each was read with.
async fn replay(watts: &[i64]) -> Vec<(&'static str, i64, i64)> {
    let models = [("acrel-adf400l", 4_000_000), ("eastron-sdm630", 81_000)];
    let meters = (1..).zip(models).map(|(id, (model, first))| SimulatedMeter {
        meter: MeterId(id),
        serial: model.to_owned(),
        profile: find(model).unwrap(),
        unit: 1,
        load: LoadShape::Replay(registers(watts, first)),
        start_count: first,
        contact: Contact::Closed,
    });
    let end = START.plus(2 * MARGIN + i64::try_from(watts.len()).unwrap() * MINUTE);
    let clock = Clock::running(START, SPEED);
    let simulated = SimulatedField::start(on_buses(meters.collect(), 1), clock.clone()).await.unwrap();
    let (out, mut events) = mpsc::channel(64);
    let field = Field::start(simulated.ports(HOUR), clock, out, Settings::default()).unwrap();
    let mut counts = vec![Vec::new(); models.len()];
    let mut done = vec![false; models.len()];
    let reading = async {
        while !done.iter().all(|done| *done) {
            let Some(event) = events.recv().await else { panic!("the field has stopped") };
            let FieldEvent::Readings(batch) = event else { continue };
            for reading in (0..batch.len()).map(|row| batch.reading(row)) {
                let Value::Register(count) = reading.value else { panic!("{reading:?} is no register") };
                let place = usize::try_from(reading.meter.0).unwrap() - 1;
                counts[place].push(count);
                done[place] |= reading.time > end;
            }
        }
    };
    assert!(tokio::time::timeout(PATIENCE, reading).await.is_ok(), "the replay does not come to its end");
    field.shutdown().await;
    simulated.shutdown().await;
    for (counts, (model, _)) in counts.iter().zip(models) {
        assert!(counts.is_sorted(), "{model}: a register never falls");
        assert!(counts.len() > 100, "{model}: only {} readings", counts.len());
    }
    models.iter().zip(counts).map(|((model, _), counts)| (*model, counts[0], counts[counts.len() - 1])).collect()
}
