//! 规则审批: sets of rules that somebody proposes and somebody else approves.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{
    Problem,
    approvals::office,
    backtests::not_begun,
    by::Requester,
    problem::not_reloaded,
    request::{JsonBody, Params, PathId, Who, blocking},
};
use crate::{
    access::Actor,
    daemon::{NotInForce, Shared, changed_rules, put_into_force},
    event::{Instant, time::Calendar},
    rule::{RuleSet, manifest::PartDifference},
    store::{AccountError, LabParams, ProposedSet, RuleSets},
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
    /// Constants that it changes beside the files, if it comes from the rule lab: by rule, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    params: Option<LabParams>,
}

impl RuleSetView {
    /// A set as it is answered.
    #[must_use]
    pub fn new(set: &ProposedSet, calendar: &Calendar) -> Self {
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
            params: set.params.clone(),
        }
    }
}

/// What a set would change about the rules in force.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RuleSetChange)]
pub(crate) struct PartChange {
    /// A file, or a setting such as `rules.lab.large-cash.params.limit`.
    part: String,
    /// `added`, `changed` or `removed`.
    change: &'static str,
    /// What a setting is now; null for files.
    before: Option<String>,
    /// What it would be.
    after: Option<String>,
}

/// Parts that are told one by one.
const PARTS_MAX: usize = 200;

/// A set, and what it would change.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleSetEntry {
    set: RuleSetView,
    /// Whether it is what is in force.
    is_in_force: bool,
    /// What is different from the rules in force; at most 200 parts.
    changes: Vec<PartChange>,
}

impl RuleSetEntry {
    fn new(set: &ProposedSet, rules: &RuleSet, calendar: &Calendar) -> Self {
        let (now, then) = (&rules.manifest, &set.manifest);
        let parts = then.since(now).into_iter().take(PARTS_MAX);
        let changes = parts.map(|(part, difference)| PartChange {
            part: part.to_owned(),
            change: match difference {
                PartDifference::Added => "added",
                PartDifference::Changed => "changed",
                PartDifference::Removed => "removed",
            },
            before: now.setting(part).map(str::to_owned).or_else(|| present(rules, part)),
            after: then.setting(part).map(str::to_owned),
        });
        Self {
            changes: changes.collect(),
            is_in_force: set.digest == now.digest(),
            set: RuleSetView::new(set, calendar),
        }
    }
}

/// What a constant that only the lab would change is in its rule.
fn present(rules: &RuleSet, part: &str) -> Option<String> {
    let (rule, name) = part.strip_prefix("rules.lab.")?.split_once(".params.")?;
    let rule = rules.rules.iter().find(|compiled| compiled.rule.id == rule)?;
    let (_, value) = rule.rule.params.iter().find(|(known, _)| known == name)?;
    Some(value.to_json().to_string())
}

/// All sets of rules.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleSetList {
    /// The digest of the rules in force, whether they were proposed or not.
    in_force: String,
    /// Those that were proposed, the newest first.
    sets: Vec<RuleSetEntry>,
}

/// The sets of rules that were proposed, and which one is in force
#[utoipa::path(get, path = "/api/v1/rule-sets", operation_id = "list_rule_sets", tag = "rules",
    responses((status = 200, description = "All of them, the newest first", body = RuleSetList)))]
pub(crate) async fn list(State(shared): State<Arc<Shared>>) -> Result<Json<RuleSetList>, Problem> {
    blocking(move || {
        let rules = shared.rules_in_force();
        let in_force = rules.manifest.digest();
        let sets = RuleSets::open_read_only(&shared.state_dir)?.all()?;
        let sets = sets.iter().map(|set| RuleSetEntry::new(set, &rules, &shared.calendar)).collect();
        Ok(Json(RuleSetList { in_force, sets }))
    })
    .await
}

/// What is proposed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Proposal)]
pub(crate) struct RuleSetProposal {
    /// Why, for whoever approves it.
    reason: String,
    /// Constants that are to be others, by rule and name, as a backtest takes them; without any, the files are proposed as
    /// they are.
    #[serde(default)]
    #[schema(value_type = Object)]
    params: BTreeMap<String, Map<String, Value>>,
    /// Who proposes; the proxy in front tells it where `http.user_header` is set.
    who: Option<String>,
}

