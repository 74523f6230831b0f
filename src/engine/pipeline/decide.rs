//! What is asked before money moves. A question is tried out on the state as it is, by the same rules and windows as the
//! stream, while nothing else comes in; then the applications go into the stream, and what is blocked is withdrawn right
//! behind them. So replay and backtest need to know nothing of decisions.

use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError},
    time::Duration,
};

use arrow::{
    array::{AsArray, Decimal128Array, UInt32Array},
    compute::take_record_batch,
    datatypes::{Decimal128Type, TimestampMicrosecondType},
    record_batch::RecordBatch,
};
use tokio::sync::{mpsc, oneshot};

use super::{EngineError, Preparing, order::Sequence};
use crate::{
    decision::{
        Decided, Decision, Funds, Mode, NotEvaluated, Question, Reason, Reasons, Release, Unanswered, Verdict,
        withdrawal,
    },
    decode::Decoded,
    engine::{Stages, Step, in_flight::prepare},
    evaluate::Evaluation,
    event::{Column, EventType, money::format_cents},
    ledger::Trial,
    rule::{Mode as RuleMode, RuleSet, compile::CompiledView},
    say,
    stream::{Block, Payload},
};

/// Questions that are answered in a row while batches wait.
const IN_A_ROW: u32 = 16;
/// Amounts that are tried out together, in search of the largest one that passes.
const AMOUNTS: i128 = 32;

/// What is asked beside the stream, and the reservations that end by themselves.
#[derive(Debug, Default)]
pub struct Asked {
    questions: Option<mpsc::Receiver<Question>>,
    /// The source of applications, and of what withdraws them.
    source: Arc<str>,
    releases: BTreeSet<Release>,
    in_a_row: u32,
}

impl Asked {
    /// Questions to answer, and what an earlier process left to be released of a source.
    #[must_use]
    pub fn new(
        questions: mpsc::Receiver<Question>,
        source: &str,
        releases: impl IntoIterator<Item = Release>,
    ) -> Self {
        let (questions, source) = (Some(questions), Arc::from(source));
        Self { questions, source, releases: releases.into_iter().collect(), in_a_row: 0 }
    }

    /// The next question. Without one it waits for ever.
    pub async fn next(&mut self) -> Question {
        if let Some(questions) = &mut self.questions
            && let Some(question) = questions.recv().await
        {
            self.in_a_row += 1;
            return question;
        }
        self.questions = None;
        std::future::pending().await
    }

    /// Whether it is the stream's turn, after many questions.
    pub fn let_others_in(&mut self) -> bool {
        let is_their_turn = self.in_a_row >= IN_A_ROW;
        if is_their_turn {
            self.in_a_row = 0;
        }
        is_their_turn
    }

    /// Takes no more questions.
    pub fn close(&mut self) {
        self.questions = None;
    }
}

/// A question that was read.
struct Read {
    question: Question,
    decoded: Decoded,
}

impl Sequence {
    /// Answers a question. `false` if nobody takes batches any more.
    pub(super) async fn answer(
        &mut self,
        question: Question,
        out: &mpsc::Sender<Preparing>,
    ) -> Result<bool, EngineError> {
        let decoded = self.decoder.decode(std::slice::from_ref(&question.block), (self.time_max)());
        let refused = match unreadable(&decoded) {
            Some(why) => Some(Unanswered::Unreadable(why)),
            None => self.sequencer.refuses(&decoded)?,
        };
        if let Some(refused) = refused {
            let _ = question.answer.send(Err(refused));
            return Ok(true);
        }
        let read = Read { question, decoded };
        let Some(evaluation) = self.try_out(&read.decoded, Trial::Together, out).await? else {
            return Ok(false);
        };
        let mut decisions = self.decisions(&read, &evaluation);
        if let [decision] = &mut decisions[..]
            && decision.decision == Verdict::Block
        {
            let Some(largest) = self.largest(&read.decoded, out).await? else { return Ok(false) };
            decision.largest_amount = largest.map(format_cents);
        }
        let Read { question, decoded } = read;
        if question.mode == Mode::WhatIf {
            let _ = question.answer.send(Ok(decisions));
            return Ok(true);
        }
        let decided = self.decided(&decisions, &decoded, &question);
        let _ = question.answer.send(Ok(decisions));
        self.journal(question.block, decided, out).await
    }

