//! Text records of a stream, cut out whole.

use std::{
    io::{ErrorKind, Read},
    path::Path,
    sync::Arc,
};

use bytes::Bytes;

use super::{
    super::rows::{self, Then, WholeRecords},
    error::{ReadError, fail, refuse},
    pool::Pool,
};
use crate::{
    inspect,
    map::Map,
    say,
    stream::{Dialect, Payload, RECORD_BYTES_MAX, Reject, RejectReason},
};

/// Bytes read at once.
pub(crate) const READ_BYTES: usize = 4 << 20;
/// Bytes made room for at the end of a growing file.
const GROWTH_BYTES: usize = 1 << 16;

/// Lines, and bytes of them, that are searched for a header where the first line is none.
const BELOW_LINES: usize = 20;
const BELOW_BYTES: usize = 1 << 14;

/// Text records, one a line (or, in CSV, a row).
#[allow(clippy::struct_excessive_bools)] // Each is a fact of its own about the stream.
pub(crate) struct Lines {
    /// Where they come from.
    pub reader: Box<dyn Read + Send>,
    /// The columns of a CSV file.
    pub header: Option<Arc<[String]>>,
    /// What parts the cells of its rows.
    pub dialect: Dialect,
    /// Read and not handed out.
    pub buffer: Bytes,
    /// The stream has ended; a last record without a line end is whole.
    pub ended: bool,
    /// Whether the stream may grow, so that a record without a line end is not whole yet.
    pub grows: bool,
    /// A pipe: what is there is handed out without waiting for more.
    pub live: bool,
    /// A record that is too long, whose rest is skipped, and the bytes of it so far.
    pub long: Option<(Reject, u64)>,
    /// Buffers that come back when nobody looks at their records any more.
    pub pool: Pool,
    /// Why the stream broke off, told after the records before the break.
    pub broken: Option<std::io::Error>,
}

/// Records, with the bytes and the number of them.
type Cut = (Payload, u64, u64);

const MISQUOTED: &str = "a cell goes on after its closing quote: write a quote inside of a quoted cell twice";
const OPEN: &str =
    "a quote is opened and never closed: write a quote at the start of a cell as three, and one at its end";

impl Lines {
    /// The next records with the bytes and records they take.
    pub(crate) fn next_payload(
        &mut self,
        rows: usize,
        path: &Path,
        record: u64,
    ) -> std::io::Result<Option<Cut>> {
        loop {
            if self.long.is_some() {
                return self.skip_long();
            }
            let rows = self.whole_records(rows);
            if let Some((end, records)) = rows.whole {
                let bytes = self.buffer.split_to(end);
                let payload = match &self.header {
                    Some(header) => {
                        Payload::Csv { header: Arc::clone(header), rows: bytes, dialect: self.dialect }
                    }
                    None => Payload::JsonLines(ended_by_lf(bytes)),
                };
                return Ok(Some((payload, end as u64, records)));
            }
            let too_long = self.buffer.len() > RECORD_BYTES_MAX;
            let last = self.ended && !self.grows && !self.buffer.is_empty();
            match rows.then {
                Then::Misquoted => return Ok(Some(self.refuse_line(MISQUOTED, path, record))),
                Then::Open if too_long || last => return Ok(Some(self.refuse_line(OPEN, path, record))),
                Then::Open | Then::More => {}
            }
            if too_long {
                self.begin_long(path, record);
                continue;
            }
            if self.ended && !self.grows {
                return Ok(None);
            }
            if !self.fill()? && self.grows {
                return Ok(None);
            }
        }
    }

    /// The end of the last whole record among the first `rows`, their number, and what comes after them.
    fn whole_records(&self, rows: usize) -> WholeRecords {
        let mut found = if self.header.is_some() { self.whole_rows(rows) } else { self.whole_lines(rows) };
        let last = self.ended && !self.grows && !self.buffer.is_empty();
        if found.whole.is_none() && found.then == Then::More && last {
            found.whole = Some((self.buffer.len(), 1));
        }
        found
    }

