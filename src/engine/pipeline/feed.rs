//! The stream's batches as they are sequenced: whole, or in small pieces where somebody may ask, so that nobody who asks
//! before money moves waits for much.

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::{Decoding, EngineError, done};
use crate::{
    decode::Decoded,
    engine::{Sequenced, VersionResult},
    event::EventType,
    stream::{Block, Receipt, Reject},
};

/// Events of a piece: who asks waits for one. Rules cost what they cost for a piece, however small, so that half as many would
/// save a fifth of the wait.
pub(super) const PIECE: usize = 32;
/// What is between this stage and its commit at a time: so much room, of which a batch takes its share.
const ROOM: u32 = 64;
/// Pieces that are on their way at a time where somebody may ask: their commit is what an answer waits for.
const PIECES: u32 = 8;

/// The decoded batches, in order.
pub(super) struct Feed {
    decoding: mpsc::Receiver<Decoding>,
    arriving: Option<Decoding>,
    batch: Option<DecodedBatch>,
    room: Arc<Semaphore>,
    /// What a whole batch takes of it.
    share: u32,
    /// Where somebody may ask, one piece is judged at a time: who asks then waits for one, and not for a queue of them.
    turn: Arc<Semaphore>,
}

/// A batch, or what is left of it.
pub(super) struct DecodedBatch {
    pub blocks: Vec<Block>,
    pub decoded: Decoded,
    /// How long it was decoded.
    pub decode: Duration,
    pub told: RecordOutcomes,
    /// Given back when what it was taken for is committed.
    pub room: Option<OwnedSemaphorePermit>,
    /// Given back when it is judged.
    pub turn: Option<OwnedSemaphorePermit>,
}

/// What is sequenced next.
pub(super) enum Piece<'f> {
    /// The first events of a batch.
    First(Decoded, &'f mut DecodedBatch),
    /// All that is left of it.
    Rest(DecodedBatch),
}

/// What became of the records of a batch: its last piece tells it, with the position that they end at. A process that dies
/// before reads all of them again, and tells each once.
#[derive(Default)]
pub(super) struct RecordOutcomes {
    rejects: Vec<Reject>,
    duplicates: u64,
    late: u64,
    receipts: Vec<Receipt>,
    types_by_block: Vec<[u64; EventType::ALL.len()]>,
    version_results: Vec<(usize, VersionResult)>,
}

impl Feed {
    /// Takes what is decoded, `ahead` batches at a time in each stage.
    pub(super) fn new(decoding: mpsc::Receiver<Decoding>, ahead: usize) -> Self {
        let batches = u32::try_from(2 * ahead + 2).unwrap_or(ROOM);
        let (room, share) = (Arc::new(Semaphore::new(ROOM as usize)), (ROOM / batches).max(1));
        let turn = Arc::new(Semaphore::new(1));
        Self { decoding, arriving: None, batch: None, room, share, turn }
    }

    /// Waits for the next piece, and until there is room for it; `false` if there is none any more. Where somebody may ask,
    /// it waits too until the piece before it is judged. Whoever stops waiting loses nothing.
    pub(super) async fn is_ready(&mut self, is_asked: bool) -> Result<bool, EngineError> {
        while self.batch.is_none() {
            if self.arriving.is_none() {
                self.arriving = self.decoding.recv().await;
            }
            let Some(arriving) = &mut self.arriving else { return Ok(false) };
            let (blocks, decoded, decode) = done(arriving).await?;
            self.arriving = None;
            self.batch = Some(DecodedBatch {
                blocks,
                decoded,
                decode,
                told: RecordOutcomes::default(),
                room: None,
                turn: None,
            });
        }
        let Some(batch) = &mut self.batch else { return Ok(true) };
        // Neither is ever closed.
        if batch.room.is_none() {
            let share = if is_asked { ROOM / PIECES } else { self.share };
            batch.room = Arc::clone(&self.room).acquire_many_owned(share).await.ok();
        }
        if is_asked && batch.turn.is_none() {
            batch.turn = Arc::clone(&self.turn).acquire_owned().await.ok();
        }
        Ok(true)
    }

    /// The piece that is ready: a small one, or all that is left of the batch.
    pub(super) fn piece(&mut self, is_small: bool) -> Option<Piece<'_>> {
        let decoded = &self.batch.as_ref()?.decoded;
        if is_small && decoded.versions.is_none() && decoded.types.len() > PIECE {
            let batch = self.batch.as_mut()?;
            return Some(Piece::First(batch.decoded.take_first(PIECE), batch));
        }
        self.batch.take().map(Piece::Rest)
    }
}

impl RecordOutcomes {
    /// Keeps what became of the records of a piece for the last one.
    pub(super) fn keep(&mut self, of: &mut Sequenced) {
        self.rejects.append(&mut of.intake.rejects);
        self.duplicates += std::mem::take(&mut of.intake.duplicates);
        self.late += std::mem::take(&mut of.late);
        self.version_results.append(&mut of.version_results);
        self.receipts.resize_with(of.receipts.len(), Receipt::default);
        for (sum, receipt) in self.receipts.iter_mut().zip(of.receipts.drain(..)) {
            *sum += receipt;
        }
        self.types_by_block.resize(of.types_by_block.len(), [0; EventType::ALL.len()]);
        for (sums, counts) in self.types_by_block.iter_mut().zip(of.types_by_block.drain(..)) {
            sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
    }

    /// Tells it with the last piece.
    pub(super) fn tell(mut self, with: &mut Sequenced) {
        self.keep(with);
        with.intake.rejects = self.rejects;
        with.intake.duplicates = self.duplicates;
        with.late = self.late;
        with.version_results = self.version_results;
        with.receipts = self.receipts;
        with.types_by_block = self.types_by_block;
    }
}
