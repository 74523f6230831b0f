//! One meaning a name: what two types are called is listed here, and the list only grows shorter.

use std::{collections::BTreeMap, path::Path, sync::LazyLock};

use regex::Regex;

use crate::support::source_files;

/// Names that several types of the crate have, each in a room of its own, and how many. A number here only falls, and a name that
/// stands once leaves the list.
const SEVERAL: &[(&str, usize)] = &[
    ("Act", 2),
    ("Action", 2),
    ("Again", 2),
    ("Anomaly", 2),
    ("Answer", 3),
    ("Applications", 2),
    ("Asked", 5),
    ("Audit", 2),
    ("Balances", 2),
    ("Beside", 2),
    ("Body", 2),
    ("By", 4),
    ("Case", 4),
    ("Cell", 3),
    ("Changes", 4),
    ("Choice", 2),
    ("Closing", 2),
    ("Column", 2),
    ("Columns", 4),
    ("Compared", 2),
    ("Condition", 3),
    ("Conjunct", 2),
    ("Context", 2),
    ("Course", 2),
    ("Deed", 2),
    ("Difference", 3),
    ("Done", 2),
    ("Door", 2),
    ("End", 2),
    ("Entry", 4),
    ("EntryView", 2),
    ("Event", 2),
    ("EventType", 2),
    ("ExceptionView", 2),
    ("Facts", 2),
    ("Failed", 3),
    ("Fault", 3),
    ("Figures", 3),
    ("FindingTimes", 2),
    ("Forecasts", 2),
    ("Form", 3),
    ("Format", 2),
    ("Given", 2),
    ("Group", 4),
    ("GroupKey", 2),
    ("Groups", 2),
    ("Held", 3),
    ("History", 2),
    ("Id", 2),
    ("Identity", 2),
    ("InForce", 2),
    ("Incoming", 2),
    ("Key", 2),
    ("Kind", 6),
    ("Known", 2),
    ("Label", 2),
    ("Labels", 2),
    ("Late", 2),
    ("Layout", 2),
    ("Level", 2),
    ("Limits", 4),
    ("Line", 2),
    ("Listed", 5),
    ("Lists", 2),
    ("Log", 2),
    ("Look", 2),
    ("Lost", 2),
    ("Manifest", 3),
    ("Matter", 2),
    ("Measure", 2),
    ("Measured", 2),
    ("Method", 2),
    ("Mode", 3),
    ("Moment", 2),
    ("Names", 2),
    ("News", 3),
    ("NotBegun", 2),
    ("NotTaken", 2),
    ("Offer", 2),
    ("Order", 4),
    ("Outcome", 4),
    ("Output", 2),
    ("Override", 2),
    ("Part", 2),
    ("Payee", 2),
    ("Place", 5),
    ("Places", 2),
    ("Position", 2),
    ("Proposal", 2),
    ("Proposed", 2),
    ("Published", 2),
    ("Question", 2),
    ("Raw", 2),
    ("Reader", 3),
    ("Record", 3),
    ("Refusal", 2),
    ("Replay", 2),
    ("Report", 5),
    ("Resolved", 2),
    ("Role", 2),
    ("Route", 2),
    ("Row", 2),
    ("Rows", 10),
    ("Scan", 2),
    ("Score", 2),
    ("Sealing", 2),
    ("Seen", 2),
    ("Session", 2),
    ("Settings", 2),
    ("Shape", 4),
    ("Shared", 2),
    ("Sheet", 2),
    ("Shown", 2),
    ("Stamp", 2),
    ("Standing", 3),
    ("State", 4),
    ("Status", 2),
    ("Stored", 2),
    ("Stretch", 2),
    ("Summary", 2),
    ("Tail", 2),
    ("Text", 2),
    ("Times", 3),
    ("Tls", 3),
    ("Token", 2),
    ("Trial", 5),
    ("Tried", 2),
    ("Turn", 2),
    ("Unit", 2),
    ("Verdict", 4),
    ("Verdicts", 2),
    ("Versions", 2),
    ("Wait", 2),
    ("Wanted", 5),
    ("Watch", 3),
    ("Weight", 2),
    ("Window", 2),
    ("Wish", 2),
    ("Within", 2),
    ("Work", 2),
    ("Written", 3),
];

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
    let mut wrong = Vec::new();
    let mut listed: BTreeMap<&str, usize> = SEVERAL.iter().copied().collect();
    for (name, files) in &places {
        match (files.len(), listed.remove(name.as_str()).unwrap_or(1)) {
            (found, most) if found > most => {
                wrong.push(format!("{name} is {} types: {}", found, files.join(", ")));
            }
            (found, most) if found < most => {
                wrong.push(format!("{name} is only {found} now: its number here falls"));
            }
            _ => {}
        }
    }
    wrong.extend(listed.keys().map(|name| format!("{name} is listed and is no type")));
    assert!(wrong.is_empty(), "call each by a name of its own:\n{}", wrong.join("\n"));
}

#[test]
fn types_that_others_can_name_are_seen() {
    let code = "pub struct A;\npub(crate) enum B {}\nstruct C;\npub(super) struct D;\npub(crate) struct ListArgs {}\n    type E = u8;\n";
    assert_eq!(types(code), ["A", "B"]);
}
