//! How m3 of gas become kWh: supply areas with their calorific values, and what each service point makes of them.

use std::collections::BTreeMap;

use kernel::conversion::{self, CALORIFIC_END, CORRECTION_END, Factor};
use kernel::id::ServicePointId;
use kernel::time::Moment;
use sqlx::AnyConnection;

use super::load::{Fields as _, each};
use super::points::Runs;
use super::{Calorific, CalorificValue, Conversion, GasQuality, GasQualityId, Registry};
use crate::book::BookError;
use crate::book::pages::Select;

/// Loads gas qualities; gives the conversions of service points.
pub(super) async fn load(
    registry: &mut Registry,
    connection: &mut AnyConnection,
) -> Result<Runs<Conversion>, BookError> {
    each(connection, &Select::all("gas_qualities", &["id", "name"]), |line| {
        let id = GasQualityId(line.id("id")?);
        registry.gas_qualities.insert(id, GasQuality { id, name: line.get("name")?, values: Vec::new() });
        Ok(())
    })
    .await?;
    let select = Select {
        condition: "superseded_at IS NULL",
        ..Select::all("calorific_values", &["id", "gas_quality_id", "valid_from", "calorific_value"])
    };
    each(connection, &select, |line| {
        let value = CalorificValue {
            id: line.id("id")?,
            valid_from: line.moment("valid_from")?,
            calorific_value: line.get("calorific_value")?,
        };
        if !(1..CALORIFIC_END).contains(&value.calorific_value) {
            return Err(line.fault("calorific_value", "is none"));
        }
        let quality = registry.gas_qualities.get_mut(&GasQualityId(line.id("gas_quality_id")?));
        quality.ok_or_else(|| line.fault("gas_quality_id", "names none"))?.values.push(value);
        Ok(())
    })
    .await?;
    let columns = &["id", "service_point_id", "valid_from", "gas_quality_id", "calorific_value", "correction"];
    let select = Select { condition: "superseded_at IS NULL", ..Select::all("conversions", columns) };
    let mut conversions = Vec::new();
    each(connection, &select, |line| {
        let source = match (line.optional_id("gas_quality_id")?, line.get::<Option<i64>>("calorific_value")?) {
            (Some(id), None) => Calorific::Quality(GasQualityId(id)),
            (None, Some(value)) if (1..CALORIFIC_END).contains(&value) => Calorific::Own(value),
            _ => return Err(line.fault("calorific_value", "is none, or stands beside a gas quality")),
        };
        let conversion = Conversion {
            id: line.id("id")?,
            valid_from: line.moment("valid_from")?,
            source,
            correction: line.get("correction")?,
        };
        if !(1..CORRECTION_END).contains(&conversion.correction) {
            return Err(line.fault("correction", "is none"));
        }
        conversions.push((ServicePointId(line.id("service_point_id")?), conversion));
        Ok(())
    })
    .await?;
    // They came by identifier.
    registry.gas_qualities.values_mut().for_each(|quality| quality.values.sort_by_key(|value| value.valid_from));
    Ok(Runs::new("conversions", conversions, |conversion| conversion.valid_from))
}

/// A service point's factors: one from each of its conversions on, and from each value of its supply area within them. The
/// first conversion holds also for what flowed before it, by the values that the supply area had then.
pub(super) fn of(conversions: &[Conversion], qualities: &BTreeMap<GasQualityId, GasQuality>) -> conversion::Conversion {
    let mut factors = Vec::new();
    for (place, conversion) in conversions.iter().enumerate() {
        let Conversion { valid_from, correction, .. } = *conversion;
        let from = if place == 0 { Moment(i64::MIN) } else { valid_from };
        let end = conversions.get(place + 1).map(|next| next.valid_from);
        match conversion.source {
            Calorific::Own(calorific_value) => factors.push(Factor { from, calorific_value, correction }),
            Calorific::Quality(id) => {
                let values = qualities.get(&id).map_or(&[][..], |quality| &quality.values);
                let within = values.iter().enumerate().filter(|(place, value)| {
                    let over = values.get(place + 1).is_some_and(|next| next.valid_from <= from);
                    !over && end.is_none_or(|end| value.valid_from < end)
                });
                factors.extend(within.map(|(_, value)| Factor {
                    from: value.valid_from.max(from),
                    calorific_value: value.calorific_value,
                    correction,
                }));
            }
        }
    }
    conversion::Conversion::new(factors)
}
