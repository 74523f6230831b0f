//! Questions that wait behind one another, answered by one evaluation where that gives each the answer that it would get by
//! itself: so a queue is not longer than the time that one of them takes.

use tokio::sync::mpsc;

use super::{
    EngineError, Preparing,
    decide::{decided_of, unreadable},
    order::Sequence,
};
use crate::{
    decision::{DecisionMode, DecisionQuestion, Verdict},
    decode::Decoded,
    engine::ports::PortError,
    ledger::TrialScope,
    stream::Block,
};

impl Sequence {
    /// Answers a question and those that wait behind it, in their order. `false` if nobody takes batches any more.
    pub(super) async fn answer(
        &mut self,
        first: DecisionQuestion,
        out: &mpsc::Sender<Preparing>,
    ) -> Result<bool, EngineError> {
        self.asked.came(self.now().0);
        let mut waiting = self.asked.with_those_behind(first);
        while waiting.len() > 1 {
            let Some(decoded) = self.readable(&waiting)? else { break };
            let Some(left) = self.answer_some(waiting, decoded, out).await? else { return Ok(false) };
            waiting = left;
            // What comes next is blocked, or cannot be judged together with others.
            if !waiting.is_empty() && !self.answer_alone(waiting.remove(0), out).await? {
                return Ok(false);
            }
        }
        for question in waiting {
            if !self.answer_alone(question, out).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The applications of questions, where each asks for a single one and nothing is wrong with any.
    fn readable(&mut self, questions: &[DecisionQuestion]) -> Result<Option<Decoded>, EngineError> {
        let blocks: Vec<Block> = questions.iter().map(|question| question.block.copy()).collect();
        let mut decoded = self.decoder.decode(&blocks, (self.time_max)());
        let is_one_each = decoded.origins.are_one_a_block();
        let is_sound = is_one_each && unreadable(&decoded).is_none();
        Ok((is_sound && self.sequencer.refuses(&mut decoded)?.is_none()).then_some(decoded))
    }

    /// Answers as many questions as one evaluation can, and says which are left; `None` if the stages behind have ended.
    ///
    /// Of applications that are decided, each sees those before it reserve their amounts. So the answers hold up to the first
    /// that is blocked, which is withdrawn before the next is looked at. What is only asked sees none of the others.
    async fn answer_some(
        &mut self,
        questions: Vec<DecisionQuestion>,
        decoded: Decoded,
        out: &mpsc::Sender<Preparing>,
    ) -> Result<Option<Vec<DecisionQuestion>>, EngineError> {
        let mode = questions[0].mode;
        let trial = if mode == DecisionMode::Commit { TrialScope::Together } else { TrialScope::Apart };
        let evaluator = self.evaluator();
        let Some(evaluation) = self.try_out(&decoded, trial, &evaluator, out).await? else { return Ok(None) };
        let (mut left, mut blocks, mut decided, mut answers) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        {
            let judged = self.judged((&decoded, trial), &evaluation, &evaluator);
            // A rule that failed for one row would cast its doubt on all.
            let first_blocked = judged.found.iter().position(|verdict| *verdict == Verdict::Block);
            let holds = |row: usize| match (mode, first_blocked) {
                _ if judged.is_doubtful => false,
                (DecisionMode::Commit, Some(blocked)) => row < blocked,
                _ => judged.found[row] != Verdict::Block,
            };
            for (row, question) in questions.into_iter().enumerate() {
                if !holds(row) {
                    left.push(question);
                    continue;
                }
                let decision = judged.alone(&question, row);
                if mode == DecisionMode::Commit {
                    decided.push(decided_of(&decision, (&decoded, row), (&question, judged.reached)));
                }
                blocks.push(question.block);
                answers.push((question.answer, decision));
            }
        }
        if mode == DecisionMode::Commit && !blocks.is_empty() {
            crate::failpoint::reach("decide.decided").map_err(PortError::new)?;
        }
        for (answer, decision) in answers {
            // Whoever asked may have gone.
            let _ = answer.send(Ok(vec![decision]));
        }
        if mode == DecisionMode::Commit
            && !blocks.is_empty()
            && !self.journal(blocks, (decided, evaluator), out).await?
        {
            return Ok(None);
        }
        Ok(Some(left))
    }
}
