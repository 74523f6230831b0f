//! What is asked before money moves. A question is tried out on the state as it is, by the same rules and windows as the
//! stream, while nothing else comes in; then the applications go into the stream, and what is blocked is withdrawn right
//! behind them. So replay and backtest need to know nothing of decisions.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::{Array, AsArray, Decimal128Array, TimestampMicrosecondArray, UInt32Array},
    compute::take_record_batch,
    datatypes::{Decimal128Type, TimestampMicrosecondType},
    record_batch::RecordBatch,
    util::display::array_value_to_string,
};
use tokio::sync::{mpsc, oneshot};

use super::{EngineError, Preparing, answers::verdicts, order::Sequence};
use crate::{
    decision::{
        Decided, Decision, DecisionMode, DecisionQuestion, Passing, Release, Several, Unanswered, Verdict,
        withdrawal,
    },
    decode::Decoded,
    engine::{
        SequenceCause, Stages, in_flight::prepare, joined::JoinedParts, ports::PortError, workers::Workers,
    },
    evaluate::{Evaluation, Evaluator},
    event::{Cents, Column, EventType, Instant},
    ledger::TrialScope,
    say,
    stream::{Block, Payload},
};

/// Amounts that are tried out together, in search of the largest one that passes.
const AMOUNTS: i128 = 32;

impl Sequence {
    /// Answers a question by itself. `false` if nobody takes batches any more.
    pub(super) async fn answer_alone(
        &mut self,
        question: DecisionQuestion,
        out: &mpsc::Sender<Preparing>,
    ) -> Result<bool, EngineError> {
        let mut decoded = self.decoder.decode(std::slice::from_ref(&question.block), (self.time_max)());
        let refused = match unreadable(&decoded) {
            Some(why) => Some(Unanswered::Unreadable(why)),
            None => self.sequencer.refuses(&mut decoded)?,
        };
        let refused = refused.or_else(|| self.not_overridden(&question, &decoded));
        if let Some(refused) = refused {
            let _ = question.answer.send(Err(refused));
            return Ok(true);
        }
        let evaluator = self.evaluator();
        if question.several == Several::OneByOne {
            return self.answer_one_by_one(question, &decoded, &evaluator, out).await;
        }
        let Some(evaluation) = self.try_out(&decoded, TrialScope::Together, &evaluator, out).await? else {
            return Ok(false);
        };
        let (mut decisions, likely) = {
            let judged = self.judged((&decoded, TrialScope::Together), &evaluation, &evaluator);
            (judged.decisions(&question), judged.limits(0))
        };
        if let [decision] = &mut decisions[..]
            && decision.decision == Verdict::Block
        {
            let Some(largest) = self.largest((&decoded, 0), likely, &evaluator, out).await? else {
                return Ok(false);
            };
            decision.largest_amount = largest.map(|cents| cents.to_string());
        }
        if question.mode == DecisionMode::WhatIf {
            let _ = question.answer.send(Ok(decisions));
            return Ok(true);
        }
        if let (Some(granted), [decision]) = (&question.overriding, &decisions[..])
            && decision.overridden.is_some()
        {
            self.asked.uses(granted, &decision.event_id, question.now);
        }
        let decided = decided(&decisions, (&decoded, self.sequencer.watermark()), &question);
        crate::failpoint::reach("decide.decided").map_err(PortError::new)?;
        let _ = question.answer.send(Ok(decisions));
        self.journal(vec![question.block], (decided, evaluator), out).await
    }

    /// Why the override of a question does not let its application pass.
    fn not_overridden(&self, question: &DecisionQuestion, decoded: &Decoded) -> Option<Unanswered> {
        let granted = question.overriding.as_ref()?;
        let [event_type] = decoded.types[..] else {
            return Some(Unanswered::NotOverridden(say!(
                "an override is for one application, asked for alone"
            )));
        };
        debug_assert_eq!(event_type, EventType::Application);
        let lines = decoded.events.column(Column::BudgetLineId.index()).as_string_view();
        let passing = Passing {
            who: &question.actor.who,
            budget_line_id: lines.value(0),
            subject: &subject(&decoded.events, 0),
            cents: cents(&decoded.events, 0),
        };
        let granted = self.asked.as_used(granted);
        granted.lets_pass(passing, question.now).err().map(Unanswered::NotOverridden)
    }

