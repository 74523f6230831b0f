//! SM3 (GB/T 32905) and signatures by SM2 (GB/T 32918.2) on the recommended curve (GB/T 32918.5), as the OpenSSL that is built
//! with the program has them. It takes no name of a signer, so what that name is for, the digest over name, curve and key
//! that goes before the message, is made here.

use openssl::{
    bn::{BigNum, BigNumContext},
    ec::{EcGroup, EcKey, EcPoint},
    error::ErrorStack,
    hash::{Hasher, MessageDigest},
    nid::Nid,
    pkey::PKey,
    pkey_ctx::PkeyCtx,
};

use super::{CryptoError, Provider};

pub(super) struct National;

/// The name of a signer where nobody agreed on another one (GM/T 0009).
const SIGNER: &[u8] = b"1234567812345678";
/// a, b and the base point of the curve.
const CURVE: [u8; 128] = *b"\
\xFF\xFF\xFF\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\
\xFF\xFF\xFF\xFF\x00\x00\x00\x00\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFC\
\x28\xE9\xFA\x9E\x9D\x9F\x5E\x34\x4D\x5A\x9E\x4B\xCF\x65\x09\xA7\
\xF3\x97\x89\xF5\x15\xAB\x8F\x92\xDD\xBC\xBD\x41\x4D\x94\x0E\x93\
\x32\xC4\xAE\x2C\x1F\x19\x81\x19\x5F\x99\x04\x46\x6A\x39\xC9\x94\
\x8F\xE3\x0B\xBF\xF2\x66\x0B\xE1\x71\x5A\x45\x89\x33\x4C\x74\xC7\
\xBC\x37\x36\xA2\xF4\xF6\x77\x9C\x59\xBD\xCE\xE3\x6B\x69\x21\x53\
\xD0\xA9\x87\x7C\xC6\x2A\x47\x40\x02\xDF\x32\xE5\x21\x39\xF0\xA0";
/// Before the two coordinates of a point that are both written.
const POINT: u8 = 4;

fn sm3(parts: &[&[u8]]) -> Result<[u8; 32], ErrorStack> {
    let sm3 = MessageDigest::from_name("SM3").ok_or_else(ErrorStack::get)?;
    let mut hasher = Hasher::new(sm3)?;
    for part in parts {
        hasher.update(part)?;
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(&hasher.finish()?);
    Ok(digest)
}

/// The digest that is signed. `public` has the point's two coordinates.
fn of_message(public: &[u8], message: &[u8]) -> Result<[u8; 32], ErrorStack> {
    let bits = u16::try_from(SIGNER.len() * 8).unwrap_or(0).to_be_bytes();
    let before = sm3(&[&bits, SIGNER, &CURVE, public])?;
    sm3(&[&before, message])
}

fn group() -> Result<EcGroup, ErrorStack> {
    EcGroup::from_curve_name(Nid::SM2)
}

/// The point of a private key.
fn point(group: &EcGroup, private: &BigNum) -> Result<EcPoint, ErrorStack> {
    let mut point = EcPoint::new(group)?;
    point.mul_generator2(group, private, &mut *BigNumContext::new_secure()?)?;
    Ok(point)
}

impl From<ErrorStack> for CryptoError {
    fn from(error: ErrorStack) -> Self {
        Self(error.to_string())
    }
}

impl Provider for National {
    fn word(&self) -> &'static str {
        "national"
    }

    fn mark(&self) -> &'static str {
        "sm2:"
    }

    fn sums(&self) -> &'static str {
        "SM3SUMS"
    }

    fn digest(&self, data: &[u8]) -> Result<[u8; 32], CryptoError> {
        Ok(sm3(&[data])?)
    }

    fn make(&self) -> Result<[u8; 32], CryptoError> {
        let group = group()?;
        let key = EcKey::generate(&group)?;
        let mut private = [0; 32];
        private.copy_from_slice(&key.private_key().to_vec_padded(32)?);
        Ok(private)
    }

    fn public(&self, private: &[u8; 32]) -> Result<Vec<u8>, CryptoError> {
        let (group, private) = (group()?, BigNum::from_slice(private)?);
        let (mut x, mut y) = (BigNum::new()?, BigNum::new()?);
        point(&group, &private)?.affine_coordinates(&group, &mut x, &mut y, &mut *BigNumContext::new()?)?;
        Ok([x.to_vec_padded(32)?, y.to_vec_padded(32)?].concat())
    }

    fn sign(&self, private: &[u8; 32], message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let digest = of_message(&self.public(private)?, message)?;
        let (group, private) = (group()?, BigNum::from_slice(private)?);
        let key = EcKey::from_private_components(&group, &private, &*point(&group, &private)?)?;
        let key = PKey::from_ec_key(key)?;
        let mut signer = PkeyCtx::new(&key)?;
        signer.sign_init()?;
        let mut signature = Vec::new();
        signer.sign_to_vec(&digest, &mut signature)?;
        Ok(signature)
    }

    fn is_signed(&self, public: &[u8], message: &[u8], signature: &[u8]) -> bool {
        let judged = || -> Result<bool, ErrorStack> {
            let Some((x, y)) = public.split_at_checked(32).filter(|(_, y)| y.len() == 32) else {
                return Ok(false);
            };
            let digest = of_message(public, message)?;
            let (x, y) = (BigNum::from_slice(x)?, BigNum::from_slice(y)?);
            // A point that is not on the curve is refused here.
            let key = PKey::from_ec_key(EcKey::from_public_key_affine_coordinates(&*group()?, &x, &y)?)?;
            let mut verifier = PkeyCtx::new(&key)?;
            verifier.verify_init()?;
            verifier.verify(&digest, signature)
        };
        // What cannot be read as a key or a signature is none.
        judged().unwrap_or(false)
    }

    /// RFC 5480 with the curve's identifier (1.2.156.10197.1.301), up to the coordinates.
    fn spki(&self) -> &'static [u8] {
        &[
            0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
            0x81, 0x1c, 0xcf, 0x55, 0x01, 0x82, 0x2d, 0x03, 0x42, 0x00, POINT,
        ]
    }
}

