//! The journal through the loop of the daemon once more.

mod places;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use arrow::{
    array::AsArray,
    datatypes::{Int64Type, SchemaRef},
    record_batch::RecordBatch,
};
use datafusion::catalog::TableProvider;
use parking_lot::{Mutex, RwLock};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use places::{Places, Through};

use crate::{
    decode::{Decoder, Reading},
    engine::{
        BatchLimits, Committable, Dedup, Engine, EngineError, LATE_WITHOUT_HISTORY, MemoryAlerts, Noted,
        Originals, Output, OutputDetail, PortError, RuleTicks, SavedWatermark, Scheduler, Sequencer, Ticked,
        Watermark, Windowing, batches,
    },
    evaluate::{
        Evaluator,
        condition::RuleCounts,
        schedule::{PassedTick, QueryLimits, Tables},
    },
    event::{Column, EventType, Instant, TimeDelta, time::Calendar},
    finding::Finding,
    journal::layout::block_of,
    ledger::Ledger,
    rule::{ById, RuleId, RuleSet},
    say,
    sql::tables::{self, FINDINGS},
    store::{JournalTable, JournalView, LastingTable, Lookup, ReadOrder, Remembered, Select, StoreError},
    stream::{Block, Payload},
};

/// How the journal is gone through.
#[derive(Debug, Clone)]
pub struct JournalRun {
    /// The time zone and fiscal year.
    pub calendar: Arc<Calendar>,
    /// The state whose journal is gone through.
    pub state_dir: PathBuf,
    /// How much a batch has.
    pub batch: BatchLimits,
    /// How late events may be, and from how far ahead on one waits for a second.
    pub lateness: TimeDelta,
    /// See `lateness`.
    pub outlier: TimeDelta,
    /// How long events are kept.
    pub retain: Option<TimeDelta>,
    /// What queries of rules on a schedule may use.
    pub query: QueryLimits,
    /// How much goes on at a time.
    pub parallel: usize,
    /// Bytes that windows may hold.
    pub memory: u64,
    /// Findings that are kept.
    pub findings: usize,
}

/// How far it is, and whether it is to go on.
#[derive(Debug, Default)]
pub struct Progress {
    /// Events that are through.
    pub events: AtomicU64,
    /// It ends when this is cancelled.
    pub stop: CancellationToken,
}

/// More is to be kept than may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooMuch {
    /// Windows hold more than so many bytes.
    Windows(u64),
    /// There are more than so many findings.
    Findings(usize),
}

impl std::fmt::Display for TooMuch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&match self {
            Self::Windows(bytes) => say!(
                "the windows of these rules hold more than {mib} MiB: make them shorter or of fewer keys",
                mib = bytes >> 20
            ),
            Self::Findings(most) => {
                say!("there are more than {most} findings: make the condition narrower", most)
            }
        })
    }
}

impl std::error::Error for TooMuch {}

/// What was found again.
#[derive(Debug, Default)]
pub struct JournalResult {
    /// Findings by their ids.
    pub findings: BTreeMap<String, Made>,
    /// Events that could not be taken in again; the first of them.
    pub refused: Vec<String>,
    /// The ticks that could not be evaluated again.
    pub passed: Vec<PassedTick>,
    /// The ticks that were due by the watermark, where those that were evaluated are noted.
    pub due: RuleTicks,
    /// The watermark at the end.
    pub watermark: SavedWatermark,
    /// What happened to each rule, by its position.
    pub counts: ById<RuleId, RuleCounts>,
    /// The first and the last time of events.
    pub span: Option<(Instant, Instant)>,
}

/// A finding that was made again.
#[derive(Debug)]
pub struct Made {
    /// The number of the journal block after whose events it was made.
    pub block: i64,
    pub(crate) at: Instant,
    pub(crate) finding: Finding,
}

