//! Findings, rules and status.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Problem,
    by::Requester,
    page,
    request::{Params, blocking, page_size},
};
use crate::{
    config::decide::OnUnavailable,
    daemon::{Shared, run_blocking},
    diagnostic::Diagnostic,
    evaluate::{condition::RuleCounts, schedule::PassedTick},
    event::Instant,
    finding::Finding,
    rule::{Handling, Rule, RuleMode, RuleStatus as Ripeness, Severity, Text},
    store::{CaseFilter, Cases, Reader, VerdictCounts},
};

/// A page of findings.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FindingPage {
    /// The newest first.
    findings: Vec<Finding>,
    /// Give it as `before` for the next page; null on the last one.
    next: Option<i64>,
    /// How many there are on all pages, if `totals` asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
}

/// The findings, the newest first
#[utoipa::path(get, path = "/api/v1/findings", operation_id = "list_findings", tag = "findings", params(CaseFilter),
    responses((status = 200, description = "A page", body = FindingPage)))]
pub(crate) async fn findings(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    Params(filter): Params<CaseFilter>,
) -> Result<Json<FindingPage>, Problem> {
    let limit = page_size(filter.limit)?;
    let wanted = filter.understood(&shared.calendar, shared.clock.now()).map_err(Problem::bad_request)?;
    let mut wanted = wanted.within(&by.limits());
    let (lens, rules) = (by.lens(), shared.rules_in_force());
    blocking(move || {
        let (reader, before) = (Reader::open(&shared.state_dir)?, wanted.filter.before.clone());
        let list = |before, limit| {
            (wanted.filter.before, wanted.filter.limit) = (before, Some(limit));
            reader.findings(&wanted)
        };
        let (findings, next) = page::read(
            limit,
            before,
            list,
            |(seq, _)| seq.to_string(),
            |(_, finding)| lens.finding(finding, &rules),
        )?;
        let next = next.and_then(|seq| seq.parse().ok());
        wanted.filter.before = None;
        let total = wanted.filter.totals.then(|| reader.count_findings(&wanted)).transpose()?;
        Ok(Json(FindingPage { findings, next, total }))
    })
    .await
}

/// The rules in force.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleList {
    rules: Vec<RuleView>,
}

/// A rule, with what happened to it since the start and what officers said of its alerts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Rule)]
pub(crate) struct RuleView {
    id: String,
    title: Text,
    description: Text,
    severity: Severity,
    handling: Handling,
    mode: RuleMode,
    status: Ripeness,
    tags: Vec<String>,
    basis: Option<String>,
    /// Rows that its condition was asked of.
    evaluated: u64,
    /// Findings.
    findings: u64,
    /// Findings that an exception took out.
    excepted: u64,
    /// Rows that it failed on.
    errors: u64,
    /// What it failed with last.
    last_error: Option<String>,
    /// Alerts that officers confirmed (属实).
    confirmed: u64,
    /// Alerts that officers dismissed (误报).
    dismissed: u64,
    /// confirmed / (confirmed + dismissed); null before the first verdict.
    precision: Option<f64>,
}

impl RuleView {
    /// A rule as it is shown.
    pub(crate) fn new(rule: &Rule, counts: RuleCounts, verdicts: VerdictCounts) -> Self {
        Self {
            id: rule.id.clone(),
            title: rule.title.clone(),
            description: rule.description.clone(),
            severity: rule.severity,
            handling: rule.handling,
            mode: rule.mode,
            status: rule.status,
            tags: rule.tags.clone(),
            basis: rule.basis.clone(),
            evaluated: counts.evaluated,
            findings: counts.findings,
            excepted: counts.excepted,
            errors: counts.errors,
            last_error: counts.last_error,
            confirmed: verdicts.confirmed,
            dismissed: verdicts.dismissed,
            precision: verdicts.precision(),
        }
    }
}

/// The rules in force, what happened to them since the start, and how often officers found them right
#[utoipa::path(get, path = "/api/v1/rules", operation_id = "list_rules", tag = "rules",
    responses((status = 200, description = "All rules that are not disabled", body = RuleList)))]
pub(crate) async fn rules(State(shared): State<Arc<Shared>>) -> Result<Json<RuleList>, Problem> {
    blocking(move || {
        let verdicts = Cases::open_read_only(&shared.state_dir)?.verdicts()?;
        let counts = shared.rule_counts.lock().clone();
        let of = |rule: &Rule| {
            let counts = counts.get(&rule.id).cloned().unwrap_or_default();
            RuleView::new(rule, counts, verdicts.get(&rule.id).copied().unwrap_or_default())
        };
        let rules = shared.rules_in_force();
        Ok(Json(RuleList { rules: rules.rules.iter().map(|compiled| of(&compiled.rule)).collect() }))
    })
    .await
}

