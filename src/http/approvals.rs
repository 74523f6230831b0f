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
    by::Requester,
    page,
    request::{JsonBody, Params, PathId, blocking, page_size},
};
use crate::{
    access::Actor,
    approval::{Kind, Matter, MatterState as Standing, Person, Verb},
    daemon::{LimitedView, Shared},
    event::{Instant, pattern},
    say,
    store::{Cases, Judgement, MatterFilter, MatterSort, MatterVisibility, no_matter as none},
    text::quoted,
};

/// Which matters to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct MatterQuery {
    /// Only those of these kinds (`budget,list`): `budget`, `override`, `rules`, `exception`, `list`
    kind: Option<String>,
    /// Only those that stand so now (`waiting,approved`): `waiting`, `approved`, `in_force`, `failed`, `refused`,
    /// `withdrawn`, `expired`
    state: Option<String>,
    /// Only those with all of these words, parted by blanks, in number, subject, reason, proposer or content; rows of lists
    /// are not looked into, because they may be masked
    q: Option<String>,
    /// Only those that whoever asks can approve now
    #[serde(default)]
    for_me: bool,
    /// What comes first: `newest` (default), `oldest`, `amount` for the largest, `expires` for the one that expires next
    sort: Option<String>,
    /// Whether to say how many there are on all pages
    #[serde(default)]
    totals: bool,
    /// Only those after this one in the list: the `next` of the page before
    before: Option<String>,
    /// At most so many
    limit: Option<u32>,
}

impl MatterQuery {
    fn filter(&self) -> Result<MatterFilter, String> {
        let kinds = words("kind", self.kind.as_deref(), Kind::parse, &Kind::ALL.map(Kind::word))?;
        let all = Standing::ALL.map(Standing::word);
        let mut states = words("state", self.state.as_deref(), Standing::parse, &all)?;
        if self.for_me {
            states.retain(|state| *state == Standing::Waiting);
            states.push(Standing::Waiting);
        }
        let sort = self.sort.as_deref().map(MatterSort::parse).transpose();
        let sort = sort.map_err(|why| format!("sort: {why}"))?.unwrap_or_default();
        let no_place = |()| {
            say!(
                "before: {text} is no place in this list",
                text = quoted(self.before.as_deref().unwrap_or_default())
            )
        };
        let after = self.before.as_deref().map(str::parse).transpose().map_err(no_place)?;
        Ok(MatterFilter { kinds, states, text: self.q.clone().unwrap_or_default(), sort, after })
    }
}

/// What words parted by commas mean.
fn words<T>(
    name: &str,
    given: Option<&str>,
    parse: impl Fn(&str) -> Option<T>,
    known: &[&str],
) -> Result<Vec<T>, String> {
    let wrong = |word: &str| {
        say!("{name}: {word} is none of {words}", name, word = quoted(word), words = known.join(", "))
    };
    pattern::words(given.unwrap_or_default()).map(|word| parse(word).ok_or_else(|| wrong(word))).collect()
}

/// A page of matters.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApprovalPage {
    /// In the order that is wanted.
    approvals: Vec<ApprovalView>,
    /// Give it as `before` for the next page; null on the last one.
    next: Option<String>,
    /// How many there are on all pages, if `totals` asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
}

