//! The kernel's bill: a contract under versions made of the oracle's rate, every hour an interval, demand a component.

use std::sync::Arc;

use kernel::calendar::{Calendar, DayType};
use kernel::component::bill::bill;
use kernel::component::demand::{Load as DemandLoad, Method, Window};
use kernel::component::facts::{Facts, Segment};
use kernel::component::month::{self, DayRun};
use kernel::component::{Charge, Component, DemandPrices};
use kernel::id::{AccountId, ContractId, TariffId, TariffVersionId};
use kernel::judge::Interval;
use kernel::money::{Amount, Quantity};
use kernel::rate::{Contract, Part, Terms, TierCounter, Versions};
use kernel::tariff::{Band, DayPlan, Household, MonthDay, Rule, TariffVersion, TierPeriod, Tiers};
use kernel::time::{DAY, HOUR, LocalDate, LocalMonth, Moment, SiteDay, SiteDays};

use crate::files::{HOURS, Load, Month, Rate};

/// The oracle's demand is the highest hour.
const HOURLY: Window = Window { minutes: 60, method: Method::Block };

fn start_of(date: LocalDate) -> Moment {
    Moment(i64::from(date.0) * DAY)
}

/// What a version needs to know of its periods: band `n` is period `periods[n]`.
struct Season {
    version: Arc<TariffVersion>,
    periods: Vec<u16>,
}

/// One version for each stretch of months with the same tiers: exact, because counters start anew each month.
fn seasons(rate: &Rate, year: i32) -> Vec<Season> {
    let mut seasons: Vec<Season> = Vec::new();
    let first = |month: usize| LocalMonth(year * 12 + i32::try_from(month).unwrap()).first_day();
    for month in 0..12 {
        if month > 0 && rate.bounds(month) == rate.bounds(month - 1) {
            continue;
        }
        let bounds = rate.bounds(month);
        let last = (month..12).take_while(|later| rate.bounds(*later) == bounds).last().unwrap();
        let mut periods: Vec<u16> =
            (month..=last).flat_map(|month| rate.weekday[month].iter().chain(&rate.weekend[month])).copied().collect();
        periods.sort_unstable();
        periods.dedup();
        let id = TariffVersionId(u32::try_from(seasons.len() + 1).unwrap());
        let version = version(rate, id, start_of(first(month)), month..=last, &periods);
        seasons.push(Season { version: Arc::new(version), periods });
    }
    seasons
}

fn version(
    rate: &Rate,
    id: TariffVersionId,
    valid_from: Moment,
    months: std::ops::RangeInclusive<usize>,
    periods: &[u16],
) -> TariffVersion {
    let band = |period: u16| Band::ALL[periods.iter().position(|known| *known == period).unwrap()];
    let plan = |hours: &[u16]| {
        let ranges: Vec<_> =
            (0_u16..).zip(hours).map(|(hour, period)| (hour * 60, hour * 60 + 60, band(*period))).collect();
        DayPlan::from_ranges(&ranges).unwrap()
    };
    let on = |month: usize, day| MonthDay { month: u8::try_from(month + 1).unwrap(), day };
    let mut rules = Vec::new();
    for month in months {
        for (hours, day_types) in [(&rate.weekday, vec![DayType::Workday]), (&rate.weekend, vec![DayType::Weekend])] {
            rules.push(Rule {
                from: on(month, 1),
                to: on(month, 31),
                day_types,
                named: Vec::new(),
                plan: plan(&hours[month]),
            });
        }
    }
    // The oracle knows no holidays, and other months are another version's.
    let rest = DayPlan::single(band(periods[0]));
    rules.push(Rule {
        from: on(0, 1),
        to: on(11, 31),
        day_types: DayType::ALL.to_vec(),
        named: Vec::new(),
        plan: rest,
    });
    let bounds: Vec<Quantity> = rate.tiers[&periods[0]].iter().filter_map(|(bound, _)| *bound).collect();
    let mut prices = vec![[None; Band::ALL.len()]; bounds.len() + 1];
    for period in periods {
        for (row, (_, price)) in prices.iter_mut().zip(&rate.tiers[period]) {
            row[band(*period) as usize] = Some(*price);
        }
    }
    let demand = |price| Component {
        name: "demand".to_owned(),
        charge: Charge::Demand { window: HOURLY, prices: DemandPrices::Whole(price) },
    };
    let version = TariffVersion {
        id,
        valid_from,
        rules,
        tiers: (!bounds.is_empty()).then_some(Tiers::plain(TierPeriod::Monthly, bounds)),
        prices,
        dynamic: None,
        components: rate.demand.map(demand).into_iter().collect(),
        reverse: kernel::tariff::Reverse::Ignore,
        source: rate.name.clone(),
    };
    assert_eq!(version.check(), Ok(()));
    version
}

