//! 规则审批: sets of rules that somebody proposes and somebody else approves.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Problem,
    by::By,
    request::{Body, Id, blocking},
};
use crate::{
    access::Actor,
    daemon::{Shared, configured_rules},
    event::time::Calendar,
    store::{AccountError, Proposed, RuleSets},
};

/// A set of rules that was proposed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RuleSet)]
pub struct RuleSetView {
    /// BLAKE3 of its manifest, in hexadecimal.
    digest: String,
    /// `proposed` or `approved`.
    state: &'static str,
    /// Why.
    reason: String,
    /// How many files and settings it has.
    parts: usize,
    #[schema(format = DateTime)]
    proposed_at: String,
    proposed_by: String,
    #[schema(format = DateTime)]
    approved_at: Option<String>,
    approved_by: Option<String>,
}

impl RuleSetView {
    /// A set as it is answered.
    #[must_use]
    pub fn new(set: &Proposed, calendar: &Calendar) -> Self {
        let (at, who) = set.approved.clone().unzip();
        Self {
            digest: set.digest.clone(),
            state: if at.is_some() { "approved" } else { "proposed" },
            reason: set.reason.clone(),
            parts: set.manifest.len(),
            proposed_at: calendar.format(set.proposed_at),
            proposed_by: set.proposed_by.clone(),
            approved_at: at.map(|at| calendar.format(at)),
            approved_by: who,
        }
    }
}

/// All sets of rules.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleSetList {
    /// The digest of the rules in force, whether they were proposed or not.
    in_force: String,
    /// Those that were proposed, the newest first.
    sets: Vec<RuleSetView>,
}

/// The sets of rules that were proposed, and which one is in force
#[utoipa::path(get, path = "/api/v1/rule-sets", operation_id = "list_rule_sets", tag = "rules",
    responses((status = 200, description = "All of them, the newest first", body = RuleSetList)))]
pub(crate) async fn list(State(shared): State<Arc<Shared>>) -> Result<Json<RuleSetList>, Problem> {
    blocking(move || {
        let in_force = shared.rules_in_force().manifest.digest();
        let sets = RuleSets::open_read_only(&shared.state_dir)?.all()?;
        let sets = sets.iter().map(|set| RuleSetView::new(set, &shared.calendar)).collect();
        Ok(Json(RuleSetList { in_force, sets }))
    })
    .await
}

/// What is proposed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Proposal {
    /// Why, for whoever approves it.
    reason: String,
}

/// Proposes the rules that the configuration on the daemon's machine names now
#[utoipa::path(post, path = "/api/v1/rule-sets", operation_id = "propose_rules", tag = "rules", request_body = Proposal,
    responses(
        (status = 201, description = "The set", body = RuleSetView),
        (status = 409, description = "It is proposed already", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The rules have mistakes", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn propose(
    State(shared): State<Arc<Shared>>,
    by: By,
    headers: HeaderMap,
    Body(proposal): Body<Proposal>,
) -> Result<(StatusCode, Json<RuleSetView>), Problem> {
    let actor = by.actor(&headers, None)?;
    blocking(move || {
        let rules = {
            // Rules are compiled for one at a time.
            let _alone = shared.reloads.alone();
            configured_rules(&shared).map_err(|problems| {
                let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
                Problem::unprocessable(told.join("\n"))
            })?
        };
        let now = shared.clock.now();
        let mut sets = RuleSets::open(&shared.state_dir)?;
        let set = sets.propose(&rules.manifest, &proposal.reason, &actor, now)?;
        Ok((StatusCode::CREATED, Json(RuleSetView::new(&set, &shared.calendar))))
    })
    .await
}

/// Approves rules that somebody else proposed
#[utoipa::path(post, path = "/api/v1/rule-sets/{id}/approval", operation_id = "approve_rules", tag = "rules",
    params(("id" = String, Path, description = "The set's digest, or its first eight digits or more")),
    responses(
        (status = 200, description = "The set as it is then", body = RuleSetView),
        (status = 409, description = "There is none, it is approved already, or one's own", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn approve(
    State(shared): State<Arc<Shared>>,
    Id(id): Id<String>,
    by: By,
    headers: HeaderMap,
) -> Result<Json<RuleSetView>, Problem> {
    judge(shared, by.actor(&headers, None)?, move |sets, by, now| sets.approve(&id, by, now)).await
}

/// Takes an approval back; what is in force stays until the next start or reload
#[utoipa::path(delete, path = "/api/v1/rule-sets/{id}/approval", operation_id = "withdraw_rules", tag = "rules",
    params(("id" = String, Path, description = "The set's digest, or its first eight digits or more")),
    responses(
        (status = 200, description = "The set as it is then", body = RuleSetView),
        (status = 409, description = "There is none, or it is not approved", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn withdraw(
    State(shared): State<Arc<Shared>>,
    Id(id): Id<String>,
    by: By,
    headers: HeaderMap,
) -> Result<Json<RuleSetView>, Problem> {
    judge(shared, by.actor(&headers, None)?, move |sets, by, now| sets.withdraw(&id, by, now)).await
}

async fn judge(
    shared: Arc<Shared>,
    by: Actor,
    act: impl FnOnce(&mut RuleSets, &Actor, i64) -> Result<Proposed, AccountError> + Send + 'static,
) -> Result<Json<RuleSetView>, Problem> {
    blocking(move || {
        let set = act(&mut RuleSets::open(&shared.state_dir)?, &by, shared.clock.now())?;
        Ok(Json(RuleSetView::new(&set, &shared.calendar)))
    })
    .await
}
