//! Rules tried over the own journal: what other constants, or another text, would have found.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{
    Problem,
    by::Requester,
    lens::Lens,
    request::{JsonBody, PathId, blocking},
};
use crate::{
    access::Actor,
    daemon::{
        Shared,
        lab::{self, BacktestEnd, BacktestRefused, Job, LabVariant},
    },
    event::Instant,
    finding::Finding,
    rule::RuleSet,
    say,
    store::{Accounts, AuditedAction},
    trial::lab::{LabComparison, LabResult},
};

/// Characters of what is tried that the audit log has.
const DETAIL_MAX: usize = 500;

/// What to try: constants of a rule in force, or the text of a rule.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewBacktest {
    /// The rule's id.
    rule: Option<String>,
    /// The constants that are others; exact numbers are texts.
    #[serde(default)]
    #[schema(value_type = Object)]
    params: Map<String, Value>,
    /// Or a file of rules with this one rule, as YAML.
    source: Option<String>,
    /// Who asks; the proxy in front tells it where `http.user_header` is set.
    who: Option<String>,
}

/// Backtests, the latest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BacktestList {
    /// The latest 20 since the daemon began.
    backtests: Vec<BacktestView>,
}

/// A rule tried over the own journal.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Backtest)]
pub(crate) struct BacktestView {
    id: u64,
    /// The rule's id.
    rule: String,
    /// `running`, `done`, `stopped` or `failed`.
    state: &'static str,
    /// The constants that are others.
    #[schema(value_type = Object)]
    params: Map<String, Value>,
    /// The text that is tried.
    source: Option<String>,
    /// Who asked.
    by: String,
    #[schema(format = DateTime)]
    begun_at: String,
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    /// Events that are through, and that there are.
    progress: Progress,
    /// Why it failed.
    error: Option<String>,
    /// What came of it.
    result: Option<Outcome>,
}

/// How far it is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BacktestProgress)]
pub(crate) struct Progress {
    events: u64,
    of: u64,
}

/// What both forms of the rule found, as if both were live.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BacktestResult)]
pub(crate) struct Outcome {
    /// The first and the last event time.
    #[schema(format = DateTime)]
    from: Option<String>,
    #[schema(format = DateTime)]
    to: Option<String>,
    /// The rule as it is; without findings, if it is not in force.
    present: FormView,
    /// The rule as it was tried.
    tried: FormView,
    /// Findings of both.
    kept: u64,
    /// Findings that only the tried form has.
    added: u64,
    /// Findings that only the present form has.
    gone: u64,
    /// The latest 200 of those added.
    added_findings: Vec<Finding>,
    /// The latest 200 of those gone.
    gone_findings: Vec<Finding>,
}

/// What one form found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BacktestForm)]
pub(crate) struct FormView {
    findings: u64,
    /// Alerts that they would be, by their keys.
    alerts: u64,
    /// The same for each day of events.
    alerts_a_day: f64,
    /// Rows that it could not be evaluated on.
    errors: u64,
    /// Why, the last time.
    last_error: Option<String>,
    /// Of its findings that officers judged: as suspected.
    confirmed: u64,
    /// And in order.
    dismissed: u64,
    /// The share of those as suspected; null before the first verdict.
    precision: Option<f64>,
}

impl FormView {
    #[allow(clippy::cast_precision_loss)] // Counts that people look at.
    fn new(form: &LabResult, span: Option<(Instant, Instant)>) -> Self {
        let days = span.map_or(1.0, |(from, to)| ((to - from).as_seconds_f64() / 86_400.0).max(1.0));
        let [confirmed, dismissed] = form.verdicts;
        let judged = confirmed + dismissed;
        Self {
            findings: form.findings,
            alerts: form.keys,
            alerts_a_day: form.keys as f64 / days,
            errors: form.errors,
            last_error: form.last_error.clone(),
            confirmed,
            dismissed,
            precision: (judged > 0).then(|| confirmed as f64 / judged as f64),
        }
    }
}