    /// Puts decided applications into the stream, and behind them the withdrawals of what is blocked.
    async fn journal(
        &mut self,
        block: Block,
        decided: Vec<Decided>,
        out: &mpsc::Sender<Preparing>,
    ) -> Result<bool, EngineError> {
        let blocked = decided.iter().map(|d| &d.decision).filter(|d| d.decision == Verdict::Block);
        let withdrawals: Vec<_> =
            blocked.map(|d| withdrawal(&d.event_id, &d.budget_line_id, &d.occurred_at)).collect();
        let later = decided.iter().filter(|d| d.decision.decision != Verdict::Block);
        let later = later.filter_map(|d| Some(release_of(d.expires_at?, &d.decision)));
        self.asked.releases.extend(later.collect::<Vec<_>>());
        let block = with_messages(block, &withdrawals);
        let blocks = vec![block];
        let decoded = self.decoder.decode(&blocks, (self.time_max)());
        self.send_decided((blocks, decoded, Duration::ZERO), Step::Events, decided, out).await
    }

    /// Withdraws the applications whose time is over. `false` if nobody takes batches any more.
    pub(super) async fn release(&mut self, out: &mpsc::Sender<Preparing>) -> Result<bool, EngineError> {
        while let Some(first) = self.asked.releases.first()
            && first.at <= self.sequencer.watermark()
            && let Some(Release { at, event_id, budget_line_id }) = self.asked.releases.pop_first()
        {
            let is_open = {
                let ledger = self.sequencer.ledger().read().unwrap_or_else(PoisonError::into_inner);
                ledger.reserved_by(&event_id).is_some()
            };
            if !is_open {
                continue;
            }
            let at = self.evaluator().calendar().format(at);
            let source = Arc::clone(&self.asked.source);
            let payload = messages(&[withdrawal(&event_id, &budget_line_id, &at)]);
            let blocks = vec![Block::new(source, Arc::from("expired"), 0, payload)];
            let decoded = self.decoder.decode(&blocks, None);
            if !self.send(blocks, decoded, Duration::ZERO, Step::Events, out).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What would be found of these applications now; `None` if the stages behind have ended.
    async fn try_out(
        &mut self,
        decoded: &Decoded,
        trial: Trial,
        out: &mpsc::Sender<Preparing>,
    ) -> Result<Option<Evaluation>, EngineError> {
        let evaluator = self.evaluator();
        let sequenced = self.sequencer.try_out(decoded, trial, evaluator.calendar());
        let (told, answer) = oneshot::channel();
        let piece = self.workers.work(move || {
            let fields = std::collections::BTreeMap::new();
            let (mut in_flight, prepared) =
                prepare(Vec::new(), sequenced, fields, &evaluator, Stages::default(), Step::Events);
            in_flight.trial = Some((trial, told));
            Ok((in_flight, prepared))
        });
        if out.send(piece).await.is_err() {
            return Ok(None);
        }
        Ok(answer.await.ok())
    }

    /// The largest amount that an application would not be blocked for, in cents; the outer `None` if the stages behind have
    /// ended. Amounts are halved, or rather cut into many parts, so that a rule that blocks only a range is not looked
    /// through: the amount that is told was tried out and passes.
    async fn largest(
        &mut self,
        decoded: &Decoded,
        out: &mpsc::Sender<Preparing>,
    ) -> Result<Option<Option<i128>>, EngineError> {
        let (mut passes, mut blocked) = (0, cents(&decoded.events, 0));
        while blocked - passes > 1 {
            let step = ((blocked - passes) / (AMOUNTS + 1)).max(1);
            let amounts: Vec<_> = (1..=AMOUNTS).map(|n| passes + n * step).filter(|a| *a < blocked).collect();
            let variants = variants(decoded, &amounts);
            let Some(evaluation) = self.try_out(&variants, Trial::Apart, out).await? else { return Ok(None) };
            let verdicts = verdicts(&evaluation, amounts.len());
            let at = verdicts.iter().position(|verdict| *verdict == Verdict::Block).unwrap_or(amounts.len());
            blocked = amounts.get(at).copied().unwrap_or(blocked);
            passes = at.checked_sub(1).map_or(passes, |at| amounts[at]);
        }
        Ok(Some(Some(passes).filter(|cents| *cents > 0)))
    }

    fn decided(&self, decisions: &[Decision], decoded: &Decoded, question: &Question) -> Vec<Decided> {
        let times = times(&decoded.events);
        let one = |(row, decision): (usize, &Decision)| Decided {
            decision: decision.clone(),
            content: decoded.contents[row],
            at: times.value(row),
            expires_at: question.expires_in.map(|after| times.value(row).saturating_add(after)),
            actor: question.actor.clone(),
            asked_at: question.now,
        };
        decisions.iter().enumerate().map(one).collect()
    }

    /// The answers about applications, by what would be found of them.
    fn decisions(&self, read: &Read, evaluation: &Evaluation) -> Vec<Decision> {
        let Read { question, decoded } = read;
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
                Funds::new([after.total[row], after.executed[row], after.frozen[row], reserved, after.planned[row]])
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
            }
        };
        (0..decoded.types.len()).map(one).collect()
    }
}

