//! What the operating system has against a file, and bytes that are not UTF-8, in our words.

use std::io::{Error, ErrorKind};

use rustix::io::Errno;

use crate::say;

/// Why the operating system refuses, without its numbers.
#[must_use]
pub fn os_reason(error: &Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => say!("it is not there"),
        ErrorKind::PermissionDenied => say!("this user may not do that"),
        ErrorKind::AlreadyExists => say!("it is there already"),
        ErrorKind::IsADirectory => say!("it is a folder"),
        ErrorKind::NotADirectory => say!("a part of the path is not a folder"),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => say!("the disk is full"),
        ErrorKind::ReadOnlyFilesystem => say!("the disk is read-only"),
        ErrorKind::AddrInUse => say!("the address is in use; does another instance run?"),
        ErrorKind::AddrNotAvailable => say!("this machine does not have that address"),
        ErrorKind::ConnectionRefused => say!("nobody listens there"),
        ErrorKind::TimedOut => say!("it took too long"),
        ErrorKind::InvalidData => say!("it is not UTF-8 text"),
        ErrorKind::UnexpectedEof => say!("it ends too early"),
        _ => match error.raw_os_error() {
            Some(code) if [Errno::MFILE, Errno::NFILE].map(Errno::raw_os_error).contains(&code) => {
                say!("too many files are open; raise `ulimit -n`, or LimitNOFILE= of the service")
            }
            Some(code) => say!("the operating system refuses it (error {code})", code),
            // Ours: what is made of a text has no number.
            None => error.to_string(),
        },
    }
}

/// A text file that people write.
///
/// # Errors
/// In words, with a hint, if it cannot be read or is not UTF-8.
pub fn read_text(path: &std::path::Path) -> Result<String, (String, Option<String>)> {
    let bytes = std::fs::read(path).map_err(|e| (os_reason(&e), None))?;
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
        assert_eq!(os_reason(&Error::from(ErrorKind::NotFound)), "it is not there");
        assert_eq!(os_reason(&Error::from_raw_os_error(74)), "the operating system refuses it (error 74)");
    }
}
