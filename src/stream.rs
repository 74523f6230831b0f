//! What travels from a source to the engine: blocks of raw records, each with the span of positions it covers.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

/// What no source is called: what is read as this is an event already.
pub const PLAIN: &str = "";
/// The longest record that is read; a longer one goes to quarantine.
pub const RECORD_BYTES_MAX: usize = 1 << 20;

/// Where a record is found in its source, for people: a field that a reader adds to the columns of a row.
pub const PLACE: &str = "$place";
/// What happened to a row in its database: `insert`, `update` or `delete`.
pub const OP: &str = "$op";
/// What orders the versions of a row.
pub const VERSION: &str = "$version";
/// What stands in place of a value that cannot be taken: an object with the reason, and what was found.
pub const FAULT: &str = "$fault";
/// The reason of a value that another program has rounded.
pub const INEXACT: &str = "inexact";
/// The reason of a number that is a time in a unit that nobody stated.
pub const UNTYPED: &str = "untyped";
/// What was found there.
pub const SHOWN: &str = "shown";
/// Who wrote it so, if a setting of his is the cause.
pub const BY: &str = "by";
/// Debezium.
pub const DEBEZIUM: &str = "debezium";

/// The lines of a text, which end in LF, CR LF, or (where there is no LF at all) in CR.
pub fn lines(text: &str) -> impl Iterator<Item = &str> {
    let end = if text.contains('\n') { '\n' } else { '\r' };
    text.split(end).map(|line| line.strip_suffix('\r').unwrap_or(line))
}

/// How far a partition of a source has been read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Everything before this is read: a byte offset (file), a row (Parquet) or a message offset (Kafka).
    pub offset: u64,
    /// Records before the offset, so that messages can name a line.
    pub records: u64,
    /// What the source needs besides to find its place again, opaque to everyone else.
    pub token: String,
}

/// A stretch of one partition: everything in `(from, to]`. Spans of a partition follow one another without
/// gap or overlap; the store refuses anything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The name of the source in the configuration.
    pub source: Arc<str>,
    /// The file, or topic and partition.
    pub partition: Arc<str>,
    /// The offset where the stretch starts.
    pub from: u64,
    /// The position after it.
    pub to: Position,
}

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// One JSON object a line.
    #[serde(alias = "jsonlines", alias = "json", alias = "ndjson")]
    Jsonl,
    /// Comma-separated values with a header.
    Csv,
    /// Apache Parquet.
    Parquet,
    /// An Excel workbook.
    #[serde(alias = "xlsx", alias = "xls")]
    Excel,
    /// An XML document.
    Xml,
}

/// What parts the cells of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// The byte between two cells.
    pub delimiter: u8,
    /// The byte around a cell that has delimiters or line ends in it; without it no cell has any.
    pub quote: Option<u8>,
}

impl Default for Dialect {
    fn default() -> Self {
        Self { delimiter: b',', quote: Some(b'"') }
    }
}

impl Dialect {
    /// A reader of rows without a header.
    pub fn reader<R: std::io::Read>(self, rows: R) -> csv::Reader<R> {
        let mut builder = csv::ReaderBuilder::new();
        builder.has_headers(false).flexible(true).delimiter(self.delimiter).quoting(self.quote.is_some());
        if let Some(quote) = self.quote {
            builder.quote(quote);
        }
        builder.from_reader(rows)
    }

    /// The cells of one row, without blanks around them.
    #[must_use]
    pub fn cells(self, row: &str) -> Vec<String> {
        let mut reader = self.reader(row.as_bytes());
        let first = reader.records().next().and_then(Result::ok);
        first.iter().flatten().map(|cell| cell.trim().to_owned()).collect()
    }
}

