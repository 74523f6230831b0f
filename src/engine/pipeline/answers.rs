//! What is answered about applications, by what would be found of them.

use std::sync::Arc;

use arrow::{
    array::{Array, AsArray, StringViewArray},
    record_batch::RecordBatch,
};
use parking_lot::RwLockReadGuard;
use serde_json::{Map, Value};

use super::{
    decide::{cents, subject, times},
    order::Sequence,
};
use crate::{
    decision::{
        Decision, DecisionConjunct, DecisionQuestion, DecisionReason, Funds, GroupFunds, NotEvaluated,
        Override, Reasons, UNCHECKED, Verdict,
    },
    decode::Decoded,
    evaluate::{Evaluation, Evaluator},
    event::{Cents, Column, Instant},
    finding::Finding,
    ledger::{AfterEvent, GroupAfter, Ledger, TrialScope},
    personal,
    rule::{
        CompiledGroup, RuleMode, RuleSet, budget_part,
        compile::{CompiledRule, CompiledView},
    },
};

/// What one evaluation says about the applications of one question, or of several.
pub(super) struct Judged<'j> {
    decoded: &'j Decoded,
    evaluation: &'j Evaluation,
    evaluator: &'j Evaluator,
    ledger: RwLockReadGuard<'j, Ledger>,
    trial: TrialScope,
    after: AfterEvent,
    /// How far the stream has come.
    pub(super) reached: Option<Instant>,
    /// What is found of each.
    pub(super) found: Vec<Verdict>,
    not_evaluated: Vec<NotEvaluated>,
    rules_digest: Arc<str>,
    /// Whether a rule that could have said otherwise has failed.
    pub(super) is_doubtful: bool,
}

impl Sequence {
    /// What an evaluation says of applications that were tried out.
    pub(super) fn judged<'j>(
        &'j mut self,
        (decoded, trial): (&'j Decoded, TrialScope),
        evaluation: &'j Evaluation,
        evaluator: &'j Evaluator,
    ) -> Judged<'j> {
        let rules = evaluator.rules();
        let rules_digest = self.asked.digest_of(rules);
        let (ledger, reached) = (self.sequencer.ledger().read(), self.sequencer.watermark());
        let (after, _) = ledger.try_out(&decoded.events, trial);
        let found = verdicts(evaluation, decoded.types.len());
        let not_evaluated = not_evaluated(rules, evaluation);
        let is_doubtful = failed(rules, evaluation).any(asks_for_something);
        Judged {
            decoded,
            evaluation,
            evaluator,
            ledger,
            trial,
            after,
            reached,
            found,
            not_evaluated,
            rules_digest,
            is_doubtful,
        }
    }
}

impl Judged<'_> {
    /// The answers to a question that asks for all of the applications: they are decided together.
    pub(super) fn decisions(&self, question: &DecisionQuestion) -> Vec<Decision> {
        let blocked = self.found.iter().position(|verdict| *verdict == Verdict::Block);
        let overriding = question.overriding.as_ref().filter(|_| blocked.is_some());
        let overridden = overriding.filter(|granted| covers(&granted.rules, self.evaluation));
        let rows = 0..self.found.len();
        if overridden.is_some() {
            return rows
                .map(|row| self.decision(question, row, (Verdict::Allow, None, overridden)))
                .collect();
        }
        let one = |row: usize| {
            let found = self.found[row];
            let together = blocked.filter(|other| *other != row && found != Verdict::Block);
            self.decision(question, row, (found, together, None))
        };
        rows.map(one).collect()
    }

    /// The answer to a question that asks for the application of a row, and for no other.
    pub(super) fn alone(&self, question: &DecisionQuestion, row: usize) -> Decision {
        self.decision(question, row, (self.found[row], None, None))
    }

    /// The amounts that the line of a row, its plan and its groups had left before the row's own.
    pub(super) fn limits(&self, row: usize) -> Vec<Cents> {
        let (after, amount) = (&self.after, cents(&self.decoded.events, row).as_i128());
        let spent = after.executed[row] + after.reserved[row] - amount;
        let line = [after.total[row] - after.frozen[row] - spent, after.planned[row] - spent];
        let of_group = |group: &GroupAfter| {
            let sums = &group.sums;
            group.keys[row].as_ref()?;
            Some(sums.total[row] - sums.frozen[row] - sums.executed[row] - sums.reserved[row] + amount)
        };
        line.into_iter().chain(after.groups.iter().filter_map(of_group)).map(Cents::new).collect()
    }

    /// The answer about a row: what is found of it, the application that it is blocked with, and the override by which it
    /// passes.
    fn decision(
        &self,
        question: &DecisionQuestion,
        row: usize,
        (found, together, overridden): (Verdict, Option<usize>, Option<&Override>),
    ) -> Decision {
        let (events, after, calendar) = (&self.decoded.events, &self.after, self.evaluator.calendar());
        let rules = self.evaluator.rules();
        let text = |column: Column| events.column(column.index()).as_string_view();
        let (ids, lines) = (text(Column::EventId), text(Column::BudgetLineId));
        let at = Instant::from_micros(times(events).value(row));
        // Nothing is allowed by a rule that could have said otherwise and failed.
        let is_doubtful = question.is_stale || self.is_doubtful;
        let least = if is_doubtful { Verdict::Explain } else { Verdict::Allow };
        let decision = if together.is_some() { Verdict::Block } else { found.max(least) };
        let funds = |reserved| {
            let [total, executed, frozen, planned] =
                [&after.total, &after.executed, &after.frozen, &after.planned]
                    .map(|sums| Cents::new(sums[row]));
            Funds::new([total, executed, frozen, reserved, planned])
        };
        let unchecked = is_unchecked(events, row);
        let ends_at = question.ends_at(at, self.reached).filter(|_| decision != Verdict::Block || unchecked);
        Decision {
            event_id: ids.value(row).to_owned(),
            decision,
            mode: question.mode,
            replayed: false,
            decided_at: calendar.format(question.now),
            occurred_at: calendar.format(at),
            budget_line_id: lines.value(row).to_owned(),
            amount: cents(events, row).to_string(),
            reasons: reasons(self.evaluation, row, rules),
            also: Reasons {
                stale: question.is_stale,
                together_with: together.map(|other| ids.value(other).to_owned()),
            },
            before: funds(self.before(lines, row)),
            after: funds(Cents::new(after.reserved[row])),
            groups: groups(after, row, rules),
            largest_amount: None,
            not_evaluated: self.not_evaluated.clone(),
            sources: question.sources.to_vec(),
            rules_digest: self.rules_digest.to_string(),
            expires_at: ends_at.map(|at| calendar.format(at)),
            asked_by: question.actor.who.clone(),
            subject: subject(events, row),
            overridden: overridden.map(Override::overridden),
            unchecked,
            reserves: None,
        }
    }

    /// What a line had reserved before the application of a row.
    fn before(&self, lines: &StringViewArray, row: usize) -> Cents {
        let name = lines.value(row);
        match (0..self.trial.sees(row)).rev().find(|earlier| lines.value(*earlier) == name) {
            Some(earlier) => Cents::new(self.after.reserved[earlier]),
            None => self.ledger.line(name).map_or(Cents::ZERO, |(line, _)| line.balances.reserved),
        }
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
            after: Funds::new(
                [&sums.total, &sums.executed, &sums.frozen, &sums.reserved, &sums.planned]
                    .map(|sums| Cents::new(sums[row])),
            ),
        })
    };
    rules.groups.iter().zip(&after.groups).filter_map(of).collect()
}

