//! Malformed input of every kind that comes from outside. Seeds are in `tests/fuzz/<target>`; each is tried as it is and
//! changed in many ways. What must hold is more than that nothing panics: every record is accounted for, however the
//! bytes are cut, and what is read is what an independent reader reads.
//!
//! `FUZZ_SECONDS=600` runs each target that long, `FUZZ_SEED=7` from other dice. What fails is printed as it can be put
//! into the seeds.

mod config;
mod csv;
mod documents;
mod http;
mod json;
mod mapped;
mod mutate;
mod parquet;
mod rules;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The seeds of a target.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz").join(target);
    let mut paths: Vec<_> =
        std::fs::read_dir(&dir).expect("the seeds").map(|entry| entry.expect("a seed").path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("a seed")).collect()
}

/// Tries the seeds, and then changed ones: so many, or for as long as `FUZZ_SECONDS` says.
fn fuzz(target: &str, cases: u64, seeds: &[Vec<u8>], check: impl Fn(&[u8], &mut ChaCha8Rng)) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seconds = number("FUZZ_SECONDS").map(Duration::from_secs);
    let first = number("FUZZ_SEED").unwrap_or(0) << 32;
    let started = Instant::now();
    let mut tried = 0;
    for input in seeds {
        attempt(target, input, &check, &mut ChaCha8Rng::seed_from_u64(0));
    }
    while seconds.map_or(tried < cases, |limit| started.elapsed() < limit) {
        let mut rng = ChaCha8Rng::seed_from_u64(first + tried);
        let mut input = seeds[rng.random_range(0..seeds.len())].clone();
        mutate::mutate(&mut input, seeds, &mut rng);
        attempt(target, &input, &check, &mut rng);
        tried += 1;
    }
    println!("{target}: {} seeds and {tried} inputs in {:.1?}", seeds.len(), started.elapsed());
}

fn attempt(target: &str, input: &[u8], check: &impl Fn(&[u8], &mut ChaCha8Rng), rng: &mut ChaCha8Rng) {
    let tried = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(input, rng)));
    if let Err(panic) = tried {
        let path =
            std::env::temp_dir().join(format!("fuzz-{target}-{:016x}", xxhash_rust::xxh3::xxh3_64(input)));
        let _ = std::fs::write(&path, input);
        println!("{target}: {}\nthe input is in {}", String::from_utf8_lossy(input), path.display());
        std::panic::resume_unwind(panic);
    }
}
