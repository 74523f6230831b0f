//! What must happen in order: duplicates and conflicts, and the ledger.

mod counting;
mod cuts;
mod sequencing;
mod trial;

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use cuts::Kept;
use parking_lot::RwLock;
use sequencing::{Sequencing, name, on_lines_of_payments};

use super::{
    Intake, Noted,
    dedup::{Dedup, Sighting},
    lookups,
    originals::Originals,
    ports::PortError,
    recent::Recent,
    ticker::Ticker,
    versions::{Judges, ResolvedVersions, VersionResult, Versions},
    watermark::Watermark,
};
use crate::{
    decode::Decoded,
    evaluate::{Until, schedule::Due},
    event::{EventType, Instant, TimeDelta, id_hash, period::JournalStart},
    ledger::{AfterEvent, Attributes, Changes, Ledger, original::Original},
    rule::RuleSet,
    stream::{Block, Receipt, RejectReason},
};

use counting::{count_others, keep};

/// The state that events are applied to, one batch after another.
pub struct Sequencer {
    ledger: Arc<RwLock<Ledger>>,
    dedup: Dedup,
    recent: Recent,
    originals: Originals,
    versions: Versions,
    watermark: Watermark,
    /// Events between two checkpoints; `None` for a run that keeps no state.
    checkpoint_every: Option<u64>,
    since_checkpoint: u64,
    /// When rules on a schedule are due, where a journal is replayed that tells.
    noted: Option<Noted>,
}

/// A batch, or a part of one, after it was applied to the ledger.
pub struct Sequenced {
    /// The events that were accepted, in their order.
    pub events: RecordBatch,
    /// Those of the whole batch, and how many of them come before these.
    pub among: (RecordBatch, usize),
    /// The types of those events, row by row.
    pub types: Vec<EventType>,
    /// The hashes of their ids and contents.
    pub hashes: Vec<(u64, u64)>,
    /// What the ledger says after each.
    pub after: AfterEvent,
    /// The store that `after` points into.
    pub attributes: Arc<boxcar::Vec<Attributes>>,
    /// What the store takes of it.
    pub intake: Intake,
    /// Events that the watermark had passed when they came.
    pub late: u64,
    /// Stretches without any event that schedules rested in.
    pub rests: u64,
    /// What became of each block's records.
    pub receipts: Vec<Receipt>,
    /// The accepted events of each block, by type.
    pub types_by_block: Vec<[u64; EventType::ALL.len()]>,
    /// What windows are closed up to after each event, in microseconds.
    pub watermarks: Vec<i64>,
    /// The watermark at the end of the batch.
    pub watermark: Watermark,
    /// From when on the journal holds everything.
    pub journal: Option<JournalStart>,
    /// The rules that are due after it.
    pub due: Vec<Due>,
    /// Versions by block and what became of them.
    pub version_results: Vec<(usize, VersionResult)>,
}

/// Why a batch is sequenced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SequenceCause {
    /// The loop starts, and ticks may be left over from before.
    Start,
    /// Events came that move the watermark.
    Events,
    /// No events came for a while, and the clock tells that time has passed.
    Silence,
    /// There will be no more events. At the end of `bounded` input the watermark moves to the largest event time.
    End {
        /// Whether the input is complete.
        bounded: bool,
    },
}

impl Sequencer {
    /// A sequencer that goes on from this state.
    #[must_use]
    pub fn new(
        ledger: Arc<RwLock<Ledger>>,
        dedup: Dedup,
        watermark: Watermark,
        checkpoint_every: Option<u64>,
    ) -> Self {
        Self {
            ledger,
            dedup,
            recent: Recent::default(),
            originals: Originals::default(),
            versions: Versions::default(),
            watermark,
            checkpoint_every,
            since_checkpoint: 0,
            noted: None,
        }
    }

    /// Compares records that come again with these.
    #[must_use]
    pub fn comparing(self, versions: Versions) -> Self {
        Self { versions, ..self }
    }

    /// Finds the events that others name with these.
    #[must_use]
    pub fn finding(self, originals: Originals) -> Self {
        Self { originals, ..self }
    }

    /// The same with ticks where they were noted, and not by the watermark.
    #[must_use]
    pub fn replaying(self, noted: Option<Noted>) -> Self {
        Self { noted, ..self }
    }

    /// The watermark; `None` before the first event.
    #[must_use]
    pub fn watermark(&self) -> Option<Instant> {
        self.watermark.at()
    }

