//! Budget lines summed up: by region, department, unit, class, project, fund or year, or by two of them.

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use axum::{Json, extract::State};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{
    Problem,
    ledger::sums_object,
    line_filter::{ATTRIBUTES, Branch, LineFilter, Sort},
    page::Page,
    request::{Params, blocking, page_size},
};
use crate::{
    daemon::Shared,
    event::{Column, Instant, pattern},
    ledger::{Attributes, Balances},
    say,
};

/// Characters of a unit's code that are its department's, when nobody says how many.
const DEPARTMENT: u8 = 3;
/// Characters of a functional class that are its 类.
const CLASS: usize = 3;

/// Budget lines summed up.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BudgetTotals)]
pub(crate) struct Totals {
    /// By value, if nothing else is asked for.
    groups: Vec<GroupView>,
    /// Give it as `after` for the next page; null on the last one.
    next: Option<String>,
    /// How many groups there are on all pages.
    total: usize,
    /// How many lines there are in all of them.
    lines: u64,
    /// What they sum up to.
    #[schema(value_type = super::ledger::BudgetSums)]
    sums: Map<String, Value>,
    /// The part of the total that is executed.
    executed_ratio: Option<String>,
}

/// The lines that have a value in common.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BudgetGroup)]
pub(crate) struct GroupView {
    /// What they have in common, in the order of `group_by`; null for lines without it.
    value: Vec<Option<String>>,
    /// What they have in common is called, where a table of codes or a line says it, and `group_by` names one word.
    name: Option<String>,
    lines: u64,
    /// How many of them have executed more than their total.
    overspent: u64,
    #[schema(value_type = super::ledger::BudgetSums)]
    sums: Map<String, Value>,
    executed_ratio: Option<String>,
}

/// What lines are summed up by.
#[derive(Debug, Clone, Copy)]
enum By {
    Attribute(Column),
    /// So many of the first characters.
    Start(Column, usize),
    Year,
    /// The unit of a branch that the line's unit is in.
    Branch,
}

impl By {
    fn parse(word: &str, department: u8) -> Option<Self> {
        match word {
            "department" => Some(Self::Start(Column::UnitCode, department.into())),
            "class" => Some(Self::Start(Column::FunctionCode, CLASS)),
            "year" => Some(Self::Year),
            "branch" => Some(Self::Branch),
            word => {
                let attribute = ATTRIBUTES.iter().find(|(known, _)| *known == word);
                attribute.map(|(_, column)| Self::Attribute(*column))
            }
        }
    }

    /// The column whose table has the names of its values.
    fn named_by(self) -> Option<&'static str> {
        match self {
            Self::Attribute(column) | Self::Start(column, _) => Some(column.spec().name),
            Self::Branch => Some(Column::UnitCode.spec().name),
            Self::Year => None,
        }
    }

    fn of<'a>(self, attributes: &'a Attributes, branch: &Branch<'_>) -> Option<Cow<'a, str>> {
        match self {
            Self::Attribute(column) => attributes.text(column).map(Cow::Borrowed),
            Self::Start(column, characters) => {
                let code = attributes.text(column)?;
                let end = code.char_indices().nth(characters).map_or(code.len(), |(at, _)| at);
                Some(Cow::Borrowed(&code[..end]))
            }
            Self::Year => attributes.fiscal_year.map(|year| Cow::Owned(year.to_string())),
            Self::Branch => branch.part(attributes.text(Column::UnitCode)?).map(Cow::Owned),
        }
    }
}

fn grouping(filter: &LineFilter) -> Result<Vec<By>, Problem> {
    let words: Vec<_> = filter.group_by.as_deref().into_iter().flat_map(pattern::words).collect();
    let department = filter.department_digits.unwrap_or(DEPARTMENT);
    let by: Option<Vec<_>> = words.iter().map(|word| By::parse(word, department)).collect();
    by.filter(|by| (1..=2).contains(&by.len())).ok_or_else(|| {
        Problem::bad_request(say!(
            "group_by: name one or two of region, department, branch, unit, function, class, economic, project, fund and year"
        ))
    })
}

