//! Lists as people see them, at the widths of their terminals, and as programs and spreadsheets read them.

use std::path::Path;

use regex::Regex;
use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

use crate::support::{Bench, fiscwatch, lines, payment, run};

const RULES: &str = "
rules:
  - id: large-cash
    title: { zh: 大额提取现金, en: Large cash withdrawal }
    severity: high
    trigger: payment
    when: settlement = 'cash' and amount > 1000 and payee_name is not null
    key: [unit_code]
    summary: '{{ unit_name }}向{{ payee_name }}支付现金 {{ amount }} 元，用途：{{ purpose }}'
  - id: unit-day
    title: { zh: 单位单日支付激增, en: Many payments of a unit on one day }
    severity: medium
    trigger: window
    of: payment
    window: { by: [unit_code], size: 1d }
    measure: { total: sum(amount), n: count(*) }
    when: n >= 3
    key: [unit_code]
    summary: '{{ unit_code }} 单日支付 {{ n }} 笔，合计 {{ total }} 元'
";

fn paid(id: &str, day: u32, unit: &str, amount: &str, payee: &str) -> Value {
    let mut event = payment(id, &format!("ZB-2026-{unit}-2050201"), amount);
    event["occurred_at"] = json!(format!("2026-03-{day:02}T09:3{day}:05.250+08:00"));
    event["unit_code"] = json!(unit);
    event["unit_name"] = json!("杭州市西湖区教育局直属第一小学");
    event["payee_name"] = json!(payee);
    event["payee_account"] = json!(format!("6222{:012}", payee.len() * 7919));
    event["purpose"] = json!("三月份学生营养餐及食堂设备采购款（含运输安装费用）");
    event
}

fn cash(id: &str, day: u32, unit: &str, amount: &str, payee: &str) -> Value {
    let mut event = paid(id, day, unit, amount, payee);
    event["settlement"] = json!("cash");
    event
}

/// A state with alerts of two rules and three units; one payee's name tries to steer the terminal.
fn state() -> Bench {
    let events = [
        paid("p-0001", 1, "101001", "860.00", "浙江鲜食配送有限公司"),
        cash("p-0002", 2, "101001", "1234567.80", "浙江鲜食配送有限公司"),
        cash("p-0003", 2, "101002", "5000.00", "=张三\u{1b}[2J\u{202e}\n李四"),
        paid("p-0004", 3, "101001", "10.00", "王五"),
        paid("p-0005", 3, "101001", "20.00", "浙江鲜食配送有限公司"),
        paid("p-0006", 3, "101001", "30.00", "赵六"),
        paid("p-0007", 5, "101003", "1.00", "赵六"),
    ];
    let bench = Bench::new(
        &lines(&events),
        "state: { dir: state }\nsources: [{ name: feed, file: { path: events.jsonl } }]\n",
    );
    std::fs::write(bench.path().join("rules/rules.yaml"), RULES).unwrap();
    shows(bench.path(), None, &["run", "--once"]);
    bench
}

/// What a command prints on a screen so wide, or into a file.
fn shows(dir: &Path, width: Option<usize>, words: &[&str]) -> String {
    let mut command = fiscwatch();
    if let Some(width) = width {
        command.env("COLUMNS", width.to_string());
    }
    let done = command.current_dir(dir).args(words).args(["--config", "fiscwatch.yaml"]).output().unwrap();
    let err = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(0), "{words:?}: {err}");
    String::from_utf8(done.stdout).unwrap()
}

fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Times by the clock are other ones each time.
fn settled(text: &str) -> String {
    let time = Regex::new(r"(20\d\d-\d\d)-\d\d \d\d:\d\d:\d\d").unwrap();
    let settle = |found: &regex::Captures<'_>| match &found[1] {
        "2026-03" => found[0].to_owned(),
        _ => String::from("(     the clock   )"),
    };
    let text = time.replace_all(text, settle);
    // Workdays from now on.
    let last = Regex::new(r"(last day +)20\d\d-\d\d-\d\d").unwrap();
    last.replace_all(&text, "$1(the clock)").into_owned()
}

const LISTS: [&[&str]; 5] = [
    &["alerts", "list"],
    &["findings", "list"],
    &["budget", "top"],
    &["rejects", "list"],
    &[
        "state",
        "query",
        "SELECT event_id, occurred_at, amount, payee_name, purpose FROM payments ORDER BY event_id",
    ],
];