/// Proposes the rules that the configuration on the daemon's machine names now, with other constants or without
#[utoipa::path(post, path = "/api/v1/rule-sets", operation_id = "propose_rules", tag = "rules", request_body = RuleSetProposal,
    responses(
        (status = 201, description = "The set", body = RuleSetView),
        (status = 409, description = "It is proposed already", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The rules have mistakes", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn propose(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    headers: HeaderMap,
    JsonBody(proposal): JsonBody<RuleSetProposal>,
) -> Result<(StatusCode, Json<RuleSetView>), Problem> {
    let actor = by.actor(&headers, proposal.who.as_deref())?;
    blocking(move || {
        let is_of_the_lab = !proposal.params.is_empty();
        let (rules, params) = changed_rules(&shared, &proposal.params).map_err(not_begun)?;
        let now = shared.clock.now();
        let mut sets = RuleSets::open(&shared.state_dir)?.judged_by(office(&shared)?);
        let params = is_of_the_lab.then_some(&params);
        let set = sets.propose((&rules.manifest, params), &proposal.reason, &actor, now)?;
        Ok((StatusCode::CREATED, Json(RuleSetView::new(&set, &shared.calendar))))
    })
    .await
}

/// Approves rules that somebody else proposed
#[utoipa::path(post, path = "/api/v1/rule-sets/{id}/approval", operation_id = "approve_rules", tag = "rules",
    params(("id" = String, Path, description = "The set's digest, or its first eight digits or more"), Who),
    responses(
        (status = 200, description = "The set as it is then", body = RuleSetView),
        (status = 409, description = "There is none, it is approved already, or one's own", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn approve(
    State(shared): State<Arc<Shared>>,
    PathId(id): PathId<String>,
    by: Requester,
    headers: HeaderMap,
    Params(Who { who }): Params<Who>,
) -> Result<Json<RuleSetView>, Problem> {
    let actor = by.actor(&headers, who.as_deref())?;
    let person = by.person(&actor);
    judge(shared, actor, move |sets, by, now| sets.approve_as(&id, by, &person, now)).await
}

/// Takes an approval back; what is in force stays until the next start or reload
#[utoipa::path(delete, path = "/api/v1/rule-sets/{id}/approval", operation_id = "withdraw_rules", tag = "rules",
    params(("id" = String, Path, description = "The set's digest, or its first eight digits or more"), Who),
    responses(
        (status = 200, description = "The set as it is then", body = RuleSetView),
        (status = 409, description = "There is none, or it is not approved", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn withdraw(
    State(shared): State<Arc<Shared>>,
    PathId(id): PathId<String>,
    by: Requester,
    headers: HeaderMap,
    Params(Who { who }): Params<Who>,
) -> Result<Json<RuleSetView>, Problem> {
    let actor = by.actor(&headers, who.as_deref())?;
    let person = by.person(&actor);
    judge(shared, actor, move |sets, by, now| sets.withdraw_as(&id, by, &person, now)).await
}

/// What came into force.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RulesInForce {
    /// The digest of the rules in force now.
    in_force: String,
    /// How many rules there are.
    rules: usize,
}

/// Puts rules into force that are approved, without a restart
///
/// From the next events on. The files must still be those that were proposed. To go back, take the approval back and reload.
#[utoipa::path(post, path = "/api/v1/rule-sets/{id}/force", operation_id = "force_rules", tag = "rules",
    params(("id" = String, Path, description = "The set's digest, or its first eight digits or more"), Who),
    responses(
        (status = 200, description = "They are in force", body = RulesInForce),
        (status = 409, description = "There is none, it is not approved, or the files are others now", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The rules have mistakes", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Another reload is under way", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn force(
    State(shared): State<Arc<Shared>>,
    PathId(id): PathId<String>,
    by: Requester,
    headers: HeaderMap,
    Params(Who { who }): Params<Who>,
) -> Result<Json<RulesInForce>, Response> {
    let actor = by.actor(&headers, who.as_deref()).map_err(IntoResponse::into_response)?;
    // It waits for a reload, which waits for nobody who reads.
    let done = tokio::task::spawn_blocking(move || put_into_force(&shared, &id, &actor)).await;
    match done {
        Ok(Ok((set, rules))) => Ok(Json(RulesInForce { in_force: set.digest, rules })),
        Ok(Err(NotInForce::Refused(why))) => Err(Problem::new(StatusCode::CONFLICT, why).into_response()),
        Ok(Err(NotInForce::Account(error))) => Err(Problem::from(error).into_response()),
        Ok(Err(NotInForce::Reload(why))) => Err(not_reloaded(why)),
        Err(e) => Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()).into_response()),
    }
}

async fn judge(
    shared: Arc<Shared>,
    by: Actor,
    act: impl FnOnce(&mut RuleSets, &Actor, Instant) -> Result<ProposedSet, AccountError> + Send + 'static,
) -> Result<Json<RuleSetView>, Problem> {
    blocking(move || {
        let mut sets = RuleSets::open(&shared.state_dir)?.judged_by(office(&shared)?);
        let set = act(&mut sets, &by, shared.clock.now())?;
        Ok(Json(RuleSetView::new(&set, &shared.calendar)))
    })
    .await
}
