//! A batch on its way through the sequencer.

use arrow::{
    array::{Array, AsArray, BooleanArray, PrimitiveArray, StringViewArray},
    compute::kernels::zip::zip,
    datatypes::TimestampMicrosecondType,
    record_batch::RecordBatch,
};

use super::{super::versions::ResolvedVersions, Sequenced, cuts::Cut};
use crate::{
    decode::Decoded,
    event::{Column, EventType, Instant},
    ledger::original::Original,
    stream::{Receipt, RejectReason},
};

/// The events of a batch, and what has become of those before the one that is judged.
pub(super) struct Sequencing {
    pub(super) decoded: Decoded,
    pub(super) resolved: ResolvedVersions,
    pub(super) event_ids: StringViewArray,
    /// The events that they name.
    names: StringViewArray,
    lines: StringViewArray,
    times: PrimitiveArray<TimestampMicrosecondType>,
    /// The partition of each block, as the watermark knows it.
    places: Vec<usize>,
    pub(super) now: Instant,
    /// Whether each event is accepted.
    pub(super) accepted: Vec<bool>,
    /// What windows are closed up to after each accepted event, in microseconds.
    pub(super) watermarks: Vec<i64>,
    pub(super) cuts: Vec<Cut>,
    /// The events that accepted ones name, by the places of those.
    pub(super) originals: Vec<(usize, Original)>,
    /// The payments of confirmations that name no line themselves.
    pub(super) cleared: Vec<(usize, Original)>,
    pub(super) receipts: Vec<Receipt>,
    pub(super) types_by_block: Vec<[u64; EventType::ALL.len()]>,
    pub(super) duplicates: u64,
    /// Events that the watermark had passed.
    pub(super) late: u64,
}

impl Sequencing {
    /// Before the first event.
    pub(super) fn new(
        decoded: Decoded,
        resolved: ResolvedVersions,
        places: Vec<usize>,
        now: Instant,
    ) -> Self {
        let text = |column: Column| decoded.events.column(column.index()).as_string_view().clone();
        let (rows, blocks) = (decoded.types.len(), places.len());
        Self {
            event_ids: text(Column::EventId),
            names: text(Column::OriginalEventId),
            lines: text(Column::BudgetLineId),
            times: decoded.events.column(Column::OccurredAt.index()).as_primitive().clone(),
            places,
            now,
            accepted: Vec::with_capacity(rows),
            watermarks: Vec::with_capacity(rows),
            cuts: Vec::new(),
            originals: Vec::new(),
            cleared: Vec::new(),
            receipts: vec![Receipt::default(); blocks],
            types_by_block: vec![[0; EventType::ALL.len()]; blocks],
            duplicates: 0,
            late: 0,
            decoded,
            resolved,
        }
    }

    /// When an event occurred.
    #[inline]
    pub(super) fn at(&self, row: usize) -> Instant {
        Instant::from_micros(self.times.value(row))
    }

    /// The partition that an event came from.
    #[inline]
    pub(super) fn place(&self, row: usize) -> usize {
        self.places[self.decoded.origins.block(row)]
    }

    /// The event that this one names, if it is asked for: by rules, for its type, or because a confirmation lacks its line.
    #[inline]
    pub(super) fn names(&self, row: usize, wanted: u16) -> Option<&str> {
        let asked =
            self.names.is_valid(row) && (self.clears(row) || wanted & self.decoded.types[row].bit() != 0);
        asked.then(|| self.names.value(row))
    }

    /// Whether this is a confirmation that has the line of its payment.
    #[inline]
    pub(super) fn clears(&self, row: usize) -> bool {
        self.decoded.types[row] == EventType::Confirmation && self.lines.is_null(row)
    }

    /// Counts an accepted event for its block.
    #[inline]
    pub(super) fn count(&mut self, row: usize) {
        let block = self.decoded.origins.block(row);
        self.receipts[block].accepted += u64::from(self.resolved.leads(row));
        self.types_by_block[block][self.decoded.types[row] as usize] += 1;
    }

    /// Counts one that is known already.
    pub(super) fn count_duplicate(&mut self, row: usize) {
        let leads = u64::from(self.resolved.leads(row));
        self.receipts[self.decoded.origins.block(row)].duplicates += leads;
        self.duplicates += leads;
    }

    /// Puts a record into quarantine.
    pub(super) fn reject(&mut self, row: usize, reason: RejectReason, detail: String) {
        self.decoded.rejects.push(self.decoded.origins.reject(row, reason, detail));
    }
}

/// Tells the events that name others, by their places among all accepted events, which ones those are.
pub(super) fn name(parts: &mut [Sequenced], originals: Vec<(usize, Original)>) {
    let mut originals = originals.into_iter().peekable();
    let mut before = 0;
    for part in parts {
        let end = before + part.types.len();
        let mut named = part.after.named.iter_mut();
        while let Some((place, original)) = originals.next_if(|(place, _)| *place < end) {
            if let Some(naming) = named.find(|naming| naming.row as usize == place - before) {
                naming.original = Some(original);
            }
        }
        before = end;
    }
}

/// The accepted events, with the line of the payment in those confirmations, by their places, that name none themselves. It
/// goes into the journal with the event, so nobody who reads it has to find the payment once more.
pub(super) fn on_lines_of_payments(events: RecordBatch, cleared: &[(usize, Original)]) -> RecordBatch {
    if cleared.is_empty() {
        return events;
    }
    let mut found = vec![None; events.num_rows()];
    cleared.iter().for_each(|(place, payment)| found[*place] = payment.line_of_payment());
    let at = Column::BudgetLineId.index();
    let is_found = found.iter().map(|line| Some(line.is_some())).collect::<BooleanArray>();
    let found: StringViewArray = found.into_iter().collect();
    let mut columns = events.columns().to_vec();
    columns[at] = zip(&is_found, &found, &columns[at]).expect("columns of one batch");
    RecordBatch::try_new(events.schema(), columns).expect("the columns of the batch")
}
