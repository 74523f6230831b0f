//! Signed tokens (JWS, RFC 7515) and the keys of whoever signed them (JWK, RFC 7517), by the OpenSSL that TLS is linked with.
//! Only signatures with public keys count: a token without one, or with a shared secret, is none.

use openssl::{
    bn::BigNum,
    ec::{EcGroup, EcKey},
    ecdsa::EcdsaSig,
    hash::MessageDigest,
    nid::Nid,
    pkey::{Id, PKey, Public},
    rsa::{Padding, Rsa},
    sign::{RsaPssSaltlen, Verifier},
};
use serde::{Deserialize, de::DeserializeOwned};

/// The shortest key of RSA that is believed, in bits.
const RSA_MIN: u32 = 2048;

/// Keys as a provider publishes them.
#[derive(Debug, Deserialize)]
pub(super) struct Keys {
    keys: Vec<serde_json::Value>,
}

/// One of them; what is not understood is passed over.
#[derive(Debug, Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// What must be understood; nothing of it is.
    crit: Option<serde_json::Value>,
}

/// A token as it came.
pub(super) struct Token<'t> {
    header: Header,
    signed: &'t str,
    body: &'t str,
    signature: Vec<u8>,
}

impl<'t> Token<'t> {
    /// Its parts; `None` if it is no signed token.
    pub(super) fn read(text: &'t str) -> Option<Self> {
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, body) = signed.split_once('.')?;
        if body.contains('.') {
            return None;
        }
        let header: Header = serde_json::from_slice(&decode(header)?).ok()?;
        let token = Self { header, signed, body, signature: decode(signature)? };
        token.header.crit.is_none().then_some(token)
    }

    /// What it says, if one of the keys signed it.
    pub(super) fn claims<T: DeserializeOwned>(&self, keys: &Keys) -> Option<T> {
        let fits = |key: &Jwk| {
            (self.header.kid.is_none() || key.kid == self.header.kid)
                && key.purpose.as_deref().is_none_or(|purpose| purpose == "sig")
                && key.alg.as_ref().is_none_or(|alg| *alg == self.header.alg)
        };
        let keys = keys.keys.iter().filter_map(|key| Jwk::deserialize(key).ok());
        let is_signed = keys.filter(fits).any(|key| self.is_signed_by(&key).unwrap_or(false));
        is_signed.then(|| serde_json::from_slice(&decode(self.body)?).ok()).flatten()
    }

    fn is_signed_by(&self, key: &Jwk) -> Option<bool> {
        let signed = self.signed.as_bytes();
        match (&*self.header.alg, &*key.kty) {
            ("RS256" | "PS256", "RSA") => {
                let key =
                    Rsa::from_public_components(number(key.n.as_ref())?, number(key.e.as_ref())?).ok()?;
                if key.size() * 8 < RSA_MIN {
                    return None;
                }
                let key = PKey::from_rsa(key).ok()?;
                let mut verifier = Verifier::new(MessageDigest::sha256(), &key).ok()?;
                if self.header.alg == "PS256" {
                    verifier.set_rsa_padding(Padding::PKCS1_PSS).ok()?;
                    verifier.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH).ok()?;
                }
                verifier.verify_oneshot(&self.signature, signed).ok()
            }
            ("ES256", "EC") => self.is_signed_on_curve(key),
            ("EdDSA" | "Ed25519", "OKP") if key.crv.as_deref() == Some("Ed25519") => {
                let key = decode(key.x.as_ref()?)?;
                let key: PKey<Public> = PKey::public_key_from_raw_bytes(&key, Id::ED25519).ok()?;
                Verifier::new_without_digest(&key).ok()?.verify_oneshot(&self.signature, signed).ok()
            }
            _ => None,
        }
    }

    fn is_signed_on_curve(&self, key: &Jwk) -> Option<bool> {
        if key.crv.as_deref() != Some("P-256") || self.signature.len() != 64 {
            return None;
        }
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).ok()?;
        // It refuses a point that is not on the curve.
        let key = EcKey::from_public_key_affine_coordinates(
            &group,
            &*number(key.x.as_ref())?,
            &*number(key.y.as_ref())?,
        )
        .ok()?;
        let (r, s) = self.signature.split_at(32);
        let signature =
            EcdsaSig::from_private_components(BigNum::from_slice(r).ok()?, BigNum::from_slice(s).ok()?)
                .ok()?;
        let digest = openssl::hash::hash(MessageDigest::sha256(), self.signed.as_bytes()).ok()?;
        signature.verify(&digest, &key).ok()
    }
}

fn number(text: Option<&String>) -> Option<BigNum> {
    BigNum::from_slice(&decode(text?)?).ok()
}

/// Base64 as addresses have it, without padding.
fn decode(text: &str) -> Option<Vec<u8>> {
    if !text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_') {
        return None;
    }
    let mut plain = text.replace('-', "+").replace('_', "/");
    plain.extend(std::iter::repeat_n('=', (4 - plain.len() % 4) % 4));
    openssl::base64::decode_block(&plain).ok()
}

