//! The shards that this machine has: what the group gives is begun, what it takes is ended before somebody else has it.

mod process;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
};

use parking_lot::{Mutex, MutexGuard};

pub(crate) use process::end_with_keeper;

use crate::{
    clock::Clock,
    config::{
        Config,
        shards::{ShardPart, Spanning, beside, folder},
    },
    event::Instant,
    replica::{Bucket, BucketError, ReplicaLocation},
    say,
    source::kafka::Holder,
    telemetry::Metrics,
};

/// The object in the store that says how many shards there are.
const LAYOUT: &str = "shards.json";

/// The shards of this machine.
#[derive(Debug)]
pub struct Board {
    /// The configuration of all of them, for their processes.
    config_path: PathBuf,
    /// Where shard 0 listens.
    listen: SocketAddr,
    /// The store below which each has its own.
    store: ReplicaLocation,
    pub topic: String,
    /// The name of this machine in the group.
    pub instance: String,
    clock: Arc<dyn Clock>,
    pub metrics: Arc<Metrics>,
    /// The partitions of the topic; 0 until a broker has said it.
    partitions: AtomicUsize,
    /// Whether a process more reads all of them. It goes with the first one.
    has_whole: bool,
    held: Mutex<BTreeMap<ShardPart, Held>>,
}

/// A shard that is held.
#[derive(Debug)]
struct Held {
    since: Instant,
    life: Arc<Life>,
    thread: JoinHandle<()>,
}

/// What its process and those who ask for it share.
#[derive(Debug)]
struct Life {
    part: ShardPart,
    /// Whether it is to end.
    stop: AtomicBool,
    /// Its process; 0 while there is none.
    process: AtomicU32,
    deaths: AtomicU32,
    address: Mutex<Option<SocketAddr>>,
}

/// A shard, for those who ask.
#[derive(Debug, Clone)]
pub(crate) struct ShardStatus {
    pub part: ShardPart,
    /// Since when it is this machine's.
    pub since: Instant,
    /// Its process; `None` while there is none.
    pub process: Option<u32>,
    /// How often its process ended by itself.
    pub deaths: u32,
    pub address: Option<SocketAddr>,
}

