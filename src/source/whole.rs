//! Files that are no rows of text: their reader makes JSON Lines of all of them before the first record is taken.

use std::{
    fs::File,
    io::{BufWriter, Cursor, Read, Seek, SeekFrom, Write},
};

use super::{Encoding, Format};
use crate::{diagnostic::os_reason, map::Map, markup, private, say, workbook};

/// The largest document that is read, in bytes.
const DOCUMENT_MAX: u64 = 256 << 20;

/// Whether a file is read as a whole.
pub const fn is_whole(encoding: Encoding) -> bool {
    matches!(encoding, Encoding::Excel | Encoding::Xml)
}

/// The rows of an open file as JSON Lines, in a file without a name.
///
/// # Errors
/// What the file is refused for.
pub(crate) fn file(file: File, format: Format, map: Option<&Map>) -> Result<File, String> {
    let mut rows = BufWriter::new(private::unnamed().map_err(|e| not_kept(&e))?);
    match format.compression {
        super::Compression::None if format.encoding == Encoding::Excel => {
            lines_of_workbook(file, map, &mut rows)?;
        }
        _ => {
            let reader = format.reader(file).map_err(|e| os_reason(&e))?;
            lines(&all(reader)?, format.encoding, map, &mut rows)?;
        }
    }
    let mut rows = rows.into_inner().map_err(|e| not_kept(e.error()))?;
    rows.seek(SeekFrom::Start(0)).map_err(|e| not_kept(&e))?;
    Ok(rows)
}

/// The rows of bytes as JSON Lines.
///
/// # Errors
/// What they are refused for.
pub fn lines(
    bytes: &[u8],
    encoding: Encoding,
    map: Option<&Map>,
    rows: &mut impl Write,
) -> Result<(), String> {
    match encoding {
        Encoding::Excel => lines_of_workbook(Cursor::new(bytes), map, rows),
        _ => lines_of_document(bytes, map, rows),
    }
}

/// The rows of a pipe as JSON Lines.
///
/// # Errors
/// What it is refused for.
pub(crate) fn piped(
    reader: impl Read,
    encoding: Encoding,
    map: Option<&Map>,
) -> Result<Cursor<Vec<u8>>, String> {
    let mut rows = Vec::new();
    lines(&all(reader)?, encoding, map, &mut rows)?;
    Ok(Cursor::new(rows))
}

fn all(reader: impl Read) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    reader.take(DOCUMENT_MAX + 1).read_to_end(&mut bytes).map_err(|e| os_reason(&e))?;
    if bytes.len() as u64 > DOCUMENT_MAX {
        return Err(say!(
            "it is larger than {n} MiB, which is the most that is read at once: have it split",
            n = DOCUMENT_MAX >> 20
        ));
    }
    Ok(bytes)
}

fn lines_of_workbook(file: impl Read + Seek, map: Option<&Map>, rows: &mut impl Write) -> Result<(), String> {
    let map = map.ok_or_else(|| {
        say!("an Excel workbook is read with a `map`, which says what its columns are (docs/feeds.md)")
    })?;
    let summary = workbook::to_lines(file, &map.workbook, rows).map_err(|fault| fault.to_string())?;
    if summary.hidden > 0 {
        tracing::info!(sheet = %summary.sheet, rows = summary.hidden, "hidden rows of the sheet are read like the others");
    }
    map.slots.check(&summary.columns)
}

fn lines_of_document(bytes: &[u8], map: Option<&Map>, rows: &mut impl Write) -> Result<(), String> {
    let elements = map.and_then(|map| map.elements.as_deref());
    let (Some(map), Some(elements)) = (map, elements) else {
        return Err(say!(
            "an XML document is read with a `map`, whose `rows` says which of its elements are rows (docs/feeds.md)"
        ));
    };
    let text = markup::decode(bytes, map.charset.name()).map_err(|fault| fault.to_string())?;
    markup::to_lines(&text, elements, rows).map_err(|fault| fault.to_string())?;
    Ok(())
}

fn not_kept(error: &std::io::Error) -> String {
    say!("what is read of it cannot be kept: {reason}", reason = os_reason(error))
}
