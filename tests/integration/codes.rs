//! Tables of codes: a code that expires in the middle of the year, a table that is taken over while the daemon runs, and
//! names beside codes.

use serde_json::{Value, json};

use crate::support::{Bench, Daemon, lines, payment, wait_until, write};

const RULES: &str = "
rules:
  - id: unknown-class
    title: unknown class
    severity: medium
    trigger: payment
    when: not code_known('economic_code', economic_code, occurred_at)
    key: [unit_code]
    summary: '{{ event_id }}'
";
const CONFIG: &str = "state: { dir: state }\nengine: { max_future: 9999d }\nlists: { settle: 100ms, rejudge: 0s }\n\
    codes:\n  economic_code: { path: classes.csv }\n  unit_code: { path: units.csv }\n";
const CLASSES: &str = "code,name,from,to\n30201,办公费,,\n30217,公务接待费,,2026-06-30\n";
const UNITS: &str = "code,name,parent\nA,市政府,\n88,教育局,A\n99,卫健委,A\n9001,九中,88\n9002,疾控,99\n";
const BEFORE: &str = "2026-06-30T12:00:00+08:00";
const AFTER: &str = "2026-07-01T12:00:00+08:00";

fn bench(config: &str) -> Bench {
    let bench = Bench::new("", config);
    write(bench.path(), "rules/rules.yaml", RULES);
    write(bench.path(), "classes.csv", CLASSES);
    write(bench.path(), "units.csv", UNITS);
    bench
}

fn pay(daemon: &Daemon, events: &[(&str, &str, &str, &str, &str)]) {
    let event = |(id, line, unit, class, at): &(&str, &str, &str, &str, &str)| {
        let mut event = payment(id, line, "100.00");
        event["occurred_at"] = json!(at);
        event["unit_code"] = json!(unit);
        event["economic_code"] = json!(class);
        event.as_object_mut().unwrap().remove("unit_name");
        event
    };
    let events: Vec<Value> = events.iter().map(event).collect();
    let (status, answer) = daemon.post("/api/v1/events", &lines(&events));
    assert_eq!(status, 200, "{answer}");
}

fn found(daemon: &Daemon) -> Vec<String> {
    let findings = daemon.json("/api/v1/findings?rule=unknown-class");
    let findings = findings["findings"].as_array().unwrap().iter();
    let mut ids: Vec<_> = findings.map(|f| f["event_id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

#[test]
fn a_code_expires_in_the_middle_of_the_year_and_a_new_table_is_taken_in_place() {
    let bench = bench(CONFIG);
    let daemon = Daemon::start(bench.path());
    pay(
        &daemon,
        &[
            ("e1", "L1", "9001", "30217", BEFORE),
            ("e2", "L1", "9001", "30217", AFTER),
            ("e3", "L2", "9002", "30201", AFTER),
            ("e4", "L2", "9002", "39999", AFTER),
        ],
    );
    assert_eq!(found(&daemon), ["e2", "e4"]);

    // A table that has the class on from July is taken without a restart.
    write(bench.path(), "classes.csv", &format!("{CLASSES}39999,其他支出,2026-07-01,\n"));
    let listed =
        |code: &str| daemon.json(&format!("/api/v1/codes/economic_code?codes={code}"))["codes"][0].clone();
    wait_until(|| listed("39999")["name"] == "其他支出");
    pay(&daemon, &[("e5", "L2", "9002", "39999", AFTER), ("e6", "L2", "9002", "39999", BEFORE)]);
    assert_eq!(found(&daemon), ["e2", "e4", "e6"]);

    // One that contradicts itself is refused, and the old one stays.
    write(bench.path(), "classes.csv", &format!("{CLASSES}30201,办公费,2026-01-01,\n39999,其他,,\n"));
    wait_until(|| daemon.get("/metrics").1.contains("fiscwatch_config_last_reload_successful 0\n"));
    assert_eq!(listed("39999")["from"], "2026-07-01");
    assert_eq!(daemon.get("/api/v1/codes/fund_type").0, 404);
    assert_eq!(daemon.stop("-TERM"), Some(0));
}

#[test]
fn names_stand_beside_codes_and_sums_go_down_the_tree() {
    let bench = bench(CONFIG);
    let daemon = Daemon::start(bench.path());
    pay(&daemon, &[("e1", "L1", "9001", "30217", BEFORE), ("e2", "L2", "9002", "30201", AFTER)]);
    let line = daemon.json("/api/v1/budget-lines/L1");
    assert_eq!((&line["unit_name"], &line["economic_name"]), (&json!("九中"), &json!("公务接待费")));
    assert_eq!(daemon.json("/api/v1/events/e2")["event"]["economic_name"], "办公费");
    let units = daemon.json("/api/v1/budget/totals?group_by=unit");
    let names: Vec<_> = units["groups"].as_array().unwrap().iter().map(|g| g["name"].clone()).collect();
    assert_eq!(names, [json!("九中"), json!("疾控")]);
    let branches = |query: &str| {
        let totals = daemon.json(&format!("/api/v1/budget/totals?group_by=branch{query}"));
        let groups = totals["groups"].as_array().unwrap().iter();
        groups.map(|g| format!("{} {}", g["value"][0].as_str().unwrap(), g["lines"])).collect::<Vec<_>>()
    };
    assert_eq!(branches(""), ["A 2"]);
    assert_eq!(branches("&under=A"), ["88 1", "99 1"]);
    assert_eq!(branches("&under=88"), ["9001 1"]);
    assert_eq!(daemon.json("/api/v1/budget-lines?under=99")["budget_lines"].as_array().unwrap().len(), 1);
    assert_eq!(daemon.stop("-TERM"), Some(0));
}

#[test]
fn a_table_is_read_from_a_workbook() {
    let bench = bench(&CONFIG.replace("classes.csv", "classes.xlsx"));
    let mut book = rust_xlsxwriter::Workbook::new();
    let sheet = book.add_worksheet();
    let rows =
        [["科目编码", "科目名称", "停用日期"], ["30201", "办公费", ""], ["30217", "招待费", "2026-06-30"]];
    for (row, cells) in (0..).zip(rows) {
        for (column, cell) in (0..).zip(cells) {
            sheet.write_string(row, column, cell).unwrap();
        }
    }
    book.save(bench.path().join("classes.xlsx")).unwrap();
    let daemon = Daemon::start(bench.path());
    pay(&daemon, &[("e1", "L1", "9001", "30217", BEFORE), ("e2", "L1", "9001", "30217", AFTER)]);
    assert_eq!(found(&daemon), ["e2"]);
    assert_eq!(daemon.json("/api/v1/budget-lines/L1")["economic_name"], "招待费");
    assert_eq!(daemon.stop("-TERM"), Some(0));
}
