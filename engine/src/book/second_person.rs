//! That proposer and approver are two people.
//!
//! In a book without users both are what they claim to be, and two names are two people. In one with users both must
//! have proved who they are: what was proposed under a claim, before there were users, may be by anybody.

use kernel::time::Moment;
use sqlx::AnyConnection;

use super::{BookError, users};

/// What the one who decides is to the one who proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Second {
    /// Another person.
    Another,
    /// The same.
    Same,
    /// Nobody knows: the proposer was no user of the book then.
    Unproven,
}

/// Compares who proposed something at a moment with who decides now.
///
/// # Errors
/// What the database says.
pub async fn second_person(
    conn: &mut AnyConnection,
    (proposer, at): (&str, Moment),
    decider: &str,
) -> Result<Second, BookError> {
    if proposer == decider {
        return Ok(Second::Same);
    }
    if !users::any(conn).await? {
        return Ok(Second::Another);
    }
    let user = users::named(conn, proposer).await?;
    Ok(if user.is_some_and(|user| user.created_at <= at) { Second::Another } else { Second::Unproven })
}
