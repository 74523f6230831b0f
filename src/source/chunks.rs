//! A file or stream in chunks of whole records, each with the positions it covers.

use std::{
    fs::File,
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use datafusion::parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::{
    Compression, Encoding, Format,
    rows::{self, Rows, Then},
    whole,
};
use crate::{
    diagnostic::os_reason,
    inspect::{self, Written},
    map::{self, Map},
    say,
    stream::{Dialect, Payload, RECORD_BYTES_MAX, Reason, Reject},
};

/// Bytes read at once.
const READ_BYTES: usize = 4 << 20;
/// Bytes made room for at the end of a growing file.
const GROWTH_BYTES: usize = 1 << 16;

/// Lines, and bytes of them, that are searched for a header where the first line is none.
const BELOW_LINES: usize = 20;
const BELOW_BYTES: usize = 1 << 14;

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It cannot be opened.
    #[error("{}", say!(
        "cannot read {path}: {reason}. {hint}",
        path = path.display(), reason = os_reason(error), hint = hint(error)
    ))]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It breaks off, or is not what it says.
    #[error("{}", say!(
        "{path} breaks off after record {record}: {error}. The records before were read; get the file again and read it once more, what is known already is skipped",
        path = path.display(), record, error
    ))]
    Truncated {
        /// The file.
        path: PathBuf,
        /// The last record that was read.
        record: u64,
        /// Why.
        error: String,
    },
    /// All of it is wrong in the same way: nothing of it is read.
    #[error("{}", refused(path, fault))]
    Refused {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        fault: String,
    },
    /// It has bytes and no record.
    #[error("{}", no_record(path, *bytes))]
    NoRecord {
        /// The file.
        path: PathBuf,
        /// Its bytes, uncompressed.
        bytes: u64,
    },
    /// It is not what its name says.
    #[error("{}", say!("{path} is not a {format} file: {error}", path = path.display(), format, error))]
    Format {
        /// The file.
        path: PathBuf,
        /// What it should be.
        format: &'static str,
        /// Why it is not.
        error: String,
    },
}

fn refused(path: &Path, fault: &str) -> String {
    say!("{file} is refused, nothing of it is read: {fault}", file = path.display(), fault)
}

fn no_record(path: &Path, bytes: u64) -> String {
    say!(
        "{file} has {bytes} bytes and no record: empty lines, or a header without rows. It stays where it is; write it anew, or take it away",
        file = path.display(),
        bytes
    )
}

impl ReadError {
    /// The reason that it is kept in quarantine with.
    #[must_use]
    pub fn reason(&self) -> Reason {
        if matches!(self, Self::Truncated { .. }) { Reason::Truncated } else { Reason::Unreadable }
    }
}

/// Whole records of a stream.
#[derive(Debug)]
pub struct Chunk {
    /// The records.
    pub payload: Payload,
    /// The offset of the first: a byte of the uncompressed stream, or a row.
    pub from: u64,
    /// The offset after the last.
    pub to: u64,
    /// Records before it.
    pub first_record: u64,
    /// Records before the next.
    pub next_record: u64,
}

/// Cuts a stream into chunks.
pub struct Chunks {
    path: PathBuf,
    rows: usize,
    offset: u64,
    record: u64,
    /// Whether something that is a record, or is refused as one, was handed out.
    found: bool,
    kind: Kind,
    /// Of a file that grows and is decoded.
    raw: Option<Raw>,
}

/// Read buffers used again: fresh memory for every one would cost as much as reading.
#[derive(Debug, Clone, Default)]
struct Pool(Arc<Mutex<Vec<Vec<u8>>>>);

/// Buffers kept at most; those in flight are bounded by the channels.
const POOL_MAX: usize = 16;

impl Pool {
    fn take(&self) -> Vec<u8> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.unwrap_or_else(|| Vec::with_capacity(READ_BYTES + RECORD_BYTES_MAX))
    }

    fn lend(&self, buffer: Vec<u8>) -> Bytes {
        Bytes::from_owner(Lent { buffer, pool: self.clone() })
    }
}