/// Whether the money of an application moved before anybody was asked.
fn is_unchecked(events: &RecordBatch, row: usize) -> bool {
    let tags = events.column(Column::TagList.index()).as_list::<i32>();
    tags.is_valid(row) && tags.value(row).as_string::<i32>().iter().flatten().any(|tag| tag == UNCHECKED)
}

/// What is found of each of so many applications.
pub(super) fn verdicts(evaluation: &Evaluation, rows: usize) -> Vec<Verdict> {
    let mut verdicts = vec![Verdict::Allow; rows];
    for (found, finding) in evaluation.found.iter().zip(&evaluation.findings) {
        if finding.mode == RuleMode::Live {
            verdicts[found.row] = verdicts[found.row].max(Verdict::of(finding.handling));
        }
    }
    verdicts
}

/// Whether these rules are all that block.
fn covers(rules: &[String], evaluation: &Evaluation) -> bool {
    let live = evaluation.findings.iter().filter(|finding| finding.mode == RuleMode::Live);
    let mut blocking = live.filter(|finding| Verdict::of(finding.handling) == Verdict::Block);
    blocking.all(|finding| rules.contains(&finding.rule_id))
}

/// The live rules that hold for a row, the gravest first.
fn reasons(evaluation: &Evaluation, row: usize, rules: &RuleSet) -> Vec<DecisionReason> {
    let of_row = evaluation.found.iter().zip(&evaluation.findings).filter(|(found, _)| found.row == row);
    let live = of_row.filter(|(_, finding)| finding.mode == RuleMode::Live);
    let reason = |(_, finding): (_, &Finding)| {
        let rule = rules.rules.iter().find(|rule| rule.rule.id == finding.rule_id)?;
        let when = rule.when.as_ref().map_or("", |_| &rule.rule.when.text);
        let mut reason = DecisionReason::new(finding, &rule.title, when, rule.rule.basis.as_deref());
        // A program asks: of others than its own payee it learns no account and no name.
        personal::event::mask_finding(&mut reason.values, &mut reason.summary, &rule.personal);
        reason.conjuncts = rule.conjuncts.iter().map(|part| conjunct(part, rule, &reason.values)).collect();
        Some(reason)
    };
    let mut reasons: Vec<_> = live.filter_map(reason).collect();
    reasons.sort_by_key(|reason| std::cmp::Reverse(Verdict::of(reason.handling)));
    reasons
}

/// A part of a condition with what it compares: what was found, and the rule's own parameters.
fn conjunct(
    part: &budget_part::Conjunct,
    rule: &CompiledRule,
    found: &Map<String, Value>,
) -> DecisionConjunct {
    let params = &rule.rule.params;
    let value = |name: &String| match found.get(name) {
        Some(value) => Some(value.clone()),
        None => params
            .iter()
            .find(|(known, _)| name.strip_prefix('$') == Some(known))
            .map(|(_, param)| param.to_json()),
    };
    let values = part.names.iter().filter_map(|name| Some((name.clone(), value(name)?)));
    DecisionConjunct { text: part.text.clone(), values: values.collect() }
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
    Verdict::of(rule.rule.handling) != Verdict::Allow
}
