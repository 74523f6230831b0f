//! The container of a pack: a ZIP file whose entries are stored as they are, written in one way only. What is read must be
//! what this would write, so no byte of it can change unseen; and what is not compressed cannot grow when it is read.

use std::collections::BTreeMap;

use crate::say;

/// The most bytes of a pack.
pub(crate) const BYTES_MAX: usize = 256 << 20;
/// The most files in a pack.
pub(crate) const FILES_MAX: usize = 2_000;
/// The longest name of a file in a pack.
const NAME_MAX: usize = 160;

/// The files of a pack by their names.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

const LOCAL: &[u8] = b"PK\x03\x04";
const CENTRAL: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";
/// 1980-01-01 00:00: times of files say nothing here.
const TIME: [u8; 4] = [0, 0, 0x21, 0];
/// A regular file that everybody may read, as Unix has it.
const ATTRIBUTES: u32 = 0o100_644 << 16;

/// Whether a file of a pack may be called so: below the folder it is unpacked to, and the same on every system.
pub(crate) fn is_name(name: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-'))
    };
    name.len() <= NAME_MAX && name.split('/').all(part)
}

/// Writes a pack.
///
/// # Errors
/// In words, if it would be too large.
pub(crate) fn write(files: &Files) -> Result<Vec<u8>, String> {
    let bytes: usize = files.values().map(Vec::len).sum();
    if bytes > BYTES_MAX || files.len() > FILES_MAX {
        let (mib, most) = (bytes >> 20, BYTES_MAX >> 20);
        return Err(say!("the pack would have {mib} MiB; {most} MiB are the most", mib, most));
    }
    let (mut out, mut central) = (Vec::with_capacity(bytes + 512 * files.len()), Vec::new());
    for (name, data) in files {
        let at = out.len();
        let common = entry(name, data);
        out.extend_from_slice(LOCAL);
        out.extend_from_slice(&common);
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(data);
        central.extend_from_slice(CENTRAL);
        central.extend_from_slice(&0x0314_u16.to_le_bytes()); // Unix, version 2.0
        central.extend_from_slice(&common);
        central.extend_from_slice(&[0; 6]); // no comment, first disk, no text
        central.extend_from_slice(&ATTRIBUTES.to_le_bytes());
        central.extend_from_slice(&number(at).to_le_bytes());
        central.extend_from_slice(name.as_bytes());
    }
    let (at, count) = (out.len(), u16::try_from(files.len()).unwrap_or(u16::MAX));
    out.extend_from_slice(&central);
    out.extend_from_slice(END);
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&count.to_le_bytes());
    out.extend_from_slice(&count.to_le_bytes());
    out.extend_from_slice(&number(central.len()).to_le_bytes());
    out.extend_from_slice(&number(at).to_le_bytes());
    out.extend_from_slice(&[0; 2]);
    Ok(out)
}

/// What the two headers of an entry have in common.
fn entry(name: &str, data: &[u8]) -> Vec<u8> {
    let mut sum = flate2::Crc::new();
    sum.update(data);
    let mut header = Vec::with_capacity(26);
    header.extend_from_slice(&20_u16.to_le_bytes());
    header.extend_from_slice(&[0; 4]); // no flags, stored
    header.extend_from_slice(&TIME);
    header.extend_from_slice(&sum.sum().to_le_bytes());
    header.extend_from_slice(&number(data.len()).to_le_bytes());
    header.extend_from_slice(&number(data.len()).to_le_bytes());
    header.extend_from_slice(&u16::try_from(name.len()).unwrap_or(u16::MAX).to_le_bytes());
    header.extend_from_slice(&[0; 2]);
    header
}

/// Sizes are below [`BYTES_MAX`].
fn number(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}

/// What a container holds, and what is wrong with the container itself.
#[derive(Debug, Default)]
pub(crate) struct Opened {
    pub files: Files,
    pub problems: Vec<String>,
}

