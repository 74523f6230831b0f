//! The configuration as it is written: every key, with its default.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{
    alerts::{AlertSpec, RouteSpec},
    codes::CodeSpec,
    feeds::{MapSpec, PostedSpec},
    lists::ListSpecs,
    postgres::PostgresSpec,
    state::State,
};
use crate::{
    access::provider::{self, Provider},
    event::{stamp::Unit, time::NamedBy},
    map::{Mode, UpsertShape},
    rule::Language,
    source::{
        Encoding,
        directory::Afterwards,
        kafka::{KafkaRequests, KafkaSource},
    },
};

use super::sinks::SinkSpec;

/// `config/fiscwatch.yaml`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Raw {
    /// The IANA name of the zone that days, hours and years are counted in.
    pub time_zone: String,
    /// The first day of the fiscal year, `MM-DD`.
    pub fiscal_year_start: String,
    /// The currency that the books are kept in, by its ISO 4217 code. Events in another one are refused.
    pub currency: String,
    /// The calendar year that a fiscal year is named after: that of its `beginning`, or that of its `end`.
    pub fiscal_year_named_by: NamedBy,
    /// The language of notifications, and of messages where nobody asks for another: `zh` or `en`.
    pub language: Language,
    /// The bureau in whose name mails are written; without it they name none.
    pub bureau: Option<String>,
    /// Where events come from.
    pub sources: Vec<SourceSpec>,
    /// Where the state is kept.
    pub state: State,
    /// The partitions of the source's topic, each taken in by a process of its own on one of several machines; all by this
    /// process without it.
    pub shards: Option<super::shards::ShardsSpec>,
    /// Which rules run.
    pub rules: Rules,
    /// Reference lists by name.
    pub lists: ListSpecs,
    /// Tables of codes, each by the column of events that it is of: `region_code`, `unit_code`, `function_code`,
    /// `economic_code`, `project_code`, `fund_type` or `bond_code`.
    pub codes: BTreeMap<String, CodeSpec>,
    /// How the stream is processed.
    pub engine: EngineSpec,
    /// Where notifications go.
    pub sinks: Vec<SinkSpec>,
    /// A folder with texts of notifications that replace the built-in ones.
    pub templates: Option<PathBuf>,
    /// The address that people and programs reach this daemon by, for links in notifications.
    pub external_url: Option<String>,
    /// What happens with alerts.
    pub alerts: AlertSpec,
    /// Who is told of which alerts.
    pub routes: Option<RouteSpec>,
    /// The HTTP server.
    pub http: Http,
    /// What is asked before money moves.
    pub decide: DecideSpec,
    /// What one person proposes and others approve.
    pub approvals: super::approvals::ApprovalsSpec,
    /// Questions in plain words.
    pub ask: super::ask::AskSpec,
    /// The audit log.
    pub audit: Audit,
    /// What is logged.
    pub log: Log,
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            time_zone: String::from("Asia/Shanghai"),
            fiscal_year_start: String::from("01-01"),
            currency: String::from("CNY"),
            fiscal_year_named_by: NamedBy::default(),
            language: Language::default(),
            bureau: None,
            sources: Vec::new(),
            state: State::default(),
            shards: None,
            rules: Rules::default(),
            lists: ListSpecs::default(),
            codes: BTreeMap::new(),
            engine: EngineSpec::default(),
            sinks: Vec::new(),
            templates: None,
            external_url: None,
            alerts: AlertSpec::default(),
            routes: None,
            http: Http::default(),
            decide: DecideSpec::default(),
            approvals: super::approvals::ApprovalsSpec::default(),
            ask: super::ask::AskSpec::default(),
            audit: Audit::default(),
            log: Log::default(),
        }
    }
}