/// Runs all events of the journal through the loop. The input ends as it ended when the state was written; `ticks` are
/// those that the daemon noted, where it is to be told from them when schedules were due.
///
/// # Errors
/// If the journal cannot be read, or windows or findings are more than may be kept.
pub async fn replay(
    course: &JournalRun,
    rules: Arc<RuleSet>,
    history: &JournalView,
    (saved, ticks): (&SavedWatermark, Option<Vec<Ticked>>),
    progress: &Arc<Progress>,
) -> Result<JournalResult, Box<dyn std::error::Error + Send + Sync>> {
    let (blocks_in, blocks) = mpsc::channel(course.parallel);
    let (batches_in, batches_out) = mpsc::channel(course.parallel);
    let places = Arc::new(Places::default());
    let (source, read_places) = (history.clone(), Arc::clone(&places));
    let stop = progress.stop.clone();
    let reading = tokio::task::spawn_blocking(move || read(&source, &read_places, &blocks_in, &stop));
    tokio::spawn(batches(blocks, batches_in, course.batch, CancellationToken::new()));
    let evaluator = Arc::new(Evaluator::new(rules, Arc::clone(&course.calendar)));
    let tables = Arc::new(Past {
        history: history.clone(),
        zone: course.calendar.zone_name.clone(),
        through: Arc::new(Through { places: Arc::clone(&places), committed: AtomicU64::new(0) }),
        remembered: Arc::default(),
        findings: Mutex::default(),
        alerts: Mutex::new(MemoryAlerts::new(&course.calendar)),
    });
    let noted = ticks.map(|ticks| {
        let places = Arc::clone(&places);
        Noted::new(ticks, move |before| block_of(places.last_of(before + 1)))
    });
    let due = noted.as_ref().map(Noted::due);
    let ended_whole = saved.at.is_some() && saved.at == saved.latest;
    let engine = engine(course, evaluator, Arc::clone(&tables), noted, ended_whole)?;
    let progress = Arc::clone(progress);
    let (memory, findings) = (course.memory, course.findings);
    let mut output = Gather { again: JournalResult::default(), tables, memory, findings, progress };
    let result = engine.run(batches_out, &mut output).await;
    reading.await??;
    result?;
    let mut again = output.again;
    again.due = due.map_or_else(RuleTicks::default, |due| std::mem::take(&mut *due.lock()));
    Ok(again)
}

/// The loop, with nothing that it keeps.
fn engine(
    course: &JournalRun,
    evaluator: Arc<Evaluator>,
    tables: Arc<Past>,
    noted: Option<Noted>,
    ended_whole: bool,
) -> Result<Engine, Box<dyn std::error::Error + Send + Sync>> {
    let windowing = Windowing::new(&evaluator, None, (LATE_WITHOUT_HISTORY, u64::MAX), (None, None), None)?;
    Ok(Engine {
        decoder: Arc::new(Decoder::new(Arc::clone(&course.calendar)).reading(Reading::stored())),
        sequencer: Sequencer::new(
            Arc::new(RwLock::new(Ledger::default())),
            Dedup::default(),
            Watermark::new(course.lateness, Some(course.outlier)),
            None,
        )
        .finding(Originals::in_journal(Lookup::open(&course.state_dir)?).within(course.retain))
        .replaying(noted),
        windowing,
        evaluator: Arc::new(RwLock::new(evaluator)),
        record: OutputDetail::Events,
        scheduler: Some(Scheduler::new(tables, course.query, Arc::default())),
        time_max: Arc::new(|| None),
        parallel: course.parallel,
        bounded: Arc::new(AtomicBool::new(ended_whole)),
        asked: None,
        silence: None,
    })
}

/// Gives the events in the order they arrived in.
fn read(
    history: &JournalView,
    places: &Places,
    blocks: &mpsc::Sender<Block>,
    stop: &CancellationToken,
) -> Result<(), StoreError> {
    let name: Arc<str> = Arc::from("journal");
    let columns: Vec<usize> = (0..Column::COUNT).collect();
    let mut events = 0;
    for batch in history.scan(&Select::default(), None, ReadOrder::Arrival)? {
        let batch = batch?;
        let arrivals = batch.column(Column::COUNT).as_primitive::<Int64Type>();
        places.note(events, arrivals.values());
        let rows = batch.project(&columns).map_err(|e| StoreError::Request(e.to_string()))?;
        let first = events;
        events += rows.num_rows() as u64;
        let block = Block::new(Arc::clone(&name), Arc::clone(&name), first, Payload::Table(rows));
        if stop.is_cancelled() || blocks.blocking_send(block).is_err() {
            break;
        }
    }
    Ok(())
}

/// The tables as they were when a rule was due.
struct Past {
    history: JournalView,
    zone: String,
    through: Arc<Through>,
    remembered: Arc<Remembered>,
    /// Findings so far; none are kept where no rule asks for them.
    findings: Mutex<Vec<(Instant, Finding)>>,
    /// Alerts so far, as if nobody worked on them.
    alerts: Mutex<MemoryAlerts>,
}

