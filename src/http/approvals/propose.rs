//! Proposing: budget actions that are entered by hand, rows of lists, an override, an exception. Rules are proposed where they
//! stand, and are in the same list.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{ApprovalView, Seen, count, office};
use crate::{
    access::{Action, Actor},
    approval::{Kind, Matter, Verb, action, rows::ListAmendment},
    daemon::{LimitedView, Shared, check_actions},
    decision::{NewOverride, OverrideAct},
    event::{TimeDelta, duration, money::parse_amount},
    http::{
        Problem,
        by::Requester,
        request::{JsonBody, blocking},
    },
    say,
    store::{Cases, Decisions},
    text::quoted,
};

/// What is proposed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApprovalProposal {
    kind: Kind,
    /// Why, for whoever approves it.
    reason: String,
    /// Of `budget`: budget actions as events have them (docs/events.md), without `event_id` and `type`. One without
    /// `occurred_at` gets the day of the proposal.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    actions: Vec<Map<String, Value>>,
    /// Of `list`: which list.
    list: Option<String>,
    /// Of `list`: rows by their columns; one whose key is there takes its place.
    #[serde(default)]
    put: Vec<BTreeMap<String, String>>,
    /// Of `list`: keys of rows that are to go.
    #[serde(default)]
    remove: Vec<String>,
    /// Of `override`: the application that was blocked.
    application: Option<String>,
    /// Of `override`: the largest amount that passes; that of the application without it.
    amount: Option<String>,
    /// Of `override`: how long it is good, such as `4h`; `decide.overrides.lasts` without it.
    duration: Option<String>,
    /// Who proposes; the proxy in front tells it where `http.user_header` is set.
    who: Option<String>,
}

