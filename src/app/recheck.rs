//! Findings made once more: the journal goes through the loop of the daemon again, and what the rules find is compared
//! with what is stored.

mod compare;
mod ticks;

use std::sync::Arc;

use anyhow::Context;

use crate::{
    config::Config,
    event::Instant,
    rule::RuleSet,
    say,
    store::{Check, JournalView},
    trial::journal::{JournalRun, replay},
};

/// Findings from this time on, and before that one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Range {
    /// Not before.
    pub from: Option<Instant>,
    /// Before.
    pub to: Option<Instant>,
}

impl Range {
    fn has(self, at: Instant) -> bool {
        self.from.is_none_or(|from| at >= from) && self.to.is_none_or(|to| at < to)
    }
}

/// Makes the findings of a range once more and compares them. All of the journal is read, because windows and balances
/// are built on what came before.
///
/// # Errors
/// If the journal cannot be read.
pub async fn recheck(
    config: &Config,
    rules: Arc<RuleSet>,
    history: &JournalView,
    range: Range,
) -> anyhow::Result<Vec<Check>> {
    const NAME: &str = "findings again";
    if history.retired()? > 0 {
        let why = say!("events were deleted for state.retain, so the journal does not give all findings");
        return Ok(vec![Check::skipped(NAME, why)]);
    }
    let watermark = history.watermark()?;
    let in_force = history.rules_in_force()?;
    let ticks = ticks::StoredTicks::read(history)?;
    let course =
        JournalRun { parallel: super::parallel(), memory: u64::MAX, findings: usize::MAX, ..config.course() };
    let stored = (&watermark, ticks.answered());
    let again = replay(&course, Arc::clone(&rules), history, stored, &Arc::default()).await;
    let again = again.map_err(anyhow::Error::from_boxed);
    let again = again.with_context(|| say!("the journal cannot be replayed"))?;
    let compared = compare::RecheckScope {
        rules: &rules,
        in_force,
        watermark,
        ticks,
        range,
        calendar: &config.calendar,
    };
    compared.checks(history, &again)
}
