//! A small mall and a house in Berlin, rated by the kernel itself: what the fixture writes down.
//!
//! Mall (UTC+8): account A-101 with electricity (register x 40, a glitch, jitter, a wrap) and water (meter replaced,
//! 3,200 pulses per m3 afterwards); account B-202 with electricity (imported usage, tiers and bands, a year apart; the
//! tenant leaves at 12:30, A-101 takes over at 18:20). Berlin: usage over the night when the clocks go forward, with a
//! band switch at 02:30, which that night has not.

use std::collections::BTreeMap;
use std::sync::Arc;

use kernel::calendar::{Calendar, DayType};
use kernel::epoch::Epoch;
use kernel::history::History;
use kernel::id::{AccountId, ContractId, EpochId, MeterId, ServicePointId, TariffId, TariffVersionId};
use kernel::money::{Amount, Price, Quantity};
use kernel::point::{Point, PointState, Row, Sink, Step};
use kernel::rate::{Contract, Part, Terms, Versions};
use kernel::reading::{Value, Verdict};
use kernel::tariff::{Band, DayPlan, Household, MonthDay, PriceRow, Rule, TariffVersion, TierPeriod, Tiers};
use kernel::time::{DAY, HOUR, LocalDate, MINUTE, Moment, SiteDay, SiteDays, WallRun};

/// 00:00 of the mall's local day, in microseconds UTC.
pub(crate) fn mall(year: i32, month: u8, day: u8) -> i64 {
    i64::from(LocalDate::new(year, month, day).unwrap().0) * DAY - 8 * HOUR
}

/// The mall's local days: UTC+8 the whole year.
pub(crate) fn mall_days() -> SiteDays {
    let first = LocalDate::new(2025, 1, 1).unwrap();
    let day = |offset| {
        let date = first.plus(offset);
        let start = Moment(i64::from(date.0) * DAY - 8 * HOUR);
        SiteDay { date, start, end: start.plus(DAY), wall_start: 0, jump: None }
    };
    SiteDays::new((0..800).map(day).collect()).unwrap()
}

/// Berlin from 2026-03-27 to 2026-03-31: the 29th has 23 hours.
pub(crate) fn berlin_days() -> SiteDays {
    let date = |day| LocalDate::new(2026, 3, day).unwrap();
    let utc = |day: u8, hour: i64| Moment(i64::from(date(day).0) * DAY + hour * HOUR);
    let plain = |day, start, end| SiteDay { date: date(day), start, end, wall_start: 0, jump: None };
    let jump = Some(WallRun { start: utc(29, 1), wall: 3 * HOUR });
    let change = SiteDay { date: date(29), start: utc(28, 23), end: utc(29, 22), wall_start: 0, jump };
    SiteDays::new(vec![
        plain(27, utc(26, 23), utc(27, 23)),
        plain(28, utc(27, 23), utc(28, 23)),
        change,
        plain(30, utc(29, 22), utc(30, 22)),
    ])
    .unwrap()
}

pub(crate) fn calendar() -> Calendar {
    let national = (1..=7).filter_map(|day| LocalDate::new(2026, 10, day)).map(|date| (date, DayType::Holiday));
    Calendar { name: "cn".to_owned(), exceptions: national.collect(), ..Calendar::default() }
}

fn rule(day_types: &[DayType], ranges: &[(u16, u16, Band)]) -> Rule {
    Rule {
        from: MonthDay { month: 1, day: 1 },
        to: MonthDay { month: 12, day: 31 },
        day_types: day_types.to_vec(),
        named: Vec::new(),
        plan: DayPlan::from_ranges(ranges).unwrap(),
    }
}

fn version(id: u32, from: i64, rules: Vec<Rule>, bounds: &[i64], prices: &[[Option<i64>; 6]]) -> Arc<TariffVersion> {
    let tiers =
        (!bounds.is_empty()).then(|| Tiers::plain(TierPeriod::Monthly, bounds.iter().copied().map(Quantity).collect()));
    let row = |row: &[Option<i64>; 6]| {
        let mut whole = PriceRow::default();
        whole.iter_mut().zip(row).for_each(|(place, price)| *place = price.map(Price));
        whole
    };
    let prices = prices.iter().map(row).collect();
    let valid_from = Moment(from);
    let version = TariffVersion {
        id: TariffVersionId(id),
        valid_from,
        rules,
        tiers,
        prices,
        dynamic: None,
        components: Vec::new(),
        reverse: kernel::tariff::Reverse::Ignore,
        source: "fixture".to_owned(),
    };
    version.check().unwrap();
    Arc::new(version)
}

