//! The tags and texts of an XML document one after another, within bounds, whatever the document is.

use std::{
    borrow::Cow,
    io::{self, BufRead, Read},
};

use quick_xml::{
    Error, Reader, XmlVersion,
    errors::IllFormedError,
    escape::resolve_predefined_entity,
    events::{BytesEnd, BytesRef, BytesStart, Event},
};

use super::DocumentFault;
use crate::say;

/// How much of a document is read.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Bytes in all.
    pub bytes: u64,
    /// Bytes of one tag or text.
    pub piece: u64,
    /// Elements within one another.
    pub depth: usize,
    /// Attributes of one element.
    pub attributes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { bytes: 1 << 30, piece: 4 << 20, depth: 64, attributes: 64 }
    }
}

/// The longest name of an element.
const NAME_MAX: usize = 200;

impl Bounds {
    fn check(&self, start: &BytesStart<'_>, depth: usize) -> Result<(), String> {
        if depth > self.depth {
            return Err(say!("more than {n} elements within one another", n = self.depth));
        }
        if start.name().0.len() > NAME_MAX {
            return Err(say!("an element with a name that is too long"));
        }
        let count = start.attributes().with_checks(false).take(self.attributes + 1).count();
        if count > self.attributes {
            return Err(say!("an element with more than {n} attributes", n = self.attributes));
        }
        Ok(())
    }
}

/// A piece of a document.
#[derive(Debug)]
pub enum XmlToken<'b> {
    /// An element begins, with its attributes.
    Open(Tag<'b>),
    /// The element that was opened last ends.
    Close(BytesEnd<'b>),
    /// Characters, or some of those that belong together.
    Text(Cow<'b, str>),
    /// A comment, or what is between texts and means nothing.
    Nothing,
    /// The document is over.
    End,
}

/// The beginning of an element.
#[derive(Debug)]
pub struct Tag<'b> {
    start: BytesStart<'b>,
    /// The line on which it stands.
    pub line: u64,
}

/// Reads a document piece by piece.
#[derive(Debug)]
pub struct Pull<R: BufRead> {
    reader: Reader<Bounded<R>>,
    piece: Vec<u8>,
    bounds: Bounds,
    depth: usize,
}

impl<R: BufRead> Pull<R> {
    /// Reads UTF-8.
    pub fn new(bytes: R, bounds: Bounds) -> Self {
        let mut reader =
            Reader::from_reader(Bounded { inner: bytes, left: bounds.bytes, piece: bounds.piece, lines: 0 });
        reader.config_mut().expand_empty_elements = true;
        reader.config_mut().allow_dangling_amp = false;
        Self { reader, piece: Vec::new(), bounds, depth: 0 }
    }

    /// The next piece.
    ///
    /// # Errors
    /// If there is none because the document is damaged, or larger than the bounds.
    pub fn next_token(&mut self) -> Result<XmlToken<'_>, DocumentFault> {
        let line = self.reader.get_mut().lines + 1;
        self.reader.get_mut().piece = self.bounds.piece;
        self.piece.clear();
        match self.reader.read_event_into(&mut self.piece) {
            Ok(Event::Start(start)) => {
                self.depth += 1;
                self.bounds
                    .check(&start, self.depth)
                    .map_err(|what| DocumentFault::TooLarge { line, what })?;
                Ok(XmlToken::Open(Tag { start, line }))
            }
            Ok(Event::End(tag)) => {
                self.depth -= 1;
                Ok(XmlToken::Close(tag))
            }
            Ok(Event::Text(text)) => within(self.depth, text.xml10_content(), line),
            Ok(Event::CData(text)) => within(self.depth, text.xml10_content(), line),
            Ok(Event::GeneralRef(reference)) => within(self.depth, resolved(&reference, line)?, line),
            Ok(Event::DocType(_)) => Err(DocumentFault::DocumentType { line }),
            Ok(Event::Eof) if self.depth > 0 => {
                Err(DocumentFault::Damaged { line, what: say!("it breaks off within an element") })
            }
            Ok(Event::Eof) => Ok(XmlToken::End),
            Ok(_) => Ok(XmlToken::Nothing),
            Err(error) => Err(told(&error, line)),
        }
    }
}

