//! Tests as they are written, without playing them: events, lists and constants, and which rules are expected to find something.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use serde_json::{Map, Value};

use super::read;
use crate::{lists::Lists, yaml::Document};

/// A test as it is written.
#[derive(Debug)]
pub struct WrittenTest {
    /// What the test is called in its file.
    pub name: String,
    /// The rules that are expected to find something.
    pub finds: BTreeSet<String>,
    /// The rules named by `only` that are expected to find nothing.
    pub spares: BTreeSet<String>,
    /// Its events, with their defaults.
    pub events: Vec<Map<String, Value>>,
    /// The reference lists of its file.
    pub lists: Lists,
    /// Constants of its own, by rule.
    pub params: BTreeMap<String, Map<String, Value>>,
}

/// The tests of a file.
///
/// # Errors
/// What is wrong with the file.
pub fn written(path: &Path) -> Result<Vec<WrittenTest>, String> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
    let (mut document, root) = Document::parse(&file, &text);
    let folder = path.parent().unwrap_or(Path::new(""));
    let suite = root.and_then(|root| read::suite(&mut document, &root, folder));
    let Some(suite) = suite.filter(|_| document.problems.is_empty()) else {
        return Err(document.problems.iter().map(ToString::to_string).collect());
    };
    let one = |case: &read::RuleTest| {
        let finds: BTreeSet<_> = case.expected_rules().map(str::to_owned).collect();
        let only = case.only.iter().map(|only| only.text.clone());
        let params = case.params.iter().map(|(rule, params)| {
            let params = params.iter().map(|(name, value)| (name.text.clone(), value.to_json()));
            (rule.text.clone(), params.collect())
        });
        WrittenTest {
            name: case.name.text.clone(),
            // Where findings are not compared nothing is said of them.
            spares: only.filter(|id| case.expect.is_some() && !finds.contains(id)).collect(),
            finds,
            events: case.events.iter().map(|event| event.record.clone()).collect(),
            lists: suite.lists.clone(),
            params: params.collect(),
        }
    };
    Ok(suite.cases.iter().map(one).collect())
}
