//! Entering a correction: the row, what it re-rates and the audit row in one transaction.

use std::sync::Arc;

use kernel::id::{MeterId, ServicePointId};
use kernel::judge::USAGE_LIMIT;
use kernel::reading::{Value, Verdict};
use kernel::time::Moment;

use super::adjustments::{Cause, Origin};
use super::corrections::{Correction, Corrections};
use super::error::BillingError;
use super::late::{Task, agree, resolve};
use super::periods::{Refused, because};
use super::supply::Rerated;
use super::writer::Writer;
use crate::book::bulk::{self, Cell};
use crate::book::chain::{self, Entry};
use crate::registry::MeterKind;

/// What a person says of one reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorrectReading {
    /// Whose.
    pub meter: MeterId,
    /// Of when.
    pub time: Moment,
    /// What the meter said; none where it said nothing.
    pub value: Option<Value>,
    /// Why.
    pub reason: String,
    /// Who says so.
    pub actor: String,
}

impl Writer {
    /// Corrects a reading; gives the correction's number and what billing makes of it.
    ///
    /// In open months the difference is charged at once; in closed ones it becomes adjustments that wait for another
    /// person.
    ///
    /// # Errors
    /// [`Refused`].
    pub(crate) async fn correct(&mut self, asked: &CorrectReading) -> Result<(i64, Verdict), Refused> {
        let now = self.clock.now();
        self.close_ended(now).await?;
        self.check(asked, now)?;
        let key = (asked.meter, asked.time);
        if let Some(known) = self.corrections.get(&key).filter(|known| known.value == asked.value) {
            return Ok((known.id, known.verdict));
        }
        let mut tx = self.book.begin().await?;
        let id = tx.next_id("corrections").await?;
        let verdict = if asked.value.is_some() { Verdict::Pending } else { Verdict::Superseded };
        let correction = Correction { id, value: asked.value, at: now, verdict };
        let mut corrections: Corrections = self.corrections.as_ref().clone();
        corrections.insert(key, correction);
        let points = self.registry.points_of(asked.meter);
        let dirty: Vec<(ServicePointId, Moment)> = points.iter().map(|point| (*point, asked.time)).collect();
        let as_ever = |id| self.pricing.points.get(&id).map(|point| Arc::clone(&point.setup));
        let work = self.anew(&dirty, &self.registry, as_ever).await?;
        let payers = work.iter().flatten().flat_map(|member| &member.new.terms.contracts);
        let rerated: Rerated = payers.map(|contract| (contract.account, now)).collect();
        let both = [self.corrections.as_ref(), &corrections];
        let tasks = work.into_iter().map(|members| Task { members, closed_until: now, corrections: both });
        let tasks: Vec<Task<'_>> = tasks.collect();
        let resolved = resolve(&self.lake, &self.files, &self.hot, &self.overrides, &tasks, now);
        let mut outcomes = resolved.map_err(BillingError::from)?;
        agree(&mut outcomes);
        write(&mut tx, asked, &correction).await?;
        super::supply::write_rerated(&mut tx, &rerated).await?;
        // From here on memory runs ahead of the transaction: if it fails, billing stops and recovers from the book.
        self.corrections = Arc::new(corrections);
        for outcome in outcomes {
            self.take_outcome(outcome);
        }
        self.rerated.extend(rerated);
        let detail = format!("correction {id} of a reading: {}", asked.reason);
        self.origin = Some(Origin { cause: Cause::Correction, actor: asked.actor.clone(), detail });
        self.registry_changed(now);
        self.settle_change(tx).await?;
        Ok((id, self.corrections.get(&key).map_or(verdict, |correction| correction.verdict)))
    }

    fn check(&self, asked: &CorrectReading, now: Moment) -> Result<(), Refused> {
        let Some(meter) = self.registry.meter(asked.meter) else { return because("there is no such meter") };
        let serial = &meter.serial;
        if asked.reason.trim().is_empty() {
            return because("a correction needs a reason: write --reason \"...\"; it is kept for ever");
        }
        if asked.time > now {
            return because(format!("{} is in the future: a correction is about what was read", asked.time));
        }
        let holds = self
            .registry
            .epochs_of(asked.meter)
            .any(|epoch| epoch.valid_from <= asked.time && epoch.valid_to.is_none_or(|end| asked.time <= end));
        if !holds {
            return because(format!(
                "meter {serial} was not installed at {}: enter its installation in the site file first, or check --at",
                asked.time
            ));
        }
        match (asked.value, meter.kind) {
            (None, _) => Ok(()),
            (Some(Value::Register(count)), MeterKind::Register) if count >= 0 => Ok(()),
            (Some(Value::Register(_)), MeterKind::Register) => because("a register shows zero or more counts"),
            (Some(Value::Usage { start, quantity }), MeterKind::Usage) => {
                if start >= asked.time {
                    because(format!("the interval begins at {start}, which is not before its end {}", asked.time))
                } else if quantity.0.abs() > USAGE_LIMIT.0 {
                    because(format!("{quantity} is more than any interval may state; check its unit"))
                } else {
                    Ok(())
                }
            }
            (Some(Value::Register(_)), MeterKind::Usage) => {
                because(format!("meter {serial} gives usage: write --usage Q --start T"))
            }
            (Some(Value::Usage { .. }), MeterKind::Register) => {
                because(format!("meter {serial} gives a register: write --register COUNT"))
            }
        }
    }
}

async fn write(
    tx: &mut crate::book::Tx,
    asked: &CorrectReading,
    correction: &Correction,
) -> Result<(), crate::book::BookError> {
    let sql = "UPDATE corrections SET superseded_by = $1 WHERE meter_id = $2 AND time = $3 AND superseded_by IS NULL";
    let update = sqlx::query(sql).bind(correction.id).bind(i64::from(asked.meter.0)).bind(asked.time.0);
    update.execute(tx.conn()).await?;
    let (start, value) = match asked.value {
        None => (None, None),
        Some(Value::Register(count)) => (None, Some(count)),
        Some(Value::Usage { start, quantity }) => (Some(start.0), Some(quantity.0)),
    };
    let row: [Cell<'_>; 10] = [
        correction.id.into(),
        asked.meter.0.into(),
        asked.time.0.into(),
        correction.kind().into(),
        start.into(),
        value.into(),
        asked.reason.as_str().into(),
        asked.actor.as_str().into(),
        correction.at.0.into(),
        i64::from(correction.verdict.code()).into(),
    ];
    let head =
        "INSERT INTO corrections (id, meter_id, time, kind, start, value, reason, actor, corrected_at, verdict) VALUES";
    bulk::insert(tx, head, "", [row]).await?;
    let detail = serde_json::json!({
        "correction": correction.id, "at": asked.time.to_string(), "kind": correction.kind(), "start": start,
        "value": value, "reason": asked.reason,
    });
    let entry = Entry {
        at: correction.at,
        actor: asked.actor.clone(),
        kind: "correction".to_owned(),
        subject: format!("meter:{}", asked.meter),
        detail: detail.to_string(),
    };
    chain::append(tx, entry).await
}
