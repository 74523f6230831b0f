//! The stage that sees the batches in order: duplicates, watermark, ledger.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures::FutureExt;
use tokio::sync::mpsc;

use super::{Decoding, EngineError, Preparing, Silence, asked::Asked, done};
use crate::{
    decision::Decided,
    decode::{Decoded, Decoder},
    engine::{Sequenced, Sequencer, Stages, Step, in_flight::prepare, ticker::Ticker, workers::Workers},
    evaluate::Evaluator,
    rule::RuleSet,
    stream::Block,
};

/// The stage that puts events in order: duplicates, watermark, ledger.
pub(crate) struct Sequence {
    pub decoder: Arc<Decoder>,
    pub sequencer: Sequencer,
    pub evaluator: Arc<RwLock<Arc<Evaluator>>>,
    pub bounded: Arc<AtomicBool>,
    pub silence: Option<Silence>,
    pub workers: Workers,
    pub ticker: Option<Ticker>,
    /// The rules that silence has told the stages behind of: other lists judge again what there is.
    pub told: Option<Arc<RuleSet>>,
    pub asked: Asked,
    pub time_max: Arc<dyn Fn() -> Option<i64> + Send + Sync>,
}

impl Sequence {
    /// Runs until the batches end.
    pub(crate) async fn run(
        mut self,
        mut decoding: mpsc::Receiver<Decoding>,
        out: mpsc::Sender<Preparing>,
    ) -> Result<(), EngineError> {
        self.sequencer.group_for(self.evaluator().rules());
        if self.sequencer.owes() {
            let decoded = self.decoder.decode(&[], None);
            if !self.send(Vec::new(), decoded, Duration::ZERO, Step::Start, &out).await? {
                return Ok(());
            }
        }
        let mut tick = self.silence.as_ref().map(|silence| tokio::time::interval(silence.every));
        loop {
            if !self.release(&out).await? {
                return Ok(());
            }
            let is_their_turn = self.asked.let_others_in();
            if is_their_turn && passed(&mut tick).now_or_never().is_some() && !self.silent(&out).await? {
                return Ok(());
            }
            let batch = if is_their_turn { decoding.try_recv().ok() } else { None };
            let batch = match batch {
                Some(batch) => Some(batch),
                None => tokio::select! {
                    // Somebody waits for the answer before money moves; the stream can wait.
                    biased;
                    question = self.asked.next() => {
                        if !self.answer(question, &out).await? {
                            return Ok(());
                        }
                        continue;
                    }
                    batch = decoding.recv() => batch,
                    () = passed(&mut tick) => {
                        if !self.silent(&out).await? {
                            return Ok(());
                        }
                        continue;
                    }
                },
            };
            let Some(batch) = batch else { break };
            let (blocks, decoded, decode) = done(batch).await?;
            if !self.send(blocks, decoded, decode, Step::Events, &out).await? {
                return Ok(());
            }
        }
        self.asked.close();
        let decoded = self.decoder.decode(&[], None);
        let bounded = self.bounded.load(Ordering::SeqCst);
        self.send(Vec::new(), decoded, Duration::ZERO, Step::End { bounded }, &out).await?;
        Ok(())
    }

    pub(super) fn evaluator(&self) -> Arc<Evaluator> {
        let evaluator = self.evaluator.read().map(|e| Arc::clone(&e));
        evaluator.unwrap_or_else(|e| Arc::clone(&e.into_inner()))
    }

    /// Moves the watermark of silent sources with the clock. `false` if nobody takes batches any more.
    async fn silent(&mut self, out: &mpsc::Sender<Preparing>) -> Result<bool, EngineError> {
        let rules = self.evaluator.read().map(|e| Arc::clone(e.rules()));
        let rules = rules.unwrap_or_else(|e| Arc::clone(e.into_inner().rules()));
        // Who looks at groups before the first event sees them.
        self.sequencer.group_for(&rules);
        let known =
            self.told.as_ref().is_some_and(|told| Arc::ptr_eq(told, &rules)) || rules.lists.is_empty();
        if known && !self.sequencer.is_silent(self.now()) {
            return Ok(true);
        }
        let decoded = self.decoder.decode(&[], None);
        self.send(Vec::new(), decoded, Duration::ZERO, Step::Silence, out).await
    }

    fn now(&self) -> (i64, i64) {
        self.silence.as_ref().map_or((0, i64::MAX), |silence| ((silence.now)(), silence.idle))
    }

    /// Sequences a batch and has its parts prepared. `false` if nobody takes them any more.
    pub(super) async fn send(
        &mut self,
        blocks: Vec<Block>,
        decoded: Decoded,
        decode: Duration,
        step: Step,
        out: &mpsc::Sender<Preparing>,
    ) -> Result<bool, EngineError> {
        let evaluator = self.evaluator();
        self.send_decided((blocks, decoded, decode), step, (Vec::new(), evaluator), out).await
    }

    /// The same of a batch whose first events are applications that were decided, by the rules that decided them.
    pub(super) async fn send_decided(
        &mut self,
        (blocks, decoded, decode): (Vec<Block>, Decoded, Duration),
        step: Step,
        (decided, evaluator): (Vec<Decided>, Arc<Evaluator>),
        out: &mpsc::Sender<Preparing>,
    ) -> Result<bool, EngineError> {
        let started = Instant::now();
        let mut unknown_fields = decoded.unknown_fields.clone();
        if !self.ticker.as_ref().is_some_and(|ticker| ticker.is_for(evaluator.rules())) {
            self.ticker = None;
        }
        self.told = Some(Arc::clone(evaluator.rules()));
        let now = self.now();
        let new_ticker = || Ticker::new(evaluator.rules(), evaluator.calendar());
        let ticker = self.ticker.get_or_insert_with(new_ticker);
        let mut parts = self.sequencer.sequence(&blocks, decoded, step, now, ticker)?;
        hand_out(decided, &mut parts);
        let mut stages = Stages { decode, sequence: started.elapsed(), ..Stages::default() };
        let (mut blocks, last) = (Some(blocks), parts.len() - 1);
        for (number, part) in parts.into_iter().enumerate() {
            let is_last = number == last;
            let step = if is_last { step } else { Step::Events };
            let blocks = blocks.take_if(|_| is_last).unwrap_or_default();
            let fields = if is_last { std::mem::take(&mut unknown_fields) } else { BTreeMap::new() };
            let (stages, evaluator) = (std::mem::take(&mut stages), Arc::clone(&evaluator));
            let piece =
                self.workers.work(move || Ok(prepare(blocks, part, fields, &evaluator, stages, step)));
            if out.send(piece).await.is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// What was decided goes with its application, in whichever part of the batch that is.
fn hand_out(decided: Vec<Decided>, parts: &mut [Sequenced]) {
    let mut decided = decided.into_iter();
    for part in parts {
        part.decided.extend(decided.by_ref().take(part.types.len()));
    }
}

async fn passed(tick: &mut Option<tokio::time::Interval>) {
    match tick {
        Some(tick) => drop(tick.tick().await),
        None => std::future::pending().await,
    }
}
