//! Phrases that many texts share.

use std::fmt::Write as _;

use crate::say;

/// A text of others within one of ours: in quotation marks, and nothing in it steers a terminal. They are those that
/// files take, so that a hint can be copied.
#[must_use]
pub fn quoted(text: &str) -> String {
    format!("{text:?}")
}

/// The hint that names what was most likely meant.
#[must_use]
pub fn did_you_mean(near: &str) -> String {
    say!("did you mean {near}?", near = quoted(near))
}

/// Bytes as hexadecimal digits, two for each.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
