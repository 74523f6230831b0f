//! Links by which somebody without an account may do one thing. Their tokens are made of a random key beside the state, so
//! that a mail that is sent again has the same link, while the state, its backups included, has only digests of tokens.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::{event::Instant, private, text::hex};

/// The file with the key, in the folder of the state.
pub const LINK_KEY: &str = "links.key";
const KEY: usize = 32;
/// Characters of a token: 256 bits in hexadecimal.
const TOKEN: usize = 64;

/// The key that tokens of links are made of. `Debug` does not show it.
pub struct LinkKey {
    path: PathBuf,
    key: OnceLock<[u8; KEY]>,
}

impl std::fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LinkKey").field("path", &self.path).finish_non_exhaustive()
    }
}

impl LinkKey {
    /// That of a state; it is read when it is needed.
    #[must_use]
    pub fn of(state_dir: &Path) -> Self {
        Self { path: state_dir.join(LINK_KEY), key: OnceLock::new() }
    }

    /// The same; makes it if it is not there.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn or_make(state_dir: &Path) -> std::io::Result<Self> {
        let link = Self::of(state_dir);
        match private::write_new(&link.path, &rand::random::<[u8; KEY]>()) {
            Ok(()) => std::fs::File::open(state_dir)?.sync_all()?,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        Ok(link)
    }

    fn key(&self) -> Option<&[u8; KEY]> {
        if self.key.get().is_none() {
            let mut key = [0; KEY];
            std::fs::File::open(&self.path).and_then(|mut file| file.read_exact(&mut key)).ok()?;
            let _ = self.key.set(key);
        }
        self.key.get()
    }

    /// The token of a thing and a time; `None` if there is no key.
    #[must_use]
    pub fn token(&self, of: &str, at: Instant) -> Option<String> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key()?).ok()?;
        mac.update(format!("link {of} {}", at.as_micros()).as_bytes());
        Some(hex(&mac.finalize().into_bytes()))
    }
}

/// What is kept of a token; `None` if it is none.
#[must_use]
pub fn link_digest(token: &str) -> Option<[u8; 32]> {
    let is_token = token.len() == TOKEN && token.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    is_token.then(|| Sha256::digest(token.as_bytes()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_the_same_again_and_another_one_for_everything_else() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(LinkKey::of(dir.path()).token("a", Instant::from_micros(1)), None);
        let made = LinkKey::or_make(dir.path()).unwrap();
        let token = made.token("a", Instant::from_micros(1)).unwrap();
        assert!(link_digest(&token).is_some());
        let again = LinkKey::or_make(dir.path()).unwrap();
        assert_eq!(again.token("a", Instant::from_micros(1)), Some(token.clone()));
        assert_ne!(made.token("a", Instant::from_micros(2)), Some(token.clone()));
        assert_ne!(made.token("b", Instant::from_micros(1)), Some(token.clone()));
        for wrong in ["", "x", &token[1..], &token.to_uppercase(), &format!("{token}0")] {
            assert_eq!(link_digest(wrong), None, "{wrong}");
        }
    }
}
