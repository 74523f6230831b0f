//! Packs of the tests of the shipped rules: each finding of them is packed and made again.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::{Map, Value, json};

use super::{
    made,
    pack::{CaseFile, Material, PackManifest, event_lines, tried},
    recipe::{Constant, ListShape, Recipe, RowsByList},
    verify::verify,
};
use crate::{
    access::seal::SealKey,
    journal::layout::arrival,
    trial::unit_test::{TestReport, TestResult, played},
};

/// The tests of a shipped file, with the material of each rule that found something, once each.
fn materials(file: &str) -> Vec<Material> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    let path = root.join(file);
    let (mut materials, mut known) = (Vec::new(), BTreeSet::new());
    let report: TestReport = crate::trial::unit_test::run(std::slice::from_ref(&path));
    assert!(report.passed(), "{report}");
    for test in &report.tests {
        let ids: BTreeSet<&str> = test.findings.iter().map(|finding| finding.rule_id.as_str()).collect();
        let new = ids.into_iter().filter(|id| known.insert((*id).to_owned())).collect::<Vec<_>>();
        materials.extend(new.into_iter().map(|id| material(&path, test, id)));
    }
    materials
}

fn material(path: &Path, test: &TestResult, id: &str) -> Material {
    let played = played(path, &test.name).unwrap();
    let compiled = played.rules.rules.iter().find(|compiled| compiled.rule.id == id).unwrap();
    let lists = &played.rules.lists;
    let shape = |name: &str| {
        let list = lists.get(name).unwrap();
        let (columns, key) = list.shape();
        (name.to_owned(), ListShape { columns: columns.to_vec(), key, rows: list.len() })
    };
    let params = compiled.rule.params.iter();
    let recipe = Recipe {
        rule_id: id.to_owned(),
        mode: compiled.rule.mode,
        params: params.map(|(name, value)| (name.clone(), Constant::from(value))).collect(),
        exceptions: Vec::new(),
        lists: lists.names().map(shape).collect(),
        time_zone: played.calendar.zone_name.clone(),
        fiscal_year_start: played.calendar.fiscal_year_start_text(),
        fiscal_year_named_by: played.calendar.fiscal_year_named_by(),
        language: played.language,
        currency: String::from("CNY"),
        lateness: played.lateness,
    };
    let owned = |row: Vec<&str>| row.into_iter().map(str::to_owned).collect();
    let rows = |name: &str| (name.to_owned(), lists.get(name).unwrap().rows().map(owned).collect());
    let rows: RowsByList = lists.names().map(rows).collect();
    // The files of a rule pack are read together; the one with the rule is looked for.
    let text = played.files.iter().map(|file| fs::read_to_string(file).unwrap());
    let rule = text.into_iter().find(|text| text.contains(&format!("id: {id}"))).unwrap();
    let events: Vec<(i64, Map<String, Value>)> =
        test.events.iter().zip(0..).map(|(event, row)| (arrival(1, row), event.clone())).collect();
    let findings = test.findings.iter().filter(|finding| finding.rule_id == id).cloned().collect();
    let mut facts = PackManifest::new("a-test", id, (String::from("2026-03-01T00:00:00+08:00"), "tester"));
    facts.events = events.len();
    let case = CaseFile {
        alert: json!({ "alert_id": "a-test" }),
        files: vec![(Map::from_iter([(String::from("name"), json!("发票.pdf"))]), b"%PDF-1.7".to_vec())],
        ..CaseFile::default()
    };
    Material { facts, recipe, rule, rows, events, findings, case }
}

/// Files of tests that ship, with rules of every kind: on events and their lines, over what came before, on windows with and
/// without a baseline, on originals, and at a time.
const SHIPPED: [&str; 4] =
    ["tests/adjustments.yaml", "tests/cash.yaml", "tests/history.yaml", "tests/reversals.yaml"];

#[test]
fn what_shipped_rules_find_is_made_again_from_packs() {
    let key = SealKey::make();
    let (mut rules, mut findings) = (BTreeSet::new(), 0);
    for material in SHIPPED.iter().flat_map(|file| materials(file)) {
        let id = material.recipe.rule_id.clone();
        // What a rule finds in other findings and alerts, their rules found.
        if material.rule.contains("FROM findings") || material.rule.contains("FROM alerts") {
            continue;
        }
        let report = verify(&made(&material, &key).unwrap(), &[key.public()]);
        assert!(report.problems.is_empty(), "{id}: {:?}", report.problems);
        assert!(report.not_made_again.is_empty(), "{id}: {:?}", report.not_made_again);
        assert_eq!(report.same.len(), material.findings.len(), "{id}");
        findings += report.same.len();
        rules.insert(id);
    }
    assert!(rules.len() > 12 && findings > 12, "{} rules, {findings} findings", rules.len());
}

#[test]
fn changed_bytes_all_over_a_pack_are_seen() {
    let key = SealKey::make();
    let bytes = made(&materials(SHIPPED[0]).remove(0), &key).unwrap();
    assert!(verify(&bytes, &[key.public()]).problems.is_empty());
    // Each bit of a container is tried in `archive.rs`; here the whole check is made.
    for at in (0..bytes.len()).step_by(37) {
        let mut other = bytes.clone();
        other[at] ^= 1 << (at % 8);
        assert!(!verify(&other, &[]).problems.is_empty(), "byte {at}");
    }
    for end in (0..bytes.len()).step_by(997) {
        assert!(!verify(&bytes[..end], &[]).problems.is_empty(), "cut at {end}");
    }
    assert!(!verify(&bytes, &[SealKey::make().public()]).problems.is_empty());
}

#[test]
fn a_pack_that_lies_under_a_good_signature_is_found_out() {
    let key = SealKey::make();
    let honest = materials(SHIPPED[0]).remove(0);
    // Whoever has the key can sign anything; the finding does not follow from other events.
    let mut files = super::pack::files(&honest).unwrap();
    let events = event_lines(&honest.events);
    let changed = String::from_utf8(events.to_vec())
        .unwrap()
        .lines()
        .skip(1)
        .fold(String::new(), |all, line| all + line + "\n");
    files.insert(super::EVENTS.to_owned(), changed.into_bytes());
    super::seal::seal(&mut files, &key).unwrap();
    let report = verify(&super::archive::write(&files).unwrap(), &[key.public()]);
    assert!(!report.problems.is_empty());
    assert!(report.same.len() < honest.findings.len());
}

#[test]
fn what_cannot_be_made_again_is_said_and_not_claimed() {
    let mut material = materials(SHIPPED[0]).remove(0);
    let finding = &mut material.findings[0];
    finding.summary.push('!');
    let (id, findings) = (finding.finding_id.clone(), material.findings.clone());
    let (same, others) =
        tried(&material.recipe, (&material.rule, &material.rows), &event_lines(&material.events), &findings);
    assert!(!same.contains(&id) && others.contains_key(&id));
    let key = SealKey::make();
    let report = verify(&made(&material, &key).unwrap(), &[key.public()]);
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    assert!(report.not_made_again[&id].contains("summary"));
    // Persons in part: the pack is whole, and proves nothing but itself.
    material.facts.masked = true;
    let report = verify(&made(&material, &key).unwrap(), &[key.public()]);
    assert!(report.problems.is_empty() && report.same.is_empty());
}
