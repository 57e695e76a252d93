//! What rating over the lake gives is what the streaming writer charged: on a real data folder, with everything that
//! readings do.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::AsArray as _;
use arrow::datatypes::{Date32Type, Decimal128Type, Int8Type, Int16Type, Int32Type, Int64Type};
use arrow::record_batch::RecordBatch;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::StreamExt as _;
use kernel::batch::{Batch, Payload};
use kernel::epoch::ProfileFacts;
use kernel::id::{AccountId, MeterId, ServicePointId, TariffVersionId, Utility};
use kernel::money::{Amount, Price, Quantity};
use kernel::rate::Versions;
use kernel::reading::{Instruments, Reading, Value};
use kernel::tariff::TariffVersion;
use kernel::time::{DAY, HOUR, LocalDate, MINUTE, Moment};
use wal::clock::Clock;

use super::{Pair, Rated, Rating, RatingTable, Span, by_account, rate_span};
use crate::billing::correct::CorrectReading;
use crate::billing::lines::{ComponentName, LineKey, Sum};
use crate::billing::point::Setup;
use crate::billing::rerate::Sums;
use crate::engine::{Engine, Handle, Options};
use crate::query::{self, QuerySession};

/// 2025-12-31T23:00:00Z: midnight in Berlin.
const JANUARY: i64 = 1_767_222_000_000_000;
const DAYS: i64 = 120;

/// Four service points: one whose meter is replaced twice, while the old ones are still read; one whose transformer is
/// changed; one that stands empty for a while and changes hands; one of gas in kWh, whose calorific value and correction
/// change within hours.
const SITE: &str = r#"
[[site]]
name = "yard"
title = "Yard"
time_zone = "Europe/Berlin"
currency = "EUR"
from = 2026-01-01

[[tariff]]
name = "bands"
utility = "electricity"
[[tariff.version]]
valid_from = 2026-01-01
prices = { peak = "0.412345", flat = "0.31", valley = "0.1999" }
bands = { peak = ["17:30-21:00"], flat = ["06:00-17:30", "21:00-23:00"], valley = ["23:00-06:00"] }
tiers = { period = "monthly", bounds = ["100", "300"], surcharge = ["0", "0.05", "0.30"] }
[[tariff.version]]
valid_from = 2026-02-14T12:30:00
prices = { peak = "0.5", flat = "0.3", valley = "0.2" }
bands = { peak = ["18:00-21:00"], flat = ["06:00-18:00", "21:00-24:00"], valley = ["00:00-06:00"] }
tiers = { period = "monthly", bounds = ["100", "300"], surcharge = ["0", "0.05", "0.30"] }

[[tariff]]
name = "annual"
utility = "electricity"
[[tariff.version]]
valid_from = 2026-01-01
tiers = { period = "annual", reset = "02-01", bounds = ["320", "900"], prices = ["0.25", "0.35", "0.45"] }

[[account]]
name = "smith"
holder = "Smith"
[[account]]
name = "jones"
holder = "Jones"

[[service_point]]
name = "a/E"
utility = "electricity"
account = "smith"
tariff = "bands"
[[service_point]]
name = "b/E"
utility = "electricity"
account = "jones"
tariff = "annual"
[[service_point]]
name = "c/E"
utility = "electricity"
[[service_point.contract]]
account = "smith"
tariff = "annual"
until = 2026-02-10T08:20:00
[[service_point.contract]]
account = "jones"
tariff = "bands"
from = 2026-03-01

[[meter]]
serial = "E-1"
profile = "test"
service_point = "a/E"
opening_count = 0
until = 2026-02-20T10:00:00
closing_count = 21000
rating = "75 kW"
[[meter]]
serial = "E-2"
profile = "test"
service_point = "a/E"
from = 2026-02-20T10:00:00
opening_count = 500
until = 2026-03-25T04:00:00
rating = "75 kW"
[[meter]]
serial = "E-3"
profile = "test"
service_point = "a/E"
from = 2026-03-25T04:00:00
rating = "75 kW"
[[meter]]
serial = "E-4"
profile = "test"
[[meter.installation]]
service_point = "b/E"
ct = 2
[[meter.installation]]
service_point = "b/E"
ct = 3
from = 2026-03-10T15:10:00
[[meter]]
serial = "E-5"
profile = "test"
service_point = "c/E"
rating = "75 kW"

