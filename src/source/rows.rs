//! Where the rows of a text end, and what stands above them.

use std::{io::Read, path::Path, sync::Arc};

use bytes::Bytes;

use super::{Encoding, Format, ReadError, chunks::open};
use crate::{
    map::{Map, look_at_encoding, utf8_reader},
    say,
    stream::{Dialect, Payload, RECORD_BYTES_MAX},
};

/// The whole records at the start of a buffer.
pub(crate) struct WholeRecords {
    /// Where the last one ends, and their number.
    pub whole: Option<(usize, u64)>,
    pub then: Then,
}

/// What comes after whole records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// Nothing, or the start of a record.
    More,
    /// A row with a quote that is open.
    Open,
    /// A row with text behind a quoted cell.
    Misquoted,
}

/// The first `most` rows: a line end inside quotes ends no row. As in RFC 4180 and the decoder's reader, a quote opens at
/// the start of a cell only. What it closes must end there: otherwise it was no pair, and what lies between two such
/// quotes, perhaps many rows, must not become one cell.
pub(crate) fn find(buffer: &[u8], dialect: Dialect, ended: bool, most: usize) -> WholeRecords {
    let mut whole = None;
    let (mut count, mut open, mut closed) = (0, false, None);
    // Without quotes a line end stands for one, which it is never taken for.
    let quote = dialect.quote.unwrap_or(b'\n');
    let is_quote = |at: usize| Some(buffer[at]) == dialect.quote;
    let ends_cell = |byte: u8| byte == dialect.delimiter || matches!(byte, b'\r' | b'\n');
    for at in memchr::memchr3_iter(b'\n', quote, b'\r', buffer) {
        let before = at.checked_sub(1);
        if buffer[at] == b'\r' {
            // The LF behind it ends the row; at the end of what is read it may still come.
            match buffer.get(at + 1) {
                Some(b'\n') => continue,
                None if !ended => continue,
                _ => {}
            }
        }
        if is_quote(at) && open {
            open = false;
            closed = Some(at);
            if buffer.get(at + 1).is_some_and(|byte| *byte != quote && !ends_cell(*byte)) {
                return WholeRecords { whole, then: Then::Misquoted };
            }
        } else if is_quote(at) {
            let starts = before.is_none_or(|before| ends_cell(buffer[before]));
            open = starts || (closed.is_some() && closed == before);
        } else if !open {
            count += 1;
            whole = Some((at + 1, count));
            if count as usize >= most {
                break;
            }
        }
    }
    WholeRecords { whole, then: if open { Then::Open } else { Then::More } }
}

/// What stands above the rows: the names of the columns, with the bytes and rows down to the first row.
type Preamble = (Arc<[String]>, usize, u64);

/// Bytes below a header that may be looked at for a better one.
const BELOW_BYTES: usize = 1 << 14;

/// Reads what stands above the rows; `None` while its end is not there.
///
/// # Errors
/// If its columns are not the map's.
pub(crate) fn preamble(text: &[u8], map: &Map, ended: bool) -> Result<Option<Preamble>, String> {
    // Titles are lines, in which a quote is only a sign.
    let plain = Dialect { quote: None, ..map.dialect };
    let Some(titles) = end_of(text, plain, ended, map.header_row.saturating_sub(1)) else { return Ok(None) };
    let Some(header) = end_of(&text[titles..], map.dialect, ended, 1) else { return Ok(None) };
    let row = std::str::from_utf8(&text[titles..titles + header])
        .map_err(|_| say!("its header is not in the encoding that the map names"))?;
    let below = &text[titles + header..];
    let header_end = if map.header_row == 0 { 0 } else { titles + header };
    let Some(skipped) = end_of(&text[header_end..], map.dialect, ended, map.skip) else { return Ok(None) };
    let names = map.header(row, &String::from_utf8_lossy(&below[..below.len().min(BELOW_BYTES)]))?;
    Ok(Some((names, header_end + skipped, (map.header_row + map.skip) as u64)))
}

/// The names that the header of a file has, whether they are the map's or not; `None` if it has no header.
///
/// # Errors
/// If it cannot be read.
pub fn header(path: &Path, format: Format, map: &Map) -> Result<Option<Vec<String>>, ReadError> {
    let fail = |error| ReadError::Open { path: path.to_owned(), error };
    if format.encoding != Encoding::Csv || map.header_row == 0 {
        return Ok(None);
    }
    let found = look_at_encoding(format.reader(open(path)?).map_err(fail)?, map.charset);
    let Ok(found) = found else { return Ok(None) };
    let reader = utf8_reader(format.reader(open(path)?).map_err(fail)?, map.charset, Some(found));
    let mut text = Vec::new();
    reader.take(RECORD_BYTES_MAX as u64).read_to_end(&mut text).map_err(fail)?;
    let plain = Dialect { quote: None, ..map.dialect };
    let titles = end_of(&text, plain, true, map.header_row - 1);
    let header = titles
        .and_then(|titles| Some(&text[titles..titles + end_of(&text[titles..], map.dialect, true, 1)?]));
    Ok(header.map(|row| map.dialect.cells(String::from_utf8_lossy(row).trim_start_matches('\u{feff}'))))
}

/// Where so many rows end.
fn end_of(text: &[u8], dialect: Dialect, ended: bool, rows: usize) -> Option<usize> {
    if rows == 0 {
        return Some(0);
    }
    match find(text, dialect, ended, rows).whole {
        Some((end, count)) if count as usize == rows => Some(end),
        // The last row may have no end.
        Some((end, count)) if ended && count as usize + 1 == rows && end < text.len() => Some(text.len()),
        None if ended && rows == 1 && !text.is_empty() => Some(text.len()),
        _ => None,
    }
}

/// The records of a text in UTF-8 that is there as a whole.
///
/// # Errors
/// If its columns are not the map's.
pub fn payload(text: &Bytes, map: &Map) -> Result<Payload, String> {
    let Some((header, bytes, _)) = preamble(text, map, true)? else {
        return Err(say!(
            "it ends before row {row}, which names the columns as the map has it (`header_row`)",
            row = map.header_row
        ));
    };
    let rows = text.slice(bytes..);
    if rows.iter().all(u8::is_ascii_whitespace) {
        return Err(say!("a header without rows"));
    }
    Ok(Payload::Csv { header, rows, dialect: map.dialect })
}
