//! The audit log: every change of money, policy, registry and relay is a row chained by SHA-256 to the row before.
//!
//! **Detected** by [`verify`]: a row that was edited, removed or put in between (its own or the next row's hash no
//! longer fits), and a removed tail, because the number of rows is kept apart in `progress`.
//! **Not detected:** somebody who can write the book recomputes every hash from his edit on and the count with it.
//! Against that, keep [`Verified::head`] somewhere else, for example with each month's report.

use kernel::time::Moment;
use sha2::{Digest, Sha256};
use sqlx::Row;

use super::bulk::{self, Cell};
use super::malformed;
use super::{Book, BookError, Tx};

/// The hash before the first row.
const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Rows that one step of [`verify`] holds in memory (a row is some hundred bytes).
const PAGE: i64 = 10_000;

/// The last row of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its number, which is the number of rows.
    pub id: i64,
    /// Its hash, in hexadecimal.
    pub hash: String,
}

/// What happened, as the audit log keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: Moment,
    /// Who: a user, or a part of the program.
    pub actor: String,
    /// What kind of change, such as `top_up` or `registry`.
    pub kind: String,
    /// What was changed, such as `account:A-101`.
    pub subject: String,
    /// How, in words or JSON.
    pub detail: String,
}

/// Why the chain is broken at a row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainFault {
    /// A row's hash is not the hash of its columns: it was edited.
    #[error("audit row {id} was edited: its columns do not give its hash")]
    Edited {
        /// Which row.
        id: i64,
    },
    /// A row does not continue the row before it.
    #[error("audit row {id} does not follow row {}: a row was removed or put in between", .id - 1)]
    Unlinked {
        /// Which row.
        id: i64,
    },
    /// A number is missing.
    #[error("audit row {id} is missing")]
    Missing {
        /// Which row.
        id: i64,
    },
    /// Rows are missing at the end, or were added behind the program's back.
    #[error("the audit log has {found} rows, {expected} were written")]
    Count {
        /// Rows that are there.
        found: i64,
        /// Rows that were written.
        expected: i64,
    },
}

/// The result of [`verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Rows that were checked.
    pub rows: i64,
    /// The last of them.
    pub head: Head,
    /// What is wrong, in the order of the rows; empty for a clean chain. After the first fault of a row the check
    /// goes on from that row's stored hash, so that each fault is named once.
    pub faults: Vec<ChainFault>,
}

/// Appends one row in the caller's transaction.
///
/// # Errors
/// What the database says.
pub async fn append(tx: &mut Tx, entry: Entry) -> Result<(), BookError> {
    append_all(tx, [entry]).await
}

/// Appends rows in order, in the caller's transaction.
///
/// # Errors
/// What the database says.
pub async fn append_all(tx: &mut Tx, entries: impl IntoIterator<Item = Entry>) -> Result<(), BookError> {
    let mut head = match tx.head.take().or_else(|| tx.committed_head()) {
        Some(head) => head,
        None => stored_head(tx).await?,
    };
    let mut rows = Vec::new();
    for entry in entries {
        let id = head.id + 1;
        let next = hash(&head.hash, id, &entry);
        rows.push((id, entry, std::mem::replace(&mut head.hash, next.clone()), next));
        head.id = id;
    }
    let cells = rows.into_iter().map(|(id, entry, prev_hash, hash)| -> [Cell<'static>; 8] {
        let Entry { at, actor, kind, subject, detail } = entry;
        [
            id.into(),
            at.0.into(),
            actor.into(),
            kind.into(),
            subject.into(),
            detail.into(),
            prev_hash.into(),
            hash.into(),
        ]
    });
    let sql = "INSERT INTO audit_log (id, at, actor, kind, subject, detail, prev_hash, hash) VALUES";
    bulk::insert(tx, sql, "", cells).await?;
    tx.head = Some(head);
    Ok(())
}

async fn stored_head(tx: &mut Tx) -> Result<Head, BookError> {
    let sql = "SELECT id, hash FROM audit_log ORDER BY id DESC LIMIT 1";
    let row = sqlx::query_as::<_, (i64, String)>(sql).fetch_optional(tx.conn()).await?;
    let (id, hash) = row.unwrap_or((0, GENESIS.to_owned()));
    Ok(Head { id, hash })
}

/// SHA-256 over the previous hash and the row's columns, each with its length before it.
fn hash(prev_hash: &str, id: i64, entry: &Entry) -> String {
    let mut sha = Sha256::new();
    let (id, at) = (id.to_string(), entry.at.0.to_string());
    for column in [prev_hash, &id, &at, &entry.actor, &entry.kind, &entry.subject, &entry.detail] {
        sha.update((column.len() as u64).to_be_bytes());
        sha.update(column.as_bytes());
    }
    sha.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Checks the whole chain in one snapshot, a page at a time.
///
/// # Errors
/// What the database says; a broken chain is no error but [`Verified::faults`].
pub async fn verify(book: &Book) -> Result<Verified, BookError> {
    let mut snapshot = book.snapshot().await?;
    let expected: i64 = sqlx::query("SELECT value FROM progress WHERE name = 'audit_rows'")
        .fetch_optional(&mut *snapshot)
        .await?
        .ok_or_else(|| malformed("progress has no row audit_rows"))?
        .try_get(0)?;
    let mut head = Head { id: 0, hash: GENESIS.to_owned() };
    let (mut rows, mut faults) = (0, Vec::new());
    loop {
        let sql = "SELECT id, at, actor, kind, subject, detail, prev_hash, hash FROM audit_log WHERE id > $1 \
                   ORDER BY id LIMIT $2";
        let page = sqlx::query(sql).bind(head.id).bind(PAGE).fetch_all(&mut *snapshot).await?;
        if page.is_empty() {
            break;
        }
        for row in page {
            let id: i64 = row.try_get(0)?;
            let entry = Entry {
                at: Moment(row.try_get(1)?),
                actor: row.try_get(2)?,
                kind: row.try_get(3)?,
                subject: row.try_get(4)?,
                detail: row.try_get(5)?,
            };
            let (prev_hash, stored): (String, String) = (row.try_get(6)?, row.try_get(7)?);
            if id != head.id + 1 {
                faults.push(ChainFault::Missing { id: head.id + 1 });
            } else if prev_hash != head.hash {
                faults.push(ChainFault::Unlinked { id });
            }
            if hash(&prev_hash, id, &entry) != stored {
                faults.push(ChainFault::Edited { id });
            }
            rows += 1;
            head = Head { id, hash: stored };
        }
    }
    if rows != expected {
        faults.push(ChainFault::Count { found: rows, expected });
    }
    Ok(Verified { rows, head, faults })
}

#[cfg(test)]
#[path = "chain_tests.rs"]
mod tests;