/// A buffer on its way through the loop.
struct Lent {
    buffer: Vec<u8>,
    pool: Pool,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut kept = self.pool.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < POOL_MAX {
            let mut buffer = std::mem::take(&mut self.buffer);
            buffer.clear();
            kept.push(buffer);
        }
    }
}

/// How a stream comes to an end.
struct Growth {
    grows: bool,
    live: bool,
}

enum Kind {
    Lines(Lines),
    Table(Box<ParquetRecordBatchReader>),
}

/// Text records, one a line (or, in CSV, a row).
#[allow(clippy::struct_excessive_bools)] // Each is a fact of its own about the stream.
struct Lines {
    reader: Box<dyn Read + Send>,
    /// The columns of a CSV file.
    header: Option<Arc<[String]>>,
    /// What parts the cells of its rows.
    dialect: Dialect,
    /// Read and not handed out.
    buffer: Bytes,
    /// The stream has ended; a last record without a line end is whole.
    ended: bool,
    /// Whether the stream may grow, so that a record without a line end is not whole yet.
    grows: bool,
    /// A pipe: what is there is handed out without waiting for more.
    live: bool,
    /// A record that is too long, whose rest is skipped, and the bytes of it so far.
    long: Option<(Reject, u64)>,
    /// Buffers that come back when nobody looks at their records any more.
    pool: Pool,
    /// Why the stream broke off, told after the records before the break.
    broken: Option<std::io::Error>,
}

impl Chunks {
    /// Opens a file at an offset. `grows` if more may be appended while it is read.
    ///
    /// # Errors
    /// If the file cannot be opened or is not of its format.
    pub fn open(
        path: &Path,
        format: Format,
        rows: usize,
        at: (u64, u64),
        grows: bool,
        map: Option<&Map>,
    ) -> Result<Self, ReadError> {
        let file = open(path)?;
        if format.encoding == Encoding::Parquet {
            return Self::table(path, file, rows, at.0, map);
        }
        if whole::is_whole(format.encoding) {
            let rows_of_it = whole::file(file, format, map).map_err(|fault| refuse(path, fault))?;
            return Self::objects(path, Box::new(rows_of_it), rows, at);
        }
        let again = || format.reader(open(path)?).map_err(|error| fail(path, error));
        let reader = format.reader(file).map_err(|error| fail(path, error))?;
        let mut raw = None;
        let reader = match map {
            None if at.0 == 0 && !grows => {
                inspect::check_text(again()?, written(format)).map_err(|fault| refuse(path, fault))?;
                reader
            }
            None => reader,
            // What a growing file is in, its first lines tell.
            Some(map) if grows => {
                let Raw { count, last } = raw.insert(Raw::default()).clone();
                map::growing_reader(Box::new(Counted { reader, count }), map.charset, last)
            }
            Some(map) => {
                inspect::check_kind(again()?).map_err(|fault| refuse(path, fault))?;
                let found =
                    map::look_at_encoding(again()?, map.charset).map_err(|fault| refuse(path, fault))?;
                map::utf8_reader(reader, map.charset, Some(found))
            }
        };
        let chunks = Self::text(path, reader, format, rows, at, Growth { grows, live: false }, map)?;
        Ok(Self { raw, ..chunks })
    }

    /// Reads text from a pipe, such as standard input.
    ///
    /// # Errors
    /// If a CSV header cannot be read.
    pub fn pipe(
        path: &Path,
        reader: Box<dyn Read + Send>,
        format: Format,
        rows: usize,
        map: Option<&Map>,
    ) -> Result<Self, ReadError> {
        if whole::is_whole(format.encoding) {
            let objects = whole::piped(reader, format.encoding, map).map_err(|fault| refuse(path, fault))?;
            return Self::objects(path, Box::new(objects), rows, (0, 0));
        }
        let reader = match map {
            Some(map) => map::utf8_reader(reader, map.charset, None),
            None => reader,
        };
        Self::text(path, reader, format, rows, (0, 0), Growth { grows: false, live: true }, map)
    }