#[derive(Debug, Default)]
struct Group {
    /// The values as one text, by which groups are sorted and found again.
    place: String,
    lines: u64,
    overspent: u64,
    balances: Balances,
    name: Option<String>,
}

/// Budget lines summed up by what they have in common
#[utoipa::path(get, path = "/api/v1/budget/totals", operation_id = "sum_budget_lines", tag = "budget lines", params(LineFilter),
    responses((status = 200, description = "A page of groups", body = Totals)))]
pub(crate) async fn totals(
    State(shared): State<Arc<Shared>>,
    Params(filter): Params<LineFilter>,
) -> Result<Json<Totals>, Problem> {
    let (limit, sort) = (page_size(filter.limit)?, Sort::parse(filter.sort.as_deref(), "value")?);
    let by = grouping(&filter)?;
    blocking(move || {
        let copy = shared.lines();
        let (rules, now) = (shared.rules_in_force(), shared.clock.now());
        let branch = Branch::of(&rules.lists, filter.under.as_deref(), now);
        let (wanted, mut all, mut lines) = (filter.wanted(&branch), Balances::default(), 0);
        let mut groups: HashMap<[Option<Cow<'_, str>>; 2], Group> = HashMap::new();
        let names_units = by.iter().any(|by| matches!(by, By::Attribute(Column::UnitCode)));
        for (line, attributes) in copy.lines().filter(|(line, attributes)| wanted(line, attributes)) {
            let value = |at: usize| by.get(at).and_then(|by: &By| by.of(attributes, &branch));
            let group = groups.entry([value(0), value(1)]).or_default();
            group.lines += 1;
            group.overspent += u64::from(line.balances.executed > line.balances.total);
            group.balances += line.balances;
            if names_units && group.name.is_none() {
                group.name = attributes.text(Column::UnitName).map(str::to_owned);
            }
            all += line.balances;
            lines += 1;
        }
        let mut groups: Vec<_> = groups.into_iter().collect();
        for (values, group) in &mut groups {
            let text = |value: &Option<Cow<'_, str>>| value.as_deref().unwrap_or_default().to_owned();
            // What a table calls it; of lines with one value each table has the name.
            if let (Some(column), None, Some(code)) = (by[0].named_by(), &group.name, &values[0])
                && by.len() == 1
            {
                group.name = rules.lists.code_name(column, code, now).map(str::to_owned);
            }
            group.place = format!("{}|{}", text(&values[0]), text(&values[1]));
        }
        let total = groups.len();
        let found =
            sort.page(groups.iter().collect(), filter.after.as_deref(), limit, |row| place(row, sort))?;
        let shown = found.iter().map(|(values, group)| group_view(values, group, by.len()));
        let page = Page::new(limit).fill(shown);
        let next = page.is_cut.then(|| sort.cursor(place(found[page.rows.len() - 1], sort)));
        let (sums, executed_ratio) = (sums_object(&all), all.executed_ratio().map(|ratio| ratio.to_string()));
        Ok(Json(Totals { groups: page.rows, next, total, lines, sums, executed_ratio }))
    })
    .await
}

fn place<V>((_, group): &(V, Group), sort: Sort) -> (i128, &str) {
    (sort.key(&group.balances, Instant::EPOCH), &group.place)
}

fn group_view(values: &[Option<Cow<'_, str>>; 2], group: &Group, parts: usize) -> GroupView {
    GroupView {
        value: values.iter().take(parts).map(|value| value.as_deref().map(str::to_owned)).collect(),
        name: group.name.clone(),
        lines: group.lines,
        overspent: group.overspent,
        sums: sums_object(&group.balances),
        executed_ratio: group.balances.executed_ratio().map(|ratio| ratio.to_string()),
    }
}
