//! Budget lines: what each has, as the ledger keeps it.

use std::sync::{Arc, PoisonError};

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::{
    Problem,
    by::By,
    page::Page,
    request::{Id, Params, page_size},
};
use crate::{
    access::Limits,
    daemon::Shared,
    event::Column,
    ledger::{Attributes, Line, report::line_object},
    say,
    text::quoted,
};

/// Which lines to list, by `budget_line_id`.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LineFilter {
    /// Only of this unit.
    unit_code: Option<String>,
    /// Only those after this one in the list: the `next` of the page before.
    after: Option<String>,
    /// At most so many.
    limit: Option<u32>,
}

/// 预算指标 with every balance; money is text with two decimals, ratios are text too.
#[derive(ToSchema)]
#[schema(as = BudgetLine)]
// It describes what `ledger::report` writes.
#[allow(dead_code, clippy::struct_field_names)]
pub struct BudgetLine {
    budget_line_id: String,
    /// Whether a budget action approved it.
    approved: bool,
    fiscal_year: Option<i32>,
    region_code: Option<String>,
    unit_code: Option<String>,
    unit_name: Option<String>,
    function_code: Option<String>,
    economic_code: Option<String>,
    project_code: Option<String>,
    fund_type: Option<String>,
    total: String,
    executed: String,
    frozen: String,
    reserved: String,
    available: String,
    planned: String,
    plan_available: String,
    /// The part of `executed` from before the journal begins.
    opening: String,
    /// What the bank confirmed of its payments, less what it returned.
    cleared: String,
    /// Its payments less `cleared`.
    uncleared: String,
    executed_ratio: Option<String>,
    overspend_ratio: Option<String>,
    /// The elapsed share of its year at its last event.
    year_elapsed: Option<String>,
    #[schema(format = DateTime)]
    last_event_at: String,
}

/// A page of budget lines.
#[derive(Debug, Serialize, ToSchema)]
pub struct LinePage {
    /// By `budget_line_id`.
    #[schema(value_type = Vec<BudgetLine>)]
    budget_lines: Vec<Map<String, Value>>,
    /// Give it as `after` for the next page; null on the last one.
    next: Option<String>,
}

/// The budget lines, by `budget_line_id`
#[utoipa::path(get, path = "/api/v1/budget-lines", operation_id = "list_budget_lines", tag = "budget lines", params(LineFilter),
    responses((status = 200, description = "A page", body = LinePage)))]
pub async fn lines(
    State(shared): State<Arc<Shared>>,
    by: By,
    Params(filter): Params<LineFilter>,
) -> Result<Json<LinePage>, Problem> {
    let limits = by.limits();
    let limit = page_size(filter.limit)?;
    let ledger = shared.ledger.read().unwrap_or_else(PoisonError::into_inner);
    let wanted = |line: &Line, attributes: &Attributes| {
        filter.after.as_deref().is_none_or(|after| *line.id > *after)
            && filter.unit_code.as_deref().is_none_or(|unit| attributes.text(Column::UnitCode) == Some(unit))
            && are_there(attributes, &limits)
    };
    let mut found: Vec<_> = ledger.lines().filter(|(line, attributes)| wanted(line, attributes)).collect();
    found.sort_by(|(a, _), (b, _)| a.id.cmp(&b.id));
    let objects = found.iter().map(|(line, a)| line_object(line, a, &shared.calendar));
    let page = Page::new(limit).fill(objects);
    let last = page.is_cut.then(|| found[page.rows.len() - 1].0.id.to_string());
    Ok(Json(LinePage { budget_lines: page.rows, next: last }))
}

/// Whether a line is there for whoever asks.
fn are_there(attributes: &Attributes, limits: &Limits) -> bool {
    limits.allow(attributes.text(Column::UnitCode), attributes.text(Column::RegionCode))
}

/// One budget line
#[utoipa::path(get, path = "/api/v1/budget-lines/{id}", operation_id = "show_budget_line", tag = "budget lines",
    params(("id" = String, Path, description = "The `budget_line_id`")),
    responses(
        (status = 200, description = "The line", body = BudgetLine),
        (status = 404, description = "There is no such line", body = Problem, content_type = "application/problem+json")))]
pub async fn line(
    State(shared): State<Arc<Shared>>,
    by: By,
    Id(id): Id<String>,
) -> Result<Json<Map<String, Value>>, Problem> {
    let limits = by.limits();
    let ledger = shared.ledger.read().unwrap_or_else(PoisonError::into_inner);
    match ledger.line(&id).filter(|(_, attributes)| are_there(attributes, &limits)) {
        Some((line, attributes)) => Ok(Json(line_object(line, attributes, &shared.calendar))),
        None => {
            Err(Problem::new(StatusCode::NOT_FOUND, say!("there is no budget line {id}", id = quoted(&id))))
        }
    }
}
