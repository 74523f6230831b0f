//! The stages of the loop, one at a time and on one core: decode, sequence (duplicates and ledger), rules, commit.
//! Throughput is in events. docs/performance.md holds the figures and the machine they come from.

use std::{
    hint::black_box,
    path::Path,
    sync::{Arc, RwLock},
};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use fiscwatch::{
    app::load_rules,
    config::Config,
    decode::{Decoded, Decoder},
    engine::{Dedup, Sequenced, Sequencer},
    evaluate::{Evaluator, row},
    ledger::Ledger,
    simulate::{Plan, Treasury},
    store::{Commit, JournalBlock, Store},
    stream::{Block, Payload},
};

/// Events of a batch, as the daemon cuts them.
const BATCH: usize = 16_384;

struct Fixture {
    config: Config,
    decoder: Decoder,
    batches: Vec<String>,
}

/// A simulated quarter with anomalies, in batches.
fn fixture() -> Fixture {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = Config::load(&root.join("config/fiscwatch.yaml")).expect("the shipped configuration");
    let zone = config.calendar.zone().clone();
    let start = jiff::civil::date(2025, 1, 1);
    let plan = Plan { payments: 150_000, units: 300, seed: 1, start, days: 90, anomalies: true, zone };
    let lines = Treasury::new(&plan).events().map(|s| serde_json::to_string(&s.event).expect("an event"));
    let lines: Vec<_> = lines.collect();
    let batches = lines.chunks(BATCH).map(|part| part.join("\n")).collect();
    Fixture { decoder: Decoder::new(config.calendar.clone()), config, batches }
}

fn blocks(text: &str) -> Vec<Block> {
    vec![Block {
        span: None,
        source: "bench".into(),
        partition: "bench".into(),
        first_record: 0,
        payload: Payload::JsonLines(text.to_owned().into()),
        replays: Vec::new(),
        receipt: None,
    }]
}

fn sequencer() -> Sequencer {
    Sequencer::new(Arc::new(RwLock::new(Ledger::default())), Dedup::default(), None)
}

fn stages(c: &mut Criterion) {
    let f = fixture();
    let blocks: Vec<_> = f.batches.iter().map(|text| blocks(text)).collect();
    let events: usize = f.batches.iter().map(|text| text.lines().count()).sum();
    let decode = || -> Vec<Decoded> { blocks.iter().map(|b| f.decoder.decode(b, None)).collect() };
    let sequence = |decoded: Vec<Decoded>| -> Vec<Sequenced> {
        let mut sequencer = sequencer();
        blocks.iter().zip(decoded).map(|(b, d)| sequencer.sequence(b, d, false)).collect()
    };
    let mut group = c.benchmark_group("stages");
    group.sample_size(10).throughput(Throughput::Elements(events as u64));
    group.bench_function("decode", |b| b.iter(|| black_box(decode())));
    group.bench_function("sequence", |b| {
        b.iter_batched(decode, |d| black_box(sequence(d)), BatchSize::LargeInput)
    });

    let sequenced = sequence(decode());
    let rules = load_rules(&f.config).expect("the shipped rules");
    let evaluator = Evaluator::new(rules, f.config.calendar.clone());
    let evaluate = || {
        let results = sequenced.iter().map(|s| {
            let batch =
                row::Batch { events: &s.events, types: &s.types, after: &s.after, attributes: &s.attributes };
            evaluator.evaluate(&batch)
        });
        results.collect::<Vec<_>>()
    };
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
    group.bench_function("commit", |b| {
        b.iter_batched(
            commits,
            |commits| commits.iter().for_each(|commit| store.commit(commit).expect("a commit")),
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, stages);
criterion_main!(benches);
