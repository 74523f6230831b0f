//! What the YAML reader has against a file, in our words.

use super::{characters, engine::Failure};
use crate::say;

/// A problem of the reader's at a line of a file, and what to do.
#[must_use]
pub(crate) fn yaml(info: &str, text: &str, line: usize) -> Failure {
    let near: Vec<&str> = text.lines().skip(line.saturating_sub(2)).take(2).collect();
    if let Some(found) = near.iter().rev().find_map(|line| wide_sign(line)) {
        return found;
    }
    let has = |part: &str| info.contains(part);
    let (message, hint) = if has("tab") {
        (say!("a tab stands where YAML wants spaces"), say!("indent with spaces"))
    } else if has("quoted scalar") && (has("end of stream") || has("indentation")) || has("unexpected eof") {
        (say!("a quote or bracket is not closed"), say!("close it, or put the whole text into other quotes"))
    } else if has("trailing content after double-quoted") {
        (
            say!("something follows a text in quotes"),
            say!("write a quote inside of \"…\" as \\\", or put the text into '…'"),
        )
    } else if has("escape") || has("hexadecimal") {
        (
            say!("a backslash stands in a text in double quotes"),
            say!("put the text into single quotes '…', in which a backslash is one"),
        )
    } else if has("mapping values") || has("illegal placement of ':'") {
        (
            say!("a colon stands where none can be"),
            say!("put a text that has a colon in it into quotes; put a blank behind the colon of a name"),
        )
    } else if has("simple key") {
        (
            say!("this line has no `name: value`"),
            say!("put a colon and a blank behind the name, and indent a text that goes on"),
        )
    } else if has("anchor") || has("alias") {
        (say!("`*` and `&` mean something else in YAML"), say!("put the text into quotes"))
    } else if has("unexpected character")
        || has("cannot start")
        || has("directive")
        || has("tag")
        || has("TAG")
    {
        (say!("a text cannot begin with this sign"), say!("put the text into quotes"))
    } else if has("flow") || has("bracket") || has("',' or") {
        (
            say!("a bracket is not closed, or a comma is missing in it"),
            say!("check the brackets [ ] and {{ }}, and put texts with commas or colons into quotes"),
        )
    } else if has("unprintable") || has("byte order mark") {
        (say!("a sign that cannot be printed stands here"), say!("delete it"))
    } else if has("recursion") {
        (say!("the file is nested too deeply"), say!("make it flatter"))
    } else if has("duplicated") {
        (say!("a name stands twice"), say!("keep one of them"))
    } else {
        (
            say!("the indentation does not fit"),
            say!("fields of one thing begin in the same column; an item of a list begins with `- `"),
        )
    };
    (message, Some(hint))
}

/// A full-width sign of YAML's own outside of quotes.
fn wide_sign(line: &str) -> Option<Failure> {
    let content = line.split(" #").next().unwrap_or(line);
    let mut quote = None;
    for sign in content.chars() {
        match quote {
            Some(open) if sign == open => quote = None,
            None if matches!(sign, '"' | '\'') => quote = Some(sign),
            None if matches!(
                sign,
                '：' | '“' | '”' | '‘' | '’' | '｛' | '｝' | '［' | '］' | '【' | '】' | '\u{3000}'
            ) =>
            {
                let message = match sign {
                    '\u{3000}' => say!("a wide space stands here"),
                    _ => say!("{sign} is a full-width sign", sign),
                };
                let hint = match characters::plain(sign) {
                    Some(":") => say!("write a colon and a blank: `name: value`"),
                    Some("'") => say!("write \" around the text"),
                    Some(" ") => say!("write an ordinary space"),
                    Some(ascii) => say!("write {ascii}", ascii),
                    None => return None,
                };
                return Some((message, Some(hint)));
            }
            _ => {}
        }
    }
    None
}
