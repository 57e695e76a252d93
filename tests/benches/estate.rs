//! A book of any size for benchmarks, written through the engine's own book in bulk: a site file of so many meters would
//! be hundreds of megabytes of text, and reading those is not what is measured.

#![allow(dead_code, reason = "each of those who share this uses a part of it")]

use std::path::Path;

use engine::book::bulk::{self, Cell};
use engine::book::{Book, Tx};
use kernel::calendar::DayType;
use kernel::epoch::Epoch;
use kernel::id::{EpochId, MeterId, ServicePointId, TariffVersionId};
use kernel::money::{Price, Quantity};
use kernel::tariff::{Band, DayPlan, MonthDay, Rule, TariffVersion, TierPeriod, Tiers};
use kernel::time::Moment;

/// 2025-01-01T00:00:00Z; in Shanghai it is 08:00.
pub(crate) const START: Moment = Moment(1_735_689_600_000_000);
/// Counts of 0.01 kWh.
const WH_PER_COUNT: i64 = 10;

/// Seven stretches a day in five bands, and three tiers by the month: as much as a real tariff asks of a rating.
fn version() -> TariffVersion {
    use Band::{DeepValley, Flat, Peak, Sharp, Valley};
    let day = [
        (0, 360, Valley),
        (360, 720, Flat),
        (720, 840, DeepValley),
        (840, 960, Flat),
        (960, 1_200, Peak),
        (1_200, 1_320, Sharp),
        (1_320, 1_440, Peak),
    ];
    let rule = Rule {
        from: MonthDay { month: 1, day: 1 },
        to: MonthDay { month: 12, day: 31 },
        day_types: DayType::ALL.to_vec(),
        named: Vec::new(),
        plan: DayPlan::from_ranges(&day).expect("a whole day"),
    };
    let prices = |surcharge: i64| {
        let mut row = [None; Band::ALL.len()];
        for (band, price) in
            [(Sharp, 1_210_000), (Peak, 980_000), (Flat, 650_000), (Valley, 330_000), (DeepValley, 250_000)]
        {
            row[band as usize] = Some(Price(price + surcharge));
        }
        row
    };
    TariffVersion {
        id: TariffVersionId(1),
        valid_from: Moment(0),
        rules: vec![rule],
        tiers: Some(Tiers::plain(TierPeriod::Monthly, vec![Quantity(180_000), Quantity(400_000)])),
        prices: vec![prices(0), prices(50_000), prices(300_000)],
        dynamic: None,
        components: Vec::new(),
        reverse: kernel::tariff::Reverse::Ignore,
        source: "a benchmark".into(),
    }
}

fn epoch(id: u32) -> Epoch {
    Epoch {
        id: EpochId(id),
        meter: MeterId(id),
        service_point: ServicePointId(id),
        numerator: WH_PER_COUNT,
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

async fn insert<'a, const N: usize>(tx: &mut Tx, head: &str, rows: impl IntoIterator<Item = [Cell<'a>; N]>) {
    bulk::insert(tx, &format!("INSERT INTO {head} VALUES"), "", rows).await.expect("the book takes rows");
}

/// A book of `meters` accounts in Shanghai, each with one service point and one meter.
pub(crate) async fn book(folder: &Path, meters: u32) -> (Book, TariffVersion) {
    let book = Book::create(folder, 7, START).await.expect("the folder takes a book");
    let version = version();
    let mut tx = book.begin().await.expect("a transaction begins");
    let none = || Cell::OptionalInt(None);
    let site: [Cell<'_>; 9] = [
        1_u32.into(),
        "estate".into(),
        "Estate".into(),
        "Asia/Shanghai".into(),
        "CNY".into(),
        none(),
        "shadow".into(),
        Cell::OptionalText(None),
        0_u32.into(),
    ];
    let columns = "sites (id, name, title, time_zone, currency, calendar_id, mode, webhook, created_at)";
    insert(&mut tx, columns, [site]).await;
    let tariff: [Cell<'_>; 5] = [1_u32.into(), "bands".into(), "electricity".into(), "CNY".into(), "kWh".into()];
    insert(&mut tx, "tariffs (id, name, utility, currency, unit)", [tariff]).await;
    let definition = serde_json::to_string(&version).expect("a version is plain data");
    let row: [Cell<'_>; 6] = [1_u32.into(), 1_u32.into(), 0_u32.into(), definition.into(), 0_u32.into(), none()];
    let columns = "tariff_versions (id, tariff_id, valid_from, definition, published_at, superseded_at)";
    insert(&mut tx, columns, [row]).await;
    let accounts = (1..=meters).map(|id| -> [Cell<'_>; 13] {
        [
            id.into(),
            1_u32.into(),
            format!("A-{id:07}").into(),
            format!("Holder {id}").into(),
            "prepaid".into(),
            none(),
            none(),
            "0.000000000".into(),
            1_u32.into(),
            Cell::OptionalText(None),
            0_u32.into(),
            0_u32.into(),
            none(),
        ]
    });
    let columns = "accounts (id, site_id, name, holder, kind, policy_id, location_id, credit_limit, cutoff_enabled, \
                   protected, confirmed_at, opened_at, closed_at)";
    insert(&mut tx, columns, accounts).await;
    let points = (1..=meters).map(|id| -> [Cell<'_>; 6] {
        [id.into(), 1_u32.into(), format!("P-{id:07}").into(), "electricity".into(), none(), "kWh".into()]
    });
    insert(&mut tx, "service_points (id, site_id, name, utility, location_id, unit)", points).await;
    let contracts = (1..=meters)
        .map(|id| -> [Cell<'_>; 7] { [id.into(), id.into(), id.into(), 1_u32.into(), 0_u32.into(), none(), none()] });
    let columns = "contracts (id, service_point_id, account_id, tariff_id, valid_from, valid_to, superseded_at)";
    insert(&mut tx, columns, contracts).await;
    let devices = (1..=meters).map(|id| -> [Cell<'_>; 13] {
        [
            id.into(),
            1_u32.into(),
            format!("M-{id:07}").into(),
            "acrel-adf400l".into(),
            "electricity".into(),
            "register".into(),
            10_u32.into(),
            1_u32.into(),
            format!("10.{}.{}.{}:502", id >> 16, (id >> 8) & 255, id & 255).into(),
            1_u32.into(),
            60_000_000_u32.into(),
            1_u32.into(),
            none(),
        ]
    });
    let columns = "meters (id, site_id, serial, profile, utility, kind, resolution_numerator, resolution_denominator, \
                   bus, unit, poll_micros, has_relay, rating_mw)";
    insert(&mut tx, columns, devices).await;
    let epochs = (1..=meters).map(|id| -> [Cell<'_>; 8] {
        let definition = serde_json::to_string(&epoch(id)).expect("an epoch is plain data");
        [id.into(), id.into(), id.into(), 0_u32.into(), none(), definition.into(), Cell::OptionalText(None), none()]
    });
    let columns = "epochs (id, meter_id, service_point_id, valid_from, valid_to, definition, reason, superseded_at)";
    insert(&mut tx, columns, epochs).await;
    tx.commit().await.expect("the book is written");
    (book, version)
}
