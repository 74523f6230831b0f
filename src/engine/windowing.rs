//! The stage with the windows: it sees the batches one after another.

mod reach;

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Formatter},
    sync::Arc,
};

use super::{
    Committable,
    journal_replay::{JournalReplay, ReplayQuery},
    ports::{History, PortError},
    rejudge::Rejudging,
};
use crate::{
    evaluate::{
        Backfill, Evaluator, Moved, Prepared, Until, WindowUsage, Windows,
        bounded::{Busy, PendingWork},
        pool::side_by_side,
        windows::Empty,
    },
    event::{Instant, TimeDelta, period::JournalStart},
    ledger::TrialScope,
    rule::{RuleId, RuleSet, WindowId, compile::CompiledView},
    say,
};

/// How late an event may be that still finds all of its window where there is no journal to look it up in, once so many
/// events are held that old ones are let go: 400 days.
pub const LATE_WITHOUT_HISTORY: TimeDelta = TimeDelta::days(400);

/// The windows of the rules in force.
pub struct Windowing {
    windows: Windows,
    history: Option<Arc<dyn History>>,
    late: TimeDelta,
    /// From when on the journal holds everything.
    journal: Option<JournalStart>,
    lists: Rejudging,
    /// Who is told that the stream waits.
    busy: Arc<Busy>,
    /// Bytes that windows hold before they let go of what they need not hold.
    limit: u64,
    /// What they may weigh before they do so again.
    lightened: u64,
    /// Bytes after which nothing more is filled in.
    enough: u64,
    /// Whether windows are only weighed, and not to be used.
    weighs: bool,
    /// What reaches back to this or before does not fit into memory, as was found out; `None` as long as everything fits.
    too_far: Option<Instant>,
}

/// What is stored fills windows beyond what they may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoRoom {
    /// Bytes that windows may hold.
    pub limit: u64,
}

impl Display for NoRoom {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&say!(
            "what is stored fills the windows of the rules to more than one and a half times the {limit} MiB that they may hold (engine.window_memory_mib): raise the limit, or take out rules with windows over many keys, and start again. Nothing is lost",
            limit = self.limit >> 20
        ))
    }
}

impl std::error::Error for NoRoom {}

impl Windowing {
    /// The windows of the evaluator's rules, filled with what is stored. `late` is how late an event may be that still
    /// finds all of its window; windows that end at or before `watermark` are closed; `latest` is the largest event
    /// time. `journal` is from when on there is everything. `limit` is how many bytes they may hold.
    ///
    /// # Errors
    /// If the store cannot be read, or fills them to more than one and a half times the limit: the daemon
    /// that was stopped at its limit can start again.
    pub fn new(
        evaluator: &Evaluator,
        history: Option<Arc<dyn History>>,
        (late, limit): (TimeDelta, u64),
        (watermark, latest): (Option<Instant>, Option<Instant>),
        journal: Option<JournalStart>,
    ) -> Result<Self, PortError> {
        let mut none = Windows::new(&Arc::default(), evaluator.calendar(), late, watermark);
        none.complete_from(journal.map(|journal| journal.at));
        let (lightened, lists, busy) = (0, Rejudging::default(), Arc::default());
        let enough = weighs_enough(limit);
        let mut windowing = Self {
            windows: none,
            history,
            late,
            journal,
            lists,
            busy,
            limit,
            lightened,
            enough,
            weighs: false,
            too_far: None,
        };
        windowing.change(evaluator, latest)?;
        // From now on it is looked at between batches, and what a reload brings is weighed before.
        windowing.enough = u64::MAX;
        Ok(windowing)
    }

