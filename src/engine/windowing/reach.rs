//! Events that come so late that their windows reach further back than what is held.

use super::{Windowing, weighs_enough};
use crate::{
    engine::ports::PortError,
    evaluate::{Backfill, Moved, Prepared},
    event::{Instant, TimeDelta},
    say,
};

/// Reaching back is not tried for less than this: each try reads the journal.
const STEP: TimeDelta = TimeDelta::DAY;

impl Windowing {
    /// Whether an event of this batch came so late that its windows reach further back than what is held.
    #[must_use]
    pub fn lacks(&self, prepared: &Prepared) -> bool {
        self.history.is_some() && self.windows.lacking(prepared, self.too_far).is_some()
    }

    /// Fills the windows that hold too little for this batch from what is stored, which must be everything before it.
    /// `latest` is the largest event time.
    ///
    /// Where that does not fit into memory, the windows hold what they usually do, and what reaches back half as far or
    /// further is not judged by them any more until rules change: one event from long ago must not end the daemon, nor
    /// every such event read the journal.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn reach_back(&mut self, prepared: &Prepared, latest: Option<Instant>) -> Result<(), PortError> {
        while let Some((empty, from)) = self.windows.lacking(prepared, self.too_far) {
            self.windows.clear(&empty);
            let evaluator = prepared.evaluator();
            let filling = Backfill::new(evaluator.rules(), &empty, |_| Some(from), |_| Some(from));
            if self.fill(evaluator, &filling, weighs_enough(self.limit), false)? {
                return Ok(());
            }
            self.windows.clear(&empty);
            let usual = self.filling(evaluator, &empty, latest);
            self.fill(evaluator, &usual, u64::MAX, false)?;
            let held = usual.from().map_or(TimeDelta::ZERO, |held| held.saturating_since(from));
            self.too_far = Some(from.saturating_add((held / 2).max(STEP)));
            tracing::warn!(
                limit_mib = self.limit >> 20,
                "an event came so late that the events of its windows do not fit into engine.window_memory_mib: rules \
                 with windows do not judge such events, and count them as errors"
            );
        }
        Ok(())
    }

    /// With a journal nothing is judged by half a window.
    pub(super) fn refuse_beyond(&self, moved: &mut Moved) {
        if self.history.is_some() {
            moved.refuse_beyond(&say!(
                "the event came so late that the events of its window do not fit into engine.window_memory_mib"
            ));
        }
    }
}
