//! The key that seals the audit log (Ed25519), and its signatures.

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use super::secret::hex;

/// A private key. `Debug` shows its public part only.
pub struct SealKey(SigningKey);

impl SealKey {
    /// A new one, from the system's random numbers.
    #[must_use]
    pub fn make() -> Self {
        Self(SigningKey::from_bytes(&rand::random()))
    }

    /// From the text of its file; `None` if that is no key.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        Some(Self(SigningKey::from_bytes(&bytes(text.trim())?)))
    }

    /// The text of its file.
    #[must_use]
    pub fn text(&self) -> String {
        hex(&self.0.to_bytes()) + "\n"
    }

    /// Its public part, in hexadecimal.
    #[must_use]
    pub fn public(&self) -> String {
        hex(self.0.verifying_key().as_bytes())
    }

    /// Signs, in hexadecimal.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> String {
        hex(&self.0.sign(message).to_bytes())
    }
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SealKey").field(&self.public()).finish()
    }
}

/// Whether a signature is that of a public key.
#[must_use]
pub(crate) fn is_signed(key: &str, message: &[u8], signature: &str) -> bool {
    let key = bytes(key).and_then(|key| VerifyingKey::from_bytes(&key).ok());
    let signature = bytes(signature).map(|signature| Signature::from_bytes(&signature));
    key.zip(signature).is_some_and(|(key, signature)| key.verify_strict(message, &signature).is_ok())
}

/// The bytes of a text in hexadecimal; `None` if it is none of so many.
#[must_use]
pub(crate) fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut read = [0; N];
    for (byte, pair) in read.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |c: u8| char::from(c).to_digit(16);
        *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
    }
    Some(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_of_one_key_and_one_message() {
        let (key, other) = (SealKey::make(), SealKey::make());
        let again = SealKey::read(&key.text()).unwrap();
        assert_eq!(again.public(), key.public());
        let signature = again.sign(b"head");
        assert!(is_signed(&key.public(), b"head", &signature));
        assert!(!is_signed(&key.public(), b"heat", &signature));
        assert!(!is_signed(&other.public(), b"head", &signature));
        assert!(!is_signed("", b"head", &signature) && !is_signed(&key.public(), b"head", ""));
        assert!(SealKey::read("no key").is_none());
        assert!(!format!("{key:?}").contains(key.text().trim()));
    }
}
