//! What benches share: a simulated stretch of a year, and one core's loop over evaluation.

// Each bench uses a part of it.
#![allow(dead_code)]

use std::{hint::black_box, path::Path, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, PrimitiveArray},
    datatypes::TimestampMicrosecondType,
    record_batch::RecordBatch,
};
use fiscwatch::{
    config::Config,
    decode::{Decoded, Decoder},
    engine::{Dedup, SequenceCause, Sequenced, Sequencer, Ticker, Watermark, Windowing},
    evaluate::{Batch, Evaluator},
    event::{Column, EventType, Instant, TimeDelta},
    ledger::Ledger,
    lists::Lists,
    rule::{Language, RuleSet, compile::Compiler},
    simulate::{Plan, Treasury},
    stream::{Block, Payload},
};
use parking_lot::RwLock;

pub(crate) const DAY: i64 = 86_400_000_000;

/// A simulated stretch of a year with anomalies.
pub(crate) struct Fixture {
    pub(crate) config: Config,
    pub(crate) decoder: Decoder,
    /// The batches as they are read.
    pub(crate) blocks: Vec<Vec<Block>>,
    /// The same, decoded and through the ledger.
    pub(crate) parts: Vec<Sequenced>,
    pub(crate) payments: usize,
    pub(crate) events: usize,
    /// How far the stream reaches, in whole days, in microseconds.
    pub(crate) span: i64,
}

impl Fixture {
    /// So many payments in so many days, in batches of so many events.
    pub(crate) fn new(payments: u64, days: u32, batch: usize) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let config = Config::load(&root.join("config/fiscwatch.yaml")).expect("the shipped configuration");
        let zone = config.calendar.zone().clone();
        let start = jiff::civil::date(2025, 1, 1);
        let plan = Plan { payments, units: 300, seed: 1, start, days, anomalies: true, zone };
        let events = Treasury::new(&plan);
        let lines = events.events().map(|s| serde_json::to_string(&s.event).expect("an event"));
        let lines: Vec<_> = lines.collect();
        let decoder = Decoder::new(config.calendar.clone());
        let blocks: Vec<_> = lines.chunks(batch).map(|part| block(&part.join("\n"))).collect();
        let decoded = blocks.iter().map(|block| decoder.decode(block, None)).collect();
        let parts = sequence(&config, &blocks, decoded);
        let payments = parts.iter().flat_map(|p| &p.types).filter(|t| **t == EventType::Payment).count();
        let (events, span) = (lines.len(), i64::from(days) * DAY);
        Self { config, decoder, blocks, parts, payments, events, span }
    }
}

fn block(lines: &str) -> Vec<Block> {
    vec![Block::new("bench".into(), "bench".into(), 0, Payload::JsonLines(lines.to_owned().into()))]
}

/// Duplicates, order and the ledger.
pub(crate) fn sequence(config: &Config, blocks: &[Vec<Block>], decoded: Vec<Decoded>) -> Vec<Sequenced> {
    let ledger = Arc::new(RwLock::new(Ledger::default()));
    let mut sequencer =
        Sequencer::new(ledger, Dedup::default(), Watermark::new(TimeDelta::minutes(10), None), None);
    let mut ticker = Ticker::new(&Arc::default(), &config.calendar);
    let mut parts = Vec::new();
    for (block, decoded) in blocks.iter().zip(decoded) {
        let sequenced = sequencer.sequence(
            block,
            decoded,
            SequenceCause::Events,
            (Instant::EPOCH, TimeDelta::MAX),
            &mut ticker,
        );
        parts.extend(sequenced.expect("no files"));
    }
    parts
}

/// Rules written as [`rule`] writes them.
pub(crate) fn rules(f: &Fixture, text: &str) -> Arc<RuleSet> {
    let compiler = Compiler::new(&f.config.calendar, Lists::default(), Language::En);
    RuleSet::from_text(&format!("rules:\n{text}"), &compiler, &f.config.calendar).expect("valid rules")
}

