//! Which room of `src/` may import which: one direction, from the top of `src/lib.rs` to its end, and who may name the
//! large libraries.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::Path,
};

use regex::Regex;

use crate::support::source_files;

/// Rooms that may name a library, and files that may where it is not the whole room.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("rusqlite", &["store"]),
    ("lettre", &["notify/email"]),
    ("rdkafka", &["source/kafka", "notify/kafka.rs"]),
    ("tokio_postgres", &["source/postgres"]),
    ("axum", &["http"]),
    ("openssl", &["access/provider", "http/tls.rs", "http/oidc/jose.rs"]),
    ("ed25519_dalek", &["access/provider"]),
    ("rusty_s3", &["replica/s3.rs"]),
    ("ldap3", &["http/ldap.rs"]),
    ("clap", &["cli"]),
    ("quick_xml", &["markup"]),
    ("calamine", &["workbook/legacy"]),
    ("cfb", &["workbook/legacy"]),
    ("zip", &["workbook/package.rs"]),
    ("rust_xlsxwriter", &["http/workbooks.rs", "settle/sheet.rs"]),
    (
        "datafusion",
        &[
            "diagnostic",
            "inspect",
            "map",
            "source",
            "sql",
            "rule",
            "evaluate",
            "engine",
            "store",
            "trial/journal.rs",
            "trial/explain/schedule.rs",
            "app",
            "cli",
        ],
    ),
];

fn source() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The rooms in the order of `src/lib.rs`.
fn rooms() -> Vec<String> {
    let lib = fs::read_to_string(source().join("lib.rs")).unwrap();
    let room = Regex::new(r"(?m)^pub(?:\(crate\))? mod (\w+);").unwrap();
    room.captures_iter(&lib).map(|c| c[1].to_owned()).collect()
}

/// The Rust files below `src/` by their path, without what is only for tests and without comments.
fn files() -> Vec<(String, String)> {
    let comment = Regex::new(r"(?m)//.*$").unwrap();
    let file = |(path, text): (std::path::PathBuf, String)| {
        let name = path.strip_prefix(source()).unwrap().to_str().unwrap().to_owned();
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap();
        (name, comment.replace_all(code, "").into_owned())
    };
    let all = source_files(&source()).into_iter().map(file);
    let is_code =
        |name: &str| Path::new(name).extension().is_some_and(|e| e == "rs") && !name.contains("tests");
    all.filter(|(name, _)| is_code(name) && !matches!(name.as_str(), "lib.rs" | "main.rs")).collect()
}

/// The rooms that a file names: after `crate::`, and one level into the braces of `use crate::{…}`.
fn named(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let Some(inside) = rest.strip_prefix('{') else {
            names.insert(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
            continue;
        };
        let (mut depth, mut name) = (0, String::new());
        for sign in inside.chars() {
            match sign {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    names.insert(std::mem::take(&mut name));
                }
                sign if depth == 0 => name.push(sign),
                _ => {}
            }
        }
        names.insert(name);
    }
    let first = |name: String| name.trim().split("::").next().unwrap().split(' ').next().unwrap().to_owned();
    names.into_iter().map(first).filter(|name| !name.is_empty()).collect()
}

fn room_of(file: &str) -> &str {
    file.split('/').next().unwrap().trim_end_matches(".rs")
}

#[test]
fn each_room_imports_only_those_above_it() {
    let rooms = rooms();
    assert!(rooms.len() > 20, "the rooms are not read");
    let place = |room: &str| rooms.iter().position(|known| known == room);
    let mut imports = 0;
    let mut upwards = Vec::new();
    for (file, code) in files() {
        let own = place(room_of(&file)).unwrap_or_else(|| panic!("{file} is in no room of src/lib.rs"));
        for other in named(&code) {
            let Some(at) = place(&other) else { continue };
            imports += usize::from(at < own);
            if at > own {
                upwards.push(format!("{file} imports {other}, which stands below it in src/lib.rs"));
            }
        }
    }
    assert!(imports > 500, "only {imports} imports are found");
    assert!(upwards.is_empty(), "{}", upwards.join("\n"));
}

/// The rooms that each room imports.
fn drawing() -> BTreeMap<String, BTreeSet<String>> {
    let rooms = rooms();
    let mut drawing: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (file, code) in files() {
        let own = room_of(&file);
        let others = named(&code).into_iter().filter(|other| other != own && rooms.contains(other));
        drawing.entry(own.to_owned()).or_default().extend(others);
    }
    drawing
}

/// A way along imports that comes back to where it began.
fn circle(drawing: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<&str>> {
    fn from<'d>(
        drawing: &'d BTreeMap<String, BTreeSet<String>>,
        room: &'d str,
        way: &mut Vec<&'d str>,
        done: &mut BTreeSet<&'d str>,
    ) -> bool {
        if let Some(at) = way.iter().position(|before| *before == room) {
            way.drain(..at);
            return true;
        }
        if !done.contains(room) {
            way.push(room);
            if drawing.get(room).into_iter().flatten().any(|next| from(drawing, next, way, done)) {
                return true;
            }
            way.pop();
            done.insert(room);
        }
        false
    }
    let (mut way, mut done) = (Vec::new(), BTreeSet::new());
    drawing.keys().any(|room| from(drawing, room, &mut way, &mut done)).then_some(way)
}

