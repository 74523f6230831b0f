//! Budget lines: what each has, as the ledger keeps it.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{
    Problem,
    by::Requester,
    line_filter::{Branch, LineFilter, Sort},
    page::Page,
    request::{Params, PathId, blocking, page_size},
};
use crate::{
    access::Limits,
    daemon::Shared,
    event::{Column, money::format_cents},
    ledger::{
        Attributes, Balances, Line,
        report::{line_object, sums},
    },
    rule::RuleSet,
    say,
    text::quoted,
};

/// 预算指标 with every balance; money is text with two decimals, ratios are text too.
#[derive(ToSchema)]
#[schema(as = BudgetLine)]
#[expect(dead_code, clippy::struct_field_names, reason = "it describes what `ledger::report` writes")]
pub(crate) struct BudgetLine {
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
    /// What its codes are called, each where a table of codes says it.
    region_name: Option<String>,
    function_name: Option<String>,
    economic_name: Option<String>,
    project_name: Option<String>,
    fund_name: Option<String>,
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

/// The sums of several lines: money as text with two decimals.
#[derive(ToSchema)]
#[schema(as = BudgetSums)]
#[expect(dead_code, reason = "it describes what `ledger::report` writes")]
pub(crate) struct BudgetSums {
    total: String,
    executed: String,
    frozen: String,
    reserved: String,
    available: String,
    planned: String,
    plan_available: String,
    opening: String,
    cleared: String,
    uncleared: String,
}

/// Sums as the API shows them.
pub(crate) fn sums_object(balances: &Balances) -> Map<String, Value> {
    sums(balances).into_iter().map(|(name, cents)| (name.to_owned(), format_cents(cents).into())).collect()
}

/// A page of budget lines.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LinePage {
    /// By `budget_line_id`, if nothing else is asked for.
    #[schema(value_type = Vec<BudgetLine>)]
    budget_lines: Vec<Map<String, Value>>,
    /// Give it as `after` for the next page; null on the last one.
    next: Option<String>,
    /// How many there are on all pages, if `totals` asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<usize>,
    /// What they sum up to, if `totals` asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<BudgetSums>)]
    sums: Option<Map<String, Value>>,
}

/// The budget lines, by `budget_line_id` or as they are sorted
#[utoipa::path(get, path = "/api/v1/budget-lines", operation_id = "list_budget_lines", tag = "budget lines", params(LineFilter),
    responses((status = 200, description = "A page", body = LinePage)))]
pub(crate) async fn lines(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    Params(filter): Params<LineFilter>,
) -> Result<Json<LinePage>, Problem> {
    let limits = by.limits();
    let (limit, sort) = (page_size(filter.limit)?, Sort::parse(filter.sort.as_deref(), "id")?);
    blocking(move || {
        let copy = shared.lines();
        let rules = shared.rules_in_force();
        let branch = Branch::of(&rules.lists, filter.under.as_deref(), shared.clock.now());
        let wanted = filter.wanted(&branch);
        let is_found =
            |line: &Line, attributes: &Attributes| are_there(attributes, &limits) && wanted(line, attributes);
        let found: Vec<_> = copy.lines().filter(|(line, attributes)| is_found(line, attributes)).collect();
        let (total, sums) = if filter.totals {
            let mut all = Balances::default();
            found.iter().for_each(|(line, _)| all += line.balances);
            (Some(found.len()), Some(sums_object(&all)))
        } else {
            (None, None)
        };
        let found = sort.page(found, filter.after.as_deref(), limit, |row| place(*row, sort))?;
        let page = Page::new(limit).fill(found.iter().map(|(line, a)| named_line(&shared, &rules, line, a)));
        let next = page.is_cut.then(|| sort.cursor(place(found[page.rows.len() - 1], sort)));
        Ok(Json(LinePage { budget_lines: page.rows, next, total, sums }))
    })
    .await
}

fn place<'l>((line, _): (&'l Line, &'l Attributes), sort: Sort) -> (i128, &'l str) {
    (sort.key(&line.balances, line.last_event_at), &line.id)
}

/// A line with what its codes are called at its last event.
fn named_line(shared: &Shared, rules: &RuleSet, line: &Line, attributes: &Attributes) -> Map<String, Value> {
    let mut object = line_object(line, attributes, &shared.calendar);
    rules.lists.add_names(&mut object, line.last_event_at);
    object
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
pub(crate) async fn line(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    PathId(id): PathId<String>,
) -> Result<Json<Map<String, Value>>, Problem> {
    let limits = by.limits();
    let ledger = shared.ledger.read();
    match ledger.line(&id).filter(|(_, attributes)| are_there(attributes, &limits)) {
        Some((line, attributes)) => Ok(Json(named_line(&shared, &shared.rules_in_force(), line, attributes))),
        None => {
            Err(Problem::new(StatusCode::NOT_FOUND, say!("there is no budget line {id}", id = quoted(&id))))
        }
    }
}