/// One core's loop over evaluation: prepare, windows, conclude.
pub(crate) struct Runner {
    pub(crate) evaluator: Evaluator,
    pub(crate) windowing: Windowing,
    pub(crate) findings: usize,
}

impl Runner {
    pub(crate) fn new(f: &Fixture, rules: &Arc<RuleSet>) -> Self {
        let evaluator = Evaluator::new(Arc::clone(rules), f.config.calendar.clone());
        let late = 35 * DAY;
        let windowing =
            Windowing::new(&evaluator, None, (TimeDelta::from_micros(late), u64::MAX), (None, None), None)
                .expect("windows");
        Self { evaluator, windowing, findings: 0 }
    }

    /// Runs the stream, `shift` microseconds later than it is.
    pub(crate) fn run(&mut self, f: &Fixture, shift: i64) {
        for part in &f.parts {
            let events = if shift == 0 { part.events.clone() } else { shifted(&part.events, shift) };
            let batch = Batch {
                events: &events,
                types: &part.types,
                after: &part.after,
                attributes: &part.attributes,
            };
            let prepared = self.evaluator.prepare(&batch);
            let watermarks: Vec<i64> = part.watermarks.iter().map(|at| at + shift).collect();
            let last = watermarks.last().map(|last| Instant::from_micros(*last));
            let moved = self.windowing.observe(&prepared, &watermarks, last);
            self.findings += black_box(prepared.conclude(moved)).findings.len();
        }
    }
}

fn shifted(events: &RecordBatch, shift: i64) -> RecordBatch {
    let mut columns = events.columns().to_vec();
    let times = columns[Column::OccurredAt.index()].as_primitive::<TimestampMicrosecondType>();
    let moved: PrimitiveArray<TimestampMicrosecondType> = times.unary(|at| at + shift);
    let moved: ArrayRef = Arc::new(moved.with_data_type(times.data_type().clone()));
    columns[Column::OccurredAt.index()] = moved;
    RecordBatch::try_new(events.schema(), columns).expect("the same columns")
}

/// A rule without a title.
pub(crate) fn rule(id: &str, body: &str) -> String {
    format!("  - {{ id: {id}, severity: low, key: [], {body} }}\n")
}

/// Every kind of rule.
pub(crate) const KINDS: &[(&str, &str)] = &[
    ("row", "trigger: payment, when: amount > 5000000 and budget.available < 0"),
    (
        "over 90m, count",
        "trigger: payment, over: { by: [unit_code], last: 90m }, measure: { n: count(*) }, when: n > 5000",
    ),
    (
        "over 30d, count and sum",
        "trigger: payment, over: { by: [unit_code, payee_account], last: 30d }, measure: { n: count(*), t: sum(amount) }, when: n > 500 and t > 1",
    ),
    (
        "over 30d, hot key, min max distinct",
        "trigger: payment, over: { by: [region_code], last: 30d }, measure: { lo: min(amount), hi: max(amount), d: count(distinct payee_account) }, when: d > 5000000",
    ),
    (
        "over year to date, avg stddev",
        "trigger: payment, over: { by: [unit_code], to_date: year }, measure: { a: avg(amount), s: stddev(amount) }, when: a > 500000000",
    ),
    (
        "over 7d, median (DataFusion's)",
        "trigger: payment, over: { by: [unit_code, payee_account], last: 7d }, measure: { m: median(amount) }, when: m > 500000000",
    ),
    (
        "window 1d",
        "trigger: window, of: payment, window: { by: [unit_code], size: 1d }, measure: { n: count(*), t: sum(amount) }, when: n > 500000",
    ),
    (
        "window 60m every 1m",
        "trigger: window, of: payment, window: { by: [region_code], size: 60m, slide: 1m }, measure: { n: count(*), t: sum(amount) }, when: n > 500000",
    ),
    (
        "window 1d, anomaly mad",
        "trigger: window, of: payment, window: { by: [unit_code], size: 1d }, measure: { t: sum(amount) }, anomaly: { of: t, method: mad }, when: score > 500",
    ),
];
