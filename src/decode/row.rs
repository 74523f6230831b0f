//! Checking one record against the data dictionary and appending it to the columns.

mod cell;
mod finish;
mod kind;

use std::{collections::BTreeMap, sync::Arc};

use arrow::{array::make_view, buffer::Buffer};
use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{
    Decoder, OriginBlock, OriginRow, Origins, Raw, Reading,
    columns::ColumnBuilders,
    fault::{Fault, Faults, absent_or_wrong, in_currency, missing, shorten, unknown_value, wrong_type},
    instant::Instants,
    reading::Left,
    text::{self, Shape},
    value::{amount, check_event_id, check_tags, number, text_of, year},
    versions::RowVersion,
};
use crate::{
    event::{
        Column, EventType, FieldKind, Instant, TypeSet, dress,
        schema::{EVENT_ID_CHARS, FIELDS, LINE_ATTRIBUTES, TextKind, id_hash},
        time::TimeBounds,
    },
    say,
    stream::{Block, Payload, Reject, RejectReason},
};

pub(crate) use cell::RawCell;
use kind::{check_action, event_type};

/// The bits of all event types.
const ALL_TYPES: TypeSet = {
    let (mut bits, mut at) = (0, 0);
    while at < EventType::ALL.len() {
        bits |= EventType::ALL[at].bit();
        at += 1;
    }
    bits
};
/// Characters of an unknown field's name that are remembered.
const NAME_CHARS: usize = 60;
/// Unknown field names remembered a batch; more are not told apart.
const UNKNOWN_FIELDS_MAX: usize = 256;

/// Appends checked records to columns.
pub(crate) struct RowBuilder<'c> {
    decoder: &'c Decoder,
    /// How the values of the current block are written.
    reading: &'c Reading,
    bounds: TimeBounds,
    columns: ColumnBuilders,
    types: Vec<EventType>,
    ids: Vec<u64>,
    contents: Vec<u64>,
    origins: Origins,
    /// Rows that get from their budget line what they lack of it.
    lookups: Vec<usize>,
    pub rejects: Vec<Reject>,
    /// Empty lines and rows of each block.
    skipped: Vec<u64>,
    unknown_fields: BTreeMap<String, u64>,
    versions: Vec<RowVersion>,
    /// The current block's address, length and buffer number.
    block: (usize, usize, u32),
    /// Unescaped text of this batch; it becomes the buffer numbered `side_buffer`.
    side: Vec<u8>,
    side_buffer: u32,
}

impl<'c> RowBuilder<'c> {
    pub(crate) fn new(decoder: &'c Decoder, bounds: TimeBounds, rows: usize) -> Self {
        let mut columns = ColumnBuilders::new(FIELDS, rows);
        // The side buffer's place is held from the start and filled at the end.
        let side_buffer = columns.add_buffer(Buffer::from(&[] as &[u8]));
        Self {
            decoder,
            reading: &decoder.reading,
            bounds,
            columns,
            types: Vec::with_capacity(rows),
            ids: Vec::with_capacity(rows),
            contents: Vec::with_capacity(rows),
            origins: Origins::default(),
            lookups: Vec::new(),
            rejects: Vec::new(),
            skipped: Vec::new(),
            unknown_fields: BTreeMap::new(),
            versions: Vec::new(),
            block: (0, 0, side_buffer),
            side: Vec::new(),
            side_buffer,
        }
    }

    /// The records that follow come from this block.
    pub(crate) fn start_block(&mut self, block: &Block) {
        self.reading = self.decoder.reading_of(block);
        let raw = match &block.payload {
            Payload::JsonLines(bytes) | Payload::Messages { data: bytes, .. } => Raw::Bytes(bytes.clone()),
            Payload::Csv { header, rows, dialect } => Raw::Csv(Arc::clone(header), rows.clone(), *dialect),
            Payload::Table(table) => Raw::Table(table.clone()),
            Payload::Rejected(_) => Raw::Bytes(Bytes::new()),
        };
        if let Raw::Bytes(bytes) | Raw::Csv(_, bytes, _) = &raw {
            let (address, length) = (bytes.as_ptr() as usize, bytes.len());
            self.block = (address, length, self.columns.add_buffer(Buffer::from(bytes.clone())));
        } else {
            self.block = (0, 0, self.side_buffer);
        }
        let (source, partition) = (block.read_as.clone(), block.partition.clone());
        self.origins.blocks.push(OriginBlock { source, partition, raw });
        self.skipped.push(0);
    }

    /// Counts lines or rows of the block that hold nothing.
    pub(crate) fn skip(&mut self, count: u64) {
        if let Some(skipped) = self.skipped.last_mut() {
            *skipped += count;
        }
    }

    /// Counts a field that the data dictionary does not know.
    pub(crate) fn unknown_field(&mut self, name: &str) {
        if let Some(count) = self.unknown_fields.get_mut(name) {
            *count += 1;
        } else if self.unknown_fields.len() < UNKNOWN_FIELDS_MAX {
            self.unknown_fields.insert(name.chars().take(NAME_CHARS).collect(), 1);
        }
    }

