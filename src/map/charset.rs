//! Text in the encodings that treasuries' systems write, as UTF-8.

use std::{
    io::Read,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use encoding_rs::{Decoder, Encoding, GB18030, UTF_8};

use crate::{say, text::quoted};

/// The encoding that a map names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    /// What the bytes tell.
    Auto,
    /// The encoding that the configuration names.
    Named(&'static Encoding),
}

impl Charset {
    /// The encoding of a name such as `gbk`.
    ///
    /// # Errors
    /// If there is none.
    pub fn named(name: &str) -> Result<Self, String> {
        if name == "auto" {
            return Ok(Self::Auto);
        }
        match Encoding::for_label(name.trim().as_bytes()) {
            // What is called GBK holds characters of GB18030 as soon as a name is rare.
            Some(found) if found == encoding_rs::GBK => Ok(Self::Named(GB18030)),
            Some(found) => Ok(Self::Named(found)),
            None => Err(say!(
                "{name} is no encoding: write auto, utf-8, gbk, gb18030, big5, utf-16le or windows-1252",
                name = quoted(name)
            )),
        }
    }

    /// The name of the encoding, if one is named.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Auto => None,
            Self::Named(encoding) => Some(encoding.name()),
        }
    }

    /// The encoding of most lines of a text; where this is only its start, that of the first line which tells it, and
    /// `None` if no line does.
    fn decide(self, start: &[u8], all: bool) -> Option<&'static Encoding> {
        if let Some((found, _)) = Encoding::for_bom(start) {
            return Some(found);
        }
        if let Self::Named(found) = self {
            return Some(found);
        }
        if start.len() < 3 && !all {
            return None;
        }
        let mut lines = start.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')).peekable();
        let (mut utf8, mut others) = (0usize, 0usize);
        while let Some(line) = lines.next() {
            let whole = all || lines.peek().is_some() || line.ends_with(b"\n");
            if line.is_ascii() || !whole {
                continue;
            }
            let is_utf8 = simdutf8::basic::from_utf8(line).is_ok();
            *(if is_utf8 { &mut utf8 } else { &mut others }) += 1;
            if !all {
                // What a stream is must not depend on how much of it came at once.
                break;
            }
        }
        match (utf8, others) {
            (0, 0) if all => Some(UTF_8),
            (0, 0) => None,
            _ => Some(if utf8 >= others { UTF_8 } else { GB18030 }),
        }
    }
}

/// Bytes of a file that are looked at for its encoding.
const LOOK_BYTES: u64 = 16 << 20;
/// Bytes read at once.
const READ_BYTES: usize = 1 << 16;

/// The encoding of a file, told by its lines and not by the first of them alone.
///
/// # Errors
/// If it cannot be read, or all of it is in UTF-8 where another encoding is named.
pub fn look(reader: impl Read, charset: Charset) -> Result<&'static Encoding, String> {
    let mut start = Vec::new();
    let read = reader.take(LOOK_BYTES).read_to_end(&mut start).unwrap_or(0) as u64;
    let text = if read < LOOK_BYTES { &start[..] } else { whole_lines(&start) };
    let found = charset.decide(text, true).unwrap_or(UTF_8);
    let is_utf8 = !text.is_ascii() && simdutf8::basic::from_utf8(text).is_ok();
    match charset {
        Charset::Named(named)
            if found == named && named.is_ascii_compatible() && named != UTF_8 && is_utf8 =>
        {
            Err(say!(
                "it is in UTF-8 and not in {encoding}, which the map names: write `encoding: auto`, or leave it out",
                encoding = named.name()
            ))
        }
        Charset::Named(named) if named.is_ascii_compatible() && named != UTF_8 && is_other(text, named) => {
            Err(say!(
                "it is in {found} and not in {encoding}, which the map names: write `encoding: auto`, or leave it out",
                found = charset_of_most(text).name(),
                encoding = named.name()
            ))
        }
        Charset::Named(named) if named == UTF_8 && !is_utf8 && charset_of_most(text) == GB18030 => Err(say!(
            "it is in GB18030 and not in UTF-8, which the map names: write `encoding: auto`, or leave it out"
        )),
        _ => Ok(found),
    }
}

