//! The book's tables of control: writing an output, and loading what the last process left.
//!
//! Statements are few: an account's evaluation, notice or command changes some times a day, not with each reading.

use std::collections::BTreeMap;

use kernel::control::alert::AlertState;
use kernel::control::brake::Brake;
use kernel::control::decide::Reason;
use kernel::control::evidence::{Mode, OpenedFor};
use kernel::control::relay::{Command, State};
use kernel::id::{AccountId, MeterId, SiteId};
use kernel::reading::Contact;
use kernel::time::{DAY, Moment};
use sqlx::{AnyConnection, Row};

use super::NextIds;
use super::output::{ControlWrite, SupplyRow};
use super::state::Stored;

/// What went wrong at the book's tables of control.
#[derive(Debug, thiserror::Error)]
pub enum PersistError {
    /// The database refused.
    #[error("the book's table `{table}` could not be used: {source}")]
    Database {
        /// The table.
        table: &'static str,
        /// What the database says.
        source: sqlx::Error,
    },
    /// A value is too large for its column.
    #[error("{what} {value} does not fit into the book's table `{table}`")]
    Range {
        /// The table.
        table: &'static str,
        /// Which value.
        what: &'static str,
        /// The value.
        value: String,
    },
    /// A row cannot be read: it was written by a newer version, or damaged.
    #[error(
        "row {row} of the book's table `{table}` cannot be read: {detail}; restore the book, or update meterledger"
    )]
    Malformed {
        /// The table.
        table: &'static str,
        /// Its key.
        row: String,
        /// What is wrong.
        detail: String,
    },
}

/// What the last process left.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub(super) supply: Vec<SupplyRow>,
    pub(super) commands: Vec<Command>,
    pub(super) alerts: BTreeMap<AccountId, AlertState>,
    pub(super) evaluations: BTreeMap<AccountId, Stored>,
    pub(super) brakes: BTreeMap<SiteId, Brake>,
    pub(super) next: NextIds,
}

const fn contact_name(contact: Option<Contact>) -> &'static str {
    match contact {
        None => "unknown",
        Some(Contact::Open) => "open",
        Some(Contact::Closed) => "closed",
    }
}

fn contact_named(name: &str) -> Option<Contact> {
    match name {
        "open" => Some(Contact::Open),
        "closed" => Some(Contact::Closed),
        _ => None,
    }
}

fn json(table: &'static str, value: &impl serde::Serialize) -> Result<String, PersistError> {
    serde_json::to_string(value).map_err(|error| PersistError::Malformed {
        table,
        row: "to be written".to_owned(),
        detail: error.to_string(),
    })
}

fn parse<T: serde::de::DeserializeOwned>(
    table: &'static str,
    row: impl std::fmt::Display,
    text: &str,
) -> Result<T, PersistError> {
    serde_json::from_str(text).map_err(|error| malformed(table, row, error))
}

fn malformed(table: &'static str, row: impl std::fmt::Display, detail: impl std::fmt::Display) -> PersistError {
    PersistError::Malformed { table, row: row.to_string(), detail: detail.to_string() }
}

fn number<T: TryFrom<i64>>(table: &'static str, row: impl std::fmt::Display, value: i64) -> Result<T, PersistError> {
    T::try_from(value).map_err(|_| malformed(table, row, format!("{value} is no identifier")))
}

/// Writes an output's rows in order, within the caller's transaction. On an error the transaction is to be dropped and
/// `Control` loaded anew.
///
/// # Errors
/// What the database says, with the table.
pub async fn write(conn: &mut AnyConnection, writes: &[ControlWrite]) -> Result<(), PersistError> {
    for row in writes {
        write_one(conn, row).await?;
    }
    Ok(())
}

