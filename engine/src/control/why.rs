//! The stored evaluation that explains what a supply is.

use kernel::control::decide::Reason;
use kernel::id::{AccountId, MeterId};
use kernel::time::Moment;
use sqlx::Row as _;

use crate::book::{Book, BookError, malformed};

/// An evaluation as the book keeps it.
#[derive(Clone, Debug)]
pub struct Evaluated {
    /// Its number.
    pub id: i64,
    /// When.
    pub at: Moment,
    /// The decision's name.
    pub decision: String,
    /// The mode's name.
    pub mode: String,
    /// Every rule that was looked at.
    pub reasons: Vec<Reason>,
}

/// A relay command as the book keeps it.
#[derive(Clone, Debug)]
pub struct Commanded {
    /// Its number.
    pub id: i64,
    /// open or close.
    pub action: String,
    /// How far it came.
    pub state: String,
    /// Who gave or approved it.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Moment,
}

/// The last command of a meter.
///
/// # Errors
/// What the database says.
pub async fn last_command(book: &Book, meter: MeterId) -> Result<Option<Commanded>, BookError> {
    let sql = "SELECT id, action, state, actor, reason, created_at FROM commands WHERE meter_id = $1 ORDER BY id DESC LIMIT 1";
    let found = sqlx::query(sql).bind(i64::from(meter.0)).fetch_optional(book.reader()).await?;
    let Some(row) = found else { return Ok(None) };
    Ok(Some(Commanded {
        id: row.try_get(0)?,
        action: row.try_get(1)?,
        state: row.try_get(2)?,
        actor: row.try_get(3)?,
        reason: row.try_get(4)?,
        at: Moment(row.try_get(5)?),
    }))
}

/// Of a meter the evaluation behind its last command; without a meter, or where there is none, the account's last. Nothing
/// where control never decided the account.
///
/// # Errors
/// What the database says, and reasons that cannot be read.
pub async fn behind(book: &Book, account: AccountId, meter: Option<MeterId>) -> Result<Option<Evaluated>, BookError> {
    let mut snapshot = book.snapshot().await?;
    let columns = "SELECT e.id, e.at, e.decision, e.mode, e.reasons FROM evaluations e";
    let mut found = None;
    if let Some(meter) = meter {
        let sql = sqlx::AssertSqlSafe(format!(
            "{columns} JOIN supply s ON s.evaluation_id = e.id WHERE s.meter_id = $1 AND e.account_id = $2"
        ));
        let query = sqlx::query(sql).bind(i64::from(meter.0)).bind(i64::from(account.0));
        found = query.fetch_optional(&mut *snapshot).await?;
    }
    if found.is_none() {
        let sql = sqlx::AssertSqlSafe(format!("{columns} WHERE e.account_id = $1 ORDER BY e.id DESC LIMIT 1"));
        found = sqlx::query(sql).bind(i64::from(account.0)).fetch_optional(&mut *snapshot).await?;
    }
    let Some(row) = found else { return Ok(None) };
    let reasons = serde_json::from_str(row.try_get(4)?)
        .map_err(|error| malformed(format!("evaluations, row {}, reasons: {error}", row.get::<i64, _>(0))))?;
    let (id, at) = (row.try_get(0)?, Moment(row.try_get(1)?));
    Ok(Some(Evaluated { id, at, decision: row.try_get(2)?, mode: row.try_get(3)?, reasons }))
}
