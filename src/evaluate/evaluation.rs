//! What a batch brought, for who stores it.

use super::{auto_resolve::Standings, condition::RuleCounts};
use crate::{
    event::{Cents, Instant},
    finding::Finding,
    rule::{ById, RuleId},
};

/// What a batch brought.
#[derive(Debug, Default)]
pub struct Evaluation {
    /// Findings in the order of the events, those of one event in the order of the rules.
    pub findings: Vec<Finding>,
    /// Where and when each finding was made.
    pub found: Vec<FindingOrigin>,
    /// For each rule of the set, what happened.
    pub counts: ById<RuleId, RuleCounts>,
    /// Where the conditions that can stop being true stand after each event.
    pub standings: Standings,
}

/// Where and when a finding was made.
#[derive(Debug, Clone, Copy)]
pub struct FindingOrigin {
    /// The row of the batch that led to it.
    pub row: usize,
    /// The event's time, the end of the window, or the tick.
    pub at: Instant,
    /// The event's amount; nothing if it is not about an event.
    pub cents: Cents,
}

impl Evaluation {
    /// Takes the findings, each with its event's time and amount.
    pub fn take_findings(&mut self) -> impl Iterator<Item = (Instant, Cents, Finding)> + use<> {
        let found = std::mem::take(&mut self.found).into_iter();
        found.zip(std::mem::take(&mut self.findings)).map(|(found, finding)| (found.at, found.cents, finding))
    }
    /// What each of the parts brought that a batch is stored in: they end after so many rows, the last with the batch. What
    /// happened to rules is told with the last.
    #[must_use]
    pub fn split(self, ends: &[usize]) -> Vec<Self> {
        let Self { findings, found, mut counts, standings } = self;
        let mut made = found.into_iter().zip(findings).peekable();
        let (mut parts, mut start, last) = (Vec::with_capacity(ends.len()), 0, ends.len().saturating_sub(1));
        for (number, end) in ends.iter().enumerate() {
            let mut part = Self { standings: standings.of(start..*end), ..Self::default() };
            while let Some((origin, finding)) =
                made.next_if(|(origin, _)| origin.row < *end || number == last)
            {
                part.found.push(FindingOrigin { row: origin.row - start, ..origin });
                part.findings.push(finding);
            }
            part.counts = match number == last {
                true => std::mem::take(&mut counts),
                false => ById::filled(counts.len(), RuleCounts::default()),
            };
            parts.push(part);
            start = *end;
        }
        parts
    }
}
