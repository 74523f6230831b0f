//! The rows of reference lists that a rule names and that tell of the event: by its accounts, names and codes.

use std::collections::BTreeSet;

use arrow::record_batch::RecordBatch;
use serde_json::{Map, Value};

use super::ExplainRequest;
use crate::{
    event::{Column, normal_name},
    lists::List,
    personal::Kinds,
    rule::{Param, Rule, window::View},
    sql::value,
};

/// Rows that are shown.
const ROWS_MAX: usize = 20;

/// A row of a reference list.
#[derive(Debug)]
pub(crate) struct ListRow {
    pub list: String,
    /// A digest of all of its rows, as they are now.
    pub version: u64,
    /// How many rows it has.
    pub rows: usize,
    /// The row, by the names of its columns; `None` if none tells of the event.
    pub row: Option<Map<String, Value>>,
    /// What its columns tell of persons.
    pub kinds: Kinds,
}

impl ExplainRequest<'_> {
    /// The rows of the lists that the rule names that have the event's values as their keys. Values of the rule's measures
    /// count too.
    pub(super) fn rows_of_lists(&self, own: &RecordBatch, values: &Map<String, Value>) -> Vec<ListRow> {
        let text = written(&self.rule.rule);
        let shown = Column::ALL.iter().zip(own.columns()).map(|(_, array)| value(array, 0, self.calendar));
        let known = shown.chain(values.values().cloned()).filter_map(|value| match value {
            Value::String(text) => Some(normal_name(&text).into_owned()),
            _ => None,
        });
        let known: BTreeSet<String> = known.filter(|text| !text.is_empty()).collect();
        let lists = &self.rules.lists;
        let named = lists.names().filter(|name| text.contains(&format!("'{name}'")));
        let mut found = Vec::new();
        for (name, list) in named.filter_map(|name| Some((name, lists.get(name)?))) {
            let before = found.len();
            let row = |row| ListRow {
                list: name.to_owned(),
                version: list.print(),
                rows: list.len(),
                row,
                kinds: kinds(list),
            };
            let telling = rows(list, &known, text.contains("contains_any"));
            found.extend(telling.take(ROWS_MAX - before.min(ROWS_MAX)).map(|cells| row(Some(cells))));
            if found.len() == before {
                found.push(row(None));
            }
        }
        found
    }
}

/// Rows whose key is a value of the event, or is put together of some (`unit:class`); or, of lists of words, stands in one.
fn rows<'l>(
    list: &'l List,
    known: &'l BTreeSet<String>,
    are_words: bool,
) -> impl Iterator<Item = Map<String, Value>> + use<'l> {
    let (columns, key) = list.shape();
    let tells = move |cell: &str| {
        let name = normal_name(cell);
        let is_one = known.contains(&*name);
        let is_several = || name.contains(':') && name.split(':').all(|part| known.contains(part));
        is_one
            || is_several()
            || (are_words && !name.is_empty() && known.iter().any(|text| text.contains(&*name)))
    };
    let telling = list.rows().filter(move |cells| cells.get(key).is_some_and(|cell| tells(cell)));
    telling.map(move |cells| {
        let pairs = columns.iter().zip(cells);
        pairs.map(|((name, _), cell)| (name.clone(), Value::from(cell))).collect()
    })
}

fn kinds(list: &List) -> Kinds {
    let mut kinds = Kinds::default();
    list.shape().0.iter().for_each(|(name, kind)| kinds.add(name, kind.personal()));
    kinds
}

/// Everything in a rule that can name a list, in one text.
fn written(rule: &Rule) -> String {
    let conditions =
        rule.filter.iter().chain([&rule.when]).chain(rule.exceptions.iter().map(|one| &one.when));
    let mut texts: Vec<String> = conditions.map(|placed| placed.text.clone()).collect();
    match &rule.view {
        View::Schedule(schedule) => texts.push(schedule.sql.text.clone()),
        view => texts.push(format!("{view:?}")),
    }
    let params = rule.params.iter().map(|(_, param)| Param::to_json(param));
    texts.extend(params.filter_map(|param| Some(format!("'{}'", param.as_str()?))));
    texts.join("\n")
}
