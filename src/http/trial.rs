//! The routing tree, and who would be told if there were an alert like this.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Problem,
    request::{JsonBody, blocking},
};
use crate::{
    alert::{
        Labels, Policy,
        route::{ALERT, Passage, Route},
    },
    daemon::{HeldBy, Shared, held},
    event::TimeDelta,
    finding::Handling,
    say,
    store::Cases,
};

/// Labels that a trial may have.
const LABELS_MAX: usize = 100;

/// The routing tree as it is in force.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RouteTree {
    /// In order, each with how deep it stands; nothing where there is no sink.
    routes: Vec<RouteView>,
}

/// A route, with what it does not say taken from its parent.
// Each stands in the configuration as it is.
#[allow(clippy::struct_excessive_bools)]
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Route)]
pub(crate) struct RouteView {
    /// Its place in the configuration.
    route: String,
    depth: usize,
    /// What an alert must be like; nothing means every alert.
    matchers: Vec<String>,
    /// Where its alerts go.
    sinks: Vec<String>,
    /// Alerts with equal values of these labels are told together.
    group_by: Vec<String>,
    group_wait_seconds: i64,
    group_interval_seconds: i64,
    /// When alerts that nobody acknowledged are told of again; null for never.
    repeat_interval_seconds: Option<i64>,
    /// Whether it is also told when alerts end.
    tell_ended: bool,
    /// Whether its alerts wait for the digest.
    digest: bool,
    /// Whether letters to units go out by themselves.
    send_letters: bool,
    /// Whether routes after a match are tried too.
    r#continue: bool,
}

impl RouteView {
    fn new(depth: usize, route: &Route) -> Self {
        Self {
            route: route.path.clone(),
            depth,
            matchers: route.matchers.clone().into(),
            sinks: route.sinks.clone(),
            group_by: route.group_by.clone(),
            group_wait_seconds: route.group_wait.as_seconds(),
            group_interval_seconds: route.group_interval.as_seconds(),
            repeat_interval_seconds: route.repeat_interval.map(TimeDelta::as_seconds),
            tell_ended: route.tell_ended,
            digest: route.digest,
            send_letters: route.send_letters,
            r#continue: route.continues,
        }
    }
}

/// What an alert would be like: labels, or an alert that there is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Trial)]
pub(crate) struct RoutingTrial {
    /// Labels such as `rule=large-cash`, at most 100.
    #[serde(default)]
    labels: Vec<String>,
    /// Or the id of an alert whose labels are tried.
    alert: Option<String>,
}

/// Who would be told.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrialResult {
    /// The labels that were tried.
    labels: BTreeMap<String, Vec<String>>,
    /// Every route in order, and what would become of the alert there.
    routes: Vec<RouteStep>,
    /// The sinks that would be told.
    sinks: Vec<String>,
    /// What would hold it back now.
    held_by: Vec<Hold>,
}

/// What would become of the alert at a route.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RouteStep)]
pub(crate) struct RouteStep {
    route: RouteView,
    /// `taken`, `goes_down`, `differs` or `not_reached`.
    passage: &'static str,
    /// Where it is taken, the labels of those that it is told with; null where it is told by itself.
    group: Option<String>,
    /// Where it is taken and waits for the digest, when that goes out.
    #[schema(format = DateTime)]
    digest_at: Option<String>,
}

/// What holds an alert back.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Hold {
    /// `quiet_hours`, `silence` or `alert`.
    by: &'static str,
    /// The name of the quiet hours, the number of the silence, the id of the graver alert.
    id: String,
    /// Who ordered the silence, what the alert says.
    what: Option<String>,
    #[schema(format = DateTime)]
    until: Option<String>,
}

/// The routing tree as it is in force
#[utoipa::path(get, path = "/api/v1/routes", operation_id = "show_routes", tag = "notifications",
    responses((status = 200, description = "The tree", body = RouteTree)))]