    fn whole_lines(&self, rows: usize) -> WholeRecords {
        let count = |end| {
            let ends = memchr::memchr_iter(end, &self.buffer).take(rows);
            ends.fold(None, |found, at| Some((at + 1, found.map_or(1, |(_, lines)| lines + 1))))
        };
        // A CR alone ends lines only where no LF does: within a record it is a blank.
        let no_more = (self.ended && !self.grows) || self.buffer.len() > RECORD_BYTES_MAX;
        let whole = count(b'\n').or_else(|| if no_more { count(b'\r') } else { None });
        WholeRecords { whole, then: Then::More }
    }

    /// Where the first line of what is read ends.
    fn line_end(&self) -> Option<usize> {
        let first = match &self.header {
            None => memchr::memchr(b'\n', &self.buffer).or_else(|| memchr::memchr(b'\r', &self.buffer))?,
            Some(_) => memchr::memchr2(b'\n', b'\r', &self.buffer)?,
        };
        let both = self.buffer[first] == b'\r' && self.buffer.get(first + 1) == Some(&b'\n');
        Some(first + 1 + usize::from(both))
    }

    fn whole_rows(&self, most: usize) -> WholeRecords {
        rows::find(&self.buffer, self.dialect, self.ended, most)
    }

    /// Reads more. `false` at the end of the stream.
    pub(crate) fn fill(&mut self) -> std::io::Result<bool> {
        if let Some(error) = self.broken.take() {
            return Err(error);
        }
        // At the end of a growing file there is seldom much more.
        let small = self.ended || self.live;
        let mut buffer =
            if small { Vec::with_capacity(self.buffer.len() + GROWTH_BYTES) } else { self.pool.take() };
        buffer.extend_from_slice(&self.buffer);
        let before = buffer.len();
        let (result, whole) = if self.live {
            buffer.resize(before + GROWTH_BYTES, 0);
            let result = self.reader.read(&mut buffer[before..]);
            buffer.truncate(before + *result.as_ref().unwrap_or(&0));
            (result, 1)
        } else {
            ((&mut self.reader).take(READ_BYTES as u64).read_to_end(&mut buffer), READ_BYTES)
        };
        let read = buffer.len() - before;
        self.buffer = if small { Bytes::from(buffer) } else { self.pool.lend(buffer) };
        self.ended = result.is_ok() && read < whole;
        match result {
            Err(error) if read == 0 => return Err(error),
            Err(error) => self.broken = Some(error),
            Ok(_) => {}
        }
        Ok(read > 0)
    }

    /// What is left of a record that the stream broke off in.
    pub(crate) fn rest(&mut self) -> Bytes {
        match self.long.take() {
            Some((reject, _)) => reject.raw,
            None => std::mem::take(&mut self.buffer),
        }
    }

    fn reject(reason: RejectReason, detail: String, path: &Path, record: u64, raw: Bytes) -> Reject {
        let (source, partition) = (Arc::from(""), Arc::from(path.display().to_string()));
        Reject { reason, detail, source, partition, record: record + 1, raw }
    }

    /// The next line is no row. What comes after it is read as if it were not there.
    fn refuse_line(&mut self, why: &str, path: &Path, record: u64) -> Cut {
        let end = self.line_end().unwrap_or(self.buffer.len());
        let raw = self.buffer.split_to(end);
        let raw = raw.slice(..raw.len().min(RECORD_BYTES_MAX));
        let reject = Self::reject(RejectReason::InvalidCsv, why.to_owned(), path, record, raw);
        (Payload::Rejected(vec![reject]), end as u64, 1)
    }

    /// A record that is too long is rejected with its start.
    fn begin_long(&mut self, path: &Path, record: u64) {
        let raw = self.buffer.split_to(RECORD_BYTES_MAX);
        let detail = say!("over {most} bytes; only the start is kept here", most = RECORD_BYTES_MAX);
        let reject = Self::reject(RejectReason::TooLarge, detail, path, record, raw);
        self.long = Some((reject, RECORD_BYTES_MAX as u64));
    }

