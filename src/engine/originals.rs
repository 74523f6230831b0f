//! The events that others name: the payments of refunds, corrections and confirmations, and applications. The latest are at
//! hand; older ones are looked up in the journal. What is found is the same either way, and only what came before counts.
//!
//! What is older than events are kept for is not found even where it is still at hand: a daemon that has run for months
//! books a late confirmation as one does that has just started, and as a backtest.

use std::{collections::VecDeque, sync::Arc};

use arrow::{
    array::{ArrayRef, AsArray, RecordBatch, UInt32Array},
    compute::{cast, take},
    datatypes::{DataType, Field, Schema},
};
use hashbrown::HashMap;

use super::{
    dedup::Dedup,
    ports::{Journal, PortError},
};
use crate::{
    event::{Column, EventType, TimeDelta},
    ledger::original::{LINE_FIELDS, ORIGINAL_FIELDS, Original, TAKEN_BACK},
};

/// Payments and applications at hand. Those that are not committed yet stay, whatever their number.
const AT_HAND: usize = 1 << 18;

/// The events that others may name.
#[derive(Debug, Default)]
pub struct Originals {
    batches: VecDeque<Kept>,
    /// The number of the first of them.
    first: u32,
    /// The batch and row of each event, by the hash of its id.
    places: HashMap<u64, (u32, u32)>,
    /// The batch that is being sequenced, and the rows of it that are kept.
    present: Option<Arc<RecordBatch>>,
    ids: Vec<u64>,
    rows: Vec<u32>,
    /// Finds what is not at hand; without it, everything is.
    journal: Option<Box<dyn Journal>>,
    /// The last journal block that it can find events of.
    committed: i64,
    /// Events so much older than the latest one are not found.
    retain: Option<TimeDelta>,
}

#[derive(Debug)]
struct Kept {
    events: Arc<RecordBatch>,
    ids: Vec<u64>,
    /// The last journal block that has some of them.
    block: i64,
}

impl Originals {
    /// Keeps only the latest events, since the others are found in the journal.
    #[must_use]
    pub fn in_journal(journal: impl Journal + 'static) -> Self {
        Self { journal: Some(Box::new(journal)), ..Self::default() }
    }

    /// Finds nothing that is older than events are kept for.
    #[must_use]
    pub fn within(self, retain: Option<TimeDelta>) -> Self {
        Self { retain, ..self }
    }

    /// Begins a batch; `wanted` says whether any rule asks for originals.
    pub fn begin(&mut self, events: &RecordBatch, wanted: bool) {
        // Without a journal there are never other rules, and then the ledger asks only for the lines of payments.
        let fields = if wanted || self.journal.is_some() { ORIGINAL_FIELDS.len() } else { LINE_FIELDS };
        let columns = ORIGINAL_FIELDS.map(Column::index);
        self.present = events.project(&columns[..fields]).ok().map(Arc::new);
    }

    /// Takes in an event of the batch that was accepted.
    pub fn accept(&mut self, event_type: EventType, id: u64, row: usize) {
        if event_type.bit() & TAKEN_BACK != 0 {
            let at = u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
            self.places.insert(id, (self.next(), at));
            self.ids.push(id);
            self.rows.push(u32::try_from(row).unwrap_or(u32::MAX));
        }
    }

    /// The event of this id, if it came before and is not too old.
    ///
    /// # Errors
    /// If it must be looked up and the journal cannot be read.
    pub fn find(&mut self, event_id: &str, id: u64, known: &Dedup) -> Result<Option<Original>, PortError> {
        let bound = |retain| Some(known.latest_at()?.saturating_sub(retain));
        let kept = self.retain.and_then(bound);
        let is_kept =
            |original: &Original| kept.is_none_or(|kept| original.at().is_some_and(|at| at >= kept));
        Ok(self.look_up(event_id, id, known)?.filter(is_kept))
    }

    fn look_up(&mut self, event_id: &str, id: u64, known: &Dedup) -> Result<Option<Original>, PortError> {
        if let Some((batch, at)) = self.places.get(&id).copied() {
            return Ok(if batch == self.next() {
                let row = self.rows.get(at as usize).copied().unwrap_or_default();
                self.present.as_ref().map(|events| Original::new(Arc::clone(events), row as usize))
            } else {
                let kept = self.batches.get(batch.wrapping_sub(self.first) as usize);
                kept.map(|kept| Original::new(Arc::clone(&kept.events), at as usize))
            });
        }
        let (Some(journal), Some(times)) = (&mut self.journal, known.times(id)) else { return Ok(None) };
        let found = journal.event(event_id, id, times, &ORIGINAL_FIELDS)?;
        Ok(found.map(|event| Original::new(Arc::new(event), 0)).filter(Original::can_be_taken_back))
    }

