//! What one settlement writes: everything that pricing changed since the last, in the caller's one transaction.

use std::collections::BTreeMap;

use kernel::id::{MeterId, Seq, ServicePointId};
use kernel::reading::Verdict;
use kernel::time::{LocalDate, LocalMonth, Moment};
use sqlx::Row as _;

use super::adjustments::AdjustmentWrites;
use super::lines::{LineKey, Sum};
use super::packed;
use super::posting::Posting;
use super::rerate::Divided;
use super::supply::Rerated;
use crate::book::bulk::{self, Cell};
use crate::book::closings::DebtMove;
use crate::book::holds::Hold;
use crate::book::{BookError, Tx};
use crate::control::output::ControlOutput;

/// The changes of one settlement, complete and ready to be written (again, if the disk was full).
#[derive(Debug, Default)]
pub struct Settlement {
    /// All frames up to this one are included.
    pub applied: u64,
    /// States of the service points that changed.
    pub states: Vec<(ServicePointId, Vec<u8>)>,
    /// From which month on the stored checkpoints hold no longer.
    pub stale_checkpoints: Vec<(ServicePointId, LocalMonth)>,
    /// States with which months began.
    pub checkpoints: Vec<(ServicePointId, LocalMonth, Vec<u8>)>,
    /// Up to which days fixed charges are charged, where that changed.
    pub accrued: Vec<(ServicePointId, LocalDate)>,
    /// Lines that are not posted yet, with their whole sums.
    pub open_lines: Vec<(ServicePointId, LineKey, Sum)>,
    /// Complete days.
    pub posting: Posting,
    /// Of service points rated anew: the intervals after a moment that are not divided evenly.
    pub divided: BTreeMap<ServicePointId, (Moment, Vec<Divided>)>,
    /// Verdicts of hot rows that are not `accepted`, by frame and row.
    pub hot_verdicts: BTreeMap<(u64, usize), Verdict>,
    /// Verdicts of corrections that changed, by number.
    pub corrected: BTreeMap<i64, Verdict>,
    /// Adjustments of closed months.
    pub adjustments: AdjustmentWrites,
    /// Accounts that owe more by an adjustment that is posted now.
    pub rerated: Rerated,
    /// Holds whose time is over.
    pub expired: Vec<Hold>,
    /// Debts of closed accounts that leave their wallets, booked after the usage.
    pub debts: Vec<DebtMove>,
    /// What control decided.
    pub control: ControlOutput,
    /// Verdicts of filed rows that changed, by meter, time and value.
    pub overrides: BTreeMap<(MeterId, Moment, i64), Verdict>,
}

const STATES: (&str, &str) = (
    "INSERT INTO service_point_states (service_point_id, seq, state) VALUES",
    "ON CONFLICT (service_point_id) DO UPDATE SET seq = excluded.seq, state = excluded.state",
);
const CHECKPOINTS: (&str, &str) = (
    "INSERT INTO checkpoints (service_point_id, local_month, state) VALUES",
    "ON CONFLICT (service_point_id, local_month) DO UPDATE SET state = excluded.state",
);
const LINES: (&str, &str) = (
    "INSERT INTO usage_lines (service_point_id, account_id, local_date, component, band, tier, tariff_version_id, \
     transfer_id, quantity, amount) VALUES",
    "ON CONFLICT (service_point_id, account_id, local_date, component, band, tier, tariff_version_id, transfer_id) \
     DO UPDATE SET quantity = excluded.quantity, amount = excluded.amount",
);
const ACCRUALS: (&str, &str) = (
    "INSERT INTO accruals (service_point_id, accrued_through) VALUES",
    "ON CONFLICT (service_point_id) DO UPDATE SET accrued_through = excluded.accrued_through",
);
const DIVIDED: &str = "INSERT INTO divided_intervals (service_point_id, epoch_id, from_time, to_time, slot_from, slot_to, \
                       quantity, allocation) VALUES";
const HOT_VERDICTS: (&str, &str) = (
    "INSERT INTO hot_verdicts (seq, row_index, verdict) VALUES",
    "ON CONFLICT (seq, row_index) DO UPDATE SET verdict = excluded.verdict",
);
const OVERRIDES: (&str, &str) = (
    "INSERT INTO verdict_overrides (meter_id, time, value, verdict) VALUES",
    "ON CONFLICT (meter_id, time, value) DO UPDATE SET verdict = excluded.verdict",
);

fn open_cells<'a>(point: ServicePointId, key: &LineKey, sum: &Sum) -> [Cell<'a>; 10] {
    [
        point.0.into(),
        key.account.0.into(),
        i64::from(key.date.0).into(),
        Cell::from(key.component.as_str()),
        i64::from(key.band).into(),
        i64::from(key.tier).into(),
        key.version.0.into(),
        Cell::Int(0),
        sum.quantity.0.into(),
        sum.amount.to_string().into(),
    ]
}