    /// Skips the rest of a record that is too long, and hands it out with it: were it handed out before, a process that
    /// starts again in between would take the rest for a record. `None` while its end is not there.
    fn skip_long(&mut self) -> std::io::Result<Option<Cut>> {
        loop {
            let end = self.line_end();
            let skipped = self.buffer.split_to(end.unwrap_or(self.buffer.len()));
            if let Some((_, bytes)) = &mut self.long {
                *bytes += skipped.len() as u64;
            }
            if end.is_none() && self.fill()? {
                continue;
            }
            if end.is_none() && self.grows {
                return Ok(None);
            }
            return Ok(self.long.take().map(|(reject, bytes)| (Payload::Rejected(vec![reject]), bytes, 1)));
        }
    }

    /// Skips bytes of the stream that were read before.
    pub(crate) fn skip(&mut self, mut bytes: u64) -> std::io::Result<()> {
        while bytes > 0 {
            if self.buffer.is_empty() && !self.fill()? {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let step = self.buffer.len().min(usize::try_from(bytes).unwrap_or(usize::MAX));
            let _ = self.buffer.split_to(step);
            bytes -= step as u64;
        }
        Ok(())
    }

    /// Reads what stands above the rows that a map is for: its bytes, and its rows.
    pub(crate) fn read_preamble(&mut self, path: &Path, map: &Map) -> Result<(u64, u64), ReadError> {
        loop {
            let read = rows::preamble(&self.buffer, map, self.ended).map_err(|fault| refuse(path, fault))?;
            if let Some((header, bytes, rows)) = read {
                self.header = Some(header);
                let _ = self.buffer.split_to(bytes);
                return Ok((bytes as u64, rows));
            }
            if self.ended || self.buffer.len() > RECORD_BYTES_MAX {
                // An empty file has no rows that a header could be missing for.
                self.header = Some(Arc::from([]));
                let is_empty = self.buffer.iter().all(u8::is_ascii_whitespace);
                return if is_empty && !self.grows { Ok((0, 0)) } else { Err(refuse(path, no_header(map))) };
            }
            self.fill().map_err(|e| fail(path, e))?;
        }
    }

    /// Reads the header of a CSV file and returns its length.
    pub(crate) fn read_header(&mut self, path: &Path) -> Result<u64, ReadError> {
        let error = |error: String| ReadError::Format { path: path.to_owned(), format: "CSV", error };
        let end = loop {
            let end = memchr::memchr2(b'\n', b'\r', &self.buffer);
            // Behind a CR at the end of what is read an LF may still come.
            let is_certain = end.is_some_and(|at| self.buffer[at] == b'\n' || at + 1 < self.buffer.len());
            if is_certain || self.ended || self.buffer.len() > RECORD_BYTES_MAX {
                break end;
            }
            self.fill().map_err(|e| fail(path, e))?;
        };
        if self.buffer.is_empty() && !self.grows {
            // An empty file has no rows that a header could be missing for.
            self.header = Some(Arc::from([]));
            return Ok(0);
        }
        let both = end.is_some_and(|at| self.buffer[at..].starts_with(b"\r\n"));
        let end = end.map_or(self.buffer.len(), |at| at + 1 + usize::from(both));
        let line = self.buffer.split_to(end);
        let text = std::str::from_utf8(&line)
            .map_err(|_| error(say!("its first line is not UTF-8: save the file as UTF-8")))?;
        let below = String::from_utf8_lossy(&self.buffer[..self.buffer.len().min(BELOW_BYTES)]);
        let below: Vec<&str> = below.split(['\n', '\r']).take(BELOW_LINES).collect();
        self.header = Some(inspect::read_header(text, &below).map_err(error)?);
        Ok(end as u64)
    }
}

/// Lines that were cut at a CR end in LF from here on, so that what a line is does not depend on where it is cut.
fn ended_by_lf(bytes: Bytes) -> Bytes {
    if bytes.last() != Some(&b'\r') || memchr::memchr(b'\n', &bytes).is_some() {
        return bytes;
    }
    bytes.iter().map(|byte| if *byte == b'\r' { b'\n' } else { *byte }).collect::<Vec<u8>>().into()
}

fn no_header(map: &Map) -> String {
    say!(
        "it ends before row {row}, which names the columns as the map has it (`header_row`)",
        row = map.header_row
    )
}
