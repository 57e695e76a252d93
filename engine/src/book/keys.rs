//! Idempotency: a key is kept for ever with what was asked under it and what came of it first (domain.md, 5).
//!
//! The same key with the same content gives the first result again; with other content it is refused (409). All
//! commands that move money share one table, so that a key names one movement of money, whatever its kind.

use kernel::time::Moment;
use sha2::{Digest, Sha256};

use super::bulk::{self, Cell};
use super::{BookError, Tx};

/// The longest key. It is kept for ever, and indexed.
pub const LONGEST: usize = 200;

/// What came of a command first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct First {
    /// The transfer that it made, if it made one at once.
    pub transfer: Option<i64>,
    /// The number of what it is about: a payment, hold, refund or entry of the suspense list.
    pub subject: Option<i64>,
}

/// What is asked under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    key: String,
    kind: &'static str,
    hash: String,
}

/// Why a key is refused. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// No key, or none that can be kept.
    #[error("the key {0:?} cannot be kept: give one of 1 to 200 characters, without spaces around it")]
    Unfit(String),
    /// The key was used for something else (409).
    #[error("key {key:?} was used for another {kind}: nothing was changed; use a new key for a new movement of money")]
    Reused {
        /// The key.
        key: String,
        /// For what.
        kind: String,
    },
    /// The book.
    #[error(transparent)]
    Book(#[from] BookError),
}

impl Asked {
    /// What is asked: the kind of command, and its content field by field.
    ///
    /// # Errors
    /// [`KeyError::Unfit`].
    pub fn new(key: &str, kind: &'static str, content: &[&str]) -> Result<Asked, KeyError> {
        if key.is_empty() || key.trim() != key || key.chars().count() > LONGEST || key.chars().any(char::is_control) {
            return Err(KeyError::Unfit(key.to_owned()));
        }
        let mut sha = Sha256::new();
        for field in [kind].iter().chain(content) {
            // Each with its length before it: two contents never run together to the same text.
            sha.update((field.len() as u64).to_be_bytes());
            sha.update(field.as_bytes());
        }
        let hash = sha.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Asked { key: key.to_owned(), kind, hash })
    }

    /// The result of the same command, if it was carried out before.
    ///
    /// # Errors
    /// [`KeyError::Reused`], or what the database says.
    pub async fn earlier(&self, tx: &mut Tx) -> Result<Option<First>, KeyError> {
        let sql = "SELECT kind, content_hash, transfer_id, subject_id FROM money_keys WHERE key = $1";
        let query = sqlx::query_as::<_, (String, String, Option<i64>, Option<i64>)>(sql).bind(self.key.clone());
        let row = query.fetch_optional(tx.conn()).await.map_err(BookError::from)?;
        let Some((kind, hash, transfer, subject)) = row else { return Ok(None) };
        if kind != self.kind || hash != self.hash {
            return Err(KeyError::Reused { key: self.key.clone(), kind: kind.replace('_', " ") });
        }
        Ok(Some(First { transfer, subject }))
    }

    /// Keeps the result, in the transaction that brings it about.
    ///
    /// # Errors
    /// What the database says.
    pub async fn keep(&self, tx: &mut Tx, first: First, actor: &str, at: Moment) -> Result<(), BookError> {
        let row: [Cell<'_>; 7] = [
            self.key.as_str().into(),
            self.kind.into(),
            self.hash.as_str().into(),
            first.transfer.into(),
            first.subject.into(),
            actor.into(),
            at.0.into(),
        ];
        let head = "INSERT INTO money_keys (key, kind, content_hash, transfer_id, subject_id, actor, at) VALUES";
        bulk::insert(tx, head, "", [row]).await?;
        Ok(())
    }
}