    /// Puts decided applications into the stream, and behind them the withdrawals of what is blocked. They are judged by the
    /// rules that decided them, though others may have come into force since.
    pub(super) async fn journal(
        &mut self,
        mut blocks: Vec<Block>,
        (decided, evaluator): (Vec<Decided>, Arc<Evaluator>),
        out: &mpsc::Sender<Preparing>,
    ) -> Result<bool, EngineError> {
        let blocked = decided.iter().map(|d| &d.decision).filter(|d| is_withdrawn(d));
        let withdrawals: Vec<_> =
            blocked.map(|d| withdrawal(&d.event_id, &d.budget_line_id, &d.occurred_at)).collect();
        let later = decided.iter().filter(|d| !is_withdrawn(&d.decision));
        let later = later.filter_map(|d| Some(release_of(d.expires_at?, &d.decision)));
        self.asked.releases.extend(later.collect::<Vec<_>>());
        // They are events as they are, whatever a map makes of what is asked.
        if let (Some(block), false) = (blocks.first(), withdrawals.is_empty()) {
            let (source, partition) = (Arc::clone(&block.source), Arc::clone(&block.partition));
            blocks.push(Block::new(source, partition, 0, Payload::messages(&withdrawals)).plain());
        }
        let decoded = self.decoder.decode(&blocks, (self.time_max)());
        self.send_decided((blocks, decoded), SequenceCause::Events, (decided, evaluator), out).await
    }

