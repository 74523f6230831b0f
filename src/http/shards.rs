//! What a keeper of shards serves: how it and its shards are, their metrics and lists put together. Each shard is asked with what
//! the sender of a request showed, and decides by itself whether that is enough: users and tokens are known to shards.

mod merge;

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, HeaderName, StatusCode, header},
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing::get,
};
use reqwest::{Client, redirect};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{
    Ports, Problem,
    door::Door,
    entrance::{Doors, entrance},
    guard::{Guard, guard},
    request::Params,
    serve_all,
};
use crate::{
    config::{Config, shards::ShardPart},
    daemon::shards::{Board, ShardStatus},
    event::time::Calendar,
    say,
    telemetry::CONTENT_TYPE,
};

/// How long a shard may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// The longest answer of a shard.
const ANSWER_MAX: usize = 64 << 20;
/// What is passed on of a request: who sends it, and how it wants to read.
const PASSED_ON: [HeaderName; 4] = [
    header::AUTHORIZATION,
    header::COOKIE,
    header::ACCEPT_LANGUAGE,
    HeaderName::from_static(super::lens::UNMASKED),
];

#[derive(Clone)]
struct Keeper {
    board: Arc<Board>,
    client: Client,
    calendar: Arc<Calendar>,
    /// Whether shards ask who somebody is.
    auth: bool,
}

/// The answer of a shard; `None` if it gave none.
type Answer = Option<(StatusCode, Vec<u8>)>;

/// Serves until asked to stop.
///
/// # Errors
/// If there is no client to ask shards with.
pub async fn serve_shards(
    ports: Ports,
    board: Arc<Board>,
    config: &Config,
    stop: CancellationToken,
) -> Result<(), String> {
    let client = Client::builder()
        .timeout(PATIENCE)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .build()
        .map_err(|e| e.to_string())?;
    let door = Arc::new(Door::new(&config.clients, &board.metrics));
    let keeper = Keeper { board, client, calendar: Arc::clone(&config.calendar), auth: config.clients.auth };
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/-/healthy", get(|| async { "fiscwatch is running (keeper of shards)\n" }))
        .route("/-/ready", get(ready))
        .route("/api/v1/shards", get(shards))
        .route("/api/v1/alerts", get(alerts))
        .route("/api/v1/findings", get(findings))
        .fallback(|| async {
            Problem::new(
                StatusCode::NOT_FOUND,
                say!("this is served by each shard at its own address, which /api/v1/shards tells"),
            )
        })
        .with_state(keeper);
    let by = Arc::new(Guard::new(&door.clients, &door.refusals));
    let doors = Doors { clients: Arc::new(door.clients.clone()), refusals: Arc::clone(&door.refusals) };
    let router = router.layer(from_fn_with_state(doors, entrance)).layer(from_fn_with_state(by, guard));
    serve_all(ports.with(None), &router, &door, &stop).await;
    Ok(())
}

impl Keeper {
    async fn ask(&self, shard: &ShardStatus, path: &str, headers: &HeaderMap) -> Answer {
        let mut address = shard.address.filter(|_| shard.process.is_some())?;
        if address.ip().is_unspecified() {
            address.set_ip([127, 0, 0, 1].into());
        }
        let mut request = self.client.get(format!("http://{address}{path}"));
        for name in PASSED_ON {
            if let Some(value) = headers.get(&name) {
                request = request.header(name, value);
            }
        }
        let mut answer = request.send().await.ok()?;
        let (status, mut body) = (answer.status(), Vec::new());
        while let Some(chunk) = answer.chunk().await.ok()? {
            if body.len() + chunk.len() > ANSWER_MAX {
                return None;
            }
            body.extend_from_slice(&chunk);
        }
        Some((status, body))
    }

    /// Asks all shards of this machine at once.
    async fn ask_all(
        &self,
        path: impl Fn(&ShardStatus) -> Option<String>,
        headers: &HeaderMap,
    ) -> Vec<(ShardStatus, Answer)> {
        let asked = self.board.told().into_iter().filter_map(|shard| Some((path(&shard)?, shard)));
        let asked = asked.map(|(path, shard)| async move {
            let answer = self.ask(&shard, &path, headers).await;
            (shard, answer)
        });
        futures::future::join_all(asked).await
    }

    /// What a shard that refuses says: who may not ask one may not ask any. Where nobody can say who somebody is, nobody is told
    /// anything.
    fn refused(&self, answers: &[(ShardStatus, Answer)]) -> Option<Response> {
        let answers = || answers.iter().filter_map(|(_, answer)| answer.as_ref());
        if let Some((status, body)) = answers().find(|(status, _)| status.is_client_error()) {
            let content = [(header::CONTENT_TYPE, "application/problem+json")];
            return Some((*status, content, body.clone()).into_response());
        }
        let is_known = !self.auth || answers().any(|(status, _)| *status == StatusCode::OK);
        let why = || say!("no shard of this machine can say at the moment who may ask; try again");
        (!is_known)
            .then(|| Problem::new(StatusCode::SERVICE_UNAVAILABLE, why()).again_after(5).into_response())
    }

