//! Phrases that many texts share.

use std::io;

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

/// Why the operating system refused, without its numbers.
#[must_use]
pub fn os_reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => say!("it is not there"),
        io::ErrorKind::PermissionDenied => say!("this user may not do that"),
        io::ErrorKind::AlreadyExists => say!("it is there already"),
        io::ErrorKind::IsADirectory => say!("it is a folder"),
        io::ErrorKind::NotADirectory => say!("a part of the path is not a folder"),
        io::ErrorKind::StorageFull => say!("the disk is full"),
        io::ErrorKind::ReadOnlyFilesystem => say!("the disk is read-only"),
        io::ErrorKind::AddrInUse => say!("the address is in use; does another instance run?"),
        io::ErrorKind::AddrNotAvailable => say!("this machine does not have that address"),
        io::ErrorKind::ConnectionRefused => say!("nobody listens there"),
        io::ErrorKind::TimedOut => say!("it took too long"),
        io::ErrorKind::InvalidData => say!("it is not UTF-8 text"),
        _ => {
            let told = error.to_string();
            told.split(" (os error").next().unwrap_or(&told).to_owned()
        }
    }
}
