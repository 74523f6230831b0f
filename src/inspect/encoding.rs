//! In which encoding a text is, told by all of its lines and not line by line: a file of names in GBK has lines that
//! are ASCII, and to take those would be to take half of the file.

use encoding_rs::{GB18030, UTF_16BE, UTF_16LE, WINDOWS_1252};

use super::shown;
use crate::say;

/// Lines that are not UTF-8 and are kept to tell what they are.
const KEPT: usize = 20;
/// Bytes kept of each.
const KEPT_BYTES: usize = 400;

/// What the lines of a text are written in.
#[derive(Debug, Default)]
pub(crate) struct Census {
    /// Some line is UTF-8 and not ASCII, so the text is UTF-8, and other lines are damaged.
    utf8: bool,
    lines: u64,
    /// Lines that are not UTF-8, with their numbers.
    others: Vec<(u64, Vec<u8>)>,
}

impl Census {
    /// Takes whole lines. `false` when no more of them can change what is known.
    pub(crate) fn take(&mut self, lines: &[u8]) -> bool {
        if self.others.is_empty() && simdutf8::basic::from_utf8(lines).is_ok() {
            self.utf8 |= !lines.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(lines).is_ascii();
            self.lines += memchr::memchr_iter(b'\n', lines).count() as u64;
            return !self.utf8;
        }
        for line in lines.split(|byte| *byte == b'\n' || *byte == b'\r') {
            match simdutf8::basic::from_utf8(line) {
                Ok(text) => self.utf8 |= !text.trim_start_matches('\u{feff}').is_ascii(),
                Err(_) if self.others.len() < KEPT => {
                    self.others.push((self.lines + 1, line[..line.len().min(KEPT_BYTES)].to_vec()));
                }
                Err(_) => {}
            }
            // A CR LF makes an empty line between its halves, which is none.
            self.lines += u64::from(!line.is_empty());
        }
        !self.utf8
    }

    /// What is wrong with the text as a whole: every line that is not ASCII is of another encoding.
    pub(crate) fn fault(self) -> Option<String> {
        let (line, bytes) = self.others.first().filter(|_| !self.utf8)?;
        let gbk = self.others.iter().all(|(_, bytes)| is_gbk(bytes));
        let (encoding, name) =
            if gbk { (GB18030, "GBK (GB18030)") } else { (WINDOWS_1252, "Windows-1252 (Latin-1)") };
        let iconv = if gbk { "GB18030" } else { "WINDOWS-1252" };
        Some(told(name, iconv, *line, &encoding.decode_without_bom_handling(bytes).0))
    }
}

/// Refuses UTF-16, which is known by its mark or by its zeros.
pub(crate) fn check_wide(start: &[u8]) -> Result<(), String> {
    let head = &start[..start.len().min(KEPT_BYTES) & !1];
    let zeros = |odd: usize| head.iter().skip(odd).step_by(2).filter(|byte| **byte == 0).count() * 4;
    let encoding = match head {
        [0xFF, 0xFE, ..] => UTF_16LE,
        [0xFE, 0xFF, ..] => UTF_16BE,
        _ if zeros(1) > head.len() && zeros(0) == 0 => UTF_16LE,
        _ if zeros(0) > head.len() && zeros(1) == 0 => UTF_16BE,
        _ => return Ok(()),
    };
    let text = encoding.decode(head).0;
    let line = text.lines().next().unwrap_or_default();
    Err(told("UTF-16", if encoding == UTF_16LE { "UTF-16LE" } else { "UTF-16BE" }, 1, line))
}

fn told(encoding: &str, iconv: &str, line: u64, text: &str) -> String {
    say!(
        "it is in {encoding} and not in UTF-8; line {line} reads {text}. Save it as UTF-8 (Excel: \"CSV UTF-8\"), or convert it: iconv -f {iconv} -t UTF-8",
        encoding,
        line,
        text = shown(text),
        iconv
    )
}

/// Whether bytes that are not UTF-8 are GBK: they come in pairs, and the pairs are characters. In an encoding of one byte
/// a letter with an accent stands alone among others.
fn is_gbk(bytes: &[u8]) -> bool {
    let high: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at] >= 0x80).collect();
    let paired = |at: &&usize| {
        let high = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(|byte| *byte >= 0x80);
        high(at.checked_sub(1)) || high(Some(**at + 1))
    };
    // The line may have been cut within a character.
    let whole = &bytes[..bytes.len().min(KEPT_BYTES - 4)];
    let (text, _, damaged) = GB18030.decode(whole);
    let damaged = damaged && text.trim_end_matches('\u{fffd}').contains('\u{fffd}');
    !damaged && high.iter().filter(paired).count() * 2 >= high.len()
}