    /// Whether ticks are left over from an earlier process.
    #[must_use]
    pub fn owes(&self) -> bool {
        self.watermark.save().owed.is_some()
    }

    /// Whether the watermark would move because a source is silent. `now` is the clock's time, and how long is
    /// too long.
    #[must_use]
    pub fn is_silent(&self, (now, idle): (Instant, TimeDelta)) -> bool {
        let mut passed = self.watermark.clone();
        passed.pass_time(now, idle);
        (passed.at(), passed.settled()) != (self.watermark.at(), self.watermark.settled())
    }

    /// Takes out duplicates and conflicts and applies the rest to the ledger. The batch is cut where a schedule is due,
    /// so that its query sees what arrived up to then. `now` is the clock's time, by which only idle sources are
    /// known, and how long they may be silent.
    ///
    /// # Errors
    /// If sealed events must be looked up and cannot be read.
    pub fn sequence(
        &mut self,
        blocks: &[Block],
        decoded: Decoded,
        step: SequenceCause,
        now: (Instant, TimeDelta),
        ticker: &mut Ticker,
    ) -> Result<Vec<Sequenced>, PortError> {
        let (decoded, resolved) = self.resolve(decoded, ticker.rules())?;
        self.originals.begin(&decoded.events, ticker.rules().originals != 0);
        let places = blocks.iter().map(|block| self.watermark.place(block, now.0)).collect();
        let mut sequencing = Sequencing::new(decoded, resolved, places, now.0);
        for row in 0..sequencing.decoded.types.len() {
            let is_accepted = self.judge(&mut sequencing, row, ticker)?;
            sequencing.accepted.push(is_accepted);
        }
        sequencing.duplicates +=
            count_others(&mut sequencing.receipts, blocks, &sequencing.decoded, &sequencing.resolved);
        sequencing.cuts.extend(self.step(step, sequencing.watermarks.len(), now, ticker));
        self.finish(sequencing, step, ticker)
    }

    /// Whether an event is taken: its time can be right, and it is not known yet.
    fn judge(
        &mut self,
        sequencing: &mut Sequencing,
        row: usize,
        ticker: &mut Ticker,
    ) -> Result<bool, PortError> {
        let (id, content) = (sequencing.decoded.ids[row], sequencing.decoded.contents[row]);
        let at = sequencing.at(row);
        if let Some((reason, detail)) =
            self.refused(&sequencing.decoded, (row, at), sequencing.resolved.is_made(row))
        {
            sequencing.reject(row, reason, detail);
            return Ok(false);
        }
        let seen = self.dedup.see(sequencing.event_ids.value(row), id, content, at)?;
        match seen {
            Sighting::New => self.accept(sequencing, (row, at), ticker)?,
            Sighting::Duplicate => sequencing.count_duplicate(row),
            Sighting::Conflict => {
                let detail = self.recent.conflict(&sequencing.decoded.events, row, &sequencing.accepted);
                sequencing.reject(row, RejectReason::Conflict, detail);
            }
        }
        Ok(seen == Sighting::New)
    }

    /// Moves the watermark by an event, and cuts the batch where it passes a tick.
    fn accept(
        &mut self,
        sequencing: &mut Sequencing,
        (row, at): (usize, Instant),
        ticker: &mut Ticker,
    ) -> Result<(), PortError> {
        if let Some(noted) = &mut self.noted {
            let due = noted.before_next(ticker);
            sequencing.cuts.extend(self.noted_cut(sequencing.watermarks.len(), due));
        }
        let event_type = sequencing.decoded.types[row];
        if let Some(plausible) = self.watermark.plausible() {
            plausible.observe(&sequencing.decoded.events, event_type, row);
        }
        self.originals.accept(event_type, sequencing.decoded.ids[row], row);
        let original = self.original(sequencing.names(row, ticker.rules().originals))?;
        let original = original.map(|original| (sequencing.watermarks.len(), original));
        if sequencing.clears(row) {
            sequencing.cleared.extend(original.clone());
        }
        sequencing.originals.extend(original);
        sequencing.late += u64::from(Some(at) < self.watermark.at());
        let mut from = self.watermark.ticked().unwrap_or(at);
        // What this event confirms has passed before it: ticks see what they see without the doubt.
        let place = sequencing.place(row);
        if let Some(confirmed) = self.watermark.confirmed_by(place, at) {
            self.watermark.reach(confirmed);
            sequencing.cuts.extend(self.cut(sequencing.watermarks.len(), from, ticker));
            from = from.max(confirmed);
        }
        self.watermark.observe(place, at, sequencing.now);
        sequencing.watermarks.push(Until::in_column(self.watermark.settled()));
        sequencing.cuts.extend(self.cut(sequencing.watermarks.len(), from, ticker));
        sequencing.count(row);
        Ok(())
    }

