//! Records of other systems into events, as a [`Map`] says. What an event must be is checked where all events are; here
//! a value only changes how it is written.

mod json;
mod rows;
mod table;
mod versions;

use std::{borrow::Cow, sync::LazyLock};

use jiff::tz::TimeZone;
use memchr::memmem::Finder;

use super::{
    csv,
    fault::{Fault, Faults, shorten, unknown_value},
    json as plain_json,
    reading::Reading,
    row::{RawCell, RowBuilder},
    value::text_of,
};
use crate::{
    event::{
        Column, FieldKind,
        dress::{is_scientific, squeezed},
        schema::{FIELDS, TextKind},
        stamp::{Stamp, local_time},
        time::Calendar,
    },
    map::{Field, Map, Values, plain_number},
    say,
    stream::{Block, Payload, RejectReason},
    text::quoted,
};

/// What is read as a code loses its dress.
const CODE: FieldKind = FieldKind::Text(TextKind::Code);

/// Decodes a block whose records become events by a map.
pub(crate) fn decode<'a>(
    (map, reading): (&'a Map, &'a Reading),
    calendar: &'a Calendar,
    block: &'a Block,
    rows: &mut RowBuilder<'_>,
) {
    let apply = Apply { map, reading, calendar, id: String::new() };
    let first = block.first_record;
    match &block.payload {
        Payload::JsonLines(bytes) => plain_json::lines(bytes, first, &mut json::Objects::new(apply), rows),
        Payload::Messages { data, ends } => {
            plain_json::messages(data, ends, &mut json::Objects::new(apply), rows);
        }
        Payload::Csv { header, rows: bytes, dialect } => {
            csv::rows(*dialect, header, bytes, first, &mut rows::MappedRows::new(apply, header), rows);
        }
        Payload::Table(table) => table::rows(apply, table, first, rows),
        Payload::Rejected(rejects) => rows.rejects.extend(rejects.iter().cloned()),
    }
}

/// What decodes objects whose values become events by a map.
pub(crate) fn objects<'a>(
    (map, reading): (&'a Map, &'a Reading),
    calendar: &'a Calendar,
) -> impl plain_json::RecordConsumer<'a> {
    json::Objects::new(Apply { map, reading, calendar, id: String::new() })
}

/// The cells of an event.
type Cells<'a> = [RawCell<'a>; Column::COUNT];

const NO_CELLS: [RawCell<'static>; Column::COUNT] = [const { RawCell::Absent }; Column::COUNT];

/// A record as its source has it.
trait Row<'a> {
    /// What stands in a column of the map.
    fn cell(&self, slot: usize) -> RawCell<'a>;
    /// The first value that stands there at all.
    fn first(&self) -> Cow<'_, str>;
    /// Whether some value may have lost characters when it was decoded.
    fn is_suspect(&self) -> bool;
}

/// A map at work on the records of a block.
struct Apply<'a> {
    map: &'a Map,
    reading: &'a Reading,
    calendar: &'a Calendar,
    /// Where ids of several columns are put together.
    id: String,
}

/// The values of a row without what is around them, for conditions.
struct Bare<'r, 'a, R> {
    row: &'r R,
    apply: &'r Apply<'a>,
}

impl<'a, R: Row<'a>> Values for Bare<'_, 'a, R> {
    fn value(&self, slot: usize) -> Option<Cow<'_, str>> {
        match self.apply.bare(self.row.cell(slot)) {
            RawCell::Text(text) | RawCell::Number(text) => Some(Cow::Borrowed(text)),
            RawCell::Owned(text) | RawCell::Inexact(text) => Some(Cow::Owned(text)),
            RawCell::Cents(cents) => Some(Cow::Owned(crate::event::money::format_cents(cents))),
            _ => None,
        }
    }
}

impl<'a> Apply<'a> {
    /// Appends the event of a row, rejects it, or skips it if it is none.
    fn row(
        &mut self,
        row: &impl Row<'a>,
        place: &str,
        (record, start, end): (u64, usize, usize),
        rows: &mut RowBuilder<'_>,
    ) {
        // A word that is damaged must not decide what the row is.
        if let Some(fault) = self.damage(row) {
            return rows.reject(placed(place, fault), record, start, end);
        }
        if self.is_total(row) {
            return rows.skip(1);
        }
        let (mut faults, upsert) = (Faults::default(), self.map.upsert.as_ref());
        let at = (record, start, end);
        if let Some(upsert) = upsert.filter(|_| self.is_deleted(row)) {
            return self.void(upsert, row, place, at, rows);
        }
        if let Some(when) = &self.map.when {
            match when.holds(&Bare { row, apply: self }) {
                Ok(Some(true)) => {}
                Ok(_) => match upsert {
                    Some(upsert) => return self.void(upsert, row, place, at, rows),
                    None => return rows.skip(1),
                },
                Err(no_number) => {
                    let (name, found) = (&self.map.slots.names()[no_number.slot], shorten(&no_number.found));
                    let detail =
                        say!("{name} {found} is no number, as `when` asks", name, found = quoted(&found));
                    return rows.reject(placed(place, (RejectReason::WrongType, detail)), record, start, end);
                }
            }
        }
        let mut cells: Cells<'a> = NO_CELLS;
        self.event(row, &mut cells, &mut faults);
        match upsert {
            Some(upsert) => self.version((upsert, row), &mut cells, faults, (place, at), rows),
            None => rows.faulty_row(&mut cells, faults, place, at),
        }
        if let RawCell::Owned(id) = std::mem::take(&mut cells[Column::EventId.index()]) {
            self.id = id;
        }
    }

