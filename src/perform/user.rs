//! `user`, `token`, `sign-in`, `sign-out`, `whoami`: who may ask.

use engine::access::{NewUser, SignedIn};
use engine::book::tokens::{self, Kind};
use engine::book::users::{self, Author};
use kernel::time::{DAY, Moment};

use super::import::span;
use super::table::Table;
use crate::access::Who;
use crate::access::permissions::Permission;
use crate::call::{Event, Events, Failure, failed, say};
use crate::node::Node;
use crate::users::{TokenCommand, UserCommand, roles_in_words};
use engine::access::Secret;

/// The longest time that a token is valid.
const LONGEST: i64 = 3_650 * DAY;

/// Bytes that nobody can guess.
fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Failure(format!("the system gives no random bytes: {error}")))?;
    Ok(bytes)
}

fn time(at: Option<Moment>) -> String {
    at.map_or_else(String::new, |at| at.to_string())
}

pub(super) async fn user(node: &Node, who: &Who, command: &UserCommand, events: &Events) -> Result<(), Failure> {
    let author = who.author(node.clock.now());
    let engine = &node.engine;
    let said = match command {
        UserCommand::Add { name, roles, title, password, .. } => {
            let (title, roles, password) = (title.clone(), roles.iter().copied().collect(), password.clone());
            let new = NewUser { name: name.clone(), title, roles, password, salt: random()? };
            let added = engine.add_user(new, author).await.map_err(failed)?.map_err(failed)?;
            let first = match who.token {
                Some(_) => "",
                None => "\nit is the first user: from now on every command needs a sign-in, `meterledger sign-in NAME`",
            };
            format!("added user {name}: {}{first}", roles_in_words(&added.roles))
        }
        UserCommand::List { format } => {
            let mut book = engine.book().snapshot().await.map_err(failed)?;
            let mut table = Table::new(&["name", "title", "roles", "created_at", "disabled_at"]);
            for user in users::all(&mut book).await.map_err(failed)? {
                let (roles, created_at) = (roles_in_words(&user.roles), user.created_at.to_string());
                table.push([user.name, user.title.unwrap_or_default(), roles, created_at, time(user.disabled_at)]);
            }
            table.render(*format)
        }
        UserCommand::Roles { name, set } => {
            let roles = set.iter().copied().collect();
            let words = roles_in_words(&roles);
            match engine.set_roles(name, roles, author).await.map_err(failed)?.map_err(failed)? {
                true => format!("{name} has the roles {words} now"),
                false => format!("{name} has the roles {words} already; nothing changed"),
            }
        }
        UserCommand::Password { name, password, .. } => {
            let set = engine.set_password(name, password.clone(), random()?, author).await;
            let ended = set.map_err(failed)?.map_err(failed)?;
            format!("{name} has a new password; {ended} sign-ins ended, API tokens stay valid")
        }
        UserCommand::Disable { name } => {
            match engine.disable_user(name, author).await.map_err(failed)?.map_err(failed)? {
                Some(ended) => format!(
                    "{name} is disabled; {ended} sign-ins ended, and API tokens are refused until `meterledger user enable {name}`"
                ),
                None => format!("{name} is disabled already; nothing changed"),
            }
        }
        UserCommand::Enable { name } => {
            match engine.enable_user(name, author).await.map_err(failed)?.map_err(failed)? {
                true => format!("{name} may act again; API tokens that were not revoked are valid again"),
                false => format!("{name} is not disabled; nothing changed"),
            }
        }
    };
    say(events, said).await;
    Ok(())
}