impl Board {
    /// A board without shards.
    ///
    /// # Errors
    /// If the configuration has no source or store for them.
    pub fn new(
        config: &Config,
        config_path: PathBuf,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, String> {
        let source = crate::config::shards::Shards::source(config);
        let topic = source.and_then(|source| source.topics.first());
        match (&config.shards, topic, &config.replicate) {
            (Some(shards), Some(topic), Some(replicate)) => Ok(Self {
                config_path,
                listen: shards.listen,
                store: replicate.place.clone(),
                topic: topic.clone(),
                instance: shards.instance.clone(),
                clock,
                metrics,
                partitions: AtomicUsize::new(0),
                has_whole: shards.spanning == Spanning::Whole,
                held: Mutex::default(),
            }),
            _ => Err(say!("the configuration has no section shards")),
        }
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<ShardPart, Held>> {
        self.held.lock()
    }

    /// The partitions of the topic; `None` until a broker has said it.
    pub(crate) fn partitions(&self) -> Option<usize> {
        Some(self.partitions.load(Ordering::SeqCst)).filter(|count| *count > 0)
    }

    /// The shards that are held.
    pub(crate) fn told(&self) -> Vec<ShardStatus> {
        let told = |(part, held): (&ShardPart, &Held)| ShardStatus {
            part: *part,
            since: held.since,
            process: Some(held.life.process.load(Ordering::SeqCst)).filter(|process| *process != 0),
            deaths: held.life.deaths.load(Ordering::SeqCst),
            address: held.life.address(),
        };
        self.held().iter().map(told).collect()
    }

    /// Ends all shards, and comes back when their processes have.
    pub fn end(&self) {
        let all: Vec<ShardPart> = self.held().keys().copied().collect();
        self.let_go(&all);
    }

    /// Has rules and lists read again by all of them.
    pub fn reload(&self) {
        for shard in self.told() {
            process::signal(shard.process, rustix::process::Signal::Hup);
        }
    }

    fn let_go(&self, parts: &[ShardPart]) {
        let leaving: Vec<Held> = {
            let mut held = self.held();
            parts.iter().filter_map(|part| held.remove(part)).collect()
        };
        // All at once: each of them has its last batch to finish.
        leaving.iter().for_each(|held| held.life.stop.store(true, Ordering::SeqCst));
        for held in leaving {
            let part = held.life.part;
            if held.thread.join().is_err() {
                tracing::error!(shard = %part, "who looked after the shard has panicked");
            }
            let _ = self.metrics.shards.up.remove_label_values(&[&part.to_string()]);
            self.metrics.shards.moves.with_label_values(&["revoked"]).inc();
            tracing::info!(shard = %part, "the shard is given up");
        }
    }

    fn take(&self, part: ShardPart) {
        let mut held = self.held();
        if held.contains_key(&part) {
            return;
        }
        let life = Arc::new(Life {
            part,
            stop: AtomicBool::new(false),
            process: AtomicU32::new(0),
            deaths: AtomicU32::new(0),
            address: Mutex::default(),
        });
        let (own, orders) = (Arc::clone(&life), self.orders(part));
        let metrics = Arc::clone(&self.metrics);
        let keep = move || process::keep(&own, &orders, &metrics);
        match std::thread::Builder::new().name(format!("shard-{part}")).spawn(keep) {
            Ok(thread) => {
                held.insert(part, Held { since: self.clock.now(), life, thread });
                self.metrics.shards.moves.with_label_values(&["assigned"]).inc();
                tracing::info!(shard = %part, "the shard is this machine's");
            }
            Err(error) => tracing::error!(shard = %part, "the shard cannot be kept: {error}"),
        }
    }

    fn orders(&self, part: ShardPart) -> process::Orders {
        let mut args: Vec<OsString> = vec!["run".into()];
        if !self.config_path.as_os_str().is_empty() {
            args.extend(["--config".into(), self.config_path.clone().into()]);
        }
        let place = match part {
            ShardPart::Partition(number) => Some(number),
            ShardPart::Whole => i32::try_from(self.partitions.load(Ordering::SeqCst)).ok(),
        };
        process::Orders { args, address: place.and_then(|place| beside(self.listen, place)) }
    }

    /// How many shards there are was decided when the first of them was: by the number of partitions, an event's key falls to
    /// another one.
    fn laid_out(&self, partitions: usize) -> Result<Result<(), String>, BucketError> {
        let place = &self.store;
        let bucket = Bucket::open(place)?;
        let wanted = serde_json::json!({"topic": self.topic, "partitions": partitions});
        let bytes = serde_json::to_vec(&wanted).unwrap_or_default();
        if !bucket.put_new(LAYOUT, &bytes)? {
            let there = bucket.get(LAYOUT)?.unwrap_or_default();
            let there: serde_json::Value = serde_json::from_slice(&there).unwrap_or_default();
            if there != wanted {
                return Ok(Err(say!(
                    "the topic {topic} has {partitions} partitions, and the store {place} has the shards of {there}: keys fall to other partitions when their number changes, so a line's events would come to two shards. Make a topic with as many partitions as before; or lay the shards out again, with a topic and a store of their own",
                    topic = self.topic,
                    partitions,
                    place,
                    there
                )));
            }
        }
        if let ReplicaLocation::Folder(_) = place {
            // A folder that is not there is taken for a disk that is not mounted.
            let partitions = (0..i32::try_from(partitions).unwrap_or(i32::MAX)).map(ShardPart::Partition);
            for part in partitions.chain(self.has_whole.then_some(ShardPart::Whole)) {
                bucket.put_new(&format!("{}/{LAYOUT}", folder(part)), &bytes)?;
            }
        }
        Ok(Ok(()))
    }
}

impl Board {
    /// What goes with these partitions.
    fn parts(&self, partitions: &[i32]) -> Vec<ShardPart> {
        let whole = (self.has_whole && partitions.contains(&0)).then_some(ShardPart::Whole);
        partitions.iter().copied().map(ShardPart::Partition).chain(whole).collect()
    }

    /// All that there are; none until a broker has said it.
    pub(crate) fn all(&self) -> Vec<ShardPart> {
        let count = i32::try_from(self.partitions().unwrap_or(0)).unwrap_or(0);
        self.parts(&(0..count).collect::<Vec<_>>())
    }
}

impl Life {
    fn address(&self) -> Option<SocketAddr> {
        *self.address.lock()
    }

    fn ends(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

impl Holder for Board {
    fn assigned(&self, partitions: &[i32]) {
        self.parts(partitions).into_iter().for_each(|part| self.take(part));
    }

    fn revoked(&self, partitions: &[i32]) {
        self.let_go(&self.parts(partitions));
    }

    fn topic_has(&self, partitions: usize) -> Result<bool, String> {
        if self.partitions() == Some(partitions) {
            return Ok(true);
        }
        match self.laid_out(partitions) {
            Ok(Ok(())) => {
                self.partitions.store(partitions, Ordering::SeqCst);
                Ok(true)
            }
            Ok(Err(other)) => Err(other),
            Err(error @ BucketError::Away { .. }) => {
                tracing::warn!("shards: {error}; it is asked again");
                Ok(false)
            }
            Err(error) => Err(error.to_string()),
        }
    }
}

/// A port that nobody has at this moment, where the configuration takes any.
fn free(address: SocketAddr) -> std::io::Result<SocketAddr> {
    match address.port() {
        0 => TcpListener::bind(address)?.local_addr(),
        _ => Ok(address),
    }
}