    /// Withdraws the applications whose time is over. `false` if nobody takes batches any more.
    pub(super) async fn release(&mut self, out: &mpsc::Sender<Preparing>) -> Result<bool, EngineError> {
        while let Some(first) = self.asked.releases.first()
            && Some(first.due) <= self.sequencer.watermark()
            && let Some(Release { at, event_id, budget_line_id, .. }) = self.asked.releases.pop_first()
        {
            let is_open = {
                let ledger = self.sequencer.ledger().read();
                ledger.reserved_by(&event_id).is_some()
            };
            if !is_open {
                continue;
            }
            let at = self.evaluator().calendar().format(at);
            let source = Arc::clone(&self.asked.source);
            let payload = Payload::messages(&[withdrawal(&event_id, &budget_line_id, &at)]);
            let blocks = vec![Block::new(source, Arc::from("expired"), 0, payload).plain()];
            let decoded = self.decoder.decode(&blocks, None);
            let nothing = (Vec::new(), self.evaluator());
            if !self.send_decided((blocks, decoded), SequenceCause::Events, nothing, out).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What would be found of these applications now; `None` if the stages behind have ended.
    pub(super) async fn try_out(
        &mut self,
        decoded: &Decoded,
        trial: TrialScope,
        evaluator: &Arc<Evaluator>,
        out: &mpsc::Sender<Preparing>,
    ) -> Result<Option<Evaluation>, EngineError> {
        let evaluator = Arc::clone(evaluator);
        let parts = JoinedParts::single(self.sequencer.try_out(decoded, trial, &evaluator));
        let (told, answer) = oneshot::channel();
        let piece = Workers::work_at_once(move || {
            let fields = BTreeMap::new();
            let (mut in_flight, prepared) =
                prepare(Vec::new(), parts, fields, &evaluator, Stages::default(), SequenceCause::Events);
            in_flight.trial = Some((trial, told));
            Ok((in_flight, prepared))
        });
        if out.send(piece).await.is_err() {
            return Ok(None);
        }
        Ok(answer.await.ok())
    }

    /// The largest amount that the last application would not be blocked for, which comes behind so many others; the outer
    /// `None` if the stages behind have ended. Amounts are halved, or rather cut into many parts, so that a rule that blocks
    /// only a range is not looked through: the amount that is told was tried out and passes. First come those that a limit is
    /// `likely` to stand at.
    pub(super) async fn largest(
        &mut self,
        (decoded, behind): (&Decoded, usize),
        mut likely: Vec<Cents>,
        evaluator: &Arc<Evaluator>,
        out: &mpsc::Sender<Preparing>,
    ) -> Result<Option<Option<Cents>>, EngineError> {
        let (mut passes, mut blocked) = (0, cents(&decoded.events, behind).as_i128());
        while blocked - passes > 1 {
            let step = ((blocked - passes) / (AMOUNTS + 1)).max(1);
            let likely = std::mem::take(&mut likely)
                .into_iter()
                .flat_map(|limit| [limit.as_i128(), limit.as_i128() + 1]);
            let amounts = (1..=AMOUNTS).map(|n| passes + n * step).chain(likely);
            let mut amounts: Vec<_> = amounts.filter(|a| (passes + 1..blocked).contains(a)).collect();
            amounts.sort_unstable();
            amounts.dedup();
            let (variants, scope) = (variants((decoded, behind), &amounts), TrialScope::Behind(behind));
            let Some(evaluation) = self.try_out(&variants, scope, evaluator, out).await? else {
                return Ok(None);
            };
            let verdicts = verdicts(&evaluation, behind + amounts.len()).split_off(behind);
            let at = verdicts.iter().position(|verdict| *verdict == Verdict::Block).unwrap_or(amounts.len());
            blocked = amounts.get(at).copied().unwrap_or(blocked);
            passes = at.checked_sub(1).map_or(passes, |at| amounts[at]);
        }
        Ok(Some(Some(Cents::new(passes)).filter(|cents| *cents > Cents::ZERO)))
    }
}

/// What is stored of the decisions about all rows.
fn decided(
    decisions: &[Decision],
    (decoded, reached): (&Decoded, Option<Instant>),
    question: &DecisionQuestion,
) -> Vec<Decided> {
    let of = |(row, decision)| decided_of(decision, (decoded, row), (question, reached));
    decisions.iter().enumerate().map(of).collect()
}

/// What is stored of the decision about a row, made when the stream had come to `reached`.
pub(super) fn decided_of(
    decision: &Decision,
    (decoded, row): (&Decoded, usize),
    (question, reached): (&DecisionQuestion, Option<Instant>),
) -> Decided {
    let at = Instant::from_micros(times(&decoded.events).value(row));
    Decided {
        decision: decision.clone(),
        content: decoded.contents[row],
        at,
        expires_at: question.ends_at(at, reached),
        actor: question.actor.clone(),
        asked_at: question.now,
    }
}

/// Whether an application is taken out of the books again: its money must not move, and has not.
pub(super) fn is_withdrawn(decision: &Decision) -> bool {
    decision.decision == Verdict::Block && !decision.unchecked
}

fn release_of(at: Instant, decision: &Decision) -> Release {
    let (event_id, budget_line_id) = (decision.event_id.clone(), decision.budget_line_id.clone());
    Release { due: at, at, event_id, budget_line_id }
}

/// Why records are no applications that can be decided; of several it says which one.
pub(super) fn unreadable(decoded: &Decoded) -> Option<String> {
    let is_single = decoded.types.len() + decoded.rejects.len() <= 1;
    let which = |number: u64, why: String| match is_single {
        true => why,
        false => say!("application {number}: {why}", number, why),
    };
    if let Some(reject) = decoded.rejects.first() {
        return Some(which(reject.record + 1, format!("{}: {}", reject.reason.code(), reject.detail)));
    }
    if decoded.skipped.iter().any(|count| *count > 0) {
        return Some(say!("the map of what is posted leaves a record out (`when`), so it is no application"));
    }
    let other = decoded.types.iter().position(|event_type| *event_type != EventType::Application);
    if let Some(row) = other {
        let why =
            say!("applications are decided, and this is of type {name}", name = decoded.types[row].name());
        return Some(which(row as u64 + 1, why));
    }
    let mut ids: Vec<_> = decoded.ids.clone();
    ids.sort_unstable();
    ids.windows(2).any(|pair| pair[0] == pair[1]).then(|| say!("two applications have the same event_id"))
}

/// Some of the applications.
pub(super) fn some(decoded: &Decoded, rows: &[usize]) -> Decoded {
    let rows = UInt32Array::from_iter_values(rows.iter().filter_map(|row| u32::try_from(*row).ok()));
    decoded.alike(take_record_batch(&decoded.events, &rows).expect("rows of the batch"))
}

/// The first so many applications, and the one behind them with other amounts.
fn variants((decoded, behind): (&Decoded, usize), amounts: &[i128]) -> Decoded {
    let rows: Vec<usize> = (0..behind).chain(amounts.iter().map(|_| behind)).collect();
    let copies = some(decoded, &rows).events;
    let at = Column::Amount.index();
    let mut columns = copies.columns().to_vec();
    let before = (0..behind).map(|row| cents(&decoded.events, row).as_i128());
    let values = Decimal128Array::from_iter_values(before.chain(amounts.iter().copied()));
    let values = values.with_data_type(columns[at].data_type().clone());
    columns[at] = Arc::new(values);
    let events = RecordBatch::try_new(copies.schema(), columns).expect("the columns of the batch");
    decoded.alike(events)
}

pub(super) fn cents(events: &RecordBatch, row: usize) -> Cents {
    Cents::new(events.column(Column::Amount.index()).as_primitive::<Decimal128Type>().value(row))
}

/// A digest of what an application is about: all of it but its id, its times and its amount.
pub(super) fn subject(events: &RecordBatch, row: usize) -> String {
    const APART: [Column; 4] = [Column::EventId, Column::OccurredAt, Column::RecordedAt, Column::Amount];
    let mut hash = blake3::Hasher::new();
    for column in Column::ALL.iter().filter(|column| !APART.contains(column)) {
        let values = events.column(column.index());
        if values.is_valid(row) {
            let text = array_value_to_string(values, row).unwrap_or_default();
            hash.update(column.spec().name.as_bytes());
            hash.update(&text.len().to_le_bytes());
            hash.update(text.as_bytes());
        }
    }
    hash.finalize().to_hex().to_string()
}

pub(super) fn times(events: &RecordBatch) -> &TimestampMicrosecondArray {
    events.column(Column::OccurredAt.index()).as_primitive::<TimestampMicrosecondType>()
}
