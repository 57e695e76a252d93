//! Signing in by a password: how often somebody may try, and the token that it gives.
//!
//! An attempt is counted before the password is looked at, so that many at once are no more than their number. Names
//! that nobody has are counted alike: the answer does not tell which names there are.

use kernel::time::{HOUR, MINUTE, Moment};
use sqlx::Row as _;

use super::chain::{self, Entry};
use super::tokens::{self, Kind, Token};
use super::users::{Author, User, UserError, named, password_hash};
use super::{BookError, Tx};
use crate::access::{PasswordError, Secret};

/// Attempts without success under one name ...
pub const ATTEMPTS: i64 = 5;
/// ... within this time, after which the name waits until it is over.
pub const WITHIN: i64 = 15 * MINUTE;
/// How long a sign-in is valid: a long shift.
pub const VALID: i64 = 12 * HOUR;

/// Who writes failures down: nobody is signed in yet.
const ACTOR: &str = "sign-in";

/// Why nobody is signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// There is nobody to sign in.
    #[error(
        "this book has no user, so that nobody has to sign in: `meterledger user add NAME --role admin` adds the first one"
    )]
    NoUsers,
    /// The name or the password.
    #[error("the name or the password is wrong")]
    Wrong,
    /// Too many failures.
    #[error(
        "{ATTEMPTS} sign-ins under this name have failed within {minutes} minutes: it is refused until {0}; \
         whoever is signed in stays so",
        minutes = WITHIN / MINUTE
    )]
    Waits(Moment),
    /// The password is right, and yet.
    #[error("the user {0} is disabled: an admin can run `meterledger user enable {0}`")]
    Disabled(String),
    /// The stored password.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The book.
    #[error(transparent)]
    Book(#[from] BookError),
}

impl From<sqlx::Error> for SignInError {
    fn from(error: sqlx::Error) -> SignInError {
        SignInError::Book(error.into())
    }
}

/// Who may be signed in, and what the password is checked against; nothing where there is no such user.
pub type Candidate = Option<(User, Option<String>)>;

/// Counts an attempt under a name. To be committed before the password is looked at.
///
/// # Errors
/// [`SignInError::NoUsers`] and [`SignInError::Waits`]; then drop the transaction.
pub async fn begin(tx: &mut Tx, name: &str, now: Moment) -> Result<Candidate, SignInError> {
    if !super::users::any(tx.conn()).await? {
        return Err(SignInError::NoUsers);
    }
    sqlx::query("DELETE FROM sign_in_attempts WHERE since <= $1").bind(now.0 - WITHIN).execute(tx.conn()).await?;
    let hash = Secret::new(name).sha256();
    let sql = "SELECT attempts, since FROM sign_in_attempts WHERE name_hash = $1";
    let row = sqlx::query(sql).bind(hash.clone()).fetch_optional(tx.conn()).await?;
    let (attempts, since) = match row {
        Some(row) => (row.try_get::<i64, _>(0)?, row.try_get::<i64, _>(1)?),
        None => (0, now.0),
    };
    if attempts >= ATTEMPTS {
        return Err(SignInError::Waits(Moment(since + WITHIN)));
    }
    forget(tx, name).await?;
    let sql = "INSERT INTO sign_in_attempts (name_hash, attempts, since) VALUES ($1, $2, $3)";
    sqlx::query(sql).bind(hash).bind(attempts + 1).bind(since).execute(tx.conn()).await?;
    let Some(user) = named(tx.conn(), name).await? else { return Ok(None) };
    let stored = password_hash(tx.conn(), user.id).await?;
    Ok(Some((user, stored)))
}

/// Writes a failure down. A name that nobody has is not: it may be a password that was typed in the wrong place.
///
/// # Errors
/// What the database says.
pub async fn fail(tx: &mut Tx, user: Option<&str>, why: &SignInError, now: Moment) -> Result<(), BookError> {
    let entry = Entry {
        at: now,
        actor: ACTOR.to_owned(),
        kind: "sign_in_failed".to_owned(),
        subject: user.map_or_else(|| "user".to_owned(), |name| format!("user:{name}")),
        detail: why.to_string(),
    };
    chain::append(tx, entry).await
}

/// Makes the token of a user whose password was right, `checked` against what the book kept of it.
///
/// # Errors
/// [`SignInError`]; then drop the transaction.
pub async fn succeed(
    tx: &mut Tx,
    name: &str,
    checked: &str,
    secret_hash: &str,
    now: Moment,
) -> Result<Token, SignInError> {
    let user = named(tx.conn(), name).await?.ok_or(SignInError::Wrong)?;
    if password_hash(tx.conn(), user.id).await?.as_deref() != Some(checked) {
        // It was changed in between.
        return Err(SignInError::Wrong);
    }
    if user.disabled_at.is_some() {
        return Err(SignInError::Disabled(user.name));
    }
    forget(tx, name).await?;
    let author = Author { name: user.name.clone(), claimed: false, at: now };
    let issued = tokens::issue(tx, (name, Kind::SignIn, "sign-in"), (secret_hash, now.plus(VALID)), &author).await;
    issued.map_err(|error| match error {
        UserError::Book(error) => SignInError::Book(error),
        // Looked at above, in the same transaction.
        _ => SignInError::Wrong,
    })
}

async fn forget(tx: &mut Tx, name: &str) -> Result<(), BookError> {
    let sql = "DELETE FROM sign_in_attempts WHERE name_hash = $1";
    sqlx::query(sql).bind(Secret::new(name).sha256()).execute(tx.conn()).await?;
    Ok(())
}