pub(crate) async fn tree(State(shared): State<Arc<Shared>>) -> Json<RouteTree> {
    let policy = policy(&shared);
    let all = policy.routes.iter().flat_map(|root| root.explain(&Labels::default()));
    Json(RouteTree { routes: all.map(|(depth, route, _)| RouteView::new(depth, route)).collect() })
}

fn policy(shared: &Shared) -> Arc<Policy> {
    Arc::clone(&shared.policy.read())
}

/// Who would be told of an alert, why, and what would hold it back now
///
/// Nothing is sent and nothing is stored.
#[utoipa::path(post, path = "/api/v1/routes/trial", operation_id = "try_routes", tag = "notifications", request_body = RoutingTrial,
    responses(
        (status = 200, description = "Who would be told", body = TrialResult),
        (status = 404, description = "There is no such alert", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A label is wrong", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn trial(
    State(shared): State<Arc<Shared>>,
    JsonBody(trial): JsonBody<RoutingTrial>,
) -> Result<Json<TrialResult>, Problem> {
    blocking(move || {
        let labels = labels(&shared, &trial)?;
        let (policy, now) = (policy(&shared), shared.clock.now());
        let step = |(depth, route, passage): (usize, &Route, Passage)| {
            let is_taken = passage == Passage::Taken;
            let is_alone = route.group_by.iter().any(|name| name == ALERT);
            let handling = labels.first("handling");
            let waits =
                route.digest || handling.and_then(Handling::parse).is_some_and(Policy::waits_for_digest);
            RouteStep {
                route: RouteView::new(depth, route),
                passage: word(passage),
                group: (is_taken && !is_alone).then(|| labels.only(&route.group_by).to_string()),
                digest_at: (is_taken && waits).then(|| shared.calendar.format(policy.next_digest(now))),
            }
        };
        let root = policy.routes.as_ref();
        let routes =
            root.map(|root| root.explain(&labels).into_iter().map(step).collect()).unwrap_or_default();
        let taken = root.map(|root| root.select(&labels)).unwrap_or_default();
        let mut sinks: Vec<_> = taken.into_iter().flat_map(|route| route.sinks.clone()).collect();
        sinks.sort();
        sinks.dedup();
        let held_by = held(&policy, &shared.state_dir, &labels, now)?;
        let held_by = held_by.into_iter().map(|held| hold(held, &shared)).collect();
        Ok(Json(TrialResult { labels: by_name(&labels), routes, sinks, held_by }))
    })
    .await
}

fn labels(shared: &Shared, trial: &RoutingTrial) -> Result<Labels, Problem> {
    if trial.labels.len() > LABELS_MAX {
        return Err(Problem::unprocessable(say!("at most {most} labels are tried", most = LABELS_MAX)));
    }
    let mut labels = Labels::parse(&trial.labels).map_err(Problem::unprocessable)?;
    if let Some(id) = &trial.alert {
        let cases = Cases::open_read_only(&shared.state_dir)?;
        for (name, value) in cases.show(id, 0)?.0.labels.iter() {
            labels.add(name, value);
        }
    }
    Ok(labels)
}

fn by_name(labels: &Labels) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    labels.iter().for_each(|(name, value)| all.entry(name.to_owned()).or_default().push(value.to_owned()));
    all
}

fn word(passage: Passage) -> &'static str {
    match passage {
        Passage::Taken => "taken",
        Passage::GoesDown => "goes_down",
        Passage::Differs => "differs",
        Passage::NotReached => "not_reached",
    }
}

fn hold(held: HeldBy, shared: &Shared) -> Hold {
    match held {
        HeldBy::Quiet(name) => Hold { by: "quiet_hours", id: name, what: None, until: None },
        HeldBy::Silence { id, author, until } => Hold {
            by: "silence",
            id: id.to_string(),
            what: Some(author),
            until: Some(shared.calendar.format(until)),
        },
        HeldBy::Alert { id, title } => Hold { by: "alert", id, what: Some(title), until: None },
    }
}
