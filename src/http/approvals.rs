//! 审批: what was proposed, what people did with it, and what they do now. One list for all kinds.

mod propose;
mod view;

use std::sync::Arc;

use axum::{Json, extract::State, http::HeaderMap};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

pub(super) use propose::wanted;
pub(crate) use propose::{__path_propose, propose};
pub(crate) use view::ApprovalView;

use super::{
    Problem,
    by::By,
    page,
    request::{Body, Id, Params, blocking, page_size},
};
use crate::{
    access::Actor,
    approval::{Kind, Matter, Person, State as Standing, Verb},
    daemon::Shared,
    say,
    store::{Cases, Judgement, MatterFilter},
};

/// Which matters to list, the newest first.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Listed {
    /// Only those of this kind
    kind: Option<Kind>,
    /// Only those that stand so; `expired` are among those that waited or were approved
    state: Option<Standing>,
    /// Only those after this one in the list: the `next` of the page before
    before: Option<i64>,
    /// At most so many
    limit: Option<u32>,
}

/// A page of matters.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApprovalPage {
    /// The newest first.
    approvals: Vec<ApprovalView>,
    /// Give it as `before` for the next page; null on the last one.
    next: Option<i64>,
}

/// What was proposed, the newest first
#[utoipa::path(get, path = "/api/v1/approvals", operation_id = "list_approvals", tag = "approvals", params(Listed),
    responses((status = 200, description = "A page", body = ApprovalPage)))]
pub(crate) async fn list(
    State(shared): State<Arc<Shared>>,
    by: By,
    Params(listed): Params<Listed>,
) -> Result<Json<ApprovalPage>, Problem> {
    let limit = page_size(listed.limit)?;
    blocking(move || {
        let seen = Seen::new(&shared, &by);
        let cases = Cases::open_read_only(&shared.state_dir)?;
        let read = |before, limit| {
            cases.matters(&MatterFilter { kind: listed.kind, state: listed.state, before, limit })
        };
        let show = |matter: Matter| seen.view(&matter);
        let (approvals, next) = page::read(limit, listed.before, read, |matter| matter.id, show)?;
        Ok(Json(ApprovalPage { approvals, next }))
    })
    .await
}

