//! Every part of the loop once, each in a function of its own, for a counter of instructions: times differ from run to run
//! and from machine to machine, what is executed hardly does. `scripts/check/instructions.sh` counts, and compares with the
//! bounds in `instructions.txt`. On one thread: batches are so small that windows do not share them out.

mod common;

use std::{hint::black_box, sync::Arc};

use fiscwatch::{
    alert::Desk,
    decode::Decoded,
    journal::JournalBlock,
    store::{Commit, Store},
};

use common::{Fixture, KINDS, Runner, rule, rules, sequence};

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[inline(never)]
fn part_decode(f: &Fixture) -> Vec<Decoded> {
    f.blocks.iter().map(|block| f.decoder.decode(block, None)).collect()
}

#[inline(never)]
fn part_sequence(f: &Fixture, decoded: Vec<Decoded>) {
    drop(black_box(sequence(&f.config, &f.blocks, decoded)));
}

#[inline(never)]
fn part_encode(f: &Fixture) -> Vec<JournalBlock> {
    f.parts.iter().map(|s| JournalBlock::encode(&s.events, &s.hashes).expect("a block")).collect()
}

#[inline(never)]
fn part_commit(store: &mut Store, desk: &Desk, blocks: Vec<JournalBlock>) {
    for block in blocks {
        let commit = Commit { journal: vec![block], ..Commit::default() };
        store.commit(&commit, desk).expect("a commit");
    }
}

/// A function for each kind of rule, so that a counter tells them apart.
macro_rules! kinds {
    ($($name:ident)*) => {
        $(#[inline(never)]
        fn $name(runner: &mut Runner, f: &Fixture) {
            runner.run(f, 0);
        })*
        const PARTS: &[fn(&mut Runner, &Fixture)] = &[$($name),*];
    };
}

// In the order of `KINDS`.
kinds! {
    part_row part_over_90m part_over_30d part_over_hot part_over_year part_over_median
    part_window_1d part_window_hops part_window_anomaly
}

fn main() {
    let f = Fixture::new(2_000, 30, 500);
    let decoded = part_decode(&f);
    part_sequence(&f, decoded);
    assert_eq!(KINDS.len(), PARTS.len(), "each kind has its function");
    for ((_, body), part) in KINDS.iter().zip(PARTS) {
        let rules = rules(&f, &rule("a", body));
        part(&mut Runner::new(&f, &rules), &f);
    }
    let dir = tempfile::tempdir().expect("a folder");
    let mut store = Store::open(dir.path()).expect("a store");
    let desk = Desk::new(Arc::clone(&f.config.policy));
    let blocks = part_encode(&f);
    part_commit(&mut store, &desk, blocks);
    println!("events {}", f.events);
}
