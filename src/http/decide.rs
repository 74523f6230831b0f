//! 事前校验: applications are decided before money moves; what was decided is shown, and released.

mod asking;

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};
use utoipa::{IntoParams, ToSchema};

use super::{
    Problem,
    by::Requester,
    page::Page,
    request::{Params, PathId, RawBody, at_once, page_size},
};
use crate::{
    access::Actor,
    config::decide::WhenStale,
    daemon::{DecisionRequest, Shared},
    decision::{Decision, DecisionMode, Several, Verdict, withdrawal},
    event::{Instant, TimeDelta, duration},
    say,
    store::{Cases, DecisionFilter, Decisions, StoredDecision},
    stream::{PLAIN, Payload, RECORD_BYTES_MAX},
    text::quoted,
};

pub(super) use asking::wait_for_commits;
use asking::{decided, one_by_one};

/// How applications are to be decided. The body may say the same.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct How {
    /// `commit`, or `what_if`: nothing changes
    mode: Option<DecisionMode>,
    /// Whether all of them are decided together: all, or none
    atomic: Option<bool>,
    /// How long an allowed application reserves money, by event time, such as `30d`; until it is paid or withdrawn without it
    expires_in: Option<String>,
    /// By which override a blocked application passes, once it is asked for alone and under another `event_id`
    #[serde(rename = "override")]
    overriding: Option<i64>,
}

/// The applications to be decided. A single application, a list of them, or JSON Lines will do as well.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what is read by hand below")]
pub(crate) struct DecideBody {
    /// As events are posted; `type` may be left out.
    #[schema(value_type = Vec<Object>)]
    applications: Vec<Map<String, Value>>,
    mode: Option<DecisionMode>,
    atomic: Option<bool>,
    expires_in: Option<String>,
    #[schema(rename = "override")]
    overriding: Option<i64>,
}

/// What was decided of several applications.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DecisionList {
    /// The gravest of them.
    decision: Verdict,
    /// In the order of the applications.
    decisions: Vec<Decision>,
}

/// One decision, or several.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Answer {
    One(Box<Decision>),
    Several(DecisionList),
}

/// Decides applications before the money moves
///
/// The answer is what monitoring finds: the gravest handling among the live rules that hold. It is stored before it is
/// given. Ask again with the same `event_id` if no answer came: the same application gets the same answer. A blocked
/// application is withdrawn at once. One application as the body gets one decision; otherwise there is a list.
#[utoipa::path(post, path = "/api/v1/decide", operation_id = "decide", tag = "decisions", params(How),
    request_body(content = DecideBody, content_type = "application/json", description = "Applications (docs/decide.md)"),
    responses(
        (status = 200, description = "What is decided", body = Answer),
        (status = 409, description = "The `event_id` is of another event, or the override does not let it pass", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A record is no application", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn decide(
    State(shared): State<Arc<Shared>>,
    Params(how): Params<How>,
    by: Requester,
    RawBody(body): RawBody,
) -> Result<Json<Answer>, Problem> {
    takes_questions(&shared)?;
    answer(&shared, how, &by.unnamed(), &body).await.map(Json)
}

/// Decides what a message asks for: the status and the text of the answer, as over HTTP.
pub async fn by_message(shared: &Arc<Shared>, actor: Actor, body: &[u8]) -> (u16, Vec<u8>) {
    let answered = match takes_more(shared) {
        Ok(()) => answer(shared, How::default(), &actor, body).await,
        Err(later) => Err(later),
    };
    match answered {
        Ok(answer) => (StatusCode::OK.as_u16(), serde_json::to_vec(&answer).unwrap_or_default()),
        Err(problem) => (problem.status().as_u16(), serde_json::to_vec(&problem).unwrap_or_default()),
    }
}

/// What is answered, over HTTP or Kafka.
async fn answer(shared: &Arc<Shared>, how: How, actor: &Actor, body: &[u8]) -> Result<Answer, Problem> {
    let started = std::time::Instant::now();
    let asked = Asked::read(body, how)?;
    let most = shared.questions.config.applications_max;
    if asked.records.len() > most {
        return Err(Problem::unprocessable(say!(
            "at most {most} applications are decided by one request (decide.applications_max)",
            most
        )));
    }
    let lags = shared.lags();
    if lags.1 && shared.questions.config.when_stale == WhenStale::Refuse {
        return Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            say!("what is known is older than decide.max_staleness allows: nothing is decided until the sources are back"),
        )
        .again_after(30));
    }
    let Asked { records, mode, atomic, expires_in, overriding, is_single } = asked;
    if overriding.is_some() && records.len() > 1 {
        return Err(Problem::unprocessable(say!("an override is for one application, asked for alone")));
    }
    let (payload, actor) = (Payload::messages(&records), actor.clone());
    let several = Several::Together;
    let request = DecisionRequest { payload, mode, several, expires_in, actor, overriding: None };
    let answered = match atomic || records.len() == 1 {
        true => decided(shared, (request, overriding), lags).await,
        false => one_by_one(shared, &records, &request, lags).await,
    };
    if answered.is_err() {
        shared.metrics.decisions.with_label_values(&["refused"]).inc();
    }
    let mut decisions = answered?;
    let word = if mode == DecisionMode::Commit { "commit" } else { "what_if" };
    shared.metrics.decision_duration.with_label_values(&[word]).observe(started.elapsed().as_secs_f64());
    Ok(match (is_single, decisions.len()) {
        (true, 1) => Answer::One(Box::new(decisions.remove(0))),
        _ => {
            let gravest = decisions.iter().map(|d| d.decision).max().unwrap_or(Verdict::Allow);
            Answer::Several(DecisionList { decision: gravest, decisions })
        }
    })
}

