//! The characters of a document: its byte order mark tells them, or the encoding that it names, or UTF-8.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::DocumentFault;
use crate::{inspect::shown, say};

/// Bytes within which a document names its encoding.
const HEAD: usize = 400;

/// The text of a document. `named` is what the configuration says, which holds if the bytes do not say otherwise by a mark.
///
/// # Errors
/// If the bytes are not of that encoding; nothing is replaced in silence.
pub fn decode<'b>(bytes: &'b [u8], named: Option<&str>) -> Result<Cow<'b, str>, DocumentFault> {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return strictly(&bytes[mark..], encoding);
    }
    match bytes {
        [b'<', 0, ..] => return strictly(bytes, UTF_16LE),
        [0, b'<', ..] => return strictly(bytes, UTF_16BE),
        _ => {}
    }
    let declared = declared(bytes);
    let Some(label) = named.map(str::to_owned).or(declared) else { return strictly(bytes, UTF_8) };
    let encoding = Encoding::for_label(label.as_bytes()).ok_or_else(|| {
        DocumentFault::Encoding(say!(
            "it names the encoding {label}, which is not known. Name another one with `encoding:` in the map",
            label = format!("{label:?}")
        ))
    })?;
    // What could be read as ASCII is not UTF-16, whatever it says: programs leave the word in when they write UTF-8.
    let wide = encoding == UTF_16LE || encoding == UTF_16BE;
    strictly(bytes, if wide { UTF_8 } else { encoding })
}

/// The encoding that `<?xml … encoding="…"?>` names.
fn declared(bytes: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(HEAD)]);
    let declaration = head.trim_start().strip_prefix("<?xml")?.split_once("?>")?.0;
    let after = declaration.split_once("encoding")?.1.trim_start().strip_prefix('=')?.trim_start();
    let quote = after.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let name = after[1..].split_once(quote)?.0.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

fn strictly<'b>(bytes: &'b [u8], encoding: &'static Encoding) -> Result<Cow<'b, str>, DocumentFault> {
    let text = encoding.decode_without_bom_handling_and_without_replacement(bytes);
    text.ok_or_else(|| {
        let bad = |line: &&[u8]| {
            encoding.decode_without_bom_handling_and_without_replacement(line).is_none()
        };
        let at = bytes.split(|byte| *byte == b'\n').enumerate().find(|(_, line)| bad(line));
        let (line, text) = at.map_or((1, Cow::Borrowed("")), |(at, line)| {
            (at + 1, encoding.decode_without_bom_handling(&line[..line.len().min(HEAD)]).0)
        });
        DocumentFault::Encoding(say!(
            "it is not in {encoding}, which it names or is taken to be in: line {line} reads {text}. Name its encoding with `encoding:` in the map",
            encoding = encoding.name(),
            line,
            text = shown(&text)
        ))
    })
}
