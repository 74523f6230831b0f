//! 例外: a unit that a rule is to let be until a day. One person proposes it, another approves it, and it comes into force like
//! other constants of the rule lab.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{
    Problem,
    approvals::office,
    backtests::not_begun,
    by::Requester,
    request::{JsonBody, PathId, blocking},
    rule_sets::RuleSetView,
};
use crate::{
    approval::Kind,
    daemon::{Shared, excepted_rules},
    rule::agreed::Agreed,
    store::RuleSets,
};

/// A unit that a rule is to let be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExceptionProposal {
    /// The unit's code.
    unit: String,
    /// The day from whose beginning it no longer holds, by the time of events.
    #[schema(format = Date)]
    until: String,
    /// Why, for whoever approves it; it stands with the exception.
    reason: String,
    /// Who proposes; the proxy in front tells it where `http.user_header` is set.
    who: Option<String>,
}

/// Proposes that a rule lets a unit be until a day
///
/// The proposal is a set of rules like others: somebody else approves it, and then it is put into force without a restart. An
/// exception of the same unit is replaced.
#[utoipa::path(post, path = "/api/v1/rules/{id}/exceptions", operation_id = "propose_exception", tag = "rules",
    params(("id" = String, Path, description = "The rule's id")), request_body = ExceptionProposal,
    responses(
        (status = 201, description = "The set that was proposed", body = RuleSetView),
        (status = 404, description = "There is no such rule", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is proposed already", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The rule knows no units, or unit, day or reason make no sense", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn propose(
    State(shared): State<Arc<Shared>>,
    PathId(id): PathId<String>,
    by: Requester,
    headers: HeaderMap,
    JsonBody(proposal): JsonBody<ExceptionProposal>,
) -> Result<(StatusCode, Json<RuleSetView>), Problem> {
    let actor = by.actor(&headers, proposal.who.as_deref())?;
    blocking(move || {
        let now = shared.clock.now();
        let ExceptionProposal { unit, until, reason, .. } = proposal;
        let exception = Agreed { unit, until, reason: reason.trim().to_owned() };
        exception.check(&shared.calendar, now).map_err(Problem::unprocessable)?;
        let (rules, params) = excepted_rules(&shared, &id, &exception).map_err(not_begun)?;
        let mut sets = RuleSets::open(&shared.state_dir)?.judged_by(office(&shared)?);
        let what = json!({ "rule": id, "unit": exception.unit, "until": exception.until });
        let kind = (Kind::Exception, what);
        let set = sets.propose_as(kind, (&rules.manifest, Some(&params)), &reason, &actor, now)?;
        Ok((StatusCode::CREATED, Json(RuleSetView::new(&set, &shared.calendar))))
    })
    .await
}
