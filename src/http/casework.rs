//! Casework: what a second officer decides, shifts that are handed over, and alerts that are the same matter.

use std::sync::Arc;

use axum::{Json, extract::State, http::HeaderMap, response::Response};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Problem,
    alerts::{one_version, tagged},
    by::Requester,
    request::{IfMatch, JsonBody, PathId, blocking},
    view::AlertView,
};
use crate::{
    alert::{Action, CaseOutcome, casework::Terms, desk::Order, worth::Worth},
    daemon::Shared,
    event::{Cents, Instant, money::parse_amount},
    rule::RuleSet,
    say,
    store::{Cases, HandOver, Kinship, StoreError},
    text::quoted,
};

/// The most related alerts of each kind.
const RELATED_MAX: u32 = 20;

/// What a request says beside what, who and why.
///
/// # Errors
/// If a day or an amount cannot be read, or the action is a second officer's.
pub(super) fn terms(
    action: Action,
    (to, into): (Option<String>, Option<String>),
    due: Option<&str>,
    (outcome, amount): (Option<CaseOutcome>, Option<&str>),
) -> Result<Terms, Problem> {
    if matches!(action, Action::Approve | Action::Return) {
        return Err(Problem::unprocessable(say!(
            "a second officer decides by POST /api/v1/alerts/{id}/review",
            id = "{id}"
        )));
    }
    Ok(Terms {
        to,
        into,
        outcome,
        due: due.map(day).transpose().map_err(Problem::bad_request)?,
        amount: amount.map(cents).transpose().map_err(Problem::bad_request)?,
    })
}

/// A day.
///
/// # Errors
/// If it is none.
pub(crate) fn day(text: &str) -> Result<Date, String> {
    let wrong = |_| say!("{text} is no day; write it such as 2026-03-01", text = quoted(text));
    text.trim().parse().map_err(wrong)
}

/// Cents of an amount in yuan.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn cents(text: &str) -> Result<Cents, String> {
    let digits = text.replace(',', "");
    let wrong = |error| say!("{text} is no amount: {error}", text = quoted(text), error);
    let cents = parse_amount(digits.trim()).map_err(|error| wrong(error.to_string()))?;
    i64::try_from(cents.as_i128()).map(|_| cents).map_err(|error| wrong(error.to_string()))
}

/// What a second officer decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReviewVerdict {
    /// It is done as it was proposed.
    Approve,
    /// It is not, and whoever proposed it goes on.
    Return,
}

/// A second officer's decision.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewReview {
    decision: ReviewVerdict,
    /// Who decides; the proxy in front tells it where `http.user_header` is set. Not whoever proposed it.
    who: Option<String>,
    /// Why; `return` needs it.
    why: Option<String>,
    /// The version that was seen; the same as `If-Match`. Without either, whatever there is changes.
    version: Option<i64>,
}