[[gas_quality]]
name = "area"
[[gas_quality.value]]
from = 2026-01-01
calorific_value = "39.5"
[[gas_quality.value]]
from = 2026-02-01
calorific_value = "39.123457"
[[gas_quality.value]]
from = 2026-02-10T07:20:00
calorific_value = "11.05 kWh/m3"

[[tariff]]
name = "gas"
utility = "gas"
unit = "kWh"
[[tariff.version]]
valid_from = 2026-01-01
prices = { peak = "0.12", flat = "0.10" }
bands = { peak = ["17:00-20:00"], flat = ["20:00-17:00"] }
tiers = { period = "monthly", bounds = ["9000"], surcharge = ["0", "0.011"] }
[[service_point]]
name = "d/G"
utility = "gas"
unit = "kWh"
account = "smith"
tariff = "gas"
[[service_point.conversion]]
gas_quality = "area"
correction = "1.02264"
[[service_point.conversion]]
from = 2026-03-20T15:40:00
calorific_value = "40.1"
correction = "0.987654"
[[meter]]
serial = "G-6"
profile = "gas"
service_point = "d/G"
"#;

/// Numbers from a seed (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    }
}

/// Readings of one meter: holes up to a month, glitches, resets, dates in the future, second values for some keys, and
/// usage intervals here and there.
fn readings(meter: u32, random: &mut Random) -> Vec<Reading> {
    let reading = |time: i64, value: Value| Reading {
        meter: MeterId(meter),
        time: Moment(time),
        value,
        instruments: Instruments::default(),
    };
    let (mut rows, mut time, mut count) = (Vec::new(), JANUARY, 100);
    while time < JANUARY + DAYS * DAY {
        let step = [15 * MINUTE, 30 * MINUTE, HOUR, 9 * HOUR, 2 * DAY, 33 * DAY]
            [[0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 3, 4][random.below(14)]];
        let step = if random.below(900) == 0 { 33 * DAY } else { step };
        count += i64::try_from(random.below(40)).unwrap() * (step / (15 * MINUTE));
        match random.below(60) {
            0 => rows.push(reading(time + step, Value::Register(count + 7))),
            1 => rows.push(reading(time + step / 2, Value::Register(99_999_999))),
            2 => rows.push(reading(time + step / 3, Value::Register(3))),
            3 => rows.push(reading(JANUARY + 300 * DAY + time % DAY, Value::Register(count))),
            4 => {
                let quantity = Quantity(count % 977);
                rows.push(reading(time + step / 2, Value::Usage { start: Moment(time), quantity }));
            }
            _ => {}
        }
        time += step;
        rows.push(reading(time, Value::Register(count)));
    }
    rows
}

fn clock() -> Clock {
    Clock::manual(Moment(JANUARY + (DAYS + 40) * DAY))
}

