//! Who asks: passwords, tokens and roles, as values; the book keeps them ([`crate::book::users`],
//! [`crate::book::tokens`]).
//!
//! **Promises.** A password is kept as argon2id in PHC string form, a token as SHA-256 of 256 random bits; neither is
//! in the log, in the audit chain or in SQL, and [`Secret`] shows neither where it is printed for programmers. A
//! sign-in costs one argon2id whether the name, the password or nothing is wrong; a call by a token costs one SHA-256.
//!
//! **Not promised.** Whoever may write the files of the data folder may write the book: users guard the doors, not the
//! disk.
//!
//! What a role may do is not here but where the calls are: the binary's `access::permissions`.

pub mod password;
mod role;
mod secret;
mod service;

pub use password::{Hasher, PasswordError};
pub use role::{Role, UnknownRole};
pub use secret::Secret;
pub use service::{NewUser, SignedIn};
