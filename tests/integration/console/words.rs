//! Whatever stands in the audit log is called something in the console, in both languages.

use std::{collections::BTreeSet, fs, path::Path};

use fiscwatch::access::Action;
use regex::Regex;

use crate::support::source_files;

/// The acts that a language of the console has words for.
fn called(language: &str) -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join(format!("console/src/text/{language}.ts"))).unwrap();
    let audit = text.split_once("\n  audit: {").unwrap().1;
    let acts = audit.split_once("\n    actions: {").unwrap().1.split_once("\n    }").unwrap().0;
    let act = Regex::new(r#"(?m)^\s+"?([a-z_.]+)"?:"#).unwrap();
    act.captures_iter(acts).map(|found| found[1].to_owned()).collect()
}

/// The acts that the program records: those of the table of access, and those that stand as words where something is recorded.
fn recorded() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rooms: BTreeSet<&str> = Action::ALL.iter().filter_map(|act| act.word().split('.').next()).collect();
    let place = Regex::new(r"=>|Deed|record\(|tell\(|const [A-Z_]+: &str|action").unwrap();
    let word = Regex::new(r#""([a-z_]+)\.([a-z_]+)""#).unwrap();
    // Names of files and settings, which look the same.
    let others =
        ["alerts.officers", "answer.css", "audit.key", "audit.removed", "events.jsonl", "events.parquet"];
    let mut acts: BTreeSet<String> = Action::ALL.iter().map(|act| act.word().to_owned()).collect();
    for (_, text) in source_files(&root.join("src")) {
        let own = text.split("#[cfg(test)]").next().unwrap_or_default();
        for line in own.lines().filter(|line| place.is_match(line)) {
            let found = word.captures_iter(line).filter(|found| rooms.contains(&found[1]));
            let names = found.map(|found| format!("{}.{}", &found[1], &found[2]));
            acts.extend(names.filter(|name| !others.contains(&name.as_str())));
        }
    }
    acts
}

#[test]
fn every_act_in_the_audit_log_has_its_words_in_both_languages() {
    let acts = recorded();
    for act in ["approvals.in_force", "approvals.failed", "overrides.propose", "works.file", "budget.settle"]
    {
        assert!(acts.contains(act), "{act} is recorded, and was not found");
    }
    for language in ["zh", "en"] {
        let called = called(language);
        let nameless: Vec<&String> = acts.difference(&called).collect();
        assert!(nameless.is_empty(), "console/src/text/{language}.ts says nothing of {nameless:?}");
    }
}
