//! One seed: processes that read, commit, die and start again, until everything is committed.

mod checks;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use parking_lot::Mutex;

use fiscwatch::{
    app::Assembly,
    clock::{Clock, ManualClock},
    config::Config,
    daemon::RunOptions,
    engine::EngineError,
    evaluate::Evaluator,
    event::{Instant, TimeDelta},
    store::StoreError,
};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use tokio::{sync::mpsc, task::JoinHandle};

use super::{
    faults::{Fault, Faulty},
    ground::{Ground, lock},
    plan::{DAY, Plan, dice},
    rules::Set,
    sources::{Reader, World},
    versions,
};
use crate::support::calendar;

/// What a seed's run did, for the figures.
#[derive(Debug, Default, Clone, Copy)]
pub struct Done {
    pub records: usize,
    pub events: usize,
    pub processes: u32,
    pub findings: usize,
    pub sealed: u64,
    pub retired: u64,
    pub reloads: u32,
}

impl Done {
    pub fn add(&mut self, other: &Self) {
        self.records += other.records;
        self.events += other.events;
        self.processes += other.processes;
        self.findings += other.findings;
        self.sealed += other.sealed;
        self.retired += other.retired;
        self.reloads += other.reloads;
    }
}

/// Runs a seed.
///
/// # Errors
/// What does not hold.
pub fn seed(seed: u64) -> Result<Done, String> {
    let mut rng = dice(seed);
    let plan = Arc::new(Plan::new(seed, &mut rng));
    let dir = scratch();
    let world = World::new(&plan, dir.path().to_owned());
    let ground = Ground::new(&plan);
    let clock = Arc::new(ManualClock::at(Instant::from_micros(plan.now)));
    let sets = vec![(0, plan.rules)];
    let mut run = Run { rng, plan, world, ground, clock, sets, deaths: 0, done: Done::default() };
    let ended = run.finish_all();
    let first = lock(&run.ground).problem.take();
    first.map_or(ended, Err)?;
    run.check_end()?;
    Ok(run.done)
}

/// Memory, where there is some: what is asked here is what a commit holds, not what a disk does.
fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir()).expect("a folder can be made")
}

struct Run {
    rng: ChaCha8Rng,
    plan: Arc<Plan>,
    world: World,
    ground: Arc<Mutex<Ground>>,
    clock: Arc<ManualClock>,
    /// The rules in force from so many accepted events on.
    sets: Vec<(usize, Set)>,
    deaths: u32,
    done: Done,
}

/// A running process.
struct Process {
    assembly: Parts,
    readers: Vec<Reader>,
    batches: mpsc::Sender<Vec<fiscwatch::stream::Block>>,
    engine: JoinHandle<Result<(), EngineError>>,
}

struct Parts {
    shared: Arc<fiscwatch::daemon::Shared>,
    sealing: fiscwatch::app::SealingParts,
    bounded: Arc<std::sync::atomic::AtomicBool>,
}

/// How a process came to its end.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// It died, or was stopped before everything was read.
    Early,
    /// Everything is read and committed.
    Whole,
}

impl Run {
    fn state(&self) -> PathBuf {
        self.world.dir.join("state")
    }

    fn config(&self) -> Config {
        let mut config = super::config();
        let duration = |micros: i64| Duration::from_micros(micros.unsigned_abs());
        config.state_dir = self.state();
        config.readings.insert(versions::SOURCE.to_owned(), versions::reading());
        config.checkpoint_events = self.plan.checkpoint_events;
        config.lateness = TimeDelta::from_micros(self.plan.lateness);
        config.keep_late = TimeDelta::from_micros(self.plan.keep_late);
        config.duplicate_horizon = duration(self.plan.duplicate_horizon);
        config.seal_after = duration(self.plan.seal_after);
        config.retain = self.plan.retain.map(duration);
        config
    }

    fn set(&self) -> Set {
        self.sets.last().map_or(self.plan.rules, |(_, set)| *set)
    }

    fn finish_all(&mut self) -> Result<(), String> {
        // Every process gets something done or takes one of the deaths there are, so this ends.
        for _ in 0..200 {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()
                .map_err(|e| format!("no runtime: {e}"))?;
            let end = runtime.block_on(self.process())?;
            drop(runtime);
            let stored = self.stored()?;
            lock(&self.ground).bury(&stored);
            if let Some(problem) = lock(&self.ground).problem.take() {
                return Err(problem);
            }
            if end == End::Whole {
                return Ok(());
            }
        }
        Err(String::from("it does not come to an end"))
    }

    async fn process(&mut self) -> Result<End, String> {
        self.done.processes += 1;
        let mut process = self.start()?;
        self.check_recovered(&process)?;
        loop {
            let whole = process.readers.iter().all(|reader| self.world.is_read(reader));
            if whole && self.settle(&mut process).await {
                process.assembly.bounded.store(true, Ordering::SeqCst);
                return Ok(match self.stop(process).await? {
                    true => End::Whole,
                    false => End::Early,
                });
            }
            if process.engine.is_finished() {
                self.stop(process).await?;
                return Ok(End::Early);
            }
            let step = self.rng.random_range(0..40);
            if super::tracing() {
                eprintln!("step {step}");
            }
            match step {
                0 => {
                    // Killed, with batches in every stage.
                    if self.deaths < self.plan.deaths {
                        self.deaths += 1;
                        process.engine.abort();
                        let _ = process.engine.await;
                        return Ok(End::Early);
                    }
                }
                1 => {
                    self.stop(process).await?;
                    return Ok(End::Early);
                }
                2..4 => {
                    if self.settle(&mut process).await {
                        self.reload(&process)?;
                    }
                }
                4..8 => self.seal(&mut process)?,
                8..10 => {
                    let jump = self.rng.random_range(-300..3000) * DAY;
                    self.clock.set(Instant::from_micros(self.plan.now + jump.max(-300 * DAY)));
                }
                10..12 => {
                    self.settle(&mut process).await;
                }
                12..18 => self.world.grow(&mut self.rng),
                _ => self.send(&mut process).await,
            }
        }
    }

