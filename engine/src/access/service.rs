//! What is asked of a running engine about users and tokens. Passwords are hashed aside, on a thread of their own; what
//! that gives is written by the one writer. Random bytes and the time enter as data.

use std::collections::BTreeSet;

use kernel::time::Moment;
use tokio::sync::Semaphore;

use super::{Hasher, PasswordError, Role, Secret};
use crate::book::sign_in::{self, SignInError};
use crate::book::tokens::{self, Kind, Token};
use crate::book::users::{self, Author, User, UserError};
use crate::engine::{Handle, Stopped};

/// Passwords that are hashed at once (2 x 19 MiB); others wait.
static HASHING: Semaphore = Semaphore::const_new(2);

/// A user to be added.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// Its name.
    pub name: String,
    /// The person, in words.
    pub title: Option<String>,
    /// What it may do.
    pub roles: BTreeSet<Role>,
    /// Its password ...
    pub password: Secret,
    /// ... and random bytes to hash it with.
    pub salt: [u8; 16],
}

/// Somebody who is signed in.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// What proves it from now on.
    pub secret: Secret,
    /// The same as the book keeps it.
    pub token: Token,
}

/// Runs work that takes a core for some time.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    // It is never closed.
    let _turn = HASHING.acquire().await;
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

async fn hash(name: &str, password: Secret, salt: [u8; 16]) -> Result<String, PasswordError> {
    let name = name.to_owned();
    aside(move || Hasher::recommended().hash(&name, &password, salt)).await
}

impl Handle {
    /// Adds a user. The first one of a book must be an admin.
    ///
    /// # Errors
    /// [`Stopped`]; the inner one says why not.
    pub async fn add_user(&self, new: NewUser, author: Author) -> Result<Result<User, UserError>, Stopped> {
        let NewUser { name, title, roles, password, salt } = new;
        if let Err(error) = users::check_name(&name) {
            return Ok(Err(error));
        }
        let phc = match hash(&name, password, salt).await {
            Ok(phc) => phc,
            Err(error) => return Ok(Err(error.into())),
        };
        self.write(move |tx| {
            Box::pin(async move { users::add(tx, (&name, title.as_deref(), &roles), &phc, &author).await })
        })
        .await
    }

    /// Gives a user these roles and no others; `false` where it has just them.
    ///
    /// # Errors
    /// As [`Handle::add_user`].
    pub async fn set_roles(
        &self,
        name: &str,
        roles: BTreeSet<Role>,
        author: Author,
    ) -> Result<Result<bool, UserError>, Stopped> {
        let name = name.to_owned();
        self.write(move |tx| Box::pin(async move { users::set_roles(tx, &name, &roles, &author).await })).await
    }

    /// Gives a user another password and ends its sign-ins; gives how many.
    ///
    /// # Errors
    /// As [`Handle::add_user`].
    pub async fn set_password(
        &self,
        name: &str,
        password: Secret,
        salt: [u8; 16],
        author: Author,
    ) -> Result<Result<u64, UserError>, Stopped> {
        let phc = match hash(name, password, salt).await {
            Ok(phc) => phc,
            Err(error) => return Ok(Err(error.into())),
        };
        let name = name.to_owned();
        self.write(move |tx| Box::pin(async move { users::set_password(tx, &name, &phc, &author).await })).await
    }

    /// Lets a user do nothing from now on and ends its sign-ins; gives how many, or `None` where it is disabled
    /// already.
    ///
    /// # Errors
    /// As [`Handle::add_user`].
    pub async fn disable_user(&self, name: &str, author: Author) -> Result<Result<Option<u64>, UserError>, Stopped> {
        let name = name.to_owned();
        self.write(move |tx| Box::pin(async move { users::disable(tx, &name, &author).await })).await
    }

    /// Lets a user act again; `false` where it may already.
    ///
    /// # Errors
    /// As [`Handle::add_user`].
    pub async fn enable_user(&self, name: &str, author: Author) -> Result<Result<bool, UserError>, Stopped> {
        let name = name.to_owned();
        self.write(move |tx| Box::pin(async move { users::enable(tx, &name, &author).await })).await
    }

    /// Makes an API token of a user with 32 random bytes; gives its secret, which nobody can read again.
    ///
    /// # Errors
    /// As [`Handle::add_user`].
    pub async fn new_token(
        &self,
        (owner, name): (&str, &str),
        expires_at: Moment,
        random: [u8; 32],
        author: Author,
    ) -> Result<Result<SignedIn, UserError>, Stopped> {
        let (owner, name, secret) = (owner.to_owned(), name.to_owned(), Secret::of_token(random));
        let hash = secret.sha256();
        let made = self
            .write(move |tx| {
                Box::pin(
                    async move { tokens::issue(tx, (&owner, Kind::Api, &name), (&hash, expires_at), &author).await },
                )
            })
            .await?;
        Ok(made.map(|token| SignedIn { secret, token }))
    }

    /// Ends an API token of a user.
    ///
    /// # Errors
    /// As [`Handle::add_user`].
    pub async fn revoke_token(
        &self,
        (owner, name): (&str, &str),
        author: Author,
    ) -> Result<Result<(), UserError>, Stopped> {
        let (owner, name) = (owner.to_owned(), name.to_owned());
        self.write(move |tx| Box::pin(async move { tokens::revoke(tx, &owner, &name, &author).await })).await
    }

    /// Ends a sign-in.
    ///
    /// # Errors
    /// As [`Handle::add_user`].
    pub async fn sign_out(&self, token: Token, author: Author) -> Result<Result<(), UserError>, Stopped> {
        self.write(move |tx| Box::pin(async move { Ok(tokens::end(tx, token.id, &token.owner, &author).await?) })).await
    }

    /// Signs a user in by the password. It takes as long for a name that nobody has as for a wrong password.
    ///
    /// # Errors
    /// [`Stopped`]; the inner one says why not.
    pub async fn sign_in(
        &self,
        name: &str,
        password: Secret,
        random: [u8; 32],
        now: Moment,
    ) -> Result<Result<SignedIn, SignInError>, Stopped> {
        let typed = name.to_owned();
        let begun = self.write(move |tx| Box::pin(async move { sign_in::begin(tx, &typed, now).await })).await?;
        let candidate = match begun {
            Ok(candidate) => candidate,
            Err(error) => return Ok(Err(error)),
        };
        let user = candidate.as_ref().map(|(user, _)| user.name.clone());
        let stored = candidate.and_then(|(_, stored)| stored);
        let against = stored.clone();
        let checked = aside(move || Hasher::recommended().check(against.as_deref(), &password)).await;
        let secret = Secret::of_token(random);
        let outcome = match (checked, &user, stored) {
            (Ok(true), Some(name), Some(stored)) => {
                let (name, hash) = (name.clone(), secret.sha256());
                self.write(move |tx| Box::pin(async move { sign_in::succeed(tx, &name, &stored, &hash, now).await }))
                    .await?
            }
            (Ok(_), _, _) => Err(SignInError::Wrong),
            (Err(error), _, _) => Err(error.into()),
        };
        let error = match outcome {
            Ok(token) => return Ok(Ok(SignedIn { secret, token })),
            Err(error) => error,
        };
        self.write(move |tx| {
            Box::pin(async move {
                sign_in::fail(tx, user.as_deref(), &error, now).await?;
                // It is written down; the answer is still no.
                Ok::<_, SignInError>(Err(error))
            })
        })
        .await
        .map(|written| written.and_then(|answer| answer))
    }
}