/// A frame or row number as the book stores it.
pub(super) fn long(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

impl Settlement {
    /// Writes all but the transfers, which the ledger books.
    ///
    /// # Errors
    /// What the database says.
    pub async fn write(&self, tx: &mut Tx) -> Result<(), BookError> {
        let seq = long(self.applied);
        let states = self.states.iter().map(|(id, state)| [id.0.into(), seq.into(), state.as_slice().into()]);
        bulk::insert(tx, STATES.0, STATES.1, states).await?;
        for (id, month) in &self.stale_checkpoints {
            let sql = "DELETE FROM checkpoints WHERE service_point_id = $1 AND local_month >= $2";
            let delete = sqlx::query(sql).bind(i64::from(id.0)).bind(i64::from(month.0));
            delete.execute(tx.conn()).await?;
        }
        let checkpoints = self.checkpoints.iter();
        let checkpoints =
            checkpoints.map(|(id, month, state)| [id.0.into(), i64::from(month.0).into(), state.as_slice().into()]);
        bulk::insert(tx, CHECKPOINTS.0, CHECKPOINTS.1, checkpoints).await?;
        for (point, key) in &self.posting.removed {
            // Few: a line is stored before its day is complete only while readings arrive live.
            let sql = "DELETE FROM usage_lines WHERE service_point_id = $1 AND account_id = $2 AND local_date = $3 \
                       AND component = $4 AND band = $5 AND tier = $6 AND tariff_version_id = $7 AND transfer_id = 0";
            let delete = sqlx::query(sql).bind(i64::from(point.0)).bind(i64::from(key.account.0));
            let delete = delete.bind(i64::from(key.date.0)).bind(key.component.as_str()).bind(i64::from(key.band));
            let delete = delete.bind(i64::from(key.tier)).bind(i64::from(key.version.0));
            delete.execute(tx.conn()).await?;
        }
        let open = self.open_lines.iter().map(|(point, key, sum)| open_cells(*point, key, sum));
        bulk::insert(tx, LINES.0, LINES.1, open).await?;
        if !self.posting.lines.is_empty() {
            let last = sqlx::query("SELECT COALESCE(MAX(id), 0) FROM posted_lines").fetch_one(tx.conn()).await?;
            let last: i64 = last.try_get(0)?;
            let packed = (last + 1..).zip(self.posting.lines.chunks(packed::LINES)).map(|(id, lines)| {
                let numbers = || lines.iter().map(|line| line.transfer);
                let (least, most) = (numbers().min().unwrap_or(0), numbers().max().unwrap_or(0));
                [id.into(), least.into(), most.into(), long(lines.len()).into(), packed::pack(lines).into()]
            });
            bulk::insert(tx, "INSERT INTO posted_lines (id, least, most, line_count, lines) VALUES", "", packed)
                .await?;
        }
        let accrued = self.accrued.iter().map(|(id, through)| [id.0.into(), i64::from(through.0).into()]);
        bulk::insert(tx, ACCRUALS.0, ACCRUALS.1, accrued).await?;
        for (id, (after, divided)) in &self.divided {
            let sql = "DELETE FROM divided_intervals WHERE service_point_id = $1 AND to_time > $2";
            sqlx::query(sql).bind(i64::from(id.0)).bind(after.0).execute(tx.conn()).await?;
            let slots = divided.iter().flat_map(|divided| {
                divided.spread.slots.iter().map(|slot| {
                    let allocation = divided.spread.allocation.name();
                    let cells: [Cell<'_>; 8] = [
                        id.0.into(),
                        divided.epoch.0.into(),
                        divided.from.0.into(),
                        divided.to.0.into(),
                        slot.from.0.into(),
                        slot.to.0.into(),
                        slot.quantity.0.into(),
                        allocation.into(),
                    ];
                    cells
                })
            });
            bulk::insert(tx, DIVIDED, "", slots).await?;
        }
        let verdicts = self.hot_verdicts.iter();
        let verdicts = verdicts
            .map(|((seq, row), verdict)| [long(*seq).into(), long(*row).into(), i64::from(verdict.code()).into()]);
        bulk::insert(tx, HOT_VERDICTS.0, HOT_VERDICTS.1, verdicts).await?;
        let overrides = self.overrides.iter().map(|((meter, time, value), verdict)| {
            [meter.0.into(), time.0.into(), (*value).into(), i64::from(verdict.code()).into()]
        });
        bulk::insert(tx, OVERRIDES.0, OVERRIDES.1, overrides).await?;
        for (id, verdict) in &self.corrected {
            let sql = "UPDATE corrections SET verdict = $1 WHERE id = $2";
            sqlx::query(sql).bind(i64::from(verdict.code())).bind(*id).execute(tx.conn()).await?;
        }
        let sql = "UPDATE progress SET value = $1 WHERE name = 'applied_seq'";
        sqlx::query(sql).bind(seq).execute(tx.conn()).await?;
        Ok(())
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self, settled: Seq) -> bool {
        self.applied == settled.0
            && self.states.is_empty()
            && self.accrued.is_empty()
            && self.open_lines.is_empty()
            && self.posting.lines.is_empty()
            && self.hot_verdicts.is_empty()
            && self.divided.is_empty()
            && self.overrides.is_empty()
            && self.checkpoints.is_empty()
            && self.corrected.is_empty()
            && self.adjustments.is_empty()
            && self.expired.is_empty()
            && self.debts.is_empty()
            && self.control.is_empty()
    }
}