/// One source.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceSpec {
    /// Its name, for positions, messages and metrics. Do not change it: positions belong to it.
    pub name: String,
    /// A file.
    pub file: Option<FileSpec>,
    /// A drop directory.
    pub directory: Option<DirectorySpec>,
    /// Standard input.
    pub stdin: Option<StdinSpec>,
    /// Kafka topics.
    pub kafka: Option<KafkaSource>,
    /// A table or query of a PostgreSQL database, or of one that speaks its protocol.
    pub postgres: Option<PostgresSpec>,
    /// Whether the source brings a history that is loaded with pauses: while it pauses, the watermark waits for it and
    /// does not move with the clock. Take it out when the history is in.
    #[serde(default)]
    pub backfill: bool,
    /// The IANA name of the zone of its times that have none; without it such times are refused.
    pub zone: Option<String>,
    /// What a number counts that is a time: `seconds`, `milliseconds`, `microseconds` or `nanoseconds` since 1970, or
    /// `excel_days`.
    #[serde(default)]
    pub times: Unit,
    /// The words that stand for a missing value, in place of the usual ones (docs/events.md).
    pub nulls: Option<Vec<String>>,
    /// How its records become events, if they are none yet (docs/feeds.md): a map, or the file that it is in.
    pub map: Option<MapSpec>,
    /// `append` if a record never changes, `upsert` if it comes again when it has changed (docs/feeds.md#records-that-change).
    #[serde(default)]
    pub mode: Mode,
    /// With `mode: upsert`: what tells records apart, and what orders the versions of one.
    pub upsert: Option<UpsertShape>,
}

/// What is asked before money moves.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DecideSpec {
    /// How long ago the latest event of a source may be. Beyond that nothing is allowed silently; without it any age will
    /// do, and the answer tells it.
    pub max_staleness: Option<String>,
    /// The sources that this holds for; all that are configured without it.
    pub sources: Option<Vec<String>>,
    /// What is answered then: `explain`, or `refuse` for 503.
    pub when_stale: WhenStale,
    /// What programs that ask are to do while nobody answers: let nothing pass (`closed`), or everything (`open`).
    /// `/api/v1/status` tells them.
    pub on_unavailable: OnUnavailable,
    /// Applications that one request decides at most.
    pub applications_max: usize,
    /// Who lets blocked applications pass.
    pub overrides: super::decide::OverridesSpec,
    /// Topics that applications are decided over, beside HTTP.
    pub kafka: Option<KafkaRequests>,
}

impl Default for DecideSpec {
    fn default() -> Self {
        Self {
            max_staleness: None,
            sources: None,
            when_stale: WhenStale::Explain,
            on_unavailable: OnUnavailable::Closed,
            applications_max: 100,
            overrides: super::decide::OverridesSpec::default(),
            kafka: None,
        }
    }
}

/// What is answered by a ledger that is too old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WhenStale {
    /// At least `explain`.
    Explain,
    /// Nothing: the status 503.
    Refuse,
}

/// What programs that ask are to do while nobody answers.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum OnUnavailable {
    /// Let nothing pass.
    Closed,
    /// Let everything pass.
    Open,
}

/// A file, read once or followed.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileSpec {
    /// The path.
    pub path: PathBuf,
    /// Whether to wait for more at its end, and to go on with the new file when it is rotated.
    #[serde(default)]
    pub follow: bool,
    /// `jsonl`, `csv`, `parquet`, `excel` or `xml`, if the name does not tell.
    pub format: Option<Encoding>,
}

/// A directory whose files are read once.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DirectorySpec {
    /// The path.
    pub path: PathBuf,
    /// The names to read, such as `*.jsonl.gz`.
    #[serde(default = "everything")]
    pub pattern: String,
    /// `jsonl`, `csv`, `parquet`, `excel` or `xml`, if the names do not tell.
    pub format: Option<Encoding>,
    /// `keep`, `move` (into `done`) or `delete` a file after everything in it is committed.
    #[serde(default)]
    pub afterwards: Afterwards,
    /// Whether a file that cannot be read is moved into the folder `refused`; otherwise it stays where it is.
    #[serde(default)]
    pub move_refused: bool,
    /// A file is read when it was not changed for so long.
    #[serde(default = "settle")]
    pub settle: String,
}

fn everything() -> String {
    String::from("*")
}

fn settle() -> String {
    String::from("2s")
}

/// Standard input.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StdinSpec {
    /// `jsonl` (default) or `csv`.
    pub format: Option<Encoding>,
}

