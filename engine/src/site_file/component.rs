//! Reading the charges beside energy of a tariff version: `[[tariff.version.component]]`.
//!
//! Each component is proven as it is read, together with those before it: so a fault names the one that brings it in, and
//! nothing that the kernel would refuse is ever published.

use kernel::component::check::{self, COMPONENT_LIMIT, ComponentFault, SHARE_LIMIT};
use kernel::component::demand::{Method, Window};
use kernel::component::derived::Derived;
use kernel::component::power_factor::{PowerFactor, PowerFactorStep};
use kernel::component::share::Rate;
use kernel::component::{Charge, Component, DemandPrices, Excess, Taxation};
use kernel::money::{Price, Quantity};

use super::prices::{self, PRICE, exact_list};
use super::reader::Reader;
use super::things::name;

const RATE: &str = "a share with at most 6 places in quotes: 13 % is \"0.13\"";
const FACTOR: &str = "a power factor such as \"0.90\", with at most 3 places";
const KINDS: &str = "\"daily\", \"monthly\", \"minimum\", \"demand\", \"capacity\", \"power_factor\", \"derived\", \
                     \"surcharge\" or \"tax\"";

#[derive(Clone, Copy)]
enum Kind {
    Daily,
    Monthly,
    Minimum,
    Demand,
    Capacity,
    PowerFactor,
    Derived,
    Surcharge,
    Tax,
}

fn kind(text: &str) -> Option<Kind> {
    Some(match text {
        "daily" => Kind::Daily,
        "monthly" => Kind::Monthly,
        "minimum" => Kind::Minimum,
        "demand" => Kind::Demand,
        "capacity" => Kind::Capacity,
        "power_factor" => Kind::PowerFactor,
        "derived" => Kind::Derived,
        "surcharge" => Kind::Surcharge,
        "tax" => Kind::Tax,
        _ => return None,
    })
}

/// The components of a version, in the order of the file; what has a fault is left out.
pub(super) fn components(version: &Reader<'_>) -> Vec<Component> {
    let mut list: Vec<Component> = Vec::new();
    for reader in version.tables("component") {
        let reader = reader.named("name");
        if let Some(component) = component(&reader) {
            list.push(component);
            if let Err(fault) = check::components(&list) {
                let (key, what, remedy) = explain(&fault);
                reader.fault(key, what, remedy);
                list.pop();
            }
        }
        reader.finish();
    }
    list
}

fn component(reader: &Reader<'_>) -> Option<Component> {
    let name = name(reader, "name", "sewer");
    if !reader.has("kind") {
        reader.fault("kind", "is missing", format!("write {KINDS}"));
    }
    let charge = reader.word("kind", kind, KINDS).and_then(|kind| charge(reader, kind));
    Some(Component { name: name?, charge: charge? })
}

fn charge(reader: &Reader<'_>, kind: Kind) -> Option<Charge> {
    Some(match kind {
        Kind::Daily => Charge::Daily(price(reader, "price")?),
        Kind::Monthly => Charge::Monthly(price(reader, "price")?),
        Kind::Minimum => {
            let (price, of) = (price(reader, "price"), bases(reader));
            Charge::Minimum { price: price?, of: of? }
        }
        Kind::Demand => {
            let (window, prices) = (window(reader), demand_prices(reader));
            Charge::Demand { window: window?, prices: prices? }
        }
        Kind::Capacity => {
            let (price, excess) = (price(reader, "price"), reader.table("excess").map(excess));
            Charge::Capacity { price: price?, excess: excess.map_or(Some(None), |excess| excess.map(Some))? }
        }
        Kind::PowerFactor => {
            let (of, steps) = (bases(reader), factor_steps(reader));
            let step = reader.exact("step", factor, FACTOR).unwrap_or(10);
            Charge::PowerFactor(PowerFactor { of: of?, step_milli: step, steps: steps? })
        }
        Kind::Derived => Charge::Derived(derived(reader)?),
        Kind::Surcharge => {
            let (rate, of) = (rate(reader, "rate"), bases(reader));
            Charge::Surcharge { rate: rate?, of: of? }
        }
        Kind::Tax => {
            let (rate, of) = (rate(reader, "rate"), bases(reader));
            let inclusive = reader.boolean("inclusive").unwrap_or(false);
            let taxation = if inclusive { Taxation::Inclusive } else { Taxation::Exclusive };
            Charge::Tax { rate: rate?, of: of?, taxation }
        }
    })
}

