//! From the facts of a contract's month to its lines.
//!
//! Components are worked out version by version, in the order of each version's list. A minimum charge alone looks at
//! the whole month: what stands before it is worked out for all versions first, then the shortfall, which the last
//! version that owes days under a minimum carries, then the rest.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::component::demand::{Peak, Window};
use crate::component::derived::Derived;
use crate::component::facts::{FactFault, Facts, Segment};
use crate::component::line::{Effect, Line, Measure, Standing, Why};
use crate::component::power_factor::{PowerFactor, factor_milli};
use crate::component::share::Rate;
use crate::component::{Charge, Component, DemandPrices, ENERGY, Excess, Taxation};
use crate::money::{Amount, Price, Quantity};
use crate::tariff::Band;

/// One unit: what a fixed charge is for.
const ONE: Quantity = Quantity(1_000);

/// All lines of a contract's month: by version, and in the order of its components.
///
/// # Errors
/// [`FactFault`] where the facts or components are beyond the bounds of [`crate::component`]; nothing is worked out then.
pub fn bill(facts: &Facts) -> Result<Vec<Line>, FactFault> {
    facts.check()?;
    let place = |segment: &Segment| segment.version.components.iter().position(is_minimum);
    let places: Vec<Option<usize>> = facts.segments.iter().map(place).collect();
    let mut bill = Bill { facts, lines: vec![Vec::new(); facts.segments.len()] };
    for (index, place) in places.iter().enumerate() {
        bill.work_out(index, 0, place.unwrap_or(usize::MAX));
    }
    bill.shortfall();
    for (index, place) in places.iter().enumerate() {
        if let Some(place) = *place {
            bill.work_out(index, place, usize::MAX);
        }
    }
    Ok(bill.lines.into_iter().flatten().collect())
}

fn is_minimum(component: &Component) -> bool {
    matches!(component.charge, Charge::Minimum { .. })
}

struct Bill<'a> {
    facts: &'a Facts,
    /// By segment.
    lines: Vec<Vec<Line>>,
}

/// What a component says of one line.
struct Draft {
    band: Option<Band>,
    tier: Option<u16>,
    measure: Measure,
    effect: Effect,
    standing: Standing,
    why: Why,
}

impl Draft {
    fn added(measure: Measure, standing: Standing, why: Why) -> Draft {
        Draft { band: None, tier: None, measure, effect: Effect::Added, standing, why }
    }
}

