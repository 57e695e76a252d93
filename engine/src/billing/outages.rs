//! Outages that people state: the row, what it re-rates and the audit row in one transaction.
//!
//! An outage is a run of valid zeros (domain.md, 3): what an interval around it measured flowed outside it. Readings that
//! carry a voltage of zero need no statement: the register beside it stands still, which says the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use kernel::gap::Outage;
use kernel::id::ServicePointId;
use kernel::time::Moment;
use sqlx::Row as _;

use super::adjustments::{Cause, Origin};
use super::error::BillingError;
use super::writer::Writer;
use crate::book::chain::{self, Entry};
use crate::book::{BookError, Tx};
use crate::registry::Registry;

/// What a person says of a meter's supply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateOutage {
    /// Whose, from when to when.
    pub outage: Outage,
    /// It is not true: an outage stated before with the same beginning and end is withdrawn.
    pub withdraw: bool,
    /// Why.
    pub reason: String,
    /// Who says so.
    pub actor: String,
}

/// What became of each outage of a list: its number, or why it is not recorded.
pub type Stated = Vec<Result<i64, String>>;

impl Writer {
    /// Records outages, or withdraws them, in one change; gives the number of each, or why it is refused. Said twice it is
    /// the same outage.
    ///
    /// In open months the difference is charged at once; in closed ones it becomes adjustments.
    ///
    /// # Errors
    /// [`BillingError`]; nothing was changed.
    pub(crate) async fn state_outages(
        &mut self,
        asked: &[StateOutage],
    ) -> Result<(Stated, Arc<Registry>), BillingError> {
        let now = self.clock.now();
        self.close_ended(now).await?;
        let mut tx = self.book.begin().await?;
        let mut stated = Stated::with_capacity(asked.len());
        let mut dirty: BTreeMap<ServicePointId, Moment> = BTreeMap::new();
        let mut origin = None;
        for asked in asked {
            let done = match self.check_outage(asked, now) {
                Err(why) => Err(why),
                Ok(()) => match (known(&mut tx, &asked.outage).await?, asked.withdraw) {
                    (Some(id), false) => {
                        stated.push(Ok(id));
                        continue;
                    }
                    (None, false) => Ok(record(&mut tx, asked, now).await?),
                    (Some(id), true) => Ok(withdraw(&mut tx, id, asked, now).await?),
                    (None, true) => {
                        Err("no outage of this meter has that beginning and end: `meterledger sql \"SELECT * \
                                         FROM outages\"` lists them"
                            .to_owned())
                    }
                },
            };
            if let Ok(id) = done {
                for point in self.registry.points_of(asked.outage.meter) {
                    let since = dirty.entry(*point).or_insert(asked.outage.from);
                    *since = asked.outage.from.min(*since);
                }
                let what = if asked.withdraw { "withdrawn" } else { "recorded" };
                let detail = format!("outage {id} {what}: {}", asked.reason);
                origin.get_or_insert(Origin { cause: Cause::Correction, actor: asked.actor.clone(), detail });
            }
            stated.push(done);
        }
        if let Some(origin) = origin {
            let dirty: Vec<(ServicePointId, Moment)> = dirty.into_iter().collect();
            self.adopt_registry(&mut tx, &dirty, now, origin).await?;
            self.settle_change(tx).await?;
        }
        Ok((stated, Arc::clone(&self.registry)))
    }

    fn check_outage(&self, asked: &StateOutage, now: Moment) -> Result<(), String> {
        let Outage { meter, from, to } = asked.outage;
        let Some(known) = self.registry.meter(meter) else { return Err("there is no such meter".to_owned()) };
        if asked.reason.trim().is_empty() {
            return Err("an outage needs a reason: write --reason \"...\"; it is kept for ever".to_owned());
        }
        if from >= to {
            return Err(format!(
                "the outage begins at {from}, which is not before its end {to}: check --from and --to"
            ));
        }
        if to > now {
            return Err(format!("{to} is in the future: state the outage when the supply is back"));
        }
        let holds = self
            .registry
            .epochs_of(meter)
            .any(|epoch| epoch.valid_from < to && epoch.valid_to.is_none_or(|end| from < end));
        if !holds {
            return Err(format!(
                "meter {} was not installed between {from} and {to}: check the meter and the times",
                known.serial
            ));
        }
        Ok(())
    }
}

async fn known(tx: &mut Tx, outage: &Outage) -> Result<Option<i64>, BookError> {
    let sql = "SELECT id FROM outages WHERE meter_id = $1 AND from_time = $2 AND to_time = $3 AND withdrawn_at IS NULL";
    let query = sqlx::query(sql).bind(i64::from(outage.meter.0)).bind(outage.from.0).bind(outage.to.0);
    let row = query.fetch_optional(tx.conn()).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

async fn record(tx: &mut Tx, asked: &StateOutage, now: Moment) -> Result<i64, BookError> {
    let id = tx.next_id("outages").await?;
    let sql = "INSERT INTO outages (id, meter_id, from_time, to_time, reason, actor, recorded_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let Outage { meter, from, to } = asked.outage;
    let insert = sqlx::query(sql).bind(id).bind(i64::from(meter.0)).bind(from.0).bind(to.0);
    let insert = insert.bind(asked.reason.clone()).bind(asked.actor.clone()).bind(now.0);
    insert.execute(tx.conn()).await?;
    write_down(tx, "outage", id, asked, now).await?;
    Ok(id)
}

async fn withdraw(tx: &mut Tx, id: i64, asked: &StateOutage, now: Moment) -> Result<i64, BookError> {
    let sql = "UPDATE outages SET withdrawn_at = $1, withdrawn_by = $2 WHERE id = $3";
    sqlx::query(sql).bind(now.0).bind(asked.actor.clone()).bind(id).execute(tx.conn()).await?;
    write_down(tx, "outage_withdrawn", id, asked, now).await?;
    Ok(id)
}

async fn write_down(tx: &mut Tx, kind: &str, id: i64, asked: &StateOutage, at: Moment) -> Result<(), BookError> {
    let Outage { meter, from, to } = asked.outage;
    let detail = serde_json::json!({
        "outage": id, "from": from.to_string(), "to": to.to_string(), "reason": asked.reason,
    });
    let (actor, subject) = (asked.actor.clone(), format!("meter:{meter}"));
    chain::append(tx, Entry { at, actor, kind: kind.to_owned(), subject, detail: detail.to_string() }).await
}
