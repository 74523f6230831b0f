//! The pages of the documentation can be found one's way in: long ones begin with their contents, and links lead somewhere.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::support::source_files;

/// What begins a line of contents.
const CONTENTS: [&str; 2] = ["**On this page:** ", "**本页内容：** "];
/// A page with so many lines and headings has contents.
const LONG: (usize, usize) = (90, 4);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Markdown pages for readers: those at the top and below docs/ and rules/.
fn pages() -> Vec<(PathBuf, String)> {
    let top = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path());
    let mut pages: Vec<_> = top
        .filter(|path| path.extension().is_some_and(|e| e == "md"))
        .map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
        .collect();
    pages.extend(["docs", "rules"].iter().flat_map(|folder| source_files(&root().join(folder))));
    pages.retain(|(path, _)| path.extension().is_some_and(|e| e == "md"));
    pages
}

/// Headings of the second level, outside of code.
fn headings(text: &str) -> Vec<&str> {
    let mut fenced = false;
    let mut found = Vec::new();
    for line in text.lines() {
        fenced ^= line.starts_with("```");
        found.extend(line.strip_prefix("## ").filter(|_| !fenced));
    }
    found
}

/// The anchor that a heading gets: its letters and digits in lower case, blanks as hyphens.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The page with its contents before the first heading, if it is long.
pub fn with_contents(text: &str) -> String {
    let headings = headings(text);
    let begin = text.find("\n## ").map_or(text.len(), |at| at + 1);
    let (head, rest) = text.split_at(begin);
    let label = CONTENTS[usize::from(!text.lines().next().unwrap_or_default().is_ascii())];
    let head = head.split(label).next().unwrap().trim_end();
    if text.lines().count() < LONG.0 || headings.len() < LONG.1 {
        return text.to_owned();
    }
    let links: Vec<_> = headings.iter().map(|heading| format!("[{heading}](#{})", anchor(heading))).collect();
    format!("{head}\n\n{label}{}\n\n{rest}", links.join(" · "))
}

#[test]
fn long_pages_begin_with_their_contents() {
    let docs = root().join("docs");
    for (path, text) in pages().into_iter().filter(|(path, _)| path.starts_with(&docs)) {
        let wanted = with_contents(&text);
        if text != wanted && std::env::var_os("UPDATE_DOCS").is_some() {
            fs::write(&path, wanted).unwrap();
            continue;
        }
        let update = "UPDATE_DOCS=1 cargo test --test integration pages";
        assert!(text == wanted, "{} has other contents than its headings: {update}", path.display());
    }
}

