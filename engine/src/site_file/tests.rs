use std::collections::BTreeMap;

use kernel::epoch::ProfileFacts;
use kernel::id::Utility;
use kernel::time::Moment;

use super::*;
use crate::book::{Book, chain};
use crate::registry::{self, Registry};

/// 2026-11-20T00:00:00Z.
pub(super) const NOW: Moment = Moment(1_795_132_800_000_000);

pub(super) fn profiles() -> BTreeMap<String, ProfileFacts> {
    let facts = |name: &str, utility, primary, has_relay, max_rate| {
        let facts = ProfileFacts {
            name: name.to_owned(),
            utility,
            resolution_numerator: 10,
            resolution_denominator: 1,
            modulus: Some(100_000_000),
            jitter_counts: 2,
            max_rate,
            primary,
            has_relay,
            signed: false,
        };
        (name.to_owned(), facts)
    };
    BTreeMap::from([
        facts("acrel-dtsy1352", Utility::Electricity, false, true, 57_600),
        facts("acrel-adf400l", Utility::Electricity, true, true, 19_200),
        facts("eastron-sdm630", Utility::Electricity, true, false, 72_000),
        facts("chint-dtsu666", Utility::Electricity, false, false, 57_600),
        facts("xintai-valve-water", Utility::Water, true, true, 5_000),
        facts("pulse-gas", Utility::Gas, false, false, 25_000),
    ])
}

fn check_policy(definition: &serde_json::Value) -> Result<(), String> {
    match definition.get("levels") {
        Some(levels) if !levels.is_array() => Err("levels: is no list; write [\"50.00\"]".to_owned()),
        _ => Ok(()),
    }
}

pub(super) fn plan_of(text: &str, registry: &Registry, now: Moment) -> Result<Plan, Vec<Fault>> {
    let file = parse(text, "site.toml")?;
    plan(&file, registry, &Checks { profiles: &profiles(), policy: &check_policy }, now)
}

/// A book that one file after another was applied to.
pub(super) struct Applied {
    _folder: tempfile::TempDir,
    pub(super) book: Book,
}

impl Applied {
    pub(super) async fn new() -> Applied {
        let folder = tempfile::tempdir().unwrap();
        let book = Book::create(folder.path(), 1, NOW).await.unwrap();
        Applied { _folder: folder, book }
    }

    pub(super) async fn apply(&self, text: &str) -> Result<Plan, Vec<Fault>> {
        let registry = registry::load(&self.book).await.unwrap();
        let plan = plan_of(text, &registry, NOW)?;
        let mut tx = self.book.begin().await.unwrap();
        write(&mut tx, &plan, NOW, "test").await.unwrap();
        tx.commit().await.unwrap();
        let registry = registry::load(&self.book).await.unwrap();
        let again = plan_of(text, &registry, NOW)?;
        assert!(again.is_empty(), "a second plan is not empty: {again}");
        assert!(again.dirty.is_empty());
        Ok(plan)
    }
}

fn golden(name: &str, actual: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/site_file/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(actual, expected, "{} (UPDATE_GOLDEN=1 writes it anew)", path.display());
}

fn sample(name: &str) -> String {
    std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../data").join(name)).unwrap()
}

#[tokio::test]
async fn both_samples_are_applied_to_one_book_and_a_second_time_nothing_changes() {
    let applied = Applied::new().await;
    for name in ["mall.toml", "apartments.toml"] {
        let plan = applied.apply(&sample(name)).await.unwrap_or_else(|faults| panic!("{}", shown(&faults)));
        assert!(plan.dirty.is_empty());
    }
    let registry = registry::load(&applied.book).await.unwrap();
    assert_eq!((registry.sites().len(), registry.accounts().len(), registry.meters().len()), (2, 57, 111));
    for meter in registry.meters() {
        assert_eq!(registry.epochs_of(meter.id).count(), 1, "{}", meter.serial);
        let point = registry.points_of(meter.id)[0];
        assert!(registry.payer_at(point, NOW).is_some(), "{}", meter.serial);
        assert_eq!(registry.terms(point).unwrap().contracts.len(), 1);
    }
    let market = registry.meter_by_serial("E2311001").unwrap();
    let epoch = registry.epoch_at(market.id, NOW).unwrap();
    assert_eq!((epoch.numerator, epoch.denominator, epoch.max_rate), (400, 1, 180_000));
    let verified = chain::verify(&applied.book).await.unwrap();
    assert!(verified.faults.is_empty() && verified.rows > 300);
}

#[tokio::test]
async fn the_plan_of_a_new_site_says_everything() {
    let applied = Applied::new().await;
    golden("new.txt", &applied.apply(SMALL).await.unwrap().to_string());
}

#[tokio::test]
async fn a_plan_that_was_made_for_another_registry_is_not_written() {
    let applied = Applied::new().await;
    let plan = plan_of(SMALL, &Registry::default(), NOW).unwrap();
    applied.apply(SMALL).await.unwrap();
    let mut tx = applied.book.begin().await.unwrap();
    assert!(matches!(write(&mut tx, &plan, NOW, "test").await, Err(WriteError::Stale)));
}

pub(super) fn shown(faults: &[Fault]) -> String {
    faults.iter().map(|fault| format!("{fault}\n")).collect()
}

/// A file with one of each.
pub(super) const SMALL: &str = include_str!("golden/small.toml");

/// [`SMALL`] with one text replaced by another.
pub(super) fn edited(old: &str, new: &str) -> String {
    assert!(SMALL.contains(old), "{old:?} is not in small.toml");
    SMALL.replacen(old, new, 1)
}