/// Decides what somebody else proposed to do with an alert
#[utoipa::path(post, path = "/api/v1/alerts/{id}/review", operation_id = "review_alert", tag = "alerts",
    params(
        ("id" = String, Path, description = "The alert's id"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the alert as it was seen")),
    request_body = NewReview,
    responses(
        (status = 200, description = "The alert as it is now", body = AlertView,
            headers(("ETag" = String, description = "Its version, for `If-Match`"))),
        (status = 404, description = "There is no such alert", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Nothing waits, or whoever decides proposed it", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "Somebody else changed it meanwhile", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Who or why is missing", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn review(
    State(shared): State<Arc<Shared>>,
    PathId(id): PathId<String>,
    IfMatch(seen): IfMatch,
    by: Requester,
    headers: HeaderMap,
    JsonBody(body): JsonBody<NewReview>,
) -> Result<Response, Problem> {
    let actor = by.actor(&headers, body.who.as_deref())?;
    let action = match body.decision {
        ReviewVerdict::Approve => Action::Approve,
        ReviewVerdict::Return => Action::Return,
    };
    let (who, version) = (actor.who.clone(), one_version(seen, body.version)?);
    let order = Order { action, who, why: body.why, version, letter: None, terms: Terms::default() };
    let (limits, lens) = (by.limits(), by.lens());
    blocking(move || {
        let (desk, now) = (shared.desk_with_people(), shared.clock.now());
        let mut cases = Cases::open(&shared.state_dir)?.by(actor).within(&limits);
        let alert = cases.act(&id, &order, &desk, now)?;
        shared.wake_dispatch();
        Ok(tagged(alert.version, lens.alert(alert, &cases, &shared.calendar)?))
    })
    .await
}

/// A shift that ends.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewHandOver {
    /// Whose alerts are handed over.
    from: String,
    /// To whom; `-` puts them back.
    to: String,
    /// Who does it; the proxy in front tells it where `http.user_header` is set.
    who: Option<String>,
    /// What the next shift has to know.
    why: Option<String>,
}

/// What was handed over.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HandedOver {
    /// How many alerts.
    alerts: usize,
}

/// Hands all alerts of an officer that are not over to another
///
/// All of them, or none: 1,000 at most.
#[utoipa::path(post, path = "/api/v1/alerts/hand-over", operation_id = "hand_over_alerts", tag = "alerts",
    request_body = NewHandOver,
    responses(
        (status = 200, description = "What was handed over", body = HandedOver),
        (status = 409, description = "There is nothing to hand over, or too much", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Who is missing, or nobody", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn hand_over(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    headers: HeaderMap,
    JsonBody(body): JsonBody<NewHandOver>,
) -> Result<Json<HandedOver>, Problem> {
    let actor = by.actor(&headers, body.who.as_deref())?;
    let shift = HandOver { from: body.from, to: body.to, who: actor.who.clone(), why: body.why };
    blocking(move || {
        let (desk, now) = (shared.desk_with_people(), shared.clock.now());
        let alerts = Cases::open(&shared.state_dir)?.by(actor).hand_over(&shift, &desk, now)?;
        shared.wake_dispatch();
        Ok(Json(HandedOver { alerts }))
    })
    .await
}

/// Why an alert stands where it does by `worth`: the product of the first four and of `precision` to the third, over a million.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Worth)]
pub(crate) struct WorthView {
    /// The product over a million, without its fraction.
    worth: i64,
    /// 4 for critical, 3 for high, 2 for medium, 1 for low.
    severity: i64,
    /// 10, from 100,000 yuan on 11, from 10,000,000 on 12.
    amount: i64,
    /// 10 for one finding, 11 for several, 12 from ten on.
    repeated: i64,
    /// 11 if another live rule found something about the event of its latest finding, else 10.
    agreeing: i64,
    /// These other rules.
    other_rules: Vec<String>,
    /// How often the rule is right, or the most right of the others, in thousandths. Of all alerts a = 1000 (confirmed + 4) /
    /// ((confirmed + 4) + k (dismissed + 4)), k = 3 for a rule that reminds, 7 for one that records, else 1; of the rule's
    /// r = (1000 confirmed + 2 a) / (confirmed + dismissed + 2); in the alert's unit (1000 confirmed + 4 r) / (confirmed + dismissed + 4).
    precision: i64,
    /// The rule's alerts that officers confirmed.
    confirmed: u64,
    /// Those that they dismissed.
    dismissed: u64,
    /// Of the alerts of all rules, those that officers confirmed.
    all_confirmed: u64,
    /// Those that they dismissed.
    all_dismissed: u64,
    /// The same of the alert's unit alone; null if it has none.
    of_unit: Option<UnitVerdicts>,
}

/// What officers said of a rule's alerts of one unit.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UnitVerdicts {
    /// The unit's code.
    unit: String,
    /// How many they confirmed.
    confirmed: u64,
    /// How many they dismissed.
    dismissed: u64,
    /// Whether they dismissed 12 or more and confirmed none: an exception may be worth proposing.
    suggests_exception: bool,
    /// The day until which the unit is an exception of the rule, if it is.
    #[schema(format = Date)]
    excepted_until: Option<String>,
}

/// Why an alert stands where it does when alerts are sorted by what they are worth
#[utoipa::path(get, path = "/api/v1/alerts/{id}/worth", operation_id = "alert_worth", tag = "alerts",
    params(("id" = String, Path, description = "The alert's id")),
    responses(
        (status = 200, description = "The numbers", body = WorthView),
        (status = 404, description = "There is no such alert", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn worth(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    PathId(id): PathId<String>,
) -> Result<Json<WorthView>, Problem> {
    let limits = by.limits();
    blocking(move || {
        let cases = Cases::open_read_only(&shared.state_dir)?.within(&limits);
        let (alert, ..) = cases.show(&id, 0)?;
        let verdicts = cases.verdicts()?;
        let said = verdicts.get(&alert.rule_id).copied().unwrap_or_default();
        let (confirmed, dismissed) = (said.confirmed, said.dismissed);
        let (worth, other_rules) = cases.worth(&alert)?;
        let Worth { severity, amount, repeated, agreeing, precision } = worth;
        let rules = shared.rules_in_force();
        let of_unit = match alert.labels.first("unit_code") {
            Some(unit) => Some(of_unit(&cases, &rules, (&alert.rule_id, unit), shared.clock.now())?),
            None => None,
        };
        Ok(Json(WorthView {
            worth: worth.total(),
            severity,
            amount,
            repeated,
            agreeing,
            other_rules,
            precision,
            confirmed,
            dismissed,
            all_confirmed: verdicts.values().map(|said| said.confirmed).sum(),
            all_dismissed: verdicts.values().map(|said| said.dismissed).sum(),
            of_unit,
        }))
    })
    .await
}

fn of_unit(
    cases: &Cases,
    rules: &RuleSet,
    (rule, unit): (&str, &str),
    now: Instant,
) -> Result<UnitVerdicts, StoreError> {
    let (said, suggests) = cases.verdicts_of(rule, unit)?;
    let excepted_until = rules.excepted(rule, unit, now).map(str::to_owned);
    Ok(UnitVerdicts {
        unit: unit.to_owned(),
        confirmed: said.confirmed,
        dismissed: said.dismissed,
        suggests_exception: suggests && excepted_until.is_none(),
        excepted_until,
    })
}

/// Alerts that are the same matter.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RelatedAlerts {
    /// The closest first, each once; 20 of each kind at most.
    alerts: Vec<RelatedAlert>,
}

/// An alert that is the same matter as another.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RelatedAlert {
    /// What ties them.
    by: Kinship,
    /// The alert.
    alert: AlertView,
}

/// The alerts that are about the same payee, unit or budget line as one, or went before it
///
/// For the payee the latest 50,000 findings are looked through.
#[utoipa::path(get, path = "/api/v1/alerts/{id}/related", operation_id = "related_alerts", tag = "alerts",
    params(("id" = String, Path, description = "The alert's id")),
    responses(
        (status = 200, description = "Those alerts", body = RelatedAlerts),
        (status = 404, description = "There is no such alert", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn related(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    PathId(id): PathId<String>,
) -> Result<Json<RelatedAlerts>, Problem> {
    let (limits, lens) = (by.limits(), by.lens());
    blocking(move || {
        let cases = Cases::open_read_only(&shared.state_dir)?.within(&limits);
        let mut alerts = Vec::new();
        for (by, alert) in cases.related(&id, RELATED_MAX)? {
            alerts.push(RelatedAlert { by, alert: lens.alert(alert, &cases, &shared.calendar)? });
        }
        Ok(Json(RelatedAlerts { alerts }))
    })
    .await
}
