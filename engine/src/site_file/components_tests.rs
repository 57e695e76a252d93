//! Charges beside energy in a site file: what is read, and what is refused where.

use kernel::component::demand::{Method, Window};
use kernel::component::share::Rate;
use kernel::component::{Charge, DemandPrices, Taxation};
use kernel::money::{Price, Quantity};
use kernel::tariff::Band;

use super::parse;
use super::tests::{NOW, plan_of, shown};
use crate::registry::Registry;

const SITE: &str = r#"
[[site]]
name = "yard"
time_zone = "Europe/Berlin"
currency = "EUR"
from = 2026-01-01

[[tariff]]
name = "power"
utility = "electricity"
[[tariff.version]]
valid_from = 2026-01-01
prices = { peak = "0.40", flat = "0.30" }
bands = { peak = ["08:00-12:00"], flat = ["12:00-08:00"] }
[[tariff.version.component]]
name = "basic"
kind = "daily"
price = "0.25"
[[tariff.version.component]]
name = "peak load"
kind = "demand"
prices = { peak = "9.00" }
window = "15m"
method = "sliding"
[[tariff.version.component]]
name = "contracted"
kind = "capacity"
price = "1.50"
[[tariff.version.component]]
name = "sewer"
kind = "derived"
source = "water"
share = "0.9"
cap = "30"
bounds = ["10"]
prices = ["2.00", "3.00"]
[[tariff.version.component]]
name = "vat"
kind = "tax"
rate = "0.19"
of = ["energy", "basic"]

[[account]]
name = "smith"

[[service_point]]
name = "a/E"
utility = "electricity"
account = "smith"
tariff = "power"
capacity = "50"
sources = { water = "a/W" }

[[service_point]]
name = "a/W"
utility = "water"
"#;

#[test]
fn components_are_read_exactly_and_in_their_order() {
    let file = parse(SITE, "site.toml").map_err(|faults| shown(&faults)).unwrap();
    let components = &file.tariffs[0].versions[0].version.components;
    let names: Vec<&str> = components.iter().map(|component| component.name.as_str()).collect();
    assert_eq!(names, ["basic", "peak load", "contracted", "sewer", "vat"]);
    assert_eq!(components[0].charge, Charge::Daily(Price(250_000)));
    let mut prices = [None; Band::ALL.len()];
    prices[Band::Peak as usize] = Some(Price(9_000_000));
    let window = Window { minutes: 15, method: Method::Sliding };
    assert_eq!(components[1].charge, Charge::Demand { window, prices: DemandPrices::ByBand(prices) });
    let Charge::Derived(sewer) = &components[3].charge else { panic!("{:?}", components[3]) };
    assert_eq!(
        (sewer.share, sewer.cap, sewer.bounds.as_slice()),
        (Rate(900_000), Some(Quantity(30_000)), &[Quantity(10_000)][..])
    );
    let of = vec!["energy".to_owned(), "basic".to_owned()];
    assert_eq!(components[4].charge, Charge::Tax { rate: Rate(190_000), of, taxation: Taxation::Exclusive });
    assert!(plan_of(SITE, &Registry::default(), NOW).is_ok());
}

#[test]
fn what_cannot_be_charged_is_refused_with_place_and_remedy() {
    for (old, new, expected) in [
        (
            "name = \"sewer\"",
            "name = \"energy\"",
            "component \"energy\".name: is \"energy\", which is taken; give each",
        ),
        ("name = \"sewer\"", "name = \"basic\"", "component \"basic\".name: is \"basic\", which is taken"),
        (
            "kind = \"daily\"",
            "kind = \"hourly\"",
            "component \"basic\".kind: is \"hourly\"; write \"daily\", \"monthly\"",
        ),
        ("price = \"0.25\"", "price = 0.25", "component \"basic\".price: is a float (0.25), which is not exact"),
        ("price = \"0.25\"", "price = \"100000001\"", "component \"basic\".price: is 100000001.000000; write at most"),
        (
            "kind = \"daily\"\nprice = \"0.25\"",
            "kind = \"daily\"",
            "component \"basic\".price: is missing; write a price",
        ),
        (
            "of = [\"energy\", \"basic\"]",
            "of = [\"energy\", \"base\"]",
            "component \"vat\".of: names \"base\", which does not stand before it; name",
        ),
        ("of = [\"energy\", \"basic\"]", "of = []", "component \"vat\".of: is empty, or names something twice"),
        ("of = [\"energy\", \"basic\"]", "", "component \"vat\".of: is missing; write a list of names"),
        ("rate = \"0.19\"", "rate = \"11\"", "component \"vat\".rate: is 11.000000; write at most 10"),
        (
            "window = \"15m\"",
            "window = \"25m\"",
            "component \"peak load\".window: is 25 minutes, which do not divide an hour",
        ),
        ("method = \"sliding\"", "method = \"rolling\"", "method: is \"rolling\"; write \"block\" or \"sliding\""),
        ("prices = { peak = \"9.00\" }", "prices = {}", "component \"peak load\".prices: has no price"),
        ("bounds = [\"10\"]", "bounds = [\"10\", \"10\"]", "component \"sewer\".prices: do not fit the bounds"),
        ("share = \"0.9\"", "share = \"1.1\"", "component \"sewer\".rate: is 1.100000; write"),
        ("share = \"0.9\"", "shore = \"0.9\"", "component \"sewer\".shore: is not a key of this table"),
        ("source = \"water\"\n", "", "component \"sewer\".source: is missing; name the other service"),
        // What contracts state.
        (
            "capacity = \"50\"\n",
            "",
            "service_point \"a/E\".capacity: lacks its capacity, which a component of tariff \"power\" charges by; write `capacity",
        ),
        (
            "capacity = \"50\"",
            "capacity = \"-1\"",
            "service_point \"a/E\".capacity: is the text \"-1\"; write kilowatts",
        ),
        ("sources = { water = \"a/W\" }", "", "service_point \"a/E\".sources: lacks the source \"water\""),
        (
            "sources = { water = \"a/W\" }",
            "sources = { water = \"b/W\" }",
            "sources: names \"b/W\", which the site has no [[service_point]] for",
        ),
        ("sources = { water = \"a/W\" }", "sources = { water = \"a/E\" }", "names \"a/E\", the service point itself"),
        (
            "sources = { water = \"a/W\" }",
            "sources = { water = \"a/W\", gas = \"a/W\" }",
            "gives \"gas\", which no component of tariff \"power\" asks for",
        ),
        (
            "capacity = \"50\"",
            "capacity = \"50\"\nreactive = \"a/R\"",
            "reactive: names \"a/R\", which the site has no",
        ),
    ] {
        assert!(SITE.contains(old), "{old}");
        let said = shown(&plan_of(&SITE.replacen(old, new, 1), &Registry::default(), NOW).err().unwrap_or_default());
        assert!(said.contains(expected), "{expected}\n{said}");
    }
    let levy = "\n[[tariff]]\nname = \"other\"\nutility = \"water\"\n[[tariff.version]]\nvalid_from = 2026-01-01\n\
                price = \"2\"\n[[tariff.version.component]]\nname = \"vat\"\nkind = \"surcharge\"\nrate = \"0.05\"\nof = [\"energy\"]\n";
    let said = shown(&plan_of(&(SITE.to_owned() + levy), &Registry::default(), NOW).err().unwrap_or_default());
    assert!(said.contains("names \"vat\", which is a tax on top of prices elsewhere"), "{said}");
}