    /// Reads the rows that a reader made of a whole file.
    fn objects(
        path: &Path,
        reader: Box<dyn Read + Send>,
        rows: usize,
        at: (u64, u64),
    ) -> Result<Self, ReadError> {
        let format = Format { encoding: Encoding::Jsonl, compression: Compression::None };
        Self::text(path, reader, format, rows, at, Growth { grows: false, live: false }, None)
    }

    /// Reads text from a stream.
    ///
    /// # Errors
    /// If a CSV header cannot be read.
    fn text(
        path: &Path,
        reader: Box<dyn Read + Send>,
        format: Format,
        rows: usize,
        (offset, mut record): (u64, u64),
        Growth { grows, live }: Growth,
        map: Option<&Map>,
    ) -> Result<Self, ReadError> {
        let buffer = Bytes::new();
        let mut lines = Lines {
            reader,
            header: None,
            dialect: map.map_or_else(Dialect::default, |map| map.dialect),
            buffer,
            ended: false,
            grows,
            live,
            long: None,
            pool: Pool::default(),
            broken: None,
        };
        let mut at = 0;
        if live && map.is_none() {
            lines.fill().map_err(|error| fail(path, error))?;
            inspect::check_bytes(&lines.buffer, written(format)).map_err(|fault| refuse(path, fault))?;
        }
        match map {
            _ if format.encoding != Encoding::Csv => {}
            None => at = lines.read_header(path)?,
            Some(map) => {
                let above;
                (at, above) = lines.read_preamble(path, map)?;
                // Rows are counted as people see them, from the first of the file.
                record = if offset == 0 { above } else { record };
            }
        }
        lines.skip(offset.saturating_sub(at)).map_err(|error| fail(path, error))?;
        let found = offset > 0 || grows;
        let (offset, path) = (offset.max(at), path.to_owned());
        Ok(Self { path, rows: rows.max(1), offset, record, found, kind: Kind::Lines(lines), raw: None })
    }

    fn table(
        path: &Path,
        file: File,
        rows: usize,
        offset: u64,
        map: Option<&Map>,
    ) -> Result<Self, ReadError> {
        let error = |error: &dyn std::fmt::Display| ReadError::Format {
            path: path.to_owned(),
            format: "Parquet",
            error: error.to_string(),
        };
        let builder = caught(|| ParquetRecordBatchReaderBuilder::try_new(file)).map_err(|e| error(&e))?;
        let checked = match map {
            None => inspect::check_columns(builder.schema(), builder.metadata()),
            Some(map) => {
                let names = builder.schema().fields().iter().map(|field| field.name().clone());
                map.slots.check(&names.collect::<Vec<_>>())
            }
        };
        checked.map_err(|fault| refuse(path, fault))?;
        let skip = usize::try_from(offset).unwrap_or(usize::MAX);
        let builder = builder.with_batch_size(rows.max(1)).with_offset(skip);
        let reader = caught(|| builder.build()).map_err(|e| error(&e))?;
        let kind = Kind::Table(Box::new(reader));
        Ok(Self { path: path.to_owned(), rows, offset, record: offset, found: true, kind, raw: None })
    }

    /// The offset after what was handed out, and the records before it.
    #[must_use]
    pub fn position(&self) -> (u64, u64) {
        (self.offset, self.record)
    }

