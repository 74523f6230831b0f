//! 密码算法 behind one trait: what digests and signatures are made by. A key says by whose algorithms it signs, so that what
//! was sealed before `audit.provider` was changed is still checked.

mod international;
mod national;

use international::International;
use national::National;

/// The library failed: it has no memory, or the system no random numbers.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CryptoError(String);

/// Algorithms for digests and signatures.
pub(crate) trait Provider: Sync {
    /// Its word in the configuration.
    fn word(&self) -> &'static str;
    /// What the texts of its keys begin with.
    fn mark(&self) -> &'static str;
    /// What lists of its digests are called.
    fn sums(&self) -> &'static str;
    /// The digest of some bytes.
    ///
    /// # Errors
    /// If the library has no memory.
    fn digest(&self, data: &[u8]) -> Result<[u8; 32], CryptoError>;
    /// A new private key.
    ///
    /// # Errors
    /// If there are no random numbers.
    fn make(&self) -> Result<[u8; 32], CryptoError>;
    /// The public part of a private key, in bytes.
    ///
    /// # Errors
    /// If it is no key.
    fn public(&self, private: &[u8; 32]) -> Result<Vec<u8>, CryptoError>;
    /// Signs.
    ///
    /// # Errors
    /// If it is no key, or there are no random numbers.
    fn sign(&self, private: &[u8; 32], message: &[u8]) -> Result<Vec<u8>, CryptoError>;
    /// Whether a signature is that of a public key.
    fn is_signed(&self, public: &[u8], message: &[u8], signature: &[u8]) -> bool;
    /// What stands before the bytes of a public key in X.509.
    fn spki(&self) -> &'static [u8];
}

/// SHA-256 and Ed25519.
pub(crate) const INTERNATIONAL: &dyn Provider = &International;
/// SM3 and SM2.
pub(crate) const NATIONAL: &dyn Provider = &National;
/// All of them. The mark of the first is empty, so it comes last where marks are read.
pub(crate) const ALL: [&dyn Provider; 2] = [NATIONAL, INTERNATIONAL];

/// The provider of a key's text, and what follows its mark.
pub(crate) fn of_key(text: &str) -> (&'static dyn Provider, &str) {
    let found = ALL.into_iter().find_map(|provider| Some((provider, text.strip_prefix(provider.mark())?)));
    found.unwrap_or((INTERNATIONAL, text))
}