/// An engine that has taken all readings in a random order of pieces, some twice; the last pieces are hot.
async fn engine(folder: &Path, seed: u64) -> Engine {
    let engine = Engine::open(folder, Options::new(clock())).await.unwrap();
    let facts = ProfileFacts {
        name: "test".to_owned(),
        utility: Utility::Electricity,
        resolution_numerator: 10,
        resolution_denominator: 1,
        modulus: Some(100_000_000),
        jitter_counts: 2,
        max_rate: 57_600,
        primary: false,
        has_relay: true,
        signed: false,
    };
    let gas = ProfileFacts { name: "gas".to_owned(), utility: Utility::Gas, max_rate: 10_000, ..facts.clone() };
    let profiles = BTreeMap::from([(facts.name.clone(), facts), (gas.name.clone(), gas)]);
    engine.handle().apply(SITE, "site.toml", profiles, "test", false).await.unwrap().unwrap();
    let mut random = Random(seed);
    let mut pieces: Vec<Vec<Reading>> = Vec::new();
    for meter in 1..=6 {
        let rows = readings(meter, &mut random);
        pieces.extend(rows.chunks(400).map(<[Reading]>::to_vec));
    }
    let again = pieces[random.below(pieces.len())].clone();
    pieces.push(again);
    for last in (1..pieces.len()).rev() {
        pieces.swap(last, random.below(last + 1));
    }
    let filings = pieces.len() - pieces.len() / 4;
    for (index, piece) in pieces.iter().enumerate() {
        let mut batch = Batch { received_at: clock().now().0, ..Batch::default() };
        piece.iter().for_each(|row| batch.push(row));
        let seq = engine.appender().append(Payload::Readings(batch)).await.unwrap();
        engine.handle().settled(seq).await.unwrap().unwrap();
        if index < filings && index % 3 == 0 {
            engine.handle().file().await.unwrap().unwrap();
        }
    }
    engine
}

type Lines = BTreeMap<(ServicePointId, LineKey), Sum>;

/// Lines of batches with the columns of charges; those that add up to nothing are left out.
fn lines(batches: &[RecordBatch]) -> Lines {
    let mut lines = Lines::new();
    for batch in batches {
        let id = |name: &str| batch.column_by_name(name).unwrap().as_primitive::<Int32Type>().clone();
        let (points, accounts, versions) = (id("service_point_id"), id("account_id"), id("tariff_version_id"));
        let dates = batch.column_by_name("local_date").unwrap().as_primitive::<Date32Type>();
        let bands = batch.column_by_name("band").unwrap().as_primitive::<Int8Type>();
        let tiers = batch.column_by_name("tier").unwrap().as_primitive::<Int16Type>();
        let quantities = batch.column_by_name("quantity").unwrap().as_primitive::<Int64Type>();
        let amounts = batch.column_by_name("amount").unwrap().as_primitive::<Decimal128Type>();
        for row in 0..batch.num_rows() {
            let key = LineKey {
                account: AccountId(accounts.value(row).unsigned_abs()),
                date: LocalDate(dates.value(row)),
                version: TariffVersionId(versions.value(row).unsigned_abs()),
                band: bands.value(row).unsigned_abs(),
                tier: tiers.value(row).unsigned_abs(),
                component: ComponentName::ENERGY,
            };
            let sum = Sum { quantity: Quantity(quantities.value(row)), amount: Amount(amounts.value(row)) };
            let point = ServicePointId(points.value(row).unsigned_abs());
            lines.entry((point, key)).or_default().add(sum);
        }
    }
    lines.retain(|_, sum| !sum.is_zero());
    lines
}

async fn charged(handle: &Handle) -> Lines {
    let session = QuerySession::new(Arc::new(handle.clone()), query::Options::default()).unwrap();
    lines(&session.query("SELECT * FROM lake.charges").await.unwrap().batches)
}

fn pairs(handle: &Handle, pair: impl Fn(Arc<Setup>) -> Pair) -> Vec<Pair> {
    handle.registry().setups().cloned().map(pair).collect()
}

async fn rated(handle: &Handle, pairs: Vec<Pair>, span: Span) -> Vec<Rated> {
    let stream = rate_span(handle, pairs, span, clock().now(), 2).await.unwrap();
    stream.map(Result::unwrap).collect().await
}

fn of(rated: Vec<Rated>, pick: impl Fn(Rated) -> Sums) -> Lines {
    let lines = rated.into_iter().flat_map(|rated| {
        let id = rated.id;
        pick(rated).into_iter().map(move |(key, sum)| ((id, key), sum))
    });
    lines.filter(|(_, sum)| !sum.is_zero()).collect()
}

