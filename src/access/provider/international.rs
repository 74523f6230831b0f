//! SHA-256 (FIPS 180-4) and Ed25519 (RFC 8032).

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

use super::{CryptoError, Provider};

pub(super) struct International;

impl Provider for International {
    fn word(&self) -> &'static str {
        "international"
    }

    fn mark(&self) -> &'static str {
        ""
    }

    fn sums(&self) -> &'static str {
        "SHA256SUMS"
    }

    fn digest(&self, data: &[u8]) -> Result<[u8; 32], CryptoError> {
        Ok(Sha256::digest(data).into())
    }

    fn make(&self) -> Result<[u8; 32], CryptoError> {
        Ok(rand::random())
    }

    fn public(&self, private: &[u8; 32]) -> Result<Vec<u8>, CryptoError> {
        Ok(SigningKey::from_bytes(private).verifying_key().as_bytes().to_vec())
    }

    fn sign(&self, private: &[u8; 32], message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        Ok(SigningKey::from_bytes(private).sign(message).to_bytes().to_vec())
    }

    fn is_signed(&self, public: &[u8], message: &[u8], signature: &[u8]) -> bool {
        let key = public.try_into().ok().and_then(|key| VerifyingKey::from_bytes(key).ok());
        let signature = signature.try_into().ok().map(Signature::from_bytes);
        key.zip(signature).is_some_and(|(key, signature)| key.verify_strict(message, &signature).is_ok())
    }

    /// RFC 8410.
    fn spki(&self) -> &'static [u8] {
        &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::hex;

    /// RFC 8032, 7.1, TEST 2, and "abc" of FIPS 180-4.
    #[test]
    fn published_vectors_hold() {
        let private = [
            0x4c, 0xcd, 0x08, 0x9b, 0x28, 0xff, 0x96, 0xda, 0x9d, 0xb6, 0xc3, 0x46, 0xec, 0x11, 0x4e, 0x0f,
            0x5b, 0x8a, 0x31, 0x9f, 0x35, 0xab, 0xa6, 0x24, 0xda, 0x8c, 0xf6, 0xed, 0x4f, 0xb8, 0xa6, 0xfb,
        ];
        let public = International.public(&private).unwrap();
        assert_eq!(hex(&public), "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
        let signature = International.sign(&private, &[0x72]).unwrap();
        assert_eq!(
            hex(&signature),
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        );
        assert!(International.is_signed(&public, &[0x72], &signature));
        let abc = International.digest(b"abc").unwrap();
        assert_eq!(hex(&abc), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