    /// Applies what was accepted to the ledger, a part after another.
    fn finish(
        &mut self,
        sequencing: Sequencing,
        step: SequenceCause,
        ticker: &Ticker,
    ) -> Result<Vec<Sequenced>, PortError> {
        let Sequencing { decoded, mut resolved, accepted, watermarks, cuts, originals, cleared, .. } =
            sequencing;
        let (events, types, hashes) = keep(&decoded, &accepted);
        // A record that comes again is compared with what was sent, not with what was found out.
        self.recent.keep(&events);
        let events = on_lines_of_payments(events, &cleared);
        let kept = Kept { events, types, hashes, watermarks };
        let mut parts = self.parts(&kept, cuts, step, ticker);
        name(&mut parts, originals);
        resolved.note(&mut parts, &accepted);
        // A part with events is a journal block, one without is none.
        self.dedup.end_batch(parts.iter().filter(|part| !part.types.is_empty()).count())?;
        self.originals.end(self.dedup.last_block())?;
        if let Some(last) = parts.last_mut() {
            // What became of the records is told with the last part, which their position belongs to.
            last.intake.rejects = decoded.rejects;
            last.intake.duplicates = sequencing.duplicates;
            last.late = sequencing.late;
            last.receipts = sequencing.receipts;
            last.types_by_block = sequencing.types_by_block;
            last.version_results = resolved.results;
        }
        Ok(parts)
    }

    /// Has the ledger group its lines as these rules compare them.
    pub(super) fn group_for(&self, rules: &RuleSet) {
        let groupings = rules.groupings();
        let is_grouped = |ledger: &Ledger| ledger.is_grouped_by(&groupings);
        let grouped = is_grouped(&self.ledger.read());
        if !grouped {
            self.ledger.write().group_by(&groupings);
        }
    }

    /// The events of a batch with all that they lack, and those that versions lead to in the place of these.
    fn resolve(
        &mut self,
        mut decoded: Decoded,
        rules: &RuleSet,
    ) -> Result<(Decoded, ResolvedVersions), PortError> {
        self.group_for(rules);
        self.look_up(&mut decoded)?;
        let judges = Judges::new(&mut self.dedup, self.watermark.known_plausible());
        self.versions.resolve(decoded, judges)
    }

    /// Gives events what they lack of their budget lines.
    fn look_up(&mut self, decoded: &mut Decoded) -> Result<(), PortError> {
        if decoded.lookups.is_empty() {
            return Ok(());
        }
        let ledger = self.ledger.read();
        lookups::fill(decoded, &ledger, &mut self.dedup, self.watermark.known_plausible())
    }

    /// Why an event is not taken: its time cannot be right, or its line is to tell what it lacks and does not. The time of
    /// one that is made of an accepted one is not judged again.
    fn refused(
        &self,
        decoded: &Decoded,
        (row, at): (usize, Instant),
        is_made: bool,
    ) -> Option<(RejectReason, String)> {
        let bound = self.watermark.known_plausible().filter(|_| !is_made);
        let implausible = bound.and_then(|bound| bound.refuses(at));
        let told = |reason: RejectReason| move |detail: String| (reason, detail);
        implausible
            .map(told(RejectReason::BadTime))
            .or_else(|| lookups::unknown(decoded, row).map(told(RejectReason::UnknownLine)))
    }

    /// The event that another one names, if it is asked for and came before.
    fn original(&mut self, name: Option<&str>) -> Result<Option<Original>, PortError> {
        name.map_or(Ok(None), |name| self.originals.find(name, id_hash(name), &self.dedup))
    }

    fn apply(
        &mut self,
        events: &RecordBatch,
        types: &[EventType],
        last: bool,
        journal: Option<JournalStart>,
    ) -> (AfterEvent, Arc<boxcar::Vec<Attributes>>, Option<Changes>) {
        let mut ledger = self.ledger.write();
        ledger.whole_from(journal.map(|journal| journal.year));
        let after = ledger.apply(events, types);
        self.since_checkpoint += types.len() as u64;
        let due = self.checkpoint_every.is_some_and(|every| last || self.since_checkpoint >= every);
        let checkpoint = due.then(|| {
            self.since_checkpoint = 0;
            ledger.take_changes()
        });
        (after, ledger.attributes(), checkpoint)
    }
}
