//! The configuration as it is written: every key, with its default.

mod http;
mod sources;

pub(super) use http::Http;
pub use http::TlsTermination;
pub(super) use sources::{DirectorySpec, FileSpec, SourceSpec};
use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{
    alerts::{AlertSpec, RouteSpec},
    codes::CodeSpec,
    lists::ListSpecs,
    state::StateSpec,
};
use crate::{
    access::provider::{self, Provider},
    event::time::NamedBy,
    rule::Language,
    source::kafka::KafkaRequests,
};

use super::sinks::SinkSpec;

/// `config/fiscwatch.yaml`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Raw")]
pub struct RawConfig {
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
    pub state: StateSpec,
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
    pub audit: AuditSpec,
    /// What is logged.
    pub log: LogSpec,
}

impl Default for RawConfig {
    fn default() -> Self {
        Self {
            time_zone: String::from("Asia/Shanghai"),
            fiscal_year_start: String::from("01-01"),
            currency: String::from("CNY"),
            fiscal_year_named_by: NamedBy::default(),
            language: Language::default(),
            bureau: None,
            sources: Vec::new(),
            state: StateSpec::default(),
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
            audit: AuditSpec::default(),
            log: LogSpec::default(),
        }
    }
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

/// The audit log: how its end is sealed, and how much of it the database keeps.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Audit")]
pub struct AuditSpec {
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

impl Default for AuditSpec {
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
#[schemars(rename = "Log")]
pub struct LogSpec {
    /// `text` or `json`.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `fiscwatch=debug`.
    pub level: String,
}

impl Default for LogSpec {
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
