//! Events of the journal by what people know of them: a payee, the end of an account, an amount, a word of the purpose.
//! The journal is looked through from its end towards its beginning, a stretch at a time, until a page is full or the time
//! is over; so a page of yesterday costs a day of the journal and no more.

use std::{cmp::Reverse, collections::BTreeSet, path::Path, time::Duration};

use arrow::{
    array::{Array, AsArray, StringViewArray},
    datatypes::{Decimal128Type, SchemaRef, TimestampMicrosecondType},
    record_batch::RecordBatch,
};

use super::{JournalView, ReadOrder, Select, StoreError, explain, recover::LATEST};
use crate::event::{Cents, Column, Instant, TimeDelta, TypeSet, pattern::CodePattern};

/// The first stretch that is looked through, and the longest.
const DAY: TimeDelta = TimeDelta::DAY;
const STRETCH_MAX: TimeDelta = TimeDelta::days(64);
/// Characters of an account that masks leave.
pub(super) const SHOWN: usize = 4;

/// Which events are sought.
#[derive(Debug, Clone, Default)]
pub struct Sought {
    /// Of these types; all without.
    pub types: Option<TypeSet>,
    /// Not before this time.
    pub from: Option<Instant>,
    /// Before this time.
    pub to: Option<Instant>,
    /// A column is one of these words; one that ends with `*` means all that begin so.
    pub codes: Vec<(Column, Vec<String>)>,
    /// One of some columns has this text in it, whatever its case.
    pub texts: Vec<(Vec<Column>, String)>,
    /// One of some columns ends with this; or is this, where it has more characters than masks leave: otherwise what is
    /// masked could be guessed digit by digit.
    pub ends: Vec<(Vec<Column>, String)>,
    /// Cents, at least and at most.
    pub amount: (Option<Cents>, Option<Cents>),
    /// Only what comes after this event in the list: its time and its id.
    pub before: Option<(Instant, String)>,
}

/// A page of the events that were found.
#[derive(Debug, Default)]
pub struct FoundEvents {
    /// The latest first; one row each, with all columns.
    pub events: Vec<RecordBatch>,
    /// The time and id of the last of them, or where the search stopped; `None` if nothing is left.
    pub next: Option<(Instant, String)>,
    /// How far back was looked.
    pub searched_from: Instant,
}

impl Sought {
    /// The columns that are looked at, and those that tell an event.
    fn columns(&self) -> Vec<Column> {
        let codes = self.codes.iter().map(|(column, _)| *column);
        let texts = self.texts.iter().chain(&self.ends).flat_map(|(columns, _)| columns.iter().copied());
        let mut all: Vec<Column> = codes.chain(texts).collect();
        all.extend([Column::EventId, Column::OccurredAt, Column::Amount]);
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Looks for a page of events, as long as there is time.
    ///
    /// # Errors
    /// If the state cannot be read, or is damaged.
    pub fn find(
        &self,
        dir: &Path,
        schema: &SchemaRef,
        limit: usize,
        time: Duration,
    ) -> Result<FoundEvents, StoreError> {
        let (history, begun) = (JournalView::open(dir, schema)?, std::time::Instant::now());
        let (earliest, latest) = history.span()?;
        let from = self.from.unwrap_or(Instant::MIN).max(earliest);
        let mut end = self.to.unwrap_or(Instant::MAX).min(latest.saturating_add(TimeDelta::MICROSECOND));
        if let Some((at, _)) = &self.before {
            end = end.min(at.saturating_add(TimeDelta::MICROSECOND));
        }
        let mut found = BTreeSet::new();
        let mut stretch = DAY;
        while end > from && found.len() <= limit && begun.elapsed() < time {
            let start = from.max(end.saturating_sub(stretch));
            let started = std::time::Instant::now();
            self.look(&history, (start, end), limit, &mut found)?;
            end = start;
            // Where little is found in little time, the next stretch is longer.
            if started.elapsed() < time / 20 {
                stretch = (stretch * 2).min(STRETCH_MAX);
            }
        }
        let is_more = found.len() > limit;
        let mut page: Vec<(Instant, String)> = found.into_iter().map(|Reverse(place)| place).collect();
        page.truncate(limit);
        let next = match (is_more, end > from) {
            (true, _) => page.last().cloned(),
            // The time is over: the search goes on before this stretch.
            (false, true) => Some((end, String::new())),
            (false, false) => None,
        };
        Ok(FoundEvents { events: whole(&history, &page)?, next, searched_from: end.max(from) })
    }

    /// Looks through one stretch, and keeps the latest events, one more than a page has.
    fn look(
        &self,
        history: &JournalView,
        (from, to): (Instant, Instant),
        limit: usize,
        found: &mut BTreeSet<Reverse<(Instant, String)>>,
    ) -> Result<(), StoreError> {
        let select = Select { from: Some(from), to: Some(to), types: self.types, ..Select::default() };
        let columns = self.columns();
        let places: Vec<usize> = columns.iter().map(|column| column.index()).collect();
        for batch in history.scan(&select, Some(&places), ReadOrder::Any)? {
            let batch = batch?;
            let row = Rows::new(&batch, &columns);
            for at in 0..batch.num_rows() {
                if !self.is_sought(&row, at) {
                    continue;
                }
                let place = (
                    Instant::from_micros(row.times[at]),
                    row.text(Column::EventId, at).unwrap_or_default().to_owned(),
                );
                if self.before.as_ref().is_none_or(|before| place < *before) {
                    found.insert(Reverse(place));
                }
                if found.len() > limit + 1 {
                    found.pop_last();
                }
            }
        }
        Ok(())
    }

    fn is_sought(&self, rows: &Rows<'_>, at: usize) -> bool {
        let (least, most) = self.amount;
        let is_amount = (least.is_none() && most.is_none())
            || rows.cents(at).is_some_and(|cents| {
                least.is_none_or(|least| cents >= least) && most.is_none_or(|most| cents <= most)
            });
        is_amount
            && self.codes.iter().all(|(column, words)| {
                rows.text(*column, at)
                    .is_some_and(|code| words.iter().any(|word| CodePattern::of(word).matches(code)))
            })
            && self.texts.iter().all(|(columns, text)| {
                columns.iter().any(|column| rows.text(*column, at).is_some_and(|own| has(own, text)))
            })
            && self.ends.iter().all(|(columns, end)| {
                let fits = |own: &str| match end.chars().count() > SHOWN {
                    true => own == end,
                    false => own.ends_with(end),
                };
                columns.iter().any(|column| rows.text(*column, at).is_some_and(fits))
            })
    }
}

/// Whether a text has another in it, which is in lower case.
fn has(own: &str, text: &str) -> bool {
    own.contains(text) || own.to_lowercase().contains(text)
}

/// Columns of a batch by their names; one that was not asked for has no values.
pub(super) struct Rows<'b> {
    texts: Vec<(Column, &'b StringViewArray)>,
    pub(super) times: &'b [i64],
    amounts: Option<&'b arrow::array::Decimal128Array>,
}

impl<'b> Rows<'b> {
    pub(super) fn new(batch: &'b RecordBatch, columns: &[Column]) -> Self {
        let column = |column: Column| batch.column_by_name(column.spec().name);
        let texts = columns.iter().filter_map(|name| Some((*name, column(*name)?.as_string_view_opt()?)));
        let times = column(Column::OccurredAt).and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>());
        Self {
            texts: texts.collect(),
            times: times.map_or(&[][..], |times| times.values()),
            amounts: column(Column::Amount).and_then(|c| c.as_primitive_opt::<Decimal128Type>()),
        }
    }

