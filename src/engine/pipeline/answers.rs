//! What is answered about applications, by what would be found of them.

use std::sync::{Arc, PoisonError};

use arrow::{
    array::{Array, AsArray, StringViewArray},
    record_batch::RecordBatch,
};
use serde_json::{Map, Value};

use super::{
    decide::{cents, subject, times},
    order::Sequence,
};
use crate::{
    decision::{
        Conjunct, Decision, Funds, GroupFunds, NotEvaluated, Override, Question, Reason, Reasons, UNCHECKED,
        Verdict,
    },
    decode::Decoded,
    evaluate::{Evaluation, Evaluator},
    event::{Column, money::format_cents},
    finding::Finding,
    ledger::{AfterEvent, GroupAfter, Ledger, Trial},
    personal,
    rule::{
        CompiledGroup, Mode as RuleMode, RuleSet, budget_part,
        compile::{CompiledRule, CompiledView},
    },
};

impl Sequence {
    /// The answers about applications, by what would be found of them.
    pub(super) fn decisions(
        &self,
        question: &Question,
        decoded: &Decoded,
        evaluation: &Evaluation,
        evaluator: &Evaluator,
    ) -> Vec<Decision> {
        let (rules, calendar) = (evaluator.rules(), evaluator.calendar());
        let ids = decoded.events.column(Column::EventId.index()).as_string_view();
        let lines = decoded.events.column(Column::BudgetLineId.index()).as_string_view();
        let times = times(&decoded.events);
        let found = verdicts(evaluation, decoded.types.len());
        let blocked = found.iter().position(|verdict| *verdict == Verdict::Block);
        let overriding = question.overriding.as_ref().filter(|_| blocked.is_some());
        let overridden = overriding.filter(|granted| covers(&granted.rules, evaluation));
        let (found, blocked) = match overridden {
            Some(_) => (vec![Verdict::Allow; found.len()], None),
            None => (found, blocked),
        };
        let ledger = self.sequencer.ledger().read().unwrap_or_else(PoisonError::into_inner);
        let (after, _) = ledger.try_out(&decoded.events, Trial::Together);
        let (not_evaluated, rules_digest) = (not_evaluated(rules, evaluation), digest(rules));
        // Nothing is allowed by a rule that could have said otherwise and failed.
        let is_doubtful = question.is_stale || failed(rules, evaluation).any(asks_for_something);
        let one = |row: usize| {
            let together = blocked.filter(|other| *other != row && found[row] != Verdict::Block);
            let least = if is_doubtful { Verdict::Explain } else { Verdict::Allow };
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
            let unchecked = is_unchecked(&decoded.events, row);
            let expires = question.expires_in.filter(|_| decision != Verdict::Block || unchecked);
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
                before: funds(before(&ledger, &after.reserved, lines, row)),
                after: funds(after.reserved[row]),
                groups: groups(&after, row, rules),
                largest_amount: None,
                not_evaluated: not_evaluated.clone(),
                sources: question.sources.to_vec(),
                rules_digest: rules_digest.clone(),
                expires_at: expires.map(|after| calendar.format(times.value(row).saturating_add(after))),
                asked_by: question.actor.who.clone(),
                subject: subject(&decoded.events, row),
                overridden: overridden.map(Override::overridden),
                unchecked,
                reserves: None,
            }
        };
        (0..decoded.types.len()).map(one).collect()
    }
}

/// What the groups of an application's line have after it.
fn groups(after: &AfterEvent, row: usize, rules: &RuleSet) -> Vec<GroupFunds> {
    let of = |(group, after): (&Arc<CompiledGroup>, &GroupAfter)| {
        let (key, sums) = (after.keys[row].as_ref()?, &after.sums);
        Some(GroupFunds {
            group_id: group.group.id.clone(),
            key: key.to_string(),
            lines: after.lines[row],
            after: Funds::new([
                sums.total[row],
                sums.executed[row],
                sums.frozen[row],
                sums.reserved[row],
                sums.planned[row],
            ]),
        })
    };
    rules.groups.iter().zip(&after.groups).filter_map(of).collect()
}

