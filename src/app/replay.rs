//! Recorded events through the loop of the daemon, without a store.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, RwLock, atomic::AtomicBool},
};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::parallel;
use crate::{
    config::Config,
    decode::Decoder,
    engine::{
        BatchLimits, Dedup, Engine, EngineError, LATE_WITHOUT_HISTORY, MemoryTables, Output, Record,
        Scheduler, Sequencer, Windowing, batches,
    },
    evaluate::Evaluator,
    ledger::Ledger,
    rule::RuleSet,
    source::{Chunks, Format, file::file_block},
    stream::Block,
};

/// What is replayed, and what it leads to besides findings.
#[derive(Debug)]
pub struct Replay {
    /// The files in the order to read them; `-` is standard input.
    pub files: Vec<PathBuf>,
    /// The balances afterwards.
    pub ledger: Arc<RwLock<Ledger>>,
    /// What schedules query. The output must [keep](MemoryTables::keep) every batch here.
    pub tables: Arc<MemoryTables>,
    /// What the output gets of the events.
    pub record: Record,
}

impl Replay {
    /// A replay of files.
    ///
    /// # Errors
    /// If a file is missing or not of its format: that is told before hours of work on those before it.
    pub fn new(files: &[PathBuf], config: &Config) -> anyhow::Result<Self> {
        for path in files.iter().filter(|path| **path != Path::new("-")) {
            Chunks::open(path, Format::of(path, None), 1, (0, 0), false)?;
        }
        let tables = Arc::new(MemoryTables::new(&config.calendar));
        Ok(Self { files: files.to_vec(), ledger: Arc::default(), tables, record: Record::Events })
    }

    /// Judges the events by rules. Two results: of the loop, and of reading, which may break off late.
    pub async fn run<O: Output>(
        &self,
        config: &Config,
        rules: Arc<RuleSet>,
        output: &mut O,
    ) -> (Result<(), EngineError>, anyhow::Result<()>) {
        let (blocks_in, blocks) = mpsc::channel(parallel());
        let (batches_in, batches_out) = mpsc::channel(parallel());
        let files = self.files.clone();
        let rows = config.batch_rows;
        let reading = tokio::task::spawn_blocking(move || read(&files, rows, &blocks_in));
        let limits = BatchLimits { rows, wait: config.batch_wait };
        tokio::spawn(batches(blocks, batches_in, limits, CancellationToken::new()));
        let evaluator = Arc::new(Evaluator::new(rules, Arc::clone(&config.calendar)));
        let windowing =
            match Windowing::new(&evaluator, None, LATE_WITHOUT_HISTORY, (i64::MIN, i64::MIN), None) {
                Ok(windowing) => windowing,
                Err(e) => return (Err(e.into()), Ok(())),
            };
        let ledger = Arc::clone(&self.ledger);
        let engine = Engine {
            decoder: Arc::new(Decoder::new(Arc::clone(&config.calendar)).not_before(config.earliest_time())),
            sequencer: Sequencer::new(ledger, Dedup::default(), super::watermark(config), None),
            windowing,
            evaluator: Arc::new(RwLock::new(evaluator)),
            record: self.record,
            scheduler: Some(Scheduler {
                tables: Arc::clone(&self.tables) as _,
                limits: config.query_limits,
                busy: Arc::default(),
            }),
            time_max: Arc::new(|| None),
            parallel: parallel(),
            bounded: Arc::new(AtomicBool::new(true)),
            silence: None,
        };
        let result = engine.run(batches_out, output).await;
        let read = reading.await.map_err(anyhow::Error::from).and_then(|read| read);
        (result, read)
    }
}

/// Reads all files in order. A file that breaks off ends the run after what could be read of it.
fn read(files: &[PathBuf], rows: usize, blocks: &mpsc::Sender<Block>) -> anyhow::Result<()> {
    let source: Arc<str> = Arc::from("backtest");
    for path in files {
        let mut chunks = if path == Path::new("-") {
            let format = Format::of(Path::new("stdin.jsonl"), None);
            Chunks::pipe(Path::new("stdin"), Box::new(std::io::stdin()), format, rows)?
        } else {
            Chunks::open(path, Format::of(path, None), rows, (0, 0), false)?
        };
        while let Some(chunk) = chunks.next_chunk()? {
            if blocks
                .blocking_send(file_block(&source, path, chunk.first_record, chunk.payload, None))
                .is_err()
            {
                return Ok(());
            }
        }
    }
    Ok(())
}