    /// Bytes of the file that were read.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.raw.as_ref().map_or(self.offset, |raw| raw.count.load(Ordering::Relaxed))
    }

    /// Bytes of the stream as records.
    #[must_use]
    pub fn payload(&self, bytes: Bytes) -> Payload {
        match &self.kind {
            Kind::Lines(Lines { header: Some(header), dialect, .. }) => {
                Payload::Csv { header: Arc::clone(header), rows: bytes, dialect: *dialect }
            }
            _ => Payload::JsonLines(bytes),
        }
    }

    /// What is left of a record that the stream broke off in, for the quarantine.
    #[must_use]
    pub fn rest(&mut self) -> Bytes {
        match &mut self.kind {
            Kind::Lines(lines) => {
                if let Some(raw) = &self.raw {
                    raw.last.store(true, Ordering::Relaxed);
                    // What cannot be read any more was told when it was met.
                    let _ = lines.fill();
                }
                lines.rest()
            }
            Kind::Table(_) => Bytes::new(),
        }
    }

    /// The next chunk; `None` at the end (of a growing file: for now).
    ///
    /// # Errors
    /// If the stream breaks off. What came before was handed out.
    pub fn next_chunk(&mut self) -> Result<Option<Chunk>, ReadError> {
        let (payload, bytes, records) = match &mut self.kind {
            Kind::Lines(lines) => match lines.next_payload(self.rows, &self.path, self.record) {
                Ok(Some(payload)) => payload,
                Ok(None) if self.found || self.offset == 0 => return Ok(None),
                Ok(None) => {
                    // Told once.
                    self.found = true;
                    return Err(ReadError::NoRecord { path: self.path.clone(), bytes: self.offset });
                }
                Err(error) => return Err(self.truncated(&error)),
            },
            Kind::Table(reader) => match caught(|| reader.next().transpose()) {
                Ok(Some(batch)) => {
                    let rows = batch.num_rows() as u64;
                    (Payload::Table(batch), rows, rows)
                }
                Ok(None) => return Ok(None),
                Err(error) => return Err(self.truncated(&error)),
            },
        };
        self.found = self.found || !is_blank(&payload);
        let (from, first_record) = (self.offset, self.record);
        self.offset += bytes;
        self.record += records;
        Ok(Some(Chunk { payload, from, to: self.offset, first_record, next_record: self.record }))
    }

    fn truncated(&self, error: &dyn std::fmt::Display) -> ReadError {
        ReadError::Truncated { path: self.path.clone(), record: self.record, error: error.to_string() }
    }
}

/// What is known of the bytes of a file that grows, whose text is decoded.
#[derive(Debug, Clone, Default)]
struct Raw {
    /// Those that were read.
    count: Arc<AtomicU64>,
    /// Whether nothing more comes.
    last: Arc<AtomicBool>,
}

