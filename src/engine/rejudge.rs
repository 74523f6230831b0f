//! Events that were judged by a list that has changed since, judged again: a list that came late finds what it would have
//! found. Findings have the ids that they would have had, so those that are stored already are no new ones.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use arrow::{array::AsArray, compute::max, datatypes::TimestampMicrosecondType};

use super::{
    Committable,
    journal_replay::{JournalReplay, ReplayQuery},
    ports::PortError,
};
use crate::{
    evaluate::{Evaluation, Evaluator, Moved, bounded::PendingWork},
    event::{Column, Instant, TimeDelta},
    lists::Lists,
    rule::{RuleMode, RuleSet, compile::CompiledRule},
};

/// Findings that one change of lists brings at most, as a query has rows at most.
const FINDINGS_MAX: usize = 100_000;
/// So many processes begin to judge by one change of lists; then events stay as they were judged.
const ATTEMPTS_MAX: u32 = 4;

/// What is to be stored about lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListsStep {
    /// Events are about to be judged again; so many processes have begun that.
    Begun(u32),
    /// Everything so far was judged by these lists, each told by what it holds.
    Judged(BTreeMap<String, u64>),
}

/// The lists that what is stored was judged by.
#[derive(Debug, Default)]
pub struct Rejudging {
    /// What each held, by name; `None` where nobody notes it.
    judged: Option<BTreeMap<String, u64>>,
    /// How many processes have begun to judge by others, and did not end.
    attempts: u32,
    /// How far back events are judged again.
    back: TimeDelta,
}

impl Rejudging {
    /// These lists were judged by so far, and so many processes ended while they judged by others.
    #[must_use]
    pub fn new((judged, attempts): (BTreeMap<String, u64>, u32), back: TimeDelta) -> Self {
        Self { judged: Some(judged), attempts, back }
    }

    /// Whether these lists are others.
    #[must_use]
    pub fn differ(&self, lists: &Lists) -> bool {
        let Some(judged) = &self.judged else { return false };
        lists.prints().count() != judged.len()
            || lists.prints().any(|(name, print, _)| judged.get(name) != Some(&print))
    }

    /// The lists that hold something else now. What a new list is asked for, only new rules ask.
    fn changed(&self, lists: &Lists) -> BTreeSet<String> {
        let known = |name: &str| self.judged.as_ref().and_then(|judged| judged.get(name));
        let other = |(name, print, _): &(&str, u64, usize)| known(name).is_some_and(|known| known != print);
        lists.prints().filter(other).map(|(name, ..)| name.to_owned()).collect()
    }

    /// The rules on single events that judge again: those that ask a list that has changed.
    fn rules(&self, evaluator: &Evaluator) -> RuleSet {
        let changed = self.changed(&evaluator.rules().lists);
        let asks = |rule: &CompiledRule| {
            rule.rule.mode != RuleMode::Disabled && rule.asks(&changed) && !rule.reads_original()
        };
        if self.back == TimeDelta::ZERO || changed.is_empty() {
            RuleSet::default()
        } else {
            evaluator.rules().only(asks)
        }
    }

    /// What is to be committed before events are judged again: a process that dies of it must not begin for ever. `None` if
    /// no rule judges again.
    pub fn begin(&mut self, evaluator: &Evaluator) -> Option<Committable> {
        if self.rules(evaluator).rules.is_empty() {
            return None;
        }
        self.attempts = self.attempts.saturating_add(1);
        Some(step(evaluator, ListsStep::Begun(self.attempts)))
    }

    /// Judges events again by the lists that are others now. The last result says which lists it was judged by.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn judge(
        &mut self,
        evaluator: &Evaluator,
        past: &JournalReplay,
        latest: Option<Instant>,
    ) -> Result<Vec<Committable>, PortError> {
        let rules = self.rules(evaluator);
        let lists = self.changed(&evaluator.rules().lists).into_iter().collect::<Vec<_>>().join(", ");
        let mut results = Vec::new();
        if self.attempts >= ATTEMPTS_MAX {
            let ended = self.attempts - 1;
            tracing::error!(
                lists,
                ended,
                "the daemon ended so many times while it judged events again by these lists: they stay as they were judged"
            );
        } else if !rules.rules.is_empty() {
            let _busy = past.busy.with(PendingWork::Lists(lists.clone()));
            let from = latest.map(|latest| latest.saturating_sub(self.back));
            results = again(evaluator, rules, past, from, &lists)?;
        }
        let now: BTreeMap<String, u64> =
            evaluator.rules().lists.prints().map(|(name, print, _)| (name.to_owned(), print)).collect();
        results.push(step(evaluator, ListsStep::Judged(now.clone())));
        (self.judged, self.attempts) = (Some(now), 0);
        Ok(results)
    }
}

fn step(evaluator: &Evaluator, step: ListsStep) -> Committable {
    Committable { rules: Arc::clone(evaluator.rules()), lists: Some(step), ..Committable::default() }
}

/// What these rules find from `from` on; `None` for all of history.
fn again(
    evaluator: &Evaluator,
    rules: RuleSet,
    past: &JournalReplay,
    from: Option<Instant>,
    lists: &str,
) -> Result<Vec<Committable>, PortError> {
    let balances = rules.rules.iter().any(CompiledRule::reads_balances);
    let groupings = rules.groupings();
    let judging = Evaluator::new(Arc::new(rules), Arc::clone(evaluator.calendar()));
    let columns: Vec<usize> = (0..Column::COUNT).collect();
    let (mut results, mut findings, mut reached) = (Vec::new(), 0, Ok(()));
    let wanted = ReplayQuery { from, columns: &columns, balances, groupings: &groupings };
    let events = past.replay(&wanted, &mut |batch| {
        let here = crate::failpoint::reach("lists.batch");
        reached = std::mem::replace(&mut reached, Ok(())).and(here);
        let times = batch.events.column(Column::OccurredAt.index());
        let latest = max(times.as_primitive::<TimestampMicrosecondType>());
        if latest.map(Instant::from_micros).is_none_or(|latest| Some(latest) < from)
            || findings >= FINDINGS_MAX
        {
            return;
        }
        let evaluation = since(judging.prepare(batch).conclude(Moved::default()), from);
        findings += evaluation.findings.len();
        if !evaluation.findings.is_empty() {
            let rules = Arc::clone(evaluator.rules());
            results.push(Committable { evaluation, rules, ..Committable::default() });
        }
    })?;
    reached.map_err(PortError::new)?;
    tracing::info!(lists, events, findings, "events judged again by lists that have changed");
    if findings >= FINDINGS_MAX {
        tracing::error!(
            lists,
            FINDINGS_MAX,
            "the lists find more than that; later events were not judged again"
        );
    }
    Ok(results)
}

/// The findings about events from `from` on, and nothing else: where conditions stand now, the past does not tell.
fn since(evaluation: Evaluation, from: Option<Instant>) -> Evaluation {
    let pairs = evaluation.found.into_iter().zip(evaluation.findings);
    let (found, findings) = pairs.filter(|(found, _)| Some(found.at) >= from).unzip();
    Evaluation { findings, found, ..Evaluation::default() }
}