fn takes_questions(shared: &Shared) -> Result<(), Problem> {
    if !shared.accept_events {
        let why = say!("events are not taken over HTTP (http.accept_events), so nothing is decided");
        return Err(Problem::new(StatusCode::FORBIDDEN, why));
    }
    takes_more(shared)
}

fn takes_more(shared: &Shared) -> Result<(), Problem> {
    match shared.takes_no_more() {
        Some(why) => Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, why).again_after(30)),
        None => Ok(()),
    }
}

struct Asked {
    /// The applications, one JSON object each.
    records: Vec<Vec<u8>>,
    mode: DecisionMode,
    atomic: bool,
    expires_in: Option<TimeDelta>,
    overriding: Option<i64>,
    /// Whether the body is one application.
    is_single: bool,
}

impl Asked {
    fn read(body: &[u8], how: How) -> Result<Self, Problem> {
        // As they are written: an amount that is a number must not become a float on the way.
        let values: Result<Vec<Box<RawValue>>, _> =
            serde_json::Deserializer::from_slice(body).into_iter().collect();
        let mut values = values.map_err(|e| {
            let (line, column) = (e.line(), e.column());
            Problem::bad_request(say!("the body is no JSON: line {line}, column {column}", line, column))
        })?;
        let mut how = how;
        let mut is_single = false;
        if let [value] = &mut values[..] {
            match parted(value) {
                Parted::List(list) => values = list,
                Parted::Object(object) if object.contains_key("applications") => {
                    values = wrapped(object, &mut how)?;
                }
                _ => is_single = true,
            }
        }
        if values.is_empty() {
            return Err(Problem::unprocessable(say!("there is no application in the body")));
        }
        let records = values.iter().map(|value| record(value)).collect::<Result<_, _>>()?;
        let long = |text: &str| duration(text).map_err(Problem::unprocessable);
        let expires_in = how.expires_in.as_deref().map(long).transpose()?;
        let expires_in = expires_in.map(TimeDelta::of);
        Ok(Self {
            records,
            mode: how.mode.unwrap_or_default(),
            atomic: how.atomic.unwrap_or_default(),
            expires_in,
            overriding: how.overriding,
            is_single,
        })
    }
}

/// The parts of a list or of an object, as they are written.
enum Parted {
    List(Vec<Box<RawValue>>),
    Object(BTreeMap<String, Box<RawValue>>),
    Neither,
}

fn parted(value: &RawValue) -> Parted {
    let list = serde_json::from_str(value.get()).map(Parted::List);
    list.or_else(|_| serde_json::from_str(value.get()).map(Parted::Object)).unwrap_or(Parted::Neither)
}

/// What an object with `applications` says. What the address says holds.
fn wrapped(
    mut object: BTreeMap<String, Box<RawValue>>,
    how: &mut How,
) -> Result<Vec<Box<RawValue>>, Problem> {
    let Some(Parted::List(list)) = object.remove("applications").map(|list| parted(&list)) else {
        return Err(Problem::unprocessable(say!("`applications` is no list")));
    };
    let said = serde_json::to_value(object).and_then(serde_json::from_value);
    let said: How = said.map_err(|_| {
        Problem::unprocessable(say!(
            "beside `applications` a body has `mode` (commit or what_if), `atomic` (true or false), `expires_in` (such as 30d) and `override` (a number)"
        ))
    })?;
    how.mode = how.mode.or(said.mode);
    how.atomic = how.atomic.or(said.atomic);
    how.expires_in = how.expires_in.take().or(said.expires_in);
    how.overriding = how.overriding.or(said.overriding);
    Ok(list)
}

