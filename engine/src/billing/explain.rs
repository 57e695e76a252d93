//! Every charge of a day, or of a statement's line, down to register counts: the same rating function over the same stored readings.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use kernel::conversion::Factor;
use kernel::epoch::Epoch;
use kernel::id::{AccountId, MeterId, ServicePointId, TariffVersionId};
use kernel::judge::Interval;
use kernel::money::Quantity;
use kernel::rate::Part;
use kernel::reading::{Value, Verdict};
use kernel::time::{LocalDate, Moment};

use super::corrections::truth;
use super::error::BillingError;
use super::late::stored_rows;
use super::lines::ENERGY;
use super::point::Setup;
use super::rerate::{Member, Rated, Start, rate_together};
use super::statements::CarryKey;
use super::writer::Writer;
use crate::lake::read::StoredRow;

/// One priced part and the readings that it rests on.
#[derive(Clone, Debug)]
pub struct ExplainedPart {
    /// Where it flowed.
    pub point: ServicePointId,
    /// The reading that ends the interval; none where an installation's stated closing count does.
    pub reading: Option<StoredRow>,
    /// The reading that begins it; none where the epoch's opening count or a usage interval's own start does.
    pub previous: Option<StoredRow>,
    /// The installation that holds the reading.
    pub epoch: Option<Epoch>,
    /// The charge.
    pub part: Part,
    /// Where m3 are billed as energy: by which factor, and how many m3 of the interval that were.
    pub converted: Option<(Factor, Option<Quantity>)>,
}

/// By what a part was converted. The volume is that of the whole stretch of the interval that has this factor; it is not
/// known where a stated closing count ends the interval.
fn converted(
    setup: &Setup,
    epoch: &Epoch,
    rows: (Option<StoredRow>, Option<StoredRow>),
    part: &Part,
) -> Option<(Factor, Option<Quantity>)> {
    let factor = *setup.terms.conversion.at(part.from)?;
    let (Some(reading), previous) = rows else { return Some((factor, None)) };
    let (from, before, after) = match (reading.value, previous.map(|row| (row.time, row.value))) {
        (Value::Usage { start, quantity }, _) => (start, Quantity::ZERO, quantity),
        (Value::Register(count), Some((time, Value::Register(before)))) => {
            // Without the wrap taken off it would seem to go back.
            let wrap = epoch.modulus.filter(|_| count < before).unwrap_or(0);
            (time, epoch.quantity_at(before), epoch.quantity_at(count.saturating_add(wrap)))
        }
        (Value::Register(count), _) => {
            let opening = epoch.opening_count.unwrap_or(count);
            (epoch.valid_from, epoch.quantity_at(opening), epoch.quantity_at(count))
        }
    };
    let quantity = Quantity(after.0.saturating_sub(before.0));
    let mut volume = None;
    let whole = Interval { from, to: reading.time, quantity };
    let pieces: Result<(), ()> = setup.terms.conversion.pieces(&whole, before, |piece| {
        if piece.energy.from <= part.from && part.to <= piece.energy.to {
            volume = Some(piece.volume);
        }
        Ok(())
    });
    pieces.ok().map(|()| (factor, volume))
}

/// Which charges are explained.
#[derive(Clone, Debug)]
pub struct Explained {
    /// Whose.
    pub account: AccountId,
    /// Of which local days.
    pub days: RangeInclusive<LocalDate>,
    /// Only those of this line.
    pub line: Option<CarryKey>,
}

impl Explained {
    fn holds(&self, point: ServicePointId, part: &Part) -> bool {
        let of_line = |line: &CarryKey| {
            line.point == point
                && line.component == ENERGY
                && (line.band, line.tier) == (part.band as u8, part.tier)
                && line.version == part.version.unwrap_or(TariffVersionId(0))
        };
        self.days.contains(&part.date) && part.account == Some(self.account) && self.line.as_ref().is_none_or(of_line)
    }
}

impl Writer {
    /// The charges that are asked for, in order of service point and time.
    ///
    /// # Errors
    /// [`BillingError`] where a stored state or a file of the lake cannot be read.
    pub async fn explain(&self, asked: &Explained) -> Result<Vec<ExplainedPart>, BillingError> {
        let mut explained: BTreeMap<ServicePointId, Vec<ExplainedPart>> = BTreeMap::new();
        let paid: BTreeSet<ServicePointId> = self.registry.paid_by(asked.account).collect();
        for id in &paid {
            let Some(point) = self.pricing.points.get(id).filter(|_| !explained.contains_key(id)) else { continue };
            // With the other members of its pool, which its tiers depend on.
            let members = point.setup.members();
            let members = members.iter().filter_map(|id| self.pricing.points.get(id));
            let members: Vec<Arc<Setup>> = members.map(|member| Arc::clone(&member.setup)).collect();
            for (setup, parts) in members.iter().zip(self.explain_together(&members, asked).await?) {
                if paid.contains(&setup.id) {
                    explained.insert(setup.id, parts);
                }
            }
        }
        Ok(explained.into_values().flatten().collect())
    }

