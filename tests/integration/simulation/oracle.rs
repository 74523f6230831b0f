//! A straightforward run: the accepted events in the order they were accepted, in as few batches as can be, in memory,
//! without a fault.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{datatypes::SchemaRef, record_batch::RecordBatch};
use fiscwatch::{
    decode::Decoder,
    engine::{
        Committable, Dedup, Engine, EngineError, History, MemoryTables, Noted, Originals, Output,
        OutputDetail, PortError, Scheduler, Sequencer, Watermark, Windowing,
    },
    evaluate::Evaluator,
    event::{EventType, Instant, TimeDelta},
    finding::Finding,
    journal::decode_block,
    ledger::Ledger,
    stream::{Block, Payload, Position},
};
use parking_lot::{Mutex, RwLock};
use tokio::sync::mpsc;

use super::{
    ground::Taken,
    plan::{Kind, Plan},
    rules::Set,
    sources::{messages, spanned},
};
use crate::support::calendar;

/// What is found and what the ledger holds at the end.
pub struct Outcome {
    pub findings: BTreeMap<String, Finding>,
    pub ledger: Arc<RwLock<Ledger>>,
}

/// Events in memory, where windows are filled from.
#[derive(Default)]
struct Kept(Mutex<Vec<(RecordBatch, Vec<EventType>)>>);

impl History for Kept {
    fn replay(
        &self,
        _from: Option<Instant>,
        _columns: &[usize],
        take: &mut dyn FnMut(&RecordBatch, &[EventType]),
    ) -> Result<(), PortError> {
        let kept = self.0.lock();
        kept.iter().for_each(|(batch, types)| take(batch, types));
        Ok(())
    }
}

struct Collected {
    kept: Arc<Kept>,
    schema: SchemaRef,
    tables: Arc<MemoryTables>,
    findings: BTreeMap<String, Finding>,
    /// Batches that are done.
    blocks: tokio::sync::watch::Sender<usize>,
}

impl Output for Collected {
    async fn commit(&mut self, batches: Vec<Committable>) -> Result<(), EngineError> {
        for batch in batches {
            self.tables.keep(&batch);
            if let Some(journal) = &batch.journal {
                let events = decode_block(&journal.block, &self.schema).expect("a block that was just made");
                self.kept.0.lock().push(events);
            }
            for finding in batch.evaluation.findings {
                self.findings.entry(finding.finding_id.clone()).or_insert(finding);
            }
            self.blocks.send_modify(|blocks| *blocks += batch.receipts.len());
        }
        Ok(())
    }
}

/// Runs a journal. `sets` are the rules in force from so many events on; ticks are where they are noted, if they are.
pub async fn run(plan: &Plan, journal: &[Taken], sets: &[(usize, Set)], noted: Option<Noted>) -> Outcome {
    let calendar = calendar();
    let ledger = Arc::new(RwLock::new(Ledger::default()));
    let (kept, tables) = (Arc::new(Kept::default()), Arc::new(MemoryTables::new(&calendar)));
    let evaluator = |set: Set| Arc::new(Evaluator::new(set.rules(), Arc::clone(&calendar)));
    let first = evaluator(sets[0].1);
    let in_force = Arc::new(RwLock::new(Arc::clone(&first)));
    let (blocks, mut done) = tokio::sync::watch::channel(0);
    let decoder = Arc::new(Decoder::new(Arc::clone(&calendar)));
    let schema = Arc::clone(decoder.schema());
    // Queries read what is kept in tables; without them, windows that a reload brings are filled from blocks.
    let record = if plan.rules == Set::Schedules { OutputDetail::Events } else { OutputDetail::Journal };
    let mut collected = Collected {
        schema,
        kept: Arc::clone(&kept),
        tables: Arc::clone(&tables),
        findings: BTreeMap::new(),
        blocks,
    };
    let engine = Engine {
        decoder,
        sequencer: Sequencer::new(
            Arc::clone(&ledger),
            Dedup::default(),
            Watermark::new(TimeDelta::from_micros(plan.lateness), Some(super::config().outlier)),
            None,
        )
        .finding(Originals::default().within(plan.retain.map(TimeDelta::from_micros)))
        .replaying(noted),
        windowing: Windowing::new(
            &first,
            Some(kept),
            (fiscwatch::event::TimeDelta::days(4000), u64::MAX),
            (None, None),
            None,
        )
        .expect("nothing to fill windows from"),
        evaluator: Arc::clone(&in_force),
        record,
        scheduler: Some(Scheduler::new(tables, super::config().query_limits, Arc::default())),
        time_max: Arc::new(|| None),
        parallel: 0,
        bounded: Arc::new(true.into()),
        asked: None,
        silence: None,
    };
    let (send, batches) = mpsc::channel(1);
    let running = tokio::spawn(async move {
        let result = engine.run(batches, &mut collected).await;
        (collected, result)
    });
    let mut sent = 0;
    for (n, (from, set)) in sets.iter().enumerate() {
        let until = sets.get(n + 1).map_or(journal.len(), |(next, _)| *next);
        done.wait_for(|blocks| *blocks == sent).await.expect("the run goes on");
        if n > 0 {
            *in_force.write() = evaluator(*set);
        }
        let batch = blocks_of(plan, &journal[*from..until]);
        sent += batch.len();
        if !batch.is_empty() {
            send.send(batch).await.expect("the run goes on");
        }
    }
    drop(send);
    let (collected, result) = running.await.expect("the run does not panic");
    result.expect("the run ends well");
    Outcome { findings: collected.findings, ledger }
}

/// Blocks of neighbours that are of the same partition.
fn blocks_of(plan: &Plan, journal: &[Taken]) -> Vec<Block> {
    let neighbours = journal.chunk_by(|a, b| a.place.0 == b.place.0);
    let block = |records: &[Taken]| {
        let partition = &plan.partitions[records[0].place.0];
        let numbers = records.iter().map(|taken| taken.place.1);
        // Of versions the clean stream: the events that follow from them, and no word of versions.
        if records[0].made.is_some() {
            let events: Vec<_> = records.iter().flat_map(|taken| &taken.made).collect();
            let events: Vec<_> = events.iter().map(|event| event.to_string().into_bytes()).collect();
            return spanned(partition, 0, &Position::default(), 0, Payload::messages(&events));
        }
        if partition.kind == Kind::Topic {
            return spanned(partition, 0, &Position::default(), 0, messages(partition, numbers));
        }
        let lines: Vec<u8> =
            numbers.flat_map(|n| partition.records[n].bytes.iter().chain(b"\n")).copied().collect();
        Block::new(
            partition.source.into(),
            partition.name.as_str().into(),
            0,
            Payload::JsonLines(lines.into()),
        )
    };
    neighbours.map(block).collect()
}
