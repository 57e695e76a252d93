//! What was charged, as book and lake say: posted lines, wherever they have got to, and open ones.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::Path;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, Decimal128Type, Int8Type, Int16Type, Int32Type, Int64Type};
use futures::TryStreamExt as _;
use kernel::id::{AccountId, ServicePointId, TariffVersionId};
use kernel::money::{Amount, Quantity};
use kernel::time::{LocalDate, LocalMonth};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use super::error::BillingError;
use super::lines::{ComponentName, LineKey, Sum};
use super::packed;
use crate::book::{BookError, ledger, malformed};
use crate::lake::flush::LakeFile;
use crate::lake::read::for_each_batch;

/// One charge line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChargedLine {
    /// Whose.
    pub point: ServicePointId,
    /// Which.
    pub key: LineKey,
    /// What posted it; 0 while nothing has, below zero where no money moved.
    pub transfer: i64,
    /// How much.
    pub sum: Sum,
}

/// Calls `each` for the lines of some service points in some local months, in no particular order. A posted adjustment has
/// its lines in the month of use.
///
/// # Errors
/// [`BillingError`] where the book or a file cannot be read.
pub async fn for_each_line(
    connection: &mut AnyConnection,
    root: &Path,
    files: &[LakeFile],
    points: &BTreeSet<ServicePointId>,
    months: RangeInclusive<LocalMonth>,
    mut each: impl FnMut(&ChargedLine),
) -> Result<(), BillingError> {
    let mut give = |line: ChargedLine| {
        if points.contains(&line.point) {
            each(&line);
        }
    };
    open_lines(connection, &months, &mut give).await?;
    for_each_posted(connection, root, files, points, months, each).await
}

/// As [`for_each_line`], without those that are not posted yet.
///
/// # Errors
/// As [`for_each_line`].
pub async fn for_each_posted(
    connection: &mut AnyConnection,
    root: &Path,
    files: &[LakeFile],
    points: &BTreeSet<ServicePointId>,
    months: RangeInclusive<LocalMonth>,
    mut each: impl FnMut(&ChargedLine),
) -> Result<(), BillingError> {
    let mut give = |line: ChargedLine| {
        if points.contains(&line.point) && months.contains(&line.key.date.month()) {
            each(&line);
        }
    };
    let sql = "SELECT id, lines FROM posted_lines ORDER BY id";
    let mut rows = sqlx::query(sql).fetch(&mut *connection);
    while let Some(row) = rows.try_next().await.map_err(BookError::from)? {
        let id: i64 = row.try_get(0).map_err(BookError::from)?;
        let some = packed::unpack(row.try_get(1).map_err(BookError::from)?);
        for line in some.ok_or_else(|| malformed(format!("posted_lines {id}: its lines are damaged")))? {
            let key = LineKey {
                account: AccountId(line.account),
                date: line.date,
                version: TariffVersionId(line.version),
                band: line.band,
                tier: line.tier,
                component: ComponentName::of(line.component),
            };
            let sum = Sum { quantity: Quantity(line.quantity), amount: Amount(line.amount) };
            give(ChargedLine { point: ServicePointId(line.service_point), key, transfer: line.transfer, sum });
        }
    }
    drop(rows);
    let holds = |least, most| points.range(ServicePointId(least)..=ServicePointId(most)).next().is_some();
    for file in files.iter().filter(|file| file.table == "charges" && months.contains(&file.month)) {
        for_each_batch(root, &file.path, holds, |batch| lines_of(batch, &mut give))?;
    }
    Ok(())
}

async fn open_lines(
    connection: &mut AnyConnection,
    months: &RangeInclusive<LocalMonth>,
    give: &mut impl FnMut(ChargedLine),
) -> Result<(), BookError> {
    let sql = "SELECT service_point_id, account_id, local_date, band, tier, tariff_version_id, quantity, amount, component \
               FROM usage_lines WHERE transfer_id = 0 AND local_date >= $1 AND local_date < $2";
    let (first, next) = (months.start().first_day(), LocalMonth(months.end().0.saturating_add(1)).first_day());
    let query = sqlx::query(sql).bind(i64::from(first.0)).bind(i64::from(next.0));
    for row in query.fetch_all(connection).await? {
        let component = ComponentName::of(&row.try_get::<String, _>(8)?);
        give(line_of(&row, component, "usage_lines.amount")?);
    }
    Ok(())
}

/// A line that no transfer has posted, of a row that begins with service point, account, local day, band, tier, version,
/// quantity and amount; `place` is what a fault calls the amount.
pub(crate) fn line_of(row: &AnyRow, component: ComponentName, place: &str) -> Result<ChargedLine, BookError> {
    let int = |column: usize| row.try_get::<i64, _>(column);
    let id = |value: i64| u32::try_from(value).unwrap_or(u32::MAX);
    let key = LineKey {
        account: AccountId(id(int(1)?)),
        date: LocalDate(i32::try_from(int(2)?).unwrap_or(i32::MAX)),
        version: TariffVersionId(id(int(5)?)),
        band: u8::try_from(int(3)?).unwrap_or(u8::MAX),
        tier: u16::try_from(int(4)?).unwrap_or(u16::MAX),
        component,
    };
    let sum = Sum { quantity: Quantity(int(6)?), amount: ledger::amount(row.try_get(7)?, place)? };
    Ok(ChargedLine { point: ServicePointId(id(int(0)?)), key, transfer: 0, sum })
}

fn lines_of(batch: &RecordBatch, give: &mut impl FnMut(ChargedLine)) {
    let id = |column: usize| batch.column(column).as_primitive::<Int32Type>();
    let (points, accounts, versions) = (id(0), id(1), id(6));
    let dates = batch.column(2).as_primitive::<Date32Type>();
    let components = batch.column(3).as_string::<i32>();
    let bands = batch.column(4).as_primitive::<Int8Type>();
    let tiers = batch.column(5).as_primitive::<Int16Type>();
    let transfers = batch.column(7).as_primitive::<Int64Type>();
    let quantities = batch.column(8).as_primitive::<Int64Type>();
    let amounts = batch.column(9).as_primitive::<Decimal128Type>();
    for row in 0..batch.num_rows() {
        let key = LineKey {
            account: AccountId(accounts.value(row).unsigned_abs()),
            date: LocalDate(dates.value(row)),
            version: TariffVersionId(versions.value(row).unsigned_abs()),
            band: bands.value(row).unsigned_abs(),
            tier: tiers.value(row).unsigned_abs(),
            component: ComponentName::of(components.value(row)),
        };
        let sum = Sum { quantity: Quantity(quantities.value(row)), amount: Amount(amounts.value(row)) };
        give(ChargedLine {
            point: ServicePointId(points.value(row).unsigned_abs()),
            key,
            transfer: transfers.value(row),
            sum,
        });
    }
}
