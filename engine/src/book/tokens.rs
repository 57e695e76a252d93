//! Tokens: secrets that prove who asks. The book keeps their SHA-256 and never the secret.

use kernel::time::Moment;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use super::chain::{self, Entry};
use super::users::{Author, LONGEST, User, UserError, known, named};
use super::{BookError, Tx, malformed};
use crate::access::Secret;

/// How a token came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// By a password: a person is at the keyboard.
    SignIn,
    /// Made by hand, for a program.
    Api,
}

impl Kind {
    /// The name in the book.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::SignIn => "sign_in",
            Kind::Api => "api",
        }
    }
}

/// A token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its number.
    pub id: i64,
    /// The user as whom it speaks.
    pub owner: String,
    /// How it came about.
    pub kind: Kind,
    /// What its owner calls it.
    pub name: String,
    /// Made.
    pub created_at: Moment,
    /// Not valid any more from then on.
    pub expires_at: Moment,
    /// Since when it is not valid, because somebody ended it before.
    pub revoked_at: Option<Moment>,
}

/// Why a secret proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// No token of this book.
    #[error("the token is none of this book: it was made for another one, or not copied in whole")]
    Unknown,
    /// Its time is over.
    #[error("{} of {} expired at {}", what(.0), .0.owner, .0.expires_at)]
    Expired(Box<Token>),
    /// Somebody ended it.
    #[error("{} of {} was ended at {}", what(.0), .0.owner, .0.revoked_at.unwrap_or(.0.expires_at))]
    Revoked(Box<Token>),
    /// Its owner may do nothing.
    #[error("the user {0} is disabled")]
    Disabled(String),
    /// The book.
    #[error(transparent)]
    Book(#[from] BookError),
}

impl From<sqlx::Error> for TokenError {
    fn from(error: sqlx::Error) -> TokenError {
        TokenError::Book(error.into())
    }
}

fn what(token: &Token) -> String {
    match token.kind {
        Kind::SignIn => "the sign-in".to_owned(),
        Kind::Api => format!("the token {:?}", token.name),
    }
}

/// The columns of [`token`], and where they are from.
const TOKENS: &str = "t.id, u.name, t.kind, t.name, t.created_at, t.expires_at, t.revoked_at \
                       FROM tokens t JOIN users u ON u.id = t.user_id";

fn token(row: &AnyRow) -> Result<Token, BookError> {
    let kind: String = row.try_get(2)?;
    let kind = [Kind::SignIn, Kind::Api].into_iter().find(|known| known.name() == kind);
    Ok(Token {
        id: row.try_get(0)?,
        owner: row.try_get(1)?,
        kind: kind.ok_or_else(|| malformed("tokens.kind"))?,
        name: row.try_get(3)?,
        created_at: Moment(row.try_get(4)?),
        expires_at: Moment(row.try_get(5)?),
        revoked_at: row.try_get::<Option<i64>, _>(6)?.map(Moment),
    })
}

/// Whose secret it is, at a moment.
///
/// # Errors
/// [`TokenError`].
pub async fn holder(conn: &mut AnyConnection, secret: &Secret, now: Moment) -> Result<(User, Token), TokenError> {
    let sql = format!("SELECT {TOKENS} WHERE t.id = (SELECT token_id FROM token_hashes WHERE hash = $1)");
    let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(secret.sha256());
    let row = query.fetch_optional(&mut *conn).await?.ok_or(TokenError::Unknown)?;
    let token = token(&row)?;
    let user = named(conn, &token.owner).await?.ok_or_else(|| malformed("tokens.user_id"))?;
    if user.disabled_at.is_some() {
        return Err(TokenError::Disabled(user.name));
    }
    if token.revoked_at.is_some() {
        return Err(TokenError::Revoked(Box::new(token)));
    }
    if token.expires_at <= now {
        return Err(TokenError::Expired(Box::new(token)));
    }
    Ok((user, token))
}

/// All tokens of a user, or of everybody, newest first.
///
/// # Errors
/// What the database says.
pub async fn list(conn: &mut AnyConnection, owner: Option<&str>) -> Result<Vec<Token>, BookError> {
    let sql = format!("SELECT {TOKENS} ORDER BY t.id DESC");
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(conn).await?;
    let all = rows.iter().map(token).collect::<Result<Vec<_>, _>>()?;
    Ok(all.into_iter().filter(|token| owner.is_none_or(|owner| owner == token.owner)).collect())
}

