//! What the operating system has against a file, and bytes that are not UTF-8, in our words.

use std::io::{Error, ErrorKind};

use crate::say;

/// Why a file or folder cannot be used.
#[must_use]
pub fn why(error: &Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => say!("there is no such file or folder"),
        ErrorKind::PermissionDenied => say!("this user may not read or write it"),
        ErrorKind::IsADirectory => say!("this is a folder and not a file"),
        ErrorKind::NotADirectory => say!("a part of the path is a file and not a folder"),
        ErrorKind::AlreadyExists => say!("it exists already"),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => say!("the disk is full"),
        ErrorKind::ReadOnlyFilesystem => say!("the disk cannot be written to"),
        ErrorKind::InvalidData => say!("it is not text in UTF-8"),
        ErrorKind::AddrInUse => say!("another program uses this address"),
        ErrorKind::ConnectionRefused => say!("nobody listens there"),
        ErrorKind::TimedOut => say!("it takes too long"),
        ErrorKind::UnexpectedEof => say!("it ends too early"),
        _ => match error.raw_os_error() {
            Some(code) => say!("the operating system refuses it (error {code})", code),
            None => say!("it cannot be used"),
        },
    }
}

/// A text file that people write.
///
/// # Errors
/// In words, with a hint, if it cannot be read or is not UTF-8.
pub fn read_text(path: &std::path::Path) -> Result<String, (String, Option<String>)> {
    let bytes = std::fs::read(path).map_err(|e| (why(&e), None))?;
    let bytes = match bytes.strip_prefix(b"\xEF\xBB\xBF") {
        Some(rest) => rest.to_vec(),
        None => bytes,
    };
    String::from_utf8(bytes).map_err(|e| {
        let hint = say!("save it as UTF-8: in Notepad “Save as”, in WPS or Excel “CSV UTF-8”");
        let message = match e.as_bytes() {
            [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => say!("the file is in UTF-16 and not in UTF-8"),
            bytes if is_gbk(bytes) => say!("the file is in GBK and not in UTF-8"),
            bytes => {
                let line = bytes[..e.utf8_error().valid_up_to()].split(|byte| *byte == b'\n').count();
                say!("the file is not UTF-8: line {line} has other bytes", line)
            }
        };
        (message, Some(hint))
    })
}

/// Whether every byte beyond ASCII is half of a character of GBK.
fn is_gbk(bytes: &[u8]) -> bool {
    let mut rest = bytes.iter();
    while let Some(first) = rest.next() {
        if first.is_ascii() {
            continue;
        }
        let second = rest.next();
        if !((0x81..=0xFE).contains(first) && second.is_some_and(|b| (0x40..=0xFE).contains(b) && *b != 0x7F))
        {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let said = |bytes: &[u8]| {
            let path = dir.path().join("f");
            std::fs::write(&path, bytes).unwrap();
            read_text(&path).map_err(|(message, _)| message)
        };
        assert_eq!(said(b"\xEF\xBB\xBFa"), Ok(String::from("a")));
        assert_eq!(
            said(b"title: \xb4\xf3\xb6\xee"),
            Err(String::from("the file is in GBK and not in UTF-8"))
        );
        assert_eq!(said(b"\xFF\xFEa\0"), Err(String::from("the file is in UTF-16 and not in UTF-8")));
        assert_eq!(said(b"a\nb\xFF"), Err(String::from("the file is not UTF-8: line 2 has other bytes")));
        assert_eq!(why(&Error::from(ErrorKind::NotFound)), "there is no such file or folder");
        assert_eq!(why(&Error::from_raw_os_error(74)), "the operating system refuses it (error 74)");
    }
}
