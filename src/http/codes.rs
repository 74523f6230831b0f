//! 代码表: the tables of codes, and what codes are called.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Map;
use utoipa::{IntoParams, ToSchema};

use super::{
    Problem,
    by::Requester,
    page::Page,
    request::{Params, PathId, blocking, page_size},
};
use crate::{
    access::Limits,
    daemon::Shared,
    event::{Instant, TimeDelta, pattern},
    lists::{CODE_COLUMNS, CodeRow},
    say,
    text::quoted,
};

/// The tables of codes that there are.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CodeTables {
    tables: Vec<CodeTable>,
}

/// A table of codes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CodeTable {
    /// The column of events that it is of.
    column: &'static str,
    /// How many rows it has; a code may be in several, each for its own time.
    rows: usize,
}

/// Which codes to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct CodeFilter {
    /// Only these, parted by commas
    codes: Option<String>,
    /// Only with this text in the code or its name
    q: Option<String>,
    /// Only those after this one: the `next` of the page before
    after: Option<String>,
    /// At most so many
    limit: Option<u32>,
}

/// A page of codes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CodePage {
    /// In the order of the table.
    codes: Vec<CodeView>,
    /// Give it as `after` for the next page; null on the last one.
    next: Option<String>,
    /// How many there are on all pages.
    total: usize,
}

/// A row of a table.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CodeView {
    code: String,
    name: Option<String>,
    /// The code above it.
    parent: Option<String>,
    /// The first day on which it is valid; null from ever.
    from: Option<String>,
    /// The last day; null for ever.
    to: Option<String>,
    /// Whether it is valid now.
    valid: bool,
}

/// Whether a code is there for whoever asks: units and regions outside of somebody's are not.
fn allows(limits: &Limits, column: &str, code: &str) -> bool {
    limits.allow_columns(&Map::from_iter([(column.to_owned(), code.into())]))
}

/// The tables of codes
#[utoipa::path(get, path = "/api/v1/codes", operation_id = "list_code_tables", tag = "budget lines",
    responses((status = 200, description = "The tables", body = CodeTables)))]
pub(crate) async fn tables(State(shared): State<Arc<Shared>>, by: Requester) -> Json<CodeTables> {
    let (rules, limits) = (shared.rules_in_force(), by.limits());
    let table = |column| {
        let rows = rules.lists.codes(column)?.code_rows();
        Some(CodeTable { column, rows: rows.filter(|row| allows(&limits, column, row.code)).count() })
    };
    Json(CodeTables { tables: CODE_COLUMNS.into_iter().filter_map(table).collect() })
}

/// The rows of a table of codes
#[utoipa::path(get, path = "/api/v1/codes/{column}", operation_id = "list_codes", tag = "budget lines",
    params(("column" = String, Path, description = "The column of events that the table is of"), CodeFilter),
    responses((status = 200, description = "A page", body = CodePage),
        (status = 404, description = "There is no such table", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    PathId(column): PathId<String>,
    Params(filter): Params<CodeFilter>,
) -> Result<Json<CodePage>, Problem> {
    let (limit, limits) = (page_size(filter.limit)?, by.limits());
    blocking(move || {
        let (rules, now) = (shared.rules_in_force(), shared.clock.now());
        let Some(table) = rules.lists.codes(&column) else {
            let detail = say!("no table of codes is configured for {column}", column = quoted(&column));
            return Err(Problem::new(StatusCode::NOT_FOUND, detail));
        };
        let wanted: Option<Vec<&str>> = filter.codes.as_deref().map(|codes| pattern::words(codes).collect());
        let is_meant = |row: &CodeRow<'_>| {
            allows(&limits, &column, row.code)
                && wanted.as_ref().is_none_or(|codes| codes.contains(&row.code))
                && filter
                    .q
                    .as_deref()
                    .is_none_or(|q| row.code.contains(q) || row.name.is_some_and(|n| n.contains(q)))
        };
        let after = filter.after.as_deref().and_then(|after| after.parse::<usize>().ok()).unwrap_or(0);
        let rows: Vec<CodeRow<'_>> = table.code_rows().filter(is_meant).collect();
        let day = |at: Instant| shared.calendar.local(at).date().to_string();
        let view = |row: &CodeRow<'_>| CodeView {
            code: row.code.to_owned(),
            name: row.name.map(str::to_owned),
            parent: row.parent.filter(|code| allows(&limits, &column, code)).map(str::to_owned),
            from: row.from.map(day),
            to: row.until.map(|until| day(until - TimeDelta::MICROSECOND)),
            valid: row.from.is_none_or(|from| from <= now) && row.until.is_none_or(|until| now < until),
        };
        let page = Page::new(limit).fill(rows.iter().skip(after).map(view));
        let next = page.is_cut.then(|| (after + page.rows.len()).to_string());
        Ok(Json(CodePage { codes: page.rows, next, total: rows.len() }))
    })
    .await
}