/// Which rules run.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Files and folders.
    pub paths: Vec<PathBuf>,
    /// What `run` does about a rule with a mistake: `refuse` to start, or `skip` it, start without it and tell so.
    pub on_error: OnError,
    /// Only rules that one person has proposed and another one has approved come into force (`fiscwatch rules`); needs
    /// `http.auth`.
    pub require_approval: bool,
    /// Changes to rules, by their ids.
    pub overrides: BTreeMap<String, RuleOverride>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            paths: vec![PathBuf::from("rules")],
            on_error: OnError::Refuse,
            require_approval: false,
            overrides: BTreeMap::new(),
        }
    }
}

/// What `run` does about a rule with a mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// It does not start.
    Refuse,
    /// It starts without the rule, and tells so.
    Skip,
}

/// What is changed about a rule without editing it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RuleOverride {
    /// `live`, `shadow` or `disabled`.
    pub mode: Option<String>,
    /// Other constants.
    pub params: BTreeMap<String, serde_json::Value>,
}

/// How the stream is processed.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EngineSpec {
    /// The most records of a batch.
    pub batch_rows: usize,
    /// How long a batch waits for more records.
    pub batch_wait: String,
    /// How much later than the latest event others may come before windows close and schedules are due.
    pub lateness: String,
    /// How long a source may be silent before time passes for it by the clock.
    pub idle: String,
    /// How late an event may be that is still judged by all of its `over` window; longer costs memory.
    pub keep_late: String,
    /// How far ahead of the clock an event may be.
    pub max_future: String,
    /// The day before which no event can be, as `2015-01-01`; without it three fiscal years before that of the first
    /// budget lines, and never before 2000-01-01.
    pub min_time: Option<String>,
    /// The day from which on the journal has every event, where its first event does not show it: budgets of January
    /// can stand before payments from July on.
    pub journal_from: Option<String>,
    /// How far ahead of all others an event moves time by itself; beyond that a second event has to confirm it.
    pub outlier: String,
    /// How much memory windows may hold before no more events are taken, in MiB; half of what the machine or the
    /// service has without it.
    pub window_memory_mib: Option<u64>,
    /// How long the query of a schedule may take.
    pub query_time: String,
    /// How much memory it may use, in MiB.
    pub query_memory_mib: usize,
}

impl Default for EngineSpec {
    fn default() -> Self {
        Self {
            batch_rows: 4096,
            batch_wait: String::from("2ms"),
            lateness: String::from("10m"),
            idle: String::from("1m"),
            keep_late: String::from("35d"),
            max_future: String::from("1d"),
            min_time: None,
            journal_from: None,
            outlier: String::from("1d"),
            window_memory_mib: None,
            query_time: String::from("1m"),
            query_memory_mib: 512,
        }
    }
}

