//! The key that seals the audit log and signs evidence, and its signatures; by whose algorithms, the key says.

use zeroize::Zeroizing;

use super::provider::{self, CryptoError, Provider};
use crate::text::hex;

/// A private key. `Debug` shows its public part only.
pub struct SealKey {
    provider: &'static dyn Provider,
    private: Zeroizing<[u8; 32]>,
    public: String,
}

impl SealKey {
    /// A new one, from the system's random numbers.
    ///
    /// # Errors
    /// If there are none.
    pub(crate) fn make_by(provider: &'static dyn Provider) -> Result<Self, CryptoError> {
        Self::of(provider, Zeroizing::new(provider.make()?))
    }

    fn of(provider: &'static dyn Provider, private: Zeroizing<[u8; 32]>) -> Result<Self, CryptoError> {
        let public = provider.mark().to_owned() + &hex(&provider.public(&private)?);
        Ok(Self { provider, private, public })
    }

    /// A new one of the international algorithms, for tests.
    ///
    /// # Panics
    /// If the system has no random numbers.
    #[cfg(test)]
    #[must_use]
    pub(crate) fn make() -> Self {
        Self::make_by(provider::INTERNATIONAL).unwrap()
    }

    /// From the text of its file; `None` if that is no key.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (provider, digits) = provider::of_key(text.trim());
        Self::of(provider, Zeroizing::new(bytes(digits)?)).ok()
    }

    /// The text of its file.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{}{}\n", self.provider.mark(), hex(&*self.private)))
    }

    /// By whose algorithms it signs.
    pub(crate) fn provider(&self) -> &'static dyn Provider {
        self.provider
    }

    /// Its public part, in hexadecimal, with the mark of its provider.
    #[must_use]
    pub fn public(&self) -> String {
        self.public.clone()
    }

    /// Signs, in hexadecimal.
    ///
    /// # Errors
    /// If the library has no memory or no random numbers.
    pub fn sign(&self, message: &[u8]) -> Result<String, CryptoError> {
        Ok(hex(&self.provider.sign(&self.private, message)?))
    }
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SealKey").field(&self.public).finish()
    }
}

/// Whether a signature is that of a public key.
#[must_use]
pub(crate) fn is_signed(key: &str, message: &[u8], signature: &str) -> bool {
    let (provider, digits) = provider::of_key(key);
    let read = read(digits).zip(read(signature));
    read.is_some_and(|(key, signature)| provider.is_signed(&key, message, &signature))
}

/// The most bytes of a key or signature.
const BYTES_MAX: usize = 128;

/// The bytes of a text in hexadecimal; `None` if it is none.
#[must_use]
pub(crate) fn read(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) || digits.len() > 2 * BYTES_MAX {
        return None;
    }
    let digit = |c: u8| char::from(c).to_digit(16);
    digits.chunks_exact(2).map(|pair| u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()).collect()
}

/// The same of a text of so many bytes.
#[must_use]
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    read(text)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_of_one_key_and_one_message() {
        for by in provider::ALL {
            let [key, other] = [(); 2].map(|()| SealKey::make_by(by).unwrap());
            let again = SealKey::read(&key.text()).unwrap();
            assert_eq!(again.public(), key.public());
            let signature = again.sign(b"head").unwrap();
            assert!(is_signed(&key.public(), b"head", &signature));
            assert!(!is_signed(&key.public(), b"heat", &signature));
            assert!(!is_signed(&other.public(), b"head", &signature));
            assert!(!is_signed("", b"head", &signature) && !is_signed(&key.public(), b"head", ""));
            assert!(!format!("{key:?}").contains(key.text().trim().trim_start_matches("sm2:")));
        }
        assert!(SealKey::read("no key").is_none() && SealKey::read("sm2:").is_none());
        assert!(SealKey::read(&format!("sm2:{}", "0".repeat(64))).is_none(), "nought is no key");
    }

    /// A key that was made before there was a choice.
    #[test]
    fn keys_without_a_mark_are_the_international_ones() {
        let key = SealKey::read(&"1f".repeat(32)).unwrap();
        assert_eq!(key.provider().word(), "international");
        assert_eq!(key.public().len(), 64);
    }
}