/// Whether most lines beyond ASCII cannot be in an encoding, and all of them can in the one that the bytes tell.
fn is_other(text: &[u8], named: &'static Encoding) -> bool {
    let found = charset_of_most(text);
    let lines = || text.split(|byte| *byte == b'\n').filter(|line| !line.is_ascii());
    let is_wrong = |line: &&[u8]| named.decode_without_bom_handling(line).1;
    found != named
        && 2 * lines().filter(is_wrong).count() > lines().count()
        && !lines().any(|line| found.decode_without_bom_handling(line).1)
}

fn charset_of_most(text: &[u8]) -> &'static Encoding {
    Charset::Auto.decide(text, true).unwrap_or(UTF_8)
}

fn whole_lines(text: &[u8]) -> &[u8] {
    &text[..memchr::memrchr(b'\n', text).map_or(0, |at| at + 1)]
}

/// Reads a text as UTF-8, in the encoding that was found, or that its bytes tell as they come.
pub fn reader(
    inner: Box<dyn Read + Send>,
    charset: Charset,
    found: Option<&'static Encoding>,
) -> Box<dyn Read + Send> {
    match found {
        Some(found) if found == UTF_8 => inner,
        _ => Box::new(Transcoder { inner, charset, found, ..Transcoder::default() }),
    }
}

/// The same of a file that grows: what it ends with is the start of a line until `last` says that nothing more comes.
pub fn growing_reader(
    inner: Box<dyn Read + Send>,
    charset: Charset,
    last: Arc<AtomicBool>,
) -> Box<dyn Read + Send> {
    Box::new(Transcoder { inner, charset, last: Some(last), ..Transcoder::default() })
}

/// All of a text as UTF-8.
#[must_use]
pub fn utf8(text: &[u8], charset: Charset) -> Option<Vec<u8>> {
    let found = charset.decide(text, true).unwrap_or(UTF_8);
    if found == UTF_8 {
        return None;
    }
    let mut all = Vec::new();
    let mut transcoder = Transcoder {
        inner: Box::new(std::io::Cursor::new(text.to_vec())),
        charset,
        found: Some(found),
        ..Transcoder::default()
    };
    transcoder.read_to_end(&mut all).ok()?;
    Some(all)
}

struct Transcoder {
    inner: Box<dyn Read + Send>,
    charset: Charset,
    found: Option<&'static Encoding>,
    /// For encodings in which a line end is no byte of its own.
    wide: Option<Decoder>,
    /// Read, and not decoded: the start of a line.
    raw: Vec<u8>,
    /// Decoded, and not handed out.
    text: Vec<u8>,
    at: usize,
    /// Of a file that grows: whether nothing more comes.
    last: Option<Arc<AtomicBool>>,
}

impl Default for Transcoder {
    fn default() -> Self {
        let inner = Box::new(std::io::empty());
        let (raw, text) = (Vec::new(), Vec::new());
        Self { inner, charset: Charset::Auto, found: None, wide: None, raw, text, at: 0, last: None }
    }
}

impl Read for Transcoder {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        while self.at == self.text.len() {
            let before = self.raw.len();
            self.raw.resize(before + READ_BYTES, 0);
            let read = self.inner.read(&mut self.raw[before..]);
            self.raw.truncate(before + *read.as_ref().unwrap_or(&0));
            let ended = read? == 0;
            let goes_on = self.last.as_ref().is_some_and(|last| !last.load(Ordering::Relaxed));
            if ended && (self.raw.is_empty() || goes_on) {
                return Ok(0);
            }
            self.text.clear();
            self.at = 0;
            self.decode(ended);
        }
        let step = into.len().min(self.text.len() - self.at);
        into[..step].copy_from_slice(&self.text[self.at..self.at + step]);
        self.at += step;
        Ok(step)
    }
}

impl Transcoder {
    /// Decodes the lines that are whole; at the end, what is left.
    fn decode(&mut self, ended: bool) {
        if self.found.is_none() {
            self.found = self.charset.decide(&self.raw, ended);
        }
        let Some(found) = self.found else {
            // Nothing but ASCII so far: its lines are the same in all encodings that are told by their bytes.
            let whole = whole_lines(&self.raw);
            let ascii = if whole.is_ascii() { whole.len() } else { 0 };
            self.text.extend(self.raw.drain(..ascii));
            return;
        };
        if found == UTF_8 {
            self.text.append(&mut self.raw);
            return;
        }
        if !found.is_ascii_compatible() {
            let decoder = self.wide.get_or_insert_with(|| found.new_decoder_with_bom_removal());
            let room = decoder.max_utf8_buffer_length(self.raw.len()).unwrap_or(self.raw.len() * 3 + 16);
            let mut text = String::with_capacity(room);
            let _ = decoder.decode_to_string(&self.raw, &mut text, ended);
            self.text.append(&mut text.into_bytes());
            self.raw.clear();
            return;
        }
        let whole = if ended || self.raw.len() > MOST_BYTES { self.raw.len() } else { line_ends(&self.raw) };
        for line in self.raw[..whole].split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            decode_line(line, found, &mut self.text);
        }
        self.raw.drain(..whole);
    }
}

