//! What makes a pack proof: the digest of each file in one list, as `sha256sum` writes it, and a signature over that list, as
//! `openssl` checks it.

use sha2::{Digest, Sha256};

use super::archive::{Files, is_name};
use crate::{
    access::seal::{SealKey, bytes, is_signed},
    say,
};

/// The list of digests.
pub(crate) const SUMS: &str = "SHA256SUMS";
/// The signature over it, 64 bytes.
pub(crate) const SIGNATURE: &str = "SHA256SUMS.sig";
/// The public key of the signature.
pub(crate) const KEY: &str = "key.pem";

/// What stands before the 32 bytes of a public key in X.509 (RFC 8410).
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Adds the digests and the signature.
pub(crate) fn seal(files: &mut Files, key: &SealKey) {
    let sums = sums(files);
    let signature = bytes::<64>(&key.sign(sums.as_bytes())).unwrap_or([0; 64]);
    files.insert(SIGNATURE.to_owned(), signature.to_vec());
    files.insert(KEY.to_owned(), pem(&key.public()).into_bytes());
    files.insert(SUMS.to_owned(), sums.into_bytes());
}

/// The digests of all files but the seal itself.
fn sums(files: &Files) -> String {
    let sealed = files.iter().filter(|(name, _)| ![SUMS, SIGNATURE, KEY].contains(&name.as_str()));
    sealed.map(|(name, data)| format!("{}  {name}\n", digest(data))).collect::<Vec<_>>().concat()
}

/// SHA-256, in hexadecimal.
pub(crate) fn digest(data: &[u8]) -> String {
    hex(&Sha256::digest(data))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

/// A public key as `openssl` reads it.
fn pem(public: &str) -> String {
    let raw = bytes::<32>(public).unwrap_or([0; 32]);
    let body = base64(&[&SPKI[..], &raw].concat());
    format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n")
}

/// 44 bytes are one line.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |three: &[u8]| {
        let all = (0..3).fold(0_u32, |all, at| (all << 8) | u32::from(three.get(at).copied().unwrap_or(0)));
        let digit = move |at: usize| match at <= three.len() {
            true => char::from(DIGITS[((all >> (18 - 6 * at)) & 63) as usize]),
            false => '=',
        };
        [digit(0), digit(1), digit(2), digit(3)]
    };
    bytes.chunks(3).flat_map(group).collect()
}

fn unbase64(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => Some(c - b'A'),
        b'a'..=b'z' => Some(c - b'a' + 26),
        b'0'..=b'9' => Some(c - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let digits: Vec<u8> = text.trim_end_matches('=').bytes().map(digit).collect::<Option<_>>()?;
    let bytes = digits.chunks(4).flat_map(|four| {
        let all = (0..4).fold(0_u32, |all, at| (all << 6) | u32::from(four.get(at).copied().unwrap_or(0)));
        all.to_be_bytes()[1..four.len().max(1)].to_vec()
    });
    Some(bytes.collect())
}

/// The public key of a pack, in hexadecimal. There is one way only to write one.
pub(crate) fn signer(files: &Files) -> Option<String> {
    let text = std::str::from_utf8(files.get(KEY)?).ok()?;
    let raw = unbase64(text.lines().nth(1)?)?;
    let public = hex(raw.strip_prefix(&SPKI)?);
    (pem(&public) == text).then_some(public)
}

/// What is wrong with the seal of a pack: files that are other than they were, missing or added, and the signature.
pub(crate) fn problems(files: &Files, trusted: &[String]) -> Vec<String> {
    let mut problems = Vec::new();
    let text = files.get(SUMS).and_then(|sums| std::str::from_utf8(sums).ok());
    let Some(text) = text else {
        return vec![say!("{name} is missing or is no text: nothing is proven", name = SUMS)];
    };
    let mut named = Files::new();
    for line in text.lines() {
        match line.split_once("  ").filter(|(_, name)| is_name(name)) {
            Some((sum, name)) => {
                named.insert(name.to_owned(), sum.as_bytes().to_vec());
            }
            None => problems.push(say!("a line of {name} is no digest", name = SUMS)),
        }
    }
    for (name, sum) in &named {
        match files.get(name) {
            None => problems.push(say!("{name} is missing", name)),
            Some(data) if digest(data).as_bytes() != &sum[..] => {
                problems.push(say!("{name} is not what was packed: its digest is another one", name));
            }
            Some(_) => {}
        }
    }
    let own = [SUMS, SIGNATURE, KEY];
    for name in files.keys().filter(|name| !named.contains_key(*name) && !own.contains(&name.as_str())) {
        problems.push(say!("{name} was added: no digest covers it", name));
    }
    problems.extend(signature(files, text, trusted));
    problems
}

fn signature(files: &Files, sums: &str, trusted: &[String]) -> Option<String> {
    let Some(key) = signer(files) else {
        return Some(say!("{name} is missing or is no public key", name = KEY));
    };
    let Some(signature) = files.get(SIGNATURE) else {
        return Some(say!("{name} is missing", name = SIGNATURE));
    };
    if !is_signed(&key, sums.as_bytes(), &hex(signature)) {
        return Some(say!("the signature is not that of {key} over {name}", key, name = SUMS));
    }
    let known = trusted.is_empty() || trusted.iter().any(|trusted| trusted.eq_ignore_ascii_case(&key));
    (!known).then(|| say!("the pack is signed by {key}, which is none of the keys that were named", key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_written_in_one_way() {
        for _ in 0..20 {
            let key = SealKey::make();
            let mut files = Files::from([(String::from("a"), b"1".to_vec())]);
            seal(&mut files, &key);
            assert_eq!(signer(&files), Some(key.public()));
            assert!(problems(&files, &[]).is_empty());
            assert!(problems(&files, &[key.public().to_uppercase()]).is_empty());
            assert_eq!(problems(&files, &[SealKey::make().public()]).len(), 1);
        }
        assert_eq!(base64(b"Man"), "TWFu");
        assert_eq!(base64(b"Ma"), "TWE=");
        assert_eq!(unbase64("TWE=").unwrap(), b"Ma");
    }

    #[test]
    fn what_is_changed_missing_added_or_forged_is_named() {
        let file = |name: &str, data: &[u8]| (name.to_owned(), data.to_vec());
        let mut sealed = Files::from([file("a", b"1"), file("b", b"2")]);
        seal(&mut sealed, &SealKey::make());
        let with = |change: &dyn Fn(&mut Files)| {
            let mut files = sealed.clone();
            change(&mut files);
            problems(&files, &[]).join("; ")
        };
        assert_eq!(
            with(&|files| files.get_mut("a").unwrap()[0] = b'2'),
            "a is not what was packed: its digest is another one"
        );
        assert_eq!(with(&|files| drop(files.remove("b"))), "b is missing");
        assert_eq!(
            with(&|files| drop(files.insert(String::from("c"), vec![]))),
            "c was added: no digest covers it"
        );
        assert!(with(&|files| files.get_mut(SIGNATURE).unwrap()[3] ^= 1).contains("signature"));
        // Who changes a file and its digest has no key to sign that.
        let forged = with(&|files| {
            files.get_mut("a").unwrap()[0] = b'2';
            let again = sums(files);
            files.insert(SUMS.to_owned(), again.into_bytes());
        });
        assert!(forged.contains("signature"), "{forged}");
        assert!(with(&|files| drop(files.remove(KEY))).contains(KEY));
        assert!(with(&|files| drop(files.remove(SUMS))).contains(SUMS));
    }
}