    /// How many bytes the windows will hold that rules bring beside those of `in_force`, filled with what is stored; it is
    /// weighed no further than `enough`.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn weigh(
        in_force: &Arc<RuleSet>,
        evaluator: &Evaluator,
        history: Arc<dyn History>,
        (late, enough): (TimeDelta, u64),
        (watermark, latest): (Option<Instant>, Option<Instant>),
    ) -> Result<u64, PortError> {
        let mut weighed = Self {
            windows: Windows::new(in_force, evaluator.calendar(), late, watermark),
            history: Some(history),
            late,
            journal: None,
            lists: Rejudging::default(),
            // The stream does not wait for it.
            busy: Arc::default(),
            limit: u64::MAX,
            lightened: 0,
            enough,
            weighs: true,
            too_far: None,
        };
        weighed.change(evaluator, latest)?;
        Ok(weight(&mut weighed.windows))
    }

    /// Tells when the stream waits for what is read of the journal.
    #[must_use]
    pub fn telling(self, busy: Arc<Busy>) -> Self {
        Self { busy, ..self }
    }

    /// Judges events again when a list changes: `judged` are the lists that what is stored was judged by, with how many
    /// processes ended while they judged by others, and `back` is how far back events are judged again.
    #[must_use]
    pub fn judging_again(self, judged: (BTreeMap<String, u64>, u32), back: TimeDelta) -> Self {
        Self { lists: Rejudging::new(judged, back), ..self }
    }

    /// The lists that it judges by now, and whether anybody has to be told of others.
    #[must_use]
    pub fn rejudging(&self) -> &Rejudging {
        &self.lists
    }

    /// What is to be committed before [`Self::judge_again`], if that takes more than noting the lists.
    pub fn begin_again(&mut self, evaluator: &Evaluator) -> Option<Committable> {
        self.history.as_ref().and_then(|_| self.lists.begin(evaluator))
    }

    /// Judges stored events again by lists that have changed, all of which must be committed. `latest` is the largest event
    /// time.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn judge_again(
        &mut self,
        evaluator: &Evaluator,
        latest: Option<Instant>,
    ) -> Result<Vec<Committable>, PortError> {
        let Some(past) = self.past() else { return Ok(Vec::new()) };
        self.lists.judge(evaluator, &past, latest)
    }

    /// Whether the windows are those of an evaluator's rules.
    #[must_use]
    pub fn is_for(&self, evaluator: &Evaluator) -> bool {
        Arc::ptr_eq(self.windows.rules(), evaluator.rules())
    }

    /// Whether there is no window.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.windows.is_empty()
    }

    /// What windows hold. Where that is more than they may, they let go of what none of them needs.
    pub fn held(&mut self) -> WindowUsage {
        let held = self.windows.held();
        let bytes: u64 = held.bytes.iter().sum();
        if bytes <= self.limit.max(self.lightened) {
            return held;
        }
        self.windows.lighten();
        let held = self.windows.held();
        // To try again makes sense when much has come since.
        let bytes: u64 = held.bytes.iter().sum();
        self.lightened = bytes + bytes / 16;
        held
    }

    /// Goes over to other rules. Windows that stay the same go on; new ones are filled with what is stored, without
    /// findings about the past.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn change(&mut self, evaluator: &Evaluator, latest: Option<Instant>) -> Result<(), PortError> {
        let windows = std::mem::replace(
            &mut self.windows,
            Windows::new(&Arc::default(), evaluator.calendar(), self.late, None),
        );
        let (windows, empty) = windows.change(evaluator.rules());
        self.windows = windows;
        if !empty.is_empty() {
            let filling = self.filling(evaluator, &empty, latest);
            let fits = self.fill(evaluator, &filling, self.enough, true)?;
            if !fits && !self.weighs {
                return Err(PortError::new(NoRoom { limit: self.limit }));
            }
        }
        self.too_far = None;
        Ok(())
    }

    /// Fills windows with what is stored, as far as they weigh no more than `enough`. Says whether they do.
    fn fill(
        &mut self,
        evaluator: &Evaluator,
        filling: &Backfill,
        enough: u64,
        lightens: bool,
    ) -> Result<bool, PortError> {
        let Some(past) = self.past() else { return Ok(true) };
        let _busy = past.busy.with(PendingWork::Windows);
        let started = std::time::Instant::now();
        let (windows, columns) = (&mut self.windows, filling.columns());
        // Windows hold nothing of groups.
        let (columns, balances) = (&columns, filling.balances());
        let wanted = ReplayQuery { from: filling.from(), columns, balances, groupings: &[] };
        let mut take_in = |prepared: &Prepared| {
            windows.load(prepared);
            if enough == u64::MAX || weight(windows) <= enough {
                return true;
            }
            if lightens {
                windows.lighten();
            }
            weight(windows) <= enough
        };
        let (mut laid_out, mut fits): (Option<Prepared>, bool) = (None, true);
        let events = past.replay(&wanted, &mut |batch| {
            if fits {
                let before = laid_out.take();
                let load = || before.as_ref().is_none_or(&mut take_in);
                let (next, fit) = side_by_side(|| evaluator.lay_out(batch, filling), load);
                (laid_out, fits) = (Some(next), fit);
            }
        })?;
        fits = fits && laid_out.as_ref().is_none_or(&mut take_in);
        windows.loaded(filling);
        if fits && !self.weighs {
            let seconds = started.elapsed().as_secs_f64();
            let filled = filling.sliding.len() + filling.closing.len();
            tracing::info!(windows = filled, events, seconds, "windows filled from the journal");
        }
        Ok(fits)
    }

    fn past(&self) -> Option<JournalReplay> {
        let (journal, busy) = (self.journal, Arc::clone(&self.busy));
        self.history.clone().map(|history| JournalReplay { history, journal, busy })
    }

    /// What empty windows still need, when `latest` is the largest event time. Closing windows need all that can still be
    /// judged: those that are open, and the watermark can be far behind the latest event (it is the least over partitions);
    /// and those that an event as late as `late` is in.
    fn filling(&self, evaluator: &Evaluator, empty: &Empty, latest: Option<Instant>) -> Backfill {
        let rules = evaluator.rules();
        let late = latest.map(|latest| latest.saturating_sub(self.late));
        let open = match self.windows.closed() {
            Until::Nothing => None,
            Until::At(closed) => late.min(Some(closed)),
            Until::Everything => late,
        };
        let sliding = |at: WindowId| Some(late?.saturating_sub(rules.windows[at].reach.longest()));
        let closing = |at: RuleId| match &rules.rules[at].view {
            // A key may have its last windows anywhere in the past.
            CompiledView::Closing(view) if view.anomaly.is_none() => {
                Some(open?.saturating_sub(view.size.longest()))
            }
            _ => None,
        };
        Backfill::new(rules, empty, sliding, closing)
    }

    /// Says from when on the journal holds everything.
    pub fn complete_from(&mut self, journal: Option<JournalStart>) {
        if self.journal != journal {
            self.journal = journal;
            self.windows.complete_from(journal.map(|journal| journal.at));
        }
    }

    /// Takes in a batch. `watermarks` is the watermark after each event, `watermark` that at the end of the batch.
    pub fn observe(&mut self, prepared: &Prepared, watermarks: &[i64], watermark: Option<Instant>) -> Moved {
        if self.history.is_some() {
            self.windows.protect(prepared);
        }
        let mut moved = self.windows.observe(prepared, watermarks);
        self.refuse_beyond(&mut moved);
        if let Some(watermark) = watermark
            && watermarks.last().is_none_or(|last| *last < watermark.as_micros())
        {
            self.windows.advance(watermark, watermarks.len().saturating_sub(1), &mut moved);
        }
        moved
    }

    /// Measures the windows that the events of a batch would have, and takes none of them in.
    pub fn try_out(&mut self, prepared: &Prepared, trial: TrialScope) -> Moved {
        let mut moved = self.windows.try_out(prepared, trial);
        self.refuse_beyond(&mut moved);
        moved
    }

    /// Closes every window that is open: the input is complete.
    pub fn end(&mut self, moved: &mut Moved) {
        self.windows.end(usize::MAX, moved);
    }
}

/// Bytes after which nothing more is filled in.
fn weighs_enough(limit: u64) -> u64 {
    limit.saturating_add(limit / 2)
}

/// Bytes of all windows.
fn weight(windows: &mut Windows) -> u64 {
    windows.held().bytes.iter().sum()
}