/// A line that is longer is decoded in parts.
const MOST_BYTES: usize = 4 << 20;

fn line_ends(text: &[u8]) -> usize {
    memchr::memrchr2(b'\n', b'\r', text).map_or(0, |at| at + 1)
}

/// A line that is in UTF-8 among lines of another encoding is marked: to decode it would make other words of it.
fn decode_line(line: &[u8], encoding: &'static Encoding, into: &mut Vec<u8>) {
    if line.is_ascii() {
        into.extend_from_slice(line);
    } else if encoding == GB18030 && is_chinese_utf8(line) {
        let at = line.iter().position(|byte| !byte.is_ascii()).unwrap_or(0);
        into.extend_from_slice(&line[..at]);
        into.extend_from_slice("\u{fffd}".as_bytes());
        into.extend_from_slice(&line[at..]);
    } else {
        into.extend_from_slice(encoding.decode_without_bom_handling(line).0.as_bytes());
    }
}

/// Whether a line is UTF-8 with several characters of three bytes, which hardly any line of GBK is by chance.
fn is_chinese_utf8(line: &[u8]) -> bool {
    let Ok(text) = simdutf8::basic::from_utf8(line) else { return false };
    text.chars().filter(|c| matches!(c, '\u{3000}'..='\u{9fff}' | '\u{ff00}'..='\u{ffef}')).nth(2).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out a few bytes at a time.
    struct Slow(Vec<u8>, usize);

    impl Read for Slow {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let step = self.1.min(self.0.len()).min(into.len());
            into[..step].copy_from_slice(&self.0[..step]);
            self.0.drain(..step);
            Ok(step)
        }
    }

    fn read(bytes: &[u8], charset: Charset, step: usize) -> String {
        let mut text = Vec::new();
        reader(Box::new(Slow(bytes.to_vec(), step)), charset, None).read_to_end(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn every_encoding_is_read_however_it_comes() {
        let text = "凭证号,收款人,金额\nP1,丰华建材有限公司,12.50\nP2,㐂木商行😀,3\n";
        let wide: Vec<u8> =
            [0xFF, 0xFE].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
        let mut marked = vec![0xEF, 0xBB, 0xBF];
        marked.extend_from_slice(text.as_bytes());
        for step in [1, 2, 3, 7, 1 << 20] {
            assert_eq!(read(&GB18030.encode(text).0, Charset::Auto, step), text, "{step}");
            assert_eq!(read(text.as_bytes(), Charset::Auto, step), text, "{step}");
            assert_eq!(read(&wide, Charset::Auto, step).trim_start_matches('\u{feff}'), text, "{step}");
            assert_eq!(read(&marked, Charset::Auto, step).trim_start_matches('\u{feff}'), text, "{step}");
        }
        let gbk = Charset::named("gbk").unwrap();
        assert_eq!(look(&*GB18030.encode(text).0, gbk), Ok(GB18030));
        assert_eq!(look(&*GB18030.encode(text).0, Charset::Auto), Ok(GB18030));
        assert_eq!(look(text.as_bytes(), Charset::Auto), Ok(UTF_8));
        assert!(look(text.as_bytes(), gbk).unwrap_err().contains("UTF-8"));
        assert!(look(&*GB18030.encode(text).0, Charset::named("utf8").unwrap()).is_err());
        assert!(Charset::named("gbq").is_err());
    }

    #[test]
    fn a_line_of_another_encoding_is_marked() {
        let mut mixed = GB18030.encode("A,丰华建材有限公司\nB,宏远商贸公司\n").0.into_owned();
        mixed.extend_from_slice("C,清源市水利局\n".as_bytes());
        assert_eq!(look(&mixed[..], Charset::Auto), Ok(GB18030));
        let text = String::from_utf8(utf8(&mixed, Charset::Auto).unwrap()).unwrap();
        assert_eq!(text, "A,丰华建材有限公司\nB,宏远商贸公司\nC,\u{fffd}清源市水利局\n");
    }
}