/// One matter with what was done with it
#[utoipa::path(get, path = "/api/v1/approvals/{id}", operation_id = "show_approval", tag = "approvals",
    params(("id" = i64, Path, description = "Its number")),
    responses(
        (status = 200, description = "The matter", body = ApprovalView),
        (status = 404, description = "There is no such matter", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    by: By,
    Id(id): Id<i64>,
) -> Result<Json<ApprovalView>, Problem> {
    blocking(move || {
        let matter = Cases::open_read_only(&shared.state_dir)?.matter(id)?;
        Ok(Json(Seen::new(&shared, &by).view(&matter)))
    })
    .await
}

/// One matter with its signatures
///
/// As `fiscwatch approvals verify` checks it, on any machine. Nothing of it is masked, or the signatures would not fit.
#[utoipa::path(get, path = "/api/v1/approvals/{id}/signed", operation_id = "export_approval", tag = "approvals",
    params(("id" = i64, Path, description = "Its number")),
    responses(
        (status = 200, description = "The matter", body = Object),
        (status = 404, description = "There is no such matter", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn signed(
    State(shared): State<Arc<Shared>>,
    Id(id): Id<i64>,
) -> Result<Json<Matter>, Problem> {
    blocking(move || Ok(Json(Cases::open_read_only(&shared.state_dir)?.matter(id)?))).await
}

/// What an approver says to a matter.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ApprovalVerdict)]
pub(crate) enum Verdict {
    /// 同意
    Approve,
    /// 不同意
    Refuse,
}

/// What an approver says to a matter, and what they have seen of it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApprovalJudgement {
    verdict: Verdict,
    /// The `digest` of the matter as they have seen it: what has become another one is not approved.
    digest: String,
    /// Why; needed to refuse.
    why: Option<String>,
    /// Who judges; the proxy in front tells it where `http.user_header` is set.
    who: Option<String>,
}

/// Approves or refuses what somebody else proposed
///
/// It is approved when a person for each role of `needed` has approved it. Budget actions and rows of lists then come into
/// force by themselves.
#[utoipa::path(post, path = "/api/v1/approvals/{id}/judgement", operation_id = "judge_approval", tag = "approvals",
    params(("id" = i64, Path, description = "Its number")), request_body = ApprovalJudgement,
    responses(
        (status = 200, description = "The matter as it is then", body = ApprovalView),
        (status = 404, description = "There is no such matter", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It waits for nobody, for somebody of another role, or is one's own; or it is not what was seen", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Who is missing, or the reason of a refusal", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn judge(
    State(shared): State<Arc<Shared>>,
    Id(id): Id<i64>,
    by: By,
    headers: HeaderMap,
    Body(judgement): Body<ApprovalJudgement>,
) -> Result<Json<ApprovalView>, Problem> {
    let actor = by.actor(&headers, judgement.who.as_deref())?;
    let verb = match judgement.verdict {
        Verdict::Approve => Verb::Approve,
        Verdict::Refuse => Verb::Refuse,
    };
    act(shared, by, (id, verb), actor, (judgement.why, Some(judgement.digest))).await
}

/// Who takes a proposal back, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApprovalWithdrawal {
    /// Why.
    why: Option<String>,
    /// Who; the proxy in front tells it where `http.user_header` is set.
    who: Option<String>,
}

/// Takes a proposal back before it is in force
#[utoipa::path(post, path = "/api/v1/approvals/{id}/withdrawal", operation_id = "withdraw_approval", tag = "approvals",
    params(("id" = i64, Path, description = "Its number")), request_body = ApprovalWithdrawal,
    responses(
        (status = 200, description = "The matter as it is then", body = ApprovalView),
        (status = 404, description = "There is no such matter", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is somebody else's, or it is too late", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Who is missing", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn withdraw(
    State(shared): State<Arc<Shared>>,
    Id(id): Id<i64>,
    by: By,
    headers: HeaderMap,
    Body(withdrawal): Body<ApprovalWithdrawal>,
) -> Result<Json<ApprovalView>, Problem> {
    let actor = by.actor(&headers, withdrawal.who.as_deref())?;
    act(shared, by, (id, Verb::Withdraw), actor, (withdrawal.why, None)).await
}

async fn act(
    shared: Arc<Shared>,
    by: By,
    (id, verb): (i64, Verb),
    actor: Actor,
    (why, seen): (Option<String>, Option<String>),
) -> Result<Json<ApprovalView>, Problem> {
    blocking(move || {
        let office = office(&shared)?;
        let person = by.person(&actor);
        let why = why.unwrap_or_default();
        if verb == Verb::Refuse && why.trim().is_empty() {
            return Err(Problem::unprocessable(say!("say why: whoever proposed it wants to know")));
        }
        let judgement = Judgement { verb, person: &person, why: why.trim(), seen: seen.as_deref() };
        let now = shared.clock.now();
        let matter = Cases::open(&shared.state_dir)?.by(actor).judge_matter(
            id,
            &judgement,
            now.as_micros(),
            &office,
        )?;
        count(&shared, &matter, verb);
        shared.approved.notify_one();
        Ok(Json(Seen::new(&shared, &by).view(&matter)))
    })
    .await
}

/// Who has to approve what.
pub(super) fn office(shared: &Shared) -> Result<crate::approval::Office, Problem> {
    shared
        .office()
        .map_err(|error| Problem::new(axum::http::StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")))
}

fn count(shared: &Shared, matter: &Matter, verb: Verb) {
    shared.metrics.approvals.with_label_values(&[matter.kind.word(), verb.word()]).inc();
}

/// Whoever looks at matters.
struct Seen<'s> {
    shared: &'s Shared,
    by: &'s By,
    person: Person,
    now: i64,
}

impl<'s> Seen<'s> {
    fn new(shared: &'s Shared, by: &'s By) -> Self {
        Self { shared, by, person: by.person(&by.unnamed()), now: shared.clock.now().as_micros() }
    }

    fn view(&self, matter: &Matter) -> ApprovalView {
        let rules = self.shared.rules_in_force();
        let in_force = matches!(matter.kind, Kind::Rules | Kind::Exception)
            && matter.state == Standing::Approved
            && rules.manifest.digest() == matter.subject;
        let mut view =
            ApprovalView::new(matter, (&self.shared.calendar, self.now), self.by.lens(), &rules.lists);
        if in_force {
            view.is_in_force();
        }
        view.can = self.can(matter);
        view
    }

    /// What whoever looks at it may do with it now.
    fn can(&self, matter: &Matter) -> Vec<Verb> {
        let may = |action| self.by.may(action);
        let (office, by) = (crate::approval::Office::default(), (&self.person, self.now, "?"));
        let tried = |verb| match verb {
            Verb::Approve => {
                may(crate::access::Action::JudgeMatters) && matter.clone().approve(by, None, &office).is_ok()
            }
            Verb::Refuse => {
                may(crate::access::Action::JudgeMatters) && matter.clone().refuse(by, None, &office).is_ok()
            }
            Verb::Withdraw => {
                may(crate::access::Action::WithdrawMatters) && matter.clone().withdraw(by, &office).is_ok()
            }
            Verb::Propose => false,
        };
        [Verb::Approve, Verb::Refuse, Verb::Withdraw].into_iter().filter(|verb| tried(*verb)).collect()
    }
}