/// An application as it is journalled.
fn record(value: &RawValue) -> Result<Vec<u8>, Problem> {
    let Parted::Object(object) = parted(value) else {
        return Err(Problem::unprocessable(say!("an application is a JSON object")));
    };
    let record = match value.get().strip_prefix('{').filter(|_| !object.contains_key("type")) {
        Some(rest) if object.is_empty() => format!(r#"{{"type":"application"{rest}"#),
        Some(rest) => format!(r#"{{"type":"application",{rest}"#),
        None => value.get().to_owned(),
    };
    let record = record.into_bytes();
    match record.len() > RECORD_BYTES_MAX {
        true => Err(Problem::unprocessable(say!("an application is longer than 1 MiB"))),
        false => Ok(record),
    }
}

/// Which decisions to list, the latest by event time first.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DecisionQuery {
    /// `allow`, `explain` or `block`
    decision: Option<Verdict>,
    /// Only of this budget line
    budget_line_id: Option<String>,
    /// Only those after this one in the list: the `next` of the page before
    after: Option<String>,
    /// At most so many
    limit: Option<u32>,
}

/// A page of decisions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DecisionPage {
    /// The latest by event time first.
    decisions: Vec<Decision>,
    /// Give it as `after` for the next page; null on the last one.
    next: Option<String>,
}

/// A decision, with what became of it.
fn shown(stored: StoredDecision, shared: &Shared) -> Decision {
    let ledger = shared.ledger.read();
    let reserves = Some(ledger.reserved_by(&stored.decision.event_id).is_some());
    Decision { reserves, ..stored.decision }
}

/// What was decided
#[utoipa::path(get, path = "/api/v1/decisions", operation_id = "list_decisions", tag = "decisions", params(DecisionQuery),
    responses((status = 200, description = "A page", body = DecisionPage)))]
pub(crate) async fn list(
    State(shared): State<Arc<Shared>>,
    Params(listed): Params<DecisionQuery>,
) -> Result<Json<DecisionPage>, Problem> {
    let limit = page_size(listed.limit)?;
    let place = |text: String| {
        let (at, id) = text.split_once(' ')?;
        Some((Instant::from_micros(at.parse().ok()?), id.to_owned()))
    };
    let unknown = || Problem::bad_request(say!("`after` is not the `next` of another page"));
    let after = listed.after.map(|text| place(text).ok_or_else(unknown)).transpose()?;
    let DecisionQuery { decision, budget_line_id, .. } = listed;
    at_once(move || {
        let filter = DecisionFilter { decision, budget_line_id, after, limit: limit + 1 };
        let rows = Decisions::open(&shared.state_dir)?.list(&filter)?;
        let places: Vec<_> =
            rows.iter().map(|row| format!("{} {}", row.at.as_micros(), row.decision.event_id)).collect();
        let page = Page::new(limit).fill(rows.into_iter().map(|row| shown(row, &shared)));
        let next = page.is_cut.then(|| places[page.rows.len() - 1].clone());
        Ok(Json(DecisionPage { decisions: page.rows, next }))
    })
    .await
}

fn find(shared: &Shared, id: &str) -> Result<StoredDecision, Problem> {
    Decisions::open(&shared.state_dir)?.of(id)?.ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, say!("nothing was decided of {id}", id = quoted(id)))
    })
}

/// One decision
#[utoipa::path(get, path = "/api/v1/decisions/{event_id}", operation_id = "show_decision", tag = "decisions",
    params(("event_id" = String, Path, description = "The application")),
    responses(
        (status = 200, description = "What was decided", body = Decision),
        (status = 404, description = "Nothing was decided of it", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    PathId(id): PathId<String>,
) -> Result<Json<Decision>, Problem> {
    at_once(move || Ok(Json(shown(find(&shared, &id)?, &shared)))).await
}

/// Releases what an application reserves: it will not be paid
///
/// It is withdrawn by an event of its own. One that was paid, withdrawn or released before stays what it is.
#[utoipa::path(post, path = "/api/v1/decisions/{event_id}/release", operation_id = "release_decision", tag = "decisions",
    params(("event_id" = String, Path, description = "The application")),
    responses(
        (status = 200, description = "It reserves nothing any more", body = Decision),
        (status = 404, description = "Nothing was decided of it", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn release(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    PathId(id): PathId<String>,
) -> Result<Json<Decision>, Problem> {
    takes_questions(&shared)?;
    let (reader, wanted) = (Arc::clone(&shared), id.clone());
    let stored = at_once(move || find(&reader, &wanted)).await?;
    let line = {
        let ledger = shared.ledger.read();
        ledger.reserved_by(&id).map(str::to_owned)
    };
    if let Some(line) = line {
        let event = withdrawal(&id, &line, &stored.decision.occurred_at);
        let taken = shared.submit(PLAIN, Payload::messages(&[event]), Vec::new()).await;
        if taken.is_err() {
            wait_for_commits(&shared).await?;
        }
    }
    at_once(move || {
        Cases::open(&shared.state_dir)?.by(by.unnamed()).released(&id, shared.clock.now())?;
        Ok(Json(shown(stored, &shared)))
    })
    .await
}