    /// A column of the map that has lost characters.
    fn damage(&self, row: &impl Row<'a>) -> Option<Fault> {
        if !row.is_suspect() {
            return None;
        }
        let mut names = self.map.slots.names().iter().enumerate();
        names.find_map(|(slot, name)| lost(name, text_of(&row.cell(slot))?))
    }

    /// A row of totals has no id, or the word stands where it would.
    fn is_total(&self, row: &impl Row<'a>) -> bool {
        let first = row.first();
        if !self.map.is_total(&first) {
            return false;
        }
        let event_id = Column::EventId.index();
        let field =
            self.map.fields.iter().find(|field| field.column == event_id).and_then(|field| field.slot);
        let mut id = self.map.id.iter().copied().chain(field);
        id.all(|slot| match self.bare(row.cell(slot)) {
            RawCell::Absent => true,
            cell => text_of(&cell).is_some_and(|text| squeezed(text) == squeezed(&first)),
        })
    }

    fn bare(&self, mut cell: RawCell<'a>) -> RawCell<'a> {
        self.reading.undress(&mut cell, CODE);
        cell
    }

    fn event(&mut self, row: &impl Row<'a>, cells: &mut Cells<'a>, faults: &mut Faults) {
        let mut negative = None;
        for field in &self.map.fields {
            let cell = field.slot.map_or(RawCell::Absent, |slot| row.cell(slot));
            cells[field.column] = match self.value(field, cell, &mut negative) {
                Ok(cell) => cell,
                Err(fault) => {
                    faults.add(field.column, fault);
                    RawCell::Told
                }
            };
        }
        if !self.map.id.is_empty() {
            cells[Column::EventId.index()] = self.joined(row).unwrap_or_else(|fault| {
                faults.add(Column::EventId.index(), fault);
                RawCell::Told
            });
        }
        if let Some((column, shown)) = negative {
            self.turn_back(cells, faults, column, &shown);
        }
    }

    /// A payment below zero is a refund, if the map says so.
    fn turn_back(&self, cells: &mut Cells<'a>, faults: &mut Faults, column: usize, shown: &str) {
        let event_type = &mut cells[Column::Type.index()];
        if self.map.money.refunds && text_of(event_type) == Some("payment") {
            *event_type = RawCell::Text("refund");
            return;
        }
        let (name, shown) = (FIELDS[column].name, quoted(&shorten(shown)));
        let detail = if self.map.money.refunds {
            say!("{name} {shown} is below zero, and only a payment can be turned into a refund", name, shown)
        } else {
            say!(
                "{name} {shown} is below zero; if it is a refund, write `negative: refund` below `money`",
                name,
                shown
            )
        };
        faults.add(column, (RejectReason::BadAmount, detail));
        cells[column] = RawCell::Told;
    }

    /// The id that several columns make.
    fn joined(&mut self, row: &impl Row<'a>) -> Result<RawCell<'a>, Fault> {
        let mut id = std::mem::take(&mut self.id);
        id.clear();
        for slot in &self.map.id {
            let cell = self.bare(row.cell(*slot));
            let part = match &cell {
                RawCell::Text(text) | RawCell::Number(text) => *text,
                RawCell::Owned(text) => text,
                _ => {
                    let name = quoted(&self.map.slots.names()[*slot]);
                    let detail = say!("{name} is missing, which is part of event_id", name);
                    return Err((RejectReason::MissingField, detail));
                }
            };
            if !id.is_empty() {
                id.push('-');
            }
            id.push_str(part);
        }
        Ok(RawCell::Owned(id))
    }

    /// A value as events have it.
    fn value(
        &self,
        field: &'a Field,
        cell: RawCell<'a>,
        negative: &mut Option<(usize, String)>,
    ) -> Result<RawCell<'a>, Fault> {
        let kind = FIELDS[field.column].kind;
        let is_text = matches!(kind, FieldKind::Text(_) | FieldKind::Choice(_));
        let cell =
            if is_text && field.constant.is_none() && field.words.is_none() { cell } else { self.bare(cell) };
        if matches!(cell, RawCell::Absent) {
            return Ok(field.constant.as_deref().map_or(RawCell::Absent, RawCell::text));
        }
        let cell = match (&field.words, &cell) {
            (Some(words), RawCell::Text(text) | RawCell::Number(text)) => {
                words.value(text).map_or(cell, RawCell::Text)
            }
            (Some(words), RawCell::Owned(text)) => words.value(text).map_or(cell, RawCell::Text),
            _ => cell,
        };
        match kind {
            FieldKind::Choice(known) => chosen(field, known, cell),
            FieldKind::Text(_) => {
                // A code that JSON has as a number keeps its digits.
                Ok(if let RawCell::Number(text) = cell { RawCell::Text(text) } else { cell })
            }
            FieldKind::Money => self.amount(field.column, cell, negative),
            FieldKind::Time => self.time(field.column, cell),
            FieldKind::Year => Ok(match cell {
                RawCell::Text(text) => RawCell::Text(year(text)),
                RawCell::Owned(text) => RawCell::Owned(year(&text).to_owned()),
                cell => cell,
            }),
            FieldKind::Tags => Ok(match cell {
                RawCell::Text(text) => csv::tags(text),
                RawCell::Owned(text) => {
                    RawCell::List(text.split(';').map(|tag| Cow::Owned(tag.trim().to_owned())).collect())
                }
                cell => cell,
            }),
            FieldKind::Number => Ok(cell),
        }
    }

    fn amount(
        &self,
        column: usize,
        cell: RawCell<'a>,
        negative: &mut Option<(usize, String)>,
    ) -> Result<RawCell<'a>, Fault> {
        let text = match &cell {
            // In JSON an exponent is a way of writing numbers.
            RawCell::Number(n) if self.map.money.is_plain() && n.contains(['e', 'E']) => return Ok(cell),
            RawCell::Number(n) => &*plain_number(n),
            RawCell::Text(text) => *text,
            RawCell::Owned(text) => text.as_str(),
            _ => return Ok(cell),
        };
        if is_scientific(text) {
            return Ok(RawCell::Inexact(text.to_owned()));
        }
        match self.map.money.read(text) {
            Ok(amount) => {
                if amount.negative {
                    *negative = Some((column, text.to_owned()));
                }
                Ok(RawCell::Cents(amount.cents))
            }
            Err(why) => {
                let detail = format!("{} {:?}: {why}", FIELDS[column].name, shorten(text));
                Err((RejectReason::BadAmount, detail))
            }
        }
    }

