//! Tests of rules as data (`fiscwatch test`): events, and the findings that are expected of them. A test file is
//! read, its rules are loaded as `run` loads them, and its events go through the same decoding, ledger and
//! evaluation. Nothing here writes, and no clock is read.

mod compare;
mod expect;
mod files;
pub(crate) mod junit;
mod play;
mod read;
pub mod written;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::{Map, Value};

use crate::{
    alert::Alert,
    diagnostic::{Diagnostic, os_reason, read_text, suggest},
    finding::Finding,
    rule::{
        RuleMode, RuleSet,
        compile::Compiler,
        load::{RuleAdjustment, load},
    },
    say,
    yaml::Document,
};
use read::{RuleTest, Suite};

/// What became of the tests of some files.
#[derive(Debug, Default)]
pub struct TestReport {
    /// Every test, by file and then in the order in which they stand there.
    pub tests: Vec<TestResult>,
    /// What is wrong with the test files, and with the rules and lists they name. Tests of such files do not run.
    pub problems: Vec<Diagnostic>,
}

/// What became of one test.
#[derive(Debug)]
pub struct TestResult {
    pub(crate) file: String,
    /// The line of the test.
    pub line: usize,
    pub(crate) name: String,
    /// What is not as expected, in several lines; `None` if everything is.
    pub failure: Option<String>,
    /// The rules that are expected to find something.
    pub finds: BTreeSet<String>,
    /// The rules named by `only` that are expected to find nothing.
    pub spares: BTreeSet<String>,
    /// The events that it was played with.
    pub events: Vec<Map<String, Value>>,
    /// What was found in them.
    pub findings: Vec<Finding>,
    /// What the findings were filed in.
    pub alerts: Vec<Alert>,
}

impl TestReport {
    /// Whether every file could be read and every test passed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.problems.is_empty() && self.failed() == 0
    }

    /// The number of tests that failed.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.tests.iter().filter(|test| test.failure.is_some()).count()
    }
}

impl fmt::Display for TestReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            writeln!(f, "{problem}")?;
        }
        for test in &self.tests {
            if let Some(failure) = &test.failure {
                writeln!(f, "{} {}:{} {}", say!("FAILED"), test.file, test.line, test.name)?;
                failure.lines().try_for_each(|line| writeln!(f, "    {line}"))?;
            }
        }
        let failed = self.failed();
        f.write_str(&say!("{passed} passed, {failed} failed", passed = self.tests.len() - failed, failed))?;
        match self.problems.len() {
            0 => Ok(()),
            1 => f.write_str(&say!(", 1 problem in the files")),
            n => f.write_str(&say!(", {n} problems in the files", n)),
        }
    }
}

/// Runs the tests of files, and of folders.
#[must_use]
pub fn run(files: &[PathBuf]) -> TestReport {
    let mut report = TestReport::default();
    let mut found = BTreeSet::new();
    for path in files {
        if let Err(e) = collect(path, &mut found) {
            let hint = say!("check the path; without one, the tests of the configured rules run");
            report.problems.push(Diagnostic::of_file(&path.display().to_string(), e, Some(hint)));
        }
    }
    for path in found {
        run_file(&path, &mut report);
    }
    report
}

/// The test files of a path: the file itself; of a folder its `*.yaml` files, but only those in folders named `tests` where
/// there are such, since the others are rules then.
fn collect(path: &Path, files: &mut BTreeSet<PathBuf>) -> Result<(), String> {
    if !path.is_dir() {
        std::fs::metadata(path).map_err(|e| os_reason(&e))?;
        files.insert(path.to_owned());
        return Ok(());
    }
    let mut below = BTreeSet::new();
    walk(path, &mut below).map_err(|e| os_reason(&e))?;
    if below.is_empty() {
        return Err(say!("there are no tests in this folder"));
    }
    let in_tests = |file: &PathBuf| {
        file.strip_prefix(path).is_ok_and(|inner| inner.iter().rev().skip(1).any(|part| part == "tests"))
    };
    if below.is_empty() {
        return Err(say!("there are no tests in this folder"));
    }
    let tests_apart = below.iter().any(in_tests);
    files.extend(below.into_iter().filter(|file| !tests_apart || in_tests(file)));
    Ok(())
}

fn walk(folder: &Path, files: &mut BTreeSet<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?.path();
        if entry.is_dir() {
            walk(&entry, files)?;
        } else if entry.extension().is_some_and(|e| e == "yaml" || e == "yml") {
            files.insert(entry);
        }
    }
    Ok(())
}

fn run_file(path: &Path, report: &mut TestReport) {
    let file = path.display().to_string();
    let text = match read_text(path) {
        Ok(text) => text,
        Err((message, hint)) => return report.problems.push(Diagnostic::of_file(&file, message, hint)),
    };
    let (mut document, root) = Document::parse(&file, &text);
    let folder = path.parent().unwrap_or(Path::new(""));
    let suite = root.and_then(|root| read::suite(&mut document, &root, folder));
    if let Some(suite) = suite.filter(|_| document.problems.is_empty()) {
        run_suite(&suite, &file, &mut document, report);
    }
    document.problems.sort();
    report.problems.append(&mut document.problems);
}