    pub(super) fn text(&self, column: Column, row: usize) -> Option<&'b str> {
        let (_, array) = self.texts.iter().find(|(known, _)| *known == column)?;
        array.is_valid(row).then(|| array.value(row))
    }

    pub(super) fn cents(&self, row: usize) -> Option<Cents> {
        self.amounts.filter(|amounts| amounts.is_valid(row)).map(|amounts| Cents::new(amounts.value(row)))
    }
}

/// The time and the id of an event, by which lists are sorted.
#[must_use]
pub fn place_of(event: &RecordBatch) -> (Instant, String) {
    let rows = Rows::new(event, &[Column::EventId]);
    let at = rows.times.first().copied().unwrap_or_default();
    (Instant::from_micros(at), rows.text(Column::EventId, 0).unwrap_or_default().to_owned())
}

/// Whole events by their places, in this order.
fn whole(history: &JournalView, page: &[(Instant, String)]) -> Result<Vec<RecordBatch>, StoreError> {
    let times = page.iter().map(|(at, _)| *at);
    let (Some(first), Some(last)) = (times.clone().min(), times.max()) else { return Ok(Vec::new()) };
    let select = Select {
        from: Some(first),
        to: Some(last.saturating_add(TimeDelta::MICROSECOND)),
        ..Select::default()
    };
    let mut events: Vec<Option<RecordBatch>> = vec![None; page.len()];
    for batch in history.scan(&select, None, ReadOrder::Any)? {
        let batch = batch?;
        let rows = Rows::new(&batch, &[Column::EventId]);
        for row in 0..batch.num_rows() {
            let id = rows.text(Column::EventId, row).unwrap_or_default();
            let at = rows.times[row];
            // The latest stands first.
            let place = page
                .binary_search_by(|(own_at, own_id)| (at, id).cmp(&((*own_at).as_micros(), own_id.as_str())));
            if let Ok(place) = place {
                events[place] = Some(batch.slice(row, 1));
            }
        }
    }
    Ok(events.into_iter().flatten().collect())
}

impl JournalView {
    /// The times of the first and the last event; without events, nothing is between them.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn span(&self) -> Result<(Instant, Instant), StoreError> {
        let connection = self.snapshot.connection();
        let number = |sql: &str| {
            let read = connection.query_row(sql, [], |row| row.get::<_, Option<i64>>(0));
            read.map_err(|error| explain(&self.snapshot.dir, error))
        };
        let (first, last) = (number(super::recover::EARLIEST)?, number(LATEST)?);
        Ok((Instant::from_micros(first.unwrap_or(0)), Instant::from_micros(last.unwrap_or(-1))))
    }
}