#[test]
fn a_row_is_one_line_at_every_width() {
    let bench = state();
    for width in [80, 100, 120, 160, 200] {
        for words in LISTS {
            let shown = shows(bench.path(), Some(width), words);
            assert!(shown.lines().all(|line| line.width() <= width), "{width} {words:?}\n{shown}");
            assert!(!shown.contains(['─', '\u{1b}', '\u{202e}']), "{shown}");
            let rows = shows(bench.path(), None, words).lines().count();
            assert_eq!(shown.lines().count(), rows, "{width} {words:?}\n{shown}");
        }
    }
    for width in [80, 160] {
        let shown: Vec<_> = LISTS.iter().map(|words| shows(bench.path(), Some(width), words)).collect();
        insta::assert_snapshot!(format!("lists_at_{width}"), settled(&shown.join("\n")));
    }
    // Into a file goes all of it, and colours only if they are asked for.
    let whole = shows(bench.path(), None, &["alerts", "list"]);
    assert!(whole.contains("三月份学生营养餐及食堂设备采购款（含运输安装费用）"), "{whole}");
    let coloured = shows(bench.path(), None, &["alerts", "list", "--color", "always"]);
    assert!(coloured.contains("\u{1b}[38;5;208m● high\u{1b}[0m"), "{coloured}");
}

#[test]
fn an_alert_is_shown_with_what_stands_around_it() {
    let bench = state();
    let dir = bench.path();
    let id = |rule: &str| {
        let listed =
            objects(&shows(dir, None, &["alerts", "list", "--json", "--rule", rule, "--unit", "101001"]));
        listed[0]["alert_id"].as_str().unwrap().to_owned()
    };
    let (cash, day) = (id("large-cash"), id("unit-day"));
    for width in [80, 160] {
        let shown = shows(dir, Some(width), &["alerts", "show", &day]);
        assert!(shown.lines().all(|line| line.width() <= width), "{shown}");
        insta::assert_snapshot!(format!("show_at_{width}"), settled(&shown));
    }
    let shown = objects(&shows(dir, None, &["alerts", "show", &day, "--json"])).remove(0);
    let ids = |events: &Value| -> Vec<String> {
        let events = events.as_array().unwrap();
        events.iter().map(|event| event["event_id"].as_str().unwrap().to_owned()).collect()
    };
    let around = &shown["context"];
    assert_eq!(ids(&around["behind"]["events"]), ["p-0006", "p-0005", "p-0004"]);
    assert_eq!(around["unit"]["alerts"][0]["alert_id"], cash.as_str());
    let shown = objects(&shows(dir, None, &["alerts", "show", &cash, "--json"])).remove(0);
    let around = &shown["context"];
    assert_eq!(ids(&around["payee"]["payments"]), ["p-0005", "p-0001"]);
    assert_eq!(around["lines"][0]["executed"], "1235487.80");
    assert_eq!((&around["trouble"], &around["behind"]), (&Value::Null, &Value::Null));
    assert!(shown["history"][0]["done_at"].is_string() && shown["history"][0]["at"].is_null());
}

#[test]
fn lists_are_narrowed_and_sorted() {
    let bench = state();
    let dir = bench.path();
    let rules = |words: &[&str]| -> Vec<String> {
        let listed = objects(&shows(dir, None, &[words, &["--json"]].concat()));
        listed.iter().map(|found| found["rule_id"].as_str().unwrap().to_owned()).collect()
    };
    for (words, found) in [
        (&["--unit", "101001"][..], 2),
        (&["--unit", "101009"], 0),
        (&["--line", "ZB-2026-101002-2050201"], 1),
        (&["--payee", "浙江鲜食"], 1),
        (&["--payee", "张三"], 1),
        (&["--from", "2026-03-03"], 1),
        (&["--to", "2026-03-01"], 0),
        (&["--from", "2026-03-02", "--to", "2026-03-02"], 2),
        (&["--since", "1h"], 0),
        (&["--opened-since", "1h"], 3),
        (&["--min-amount", "5,000"], 2),
        (&["--min-amount", "5000.01"], 1),
        (&["--max-amount", "60.00"], 1),
        (&["--max-amount", "59.99"], 0),
        (&["--text", "LARGE"], 0),
        (&["--text", "提取现金"], 2),
        (&["--text", "合计 60.00"], 1),
        (&["--event", "p-0003"], 1),
        (&["--owner", "王芳"], 0),
        (&["--state", "open"], 3),
        (&["--state", "closed"], 0),
        (&["--severity", "medium"], 1),
    ] {
        for list in ["alerts", "findings"] {
            assert_eq!(rules(&[&[list, "list"], words].concat()).len(), found, "{list} {words:?}");
        }
    }
    assert_eq!(rules(&["findings", "list", "--sort", "severity"])[2], "unit-day");
    assert_eq!(rules(&["findings", "list", "--sort", "occurred"])[0], "unit-day");
    assert_eq!(rules(&["alerts", "list", "--sort", "occurred"])[0], "unit-day");
    let page = shows(dir, Some(100), &["alerts", "list", "--limit", "1"]);
    assert!(page.ends_with("2 more: narrow the list, or show more of it with --limit\n"), "{page}");
    for (words, says) in [
        (&["--from", "yesterday"][..], "write a date such as 2026-03-01"),
        (&["--min-amount", "5万"], "is no amount"),
        (&["--since", "soon"], "is not a duration"),
    ] {
        let words = [&["alerts", "list", "--config", "fiscwatch.yaml"], words].concat();
        let (code, _, err) = run(dir, &words);
        assert!(code == Some(2) && err.contains(says), "{err}");
    }
}

