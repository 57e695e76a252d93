//! Accounts whose tiers are pooled: what their service points must agree in, and what never changes.

use super::tests::{Applied, NOW, SMALL, plan_of, shown};
use super::{MoveFault, move_point};
use crate::registry::{self, Registry};

const SECOND: &str =
    "[[service_point]]\nname = \"hall/E2\"\nutility = \"electricity\"\naccount = \"smith\"\ntariff = \"power\"\n";

/// The small site; smith pools its tiers over two service points of electricity.
fn pooled() -> String {
    let account = SMALL.replacen("name = \"smith\"", "name = \"smith\"\npooled_tiers = true", 1);
    account.replacen("[[meter]]", &format!("{SECOND}[[meter]]"), 1)
}

#[test]
fn members_of_a_pool_agree_in_tariff_persons_and_households_as_long_as_they_are_in_it() {
    let other = "[[tariff]]\nname = \"spring\"\nutility = \"electricity\"\n[[tariff.version]]\nvalid_from = 2026-01-01\n\
                 price = \"1.00\"\n";
    let (same, second) =
        ("account = \"smith\"\ntariff = \"power\"\n", "account = \"smith\"\ntariff = \"power\"\n[[meter]]");
    let later = |persons: &str| {
        format!(
            "[[service_point.contract]]\n{same}until = 2026-06-01\n[[service_point.contract]]\n{same}{persons}from = \
             2026-06-01\n[[meter]]"
        )
    };
    for (text, expected) in [
        (pooled(), ""),
        (
            pooled().replace(second, &format!("account = \"smith\"\ntariff = \"spring\"\n{other}[[meter]]")),
            "service_point \"hall/E2\".tariff: differs from that of hall/E, with which \"smith\" pools its tiers: \"power\", \
             not \"spring\"; write the same tariff, persons and households",
        ),
        (
            pooled().replace(second, &format!("persons = 5\n{second}")),
            "persons: differs from that of hall/E, with which \"smith\" pools its tiers: 0, not 5",
        ),
        (pooled().replace(second, &format!("households = 2\n{second}")), "households: differs from that of hall/E"),
        // Only while both are in it: the other leaves, or says the same from the same moment on.
        (pooled().replace(second, &later("persons = 5\n")), "persons: differs from that of hall/E"),
        (pooled().replace(second, &later("")), ""),
        (
            pooled().replace(second, &later("persons = 5\n").replace("from =", "account = \"jones\"\nfrom =")).replace(
                "account = \"smith\"\ntariff = \"power\"\npersons = 5\naccount = \"jones\"",
                "account = \"jones\"\ntariff = \"power\"\npersons = 5",
            ),
            "",
        ),
        // Water is another pool.
        (pooled().replacen("utility = \"water\"\nlocation = \"hall\"", "utility = \"water\"\npersons = 3", 1), ""),
        (
            pooled().replacen("pooled_tiers = true", "pooled_tiers = 1", 1),
            "account \"smith\".pooled_tiers: is the number 1; write true or false",
        ),
        (
            pooled().replacen("pooled_tiers = true", "pooled_tiers = true\nbalance = \"kWh\"", 1),
            "pooled_tiers: is true, but units have one price and no tiers; remove one of the two",
        ),
        // Who does not pool need not agree.
        (pooled().replace("pooled_tiers = true\n", "").replace(second, &format!("persons = 5\n{second}")), ""),
    ] {
        let found = shown(&plan_of(&text, &Registry::default(), NOW).err().unwrap_or_default());
        assert!(if expected.is_empty() { found.is_empty() } else { found.contains(expected) }, "{text}\n{found}");
    }
}

#[test]
fn a_pool_has_256_service_points_at_most_whoever_joins_them() {
    let points = |account: &str, numbers: std::ops::Range<usize>| -> String {
        numbers.map(|number| SECOND.replace("hall/E2", &format!("hall/E{number}")).replace("smith", account)).collect()
    };
    let with = |more: &str| pooled().replacen(SECOND, &format!("{SECOND}{more}"), 1);
    let said = |text: &str| shown(&plan_of(text, &Registry::default(), NOW).err().unwrap_or_default());
    assert_eq!(said(&with(&points("smith", 3..257))), "", "256 with the first two");
    let found = said(&with(&points("smith", 3..258)));
    let expected = "account \"smith\".pooled_tiers: is true, and 257 service points of electricity would share tiers";
    assert!(found.contains(expected) && found.contains("let several accounts pay"), "{found}");
    // Two accounts that ever had a member in common are one pool.
    let both = |common: &str| {
        let jones = "name = \"jones\"\npooled_tiers = true";
        let smith = points("smith", 3..200);
        with(&(smith + &points("jones", 200..300) + common)).replacen("name = \"jones\"", jones, 1)
    };
    assert_eq!(said(&both("")), "");
    let common = "[[service_point]]\nname = \"hall/E300\"\nutility = \"electricity\"\n[[service_point.contract]]\n\
                  account = \"smith\"\ntariff = \"power\"\nuntil = 2026-06-01\n[[service_point.contract]]\n\
                  account = \"jones\"\ntariff = \"power\"\nfrom = 2026-06-01\n";
    let found = said(&both(common));
    assert!(found.contains("account \"jones\".pooled_tiers") && found.contains("300 service points"), "{found}");
}

