//! A login that goes by way of another site: everything that ties its end to its beginning is made from one random text,
//! which only the browser keeps.

use sha2::{Digest as _, Sha256};

use super::secret;
use crate::text::hex;

#[must_use]
pub(crate) fn secret() -> String {
    hex(&rand::random::<[u8; 32]>())
}

/// What the other site sends back as it came.
#[must_use]
pub(crate) fn state(secret: &str) -> String {
    secret::digest_of(&["login state ", secret])
}

/// What the other site puts into its token.
#[must_use]
pub(crate) fn nonce(secret: &str) -> String {
    secret::digest_of(&["login nonce ", secret])
}

/// What only whoever began the login can show (PKCE).
#[must_use]
pub(crate) fn verifier(secret: &str) -> String {
    secret::digest_of(&["login verifier ", secret])
}

/// What is told of the verifier at the beginning.
#[must_use]
pub(crate) fn challenge(secret: &str) -> [u8; 32] {
    Sha256::digest(verifier(secret).as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_tells_of_another_and_the_verifier_is_of_the_length_that_is_allowed() {
        let (one, other) = (secret(), secret());
        assert_ne!(one, other);
        let all = [state(&one), nonce(&one), verifier(&one), state(&other)];
        assert!((1..4).all(|n| !all[..n].contains(&all[n])));
        assert!((43..=128).contains(&verifier(&one).len()));
        assert_eq!(challenge(&one), challenge(&one));
    }
}