/// Tariff -> its versions. 1 commercial (a second version from 00:07 on 2026-10-01), 2 water, 3 residential, 4 Berlin.
pub(crate) fn tariffs() -> BTreeMap<u32, (&'static str, &'static str, Vec<Arc<TariffVersion>>)> {
    let bands = [
        (0, 480, Band::Valley),
        (480, 720, Band::Peak),
        (720, 1200, Band::Flat),
        (1200, 1320, Band::Sharp),
        (1320, 1440, Band::Flat),
    ];
    let commercial = || {
        vec![
            rule(&[DayType::Workday, DayType::Weekend], &bands),
            rule(&[DayType::Holiday], &[(0, 480, Band::Valley), (480, 1440, Band::Flat)]),
        ]
    };
    let prices = |sharp, peak, flat, valley| [None, Some(sharp), Some(peak), Some(flat), Some(valley), None];
    let single = || vec![rule(&DayType::ALL, &[(0, 1440, Band::Single)])];
    let night = || vec![rule(&DayType::ALL, &[(150, 1350, Band::Peak), (1350, 150, Band::Valley)])];
    let long_ago = mall(2025, 1, 1);
    BTreeMap::from([
        (
            1,
            (
                "commercial",
                "electricity",
                vec![
                    version(1, long_ago, commercial(), &[], &[prices(1_335_999, 1_133_999, 735_686, 337_373)]),
                    version(
                        2,
                        mall(2026, 10, 1) + 7 * MINUTE,
                        commercial(),
                        &[],
                        &[prices(1_400_001, 1_200_003, 780_007, 350_009)],
                    ),
                ],
            ),
        ),
        (
            2,
            (
                "water",
                "water",
                vec![version(3, long_ago, single(), &[], &[[Some(3_250_000), None, None, None, None, None]])],
            ),
        ),
        (
            3,
            (
                "residential",
                "electricity",
                vec![version(
                    4,
                    long_ago,
                    night(),
                    &[20_000, 40_000],
                    &[
                        [None, None, Some(568_300), None, Some(358_300), None],
                        [None, None, Some(618_300), None, Some(408_300), None],
                        [None, None, Some(868_300), None, Some(658_300), None],
                    ],
                )],
            ),
        ),
        (
            4,
            (
                "berlin",
                "electricity",
                vec![version(
                    5,
                    i64::from(LocalDate::new(2026, 3, 27).unwrap().0) * DAY,
                    night(),
                    &[],
                    &[[None, None, Some(401_234), None, Some(298_765), None]],
                )],
            ),
        ),
    ])
}

/// Service point, account, tariff, from, to.
pub(crate) fn contracts() -> Vec<(u32, u32, u32, i64, Option<i64>)> {
    let old = mall(2025, 2, 1);
    let noon = mall(2026, 10, 2) + 12 * HOUR + 30 * MINUTE;
    vec![
        (1, 1, 1, old, None),
        (2, 1, 2, old, None),
        (3, 2, 3, old, Some(noon)),
        (3, 1, 3, noon + 350 * MINUTE, None),
        (4, 3, 4, mall(2026, 3, 1), None),
    ]
}

pub(crate) fn epochs() -> Vec<Epoch> {
    let epoch = |id: u32, meter: u32, point: u32, numerator, denominator, from, to| Epoch {
        id: EpochId(id),
        meter: MeterId(meter),
        service_point: ServicePointId(point),
        numerator,
        denominator,
        modulus: Some(100_000_000),
        opening_count: None,
        closing_count: None,
        jitter_counts: 2,
        max_rate: 400_000,
        signed: false,
        converts: false,
        valid_from: Moment(from),
        valid_to: to,
    };
    let swap = mall(2026, 9, 30) + 10 * HOUR + 15 * MINUTE;
    let old = mall(2025, 2, 1);
    vec![
        epoch(1, 1, 1, 400, 1, old, None),
        Epoch { closing_count: Some(543_300), ..epoch(2, 2, 2, 1, 1, old, Some(Moment(swap))) },
        Epoch { opening_count: Some(1_230), ..epoch(3, 4, 2, 1_000, 3_200, swap, None) },
        epoch(4, 3, 3, 1, 1, old, None),
        epoch(5, 5, 4, 1, 1, mall(2026, 3, 1), None),
    ]
}

