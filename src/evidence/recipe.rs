//! How the findings of a pack were made: all that the engine needs beside the events, the rule's text and the lists.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    event::{
        Currency, TimeDelta,
        time::{Calendar, NamedBy},
    },
    lists::{ColumnKind, List, Lists},
    rule::{
        Language, Param, RuleMode, RuleSet, agreed::Agreed, compile::Compiler, load, load::RuleAdjustment,
    },
    say,
};

/// What stands in `rule/recipe.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recipe {
    pub rule_id: String,
    /// Its mode when the pack was made.
    pub mode: RuleMode,
    /// Its constants as they were in force.
    pub params: BTreeMap<String, Constant>,
    /// Exceptions that people agreed on beside its text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<Agreed>,
    /// The reference lists that its text names.
    pub lists: BTreeMap<String, ListShape>,
    pub time_zone: String,
    /// `MM-DD`
    pub fiscal_year_start: String,
    pub fiscal_year_named_by: NamedBy,
    pub language: Language,
    pub currency: String,
    /// How much later than others an event may be.
    pub lateness: TimeDelta,
}

/// A constant with its kind: a text is no number that looks the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Constant {
    Number(String),
    Text(String),
    Bool(bool),
    List(Vec<Constant>),
}

/// A list without its rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListShape {
    pub columns: Vec<(String, ColumnKind)>,
    /// The place of its key among them.
    pub key: usize,
    /// How many rows the list had; the pack may have fewer.
    pub rows: usize,
}

impl From<&Param> for Constant {
    fn from(param: &Param) -> Self {
        match param {
            Param::Number(text) => Self::Number(text.clone()),
            Param::Text(text) => Self::Text(text.clone()),
            Param::Bool(value) => Self::Bool(*value),
            Param::List(items) => Self::List(items.iter().map(Self::from).collect()),
        }
    }
}

impl From<&Constant> for Param {
    fn from(constant: &Constant) -> Self {
        match constant {
            Constant::Number(text) => Self::Number(text.clone()),
            Constant::Text(text) => Self::Text(text.clone()),
            Constant::Bool(value) => Self::Bool(*value),
            Constant::List(items) => Self::List(items.iter().map(Self::from).collect()),
        }
    }
}

/// Rows of lists by the lists' names.
pub(crate) type RowsByList = BTreeMap<String, Vec<Vec<String>>>;

impl Recipe {
    /// The calendar of the findings.
    ///
    /// # Errors
    /// If the recipe names none.
    pub(crate) fn calendar(&self) -> Result<Arc<Calendar>, String> {
        let (month, day) = self.fiscal_year_start.split_once('-').unwrap_or_default();
        let number = |text: &str| text.parse().unwrap_or(0);
        let calendar =
            Calendar::new(&self.time_zone, number(month), number(day)).map_err(|e| e.to_string())?;
        Ok(Arc::new(calendar.with_years_named_by(self.fiscal_year_named_by)))
    }

    /// The currency of the books.
    ///
    /// # Errors
    /// If it is none.
    pub(crate) fn currency(&self) -> Result<Currency, String> {
        Currency::of(&self.currency).ok_or_else(|| say!("the recipe names no currency"))
    }

    /// The rule, compiled with its constants and lists.
    ///
    /// # Errors
    /// In words, if the text has no such rule, or something is wrong with it.
    pub(crate) fn rules(&self, text: &str, rows: RowsByList) -> Result<Arc<RuleSet>, String> {
        let calendar = self.calendar()?;
        let compiler = Compiler::new(&calendar, self.lists(rows)?, self.language);
        let mode = Some(self.mode);
        let params = self.params.iter().map(|(name, value)| (name.clone(), Param::from(value)));
        let adopted = self.exceptions.iter().map(Agreed::entry).collect();
        let changes = RuleAdjustment { mode, params: params.collect(), adopted };
        let set = load::one_of_text((super::RULE, text), &self.rule_id, &compiler, &calendar, &changes);
        let words = |problems: Vec<crate::diagnostic::Diagnostic>| {
            problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        set.map(Arc::new).map_err(words)
    }

    fn lists(&self, mut rows: RowsByList) -> Result<Lists, String> {
        let mut lists = Lists::default();
        for (name, shape) in &self.lists {
            let rows = rows.remove(name).unwrap_or_default();
            let list = List::made(shape.columns.clone(), shape.key, rows.into_iter());
            lists.insert(name, list.ok_or_else(|| say!("the list {name} has no such key", name))?);
        }
        Ok(lists)
    }
}
