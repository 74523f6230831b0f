//! What makes a pack proof: the digest of each file in one list, as `sha256sum` writes it (`cksum -a sm3` with the national
//! algorithms), and a signature over that list, as `openssl` checks it.

use super::archive::{Files, is_name};
use crate::{
    access::{
        provider::{self, Provider},
        seal::{SealKey, is_signed, read},
    },
    say,
    text::hex,
};

/// The public key of the signature.
pub(crate) const KEY: &str = "key.pem";
/// What the name of the list of digests has behind it for the signature over it.
const SIGNED: &str = ".sig";
/// The bytes of a key's text in a line.
const LINE: usize = 64;

/// Adds the digests and the signature.
///
/// # Errors
/// In words, if the library fails.
pub(crate) fn seal(files: &mut Files, key: &SealKey) -> Result<(), String> {
    let by = key.provider();
    let sums = sums(files, by)?;
    let signature = key.sign(sums.as_bytes()).map_err(|why| why.to_string())?;
    files.insert(by.sums().to_owned() + SIGNED, read(&signature).unwrap_or_default());
    files.insert(KEY.to_owned(), pem(&key.public()).into_bytes());
    files.insert(by.sums().to_owned(), sums.into_bytes());
    Ok(())
}

/// Whether a file is of the seal itself.
fn is_seal(name: &str, by: &dyn Provider) -> bool {
    name == KEY || name.strip_prefix(by.sums()).is_some_and(|rest| rest.is_empty() || rest == SIGNED)
}

/// The digests of all files but the seal itself.
fn sums(files: &Files, by: &dyn Provider) -> Result<String, String> {
    let sealed = files.iter().filter(|(name, _)| !is_seal(name, by));
    sealed.map(|(name, data)| Ok(format!("{}  {name}\n", digest_by(by, data)?))).collect()
}

fn digest_by(by: &dyn Provider, data: &[u8]) -> Result<String, String> {
    by.digest(data).map(|digest| hex(&digest)).map_err(|why| why.to_string())
}

/// SHA-256, in hexadecimal.
pub(crate) fn digest(data: &[u8]) -> String {
    digest_by(provider::INTERNATIONAL, data).unwrap_or_default()
}

/// A public key as `openssl` reads it.
fn pem(public: &str) -> String {
    let (by, digits) = provider::of_key(public);
    let body = base64(&[by.spki(), &read(digits).unwrap_or_default()].concat());
    let lines = body.as_bytes().chunks(LINE).map(|line| format!("{}\n", String::from_utf8_lossy(line)));
    format!("-----BEGIN PUBLIC KEY-----\n{}-----END PUBLIC KEY-----\n", lines.collect::<String>())
}

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
    let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    let raw = unbase64(&body)?;
    let found = provider::ALL.into_iter().find_map(|by| Some((by, raw.strip_prefix(by.spki())?)));
    let (by, key) = found?;
    let public = by.mark().to_owned() + &hex(key);
    (pem(&public) == text).then_some(public)
}

/// What is wrong with the seal of a pack: files that are other than they were, missing or added, and the signature.
pub(crate) fn problems(files: &Files, trusted: &[String]) -> Vec<String> {
    let mut problems = Vec::new();
    let Some(key) = signer(files) else {
        return vec![say!("{name} is missing or is no public key", name = KEY)];
    };
    let (by, _) = provider::of_key(&key);
    let sums = by.sums();
    let Some(text) = files.get(sums).and_then(|sums| std::str::from_utf8(sums).ok()) else {
        return vec![say!("{name} is missing or is no text: nothing is proven", name = sums)];
    };
    let mut named = Files::new();
    for line in text.lines() {
        match line.split_once("  ").filter(|(_, name)| is_name(name)) {
            Some((sum, name)) => {
                named.insert(name.to_owned(), sum.as_bytes().to_vec());
            }
            None => problems.push(say!("a line of {name} is no digest", name = sums)),
        }
    }
    for (name, sum) in &named {
        match files.get(name) {
            None => problems.push(say!("{name} is missing", name)),
            Some(data) if digest_by(by, data).is_ok_and(|digest| digest.as_bytes() == &sum[..]) => {}
            Some(_) => problems.push(say!("{name} is not what was packed: its digest is another one", name)),
        }
    }
    for name in files.keys().filter(|name| !named.contains_key(*name) && !is_seal(name, by)) {
        problems.push(say!("{name} was added: no digest covers it", name));
    }
    problems.extend(signature(files, (sums, text), &key, trusted));
    problems
}

fn signature(files: &Files, (sums, text): (&str, &str), key: &str, trusted: &[String]) -> Option<String> {
    let name = sums.to_owned() + SIGNED;
    let Some(signature) = files.get(&name) else {
        return Some(say!("{name} is missing", name));
    };
    if !is_signed(key, text.as_bytes(), &hex(signature)) {
        return Some(say!("the signature is not that of {key} over {name}", key, name = sums));
    }
    let known = trusted.is_empty() || trusted.iter().any(|trusted| trusted.eq_ignore_ascii_case(key));
    (!known).then(|| say!("the pack is signed by {key}, which is none of the keys that were named", key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_written_in_one_way() {
        for by in provider::ALL.into_iter().cycle().take(20) {
            let key = SealKey::make_by(by).unwrap();
            let mut files = Files::from([(String::from("a"), b"1".to_vec())]);
            seal(&mut files, &key).unwrap();
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
        provider::ALL.into_iter().for_each(named_by);
    }

    fn named_by(by: &'static dyn Provider) {
        let file = |name: &str, data: &[u8]| (name.to_owned(), data.to_vec());
        let mut sealed = Files::from([file("a", b"1"), file("b", b"2")]);
        seal(&mut sealed, &SealKey::make_by(by).unwrap()).unwrap();
        let (list, signed) = (by.sums().to_owned(), by.sums().to_owned() + SIGNED);
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
        assert!(with(&|files| files.get_mut(&signed).unwrap()[9] ^= 1).contains("signature"));
        // Who changes a file and its digest has no key to sign that.
        let forged = with(&|files| {
            files.get_mut("a").unwrap()[0] = b'2';
            let again = sums(files, by).unwrap();
            files.insert(list.clone(), again.into_bytes());
        });
        assert!(forged.contains("signature"), "{forged}");
        assert!(with(&|files| drop(files.remove(KEY))).contains(KEY));
        assert!(with(&|files| drop(files.remove(&list))).contains(&list));
    }
}