/// The same from bytes.
pub(super) fn encode(bytes: &[u8]) -> String {
    openssl::base64::encode_block(bytes).replace('+', "-").replace('/', "_").trim_end_matches('=').to_owned()
}

#[cfg(test)]
mod tests {
    use openssl::{pkey::Private, sign::Signer};
    use serde_json::{Value, json};

    use super::*;

    fn token(header: &Value, body: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
        let part = |value: &Value| encode(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(header), part(body));
        let signature = encode(&sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    fn rsa(bits: u32) -> (PKey<Private>, Value) {
        let key = Rsa::generate(bits).unwrap();
        let (n, e) = (encode(&key.n().to_vec()), encode(&key.e().to_vec()));
        (PKey::from_rsa(key).unwrap(), json!({ "kty": "RSA", "kid": "one", "n": n, "e": e }))
    }

    fn sign(key: &PKey<Private>) -> impl FnOnce(&[u8]) -> Vec<u8> {
        let mut signer = Signer::new(MessageDigest::sha256(), key).unwrap();
        move |text| signer.sign_oneshot_to_vec(text).unwrap()
    }

    fn claims(token: &str, keys: &[&Value]) -> Option<Value> {
        let keys: Keys = serde_json::from_value(json!({ "keys": keys })).unwrap();
        Token::read(token)?.claims(&keys)
    }

    #[test]
    fn a_token_counts_only_with_the_signature_of_a_public_key() {
        let ((key, public), (_, other)) = (rsa(2048), rsa(2048));
        let body = json!({ "sub": "a" });
        let header = |alg: &str| json!({ "alg": alg, "kid": "one" });
        let good = token(&header("RS256"), &body, sign(&key));
        assert_eq!(claims(&good, &[&public]), Some(body.clone()));
        assert_eq!(claims(&good, &[&other, &public]), Some(body.clone()));
        assert_eq!(claims(&good, &[&other]), None);
        assert_eq!(claims(&good, &[]), None);
        for key in ["kid", "use", "alg"] {
            let mut unlike = public.clone();
            unlike[key] = json!("enc");
            assert_eq!(claims(&good, &[&unlike]), None, "{key}");
        }
        // The body of one with the signature of the other; no signature; a secret that everybody knows.
        let parts: Vec<&str> = good.split('.').collect();
        let forged = encode(json!({ "sub": "b" }).to_string().as_bytes());
        assert_eq!(claims(&format!("{}.{forged}.{}", parts[0], parts[2]), &[&public]), None);
        for alg in ["none", "HS256", "RS1"] {
            assert_eq!(claims(&token(&header(alg), &body, |_| Vec::new()), &[&public]), None);
            assert_eq!(claims(&token(&header(alg), &body, sign(&key)), &[&public]), None);
        }
        let critical = json!({ "alg": "RS256", "kid": "one", "crit": ["x"] });
        assert_eq!(claims(&token(&critical, &body, sign(&key)), &[&public]), None);
        for text in ["", "a", "a.b", "a.b.c", "a.b.c.d", &format!("{good}.x"), &format!("{good} ")] {
            assert_eq!(claims(text, &[&public]), None, "{text}");
        }
        let (short, public) = rsa(1024);
        assert_eq!(claims(&token(&header("RS256"), &body, sign(&short)), &[&public]), None);
    }

    #[test]
    fn curves_are_understood() {
        let body = json!({ "sub": "a" });
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let key = EcKey::generate(&group).unwrap();
        let (mut x, mut y) = (BigNum::new().unwrap(), BigNum::new().unwrap());
        let mut context = openssl::bn::BigNumContext::new().unwrap();
        key.public_key().affine_coordinates(&group, &mut x, &mut y, &mut context).unwrap();
        let of = |number: &BigNum| encode(&number.to_vec_padded(32).unwrap());
        let public = json!({ "kty": "EC", "crv": "P-256", "x": of(&x), "y": of(&y) });
        let signed = token(&json!({ "alg": "ES256" }), &body, |text| {
            let digest = openssl::hash::hash(MessageDigest::sha256(), text).unwrap();
            let signature = EcdsaSig::sign(&digest, &key).unwrap();
            [signature.r().to_vec_padded(32).unwrap(), signature.s().to_vec_padded(32).unwrap()].concat()
        });
        assert_eq!(claims(&signed, &[&public]), Some(body.clone()));
        let mut off = public;
        off["x"] = off["y"].clone();
        assert_eq!(claims(&signed, &[&off]), None);
        let key = PKey::generate_ed25519().unwrap();
        let public = json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(&key.raw_public_key().unwrap()) });
        let signed = token(&json!({ "alg": "EdDSA" }), &body, |text| {
            Signer::new_without_digest(&key).unwrap().sign_oneshot_to_vec(text).unwrap()
        });
        assert_eq!(claims(&signed, &[&public]), Some(body));
    }
}
