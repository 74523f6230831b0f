//! Applications of one question that are decided one after another, and nothing of it has consequences: each sees the ones
//! before it that would reserve their amounts, as they would if each were asked for alone.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{
    EngineError, Preparing,
    decide::{is_withdrawn, some},
    order::Sequence,
};
use crate::{
    decision::{Decision, DecisionQuestion, Verdict},
    decode::Decoded,
    evaluate::Evaluator,
    ledger::TrialScope,
};

impl Sequence {
    /// Answers a question whose applications can be decided. `false` if nobody takes batches any more.
    pub(super) async fn answer_one_by_one(
        &mut self,
        question: DecisionQuestion,
        decoded: &Decoded,
        evaluator: &Arc<Evaluator>,
        out: &mpsc::Sender<Preparing>,
    ) -> Result<bool, EngineError> {
        let Some(decisions) = self.one_by_one(&question, decoded, evaluator, out).await? else {
            return Ok(false);
        };
        // Whoever asked may have gone.
        let _ = question.answer.send(Ok(decisions));
        Ok(true)
    }

    /// One evaluation answers all up to the first that is blocked, which the next does not see.
    async fn one_by_one(
        &mut self,
        question: &DecisionQuestion,
        decoded: &Decoded,
        evaluator: &Arc<Evaluator>,
        out: &mpsc::Sender<Preparing>,
    ) -> Result<Option<Vec<Decision>>, EngineError> {
        let count = decoded.types.len();
        let (mut decisions, mut reserving): (Vec<Decision>, Vec<usize>) = (Vec::new(), Vec::new());
        while decisions.len() < count {
            let (next, behind) = (decisions.len(), reserving.len());
            let rows: Vec<usize> = reserving.iter().copied().chain(next..count).collect();
            let asked = some(decoded, &rows);
            let Some(evaluation) = self.try_out(&asked, TrialScope::Together, evaluator, out).await? else {
                return Ok(None);
            };
            let blocked = {
                let judged = self.judged((&asked, TrialScope::Together), &evaluation, evaluator);
                let blocks = |place: &usize| judged.found[*place] == Verdict::Block;
                let blocked = (behind..rows.len()).find(blocks);
                let answered = rows.iter().enumerate().take(blocked.map_or(rows.len(), |place| place + 1));
                for (place, row) in answered.skip(behind) {
                    let decision = judged.alone(question, place);
                    reserving.extend((!is_withdrawn(&decision)).then_some(*row));
                    decisions.push(decision);
                }
                blocked.map(|place| (place, judged.limits(place)))
            };
            if let (Some((place, likely)), Some(decision)) = (blocked, decisions.last_mut()) {
                let Some(largest) = self.largest((&asked, place), likely, evaluator, out).await? else {
                    return Ok(None);
                };
                decision.largest_amount = largest.map(|cents| cents.to_string());
            }
        }
        Ok(Some(decisions))
    }
}