/// The HTTP server.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Address and port of the API and the console, and of all else that has no address of its own.
    pub listen: String,
    /// Address and port where programs send events and applications (`POST /api/v1/events`, `/api/v1/decide`), by a token or a
    /// certificate; `listen` does not take them then.
    pub ingest: Option<String>,
    /// Address and port where metrics are scraped (`/metrics`), by a token or a certificate; `listen` does not answer it then.
    pub scrape: Option<String>,
    /// A Unix socket for commands on this machine: who is at its other end, the kernel says. Commands that act on alerts and
    /// silences go through it if the state is another user's, and `--by` names nobody else any more.
    pub socket: Option<PathBuf>,
    /// Whether `POST /api/v1/events` takes events.
    pub accept_events: bool,
    /// How posted events are written.
    pub events: PostedSpec,
    /// The longest body, in bytes; 1 GiB at most.
    pub body_bytes_max: usize,
    /// Names that the server answers to besides its own, such as `fiscwatch.example.gov.cn`. `*.svc` stands for all
    /// names below `.svc`, `*` for every name. IP addresses, `localhost` and the host of `external_url` are always
    /// answered.
    pub hosts: Vec<String>,
    /// Connections at a time, 16 to 65536. Half of them can have a request under way; health and metrics are always answered.
    pub connections: usize,
    /// How long a connection may take until the head of its next request is there.
    pub head_time: String,
    /// How long a client may take to send a body, or to take an answer.
    pub body_time: String,
    /// Bytes of posted events that are processed at a time, in MiB; what comes beyond that is answered 503.
    pub bodies_mib: usize,
    /// With `auth`: requests a second that one user, one token or one unknown address may send, and ten seconds' worth at
    /// once; what comes beyond that is answered 429. 1 to 100000.
    pub rate: u32,
    /// Units with a gauge of their own, those with the most money spent.
    pub top_units: usize,
    /// The request header in which a proxy in front tells who is logged in.
    pub user_header: Option<String>,
    /// Whether requests must say who sends them: by a token, or by `user_header` from a proxy that is listed. An address
    /// that other machines reach needs it.
    pub auth: bool,
    /// Whether whoever logs in by a password needs a second factor (TOTP); who has none can only set one up. One user can be
    /// asked for it by `fiscwatch user totp`.
    pub second_factor: bool,
    /// Who speaks TLS with clients: `proxy`, if one in front does, or `own`, if the daemon does with `certificate` and `key`. An
    /// address that other machines reach needs it.
    pub tls: Option<Tls>,
    /// With `tls: own`: the file of the certificate and those between it and its authority (PEM). It is read again at a reload.
    pub certificate: Option<PathBuf>,
    /// With `tls: own`: the file of its private key (PEM, without a password).
    pub key: Option<PathBuf>,
    /// With `tls: own`: the file of an authority (PEM). Who shows a certificate of it is the user that its common name names.
    pub client_ca: Option<PathBuf>,
    /// With `client_ca`: the file of its list of revoked certificates (CRL, PEM). It is read again at a reload; once it has expired,
    /// no certificate of a client is taken.
    pub client_crl: Option<PathBuf>,
    /// IP addresses of proxies whose `user_header` is believed where `auth` is on; those of this machine if none is named.
    pub proxies: Vec<String>,
    /// A provider of identities (OpenID Connect) by which people log in; it needs `auth` and `external_url`.
    pub oidc: Option<super::oidc::OidcSpec>,
    /// A directory (LDAP) whose passwords people log in by; it needs `auth`. Users with a password here are not asked for there.
    pub ldap: Option<super::ldap::LdapSpec>,
}

/// Who speaks TLS with clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tls {
    /// A proxy in front.
    Proxy,
    /// The daemon itself.
    Own,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: String::from("127.0.0.1:9464"),
            ingest: None,
            scrape: None,
            socket: None,
            accept_events: true,
            events: PostedSpec::default(),
            body_bytes_max: 64 << 20,
            hosts: Vec::new(),
            connections: 512,
            head_time: String::from("30s"),
            body_time: String::from("2m"),
            bodies_mib: 256,
            rate: 200,
            top_units: 20,
            user_header: None,
            auth: false,
            second_factor: false,
            tls: None,
            certificate: None,
            key: None,
            client_ca: None,
            client_crl: None,
            proxies: Vec::new(),
            oidc: None,
            ldap: None,
        }
    }
}

/// The audit log: how its end is sealed, and how much of it the database keeps.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Audit {
    /// Whose algorithms seal the log and sign evidence: `international` (SHA-256, Ed25519) or `national` (SM3, SM2). What was
    /// sealed before stays as it is.
    pub provider: ProviderName,
    /// The file with the key that seals; `audit.key` (`audit-sm2.key`) in the state directory without it. It is made if it is not there. A
    /// place that those who can write the state cannot read is better.
    pub key_file: Option<PathBuf>,
    /// A file outside of the state to which each seal is added: it tells a state that was put back from one that goes on.
    pub head_file: Option<PathBuf>,
    /// How often it is sealed, if there is something new; `1m` to `1d`.
    pub seal_every: String,
    /// How many records the database keeps at most, from 10 on; it is looked at when the log is sealed. The older half of them
    /// moves into a Parquet file then, which is never deleted.
    pub keep_records: u32,
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            provider: ProviderName::International,
            key_file: None,
            head_file: None,
            seal_every: String::from("1h"),
            keep_records: 100_000,
        }
    }
}

/// Whose algorithms digests and signatures are made by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProviderName {
    /// SHA-256 and Ed25519.
    #[default]
    International,
    /// SM3 and SM2.
    National,
}

impl ProviderName {
    /// The algorithms.
    pub(crate) fn provider(self) -> &'static dyn Provider {
        match self {
            Self::International => provider::INTERNATIONAL,
            Self::National => provider::NATIONAL,
        }
    }
}

/// What is logged.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `text` or `json`.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `fiscwatch=debug`.
    pub level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: String::from("info") }
    }
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}
