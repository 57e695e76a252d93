//! Who asks, and whether they may: one function, [`admit`], on the side that carries a call out, whatever door it came
//! by.
//!
//! As long as a book has no user, whoever may open its folder or its socket is trusted, and the actor is a claim. From
//! the first user on every call carries a token's secret, and the actor is the token's owner. `serve` is no call:
//! whoever can start a server on the folder owns its files, so that it needs no sign-in; what it does by itself it does
//! under the program's own names, which no user can have.
//!
//! [`permissions`] says what each call needs; [`session`] and [`stored`] are the command line's side.

pub(crate) mod permissions;
pub(crate) mod session;
mod stored;

use std::collections::BTreeSet;

use engine::access::Role;
use engine::book::tokens::{self, Kind, Token, TokenError};
use engine::book::users::{self, Author};
use kernel::time::Moment;

use crate::call::{Asked, Failure, failed};
use crate::node::Node;
use permissions::{Need, Permission, needed, refusal};

/// Who makes a call.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    /// The actor of everything that the call does.
    pub(crate) name: String,
    /// The person, in words.
    pub(crate) title: Option<String>,
    pub(crate) roles: BTreeSet<Role>,
    /// What proves it; nothing where it is only said.
    pub(crate) token: Option<Token>,
}

impl Who {
    fn claimed(asked: &Asked) -> Who {
        let name = asked.actor.clone().unwrap_or_else(|| asked.login.clone());
        Who { name, title: None, roles: BTreeSet::new(), token: None }
    }

    /// Who it is for the book's rows about users and tokens.
    pub(crate) fn author(&self, at: Moment) -> Author {
        Author { name: self.name.clone(), claimed: self.token.is_none(), at }
    }

    pub(crate) fn may(&self, permission: Permission) -> bool {
        permissions::may(&self.roles, permission)
    }

    fn signed_in(&self) -> bool {
        self.token.as_ref().is_some_and(|token| token.kind == Kind::SignIn)
    }
}

/// Finds out who makes a call, and refuses what they may not do. It costs one SHA-256 and a few look-ups.
pub(crate) async fn admit(node: &Node, asked: &Asked) -> Result<Who, Failure> {
    let mut book = node.engine.book().snapshot().await.map_err(failed)?;
    let open = !users::any(&mut book).await.map_err(failed)?;
    if open || needed(&asked.call, "").1 == Need::Nothing {
        return Ok(Who::claimed(asked));
    }
    let Some(secret) = &asked.secret else {
        return Err(Failure(
            "this book has users, and nobody is signed in here: run `meterledger sign-in NAME`, or give a token in \
             METERLEDGER_TOKEN"
                .to_owned(),
        ));
    };
    let held = tokens::holder(&mut book, secret, node.clock.now()).await;
    let (user, token) = held.map_err(|error| Failure(format!("{error}: {}", remedy(&error))))?;
    if let Some(actor) = asked.actor.as_ref().filter(|actor| **actor != user.name) {
        return Err(Failure(format!(
            "--actor (or METERLEDGER_ACTOR) says {actor:?}, and {} is who asks: in a book with users nobody acts as another; \
             leave it out, or sign in as {actor}",
            user.name
        )));
    }
    let who = Who { name: user.name, title: user.title, roles: user.roles, token: Some(token) };
    let (call, need) = needed(&asked.call, &who.name);
    match refusal(call, need, (&who.name, &who.roles, who.signed_in())) {
        Some(refusal) => Err(Failure(refusal)),
        None => Ok(who),
    }
}

fn remedy(error: &TokenError) -> String {
    match error {
        TokenError::Unknown => {
            "run `meterledger sign-in NAME`, or set METERLEDGER_TOKEN to a token of this book".to_owned()
        }
        TokenError::Expired(token) | TokenError::Revoked(token) => match token.kind {
            Kind::SignIn => format!("run `meterledger sign-in {}`", token.owner),
            Kind::Api => "make another one by `meterledger token new`".to_owned(),
        },
        TokenError::Disabled(name) => format!("an admin can run `meterledger user enable {name}`"),
        TokenError::Book(_) => "try again".to_owned(),
    }
}
