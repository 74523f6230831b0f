//! Where a batch is cut, because a schedule is due in it.

use std::{ops::Range, sync::Arc};

use arrow::record_batch::RecordBatch;

use super::{
    super::{
        Intake,
        ticker::{DueTicks, Ticker},
        watermark::{Owed, Watermark},
    },
    SequenceCause, Sequenced, Sequencer,
};
use crate::{
    evaluate::{LedgerTables, schedule::Due},
    event::{EventType, Instant, TimeDelta, time::Calendar},
    ledger::{AfterEvent, Attributes},
    rule::{RuleId, compile::CompiledView},
};

impl Sequencer {
    /// Moves the watermark without an event.
    pub(super) fn step(
        &mut self,
        step: SequenceCause,
        rows: usize,
        now: (Instant, TimeDelta),
        ticker: &mut Ticker,
    ) -> Option<Cut> {
        let from = self.watermark.ticked()?;
        if let (Some(noted), SequenceCause::End { bounded }) = (&mut self.noted, step) {
            let due = noted.rest(ticker);
            if bounded {
                self.watermark.end();
                self.cut(rows, from, ticker);
            }
            return self.noted_cut(rows, due);
        }
        match step {
            SequenceCause::Start => return self.owed(rows, ticker),
            SequenceCause::Events | SequenceCause::End { bounded: false } => return None,
            SequenceCause::Silence => self.watermark.pass_time(now.0, now.1),
            SequenceCause::End { bounded: true } => self.watermark.end(),
        };
        self.cut(rows, from, ticker)
    }

    /// A cut with the ticks that an earlier process passed and did not evaluate.
    pub(super) fn owed(&mut self, rows: usize, ticker: &mut Ticker) -> Option<Cut> {
        let owed = self.watermark.take_owed()?;
        let mut cut = self.cut(rows, owed.from, ticker)?;
        // The earlier process counted it.
        cut.rests = false;
        if let Some((tick, rule)) = &owed.done {
            let done = cut.due.iter().position(|(at, at_rule)| at == tick && ticker.rule(*at_rule) == rule);
            // Without that rule, its tick is evaluated again: a finding is stored once.
            cut.due.drain(..done.map_or(0, |done| done + 1));
        }
        // It is stored before it is begun that this process begins it: one that it ends is not begun for ever.
        let attempts = owed.attempts.saturating_add(1);
        cut.attempt = attempts;
        cut.watermark = self.watermark.owing_still(Owed { attempts, ..owed });
        Some(cut)
    }

    /// A cut after `rows` events with what was due there.
    pub(super) fn noted_cut(&self, rows: usize, due: Vec<(Instant, RuleId)>) -> Option<Cut> {
        (!due.is_empty()).then(|| Cut {
            rows,
            watermark: self.watermark.clone(),
            due,
            rests: false,
            attempt: 0,
        })
    }

    /// A cut after `rows` events, if the watermark has passed a tick since `from`. A journal that tells when it was
    /// evaluated is cut there, and the tick is only remembered.
    pub(super) fn cut(&self, rows: usize, from: Instant, ticker: &mut Ticker) -> Option<Cut> {
        let to = self.watermark.at()?;
        let is_due = ticker.is_due(from, to);
        if let Some(noted) = &self.noted {
            if is_due {
                noted.remember(&ticker.due(from, to).due, ticker);
            }
            return None;
        }
        is_due.then(|| {
            let DueTicks { due, rests } = ticker.due(from, to);
            if rests {
                let (from, to) = (ticker.calendar().format(from), ticker.calendar().format(to));
                tracing::warn!(
                    from,
                    to,
                    "no event for more than a year: schedules rest until events come again"
                );
            }
            Cut { rows, watermark: self.watermark.owing(from), due, rests, attempt: 0 }
        })
    }