fn run_suite(suite: &Suite, file: &str, d: &mut Document<'_>, report: &mut TestReport) {
    let compiler = Compiler::new(&suite.calendar, suite.lists.clone(), suite.language);
    let Some(rules) = rules_of(suite, &compiler, &BTreeMap::new(), d) else { return };
    suite.cases.iter().for_each(|case| check_names(case, &rules, d));
    if !d.problems.is_empty() {
        return;
    }
    for case in &suite.cases {
        // Constants are part of a compiled rule; most tests have none of their own.
        let rules = match case.params.is_empty() {
            true => Some(Arc::clone(&rules)),
            false => rules_of(suite, &compiler, &overrides(case), d),
        };
        let Some(rules) = rules else { continue };
        let played = play::play(suite, case, &rules);
        let failure = match &played {
            Ok(outcome) => check(suite, case, &rules, outcome).err(),
            Err(failure) => Some(failure.clone()),
        };
        let (findings, alerts) = played.map(|outcome| (outcome.findings, outcome.alerts)).unwrap_or_default();
        let events = case.events.iter().map(|event| event.record.clone()).collect();
        let finds: BTreeSet<_> = case.expected_rules().map(str::to_owned).collect();
        let spares = case.only.iter().map(|p| p.text.clone()).filter(|id| !finds.contains(id)).collect();
        let (file, name) = (file.to_owned(), case.name.text.clone());
        let line = case.name.span.start.line();
        report.tests.push(TestResult { file, line, name, failure, finds, spares, events, findings, alerts });
    }
}

/// Compares what is expected at the end, and at each moment before.
fn check(
    suite: &Suite,
    case: &RuleTest,
    rules: &Arc<RuleSet>,
    outcome: &play::TestOutcome,
) -> Result<(), String> {
    let mut text = String::new();
    for moment in &case.moments {
        let (time, at) = (&moment.time.0, moment.time.1);
        let differing = compare::at_moment(moment, &outcome.until(suite, case, rules, at)?);
        if !differing.is_empty() {
            text.push_str(&format!("at {time}:\n"));
            differing.lines().for_each(|line| text.push_str(&format!("  {line}\n")));
        }
    }
    text.push_str(&compare::at_the_end(case, outcome));
    if text.is_empty() { Ok(()) } else { Err(text) }
}

/// The suite's rules. A disabled rule is loaded as live: what is tested is what it says, not whether it is in use.
fn rules_of(
    suite: &Suite,
    compiler: &Compiler,
    overrides: &BTreeMap<String, RuleAdjustment>,
    d: &mut Document<'_>,
) -> Option<Arc<RuleSet>> {
    let mut loaded = load(&suite.rules, compiler, &suite.calendar, overrides);
    if !loaded.problems.is_empty() {
        d.problems.append(&mut loaded.problems);
        return None;
    }
    for compiled in loaded.set.rules.iter_mut().filter(|compiled| compiled.rule.mode == RuleMode::Disabled) {
        Arc::make_mut(&mut compiled.rule).mode = RuleMode::Live;
    }
    Some(Arc::new(loaded.set))
}

fn overrides(case: &RuleTest) -> BTreeMap<String, RuleAdjustment> {
    let changed = case.params.iter().map(|(rule, params)| {
        let params = params.iter().map(|(name, value)| (name.text.clone(), value.clone())).collect();
        (rule.text.clone(), RuleAdjustment { params, ..RuleAdjustment::default() })
    });
    changed.collect()
}

/// The rules and constants that a test names must exist.
fn check_names(case: &RuleTest, rules: &RuleSet, d: &mut Document<'_>) {
    let ids = || rules.rules.iter().map(|compiled| compiled.rule.id.as_str());
    let named = case.only.iter().chain(case.params.iter().map(|(rule, _)| rule));
    let expected = case.expected().filter_map(|expected| expected.rule.as_ref());
    let expected = expected.chain(case.expected_alerts().filter_map(|alert| alert.rule.as_ref()));
    for id in named.chain(expected).filter(|id| ids().all(|known| known != id.text)) {
        d.problem(id.span, say!("there is no rule \"{id}\"", id = id.text), Some(suggest(&id.text, ids())));
    }
    for (id, params) in &case.params {
        let Some(compiled) = rules.rules.iter().find(|compiled| compiled.rule.id == id.text) else {
            continue;
        };
        let known = || compiled.rule.params.iter().map(|(name, _)| name.as_str());
        for (name, _) in params.iter().filter(|(name, _)| known().all(|known| known != name.text)) {
            let message =
                say!("the rule \"{id}\" has no constant \"{name}\"", id = id.text, name = name.text);
            d.problem(name.span, message, Some(suggest(&name.text, known())));
        }
    }
}

/// What a test of a file is judged by, for tests of what else is made of findings.
#[cfg(test)]
pub(crate) struct Played {
    pub rules: Arc<RuleSet>,
    pub calendar: Arc<crate::event::time::Calendar>,
    pub language: crate::rule::Language,
    pub lateness: crate::event::TimeDelta,
    pub files: Vec<PathBuf>,
}

#[cfg(test)]
pub(crate) fn played(path: &Path, name: &str) -> Option<Played> {
    let text = read_text(path).ok()?;
    let (mut document, root) = Document::parse("test", &text);
    let suite = read::suite(&mut document, &root?, path.parent()?)?;
    let case = suite.cases.iter().find(|case| case.name.text == name)?;
    let compiler = Compiler::new(&suite.calendar, suite.lists.clone(), suite.language);
    let rules = rules_of(&suite, &compiler, &overrides(case), &mut document)?;
    let files = crate::rule::load::files(&suite.rules).into_iter().collect();
    let (calendar, language, lateness) = (Arc::clone(&suite.calendar), suite.language, suite.lateness);
    Some(Played { rules, calendar, language, lateness, files })
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod told;
