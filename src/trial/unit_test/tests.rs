use super::*;
use crate::{
    event::time::Calendar,
    lists::{List, Lists},
    rule::Language,
};

const RULES: &str = "
rules:
  - id: large
    title: { zh: 大额, en: Large }
    severity: high
    trigger: payment
    params: { limit: 1000 }
    when: amount > $limit
    key: [payee_name]
    summary: '{{ payee_name }} {{ amount|money }}'
  - id: listed
    title: { zh: 名单, en: Listed }
    severity: critical
    mode: disabled
    trigger: payment
    when: in_list('blacklist', payee_name)
    key: [payee_name]
    summary: { zh: '{{ payee_name }} 在名单内', en: '{{ payee_name }} is listed' }
";

const HEAD: &str = "
rules: [../rules.yaml]
lists: { blacklist: [{ name: 乙公司, reason: x }] }
defaults:
  occurred_at: 2026-03-02T10:00:00+08:00
  budget_line_id: L1
  fiscal_year: 2026
  region_code: 330100000
  unit_code: 001
  function_code: 2050201
  economic_code: 30201
  payment_mode: direct
  settlement: transfer
  payee_name: 甲公司
  payee_account: 6222
  payee_type: entity
  budget: { action: approve }
tests:
";

/// Runs a test file with these tests beside [`RULES`]; the report without the folder's name.
fn report(tests: &str) -> (TestReport, String) {
    report_of(RULES, tests)
}

/// The same beside other rules.
fn report_of(rules: &str, tests: &str) -> (TestReport, String) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("tests")).unwrap();
    std::fs::write(dir.path().join("rules.yaml"), rules).unwrap();
    std::fs::write(dir.path().join("tests/t.yaml"), format!("{HEAD}{tests}")).unwrap();
    let report = run(&[dir.path().join("tests")]);
    let text = report.to_string().replace(&format!("{}/", dir.path().display()), "");
    (report, text)
}

#[test]
fn a_test_passes() {
    let (report, text) = report(
        "
  - name: everything that can be named
    events:
      - { type: budget, amount: 5000 }
      - { amount: 1000 }
      - { amount: 1000.01, tags: [直达] }
      - { amount: 1, payee_name: 乙公司, event_id: x }
    expect:
      - rule: large
        event: e3
        severity: high
        handling: warn
        mode: live
        at: 2026-03-02T02:00:00Z
        summary: 甲公司 1,000.01
        key: { payee_name: 甲公司 }
        values: { amount: 1000.010 }
      - { rule: listed, event: x, summary: 乙公司 在名单内 }
    balances: { L1: { total: 5000, executed: '2001.01', available: 2998.99, overspend_ratio: 0 } }
  - name: another limit
    params: { large: { limit: 1 } }
    only: [large, listed]
    events: [{ amount: 2 }]
    expect: [{ rule: large }]
",
    );
    assert!(report.passed(), "{text}");
    assert_eq!(text, "2 passed, 0 failed");
    assert!(report.tests[1].finds.contains("large") && report.tests[1].spares.contains("listed"));
}

const OVERDRAWN: &str = "
rules:
  - id: overdrawn
    title: { zh: 超支, en: Overdrawn }
    severity: critical
    trigger: payment
    when: budget.available < 0
    key: [budget_line_id]
    summary: '{{ budget_line_id }} {{ budget.available }}'
  - id: day
    title: { zh: 日, en: Day }
    severity: low
    handling: record
    trigger: window
    of: payment
    window: { by: [unit_code], size: 1d }
    measure: { n: count(*) }
    when: n > 0
    key: [unit_code]
    summary: '{{ n }}'
";

/// A line is overdrawn twice, given money, and overdrawn again.
const LIFE: &str = "
    events:
      - { type: budget, amount: 10 }
      - { occurred_at: 2026-03-02T11:00:00+08:00, amount: 11 }
      - { occurred_at: 2026-03-02T12:00:00+08:00, amount: 1 }
      - { occurred_at: 2026-03-02T13:00:00+08:00, type: budget, action: supplement, amount: 2 }
      - { occurred_at: 2026-03-02T14:00:00+08:00, amount: 0.01 }
