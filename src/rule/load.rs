//! Rules from files and folders into one set, all or nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
};

use saphyr_parser::Span;
use serde_json::Value;

use super::{
    Exception, Param, RuleMode, RuleSet, agreed,
    compile::{CompiledRule, Compiler},
    limits,
    manifest::RuleManifest,
    parse,
};
use crate::{
    diagnostic::{Diagnostic, os_reason, read_text, suggest},
    event::time::Calendar,
    say,
    text::quoted,
    yaml::Document,
};

/// What the configuration changes about a rule without editing it.
#[derive(Debug, Clone, Default)]
pub struct RuleAdjustment {
    pub mode: Option<RuleMode>,
    pub params: BTreeMap<String, Param>,
    /// Constants that people have agreed on in the rule lab, and exceptions (`agreed.rs`). What does not fit the rule any
    /// more is left out: the files may have gone on since.
    pub adopted: BTreeMap<String, Value>,
}

impl RuleAdjustment {
    /// Whether nothing but the rule lab changes the rule.
    fn is_of_the_lab(&self) -> bool {
        self.mode.is_none() && self.params.is_empty()
    }
}

/// One file, for `check`.
#[derive(Debug)]
pub struct LoadedFile {
    pub(crate) path: PathBuf,
    /// The rules found in it.
    pub rules: usize,
}

#[derive(Debug, Default)]
pub struct Loaded {
    /// The set; only complete if there are no problems.
    pub set: RuleSet,
    pub files: Vec<LoadedFile>,
    /// Everything that is wrong, in every file.
    pub problems: Vec<Diagnostic>,
    manifest: RuleManifest,
    /// Where rules begin, those with problems too.
    places: Vec<Place>,
    /// The rules that could be compiled, each with its place.
    compiled: Vec<(usize, CompiledRule)>,
}

/// Where a rule begins.
#[derive(Debug)]
struct Place {
    id: String,
    file: String,
    /// Line and column.
    begins: (usize, usize),
}

/// Loads the rules of files, and of all `*.yaml` files in folders except those under a folder `tests`.
#[must_use]
pub fn load(
    paths: &[PathBuf],
    compiler: &Compiler,
    calendar: &Calendar,
    overrides: &BTreeMap<String, RuleAdjustment>,
) -> Loaded {
    limits::on_a_stack(|| {
        let mut loaded = Loaded::default();
        load_files(paths, compiler, calendar, overrides, &mut loaded);
        let rules = std::mem::take(&mut loaded.compiled).into_iter().map(|(_, rule)| rule).collect();
        let manifest = std::mem::take(&mut loaded.manifest);
        loaded.set = RuleSet { manifest, ..RuleSet::new(rules, compiler) };
        loaded
    })
}

/// Loads rules and leaves out those with mistakes that `may_skip` names, as long as any are left. A file that cannot be
/// read as rules is left out whole. Of two rules with one id the first stays, whatever `may_skip` says.
#[must_use]
pub fn load_without(
    paths: &[PathBuf],
    compiler: &Compiler,
    calendar: &Calendar,
    overrides: &BTreeMap<String, RuleAdjustment>,
    may_skip: &(dyn Fn(&str) -> bool + Sync),
) -> Loaded {
    limits::on_a_stack(|| {
        let mut loaded = Loaded::default();
        load_files(paths, compiler, calendar, overrides, &mut loaded);
        let problems = std::mem::take(&mut loaded.problems);
        let wrong: BTreeSet<usize> = problems.iter().filter_map(|problem| loaded.place_of(problem)).collect();
        let mut kept = std::mem::take(&mut loaded.compiled);
        kept.retain(|(place, _)| !wrong.contains(place));
        let stays = |id: &str| kept.iter().any(|(_, rule)| rule.rule.id == id);
        let mut skipped: Vec<(String, Diagnostic)> = Vec::new();
        for problem in problems {
            match loaded.subject_of(&problem).filter(|id| may_skip(id) || stays(id)) {
                None => loaded.problems.push(problem),
                Some(id) if skipped.iter().any(|(known, _)| *known == id) => {}
                Some(id) => skipped.push((id, problem)),
            }
        }
        if kept.is_empty() {
            // Nothing would be watched.
            loaded.problems.extend(skipped.drain(..).map(|(_, problem)| problem));
        }
        let rules = kept.into_iter().map(|(_, rule)| rule).collect();
        let manifest = std::mem::take(&mut loaded.manifest);
        loaded.set = RuleSet { skipped, manifest, ..RuleSet::new(rules, compiler) };
        loaded
    })
}

