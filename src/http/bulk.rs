//! One step for several alerts: each is moved on by itself, and what failed is told beside what went well.

use std::{collections::BTreeSet, sync::Arc};

use axum::{Json, extract::State, http::HeaderMap};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Problem,
    by::Requester,
    casework::terms,
    request::{JsonBody, blocking},
    view::AlertView,
};
use crate::{
    alert::{
        Action, CaseOutcome,
        desk::{Order, Refusal},
    },
    daemon::Shared,
    say,
    store::{CaseError, Cases},
    text::quoted,
};

/// The most alerts of one request.
const ALERTS_MAX: usize = 200;

/// What to do with several alerts.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Transitions {
    /// `acknowledge`, `confirm`, `dismiss`, `rectify`, `close`, `comment`, `assign`, `postpone`, `merge` or `withdraw`.
    action: Action,
    /// Who does it; the proxy in front tells it where `http.user_header` is set.
    who: Option<String>,
    /// Why; `dismiss`, `close`, `comment` and `postpone` need it.
    why: Option<String>,
    /// Who is to have it, for `assign`; `-` for nobody.
    to: Option<String>,
    /// The last day, for `postpone`.
    #[schema(format = Date)]
    due: Option<String>,
    /// What came of it, for `close`.
    outcome: Option<CaseOutcome>,
    /// The outcome's amount in yuan, such as `1200.00`.
    amount: Option<String>,
    /// The alert that goes on with it, for `merge`.
    into: Option<String>,
    /// Which; 200 at most.
    alerts: Vec<SeenAlert>,
}

/// An alert as an officer saw it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Seen)]
pub(crate) struct SeenAlert {
    alert_id: String,
    /// The version that was seen. Without it, whatever there is changes.
    version: Option<i64>,
}

/// What became of them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TransitionsResult {
    /// How many were moved on.
    changed: usize,
    /// How many were not.
    failed: usize,
    /// Each of them, in the order that was asked.
    results: Vec<TransitionResult>,
}

/// What became of one.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TransitionResult {
    alert_id: String,
    /// The status that this step would have by itself: 200, 404, 409 where its state does not allow that, 412 where
    /// somebody else changed it meanwhile, or 503.
    status: u16,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// The alert as it is now, if there is one.
    alert: Option<AlertView>,
}

/// Moves several alerts on, or adds a comment to each
///
/// Each is a step of its own: those that are refused stay as they are, and the others are moved on.
#[utoipa::path(post, path = "/api/v1/alerts/transitions", operation_id = "change_alerts", tag = "alerts",
    request_body = Transitions,
    responses(
        (status = 200, description = "What became of each", body = TransitionsResult),
        (status = 422, description = "Who or why is missing", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn transitions(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    headers: HeaderMap,
    JsonBody(body): JsonBody<Transitions>,
) -> Result<Json<TransitionsResult>, Problem> {
    let actor = by.actor(&headers, body.who.as_deref())?;
    check(&body.alerts)?;
    let terms = terms(
        body.action,
        (body.to, body.into),
        body.due.as_deref(),
        (body.outcome, body.amount.as_deref()),
    )?;
    let lens = by.lens();
    blocking(move || {
        let (desk, calendar) = (shared.desk_with_people(), &shared.calendar);
        let mut cases = Cases::open(&shared.state_dir)?.by(actor.clone());
        let mut results = Vec::with_capacity(body.alerts.len());
        for SeenAlert { alert_id, version } in body.alerts {
            let (who, why) = (actor.who.clone(), body.why.clone());
            let order = Order { action: body.action, who, why, version, letter: None, terms: terms.clone() };
            let done = cases.act(&alert_id, &order, &desk, shared.clock.now());
            results.push(match done {
                Ok(alert) => {
                    let alert = Some(lens.alert(alert, &cases, calendar)?);
                    TransitionResult { alert_id, status: 200, detail: None, alert }
                }
                // What is missing is missing for all of them: the first is told of it, and none is changed.
                Err(CaseError::Refused(Refusal::Missing(why))) => {
                    return Err(Problem::unprocessable(why));
                }
                Err(error) => {
                    let alert = match cases.show(&alert_id, 0) {
                        Ok((alert, ..)) => Some(lens.alert(alert, &cases, calendar)?),
                        Err(_) => None,
                    };
                    let problem = Problem::from(error);
                    let (status, detail) = (problem.status().as_u16(), Some(problem.into_detail()));
                    TransitionResult { alert_id, status, detail, alert }
                }
            });
        }
        shared.wake_dispatch();
        let changed = results.iter().filter(|result| result.status == 200).count();
        Ok(Json(TransitionsResult { changed, failed: results.len() - changed, results }))
    })
    .await
}

fn check(alerts: &[SeenAlert]) -> Result<(), Problem> {
    if !(1..=ALERTS_MAX).contains(&alerts.len()) {
        let most = ALERTS_MAX;
        return Err(Problem::bad_request(say!("name 1 to {most} alerts in `alerts`", most)));
    }
    let mut named = BTreeSet::new();
    match alerts.iter().find(|alert| !named.insert(alert.alert_id.as_str())) {
        Some(twice) => {
            let id = quoted(&twice.alert_id);
            Err(Problem::bad_request(say!("alert {id} is named twice in `alerts`", id)))
        }
        None => Ok(()),
    }
}