";

#[test]
fn alerts_are_expected_as_they_stand_at_a_time() {
    let tests = format!(
        "
  - name: an alert resolves itself, and the next is another one{LIFE}
    only: [overdrawn]
    alerts:
      - {{ rule: overdrawn, state: resolved, findings: 2, severity: critical, handling: warn, key: {{ budget_line_id: L1 }}, summary: L1 -2.00 }}
      - {{ rule: overdrawn, state: open, findings: 1, summary: L1 -0.01 }}
    at:
      - {{ time: 2026-03-02T10:30:00+08:00, alerts: [] }}
      - {{ time: 2026-03-02T12:00:00+08:00, alerts: [{{ state: open, findings: 2 }}] }}
      - {{ time: 2026-03-02T13:30:00+08:00, alerts: [{{ state: resolved }}], balances: {{ L1: {{ available: 0 }} }} }}
  - name: the end of the day is no moment's, though the events end there{LIFE}
    only: [day]
    alerts: [{{ rule: day, handling: record, findings: 1 }}]
    at: [{{ time: 2026-03-02T23:59:59+08:00, alerts: [] }}]
"
    );
    let (report, text) = report_of(OVERDRAWN, &tests);
    assert!(report.passed(), "{text}");
}

#[test]
fn alerts_that_differ_are_told() {
    let tests = format!(
        "
  - name: not as expected{LIFE}
    only: [overdrawn]
    at: [{{ time: 2026-03-02T12:00:00+08:00, alerts: [{{ rule: overdrawn, state: resolved, findings: 1 }}] }}]
    alerts:
      - {{ rule: overdrawn, key: {{ budget_line_id: L2 }} }}
      - {{ rule: day, state: open }}
"
    );
    let (_, text) = report_of(OVERDRAWN, &tests);
    insta::assert_snapshot!(text, @r"
    FAILED tests/t.yaml:20 not as expected
        at 2026-03-02T12:00:00+08:00:
          alerts:
            differs: the alert of overdrawn {budget_line_id: L1} (line 29)
              state: expected resolved, found open
              findings: expected 1, found 2
        alerts:
          differs: the alert of overdrawn {budget_line_id: L1} (line 31)
            key.budget_line_id: expected L2, found L1
          expected and not filed:
            day, state: open (line 32)
          filed and not expected:
            overdrawn {budget_line_id: L1} open, findings: 1: L1 -0.01
    0 passed, 1 failed
    ");
    let (_, text) = report_of(
        OVERDRAWN,
        "\n  - name: x\n    events: []\n    alerts: [{ rule: overdrawm, stat: open }]\n",
    );
    insta::assert_snapshot!(text, @r#"
    tests/t.yaml:22:33: unknown field "stat" in an expected alert
        hint: did you mean "state"?
    0 passed, 0 failed, 1 problem in the files
    "#);
}

#[test]
fn a_failure_says_what_differs() {
    let (report, text) = report(
        "
  - name: not as expected
    events:
      - { amount: 5000 }
      - { amount: 6000 }
      - { amount: 7000 }
      - { amount: 1, payee_name: 乙公司 }
    expect:
      - { rule: listed, event: e4 }
      - { rule: large, event: e1, values: { amount: 4999, unit_code: '001' }, severity: low }
      - { rule: listed, event: e1, key: { payee_name: 甲公司 } }
      - { rule: large, event: e2 }
    balances: { L1: { total: 1 }, L2: { total: 1 } }
  - name: refused
    events: [{ amount: 1.005 }, { amount: 5, budget_line_id: ~ }]
    expect: []
",
    );
    assert_eq!(report.failed(), 2);
    insta::assert_snapshot!(text, @r#"
    FAILED tests/t.yaml:20 not as expected
        in another place than expected:
          listed on e4 {payee_name: 乙公司}: 乙公司 在名单内
        differs: large on e1 (line 28)
          severity: expected low, found high
          values.amount: expected 4999, found 5000.00
          values.unit_code: expected 001, found no such column (there are amount, payee_name)
        expected and not found:
          listed on e1 {payee_name: 甲公司} (line 29)
        found and not expected:
          large on e3 {payee_name: 甲公司}: 甲公司 7,000.00
        total of L1: expected 1, found 0.00
        there is no budget line "L2": did you mean "L1"?
    FAILED tests/t.yaml:32 refused
        the event e1 (line 33) is refused: bad_amount: amount "1.005": more than 2 decimals
        the event e2 (line 33) is refused: missing_field: budget_line_id is missing
    0 passed, 2 failed
    "#);
}

#[test]
fn mistakes_have_a_place_and_a_hint() {
    let (_, text) = report(
        "
  - name: misspelt
    only: [larg]
    events: [{ amuont: 5 }, { type: refund, original_event_id: e1, payee_name: x, amount: 1 }, { amount: 5, event_id: e1 }]
    expects: []
  - name: at a time
    events: [{ amount: 5 }]
    at: [{ time: 2026-03-04 }]
",
    );
    insta::assert_snapshot!(text, @r#"
    tests/t.yaml:20:11: the test expects nothing
        hint: write `expect: []` if there must be no finding
    tests/t.yaml:22:16: payment has no field "amuont"
        hint: did you mean "amount"?
    tests/t.yaml:22:68: refund has no field "payee_name"
        hint: known are: event_id, type, occurred_at, recorded_at, budget_line_id, amount, original_event_id, reason
    tests/t.yaml:22:96: the event_id "e1" is taken
        hint: events without an event_id are e1, e2, … by their place in the test
    tests/t.yaml:23:5: unknown field "expects" in a test
        hint: did you mean "expect"?
    tests/t.yaml:26:10: the moment expects nothing
        hint: write `expect: []` if there must be no finding
    0 passed, 0 failed, 6 problems in the files
    "#);
    let (_, text) = self::report(
        "
  - name: no such rule
    only: [larg]
    params: { large: { limits: 1 } }
    events: [{ amount: 5 }]
    expect: []
",
    );
    insta::assert_snapshot!(text, @r#"
    tests/t.yaml:21:12: there is no rule "larg"
        hint: did you mean "large"?
    tests/t.yaml:22:24: the rule "large" has no constant "limits"
        hint: did you mean "limit"?
    0 passed, 0 failed, 2 problems in the files
    "#);
    let missing = run(&[PathBuf::from("no/such/file.yaml")]);
    assert!(!missing.passed());
}

#[test]
fn findings_and_balances_in_between_and_events_from_files() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("tests")).unwrap();
    std::fs::write(dir.path().join("rules.yaml"), RULES).unwrap();
    let line = r#"{"event_id":"f1","type":"payment","occurred_at":"2026-03-01T10:00:00+08:00","budget_line_id":"L1","fiscal_year":2026,"region_code":"330100000","unit_code":"001","function_code":"2050201","economic_code":"30201","payment_mode":"direct","settlement":"transfer","payee_name":"甲公司","payee_account":"6222","payee_type":"entity","amount":"2000"}"#;
    std::fs::write(dir.path().join("tests/a.jsonl"), format!("{line}\n\n")).unwrap();
    let columns = "event_id,type,occurred_at,budget_line_id,fiscal_year,region_code,unit_code,function_code,economic_code,payment_mode,settlement,payee_name,payee_account,payee_type,amount,purpose";
    let row =
        "f2,payment,2026-03-03,L1,2026,330100000,001,2050201,30201,direct,transfer,甲公司,6222,entity,3000,";
    std::fs::write(dir.path().join("tests/b.csv"), format!("{columns}\n{row}\n")).unwrap();
    let run = |balance: &str, missing: &str| {
        let test = format!(
            "{HEAD}
  - name: day by day
    files: [a.jsonl, b.csv{missing}]
    events: [{{ amount: 4000, occurred_at: 2026-03-02T10:00:00+08:00 }}]
    at:
      - time: 2026-03-01
        expect: []
        balances: {{}}
      - time: 2026-03-02T10:00:00+08:00
        expect: [{{ rule: large, event: f1 }}, {{ rule: large, event: e1 }}]
        balances: {{ L1: {{ executed: {balance} }} }}
      - time: 2026-03-03
        balances: {{ L1: {{ executed: 9000 }} }}
    expect: [{{ event: f1 }}, {{ event: f2 }}, {{ event: e1 }}]
"
        );
        std::fs::write(dir.path().join("tests/t.yaml"), test).unwrap();
        let report = super::run(&[dir.path().join("tests")]);
        report.to_string().replace(&format!("{}/", dir.path().display()), "")
    };
    assert_eq!(run("6000", ""), "1 passed, 0 failed");
    insta::assert_snapshot!(run("5999.99", ""), @r#"
    FAILED tests/t.yaml:20 day by day
        at 2026-03-02T10:00:00+08:00:
          executed of L1: expected 5999.99, found 6000.00
    0 passed, 1 failed
    "#);
    insta::assert_snapshot!(run("6000", ", c.parquet"), @r#"
    tests/t.yaml:21:29: c.parquet: it is not there
        hint: a test reads JSON Lines (.jsonl) and CSV with a header (.csv)
    0 passed, 0 failed, 1 problem in the files
    "#);
}

#[test]
fn a_junit_report_has_a_case_for_each_test_and_for_each_problem() {
    let (mut report, _) = report(
        "
  - name: passes
    events: [{ amount: 1 }]
    expect: []
  - name: fails & says <so>
    events: [{ amount: 5000 }]
    expect: []
",
    );
    report.problems.push(Diagnostic::of_file("x.yaml", String::from("no such file"), None));
    let mut xml = Vec::new();
    junit::write(&report, &mut xml).unwrap();
    let xml = String::from_utf8(xml).unwrap();
    assert!(
        xml.contains(r#"<testsuites name="fiscwatch test" tests="3" skipped="0" failures="1" errors="1">"#),
        "{xml}"
    );
    assert!(xml.contains(r#"<testcase name="passes" classname=""#), "{xml}");
    assert!(xml.contains(r#"<failure message="found and not expected:">"#), "{xml}");
    assert!(xml.contains("fails &amp; says &lt;so&gt;"), "{xml}");
    assert!(xml.contains(r#"<error message="x.yaml: no such file""#), "{xml}");
}

pub(super) fn shipped(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A compiler with the shipped lists.
fn shipped_lists() -> (Compiler, Arc<Calendar>) {
    let mut lists = Lists::default();
    for entry in std::fs::read_dir(shipped("config/lists")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        lists.insert(&name, List::read(&path, None, &BTreeMap::new()).unwrap());
    }
    let calendar = Arc::new(Calendar::new("Asia/Shanghai", 1, 1).unwrap());
    (Compiler::new(&calendar, lists, Language::En), calendar)
}

pub(super) fn shipped_rules() -> RuleSet {
    let (compiler, calendar) = shipped_lists();
    let loaded = load(&[shipped("rules")], &compiler, &calendar, &BTreeMap::new());
    let problems: Vec<_> = loaded.problems.iter().map(ToString::to_string).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    loaded.set
}

#[test]
fn the_shipped_rules_pass_their_tests_and_each_is_tested_both_ways() {
    let report = run(&[shipped("rules/tests")]);
    assert!(report.passed(), "{report}");
    for rule in shipped_rules().rules {
        let id = &rule.rule.id;
        assert!(report.tests.iter().any(|test| test.finds.contains(id)), "no test expects {id} to find");
        assert!(report.tests.iter().any(|test| test.spares.contains(id)), "no test expects {id} not to find");
    }
}

#[test]
fn the_shipped_rules_say_everything_in_both_languages() {
    let catalogue = std::fs::read_to_string(shipped("rules/README.md")).unwrap();
    for rule in shipped_rules().rules {
        let rule = rule.rule;
        for text in [&rule.title, &rule.description] {
            assert!(text.zh.is_some() && text.en.is_some() && text.zh != text.en, "{}", rule.id);
        }
        assert_eq!(rule.summary.len(), 2, "{}", rule.id);
        assert!(
            rule.basis.is_some() && !rule.false_positives.is_empty() && !rule.tags.is_empty(),
            "{}",
            rule.id
        );
        let (title, severity) = (rule.title.get(Language::Zh), rule.severity.word());
        let start = format!("| `{}` | {title} | {severity} | {} |", rule.id, rule.handling.word());
        let row = catalogue.lines().find(|line| line.starts_with(&start));
        let row = row.unwrap_or_else(|| panic!("rules/README.md lacks: {start}"));
        for (name, _) in &rule.params {
            assert!(row.contains(&format!("`{name}`")), "rules/README.md lacks {name} of {}", rule.id);
        }
    }
}

/// The parts of a text between "```language" and "```".
fn blocks<'t>(text: &'t str, language: &str) -> Vec<&'t str> {
    let parts = text.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
    parts.filter(|(of, _)| *of == language).map(|(_, block)| block).collect()
}

/// The expressions of such parts, one a line, without what follows " -- ".
fn expressions<'t>(text: &'t str, language: &str) -> Vec<&'t str> {
    let lines = blocks(text, language).into_iter().flat_map(str::lines).filter(|line| !line.is_empty());
    lines.map(|line| line.split(" -- ").next().unwrap_or_default().trim()).collect()
}

#[test]
fn the_examples_of_the_documentation_are_valid() {
    let text = std::fs::read_to_string(shipped("docs/rules.md")).unwrap();
    let (compiler, calendar) = shipped_lists();
    let conditions = expressions(&text, "sql").into_iter().map(|when| {
        let trigger = if when.starts_with("achievement") { "indicator" } else { "payment" };
        format!(
            "rules:\n  - {{id: a, severity: low, trigger: {trigger}, key: [unit_code], when: \"{when}\"}}\n"
        )
    });
    let examples: Vec<_> = blocks(&text, "yaml").into_iter().map(str::to_owned).chain(conditions).collect();
    assert!(examples.len() > 10, "{}", examples.len());
    for example in examples {
        if let Err(problems) = RuleSet::from_text(&example, &compiler, &calendar) {
            panic!("{example}\n{}", problems[0]);
        }
    }
}

/// Aggregates are planned and run over the columns of events, of which there are none.
#[test]
fn the_aggregates_of_the_documentation_are_valid() {
    use datafusion::prelude::{SessionConfig, SessionContext};
    let text = std::fs::read_to_string(shipped("docs/rules.md")).unwrap();
    let calendar = Arc::new(Calendar::new("Asia/Shanghai", 1, 1).unwrap());
    let mut config = SessionConfig::new();
    config.options_mut().sql_parser.parse_float_as_decimal = true;
    let context = SessionContext::new_with_config(config);
    for function in crate::sql::functions::scalars(&calendar, &Lists::default()) {
        let example = format!("{}(", function.name());
        assert!(expressions(&text, "sql").iter().any(|e| e.contains(&example)), "no example of {example}…)");
        context.register_udf(function);
    }
    let ours = crate::sql::functions::aggregates();
    ours.iter().for_each(|function| context.register_udaf(function.clone()));
    let events = arrow::record_batch::RecordBatch::new_empty(crate::event::event_schema("Asia/Shanghai"));
    context.register_batch("payments", events).unwrap();
    let examples = expressions(&text, "sql measures");
    for function in &ours {
        let name = function.name();
        assert!(examples.iter().any(|e| e.contains(&format!("{name}("))), "no example of {name}");
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for example in examples {
        let run = async { context.sql(&format!("SELECT {example} FROM payments")).await?.collect().await };
        let result = runtime.block_on(run).unwrap_or_else(|e| panic!("{example}\n{e}"));
        assert_eq!(
            result.iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>(),
            1,
            "not one value: {example}"
        );
    }
}
