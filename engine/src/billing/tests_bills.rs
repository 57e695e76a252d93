//! Bills of a tariff that is tried against those of a close: the same facts, the same amounts.

use std::collections::BTreeMap;

use kernel::calendar::Calendar;
use kernel::component::power_factor::{PowerFactor, PowerFactorStep};
use kernel::component::share::Rate;
use kernel::component::{Charge, Component};
use kernel::id::AccountId;
use kernel::money::{Amount, Price};
use kernel::tariff::TariffVersion;
use kernel::time::LocalMonth;

use super::apply::{apply, opened};
use super::components::{ALL, COMPONENTS, SITE, march, proven, readings, site};
use super::periods::close;
use super::{clock, send};
use crate::engine::Engine;
use crate::rating::Span;
use crate::rating::bills::Lack;
use crate::rating::simulate::{Against, Simulated, Simulation};

const MARCH: &str = "2026-03";

/// The version that is published.
fn published(engine: &Engine) -> TariffVersion {
    let registry = engine.handle().registry();
    registry.tariff_named("power").unwrap().versions[0].as_ref().clone()
}

/// March of all accounts, by a version.
async fn tried(engine: &Engine, version: TariffVersion) -> Simulation {
    let registry = engine.handle().registry();
    let power = registry.tariff_named("power").unwrap();
    let month = LocalMonth::parse(MARCH).unwrap();
    let asked = Simulated {
        utility: power.utility,
        unit: power.unit,
        version,
        calendar: Calendar::default(),
        against: Against::Accounts(registry.accounts().map(|account| account.id).collect()),
        span: Span { first: month.first_day(), last: LocalMonth(month.0 + 1).first_day().plus(-1) },
        points_max: usize::MAX,
    };
    engine.handle().simulate(&asked, clock().now(), 2).await.unwrap()
}

/// What each account owes by one side.
fn owed(simulation: &Simulation, new: bool) -> BTreeMap<AccountId, Amount> {
    let amount = |bills: &crate::rating::simulate::Bills| if new { bills.new.amount() } else { bills.old.amount() };
    simulation.bills.iter().map(|((account, _), bills)| (*account, amount(bills))).collect()
}

/// What was charged, by account.
async fn charged(engine: &Engine) -> BTreeMap<AccountId, Amount> {
    let mut accounts = BTreeMap::new();
    for (name, sum) in march(engine).await {
        let account = AccountId(if name.starts_with("smith") { 1 } else { 2 });
        *accounts.entry(account).or_insert(Amount::ZERO) += Amount::parse(&sum).unwrap();
    }
    accounts
}

/// The first tenant leaves on the 10th and comes back on the 20th; who lives there between takes the month's maximum.
fn back_again() -> String {
    let power = |account: &str, dates: &str| {
        format!(
            "account = \"{account}\"\ntariff = \"power\"\ncapacity = \"0.4\"\nsources = {{ water = \"a/W\" }}\n{dates}\n"
        )
    };
    let next = "[[service_point.contract]]\n";
    let contracts = power("smith", "until = 2026-03-10")
        + next
        + &power("jones", "from = 2026-03-10\nuntil = 2026-03-20")
        + next
        + &power("smith", "from = 2026-03-20");
    let first = SITE.find("account = \"smith\"\ntariff = \"power\"").unwrap();
    let end = first + SITE[first..].find("END\n").unwrap();
    let text = format!("{}{contracts}{}", &SITE[..first], &SITE[end + 4..]);
    text.replace("COMPONENTS", COMPONENTS).replace("VERSION", "").replace("END", "")
}

#[tokio::test]
async fn both_sides_are_what_a_close_charges_where_the_tariff_stays_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let engine = opened(folder.path(), &site("")).await;
    send(&engine, &readings(0..ALL)).await;
    let simulation = tried(&engine, published(&engine)).await;
    assert_eq!(close(&engine, MARCH).await, "");
    let charged = charged(&engine).await;
    assert_eq!((owed(&simulation, false), owed(&simulation, true)), (charged.clone(), charged.clone()));
    assert_eq!(simulation.lacks, BTreeMap::new());
    for (name, both) in &simulation.components {
        assert_eq!(both.old, both.new, "{name}");
    }
    assert_eq!(simulation.components["peak"].new, Amount::parse("3.40").unwrap());
    // Closed or open, whole or restarted: the lake says the same.
    engine.handle().file().await.unwrap().unwrap();
    assert_eq!(owed(&tried(&engine, published(&engine)).await, true), charged);
    engine.close().await.unwrap();
}

#[tokio::test]
async fn a_tariff_with_other_components_is_billed_by_them_and_names_what_it_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let engine = opened(folder.path(), &site("")).await;
    send(&engine, &readings(0..ALL)).await;
    let mut version = published(&engine);
    let component = |name: &str, charge| Component { name: name.to_owned(), charge };
    version.components.retain(|component| component.name == "sewer");
    if let Charge::Derived(derived) = &mut version.components[0].charge {
        derived.source = "rain".to_owned();
    }
    let steps = vec![PowerFactorStep { at_least_milli: 0, rate: Rate(100_000) }];
    let factor = PowerFactor { of: vec!["energy".to_owned()], step_milli: 10, steps };
    version.components.push(component("factor", Charge::PowerFactor(factor)));
    let least = Charge::Minimum { price: Price(150_000_000), of: vec!["energy".to_owned()] };
    version.components.push(component("least", least));
    let simulation = tried(&engine, version).await;
    // 111.81 of energy do not reach it.
    assert_eq!(owed(&simulation, true)[&AccountId(1)], Amount::parse("150").unwrap());
    let lacks: Vec<_> = simulation.lacks.iter().map(|((name, lack), months)| (name.as_str(), *lack, *months)).collect();
    assert_eq!(lacks, [("factor", Lack::PowerFactor, 1), ("sewer", Lack::Source, 1)]);
    assert_eq!(march(&engine).await.len(), 3, "nothing was written");
    engine.close().await.unwrap();
}

#[tokio::test]
async fn who_left_and_came_back_does_not_owe_the_maximum_of_the_tenant_between() {
    let folder = tempfile::tempdir().unwrap();
    let engine = opened(folder.path(), &site("")).await;
    send(&engine, &readings(0..ALL)).await;
    apply(&engine, &back_again()).await;
    let simulation = tried(&engine, published(&engine)).await;
    assert_eq!(close(&engine, MARCH).await, "");
    let found = march(&engine).await;
    // 21 of 31 days of 0.5 kW at 2.00, and 10 of 1.7 kW; the month's last day absorbs the remainder.
    assert_eq!((found["smith peak"].as_str(), found["jones peak"].as_str()), ("0.677419360", "1.096774190"));
    assert_eq!((owed(&simulation, false), owed(&simulation, true)), (charged(&engine).await, charged(&engine).await));
    proven(&engine).await;
    engine.close().await.unwrap();
}
