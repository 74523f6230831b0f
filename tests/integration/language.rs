//! What the command line says, in the language of its user.

use std::{fs, path::Path};

use crate::support::{fiscwatch, run};

/// Runs the binary as somebody with these variables does.
fn spoken(dir: &Path, variables: &[(&str, &str)], args: &[&str]) -> (Option<i32>, String) {
    let mut command = fiscwatch();
    for name in ["FISCWATCH_LANG", "LC_ALL", "LC_MESSAGES", "LANG"] {
        command.env_remove(name);
    }
    // Help is laid out for this width.
    command.env("COLUMNS", "80").envs(variables.iter().copied());
    let output = command.current_dir(dir).args(args).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[test]
fn help_is_chinese_for_a_chinese_reader() {
    let dir = tempfile::tempdir().unwrap();
    let (code, page) = spoken(dir.path(), &[("LANG", "zh_CN.UTF-8")], &["--help"]);
    assert_eq!(code, Some(0), "{page}");
    insta::assert_snapshot!("help", page);
    let (code, page) = spoken(dir.path(), &[], &["alerts", "--help", "--lang", "zh"]);
    assert_eq!(code, Some(0), "{page}");
    insta::assert_snapshot!("help_alerts", page);
    let (code, page) = spoken(dir.path(), &[], &["--lang=zh", "help", "budget", "top"]);
    assert_eq!(code, Some(0), "{page}");
    insta::assert_snapshot!("help_budget_top", page);
}

/// English of clap's own, or a text without its Chinese, anywhere on a page.
#[test]
fn no_page_of_help_mixes_languages() {
    let dir = tempfile::tempdir().unwrap();
    let own =
        ["Usage", "Options", "Commands", "Arguments", "possible values", "default:", "env:", "[OPTIONS]"];
    let mut waiting = vec![Vec::new()];
    let mut pages = 0;
    while let Some(path) = waiting.pop() {
        let mut args: Vec<&str> = path.iter().map(String::as_str).collect();
        args.extend(["--help", "--lang", "zh"]);
        let (code, page) = spoken(dir.path(), &[], &args);
        assert_eq!(code, Some(0), "{path:?}: {page}");
        let found: Vec<_> = own.iter().filter(|word| page.contains(*word)).collect();
        assert!(found.is_empty(), "{path:?} has {found:?}:\n{page}");
        pages += 1;
        let commands =
            page.split("命令:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap_or_default();
        let names = commands.lines().filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next());
        for name in names.filter(|name| *name != "help") {
            waiting.push(path.iter().cloned().chain([name.to_owned()]).collect());
        }
    }
    assert!(pages > 40, "only {pages} pages were found");
}

#[test]
fn a_wrong_command_line_is_told_in_our_words() {
    let dir = tempfile::tempdir().unwrap();
    let lines: [&[&str]; 14] = [
        &["alerts", "lsit"],
        &["alerts", "list", "--sevrity", "high"],
        &["alerts", "list", "--severity", "hihg"],
        &["alerts", "list", "--severity"],
        &["alerts", "list", "--limit", "many"],
        &["alerts", "list", "--limit", "-1"],
        &["alerts", "list", "something"],
        &["alerts", "ack"],
        &["backtest", "--rules", "rules"],
        &["silence", "add", "--match", "rule=\"a\"", "--why", "x", "--for", "soon"],
        &["notify", "list", "--state", "sent", "--parked"],
        &["generate", "--out", "x", "--start", "2026-13-01"],
        &["demo", "--listen", "here"],
        &["run", "--once", "--once"],
    ];
    let mut told = String::new();
    for language in ["en", "zh"] {
        for args in lines {
            let (code, text) = spoken(dir.path(), &[("FISCWATCH_LANG", language), ("USER", "li")], args);
            assert_eq!(code, Some(2), "{args:?}: {text}");
            told += &format!("$ fiscwatch {}\n{text}\n", args.join(" "));
        }
    }
    insta::assert_snapshot!("wrong_usage", told);
}

/// A bureau's folder: the example's events and rule, and a configuration without the shipped rules.
fn bureau(dir: &Path) {
    let example = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/config/example"));
    for file in ["drop/events.jsonl", "my-rules/over.yaml", "my-rules/tests/over.yaml"] {
        fs::create_dir_all(dir.join(file).parent().unwrap()).unwrap();
        fs::copy(example.join(file), dir.join(file)).unwrap();
    }
    fs::create_dir(dir.join("config")).unwrap();
    let config = "\
language: zh
log: { level: error }
state: { dir: ../state }
rules: { paths: [../my-rules] }
sources:
  - { name: drop, directory: { path: ../drop } }
sinks:
  - { name: console, log: {} }
routes: { sinks: [console], group_wait: 0s }
";
    fs::write(dir.join("config/fiscwatch.yaml"), config).unwrap();
}

#[test]
fn commands_answer_a_chinese_reader_in_chinese() {
    let dir = tempfile::tempdir().unwrap();
    bureau(dir.path());
    let english = regex::Regex::new("[A-Za-z]{2,} [a-z]{2,} [a-z]{2,}").unwrap();
    let lines: [(&[&str], i32); 31] = [
        (&["check"], 0),
        (&["test"], 0),
        (&["backtest", "--events", "drop/events.jsonl"], 0),
        (&["backtest", "--events", "drop/events.jsonl", "--from", "gestern"], 2),
        (&["backtest", "--events", "nothing.jsonl"], 1),
        (&["backtest", "--events", "drop/events.jsonl", "--compare", "my-rules", "my-rules"], 0),
        (&["tune", "overspent", "--events", "drop/events.jsonl"], 0),
        (&["tune", "overspent", "--events", "drop/events.jsonl", "--alerts-a-day", "1"], 0),
        (&["tune", "nothing", "--events", "drop/events.jsonl"], 1),
        (&["tune", "overspent", "--param", "rat", "--events", "drop/events.jsonl"], 1),
        (&["forecast", "--events", "drop/events.jsonl"], 0),
        (&["run", "--once"], 0),
        (&["budget", "show", "L1"], 0),
        (&["budget", "show", "L9"], 1),
        (&["budget", "show", "L1", "--at", "gestern"], 1),
        (&["budget", "top"], 0),
        (&["findings", "list"], 0),
        (&["alerts", "list"], 0),
        (&["alerts", "show", "nothing"], 1),
        (
            &[
                "silence",
                "add",
                "--match",
                "rule=\"overspent\"",
                "--for",
                "2h",
                "--why",
                "盘点",
                "--by",
                "王芳",
            ],
            0,
        ),
        (&["silence", "add", "--match", "rule=~\".*\"", "--for", "2h", "--why", "盘点", "--by", "王芳"], 2),
        (&["silence", "list"], 0),
        (&["silence", "expire", "7", "--by", "王芳"], 1),
        (&["notify", "list"], 0),
        (&["notify", "preview"], 0),
        (&["routes", "show"], 0),
        (&["routes", "test", "--alert", "rule=overspent"], 0),
        (&["rejects", "list"], 0),
        (&["state", "info"], 0),
        (&["state", "verify", "--findings"], 0),
        (&["state", "query", "SELECT nothing FROM payments"], 1),
    ];
    let ours = regex::Regex::new("fiscwatch( [a-z]+)+").unwrap();
    let mut mixed = Vec::new();
    for (args, wanted) in lines {
        let (code, text) = spoken(dir.path(), &[("LANG", "zh_CN.UTF-8")], args);
        assert_eq!(code, Some(wanted), "{args:?}: {text}");
        let found = text.lines().filter(|line| english.is_match(&ours.replace_all(line, "")));
        mixed.extend(found.map(|line| format!("{}: {line}", args.join(" "))));
    }
    assert!(mixed.is_empty(), "{}", mixed.join("\n"));
}

#[test]
fn the_language_that_is_asked_for_goes_before_the_configuration_and_the_locale() {
    let dir = tempfile::tempdir().unwrap();
    let chinese = |variables: &[(&str, &str)], args: &[&str]| {
        spoken(dir.path(), variables, args).1.contains("没有命令")
    };
    assert!(!chinese(&[], &["nothing"]));
    assert!(chinese(&[("LANG", "zh_CN.UTF-8")], &["nothing"]));
    assert!(!chinese(&[("LC_ALL", "C"), ("LANG", "zh_CN.UTF-8")], &["nothing"]));
    fs::create_dir(dir.path().join("config")).unwrap();
    fs::write(dir.path().join("config/fiscwatch.yaml"), "language: zh\n").unwrap();
    assert!(chinese(&[("LANG", "en_GB.UTF-8")], &["nothing"]));
    assert!(!chinese(&[("FISCWATCH_LANG", "en")], &["nothing"]));
    assert!(chinese(&[("FISCWATCH_LANG", "en")], &["--lang", "zh", "nothing"]));
}

#[test]
fn what_a_package_installs_is_english_unless_chinese_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let page = |variables: &[(&str, &str)], args: &[&str]| spoken(dir.path(), variables, args).1;
    assert!(page(&[("LANG", "zh_CN.UTF-8")], &["man"]).contains("Run the daemon"));
    assert!(page(&[], &["man", "--lang", "zh"]).contains("启动监控服务"));
    assert!(page(&[("LANG", "zh_CN.UTF-8")], &["completions", "fish"]).contains("Run the daemon"));
    assert!(page(&[], &["completions", "fish", "--lang", "zh"]).contains("启动监控服务"));
    let (code, _, err) = run(dir.path(), &["man", "--out", "man", "--lang", "zh"]);
    assert_eq!(code, Some(0), "{err}");
}