    /// The shards that this machine does not have: an answer says what it leaves out.
    fn elsewhere(&self) -> Vec<ShardPart> {
        let here = self.board.told();
        let mut all = self.board.all();
        all.retain(|part| here.iter().all(|shard| shard.part != *part));
        all
    }
}

async fn ready(State(keeper): State<Keeper>) -> (StatusCode, String) {
    if keeper.board.partitions().is_none() {
        return (StatusCode::SERVICE_UNAVAILABLE, say!("the topic of the shards is waited for") + "\n");
    }
    let answers = keeper.ask_all(|_| Some(String::from("/-/ready")), &HeaderMap::new()).await;
    let (mut status, mut text) = (StatusCode::OK, String::new());
    for (shard, answer) in &answers {
        let (of_shard, said) = match answer {
            Some((status, said)) => (*status, String::from_utf8_lossy(said).into_owned()),
            None => (StatusCode::SERVICE_UNAVAILABLE, say!("no answer") + "\n"),
        };
        if of_shard != StatusCode::OK {
            status = StatusCode::SERVICE_UNAVAILABLE;
        }
        text += &say!("shard {number}: {said}", number = shard.part, said);
    }
    if answers.is_empty() {
        text = say!("this machine has no shard at the moment") + "\n";
    }
    (status, text)
}

async fn metrics(State(keeper): State<Keeper>, headers: HeaderMap) -> Response {
    let answers = keeper.ask_all(|_| Some(String::from("/metrics")), &headers).await;
    if let Some(refusal) = keeper.refused(&answers) {
        return refusal;
    }
    let texts: Vec<_> = answers
        .into_iter()
        .filter_map(|(shard, answer)| {
            let (_, text) = answer.filter(|(status, _)| *status == StatusCode::OK)?;
            Some((shard.part, String::from_utf8(text).ok()?))
        })
        .collect();
    let own = keeper.board.metrics.render();
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], merge::metrics(&own, &texts)).into_response()
}

/// The shards, and how far each is.
async fn shards(State(keeper): State<Keeper>, headers: HeaderMap) -> Response {
    let answers = keeper.ask_all(|_| Some(String::from("/api/v1/status")), &headers).await;
    if let Some(refusal) = keeper.refused(&answers) {
        return refusal;
    }
    let rows: Vec<Value> = answers
        .iter()
        .map(|(shard, answer)| {
            let status = answer.as_ref().and_then(|(_, body)| serde_json::from_slice::<Value>(body).ok());
            json!({
                "shard": shard.part,
                "since": keeper.calendar.format(shard.since),
                "process": shard.process,
                "deaths": shard.deaths,
                "address": shard.address.map(|address| address.to_string()),
                "status": status,
            })
        })
        .collect();
    let board = &keeper.board;
    Json(json!({
        "instance": board.instance,
        "topic": board.topic,
        "partitions": board.partitions(),
        "shards": rows,
        "elsewhere": keeper.elsewhere(),
    }))
    .into_response()
}

/// The query of a list, which each shard is asked with.
type Query = std::collections::BTreeMap<String, String>;

async fn alerts(State(keeper): State<Keeper>, query: Params<Query>, headers: HeaderMap) -> Response {
    list(&keeper, ("alerts", "opened_at"), query.0, &headers).await
}

async fn findings(State(keeper): State<Keeper>, query: Params<Query>, headers: HeaderMap) -> Response {
    list(&keeper, ("findings", "at"), query.0, &headers).await
}

/// A page of all shards: a page of each, put in one order.
async fn list(keeper: &Keeper, (name, at): (&str, &str), mut query: Query, headers: &HeaderMap) -> Response {
    if query.get("sort").is_some_and(|sort| sort != "newest") {
        let why = say!(
            "lists of all shards are sorted by newest; ask a shard at its own address for another order"
        );
        return Problem::bad_request(why).into_response();
    }
    let after = match query.remove("before").map(|text| merge::cursors(&text)) {
        Some(None) => {
            return Problem::bad_request(say!("before is the next of the page before")).into_response();
        }
        Some(Some(after)) => Some(after),
        None => None,
    };
    let path = |shard: &ShardStatus| {
        let mut query = query.clone();
        if let Some(after) = &after {
            // A shard whose list is at its end has no more.
            query.insert(String::from("before"), after.get(&shard.part)?.clone());
        }
        Some(format!("/api/v1/{name}{}", merge::query(&query)))
    };
    let answers = keeper.ask_all(path, headers).await;
    if let Some(refusal) = keeper.refused(&answers) {
        return refusal;
    }
    let mut missing = keeper.elsewhere();
    let mut pages = Vec::new();
    for (shard, answer) in answers {
        let page = answer.filter(|(status, _)| *status == StatusCode::OK);
        match page.and_then(|(_, body)| serde_json::from_slice::<Value>(&body).ok()) {
            Some(page) => pages.push((shard.part, page)),
            None => missing.push(shard.part),
        }
    }
    missing.sort_unstable();
    let mut page = merge::pages(name, at, pages);
    page["missing"] = json!(missing);
    Json(page).into_response()
}
