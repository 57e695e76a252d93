//! Delivery of what the outbox holds: notices to the console and to webhooks.
//!
//! A row is delivered at least once: it is marked after the delivery, so that a crash in between delivers it again; the
//! body's `notice` number tells a receiver. Only the book's one writer marks: it asks [`due`] after a commit, hands the
//! rows to [`run`], and stores what comes back with [`mark`] in its next transaction. A delivery that fails is tried
//! again after 5 s, 10 s and so on, doubling up to an hour, and given up after [`ATTEMPTS`] (about two days).

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use kernel::time::{HOUR, Moment, SECOND};
use sqlx::{AnyConnection, Row};
use tokio::sync::mpsc::{Receiver, Sender};

use super::persist::PersistError;

/// How often one row is tried.
pub const ATTEMPTS: i64 = 60;

/// How many rows are looked at in one go; some kB each.
pub const AT_ONCE: i64 = 256;

/// One row of the outbox that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its identifier.
    pub id: i64,
    /// `console` or `webhook`.
    pub channel: String,
    /// JSON: `{"url": .., "body": {..}}`.
    pub payload: String,
    /// How often it was tried.
    pub attempts: i64,
}

/// What became of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The row.
    pub id: i64,
    /// How often it was tried, this time included.
    pub attempts: i64,
    /// Why it failed, if it failed.
    pub error: Option<String>,
}

/// The way out of the process. The binary implements it; a call may take long and should have a deadline.
#[async_trait]
pub trait Deliver: Send + Sync {
    /// Posts a JSON body to a URL.
    ///
    /// # Errors
    /// Why the receiver did not take it, for a person.
    async fn post(&self, url: &str, body: &str) -> Result<(), String>;
}

/// Rows that are due, oldest first, less those that are under way.
///
/// # Errors
/// What the database says.
pub async fn due(conn: &mut AnyConnection, now: Moment, under_way: &BTreeSet<i64>) -> Result<Vec<Item>, PersistError> {
    let refuse = |source| PersistError::Database { table: "outbox", source };
    let under_way_count = i64::try_from(under_way.len()).unwrap_or(i64::MAX);
    let rows = sqlx::query(
        "SELECT id, channel, payload, attempts FROM outbox WHERE delivered_at IS NULL AND next_at <= $1 \
         ORDER BY next_at, id LIMIT $2",
    )
    .bind(now.0)
    .bind(AT_ONCE.saturating_add(under_way_count))
    .fetch_all(conn)
    .await
    .map_err(refuse)?;
    let mut items = Vec::new();
    for row in rows {
        let item = Item {
            id: row.try_get(0).map_err(refuse)?,
            channel: row.try_get(1).map_err(refuse)?,
            payload: row.try_get(2).map_err(refuse)?,
            attempts: row.try_get(3).map_err(refuse)?,
        };
        if !under_way.contains(&item.id) {
            items.push(item);
        }
    }
    Ok(items)
}

/// How many deliveries are under way at once.
const UNDER_WAY: usize = 16;

/// Delivers items until their channel closes, up to 16 at once, so that one slow webhook delays no other.
pub async fn run(items: Receiver<Item>, done: Sender<Delivery>, deliver: Arc<dyn Deliver>) {
    let items = futures::stream::unfold(items, |mut items| async { items.recv().await.map(|item| (item, items)) });
    items
        .for_each_concurrent(UNDER_WAY, |item| async {
            // A writer that is gone marks nothing; the rows are delivered again after the next start.
            done.send(deliver_one(&item, deliver.as_ref()).await).await.ok();
            drop(item);
        })
        .await;
}

/// Delivers one item: the console's through tracing, a webhook's through `deliver`.
pub async fn deliver_one(item: &Item, deliver: &dyn Deliver) -> Delivery {
    let error = try_one(item, deliver).await.err();
    Delivery { id: item.id, attempts: item.attempts + 1, error }
}

async fn try_one(item: &Item, deliver: &dyn Deliver) -> Result<(), String> {
    let payload: serde_json::Value = serde_json::from_str(&item.payload).map_err(|error| error.to_string())?;
    let body = &payload["body"];
    match item.channel.as_str() {
        "console" => {
            let word = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
            tracing::info!(target: "meterledger::notice", kind = word("kind"), account = word("account"), "{}", word("text"));
            Ok(())
        }
        "webhook" => {
            let url = payload["url"].as_str().ok_or("the row names no url")?;
            deliver.post(url, &body.to_string()).await
        }
        other => Err(format!("nobody delivers to {other:?}")),
    }
}

/// When a delivery that failed is tried again: in 5 s, 10 s and so on, at most an hour; never after [`ATTEMPTS`].
#[must_use]
pub fn next_at(attempts: i64, now: Moment) -> Moment {
    if attempts >= ATTEMPTS {
        return Moment(i64::MAX);
    }
    let doublings = u32::try_from(attempts.clamp(1, 20) - 1).unwrap_or(0);
    now.plus(((5 * SECOND) << doublings).min(HOUR))
}

/// Stores what became of deliveries, in the writer's transaction.
///
/// # Errors
/// What the database says.
pub async fn mark(conn: &mut AnyConnection, deliveries: &[Delivery], now: Moment) -> Result<(), PersistError> {
    for delivery in deliveries {
        let delivered_at = delivery.error.is_none().then_some(now.0);
        sqlx::query("UPDATE outbox SET attempts = $2, delivered_at = $3, next_at = $4, last_error = $5 WHERE id = $1")
            .bind(delivery.id)
            .bind(delivery.attempts)
            .bind(delivered_at)
            .bind(next_at(delivery.attempts, now).0)
            .bind(delivery.error.clone())
            .execute(&mut *conn)
            .await
            .map_err(|source| PersistError::Database { table: "outbox", source })?;
    }
    Ok(())
}
