//! Reading billing units, gas qualities and conversions: how m3 of gas become kWh.

use jiff::tz::TimeZone;
use kernel::conversion::{CALORIFIC_END, CORRECTION_END};
use kernel::id::Utility;
use kernel::money::Price;
use kernel::unit::Unit;

use super::model::{CalorificSource, ConversionTerms, GasQualityItem, SiteItem, Stated};
use super::reader::Reader;
use super::things::{correction as corrected, name, zone as known_zone};

const CALORIFIC: &str = "MJ/m3 such as \"39.5\", or \"11.2 kWh/m3\", with at most 6 places";
const CORRECTION: &str = "a volume conversion factor such as \"1.02264\", with at most 6 places";

/// `39.5`, `39.5 MJ/m3` or `11.2 kWh/m3` in 1e-6 MJ/m3. A kWh is 3.6 MJ; what that does not make exact is refused.
pub(super) fn calorific(text: &str) -> Option<i64> {
    let (number, unit) = text.trim().split_once(' ').unwrap_or((text.trim(), "MJ/m3"));
    let millionths = Price::parse(number)?.0;
    let value = match unit.trim() {
        "MJ/m3" => millionths,
        "kWh/m3" if millionths % 5 == 0 => (millionths / 5).checked_mul(18)?,
        _ => return None,
    };
    (1..CALORIFIC_END).contains(&value).then_some(value)
}

/// `1.02264` in 1e-6.
pub(super) fn correction(text: &str) -> Option<i64> {
    Price::parse(text).map(|factor| factor.0).filter(|factor| (1..CORRECTION_END).contains(factor))
}

/// Millionths without the zeros at their end: `39.5`.
pub(super) fn show_millionths(value: i64) -> String {
    let text = Price(value).to_string();
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `unit = "kWh"`, one that the utility can be billed in; its usual one where nothing is said.
pub(super) fn unit(reader: &Reader<'_>, utility: Option<Utility>) -> Option<Unit> {
    let Some(utility) = utility else {
        // The missing utility is reported already.
        reader.text("unit");
        return None;
    };
    let choices = Unit::choices(utility);
    let words: Vec<String> = choices.iter().map(|unit| format!("{:?}", unit.name())).collect();
    let fitting = |text: &str| Unit::parse(text).filter(|unit| choices.contains(unit));
    match reader.has("unit") {
        true => reader.word("unit", fitting, &format!("{} for {}", words.join(" or "), utility.name())),
        false => Some(Unit::of(utility)),
    }
}

/// `[[gas_quality]]`: a supply area with its calorific values.
pub(super) fn gas_quality(reader: Reader<'_>, sites: &[SiteItem]) -> Option<GasQualityItem> {
    let reader = reader.named("name");
    let name = name(&reader, "name", "north-west");
    let zone = match reader.text("time_zone") {
        Some(name) => known_zone(&reader, &name),
        None => sites.first().filter(|_| sites.len() == 1).map(|site| site.zone.clone()),
    };
    if !reader.has("value") {
        let remedy = "write at least one [[gas_quality.value]] with `from` and `calorific_value`";
        reader.fault("value", "is missing", remedy);
    }
    let mut values = Vec::new();
    for inner in reader.tables("value") {
        let inner = inner.named("from");
        if !inner.has("from") {
            inner.fault("from", "is missing", "write the moment from which it holds, such as 2026-01-01");
        }
        let (from, value) = (inner.moment("from", zone.as_ref()), own_value(&inner, true));
        let (correct, at) = (corrected(&inner), inner.at());
        inner.finish();
        if let (Some(_), Some(terms)) = (from, value) {
            values.push(Stated { at, from, correct, terms });
        }
    }
    let at = reader.at();
    reader.finish();
    Some(GasQualityItem { at, name: name?, zone: zone.unwrap_or(TimeZone::UTC), values })
}

fn own_value(reader: &Reader<'_>, needed: bool) -> Option<i64> {
    if needed && !reader.has("calorific_value") {
        reader.fault("calorific_value", "is missing", format!("write {CALORIFIC}"));
    }
    reader.exact("calorific_value", calorific, CALORIFIC)
}

const KEYS: [&str; 3] = ["gas_quality", "calorific_value", "correction"];

/// What a service point says of its conversion: `gas_quality` or `calorific_value`, and `correction`; or
/// [[service_point.conversion]], one by one.
pub(super) fn conversions(reader: &Reader<'_>, zone: Option<&TimeZone>) -> Vec<Stated<ConversionTerms>> {
    if !reader.has("conversion") {
        let said = KEYS.iter().any(|key| reader.has(key));
        let terms = said.then(|| terms(reader)).flatten();
        return terms.map(|terms| Stated { at: reader.at(), from: None, correct: None, terms }).into_iter().collect();
    }
    for own in KEYS.iter().filter(|own| reader.has(own)) {
        let remedy = "write it in each [[service_point.conversion]]";
        reader.fault(own, "stands beside [[service_point.conversion]]", remedy);
    }
    KEYS.iter().for_each(|own| reader.pass_over(own));
    let mut list = Vec::new();
    for inner in reader.tables("conversion") {
        let inner = inner.named("from");
        let from = inner.moment("from", zone.or(Some(&TimeZone::UTC)));
        let (correct, terms) = (corrected(&inner), terms(&inner));
        let at = inner.at();
        inner.finish();
        list.extend(terms.map(|terms| Stated { at, from, correct, terms }));
    }
    list
}

fn terms(reader: &Reader<'_>) -> Option<ConversionTerms> {
    let (quality, own) = (reader.text("gas_quality"), own_value(reader, false));
    let correction = reader.exact("correction", correction, CORRECTION);
    let source = match (quality, own) {
        (Some(_), Some(_)) => {
            let remedy = "leave one of them out: a supply area's values, or the point's own";
            reader.fault("calorific_value", "stands beside `gas_quality`", remedy);
            return None;
        }
        (Some(quality), None) => CalorificSource::Quality(quality),
        (None, Some(value)) => CalorificSource::Own(value),
        (None, None) => {
            if !KEYS[..2].iter().any(|key| reader.has(key)) {
                let remedy =
                    format!("name a [[gas_quality]] with `gas_quality`, or write `calorific_value`: {CALORIFIC}");
                reader.fault("gas_quality", "is missing", remedy);
            }
            return None;
        }
    };
    if !reader.has("correction") {
        let remedy = format!("write {CORRECTION}; \"1\" where the meter corrects to standard conditions itself");
        reader.fault("correction", "is missing", remedy);
    }
    Some(ConversionTerms { source, correction: correction? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calorific_values_are_read_exactly_in_both_units_or_refused() {
        for (text, value) in [
            ("39.5", Some(39_500_000)),
            ("39.5 MJ/m3", Some(39_500_000)),
            ("0.000001", Some(1)),
            ("11.2 kWh/m3", Some(40_320_000)),
            ("11.23456 kWh/m3", Some(40_444_416)),
            ("11.234567 kWh/m3", None),
            ("39.5 BTU", None),
            ("0", None),
            ("-39.5", None),
            ("200", None),
            ("39,5", None),
            ("39.5000001", None),
        ] {
            assert_eq!(calorific(text), value, "{text}");
        }
        assert_eq!(correction("1.02264"), Some(1_022_640));
        assert_eq!((correction("0"), correction("1000"), correction("x")), (None, None, None));
        assert_eq!((show_millionths(39_500_000), show_millionths(1_000_000)), ("39.5".to_owned(), "1".to_owned()));
    }
}