/// How a backtest is shown.
struct Show<'s> {
    shared: &'s Shared,
    rules: Arc<RuleSet>,
    lens: Lens,
    /// Whether findings are shown one by one.
    whole: bool,
}

impl Show<'_> {
    fn job(&self, job: &Job) -> BacktestView {
        let calendar = &self.shared.calendar;
        let (params, source) = match &job.tried {
            LabVariant::Params { params, .. } => (params.clone(), None),
            LabVariant::Text(text) => (Map::new(), Some(text.clone())),
        };
        let (ended_at, end) = job.end().unzip();
        let (state, error, result) = match end {
            None => ("running", None, None),
            Some(BacktestEnd::Done(beside)) => ("done", None, Some(self.outcome(&beside))),
            Some(BacktestEnd::Stopped) => ("stopped", None, None),
            Some(BacktestEnd::Failed(why)) => ("failed", Some(why), None),
        };
        let events = job.progress.events.load(std::sync::atomic::Ordering::Relaxed);
        BacktestView {
            id: job.id,
            rule: job.rule.clone(),
            state,
            params,
            source,
            by: job.by.clone(),
            begun_at: calendar.format(job.begun_at),
            ended_at: ended_at.map(|at| calendar.format(at)),
            progress: Progress { events, of: job.events.max(events) },
            error,
            result,
        }
    }

    fn outcome(&self, beside: &LabComparison) -> Outcome {
        let time = |at: Instant| self.shared.calendar.format(at);
        let findings = |findings: &[Finding]| {
            let shown = findings.iter().filter(|_| self.whole);
            shown.map(|finding| self.lens.finding(finding.clone(), &self.rules)).collect()
        };
        let [present, tried] = beside.forms.each_ref().map(|form| FormView::new(form, beside.span));
        Outcome {
            from: beside.span.map(|(from, _)| time(from)),
            to: beside.span.map(|(_, to)| time(to)),
            present,
            tried,
            kept: beside.kept,
            added: beside.added.0,
            gone: beside.gone.0,
            added_findings: findings(&beside.added.1),
            gone_findings: findings(&beside.gone.1),
        }
    }
}

/// Tries a rule over the own journal, beside the rule as it is
///
/// One backtest runs at a time, in the background and with no effect on what is found or told. Ask again by its number for its
/// progress and what came of it.
#[utoipa::path(post, path = "/api/v1/backtests", operation_id = "begin_backtest", tag = "rules", request_body = NewBacktest,
    responses(
        (status = 202, description = "It has begun", body = BacktestView),
        (status = 404, description = "There is no such rule", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Another one runs", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "What is tried is wrong", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn begin(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    headers: HeaderMap,
    JsonBody(new): JsonBody<NewBacktest>,
) -> Result<(StatusCode, Json<BacktestView>), Problem> {
    let actor = match (&by.known, &by.local, &new.who) {
        (None, None, None) => by.unnamed(),
        _ => by.actor(&headers, new.who.as_deref())?,
    };
    let tried = match (new.rule, new.source) {
        (Some(rule), None) if !new.params.is_empty() => LabVariant::Params { rule, params: new.params },
        (None, Some(source)) if new.params.is_empty() => LabVariant::Text(source),
        _ => {
            let detail = say!("say what to try: either `rule` and `params`, or `source`");
            return Err(Problem::unprocessable(detail));
        }
    };
    let lens = by.lens();
    blocking(move || {
        let job = lab::begin(&shared, tried, actor.who.clone()).map_err(not_begun)?;
        // What nobody can be told to have asked for does not go on.
        record(&shared, &actor, ("rules.try", &job)).inspect_err(|_| job.progress.stop.cancel())?;
        let show = Show { shared: &shared, rules: shared.rules_in_force(), lens, whole: true };
        Ok((StatusCode::ACCEPTED, Json(show.job(&job))))
    })
    .await
}

/// Puts into the audit log who had which rule tried, or stopped that.
fn record(shared: &Shared, by: &Actor, (action, job): (&str, &Job)) -> Result<(), Problem> {
    let detail = match &job.tried {
        LabVariant::Params { params, .. } => serde_json::to_string(params).unwrap_or_default(),
        LabVariant::Text(text) => blake3::hash(text.as_bytes()).to_string(),
    };
    let detail: String = format!("backtest {}: {detail}", job.id).chars().take(DETAIL_MAX).collect();
    let deed = AuditedAction { action, subject: &job.rule, result: "done", detail: &detail };
    let now = shared.clock.now();
    Ok(Accounts::open(&shared.state_dir)?.record(by, deed, now)?)
}

pub(super) fn not_begun(why: BacktestRefused) -> Problem {
    match why {
        BacktestRefused::Busy(job) => Problem::new(
            StatusCode::CONFLICT,
            say!(
                "backtest {id} of rule {rule} still runs: wait for it, or stop it",
                id = job.id,
                rule = job.rule
            ),
        ),
        BacktestRefused::Missing(detail) => Problem::new(StatusCode::NOT_FOUND, detail),
        BacktestRefused::Wrong(problems) => {
            let text: Vec<_> = problems.iter().map(ToString::to_string).collect();
            Problem::unprocessable(text.join("\n"))
        }
        BacktestRefused::Failed(detail) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail),
    }
}

