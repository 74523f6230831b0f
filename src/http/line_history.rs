//! What happened on one budget line, and what it had after each event.

use std::{sync::Arc, time::Duration};

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::{
    Problem,
    by::Requester,
    journal::shown,
    ledger::{BudgetSums, sums_object},
    lens::Lens,
    page::Page,
    request::{Params, PathId, blocking, page_size},
};
use crate::{
    daemon::Shared,
    event::{event_schema, time::Calendar},
    lists::Lists,
    say,
    store::{LineEntry, line_history},
    text::quoted,
};

/// How long the journal is read for one answer.
const TIME: Duration = Duration::from_secs(5);

/// Which part of a line's history to show.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct HistoryFilter {
    /// Only what comes after this: the `next` of the page before.
    after: Option<i64>,
    /// At most so many.
    limit: Option<u32>,
}

/// A page of a line's history.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BudgetLineHistory)]
pub(crate) struct HistoryPage {
    /// In the order in which it was accepted.
    entries: Vec<LineEventView>,
    /// Give it as `after` for the next page; null on the last one.
    next: Option<i64>,
    /// Whether these are all events that made the line's balances. They are not where the journal is longer than there is
    /// time to read it, where events are older than `state.retain`, and where a payment used an application of another
    /// line.
    complete: bool,
}

/// Something that happened on a line.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BudgetLineEntry)]
pub(crate) struct LineEventView {
    /// The event; the names of natural persons are masked.
    #[schema(value_type = Object)]
    event: Map<String, Value>,
    /// What the line had after it.
    #[schema(value_type = BudgetSums)]
    balances: Map<String, Value>,
}

/// What happened on a budget line, with its balances after each event
#[utoipa::path(get, path = "/api/v1/budget-lines/{id}/history", operation_id = "show_budget_line_history", tag = "budget lines",
    params(("id" = String, Path, description = "The `budget_line_id`"), HistoryFilter),
    responses(
        (status = 200, description = "A page", body = HistoryPage),
        (status = 404, description = "There is no such line", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn history(
    State(shared): State<Arc<Shared>>,
    PathId(id): PathId<String>,
    by: Requester,
    Params(filter): Params<HistoryFilter>,
) -> Result<Json<HistoryPage>, Problem> {
    let limit = page_size(filter.limit)?;
    let lens = by.lens_on_events();
    blocking(move || {
        let calendar = &shared.calendar;
        let balances = || {
            let ledger = shared.ledger.read();
            ledger.line(&id).map(|(line, _)| line.balances)
        };
        let Some(before) = balances() else {
            let detail = say!("there is no budget line {id}", id = quoted(&id));
            return Err(Problem::new(StatusCode::NOT_FOUND, detail));
        };
        let schema = event_schema(&calendar.zone_name);
        let found = line_history((&shared.state_dir, &schema), &id, filter.after, limit as usize, TIME)?;
        // What came in meanwhile is in one and not in the other; either moment will do.
        let complete = found.last.is_some_and(|last| last == before || Some(last) == balances());
        let rules = shared.rules_in_force();
        let names = (&**calendar, &rules.lists);
        let page = Page::new(limit).fill(found.entries.iter().map(|entry| entry_view(entry, names, lens)));
        let last = page.rows.len().checked_sub(1).and_then(|last| found.entries.get(last));
        let next = last.filter(|_| page.is_cut || found.more).map(|entry| entry.arrival);
        Ok(Json(HistoryPage { entries: page.rows, next, complete }))
    })
    .await
}

fn entry_view(entry: &LineEntry, names: (&Calendar, &Lists), lens: Lens) -> LineEventView {
    LineEventView { event: shown(&entry.event, names, lens), balances: sums_object(&entry.balances) }
}