impl Bill<'_> {
    /// Works out the components from one place to another, exclusive.
    fn work_out(&mut self, index: usize, from: usize, to: usize) {
        let segment = &self.facts.segments[index];
        for component in segment.version.components.iter().take(to).skip(from) {
            for draft in self.drafts(index, segment, &component.charge) {
                self.write(index, component, draft);
            }
        }
    }

    fn write(&mut self, index: usize, component: &Component, draft: Draft) {
        let Draft { band, tier, measure, effect, standing, why } = draft;
        let (version, amount) = (self.facts.segments[index].version.id, measure.amount(self.facts.month));
        let component = component.name.clone();
        self.lines[index].push(Line { component, version, band, tier, measure, amount, effect, standing, why });
    }

    /// What monthly components are until the month is closed.
    fn at_close(&self) -> Standing {
        if self.facts.closed { Standing::Final } else { Standing::Forecast }
    }

    fn drafts(&self, index: usize, segment: &Segment, charge: &Charge) -> Vec<Draft> {
        match charge {
            Charge::Daily(price) => {
                let quantity = Quantity(i64::from(segment.days.count) * ONE.0);
                vec![Draft::added(Measure::Units { quantity, price: *price }, Standing::Final, Why::Days)]
            }
            Charge::Monthly(price) => {
                let measure = Measure::Days { quantity: ONE, price: *price, days: segment.days };
                vec![Draft::added(measure, Standing::Final, Why::Days)]
            }
            // The whole month's: see `shortfall`.
            Charge::Minimum { .. } => Vec::new(),
            Charge::Demand { window, prices: DemandPrices::Whole(price) } => {
                vec![self.demand(segment, *window, None, *price)]
            }
            Charge::Demand { window, prices: DemandPrices::ByBand(prices) } => {
                let priced = Band::ALL.into_iter().filter_map(|band| Some((band, prices[band as usize]?)));
                priced.map(|(band, price)| self.demand(segment, *window, Some(band), price)).collect()
            }
            Charge::Capacity { price, excess } => self.capacity(segment, *price, *excess),
            Charge::PowerFactor(adjustment) => vec![self.power_factor(index, adjustment)],
            Charge::Derived(derived) => self.derived(index, derived),
            Charge::Surcharge { rate, of } => {
                let (base, standing) = self.base(index, of);
                vec![Draft::added(Measure::Share { base, rate: *rate }, standing, Why::Surcharge)]
            }
            Charge::Tax { rate, of, taxation: Taxation::Exclusive } => {
                let (base, standing) = self.base(index, of);
                vec![Draft::added(Measure::Share { base, rate: *rate }, standing, Why::Exclusive)]
            }
            Charge::Tax { rate, of, taxation: Taxation::Inclusive } => {
                let (base, standing) = self.base(index, of);
                let shown = Draft::added(Measure::Within { base, rate: *rate }, standing, Why::Inclusive);
                vec![Draft { effect: Effect::Shown, ..shown }]
            }
        }
    }

    /// What the named components came to under one version; a forecast where one of them is.
    fn base(&self, index: usize, of: &[String]) -> (Amount, Standing) {
        let energy =
            if of.iter().any(|name| name == ENERGY) { self.facts.segments[index].amount } else { Amount::ZERO };
        let named = || self.lines[index].iter().filter(|line| of.contains(&line.component));
        let forecast = named().any(|line| line.standing == Standing::Forecast);
        let base = energy + named().map(|line| line.amount).sum();
        (base, if forecast { Standing::Forecast } else { Standing::Final })
    }

    fn peak(&self, window: Window, band: Option<Band>) -> Option<Peak> {
        let (_, maxima) = self.facts.maxima.iter().find(|(measured, _)| *measured == window)?;
        band.map_or(maxima.whole, |band| maxima.by_band[band as usize])
    }

    fn demand(&self, segment: &Segment, window: Window, band: Option<Band>, price: Price) -> Draft {
        let (quantity, why) = match self.peak(window, band) {
            Some(peak) => (peak.demand, Why::Maximum { window, peak }),
            None => (Quantity::ZERO, Why::NoDemand { window }),
        };
        let measure = Measure::Days { quantity, price, days: segment.days };
        Draft { band, ..Draft::added(measure, self.at_close(), why) }
    }

    fn capacity(&self, segment: &Segment, price: Price, excess: Option<Excess>) -> Vec<Draft> {
        let days = |quantity, price| Measure::Days { quantity, price, days: segment.days };
        let Some(capacity) = self.facts.capacity else {
            return vec![Draft::added(days(Quantity::ZERO, price), self.at_close(), Why::NoCapacity)];
        };
        let mut drafts = vec![Draft::added(days(capacity, price), self.at_close(), Why::Contracted)];
        let measured = excess.and_then(|excess| Some((excess, self.peak(excess.window, None)?)));
        if let Some((Excess { window, tolerance, price }, peak)) = measured {
            // Rounded up, in the customer's favour.
            let tolerated = -tolerance.of_quantity(-capacity);
            let beyond = peak.demand - capacity - tolerated;
            if beyond > Quantity::ZERO {
                let why = Why::Beyond { capacity, window, peak };
                drafts.push(Draft::added(days(beyond, price), self.at_close(), why));
            }
        }
        drafts
    }

    fn power_factor(&self, index: usize, adjustment: &PowerFactor) -> Draft {
        let (base, _) = self.base(index, &adjustment.of);
        let active: Quantity = self.facts.segments.iter().map(|segment| segment.quantity).sum();
        let factor = self.facts.reactive.and_then(|reactive| {
            factor_milli(active, reactive, adjustment.step_milli).map(|factor_milli| (reactive, factor_milli))
        });
        let (rate, why) = match factor {
            Some((reactive, factor_milli)) => {
                (adjustment.rate(factor_milli), Why::Factor { active, reactive, factor_milli })
            }
            None => (Rate(0), Why::NoFactor),
        };
        Draft::added(Measure::Share { base, rate }, self.at_close(), why)
    }

    fn derived(&self, index: usize, derived: &Derived) -> Vec<Draft> {
        let volume = |segments: &[Segment]| {
            let sources = segments.iter().flat_map(|segment| &segment.sources);
            sources.filter(|(name, _)| *name == derived.source).map(|(_, volume)| *volume).sum::<Quantity>()
        };
        let (before, after) = (volume(&self.facts.segments[..index]), volume(&self.facts.segments[..=index]));
        let why = Why::Volume { before, after, cap: derived.cap };
        let tiers =
            (1_u16..).zip(derived.tiers(before, after)).filter(|(_, (quantity, _))| *quantity != Quantity::ZERO);
        let draft = |(tier, (quantity, price))| {
            let tier = (!derived.bounds.is_empty()).then_some(tier);
            Draft { tier, ..Draft::added(Measure::Units { quantity, price }, Standing::Final, why) }
        };
        tiers.map(draft).collect()
    }

    /// Charges what the month lacks to its minimum, where it lacks anything.
    fn shortfall(&mut self) {
        let (mut least, mut reached, mut carrier) = (Amount::ZERO, Amount::ZERO, None);
        for (index, segment) in self.facts.segments.iter().enumerate() {
            let Some(component) = segment.version.components.iter().find(|component| is_minimum(component)) else {
                continue;
            };
            if let Charge::Minimum { price, of } = &component.charge {
                let prorated = Measure::Days { quantity: ONE, price: *price, days: segment.days };
                least += prorated.amount(self.facts.month);
                reached += self.base(index, of).0;
                carrier = if segment.days.count > 0 { Some((index, component)) } else { carrier };
            }
        }
        if let Some((index, component)) = carrier.filter(|_| reached < least) {
            let draft = Draft::added(Measure::Difference { least, reached }, self.at_close(), Why::Shortfall);
            self.write(index, component, draft);
        }
    }
}
