//! 名单: the reference lists that rules look things up in, with their columns, for who proposes rows of them.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Problem, request::blocking};
use crate::{daemon::Shared, lists::CODE_COLUMNS};

/// The reference lists.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReferenceLists {
    /// By name.
    lists: Vec<ReferenceList>,
}

/// A reference list, without its rows.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReferenceList {
    name: String,
    /// Its columns, in order.
    columns: Vec<String>,
    /// The column that its rows are known by.
    key: String,
    /// How many rows it has.
    rows: usize,
}

/// The reference lists in force, with their columns
///
/// Rows are proposed by `POST /api/v1/approvals`. Tables of codes are under `/api/v1/codes`.
#[utoipa::path(get, path = "/api/v1/lists", operation_id = "list_reference_lists", tag = "rules",
    responses((status = 200, description = "All of them", body = ReferenceLists)))]
pub(crate) async fn lists(State(shared): State<Arc<Shared>>) -> Result<Json<ReferenceLists>, Problem> {
    blocking(move || {
        let rules = shared.rules_in_force();
        let list = |name: &str| {
            let list = rules.lists.get(name)?;
            let (columns, key) = list.shape();
            let columns: Vec<String> = columns.iter().map(|(name, _)| name.clone()).collect();
            let key = columns.get(key).cloned().unwrap_or_default();
            Some(ReferenceList { name: name.to_owned(), columns, key, rows: list.len() })
        };
        let is_list = |name: &&str| {
            !CODE_COLUMNS.iter().any(|column| {
                rules.lists.codes(column).is_some_and(|codes| {
                    rules.lists.get(name).is_some_and(|list| std::ptr::eq(codes, Arc::as_ptr(list)))
                })
            })
        };
        Ok(Json(ReferenceLists { lists: rules.lists.names().filter(is_list).filter_map(list).collect() }))
    })
    .await
}