impl Loaded {
    /// The place of the rule that a problem is about: the last one that begins before it.
    fn place_of(&self, problem: &Diagnostic) -> Option<usize> {
        let at = (problem.line, problem.column);
        let before = |place: &Place| place.file == problem.file && place.begins <= at;
        let places = self.places.iter().enumerate().filter(|(_, place)| before(place));
        places.max_by_key(|(_, place)| place.begins).map(|(number, _)| number)
    }

    /// What a problem is about: a rule by its id, or the file, if it is about a file of rules as a whole.
    fn subject_of(&self, problem: &Diagnostic) -> Option<String> {
        let file = self.files.iter().find(|file| file.path.display().to_string() == problem.file)?;
        let rule = self.place_of(problem).map(|place| self.places[place].id.clone());
        Some(rule.unwrap_or_else(|| file.path.display().to_string()))
    }
}

fn load_files(
    paths: &[PathBuf],
    compiler: &Compiler,
    calendar: &Calendar,
    overrides: &BTreeMap<String, RuleAdjustment>,
    loaded: &mut Loaded,
) {
    let mut files = BTreeSet::new();
    for path in paths {
        if let Err(e) = collect(path, &mut files, true) {
            let hint = say!("check the path and the permissions, or name another folder with --rules");
            loaded.problems.push(Diagnostic::of_file(&path.display().to_string(), os_reason(&e), Some(hint)));
        }
    }
    let nowhere = files.is_empty();
    let mut places: BTreeMap<String, String> = BTreeMap::new();
    for path in files {
        load_file((&path, paths), compiler, calendar, overrides, &mut places, loaded);
    }
    loaded.manifest.add_overrides(overrides);
    for (id, changes) in overrides.iter().filter(|(id, _)| !places.contains_key(*id)) {
        if changes.is_of_the_lab() {
            tracing::warn!(rule = %id, "constants of the rule lab are left out: there is no such rule any more");
            continue;
        }
        let hint = suggest(id, places.keys().map(String::as_str));
        let message = say!("rules.overrides names the rule \"{id}\", which does not exist", id);
        loaded.problems.push(Diagnostic::of_file(&say!("the configuration"), message, Some(hint)));
    }
    if places.is_empty() && loaded.problems.is_empty() {
        loaded.problems.push(no_rules(paths, nowhere));
    }
    if let Err((message, hint)) = limits::rules(loaded.places.len()) {
        loaded.problems.push(Diagnostic::of_file("rules.paths", message, hint));
    }
}

/// The files that rules are read from; what cannot be read is left out.
#[must_use]
pub(crate) fn files(paths: &[PathBuf]) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    for path in paths {
        let _ = collect(path, &mut files, true);
    }
    files
}

/// Without a rule nothing would be watched, and nothing would say so.
fn no_rules(paths: &[PathBuf], nowhere: bool) -> Diagnostic {
    let hint = match nowhere {
        true => say!("rules are in files *.yaml; `fiscwatch init` writes those that ship"),
        false => say!("write rules under `rules:`, or name another folder"),
    };
    let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    let place = if paths.is_empty() { String::from("rules.paths") } else { paths.join(", ") };
    Diagnostic::of_file(&place, say!("there is no rule"), Some(hint))
}

/// One rule several times, with other constants each time: for each of `variants` a rule that is named by it.
///
/// # Errors
/// Everything that is wrong, also with constants that the rule does not take.
pub(crate) fn variants(
    paths: &[PathBuf],
    compiler: &Compiler,
    calendar: &Calendar,
    rule: &str,
    variants: &[(String, RuleAdjustment)],
) -> Result<RuleSet, Vec<Diagnostic>> {
    let mut rules = Vec::new();
    for (name, changes) in variants {
        let overrides = BTreeMap::from([(rule.to_owned(), changes.clone())]);
        let loaded = load(paths, compiler, calendar, &overrides);
        if !loaded.problems.is_empty() {
            return Err(loaded.problems);
        }
        let found = loaded.set.rules.into_iter().find(|compiled| compiled.rule.id == rule);
        rules.extend(found.map(|mut compiled| {
            Arc::make_mut(&mut compiled.rule).id.clone_from(name);
            compiled
        }));
    }
    Ok(RuleSet::new(rules, compiler))
}

