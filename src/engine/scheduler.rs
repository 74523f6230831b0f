//! Rules on a schedule within the loop.

use std::sync::{Arc, atomic::AtomicUsize};

use crate::evaluate::{
    Evaluation, Evaluator,
    evaluator::Found,
    row::RuleCounts,
    schedule::{self, Due, Limits, Tables},
};

/// Evaluates rules that are due.
#[derive(Clone)]
pub struct Scheduler {
    /// Where the tables come from.
    pub tables: Arc<dyn Tables>,
    /// What a query may use.
    pub limits: Limits,
    /// Rules that are due and not evaluated yet.
    pub busy: Arc<AtomicUsize>,
}

impl Scheduler {
    /// What a rule that is due finds.
    pub async fn run(&self, due: &Due, evaluator: &Evaluator) -> Evaluation {
        let rules = evaluator.rules();
        let mut counts = vec![RuleCounts::default(); rules.rules.len()];
        let calendar = evaluator.calendar();
        let tables = self.tables.as_ref();
        let findings = schedule::run(rules, due, tables, self.limits, calendar, &mut counts[due.rule]).await;
        let found = findings.iter().map(|_| Found { row: 0, at: due.tick, cents: 0 }).collect();
        Evaluation { findings, found, counts, ..Evaluation::default() }
    }
}