/// Characters within an element. Outside of the document's own there is nothing but space.
fn within(depth: usize, text: Cow<'_, str>, line: u64) -> Result<XmlToken<'_>, DocumentFault> {
    match depth == 0 && !text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}').is_empty() {
        true => {
            Err(DocumentFault::Damaged { line, what: say!("text before or behind the document's element") })
        }
        false => Ok(XmlToken::Text(text)),
    }
}

/// What a reference stands for: a character by its number, or one of the five that XML knows.
fn resolved(reference: &BytesRef<'_>, line: u64) -> Result<Cow<'static, str>, DocumentFault> {
    match reference.resolve_char_ref() {
        Ok(Some(character)) => return Ok(Cow::Owned(character.to_string())),
        Ok(None) => {}
        Err(_) => {
            return Err(DocumentFault::Damaged {
                line,
                what: say!("a character by a number that no character has"),
            });
        }
    }
    let name = reference.xml10_content();
    resolve_predefined_entity(&name)
        .map(Cow::Borrowed)
        .ok_or_else(|| DocumentFault::Entity { line, name: name.chars().take(40).collect() })
}

impl Tag<'_> {
    /// Its name without prefix.
    pub fn name(&self) -> &str {
        let name = self.start.name().0;
        name.rsplit_once(':').map_or(name, |(_, name)| name)
    }

    /// Its attributes by their names without prefix; declarations of namespaces are none.
    ///
    /// # Errors
    /// If they are no attributes.
    pub fn attributes(&self) -> impl Iterator<Item = Result<(&str, Cow<'_, str>), DocumentFault>> {
        let mut all = self.start.attributes();
        all.with_checks(false);
        all.filter(|attribute| {
            let name = attribute.as_ref().map(|attribute| attribute.key.0);
            !name.is_ok_and(|name| name == "xmlns" || name.starts_with("xmlns:"))
        })
        .map(|attribute| {
            let damaged =
                || DocumentFault::Damaged { line: self.line, what: say!("an attribute that is none") };
            let attribute = attribute.map_err(|_| damaged())?;
            let name = attribute.key.0;
            let name = name.rsplit_once(':').map_or(name, |(_, name)| name);
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|_| damaged())?;
            Ok((name, value))
        })
    }
}

/// What is wrong with a document, in our words.
fn told(error: &Error, line: u64) -> DocumentFault {
    let what = match error {
        Error::Io(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            return DocumentFault::TooLarge { line, what: error.to_string() };
        }
        Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
            say!("bytes that are not UTF-8, or cannot be decompressed")
        }
        Error::Io(error) => return DocumentFault::Read(error.clone()),
        Error::IllFormed(IllFormedError::MismatchedEndTag { expected, found }) => {
            say!("<{expected}> is closed by </{found}>", expected = short(expected), found = short(found))
        }
        Error::IllFormed(IllFormedError::UnmatchedEndTag(found)) => {
            say!("</{found}> closes nothing", found = short(found))
        }
        Error::Syntax(_) | Error::IllFormed(IllFormedError::MissingEndTag(_)) => {
            say!("it breaks off within a tag, or has a `<` that is none")
        }
        _ => say!("something that XML does not allow there"),
    };
    DocumentFault::Damaged { line, what }
}

fn short(name: &str) -> String {
    name.chars().take(40).collect()
}

/// Bytes that end with an error where there are too many of them.
#[derive(Debug)]
struct Bounded<R> {
    inner: R,
    left: u64,
    piece: u64,
    lines: u64,
}

impl<R: BufRead> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?;
        let count = bytes.len().min(into.len());
        into[..count].copy_from_slice(&bytes[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Bounded<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 || self.piece == 0 {
            if self.inner.fill_buf()?.is_empty() {
                return Ok(&[]);
            }
            let what = match self.left {
                0 => say!("the document is too large"),
                _ => say!("a tag or a text that is too long"),
            };
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
        }
        let bytes = self.inner.fill_buf()?;
        let most = usize::try_from(self.left.min(self.piece)).unwrap_or(usize::MAX);
        Ok(&bytes[..bytes.len().min(most)])
    }

    fn consume(&mut self, count: usize) {
        if let Ok(bytes) = self.inner.fill_buf() {
            self.lines += memchr::memchr_iter(b'\n', &bytes[..count.min(bytes.len())]).count() as u64;
        }
        self.left = self.left.saturating_sub(count as u64);
        self.piece = self.piece.saturating_sub(count as u64);
        self.inner.consume(count);
    }
}
