//! Users and their roles. Every change is a row of the audit log, written in the caller's transaction.
//!
//! The first user is an admin, and from then on there is always one who is not disabled: nobody is ever locked out. A
//! name is never removed nor used again, because refunds, adjustments and the audit log go on naming it.

use std::collections::BTreeSet;

use kernel::time::Moment;
use sqlx::{AnyConnection, Row as _};

use super::chain::{self, Entry};
use super::{BookError, Tx, malformed, tokens};
use crate::access::{PasswordError, Role};

/// The longest name, and the longest title, in characters.
pub const LONGEST: usize = 64;

/// Names under which the program itself acts, or that somebody could take for it.
const RESERVED: [&str; 9] =
    ["adjustment_limit", "billing", "cli", "control", "demo", "meterledger", "policy", "server", "sign-in"];

/// A user of the book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its number.
    pub id: i64,
    /// Its name, as in every column that says who did something.
    pub name: String,
    /// The person, in words.
    pub title: Option<String>,
    /// What it may do.
    pub roles: BTreeSet<Role>,
    /// Since when.
    pub created_at: Moment,
    /// Since when it may do nothing.
    pub disabled_at: Option<Moment>,
}

/// Who changes users or tokens, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// The name.
    pub name: String,
    /// It is only said, as long as a book has no user: such an author adds the first one and nothing else.
    pub claimed: bool,
    /// When.
    pub at: Moment,
}

/// Why users or tokens are not changed. Nothing was.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// No name.
    #[error(
        "{0:?} is no name of a user: take 1 to {LONGEST} of a-z, 0-9, '.', '-', '_' and '@', beginning with a letter or \
         digit; --title says the person in words"
    )]
    Name(String),
    /// A name of the program's own.
    #[error("{0:?} is a name under which meterledger itself acts: take another")]
    Reserved(String),
    /// No title.
    #[error("the title {0:?} cannot be kept: give 1 to {LONGEST} characters")]
    Title(String),
    /// The name is taken.
    #[error(
        "there is a user {0} already: take another name, or change that one by `meterledger user roles` or `user enable`"
    )]
    Exists(String),
    /// No such user.
    #[error("there is no user {0:?}; `meterledger user list` lists them")]
    Unknown(String),
    /// No role.
    #[error("{0} would have no role: name one, such as --role viewer, or `meterledger user disable {0}`")]
    NoRole(String),
    /// The first user could not add another one.
    #[error("the first user of a book must be an admin, who adds the others: add --role admin to {0}")]
    FirstIsAdmin(String),
    /// Nobody could undo it.
    #[error("{0} is the last active admin: make another user admin first")]
    LastAdmin(String),
    /// The first user came in between.
    #[error("this book has users now: run `meterledger sign-in NAME` first")]
    SignInFirst,
    /// There is nobody whose token it could be.
    #[error("{0} is disabled: `meterledger user enable {0}` first")]
    Disabled(String),
    /// The token's name is taken, or none.
    #[error("{owner} has a token {name:?} that is valid: revoke it first, or take another name")]
    TokenExists {
        /// Whose.
        owner: String,
        /// Its name.
        name: String,
    },
    /// No name of a token.
    #[error("{0:?} is no name of a token: give 1 to {LONGEST} characters without spaces around them")]
    TokenName(String),
    /// No such token.
    #[error("{owner} has no token {name:?} that is valid; `meterledger token list` lists them")]
    UnknownToken {
        /// Whose.
        owner: String,
        /// Its name.
        name: String,
    },
    /// The password.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The book.
    #[error(transparent)]
    Book(#[from] BookError),
}

impl From<sqlx::Error> for UserError {
    fn from(error: sqlx::Error) -> UserError {
        UserError::Book(error.into())
    }
}

/// Whether the book has a user: then everybody must prove who asks.
///
/// # Errors
/// What the database says.
pub async fn any(conn: &mut AnyConnection) -> Result<bool, BookError> {
    Ok(sqlx::query("SELECT 1 FROM users LIMIT 1").fetch_optional(conn).await?.is_some())
}

/// The user of that name.
///
/// # Errors
/// What the database says.
pub async fn named(conn: &mut AnyConnection, name: &str) -> Result<Option<User>, BookError> {
    let sql = "SELECT id, name, title, created_at, disabled_at FROM users WHERE name = $1";
    let row = sqlx::query(sql).bind(name.to_owned()).fetch_optional(&mut *conn).await?;
    match row {
        Some(row) => Ok(Some(user(conn, &row).await?)),
        None => Ok(None),
    }
}