/// How the daemon is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DaemonStatus {
    version: &'static str,
    /// Whether it takes events.
    ready: bool,
    #[schema(format = DateTime)]
    started_at: String,
    /// The latest event time.
    #[schema(format = DateTime)]
    last_event_at: Option<String>,
    /// From when on the journal holds everything: longer windows that begin before say nothing, nor do comparisons with
    /// the calendar in the fiscal year before, unless openings tell what was executed until then.
    #[schema(format = DateTime)]
    journal_from: Option<String>,
    since_start: SinceStart,
    /// What the sources tell, by name.
    #[schema(value_type = Object)]
    sources: BTreeMap<String, serde_json::Value>,
    /// Events in the journal, sealed ones included.
    journal_events: i64,
    budget_lines: usize,
    /// Applications that reserve money.
    open_applications: usize,
    /// Payments that the bank confirmed and that have not come.
    payments_awaited: usize,
    /// The rules that failed, by id.
    rule_errors: BTreeMap<String, RuleError>,
    /// The rules with mistakes that the daemon runs without (`rules.on_error: skip`).
    rules_skipped: Vec<SkippedRule>,
    /// The latest ticks of schedules that were passed without an answer; at most 20.
    ticks_passed: Vec<PassedTickView>,
    /// The rule whose query the stream waits for.
    query_running: Option<RunningQuery>,
    /// What programs that ask before money moves are to know.
    decide: DecideStatus,
    /// How full the quarantine is.
    #[schema(value_type = Object)]
    quarantine: serde_json::Value,
    store_bytes: i64,
}

/// What programs that ask before money moves are to know.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DecideStatus {
    /// What they are to do while nobody answers: let nothing pass (`closed`), or everything (`open`).
    on_unavailable: OnUnavailable,
    /// Whether what is known is older than `decide.max_staleness`.
    is_stale: bool,
}

/// What happened since the start.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SinceStart {
    accepted: u64,
    duplicates: u64,
    rejected: u64,
    /// Empty lines and rows.
    skipped: u64,
    findings: u64,
    commits: u64,
}

/// A rule that the daemon runs without.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SkippedRule {
    rule_id: String,
    /// What is wrong with it.
    problem: String,
}

/// A tick that was passed without an answer: what it would have found is not known.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PassedTick)]
pub(crate) struct PassedTickView {
    rule_id: String,
    #[schema(format = DateTime)]
    tick: String,
    /// Why it was passed.
    why: String,
}

/// A query that the stream waits for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunningQuery {
    rule_id: String,
    seconds: f64,
}

/// What a rule failed on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleError {
    errors: u64,
    last_error: Option<String>,
}

/// Passed ticks that the status shows.
const TICKS_SHOWN: usize = 20;

fn skipped((rule_id, problem): (String, Diagnostic)) -> SkippedRule {
    SkippedRule { rule_id, problem: problem.to_string() }
}

fn passed_tick(passed: &PassedTick, shared: &Shared) -> PassedTickView {
    PassedTickView {
        rule_id: passed.rule.clone(),
        tick: shared.calendar.format(passed.tick),
        why: passed.why.to_string(),
    }
}

/// How the daemon is
#[utoipa::path(get, path = "/api/v1/status", operation_id = "show_status", tag = "status",
    responses((status = 200, description = "The daemon", body = DaemonStatus)))]
pub(crate) async fn status(State(shared): State<Arc<Shared>>) -> Json<DaemonStatus> {
    let read = Arc::clone(&shared);
    let passed = run_blocking(move || Reader::open(&read.state_dir)?.passed_ticks()).await;
    // The status is asked for when something is wrong: it answers without them then.
    let passed = passed.unwrap_or_else(|error| {
        tracing::warn!("the status lacks the ticks that were passed: {error}");
        Vec::new()
    });
    let totals = *shared.totals.lock();
    let counts = shared.rule_counts.lock();
    let error = |c: &RuleCounts| RuleError { errors: c.errors, last_error: c.last_error.clone() };
    let rule_errors =
        counts.iter().filter(|(_, c)| c.errors > 0).map(|(id, c)| (id.clone(), error(c))).collect();
    let findings = counts.values().map(|c| c.findings).sum();
    let (budget_lines, open_applications, payments_awaited) = {
        let ledger = shared.ledger.read();
        (ledger.len(), ledger.open_applications(), ledger.payments_awaited())
    };
    let ticks_passed = passed.iter().rev().take(TICKS_SHOWN).map(|tick| passed_tick(tick, &shared)).collect();
    let last = shared.last_event_at.get();
    let journal_from = Some(shared.metrics.journal_start.get() * 1_000_000).filter(|at| *at != 0);
    Json(DaemonStatus {
        version: env!("CARGO_PKG_VERSION"),
        ready: shared.ready() && shared.waits_for().is_none(),
        started_at: shared.calendar.format(shared.started_at),
        last_event_at: last.map(|at| shared.calendar.format(at)),
        journal_from: journal_from.map(|at| shared.calendar.format(Instant::from_micros(at))),
        since_start: SinceStart {
            accepted: totals.accepted,
            duplicates: totals.duplicates,
            rejected: totals.rejected,
            skipped: totals.skipped,
            findings,
            commits: shared.commits.load(Ordering::Relaxed),
        },
        sources: shared.sources.iter().map(|(name, s)| (name.clone(), serde_json::json!(s.told()))).collect(),
        journal_events: shared.metrics.journal_events.get(),
        budget_lines,
        open_applications,
        payments_awaited,
        rule_errors,
        rules_skipped: shared.skipped().into_iter().map(skipped).collect(),
        ticks_passed,
        query_running: shared
            .busy
            .query()
            .map(|(rule_id, time)| RunningQuery { rule_id, seconds: time.as_secs_f64() }),
        decide: DecideStatus {
            on_unavailable: shared.questions.config.on_unavailable,
            is_stale: shared.lags().1,
        },
        quarantine: shared.quarantine.status(),
        store_bytes: shared.metrics.store_bytes.get(),
    })
}
