//! One meaning a name: no two types that other files can name share one.

use std::{collections::BTreeMap, path::Path, sync::LazyLock};

use regex::Regex;

use crate::support::source_files;

/// Where a type begins that other files can name. What is declared further in is a type of a trait or of a function.
static TYPES: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?m)^pub(?:\(crate\))? (?:struct|enum|union|type|trait) (\w+)").unwrap());

/// The names of the types that a file declares for others. Arguments of commands are called after their commands.
fn types(code: &str) -> Vec<&str> {
    let code = code.split("#[cfg(test)]\nmod ").next().unwrap();
    let names = TYPES.captures_iter(code).map(|found| found.get(1).unwrap().as_str());
    names.filter(|name| !name.ends_with("Args")).collect()
}

#[test]
fn a_name_has_one_meaning() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (path, text) in source_files(&source) {
        let file = path.strip_prefix(&source).unwrap().to_str().unwrap().to_owned();
        if path.extension().is_some_and(|e| e == "rs") && !file.contains("tests") {
            types(&text)
                .into_iter()
                .for_each(|name| places.entry(name.to_owned()).or_default().push(file.clone()));
        }
    }
    assert!(places.len() > 800, "only {} types are read", places.len());
    let shared = places.iter().filter(|(_, files)| files.len() > 1);
    let wrong: Vec<String> = shared
        .map(|(name, files)| format!("{name} is {} types: {}", files.len(), files.join(", ")))
        .collect();
    assert!(wrong.is_empty(), "call each by a name of its own:\n{}", wrong.join("\n"));
}

#[test]
fn types_that_others_can_name_are_seen() {
    let code = "pub struct A;\npub(crate) enum B {}\nstruct C;\npub(super) struct D;\npub(crate) struct ListArgs {}\n    type E = u8;\n";
    assert_eq!(types(code), ["A", "B"]);
}

/// Of two schemas with one name, the description of the API has one: whoever generates a client from it sends the wrong body.
#[test]
fn a_schema_of_the_api_has_a_name_of_its_own() {
    let declared = Regex::new(
        r"#\[derive\(([^)]*)\)\]\s*((?:#\[[^\]]*\]\s*|///[^\n]*\n\s*)*)pub(?:\([^)]*\))? (?:struct|enum) (\w+)",
    )
    .unwrap();
    let renamed = Regex::new(r"schema\([^)]*as = (\w+)").unwrap();
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (path, text) in source_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        for found in declared.captures_iter(&text).filter(|found| found[1].contains("ToSchema")) {
            let name = renamed.captures(&found[2]).map_or(found[3].to_owned(), |name| name[1].to_owned());
            places.entry(name).or_default().push(path.display().to_string());
        }
    }
    assert!(places.len() > 150, "only {} schemas are read", places.len());
    let shared: Vec<_> = places.iter().filter(|(_, files)| files.len() > 1).collect();
    assert!(shared.is_empty(), "{shared:#?}");
}