    fn start(&mut self) -> Result<Process, String> {
        let options = RunOptions { config_path: self.world.dir.join("no.yaml"), ..RunOptions::default() };
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as _;
        let assembly = loop {
            let assembly = Assembly::new(&self.config(), self.set().rules(), &options, &clock, 0);
            match assembly {
                // Other tests start processes, and what they fork has the lock too until it is another program.
                Err(e) if matches!(e.downcast_ref(), Some(StoreError::Locked { .. })) => {
                    std::thread::yield_now();
                }
                assembly => break assembly.map_err(|e| format!("it does not start: {e:#}"))?,
            }
        };
        let Assembly { shared, positions, mut engine, output, sealing, .. } = assembly;
        // Only events move the watermark here: what a silent source does depends on the clock, as it must.
        engine.silence = None;
        let fault = (self.deaths < self.plan.deaths && self.rng.random_ratio(3, 4)).then(|| {
            self.deaths += 1;
            Fault::draw(&mut self.rng, self.plan.has_versions())
        });
        if super::tracing() {
            eprintln!("start at {positions:?}");
        }
        let mut output = Faulty::new(output, &shared, &self.ground, fault, self.state());
        let mut readers = Vec::new();
        for (number, partition) in self.plan.partitions.iter().enumerate() {
            let at = positions.get(&(partition.source.to_owned(), partition.name.clone()));
            readers.push(self.world.open(number, at.cloned().unwrap_or_default(), &mut self.rng));
        }
        let bounded = Arc::clone(&engine.bounded);
        let (send, batches) = mpsc::channel(self.rng.random_range(1..4));
        let engine = tokio::spawn(async move { engine.run(batches, &mut output).await });
        let assembly = Parts { shared, sealing, bounded };
        Ok(Process { assembly, readers, batches: send, engine })
    }

    /// Sends one batch of what there is to read, cut anywhere.
    async fn send(&mut self, process: &mut Process) {
        let mut batch = Vec::new();
        for _ in 0..self.rng.random_range(1..5) {
            let number = self.rng.random_range(0..process.readers.len());
            if let Some((block, range)) = self.world.read(&mut process.readers[number], &mut self.rng) {
                batch.push(block);
                lock(&self.ground).sent.push_back((number, range));
            }
        }
        if !batch.is_empty() {
            // If it fails the process has died, which is seen next.
            let _ = process.batches.send(batch).await;
        }
    }

    /// Waits until everything that was sent is committed. `false` if the process died.
    async fn settle(&mut self, process: &mut Process) -> bool {
        while !lock(&self.ground).sent.is_empty() {
            if process.engine.is_finished() {
                return false;
            }
            tokio::task::yield_now().await;
        }
        process.readers.iter_mut().for_each(|reader| self.world.hear(reader));
        !process.engine.is_finished()
    }

    /// Other rules, or rules that are refused.
    fn reload(&mut self, process: &Process) -> Result<(), String> {
        let shared = &process.assembly.shared;
        if self.rng.random_ratio(1, 3) {
            let before = Arc::clone(&shared.evaluator.read());
            if fiscwatch::daemon::reload(shared, false, fiscwatch::access::Actor::daemon()).is_ok() {
                return Err(String::from("a configuration that is not there is taken"));
            }
            let after = Arc::clone(&shared.evaluator.read());
            return match Arc::ptr_eq(&before, &after) {
                true => Ok(()),
                false => Err(String::from("a reload that was refused changes the rules")),
            };
        }
        if self.done.reloads == self.plan.reloads {
            return Ok(());
        }
        self.done.reloads += 1;
        let set = if self.set() == Set::Windows { Set::Others } else { Set::Windows };
        let evaluator = Arc::new(Evaluator::new(set.rules(), calendar()));
        *shared.evaluator.write() = evaluator;
        self.sets.push((lock(&self.ground).journal.len(), set));
        Ok(())
    }

    fn seal(&mut self, process: &mut Process) -> Result<(), String> {
        for _ in 0..self.rng.random_range(1..6) {
            let step = process.assembly.sealing.sealer.step().map_err(|e| format!("sealing: {e}"))?;
            let Some(step) = step else { break };
            self.done.sealed += step.events;
            self.done.retired += step.retired_events;
        }
        Ok(())
    }

    /// No more events come; what came is committed. `false` if the process died over it.
    async fn stop(&mut self, process: Process) -> Result<bool, String> {
        let Process { batches, engine, mut readers, .. } = process;
        drop(batches);
        let ended = engine.await.map_err(|e| format!("the loop panics: {e}"))?;
        readers.iter_mut().for_each(|reader| self.world.hear(reader));
        match ended {
            Ok(()) => Ok(true),
            Err(EngineError::Output(_)) => Ok(false),
            Err(e) => Err(format!("the loop ends by itself: {e}")),
        }
    }
}
