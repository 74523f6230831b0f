//! The configuration: read, overridden by the environment, and resolved into what the rooms need.

pub(crate) mod alerts;
mod approvals;
pub mod ask;
mod audit;
pub(crate) mod clients;
pub(crate) mod codes;
pub(crate) mod decide;
mod environment;
pub mod feeds;
pub(crate) mod ldap;
pub(crate) mod lists;
mod log;
mod machine;
pub mod office;
pub(crate) mod oidc;
pub(crate) mod postgres;
mod raw;
mod reference;
mod resolve;
mod shape;
pub mod shards;
pub mod sinks;
pub mod state;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use crate::{
    alert::Policy,
    approval::Levels,
    config::office::Office,
    decode::Reading,
    diagnostic::{Diagnostic, read_text},
    engine::BatchLimits,
    evaluate::schedule::QueryLimits,
    event::{Currency, Instant, TimeDelta, time::Calendar},
    lists::{List, Lists, key_of},
    map::Map,
    rule::{Language, load::RuleAdjustment},
    say,
    source::{
        Format, directory::DirectorySource, file::FileSource, kafka::KafkaSource, postgres::PostgresSource,
    },
    store::QuarantineLimit,
    trial::journal::JournalRun,
};

use decide::Decide;
use lists::ListSpec;
pub use raw::{LogFormat, LogSpec, ProviderName, RawConfig, TlsTermination};
pub use reference::{reference, reference_texts};
use resolve::Resolver;

/// Which rules come into force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approval {
    /// Those of the configuration.
    NotAsked,
    /// Only those of them that one person proposed and another one approved.
    Required,
}

/// A configuration that is valid.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file, or what stands for it in messages.
    pub file: String,
    /// Time zone and fiscal year.
    pub calendar: Arc<Calendar>,
    /// The language of notification lines.
    pub language: Language,
    /// Where events come from, by name.
    pub sources: Vec<(String, Source)>,
    /// How the values of sources are written, by name; posted events are of the source `http`.
    pub readings: Readings,
    /// Where the maps of sources are written, by their names.
    pub map_places: HashMap<String, feeds::MapPlace>,
    /// The currency that the books are kept in.
    pub currency: Currency,
    /// The sources that bring a history, whose silence does not move the watermark.
    pub backfill: BTreeSet<String>,
    /// The directory that the state is kept in.
    pub state_dir: PathBuf,
    /// Where backups are, of which the newest is tried out.
    pub backups: Option<PathBuf>,
    /// Whether to wait when another instance has the state directory.
    pub standby: bool,
    /// Where the state is replicated to.
    pub replicate: Option<crate::replica::ReplicaSettings>,
    /// How the stream is parted among processes and machines.
    pub shards: Option<shards::Shards>,
    /// Events between two checkpoints.
    pub checkpoint_events: u64,
    /// How far the latest event must be past the end of a local day for the day to be sealed.
    pub seal_after: Duration,
    /// How long events are kept; `None` keeps everything.
    pub retain: Option<Duration>,
    /// How far back from the latest event ids are remembered in memory.
    pub duplicate_horizon: Duration,
    /// How large the quarantine may become, and what happens then.
    pub quarantine: QuarantineLimit,
    /// Rule files and folders.
    pub rule_paths: Vec<PathBuf>,
    /// Whether the daemon starts without a rule that has a mistake.
    pub skip_wrong_rules: bool,
    /// Which rules come into force.
    pub approval: Approval,
    /// What the configuration changes about rules, by their ids.
    pub overrides: BTreeMap<String, RuleAdjustment>,
    lists: BTreeMap<String, ListSpec>,
    /// How long the file of a list must have been left alone before it is read again.
    pub list_settle: Duration,
    /// How far back events are judged again by a list that has changed.
    pub rejudge: TimeDelta,
    /// The most records of a batch.
    pub batch_rows: usize,
    /// How long a batch waits for more.
    pub batch_wait: Duration,
    /// How far ahead of the clock an event may be.
    pub max_future: Duration,
    /// The earliest time of an event, where it does not follow from the budget lines.
    pub min_time: Option<Instant>,
    /// From when on the journal has every event, where its first event does not show it.
    pub journal_from: Option<Instant>,
    /// How far ahead of all others an event moves time by itself.
    pub outlier: TimeDelta,
    /// How much later than others an event may be before the watermark passes it.
    pub lateness: TimeDelta,
    /// How long a source may be silent before its watermark moves with the clock.
    pub idle: TimeDelta,
    /// How late an event may be that still finds all of its window.
    pub keep_late: TimeDelta,
    /// Bytes that windows may hold before no more events are taken.
    pub window_bytes: u64,
    /// What the queries of schedules may use.
    pub query_limits: QueryLimits,
    /// Where notifications go, as written; `notify::build` makes them.
    pub sinks: Vec<sinks::SinkSpec>,
    /// In whose name mails and letters are written.
    pub office: Arc<Office>,
    /// A folder with texts of notifications that replace the built-in ones.
    pub templates: Option<PathBuf>,
    /// The address of this daemon for links, without a slash at its end.
    pub external_url: Option<String>,
    /// The HTTP server's address.
    pub listen: SocketAddr,
    /// Whether events come in over HTTP.
    pub accept_events: bool,
    /// The longest HTTP body.
    pub body_bytes_max: usize,
    /// What the HTTP server grants its clients.
    pub clients: clients::Clients,
    /// Units with a gauge of their own.
    pub top_units: usize,
    /// Who speaks TLS with clients.
    pub tls: Option<raw::TlsTermination>,
    /// What is asked before money moves.
    pub decide: Decide,
    /// Who has to approve what.
    pub approvals: Levels,
    /// How the audit log is sealed.
    pub audit: AuditSealing,
    /// The language model that may choose a question.
    pub ask: Option<ask::Model>,
    /// How much is logged, and how.
    pub log: LogSpec,
    /// What happens with alerts, and who is told.
    pub policy: Arc<Policy>,
    /// How the daemon looks after itself.
    pub watch: alerts::HealthSettings,
}