/// Makes a token of a user with the hash of its secret.
///
/// # Errors
/// [`UserError`]; then drop the transaction.
pub async fn issue(
    tx: &mut Tx,
    (owner, kind, name): (&str, Kind, &str),
    (hash, expires_at): (&str, Moment),
    author: &Author,
) -> Result<Token, UserError> {
    let user = known(tx, owner, author).await?;
    if user.disabled_at.is_some() {
        return Err(UserError::Disabled(user.name));
    }
    if name.is_empty() || name.trim() != name || name.chars().count() > LONGEST || name.chars().any(char::is_control) {
        return Err(UserError::TokenName(name.to_owned()));
    }
    if kind == Kind::Api && !valid(tx, user.id, name, author.at).await?.is_empty() {
        return Err(UserError::TokenExists { owner: user.name, name: name.to_owned() });
    }
    let id = tx.next_id("tokens").await?;
    let sql = "INSERT INTO tokens (id, user_id, kind, name, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)";
    sqlx::query(sql)
        .bind(id)
        .bind(user.id)
        .bind(kind.name())
        .bind(name.to_owned())
        .bind(author.at.0)
        .bind(expires_at.0)
        .execute(tx.conn())
        .await?;
    let sql = "INSERT INTO token_hashes (hash, token_id) VALUES ($1, $2)";
    sqlx::query(sql).bind(hash.to_owned()).bind(id).execute(tx.conn()).await?;
    let detail = serde_json::json!({
        "done": "made", "kind": kind.name(), "name": name, "token": id, "expires_at": expires_at.to_string(),
    });
    audit(tx, author, owner, &detail).await?;
    let (owner, name) = (user.name, name.to_owned());
    Ok(Token { id, owner, kind, name, created_at: author.at, expires_at, revoked_at: None })
}

/// Ends a user's API token of that name.
///
/// # Errors
/// [`UserError`]; then drop the transaction.
pub async fn revoke(tx: &mut Tx, owner: &str, name: &str, author: &Author) -> Result<(), UserError> {
    let user = known(tx, owner, author).await?;
    let tokens = valid(tx, user.id, name, author.at).await?;
    if tokens.is_empty() {
        return Err(UserError::UnknownToken { owner: user.name, name: name.to_owned() });
    }
    for id in tokens {
        end(tx, id, owner, author).await?;
    }
    Ok(())
}

/// Ends one token, by its number; `owner` is whose it is.
///
/// # Errors
/// What the database says.
pub async fn end(tx: &mut Tx, id: i64, owner: &str, author: &Author) -> Result<(), BookError> {
    let sql = "UPDATE tokens SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL";
    sqlx::query(sql).bind(author.at.0).bind(id).execute(tx.conn()).await?;
    audit(tx, author, owner, &serde_json::json!({ "done": "ended", "token": id })).await
}

/// Ends the sign-ins of a user that are valid; gives how many.
pub(super) async fn end_sign_ins(tx: &mut Tx, user: i64, at: Moment) -> Result<u64, BookError> {
    let sql = "UPDATE tokens SET revoked_at = $1 \
               WHERE user_id = $2 AND kind = $3 AND revoked_at IS NULL AND expires_at > $4";
    let query = sqlx::query(sql).bind(at.0).bind(user).bind(Kind::SignIn.name()).bind(at.0);
    Ok(query.execute(tx.conn()).await?.rows_affected())
}

/// The API tokens of that name that are valid.
async fn valid(tx: &mut Tx, user: i64, name: &str, now: Moment) -> Result<Vec<i64>, BookError> {
    let sql = "SELECT id FROM tokens \
               WHERE user_id = $1 AND kind = $2 AND name = $3 AND revoked_at IS NULL AND expires_at > $4";
    let query = sqlx::query_scalar(sql).bind(user).bind(Kind::Api.name()).bind(name.to_owned()).bind(now.0);
    Ok(query.fetch_all(tx.conn()).await?)
}

async fn audit(tx: &mut Tx, author: &Author, owner: &str, detail: &serde_json::Value) -> Result<(), BookError> {
    let entry = Entry {
        at: author.at,
        actor: author.name.clone(),
        kind: "token".to_owned(),
        subject: format!("user:{owner}"),
        detail: detail.to_string(),
    };
    chain::append(tx, entry).await
}