async fn write_one(conn: &mut AnyConnection, row: &ControlWrite) -> Result<(), PersistError> {
    let (table, query) = match row {
        ControlWrite::Supply(row) => (
            "supply",
            sqlx::query(
                "INSERT INTO supply (meter_id, account_id, desired, commanded, observed, observed_at, opened_for, \
                 changed_at, evaluation_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
                 ON CONFLICT (meter_id) DO UPDATE SET account_id = excluded.account_id, desired = excluded.desired, \
                 commanded = excluded.commanded, observed = excluded.observed, observed_at = excluded.observed_at, \
                 opened_for = excluded.opened_for, changed_at = excluded.changed_at, \
                 evaluation_id = excluded.evaluation_id",
            )
            .bind(i64::from(row.meter.0))
            .bind(i64::from(row.account.0))
            .bind(contact_name(row.desired))
            .bind(contact_name(row.commanded))
            .bind(contact_name(row.observed))
            .bind(row.observed_at.map(|at| at.0))
            .bind(row.opened_for.map(OpenedFor::name))
            .bind(row.changed_at.0)
            .bind(row.evaluation),
        ),
        ControlWrite::Command(command) => ("commands", command_query(command)?),
        ControlWrite::Evaluation(row) => (
            "evaluations",
            sqlx::query(
                "INSERT INTO evaluations (id, account_id, at, decision, mode, balance, balance_as_of, reasons) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            )
            .bind(row.id)
            .bind(i64::from(row.account.0))
            .bind(row.at.0)
            .bind(row.decision)
            .bind(row.mode.name())
            .bind(row.balance.to_string())
            .bind(row.balance_as_of.map(|at| at.0))
            .bind(json("evaluations", &row.reasons)?),
        ),
        ControlWrite::Notice(row) => (
            "notices",
            sqlx::query(
                "INSERT INTO notices (id, account_id, meter_id, kind, level, text, balance, created_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            )
            .bind(row.id)
            .bind(row.account.map(|account| i64::from(account.0)))
            .bind(row.meter.map(|meter| i64::from(meter.0)))
            .bind(row.kind.name())
            .bind(i64::from(row.level))
            .bind(row.text.as_str())
            .bind(row.balance.map(|balance| balance.to_string()))
            .bind(row.at.0),
        ),
        ControlWrite::Outbox(row) => (
            "outbox",
            sqlx::query(
                "INSERT INTO outbox (id, channel, subject_id, payload, created_at, next_at, attempts) \
                 VALUES ($1, $2, $3, $4, $5, $5, 0)",
            )
            .bind(row.id)
            .bind(row.channel)
            .bind(row.notice)
            .bind(row.payload.as_str())
            .bind(row.at.0),
        ),
        ControlWrite::Alert(account, state) => (
            "alert_states",
            sqlx::query(
                "INSERT INTO alert_states (account_id, definition) VALUES ($1, $2) \
                 ON CONFLICT (account_id) DO UPDATE SET definition = excluded.definition",
            )
            .bind(i64::from(account.0))
            .bind(json("alert_states", state)?),
        ),
        ControlWrite::Brake(site, brake) => (
            "meta",
            sqlx::query(
                "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            )
            .bind(format!("brake:{site}"))
            .bind(json("meta", brake)?),
        ),
    };
    query.execute(conn).await.map_err(|source| PersistError::Database { table, source })?;
    Ok(())
}

type Query<'a> = sqlx::query::Query<'a, sqlx::Any, sqlx::any::AnyArguments>;

fn command_query(command: &Command) -> Result<Query<'_>, PersistError> {
    let table = "commands";
    let id = i64::try_from(command.id.0).map_err(|_| PersistError::Range {
        table,
        what: "command",
        value: command.id.to_string(),
    })?;
    let ended_at = match &command.state {
        State::Ended { at, .. } => Some(at.0),
        _ => None,
    };
    let action = match command.target {
        Contact::Open => "open",
        Contact::Closed => "close",
    };
    Ok(sqlx::query(
        "INSERT INTO commands (id, meter_id, account_id, action, state, open, reason, evaluation_id, actor, \
         created_at, expires_at, sent_at, ended_at, attempts, definition) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) \
         ON CONFLICT (id) DO UPDATE SET state = excluded.state, open = excluded.open, actor = excluded.actor, \
         expires_at = excluded.expires_at, sent_at = excluded.sent_at, ended_at = excluded.ended_at, \
         attempts = excluded.attempts, definition = excluded.definition",
    )
    .bind(id)
    .bind(i64::from(command.meter.0))
    .bind(i64::from(command.account.0))
    .bind(action)
    .bind(command.state.name())
    .bind(i64::from(command.is_open()))
    .bind(command.reason.as_str())
    .bind(command.evaluation)
    .bind(command.actor.as_str())
    .bind(command.created_at.0)
    .bind(command.expires_at.0)
    .bind(command.sent_at.map(|at| at.0))
    .bind(ended_at)
    .bind(i64::from(command.attempts))
    .bind(json(table, command)?))
}

/// Reads what the last process left: all supply states, alert states and brakes, each account's last evaluation, and the
/// commands that are open, younger than a day, or a meter's last.
///
/// # Errors
/// What the database says, and rows that cannot be read.
pub async fn load(conn: &mut AnyConnection, now: Moment) -> Result<Loaded, PersistError> {
    Ok(Loaded {
        supply: load_supply(conn).await?,
        commands: load_commands(conn, now).await?,
        alerts: load_alerts(conn).await?,
        evaluations: load_evaluations(conn).await?,
        brakes: load_brakes(conn).await?,
        next: NextIds {
            command: next_id(conn, "commands").await?,
            evaluation: next_id(conn, "evaluations").await?,
            notice: next_id(conn, "notices").await?,
            outbox: next_id(conn, "outbox").await?,
        },
    })
}

async fn rows(
    conn: &mut AnyConnection,
    table: &'static str,
    query: Query<'_>,
) -> Result<Vec<sqlx::any::AnyRow>, PersistError> {
    query.fetch_all(conn).await.map_err(|source| PersistError::Database { table, source })
}

fn column<'r, T>(table: &'static str, row: &'r sqlx::any::AnyRow, index: usize) -> Result<T, PersistError>
where
    T: sqlx::Decode<'r, sqlx::Any> + sqlx::Type<sqlx::Any>,
{
    row.try_get(index).map_err(|source| PersistError::Database { table, source })
}

async fn next_id<T: TryFrom<i64>>(conn: &mut AnyConnection, table: &'static str) -> Result<T, PersistError> {
    let sql = sqlx::AssertSqlSafe(format!("SELECT COALESCE(MAX(id), 0) + 1 FROM {table}"));
    let found = rows(conn, table, sqlx::query(sql)).await?;
    let next = found.first().map_or(Ok(1), |row| column::<i64>(table, row, 0))?;
    number(table, "the last one", next)
}

async fn load_supply(conn: &mut AnyConnection) -> Result<Vec<SupplyRow>, PersistError> {
    let table = "supply";
    let query = sqlx::query(
        "SELECT meter_id, account_id, desired, commanded, observed, observed_at, opened_for, changed_at, \
         evaluation_id FROM supply",
    );
    let mut supply = Vec::new();
    for row in rows(conn, table, query).await? {
        let meter: i64 = column(table, &row, 0)?;
        let opened_for: Option<String> = column(table, &row, 6)?;
        supply.push(SupplyRow {
            meter: MeterId(number(table, meter, meter)?),
            account: AccountId(number(table, meter, column(table, &row, 1)?)?),
            desired: contact_named(&column::<String>(table, &row, 2)?),
            commanded: contact_named(&column::<String>(table, &row, 3)?),
            observed: contact_named(&column::<String>(table, &row, 4)?),
            observed_at: column::<Option<i64>>(table, &row, 5)?.map(Moment),
            opened_for: match opened_for {
                None => None,
                Some(name) => Some(
                    OpenedFor::parse(&name).ok_or_else(|| malformed(table, meter, format!("opened for {name:?}")))?,
                ),
            },
            changed_at: Moment(column(table, &row, 7)?),
            evaluation: column(table, &row, 8)?,
        });
    }
    Ok(supply)
}

async fn load_commands(conn: &mut AnyConnection, now: Moment) -> Result<Vec<Command>, PersistError> {
    let table = "commands";
    let query = sqlx::query(
        "SELECT id, definition FROM commands WHERE open = 1 OR created_at >= $1 \
         OR id IN (SELECT MAX(id) FROM commands GROUP BY meter_id) ORDER BY id",
    );
    let mut commands = Vec::new();
    for row in rows(conn, table, query.bind(now.plus(-DAY).0)).await? {
        let id: i64 = column(table, &row, 0)?;
        commands.push(parse(table, id, &column::<String>(table, &row, 1)?)?);
    }
    Ok(commands)
}

async fn load_alerts(conn: &mut AnyConnection) -> Result<BTreeMap<AccountId, AlertState>, PersistError> {
    let table = "alert_states";
    let mut alerts = BTreeMap::new();
    for row in rows(conn, table, sqlx::query("SELECT account_id, definition FROM alert_states")).await? {
        let account: i64 = column(table, &row, 0)?;
        let state = parse(table, account, &column::<String>(table, &row, 1)?)?;
        alerts.insert(AccountId(number(table, account, account)?), state);
    }
    Ok(alerts)
}

async fn load_evaluations(conn: &mut AnyConnection) -> Result<BTreeMap<AccountId, Stored>, PersistError> {
    let table = "evaluations";
    let query = sqlx::query(
        "SELECT account_id, decision, mode, reasons FROM evaluations \
         WHERE id IN (SELECT MAX(id) FROM evaluations GROUP BY account_id)",
    );
    let mut evaluations = BTreeMap::new();
    for row in rows(conn, table, query).await? {
        let account: i64 = column(table, &row, 0)?;
        let mode: String = column(table, &row, 2)?;
        let stored = Stored {
            decision: column(table, &row, 1)?,
            mode: Mode::parse(&mode).ok_or_else(|| malformed(table, account, format!("mode {mode:?}")))?,
            reasons: parse::<Vec<Reason>>(table, account, &column::<String>(table, &row, 3)?)?,
        };
        evaluations.insert(AccountId(number(table, account, account)?), stored);
    }
    Ok(evaluations)
}

async fn load_brakes(conn: &mut AnyConnection) -> Result<BTreeMap<SiteId, Brake>, PersistError> {
    let table = "meta";
    let mut brakes = BTreeMap::new();
    for row in rows(conn, table, sqlx::query("SELECT key, value FROM meta WHERE key LIKE 'brake:%'")).await? {
        let key: String = column(table, &row, 0)?;
        let site = key.trim_start_matches("brake:").parse().map_err(|error| malformed(table, &key, error))?;
        brakes.insert(SiteId(site), parse(table, &key, &column::<String>(table, &row, 1)?)?);
    }
    Ok(brakes)
}
