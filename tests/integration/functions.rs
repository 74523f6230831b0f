//! Functions fit on a screen: what is longer yet is listed here, and the list only grows shorter.

use std::{collections::BTreeMap, path::Path, sync::LazyLock};

use regex::Regex;

use crate::support::source_files;

/// The most lines of a function.
const LINES_MAX: usize = 60;

/// Functions that are longer yet, and how long they may be. A number here only falls. One that lists what there is, a row each,
/// stays.
const LONGER: &[(&str, &str, usize)] = &[
    ("app/output.rs", "commit", 75),
    ("config/resolve.rs", "resolve", 95),
    ("daemon/shared.rs", "new", 65),
    ("engine/pipeline/windows.rs", "run", 90),
    ("evaluate/aggregate/pack.rs", "pack_lane", 80),
    ("evaluate/closing/floating.rs", "observe", 65),
    ("telemetry/registered.rs", "new", 365),
];

/// Where a function begins.
static BEGINS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^( *)(?:pub(?:\(\w+\))? )?(?:const |async |unsafe )*fn (\w+)").unwrap());

/// The functions of a formatted file with their lines: each ends at the brace that stands as far in as it begins.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.split("#[cfg(test)]\nmod ").next().unwrap().lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(begin) = BEGINS.captures(line) else { continue };
        if line.ends_with('}') || line.ends_with(';') {
            continue;
        }
        let end = format!("{}}}", &begin[1]);
        let signature = format!("{})", &begin[1]);
        let of = lines[at..]
            .iter()
            .position(|line| *line == end || line.starts_with(&signature) && line.ends_with(';'));
        found.push((begin[2].to_owned(), of.map_or(1, |last| last + 1)));
    }
    found
}

#[test]
fn functions_fit_on_a_screen() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let longer: BTreeMap<(&str, &str), usize> =
        LONGER.iter().map(|(file, name, most)| ((*file, *name), *most)).collect();
    let (mut wrong, mut seen) = (Vec::new(), 0);
    let mut known: BTreeMap<(String, String), usize> = BTreeMap::new();
    for (path, text) in source_files(&source) {
        let file = path.strip_prefix(&source).unwrap().to_str().unwrap().to_owned();
        if path.extension().is_none_or(|e| e != "rs") || file.contains("tests") {
            continue;
        }
        for (name, lines) in functions(&text) {
            seen += 1;
            let most = longer.get(&(file.as_str(), name.as_str())).copied();
            if most.is_some() {
                let longest = known.entry((file.clone(), name.clone())).or_insert(0);
                *longest = lines.max(*longest);
            }
            if lines > most.unwrap_or(LINES_MAX) {
                wrong.push(format!("{file}: {name} has {lines} lines"));
            }
        }
    }
    for ((file, name), most) in longer {
        match known.get(&(file.to_owned(), name.to_owned())) {
            None => wrong.push(format!("{file}: {name} is listed and is not there")),
            Some(lines) if lines + 5 <= most => {
                wrong.push(format!("{file}: {name} has only {lines} lines now: its number here falls"));
            }
            Some(_) => {}
        }
    }
    assert!(seen > 3000, "only {seen} functions are read");
    assert!(wrong.is_empty(), "split what has several purposes:\n{}", wrong.join("\n"));
}

#[test]
fn a_long_function_is_seen() {
    let body = "        one();\n".repeat(70);
    let text = format!(
        "impl A {{\n    fn f(\n        a: u8,\n    ) -> u8 {{\n{body}    }}\n\n    fn g() {{}}\n}}\n"
    );
    assert_eq!(functions(&text), [("f".to_owned(), 74)]);
    assert_eq!(functions("trait T {\n    fn f(\n        a: u8,\n    ) -> u8;\n}\n"), [("f".to_owned(), 3)]);
}