/// Reads a pack, as far as it can be read: what follows a place that is wrong is not believed.
pub(crate) fn read(bytes: &[u8]) -> Opened {
    let mut opened = Opened::default();
    let mut at = 0;
    while bytes.get(at..at + 4) == Some(LOCAL) {
        match one(bytes, at, &opened.files) {
            Ok((name, data)) => {
                at += 30 + name.len() + data.len();
                opened.files.insert(name.to_owned(), data.to_vec());
            }
            Err(why) => {
                opened.problems.push(say!("byte {at} of the container: {why}", at, why));
                return opened;
            }
        }
    }
    let as_written = write(&opened.files).unwrap_or_default();
    if as_written != bytes {
        let same = as_written.iter().zip(bytes).take_while(|(written, read)| written == read).count();
        let file = holder(&opened.files, same);
        opened.problems.push(match file {
            Some(name) => {
                say!("byte {at} of the container, in {name}, is not as it was written", at = same, name)
            }
            None => say!("byte {at} of the container is not as it was written", at = same),
        });
    }
    opened
}

/// The entry at a place.
fn one<'b>(bytes: &'b [u8], at: usize, known: &Files) -> Result<(&'b str, &'b [u8]), String> {
    let broken = || say!("the container ends in the middle of a file");
    let header = bytes.get(at..at + 30).ok_or_else(broken)?;
    let length = |from: usize, bytes: usize| {
        header[from..from + bytes].iter().rev().fold(0_usize, |all, byte| (all << 8) | usize::from(*byte))
    };
    let (size, named) = (length(18, 4), length(26, 2));
    let (name, data) = (at + 30, at + 30 + named);
    let name = bytes.get(name..data).and_then(|name| std::str::from_utf8(name).ok());
    let name =
        name.filter(|name| is_name(name)).ok_or_else(|| say!("a file with a name that is not allowed"))?;
    if known.len() >= FILES_MAX {
        return Err(say!("there are more than {most} files", most = FILES_MAX));
    }
    // In the order of their names, so that none comes twice.
    if known.last_key_value().is_some_and(|(last, _)| last.as_str() >= name) {
        return Err(say!("{name} is not in its place, or comes twice", name));
    }
    let end = data.checked_add(size).ok_or_else(broken)?;
    Ok((name, bytes.get(data..end).ok_or_else(broken)?))
}

/// The file that a byte of the container belongs to.
fn holder(files: &Files, byte: usize) -> Option<&str> {
    let mut at = 0;
    files.iter().find_map(|(name, data)| {
        at += 30 + name.len() + data.len();
        (byte < at).then_some(name.as_str())
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn files() -> Files {
        let file = |name: &str, data: &[u8]| (name.to_owned(), data.to_vec());
        Files::from([file("a.txt", b"one\n"), file("b/c.json", b"{}"), file("empty", b"")])
    }

    #[test]
    fn others_read_what_is_written() {
        let bytes = write(&files()).unwrap();
        let mut zip = zip::ZipArchive::new(std::io::Cursor::new(&bytes)).unwrap();
        assert_eq!(zip.len(), 3);
        for (name, data) in files() {
            let mut read = Vec::new();
            zip.by_name(&name).unwrap().read_to_end(&mut read).unwrap();
            assert_eq!(read, data);
        }
        let opened = read(&bytes);
        assert!(opened.problems.is_empty());
        assert_eq!(opened.files, files());
    }

    #[test]
    fn every_changed_lost_or_added_byte_of_the_container_is_seen() {
        let bytes = write(&files()).unwrap();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut other = bytes.clone();
                other[at] ^= 1 << bit;
                assert!(!read(&other).problems.is_empty(), "byte {at}, bit {bit}");
            }
            assert!(!read(&bytes[..at]).problems.is_empty(), "cut at {at}");
        }
        assert!(!read(&[&bytes[..], b"x"].concat()).problems.is_empty());
    }

    #[test]
    fn names_stay_below_the_folder() {
        for name in ["a", "a/b-c_d.txt", "events.jsonl"] {
            assert!(is_name(name), "{name}");
        }
        let long = "a".repeat(161);
        for name in ["", "/a", "../a", "a/../b", "a//b", "a/", "C:\\a", "a\\b", ".hidden", "发票", &long] {
            assert!(!is_name(name), "{name}");
            let mut files = Files::new();
            files.insert(name.to_owned(), Vec::new());
            assert!(!read(&write(&files).unwrap()).problems.is_empty(), "{name}");
        }
    }

    #[test]
    fn what_claims_to_be_large_is_refused_without_being_made() {
        let mut bytes = write(&files()).unwrap();
        bytes[18..26].fill(0xff);
        assert!(read(&bytes).files.is_empty());
        assert!(!read(b"PK\x03\x04").problems.is_empty());
        assert!(!read(b"").problems.is_empty());
    }
}