/// All readings in the order of event time, by service point.
fn readings(point: u32) -> Vec<Row> {
    let register = |meter, time, count| Row {
        meter: MeterId(meter),
        time: Moment(time),
        received_at: Moment(time + 1_000_000),
        value: Value::Register(count),
    };
    let usage = |meter, start: i64, span: i64, quantity| Row {
        meter: MeterId(meter),
        time: Moment(start + span),
        received_at: Moment(start + span + HOUR),
        value: Value::Usage { start: Moment(start), quantity: Quantity(quantity) },
    };
    let start = mall(2026, 9, 28);
    match point {
        // Every 37 minutes for five days and a half, 3 to 9 counts of 0.4 kWh; the register wraps on the way.
        1 => {
            let mut count = 99_999_700_i64;
            let mut rows = Vec::new();
            for step in 0..214_i64 {
                count = (count + 3 + step % 7) % 100_000_000;
                let shown = match step {
                    40 => 12_345_678,
                    // One count below the reading before.
                    90 => count - 4 - step % 7,
                    _ => count,
                };
                rows.push(register(1, start + 10 * MINUTE + step * 37 * MINUTE, shown));
            }
            rows
        }
        // Litres hourly, then pulses of another meter.
        2 => {
            let mut rows: Vec<Row> = (0..58).map(|hour| register(2, start + hour * HOUR, 543_000 + hour * 5)).collect();
            rows.extend((60..132).map(|hour| register(4, start + hour * HOUR, 1_230 + (hour - 58) * 7)));
            rows
        }
        3 => {
            let year_before = mall(2025, 9, 30);
            let mut rows: Vec<Row> =
                (0..72).map(|hour| usage(3, year_before + hour * HOUR, HOUR, 300 + hour % 5)).collect();
            rows.extend((0..132).map(|hour| usage(3, start + hour * HOUR, HOUR, 400 + hour * 7 % 50)));
            rows
        }
        4 => {
            let night = i64::from(LocalDate::new(2026, 3, 28).unwrap().0) * DAY;
            (0..6).map(|step| usage(5, night + step * 7 * HOUR, 7 * HOUR, 1_001 + step)).collect()
        }
        _ => Vec::new(),
    }
}

/// Service point, account, local day, band, tier, tariff version.
pub(crate) type LineKey = (u32, u32, LocalDate, Band, u16, u32);

/// What the kernel made of everything.
pub(crate) struct Rated {
    pub(crate) rows: Vec<(Row, Verdict)>,
    pub(crate) lines: BTreeMap<LineKey, (Quantity, Amount)>,
    pub(crate) states: BTreeMap<u32, PointState>,
}

struct Lines<'a> {
    point: u32,
    lines: &'a mut BTreeMap<LineKey, (Quantity, Amount)>,
    changed: Vec<(MeterId, Moment, Verdict)>,
}

impl Sink for Lines<'_> {
    fn part(&mut self, part: &Part) {
        if let (Some(AccountId(account)), Some(TariffVersionId(version))) = (part.account, part.version) {
            let key = (self.point, account, part.date, part.band, part.tier, version);
            let line = self.lines.entry(key).or_default();
            line.0 += part.quantity;
            line.1 += part.amount;
        }
    }

    fn changed(&mut self, meter: MeterId, mark: kernel::judge::Mark, verdict: Verdict) {
        self.changed.push((meter, mark.time, verdict));
    }
}

/// Rates all readings with the kernel.
pub(crate) fn rate() -> Rated {
    let tariffs = tariffs();
    let mut rated = Rated { rows: Vec::new(), lines: BTreeMap::new(), states: BTreeMap::new() };
    for point in 1..=4 {
        let days = Arc::new(if point == 4 { berlin_days() } else { mall_days() });
        let contracts = contracts().into_iter().filter(|contract| contract.0 == point);
        let contracts = contracts.map(|(_, account, tariff, from, to)| Contract {
            id: ContractId(account),
            account: AccountId(account),
            valid_from: Moment(from),
            valid_to: to.map(Moment),
            household: Household::default(),
            pooled: false,
            versions: Versions::of(TariffId(tariff), tariffs[&tariff].2.clone()),
        });
        let terms = Terms {
            days,
            calendar: Arc::new(calendar()),
            contracts: contracts.collect(),
            conversion: Default::default(),
        };
        let epochs: Vec<Epoch> = epochs().into_iter().filter(|epoch| epoch.service_point.0 == point).collect();
        let kernel_point = Point { epochs: &epochs, terms: &terms, outages: &[], beside: &[] };
        let mut history = History::default();
        let mut state = PointState::default();
        let mut cell = None;
        let mut sink = Lines { point, lines: &mut rated.lines, changed: Vec::new() };
        let first = rated.rows.len();
        for row in readings(point) {
            let step = kernel_point.advance(&mut state, &mut cell, Some(&mut history), &row, &mut sink);
            let Step::Judged(verdict) = step else {
                panic!("the fixture is in order");
            };
            rated.rows.push((row, verdict));
        }
        for (meter, time, verdict) in sink.changed {
            let changed = rated.rows[first..].iter_mut().find(|(row, _)| row.meter == meter && row.time == time);
            changed.unwrap().1 = verdict;
        }
        if point == 4 {
            let (row, _) = rated.rows[first];
            rated.rows.push((row, Verdict::Duplicate));
        }
        rated.states.insert(point, state);
    }
    rated
}