    /// Ends the batch, the last of whose events are in journal block `block`, and lets go of the oldest events.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn end(&mut self, block: i64) -> Result<(), PortError> {
        if let Some(present) = self.present.take().filter(|_| !self.rows.is_empty()) {
            let (ids, rows) = (std::mem::take(&mut self.ids), std::mem::take(&mut self.rows));
            let events = Arc::new(compact(&present, &UInt32Array::from(rows)));
            self.batches.push_back(Kept { events, ids, block });
        }
        if self.journal.is_some() && self.places.len() > AT_HAND {
            let oldest = self.batches.front().map_or(0, |oldest| oldest.block);
            if let Some(journal) = self.journal.as_ref().filter(|_| oldest > self.committed) {
                self.committed = journal.last_block()?;
            }
            self.let_go(AT_HAND);
        }
        Ok(())
    }

    /// Lets go of the oldest batches that are committed, until no more than so many events are left.
    fn let_go(&mut self, at_hand: usize) {
        while self.places.len() > at_hand
            && let Some(oldest) = self.batches.pop_front_if(|oldest| oldest.block <= self.committed)
        {
            for id in oldest.ids {
                self.places.remove(&id);
            }
            self.first = self.first.wrapping_add(1);
        }
    }

    /// The number of the batch that is being sequenced.
    fn next(&self) -> u32 {
        self.first.wrapping_add(u32::try_from(self.batches.len()).unwrap_or(u32::MAX))
    }
}

/// Some rows, whose texts lie in buffers of their own: the block that they came in has all the other columns too.
fn compact(events: &RecordBatch, rows: &UInt32Array) -> RecordBatch {
    let of_own = |column: &ArrayRef| -> ArrayRef {
        let taken = take(column, rows, None).expect("rows of the batch");
        match taken.as_string_view_opt() {
            Some(_) => cast(&taken, &DataType::Utf8).expect("text is text"),
            None => taken,
        }
    };
    let columns: Vec<ArrayRef> = events.columns().iter().map(of_own).collect();
    let schema = events.schema();
    let fields = schema.fields().iter().zip(&columns);
    let fields = fields.map(|(f, column)| Field::new(f.name(), column.data_type().clone(), true));
    RecordBatch::try_new(Arc::new(Schema::new(fields.collect::<Vec<_>>())), columns)
        .expect("columns of the same length")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        decode::Decoder,
        event::{id_hash, time::Calendar},
        ledger::{AfterEvent, original::Naming},
        stream::{Block, Payload},
    };

    fn batch(decoder: &Decoder, number: usize) -> RecordBatch {
        let payment = |row: usize| {
            format!(
                r#"{{"event_id":"e{number}-{row}","type":"payment","occurred_at":"2026-03-01","budget_line_id":"L1","amount":"{number}.0{row}","fiscal_year":2026,
                "region_code":"1","unit_code":"1","function_code":"1","economic_code":"1","payment_mode":"direct","settlement":"transfer",
                "payee_name":"payee {row}","payee_account":"1","payee_type":"entity"}}"#
            )
            .replace('\n', "")
        };
        let lines = (1..4).map(payment).collect::<Vec<_>>().join("\n");
        let block = Block::new("test".into(), "test".into(), 0, Payload::JsonLines(lines.into()));
        decoder.decode(&[block], None).events
    }

    #[test]
    fn the_oldest_are_let_go_once_they_are_committed() {
        let decoder = Decoder::new(Arc::new(Calendar::new("Asia/Shanghai", 1, 1).unwrap()));
        let (mut originals, known) = (Originals::default(), Dedup::default());
        for number in 1..5 {
            originals.begin(&batch(&decoder, number), true);
            for row in 0..3 {
                originals.accept(EventType::Payment, id_hash(&format!("e{number}-{}", row + 1)), row);
            }
            // One of this batch, and one of the first.
            for id in [format!("e{number}-2"), String::from("e1-3")] {
                assert!(originals.find(&id, id_hash(&id), &known).unwrap().is_some(), "{id}");
            }
            originals.end(i64::try_from(number).unwrap()).unwrap();
        }
        originals.committed = 2;
        originals.let_go(1);
        let found = |originals: &mut Originals, id: &str| {
            let original = originals.find(id, id_hash(id), &known).unwrap();
            let named = original.map(|original| Naming {
                row: 0,
                reversed: crate::ledger::Reversed::default(),
                brought: crate::event::Cents::ZERO,
                original: Some(original),
            });
            let after = AfterEvent { named: named.into_iter().collect(), ..AfterEvent::default() };
            let amount = crate::ledger::original::ORIGINAL_COLUMNS[2].1.compute(&after, &batch(&decoder, 9));
            arrow::util::display::array_value_to_string(&amount, 0).unwrap()
        };
        let all = ["e1-1", "e2-3", "e3-1", "e4-3"].map(|id| found(&mut originals, id));
        // What is not committed stays; what was let go of is for the journal to find.
        assert_eq!(all, ["", "", "3.01", "4.03"]);
        assert_eq!((originals.places.len(), originals.batches.len()), (6, 2));
    }
}