pub(super) async fn token(node: &Node, who: &Who, command: &TokenCommand, events: &Events) -> Result<(), Failure> {
    let now = node.clock.now();
    let whose = |user: &Option<String>| user.clone().unwrap_or_else(|| who.name.clone());
    match command {
        TokenCommand::New { name, user, expires } => {
            let span = span(expires).ok().filter(|span| *span <= LONGEST).ok_or_else(|| {
                Failure(format!("--expires {expires:?} is no length of time up to 3650d: write it as 12h or 90d"))
            })?;
            let owner = whose(user);
            let made = node.engine.new_token((&owner, name), now.plus(span), random()?, who.author(now)).await;
            let SignedIn { secret, token } = made.map_err(failed)?.map_err(failed)?;
            say(events, secret.expose()).await;
            let note = format!(
                "token {name:?} speaks for {owner} until {}; its secret is shown this once, and goes into METERLEDGER_TOKEN",
                token.expires_at
            );
            let _ = events.send(Event::Note(note)).await;
        }
        TokenCommand::List { format } => {
            let owner = Some(who.name.as_str()).filter(|_| !who.may(Permission::Administer));
            let mut book = node.engine.book().snapshot().await.map_err(failed)?;
            let mut table = Table::new(&["owner", "kind", "name", "created_at", "expires_at", "state"]);
            for token in tokens::list(&mut book, owner).await.map_err(failed)? {
                let state = match token.revoked_at {
                    Some(at) => format!("ended at {at}"),
                    None if token.expires_at <= now => "expired".to_owned(),
                    None => "valid".to_owned(),
                };
                let (created_at, expires_at) = (token.created_at.to_string(), token.expires_at.to_string());
                table.push([token.owner, token.kind.name().to_owned(), token.name, created_at, expires_at, state]);
            }
            say(events, table.render(*format)).await;
        }
        TokenCommand::Revoke { name, user } => {
            let owner = whose(user);
            let revoked = node.engine.revoke_token((&owner, name), who.author(now)).await;
            revoked.map_err(failed)?.map_err(failed)?;
            say(events, format!("token {name:?} of {owner} is not valid any more")).await;
        }
    }
    Ok(())
}

/// Gives the secret as output, for the command line to keep, and the rest as a note.
/// Signs a user in, in the place of the sign-in that is kept where they ask. Another person's is not replaced without a
/// word: on a shared system user two people would become one.
pub(super) async fn sign_in(
    node: &Node,
    kept: Option<&Secret>,
    name: &str,
    password: &Secret,
    events: &Events,
) -> Result<(), Failure> {
    let now = node.clock.now();
    let before = match kept {
        // One that is over is nobody's.
        Some(secret) => {
            tokens::holder(&mut *node.engine.book().snapshot().await.map_err(failed)?, secret, now).await.ok()
        }
        None => None,
    };
    if let Some((other, _)) = before.as_ref().filter(|(other, _)| other.name != name) {
        return Err(Failure(format!(
            "{} is signed in on {} here: run `meterledger sign-out` first, or use a system user of your own",
            other.name,
            node.folder.display()
        )));
    }
    let signed_in = node.engine.sign_in(name, password.clone(), random()?, now).await;
    let SignedIn { secret, token } = signed_in.map_err(failed)?.map_err(failed)?;
    let _ = events.send(Event::Note(format!("signed in as {} until {}", token.owner, token.expires_at))).await;
    say(events, secret.expose()).await;
    if let Some((user, old)) = before.filter(|(_, old)| old.kind == Kind::SignIn) {
        let author = Author { name: user.name, claimed: false, at: node.clock.now() };
        node.engine.sign_out(old, author).await.map_err(failed)?.map_err(failed)?;
    }
    Ok(())
}

pub(super) async fn sign_out(node: &Node, who: &Who, events: &Events) -> Result<(), Failure> {
    let Some(token) = who.token.clone().filter(|token| token.kind == Kind::SignIn) else {
        return Err(Failure("there is no sign-in to end: `meterledger token revoke` ends an API token".to_owned()));
    };
    let ended = node.engine.sign_out(token, who.author(node.clock.now())).await;
    ended.map_err(failed)?.map_err(failed)?;
    let _ = events.send(Event::Note(format!("{} is signed out", who.name))).await;
    Ok(())
}

pub(super) async fn who_am_i(who: &Who, events: &Events) {
    let title = who.title.as_ref().map_or_else(String::new, |title| format!(" ({title})"));
    let proof = match &who.token {
        None => "a claim: this book has no user, so that whoever may open it is trusted".to_owned(),
        Some(token) => {
            let by = match token.kind {
                Kind::SignIn => "signed in".to_owned(),
                Kind::Api => format!("by the token {:?}", token.name),
            };
            format!("{}; {by} until {}", roles_in_words(&who.roles), token.expires_at)
        }
    };
    say(events, format!("{}{title}: {proof}", who.name)).await;
}
