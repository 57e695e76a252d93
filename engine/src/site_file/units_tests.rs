//! Accounts whose wallet is kept in units: what is accepted, what is refused of them, and what never changes.

use super::tests::{Applied, NOW, SMALL, plan_of, shown};
use super::{MoveFault, move_point};
use crate::registry::{self, Registry};

/// The small site; jones buys water by the cubic metre.
fn units() -> String {
    let account = SMALL.replace("protected = \"cold chain\"", "protected = \"cold chain\"\nbalance = \"m3\"");
    account.replace("account = \"smith\"\ntariff = \"water\"", "account = \"jones\"\ntariff = \"water\"")
}

const SECOND: &str = "[[service_point]]\nname = \"hall/W2\"\nutility = \"water\"\naccount = \"jones\"\ntariff = \"spring\"\n\
                      [[tariff]]\nname = \"spring\"\nutility = \"water\"\n[[tariff.version]]\nvalid_from = 2026-01-01\n\
                      price = \"1.00\"\n";
const TIERS: &str = "price = \"2.10\"\n[[tariff.version]]\nvalid_from = 2026-12-01\nprice = \"2.20\"\n\
                     tiers = { period = \"monthly\", bounds = [\"5\"], surcharge = [\"0\", \"1\"] }";

#[test]
fn units_are_sold_only_at_one_price_to_prepaid_accounts_of_one_utility() {
    for (old, new, expected) in [
        ("", "", ""),
        (
            "balance = \"m3\"",
            "balance = \"litres\"",
            "account \"jones\".balance: is \"litres\"; write \"money\", or the unit",
        ),
        (
            "balance = \"m3\"",
            "balance = \"m3\"\nkind = \"postpaid\"",
            "balance: is in units, and the account is postpaid",
        ),
        (
            "balance = \"m3\"",
            "balance = \"kWh\"",
            "is \"jones\", which is kept in kWh, but hall/W is in m3; give each utility",
        ),
        (
            "price = \"2.10\"",
            TIERS,
            "tariff: is \"water\", by which no units can be sold to \"jones\"; name a tariff of one",
        ),
        ("price = \"2.10\"", "price = \"0\"", "by which no units can be sold to \"jones\""),
        (
            "policy = \"standard\"\nlocation",
            "policy = \"standard\"\nbalance = \"kWh\"\nlocation",
            "service_point \"hall/E\".tariff: is \"power\", by which no units can be sold",
        ),
        (
            "[[meter]]",
            &format!("{SECOND}[[meter]]"),
            "is \"spring\", but \"jones\" buys its units by \"water\" at that time",
        ),
        (
            "[[meter]]",
            &format!(
                "{}[[meter]]",
                SECOND.replacen("water", "gas", 1).replace("utility = \"water\"", "utility = \"gas\"")
            ),
            "is \"jones\", which buys units of water already",
        ),
        // One after the other is one at a time.
        (
            "account = \"jones\"\ntariff = \"water\"",
            "[[service_point.contract]]\naccount = \"jones\"\ntariff = \"water\"\nuntil = 2026-06-01\n\
             [[service_point.contract]]\naccount = \"jones\"\ntariff = \"spring\"\nfrom = 2026-06-01\n\
             [[tariff]]\nname = \"spring\"\nutility = \"water\"\n[[tariff.version]]\nvalid_from = 2026-01-01\nprice = \"1\"",
            "",
        ),
    ] {
        let text = units().replacen(old, new, 1);
        let found = shown(&plan_of(&text, &Registry::default(), NOW).err().unwrap_or_default());
        assert!(if expected.is_empty() { found.is_empty() } else { found.contains(expected) }, "{new}\n{found}");
    }
}

#[tokio::test]
async fn what_a_wallet_is_kept_in_never_changes() {
    let applied = Applied::new().await;
    let plan = applied.apply(&units()).await.unwrap().to_string();
    assert!(plan.contains("+ account jones: jones, prepaid, balance in m3, never cut: cold chain"), "{plan}");
    let registry = registry::load(&applied.book).await.unwrap();
    let jones = registry.account_named("jones").unwrap();
    assert_eq!((jones.unit, registry.commodity_of(jones.id)), (Some("m3"), "m3"));
    let money = units().replace("balance = \"m3\"\n", "");
    let found = shown(&applied.apply(&money).await.unwrap_err());
    assert!(
        found.contains("balance: is \"money\", but the account is kept in m3; what a wallet is kept in never"),
        "{found}"
    );
    // A version that another site's file publishes must leave it one price.
    let other =
        "[[site]]\nname = \"other\"\ntime_zone = \"Europe/Berlin\"\ncurrency = \"EUR\"\n[[tariff]]\nname = \"water\"\n\
                 utility = \"water\"\n[[tariff.version]]\nvalid_from = 2026-01-01\n"
            .to_owned();
    let found = shown(&applied.apply(&(other + TIERS)).await.unwrap_err());
    assert!(
        found.contains("has no one price, but account jones buys units by it; give that account another"),
        "{found}"
    );
}

#[tokio::test]
async fn an_account_in_units_takes_over_only_what_it_can_buy() {
    let applied = Applied::new().await;
    let third = "[[account]]\nname = \"third\"\nbalance = \"m3\"\n[[account]]\nname = \"jones\"";
    applied.apply(&units().replace("[[account]]\nname = \"jones\"", third)).await.unwrap();
    let registry = registry::load(&applied.book).await.unwrap();
    let account = |name: &str| registry.account_named(name).unwrap().id;
    let point = |name: &str| registry.service_point_named(name).unwrap().id;
    let fault = move_point(&registry, point("hall/E"), (account("smith"), account("third")), NOW, NOW).unwrap_err();
    assert!(matches!(&fault, MoveFault::Units { what, .. } if what.contains("not what the service point")), "{fault}");
    let plan = move_point(&registry, point("hall/W"), (account("jones"), account("third")), NOW, NOW).unwrap();
    assert!(plan.to_string().contains("third pays by tariff water"), "{plan}");
    // A wallet in money takes over anything.
    assert!(move_point(&registry, point("hall/W"), (account("jones"), account("smith")), NOW, NOW).is_ok());
}
