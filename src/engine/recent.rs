//! The events of the latest batches, kept to say in which fields a conflict differs. An older event is known by a hash
//! only, which tells that something differs and not what.

use std::{collections::VecDeque, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, StringViewArray},
    record_batch::RecordBatch,
};

use crate::{
    event::{Column, schema::FIELDS},
    say,
};

/// Large batches that are kept; they hold on to the buffers that their texts lie in.
const LARGE: usize = 4;
/// A batch of so many rows is large. Smaller ones are copied, so that they hold on to nothing else.
const LARGE_ROWS: usize = 1024;
/// Rows that are kept at most, and bytes of copies.
const ROWS: usize = 1 << 16;
const BYTES: usize = 32 << 20;
/// Conflicts of a batch that are looked into; a flood of them must not hold the stream.
const LOOKS: usize = 32;

#[derive(Debug, Default)]
pub(crate) struct Recent {
    /// The events, and the bytes of a copy.
    batches: VecDeque<(RecordBatch, usize)>,
    rows: usize,
    bytes: usize,
    large: usize,
    looks: usize,
}

impl Recent {
    /// Takes the accepted events of a batch, and lets go of the oldest.
    pub(crate) fn keep(&mut self, events: &RecordBatch) {
        self.looks = 0;
        if events.num_rows() == 0 || events.num_rows() > ROWS {
            return;
        }
        let is_large = events.num_rows() >= LARGE_ROWS;
        let events = if is_large { events.clone() } else { copied(events) };
        let bytes = if is_large { 0 } else { events.get_array_memory_size() };
        self.rows += events.num_rows();
        self.bytes += bytes;
        self.large += usize::from(is_large);
        self.batches.push_back((events, bytes));
        while self.large > LARGE || self.rows > ROWS || self.bytes > BYTES {
            let Some((oldest, bytes)) = self.batches.pop_front() else { return };
            self.rows -= oldest.num_rows();
            self.bytes -= bytes;
            self.large -= usize::from(oldest.num_rows() >= LARGE_ROWS);
        }
    }

    /// What is said of a conflict: `row` of `batch` has the id of another event, perhaps one of those before it in the
    /// batch that were `accepted`.
    pub(crate) fn conflict(&mut self, batch: &RecordBatch, row: usize, accepted: &[bool]) -> String {
        self.looks += 1;
        let fields = if self.looks > LOOKS { Vec::new() } else { self.differing(batch, row, accepted) };
        match &fields[..] {
            [] => say!("the event_id is known with other content"),
            [field] => say!("the event_id is known with other content: {field} differs", field),
            fields => {
                say!("the event_id is known with other content: {fields} differ", fields = fields.join(", "))
            }
        }
    }

    fn differing(&self, batch: &RecordBatch, row: usize, accepted: &[bool]) -> Vec<&'static str> {
        let id = ids(batch).value(row);
        let among = |events: &RecordBatch| ids(events).iter().rposition(|other| other == Some(id));
        let before = (0..row).rev().find(|at| accepted[*at] && ids(batch).value(*at) == id);
        if let Some(first) = before {
            return differences((batch, row), (batch, first));
        }
        let mut kept = self.batches.iter().rev().map(|(events, _)| events);
        let first = kept.find_map(|events| Some((events, among(events)?)));
        first.map_or_else(Vec::new, |first| differences((batch, row), first))
    }
}

/// A copy whose texts lie in buffers of their own.
fn copied(events: &RecordBatch) -> RecordBatch {
    let compact = |column: &ArrayRef| match column.as_string_view_opt() {
        Some(texts) => Arc::new(texts.gc()) as ArrayRef,
        None => Arc::clone(column),
    };
    let columns = events.columns().iter().map(compact).collect();
    RecordBatch::try_new(events.schema(), columns).unwrap_or_else(|_| events.clone())
}

fn ids(events: &RecordBatch) -> &StringViewArray {
    events.column(Column::EventId.index()).as_string_view()
}

/// The fields in which two events differ.
fn differences(a: (&RecordBatch, usize), b: (&RecordBatch, usize)) -> Vec<&'static str> {
    let value = |(events, row): (&RecordBatch, usize), column: usize| events.column(column).slice(row, 1);
    let differs = |column: &usize| {
        let (a, b) = (value(a, *column), value(b, *column));
        a.as_ref() as &dyn Array != b.as_ref() as &dyn Array
    };
    (0..FIELDS.len()).filter(differs).map(|column| FIELDS[column].name).collect()
}