impl Tables for Past {
    fn events(&self, event_types: &[EventType]) -> Result<Arc<dyn TableProvider>, String> {
        let table = JournalTable::new(self.history.clone(), event_types);
        Ok(Arc::new(table.only(&self.through.select())))
    }

    fn lasting(&self, event_type: EventType) -> Option<Arc<dyn TableProvider>> {
        let (history, through) = (self.history.clone(), Arc::clone(&self.through));
        let schema = Arc::clone(history.schema());
        let open = move || Ok((history.clone(), through.select()));
        Some(Arc::new(LastingTable::new(&schema, event_type, Arc::new(open), &self.remembered)))
    }

    fn findings(&self) -> Result<Arc<dyn TableProvider>, String> {
        let findings = self.findings.lock();
        let rows =
            tables::findings(findings.iter().map(|(at, finding)| (at.as_micros(), finding)), &self.zone);
        let schema: SchemaRef =
            tables::schema(FINDINGS, &self.zone).ok_or("the table of findings has no columns")?;
        let rows: Vec<RecordBatch> = rows.into_iter().collect();
        tables::in_memory(schema, rows).ok_or_else(|| String::from("rows do not fit their table"))
    }

    fn alerts(&self) -> Result<Arc<dyn TableProvider>, String> {
        self.alerts.lock().table(&self.zone)
    }
}

struct Gather {
    again: JournalResult,
    tables: Arc<Past>,
    memory: u64,
    findings: usize,
    progress: Arc<Progress>,
}

/// Events that could not be taken in again and are told one by one.
const TOLD: usize = 20;

impl Gather {
    fn take(&mut self, mut batch: Committable) {
        let before = self.tables.through.committed.load(Ordering::SeqCst);
        // Where schedules cut batches, the events are there; elsewhere a batch is whole.
        let events = match (&batch.events, &batch.rules.session) {
            (Some(events), _) => events.count as u64,
            (None, Some(_)) => 0,
            (None, None) => batch.accepted.iter().map(|(_, _, n)| n).sum(),
        };
        let rows: Vec<u64> = batch.evaluation.found.iter().map(|found| found.row as u64).collect();
        let asked = batch.rules.session.is_some();
        if asked {
            self.tables.alerts.lock().file(&batch);
        }
        for (row, (at, _, finding)) in rows.into_iter().zip(batch.evaluation.take_findings()) {
            // What a tick or the end of the input finds comes after the events before it.
            let count = (before.saturating_add(row).saturating_add(1)).min(before + events);
            let block = block_of(self.tables.through.places.last_of(count));
            if let std::collections::btree_map::Entry::Vacant(new) =
                self.again.findings.entry(finding.finding_id.clone())
            {
                if asked {
                    let mut kept = self.tables.findings.lock();
                    kept.push((at, finding.clone()));
                }
                new.insert(Made { block, at, finding });
            }
        }
        let room = TOLD.saturating_sub(self.again.refused.len());
        let told = batch
            .intake
            .rejects
            .iter()
            .take(room)
            .map(|r| say!("event {n} of the journal: {detail}", n = r.record, detail = r.detail));
        self.again.refused.extend(told);
        if batch.intake.duplicates > 0 && self.again.refused.len() < TOLD {
            let count = batch.intake.duplicates;
            self.again.refused.push(say!("{count} events are duplicates of others", count));
        }
        if self.again.counts.is_empty() {
            self.again.counts = ById::filled(batch.rules.rules.len(), RuleCounts::default());
        }
        for (all, counts) in self.again.counts.iter_mut().zip(&batch.evaluation.counts) {
            all.add(counts);
        }
        if let Some(last) = batch.last_at {
            let (from, to) = self.again.span.unwrap_or((batch.first_at.unwrap_or(last), last));
            self.again.span = Some((from, to.max(last)));
        }
        self.again.passed.extend(batch.passed);
        if let Some(watermark) = batch.watermark {
            self.again.watermark = watermark;
        }
        self.tables.through.committed.store(before + events, Ordering::SeqCst);
        self.progress.events.store(before + events, Ordering::Relaxed);
    }
}

impl Output for Gather {
    async fn commit(&mut self, batches: Vec<Committable>) -> Result<(), EngineError> {
        for batch in batches {
            if batch.held.bytes.iter().sum::<u64>() > self.memory {
                return Err(PortError::new(TooMuch::Windows(self.memory)).into());
            }
            self.take(batch);
            if self.again.findings.len() > self.findings {
                return Err(PortError::new(TooMuch::Findings(self.findings)).into());
            }
        }
        Ok(())
    }
}
