//! 控制组: the groups of budget lines that rules compare, with their sums.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::{
    Problem,
    ledger::sums_object,
    line_filter::Sort,
    page::Page,
    request::{Params, blocking, page_size},
};
use crate::{
    daemon::Shared,
    event::Instant,
    ledger::{GroupSums, Grouping},
    rule::{CompiledGroup, Text},
};

/// Which groups to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct GroupFilter {
    /// Only those of this group, as the rules name it
    group: Option<String>,
    /// Only keys with this text
    q: Option<String>,
    /// What comes first: `key`, the name of a sum such as `executed`, or `executed_ratio`; with `-` before it, the largest
    sort: Option<String>,
    /// Only those after this one in the list: the `next` of the page before
    after: Option<String>,
    /// At most so many
    limit: Option<u32>,
}

/// A page of groups.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GroupPage {
    /// By group and key, if nothing else is asked for.
    groups: Vec<LineGroup>,
    /// Give it as `after` for the next page; null on the last one.
    next: Option<String>,
    /// How many there are on all pages.
    total: usize,
}

/// Budget lines that belong together.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LineGroup {
    /// The group, as the rules name it.
    group_id: String,
    /// Its name.
    title: Text,
    /// The fiscal year, and what its lines have in common.
    key: String,
    /// How many lines it has.
    lines: u32,
    #[schema(value_type = super::ledger::BudgetSums)]
    sums: Map<String, Value>,
    /// The part of the total that is executed; null without a total.
    executed_ratio: Option<String>,
    /// The part of the total that is executed or reserved; null without a total.
    used_ratio: Option<String>,
}

struct Row {
    /// The group and the key, by which rows are sorted and found again.
    place: String,
    group: Arc<CompiledGroup>,
    sums: GroupSums,
}

impl Row {
    fn place(&self, sort: Sort) -> (i128, &str) {
        (sort.key(&self.sums.balances, Instant::EPOCH), &self.place)
    }

    fn view(&self) -> LineGroup {
        let balances = &self.sums.balances;
        LineGroup {
            group_id: self.group.group.id.clone(),
            title: self.group.group.title.clone(),
            key: self.sums.key.to_string(),
            lines: self.sums.lines,
            sums: sums_object(balances),
            executed_ratio: balances.executed_ratio().map(|ratio| ratio.to_string()),
            used_ratio: (balances.executed + balances.reserved)
                .share_of(balances.total)
                .map(|ratio| ratio.to_string()),
        }
    }
}

/// The groups of budget lines that rules compare, with their sums
#[utoipa::path(get, path = "/api/v1/budget/groups", operation_id = "list_line_groups", tag = "budget lines", params(GroupFilter),
    responses((status = 200, description = "A page of groups", body = GroupPage)))]
pub(crate) async fn groups(
    State(shared): State<Arc<Shared>>,
    Params(filter): Params<GroupFilter>,
) -> Result<Json<GroupPage>, Problem> {
    let (limit, sort) = (page_size(filter.limit)?, Sort::parse(filter.sort.as_deref(), "key")?);
    blocking(move || {
        let rows = rows(&shared, &filter);
        let total = rows.len();
        let found =
            sort.page(rows.iter().collect(), filter.after.as_deref(), limit, |row| row.place(sort))?;
        let page = Page::new(limit).fill(found.iter().map(|row| row.view()));
        let next = page.is_cut.then(|| sort.cursor(found[page.rows.len() - 1].place(sort)));
        Ok(Json(GroupPage { groups: page.rows, next, total }))
    })
    .await
}

/// The groups that are meant. The ledger is held as long as it takes to copy them.
fn rows(shared: &Shared, filter: &GroupFilter) -> Vec<Row> {
    let rules = shared.rules_in_force();
    let ledger = shared.ledger.read();
    let mut rows = Vec::new();
    for (text, groups) in ledger.groups() {
        // Between a reload and the next event the ledger may be grouped for the rules before.
        let group = rules.groups.iter().find(|group| group.text() == text);
        let Some(group) = group.filter(|g| filter.group.as_ref().is_none_or(|id| *id == g.group.id)) else {
            continue;
        };
        let is_meant = |sums: &&GroupSums| filter.q.as_ref().is_none_or(|q| sums.key.contains(q.as_str()));
        rows.extend(groups.filter(is_meant).map(|sums| Row {
            place: format!("{}|{}", group.group.id, sums.key),
            group: Arc::clone(group),
            sums: sums.clone(),
        }));
    }
    rows
}