/// How the audit log is sealed, and how much of it stays in the database.
#[derive(Debug, Clone, Default)]
pub struct AuditSealing {
    pub(crate) provider: ProviderName,
    /// The file with the key; in the state directory if it is not named.
    pub key_file: Option<PathBuf>,
    /// The file outside of the state to which seals are added.
    pub head_file: Option<PathBuf>,
    pub(crate) every: Duration,
    /// How many records stay in the database at most.
    pub keep_records: u32,
}

/// How the values of sources are written, by name.
pub type Readings = HashMap<String, Reading>;

/// A source, ready to run.
#[derive(Debug, Clone)]
pub enum Source {
    /// One file, which may grow.
    File(FileSource),
    /// A directory that files are dropped into.
    Directory(DirectorySource),
    /// Standard input, with its format and map.
    Stdin(Format, Option<Arc<Map>>),
    /// Topics of a Kafka cluster.
    Kafka(KafkaSource),
    /// A table or query of a database.
    Postgres(Box<PostgresSource>),
}

/// Where the configuration is looked for when no path is given.
pub const DEFAULT_PATH: &str = "config/fiscwatch.yaml";

/// Findings that rules may have that are tried over the journal: beyond it nobody learns more from them.
const FOUND_MAX: usize = 200_000;

impl Config {
    /// Reads a file; relative paths in it are taken from its folder. Variables `FISCWATCH_…` override it.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(path: &Path) -> Result<Self, Vec<Diagnostic>> {
        Self::load_with(path, environment::variables().map_err(|d| vec![d])?)
    }

    /// The same with these variables in the place of the environment's.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load_with(
        path: &Path,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, Vec<Diagnostic>> {
        let file = path.display().to_string();
        let text = read_text(path).map_err(|(reason, hint)| {
            let other = if path.is_file() {
                say!("let the user that runs fiscwatch read it, or name another one with --config")
            } else {
                say!("name the configuration with --config, or let `fiscwatch init` write one")
            };
            let message = say!("the configuration cannot be read: {reason}", reason);
            vec![Diagnostic::of_file(&file, message, Some(hint.unwrap_or(other)))]
        })?;
        let base = path.parent().unwrap_or_else(|| Path::new(""));
        Self::parse(&file, &text, base, variables)
    }

    /// The defaults, with the overrides of the environment; paths are taken from the working directory.
    ///
    /// # Errors
    /// What is wrong with the environment.
    pub fn defaults() -> Result<Self, Vec<Diagnostic>> {
        let variables = environment::variables().map_err(|d| vec![d])?;
        Self::parse(&say!("the built-in configuration"), "{}", Path::new(""), variables)
    }

    /// Parses a configuration.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(
        file: &str,
        text: &str,
        base: &Path,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, Vec<Diagnostic>> {
        let text = if text.trim().is_empty() { "{}" } else { text };
        let raw: RawConfig = serde_saphyr::from_str(text).map_err(|e| {
            let problems = shape::problems(file, text);
            if problems.is_empty() { vec![shape::syntax(file, &e)] } else { problems }
        })?;
        let variables: Vec<_> = variables.collect();
        let mut raw = environment::apply(raw, variables.iter().cloned()).map_err(|d| vec![d])?;
        let shard = shards::named(&raw, &variables).map_err(|d| vec![d])?;
        if let Some(shard) = shard {
            shards::derive(&mut raw, shard);
        }
        Resolver { file, text, base, map_places: HashMap::new(), problems: Vec::new() }.resolve(raw, shard)
    }

    /// Reads the reference lists.
    ///
    /// # Errors
    /// One problem for each list that cannot be read.
    pub fn read_lists(&self) -> Result<Lists, Vec<Diagnostic>> {
        let (lists, problems) = self.read_lists_there_are();
        if problems.is_empty() { Ok(lists) } else { Err(problems) }
    }

    /// The lists, with a problem for each that cannot be read; the lists know which those are.
    #[must_use]
    pub fn read_lists_there_are(&self) -> (Lists, Vec<Diagnostic>) {
        let mut lists = Lists::default();
        let mut problems = Vec::new();
        for name in self.lists.keys() {
            match self.read_list(name) {
                Ok(list) => lists.insert(name, list),
                Err(problem) => {
                    lists.insert_unreadable(name);
                    problems.push(problem);
                }
            }
        }
        (lists, problems)
    }

    /// The tables of codes that can be read, for those who only show what codes are called.
    #[must_use]
    pub(crate) fn code_tables(&self) -> Lists {
        let mut tables = Lists::default();
        let specs = self.lists.iter().filter(|(_, spec)| spec.codes.is_some());
        for (name, _) in specs {
            match self.read_list(name) {
                Ok(table) => tables.insert(name, table),
                Err(problem) => tracing::warn!("codes are shown without names: {problem}"),
            }
        }
        tables
    }

    /// Reads one list.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read_list(&self, name: &str) -> Result<List, Diagnostic> {
        let Some(spec) = self.lists.get(name) else { return Ok(List::default()) };
        codes::read(spec, &self.calendar).map_err(|e| {
            let hint = Some(say!("check the file, or take the list out of the configuration"));
            Diagnostic::of_file(&self.file, format!("{}: {e}", key_of(name)), hint)
        })
    }

    /// The lists by name, as they are configured.
    pub fn list_specs(&self) -> impl Iterator<Item = (&str, &ListSpec)> {
        self.lists.iter().map(|(name, spec)| (name.as_str(), spec))
    }

    /// Why the daemon may not be started on this address: other machines reach it, and nobody says who they are.
    ///
    /// # Errors
    /// The reason.
    pub fn is_closed_enough(&self) -> Result<(), Diagnostic> {
        let mut lacks = Vec::new();
        if !self.clients.auth {
            lacks.push("http.auth: true");
        }
        if self.tls.is_none() {
            lacks.push("http.tls: proxy or own");
        }
        let ports = [
            ("http.listen", Some(self.listen)),
            ("http.ingest", self.clients.ingest),
            ("http.scrape", self.clients.scrape),
            ("shards.listen", self.shards.as_ref().map(|shards| shards.listen)),
        ];
        let mut ports = ports.into_iter().filter_map(|(key, address)| Some((key, address?)));
        let Some((key, address)) = ports.find(|(_, address)| !address.ip().is_loopback()) else {
            return Ok(());
        };
        if lacks.is_empty() {
            return Ok(());
        }
        let message = say!(
            "{key} {address} is reached from other machines, and lacks {keys}",
            key,
            address,
            keys = lacks.join(", ")
        );
        let hint = say!(
            "listen on 127.0.0.1, or set them: passwords and tokens say who sends a request (`fiscwatch user add`, `fiscwatch token add`), and a proxy in front or the daemon itself speaks TLS (docs/security.md)"
        );
        Err(Diagnostic::of_file(&self.file, message, Some(hint)))
    }

    /// The earliest time that an event can have, whatever the budget lines are.
    #[must_use]
    pub fn earliest_time(&self) -> Instant {
        self.min_time.unwrap_or_else(|| self.calendar.instant(jiff::civil::date(2000, 1, 1)))
    }

    /// How the journal is gone through once more: one batch at a time, with half of what windows may hold.
    #[must_use]
    pub fn course(&self) -> JournalRun {
        JournalRun {
            calendar: Arc::clone(&self.calendar),
            state_dir: self.state_dir.clone(),
            batch: BatchLimits { rows: self.batch_rows, wait: self.batch_wait },
            lateness: self.lateness,
            outlier: self.outlier,
            retain: self.retain_micros(),
            query: self.query_limits,
            parallel: 1,
            memory: self.window_bytes / 2,
            findings: FOUND_MAX,
        }
    }
}
