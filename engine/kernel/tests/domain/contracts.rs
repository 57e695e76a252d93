//! Cases 24 and 26: who owes is decided by event time.

use std::sync::Arc;

use kernel::id::{AccountId, ContractId, TariffId};
use kernel::rate::{Contract, Versions};
use kernel::tariff::Household;
use kernel::tariff::TariffVersion;
use kernel::time::{HOUR, Moment};

use crate::support::driver::Driver;
use crate::support::scene::{Scene, count, epoch, single, terms};
use crate::support::zone::Zone;

fn at(time: &str) -> Moment {
    Zone::china().at(&format!("2026-11-20 {time}"))
}

fn contract(account: u32, from: &str, to: Option<&str>, versions: Vec<Arc<TariffVersion>>) -> Contract {
    Contract {
        id: ContractId(account),
        account: AccountId(account),
        valid_from: at(from),
        valid_to: to.map(at),
        household: Household::default(),
        pooled: false,
        versions: Versions::of(TariffId(1), versions),
    }
}

fn scene(contracts: Vec<Contract>) -> Scene {
    Scene {
        epochs: vec![epoch(1)],
        terms: terms(Zone::china().days("2026-11-19", "2026-11-22"), contracts),
        outages: Vec::new(),
    }
}

/// `(account or 0, milli-units, amount)` by account.
fn owed(scene: &Scene, rows: &[kernel::point::Row]) -> Vec<(u32, i64, String)> {
    let mut driver = Driver::new(scene);
    rows.iter().for_each(|row| driver.arrive(row));
    let mut owed: Vec<(u32, i64, kernel::money::Amount)> = Vec::new();
    for part in driver.finish(at("23:59")).parts {
        let account = part.account.map_or(0, |account| account.0);
        match owed.iter_mut().find(|line| line.0 == account) {
            Some(line) => (line.1, line.2) = (line.1 + part.quantity.0, line.2 + part.amount),
            None => owed.push((account, part.quantity.0, part.amount)),
        }
    }
    owed.into_iter().map(|(account, milli, amount)| (account, milli, format!("{amount:.2}"))).collect()
}

#[test]
fn case_24_the_mornings_readings_are_owed_by_the_tenant_of_the_morning_whenever_they_arrive() {
    let (old, new) = (single(1, at("00:00"), "0.50"), single(2, at("00:00"), "2.00"));
    let contracts = vec![contract(1, "00:00", Some("12:00"), vec![old]), contract(2, "12:00", None, vec![new])];
    let scene = scene(contracts);
    let rows: Vec<_> = (0..=6).map(|step| count(1, at("06:00").plus(step * 2 * HOUR), 100 + step * 100)).collect();
    let expected = vec![(1, 3_000, "1.50".to_owned()), (2, 3_000, "6.00".to_owned())];
    let evening_first: Vec<_> = rows[4..].iter().chain(&rows[..4]).copied().collect();
    for rows in [rows.clone(), evening_first, vec![rows[0], rows[6]]] {
        assert_eq!(owed(&scene, &rows), expected);
    }
}

#[test]
fn case_26_a_contract_that_ends_within_an_interval_is_charged_exactly_once_up_to_its_end() {
    let tariff = || vec![single(1, at("00:00"), "1.00")];
    for (name, contracts, expected) in [
        ("closed, then vacant", vec![contract(1, "00:00", Some("10:00"), tariff())], vec![(1, 2_000), (0, 4_000)]),
        (
            "vacant between two tenants",
            vec![contract(1, "00:00", Some("10:00"), tariff()), contract(2, "13:00", None, tariff())],
            vec![(1, 2_000), (0, 3_000), (2, 1_000)],
        ),
        ("vacant before the first", vec![contract(1, "13:00", None, tariff())], vec![(0, 5_000), (1, 1_000)]),
        ("vacant for ever", vec![], vec![(0, 6_000)]),
        ("ends at the reading", vec![contract(1, "00:00", Some("14:00"), tariff())], vec![(1, 6_000)]),
    ] {
        let scene = scene(contracts);
        let first = [count(1, at("08:00"), 0), count(1, at("14:00"), 600)];
        // The same interval as one, and as two readings of which the earlier comes late.
        let late = [first[0], first[1], count(1, at("10:00"), 200)];
        for rows in [&first[..], &late[..]] {
            let found: Vec<_> = owed(&scene, rows).into_iter().map(|(account, milli, _)| (account, milli)).collect();
            assert_eq!(found, expected, "{name}");
        }
        assert!(owed(&scene, &first).iter().all(|(account, _, amount)| *account != 0 || amount == "0.00"), "{name}");
    }
}