fn collect(path: &Path, files: &mut BTreeSet<PathBuf>, named: bool) -> std::io::Result<()> {
    if path.is_dir() {
        for entry in std::fs::read_dir(path)? {
            let entry = entry?.path();
            if !(entry.is_dir() && entry.file_name().is_some_and(|name| name == "tests")) {
                collect(&entry, files, false)?;
            }
        }
    } else if named || path.extension().is_some_and(|e| e == "yaml" || e == "yml") {
        std::fs::metadata(path)?;
        files.insert(path.to_owned());
    }
    Ok(())
}

fn load_file(
    (path, roots): (&Path, &[PathBuf]),
    compiler: &Compiler,
    calendar: &Calendar,
    overrides: &BTreeMap<String, RuleAdjustment>,
    places: &mut BTreeMap<String, String>,
    loaded: &mut Loaded,
) {
    let file = path.display().to_string();
    let text = match read_text(path) {
        Ok(text) => text,
        Err((message, hint)) => {
            loaded.files.push(LoadedFile { path: path.to_owned(), rules: 0 });
            return loaded.problems.push(Diagnostic::of_file(&file, message, hint));
        }
    };
    loaded.manifest.add_file(path, roots, text.as_bytes());
    load_text((path, &text), compiler, calendar, overrides, places, loaded);
}

/// One rule in another form: the rule of a text that has no other.
///
/// # Errors
/// Everything that is wrong with it. `file` stands for the text in messages.
pub(crate) fn of_text(
    file: &str,
    text: &str,
    compiler: &Compiler,
    calendar: &Calendar,
) -> Result<CompiledRule, Vec<Diagnostic>> {
    limits::on_a_stack(|| {
        let mut loaded = Loaded::default();
        let none = (BTreeMap::new(), &mut BTreeMap::new());
        load_text((Path::new(file), text), compiler, calendar, &none.0, none.1, &mut loaded);
        let rules = loaded.places.len();
        match loaded.compiled.pop() {
            Some((_, rule)) if loaded.problems.is_empty() && rules == 1 => Ok(rule),
            _ if loaded.problems.is_empty() => {
                let message = say!("the text has {rules} rules, and one is wanted", rules);
                Err(vec![Diagnostic::of_file(file, message, Some(say!("write one rule under `rules:`")))])
            }
            _ => Err(loaded.problems),
        }
    })
}

/// One rule of a text, which may have others, with what the configuration changes about it.
///
/// # Errors
/// Everything that is wrong with the text, or that it has no such rule.
pub(crate) fn one_of_text(
    (file, text): (&str, &str),
    id: &str,
    compiler: &Compiler,
    calendar: &Calendar,
    changes: &RuleAdjustment,
) -> Result<RuleSet, Vec<Diagnostic>> {
    limits::on_a_stack(|| {
        let mut loaded = Loaded::default();
        let overrides = BTreeMap::from([(id.to_owned(), changes.clone())]);
        load_text((Path::new(file), text), compiler, calendar, &overrides, &mut BTreeMap::new(), &mut loaded);
        if !loaded.problems.is_empty() {
            return Err(loaded.problems);
        }
        let mut compiled = loaded.compiled.into_iter().map(|(_, rule)| rule);
        match compiled.find(|compiled| compiled.rule.id == id) {
            Some(rule) => Ok(RuleSet::new(vec![rule], compiler)),
            None => {
                let message = say!("the text has no rule {id}", id = quoted(id));
                Err(vec![Diagnostic::of_file(file, message, None)])
            }
        }
    })
}

