//! Events that were judged by a list that has changed since, judged again: a list that came late finds what it would have
//! found. Findings have the ids that they would have had, so those that are stored already are no new ones.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use arrow::{array::AsArray, compute::max, datatypes::TimestampMicrosecondType};

use super::{Committable, History, ports::PortError};
use crate::{
    evaluate::{Batch, Evaluation, Evaluator, Moved},
    event::{Column, period::JournalStart},
    ledger::{AfterEvent, Ledger},
    lists::Lists,
    rule::Mode,
};

/// Findings that one change of lists brings at most, as a query has rows at most.
const FINDINGS_MAX: usize = 100_000;

/// The lists that what is stored was judged by.
#[derive(Debug, Default)]
pub struct Rejudging {
    /// What each held, by name; `None` where nobody notes it.
    judged: Option<BTreeMap<String, u64>>,
    /// How far back events are judged again, in microseconds.
    back: i64,
}

impl Rejudging {
    /// These lists were judged by so far.
    #[must_use]
    pub fn new(judged: BTreeMap<String, u64>, back: i64) -> Self {
        Self { judged: Some(judged), back }
    }

    /// Whether these lists are others.
    #[must_use]
    pub fn differ(&self, lists: &Lists) -> bool {
        let Some(judged) = &self.judged else { return false };
        lists.prints().count() != judged.len()
            || lists.prints().any(|(name, print, _)| judged.get(name) != Some(&print))
    }

    /// Judges events again by the lists that are others now. The last result says which lists it was judged by.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn judge(
        &mut self,
        evaluator: &Evaluator,
        history: &dyn History,
        (journal, latest): (Option<JournalStart>, i64),
    ) -> Result<Vec<Committable>, PortError> {
        let lists = &evaluator.rules().lists;
        let judged = self.judged.get_or_insert_default();
        let now: BTreeMap<String, u64> =
            lists.prints().map(|(name, print, _)| (name.to_owned(), print)).collect();
        // What a new list is asked for, only new rules ask.
        let other = |(name, print): &(&String, &u64)| judged.get(*name).is_some_and(|known| known != *print);
        let changed: BTreeSet<String> = now.iter().filter(other).map(|(name, _)| name.clone()).collect();
        let mut results = match changed.is_empty() || self.back == 0 {
            true => Vec::new(),
            false => by(evaluator, history, &changed, journal, latest.saturating_sub(self.back))?,
        };
        let rules = Arc::clone(evaluator.rules());
        results.push(Committable { rules, lists: Some(now.clone()), ..Committable::default() });
        self.judged = Some(now);
        Ok(results)
    }
}

/// What rules on single events that ask one of the `changed` lists find from `from` (microseconds) on.
fn by(
    evaluator: &Evaluator,
    history: &dyn History,
    changed: &BTreeSet<String>,
    journal: Option<JournalStart>,
    from: i64,
) -> Result<Vec<Committable>, PortError> {
    let rules = evaluator
        .rules()
        .only(|rule| rule.rule.mode != Mode::Disabled && rule.asks(changed) && !rule.reads_beside().1);
    if rules.rules.is_empty() {
        return Ok(Vec::new());
    }
    let balances = rules.rules.iter().any(|rule| rule.reads_beside().0);
    let (judging, names) = (Evaluator::new(Arc::new(rules), Arc::clone(evaluator.calendar())), changed);
    let mut ledger = Ledger::default();
    ledger.whole_from(journal.map(|journal| journal.year));
    let columns: Vec<usize> = (0..Column::COUNT).collect();
    let (mut results, mut events, mut findings) = (Vec::new(), 0, 0);
    // Balances are those after each event, and have to be counted from the first one on.
    let start = (!balances).then_some(from);
    history.replay(start, &columns, &mut |batch, types| {
        let after = if balances { ledger.apply(batch, types) } else { AfterEvent::default() };
        let times = batch.column(Column::OccurredAt.index()).as_primitive::<TimestampMicrosecondType>();
        if max(times).is_none_or(|latest| latest < from) || findings >= FINDINGS_MAX {
            return;
        }
        let attributes = ledger.attributes();
        let batch = Batch { events: batch, types, after: &after, attributes: &attributes };
        let evaluation = since(judging.prepare(&batch).conclude(Moved::default()), from);
        events += types.len();
        findings += evaluation.findings.len();
        if !evaluation.findings.is_empty() {
            let rules = Arc::clone(evaluator.rules());
            results.push(Committable { evaluation, rules, ..Committable::default() });
        }
    })?;
    tracing::info!(lists = ?names, events, findings, "events judged again by lists that have changed");
    if findings >= FINDINGS_MAX {
        tracing::error!(lists = ?names, FINDINGS_MAX, "the lists find more than that; later events were not judged again");
    }
    Ok(results)
}

/// The findings about events from `from` on, and nothing else: where conditions stand now, the past does not tell.
fn since(evaluation: Evaluation, from: i64) -> Evaluation {
    let pairs = evaluation.found.into_iter().zip(evaluation.findings);
    let (found, findings) = pairs.filter(|(found, _)| found.at >= from).unzip();
    Evaluation { findings, found, ..Evaluation::default() }
}