#[test]
fn csv_guards_formulas_and_opens_in_spreadsheets() {
    let bench = state();
    let query = [
        "state",
        "query",
        "SELECT payee_name, amount, -amount AS back FROM payments WHERE event_id = 'p-0003'",
    ];
    let plain = shows(bench.path(), None, &[&query[..], &["--csv"]].concat());
    assert_eq!(plain, "payee_name,amount,back\n\"'=张三\u{1b}[2J\u{202e}\n李四\",5000.00,-5000.00\n");
    let marked = shows(bench.path(), None, &[&query[..], &["--excel"]].concat());
    assert!(marked.starts_with("\u{feff}payee_name,amount,back\r\n\"'="), "{marked}");
    for list in [["alerts", "list"], ["findings", "list"], ["budget", "top"]] {
        let text = shows(bench.path(), None, &[&list[..], &["--excel"]].concat());
        let mut rows = csv::Reader::from_reader(text.strip_prefix('\u{feff}').unwrap().as_bytes());
        assert!(rows.headers().unwrap().iter().all(|title| !title.contains('_')), "{text}");
        assert_eq!(rows.records().map(Result::unwrap).count(), 3, "{text}");
    }
    let text = shows(bench.path(), None, &["alerts", "list", "--csv"]);
    assert!(
        text.starts_with(
            "alert_id,severity,state,opened_at,last_at,findings,owner,rule_id,title,key,summary\n"
        )
    );
    let id = text.lines().nth(1).unwrap().split(',').next().unwrap();
    assert_eq!(id.len(), 16, "whole ids, which a list for people shortens: {text}");
}

#[test]
fn what_officers_did_is_asked_for_in_sql_but_not_by_rules() {
    let bench = state();
    let dir = bench.path();
    let ids = objects(&shows(dir, None, &["alerts", "list", "--json"]));
    let id = ids[0]["alert_id"].as_str().unwrap();
    shows(dir, None, &["alerts", "ack", id, "--by", "王芳", "--why", "核实中"]);
    shows(
        dir,
        None,
        &["silence", "add", "--match", "rule=x", "--for", "2h", "--why", "盘点", "--by", "王芳"],
    );
    let ask = |sql: &str| objects(&shows(dir, None, &["state", "query", sql, "--json"]));
    let history =
        ask("SELECT alert_id, rule_id, who, action, state, why FROM alert_history WHERE who <> 'fiscwatch'");
    assert_eq!(history.len(), 1);
    assert_eq!((&history[0]["who"], &history[0]["why"]), (&json!("王芳"), &json!("核实中")));
    assert_eq!(history[0]["alert_id"], id);
    let recent = ask("SELECT count(*) AS n FROM alert_history WHERE done_at > now - INTERVAL '1 hour'");
    assert_eq!(recent[0]["n"], 4);
    let silences = ask("SELECT silence_id, author, matchers, ends_at > starts_at AS lasts FROM silences");
    assert_eq!((&silences[0]["author"], &silences[0]["lasts"]), (&json!("王芳"), &json!(true)));
    assert_eq!(ask("SELECT count(*) AS n FROM notifications")[0]["n"], 0);
    // A list of the configuration goes before a table of the same name.
    std::fs::write(dir.join("silences.csv"), "place\n图书馆\n").unwrap();
    let config = std::fs::read_to_string(dir.join("fiscwatch.yaml")).unwrap();
    let listed = format!("{config}lists: {{ silences: {{ path: silences.csv }} }}\n");
    std::fs::write(dir.join("fiscwatch.yaml"), listed).unwrap();
    assert_eq!(ask("SELECT place FROM silences")[0]["place"], "图书馆");
    std::fs::write(dir.join("fiscwatch.yaml"), config).unwrap();
    let rule = "
rules:
  - id: curious
    severity: low
    trigger: schedule
    every: 1d
    sql: SELECT alert_id, who FROM alert_history
    key: [alert_id]
";
    std::fs::write(dir.join("rules/rules.yaml"), rule).unwrap();
    let done = fiscwatch().current_dir(dir).args(["check", "--config", "fiscwatch.yaml"]).output().unwrap();
    let err = String::from_utf8(done.stderr).unwrap();
    assert!(done.status.code() == Some(1) && err.contains("alert_history"), "{err}");
}
