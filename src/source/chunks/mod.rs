//! A file or stream in chunks of whole records, each with the positions it covers.

mod error;
mod lines;
mod pool;

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use datafusion::parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::{Compression, Encoding, Format, whole};
use crate::{
    inspect::{self, RecordSyntax},
    map::{self, Map},
    say,
    stream::{Dialect, Payload},
};
use error::{broken_stream, fail, refuse};
use lines::Lines;
use pool::Pool;

pub use error::{ReadError, open};

/// Whole records of a stream.
#[derive(Debug)]
pub struct Chunk {
    /// The whole records that were read.
    pub payload: Payload,
    /// The offset of the first: a byte of the uncompressed stream, or a row.
    pub from: u64,
    /// The offset after the last.
    pub to: u64,
    /// Records of the file before this chunk.
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

/// How a stream comes to an end.
struct Growth {
    grows: bool,
    live: bool,
}

enum Kind {
    Lines(Lines),
    Table(Box<ParquetRecordBatchReader>),
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
                Err(error) => return Err(self.truncated(broken_stream(&error))),
            },
            Kind::Table(reader) => match caught(|| reader.next().transpose()) {
                Ok(Some(batch)) => {
                    let rows = batch.num_rows() as u64;
                    (Payload::Table(batch), rows, rows)
                }
                Ok(None) => return Ok(None),
                Err(error) => return Err(self.truncated(error)),
            },
        };
        self.found = self.found || !is_blank(&payload);
        let (from, first_record) = (self.offset, self.record);
        self.offset += bytes;
        self.record += records;
        Ok(Some(Chunk { payload, from, to: self.offset, first_record, next_record: self.record }))
    }

    fn truncated(&self, error: String) -> ReadError {
        ReadError::Truncated { path: self.path.clone(), record: self.record, error }
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

fn written(format: Format) -> RecordSyntax {
    if format.encoding == Encoding::Csv { RecordSyntax::Rows } else { RecordSyntax::Lines }
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
pub(crate) fn can_grow(format: Format) -> bool {
    format.compression == Compression::None
        && format.encoding != Encoding::Parquet
        && !whole::is_whole(format.encoding)
}
