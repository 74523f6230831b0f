//! What `check --reach` says of the shipped rules.

use std::collections::BTreeMap;

use crate::support::run;

#[test]
fn each_shipped_rule_is_local_or_spanning() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(run(dir.path(), &["init", "site"]).0, Some(0));
    let (code, out, err) = run(&dir.path().join("site"), &["check", "--reach"]);
    assert_eq!(code, Some(0), "{err}");
    let mut reach: BTreeMap<&str, &str> = BTreeMap::new();
    for line in out.lines() {
        let mut words = line.split("  ").map(str::trim).filter(|word| !word.is_empty());
        if let (Some(rule), Some(word @ ("one region" | "all regions"))) = (words.next(), words.next()) {
            reach.insert(rule, word);
        }
    }
    let rules: usize = out.split_whitespace().next().unwrap().parse().unwrap();
    assert_eq!(reach.len(), rules, "{out}");
    // One event and its line; a window of a unit; a window of a payee, who is paid everywhere; a query over all lines.
    for (rule, wanted) in [
        ("line-exhausted", "one region"),
        ("split-procurement", "one region"),
        ("new-or-dormant-payee", "all regions"),
        ("idle-funds", "all regions"),
    ] {
        assert_eq!(reach.get(rule).copied(), Some(wanted), "{rule}: {out}");
    }
}
