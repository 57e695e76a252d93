//! The command line's side of a sign-in: passwords that are asked for, and the secret that goes with each call.

use std::io::{BufRead as _, IsTerminal as _};
use std::path::Path;

use engine::access::Secret;

use super::stored;
use crate::call::{Asked, Call, Failure};
use crate::cli;

/// The variable that holds a token; it comes before what a sign-in has kept.
const TOKEN: &str = "METERLEDGER_TOKEN";

/// The system's user: the claim of who gives none.
fn login() -> String {
    std::env::var("USER").ok().filter(|user| !user.trim().is_empty()).unwrap_or_else(|| "cli".to_owned())
}

/// A call with what is known of who makes it.
pub(crate) fn asked(folder: &Path, actor: Option<String>, call: Call) -> Result<Asked, Failure> {
    let given = std::env::var(TOKEN).ok().map(|token| token.trim().to_owned()).filter(|token| !token.is_empty());
    let secret = match given {
        Some(token) => Some(Secret::new(token)),
        None => stored::read(folder)?,
    };
    let actor = actor.filter(|actor| !actor.trim().is_empty());
    Ok(Asked { secret, actor, login: login(), call })
}

/// `sign-in`: checks the password where the book is, and keeps the token that it gives.
pub(crate) async fn sign_in(folder: &Path, name: String, password_stdin: bool) -> Result<(), Failure> {
    let password = password(&name, password_stdin, Ask::Once)?;
    // What is kept here already goes along: it is ended, or it is another person's.
    let secret = stored::read(folder)?;
    let asked = Asked { secret, actor: None, login: login(), call: Call::SignIn { name, password } };
    let secret = cli::gather(folder, asked).await?;
    stored::keep(folder, &Secret::new(String::from_utf8_lossy(&secret).trim()))
}

/// `sign-out`: ends the sign-in where the book is, and forgets the token in any case.
pub(crate) async fn sign_out(folder: &Path) -> Result<(), Failure> {
    let Some(secret) = stored::read(folder)? else {
        return Err(Failure(format!("nobody is signed in on {} here", folder.display())));
    };
    let asked = Asked { secret: Some(secret), actor: None, login: login(), call: Call::SignOut };
    let ended = cli::gather(folder, asked).await;
    stored::forget(folder)?;
    ended
        .map(|_| ())
        .map_err(|Failure(why)| Failure(format!("the sign-in is forgotten here, the book did not end it: {why}")))
}

/// How often a password is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// One that the book knows.
    Once,
    /// A new one.
    Twice,
}

/// The password of a user: the first line of standard input, or from the terminal, which does not show it.
pub(crate) fn password(name: &str, stdin: bool, ask: Ask) -> Result<Secret, Failure> {
    if stdin {
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line);
        read.map_err(|error| Failure(format!("cannot read the password from standard input: {error}")))?;
        return Ok(Secret::new(line.trim_end_matches(['\r', '\n'])));
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure(format!(
            "there is no terminal to ask for the password of {name} on: give it on standard input, with --password-stdin"
        )));
    }
    let prompt = |text: String| {
        let typed = rpassword::prompt_password(text).map(Secret::new);
        typed.map_err(|error| Failure(format!("cannot ask for the password: {error}; give --password-stdin")))
    };
    let first = prompt(format!("Password of {name}: "))?;
    match ask {
        Ask::Once => Ok(first),
        Ask::Twice => agreed(first, &prompt(format!("Password of {name}, again: "))?),
    }
}

fn agreed(first: Secret, second: &Secret) -> Result<Secret, Failure> {
    if first == *second { Ok(first) } else { Err(Failure("the two passwords differ: nothing was changed".to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_password_is_typed_twice_alike() {
        assert!(agreed(Secret::new("four words of mine"), &Secret::new("four words of mine")).is_ok());
        let error =
            agreed(Secret::new("four words of mine"), &Secret::new("four words of mime")).unwrap_err().to_string();
        assert!(error.contains("differ") && !error.contains("mine") && !error.contains("mime"), "{error}");
    }
}
