//! What would become of applications, without taking them in.

use std::sync::Arc;

use arrow::{array::AsArray, datatypes::TimestampMicrosecondType};
use parking_lot::RwLock;

use super::{Sequenced, Sequencer, cuts::Kept};
use crate::{
    decision::Unanswered,
    decode::Decoded,
    engine::{dedup::Sighting, lookups, ports::PortError},
    evaluate::{Evaluator, Until},
    event::{Column, Instant},
    ledger::{Ledger, TrialScope},
};

impl Sequencer {
    /// An event of these that is known already, or that no run would take: its id, and what is wrong with it. They get what
    /// they lack of their budget lines.
    ///
    /// # Errors
    /// If sealed events must be looked up and cannot be read.
    pub fn refuses(&mut self, decoded: &mut Decoded) -> Result<Option<Unanswered>, PortError> {
        self.look_up(decoded)?;
        let ids = decoded.events.column(Column::EventId.index()).as_string_view();
        let times =
            decoded.events.column(Column::OccurredAt.index()).as_primitive::<TimestampMicrosecondType>();
        for (row, id) in ids.iter().enumerate() {
            let id = id.unwrap_or_default();
            if let Some(detail) =
                self.watermark.plausible().and_then(|p| p.refuses(Instant::from_micros(times.value(row))))
            {
                return Ok(Some(Unanswered::Unreadable(detail)));
            }
            if let Some(detail) = lookups::unknown(decoded, row) {
                return Ok(Some(Unanswered::Unreadable(detail)));
            }
            if self.dedup.look(id, decoded.ids[row], decoded.contents[row])? != Sighting::New {
                return Ok(Some(Unanswered::Known(id.to_owned())));
            }
        }
        Ok(None)
    }

    /// What a batch of applications would be after it was applied to the ledger, which it is not, for whom to judge.
    #[must_use]
    pub fn try_out(&self, decoded: &Decoded, trial: TrialScope, evaluator: &Evaluator) -> Sequenced {
        self.group_for(evaluator.rules());
        let calendar = evaluator.calendar();
        let ledger = self.ledger.read();
        let told = ledger.try_out(&decoded.events, trial);
        let kept = Kept {
            events: decoded.events.clone(),
            types: decoded.types.clone(),
            hashes: decoded.ids.iter().copied().zip(decoded.contents.iter().copied()).collect(),
            watermarks: vec![Until::in_column(self.watermark.settled()); decoded.types.len()],
        };
        Sequenced::of(kept, told, self.watermark.clone(), calendar)
    }

    /// The ledger that the trial reads and leaves as it is.
    #[must_use]
    pub fn ledger(&self) -> &Arc<RwLock<Ledger>> {
        &self.ledger
    }
}
