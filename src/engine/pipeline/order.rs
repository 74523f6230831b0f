//! The stage that sees the batches in order: duplicates, watermark, ledger.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures::FutureExt;
use parking_lot::RwLock;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::{
    Decoding, EngineError, IdleWatch, Preparing,
    asked::QuestionQueue,
    feed::{DecodedBatch, Feed, PIECE, Piece},
};
use crate::{
    decision::Decided,
    decode::{Decoded, Decoder},
    engine::{
        SequenceCause, Sequenced, Sequencer, Stages, in_flight::prepare, joined::JoinedParts, ticker::Ticker,
        workers::Workers,
    },
    evaluate::Evaluator,
    event::{Instant, TimeDelta},
    rule::RuleSet,
    stream::Block,
};

/// The stage that puts events in order: duplicates, watermark, ledger.
pub(crate) struct Sequence {
    pub decoder: Arc<Decoder>,
    pub sequencer: Sequencer,
    pub evaluator: Arc<RwLock<Arc<Evaluator>>>,
    pub bounded: Arc<AtomicBool>,
    pub silence: Option<IdleWatch>,
    pub workers: Workers,
    pub ticker: Option<Ticker>,
    /// The rules that silence has told the stages behind of: other lists judge again what there is.
    pub told: Option<Arc<RuleSet>>,
    pub asked: QuestionQueue,
    /// A worker that is kept free for who asks.
    pub reserved: Option<OwnedSemaphorePermit>,
    pub time_max: Arc<dyn Fn() -> Option<Instant> + Send + Sync>,
}

impl Sequence {
    /// Runs until the batches end.
    pub(crate) async fn run(
        mut self,
        decoding: mpsc::Receiver<Decoding>,
        out: mpsc::Sender<Preparing>,
    ) -> Result<(), EngineError> {
        self.sequencer.group_for(self.evaluator().rules());
        if self.sequencer.owes() && !self.send(SequenceCause::Start, &out).await? {
            return Ok(());
        }
        let mut tick = self.silence.as_ref().map(|silence| tokio::time::interval(silence.every));
        let mut feed = Feed::new(decoding, out.max_capacity());
        loop {
            if !self.release(&out).await? {
                return Ok(());
            }
            let is_their_turn = self.asked.let_others_in();
            if is_their_turn && passed(&mut tick).now_or_never().is_some() && !self.silent(&out).await? {
                return Ok(());
            }
            let is_turn = is_their_turn && matches!(feed.is_ready(false).now_or_never(), Some(Ok(true)));
            let is_asked = self.asked.is_expected(self.now().0);
            self.reserved = self.reserved.take().or_else(|| self.workers.reserve()).filter(|_| is_asked);
            tokio::select! {
                // Somebody waits for the answer before money moves; the stream can wait.
                biased;
                question = self.asked.next(), if !is_turn => {
                    if !self.answer(question, &out).await? {
                        return Ok(());
                    }
                }
                is_ready = feed.is_ready(is_asked && !is_turn) => {
                    if !is_ready? {
                        break;
                    }
                    if let Some(piece) = feed.piece(is_asked) && !self.take(piece, &out).await? {
                        return Ok(());
                    }
                }
                () = passed(&mut tick) => {
                    if !self.silent(&out).await? {
                        return Ok(());
                    }
                }
            }
        }
        self.asked.close();
        let bounded = self.bounded.load(Ordering::SeqCst);
        self.send(SequenceCause::End { bounded }, &out).await?;
        Ok(())
    }

    pub(super) fn evaluator(&self) -> Arc<Evaluator> {
        Arc::clone(&self.evaluator.read())
    }

    /// Moves the watermark of silent sources with the clock. `false` if nobody takes batches any more.
    async fn silent(&mut self, out: &mpsc::Sender<Preparing>) -> Result<bool, EngineError> {
        let rules = Arc::clone(self.evaluator.read().rules());
        // Who looks at groups before the first event sees them.
        self.sequencer.group_for(&rules);
        let known =
            self.told.as_ref().is_some_and(|told| Arc::ptr_eq(told, &rules)) || rules.lists.is_empty();
        if known && !self.sequencer.is_silent(self.now()) {
            return Ok(true);
        }
        self.send(SequenceCause::Silence, out).await
    }

    pub(super) fn now(&self) -> (Instant, TimeDelta) {
        self.silence
            .as_ref()
            .map_or((Instant::EPOCH, TimeDelta::MAX), |silence| ((silence.now)(), silence.idle))
    }

    /// Takes a step without events. `false` if nobody takes batches any more.
    async fn send(
        &mut self,
        step: SequenceCause,
        out: &mpsc::Sender<Preparing>,
    ) -> Result<bool, EngineError> {
        let (decoded, evaluator) = (self.decoder.decode(&[], None), self.evaluator());
        self.send_decided((Vec::new(), decoded), step, (Vec::new(), evaluator), out).await
    }