/// All users, by name.
///
/// # Errors
/// What the database says.
pub async fn all(conn: &mut AnyConnection) -> Result<Vec<User>, BookError> {
    let sql = "SELECT id, name, title, created_at, disabled_at FROM users ORDER BY name";
    let mut users = Vec::new();
    for row in sqlx::query(sql).fetch_all(&mut *conn).await? {
        users.push(user(conn, &row).await?);
    }
    Ok(users)
}

async fn user(conn: &mut AnyConnection, row: &sqlx::any::AnyRow) -> Result<User, BookError> {
    let id: i64 = row.try_get(0)?;
    let roles: Vec<(String,)> =
        sqlx::query_as("SELECT role FROM user_roles WHERE user_id = $1").bind(id).fetch_all(conn).await?;
    let role = |(name,): &(String,)| name.parse().map_err(|_| malformed(format!("user_roles.role {name:?}")));
    Ok(User {
        id,
        name: row.try_get(1)?,
        title: row.try_get(2)?,
        roles: roles.iter().map(role).collect::<Result<_, _>>()?,
        created_at: Moment(row.try_get(3)?),
        disabled_at: row.try_get::<Option<i64>, _>(4)?.map(Moment),
    })
}

/// What the book keeps of a user's password.
///
/// # Errors
/// What the database says.
pub async fn password_hash(conn: &mut AnyConnection, user: i64) -> Result<Option<String>, BookError> {
    let sql = "SELECT phc FROM password_hashes WHERE user_id = $1";
    Ok(sqlx::query_scalar(sql).bind(user).fetch_optional(conn).await?)
}

/// Whether a name may be a user's.
///
/// # Errors
/// [`UserError::Name`] and [`UserError::Reserved`].
pub fn check_name(name: &str) -> Result<(), UserError> {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let fits = |byte: u8| letter(byte) || b".-_@".contains(&byte);
    if name.len() > LONGEST || !name.bytes().next().is_some_and(letter) || !name.bytes().all(fits) {
        return Err(UserError::Name(name.to_owned()));
    }
    if RESERVED.contains(&name) {
        return Err(UserError::Reserved(name.to_owned()));
    }
    Ok(())
}

/// Adds a user with a hashed password.
///
/// # Errors
/// [`UserError`]; then drop the transaction.
pub async fn add(
    tx: &mut Tx,
    (name, title, roles): (&str, Option<&str>, &BTreeSet<Role>),
    phc: &str,
    author: &Author,
) -> Result<User, UserError> {
    check_name(name)?;
    if let Some(title) = title.filter(|title| title.trim().is_empty() || title.chars().count() > LONGEST) {
        return Err(UserError::Title(title.to_owned()));
    }
    if roles.is_empty() {
        return Err(UserError::NoRole(name.to_owned()));
    }
    let first = !any(tx.conn()).await?;
    if author.claimed && !first {
        return Err(UserError::SignInFirst);
    }
    if first && !roles.contains(&Role::Admin) {
        return Err(UserError::FirstIsAdmin(name.to_owned()));
    }
    if named(tx.conn(), name).await?.is_some() {
        return Err(UserError::Exists(name.to_owned()));
    }
    let id = tx.next_id("users").await?;
    sqlx::query("INSERT INTO users (id, name, title, created_at) VALUES ($1, $2, $3, $4)")
        .bind(id)
        .bind(name.to_owned())
        .bind(title.map(str::to_owned))
        .bind(author.at.0)
        .execute(tx.conn())
        .await?;
    write_roles(tx, id, roles).await?;
    write_password(tx, id, phc).await?;
    let detail = serde_json::json!({ "done": "added", "title": title, "roles": names(roles) });
    audit(tx, author, name, &detail).await?;
    let title = title.map(str::to_owned);
    Ok(User { id, name: name.to_owned(), title, roles: roles.clone(), created_at: author.at, disabled_at: None })
}

/// Gives a user these roles and no others; `false` where it has just them.
///
/// # Errors
/// [`UserError`]; then drop the transaction.
pub async fn set_roles(tx: &mut Tx, name: &str, roles: &BTreeSet<Role>, author: &Author) -> Result<bool, UserError> {
    let user = known(tx, name, author).await?;
    if roles.is_empty() {
        return Err(UserError::NoRole(name.to_owned()));
    }
    if user.roles == *roles {
        return Ok(false);
    }
    if !roles.contains(&Role::Admin) {
        keep_an_admin(tx, &user).await?;
    }
    write_roles(tx, user.id, roles).await?;
    let detail = serde_json::json!({ "done": "roles", "before": names(&user.roles), "roles": names(roles) });
    audit(tx, author, name, &detail).await?;
    Ok(true)
}

