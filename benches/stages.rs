//! The stages of the loop, one at a time and on one core: decode, sequence (duplicates and ledger), rules, commit.
//! Throughput is in events. docs/performance.md holds the figures and the machine they come from.

use std::{
    hint::black_box,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use fiscwatch::{
    alert::Desk,
    app::parallel,
    config::Config,
    daemon::load_rules,
    decode::{Decoded, Decoder},
    engine::{
        Committable, Dedup, Engine, EngineError, Output, OutputDetail, SequenceCause, Sequenced, Sequencer,
        Ticker, Watermark, Windowing,
    },
    evaluate::{Batch, Evaluator, Moved},
    event::{Instant, TimeDelta},
    journal::JournalBlock,
    ledger::Ledger,
    rule::RuleSet,
    simulate::{Plan, Treasury},
    store::{Commit, Store},
    stream::{Block, Payload},
};
use parking_lot::RwLock;
use tokio::sync::mpsc;

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Events of a batch, as the daemon cuts them.
const BATCH: usize = 4096;

struct Fixture {
    config: Config,
    decoder: Decoder,
    batches: Vec<Bytes>,
}

/// A simulated quarter with anomalies, in batches.
fn fixture() -> Fixture {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = Config::load(&root.join("config/fiscwatch.yaml")).expect("the shipped configuration");
    let zone = config.calendar.zone().clone();
    let start = jiff::civil::date(2025, 1, 1);
    let plan = Plan { payments: 150_000, units: 300, seed: 1, start, days: 90, anomalies: true, zone };
    let treasury = Treasury::new(&plan);
    let lines = treasury.events().map(|s| serde_json::to_string(&s.event).expect("an event"));
    let lines: Vec<_> = lines.collect();
    let batches = lines.chunks(BATCH).map(|part| Bytes::from(part.join("\n"))).collect();
    Fixture { decoder: Decoder::new(config.calendar.clone()), config, batches }
}

fn blocks(text: &Bytes) -> Vec<Block> {
    vec![Block::new("bench".into(), "bench".into(), 0, Payload::JsonLines(text.clone()))]
}

/// What the loop is compared with: decoding alone, a thread a core.
fn decode_in_parallel(decoder: &Decoder, blocks: &[Vec<Block>]) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..parallel() {
            scope.spawn(|| {
                while let Some(block) = blocks.get(next.fetch_add(1, Ordering::Relaxed)) {
                    drop(black_box(decoder.decode(block, None)));
                }
            });
        }
    });
}

/// The loop without a store: what `backtest` does with a file that is in memory already.
fn run_loop(runtime: &tokio::runtime::Runtime, f: &Fixture, rules: &Arc<RuleSet>) {
    let evaluator = Arc::new(Evaluator::new(Arc::clone(rules), f.config.calendar.clone()));
    let engine = Engine {
        decoder: Arc::new(f.decoder.clone()),
        sequencer: sequencer(),
        windowing: Windowing::new(&evaluator, None, (TimeDelta::MAX, u64::MAX), (None, None), None)
            .expect("windows"),
        evaluator: Arc::new(RwLock::new(evaluator)),
        record: OutputDetail::Nothing,
        scheduler: None,
        time_max: Arc::new(|| None),
        parallel: parallel(),
        bounded: Arc::default(),
        asked: None,
        silence: None,
    };
    let batches: Vec<_> = f.batches.iter().map(blocks).collect();
    runtime.block_on(async {
        let (sender, receiver) = mpsc::channel(parallel());
        let reader = tokio::spawn(async move {
            for batch in batches {
                sender.send(batch).await.expect("an engine that takes batches");
            }
        });
        engine.run(receiver, &mut Nowhere).await.expect("a loop without errors");
        reader.await.expect("a reader");
    });
}

struct Nowhere;

impl Output for Nowhere {
    async fn commit(&mut self, batches: Vec<Committable>) -> Result<(), EngineError> {
        drop(black_box(batches));
        Ok(())
    }
}

fn sequencer() -> Sequencer {
    Sequencer::new(
        Arc::new(RwLock::new(Ledger::default())),
        Dedup::default(),
        Watermark::new(TimeDelta::minutes(10), None),
        None,
    )
}

fn stages(c: &mut Criterion) {
    let f = fixture();
    let blocks: Vec<_> = f.batches.iter().map(blocks).collect();
    let events: usize = blocks.iter().flatten().map(|block| block.records + 1).sum();
    let decode = || -> Vec<Decoded> { blocks.iter().map(|b| f.decoder.decode(b, None)).collect() };
    let sequence = |decoded: Vec<Decoded>| -> Vec<Sequenced> {
        let mut sequencer = sequencer();
        let mut ticker = Ticker::new(&Arc::default(), &f.config.calendar);
        let mut all = Vec::new();
        for (block, decoded) in blocks.iter().zip(decoded) {
            let parts = sequencer.sequence(
                block,
                decoded,
                SequenceCause::Events,
                (Instant::EPOCH, TimeDelta::MAX),
                &mut ticker,
            );
            all.extend(parts.expect("no files"));
        }
        all
    };
    let mut group = c.benchmark_group("stages");
    group.sample_size(10).throughput(Throughput::Elements(events as u64));
    group.bench_function("decode", |b| {
        b.iter(|| blocks.iter().for_each(|block| drop(black_box(f.decoder.decode(block, None)))));
    });
    group.bench_function("decode on all cores", |b| b.iter(|| decode_in_parallel(&f.decoder, &blocks)));
    group.bench_function("sequence", |b| {
        b.iter_batched(decode, |d| black_box(sequence(d)), BatchSize::LargeInput);
    });

    let sequenced = sequence(decode());
    let rules = load_rules(&f.config).expect("the shipped rules");
    let evaluator = Evaluator::new(Arc::clone(&rules), f.config.calendar.clone());
    let evaluate = || {
        let results = sequenced.iter().map(|s| {
            let batch =
                Batch { events: &s.events, types: &s.types, after: &s.after, attributes: &s.attributes };
            evaluator.prepare(&batch).conclude(Moved::default())
        });
        results.collect::<Vec<_>>()
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    group.bench_function("loop on all cores", |b| b.iter(|| run_loop(&runtime, &f, &rules)));
    group.bench_function("rules", |b| b.iter(|| black_box(evaluate())));

    let encode =
        || sequenced.iter().map(|s| JournalBlock::encode(&s.events, &s.hashes).expect("a block")).collect();
    group.bench_function("encode", |b| b.iter(|| black_box::<Vec<JournalBlock>>(encode())));
    let commits = || -> Vec<Commit> {
        let one = |journal: JournalBlock| Commit { journal: vec![journal], ..Commit::default() };
        let encoded: Vec<JournalBlock> = encode();
        encoded.into_iter().map(one).collect()
    };
    let dir = tempfile::tempdir().expect("a folder");
    let mut store = Store::open(dir.path()).expect("a store");
    let desk = Desk::new(Arc::clone(&f.config.policy));
    group.bench_function("commit", |b| {
        b.iter_batched(
            commits,
            |commits| {
                for commit in commits {
                    store.commit(&commit, &desk).expect("a commit");
                }
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, stages);
criterion_main!(benches);
