//! Tokens, and cookies of sessions: how they are made, read and compared. A token is `fw_`, its public id, and a secret of
//! 256 random bits, of which only the digest is ever kept; a secret of that length needs no slow hash.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

use crate::text::hex;

const PREFIX: &str = "fw_";
/// Bytes of the public id and of the secret; twice as many characters.
const ID: usize = 4;
const SECRET: usize = 32;

/// What is kept of a secret.
#[derive(Debug, Clone, Copy)]
pub struct SecretDigest([u8; 32]);

impl SecretDigest {
    fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    /// Its bytes, for the store.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether these are the bytes that are kept; that takes the same time whatever they are.
    #[must_use]
    pub fn is(&self, kept: &[u8]) -> bool {
        self.0.ct_eq(kept).into()
    }
}

/// A token that was just made. Its text is shown once, and `Debug` does not show it.
pub struct NewToken {
    /// Names it in lists and in the log, where its secret must not stand.
    pub id: String,
    /// What is kept of it.
    pub digest: SecretDigest,
    /// What its bearer sends.
    pub text: String,
}

impl NewToken {
    /// Makes a token from the system's random numbers.
    #[must_use]
    pub fn make() -> Self {
        Self::with_prefix(PREFIX)
    }

    pub(super) fn with_prefix(prefix: &str) -> Self {
        let (id, secret) = (hex(&rand::random::<[u8; ID]>()), hex(&rand::random::<[u8; SECRET]>()));
        Self { digest: SecretDigest::of(&secret), text: format!("{prefix}{id}_{secret}"), id }
    }
}

impl std::fmt::Debug for NewToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewToken").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The id and the digest of a token that somebody sent; `None` if it is none.
#[must_use]
pub fn presented(text: &str) -> Option<(&str, SecretDigest)> {
    presented_cookie(text.strip_prefix(PREFIX)?)
}

/// The same of the cookie of a session, which has no prefix.
#[must_use]
pub fn presented_cookie(text: &str) -> Option<(&str, SecretDigest)> {
    let (id, secret) = text.split_once('_')?;
    let is_hex = |text: &str, bytes: usize| {
        text.len() == 2 * bytes && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    (is_hex(id, ID) && is_hex(secret, SECRET)).then(|| (id, SecretDigest::of(secret)))
}

/// Whether two texts are the same; that takes the same time whatever they are.
#[must_use]
pub fn is_same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

/// The digest of some texts together, in hexadecimal.
pub(super) fn digest_of(texts: &[&str]) -> String {
    let mut digest = Sha256::new();
    texts.iter().for_each(|text| digest.update(text.as_bytes()));
    hex(&digest.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_again_by_its_digest_alone() {
        let (made, other) = (NewToken::make(), NewToken::make());
        let (id, digest) = presented(&made.text).unwrap();
        assert_eq!(id, made.id);
        assert!(digest.is(made.digest.bytes()) && !digest.is(other.digest.bytes()) && !digest.is(b""));
        assert_ne!(made.text, other.text);
        assert!(!format!("{made:?}").contains(made.text.rsplit('_').next().unwrap()));
        let upper = made.text.to_uppercase();
        for wrong in
            ["", "fw_", "fw_00000000_", &made.text[1..], &made.text[..70], &upper, &format!("{}0", made.text)]
        {
            assert!(presented(wrong).is_none(), "{wrong}");
        }
    }
}