#[test]
fn links_lead_somewhere() {
    let link = regex::Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let heading = regex::Regex::new(r"(?m)^#+ (.*)$").unwrap();
    let mut broken = BTreeSet::new();
    for (path, text) in pages() {
        for target in link.captures_iter(&text).map(|found| found.get(1).unwrap().as_str()) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, place) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            let leads = file.exists() && {
                let anchors = || -> BTreeSet<String> {
                    let text = fs::read_to_string(&file).unwrap_or_default();
                    heading.captures_iter(&text).map(|found| anchor(&found[1])).collect()
                };
                place.is_empty() || anchors().contains(place)
            };
            if !leads {
                broken.insert(format!("{}: {target}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.into_iter().collect::<Vec<_>>().join("\n"));
}

/// What a reader needs stands in the repository, and the code cites nothing else.
#[test]
fn nothing_cites_a_page_that_is_not_here() {
    let elsewhere = ["SP\u{45}C §", "DOM\u{41}IN.md", "SP\u{45}C.md", "HOUS\u{45}.md", "TARG\u{45}TS.md"];
    let files = ["src", "tests", "benches", "docs", "rules", "config"]
        .map(|folder| source_files(&root().join(folder)));
    for (path, text) in files.into_iter().flatten() {
        for page in elsewhere {
            assert!(!text.contains(page), "{} cites {page}", path.display());
        }
    }
}

/// Each row of the glossary ends with a type; the file or folder that the room is defines it.
#[test]
fn the_glossary_names_what_is_there() {
    let glossary = fs::read_to_string(root().join("docs/glossary.md")).unwrap();
    let named = regex::Regex::new(r"(?m)\| `(\w+)::(\w+)` \|$").unwrap();
    let mut rows = 0;
    for found in named.captures_iter(&glossary) {
        let (room, name) = (&found[1], &found[2]);
        let file = root().join("src").join(format!("{room}.rs"));
        let texts = match fs::read_to_string(&file) {
            Ok(text) => vec![(file, text)],
            Err(_) => source_files(&root().join("src").join(room)),
        };
        let defined =
            regex::Regex::new(&format!(r"(?m)^pub(\(\w+\))? (struct|enum|trait|type) {name}\b")).unwrap();
        assert!(texts.iter().any(|(_, text)| defined.is_match(text)), "there is no {room}::{name}");
        rows += 1;
    }
    let table_rows = glossary.lines().filter(|line| line.starts_with("| ")).count();
    assert_eq!(rows, table_rows - 2 * glossary.matches("\n## ").count(), "each row names a type");
}

/// A newcomer's first guess: the row that says what happens names the one file that does it, beside the type that it is about.
#[test]
fn a_newcomer_finds_where_it_happens_in_one_guess() {
    // What only the file that does it has.
    let signs = [
        ("a late event is judged", "late += u64::from("),
        ("a mail is retried", "fn pause("),
        ("a rule's SQL is checked", "fn resolve(\n"),
        ("a balance changes", "fn apply_event("),
        ("a checksum is compared", "Err(Damage::Differs("),
    ];
    let glossary = fs::read_to_string(root().join("docs/glossary.md")).unwrap();
    let row =
        regex::Regex::new(r"(?m)^\| ([^|]+) \| [^|]+ \| `([^`]+\.rs)`, `(\w+)` \| `(\w+)::\w+` \|$").unwrap();
    let rows: Vec<_> = row.captures_iter(&glossary).map(|found| found.extract::<4>().1).collect();
    let sources = source_files(&root().join("src"));
    for (what, sign) in signs {
        let [_, file, function, room] = rows.iter().find(|[row, ..]| *row == what).expect(what);
        let text = fs::read_to_string(root().join("src").join(file)).unwrap();
        let (_, body) = text.split_once(&format!("fn {function}(")).expect(what);
        let body = format!("fn {function}({}", body.split("\n    }\n\n").next().unwrap());
        let body = body.split("\n}\n").next().unwrap();
        assert!(body.contains(sign.trim_end()), "{what}: it is not {function} of {file} that does it");
        assert!(file.starts_with(room), "{what}: {file} is in another room than its type");
        let others: Vec<_> = sources
            .iter()
            .filter(|(path, text)| path.starts_with(root().join("src").join(room)) && text.contains(sign))
            .map(|(path, _)| path.strip_prefix(root().join("src")).unwrap().display().to_string())
            .collect();
        assert_eq!(others, [*file], "{what}");
    }
}

/// The first sentence that a theme's module says of itself.
fn first_sentence(theme: &str) -> String {
    let folder = root().join("tests/integration");
    let text = fs::read_to_string(folder.join(format!("{theme}.rs")))
        .or_else(|_| fs::read_to_string(folder.join(theme).join("mod.rs")))
        .unwrap();
    let lines = text.lines().map_while(|line| line.strip_prefix("//! "));
    let text = lines.map(str::trim).collect::<Vec<_>>().join(" ");
    text.find(". ").map_or(text.clone(), |end| text[..=end].to_owned())
}

#[test]
fn the_page_of_the_tests_has_every_theme() {
    let page = root().join("tests/README.md");
    let text = fs::read_to_string(&page).unwrap();
    let main = fs::read_to_string(root().join("tests/integration/main.rs")).unwrap();
    let themes = main.lines().filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'));
    let rows: Vec<_> = themes.map(|theme| format!("| `{theme}` | {} |\n", first_sentence(theme))).collect();
    let head = "| module | what it holds |\n| --- | --- |\n";
    let until = text.find(head).unwrap() + head.len();
    let wanted = format!("{}{}", &text[..until], rows.concat());
    if text != wanted && std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&page, wanted).unwrap();
        return;
    }
    assert!(
        text == wanted,
        "tests/README.md lacks a theme: UPDATE_DOCS=1 cargo test --test integration pages"
    );
}