/// Gives a user another hashed password and ends its sign-ins; gives how many.
///
/// # Errors
/// [`UserError`]; then drop the transaction.
pub async fn set_password(tx: &mut Tx, name: &str, phc: &str, author: &Author) -> Result<u64, UserError> {
    let user = known(tx, name, author).await?;
    write_password(tx, user.id, phc).await?;
    let ended = tokens::end_sign_ins(tx, user.id, author.at).await?;
    audit(tx, author, name, &serde_json::json!({ "done": "password", "sign_ins_ended": ended })).await?;
    Ok(ended)
}

/// Lets a user do nothing from now on and ends its sign-ins; gives how many, or `None` where it is disabled already.
///
/// # Errors
/// [`UserError`]; then drop the transaction.
pub async fn disable(tx: &mut Tx, name: &str, author: &Author) -> Result<Option<u64>, UserError> {
    let user = known(tx, name, author).await?;
    if user.disabled_at.is_some() {
        return Ok(None);
    }
    keep_an_admin(tx, &user).await?;
    write_disabled(tx, user.id, Some(author.at)).await?;
    let ended = tokens::end_sign_ins(tx, user.id, author.at).await?;
    audit(tx, author, name, &serde_json::json!({ "done": "disabled", "sign_ins_ended": ended })).await?;
    Ok(Some(ended))
}

/// Lets a user act again; `false` where it may already. Its API tokens are valid again, unless they were revoked.
///
/// # Errors
/// [`UserError`]; then drop the transaction.
pub async fn enable(tx: &mut Tx, name: &str, author: &Author) -> Result<bool, UserError> {
    let user = known(tx, name, author).await?;
    if user.disabled_at.is_none() {
        return Ok(false);
    }
    write_disabled(tx, user.id, None).await?;
    audit(tx, author, name, &serde_json::json!({ "done": "enabled" })).await?;
    Ok(true)
}

/// A user that somebody may change.
pub(super) async fn known(tx: &mut Tx, name: &str, author: &Author) -> Result<User, UserError> {
    let user = named(tx.conn(), name).await?.ok_or_else(|| UserError::Unknown(name.to_owned()))?;
    if author.claimed { Err(UserError::SignInFirst) } else { Ok(user) }
}

/// Whether there is another active admin, where this user is one.
async fn keep_an_admin(tx: &mut Tx, user: &User) -> Result<(), UserError> {
    if user.disabled_at.is_some() || !user.roles.contains(&Role::Admin) {
        return Ok(());
    }
    let sql = "SELECT COUNT(*) FROM users u JOIN user_roles r ON r.user_id = u.id \
               WHERE r.role = $1 AND u.disabled_at IS NULL AND u.id <> $2";
    let query = sqlx::query_scalar(sql).bind(Role::Admin.name()).bind(user.id);
    let others: i64 = query.fetch_one(tx.conn()).await?;
    if others == 0 { Err(UserError::LastAdmin(user.name.clone())) } else { Ok(()) }
}

async fn write_roles(tx: &mut Tx, user: i64, roles: &BTreeSet<Role>) -> Result<(), BookError> {
    sqlx::query("DELETE FROM user_roles WHERE user_id = $1").bind(user).execute(tx.conn()).await?;
    for role in roles {
        let sql = "INSERT INTO user_roles (user_id, role) VALUES ($1, $2)";
        sqlx::query(sql).bind(user).bind(role.name()).execute(tx.conn()).await?;
    }
    Ok(())
}

async fn write_password(tx: &mut Tx, user: i64, phc: &str) -> Result<(), BookError> {
    sqlx::query("DELETE FROM password_hashes WHERE user_id = $1").bind(user).execute(tx.conn()).await?;
    let sql = "INSERT INTO password_hashes (user_id, phc) VALUES ($1, $2)";
    sqlx::query(sql).bind(user).bind(phc.to_owned()).execute(tx.conn()).await?;
    Ok(())
}

async fn write_disabled(tx: &mut Tx, user: i64, at: Option<Moment>) -> Result<(), BookError> {
    let sql = "UPDATE users SET disabled_at = $1 WHERE id = $2";
    sqlx::query(sql).bind(at.map(|at| at.0)).bind(user).execute(tx.conn()).await?;
    Ok(())
}

fn names(roles: &BTreeSet<Role>) -> Vec<&'static str> {
    roles.iter().map(|role| role.name()).collect()
}

async fn audit(tx: &mut Tx, author: &Author, user: &str, detail: &serde_json::Value) -> Result<(), BookError> {
    let entry = Entry {
        at: author.at,
        actor: author.name.clone(),
        kind: "user".to_owned(),
        subject: format!("user:{user}"),
        detail: detail.to_string(),
    };
    chain::append(tx, entry).await
}

#[cfg(test)]
#[path = "users_tests.rs"]
mod tests;
