//! The table of texts is whole: what the code says in English has its Chinese, and nothing in the table is left over.

use std::{collections::BTreeMap, path::Path};

use fiscwatch::text;

use crate::support::source_files;

/// Every text in `say!("…")` of the sources, and where it stands.
fn said() -> BTreeMap<String, String> {
    let call = regex::Regex::new(r#"say!\s*\(\s*"((?:[^"\\]|\\(?s:.))*)""#).unwrap();
    let mut texts = BTreeMap::new();
    for (path, source) in source_files(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))) {
        if path.ends_with("text/mod.rs") {
            continue;
        }
        for found in call.captures_iter(&source) {
            let line = source[..found.get(0).unwrap().start()].lines().count();
            texts.insert(literal(&found[1]), format!("{}:{line}", path.display()));
        }
    }
    texts
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
