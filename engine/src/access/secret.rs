//! What proves who asks: a password or a token's secret, on its way.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// How a token's secret begins: scanners that look for leaked secrets know it by that.
const PREFIX: &str = "mlt_";

/// A password or a token's secret. Its `Debug` shows nothing of it; who wants the text says so by [`Secret::expose`].
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// One that somebody gave.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// A token's secret of 32 random bytes: `mlt_` and 64 hexadecimal digits.
    #[must_use]
    pub fn of_token(random: [u8; 32]) -> Secret {
        Secret(format!("{PREFIX}{}", hex(&random)))
    }

    /// The text.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// SHA-256 in hexadecimal: what the book keeps of a token. It has 256 random bits, so that nobody finds it by
    /// trying.
    #[must_use]
    pub fn sha256(&self) -> String {
        hex(&Sha256::digest(self.0.as_bytes()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_its_bytes_and_its_hash_is_sha_256() {
        let secret = Secret::of_token([0xAB; 32]);
        assert_eq!(secret.expose(), format!("mlt_{}", "ab".repeat(32)));
        // printf abc | sha256sum
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Secret::new("abc").sha256(), abc);
        assert_ne!(Secret::of_token([0xAC; 32]).sha256(), secret.sha256());
    }

    #[test]
    fn what_is_printed_for_programmers_shows_no_secret() {
        let secret = Secret::of_token([0xAB; 32]);
        let printed = format!("{secret:?} {:?}", Some(&secret));
        assert!(!printed.contains("ab") && !printed.contains("mlt_"), "{printed}");
    }
}