/// `DRAW_ROOMS=rooms.dot` writes the drawing, for Graphviz.
#[test]
fn a_drawing_of_rooms_and_imports_has_no_circle() {
    let mut drawing = drawing();
    assert!(drawing.values().map(BTreeSet::len).sum::<usize>() > 200, "few imports are drawn");
    assert_eq!(circle(&drawing), None);
    if let Some(file) = std::env::var_os("DRAW_ROOMS") {
        let mut dot = "digraph rooms {\n".to_owned();
        for (room, others) in &drawing {
            others.iter().for_each(|other| writeln!(dot, "  {room} -> {other};").unwrap());
        }
        fs::write(file, dot + "}\n").unwrap();
    }
    // One import back is a circle.
    drawing.get_mut("event").unwrap().insert("store".to_owned());
    assert!(circle(&drawing).unwrap().contains(&"event"));
}

/// The most lines of a file, without its unit tests.
const LINES_MAX: usize = 400;

/// Files that are longer yet, and how long they may be. A number here only falls, and a file that has become short enough
/// leaves the list.
const LONGER: &[(&str, usize)] = &[
    ("src/cli/alerts/show.rs", 405),
    ("src/config/resolve.rs", 452),
    ("src/decode/mapped/mod.rs", 414),
    ("src/http/events.rs", 407),
    ("src/rule/load.rs", 447),
    ("src/rule/query.rs", 431),
    ("src/simulate/simulation.rs", 462),
    ("src/simulate/tests/mod.rs", 407),
    ("src/trial/unit_test/tests.rs", 480),
    ("tests/integration/access.rs", 402),
    ("tests/integration/alerts/openapi.rs", 405),
    ("tests/integration/ask/mod.rs", 449),
    ("tests/integration/feeds.rs", 486),
    ("tests/integration/kafka/real.rs", 479),
    ("tests/integration/letters.rs", 403),
    ("tests/integration/state.rs", 487),
    ("tests/integration/support.rs", 491),
];

/// Whoever opens a file wants to see its one purpose.
#[test]
fn files_are_short() {
    let mut wrong = Vec::new();
    let mut longer: BTreeMap<&str, usize> = LONGER.iter().copied().collect();
    for (path, text) in ["src", "tests/integration", "benches"]
        .iter()
        .flat_map(|folder| source_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)))
        .filter(|(path, _)| path.extension().is_some_and(|e| e == "rs"))
    {
        let name = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().to_str().unwrap().to_owned();
        let lines = text.split("#[cfg(test)]\nmod ").next().unwrap().lines().count();
        match longer.remove(name.as_str()) {
            Some(_) if lines <= LINES_MAX => {
                wrong.push(format!("{name} is short enough: take it from the list"));
            }
            Some(most) if lines > most => {
                wrong.push(format!("{name} has grown to {lines} lines from {most}"));
            }
            Some(most) if lines < most => {
                wrong.push(format!("{name} has {lines} lines: its number falls from {most}"));
            }
            None if lines > LINES_MAX => wrong.push(format!("{name} has {lines} lines: split it by purpose")),
            _ => {}
        }
    }
    wrong.extend(longer.keys().map(|name| format!("{name} is not there")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn libraries_are_named_where_they_belong() {
    let files = files();
    for (library, places) in LIBRARIES {
        let name = Regex::new(&format!(r"(?:^|[^\w:])(?:::)?{library}::")).unwrap();
        let using: Vec<_> =
            files.iter().filter(|(_, code)| name.is_match(code)).map(|(file, _)| file).collect();
        let stray: Vec<_> =
            using.iter().filter(|file| !places.iter().any(|place| file.starts_with(place))).collect();
        assert!(stray.is_empty(), "{library} is named in {stray:?}, and belongs to {places:?}");
        for place in *places {
            assert!(
                using.iter().any(|file| file.starts_with(place)),
                "{library} is not used in {place} any more"
            );
        }
    }
}

/// A value that is bound by its place comes into the wrong column as soon as somebody adds one before it, and nothing tells:
/// a wrong balance looks like a right one.
#[test]
fn statements_name_their_values_and_columns() {
    // Keys of sums, rows that are summed (which bring the names of their columns), and records of chains are bound by place to
    // one statement that is made for all tables. Rows of a pragma have no names, and counting alerts reads each of a hundred
    // thousand rows.
    let by_place = ["checksums/tables.rs", "checksums/writer.rs", "chain.rs", "mod.rs", "alert_counts.rs"]
        .map(|file| format!("store/{file}"));
    let second = Regex::new(r"\?[2-9]|get(?:_ref)?(?:::<[^(]*>)?\([2-9]").unwrap();
    let insert = Regex::new(r#""INSERT[^"]*VALUES[^"]*""#).unwrap();
    let bound = Regex::new(r#"":(\w+)":"#).unwrap();
    let named = Regex::new(r"[ (=]:([a-z_]+)").unwrap();
    let (mut stray, mut names) = (Vec::new(), 0);
    for (file, code) in files().into_iter().filter(|(file, _)| file.starts_with("store/")) {
        if !by_place.contains(&file) {
            let found = second.find_iter(&code).chain(insert.find_iter(&code));
            stray.extend(found.map(|found| format!("{file}: {}", found.as_str())));
        }
        // A name that nobody binds is NULL, and one that no statement has is an error only when it is run.
        let all =
            |of: &Regex| -> BTreeSet<String> { of.captures_iter(&code).map(|c| c[1].to_owned()).collect() };
        let (bound, named) = (all(&bound), all(&named));
        names += bound.len();
        stray.extend(bound.symmetric_difference(&named).map(|name| format!("{file}: :{name}")));
    }
    assert!(names > 50, "only {names} names are found");
    assert!(stray.is_empty(), "write rows with `insert!`, bind values by name:\n{}", stray.join("\n"));
}