fn difference(new: &Lines, old: &Lines) -> Lines {
    let mut lines = new.clone();
    for (key, sum) in old {
        lines.entry(*key).or_default().add(Sum { quantity: -sum.quantity, amount: -sum.amount });
    }
    lines.retain(|_, sum| !sum.is_zero());
    lines
}

/// The same terms with every price a tenth dearer.
fn dearer(setup: &Setup) -> Arc<Setup> {
    let mut other = setup.clone();
    for contract in &mut other.terms.contracts {
        let dearer = contract.versions.iter().map(|version| {
            let mut version = TariffVersion::clone(version);
            version.prices.iter_mut().flatten().flatten().for_each(|price| *price = Price(price.0 + price.0 / 10));
            Arc::new(version)
        });
        contract.versions = Versions::of(contract.versions.tariff, dearer.collect());
    }
    Arc::new(other)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_lake_is_rated_to_is_what_the_stream_charged() {
    for seed in [1, 2, 3] {
        println!("seed {seed}");
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(folder.path(), seed).await;
        let handle = engine.handle();
        let charged = charged(&handle).await;
        assert!(charged.len() > 500, "{}", charged.len());
        assert!(charged.keys().any(|(_, key)| key.account == AccountId(0)), "a vacancy");
        let everything = rated(&handle, pairs(&handle, Pair::of), Span::ALL).await;
        assert!(everything.iter().all(|rated| rated.end.is_some()));
        assert_eq!(of(everything, |rated| rated.new), charged, "seed {seed}");
        // Spans in the middle, from stored states, on more threads than there is work for.
        let last = charged.keys().map(|(_, key)| key.date).max().unwrap();
        for (first, days) in [(31, 28), (40, 1), (58, 40), (0, 5), (70, 400)] {
            let first = LocalDate(LocalDate::new(2026, 1, 1).unwrap().0 + first);
            let span = Span { first, last: first.plus(days - 1).min(last) };
            let mut expected = charged.clone();
            expected.retain(|(_, key), _| span.first <= key.date && key.date <= span.last);
            let found = of(rated(&handle, pairs(&handle, Pair::of), span).await, |rated| rated.new);
            assert_eq!(found, expected, "seed {seed}, {} to {}", span.first, span.last);
            let same = pairs(&handle, |setup| Pair::between(Arc::clone(&setup), setup));
            assert!(rated(&handle, same, span).await.into_iter().all(|rated| rated.difference().is_empty()));
            // Other prices: the difference is what rating all by the one and all by the other differ by.
            let all = rated(&handle, pairs(&handle, |setup| Pair::of(dearer(&setup))), Span::ALL).await;
            let mut dear = of(all, |rated| rated.new);
            dear.retain(|(_, key), _| span.first <= key.date && key.date <= span.last);
            let between = pairs(&handle, |setup| Pair::between(Arc::clone(&setup), dearer(&setup)));
            let found = of(rated(&handle, between, span).await, Rated::difference);
            assert_eq!(found, difference(&dear, &expected), "seed {seed}, dearer");
        }
        engine.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_streams_the_same_lines_to_sql() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path(), 4).await;
    let handle = engine.handle();
    let charged = charged(&handle).await;
    let (snapshot, work) = handle.rating_work(pairs(&handle, Pair::of), Span::ALL).await.unwrap();
    let rating = Arc::new(Rating::new(snapshot, work, Span::ALL, clock().now()));
    let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(3));
    context.register_table("rated", Arc::new(RatingTable::new(Arc::clone(&rating)))).unwrap();
    let query = async |sql: &str| context.sql(sql).await.unwrap().collect().await.unwrap();
    assert_eq!(lines(&query("SELECT * FROM rated").await), charged);
    let sums = query("SELECT account_id, sum(amount) AS amount FROM rated GROUP BY 1 ORDER BY 1").await;
    let expected = by_account(&[charged.iter().fold(Sums::new(), |mut sums, ((_, key), sum)| {
        sums.entry(*key).or_default().add(*sum);
        sums
    })]);
    let amounts = sums.iter().flat_map(|batch| batch.column(1).as_primitive::<Decimal128Type>().values().to_vec());
    assert_eq!(amounts.collect::<Vec<_>>(), expected.values().map(|sum| sum.amount.0).collect::<Vec<_>>());
    let plan = query("EXPLAIN SELECT amount FROM rated").await;
    let text = arrow::util::pretty::pretty_format_batches(&plan).unwrap().to_string();
    assert!(text.contains("RatingExec: service_points=4"), "{text}");
    // Whoever no longer listens stops it.
    let mut taken = 0;
    rating
        .run(0, 1, &|| false, &mut |_| {
            taken += 1;
            true
        })
        .unwrap();
    assert_eq!(taken, 0);
    let mut stream = Arc::clone(&rating).stream(2);
    assert!(stream.next().await.is_some());
    drop(stream);
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_say_takes_the_place_of_readings_in_files_and_in_memory() {
    for seed in [5, 6] {
        println!("seed {seed}");
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(folder.path(), seed).await;
        let handle = engine.handle();
        let before = charged(&handle).await;
        let mut random = Random(seed);
        let rows: Vec<Vec<Reading>> = (1..=6).map(|meter| readings(meter, &mut random)).collect();
        // Another value, none at all, and one where no meter had said anything; some twice.
        let (mut values, mut voids, mut silent, mut again) = (0, 0, 0, Vec::new());
        for (index, row) in rows.iter().flatten().enumerate().filter(|(index, _)| index % 37 == 5) {
            let (time, value) = match (row.value, index % 3) {
                (Value::Register(count), 0) => (row.time, Some(Value::Register(count + 3))),
                (Value::Register(count), 1) => (row.time.plus(7 * MINUTE), Some(Value::Register(count + 1))),
                _ => (row.time, None),
            };
            let (reason, actor) = ("read by hand".to_owned(), "operator".to_owned());
            let asked = CorrectReading { meter: row.meter, time, value, reason, actor };
            if handle.correct(asked.clone()).await.unwrap().is_err() {
                // No installation holds it, or it is still to come.
                continue;
            }
            match (value, time == row.time) {
                (None, _) => voids += 1,
                (_, true) => values += 1,
                (_, false) => silent += 1,
            }
            if index % 5 == 0 {
                let value = value.is_none().then_some(Value::Register(77));
                handle.correct(CorrectReading { value, ..asked }).await.unwrap().unwrap();
            }
            again.push(*row);
        }
        assert!(values > 5 && voids > 5 && silent > 5, "{values} values, {voids} voids, {silent} silent");
        handle.file().await.unwrap().unwrap();
        // What was corrected is sent again, and stays hot: the correction still counts.
        let mut batch = Batch { received_at: clock().now().0, ..Batch::default() };
        again.iter().for_each(|row| batch.push(row));
        let seq = engine.appender().append(Payload::Readings(batch)).await.unwrap();
        handle.settled(seq).await.unwrap().unwrap();
        let charged = charged(&handle).await;
        assert_ne!(charged, before, "seed {seed}");
        let everything = rated(&handle, pairs(&handle, Pair::of), Span::ALL).await;
        assert_eq!(of(everything, |rated| rated.new), charged, "seed {seed}");
        for (first, days) in [(31, 28), (58, 40), (0, 5)] {
            let first = LocalDate(LocalDate::new(2026, 1, 1).unwrap().0 + first);
            let span = Span { first, last: first.plus(days - 1) };
            let mut expected = charged.clone();
            expected.retain(|(_, key), _| span.first <= key.date && key.date <= span.last);
            let found = of(rated(&handle, pairs(&handle, Pair::of), span).await, |rated| rated.new);
            assert_eq!(found, expected, "seed {seed}, {} to {}", span.first, span.last);
        }
        engine.close().await.unwrap();
    }
}