    /// Checks a record and appends it, or puts it among the rejects. `start..end` is its place in the block.
    pub(crate) fn row(&mut self, cells: &mut [RawCell<'_>], record: u64, start: usize, end: usize) {
        self.faulty_row(cells, Faults::default(), "", (record, start, end));
    }

    /// The same, of a record in which something is known to be wrong already; `place` says where it stands if its number
    /// does not.
    pub(crate) fn faulty_row(
        &mut self,
        cells: &mut [RawCell<'_>],
        faults: Faults,
        place: &str,
        (record, start, end): (u64, usize, usize),
    ) {
        let row = self.types.len();
        match self.append(cells, row, faults) {
            Ok((event_type, id, content)) => {
                if self.looks_up(event_type) {
                    self.lookups.push(row);
                }
                self.types.push(event_type);
                self.ids.push(id);
                self.contents.push(content);
                self.origins.rows.push(self.origin(record, start, end));
            }
            Err(faults) => {
                self.columns.truncate(row);
                let fault = self.told(faults, place);
                self.reject(fault, record, start, end);
            }
        }
    }

    /// Whether events of a type get from their budget line what they lack of it.
    fn looks_up(&self, event_type: EventType) -> bool {
        event_type.opens_lines() && self.reading.map().is_some_and(|map| map.looks_up)
    }

    /// All that is wrong with a record, and in which columns of its source.
    fn told(&self, faults: Faults, place: &str) -> Fault {
        let columns = faults.columns();
        let (reason, mut detail) = faults.told().unwrap_or_else(|| missing(Column::Type.index()));
        if let Some(map) = self.reading.map() {
            let named = |column: &usize| {
                let name = map.columns_of(*column)?;
                Some(say!("{field} is the column {name}", field = FIELDS[*column].name, name))
            };
            let names: Vec<_> = columns.iter().filter_map(named).collect();
            if !names.is_empty() {
                detail = say!("{detail} ({columns})", detail, columns = names.join(&say!("; ")));
            }
        }
        (reason, if place.is_empty() { detail } else { format!("{place}: {detail}") })
    }

    /// Puts a record among the rejects.
    pub(crate) fn reject(&mut self, (reason, detail): Fault, record: u64, start: usize, end: usize) {
        let origin = self.origin(record, start, end);
        self.origins.rows.push(origin);
        let reject = self.origins.reject(self.origins.rows.len() - 1, reason, detail);
        self.origins.rows.pop();
        self.rejects.push(reject);
    }

    /// Records accepted so far.
    pub(crate) fn len(&self) -> usize {
        self.types.len()
    }

    /// Notes a version of a record.
    pub(crate) fn version(&mut self, version: RowVersion) {
        self.versions.push(version);
    }

    /// The instant in a cell, if it is one.
    pub(crate) fn instant(&self, column: usize, cell: &RawCell<'_>) -> Option<Instant> {
        self.instants().read(column, cell).ok()
    }

    /// Whether an event can have this time.
    pub(crate) fn can_be(&self, at: Instant) -> bool {
        self.bounds.contain(at)
    }

    pub(crate) fn origin(&self, record: u64, start: usize, end: usize) -> OriginRow {
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        let block = place(self.origins.blocks.len() - 1);
        OriginRow { block, start: place(start), end: place(end), record }
    }

    fn append(
        &mut self,
        cells: &mut [RawCell<'_>],
        row: usize,
        mut faults: Faults,
    ) -> Result<(EventType, u64, u64), Faults> {
        let (reading, currency) = (self.reading, self.decoder.currency.code());
        let event_type = event_type(reading, &mut cells[Column::Type.index()]);
        // Of an event of no type only what every event has can be told.
        let bit = event_type.as_ref().map_or(0, |event_type| event_type.bit());
        let looks_up = event_type.as_ref().is_ok_and(|event_type| self.looks_up(*event_type));
        let by_line = |column: usize| looks_up && LINE_ATTRIBUTES.iter().any(|of| of.index() == column);
        let must = |required: TypeSet| if bit == 0 { required == ALL_TYPES } else { required & bit != 0 };
        let mut content = 0u64;
        for (column, (cell, field)) in cells.iter_mut().zip(FIELDS).enumerate() {
            let left = reading.undress(cell, field.kind);
            match cell {
                RawCell::Told => {}
                RawCell::Absent if must(field.required) && !by_line(column) => match left {
                    Left::Nothing => faults.emptied(column),
                    Left::Text(_) => faults.missing(column),
                },
                _ if field.on & bit == 0 => {
                    self.stated(column, bit, cell).unwrap_or_else(|fault| faults.add(column, fault));
                }
                RawCell::Absent if column == Column::Currency.index() => {
                    content = content.wrapping_add(self.text(column, row, currency));
                }
                RawCell::Absent => {}
                // What a faulty row has put into its columns is taken back, but for tags.
                _ if column == Column::TagList.index() && faults.any() => {}
                _ => match self.value(column, row, cell, left.shape()) {
                    Ok(hash) => content = content.wrapping_add(hash),
                    Err(fault) => faults.add(column, fault),
                },
            }
        }
        let event_type = match event_type {
            Ok(event_type) => event_type,
            Err(_) if matches!(cells[Column::Type.index()], RawCell::Absent) => {
                faults.missing(Column::Type.index());
                return Err(faults);
            }
            Err(fault) => {
                if !matches!(cells[Column::Type.index()], RawCell::Told) {
                    faults.add(Column::Type.index(), fault);
                }
                EventType::Payment
            }
        };
        if event_type == EventType::Budget {
            check_action(cells, &mut faults);
        }
        if faults.any() {
            return Err(faults);
        }
        let id = text_of(&cells[Column::EventId.index()]).unwrap_or_default();
        Ok((event_type, id_hash(id), content))
    }

    /// Appends one value, of this shape if it is text, and returns its share of the content hash.
    fn value(&mut self, column: usize, row: usize, cell: &RawCell<'_>, shape: Shape) -> Result<u64, Fault> {
        let hash = |value: i128| fold(value.cast_unsigned(), column as u64 + 1);
        if let RawCell::Inexact(shown) = cell {
            let shown = format!("{:?}", shorten(shown));
            return Err((RejectReason::Inexact, dress::lost_digits(FIELDS[column].name, &shown)));
        }
        match FIELDS[column].kind {
            FieldKind::Text(kind) => {
                let text = text_of(cell).ok_or_else(|| absent_or_wrong(column, cell))?;
                let text =
                    if self.reading.is_stored() { text } else { self.checked(column, kind, text, shape)? };
                Ok(self.text(column, row, text))
            }
            FieldKind::Choice(words) => {
                let text = text_of(cell).ok_or_else(|| absent_or_wrong(column, cell))?;
                if !words.contains(&text) {
                    return Err(unknown_value(column, text));
                }
                Ok(self.text(column, row, text))
            }
            FieldKind::Money => {
                let cents = amount(column, cell)?;
                self.columns.decimal(column, row, cents);
                Ok(hash(cents))
            }
            FieldKind::Number => {
                let millionths = number(column, cell)?;
                self.columns.decimal(column, row, millionths);
                Ok(hash(millionths))
            }
            FieldKind::Time => {
                let at = self.instants().read(column, cell)?;
                self.columns.time(column, row, at);
                Ok(hash(at.as_micros().into()))
            }
            FieldKind::Year => {
                let year = year(column, cell)?;
                self.columns.year(column, row, year);
                Ok(hash(year.into()))
            }
            FieldKind::Tags => {
                let RawCell::List(tags) = cell else {
                    return Err(wrong_type(column, cell, "a list of strings"));
                };
                if !self.reading.is_stored() {
                    check_tags(column, tags)?;
                }
                self.columns.tags(column, row, tags.iter().map(AsRef::as_ref));
                Ok(tags.iter().fold(1, |h, tag| xxh3_64_with_seed(tag.as_bytes(), h)))
            }
        }
    }

    fn instants(&self) -> Instants<'_> {
        Instants { calendar: &self.decoder.calendar, reading: self.reading, bounds: self.bounds }
    }

    fn text(&mut self, column: usize, row: usize, text: &str) -> u64 {
        let (address, length, buffer) = self.block;
        let offset = (text.as_ptr() as usize).wrapping_sub(address);
        let inside = offset < length && text.len() <= length - offset;
        let (buffer, offset) = if inside || text.len() <= 12 {
            (buffer, if inside { offset } else { 0 })
        } else {
            self.side.extend_from_slice(text.as_bytes());
            (self.side_buffer, self.side.len() - text.len())
        };
        let offset = u32::try_from(offset).unwrap_or(u32::MAX);
        let view = make_view(text.as_bytes(), buffer, offset);
        self.columns.text(column, row, view);
        let seed = column as u64 + 1;
        // A short text is whole in its view, which is in a register already.
        if text.len() <= 12 { fold(view, seed) } else { xxh3_64_with_seed(text.as_bytes(), seed) }
    }

    /// A text that its field can have, as the event has it.
    #[inline]
    fn checked<'t>(
        &self,
        column: usize,
        kind: TextKind,
        text: &'t str,
        shape: Shape,
    ) -> Result<&'t str, Fault>
    where
        'c: 't,
    {
        if column == Column::EventId.index() && text.len() > EVENT_ID_CHARS {
            check_event_id(text)?;
        }
        text::check(FIELDS[column].name, kind, text, shape)?;
        if column == Column::Currency.index() { in_currency(text, &self.decoder.currency) } else { Ok(text) }
    }
}

/// A hash of 16 bytes: two multiplications to the full 128 bits, folded (the mixing step of wyhash and xxh3).
pub(crate) fn fold(value: u128, seed: u64) -> u64 {
    let mix = |a: u64, b: u64| {
        let product = u128::from(a) * u128::from(b);
        (product as u64) ^ ((product >> 64) as u64)
    };
    let (low, high) = (value as u64, (value >> 64) as u64);
    let first = mix(low ^ 0x9E37_79B9_7F4A_7C15, high ^ seed.wrapping_mul(0xD6E8_FEB8_6659_FD93));
    mix(first ^ seed, 0xA076_1D64_78BD_642F)
}