/// A key that must be there.
fn needed<T>(reader: &Reader<'_>, key: &'static str, parse: fn(&str) -> Option<T>, example: &str) -> Option<T> {
    if !reader.has(key) {
        reader.fault(key, "is missing", format!("write {example}"));
    }
    reader.exact(key, parse, example)
}

fn price(reader: &Reader<'_>, key: &'static str) -> Option<Price> {
    needed(reader, key, Price::parse, PRICE)
}

fn rate(reader: &Reader<'_>, key: &'static str) -> Option<Rate> {
    needed(reader, key, Rate::parse, RATE)
}

/// The names of what a charge is worked out on.
fn bases(reader: &Reader<'_>) -> Option<Vec<String>> {
    let remedy = "write a list of names in quotes: \"energy\", or components that stand before this one";
    if !reader.has("of") {
        reader.fault("of", "is missing", remedy);
        return None;
    }
    let list = reader.list("of");
    let names: Vec<String> = list.iter().filter_map(|(value, _)| value.as_str()).map(str::to_owned).collect();
    if names.len() != list.len() {
        reader.fault("of", "holds something else than names", remedy);
        return None;
    }
    Some(names)
}

/// `window = "15m"` and `method = "block" | "sliding"`.
fn window(reader: &Reader<'_>) -> Option<Window> {
    let minutes = |text: &str| text.strip_suffix('m').and_then(|minutes| minutes.parse::<u16>().ok());
    let minutes = needed(reader, "window", minutes, "minutes that divide an hour, such as \"15m\"");
    let method = |text: &str| match text {
        "block" => Some(Method::Block),
        "sliding" => Some(Method::Sliding),
        _ => None,
    };
    let method = match reader.has("method") {
        true => reader.word("method", method, "\"block\" or \"sliding\"")?,
        false => Method::Block,
    };
    Some(Window { minutes: minutes?, method })
}

/// `price`, or `prices` by band.
fn demand_prices(reader: &Reader<'_>) -> Option<DemandPrices> {
    if !reader.has("prices") {
        return price(reader, "price").map(DemandPrices::Whole);
    }
    if reader.has("price") {
        reader.pass_over("price");
        reader.fault("price", "stands beside `prices`", "write one of them");
    }
    let inner = reader.table("prices")?;
    let row = prices::band_prices(&inner);
    inner.finish();
    Some(DemandPrices::ByBand(row))
}

/// `{ price = "..", window = "15m", tolerance = "0.05" }`: what demand beyond the contracted capacity costs.
fn excess(reader: Reader<'_>) -> Option<Excess> {
    let (price, window) = (price(&reader, "price"), window(&reader));
    let tolerance = reader.exact("tolerance", Rate::parse, RATE).unwrap_or_default();
    reader.finish();
    Some(Excess { window: window?, tolerance, price: price? })
}

fn factor(text: &str) -> Option<u16> {
    let milli = Quantity::parse(text)?.0;
    u16::try_from(milli).ok().filter(|milli| *milli <= 1_000)
}

/// `steps = [{ at_least = "0.90", rate = "-0.0075" }, .., { at_least = "0", rate = ".." }]`.
fn factor_steps(reader: &Reader<'_>) -> Option<Vec<PowerFactorStep>> {
    if !reader.has("steps") {
        let remedy = "write `steps = [{ at_least = \"0.90\", rate = \"0\" }, { at_least = \"0\", rate = \"0.05\" }]`";
        reader.fault("steps", "is missing", remedy);
        return None;
    }
    let step = |inner: Reader<'_>| {
        let (at_least, rate) = (needed(&inner, "at_least", factor, FACTOR), rate(&inner, "rate"));
        inner.finish();
        Some(PowerFactorStep { at_least_milli: at_least?, rate: rate? })
    };
    reader.tables("steps").into_iter().map(step).collect()
}

