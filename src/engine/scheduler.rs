//! Rules on a schedule within the loop.

use std::sync::Arc;

use crate::{
    evaluate::{
        Evaluation, Evaluator, FindingOrigin,
        bounded::{Busy, PendingWork},
        condition::RuleCounts,
        schedule::{self, Due, Means, PassedTick, QueryLimits, Ran, Tables, Why},
    },
    event::Cents,
    rule::ById,
    say,
};

/// So many processes begin one tick; then it is passed.
const ATTEMPTS_MAX: u32 = 4;

/// Evaluates rules that are due.
#[derive(Clone)]
pub struct Scheduler {
    means: Means,
    /// What rules that are due do to the stream.
    pub busy: Arc<Busy>,
}

impl Scheduler {
    /// With tables from there, and queries within these limits.
    #[must_use]
    pub fn new(tables: Arc<dyn Tables>, limits: QueryLimits, busy: Arc<Busy>) -> Self {
        Self { means: Means { tables, limits, plans: Arc::default() }, busy }
    }

    /// What a rule that is due finds, on a thread of its own if `threads` are wanted; and its tick if it is passed.
    pub async fn run(
        &self,
        due: &Due,
        evaluator: &Evaluator,
        threads: bool,
    ) -> (Evaluation, Option<PassedTick>) {
        let (rules, calendar) = (evaluator.rules(), evaluator.calendar());
        let rule = &rules.rules[due.rule].rule;
        let _busy = self.busy.with(PendingWork::Query(rule.id.clone()));
        let Ran { findings, counts, passed } = match due.attempt {
            attempt if attempt >= ATTEMPTS_MAX => {
                let ended = attempt - 1;
                let error = say!("the daemon ended {ended} times while this was evaluated", ended);
                Ran::failed(&error, Some(Why::Ended))
            }
            _ => schedule::run(rules, due, &self.means, calendar, threads).await,
        };
        let passed = passed.map(|why| PassedTick { rule: rule.id.clone(), tick: due.tick, why });
        if let Some(PassedTick { rule, tick, why }) = &passed {
            let tick = calendar.format(*tick);
            tracing::warn!(rule, tick, ?why, "a tick is passed without an answer, and not begun again");
        }
        let found =
            findings.iter().map(|_| FindingOrigin { row: 0, at: due.tick, cents: Cents::ZERO }).collect();
        let mut all = ById::filled(rules.rules.len(), RuleCounts::default());
        all[due.rule] = counts;
        (Evaluation { findings, found, counts: all, ..Evaluation::default() }, passed)
    }
}