    /// Sequences a batch or a piece of one. `false` if nobody takes batches any more.
    async fn take(&mut self, piece: Piece<'_>, out: &mpsc::Sender<Preparing>) -> Result<bool, EngineError> {
        let evaluator = self.evaluator();
        match piece {
            Piece::First(decoded, batch) => {
                let (mut parts, stages) =
                    self.sequenced((&batch.blocks, decoded), SequenceCause::Events, &evaluator)?;
                if let Some(last) = parts.last_mut() {
                    batch.told.keep(last);
                }
                let ending = Ending {
                    room: batch.room.take(),
                    turn: batch.turn.take(),
                    ..Ending::of(SequenceCause::Events)
                };
                self.hand_on(parts, ending, stages, &evaluator, out).await
            }
            Piece::Rest(DecodedBatch { blocks, mut decoded, decode, told, room, turn }) => {
                let unknown_fields = std::mem::take(&mut decoded.unknown_fields);
                let (mut parts, stages) =
                    self.sequenced((&blocks, decoded), SequenceCause::Events, &evaluator)?;
                if let Some(last) = parts.last_mut() {
                    told.tell(last);
                }
                let ending =
                    Ending { blocks, unknown_fields, room, turn, ..Ending::of(SequenceCause::Events) };
                self.hand_on(parts, ending, Stages { decode, ..stages }, &evaluator, out).await
            }
        }
    }

    /// Sequences a batch whose first events are applications that were decided, by the rules that decided them.
    pub(super) async fn send_decided(
        &mut self,
        (blocks, mut decoded): (Vec<Block>, Decoded),
        step: SequenceCause,
        (decided, evaluator): (Vec<Decided>, Arc<Evaluator>),
        out: &mpsc::Sender<Preparing>,
    ) -> Result<bool, EngineError> {
        let unknown_fields = std::mem::take(&mut decoded.unknown_fields);
        let (mut parts, stages) = self.sequenced((&blocks, decoded), step, &evaluator)?;
        let is_awaited = !decided.is_empty();
        hand_out(decided, &mut parts);
        let ending = Ending { blocks, unknown_fields, is_awaited, ..Ending::of(step) };
        self.hand_on(parts, ending, stages, &evaluator, out).await
    }

    fn sequenced(
        &mut self,
        (blocks, decoded): (&[Block], Decoded),
        step: SequenceCause,
        evaluator: &Evaluator,
    ) -> Result<(Vec<Sequenced>, Stages), EngineError> {
        let started = std::time::Instant::now();
        if !self.ticker.as_ref().is_some_and(|ticker| ticker.is_for(evaluator.rules())) {
            self.ticker = None;
        }
        self.told = Some(Arc::clone(evaluator.rules()));
        let now = self.now();
        let new_ticker = || Ticker::new(evaluator.rules(), evaluator.calendar());
        let ticker = self.ticker.get_or_insert_with(new_ticker);
        let parts = self.sequencer.sequence(blocks, decoded, step, now, ticker)?;
        Ok((parts, Stages { sequence: started.elapsed(), ..Stages::default() }))
    }

    /// Has the parts prepared.
    async fn hand_on(
        &mut self,
        parts: Vec<Sequenced>,
        ending: Ending,
        mut stages: Stages,
        evaluator: &Arc<Evaluator>,
        out: &mpsc::Sender<Preparing>,
    ) -> Result<bool, EngineError> {
        // Time that passes without events closes windows before the rules that are due then.
        let parts = match ending.step {
            SequenceCause::Events => JoinedParts::join(parts),
            _ => parts.into_iter().map(JoinedParts::single).collect(),
        };
        let (mut ending, last) = (Some(ending), parts.len() - 1);
        for (number, parts) in parts.into_iter().enumerate() {
            let ending =
                ending.take_if(|_| number == last).unwrap_or_else(|| Ending::of(SequenceCause::Events));
            let Ending { blocks, unknown_fields, step, room, turn, is_awaited } = ending;
            let (stages, evaluator) = (std::mem::take(&mut stages), Arc::clone(evaluator));
            // Where somebody may ask, a piece is done by whoever comes to it: to wake threads for it takes as long as it takes.
            let is_small = is_awaited || turn.is_some() && parts.batch().types.len() <= PIECE;
            let prepare = move || {
                let (mut in_flight, prepared) =
                    prepare(blocks, parts, unknown_fields, &evaluator, stages, step);
                (in_flight.room, in_flight.turn, in_flight.is_small) = (room, turn, is_small);
                Ok((in_flight, prepared))
            };
            let piece = if is_small { Workers::work_at_once(prepare) } else { self.workers.work(prepare) };
            if out.send(piece).await.is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// What goes with the last part of a batch.
struct Ending {
    blocks: Vec<Block>,
    unknown_fields: BTreeMap<String, u64>,
    step: SequenceCause,
    room: Option<OwnedSemaphorePermit>,
    turn: Option<OwnedSemaphorePermit>,
    is_awaited: bool,
}

impl Ending {
    fn of(step: SequenceCause) -> Self {
        Self {
            blocks: Vec::new(),
            unknown_fields: BTreeMap::new(),
            step,
            room: None,
            turn: None,
            is_awaited: false,
        }
    }
}

/// What was decided goes with its application, in whichever part of the batch that is.
fn hand_out(decided: Vec<Decided>, parts: &mut [Sequenced]) {
    let mut decided = decided.into_iter();
    for part in parts {
        part.intake.decided.extend(decided.by_ref().take(part.types.len()));
    }
}

async fn passed(tick: &mut Option<tokio::time::Interval>) {
    match tick {
        Some(tick) => drop(tick.tick().await),
        None => std::future::pending().await,
    }
}