fn derived(reader: &Reader<'_>) -> Option<Derived> {
    let remedy =
        "name the other service as contracts do in `sources`, such as \"water\", or \"energy\" for its own use";
    let source = reader.need("source", remedy);
    const AMOUNT: &str = "a quantity such as \"260\"";
    let share = reader.exact("share", Rate::parse, RATE).unwrap_or(Rate::ONE);
    let cap = reader.exact("cap", Quantity::parse, AMOUNT);
    let bounds = exact_list(reader, "bounds", Quantity::parse, AMOUNT);
    let prices = match (reader.has("prices"), reader.has("price")) {
        (true, true) => {
            reader.pass_over("price");
            reader.fault("price", "stands beside `prices`", "write one of them");
            None
        }
        (true, false) => Some(exact_list(reader, "prices", Price::parse, PRICE)),
        (false, _) => price(reader, "price").map(|price| vec![price]),
    };
    Some(Derived { source: source?, share, cap, bounds, prices: prices? })
}

/// The kernel's refusal for the person who wrote the component: key, what and remedy.
pub(super) fn explain(fault: &ComponentFault) -> (&'static str, String, String) {
    let (key, what, remedy) = match fault {
        ComponentFault::TooMany(count) => (
            "",
            format!("is component {count} of its version"),
            format!("write at most {COMPONENT_LIMIT} for a version"),
        ),
        ComponentFault::TooManyShares(count) => {
            ("kind", format!("is percentage {count} of its version"), format!("write at most {SHARE_LIMIT} of them"))
        }
        ComponentFault::Name(name) => (
            "name",
            format!("is {name:?}, which is taken"),
            "give each component its own name; \"energy\" is what intervals cost".to_owned(),
        ),
        ComponentFault::UnknownBase(_, base) => (
            "of",
            format!("names {base:?}, which does not stand before it"),
            "name \"energy\" or components that stand before this one, or change their order".to_owned(),
        ),
        ComponentFault::ShownBase(_, base) => (
            "of",
            format!("names {base:?}, a tax that is within prices already"),
            "leave it out: nothing is charged for it".to_owned(),
        ),
        ComponentFault::Base(_) => {
            ("of", "is empty, or names something twice".to_owned(), "name what it is worked out on, once".to_owned())
        }
        ComponentFault::SecondMinimum(_) => {
            ("kind", "is a second minimum of its version".to_owned(), "write one, of all that counts".to_owned())
        }
        ComponentFault::Price(_, price) => (
            "price",
            format!("is {price}"),
            "write at most 100,000,000 for a unit, and a minimum of zero or more".to_owned(),
        ),
        ComponentFault::Rate(_, rate) => (
            "rate",
            format!("is {}", Price(rate.0)),
            "write at most 10 (1,000 %); an inclusive tax and a tolerance of zero or more; a share of a volume from 0 to 1"
                .to_owned(),
        ),
        ComponentFault::Window(_, window) => (
            "window",
            format!("is {} minutes, which do not divide an hour", window.minutes),
            "write 5m, 15m, 30m or 60m, or another divisor of an hour".to_owned(),
        ),
        ComponentFault::NoPrice(_) => {
            ("prices", "has no price".to_owned(), "write a price for at least one band".to_owned())
        }
        ComponentFault::Table(_) => (
            "steps",
            "do not descend to zero, or are rounded to less than 0.001 or more than 0.1".to_owned(),
            "write them from the best factor down to `at_least = \"0\"`, and a `step` such as \"0.01\"".to_owned(),
        ),
        ComponentFault::Tiers(_) => (
            "prices",
            "do not fit the bounds: these ascend from above zero, and each tier has one price".to_owned(),
            "write one more price than bounds, and a `cap` of zero or more".to_owned(),
        ),
    };
    (key, what, remedy)
}