/// Proposes something that others have to approve
///
/// Rules and exceptions are proposed by `POST /api/v1/rule-sets` and `POST /api/v1/rules/{id}/exceptions`.
#[utoipa::path(post, path = "/api/v1/approvals", operation_id = "propose_approval", tag = "approvals", request_body = ApprovalProposal,
    responses(
        (status = 201, description = "The matter", body = ApprovalView),
        (status = 403, description = "This is for others to propose", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such list or application", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is proposed already, or there is nothing to override", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "It makes no sense; `detail` says why", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn propose(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    headers: HeaderMap,
    JsonBody(proposal): JsonBody<ApprovalProposal>,
) -> Result<(StatusCode, Json<ApprovalView>), Problem> {
    let actor = by.actor(&headers, proposal.who.as_deref())?;
    let action = match proposal.kind {
        Kind::Budget | Kind::Override => Action::ProposeBudget,
        Kind::List => Action::ProposeRules,
        Kind::Rules | Kind::Exception => {
            return Err(Problem::unprocessable(say!(
                "rules are proposed by POST /api/v1/rule-sets, and exceptions by POST /api/v1/rules/ID/exceptions"
            )));
        }
    };
    if !by.may(action) {
        let roles = action.roles_titled();
        return Err(Problem::new(StatusCode::FORBIDDEN, say!("this is for {roles} to propose", roles)));
    }
    blocking(move || {
        let matter = match proposal.kind {
            Kind::Override => overriding(&shared, &by, actor, proposal)?,
            Kind::List => of_list(&shared, &by, actor, proposal)?,
            _ => of_budget(&shared, &by, actor, proposal)?,
        };
        count(&shared, &matter, Verb::Propose);
        Ok((StatusCode::CREATED, Json(Seen::new(&shared, &by).view(&matter))))
    })
    .await
}

fn of_budget(
    shared: &Shared,
    by: &Requester,
    actor: Actor,
    proposal: ApprovalProposal,
) -> Result<Matter, Problem> {
    let now = shared.clock.now();
    let wish = action::wish(proposal.actions, &proposal.reason, (now, &shared.calendar));
    let wish = wish.map_err(Problem::unprocessable)?;
    let (person, office) = (by.person(&actor), office(shared)?);
    // Judged as the events that it would become, before anybody is asked to approve it.
    let trial = Matter::propose(0, wish.clone(), (&person, now), &crate::approval::Office::default());
    let trial = trial.map_err(Problem::unprocessable)?;
    within(&LimitedView::new(shared, by.limits()), &trial)?;
    check_actions(shared.questions.decoder(), &trial, (now, &shared.calendar))
        .map_err(Problem::unprocessable)?;
    Ok(Cases::open(&shared.state_dir)?.by(actor).propose_matter(wish, (&person, now), &office)?)
}

/// What is not there for them, people do not propose anything about.
fn within(within: &LimitedView<'_>, matter: &Matter) -> Result<(), Problem> {
    let outside = || say!("it is about a budget line that is not there, or not within your units");
    if within.has(matter) { Ok(()) } else { Err(Problem::new(StatusCode::NOT_FOUND, outside())) }
}

fn of_list(
    shared: &Shared,
    by: &Requester,
    actor: Actor,
    proposal: ApprovalProposal,
) -> Result<Matter, Problem> {
    if !LimitedView::new(shared, by.limits()).is_all() {
        let detail = say!("lists hold for everybody: who is limited to units proposes none of their rows");
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    let name = proposal.list.unwrap_or_default();
    let rules = shared.rules_in_force();
    let Some(list) = rules.lists.get(&name) else {
        let names: Vec<&str> = rules.lists.names().collect();
        let detail = say!(
            "there is no list {name}; there are {names}",
            name = quoted(&name),
            names = names.join(", ")
        );
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    };
    let rows = ListAmendment { put: proposal.put, remove: proposal.remove };
    let wish = rows.wish((&name, list), &proposal.reason).map_err(Problem::unprocessable)?;
    let (person, office) = (by.person(&actor), office(shared)?);
    let now = shared.clock.now();
    Ok(Cases::open(&shared.state_dir)?.by(actor).propose_matter(wish, (&person, now), &office)?)
}

fn overriding(
    shared: &Shared,
    by: &Requester,
    actor: Actor,
    proposal: ApprovalProposal,
) -> Result<Matter, Problem> {
    let application = proposal.application.unwrap_or_default();
    let wish = wanted(shared, &actor, false, (proposal.reason, proposal.amount, proposal.duration))?;
    let (person, office) = (by.person(&actor), office(shared)?);
    let mut cases = Cases::open(&shared.state_dir)?.by(actor);
    let within = LimitedView::new(shared, by.limits());
    if !within.is_all() {
        let decided = Decisions::open(&shared.state_dir)?.of(&application)?;
        if decided.and_then(|of| within.has_line(&of.decision.budget_line_id)) != Some(true) {
            let id = quoted(&application);
            return Err(Problem::new(StatusCode::NOT_FOUND, say!("nothing was decided of {id}", id)));
        }
    }
    let wanted = cases.grant_override(&application, &wish, (&person, &office))?;
    Ok(cases.matter_about(Kind::Override, &wanted.override_id.to_string())?)
}

/// An override that somebody wants or grants.
pub(in crate::http) fn wanted(
    shared: &Shared,
    actor: &Actor,
    is_granted: bool,
    (reason, amount, lasts): (String, Option<String>, Option<String>),
) -> Result<NewOverride, Problem> {
    let limits = shared.questions.config.overrides;
    let now = shared.clock.now();
    let long = |text: &str| duration(text).map_err(Problem::unprocessable);
    let lasts = lasts.as_deref().map(long).transpose()?;
    let lasts = lasts.map_or(limits.lasts, TimeDelta::of);
    if lasts > limits.lasts_max {
        return Err(Problem::unprocessable(say!(
            "an override is not good for longer than decide.overrides.lasts_max says"
        )));
    }
    let cents = |text: &str| {
        parse_amount(text).map_err(|why| {
            Problem::unprocessable(say!("{text} is no amount: {why}", text = quoted(text), why))
        })
    };
    Ok(NewOverride {
        by: OverrideAct { who: actor.who.clone(), at: now },
        is_granted,
        reason,
        cents: amount.as_deref().map(cents).transpose()?,
        expires_at: now.saturating_add(lasts),
    })
}
