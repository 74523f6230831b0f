//! The journal once more: what is stored goes by again, for windows that lack it and for lists that have changed.

use std::sync::Arc;

use super::ports::{History, PortError};
use crate::{
    evaluate::{Batch, bounded::Busy},
    event::{Instant, period::JournalStart},
    ledger::{AfterEvent, Grouping, Ledger},
};

/// What is wanted of the past.
pub struct ReplayQuery<'w> {
    /// The first instant; `None` for all of history.
    pub from: Option<Instant>,
    /// The columns of the event schema.
    pub columns: &'w [usize],
    /// Whether the balances after each event are. They have to be counted from the first event on.
    pub balances: bool,
    /// What the lines are grouped by.
    pub groupings: &'w [Arc<dyn Grouping>],
}

/// The past of a stream.
#[derive(Clone)]
pub struct JournalReplay {
    pub history: Arc<dyn History>,
    /// From when on they are complete.
    pub journal: Option<JournalStart>,
    /// Who is told that it goes on.
    pub busy: Arc<Busy>,
}

impl JournalReplay {
    /// Gives the batches in order, and says how many events they hold.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn replay(
        &self,
        wanted: &ReplayQuery<'_>,
        take: &mut dyn FnMut(&Batch<'_>),
    ) -> Result<usize, PortError> {
        let mut ledger = Ledger::default();
        ledger.group_by(wanted.groupings);
        ledger.whole_from(self.journal.map(|journal| journal.year));
        let from = wanted.from.filter(|_| !wanted.balances);
        let mut count = 0;
        self.history.replay(from, wanted.columns, &mut |events, types| {
            let after = if wanted.balances { ledger.apply(events, types) } else { AfterEvent::default() };
            let attributes = ledger.attributes();
            take(&Batch { events, types, after: &after, attributes: &attributes });
            count += types.len();
            self.busy.beat();
        })?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::record_batch::RecordBatch;

    use crate::event::{EventType, event_schema};

    /// So many batches without events.
    struct Batches(usize);

    impl History for Batches {
        fn replay(
            &self,
            from: Option<Instant>,
            _: &[usize],
            take: &mut dyn FnMut(&RecordBatch, &[EventType]),
        ) -> Result<(), PortError> {
            assert_eq!(from, None, "balances are counted from the first event on");
            (0..self.0).for_each(|_| take(&RecordBatch::new_empty(event_schema("UTC")), &[]));
            Ok(())
        }
    }

    /// A long journal is no standstill: whoever asks whether the stream goes on sees every batch.
    #[test]
    fn every_batch_is_a_beat() {
        let past = JournalReplay { history: Arc::new(Batches(3)), journal: None, busy: Arc::default() };
        let wanted =
            ReplayQuery { from: Some(Instant::from_micros(7)), columns: &[], balances: true, groupings: &[] };
        let mut seen = Vec::new();
        assert_eq!(past.replay(&wanted, &mut |_| seen.push(past.busy.beats())).unwrap(), 0);
        assert_eq!((seen, past.busy.beats()), (vec![0, 1, 2], 3));
    }
}
