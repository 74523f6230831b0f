//! What is written beside the code says what the code does.

use std::{collections::BTreeSet, fs, path::Path};

use fiscwatch::{telemetry::Metrics, text::Language};

use crate::support::run;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Whole names of ours in a text, without the endings of a histogram's series.
fn names(text: &str) -> BTreeSet<String> {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let known = |name: &str| {
        ["_bucket", "_count", "_sum"].iter().find_map(|end| name.strip_suffix(end)).map(str::to_owned)
    };
    text.match_indices("fiscwatch_")
        .map(|(at, _)| text[at..].chars().take_while(|c| word(*c)).collect::<String>())
        .map(|name| known(&name).unwrap_or(name))
        .collect()
}

fn metrics() -> BTreeSet<String> {
    Metrics::new().unwrap().described().into_iter().map(|metric| metric.name).collect()
}

#[test]
fn the_metrics_page_names_every_metric_with_its_labels() {
    let of_code: BTreeSet<String> = Metrics::new()
        .unwrap()
        .described()
        .into_iter()
        .map(|m| if m.labels.is_empty() { m.name } else { format!("{}{{{}}}", m.name, m.labels.join(",")) })
        .collect();
    let page = read("docs/metrics.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `fiscwatch_")?.split_once('`'));
    let of_page: BTreeSet<String> = rows.map(|(name, _)| format!("fiscwatch_{name}")).collect();
    assert_eq!(of_page, of_code, "docs/metrics.md has other metrics than the code");
}

#[test]
fn rules_and_dashboards_ask_for_metrics_that_exist() {
    let known = metrics();
    let mut files = vec![String::from("config/prometheus/fiscwatch.rules.yaml")];
    for entry in fs::read_dir(root().join("config/grafana/dashboards")).unwrap() {
        files.push(format!("config/grafana/dashboards/{}", entry.unwrap().file_name().to_string_lossy()));
    }
    for file in files {
        let unknown: Vec<_> = names(&read(&file)).into_iter().filter(|n| !known.contains(n)).collect();
        assert!(unknown.is_empty(), "{file}: {unknown:?}");
    }
}

#[test]
fn the_runbook_tells_of_every_alert() {
    let rules = read("config/prometheus/fiscwatch.rules.yaml");
    let runbook = read("docs/runbook.md");
    for name in rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        let url = format!("docs/runbook.md#{}", name.to_lowercase());
        assert!(rules.contains(&format!("{url}\n")), "{name} has no runbook_url");
        let chapter =
            runbook.split(&format!("## {name}\n")).nth(1).unwrap_or_else(|| panic!("no chapter {name}"));
        let chapter = chapter.split("\n## ").next().unwrap_or_default();
        assert!(chapter.contains("**Means**") && chapter.contains("**Do**"), "{name}: {chapter}");
    }
}

#[test]
fn the_configuration_page_is_made_from_the_code() {
    let pages = [("docs/configuration.md", Language::En), ("docs/zh/configuration.md", Language::Zh)];
    for (path, language) in pages {
        let page = crate::pages::with_contents(&fiscwatch::config::reference(language));
        if std::env::var_os("UPDATE_DOCS").is_some() {
            fs::write(root().join(path), &page).unwrap();
        }
        let differs = "is out of date: UPDATE_DOCS=1 cargo test --test integration documents";
        assert!(read(path) == page, "{path} {differs}");
    }
}

#[test]
fn the_command_line_documents_itself() {
    let dir = tempfile::tempdir().unwrap();
    let (code, _, err) = run(dir.path(), &["man", "--out", "man"]);
    assert_eq!(code, Some(0), "{err}");
    for page in ["fiscwatch.1", "fiscwatch-run.1", "fiscwatch-state-info.1"] {
        let text = fs::read_to_string(dir.path().join("man").join(page)).unwrap();
        assert!(text.contains(".SH SYNOPSIS"), "{page}: {text}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let (code, script, err) = run(dir.path(), &["completions", shell]);
        assert_eq!(code, Some(0), "{err}");
        assert!(script.contains("backtest"), "{shell}");
    }
}

/// The documents for users; each has its Chinese page.
const FOR_USERS: [(&str, &str); 13] = [
    ("README.md", "README.zh.md"),
    ("docs/alerts.md", "docs/zh/alerts.md"),
    ("docs/console.md", "docs/zh/console.md"),
    ("docs/decide.md", "docs/zh/decide.md"),
    ("docs/events.md", "docs/zh/events.md"),
    ("docs/feeds.md", "docs/zh/feeds.md"),
    ("docs/first-hour.md", "docs/zh/first-hour.md"),
    ("docs/notifications.md", "docs/zh/notifications.md"),
    ("docs/operations.md", "docs/zh/operations.md"),
    ("docs/questions.md", "docs/zh/questions.md"),
    ("docs/rules.md", "docs/zh/rules.md"),
    ("docs/runbook.md", "docs/zh/runbook.md"),
    ("docs/settlement.md", "docs/zh/settlement.md"),
];

/// What a page quotes: names and options in its prose, and the commands in its blocks without their remarks.
fn quoted(page: &str) -> BTreeSet<String> {
    let commands = ["fiscwatch", "cargo", "sudo", "systemctl", "journalctl", "curl", "scripts/", "chown"];
    let (mut fenced, mut prose, mut found) = (false, String::new(), BTreeSet::new());
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced || line.starts_with("    ") {
            let command = line.trim().split(" # ").next().unwrap_or_default().trim_end();
            if commands.iter().any(|first| command.starts_with(first)) {
                found.insert(command.to_owned());
            }
        } else {
            prose.push_str(line);
            prose.push('\n');
        }
    }
    let spans = prose.split('`').skip(1).step_by(2);
    found.extend(spans.map(|span| span.split_whitespace().collect::<Vec<_>>().join(" ")));
    found
}

#[test]
fn chinese_pages_name_what_the_english_ones_name() {
    for (english, chinese) in FOR_USERS {
        let (named, named_in_chinese) = (quoted(&read(english)), quoted(&read(chinese)));
        assert!(named.len() > 20, "{english}: nothing is found in it");
        let missing: Vec<_> = named.difference(&named_in_chinese).collect();
        let left_over: Vec<_> = named_in_chinese.difference(&named).collect();
        assert!(
            missing.is_empty() && left_over.is_empty(),
            "{chinese} lacks {missing:?}, and has {left_over:?} that {english} has not"
        );
        let chapters = |page: &str| read(page).lines().filter(|line| line.starts_with("##")).count();
        assert_eq!(chapters(chinese), chapters(english), "{chinese} has other chapters than {english}");
    }
}

#[test]
fn both_readmes_show_the_same_findings_of_the_demo() {
    // Time, mark, severity, and the rule; what it says is in another language.
    let shown = |page: &str| -> Vec<String> {
        let lines =
            read(page).lines().filter(|line| line.contains(" ● ")).map(str::to_owned).collect::<Vec<_>>();
        let rule = |line: &String| {
            let words: Vec<_> = line.split_whitespace().collect();
            format!("{} {} {}", words[0], words[1], words[4])
        };
        lines.iter().map(rule).collect()
    };
    assert!(!shown("README.md").is_empty());
    assert_eq!(shown("README.md"), shown("README.zh.md"));
}