/// The records of a block, still as the source wrote them.
#[derive(Debug, Clone)]
pub enum Payload {
    /// JSON Lines, cut at a line end. A last line without its end is whole.
    JsonLines(Bytes),
    /// Rows of a CSV file, cut at a row end, without the header.
    Csv {
        /// The names of the columns.
        header: Arc<[String]>,
        /// The bytes of whole rows, without the header.
        rows: Bytes,
        /// What parts their cells.
        dialect: Dialect,
    },
    /// Messages of a broker: the bytes of each, one after another.
    Messages {
        /// The bytes of all messages, one after another.
        data: Bytes,
        /// The end of each within `data`, and its offset in the partition.
        ends: Vec<(u32, u64)>,
    },
    /// Rows that are columns already (Parquet).
    Table(RecordBatch),
    /// Nothing readable: the source itself met records it must reject (too long, or a file that breaks off).
    Rejected(Vec<Reject>),
}

/// A piece of a source's stream.
#[derive(Debug)]
pub struct Block {
    /// What it covers; `None` for a stream without positions (HTTP, standard input).
    pub span: Option<Span>,
    /// The source's name, for counts and messages.
    pub source: Arc<str>,
    /// The source whose values are written as these are: of records that are read again, the one they came from.
    pub read_as: Arc<str>,
    /// The file, or topic and partition, for messages.
    pub partition: Arc<str>,
    /// Records of the partition before this block.
    pub first_record: u64,
    /// The records as they were read.
    pub payload: Payload,
    /// About how many there are, for cutting batches and making room.
    pub records: usize,
    /// Quarantined records that this block reads again, by their numbers in the store.
    pub replays: Vec<i64>,
    /// When it was read, for metrics of how long things take.
    pub received: std::time::Instant,
    /// Told when the block is committed.
    pub receipt: Option<oneshot::Sender<Receipt>>,
}

/// What became of a block's records, told after the commit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Receipt {
    /// New events, now in the journal.
    pub accepted: u64,
    /// Events that were there already.
    pub duplicates: u64,
    /// Records now in quarantine.
    pub rejected: u64,
    /// Lines and rows that hold nothing.
    #[serde(skip_serializing_if = "is_none")]
    #[schema(required = false)]
    pub skipped: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // It is what serde hands over.
fn is_none(count: &u64) -> bool {
    *count == 0
}

impl Receipt {
    /// Every line or row that was seen.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.accepted + self.duplicates + self.rejected + self.skipped
    }

    /// Whether there were records, and all of them are in quarantine.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.rejected > 0 && self.accepted == 0 && self.duplicates == 0
    }
}

impl std::ops::AddAssign for Receipt {
    fn add_assign(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.duplicates += other.duplicates;
        self.rejected += other.rejected;
        self.skipped += other.skipped;
    }
}

impl Payload {
    /// Records that nothing else numbers, each a message.
    #[must_use]
    pub fn messages(records: &[Vec<u8>]) -> Self {
        let mut data = Vec::with_capacity(records.iter().map(Vec::len).sum());
        let mut ends = Vec::with_capacity(records.len());
        for (number, record) in (0..).zip(records) {
            data.extend_from_slice(record);
            ends.push((u32::try_from(data.len()).unwrap_or(u32::MAX), number));
        }
        Self::Messages { data: data.into(), ends }
    }

    fn records(&self) -> usize {
        match self {
            Self::JsonLines(bytes) | Self::Csv { rows: bytes, .. } => {
                match memchr::memchr_iter(b'\n', bytes).count() {
                    0 => memchr::memchr_iter(b'\r', bytes).count().max(1),
                    lines => lines,
                }
            }
            Self::Messages { ends, .. } => ends.len(),
            Self::Table(batch) => batch.num_rows(),
            Self::Rejected(rejects) => rejects.len(),
        }
    }
}

impl Block {
    /// A block without a position that nobody waits for.
    #[must_use]
    pub fn new(source: Arc<str>, partition: Arc<str>, first_record: u64, payload: Payload) -> Self {
        let records = payload.records();
        Self {
            span: None,
            read_as: Arc::clone(&source),
            source,
            partition,
            first_record,
            payload,
            records,
            replays: Vec::new(),
            received: std::time::Instant::now(),
            receipt: None,
        }
    }

