//! Lists of alerts: a page, and how many there are of each kind.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Problem,
    by::Requester,
    page,
    request::{Params, blocking, page_size},
    view::AlertView,
};
use crate::{
    daemon::Shared,
    store::{AlertCounts, CaseFilter, Cases},
};

/// A page of alerts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AlertPage {
    /// The newest first.
    alerts: Vec<AlertView>,
    /// Give it as `before` for the next page; null on the last one.
    next: Option<String>,
    /// How many there are on all pages, if `totals` asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
}

/// The alerts, the newest first
#[utoipa::path(get, path = "/api/v1/alerts", operation_id = "list_alerts", tag = "alerts", params(CaseFilter),
    responses((status = 200, description = "A page", body = AlertPage)))]
pub(crate) async fn list(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    Params(filter): Params<CaseFilter>,
) -> Result<Json<AlertPage>, Problem> {
    let limit = page_size(filter.limit)?;
    let wanted = filter.understood(&shared.calendar, shared.clock.now()).map_err(Problem::bad_request)?;
    let mut wanted = wanted.within(&by.limits());
    let lens = by.lens();
    // One more than the page has room for tells whether there is more.
    wanted.filter.limit = Some(limit + 1);
    blocking(move || {
        let (rules, now) = (shared.rules_in_force(), shared.clock.now());
        let cases = Cases::open_read_only(&shared.state_dir)?;
        let (listed, total) = match wanted.filter.totals {
            true => cases.listed_of_all(&wanted).map(|(listed, total)| (listed, Some(total)))?,
            false => (cases.listed(&wanted)?, None),
        };
        let part = |after: Option<usize>, count: u32| {
            let from = after.map_or(0, |at| at + 1);
            let to = listed.len().min(from + count as usize);
            let part = listed.get(from..to).unwrap_or_default();
            let shown = lens.alerts(cases.of(part)?, &cases, &shared.calendar)?;
            let named = shown.into_iter().map(|alert| alert.named(&rules.lists, now));
            Ok::<_, Problem>(named.zip(from..).collect())
        };
        let (alerts, next) = page::read(limit, None, part, |(_, at)| *at, |(alert, _)| alert)?;
        let next = next.map(|at| listed[at].cursor(&wanted));
        Ok(Json(AlertPage { alerts, next, total }))
    })
    .await
}

/// How many alerts a filter finds, by what officers part them by.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AlertCounts)]
pub(crate) struct CountsView {
    /// All that the filter finds.
    total: u64,
    /// Those among them that nobody acknowledged in time.
    overdue: u64,
    /// Those that are not over although their last day is.
    past_due: u64,
    /// Those that wait for a second officer.
    in_review: u64,
    /// When the oldest of those that are open was opened.
    #[schema(format = DateTime)]
    oldest_open_at: Option<String>,
    /// By state and severity, which the filter is read without, so that each number stays while another is looked at.
    counts: Vec<StateCount>,
    /// By rule, the most first; 50 at most. So with units and owners.
    rules: Vec<ValueCount>,
    /// By unit.
    units: Vec<ValueCount>,
    /// By the officer who took them on; null for those that nobody has.
    owners: Vec<ValueCount>,
}

/// How many alerts are in a state, with a severity.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StateCount {
    state: String,
    severity: String,
    alerts: u64,
}

/// How many alerts have a value.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ValueCount {
    value: Option<String>,
    alerts: u64,
}

/// How many alerts there are, by state, severity, rule, unit and owner
#[utoipa::path(get, path = "/api/v1/alerts/counts", operation_id = "count_alerts", tag = "alerts", params(CaseFilter),
    responses((status = 200, description = "The numbers", body = CountsView)))]
pub(crate) async fn counts(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    Params(filter): Params<CaseFilter>,
) -> Result<Json<CountsView>, Problem> {
    let wanted = filter.understood(&shared.calendar, shared.clock.now()).map_err(Problem::bad_request)?;
    let wanted = wanted.within(&by.limits());
    blocking(move || {
        let counts = Cases::open_read_only(&shared.state_dir)?.counts(&wanted)?;
        let AlertCounts { total, overdue, past_due, in_review, oldest_open, by_state, rules, units, owners } =
            counts;
        let counts = by_state.into_iter();
        let values = |found: Vec<(Option<String>, u64)>| {
            found.into_iter().map(|(value, alerts)| ValueCount { value, alerts }).collect()
        };
        Ok(Json(CountsView {
            total,
            overdue,
            past_due,
            in_review,
            oldest_open_at: oldest_open.map(|at| shared.calendar.format(at)),
            counts: counts.map(|(state, severity, alerts)| StateCount { state, severity, alerts }).collect(),
            rules: values(rules),
            units: values(units),
            owners: values(owners),
        }))
    })
    .await
}
