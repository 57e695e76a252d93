//! Passwords: how long they are, and how they are kept.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};

use super::Secret;

/// The fewest characters of a password (NIST SP 800-63B asks for 8 beside a second factor, for more without).
pub const LEAST: usize = 10;
/// The most bytes of a password: more is no password, and all of it has to be hashed.
pub const MOST: usize = 512;

/// Why a password is not taken, or not checked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too few characters.
    #[error("the password has {0} characters: take at least {LEAST}, such as four words")]
    Short(usize),
    /// Too many bytes.
    #[error("the password has {0} bytes: take at most {MOST}")]
    Long(usize),
    /// The name alone, or one character again and again.
    #[error("the password is the user's name, or one character again and again: take another, such as four words")]
    Plain,
    /// What the book keeps is no hash.
    #[error(
        "the book's password of this user cannot be read ({0}): let an admin set another by `meterledger user password`"
    )]
    Stored(String),
}

/// Hashes and checks passwords by argon2id with some parameters.
#[derive(Clone, Debug, Default)]
pub struct Hasher(Argon2<'static>);

impl Hasher {
    /// The one that everybody uses: argon2id with the crate's recommended parameters (19 MiB, two passes, one lane).
    #[must_use]
    pub fn recommended() -> Hasher {
        Hasher::default()
    }

    /// One that costs next to nothing, for tests.
    #[cfg(test)]
    pub(crate) fn cheap() -> Hasher {
        Hasher(argon2::Params::new(8, 1, 1, None).unwrap().into())
    }

    /// What the book keeps of a new password of `user`: a PHC string. `salt` are random bytes.
    ///
    /// # Errors
    /// [`PasswordError`], for a password that is not taken.
    pub fn hash(&self, user: &str, password: &Secret, salt: [u8; 16]) -> Result<String, PasswordError> {
        let text = password.expose();
        let characters = text.chars().count();
        if characters < LEAST {
            return Err(PasswordError::Short(characters));
        }
        if text.len() > MOST {
            return Err(PasswordError::Long(text.len()));
        }
        if text.eq_ignore_ascii_case(user) || text.chars().all(|letter| text.starts_with(letter)) {
            return Err(PasswordError::Plain);
        }
        self.phc(text, salt)
    }

    /// Whether it is the password of which the book keeps `stored`. Where it keeps nothing, because there is no such
    /// user, the answer is no and takes as long.
    ///
    /// # Errors
    /// [`PasswordError::Stored`].
    pub fn check(&self, stored: Option<&str>, password: &Secret) -> Result<bool, PasswordError> {
        let text = password.expose();
        // Nobody's password: it is not read on.
        let text = if text.len() > MOST { "" } else { text };
        let Some(stored) = stored else {
            self.phc(text, [0; 16])?;
            return Ok(false);
        };
        let stored = PasswordHash::new(stored).map_err(|error| PasswordError::Stored(error.to_string()))?;
        Ok(self.0.verify_password(text.as_bytes(), &stored).is_ok())
    }

    fn phc(&self, text: &str, salt: [u8; 16]) -> Result<String, PasswordError> {
        let hash: PasswordHash = self
            .0
            .hash_password_with_salt(text.as_bytes(), &salt)
            .map_err(|error| PasswordError::Stored(error.to_string()))?;
        Ok(hash.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(user: &str, password: &str) -> Result<String, PasswordError> {
        Hasher::cheap().hash(user, &Secret::new(password), [7; 16])
    }

    #[test]
    fn a_password_is_checked_against_its_hash_and_no_other() {
        let stored = hash("anna", "four words of mine").unwrap();
        let check = |password: &str| Hasher::cheap().check(Some(&stored), &Secret::new(password)).unwrap();
        assert!(check("four words of mine"));
        for wrong in ["four words of mine ", "Four words of mine", "", "x".repeat(MOST + 1).as_str()] {
            assert!(!check(wrong), "{wrong:?}");
        }
        assert!(!stored.contains("four"));
        assert_ne!(stored, Hasher::cheap().hash("anna", &Secret::new("four words of mine"), [8; 16]).unwrap());
        assert_eq!(Hasher::cheap().check(None, &Secret::new("four words of mine")), Ok(false));
        let damaged = Hasher::cheap().check(Some("plain"), &Secret::new("four words of mine"));
        assert!(matches!(damaged, Err(PasswordError::Stored(_))), "{damaged:?}");
    }

    #[test]
    fn a_password_that_is_easily_guessed_is_not_taken() {
        assert_eq!(hash("anna", "九个字符也许不够长"), Err(PasswordError::Short(9)));
        assert!(hash("anna", "十个字符已经足够长了").is_ok());
        assert_eq!(hash("anna", &"ab".repeat(257)), Err(PasswordError::Long(514)));
        assert_eq!(hash("annabella.li", "AnnaBella.Li"), Err(PasswordError::Plain));
        assert_eq!(hash("anna", "0000000000"), Err(PasswordError::Plain));
    }

    #[test]
    fn production_hashes_by_argon2id_with_the_parameters_that_are_recommended() {
        let stored = Hasher::recommended().hash("anna", &Secret::new("four words of mine"), [7; 16]).unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        // A cheap check of it costs what is stored, not what the checker is made with.
        assert!(Hasher::cheap().check(Some(&stored), &Secret::new("four words of mine")).unwrap());
    }
}
