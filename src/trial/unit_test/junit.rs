//! A report of rule tests as `JUnit` XML, which CI servers show.

use std::{collections::BTreeMap, io::Write};

use quick_junit::{NonSuccessKind, Report as Xml, TestCase, TestCaseStatus, TestSuite};

use super::TestReport;

/// Writes a report: a suite for each file, and one for what is wrong with the files themselves.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn write(report: &TestReport, out: impl Write) -> Result<(), quick_junit::SerializeError> {
    let mut suites: BTreeMap<&str, TestSuite> = BTreeMap::new();
    for test in &report.tests {
        let suite = suites.entry(&test.file).or_insert_with(|| TestSuite::new(&test.file));
        let status = match &test.failure {
            None => TestCaseStatus::success(),
            Some(failure) => failed(NonSuccessKind::Failure, failure),
        };
        let mut case = TestCase::new(&test.name, status);
        case.set_classname(format!("{}:{}", test.file, test.line));
        suite.add_test_case(case);
    }
    let mut xml = Xml::new("fiscwatch test");
    xml.add_test_suites(suites.into_values());
    if !report.problems.is_empty() {
        let mut suite = TestSuite::new("files");
        for problem in &report.problems {
            let text = problem.to_string();
            suite.add_test_case(TestCase::new("readable", failed(NonSuccessKind::Error, &text)));
        }
        xml.add_test_suite(suite);
    }
    xml.serialize(out)
}

/// The first line is the message, all of it the description.
fn failed(kind: NonSuccessKind, text: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_message(text.lines().next().unwrap_or_default()).set_description(text);
    status
}