#[cfg(test)]
mod tests {
    use openssl::ecdsa::EcdsaSig;

    use super::*;
    use crate::text::hex;

    /// The two examples of GB/T 32905, A.1 and A.2.
    #[test]
    fn sm3_is_that_of_the_standard() {
        let digest = |data: &[u8]| hex(&National.digest(data).unwrap());
        assert_eq!(digest(b"abc"), "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0");
        assert_eq!(
            digest(&b"abcd".repeat(16)),
            "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"
        );
    }

    fn number(text: &str) -> [u8; 32] {
        BigNum::from_hex_str(text).unwrap().to_vec_padded(32).unwrap().try_into().unwrap()
    }

    const PRIVATE: &str = "3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8";

    /// The example of GB/T 32918.5, A.2: its key, the digest over the signer's name, and its signature.
    #[test]
    fn sm2_is_that_of_the_standard() {
        let public = National.public(&number(PRIVATE)).unwrap();
        assert_eq!(
            hex(&public),
            "09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
        );
        assert_eq!(
            hex(&of_message(&public, b"message digest").unwrap()),
            "f0b43e94ba45accaace692ed534382eb17e6ab5a19ce7b31f4486fdfc0d28640"
        );
        let part = |text: &str| BigNum::from_hex_str(text).unwrap();
        let published = EcdsaSig::from_private_components(
            part("F5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3"),
            part("B1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA"),
        );
        let published = published.unwrap().to_der().unwrap();
        assert!(National.is_signed(&public, b"message digest", &published));
        assert!(!National.is_signed(&public, b"message digesT", &published));
    }

    #[test]
    fn what_is_no_signature_or_no_key_is_told_from_one() {
        let private = National.make().unwrap();
        let public = National.public(&private).unwrap();
        let signature = National.sign(&private, b"head").unwrap();
        assert!(National.is_signed(&public, b"head", &signature));
        for at in 0..signature.len() {
            let mut other = signature.clone();
            other[at] ^= 1;
            assert!(!National.is_signed(&public, b"head", &other), "{at}");
        }
        let longer = [&signature[..], &[0]].concat();
        assert!(!National.is_signed(&public, b"head", &longer), "there is one way only to write one");
        let mut off_curve = public.clone();
        off_curve[63] ^= 1;
        assert!(!National.is_signed(&off_curve, b"head", &signature));
        assert!(!National.is_signed(&public[1..], b"head", &signature) && !National.is_signed(&[], b"", &[]));
    }
}