/// Twelve months, exact until the last division.
pub(crate) fn year(load: &Load, rate: &Rate) -> Vec<Month> {
    let seasons = seasons(rate, load.year);
    let first = LocalDate::new(load.year, 1, 1).unwrap();
    let days = (0..365).map(|offset| {
        let date = first.plus(offset);
        SiteDay { date, start: start_of(date), end: start_of(date.plus(1)), wall_start: 0, jump: None }
    });
    let contract = Contract {
        id: ContractId(1),
        account: AccountId(1),
        valid_from: start_of(first),
        valid_to: None,
        household: Household::default(),
        pooled: false,
        versions: Versions::of(TariffId(1), seasons.iter().map(|season| season.version.clone()).collect()),
    };
    let days = Arc::new(SiteDays::new(days.collect()).unwrap());
    let terms = Terms {
        days,
        calendar: Arc::new(Calendar::default()),
        contracts: [contract].into(),
        conversion: Default::default(),
    };
    let hour = |index: usize| start_of(first).plus(i64::try_from(index).unwrap() * HOUR);
    let intervals: Vec<Interval> = (0..HOURS)
        .map(|index| Interval { from: hour(index), to: hour(index + 1), quantity: load.hours[index] })
        .collect();
    let (mut cell, mut counter, mut parts) = (None, TierCounter::default(), Vec::new());
    for interval in &intervals {
        terms.rate(interval, &mut cell, &mut counter, |part| parts.push(*part)).unwrap();
    }
    let demand = DemandLoad::of_intervals(intervals).unwrap();
    let first = first.month().0;
    (first..first + 12).map(|month| one_month(&terms, &seasons, &parts, &demand, LocalMonth(month))).collect()
}

fn one_month(terms: &Terms, seasons: &[Season], parts: &[Part], load: &DemandLoad, month: LocalMonth) -> Month {
    let parts: Vec<&Part> = parts.iter().filter(|part| part.date.month() == month).collect();
    let mut bill_of_month = Month::default();
    for part in &parts {
        let season = seasons.iter().find(|season| Some(season.version.id) == part.version).unwrap();
        let period = season.periods[part.band as usize];
        *bill_of_month.kwh.entry((period, part.tier)).or_default() += part.quantity.0 as f64 / 1e3;
    }
    let energy: Amount = parts.iter().map(|part| part.amount).sum();
    let whole = DayRun::whole(month);
    let from = terms.days.on(whole.first).unwrap().start;
    let to = from.plus(i64::from(whole.count) * DAY);
    let maxima = load.maxima(HOURLY, terms, from, to).unwrap();
    let segment = |(version, days): (Arc<TariffVersion>, DayRun)| {
        let of = || parts.iter().filter(|part| part.version == Some(version.id));
        let (quantity, amount) = (of().map(|part| part.quantity).sum(), of().map(|part| part.amount).sum());
        Segment { version, days, quantity, amount, sources: Vec::new() }
    };
    let versions = month::versions(terms, &terms.contracts[0], month).unwrap();
    let facts = Facts {
        month,
        closed: true,
        segments: versions.into_iter().map(segment).collect(),
        maxima: vec![(HOURLY, maxima)],
        capacity: None,
        reactive: None,
    };
    let demand: Amount = bill(&facts).unwrap().iter().map(|line| line.amount).sum();
    bill_of_month.energy = currency(energy);
    bill_of_month.demand = currency(demand);
    bill_of_month.peak_kw = maxima.whole.unwrap().demand.0 as f64 / 1e3;
    bill_of_month
}

fn currency(amount: Amount) -> f64 {
    amount.0 as f64 / 1e9
}
