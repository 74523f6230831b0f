//! Passwords: what they must be, what is kept of them (Argon2id), and how one is compared. Both take tens of
//! milliseconds of a processor and 19 MiB by intent.

use std::{fmt, sync::OnceLock};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use serde::Deserialize;
use unicode_normalization::UnicodeNormalization;
use zeroize::{Zeroize as _, Zeroizing};

use crate::say;

/// Characters that a password has at least and at most.
const LENGTH: (usize, usize) = (12, 128);
/// Different characters that it has at least.
const DISTINCT: usize = 5;
/// What OWASP asks of Argon2id: KiB of memory and passes, on one lane.
const MEMORY: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// What the worst passwords are made of: a password that is one of these with digits or signs around it is refused.
const WORST: &[&str] = &[
    "abc",
    "abcd",
    "admin",
    "administrator",
    "admintest",
    "asdf",
    "asdfgh",
    "asdfghjkl",
    "caiwu",
    "caizheng",
    "changeme",
    "changeit",
    "china",
    "default",
    "dragon",
    "fiscwatch",
    "fiscwatchfiscwatch",
    "football",
    "gongzuo",
    "guest",
    "guoku",
    "hello",
    "helloworld",
    "huawei",
    "iloveyou",
    "jiankong",
    "letmein",
    "login",
    "loginlogin",
    "mima",
    "monkey",
    "office",
    "password",
    "passwordpassword",
    "passw0rd",
    "pa55word",
    "p@ssword",
    "p@ssw0rd",
    "pass",
    "princess",
    "qazwsx",
    "qazwsxedc",
    "qwer",
    "qwert",
    "qwerty",
    "qwertyuiop",
    "root",
    "secret",
    "shenji",
    "sunshine",
    "superman",
    "system",
    "temp",
    "test",
    "testtest",
    "treasury",
    "user",
    "welcome",
    "woaini",
    "woaizhongguo",
    "xitong",
    "yusuan",
    "zaq1xsw2",
    "zhifu",
    "zhongguo",
    "zxcv",
    "zxcvbn",
    "zxcvbnm",
];
/// Rows of keys and of signs: a password that is a piece of one is refused, forwards and backwards.
const ROWS: &[&str] = &[
    "01234567890123456789",
    "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz",
    "qwertyuiopasdfghjklzxcvbnmqwertyuiop",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/",
    "qazwsxedcrfvtgbyhnujmikolp",
    "!qaz@wsx#edc$rfv%tgb^yhn&ujm*ik<(ol>)p:?",
    "1234567890qwertyuiopasdfghjklzxcvbnm",
];

/// A password as somebody typed it. `Debug` does not show it, and its bytes are wiped when it goes.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Password(String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

impl Drop for Password {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl From<String> for Password {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl Password {
    /// Whether nothing was typed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was typed, for whoever compares it elsewhere.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// The same characters are the same password, whatever keyboard they come from.
    fn normal(&self) -> Zeroizing<String> {
        // Room for all of it, so that nothing is left behind where it would have grown.
        let mut normal = Zeroizing::new(String::with_capacity(4 * self.0.len()));
        normal.extend(self.0.nfkc());
        normal
    }

    /// Whether this user may have it.
    ///
    /// # Errors
    /// What is wrong with it; the password itself is in no message.
    pub fn check(&self, user: &str) -> Result<(), String> {
        let normal = self.normal();
        let (least, most) = LENGTH;
        if !(least..=most).contains(&normal.chars().count()) {
            return Err(say!("a password has {least} to {most} characters", least, most));
        }
        if normal.chars().any(char::is_control) {
            return Err(say!("a password has no control characters"));
        }
        let lower = Zeroizing::new(normal.to_lowercase());
        if lower.contains(&user.nfkc().collect::<String>().to_lowercase()) {
            return Err(say!("a password does not contain the name of its user"));
        }
        if is_among_the_worst(&lower) {
            return Err(say!(
                "this password is among the first that are tried: a usual word with digits, a row of keys or a repetition. Take several words that have nothing to do with each other"
            ));
        }
        Ok(())
    }

