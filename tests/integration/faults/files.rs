//! Flipped bits: found, or harmless. Never a wrong balance or finding that looks right.

use std::{io::Write, path::Path, process::Output};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{CONFIG, Scene, died, shim::points, stored};
use crate::support::{Bench, lines, random_events, run};

/// Bits that are flipped in each kind of file; `FAULT_POINTS` asks for others.
const FLIPS: u64 = 24;

/// A state in the middle of a stream, with a log, journal blocks and sealed files, as a crash leaves it.
fn crashed(seed: u64) -> Scene {
    let mut scene = Scene::new(seed, 700, CONFIG);
    scene.prepare();
    // How many commits there are depends on how they were grouped.
    let died = (2..8).rev().any(|nth| {
        scene.reset();
        died(scene.run().env("FAILPOINT", format!("commit.done=abort@{nth}")).output().unwrap().status)
    });
    assert!(died);
    scene.keep();
    scene
}

fn flip(path: &Path, byte: u64, bit: u32) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[usize::try_from(byte).unwrap()] ^= 1 << bit;
    std::fs::write(path, bytes).unwrap();
}

/// It stopped by itself and named the damage.
fn refused(output: &Output, what: &str) -> bool {
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        return false;
    }
    assert_eq!(output.status.code(), Some(1), "{what}: {said}");
    let words =
        ["is damaged", "the database in", "by a newer", "cannot be opened", "did not confirm", "a gap"];
    assert!(words.iter().any(|word| said.contains(word)), "{what}: {said}");
    true
}

/// Flips bits in a file of a state, many times, and returns how often it was refused.
fn flips(scene: &Scene, file: &str, seed: u64) -> (u32, u32) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    scene.reset();
    let size = std::fs::metadata(scene.path().join("state").join(file)).unwrap().len();
    let (mut found, mut harmless) = (0, 0);
    for place in points(FLIPS, FLIPS) {
        // By strata, so that every part of the file has its turn.
        let from = (place - 1) * size / FLIPS.max(place);
        let byte = (from + rng.random_range(0..(size / FLIPS).max(1))).min(size - 1);
        let bit = rng.random_range(0..8);
        let what = format!("{file} byte {byte} bit {bit} (seed {seed})");
        scene.reset();
        flip(&scene.path().join("state").join(file), byte, bit);
        let output = scene.run().output().unwrap();
        if refused(&output, &what) {
            found += 1;
        } else {
            crate::support::assert_same(&stored(scene.path()), &scene.expected, &what);
            harmless += 1;
        }
    }
    (found, harmless)
}

#[test]
fn a_flipped_bit_in_the_database_is_found_or_harmless() {
    let mut scene = crashed(41);
    // Everything in the database, nothing in the log.
    scene.reset();
    scene.recovers("whole");
    scene.keep();
    let (found, harmless) = flips(&scene, "fiscwatch.db", 41);
    println!("fiscwatch.db: {found} found, {harmless} harmless");
    assert!(found > 0);
}

#[test]
fn a_flipped_bit_in_the_log_is_found_or_harmless() {
    // What the log's own checksums leave out is read again from the source, so most of it heals. Each flip was compared.
    let (found, harmless) = flips(&crashed(42), "fiscwatch.db-wal", 42);
    println!("fiscwatch.db-wal: {found} found, {harmless} harmless");
    assert!(harmless > 0);
}

#[test]
fn a_flipped_bit_in_a_sealed_file_is_found() {
    let scene = crashed(43);
    scene.reset();
    let database = rusqlite::Connection::open(scene.path().join("state/fiscwatch.db")).unwrap();
    let sql = "SELECT file FROM sealed ORDER BY last_at DESC";
    let file: String = database.query_row(sql, [], |row| row.get(0)).unwrap();
    drop(database);
    let (found, harmless) = flips(&scene, &format!("sealed/{file}"), 43);
    assert_eq!((u64::from(found), harmless), (points(FLIPS, FLIPS).len() as u64, 0));
}

/// A row of each table altered by somebody who knows SQL: the sums find what the structure of the file does not.
#[test]
fn an_altered_row_is_found_in_every_table() {
    let mut scene = Scene::new(44, 500, CONFIG);
    assert!(scene.run().status().unwrap().success());
    scene.keep();
    for (table, sql) in [
        ("lines", "UPDATE lines SET executed = '1' || executed WHERE number = 3"),
        ("lines", "DELETE FROM lines WHERE number = 3"),
        ("applications", "UPDATE applications SET amount = '1' || amount WHERE amount IS NOT NULL"),
        ("positions", "UPDATE positions SET \"offset\" = \"offset\" - 100"),
        ("watermark", "UPDATE watermark SET value = replace(value, '1', '2')"),
        ("meta", "UPDATE meta SET value = value - 1 WHERE name = 'checkpoint'"),
        ("sealed", "UPDATE sealed SET first_at = first_at + 1"),
        ("findings", "UPDATE findings SET body = replace(body, '1', '2') WHERE seq = 2"),
        ("findings", "DELETE FROM findings WHERE seq = 2"),
        ("journal", "UPDATE journal SET last_at = last_at - 1"),
        ("journal", "UPDATE journal SET events = events + 1"),
    ] {
        scene.reset();
        let database = rusqlite::Connection::open(scene.path().join("state/fiscwatch.db")).unwrap();
        assert!(database.execute(sql, []).unwrap() > 0, "{sql}");
        drop(database);
        let output = scene.run().output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{sql}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(&format!("the table {table} does not match its checksum")), "{sql}: {said}");
    }
    // What was rejected is compared before it is believed.
    scene.reset();
    let database = rusqlite::Connection::open(scene.path().join("state/fiscwatch.db")).unwrap();
    database
        .execute("UPDATE quarantine SET raw = CAST(replace(CAST(raw AS TEXT), '1', '2') AS BLOB)", [])
        .unwrap();
    drop(database);
    let (code, _, said) = run(scene.path(), &["rejects", "replay", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("the table quarantine does not match its checksum"), "{said}");
}

#[test]
fn a_flipped_bit_in_a_compressed_input_file_is_told_or_harmless() {
    let text = lines(&random_events(45, 600));
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(text.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    let config = "sources: [{ name: feed, file: { path: input.jsonl.gz } }]\nstate: { dir: state }\n";
    let bench = Bench::new(&text, config);
    let expected = bench.backtest(&[]);
    let mut rng = ChaCha8Rng::seed_from_u64(45);
    for _ in 0..30 {
        let mut damaged = packed.clone();
        let at = rng.random_range(0..damaged.len());
        damaged[at] ^= 1 << rng.random_range(0..8);
        std::fs::write(bench.path().join("input.jsonl.gz"), damaged).unwrap();
        let _ = std::fs::remove_dir_all(bench.path().join("state"));
        let (code, _, said) = run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]);
        let told = code == Some(1) || said.contains("breaks off");
        assert!(told || stored(bench.path()) == expected, "byte {at}: {said}");
    }
}