/// Whether the money of an application moved before anybody was asked.
fn is_unchecked(events: &RecordBatch, row: usize) -> bool {
    let tags = events.column(Column::TagList.index()).as_list::<i32>();
    tags.is_valid(row) && tags.value(row).as_string::<i32>().iter().flatten().any(|tag| tag == UNCHECKED)
}

/// What a line had reserved before the application of a row.
fn before(ledger: &Ledger, after: &[i128], lines: &StringViewArray, row: usize) -> i128 {
    let name = lines.value(row);
    match (0..row).rev().find(|earlier| lines.value(*earlier) == name) {
        Some(earlier) => after[earlier],
        None => ledger.line(name).map_or(0, |(line, _)| line.balances.reserved),
    }
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

/// Whether these rules are all that block.
fn covers(rules: &[String], evaluation: &Evaluation) -> bool {
    let live = evaluation.findings.iter().filter(|finding| finding.mode == RuleMode::Live.word());
    let mut blocking = live.filter(|finding| Verdict::of(&finding.handling) == Verdict::Block);
    blocking.all(|finding| rules.contains(&finding.rule_id))
}

/// The live rules that hold for a row, the gravest first.
fn reasons(evaluation: &Evaluation, row: usize, rules: &RuleSet) -> Vec<Reason> {
    let of_row = evaluation.found.iter().zip(&evaluation.findings).filter(|(found, _)| found.row == row);
    let live = of_row.filter(|(_, finding)| finding.mode == RuleMode::Live.word());
    let reason = |(_, finding): (_, &Finding)| {
        let rule = rules.rules.iter().find(|rule| rule.rule.id == finding.rule_id)?;
        let when = rule.when.as_ref().map_or("", |_| &rule.rule.when.text);
        let mut reason = Reason::new(finding, &rule.title, when, rule.rule.basis.as_deref());
        // A program asks: of others than its own payee it learns no account and no name.
        personal::event::mask_finding(&mut reason.values, &mut reason.summary, &rule.personal);
        reason.conjuncts = rule.conjuncts.iter().map(|part| conjunct(part, rule, &reason.values)).collect();
        Some(reason)
    };
    let mut reasons: Vec<_> = live.filter_map(reason).collect();
    reasons.sort_by_key(|reason| std::cmp::Reverse(Verdict::of(&reason.handling)));
    reasons
}

/// A part of a condition with what it compares: what was found, and the rule's own parameters.
fn conjunct(part: &budget_part::Conjunct, rule: &CompiledRule, found: &Map<String, Value>) -> Conjunct {
    let params = &rule.rule.params;
    let value = |name: &String| match found.get(name) {
        Some(value) => Some(value.clone()),
        None => params
            .iter()
            .find(|(known, _)| name.strip_prefix('$') == Some(known))
            .map(|(_, param)| param.to_json()),
    };
    let values = part.names.iter().filter_map(|name| Some((name.clone(), value(name)?)));
    Conjunct { text: part.text.clone(), values: values.collect() }
}

/// The live rules that say nothing: those that judge later, and those that failed.
fn not_evaluated(rules: &RuleSet, evaluation: &Evaluation) -> Vec<NotEvaluated> {
    let live = rules.rules.iter().filter(|rule| rule.rule.mode == RuleMode::Live);
    let later = live.filter_map(|rule| match rule.view {
        CompiledView::Closing(_) => Some((rule, "window")),
        CompiledView::Schedule(_) => Some((rule, "schedule")),
        CompiledView::Event | CompiledView::Sliding(_) => None,
    });
    let failed = failed(rules, evaluation).map(|rule| (rule, "error"));
    let said = |(rule, until): (&CompiledRule, &str)| NotEvaluated {
        rule_id: rule.rule.id.clone(),
        until: until.to_owned(),
    };
    later.chain(failed).map(said).collect()
}

/// The live rules that could not be evaluated.
fn failed<'r>(rules: &'r RuleSet, evaluation: &'r Evaluation) -> impl Iterator<Item = &'r CompiledRule> {
    let counted = rules.rules.iter().zip(&evaluation.counts);
    counted
        .filter(|(rule, counts)| rule.rule.mode == RuleMode::Live && counts.errors > 0)
        .map(|(rule, _)| rule)
}

fn asks_for_something(rule: &CompiledRule) -> bool {
    Verdict::of(rule.rule.handling.word()) != Verdict::Allow
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
