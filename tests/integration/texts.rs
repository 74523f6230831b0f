//! The table of texts is whole: what the code says in English has its Chinese, and nothing in the table is left over.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use fiscwatch::text;

use crate::support::source_files;

/// Every text in `say!("…")` of the sources, where it stands, and the names that it gets values for.
fn calls() -> Vec<(String, String, BTreeSet<String>)> {
    let call = regex::Regex::new(r#"say!\s*\(\s*"((?:[^"\\]|\\(?s:.))*)""#).unwrap();
    let mut calls = Vec::new();
    for (path, source) in source_files(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))) {
        if path.ends_with("text/mod.rs") {
            continue;
        }
        for found in call.captures_iter(&source) {
            let all = found.get(0).unwrap();
            let line = source[..all.start()].lines().count();
            calls.push((
                literal(&found[1]),
                format!("{}:{line}", path.display()),
                given(&source[all.end()..]),
            ));
        }
    }
    calls
}

/// The names in what follows the text of a call, up to its closing parenthesis: `, id, path = path.display())`.
fn given(rest: &str) -> BTreeSet<String> {
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    let mut quoted = false;
    let mut characters = rest.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' if quoted => {
                characters.next();
            }
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' | '[' | '{' => depth += 1,
            ')' if depth == 0 => {
                parts.push(&rest[start..at]);
                break;
            }
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&rest[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    let name = |part: &str| part.split('=').next().unwrap_or_default().trim().to_owned();
    parts.into_iter().map(name).filter(|name| !name.is_empty()).collect()
}

fn said() -> BTreeMap<String, String> {
    calls().into_iter().map(|(text, place, _)| (text, place)).collect()
}

#[test]
fn every_name_in_a_text_gets_a_value() {
    let mut wrong = Vec::new();
    for (english, place, given) in calls() {
        let named: BTreeSet<String> = text::placeholders(&english).into_iter().map(Into::into).collect();
        if named != given {
            wrong.push(format!("{place}: {english:?} names {named:?}, and gets {given:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Folders whose messages all go through `say!`.
const ROOMS: [&str; 14] = [
    "src/access",
    "src/alert",
    "src/app",
    "src/cli",
    "src/config",
    "src/engine",
    "src/event",
    "src/http",
    "src/notify",
    "src/personal",
    "src/rule",
    "src/source",
    "src/store",
    "src/trial",
];

#[test]
fn no_message_stays_english_by_itself() {
    // What shows its text to people, with words in it.
    let shows = r"(?:bail!|anyhow!|ensure!|println!|context|Err|Problem::\w+|error)\(\s*(?:String::from\(|format!\()?\s*";
    let words = r#""((?:[^"\\]|\\(?s:.))*)""#;
    let message = regex::Regex::new(&format!("{shows}{words}")).unwrap();
    let placeholder = regex::Regex::new(r"\{[^}]*\}").unwrap();
    let english = regex::Regex::new("[a-z]{2,} [a-z]{2,}").unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut left = Vec::new();
    for (path, source) in ROOMS.iter().flat_map(|room| source_files(&root.join(room))) {
        let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        // Log lines are for whoever runs the daemon, and stay English.
        let source = source.split("#[cfg(test)]").next().unwrap_or_default().replace("tracing::error", "");
        for found in message.captures_iter(&source) {
            let line = source[..found.get(0).unwrap().start()].lines().count();
            if english.is_match(&placeholder.replace_all(&found[1], "")) {
                left.push(format!("{name}:{line}: {}", &found[1]));
            }
        }
    }
    assert!(left.is_empty(), "{}", left.join("\n"));
}

/// A string literal's text as the compiler reads it.
fn literal(quoted: &str) -> String {
    let mut text = String::new();
    let mut rest = quoted.chars().peekable();
    while let Some(c) = rest.next() {
        match (c, if c == '\\' { rest.next() } else { None }) {
            ('\\', Some('n')) => text.push('\n'),
            ('\\', Some('\n')) => while rest.next_if(|c| c.is_whitespace()).is_some() {},
            ('\\', Some(escaped)) => text.push(escaped),
            (plain, _) => text.push(plain),
        }
    }
    text
}

#[test]
fn every_text_has_its_chinese_with_the_same_placeholders() {
    let said = said();
    let table = text::table();
    assert!(!said.is_empty(), "no say! was found: the search is broken");
    let mut wrong = Vec::new();
    for (english, place) in &said {
        match table.get(english) {
            None => wrong.push(format!("{place}: no Chinese for {english:?}")),
            Some(chinese) if text::placeholders(chinese) != text::placeholders(english) => {
                wrong.push(format!("{place}: other placeholders in {chinese:?}"));
            }
            Some(_) => {}
        }
    }
    // Beside what is said there are doc comments that people read.
    let mut help = fiscwatch::cli::help_texts();
    help.extend(fiscwatch::config::reference_texts());
    let silent = help.iter().filter(|english| !table.contains_key(*english));
    wrong.extend(silent.map(|english| format!("help or configuration: no Chinese for {english:?}")));
    let left_over = table.keys().filter(|english| !said.contains_key(*english) && !help.contains(*english));
    wrong.extend(left_over.map(|english| format!("src/text/zh: nobody says {english:?}")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_text_stands_once_in_the_table() {
    let mut seen = BTreeMap::new();
    for (path, file) in source_files(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/text/zh"))) {
        for (number, line) in file.lines().enumerate().filter(|(_, line)| line.starts_with('"')) {
            let key = line.split("\": ").next().unwrap().to_owned();
            let place = format!("{}:{}", path.display(), number + 1);
            if let Some(before) = seen.insert(key, place.clone()) {
                panic!("{place} repeats {before}");
            }
        }
    }
}