    /// What is kept of it: the parameters, a salt and the hash, as one text (PHC).
    ///
    /// # Errors
    /// If it is longer than the function takes, which [`Self::check`] has refused.
    pub fn hash(&self) -> Result<String, String> {
        let salt: [u8; 16] = rand::random();
        let hashed: Result<PasswordHash, _> =
            hasher().hash_password_with_salt(self.normal().as_bytes(), &salt);
        hashed.map(|hash| hash.to_string()).map_err(|error| error.to_string())
    }

    /// Whether it is the one that was kept. It takes as long where nothing was kept, so that nobody learns who has one.
    #[must_use]
    pub fn is(&self, kept: Option<&str>) -> bool {
        static NOBODYS: OnceLock<String> = OnceLock::new();
        let text =
            kept.unwrap_or_else(|| NOBODYS.get_or_init(|| Self(String::new()).hash().unwrap_or_default()));
        let Ok(hash) = PasswordHash::new(text) else { return false };
        let is_same = hasher().verify_password(self.normal().as_bytes(), &hash).is_ok();
        is_same && kept.is_some()
    }
}

fn hasher() -> Argon2<'static> {
    let params = Params::new(MEMORY, PASSES, LANES, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn is_among_the_worst(lower: &str) -> bool {
    let signs: Vec<char> = lower.chars().collect();
    let distinct: std::collections::BTreeSet<_> = signs.iter().collect();
    let backwards: String = signs.iter().rev().collect();
    let word = lower.trim_matches(|c: char| !c.is_alphabetic());
    let repeats = |of: usize| signs.iter().zip(signs.iter().skip(of)).all(|(one, other)| one == other);
    distinct.len() < DISTINCT
        || (1..=signs.len() / 2).any(repeats)
        || WORST.contains(&word)
        || WORST.contains(&lower.trim_matches(|c: char| c.is_ascii_digit()))
        || ROWS.iter().any(|row| row.contains(lower) || row.contains(backwards.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::from(text.to_owned())
    }

    #[test]
    fn the_first_ones_that_are_tried_are_refused() {
        for wrong in [
            "",
            "short-one-1",
            "password1234",
            "Password!2345",
            "P@ssw0rd20261",
            "123456789012",
            "210987654321",
            "qwertyuiopas",
            "1qaz2wsx3edc",
            "aaaaaaaaaaaaaaa",
            "abcabcabcabcabc",
            "caizheng@2026!",
            "Admin@1234567",
            "wang.fang.2026",
            "2026-WANG.FANG",
            "with\u{7}a\u{7}bell\u{7}in it",
            "1231231231234",
            &"long".repeat(33),
        ] {
            assert!(password(wrong).check("wang.fang").is_err(), "{wrong}");
        }
        for right in
            ["four words over tea", "山高月小水落石出清风徐来", "kD8!mQ2-vT5x", "correct horse battery"]
        {
            assert_eq!(password(right).check("wang.fang"), Ok(()), "{right}");
        }
        assert!(password("王芳的密码一二三四五六七").check("王芳").is_err(), "it has the name");
    }

    #[test]
    fn a_password_is_known_again_and_nothing_of_it_is_kept() {
        let (one, other) = (password("four words over tea"), password("four words over te"));
        let kept = one.hash().unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert_ne!(kept, one.hash().unwrap(), "the salt is another");
        assert!(one.is(Some(&kept)) && !other.is(Some(&kept)));
        assert!(password("ｆｏｕｒ words over tea").is(Some(&kept)), "full-width letters are the same ones");
        assert!(!one.is(None) && !password("").is(None) && !one.is(Some("")) && !one.is(Some("$argon2id$")));
        assert!(!format!("{one:?} {kept}").contains("words"));
    }
}