/// A file whose bytes are counted.
struct Counted {
    reader: Box<dyn Read + Send>,
    count: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.reader.read(into)?;
        self.count.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// Opens a file to read, with an error that says what to do.
///
/// # Errors
/// If it is missing, a directory or not readable.
pub fn open(path: &Path) -> Result<File, ReadError> {
    let file = File::open(path).map_err(|error| fail(path, error))?;
    match file.metadata() {
        Ok(metadata) if metadata.is_dir() => Err(fail(path, ErrorKind::IsADirectory.into())),
        Ok(_) => Ok(file),
        Err(error) => Err(fail(path, error)),
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

/// Whether nothing but empty lines, or rows of empty cells, is there.
fn is_blank(payload: &Payload) -> bool {
    match payload {
        Payload::JsonLines(bytes) => bytes.iter().all(u8::is_ascii_whitespace),
        Payload::Csv { rows, dialect, .. } => {
            rows.iter().all(|byte| byte.is_ascii_whitespace() || *byte == dialect.delimiter)
        }
        Payload::Messages { .. } | Payload::Table(_) | Payload::Rejected(_) => false,
    }
}

fn written(format: Format) -> Written {
    if format.encoding == Encoding::Csv { Written::Rows } else { Written::Lines }
}

fn refuse(path: &Path, fault: String) -> ReadError {
    ReadError::Refused { path: path.to_owned(), fault }
}

fn fail(path: &Path, error: std::io::Error) -> ReadError {
    ReadError::Open { path: path.to_owned(), error }
}

/// What to do about a file that cannot be read.
fn hint(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => say!("Check the path"),
        ErrorKind::PermissionDenied => say!("Give the user that runs fiscwatch the right to read it"),
        ErrorKind::IsADirectory => say!("Name the files in it, or use a source of type directory"),
        _ => say!("Check the file and the disk"),
    }
}

type Cut = (Payload, u64, u64);

const MISQUOTED: &str = "a cell goes on after its closing quote: write a quote inside of a quoted cell twice";
const OPEN: &str =
    "a quote is opened and never closed: write a quote at the start of a cell as three, and one at its end";

impl Lines {
    /// The next records with the bytes and records they take.
    fn next_payload(&mut self, rows: usize, path: &Path, record: u64) -> std::io::Result<Option<Cut>> {
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
    fn whole_records(&self, rows: usize) -> Rows {
        let mut found = if self.header.is_some() { self.whole_rows(rows) } else { self.whole_lines(rows) };
        let last = self.ended && !self.grows && !self.buffer.is_empty();
        if found.whole.is_none() && found.then == Then::More && last {
            found.whole = Some((self.buffer.len(), 1));
        }
        found
    }

    fn whole_lines(&self, rows: usize) -> Rows {
        let count = |end| {
            let ends = memchr::memchr_iter(end, &self.buffer).take(rows);
            ends.fold(None, |found, at| Some((at + 1, found.map_or(1, |(_, lines)| lines + 1))))
        };
        // A CR alone ends lines only where no LF does: within a record it is a blank.
        let no_more = (self.ended && !self.grows) || self.buffer.len() > RECORD_BYTES_MAX;
        let whole = count(b'\n').or_else(|| if no_more { count(b'\r') } else { None });
        Rows { whole, then: Then::More }
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

    fn whole_rows(&self, most: usize) -> Rows {
        rows::find(&self.buffer, self.dialect, self.ended, most)
    }

    /// Reads more. `false` at the end of the stream.
    fn fill(&mut self) -> std::io::Result<bool> {
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
    fn rest(&mut self) -> Bytes {
        match self.long.take() {
            Some((reject, _)) => reject.raw,
            None => std::mem::take(&mut self.buffer),
        }
    }

    fn reject(reason: Reason, detail: String, path: &Path, record: u64, raw: Bytes) -> Reject {
        let (source, partition) = (Arc::from(""), Arc::from(path.display().to_string()));
        Reject { reason, detail, source, partition, record: record + 1, raw }
    }

    /// The next line is no row. What comes after it is read as if it were not there.
    fn refuse_line(&mut self, why: &str, path: &Path, record: u64) -> Cut {
        let end = self.line_end().unwrap_or(self.buffer.len());
        let raw = self.buffer.split_to(end);
        let raw = raw.slice(..raw.len().min(RECORD_BYTES_MAX));
        let reject = Self::reject(Reason::InvalidCsv, why.to_owned(), path, record, raw);
        (Payload::Rejected(vec![reject]), end as u64, 1)
    }

    /// A record that is too long is rejected with its start.
    fn begin_long(&mut self, path: &Path, record: u64) {
        let raw = self.buffer.split_to(RECORD_BYTES_MAX);
        let detail = say!("over {most} bytes; only the start is kept here", most = RECORD_BYTES_MAX);
        let reject = Self::reject(Reason::TooLarge, detail, path, record, raw);
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
    fn skip(&mut self, mut bytes: u64) -> std::io::Result<()> {
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
    fn read_preamble(&mut self, path: &Path, map: &Map) -> Result<(u64, u64), ReadError> {
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
    fn read_header(&mut self, path: &Path) -> Result<u64, ReadError> {
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

/// Arrow's and Parquet's readers panic over some damaged files, which must not stop the stream: it is an error of the file.
fn caught<T, E: std::fmt::Display>(read: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(read)) {
        Ok(result) => result.map_err(|e| e.to_string()),
        Err(_) => Err(say!("it is damaged in a way that Parquet's reader does not expect")),
    }
}

/// Whether more can be appended to a file of this format while it is read.
#[must_use]
pub fn can_grow(format: Format) -> bool {
    format.compression == Compression::None
        && format.encoding != Encoding::Parquet
        && !whole::is_whole(format.encoding)
}