    fn time(&self, column: usize, cell: RawCell<'a>) -> Result<RawCell<'a>, Fault> {
        let dates = &self.map.dates;
        let text = match &cell {
            RawCell::Text(text) | RawCell::Number(text) => *text,
            RawCell::Owned(text) => text.as_str(),
            _ => return Ok(cell),
        };
        if dates.is_empty() {
            return Ok(cell);
        }
        let name = FIELDS[column].name;
        match dates.read(text) {
            Some(Stamp::Instant(at)) => return Ok(RawCell::Micros(at.as_micros())),
            Some(Stamp::Local(time)) => {
                let shown = TimeZone::UTC.to_timestamp(time).map(|at| RawCell::Local(at.as_microsecond()));
                return Ok(shown.unwrap_or(cell));
            }
            Some(Stamp::Day(day)) => {
                let start = self.calendar.start_of_day(day).map(|at| RawCell::Micros(at.as_micros()));
                return start
                    .map_err(|why| (RejectReason::BadTime, format!("{name} {:?}: {why}", shorten(text))));
            }
            None => {}
        }
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        // A time without an offset is one where a zone is stated, and is told by the want of that where none is.
        let is_time = || local_time(text).is_some() || self.calendar.parse(text).is_ok();
        let usual = if is_number { self.map.times.is_some() } else { is_time() };
        if usual || is_scientific(text) {
            return Ok(cell);
        }
        let formats = dates.told();
        let detail = say!(
            "{name} {value}: none of the formats {formats} reads it",
            name,
            value = quoted(&shorten(text)),
            formats
        );
        Err((RejectReason::BadTime, detail))
    }
}

/// A word out of a closed set.
fn chosen<'a>(field: &Field, known: &[&str], cell: RawCell<'a>) -> Result<RawCell<'a>, Fault> {
    let text = match &cell {
        RawCell::Text(text) | RawCell::Number(text) => *text,
        RawCell::Owned(text) => text.as_str(),
        _ => return Ok(cell),
    };
    match &field.words {
        Some(words) if !known.contains(&text) => {
            let (reason, detail) = unknown_value(field.column, text);
            let words = words.told();
            Err((reason, say!("{detail}, and not among the words of the map: {words}", detail, words)))
        }
        _ => Ok(if let RawCell::Number(text) = cell { RawCell::Text(text) } else { cell }),
    }
}

/// Whether there is the mark of a lost character.
fn has_mark(text: &[u8]) -> bool {
    static MARK: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\u{fffd}"));
    MARK.find(text).is_some()
}

/// That characters of a text were lost when it was decoded, if they were.
fn lost(name: &str, text: &str) -> Option<Fault> {
    text.contains(char::REPLACEMENT_CHARACTER).then(|| {
        let text = quoted(&shorten(text));
        (
            RejectReason::NotUtf8,
            say!("{name} {text} has bytes that are not in the encoding of the file", name, text),
        )
    })
}

/// A fault with where its record stands, if its number does not say it.
fn placed(place: &str, (reason, detail): Fault) -> Fault {
    (reason, if place.is_empty() { detail } else { format!("{place}: {detail}") })
}

/// A year without the word for it.
fn year(text: &str) -> &str {
    text.trim_end_matches('度').trim_end_matches('年').trim_end()
}
