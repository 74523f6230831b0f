//! The text of a rule as somebody wrote it: its part of the file, or the whole file where the part does not stand alone.

use std::path::PathBuf;

use super::recipe::{Constant, ListShape, Recipe, RowsByList};
use crate::{
    config::Config,
    diagnostic::read_text,
    lists::Lists,
    rule::{Param, Rule, load, parse},
    say,
    sql::functions::HOLIDAYS,
    yaml::Document,
};

/// A rule's text with its recipe.
pub(crate) struct RuleText {
    pub text: String,
    pub recipe: Recipe,
}

/// Finds the text of a rule that is in force.
///
/// # Errors
/// In words, if no file gives that rule any more.
pub(crate) fn written(config: &Config, rule: &Rule, lists: &Lists) -> Result<RuleText, String> {
    let files: Vec<PathBuf> = load::files(&config.rule_paths).into_iter().collect();
    for file in files {
        let Ok(text) = read_text(&file) else { continue };
        for text in parts(&text, config, &rule.id) {
            let written = RuleText { recipe: recipe(config, rule, &text, lists), text };
            let again = written.recipe.rules(&written.text, whole(lists, &written.recipe));
            if again.is_ok_and(|set| set.rules.iter().any(|compiled| compiled.rule.digest() == rule.digest()))
            {
                return Ok(written);
            }
        }
    }
    Err(say!("the text of the rule {id} is not in the files of the configuration any more", id = rule.id))
}

/// The part of a file that is the rule, as narrow as it may stand alone, and then the whole.
fn parts(text: &str, config: &Config, id: &str) -> Vec<String> {
    let (mut document, root) = Document::parse(super::RULE, text);
    let rules = root.map(|root| parse::rules(&mut document, &root, &config.calendar)).unwrap_or_default();
    let Some(rule) = rules.iter().find(|rule| rule.id == id) else { return Vec::new() };
    let (first, last) = (rule.span.start.line(), rule.span.end.line());
    let lines: Vec<&str> = text.lines().collect();
    let cut = |last: usize| {
        let lines = lines.get(first.saturating_sub(1)..last.min(lines.len()))?;
        Some(format!("rules:\n{}\n", lines.join("\n").trim_end()))
    };
    let parts = [cut(last.saturating_sub(1)), cut(last), Some(text.to_owned())];
    parts.into_iter().flatten().collect()
}

fn recipe(config: &Config, rule: &Rule, text: &str, lists: &Lists) -> Recipe {
    let words: Vec<_> = text.split(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '-')).collect();
    // Working days are counted by a list that nobody names, and a constant may be the name of one.
    let in_constant =
        |name: &str| rule.params.iter().any(|(_, param)| matches!(param, Param::Text(text) if text == name));
    let named = lists.names().filter(|name| words.contains(name) || *name == HOLIDAYS || in_constant(name));
    let shape = |name: &str| {
        let list = lists.get(name)?;
        let (columns, key) = list.shape();
        Some((name.to_owned(), ListShape { columns: columns.to_vec(), key, rows: list.len() }))
    };
    let calendar = &config.calendar;
    Recipe {
        rule_id: rule.id.clone(),
        mode: rule.mode,
        params: rule.params.iter().map(|(name, value)| (name.clone(), Constant::from(value))).collect(),
        exceptions: rule.exceptions.iter().filter_map(|exception| exception.agreed.clone()).collect(),
        lists: named.filter_map(shape).collect(),
        time_zone: calendar.zone_name.clone(),
        fiscal_year_start: calendar.fiscal_year_start_text(),
        fiscal_year_named_by: calendar.fiscal_year_named_by(),
        language: config.language,
        currency: config.currency.code().to_owned(),
        lateness: config.lateness,
    }
}

/// All rows of the lists of a recipe.
pub(crate) fn whole(lists: &Lists, recipe: &Recipe) -> RowsByList {
    let rows = |name: &String| {
        let owned = |row: Vec<&str>| row.into_iter().map(str::to_owned).collect();
        Some((name.clone(), lists.get(name)?.rows().map(owned).collect()))
    };
    recipe.lists.keys().filter_map(rows).collect()
}