/// The latest backtests; without their findings
#[utoipa::path(get, path = "/api/v1/backtests", operation_id = "list_backtests", tag = "rules",
    responses((status = 200, description = "The latest 20", body = BacktestList)))]
pub(crate) async fn list(State(shared): State<Arc<Shared>>, by: Requester) -> Json<BacktestList> {
    let show = Show { shared: &shared, rules: shared.rules_in_force(), lens: by.lens(), whole: false };
    Json(BacktestList { backtests: shared.lab.jobs().iter().map(|job| show.job(job)).collect() })
}

/// A backtest: how far it is, and what came of it
#[utoipa::path(get, path = "/api/v1/backtests/{id}", operation_id = "show_backtest", tag = "rules",
    params(("id" = u64, Path, description = "Its number")),
    responses(
        (status = 200, description = "The backtest", body = BacktestView),
        (status = 404, description = "There is none of this number any more", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    PathId(id): PathId<u64>,
) -> Result<Json<BacktestView>, Problem> {
    let job = shared.lab.job(id).ok_or_else(|| missing(id))?;
    let show = Show { shared: &shared, rules: shared.rules_in_force(), lens: by.lens(), whole: true };
    Ok(Json(show.job(&job)))
}

/// Stops a backtest that runs
#[utoipa::path(delete, path = "/api/v1/backtests/{id}", operation_id = "stop_backtest", tag = "rules",
    params(("id" = u64, Path, description = "Its number")),
    responses(
        (status = 202, description = "It ends soon, if it has not ended yet", body = BacktestView),
        (status = 404, description = "There is none of this number any more", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn stop(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    PathId(id): PathId<u64>,
) -> Result<(StatusCode, Json<BacktestView>), Problem> {
    let job = shared.lab.job(id).ok_or_else(|| missing(id))?;
    let (actor, lens) = (by.unnamed(), by.lens());
    blocking(move || {
        let runs = job.end().is_none();
        job.progress.stop.cancel();
        if runs {
            record(&shared, &actor, ("rules.try.stop", &job))?;
        }
        let show = Show { shared: &shared, rules: shared.rules_in_force(), lens, whole: false };
        Ok((StatusCode::ACCEPTED, Json(show.job(&job))))
    })
    .await
}

fn missing(id: u64) -> Problem {
    let detail = say!("there is no backtest {id}; the latest 20 since the daemon began are kept", id);
    Problem::new(StatusCode::NOT_FOUND, detail)
}