    /// The same records for somebody who only looks at them: nobody is told of it, and it has no position.
    #[must_use]
    pub(crate) fn copy(&self) -> Self {
        let (source, partition) = (Arc::clone(&self.source), Arc::clone(&self.partition));
        let copy = Self::new(source, partition, self.first_record, self.payload.clone());
        Self { read_as: Arc::clone(&self.read_as), ..copy }
    }

    /// The same with records that are events already, however those of its source are written.
    #[must_use]
    pub fn plain(self) -> Self {
        Self { read_as: Arc::from(PLAIN), ..self }
    }

    /// Raw bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let bytes = match &self.payload {
            Payload::JsonLines(bytes)
            | Payload::Csv { rows: bytes, .. }
            | Payload::Messages { data: bytes, .. } => bytes.len(),
            Payload::Table(batch) => batch.get_array_memory_size(),
            Payload::Rejected(rejects) => rejects.iter().map(|r| r.raw.len()).sum(),
        };
        bytes as u64
    }
}

/// Why a record is in quarantine. The code is stable: scripts and metrics use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RejectReason {
    /// Not a JSON object, or a field twice.
    InvalidJson,
    /// Not a row of the CSV file.
    InvalidCsv,
    /// Not UTF-8.
    NotUtf8,
    /// Over 1 MiB.
    TooLarge,
    /// A field that the type must have is missing, null or empty.
    MissingField,
    /// What the record lacks is looked up at its budget line, which is not approved yet.
    UnknownLine,
    /// A value of another JSON type than the field's, such as a code as a number.
    WrongType,
    /// A word outside the field's closed set.
    UnknownValue,
    /// An `event_id` of more than 64 characters.
    BadEventId,
    /// A text of more characters than its field has.
    TooLong,
    /// A character in a code or number that nobody sees.
    BadText,
    /// A number that another program has rounded.
    Inexact,
    /// An amount in another currency than the books'.
    Currency,
    /// An amount that is no number, not above zero, over-precise or out of range.
    BadAmount,
    /// A number that is none, over-precise or out of range.
    BadNumber,
    /// A time or year that cannot be read.
    BadTime,
    /// A time too far ahead of the clock.
    FutureTime,
    /// The `event_id` is known, with other content.
    Conflict,
    /// A row that was changed or deleted in its database, where only new rows are taken.
    Changed,
    /// The file breaks off or cannot be decompressed; the records before are kept.
    Truncated,
    /// The file is not what its name says.
    Unreadable,
    /// No record, but a hole: the broker deleted messages before they were read.
    Lost,
}

impl RejectReason {
    /// The word in metrics and in the quarantine, which never changes.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::InvalidJson => "invalid_json",
            Self::InvalidCsv => "invalid_csv",
            Self::NotUtf8 => "not_utf8",
            Self::TooLarge => "too_large",
            Self::MissingField => "missing_field",
            Self::UnknownLine => "unknown_line",
            Self::WrongType => "wrong_type",
            Self::UnknownValue => "unknown_value",
            Self::BadEventId => "bad_event_id",
            Self::TooLong => "too_long",
            Self::BadText => "bad_text",
            Self::Inexact => "inexact",
            Self::Currency => "currency",
            Self::BadAmount => "bad_amount",
            Self::BadNumber => "bad_number",
            Self::BadTime => "bad_time",
            Self::FutureTime => "future_time",
            Self::Conflict => "conflict",
            Self::Changed => "changed",
            Self::Truncated => "truncated",
            Self::Unreadable => "unreadable",
            Self::Lost => "lost",
        }
    }
}

/// A record on its way into quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Why the record was refused.
    pub reason: RejectReason,
    /// Why, in words, with the field and the value.
    pub detail: String,
    pub(crate) source: Arc<str>,
    /// The file, or topic and partition.
    pub partition: Arc<str>,
    /// The line, row or offset in the partition; lines and rows count from 1.
    pub record: u64,
    /// The record as it came, a row of CSV or Parquet as a JSON object; of an over-long one its first mebibyte.
    pub raw: Bytes,
}
