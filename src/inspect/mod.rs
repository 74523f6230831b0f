//! What is wrong with an event file as a whole, told once and before any of its records is taken: another encoding,
//! an envelope around its events, a header or column that no event can have.

mod columns;
mod encoding;
pub(crate) mod envelope;
mod header;

use std::io::Read;

use crate::say;

pub(crate) use columns::check as check_columns;
pub(crate) use header::read as read_header;

/// Bytes of a text that are looked at before its records are taken: a fault that shows later is told record by record.
const LOOK_BYTES: usize = 16 << 20;
/// Bytes looked at in one step; the first of them are what envelopes and headers are told by.
const STEP_BYTES: usize = 1 << 20;
/// Records that must all be in the same envelope for the file to be refused.
const RECORDS: usize = 20;

/// How the records of a text are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordSyntax {
    /// As JSON Lines.
    Lines,
    /// As CSV.
    Rows,
}

/// Looks at the start of a text file.
///
/// # Errors
/// What is wrong with the file, and what to do.
pub(crate) fn check_text(mut reader: impl Read, written: RecordSyntax) -> Result<(), String> {
    let mut census = encoding::Census::default();
    let (mut buffer, mut looked) = (Vec::with_capacity(STEP_BYTES), 0);
    while looked < LOOK_BYTES {
        let kept = buffer.len();
        // A file that breaks off is told by who reads it.
        let read = (&mut reader).take(STEP_BYTES as u64).read_to_end(&mut buffer).unwrap_or(0);
        if looked == 0 {
            check_start(&buffer, written)?;
        }
        looked += read;
        let ended = read < STEP_BYTES;
        let whole = if ended { buffer.len() } else { whole_lines(&buffer) };
        if !census.take(&buffer[..whole]) || ended {
            break;
        }
        buffer.drain(..whole);
        if buffer.len() == kept + read {
            // A line without an end is no text; its reader rejects it.
            break;
        }
    }
    census.fault().map_or(Ok(()), Err)
}

/// Looks at a text of which no more is there.
///
/// # Errors
/// What is wrong with it as a whole, and what to do.
pub(crate) fn check_bytes(start: &[u8], written: RecordSyntax) -> Result<(), String> {
    check_start(start, written)?;
    let mut census = encoding::Census::default();
    // The last line may be cut within a character.
    census.take(&start[..whole_lines(start)]);
    census.fault().map_or(Ok(()), Err)
}

/// Refuses what is no text at all.
///
/// # Errors
/// What it is instead.
pub(crate) fn check_kind(reader: impl Read) -> Result<(), String> {
    let mut start = Vec::new();
    let _ = reader.take(KIND_BYTES).read_to_end(&mut start);
    kind_of(&start).map_or(Ok(()), |kind| Err(no_text(&kind)))
}

/// Bytes that tell the kind of a file.
const KIND_BYTES: u64 = 1 << 10;

fn no_text(kind: &str) -> String {
    say!("it is {kind} and no text of events. Export the events as CSV or JSON Lines in UTF-8", kind)
}

/// What the first bytes tell: a file of another kind, UTF-16, or an envelope.
fn check_start(start: &[u8], written: RecordSyntax) -> Result<(), String> {
    if let Some(kind) = kind_of(start) {
        return Err(no_text(&kind));
    }
    encoding::check_wide(start)?;
    match written {
        RecordSyntax::Lines => check_records(start),
        RecordSyntax::Rows => Ok(()),
    }
}

/// A kind of file that is recognised by its first bytes.
fn kind_of(start: &[u8]) -> Option<String> {
    let kinds: [(&[u8], &str); 7] = [
        (b"PK\x03\x04", "xlsx"),
        (b"\xD0\xCF\x11\xE0", "xls"),
        (b"\x1f\x8b", "gz"),
        (b"\x28\xB5\x2F\xFD", "zst"),
        (b"PAR1", "parquet"),
        (b"%PDF", "pdf"),
        (b"<", "xml"),
    ];
    let text = start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(start).trim_ascii_start();
    let (_, kind) = kinds.iter().find(|(magic, _)| text.starts_with(magic))?;
    Some(match *kind {
        "xlsx" => say!("an Excel workbook or a ZIP archive"),
        "xls" => say!("an old Excel workbook (.xls)"),
        "gz" => say!("compressed with gzip (its name must then end in .gz)"),
        "zst" => say!("compressed with zstd (its name must then end in .zst)"),
        "parquet" => say!("a Parquet file (its name must then end in .parquet)"),
        "pdf" => say!("a PDF document"),
        _ => say!("an XML or HTML document"),
    })
}

/// Whether all of the first records of JSON Lines have the same fault.
fn check_records(start: &[u8]) -> Result<(), String> {
    let records = || lines(start).map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()).take(RECORDS);
    let Some(first) = records().next() else { return Ok(()) };
    if let Some(envelope) = envelope::of(first)
        && records().all(|record| envelope::of(record).is_some_and(|other| other.is_like(&envelope)))
    {
        return Err(say!("line 1 is {envelope}", envelope = envelope.told()));
    }
    let text = String::from_utf8_lossy(first);
    if !text.contains('{') && text.contains("event_id") && header::read(&text, &[]).is_ok() {
        return Err(say!(
            "its first line is {line}: that is CSV. Name the file .csv, or give it `format: csv`",
            line = shown(&text)
        ));
    }
    Ok(())
}

/// The lines of a text whose lines end in LF, CR LF or CR.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| matches!(byte, b'\n' | b'\r'))
}

/// Where the last line of a text ends.
fn whole_lines(text: &[u8]) -> usize {
    let end = memchr::memrchr(b'\n', text).or_else(|| memchr::memrchr(b'\r', text));
    end.map_or(0, |at| at + 1)
}

/// A piece of a file in a message: in quotes, on one line, not too long.
#[must_use]
pub(crate) fn shown(text: &str) -> String {
    const CHARACTERS: usize = 80;
    let text = text.trim_start_matches('\u{feff}').trim_end();
    let mut short: String =
        text.chars().take(CHARACTERS).map(|c| if c.is_control() && c != '\t' { '·' } else { c }).collect();
    if text.chars().nth(CHARACTERS).is_some() {
        short.push('…');
    }
    format!("`{}`", short.replace('\t', "⇥"))
}

#[cfg(test)]
mod tests;