    async fn explain_together(
        &self,
        members: &[Arc<Setup>],
        asked: &Explained,
    ) -> Result<Vec<Vec<ExplainedPart>>, BillingError> {
        let first = members.iter().find_map(|setup| setup.terms.days.on(*asked.days.start()));
        let Some(day) = first.copied() else { return Ok(Vec::new()) };
        // One moment earlier, so that the reading before the day's first instant is among the rows.
        let starts = self.explained_from(members, day.start.plus(-1)).await?;
        let mut rows_of: Vec<Vec<StoredRow>> = Vec::with_capacity(members.len());
        let all: BTreeSet<MeterId> = members.iter().flat_map(|setup| setup.meters()).collect();
        let earliest = starts.iter().map(Start::read_after).min().unwrap_or(Moment(i64::MIN));
        let by_meter = stored_rows(&self.lake, &self.files, &self.hot, &self.overrides, &all, earliest)?;
        for (setup, start) in members.iter().zip(&starts) {
            let after = start.read_after();
            let meters: BTreeSet<MeterId> = setup.meters().collect();
            let rows = meters.iter().filter_map(|meter| by_meter.get(meter)).flatten().copied();
            let mut rows: Vec<StoredRow> =
                truth(rows.filter(|row| row.time > after), &self.corrections, &meters, after);
            rows.retain(|row| !matches!(row.verdict, Verdict::Duplicate | Verdict::Pending));
            rows_of.push(rows);
        }
        let all = members.iter().zip(&starts).zip(&rows_of);
        let all: Vec<Member<'_>> = all.map(|((setup, start), rows)| Member { setup, start, rows }).collect();
        let mut parts_of: Vec<Vec<(Option<usize>, Part)>> = vec![Vec::new(); members.len()];
        let rated = rate_together(&all, self.clock.now(), |member, index, part| {
            if asked.holds(members[member].id, part) {
                parts_of[member].push((index, *part));
            }
        });
        let each = all.iter().zip(rated).zip(parts_of);
        Ok(each.map(|((member, rated), parts)| explained(member, &rated, parts)).collect())
    }

    async fn explained_from(&self, members: &[Arc<Setup>], first: Moment) -> Result<Vec<Start>, BillingError> {
        match members {
            // Also in a closed month from the last state before.
            [only] => Ok(vec![self.start_before(only.id, only, first).await?]),
            _ => self.starts_before(members, first).await,
        }
    }
}

/// A member's parts with the readings that they rest on.
fn explained(member: &Member<'_>, rated: &Rated, parts: Vec<(Option<usize>, Part)>) -> Vec<ExplainedPart> {
    let Member { setup, rows, .. } = *member;
    let counting: BTreeMap<(MeterId, Moment), usize> = rows
        .iter()
        .zip(&rated.verdicts)
        .enumerate()
        .filter(|(_, (_, verdict))| verdict.counts())
        .map(|(index, (row, _))| ((row.meter, row.time), index))
        .collect();
    let with_readings = |(index, part): (Option<usize>, Part)| {
        let reading = index.map(|index| rows[index]);
        let previous = reading.and_then(|reading| {
            let earlier = (reading.meter, Moment(i64::MIN))..(reading.meter, reading.time);
            counting.range(earlier).next_back().map(|(_, earlier)| rows[*earlier])
        });
        let holds = |epoch: &&Epoch| match reading {
            Some(reading) => {
                epoch.meter == reading.meter
                    && epoch.valid_from < reading.time
                    && epoch.valid_to.is_none_or(|end| reading.time <= end)
            }
            None => epoch.closing_count.is_some() && epoch.valid_to.is_some_and(|end| part.to <= end),
        };
        let epoch = setup.epochs.iter().find(holds).cloned();
        let converts = epoch.as_ref().filter(|epoch| epoch.converts);
        let converted = converts.and_then(|epoch| converted(setup, epoch, (reading, previous), &part));
        ExplainedPart { point: setup.id, reading, previous, epoch, part, converted }
    };
    parts.into_iter().map(with_readings).collect()
}
