//! Raw records into one Arrow batch of checked events. A record that breaks the schema becomes a [`Reject`];
//! it never fails its batch, and nothing is dropped.

mod changes;
mod columns;
mod csv;
mod fault;
mod instant;
mod json;
mod mapped;
mod reading;
mod row;
mod table;
mod text;
mod value;
pub(crate) mod versions;
mod whole;
mod words;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use arrow::{datatypes::SchemaRef, record_batch::RecordBatch};
use bytes::Bytes;

use crate::{
    event::{
        Currency, EventType, Instant, event_schema,
        time::{Calendar, TimeBounds},
    },
    stream::{Block, Dialect, Payload, Reject, RejectReason},
};
pub use reading::Reading;
use row::RowBuilder;

/// What decoding depends on besides the bytes.
#[derive(Debug, Clone)]
pub struct Decoder {
    calendar: Arc<Calendar>,
    schema: SchemaRef,
    /// No event can be before this.
    earliest: Instant,
    currency: Currency,
    /// How the values of sources are written, by name, and of all others.
    readings: Arc<HashMap<String, Reading>>,
    reading: Arc<Reading>,
}

/// A batch of checked events, in stream order.
#[derive(Debug)]
pub struct Decoded {
    /// The events, in [`event_schema`].
    pub events: RecordBatch,
    /// The type of each.
    pub types: Vec<EventType>,
    /// A hash of each `event_id`.
    pub ids: Vec<u64>,
    /// A hash of each event's whole content: equal for the same record again, whatever its format.
    pub contents: Vec<u64>,
    /// Where each came from.
    pub origins: Origins,
    /// Those that get from their budget line what they lack of it (`lookup` of a map).
    pub lookups: Vec<usize>,
    /// Records that cannot be read.
    pub rejects: Vec<Reject>,
    /// Lines and rows of each block that hold nothing.
    pub skipped: Vec<u64>,
    /// Fields that the data dictionary does not know, with how often they came.
    pub unknown_fields: BTreeMap<String, u64>,
    /// Which of them are versions of records that come again when they have changed.
    pub versions: Option<Box<versions::RowVersions>>,
}

/// Where the rows of a batch came from.
#[derive(Debug, Default, Clone)]
pub struct Origins {
    blocks: Vec<OriginBlock>,
    rows: Vec<OriginRow>,
}

#[derive(Debug, Clone)]
struct OriginBlock {
    source: Arc<str>,
    partition: Arc<str>,
    /// The raw bytes, or what the rows were part of.
    raw: Raw,
}

#[derive(Debug, Clone)]
enum Raw {
    Bytes(Bytes),
    /// The names of the columns, the rows, and what parts their cells.
    Csv(Arc<[String]>, Bytes, Dialect),
    Table(RecordBatch),
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct OriginRow {
    block: u32,
    start: u32,
    end: u32,
    record: u64,
}

impl Origins {
    /// The block of the batch that a row came in.
    #[must_use]
    pub fn block(&self, row: usize) -> usize {
        self.rows[row].block as usize
    }

    /// Whether each block has brought one row, in their order.
    #[must_use]
    pub(crate) fn are_one_a_block(&self) -> bool {
        self.rows.len() == self.blocks.len()
            && self.rows.iter().enumerate().all(|(at, row)| row.block as usize == at)
    }

    fn take_first(&mut self, rows: usize) -> Self {
        Self { blocks: self.blocks.clone(), rows: self.rows.drain(..rows).collect() }
    }

    /// The source that the values of a block are written as.
    #[must_use]
    pub fn source(&self, block: usize) -> &Arc<str> {
        &self.blocks[block].source
    }

    /// The row as a reject: with its bytes, or as an object where these say nothing without their file.
    #[must_use]
    pub fn reject(&self, row: usize, reason: RejectReason, detail: String) -> Reject {
        self.reject_at(self.rows[row], reason, detail)
    }

    /// A version of a record as a reject.
    #[must_use]
    pub fn reject_version(
        &self,
        version: &versions::RowVersion,
        reason: RejectReason,
        detail: String,
    ) -> Reject {
        self.reject_at(version.place, reason, detail)
    }

    /// The same for other rows: each as a row of these, or as what follows from a version of a record.
    #[must_use]
    pub fn rearranged<'v>(self, rows: impl Iterator<Item = Result<usize, &'v versions::RowVersion>>) -> Self {
        let place =
            |row: Result<usize, &versions::RowVersion>| row.map_or_else(|v| v.place, |at| self.rows[at]);
        let rows = rows.map(place).collect();
        Self { rows, ..self }
    }

    fn reject_at(&self, place: OriginRow, reason: RejectReason, detail: String) -> Reject {
        let OriginRow { block, start, end, record } = place;
        let origin = &self.blocks[block as usize];
        let raw = match &origin.raw {
            Raw::Bytes(bytes) => bytes.slice(start as usize..end as usize),
            Raw::Csv(header, bytes, dialect) => {
                csv::raw_row(header, *dialect, bytes.slice(start as usize..end as usize))
            }
            Raw::Table(batch) => table::raw_row(batch, start as usize),
        };
        let (source, partition) = (origin.source.clone(), origin.partition.clone());
        Reject { reason, detail, source, partition, record, raw }
    }
}

