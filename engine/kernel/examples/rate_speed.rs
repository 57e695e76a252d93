//! Readings a second on one core: `cargo run --release -p meterledger-kernel --example rate_speed`.
//!
//! Many service points, their readings in event order as the log brings them (all points of one moment, then the next),
//! each through `Point::advance` on a table of eleven years of days. Time is the processor's where Linux tells it, so
//! that a busy machine does not change the figures.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use kernel::calendar::{Calendar, DayType};
use kernel::epoch::Epoch;
use kernel::id::{AccountId, ContractId, EpochId, MeterId, ServicePointId, TariffId, TariffVersionId};
use kernel::judge::Mark;
use kernel::money::{Amount, Price, Quantity};
use kernel::point::{Point, PointState, Row, Sink, Step};
use kernel::rate::{Contract, Part, Terms, Versions};
use kernel::reading::{Value, Verdict};
use kernel::tariff::{Band, DayPlan, Household, MonthDay, Rule, TariffVersion, TierPeriod, Tiers};
use kernel::time::{DAY, HOUR, LocalDate, MINUTE, Moment, SiteDay, SiteDays};

const POINTS: u32 = 200;
const EIGHT_HOURS: i64 = 8 * HOUR;

/// Sums, as the engine does.
#[derive(Default)]
struct Total {
    parts: u64,
    amount: Amount,
}

impl Sink for Total {
    fn part(&mut self, part: &Part) {
        self.parts += 1;
        self.amount += part.amount;
    }

    fn changed(&mut self, _: MeterId, _: Mark, _: Verdict) {}
}

fn terms(bands: &[(u16, u16, Band)], bounds: &[i64]) -> Terms {
    let first = LocalDate::new(2018, 1, 1).expect("a date");
    let days = (0..11 * 366).map(|offset| {
        let start = Moment(i64::from(first.0 + offset) * DAY - EIGHT_HOURS);
        SiteDay { date: first.plus(offset), start, end: start.plus(DAY), wall_start: 0, jump: None }
    });
    let rule = Rule {
        from: MonthDay { month: 1, day: 1 },
        to: MonthDay { month: 12, day: 31 },
        day_types: DayType::ALL.to_vec(),
        named: Vec::new(),
        plan: DayPlan::from_ranges(bands).expect("a whole day"),
    };
    let tiers = Tiers::plain(TierPeriod::Monthly, bounds.iter().copied().map(Quantity).collect());
    let version = TariffVersion {
        id: TariffVersionId(1),
        valid_from: Moment(0),
        rules: vec![rule],
        tiers: (!bounds.is_empty()).then_some(tiers),
        prices: vec![[Some(Price(612_345)); Band::ALL.len()]; bounds.len() + 1],
        dynamic: None,
        components: Vec::new(),
        reverse: kernel::tariff::Reverse::Ignore,
        source: String::new(),
    };
    version.check().expect("a sound tariff");
    let versions = Versions::of(TariffId(1), vec![Arc::new(version)]);
    let household = Household::default();
    let account = AccountId(1);
    let contract = Contract {
        id: ContractId(1),
        account,
        valid_from: Moment(0),
        valid_to: None,
        household,
        pooled: false,
        versions,
    };
    let days = Arc::new(SiteDays::new(days.collect()).expect("consecutive days"));
    Terms {
        days,
        calendar: Arc::new(Calendar::default()),
        contracts: [contract].into(),
        conversion: Default::default(),
    }
}

fn epoch(id: u32) -> Epoch {
    Epoch {
        id: EpochId(id),
        meter: MeterId(id),
        service_point: ServicePointId(id),
        numerator: 10,
        denominator: 1,
        modulus: Some(100_000_000),
        opening_count: None,
        closing_count: None,
        jitter_counts: 2,
        max_rate: 60_000,
        signed: false,
        converts: false,
        valid_from: Moment(0),
        valid_to: None,
    }
}

/// Nanoseconds that this thread has run, or since `began` where the system does not say.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn nanos(began: &mut Option<Instant>) -> u64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    told.and_then(|text| text.split(' ').next()?.parse().ok()).unwrap_or_else(|| {
        let elapsed = began.get_or_insert_with(Instant::now).elapsed();
        u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
    })
}

/// Readings a second for `moments` readings of each point, `step` apart, each `counts` above the one before.
fn measure(name: &str, terms: &Terms, step: i64, counts: i64, moments: i64) {
    let epochs: Vec<Vec<Epoch>> = (0..POINTS).map(|id| vec![epoch(id)]).collect();
    let mut states = vec![(PointState::default(), None); epochs.len()];
    let start = Moment(1_514_764_800_000_000);
    let mut total = Total::default();
    let mut clock = None;
    let began = nanos(&mut clock);
    for moment in 0..moments {
        let time = start.plus(moment * step);
        for (epochs, (state, cell)) in epochs.iter().zip(&mut states) {
            let value = Value::Register((moment * counts) % 100_000_000);
            let row = Row { meter: epochs[0].meter, time, received_at: time, value };
            let step = Point { epochs, terms, outages: &[], beside: &[] }.advance(
                state,
                cell,
                None,
                black_box(&row),
                &mut total,
            );
            assert!(matches!(step, Step::Judged(Verdict::Accepted | Verdict::Opening)));
        }
    }
    let elapsed = (nanos(&mut clock) - began).max(1);
    let readings = u64::from(POINTS) * u64::try_from(moments).expect("a count");
    let per_second = readings * 1_000_000_000 / elapsed;
    let tenths = elapsed * 10 / readings;
    let (each, parts, amount) = (format!("{}.{} ns", tenths / 10, tenths % 10), total.parts, black_box(total.amount));
    println!("{name:44} {per_second:>10} readings/s  {each:>9} each  {parts} parts  {amount}");
}

fn main() {
    use Band::{DeepValley, Flat, Peak, Sharp, Single, Valley};
    let single = terms(&[(0, 1_440, Single)], &[]);
    let flat = terms(&[(0, 1_440, Flat)], &[]);
    let hubei = [
        (0, 360, Valley),
        (360, 720, Flat),
        (720, 840, DeepValley),
        (840, 960, Flat),
        (960, 1_200, Peak),
        (1_200, 1_320, Sharp),
        (1_320, 1_440, Peak),
    ];
    let tiers = terms(&hubei, &[180_000, 400_000]);
    let bands = terms(&hubei, &[]);
    for (name, terms) in
        [("one price", &single), ("one band", &flat), ("five bands", &bands), ("five bands, three tiers", &tiers)]
    {
        measure(&format!("{name}, hourly"), terms, HOUR, 83, 3 * 8_766);
        measure(&format!("{name}, every 15 minutes"), terms, 15 * MINUTE, 21, 12 * 8_766);
    }
}