fn load_text(
    (path, text): (&Path, &str),
    compiler: &Compiler,
    calendar: &Calendar,
    overrides: &BTreeMap<String, RuleAdjustment>,
    places: &mut BTreeMap<String, String>,
    loaded: &mut Loaded,
) {
    let file = path.display().to_string();
    if text.len() > limits::FILE_BYTES {
        let (bytes, most) = (text.len(), limits::FILE_BYTES);
        let message = say!("the file has {bytes} bytes, {most} are allowed", bytes, most);
        let hint = say!("make several files of it, and put values into reference lists");
        loaded.files.push(LoadedFile { path: path.to_owned(), rules: 0 });
        return loaded.problems.push(Diagnostic::of_file(&file, message, Some(hint)));
    }
    let (mut document, root) = Document::parse(&file, text);
    let d = &mut document;
    let rules = root.map(|root| parse::rules(d, &root, calendar)).unwrap_or_default();
    loaded.files.push(LoadedFile { path: path.to_owned(), rules: rules.len() });
    for mut rule in rules {
        if let Some(place) = places.get(&rule.id) {
            let hint = say!("every rule needs an id of its own");
            d.problem(
                rule.span,
                say!("the id \"{id}\" is taken: see {place}", id = rule.id, place),
                Some(hint),
            );
        }
        places.entry(rule.id.clone()).or_insert_with(|| format!("{file}:{}", rule.span.start.line()));
        let begins = (rule.span.start.line(), rule.span.start.col() + 1);
        loaded.places.push(Place { id: rule.id.clone(), file: file.clone(), begins });
        let place = loaded.places.len() - 1;
        if let Some(changes) = overrides.get(&rule.id) {
            apply(d, &mut rule, changes);
        }
        if limits::rules(loaded.places.len()).is_err() {
            // That is told; to compile them all would take minutes.
            continue;
        }
        let (span, before) = (rule.span, d.problems.len());
        let agreed =
            overrides.get(&rule.id).map(|changes| agreed::exceptions(&changes.adopted, &rule, calendar));
        let compiled = compile(d, compiler, rule, agreed.unwrap_or_default());
        loaded.compiled.extend(compiled.map(|rule| (place, rule)));
        if uses_unreadable(text, span, compiler) {
            // What is wrong may be the list's fault, which is told where the list is.
            d.problems.truncate(before);
        }
    }
    document.problems.sort();
    // A summary for both languages is one text, and its problem one problem.
    document.problems.dedup();
    loaded.problems.append(&mut document.problems);
}

/// A rule with exceptions that people agreed on. It goes on without them where they do not fit what it judges any more: it
/// finds too much then, and not too little.
fn compile(
    d: &mut Document<'_>,
    compiler: &Compiler,
    rule: super::Rule,
    agreed: Vec<Exception>,
) -> Option<CompiledRule> {
    let (span, before) = (rule.span, d.problems.len());
    // What the engine cannot plan must not end a daemon that reads its rules again.
    let plan = |d: &mut Document<'_>, rule| {
        catch_unwind(AssertUnwindSafe(|| compiler.compile(d, rule))).unwrap_or_else(|_| {
            d.problem(span, say!("this rule cannot be planned; please report it"), None);
            None
        })
    };
    if agreed.is_empty() {
        return plan(d, rule);
    }
    let mut with = rule.clone();
    with.exceptions.extend(agreed);
    let planned = plan(d, with);
    if d.problems.len() == before {
        return planned;
    }
    d.problems.truncate(before);
    tracing::warn!(rule = %rule.id, "exceptions that were agreed on are left out: they do not fit the rule");
    plan(d, rule)
}

/// Whether a rule names a list that could not be read.
fn uses_unreadable(text: &str, span: Span, compiler: &Compiler) -> bool {
    let mut unreadable = compiler.lists().unreadable().peekable();
    if unreadable.peek().is_none() {
        return false;
    }
    let (first, last) = (span.start.line(), span.end.line().max(span.start.line()));
    let lines: Vec<_> = text.lines().skip(first.saturating_sub(1)).take(last + 1 - first).collect();
    let rule = lines.join("\n");
    let words = rule.split(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '-'));
    unreadable.any(|name| words.clone().any(|word| word == name))
}

fn apply(d: &mut Document<'_>, rule: &mut super::Rule, changes: &RuleAdjustment) {
    rule.mode = changes.mode.unwrap_or(rule.mode);
    for (name, value) in &changes.params {
        match rule.params.iter_mut().find(|(param, _)| param == name) {
            Some((_, param)) => *param = value.clone(),
            None => {
                let hint = suggest(name, rule.params.iter().map(|(param, _)| param.as_str()));
                let message = say!(
                    "the configuration sets \"{name}\", which is no constant of \"{id}\"",
                    name,
                    id = rule.id
                );
                d.problem(rule.span, message, Some(hint));
            }
        }
    }
    for (name, value) in changes.adopted.iter().filter(|(name, _)| !agreed::is_exception(name)) {
        let present = rule.params.iter_mut().find(|(param, _)| param == name);
        match present.and_then(|(_, param)| param.of_json(value).map(|value| (param, value))) {
            Some((param, value)) => *param = value,
            None => {
                tracing::warn!(rule = %rule.id, constant = %name, "a constant of the rule lab is left out: the rule has none like it");
            }
        }
    }
}