impl Decoded {
    /// Takes the first `rows` events off, as a batch of their own. What was not read stays with the rest: it is told with the
    /// position that all of the records end at. Versions of records belong together, and are not cut.
    pub(crate) fn take_first(&mut self, rows: usize) -> Self {
        debug_assert!(self.versions.is_none(), "versions are resolved together");
        let looked_up = self.lookups.partition_point(|row| *row < rows);
        let lookups = self.lookups.drain(..looked_up).collect();
        self.lookups.iter_mut().for_each(|row| *row -= rows);
        let first = Self {
            events: self.events.slice(0, rows),
            types: self.types.drain(..rows).collect(),
            ids: self.ids.drain(..rows).collect(),
            contents: self.contents.drain(..rows).collect(),
            origins: self.origins.take_first(rows),
            lookups,
            rejects: Vec::new(),
            skipped: Vec::new(),
            unknown_fields: BTreeMap::new(),
            versions: None,
        };
        self.events = self.events.slice(rows, self.events.num_rows() - rows);
        first
    }

    /// Variants of the first event, which differ in what is not told of here.
    #[must_use]
    pub fn alike(&self, events: RecordBatch) -> Self {
        let rows = events.num_rows();
        Self {
            types: vec![self.types[0]; rows],
            ids: vec![self.ids[0]; rows],
            contents: vec![self.contents[0]; rows],
            events,
            origins: Origins::default(),
            lookups: Vec::new(),
            rejects: Vec::new(),
            skipped: Vec::new(),
            unknown_fields: BTreeMap::new(),
            versions: None,
        }
    }
}

impl Decoder {
    /// A decoder that reads bare dates in, and labels times with, the zone of `calendar`.
    #[must_use]
    pub fn new(calendar: Arc<Calendar>) -> Self {
        let schema = event_schema(&calendar.zone_name);
        let (currency, readings, reading) = (Currency::default(), Arc::default(), Arc::default());
        Self { calendar, schema, earliest: Instant::MIN, currency, readings, reading }
    }

    /// The same, which rejects events before `earliest`.
    #[must_use]
    pub fn not_before(self, earliest: Instant) -> Self {
        Self { earliest, ..self }
    }

    /// The same, for books in this currency.
    #[must_use]
    pub fn in_currency(self, currency: Currency) -> Self {
        Self { currency, ..self }
    }

    /// The same, for sources whose values are written so, by name.
    #[must_use]
    pub fn with_readings(self, readings: HashMap<String, Reading>) -> Self {
        Self { readings: Arc::new(readings), ..self }
    }

    /// The same, for other sources whose values are written so.
    #[must_use]
    pub fn reading(self, reading: Reading) -> Self {
        Self { reading: Arc::new(reading), ..self }
    }

    fn reading_of(&self, block: &Block) -> &Reading {
        self.readings.get(&*block.read_as).unwrap_or(&self.reading)
    }

    /// The schema of every batch it makes.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Decodes the blocks of a batch. Events later than `time_max` are rejected.
    #[must_use]
    pub fn decode(&self, blocks: &[Block], time_max: Option<Instant>) -> Decoded {
        let rows = blocks.iter().map(|block| block.records).sum();
        let bounds = TimeBounds { earliest: self.earliest, latest: time_max.unwrap_or(Instant::MAX) };
        let mut builder = RowBuilder::new(self, bounds, rows);
        if let [block] = blocks
            && let Payload::Table(table) = &block.payload
            && self.reading_of(block).map().is_none()
            && let Some(whole) =
                whole::decode(table, &self.schema, &self.currency, self.reading_of(block), bounds)
        {
            builder.start_block(block);
            return builder.whole(whole, block.first_record);
        }
        for block in blocks {
            builder.start_block(block);
            let reading = self.reading_of(block);
            if reading.is_debezium()
                && let Some(changes) = changes::ChangeMessages::of(block, reading.map().map(AsRef::as_ref))
            {
                match reading.map() {
                    Some(map) => {
                        changes.decode(mapped::objects((map, reading), &self.calendar), &mut builder);
                    }
                    None => changes.decode(json::Parser::default(), &mut builder),
                }
                continue;
            }
            if let Some(map) = reading.map() {
                mapped::decode((map, reading), &self.calendar, block, &mut builder);
                continue;
            }
            match &block.payload {
                Payload::JsonLines(bytes) => {
                    json::lines(bytes, block.first_record, &mut json::Parser::default(), &mut builder);
                }
                Payload::Messages { data, ends } => {
                    json::messages(data, ends, &mut json::Parser::default(), &mut builder);
                }
                Payload::Csv { header, rows, dialect } => {
                    let mut columns = csv::FieldColumns::new(header);
                    csv::rows(*dialect, header, rows, block.first_record, &mut columns, &mut builder);
                }
                Payload::Table(table) => table::rows(table, block.first_record, &mut builder),
                Payload::Rejected(rejects) => builder.rejects.extend(rejects.iter().cloned()),
            }
        }
        builder.finish()
    }
}