/// What was proposed, the newest first
#[utoipa::path(get, path = "/api/v1/approvals", operation_id = "list_approvals", tag = "approvals", params(MatterQuery),
    responses(
        (status = 200, description = "A page", body = ApprovalPage),
        (status = 400, description = "A word that is none", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    Params(listed): Params<MatterQuery>,
) -> Result<Json<ApprovalPage>, Problem> {
    let limit = page_size(listed.limit)?;
    let filter = listed.filter().map_err(Problem::bad_request)?;
    blocking(move || {
        let seen = Seen::new(&shared, &by);
        let cases = Cases::open_read_only(&shared.state_dir)?;
        let is_shown = |matter: &Matter| {
            seen.within.has(matter) && (!listed.for_me || seen.can(matter).contains(&Verb::Approve))
        };
        let shown = (listed.for_me || !seen.within.is_all()).then_some(&is_shown as MatterVisibility<'_>);
        let read = |after, limit: u32| {
            let part = MatterFilter { after, ..filter.clone() };
            cases.matters(&part, (seen.now, limit as usize), shown)
        };
        let show = |(_, matter): (_, Matter)| seen.view(&matter);
        let (approvals, next) = page::read(limit, filter.after, read, |(place, _)| *place, show)?;
        let total = match listed.totals {
            true => Some(cases.matters_total(&filter, seen.now, shown)?),
            false => None,
        };
        Ok(Json(ApprovalPage { approvals, next: next.map(|place| place.to_string()), total }))
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
    by: Requester,
    PathId(id): PathId<i64>,
) -> Result<Json<ApprovalView>, Problem> {
    blocking(move || {
        let seen = Seen::new(&shared, &by);
        Ok(Json(seen.view(&seen.find(id)?)))
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
    by: Requester,
    PathId(id): PathId<i64>,
) -> Result<Json<Matter>, Problem> {
    blocking(move || Ok(Json(Seen::new(&shared, &by).find(id)?))).await
}

/// What an approver says to a matter.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ApprovalVerdict {
    /// 同意
    Approve,
    /// 不同意
    Refuse,
}

/// What an approver says to a matter, and what they have seen of it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApprovalJudgement {
    verdict: ApprovalVerdict,
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
    PathId(id): PathId<i64>,
    by: Requester,
    headers: HeaderMap,
    JsonBody(judgement): JsonBody<ApprovalJudgement>,
) -> Result<Json<ApprovalView>, Problem> {
    let actor = by.actor(&headers, judgement.who.as_deref())?;
    let verb = match judgement.verdict {
        ApprovalVerdict::Approve => Verb::Approve,
        ApprovalVerdict::Refuse => Verb::Refuse,
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
    PathId(id): PathId<i64>,
    by: Requester,
    headers: HeaderMap,
    JsonBody(withdrawal): JsonBody<ApprovalWithdrawal>,
) -> Result<Json<ApprovalView>, Problem> {
    let actor = by.actor(&headers, withdrawal.who.as_deref())?;
    act(shared, by, (id, Verb::Withdraw), actor, (withdrawal.why, None)).await
}

async fn act(
    shared: Arc<Shared>,
    by: Requester,
    (id, verb): (i64, Verb),
    actor: Actor,
    (why, seen): (Option<String>, Option<String>),
) -> Result<Json<ApprovalView>, Problem> {
    blocking(move || {
        let seen_by = Seen::new(&shared, &by);
        seen_by.find(id)?;
        let office = office(&shared)?;
        let person = by.person(&actor);
        let why = why.unwrap_or_default();
        if verb == Verb::Refuse && why.trim().is_empty() {
            return Err(Problem::unprocessable(say!("say why: whoever proposed it wants to know")));
        }
        let judgement = Judgement { verb, person: &person, why: why.trim(), seen: seen.as_deref() };
        let now = shared.clock.now();
        let matter = Cases::open(&shared.state_dir)?.by(actor).judge_matter(id, &judgement, now, &office)?;
        count(&shared, &matter, verb);
        shared.approved.notify_one();
        Ok(Json(seen_by.view(&matter)))
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
    by: &'s Requester,
    within: LimitedView<'s>,
    person: Person,
    now: Instant,
}

impl<'s> Seen<'s> {
    fn new(shared: &'s Shared, by: &'s Requester) -> Self {
        let (within, person) = (LimitedView::new(shared, by.limits()), by.person(&by.unnamed()));
        Self { shared, by, within, person, now: shared.clock.now() }
    }

    /// A matter, if it is there for whoever asks.
    fn find(&self, id: i64) -> Result<Matter, Problem> {
        let matter = Cases::open_read_only(&self.shared.state_dir)?.matter(id)?;
        if self.within.has(&matter) { Ok(matter) } else { Err(none(id).into()) }
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
