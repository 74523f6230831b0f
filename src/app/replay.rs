//! Recorded events through the loop of the daemon, without a store.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
};

use parking_lot::RwLock;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::parallel;
use crate::{
    config::Config,
    engine::{
        BatchLimits, Committable, Dedup, Engine, EngineError, LATE_WITHOUT_HISTORY, MemoryTables, Originals,
        Output, OutputDetail, Scheduler, Sequencer, Versions, Windowing, batches,
    },
    evaluate::Evaluator,
    ledger::Ledger,
    map::Map,
    rule::RuleSet,
    say,
    source::{Chunks, Encoding, Format, file::file_block},
    stream::{Block, Receipt},
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
    pub record: OutputDetail,
    /// What the files hold, where their names do not tell.
    pub format: Option<Encoding>,
    /// The source whose values are written as those of the files.
    pub read_as: Option<String>,
    /// How their records become events, if they are none yet.
    pub map: Option<Arc<Map>>,
}

/// Passes batches on and counts what became of their records.
struct Counted<'o, O> {
    output: &'o mut O,
    records: Receipt,
    /// The first record that was rejected.
    rejected: Option<String>,
}

impl<O: Output> Output for Counted<'_, O> {
    async fn commit(&mut self, batches: Vec<Committable>) -> Result<(), EngineError> {
        for batch in &batches {
            batch.receipts.iter().for_each(|(.., receipt)| self.records += *receipt);
            if let (None, Some(first)) = (&self.rejected, batch.intake.rejects.first()) {
                self.rejected = Some(format!("{}:{}: {}", first.partition, first.record, first.detail));
            }
        }
        self.output.commit(batches).await
    }
}

impl<O> Counted<'_, O> {
    /// Whether there was an event: to have judged none must not look like having found nothing.
    fn judged(&self) -> anyhow::Result<()> {
        if self.records.is_refused() {
            let (rejected, first) = (self.records.rejected, self.rejected.as_deref().unwrap_or_default());
            anyhow::bail!(
                "{}",
                say!("none of {rejected} records is an event; the first: {first}", rejected, first)
            );
        }
        anyhow::ensure!(
            self.records.accepted + self.records.duplicates > 0,
            "{}",
            say!("there is no event in these files, so nothing was judged")
        );
        Ok(())
    }
}

impl Replay {
    /// A replay of files, which are of `format` whatever their names say.
    ///
    /// # Errors
    /// If a file is missing or not of its format: that is told before hours of work on those before it.
    pub fn new(
        files: &[PathBuf],
        format: Option<Encoding>,
        read_as: Option<&str>,
        config: &Config,
    ) -> anyhow::Result<Self> {
        if let Some(name) = read_as.filter(|name| !config.readings.contains_key(*name)) {
            let mut known: Vec<_> = config.readings.keys().map(String::as_str).collect();
            known.sort_unstable();
            anyhow::bail!(
                "{}",
                say!(
                    "--as {name}: the configuration has no such source; it has {known}",
                    name,
                    known = known.join(", ")
                )
            );
        }
        let map = read_as.and_then(|name| config.readings[name].map().cloned());
        let format = format.or(map.as_ref().and_then(|map| map.format));
        for path in files.iter().filter(|path| **path != Path::new("-")) {
            Chunks::open(path, Format::of(path, format), 1, (0, 0), false, map.as_deref())?;
        }
        let tables = Arc::new(MemoryTables::new(&config.calendar));
        Ok(Self {
            files: files.to_vec(),
            ledger: Arc::default(),
            tables,
            record: OutputDetail::Events,
            format,
            read_as: read_as.map(str::to_owned),
            map,
        })
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
        let (files, format) = (self.files.clone(), self.format);
        let read_as = self.read_as.as_deref().map(Arc::from);
        let (rows, map) = (config.batch_rows, self.map.clone());
        let reading = tokio::task::spawn_blocking(move || {
            read(&files, (format, map.as_deref()), read_as.as_ref(), rows, &blocks_in)
        });
        let limits = BatchLimits { rows, wait: config.batch_wait };
        tokio::spawn(batches(blocks, batches_in, limits, CancellationToken::new()));
        let evaluator = Arc::new(Evaluator::new(rules, Arc::clone(&config.calendar)));
        let windowing =
            match Windowing::new(&evaluator, None, (LATE_WITHOUT_HISTORY, u64::MAX), (None, None), None) {
                Ok(windowing) => windowing,
                Err(e) => return (Err(e.into()), Ok(())),
            };
        let ledger = Arc::clone(&self.ledger);
        let engine = Engine {
            decoder: Arc::new(super::decoder(config)),
            sequencer: Sequencer::new(ledger, Dedup::default(), super::watermark(config), None)
                .finding(Originals::default().within(config.retain_micros()))
                .comparing(Versions::default().within(config.retain_micros())),
            windowing,
            evaluator: Arc::new(RwLock::new(evaluator)),
            record: self.record,
            scheduler: Some(Scheduler::new(
                Arc::clone(&self.tables) as _,
                config.query_limits,
                Arc::default(),
            )),
            time_max: Arc::new(|| None),
            parallel: parallel(),
            bounded: Arc::new(AtomicBool::new(true)),
            asked: None,
            silence: None,
        };
        let mut counted = Counted { output, records: Receipt::default(), rejected: None };
        let result = engine.run(batches_out, &mut counted).await;
        let read = reading.await.map_err(anyhow::Error::from).and_then(|read| read);
        (result, read.and_then(|()| counted.judged()))
    }
}

/// Reads all files in order. A file that breaks off ends the run after what could be read of it.
fn read(
    files: &[PathBuf],
    (format, map): (Option<Encoding>, Option<&Map>),
    read_as: Option<&Arc<str>>,
    rows: usize,
    blocks: &mpsc::Sender<Block>,
) -> anyhow::Result<()> {
    let source: Arc<str> = Arc::from("backtest");
    for path in files {
        let mut chunks = if path == Path::new("-") {
            let format = Format::of(Path::new("stdin.jsonl"), format);
            Chunks::pipe(Path::new("stdin"), Box::new(std::io::stdin()), format, rows, map)?
        } else {
            Chunks::open(path, Format::of(path, format), rows, (0, 0), false, map)?
        };
        while let Some(chunk) = chunks.next_chunk()? {
            let mut block = file_block(&source, path, chunk.first_record, chunk.payload, None);
            block.read_as = read_as.map_or(block.read_as, Arc::clone);
            if blocks.blocking_send(block).is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}