    pub(super) fn parts(
        &mut self,
        kept: &Kept,
        cuts: Vec<Cut>,
        step: SequenceCause,
        ticker: &Ticker,
    ) -> Vec<Sequenced> {
        let mut parts = Vec::with_capacity(cuts.len() + 1);
        let mut start = 0;
        for Cut { rows, watermark, due, rests, attempt } in cuts {
            let mut part = self.part(kept, start..rows, watermark, false, ticker.calendar());
            part.due = self.due(due, ticker);
            // Each of them is stored when it is done, so that the next process knows which one it was.
            part.due.iter_mut().for_each(|due| due.attempt = attempt.min(1));
            part.due.iter_mut().take(1).for_each(|first| first.attempt = attempt);
            part.rests = rests.into();
            parts.push(part);
            start = rows;
        }
        let watermark = self.watermark.clone();
        let last = matches!(step, SequenceCause::End { .. });
        parts.push(self.part(kept, start..kept.types.len(), watermark, last, ticker.calendar()));
        parts
    }

    pub(super) fn part(
        &mut self,
        kept: &Kept,
        rows: Range<usize>,
        watermark: Watermark,
        last: bool,
        calendar: &Calendar,
    ) -> Sequenced {
        let (events, before) = (kept.slice(rows.clone()), rows.start);
        let journal = watermark.journal_start(calendar);
        let (after, attributes, checkpoint) = self.apply(&events.events, &events.types, last, journal);
        let mut part = Sequenced::of(events, (after, attributes), watermark, calendar);
        part.among = (kept.events.clone(), before);
        part.intake.checkpoint = checkpoint;
        part
    }

    /// The rules that are due, with the ledger as it is now.
    pub(super) fn due(&self, due: Vec<(Instant, RuleId)>, ticker: &Ticker) -> Vec<Due> {
        let ledger = self.ledger.read();
        let query = |rule: RuleId| match &ticker.rules().rules[rule].view {
            CompiledView::Schedule(view) => Some(&**view),
            _ => None,
        };
        // All of them see the same ledger: no event came in between.
        let queries: Vec<_> = due.iter().filter_map(|(_, rule)| query(*rule)).collect();
        let now = due.first().map_or(Instant::EPOCH, |(tick, _)| *tick);
        let tables = LedgerTables::read_by(&queries, &ledger, ticker.calendar(), now);
        let with_tables =
            |(tick, rule): (Instant, RuleId)| Due { tick, rule, ledger: tables.clone(), attempt: 0 };
        due.into_iter().map(with_tables).collect()
    }
}

/// The accepted events of a batch.
pub(super) struct Kept {
    pub(super) events: RecordBatch,
    pub(super) types: Vec<EventType>,
    pub(super) hashes: Vec<(u64, u64)>,
    pub(super) watermarks: Vec<i64>,
}

impl Sequenced {
    /// Accepted events with what the ledger says after each, of which nothing else is known yet.
    pub(super) fn of(
        events: Kept,
        (after, attributes): (AfterEvent, Arc<boxcar::Vec<Attributes>>),
        watermark: Watermark,
        calendar: &Calendar,
    ) -> Self {
        let Kept { events, types, hashes, watermarks } = events;
        Self {
            among: (events.clone(), 0),
            events,
            types,
            hashes,
            after,
            attributes,
            intake: Intake::default(),
            late: 0,
            rests: 0,
            receipts: Vec::new(),
            types_by_block: Vec::new(),
            watermarks,
            journal: watermark.journal_start(calendar),
            watermark,
            due: Vec::new(),
            version_results: Vec::new(),
        }
    }
}

impl Kept {
    fn slice(&self, rows: Range<usize>) -> Self {
        Self {
            events: self.events.slice(rows.start, rows.len()),
            types: self.types[rows.clone()].to_vec(),
            hashes: self.hashes[rows.clone()].to_vec(),
            watermarks: self.watermarks[rows].to_vec(),
        }
    }
}

/// Where a batch is cut.
pub(super) struct Cut {
    /// After so many events.
    pub(super) rows: usize,
    pub(super) watermark: Watermark,
    pub(super) due: Vec<(Instant, RuleId)>,
    /// Later ticks are left out.
    pub(super) rests: bool,
    /// The how manieth process begins the first of them, if another ended before it was done; else 0.
    pub(super) attempt: u32,
}
