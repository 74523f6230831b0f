//! What is answered about applications, by what would be found of them.

use std::sync::PoisonError;

use arrow::array::{AsArray, StringViewArray};

use super::{
    decide::{cents, times},
    order::Sequence,
};
use crate::{
    decision::{Decision, Funds, NotEvaluated, Question, Reason, Reasons, Verdict},
    decode::Decoded,
    evaluate::Evaluation,
    event::{Column, money::format_cents},
    finding::Finding,
    ledger::Trial,
    rule::{Mode as RuleMode, RuleSet, compile::CompiledView},
};

impl Sequence {
    /// The answers about applications, by what would be found of them.
    pub(super) fn decisions(
        &self,
        question: &Question,
        decoded: &Decoded,
        evaluation: &Evaluation,
    ) -> Vec<Decision> {
        let evaluator = self.evaluator();
        let (rules, calendar) = (evaluator.rules(), evaluator.calendar());
        let ids = decoded.events.column(Column::EventId.index()).as_string_view();
        let lines = decoded.events.column(Column::BudgetLineId.index()).as_string_view();
        let times = times(&decoded.events);
        let found = verdicts(evaluation, decoded.types.len());
        let blocked = found.iter().position(|verdict| *verdict == Verdict::Block);
        let ledger = self.sequencer.ledger().read().unwrap_or_else(PoisonError::into_inner);
        let (after, _) = ledger.try_out(&decoded.events, Trial::Together);
        let (not_evaluated, rules_digest) = (not_evaluated(rules), digest(rules));
        let one = |row: usize| {
            let together = blocked.filter(|other| *other != row && found[row] != Verdict::Block);
            let least = if question.is_stale { Verdict::Explain } else { Verdict::Allow };
            let decision = if together.is_some() { Verdict::Block } else { found[row].max(least) };
            let funds = |reserved| {
                Funds::new([
                    after.total[row],
                    after.executed[row],
                    after.frozen[row],
                    reserved,
                    after.planned[row],
                ])
            };
            let amount = cents(&decoded.events, row);
            let expires = question.expires_in.filter(|_| decision != Verdict::Block);
            Decision {
                event_id: ids.value(row).to_owned(),
                decision,
                mode: question.mode,
                replayed: false,
                decided_at: calendar.format(question.now),
                occurred_at: calendar.format(times.value(row)),
                budget_line_id: lines.value(row).to_owned(),
                amount: format_cents(amount),
                reasons: reasons(evaluation, row, rules),
                also: Reasons {
                    stale: question.is_stale,
                    together_with: together.map(|other| ids.value(other).to_owned()),
                },
                before: funds(before(&after.reserved, lines, row, amount)),
                after: funds(after.reserved[row]),
                largest_amount: None,
                not_evaluated: not_evaluated.clone(),
                sources: question.sources.to_vec(),
                rules_digest: rules_digest.clone(),
                expires_at: expires.map(|after| calendar.format(times.value(row).saturating_add(after))),
                reserves: None,
            }
        };
        (0..decoded.types.len()).map(one).collect()
    }
}

/// What a line had reserved before the application of a row.
fn before(after: &[i128], lines: &StringViewArray, row: usize, amount: i128) -> i128 {
    let earlier = (0..row).rev().find(|earlier| lines.value(*earlier) == lines.value(row));
    earlier.map_or(after[row] - amount, |earlier| after[earlier])
}

/// What is found of each of so many applications.
pub(super) fn verdicts(evaluation: &Evaluation, rows: usize) -> Vec<Verdict> {
    let mut verdicts = vec![Verdict::Allow; rows];
    for (found, finding) in evaluation.found.iter().zip(&evaluation.findings) {
        if finding.mode == RuleMode::Live.word() {
            verdicts[found.row] = verdicts[found.row].max(Verdict::of(&finding.handling));
        }
    }
    verdicts
}

/// The live rules that hold for a row, the gravest first.
fn reasons(evaluation: &Evaluation, row: usize, rules: &RuleSet) -> Vec<Reason> {
    let of_row = evaluation.found.iter().zip(&evaluation.findings).filter(|(found, _)| found.row == row);
    let live = of_row.filter(|(_, finding)| finding.mode == RuleMode::Live.word());
    let reason = |(_, finding): (_, &Finding)| {
        let rule = rules.rules.iter().find(|rule| rule.rule.id == finding.rule_id)?;
        let when = rule.when.as_ref().map_or("", |when| &when.text);
        Some(Reason::new(finding, &rule.title, when, rule.rule.basis.as_deref()))
    };
    let mut reasons: Vec<_> = live.filter_map(reason).collect();
    reasons.sort_by_key(|reason| std::cmp::Reverse(Verdict::of(&reason.handling)));
    reasons
}

/// The live rules that judge later.
fn not_evaluated(rules: &RuleSet) -> Vec<NotEvaluated> {
    let live = rules.rules.iter().filter(|rule| rule.rule.mode == RuleMode::Live);
    let later = live.filter_map(|rule| {
        let until = match rule.view {
            CompiledView::Closing(_) => "window",
            CompiledView::Schedule(_) => "schedule",
            CompiledView::Event | CompiledView::Sliding(_) => return None,
        };
        Some(NotEvaluated { rule_id: rule.rule.id.clone(), until: until.to_owned() })
    });
    later.collect()
}

/// A digest of all rules in force, with their parameters and lists.
fn digest(rules: &RuleSet) -> String {
    let mut hash = xxhash_rust::xxh3::Xxh3::new();
    for (id, digest) in rules.digests() {
        hash.update(id.as_bytes());
        hash.update(&digest.to_le_bytes());
    }
    format!("{:032x}", hash.digest128())
}