#[tokio::test]
async fn whether_tiers_are_pooled_never_changes_once_the_account_pays() {
    let applied = Applied::new().await;
    let idle = "[[account]]\nname = \"idle\"\n[[account]]\nname = \"jones\"";
    let site = pooled().replacen("[[account]]\nname = \"jones\"", idle, 1);
    let plan = applied.apply(&site).await.unwrap().to_string();
    assert!(plan.contains("+ account smith: Smith & Sons, prepaid, tiers pooled, credit limit 50.00"), "{plan}");
    let registry = registry::load(&applied.book).await.unwrap();
    let point = |name: &str| registry.service_point_named(name).unwrap().id;
    let pool: Vec<_> = registry.pool_of(point("hall/E")).unwrap().to_vec();
    assert_eq!(pool, [point("hall/E"), point("hall/E2")]);
    assert_eq!((registry.pool_of(point("hall/W")), registry.pools().count()), (None, 1));
    let terms = registry.terms(point("hall/E2")).unwrap();
    assert!(terms.contracts.iter().all(|contract| contract.pooled));
    let found = shown(&applied.apply(&site.replace("pooled_tiers = true\n", "")).await.unwrap_err());
    let expected = "account \"smith\".pooled_tiers: is false, but the account pays for service points with true; whether \
                    tiers are pooled never changes: open another account, and let it pay from a moment on";
    assert!(found.contains(expected), "{found}");
    // An account that pays for nothing yet may still choose.
    for (text, said) in [
        (site.replacen("name = \"idle\"", "name = \"idle\"\npooled_tiers = true", 1), "pooled_tiers false -> true"),
        (site.clone(), "pooled_tiers true -> false"),
    ] {
        assert!(applied.apply(&text).await.unwrap().to_string().contains(said));
    }
}

#[tokio::test]
async fn a_service_point_that_is_handed_over_to_a_pool_takes_over_its_household() {
    let applied = Applied::new().await;
    let second =
        "utility = \"electricity\"\nlocation = \"hall\"\naccount = \"smith\"\ntariff = \"power\"\npersons = 5\n";
    let first = "utility = \"electricity\"\nlocation = \"hall\"\naccount = \"smith\"\ntariff = \"power\"\n";
    let site = pooled().replacen(first, second, 1);
    let site = site.replace(SECOND, &SECOND.replace("smith", "jones"));
    applied.apply(&site).await.unwrap();
    let registry = registry::load(&applied.book).await.unwrap();
    let account = |name: &str| registry.account_named(name).unwrap().id;
    let point = |name: &str| registry.service_point_named(name).unwrap().id;
    let moved = move_point(&registry, point("hall/E2"), (account("jones"), account("smith")), NOW, NOW).unwrap();
    let mut tx = applied.book.begin().await.unwrap();
    super::write(&mut tx, &moved, NOW, "test").await.unwrap();
    tx.commit().await.unwrap();
    let registry = registry::load(&applied.book).await.unwrap();
    let contract = registry.service_point_named("hall/E2").unwrap().contracts().next_back().unwrap();
    assert_eq!((contract.account, contract.household.persons), (account("smith"), 5));
    // By another tariff it stays out.
    let applied = Applied::new().await;
    let other = SECOND.replace("smith", "jones").replace("power", "spring")
        + "[[tariff]]\nname = \"spring\"\nutility = \"electricity\"\n[[tariff.version]]\nvalid_from = 2026-01-01\n\
           price = \"1.00\"\n";
    applied.apply(&pooled().replace(SECOND, &other)).await.unwrap();
    let registry = registry::load(&applied.book).await.unwrap();
    let fault = move_point(&registry, point("hall/E2"), (account("jones"), account("smith")), NOW, NOW).unwrap_err();
    assert!(matches!(&fault, MoveFault::Pool { what, .. } if what.contains("another tariff")), "{fault}");
}