/// What a line had reserved before the application of a row.
fn before(
    after: &[i128],
    lines: &arrow::array::StringViewArray,
    row: usize,
    amount: i128,
) -> i128 {
    let earlier = (0..row).rev().find(|earlier| lines.value(*earlier) == lines.value(row));
    earlier.map_or(after[row] - amount, |earlier| after[earlier])
}

fn release_of(at: i64, decision: &Decision) -> Release {
    let (event_id, budget_line_id) = (decision.event_id.clone(), decision.budget_line_id.clone());
    Release { at, event_id, budget_line_id }
}

/// Why records are no applications that can be decided.
fn unreadable(decoded: &Decoded) -> Option<String> {
    if let Some(reject) = decoded.rejects.first() {
        return Some(format!("{}: {}", reject.reason.code(), reject.detail));
    }
    let other = decoded.types.iter().find(|event_type| **event_type != EventType::Application);
    if let Some(other) = other {
        return Some(say!("applications are decided, and this is of type {name}", name = other.name()));
    }
    let mut ids: Vec<_> = decoded.ids.clone();
    ids.sort_unstable();
    ids.windows(2).any(|pair| pair[0] == pair[1]).then(|| say!("two applications have the same event_id"))
}

/// What is found of each of so many applications.
fn verdicts(evaluation: &Evaluation, rows: usize) -> Vec<Verdict> {
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
    let reason = |(_, finding): (_, &crate::finding::Finding)| {
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
    let rows: String = rules.digests().map(|(id, digest)| format!("{id} {digest}\n")).collect();
    format!("{:032x}", xxhash_rust::xxh3::xxh3_128(rows.as_bytes()))
}

/// The same application with other amounts.
fn variants(decoded: &Decoded, amounts: &[i128]) -> Decoded {
    let rows = UInt32Array::from(vec![0; amounts.len()]);
    let copies = take_record_batch(&decoded.events, &rows).expect("the first row is there");
    let at = Column::Amount.index();
    let mut columns = copies.columns().to_vec();
    let values = Decimal128Array::from_iter_values(amounts.iter().copied());
    let values = values.with_data_type(columns[at].data_type().clone());
    columns[at] = Arc::new(values);
    let events = RecordBatch::try_new(copies.schema(), columns).expect("the columns of the batch");
    decoded.alike(events)
}

fn cents(events: &RecordBatch, row: usize) -> i128 {
    events.column(Column::Amount.index()).as_primitive::<Decimal128Type>().value(row)
}

fn times(events: &RecordBatch) -> &arrow::array::TimestampMicrosecondArray {
    events.column(Column::OccurredAt.index()).as_primitive::<TimestampMicrosecondType>()
}

fn messages(records: &[Vec<u8>]) -> Payload {
    let mut data = Vec::new();
    let mut ends = Vec::with_capacity(records.len());
    for (number, record) in (0..).zip(records) {
        data.extend_from_slice(record);
        ends.push((u32::try_from(data.len()).unwrap_or(u32::MAX), number));
    }
    Payload::Messages { data: data.into(), ends }
}

/// The block with more messages behind its own.
fn with_messages(block: Block, more: &[Vec<u8>]) -> Block {
    let Payload::Messages { data, ends } = &block.payload else { return block };
    let mut records: Vec<Vec<u8>> = Vec::with_capacity(ends.len() + more.len());
    let mut start = 0;
    for (end, _) in ends {
        records.push(data[start..*end as usize].to_vec());
        start = *end as usize;
    }
    records.extend_from_slice(more);
    Block { payload: messages(&records), records: records.len(), ..block }
}
